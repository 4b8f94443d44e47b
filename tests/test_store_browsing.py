"""Lists of calls: what is asked for comes, each call once, and nothing that is not one's to see.

Where ``QA_MONITOR_TEST_POSTGRESQL`` holds the URL of an empty PostgreSQL database, the promises
that do not speak of SQLite are tried there too; its tables are dropped.
"""

from __future__ import annotations

import base64
import json
import os
import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from invented_records import NOW, any_record, make_record, make_score
from sqlalchemy import Table, create_engine, insert, text

from qa_monitor.calls import (
    Alert,
    AudiblePhi,
    CallRecord,
    CallType,
    Criterion,
    Direction,
    EntityType,
    EscalationOutcome,
    Evidence,
    ScoreStatus,
    Severity,
    Verification,
)
from qa_monitor.errors import NotFoundError, UsageError
from qa_monitor.reviewing import QueuePolicy, refresh_queue
from qa_monitor.store import (
    Agent,
    AlertFilter,
    AlertState,
    CallFilter,
    CallLine,
    ReviewState,
    Scope,
    ScoreRange,
    Sort,
    Store,
    User,
    UserRole,
    open_store,
    tables,
)
from qa_monitor.store.browsing import note_reviewed
from qa_monitor.store.rows import (
    call_columns,
    card_columns,
    run_columns,
    score_columns,
    transcript_columns,
)
from qa_monitor.verification import mark

POSTGRESQL = os.environ.get("QA_MONITOR_TEST_POSTGRESQL")
DAY = timedelta(days=1)
NORTH = Scope(teams=frozenset({"north"}))
_AGENTS = {"A-1": "north", "A-2": "north", "A-3": "south", "A-4": None, None: None}


def make_url(kind: str, folder: Path, schema: str = "public") -> str:
    """The URL of an empty database, or part of one."""
    if kind == "sqlite" or not POSTGRESQL:
        return f"sqlite:///{folder / 'qa-monitor.sqlite'}"
    engine = create_engine(POSTGRESQL)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    engine.dispose()
    return f"{POSTGRESQL}?options=-csearch_path%3D{schema}"


KINDS = ["sqlite", "postgresql"] if POSTGRESQL else ["sqlite"]


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    with open_store(make_url(request.param, tmp_path)) as store:
        yield store


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    with open_store(make_url("sqlite", tmp_path)) as store:
        yield store


def make_alert(call_id: str, severity: Severity = Severity.CRITICAL) -> Alert:
    return Alert(
        alert_id=f"alert-{call_id}-{severity}",
        call_id=call_id,
        severity=severity,
        reason="emergency_not_escalated",
        evidence=(Evidence(turn_index=0, start=0, end=2),),
        raised_at=NOW,
    )


def ids(store: Store, chosen: CallFilter | None = None, scope: Scope | None = None) -> set[str]:
    """The ids of the calls of a list, which must all be on its first page, and counted."""
    page = store.browsing.page(chosen, scope, limit=1000)
    assert page.next_cursor is None
    assert page.total == len(page.rows)
    return {row.call_id for row in page.rows}


def the_line(store: Store, call_id: str = "calls-1") -> CallLine:
    (line,) = (row for row in store.browsing.page(limit=1000).rows if row.call_id == call_id)
    return line


def is_listed(store: Store, **chosen: object) -> bool:
    return "calls-1" in ids(store, CallFilter(**chosen))  # type: ignore[arg-type]


# --- each filter ---------------------------------------------------------------------------------


def test_a_line_tells_what_the_latest_run_says(store: Store) -> None:
    store.people.set_agents([Agent(agent_id="A-1", name="Agnes", team="north")])
    store.save_record(make_record(needs_review=True), (make_alert("calls-1"),), now=NOW)
    line = the_line(store)
    assert line == CallLine(
        call_id="calls-1",
        run_id=line.run_id,
        agent_id="A-1",
        agent_name="Agnes",
        team="north",
        queue=None,
        direction=Direction.INBOUND,
        started_at=NOW,
        duration_s=61.5,
        scored_at=NOW,
        call_type=CallType.EMERGENCY,
        urgency=3,
        escalated=EscalationOutcome.MISSED,
        points={
            Criterion.EMPATHY: 2.5,
            Criterion.ACTIVE_LISTENING: None,
            Criterion.ESCALATION: 1.0,
        },
        total=40.0,
        needs_review=True,
        is_abstained=False,
        is_auto_failed=False,
        reviewed_at=None,
        alert=Severity.CRITICAL,
        warnings=("demonstration_model",),
        found=None,
    )


@pytest.mark.parametrize(
    ("fits", "does_not"),
    [
        ({"agents": {"A-1"}}, {"agents": {"A-2", None}}),
        ({"teams": {"north", "south"}}, {"teams": {"south", None}}),
        ({"queues": {"nurses", None}}, {"queues": {None}}),
        ({"call_types": {CallType.EMERGENCY}}, {"call_types": {CallType.BILLING, None}}),
        ({"urgencies": {3}}, {"urgencies": {0, 1, 2, None}}),
        ({"outcomes": {EscalationOutcome.MISSED}}, {"outcomes": {None}}),
        ({"directions": {Direction.INBOUND}}, {"directions": {Direction.OUTBOUND}}),
        ({"total_at_least": 40, "total_at_most": 40}, {"total_at_least": 40.1}),
        ({"total_at_most": 40}, {"total_at_most": 39.9}),
        ({"duration_at_least_s": 61.5}, {"duration_at_least_s": 62}),
        ({"duration_at_most_s": 61.5}, {"duration_at_most_s": 61}),
        ({"since": NOW}, {"since": NOW + timedelta(seconds=1)}),
        ({"until": NOW + timedelta(seconds=1)}, {"until": NOW}),
        ({"review": {ReviewState.NEEDS_REVIEW}}, {"review": {ReviewState.REVIEWED}}),
        ({"review": {ReviewState.NOT_REVIEWED}}, {"review": {ReviewState.ABSTAINED}}),
        (
            {"review": {ReviewState.AUTO_FAILED, ReviewState.NOT_REVIEWED}},
            {"review": {ReviewState.AUTO_FAILED}},
        ),
        ({"alert": AlertFilter.ANY}, {"alert": AlertFilter.NONE}),
        ({"search": "terrible pain"}, {"search": "terrible headache"}),
    ],
)
def test_a_call_is_listed_by_each_filter_that_it_fits_and_by_no_other(
    store: Store, fits: dict[str, object], does_not: dict[str, object]
) -> None:
    record = make_record(needs_review=True)
    record = replace(record, recording=replace(record.recording, queue="nurses"))
    store.people.set_agents([Agent(agent_id="A-1", name=None, team="north")])
    store.save_record(record, (make_alert("calls-1"),), now=NOW)

    def frozen(chosen: dict[str, object]) -> dict[str, object]:
        return {k: frozenset(v) if isinstance(v, set) else v for k, v in chosen.items()}

    assert is_listed(store, **frozen(fits))
    assert not is_listed(store, **frozen(does_not))


@pytest.mark.parametrize(
    ("criterion", "points"),
    [(Criterion.EMPATHY, 2.5), (Criterion.ESCALATION, 1.0), (Criterion.URGENCY, 3.0)],
)
def test_score_ranges_include_both_ends(store: Store, criterion: Criterion, points: float) -> None:
    store.save_record(make_record(), (), now=NOW)

    def by(**ends: float) -> bool:
        return is_listed(store, scores=(ScoreRange(criterion=criterion, **ends),))

    assert by(at_least=points, at_most=points)
    assert not by(at_least=points + 0.1)
    assert not by(at_most=points - 0.1)


def test_what_has_no_points_is_in_no_range(store: Store) -> None:
    store.save_record(make_record(), (), now=NOW)
    assert not is_listed(
        store, scores=(ScoreRange(criterion=Criterion.ACTIVE_LISTENING, at_most=5),)
    )


def test_what_is_not_known_can_be_asked_for(store: Store) -> None:
    record = make_record(agent_id=None, urgency=None, escalated=None)
    card = replace(record.scorecard, call_type=None)
    store.save_record(replace(record, scorecard=card), (), now=NOW)
    nothing = frozenset({None})
    for name in ("agents", "teams", "queues", "call_types", "urgencies", "outcomes"):
        assert is_listed(store, **{name: nothing}), name


def test_calls_without_a_beginning_are_in_no_period_but_in_the_list(store: Store) -> None:
    store.save_record(make_record(started_at=None), (), now=NOW)
    assert is_listed(store)
    assert not is_listed(store, since=NOW - DAY)
    assert not is_listed(store, until=NOW + DAY)


def test_scores_left_to_a_person_and_failed_calls_can_be_asked_for(store: Store) -> None:
    record = make_record()
    unsure = replace(make_score(Criterion.EMPATHY, None), status=ScoreStatus.ABSTAINED)
    card = replace(record.scorecard, scores=(unsure,), auto_failed=("greeting",))
    store.save_record(replace(record, scorecard=card), (), now=NOW)
    assert is_listed(store, review=frozenset({ReviewState.ABSTAINED}))
    assert is_listed(store, review=frozenset({ReviewState.AUTO_FAILED}))
    assert the_line(store).is_abstained
    assert the_line(store).is_auto_failed


# --- kept true -----------------------------------------------------------------------------------


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(record=any_record())
def test_any_record_is_listed_as_its_summary_says(store: Store, record: CallRecord) -> None:
    run_id = store.save_record(record, (), now=NOW)
    line = the_line(store, record.call_id)
    (summary,) = store.summaries()
    assert line.run_id == run_id
    for name in ("agent_id", "queue", "started_at", "duration_s", "scored_at", "call_type"):
        assert getattr(line, name) == getattr(summary, name)
    for name in ("escalated", "total", "needs_review", "warnings"):
        assert getattr(line, name) == getattr(summary, name)
    assert line.points == {
        criterion: summary.points.get(criterion)
        for criterion in (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)
    }
    assert line.urgency == (summary.urgency if summary.urgency in {0, 1, 2, 3} else None)


def test_a_call_scored_again_is_listed_and_found_by_its_new_run_only(store: Store) -> None:
    store.save_record(make_record(text="my tooth hurts"), (), now=NOW)
    store.save_record(make_record(text="my knee hurts", urgency=1), (), now=NOW)
    assert the_line(store).urgency == 1
    assert is_listed(store, search="knee hurts")
    assert not is_listed(store, search="tooth")


def test_another_card_in_use_is_listed_and_one_beside_is_not(store: Store) -> None:
    record = make_record()
    run_id = store.save_record(record, (), now=NOW)
    other = replace(record.scorecard, rubric_version="rubric-2", total=90.0)
    store.save_card(other, run_id, now=NOW, in_use=False)
    assert the_line(store).total == 40
    store.save_card(other, run_id, now=NOW)
    assert the_line(store).total == 90


def test_corrected_metadata_is_listed(store: Store) -> None:
    store.save_record(make_record(), (), now=NOW)
    store.correct_metadata(
        "calls-1",
        agent_id="A-9",
        queue="nurses",
        direction=Direction.OUTBOUND,
        started_at=NOW - DAY,
        interaction_id=None,
        caller_key=None,
    )
    line = the_line(store)
    assert (line.agent_id, line.queue) == ("A-9", "nurses")
    assert (line.direction, line.started_at) == (Direction.OUTBOUND, NOW - DAY)
    assert is_listed(store, until=NOW)


def test_what_listening_again_told_is_listed(store: Store) -> None:
    record = make_record()
    store.save_record(record, (), now=NOW)
    place = AudiblePhi(
        start_s=1.0,
        end_s=2.0,
        entity_type=EntityType.PERSON,
        reason="found_anew",
        confidence=1.0,
        is_sure=True,
    )
    assert store.note_verification(mark(record, Verification(version="1", places=(place,))))
    assert the_line(store).needs_review


def test_an_agent_who_changes_teams_takes_the_calls_along(store: Store) -> None:
    store.people.set_agents([Agent(agent_id="A-1", name=None, team="north")])
    store.save_record(make_record(), (), now=NOW)
    store.people.set_agents([Agent(agent_id="A-1", name=None, team="south")])
    assert ids(store, scope=NORTH) == set()
    assert ids(store, scope=Scope(teams=frozenset({"south"}))) == {"calls-1"}


def test_the_worst_open_alert_is_shown_until_none_is_open(store: Store) -> None:
    raised = (make_alert("calls-1", Severity.MEDIUM), make_alert("calls-1", Severity.HIGH))
    store.save_record(make_record(), raised, now=NOW)
    assert the_line(store).alert is Severity.HIGH
    store.set_alert_state(raised[1].alert_id, AlertState.RESOLVED, now=NOW)
    assert the_line(store).alert is Severity.MEDIUM
    assert is_listed(store, alert=AlertFilter.OPEN)
    store.set_alert_state(raised[0].alert_id, AlertState.FALSE_ALARM, now=NOW)
    assert the_line(store).alert is None
    assert not is_listed(store, alert=AlertFilter.OPEN)
    assert is_listed(store, alert=AlertFilter.ANY)


def test_a_review_is_listed_and_outlasts_a_new_run(store: Store) -> None:
    store.save_record(make_record(), (), now=NOW)
    store._write(lambda c: note_reviewed(c, "calls-1", NOW))
    store.save_record(make_record(urgency=1), (), now=NOW)
    assert the_line(store).reviewed_at == NOW
    assert is_listed(store, review=frozenset({ReviewState.REVIEWED}))
    assert not is_listed(store, review=frozenset({ReviewState.NOT_REVIEWED}))


def test_a_deleted_call_is_neither_listed_nor_found(store: Store) -> None:
    store.save_record(make_record("calls-1"), (), now=NOW)
    store.save_record(make_record("calls-2"), (), now=NOW)
    store.delete_call("calls-1")
    assert ids(store) == {"calls-2"}
    assert ids(store, CallFilter(search="pain")) == {"calls-2"}


def test_of_a_deleted_call_no_word_is_left_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "qa-monitor.sqlite"
    with open_store(f"sqlite:///{file}") as store:
        for number in range(40):
            text = "a xylophone quagmire" if number == 20 else f"pain number{number}"
            store.save_record(make_record(f"calls-{number}", text=text), (), now=NOW)
        store.save_record(make_record("calls-20", text="only quagmire now"), (), now=NOW)
        store.delete_call("calls-20")
        assert ids(store, CallFilter(search="pain")) == {
            f"calls-{number}" for number in range(40) if number != 20
        }
    # The index drops the beginning that a word has in common with the one before.
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"number17" in kept
    assert b"lophone" not in kept
    assert b"agmire" not in kept


def test_the_index_of_many_deletions_can_be_scrubbed_once(tmp_path: Path) -> None:
    file = tmp_path / "qa-monitor.sqlite"
    with open_store(f"sqlite:///{file}") as store:
        for number in range(30):
            store.save_record(make_record(f"calls-{number}", text=f"zebra{number}"), (), now=NOW)
        for number in range(29):
            store.delete_call(f"calls-{number}", scrub=False)
        store.browsing.scrub()
        assert ids(store, CallFilter(search="zebra29")) == {"calls-29"}
    connection = sqlite3.connect(file)
    blocks = [row[0] for row in connection.execute("SELECT block FROM call_search_data")]
    connection.close()
    assert not any(b"zebra1" in block for block in blocks)


def make_database_of_before(url: str, records: list[CallRecord]) -> None:
    """A database that holds ``records`` and knows no lists yet."""
    script = Config()
    script.set_main_option("script_location", "qa_monitor.store:migrations")
    script.set_main_option("path_separator", "os")
    engine = create_engine(url)
    with engine.begin() as connection:
        script.attributes["connection"] = connection
        command.upgrade(script, "0004")

        def put(table: Table, **values: object) -> None:
            connection.execute(insert(table).values(**values))

        for number, record in enumerate(records, start=1):
            put(
                tables.calls,
                **call_columns(record.recording),
                first_scored_at=NOW,
                latest_run_id=number,
            )
            put(tables.runs, **run_columns(record), scored_at=NOW, card_id=number)
            put(tables.transcripts, **transcript_columns(record), run_id=number)
            put(tables.scorecards, **card_columns(record.scorecard), run_id=number, made_at=NOW)
            for position, score in enumerate(record.scorecard.scores):
                put(tables.scores, **score_columns(score), card_id=number, position=position)
    engine.dispose()


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_of_before_is_listed_as_a_new_one_would_be(kind: str, tmp_path: Path) -> None:
    rng = random.Random(3)
    unsure = replace(make_score(Criterion.EMPATHY, None), status=ScoreStatus.ABSTAINED)
    records = [make_any(rng, f"calls-{number}") for number in range(250)]
    failed = replace(records[0].scorecard, scores=(unsure,), auto_failed=("greeting",))
    records[0] = replace(records[0], scorecard=failed)
    for folder in ("new", "old"):
        (tmp_path / folder).mkdir()
    chosen = CallFilter(search="pain")
    with open_store(make_url("sqlite", tmp_path / "new")) as store:
        for record in records:
            store.save_record(record, (), now=NOW)
        expected = store.browsing.page(limit=1000).rows, ids(store, chosen)
    url = make_url(kind, tmp_path / "old")
    make_database_of_before(url, records)
    with open_store(url) as store:
        assert (store.browsing.page(limit=1000).rows, ids(store, chosen)) == expected


# --- pages ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=KINDS)
def many(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """Some sixty calls of all kinds, many alike in what they are sorted by."""
    rng = random.Random(1)
    with open_store(make_url(request.param, tmp_path_factory.mktemp("many"), "many")) as store:
        store.people.set_agents(
            [Agent(agent_id=a, name=None, team=t) for a, t in _AGENTS.items() if a]
        )
        for number in range(60):
            store.save_record(make_any(rng, f"calls-{number}"), (), now=NOW + number * DAY)
        yield store


def make_any(rng: random.Random, call_id: str) -> CallRecord:
    record = make_record(
        call_id,
        agent_id=rng.choice(list(_AGENTS)),
        started_at=rng.choice([None, NOW, NOW + DAY, NOW + 2 * DAY]),
        text=" ".join(rng.choices(["chest", "pain", "knee", "<PERSON_1>", "please"], k=4)),
        urgency=rng.choice([None, 0, 1, 2, 3]),
        escalated=rng.choice([None, *EscalationOutcome]),
        needs_review=rng.random() < 0.3,
        call_type=rng.choice(list(CallType)[:3]),
    )
    recording = replace(
        record.recording,
        duration_s=rng.choice([10.0, 20.0, 0.1 + 0.2]),
        queue=rng.choice([None, "nurses", "desk"]),
    )
    card = replace(record.scorecard, total=rng.choice([None, 0.0, 50.0, 100 / 3]))
    return replace(record, recording=recording, scorecard=card)


def some(values: Sequence[object]) -> st.SearchStrategy[frozenset[object]]:
    return st.frozensets(st.sampled_from(values), max_size=2)


_filters = st.builds(
    CallFilter,
    search=st.sampled_from(["", "", "pain", "chest pain", '"chest pain"', "kne*", "PERSON", "-"]),
    agents=some(list(_AGENTS)),
    teams=some(["north", "south", None]),
    queues=some([None, "nurses", "desk"]),
    call_types=some(list(CallType)[:3]),
    urgencies=some([None, 0, 1, 2, 3]),
    outcomes=some([None, *EscalationOutcome]),
    total_at_most=st.none() | st.just(50.0),
    review=some(list(ReviewState)),
    since=st.none() | st.just(NOW + DAY),
)
_scopes = st.none() | st.builds(
    Scope,
    all_calls=st.booleans(),
    teams=st.frozensets(st.sampled_from(["north", "south", "east"]), max_size=2),
    agent_id=st.sampled_from([None, "A-1", "A-4"]),
    besides=st.sampled_from([None, "A-2"]),
)


def walk(
    store: Store, chosen: CallFilter, scope: Scope | None, sort: Sort, limit: int
) -> list[list[CallLine]]:
    """All pages of a list, forward, and the same again on the way back."""
    pages, cursor = [], None
    while True:
        page = store.browsing.page(chosen, scope, sort=sort, cursor=cursor, limit=limit)
        assert len(page.rows) <= limit
        pages.append(page)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    for earlier, later in zip(reversed(pages[:-1]), reversed(pages[1:]), strict=True):
        back = store.browsing.page(
            chosen, scope, sort=sort, cursor=later.previous_cursor, limit=limit
        )
        assert back.rows == earlier.rows
    assert pages[0].previous_cursor is None
    assert {page.total for page in pages} == {sum(len(page.rows) for page in pages)}
    return [list(page.rows) for page in pages]


def ranked(sort: Sort, line: CallLine) -> object:
    """What a line is sorted by; as good as equal where this is."""
    first_scored = NOW + int(line.call_id.removeprefix("calls-")) * DAY
    when = (line.started_at or first_scored).timestamp()
    return {
        Sort.NEWEST: (-when,),
        Sort.OLDEST: (when,),
        Sort.MOST_URGENT: (-1 - line.urgency if line.urgency is not None else 0, -when),
        Sort.LOWEST_TOTAL: (line.total is None, line.total or 0, -when),
        Sort.LONGEST: (-line.duration_s, -when),
    }[sort]


@settings(max_examples=60, deadline=None)
@given(
    chosen=_filters, scope=_scopes, sort=st.sampled_from(Sort), limit=st.sampled_from([1, 3, 7, 50])
)
def test_paging_gives_each_call_that_fits_once_in_order(
    many: Store, chosen: CallFilter, scope: Scope | None, sort: Sort, limit: int
) -> None:
    rows = [row for page in walk(many, chosen, scope, sort, limit) for row in page]
    assert len({row.call_id for row in rows}) == len(rows)
    assert [ranked(sort, row) for row in rows] == sorted(ranked(sort, row) for row in rows)  # type: ignore[type-var]
    assert {row.call_id for row in rows} == {
        row.call_id
        for row in many.browsing.page(limit=1000).rows
        if fits(row, many.record(row.call_id), chosen, scope)
    }


def fits(line: CallLine, record: CallRecord, chosen: CallFilter, scope: Scope | None) -> bool:
    """Whether a call fits a filter, worked out from its record."""
    if scope is not None and not scope.covers(line.agent_id, _AGENTS[line.agent_id]):
        return False
    card = record.scorecard
    urgency = card.score(Criterion.URGENCY).points
    for wanted, value in (
        (chosen.agents, record.recording.agent_id),
        (chosen.teams, _AGENTS[record.recording.agent_id]),
        (chosen.queues, record.recording.queue),
        (chosen.call_types, card.call_type),
        (chosen.urgencies, urgency),
        (chosen.outcomes, card.escalated),
    ):
        if wanted and value not in wanted:
            return False
    states = {
        ReviewState.NEEDS_REVIEW: card.needs_review,
        ReviewState.NOT_REVIEWED: True,
        ReviewState.REVIEWED: False,
        ReviewState.ABSTAINED: False,
        ReviewState.AUTO_FAILED: False,
    }
    if chosen.review and not any(states[state] for state in chosen.review):
        return False
    if chosen.total_at_most is not None and (card.total is None or card.total > 50):
        return False
    started_at = record.recording.started_at
    if chosen.since is not None and (started_at is None or started_at < chosen.since):
        return False
    said = record.dialogue.turns[0].text
    return {
        "": True,
        "pain": "pain" in said,
        "chest pain": "chest" in said and "pain" in said,
        '"chest pain"': "chest pain" in said,
        "kne*": "knee" in said,
        "PERSON": "<PERSON_1>" in said,
        "-": False,
    }[chosen.search]


@pytest.mark.parametrize("sort", Sort)
def test_calls_that_come_and_go_between_two_pages_move_no_other(store: Store, sort: Sort) -> None:
    rng = random.Random(2)
    for number in range(20):
        store.save_record(make_any(rng, f"calls-{number}"), (), now=NOW)
    before = [row.call_id for row in store.browsing.page(sort=sort).rows]
    first = store.browsing.page(sort=sort, limit=8)
    for number in range(20, 30):
        store.save_record(make_any(rng, f"calls-{number}"), (), now=NOW)
    for call_id in (before[7], before[2]):
        store.delete_call(call_id, scrub=False)
    seen, cursor = [row.call_id for row in first.rows], first.next_cursor
    while cursor is not None:
        page = store.browsing.page(sort=sort, limit=8, cursor=cursor)
        seen += [row.call_id for row in page.rows]
        cursor = page.next_cursor
    assert len(set(seen)) == len(seen)
    assert [call_id for call_id in seen if call_id in before] == before


@given(cursor=st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: raw.hex()))
@settings(deadline=None)
def test_what_is_no_cursor_is_refused(many: Store, cursor: str) -> None:
    with pytest.raises(UsageError):
        many.browsing.page(cursor=cursor)


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_cursor_of_an_instant_that_cannot_be_is_refused(many: Store, when: str) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(["newest", 0, when, 1]).encode()).decode()
    with pytest.raises(UsageError, match="not of this list"):
        many.browsing.page(cursor=cursor.rstrip("="))


def test_a_cursor_of_another_order_is_refused(many: Store) -> None:
    cursor = many.browsing.page(sort=Sort.LONGEST, limit=5).next_cursor
    with pytest.raises(UsageError):
        many.browsing.page(sort=Sort.NEWEST, cursor=cursor)


@given(search=st.text(max_size=200), chosen=_filters)
@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_typed_is_a_search(many: Store, search: str, chosen: CallFilter) -> None:
    page = many.browsing.page(replace(chosen, search=search))
    assert page.total >= len(page.rows)


def test_what_was_found_is_shown_in_redacted_words(many: Store) -> None:
    for row in many.browsing.page(CallFilter(search="PERSON knee"), limit=100).rows:
        assert row.found is not None
        assert {row.found.text[a:b] for a, b in row.found.marks} <= {
            "<PERSON_1>",
            "knee",
            "knee <PERSON_1>",
        }
        assert row.found.role == "caller"


def test_beyond_ten_thousand_calls_are_not_counted(
    many: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa_monitor.store.browsing.MOST_COUNTED", 30)
    page = many.browsing.page(limit=10)
    assert (page.total, page.is_total_exact) == (30, False)
    page = many.browsing.page(CallFilter(urgencies=frozenset({3})), limit=2)
    assert page.is_total_exact


# --- what is not one's to see --------------------------------------------------------------------


@given(chosen=_filters, sort=st.sampled_from(Sort))
@settings(deadline=None, max_examples=60)
def test_another_teams_calls_are_in_no_list_and_no_count(
    many: Store, chosen: CallFilter, sort: Sort
) -> None:
    page = many.browsing.page(chosen, NORTH, sort=sort, limit=100)
    assert {row.team for row in page.rows} <= {"north"}
    assert page.total == len(page.rows)


def test_facets_tell_of_nothing_outside_the_scope(store: Store) -> None:
    store.people.set_agents(
        [
            Agent(agent_id="A-1", name="Agnes", team="north"),
            Agent(agent_id="A-3", name="Sally", team="south"),
            Agent(agent_id="A-7", name="Idle", team="west"),
        ]
    )
    for number, (agent_id, queue, call_type) in enumerate(
        [
            ("A-1", "nurses", CallType.EMERGENCY),
            ("A-3", "desk", CallType.BILLING),
            (None, "night", CallType.GENERAL),
        ]
    ):
        record = make_record(f"calls-{number}", agent_id=agent_id, call_type=call_type)
        store.save_record(
            replace(record, recording=replace(record.recording, queue=queue)), (), now=NOW
        )
    north = store.browsing.facets(NORTH)
    assert north.agents == (Agent(agent_id="A-1", name="Agnes", team="north"),)
    assert (north.teams, north.queues) == (("north",), ("nurses",))
    assert north.call_types == (CallType.EMERGENCY,)
    everything = store.browsing.facets(Scope(all_calls=True))
    assert [agent.agent_id for agent in everything.agents] == ["A-1", "A-3"]
    assert (everything.teams, everything.queues) == (
        ("north", "south"),
        ("desk", "night", "nurses"),
    )
    assert store.browsing.facets(Scope()).agents == ()


def test_a_cursor_from_a_wider_list_shows_nothing_of_it_in_a_narrower_one(many: Store) -> None:
    cursor = many.browsing.page(limit=3).next_cursor
    page = many.browsing.page(scope=NORTH, cursor=cursor, limit=100)
    assert {row.team for row in page.rows} == {"north"}


def test_a_call_to_be_read_blind_is_in_no_list_of_its_reader_until_it_is_reviewed(
    store: Store,
) -> None:
    store.save_records([(make_record(f"calls-{n}"), (), NOW) for n in (1, 2)])
    policy = QueuePolicy(
        key=b"of this test", random_share=1, double_share=0, days_back=60, per_agent_floor=0
    )
    refresh_queue(store, policy, now=NOW)
    everything = Scope(all_calls=True)
    task = store.queueing.next("rita", scope=everything, now=NOW, lease=DAY)
    assert task is not None
    assert task.is_blind

    def listed(user_id: str) -> tuple[set[str], int]:
        page = store.browsing.page(scope=everything, blind_for=user_id)
        return {row.call_id for row in page.rows}, page.total

    assert listed("rita") == ({"calls-1", "calls-2"} - {task.call_id}, 1)
    assert listed("cora") == ({"calls-1", "calls-2"}, 2)


# --- saved views ---------------------------------------------------------------------------------


@pytest.fixture
def users(store: Store) -> None:
    for user_id in ("rita", "sam"):
        user = User(user_id=user_id, name=user_id, roles=frozenset({UserRole.REVIEWER}))
        store.people.add_user(user, password_hash=None, now=NOW)


@pytest.mark.usefixtures("users")
def test_views_are_kept_by_name_for_their_user_alone(store: Store) -> None:
    later: datetime = NOW + DAY
    store.browsing.save_view("rita", "Urgent", "urgency=3", now=NOW)
    kept = store.browsing.save_view("rita", "Urgent", "urgency=2&urgency=3", now=later)
    store.browsing.save_view("rita", "Mine", "agent=A-1", now=NOW)
    store.browsing.save_view("sam", "Urgent", "", now=NOW)
    assert [(view.name, view.query) for view in store.browsing.views("rita")] == [
        ("Mine", "agent=A-1"),
        ("Urgent", "urgency=2&urgency=3"),
    ]
    assert kept.saved_at == later
    with pytest.raises(NotFoundError):
        store.browsing.drop_view(kept.view_id, user_id="sam")
    store.browsing.drop_view(kept.view_id, user_id="rita")
    assert [view.name for view in store.browsing.views("rita")] == ["Mine"]
    assert len(store.browsing.views("sam")) == 1


@pytest.mark.usefixtures("users")
def test_nobody_keeps_views_without_end(store: Store) -> None:
    for number in range(50):
        store.browsing.save_view("rita", f"view {number}", "", now=NOW)
    with pytest.raises(UsageError):
        store.browsing.save_view("rita", "one more", "", now=NOW)
    store.browsing.save_view("rita", "view 7", "sort=oldest", now=NOW)
