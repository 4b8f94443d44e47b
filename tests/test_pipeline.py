"""pipeline: a failure stays with its call, running again does only what is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_wav
from invented_records import make_rubric_file
from scripted import AGENT, CALLER, ScriptedRecogniser

from qa_monitor import pipeline
from qa_monitor.calls import (
    DecodedAudio,
    RedactedDialogue,
    Scorecard,
    Segment,
    Transcript,
    Word,
)
from qa_monitor.config import Config
from qa_monitor.errors import (
    LeakError,
    MetadataError,
    NoSpeechError,
    NotAudioError,
    RedactionError,
    ScoringError,
    StageError,
    StoreError,
    TranscriptionError,
)
from qa_monitor.monitor import Monitor
from qa_monitor.pipeline import Outcome, Stages, redacted_audio
from qa_monitor.scoring.rubric import load_rubric
from qa_monitor.speakers import assign_speakers
from qa_monitor.verification import is_chosen

SCRIPT = [
    (AGENT, "thank you for calling how can i help you today"),
    (CALLER, "i would like to book an appointment for a check up please"),
    (AGENT, "of course would next week in the morning work for you"),
    (CALLER, "yes that is fine thank you"),
]


@pytest.fixture
def recogniser() -> ScriptedRecogniser:
    return ScriptedRecogniser(SCRIPT)


@pytest.fixture
def house(monitor: Monitor, recogniser: ScriptedRecogniser) -> Monitor:
    """A monitor whose recogniser hears a short routine call in every recording."""
    monitor.__dict__["stages"] = replace(monitor.stages, recogniser=recogniser)
    return monitor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three recordings by two agents."""
    for number, agent in enumerate(("agent-01", "agent-01", "agent-02"), start=1):
        record(tmp_path / "in" / f"{agent}_c{number}_20261101T090000.wav", number)
    return tmp_path / "in"


def record(path: Path, seed: int) -> Path:
    return write_wav(path, np.random.default_rng(seed).normal(0, 0.1, (2, 8000 * 12)))


def statuses(outcomes: tuple[Outcome, ...]) -> dict[str, str]:
    return {outcome.call_id: outcome.status for outcome in outcomes}


def test_a_folder_of_recordings_becomes_records_in_the_order_of_the_files(
    house: Monitor, folder: Path
) -> None:
    outcomes = house.score([folder])
    assert [outcome.call_id for outcome in outcomes] == ["calls-c1", "calls-c2", "calls-c3"]
    assert {outcome.status for outcome in outcomes} == {"scored"}
    for outcome in outcomes:
        assert outcome.record is not None
        stored = house.record(outcome.call_id)
        assert stored == outcome.record
        assert stored.versions.keys() == {"transcription", "redaction", "scoring", "rubric"}
        assert stored.recording.duration_s == pytest.approx(12, abs=0.1)
        assert (house.config.data.folder / "audio" / f"{outcome.call_id}.flac").is_file()


def test_scoring_is_told_what_the_caller_called_about_before(
    house: Monitor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        sidecar = folder / f"agent-01_c{number}_20261101T090000.json"
        said = {"caller_number": "617-555-0142", "started_at": f"2026-11-0{number}T09:00:00"}
        sidecar.write_text(json.dumps({**said, "hold_s": "0:45", "resolved": "no"}))
    told: dict[str, object] = {}
    scorer = type(house.stages.scorer)
    score = scorer.score

    def note(self: Any, dialogue: RedactedDialogue, *rest: Any, **named: Any) -> Scorecard:
        told[dialogue.call_id] = named["earlier_types"]
        return score(self, dialogue, *rest, **named)

    monkeypatch.setattr(scorer, "score", note)
    first, *_ = house.score([folder])
    assert first.record is not None
    call_type = first.record.scorecard.call_type
    assert told == {"calls-c1": (), "calls-c2": (call_type,), "calls-c3": ()}
    measures = {one.metric.name: one.value for one in house.measures(first.record)}
    assert (measures["hold_s"], measures["first_contact_resolved"]) == (45, False)
    basis = {call_id: one.basis for call_id, one in house.contacts(agent_id="agent-01").items()}
    assert basis == {"calls-c1": "call_record", "calls-c2": "not_first_contact"}


def test_running_again_does_only_what_is_missing_and_loads_no_engine(
    house: Monitor,
    folder: Path,
    recogniser: ScriptedRecogniser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house.score([folder])
    record(folder / "agent-02_c4_20261102T090000.wav", 4)
    recogniser.heard.clear()
    outcomes = house.score([folder])
    assert recogniser.heard == ["calls-c4"]
    assert sorted(statuses(outcomes).values()) == ["present", "present", "present", "scored"]

    del house.__dict__["stages"]
    monkeypatch.setattr(pipeline, "build_stages", lambda *_, **__: pytest.fail("engines loaded"))
    assert set(statuses(house.score([folder])).values()) == {"present"}


def test_again_scores_anew_as_another_run(house: Monitor, folder: Path) -> None:
    house.score([folder])
    outcomes = house.score([folder], again=True)
    assert set(statuses(outcomes).values()) == {"scored"}
    assert len(house.store.runs("calls-c1")) == 2


def test_the_same_recording_under_two_names_is_scored_once(house: Monitor, folder: Path) -> None:
    copy = folder / "agent-02_c9_20261103T090000.wav"
    copy.write_bytes((folder / "agent-01_c1_20261101T090000.wav").read_bytes())
    outcomes = {outcome.call_id: outcome for outcome in house.score([folder])}
    assert outcomes["calls-c1"].status == "scored"
    assert outcomes["calls-c9"].status == "duplicate"
    assert outcomes["calls-c9"].duplicate_of == "calls-c1"
    later = {outcome.call_id: outcome for outcome in house.score([copy])}
    assert later["calls-c9"].duplicate_of == "calls-c1"


def test_an_id_that_belongs_to_another_recording_is_refused(
    house: Monitor, folder: Path, tmp_path: Path
) -> None:
    house.score([folder])
    other = record(tmp_path / "other" / "agent-01_c1_20261101T090000.wav", 77)
    (outcome,) = house.score([other])
    assert isinstance(outcome.error, MetadataError)
    assert "another recording" in outcome.error.message


def test_of_two_recordings_that_claim_one_id_the_first_is_scored_and_the_other_refused(
    house: Monitor, folder: Path
) -> None:
    record(folder / "again" / "agent-02_c1_20261109T090000.wav", 77)
    outcomes = house.score([folder])
    by_status = [outcome.status for outcome in outcomes if outcome.call_id == "calls-c1"]
    assert sorted(by_status) == ["failed", "scored"]
    assert isinstance(next(o.error for o in outcomes if o.error), MetadataError)
    assert (house.config.data.folder / "audio" / "calls-c1.flac").is_file()


def test_a_call_scored_before_its_call_record_came_keeps_its_id_and_gains_the_agent(
    house: Monitor, tmp_path: Path, recogniser: ScriptedRecogniser
) -> None:
    path = record(tmp_path / "in" / "x.wav", 5)
    (before,) = house.score([path])
    path.with_suffix(".json").write_text('{"call_id": "c9", "agent_id": "agent-07"}')
    recogniser.heard.clear()
    (after,) = house.score([path])
    assert (after.call_id, after.status) == (before.call_id, "present")
    assert recogniser.heard == []
    assert house.record(before.call_id).recording.agent_id == "agent-07"
    path.with_suffix(".json").unlink()
    (scored,) = house.score([path], again=True)
    assert scored.call_id == before.call_id


def test_what_another_run_scored_meanwhile_is_not_scored_again(
    house: Monitor, folder: Path, recogniser: ScriptedRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_GROUP_CALLS", 1)

    class OtherRun:
        def advanced(self, call_id: str, stage: str, fraction: float) -> None:
            pass

        def finished(self, outcome: Outcome) -> None:
            if outcome.call_id == "calls-c1":
                house.score([folder / "agent-01_c2_20261101T090000.wav"])

    outcomes = house.score([folder], observer=OtherRun())
    assert statuses(outcomes)["calls-c2"] == "present"
    assert recogniser.heard == ["calls-c1", "calls-c2", "calls-c3"]


def test_corrected_metadata_change_the_record_and_run_nothing(
    house: Monitor, folder: Path, recogniser: ScriptedRecogniser
) -> None:
    house.score([folder])
    recogniser.heard.clear()
    path = folder / "agent-01_c1_20261101T090000.wav"
    path.with_suffix(".json").write_text('{"agent_id": "agent-07", "queue": "billing"}')
    house.score([path])
    assert recogniser.heard == []
    recording = house.record("calls-c1").recording
    assert (recording.agent_id, recording.queue) == ("agent-07", "billing")


def test_a_call_is_scored_by_the_rubric_of_its_department(
    house: Monitor, folder: Path, tmp_path: Path
) -> None:
    strict = load_rubric(make_rubric_file(tmp_path / "strict.toml", name="strict"))
    rubrics = replace(house.stages.rubrics, by_queue={"nurse-line": strict})
    house.__dict__["stages"] = replace(house.stages, rubrics=rubrics)
    for number, queue in ((1, "nurse-line"), (2, "billing")):
        path = folder / f"agent-01_c{number}_20261101T090000.json"
        path.write_text(f'{{"queue": "{queue}"}}')
    house.score([folder])
    versions = [house.record(f"calls-c{n}").scorecard.rubric_version for n in (1, 2, 3)]
    assert versions[0].startswith("strict-")
    assert not versions[1].startswith("strict-")
    assert versions[1] == versions[2]
    assert house.record("calls-c1").versions["rubric"] == versions[0]


def test_a_bad_recording_fails_alone_and_is_tried_again_next_time(
    house: Monitor, folder: Path
) -> None:
    bad = folder / "agent-01_c0_20261101T080000.wav"
    bad.write_bytes(b"this is no recording at all, " * 100)
    outcomes = house.score([folder])
    assert statuses(outcomes)["calls-c0"] == "failed"
    assert list(statuses(outcomes).values()).count("scored") == 3
    assert isinstance(outcomes[0].error, NotAudioError)
    (failure,) = house.store.failures()
    assert (failure.call_id, failure.stage) == ("calls-c0", "decoding")
    record(bad, 10)
    assert statuses(house.score([folder]))["calls-c0"] == "scored"
    assert house.store.failures() == ()


def test_a_recogniser_that_breaks_at_one_call_goes_on_with_the_next(
    house: Monitor, folder: Path
) -> None:
    recogniser = ScriptedRecogniser(SCRIPT, fails_on=lambda call_id: call_id == "calls-c2")
    house.__dict__["stages"] = replace(house.stages, recogniser=recogniser)
    outcomes = {outcome.call_id: outcome for outcome in house.score([folder])}
    assert {call: outcome.status for call, outcome in outcomes.items()} == {
        "calls-c1": "scored",
        "calls-c2": "failed",
        "calls-c3": "scored",
    }
    error = outcomes["calls-c2"].error
    assert isinstance(error, TranscriptionError)
    assert (error.kind, error.call_id) == ("RuntimeError", "calls-c2")
    assert "check up" not in error.message


def test_a_recording_without_speech_says_so(house: Monitor, folder: Path) -> None:
    house.__dict__["stages"] = replace(house.stages, recogniser=ScriptedRecogniser([]))
    outcomes = house.score([folder / "agent-01_c1_20261101T090000.wav"])
    assert isinstance(outcomes[0].error, NoSpeechError)


@pytest.mark.parametrize(
    ("name", "error_type"),
    [
        ("assign_speakers", StageError),
        ("call_metrics", ScoringError),
        ("raise_alerts", StageError),
        ("write_audio", RedactionError),
    ],
)
def test_a_stage_that_fails_keeps_nothing_of_its_call(
    house: Monitor,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    error_type: type[StageError],
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise KeyError("words of the call")

    monkeypatch.setattr(pipeline, name, fail)
    outcomes = house.score([folder])
    assert all(type(outcome.error) is error_type for outcome in outcomes)
    assert house.store.agents() == ()
    assert not list((house.config.data.folder / "audio").glob("*.flac"))


def test_a_full_disk_ends_the_batch_with_a_store_error_and_keeps_no_half(
    house: Monitor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> Any:
        raise StoreError("the database cannot grow: the disk is full")

    monkeypatch.setattr(type(house.store), "save_record", full)
    with pytest.raises(StoreError):
        house.score([folder])
    monkeypatch.undo()
    assert house.store.agents() == ()
    assert not list((house.config.data.folder / "audio").glob("*.flac"))
    assert set(statuses(house.score([folder])).values()) == {"scored"}
    kept = house.config.data.folder / "audio" / "calls-c1.flac"
    sound = kept.read_bytes()
    monkeypatch.setattr(type(house.store), "save_record", full)
    with pytest.raises(StoreError):
        house.score([folder], again=True)
    assert kept.read_bytes() == sound
    assert len(list(kept.parent.iterdir())) == 3


def test_a_run_stopped_in_the_middle_keeps_what_is_done_and_goes_on_from_there(
    house: Monitor, folder: Path, recogniser: ScriptedRecogniser
) -> None:
    class Stops:
        def advanced(self, call_id: str, stage: str, fraction: float) -> None:
            if call_id == "calls-c2" and stage == "scoring":
                raise KeyboardInterrupt

        def finished(self, outcome: Outcome) -> None:
            pass

    with pytest.raises(KeyboardInterrupt):
        house.score([folder], observer=Stops())
    assert house.store.has_record("calls-c1")
    assert not house.store.has_record("calls-c2")
    recogniser.heard.clear()
    outcomes = house.score([folder])
    assert statuses(outcomes) == {
        "calls-c1": "present",
        "calls-c2": "scored",
        "calls-c3": "scored",
    }
    assert recogniser.heard == ["calls-c2", "calls-c3"]


def test_the_alerts_of_a_call_go_out_before_the_next_call_is_scored(
    house: Monitor, folder: Path, tmp_path: Path
) -> None:
    told = tmp_path / "alerts.jsonl"
    urgent = ScriptedRecogniser(
        [
            (AGENT, "thank you for calling how can i help you"),
            (CALLER, "my husband has crushing chest pain and he can not breathe"),
            (AGENT, "we have an opening next tuesday in the afternoon"),
        ]
    )
    house.__dict__["stages"] = replace(house.stages, recogniser=urgent)
    alerts = house.config.alerts.model_copy(update={"console": False, "jsonl_file": told})
    house.config = house.config.model_copy(update={"alerts": alerts})
    told_after: list[str] = []

    class Watches:
        def advanced(self, call_id: str, stage: str, fraction: float) -> None:
            pass

        def finished(self, outcome: Outcome) -> None:
            told_after.append(told.read_text())

    house.score([folder], observer=Watches())
    assert "calls-c1" in told_after[0]
    assert "calls-c2" not in told_after[0]
    assert "calls-c3" in told_after[2]


@pytest.mark.slow
def test_a_run_that_is_killed_is_taken_up_at_once_by_the_next(
    house: Monitor, folder: Path, tmp_path: Path
) -> None:
    script = f"""
        import os, signal, sys
        from datetime import UTC, datetime
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from qa_monitor import pipeline
        from qa_monitor.monitor import Monitor
        from qa_monitor.config import Config
        from scripted import ScriptedRecogniser
        import test_pipeline

        class Dies(ScriptedRecogniser):
            def transcribe(self, call_id, audio, *, progress=None):
                if call_id == "calls-c2":
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().transcribe(call_id, audio)

        data = {str(tmp_path / "data")!r}
        monitor = Monitor(Config.model_validate({{"data": {{"folder": data}}}}))
        monitor.__dict__["recogniser"] = Dies(test_pipeline.SCRIPT)
        monitor.score([{str(folder)!r}])
    """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert house.store.has_record("calls-c1")
    outcomes = house.score([folder])
    assert statuses(outcomes) == {
        "calls-c1": "present",
        "calls-c2": "scored",
        "calls-c3": "scored",
    }
    assert len(house.store.runs("calls-c1")) == 1


def test_a_call_that_another_living_run_holds_is_left_to_it(house: Monitor, folder: Path) -> None:
    import socket

    worker = f"{socket.gethostname()}:{os.getppid()}:other"
    assert house.store.claim("calls-c2", worker=worker, now=datetime.now(UTC))
    assert statuses(house.score([folder])) == {
        "calls-c1": "scored",
        "calls-c2": "busy",
        "calls-c3": "scored",
    }


def verifying(house: Monitor, **settings: Any) -> None:
    house.__dict__["stages"] = replace(house.stages, **settings)


PATIENT = [
    (AGENT, "thank you for calling may i have your name and your phone number"),
    (CALLER, "my name is wilhelmina quackenbush and it is six one seven five five five oh one"),
    (CALLER, "i have crushing chest pain and i can not breathe"),
]


@pytest.fixture
def patient(house: Monitor, monkeypatch: pytest.MonkeyPatch) -> ScriptedRecogniser:
    """What is heard names the patient, and the kept sound is left as it was."""
    recogniser = ScriptedRecogniser(PATIENT)
    verifying(house, recogniser=recogniser)
    monkeypatch.setattr(pipeline, "redacted_audio", lambda audio, *_, **__: audio)
    return recogniser


def test_nothing_is_listened_to_twice_unless_it_is_wanted(
    house: Monitor, folder: Path, recogniser: ScriptedRecogniser
) -> None:
    house.score([folder])
    assert sorted(recogniser.heard) == ["calls-c1", "calls-c2", "calls-c3"]
    assert house.record("calls-c1").dialogue.verification is None


def test_a_call_whose_copy_leaks_is_kept_for_review_with_the_places(
    house: Monitor, folder: Path, patient: ScriptedRecogniser
) -> None:
    verifying(house, verify="flag")
    outcomes = house.score([folder])
    assert set(statuses(outcomes).values()) == {"scored"}
    record = house.record("calls-c1")
    assert record.dialogue.verification is not None
    assert record.dialogue.verification.verdict == "leak"
    assert {place.entity_type for place in record.dialogue.verification.places} >= {"PERSON"}
    assert "redacted_audio_leak" in record.scorecard.review_reasons
    assert (house.config.data.folder / "audio" / "calls-c1.flac").is_file()


def test_a_copy_that_holds_back_its_phi_marks_nothing(house: Monitor, folder: Path) -> None:
    verifying(house, verify="fail", recogniser=ScriptedRecogniser(PATIENT))
    house.score([folder])
    record = house.record("calls-c1")
    assert record.dialogue.verification is not None
    assert record.dialogue.verification.verdict == "clean"
    assert not any("audio" in reason for reason in record.scorecard.review_reasons)


def test_a_call_whose_copy_leaks_can_be_made_to_fail_and_leaves_nothing(
    house: Monitor, folder: Path, patient: ScriptedRecogniser
) -> None:
    verifying(house, verify="fail")
    outcomes = house.score([folder])
    for outcome in outcomes:
        assert isinstance(outcome.error, LeakError)
        assert "quackenbush" not in outcome.error.message
    failures = house.store.failures()
    assert {(failure.stage, failure.error) for failure in failures} == {
        ("verification", "LeakError")
    }
    assert house.store.agents() == ()
    assert house.alerts() == ()
    assert not list((house.config.data.folder / "audio").glob("*"))


def test_a_share_of_the_calls_is_listened_to_and_always_the_same(
    house: Monitor, folder: Path, recogniser: ScriptedRecogniser
) -> None:
    verifying(house, verify="flag", verify_share=0.5)
    for again in (False, True):
        recogniser.heard.clear()
        outcomes = house.score([folder], again=again)
        for outcome in outcomes:
            assert outcome.record is not None
            wanted = is_chosen(outcome.call_id, 0.5)
            assert recogniser.heard.count(outcome.call_id) == 1 + wanted
            assert (outcome.record.dialogue.verification is not None) == wanted


def heard_as(*words: tuple[str, float]) -> Transcript:
    """Words and their confidences on the left channel, a second each but the first, from 1 s on."""
    said = tuple(
        Word(text=text, start_s=1.0 + index, end_s=2.0 + index, confidence=confidence)
        for index, (text, confidence) in enumerate(words)
    )
    segment = Segment(
        channel=0,
        start_s=said[0].start_s,
        end_s=said[-1].end_s,
        text=" ".join(word.text for word in said),
        words=said,
        confidence=0.9,
    )
    return Transcript(call_id="c", language="en", asr_model="m", segments=(segment,), dropped_s=0.0)


def test_a_surname_that_was_misheard_beside_a_first_name_is_silent_too(stages: Stages) -> None:
    audio = DecodedAudio(np.full((2, 16_000 * 10), 9000, np.int16))
    transcript = heard_as(
        ("my", 0.95),
        ("name", 0.95),
        ("is", 0.95),
        ("wilhelmina", 0.9),
        ("quick", 0.5),
        ("thanks", 0.5),
        ("and", 0.5),
        ("the", 0.5),
        ("bye", 0.95),
    )
    dialogue = assign_speakers(transcript, audio, agent_channel=0)
    redacted = stages.redactor.redact(dialogue)
    quiet = redacted_audio(audio, transcript, redacted, mode="mute", margin_s=0.1).samples
    loud = {w.text: bool(quiet[0, int(w.start_s * 16_000) + 8000]) for w in dialogue.turns[0].words}
    assert not loud["wilhelmina"]
    assert not loud["quick"]
    assert not loud["thanks"]
    # Two words at most beside what was redacted, and none that were heard well.
    assert loud["the"]
    assert loud["is"]
    assert loud["bye"]


def test_a_word_that_was_guessed_is_silent_in_the_kept_sound(stages: Stages) -> None:
    audio = DecodedAudio(np.full((2, 16_000 * 10), 9000, np.int16))
    transcript = heard_as(("good", 0.9), ("morning", 0.9), ("mister", 0.9), ("you", 0.2))
    redacted = stages.redactor.redact(assign_speakers(transcript, audio, agent_channel=0))
    quiet = redacted_audio(audio, transcript, redacted, mode="mute", margin_s=0.1).samples
    assert quiet[0, int(3.5 * 16_000)]
    assert not quiet[0, int(4.5 * 16_000)]


def test_speech_that_nobody_recognised_is_silent_in_the_kept_sound(stages: Stages) -> None:
    samples = np.full((2, 16_000 * 10), 9000, np.int16)
    word = Word(text="hello", start_s=4.0, end_s=4.4, confidence=0.9)
    segment = Segment(
        channel=0, start_s=4.0, end_s=4.4, text="hello", words=(word,), confidence=0.9
    )
    transcript = Transcript(
        call_id="c", language="en", asr_model="m", segments=(segment,), dropped_s=1.0
    )
    dialogue = assign_speakers(transcript, DecodedAudio(samples), agent_channel=0)
    redacted = stages.redactor.redact(dialogue)
    quiet = redacted_audio(
        DecodedAudio(samples), transcript, redacted, mode="mute", margin_s=0.1
    ).samples
    at: Callable[[int, float], int] = lambda channel, second: int(  # noqa: E731
        quiet[channel, int(second * 16_000)]
    )
    assert at(0, 4.2) != 0
    assert at(0, 1.0) == at(0, 8.0) == at(1, 4.2) == 0


def test_the_configuration_reaches_the_stages(tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "data": {"folder": tmp_path},
            "intake": {"agent_channel": "left", "agents": ["a"], "source": "east"},
            "sources": {
                "west": {"agent_channel": "right", "filename_patterns": [r"(?P<call_id>x)"]}
            },
            "audio": {"max_duration_h": 1, "max_size_mb": 2},
        }
    )
    rules = pipeline.intake_rules(config)
    assert (rules.source, rules.agents) == ("east", frozenset({"a"}))
    assert rules.default.agent_channel == 0
    assert rules.sources["west"].agent_channel == 1
    assert rules.sources["west"].filename_patterns[0].pattern == "(?P<call_id>x)"
    own = make_rubric_file(tmp_path / "nurses.toml", name="nurses")
    scoring = {"department_rubrics": {"nurse-line": own}}
    rubrics = pipeline.build_rubrics(Config.model_validate({"scoring": scoring}))
    assert rubrics.of("nurse-line").name == "nurses"
    assert rubrics.of("billing") is rubrics.of(None) is rubrics.default
    limits = pipeline.decode_limits(config)
    assert (limits.max_duration_s, limits.max_bytes) == (3600, 2_000_000)
