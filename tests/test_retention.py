"""retention: what is deleted is gone everywhere, what is held stays, and a crash loses nothing."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from conftest import write_wav
from invented_records import NOW, make_record
from scripted import AGENT, CALLER, ScriptedRecogniser
from typer.testing import CliRunner

from qa_monitor.alerts import Policy, raise_alerts
from qa_monitor.calls import CallRecord
from qa_monitor.cli import app
from qa_monitor.config import Config
from qa_monitor.errors import NotFoundError, QAMonitorError, StoreError, UsageError
from qa_monitor.monitor import Monitor
from qa_monitor.pipeline import Stages
from qa_monitor.retention import DailyRetention, Keeper
from qa_monitor.store import open_store

DAY = timedelta(days=1)
WORDS = "the marmalade xylophone is <PERSON_1>"
NUMBER = "617-555-0194"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database made once; making one takes longer than a test."""
    path = tmp_path_factory.mktemp("empty") / "qa-monitor.sqlite"
    open_store(f"sqlite:///{path}").close()
    return path


class House:
    """A data folder with calls, and their files as the product leaves them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = {}
        self._open: list[Monitor] = []

    @property
    def monitor(self) -> Monitor:
        """The product under the settings as they are now, opened anew."""
        for monitor in self._open:
            monitor.close()
        config = {"data": {"folder": self.folder}, "retention": self.settings}
        self._open = [Monitor(Config.model_validate(config))]
        return self._open[0]

    @property
    def keeper(self) -> Keeper:
        return self.monitor.keeper

    def add(self, call_id: str, *, text: str = WORDS, **fields: Any) -> CallRecord:
        """A call with sound, of which ``fields`` are those of its recording."""
        monitor = self.monitor
        record = make_record(call_id, text=text)
        record = replace(record, recording=replace(record.recording, **fields))
        alerts = raise_alerts(record, Policy.load(), now=NOW)
        monitor.store.save_record(record, alerts, now=NOW, channels=("webhook",))
        for folder in ("audio", "originals", "waveforms"):
            suffix = ".json" if folder == "waveforms" else ".flac"
            self.write(f"{folder}/{call_id}{suffix}", f"sound of {call_id}")
        return record

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def files(self) -> set[str]:
        """What lies in the folders beside the database."""
        return {
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and path.parent != self.folder
        }

    def close(self) -> None:
        for monitor in self._open:
            monitor.close()


@pytest.fixture
def house(tmp_path: Path, empty: Path) -> Iterator[House]:
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(empty, folder / "qa-monitor.sqlite")
    house = House(folder)
    # The installation's secret is there from the first recording on.
    house.keeper.was_deleted("nothing")
    yield house
    house.close()


def files_of(call_id: str) -> set[str]:
    return {f"audio/{call_id}.flac", f"originals/{call_id}.flac", f"waveforms/{call_id}.json"}


# --- deleting ------------------------------------------------------------------------------------


def test_a_deleted_call_is_in_no_file_of_the_data_folder(house: House) -> None:
    house.add("calls-1")
    house.add("calls-2", text="a quiet call about a bill")
    monitor = house.monitor
    monitor.write_reports()
    assert "marmalade" in (house.folder / "reports" / "A-1.html").read_text()
    (erased,) = monitor.keeper.delete(["calls-1"], by="ada", now=NOW, reason="asked for")
    assert erased.error is None
    assert erased.files == {"audio": 3, "reports": 1}
    assert erased.rows["runs"] == 1
    # The database is written out whole when its last connection closes.
    house.close()
    for path in house.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not re.search(rb"marmalade|xylophone", content, re.I), path.name
    assert house.files() == files_of("calls-2")
    assert house.monitor.store.has_record("calls-2")


def test_reports_of_the_calls_agent_go_and_those_of_others_stay(house: House) -> None:
    house.add("calls-1")
    house.add("calls-2", agent_id="A-2")
    monitor = house.monitor
    monitor.write_reports()
    monitor.keeper.delete(["calls-1"], by="ada", now=NOW)
    assert {name for name in house.files() if name.startswith("reports")} == {"reports/A-2.html"}
    monitor.write_reports()
    assert "reports/index.html" in house.files()


def test_a_call_whose_id_begins_like_anothers_keeps_its_files_and_lines(house: House) -> None:
    for call_id in ("calls-1", "calls-1.2", "calls-12", "x-calls-1"):
        house.add(call_id)
    lines: list[dict[str, Any]] = [
        {"call_id": c, "turns": []} for c in ("calls-1.2", "calls-1", "calls-12", "x-calls-1")
    ]
    export = house.write("exports/labels.jsonl", "".join(json.dumps(one) + "\n" for one in lines))
    house.keeper.delete(["calls-1"], by="ada", now=NOW)
    assert "audio/calls-1.flac" not in house.files()
    for call_id in ("calls-1.2", "calls-12", "x-calls-1"):
        assert files_of(call_id) <= house.files()
    left = [json.loads(line)["call_id"] for line in export.read_text().splitlines()]
    assert left == ["calls-1.2", "calls-12", "x-calls-1"]
    assert stat.S_IMODE(export.stat().st_mode) == 0o600


def test_an_export_that_is_not_a_call_a_line_goes_whole(house: House) -> None:
    house.add("calls-1")
    house.add("calls-2")
    house.write("exports/deep/a.csv", 'call_id,text\ncalls-1,"two\nlines"\n')
    house.write("exports/b.csv", "call_id\ncalls-2\n")
    (erased,) = house.keeper.delete(["calls-1"], by="ada", now=NOW)
    assert erased.files["exports"] == 1
    assert {name for name in house.files() if name.startswith("exports")} == {"exports/b.csv"}


def test_nothing_is_changed_by_asking_what_would_go(house: House) -> None:
    house.add("calls-1")
    house.add("calls-2")
    house.write("exports/b.jsonl", '{"call_id": "calls-2"}\n')
    monitor = house.monitor
    hold = monitor.store.keeping.add_hold(reason="case 7", by="ada", now=NOW, call_id="calls-2")
    monitor.write_reports()
    before = house.files()
    one, two, none = monitor.keeper.plan(["calls-1", "calls-2", "calls-9"])
    assert (one.files, one.holds) == ({"audio": 3, "reports": 1}, ())
    assert one.rows["alerts"] == 1
    assert two.holds == (hold.hold_id,)
    assert two.files == {"audio": 3, "reports": 1, "exports": 1}
    assert isinstance(none.error, NotFoundError)
    assert house.files() == before
    assert monitor.store.keeping.deletions() == ()
    assert monitor.store.has_record("calls-1")


def test_what_cannot_be_deleted_is_told_of_and_the_rest_goes_on(house: House) -> None:
    for number in (1, 2, 3):
        house.add(f"calls-{number}")
    monitor = house.monitor
    monitor.store.keeping.add_hold(reason="case 7", by="ada", now=NOW, call_id="calls-2")
    wanted = ["calls-1", "calls-2", "Mrs. Smith.wav", "calls-3"]
    done = monitor.keeper.delete(wanted, by="ada", now=NOW)
    kinds = [type(one.error) for one in done]
    assert kinds == [type(None), UsageError, NotFoundError, type(None)]
    assert "Smith" not in repr(done) + str(done[2].error)
    assert files_of("calls-2") == house.files()


def test_deleting_twice_is_deleting_once(house: House) -> None:
    house.add("calls-1")
    keeper = house.keeper
    keeper.delete(["calls-1"], by="ada", now=NOW)
    (again,) = keeper.delete(["calls-1"], by="ada", now=NOW + DAY)
    assert again.was_deleted
    assert again.error is None
    (deletion,) = house.monitor.store.keeping.deletions()
    assert (deletion.deleted_at, deletion.finished_at) == (NOW, NOW)


class Crash(BaseException):
    """The process is killed."""


@pytest.mark.parametrize("at", ["_sound", "_remove_reports", "_strip_exports", "unlink", "scrub"])
def test_a_crash_in_the_middle_leaves_a_call_that_nobody_sees_and_can_be_deleted_again(
    house: House, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    house.add("calls-1")
    house.write("exports/a.jsonl", '{"call_id": "calls-1"}\n')
    monitor = house.monitor
    monitor.write_reports()

    def crash(*_: Any, **__: Any) -> Any:
        raise Crash

    with monkeypatch.context() as patch:
        if at == "unlink":
            patch.setattr(Path, "unlink", crash)
        elif at == "scrub":
            patch.setattr(type(monitor.store.browsing), "scrub", crash)
        else:
            patch.setattr(Keeper, at, crash)
        with pytest.raises(Crash):
            monitor.keeper.delete(["calls-1"], by="ada", now=NOW, reason="asked for")
    monitor = house.monitor
    assert not monitor.store.has_record("calls-1")
    assert monitor.store.alerts() == ()
    (erased,) = monitor.keeper.delete(["calls-1"], by="ada", now=NOW)
    assert erased.error is None
    assert not {name for name in house.files() if "calls-1" in name}
    assert (house.folder / "exports" / "a.jsonl").read_text() == ""
    assert not (house.folder / "reports" / "A-1.html").exists()
    (deletion,) = monitor.store.keeping.deletions()
    assert deletion.reason == "asked for"
    assert deletion.finished_at is not None


def test_the_daily_run_takes_up_what_a_crash_left(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.add("calls-1")
    keeper = house.keeper
    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "_finish", lambda *_, **__: ({}, {}))
        keeper.delete(["calls-1"], by="ada", now=NOW)
    assert files_of("calls-1") <= house.files()
    assert keeper.retain(now=NOW, dry_run=True).finished == 1
    assert files_of("calls-1") <= house.files()
    assert keeper.retain(now=NOW).finished == 1
    assert house.files() == set()
    assert keeper.retain(now=NOW).finished == 0


def test_a_file_that_cannot_be_removed_is_told_of_and_removed_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.add("calls-1")
    keeper = house.keeper

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        (erased,) = keeper.delete(["calls-1"], by="ada", now=NOW)
    assert isinstance(erased.error, StoreError)
    assert "calls-1 is gone from the database" in erased.error.message
    assert str(house.folder) not in erased.error.message
    assert not house.monitor.store.has_record("calls-1")
    (erased,) = house.keeper.delete(["calls-1"], by="ada", now=NOW)
    assert erased.error is None
    assert house.files() == set()


def test_a_caller_is_found_by_telephone_number_however_it_is_written(house: House) -> None:
    key = house.keeper.caller_key(NUMBER)
    house.add("calls-1", caller_key=key)
    house.add("calls-2", caller_key="another")
    keeper = house.keeper
    for written in ("6175550194", "+1 (617) 555-0194", "1-617-555-0194"):
        assert keeper.chosen(caller_number=written) == ("calls-1",)
    assert keeper.chosen(caller_number=NUMBER, agent_id="A-1") == ("calls-1",)
    with pytest.raises(NotFoundError) as caught:
        keeper.chosen(caller_number="617-555-0100")
    assert "0100" not in str(caught.value)
    for shared in ("4711", "000-000-0000", ""):
        with pytest.raises(UsageError):
            keeper.chosen(caller_number=shared)


def test_calls_are_named_or_chosen_and_not_both(house: House) -> None:
    keeper = house.keeper
    assert keeper.chosen(["calls-2", "calls-1", "calls-2"]) == ("calls-2", "calls-1")
    for wrong in ({}, {"calls": ["calls-1"], "agent_id": "A-1"}):
        with pytest.raises(UsageError):
            keeper.chosen(**wrong)  # type: ignore[arg-type]


# --- retention -----------------------------------------------------------------------------------


def test_nothing_goes_by_default(house: House) -> None:
    house.add("calls-1", started_at=NOW - 5000 * DAY)
    done = house.keeper.retain(now=NOW)
    assert (done.calls, done.recordings, done.failures, done.log_entries) == ((), 0, 0, 0)
    assert house.files() == files_of("calls-1")


def test_calls_go_after_their_time_by_queue_and_held_ones_stay(house: House) -> None:
    house.add("old", started_at=NOW - 31 * DAY)
    house.add("new", started_at=NOW - 29 * DAY)
    house.add("held", started_at=NOW - 31 * DAY)
    house.add("billing", started_at=NOW - 8 * DAY, queue="billing")
    house.add("nurses", started_at=NOW - 900 * DAY, queue="nurses")
    house.settings = {
        "call_days": 30,
        "queues": {"billing": {"call_days": 7}, "nurses": {"call_days": 0}},
    }
    monitor = house.monitor
    monitor.store.keeping.add_hold(reason="case 7", by="ada", now=NOW, call_id="held")
    tried = monitor.keeper.retain(now=NOW, dry_run=True)
    assert len(list(monitor.store.records())) == 5
    done = monitor.keeper.retain(now=NOW)
    assert done == tried
    assert set(done.calls) == {"old", "billing"}
    assert done.held == ("held",)
    assert {record.call_id for record in monitor.store.records()} == {"new", "held", "nurses"}
    assert house.files() == files_of("new") | files_of("held") | files_of("nurses")
    assert {one.reason for one in monitor.store.keeping.deletions()} == {"retention"}


def test_sound_goes_before_the_call_and_stays_where_it_is_held(house: House) -> None:
    house.add("old", started_at=NOW - 31 * DAY)
    house.add("held", started_at=NOW - 31 * DAY, agent_id="A-2")
    house.add("billing", started_at=NOW - 31 * DAY, queue="billing")
    house.add("new", started_at=NOW - 29 * DAY)
    house.settings = {"audio_days": 30, "queues": {"billing": {"audio_days": 60}}}
    monitor = house.monitor
    monitor.store.keeping.add_hold(reason="case 7", by="ada", now=NOW, agent_id="A-2")
    tried = monitor.keeper.retain(now=NOW, dry_run=True)
    assert files_of("old") <= house.files()
    done = monitor.keeper.retain(now=NOW)
    assert done == tried
    assert (done.calls, done.recordings, done.held) == ((), 1, ("held",))
    assert house.files() == files_of("held") | files_of("billing") | files_of("new")
    assert len(list(monitor.store.records())) == 4
    assert monitor.keeper.retain(now=NOW).recordings == 0


def test_sound_of_no_call_goes_when_its_file_is_old_and_not_while_its_call_is_scored(
    house: House,
) -> None:
    old = (NOW - 31 * DAY).timestamp()
    for call_id in (".stray", "busy", "fresh"):
        path = house.write(f"audio/{call_id}.flac", "sound")
        if call_id != "fresh":
            os.utime(path, (old, old))
    house.settings = {"audio_days": 30}
    monitor = house.monitor
    monitor.store.claim("busy", worker="w", now=NOW)
    os.utime(house.folder / "audio" / "fresh.flac", (NOW.timestamp(), NOW.timestamp()))
    assert monitor.keeper.retain(now=NOW).recordings == 1
    assert house.files() == {"audio/busy.flac", "audio/fresh.flac"}


def test_the_log_failures_and_sessions_go_after_their_time(house: House) -> None:
    house.settings = {"failure_days": 10, "access_log_days": 100}
    monitor = house.monitor
    store = monitor.store
    house_records = make_record("calls-1")
    store.save_record(house_records, (), now=NOW)
    monitor.keeper.delete(["calls-1"], by="ada", now=NOW - 101 * DAY)
    store.save_record(make_record("calls-2"), (), now=NOW)
    monitor.keeper.delete(["calls-2"], by="ada", now=NOW - 99 * DAY)
    assert monitor.keeper.retain(now=NOW, dry_run=True).log_entries == 1
    done = monitor.keeper.retain(now=NOW, by="cron")
    assert done.log_entries == 1
    run, kept = store.access_log.entries()
    assert kept.object_id == "calls-2"
    assert (run.action, run.user_id) == ("retention.run", "cron")
    assert run.reason is not None
    assert "log entries 1" in run.reason


def test_while_pages_are_served_what_is_too_old_goes_by_itself(house: House) -> None:
    house.add("calls-1", started_at=NOW - 31 * DAY)
    house.settings = {"call_days": 1}
    monitor = house.monitor
    problems: list[QAMonitorError] = []
    daily = DailyRetention(monitor.keeper, report=problems.append, every=timedelta(hours=9))
    daily.start()
    daily.stop()
    assert not monitor.store.has_record("calls-1")
    assert problems == []
    (run, *_) = monitor.store.access_log.entries(action="retention.run")
    assert (run.user_id, run.via) == ("retention", "none")


def test_what_cannot_go_is_told_and_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    tries = itertools.count()

    def fail(*_: object, **__: object) -> None:
        next(tries)
        raise StoreError("the disk is full.")

    monkeypatch.setattr(Keeper, "retain", fail)

    def report(problem: QAMonitorError) -> None:
        if next(tries) >= 3:
            told.set()

    daily = DailyRetention(house.keeper, report=report, every=timedelta(milliseconds=1))
    daily.start()
    assert told.wait(20)
    daily.stop()


def test_a_run_that_finds_nothing_to_do_leaves_no_entry_in_the_log(house: House) -> None:
    house.keeper.retain(now=NOW)
    assert house.monitor.store.access_log.entries() == ()


# --- the same recording again --------------------------------------------------------------------

SCRIPT = [
    (AGENT, "thank you for calling how can i help you"),
    (CALLER, "i have a question about my bill"),
    (AGENT, "goodbye"),
]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    return write_wav(tmp_path / "in" / "c1.wav", rng.normal(0, 0.1, (2, 8000 * 12)))


@pytest.fixture
def run(
    house: House, stages: Stages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Any]:
    """Runs a command on the house with real engines, but for the recogniser, which hears SCRIPT."""
    config = tmp_path / "qa-monitor.toml"
    config.write_text(f'[data]\nfolder = "{house.folder}"\n[retention]\ncall_days = 30\n')
    loaded = replace(
        stages, recogniser=ScriptedRecogniser(SCRIPT), audio_folder=house.folder / "audio"
    )
    monkeypatch.setattr(Monitor, "stages", property(lambda _: loaded))
    monkeypatch.setattr(Monitor, "recogniser", property(lambda _: loaded.recogniser))

    def invoke(*arguments: str, stdin: str | None = None) -> Any:
        house.close()
        result = CliRunner().invoke(app, ["--config", str(config), *arguments], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return invoke


def test_a_deleted_recording_is_not_scored_again_unless_that_is_asked_for(
    run: Callable[..., Any], recording: Path, house: House
) -> None:
    scored = json.loads(run("score", str(recording), "--json").stdout)
    call_id = scored["calls"][0]["call_id"]
    assert run("delete", call_id, "--yes").exit_code == 0
    # The same sound under another name, in another folder.
    moved = recording.rename(recording.with_name("other name.wav"))
    result = run("score", str(moved), "--json")
    assert result.exit_code == 0
    assert [call["status"] for call in json.loads(result.stdout)["calls"]] == ["deleted"]
    assert "deleted before" in result.stderr
    assert not house.monitor.store.has_record(call_id)
    assert house.files() == set()
    result = run("score", str(moved), "--again", "--json")
    assert [call["status"] for call in json.loads(result.stdout)["calls"]] == ["scored"]
    result = run("score", str(moved), "--json")
    assert [call["status"] for call in json.loads(result.stdout)["calls"]] == ["present"]


# --- the commands --------------------------------------------------------------------------------


def test_delete_says_what_went_and_what_is_out_of_reach(
    run: Callable[..., Any], house: House
) -> None:
    house.add("calls-1")
    tried = run("delete", "calls-1", "--dry-run")
    assert tried.exit_code == 0
    assert "would be deleted" in tried.stdout
    assert house.monitor.store.has_record("calls-1")
    done = run("delete", "calls-1", "--yes", "--reason", "asked for")
    assert done.exit_code == 0
    assert "cannot be called back" in done.stderr
    assert not house.monitor.store.has_record("calls-1")
    (entry,) = house.monitor.store.access_log.entries()
    assert (entry.action, entry.via, entry.reason) == ("call.deleted", "command", "asked for")
    assert run("delete", "calls-1", "--yes").exit_code == 0


def test_delete_asks_and_without_a_terminal_wants_yes(
    run: Callable[..., Any], house: House
) -> None:
    house.add("calls-1")
    result = run("delete", "calls-1")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert house.monitor.store.has_record("calls-1")


def test_delete_of_an_unknown_call_or_nothing_ends_with_its_code(run: Callable[..., Any]) -> None:
    assert run("delete", "calls-9", "--yes").exit_code == 10
    assert run("delete", "--yes").exit_code == 2
    assert run("delete", "--agent", "A-9", "--yes").exit_code == 10


def test_delete_by_caller_takes_the_number_from_stdin_and_never_shows_it(
    run: Callable[..., Any], house: House
) -> None:
    house.add("calls-1", caller_key=house.keeper.caller_key(NUMBER))
    house.add("calls-2", caller_key=house.keeper.caller_key(NUMBER), agent_id="A-2")
    house.add("calls-3")
    run("hold", "add", "--agent", "A-2", "--reason", "case 7")
    result = run("delete", "--caller", "-", "--yes", "--json", stdin=f"{NUMBER}\n")
    assert result.exit_code == 11
    one, two = json.loads(result.stdout)["calls"]
    assert "error" not in one
    assert "legal hold 1" in two["error"]["message"]
    assert "0194" not in result.stdout + result.stderr
    store = house.monitor.store
    assert {record.call_id for record in store.records()} == {"calls-2", "calls-3"}
    assert "0194" not in repr(store.access_log.entries())


def test_holds_are_set_listed_and_lifted(run: Callable[..., Any], house: House) -> None:
    added = json.loads(
        run(
            "hold",
            "add",
            "--caller",
            NUMBER,
            "--since",
            "2026-01-01",
            "--reason",
            "case 7",
            "--json",
        ).stdout
    )
    assert added["hold_id"] == 1
    assert added["is_on_caller"]
    assert "0194" not in json.dumps(added)
    listed = run("hold", "list")
    assert "one caller, from 2026-01-01" in listed.stdout
    assert run("hold", "remove", "1").exit_code == 2
    assert run("hold", "remove", "1", "--reason", "closed").exit_code == 0
    assert run("hold", "remove", "1", "--reason", "closed").exit_code == 2
    assert json.loads(run("hold", "list", "--json").stdout) == []
    (hold,) = json.loads(run("hold", "list", "--all", "--json").stdout)
    assert hold["lifted_reason"] == "closed"
    assert run("hold", "add", "--reason", "case 7").exit_code == 2


def test_retention_deletes_by_the_settings_and_tells_the_numbers(
    run: Callable[..., Any], house: House
) -> None:
    house.add("calls-1", started_at=NOW - 31 * DAY)
    tried = json.loads(run("retention", "--dry-run", "--json").stdout)
    assert (tried["dry_run"], tried["calls"]) == (True, ["calls-1"])
    assert house.monitor.store.has_record("calls-1")
    result = run("retention")
    assert result.exit_code == 0
    assert "calls" in result.stdout
    assert not house.monitor.store.has_record("calls-1")
    assert json.loads(run("retention", "--json").stdout)["calls"] == []


def test_a_terminal_is_asked_before_anything_goes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qa_monitor.commands import keeping

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    house.add("calls-1")
    planned = house.keeper.plan(["calls-1"])
    for answer, goes_on in (("y\n", True), ("n\n", False)):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        if goes_on:
            keeping._confirm(planned, as_json=False)
        else:
            with pytest.raises(typer.Abort):
                keeping._confirm(planned, as_json=False)
