"""``qa-monitor alerts``: acting on an alert, its history, and the times from file to alert."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from invented_records import NOW, make_record
from typer.testing import CliRunner, Result

from qa_monitor.alerts import Policy, raise_alerts
from qa_monitor.cli import app
from qa_monitor.monitor import Monitor
from qa_monitor.store import Arrival, KnownFile, Route

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    config = tmp_path / "qa-monitor.toml"
    config.write_text(f'[data]\nfolder = "{tmp_path / "data"}"\n')

    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(app, ["--config", str(config), "alerts", *arguments])
        assert "Traceback" not in result.stderr
        return result

    return invoke


@pytest.fixture
def alert_id(tmp_path: Path, run: Run) -> str:
    """An alert that one channel was told of 12 s after its recording was finished."""
    record = make_record()
    (alert,) = raise_alerts(record, Policy.load(), now=NOW)
    routes = (Route(channel="webhook"), Route(channel="email:a@x", step=1, after_s=900))
    file = KnownFile(size=1, modified_ns=1, known_by="", is_failed=False)
    arrival = Arrival(
        call_id="calls-1", arrived_at=NOW, taken_at=NOW, saved_at=NOW, was_waiting=False
    )
    with Monitor(tmp_path / "qa-monitor.toml") as monitor:
        monitor.store.save_record(record, [alert], now=NOW, channels=routes)
        monitor.store.arrivals.note("digest", file, now=NOW, arrival=arrival)
        (delivery,) = monitor.store.pending_deliveries("webhook", now=NOW)
        monitor.store.mark_delivered(delivery.delivery_id, now=NOW + timedelta(seconds=12))
    return alert.alert_id


def test_each_option_sets_its_state_with_the_note(run: Run, alert_id: str) -> None:
    for option, state in [
        ("--acknowledge", "acknowledged"),
        ("--resolve", "resolved"),
        ("--false-alarm", "false_alarm"),
        ("--reopen", "open"),
    ]:
        result = run(option, alert_id, "--note", f"because of {state}", "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)[0]["state"] == state
    story = json.loads(run("--history", alert_id, "--json").stdout)
    assert [moment["what"] for moment in story["history"]] == [
        "open",
        "told (critical)",
        "acknowledged",
        "resolved",
        "false_alarm",
        "open",
    ]
    assert story["history"][2]["note"] == "because of acknowledged"
    assert "because of resolved" in run("--history", alert_id).stdout


def test_what_somebody_did_before_is_told(run: Run, alert_id: str) -> None:
    run("--resolve", alert_id)
    again = run("--resolve", alert_id)
    assert again.exit_code == 2
    assert "was first" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--resolve", "a", "--reopen", "b"), 2),
        (("--note", "for nothing"), 2),
        (("--history", "nothing"), 10),
        (("--resolve", "nothing"), 10),
    ],
)
def test_a_wrong_command_is_told(run: Run, arguments: tuple[str, ...], code: int) -> None:
    assert run(*arguments).exit_code == code


def test_the_times_from_file_to_alert_are_shown(run: Run, alert_id: str) -> None:
    times = json.loads(run("--times", "--json").stdout)
    assert (times["calls"], times["alerts"], times["file_to_alert_median_s"]) == (1, 1, 12.0)
    assert "from file to alert: 12.0 s" in run("--times").stderr
    listed = run()
    assert alert_id in listed.stdout
    assert "from file to alert: 12.0 s" in listed.stderr


def test_without_a_watched_folder_there_are_no_times(run: Run) -> None:
    assert "No recording has come yet" in run("--times").stderr
