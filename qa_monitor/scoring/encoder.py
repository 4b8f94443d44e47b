"""From a redacted dialogue to logits and calibrated probabilities for every turn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qa_monitor.calls import Role
from qa_monitor.errors import ModelError
from qa_monitor.scoring.inputs import TurnInput, turn_inputs
from qa_monitor.scoring.labels import CALL_TYPE, EXCLUSIVE_TASKS, LABELS
from qa_monitor.scoring.words import WordModel

if TYPE_CHECKING:
    from qa_monitor.scoring.network import TurnNetwork

__all__ = ["Calibration", "Predictions", "TurnEncoder", "run_network", "with_words"]

_BATCH_TOKENS = 3072

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Raw answers for one call of n turns, by the network and by the word model.

    ``turns`` and ``word_turns`` hold for each task logits of shape (n, size); ``call_type`` and
    ``word_call_type`` logits of shape (types,); ``weights`` how much each turn told the network of
    the call's type, summing to one.
    """

    turns: Mapping[str, Logits] = field(repr=False)
    call_type: Logits = field(repr=False)
    weights: Logits = field(repr=False)
    word_turns: Mapping[str, Logits] = field(default_factory=dict, repr=False)
    word_call_type: Logits | None = field(default=None, repr=False)


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


class TurnEncoder:
    """A trained network and its tokenizer, on the CPU; loading takes about a second.

    ``folder`` holds ``config.json``, ``model.safetensors``, ``words.safetensors``,
    ``tokenizer.json`` and ``turn_findings.json``. Raises ``ModelError`` when one is missing or
    damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.settings: dict[str, Any] = {}
        problem = None
        try:
            from safetensors.torch import load_file
            from tokenizers import Tokenizer
            from transformers import AutoConfig, AutoModel

            from qa_monitor.scoring.network import TurnNetwork, head_sizes

            self.settings = json.loads((folder / "turn_findings.json").read_text("utf-8"))
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._words = _load_words(folder / "words.safetensors")
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            network = TurnNetwork(
                AutoModel.from_config(
                    # On processors torch's fused attention is slower where a mask is given.
                    config,
                    add_pooling_layer=False,
                    attn_implementation="eager",
                ),
                head_sizes(),
            )
            weights = load_file(folder / "model.safetensors")
            network.load_state_dict({name: value.float() for name, value in weights.items()})
            self._network = network.eval()
            calibration = self.settings["calibration"]
            self.calibration = Calibration(
                slopes=calibration["slopes"],
                word_slopes=calibration["word_slopes"],
                biases={task: tuple(bias) for task, bias in calibration["biases"].items()},
            )
            self.thresholds: dict[str, dict[str, float]] = self.settings["thresholds"]
            self.version = str(self.settings["version"])
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

        Takes about 8 ms a turn on two cores. The answer for a turn does not depend on later turns.
        """
        inputs = turn_inputs(self._tokenizer, turns)
        return with_words(run_network(self._network, inputs), self._words, inputs)


def _load_words(path: Path) -> WordModel:
    from safetensors.numpy import load_file

    tensors = {name: value.astype(np.float32) for name, value in load_file(path).items()}
    return WordModel(
        turn_rarity=tensors["turn_rarity"],
        call_rarity=tensors["call_rarity"],
        weights={task: tensors[f"weights.{task}"] for task in LABELS},
        biases={task: tensors[f"biases.{task}"] for task in LABELS},
    )


def with_words(
    predictions: Predictions, words: WordModel, inputs: Sequence[TurnInput]
) -> Predictions:
    """``predictions`` with the opinion of ``words`` beside the network's."""
    return replace(
        predictions,
        word_turns=words.turn_logits(inputs, predictions.turns),
        word_call_type=words.call_logits(inputs, CALL_TYPE),
    )


def run_network(network: TurnNetwork, inputs: Sequence[TurnInput]) -> Predictions:
    """The answers of ``network``, which must be in evaluation mode, for the turns of one call."""
    import torch

    from qa_monitor.scoring.network import pad

    with torch.inference_mode():
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i].ids))
        vectors: list[Any] = [None] * len(inputs)
        position = 0
        while position < len(order):
            size = 1
            # Sorted by length, so the last of a batch is what all its rows are padded to.
            while (
                position + size < len(order)
                and (size + 1) * len(inputs[order[position + size]].ids) <= _BATCH_TOKENS
            ):
                size += 1
            batch = order[position : position + size]
            for i, vector in zip(
                batch, network.vectors(*pad([inputs[i] for i in batch])), strict=True
            ):
                vectors[i] = vector
            position += size
        stacked = torch.stack(vectors)
        call_type, weights = network.call_logits(stacked)
        return Predictions(
            turns={
                task: logits.float().numpy()
                for task, logits in network.turn_logits(stacked).items()
            },
            call_type=call_type.float().numpy(),
            weights=weights.float().numpy(),
        )
