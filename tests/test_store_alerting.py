"""store.alerting and store.arrivals: who did what with an alert, and how quick it all was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_records import NOW, make_record

from qa_monitor.alerts import Policy, raise_alerts
from qa_monitor.calls import EscalationOutcome, Severity
from qa_monitor.errors import ConflictError, NotFoundError, UsageError
from qa_monitor.store import (
    LONGEST_NOTE,
    TRANSITIONS,
    Agent,
    AlertState,
    Arrival,
    KnownFile,
    Scope,
    Store,
    open_store,
)
from qa_monitor.store.arrivals import percentile

POLICY = Policy.load()
MINUTE = timedelta(minutes=1)
NORTH = Scope(teams=frozenset({"north"}))
Outcome = EscalationOutcome


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'qa-monitor.sqlite'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as store:
        store.people.set_agents(
            [
                Agent(agent_id="A-1", name="Agnes", team="north"),
                Agent(agent_id="A-2", name=None, team="south"),
            ]
        )
        yield store


def raise_one(
    store: Store,
    call_id: str = "calls-1",
    *,
    agent_id: str | None = "A-1",
    urgency: float = 3,
    escalated: Outcome | None = Outcome.MISSED,
    minutes: float = 0,
    channel: str = "webhook",
) -> str:
    when = NOW + minutes * MINUTE
    record = make_record(
        call_id,
        agent_id=agent_id,
        urgency=urgency,
        urgency_probability=0.1,
        escalated=escalated,
        started_at=when,
    )
    (alert,) = raise_alerts(record, POLICY, now=when)
    store.save_record(record, [alert], now=when, channels=(channel,))
    return alert.alert_id


# --- lists ---------------------------------------------------------------------------------------


def test_open_alerts_come_first_by_need_then_acknowledged_then_closed_newest_first(
    store: Store,
) -> None:
    raise_one(store, "late", escalated=Outcome.LATE_OR_PARTIAL)
    missed = raise_one(store, "missed", minutes=1)
    raise_one(store, "urgent", urgency=2, minutes=2)
    raise_one(store, "unclear", escalated=None, minutes=3)
    for number, call_id in enumerate(["old", "new"]):
        alert_id = raise_one(store, call_id, minutes=number)
        store.alerting.set_state(alert_id, AlertState.RESOLVED, by="sam", now=NOW)
    store.alerting.set_state(missed, AlertState.ACKNOWLEDGED, by="sam", now=NOW)
    listed = [one.alert.call_id for one in store.alerting.alerts().alerts]
    assert listed == ["urgent", "unclear", "late", "missed", "new", "old"]


def test_a_line_tells_agent_team_place_and_who_changed_it_last(store: Store) -> None:
    alert_id = raise_one(store)
    store.alerting.set_state(alert_id, AlertState.ACKNOWLEDGED, by="sam", now=NOW + MINUTE)
    (one,) = store.alerting.alerts().alerts
    assert (one.agent_id, one.agent_name, one.team) == ("A-1", "Agnes", "north")
    assert (one.set_by, one.set_at, one.state) == ("sam", NOW + MINUTE, "acknowledged")
    assert (one.place_s, one.escalated, one.told_at) == (1.0, Outcome.MISSED, None)
    (delivery,) = store.pending_deliveries("webhook", now=NOW)
    store.mark_delivered(delivery.delivery_id, now=NOW + 2 * MINUTE)
    assert store.alerting.alerts().alerts[0].told_at == NOW + 2 * MINUTE


def test_filters_and_stretches_choose_of_the_same_list(store: Store) -> None:
    for number in range(5):
        raise_one(store, f"calls-{number}", agent_id=f"A-{number % 2 + 1}", minutes=number)
    alerting = store.alerting
    assert alerting.alerts(team="south").total == 2
    assert alerting.alerts(since=NOW + MINUTE, until=NOW + 3 * MINUTE).total == 2
    assert alerting.alerts(severities=[Severity.LOW]).total == 0
    assert alerting.alerts(states=[AlertState.OPEN], reason="emergency_not_escalated").total == 5
    whole = [one.alert.call_id for one in alerting.alerts().alerts]
    parts = [alerting.alerts(limit=2, offset=offset).alerts for offset in (0, 2, 4)]
    assert [one.alert.call_id for part in parts for one in part] == whole


def test_nothing_outside_the_scope_is_listed_counted_shown_or_changed(store: Store) -> None:
    raise_one(store, "calls-1")
    other = raise_one(store, "calls-2", agent_id="A-2")
    raise_one(store, "calls-3", agent_id=None)
    alerting = store.alerting
    assert [one.alert.call_id for one in alerting.alerts(NORTH).alerts] == ["calls-1"]
    assert alerting.counts(NORTH).by_state[AlertState.OPEN] == 1
    assert sum(one.raised for one in alerting.outcomes(NORTH)) == 1
    with pytest.raises(NotFoundError):
        alerting.alert(other, NORTH)
    with pytest.raises(NotFoundError):
        alerting.set_state(other, AlertState.RESOLVED, by="sam", now=NOW, scope=NORTH)
    assert alerting.alert(other).listed.state is AlertState.OPEN
    assert alerting.counts().by_state[AlertState.OPEN] == 3


def test_an_alert_that_a_channel_would_not_take_is_counted(store: Store) -> None:
    raise_one(store)
    assert store.alerting.counts().undelivered == 0
    (delivery,) = store.pending_deliveries("webhook", now=NOW)
    store.mark_failed(delivery.delivery_id, error_kind="HTTP 500", now=NOW)
    assert store.alerting.counts().undelivered == 1
    assert store.alerting.counts(Scope(teams=frozenset({"west"}))).undelivered == 0


# --- states --------------------------------------------------------------------------------------


@pytest.mark.parametrize("present", AlertState)
@pytest.mark.parametrize("wanted", AlertState)
def test_only_the_stated_transitions_are_taken(
    store: Store, present: AlertState, wanted: AlertState
) -> None:
    alert_id = raise_one(store)
    if present is not AlertState.OPEN:
        store.alerting.set_state(alert_id, present, by="kim", now=NOW)
    if wanted in TRANSITIONS[present]:
        event = store.alerting.set_state(alert_id, wanted, by="sam", now=NOW, note=" seen ")
        assert (event.state, event.set_by, event.note) == (wanted, "sam", "seen")
        assert store.alerting.alert(alert_id).listed.state is wanted
    else:
        with pytest.raises(ConflictError):
            store.alerting.set_state(alert_id, wanted, by="sam", now=NOW)
        assert store.alerting.alert(alert_id).listed.state is present


def test_who_is_second_is_told_who_was_first_and_when(store: Store) -> None:
    alert_id = raise_one(store)
    store.alerting.set_state(alert_id, AlertState.RESOLVED, by="kim", now=NOW)
    with pytest.raises(ConflictError, match="kim was first: the alert was resolved at 09:30 UTC"):
        store.alerting.set_state(alert_id, AlertState.FALSE_ALARM, by="sam", now=NOW, was="open")
    assert [event.set_by for event in store.alerting.alert(alert_id).events] == ["scoring", "kim"]


def test_of_many_who_act_at_once_exactly_one_is_first(store: Store, url: str) -> None:
    alert_id = raise_one(store)
    begin = threading.Barrier(6)
    results: list[str] = []

    def act(name: str) -> None:
        with open_store(url) as own:
            begin.wait()
            try:
                own.alerting.set_state(alert_id, "acknowledged", by=name, now=NOW, was="open")
                results.append(name)
            except ConflictError:
                results.append("late")

    threads = [threading.Thread(target=act, args=(f"s-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results)[:5] == ["late"] * 5
    assert len(store.alerting.alert(alert_id).events) == 2


def test_a_note_that_is_too_long_changes_nothing(store: Store) -> None:
    alert_id = raise_one(store)
    with pytest.raises(UsageError, match="characters long"):
        store.alerting.set_state(
            alert_id, "resolved", by="sam", now=NOW, note="x" * (LONGEST_NOTE + 1)
        )
    assert store.alerting.alert(alert_id).listed.state is AlertState.OPEN


def test_false_alarms_are_told_by_reason(store: Store) -> None:
    for number in range(4):
        alert_id = raise_one(store, f"calls-{number}", minutes=number)
        if number:
            state = AlertState.FALSE_ALARM if number == 1 else AlertState.RESOLVED
            store.alerting.set_state(alert_id, state, by="sam", now=NOW)
    raise_one(store, "urgent", urgency=2)
    emergencies, urgent = store.alerting.outcomes()
    assert (emergencies.reason, emergencies.raised) == ("emergency_not_escalated", 4)
    assert emergencies.false_alarm_share == pytest.approx(1 / 3)
    assert emergencies.by_state[AlertState.OPEN] == 1
    assert (urgent.reason, urgent.false_alarm_share) == ("urgent_not_escalated", None)
    (early, _) = store.alerting.outcomes(until=NOW + MINUTE)
    assert early.raised == 1


# --- arrivals ------------------------------------------------------------------------------------


def arrive(store: Store, call_id: str, *, took_s: float, was_waiting: bool = False) -> None:
    file = KnownFile(size=1, modified_ns=2, known_by="", is_failed=False)
    arrival = Arrival(
        call_id=call_id,
        arrived_at=NOW,
        taken_at=NOW,
        saved_at=NOW + timedelta(seconds=took_s),
        was_waiting=was_waiting,
    )
    store.arrivals.note(f"digest of {call_id}", file, now=NOW, arrival=arrival)


def test_times_are_over_calls_that_came_while_watched_and_alerts_not_held_back(
    store: Store,
) -> None:
    for number in range(4):
        call_id = f"calls-{number}"
        raise_one(store, call_id)
        arrive(store, call_id, took_s=10 * (number + 1), was_waiting=number == 3)
    for delivery in store.pending_deliveries("webhook", now=NOW):
        number = int(delivery.alert.call_id[-1])
        if number == 1:
            store.alerting.hold([delivery.delivery_id], until=NOW)
        store.mark_delivered(delivery.delivery_id, now=NOW + number * MINUTE + MINUTE)
    speed = store.arrivals.file_to_alert()
    assert (speed.calls, speed.to_record_median_s, speed.was_waiting) == (3, 20.0, 1)
    assert speed.to_record_p95_s == pytest.approx(29.0)
    assert (speed.alerts, speed.to_alert_median_s) == (2, 120.0)
    nobody = store.arrivals.file_to_alert(Scope(teams=frozenset({"south"})))
    assert (nobody.calls, nobody.alerts, nobody.to_alert_median_s) == (0, 0, None)


def test_a_call_keeps_its_first_time_and_loses_it_with_the_call(store: Store) -> None:
    raise_one(store)
    arrive(store, "calls-1", took_s=5)
    arrive(store, "calls-1", took_s=500)
    arrival = store.arrivals.of_call("calls-1")
    assert arrival is not None
    assert (arrival.saved_at - arrival.arrived_at).total_seconds() == 5
    store.delete_call("calls-1")
    assert store.arrivals.of_call("calls-1") is None
    # That the file is known stays, so that it does not come back.
    assert store.arrivals.known_files().keys() == {"digest of calls-1"}
    arrive(store, "calls-1", took_s=5)
    assert store.arrivals.of_call("calls-1") is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 1))
def test_a_percentile_lies_among_the_values(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found is not None
    assert min(values) <= found <= max(values) or found == pytest.approx(min(values))
    assert percentile(values, 0) == min(values)
    assert percentile(values, 1) == max(values)
    assert percentile([], share) is None
