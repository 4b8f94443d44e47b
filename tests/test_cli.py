"""cli: data on stdout, messages on stderr, an exit code for everything, never a traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_wav
from invented_records import NOW, make_lenient_rubric, make_missed_emergency, make_record
from scripted import AGENT, CALLER, ScriptedRecogniser
from typer.testing import CliRunner, Result

from qa_monitor import __version__
from qa_monitor.audio import decode, write_audio
from qa_monitor.calls import CallRecord, ChecklistAnswer, Criterion
from qa_monitor.cli import TextFormat, app
from qa_monitor.config import Config
from qa_monitor.errors import StoreError
from qa_monitor.monitor import Monitor, write_private
from qa_monitor.pipeline import Stages
from qa_monitor.redaction.documents import DocumentKind
from qa_monitor.redaction.settings import DEFAULT_FILE
from qa_monitor.scoring.rubric import load_rubric

SCRIPT = [
    (AGENT, "thank you for calling fairhaven clinic how can i help you"),
    (CALLER, "my husband has crushing chest pain and he can not breathe"),
    (AGENT, "we have an opening next tuesday in the afternoon"),
    (CALLER, "okay i am so scared"),
    (AGENT, "goodbye"),
]
Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, stages: Stages, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on real engines, but for the recogniser, which hears SCRIPT."""
    config = tmp_path / "qa-monitor.toml"
    config.write_text(f'[data]\nfolder = "{tmp_path / "data"}"\n')
    loaded = replace(stages, recogniser=ScriptedRecogniser(SCRIPT), audio_folder=None)
    monkeypatch.setattr(Monitor, "stages", property(lambda _: loaded))
    monkeypatch.setattr(Monitor, "recogniser", property(lambda _: loaded.recogniser))
    monkeypatch.setattr(Monitor, "redactor", property(lambda _: loaded.redactor))
    monkeypatch.setattr(Monitor, "scorer", property(lambda _: loaded.scorer))
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(app, ["--config", str(config), *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "Traceback" not in result.stderr
        return result

    return invoke


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    return write_wav(
        tmp_path / "in" / "agent-01_c1_20261101T090000.wav", rng.normal(0, 0.1, (2, 8000 * 15))
    )


def test_score_prints_the_calls_the_alerts_and_where_the_reports_lie(
    run: Run, recording: Path, tmp_path: Path
) -> None:
    result = run("score", str(recording))
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if "calls-c1" in line)
    assert "agent-01" in row
    assert "missed" in row
    assert "not escalated" in result.stdout
    index = tmp_path / "data" / "reports" / "index.html"
    assert str(index) in result.stdout.replace("\n", "")
    assert index.is_file()
    assert "1 scored" in result.stderr
    assert "1 scored" not in result.stdout


def test_score_again_is_quiet_and_says_that_nothing_was_missing(run: Run, recording: Path) -> None:
    run("score", str(recording))
    result = run("score", str(recording))
    assert result.exit_code == 0
    assert "1 scored before" in result.stderr
    assert "calls-c1" in result.stdout


def test_score_as_json_is_one_json_value_on_stdout(run: Run, recording: Path) -> None:
    result = run("score", str(recording), "--json")
    value = json.loads(result.stdout)
    (call,) = value["calls"]
    assert call["status"] == "scored"
    assert call["scores"].keys() == {"empathy", "active_listening", "urgency", "escalation"}
    assert call["escalated"] == "missed"
    assert value["alerts"][0]["call_id"] == "calls-c1"


def test_show_gives_reasons_with_quotes_and_the_redacted_transcript(
    run: Run, recording: Path
) -> None:
    run("score", str(recording))
    result = run("show", "calls-c1")
    assert result.exit_code == 0
    assert "crushing chest pain" in result.stdout
    assert "fairhaven" not in result.stdout
    value = json.loads(run("show", "calls-c1", "--json").stdout)
    urgency = next(
        score for score in value["scorecard"]["scores"] if score["criterion"] == "urgency"
    )
    assert urgency["evidence"]
    assert all(evidence["quote"] for evidence in urgency["evidence"])


@pytest.fixture
def lenient(tmp_path: Path) -> Path:
    """A rubric by which no call is urgent."""
    return make_lenient_rubric(tmp_path)


def store_call(tmp_path: Path, rubric: Path | None = None) -> CallRecord:
    """A call whose emergency was missed, stored as scoring by ``rubric`` would, but for alerts."""
    record = make_missed_emergency("calls-c1", rubric=load_rubric(rubric))
    with Monitor(tmp_path / "qa-monitor.toml") as monitor:
        monitor.store.save_record(record, (), now=NOW)
    return record


def test_show_tells_the_measures_of_a_call_and_what_they_rest_on(tmp_path: Path) -> None:
    first, second = (make_record(f"calls-{number}") for number in (1, 2))
    own: dict[str, Any] = {
        "caller_key": "key",
        "hold_s": 95.0,
        "after_call_s": 30.0,
        "disposition_code": "D-17",
    }
    later = {**own, "started_at": NOW + timedelta(days=2, hours=1)}
    metrics = {"talk_span_s": 4000.0, "hold_estimated_s": 0.0, "agent_talk_share": 0.405}
    with Monitor(Config.model_validate({"data": {"folder": tmp_path}})) as monitor:
        for record, fields in ((first, own), (second, later)):
            recording = replace(record.recording, **fields)
            stored = replace(record, recording=recording, metrics=metrics)
            monitor.store.save_record(stored, (), now=NOW)
    config = tmp_path / "qa-monitor.toml"
    config.write_text(f'[data]\nfolder = "{tmp_path}"\n')

    def shown(*arguments: str) -> str:
        return CliRunner().invoke(app, ["--config", str(config), "show", *arguments]).stdout

    lines = shown("calls-2").splitlines()
    assert "disposition: D-17" in lines
    rows = [[cell.strip() for cell in line.split("│")] for line in lines]
    measured = {row[1]: row[2] for row in rows if len(row) == 5}
    assert measured["handle time"] == "1:08:45 (call record)"
    assert measured["after call"] == "30.0 s (call record)"
    assert measured["agent talk share"] == "40%"
    assert measured["earlier calls"] == "1 (other calls)"
    assert measured["since earlier call"] == "2 d 1:00:00 (other calls)"
    assert measured["first contact resolved"] == "unknown (not first contact)"
    assert "first contact resolved │ no (called again)" in " ".join(shown("calls-1").split())
    value = json.loads(shown("calls-2", "--json"))
    (hold,) = (one for one in value["measures"] if one["name"] == "hold_s")
    assert (hold["value"], hold["unit"], hold["basis"]) == (95.0, "s", "call_record")
    assert hold["says"]
    assert hold["source"]
    assert value["metrics"] == metrics


def test_show_tells_intervals_what_moved_a_score_and_the_checklist_with_quotes(
    run: Run, tmp_path: Path
) -> None:
    record = store_call(tmp_path)
    printed = run("show", "calls-c1").stdout
    card = record.scorecard
    urgency = card.score(Criterion.URGENCY)
    assert f"({urgency.low:.1f} to {urgency.high:.1f})" in printed
    assert "moved by: cue1 +" in printed
    assert "not assessed" in printed
    assert f"by rubric {card.rubric_version}" in printed
    item = next(item for item in card.checklist if item.answer is ChecklistAnswer.NO)
    assert item.item.replace("_", " ") in printed
    value = json.loads(run("show", "calls-c1", "--json").stdout)["scorecard"]
    items = {item["item"]: item for item in value["checklist"]}
    evidence = items[item.item]["evidence"][0]
    assert evidence["quote"] == record.dialogue.quote(item.evidence[0])
    scores = {score["criterion"]: score for score in value["scores"]}
    effect = scores["urgency"]["effects"][0]
    assert (effect["feature"], effect["points"]) == ("cue1", urgency.effects[0].points)
    assert effect["evidence"][0]["start_s"] == 5.0


def test_rescore_shows_what_a_rubric_changes_and_the_old_card_can_still_be_shown(
    run: Run, lenient: Path, tmp_path: Path
) -> None:
    store_call(tmp_path)
    first = json.loads(run("show", "calls-c1", "--json").stdout)["scorecard"]
    tried = run("rescore", "--rubric", str(lenient), "--dry-run")
    assert "1 changed; nothing was stored" in tried.stderr
    assert json.loads(run("show", "calls-c1", "--json").stdout)["scorecard"] == first
    result = run("rescore", "--rubric", str(lenient))
    assert result.exit_code == 0
    assert result.stdout == tried.stdout
    row = next(line for line in result.stdout.splitlines() if "calls-c1" in line)
    assert "3 → 0" in row
    assert "missed → not_needed" in row
    shown = json.loads(run("show", "calls-c1", "--json").stdout)
    assert shown["scorecard"]["rubric_version"].startswith("lenient-")
    assert [card["is_in_use"] for card in shown["cards"]] == [False, True]
    named = first["rubric_version"].partition("+")[0]
    old = json.loads(run("show", "calls-c1", "--rubric", named, "--json").stdout)
    assert old["scorecard"] == first
    table = run("show", "calls-c1", "--rubric", named).stdout
    assert re.search(rf"{re.escape(first['rubric_version'])}\W.*shown", table)
    assert run("show", "calls-c1", "--rubric", "nothing-1").exit_code == 10


def test_rescore_says_so_where_nothing_changes(run: Run, tmp_path: Path) -> None:
    store_call(tmp_path)
    result = run("rescore", "calls-c1")
    assert "→" not in result.stdout
    assert "unchanged" in result.stdout
    assert "1 unchanged" in result.stderr
    value = json.loads(run("rescore", "calls-c1", "--json").stdout)
    assert [call["status"] for call in value["calls"]] == ["unchanged"]
    assert value["calls"][0]["before"] == value["calls"][0]["after"]


def test_rescore_goes_on_after_a_call_that_it_cannot_score(
    run: Run, lenient: Path, tmp_path: Path
) -> None:
    store_call(tmp_path)
    result = run("rescore", "calls-none", "calls-c1", "--rubric", str(lenient), "--json")
    assert result.exit_code == 11
    value = json.loads(result.stdout)
    assert [call["status"] for call in value["calls"]] == ["failed", "changed"]
    assert value["calls"][0]["error"]["exit_code"] == 10
    assert (value["summary"]["changed"], value["summary"]["failed"]) == (1, 1)


def test_rescore_tells_of_alerts_that_the_new_card_raises_and_of_those_without_a_cause(
    run: Run, lenient: Path, tmp_path: Path
) -> None:
    store_call(tmp_path, lenient)
    assert run("alerts").stdout == ""
    told = "critical alert {}: emergency not escalated"
    assert told.format("would be raised") in run("rescore", "--dry-run").stderr
    assert run("alerts").stdout == ""
    assert told.format("raised") in run("rescore").stderr
    assert "emergency not escalated" in run("alerts", "--open").stdout
    assert "alert" not in run("rescore").stderr
    assert "an alert stays open" in run("rescore", "--rubric", str(lenient)).stderr


def test_rubrics_are_listed_and_held_side_by_side(run: Run, lenient: Path, tmp_path: Path) -> None:
    (configured,) = json.loads(run("rubrics", "--json").stdout)
    assert configured["is_default"]
    assert configured["stored"] is None
    store_call(tmp_path)
    run("rescore", "--rubric", str(lenient), "--beside")
    shown = json.loads(run("show", "calls-c1", "--json").stdout)["scorecard"]
    assert shown["rubric_version"] == configured["rubric_version"]
    listed = run("rubrics").stdout.splitlines()
    assert any("lenient-" in line for line in listed)
    assert any("default-" in line and "all others" in line for line in listed)
    names = [line["rubric_version"] for line in json.loads(run("rubrics", "--json").stdout)]
    compared = json.loads(run("rubrics", "compare", *names, "--json").stdout)
    assert (compared["calls"], compared["other_outcome"]) == (1, 1)
    urgency = next(one for one in compared["criteria"] if one["criterion"] == "urgency")
    assert (urgency["first_mean"], urgency["second_mean"], urgency["changed"]) == (3, 0, 1)
    assert "-3.00" in run("rubrics", "compare", *names).stdout


def test_swap_roles_scores_the_stored_text_anew_and_back_again(run: Run, recording: Path) -> None:
    run("score", str(recording))
    first = json.loads(run("show", "calls-c1", "--json").stdout)
    result = run("swap-roles", "calls-c1")
    assert result.exit_code == 0
    assert "→" in result.stdout
    swapped = json.loads(run("show", "calls-c1", "--json").stdout)
    assert "roles_swapped" in swapped["warnings"]
    roles = [turn["role"] for turn in swapped["dialogue"]["turns"]]
    assert roles[:2] == ["caller", "agent"]
    assert "note: roles swapped" in run("show", "calls-c1").stdout
    value = json.loads(run("swap-roles", "calls-c1", "--json").stdout)
    assert value["call_id"] == "calls-c1"
    again = json.loads(run("show", "calls-c1", "--json").stdout)
    for name in ("scorecard", "dialogue", "findings", "metrics", "warnings", "versions"):
        assert again[name] == first[name]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "calls-none"], 10),
        (["report", "agent", "nobody"], 10),
        (["report", "agent"], 2),
        (["report", "agent", "a", "--all"], 2),
        (["score", "nothing-here/*.wav"], 2),
        (["score"], 2),
        (["nonsense"], 2),
        (["redact", "missing.txt"], 2),
        (["verify"], 2),
        (["verify", "calls-c1", "--all"], 2),
        (["verify", "calls-none"], 10),
        (["verify", "--all"], 10),
        (["rescore"], 10),
        (["rescore", "calls-none"], 10),
        (["rescore", "--beside"], 2),
        (["rescore", "--rubric", "missing.toml"], 3),
        (["swap-roles", "calls-none"], 10),
        (["rubrics", "compare", "a-1", "b-1"], 10),
        (["evaluate", "missing.jsonl"], 2),
        (["models", "pull", "no such model"], 2),
        (["models", "pull", "[/x]"], 2),
        (["models", "path", "no-such-model"], 10),
        (["--config", "missing.toml", "alerts"], 3),
    ],
)
def test_what_cannot_be_done_ends_in_a_message_and_its_exit_code(
    run: Run, arguments: list[str], code: int
) -> None:
    result = run(*arguments)
    assert result.exit_code == code, result.stderr
    assert result.stderr.strip()
    assert result.stdout == ""


def test_one_bad_recording_alone_exits_with_its_own_code_and_in_a_batch_with_eleven(
    run: Run, recording: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "in" / "agent-01_c2_20261101T100000.wav"
    bad.write_bytes(b"no audio " * 50)
    assert run("score", str(bad)).exit_code == 4
    result = run("score", str(recording.parent))
    assert result.exit_code == 11
    assert "calls-c1" in result.stdout
    assert "calls-c2" in result.stderr
    assert "c2_2026" not in result.stderr


def test_reports_come_as_files_or_as_json_and_csv_on_stdout(
    run: Run, recording: Path, tmp_path: Path
) -> None:
    run("score", str(recording), "--no-reports")
    assert not (tmp_path / "data" / "reports").exists()
    paths = run("report", "agent", "--all").stdout.split()
    assert [Path(path).suffix for path in paths] == [".html", ".html"]
    assert all(Path(path).is_file() for path in paths)
    assert json.loads(run("report", "agent", "agent-01", "--json").stdout)
    csv = run("report", "agent", "agent-01", "--format", "csv").stdout
    assert "calls-c1" in csv
    out = tmp_path / "one.html"
    assert run("report", "agent", "agent-01", "-o", str(out)).stdout.strip() == str(out)
    assert "<html" in out.read_text()


def test_alerts_are_listed_and_can_be_closed(run: Run, recording: Path) -> None:
    assert run("alerts", "--open").stdout == ""
    run("score", str(recording))
    found = json.loads(run("alerts", "--open", "--json").stdout)
    assert found
    for alert in found:
        assert run("alerts", "--resolve", alert["alert_id"]).exit_code == 0
    assert json.loads(run("alerts", "--open", "--json").stdout) == []
    assert len(json.loads(run("alerts", "--json").stdout)) == len(found)


def test_an_alert_that_nobody_took_is_told_of_and_has_its_own_exit_code(
    run: Run, recording: Path, tmp_path: Path
) -> None:
    config = tmp_path / "qa-monitor.toml"
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    config.write_text(config.read_text() + f'[alerts]\njsonl_file = "{blocked}"\n')
    result = run("score", str(recording))
    assert result.exit_code == 9
    assert "calls-c1: the jsonl channel did not take the alert" in result.stderr
    assert "missed" in result.stdout
    assert run("alerts", "--deliver").exit_code == 9
    blocked.rmdir()
    assert run("alerts", "--deliver").exit_code == 0
    assert "calls-c1" in blocked.read_text()


def test_an_alert_can_be_closed_by_an_account_without_a_name(
    run: Run, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    run("score", str(recording))
    (alert, *_) = json.loads(run("alerts", "--json").stdout)
    assert run("alerts", "--resolve", alert["alert_id"]).exit_code == 0


def test_a_report_written_to_a_file_is_told_of_as_json_where_json_is_asked_for(
    run: Run, recording: Path, tmp_path: Path
) -> None:
    run("score", str(recording), "--no-reports")
    out = tmp_path / "one.json"
    result = run("report", "agent", "agent-01", "--json", "-o", str(out))
    assert json.loads(result.stdout) == {"file": str(out)}
    assert json.loads(out.read_text())


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_private(pipe, "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert pipe.is_fifo()
    with pytest.raises(StoreError, match="cannot be written"):
        write_private(tmp_path, "text")
    assert list(tmp_path.iterdir()) == [pipe]


def test_redact_takes_text_line_by_line_and_recordings(
    run: Run, recording: Path, tmp_path: Path
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("Caller: my name is Maria Alvarez\n\nmy number is 617-555-0142\n")
    result = run("redact", str(note))
    lines = result.stdout.split("\n")
    assert len(lines) == 4
    assert "Alvarez" not in result.stdout
    assert "0142" not in result.stdout
    assert lines[1] == ""
    quiet = tmp_path / "quiet.flac"
    result = run("redact", str(recording), "--output", str(quiet))
    assert result.exit_code == 0, result.stderr
    assert quiet.stat().st_mode & 0o777 == 0o600
    assert "fairhaven" not in result.stdout
    before = recording.read_bytes()
    assert run("redact", str(recording), "--output", str(recording)).exit_code == 2
    assert recording.read_bytes() == before


CHAT = "[10:32] Maria Lopez: my number is 617-555-0142\r\n[10:33] Agent: thanks Maria"
CAPTIONS = "WEBVTT\n\n00:00.000 --> 00:02.000\n<v Maria Lopez>I am Maria\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
def test_redact_gives_a_text_back_the_same_to_the_byte_in_all_else(
    run: Run, tmp_path: Path, encoding: str
) -> None:
    mark = "\ufeff" if encoding.startswith("utf-16") else ""
    chat = tmp_path / "Maria Lopez.txt"
    chat.write_bytes((mark + CHAT).encode(encoding))
    expected = CHAT.replace("Maria Lopez", "<PERSON_1>").replace("617-555-0142", "<PHONE_1>")
    expected = mark + expected.replace("Maria", "<PERSON_1>")
    assert run("redact", str(chat)).stdout_bytes == expected.encode(encoding)
    out = tmp_path / "out.txt"
    result = run("redact", str(chat), "--output", str(out))
    assert result.stdout == f"{out}\n"
    assert out.read_bytes() == expected.encode(encoding)
    assert out.stat().st_mode & 0o777 == 0o600
    before = chat.read_bytes()
    assert run("redact", str(chat), "--output", str(chat)).exit_code == 2
    assert chat.read_bytes() == before


def test_redact_does_several_files_and_numbers_them_and_one_bad_one_stops_no_other(
    run: Run, tmp_path: Path
) -> None:
    names = ["Maria Lopez.txt", "Maria Lopez.json", "Maria Lopez.vtt", "Maria Lopez.srt"]
    for name, content in zip(names, [CHAT, '{"a": "Maria', CAPTIONS, ""], strict=True):
        (tmp_path / name).write_text(content)
    files = [str(tmp_path / name) for name in names]
    out = tmp_path / "out"
    result = run("redact", *files, "--output", str(out))
    assert result.exit_code == 11
    assert sorted(path.name for path in out.iterdir()) == ["1.txt", "3.vtt"]
    assert "<v &lt;PERSON_1&gt;>I am &lt;PERSON_1&gt;" in (out / "3.vtt").read_text()
    assert "file 2: line 1: the JSON is broken" in result.stderr
    assert "file 4: the file is empty" in result.stderr
    assert "Maria" not in result.stdout + result.stderr
    assert run("redact", files[1]).exit_code == 2
    assert run("redact", files[0], files[2], "--output", files[3]).exit_code == 2
    value = json.loads(run("redact", *files[:3], "--json").stdout)
    assert [one["position"] for one in value] == [1, 2, 3]
    assert [one.get("kind") for one in value] == ["chat", None, "vtt"]
    assert value[1]["error"]["exit_code"] == 2


def test_redact_reads_stdin_and_takes_a_text_for_what_it_is_told(run: Run, tmp_path: Path) -> None:
    config = str(tmp_path / "qa-monitor.toml")

    def piped(content: bytes, *arguments: str) -> Result:
        return CliRunner().invoke(
            app, ["--config", config, "redact", "-", *arguments], input=content
        )

    assert piped(CHAT.encode()).stdout.startswith("[10:32] <PERSON_1>: ")
    broken = b'{"a": "my number is 617-555-0142'
    assert piped(broken).exit_code == 2
    assert piped(broken, "--format", "text").stdout == '{"a": "my number is <PHONE_1>'
    assert piped(b"caf\xe9", "--format", "text").exit_code == 2
    assert piped(b"").exit_code == 2


def test_redact_says_why_without_words(run: Run, tmp_path: Path) -> None:
    chat = tmp_path / "chat.txt"
    chat.write_text(CHAT)
    result = run("redact", str(chat), "--why")
    row = next(line for line in result.stdout.splitlines() if "PHONE" in line)
    assert re.search(r"0 .* 13–22 .* PHONE .* \w+ .* [01]\.\d\d", row)
    assert "0142" not in result.stdout
    assert "Maria" not in result.stdout
    value = json.loads(run("redact", str(chat), "--json").stdout)
    assert value["text"].startswith("[10:32] <PERSON_1>: ")
    (span,) = value["calls"][0]["turns"][0]["spans"]
    assert (span["entity_type"], span["start"], span["end"]) == ("PHONE", 13, 22)
    assert span["recognizer"]
    assert 0.5 <= span["confidence"] <= 1


def test_redact_writes_what_the_operators_say(run: Run, tmp_path: Path) -> None:
    chat = tmp_path / "chat.txt"
    chat.write_text(CHAT)
    options = ["--operator", "PHONE=mask:4", "--operator", "person=hash"]
    result = run("redact", str(chat), *options)
    assert "my number is ***-***-0142" in result.stdout
    assert re.match(r"\[10:32\] <PERSON_\d{16}>: ", result.stdout)
    assert result.stdout == run("redact", str(chat), *options).stdout
    assert "0142" not in json.dumps(json.loads(run("redact", str(chat), "--json").stdout))
    for wrong in ("PHONE", "PHONE=blur", "PHONE=keep", "NAME=mask", "PHONE=hash:4"):
        result = run("redact", str(chat), "--operator", wrong)
        assert result.exit_code == 2, wrong
        assert result.stdout == ""


def test_operators_of_the_recognizers_file_hold_where_no_option_says_otherwise(
    run: Run, tmp_path: Path
) -> None:
    shipped = DEFAULT_FILE.read_text(encoding="utf-8")
    (tmp_path / "recognizers.toml").write_text(
        shipped.replace("[operators]\n", '[operators]\nPHONE = "mask"\nPERSON = "mask"\n')
    )
    config = tmp_path / "qa-monitor.toml"
    config.write_text(config.read_text() + '[redaction]\nrecognizers_file = "recognizers.toml"\n')
    chat = tmp_path / "chat.txt"
    chat.write_text(CHAT)
    result = run("redact", str(chat), "--operator", "PERSON=replace")
    assert "<PERSON_1>: my number is ***-***-****" in result.stdout


def test_what_is_kept_is_confirmed_and_logged_without_words_or_not_handed_out(
    run: Run, tmp_path: Path
) -> None:
    chat = tmp_path / "chat.txt"
    chat.write_text(CHAT)
    log = tmp_path / "data" / "kept-phi.jsonl"
    for count in (1, 2):
        result = run("redact", str(chat), "--keep", "phone", "--keep", "DATE")
        assert "<PERSON_1>: my number is 617-555-0142" in result.stdout
        assert "PHONE (1), DATE (0)" in result.stderr
        assert str(log) in result.stderr.replace("\n", "")
        assert len(log.read_text().splitlines()) == count
    entry = json.loads(log.read_text().splitlines()[0])
    assert entry.keys() == {"at", "by", "kept"}
    assert entry["kept"] == {"DATE": 0, "PHONE": 1}
    assert entry["by"]
    assert "0142" not in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    both = run("redact", str(chat), "--keep", "PHONE", "--operator", "PHONE=mask")
    assert both.exit_code == 2
    log.unlink()
    log.mkdir()
    result = run("redact", str(chat), "--keep", "PHONE")
    assert result.exit_code == 8
    assert result.stdout == ""


def test_a_recording_is_redacted_as_it_is_kept(run: Run, recording: Path) -> None:
    for option in (["--keep", "PHONE"], ["--operator", "PHONE=mask"]):
        result = run("redact", str(recording), *option)
        assert result.exit_code == 2
        assert "for texts" in result.stderr
    assert "ORGANIZATION" in run("redact", str(recording), "--why").stdout


def test_the_formats_of_the_command_are_the_kinds_of_documents() -> None:
    assert [kind.value for kind in TextFormat] == [kind.value for kind in DocumentKind]


@pytest.fixture
def audio_folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where redacted recordings are kept, which they are from now on."""
    folder = tmp_path / "data" / "audio"
    keeping = replace(Monitor(Config()).stages, audio_folder=folder)
    monkeypatch.setattr(Monitor, "stages", property(lambda _: keeping))
    return folder


def test_verify_tells_which_recordings_leak_and_where_and_marks_the_calls(
    run: Run, recording: Path, audio_folder: Path
) -> None:
    kept = audio_folder / "calls-c1.flac"
    run("score", str(recording))
    result = run("verify", "--all")
    assert (result.exit_code, result.stdout) == (0, "calls-c1  clean\n")
    # As if it had never been redacted.
    write_audio(kept, decode(recording, call_id="c"))
    result = run("verify", "calls-c1")
    assert result.exit_code == 12
    assert re.fullmatch(
        r"calls-c1  leak: listen to \d+:\d\d-\d+:\d\d \(ORGANIZATION\)\n", result.stdout
    )
    assert "1 of 1" in result.stderr
    assert "fairhaven" not in result.stdout + result.stderr
    shown = run("show", "calls-c1").stdout
    assert "redacted audio leak" in shown
    assert "leak: listen to" in shown
    (call,) = json.loads(run("score", str(recording), "--json").stdout)["calls"]
    assert call["verification"]["verdict"] == "leak"


def test_verify_takes_any_redacted_recording_and_names_it_by_its_place(
    run: Run, recording: Path, tmp_path: Path
) -> None:
    path = recording.rename(recording.with_name("wilhelmina.wav"))
    result = run("verify", str(path), "calls-none", "--json")
    first, second = json.loads(result.stdout)
    assert (first["position"], first["call_id"], first["verdict"]) == (1, None, "leak")
    assert {place["entity_type"] for place in first["places"]} == {"ORGANIZATION"}
    assert second["error"]["exit_code"] == 10
    assert result.exit_code == 12
    assert "wilhelmina" not in result.stdout + result.stderr


def test_score_counts_what_was_heard_when_it_listened_again(
    run: Run, recording: Path, audio_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifying = replace(Monitor(Config()).stages, verify="flag")
    monkeypatch.setattr(Monitor, "stages", property(lambda _: verifying))
    result = run("score", str(recording))
    assert "redacted recordings listened to again: 1 clean" in result.stderr


def test_transcribe_redacts_unless_told_otherwise_and_then_warns(run: Run, recording: Path) -> None:
    result = run("transcribe", str(recording))
    assert "fairhaven" not in result.stdout
    assert "chest pain" in result.stdout
    result = run("transcribe", str(recording), "--unredacted")
    assert "fairhaven" in result.stdout
    assert "protected health information" in result.stderr


def test_an_agent_of_another_centre_is_transcribed_and_not_scored(
    run: Run, recording: Path, tmp_path: Path
) -> None:
    config = tmp_path / "qa-monitor.toml"
    config.write_text(config.read_text() + '[intake]\nagents = ["agent-99"]\n')
    assert run("transcribe", str(recording)).exit_code == 0
    assert run("score", str(recording)).exit_code == 5


def test_a_recording_heard_by_the_demonstration_model_comes_with_a_warning(
    run: Run, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "models pull" not in run("transcribe", str(recording)).stderr
    monkeypatch.setattr(ScriptedRecogniser, "is_demonstration", True)
    for command in ("transcribe", "redact", "score"):
        assert "qa-monitor models pull" in run(command, str(recording)).stderr


def test_init_writes_a_configuration_and_never_over_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["init", "--data-folder", str(tmp_path / "d")])
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "qa-monitor.toml").is_file()
    assert (tmp_path / "d" / "qa-monitor.sqlite").is_file()
    assert CliRunner().invoke(app, ["init"]).exit_code == 3


def test_models_are_listed_with_what_they_are_for(run: Run) -> None:
    found = {model["name"]: model for model in json.loads(run("models", "list", "--json").stdout)}
    assert found["embedded-whisper"]["demonstration_only"] is True


def test_a_fault_of_our_own_names_its_place_and_not_its_message(
    run: Run, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object, **__: object) -> None:
        raise ValueError("quoting Maria Alvarez")

    monkeypatch.setattr("qa_monitor.cli._print_score_tables", fault)
    result = run("score", str(recording))
    assert result.exit_code == 1
    assert "internal fault (ValueError at cli.py:" in result.stderr
    assert "Alvarez" not in result.stderr


def test_no_color_and_pipes_get_plain_text(recording: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "qa_monitor", "models", "list"],
        capture_output=True,
        env={**os.environ, "NO_COLOR": "1", "XDG_DATA_HOME": str(tmp_path)},
        check=True,
        timeout=60,
    )
    assert b"\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("output", "code"), [("/dev/full", 8), ("/dev/null", 0)], ids=["full disk", "written"]
)
def test_output_that_cannot_be_written_is_a_message_and_a_code(
    tmp_path: Path, output: str, code: int
) -> None:
    with Path(output).open("w") as stdout:
        result = subprocess.run(
            [sys.executable, "-m", "qa_monitor", "models", "path"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_DATA_HOME": str(tmp_path)},
            timeout=60,
        )
    assert result.returncode == code
    assert ("output cannot be written" in result.stderr) == bool(code)
    assert "fault" not in result.stderr
    assert "Exception ignored" not in result.stderr


def test_the_version_is_printed() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "qa_monitor", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout == f"qa-monitor {__version__}\n"


@pytest.mark.slow
def test_ctrl_c_stops_cleanly_with_its_own_code(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for number in range(3):
        write_wav(
            tmp_path / "in" / f"agent-01_c{number}_20261101T090000.wav",
            rng.normal(0, 0.2, (2, 8000 * 600)),
        )
    (tmp_path / "qa-monitor.toml").write_text(f'[data]\nfolder = "{tmp_path / "data"}"\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "qa_monitor", "score", "in"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    database = tmp_path / "data" / "qa-monitor.sqlite"
    while not database.exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == 130, messages.decode()
    assert b"stopped" in messages
    assert b"Traceback" not in messages


def test_an_interrupt_that_an_engine_swallowed_stops_at_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from qa_monitor import cli

    asked = threading.Event()
    monkeypatch.setattr(cli, "_STOP_ASKED", asked)
    cli._Lines().advanced("call-1", "decoding", 0.5)
    asked.set()
    with pytest.raises(KeyboardInterrupt):
        cli._Lines().advanced("call-1", "decoding", 0.6)
