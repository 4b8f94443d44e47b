"""Means of scores with intervals that hold for few calls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["Mean", "Tally", "compare"]

SMALLEST_SD = 0.5
"""A score is never taken as more exact than half a point, however alike a few calls are."""

LOWEST, HIGHEST = 1.0, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The mean of ``n`` scores of 1 to 5 and its 95 % interval.

    ``low`` and ``high`` are ``None`` for a single score, which has no interval.
    """

    mean: float
    low: float | None
    high: float | None
    n: int


@dataclass(slots=True)
class Tally:
    """Scores counted one by one, none of them kept [Welford 1962]."""

    n: int = 0
    _mean: float = 0.0
    _squares: float = 0.0

    def add(self, points: float) -> None:
        """Count one more score."""
        self.n += 1
        step = points - self._mean
        self._mean += step / self.n
        self._squares += step * (points - self._mean)

    @property
    def variance(self) -> float:
        """The sample variance, never below ``SMALLEST_SD`` squared."""
        spread = self._squares / (self.n - 1) if self.n > 1 else 0.0
        return float(max(spread, SMALLEST_SD**2))

    def mean(self) -> Mean | None:
        """The mean with Student's interval, or ``None`` when nothing was counted."""
        if self.n == 0:
            return None
        if self.n == 1:
            return Mean(mean=self._mean, low=None, high=None, n=1)
        half = _quantile(self.n - 1) * math.sqrt(self.variance / self.n)
        return Mean(
            mean=self._mean,
            low=max(LOWEST, self._mean - half),
            high=min(HIGHEST, self._mean + half),
            n=self.n,
        )


def compare(first: Tally, second: Tally) -> Literal["higher", "lower", "no_clear_difference"]:
    """Whether ``first`` is higher or lower than ``second`` beyond chance, at 95 % [Welch 1947].

    Both need two scores at least.
    """
    parts = first.variance / first.n, second.variance / second.n
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (first.n - 1) + parts[1] ** 2 / (second.n - 1))
    difference = first._mean - second._mean
    if abs(difference) <= _quantile(freedom) * math.sqrt(sum(parts)):
        return "no_clear_difference"
    return "higher" if difference > 0 else "lower"


def _quantile(freedom: float) -> float:
    """Student's t for a two-sided 95 % interval."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))
