"""Trains the turn-findings model and fits the rubric, from the written calls, in one command.

    python -m qa_monitor.training.findings --calls models/turn-findings/calls \
        --out models/turn-findings

Each writer has a folder of calls. The network learns from most writers; calibration, thresholds and
the rubric's numbers are fitted on the findings about writers that the network has not seen, so that
they expect findings as good as those of real use; one more writer is kept for the test alone.
Writes the model, ``rubric-fitted.toml`` (the numbers that ship in the rubric file) and
``figures.json``. Baselines are measured in the same run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qa_monitor.calls import Role
from qa_monitor.errors import UsageError
from qa_monitor.scoring import findings_of
from qa_monitor.scoring.encoder import Calibration, Predictions
from qa_monitor.scoring.labels import AGENT_TASKS, CALL_TYPE, CALLER_TASKS, EXCLUSIVE_TASKS, LABELS
from qa_monitor.scoring.measure import macro_f1, score_figures
from qa_monitor.scoring.redflags import RedFlags
from qa_monitor.scoring.rubric import Rubric, load_rubric, rubric_from
from qa_monitor.scoring.scorecard import make_scorecard
from qa_monitor.training.call_scores import (
    Example,
    fit_calibration,
    fit_rubric,
    fit_thresholds,
    turn_rows,
)
from qa_monitor.training.labelled_calls import LabelledCall, read_calls, redacted_dialogue

__all__ = ["find_and_score", "main"]

VERSION = "2026.11"
_FEW = 5


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see the module's docstring."""
    options = _parser().parse_args(arguments)
    folders = [folder for folder in sorted(options.calls.iterdir()) if folder.is_dir()]
    calls = {folder.name: read_calls(folder) for folder in folders}
    fitting = options.fit.split(",")
    learning = [name for name in calls if name not in (*fitting, options.test)]
    if not {*fitting, options.test} <= calls.keys() or not learning:
        raise UsageError("training needs calls to learn from, to fit on and to test on.")
    from qa_monitor.training.findings_model import save_model
    from qa_monitor.training.turn_network import (
        Recipe,
        base_model_folder,
        make_tokenizer,
        predict_call,
        train_network,
    )
    from qa_monitor.training.word_model import train_word_model

    recipe = Recipe(seed=options.seed, epochs=options.epochs, threads=options.threads)
    tokenizer = make_tokenizer(base_model_folder())
    learn = [call for name in learning for call in calls[name]]
    fit = {name: calls[name] for name in fitting}
    network = train_network(
        learn,
        tokenizer,
        recipe,
        progress=lambda epoch, loss: print(f"epoch {epoch}: loss {loss:.2f}", flush=True),
    )
    words = train_word_model(learn, tokenizer, seed=options.seed)
    unseen = {
        call.call_id: predict_call(network, words, tokenizer, call)
        for group in fit.values()
        for call in group
    }
    # Once weighed, the word model may learn from the calls that it was weighed on as well.
    words = train_word_model(
        [*learn, *(call for group in fit.values() for call in group)], tokenizer, seed=options.seed
    )
    unseen |= {
        call.call_id: predict_call(network, words, tokenizer, call) for call in calls[options.test]
    }
    calibration, thresholds, figures = fit_and_measure(
        learn=learn, fit=fit, test=calls[options.test], predictions=unseen, out=options.out
    )
    save_model(
        options.out,
        network,
        words,
        tokenizer,
        version=VERSION,
        calibration=calibration,
        thresholds=thresholds,
    )
    print(json.dumps(figures, indent=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m qa_monitor.training.findings")
    parser.add_argument("--calls", type=Path, required=True, help="a folder for each writer")
    parser.add_argument("--out", type=Path, required=True, help="where the model goes")
    parser.add_argument("--fit", default="f,g", help="the writers that the rubric is fitted on")
    parser.add_argument("--test", default="e", help="the writer kept for the test")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    return parser


def fit_and_measure(
    *,
    learn: Sequence[LabelledCall],
    fit: Mapping[str, Sequence[LabelledCall]],
    test: Sequence[LabelledCall],
    predictions: Mapping[str, Predictions],
    out: Path,
) -> tuple[Calibration, dict[str, dict[str, float]], dict[str, Any]]:
    """Calibration, thresholds and figures; writes ``rubric-fitted.toml`` and ``figures.json``.

    ``predictions`` are for the calls of ``fit`` and ``test``, by a network that saw neither.
    ``learn`` is what the baselines learn from, as the network did.
    """
    fitting = [call for group in fit.values() for call in group]
    calibration = fit_calibration(fitting, predictions)
    thresholds = fit_thresholds(fitting, predictions, calibration)
    red_flags = RedFlags()

    def find(call: LabelledCall, writer: str) -> Example:
        dialogue = redacted_dialogue(call)
        return Example(
            call=call,
            group=writer,
            dialogue=dialogue,
            findings=findings_of(
                dialogue,
                predictions[call.call_id],
                calibration,
                thresholds=thresholds,
                red_flags=red_flags,
                producer=f"turn-findings/{VERSION}",
            ),
        )

    examples = [find(call, writer) for writer, group in fit.items() for call in group]
    tests = [find(call, "test") for call in test]
    fitted = fit_rubric(examples)
    rubric = with_fitted(fitted)
    figures = {
        "fitted_on": find_and_score(examples, rubric),
        "test": find_and_score(tests, rubric),
        "turns_test": turn_figures(test, predictions, calibration),
        "baseline_turns_test": baseline_turns(learn, test),
        "baseline_test": baseline_calls([*learn, *fitting], test),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "rubric-fitted.toml").write_text(as_toml(fitted), encoding="utf-8")
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return calibration, thresholds, figures


def find_and_score(examples: Sequence[Example], rubric: Rubric) -> dict[str, Any]:
    """The figures of ``examples`` scored by ``rubric``."""
    cards = [make_scorecard(example.dialogue, example.findings, rubric) for example in examples]
    return score_figures([example.call for example in examples], cards)


def with_fitted(fitted: Mapping[str, Any]) -> Rubric:
    """The rubric that ships with its numbers replaced by ``fitted``."""
    shipped = load_rubric()
    return rubric_from(
        {
            "name": shipped.name,
            "version": shipped.version,
            "weights": {criterion.value: value for criterion, value in shipped.weights.items()},
            "points": fitted["points"],
            "urgency": fitted["urgency"],
            "settings": {**shipped.settings, **fitted["settings"]},
        }
    )


def as_toml(fitted: Mapping[str, Any]) -> str:
    """The fitted tables as they stand in a rubric file."""
    lines: list[str] = []
    for section in ("points", "urgency"):
        for name, table in fitted[section].items():
            lines.append(f"[{section}.{name}]")
            lines += [f"{key} = {value}" for key, value in table.items()]
            lines.append("")
    lines.append("[settings]")
    lines += [f"{key} = {value}" for key, value in fitted["settings"].items()]
    return "\n".join(lines) + "\n"


# --- turns ---------------------------------------------------------------------------------------


def turn_figures(
    calls: Sequence[LabelledCall], predictions: Mapping[str, Predictions], calibration: Calibration
) -> dict[str, dict[str, float | None]]:
    """For each task of turns the F1 of "any label", and the mean F1 of labels not too rare."""
    figures = {}
    for task in (*CALLER_TASKS, *AGENT_TASKS):
        logits, words, targets = turn_rows(calls, predictions, task)
        shares = calibration.probabilities(task, logits, words)
        named = shares.argmax(axis=1) if task in EXCLUSIVE_TASKS else shares >= 0.4
        figures[task] = _task_f1(task, targets, named)
    return figures


def _task_f1(task: str, targets: Any, named: Any) -> dict[str, float | None]:
    if task in EXCLUSIVE_TASKS:
        columns = [(targets == k, named == k) for k in range(1, len(LABELS[task]) + 1)]
        some = (targets > 0, named > 0)
    else:
        columns = [(targets[:, k] > 0, named[:, k]) for k in range(len(LABELS[task]))]
        some = (targets.any(axis=1), named.any(axis=1))
    scores = [_f1(*column) for column in columns if column[0].sum() >= _FEW]
    return {
        "any_f1": round(_f1(*some), 3),
        "label_f1": round(sum(scores) / len(scores), 3) if scores else None,
    }


def _f1(truth: Any, named: Any) -> float:
    return float(2 * (truth & named).sum() / max(truth.sum() + named.sum(), 1))


# --- baselines -----------------------------------------------------------------------------------


def baseline_turns(
    training: Sequence[LabelledCall], test: Sequence[LabelledCall]
) -> dict[str, dict[str, float | None]]:
    """The same figures by logistic regression over word pairs, one turn at a time."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    figures = {}
    for task in (*CALLER_TASKS, *AGENT_TASKS):
        texts, targets = _turn_texts(training, task)
        others, truth = _turn_texts(test, task)
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        x, x_test = vectorizer.fit_transform(texts), vectorizer.transform(others)

        def fitted(
            wanted: Any, x: Any = x, x_test: Any = x_test, kind: Any = LogisticRegression
        ) -> Any:
            if len(set(wanted)) < 2:
                return np.full(x_test.shape[0], wanted[0])
            model = kind(C=10, class_weight="balanced", max_iter=300)
            return model.fit(x, wanted).predict(x_test)

        if task in EXCLUSIVE_TASKS:
            named = fitted(targets)
        else:
            named = np.stack([fitted(column) for column in targets.T], axis=1) > 0
        figures[task] = _task_f1(task, truth, named)
    return figures


def _turn_texts(calls: Sequence[LabelledCall], task: str) -> tuple[list[str], Any]:
    import numpy as np

    texts: list[str] = []
    targets: list[Any] = []
    labels = LABELS[task]
    for call in calls:
        for turn, redacted in zip(call.turns, redacted_dialogue(call).turns, strict=True):
            if task in (AGENT_TASKS if turn.role is Role.AGENT else CALLER_TASKS):
                given = turn.labels.get(task, ())
                texts.append(redacted.text)
                if task in EXCLUSIVE_TASKS:
                    targets.append(1 + labels.index(given[0]) if given else 0)
                else:
                    targets.append([int(label in given) for label in labels])
    return texts, np.asarray(targets)


def baseline_calls(
    training: Sequence[LabelledCall], test: Sequence[LabelledCall]
) -> dict[str, dict[str, float | None]]:
    """Call scores from the bag of words of the whole call, and from always saying the commonest."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, Ridge

    from qa_monitor.scoring.measure import quadratic_weighted_kappa, within_one

    def words(call: LabelledCall, role: Role | None) -> str:
        turns = zip(call.turns, redacted_dialogue(call).turns, strict=True)
        return "\n".join(r.text for t, r in turns if role is None or t.role is role)

    figures: dict[str, dict[str, float | None]] = {}
    for name, role in (
        ("empathy", Role.AGENT),
        ("active_listening", Role.AGENT),
        ("urgency", None),
    ):
        known = [call for call in training if getattr(call, name) is not None]
        asked = [call for call in test if getattr(call, name) is not None]
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        x = vectorizer.fit_transform([words(call, role) for call in known])
        y = np.asarray([float(getattr(call, name)) for call in known])
        guess = (
            Ridge(alpha=1.0)
            .fit(x, y)
            .predict(vectorizer.transform([words(call, role) for call in asked]))
        )
        truth = [float(getattr(call, name)) for call in asked]
        low, high = (0, 3) if name == "urgency" else (1, 5)
        guess = np.clip(guess, low, high)
        constant = [float(round(y.mean()))] * len(truth)
        figures[name] = {
            "qwk": _three(quadratic_weighted_kappa(truth, list(guess), low=low, high=high)),
            "within_one": _three(within_one(truth, list(guess))),
            "constant_qwk": _three(quadratic_weighted_kappa(truth, constant, low=low, high=high)),
            "constant_within_one": _three(within_one(truth, constant)),
        }
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    x = vectorizer.fit_transform([words(call, None) for call in training])
    model = LogisticRegression(C=10, max_iter=300)
    model.fit(x, [call.call_type.value for call in training])
    named = model.predict(vectorizer.transform([words(call, None) for call in test]))
    types = [call.call_type.value for call in test]
    figures[CALL_TYPE] = {"macro_f1": _three(macro_f1(types, [str(name) for name in named]))}
    return figures


def _three(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


if __name__ == "__main__":
    main()
