"""``write_demo_data``: a data folder full of invented calls, agents, alerts and users."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from qa_monitor.accounts import add_user, make_password, set_password
from qa_monitor.alerts import Policy, raise_alerts
from qa_monitor.demo.people import do_people_s_work
from qa_monitor.demo.records import (
    DEMO_SOURCE,
    MadeCall,
    make_agents,
    make_failures,
    make_records,
)
from qa_monitor.errors import UsageError
from qa_monitor.pipeline import build_policy, build_rubrics
from qa_monitor.reviewing import refresh_queue
from qa_monitor.store import Agent, AlertState, StoredAlert, User, UserRole

if TYPE_CHECKING:
    from qa_monitor.monitor import Monitor
    from qa_monitor.store import Store

__all__ = ["DemoData", "write_demo_data"]

_BATCH = 200
_FAILED_SHARE = 0.015
_FRESH = timedelta(days=2)
_HANDLED = 400
"""How many of the newest alerts somebody has dealt with."""
_NEWEST = 2000
"""Of how many of the newest calls people have reviewed, commented on and disputed some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoData:
    """What was written; ``passwords`` are those of the users, by their names."""

    calls: int
    failed: int
    agents: int
    alerts: int
    recordings: int
    users: tuple[User, ...]
    passwords: Mapping[str, str]


def write_demo_data(
    monitor: Monitor,
    *,
    now: datetime,
    calls: int = 400,
    agents: int = 12,
    days: int = 60,
    seed: int = 1,
    recordings: int = 24,
    with_users: bool = False,
    password: str | None = None,
    replace: bool = False,
) -> DemoData:
    """Fill the data folder of ``monitor`` with invented calls of the ``days`` before ``now``.

    The same seed and day give the same calls. The newest ``recordings`` of them get a sound, which
    is a hum. ``with_users`` adds a user of each role, signing in with ``password``, or each with a
    random one, and what they did with the calls: reviews, comments, goals, disputes. Raises
    ``UsageError`` where the folder holds calls that are not invented, or a user who is not and has
    the name of one who would be, and where it holds invented calls already, unless ``replace``:
    then these go first.
    """
    listed = make_agents(agents)
    users = _users(listed) if with_users else ()
    _refuse_namesakes(monitor.store, users)
    _make_room(monitor, replace=replace, now=now)
    zone = ZoneInfo(monitor.config.intake.timezone)
    monitor.store.people.set_agents(listed)
    made = make_records(
        calls=calls,
        agents=listed,
        days=days,
        seed=seed,
        until=now.astimezone(zone).date(),
        zone=zone,
        rubric_of=build_rubrics(monitor.config).of,
    )
    raised, newest = _save(monitor.store, made, build_policy(monitor.config))
    failures = make_failures(round(_FAILED_SHARE * calls), seed=seed)
    for number, failed in enumerate(failures, start=1):
        monitor.store.save_failure(failed, now=now - timedelta(days=days * number / len(failures)))
    _handle_alerts(monitor.store, now, seed)
    written = _write_recordings(monitor, min(recordings, calls))
    passwords = _add_users(monitor.store, users, password, now)
    refresh_queue(monitor.store, monitor.queue_policy, now=now, most=_NEWEST)
    if with_users:
        do_people_s_work(
            monitor.store,
            newest,
            listed,
            now=now,
            seed=seed,
            dispute_within=timedelta(days=monitor.config.coaching.dispute_days),
        )
        refresh_queue(monitor.store, monitor.queue_policy, now=now, most=_NEWEST)
    return DemoData(
        calls=calls,
        failed=len(failures),
        agents=agents,
        alerts=raised,
        recordings=written,
        users=users,
        passwords=passwords,
    )


def _refuse_namesakes(store: Store, users: Sequence[User]) -> None:
    """Raises ``UsageError`` where a person would be given an invented user's password."""
    known = {user.user_id: user for user in store.people.users()} if users else {}
    for user in users:
        there = known.get(user.user_id, user)
        if (there.name, there.roles, there.issuer) != (user.name, user.roles, user.issuer):
            raise UsageError(
                f"there is a user {user.user_id} who is not invented. Set data.folder to one of "
                "its own for demo data."
            )


def _make_room(monitor: Monitor, *, replace: bool, now: datetime) -> None:
    store = monitor.store
    sources = store.sources()
    if set(sources) - {DEMO_SOURCE}:
        raise UsageError(
            "the data folder holds calls that are not invented. Set data.folder to one of its own "
            "for demo data."
        )
    if not sources:
        return
    if not replace:
        raise UsageError(
            f"the data folder holds {sources[DEMO_SOURCE]} invented calls already. Give --yes to "
            "replace them, or name another folder."
        )
    calls = [*store.latest_runs(), *(failed.call_id for failed in store.failures())]
    for erased in monitor.keeper.delete(calls, by="demo-data", now=now, reason="replaced"):
        if erased.error is not None:
            raise erased.error


def _save(
    store: Store, made: Iterator[MadeCall], policy: Policy
) -> tuple[int, tuple[MadeCall, ...]]:
    """How many alerts the calls raise, and the newest calls; all is kept."""
    raised = 0
    newest: deque[MadeCall] = deque(maxlen=_NEWEST)
    while batch := list(itertools.islice(made, _BATCH)):
        scored = [
            (one.record, raise_alerts(one.record, policy, now=one.scored_at), one.scored_at)
            for one in batch
        ]
        store.save_records(scored)
        raised += sum(len(alerts) for _, alerts, _ in scored)
        newest.extend(batch)
    return raised, tuple(newest)


# --- what was done about alerts ------------------------------------------------------------------


def _handle_alerts(store: Store, now: datetime, seed: int) -> None:
    """Somebody has looked at most alerts; those of the last days wait."""
    rng = random.Random(f"alerts {seed}")
    newest = sorted(store.alerts(), key=lambda stored: stored.alert.raised_at)[-_HANDLED:]
    for stored in newest:
        for state, at in _history(stored, now, rng):
            store.set_alert_state(stored.alert.alert_id, state, now=at, by="sam")


def _history(
    stored: StoredAlert, now: datetime, rng: random.Random
) -> Iterator[tuple[AlertState, datetime]]:
    at = stored.alert.raised_at
    if rng.random() < (0.7 if now - at < _FRESH else 0.06):
        return
    at += timedelta(minutes=min(600.0, rng.lognormvariate(3.0, 1.0)))
    yield AlertState.ACKNOWLEDGED, at
    if rng.random() < 0.9:
        at += timedelta(minutes=rng.uniform(5, 240))
        is_false = rng.random() < 0.15
        yield AlertState.FALSE_ALARM if is_false else AlertState.RESOLVED, at


# --- sound ---------------------------------------------------------------------------------------


def _write_recordings(monitor: Monitor, count: int) -> int:
    from qa_monitor.audio import write_audio
    from qa_monitor.demo.sound import hum

    folder = monitor.config.data.folder / "audio"
    newest = list(monitor.store.latest_runs())[-count:] if count else []
    written = 0
    for call_id in newest:
        record = monitor.store.record(call_id)
        if any(turn.words for turn in record.dialogue.turns):
            sound = hum(record.dialogue.turns, record.recording.duration_s)
            write_audio(folder / f"{call_id}.flac", sound)
            written += 1
    return written


# --- users ---------------------------------------------------------------------------------------


def _users(agents: Sequence[Agent]) -> tuple[User, ...]:
    """One of each role and more, as the days of a centre need them."""
    teams = sorted({agent.team for agent in agents if agent.team is not None})

    def user(user_id: str, name: str, role: UserRole, **more: object) -> User:
        return User(user_id=user_id, name=name, roles=frozenset({role}), **more)  # type: ignore[arg-type]

    return (
        user("rita", "Rita Halloran", UserRole.REVIEWER, all_teams=True),
        user("randall", "Randall Osei", UserRole.REVIEWER, all_teams=True),
        user("cora", "Cora Lindgren", UserRole.COACH, teams=frozenset(teams[:2])),
        user("sam", "Sam Whitlock", UserRole.SUPERVISOR, all_teams=True),
        *(
            user(
                (agent.name or agent.agent_id).split()[0].lower(),
                agent.name or agent.agent_id,
                UserRole.AGENT,
                agent_id=agent.agent_id,
            )
            for agent in agents[:2]
        ),
        user("ada", "Ada Quigley", UserRole.ADMIN),
    )


def _add_users(
    store: Store, users: Sequence[User], password: str | None, now: datetime
) -> dict[str, str]:
    passwords = {user.user_id: password or make_password() for user in users}
    known = {user.user_id for user in store.people.users()} if users else set()
    for user in users:
        if user.user_id in known:
            set_password(store.people, user.user_id, passwords[user.user_id])
        else:
            add_user(store.people, user, password=passwords[user.user_id], now=now)
    return passwords
