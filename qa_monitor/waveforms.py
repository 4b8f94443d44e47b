"""How loud a kept recording is over its length, for the drawing of a waveform."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_monitor.calls import SAMPLE_RATE_HZ
from qa_monitor.errors import NotAudioError, StoreError

__all__ = ["Waveform", "waveform_of"]

_BUCKETS = 1200
_BLOCK = SAMPLE_RATE_HZ // 50
_FULL = 100
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """The loudest of each of equal stretches of a recording, by channel.

    ``lanes`` has one row for each channel, of at most 1,200 numbers from 0 (silent) to 100 (full
    scale); the stretches divide ``duration_s`` evenly.
    """

    duration_s: float
    lanes: tuple[tuple[int, ...], ...]


def waveform_of(recording: Path, kept: Path, *, call_id: str) -> Waveform:
    """The waveform of ``recording``, worked out once and then read from ``kept``.

    It is worked out anew when the recording has changed since. Raises ``NotAudioError`` when the
    recording cannot be decoded and ``StoreError`` when ``kept`` cannot be written.
    """
    stamp = _stamp(recording)
    known = _read(kept, stamp)
    if known is not None:
        return known
    found = _measure(recording, call_id)
    _write(kept, {"stamp": stamp, **asdict(found)}, call_id)
    return found


def _stamp(recording: Path) -> list[int]:
    """What tells one state of the file from another; of no file the version only."""
    try:
        now = recording.stat()
    except OSError:
        return [_VERSION]
    return [_VERSION, now.st_size, now.st_mtime_ns]


def _measure(recording: Path, call_id: str) -> Waveform:
    import av

    problem = "it holds no sound"
    loudest: list[NDArray[np.int16]] = []
    try:
        with recording.open("rb") as file, av.open(file, format="flac", mode="r") as container:
            stream = container.streams.audio[0]
            channels = stream.codec_context.channels
            resampler = av.AudioResampler(format="s16", rate=SAMPLE_RATE_HZ)
            rest = np.zeros((0, channels), dtype=np.int16)
            samples = 0
            for decoded in container.decode(stream):
                for frame in resampler.resample(decoded):
                    part = frame.to_ndarray().reshape(-1, channels)
                    samples += len(part)
                    rest = np.concatenate((rest, part))
                    whole = len(rest) // _BLOCK * _BLOCK
                    loudest.append(_peaks(rest[:whole].reshape(-1, _BLOCK, channels)))
                    rest = rest[whole:]
            if len(rest):
                loudest.append(_peaks(rest[np.newaxis]))
    except (av.FFmpegError, OSError, IndexError) as error:
        problem = type(error).__name__
        loudest = []
    if loudest:
        blocks = np.concatenate(loudest)
        edges = np.linspace(0, len(blocks), min(_BUCKETS, len(blocks)) + 1).astype(int)[:-1]
        reduced = np.maximum.reduceat(blocks, edges, axis=0)
        scaled = np.round(reduced.astype(float) / np.iinfo(np.int16).max * _FULL).astype(int)
        return Waveform(
            duration_s=samples / SAMPLE_RATE_HZ,
            lanes=tuple(tuple(lane) for lane in scaled.T.tolist()),
        )
    raise _unreadable(call_id, problem)


def _peaks(blocks: NDArray[np.int16]) -> NDArray[np.int16]:
    """The largest magnitude within each block of shape (block, sample, channel)."""
    # The magnitude of the lowest number is one more than an int16 holds.
    high, low = blocks.max(axis=1, initial=0), blocks.min(axis=1, initial=0)
    largest: NDArray[np.int16] = np.maximum(high, -np.maximum(low, -np.iinfo(np.int16).max))
    return largest


def _read(kept: Path, stamp: list[int]) -> Waveform | None:
    """What was worked out of the recording that has this ``stamp``."""
    try:
        found: dict[str, Any] = json.loads(kept.read_text("ascii"))
        if found["stamp"] != stamp:
            return None
        return Waveform(
            duration_s=float(found["duration_s"]),
            lanes=tuple(tuple(int(peak) for peak in lane) for lane in found["lanes"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(kept: Path, content: dict[str, Any], call_id: str) -> None:
    problem: str | None = None
    draft: str | None = None
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp makes the file readable by its owner only.
        handle, draft = tempfile.mkstemp(prefix=f".{kept.stem}.", dir=kept.parent)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(content, file, separators=(",", ":"))
        Path(draft).replace(kept)
        draft = None
    except OSError as error:
        problem = error.strerror or type(error).__name__
    finally:
        if draft is not None:
            Path(draft).unlink(missing_ok=True)
    if problem:
        raise StoreError(
            f"call {call_id}: its waveform cannot be kept ({problem}). "
            "Free disk space or mend the permissions of the data folder.",
            call_id=call_id,
        )


def _unreadable(call_id: str, kind: str) -> NotAudioError:
    return NotAudioError(
        f"call {call_id}: the kept recording cannot be read ({kind}). Score the call again.",
        call_id=call_id,
        kind=kind,
    )
