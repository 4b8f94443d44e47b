"""What moved a score: the same call is asked again with a part of its evidence left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from qa_monitor.calls import Effect, Evidence, Finding
from qa_monitor.scoring.features import CallFindings, sureness

__all__ = ["Weighing", "without", "without_task"]

_TELLING = 0.25
_SMALLEST = 0.005
_SURE = 0.5

Label = tuple[str, str]
"""A task and one of its labels."""


@dataclass(frozen=True)
class Weighing:
    """One criterion of one call: its findings, the features they make, and what those are worth."""

    found: CallFindings
    tasks: tuple[str, ...]
    features_of: Callable[[CallFindings], Mapping[str, float]]
    points_of: Callable[[Mapping[str, float]], float]

    @cached_property
    def features(self) -> Mapping[str, float]:
        """The features of the call."""
        return self.features_of(self.found)

    def effects(self) -> tuple[Effect, ...]:
        """For each feature how many points it brought, compared with none of it; strongest first.

        A feature's places are those of the labels without whose findings there is less of it.
        """
        brought = {
            name: self._points - self.points_of({**self.features, name: 0.0})
            for name, value in self.features.items()
            if value
        }
        effects = [
            Effect(feature=name, points=round(points, 2), evidence=self._places(name))
            for name, points in brought.items()
            if abs(points) >= _SMALLEST
        ]
        return tuple(sorted(effects, key=lambda effect: -abs(effect.points)))

    def brought_by(self, *labels: Label) -> float:
        """How many points the findings of ``labels`` brought, together."""
        return self._points - self.points_of(self.features_of(without(self.found, labels)))

    def would_bring(self, finding: Finding) -> float:
        """How many points one more finding would bring."""
        by_task = {
            **self.found.by_task,
            finding.task: (*self.found.of_task(finding.task), finding),
        }
        more = CallFindings(self.found.dialogue, by_task)
        return self.points_of(self.features_of(more)) - self._points

    @cached_property
    def _points(self) -> float:
        return self.points_of(self.features)

    def _places(self, name: str) -> tuple[Evidence, ...]:
        """Where feature ``name`` was found."""
        value = self.features[name]
        shares = {label: value - less[name] for label, less in self._without_each.items()}
        by_label = {label: share for label, share in shares.items() if share > _SMALLEST}
        if not by_label:
            # Where several labels give the same, leaving out one of them changes nothing.
            alone = {label: only[name] for label, only in self._of_each.items()}
            by_label = {label: share for label, share in alone.items() if share > _SMALLEST}
        telling = {
            label for label, share in by_label.items() if share >= _TELLING * max(by_label.values())
        }
        return _places_of(self.found, telling)

    @cached_property
    def _without_each(self) -> dict[Label, Mapping[str, float]]:
        """The features without the findings of each label."""
        return {label: self.features_of(without(self.found, [label])) for label in self._labels()}

    @cached_property
    def _of_each(self) -> dict[Label, Mapping[str, float]]:
        """The features of the findings of each label without the others."""
        labels = self._labels()
        return {
            label: self.features_of(without(self.found, {*labels} - {label})) for label in labels
        }

    def _labels(self) -> list[Label]:
        return sorted({(task, f.label) for task in self.tasks for f in self.found.of_task(task)})


def without(found: CallFindings, labels: Iterable[Label]) -> CallFindings:
    """The findings of the call but those of ``labels``."""
    left_out = frozenset(labels)
    return CallFindings(
        found.dialogue,
        {
            task: tuple(f for f in findings if (task, f.label) not in left_out)
            for task, findings in found.by_task.items()
        },
    )


def without_task(found: CallFindings, *tasks: str) -> CallFindings:
    """The findings of the call but those of ``tasks``."""
    kept = {task: findings for task, findings in found.by_task.items() if task not in tasks}
    return CallFindings(found.dialogue, kept)


def _places_of(found: CallFindings, labels: Iterable[Label]) -> tuple[Evidence, ...]:
    """Where ``labels`` were found, in the call's order; the unsure ones if there are no others."""
    wanted = frozenset(labels)
    findings = [
        (sureness(f), f.evidence)
        for task, fs in found.by_task.items()
        for f in fs
        if (task, f.label) in wanted and f.evidence
    ]
    sure = {place for sure, place in findings if sure >= _SURE}
    places = sure or {place for _, place in findings}
    return tuple(sorted(places, key=lambda place: (place.turn_index, place.start)))
