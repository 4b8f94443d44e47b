"""Who is told at once, and who next if nobody acts.

``plan_routes`` turns settings into routes. The store queues a delivery for each route that takes an
alert, in the transaction that keeps the alert, with the time at which it is due; a step of the
escalation is handed over only if the alert is still open then. So a failing channel delays no other
and a restart neither forgets a step nor repeats one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qa_monitor.calls import Severity

if TYPE_CHECKING:
    from qa_monitor.store import Route

__all__ = ["Recipients", "Step", "plan_routes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipients:
    """Who is on call for ``team``: e-mail addresses and names of chats."""

    team: str
    email: tuple[str, ...] = ()
    chat: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Who is told when an alert has been open for ``after_s`` seconds.

    ``remind`` is those who were told first. A step without a ``team`` is for the calls of all teams
    that have no step of their own.
    """

    after_s: float
    team: str | None = None
    remind: bool = False
    email: tuple[str, ...] = ()
    chat: tuple[str, ...] = ()


def plan_routes(
    *,
    plain: Sequence[str],
    email_to: Sequence[str],
    chats: Sequence[str],
    on_call: Sequence[Recipients] = (),
    steps: Sequence[Step] = (),
    from_severity: Mapping[str, Severity] | None = None,
) -> tuple[Route, ...]:
    """The routes of alerts: those told at once, then the steps, the soonest first.

    ``plain`` are channels without recipients (console, jsonl, webhook). ``email_to`` are told of
    calls of every team that has no address in ``on_call``, and ``chats`` likewise, but for those
    that ``on_call`` or ``steps`` name. ``from_severity`` has the least severity of which a kind of
    channel (``webhook``, ``email``, ``chat``) is told.
    """
    least = from_severity or {}
    named = {chat for one in on_call for chat in one.chat}
    named |= {chat for step in steps for chat in step.chat}
    first = [_route(name, least) for name in plain]
    defaults = {"email": email_to, "chat": [chat for chat in chats if chat not in named]}
    for kind, everybody in defaults.items():
        own = {one.team: one.email if kind == "email" else one.chat for one in on_call}
        teams = frozenset(team for team, targets in own.items() if targets)
        first += [replace(route, besides=teams) for route in _routes_to(kind, everybody, least)]
        for team, targets in own.items():
            of_team = frozenset({team})
            first += [replace(route, teams=of_team) for route in _routes_to(kind, targets, least)]
    with_steps = frozenset(step.team for step in steps if step.team is not None)
    later = [
        replace(route, step=number, after_s=step.after_s)
        for number, step in enumerate(sorted(steps, key=lambda step: step.after_s), start=1)
        for route in _routes_of(step, first, with_steps, least)
    ]
    return (*first, *later)


def _route(name: str, least: Mapping[str, Severity]) -> Route:
    # Imported late: the store need not be there to read a policy.
    from qa_monitor.store import Route

    return Route(channel=name, from_severity=least.get(name.partition(":")[0], Severity.LOW))


def _routes_to(kind: str, targets: Iterable[str], least: Mapping[str, Severity]) -> Iterator[Route]:
    return (_route(f"{kind}:{target}", least) for target in targets)


def _routes_of(
    step: Step, first: Sequence[Route], with_steps: frozenset[str], least: Mapping[str, Severity]
) -> Iterator[Route]:
    for route in first if step.remind else ():
        if step.team is None:
            teams = None if route.teams is None else route.teams - with_steps
            if teams != frozenset():
                yield replace(route, teams=teams, besides=route.besides | with_steps)
        elif step.team not in route.besides and (route.teams is None or step.team in route.teams):
            yield replace(route, teams=frozenset({step.team}), besides=frozenset())
    teams = None if step.team is None else frozenset({step.team})
    besides = with_steps if step.team is None else frozenset()
    for kind, targets in (("email", step.email), ("chat", step.chat)):
        for route in _routes_to(kind, targets, least):
            yield replace(route, teams=teams, besides=besides)
