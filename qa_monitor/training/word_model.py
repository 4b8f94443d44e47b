"""Trains the linear models over words and word pairs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_monitor.calls import Role
from qa_monitor.scoring.inputs import turn_tokens
from qa_monitor.scoring.labels import (
    AGENT_TASKS,
    CALL_TYPE,
    CALLER_TASKS,
    EXCLUSIVE_TASKS,
    LABELS,
    RED_FLAG,
    URGENCY_CUE,
)
from qa_monitor.scoring.words import BUCKETS, WordModel, bucket_counts, call_counts, weigh
from qa_monitor.training.labelled_calls import LabelledCall
from qa_monitor.training.turn_noise import TrainingTurn, training_turns, vary

__all__ = ["load_words", "save_words", "train_word_model"]

_VARIANTS = 2
_STRENGTH = 10.0
_BEFORE_WEIGHT = 0.5


def train_word_model(
    calls: Sequence[LabelledCall], heard: Sequence[LabelledCall], tokenizer: Any, *, seed: int
) -> WordModel:
    """Logistic regressions for every task, on ``calls`` as written and as they might be heard.

    ``heard`` are calls as a recogniser did hear them.
    """
    rng = random.Random(seed)
    variants = [
        (call, turns)
        for call in calls
        for turns in (training_turns(call), *(vary(call, rng) for _ in range(_VARIANTS)))
    ]
    variants += [(call, training_turns(call)) for call in heard]
    tokens = [turn_tokens(tokenizer, [(t.role, t.text) for t in turns]) for _, turns in variants]
    counts = [pair for call_tokens in tokens for pair in bucket_counts(call_tokens)]
    whole = [call_counts(call_tokens) for call_tokens in tokens]
    turn_rarity = _rarity([own | before for own, before in counts])
    call_rarity = _rarity([call | opening for call, opening in whole])
    rows = _matrix([((own, 1.0), (before, _BEFORE_WEIGHT)) for own, before in counts], turn_rarity)
    turns = [turn for _, call_turns in variants for turn in call_turns]
    weights: dict[str, NDArray[np.float32]] = {}
    biases: dict[str, NDArray[np.float32]] = {}
    for task in (*CALLER_TASKS, *AGENT_TASKS):
        asked = [i for i, turn in enumerate(turns) if _is_asked(task, turn)]
        weights[task], biases[task] = _fit_task(task, rows[asked], [turns[i] for i in asked])
    types = np.asarray([LABELS[CALL_TYPE].index(call.call_type) for call, _ in variants])
    weights[CALL_TYPE], biases[CALL_TYPE] = _fit_classes(
        _matrix([((call, 1.0), (opening, 1.0)) for call, opening in whole], call_rarity),
        types,
        len(LABELS[CALL_TYPE]),
    )
    return WordModel(
        turn_rarity=turn_rarity, call_rarity=call_rarity, weights=weights, biases=biases
    )


def save_words(words: WordModel, path: Path) -> None:
    """Write ``words`` in full precision."""
    from safetensors.numpy import save_file

    save_file(words.tensors(), path)


def load_words(path: Path) -> WordModel:
    """What ``save_words`` wrote."""
    from safetensors.numpy import load_file

    return WordModel.of_tensors(load_file(path))


def _is_asked(task: str, turn: TrainingTurn) -> bool:
    if task in (RED_FLAG, URGENCY_CUE):
        return True
    return task in (AGENT_TASKS if turn.role is Role.AGENT else CALLER_TASKS)


def _rarity(texts: Sequence[Mapping[int, int]]) -> NDArray[np.float32]:
    seen: Counter[int] = Counter()
    for text in texts:
        seen.update(text.keys())
    counts = np.asarray([seen[bucket] for bucket in range(BUCKETS)], dtype=np.float32)
    return np.asarray(np.log((1 + len(texts)) / (1 + counts)) + 1, dtype=np.float32)


def _matrix(blocks: Sequence[Any], rarity: NDArray[np.float32]) -> Any:
    from scipy.sparse import csr_matrix

    places: list[Any] = []
    values: list[Any] = []
    ends = [0]
    for row in blocks:
        where, what = weigh(row, rarity)
        places.append(where)
        values.append(what)
        ends.append(ends[-1] + len(where))
    return csr_matrix(
        (np.concatenate(values), np.concatenate(places), ends), shape=(len(blocks), BUCKETS)
    )


def _fit_task(
    task: str, x: Any, turns: Sequence[TrainingTurn]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    labels = LABELS[task]
    if task in EXCLUSIVE_TASKS:
        wanted = [
            1 + labels.index(turn.labels[task][0]) if turn.labels.get(task) else 0 for turn in turns
        ]
        return _fit_classes(x, np.asarray(wanted), len(labels) + 1)
    columns = [
        _fit_one(x, np.asarray([int(label in turn.labels.get(task, ())) for turn in turns]))
        for label in labels
    ]
    return (
        np.stack([weights for weights, _ in columns], axis=1),
        np.asarray([bias for _, bias in columns], dtype=np.float32),
    )


def _fit_one(x: Any, wanted: NDArray[np.int_]) -> tuple[NDArray[np.float32], float]:
    from sklearn.linear_model import LogisticRegression

    if not wanted.any():
        return np.zeros(BUCKETS, dtype=np.float32), -6.0
    model = LogisticRegression(
        C=_STRENGTH, class_weight="balanced", solver="liblinear", max_iter=200, random_state=0
    )
    model.fit(x, wanted)
    return model.coef_[0].astype(np.float32), float(model.intercept_[0])


def _fit_classes(
    x: Any, wanted: NDArray[np.int_], size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One regression for each class against the rest; the scores are what softmax is fitted on."""
    columns = [_fit_one(x, (wanted == place).astype(int)) for place in range(size)]
    return (
        np.stack([weights for weights, _ in columns], axis=1),
        np.asarray([bias for _, bias in columns], dtype=np.float32),
    )
