"""A transformer that reads a call, question and answer together, and tells PHI word by word.

The network is a small BERT encoder (Devlin et al. 2019) run by CTranslate2 in eight-bit integers,
with one linear layer over its pieces. It knows no capitals, so that it reads lower case as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qa_monitor.calls import EntityType, Role
from qa_monitor.redaction.calltext import CallText

__all__ = ["LABELS", "ROLE_PIECES", "WINDOW", "PhiTagger", "Pieces", "TagProbabilities", "windows"]

LABELS: tuple[EntityType | None, ...] = (None, *EntityType)
"""What a piece can be; ``None`` is no PHI."""

ROLE_PIECES = {Role.AGENT: "[unused0]", Role.CALLER: "[unused1]"}
_OTHER_ROLE = "[unused2]"

WINDOW = 192
"""Pieces the network reads at once, the marks at both ends included."""
_LEFT, _RIGHT = 24, 8
_BATCH = 16

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pieces:
    """A call as the network reads it: an identifier a piece, and the characters it stands for.

    The piece that tells whose turn begins stands for no characters (``start == end``).
    """

    ids: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TagProbabilities:
    """For each token of a call, how likely each of ``LABELS`` is: shape (tokens, labels)."""

    values: Floats

    @property
    def phi(self) -> Floats:
        """How likely each token is PHI of any type: shape (tokens,)."""
        phi: Floats = 1.0 - self.values[:, 0]
        return phi

    def types(self) -> list[EntityType]:
        """The likeliest type of each token, were it PHI."""
        best = self.values[:, 1:].argmax(axis=1)
        return [LABELS[1 + int(i)] or EntityType.OTHER_ID for i in best]


def read_pieces(tokenizer: Any, roles: Sequence[Role], texts: Sequence[str]) -> Pieces:
    """The turns of a call, joined by line breaks, as pieces."""
    ids: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    offset = 0
    encoded = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    for role, text, encoding in zip(roles, texts, encoded, strict=True):
        ids.append(tokenizer.token_to_id(ROLE_PIECES.get(role, _OTHER_ROLE)))
        starts.append(offset)
        ends.append(offset)
        ids.extend(encoding.ids)
        starts.extend(offset + start for start, _ in encoding.offsets)
        ends.extend(offset + end for _, end in encoding.offsets)
        offset += len(text) + 1
    return Pieces(tuple(ids), tuple(starts), tuple(ends))


def windows(length: int) -> list[tuple[int, int, int, int]]:
    """Windows over ``length`` pieces: read from, read to, of which the answer counts from, to.

    All are of about one length, and each answer has some pieces before and after it to go by.
    """
    overlap = _LEFT + _RIGHT
    count = max(1, math.ceil((length - overlap) / (WINDOW - 2 - overlap)))
    step = math.ceil((length - overlap) / count)
    parts: list[tuple[int, int, int, int]] = []
    for number in range(count):
        start = number * step
        end = length if number == count - 1 else start + step + overlap
        counted = start + _LEFT if number else 0
        parts.append((start, end, counted, length if end == length else end - _RIGHT))
    return parts


class PhiTagger:
    """The trained tagger of ``model_dir``; one thread, nothing fetched."""

    def __init__(self, model_dir: Path) -> None:
        import ctranslate2
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        settings = json.loads((model_dir / "phi_tagger.json").read_text("utf-8"))
        labels = [label.value if label is not None else "O" for label in LABELS]
        if settings["labels"] != labels:
            raise ValueError("the tagger was trained for other labels")
        self.version = str(settings["version"])
        self._tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        head = load_file(model_dir / "head.safetensors")
        self._weight = head["weight"].astype(np.float32)
        self._bias = head["bias"].astype(np.float32)
        self._encoder = ctranslate2.Encoder(
            str(model_dir), device="cpu", compute_type="int8", inter_threads=1, intra_threads=1
        )
        self._first = self._tokenizer.token_to_id("[CLS]")
        self._last = self._tokenizer.token_to_id("[SEP]")

    def tag(self, call: CallText) -> TagProbabilities:
        """How likely each token of ``call`` is PHI, and of which type."""
        texts = [
            call.text[start:end]
            for start, end in zip(call.turn_starts, call.turn_ends, strict=True)
        ]
        pieces = read_pieces(self._tokenizer, call.roles, texts)
        return _by_token(call, pieces, self._pieces(pieces.ids))

    def _pieces(self, ids: Sequence[int]) -> Floats:
        """Logarithms of probabilities, shape (pieces, labels)."""
        scores = np.zeros((len(ids), len(LABELS)), np.float32)
        parts = windows(len(ids))
        for position in range(0, len(parts), _BATCH):
            batch = parts[position : position + _BATCH]
            read = self._encoder.forward_batch(
                [[self._first, *ids[start:end], self._last] for start, end, _, _ in batch]
            )
            states = np.array(read.last_hidden_state, dtype=np.float32)
            logits = states @ self._weight.T + self._bias
            for row, (start, _, first, last) in enumerate(batch):
                scores[first:last] = logits[row, 1 + first - start : 1 + last - start]
        scores -= scores.max(axis=1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return scores


def _by_token(call: CallText, pieces: Pieces, scores: Floats) -> TagProbabilities:
    """The mean over the pieces that touch each token; pieces and tokens are both in order."""
    tokens = call.tokens
    values = np.zeros((len(tokens), len(LABELS)), np.float32)
    counts = np.zeros(len(tokens), np.float32)
    position = 0
    for index, (start, end) in enumerate(zip(pieces.starts, pieces.ends, strict=True)):
        if start == end:
            continue
        while position < len(tokens) and tokens[position].end <= start:
            position += 1
        touched = position
        while touched < len(tokens) and tokens[touched].start < end:
            values[touched] += scores[index]
            counts[touched] += 1
            touched += 1
    seen = counts > 0
    values[seen] /= counts[seen, None]
    values = np.exp(values)
    values /= values.sum(axis=1, keepdims=True)
    # A token that no piece stands for (a lone accent) was not read.
    values[~seen] = 0.0
    values[~seen, 0] = 1.0
    return TagProbabilities(values)
