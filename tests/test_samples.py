"""The samples say, hold and promise one thing: scripts, recordings, records and results agree."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from qa_monitor.audio import decode
from qa_monitor.calls import CallType, EntityType, EscalationOutcome
from qa_monitor.config import IntakeSettings
from qa_monitor.intake import METADATA_FIELDS, Intake, IntakeRules, SourceRules, take_in
from qa_monitor.training import voices

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
RECORDINGS = SAMPLES / "recordings"

LABELS = {
    "op": "emotion difficulty loss fear success",
    "emo": "worried sad angry confused relieved",
    "flag": "chest_pain stroke breathing bleeding swelling_airway unresponsive seizure confusion "
    "overdose_poisoning injury abdominal_pain head_pain stiff_neck_fever suicide harm_others "
    "pregnancy sepsis violence infant",
    "urg": "1 2 3",
    "resp": "none perfunctory acknowledged pursued confirmed dismissive",
    "lis": "open_question clarifying_question reflection read_back teach_back summary "
    "anything_else builds_on asks_again ignores_detail interrupts answers_other",
    "act": "emergency_number transfer_now same_day timed_callback message_only red_flag_question "
    "asks_location safety_instruction stays_on_line commitment minimises",
    "chk": "greeting identity next_step follow_up closing apology explains",
}
CALLER_LABELS = {"op", "emo", "flag", "urg"}

DIGITS = {
    word: str(digit)
    for digit, word in enumerate("zero one two three four five six seven eight nine".split())
}


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_samples", SAMPLES / "make_samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


make_samples = load_generator()
SCRIPTS = make_samples.read_scripts()


def read_lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / name).read_text("utf-8").splitlines()]


RESULTS = read_lines("expected.jsonl")
TIMINGS = {timing["id"]: timing for timing in read_lines("timings.jsonl")}


@cache
def decoded(result_number: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    result = RESULTS[result_number]
    return decode(SAMPLES / result["audio"], call_id=result["id"]).samples


def digits(spoken: str) -> str:
    return "".join(DIGITS[word] for word in re.findall(r"[a-z]+", spoken.lower()))


def take_in_samples(*, metadata: Path | None, folder: Path = RECORDINGS) -> tuple[Intake, ...]:
    settings = IntakeSettings()
    rules = IntakeRules(
        source=settings.source,
        default=SourceRules(
            agent_channel=None,
            filename_patterns=tuple(re.compile(p) for p in settings.filename_patterns),
        ),
        sources={},
        time_format=settings.time_format,
        timezone="America/Chicago",
        agents=frozenset(),
        caller_secret=b"k" * 32,
    )
    taken, refused = take_in([str(folder)], metadata=metadata, rules=rules)
    assert refused == ()
    return taken


# --- scripts -------------------------------------------------------------------------------------


def test_the_texts_beside_the_recordings_are_what_the_scripts_say() -> None:
    for name, text in make_samples.texts(SCRIPTS).items():
        assert (SAMPLES / name).read_text("utf-8") == text, f"{name}: run make_samples.py"


def test_every_phi_span_of_the_expected_results_is_at_its_offsets() -> None:
    for result in RESULTS:
        for turn in result["turns"]:
            for phi in turn["phi"]:
                assert turn["text"][phi["start"] : phi["end"]] == phi["text"]
                assert phi["type"] in set(EntityType)
            assert not set("[]{}|") & set(turn["text"])


def test_a_script_turn_reads_its_labels_and_offsets_out_of_the_marks(tmp_path: Path) -> None:
    path = tmp_path / "c1.txt"
    header = "\n".join(f"{name}: -" for name in sorted(make_samples._HEADER_FIELDS))
    turn = "caller {op=fear flag=stroke,seizure}: I am [Ann Lee|PERSON], from [Troy|LOCATION]."
    path.write_text(f"=== c1\n{header}\n---\n* pause 2.5\n{turn}\n", encoding="utf-8")
    (read,) = make_samples.read_script(path).turns
    assert read.text == "I am Ann Lee, from Troy."
    assert [(phi.start, phi.end, phi.type) for phi in read.phi] == [
        (5, 12, "PERSON"),
        (19, 23, "LOCATION"),
    ]
    assert read.labels == {"op": ("fear",), "flag": ("stroke", "seizure")}
    assert [(sound.kind, sound.seconds) for sound in read.before] == [("pause", 2.5)]


@pytest.mark.parametrize("line", ["nurse: Hello.", "* thunder 3", "agent Hello."])
def test_a_malformed_script_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "c1.txt"
    header = "\n".join(f"{name}: -" for name in sorted(make_samples._HEADER_FIELDS))
    path.write_text(f"=== c1\n{header}\n---\nagent: Hello.\n{line}\n", encoding="utf-8")
    with pytest.raises(make_samples.ScriptError, match=r"c1\.txt, line 23"):
        make_samples.read_script(path)


def test_labels_are_of_the_known_sets_and_on_the_right_speaker() -> None:
    for script in SCRIPTS:
        for turn in script.turns:
            for key, values in turn.labels.items():
                assert set(values) <= set(LABELS[key].split()), (script.name, key)
                assert (key in CALLER_LABELS) == (turn.speaker == "caller"), (script.name, key)


def test_every_empathic_opportunity_is_followed_by_a_labelled_response() -> None:
    for script in SCRIPTS:
        for turn, after in zip(script.turns, script.turns[1:], strict=False):
            assert ("op" in turn.labels) == ("resp" in after.labels), (script.name, turn.text)


def test_call_labels_agree_with_turn_labels() -> None:
    for script, result in zip(SCRIPTS, RESULTS, strict=True):
        levels = [int(level) for turn in script.turns for level in turn.labels.get("urg", ())]
        assert result["urgency"] == max(levels, default=0), script.name
        assert (result["escalation_score"] is None) == (result["urgency"] == 0), script.name
        assert {result["call_type"], *result["also"]} <= set(CallType)
        assert result["escalated"] in set(EscalationOutcome)


# --- what was promised ---------------------------------------------------------------------------


def test_there_are_four_agents_with_three_or_four_calls_of_different_quality() -> None:
    empathy = defaultdict(list)
    for script, result in zip(SCRIPTS, RESULTS, strict=True):
        empathy[script.header["agent_id"]].append(result["empathy"])
    assert sorted(empathy) == ["agent-01", "agent-02", "agent-03", "agent-04"]
    assert all(len(points) in (3, 4) for points in empathy.values())
    assert min(empathy["agent-01"]) > max(empathy["agent-02"]) > max(empathy["agent-03"])
    assert empathy["agent-04"] == sorted(empathy["agent-04"])
    assert empathy["agent-04"][0] < empathy["agent-04"][-1]


def test_at_least_eight_call_types_and_both_directions_occur() -> None:
    assert len({result["call_type"] for result in RESULTS}) >= 8
    assert {result["direction"] for result in RESULTS} == {"inbound", "outbound"}
    assert any(result["after_hours"] for result in RESULTS)


def test_urgent_calls_are_escalated_well_late_and_not_and_routine_ones_alarm_falsely() -> None:
    outcomes = Counter((result["urgency"], result["escalated"]) for result in RESULTS)
    assert outcomes[3, "properly"] == 1
    assert outcomes[3, "late_or_partial"] == 2
    assert outcomes[3, "missed"] == 1
    assert outcomes[0, "unneeded"] == 1
    assert outcomes[1, "properly"] == 1


def test_one_emergency_hides_behind_plain_words() -> None:
    (words,) = (
        " ".join(turn.text.lower() for turn in script.turns)
        for script in SCRIPTS
        if any("stroke" in turn.labels.get("flag", ()) for turn in script.turns)
    )
    assert "face looks crooked" in words
    assert not re.search(r"stroke|emergency|ambulance|nine one one|slurred|droop", words)


def test_the_false_alarm_names_red_flags_that_are_denied_or_past() -> None:
    (script,) = (s for s in SCRIPTS if s.header["escalated"] == "unneeded")
    words = " ".join(turn.text.lower() for turn in script.turns)
    assert "no chest pain" in words
    assert "heart attack i had in two thousand nineteen" in words
    assert not any("flag" in turn.labels for turn in script.turns)


def test_the_calls_are_spread_over_five_weeks() -> None:
    starts = sorted(datetime.fromisoformat(script.header["started_at"]) for script in SCRIPTS)
    assert len({start.isocalendar().week for start in starts}) == 5
    assert starts[-1] - starts[0] < timedelta(weeks=5)
    by_agent = defaultdict(set)
    for script in SCRIPTS:
        started_at = datetime.fromisoformat(script.header["started_at"])
        by_agent[script.header["agent_id"]].add(started_at.isocalendar().week)
    assert all(len(weeks) >= 3 for weeks in by_agent.values())


def test_every_phone_number_is_a_fictitious_555_01_one() -> None:
    for script, result in zip(SCRIPTS, RESULTS, strict=True):
        assert re.fullmatch(r"\+1-\d{3}-555-01\d\d", script.header["caller_number"])
        for turn in result["turns"]:
            for phi in turn["phi"]:
                if phi["type"] in ("PHONE", "FAX"):
                    assert re.fullmatch(r"\d{3}55501\d\d", digits(phi["text"])), script.name
            unmarked = turn["text"].lower()
            for phi in turn["phi"]:
                unmarked = unmarked.replace(phi["text"].lower(), "")
            assert "five five five" not in unmarked, script.name


def test_the_caller_s_own_number_is_that_of_the_call_record() -> None:
    for script in SCRIPTS:
        own = script.header["caller_number"].removeprefix("+1-").replace("-", "")
        said = [digits(p.text) for t in script.turns for p in t.phi if p.type == "PHONE"]
        assert own in said or script.name == "c1009", script.name


def test_sensitive_words_of_many_kinds_are_spoken() -> None:
    kinds = Counter(phi["type"] for r in RESULTS for turn in r["turns"] for phi in turn["phi"])
    assert {
        *("PERSON", "DATE", "AGE", "LOCATION", "ORGANIZATION", "PHONE", "FAX"),
        *("EMAIL", "MEMBER_ID", "MRN", "ACCOUNT"),
    } <= kinds.keys()
    assert any(re.search(r"\b[A-Z], [A-Z], ", turn["text"]) for r in RESULTS for turn in r["turns"])


def test_each_agent_has_one_voice_and_no_call_has_one_voice_for_both() -> None:
    agent_voices = defaultdict(set)
    for script in SCRIPTS:
        agent, caller = script.voice("agent"), script.voice("caller")
        assert agent.name != caller.name
        assert {agent.name, caller.name} <= voices.SAMPLE_VOICES.keys()
        agent_voices[script.header["agent_id"]].add(agent)
    assert all(len(used) == 1 for used in agent_voices.values())
    mono = next(script for script in SCRIPTS if not script.is_dual)
    sexes = {voices.SAMPLE_VOICES[mono.voice(who).name].sex for who in ("agent", "caller")}
    assert len(sexes) == 2


# --- recordings ----------------------------------------------------------------------------------


def test_the_recordings_together_are_under_25_mb() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < 25e6


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.name))
def test_every_recording_has_the_codec_and_rate_of_its_script(script: Any) -> None:
    import av

    with av.open(str(RECORDINGS / script.file_name)) as container:
        (stream,) = container.streams.audio
        name = stream.codec_context.name.removesuffix("float")
        # Opus always plays at 48 kHz, whatever it was made from.
        rate_hz = 48_000 if script.codec == "libopus" else 8_000
        assert stream.codec_context.sample_rate == rate_hz
        assert stream.codec_context.channels == (2 if script.is_dual else 1)
    assert script.codec in (name, f"lib{name}", f"lib{name}lame")


@pytest.mark.parametrize("number", range(len(RESULTS)), ids=lambda n: str(RESULTS[n]["id"]))
def test_every_recording_decodes_whole_and_below_full_scale(number: int) -> None:
    samples = decoded(number)
    timing = TIMINGS[RESULTS[number]["id"]]
    assert samples.shape[0] == (2 if SCRIPTS[number].is_dual else 1)
    assert samples.shape[1] / 16_000 == pytest.approx(timing["duration_s"], abs=0.15)
    assert 50 < timing["duration_s"] < 125
    peaks = np.abs(samples.astype(np.int32)).max(axis=1)
    assert (peaks < 32_000).all()
    assert (peaks > 8_000).all()


@pytest.mark.parametrize("number", range(len(RESULTS)), ids=lambda n: str(RESULTS[n]["id"]))
def test_every_turn_sounds_at_its_time_on_its_speaker_s_channel(number: int) -> None:
    samples = decoded(number).astype(np.float64)
    timed = TIMINGS[RESULTS[number]["id"]]["turns"]
    assert len(timed) == len(RESULTS[number]["turns"])
    for place, turn in enumerate(timed):
        # Where two speak at once both channels sound.
        after = timed[place + 1]["start_s"] if place + 1 < len(timed) else turn["end_s"]
        before = timed[place - 1]["end_s"] if place else 0.0
        start = round(max(turn["start_s"], before) * 16_000)
        end = round(min(turn["end_s"], after) * 16_000)
        level = np.sqrt(np.mean(np.square(samples[:, start:end]), axis=1))
        assert level[turn["channel"]] > 500
        assert all(level[turn["channel"]] > 10 * one for one in np.delete(level, turn["channel"]))


def test_one_recording_has_the_agent_on_the_right_and_its_sidecar_says_so() -> None:
    (script,) = (s for s in SCRIPTS if s.header["agent_channel"] == "right")
    sidecar = json.loads((RECORDINGS / script.file_name).with_suffix(".json").read_text("utf-8"))
    assert sidecar["agent_channel"] == "right"
    turns = TIMINGS[f"samples-{script.name}"]["turns"]
    assert [turn["channel"] == 1 for turn in turns] == [t.speaker == "agent" for t in script.turns]


def test_most_recordings_are_two_channel_mu_law_and_the_rest_are_of_other_kinds() -> None:
    kinds = Counter(script.header["audio"] for script in SCRIPTS)
    assert kinds["wav pcm_mulaw dual"] > len(SCRIPTS) / 2
    assert kinds["mp3 libmp3lame mono"] == 1
    assert kinds["ogg libopus dual"] == 1


def test_one_recording_has_ringing_hold_music_and_a_long_silence() -> None:
    (script,) = (
        script
        for script in SCRIPTS
        if {"ringing", "hold_music", "silence"} <= {s.kind for t in script.turns for s in t.before}
    )
    number = SCRIPTS.index(script)
    held = next(i for i, t in enumerate(script.turns) if any(s.kind == "silence" for s in t.before))
    music, silence = script.turns[held].before
    turns = TIMINGS[RESULTS[number]["id"]]["turns"]
    resumed = turns[held]["start_s"]
    samples = decoded(number).astype(np.float64)

    def level(start_s: float, end_s: float) -> float:
        stretch = samples[:, round(start_s * 16_000) : round(end_s * 16_000)]
        return float(np.sqrt(np.mean(np.square(stretch))))

    assert resumed - turns[held - 1]["end_s"] > music.seconds + silence.seconds
    assert level(resumed - silence.seconds, resumed - 0.1) < 100
    assert level(turns[held - 1]["end_s"] + 2.0, resumed - silence.seconds - 2.0) > 500
    assert level(0.8, 2.5) > 500


def test_some_turns_overlap() -> None:
    overlaps = [
        script.name
        for script in SCRIPTS
        for turn, after in zip(
            TIMINGS[f"samples-{script.name}"]["turns"],
            TIMINGS[f"samples-{script.name}"]["turns"][1:],
            strict=False,
        )
        if after["start_s"] < turn["end_s"]
    ]
    assert len(overlaps) >= 8
    assert not any(script.name in overlaps for script in SCRIPTS if not script.is_dual)


# --- call records --------------------------------------------------------------------------------


def test_call_records_and_sidecars_hold_the_same_known_fields() -> None:
    with (SAMPLES / "calls.csv").open(encoding="utf-8", newline="") as file:
        rows = {row.pop("file"): row for row in csv.DictReader(file)}
    audio = {path.name for path in RECORDINGS.iterdir() if path.suffix != ".json"}
    assert rows.keys() == audio
    for name, row in rows.items():
        sidecar = (RECORDINGS / name).with_suffix(".json")
        assert json.loads(sidecar.read_text("utf-8")) == row
        assert row.keys() <= METADATA_FIELDS


def test_intake_takes_every_sample_with_the_agent_and_time_of_its_script() -> None:
    taken = {intake.call_id: intake for intake in take_in_samples(metadata=None)}
    assert taken.keys() == {result["id"] for result in RESULTS}
    for script, result in zip(SCRIPTS, RESULTS, strict=True):
        intake = taken[result["id"]]
        assert intake.path.name == Path(result["audio"]).name
        assert intake.agent_id == script.header["agent_id"]
        assert intake.queue == script.header["queue"]
        assert intake.direction == result["direction"]
        assert intake.started_at == datetime.fromisoformat(script.header["started_at"])
        channel = {"left": 0, "right": 1}[result["agent_channel"]] if script.is_dual else None
        assert ("agent_channel" in result) == script.is_dual
        assert intake.agent_channel == channel


def test_call_records_alone_and_sidecars_alone_tell_intake_the_same(tmp_path: Path) -> None:
    for path in RECORDINGS.iterdir():
        if path.suffix != ".json":
            (tmp_path / path.name).symlink_to(path)
    by_records = take_in_samples(metadata=SAMPLES / "calls.csv", folder=tmp_path)
    by_sidecars = take_in_samples(metadata=None)

    def facts(intake: Intake) -> tuple[object, ...]:
        return tuple(getattr(intake, name) for name in Intake.__slots__ if name != "path")

    assert [facts(i) for i in by_records] == [facts(i) for i in by_sidecars]


def test_file_names_alone_tell_intake_agent_call_and_time(tmp_path: Path) -> None:
    for path in RECORDINGS.iterdir():
        if path.suffix != ".json":
            (tmp_path / path.name).symlink_to(path)
    by_names = take_in_samples(metadata=None, folder=tmp_path)
    by_sidecars = take_in_samples(metadata=None)
    assert [i.call_id.removeprefix("calls-") for i in by_names] == [
        i.call_id.removeprefix("samples-") for i in by_sidecars
    ]
    for name in ("agent_id", "started_at"):
        assert [getattr(i, name) for i in by_names] == [getattr(i, name) for i in by_sidecars]


def test_one_caller_phones_again_about_the_same_matter() -> None:
    keys = Counter(intake.caller_key for intake in take_in_samples(metadata=None))
    assert sorted(keys.values()) == [1] * (len(SCRIPTS) - 2) + [2]
    repeats = [s for s in SCRIPTS if s.header["caller_number"].endswith("0116")]
    assert [s.header["call_type"] for s in repeats] == ["billing", "billing"]
    assert repeats[0].header["agent_id"] != repeats[1].header["agent_id"]


# --- the generator -------------------------------------------------------------------------------


@pytest.mark.voices
def test_the_generator_makes_the_same_samples_again() -> None:
    if not voices.installed():
        pytest.skip("needs espeak-ng and flite")
    run = subprocess.run(
        [sys.executable, str(SAMPLES / "make_samples.py"), "--check", "c1006"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_a_comparison_names_the_files_that_differ_or_are_missing(tmp_path: Path) -> None:
    there, made = tmp_path / "there", tmp_path / "made"
    for folder, table, results in ((there, "h\na\nb\n", "{}\n"), (made, "h\na\n", '{"x": 1}\n')):
        (folder / "recordings").mkdir(parents=True)
        (folder / "calls.csv").write_text(table, encoding="utf-8")
        (folder / "expected.jsonl").write_text(results, encoding="utf-8")
    (made / "recordings" / "x.wav").write_bytes(b"RIFF")
    assert make_samples.differences(there, made) == ["expected.jsonl", "recordings/x.wav"]
