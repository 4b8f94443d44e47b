"""Finding recordings, and what is known of each before anybody listens.

``take_in`` turns what a user names (files, folders, globs, call records) into ``Intake`` values in
a fixed order, and into ``Refusal`` values for what cannot be used. File names may carry people's
names: a path lives only in ``Intake.path`` (out of ``repr``), never in an id or a message.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import hashlib
import hmac
import io
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from qa_monitor.calls import Direction
from qa_monitor.errors import (
    ConfigError,
    MetadataError,
    NotAudioError,
    QAMonitorError,
    RecordingError,
    StoreError,
    UsageError,
)

__all__ = [
    "AUDIO_SUFFIXES",
    "METADATA_FIELDS",
    "Intake",
    "IntakeRules",
    "Refusal",
    "SourceRules",
    "caller_key",
    "load_caller_secret",
    "read_call_records",
    "recording_key",
    "take_in",
    "take_in_one",
]

AUDIO_SUFFIXES = frozenset(
    ".wav .wave .w64 .mp3 .ogg .oga .opus .flac .m4a .mp4 .aac .webm .mka .gsm .g729 .amr .awb "
    ".aif .aiff .au .snd .caf .wma".split()
)
"""What a folder is searched for; a file named by itself is tried whatever its suffix."""

METADATA_FIELDS = frozenset(
    {
        "file",
        "call_id",
        "interaction_id",
        "agent_id",
        "queue",
        "direction",
        "started_at",
        "caller_number",
        "agent_channel",
        "source",
        "hold_s",
        "after_call_s",
        "disposition_code",
        "resolved",
        "transferred",
    }
)
"""The only fields read from call records; whatever else stands there is not taken in."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ANSWERS: Mapping[str, bool] = {
    **dict.fromkeys(("yes", "y", "true", "t", "1"), True),
    **dict.fromkeys(("no", "n", "false", "f", "0"), False),
}
_DURATION = re.compile(r"(?:(?:(\d{1,2}):)?([0-5]?\d):)?(\d{1,6}(?:\.\d{1,6})?)", re.ASCII)
_LONGEST_S = 86_400.0
_CALLER_DIGITS = 7
_CHANNELS: Mapping[str, int | None] = {"left": 0, "right": 1, "0": 0, "1": 1, "auto": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRules:
    """What holds for one source: the agent's channel (0 left, 1 right, ``None`` by content)."""

    agent_channel: int | None
    filename_patterns: tuple[re.Pattern[str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeRules:
    """How recordings are named; ``agents`` empty takes every agent id.

    ``caller_secret`` keys the hash that stands for a caller's number. ``own_folder`` is where the
    product keeps what it makes: no folder that is searched gives the redacted copies back.
    """

    source: str
    default: SourceRules
    sources: Mapping[str, SourceRules]
    time_format: str
    timezone: str
    agents: frozenset[str]
    caller_secret: bytes = field(repr=False)
    own_folder: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """A recording about to be scored; ``position`` counts from 1 in the order given."""

    position: int
    path: Path = field(repr=False)
    call_id: str
    interaction_id: str | None
    sha256: str
    source: str
    agent_id: str | None
    queue: str | None
    direction: Direction
    started_at: datetime | None
    caller_key: str | None = field(repr=False)
    agent_channel: int | None
    hold_s: float | None = None
    after_call_s: float | None = None
    disposition_code: str | None = None
    resolved: bool | None = None
    transferred: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Something named by the user that cannot be scored, and why.

    ``position`` is that of the recording in the order given, ``None`` for a row of call records.
    """

    position: int | None
    call_id: str
    source: str
    sha256: str | None
    error: QAMonitorError


def take_in(
    paths: Sequence[str],
    *,
    metadata: Path | None,
    rules: IntakeRules,
    progress: Callable[[float], None] | None = None,
) -> tuple[tuple[Intake, ...], tuple[Refusal, ...]]:
    """The recordings that ``paths`` name, in a fixed order, and what of it cannot be used.

    ``paths`` are files, folders (searched whole) and globs; ``metadata`` is a CSV, JSON or JSON
    Lines file of call records, joined by the file name in the ``file`` field, and by the folders
    before it where a name is there twice; a JSON file beside a recording with the same stem is its
    sidecar and wins over ``metadata``. ``progress`` gets the share of the recordings read so far.
    Raises ``UsageError`` when nothing is named that exists or a folder holds no recording,
    ``MetadataError`` when the call records cannot be read as a whole, ``ConfigError`` for an
    impossible time zone.
    """
    files = list(_find(paths, rules.own_folder))
    rows = read_call_records(metadata) if metadata else []
    by_name: dict[str, list[Path]] = {}
    for path in files:
        by_name.setdefault(path.name, []).append(path)
    row_of: dict[Path, dict[str, str]] = {}
    refusals: list[Refusal] = []
    for number, row in enumerate(rows, start=1):
        meant = Path(row.get("file", ""))
        found = by_name.get(meant.name, [])
        if len(found) > 1:
            depth = len(meant.parts)
            found = [path for path in found if path.parts[-depth:] == meant.parts]
            wrong = "names a recording that is here more than once"
        else:
            wrong = "names a recording that is not here"
        if len(found) != 1:
            refusals.append(_refuse_row(number, row, rules, wrong))
        elif found[0] in row_of:
            refusals.append(_refuse_row(number, row, rules, "repeats a recording of another row"))
        else:
            row_of[found[0]] = row
    intakes: list[Intake] = []
    for position, path in enumerate(files, start=1):
        taken = take_in_one(position, path, row_of.get(path, {}), rules)
        if isinstance(taken, Intake):
            intakes.append(taken)
        else:
            refusals.append(taken)
        if progress is not None:
            progress(position / len(files))
    return tuple(intakes), tuple(refusals)


def load_caller_secret(folder: Path) -> bytes:
    """The 32 secret bytes of this installation, made on the first call.

    They key the hashes of callers' numbers, so that a repeat caller is known and a number is not.
    Raises ``StoreError`` when they can be neither read nor made.
    """
    path = folder / "caller-key.secret"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Linked into place whole, so that of two first runs at once both read the same key.
            draft = folder / f".caller-key-{secrets.token_hex(4)}"
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
            try:
                with contextlib.suppress(FileExistsError):
                    os.link(draft, path)
            finally:
                draft.unlink()
        secret = path.read_bytes()
    except OSError as error:
        problem = error.strerror
    else:
        if len(secret) == 32:
            return secret
        problem = "it is damaged"
    raise StoreError(
        f"the key of caller hashes in the data folder cannot be used ({problem}). "
        "Check the folder's permissions and free space, or restore caller-key.secret."
    )


def caller_key(number: str, secret: bytes) -> str | None:
    """What stands for a caller's number; ``None`` for one that belongs to many callers.

    Such are extensions, and the zeros that stand for a withheld number. The same line with and
    without its country code is the same caller: only the last ten digits count.
    """
    digits = re.sub(r"\D", "", number)
    if len(digits) < _CALLER_DIGITS or len(set(digits[-10:])) == 1:
        return None
    return hmac.new(secret, digits[-10:].encode(), hashlib.sha256).hexdigest()[:32]


def recording_key(sha256: str, secret: bytes) -> str:
    """What stands for a deleted recording: only this installation can tell that it came again."""
    return hmac.new(secret, f"recording {sha256}".encode(), hashlib.sha256).hexdigest()


# --- finding -------------------------------------------------------------------------------------


def _find(paths: Sequence[str], own_folder: Path | None) -> Iterator[Path]:
    seen: set[Path] = set()
    for number, named in enumerate(paths, start=1):
        found = []
        problem = None
        try:
            found = [(path, path.resolve()) for path in _named(named, number, own_folder)]
        except OSError as error:
            problem = error.strerror
        except RuntimeError:
            problem = "there is no such user, or its links lead in a circle"
        if problem:
            raise UsageError(
                f"path {number} cannot be read ({problem}). "
                "Check its spelling, and that this account may read it."
            )
        for path, real in found:
            if real not in seen:
                seen.add(real)
                yield path
    if not seen:
        raise UsageError(
            "what is named holds call records only. Name the recordings that they belong to."
        )


def _named(named: str, number: int, own_folder: Path | None) -> Iterable[Path]:
    path = Path(named).expanduser()
    if path.is_dir():
        own = own_folder.resolve() if own_folder else None
        # A name that begins with a dot belongs to some program, not to the recorder.
        found = sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in AUDIO_SUFFIXES
            and not file.name.startswith(".")
            and file.is_file()
            and own not in file.resolve().parents
        )
        if not found:
            raise UsageError(
                f"the folder given as path {number} holds no recordings. Looked for files that end "
                f"in {' '.join(sorted(AUDIO_SUFFIXES))}, in its subfolders too."
            )
        return found
    if path.suffix.lower() == ".json":
        # A shell's pattern names the sidecars with their recordings.
        return []
    if path.is_file():
        return [path]
    if path.exists():
        raise UsageError(
            f"path {number} is neither a file nor a folder. Save the recording to a file first."
        )
    # glob.glob and not Path.glob, which refuses absolute patterns.
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207
    files = [match for match in matches if match.is_file() and match.suffix.lower() != ".json"]
    if not files:
        raise UsageError(
            f"path {number} is no file, no folder, and as a pattern matches no recording. "
            "Check its spelling, and that this account may read it."
        )
    return files


# --- call records --------------------------------------------------------------------------------


def read_call_records(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV, JSON or JSON Lines file, allowed fields only.

    Raises ``MetadataError`` when it cannot be read as a whole.
    """
    rows: list[Any] = []
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            loaded = json.loads(text)
            rows = loaded if isinstance(loaded, list) else [loaded]
        elif path.suffix.lower() in {".jsonl", ".ndjson"}:
            # Not splitlines, which also ends a line at characters that a field may hold.
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
            rows = list(reader)
            if "file" not in (reader.fieldnames or []):
                rows = [None]
        problem = "" if all(isinstance(row, dict) for row in rows) else "have no field 'file'"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except (ValueError, csv.Error, RecursionError) as error:
        problem = f"are not {path.suffix.lstrip('.').upper() or 'CSV'} ({type(error).__name__})"
    if problem:
        raise MetadataError(
            f"the call records {problem}. Give a CSV with a header, JSON or JSON Lines, with the "
            f"field 'file' and any of: {', '.join(sorted(METADATA_FIELDS - {'file'}))}."
        )
    return [_allowed(row) for row in rows]


def _allowed(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(value).strip()
        for name, value in row.items()
        if name in METADATA_FIELDS and value is not None and str(value).strip()
    }


def _sidecar(path: Path) -> dict[str, str]:
    """The fields of the recording's sidecar, none if it has none."""
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        return {}
    try:
        fields = json.loads(sidecar.read_text(encoding="utf-8-sig"))
        problem = "" if isinstance(fields, dict) else "is not a JSON object"
    except (OSError, ValueError, RecursionError) as error:
        problem = f"cannot be read ({type(error).__name__})"
    if problem:
        raise MetadataError(f"the JSON file beside the recording {problem}. Mend or remove it.")
    return _allowed(fields)


def _refuse_row(number: int, row: Mapping[str, str], rules: IntakeRules, what: str) -> Refusal:
    source, own_id = row.get("source", rules.source), row.get("call_id", "")
    if not _ID.fullmatch(source):
        source, own_id = rules.source, ""
    call_id = f"{source}-{own_id}" if _ID.fullmatch(own_id) else f"row-{number}"
    error = MetadataError(
        f"row {number} of the call records {what}. Correct its field 'file', "
        "or add the recording to the paths.",
        call_id=call_id,
    )
    return Refusal(position=None, call_id=call_id, source=source, sha256=None, error=error)


# --- one recording -------------------------------------------------------------------------------


def take_in_one(
    position: int, path: Path, row: Mapping[str, str], rules: IntakeRules
) -> Intake | Refusal:
    """The recording at ``path``, with what ``row`` (of call records) and its sidecar tell of it.

    Raises ``ConfigError`` for an impossible time zone; all else that is wrong is a refusal.
    """
    source, sha256 = rules.source, None
    call_id = f"{rules.source}-recording-{position}"
    try:
        sha256 = _hash(path)
        call_id = f"{rules.source}-{sha256[:12]}"
        fields = {**row, **_sidecar(path)}
        source = _id_field(fields, "source") or rules.source
        source_rules = rules.sources.get(source, rules.default)
        fields = {**_from_filename(path.stem, source_rules, rules), **fields}
        call_id = f"{source}-{_id_field(fields, 'call_id') or sha256[:12]}"
        return Intake(
            position=position,
            path=path,
            call_id=call_id,
            interaction_id=_id_field(fields, "interaction_id"),
            sha256=sha256,
            source=source,
            agent_id=_agent(fields, rules),
            queue=_id_field(fields, "queue"),
            direction=_direction(fields),
            started_at=_started_at(fields, rules),
            caller_key=caller_key(fields.get("caller_number", ""), rules.caller_secret),
            agent_channel=_agent_channel(fields, source_rules),
            hold_s=_seconds(fields, "hold_s"),
            after_call_s=_seconds(fields, "after_call_s"),
            disposition_code=_id_field(fields, "disposition_code"),
            resolved=_answer(fields, "resolved"),
            transferred=_answer(fields, "transferred"),
        )
    except ConfigError:
        raise
    except QAMonitorError as error:
        refused = type(error)(error.message, call_id=call_id, kind=error.kind)
    return Refusal(position=position, call_id=call_id, source=source, sha256=sha256, error=refused)


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            size = file.tell()
    except OSError as error:
        problem = error.strerror
    else:
        if size:
            return digest.hexdigest()
        raise NotAudioError("the recording is empty (0 bytes). Export it again from the recorder.")
    raise RecordingError(
        f"the recording cannot be read ({problem}). Check that this account may read it."
    )


def _from_filename(stem: str, source_rules: SourceRules, rules: IntakeRules) -> dict[str, str]:
    for pattern in source_rules.filename_patterns:
        if match := pattern.match(stem):
            fields = {name: value for name, value in match.groupdict().items() if value}
            if stamp := fields.pop("started_at", None):
                try:
                    started_at = datetime.strptime(stamp, rules.time_format)
                except ValueError:
                    raise MetadataError(
                        "the time in the recording's file name does not have the form of "
                        "intake.time_format. Rename it, or correct the setting."
                    ) from None
                fields["started_at"] = started_at.isoformat()
            return fields
    return {}


def _id_field(fields: Mapping[str, str], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not _ID.fullmatch(value):
        raise MetadataError(
            f"the field {name} may hold letters, digits, '.', '_' and '-' only, 64 at most."
        )
    return value


def _agent(fields: Mapping[str, str], rules: IntakeRules) -> str | None:
    agent_id = _id_field(fields, "agent_id")
    if agent_id is not None and rules.agents and agent_id not in rules.agents:
        raise MetadataError(
            f"the agent {agent_id} is not among the centre's agents. Correct the call record, "
            "or add the agent to intake.agents."
        )
    return agent_id


def _direction(fields: Mapping[str, str]) -> Direction:
    value = fields.get("direction", "unknown").lower()
    if value not in set(Direction):
        raise MetadataError("the field direction must be inbound, outbound or unknown.")
    return Direction(value)


def _started_at(fields: Mapping[str, str], rules: IntakeRules) -> datetime | None:
    value = fields.get("started_at")
    if value is None:
        return None
    try:
        started_at = datetime.fromisoformat(value)
        if started_at.tzinfo is None:
            started_at = started_at.replace(tzinfo=_zone(rules.timezone))
        started_at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise MetadataError(
            "the field started_at must be a time in ISO 8601, as 2026-03-05T14:30:00-05:00."
        ) from None
    return started_at


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"intake.timezone: {name} is no IANA time zone, as America/Chicago is."
        ) from None


def _seconds(fields: Mapping[str, str], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    match = _DURATION.fullmatch(value)
    if match is not None:
        hours, minutes, seconds = match.groups()
        total = int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)
        if total <= _LONGEST_S and (minutes is None or float(seconds) < 60):
            return total
    raise MetadataError(
        f"the field {name} must be seconds, or a time as 1:35 or 0:01:35, of a day at most."
    )


def _answer(fields: Mapping[str, str], name: str) -> bool | None:
    value = fields.get(name)
    if value is None:
        return None
    if value.lower() not in _ANSWERS:
        raise MetadataError(f"the field {name} must be yes or no.")
    return _ANSWERS[value.lower()]


def _agent_channel(fields: Mapping[str, str], source_rules: SourceRules) -> int | None:
    value = fields.get("agent_channel")
    if value is None:
        return source_rules.agent_channel
    if value.lower() not in _CHANNELS:
        raise MetadataError("the field agent_channel must be left, right or auto.")
    return _CHANNELS[value.lower()]
