"""Trains the turn-findings model and fits the rubric, from the written calls, in one command.

    python -m qa_monitor.training.findings --calls models/turn-findings/calls \
        --heard heard.jsonl --out models/turn-findings

Each writer has a folder of calls. Writers are dealt into folds; for each fold a network and a word
model learn from the other folds' writers and answer about this one's, as written and (with
``--heard``, made by ``python -m qa_monitor.training.heard_forms``) as a recogniser heard them. On
these answers, about writers that their network has not seen, calibration, thresholds and the
rubric's numbers are fitted, so that they expect findings as good as those of real use [cross-
fitting, Chernozhukov et al. 2018]. The model that is written learns from all writers. What is
trained is kept in ``--work`` as it is done, so that a run that was broken off goes on.

Writes the model, ``rubric-fitted.toml`` (the numbers that ship in the rubric file) and
``figures.json``: how the folds' answers score, by writer. They are no test: see the figures command
for calls that had no part in any of this.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from qa_monitor.errors import UsageError
from qa_monitor.scoring import findings_of
from qa_monitor.scoring.encoder import Calibration, Predictions
from qa_monitor.scoring.labels import AGENT_TASKS, CALL_TYPE, CALLER_TASKS, EXCLUSIVE_TASKS, LABELS
from qa_monitor.scoring.measure import score_figures
from qa_monitor.scoring.redflags import RedFlags
from qa_monitor.scoring.rubric import Rubric, rubric_content, rubric_from
from qa_monitor.scoring.scorecard import make_scorecard
from qa_monitor.training.call_scores import (
    Example,
    fit_calibration,
    fit_rubric,
    fit_thresholds,
    turn_rows,
)
from qa_monitor.training.labelled_calls import LabelledCall, read_calls, redacted_dialogue
from qa_monitor.training.turn_noise import heard_call

__all__ = ["find_and_score", "main"]

VERSION = "2026.12"
_FEW = 5
_HEARD = "~heard"
"""What the id of a call has at its end where it is the call as it was heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A training: by the writers ``learning``, with answers about those ``asked``."""

    name: str
    learning: tuple[str, ...]
    asked: tuple[str, ...]
    calls: Path
    heard: tuple[Path, ...]
    work: Path
    seed: int
    epochs: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see the module's docstring."""
    options = _parser().parse_args(arguments)
    writers = tuple(folder.name for folder in sorted(options.calls.iterdir()) if folder.is_dir())
    if len(writers) < options.folds or options.folds < 2:
        raise UsageError(
            f"training needs calls of at least {options.folds} writers, a folder each."
        )
    options.work.mkdir(parents=True, exist_ok=True)

    def job(name: str, asked: Iterable[str]) -> _Job:
        asked = tuple(asked)
        return _Job(
            name=name,
            learning=tuple(writer for writer in writers if writer not in asked),
            asked=asked,
            calls=options.calls,
            heard=tuple(options.heard),
            work=options.work,
            seed=options.seed,
            epochs=options.epochs,
        )

    folds = [
        job(f"fold-{number}", writers[number :: options.folds]) for number in range(options.folds)
    ]
    # The longest first.
    _train_all([job("all", ()), *folds], options.jobs)
    written, heard = _read(options.calls, writers, options.heard)
    predictions = {
        call_id: found for fold in folds for call_id, found in _load_answers(fold).items()
    }
    calibration, thresholds, figures = fit_and_measure(
        calls={writer: [*written[writer], *heard[writer]] for writer in writers},
        predictions=predictions,
        out=options.out,
    )
    from qa_monitor.training.findings_model import save_model
    from qa_monitor.training.turn_network import base_model_folder, load_network, make_tokenizer
    from qa_monitor.training.word_model import load_words

    tokenizer = make_tokenizer(base_model_folder())
    save_model(
        options.out,
        load_network(options.work / "all.network.safetensors", tokenizer),
        load_words(options.work / "all.words.safetensors"),
        tokenizer,
        version=VERSION,
        calibration=calibration,
        thresholds=thresholds,
    )
    print(json.dumps(figures, indent=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m qa_monitor.training.findings")
    parser.add_argument("--calls", type=Path, required=True, help="a folder for each writer")
    parser.add_argument("--heard", type=Path, nargs="*", default=[], help="heard calls (*.jsonl)")
    parser.add_argument("--out", type=Path, required=True, help="where the model goes")
    parser.add_argument("--work", type=Path, default=Path("training"), help="what is half done")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once, a core each")
    return parser


# --- training ------------------------------------------------------------------------------------


def _train_all(jobs: Sequence[_Job], at_once: int) -> None:
    """Do what is not done yet."""
    todo = [job for job in jobs if not _is_done(job)]
    if at_once == 1:
        for job in todo:
            _train(job)
        return
    with ProcessPoolExecutor(at_once, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(_train, job) for job in todo]):
            done.result()


def _is_done(job: _Job) -> bool:
    return (job.work / f"{job.name}.words.safetensors").is_file()


def _train(job: _Job) -> None:
    from qa_monitor.training.turn_network import (
        Recipe,
        base_model_folder,
        make_tokenizer,
        predict_call,
        save_network,
        train_network,
    )
    from qa_monitor.training.word_model import save_words, train_word_model

    written, heard = _read(job.calls, (*job.learning, *job.asked), job.heard)
    learn = [call for writer in job.learning for call in written[writer]]
    learn_heard = [call for writer in job.learning for call in heard[writer]]
    tokenizer = make_tokenizer(base_model_folder())
    network = train_network(
        learn,
        [replace(call, call_id=call.call_id.removesuffix(_HEARD)) for call in learn_heard],
        tokenizer,
        Recipe(seed=job.seed, epochs=job.epochs, threads=1),
        progress=lambda epoch, loss: print(
            f"{job.name}: epoch {epoch + 1} of {job.epochs}, loss {loss:.2f}",
            file=sys.stderr,
            flush=True,
        ),
    )
    words = train_word_model(learn, learn_heard, tokenizer, seed=job.seed)
    asked = [c for writer in job.asked for c in (*written[writer], *heard[writer])]
    if asked:
        _save_answers(
            job, {call.call_id: predict_call(network, words, tokenizer, call) for call in asked}
        )
    save_network(network, job.work / f"{job.name}.network.safetensors")
    save_words(words, job.work / f"{job.name}.words.safetensors")


def _read(
    folder: Path, writers: Iterable[str], heard: Sequence[Path]
) -> tuple[dict[str, tuple[LabelledCall, ...]], dict[str, tuple[LabelledCall, ...]]]:
    """The calls of each writer, as written and as heard."""
    written = {writer: read_calls(folder / writer) for writer in writers}
    lines = (json.loads(line) for path in heard for line in path.read_text("utf-8").splitlines())
    turns = {line["id"]: line["turns"] for line in lines}
    return written, {
        writer: tuple(
            replace(heard_call(call, turns[call.call_id]), call_id=call.call_id + _HEARD)
            for call in calls
            if call.call_id in turns
        )
        for writer, calls in written.items()
    }


def _save_answers(job: _Job, answers: Mapping[str, Predictions]) -> None:
    from safetensors.numpy import save_file

    tensors = {}
    for call_id, found in answers.items():
        for task, logits in found.turns.items():
            tensors[f"{call_id}/network/{task}"] = logits
            tensors[f"{call_id}/words/{task}"] = found.word_turns[task]
        tensors[f"{call_id}/network/{CALL_TYPE}"] = found.call_type
        assert found.word_call_type is not None
        tensors[f"{call_id}/words/{CALL_TYPE}"] = found.word_call_type
        tensors[f"{call_id}/weights"] = found.weights
    save_file(
        {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()},
        job.work / f"{job.name}.answers.safetensors",
    )


def _load_answers(job: _Job) -> dict[str, Predictions]:
    from safetensors.numpy import load_file

    tensors = load_file(job.work / f"{job.name}.answers.safetensors")
    call_ids = sorted({name.split("/", 1)[0] for name in tensors})
    tasks = [task for task in LABELS if task != CALL_TYPE]
    return {
        call_id: Predictions(
            turns={task: tensors[f"{call_id}/network/{task}"] for task in tasks},
            call_type=tensors[f"{call_id}/network/{CALL_TYPE}"],
            weights=tensors[f"{call_id}/weights"],
            word_turns={task: tensors[f"{call_id}/words/{task}"] for task in tasks},
            word_call_type=tensors[f"{call_id}/words/{CALL_TYPE}"],
        )
        for call_id in call_ids
    }


# --- fitting -------------------------------------------------------------------------------------


def fit_and_measure(
    *,
    calls: Mapping[str, Sequence[LabelledCall]],
    predictions: Mapping[str, Predictions],
    out: Path,
) -> tuple[Calibration, dict[str, dict[str, float]], dict[str, Any]]:
    """Calibration, thresholds and figures; writes ``rubric-fitted.toml`` and ``figures.json``.

    ``calls`` by writer, ``predictions`` for all of them by a network that saw none of the writer's.
    """
    every = [call for group in calls.values() for call in group]
    calibration = fit_calibration(every, predictions)
    thresholds = fit_thresholds(every, predictions, calibration)
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

    examples = [find(call, writer) for writer, group in calls.items() for call in group]
    fitted = fit_rubric(examples)
    rubric = with_fitted(fitted)
    as_written = [e for e in examples if not e.call.call_id.endswith(_HEARD)]
    as_heard = [e for e in examples if e.call.call_id.endswith(_HEARD)]
    figures: dict[str, Any] = {"written": find_and_score(as_written, rubric)}
    if as_heard:
        figures["heard"] = find_and_score(as_heard, rubric)
    figures["by_writer"] = {
        writer: find_and_score([e for e in as_written if e.group == writer], rubric)
        for writer in calls
    }
    figures["turns"] = turn_figures([e.call for e in as_written], predictions, calibration)
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
    content = rubric_content()
    return rubric_from(
        {
            **content,
            "points": fitted["points"],
            "urgency": fitted["urgency"],
            "outcome": fitted["outcome"],
        }
    )


def as_toml(fitted: Mapping[str, Any]) -> str:
    """The fitted tables as they stand in a rubric file."""
    lines: list[str] = []

    def table(name: str, values: Mapping[str, Any]) -> None:
        lines.append(f"[{name}]")
        lines.extend(
            f"{key} = {value}" for key, value in values.items() if not isinstance(value, Mapping)
        )
        lines.append("")
        for key, value in values.items():
            if isinstance(value, Mapping):
                table(f"{name}.{key}", value)

    for section, tables in fitted.items():
        for name, values in tables.items():
            table(f"{section}.{name}", values)
    return "\n".join(lines)


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


if __name__ == "__main__":
    main()
