"""What people corrected, put in the place of what the machine said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from qa_monitor.calls import (
    CallRecord,
    CallType,
    ChecklistAnswer,
    ChecklistItem,
    EscalationOutcome,
    Score,
    ScoreStatus,
)
from qa_monitor.store import Correction
from qa_monitor.store.reviews import CALL_TYPE, OUTCOME, checklist_subject

__all__ = ["corrected", "corrected_checklist"]


def corrected(record: CallRecord, corrections: Mapping[str, Correction]) -> CallRecord:
    """``record`` with what people found in place of the machine's; the total stays as it was.

    ``corrections`` are by subject, as ``Judgement.subject`` has them.
    """
    if not corrections:
        return record
    card = record.scorecard
    call_type, outcome = corrections.get(CALL_TYPE), corrections.get(OUTCOME)
    return replace(
        record,
        scorecard=replace(
            card,
            scores=tuple(_score(score, corrections.get(score.criterion)) for score in card.scores),
            checklist=corrected_checklist(card.checklist, corrections),
            call_type=CallType(call_type.answer)
            if call_type is not None and call_type.answer
            else card.call_type,
            escalated=EscalationOutcome(outcome.answer)
            if outcome is not None and outcome.answer
            else card.escalated,
        ),
    )


def corrected_checklist(
    checklist: tuple[ChecklistItem, ...], corrections: Mapping[str, Correction]
) -> tuple[ChecklistItem, ...]:
    """The items with the answers that people gave in place of the machine's."""
    return tuple(
        replace(item, answer=ChecklistAnswer(found.answer))
        if (found := corrections.get(checklist_subject(item.item))) is not None and found.answer
        else item
        for item in checklist
    )


def _score(score: Score, correction: Correction | None) -> Score:
    if correction is None:
        return score
    status = ScoreStatus.NOT_ASSESSABLE if correction.points is None else ScoreStatus.SCORED
    return replace(score, points=correction.points, status=status, low=None, high=None, effects=())
