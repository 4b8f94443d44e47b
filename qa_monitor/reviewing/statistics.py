"""How far people agree: pure functions over tables of counts, so that resampling them is quick.

Every figure here is a function of counts that add up over calls. A bootstrap sample of calls is
then a sum of the calls' counts, and a thousand of them are one product of two matrices. A figure
that cannot be worked out is ``nan`` in arrays and ``None`` outside.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qa_monitor.scoring.measure import Interval

__all__ = [
    "Resampled",
    "krippendorff_alpha",
    "mean_difference",
    "pair_table",
    "share_on_diagonal",
    "unit_table",
    "weighted_kappa",
    "weights_of",
    "wilson_interval",
]

Counts: TypeAlias = NDArray[np.float64]

_RESAMPLES = 1000
_SEED = 11
_Z = 1.959964
"""Of the two-sided 95 % interval."""


# --- tables of counts ----------------------------------------------------------------------------


def pair_table(pairs: Sequence[tuple[int, int]], classes: int) -> Counts:
    """How often each pair of classes occurs, of shape (classes, classes)."""
    table = np.zeros((classes, classes))
    for first, second in pairs:
        table[first, second] += 1
    return table


def unit_table(values: Sequence[int], classes: int) -> Counts:
    """The coincidences of one call's ``values``, by however many raters: (classes, classes).

    Each ordered pair of two raters counts ``1 / (raters - 1)``, so that a call weighs as many
    values as it has [Krippendorff 2011]. Zeros with fewer than two.
    """
    table = np.zeros((classes, classes))
    if len(values) > 1:
        for place, first in enumerate(values):
            for other, second in enumerate(values):
                if place != other:
                    table[first, second] += 1 / (len(values) - 1)
    return table


# --- figures of tables ---------------------------------------------------------------------------


def weights_of(classes: int, *, is_ordered: bool) -> Counts:
    """How much each disagreement counts, of shape (classes, classes).

    Ordered classes by the square of their distance, others alike [Cohen 1968].
    """
    steps = np.arange(classes)
    apart = steps[:, None] - steps[None, :]
    return (apart**2 if is_ordered else apart != 0).astype(float)


def weighted_kappa(tables: Counts, *, is_ordered: bool) -> Counts:
    """Weighted kappa [Cohen 1968] of tables of shape (..., classes, classes), of shape (...).

    1 is full agreement, 0 what chance gives two raters who use the classes as often as these do.
    Unordered classes give Cohen's plain kappa. ``nan`` where nothing can disagree.
    """
    weights = weights_of(tables.shape[-1], is_ordered=is_ordered)
    count = tables.sum(axis=(-1, -2))
    rows, columns = tables.sum(axis=-1), tables.sum(axis=-2)
    observed = (weights * tables).sum(axis=(-1, -2)) * count
    expected = np.einsum("...i,ij,...j->...", rows, weights, columns)
    return _ratio(observed, expected)


def krippendorff_alpha(tables: Counts, *, is_ordered: bool) -> Counts:
    """Krippendorff's alpha of coincidences (..., classes, classes), of shape (...).

    For any number of raters, another for each call; ordinal for ordered classes, else nominal
    [Krippendorff 2011]. ``nan`` where nothing can disagree.
    """
    of_class = tables.sum(axis=-1)
    count = of_class.sum(axis=-1)
    classes = tables.shape[-1]
    if is_ordered:
        # All values from the one class to the other, the two ends counting by half.
        up_to = np.cumsum(of_class, axis=-1) - of_class / 2
        apart = (up_to[..., :, None] - up_to[..., None, :]) ** 2
    else:
        apart = np.broadcast_to(weights_of(classes, is_ordered=False), tables.shape)
    observed = (apart * tables).sum(axis=(-1, -2)) * (count - 1)
    expected = np.einsum("...i,...ij,...j->...", of_class, apart, of_class)
    return _ratio(observed, expected)


def _ratio(observed: Counts, expected: Counts) -> Counts:
    usable = expected > 0
    safe = np.where(usable, expected, 1.0)
    return np.where(usable, 1 - observed / safe, np.nan)


def share_on_diagonal(tables: Counts, *, within: int = 0) -> Counts:
    """The share of pairs at most ``within`` classes apart, of tables (..., classes, classes)."""
    steps = np.arange(tables.shape[-1])
    near = np.abs(steps[:, None] - steps[None, :]) <= within
    count = tables.sum(axis=(-1, -2))
    safe = np.where(count > 0, count, 1.0)
    return np.where(count > 0, (tables * near).sum(axis=(-1, -2)) / safe, np.nan)


def mean_difference(sums: Counts) -> Counts:
    """The mean of differences, of their sums and counts (..., 2)."""
    count = sums[..., 1]
    safe = np.where(count > 0, count, 1.0)
    return np.where(count > 0, sums[..., 0] / safe, np.nan)


# --- intervals -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resampled:
    """The counts of all calls, ``total``, and of resampled calls, ``drawn`` (resamples, ...)."""

    total: Counts
    drawn: Counts

    @classmethod
    def of(cls, by_call: Sequence[Counts], *, resamples: int = _RESAMPLES) -> Resampled:
        """The counts of each call, all of one shape, drawn with replacement [Efron 1979].

        Calls are drawn, with all that was said of each, because what two people say of one call
        hangs together. Deterministic, whatever the order of the calls, of which there is one at
        least.
        """
        shape = by_call[0].shape
        # Calls with the same counts are drawn as one kind: the sums are distributed the same.
        times = Counter(np.ascontiguousarray(counts, dtype=float).tobytes() for counts in by_call)
        kinds = np.stack([np.frombuffer(kind) for kind in sorted(times)])
        often = np.array([times[kind] for kind in sorted(times)])
        shares = often / len(by_call)
        drawn = np.random.default_rng(_SEED).multinomial(len(by_call), shares, size=resamples)
        return cls((often @ kinds).reshape(shape), (drawn @ kinds).reshape(resamples, *shape))

    def interval(self, figure: Callable[[Counts], Counts]) -> Interval:
        """``figure``, which maps counts (..., *shape) to (...), with its 95 % percentile interval.

        Resamples in which it cannot be worked out are left out.
        """
        value = float(figure(self.total))
        if math.isnan(value):
            return Interval(None, None, None)
        values = figure(self.drawn)
        values = np.sort(values[~np.isnan(values)])
        if not len(values):
            return Interval(value, None, None)
        last = len(values) - 1
        low, high = values[round(0.025 * last)], values[round(0.975 * last)]
        return Interval(value, float(low), float(high))


def wilson_interval(successes: float, count: int) -> Interval:
    """A share with its 95 % score interval, good for few and for shares near 0 or 1 [Wilson 1927].

    ``None`` without any.
    """
    if not count:
        return Interval(None, None, None)
    share = successes / count
    middle = share + _Z**2 / (2 * count)
    reach = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    whole = 1 + _Z**2 / count
    return Interval(share, max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole))
