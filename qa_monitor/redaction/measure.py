"""How well a redactor does on labelled calls, without keeping or showing a word of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qa_monitor.calls import Dialogue, EntityType, RedactedDialogue, Role, Turn
from qa_monitor.redaction import Redactor

__all__ = ["PhiLabel", "RedactionFigures", "RedactionTally", "labelled_dialogue", "measure"]

_WORD = re.compile(r"\w+")
# Left of a span these words tell nothing: "the" of "the fourteenth".
_EMPTY_WORDS = frozenset("a an and as at by dash dot for in is its of on the uh um".split())


@dataclass(frozen=True, slots=True)
class PhiLabel:
    """A stretch ``[start, end)`` of a turn's text that a person marked as PHI."""

    start: int
    end: int
    entity_type: EntityType


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionFigures:
    """What was measured; shares are 0 to 1, ``None`` where there was nothing to measure.

    ``character_recall`` is the share of labelled characters that any span covers, whatever its
    type; ``recall_by_type`` the same for each labelled type; ``type_agreement`` the share of
    covered labelled characters whose span has the label's type. ``character_precision`` is the
    share of redacted characters that are labelled, ``span_precision`` the share of spans of which
    at least half is labelled. A call is without leak when of none of its labels a telling word is
    left.
    """

    calls: int
    labels: int
    spans: int
    labelled_characters: int
    over_redacted_characters: int
    character_recall: float | None
    character_precision: float | None
    span_precision: float | None
    type_agreement: float | None
    label_recall: float | None
    calls_without_leak: float | None
    recall_by_type: Mapping[str, float]
    labels_by_type: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values, for JSON."""
        return {
            name: dict(value) if isinstance(value := getattr(self, name), Mapping) else value
            for name in self.__slots__
        }


@dataclass(slots=True)
class RedactionTally:
    """Counts call after call; ``figures`` says what it came to."""

    _counts: Counter[str] = field(default_factory=Counter)
    _labelled: Counter[EntityType] = field(default_factory=Counter)
    _covered: Counter[EntityType] = field(default_factory=Counter)
    _labels: Counter[EntityType] = field(default_factory=Counter)

    def add(
        self,
        texts: Sequence[str],
        labels: Sequence[Sequence[PhiLabel]],
        redacted: RedactedDialogue,
    ) -> None:
        """Counts one call: its turns' texts and labels, and what the redactor made of it."""
        leaks = 0
        for text, turn_labels, turn in zip(texts, labels, redacted.turns, strict=True):
            marked: list[EntityType | None] = [None] * len(text)
            for label in turn_labels:
                marked[label.start : label.end] = [label.entity_type] * (label.end - label.start)
            hidden: list[EntityType | None] = [None] * len(text)
            for span in turn.spans:
                inside = marked[span.source_start : span.source_end]
                hits = sum(mark is not None for mark in inside)
                hidden[span.source_start : span.source_end] = [span.entity_type] * len(inside)
                self._counts["spans"] += 1
                self._counts["right_spans"] += 2 * hits >= len(inside)
                self._counts["redacted"] += len(inside)
                self._counts["redacted_right"] += hits
            for label in turn_labels:
                over = hidden[label.start : label.end]
                self._labels[label.entity_type] += 1
                self._labelled[label.entity_type] += len(over)
                self._covered[label.entity_type] += sum(cover is not None for cover in over)
                self._counts["same_type"] += sum(cover is label.entity_type for cover in over)
                is_leaked = any(
                    match.group().lower() not in _EMPTY_WORDS
                    and any(hidden[i] is None for i in range(match.start(), match.end()))
                    for match in _WORD.finditer(text, label.start, label.end)
                )
                self._counts["leaked_labels"] += is_leaked
                leaks += is_leaked
        self._counts["calls"] += 1
        self._counts["calls_without_leak"] += not leaks

    def figures(self) -> RedactionFigures:
        """The figures over all calls added so far."""
        counts = self._counts
        labelled, covered = self._labelled.total(), self._covered.total()
        labels = self._labels.total()
        return RedactionFigures(
            calls=counts["calls"],
            labels=labels,
            spans=counts["spans"],
            labelled_characters=labelled,
            over_redacted_characters=counts["redacted"] - counts["redacted_right"],
            character_recall=_share(covered, labelled),
            character_precision=_share(counts["redacted_right"], counts["redacted"]),
            span_precision=_share(counts["right_spans"], counts["spans"]),
            type_agreement=_share(counts["same_type"], covered),
            label_recall=_share(labels - counts["leaked_labels"], labels),
            calls_without_leak=_share(counts["calls_without_leak"], counts["calls"]),
            recall_by_type={
                entity_type.value: round(self._covered[entity_type] / total, 4)
                for entity_type, total in sorted(self._labelled.items())
            },
            labels_by_type={t.value: n for t, n in sorted(self._labels.items())},
        )


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def labelled_dialogue(call: Mapping[str, Any]) -> tuple[Dialogue, list[list[PhiLabel]]]:
    """A labelled call, as a line of an evaluation file holds it, as dialogue and labels."""
    turns: list[Turn] = []
    labels: list[list[PhiLabel]] = []
    for index, turn in enumerate(call["turns"]):
        role = Role(turn["speaker"]) if turn["speaker"] in set(Role) else Role.UNKNOWN
        turns.append(
            Turn(
                index=index,
                speaker=turn["speaker"],
                role=role,
                role_confidence=1.0,
                start_s=None,
                end_s=None,
                text=turn["text"],
            )
        )
        labels.append(
            [
                PhiLabel(int(phi["start"]), int(phi["end"]), EntityType(phi["type"]))
                for phi in turn.get("phi", [])
            ]
        )
    dialogue = Dialogue(
        call_id=str(call["id"]),
        language="en",
        asr_model="none",
        dropped_s=0.0,
        turns=tuple(turns),
    )
    return dialogue, labels


def measure(calls: Iterable[Mapping[str, Any]], redactor: Redactor) -> RedactionFigures:
    """The figures of ``redactor`` on labelled ``calls``."""
    tally = RedactionTally()
    for call in calls:
        dialogue, labels = labelled_dialogue(call)
        tally.add([turn.text for turn in dialogue.turns], labels, redactor.redact(dialogue))
    return tally.figures()
