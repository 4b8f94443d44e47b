"""store.keeping: what a hold keeps, what a deletion leaves, and what is old enough to go."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from invented_records import NOW, make_record
from sqlalchemy import Table

from qa_monitor.alerts import Policy, raise_alerts
from qa_monitor.calls import CallRecord, FailedCall
from qa_monitor.errors import NotFoundError, UsageError
from qa_monitor.store import Deletion, Store, open_store
from qa_monitor.store.tables import metadata

DAY = timedelta(days=1)
DIGEST = "keyed-{}".format


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database made once; making one takes longer than a test."""
    path = tmp_path_factory.mktemp("empty") / "qa-monitor.sqlite"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def file(tmp_path: Path, empty: Path) -> Path:
    return Path(shutil.copy(empty, tmp_path))


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{file}") as store:
        yield store


def save(store: Store, call_id: str, **fields: Any) -> CallRecord:
    """A stored call with an alert; ``fields`` are of its recording."""
    record = make_record(call_id)
    record = replace(record, recording=replace(record.recording, **fields))
    alerts = raise_alerts(record, Policy.load(), now=NOW)
    assert alerts
    store.save_record(record, alerts, now=NOW, channels=("webhook",))
    return record


def delete(store: Store, call_id: str, **more: Any) -> Deletion:
    return store.keeping.delete_call(call_id, recording_key=DIGEST, by="ada", now=NOW, **more)


def fail(store: Store, call_id: str, *, at: datetime = NOW) -> None:
    failed = FailedCall(
        call_id=call_id,
        source="calls",
        sha256="sha-of-a-failure",
        stage="decoding",
        error="NotAudioError",
        message="not audio",
    )
    store.save_failure(failed, now=at)


# --- deleting ------------------------------------------------------------------------------------


def test_a_deletion_stands_in_place_of_the_call_and_says_nothing_of_it(store: Store) -> None:
    save(store, "calls-1", sha256="aa")
    save(store, "calls-2", sha256="bb")
    deletion = delete(store, "calls-1", reason="asked for")
    assert (deletion.call_id, deletion.agent_id) == ("calls-1", "A-1")
    assert (deletion.deleted_by, deletion.reason) == ("ada", "asked for")
    assert deletion.recording_key == "keyed-aa"
    assert deletion.finished_at is None
    assert store.keeping.deletions() == (deletion,)
    assert [record.call_id for record in store.records()] == ["calls-2"]
    assert {alert.alert.call_id for alert in store.alerts()} == {"calls-2"}


def tables_of_calls() -> list[Table]:
    return [
        table
        for table in metadata.sorted_tables
        if "call_id" in table.c and table.name not in {"holds", "deletions"}
    ]


def test_no_table_that_names_calls_is_out_of_a_deletions_reach(store: Store, file: Path) -> None:
    """Rows that go with others do so by foreign keys, down to the last table."""
    reached = {table.name for table in tables_of_calls()}
    while True:
        more = {
            table.name
            for table in metadata.sorted_tables
            for key in table.foreign_keys
            if key.column.table.name in reached and key.ondelete == "CASCADE"
        }
        if more <= reached:
            break
        reached |= more
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            if key.column.table.name in reached:
                assert table.name in reached, f"rows of {table.name} outlive their call"
    save(store, "calls-1")
    fail(store, "calls-1")
    delete(store, "calls-1")
    connection = sqlite3.connect(file)
    for name in reached:
        assert connection.execute(f'SELECT count(*) FROM "{name}"').fetchone() == (0,), name
    connection.close()


def test_deleting_is_noted_in_the_access_log_with_who_and_why(store: Store) -> None:
    save(store, "calls-1")
    delete(store, "calls-1", reason="asked for", via="session")
    (entry,) = store.access_log.entries()
    assert (entry.action, entry.kind, entry.object_id) == ("call.deleted", "call", "calls-1")
    assert (entry.user_id, entry.via, entry.reason) == ("ada", "session", "asked for")


def test_deleting_again_gives_the_same_deletion_and_no_second_entry(store: Store) -> None:
    save(store, "calls-1")
    first = delete(store, "calls-1", reason="asked for")
    assert delete(store, "calls-1", reason="once more") == first
    assert len(store.access_log.entries()) == 1


def test_a_call_that_never_was_cannot_be_deleted(store: Store) -> None:
    with pytest.raises(NotFoundError):
        delete(store, "calls-9")
    assert store.keeping.deletions() == ()


def test_a_call_that_failed_is_deleted_too_and_known_again(store: Store) -> None:
    fail(store, "calls-1")
    assert delete(store, "calls-1").recording_key == "keyed-sha-of-a-failure"
    assert store.failures() == ()
    assert store.keeping.was_deleted("keyed-sha-of-a-failure")
    assert not store.keeping.was_deleted("sha-of-a-failure")


def test_a_call_that_a_run_has_in_hand_is_not_deleted_under_it(store: Store) -> None:
    save(store, "calls-1")
    store.claim("calls-1", worker="w", now=NOW, lease_s=60)
    with pytest.raises(UsageError, match="being scored"):
        delete(store, "calls-1")
    assert store.has_record("calls-1")
    later = NOW + timedelta(seconds=61)
    store.keeping.delete_call("calls-1", recording_key=DIGEST, by="ada", now=later)
    assert not store.has_record("calls-1")


def test_a_run_that_was_killed_keeps_nobody_from_deleting(store: Store) -> None:
    save(store, "calls-1")
    with subprocess.Popen(["true"]) as process:
        process.wait()
    store.claim("calls-1", worker=f"{socket.gethostname()}:{process.pid}:x", now=NOW)
    delete(store, "calls-1")
    assert not store.has_record("calls-1")


def test_a_deletion_is_unfinished_until_it_is_said_to_be_done(store: Store) -> None:
    save(store, "calls-1")
    deletion = delete(store, "calls-1")
    assert store.keeping.unfinished_deletions() == (deletion,)
    store.keeping.finish_deletion(deletion.deletion_id, now=NOW + DAY)
    assert store.keeping.unfinished_deletions() == ()
    store.keeping.finish_deletion(deletion.deletion_id, now=NOW + 2 * DAY)
    assert store.keeping.deletions()[0].finished_at == NOW + DAY


def test_the_files_of_a_call_that_was_scored_again_are_not_those_of_its_deletion(
    store: Store,
) -> None:
    save(store, "calls-1")
    delete(store, "calls-1")
    save(store, "calls-1")
    assert store.keeping.unfinished_deletions() == ()


def test_deletions_come_newest_first_a_page_at_a_time(store: Store) -> None:
    for number in range(5):
        save(store, f"calls-{number}")
        delete(store, f"calls-{number}")
    first = store.keeping.deletions(limit=3)
    rest = store.keeping.deletions(limit=3, before=first[-1].deletion_id)
    assert [one.call_id for one in first + rest] == [
        f"calls-{number}" for number in (4, 3, 2, 1, 0)
    ]
    (one,) = store.keeping.deletions(call_id="calls-2")
    assert one.call_id == "calls-2"


def test_what_is_stored_of_a_call_is_counted_by_table(store: Store) -> None:
    save(store, "calls-1")
    counts = store.keeping.contents("calls-1")
    assert counts["calls"] == counts["runs"] == 1
    assert counts["alerts"] >= 1
    assert store.keeping.contents("calls-9") == {}


# --- holds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "named",
    [
        {"call_id": "calls-1"},
        {"agent_id": "A-1"},
        {"caller_key": "key-1"},
        {"since": NOW},
        {"until": NOW + DAY},
        {"agent_id": "A-1", "since": NOW - DAY, "until": NOW + DAY},
    ],
)
def test_a_hold_keeps_the_calls_that_fit_it_until_it_is_lifted(
    store: Store, named: dict[str, Any]
) -> None:
    save(store, "calls-1", caller_key="key-1")
    hold = store.keeping.add_hold(reason="case 7", by="ada", now=NOW, **named)
    with pytest.raises(UsageError, match=f"legal hold {hold.hold_id}, set by ada"):
        delete(store, "calls-1")
    assert store.has_record("calls-1")
    assert store.keeping.held(["calls-1", "calls-9"]) == {"calls-1": (hold.hold_id,)}
    lifted = store.keeping.lift_hold(hold.hold_id, reason="closed", by="bo", now=NOW + DAY)
    assert (lifted.lifted_by, lifted.lifted_reason) == ("bo", "closed")
    delete(store, "calls-1")
    assert not store.has_record("calls-1")


@pytest.mark.parametrize(
    "named",
    [
        {"call_id": "calls-2"},
        {"agent_id": "A-2"},
        {"caller_key": "key-2"},
        {"since": NOW + DAY},
        {"until": NOW},
        {"agent_id": "A-1", "caller_key": "key-2"},
        {"agent_id": "A-2", "since": NOW},
    ],
)
def test_a_hold_does_not_keep_calls_that_fit_only_a_part_of_it(
    store: Store, named: dict[str, Any]
) -> None:
    save(store, "calls-1", caller_key="key-1")
    store.keeping.add_hold(reason="case 7", by="ada", now=NOW, **named)
    assert store.keeping.held(["calls-1"]) == {}
    delete(store, "calls-1")


def test_a_call_of_unknown_beginning_is_within_every_period(store: Store) -> None:
    save(store, "calls-1", started_at=None)
    store.keeping.add_hold(
        reason="case 7", by="ada", now=NOW, since=NOW - 9 * DAY, until=NOW - 8 * DAY
    )
    with pytest.raises(UsageError, match="legal hold"):
        delete(store, "calls-1")


def test_a_hold_on_a_call_keeps_what_is_noted_of_its_failure(store: Store) -> None:
    fail(store, "calls-1", at=NOW - 9 * DAY)
    fail(store, "calls-2", at=NOW - 9 * DAY)
    store.keeping.add_hold(reason="case 7", by="ada", now=NOW, call_id="calls-1")
    with pytest.raises(UsageError, match="legal hold"):
        delete(store, "calls-1")
    assert store.keeping.held(["calls-1"]) == {"calls-1": (1,)}
    assert store.keeping.old_failures(before=NOW) == 1
    assert store.keeping.forget_failures(before=NOW) == 1
    assert [failure.call_id for failure in store.failures()] == ["calls-1"]


def test_setting_and_lifting_a_hold_are_in_the_access_log(store: Store) -> None:
    store.keeping.add_hold(reason="case 7", by="ada", now=NOW, agent_id="A-1")
    store.keeping.lift_hold(1, reason="closed", by="bo", now=NOW + DAY, via="session")
    lifted, added = store.access_log.entries()
    assert (added.action, added.object_id, added.reason) == ("hold.set", "1", "case 7")
    assert (lifted.action, lifted.user_id, lifted.reason) == ("hold.lift", "bo", "closed")


def test_a_hold_cannot_be_lifted_twice_nor_one_that_never_was(store: Store) -> None:
    store.keeping.add_hold(reason="case 7", by="ada", now=NOW, agent_id="A-1")
    store.keeping.lift_hold(1, reason="closed", by="bo", now=NOW)
    with pytest.raises(UsageError, match="lifted before"):
        store.keeping.lift_hold(1, reason="closed", by="cy", now=NOW)
    with pytest.raises(NotFoundError):
        store.keeping.lift_hold(9, reason="closed", by="cy", now=NOW)
    assert store.keeping.holds() == ()
    (hold,) = store.keeping.holds(lifted_too=True)
    assert hold.lifted_by == "bo"


@pytest.mark.parametrize(
    "given",
    [
        {"reason": "case 7"},
        {"reason": " ", "agent_id": "A-1"},
        {"reason": "case 7", "since": NOW, "until": NOW},
    ],
)
def test_a_hold_names_something_a_reason_and_a_period_that_is_one(
    store: Store, given: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        store.keeping.add_hold(by="ada", now=NOW, **given)
    assert store.keeping.holds(lifted_too=True) == ()
    assert store.access_log.entries() == ()


def test_a_callers_key_is_not_shown_by_accident(store: Store) -> None:
    hold = store.keeping.add_hold(reason="case 7", by="ada", now=NOW, caller_key="key-1")
    assert "key-1" not in repr(hold)


_part = st.none() | st.sampled_from(["1", "2"])
_day = st.none() | st.integers(-2, 2)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(call=_part, agent=_part, caller=_part, since=_day, until=_day, began=_day)
def test_what_a_hold_keeps_is_what_its_docstring_says(
    store: Store,
    call: str | None,
    agent: str | None,
    caller: str | None,
    since: int | None,
    until: int | None,
    began: int | None,
) -> None:
    named: dict[str, Any] = {
        "call_id": call and f"calls-{call}",
        "agent_id": agent and f"A-{agent}",
        "caller_key": caller and f"key-{caller}",
        "since": None if since is None else NOW + since * DAY,
        "until": None if until is None else NOW + until * DAY,
    }
    is_empty = since is not None and until is not None and since >= until
    if is_empty or all(value is None for value in named.values()):
        return
    fits = (
        call in {None, "1"}
        and agent in {None, "1"}
        and caller in {None, "1"}
        and (began is None or since is None or began >= since)
        and (began is None or until is None or began < until)
    )
    began_at = None if began is None else NOW + began * DAY
    save(store, "calls-1", caller_key="key-1", started_at=began_at)
    hold = store.keeping.add_hold(reason="case 7", by="ada", now=NOW, **named)
    assert bool(store.keeping.held(["calls-1"])) is fits
    store.keeping.lift_hold(hold.hold_id, reason="tried", by="ada", now=NOW)


# --- what is due ---------------------------------------------------------------------------------


def test_calls_are_due_by_their_beginning_and_queue_the_oldest_first(store: Store) -> None:
    save(store, "old", started_at=NOW - 30 * DAY)
    save(store, "older", started_at=NOW - 40 * DAY)
    save(store, "new", started_at=NOW - 5 * DAY)
    save(store, "billing-old", started_at=NOW - 30 * DAY, queue="billing")
    save(store, "billing-new", started_at=NOW - 5 * DAY, queue="billing")
    save(store, "nurses-old", started_at=NOW - 400 * DAY, queue="nurses")
    due = store.keeping.due_calls(
        before=NOW - 10 * DAY, of_queues={"billing": NOW - DAY, "nurses": None}
    )
    assert [call.call_id for call in due] == ["older", "billing-old", "old", "billing-new"]
    assert store.keeping.due_calls(before=None) == ()
    only = store.keeping.due_calls(before=None, of_queues={"billing": NOW - 10 * DAY})
    assert [call.call_id for call in only] == ["billing-old"]


def test_a_call_of_unknown_beginning_is_as_old_as_its_first_scoring(store: Store) -> None:
    save(store, "calls-1", started_at=None)
    assert store.keeping.due_calls(before=NOW) == ()
    assert len(store.keeping.due_calls(before=NOW + DAY)) == 1


def test_a_call_that_is_due_and_held_says_so(store: Store) -> None:
    for number in (1, 2):
        save(store, f"calls-{number}")
    for _ in range(2):
        store.keeping.add_hold(reason="case 7", by="ada", now=NOW, call_id="calls-1")
    due = store.keeping.due_calls(before=NOW + DAY)
    assert {call.call_id: call.is_held for call in due} == {"calls-1": True, "calls-2": False}


def test_calls_are_found_by_agent_and_caller(store: Store) -> None:
    save(store, "calls-1", caller_key="key-1")
    save(store, "calls-2", caller_key="key-2")
    save(store, "calls-3", caller_key="key-1", agent_id="A-2")
    keeping = store.keeping
    assert keeping.calls_of(caller_key="key-1") == ("calls-1", "calls-3")
    assert keeping.calls_of(agent_id="A-1") == ("calls-1", "calls-2")
    assert keeping.calls_of(agent_id="A-2", caller_key="key-1") == ("calls-3",)
    assert keeping.calls_of() == ()
