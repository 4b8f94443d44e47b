"""Measures the converted model with faster-whisper, as the product uses it."""

from __future__ import annotations

import difflib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
from faster_whisper import WhisperModel


@dataclass(frozen=True)
class Figures:
    """What one test set gave.

    Rates are shares of the spoken words. Word starts are compared where the word is
    right: `start_bias_s` is the median of recognised minus true, `start_error_s` the mean
    of its size. `real_time_factor` is computing time over audio time.
    """

    name: str
    beam_size: int
    utterances: int
    audio_s: float
    word_error_rate: float
    start_bias_s: float
    start_error_s: float
    real_time_factor: float
    worst: tuple[tuple[str, str], ...]


def measure(
    model: WhisperModel,
    test_set: Path,
    *,
    beam_size: int,
    limit: int | None = None,
    chunk_s: int | None = None,
) -> Figures:
    """Return the figures of a set of `speech.speak_test_sets`, one recording at a time.

    `limit` takes only the first so many. `chunk_s` is the window that each recording is
    padded or cut to (30 s where None).
    """
    with np.load(test_set) as data:
        samples, info = data["samples"], json.loads(str(data["info"]))
    wanted: list[str] = []
    written: list[str] = []
    differences: list[float] = []
    begun_s, audio_s = time.perf_counter(), 0.0
    for item in info[:limit]:
        audio = samples[item["begin"] : item["begin"] + item["count"]].astype(np.float32) / 32768
        audio_s += len(audio) / 16000
        segments, _ = model.transcribe(
            audio,
            language="en",
            beam_size=beam_size,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
            chunk_length=chunk_s,
        )
        words = [word for segment in segments for word in segment.words or []]
        heard = [word.word.strip() for word in words]
        wanted.append(item["text"])
        written.append(" ".join(heard))
        said = item["text"].split()
        matcher = difflib.SequenceMatcher(None, said, heard, autojunk=False)
        for block in matcher.get_matching_blocks():
            for offset in range(block.size):
                start_s = item["starts_s"][block.a + offset]
                if start_s is not None:
                    differences.append(words[block.b + offset].start - start_s)
    elapsed_s = time.perf_counter() - begun_s
    by_error = sorted(
        zip(wanted, written, strict=True), key=lambda pair: -float(jiwer.wer(pair[0], pair[1]))
    )
    errors = np.asarray(differences or [0.0])
    return Figures(
        test_set.stem,
        beam_size,
        len(wanted),
        audio_s,
        float(jiwer.wer(wanted, written)),
        float(np.median(errors)),
        float(np.abs(errors).mean()),
        elapsed_s / audio_s,
        tuple(by_error[:5]),
    )


def load(folder: Path, threads: int = 2) -> WhisperModel:
    """Return the converted model, computing in int8 on that many cores."""
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)


def table(figures: list[Figures]) -> str:
    """Return the figures as a Markdown table, one row a set and beam."""
    rows = [
        "| test set | beam | utterances | word error rate | word starts: mean error (bias) "
        "| real-time factor |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {f.name} | {f.beam_size} | {f.utterances} | {f.word_error_rate:.1%} "
        f"| {f.start_error_s:.3f} s ({f.start_bias_s:+.3f} s) | {f.real_time_factor:.3f} |"
        for f in figures
    ]
    return "\n".join(rows) + "\n"
