"""Speaks the scripts in `samples/scripts` and writes everything else that lies in `samples`.

    python samples/make_samples.py            make recordings, call records, expected results
    python samples/make_samples.py --check    compare with what is there, write nothing;
                                              names of calls after it: these only

Needs the text-to-speech engines of `qa_monitor.training.voices`; using the samples does not. The
same scripts give the same recordings: what is drawn at random (pauses, levels, noise) is seeded by
the name of the call. A newer speech engine or encoder may sound slightly different.

A script is a labelled call (labels in braces, PHI in brackets) with the audio in its header::

    audio: wav pcm_mulaw dual                 container, codec, dual or mono
    agent_channel: left                       or right; auto for mono
    caller_voice: flite-awb rate=0.96 pitch=0.94

and, between turns, lines that say what is heard: ``* overlap 0.4`` (the next turn begins 0.4 s
before the last one ends), ``* pause 3``, ``* silence 9``, ``* ringing 6``, ``* hold_music 16``.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import signal

from qa_monitor.audio import decode
from qa_monitor.training.voices import (
    SAMPLE_VOICES,
    TELEPHONE_RATE_HZ,
    Samples,
    VoicesUnavailableError,
    resample,
    say,
)

SAMPLES: Final = Path(__file__).resolve().parent
SOURCE: Final = "samples"

_RECORD_FIELDS: Final = (
    "file",
    "source",
    "call_id",
    "agent_id",
    "queue",
    "direction",
    "started_at",
    "caller_number",
    "agent_channel",
)
_HEADER_FIELDS: Final = frozenset(
    "call_type also direction after_hours urgency urgency_reason escalated empathy "
    "active_listening escalation_score notes agent_id queue started_at caller_number audio "
    "agent_channel agent_voice caller_voice".split()
)
_LOSSY: Final = frozenset({".mp3", ".opus", ".m4a"})
_INAUDIBLE: Final = 0.05
"""The energy of the difference, as a share of the sound's, that goes for the same sound."""
_SUFFIXES: Final = {"wav": ".wav", "mp3": ".mp3", "ogg": ".opus", "flac": ".flac", "mp4": ".m4a"}

_TURN = re.compile(r"(?P<speaker>agent|caller)(?: \{(?P<labels>[^{}]*)\})?: (?P<text>.+)")
_PHI = re.compile(r"\[(?P<text>[^\[\]|]+)\|(?P<type>[A-Z_]+)\]")
_SOUND = re.compile(r"\* (?P<kind>overlap|pause|silence|ringing|hold_music) (?P<seconds>[\d.]+)")
_SPEAKER_VOICE = re.compile(r"(?P<voice>\S+)(?: rate=(?P<rate>[\d.]+) pitch=(?P<pitch>[\d.]+))?")


class ScriptError(ValueError):
    """A script does not have the form it should have; the message names file and line."""


# --- what a script says --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Phi:
    """One marked stretch: ``text[start:end]`` of its turn."""

    start: int
    end: int
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Sound:
    """What is heard before a turn; ``overlap`` is how long it begins before the last one ends."""

    kind: Literal["overlap", "pause", "silence", "ringing", "hold_music"]
    seconds: float


@dataclass(frozen=True, slots=True)
class ScriptTurn:
    """One turn as it is spoken; ``labels`` maps a key (``flag``) to its values."""

    speaker: Literal["agent", "caller"]
    text: str
    phi: tuple[Phi, ...]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    before: tuple[Sound, ...] = ()


@dataclass(frozen=True, slots=True)
class SpeakerVoice:
    """How a speaker sounds: a name in ``SAMPLE_VOICES``, and factors on its rate and pitch."""

    name: str
    rate: float
    pitch: float


@dataclass(frozen=True, slots=True)
class Script:
    """One call; ``header`` is the upper part of the file, as written."""

    name: str
    header: Mapping[str, str]
    turns: tuple[ScriptTurn, ...]

    @property
    def container(self) -> str:
        """The container of the recording, as FFmpeg names it."""
        return self.header["audio"].split()[0]

    @property
    def codec(self) -> str:
        """The codec of the recording, as FFmpeg names its encoder."""
        return self.header["audio"].split()[1]

    @property
    def is_dual(self) -> bool:
        """Whether each speaker has a channel."""
        return self.header["audio"].split()[2] == "dual"

    @property
    def file_name(self) -> str:
        """The recording's name, by the default pattern of ``intake.filename_patterns``."""
        started_at = datetime.fromisoformat(self.header["started_at"])
        stem = f"{self.header['agent_id']}_{self.name}_{started_at:%Y%m%dT%H%M%S}"
        return stem + _SUFFIXES[self.container]

    def voice(self, speaker: str) -> SpeakerVoice:
        """How the speaker sounds in this call."""
        match = _SPEAKER_VOICE.fullmatch(self.header[f"{speaker}_voice"])
        if match is None or match["voice"] not in SAMPLE_VOICES:
            raise ScriptError(f"{self.name}: {speaker}_voice names no voice of the samples")
        return SpeakerVoice(
            match["voice"], float(match["rate"] or 1.0), float(match["pitch"] or 1.0)
        )

    def channel(self, speaker: str) -> int:
        """The speaker's channel: 0 left, 1 right; in a mono recording 0."""
        if not self.is_dual:
            return 0
        return int((speaker == "agent") == (self.header["agent_channel"] == "right"))


def read_scripts(folder: Path = SAMPLES / "scripts") -> tuple[Script, ...]:
    """All scripts of the folder, by name. Raises ``ScriptError`` for a malformed one."""
    return tuple(read_script(path) for path in sorted(folder.glob("*.txt")))


def read_script(path: Path) -> Script:
    """The script in ``path``. Raises ``ScriptError`` that names the line at fault."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    if lines[0] != f"=== {path.stem}" or "---" not in lines:
        raise ScriptError(f"{path.name}: wants '=== {path.stem}', a header and '---'")
    rule = lines.index("---")
    header = dict(line.split(": ", 1) for line in lines[1:rule])
    if header.keys() != _HEADER_FIELDS:
        wrong = ", ".join(sorted(header.keys() ^ _HEADER_FIELDS))
        raise ScriptError(f"{path.name}: header fields missing or unknown: {wrong}")
    turns: list[ScriptTurn] = []
    before: list[Sound] = []
    for number, line in enumerate(lines[rule + 1 :], start=rule + 2):
        if sound := _SOUND.fullmatch(line):
            before.append(Sound(sound["kind"], float(sound["seconds"])))  # type: ignore[arg-type]
        elif match := _TURN.fullmatch(line):
            turns.append(_turn(match, tuple(before)))
            before.clear()
        else:
            raise ScriptError(f"{path.name}, line {number}: is neither a turn nor a sound")
    return Script(path.stem, header, tuple(turns))


def _turn(match: re.Match[str], before: tuple[Sound, ...]) -> ScriptTurn:
    text, phi, done = "", [], 0
    marked = match["text"]
    for span in _PHI.finditer(marked):
        text += marked[done : span.start()]
        phi.append(Phi(len(text), len(text) + len(span["text"]), span["type"], span["text"]))
        text += span["text"]
        done = span.end()
    text += marked[done:]
    pairs = (label.split("=", 1) for label in (match["labels"] or "").split())
    labels = {key: tuple(values.split(",")) for key, values in pairs}
    speaker: Literal["agent", "caller"] = "agent" if match["speaker"] == "agent" else "caller"
    return ScriptTurn(speaker, text, tuple(phi), labels, before)


# --- what stands beside the recordings -----------------------------------------------------------


def expected_result(script: Script) -> dict[str, Any]:
    """The labelled call that ``qa-monitor evaluate`` reads; ``audio`` is relative to samples."""
    header = script.header
    also = [] if header["also"] == "-" else header["also"].split(", ")
    return {
        "id": f"{SOURCE}-{script.name}",
        "call_type": header["call_type"],
        "also": also,
        "direction": header["direction"],
        "after_hours": header["after_hours"] == "yes",
        "urgency": int(header["urgency"]),
        "urgency_reason": header["urgency_reason"].removeprefix("-"),
        "escalated": header["escalated"],
        "empathy": _points(header["empathy"]),
        "active_listening": _points(header["active_listening"]),
        "escalation_score": _points(header["escalation_score"]),
        "notes": header["notes"],
        "audio": f"recordings/{script.file_name}",
        **({"agent_channel": header["agent_channel"]} if script.is_dual else {}),
        "turns": [
            {
                "speaker": turn.speaker,
                "text": turn.text,
                "phi": [
                    {"start": phi.start, "end": phi.end, "type": phi.type, "text": phi.text}
                    for phi in turn.phi
                ],
            }
            for turn in script.turns
        ],
    }


def _points(value: str) -> int | None:
    return None if value == "-" else int(value)


def call_record(script: Script) -> dict[str, str]:
    """What the telephone system knows of the call: the fields of ``intake.METADATA_FIELDS``."""
    own = {"file": script.file_name, "source": SOURCE, "call_id": script.name}
    return {name: own.get(name) or script.header[name] for name in _RECORD_FIELDS}


def texts(scripts: Sequence[Script]) -> dict[str, str]:
    """Every text file made from the scripts alone: its path in samples, and its content."""
    records = [call_record(script) for script in scripts]
    table = io.StringIO()
    writer = csv.DictWriter(table, _RECORD_FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    results = [json.dumps(expected_result(script), ensure_ascii=False) for script in scripts]
    made = {"calls.csv": table.getvalue(), "expected.jsonl": "\n".join(results) + "\n"}
    for record in records:
        sidecar = {name: value for name, value in record.items() if name != "file"}
        path = Path("recordings") / Path(record["file"]).with_suffix(".json")
        made[path.as_posix()] = json.dumps(sidecar, indent=2) + "\n"
    return made


# --- the sound of a call -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """A call as sound: float32 of shape (2, n) at 8 kHz, agent first, and when what was said.

    ``turn_times_s`` are start and end of each turn, ``word_starts_s`` the starts of its words
    (``None`` where the engine does not tell), in seconds of the recording.
    """

    samples: npt.NDArray[np.float32]
    turn_times_s: tuple[tuple[float, float], ...]
    word_starts_s: tuple[tuple[float | None, ...], ...]


_AGENT, _CALLER = 0, 1
_LEVEL_DB: Final = {"agent": -19.0, "caller": -21.0}
_NOISE_DB: Final = {"agent": -58.0, "caller": -52.0}
_LEAD_S, _TAIL_S = 0.7, 1.0


def speak(script: Script) -> Call:
    """The script spoken over a telephone line. Raises ``VoicesUnavailableError``."""
    rng = np.random.default_rng(zlib.crc32(script.name.encode()))
    pieces: list[tuple[int, float, Samples]] = []
    times: list[tuple[float, float]] = []
    words: list[tuple[float | None, ...]] = []
    now = _LEAD_S
    for turn in script.turns:
        gap = float(rng.uniform(0.3, 0.8)) if times else 0.0
        for sound in turn.before:
            if sound.kind == "overlap":
                gap = -sound.seconds
            elif sound.kind in ("pause", "silence"):
                gap = sound.seconds
            else:
                heard = _ringing if sound.kind == "ringing" else _hold_music
                pieces += [
                    (channel, now + gap, level * heard(sound.seconds))
                    for channel, level in ((_AGENT, 1.0), (_CALLER, 0.1))
                ]
                now, gap = now + gap + sound.seconds, 0.8
        start = max(0.0, now + gap)
        voice = script.voice(turn.speaker)
        speech = say(voice.name, turn.text, voice.rate, voice.pitch)
        level_db = _LEVEL_DB[turn.speaker] + float(rng.normal(0.0, 0.7))
        sample = resample(speech.samples, speech.sample_rate_hz, TELEPHONE_RATE_HZ)
        channel = _AGENT if turn.speaker == "agent" else _CALLER
        pieces.append((channel, start, _at_level(_telephone_band(sample), level_db)))
        now = start + len(sample) / TELEPHONE_RATE_HZ
        times.append((start, now))
        words.append(
            tuple(None if begin is None else start + begin for begin in speech.word_starts_s)
        )
    count = round((now + _TAIL_S) * TELEPHONE_RATE_HZ)
    samples = np.zeros((2, count), np.float32)
    for channel, start, piece in pieces:
        begin = round(start * TELEPHONE_RATE_HZ)
        end = min(count, begin + len(piece))
        samples[channel, begin:end] += piece[: end - begin]
    for channel, speaker in enumerate(("agent", "caller")):
        noise = _telephone_band(rng.standard_normal(count).astype(np.float32))
        samples[channel] += _at_level(noise, _NOISE_DB[speaker])
    return Call(samples, tuple(times), tuple(words))


def _telephone_band(samples: Samples) -> Samples:
    """300 to 3400 Hz, as an analogue line carries it."""
    sections = signal.butter(2, [300.0, 3400.0], "bandpass", fs=TELEPHONE_RATE_HZ, output="sos")
    return np.asarray(signal.sosfilt(sections, samples), np.float32)


def _at_level(samples: Samples, level_db: float) -> Samples:
    """The samples at this RMS level of what sounds, with peaks below full scale."""
    peak = float(np.abs(samples).max(initial=0.0)) + 1e-9
    sounding = samples[np.abs(samples) > 0.03 * peak]
    rms = float(np.sqrt(np.mean(np.square(sounding)))) + 1e-9
    return np.asarray(samples * min(10 ** (level_db / 20) / rms, 0.7 / peak), np.float32)


def _seconds(duration_s: float) -> npt.NDArray[np.float64]:
    return np.arange(round(duration_s * TELEPHONE_RATE_HZ)) / TELEPHONE_RATE_HZ


def _ringing(duration_s: float) -> Samples:
    """The North American ringback tone: 440 and 480 Hz, two seconds of every five."""
    t = _seconds(duration_s)
    tone = np.sin(2 * np.pi * 440.0 * t) + np.sin(2 * np.pi * 480.0 * t)
    return np.asarray(0.06 * tone * (t % 5.0 < 2.0), np.float32)


def _hold_music(duration_s: float) -> Samples:
    """Four broken chords, over and over, on something like a music box."""
    notes_hz = (262, 330, 392, 523, 220, 262, 330, 440, 175, 220, 262, 349, 196, 247, 294, 392)
    t = _seconds(duration_s)
    music = np.zeros_like(t)
    for index, start in enumerate(np.arange(0.0, duration_s, 0.4)):
        since = t - start
        decay = np.where(since >= 0, np.exp(-3.0 * np.maximum(since, 0.0)), 0.0)
        hz = notes_hz[index % len(notes_hz)]
        music += decay * (np.sin(2 * np.pi * hz * t) + 0.4 * np.sin(4 * np.pi * hz * t))
    fade = np.minimum(1.0, np.minimum(t, duration_s - t) / 0.5)
    return np.asarray(0.08 * music * fade, np.float32)


def channels_of(script: Script, call: Call) -> Samples:
    """What is recorded: both speakers on the channels the script wants, or one mix of them."""
    if not script.is_dual:
        return np.asarray(call.samples.sum(axis=0, keepdims=True) * 0.9, np.float32)
    return call.samples[::-1] if script.channel("agent") == 1 else call.samples


# --- files ---------------------------------------------------------------------------------------


def encode(path: Path, samples: Samples, *, container: str, codec: str) -> None:
    """Write float32 samples of shape (channels, n) at 8 kHz to ``path``, whole or not at all."""
    import av

    layout = "stereo" if len(samples) == 2 else "mono"
    pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)
    draft = path.with_name(f".{path.name}")
    with av.open(str(draft), "w", format=container, options={"fflags": "+bitexact"}) as output:
        stream: Any = output.add_stream(codec, rate=TELEPHONE_RATE_HZ, layout=layout)
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        if codec in ("libopus", "libmp3lame", "aac"):
            stream.bit_rate = 32_000
        for start in range(0, pcm.shape[1], TELEPHONE_RATE_HZ):
            block = np.ascontiguousarray(pcm[:, start : start + TELEPHONE_RATE_HZ].T)
            frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout=layout)
            frame.sample_rate = TELEPHONE_RATE_HZ
            frame.pts = start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    draft.replace(path)


def timing(script: Script, call: Call) -> dict[str, Any]:
    """When each turn and word of the recording is spoken, in seconds."""

    def rounded(times: Iterable[float | None]) -> list[float | None]:
        return [None if time is None else round(time, 3) for time in times]

    return {
        "id": f"{SOURCE}-{script.name}",
        "duration_s": round(call.samples.shape[1] / TELEPHONE_RATE_HZ, 3),
        "turns": [
            {
                "channel": script.channel(turn.speaker),
                "start_s": round(start, 3),
                "end_s": round(end, 3),
                "word_starts_s": rounded(words),
            }
            for turn, (start, end), words in zip(
                script.turns, call.turn_times_s, call.word_starts_s, strict=True
            )
        ],
    }


def make(folder: Path, scripts: Sequence[Script]) -> None:
    """Write the recordings of these scripts into ``folder``, with their times and all texts."""
    (folder / "recordings").mkdir(parents=True, exist_ok=True)
    # The engines keep state from text to text: only a new process says a call alike every time.
    with ProcessPoolExecutor(mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        timings = list(pool.map(_record, [folder] * len(scripts), scripts))
    made = {**texts(scripts), "timings.jsonl": "".join(timings)}
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")


def _record(folder: Path, script: Script) -> str:
    call = speak(script)
    path = folder / "recordings" / script.file_name
    encode(path, channels_of(script, call), container=script.container, codec=script.codec)
    return json.dumps(timing(script, call)) + "\n"


def differences(folder: Path, made: Path) -> list[str]:
    """The files of ``made`` that ``folder`` does not hold alike.

    A list of calls (CSV, JSON Lines) may hold more lines in ``folder``: ``made`` may be of some
    calls only. Sound that was coded with loss is compared as it is heard: its coders work in
    floating point, whose last digits are not the same in every process.
    """
    different = []
    for path in sorted(path for path in made.rglob("*") if path.is_file()):
        name = path.relative_to(made)
        there = (folder / name).read_bytes() if (folder / name).is_file() else b""
        if path.suffix in (".csv", ".jsonl"):
            is_alike = set(path.read_bytes().splitlines()) <= set(there.splitlines())
        elif path.suffix in _LOSSY and there:
            is_alike = _sounds_alike(path, folder / name)
        else:
            is_alike = path.read_bytes() == there
        if not is_alike:
            different.append(name.as_posix())
    return different


def _sounds_alike(one: Path, other: Path) -> bool:
    first, second = (decode(path, call_id=path.stem[:14]).samples for path in (one, other))
    if first.shape != second.shape:
        return False
    sound = first.astype(np.float64)
    difference = float(np.square(sound - second).sum())
    return difference <= _INAUDIBLE * float(np.square(sound).sum())


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the samples, or with ``--check`` say which differ; 0 when all is well, else 1."""
    parser = argparse.ArgumentParser(description="Make the sample recordings from their scripts.")
    parser.add_argument(
        "--check",
        nargs="*",
        metavar="CALL",
        help="make these calls (none named: all) elsewhere, compare, and change nothing",
    )
    options = parser.parse_args(arguments)
    try:
        scripts = read_scripts()
        if options.check is None:
            make(SAMPLES, scripts)
            return 0
        with tempfile.TemporaryDirectory() as temporary:
            chosen = [s for s in scripts if not options.check or s.name in options.check]
            make(Path(temporary), chosen)
            different = differences(SAMPLES, Path(temporary))
    except (ScriptError, VoicesUnavailableError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for name in different:
        print(f"differs: {name}")
    return int(bool(different))


if __name__ == "__main__":
    sys.exit(main())
