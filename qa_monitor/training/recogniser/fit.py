"""Trains the network within a given time.

The schedule follows the clock, not a number of steps: a machine that is slow or busy sees
less speech but still ends with a learning rate of zero, on time. Training saves a
checkpoint every few minutes and goes on from it when started again.
"""

from __future__ import annotations

import dataclasses
import json
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jiwer
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from qa_monitor.training.recogniser.batches import IGNORED, Batch, Mix, Shards, Windows
from qa_monitor.training.recogniser.network import Network, Shape
from qa_monitor.training.recogniser.speech import log_mel
from qa_monitor.training.recogniser.tokens import Vocabulary

_LEARNING_RATE: Final = 2e-3
_WARM_UP_STEPS: Final = 100
_STEADY_UNTIL: Final = 0.30
# The averaged weights follow the trained ones over about this many steps.
_AVERAGING_STEPS: Final = 150
# Small: few hours are heard in all, and at first the number of steps counts.
_FRAMES_PER_STEP: Final = 10_000
_SAVE_EVERY_S: Final = 240.0
_REFRESH_EVERY_S: Final = 90.0

# Short windows teach to hear; longer ones come when that is learned. The product's windows
# are at most 12 s and always without timestamps, so that little time goes to the rest:
# timestamps teach what no speech sounds like (the first token of a window tells), windows
# of 30 s the padding of those who decode as Whisper does.
_EARLY: Final = ((300, 0.35), (500, 0.40), (700, 0.25))
_EARLY_MIX: Final = Mix(timestamps=0.1)
_LATE: Final = ((400, 0.20), (700, 0.30), (1000, 0.25), (1200, 0.20), (3000, 0.05))
_LATE_MIX: Final = Mix(timestamps=0.15, cut=0.03, noise=0.02, padded=0.25)
_LATE_FROM: Final = 0.45


@dataclass
class _Progress:
    """What a checkpoint remembers besides weights."""

    step: int = 0
    elapsed_s: float = 0.0
    heard_s: float = 0.0


def learning_rate_factor(step: int, done: float) -> float:
    """Return the share of the full learning rate: warm-up, steady, then linear to zero.

    `done` is the share of the time that has passed, 0 to 1.
    """
    warm = min(1.0, (step + 1) / _WARM_UP_STEPS)
    return warm * min(1.0, max(0.0, (1.0 - done) / (1.0 - _STEADY_UNTIL)))


def losses(network: Network, batch: Batch) -> dict[str, Tensor]:
    """Return the parts of the loss, each a scalar.

    "words": the next token's cross entropy. "look": minus the log of the attention that
    alignment heads give to the time of the token (within 60 ms). "frames": the token
    spoken in each 20 ms, from the encoder alone: it learns to hear before the decoder
    knows where to look.
    """
    with torch.autocast("cpu", torch.bfloat16):
        heard = network.hear(batch.mel)
        logits, attention = network.write(batch.tokens, heard, look=True)
        frame_logits = network.frames(heard)
    asked = batch.targets != IGNORED
    parts = {
        "words": functional.cross_entropy(
            logits[asked].float(), batch.targets[asked], label_smoothing=0.05
        ),
        "frames": functional.cross_entropy(
            frame_logits.flatten(0, 1).float(), batch.frame_targets.flatten()
        ),
    }
    timed = batch.spans_s[:, :, 0] >= 0
    if attention is not None and bool(timed.any()):
        row, place = timed.nonzero(as_tuple=True)
        spans = batch.spans_s[row, place]
        time_s = torch.arange(heard.shape[1]) * 0.02
        near = (time_s >= spans[:, :1] - 0.06) & (time_s <= spans[:, 1:] + 0.06)
        given = (attention[row, :, place] * near[:, None].float()).sum(-1)
        parts["look"] = -(given + 1e-4).log().mean()
    return parts


def _optimisers(network: Network) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings, heads and vectors."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        inside = parameter.ndim == 2 and ".layers." in name
        (matrices if inside else others).append(parameter)
    return [
        torch.optim.Muon(
            matrices,
            lr=_LEARNING_RATE,
            weight_decay=0.05,
            momentum=0.95,
            adjust_lr_fn="match_rms_adamw",
            ns_steps=4,
        ),
        torch.optim.AdamW(others, lr=0.7 * _LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]


class _Feeder:
    """Makes batches in a thread, so that the network never waits for them."""

    def __init__(self, shards: Path, vocabulary: Vocabulary, seed: int) -> None:
        self.shards = Shards(shards, vocabulary)
        self.windows = Windows(self.shards, vocabulary, seed)
        self.done = 0.0
        self._rng = np.random.default_rng([seed, 9])
        self._queue: queue.Queue[Batch] = queue.Queue(4)
        self._refreshed_s = time.monotonic()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            if time.monotonic() - self._refreshed_s > _REFRESH_EVERY_S:
                self._refreshed_s = time.monotonic()
                if self.shards.refresh():
                    self.windows.refresh()
            lengths, mix = (_EARLY, _EARLY_MIX) if self.done < _LATE_FROM else (_LATE, _LATE_MIX)
            sizes, shares = zip(*lengths, strict=True)
            frames = int(self._rng.choice(sizes, p=shares))
            self._queue.put(self.windows.batch(_FRAMES_PER_STEP, frames, mix))

    def next(self) -> Batch:
        return self._queue.get()


def fit(
    shards: Path,
    vocabulary: Vocabulary,
    development_set: Path,
    checkpoint: Path,
    *,
    minutes: float,
    seed: int,
    threads: int = 2,
) -> None:
    """Train for that many minutes in all and leave the weights in `checkpoint`.

    A checkpoint that exists is gone on from, with the minutes it has already taken.
    `development_set` is a set of `speech.speak_test_sets`, measured now and then.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    network = Network(Shape(vocabulary=len(vocabulary), text_tokens=vocabulary.end))
    averaged = {n: p.detach().clone() for n, p in network.named_parameters() if p.requires_grad}
    optimisers = _optimisers(network)
    progress = _Progress()
    if checkpoint.exists():
        progress = _restore(checkpoint, network, averaged, optimisers)
    feeder = _Feeder(shards, vocabulary, seed + progress.step)
    size = sum(p.numel() for p in network.parameters() if p.requires_grad) / 1e6
    print(f"training: {size:.1f} M parameters, {feeder.shards.hours:.1f} h of speech", flush=True)
    budget_s = 60.0 * minutes
    begun_s = time.monotonic() - progress.elapsed_s
    logged_s = saved_s = time.monotonic()
    sums: dict[str, float] = {}
    since = 0
    network.train()
    while progress.elapsed_s < budget_s:
        batch = feeder.next()
        done = feeder.done = progress.elapsed_s / budget_s
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                full = group.setdefault("full_lr", group["lr"])
                group["lr"] = full * learning_rate_factor(progress.step, done)
        parts = losses(network, batch)
        weights = {"words": 1.0, "look": 0.3, "frames": 0.5 if done >= _LATE_FROM else 1.0}
        loss = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        for optimiser in optimisers:
            optimiser.step()
        _follow(averaged, network, progress.step)
        progress.step += 1
        progress.heard_s += batch.mel.shape[0] * batch.mel.shape[1] / 100.0
        since += 1
        for name, part in parts.items():
            sums[name] = sums.get(name, 0.0) + float(part.detach())
        now_s = time.monotonic()
        progress.elapsed_s = now_s - begun_s
        if now_s - logged_s > 30.0:
            told = " ".join(f"{name} {total / since:.3f}" for name, total in sums.items())
            speed = progress.heard_s / progress.elapsed_s
            print(
                f"{progress.elapsed_s:.0f} s, step {progress.step}: {told}; "
                f"{progress.heard_s / 3600:.1f} h at {speed:.0f}x, "
                f"{feeder.windows.epochs:.2f} times {feeder.shards.hours:.0f} h",
                flush=True,
            )
            logged_s, since, sums = now_s, 0, {}
        if now_s - saved_s > _SAVE_EVERY_S:
            _save(checkpoint, network, averaged, optimisers, progress)
            _report(network, averaged, vocabulary, development_set, progress)
            saved_s = time.monotonic()
    _save(checkpoint, network, averaged, optimisers, progress)
    _report(network, averaged, vocabulary, development_set, progress)


def _follow(averaged: dict[str, Tensor], network: Network, step: int) -> None:
    share = max(1.0 / _AVERAGING_STEPS, 1.0 / (step + 1.0))
    with torch.no_grad():
        current = [p.detach() for p in network.parameters() if p.requires_grad]
        torch._foreach_lerp_(list(averaged.values()), current, share)


def _save(
    path: Path,
    network: Network,
    averaged: dict[str, Tensor],
    optimisers: Sequence[torch.optim.Optimizer],
    progress: _Progress,
) -> None:
    partial = path.with_suffix(".part")
    torch.save(
        {
            "shape": dataclasses.asdict(network.shape),
            "weights": network.state_dict(),
            "averaged": averaged,
            "optimisers": [optimiser.state_dict() for optimiser in optimisers],
            "progress": dataclasses.asdict(progress),
        },
        partial,
    )
    partial.replace(path)


def _restore(
    path: Path,
    network: Network,
    averaged: dict[str, Tensor],
    optimisers: Sequence[torch.optim.Optimizer],
) -> _Progress:
    saved: dict[str, Any] = torch.load(path, weights_only=True)
    network.load_state_dict(saved["weights"])
    for name, value in saved["averaged"].items():
        averaged[name].copy_(value)
    for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    return _Progress(**saved["progress"])


def _report(
    network: Network,
    averaged: dict[str, Tensor],
    vocabulary: Vocabulary,
    development_set: Path,
    progress: _Progress,
) -> None:
    """Print the word error rate of the averaged weights, writing greedily."""
    current = {name: p.detach().clone() for name, p in network.named_parameters()}
    network.load_state_dict(averaged, strict=False)
    rate, wrong = word_error_rate(network, vocabulary, development_set)
    network.load_state_dict(current, strict=False)
    print(
        f"# {progress.elapsed_s:.0f} s, step {progress.step}: "
        f"{rate:.1%} of the words wrong; {wrong}",
        flush=True,
    )


def word_error_rate(network: Network, vocabulary: Vocabulary, test_set: Path) -> tuple[float, str]:
    """Return the word error rate of greedy writing without timestamps, and an example."""
    with np.load(test_set) as data:
        samples, info = data["samples"], json.loads(str(data["info"]))
    info.sort(key=lambda item: item["count"])
    wanted: list[str] = []
    written: list[str] = []
    was_training = network.training
    network.eval()
    for first in range(0, len(info), 30):
        items = info[first : first + 30]
        mels = [
            log_mel(samples[i["begin"] : i["begin"] + i["count"]].astype(np.float32) / 32768.0)
            for i in items
        ]
        frames = (max(map(len, mels)) + 31) // 2 * 2
        padded = np.zeros((len(mels), frames, 80), dtype=np.float32)
        for i, mel in enumerate(mels):
            padded[i, : len(mel)] = (np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0
        wanted += [item["text"] for item in items]
        written += write_greedily(network, vocabulary, torch.from_numpy(padded))
    network.train(was_training)
    example = next(
        (f"{a!r} -> {b!r}" for a, b in zip(wanted[40:], written[40:], strict=True) if a != b), ""
    )
    return float(jiwer.wer(wanted, written)), example


@torch.no_grad()
def write_greedily(network: Network, vocabulary: Vocabulary, mel: Tensor) -> list[str]:
    """Return what the network most likely writes of each window, at most 90 tokens."""
    with torch.autocast("cpu", torch.bfloat16):
        heard = network.hear(mel)
        tokens = torch.tensor([[vocabulary.start, vocabulary.no_timestamps]] * len(mel))
        finished = torch.zeros(len(mel), dtype=torch.bool)
        for _ in range(90):
            logits = network.write(tokens, heard)[0][:, -1, : vocabulary.end + 1]
            chosen = logits.argmax(-1).masked_fill(finished, vocabulary.end)
            finished |= chosen == vocabulary.end
            tokens = torch.cat([tokens, chosen[:, None]], dim=1)
            if bool(finished.all()):
                break
    return [vocabulary.decode(row[2:]) for row in tokens.tolist()]
