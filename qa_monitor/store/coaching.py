"""Notes, goals, acknowledgements, answers and disputes: what coach and agent say to each other.

What was said is added and never changed: a goal and a dispute have a state, and every state they
ever had is kept with who set it, when and why. What is about a call goes when the call is deleted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    and_,
    func,
    insert,
    select,
    update,
)

from qa_monitor.calls import Criterion
from qa_monitor.errors import ConflictError, NotFoundError, UsageError
from qa_monitor.store.accesslog import access_log
from qa_monitor.store.database import Database
from qa_monitor.store.people import Scope
from qa_monitor.store.reporting import latest_words, points_in_force
from qa_monitor.store.reviews import REASON_LONGEST, HistoryEntry, Reviews
from qa_monitor.store.tables import UtcDateTime, calls, metadata, runs, scorecards, scores
from qa_monitor.store.tasks import note_change

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

__all__ = [
    "LONGEST_TEXT",
    "Acknowledgement",
    "Answer",
    "CoachedAgent",
    "Coaching",
    "Dispute",
    "DisputeState",
    "Goal",
    "GoalKind",
    "GoalState",
    "Note",
    "StateChange",
    "history_of",
]

LONGEST_TEXT = REASON_LONGEST
"""How many characters a note, an answer or a reason may have."""


class GoalKind(StrEnum):
    """What a goal is measured by."""

    CRITERION = "criterion"
    CHECKLIST = "checklist"
    MEASURE = "measure"


class GoalState(StrEnum):
    """What became of a goal."""

    OPEN = "open"
    MET = "met"
    DROPPED = "dropped"


class DisputeState(StrEnum):
    """What became of a dispute."""

    OPEN = "open"
    UPHELD = "upheld"
    """The score stands."""
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a coach wrote of an agent, seen by the agent when it ``is_shared``.

    It may be about a call, and a moment of it: ``at_s`` seconds into the recording.
    """

    note_id: int
    agent_id: str
    written_by: str
    written_at: datetime
    text: str = field(repr=False)
    is_shared: bool
    call_id: str | None = None
    at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What an agent works on, and what it is measured by.

    ``code`` names a criterion, an item of the checklist or a measure; the aim is ``target`` or
    more, ``target`` or less where not ``is_at_least``, in the unit of ``code``: points of 1 to 5,
    a share of 0 to 1, seconds. ``baseline`` is the mean over ``baseline_n`` calls at setting,
    ``None`` where there was none. ``closed_at``, ``closed_by`` and ``closed_because`` tell how it
    came to be no longer open.
    """

    goal_id: int
    agent_id: str
    kind: GoalKind
    code: str
    wording: str = field(repr=False)
    target: float
    is_at_least: bool
    baseline: float | None
    baseline_n: int
    due_on: date | None
    set_by: str
    set_at: datetime
    state: GoalState = GoalState.OPEN
    closed_by: str | None = None
    closed_at: datetime | None = None
    closed_because: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """Who set which state of a goal or a dispute, when and why."""

    state: str
    at: datetime
    by: str
    because: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """That an agent has seen something: a ``call``, a ``report`` or a ``goal``, by its id."""

    agent_id: str
    kind: str
    object_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an agent has to say to a call."""

    answer_id: int
    call_id: str
    agent_id: str
    written_by: str
    written_at: datetime
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """An agent does not agree with a score of an own call.

    ``points`` are those disputed, ``points_after`` those that stand when it is resolved;
    ``resolution`` is the reason that the resolver gave. ``run_id`` is the scoring in question.
    """

    dispute_id: int
    call_id: str
    agent_id: str
    run_id: int
    criterion: Criterion
    points: float
    reason: str = field(repr=False)
    raised_by: str
    raised_at: datetime
    state: DisputeState = DisputeState.OPEN
    resolved_by: str | None = None
    resolved_at: datetime | None = None
    resolution: str | None = field(default=None, repr=False)
    points_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoachedAgent:
    """How things stand with an agent: the last time somebody looked at the report, and counts."""

    last_report_at: datetime | None = None
    open_goals: int = 0
    open_disputes: int = 0


def _about_call(*, nullable: bool = False) -> Column[str]:
    key = ForeignKey("calls.call_id", ondelete="CASCADE")
    return Column("call_id", Text, key, nullable=nullable, index=True)


coaching_notes = Table(
    "coaching_notes",
    metadata,
    Column("note_id", Integer, primary_key=True),
    Column("agent_id", Text, nullable=False, index=True),
    Column("written_by", Text, nullable=False),
    Column("written_at", UtcDateTime, nullable=False),
    Column("text", Text, nullable=False),
    Column("is_shared", Boolean, nullable=False),
    _about_call(nullable=True),
    Column("at_s", Double),
    sqlite_autoincrement=True,
)

goals = Table(
    "goals",
    metadata,
    Column("goal_id", Integer, primary_key=True),
    Column("agent_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("wording", Text, nullable=False),
    Column("target", Double, nullable=False),
    Column("is_at_least", Boolean, nullable=False),
    Column("baseline", Double),
    Column("baseline_n", Integer, nullable=False),
    Column("due_on", Date),
    Column("set_by", Text, nullable=False),
    Column("set_at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False),
    Index(None, "agent_id", "state"),
    sqlite_autoincrement=True,
)

goal_events = Table(
    "goal_events",
    metadata,
    Column("event_id", Integer, primary_key=True),
    Column("goal_id", ForeignKey("goals.goal_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("because", Text, nullable=False),
    sqlite_autoincrement=True,
)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("object_id", Text, primary_key=True),
    Column("by", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    _about_call(nullable=True),
)

answers = Table(
    "answers",
    metadata,
    Column("answer_id", Integer, primary_key=True),
    _about_call(),
    Column("agent_id", Text, nullable=False, index=True),
    Column("written_by", Text, nullable=False),
    Column("written_at", UtcDateTime, nullable=False),
    Column("text", Text, nullable=False),
    sqlite_autoincrement=True,
)

shown_calls = Table(
    "shown_calls",
    metadata,
    Column(
        "call_id", ForeignKey("calls.call_id", ondelete="CASCADE"), primary_key=True, nullable=False
    ),
    Column("agent_id", Text, primary_key=True),
    Column("first_shown_at", UtcDateTime, nullable=False),
)

disputes = Table(
    "disputes",
    metadata,
    Column("dispute_id", Integer, primary_key=True),
    _about_call(),
    Column("agent_id", Text, nullable=False, index=True),
    Column("run_id", ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("criterion", Text, nullable=False),
    Column("points", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raised_by", Text, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("points_after", Double),
    sqlite_autoincrement=True,
)

dispute_events = Table(
    "dispute_events",
    metadata,
    Column("event_id", Integer, primary_key=True),
    Column(
        "dispute_id",
        ForeignKey("disputes.dispute_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("state", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("because", Text, nullable=False),
    sqlite_autoincrement=True,
)


class Coaching:
    """``Store.coaching``; each method is one transaction, and raises ``StoreError``.

    Texts are stripped; an empty one, or one of more than ``LONGEST_TEXT`` characters, raises
    ``UsageError``.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read, self._write = database.read, database.write

    # --- notes -----------------------------------------------------------------------------------

    def add_note(
        self,
        agent_id: str,
        text: str,
        *,
        by: str,
        now: datetime,
        is_shared: bool,
        call_id: str | None = None,
        at_s: float | None = None,
    ) -> Note:
        """Keep a note on an agent, about all or about one of the agent's calls.

        Raises ``NotFoundError`` when the call is no call of the agent.
        """
        text = _said(text, "the note")
        values = {
            "agent_id": agent_id,
            "written_by": by,
            "written_at": now,
            "text": text,
            "is_shared": is_shared,
            "call_id": call_id,
            "at_s": at_s,
        }

        def work(connection: Connection) -> int:
            if call_id is not None:
                _own_run(connection, call_id, agent_id)
            return _new_id(connection.execute(insert(coaching_notes).values(values)))

        note_id = self._write(work, call_id)
        return Note(note_id=note_id, **values)  # type: ignore[arg-type]

    def notes(
        self,
        agent_id: str,
        *,
        shared_only: bool = False,
        call_id: str | None = None,
        limit: int = 100,
    ) -> tuple[Note, ...]:
        """The notes on an agent, or on one of the agent's calls, the newest first."""
        query = select(coaching_notes).where(coaching_notes.c.agent_id == agent_id)
        if call_id is not None:
            query = query.where(coaching_notes.c.call_id == call_id)
        if shared_only:
            query = query.where(coaching_notes.c.is_shared)
        query = query.order_by(coaching_notes.c.note_id.desc()).limit(limit)
        return self._read(lambda c: tuple(Note(**row._mapping) for row in c.execute(query)))

    # --- goals -----------------------------------------------------------------------------------

    def set_goal(
        self,
        agent_id: str,
        *,
        kind: GoalKind,
        code: str,
        wording: str,
        target: float,
        is_at_least: bool,
        baseline: float | None,
        baseline_n: int,
        due_on: date | None,
        by: str,
        now: datetime,
    ) -> Goal:
        """Keep a goal for an agent; ``ConflictError`` where one of the same measure is open."""
        wording = _said(wording, "the goal")
        values = {
            "agent_id": agent_id,
            "kind": kind.value,
            "code": code,
            "wording": wording,
            "target": target,
            "is_at_least": is_at_least,
            "baseline": baseline,
            "baseline_n": baseline_n,
            "due_on": due_on,
            "set_by": by,
            "set_at": now,
            "state": GoalState.OPEN.value,
        }

        def work(connection: Connection) -> int:
            same = and_(
                goals.c.agent_id == agent_id,
                goals.c.kind == kind.value,
                goals.c.code == code,
                goals.c.state == GoalState.OPEN.value,
            )
            if connection.scalar(select(goals.c.goal_id).where(same)) is not None:
                raise ConflictError(
                    f"agent {agent_id} has an open goal on this already. Close that one first."
                )
            goal_id = _new_id(connection.execute(insert(goals).values(values)))
            _note_state(connection, goal_events, goal_id, GoalState.OPEN, now, by, "")
            return goal_id

        goal_id = self._write(work)
        return self._goal(goal_id)

    def close_goal(
        self, goal_id: int, state: GoalState, *, because: str, by: str, now: datetime
    ) -> Goal:
        """Say that an open goal is met or dropped; ``because`` may be empty when it is met.

        Raises ``NotFoundError`` for an unknown goal and ``ConflictError`` for one that is closed.
        """
        if state is GoalState.OPEN:
            raise UsageError("a goal is closed as met or as dropped.")
        if because.strip() or state is GoalState.DROPPED:
            because = _said(because, "why it is dropped")
        self._goal(goal_id)

        def work(connection: Connection) -> None:
            own = and_(goals.c.goal_id == goal_id, goals.c.state == GoalState.OPEN.value)
            if not connection.execute(update(goals).where(own).values(state=state.value)).rowcount:
                raise ConflictError(f"goal {goal_id} is closed already.")
            _note_state(connection, goal_events, goal_id, state, now, by, because)

        self._write(work)
        return self._goal(goal_id)

    def goal(self, goal_id: int, *, agent_id: str | None = None) -> Goal:
        """One goal; ``NotFoundError`` when there is none, or none of the agent."""
        goal = self._goal(goal_id)
        if agent_id is not None and goal.agent_id != agent_id:
            raise _no_goal(goal_id)
        return goal

    def _goal(self, goal_id: int) -> Goal:
        found = self._read(lambda c: _load_goals(c, goals.c.goal_id == goal_id, limit=1))
        if not found:
            raise _no_goal(goal_id)
        return found[0]

    def goals(
        self, agent_id: str, *, open_only: bool = False, limit: int = 100
    ) -> tuple[Goal, ...]:
        """The goals of an agent: those open first, then the newest."""
        which = goals.c.agent_id == agent_id
        if open_only:
            which = and_(which, goals.c.state == GoalState.OPEN.value)
        return self._read(lambda c: _load_goals(c, which, limit=limit))

    # --- what the agent says ---------------------------------------------------------------------

    def acknowledge(
        self, agent_id: str, kind: str, object_id: str, *, by: str, now: datetime
    ) -> None:
        """Keep that the agent has seen a ``call``, a ``report`` or a ``goal``.

        The first time counts. Raises ``NotFoundError`` for a call or goal that is not the agent's.
        """

        def work(connection: Connection) -> None:
            if kind == "call":
                _own_run(connection, object_id, agent_id)
            if kind == "goal":
                goal_id = int(object_id) if object_id.isdecimal() else -1
                own = and_(goals.c.goal_id == goal_id, goals.c.agent_id == agent_id)
                if connection.scalar(select(goals.c.goal_id).where(own)) is None:
                    raise _no_goal(object_id)
            connection.execute(
                self._database.insert(acknowledgements)
                .values(
                    agent_id=agent_id,
                    kind=kind,
                    object_id=object_id,
                    by=by,
                    at=now,
                    call_id=object_id if kind == "call" else None,
                )
                .on_conflict_do_nothing()
            )

        self._write(work)

    def acknowledged(self, agent_id: str, kind: str) -> Mapping[str, datetime]:
        """When the agent acknowledged what, by object id."""
        own = and_(acknowledgements.c.agent_id == agent_id, acknowledgements.c.kind == kind)
        query = select(acknowledgements.c.object_id, acknowledgements.c.at).where(own)
        return self._read(lambda c: {row.object_id: row.at for row in c.execute(query)})

    def answer(self, call_id: str, text: str, *, agent_id: str, by: str, now: datetime) -> Answer:
        """Keep what the agent says to an own call; ``NotFoundError`` when it is not the agent's."""
        text = _said(text, "the answer")
        values = {
            "call_id": call_id,
            "agent_id": agent_id,
            "written_by": by,
            "written_at": now,
            "text": text,
        }

        def work(connection: Connection) -> int:
            _own_run(connection, call_id, agent_id)
            return _new_id(connection.execute(insert(answers).values(values)))

        answer_id = self._write(work, call_id)
        return Answer(answer_id=answer_id, **values)  # type: ignore[arg-type]

    def answers(self, call_id: str) -> tuple[Answer, ...]:
        """What was answered to a call, oldest first."""
        query = select(answers).where(answers.c.call_id == call_id).order_by(answers.c.answer_id)
        return self._read(
            lambda c: tuple(Answer(**row._mapping) for row in c.execute(query)), call_id
        )

    def note_shown(self, agent_id: str, call_ids: tuple[str, ...], *, now: datetime) -> None:
        """Keep when these calls' scores were first shown to their agent."""
        if not call_ids:
            return
        known = select(shown_calls.c.call_id).where(
            shown_calls.c.agent_id == agent_id, shown_calls.c.call_id.in_(call_ids)
        )
        new = set(call_ids) - self._read(lambda c: set(c.scalars(known)))
        if not new:
            return
        rows = [
            {"call_id": call_id, "agent_id": agent_id, "first_shown_at": now}
            for call_id in sorted(new)
        ]
        statement = self._database.insert(shown_calls).values(rows).on_conflict_do_nothing()
        self._write(lambda c: c.execute(statement))

    # --- disputes --------------------------------------------------------------------------------

    def dispute_until(
        self, agent_id: str, call_ids: tuple[str, ...], *, within: timedelta
    ) -> Mapping[str, datetime]:
        """Until when the agent may dispute the scores of each of these own calls.

        ``within`` of the card in use being made, or of its first being shown, whichever is later;
        a call that was never shown has the first of the two only.
        """
        return self._read(lambda c: _dispute_until(c, agent_id, call_ids, within))

    def raise_dispute(
        self,
        call_id: str,
        criterion: Criterion,
        reason: str,
        *,
        agent_id: str,
        by: str,
        now: datetime,
        within: timedelta,
    ) -> Dispute:
        """Keep that the agent disputes a score of an own call.

        Raises ``NotFoundError`` when the call is not the agent's, ``UsageError`` when it is too
        late or the criterion has no points, and ``ConflictError`` when this score was disputed and
        decided, or is being disputed, already.
        """
        reason = _said(reason, "why the score should be another")

        def work(connection: Connection) -> int:
            run_id = _own_run(connection, call_id, agent_id)
            until = _dispute_until(connection, agent_id, (call_id,), within)[call_id]
            if not _was_shown(connection, call_id, agent_id):
                until = max(until, now + within)
            if now > until:
                raise UsageError(
                    f"the scores of call {call_id} could be disputed until {until.day} "
                    f"{until:%B %Y}. Speak with your coach about it."
                )
            points = _points(connection, run_id, criterion)
            if points is None:
                raise UsageError(f"call {call_id} has no points for this that could be disputed.")
            before = connection.scalar(
                select(disputes.c.state).where(
                    disputes.c.run_id == run_id,
                    disputes.c.criterion == criterion.value,
                    disputes.c.state != DisputeState.WITHDRAWN.value,
                )
            )
            if before is not None:
                raise ConflictError(
                    f"this score of call {call_id} "
                    + (
                        "is being disputed already."
                        if before == DisputeState.OPEN
                        else "was disputed and decided already."
                    )
                )
            dispute_id = _new_id(
                connection.execute(
                    insert(disputes).values(
                        call_id=call_id,
                        agent_id=agent_id,
                        run_id=run_id,
                        criterion=criterion.value,
                        points=points,
                        reason=reason,
                        raised_by=by,
                        raised_at=now,
                        state=DisputeState.OPEN.value,
                    )
                )
            )
            _note_state(connection, dispute_events, dispute_id, DisputeState.OPEN, now, by, reason)
            note_change(connection, call_id)
            return dispute_id

        return self.dispute(self._write(work, call_id))

    def withdraw_dispute(
        self, dispute_id: int, *, agent_id: str, by: str, now: datetime
    ) -> Dispute:
        """Take back an open dispute of one's own; ``NotFoundError`` when it is another's."""
        dispute = self.dispute(dispute_id)
        if dispute.agent_id != agent_id:
            raise _no_dispute(dispute_id)
        self._write(lambda c: _close_dispute(c, dispute, DisputeState.WITHDRAWN, now, by, "", None))
        return self.dispute(dispute_id)

    def resolve_dispute(
        self,
        dispute_id: int,
        *,
        points: float | None,
        reason: str,
        by: str,
        by_agent: str | None,
        now: datetime,
    ) -> Dispute:
        """Decide an open dispute: the score stands (``points`` is ``None``), or becomes ``points``.

        The latter is a correction by the resolver, kept in the same transaction. Raises
        ``NotFoundError`` for an unknown dispute, ``ConflictError`` for one that is closed, and
        ``UsageError`` for one about a call of ``by_agent``, the agent that the resolver is, and for
        points that are not on the scale or no other than before.
        """
        reason = _said(reason, "why it is decided so")
        dispute = self.dispute(dispute_id)
        if by_agent == dispute.agent_id or by == dispute.raised_by:
            raise UsageError("nobody decides on a dispute of their own.")
        if points == dispute.points:
            raise UsageError("those are the points that are disputed; say that the score stands.")

        def work(connection: Connection) -> None:
            state = DisputeState.UPHELD if points is None else DisputeState.CHANGED
            after = dispute.points if points is None else points
            _close_dispute(connection, dispute, state, now, by, reason, after)
            if points is not None:
                Reviews(self._database).correct_within(
                    connection,
                    dispute.call_id,
                    dispute.criterion.value,
                    user_id=by,
                    points=points,
                    reason=reason,
                    now=now,
                )

        self._write(work, dispute.call_id)
        return self.dispute(dispute_id)

    def dispute(self, dispute_id: int) -> Dispute:
        """One dispute; ``NotFoundError`` when there is none."""
        found = self._read(lambda c: _load_disputes(c, (disputes.c.dispute_id == dispute_id,), 1))
        if not found:
            raise _no_dispute(dispute_id)
        return found[0]

    def disputes(
        self,
        *,
        scope: Scope | None = None,
        open_only: bool = False,
        agent_id: str | None = None,
        call_ids: tuple[str, ...] | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[Dispute, ...]:
        """Disputes that fit all that is given, the newest first.

        ``before`` is the ``dispute_id`` where the page before ended.
        """
        chosen: list[ColumnElement[bool]] = []
        if scope is not None:
            chosen.append(scope.condition())
        if open_only:
            chosen.append(disputes.c.state == DisputeState.OPEN.value)
        if agent_id is not None:
            chosen.append(disputes.c.agent_id == agent_id)
        if call_ids is not None:
            chosen.append(disputes.c.call_id.in_(call_ids))
        if before is not None:
            chosen.append(disputes.c.dispute_id < before)
        return self._read(lambda c: _load_disputes(c, chosen, limit))

    def dispute_history(self, dispute_id: int) -> tuple[StateChange, ...]:
        """The states of a dispute, oldest first."""
        query = (
            select(dispute_events)
            .where(dispute_events.c.dispute_id == dispute_id)
            .order_by(dispute_events.c.event_id)
        )
        return self._read(
            lambda c: tuple(
                StateChange(state=row.state, at=row.at, by=row.by, because=row.because)
                for row in c.execute(query)
            )
        )

    # --- for others ------------------------------------------------------------------------------

    def overview(self) -> Mapping[str, CoachedAgent]:
        """How things stand with each agent of whom there is anything to say."""

        def work(connection: Connection) -> Mapping[str, CoachedAgent]:
            open_goals = _counts(connection, goals, GoalState.OPEN.value)
            open_disputes = _counts(connection, disputes, DisputeState.OPEN.value)
            looked = {
                row[0]: row[1]
                for row in connection.execute(
                    select(access_log.c.object_id, func.max(access_log.c.at))
                    .where(
                        access_log.c.kind == "agent",
                        access_log.c.action.in_(("report.view", "report.export")),
                        access_log.c.outcome == "allowed",
                    )
                    .group_by(access_log.c.object_id)
                )
            }
            return {
                agent_id: CoachedAgent(
                    last_report_at=looked.get(agent_id),
                    open_goals=open_goals.get(agent_id, 0),
                    open_disputes=open_disputes.get(agent_id, 0),
                )
                for agent_id in {*open_goals, *open_disputes, *looked}
            }

        return self._read(work)


# --- parts of the work ---------------------------------------------------------------------------


def _said(text: str, what: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise UsageError(f"write {what}.")
    # Control characters, and halves of pairs that no encoding takes.
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text if letter not in "\n\t"):
        raise UsageError(f"{what} holds characters that are no text. Type it anew.")
    if len(text) > LONGEST_TEXT:
        raise UsageError(f"{what} is longer than {LONGEST_TEXT} characters; shorten it.")
    return text


def _new_id(written: Any) -> int:
    made: int = written.inserted_primary_key[0]
    return made


def _own_run(connection: Connection, call_id: str, agent_id: str) -> int:
    """The latest run of a call of the agent."""
    run_id = connection.scalar(
        select(calls.c.latest_run_id).where(
            calls.c.call_id == call_id, calls.c.agent_id == agent_id
        )
    )
    if run_id is None:
        raise NotFoundError(f"agent {agent_id} has no such scored call.")
    return int(run_id)


def _note_state(
    connection: Connection,
    table: Table,
    object_id: int,
    state: StrEnum,
    now: datetime,
    by: str,
    because: str,
) -> None:
    name = "goal_id" if table is goal_events else "dispute_id"
    values = {name: object_id, "state": state.value, "at": now, "by": by, "because": because}
    connection.execute(insert(table).values(values))


def _load_goals(
    connection: Connection, which: ColumnElement[bool], *, limit: int
) -> tuple[Goal, ...]:
    closed = goal_events.alias("closed")
    query = (
        select(
            goals,
            closed.c.at.label("closed_at"),
            closed.c.by.label("closed_by"),
            closed.c.because.label("closed_because"),
        )
        .outerjoin(
            closed,
            and_(closed.c.goal_id == goals.c.goal_id, closed.c.state != GoalState.OPEN.value),
        )
        .where(which)
        .order_by(goals.c.state != GoalState.OPEN.value, goals.c.goal_id.desc())
        .limit(limit)
    )
    return tuple(
        Goal(
            **{
                **row._mapping,
                "kind": GoalKind(row.kind),
                "state": GoalState(row.state),
            }
        )
        for row in connection.execute(query)
    )


def _dispute_until(
    connection: Connection, agent_id: str, call_ids: tuple[str, ...], within: timedelta
) -> dict[str, datetime]:
    query = (
        select(calls.c.call_id, scorecards.c.made_at, shown_calls.c.first_shown_at)
        .join(runs, runs.c.run_id == calls.c.latest_run_id)
        .join(scorecards, scorecards.c.card_id == runs.c.card_id)
        .outerjoin(
            shown_calls,
            and_(
                shown_calls.c.call_id == calls.c.call_id,
                shown_calls.c.agent_id == calls.c.agent_id,
            ),
        )
        .where(calls.c.call_id.in_(call_ids), calls.c.agent_id == agent_id)
    )
    return {
        row.call_id: max(row.made_at, row.first_shown_at or row.made_at) + within
        for row in connection.execute(query)
    }


def _was_shown(connection: Connection, call_id: str, agent_id: str) -> bool:
    query = select(shown_calls.c.call_id).where(
        shown_calls.c.call_id == call_id, shown_calls.c.agent_id == agent_id
    )
    return connection.scalar(query) is not None


def _points(connection: Connection, run_id: int, criterion: Criterion) -> float | None:
    """The points of a run's card in use, or those that a person has put in their place."""
    words = latest_words()
    query = (
        select(points_in_force(words))
        .select_from(scores)
        .join(runs, runs.c.card_id == scores.c.card_id)
        .outerjoin(
            words, and_(words.c.run_id == runs.c.run_id, words.c.subject == scores.c.criterion)
        )
        .where(runs.c.run_id == run_id, scores.c.criterion == criterion.value)
    )
    points: float | None = connection.scalar(query)
    return points


def _close_dispute(
    connection: Connection,
    dispute: Dispute,
    state: DisputeState,
    now: datetime,
    by: str,
    because: str,
    points_after: float | None,
) -> None:
    dispute_id = dispute.dispute_id
    own = and_(disputes.c.dispute_id == dispute_id, disputes.c.state == DisputeState.OPEN.value)
    values = {"state": state.value, "points_after": points_after}
    if not connection.execute(update(disputes).where(own).values(values)).rowcount:
        raise ConflictError(f"dispute {dispute_id} is closed already.")
    _note_state(connection, dispute_events, dispute_id, state, now, by, because)
    note_change(connection, dispute.call_id)


def _load_disputes(connection: Connection, chosen: Any, limit: int) -> tuple[Dispute, ...]:
    resolved = dispute_events.alias("resolved")
    query: Select[Any] = (
        select(
            disputes,
            resolved.c.at.label("resolved_at"),
            resolved.c.by.label("resolved_by"),
            resolved.c.because.label("resolution"),
        )
        .join(calls, calls.c.call_id == disputes.c.call_id)
        .outerjoin(
            resolved,
            and_(
                resolved.c.dispute_id == disputes.c.dispute_id,
                resolved.c.state != DisputeState.OPEN.value,
            ),
        )
        .where(*chosen)
        .order_by(disputes.c.dispute_id.desc())
        .limit(limit)
    )
    return tuple(
        Dispute(
            **{
                **row._mapping,
                "criterion": Criterion(row.criterion),
                "state": DisputeState(row.state),
            }
        )
        for row in connection.execute(query)
    )


def history_of(connection: Connection, call_id: str) -> Iterator[HistoryEntry]:
    """What coach and agent said of a call; a note is the agent's to see when it is shared."""
    for row in connection.execute(
        select(coaching_notes).where(coaching_notes.c.call_id == call_id)
    ):
        yield HistoryEntry(
            at=row.written_at,
            by=row.written_by,
            what="note",
            text=row.text,
            is_for_agent=row.is_shared,
        )
    for row in connection.execute(
        select(acknowledgements).where(acknowledgements.c.call_id == call_id)
    ):
        yield HistoryEntry(at=row.at, by=row.by, what="acknowledged")
    for row in connection.execute(select(answers).where(answers.c.call_id == call_id)):
        yield HistoryEntry(at=row.written_at, by=row.written_by, what="answered", text=row.text)
    for row in connection.execute(
        select(
            dispute_events,
            disputes.c.criterion,
            disputes.c.points,
            disputes.c.points_after,
            disputes.c.run_id,
        )
        .join(disputes, disputes.c.dispute_id == dispute_events.c.dispute_id)
        .where(disputes.c.call_id == call_id)
    ):
        is_new = row.state == DisputeState.OPEN.value
        is_changed = row.state == DisputeState.CHANGED.value
        yield HistoryEntry(
            at=row.at,
            by=row.by,
            what="disputed" if is_new else f"dispute_{row.state}",
            subject=row.criterion,
            points=row.points_after if is_changed else row.points,
            text=row.because or None,
            run_id=row.run_id,
        )


def _counts(connection: Connection, table: Table, state: str) -> dict[str, int]:
    query = (
        select(table.c.agent_id, func.count())
        .where(table.c.state == state)
        .group_by(table.c.agent_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _no_goal(goal_id: object) -> NotFoundError:
    return NotFoundError(f"there is no goal {goal_id}.")


def _no_dispute(dispute_id: int) -> NotFoundError:
    return NotFoundError(f"there is no dispute {dispute_id}.")
