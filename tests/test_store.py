"""The store: what is kept comes back, whole or not at all.

Where ``QA_MONITOR_TEST_POSTGRESQL`` holds the URL of an empty PostgreSQL database, the promises
that do not speak of SQLite are tried there too; its tables are dropped.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from invented_records import NOW, any_record, make_record
from sqlalchemy import Connection, MetaData, create_engine, event, text

from qa_monitor.calls import (
    Alert,
    AudiblePhi,
    CallRecord,
    Criterion,
    Direction,
    EntityType,
    Evidence,
    FailedCall,
    Scorecard,
    ScoreStatus,
    Severity,
    Verification,
)
from qa_monitor.errors import ConfigError, NotFoundError, StoreError, UsageError
from qa_monitor.store import AlertState, CriterionComparison, RubricUse, Store, open_store
from qa_monitor.store.rows import (
    call_columns,
    card_columns,
    run_columns,
    score_columns,
    transcript_columns,
)
from qa_monitor.store.tables import HEAD_REVISION, metadata
from qa_monitor.verification import mark

POSTGRESQL = os.environ.get("QA_MONITOR_TEST_POSTGRESQL")
HOUR = timedelta(hours=1)


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    return tmp_path / "qa-monitor.sqlite"


@pytest.fixture
def sqlite_url(sqlite_file: Path) -> str:
    return f"sqlite:///{sqlite_file}"


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRESQL else ["sqlite"])
def url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite" or not POSTGRESQL:
        return sqlite_url
    engine = create_engine(POSTGRESQL)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return POSTGRESQL


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as store:
        yield store


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    with open_store(sqlite_url) as store:
        yield store


def make_alert(
    severity: Severity = Severity.CRITICAL,
    *,
    call_id: str = "calls-1",
    reason: str = "emergency_not_escalated",
    raised_at: datetime = NOW,
) -> Alert:
    return Alert(
        alert_id=f"alert-{call_id}-{reason}",
        call_id=call_id,
        severity=severity,
        reason=reason,
        evidence=(Evidence(turn_index=0, start=0, end=10),),
        raised_at=raised_at,
    )


def count_rows(file: Path) -> dict[str, int]:
    """How many rows each table holds, read past the store."""
    connection = sqlite3.connect(file)
    counts = {
        table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in metadata.tables
    }
    connection.close()
    return counts


# --- records -------------------------------------------------------------------------------------


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(record=any_record())
def test_any_record_comes_back_exactly_as_it_was(store: Store, record: CallRecord) -> None:
    store.save_record(record, (), now=NOW)
    kept = store.record(record.call_id)
    assert kept == record
    assert kept.recording.started_at is None or kept.recording.started_at.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(StoreError):
        store.save_record(make_record(started_at=datetime(2026, 3, 2)), (), now=NOW)


def test_a_second_scoring_is_a_new_run_and_the_first_stays(store: Store) -> None:
    first = make_record(urgency=1)
    second = make_record(urgency=3)
    first_id = store.save_record(first, (), now=NOW)
    second_id = store.save_record(second, (), now=NOW + HOUR)
    assert store.record("calls-1") == second
    assert store.record("calls-1", run_id=first_id) == first
    assert [(run.run_id, run.scored_at) for run in store.runs("calls-1")] == [
        (first_id, NOW),
        (second_id, NOW + HOUR),
    ]


def test_the_runs_of_one_call_are_not_those_of_another(store: Store) -> None:
    run_id = store.save_record(make_record("calls-1"), (), now=NOW)
    store.save_record(make_record("calls-2"), (), now=NOW)
    with pytest.raises(NotFoundError, match=f"no run {run_id}"):
        store.record("calls-2", run_id=run_id)


def test_a_recording_is_found_by_its_content_once_it_is_scored(store: Store) -> None:
    assert store.find_by_sha256("content") is None
    assert not store.has_record("calls-1")
    store.save_record(make_record(sha256="content"), (), now=NOW)
    assert store.find_by_sha256("content") == "calls-1"
    assert store.has_record("calls-1")


def test_an_id_cannot_change_to_another_recording(store: Store) -> None:
    store.save_record(make_record(sha256="one"), (), now=NOW)
    with pytest.raises(StoreError, match="another recording") as caught:
        store.save_record(make_record(sha256="two"), (), now=NOW)
    assert caught.value.call_id == "calls-1"
    assert store.find_by_sha256("two") is None
    assert len(store.runs("calls-1")) == 1


def test_what_was_heard_in_the_redacted_sound_is_noted_in_the_run_that_made_it(
    store: Store,
) -> None:
    record = make_record()
    store.save_record(record, (), now=NOW)
    leak = AudiblePhi(
        start_s=62.0,
        end_s=64.5,
        entity_type=EntityType.PERSON,
        reason="heard_again",
        confidence=0.8,
        is_sure=True,
    )
    marked = mark(record, Verification(version="listening-1", places=(leak,)))
    assert store.note_verification(marked)
    assert store.record(record.call_id) == marked
    assert store.summaries()[0].needs_review
    assert len(store.runs(record.call_id)) == 1
    assert store.note_verification(mark(marked, Verification(version="2", places=())))


def test_what_was_heard_in_sound_that_is_no_longer_kept_is_not_noted(store: Store) -> None:
    record = make_record()
    marked = mark(record, Verification(version="listening-1", places=()))
    assert not store.note_verification(marked)
    store.save_record(record, (), now=NOW)
    newer = make_record(text="my husband <PERSON_1> has a pain")
    store.save_record(newer, (), now=NOW)
    assert not store.note_verification(marked)
    assert store.record(record.call_id) == newer


def test_corrected_metadata_shows_at_once_and_scores_nothing_again(store: Store) -> None:
    record = make_record()
    store.save_record(record, (), now=NOW)
    began = datetime(2026, 2, 1, 8, tzinfo=timezone(timedelta(hours=-5)))
    store.correct_metadata(
        "calls-1",
        agent_id="A-9",
        queue="nurses",
        direction=Direction.OUTBOUND,
        started_at=began,
        interaction_id="i-1",
        caller_key="key",
    )
    assert store.record("calls-1") == replace(
        record,
        recording=replace(
            record.recording,
            agent_id="A-9",
            queue="nurses",
            direction=Direction.OUTBOUND,
            started_at=began,
            interaction_id="i-1",
            caller_key="key",
        ),
    )
    assert len(store.runs("calls-1")) == 1
    assert store.agents() == ("A-9",)


def test_metadata_that_a_later_run_does_not_know_stays_as_it_was(store: Store) -> None:
    store.save_record(make_record(agent_id="A-1"), (), now=NOW)
    store.correct_metadata(
        "calls-1",
        agent_id=None,
        queue="nurses",
        direction=Direction.UNKNOWN,
        started_at=None,
        interaction_id=None,
        caller_key=None,
    )
    recording = store.record("calls-1").recording
    assert (recording.agent_id, recording.queue) == ("A-1", "nurses")
    assert (recording.direction, recording.started_at) == (Direction.INBOUND, NOW)


def test_metadata_of_a_call_that_was_never_scored_cannot_be_corrected(store: Store) -> None:
    with pytest.raises(NotFoundError):
        store.correct_metadata(
            "calls-1",
            agent_id="A-1",
            queue=None,
            direction=Direction.INBOUND,
            started_at=None,
            interaction_id=None,
            caller_key=None,
        )


def test_records_come_oldest_first_and_can_be_chosen_by_agent_and_time(store: Store) -> None:
    for number, agent_id, began in [
        (1, "A-2", NOW + 2 * HOUR),
        (2, "A-1", NOW),
        (3, "A-1", None),
        (4, None, NOW + HOUR),
    ]:
        record = make_record(f"calls-{number}", agent_id=agent_id, started_at=began)
        store.save_record(record, (), now=NOW)

    def ids(**chosen: object) -> list[str]:
        found = [record.call_id for record in store.records(**chosen)]  # type: ignore[arg-type]
        assert found == [line.call_id for line in store.summaries(**chosen)]  # type: ignore[arg-type]
        return found

    assert ids() == ["calls-2", "calls-4", "calls-1", "calls-3"]
    assert ids(agent_id="A-1") == ["calls-2", "calls-3"]
    assert ids(since=NOW + HOUR, until=NOW + 2 * HOUR) == ["calls-4"]
    assert store.agents() == ("A-1", "A-2")


def test_many_records_come_in_pages_without_gap_or_repetition(store: Store) -> None:
    for number in range(120):
        record = make_record(f"calls-{number:03}", started_at=NOW + number * HOUR)
        store.save_record(record, (), now=NOW)
    assert [record.call_id for record in store.records()] == [f"calls-{n:03}" for n in range(120)]


def test_a_summary_tells_points_and_urgency_of_the_latest_run(store: Store) -> None:
    store.save_record(make_record(urgency=0), (), now=NOW)
    run_id = store.save_record(make_record(urgency=2), (), now=NOW + HOUR)
    (line,) = store.summaries()
    assert (line.run_id, line.scored_at, line.urgency) == (run_id, NOW + HOUR, 2)
    assert line.points == {
        Criterion.EMPATHY: 2.5,
        Criterion.ACTIVE_LISTENING: None,
        Criterion.URGENCY: 2,
        Criterion.ESCALATION: 1,
    }
    assert (line.total, line.warnings) == (40, ("demonstration_model",))


def test_a_missing_call_is_met_with_close_ids_or_what_to_do(store: Store) -> None:
    with pytest.raises(NotFoundError, match="Score its recording first"):
        store.record("calls-1001")
    store.save_record(make_record("calls-1001"), (), now=NOW)
    with pytest.raises(NotFoundError, match=r"Close to it: calls-1001\."):
        store.record("1001")
    with pytest.raises(NotFoundError, match=r"Close to it: calls-1001\."):
        store.record("call-1010")
    with pytest.raises(NotFoundError):
        store.runs("calls-9")


def test_an_id_that_is_a_file_name_is_not_repeated(store: Store) -> None:
    with pytest.raises(NotFoundError) as caught:
        store.record("calls/Marisol Quintero 555-0142.wav")
    assert "Quintero" not in str(caught.value)


# --- score cards ---------------------------------------------------------------------------------


def make_card(rubric_version: str, *, total: float | None = 55.0, **points: float) -> Scorecard:
    """The card of ``make_record`` under another rubric."""
    card = make_record().scorecard
    return replace(
        card,
        rubric_version=rubric_version,
        total=total,
        scores=tuple(
            replace(score, points=points.get(score.criterion, score.points))
            for score in card.scores
        ),
    )


def test_a_new_card_is_the_one_in_use_and_the_old_one_stays(store: Store) -> None:
    record = make_record()
    run_id = store.save_record(record, (), now=NOW)
    card = make_card("strict-2", empathy=1.5)
    store.save_card(card, run_id, now=NOW + HOUR)
    assert store.record("calls-1").scorecard == card
    assert [one.scorecard for one in store.records()] == [card]
    assert store.summaries()[0].total == 55
    assert store.summaries()[0].points[Criterion.EMPATHY] == 1.5
    assert store.runs("calls-1")[0].rubric_version == "strict-2"
    assert store.record("calls-1", rubric="rubric-1") == record
    assert [(one.rubric_version, one.made_at, one.is_in_use) for one in store.cards("calls-1")] == [
        ("rubric-1", NOW, False),
        ("strict-2", NOW + HOUR, True),
    ]


def test_a_card_kept_beside_changes_nothing_and_raises_no_alert(store: Store) -> None:
    record = make_record()
    run_id = store.save_record(record, (), now=NOW)
    card = make_card("strict-2")
    store.save_card(card, run_id, [make_alert()], now=NOW, in_use=False)
    assert store.record("calls-1") == record
    assert store.record("calls-1", rubric="strict-2").scorecard == card
    assert store.alerts() == ()


def test_the_same_card_is_kept_once_and_another_of_the_same_rubric_beside_it(store: Store) -> None:
    run_id = store.save_record(make_record(), (), now=NOW)
    for card in (make_card("strict-2"), make_card("strict-2"), make_record().scorecard):
        store.save_card(card, run_id, now=NOW)
    assert [card.is_in_use for card in store.cards("calls-1")] == [True, False]
    store.save_card(make_card("strict-2", total=56.0), run_id, now=NOW)
    assert [card.total for card in store.cards("calls-1")] == [40, 55, 56]
    assert store.record("calls-1", rubric="strict-2").scorecard.total == 56


def test_the_version_that_a_record_tells_of_its_rubric_is_that_of_the_card(store: Store) -> None:
    run_id = store.save_record(
        replace(make_record(), versions={"rubric": "rubric-1", "scoring": "1"}), (), now=NOW
    )
    store.save_card(make_card("strict-2"), run_id, now=NOW)
    assert store.record("calls-1").versions == {"rubric": "strict-2", "scoring": "1"}


def test_a_card_and_its_alerts_are_kept_together_and_an_alert_is_never_raised_twice(
    store: Store,
) -> None:
    run_id = store.save_record(make_record(), (), now=NOW)
    for version in ("strict-2", "strict-3"):
        store.save_card(make_card(version), run_id, [make_alert()], now=NOW, channels=("console",))
    (stored,) = store.alerts(call_id="calls-1")
    assert len(stored.deliveries) == 1
    assert len(store.pending_deliveries("console", now=NOW)) == 1
    assert len(store.alert_events(stored.alert.alert_id)) == 1


def test_of_a_card_whose_alert_cannot_be_kept_nothing_is(
    sqlite_store: Store, sqlite_file: Path
) -> None:
    run_id = sqlite_store.save_record(make_record(), (), now=NOW)
    before = count_rows(sqlite_file)
    connection = sqlite3.connect(sqlite_file)
    connection.execute(
        "CREATE TRIGGER refuse AFTER INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    connection.close()
    with pytest.raises(StoreError):
        sqlite_store.save_card(
            make_card("strict-2"), run_id, [make_alert()], now=NOW, channels=("console",)
        )
    assert count_rows(sqlite_file) == before
    assert sqlite_store.record("calls-1") == make_record()


def test_a_card_of_a_run_that_is_no_longer_the_latest_is_refused(store: Store) -> None:
    old = store.save_record(make_record(), (), now=NOW)
    new = store.save_record(make_record(), (), now=NOW)
    with pytest.raises(StoreError, match="scored again meanwhile"):
        store.save_card(make_card("strict-2"), old, now=NOW)
    with pytest.raises(StoreError, match="scored again meanwhile"):
        store.save_record(make_record(), (), now=NOW, after_run=old)
    assert store.latest_run("calls-1") == new
    store.delete_call("calls-1")
    with pytest.raises(NotFoundError):
        store.save_card(make_card("strict-2"), new, now=NOW)


def test_a_rubric_is_named_with_or_without_its_fingerprint(store: Store) -> None:
    run_id = store.save_record(make_record(), (), now=NOW)
    store.save_card(make_card("strict-2+aaaa", total=1.0), run_id, now=NOW)
    assert store.record("calls-1", rubric="strict-2").scorecard.total == 1
    store.save_card(make_card("strict-2+bbbb", total=2.0), run_id, now=NOW)
    assert store.record("calls-1", rubric="strict-2+aaaa").scorecard.total == 1
    with pytest.raises(UsageError, match=re.escape("strict-2+aaaa, strict-2+bbbb")):
        store.record("calls-1", rubric="strict-2")
    with pytest.raises(NotFoundError, match="rubric-1, strict-2"):
        store.record("calls-1", rubric="strict")
    with pytest.raises(NotFoundError, match="no call"):
        store.record("calls-2", rubric="strict-2")


def test_rubrics_tell_how_many_calls_they_score_and_how(store: Store) -> None:
    assert store.rubrics() == ()
    for number, total in enumerate((40.0, 60.0, None), start=1):
        record = make_record(f"calls-{number}")
        store.save_record(record, (), now=NOW)
        card = replace(record.scorecard, total=total, auto_failed=("x",) if number == 1 else ())
        run_id = store.save_record(replace(record, scorecard=card), (), now=NOW)
        if number < 3:
            other = make_card("strict-2", total=10.0 * number)
            other = replace(other, call_id=record.call_id)
            store.save_card(other, run_id, now=NOW, in_use=number == 2)
    assert store.rubrics() == (
        RubricUse(rubric_version="rubric-1", calls=3, in_use=2, mean_total=50, auto_failed=1),
        RubricUse(rubric_version="strict-2", calls=2, in_use=1, mean_total=15, auto_failed=0),
    )


def test_two_rubrics_are_compared_over_the_calls_that_have_both(store: Store) -> None:
    for number in (1, 2, 3):
        record = make_record(f"calls-{number}")
        run_id = store.save_record(record, (), now=NOW)
        if number == 3:
            break
        card = replace(
            make_card("strict-2", total=10.0, empathy=2.5 if number == 1 else 1.5),
            call_id=record.call_id,
            auto_failed=("x",) if number == 1 else (),
            escalated=None if number == 1 else record.scorecard.escalated,
        )
        store.save_card(card, run_id, now=NOW, in_use=False)
    found = store.compare_rubrics("rubric-1", "strict-2")
    assert (found.calls, found.total_calls) == (2, 2)
    assert (found.first_total, found.second_total) == (40, 10)
    assert (found.newly_failed, found.newly_passed, found.other_outcome) == (1, 0, 1)
    by_criterion = {one.criterion: one for one in found.criteria}
    assert by_criterion[Criterion.EMPATHY] == CriterionComparison(
        criterion=Criterion.EMPATHY, calls=2, changed=1, first_mean=2.5, second_mean=2
    )
    listening = by_criterion[Criterion.ACTIVE_LISTENING]
    assert (listening.calls, listening.first_mean) == (0, None)
    turned = store.compare_rubrics("strict-2", "rubric-1")
    assert (turned.newly_failed, turned.newly_passed) == (0, 1)
    with pytest.raises(NotFoundError, match="rubric-1, strict-2"):
        store.compare_rubrics("rubric-1", "nothing-1")


def test_calls_are_chosen_by_queue_agent_and_time(store: Store) -> None:
    runs = {}
    for number, queue in enumerate(("billing", "nurses", "billing"), start=1):
        record = make_record(f"calls-{number}", started_at=NOW + number * HOUR)
        record = replace(record, recording=replace(record.recording, queue=queue))
        runs[record.call_id] = store.save_record(record, (), now=NOW)
    assert store.latest_runs() == runs
    assert list(store.latest_runs(queue="billing")) == ["calls-1", "calls-3"]
    assert list(store.latest_runs(since=NOW + 2 * HOUR, until=NOW + 3 * HOUR)) == ["calls-2"]
    assert store.latest_runs(agent_id="nobody") == {}
    assert store.latest_run("calls-2") == runs["calls-2"]
    with pytest.raises(NotFoundError, match="Close to it"):
        store.latest_run("calls-9")


def test_what_was_heard_is_not_noted_on_a_card_that_it_was_not_read_with(store: Store) -> None:
    record = make_record()
    run_id = store.save_record(record, (), now=NOW)
    store.save_card(make_card("strict-2"), run_id, now=NOW)
    assert not store.note_verification(mark(record, Verification(version="1", places=())))


def test_many_records_are_kept_together_as_each_alone_would_be(store: Store) -> None:
    scored = [
        (make_record("calls-1"), (make_alert(call_id="calls-1"),), NOW),
        (make_record("calls-2"), (), NOW + HOUR),
    ]
    store.save_failure(make_failure("calls-2"), now=NOW)
    assert len(set(store.save_records(scored))) == 2
    assert [store.record(record.call_id) for record, _, _ in scored] == [
        record for record, _, _ in scored
    ]
    assert [stored.alert for stored in store.alerts()] == [make_alert(call_id="calls-1")]
    assert store.runs("calls-2")[0].scored_at == NOW + HOUR
    assert store.failures() == ()


def test_of_many_records_none_is_kept_when_one_cannot_be(store: Store) -> None:
    store.save_record(make_record("calls-2"), (), now=NOW)
    another = replace(make_record("calls-2").recording, sha256="of-another-recording")
    scored = [
        (make_record("calls-1"), (), NOW),
        (replace(make_record("calls-2"), recording=another), (), NOW),
    ]
    with pytest.raises(StoreError, match="belongs to another recording"):
        store.save_records(scored)
    assert not store.has_record("calls-1")


def test_calls_are_counted_by_their_source_failed_ones_too(store: Store) -> None:
    assert store.sources() == {}
    store.save_record(make_record("calls-1"), (), now=NOW)
    store.save_failure(make_failure("calls-2"), now=NOW)
    recording = replace(make_record("other-1").recording, source="other", sha256="x")
    store.save_record(replace(make_record("other-1"), recording=recording), (), now=NOW)
    assert store.sources() == {"calls": 2, "other": 1}


# --- failures ------------------------------------------------------------------------------------


def make_failure(call_id: str = "calls-1", stage: str = "transcription") -> FailedCall:
    return FailedCall(
        call_id=call_id,
        source="calls",
        sha256=None,
        stage=stage,
        error="RuntimeError",
        message=f"call {call_id}: {stage} failed",
    )


def test_a_failure_is_kept_until_the_call_is_scored(store: Store) -> None:
    store.save_failure(make_failure("calls-2"), now=NOW)
    store.save_failure(make_failure(), now=NOW + HOUR)
    store.save_failure(make_failure(stage="redaction"), now=NOW + 2 * HOUR)
    assert store.failures() == (make_failure("calls-2"), make_failure(stage="redaction"))
    with pytest.raises(NotFoundError, match=r"redaction failed \(RuntimeError\)"):
        store.record("calls-1")
    store.save_record(make_record(), (), now=NOW)
    assert store.failures() == (make_failure("calls-2"),)


def test_a_failure_under_another_id_is_forgotten_when_its_recording_is_scored(store: Store) -> None:
    store.save_failure(replace(make_failure("calls-ab12"), sha256="sha-of-calls-1"), now=NOW)
    store.save_failure(replace(make_failure("calls-cd34"), sha256="another"), now=NOW)
    store.save_record(make_record(), (), now=NOW)
    assert [failure.call_id for failure in store.failures()] == ["calls-cd34"]


# --- leases --------------------------------------------------------------------------------------


def test_a_call_is_held_by_one_worker_until_released(store: Store) -> None:
    assert store.claim("calls-1", worker="a", now=NOW)
    assert not store.claim("calls-1", worker="b", now=NOW)
    assert store.claim("calls-1", worker="a", now=NOW)
    store.release("calls-1", worker="b")
    assert not store.claim("calls-1", worker="b", now=NOW)
    store.release("calls-1", worker="a")
    assert store.claim("calls-1", worker="b", now=NOW)


def test_a_lease_ends_by_itself_unless_it_is_renewed(store: Store) -> None:
    minute = timedelta(minutes=1)
    assert store.claim("calls-1", worker="a", now=NOW, lease_s=60)
    assert store.heartbeat("calls-1", worker="a", now=NOW + 0.9 * minute)
    assert not store.claim("calls-1", worker="b", now=NOW + 1.5 * minute)
    assert store.claim("calls-1", worker="b", now=NOW + 1.9 * minute)
    assert not store.heartbeat("calls-1", worker="a", now=NOW + 1.9 * minute)


CLAIM_ALL = """
import sys
from datetime import UTC, datetime
from qa_monitor.store import open_store
now = datetime(2026, 3, 2, tzinfo=UTC)
with open_store(sys.argv[1]) as store:
    print(sum(store.claim(f"calls-{n}", worker=sys.argv[2], now=now) for n in range(40)))
"""


def test_processes_that_begin_together_share_the_work_without_overlap(url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM_ALL, url, f"worker-{number}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [errors for _, errors in answers] == ["", "", ""]
    assert sum(int(claimed) for claimed, _ in answers) == 40


# --- alerts --------------------------------------------------------------------------------------


def test_an_alert_is_kept_with_its_record_and_queued_for_the_channels_there_are(
    store: Store,
) -> None:
    alert = make_alert()
    run_id = store.save_record(make_record(), [alert], now=NOW, channels=("console", "webhook"))
    (stored,) = store.alerts()
    assert stored.alert == alert
    assert (stored.run_id, stored.state) == (run_id, AlertState.OPEN)
    assert {state.channel for state in stored.deliveries} == {"console", "webhook"}
    (delivery,) = store.pending_deliveries("webhook", now=NOW)
    assert delivery.alert == alert
    assert not delivery.is_raise
    assert store.pending_deliveries("configured-later", now=NOW) == ()


def test_scoring_again_never_repeats_an_alert(store: Store) -> None:
    store.save_record(make_record(), [make_alert()], now=NOW, channels=("console",))
    (delivery,) = store.pending_deliveries("console", now=NOW)
    store.mark_delivered(delivery.delivery_id, now=NOW)
    store.set_alert_state("alert-calls-1-emergency_not_escalated", "resolved", by="kim", now=NOW)
    for severity in (Severity.CRITICAL, Severity.LOW):
        again = make_alert(severity, raised_at=NOW + HOUR)
        store.save_record(make_record(), [again], now=NOW + HOUR, channels=("console",))
    (stored,) = store.alerts()
    assert stored.alert == make_alert()
    assert stored.state is AlertState.RESOLVED
    assert store.pending_deliveries("console", now=NOW + HOUR) == ()


def test_evidence_of_a_repeated_alert_points_into_the_latest_run(store: Store) -> None:
    store.save_record(make_record(), [make_alert()], now=NOW)
    moved = replace(make_alert(), evidence=(Evidence(turn_index=0, start=3, end=7),))
    run_id = store.save_record(make_record(), [moved], now=NOW)
    (stored,) = store.alerts()
    assert (stored.alert.evidence, stored.run_id) == (moved.evidence, run_id)


def test_a_more_urgent_alert_is_opened_again_and_delivered_as_a_raise(store: Store) -> None:
    store.save_record(make_record(), [make_alert(Severity.MEDIUM)], now=NOW, channels=("console",))
    (delivery,) = store.pending_deliveries("console", now=NOW)
    store.mark_delivered(delivery.delivery_id, now=NOW)
    store.set_alert_state(delivery.alert.alert_id, AlertState.ACKNOWLEDGED, by="kim", now=NOW)
    raised = make_alert(Severity.HIGH, raised_at=NOW + HOUR)
    store.save_record(make_record(), [raised], now=NOW + HOUR, channels=("console",))
    (stored,) = store.alerts(open_only=True)
    assert stored.alert == raised
    assert stored.first_raised_at == NOW
    (again,) = store.pending_deliveries("console", now=NOW + HOUR)
    assert again.is_raise
    assert again.alert == raised


def test_an_alert_raised_before_it_was_delivered_is_told_once_as_it_stands_now(
    store: Store,
) -> None:
    store.save_record(make_record(), [make_alert(Severity.LOW)], now=NOW, channels=("console",))
    (stale,) = store.pending_deliveries("console", now=NOW)
    store.save_record(make_record(), [make_alert(Severity.HIGH)], now=NOW, channels=("console",))
    (delivery,) = store.pending_deliveries("console", now=NOW)
    assert (delivery.alert.severity, delivery.is_raise) == (Severity.HIGH, False)
    # Another process that was just sending the lower severity must not settle the higher one.
    store.mark_delivered(stale.delivery_id, now=NOW)
    assert store.pending_deliveries("console", now=NOW) == (delivery,)


def test_people_and_scoring_leave_a_history(store: Store) -> None:
    alert = make_alert()
    store.save_record(make_record(), [alert], now=NOW)
    store.set_alert_state(alert.alert_id, AlertState.FALSE_ALARM, by="kim", now=NOW + HOUR)
    assert [
        (change.state, change.set_by, change.set_at)
        for change in store.alert_events(alert.alert_id)
    ] == [(AlertState.OPEN, "scoring", NOW), (AlertState.FALSE_ALARM, "kim", NOW + HOUR)]
    assert store.alerts(open_only=True) == ()


def test_states_and_alerts_that_do_not_exist_are_refused(store: Store) -> None:
    with pytest.raises(NotFoundError, match="qa-monitor alerts"):
        store.set_alert_state("nothing", AlertState.RESOLVED, by="kim", now=NOW)
    with pytest.raises(UsageError, match="open, acknowledged, resolved, false_alarm"):
        store.set_alert_state("nothing", "done", by="kim", now=NOW)


def test_the_most_urgent_and_unescalated_alerts_come_first(store: Store) -> None:
    from qa_monitor.calls import EscalationOutcome as Outcome

    for number, severity, escalated in [
        (1, Severity.LOW, Outcome.MISSED),
        (2, Severity.HIGH, Outcome.PROPERLY),
        (3, Severity.HIGH, Outcome.LATE_OR_PARTIAL),
        (4, Severity.HIGH, Outcome.MISSED),
        (5, Severity.CRITICAL, Outcome.PROPERLY),
        (6, Severity.HIGH, None),
    ]:
        record = make_record(f"calls-{number}", escalated=escalated)
        alert = make_alert(severity, call_id=record.call_id)
        store.save_record(record, [alert], now=NOW, channels=("console",))
    expected = [f"calls-{number}" for number in (5, 4, 6, 3, 2, 1)]
    assert [stored.alert.call_id for stored in store.alerts()] == expected
    pending = store.pending_deliveries("console", now=NOW)
    assert [delivery.alert.call_id for delivery in pending] == expected
    first = store.pending_deliveries("console", now=NOW, limit=2)
    assert first == pending[:2]


def test_failed_deliveries_wait_longer_each_time_and_are_never_given_up(store: Store) -> None:
    store.save_record(make_record(), [make_alert()], now=NOW, channels=("webhook",))
    now, waits = NOW, []
    for _ in range(10):
        (delivery,) = store.pending_deliveries("webhook", now=now)
        store.mark_failed(delivery.delivery_id, error_kind="ConnectError", now=now)
        (state,) = store.alerts()[0].deliveries
        waits.append((state.next_attempt_at - now).total_seconds())
        just_before = state.next_attempt_at - timedelta(seconds=1)
        assert store.pending_deliveries("webhook", now=just_before) == ()
        now = state.next_attempt_at
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert (state.attempts, state.last_error) == (10, "ConnectError")
    assert store.waiting_deliveries(["webhook"]) == 1
    store.mark_delivered(delivery.delivery_id, now=now)
    (state,) = store.alerts()[0].deliveries
    assert (state.delivered_at, state.last_error) == (now, None)
    assert store.waiting_deliveries(["webhook"]) == 0


# --- deletion ------------------------------------------------------------------------------------


def test_a_deleted_call_leaves_nothing_and_others_stay(store: Store) -> None:
    for call_id in ("calls-1", "calls-2"):
        store.save_record(
            make_record(call_id), [make_alert(call_id=call_id)], now=NOW, channels=("console",)
        )
        store.save_failure(make_failure(call_id), now=NOW)
        store.claim(call_id, worker="a", now=NOW)
    store.delete_call("calls-1")
    with pytest.raises(NotFoundError):
        store.record("calls-1")
    assert [record.call_id for record in store.records()] == ["calls-2"]
    assert [stored.alert.call_id for stored in store.alerts()] == ["calls-2"]
    assert [
        delivery.alert.call_id for delivery in store.pending_deliveries("console", now=NOW)
    ] == ["calls-2"]
    assert store.failures() == (make_failure("calls-2"),)
    assert store.claim("calls-1", worker="b", now=NOW)
    assert not store.claim("calls-2", worker="b", now=NOW)
    with pytest.raises(NotFoundError):
        store.delete_call("calls-9")


def test_deleted_text_is_gone_from_the_disk(sqlite_store: Store, sqlite_file: Path) -> None:
    sqlite_store.save_record(make_record(text="zebrafish " * 4000), (), now=NOW)
    files = [sqlite_file, sqlite_file.with_name(f"{sqlite_file.name}-wal")]
    assert any(b"zebrafish" in file.read_bytes() for file in files)
    sqlite_store.delete_call("calls-1")
    assert set(count_rows(sqlite_file).values()) == {0}
    assert not any(b"zebrafish" in file.read_bytes() for file in files)


# --- the file ------------------------------------------------------------------------------------


def test_the_files_are_readable_by_their_owner_only(sqlite_store: Store, sqlite_file: Path) -> None:
    sqlite_store.save_record(make_record(), (), now=NOW)
    files = sorted(sqlite_file.parent.glob(f"{sqlite_file.name}*"))
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_store_that_is_opened_again_holds_what_it_held(url: str) -> None:
    with open_store(url) as store:
        store.save_record(make_record(), (), now=NOW)
    with open_store(url) as store:
        assert store.record("calls-1") == make_record()


def differences(connection: Connection) -> list[object]:
    """What the tables of a database have that the code does not know, and the other way round."""
    # The search index is made and kept by the database itself.
    without_search = {"include_name": lambda name, *_: not str(name).startswith("call_search")}
    context = MigrationContext.configure(connection, opts=without_search)
    return list(compare_metadata(context, metadata))


def test_the_migrations_make_the_tables_that_the_code_knows(url: str) -> None:
    open_store(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        assert differences(connection) == []
    engine.dispose()
    script = Config()
    script.set_main_option("script_location", "qa_monitor.store:migrations")
    script.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(script).get_heads() == [HEAD_REVISION]


def make_old_database(url: str) -> None:
    """A database of before score cards had a table of their own: two runs and an alert."""
    script = Config()
    script.set_main_option("script_location", "qa_monitor.store:migrations")
    script.set_main_option("path_separator", "os")
    record = make_record()
    engine = create_engine(url)
    with engine.begin() as connection:
        script.attributes["connection"] = connection
        command.upgrade(script, "0001")
        old = MetaData()
        old.reflect(connection)

        def put(table: str, **values: object) -> None:
            known = {name: value for name, value in values.items() if name in old.tables[table].c}
            connection.execute(old.tables[table].insert().values(**known))

        put("calls", **call_columns(record.recording), first_scored_at=NOW, latest_run_id=3)
        for run_id, total in ((1, 30.0), (2, 35.0), (3, 40.0)):
            card = replace(record.scorecard, total=total)
            put("runs", **{**run_columns(record), **card_columns(card), "scored_at": NOW})
            put("transcripts", **transcript_columns(record), run_id=run_id)
            for position, score in enumerate(card.scores):
                put("scores", **score_columns(score), run_id=run_id, position=position)
        # So that cards do not have the numbers of their runs.
        for table in ("scores", "transcripts", "runs"):
            connection.execute(text(f"DELETE FROM {table} WHERE run_id = 1"))
        put(
            "alerts",
            alert_id=make_alert().alert_id,
            call_id="calls-1",
            run_id=3,
            severity="critical",
            reason="emergency_not_escalated",
            evidence="[]",
            raised_at=NOW,
            first_raised_at=NOW,
            state="open",
        )
        put(
            "deliveries",
            alert_id=make_alert().alert_id,
            channel="console",
            severity="critical",
            is_raise=False,
            queued_at=NOW,
            attempts=0,
            next_attempt_at=NOW,
        )
    engine.dispose()


def test_an_old_database_opens_and_loses_nothing(url: str) -> None:
    make_old_database(url)
    record = make_record()
    no_points = ScoreStatus.NOT_ASSESSABLE
    expected = replace(
        record.scorecard,
        scores=tuple(
            replace(score, status=no_points) if score.points is None else score
            for score in record.scorecard.scores
        ),
    )
    with open_store(url) as store:
        assert store.record("calls-1") == replace(record, scorecard=expected)
        assert store.record("calls-1", run_id=2).scorecard == replace(expected, total=35.0)
        assert [run.total for run in store.runs("calls-1")] == [35.0, 40.0]
        (card,) = store.cards("calls-1")
        assert (card.made_at, card.is_in_use) == (NOW, True)
        (alert,) = store.alerts()
        assert [delivery.channel for delivery in alert.deliveries] == ["console"]
        assert store.save_record(record, (), now=NOW) == 4
        store.delete_call("calls-1")
        assert not store.alerts()
        assert store.rubrics() == ()
    engine = create_engine(url)
    with engine.connect() as connection:
        assert differences(connection) == []
        assert not connection.scalar(text("SELECT count(*) FROM scores"))
    engine.dispose()


def test_an_old_database_that_lost_parts_of_calls_is_left_as_it_was(
    sqlite_url: str, sqlite_file: Path
) -> None:
    make_old_database(sqlite_url)
    connection = sqlite3.connect(sqlite_file)
    connection.execute("DELETE FROM runs WHERE run_id = 3")
    connection.commit()
    with pytest.raises(StoreError, match="damaged"):
        open_store(sqlite_url)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    assert connection.execute("SELECT count(*) FROM runs WHERE total = 35").fetchone() == (1,)
    connection.close()


def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    open_store(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version"):
        open_store(url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    engine.dispose()


def test_the_database_of_another_program_is_left_alone(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE invoices (id INTEGER PRIMARY KEY)"))
    engine.dispose()
    with pytest.raises(StoreError, match="another program"):
        open_store(url)


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/calls", "nosuch+driver://x/y"])
def test_a_url_of_another_database_is_a_fault_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match="SQLite or PostgreSQL"):
        open_store(url)


def test_a_url_with_an_impossible_option_is_a_fault_of_the_configuration(sqlite_url: str) -> None:
    with pytest.raises(ConfigError, match="an option that the database does not take"):
        open_store(f"{sqlite_url}?timeout=soon")


def test_a_server_out_of_reach_is_told_without_its_password() -> None:
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://kim:swordfish@127.0.0.1:9/calls?connect_timeout=2"
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        open_store(url)
    assert "swordfish" not in "".join(traceback.format_exception(caught.value))


# --- when the disk or the database fails ---------------------------------------------------------


def test_a_full_disk_is_told_plainly_and_keeps_what_was_saved(
    sqlite_store: Store, sqlite_file: Path
) -> None:
    sqlite_store.save_record(make_record("calls-1"), (), now=NOW)
    before = count_rows(sqlite_file)
    with sqlite_store._database._reading.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    large = make_record("calls-2", text="pain " * 20_000)
    with pytest.raises(StoreError, match=r"call calls-2: .* is full\. Free disk space") as caught:
        sqlite_store.save_record(large, [make_alert(call_id="calls-2")], now=NOW, channels=("x",))
    assert caught.value.call_id == "calls-2"
    assert caught.value.__context__ is None
    assert count_rows(sqlite_file) == before
    assert sqlite_store.record("calls-1") == make_record("calls-1")
    with sqlite_store._database._reading.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    sqlite_store.save_record(large, (), now=NOW)
    assert sqlite_store.record("calls-2") == large


def test_a_database_that_another_program_locks_is_told_plainly(sqlite_url: str) -> None:
    with open_store(sqlite_url) as holder, open_store(f"{sqlite_url}?timeout=0.1") as store:
        store.save_record(make_record(), (), now=NOW)
        with (
            holder._database._writing.begin(),
            pytest.raises(StoreError, match="calls-2: another program keeps"),
        ):
            store.save_record(make_record("calls-2"), (), now=NOW)
        assert store.record("calls-1") == make_record()
        store.save_record(make_record("calls-2"), (), now=NOW)


def test_a_database_that_may_not_be_written_can_still_be_read(
    sqlite_url: str, sqlite_file: Path
) -> None:
    with open_store(sqlite_url) as store:
        store.save_record(make_record(), (), now=NOW)
    with open_store(f"sqlite:///file:{sqlite_file}?mode=ro&uri=true") as store:
        assert store.record("calls-1") == make_record()
        with pytest.raises(StoreError, match="may not be written"):
            store.save_record(make_record("calls-2"), (), now=NOW)


def test_a_file_that_is_no_database_is_told_plainly(sqlite_url: str, sqlite_file: Path) -> None:
    sqlite_file.write_bytes(b"minutes of the board, " * 500)
    with pytest.raises(StoreError, match="damaged or is not a database"):
        open_store(sqlite_url)


def test_a_damaged_file_is_told_plainly(sqlite_url: str, sqlite_file: Path) -> None:
    with open_store(sqlite_url) as store:
        for number in range(30):
            store.save_record(make_record(f"calls-{number}", text="pain " * 500), (), now=NOW)
    whole = sqlite_file.read_bytes()
    sqlite_file.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with pytest.raises(StoreError, match="damaged"), open_store(sqlite_url) as store:
        list(store.records())


def test_a_folder_that_does_not_exist_is_told_plainly(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Check that its folder exists"):
        open_store(f"sqlite:///{tmp_path}/nowhere/calls.sqlite")


def test_what_is_stored_never_shows_in_an_error(sqlite_store: Store, sqlite_file: Path) -> None:
    sqlite_store.save_record(make_record(text="zebrafish"), (), now=NOW)
    connection = sqlite3.connect(sqlite_file)
    connection.execute(
        "UPDATE transcripts SET dialogue = replace(dialogue, '\"turns\"', '\"zebras\"')"
    )
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="call calls-1: ") as caught:
        sqlite_store.record("calls-1")
    assert caught.value.__context__ is None
    assert "zebra" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "table", ["runs", "transcripts", "scorecards", "scores", "alerts", "alert_events", "deliveries"]
)
def test_a_failure_in_the_middle_of_saving_leaves_nothing_half_written(
    sqlite_store: Store, sqlite_file: Path, table: str
) -> None:
    sqlite_store.save_failure(make_failure(), now=NOW)
    before = count_rows(sqlite_file)
    connection = sqlite3.connect(sqlite_file)
    connection.execute(
        f"CREATE TRIGGER refuse AFTER INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'zebrafish'); END"
    )
    record, alert = make_record(), make_alert()
    with pytest.raises(StoreError, match="IntegrityError") as caught:
        sqlite_store.save_record(record, [alert], now=NOW, channels=("console",))
    assert "zebrafish" not in "".join(traceback.format_exception(caught.value))
    assert count_rows(sqlite_file) == before
    connection.execute("DROP TRIGGER refuse")
    connection.close()
    sqlite_store.save_record(record, [alert], now=NOW, channels=("console",))
    assert sqlite_store.record("calls-1") == record


DIE_WHILE_SAVING = """
import os, signal, sys
from invented_records import NOW, make_record
from sqlalchemy import event
from test_store import make_alert
from qa_monitor.store import open_store

store = open_store(sys.argv[1])

@event.listens_for(store._database._writing, "before_cursor_execute")
def die(connection, cursor, statement, *rest):
    if statement.startswith("INSERT INTO " + sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

store.save_record(make_record(), [make_alert()], now=NOW, channels=("console",))
"""


@pytest.mark.parametrize("table", ["scores", "deliveries"])
def test_a_process_killed_in_the_middle_of_saving_leaves_nothing_half_written(
    url: str, table: str
) -> None:
    with open_store(url) as store:
        died = subprocess.run(
            [sys.executable, "-c", DIE_WHILE_SAVING, url, table],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=60,
            check=False,
        )
        assert died.returncode == -9
        assert not store.has_record("calls-1")
        assert not store.summaries()
        assert not store.alerts()
        store.save_record(make_record(), [make_alert()], now=NOW, channels=("console",))
        assert store.record("calls-1") == make_record()


def test_an_interrupted_save_leaves_nothing_and_the_store_works_on(store: Store) -> None:
    def interrupt(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("INSERT INTO scores"):
            raise KeyboardInterrupt

    event.listen(store._database._writing, "before_cursor_execute", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.save_record(make_record(), (), now=NOW)
    event.remove(store._database._writing, "before_cursor_execute", interrupt)
    assert not store.has_record("calls-1")
    store.save_record(make_record(), (), now=NOW)
    assert store.has_record("calls-1")
