"""Measures the converted model with faster-whisper, in short windows and in Whisper's own."""

from __future__ import annotations

import difflib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import jiwer
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer

from qa_monitor.training.voices import Samples

_RATE_HZ: Final = 16000
_PAUSE_S: Final = 0.35


class HeardWord(NamedTuple):
    """A word written by the model, and seconds from the recording's beginning."""

    text: str
    start_s: float


@dataclass(frozen=True)
class Figures:
    """What one test set gave.

    Rates are shares of the spoken words. Word starts are compared where the word is
    right: `start_bias_s` is the median of recognised minus true, `start_error_s` the mean
    of its size. `real_time_factor` is computing time over audio time.
    """

    name: str
    beam_size: int
    padded_to_s: float
    utterances: int
    audio_s: float
    word_error_rate: float
    start_bias_s: float
    start_error_s: float
    real_time_factor: float
    worst: tuple[tuple[str, str], ...]


class Listener:
    """The converted model, computing in int8 on `threads` cores.

    Each recording is padded with silence to `pad_to_s`. Below 30 it is written without
    timestamps, as the product does it; at 30 by `WhisperModel.transcribe`, as Whisper was
    meant.
    """

    def __init__(self, folder: Path, *, pad_to_s: float, threads: int = 2) -> None:
        self.pad_to_s = pad_to_s
        self._model = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=threads
        )
        self._tokenizer = Tokenizer(self._model.hf_tokenizer, multilingual=False)

    def write(self, audio: Samples, beam_size: int) -> list[HeardWord]:
        """Return the words of 16 kHz samples, at most `pad_to_s` of them."""
        if self.pad_to_s < 30.0:
            return self._write_short(audio, beam_size)
        segments, _ = self._model.transcribe(
            audio,
            language="en",
            beam_size=beam_size,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        return [
            HeardWord(word.word.strip(), float(word.start))
            for segment in segments
            for word in segment.words or []
        ]

    def _write_short(self, audio: Samples, beam_size: int) -> list[HeardWord]:
        model, tokenizer = self._model, self._tokenizer
        features = model.feature_extractor(audio)[..., :-1]
        frames = round(100 * self.pad_to_s)
        encoded = model.encode(pad_or_trim(features, frames)[None])
        (result,) = model.model.generate(
            encoded,
            [[*tokenizer.sot_sequence, tokenizer.no_timestamps]],
            beam_size=beam_size,
            suppress_blank=True,
            suppress_tokens=sorted(tokenizer.non_speech_tokens),
        )
        tokens = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
        (words,) = model.find_alignment(
            tokenizer, [tokens], encoded, min(features.shape[-1], frames)
        ) or [[]]
        return [
            HeardWord(word["word"].strip(), float(word["start"]))
            for word in words
            if word["word"].strip()
        ]


class _Recording(NamedTuple):
    audio: Samples
    text: str
    starts_s: tuple[float | None, ...]


def _recordings(test_set: Path, limit: int | None, joined_to_s: float) -> list[_Recording]:
    """Return the set's utterances, neighbours joined while they stay within `joined_to_s`."""
    with np.load(test_set) as data:
        samples, info = data["samples"], json.loads(str(data["info"]))
    recordings: list[_Recording] = []
    pause = np.zeros(round(_PAUSE_S * _RATE_HZ), dtype=np.float32)
    for item in info[:limit]:
        audio = samples[item["begin"] : item["begin"] + item["count"]].astype(np.float32) / 32768
        starts = tuple(item["starts_s"])
        last = recordings[-1] if recordings else None
        offset = len(last.audio) + len(pause) if last else 0
        if last and offset + len(audio) <= joined_to_s * _RATE_HZ:
            moved = (None if s is None else s + offset / _RATE_HZ for s in starts)
            recordings[-1] = _Recording(
                np.concatenate([last.audio, pause, audio]),
                f"{last.text} {item['text']}",
                (*last.starts_s, *moved),
            )
        else:
            recordings.append(_Recording(audio, item["text"], starts))
    return recordings


def measure(
    listener: Listener,
    test_set: Path,
    *,
    beam_size: int,
    limit: int | None = None,
    joined_to_s: float = 0.0,
) -> Figures:
    """Return the figures of a set of `speech.speak_test_sets`, one recording at a time.

    `limit` takes only the first so many. With `joined_to_s`, utterances are joined with
    short pauses into recordings of up to so many seconds, as the product joins pieces of
    speech. The listener should have written something before, so that loading is not timed.
    """
    wanted: list[str] = []
    written: list[str] = []
    differences: list[float] = []
    audio_s = elapsed_s = 0.0
    for recording in _recordings(test_set, limit, joined_to_s):
        audio_s += len(recording.audio) / _RATE_HZ
        begun_s = time.perf_counter()
        words = listener.write(recording.audio, beam_size)
        elapsed_s += time.perf_counter() - begun_s
        heard = [word.text for word in words]
        wanted.append(recording.text)
        written.append(" ".join(heard))
        said = recording.text.split()
        matcher = difflib.SequenceMatcher(None, said, heard, autojunk=False)
        for block in matcher.get_matching_blocks():
            for offset in range(block.size):
                start_s = recording.starts_s[block.a + offset]
                if start_s is not None:
                    differences.append(words[block.b + offset].start_s - start_s)
    by_error = sorted(
        zip(wanted, written, strict=True), key=lambda pair: -float(jiwer.wer(pair[0], pair[1]))
    )
    errors = np.asarray(differences or [np.nan])
    return Figures(
        test_set.stem,
        beam_size,
        listener.pad_to_s,
        len(wanted),
        audio_s,
        float(jiwer.wer(wanted, written)),
        float(np.median(errors)),
        float(np.abs(errors).mean()),
        elapsed_s / audio_s,
        tuple(by_error[:5]),
    )


def table(figures: list[Figures]) -> str:
    """Return the figures as a Markdown table, one row a set, beam and padding."""
    rows = [
        "| test set | window | beam | utterances | word error rate "
        "| word starts: mean error (bias) | real-time factor |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {f.name} | {f.padded_to_s:.0f} s | {f.beam_size} | {f.utterances} "
        f"| {f.word_error_rate:.1%} | {f.start_error_s:.3f} s ({f.start_bias_s:+.3f} s) "
        f"| {f.real_time_factor:.3f} |"
        for f in figures
    ]
    return "\n".join(rows) + "\n"
