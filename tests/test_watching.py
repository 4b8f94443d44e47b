"""watching: recordings are taken up when they are finished, once, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from conftest import SAMPLES, write_wav
from quick_stages import QuickRecogniser, quick_stages

from qa_monitor.config import Config
from qa_monitor.errors import QAMonitorError, StoreError, UsageError
from qa_monitor.monitor import Monitor
from qa_monitor.pipeline import Outcome, Stages, intake_rules
from qa_monitor.store import Arrival
from qa_monitor.watching import Finished, WatchedFolder, WatchSummary

if TYPE_CHECKING:
    from qa_monitor.store import Store

NAME = "agent-01_{}_20261101T090000.wav"


def sound(seed: int) -> np.ndarray:
    """Half a second that no other seed makes."""
    return np.random.default_rng(seed).normal(0, 0.1, (2, 4000))


def record_to(folder: Path, number: int, name: str | None = None) -> Path:
    """A finished recording of its own."""
    return write_wav(folder / (name or NAME.format(f"c{number}")), sound(number))


@dataclass
class Told:
    """An observer that remembers."""

    outcomes: list[Outcome] = field(default_factory=list)
    arrivals: list[Arrival | None] = field(default_factory=list)
    troubles: list[QAMonitorError] = field(default_factory=list)
    heard: threading.Condition = field(default_factory=threading.Condition)

    def finished(self, outcome: Outcome, arrival: Arrival | None) -> None:
        with self.heard:
            self.outcomes.append(outcome)
            self.arrivals.append(arrival)
            self.heard.notify_all()

    def trouble(self, error: QAMonitorError) -> None:
        with self.heard:
            self.troubles.append(error)
            self.heard.notify_all()

    def alive(self, summary: WatchSummary) -> None:
        """Nothing."""

    def wait_for(self, is_there: Callable[[], bool]) -> None:
        with self.heard:
            assert self.heard.wait_for(is_there, timeout=30)

    @property
    def statuses(self) -> list[tuple[str, str]]:
        return [(outcome.call_id, outcome.status) for outcome in self.outcomes]


def config_of(tmp_path: Path, **watch: float) -> Config:
    settings = {"stable_s": 0.0, "sidecar_wait_s": 0.0, "every_s": 0.05, **watch}
    return Config.model_validate(
        {
            "data": {"folder": tmp_path / "data"},
            "watch": settings,
            "alerts": {"console": False, "jsonl_file": tmp_path / "alerts.jsonl"},
        }
    )


def monitor_of(config: Config, stages: Stages | None = None) -> Monitor:
    monitor = Monitor(config)
    monitor.__dict__["stages"] = stages or quick_stages()
    return monitor


@contextmanager
def watching(monitor: Monitor, folder: Path, metadata: Path | None = None) -> Iterator[Told]:
    """``watch`` in a thread, until the block ends."""
    told, stop = Told(), threading.Event()
    failure: list[BaseException] = []

    def run() -> None:
        try:
            monitor.watch(folder, metadata=metadata, observer=told, stop=stop)
        except BaseException as error:  # noqa: BLE001 - raised below
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive()
    if failure:
        raise failure[0]


class Clock:
    """A clock that a test sets."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def folder_of(
    tmp_path: Path, store: Store, clock: Callable[[], float] = time.monotonic, **given: float
) -> WatchedFolder:
    settings = {"stable_s": 0.0, "sidecar_wait_s": 0.0, **given}
    return WatchedFolder(
        tmp_path / "in",
        rules=intake_rules(config_of(tmp_path)),
        known=store.arrivals.known_files(),
        stable_s=settings["stable_s"],
        sidecar_wait_s=settings["sidecar_wait_s"],
        clock=clock,
    )


def names(found: list[Finished]) -> list[str]:
    return [finished.path.name for finished in found]


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    (tmp_path / "in").mkdir()
    with monitor_of(config_of(tmp_path)) as monitor:
        yield monitor


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    return tmp_path / "in"


# --- what is finished ----------------------------------------------------------------------------


def test_a_recording_that_still_grows_is_left_alone_until_it_is_finished(
    monitor: Monitor, incoming: Path, tmp_path: Path
) -> None:
    clock = Clock()
    folder = folder_of(tmp_path, monitor.store, clock, stable_s=5)
    path = incoming / "a.wav"
    for size in range(1, 5):
        path.write_bytes(b"x" * size)
        assert folder.look() == []
        clock.now_s += 4
        assert folder.look() == []
    clock.now_s += 1
    assert names(folder.look()) == ["a.wav"]


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
def test_a_recording_that_is_open_for_writing_is_not_finished_however_still_it_is(
    monitor: Monitor, incoming: Path, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, monitor.store)
    path = incoming / "a.wav"
    with path.open("wb") as recorder:
        recorder.write(b"x" * 100)
        recorder.flush()
        assert folder.look() == []
        assert folder.waiting == 1
    assert names(folder.look()) == ["a.wav"]


@pytest.mark.parametrize(
    "name",
    [
        ".a.wav",
        "a.wav.part",
        "a.part.wav",
        "a.tmp",
        "a.wav.tmp",
        "~a.wav",
        "a.txt",
        "a.wav.filepart",
    ],
)
def test_what_is_no_finished_recording_by_its_name_is_ignored(
    monitor: Monitor, incoming: Path, tmp_path: Path, name: str
) -> None:
    (incoming / name).write_bytes(b"x")
    folder = folder_of(tmp_path, monitor.store)
    assert folder.look() == []
    assert folder.waiting == 0
    (incoming / name).rename(incoming / "a.wav")
    assert names(folder.look()) == ["a.wav"]


def test_folders_within_are_watched_but_not_the_product_s_own(
    monitor: Monitor, incoming: Path, tmp_path: Path
) -> None:
    for place in ("site/today", ".hidden"):
        record_to(incoming / place, 1)
    folder = WatchedFolder(
        tmp_path,
        rules=intake_rules(config_of(tmp_path)),
        known={},
        stable_s=0,
        sidecar_wait_s=0,
    )
    record_to(tmp_path / "data" / "audio", 2)
    (found,) = folder.look()
    assert found.path.parent.name == "today"


def test_a_sidecar_that_comes_a_little_later_is_waited_for_and_no_longer(
    monitor: Monitor, incoming: Path, tmp_path: Path
) -> None:
    clock = Clock()
    folder = folder_of(tmp_path, monitor.store, clock, sidecar_wait_s=10)
    record_to(incoming, 1, "a.wav")
    record_to(incoming, 2, "b.wav")
    assert folder.look() == []
    clock.now_s += 9
    (incoming / "a.json").write_text("{}")
    assert names(folder.look()) == ["a.wav"]
    clock.now_s += 1
    assert sorted(names(folder.look())) == ["a.wav", "b.wav"]


# --- taking up -----------------------------------------------------------------------------------


def test_recordings_are_scored_as_they_come_and_their_alerts_go_out(
    monitor: Monitor, incoming: Path, tmp_path: Path
) -> None:
    record_to(incoming, 1)
    with watching(monitor, incoming) as told:
        told.wait_for(lambda: len(told.outcomes) == 1)
        record_to(incoming / "later", 2)
        told.wait_for(lambda: len(told.outcomes) == 2)
    assert told.statuses == [("calls-c1", "scored"), ("calls-c2", "scored")]
    sent = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert {message["call_id"] for message in sent} == {"calls-c1", "calls-c2"}
    assert len(sent) == 2
    # It lay there before anybody watched, the other did not.
    assert [arrival and arrival.was_waiting for arrival in told.arrivals] == [True, False]
    speed = monitor.store.arrivals.file_to_alert()
    assert (speed.calls, speed.alerts, speed.was_waiting) == (1, 1, 1)
    assert speed.to_record_median_s is not None
    assert speed.to_alert_median_s is not None
    assert 0 <= speed.to_record_median_s <= speed.to_alert_median_s < 30


def test_what_is_known_is_neither_read_nor_scored_again(
    monitor: Monitor, incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_to(incoming, 1)
    monitor.watch(incoming, once=True)
    monkeypatch.setattr("qa_monitor.watching.take_in_one", None)
    told = Told()
    summary = monitor.watch(incoming, once=True, observer=told)
    assert (summary.scored, summary.present, summary.failed, summary.known) == (0, 0, 0, 1)
    assert told.outcomes == []
    assert len(monitor.store.runs("calls-c1")) == 1


def test_no_path_and_no_name_is_kept_of_a_file(
    monitor: Monitor, incoming: Path, tmp_path: Path
) -> None:
    record_to(incoming / "Esmeralda Quist", 1, "quist_esmeralda.wav")
    monitor.watch(incoming, once=True)
    monitor.close()
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or b"smeralda" not in file.read_bytes()


def test_the_same_recording_under_another_name_is_not_scored_twice(
    monitor: Monitor, incoming: Path
) -> None:
    first = record_to(incoming, 1)
    monitor.watch(incoming, once=True)
    shutil.copy(first, incoming / "copy.wav")
    told = Told()
    monitor.watch(incoming, once=True, observer=told)
    assert [outcome.status for outcome in told.outcomes] == ["present"]
    assert len(monitor.store.runs("calls-c1")) == 1


def test_a_sidecar_that_comes_after_the_scores_corrects_the_call(
    monitor: Monitor, incoming: Path
) -> None:
    path = record_to(incoming, 1)
    with watching(monitor, incoming) as told:
        told.wait_for(lambda: len(told.outcomes) == 1)
        path.with_suffix(".json").write_text(json.dumps({"agent_id": "agent-07"}))
        told.wait_for(lambda: len(told.outcomes) == 2)
    assert [outcome.status for outcome in told.outcomes] == ["scored", "present"]
    assert monitor.record("calls-c1").recording.agent_id == "agent-07"
    assert len(monitor.store.runs("calls-c1")) == 1


def test_call_records_are_read_again_when_they_change(
    monitor: Monitor, incoming: Path, tmp_path: Path
) -> None:
    records = tmp_path / "calls.csv"
    records.write_text("file,agent_id\nother.wav,agent-09\n")
    record_to(incoming, 1)
    with watching(monitor, incoming, records) as told:
        told.wait_for(lambda: len(told.outcomes) == 1)
        records.write_text("file,agent\n")
        records.write_text("nothing")
        told.wait_for(lambda: len(told.troubles) == 1)
        records.write_text(f"file,agent_id\n{NAME.format('c1')},agent-08\n")
        told.wait_for(lambda: len(told.outcomes) == 2)
    assert "have no field 'file'" in told.troubles[0].message
    assert monitor.record("calls-c1").recording.agent_id == "agent-08"


def test_a_recording_that_fails_is_told_of_once_and_tried_again_when_it_changes(
    monitor: Monitor, incoming: Path
) -> None:
    path = incoming / NAME.format("c1")
    path.write_bytes(b"this is no sound at all")
    with watching(monitor, incoming) as told:
        told.wait_for(lambda: len(told.outcomes) == 1)
        time.sleep(0.4)
        assert told.statuses == [("calls-c1", "failed")]
        record_to(incoming, 1)
        told.wait_for(lambda: len(told.outcomes) == 2)
    assert told.statuses[1] == ("calls-c1", "scored")
    assert monitor.store.failures() == ()


def test_a_failure_is_remembered_by_the_next_run(monitor: Monitor, incoming: Path) -> None:
    (incoming / "a.wav").write_bytes(b"this is no sound at all")
    assert monitor.watch(incoming, once=True).failed == 1
    assert monitor.watch(incoming, once=True).failed == 0


def test_no_message_holds_a_file_name(monitor: Monitor, incoming: Path) -> None:
    (incoming / "quist_esmeralda.wav").write_bytes(b"this is no sound at all")
    (incoming / "empty_esmeralda.wav").write_bytes(b"")
    told = Told()
    monitor.watch(incoming, once=True, observer=told)
    errors = [outcome.error.message for outcome in told.outcomes if outcome.error]
    assert len(errors) == 2
    assert "esmeralda" not in " ".join(errors) + repr(told.outcomes)


def test_a_call_that_was_deleted_does_not_come_back(monitor: Monitor, incoming: Path) -> None:
    record_to(incoming, 1)
    monitor.watch(incoming, once=True)
    monitor.store.delete_call("calls-c1")
    assert monitor.watch(incoming, once=True).scored == 0


# --- trouble -------------------------------------------------------------------------------------


def test_a_folder_that_is_gone_for_a_while_is_told_once_and_watched_again(
    monitor: Monitor, incoming: Path
) -> None:
    record_to(incoming, 1)
    with watching(monitor, incoming) as told:
        told.wait_for(lambda: len(told.outcomes) == 1)
        away = incoming.rename(incoming.with_name("away"))
        told.wait_for(lambda: len(told.troubles) == 1)
        record_to(away, 2)
        away.rename(incoming)
        told.wait_for(lambda: len(told.outcomes) == 2)
    (trouble,) = told.troubles
    assert isinstance(trouble, StoreError)
    assert "cannot be read" in trouble.message
    assert str(incoming) not in trouble.message


def test_a_folder_that_never_was_is_a_wrong_command(monitor: Monitor, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        monitor.watch(tmp_path / "nowhere")


def test_a_database_that_fails_loses_nothing_and_is_told_once(
    monitor: Monitor, incoming: Path, tmp_path: Path
) -> None:
    record_to(incoming, 1)
    assert monitor.store.agents() == ()
    database = sqlite3.connect(tmp_path / "data" / "qa-monitor.sqlite")
    database.execute(
        "CREATE TRIGGER full BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    database.commit()
    with watching(monitor, incoming) as told:
        told.wait_for(lambda: len(told.troubles) == 1)
        assert told.outcomes == []
        database.execute("DROP TRIGGER full")
        database.commit()
        told.wait_for(lambda: len(told.outcomes) == 1)
    database.close()
    assert told.statuses == [("calls-c1", "scored")]
    assert len(told.troubles) == 1


def test_a_stop_is_heeded_after_the_call_at_work(tmp_path: Path, incoming: Path) -> None:
    incoming.mkdir()
    for number in range(5):
        record_to(incoming, number)
    stop = threading.Event()
    stages = quick_stages(QuickRecogniser(before=lambda _: stop.set()))
    with monitor_of(config_of(tmp_path), stages) as monitor:
        summary = monitor.watch(incoming, stop=stop)
        assert summary.scored == 1
        assert len(monitor.store.summaries()) == 1
        # What was begun is given back at once.
        assert monitor.watch(incoming, once=True).scored == 4


def test_two_that_watch_one_folder_score_each_recording_once(
    tmp_path: Path, incoming: Path
) -> None:
    incoming.mkdir()
    for number in range(12):
        record_to(incoming, number)
    stages = quick_stages(QuickRecogniser(0.05))
    with monitor_of(config_of(tmp_path), stages) as one, monitor_of(config_of(tmp_path)) as two:
        with watching(one, incoming), watching(two, incoming):
            until = time.monotonic() + 30
            while len(one.store.summaries()) < 12 and time.monotonic() < until:
                time.sleep(0.05)
        runs = [one.store.runs(f"calls-c{number}") for number in range(12)]
    assert [len(found) for found in runs] == [1] * 12


# --- as a program --------------------------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path
from qa_monitor import cli
from qa_monitor.monitor import Monitor
from quick_stages import QuickRecogniser, quick_stages

stages = quick_stages(QuickRecogniser(float(sys.argv[1])))
Monitor.stages = property(lambda _: stages)
sys.argv[1:] = sys.argv[2:]
cli.main()
"""


def run_watch(tmp_path: Path, *options: str, takes_s: float = 0.0) -> subprocess.Popen[str]:
    """``qa-monitor watch`` as a process of its own, on quick stages."""
    config = tmp_path / "qa-monitor.toml"
    config.write_text(
        f'[data]\nfolder = "{tmp_path / "data"}"\n'
        "[watch]\nstable_s = 0\nsidecar_wait_s = 0\nevery_s = 0.1\n"
        f'[alerts]\nconsole = false\njsonl_file = "{tmp_path / "alerts.jsonl"}"\n'
    )
    command = [sys.executable, "-c", PROGRAM, str(takes_s), "--config", str(config), "watch"]
    return subprocess.Popen(
        [*command, str(tmp_path / "in"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_a_run_that_is_killed_again_and_again_loses_nothing_and_scores_nothing_twice(
    tmp_path: Path, incoming: Path
) -> None:
    for number in range(10):
        record_to(incoming, number)
    for _ in range(3):
        process = run_watch(tmp_path, "--json", takes_s=0.3)
        assert process.stdout is not None
        # Killed while it works on the call after the first that it has told of.
        json.loads(process.stdout.readline())
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    last = run_watch(tmp_path, "--once")
    _, said = last.communicate(timeout=60)
    assert last.returncode == 0, said
    with monitor_of(config_of(tmp_path)) as monitor:
        runs = [monitor.store.runs(f"calls-c{number}") for number in range(10)]
        assert [len(found) for found in runs] == [1] * 10
        stored = {alert.alert.alert_id for alert in monitor.store.alerts()}
    sent = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert {message["alert_id"] for message in sent} == stored
    assert len(stored) == 10


def test_once_ends_by_itself_with_a_json_line_a_call(tmp_path: Path, incoming: Path) -> None:
    record_to(incoming, 1)
    (incoming / "quist_esmeralda.wav").write_bytes(b"no sound")
    process = run_watch(tmp_path, "--once", "--json")
    out, said = process.communicate(timeout=60)
    assert process.returncode == 11
    lines = {line["status"]: line for line in map(json.loads, out.splitlines())}
    assert lines.keys() == {"scored", "failed"}
    assert lines["scored"]["call_id"] == "calls-c1"
    (alert,) = lines["scored"]["alerts"]
    assert alert["severity"] == "critical"
    arrived, saved = (
        datetime.fromisoformat(lines["scored"][f"{at}_at"]) for at in ("arrived", "saved")
    )
    assert arrived <= saved <= datetime.now(UTC)
    assert lines["failed"]["error"]["exit_code"] == 4
    assert "smeralda" not in out + said
    assert "1 scored" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_code_0_after_the_call_at_work(
    tmp_path: Path, incoming: Path, number: int
) -> None:
    for seed in range(4):
        record_to(incoming, seed)
    process = run_watch(tmp_path, "--json", takes_s=0.5)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    later = len(out.splitlines())
    assert later <= 1
    assert "stopping after the call at work" in said
    assert f"{1 + later} scored" in said


@pytest.mark.slow
def test_watch_scores_real_recordings_with_the_real_models(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    config = config_of(tmp_path, stable_s=1.0, sidecar_wait_s=1.0)
    recordings = sorted((SAMPLES / "recordings").glob("*.wav")) or sorted(
        path
        for path in (SAMPLES / "recordings").iterdir()
        if path.suffix in {".flac", ".ogg", ".mp3"}
    )
    with Monitor(config) as monitor, watching(monitor, tmp_path / "in") as told:
        _ = monitor.stages
        for path in recordings[:2]:
            shutil.copy(path, tmp_path / "in" / path.name)
        until = time.monotonic() + 200
        while len(told.outcomes) < 2 and time.monotonic() < until:
            time.sleep(0.2)
        assert [outcome.status for outcome in told.outcomes] == ["scored", "scored"]
        speed = monitor.store.arrivals.file_to_alert()
        assert speed.calls == 2
        print(f"file to record {speed}")
