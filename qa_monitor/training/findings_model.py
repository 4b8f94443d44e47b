"""Writes a trained network as the folder that ``scoring.encoder`` loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file

from qa_monitor.scoring.encoder import Calibration
from qa_monitor.scoring.network import TurnNetwork
from qa_monitor.scoring.words import WordModel

__all__ = ["save_model"]


def save_model(
    folder: Path,
    network: TurnNetwork,
    words: WordModel,
    tokenizer: Any,
    *,
    version: str,
    calibration: Calibration,
    thresholds: Mapping[str, Mapping[str, float]],
) -> None:
    """Write weights (half precision), configuration, tokenizer and settings to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.detach().to(torch.float16).contiguous()
        for name, value in network.state_dict().items()
        if not name.endswith("position_ids")
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tensors = {"turn_rarity": words.turn_rarity, "call_rarity": words.call_rarity}
    tensors |= {f"weights.{task}": value for task, value in words.weights.items()}
    tensors |= {f"biases.{task}": value for task, value in words.biases.items()}
    save_arrays(
        {name: value.astype(np.float16) for name, value in tensors.items()},
        folder / "words.safetensors",
    )
    for name in ("model.safetensors", "words.safetensors"):
        (folder / name).chmod(0o644)
    config = network.encoder.config
    kept = (
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "hidden_act",
        "max_position_embeddings",
        "type_vocab_size",
        "layer_norm_eps",
        "pad_token_id",
        "model_type",
    )
    values = {name: getattr(config, name) for name in kept}
    values |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    _write_json(folder / "config.json", values)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    _write_json(
        folder / "turn_findings.json",
        {
            "version": version,
            "calibration": {
                "slopes": dict(calibration.slopes),
                "word_slopes": dict(calibration.word_slopes),
                "biases": {task: list(bias) for task, bias in calibration.biases.items()},
            },
            "thresholds": {task: dict(values) for task, values in thresholds.items()},
        },
    )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
