"""Training windows: utterances packed with pauses, and what the network is to say of them.

A window is what Whisper hears at once. `Shards` reads what `speech.synthesise` wrote;
`Windows` packs utterances into windows of one length and makes `Batch`es of them.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from qa_monitor.training.recogniser.speech import MEL_BANDS
from qa_monitor.training.recogniser.tokens import Vocabulary

Mel = npt.NDArray[np.float32]
Span = tuple[float, float]

IGNORED: Final = -100
FRAMES_PER_S: Final = 100
# The decoder's positions, less two for what a prompt may add.
_MAXIMUM_TOKENS: Final = 446
_BIN_FRAMES: Final = 50
_SHORTEST_ROOM: Final = 60


@dataclass(frozen=True)
class Heard:
    """One utterance in the shards: its rows, its tokens and when each is spoken.

    `spans_s` are seconds from the utterance's beginning; None where not known.
    """

    shard: int
    row: int
    rows: int
    tokens: tuple[int, ...]
    spans_s: tuple[Span | None, ...]


def token_spans(
    text: str, starts_s: list[float | None], duration_s: float, vocabulary: Vocabulary
) -> tuple[tuple[int, ...], tuple[Span | None, ...]]:
    """Return the tokens of a text and the time of each.

    A word lasts until the next one begins, the last one as long as its letters suggest;
    within a word, tokens share the time by their letters.
    """
    tokens: list[int] = []
    spans: list[Span | None] = []
    words = text.split()
    ends_s = [*starts_s[1:], duration_s]
    for index, word in enumerate(words):
        ids, letters = vocabulary.word(word)
        tokens += ids
        start, end = starts_s[index], ends_s[index]
        if start is not None and end is not None and index + 1 == len(words):
            end = min(end, start + 0.12 * len(word) + 0.1)
        if start is None or end is None or end <= start:
            spans += [None] * len(ids)
            continue
        edges = (np.cumsum([0, *letters]) / sum(letters) * (end - start) + start).tolist()
        spans += itertools.pairwise(edges)
    return tuple(tokens), tuple(spans)


class Shards:
    """All finished shards of a folder; `refresh` takes in those finished since."""

    def __init__(self, folder: Path, vocabulary: Vocabulary) -> None:
        self._folder = folder
        self._vocabulary = vocabulary
        self._maps: list[npt.NDArray[np.float16]] = []
        self._known: set[str] = set()
        self.utterances: list[Heard] = []
        self.refresh()

    @property
    def hours(self) -> float:
        """Length of all utterances, in hours."""
        return sum(u.rows for u in self.utterances) / (3600.0 * FRAMES_PER_S)

    def refresh(self) -> bool:
        """Read newly finished shards; whether there were any."""
        found = False
        for listing in sorted(self._folder.glob("*.jsonl")):
            if listing.stem in self._known:
                continue
            found = True
            self._known.add(listing.stem)
            shard = len(self._maps)
            data = np.memmap(listing.with_suffix(".mel"), dtype=np.float16, mode="r")
            self._maps.append(data.reshape(-1, MEL_BANDS))
            for record in listing.read_text().splitlines():
                item = json.loads(record)
                tokens, spans = token_spans(
                    item["text"], item["starts_s"], item["rows"] / FRAMES_PER_S, self._vocabulary
                )
                self.utterances.append(Heard(shard, item["row"], item["rows"], tokens, spans))
        return found

    def mel(self, utterance: Heard) -> Mel:
        """Return the log10 mel energies, (rows, 80)."""
        rows = self._maps[utterance.shard][utterance.row : utterance.row + utterance.rows]
        return np.asarray(rows, dtype=np.float32)


class Window(NamedTuple):
    """One window and what is to be written of it.

    `mel` is (frames, 80), scaled as faster-whisper scales it. `tokens` are what the
    decoder is given, `targets` what it is to say after each (IGNORED: nothing), `spans_s`
    the time of each target.
    An utterance cut by the window's end begins at `cut_frame` and is not written.
    """

    mel: Mel
    tokens: list[int]
    targets: list[int]
    spans_s: list[Span | None]
    cut_frame: int | None


class Batch(NamedTuple):
    """Windows of one length as tensors.

    mel (batch, frames, 80); tokens and targets (batch, length); spans_s (batch, length,
    2), -1 where unknown; frame_targets (batch, frames / 2): the text token spoken in each
    20 ms, or `end` for silence.
    """

    mel: Tensor
    tokens: Tensor
    targets: Tensor
    spans_s: Tensor
    frame_targets: Tensor


@dataclass(frozen=True)
class Mix:
    """How windows are made: probabilities of each kind."""

    timestamps: float = 0.5
    cut: float = 0.0
    prompted: float = 0.0
    noise: float = 0.0
    padded: float = 0.0


class Windows:
    """Makes batches without end. Every utterance of a length bin is heard before any again."""

    def __init__(self, shards: Shards, vocabulary: Vocabulary, seed: int) -> None:
        self._shards = shards
        self._vocabulary = vocabulary
        self._rng = np.random.default_rng(seed)
        self._used = 0
        self.refresh()

    def refresh(self) -> None:
        """Sort the shards' utterances into bins of half a second (again)."""
        # Bins, because an utterance must fit into the room that is left: drawing any and
        # waiting for one that fits would starve short windows.
        self._bins: list[list[int]] = []
        for number, utterance in enumerate(self._shards.utterances):
            index = utterance.rows // _BIN_FRAMES
            while len(self._bins) <= index:
                self._bins.append([])
            self._bins[index].append(number)
        self._waiting: list[list[int]] = [[] for _ in self._bins]
        sizes = np.array([len(numbers) for numbers in self._bins], dtype=float)
        # Longer ones weigh more than by number: a window has room for fewer of them.
        self._weights = sizes * np.sqrt(np.arange(len(sizes)) + 1.0)

    @property
    def epochs(self) -> float:
        """How often the average utterance was heard."""
        return self._used / max(1, len(self._shards.utterances))

    def _next(self, room: int) -> Heard | None:
        """Return an utterance not longer than `room` frames."""
        fitting = min(len(self._bins), room // _BIN_FRAMES)
        weights = self._weights[:fitting]
        if weights.sum() <= 0:
            return None
        index = int(self._rng.choice(fitting, p=weights / weights.sum()))
        if not self._waiting[index]:
            self._waiting[index] = [int(i) for i in self._rng.permutation(self._bins[index])]
        self._used += 1
        return self._shards.utterances[self._waiting[index].pop()]

    def _pause(self, beside: Mel, frames: int) -> Mel:
        """Return a pause: digital silence, or noise like the edge of the speech beside it."""
        rng = self._rng
        if rng.random() < 0.3:
            return np.full((frames, MEL_BANDS), -10.0, dtype=np.float32)
        level = beside[-4:].mean(0) - rng.uniform(0.0, 0.5)
        return np.asarray(level + rng.normal(0.0, 0.22, (frames, MEL_BANDS)), dtype=np.float32)

    def window(self, frames: int, mix: Mix) -> Window:
        """Return one window of that many frames."""
        rng = self._rng
        if rng.random() < mix.noise:
            return self._noise_window(frames)
        fill = float(rng.uniform(0.12, 1.0)) if rng.random() < mix.padded else 1.0
        # Past 20 s there is always padding: the product's windows are short, and only
        # faster-whisper's padding to 30 s makes them long.
        limit = int(fill * frames) if frames <= 2000 else int(rng.uniform(0.05, 0.6) * frames)
        limit = max(limit, 250)
        cuts = rng.random() < mix.cut
        parts: list[Mel] = []
        placed: list[tuple[int, Heard]] = []
        length, cut_frame = 0, None
        while True:
            gap = self._gap() if length else self._first_gap()
            room = limit - length - gap
            if room < _SHORTEST_ROOM:
                break
            cutting = cuts and room < 400
            utterance = self._next(10_000 if cutting else room)
            if utterance is None:
                break
            mel = self._shards.mel(utterance) + np.float32(rng.normal(0.0, 0.3))
            if gap:
                parts.append(self._pause(mel, gap))
                length += gap
            if length + len(mel) > frames:
                cut_frame = length
                parts.append(mel[: frames - length])
                break
            placed.append((length, utterance))
            parts.append(mel)
            length += len(mel)
            if length >= limit:
                break
        if not placed:
            return self._noise_window(frames)
        if cut_frame is None and length < limit and rng.random() < 0.5:
            parts.append(self._pause(parts[-1], int(rng.integers(1, limit - length + 1))))
        mel = self._scaled(self._warped(np.concatenate(parts)), frames)
        return self._labelled(mel, placed, cut_frame, mix)

    def _first_gap(self) -> int:
        """Return frames of quiet before the first word."""
        kind = self._rng.random()
        return 0 if kind < 0.25 else int(self._rng.integers(0, 30 if kind < 0.75 else 100))

    def _gap(self) -> int:
        """Return frames of quiet between two utterances."""
        low, high = (2, 25) if self._rng.random() < 0.65 else (10, 100)
        return int(self._rng.integers(low, high))

    def _noise_window(self, frames: int) -> Window:
        rng, vocabulary = self._rng, self._vocabulary
        count = int(rng.integers(frames // 3, frames))
        tilt = rng.normal(0.0, 0.5, (1, MEL_BANDS))
        noise = rng.normal(rng.uniform(-6.0, -1.0), 0.25, (count, MEL_BANDS)) + tilt
        mel = self._scaled(noise.astype(np.float32), frames)
        body = [vocabulary.no_speech, vocabulary.end]
        return Window(mel, [vocabulary.start, body[0]], body, [None, None], None)

    def _warped(self, mel: Mel) -> Mel:
        """Return the mel with its frequency axis stretched, half of the time (another throat)."""
        if self._rng.random() < 0.5:
            return mel
        places = np.clip(np.arange(MEL_BANDS) * self._rng.uniform(0.93, 1.07), 0, MEL_BANDS - 1.001)
        low = places.astype(int)
        share = (places - low).astype(np.float32)
        return np.asarray(mel[:, low] * (1 - share) + mel[:, low + 1] * share)

    def _scaled(self, mel: Mel, frames: int) -> Mel:
        """Return the mel as faster-whisper scales it, masked here and there, padded with 0."""
        rng = self._rng
        scaled = (np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0
        mean = scaled.mean()
        for _ in range(2):
            bands = int(rng.integers(0, 9))
            first = int(rng.integers(0, MEL_BANDS - bands))
            scaled[:, first : first + bands] = mean
        for _ in range(max(1, len(scaled) // 300)):
            count = int(rng.integers(0, 15))
            first = int(rng.integers(0, max(1, len(scaled) - count)))
            scaled[first : first + count] = mean
        padded = np.zeros((frames, MEL_BANDS), dtype=np.float32)
        padded[: len(scaled)] = scaled[:frames]
        return padded

    def _labelled(
        self, mel: Mel, placed: list[tuple[int, Heard]], cut_frame: int | None, mix: Mix
    ) -> Window:
        rng, vocabulary = self._rng, self._vocabulary
        timed = rng.random() < mix.timestamps
        body: list[int] = []
        spans: list[Span | None] = []

        def mark(frame: int) -> None:
            if timed:
                body.append(vocabulary.timestamp(frame / FRAMES_PER_S))
                spans.append(None)

        for begin, utterance in placed:
            mark(begin)
            offset = begin / FRAMES_PER_S
            body += utterance.tokens
            spans += [
                None if s is None else (s[0] + offset, s[1] + offset) for s in utterance.spans_s
            ]
            mark(begin + utterance.rows)
        if cut_frame is not None:
            mark(cut_frame)
        body.append(vocabulary.end)
        spans.append(None)
        given = [vocabulary.start]
        if rng.random() < mix.prompted:
            earlier = self._shards.utterances[int(rng.integers(len(self._shards.utterances)))]
            given = [vocabulary.previous, *earlier.tokens[-60:], vocabulary.start]
        if not timed:
            # Given by whoever decodes, never to be said.
            given.append(vocabulary.no_timestamps)
        silent = len(given) - 1
        return Window(
            mel,
            given + body[:-1],
            [IGNORED] * silent + body,
            [*[None] * silent, *spans],
            cut_frame,
        )

    def batch(self, total_frames: int, frames: int, mix: Mix) -> Batch:
        """Return about `total_frames` frames of speech in windows of `frames` (an even number)."""
        windows = [self.window(frames, mix) for _ in range(max(1, total_frames // frames))]
        return collate(windows, self._vocabulary)


def collate(windows: list[Window], vocabulary: Vocabulary) -> Batch:
    """Return windows of one length as one batch; longer token sequences are cut at the end."""
    count, frames = len(windows), len(windows[0].mel)
    longest = max(len(window.tokens) for window in windows)
    # A multiple of 8 suits matrix units.
    length = min((longest + 7) // 8 * 8, _MAXIMUM_TOKENS)
    tokens = np.full((count, length), vocabulary.end)
    targets = np.full((count, length), IGNORED)
    spans = np.full((count, length, 2), -1.0, dtype=np.float32)
    heard = np.full((count, frames // 2), vocabulary.end)
    for i, window in enumerate(windows):
        used = min(length, len(window.tokens))
        tokens[i, :used] = window.tokens[:used]
        targets[i, :used] = window.targets[:used]
        for j, (target, span) in enumerate(zip(window.targets, window.spans_s, strict=True)):
            if span is None:
                continue
            if j < length:
                spans[i, j] = span
            first = round(span[0] * 50)
            heard[i, first : max(round(span[1] * 50), first + 1)] = target
        if window.cut_frame is not None:
            heard[i, window.cut_frame // 2 :] = IGNORED
    return Batch(
        torch.from_numpy(np.stack([window.mel for window in windows])),
        torch.from_numpy(tokens),
        torch.from_numpy(targets),
        torch.from_numpy(spans),
        torch.from_numpy(heard),
    )
