"""What the API tells of one call: every field named, so that nothing slips out by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from qa_monitor.calls import (
    CallRecord,
    CallType,
    ChecklistAnswer,
    Criterion,
    Direction,
    EntityType,
    EscalationOutcome,
    Evidence,
    Measure,
    Role,
    ScoreStatus,
    Unit,
)
from qa_monitor.store import Comment, Judgement, JudgementKind, Review, ReviewKind

__all__ = [
    "CallOut",
    "CommentOut",
    "HistoryEntryOut",
    "HistoryOut",
    "JudgementOut",
    "RescoredOut",
    "ReviewOut",
    "call_out",
]


class _Out(BaseModel):
    """What the API tells of something; fields are those of the value of that name."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class EvidenceOut(_Out):
    """``[start, end)`` of the redacted text of turn ``turn_index``, and what stands there."""

    turn_index: int
    start: int
    end: int
    quote: str


class EffectOut(_Out):
    """What one feature of the call did to a score."""

    feature: str
    points: float
    evidence: list[EvidenceOut]


class ScoreOut(_Out):
    """One criterion; ``points`` is null where none are given, and ``status`` says why."""

    criterion: Criterion
    points: float | None
    max_points: float
    low: float | None
    high: float | None
    confidence: float
    status: ScoreStatus
    reason: str
    evidence: list[EvidenceOut]
    effects: list[EffectOut]


class ChecklistItemOut(_Out):
    """One item of the checklist."""

    item: str
    answer: ChecklistAnswer
    weight: float
    is_auto_fail: bool
    confidence: float
    reason: str
    evidence: list[EvidenceOut]


class ScorecardOut(_Out):
    """The machine's scores; corrections stand beside them, in ``judgements``."""

    rubric_version: str
    run_id: int
    total: float | None
    call_type: CallType | None
    also: list[CallType]
    escalated: EscalationOutcome | None
    escalation_delay_s: float | None
    needs_review: bool
    review_reasons: list[str]
    auto_failed: list[str]
    scores: list[ScoreOut]
    checklist: list[ChecklistItemOut]


class SpanOut(_Out):
    """A placeholder in a turn's text: what was there, and when it is said."""

    start: int
    end: int
    entity_type: EntityType
    start_s: float | None
    end_s: float | None


class TurnOut(_Out):
    """A turn, in redacted words."""

    index: int
    role: Role
    role_confidence: float
    start_s: float | None
    end_s: float | None
    is_doubtful: bool
    text: str
    spans: list[SpanOut]


class MeasureOut(_Out):
    """A measure of the call, and what it rests on."""

    name: str
    unit: Unit
    value: float | bool | None
    basis: str


class JudgementOut(_Out):
    """What one person says of one subject of the call.

    ``subject`` is a criterion, ``call_type``, ``escalated``, or ``checklist:`` and an item's name.
    """

    judgement_id: int
    run_id: int
    rubric_version: str
    user_id: str
    kind: JudgementKind
    subject: str
    points: float | None
    answer: str | None
    reason: str | None
    judged_at: datetime
    is_in_force: bool
    is_final: bool

    @classmethod
    def of(cls, judgement: Judgement) -> JudgementOut:
        """As the API tells it."""
        names = set(cls.model_fields) - {"is_final"}
        values = {name: getattr(judgement, name) for name in names}
        return cls(**values, is_final=judgement.review_id is not None)


class CommentOut(_Out):
    """A remark on a moment of the call."""

    comment_id: int
    run_id: int
    user_id: str
    role: str
    text: str
    start_s: float | None
    end_s: float | None
    turn_index: int | None
    is_for_agent: bool
    made_at: datetime


class ReviewOut(_Out):
    """A finished review."""

    review_id: int
    run_id: int
    user_id: str
    kind: ReviewKind
    started_at: datetime
    done_at: datetime
    seconds: float


class CallOut(_Out):
    """One call, without PHI but what a redacted text may still hold.

    While the user reviews the call blind ``is_blind`` is true, ``scorecard`` is null and
    ``measures`` is empty, and only what the user said is told.
    """

    call_id: str
    agent_id: str | None
    queue: str | None
    direction: Direction
    started_at: datetime | None
    duration_s: float
    channels: int
    language: str
    has_audio: bool
    is_blind: bool
    warnings: list[str]
    versions: dict[str, str]
    turns: list[TurnOut]
    scorecard: ScorecardOut | None
    measures: list[MeasureOut]
    judgements: list[JudgementOut]
    comments: list[CommentOut]
    reviews: list[ReviewOut]


class HistoryEntryOut(_Out):
    """Who said or did what, and when; ``by`` is null where the machine did."""

    at: datetime
    by: str | None
    what: str
    subject: str | None
    points: float | None
    answer: str | None
    text: str | None
    run_id: int | None


class HistoryOut(_Out):
    """What happened to a call, oldest first."""

    call_id: str
    entries: list[HistoryEntryOut]


class RescoredOut(_Out):
    """What scoring the call anew led to."""

    call_id: str
    run_id: int
    rubric_version: str
    is_changed: bool


def call_out(
    record: CallRecord,
    run_id: int,
    *,
    is_blind: bool,
    has_audio: bool,
    measures: Iterable[Measure],
    judgements: Iterable[Judgement],
    comments: Iterable[Comment],
    reviews: Iterable[Review],
) -> CallOut:
    """The call as the API tells it; where it is read blind nothing that the machine makes of it."""
    recording, dialogue = record.recording, record.dialogue
    return CallOut(
        call_id=record.call_id,
        agent_id=recording.agent_id,
        queue=recording.queue,
        direction=recording.direction,
        started_at=recording.started_at,
        duration_s=recording.duration_s,
        channels=recording.channels,
        language=dialogue.language,
        has_audio=has_audio,
        is_blind=is_blind,
        warnings=[] if is_blind else list(record.warnings),
        versions={} if is_blind else dict(record.versions),
        turns=[TurnOut.model_validate(turn) for turn in dialogue.turns],
        scorecard=None if is_blind else _card_out(record, run_id),
        measures=[
            MeasureOut(name=one.metric.name, unit=one.metric.unit, value=one.value, basis=one.basis)
            for one in measures
        ],
        judgements=[JudgementOut.of(one) for one in judgements],
        comments=[CommentOut.model_validate(one) for one in comments],
        reviews=[ReviewOut.model_validate(one) for one in reviews],
    )


def _card_out(record: CallRecord, run_id: int) -> ScorecardOut:
    card = record.scorecard

    turns = record.dialogue.turns

    def told(evidence: Sequence[Evidence]) -> list[EvidenceOut]:
        return [
            EvidenceOut(
                turn_index=one.turn_index,
                start=one.start,
                end=one.end,
                quote=record.dialogue.quote(one),
            )
            for one in evidence
            if one.turn_index < len(turns) and one.end <= len(turns[one.turn_index].text)
        ]

    return ScorecardOut(
        rubric_version=card.rubric_version,
        run_id=run_id,
        total=card.total,
        call_type=card.call_type,
        also=list(card.also),
        escalated=card.escalated,
        escalation_delay_s=card.escalation_delay_s,
        needs_review=card.needs_review,
        review_reasons=list(card.review_reasons),
        auto_failed=list(card.auto_failed),
        scores=[
            ScoreOut(
                criterion=score.criterion,
                points=score.points,
                max_points=score.max_points,
                low=score.low,
                high=score.high,
                confidence=score.confidence,
                status=score.status,
                reason=score.reason,
                evidence=told(score.evidence),
                effects=[
                    EffectOut(
                        feature=effect.feature,
                        points=effect.points,
                        evidence=told(effect.evidence),
                    )
                    for effect in score.effects
                ],
            )
            for score in card.scores
        ],
        checklist=[
            ChecklistItemOut(
                item=item.item,
                answer=item.answer,
                weight=item.weight,
                is_auto_fail=item.is_auto_fail,
                confidence=item.confidence,
                reason=item.reason,
                evidence=told(item.evidence),
            )
            for item in card.checklist
        ],
    )
