"""From a redacted dialogue to logits and calibrated probabilities for every turn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qa_monitor.calls import Role
from qa_monitor.errors import ModelError
from qa_monitor.scoring.inputs import TurnInput, turn_inputs
from qa_monitor.scoring.labels import CALL_TYPE, EXCLUSIVE_TASKS, LABELS

if TYPE_CHECKING:
    from qa_monitor.scoring.network import TurnNetwork

__all__ = ["Calibration", "Predictions", "TurnEncoder", "run_network"]

_BATCH_TOKENS = 3072

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Raw answers of the network for one call of n turns.

    ``turns`` holds for each task logits of shape (n, size); ``call_type`` logits of shape (types,);
    ``weights`` how much each turn said about the call's type, summing to one.
    """

    turns: Mapping[str, Logits] = field(repr=False)
    call_type: Logits = field(repr=False)
    weights: Logits = field(repr=False)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Makes probabilities of logits: ``slope * logit + bias`` before softmax or sigmoid.

    Fitted on calls of writers that the network had not seen [Guo et al. 2017; Platt 1999].
    """

    slopes: Mapping[str, float]
    biases: Mapping[str, tuple[float, ...]]

    def probabilities(self, task: str, logits: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities of the same shape: over "none" and the labels, or of each label."""
        scaled = np.asarray(logits, dtype=np.float64) * self.slopes[task]
        scaled = scaled + np.asarray(self.biases[task])
        if task in EXCLUSIVE_TASKS:
            scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
            return np.asarray(scaled / scaled.sum(axis=-1, keepdims=True))
        return np.asarray(1 / (1 + np.exp(-scaled)))

    @classmethod
    def identity(cls) -> Calibration:
        """The network's own opinion of itself."""
        extra = {task: task in EXCLUSIVE_TASKS and task != CALL_TYPE for task in LABELS}
        return cls(
            slopes=dict.fromkeys(LABELS, 1.0),
            biases={task: (0.0,) * (len(LABELS[task]) + extra[task]) for task in LABELS},
        )


class TurnEncoder:
    """A trained network and its tokenizer, on the CPU; loading takes about a second.

    ``folder`` holds ``config.json``, ``model.safetensors``, ``tokenizer.json`` and
    ``turn_findings.json``. Raises ``ModelError`` when one is missing or damaged.
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
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            network = TurnNetwork(
                AutoModel.from_config(config, add_pooling_layer=False), head_sizes()
            )
            weights = load_file(folder / "model.safetensors")
            network.load_state_dict({name: value.float() for name, value in weights.items()})
            self._network = network.eval()
            calibration = self.settings["calibration"]
            self.calibration = Calibration(
                slopes=calibration["slopes"],
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
        return run_network(self._network, turn_inputs(self._tokenizer, turns))


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
