"""Coaching in the store: what coach and agent say is kept, and disputes are decided fairly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from invented_records import NOW, make_record

from qa_monitor.calls import Criterion
from qa_monitor.errors import ConflictError, NotFoundError, UsageError
from qa_monitor.store import (
    Access,
    Agent,
    Dispute,
    DisputeState,
    GoalKind,
    GoalState,
    JudgementKind,
    Scope,
    Store,
    open_store,
)
from qa_monitor.store.coaching import LONGEST_TEXT

DAY = timedelta(days=1)
FORTNIGHT = timedelta(days=14)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'qa.sqlite'}") as store:
        store.people.set_agents(
            [
                Agent(agent_id="A-1", name="Agnes", team="north"),
                Agent(agent_id="A-2", name="Amos", team="south"),
            ]
        )
        store.save_record(make_record("calls-1", agent_id="A-1"), (), now=NOW)
        store.save_record(make_record("calls-2", agent_id="A-2"), (), now=NOW)
        yield store


def dispute(store: Store, **changes: object) -> Dispute:
    """Agnes disputes the empathy of her call, a day after it was scored."""
    given = {
        "call_id": "calls-1",
        "criterion": Criterion.EMPATHY,
        "reason": "I did ask how she felt.",
        "agent_id": "A-1",
        "by": "agnes",
        "now": NOW + DAY,
        "within": FORTNIGHT,
    } | changes
    call_id, criterion, reason = (given.pop(name) for name in ("call_id", "criterion", "reason"))
    return store.coaching.raise_dispute(call_id, criterion, reason, **given)  # type: ignore[arg-type]


def decide(store: Store, dispute_id: int, points: float | None, **changes: object) -> Dispute:
    given = {
        "reason": "Listened again: she did.",
        "by": "rita",
        "by_agent": None,
        "now": NOW + 2 * DAY,
    } | changes
    return store.coaching.resolve_dispute(dispute_id, points=points, **given)  # type: ignore[arg-type]


# --- notes ---------------------------------------------------------------------------------------


def test_notes_come_back_newest_first_and_the_agent_sees_only_shared_ones(store: Store) -> None:
    coaching = store.coaching
    kept = coaching.add_note("A-1", " Watch the opening. ", by="cora", now=NOW, is_shared=False)
    shared = coaching.add_note(
        "A-1", "Well done.", by="cora", now=NOW, is_shared=True, call_id="calls-1", at_s=12.5
    )
    assert coaching.notes("A-1") == (shared, kept)
    assert kept.text == "Watch the opening."
    assert coaching.notes("A-1", shared_only=True) == (shared,)
    assert coaching.notes("A-1", call_id="calls-1") == (shared,)
    assert coaching.notes("A-2") == ()


def test_a_note_is_about_the_agents_own_call_only(store: Store) -> None:
    with pytest.raises(NotFoundError):
        store.coaching.add_note(
            "A-1", "This one", by="cora", now=NOW, is_shared=True, call_id="calls-2"
        )


@pytest.mark.parametrize("text", ["", "  \n ", "x" * (LONGEST_TEXT + 1), "a\x00b", "half \ud83d"])
def test_what_is_no_text_is_refused(store: Store, text: str) -> None:
    with pytest.raises(UsageError):
        store.coaching.add_note("A-1", text, by="cora", now=NOW, is_shared=False)
    with pytest.raises(UsageError):
        store.coaching.answer("calls-1", text, agent_id="A-1", by="agnes", now=NOW)
    with pytest.raises(UsageError):
        dispute(store, reason=text)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(min_size=1, max_size=60))
def test_any_text_is_refused_or_comes_back_as_typed(store: Store, text: str) -> None:
    try:
        note = store.coaching.add_note("A-1", text, by="cora", now=NOW, is_shared=False)
    except UsageError:
        return
    assert store.coaching.notes("A-1", limit=1) == (note,)
    assert note.text == text.replace("\r\n", "\n").strip()


def test_what_is_printed_by_accident_quotes_nobody(store: Store) -> None:
    note = store.coaching.add_note("A-1", "Secret words", by="cora", now=NOW, is_shared=True)
    assert "Secret" not in repr(note)
    assert "felt" not in repr(dispute(store))


# --- goals ---------------------------------------------------------------------------------------


def set_goal(store: Store, **changes: object) -> int:
    given = {
        "kind": GoalKind.CRITERION,
        "code": "empathy",
        "wording": "Answer the feeling first",
        "target": 4.0,
        "is_at_least": True,
        "baseline": 3.1,
        "baseline_n": 12,
        "due_on": date(2026, 4, 1),
        "by": "cora",
        "now": NOW,
    } | changes
    return store.coaching.set_goal("A-1", **given).goal_id  # type: ignore[arg-type]


def test_a_goal_keeps_what_it_measured_when_it_was_set(store: Store) -> None:
    (goal,) = store.coaching.goals("A-1") if set_goal(store) else ()
    assert (goal.baseline, goal.baseline_n, goal.target) == (3.1, 12, 4.0)
    assert goal.due_on == date(2026, 4, 1)
    assert goal.state is GoalState.OPEN
    assert goal.closed_by is None


def test_a_closed_goal_tells_who_closed_it_and_why(store: Store) -> None:
    goal_id = set_goal(store)
    closed = store.coaching.close_goal(
        goal_id, GoalState.DROPPED, because="New role", by="cora", now=NOW + DAY
    )
    assert (closed.state, closed.closed_by) == (GoalState.DROPPED, "cora")
    assert (closed.closed_at, closed.closed_because) == (NOW + DAY, "New role")
    assert store.coaching.goals("A-1", open_only=True) == ()
    with pytest.raises(ConflictError, match="closed already"):
        store.coaching.close_goal(goal_id, GoalState.MET, because="", by="cora", now=NOW)


def test_dropping_a_goal_needs_a_reason_and_meeting_it_none(store: Store) -> None:
    goal_id = set_goal(store)
    with pytest.raises(UsageError, match="why it is dropped"):
        store.coaching.close_goal(goal_id, GoalState.DROPPED, because=" ", by="cora", now=NOW)
    met = store.coaching.close_goal(goal_id, GoalState.MET, because="", by="cora", now=NOW)
    assert met.state is GoalState.MET


def test_one_measure_has_one_open_goal(store: Store) -> None:
    first = set_goal(store)
    with pytest.raises(ConflictError, match="open goal"):
        set_goal(store)
    store.coaching.close_goal(first, GoalState.MET, because="", by="cora", now=NOW)
    second = set_goal(store)
    assert [goal.goal_id for goal in store.coaching.goals("A-1")] == [second, first]


def test_a_goal_of_another_agent_is_not_found(store: Store) -> None:
    goal_id = set_goal(store)
    with pytest.raises(NotFoundError):
        store.coaching.goal(goal_id, agent_id="A-2")
    for object_id in (str(goal_id), "77", "x"):
        with pytest.raises(NotFoundError):
            store.coaching.acknowledge("A-2", "goal", object_id, by="amos", now=NOW)


# --- what the agent says -------------------------------------------------------------------------


def test_the_first_acknowledgement_counts(store: Store) -> None:
    for now in (NOW, NOW + DAY):
        store.coaching.acknowledge("A-1", "call", "calls-1", by="agnes", now=now)
    assert store.coaching.acknowledged("A-1", "call") == {"calls-1": NOW}
    assert store.coaching.acknowledged("A-1", "goal") == {}


def test_only_own_calls_are_acknowledged_and_answered(store: Store) -> None:
    for call_id in ("calls-2", "calls-9"):
        with pytest.raises(NotFoundError):
            store.coaching.acknowledge("A-1", "call", call_id, by="agnes", now=NOW)
        with pytest.raises(NotFoundError):
            store.coaching.answer(call_id, "Hm", agent_id="A-1", by="agnes", now=NOW)


# --- disputes ------------------------------------------------------------------------------------


def test_a_dispute_names_the_points_it_is_about(store: Store) -> None:
    raised = dispute(store)
    assert (raised.points, raised.state) == (2.5, DisputeState.OPEN)
    assert raised.run_id == store.latest_run("calls-1")
    assert store.coaching.disputes(agent_id="A-1") == (raised,)


def test_a_dispute_comes_within_the_time_and_no_later(store: Store) -> None:
    store.coaching.note_shown("A-1", ("calls-1",), now=NOW + DAY)
    until = store.coaching.dispute_until("A-1", ("calls-1",), within=FORTNIGHT)["calls-1"]
    assert until == NOW + DAY + FORTNIGHT
    with pytest.raises(UsageError, match=r"until 17 March 2026. Speak with your coach"):
        dispute(store, now=until + timedelta(seconds=1))
    assert dispute(store, now=until).state is DisputeState.OPEN


def test_the_time_begins_when_the_score_is_first_shown(store: Store) -> None:
    late = NOW + 100 * DAY
    store.coaching.note_shown("A-1", ("calls-1",), now=late)
    store.coaching.note_shown("A-1", ("calls-1",), now=late + 5 * DAY)
    assert dispute(store, now=late + FORTNIGHT).state is DisputeState.OPEN


def test_the_time_begins_anew_when_the_call_is_scored_again(store: Store) -> None:
    store.coaching.note_shown("A-1", ("calls-1",), now=NOW)
    late = NOW + 30 * DAY
    with pytest.raises(UsageError):
        dispute(store, now=late)
    store.save_record(make_record("calls-1", agent_id="A-1"), (), now=late)
    assert dispute(store, now=late + DAY).state is DisputeState.OPEN


def test_nobody_disputes_a_colleagues_call(store: Store) -> None:
    with pytest.raises(NotFoundError):
        dispute(store, call_id="calls-2")


def test_what_has_no_points_cannot_be_disputed(store: Store) -> None:
    with pytest.raises(UsageError, match="no points"):
        dispute(store, criterion=Criterion.ACTIVE_LISTENING)


def test_a_score_is_disputed_once(store: Store) -> None:
    first = dispute(store)
    with pytest.raises(ConflictError, match="being disputed"):
        dispute(store)
    decide(store, first.dispute_id, None)
    with pytest.raises(ConflictError, match="decided already"):
        dispute(store)


def test_a_withdrawn_dispute_may_be_raised_again(store: Store) -> None:
    first = dispute(store)
    withdrawn = store.coaching.withdraw_dispute(
        first.dispute_id, agent_id="A-1", by="agnes", now=NOW + DAY
    )
    assert withdrawn.state is DisputeState.WITHDRAWN
    assert dispute(store).state is DisputeState.OPEN


def test_nobody_withdraws_anothers_dispute(store: Store) -> None:
    raised = dispute(store)
    with pytest.raises(NotFoundError):
        store.coaching.withdraw_dispute(raised.dispute_id, agent_id="A-2", by="amos", now=NOW)


def test_a_changed_score_is_a_correction_by_the_one_who_decided(store: Store) -> None:
    decided = decide(store, dispute(store).dispute_id, 4.0)
    assert (decided.state, decided.points_after) == (DisputeState.CHANGED, 4.0)
    assert (decided.resolved_by, decided.resolution) == ("rita", "Listened again: she did.")
    (judgement,) = store.reviews.judgements("calls-1")
    assert judgement.kind is JudgementKind.CORRECT
    assert (judgement.subject, judgement.points, judgement.user_id) == ("empathy", 4.0, "rita")
    (call,) = store.reporting.calls("A-1")
    assert call.points[Criterion.EMPATHY] == 2.5
    assert call.corrections["empathy"].points == 4.0


def test_an_upheld_score_stays_and_corrects_nothing(store: Store) -> None:
    decided = decide(store, dispute(store).dispute_id, None)
    assert (decided.state, decided.points_after) == (DisputeState.UPHELD, 2.5)
    assert store.reviews.judgements("calls-1") == ()


@pytest.mark.parametrize("points", [0.0, 6.0, 2.5, 3.7])
def test_impossible_points_decide_nothing(store: Store, points: float) -> None:
    raised = dispute(store)
    with pytest.raises(UsageError):
        decide(store, raised.dispute_id, points)
    assert store.coaching.dispute(raised.dispute_id).state is DisputeState.OPEN
    assert store.reviews.judgements("calls-1") == ()


def test_nobody_decides_on_their_own_dispute(store: Store) -> None:
    raised = dispute(store)
    for changes in ({"by_agent": "A-1"}, {"by": "agnes"}):
        with pytest.raises(UsageError, match="their own"):
            decide(store, raised.dispute_id, None, **changes)


def test_a_dispute_is_decided_once_and_with_a_reason(store: Store) -> None:
    raised = dispute(store)
    with pytest.raises(UsageError, match="why"):
        decide(store, raised.dispute_id, None, reason=" ")
    decide(store, raised.dispute_id, None)
    with pytest.raises(ConflictError, match="closed already"):
        decide(store, raised.dispute_id, 4.0)
    with pytest.raises(NotFoundError):
        decide(store, 77, None)


def test_disputed_points_are_those_that_a_person_gave(store: Store) -> None:
    store.reviews.correct(
        "calls-1", "empathy", user_id="rita", points=1.0, reason="Cold throughout", now=NOW
    )
    assert dispute(store).points == 1.0


def test_disputes_are_listed_within_the_scope_only(store: Store) -> None:
    mine = dispute(store)
    other = dispute(store, call_id="calls-2", agent_id="A-2", by="amos")
    found = store.coaching.disputes
    assert found() == (other, mine)
    assert found(scope=Scope(teams=frozenset({"north"}))) == (mine,)
    assert found(scope=Scope(all_calls=True, besides="A-1")) == (other,)
    decide(store, mine.dispute_id, None)
    assert found(open_only=True) == (other,)
    assert found(before=other.dispute_id, limit=1)[0].dispute_id == mine.dispute_id


def test_every_state_of_a_dispute_is_kept_with_who_when_and_why(store: Store) -> None:
    raised = dispute(store)
    decide(store, raised.dispute_id, 4.0)
    history = store.coaching.dispute_history(raised.dispute_id)
    assert [(one.state, one.by, one.at) for one in history] == [
        ("open", "agnes", NOW + DAY),
        ("changed", "rita", NOW + 2 * DAY),
    ]


# --- for others ----------------------------------------------------------------------------------


def test_a_calls_history_tells_what_was_said_and_hides_private_notes(store: Store) -> None:
    coaching = store.coaching
    coaching.add_note("A-1", "Between us", by="cora", now=NOW, is_shared=False, call_id="calls-1")
    coaching.acknowledge("A-1", "call", "calls-1", by="agnes", now=NOW + DAY)
    coaching.answer("calls-1", "Bad line", agent_id="A-1", by="agnes", now=NOW + DAY)
    decide(store, dispute(store).dispute_id, 4.0)
    told = [one.what for one in store.history("calls-1")]
    assert [what for what in told if what != "scored"] == [
        "note",
        "acknowledged",
        "answered",
        "disputed",
        "correct",
        "dispute_changed",
    ]
    assert "note" not in [one.what for one in store.history("calls-1", for_agent=True)]


def test_all_that_is_about_a_call_goes_with_it(store: Store) -> None:
    coaching = store.coaching
    coaching.add_note("A-1", "Here", by="cora", now=NOW, is_shared=True, call_id="calls-1")
    general = coaching.add_note("A-1", "In general", by="cora", now=NOW, is_shared=True)
    coaching.answer("calls-1", "Bad line", agent_id="A-1", by="agnes", now=NOW)
    coaching.acknowledge("A-1", "call", "calls-1", by="agnes", now=NOW)
    raised = dispute(store)
    store.delete_call("calls-1")
    assert coaching.notes("A-1") == (general,)
    assert coaching.answers("calls-1") == ()
    assert coaching.acknowledged("A-1", "call") == {}
    assert coaching.dispute_history(raised.dispute_id) == ()


def test_the_overview_counts_what_is_open_and_who_looked_last(store: Store) -> None:
    set_goal(store)
    decide(store, dispute(store).dispute_id, None)
    dispute(store, call_id="calls-2", agent_id="A-2", by="amos")
    looked = Access(
        at=NOW, user_id="cora", via="session", action="report.view", kind="agent", object_id="A-1"
    )
    refused = replace(looked, at=NOW + DAY, outcome="refused")
    store.access_log.note([looked, refused])
    overview = store.coaching.overview()
    assert (overview["A-1"].open_goals, overview["A-1"].open_disputes) == (1, 0)
    assert overview["A-1"].last_report_at == NOW
    assert overview["A-2"].open_disputes == 1
