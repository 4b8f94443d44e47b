"""Speaks the training text and keeps what the recogniser learns from: mel frames and times.

`synthesise` fills a folder with shards. Shard 7 is `0007.mel` (float16 rows of 80 log10
mel energies, one each 10 ms, one utterance after another) and `0007.jsonl`, one utterance
a line: {"row": first row, "rows": n, "text": str, "starts_s": [float | null, ...],
"voice": str, "source": str}. `speak_test_sets` writes the audio that is measured.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from qa_monitor.training.recogniser import lines, text
from qa_monitor.training.recogniser.text import Line
from qa_monitor.training.voices import (
    HELD_OUT_VOICES,
    SAMPLE_VOICES,
    TELEPHONE_RATE_HZ,
    Samples,
    Voice,
    resample,
    say,
    telephone,
)

Rng = np.random.Generator

MEL_BANDS: Final = 80
MAXIMUM_S: Final = 20.0
_SAMPLE_VOICE_SHARE: Final = 0.65
# The share of each source in the training audio.
_SHARES: Final = {"natural": 0.52, "lines": 0.30, "calls": 0.18}
_SHARD_S: Final = 1200.0

_ACCENTS: Final = (
    *["en-us"] * 6,
    *["en", "en-gb-x-rp"] * 2,
    *["en-029", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc"],
)
_VARIANTS: Final = (
    "m1 m2 m3 m4 m5 m6 m8 f1 f2 f3 f5 adam Alex Alicia Andrea Annie aunty belinda benjamin boris "
    "caleb david Denis Diogo ed edward edward2 Gene Gene2 grandma grandpa Henrique Hugo iven iven2 "
    "Jacky john Lee marcelo Marco Mario max Michael michel miguel Mike Nguyen norbert pablo paul "
    "pedro quincy rob robert sandro shelby steph steph2 steph3 travis victor zac anika klatt "
    "klatt2 klatt4"
).split()


@dataclass(frozen=True)
class Utterance:
    """A line as heard over the telephone: 16 kHz samples and the start of each word."""

    samples: Samples
    text: str
    starts_s: tuple[float | None, ...]
    voice: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / 16000.0


def utter(
    line: Line, voice: Voice, rng: Rng, *, quality: Literal["clean", "varied"] = "varied"
) -> Utterance:
    """Return the line spoken by the voice over a telephone, its edges trimmed.

    With "varied", rate, pitch and speed are drawn too, in a range that people have.
    """
    varied = quality == "varied"
    known = voice.name in SAMPLE_VOICES or voice.name in HELD_OUT_VOICES
    spread = 0.5 if known else 1.0
    rate = float(np.exp(rng.normal(0.0, 0.10 + 0.04 * spread))) if varied else 1.0
    pitch = float(np.exp(rng.uniform(-0.25, 0.25) * spread)) if varied else 1.0
    speech = say(
        voice,
        line.text if varied and rng.random() < 0.3 else line.spoken,
        min(1.5, max(0.7, rate)),
        pitch,
    )
    speed = float(rng.uniform(0.93, 1.08)) if varied and rng.random() < 0.5 else 1.0
    # Taken as recorded at another rate, speech runs faster or slower, pitch and all.
    rate_hz = round(speech.sample_rate_hz * speed / 100) * 100
    speed = rate_hz / speech.sample_rate_hz
    x = resample(speech.samples, rate_hz, TELEPHONE_RATE_HZ)
    loud = np.flatnonzero(np.abs(x) > 0.01 * np.abs(x).max())
    begin = max(0, int(loud[0]) - int(rng.uniform(0.02, 0.15) * TELEPHONE_RATE_HZ))
    end = int(loud[-1]) + int(rng.uniform(0.04, 0.25) * TELEPHONE_RATE_HZ)
    x = telephone(x[begin:end], TELEPHONE_RATE_HZ, rng, quality=quality)
    starts = tuple(
        None if s is None else max(0.0, round(s / speed - begin / TELEPHONE_RATE_HZ, 3))
        for s in speech.word_starts_s
    )
    return Utterance(resample(x, TELEPHONE_RATE_HZ, 16000), line.text, starts, voice.name)


@functools.cache
def _filters() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    from faster_whisper.feature_extractor import FeatureExtractor

    window = np.hanning(401)[:-1].astype(np.float32)
    return window, np.asarray(FeatureExtractor().mel_filters, dtype=np.float32)


def log_mel(samples: Samples) -> npt.NDArray[np.float32]:
    """Return log10 mel energies of 16 kHz samples, (frames, 80), one frame each 10 ms.

    As faster-whisper computes them, less its floor (8 below the loudest) and scaling,
    which depend on what else is in the window and so belong to batching.
    """
    window, filters = _filters()
    count = len(samples) // 160
    padded = np.pad(samples, 200, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160][:count]
    power = np.abs(np.fft.rfft(frames * window, axis=1).astype(np.complex64)) ** 2
    return np.asarray(np.log10(np.maximum(power @ filters.T, 1e-10)), dtype=np.float32)


def random_voice(rng: Rng) -> Voice:
    """Return a voice to train on: a sample voice, another variant of espeak-ng, or flite kal."""
    if rng.random() < _SAMPLE_VOICE_SHARE:
        return list(SAMPLE_VOICES.values())[int(rng.integers(len(SAMPLE_VOICES)))]
    if rng.random() < 0.08:
        return Voice("flite-kal", "flite", "kal", 105.0, "male", "US")
    held = {voice.variant for voice in HELD_OUT_VOICES.values()}
    while True:
        accent = _ACCENTS[int(rng.integers(len(_ACCENTS)))]
        name = f"{accent}+{_VARIANTS[int(rng.integers(len(_VARIANTS)))]}"
        if name not in held:
            pitch = float(rng.uniform(38.0, 62.0))
            return Voice(f"espeak-{name}", "espeak", name, pitch, "male", accent)


# --- shards ----------------------------------------------------------------------------


@functools.cache
def _natural_pieces(corpora: Path, seed: int) -> list[Line]:
    rng = np.random.default_rng([seed, 1])
    found = [p for turn in text.corpus_turns(corpora, "train") for p in text.pieces(turn, rng)]
    # Bare "okay" and "yeah" by the thousand teach nothing.
    found = [p for p in found if len(p.words) > 2 or rng.random() < 0.35]
    return [found[int(i)] for i in rng.permutation(len(found))]


def _draw(
    source: str, corpora: Path, calls: Path, shard: int, seed: int, rng: Rng
) -> Iterator[Line]:
    """Yield lines of one source without end."""
    if source == "lines":
        while True:
            line = text.speakable(lines.draw_line(rng))
            if line is not None:
                yield line
    if source == "natural":
        found = _natural_pieces(corpora, seed)
        # Each shard starts where the one before it about ended.
        index = int(shard * _SHARD_S * _SHARES["natural"] / 3.0)
        while True:
            yield found[index % len(found)]
            index += 1
    found = [p for turn in text.call_turns(calls, "train") for p in text.pieces(turn, rng)]
    while found:
        yield from (found[int(i)] for i in rng.permutation(len(found)))


def _write_shard(folder: Path, corpora: Path, calls: Path, shard: int, seed: int) -> float:
    """Write one shard and return its length in seconds."""
    rng = np.random.default_rng([seed, 2, shard])
    streams = {s: _draw(s, corpora, calls, shard, seed, rng) for s in _SHARES}
    wanted_s = {source: share * _SHARD_S for source, share in _SHARES.items()}
    mels, records, row = [], [], 0
    while wanted_s:
        source = max(wanted_s, key=lambda s: wanted_s[s])
        line = next(streams[source], None)
        if line is None:
            wanted_s.pop(source)
            continue
        utterance = utter(line, random_voice(rng), rng)
        wanted_s[source] -= utterance.duration_s
        if wanted_s[source] < 0:
            wanted_s.pop(source)
        if not 0.2 < utterance.duration_s < MAXIMUM_S:
            continue
        mel = log_mel(utterance.samples).astype(np.float16)
        mels.append(mel)
        records.append(
            {
                "row": row,
                "rows": len(mel),
                "text": utterance.text,
                "starts_s": utterance.starts_s,
                "voice": utterance.voice,
                "source": source,
            }
        )
        row += len(mel)
    np.concatenate(mels).tofile(folder / f"{shard:04d}.part")
    (folder / f"{shard:04d}.part").replace(folder / f"{shard:04d}.mel")
    # The list comes last: a shard without one is not finished.
    listing = folder / f"{shard:04d}.part"
    listing.write_text("".join(json.dumps(record) + "\n" for record in records))
    listing.replace(folder / f"{shard:04d}.jsonl")
    return row / 100.0


def synthesise(
    folder: Path, corpora: Path, calls: Path, *, hours: float, seed: int, workers: int = 2
) -> None:
    """Fill `folder` with shards of together about `hours` of speech; finished ones are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    count = round(hours * 3600.0 / _SHARD_S)
    missing = [n for n in range(count) if not (folder / f"{n:04d}.jsonl").exists()]
    started, done_s = time.monotonic(), 0.0
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_write_shard, folder, corpora, calls, n, seed) for n in missing]
        for job in as_completed(jobs):
            done_s += job.result()
            elapsed_s = time.monotonic() - started
            print(
                f"synthesis: {done_s / 3600:.1f} h, {done_s / elapsed_s:.0f}x real time",
                flush=True,
            )


# --- what is measured ------------------------------------------------------------------

# Set name: where its text comes from, its voices, its telephone line.
TEST_SETS: Final[dict[str, tuple[str, str, Literal["clean", "varied"]]]] = {
    "dev, sample voices": ("dev", "sample", "varied"),
    "lines, sample voices": ("lines", "sample", "clean"),
    "natural, sample voices": ("natural", "sample", "clean"),
    "calls, sample voices": ("calls", "sample", "clean"),
    "lines, sample voices, varied lines": ("lines", "sample", "varied"),
    "natural, sample voices, varied lines": ("natural", "sample", "varied"),
    "lines, unseen espeak voices": ("lines", "espeak", "clean"),
    "natural, unseen espeak voices": ("natural", "espeak", "clean"),
    "lines, unseen flite rms": ("lines", "flite", "clean"),
    "natural, unseen flite rms": ("natural", "flite", "clean"),
}


def speak_test_sets(folder: Path, corpora: Path, calls: Path, *, seed: int, size: int) -> None:
    """Write `size` utterances per set of TEST_SETS into `folder`; finished sets are kept.

    A set is `<name>.npz` with "samples" (int16 at 16 kHz, one after another) and "info"
    (JSON: text, starts_s, voice, first sample and count of each utterance).
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, (source, who, quality)) in enumerate(TEST_SETS.items()):
        if (folder / f"{name}.npz").exists():
            continue
        rng = np.random.default_rng([seed, 3, number])
        voices = [
            voice
            for voice in (SAMPLE_VOICES if who == "sample" else HELD_OUT_VOICES).values()
            if who == "sample" or voice.engine == who
        ]
        chunks: list[npt.NDArray[np.int16]] = []
        info: list[dict[str, Any]] = []
        begin = 0
        for index, line in enumerate(_test_lines(source, corpora, calls, rng, size)):
            heard = utter(line, voices[index % len(voices)], rng, quality=quality)
            samples = np.round(np.clip(heard.samples, -1, 1) * 32767.0).astype(np.int16)
            chunks.append(samples)
            info.append(
                {
                    "text": heard.text,
                    "starts_s": heard.starts_s,
                    "voice": heard.voice,
                    "begin": begin,
                    "count": len(samples),
                }
            )
            begin += len(samples)
        np.savez(
            folder / f"{name}.npz",
            samples=np.concatenate(chunks),
            info=np.asarray(json.dumps(info)),
        )


def _test_lines(source: str, corpora: Path, calls: Path, rng: Rng, size: int) -> list[Line]:
    if source == "lines":
        drawn = [text.speakable(lines.draw_line(rng, "test")) for _ in range(size)]
        return [line for line in drawn if line is not None]
    if source == "dev":
        half = size // 2
        drawn = [text.speakable(lines.draw_line(rng, "test")) for _ in range(half)]
        turns = list(text.corpus_turns(corpora, "dev"))
        kept = _cut(turns, rng, size - half)
        return [line for line in drawn if line is not None] + kept
    turns = list(
        text.corpus_turns(corpora, "test")
        if source == "natural"
        else text.call_turns(calls, "test")
    )
    return _cut(turns, rng, size)


def _cut(turns: list[Line], rng: Rng, size: int) -> list[Line]:
    """Return up to `size` pieces of 1 to 12 s, drawn from the turns."""
    found = [p for turn in turns for p in text.pieces(turn, rng) if 1.0 < text.seconds(p) < 12.0]
    return [found[int(i)] for i in rng.permutation(len(found))[:size]]
