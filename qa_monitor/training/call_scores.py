"""Fits what the rubric file holds: probabilities, thresholds, and what findings are worth.

Everything is fitted on findings about calls whose writer the network had not seen, so that the
numbers expect findings as good as those of real use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear, minimize

from qa_monitor.calls import Finding, RedactedDialogue, Role
from qa_monitor.scoring.encoder import Calibration, Predictions
from qa_monitor.scoring.features import (
    EMPATHY_FEATURES,
    ESCALATION_FEATURES,
    LISTENING_FEATURES,
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
from qa_monitor.training.labelled_calls import LabelledCall

__all__ = ["Example", "fit_calibration", "fit_rubric", "fit_thresholds"]

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
    },
}
"""What the rubric lets one expect; the fit departs from it as far as the calls insist."""

_EXPECTED_URGENCY: Mapping[int, Mapping[str, float]] = {
    1: {"cue1": 5.0, "cue2": 1.0, "flag": 1.0, "rule2": 0.7, "rule3": 0.7},
    2: {"cue2": 5.0, "cues": 1.0, "flag": 1.5, "rule2": 1.0, "rule3": 1.0},
    3: {"cue3": 5.0, "cues": 1.0, "flag": 1.0, "rule3": 1.8},
}
_FIXED_URGENCY = frozenset({"rule2", "rule3"})
"""Not fitted: the rules were written with these calls in sight, which flatters them here."""

_STRETCHES = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5)

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
            if task not in (AGENT_TASKS if turn.role is Role.AGENT else CALLER_TASKS):
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
    """The tables ``points``, ``urgency`` and the fitted part of ``settings`` of a rubric file."""
    found = [CallFindings.of(example.dialogue, example.findings) for example in examples]
    groups = np.asarray([example.group for example in examples])
    calls = [example.call for example in examples]
    points: dict[str, dict[str, float]] = {}
    rows = [f.empathy() if f.opportunities() else None for f in found]
    points["empathy"], _ = _fit_points(
        rows, [call.empathy for call in calls], groups, EMPATHY_FEATURES, "empathy"
    )
    points["active_listening"], _ = _fit_points(
        [f.listening() for f in found],
        [call.active_listening for call in calls],
        groups,
        LISTENING_FEATURES,
        "active_listening",
    )
    points["escalation"], guesses = _fit_points(
        [f.escalation(c.urgency) if c.urgency else None for f, c in zip(found, calls, strict=True)],
        [call.escalation_score for call in calls],
        groups,
        ESCALATION_FEATURES,
        "escalation",
    )
    return {
        "points": points,
        "urgency": _fit_urgency(found, calls),
        "settings": _outcome_thresholds(guesses, calls),
    }


def _fit_points(
    rows: Sequence[Mapping[str, float] | None],
    targets: Sequence[int | None],
    groups: NDArray[np.str_],
    signs: Mapping[str, int],
    criterion: str,
) -> tuple[dict[str, float], dict[int, float]]:
    """Coefficients with the wanted signs, and each call's points by the other writers' fit."""
    expected = np.asarray([_EXPECTED_POINTS[criterion][name] for name in signs])
    used = [i for i, (row, target) in enumerate(zip(rows, targets, strict=True)) if row and target]
    x = np.asarray([[(rows[i] or {})[name] for name in signs] for i in used])
    y = np.asarray([float(targets[i] or 0) for i in used])
    where = groups[used]
    best: tuple[float, float, float] | None = None
    best_guess = y
    for ridge in _RIDGES:
        guess = np.zeros(len(y))
        for group in sorted(set(where)):
            inside = where == group
            guess[inside] = _predict(
                _solve(x[~inside], y[~inside], signs, expected, ridge), x[inside]
            )
        for stretch in _STRETCHES:
            stretched = np.clip(y.mean() + stretch * (guess - y.mean()), 1, 5)
            kappa = quadratic_weighted_kappa(list(y), list(stretched)) or 0.0
            score = kappa - 0.15 * float(np.abs(stretched - y).mean())
            if best is None or score > best[0]:
                best, best_guess = (score, ridge, stretch), stretched
    assert best is not None
    _, ridge, stretch = best
    weights = _solve(x, y, signs, expected, ridge)
    table = {"base": round(float(weights[0] * stretch + (1 - stretch) * y.mean()), 3)}
    for name, weight in zip(signs, weights[1:], strict=True):
        table[name] = round(float(weight * stretch), 3) + 0.0
    return table, dict(zip(used, (float(g) for g in best_guess), strict=True))


def _solve(x: Array, y: Array, signs: Mapping[str, int], expected: Array, ridge: float) -> Array:
    """Base and weights by bounded least squares, pulled to what is expected by ``ridge``."""
    design = np.hstack([np.ones((len(x), 1)), x])
    pull = np.sqrt(ridge) * np.eye(design.shape[1])[1:]
    lower = [-np.inf, *(0.0 if sign > 0 else -np.inf for sign in signs.values())]
    upper = [np.inf, *(np.inf if sign > 0 else 0.0 for sign in signs.values())]
    solution = lsq_linear(
        np.vstack([design, pull]), np.concatenate([y, np.sqrt(ridge) * expected]), (lower, upper)
    )
    return np.asarray(solution.x)


def _predict(weights: Array, x: Array) -> Array:
    return np.asarray(weights[0] + x @ weights[1:])


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

    bounds: list[tuple[float | None, float | None]] = [(None, None)]
    for name, value in zip(URGENCY_FEATURES, expected, strict=True):
        bounds.append((value, value) if name in _FIXED_URGENCY else (0.0, None))
    return np.asarray(
        minimize(loss, np.concatenate([[-3.0], expected]), method="L-BFGS-B", bounds=bounds).x
    )


def _outcome_thresholds(
    guesses: Mapping[int, float], calls: Sequence[LabelledCall]
) -> dict[str, float]:
    """The thresholds at which the three outcomes are told apart most evenly."""
    grid = [round(float(t), 2) for t in np.arange(1.2, 4.6, 0.1)]
    outcomes = ("missed", "late_or_partial", "properly")
    best, chosen = -1.0, (3.6, 1.7)
    for proper, partial in product(grid, grid):
        if partial >= proper:
            continue
        right: dict[str, list[bool]] = {outcome: [] for outcome in outcomes}
        for i, guess in guesses.items():
            truth = calls[i].escalated.value
            if truth in right:
                named = outcomes[int(guess >= partial) + int(guess >= proper)]
                right[truth].append(named == truth)
        evenly = sum(sum(hits) / len(hits) for hits in right.values() if hits)
        if evenly > best + 1e-9:
            best, chosen = evenly, (proper, partial)
    return {"properly_from": chosen[0], "late_or_partial_from": chosen[1]}
