"""Writes a trained network as the folder that ``scoring.encoder`` loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from qa_monitor.scoring.encoder import Calibration
from qa_monitor.scoring.labels import LABELS
from qa_monitor.scoring.network import TurnNetwork
from qa_monitor.scoring.words import WordModel
from qa_monitor.training.eight_bit import write_encoder
from qa_monitor.training.turn_network import heads_of

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
    """Write the encoder (eight-bit integers), heads, word model, tokenizer and settings."""
    folder.mkdir(parents=True, exist_ok=True)
    write_encoder(network.encoder, folder / "encoder.onnx")
    save_file(
        {name: np.ascontiguousarray(value) for name, value in heads_of(network).tensors().items()},
        folder / "heads.safetensors",
    )
    save_file(
        {name: value.astype(np.float16) for name, value in words.tensors().items()},
        folder / "words.safetensors",
    )
    for name in ("heads.safetensors", "words.safetensors"):
        (folder / name).chmod(0o644)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = {
        "version": version,
        "labels": {task: list(labels) for task, labels in LABELS.items()},
        "calibration": {
            "slopes": dict(calibration.slopes),
            "word_slopes": dict(calibration.word_slopes),
            "biases": {task: list(bias) for task, bias in calibration.biases.items()},
        },
        "thresholds": {task: dict(values) for task, values in thresholds.items()},
    }
    (folder / "turn_findings.json").write_text(json.dumps(settings, indent=1) + "\n", "utf-8")
