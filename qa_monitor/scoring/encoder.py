"""From a redacted dialogue to logits and calibrated probabilities for every turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qa_monitor.calls import Role
from qa_monitor.errors import ModelError
from qa_monitor.scoring.inputs import Batch, Encodes, make_batch, token_id, turn_tokens, windows
from qa_monitor.scoring.labels import CALL_TYPE, EXCLUSIVE_TASKS, LABELS
from qa_monitor.scoring.words import WordModel

__all__ = ["Calibration", "Heads", "Predictions", "TurnEncoder", "predict"]

_BATCH_TOKENS = 2048

Floats = NDArray[np.float32]
Reads = Callable[[Batch], Floats]
"""An encoder: from a batch to its last states, of shape (windows, longest, width)."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Raw answers for one call of n turns, by the network and by the word model.

    ``turns`` and ``word_turns`` hold for each task logits of shape (n, size); ``call_type`` and
    ``word_call_type`` logits of shape (types,); ``weights`` how much each turn told the network of
    the call's type, summing to one.
    """

    turns: Mapping[str, Floats] = field(repr=False)
    call_type: Floats = field(repr=False)
    weights: Floats = field(repr=False)
    word_turns: Mapping[str, Floats] = field(default_factory=dict, repr=False)
    word_call_type: Floats | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Makes probabilities of the two opinions.

    ``slope * network + word_slope * words + bias``, then softmax or sigmoid. Fitted on calls of
    writers that neither had seen [Platt 1999; Guo et al. 2017].
    """

    slopes: Mapping[str, float]
    word_slopes: Mapping[str, float]
    biases: Mapping[str, tuple[float, ...]]

    def probabilities(
        self, task: str, network: NDArray[Any], words: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Probabilities of the same shape: over "none" and the labels, or of each label."""
        scaled = np.asarray(network, dtype=np.float64) * self.slopes[task]
        scaled = scaled + np.asarray(words, dtype=np.float64) * self.word_slopes[task]
        scaled = scaled + np.asarray(self.biases[task])
        if task in EXCLUSIVE_TASKS:
            scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
            return np.asarray(scaled / scaled.sum(axis=-1, keepdims=True))
        return np.asarray(1 / (1 + np.exp(-scaled)))


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """What is made of the states: by task weights of shape (size, 2 * width) and biases.

    ``attention`` weighs the turns of a call, of shape (2 * width,).
    """

    weights: Mapping[str, Floats] = field(repr=False)
    biases: Mapping[str, Floats] = field(repr=False)
    attention: Floats = field(repr=False)

    def tensors(self) -> dict[str, Floats]:
        """All of them, by names that ``of_tensors`` reads."""
        tensors = {"attention": self.attention}
        tensors |= {f"weights.{task}": value for task, value in self.weights.items()}
        return tensors | {f"biases.{task}": value for task, value in self.biases.items()}

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Floats]) -> Heads:
        """The heads whose ``tensors`` these are; ``KeyError`` if one lacks."""
        return cls(
            weights={task: tensors[f"weights.{task}"] for task in LABELS},
            biases={task: tensors[f"biases.{task}"] for task in LABELS},
            attention=tensors["attention"],
        )


class TurnEncoder:
    """A trained network and its tokenizer, on the CPU; loading takes about half a second.

    ``folder`` holds ``encoder.onnx`` (eight-bit integers), ``heads.safetensors``,
    ``words.safetensors``, ``tokenizer.json`` and ``turn_findings.json``. ``threads`` is how many
    cores it may use; all there are when 0. ``reads`` takes the place of the encoder in the folder,
    to compare others with it. Raises ``ModelError`` when a file is missing or damaged.
    """

    def __init__(self, folder: Path, *, threads: int = 0, reads: Reads | None = None) -> None:
        problem = None
        try:
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer

            settings: dict[str, Any] = json.loads(
                (folder / "turn_findings.json").read_text("utf-8")
            )
            _check_labels(settings["labels"])
            self._tokenizer: Encodes = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._words = WordModel.of_tensors(load_file(folder / "words.safetensors"))
            self._heads = Heads.of_tensors(load_file(folder / "heads.safetensors"))
            self._reads = reads or _load_encoder(folder / "encoder.onnx", threads)
            calibration = settings["calibration"]
            self.calibration = Calibration(
                slopes=calibration["slopes"],
                word_slopes=calibration["word_slopes"],
                biases={task: tuple(bias) for task, bias in calibration["biases"].items()},
            )
            self.thresholds: dict[str, dict[str, float]] = settings["thresholds"]
            self.version = str(settings["version"])
        except Exception as error:  # noqa: BLE001 - every fault of loading is one for the user
            problem = type(error).__name__
        if problem is not None:
            raise ModelError(
                f"the turn-findings model cannot be loaded ({problem}). "
                "Install it again, or point at a folder that holds it whole.",
                kind=problem,
            )

    def predict(self, turns: Sequence[tuple[Role, str]]) -> Predictions:
        """The network's answers for a call; ``turns`` are roles and redacted words.

        Takes about 5 ms a turn on two cores. The answer for a turn does not depend on later turns.
        """
        return predict(self._tokenizer, self._reads, self._heads, self._words, turns)


def predict(
    tokenizer: Encodes,
    reads: Reads,
    heads: Heads,
    words: WordModel,
    turns: Sequence[tuple[Role, str]],
) -> Predictions:
    """The answers for the turns of one call by an encoder, its heads and a word model."""
    tokens = turn_tokens(tokenizer, turns)
    predictions = _read_call(tokenizer, reads, heads, tokens)
    return replace(
        predictions,
        word_turns=words.turn_logits(tokens, predictions.turns),
        word_call_type=words.call_logits(tokens, CALL_TYPE),
    )


def _read_call(
    tokenizer: Encodes, reads: Reads, heads: Heads, tokens: Sequence[Sequence[int]]
) -> Predictions:
    """The answers of the network alone for the turns of one call, given as their tokens."""
    begin, agent = token_id(tokenizer, "[CLS]"), token_id(tokenizer, "[AGENT]")
    vectors: list[Floats] = []
    for group in _groups(windows(tokens), tokens):
        batch = make_batch(begin, agent, [tokens[w.start : w.end] for w in group])
        states = reads(batch)
        for row, window in enumerate(group):
            for number in range(window.asked - window.start + 1, window.end - window.start + 1):
                own = states[row][batch.turns[row] == number]
                vectors.append(np.concatenate([own.mean(axis=0), own[0]]))
    stacked = np.stack(vectors)
    attended = stacked @ heads.attention
    weights = np.exp(attended - attended.max())
    weights /= weights.sum()
    return Predictions(
        turns={
            task: stacked @ heads.weights[task].T + heads.biases[task]
            for task in heads.weights
            if task != CALL_TYPE
        },
        call_type=heads.weights[CALL_TYPE] @ (weights @ stacked) + heads.biases[CALL_TYPE],
        weights=weights,
    )


def _groups(found: Sequence[Any], tokens: Sequence[Sequence[int]]) -> Sequence[Sequence[Any]]:
    """Windows in order, as many together as the memory of a batch is meant to hold."""
    longest = max(1 + sum(map(len, tokens[w.start : w.end])) for w in found)
    size = max(1, _BATCH_TOKENS // longest)
    return [found[i : i + size] for i in range(0, len(found), size)]


def _check_labels(named: Mapping[str, Sequence[str]]) -> None:
    if {task: tuple(labels) for task, labels in named.items()} != LABELS:
        raise ValueError("the model was trained for other labels")


def _load_encoder(path: Path, threads: int) -> Reads:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )

    def reads(batch: Batch) -> Floats:
        inputs = {"ids": batch.ids, "sides": batch.sides, "turns": batch.turns}
        return np.asarray(session.run(["states"], inputs)[0], dtype=np.float32)

    return reads
