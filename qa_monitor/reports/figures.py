"""Means and shares with intervals that hold for few calls, and differences between two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self

__all__ = ["Difference", "Mean", "Tally", "compare", "difference", "difference_of_shares", "share"]

SMALLEST_SD = 0.5
"""A score is never taken as more exact than half a point, however alike a few calls are."""

LOWEST, HIGHEST = 1.0, 5.0

Comparison = Literal["higher", "lower", "no_clear_difference", "too_few_calls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The mean of ``n`` values and its 95 % interval.

    ``low`` and ``high`` are ``None`` for a single value, which has no interval.
    """

    mean: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """By how much one mean is above another, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def says(self) -> Comparison:
        """Whether that is beyond chance: the interval does not hold zero."""
        if self.low <= 0 <= self.high:
            return "no_clear_difference"
        return "higher" if self.value > 0 else "lower"


@dataclass(slots=True)
class Tally:
    """Values counted one by one, none of them kept [Welford 1962].

    As it comes, of scores of 1 to 5; ``smallest_sd`` is the least spread that is believed.
    """

    n: int = 0
    _mean: float = 0.0
    _squares: float = 0.0
    smallest_sd: float = SMALLEST_SD
    lowest: float = LOWEST
    highest: float = HIGHEST

    @classmethod
    def of_sums(cls, n: int, total: float, squares: float) -> Self:
        """The tally of ``n`` scores whose sum and sum of squares are known."""
        if n == 0:
            return cls()
        return cls(n, total / n, max(0.0, squares - total * total / n))

    def add(self, value: float) -> None:
        """Count one more value."""
        self.n += 1
        step = value - self._mean
        self._mean += step / self.n
        self._squares += step * (value - self._mean)

    @property
    def variance(self) -> float:
        """The sample variance, never below ``smallest_sd`` squared."""
        spread = self._squares / (self.n - 1) if self.n > 1 else 0.0
        return float(max(spread, self.smallest_sd**2))

    def mean(self) -> Mean | None:
        """The mean with Student's interval, or ``None`` when nothing was counted."""
        if self.n == 0:
            return None
        if self.n == 1:
            return Mean(mean=self._mean, low=None, high=None, n=1)
        half = _quantile(self.n - 1) * math.sqrt(self.variance / self.n)
        return Mean(
            mean=self._mean,
            low=max(self.lowest, self._mean - half),
            high=min(self.highest, self._mean + half),
            n=self.n,
        )


def difference(first: Tally, second: Tally) -> Difference:
    """By how much the mean of ``first`` is above that of ``second`` [Welch 1947].

    Both need two values at least.
    """
    parts = first.variance / first.n, second.variance / second.n
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (first.n - 1) + parts[1] ** 2 / (second.n - 1))
    value = first._mean - second._mean
    half = _quantile(freedom) * math.sqrt(sum(parts))
    return Difference(value=value, low=value - half, high=value + half)


def compare(first: Tally, second: Tally) -> Comparison:
    """Whether ``first`` is higher or lower than ``second`` beyond chance, at 95 %.

    Both need two values at least.
    """
    return difference(first, second).says


def share(seen: int, n: int) -> Mean | None:
    """The share ``seen / n`` with Wilson's interval [Wilson 1927], ``None`` when ``n`` is 0."""
    if n == 0:
        return None
    z = _quantile(math.inf)
    part = seen / n
    middle = (part + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(part * (1 - part) / n + z * z / (4 * n * n))
    return Mean(
        mean=part,
        low=max(0.0, min(part, middle - half)),
        high=min(1.0, max(part, middle + half)),
        n=n,
    )


def difference_of_shares(first: Mean, second: Mean) -> Difference:
    """By how much one share is above another [Newcombe 1998, method 10]; both of ``share``."""
    value = first.mean - second.mean
    ends = [end if end is not None else m.mean for m in (first, second) for end in (m.low, m.high)]
    low = math.hypot(first.mean - ends[0], ends[3] - second.mean)
    high = math.hypot(ends[1] - first.mean, second.mean - ends[2])
    return Difference(value=value, low=value - low, high=value + high)


def _quantile(freedom: float) -> float:
    """Student's t for a two-sided 95 % interval; the normal one for infinite ``freedom``."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(0.975) if math.isinf(freedom) else stdtrit(freedom, 0.975))
