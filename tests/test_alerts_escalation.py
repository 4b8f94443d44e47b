"""Escalation: who is told next, when it stops, and what quiet hours hold back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time as clocks
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_records import NOW, make_record

from qa_monitor.alerts import (
    Courier,
    DeliveryReport,
    Policy,
    Quiet,
    QuietHours,
    Recipients,
    Step,
    deliver_pending,
    plan_routes,
    raise_alerts,
)
from qa_monitor.calls import EscalationOutcome, Severity
from qa_monitor.errors import DeliveryError, QAMonitorError, StoreError
from qa_monitor.store import Agent, AlertState, Delivery, Route, Store, open_store

POLICY = Policy.load()
MINUTE = timedelta(minutes=1)


@dataclass
class Ear:
    """A channel that remembers what it was told."""

    name: str
    heard: list[Delivery] = field(default_factory=list)
    is_deaf: bool = False

    def send(self, delivery: Delivery) -> None:
        if self.is_deaf:
            raise DeliveryError("deaf", kind="Deaf")
        self.heard.append(delivery)


@dataclass
class DigestingEar(Ear):
    """One that can be told of several at once."""

    digests: list[list[str]] = field(default_factory=list)

    def send_digest(self, waited: Sequence[Delivery]) -> None:
        self.digests.append([delivery.alert.call_id for delivery in waited])


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'qa-monitor.sqlite'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as store:
        store.people.set_agents([Agent(agent_id="A-1", name=None, team="north")])
        yield store


def raise_in(
    store: Store,
    routes: Sequence[Route | str],
    call_id: str = "calls-1",
    *,
    urgency: float = 3,
    now: datetime = NOW,
) -> str:
    """A missed emergency, or with another level something less; the id of its alert."""
    outcome = EscalationOutcome.MISSED if urgency == 3 else EscalationOutcome.LATE_OR_PARTIAL
    record = make_record(
        call_id, urgency=urgency, urgency_probability=0.1, escalated=outcome, started_at=now
    )
    (alert,) = raise_alerts(record, POLICY, now=now)
    store.save_record(record, [alert], now=now, channels=routes)
    return alert.alert_id


def told(ears: Sequence[Ear]) -> dict[str, list[int]]:
    """Which steps each was told of."""
    return {ear.name: [delivery.step for delivery in ear.heard] for ear in ears}


# --- who ----------------------------------------------------------------------------------------


def names_of(
    routes: Sequence[Route], severity: Severity, team: str | None
) -> list[tuple[int, str]]:
    return sorted({(r.step, r.channel) for r in routes if r.takes(severity, team)})


def test_who_is_on_call_for_a_team_is_told_in_place_of_everybody_else() -> None:
    routes = plan_routes(
        plain=["console"],
        email_to=["all@x"],
        chats=["ops", "north-chat"],
        on_call=[
            Recipients(team="north", email=("north@x",), chat=("north-chat",)),
            Recipients(team="south", email=("south@x",)),
        ],
    )
    high = Severity.HIGH
    assert names_of(routes, high, "north") == [
        (0, "chat:north-chat"),
        (0, "console"),
        (0, "email:north@x"),
    ]
    assert names_of(routes, high, "south") == [
        (0, "chat:ops"),
        (0, "console"),
        (0, "email:south@x"),
    ]
    everybody = [(0, "chat:ops"), (0, "console"), (0, "email:all@x")]
    assert names_of(routes, high, "west") == everybody
    assert names_of(routes, high, None) == everybody


def test_channels_are_told_from_their_severity_on_and_so_are_their_steps() -> None:
    routes = plan_routes(
        plain=["console"],
        email_to=["a@x"],
        chats=[],
        steps=[Step(after_s=60, remind=True, email=("head@x",))],
        from_severity={"email": Severity.HIGH},
    )
    assert names_of(routes, Severity.HIGH, None) == [
        (0, "console"),
        (0, "email:a@x"),
        (1, "console"),
        (1, "email:a@x"),
        (1, "email:head@x"),
    ]
    assert names_of(routes, Severity.MEDIUM, None) == [(0, "console"), (1, "console")]


def test_steps_of_a_team_are_for_its_calls_and_the_others_for_teams_without() -> None:
    routes = plan_routes(
        plain=[],
        email_to=["all@x"],
        chats=[],
        on_call=[Recipients(team="north", email=("north@x",))],
        steps=[
            Step(after_s=120, email=("head@x",)),
            Step(after_s=60, remind=True),
            Step(after_s=30, team="north", remind=True, email=("north-head@x",)),
        ],
    )
    assert names_of(routes, Severity.LOW, "north") == [
        (0, "email:north@x"),
        (1, "email:north-head@x"),
        (1, "email:north@x"),
    ]
    assert names_of(routes, Severity.LOW, "south") == [
        (0, "email:all@x"),
        (2, "email:all@x"),
        (3, "email:head@x"),
    ]
    assert {route.after_s for route in routes if route.step == 3} == {120}


# --- when ---------------------------------------------------------------------------------------

LADDER = (
    Route(channel="lead"),
    Route(channel="lead", step=1, after_s=900),
    Route(channel="head", step=2, after_s=1800),
)


def test_reminders_and_the_next_person_follow_while_nobody_acts(store: Store) -> None:
    ears = [Ear("lead"), Ear("head")]
    raise_in(store, LADDER)
    for minute in range(0, 60, 5):
        deliver_pending(store, ears, now=NOW + minute * MINUTE)
        if minute == 10:
            assert told(ears) == {"lead": [0], "head": []}
        if minute == 20:
            assert told(ears) == {"lead": [0, 1], "head": []}
    assert told(ears) == {"lead": [0, 1], "head": [2]}
    deliveries = store.alerting.alert(ears[1].heard[0].alert.alert_id).deliveries
    at = {(state.channel, state.step): state.delivered_at for state in deliveries}
    last = at["head", 2]
    assert last is not None
    assert timedelta() <= last - (NOW + 30 * MINUTE) < MINUTE


@pytest.mark.parametrize("state", [AlertState.ACKNOWLEDGED, AlertState.RESOLVED])
def test_it_stops_when_somebody_acts(store: Store, state: AlertState) -> None:
    ears = [Ear("lead"), Ear("head")]
    alert_id = raise_in(store, LADDER)
    deliver_pending(store, ears, now=NOW + 16 * MINUTE)
    store.alerting.set_state(alert_id, state, by="sam", now=NOW + 17 * MINUTE)
    report = deliver_pending(store, ears, now=NOW + 60 * MINUTE)
    assert told(ears) == {"lead": [0, 1], "head": []}
    assert report.waiting == 0


def test_a_channel_that_fails_delays_no_other(store: Store) -> None:
    ears = [Ear("lead", is_deaf=True), Ear("head")]
    raise_in(store, LADDER)
    deliver_pending(store, ears, now=NOW)
    deliver_pending(store, ears, now=NOW + 31 * MINUTE)
    assert told(ears) == {"lead": [], "head": [2]}
    ears[0].is_deaf = False
    deliver_pending(store, ears, now=NOW + 300 * MINUTE)
    assert told(ears) == {"lead": [0, 1], "head": [2]}


def test_the_first_telling_is_owed_even_after_somebody_acted(store: Store) -> None:
    ear = Ear("lead", is_deaf=True)
    alert_id = raise_in(store, LADDER)
    deliver_pending(store, [ear], now=NOW)
    store.alerting.set_state(alert_id, AlertState.RESOLVED, by="sam", now=NOW)
    ear.is_deaf = False
    deliver_pending(store, [ear], now=NOW + 60 * MINUTE)
    assert told([ear]) == {"lead": [0]}


def test_a_reopened_alert_begins_its_reminders_anew(store: Store) -> None:
    ears = [Ear("lead"), Ear("head")]
    alert_id = raise_in(store, LADDER)
    deliver_pending(store, ears, now=NOW + 16 * MINUTE)
    store.alerting.set_state(alert_id, AlertState.RESOLVED, by="sam", now=NOW + 20 * MINUTE)
    reopened = NOW + 100 * MINUTE
    store.alerting.set_state(alert_id, AlertState.OPEN, by="sam", now=reopened)
    deliver_pending(store, ears, now=reopened + 14 * MINUTE)
    assert told(ears) == {"lead": [0, 1], "head": []}
    deliver_pending(store, ears, now=reopened + 16 * MINUTE)
    assert len(ears[0].heard) == 3
    deliver_pending(store, ears, now=reopened + 31 * MINUTE)
    assert told(ears)["head"] == [2]


def test_a_retry_asked_for_now_brings_no_reminder_before_its_time(store: Store) -> None:
    ears = [Ear("lead"), Ear("head")]
    raise_in(store, LADDER)
    deliver_pending(store, ears, now=NOW, retry_now=True)
    assert told(ears) == {"lead": [0], "head": []}


KILLED = """
import os, signal, sys
from datetime import timedelta
from invented_records import NOW
from qa_monitor.alerts import deliver_pending
from qa_monitor.store import open_store

class Mortal:
    name = "lead"
    def send(self, delivery):
        os.kill(os.getpid(), signal.SIGKILL)

deliver_pending(open_store(sys.argv[1]), [Mortal()], now=NOW + timedelta(minutes=16))
"""


def test_a_restart_forgets_no_step_and_repeats_none(store: Store, url: str) -> None:
    ears = [Ear("lead"), Ear("head")]
    raise_in(store, LADDER)
    deliver_pending(store, ears, now=NOW)
    died = subprocess.run(
        [sys.executable, "-c", KILLED, url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    # The dead process holds the right to hand over no longer.
    with open_store(url) as again:
        deliver_pending(again, ears, now=NOW + 16 * MINUTE)
        deliver_pending(again, ears, now=NOW + 31 * MINUTE)
    deliver_pending(store, ears, now=NOW + 60 * MINUTE)
    assert told(ears) == {"lead": [0, 1], "head": [2]}


# --- quiet hours --------------------------------------------------------------------------------


@given(
    now=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    begin=st.times(),
    end=st.times(),
    zone=st.sampled_from(["America/Chicago", "Europe/London", "Asia/Kolkata", "UTC"]),
)
def test_quiet_hours_end_in_time_and_hold_until_they_end(
    now: datetime, begin: time, end: time, zone: str
) -> None:
    begin, end = (each.replace(second=0, microsecond=0, fold=0) for each in (begin, end))
    if begin == end:
        return
    hours = QuietHours(begin, end, ZoneInfo(zone))
    until = hours.end_after(now)
    local = now.astimezone(ZoneInfo(zone)).time().replace(fold=0)
    within = begin <= local < end if begin < end else not end <= local < begin
    assert (until is not None) == within
    if until is not None:
        assert now < until <= now + timedelta(hours=25)


def test_the_clocks_may_be_set_back_within_the_quiet_hours() -> None:
    hours = QuietHours.parse("22:00-07:00 America/Chicago", zone="UTC")
    before = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert hours.end_after(before) == datetime(2026, 11, 1, 13, 0, tzinfo=UTC)


def quiet(**hours: str) -> Quiet:
    return Quiet({name: QuietHours.parse(text, zone="UTC") for name, text in hours.items()})


def test_what_waits_for_the_end_of_quiet_hours_goes_out_then_in_one_message(store: Store) -> None:
    ear = DigestingEar("email:sam@x")
    night = NOW.replace(hour=23)
    for number in range(3):
        raise_in(store, [ear.name], f"calls-{number}", urgency=2, now=night)
    rules = quiet(email="22:00-07:00")
    report = deliver_pending(store, [ear], now=night, quiet=rules)
    assert (report.delivered, report.problems, report.waiting) == (0, (), 3)
    story = store.alerting.alerts().alerts[0].alert.alert_id
    (state,) = store.alerting.alert(story).deliveries
    assert state.is_held
    assert state.attempts == 0
    before = night + timedelta(hours=7)
    assert deliver_pending(store, [ear], now=before, quiet=rules).delivered == 0
    morning = night + timedelta(hours=8)
    assert deliver_pending(store, [ear], now=morning, quiet=rules).delivered == 3
    (digest,) = ear.digests
    assert sorted(digest) == ["calls-0", "calls-1", "calls-2"]
    assert ear.heard == []
    assert deliver_pending(store, [ear], now=morning, quiet=rules).delivered == 0


def test_a_critical_alert_passes_unless_nothing_may(store: Store) -> None:
    ear = Ear("email:sam@x")
    night = NOW.replace(hour=23)
    raise_in(store, [ear.name], now=night)
    nothing = Quiet(quiet(email="22:00-07:00").hours, lets_pass=None)
    assert deliver_pending(store, [ear], now=night, quiet=nothing).delivered == 0
    raise_in(store, [ear.name], "calls-2", now=night)
    rules = quiet(email="22:00-07:00")
    assert deliver_pending(store, [ear], now=night, quiet=rules).delivered == 1
    assert ear.heard[0].alert.call_id == "calls-2"


def test_quiet_hours_of_one_address_hold_for_it_alone(store: Store) -> None:
    ears = [Ear("email:sam@x"), Ear("email:night@x"), Ear("webhook")]
    night = NOW.replace(hour=23)
    raise_in(store, [ear.name for ear in ears], urgency=2, now=night)
    rules = quiet(**{"email": "22:00-07:00", "night@x": "08:00-20:00"})
    deliver_pending(store, ears, now=night, quiet=rules)
    assert told(ears) == {"email:sam@x": [], "email:night@x": [0], "webhook": [0]}


# --- the courier --------------------------------------------------------------------------------


def test_of_two_that_hand_over_at_once_one_waits_for_the_other(store: Store, url: str) -> None:
    ear = Ear("lead")
    entered, may_go = threading.Event(), threading.Event()

    class Slow(Ear):
        def send(self, delivery: Delivery) -> None:
            entered.set()
            may_go.wait(20)
            super().send(delivery)

    slow = Slow("lead")
    raise_in(store, ["lead"])
    first = threading.Thread(target=lambda: deliver_pending(store, [slow], now=NOW))
    first.start()
    assert entered.wait(20)
    with open_store(url) as other:
        report = deliver_pending(other, [ear], now=NOW, wait_s=0.2)
        assert (report.delivered, report.waiting) == (0, 1)
        may_go.set()
        first.join(20)
        assert deliver_pending(other, [ear], now=NOW, wait_s=5).delivered == 0
    assert (len(slow.heard), ear.heard) == (1, [])


def test_where_nothing_is_due_nobody_waits_for_anybody(store: Store) -> None:
    ears = [Ear("lead"), Ear("head")]
    raise_in(store, LADDER)
    deliver_pending(store, ears, now=NOW)
    # Another machine hands over, for the next two minutes at least.
    now = datetime.now(UTC)
    assert store.claim("alerts:delivery", worker="elsewhere:1:x", now=now, lease_s=3600)
    report = deliver_pending(store, ears, now=NOW + 10 * MINUTE, wait_s=3600)
    assert (report.delivered, report.waiting) == (0, 0)


def test_a_courier_hands_over_what_comes_and_tells_of_trouble_once(store: Store) -> None:
    ear = Ear("lead", is_deaf=True)
    heard: list[QAMonitorError] = []
    rounds: list[DeliveryReport] = []
    happened = threading.Condition()

    def deliver() -> DeliveryReport:
        report = deliver_pending(store, [ear], now=datetime.now(UTC), retry_now=True)
        with happened:
            rounds.append(report)
            happened.notify_all()
        return report

    def wait_for(count: int) -> None:
        with happened:
            assert happened.wait_for(lambda: len(rounds) >= count, timeout=20)

    courier = Courier(deliver, every_s=0.02, report=heard.append)
    raise_in(store, ["lead"])
    courier.start()
    wait_for(4)
    assert [type(error) for error in heard] == [DeliveryError]
    ear.is_deaf = False
    wait_for(len(rounds) + 3)
    assert len(ear.heard) == 1
    raise_in(store, ["lead"], "calls-2")
    courier.wake()
    assert courier.stop()
    assert len(ear.heard) == 2
    assert len(heard) == 1


def test_a_courier_goes_on_when_the_database_fails(store: Store) -> None:
    calls: list[int] = []
    heard: list[QAMonitorError] = []

    def deliver() -> DeliveryReport:
        calls.append(1)
        if len(calls) < 3:
            raise StoreError("the disk is full")
        if len(calls) == 3:
            raise ValueError("words of a call")
        return DeliveryReport(delivered=0, problems=(), waiting=0)

    courier = Courier(deliver, every_s=0.01, report=heard.append)
    courier.start()
    until = clocks.monotonic() + 20
    while len(calls) < 5 and clocks.monotonic() < until:
        clocks.sleep(0.01)
    assert courier.stop()
    assert len(calls) >= 5
    assert [type(error) for error in heard] == [StoreError, StoreError]
    assert "words" not in heard[1].message
