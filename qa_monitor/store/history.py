"""What happened to a call from its first scoring on: who said or did what, and when.

Each source tells its own part; a new one is added to ``_SOURCES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from sqlalchemy import select

from qa_monitor.store import coaching
from qa_monitor.store.reviews import (
    HistoryEntry,
    JudgementKind,
    RescoringKind,
    ReviewKind,
    comments,
    judgements,
    rescorings,
    reviews,
)
from qa_monitor.store.rows import run_of
from qa_monitor.store.tables import alert_events, alerts, runs, scorecards

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["history_of"]

_ROLES = "roles"


def history_of(
    connection: Connection, call_id: str, *, seen_by: str | None, for_agent: bool
) -> tuple[HistoryEntry, ...]:
    """What happened to the call, oldest first; empty when nothing is stored of it.

    Of blind reviews that are not finished only what ``seen_by`` said is told; ``for_agent`` leaves
    out what is not for the agent.
    """
    entries = [entry for source in _SOURCES for entry in source(connection, call_id)]
    shown = [
        entry
        for entry in entries
        if (entry.is_for_agent or not for_agent)
        and (entry.is_final or (entry.by is not None and entry.by == seen_by))
    ]
    return tuple(sorted(shown, key=lambda entry: entry.at))


def _scorings(connection: Connection, call_id: str) -> Iterator[HistoryEntry]:
    """Runs and their cards, each once, with who had them made where that was on a page."""
    asked = list(
        connection.execute(
            select(rescorings)
            .where(rescorings.c.call_id == call_id)
            .order_by(rescorings.c.rescoring_id)
        )
    )
    cards = connection.execute(
        select(
            runs.c.run_id,
            runs.c.call_id,
            runs.c.scored_at,
            runs.c.versions,
            scorecards.c.rubric_version,
            scorecards.c.total,
            scorecards.c.made_at,
        )
        .join(runs, runs.c.run_id == scorecards.c.run_id)
        .where(runs.c.call_id == call_id)
        .order_by(scorecards.c.card_id)
    )
    seen: set[int] = set()
    totals: dict[tuple[int, str], float | None] = {}
    for row in cards:
        run = run_of(row)
        totals[run.run_id, run.rubric_version] = run.total
        is_new_run = run.run_id not in seen
        kind = RescoringKind.ROLES_SWAPPED if is_new_run else RescoringKind.RESCORED
        by = next(
            (
                one
                for one in asked
                if one.run_id == run.run_id
                and one.kind == kind.value
                and (is_new_run or one.rubric_version == run.rubric_version)
                and one.made_at >= row.made_at
            ),
            None,
        )
        if by is not None:
            asked.remove(by)
        if not is_new_run:
            what = "rescored"
        elif by is not None or run.versions.get(_ROLES):
            what = "roles_swapped"
        else:
            what = "scored_again" if seen else "scored"
        seen.add(run.run_id)
        yield HistoryEntry(
            at=row.made_at,
            by=None if by is None else by.user_id,
            what=what,
            points=run.total,
            answer=run.rubric_version,
            run_id=run.run_id,
        )
    # Who rescored and got a card that was there already.
    for one in asked:
        yield HistoryEntry(
            at=one.made_at,
            by=one.user_id,
            what=one.kind,
            points=totals.get((one.run_id, one.rubric_version)),
            answer=one.rubric_version,
            run_id=one.run_id,
        )


def _judgements(connection: Connection, call_id: str) -> Iterator[HistoryEntry]:
    for row in connection.execute(select(judgements).where(judgements.c.call_id == call_id)):
        yield HistoryEntry(
            at=row.judged_at,
            by=row.user_id,
            what=row.kind,
            subject=row.subject,
            points=row.points,
            answer=row.answer,
            text=row.reason,
            run_id=row.run_id,
            is_final=row.kind != JudgementKind.BLIND.value or row.review_id is not None,
        )


def _comments(connection: Connection, call_id: str) -> Iterator[HistoryEntry]:
    for row in connection.execute(select(comments).where(comments.c.call_id == call_id)):
        yield HistoryEntry(
            at=row.made_at,
            by=row.user_id,
            what="commented",
            # What its author took back is told of, and not repeated.
            text=row.text if row.withdrawn_at is None else None,
            run_id=row.run_id,
            is_for_agent=row.is_for_agent,
        )
        if row.withdrawn_at is not None:
            yield HistoryEntry(
                at=row.withdrawn_at,
                by=row.user_id,
                what="comment_withdrawn",
                run_id=row.run_id,
                is_for_agent=row.is_for_agent,
            )


def _reviews(connection: Connection, call_id: str) -> Iterator[HistoryEntry]:
    for row in connection.execute(select(reviews).where(reviews.c.call_id == call_id)):
        is_blind = row.kind == ReviewKind.BLIND.value
        yield HistoryEntry(
            at=row.done_at,
            by=row.user_id,
            what="reviewed_blind" if is_blind else "reviewed",
            run_id=row.run_id,
        )


def _alerts(connection: Connection, call_id: str) -> Iterator[HistoryEntry]:
    for row in connection.execute(
        select(alert_events, alerts.c.reason, alerts.c.run_id)
        .join(alerts, alerts.c.alert_id == alert_events.c.alert_id)
        .where(alerts.c.call_id == call_id)
        .order_by(alert_events.c.event_id)
    ):
        yield HistoryEntry(
            at=row.set_at,
            by=None if row.set_by == "scoring" else row.set_by,
            what=f"alert_{row.state}",
            subject=row.reason,
            answer=row.severity,
            run_id=row.run_id,
            is_for_agent=False,
        )


_SOURCES: tuple[Callable[[Connection, str], Iterable[HistoryEntry]], ...] = (
    _scorings,
    _judgements,
    _comments,
    _reviews,
    _alerts,
    coaching.history_of,
)
