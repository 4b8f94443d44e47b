"""What reviewers found beside what the machine found, as agreement is worked out from it.

Of each person and call the first finished review counts, with what stood in it when it was
finished: whoever comes back later has seen more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from sqlalchemy import and_, exists, func, select

from qa_monitor.store.database import Database
from qa_monitor.store.people import Scope
from qa_monitor.store.queueing import CallValue
from qa_monitor.store.reviews import CALL_TYPE, OUTCOME, JudgementKind, judgements, reviews
from qa_monitor.store.tables import calls, runs, scorecards, scores
from qa_monitor.store.tasks import TaskPurpose, blind_calls, review_tasks

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

__all__ = ["LatestWord", "Rating", "Ratings"]

_VERSIONS = TypeAdapter(dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What one person said of one head of a call, and what the machine had said.

    ``subject`` is a criterion, ``CALL_TYPE`` or ``OUTCOME``; ``said`` and ``machine`` are points or
    a code, ``None`` for not assessable, or left open. ``began_at`` is the call's. ``is_blind``
    tells that the person had not seen the machine's; ``is_sampled`` that the call was drawn at
    random to be read, ``is_sampled_twice`` that it was drawn to be read by two. ``scoring`` and
    ``rubric`` are the versions that the machine's word is of.
    """

    review_id: int
    call_id: str
    user_id: str
    subject: str
    said: CallValue
    machine: CallValue
    began_at: datetime
    is_blind: bool
    is_sampled: bool
    is_sampled_twice: bool
    scoring: str
    rubric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestWord:
    """The last that a person said of one head of a call, in a review they finished."""

    user_id: str
    subject: str
    said: CallValue
    said_at: datetime
    is_blind: bool
    is_sampled: bool


class Ratings:
    """``Store.ratings``; each method is one transaction, and raises ``StoreError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_calls(
        self, scope: Scope, *, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[Rating, ...]:
        """The ratings of calls within ``scope`` that began in ``[since, until)``, oldest first."""
        began = func.coalesce(calls.c.started_at, calls.c.first_scored_at)
        firsts = select(func.min(reviews.c.review_id)).group_by(
            reviews.c.call_id, reviews.c.user_id
        )
        chosen = [
            scope.condition(),
            judgements.c.review_id.in_(firsts),
            ~judgements.c.subject.startswith("checklist:"),
        ]
        if since is not None:
            chosen.append(began >= since)
        if until is not None:
            chosen.append(began < until)
        query = (
            select(
                judgements,
                began.label("began_at"),
                scores.c.points.label("machine_points"),
                scorecards.c.call_type,
                scorecards.c.escalated,
                scorecards.c.rubric_version,
                runs.c.versions,
                _is_sampled(TaskPurpose.FIRST).label("is_sampled"),
                _is_sampled(TaskPurpose.SECOND).label("is_sampled_twice"),
            )
            .join(calls, calls.c.call_id == judgements.c.call_id)
            .join(runs, runs.c.run_id == judgements.c.run_id)
            .join(scorecards, scorecards.c.card_id == judgements.c.card_id)
            .outerjoin(
                scores,
                and_(
                    scores.c.card_id == judgements.c.card_id,
                    scores.c.criterion == judgements.c.subject,
                ),
            )
            .where(*chosen)
            .order_by(judgements.c.judgement_id)
        )

        def work(connection: Connection) -> tuple[Rating, ...]:
            # The last word on each head of a review is the one that it was finished with.
            last = {(row.review_id, row.subject): row for row in connection.execute(query)}
            return tuple(_rating_of(row) for row in last.values())

        return self._database.read(work)

    def latest_words(
        self,
        scope: Scope,
        *,
        after: str | None = None,
        limit: int | None = None,
        blind_for: str | None = None,
    ) -> Mapping[str, Sequence[LatestWord]]:
        """Each call within ``scope`` that was reviewed, with everybody's latest finished words.

        In the order of the call ids; all, or ``limit`` calls ``after`` one. Of each person and head
        the last word counts, of whichever run; words of reviews that are not finished do not. Left
        out are the calls that the user ``blind_for`` is to review blind.
        """
        reviewed = (
            select(reviews.c.call_id)
            .join(calls, calls.c.call_id == reviews.c.call_id)
            .where(scope.condition())
            .distinct()
            .order_by(reviews.c.call_id)
            .limit(limit)
        )
        if blind_for is not None:
            reviewed = reviewed.where(reviews.c.call_id.not_in(blind_calls(blind_for)))
        if after is not None:
            reviewed = reviewed.where(reviews.c.call_id > after)
        query = (
            select(judgements, _is_sampled(TaskPurpose.FIRST).label("sampled"))
            .join(calls, calls.c.call_id == judgements.c.call_id)
            .where(
                judgements.c.call_id.in_(reviewed),
                judgements.c.review_id.is_not(None),
                ~judgements.c.subject.startswith("checklist:"),
            )
            .order_by(judgements.c.call_id, judgements.c.judgement_id)
        )

        def work(connection: Connection) -> Mapping[str, Sequence[LatestWord]]:
            words: dict[str, dict[tuple[str, str], LatestWord]] = {
                call_id: {} for call_id in connection.scalars(reviewed)
            }
            for row in connection.execute(query):
                words[row.call_id][row.user_id, row.subject] = LatestWord(
                    user_id=row.user_id,
                    subject=row.subject,
                    said=_value_of(row),
                    said_at=row.judged_at,
                    is_blind=row.kind == JudgementKind.BLIND.value,
                    is_sampled=bool(row.sampled),
                )
            return {call_id: tuple(latest.values()) for call_id, latest in words.items()}

        return self._database.read(work)


def _is_sampled(purpose: TaskPurpose) -> ColumnElement[bool]:
    return exists().where(
        review_tasks.c.call_id == calls.c.call_id,
        review_tasks.c.purpose == purpose.value,
        review_tasks.c.is_random,
    )


def _value_of(row: Any) -> CallValue:
    value: CallValue = row.points if row.answer is None else row.answer
    return value


@lru_cache(maxsize=256)
def _scoring_of(versions: str) -> str:
    return _VERSIONS.validate_json(versions).get("scoring", "unknown")


def _rating_of(row: Any) -> Rating:
    machine: CallValue = row.machine_points
    if row.subject == CALL_TYPE:
        machine = row.call_type
    elif row.subject == OUTCOME:
        machine = row.escalated
    return Rating(
        review_id=row.review_id,
        call_id=row.call_id,
        user_id=row.user_id,
        subject=row.subject,
        said=_value_of(row),
        machine=machine,
        began_at=row.began_at,
        is_blind=row.kind == JudgementKind.BLIND.value,
        is_sampled=bool(row.is_sampled),
        is_sampled_twice=bool(row.is_sampled_twice),
        scoring=_scoring_of(row.versions),
        rubric=row.rubric_version,
    )
