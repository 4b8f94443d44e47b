"""How well scores agree with a reader's: pure functions over pairs of numbers, small n welcome.

A figure that cannot be worked out (no pairs, one class only) is ``None``, never zero.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qa_monitor.calls import CallType, Criterion, EscalationOutcome, Scorecard

__all__ = [
    "Interval",
    "Judged",
    "bootstrap_interval",
    "exact_agreement",
    "expected_calibration_error",
    "gwet_ac2",
    "macro_f1",
    "quadratic_weighted_kappa",
    "recall_of",
    "score_figures",
    "sensitivity_and_specificity",
    "within_one",
]

_RESAMPLES = 1000
_SEED = 11
_BINS = 10


class Judged(Protocol):
    """What a reader said of a call."""

    @property
    def call_type(self) -> CallType:
        """The primary type."""

    @property
    def urgency(self) -> int:
        """0 to 3."""

    @property
    def escalated(self) -> EscalationOutcome:
        """The outcome."""

    @property
    def empathy(self) -> float | None:
        """1 to 5, ``None`` where not assessable."""

    @property
    def active_listening(self) -> float | None:
        """1 to 5, ``None`` where not assessable."""

    @property
    def escalation_score(self) -> float | None:
        """1 to 5, ``None`` where urgency is 0."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % bootstrap interval; ``None`` where it cannot be worked out."""

    value: float | None
    low: float | None
    high: float | None

    def as_dict(self) -> dict[str, float | None]:
        """The three, rounded for printing."""
        return {
            name: None if number is None else round(number, 4)
            for name, number in (("value", self.value), ("low", self.low), ("high", self.high))
        }


# --- agreement on a scale ------------------------------------------------------------------------


def quadratic_weighted_kappa(
    truth: Sequence[float], given: Sequence[float], *, low: int = 1, high: int = 5
) -> float | None:
    """Cohen's kappa with quadratic weights [Cohen 1968] on the scale ``low`` to ``high``.

    ``given`` may hold decimals; they are rounded to the scale, halves up. ``None`` when both sides
    are constant, or without pairs.
    """
    a, b = _on_scale(truth, low, high), _on_scale(given, low, high)
    if not a:
        return None
    observed = sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a)
    expected = sum((x - y) ** 2 for x in a for y in b) / len(a) ** 2
    return None if expected == 0 else 1 - observed / expected


def gwet_ac2(
    truth: Sequence[float], given: Sequence[float], *, low: int = 1, high: int = 5
) -> float | None:
    """Gwet's AC2 with quadratic weights, which skewed scales do not distort [Gwet 2014]."""
    a, b = _on_scale(truth, low, high), _on_scale(given, low, high)
    if not a:
        return None
    levels = range(low, high + 1)
    span = (high - low) ** 2

    def weight(x: int, y: int) -> float:
        return 1 - (x - y) ** 2 / span

    observed = sum(weight(x, y) for x, y in zip(a, b, strict=True)) / len(a)
    shares = [(a.count(level) + b.count(level)) / (2 * len(a)) for level in levels]
    weights = sum(weight(x, y) for x in levels for y in levels)
    count = len(levels)
    by_chance = weights / (count * (count - 1)) * sum(share * (1 - share) for share in shares)
    return None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)


def exact_agreement(truth: Sequence[float], given: Sequence[float]) -> float | None:
    """Share of pairs that are equal after rounding."""
    return _share([round_half_up(x) == round_half_up(y) for x, y in zip(truth, given, strict=True)])


def within_one(truth: Sequence[float], given: Sequence[float]) -> float | None:
    """Share of pairs at most one apart after rounding."""
    return _share(
        [abs(round_half_up(x) - round_half_up(y)) <= 1 for x, y in zip(truth, given, strict=True)]
    )


def round_half_up(value: float) -> int:
    """The nearest whole number, halves up."""
    return int(value + 0.5)


def _on_scale(values: Sequence[float], low: int, high: int) -> list[int]:
    return [min(max(round_half_up(value), low), high) for value in values]


# --- classes -------------------------------------------------------------------------------------


def macro_f1(truth: Sequence[Hashable], given: Sequence[Hashable]) -> float | None:
    """The mean F1 over the classes that occur on either side."""
    classes = sorted({*truth, *given}, key=str)
    if not classes:
        return None
    scores = []
    for label in classes:
        both = sum(t == label and g == label for t, g in zip(truth, given, strict=True))
        either = sum(t == label for t in truth) + sum(g == label for g in given)
        scores.append(2 * both / either)
    return sum(scores) / len(scores)


def recall_of(
    label: Hashable, truth: Sequence[Hashable], given: Sequence[Hashable]
) -> float | None:
    """Share of the calls that are ``label`` which were called so."""
    return _share([g == label for t, g in zip(truth, given, strict=True) if t == label])


def sensitivity_and_specificity(
    truth: Sequence[int], given: Sequence[int]
) -> tuple[float | None, float | None]:
    """Of urgency: emergencies (3) called 2 or 3, and routine calls (0) called 0 or 1."""
    pairs = list(zip(truth, given, strict=True))
    return (
        _share([g >= 2 for t, g in pairs if t == 3]),
        _share([g <= 1 for t, g in pairs if t == 0]),
    )


def expected_calibration_error(
    probabilities: Sequence[float], happened: Sequence[bool]
) -> float | None:
    """The gap between probability and frequency over ten bins of equal width [Naeini et al. 2015].

    With few pairs it is large by chance alone.
    """
    if not probabilities:
        return None
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(_BINS)]
    for probability, did in zip(probabilities, happened, strict=True):
        bins[min(int(probability * _BINS), _BINS - 1)].append((probability, did))
    gap = 0.0
    for members in bins:
        if members:
            mean = sum(p for p, _ in members) / len(members)
            rate = sum(did for _, did in members) / len(members)
            gap += len(members) / len(probabilities) * abs(mean - rate)
    return gap


def _share(outcomes: Sequence[bool]) -> float | None:
    return sum(outcomes) / len(outcomes) if outcomes else None


# --- intervals -----------------------------------------------------------------------------------


def bootstrap_interval(
    figure: Callable[[Sequence[Any], Sequence[Any]], float | None],
    truth: Sequence[Any],
    given: Sequence[Any],
    *,
    resamples: int = _RESAMPLES,
) -> Interval:
    """``figure`` of the pairs with its 95 % percentile interval over resampled calls [Efron 1979].

    Deterministic. Resamples in which the figure cannot be worked out are left out.
    """
    value = figure(truth, given)
    if value is None:
        return Interval(None, None, None)
    rng = random.Random(_SEED)
    places = range(len(truth))
    values = []
    for _ in range(resamples):
        drawn = rng.choices(places, k=len(truth))
        again = figure([truth[i] for i in drawn], [given[i] for i in drawn])
        if again is not None:
            values.append(again)
    values.sort()
    last = len(values) - 1
    return Interval(value, values[round(0.025 * last)], values[round(0.975 * last)])


# --- everything ----------------------------------------------------------------------------------


def score_figures(judged: Sequence[Judged], cards: Sequence[Scorecard]) -> dict[str, Any]:
    """All figures of ``cards`` against what a reader said of the same calls, in the same order.

    Keys: ``empathy``, ``active_listening`` and ``escalation`` (each ``qwk``, ``ac2``, ``exact``,
    ``within_one``, ``coverage``: the share of assessable calls that got points, ``calls``: pairs,
    ``invented``: points where a reader gave none), ``urgency``, ``escalated``, ``call_type`` and
    ``coverage`` (share of calls not sent to review). Agreement comes with intervals.
    """
    figures: dict[str, Any] = {}
    for criterion, name in (
        (Criterion.EMPATHY, "empathy"),
        (Criterion.ACTIVE_LISTENING, "active_listening"),
        (Criterion.ESCALATION, "escalation_score"),
    ):
        truth = [getattr(call, name) for call in judged]
        given = [card.score(criterion).points for card in cards]
        figures[criterion.value] = _scale_figures(truth, given)
    figures["urgency"] = _urgency_figures(judged, cards)
    figures["escalated"] = _outcome_figures(judged, cards)
    types = [call.call_type for call in judged]
    named = [card.call_type for card in cards]
    figures["call_type"] = {
        "macro_f1": bootstrap_interval(macro_f1, types, named).as_dict(),
        "accuracy": _rounded(_share([t == g for t, g in zip(types, named, strict=True)])),
    }
    figures["coverage"] = _rounded(_share([not card.needs_review for card in cards]))
    return figures


def _scale_figures(truth: Sequence[float | None], given: Sequence[float | None]) -> dict[str, Any]:
    pairs = [(t, g) for t, g in zip(truth, given, strict=True) if t is not None and g is not None]
    a, b = [t for t, _ in pairs], [g for _, g in pairs]
    assessable = sum(t is not None for t in truth)
    return {
        "calls": len(pairs),
        "qwk": bootstrap_interval(quadratic_weighted_kappa, a, b).as_dict(),
        "ac2": bootstrap_interval(gwet_ac2, a, b).as_dict(),
        "exact": bootstrap_interval(exact_agreement, a, b).as_dict(),
        "within_one": bootstrap_interval(within_one, a, b).as_dict(),
        "coverage": _rounded(len(pairs) / assessable if assessable else None),
        "invented": sum(t is None and g is not None for t, g in zip(truth, given, strict=True)),
    }


def _urgency_figures(judged: Sequence[Judged], cards: Sequence[Scorecard]) -> dict[str, Any]:
    truth = [call.urgency for call in judged]
    given = [int(card.score(Criterion.URGENCY).points or 0) for card in cards]

    def kappa(a: Sequence[float], b: Sequence[float]) -> float | None:
        return quadratic_weighted_kappa(a, b, low=0, high=3)

    known = [
        (card.urgency_probability, level == 3)
        for card, level in zip(cards, truth, strict=True)
        if card.urgency_probability is not None
    ]
    sensitivity = bootstrap_interval(
        lambda a, b: sensitivity_and_specificity(a, b)[0], truth, given
    )
    specificity = bootstrap_interval(
        lambda a, b: sensitivity_and_specificity(a, b)[1], truth, given
    )
    return {
        "qwk": bootstrap_interval(kappa, truth, given).as_dict(),
        "exact": bootstrap_interval(exact_agreement, truth, given).as_dict(),
        "emergencies": truth.count(3),
        "emergencies_found": sensitivity.as_dict(),
        "specificity": specificity.as_dict(),
        "calibration_error": _rounded(
            expected_calibration_error([p for p, _ in known], [is3 for _, is3 in known])
        ),
    }


def _outcome_figures(judged: Sequence[Judged], cards: Sequence[Scorecard]) -> dict[str, Any]:
    pairs = [
        (call.escalated, card.escalated)
        for call, card in zip(judged, cards, strict=True)
        if card.escalated is not None
    ]
    truth, given = [t for t, _ in pairs], [g for _, g in pairs]
    matrix: dict[str, dict[str, int]] = {}
    for t, g in pairs:
        row = matrix.setdefault(t.value, {})
        row[g.value] = row.get(g.value, 0) + 1
    right = bootstrap_interval(exact_classes, truth, given)
    return {
        "calls": len(pairs),
        "accuracy": right.as_dict(),
        "missed_found": _rounded(recall_of(EscalationOutcome.MISSED, truth, given)),
        "matrix": matrix,
    }


def exact_classes(truth: Sequence[Hashable], given: Sequence[Hashable]) -> float | None:
    """Share of pairs of the same class."""
    return _share([t == g for t, g in zip(truth, given, strict=True)])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
