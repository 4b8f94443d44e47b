"""How well scores agree with a reader's: pure functions over pairs of numbers, small n welcome.

A figure that cannot be worked out (no pairs, one class only) is ``None``, never zero.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qa_monitor.calls import CallType, Criterion, EscalationOutcome, Scorecard

__all__ = [
    "CONFIDENCES",
    "FIGURES",
    "INTERVAL_SHARE",
    "Figure",
    "Interval",
    "Judged",
    "bootstrap_interval",
    "chance_calibration_error",
    "exact_agreement",
    "expected_calibration_error",
    "fall",
    "gwet_ac2",
    "label_f1",
    "macro_f1",
    "micro_f1",
    "most_sure",
    "quadratic_weighted_kappa",
    "recall_of",
    "score_figures",
    "sensitivity_and_specificity",
    "share_true",
    "within_one",
]

INTERVAL_SHARE = 0.8
"""How many true scores ``Score.low`` and ``Score.high`` promise to hold between them."""

_RESAMPLES = 1000
_SEED = 11
_BINS = 10


class Judged(Protocol):
    """What a reader said of a call."""

    @property
    def call_type(self) -> CallType:
        """The primary type."""

    @property
    def also(self) -> tuple[CallType, ...]:
        """The other types."""

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
    count = len(a)
    observed = count * sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    squares = sum(x * x for x in a) + sum(y * y for y in b)
    expected = count * squares - 2 * sum(a) * sum(b)
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
    return share_true(
        [round_half_up(x) == round_half_up(y) for x, y in zip(truth, given, strict=True)]
    )


def within_one(truth: Sequence[float], given: Sequence[float]) -> float | None:
    """Share of pairs at most one apart after rounding."""
    return share_true(
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
    return share_true([g == label for t, g in zip(truth, given, strict=True) if t == label])


def sensitivity_and_specificity(
    truth: Sequence[int], given: Sequence[int]
) -> tuple[float | None, float | None]:
    """Of urgency: emergencies (3) called 2 or 3, and routine calls (0) called 0 or 1."""
    pairs = list(zip(truth, given, strict=True))
    return (
        share_true([g >= 2 for t, g in pairs if t == 3]),
        share_true([g <= 1 for t, g in pairs if t == 0]),
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


def chance_calibration_error(probabilities: Sequence[float], *, draws: int = 200) -> float | None:
    """The mean calibration error if ``probabilities`` were exactly right: what few calls cost.

    Deterministic; ``None`` without probabilities.
    """
    if not probabilities:
        return None
    rng = random.Random(_SEED)
    errors = [
        expected_calibration_error(probabilities, [rng.random() < p for p in probabilities]) or 0.0
        for _ in range(draws)
    ]
    return sum(errors) / draws


def share_true(outcomes: Sequence[bool]) -> float | None:
    """Share of ``outcomes`` that are true."""
    return sum(outcomes) / len(outcomes) if outcomes else None


# --- sets of labels ------------------------------------------------------------------------------


def micro_f1(
    truth: Sequence[Collection[Hashable]], given: Sequence[Collection[Hashable]]
) -> float | None:
    """F1 over all members of the sets, pair by pair; ``None`` where both sides are empty."""
    both = sum(len(set(t) & set(g)) for t, g in zip(truth, given, strict=True))
    either = sum(map(len, truth)) + sum(map(len, given))
    return 2 * both / either if either else None


def label_f1(
    truth: Sequence[Collection[tuple[Hashable, str]]],
    given: Sequence[Collection[tuple[Hashable, str]]],
    *,
    labels: Iterable[str],
) -> float | None:
    """The mean over ``labels`` of the F1 of each, where sets hold pairs of a place and a label.

    Labels that neither side holds are left out.
    """
    found = [
        micro_f1(
            *(
                [[pair for pair in pairs if pair[1] == label] for pairs in side]
                for side in (truth, given)
            )
        )
        for label in labels
    ]
    known = [f1 for f1 in found if f1 is not None]
    return sum(known) / len(known) if known else None


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
    if not values:
        return Interval(value, None, None)
    values.sort()
    last = len(values) - 1
    return Interval(value, values[round(0.025 * last)], values[round(0.975 * last)])


# --- what is figured out of score cards ----------------------------------------------------------

Pair = tuple[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of score cards: the pairs of reader and card that it is asked of, and its formula.

    ``group`` is a criterion, ``escalated`` or ``call_type``. ``pair`` gives what the reader and
    the card say of a call, ``None`` where the figure does not ask about it; ``value`` works the
    figure out of both sides' lists. ``rests_on`` tells by the reader's word which pairs weigh.
    """

    group: str
    measure: str
    pair: Callable[[Judged, Scorecard], Pair | None]
    value: Callable[[Sequence[Any], Sequence[Any]], float | None]
    rests_on: Callable[[Any], bool] = lambda _: True

    def pairs(self, judged: Sequence[Judged], cards: Sequence[Scorecard]) -> list[Pair]:
        """The pairs of calls, reader's word first."""
        found = [self.pair(call, card) for call, card in zip(judged, cards, strict=True)]
        return [pair for pair in found if pair is not None]

    def interval(self, judged: Sequence[Judged], cards: Sequence[Scorecard]) -> Interval:
        """The figure of ``cards``, in the order of ``judged``, with its interval."""
        pairs = self.pairs(judged, cards)
        return bootstrap_interval(self.value, [t for t, _ in pairs], [g for _, g in pairs])


_SCALES: Mapping[Criterion, str] = {
    Criterion.EMPATHY: "empathy",
    Criterion.ACTIVE_LISTENING: "active_listening",
    Criterion.ESCALATION: "escalation_score",
}
"""Criteria with points, and what they are called in labelled calls."""


def _points(criterion: Criterion) -> Callable[[Judged, Scorecard], Pair | None]:
    def pair(call: Judged, card: Scorecard) -> Pair | None:
        truth, given = getattr(call, _SCALES[criterion]), card.score(criterion).points
        return None if truth is None or given is None else (truth, given)

    return pair


def _is_scored(criterion: Criterion) -> Callable[[Judged, Scorecard], Pair | None]:
    def pair(call: Judged, card: Scorecard) -> Pair | None:
        if getattr(call, _SCALES[criterion]) is None:
            return None
        return True, card.score(criterion).points is not None

    return pair


def _inside(criterion: Criterion) -> Callable[[Judged, Scorecard], Pair | None]:
    def pair(call: Judged, card: Scorecard) -> Pair | None:
        truth, score = getattr(call, _SCALES[criterion]), card.score(criterion)
        if truth is None or score.points is None or score.low is None or score.high is None:
            return None
        # A whole score stands for all that is rounded to it; the ends of the scale are open.
        low = -math.inf if score.low <= 1 else score.low
        high = math.inf if score.high >= score.max_points else score.high
        return True, max(0.0, min(high, truth + 0.5) - max(low, truth - 0.5))

    return pair


def _is_within_one(criterion: Criterion) -> Callable[[Judged, Scorecard], Pair | None]:
    points = _points(criterion)

    def pair(call: Judged, card: Scorecard) -> Pair | None:
        both = points(call, card)
        if both is None:
            return None
        return card.score(criterion).confidence, within_one([both[0]], [both[1]]) == 1

    return pair


def _level(card: Scorecard) -> int:
    return int(card.score(Criterion.URGENCY).points or 0)


def _urgency(call: Judged, card: Scorecard) -> Pair:
    return call.urgency, _level(card)


def _emergency_probability(call: Judged, card: Scorecard) -> Pair | None:
    p = card.urgency_probability
    return None if p is None else (p, call.urgency == 3)


def _outcome(call: Judged, card: Scorecard) -> Pair | None:
    return None if card.escalated is None else (call.escalated, card.escalated)


def _any_outcome(call: Judged, card: Scorecard) -> Pair:
    return call.escalated, card.escalated


def _is_given_outcome(_: Judged, card: Scorecard) -> Pair:
    return True, card.escalated is not None


def _outcome_of_urgent(call: Judged, card: Scorecard) -> Pair | None:
    return _outcome(call, card) if call.urgency else None


def _call_type(call: Judged, card: Scorecard) -> Pair:
    return call.call_type, card.call_type


def _also(call: Judged, card: Scorecard) -> Pair:
    return frozenset(call.also), frozenset(card.also)


def _type_confidence(call: Judged, card: Scorecard) -> Pair | None:
    if card.call_type is None:
        return None
    return card.call_type_confidence, card.call_type == call.call_type


def _urgency_kappa(truth: Sequence[float], given: Sequence[float]) -> float | None:
    return quadratic_weighted_kappa(truth, given, low=0, high=3)


def _missed_found(truth: Sequence[Hashable], given: Sequence[Hashable]) -> float | None:
    return recall_of(EscalationOutcome.MISSED, truth, given)


def _share_of_given(_: Sequence[bool], given: Sequence[bool]) -> float | None:
    return share_true(given)


def _mean_of_given(_: Sequence[bool], given: Sequence[float]) -> float | None:
    return sum(given) / len(given) if given else None


def _interval_error(truth: Sequence[bool], given: Sequence[float]) -> float | None:
    mean = _mean_of_given(truth, given)
    return None if mean is None else abs(mean - INTERVAL_SHARE)


def _figures_of_scale(criterion: Criterion) -> Iterable[Figure]:
    points = _points(criterion)
    for measure, pair, value in (
        ("qwk", points, quadratic_weighted_kappa),
        ("ac2", points, gwet_ac2),
        ("exact", points, exact_agreement),
        ("within_one", points, within_one),
        ("coverage", _is_scored(criterion), _share_of_given),
        ("inside", _inside(criterion), _mean_of_given),
        ("interval_error", _inside(criterion), _interval_error),
        ("calibration_error", _is_within_one(criterion), expected_calibration_error),
    ):
        yield Figure(group=criterion.value, measure=measure, pair=pair, value=value)


def exact_classes(truth: Sequence[Hashable], given: Sequence[Hashable]) -> float | None:
    """Share of pairs of the same class."""
    return share_true([t == g for t, g in zip(truth, given, strict=True)])


_OTHERS = (
    Figure(group="urgency", measure="qwk", pair=_urgency, value=_urgency_kappa),
    Figure(group="urgency", measure="exact", pair=_urgency, value=exact_agreement),
    Figure(
        group="urgency",
        measure="emergencies_found",
        pair=_urgency,
        value=lambda truth, given: sensitivity_and_specificity(truth, given)[0],
        rests_on=lambda level: level == 3,
    ),
    Figure(
        group="urgency",
        measure="specificity",
        pair=_urgency,
        value=lambda truth, given: sensitivity_and_specificity(truth, given)[1],
        rests_on=lambda level: level == 0,
    ),
    Figure(
        group="urgency",
        measure="calibration_error",
        pair=_emergency_probability,
        value=expected_calibration_error,
    ),
    Figure(group="escalated", measure="accuracy", pair=_outcome, value=exact_classes),
    Figure(
        group="escalated",
        measure="accuracy_of_urgent",
        pair=_outcome_of_urgent,
        value=exact_classes,
    ),
    Figure(
        group="escalated",
        measure="missed_found",
        pair=_any_outcome,
        value=_missed_found,
        rests_on=lambda outcome: outcome is EscalationOutcome.MISSED,
    ),
    Figure(group="escalated", measure="coverage", pair=_is_given_outcome, value=_share_of_given),
    Figure(group="call_type", measure="macro_f1", pair=_call_type, value=macro_f1),
    Figure(group="call_type", measure="accuracy", pair=_call_type, value=exact_classes),
    Figure(group="call_type", measure="also_f1", pair=_also, value=micro_f1),
    Figure(
        group="call_type",
        measure="calibration_error",
        pair=_type_confidence,
        value=expected_calibration_error,
    ),
)

FIGURES: Sequence[Figure] = (
    *(figure for criterion in _SCALES for figure in _figures_of_scale(criterion)),
    *_OTHERS,
)
"""All figures of score cards, by group.

Of criteria with points: ``qwk``, ``ac2``, ``exact`` and ``within_one`` where both reader and card
give points; ``coverage``, the share of the reader's scores that the card has too; ``inside``, the
share of the reader's scores in the card's interval, a score at its edge counting by the part of its
whole point that lies inside, and ``interval_error``, how far that is from what the interval
promises; ``calibration_error``, of confidence as the probability to be within one point. Of urgency
a card without points counts as 0.
``accuracy_of_urgent`` leaves routine calls out, in which "not needed" is easily said;
``missed_found`` counts a card that leaves the outcome open as one that found nothing.
"""


def _confidence_of(criterion: Criterion) -> Callable[[Scorecard], float]:
    return lambda card: card.score(criterion).confidence


CONFIDENCES: Mapping[str, Callable[[Scorecard], float]] = {
    **{criterion.value: _confidence_of(criterion) for criterion in (*_SCALES, Criterion.URGENCY)},
    "call_type": lambda card: card.call_type_confidence,
}
"""How sure a card is of itself, by the group of figures."""


def most_sure(
    figure: Figure, judged: Sequence[Judged], cards: Sequence[Scorecard], share: float
) -> list[int] | None:
    """Where the calls stand of which the cards are surest: ``share`` of all that could be scored.

    ``None`` where the cards leave so many open that there are fewer. Figures over growing shares
    are the risk-coverage curve of selective prediction [El-Yaniv & Wiener 2010].
    """
    asked = [
        place
        for place, call in enumerate(judged)
        if figure.group not in _NAMES or getattr(call, _NAMES[figure.group]) is not None
    ]
    answered = [place for place in asked if figure.pair(judged[place], cards[place]) is not None]
    count = math.ceil(share * len(asked))
    if not count or len(answered) < count:
        return None
    confidence = CONFIDENCES[figure.group]
    answered.sort(key=lambda place: -confidence(cards[place]))
    return answered[:count]


_NAMES: Mapping[str, str] = {criterion.value: name for criterion, name in _SCALES.items()}


def fall(
    figure: Figure,
    judged: Sequence[Judged],
    before: Sequence[Scorecard],
    after: Sequence[Scorecard],
) -> Interval:
    """By which part of itself ``figure`` falls from the cards ``before`` to those ``after``.

    Both are of the calls ``judged``, in order; below zero it rises. The interval is over resampled
    calls, each with both its cards. ``None`` where the figure before is not above zero.
    """

    def value(firsts: Sequence[Pair | None], seconds: Sequence[Pair | None]) -> float | None:
        first, second = (
            figure.value([t for t, _ in known], [g for _, g in known])
            for known in ([p for p in side if p is not None] for side in (firsts, seconds))
        )
        if first is None or second is None or first <= 0:
            return None
        return 1 - second / first

    return bootstrap_interval(
        value,
        [figure.pair(call, card) for call, card in zip(judged, before, strict=True)],
        [figure.pair(call, card) for call, card in zip(judged, after, strict=True)],
    )


def score_figures(judged: Sequence[Judged], cards: Sequence[Scorecard]) -> dict[str, Any]:
    """All figures of ``cards`` against what a reader said of the same calls, in the same order.

    A table for each group of ``FIGURES``, and ``coverage``, the share of calls not sent to review.
    Tables of criteria with points also hold ``calls`` (pairs) and ``invented`` (points where the
    reader gave none), that of urgency ``emergencies``, that of outcomes ``calls`` and ``matrix``.
    """
    figures: dict[str, Any] = {}
    for criterion, name in _SCALES.items():
        truth = [getattr(call, name) for call in judged]
        given = [card.score(criterion).points for card in cards]
        both = list(zip(truth, given, strict=True))
        figures[criterion.value] = {
            "calls": sum(t is not None and g is not None for t, g in both),
            "invented": sum(t is None and g is not None for t, g in both),
        }
    figures["urgency"] = {"emergencies": sum(call.urgency == 3 for call in judged)}
    figures["escalated"] = _outcomes(judged, cards)
    for figure in FIGURES:
        table = figures.setdefault(figure.group, {})
        table[figure.measure] = figure.interval(judged, cards).as_dict()
    reviewed = share_true([not card.needs_review for card in cards])
    figures["coverage"] = None if reviewed is None else round(reviewed, 4)
    return figures


def _outcomes(judged: Sequence[Judged], cards: Sequence[Scorecard]) -> dict[str, Any]:
    matrix: dict[str, dict[str, int]] = {}
    calls = 0
    for call, card in zip(judged, cards, strict=True):
        if card.escalated is not None:
            row = matrix.setdefault(call.escalated.value, {})
            row[card.escalated.value] = row.get(card.escalated.value, 0) + 1
            calls += 1
    return {"calls": calls, "matrix": matrix}
