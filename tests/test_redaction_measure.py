"""What the figures of redaction say."""

from __future__ import annotations

from typing import Any

from qa_monitor.calls import Dialogue, EntityType, RedactedDialogue, RedactedTurn, Span
from qa_monitor.redaction.measure import measure

CALL: dict[str, Any] = {
    "id": "c1",
    "turns": [
        {"speaker": "agent", "text": "Your name?", "phi": []},
        {
            "speaker": "caller",
            "text": "Ray Ortega on the fourteenth",
            "phi": [
                {"start": 0, "end": 10, "type": "PERSON", "text": "Ray Ortega"},
                {"start": 14, "end": 28, "type": "DATE", "text": "the fourteenth"},
            ],
        },
    ],
}


class Fixed:
    """Redacts the same stretches of the second turn whatever it is given."""

    version = "fixed"

    def __init__(self, *stretches: tuple[int, int, EntityType]) -> None:
        self._stretches = stretches

    def redact(self, dialogue: Dialogue) -> RedactedDialogue:
        turns = []
        for turn in dialogue.turns:
            spans = tuple(
                Span(
                    start=start,
                    end=end,
                    source_start=start,
                    source_end=end,
                    entity_type=entity_type,
                    recognizer="fixed",
                    confidence=1.0,
                    start_s=None,
                    end_s=None,
                )
                for start, end, entity_type in self._stretches
                if turn.index == 1
            )
            turns.append(
                RedactedTurn(
                    index=turn.index,
                    speaker=turn.speaker,
                    role=turn.role,
                    role_confidence=1.0,
                    start_s=None,
                    end_s=None,
                    text=turn.text,
                    spans=spans,
                )
            )
        return RedactedDialogue(
            call_id=dialogue.call_id,
            language="en",
            asr_model="t",
            redactor_version="fixed",
            dropped_s=0.0,
            turns=tuple(turns),
        )


def test_any_type_counts_for_recall_and_agreement_is_told_apart() -> None:
    figures = measure([CALL], Fixed((0, 10, EntityType.ORGANIZATION), (18, 28, EntityType.DATE)))
    assert figures.character_recall == round(20 / 24, 4)
    assert figures.type_agreement == 0.5
    assert figures.character_precision == figures.span_precision == 1.0
    assert figures.recall_by_type == {"DATE": round(10 / 14, 4), "PERSON": 1.0}


def test_an_article_left_is_no_leak_but_a_name_is() -> None:
    whole = Fixed((0, 10, EntityType.PERSON), (18, 28, EntityType.DATE))
    assert measure([CALL], whole).calls_without_leak == 1.0
    part = Fixed((0, 3, EntityType.PERSON), (18, 28, EntityType.DATE))
    figures = measure([CALL], part)
    assert figures.calls_without_leak == 0.0
    assert figures.label_recall == 0.5


def test_a_span_mostly_outside_labels_is_wrong() -> None:
    figures = measure([CALL], Fixed((9, 14, EntityType.PERSON)))
    assert figures.span_precision == 0.0
    assert figures.over_redacted_characters == 4


def test_nothing_to_measure_is_none_and_figures_are_plain_values() -> None:
    figures = measure([], Fixed())
    assert figures.character_recall is None
    assert figures.as_dict()["calls"] == 0
    assert figures.as_dict()["recall_by_type"] == {}
