"""The network that labels turns: one encoder, a head for each task. Imports torch; load it late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qa_monitor.scoring.inputs import Batch
from qa_monitor.scoring.labels import CALL_TYPE, EXCLUSIVE_TASKS, LABELS

__all__ = ["ReadingEncoder", "TurnNetwork", "as_tensors", "head_sizes"]

_DROPOUT = 0.2
_UNSEEN = -1e4


def head_sizes() -> dict[str, int]:
    """How many logits each task has: exclusive tasks of turns have one more, for "none", first."""
    return {
        task: len(labels) + (task in EXCLUSIVE_TASKS and task != CALL_TYPE)
        for task, labels in LABELS.items()
    }


def as_tensors(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids, sides and numbers of turns."""
    return torch.from_numpy(batch.ids), torch.from_numpy(batch.sides), torch.from_numpy(batch.turns)


class ReadingEncoder(nn.Module):
    """A BERT encoder whose words see their own turn and the turns before it, and no later one.

    Attention is two-sided within a turn and one-sided between turns (the masks of prefix language
    models, Dong et al. 2019, "UniLM", with a prefix that grows by turns).
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.bert = encoder

    def forward(self, ids: Tensor, sides: Tensor, turns: Tensor) -> Tensor:
        """The last states, of shape (windows, longest, width)."""
        allowed = (turns[:, None, :] <= turns[:, :, None]) & (turns[:, None, :] >= 0)
        states = self.bert.embeddings(input_ids=ids, token_type_ids=sides)
        mask = torch.zeros(allowed.shape, dtype=states.dtype).masked_fill(~allowed, _UNSEEN)
        states = self.bert.encoder(states, attention_mask=mask[:, None]).last_hidden_state
        result: Tensor = states
        return result


class TurnNetwork(nn.Module):
    """Labels turns, each seen after what came before it.

    A turn's vector is the mean over its own tokens beside the state of the token that tells its
    role, which begins it. The call's vector is the mean of its turns' vectors weighted by a learned
    attention; it feeds the call-type head.
    """

    def __init__(self, encoder: Any, sizes: Mapping[str, int]) -> None:
        super().__init__()
        width = 2 * int(encoder.config.hidden_size)
        self.encoder = ReadingEncoder(encoder)
        self.dropout = nn.Dropout(_DROPOUT)
        self.attention = nn.Linear(width, 1)
        self.heads = nn.ModuleDict({task: nn.Linear(width, size) for task, size in sizes.items()})

    def vectors(self, ids: Tensor, sides: Tensor, turns: Tensor) -> Tensor:
        """The vectors of every turn of every window, of shape (windows, most turns, width)."""
        states = self.encoder(ids, sides, turns).float()
        numbers = torch.arange(1, int(turns.max()) + 1)
        own = (turns[:, None, :] == numbers[None, :, None]).float()
        mean = own @ states / own.sum(-1, keepdim=True).clamp(min=1)
        first = own.argmax(-1, keepdim=True).expand(-1, -1, states.shape[-1])
        vectors: Tensor = self.dropout(torch.cat([mean, states.gather(1, first)], dim=-1))
        return vectors

    def turn_logits(self, vectors: Tensor) -> dict[str, Tensor]:
        """Logits of every task of turns, each of shape (turns, size)."""
        return {task: head(vectors) for task, head in self.heads.items() if task != CALL_TYPE}

    def call_logits(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Call-type logits of the call with these turns, and each turn's weight in them."""
        weights = torch.softmax(self.attention(vectors).squeeze(-1), dim=0)
        return self.heads[CALL_TYPE](weights @ vectors), weights
