"""What reports are made of: scored calls without their words, and sums over many, corrected.

Where a person has said something else than the machine of a criterion, or has agreed with it, the
latest word on the call's latest run counts, blind ones aside; the machine's own score stays stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from sqlalchemy import and_, case, func, select

from qa_monitor.calls import CallType, ChecklistItem, Criterion, EscalationOutcome, Recording
from qa_monitor.store.database import Database
from qa_monitor.store.people import Scope, agents
from qa_monitor.store.reviews import JudgementKind, judgements
from qa_monitor.store.rows import recording_of
from qa_monitor.store.tables import calls, runs, scorecards, scores

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Subquery

__all__ = ["Correction", "Reporting", "ScoreSum", "ScoredCall", "latest_words", "points_in_force"]

_NUMBERS = TypeAdapter(dict[str, float])
_CHECKLIST = TypeAdapter(tuple[ChecklistItem, ...])
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a person found in place of the machine's.

    ``subject``, ``points`` and ``answer`` are as in ``Judgement``; of a criterion, ``points`` of
    ``None`` say that it cannot be assessed.
    """

    subject: str
    points: float | None
    answer: str | None
    reason: str | None = field(repr=False)
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredCall:
    """A call with its card in use and what people corrected of it, without its words.

    ``points`` are the machine's; ``corrections`` are by subject.
    """

    recording: Recording
    run_id: int
    metrics: Mapping[str, float]
    call_type: CallType | None
    escalated: EscalationOutcome | None
    points: Mapping[Criterion, float | None]
    checklist: tuple[ChecklistItem, ...]
    corrections: Mapping[str, Correction]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSum:
    """How many of an agent's calls have points of a criterion, their sum and sum of squares."""

    agent_id: str
    team: str | None
    criterion: Criterion
    calls: int
    points: float
    squares: float


def latest_words() -> Subquery:
    """The latest word of a person on each subject of each run, as a subquery to be joined.

    Its columns are ``run_id``, ``subject``, ``is_correction``, ``points``, ``answer``, ``reason``,
    ``user_id`` and ``judged_at``.
    """
    seen = (JudgementKind.AGREE.value, JudgementKind.CORRECT.value)
    latest = (
        select(func.max(judgements.c.judgement_id))
        .where(judgements.c.kind.in_(seen))
        .group_by(judgements.c.run_id, judgements.c.subject)
    )
    return (
        select(
            judgements.c.run_id,
            judgements.c.subject,
            (judgements.c.kind == JudgementKind.CORRECT.value).label("is_correction"),
            judgements.c.points,
            judgements.c.answer,
            judgements.c.reason,
            judgements.c.user_id,
            judgements.c.judged_at,
        )
        .where(judgements.c.judgement_id.in_(latest))
        .subquery("latest_words")
    )


def points_in_force(words: Subquery) -> ColumnElement[float | None]:
    """The points that count, where ``scores`` is outer-joined with ``words`` (latest words)."""
    return case((words.c.is_correction, words.c.points), else_=scores.c.points)


class Reporting:
    """``Store.reporting``; each method is one transaction, and raises ``StoreError``."""

    def __init__(self, database: Database) -> None:
        self._read = database.read

    def sums(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        scope: Scope | None = None,
    ) -> tuple[ScoreSum, ...]:
        """The points in force of every agent's calls begun in ``[since, until)``, summed up."""
        words = latest_words()
        points = points_in_force(words)
        query = (
            select(
                calls.c.agent_id,
                agents.c.team,
                scores.c.criterion,
                func.count(points).label("calls"),
                func.sum(points).label("points"),
                func.sum(points * points).label("squares"),
            )
            .join(runs, runs.c.run_id == calls.c.latest_run_id)
            .join(scores, scores.c.card_id == runs.c.card_id)
            .outerjoin(agents, agents.c.agent_id == calls.c.agent_id)
            .outerjoin(
                words,
                and_(words.c.run_id == runs.c.run_id, words.c.subject == scores.c.criterion),
            )
            .where(calls.c.agent_id.is_not(None), *_within(since, until, scope))
            .group_by(calls.c.agent_id, agents.c.team, scores.c.criterion)
        )
        return self._read(
            lambda c: tuple(
                ScoreSum(
                    agent_id=row.agent_id,
                    team=row.team,
                    criterion=Criterion(row.criterion),
                    calls=row.calls,
                    points=row.points or 0.0,
                    squares=row.squares or 0.0,
                )
                for row in c.execute(query)
                if row.calls
            )
        )

    def calls(
        self,
        agent_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        call_id: str | None = None,
    ) -> tuple[ScoredCall, ...]:
        """The agent's calls begun in ``[since, until)``, oldest first, or call ``call_id`` only.

        With a period, calls without a date are left out.
        """
        chosen = [calls.c.agent_id == agent_id, *_within(since, until, None)]
        if call_id is not None:
            chosen.append(calls.c.call_id == call_id)
        return self._read(lambda c: _scored_calls(c, chosen))

    def counts(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        scope: Scope | None = None,
    ) -> Mapping[str, int]:
        """How many scored calls each agent has that began in ``[since, until)``."""
        query = (
            select(calls.c.agent_id, func.count())
            .where(calls.c.agent_id.is_not(None), *_within(since, until, scope))
            .group_by(calls.c.agent_id)
        )
        return self._read(lambda c: {row[0]: row[1] for row in c.execute(query)})


def _within(
    since: datetime | None, until: datetime | None, scope: Scope | None
) -> list[ColumnElement[bool]]:
    chosen: list[ColumnElement[bool]] = [calls.c.latest_run_id.is_not(None)]
    if since is not None:
        chosen.append(calls.c.started_at >= since)
    if until is not None:
        chosen.append(calls.c.started_at < until)
    if scope is not None:
        chosen.append(scope.condition())
    return chosen


def _scored_calls(
    connection: Connection, chosen: Sequence[ColumnElement[bool]]
) -> tuple[ScoredCall, ...]:
    points: dict[int, dict[Criterion, float | None]] = {}
    for row in connection.execute(
        select(runs.c.run_id, scores.c.criterion, scores.c.points)
        .join(runs, runs.c.card_id == scores.c.card_id)
        .join(calls, calls.c.latest_run_id == runs.c.run_id)
        .where(*chosen)
    ):
        points.setdefault(row.run_id, {})[Criterion(row.criterion)] = row.points
    corrections = _corrections(connection, chosen)
    rows = connection.execute(
        select(
            calls,
            runs.c.run_id,
            runs.c.metrics,
            scorecards.c.call_type,
            scorecards.c.escalated,
            scorecards.c.checklist,
        )
        .join(runs, runs.c.run_id == calls.c.latest_run_id)
        .join(scorecards, scorecards.c.card_id == runs.c.card_id)
        .where(*chosen)
        .order_by(calls.c.started_at.is_(None), calls.c.started_at, calls.c.call_id)
    )
    return tuple(
        ScoredCall(
            recording=recording_of(row),
            run_id=row.run_id,
            metrics=_NUMBERS.validate_json(row.metrics),
            call_type=CallType(row.call_type) if row.call_type else None,
            escalated=EscalationOutcome(row.escalated) if row.escalated else None,
            points=points.get(row.run_id, {}),
            checklist=_CHECKLIST.validate_json(row.checklist),
            corrections=corrections.get(row.call_id, {}),
        )
        for row in rows
    )


def _corrections(
    connection: Connection, chosen: Sequence[ColumnElement[bool]]
) -> dict[str, dict[str, Correction]]:
    words = latest_words()
    found: dict[str, dict[str, Correction]] = {}
    query = (
        select(calls.c.call_id, words)
        .join(words, words.c.run_id == calls.c.latest_run_id)
        .where(words.c.is_correction, *chosen)
    )
    row: Any
    for row in connection.execute(query):
        found.setdefault(row.call_id, {})[row.subject] = Correction(
            subject=row.subject,
            points=row.points,
            answer=row.answer,
            reason=row.reason,
            by=row.user_id,
            at=row.judged_at,
        )
    return found
