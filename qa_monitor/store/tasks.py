"""Tables of the review queue, and what others tell it in their own transactions.

A call that changes (a new card, an alert set, a dispute, a finished review) leaves a row in
``queue_changes``, within the transaction that changes it; ``queueing`` works those rows off.
``review_tasks`` has one row for each call and purpose. An open task may be assigned (it is that
person's until taken away) and taken (for a while, so that two do not read the same call at once).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    and_,
    insert,
    or_,
    select,
    update,
)

from qa_monitor.store.tables import UtcDateTime, metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

__all__ = [
    "IS_OPEN",
    "TaskPurpose",
    "TaskState",
    "note_change",
    "note_review_done",
    "queue_changes",
    "queue_coverage",
    "queue_marks",
    "review_skips",
    "review_tasks",
]


class TaskPurpose(StrEnum):
    """What a task asks for; a call has at most one of each."""

    FIRST = "first"
    """To be reviewed."""
    SECOND = "second"
    """To be read by another reviewer, blind."""
    THIRD = "third"
    """To be read by one more, blind, because two differ."""
    DISPUTE = "dispute"
    """The agent disputes a score."""


class TaskState(StrEnum):
    """How far a task has come."""

    OPEN = "open"
    DONE = "done"
    SKIPPED = "skipped"
    """Nobody can judge the call."""
    GONE = "gone"
    """What it was for no longer holds, or the call has grown too old."""


review_tasks = Table(
    "review_tasks",
    metadata,
    Column("task_id", Integer, primary_key=True),
    Column("call_id", ForeignKey("calls.call_id", ondelete="CASCADE"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("place", Double, nullable=False),
    Column("is_blind", Boolean, nullable=False),
    Column("is_random", Boolean, nullable=False),
    # The call's, so that the queue is read without it.
    Column("began_at", UtcDateTime, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    # No foreign keys to users: what somebody did stays when the account is gone.
    Column("assigned_to", Text),
    Column("assigned_by", Text),
    Column("taken_by", Text),
    Column("taken_until", UtcDateTime),
    Column("closed_at", UtcDateTime),
    Column("closed_by", Text),
    Column("was_blind", Boolean),
    UniqueConstraint("call_id", "purpose"),
    Index(None, "state", "rank", "place"),
    Index(None, "state", "began_at"),
    Index(None, "assigned_to", "state"),
    Index(None, "taken_by", "state"),
    Index(None, "closed_by", "closed_at"),
    sqlite_autoincrement=True,
)

review_skips = Table(
    "review_skips",
    metadata,
    Column("task_id", ForeignKey("review_tasks.task_id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("skipped_at", UtcDateTime, nullable=False),
)

queue_coverage = Table(
    "queue_coverage",
    metadata,
    Column("call_id", ForeignKey("calls.call_id", ondelete="CASCADE"), primary_key=True),
)

queue_changes = Table(
    "queue_changes",
    metadata,
    # Not one row a call: what changes while a change is worked off must not be lost.
    Column("change_id", Integer, primary_key=True),
    Column("call_id", ForeignKey("calls.call_id", ondelete="CASCADE"), nullable=False, index=True),
    sqlite_autoincrement=True,
)

queue_marks = Table(
    "queue_marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

IS_OPEN = review_tasks.c.state == TaskState.OPEN.value
"""The tasks that are still to be done."""


def blind_calls(user_id: str) -> Select[tuple[str]]:
    """The ids of the calls that the user is to review without seeing what is said of them."""
    is_theirs = or_(
        review_tasks.c.assigned_to == user_id,
        and_(review_tasks.c.taken_by == user_id, review_tasks.c.assigned_to.is_(None)),
    )
    return select(review_tasks.c.call_id).where(IS_OPEN, review_tasks.c.is_blind, is_theirs)


def note_change(connection: Connection, call_id: str) -> None:
    """Have it worked out anew, later, whether ``call_id`` is to be reviewed.

    For whoever changes something that the queue goes by, in the transaction that changes it.
    """
    connection.execute(insert(queue_changes).values(call_id=call_id))


def note_review_done(connection: Connection, *, call_id: str, user_id: str, now: datetime) -> None:
    """Note that ``user_id`` has finished a review of ``call_id``; for the transaction of that.

    Closes the task that the user had. One that had none closes an open task that is not blind and
    nobody else's: the call need not be reviewed twice for the same reason.
    """
    found = connection.execute(
        select(review_tasks).where(
            review_tasks.c.call_id == call_id,
            IS_OPEN,
            review_tasks.c.purpose != TaskPurpose.DISPUTE.value,
        )
    ).all()
    held = [
        row
        for row in found
        if row.assigned_to == user_id or (row.assigned_to is None and row.taken_by == user_id)
    ]
    free = [
        row
        for row in found
        if not row.is_blind
        and row.assigned_to is None
        and (row.taken_until is None or row.taken_until <= now)
    ]
    for row in (held or free)[:1]:
        connection.execute(
            update(review_tasks)
            .where(review_tasks.c.task_id == row.task_id)
            .values(
                state=TaskState.DONE.value,
                closed_at=now,
                closed_by=user_id,
                was_blind=bool(held) and row.is_blind,
                taken_until=None,
            )
        )
    note_change(connection, call_id)
