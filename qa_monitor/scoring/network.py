"""The network that labels turns: one encoder, a head for each task. Imports torch; load it late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from qa_monitor.scoring.inputs import TurnInput
from qa_monitor.scoring.labels import CALL_TYPE, EXCLUSIVE_TASKS, LABELS

__all__ = ["TurnNetwork", "head_sizes", "pad"]

_DROPOUT = 0.2


def head_sizes() -> dict[str, int]:
    """How many logits each task has: exclusive tasks of turns have one more, for "none", first."""
    return {
        task: len(labels) + (task in EXCLUSIVE_TASKS and task != CALL_TYPE)
        for task, labels in LABELS.items()
    }


def pad(inputs: Sequence[TurnInput]) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids, attention mask and own-turn mask, each of shape (turns, longest)."""
    longest = max(len(turn.ids) for turn in inputs)
    ids = torch.zeros(len(inputs), longest, dtype=torch.long)
    attended = torch.zeros_like(ids)
    own = torch.zeros_like(ids)
    for row, turn in enumerate(inputs):
        ids[row, : len(turn.ids)] = torch.tensor(turn.ids)
        attended[row, : len(turn.ids)] = 1
        own[row, turn.own_start : len(turn.ids)] = 1
    return ids, attended, own


class TurnNetwork(nn.Module):
    """Labels turns, each seen after the end of what came before it.

    A turn's vector is the mean over its own tokens beside the first token's state, which has seen
    turn and context. The call's vector is the mean of its turns' vectors weighted by a learned
    attention; it feeds the call-type head.
    """

    def __init__(self, encoder: Any, sizes: Mapping[str, int]) -> None:
        super().__init__()
        width = 2 * int(encoder.config.hidden_size)
        self.encoder = encoder
        self.dropout = nn.Dropout(_DROPOUT)
        self.attention = nn.Linear(width, 1)
        self.heads = nn.ModuleDict({task: nn.Linear(width, size) for task, size in sizes.items()})

    def vectors(self, ids: Tensor, attended: Tensor, own: Tensor) -> Tensor:
        """One vector a turn, of shape (turns, width)."""
        states = self.encoder(
            input_ids=ids, attention_mask=attended, token_type_ids=own
        ).last_hidden_state
        return self.pool(states, own)

    def pool(self, states: Tensor, own: Tensor) -> Tensor:
        """The vectors of turns from their tokens' last states, of shape (turns, longest, h)."""
        states = states.float()
        mask = own.unsqueeze(-1).float()
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        vectors: Tensor = self.dropout(torch.cat([mean, states[:, 0]], dim=-1))
        return vectors

    def turn_logits(self, vectors: Tensor) -> dict[str, Tensor]:
        """Logits of every task of turns, each of shape (turns, size)."""
        return {task: head(vectors) for task, head in self.heads.items() if task != CALL_TYPE}

    def call_logits(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Call-type logits of the call with these turns, and each turn's weight in them."""
        weights = torch.softmax(self.attention(vectors).squeeze(-1), dim=0)
        return self.heads[CALL_TYPE](weights @ vectors), weights
