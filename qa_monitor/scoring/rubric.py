"""The rubric file: what findings are worth, and when a person should look."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from qa_monitor.calls import Criterion
from qa_monitor.errors import ConfigError
from qa_monitor.scoring.features import (
    EMPATHY_FEATURES,
    ESCALATION_FEATURES,
    LISTENING_FEATURES,
    URGENCY_FEATURES,
)

__all__ = ["Rubric", "load_rubric", "rubric_from"]

_WEIGHTED = (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)
_POINTS = {
    "empathy": EMPATHY_FEATURES,
    "active_listening": LISTENING_FEATURES,
    "escalation": ESCALATION_FEATURES,
}
_LEVELS = ("level1", "level2", "level3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """A rubric: ``points`` by criterion, ``urgency`` log-odds by level, and settings by section.

    Both tables hold a ``base`` and what each feature adds at its fullest.
    """

    name: str
    version: str
    weights: Mapping[Criterion, float]
    points: Mapping[str, Mapping[str, float]]
    urgency: Mapping[int, Mapping[str, float]]
    settings: Mapping[str, float]

    def points_of(self, criterion: str, features: Mapping[str, float]) -> float:
        """Points for ``features``, not yet held to the scale."""
        return _sum(self.points[criterion], features)

    def urgency_probabilities(self, features: Mapping[str, float]) -> tuple[float, float, float]:
        """The probability that urgency is at least 1, at least 2, and 3; never increasing."""
        first, second, third = (
            1 / (1 + math.exp(-_sum(self.urgency[level], features))) for level in (1, 2, 3)
        )
        second = min(first, second)
        return first, second, min(second, third)


def _sum(table: Mapping[str, float], features: Mapping[str, float]) -> float:
    return table["base"] + sum(table.get(name, 0.0) * value for name, value in features.items())


def load_rubric(path: Path | None = None) -> Rubric:
    """The rubric at ``path``, or the one that ships.

    Raises ``ConfigError`` when it cannot be read, lacks a table, or names what does not exist.
    """
    source = "the rubric that ships" if path is None else f"the rubric file {path}"
    problem = None
    try:
        if path is None:
            text = (files("qa_monitor.scoring") / "rubric.toml").read_text("utf-8")
        else:
            text = path.read_text("utf-8")
        rubric = rubric_from(tomllib.loads(text))
    except OSError as error:
        problem = error.strerror or "unreadable"
    except KeyError as error:
        problem = f"{error} is missing"
    except (TypeError, ValueError) as error:
        problem = str(error)
    if problem is not None:
        raise ConfigError(f"{source} is wrong: {problem}. Correct it, or remove the setting.")
    return rubric


def rubric_from(content: Mapping[str, Any]) -> Rubric:
    """The rubric of a file's content.

    Raises ``KeyError`` or ``ValueError`` where a table lacks, or names what does not exist.
    """
    weights = {criterion: float(content["weights"][criterion.value]) for criterion in _WEIGHTED}
    if min(weights.values()) < 0 or not sum(weights.values()):
        raise ValueError("weights must not be negative, nor all zero")
    settings = {name: float(value) for name, value in content["settings"].items()}
    for name in _SETTINGS:
        if name not in settings:
            raise KeyError(f"settings.{name}")
    return Rubric(
        name=str(content["name"]),
        version=str(content["version"]),
        weights=weights,
        points={
            name: _table(content["points"][name], known, f"points.{name}")
            for name, known in _POINTS.items()
        },
        urgency={
            level: _table(content["urgency"][name], URGENCY_FEATURES, f"urgency.{name}")
            for level, name in enumerate(_LEVELS, 1)
        },
        settings=settings,
    )


_SETTINGS = (
    "answer_none_at_most",
    "answer_few_at_most",
    "level1_from",
    "level2_from",
    "level3_from",
    "properly_from",
    "late_or_partial_from",
    "also_from",
    "interruption_points",
    "interruptions_free",
    "roles_certain_from",
    "doubtful_share_at_most",
    "review_confidence_below",
    "unsure_from",
    "unsure_to",
)


def _table(table: Mapping[str, Any], known: Mapping[str, int], name: str) -> dict[str, float]:
    unknown = sorted(table.keys() - known.keys() - {"base"})
    if unknown:
        raise ValueError(f"{name} has no feature {', '.join(unknown)}")
    values = {feature: float(value) for feature, value in table.items()}
    if "base" not in values:
        raise KeyError(f"{name}.base")
    for feature, sign in known.items():
        if values.get(feature, 0.0) * sign < 0:
            raise ValueError(
                f"{name}.{feature} must not be {'negative' if sign > 0 else 'positive'}"
            )
    return values
