"""Makes the embedded recogniser from text: `python -m qa_monitor.training.recogniser --help`.

The steps follow one another: vocabulary, speech, test sets, training, conversion,
figures. Each keeps what it left in the working folder, so that a run that was broken off
is started again with the same command; delete a file there to have it made again.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Final

_FIGURES: Final = ("<!-- figures -->", "<!-- /figures -->")


def main() -> None:
    """Run all steps with the arguments of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m qa_monitor.training.recogniser",
        description="Train the embedded recogniser on synthetic telephone speech.",
    )
    parser.add_argument("--corpora", type=Path, required=True, help="folder of dialogues (*.jsonl)")
    parser.add_argument("--calls", type=Path, required=True, help="folder of written calls")
    parser.add_argument("--work", type=Path, required=True, help="folder for speech, checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    parser.add_argument("--minutes", type=float, default=90.0, help="training time (90)")
    parser.add_argument("--hours", type=float, default=42.0, help="speech to synthesise (42)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all that is drawn (0)")
    parser.add_argument("--threads", type=int, default=2, help="processor cores to use (2)")
    options = parser.parse_args()
    # Read when torch loads: a thread that waits must not spin where others need the core.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    options.work.mkdir(parents=True, exist_ok=True)
    tokeniser = options.work / "tokenizer.json"
    if not tokeniser.exists():
        make_tokeniser(options.corpora, options.calls, tokeniser, seed=options.seed)

    # Imported step by step: the processes that speak import this file and need no torch.
    from qa_monitor.training.recogniser import speech

    source = {"corpora": options.corpora, "calls": options.calls, "seed": options.seed}
    tests = options.work / "tests"
    speech.synthesise(
        options.work / "shards", hours=options.hours, workers=options.threads, **source
    )
    speech.speak_test_sets(tests, size=160, **source)

    from qa_monitor.training.recogniser.convert import convert
    from qa_monitor.training.recogniser.fit import fit
    from qa_monitor.training.recogniser.tokens import Vocabulary

    checkpoint = options.work / "checkpoint.pt"
    fit(
        options.work / "shards",
        Vocabulary(tokeniser),
        tests / "dev, sample voices.npz",
        checkpoint,
        minutes=options.minutes,
        seed=options.seed,
        threads=options.threads,
    )
    convert(checkpoint, tokeniser, options.out)
    publish_figures(options.out, tests, threads=options.threads)


def make_tokeniser(corpora: Path, calls: Path, out: Path, *, seed: int) -> None:
    """Write the tokeniser learned from the training part of all text."""
    import numpy as np

    from qa_monitor.training.recogniser import lines, text, tokens

    rng = np.random.default_rng([seed, 4])
    texts = [line.text for line in text.corpus_turns(corpora, "train")]
    texts += 4 * [line.text for line in text.call_turns(calls, "train")]
    drawn = (text.speakable(lines.draw_line(rng)) for _ in range(12_000))
    texts += [line.text for line in drawn if line is not None]
    tokens.train_tokeniser(texts, out)


def publish_figures(model: Path, tests: Path, *, threads: int) -> None:
    """Measure the model on all test sets and put the table into its card.

    Every set in windows of 12 s at beam 1 and 5, two of them as Whisper does it, in 30 s.
    The table also goes to figures.md beside the test sets, with the worst utterances.
    """
    from qa_monitor.training.recogniser import measure, speech

    names = [name for name in speech.TEST_SETS if not name.startswith("dev")]
    figures = []
    for pad_to_s, measured in ((12.0, names), (30.0, names[:2])):
        listener = measure.Listener(model, pad_to_s=pad_to_s, threads=threads)
        measure.measure(listener, tests / f"{names[0]}.npz", beam_size=1, limit=3)
        figures += [
            measure.measure(listener, tests / f"{name}.npz", beam_size=beam)
            for name in measured
            for beam in (1, 5)
        ]
    table = measure.table(figures)
    worst = {f"{f.name}, {f.padded_to_s:.0f} s, beam {f.beam_size}": f.worst for f in figures}
    (tests / "figures.md").write_text(table + "\n" + json.dumps(worst, indent=1) + "\n")
    print(table)
    card = model / "README.md"
    if card.exists():
        before, _, rest = card.read_text().partition(_FIGURES[0])
        after = rest.partition(_FIGURES[1])[2]
        card.write_text(f"{before}{_FIGURES[0]}\n{table}{_FIGURES[1]}{after}")


if __name__ == "__main__":
    main()
