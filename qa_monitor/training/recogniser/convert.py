"""Turns a training checkpoint into the folder that faster-whisper loads (int8)."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final, Literal

import torch
from ctranslate2.converters import TransformersConverter
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from qa_monitor.training.recogniser.network import Shape
from qa_monitor.training.recogniser.tokens import Vocabulary

# What faster-whisper's feature extractor is to compute: Whisper's own settings.
_PREPROCESSOR: Final = {
    "feature_extractor_type": "WhisperFeatureExtractor",
    "processor_class": "WhisperProcessor",
    "feature_size": 80,
    "sampling_rate": 16000,
    "hop_length": 160,
    "chunk_length": 30,
    "n_fft": 400,
    "n_samples": 480000,
    "nb_max_frames": 3000,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": False,
}


def convert(
    checkpoint: Path,
    tokeniser: Path,
    out: Path,
    *,
    weights: Literal["averaged", "weights"] = "averaged",
) -> None:
    """Write model.bin, config.json, vocabulary.json, tokenizer.json and preprocessor_config.json.

    `weights` chooses the running average or the last step's. Other files in `out` stay.
    """
    saved: dict[str, Any] = torch.load(checkpoint, weights_only=True)
    shape = Shape(**saved["shape"])
    vocabulary = Vocabulary(tokeniser)
    with tempfile.TemporaryDirectory() as name:
        staged, converted = Path(name, "transformers"), Path(name, "ctranslate2")
        # The average lacks what is not trained (positions): those are in "weights".
        network = _network(shape, vocabulary, {**saved["weights"], **saved[weights]})
        network.save_pretrained(staged)
        PreTrainedTokenizerFast(
            tokenizer_file=str(tokeniser),
            **dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>"),
        ).save_pretrained(staged)
        shutil.copy(tokeniser, staged / "tokenizer.json")
        Path(staged, "preprocessor_config.json").write_text(
            json.dumps(_PREPROCESSOR, indent=2) + "\n"
        )
        TransformersConverter(
            str(staged), copy_files=["tokenizer.json", "preprocessor_config.json"]
        ).convert(str(converted), quantization="int8")
        out.mkdir(parents=True, exist_ok=True)
        for path in converted.iterdir():
            shutil.copy(path, out / path.name)


def _network(
    shape: Shape, vocabulary: Vocabulary, weights: dict[str, torch.Tensor]
) -> WhisperForConditionalGeneration:
    network = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=shape.vocabulary,
            num_mel_bins=80,
            d_model=shape.width,
            encoder_layers=shape.encoder_layers,
            decoder_layers=shape.decoder_layers,
            encoder_attention_heads=shape.heads,
            decoder_attention_heads=shape.heads,
            encoder_ffn_dim=4 * shape.width,
            decoder_ffn_dim=4 * shape.width,
            max_source_positions=1500,
            max_target_positions=448,
            pad_token_id=vocabulary.end,
            bos_token_id=vocabulary.end,
            eos_token_id=vocabulary.end,
            decoder_start_token_id=vocabulary.start,
            suppress_tokens=None,
            begin_suppress_tokens=None,
        )
    )
    kept = {n: w for n, w in weights.items() if not n.startswith("frames.")}
    result = network.load_state_dict(kept, strict=False)
    # The output projection is the token embedding and has no weights of its own.
    if result.unexpected_keys or result.missing_keys != ["proj_out.weight"]:
        raise ValueError(f"The weights do not fit the architecture: {result}")
    network.tie_weights()
    generation = GenerationConfig(
        decoder_start_token_id=vocabulary.start,
        eos_token_id=vocabulary.end,
        pad_token_id=vocabulary.end,
        bos_token_id=vocabulary.end,
        max_length=448,
    )
    generation.no_timestamps_token_id = vocabulary.no_timestamps
    generation.suppress_tokens = []
    generation.begin_suppress_tokens = [vocabulary.end]
    generation.alignment_heads = [list(head) for head in shape.alignment_heads]
    generation.is_multilingual = False
    network.generation_config = generation
    return network
