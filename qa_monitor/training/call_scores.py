"""Fits what the rubric file holds: probabilities, thresholds, and what findings are worth.

Everything is fitted on findings about calls whose writer the network had not seen, so that the
numbers expect findings as good as those of real use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from qa_monitor.calls import EscalationOutcome, Finding, RedactedDialogue, Role
from qa_monitor.scoring.encoder import Calibration, Predictions
from qa_monitor.scoring.features import (
    EMPATHY_FEATURES,
    ESCALATION_FEATURES,
    LISTENING_FEATURES,
    ROUTINE_FEATURES,
    URGENCY_FEATURES,
    CallFindings,
)
from qa_monitor.scoring.labels import (
    AGENT_TASKS,
    CALL_TYPE,
    CALLER_TASKS,
    EXCLUSIVE_TASKS,
    LABELS,
    OPPORTUNITY,
    RED_FLAG,
    RESPONSE,
    URGENCY_CUE,
)
from qa_monitor.scoring.measure import quadratic_weighted_kappa
from qa_monitor.scoring.rubric import URGENT_OUTCOMES
from qa_monitor.training.labelled_calls import LabelledCall

__all__ = ["Example", "fit_calibration", "fit_rubric", "fit_thresholds"]

_TASKS_OF_ROLE = {Role.AGENT: AGENT_TASKS, Role.CALLER: CALLER_TASKS}
_BIAS_PULL = 0.02
_FEW = 8
_RIDGES = (3.0, 10.0, 30.0)
_EXPECTED_POINTS: Mapping[str, Mapping[str, float]] = {
    "empathy": {
        "answered": 0.5,
        "acknowledged": 1.2,
        "confirmed": 1.0,
        "repeated": 0.5,
        "best": 0.5,
        "attentive": 0.4,
        "dismissed": -0.5,
        "against": -0.8,
    },
    "active_listening": {
        "open": 0.3,
        "clarify": 0.3,
        "reflect": 0.6,
        "read_back": 0.6,
        "check": 0.6,
        "anything_else": 0.2,
        "breadth": 1.2,
        "heard": 0.3,
        "asks_again": -0.5,
        "ignores": -1.0,
        "interrupts": -0.5,
        "against": -0.5,
        "passed_over": -0.4,
        "one_sided": -0.3,
        "dead_air": -0.6,
    },
    "escalation": {
        "right": 1.2,
        "prompt": 1.2,
        "partial": 0.9,
        "safety": 0.5,
        "location": 0.3,
        "stays": 0.3,
        "commitment": 0.3,
        "questions": 0.3,
        "minimises": -0.8,
        "unheeded": -0.6,
    },
}
"""What the rubric lets one expect; the fit departs from it as far as the calls insist."""

_EXPECTED_URGENCY: Mapping[int, Mapping[str, float]] = {
    1: {"cue1": 5.0, "cue2": 1.0, "flag": 1.0, "rule2": 0.8, "rule3": 0.8},
    2: {
        "cue2": 3.0,
        "twice2": 2.0,
        "cues": 1.0,
        "flag": 1.0,
        "flags": 0.5,
        "rule2": 1.2,
        "rules": 1.0,
    },
    3: {
        "cue3": 3.0,
        "twice3": 2.0,
        "cues3": 1.0,
        "flag": 1.0,
        "flags": 0.5,
        "rule3": 1.6,
        "rules": 1.0,
    },
}
_WRITERS_OF_RULES = frozenset("abcdfghi")
"""The red-flag rules were made with these writers' calls in sight, so what the rules are worth is
not fitted on them."""

_STRETCHES = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5)
_POINT_SCALE = 0.45
"""About how many points one unit of log-odds is worth."""
_RIDGE_SCALE = 0.02

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A labelled call with what was found in it; ``group`` is its writer."""

    call: LabelledCall
    group: str
    dialogue: RedactedDialogue
    findings: tuple[Finding, ...]


# --- probabilities -------------------------------------------------------------------------------


def turn_rows(
    calls: Sequence[LabelledCall], predictions: Mapping[str, Predictions], task: str
) -> tuple[Array, Array, Array]:
    """The network's and the words' logits, and the targets, of all turns ``task`` is asked of.

    Targets are indices (0 for none) of shape (n,) for exclusive tasks, else 0 and 1 of (n, labels).
    """
    logits: list[Any] = []
    words: list[Any] = []
    targets: list[Any] = []
    labels = LABELS[task]
    for call in calls:
        both = zip(
            predictions[call.call_id].turns[task],
            predictions[call.call_id].word_turns[task],
            strict=True,
        )
        for turn, (row, word_row) in zip(call.turns, both, strict=True):
            if task not in _TASKS_OF_ROLE.get(turn.role, ()):
                continue
            given = turn.labels.get(task, ())
            logits.append(row)
            words.append(word_row)
            if task in EXCLUSIVE_TASKS:
                targets.append(1 + labels.index(given[0]) if given else 0)
            else:
                targets.append([float(label in given) for label in labels])
    return (
        np.asarray(logits, dtype=np.float64),
        np.asarray(words, dtype=np.float64),
        np.asarray(targets),
    )


def fit_calibration(
    calls: Sequence[LabelledCall], predictions: Mapping[str, Predictions]
) -> Calibration:
    """For each task a slope for either opinion, and biases, by maximum likelihood."""
    slopes: dict[str, float] = {}
    word_slopes: dict[str, float] = {}
    biases: dict[str, tuple[float, ...]] = {}
    for task in LABELS:
        if task == CALL_TYPE:
            chosen = [predictions[call.call_id] for call in calls]
            logits = np.stack([found.call_type for found in chosen]).astype(np.float64)
            words = np.stack([np.asarray(found.word_call_type) for found in chosen])
            targets = np.asarray([LABELS[task].index(call.call_type) for call in calls])
        else:
            logits, words, targets = turn_rows(calls, predictions, task)
        slopes[task], word_slopes[task], biases[task] = _fit_scaling(task, logits, words, targets)
    return Calibration(slopes=slopes, word_slopes=word_slopes, biases=biases)


def _fit_scaling(
    task: str, logits: Array, words: Array, targets: Array
) -> tuple[float, float, tuple[float, ...]]:
    size = logits.shape[1]
    # Thirteen types and a few calls: two numbers are all that can be learnt.
    has_bias = task != CALL_TYPE

    def loss(parameters: Array) -> float:
        bias = parameters[2:] if has_bias else np.zeros(size)
        scaled = logits * parameters[0] + words * parameters[1] + bias
        if task in EXCLUSIVE_TASKS:
            top = scaled.max(axis=1)
            log_sum = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
            nll = (log_sum - scaled[np.arange(len(scaled)), targets.astype(int)]).sum()
        else:
            nll = (np.logaddexp(0, scaled) - targets * scaled).sum()
        return float(nll / len(logits) + _BIAS_PULL * (bias**2).mean())

    start = np.concatenate([[0.5, 0.5], np.zeros(size if has_bias else 0)])
    bounds = [(0.0, None), (0.0, None), *[(None, None)] * (len(start) - 2)]
    best = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    bias = best[2:] if has_bias else np.zeros(size)
    return (
        round(float(best[0]), 4),
        round(float(best[1]), 4),
        tuple(round(float(b), 4) for b in bias),
    )


def fit_thresholds(
    calls: Sequence[LabelledCall], predictions: Mapping[str, Predictions], calibration: Calibration
) -> dict[str, dict[str, float]]:
    """From which probability each label is a finding: where F1 is highest, within bounds.

    Cues of urgency and call types are kept from low probabilities on, because what is made of them
    weighs probabilities.
    """
    thresholds: dict[str, dict[str, float]] = {}
    for task, labels in LABELS.items():
        if task in (URGENCY_CUE, CALL_TYPE):
            thresholds[task] = dict.fromkeys(labels, 0.1 if task == URGENCY_CUE else 0.05)
            continue
        logits, words, targets = turn_rows(calls, predictions, task)
        shares = calibration.probabilities(task, logits, words)
        if task in (OPPORTUNITY, RESPONSE):
            best = _best_threshold(1 - shares[:, 0], targets > 0, 0.2, 0.6)
            thresholds[task] = dict.fromkeys(labels, best)
        elif task in EXCLUSIVE_TASKS:
            thresholds[task] = dict.fromkeys(labels, 0.5)
        else:
            low, high, usual = (0.4, 0.7, 0.5) if task == RED_FLAG else (0.2, 0.6, 0.35)
            thresholds[task] = {
                label: _best_threshold(shares[:, place], targets[:, place] > 0, low, high)
                if targets[:, place].sum() >= _FEW
                else usual
                for place, label in enumerate(labels)
            }
    return thresholds


def _best_threshold(shares: Array, is_so: NDArray[np.bool_], low: float, high: float) -> float:
    def f1(threshold: float) -> float:
        named = shares >= threshold
        return float(2 * (named & is_so).sum() / max(named.sum() + is_so.sum(), 1))

    return max((round(float(t), 2) for t in np.arange(low, high + 0.01, 0.05)), key=f1)


# --- points --------------------------------------------------------------------------------------


def fit_rubric(examples: Sequence[Example]) -> dict[str, Any]:
    """The tables ``points``, ``urgency`` and ``outcome`` of a rubric file."""
    found = [CallFindings.of(example.dialogue, example.findings) for example in examples]
    groups = np.asarray([example.group for example in examples])
    calls = [example.call for example in examples]
    points: dict[str, dict[str, Any]] = {}
    rows = [f.empathy() if f.opportunities() else None for f in found]
    points["empathy"] = _fit_points(
        rows, [call.empathy for call in calls], groups, EMPATHY_FEATURES, "empathy"
    )
    points["active_listening"] = _fit_points(
        [f.listening() for f in found],
        [call.active_listening for call in calls],
        groups,
        LISTENING_FEATURES,
        "active_listening",
    )
    points["escalation"] = _fit_points(
        [f.escalation(c.urgency) if c.urgency else None for f, c in zip(found, calls, strict=True)],
        [call.escalation_score for call in calls],
        groups,
        ESCALATION_FEATURES,
        "escalation",
    )
    return {
        "points": points,
        "urgency": _fit_urgency(
            [f for f, group in zip(found, groups, strict=True) if group not in _WRITERS_OF_RULES],
            [c for c, group in zip(calls, groups, strict=True) if group not in _WRITERS_OF_RULES],
        ),
        "outcome": _fit_outcome(found, calls),
    }


def _fit_points(
    rows: Sequence[Mapping[str, float] | None],
    targets: Sequence[int | None],
    groups: NDArray[np.str_],
    signs: Mapping[str, int],
    criterion: str,
) -> dict[str, Any]:
    """The table of a criterion.

    The pull to what is expected, and how far points are stretched about their centre, are those
    that serve best where a writer's calls are scored by the fit of the others.
    """
    expected = np.asarray([_EXPECTED_POINTS[criterion].get(name, 0.0) for name in signs])
    expected = expected / _POINT_SCALE
    used = [i for i, (row, target) in enumerate(zip(rows, targets, strict=True)) if row and target]
    x = np.asarray([[(rows[i] or {})[name] for name in signs] for i in used])
    y = np.asarray([int(targets[i] or 0) for i in used])
    where = groups[used]
    centre = float(y.mean())
    best: tuple[float, float, float] | None = None
    for ridge in _RIDGES:
        means = np.zeros(len(y))
        for group in sorted(set(where)):
            inside = where == group
            fitted = _proportional_odds(x[~inside], y[~inside], signs, expected, ridge)
            means[inside] = _expected_points(x[inside], *fitted)
        for stretch in _STRETCHES:
            stretched = np.clip(centre + stretch * (means - centre), 1, 5)
            kappa = quadratic_weighted_kappa(list(y), list(stretched)) or 0.0
            score = kappa - 0.15 * float(np.abs(stretched - y).mean())
            if best is None or score > best[0]:
                best = (score, ridge, stretch)
    assert best is not None
    _, ridge, stretch = best
    thresholds, weights = _proportional_odds(x, y, signs, expected, ridge)
    return {
        "thresholds": [round(float(threshold), 3) for threshold in thresholds],
        "centre": round(centre, 3),
        "stretch": stretch,
        "weights": {
            name: round(float(weight), 3) + 0.0 for name, weight in zip(signs, weights, strict=True)
        },
    }


def _proportional_odds(
    x: Array,
    y: NDArray[np.int_],
    signs: Mapping[str, int],
    expected: Array,
    ridge: float,
    *,
    steps: int = 5,
) -> tuple[Array, Array]:
    """Thresholds and weights by maximum likelihood [McCullagh 1980]; ``y`` is 1 to ``steps``.

    Weights have the wanted signs and are pulled to what is expected by ``ridge``.
    """
    first = steps - 1
    rows = np.arange(len(y))

    def loss(parameters: Array) -> tuple[float, Array]:
        thresholds = np.cumsum(np.concatenate([parameters[:1], np.exp(parameters[1:first])]))
        odds = (x @ parameters[first:])[:, None] - thresholds[None, :]
        at_least = np.hstack([np.ones((len(y), 1)), 1 / (1 + np.exp(-odds)), np.zeros((len(y), 1))])
        shares = np.clip(at_least[rows, y - 1] - at_least[rows, y], 1e-9, 1)
        pull = parameters[first:] - expected
        value = -np.log(shares).sum() + 0.5 * ridge * _RIDGE_SCALE * (pull**2).sum()
        slopes = at_least * (1 - at_least)
        rise, fall = slopes[rows, y - 1] / shares, slopes[rows, y] / shares
        # d(-log share): by the odds of the step reached, and of the step not reached.
        by_odds = np.zeros((len(y), steps + 1))
        by_odds[rows, y - 1] -= rise
        by_odds[rows, y] += fall
        by_threshold = -by_odds[:, 1:steps].sum(axis=0)
        later = np.cumsum(by_threshold[::-1])[::-1]
        gradient = np.concatenate(
            [
                later[:1],
                later[1:] * np.exp(parameters[1:first]),
                x.T @ by_odds[:, 1:steps].sum(axis=1) + ridge * _RIDGE_SCALE * pull,
            ]
        )
        return float(value), gradient

    middle = float(expected @ x.mean(axis=0))
    start = np.concatenate([[middle - 3.0], np.full(first - 1, np.log(2.0)), expected])
    bounds: list[tuple[float | None, float | None]] = [(None, None), *[(-3.0, 3.0)] * (first - 1)]
    bounds += [(0.0, None) if sign > 0 else (None, 0.0) for sign in signs.values()]
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return np.cumsum(np.concatenate([best[:1], np.exp(best[1:first])])), best[first:]


def _expected_points(x: Array, thresholds: Array, weights: Array) -> Array:
    odds = (x @ weights)[:, None] - thresholds[None, :]
    return np.asarray(1 + (1 / (1 + np.exp(-odds))).sum(axis=1))


def _fit_urgency(
    found: Sequence[CallFindings], calls: Sequence[LabelledCall]
) -> dict[str, dict[str, float]]:
    """Log-odds of each level; from which probability it is called is policy, not fitted."""
    x = np.asarray([[f.urgency()[name] for name in URGENCY_FEATURES] for f in found])
    y = np.asarray([call.urgency for call in calls])
    tables: dict[str, dict[str, float]] = {}
    for level, expectations in _EXPECTED_URGENCY.items():
        expected = np.asarray([expectations.get(name, 0.0) for name in URGENCY_FEATURES])
        weights = _logistic(x, (y >= level).astype(float), expected)
        tables[f"level{level}"] = {
            name: round(float(weight), 3) + 0.0
            for name, weight in zip(("base", *URGENCY_FEATURES), weights, strict=True)
        }
    return tables


def _logistic(x: Array, target: Array, expected: Array) -> Array:
    """Logistic regression, its weights not negative and pulled to what is expected."""
    design = np.hstack([np.ones((len(x), 1)), x])

    def loss(weights: Array) -> float:
        scores = design @ weights
        nll = (np.logaddexp(0, scores) - target * scores).sum()
        return float(nll + 0.15 * ((weights[1:] - expected) ** 2).sum())

    # The red-flag file is the centre's to write: its word never counts for nothing.
    bounds: list[tuple[float | None, float | None]] = [(None, None)]
    for name, value in zip(URGENCY_FEATURES, expected, strict=True):
        bounds.append((value if name in ("rule2", "rule3") else 0.0, None))
    return np.asarray(
        minimize(loss, np.concatenate([[-3.0], expected]), method="L-BFGS-B", bounds=bounds).x
    )


def _fit_outcome(
    found: Sequence[CallFindings], calls: Sequence[LabelledCall]
) -> dict[str, dict[str, Any]]:
    """How the steps taken tell what became of the urgency, and whether a routine call needed none.

    A call that a reader held to be urgent, and escalated without need, counts as missed.
    """
    names = {outcome: place for place, outcome in enumerate(URGENT_OUTCOMES, 1)}
    urgent = [(f, c) for f, c in zip(found, calls, strict=True) if c.urgency]
    expected = _EXPECTED_POINTS["escalation"]
    thresholds, weights = _proportional_odds(
        np.asarray(
            [[f.escalation(c.urgency)[name] for name in ESCALATION_FEATURES] for f, c in urgent]
        ),
        np.asarray([names.get(c.escalated, 1) for _, c in urgent]),
        ESCALATION_FEATURES,
        np.asarray([expected[name] for name in ESCALATION_FEATURES]) / _POINT_SCALE,
        _RIDGES[0],
        steps=len(URGENT_OUTCOMES),
    )
    routine = [(f, c) for f, c in zip(found, calls, strict=True) if not c.urgency]
    base, steps = _proportional_odds(
        np.asarray([[f.routine()[name] for name in ROUTINE_FEATURES] for f, _ in routine]),
        np.asarray([1 + (c.escalated is EscalationOutcome.UNNEEDED) for _, c in routine]),
        ROUTINE_FEATURES,
        np.asarray([3.0, 3.0, 0.0, 0.0]),
        _RIDGES[0],
        steps=2,
    )
    return {
        "urgent": {
            "thresholds": [round(float(t), 3) for t in thresholds],
            "weights": _named(ESCALATION_FEATURES, weights),
        },
        "routine": {"base": round(-float(base[0]), 3), **_named(ROUTINE_FEATURES, steps)},
    }


def _named(names: Iterable[str], weights: Array) -> dict[str, float]:
    return {name: round(float(w), 3) + 0.0 for name, w in zip(names, weights, strict=True)}
