"""Values to columns, and rows back to values, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pydantic import TypeAdapter

from qa_monitor.calls import (
    Alert,
    CallRecord,
    CallType,
    ChecklistItem,
    Criterion,
    Direction,
    Effect,
    EscalationOutcome,
    Evidence,
    FailedCall,
    Finding,
    Recording,
    RedactedDialogue,
    Score,
    Scorecard,
    ScoreStatus,
    Severity,
)
from qa_monitor.store.values import (
    AlertEvent,
    AlertState,
    CallSummary,
    CardSummary,
    Delivery,
    DeliveryState,
    RunSummary,
    StoredAlert,
)

if TYPE_CHECKING:
    from sqlalchemy import Row

    AnyRow: TypeAlias = Row[*tuple[Any, ...]]

__all__ = [
    "alert_of",
    "call_columns",
    "card_columns",
    "card_of",
    "card_summary_of",
    "delivery_of",
    "delivery_state_of",
    "event_of",
    "evidence_column",
    "failure_of",
    "is_of_dialogue",
    "record_of",
    "recording_of",
    "review_columns",
    "run_columns",
    "run_of",
    "score_columns",
    "score_of",
    "stored_alert_of",
    "summary_of",
    "transcript_columns",
]

_T = TypeVar("_T")

_DIALOGUE = TypeAdapter(RedactedDialogue)
_FINDINGS = TypeAdapter(tuple[Finding, ...])
_EVIDENCE = TypeAdapter(tuple[Evidence, ...])
_NUMBERS = TypeAdapter(dict[str, float])
_VERSIONS = TypeAdapter(dict[str, str])
_CODES = TypeAdapter(tuple[str, ...])
_CALL_TYPES = TypeAdapter(tuple[CallType, ...])
_CHECKLIST = TypeAdapter(tuple[ChecklistItem, ...])
_EFFECTS = TypeAdapter(tuple[Effect, ...])

_RECORDING_FIELDS = (
    "call_id",
    "interaction_id",
    "sha256",
    "source",
    "agent_id",
    "queue",
    "direction",
    "started_at",
    "duration_s",
    "channels",
    "caller_key",
    "hold_s",
    "after_call_s",
    "disposition_code",
    "resolved",
    "transferred",
)


def _dump(adapter: TypeAdapter[_T], value: _T) -> str:
    # A warning about a value would quote it.
    return adapter.dump_json(value, warnings=False).decode()


# --- values to columns ---------------------------------------------------------------------------


def call_columns(recording: Recording) -> dict[str, Any]:
    """What ``calls`` keeps of a recording."""
    columns = {name: getattr(recording, name) for name in _RECORDING_FIELDS}
    return {**columns, "direction": recording.direction.value}


def run_columns(record: CallRecord) -> dict[str, Any]:
    """What ``runs`` keeps of a record."""
    return {
        "call_id": record.call_id,
        "versions": _dump(_VERSIONS, dict(record.versions)),
        "warnings": _dump(_CODES, record.warnings),
        "metrics": _dump(_NUMBERS, dict(record.metrics)),
    }


def card_columns(card: Scorecard) -> dict[str, Any]:
    """What ``scorecards`` keeps of a card."""
    return {
        "rubric_version": card.rubric_version,
        "total": card.total,
        **review_columns(card),
        "call_type": card.call_type and card.call_type.value,
        "also": _dump(_CALL_TYPES, card.also),
        "call_type_confidence": card.call_type_confidence,
        "urgency_probability": card.urgency_probability,
        "escalated": card.escalated and card.escalated.value,
        "escalation_delay_s": card.escalation_delay_s,
        "checklist": _dump(_CHECKLIST, card.checklist),
        "auto_failed": _dump(_CODES, card.auto_failed),
    }


def review_columns(card: Scorecard) -> dict[str, Any]:
    """What ``scorecards`` keeps of why a person should look."""
    return {
        "needs_review": card.needs_review,
        "review_reasons": _dump(_CODES, card.review_reasons),
    }


def transcript_columns(record: CallRecord) -> dict[str, Any]:
    """What ``transcripts`` keeps of a record."""
    return {
        "dialogue": _dump(_DIALOGUE, record.dialogue),
        "findings": _dump(_FINDINGS, record.findings),
    }


def score_columns(score: Score) -> dict[str, Any]:
    """What ``scores`` keeps of a score."""
    return {
        "criterion": score.criterion.value,
        "points": score.points,
        "max_points": score.max_points,
        "confidence": score.confidence,
        "reason": score.reason,
        "evidence": evidence_column(score.evidence),
        "status": score.status.value,
        "low": score.low,
        "high": score.high,
        "effects": _dump(_EFFECTS, score.effects),
    }


def evidence_column(evidence: tuple[Evidence, ...]) -> str:
    """Evidence as it stands in a column."""
    return _dump(_EVIDENCE, evidence)


# --- rows to values ------------------------------------------------------------------------------


def evidence_of(column: str) -> tuple[Evidence, ...]:
    """Evidence, of a column that holds it."""
    return _EVIDENCE.validate_json(column)


def score_of(row: AnyRow) -> Score:
    """One criterion of a card."""
    return Score(
        criterion=Criterion(row.criterion),
        points=row.points,
        max_points=row.max_points,
        confidence=row.confidence,
        evidence=_EVIDENCE.validate_json(row.evidence),
        reason=row.reason,
        status=ScoreStatus(row.status),
        low=row.low,
        high=row.high,
        effects=_EFFECTS.validate_json(row.effects),
    )


def card_of(call_id: str, row: AnyRow, card_scores: tuple[Score, ...]) -> Scorecard:
    """A score card of ``call_id``."""
    return Scorecard(
        call_id=call_id,
        rubric_version=row.rubric_version,
        scores=card_scores,
        total=row.total,
        needs_review=row.needs_review,
        review_reasons=_CODES.validate_json(row.review_reasons),
        call_type=CallType(row.call_type) if row.call_type else None,
        also=_CALL_TYPES.validate_json(row.also),
        call_type_confidence=row.call_type_confidence,
        urgency_probability=row.urgency_probability,
        escalated=EscalationOutcome(row.escalated) if row.escalated else None,
        escalation_delay_s=row.escalation_delay_s,
        checklist=_CHECKLIST.validate_json(row.checklist),
        auto_failed=_CODES.validate_json(row.auto_failed),
    )


def is_of_dialogue(column: str, dialogue: RedactedDialogue) -> bool:
    """Whether a column holds ``dialogue``, whatever was heard of its redacted sound."""
    stored = _DIALOGUE.validate_json(column)
    return replace(stored, verification=dialogue.verification) == dialogue


def recording_of(row: AnyRow) -> Recording:
    """What ``calls`` keeps of a recording."""
    values = {name: getattr(row, name) for name in _RECORDING_FIELDS}
    return Recording(**{**values, "direction": Direction(row.direction)})


def record_of(row: AnyRow, card_scores: tuple[Score, ...]) -> CallRecord:
    """A record, of a row with its call, run, card and transcript."""
    versions = _VERSIONS.validate_json(row.versions)
    if "rubric" in versions:
        # The run's own card may no longer be the one in use.
        versions["rubric"] = row.rubric_version
    return CallRecord(
        recording=recording_of(row),
        dialogue=_DIALOGUE.validate_json(row.dialogue),
        findings=_FINDINGS.validate_json(row.findings),
        scorecard=card_of(row.call_id, row, card_scores),
        metrics=_NUMBERS.validate_json(row.metrics),
        versions=versions,
        warnings=_CODES.validate_json(row.warnings),
    )


def summary_of(row: AnyRow, points: Mapping[Criterion, float | None]) -> CallSummary:
    """A line of a table of calls."""
    return CallSummary(
        call_id=row.call_id,
        run_id=row.run_id,
        agent_id=row.agent_id,
        queue=row.queue,
        started_at=row.started_at,
        duration_s=row.duration_s,
        scored_at=row.scored_at,
        call_type=CallType(row.call_type) if row.call_type else None,
        urgency=points.get(Criterion.URGENCY),
        escalated=EscalationOutcome(row.escalated) if row.escalated else None,
        points=points,
        total=row.total,
        needs_review=row.needs_review,
        warnings=_CODES.validate_json(row.warnings),
    )


def failure_of(row: AnyRow) -> FailedCall:
    """A call that could not be scored."""
    return FailedCall(
        call_id=row.call_id,
        source=row.source,
        sha256=row.sha256,
        stage=row.stage,
        error=row.error,
        message=row.message,
    )


def alert_of(row: AnyRow, severity: Severity) -> Alert:
    """An alert at ``severity``, which may be an earlier one than it has now."""
    return Alert(
        alert_id=row.alert_id,
        call_id=row.call_id,
        severity=severity,
        reason=row.reason,
        evidence=_EVIDENCE.validate_json(row.evidence),
        raised_at=row.raised_at,
    )


def delivery_state_of(row: AnyRow) -> DeliveryState:
    """How far a delivery has come."""
    return DeliveryState(
        channel=row.channel,
        severity=Severity(row.severity),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        delivered_at=row.delivered_at,
        last_error=row.last_error,
        step=row.step,
        is_held=row.is_held,
    )


def delivery_of(row: AnyRow) -> Delivery:
    """A delivery, of a row with its alert."""
    return Delivery(
        delivery_id=row.delivery_id,
        channel=row.channel,
        alert=alert_of(row, Severity(row.told_severity)),
        is_raise=row.is_raise,
        attempts=row.attempts,
        step=row.step,
        is_held=row.is_held,
    )


def run_of(row: AnyRow) -> RunSummary:
    """One scoring of a call."""
    return RunSummary(
        run_id=row.run_id,
        call_id=row.call_id,
        scored_at=row.scored_at,
        rubric_version=row.rubric_version,
        versions=_VERSIONS.validate_json(row.versions),
        total=row.total,
    )


def card_summary_of(row: AnyRow) -> CardSummary:
    """One score card of a run."""
    return CardSummary(
        rubric_version=row.rubric_version,
        made_at=row.made_at,
        total=row.total,
        auto_failed=_CODES.validate_json(row.auto_failed),
        is_in_use=row.is_in_use,
    )


def stored_alert_of(row: AnyRow, states: Sequence[DeliveryState]) -> StoredAlert:
    """An alert and what became of it."""
    return StoredAlert(
        alert=alert_of(row, Severity(row.severity)),
        run_id=row.run_id,
        first_raised_at=row.first_raised_at,
        state=AlertState(row.state),
        deliveries=tuple(states),
    )


def event_of(row: AnyRow) -> AlertEvent:
    """Who set which state of an alert."""
    return AlertEvent(
        alert_id=row.alert_id,
        state=AlertState(row.state),
        severity=Severity(row.severity),
        set_at=row.set_at,
        set_by=row.set_by,
        note=row.note,
    )
