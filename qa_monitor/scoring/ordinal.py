"""Scores on an ordered scale: the probability of every whole number, and what is told of it.

A score is a distribution over whole points. Its evidence adds up to one number, and each step of
the scale has a threshold on it: proportional odds [McCullagh 1980]. More evidence can only move the
whole distribution upwards, so that no score ever falls for something good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["central_interval", "distribution_of", "logistic", "mean_of", "within_one"]


def logistic(value: float) -> float:
    """1 / (1 + e^-value), for any value."""
    return 0.5 * (1 + math.tanh(value / 2))


def distribution_of(evidence: float, thresholds: Sequence[float]) -> tuple[float, ...]:
    """The probability of each step of a scale, the lowest first.

    ``thresholds`` increase, one for each step but the lowest: the probability of at least step k is
    ``logistic(evidence - thresholds[k - 1])``.
    """
    at_least = (1.0, *(logistic(evidence - threshold) for threshold in thresholds), 0.0)
    return tuple(higher - lower for higher, lower in pairwise(at_least))


def mean_of(distribution: Sequence[float], *, lowest: int) -> float:
    """The expected points; ``lowest`` is what the first step is worth."""
    return sum(step * share for step, share in enumerate(distribution, lowest))


def central_interval(
    distribution: Sequence[float], *, lowest: int, share: float = 0.8
) -> tuple[float, float]:
    """The points between which the middle ``share`` of the distribution lies, held to the scale.

    Between whole points it is interpolated: each is spread evenly half a point to either side.
    """
    tail = (1 - share) / 2
    return (
        _quantile(distribution, tail, lowest=lowest),
        _quantile(distribution, 1 - tail, lowest=lowest),
    )


def within_one(distribution: Sequence[float], points: float, *, lowest: int) -> float:
    """The probability that a reader's whole points are at most one from ``points``, rounded."""
    nearest = math.floor(points + 0.5)
    return min(
        1.0,
        sum(p for step, p in enumerate(distribution, lowest) if abs(step - nearest) <= 1),
    )


def _quantile(distribution: Sequence[float], share: float, *, lowest: int) -> float:
    highest = lowest + len(distribution) - 1
    below = 0.0
    for step, probability in enumerate(distribution, lowest):
        if probability and below + probability >= share:
            place = step - 0.5 + (share - below) / probability
            return min(max(place, float(lowest)), float(highest))
        below += probability
    return float(highest)
