"""The second opinion: linear models over the words and word pairs of a turn.

With few labelled calls, what words alone say is a strong witness that the encoder does not replace;
calibration weighs the two. Words are the encoder's own tokens, hashed, so that no vocabulary is
needed beside the tokenizer's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_monitor.scoring.labels import LABELS

__all__ = ["BUCKETS", "WordModel", "bucket_counts", "call_counts", "weigh"]

BUCKETS = 1 << 14
_FIRST, _SECOND, _SALT = 1_000_003, 8_191, 104_729
_BEFORE_WEIGHT = 0.5
_OPENING_TURNS = 6
_OPENING_SALT = 3

Floats = NDArray[np.float32]


def bucket_counts(turns: Sequence[Sequence[int]]) -> list[tuple[Counter[int], Counter[int]]]:
    """For each turn the buckets of its own words and pairs, and of the words of the turn before.

    ``turns`` are their tokens, the first of which tells the role and is no word.
    """
    counts: list[tuple[Counter[int], Counter[int]]] = []
    before: Sequence[int] = ()
    for turn in turns:
        own = turn[1:]
        counts.append((Counter(_own_buckets(own)), Counter(_bucket(word, 0, 2) for word in before)))
        before = own
    return counts


def call_counts(turns: Sequence[Sequence[int]]) -> tuple[Counter[int], Counter[int]]:
    """The buckets of the words and pairs of a whole call, and of how it began.

    ``turns`` are tokens as above. What a call is about is mostly said in its first turns.
    """
    whole: Counter[int] = Counter()
    opening: Counter[int] = Counter()
    for number, turn in enumerate(turns):
        whole.update(_own_buckets(turn[1:]))
        if number < _OPENING_TURNS:
            opening.update(_own_buckets(turn[1:], salt=_OPENING_SALT))
    return whole, opening


def _own_buckets(words: Sequence[int], *, salt: int = 0) -> Iterable[int]:
    yield from (_bucket(word, 0, salt) for word in words)
    yield from (_bucket(a, b, salt + 1) for a, b in pairwise(words))


def _bucket(a: int, b: int, salt: int) -> int:
    return (a * _FIRST + b * _SECOND + salt * _SALT) % BUCKETS


def weigh(
    blocks: Sequence[tuple[Mapping[int, int], float]], rarity: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """Buckets and values of a text: damped counts times rarity, each block of the given length."""
    places: list[int] = []
    values: list[float] = []
    for counts, length in blocks:
        weighed = {b: (1 + np.log(n)) * float(rarity[b]) for b, n in counts.items()}
        norm = float(np.sqrt(sum(value**2 for value in weighed.values()))) or 1.0
        places += weighed.keys()
        values += [length * value / norm for value in weighed.values()]
    return np.asarray(places, dtype=np.int64), np.asarray(values, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class WordModel:
    """Weights of shape (buckets, size) and biases by task; ``rarity`` of each bucket."""

    turn_rarity: Floats = field(repr=False)
    call_rarity: Floats = field(repr=False)
    weights: Mapping[str, Floats] = field(repr=False)
    biases: Mapping[str, Floats] = field(repr=False)

    def tensors(self) -> dict[str, Floats]:
        """Everything it knows, by names that ``of_tensors`` reads."""
        tensors = {"turn_rarity": self.turn_rarity, "call_rarity": self.call_rarity}
        tensors |= {f"weights.{task}": value for task, value in self.weights.items()}
        return tensors | {f"biases.{task}": value for task, value in self.biases.items()}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> WordModel:
        """The model whose ``tensors`` these are, in any precision; ``KeyError`` if one lacks."""
        known = {name: value.astype(np.float32) for name, value in tensors.items()}
        return cls(
            turn_rarity=known["turn_rarity"],
            call_rarity=known["call_rarity"],
            weights={task: known[f"weights.{task}"] for task in LABELS},
            biases={task: known[f"biases.{task}"] for task in LABELS},
        )

    def turn_logits(
        self, turns: Sequence[Sequence[int]], tasks: Iterable[str]
    ) -> dict[str, Floats]:
        """Logits of shape (turns, size) for each of ``tasks``."""
        rows = [
            weigh(((own, 1.0), (before, _BEFORE_WEIGHT)), self.turn_rarity)
            for own, before in bucket_counts(turns)
        ]
        return {
            task: np.stack([self._logits(task, places, values) for places, values in rows])
            for task in tasks
        }

    def call_logits(self, turns: Sequence[Sequence[int]], task: str) -> Floats:
        """Logits of shape (size,) for a task of the whole call."""
        whole, opening = call_counts(turns)
        return self._logits(task, *weigh(((whole, 1.0), (opening, 1.0)), self.call_rarity))

    def _logits(self, task: str, places: NDArray[np.int64], values: Floats) -> Floats:
        return np.asarray(values @ self.weights[task][places] + self.biases[task], dtype=np.float32)
