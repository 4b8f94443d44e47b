"""The review queue: what is to be reviewed, who has it, and what was read blind.

``Queueing.refresh`` works off what has changed (see ``tasks``), a few hundred calls a transaction,
so that looking at the queue costs what has changed and not what is stored. Which calls are wanted,
and why, is ``qa_monitor.reviewing``'s to decide.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import and_, case, delete, exists, false, func, insert, or_, select, update

from qa_monitor.errors import NotFoundError, UsageError
from qa_monitor.store.accesslog import access_log
from qa_monitor.store.coaching import DisputeState, disputes
from qa_monitor.store.database import Database
from qa_monitor.store.people import Scope
from qa_monitor.store.reviews import CALL_TYPE, OUTCOME, ReviewKind, judgements, reviews
from qa_monitor.store.tables import alerts, calls, runs, scorecards, scores
from qa_monitor.store.tasks import (
    IS_OPEN,
    TaskPurpose,
    TaskState,
    note_change,
    queue_changes,
    queue_coverage,
    queue_marks,
    review_skips,
    review_tasks,
)
from qa_monitor.store.values import AlertState

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

__all__ = [
    "SEEN_ACTION",
    "CallValue",
    "Candidate",
    "Queueing",
    "Reading",
    "ReviewTask",
    "SampleCount",
    "Skip",
    "SkipReason",
    "TaskPurpose",
    "TaskState",
    "WantedTask",
]

SEEN_ACTION = "call.view"
"""How the access log calls it that somebody saw a call with its scores."""

_BATCH = 500

CallValue: TypeAlias = float | str | None
"""What somebody says of a call under one head: points, a level, a code, or not assessable."""


class SkipReason(StrEnum):
    """Why somebody passes a task on."""

    CONFLICT = "conflict"
    """They know the people: somebody else is asked."""
    OTHER = "other"
    """Somebody else is asked."""
    UNUSABLE = "unusable"
    """Nobody could judge the call: the task is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewTask:
    """One call to be reviewed, and where that stands.

    ``reason`` is the code that gives its place in the queue, ``reasons`` all that hold; of a blind
    task that is open they are not to be shown (``qa_monitor.reviewing.shown_reasons``).
    ``is_random`` tells that it is of the probability sample; ``was_blind`` that it was read blind,
    ``None`` until it is done. ``taken_by`` has it until ``taken_until``.
    """

    task_id: int
    call_id: str
    agent_id: str | None
    began_at: datetime
    purpose: TaskPurpose
    state: TaskState
    reason: str
    reasons: tuple[str, ...]
    is_blind: bool
    is_random: bool
    made_at: datetime
    assigned_to: str | None
    assigned_by: str | None
    taken_by: str | None
    taken_until: datetime | None
    closed_at: datetime | None
    closed_by: str | None
    was_blind: bool | None

    def is_taken(self, now: datetime) -> bool:
        """Whether somebody has it at the moment."""
        return self.taken_until is not None and self.taken_until > now


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """That ``user_id`` passed a task on; ``note`` is what they typed."""

    task_id: int
    call_id: str
    user_id: str
    reason: SkipReason
    note: str = field(repr=False)
    skipped_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one reviewer said of a call when finishing: a value under each head they judged."""

    user_id: str
    finished_at: datetime
    is_blind: bool
    said: Mapping[str, CallValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A call about which it is to be decided whether, and why, it is reviewed.

    ``machine`` is what its card in use says, under the heads of ``Reading.said``. ``is_random``
    tells that it was drawn into the sample before, ``is_for_coverage`` that its agent would go
    without review otherwise.
    """

    call_id: str
    agent_id: str | None
    began_at: datetime
    machine: Mapping[str, CallValue]
    review_reasons: tuple[str, ...]
    needs_review: bool
    is_auto_failed: bool
    is_false_alarm: bool
    is_disputed: bool
    is_random: bool
    is_for_coverage: bool
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTask:
    """A task that is called for: ``rank`` and then ``place`` give its place, the lowest first."""

    purpose: TaskPurpose
    reasons: tuple[str, ...]
    rank: int
    place: float
    is_blind: bool = False
    is_random: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCount:
    """What became of the calls that were drawn into the random sample in a month (``2026-03``)."""

    month: str
    drawn: int
    read_blind: int
    read_open: int
    waiting: int
    unusable: int
    lapsed: int


class Queueing:
    """``Store.queueing``; each method is one transaction, and raises ``StoreError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- what is to be reviewed ------------------------------------------------------------------

    def refresh(
        self,
        decide: Callable[[Candidate], Sequence[WantedTask]],
        *,
        policy: str,
        since: datetime,
        now: datetime,
        most: int | None = None,
    ) -> int:
        """Bring the tasks up to date with what has changed; of how many calls that was looked at.

        ``decide`` says which tasks a call that began after ``since`` calls for; older ones are
        asked for by disputes only. ``policy`` names what it decides by: when that is another than
        before, all calls since are looked at again. Open tasks of older calls lapse, but those
        somebody has. After about ``most`` calls the rest is left for another time (``unseen``).
        """

        def prepare(connection: Connection) -> None:
            stored = select(queue_marks.c.value).where(queue_marks.c.name == "policy")
            if connection.scalar(stored) != policy:
                self._mark(connection, "policy", policy)
                chosen = select(calls.c.call_id).where(_began() >= since)
                connection.execute(delete(queue_changes).where(queue_changes.c.call_id.in_(chosen)))
                connection.execute(insert(queue_changes).from_select(["call_id"], chosen))
            connection.execute(update(review_tasks).where(_is_over(since)).values(_gone(now)))

        def batch(connection: Connection) -> int:
            return self._work_off(connection, decide, since, now)

        if not self._database.read(lambda c: self._has_work(c, policy, since)):
            return 0
        self._database.write(prepare)
        looked_at = 0
        while most is None or looked_at < most:
            count = self._database.write(batch)
            if not count:
                break
            looked_at += count
        return looked_at

    def unseen(self) -> int:
        """How many changes ``refresh`` has still to look at."""
        query = select(func.count()).select_from(queue_changes)
        return self._database.read(lambda c: c.scalar(query)) or 0

    @staticmethod
    def _has_work(connection: Connection, policy: str, since: datetime) -> bool:
        stored = select(queue_marks.c.value).where(queue_marks.c.name == "policy")
        return (
            connection.scalar(select(queue_changes.c.change_id).limit(1)) is not None
            or connection.scalar(stored) != policy
            or connection.scalar(select(review_tasks.c.task_id).where(_is_over(since)).limit(1))
            is not None
        )

    def _work_off(
        self,
        connection: Connection,
        decide: Callable[[Candidate], Sequence[WantedTask]],
        since: datetime,
        now: datetime,
    ) -> int:
        """Work off some of the changes; 0 when there are none."""
        some = (
            select(queue_changes.c.change_id)
            .order_by(queue_changes.c.change_id)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        )
        taken = connection.execute(
            delete(queue_changes)
            .where(queue_changes.c.change_id.in_(some))
            .returning(queue_changes.c.call_id)
        ).all()
        call_ids = sorted({row.call_id for row in taken})
        if not call_ids:
            return 0
        tasks: dict[str, dict[str, Any]] = defaultdict(dict)
        for row in connection.execute(
            select(review_tasks).where(review_tasks.c.call_id.in_(call_ids))
        ):
            tasks[row.call_id][row.purpose] = row
        new: list[dict[str, Any]] = []
        for candidate in self._candidates(connection, call_ids, tasks):
            known = tasks[candidate.call_id]
            wanted = [
                task
                for task in decide(candidate)
                if candidate.began_at >= since or task.purpose is TaskPurpose.DISPUTE
            ]
            for task in wanted:
                before = known.get(task.purpose.value)
                if before is None:
                    new.append(
                        {
                            **_wanted_columns(task),
                            "call_id": candidate.call_id,
                            "purpose": task.purpose.value,
                            "state": TaskState.OPEN.value,
                            "began_at": candidate.began_at,
                            "made_at": now,
                        }
                    )
                else:
                    self._want_again(connection, before, task, now)
            asked = {task.purpose.value for task in wanted}
            for purpose, stored in known.items():
                if purpose not in asked and stored.state == TaskState.OPEN.value:
                    self._drop(connection, stored, candidate, now)
        if new:
            connection.execute(insert(review_tasks), new)
        return len(call_ids)

    @staticmethod
    def _want_again(connection: Connection, row: Any, task: WantedTask, now: datetime) -> None:
        is_over = row.state in (TaskState.DONE.value, TaskState.SKIPPED.value)
        if is_over and task.purpose is not TaskPurpose.DISPUTE:
            return
        values = _wanted_columns(task)
        # What was given to somebody as blind, or drawn into the sample, remains so.
        values["is_blind"] = values["is_blind"] or row.is_blind
        values["is_random"] = values["is_random"] or row.is_random
        if row.state != TaskState.OPEN.value:
            values |= {"state": TaskState.OPEN.value, "made_at": now, "taken_by": None}
            values |= {"closed_at": None, "closed_by": None, "was_blind": None}
        if any(getattr(row, name) != value for name, value in values.items()):
            own = review_tasks.c.task_id == row.task_id
            connection.execute(update(review_tasks).where(own).values(values))

    @staticmethod
    def _drop(connection: Connection, row: Any, candidate: Candidate, now: datetime) -> None:
        """Close a task that nobody asks for any more; what somebody has, they may finish."""
        is_held = row.assigned_to is not None or (
            row.taken_until is not None and row.taken_until > now
        )
        is_dispute = row.purpose == TaskPurpose.DISPUTE.value
        if is_held and not is_dispute:
            return
        own = review_tasks.c.task_id == row.task_id
        values = _gone(now)
        if is_dispute and not candidate.is_disputed:
            values["state"] = TaskState.DONE.value
        connection.execute(update(review_tasks).where(own).values(values))

    def _candidates(
        self,
        connection: Connection,
        call_ids: Sequence[str],
        tasks: Mapping[str, Mapping[str, Any]],
    ) -> Iterable[Candidate]:
        rows = connection.execute(
            select(
                calls.c.call_id,
                calls.c.agent_id,
                _began().label("began_at"),
                scorecards.c.card_id,
                scorecards.c.needs_review,
                scorecards.c.review_reasons,
                scorecards.c.auto_failed,
                scorecards.c.escalated,
                scorecards.c.call_type,
                exists()
                .where(
                    alerts.c.call_id == calls.c.call_id,
                    alerts.c.state == AlertState.FALSE_ALARM.value,
                )
                .label("is_false_alarm"),
                exists().where(queue_coverage.c.call_id == calls.c.call_id).label("is_covering"),
            )
            .join(runs, runs.c.run_id == calls.c.latest_run_id)
            .join(scorecards, scorecards.c.card_id == runs.c.card_id)
            .where(calls.c.call_id.in_(call_ids))
        ).all()
        points: dict[int, dict[str, CallValue]] = defaultdict(dict)
        for score in connection.execute(
            select(scores.c.card_id, scores.c.criterion, scores.c.points).where(
                scores.c.card_id.in_([row.card_id for row in rows])
            )
        ):
            points[score.card_id][score.criterion] = score.points
        readings = _readings(connection, call_ids)
        disputed = _disputed(connection, call_ids)
        for row in rows:
            first = tasks.get(row.call_id, {}).get(TaskPurpose.FIRST.value)
            yield Candidate(
                call_id=row.call_id,
                agent_id=row.agent_id,
                began_at=row.began_at,
                machine={
                    **points[row.card_id],
                    OUTCOME: row.escalated,
                    CALL_TYPE: row.call_type,
                },
                review_reasons=tuple(json.loads(row.review_reasons)),
                needs_review=row.needs_review,
                is_auto_failed=row.auto_failed != "[]",
                is_false_alarm=row.is_false_alarm,
                is_disputed=row.call_id in disputed,
                is_random=first is not None and first.is_random,
                is_for_coverage=row.is_covering,
                readings=readings.get(row.call_id, ()),
            )

    def cover(
        self,
        choose: Callable[[Sequence[str], int], Sequence[str]],
        *,
        floor: int,
        since: datetime,
        now: datetime,
        again_after: timedelta = timedelta(hours=1),
    ) -> int:
        """See to it that ``floor`` calls since ``since`` of each agent are reviewed, or will be.

        ``choose`` takes so many of an agent's calls that are not. Looked at anew after
        ``again_after``; how many calls were added. Follow it with ``refresh``.
        """

        def is_due(connection: Connection) -> bool:
            stored = select(queue_marks.c.value).where(queue_marks.c.name == "covered_at")
            covered_at = connection.scalar(stored)
            return covered_at is None or not (
                timedelta(0) <= now - datetime.fromisoformat(covered_at) < again_after
            )

        def work(connection: Connection) -> int:
            self._mark(connection, "covered_at", now.isoformat())
            added = 0
            for agent_id, count in self._uncovered(connection, floor, since):
                own = and_(calls.c.agent_id == agent_id, calls.c.started_at >= since)
                unread = select(calls.c.call_id).where(
                    own,
                    ~exists().where(reviews.c.call_id == calls.c.call_id),
                    ~exists().where(
                        review_tasks.c.call_id == calls.c.call_id,
                        review_tasks.c.state == TaskState.SKIPPED.value,
                    ),
                    ~exists().where(queue_coverage.c.call_id == calls.c.call_id),
                )
                chosen = choose(list(connection.scalars(unread)), count)
                for call_id in chosen:
                    connection.execute(insert(queue_coverage).values(call_id=call_id))
                    note_change(connection, call_id)
                added += len(chosen)
            return added

        if not self._database.read(is_due):
            return 0
        return self._database.write(work)

    @staticmethod
    def _uncovered(
        connection: Connection, floor: int, since: datetime
    ) -> Sequence[tuple[str, int]]:
        """Agents with fewer calls reviewed, or sure to be, than ``floor``; how many they lack."""
        agent_ids = list(
            connection.scalars(
                select(calls.c.agent_id)
                .where(calls.c.agent_id.is_not(None), calls.c.started_at >= since)
                .distinct()
            )
        )
        sure = and_(
            IS_OPEN,
            or_(
                review_tasks.c.is_random,
                review_tasks.c.assigned_to.is_not(None),
                review_tasks.c.call_id.in_(select(queue_coverage.c.call_id)),
            ),
        )
        either = (
            select(reviews.c.call_id)
            .union(select(review_tasks.c.call_id).where(review_tasks.c.began_at >= since, sure))
            .subquery()
        )
        covered = {
            row[0]: row[1]
            for row in connection.execute(
                select(calls.c.agent_id, func.count())
                .join(either, either.c.call_id == calls.c.call_id)
                .where(calls.c.started_at >= since)
                .group_by(calls.c.agent_id)
            )
        }
        lacking = ((agent_id, floor - covered.get(agent_id, 0)) for agent_id in sorted(agent_ids))
        return [(agent_id, count) for agent_id, count in lacking if count > 0]

    def _mark(self, connection: Connection, name: str, value: str) -> None:
        connection.execute(
            self._database.insert(queue_marks)
            .values(name=name, value=value)
            .on_conflict_do_update(index_elements=[queue_marks.c.name], set_={"value": value})
        )

    # --- the queue -------------------------------------------------------------------------------

    def tasks(
        self,
        scope: Scope,
        *,
        state: TaskState = TaskState.OPEN,
        reason: str | None = None,
        held_by: str | None = None,
        after: int | None = None,
        limit: int = 50,
    ) -> tuple[ReviewTask, ...]:
        """Tasks within ``scope`` in the order in which they are to be done; closed: newest first.

        Those of ``reason``; those ``held_by`` somebody, assigned or taken. ``after`` is the task
        where the page before ended.
        """
        chosen = [review_tasks.c.state == state.value]
        if reason is not None:
            chosen.append(review_tasks.c.reason == reason)
        if held_by is not None:
            chosen.append(_is_of(held_by))
        is_open = state is TaskState.OPEN
        order = _IN_ORDER if is_open else (review_tasks.c.closed_at.desc(), _ID.desc())

        def work(connection: Connection) -> tuple[ReviewTask, ...]:
            if after is not None:
                last = connection.execute(
                    select(review_tasks).where(review_tasks.c.task_id == after)
                ).one_or_none()
                if last is None or (last.closed_at is None and not is_open):
                    raise _no_task(after)
                chosen.append(_comes_after(last, is_open=is_open))
            query = _tasks(scope).where(*chosen).order_by(*order).limit(limit)
            return tuple(_task_of(row) for row in connection.execute(query))

        return self._database.read(work)

    def may_take(
        self, user_id: str, task_ids: Collection[int], *, scope: Scope, now: datetime
    ) -> frozenset[int]:
        """Those of these tasks that the user could take now."""
        query = _tasks(scope).where(
            review_tasks.c.task_id.in_(task_ids), _may_do(user_id), _is_free(user_id, now)
        )
        return self._database.read(lambda c: frozenset(row.task_id for row in c.execute(query)))

    def counts(self, scope: Scope) -> Mapping[str, int]:
        """How many tasks within ``scope`` are open, by their reason."""
        query = (
            select(review_tasks.c.reason, func.count())
            .join(calls, calls.c.call_id == review_tasks.c.call_id)
            .where(IS_OPEN, scope.condition())
            .group_by(review_tasks.c.reason)
        )
        return self._database.read(lambda c: {row[0]: row[1] for row in c.execute(query)})

    def workload(self, *, since: datetime) -> Mapping[str, tuple[int, int]]:
        """By user: open tasks assigned to them, and tasks they have done since."""
        assigned = (
            select(review_tasks.c.assigned_to, func.count())
            .where(IS_OPEN, review_tasks.c.assigned_to.is_not(None))
            .group_by(review_tasks.c.assigned_to)
        )
        done = (
            select(review_tasks.c.closed_by, func.count())
            .where(
                review_tasks.c.state == TaskState.DONE.value,
                review_tasks.c.closed_by.is_not(None),
                review_tasks.c.closed_at >= since,
            )
            .group_by(review_tasks.c.closed_by)
        )

        def work(connection: Connection) -> Mapping[str, tuple[int, int]]:
            waiting = {row[0]: row[1] for row in connection.execute(assigned)}
            read = {row[0]: row[1] for row in connection.execute(done)}
            return {
                user_id: (waiting.get(user_id, 0), read.get(user_id, 0))
                for user_id in sorted({*waiting, *read})
            }

        return self._database.read(work)

    def task(self, task_id: int, scope: Scope) -> ReviewTask:
        """A task within ``scope``; ``NotFoundError`` when there is none."""
        query = _tasks(scope).where(review_tasks.c.task_id == task_id)
        row = self._database.read(lambda c: c.execute(query).one_or_none())
        if row is None:
            raise _no_task(task_id)
        return _task_of(row)

    def task_of(self, user_id: str, call_id: str) -> ReviewTask | None:
        """The open task that the user has on the call: taken by them, or assigned to them."""
        query = (
            _tasks(Scope(all_calls=True))
            .where(IS_OPEN, review_tasks.c.call_id == call_id, _is_of(user_id))
            .order_by(review_tasks.c.is_blind.desc(), *_IN_ORDER)
            .limit(1)
        )
        row = self._database.read(lambda c: c.execute(query).one_or_none(), call_id)
        return None if row is None else _task_of(row)

    def is_blind(self, user_id: str, call_id: str) -> bool:
        """Whether the user is to read the call without seeing what machine and others say.

        So while they have an open blind task on it, even when the time they took it for is over:
        a page that is loaded again must not show what it hid.
        """
        query = select(review_tasks.c.task_id).where(
            IS_OPEN, review_tasks.c.is_blind, review_tasks.c.call_id == call_id, _is_of(user_id)
        )
        return self._database.read(lambda c: c.scalar(query.limit(1)) is not None, call_id)

    # --- doing it --------------------------------------------------------------------------------

    def next(
        self, user_id: str, *, scope: Scope, now: datetime, lease: timedelta
    ) -> ReviewTask | None:
        """The task that the user is to do next, theirs for ``lease`` from ``now``.

        What they have taken and not finished first, then what is assigned to them, then the head
        of the queue. ``None`` when nothing is left that they may do. Of two who ask at once each
        gets another.
        """
        is_theirs = case(
            (and_(review_tasks.c.taken_by == user_id, review_tasks.c.taken_until > now), 0),
            else_=1,
        )
        theirs = and_(_is_of(user_id), _is_free(user_id, now))
        anybodys = and_(review_tasks.c.assigned_to.is_(None), _is_free(user_id, now))

        def work(connection: Connection) -> ReviewTask | None:
            for which, order in (
                (theirs, (is_theirs, *_IN_ORDER)),
                (anybodys, _IN_ORDER),
            ):
                head = (
                    _tasks(scope)
                    .where(IS_OPEN, which, _may_do(user_id))
                    .order_by(*order)
                    .limit(1)
                    .with_for_update(skip_locked=True, of=review_tasks)
                )
                row = connection.execute(head).one_or_none()
                if row is not None:
                    values = {"taken_by": user_id, "taken_until": now + lease}
                    own = review_tasks.c.task_id == row.task_id
                    connection.execute(update(review_tasks).where(own).values(values))
                    return _task_of(row, **values)
            return None

        return self._database.write(work)

    def take(
        self, task_id: int, user_id: str, *, scope: Scope, now: datetime, lease: timedelta
    ) -> ReviewTask:
        """That task, taken by the user; ``UsageError`` when somebody else has it or it is over."""

        def work(connection: Connection) -> ReviewTask:
            row = self._found(connection, task_id, scope)
            if not self._fits(connection, task_id, and_(_may_do(user_id), _is_free(user_id, now))):
                raise UsageError(
                    "this task is another reviewer's, is done, or asks for somebody who has not "
                    "read the call yet. Take another one."
                )
            values = {"taken_by": user_id, "taken_until": now + lease}
            own = review_tasks.c.task_id == task_id
            connection.execute(update(review_tasks).where(own).values(values))
            return _task_of(row, **values)

        return self._database.write(work)

    def put_back(self, task_id: int, user_id: str, *, scope: Scope) -> None:
        """Let others have a task again that the user had taken, or was assigned.

        Raises ``NotFoundError``, and ``UsageError`` when it is not theirs.
        """

        def work(connection: Connection) -> None:
            self._found(connection, task_id, scope)
            if not self._fits(connection, task_id, and_(IS_OPEN, _is_of(user_id))):
                raise UsageError("this task is not yours to put back.")
            own = review_tasks.c.task_id == task_id
            nobody = {"taken_by": None, "taken_until": None, "assigned_to": None}
            connection.execute(update(review_tasks).where(own).values(nobody))

        self._database.write(work)

    def assign(
        self,
        task_ids: Collection[int],
        user_id: str | None,
        *,
        by: str,
        scope: Scope,
        reach: Scope | None,
    ) -> None:
        """Give open tasks within ``scope`` to ``user_id``, who reaches ``reach``, or to nobody.

        All or none: ``NotFoundError`` for an unknown task, ``UsageError`` for one that is over or
        that the user may not do: a call they may not review, have passed on or have read already.
        """
        values: dict[str, Any] = {"assigned_to": user_id, "assigned_by": by}

        def work(connection: Connection) -> None:
            for task_id in sorted(set(task_ids)):
                self._found(connection, task_id, scope)
                within = reach.condition() if reach is not None else false()
                fits = IS_OPEN if user_id is None else and_(_may_be_given(user_id), within)
                if not self._fits(connection, task_id, fits):
                    raise UsageError(
                        f"task {task_id} cannot be given to that user: it is over, or they may not "
                        "review the call, have passed it on, or have read it, or seen its scores, "
                        "already. Nothing was assigned."
                    )
                own = review_tasks.c.task_id == task_id
                # Whoever had taken it is no longer at it.
                if user_id is not None:
                    others = and_(own, review_tasks.c.taken_by != user_id)
                    connection.execute(
                        update(review_tasks).where(others).values(taken_by=None, taken_until=None)
                    )
                connection.execute(update(review_tasks).where(own).values(**values))

        self._database.write(work)

    def skip(
        self,
        task_id: int,
        user_id: str,
        reason: SkipReason,
        *,
        note: str = "",
        scope: Scope,
        now: datetime,
    ) -> None:
        """Pass an open task on: the user is not asked again, or nobody is (``UNUSABLE``).

        Raises ``NotFoundError``, and ``UsageError`` when the task is over or somebody else's.
        """
        said = {"reason": reason.value, "note": note, "skipped_at": now}
        values: dict[str, Any] = {"taken_until": None, "assigned_to": None}
        if reason is SkipReason.UNUSABLE:
            values |= {"state": TaskState.SKIPPED.value, "closed_at": now, "closed_by": user_id}

        def work(connection: Connection) -> None:
            self._found(connection, task_id, scope)
            if not self._fits(connection, task_id, and_(IS_OPEN, _is_free(user_id, now))):
                raise UsageError("this task is over, or another reviewer's. Take another one.")
            own = review_tasks.c.task_id == task_id
            # They have no hold on it any more, so that it is no longer blind to them alone.
            taken = case((review_tasks.c.taken_by == user_id, None), else_=review_tasks.c.taken_by)
            connection.execute(update(review_tasks).where(own).values(**values, taken_by=taken))
            connection.execute(
                self._database.insert(review_skips)
                .values(task_id=task_id, user_id=user_id, **said)
                .on_conflict_do_update(
                    index_elements=[review_skips.c.task_id, review_skips.c.user_id], set_=said
                )
            )

        self._database.write(work)

    def reopen(self, task_id: int, *, scope: Scope, now: datetime) -> None:
        """Put a task back that was closed as unusable, for everybody.

        Raises ``NotFoundError``, and ``UsageError`` when it is not closed so.
        """
        values = {"state": TaskState.OPEN.value, "made_at": now, "closed_at": None}

        def work(connection: Connection) -> None:
            row = self._found(connection, task_id, scope)
            if row.state != TaskState.SKIPPED.value:
                raise UsageError("only a task that was closed as unusable can be put back.")
            own = review_tasks.c.task_id == task_id
            connection.execute(
                update(review_tasks).where(own).values(**values, closed_by=None, taken_by=None)
            )
            connection.execute(delete(review_skips).where(review_skips.c.task_id == task_id))

        self._database.write(work)

    def skips(self, task_ids: Collection[int]) -> tuple[Skip, ...]:
        """Who passed these tasks on, and why, the newest first."""
        query = (
            select(review_skips, review_tasks.c.call_id)
            .join(review_tasks, review_tasks.c.task_id == review_skips.c.task_id)
            .where(review_skips.c.task_id.in_(task_ids))
            .order_by(review_skips.c.skipped_at.desc(), review_skips.c.task_id)
        )
        return self._database.read(
            lambda c: tuple(
                Skip(
                    task_id=row.task_id,
                    call_id=row.call_id,
                    user_id=row.user_id,
                    reason=SkipReason(row.reason),
                    note=row.note,
                    skipped_at=row.skipped_at,
                )
                for row in c.execute(query)
            )
        )

    @staticmethod
    def _found(connection: Connection, task_id: int, scope: Scope) -> Any:
        query = _tasks(scope).where(review_tasks.c.task_id == task_id)
        row = connection.execute(query.with_for_update(of=review_tasks)).one_or_none()
        if row is None:
            raise _no_task(task_id)
        return row

    @staticmethod
    def _fits(connection: Connection, task_id: int, fits: ColumnElement[bool]) -> bool:
        query = (
            select(review_tasks.c.task_id)
            .join(calls, calls.c.call_id == review_tasks.c.call_id)
            .where(review_tasks.c.task_id == task_id, fits)
        )
        return connection.scalar(query) is not None

    # --- the sample ------------------------------------------------------------------------------

    def sample(self, scope: Scope, *, since: datetime | None = None) -> tuple[SampleCount, ...]:
        """What became of the random sample, by month of the call, oldest first."""
        state, was_blind = review_tasks.c.state, review_tasks.c.was_blind
        month = func.strftime("%Y-%m", review_tasks.c.began_at)
        if not self._database.is_sqlite:
            month = func.to_char(func.timezone("UTC", review_tasks.c.began_at), "YYYY-MM")

        def count(which: ColumnElement[bool]) -> ColumnElement[int]:
            return func.sum(case((which, 1), else_=0))

        is_done = state == TaskState.DONE.value
        query = (
            select(
                month.label("month"),
                func.count().label("drawn"),
                count(and_(is_done, was_blind.is_(True))).label("read_blind"),
                count(and_(is_done, was_blind.is_not(True))).label("read_open"),
                count(IS_OPEN).label("waiting"),
                count(state == TaskState.SKIPPED.value).label("unusable"),
                count(state == TaskState.GONE.value).label("lapsed"),
            )
            .join(calls, calls.c.call_id == review_tasks.c.call_id)
            .where(
                review_tasks.c.is_random,
                review_tasks.c.purpose == TaskPurpose.FIRST.value,
                scope.condition(),
            )
            .group_by(month)
            .order_by(month)
        )
        if since is not None:
            query = query.where(review_tasks.c.began_at >= since)
        return self._database.read(
            lambda c: tuple(SampleCount(**row._mapping) for row in c.execute(query))
        )


# --- parts of queries ----------------------------------------------------------------------------

_ID = review_tasks.c.task_id
_IN_ORDER = (review_tasks.c.rank, review_tasks.c.place, _ID)


def _began() -> ColumnElement[datetime]:
    return func.coalesce(calls.c.started_at, calls.c.first_scored_at)


def _tasks(scope: Scope) -> Any:
    return (
        select(review_tasks, calls.c.agent_id)
        .join(calls, calls.c.call_id == review_tasks.c.call_id)
        .where(scope.condition())
    )


def _comes_after(last: Any, *, is_open: bool) -> ColumnElement[bool]:
    """Behind a task, in the order of the queue, or of closing."""
    own = review_tasks.c
    if not is_open:
        return or_(
            own.closed_at < last.closed_at,
            and_(own.closed_at == last.closed_at, own.task_id < last.task_id),
        )
    return or_(
        own.rank > last.rank,
        and_(own.rank == last.rank, own.place > last.place),
        and_(own.rank == last.rank, own.place == last.place, own.task_id > last.task_id),
    )


def _is_of(user_id: str) -> ColumnElement[bool]:
    """Assigned to the user, or taken by them and given to nobody else."""
    # By their ids, so that the few are looked up and not the whole queue gone through.
    one = review_tasks.alias()
    of_state = one.c.state == TaskState.OPEN.value
    assigned = select(one.c.task_id).where(of_state, one.c.assigned_to == user_id)
    taken = select(one.c.task_id).where(
        of_state, one.c.taken_by == user_id, one.c.assigned_to.is_(None)
    )
    return _ID.in_(assigned.union_all(taken))


def _is_free(user_id: str, now: datetime) -> ColumnElement[bool]:
    """Nobody but the user has it."""
    return and_(
        or_(review_tasks.c.assigned_to.is_(None), review_tasks.c.assigned_to == user_id),
        or_(
            review_tasks.c.taken_until.is_(None),
            review_tasks.c.taken_until <= now,
            review_tasks.c.taken_by == user_id,
        ),
    )


def _may_be_given(user_id: str) -> ColumnElement[bool]:
    """Open, and neither passed on nor read by the user, nor seen where it is to be read blind.

    A dispute is no reading: who read the call may answer for it.
    """
    return and_(
        IS_OPEN,
        ~exists().where(
            review_skips.c.task_id == review_tasks.c.task_id, review_skips.c.user_id == user_id
        ),
        or_(
            review_tasks.c.purpose == TaskPurpose.DISPUTE.value,
            ~exists().where(
                reviews.c.call_id == review_tasks.c.call_id, reviews.c.user_id == user_id
            ),
        ),
        or_(
            ~review_tasks.c.is_blind,
            ~exists().where(
                access_log.c.kind == "call",
                access_log.c.object_id == review_tasks.c.call_id,
                access_log.c.user_id == user_id,
                access_log.c.action == SEEN_ACTION,
            ),
        ),
    )


def _may_do(user_id: str) -> ColumnElement[bool]:
    return and_(
        _may_be_given(user_id),
        or_(review_tasks.c.assigned_to.is_(None), review_tasks.c.assigned_to == user_id),
    )


def _is_over(since: datetime) -> ColumnElement[bool]:
    """Open, of a call of before ``since``, and nobody's."""
    return and_(
        IS_OPEN,
        review_tasks.c.began_at < since,
        review_tasks.c.assigned_to.is_(None),
        review_tasks.c.taken_until.is_(None),
        review_tasks.c.purpose != TaskPurpose.DISPUTE.value,
    )


def _gone(now: datetime) -> dict[str, Any]:
    return {"state": TaskState.GONE.value, "closed_at": now, "taken_until": None}


def _wanted_columns(task: WantedTask) -> dict[str, Any]:
    return {
        "reason": task.reasons[0],
        "reasons": " ".join(task.reasons),
        "rank": task.rank,
        "place": task.place,
        "is_blind": task.is_blind,
        "is_random": task.is_random,
    }


def _task_of(row: Any, **changed: Any) -> ReviewTask:
    values = {name: getattr(row, name) for name in _TASK_FIELDS} | changed
    return ReviewTask(
        **values,
        purpose=TaskPurpose(row.purpose),
        state=TaskState(row.state),
        reasons=tuple(row.reasons.split()),
    )


_TASK_FIELDS = (
    "task_id",
    "call_id",
    "agent_id",
    "began_at",
    "reason",
    "is_blind",
    "is_random",
    "made_at",
    "assigned_to",
    "assigned_by",
    "taken_by",
    "taken_until",
    "closed_at",
    "closed_by",
    "was_blind",
)


def _no_task(task_id: int) -> NotFoundError:
    return NotFoundError(f"there is no task {task_id} in the queue.")


# --- what others know of calls -------------------------------------------------------------------


def _readings(connection: Connection, call_ids: Sequence[str]) -> Mapping[str, tuple[Reading, ...]]:
    """What each reviewer said when first finishing, by call, the oldest first."""
    firsts: dict[int, Any] = {}
    seen: set[tuple[str, str]] = set()
    for row in connection.execute(
        select(reviews).where(reviews.c.call_id.in_(call_ids)).order_by(reviews.c.review_id)
    ):
        if (row.call_id, row.user_id) not in seen:
            seen.add((row.call_id, row.user_id))
            firsts[row.review_id] = row
    said: dict[int, dict[str, CallValue]] = defaultdict(dict)
    for row in connection.execute(
        select(judgements)
        .where(judgements.c.review_id.in_(firsts))
        .order_by(judgements.c.judgement_id)
    ):
        said[row.review_id][row.subject] = row.points if row.answer is None else row.answer
    found: dict[str, list[Reading]] = defaultdict(list)
    for review_id, row in firsts.items():
        found[row.call_id].append(
            Reading(
                user_id=row.user_id,
                finished_at=row.done_at,
                is_blind=row.kind == ReviewKind.BLIND.value,
                said=said[review_id],
            )
        )
    return {call_id: tuple(readings) for call_id, readings in found.items()}


def _disputed(connection: Connection, call_ids: Sequence[str]) -> Collection[str]:
    query = select(disputes.c.call_id).where(
        disputes.c.call_id.in_(call_ids), disputes.c.state == DisputeState.OPEN.value
    )
    return set(connection.scalars(query))
