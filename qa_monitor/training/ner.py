"""Trains the PHI pipeline in ``models/phi-ner`` with one seeded command.

The command::

    python -m qa_monitor.training.ner --corpora DIR --calls DIR --out models/phi-ner

and measures a redactor on labelled calls (totals only)::

    python -m qa_monitor.training.ner --measure FILE --out models/phi-ner

The pipeline is spaCy's transition-based entity recognizer over hash embeddings of norm, prefix,
suffix and shape (Honnibal and Montani, spaCy 3; "bloom embeddings", Serra and Karatzoglou 2017).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qa_monitor.training.ner_data import (
    LABELS,
    Document,
    Names,
    Splicer,
    augment_call,
    call_documents,
    read_dialogues,
    read_written_calls,
    template_document,
)

__all__ = ["main", "train"]

_SEED = 20
_EPOCHS = 9
_VERSION = "1.0.0"
_SPLICED_PER_EPOCH = 400
_TEMPLATES_PER_EPOCH = 200
_CALL_COPIES = 1
_BATCH_WORDS = 800

_CONFIG = """
[nlp]
lang = "en"
pipeline = ["tok2vec","ner"]

[components]

[components.tok2vec]
factory = "tok2vec"

[components.tok2vec.model]
@architectures = "spacy.Tok2Vec.v2"

[components.tok2vec.model.embed]
@architectures = "spacy.MultiHashEmbed.v2"
width = 96
attrs = ["NORM","PREFIX","SUFFIX","SHAPE"]
rows = [8000,1000,2500,1000]
include_static_vectors = false

[components.tok2vec.model.encode]
@architectures = "spacy.MaxoutWindowEncoder.v2"
width = 96
depth = 4
window_size = 1
maxout_pieces = 3

[components.ner]
factory = "ner"

[components.ner.model]
@architectures = "spacy.TransitionBasedParser.v2"
state_type = "ner"
extra_state_tokens = false
hidden_width = 64
maxout_pieces = 2
use_upper = true

[components.ner.model.tok2vec]
@architectures = "spacy.Tok2VecListener.v1"
width = 96
"""


def _epoch(calls: Sequence[dict[str, Any]], splicer: Splicer, names: Names) -> list[Document]:
    documents: list[Document] = []
    for call in calls:
        documents.extend(call_documents(call, names.rng))
        for _ in range(_CALL_COPIES):
            documents.extend(augment_call(call, names))
    documents.extend(splicer.document() for _ in range(_SPLICED_PER_EPOCH))
    documents.extend(template_document(names) for _ in range(_TEMPLATES_PER_EPOCH))
    names.rng.shuffle(documents)
    return documents


def _examples(nlp: Any, documents: Sequence[Document]) -> Iterator[Any]:
    from spacy.training import Example

    for document in documents:
        reference = nlp.make_doc(document.text)
        entities: list[Any] = []
        for start, end, label in document.spans:
            span = reference.char_span(start, end, label=label, alignment_mode="expand")
            if span is not None and not (entities and span.start < entities[-1].end):
                entities.append(span)
        reference.ents = entities
        yield Example(nlp.make_doc(document.text), reference)


def train(
    corpora: Path, calls: Path, out: Path, *, held_out: Sequence[str], epochs: int, seed: int
) -> dict[str, Any]:
    """Trains, writes the pipeline to ``out`` and returns the held-out figures.

    ``calls`` holds folders of written calls; those named in ``held_out`` are for testing, as are
    the dialogues of ``corpora`` that ``is_training_dialogue`` keeps apart.
    """
    import spacy
    from spacy.training.batchers import minibatch_by_words
    from spacy.util import fix_random_seed
    from thinc.api import Config

    fix_random_seed(seed)
    rng = random.Random(seed)
    train_calls: list[dict[str, Any]] = []
    test_calls: list[dict[str, Any]] = []
    for folder in sorted(path for path in calls.iterdir() if path.is_dir()):
        part = test_calls if folder.name in held_out else train_calls
        part.extend(read_written_calls(folder))
    names = Names(rng)
    splicer = Splicer(read_dialogues(corpora, "train"), names)
    test_names = Names(random.Random(seed + 1), is_test=True)
    test_splicer = Splicer(read_dialogues(corpora, "test"), test_names)
    tests = {
        "written calls": [d for call in test_calls for d in call_documents(call)],
        "written calls, as heard": [
            d for call in test_calls for d in call_documents(call, random.Random(0))
        ],
        "spliced": [test_splicer.document() for _ in range(300)],
    }

    nlp = spacy.util.load_model_from_config(Config().from_str(_CONFIG), auto_fill=True)
    for label in LABELS:
        nlp.get_pipe("ner").add_label(label)
    first = _epoch(train_calls, splicer, names)
    sample = list(_examples(nlp, first[:200]))
    optimizer = nlp.initialize(lambda: sample)
    optimizer.learn_rate = 0.001
    started = time.monotonic()
    for epoch in range(epochs):
        # The rate falls to a tenth over the run.
        optimizer.learn_rate = 0.001 * (1.0 - 0.9 * epoch / epochs)
        losses: dict[str, float] = {}
        examples = list(
            _examples(nlp, first if epoch == 0 else _epoch(train_calls, splicer, names))
        )
        for batch in minibatch_by_words(examples, size=_BATCH_WORDS):
            nlp.update(batch, sgd=optimizer, drop=0.1, losses=losses)
        print(
            f"epoch {epoch + 1} of {epochs}: loss {losses['ner']:.0f}, "
            f"{time.monotonic() - started:.0f} s",
            file=sys.stderr,
        )
    figures = {name: _evaluate(nlp, documents) for name, documents in tests.items() if documents}
    nlp.meta["name"] = "phi_ner"
    nlp.meta["version"] = _VERSION
    nlp.meta["description"] = "Names, organisations, places and dates in health-care calls"
    nlp.meta["license"] = "Apache-2.0"
    nlp.meta["performance"] = figures
    readme = out / "README.md"
    card = readme.read_text(encoding="utf-8") if readme.exists() else None
    nlp.to_disk(out)
    if card is not None:
        readme.write_text(card, encoding="utf-8")
    return figures


def _evaluate(nlp: Any, documents: Sequence[Document]) -> dict[str, Any]:
    """Recall and precision by character and label, and recall whatever the label."""
    right: Counter[str] = Counter()
    gold: Counter[str] = Counter()
    found: Counter[str] = Counter()
    any_label = 0
    for document, doc in zip(documents, nlp.pipe([d.text for d in documents]), strict=True):
        truth: dict[int, str] = {}
        for start, end, label in document.spans:
            truth.update(dict.fromkeys(range(start, end), label))
        said: dict[int, str] = {}
        for entity in doc.ents:
            said.update(dict.fromkeys(range(entity.start_char, entity.end_char), entity.label_))
        gold.update(truth.values())
        found.update(said.values())
        right.update(label for i, label in truth.items() if said.get(i) == label)
        any_label += sum(i in said for i in truth)
    total = gold.total()
    return {
        "recall_any_label": round(any_label / total, 4) if total else None,
        **{
            label: {
                "recall": round(right[label] / gold[label], 4) if gold[label] else None,
                "precision": round(right[label] / found[label], 4) if found[label] else None,
            }
            for label in LABELS
        },
    }


def _measure(file: Path, model: Path) -> dict[str, Any]:
    from qa_monitor.redaction import PresidioRedactor
    from qa_monitor.redaction.measure import measure

    with file.open(encoding="utf-8") as lines:
        calls = [json.loads(line) for line in lines if line.strip()]
    return measure(calls, PresidioRedactor(model)).as_dict()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; prints figures as JSON."""
    parser = argparse.ArgumentParser(description="Train or measure the PHI pipeline.")
    parser.add_argument("--corpora", type=Path, help="folder of public dialogues (*.jsonl)")
    parser.add_argument("--calls", type=Path, help="folder of folders of written calls")
    parser.add_argument("--out", type=Path, required=True, help="the pipeline's folder")
    parser.add_argument(
        "--held-out", default="e", help="folders of calls kept for testing, with commas between"
    )
    parser.add_argument("--epochs", type=int, default=_EPOCHS)
    parser.add_argument("--seed", type=int, default=_SEED)
    parser.add_argument("--measure", type=Path, help="labelled calls to measure redaction on")
    options = parser.parse_args(arguments)
    if options.measure is not None:
        figures = _measure(options.measure, options.out)
    elif options.corpora is None or options.calls is None:
        parser.error("training needs --corpora and --calls")
    else:
        figures = train(
            options.corpora,
            options.calls,
            options.out,
            held_out=options.held_out.split(","),
            epochs=options.epochs,
            seed=options.seed,
        )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
