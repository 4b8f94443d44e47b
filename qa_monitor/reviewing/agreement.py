"""How far machine and reviewers, and reviewers among themselves, agree.

``agreement`` works it out from ratings. Which ratings, is said with every figure (``Basis``):

- ``RANDOM``: of calls that were drawn at random and read blind, the first reading. Only these tell
  how it is in all calls: the draw knows no score, and the reader did not see the machine's.
- ``BLIND``: all blind readings, of calls chosen for whatever reason. Nobody was led, but hard calls
  are more often chosen.
- ``ALL``: all reviews. Who sees a score before judging tends to stay close to it.

Scales are compared by quadratic weighted kappa [Cohen 1968], classes by Cohen's plain kappa
[Cohen 1960], several readers by Krippendorff's alpha [Krippendorff 2011]. Intervals are 95 %, over
resampled calls. Below ``ENOUGH`` calls no figure is given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TypeAlias, TypeVar

import numpy as np

from qa_monitor.calls import CallType, Criterion, EscalationOutcome
from qa_monitor.reviewing.statistics import (
    Counts,
    Resampled,
    krippendorff_alpha,
    mean_difference,
    pair_table,
    share_on_diagonal,
    unit_table,
    weighted_kappa,
    wilson_interval,
)
from qa_monitor.scoring.measure import Interval, round_half_up
from qa_monitor.store import AlertState, CallValue, Rating, ReasonOutcomes

__all__ = [
    "ENOUGH",
    "HEADS",
    "Agreement",
    "AlertPrecision",
    "Among",
    "Basis",
    "Head",
    "MonthFigure",
    "PairFigure",
    "Subject",
    "VersionFigure",
    "agreement",
    "alert_precision",
]

_Key = TypeVar("_Key")

ENOUGH = 10
"""With fewer calls a figure would say more than is known."""


class Basis(StrEnum):
    """Which readings figures rest on."""

    RANDOM = "random"
    BLIND = "blind"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One thing that is judged of a call, and the values it can have.

    Ordered ones are whole numbers from ``low`` on; ``classes`` counts them.
    """

    subject: str
    name: str
    values: tuple[str, ...]
    is_ordered: bool

    def place(self, value: CallValue) -> int | None:
        """Where ``value`` stands among the values, decimals rounded, halves up."""
        if value is None:
            return None
        if self.is_ordered:
            low, high = int(self.values[0]), int(self.values[-1])
            return min(max(round_half_up(float(value)), low), high) - low
        return self.values.index(str(value)) if value in self.values else None


def _scale(criterion: Criterion, name: str, low: int, high: int) -> Head:
    values = tuple(str(value) for value in range(low, high + 1))
    return Head(subject=criterion.value, name=name, values=values, is_ordered=True)


HEADS: Mapping[str, Head] = {
    head.subject: head
    for head in (
        _scale(Criterion.EMPATHY, "Empathy", 1, 5),
        _scale(Criterion.ACTIVE_LISTENING, "Active listening", 1, 5),
        _scale(Criterion.ESCALATION, "Handling of urgent calls", 1, 5),
        _scale(Criterion.URGENCY, "Urgency", 0, 3),
        Head(
            subject="escalated",
            name="What became of the urgency",
            values=tuple(EscalationOutcome),
            is_ordered=False,
        ),
        Head(subject="call_type", name="Call type", values=tuple(CallType), is_ordered=False),
    )
}
"""What agreement is told of, by the subject of judgements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthFigure:
    """Kappa in one month of calls (``2026-03``); ``None`` of ``kappa.value`` where too few."""

    month: str
    calls: int
    kappa: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFigure:
    """Kappa of one scoring model under one rubric."""

    scoring: str
    rubric: str
    calls: int
    kappa: Interval
    bias: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Machine against reviewers under one head.

    ``calls`` have a value by both. ``kappa``; ``exact`` and ``within_one``, the shares of equal and
    of nearly equal values (``within_one`` of scales only); ``bias``, the machine's mean less the
    reviewers', in points (scales only): above zero the machine gives more. ``machine_open`` calls
    have a value by the reviewer only, ``reader_open`` by the machine only: the other found the call
    not assessable, or left it open.
    """

    head: Head
    calls: int
    kappa: Interval
    exact: Interval
    within_one: Interval
    bias: Interval
    machine_open: int
    reader_open: int
    months: tuple[MonthFigure, ...]
    versions: tuple[VersionFigure, ...]

    @property
    def is_enough(self) -> bool:
        """Whether there are calls enough for a figure."""
        return self.calls >= ENOUGH


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFigure:
    """Two reviewers, over the calls that both read."""

    first: str
    second: str
    calls: int
    kappa: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Among:
    """Reviewers among themselves under one head, over the ``calls`` that two or more read.

    ``kappa`` takes each two readers of a call both ways round, so that it does not matter who is
    called the first; it stands beside the machine's. ``alpha`` is Krippendorff's.
    """

    head: Head
    calls: int
    kappa: Interval
    alpha: Interval
    exact: Interval
    pairs: tuple[PairFigure, ...]

    @property
    def is_enough(self) -> bool:
        """Whether there are calls enough for a figure."""
        return self.calls >= ENOUGH


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPrecision:
    """Of alerts for one reason: how many people found right (resolved), how many a false alarm.

    ``open`` are still to be judged, acknowledged ones among them. ``share`` is that of the right
    ones among the judged.
    """

    reason: str
    right: int
    false_alarms: int
    open: int
    share: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """All that is told of agreement on one basis; ``readings`` of ``calls`` it rests on."""

    basis: Basis
    calls: int
    readings: int
    subjects: tuple[Subject, ...]
    among: tuple[Among, ...]


def agreement(ratings: Sequence[Rating], basis: Basis) -> Agreement:
    """Machine against reviewers, and reviewers among themselves, of ``ratings`` on ``basis``."""
    against = _against_machine(ratings, basis)
    between = _among_readers(ratings, basis)
    return Agreement(
        basis=basis,
        calls=len({rating.call_id for rating in against}),
        readings=len({rating.review_id for rating in against}),
        subjects=tuple(
            _subject(head, [r for r in against if r.subject == head.subject])
            for head in HEADS.values()
        ),
        among=tuple(
            _among(head, [r for r in between if r.subject == head.subject])
            for head in HEADS.values()
        ),
    )


def _against_machine(ratings: Sequence[Rating], basis: Basis) -> list[Rating]:
    if basis is Basis.ALL:
        return list(ratings)
    blind = [rating for rating in ratings if rating.is_blind]
    if basis is Basis.BLIND:
        return blind
    # The first reading only: whether there is a second one may hang on what the first found.
    sampled = [rating for rating in blind if rating.is_sampled]
    return _first_readings(sampled, 1)


def _among_readers(ratings: Sequence[Rating], basis: Basis) -> list[Rating]:
    if basis is Basis.ALL:
        return list(ratings)
    blind = [rating for rating in ratings if rating.is_blind]
    if basis is Basis.BLIND:
        return blind
    drawn = [rating for rating in blind if rating.is_sampled and rating.is_sampled_twice]
    return _first_readings(drawn, 2)


def _first_readings(ratings: Sequence[Rating], count: int) -> list[Rating]:
    reviews: dict[str, set[int]] = defaultdict(set)
    for rating in ratings:
        reviews[rating.call_id].add(rating.review_id)
    kept = {review for found in reviews.values() for review in sorted(found)[:count]}
    return [rating for rating in ratings if rating.review_id in kept]


# --- machine against reviewers -------------------------------------------------------------------

_NONE = Interval(None, None, None)

_Both: TypeAlias = tuple[Rating, int, int]
"""A rating with the places of the machine's value and of the reader's."""


def _subject(head: Head, ratings: Sequence[Rating]) -> Subject:
    both: list[_Both] = []
    machine_open = reader_open = 0
    for rating in ratings:
        machine, said = head.place(rating.machine), head.place(rating.said)
        if machine is not None and said is not None:
            both.append((rating, machine, said))
        elif said is not None:
            machine_open += 1
        elif machine is not None:
            reader_open += 1
    size = len(head.values)
    tables = _tables(both, size)
    by_month = _grouped(both, lambda rating: f"{rating.began_at:%Y-%m}")
    by_version = _grouped(both, lambda rating: (rating.scoring, rating.rubric))
    return Subject(
        head=head,
        calls=len(tables),
        kappa=_figure(tables, _kappa_of(head)),
        exact=_share(tables),
        within_one=_share(tables, within=1) if head.is_ordered else _NONE,
        bias=_bias(head, both),
        machine_open=machine_open,
        reader_open=reader_open,
        months=tuple(
            MonthFigure(month=month, calls=_calls(group), kappa=_kappa(head, group))
            for month, group in sorted(by_month.items())
        ),
        versions=tuple(
            VersionFigure(
                scoring=scoring,
                rubric=rubric,
                calls=_calls(group),
                kappa=_kappa(head, group),
                bias=_bias(head, group),
            )
            for (scoring, rubric), group in sorted(by_version.items())
        ),
    )


def _grouped(both: Iterable[_Both], key: Callable[[Rating], _Key]) -> dict[_Key, list[_Both]]:
    groups: dict[_Key, list[_Both]] = defaultdict(list)
    for one in both:
        groups[key(one[0])].append(one)
    return groups


def _calls(both: Iterable[_Both]) -> int:
    return len({rating.call_id for rating, _, _ in both})


def _tables(both: Iterable[_Both], size: int) -> list[Counts]:
    """A table of the pairs of each call."""
    by_call: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for rating, machine, said in both:
        by_call[rating.call_id].append((machine, said))
    return [pair_table(pairs, size) for pairs in by_call.values()]


def _kappa_of(head: Head) -> Callable[[Counts], Counts]:
    return lambda tables: weighted_kappa(tables, is_ordered=head.is_ordered)


def _share(by_call: Sequence[Counts], *, within: int = 0) -> Interval:
    """The share of pairs at most ``within`` apart; its interval takes calls for the cases.

    Wilson's, because resampling calls that all agree would promise that all others do.
    """
    if len(by_call) < ENOUGH:
        return _NONE
    share = float(share_on_diagonal(np.sum(by_call, axis=0), within=within))
    return wilson_interval(share * len(by_call), len(by_call))


def _kappa(head: Head, both: Sequence[_Both]) -> Interval:
    return _figure(_tables(both, len(head.values)), _kappa_of(head))


def _bias(head: Head, both: Sequence[_Both]) -> Interval:
    """The machine's mean less the reviewers', of the values as they are, not rounded."""
    if not head.is_ordered:
        return _NONE
    by_call: dict[str, list[float]] = defaultdict(list)
    for rating, _, _ in both:
        by_call[rating.call_id].append(float(rating.machine or 0) - float(rating.said or 0))
    sums = [np.array([round(sum(found), 6), len(found)]) for found in by_call.values()]
    return _figure(sums, mean_difference)


def _figure(by_call: Sequence[Counts], figure: Callable[[Counts], Counts]) -> Interval:
    """``figure`` with its interval over calls; none where they are too few."""
    return Resampled.of(by_call).interval(figure) if len(by_call) >= ENOUGH else _NONE


# --- reviewers among themselves ------------------------------------------------------------------


def _among(head: Head, ratings: Sequence[Rating]) -> Among:
    by_call: dict[str, dict[str, int]] = defaultdict(dict)
    for rating in ratings:
        place = head.place(rating.said)
        if place is not None:
            by_call[rating.call_id][rating.user_id] = place
    read = [said for said in by_call.values() if len(said) > 1]
    size = len(head.values)
    units = [unit_table(list(said.values()), size) for said in read]
    both_ways = [
        pair_table([p for a, b in combinations(said.values(), 2) for p in ((a, b), (b, a))], size)
        for said in read
    ]
    of_pairs: dict[tuple[str, str], list[Counts]] = defaultdict(list)
    for said in read:
        for first, second in combinations(sorted(said), 2):
            of_pairs[first, second].append(pair_table([(said[first], said[second])], size))
    return Among(
        head=head,
        calls=len(read),
        kappa=_figure(both_ways, _kappa_of(head)),
        alpha=_figure(units, lambda t: krippendorff_alpha(t, is_ordered=head.is_ordered)),
        exact=_share(both_ways),
        pairs=tuple(
            PairFigure(
                first=first,
                second=second,
                calls=len(tables),
                kappa=_figure(tables, _kappa_of(head)),
            )
            for (first, second), tables in sorted(of_pairs.items())
        ),
    )


# --- alerts --------------------------------------------------------------------------------------


def alert_precision(outcomes: Iterable[ReasonOutcomes]) -> tuple[AlertPrecision, ...]:
    """How often alerts were right, by their reason, with Wilson's interval [Wilson 1927].

    ``share`` of fewer than ``ENOUGH`` is ``None``.
    """
    found = []
    for outcome in outcomes:
        right = outcome.by_state.get(AlertState.RESOLVED, 0)
        wrong = outcome.by_state.get(AlertState.FALSE_ALARM, 0)
        judged = right + wrong
        found.append(
            AlertPrecision(
                reason=outcome.reason,
                right=right,
                false_alarms=wrong,
                open=outcome.raised - judged,
                share=wilson_interval(right, judged) if judged >= ENOUGH else _NONE,
            )
        )
    return tuple(found)
