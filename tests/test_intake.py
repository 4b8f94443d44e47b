"""intake: recordings are found in a fixed order, named without their file names, or refused."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qa_monitor.calls import Direction
from qa_monitor.config import IntakeSettings
from qa_monitor.errors import ConfigError, MetadataError, NotAudioError, StoreError, UsageError
from qa_monitor.intake import (
    Intake,
    IntakeRules,
    Refusal,
    SourceRules,
    load_caller_secret,
    take_in,
)

PATTERN = re.compile(IntakeSettings().filename_patterns[0])
DEFAULT = SourceRules(agent_channel=None, filename_patterns=(PATTERN,))


def rules(**changed: object) -> IntakeRules:
    fields: dict[str, object] = {
        "source": "calls",
        "default": DEFAULT,
        "sources": {"west": SourceRules(agent_channel=1, filename_patterns=())},
        "time_format": "%Y%m%dT%H%M%S",
        "timezone": "UTC",
        "agents": frozenset(),
        "caller_secret": b"s" * 32,
    }
    return IntakeRules(**{**fields, **changed})  # type: ignore[arg-type]


def recording(path: Path, content: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(path.name.encode() if content is None else content)
    return path


def one(paths: list[Path], metadata: Path | None = None, **changed: object) -> Intake | Refusal:
    intakes, refusals = take_in(
        [str(path) for path in paths], metadata=metadata, rules=rules(**changed)
    )
    results: list[Intake | Refusal] = [*intakes, *refusals]
    assert len(results) == 1
    return results[0]


def taken(*paths: Path, metadata: Path | None = None, **changed: object) -> Intake:
    result = one(list(paths), metadata, **changed)
    assert isinstance(result, Intake), result
    return result


def refused(*paths: Path, metadata: Path | None = None, **changed: object) -> Refusal:
    result = one(list(paths), metadata, **changed)
    assert isinstance(result, Refusal)
    return result


# --- finding -------------------------------------------------------------------------------------


def test_a_folder_is_searched_whole_and_in_order(tmp_path: Path) -> None:
    for name in ("b.mp3", "deep/er/a.WAV", "a.wav", "notes.txt", "a.json", ".hidden.wav"):
        recording(tmp_path / name, b"{}" if name.endswith("json") else None)
    intakes, refusals = take_in([str(tmp_path)], metadata=None, rules=rules())
    assert [intake.path.name for intake in intakes] == ["a.wav", "b.mp3", "a.WAV"]
    assert [intake.position for intake in intakes] == [1, 2, 3]
    assert refusals == ()


def test_a_pattern_matches_recordings_and_a_named_file_is_tried_whatever_its_name(
    tmp_path: Path,
) -> None:
    recording(tmp_path / "x1.wav")
    recording(tmp_path / "x2.wav")
    recording(tmp_path / "call.recording")
    intakes, _ = take_in(
        [str(tmp_path / "x*.wav"), str(tmp_path / "call.recording"), str(tmp_path / "x1.wav")],
        metadata=None,
        rules=rules(),
    )
    assert [intake.path.name for intake in intakes] == ["x1.wav", "x2.wav", "call.recording"]


def test_sidecars_that_a_shell_pattern_names_are_no_recordings(tmp_path: Path) -> None:
    path = recording(tmp_path / "x1.wav")
    sidecar = recording(tmp_path / "x1.json", b"{}")
    assert taken(path, sidecar).path == path
    with pytest.raises(UsageError, match="call records only"):
        take_in([str(sidecar)], metadata=None, rules=rules())


@pytest.mark.parametrize("name", ["Maria Alvarez.wav", "Maria Alvarez/*.wav"])
def test_a_path_that_is_not_there_is_a_usage_error_that_does_not_repeat_it(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError, match="path 1") as error:
        take_in([str(tmp_path / name)], metadata=None, rules=rules())
    assert "Alvarez" not in str(error.value)


@pytest.mark.parametrize("name", ["/dev/null", "~nobody-of-that-name/a.wav", "a" * 300])
def test_what_is_no_file_or_cannot_be_looked_up_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="path 1") as error:
        take_in([name], metadata=None, rules=rules())
    assert name not in str(error.value)


def test_the_copies_that_the_product_keeps_are_not_taken_for_recordings(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav")
    recording(tmp_path / "data" / "audio" / "calls-c1.flac")
    intakes, _ = take_in([str(tmp_path)], metadata=None, rules=rules(own_folder=tmp_path / "data"))
    assert [intake.path for intake in intakes] == [path]


def test_a_folder_without_recordings_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(UsageError, match="holds no recordings"):
        take_in([str(tmp_path)], metadata=None, rules=rules())


# --- identity ------------------------------------------------------------------------------------


def test_the_file_name_pattern_gives_agent_id_and_time(tmp_path: Path) -> None:
    intake = taken(
        recording(tmp_path / "agent-07_c1001_20261019T091500.wav"), timezone="America/Chicago"
    )
    assert (intake.agent_id, intake.call_id) == ("agent-07", "calls-c1001")
    assert intake.started_at == datetime(2026, 10, 19, 9, 15, tzinfo=ZoneInfo("America/Chicago"))


def test_a_recording_without_an_id_is_named_by_its_content_and_never_by_its_file(
    tmp_path: Path,
) -> None:
    first = taken(recording(tmp_path / "maria alvarez.wav", b"one"))
    again = taken(recording(tmp_path / "other.wav", b"one"))
    other = taken(recording(tmp_path / "third.wav", b"two"))
    assert first.call_id == again.call_id != other.call_id
    assert first.call_id == f"calls-{first.sha256[:12]}"
    assert "alvarez" not in repr(first)


def test_a_sidecar_wins_over_call_records_and_these_over_the_file_name(tmp_path: Path) -> None:
    path = recording(tmp_path / "agent-07_c1001_20261019T091500.wav")
    records = tmp_path / "calls.csv"
    records.write_text(f"file,call_id,queue\n{path.name},c2,billing\n")
    path.with_suffix(".json").write_text(json.dumps({"call_id": "c3", "direction": "outbound"}))
    intake = taken(path, metadata=records)
    assert (intake.call_id, intake.queue, intake.agent_id) == ("calls-c3", "billing", "agent-07")
    assert intake.direction is Direction.OUTBOUND


def test_a_source_brings_its_own_rules(tmp_path: Path) -> None:
    path = recording(tmp_path / "agent-07_c1001_20261019T091500.wav")
    path.with_suffix(".json").write_text(json.dumps({"source": "west", "call_id": 17}))
    intake = taken(path)
    assert (intake.call_id, intake.agent_channel, intake.agent_id) == ("west-17", 1, None)


def test_only_allowed_fields_are_taken_in(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav")
    path.with_suffix(".json").write_text(
        json.dumps({"patient_name": "Maria Alvarez", "agent_id": "a1"})
    )
    assert "Alvarez" not in repr(vars_of(taken(path)))


def vars_of(intake: Intake) -> dict[str, object]:
    return {name: getattr(intake, name) for name in intake.__slots__}


def test_a_caller_number_becomes_a_key_that_knows_repeat_callers_only(tmp_path: Path) -> None:
    def key(number: str, secret: bytes = b"s" * 32) -> str | None:
        path = recording(tmp_path / "a.wav")
        path.with_suffix(".json").write_text(json.dumps({"caller_number": number}))
        return taken(path, caller_secret=secret).caller_key

    assert key("617-555-0142") == key("+1 (617) 555 0142") != key("617-555-0143")
    assert key("617-555-0142") != key("617-555-0142", b"t" * 32)
    assert "555" not in (key("617-555-0142") or "") or key("") is None
    assert key("") is None


def test_the_caller_secret_is_made_once_and_private(tmp_path: Path) -> None:
    secret = load_caller_secret(tmp_path / "data")
    assert load_caller_secret(tmp_path / "data") == secret
    assert len(secret) == 32
    path = tmp_path / "data" / "caller-key.secret"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list((tmp_path / "data").iterdir()) == [path]
    path.write_bytes(b"short")
    with pytest.raises(StoreError, match="damaged"):
        load_caller_secret(tmp_path / "data")


# --- what is refused -----------------------------------------------------------------------------


def test_an_empty_file_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    recording(tmp_path / "a.wav", b"")
    recording(tmp_path / "b.wav")
    intakes, refusals = take_in([str(tmp_path)], metadata=None, rules=rules())
    assert [intake.position for intake in intakes] == [2]
    assert isinstance(refusals[0].error, NotAudioError)
    assert refusals[0].position == 1
    assert refusals[0].call_id in str(refusals[0].error.call_id)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"agent_id": "agent-99"}, "agent-99 is not among"),
        ({"started_at": "yesterday"}, "ISO 8601"),
        ({"direction": "sideways"}, "direction"),
        ({"agent_channel": "middle"}, "agent_channel"),
        ({"started_at": "0001-01-01T00:00:00+09:00"}, "ISO 8601"),
        ({"call_id": "../../etc"}, "call_id"),
        ({"queue": "a b"}, "queue"),
        ({"source": "a/b"}, "source"),
        ({"hold_s": "a while"}, "hold_s"),
        ({"hold_s": "-1"}, "hold_s"),
        ({"hold_s": "1:75"}, "hold_s"),
        ({"after_call_s": "nan"}, "after_call_s"),
        ({"after_call_s": "100000"}, "after_call_s"),
        ({"disposition_code": "told Maria"}, "disposition_code"),
        ({"resolved": "mostly"}, "resolved"),
        ({"transferred": "to Maria"}, "transferred"),
    ],
)
def test_impossible_metadata_refuses_its_recording(
    tmp_path: Path, fields: dict[str, str], said: str
) -> None:
    path = recording(tmp_path / "a.wav")
    path.with_suffix(".json").write_text(json.dumps(fields))
    refusal = refused(path, agents=frozenset({"agent-01"}))
    assert isinstance(refusal.error, MetadataError)
    assert said in refusal.error.message
    assert refusal.source == "calls"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("95", 95), (95.5, 95.5), ("1:35", 95), ("0:01:35", 95), ("01:00:00", 3600), (0, 0)],
)
def test_hold_and_after_call_work_are_seconds_or_times(
    tmp_path: Path, said: object, seconds: float
) -> None:
    path = recording(tmp_path / "a.wav")
    path.with_suffix(".json").write_text(json.dumps({"hold_s": said, "after_call_s": said}))
    intake = taken(path)
    assert (intake.hold_s, intake.after_call_s) == (seconds, seconds)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("yes", True),
        ("Y", True),
        (True, True),
        (1, True),
        ("no", False),
        (False, False),
        (0, False),
    ],
)
def test_what_became_of_a_call_is_read_as_yes_or_no(
    tmp_path: Path, said: object, answer: bool
) -> None:
    path = recording(tmp_path / "a.wav")
    fields = {"resolved": said, "transferred": said, "disposition_code": "D-17"}
    path.with_suffix(".json").write_text(json.dumps(fields))
    intake = taken(path)
    assert (intake.resolved, intake.transferred) == (answer, answer)
    assert intake.disposition_code == "D-17"


def test_what_a_call_record_does_not_say_is_not_known(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav")
    path.with_suffix(".json").write_text(json.dumps({"resolved": "", "hold_s": None}))
    intake = taken(path)
    assert (intake.resolved, intake.transferred, intake.disposition_code) == (None, None, None)
    assert (intake.hold_s, intake.after_call_s) == (None, None)


@pytest.mark.parametrize("number", ["anonymous", "0000000000", "+1 000 000 0000", "ext. 4417"])
def test_a_number_that_many_callers_share_is_nobodys(tmp_path: Path, number: str) -> None:
    path = recording(tmp_path / "a.wav")
    path.with_suffix(".json").write_text(json.dumps({"caller_number": number}))
    assert taken(path).caller_key is None


@pytest.mark.parametrize(
    "content", [b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"a": ' + b"1" * 5000 + b"}"]
)
def test_a_damaged_sidecar_refuses_its_recording(tmp_path: Path, content: bytes) -> None:
    path = recording(tmp_path / "a.wav")
    path.with_suffix(".json").write_bytes(content)
    assert isinstance(refused(path).error, MetadataError)


def test_a_file_name_with_an_impossible_time_is_refused_without_repeating_it(
    tmp_path: Path,
) -> None:
    path = recording(tmp_path / "agent-1_c1_20261399T999999_Alvarez.wav")
    error = refused(path).error
    assert "intake.time_format" in error.message
    assert "Alvarez" not in error.message


def test_a_row_for_a_missing_or_repeated_recording_is_reported_and_the_rest_is_taken(
    tmp_path: Path,
) -> None:
    path = recording(tmp_path / "a.wav")
    records = tmp_path / "calls.csv"
    records.write_text(
        "file,call_id,agent_id\na.wav,c1,agent-1\nmaria.wav,c2,agent-1\na.wav,c3,agent-1\n"
    )
    intakes, refusals = take_in([str(path)], metadata=records, rules=rules())
    assert [intake.call_id for intake in intakes] == ["calls-c1"]
    assert [refusal.call_id for refusal in refusals] == ["calls-c2", "calls-c3"]
    assert "row 2" in refusals[0].error.message
    assert "row 3" in refusals[1].error.message
    assert all("maria" not in refusal.error.message for refusal in refusals)


def test_a_row_goes_to_the_recording_in_its_folder_where_a_name_is_there_twice(
    tmp_path: Path,
) -> None:
    for folder in ("mon", "tue"):
        recording(tmp_path / folder / "a.wav", folder.encode())
    records = tmp_path / "calls.csv"
    records.write_text("file,call_id\nmon/a.wav,c1\na.wav,c2\n")
    intakes, refusals = take_in([str(tmp_path)], metadata=records, rules=rules())
    unnamed = f"calls-{intakes[1].sha256[:12]}"
    assert [intake.call_id for intake in intakes] == ["calls-c1", unnamed]
    assert [refusal.call_id for refusal in refusals] == ["calls-c2"]
    assert "more than once" in refusals[0].error.message


@pytest.mark.parametrize("name", ["calls.csv", "calls.jsonl"])
def test_a_field_of_call_records_may_hold_any_kind_of_line_end(tmp_path: Path, name: str) -> None:
    path = recording(tmp_path / "a.wav")
    records = tmp_path / name
    text = "said\u2028no\x0b"
    if name.endswith("csv"):
        records.write_text(f'notes,file,call_id\n"{text}\nmore",a.wav,c1\n', encoding="utf-8")
    else:
        fields = {"notes": text, "file": "a.wav", "call_id": "c1"}
        records.write_text(json.dumps(fields, ensure_ascii=False) + "\n", encoding="utf-8")
    assert taken(path, metadata=records).call_id == "calls-c1"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("calls.csv", b"name,call_id\nx,1\n"),
        ("calls.csv", b""),
        ("calls.csv", b"\xff\xfe"),
        ("calls.json", b"{"),
        ("calls.json", b"[1, 2]"),
        ("calls.json", b'[{"a": ' + b"1" * 5000 + b"}]"),
        ("calls.jsonl", b"{}\n{"),
    ],
)
def test_call_records_that_cannot_be_read_stop_the_run_before_it_starts(
    tmp_path: Path, name: str, content: bytes
) -> None:
    recording(tmp_path / "a.wav")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MetadataError, match="call records"):
        take_in([str(tmp_path / "a.wav")], metadata=tmp_path / name, rules=rules())


def test_a_time_zone_that_does_not_exist_is_a_configuration_error(tmp_path: Path) -> None:
    path = recording(tmp_path / "agent-07_c1001_20261019T091500.wav")
    with pytest.raises(ConfigError, match=r"intake\.timezone"):
        one([path], timezone="Mars/Olympus")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from("agent_id queue direction started_at call_id hold_s other".split()),
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
        | st.sampled_from(["1:35", "99:59:59", "24:00:00", "1:2:3:4", "\u0663", "1e3", "5.", ":5"]),
    )
)
def test_any_call_record_is_taken_in_or_refused_with_a_message(
    tmp_path: Path, fields: dict[str, str]
) -> None:
    path = recording(tmp_path / "a.wav")
    records = tmp_path / "calls.csv"
    with records.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["file", *fields])
        writer.writeheader()
        writer.writerow({"file": "a.wav", **fields})
    result = one([path], records)
    if isinstance(result, Intake):
        assert re.fullmatch(r"calls-[A-Za-z0-9._-]+", result.call_id)
        assert result.started_at is None or result.started_at.astimezone(UTC)
        assert result.hold_s is None or 0 <= result.hold_s <= 86_400
    else:
        assert isinstance(result.error, MetadataError)
