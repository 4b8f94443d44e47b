"""Sums over many calls agree with what each call tells alone."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from invented_records import NOW, make_finding, make_record

from qa_monitor.calls import (
    CallRecord,
    CallType,
    ChecklistAnswer,
    ChecklistItem,
    Criterion,
    Direction,
    EscalationOutcome,
    Evidence,
)
from qa_monitor.demo.records import make_agents, make_records
from qa_monitor.scoring.metrics import call_measures
from qa_monitor.scoring.rubric import load_rubric
from qa_monitor.store import (
    Agent,
    PromiseState,
    Scope,
    Store,
    TeamCounts,
    open_store,
)

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ALL = Scope(all_calls=True)
CALLS = 120
END = datetime(2026, 11, 1, tzinfo=UTC)
BEGIN = END - timedelta(days=40)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'qa-monitor.sqlite'}") as store:
        yield store


def weeks_of_calls(seed: int = 1) -> list[CallRecord]:
    rubric = load_rubric()
    made = make_records(
        calls=CALLS,
        agents=make_agents(4),
        days=40,
        seed=seed,
        until=END.date(),
        zone=ZoneInfo("UTC"),
        rubric_of=lambda _queue: rubric,
    )
    return [one.record for one in made]


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[CallRecord]]]:
    """Invented weeks, only read by the tests that use them."""
    path = tmp_path_factory.mktemp("weeks") / "qa-monitor.sqlite"
    records = weeks_of_calls()
    with open_store(f"sqlite:///{path}") as store:
        store.people.set_agents(make_agents(4))
        store.save_records([(record, (), END) for record in records])
        yield store, records


def counts(
    store: Store,
    *,
    scope: Scope = ALL,
    since: datetime = BEGIN,
    until: datetime = END,
    now: datetime = END,
) -> TeamCounts:
    return store.team.counts(scope, [(since, until)], within=WEEK, now=now)[0]


def call(
    call_id: str,
    at: datetime | None = NOW,
    *,
    caller: str | None = "key",
    direction: Direction = Direction.INBOUND,
    agent_id: str | None = "A-1",
    interaction: str | None = None,
    resolved: bool | None = None,
    is_promised: bool = False,
    escalated: EscalationOutcome | None = EscalationOutcome.NOT_NEEDED,
) -> CallRecord:
    place = Evidence(turn_index=0, start=0, end=2)
    label = "follow_up" if is_promised else "greeting"
    record = make_record(
        call_id,
        started_at=at,
        agent_id=agent_id,
        urgency=1,
        escalated=escalated,
        findings=(make_finding("checklist", label, place),),
    )
    recording = replace(
        record.recording,
        caller_key=caller,
        direction=direction,
        interaction_id=interaction,
        resolved=resolved,
    )
    return replace(record, recording=recording)


def keep(store: Store, *records: CallRecord) -> None:
    store.save_records([(record, (), NOW) for record in records])


def promises(store: Store, now: datetime = NOW + 60 * DAY) -> dict[PromiseState, int]:
    found = counts(store, since=NOW - DAY, until=NOW + DAY, now=now)
    return {one.state: one.calls for one in found.promises if one.calls}


# --- against what each call tells ----------------------------------------------------------------


def test_handle_times_and_their_bases_are_those_that_each_call_tells(
    weeks: tuple[Store, list[CallRecord]],
) -> None:
    store, records = weeks
    seconds: dict[CallType | None, Counter[int]] = {}
    bases: Counter[tuple[CallType | None, str]] = Counter()
    for record in records:
        for measure in call_measures(record.metrics, record.recording):
            if measure.metric.name == "handle_time_s":
                assert measure.value is not None
                kind = record.scorecard.call_type
                seconds.setdefault(kind, Counter())[round(measure.value)] += 1
                bases[kind, measure.basis] += 1
    found = counts(store).handle_times
    assert {one.call_type: one.seconds for one in found} == seconds
    assert {(one.call_type, basis): n for one in found for basis, n in one.bases.items()} == bases
    assert {basis for _, basis in bases} == {"call_record", "estimated_without_after_call"}


@pytest.mark.parametrize("seed", [2, 3])
def test_repeat_callers_and_first_contacts_are_those_that_each_call_tells(
    store: Store, seed: int
) -> None:
    keep(store, *weeks_of_calls(seed))
    since, until = BEGIN + 10 * DAY, END - 3 * DAY
    each = [
        one
        for one in store.contacts(within=WEEK, now=END, since=since, until=until).values()
        if one.earlier_types is not None
    ]
    found = counts(store, since=since, until=until).contacts
    assert found.contacts == len(each)
    assert found.repeated == sum(bool(one.earlier_types) for one in each) > 0
    assert found.settled == sum(one.is_resolved is True for one in each) > 0
    assert found.unsettled == sum(one.is_resolved is False for one in each) > 0
    assert found.open == sum(one.basis == "window_open" for one in each)
    assert found.by_record == sum(one.basis == "call_record" for one in each) > 0


def test_counts_of_types_urgency_outcomes_and_times_are_those_of_the_cards(
    weeks: tuple[Store, list[CallRecord]],
) -> None:
    store, records = weeks
    found = counts(store).calls
    assert found.calls == len(records) == CALLS
    assert found.by_type == Counter(record.scorecard.call_type for record in records)
    assert found.outcomes == Counter(
        (
            None
            if (points := record.scorecard.score(Criterion.URGENCY).points) is None
            else round(points),
            record.scorecard.escalated,
        )
        for record in records
    )
    quarters: Counter[datetime] = Counter()
    for record in records:
        assert record.recording.started_at is not None
        at = record.recording.started_at
        quarters[at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)] += 1
    assert found.by_quarter == quarters
    assert found.for_review == sum(record.scorecard.needs_review for record in records) > 0
    assert found.outbound == sum(
        record.recording.direction is Direction.OUTBOUND for record in records
    )


def test_checklist_answers_are_those_of_the_cards(
    weeks: tuple[Store, list[CallRecord]],
) -> None:
    store, records = weeks
    answers = Counter(
        (item.item, item.answer) for record in records for item in record.scorecard.checklist
    )
    found = counts(store).checklist
    assert {one.item for one in found} == {item for item, _ in answers}
    for one in found:
        assert (one.yes, one.no, one.unsure) == tuple(
            answers[one.item, answer]
            for answer in (ChecklistAnswer.YES, ChecklistAnswer.NO, ChecklistAnswer.UNSURE)
        )


def test_two_periods_hold_what_one_over_both_holds(
    weeks: tuple[Store, list[CallRecord]],
) -> None:
    store, _ = weeks
    middle = BEGIN + 20 * DAY
    halves = store.team.counts(ALL, [(BEGIN, middle), (middle, END)], within=WEEK, now=END)
    whole = counts(store)
    assert sum(half.calls.calls for half in halves) == whole.calls.calls
    assert sum(half.contacts.repeated for half in halves) == whole.contacts.repeated
    assert [
        sum(pair) for pair in zip(*([p.calls for p in h.promises] for h in halves), strict=True)
    ] == [one.calls for one in whole.promises]


def test_scores_of_agents_are_summed_up_as_their_reports_sum_them(store: Store) -> None:
    records = weeks_of_calls()
    keep(store, *records)
    store.people.set_agents(make_agents(4))
    scored = [
        record.call_id
        for record in records
        if record.scorecard.score(Criterion.EMPATHY).points is not None
    ]
    without = next(record.call_id for record in records if record.call_id not in scored)
    said: tuple[tuple[str, str, float | None], ...] = (
        (scored[0], "empathy", 1.0),
        (scored[1], "empathy", None),
        (without, "empathy", 5.0),
        (scored[2], "urgency", 3.0),
    )
    for call_id, subject, points in said:
        store.reviews.correct(
            call_id, subject, user_id="rita", points=points, reason="heard it", now=END
        )
    store.reviews.agree(scored[3], None, user_id="rita", now=END)
    wanted = store.reporting.sums(since=BEGIN, until=END, scope=ALL)
    by_key = {(one.agent_id, one.criterion): one for one in counts(store).scores}
    assert by_key.keys() == {
        (one.agent_id, one.criterion) for one in wanted if one.criterion is not Criterion.URGENCY
    }
    for one in wanted:
        if one.criterion is not Criterion.URGENCY:
            own = by_key[one.agent_id, one.criterion]
            assert (own.team, own.calls) == (one.team, one.calls)
            assert own.points == pytest.approx(one.points)
            assert own.squares == pytest.approx(one.squares)


# --- contacts ------------------------------------------------------------------------------------


def test_the_legs_of_an_interaction_are_one_contact(store: Store) -> None:
    keep(
        store,
        call("calls-1", NOW, interaction="one", resolved=False),
        call("calls-2", NOW + HOUR / 4, interaction="one", resolved=True),
        call("calls-3", NOW + 3 * DAY),
    )
    found = counts(store, since=NOW - DAY, until=NOW + 5 * DAY, now=NOW + 60 * DAY).contacts
    assert (found.contacts, found.repeated, found.settled, found.by_record) == (2, 1, 1, 1)


def test_a_contact_with_another_team_makes_a_repeat_contact_too(store: Store) -> None:
    store.people.set_agents(
        [
            Agent(agent_id="A-1", name=None, team="north"),
            Agent(agent_id="A-2", name=None, team="south"),
        ]
    )
    keep(store, call("calls-1", NOW, agent_id="A-2"), call("calls-2", NOW + DAY))
    north = Scope(teams=frozenset({"north"}))
    found = counts(store, scope=north, since=NOW - DAY, until=NOW + 2 * DAY)
    assert found.calls.calls == 1
    assert (found.contacts.contacts, found.contacts.repeated) == (1, 1)


def test_calls_of_nobody_known_placed_by_the_centre_or_without_a_time_are_no_contacts(
    store: Store,
) -> None:
    keep(
        store,
        call("calls-1", caller=None),
        call("calls-2", direction=Direction.OUTBOUND),
        call("calls-3", None),
    )
    found = counts(store, since=NOW - DAY, until=NOW + DAY)
    assert found.contacts.contacts == 0
    assert found.calls.calls == 2


# --- promises ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "state"),
    [
        ((), PromiseState.NOT_SEEN),
        ((call("calls-2", NOW + DAY, direction=Direction.OUTBOUND),), PromiseState.CALLED_BACK),
        ((call("calls-2", NOW + DAY),), PromiseState.PHONED_AGAIN),
        (
            (
                call("calls-2", NOW + DAY, direction=Direction.OUTBOUND),
                call("calls-3", NOW + 2 * DAY),
            ),
            PromiseState.CALLED_BACK,
        ),
        (
            (
                call("calls-2", NOW + DAY),
                call("calls-3", NOW + 2 * DAY, direction=Direction.OUTBOUND),
            ),
            PromiseState.PHONED_AGAIN,
        ),
        (
            (call("calls-2", NOW + 8 * DAY, direction=Direction.OUTBOUND),),
            PromiseState.NOT_SEEN,
        ),
        (
            (call("calls-2", NOW + DAY, caller="another", direction=Direction.OUTBOUND),),
            PromiseState.NOT_SEEN,
        ),
        ((call("calls-2", NOW + HOUR, interaction="one"),), PromiseState.NOT_SEEN),
    ],
)
def test_a_promise_is_told_by_what_the_same_number_did_next(
    store: Store, others: tuple[CallRecord, ...], state: PromiseState
) -> None:
    later = call("calls-9", NOW + 30 * DAY, caller="somebody")
    keep(store, call("calls-1", interaction="one", is_promised=True), *others, later)
    assert promises(store) == {state: 1}


def test_a_promise_is_open_until_the_days_are_over_and_unknown_without_a_number(
    store: Store,
) -> None:
    keep(
        store,
        call("calls-1", is_promised=True),
        call("calls-2", caller=None, is_promised=True),
    )
    assert promises(store, now=NOW + DAY) == {
        PromiseState.OPEN: 1,
        PromiseState.CALLER_UNKNOWN: 1,
    }


def test_the_newest_unkept_promises_are_named_with_what_was_seen(store: Store) -> None:
    keep(
        store,
        call("calls-1", NOW, caller="a", is_promised=True),
        call("calls-2", NOW + HOUR, caller="b", is_promised=True),
        call("calls-3", NOW + DAY, caller="a"),
        call("calls-4", NOW + 30 * DAY, caller="c"),
    )
    found = store.team.promised(ALL, NOW - DAY, NOW + 2 * DAY, within=WEEK, now=NOW + 60 * DAY)
    assert [(one.call_id, one.state, one.seen_after_s) for one in found] == [
        ("calls-2", PromiseState.NOT_SEEN, None),
        ("calls-1", PromiseState.PHONED_AGAIN, 86400.0),
    ]
    assert found[1].started_at == NOW


# --- kept true -----------------------------------------------------------------------------------


def test_corrected_metadata_moves_a_call(store: Store) -> None:
    keep(store, call("calls-1"))
    store.correct_metadata(
        "calls-1",
        agent_id="A-7",
        queue=None,
        direction=Direction.OUTBOUND,
        started_at=NOW + 3 * DAY,
        interaction_id=None,
        caller_key=None,
    )
    store.people.set_agents([Agent(agent_id="A-7", name=None, team="west")])
    west = Scope(teams=frozenset({"west"}))
    assert counts(store, since=NOW - DAY, until=NOW + DAY).contacts.contacts == 0
    moved = counts(store, scope=west, since=NOW + 2 * DAY, until=NOW + 4 * DAY)
    assert (moved.calls.calls, moved.calls.outbound) == (1, 1)


def test_another_card_in_use_brings_its_answers(store: Store) -> None:
    record = call("calls-1")
    keep(store, record)
    item = ChecklistItem(
        item="greeting",
        answer=ChecklistAnswer.NO,
        weight=1.0,
        is_auto_fail=False,
        confidence=0.9,
        evidence=(),
        reason="Did you greet? No.",
    )
    card = replace(record.scorecard, checklist=(item,))
    store.save_card(card, store.latest_run("calls-1"), now=NOW)
    found = counts(store, since=NOW - DAY, until=NOW + DAY).checklist
    assert [(one.item, one.yes, one.no) for one in found] == [("greeting", 0, 1)]


def test_people_s_corrections_count_in_checklists_and_are_counted_of_outcomes(
    store: Store,
) -> None:
    record = call("calls-1")
    item = ChecklistItem(
        item="greeting",
        answer=ChecklistAnswer.NO,
        weight=1.0,
        is_auto_fail=False,
        confidence=0.9,
        evidence=(),
        reason="Did you greet? No.",
    )
    card = replace(record.scorecard, checklist=(item,))
    keep(store, replace(record, scorecard=card))
    for subject, answer in (("checklist:greeting", "yes"), ("escalated", "missed")):
        store.reviews.correct(
            "calls-1", subject, user_id="rita", answer=answer, reason="heard it", now=NOW
        )
    found = counts(store, since=NOW - DAY, until=NOW + DAY)
    assert [(one.yes, one.no) for one in found.checklist] == [(1, 0)]
    assert found.calls.corrected_outcomes == 1


def test_a_deleted_call_is_counted_nowhere(store: Store) -> None:
    keep(store, call("calls-1", is_promised=True), call("calls-2", NOW + HOUR))
    store.delete_call("calls-1")
    found = counts(store, since=NOW - DAY, until=NOW + DAY)
    assert (found.calls.calls, found.contacts.contacts) == (1, 1)
    assert promises(store) == {}


def test_an_older_database_is_counted_like_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with open_store(f"sqlite:///{path}") as store:
        keep(store, *weeks_of_calls()[:40])
        before = counts(store)
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE call_figures")
    connection.execute("UPDATE alembic_version SET version_num = '0010'")
    connection.commit()
    connection.close()
    with open_store(f"sqlite:///{path}") as store:
        assert counts(store) == before
        assert before.calls.calls == 40


def test_days_are_half_open(store: Store) -> None:
    day = datetime.combine(date(2026, 3, 2), datetime.min.time(), UTC)
    keep(store, call("calls-1", day), call("calls-2", day + DAY))
    found = counts(store, since=day, until=day + DAY)
    assert (found.calls.calls, found.contacts.contacts) == (1, 1)
