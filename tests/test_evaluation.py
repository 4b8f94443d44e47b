"""evaluation: labelled calls in, predictions a line per call and honest figures out."""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_wav
from hypothesis import given
from hypothesis import strategies as st
from scripted import AGENT, CALLER, ScriptedRecogniser

from qa_monitor.calls import EntityType
from qa_monitor.errors import RecordingError, UsageError
from qa_monitor.evaluation import (
    check_recogniser,
    evaluate_file,
    read_labelled_calls,
    render_table,
)
from qa_monitor.monitor import Monitor

TURNS = [
    ("agent", "Fairhaven Clinic, this is Denise, how can I help?", [(0, 16, "ORGANIZATION")]),
    ("caller", "my husband has crushing chest pain and he cannot breathe", []),
    ("agent", "What is his date of birth?", []),
    ("caller", "march third nineteen forty two", [(0, 30, "DATE")]),
    ("agent", "Hang up and call nine one one right now.", []),
]


def call(**changed: Any) -> dict[str, Any]:
    return {
        "id": "t1",
        "call_type": "emergency",
        "also": [],
        "direction": "inbound",
        "after_hours": False,
        "urgency": 3,
        "urgency_reason": "chest pain",
        "escalated": "late_or_partial",
        "empathy": None,
        "active_listening": 2,
        "escalation_score": 3,
        "notes": "",
        "turns": [
            {
                "speaker": speaker,
                "text": text,
                "phi": [
                    {"start": start, "end": end, "type": kind, "text": text[start:end]}
                    for start, end, kind in spans
                ],
            }
            for speaker, text, spans in TURNS
        ],
        **changed,
    }


def labelled(path: Path, *calls: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in calls))
    return path


def test_predictions_hold_a_line_per_call_with_turns_one_to_one(
    monitor: Monitor, tmp_path: Path
) -> None:
    path = labelled(tmp_path / "calls.jsonl", call(), call(id="t2"))
    evaluate_file(path, monitor=monitor, predictions=tmp_path / "out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["t1", "t2"]
    for line in lines:
        assert line.keys() == {
            "id",
            "turns",
            "empathy",
            "active_listening",
            "escalation_score",
            "urgency",
            "urgency_probability",
            "escalated",
            "call_type",
            "also",
            "needs_review",
        }
        assert len(line["turns"]) == len(TURNS)
        for turn, (_, text, _) in zip(line["turns"], TURNS, strict=True):
            for span in turn["spans"]:
                assert span.keys() == {"start", "end", "entity_type"}
                assert 0 <= span["start"] < span["end"] <= len(text)
                assert text[span["start"] : span["end"]] not in turn["redacted"]
                assert span["entity_type"] in set(EntityType)
        assert "forty two" not in line["turns"][3]["redacted"]
        assert line["urgency"] in {2, 3}
        assert line["escalation_score"] is None or 1 <= line["escalation_score"] <= 5


def test_figures_follow_from_the_labels(monitor: Monitor, tmp_path: Path) -> None:
    path = labelled(tmp_path / "calls.jsonl", call())
    figures = evaluate_file(path, monitor=monitor)
    assert (figures["calls"], figures["turns"]) == (1, 5)
    redaction = figures["redaction"]
    assert redaction["labels"] == 2
    assert redaction["recall_by_type"]["DATE"] == redaction["birth_date_recall"] == 1.0
    assert redaction["name_recall"] is None
    assert redaction["worst_type"] in {"DATE", "ORGANIZATION"}
    assert figures["scores"]["urgency"]["emergencies_found"]["value"] == 1.0
    assert figures["scores"]["empathy"]["calls"] == 0
    assert "transcription" not in figures
    # A reader who calls the same call routine makes the same prediction wrong.
    routine = call(urgency=0, escalated="not_needed", escalation_score=None)
    other = evaluate_file(labelled(tmp_path / "r.jsonl", routine), monitor=monitor)
    assert other["scores"]["urgency"]["specificity"]["value"] == 0.0


def test_a_recording_is_listened_to_and_the_given_turns_are_still_redacted(
    monitor: Monitor, tmp_path: Path
) -> None:
    heard = [(AGENT if s == "agent" else CALLER, t.lower().replace(",", "")) for s, t, _ in TURNS]
    heard[1] = (CALLER, "my husband has crushing chest pain and he can breathe")
    recogniser = ScriptedRecogniser(heard)
    monitor.__dict__["recogniser"] = recogniser
    monitor.__dict__["stages"] = replace(monitor.stages, recogniser=recogniser)
    write_wav(tmp_path / "t1.wav", np.random.default_rng(1).normal(0, 0.1, (2, 8000 * 20)))
    path = labelled(tmp_path / "calls.jsonl", call(audio="t1.wav"))
    figures = evaluate_file(path, monitor=monitor, predictions=tmp_path / "out.jsonl")
    line = json.loads((tmp_path / "out.jsonl").read_text())
    assert len(line["turns"]) == len(TURNS)
    assert "can breathe" in line["transcript"]
    assert "forty two" not in line["transcript"]
    assert 0 < line["word_error_rate"] < 0.1
    assert figures["transcription"]["word_error_rate"] == pytest.approx(
        line["word_error_rate"], abs=1e-3
    )
    silent = evaluate_file(path, monitor=monitor, listen=False)
    assert "transcription" not in silent


def test_a_recording_that_is_not_there_is_an_error_and_no_smaller_figure(
    monitor: Monitor, tmp_path: Path
) -> None:
    path = labelled(tmp_path / "calls.jsonl", call(audio="gone.wav"))
    with pytest.raises(RecordingError, match="t1"):
        evaluate_file(path, monitor=monitor)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"urgency": 4}, "urgency"),
        ({"call_type": "gossip"}, "call_type"),
        ({"empathy": 0}, "empathy"),
        ({"turns": []}, "turns"),
        ({"escalated": None}, "escalated"),
        ({"turns": [{"speaker": "agent", "text": "Maria", "phi": [{"start": 0, "end": 9,
          "type": "PERSON"}]}]}, "outside its turn"),
        ({"turns": [{"speaker": "agent", "text": "Maria", "phi": [{"start": 0, "end": 5,
          "type": "NAME"}]}]}, "turns.0.phi.0.type"),
    ],
)  # fmt: skip
def test_a_wrong_label_is_named_with_its_line_and_without_text(
    tmp_path: Path, changed: dict[str, Any], named: str
) -> None:
    path = labelled(tmp_path / "calls.jsonl", call(), call(id="t2", **changed))
    with pytest.raises(UsageError) as error:
        read_labelled_calls(path)
    assert "line 2" in error.value.message
    assert named in error.value.message
    assert "Maria" not in error.value.message


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe", b"[]\n", b"{\n"])
def test_a_file_that_holds_no_labelled_calls_is_a_usage_error(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "calls.jsonl").write_bytes(content)
    with pytest.raises(UsageError):
        read_labelled_calls(tmp_path / "calls.jsonl")


def test_the_same_id_twice_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="same id"):
        read_labelled_calls(labelled(tmp_path / "calls.jsonl", call(), call()))


@given(st.text(max_size=60))
def test_any_line_is_read_or_refused_with_its_number(line: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.jsonl"
        path.write_bytes((json.dumps(call()) + "\n" + line).encode("utf-8", "replace"))
        with contextlib.suppress(UsageError):
            assert [entry.id for entry in read_labelled_calls(path)] == ["t1"]


def test_the_sample_recordings_can_be_checked_against_their_scripts(
    monitor: Monitor, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="audio"):
        check_recogniser(
            "embedded-whisper", labelled(tmp_path / "calls.jsonl", call()), monitor=monitor
        )


def test_the_table_shows_every_figure_and_says_what_cannot_be_measured(
    monitor: Monitor, tmp_path: Path
) -> None:
    figures = evaluate_file(labelled(tmp_path / "calls.jsonl", call()), monitor=monitor)
    table = render_table(figures)
    assert "character recall" in table
    assert "empathy, qwk" in table
    assert "not measurable" in table
