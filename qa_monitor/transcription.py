"""From sound to words with times: voice activity, windows, recognition, and doubts about it.

Each channel is cut into pieces of speech; pieces of one call are joined into windows no longer
than the model transcribes well; windows of several calls go through the model in one batch. What
faster-whisper's batched pipeline leaves undone is done here: its thresholds of repetition,
probability and silence are applied to each window, a window that fails them is tried again in
halves, and what fails still is flagged or dropped, and counted.
"""

from __future__ import annotations

import itertools
import math
import re
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qa_monitor.calls import SAMPLE_RATE_HZ, DecodedAudio, Segment, Transcript, Word
from qa_monitor.errors import ModelError, TranscriptionError
from qa_monitor.models import check_recogniser, read_manifest

__all__ = [
    "CheckSample",
    "FasterWhisperRecogniser",
    "ModelCheck",
    "Recogniser",
    "check_model",
    "normalise_words",
    "word_error_rate",
]

# Voice activity. Silero gives a probability for each frame of 32 ms.
_FRAME = 512
_SPEECH_ON = 0.5
_SPEECH_OFF = 0.35
_MIN_SILENCE_S = 0.5
_MIN_SPEECH_S = 0.1
_PAD_S = 0.2
_VAD_BLOCK_S = 600
_VAD_WARM_UP_S = 4
_LEVEL = 0.5
_MAX_GAIN = 10.0

# Whisper's own thresholds (Radford et al., 2022, section 4.5), as faster-whisper has them.
_MAX_COMPRESSION_RATIO = 2.4
_MIN_LOG_PROBABILITY = -1.0
_MAX_NO_SPEECH = 0.6
# What no speaker does.
_MAX_WORDS_PER_S = 7.0
_MAX_REPEATS = 4
_LONGEST_LOOP = 8
_MISSED_S = 0.8
_WORD_MARGIN_S = 0.3
_WEAK_SPEECH = 0.8
_WEAK_CONFIDENCE = 0.5
# Music comes this close to speech; what is read into it must be sure.
_MUSIC_LIKE_SPEECH = 0.65
_MUSIC_CONFIDENCE = 0.75
_DOUBTFUL_CONFIDENCE = 0.35
# A window that fails is tried again in halves, so many times over.
_HALVINGS = 3
_SHORTEST_HALF_S = 2.0
_MIN_WORD_S = 0.02
_EMPTY_PIECE_S = 1.0  # what a piece without words costs, in seconds of covered speech
_WORD_EDGE_S = 0.06  # sound that voice activity hears late or not at all


class Recogniser(Protocol):
    """Anything that turns a call's sound into a transcript.

    ``name`` tells records which model it was; ``is_demonstration`` that it is not fit for real
    recordings.
    """

    @property
    def name(self) -> str:
        """Name of the model, with its revision where known."""
        ...

    @property
    def is_demonstration(self) -> bool:
        """Whether records made with it are for demonstration only."""
        ...

    def transcribe(
        self,
        call_id: str,
        audio: DecodedAudio,
        *,
        progress: Callable[[float], None] | None = None,
    ) -> Transcript:
        """The transcript of one call; ``TranscriptionError`` if the engine failed."""
        ...

    def transcribe_many(
        self,
        calls: Iterable[tuple[str, DecodedAudio]],
        *,
        progress: Callable[[str, float], None] | None = None,
    ) -> Iterator[Transcript | TranscriptionError]:
        """For each call, in order, its transcript or the error that took its place."""
        ...


# --- pieces and windows --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Piece:
    """Samples ``[start, end)`` of one channel, with speech in them."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class _Channel:
    """One channel's samples and the speech probability of each frame of them."""

    index: int
    samples: NDArray[np.int16] = field(repr=False)
    speech: NDArray[np.float32] = field(repr=False)

    def quietest(self, start: int, end: int) -> int:
        """The sample of ``[start, end)`` that is best to cut at: least speech, then least sound."""
        frames = range(start // _FRAME + 1, max(start // _FRAME + 2, end // _FRAME))

        def loudness(frame: int) -> tuple[float, float]:
            around = self.speech[max(0, frame - 1) : frame + 2]
            sound = self.samples[frame * _FRAME : (frame + 1) * _FRAME].astype(np.float32)
            energy = float(np.square(sound).mean()) if len(sound) else 0.0
            return round(float(around.mean()) if len(around) else 0.0, 1), energy

        return min(frames, key=loudness) * _FRAME + _FRAME // 2

    def spoken(self, start_s: float, end_s: float) -> tuple[float, float, float]:
        """Seconds of speech between two times, and the times without the silence at either end."""
        frame_s = _FRAME / SAMPLE_RATE_HZ
        first = int(start_s / frame_s)
        inside = np.flatnonzero(self.speech[first : math.ceil(end_s / frame_s)] >= _SPEECH_OFF)
        if not len(inside):
            return 0.0, start_s, end_s
        begin = max(start_s, (first + int(inside[0])) * frame_s - _WORD_EDGE_S)
        stop = min(end_s, (first + int(inside[-1]) + 1) * frame_s + _WORD_EDGE_S)
        return len(inside) * frame_s, begin, max(begin, stop)

    def strength(self, piece: _Piece) -> float:
        """The median probability of speech in ``piece`` without its padding, 0 to 1."""
        pad = round(_PAD_S * SAMPLE_RATE_HZ)
        inner = self.speech[(piece.start + pad) // _FRAME : (piece.end - pad) // _FRAME + 1]
        return float(np.median(inner)) if len(inner) else 0.0

    def speech_without(self, words: Sequence[Word], piece: _Piece) -> float:
        """Seconds of speech in ``piece`` that are away from ``words``."""
        first = piece.start // _FRAME
        missed = self.speech[first : -(-piece.end // _FRAME)] >= _SPEECH_ON
        for word in words:
            start = int((word.start_s - _WORD_MARGIN_S) * SAMPLE_RATE_HZ / _FRAME) - first
            end = int((word.end_s + _WORD_MARGIN_S) * SAMPLE_RATE_HZ / _FRAME) - first + 1
            missed[max(0, start) : max(0, end)] = False
        return float(missed.sum()) * _FRAME / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class _Window:
    """Pieces of one channel that are transcribed together; ``halvings`` counts earlier failures."""

    channel: _Channel
    pieces: tuple[_Piece, ...]
    halvings: int = 0

    @property
    def length(self) -> int:
        return sum(piece.length for piece in self.pieces)

    @property
    def duration_s(self) -> float:
        return self.length / SAMPLE_RATE_HZ

    def sound(self) -> NDArray[np.float32]:
        """The pieces end to end, as float32 in [-1, 1]."""
        samples = [self.channel.samples[piece.start : piece.end] for piece in self.pieces]
        return np.concatenate(samples).astype(np.float32) / 32768.0

    def place(self, words: Sequence[Word]) -> list[list[Word]]:
        """For each piece the words said in it, in the recording's time and in order.

        Alignment is coarse where pieces were joined: it gives the pause to either neighbour. Words
        are dealt out in order so that they cover as much speech as possible and no piece with
        speech stays empty, if that can be; silence at the ends of a word is cut off.
        """
        shifts_s = []
        joint_s = 0.0
        for piece in self.pieces:
            shifts_s.append(piece.start / SAMPLE_RATE_HZ - joint_s)
            joint_s += piece.length / SAMPLE_RATE_HZ
        placed: list[list[Word]] = [[] for _ in self.pieces]
        for word, index in zip(words, self._deal(words, shifts_s), strict=True):
            before = placed[index][-1].end_s if placed[index] else 0.0
            start_s, end_s = self._within(word, index, shifts_s[index])
            _, start_s, end_s = self.channel.spoken(start_s, end_s)
            start_s = round(max(start_s, before), 3)
            last_s = round(self.pieces[index].end / SAMPLE_RATE_HZ, 3)
            end_s = max(start_s, min(round(max(end_s, start_s + _MIN_WORD_S), 3), last_s))
            placed[index].append(replace(word, start_s=start_s, end_s=end_s))
        return placed

    def _within(self, word: Word, index: int, shift_s: float) -> tuple[float, float]:
        """The times of ``word`` in the recording, as far as they lie in the piece."""
        piece = self.pieces[index]
        first_s, last_s = piece.start / SAMPLE_RATE_HZ, piece.end / SAMPLE_RATE_HZ
        start_s = min(max(word.start_s + shift_s, first_s), last_s)
        return start_s, min(max(word.end_s + shift_s, start_s), last_s)

    def _fit(self, word: Word, index: int, shift_s: float) -> float:
        """Seconds of speech that ``word`` covers in the piece, less its distance from the piece."""
        piece = self.pieces[index]
        early_s = piece.start / SAMPLE_RATE_HZ - (word.end_s + shift_s)
        late_s = word.start_s + shift_s - piece.end / SAMPLE_RATE_HZ
        spoken_s = self.channel.spoken(*self._within(word, index, shift_s))[0]
        return spoken_s - max(0.0, early_s, late_s)

    def _deal(self, words: Sequence[Word], shifts_s: Sequence[float]) -> list[int]:
        """The index of each word's piece, never falling: the best path through the table."""
        count = len(self.pieces)
        if count == 1 or not words:
            return [0] * len(words)
        empty = [
            _EMPTY_PIECE_S * (self.channel.speech_without((), piece) > _MIN_SPEECH_S)
            for piece in self.pieces
        ]
        # skipped[k]: what it costs to leave all pieces before k empty
        skipped = [sum(empty[:index]) for index in range(count + 1)]
        covered = [
            [self._fit(word, index, shift_s) for index, shift_s in enumerate(shifts_s)]
            for word in words
        ]
        score = [covered[0][index] - skipped[index] for index in range(count)]
        steps: list[list[int]] = []
        for row in covered[1:]:
            step = [
                max(
                    range(index + 1),
                    key=lambda before, index=index: (  # type: ignore[misc]
                        score[before] - max(0.0, skipped[index] - skipped[min(before + 1, index)])
                    ),
                )
                for index in range(count)
            ]
            score = [
                row[index]
                + score[before]
                - max(0.0, skipped[index] - skipped[min(before + 1, index)])
                for index, before in enumerate(step)
            ]
            steps.append(step)
        last = max(
            range(count), key=lambda index: score[index] - (skipped[count] - skipped[index + 1])
        )
        path = [last]
        for step in reversed(steps):
            path.append(step[path[-1]])
        return path[::-1]

    def halves(self) -> tuple[_Window, ...]:
        """Two windows of half its pieces or half its only piece; nothing when it is too short."""
        if self.halvings >= _HALVINGS:
            return ()
        if len(self.pieces) > 1:
            middle = len(self.pieces) // 2
            parts = self.pieces[:middle], self.pieces[middle:]
        else:
            (piece,) = self.pieces
            if piece.length < 2 * _SHORTEST_HALF_S * SAMPLE_RATE_HZ:
                return ()
            third = piece.length // 3
            cut = self.channel.quietest(piece.start + third, piece.end - third)
            parts = (_Piece(piece.start, cut),), (_Piece(cut, piece.end),)
        return tuple(_Window(self.channel, part, self.halvings + 1) for part in parts)


def _speech_probabilities(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Silero's probability of speech for each frame of 512 samples, the last one padded.

    Runs in blocks of ten minutes, so that memory does not grow with the call, each with a few
    seconds of run-up for the recurrent state. Quiet channels are raised first, up to 20 dB.
    """
    from faster_whisper.vad import get_vad_model

    model = get_vad_model()
    sampled = samples[:: max(1, len(samples) // 2_000_000)].astype(np.int32)
    loud = float(np.percentile(np.abs(sampled), 99.5))
    gain = min(_MAX_GAIN, max(1.0, _LEVEL * 32768.0 / max(loud, 1.0))) / 32768.0
    block = _VAD_BLOCK_S * SAMPLE_RATE_HZ // _FRAME * _FRAME
    warm_up = _VAD_WARM_UP_S * SAMPLE_RATE_HZ // _FRAME * _FRAME
    found = []
    for start in range(0, len(samples), block):
        lead = min(start, warm_up)
        sound = samples[start - lead : start + block].astype(np.float32) * gain
        sound = np.pad(np.clip(sound, -1.0, 1.0), (0, -len(sound) % _FRAME))
        found.append(model(sound).reshape(-1)[lead // _FRAME :])
    return np.concatenate(found).astype(np.float32)


def _speech_pieces(channel: _Channel, max_length: int) -> list[_Piece]:
    """Stretches of speech, padded, in order, none longer than ``max_length`` samples."""
    stretches: list[list[int]] = []
    speaking = False
    for frame, probability in enumerate(channel.speech):
        if probability >= _SPEECH_ON or (speaking and probability >= _SPEECH_OFF):
            if not speaking:
                stretches.append([frame, frame + 1])
            stretches[-1][1] = frame + 1
            speaking = True
        else:
            speaking = False
    min_silence = _MIN_SILENCE_S * SAMPLE_RATE_HZ / _FRAME
    joined: list[list[int]] = []
    for stretch in stretches:
        if joined and stretch[0] - joined[-1][1] < min_silence:
            joined[-1][1] = stretch[1]
        else:
            joined.append(stretch)
    min_speech = _MIN_SPEECH_S * SAMPLE_RATE_HZ / _FRAME
    spoken = [stretch for stretch in joined if stretch[1] - stretch[0] >= min_speech]
    pad = round(_PAD_S * SAMPLE_RATE_HZ)
    pieces: list[_Piece] = []
    for start, end in ((first * _FRAME, last * _FRAME) for first, last in spoken):
        # _MIN_SILENCE_S exceeds twice the padding, so that pieces never overlap.
        piece = _Piece(max(0, start - pad), min(len(channel.samples), end + pad))
        while piece.length > max_length:
            cut = channel.quietest(piece.start + max_length // 2, piece.start + max_length)
            pieces.append(_Piece(piece.start, cut))
            piece = _Piece(cut, piece.end)
        pieces.append(piece)
    return pieces


def _join_pieces(channel: _Channel, pieces: Sequence[_Piece], max_length: int) -> Iterator[_Window]:
    joined: list[_Piece] = []
    for piece in pieces:
        if joined and sum(part.length for part in joined) + piece.length > max_length:
            yield _Window(channel, tuple(joined))
            joined = []
        joined.append(piece)
    if joined:
        yield _Window(channel, tuple(joined))


# --- the engine's answers ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Heard:
    """What the engine made of a window; word times are seconds from the window's beginning."""

    words: tuple[Word, ...] = field(repr=False)
    log_probability: float
    no_speech: float

    @property
    def is_silence(self) -> bool:
        return self.no_speech > _MAX_NO_SPEECH and self.log_probability < _MIN_LOG_PROBABILITY

    @property
    def is_unlikely(self) -> bool:
        return self.log_probability < _MIN_LOG_PROBABILITY

    @property
    def is_loop(self) -> bool:
        text = " ".join(word.text for word in self.words).encode()
        compression = len(text) / len(zlib.compress(text))
        return compression > _MAX_COMPRESSION_RATIO or _loop_start(self.words) is not None


def _loop_start(words: Sequence[Word]) -> int | None:
    """The index from which words only repeat what went before; ``None`` without a loop."""
    texts = [re.sub(r"\W", "", word.text.casefold()) for word in words]
    for size in range(1, _LONGEST_LOOP + 1):
        # A caller may well say "no" five times, or read out four zeros.
        needed = _MAX_REPEATS if size > 1 else _MAX_REPEATS + 2
        for start in range(len(texts) - size * needed + 1):
            cycle = texts[start : start + size]
            if texts[start : start + size * needed] == cycle * needed:
                return start + size
    return None


@dataclass(slots=True)
class _Call:
    """A call on its way through the batches."""

    call_id: str
    pending: int = 0
    total_s: float = 0.0
    done_s: float = 0.0
    dropped_s: float = 0.0
    segments: list[Segment] = field(default_factory=list)
    error: TranscriptionError | None = None


class FasterWhisperRecogniser:
    """A Whisper model in CTranslate2 form, run by faster-whisper on arrays.

    ``model_dir`` holds the model and, where it has one, its manifest, whose window, beam and
    language the arguments override: ``max_window_s`` in seconds (at most 30), ``language`` as a
    code of Whisper's. ``batch_size`` windows go through the model at once; ``threads`` of 0 lets
    the engine choose. Temperature is 0 throughout: the same samples give the same transcript.

    Raises ``ModelError`` when the model is incomplete or does not load. Opens no connection.
    """

    def __init__(
        self,
        model_dir: Path,
        *,
        language: str | None = None,
        max_window_s: float | None = None,
        beam_size: int | None = None,
        batch_size: int = 8,
        device: str = "auto",
        compute_type: str = "default",
        threads: int = 0,
    ) -> None:
        manifest = read_manifest(check_recogniser(model_dir))
        self._max_length = int(min(30.0, max_window_s or manifest.max_window_s) * SAMPLE_RATE_HZ)
        self._frames = round(max(self._max_length / SAMPLE_RATE_HZ, manifest.pad_to_s) * 100)
        self._word_shift_s = manifest.word_shift_s
        self._beam_size = beam_size or manifest.beam_size
        self._batch_size = batch_size
        self._is_demonstration = manifest.demonstration_only
        revision = f"@{manifest.revision[:8]}" if manifest.revision else ""
        self._name = f"{manifest.name}{revision}"
        kind: str | None = None
        try:
            self._load(model_dir, language or manifest.language, device, compute_type, threads)
        except Exception as error:  # noqa: BLE001 - the engine raises RuntimeError and ValueError alike
            kind = type(error).__name__
        if kind is not None:
            raise ModelError(
                f"Recogniser {self._name} does not load ({kind}): its files are damaged, or the "
                "language, device or compute type asked for is not there. Correct the setting or "
                "pull the model again.",
                kind=kind,
            )

    def _load(
        self, model_dir: Path, language: str, device: str, compute_type: str, threads: int
    ) -> None:
        from faster_whisper import WhisperModel
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        self._model = WhisperModel(
            str(model_dir),
            device=device,
            compute_type=compute_type,
            cpu_threads=threads,
            local_files_only=True,
        )
        multilingual = self._model.model.is_multilingual
        self._language = language if multilingual else "en"
        self._tokenizer = Tokenizer(
            self._model.hf_tokenizer, multilingual, task="transcribe", language=language
        )
        self._suppressed = get_suppressed_tokens(self._tokenizer, [-1])
        self._prompt = [*self._tokenizer.sot_sequence, self._tokenizer.no_timestamps]
        # Text can never need more: a loop is cut short, and the same way in every batch.
        seconds = self._max_length / SAMPLE_RATE_HZ
        self._max_tokens = min(self._model.max_length, len(self._prompt) + 32 + int(25 * seconds))

    @property
    def name(self) -> str:
        """Name of the model, with the first digits of its revision where it was pulled."""
        return self._name

    @property
    def is_demonstration(self) -> bool:
        """Whether the model's manifest says that it is for demonstration only."""
        return self._is_demonstration

    def transcribe(
        self,
        call_id: str,
        audio: DecodedAudio,
        *,
        progress: Callable[[float], None] | None = None,
    ) -> Transcript:
        """What was said in ``audio``, by channel and time; no segment where there was no speech.

        ``progress`` is called with the share of the speech that is done, 0 to 1. Raises
        ``TranscriptionError``.
        """
        report = None if progress is None else lambda _, share: progress(share)
        (result,) = self.transcribe_many([(call_id, audio)], progress=report)
        if isinstance(result, TranscriptionError):
            raise result
        return result

    def transcribe_many(
        self,
        calls: Iterable[tuple[str, DecodedAudio]],
        *,
        progress: Callable[[str, float], None] | None = None,
    ) -> Iterator[Transcript | TranscriptionError]:
        """For each of ``calls`` (call id, sound), in order, its transcript or its error.

        Calls are taken one by one as the batches have room, and windows of several share a batch.
        ``progress`` is called with a call id and the share of its speech that is done.
        """
        incoming = iter(calls)
        underway: deque[_Call] = deque()
        waiting: deque[tuple[_Call, _Window]] = deque()
        is_more = True
        while is_more or underway:
            while is_more and len(waiting) < self._batch_size:
                arrival = next(incoming, None)
                if arrival is None:
                    is_more = False
                    break
                call, windows = self._begin(*arrival)
                underway.append(call)
                waiting.extend((call, window) for window in windows)
            batch = [waiting.popleft() for _ in range(min(self._batch_size, len(waiting)))]
            waiting.extendleft(reversed(self._run(batch)))
            for call in {id(call): call for call, _ in batch}.values():
                if progress is not None and call.total_s:
                    progress(call.call_id, min(1.0, call.done_s / call.total_s))
            while underway and not underway[0].pending:
                yield self._finish(underway.popleft())

    def _begin(self, call_id: str, audio: DecodedAudio) -> tuple[_Call, list[_Window]]:
        call = _Call(call_id)
        windows: list[_Window] = []
        kind: str | None = None
        try:
            for index in range(audio.channels):
                samples = audio.samples[index]
                if not samples.any():
                    continue
                channel = _Channel(index, samples, _speech_probabilities(samples))
                pieces = _speech_pieces(channel, self._max_length)
                windows.extend(_join_pieces(channel, pieces, self._max_length))
        except Exception as error:  # noqa: BLE001 - whatever the engine raises, the call fails alone
            kind = type(error).__name__
        if kind is not None:
            call.error = _failure(call_id, kind)
            return call, []
        call.pending = len(windows)
        call.total_s = sum(window.duration_s for window in windows)
        return call, windows

    def _run(self, batch: list[tuple[_Call, _Window]]) -> list[tuple[_Call, _Window]]:
        """Transcribes a batch into its calls; returns the halves of windows to be tried again."""
        if not batch:
            return []
        kind: str | None = None
        try:
            answers = self._hear([window for _, window in batch])
        except Exception as error:  # noqa: BLE001 - the engine's message may quote the caller
            kind = type(error).__name__
        if kind is not None:
            # One window may have brought down the others: each gets its own try.
            if len(batch) > 1:
                return list(itertools.chain.from_iterable(self._run([item]) for item in batch))
            ((call, _),) = batch
            call.error = call.error or _failure(call.call_id, kind)
            call.pending -= 1
            return []
        again: list[tuple[_Call, _Window]] = []
        for (call, window), heard in zip(batch, answers, strict=True):
            placed = _place(window, heard)
            halves = window.halves() if placed.is_failed else ()
            if halves:
                again.extend((call, half) for half in halves)
                call.pending += len(halves) - 1
                continue
            call.segments.extend(placed.segments)
            call.dropped_s += placed.dropped_s
            call.done_s += window.duration_s
            call.pending -= 1
        return again

    def _hear(self, windows: Sequence[_Window]) -> list[_Heard]:
        from faster_whisper.audio import pad_or_trim
        from faster_whisper.transcribe import merge_punctuations

        model = self._model
        features = [model.feature_extractor(window.sound())[..., :-1] for window in windows]
        encoded = model.encode(np.stack([pad_or_trim(part, self._frames) for part in features]))
        results = model.model.generate(
            encoded,
            [self._prompt] * len(windows),
            beam_size=self._beam_size,
            max_length=self._max_tokens,
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
            sampling_temperature=0,
        )
        tokens = [
            [token for token in result.sequences_ids[0] if token < self._tokenizer.eot]
            for result in results
        ]
        frames = [min(feature.shape[-1], self._frames) for feature in features]
        alignments = model.find_alignment(self._tokenizer, tokens, encoded, frames)
        heard = []
        for result, alignment in zip(results, alignments, strict=True):
            merge_punctuations(alignment, "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、")
            words = tuple(
                Word(
                    text=entry["word"].strip(),
                    start_s=float(entry["start"]) + self._word_shift_s,
                    end_s=float(entry["end"]) + self._word_shift_s,
                    confidence=float(np.clip(entry["probability"], 0.0, 1.0)),
                )
                for entry in alignment
                if entry["word"].strip()
            )
            length = len(result.sequences_ids[0])
            heard.append(
                _Heard(
                    words=words,
                    log_probability=float(result.scores[0] * length / (length + 1)),
                    no_speech=float(result.no_speech_prob),
                )
            )
        return heard

    def _finish(self, call: _Call) -> Transcript | TranscriptionError:
        if call.error is not None:
            return call.error
        segments = sorted(call.segments, key=lambda part: (part.start_s, part.channel, part.end_s))
        return Transcript(
            call_id=call.call_id,
            language=self._language,
            asr_model=self._name,
            segments=tuple(segments),
            dropped_s=round(call.dropped_s, 3),
        )


def _failure(call_id: str, kind: str) -> TranscriptionError:
    return TranscriptionError(
        f"The recogniser failed on call {call_id} ({kind}). "
        "Run it again; if it fails again, try another model or a smaller batch.",
        call_id=call_id,
        kind=kind,
    )


@dataclass(frozen=True, slots=True)
class _Placed:
    """A window's words in the recording's time: a segment for each piece that has any.

    ``dropped_s`` is the speech left without text; ``is_failed`` asks for another try in halves.
    """

    segments: tuple[Segment, ...] = field(repr=False)
    dropped_s: float
    is_failed: bool


def _place(window: _Window, heard: _Heard) -> _Placed:
    words = () if heard.is_silence else heard.words
    loop = _loop_start(words)
    by_piece = window.place(words[:loop])
    segments = []
    dropped_s = 0.0
    is_failed = is_doubtful = heard.is_loop or heard.is_unlikely
    for piece, spoken in zip(window.pieces, by_piece, strict=True):
        confidence = float(np.mean([word.confidence for word in spoken])) if spoken else 0.0
        is_too_fast = len(spoken) > max(3.0, _MAX_WORDS_PER_S * piece.length / SAMPLE_RATE_HZ)
        strength = window.channel.strength(piece)
        is_made_up = (strength < _WEAK_SPEECH and confidence < _WEAK_CONFIDENCE) or (
            strength < _MUSIC_LIKE_SPEECH and confidence < _MUSIC_CONFIDENCE
        )
        if is_too_fast or is_made_up:
            spoken.clear()  # made up over music, noise or silence
        missed_s = window.channel.speech_without(spoken, piece)
        if missed_s > (_MISSED_S if spoken else _MIN_SPEECH_S):
            dropped_s += missed_s
            is_failed = True
        if spoken:
            segments.append(
                Segment(
                    channel=window.channel.index,
                    start_s=spoken[0].start_s,
                    end_s=spoken[-1].end_s,
                    text=" ".join(word.text for word in spoken),
                    words=tuple(spoken),
                    confidence=confidence,
                    is_doubtful=is_doubtful or confidence < _DOUBTFUL_CONFIDENCE,
                )
            )
    return _Placed(tuple(segments), dropped_s, is_failed)


# --- how good it is ------------------------------------------------------------------------------


def normalise_words(text: str) -> str:
    """``text`` as word error rates compare it: lower case, no punctuation, single spaces.

    Numbers are left as they are written: a model that writes "20" for "twenty" is charged for it.
    """
    text = text.casefold().replace("’", "'")
    text = re.sub(r"[^\w' ]+", " ", text)
    return " ".join(word.strip("'") for word in text.split() if word.strip("'"))


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Substituted, missing and added words by words of ``reference`` (by jiwer), 0 and up.

    Both are normalised first. An empty reference gives 0 for an empty hypothesis, else 1.
    """
    import jiwer

    reference, hypothesis = normalise_words(reference), normalise_words(hypothesis)
    if not reference:
        return float(bool(hypothesis))
    return float(jiwer.wer(reference, hypothesis))


@dataclass(frozen=True, slots=True)
class CheckSample:
    """A recording and what is said on each of its channels, in order."""

    audio: DecodedAudio
    references: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCheck:
    """How a model did on samples: error rate over ``words`` words, and times real time."""

    model: str
    is_demonstration: bool
    word_error_rate: float
    words: int
    dropped_s: float
    times_real_time: float


def check_model(model_dir: Path, samples: Sequence[CheckSample], **options: Any) -> ModelCheck:
    """How well and how fast the model in ``model_dir`` transcribes ``samples``.

    ``options`` go to ``FasterWhisperRecogniser``. Raises ``ModelError`` and
    ``TranscriptionError``.
    """
    recogniser = FasterWhisperRecogniser(model_dir, **options)
    begun = time.perf_counter()
    errors = dropped_s = 0.0
    words = 0
    for number, sample in enumerate(samples):
        transcript = recogniser.transcribe(f"sample-{number}", sample.audio)
        dropped_s += transcript.dropped_s
        for channel, reference in enumerate(sample.references):
            heard = " ".join(part.text for part in transcript.segments if part.channel == channel)
            count = len(normalise_words(reference).split())
            errors += word_error_rate(reference, heard) * max(1, count)
            words += count
    seconds = max(1e-6, time.perf_counter() - begun)
    return ModelCheck(
        model=recogniser.name,
        is_demonstration=recogniser.is_demonstration,
        word_error_rate=errors / max(1, words),
        words=words,
        dropped_s=dropped_s,
        times_real_time=sum(sample.audio.duration_s for sample in samples) / seconds,
    )
