"""contacts: a caller's other calls tell repeats and first-contact resolution, or that none can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_records import NOW, make_record

from qa_monitor.calls import CallRecord, CallType, Contacts, Direction
from qa_monitor.store import Store, open_store
from qa_monitor.store.contacts import Leg, contacts_among

DAY, WEEK = timedelta(days=1), timedelta(days=7)
LATER = NOW + 30 * DAY


@pytest.fixture
def store(tmp_path: object) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/qa-monitor.sqlite") as store:
        yield store


def called(
    call_id: str,
    days: float | None,
    *,
    caller: str | None = "key",
    call_type: CallType = CallType.BILLING,
    **fields: object,
) -> CallRecord:
    """A call ``days`` after NOW."""
    record = make_record(
        call_id, started_at=None if days is None else NOW + days * DAY, call_type=call_type
    )
    recording = replace(record.recording, caller_key=caller, **fields)  # type: ignore[arg-type]
    return replace(record, recording=recording)


def keep(store: Store, *records: CallRecord) -> None:
    """Save ``records``, and a call of somebody else's weeks later, so that windows are closed."""
    for record in (*records, called("calls-newest", 29, caller="other")):
        store.save_record(record, (), now=NOW)


def of(store: Store, call_id: str, now: datetime = LATER, within: timedelta = WEEK) -> Contacts:
    found = store.contacts_of(store.record(call_id).recording, within=within, now=now)
    assert store.contacts(within=within, now=now)[call_id] == found
    return found


# --- repeat callers ------------------------------------------------------------------------------


def test_earlier_calls_of_the_same_caller_are_told_with_their_types(store: Store) -> None:
    keep(
        store,
        called("calls-1", 0, call_type=CallType.SYMPTOMS),
        called("calls-2", 2),
        called("calls-3", 3),
        called("calls-4", 3.5, caller="other"),
        called("calls-5", 4),
    )
    found = of(store, "calls-3")
    assert found.earlier_types == (CallType.SYMPTOMS, CallType.BILLING)
    assert found.since_last_s == DAY.total_seconds()
    assert of(store, "calls-1").earlier_types == ()
    assert of(store, "calls-1").since_last_s is None


def test_calls_before_the_window_are_not_earlier_calls(store: Store) -> None:
    keep(store, called("calls-1", 0), called("calls-2", 7), called("calls-3", 7.01))
    assert of(store, "calls-2").earlier_types == (CallType.BILLING,)
    assert of(store, "calls-3").earlier_types == (CallType.BILLING,)
    assert of(store, "calls-3", within=8 * DAY).earlier_types == (CallType.BILLING,) * 2


def test_the_legs_of_one_interaction_are_one_contact(store: Store) -> None:
    keep(
        store,
        called("calls-1", 0, interaction_id="i-1"),
        called("calls-2", 0.01, interaction_id="i-1"),
        called("calls-3", 1),
        called("calls-4", 1.01, interaction_id="i-1"),
    )
    assert of(store, "calls-2").earlier_types == ()
    assert len(of(store, "calls-3").earlier_types or ()) == 1
    assert of(store, "calls-4").earlier_types == ()


def test_a_call_that_the_centre_placed_is_no_contact_of_the_caller(store: Store) -> None:
    keep(
        store,
        called("calls-1", 0),
        called("calls-2", 1, direction=Direction.OUTBOUND),
        called("calls-3", 2, direction=Direction.UNKNOWN),
    )
    assert of(store, "calls-2").earlier_types is None
    assert (of(store, "calls-2").is_resolved, of(store, "calls-2").basis) == (None, "outbound")
    assert len(of(store, "calls-3").earlier_types or ()) == 1


def test_a_call_that_is_not_stored_yet_is_told_its_earlier_calls(store: Store) -> None:
    keep(store, called("calls-1", 0))
    coming = called("calls-2", 1).recording
    assert store.contacts_of(coming, within=WEEK, now=NOW).earlier_types == (CallType.BILLING,)


def test_of_calls_whose_caller_or_time_is_unknown_nothing_is_told(store: Store) -> None:
    keep(store, called("calls-1", 0, caller=None), called("calls-2", None), called("calls-3", 1))
    assert of(store, "calls-1") == Contacts(
        earlier_types=None, since_last_s=None, is_resolved=None, basis="caller_unknown"
    )
    assert of(store, "calls-2").basis == "time_unknown"
    assert of(store, "calls-3").earlier_types == ()


def test_a_call_scored_again_is_one_call(store: Store) -> None:
    keep(store, called("calls-1", 0), called("calls-1", 0), called("calls-2", 1))
    assert len(of(store, "calls-2").earlier_types or ()) == 1


# --- first-contact resolution --------------------------------------------------------------------


def test_a_matter_is_settled_when_nobody_called_again_and_not_when_somebody_did(
    store: Store,
) -> None:
    keep(
        store,
        called("calls-1", 0),
        called("calls-2", 6, call_type=CallType.APPOINTMENT),
        called("calls-3", 0, caller="third"),
    )
    assert (of(store, "calls-1").is_resolved, of(store, "calls-1").basis) == (False, "called_again")
    assert of(store, "calls-2").basis == "not_first_contact"
    assert of(store, "calls-3") == Contacts(
        earlier_types=(), since_last_s=None, is_resolved=True, basis="not_called_again"
    )


def test_nothing_is_said_before_the_window_has_passed(store: Store) -> None:
    keep(store, called("calls-1", 0))
    assert of(store, "calls-1", now=NOW + 6 * DAY).basis == "window_open"
    assert of(store, "calls-1", now=NOW + 7 * DAY).is_resolved is True


def test_nothing_is_said_where_later_calls_are_not_scored_yet(store: Store) -> None:
    store.save_record(called("calls-1", 0), (), now=NOW)
    assert of(store, "calls-1").basis == "window_open"
    store.save_record(called("calls-2", 8, caller="other"), (), now=NOW)
    assert of(store, "calls-1").is_resolved is True


def test_the_call_record_has_the_word_on_a_first_contact(store: Store) -> None:
    keep(
        store,
        called("calls-1", 0, resolved=True),
        called("calls-2", 1, resolved=True),
        called("calls-3", 0, caller=None, resolved=False),
        called("calls-4", 0, caller="third", resolved=False),
    )
    assert (of(store, "calls-1").is_resolved, of(store, "calls-1").basis) == (True, "call_record")
    assert of(store, "calls-2").is_resolved is None
    assert (of(store, "calls-3").is_resolved, of(store, "calls-3").basis) == (False, "call_record")
    assert of(store, "calls-4").is_resolved is False


def test_it_is_known_anew_after_a_call_is_deleted_or_its_caller_corrected(store: Store) -> None:
    keep(store, called("calls-1", 0), called("calls-2", 1))
    assert of(store, "calls-1").is_resolved is False
    corrected = called("calls-2", 1, caller="third").recording
    store.correct_metadata(
        "calls-2",
        agent_id=None,
        queue=None,
        direction=Direction.UNKNOWN,
        started_at=None,
        interaction_id=None,
        caller_key=corrected.caller_key,
        resolved=False,
        hold_s=40.0,
    )
    assert of(store, "calls-1").is_resolved is True
    assert store.record("calls-2").recording.hold_s == 40
    store.delete_call("calls-2")
    assert "calls-2" not in store.contacts(within=WEEK, now=LATER)


def test_calls_are_chosen_by_agent_and_time_and_judged_by_all(store: Store) -> None:
    keep(
        store,
        called("calls-1", 0),
        called("calls-2", 3, agent_id="A-2"),
        called("calls-3", 5, agent_id="A-2", caller=None),
    )
    found = store.contacts(
        within=WEEK, now=LATER, agent_id="A-2", since=NOW + DAY, until=NOW + 4 * DAY
    )
    assert list(found) == ["calls-2"]
    assert found["calls-2"].earlier_types == (CallType.BILLING,)
    first = store.contacts(within=WEEK, now=LATER, until=NOW + DAY)
    assert {name: one.basis for name, one in first.items()} == {"calls-1": "called_again"}


# --- any calls -----------------------------------------------------------------------------------


@st.composite
def any_legs(draw: st.DrawFn) -> list[Leg]:
    """Calls of one caller, some at the same time, some legs of one interaction."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.integers(0, 20),
                st.sampled_from([None, None, "i-1", "i-2"]),
                st.sampled_from([Direction.INBOUND, Direction.INBOUND, Direction.OUTBOUND]),
                st.sampled_from([None, None, True, False]),
            ),
            min_size=1,
            max_size=7,
        )
    )
    return [
        Leg(
            call_id=f"calls-{number}",
            interaction_id=interaction_id,
            caller_key="key",
            direction=direction,
            started_at=NOW + days * DAY,
            resolved=resolved,
            call_type=CallType.BILLING,
        )
        for number, (days, interaction_id, direction, resolved) in enumerate(drawn)
    ]


@given(any_legs(), st.randoms(use_true_random=False))
def test_any_calls_tell_the_same_in_any_order_and_never_both_ways(
    legs: list[Leg], shuffle: object
) -> None:
    mixed = list(legs)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    inbound = [leg for leg in legs if leg.direction is not Direction.OUTBOUND]
    for own in inbound:
        found = contacts_among(own, legs, within=WEEK, known_until=LATER)
        assert found == contacts_among(own, mixed, within=WEEK, known_until=LATER)
        assert (found.since_last_s is None) == (found.earlier_types == ())
        assert found.since_last_s is None or 0 <= found.since_last_s <= WEEK.total_seconds()
        assert (found.is_resolved is None) == (found.basis in {"not_first_contact", "window_open"})
        if found.basis == "call_record":
            assert found.is_resolved == own.resolved
    # Whoever calls at all has a first contact.
    bases = [contacts_among(own, legs, within=WEEK, known_until=LATER).basis for own in inbound]
    assert not inbound or any(basis != "not_first_contact" for basis in bases)


@given(any_legs(), st.integers(0, 30))
def test_time_that_passes_closes_windows_and_takes_nothing_back(legs: list[Leg], days: int) -> None:
    for own in legs:
        then = contacts_among(own, legs, within=WEEK, known_until=NOW + days * DAY)
        later = contacts_among(own, legs, within=WEEK, known_until=NOW + 40 * DAY)
        assert then.basis == "window_open" or then == later
