"""What may not be deleted, what is old enough to be, and what was deleted when.

A deletion is two steps, because a database and a folder cannot change in one transaction. First
one transaction takes everything of the call out of the database and leaves a ``Deletion`` in its
place, from when on nobody sees the call; then its files go, and the deletion is marked finished.
What a crash leaves in between is an unfinished deletion, which ``qa_monitor.retention`` takes up
again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Column,
    Integer,
    Table,
    Text,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    union_all,
    update,
)

from qa_monitor.errors import NotFoundError, UsageError
from qa_monitor.store.accesslog import access_log
from qa_monitor.store.database import Database
from qa_monitor.store.tables import (
    UtcDateTime,
    alerts,
    calls,
    deliveries,
    failures,
    leases,
    metadata,
)
from qa_monitor.store.values import AlertState
from qa_monitor.store.workers import is_dead

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, CompoundSelect, Connection

__all__ = ["Deletion", "DueCall", "Hold", "Holdings", "Keeping", "clear_call"]

_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A legal hold: calls that fit all that it names are neither deleted nor muted away.

    It names a call, an agent, a caller (by the keyed hash of the number), a period
    ``[since, until)`` of the calls' beginnings, or several of these together; a call whose
    beginning is not known is within every period. ``lifted_at`` is ``None`` while the hold stands.
    """

    hold_id: int
    reason: str
    set_by: str
    set_at: datetime
    call_id: str | None = None
    agent_id: str | None = None
    caller_key: str | None = field(default=None, repr=False)
    since: datetime | None = None
    until: datetime | None = None
    lifted_by: str | None = None
    lifted_at: datetime | None = None
    lifted_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """That a call was deleted, without anything of it.

    ``recording_key`` is a keyed hash of the recording, by which it is known when it comes again;
    ``finished_at`` is ``None`` while files of the call may still be there.
    """

    deletion_id: int
    call_id: str
    recording_key: str | None = field(repr=False)
    agent_id: str | None
    deleted_by: str
    deleted_at: datetime
    reason: str | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCall:
    """A call that is older than its queue is to be kept; ``is_held`` says that it stays even so."""

    call_id: str
    queue: str | None
    is_held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Numbers of what is stored; ``waiting`` is what is still to be delivered, by channel."""

    calls: int
    failures: int
    being_scored: int
    open_alerts: int
    waiting: Mapping[str, int]
    unfinished_deletions: int


holds = Table(
    "holds",
    metadata,
    Column("hold_id", Integer, primary_key=True),
    # No foreign keys: a hold is set on what may come, and outlasts what it was set on.
    Column("call_id", Text, index=True),
    Column("agent_id", Text),
    Column("caller_key", Text),
    Column("since", UtcDateTime),
    Column("until", UtcDateTime),
    Column("reason", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", UtcDateTime, nullable=False),
    Column("lifted_by", Text),
    Column("lifted_at", UtcDateTime),
    Column("lifted_reason", Text),
    sqlite_autoincrement=True,
)

deletions = Table(
    "deletions",
    metadata,
    Column("deletion_id", Integer, primary_key=True),
    Column("call_id", Text, nullable=False, index=True),
    Column("recording_key", Text, index=True),
    Column("agent_id", Text),
    Column("deleted_by", Text, nullable=False),
    Column("deleted_at", UtcDateTime, nullable=False),
    Column("reason", Text),
    Column("finished_at", UtcDateTime),
    sqlite_autoincrement=True,
)


def clear_call(connection: Connection, call_id: str) -> int:
    """Take every row of a call out of every table that names calls; how many there were.

    Rows that refer to those go with them by their foreign keys. Holds and deletions stay.
    """
    return sum(
        connection.execute(delete(table).where(table.c.call_id == call_id)).rowcount
        for table in _tables_of_calls()
    )


def _tables_of_calls() -> list[Table]:
    """The tables with rows of calls, those that refer to others before these."""
    return [
        table
        for table in reversed(metadata.sorted_tables)
        if "call_id" in table.c and table not in (holds, deletions)
    ]


class Keeping:
    """``Store.keeping``; each method is one transaction, and raises ``StoreError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- legal holds -----------------------------------------------------------------------------

    def add_hold(
        self,
        *,
        reason: str,
        by: str,
        now: datetime,
        via: str = "command",
        call_id: str | None = None,
        agent_id: str | None = None,
        caller_key: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Hold:
        """A new hold on what is named; it and its entry in the access log are one transaction.

        Raises ``UsageError`` when nothing is named, there is no reason, or the period is empty.
        """
        named = {
            "call_id": call_id,
            "agent_id": agent_id,
            "caller_key": caller_key,
            "since": since,
            "until": until,
        }
        if all(value is None for value in named.values()):
            raise UsageError("say what is to be held: a call, an agent, a caller or a period.")
        if not reason.strip():
            raise UsageError("say why it is to be held.")
        if since is not None and until is not None and since >= until:
            raise UsageError("the period of the hold ends before it begins.")

        def work(connection: Connection) -> int:
            written = connection.execute(
                insert(holds).values(**named, reason=reason.strip(), set_by=by, set_at=now)
            )
            hold_id: int = written.inserted_primary_key[0]  # type: ignore[index]
            _note(connection, "hold.set", "hold", str(hold_id), reason, by=by, via=via, now=now)
            return hold_id

        return self.hold(self._database.write(work))

    def lift_hold(
        self, hold_id: int, *, reason: str, by: str, now: datetime, via: str = "command"
    ) -> Hold:
        """The hold, which no longer stands; that is noted in the access log.

        Raises ``NotFoundError``, and ``UsageError`` when it was lifted before or there is no
        reason.
        """
        if not reason.strip():
            raise UsageError("say why the hold is lifted.")

        def work(connection: Connection) -> int:
            own = and_(holds.c.hold_id == hold_id, holds.c.lifted_at.is_(None))
            values = {"lifted_by": by, "lifted_at": now, "lifted_reason": reason.strip()}
            changed = connection.execute(update(holds).where(own).values(**values)).rowcount
            if changed:
                _note(
                    connection, "hold.lift", "hold", str(hold_id), reason, by=by, via=via, now=now
                )
            return changed

        changed = self._database.write(work)
        hold = self.hold(hold_id)
        if not changed:
            raise UsageError(f"hold {hold_id} was lifted before.")
        return hold

    def hold(self, hold_id: int) -> Hold:
        """One hold; ``NotFoundError`` when there is none of that number."""
        query = select(holds).where(holds.c.hold_id == hold_id)
        row = self._database.read(lambda c: c.execute(query).one_or_none())
        if row is None:
            raise NotFoundError(f"no hold {hold_id}. See them with: qa-monitor hold list")
        return _hold_of(row)

    def holds(self, *, lifted_too: bool = False) -> tuple[Hold, ...]:
        """The holds that stand, oldest first, or all there ever were."""
        query = select(holds).order_by(holds.c.hold_id)
        if not lifted_too:
            query = query.where(holds.c.lifted_at.is_(None))
        return self._database.read(lambda c: tuple(_hold_of(row) for row in c.execute(query)))

    def held(self, call_ids: Collection[str]) -> Mapping[str, tuple[int, ...]]:
        """The numbers of the holds on each of these calls that is held."""

        def work(connection: Connection) -> dict[str, tuple[int, ...]]:
            found: dict[str, list[int]] = {}
            for chunk in _chunks(sorted(call_ids)):
                for row in connection.execute(_holds_on(chunk)):
                    found.setdefault(row.held_id, []).append(row.hold_id)
            return {call_id: tuple(sorted(numbers)) for call_id, numbers in found.items()}

        return self._database.read(work)

    # --- deleting --------------------------------------------------------------------------------

    def delete_call(
        self,
        call_id: str,
        *,
        recording_key: Callable[[str], str],
        by: str,
        now: datetime,
        via: str = "command",
        reason: str | None = None,
    ) -> Deletion:
        """The deletion that now stands in place of everything stored of the call.

        It is not finished: the files of the call are the caller's to remove. ``recording_key``
        hashes the SHA-256 of a recording. The deletion and its entry in the access log are one
        transaction with it. A call that was deleted before gives that deletion back. On SQLite the
        freed pages are overwritten and the write-ahead log is emptied, so that the text is gone
        from the disk once no other process is reading. Raises ``UsageError`` for a call that is
        held, or being scored at the moment, and ``NotFoundError`` when nothing was ever stored of
        it.
        """

        def work(connection: Connection) -> int | None:
            _refuse_held(connection, call_id)
            _refuse_claimed(connection, call_id, now)
            stored = connection.execute(
                select(calls.c.sha256, calls.c.agent_id).where(calls.c.call_id == call_id)
            ).one_or_none()
            failure = connection.execute(
                select(failures.c.sha256).where(failures.c.call_id == call_id)
            ).one_or_none()
            clear_call(connection, call_id)
            if stored is None and failure is None:
                earlier: int | None = connection.scalar(
                    select(func.max(deletions.c.deletion_id)).where(deletions.c.call_id == call_id)
                )
                return earlier
            sha256 = next((row.sha256 for row in (stored, failure) if row and row.sha256), None)
            written = connection.execute(
                insert(deletions).values(
                    call_id=call_id,
                    recording_key=recording_key(sha256) if sha256 else None,
                    agent_id=stored.agent_id if stored else None,
                    deleted_by=by,
                    deleted_at=now,
                    reason=reason,
                )
            )
            _note(connection, "call.deleted", "call", call_id, reason, by=by, via=via, now=now)
            deletion_id: int = written.inserted_primary_key[0]  # type: ignore[index]
            return deletion_id

        deletion_id = self._database.write(work, call_id)
        if deletion_id is None:
            raise NotFoundError("no call of that id is stored, nor was one deleted.")
        self._database.empty_log(call_id)
        query = select(deletions).where(deletions.c.deletion_id == deletion_id)
        return _deletion_of(self._database.read(lambda c: c.execute(query).one(), call_id))

    def finish_deletion(self, deletion_id: int, *, now: datetime) -> None:
        """Note that no file of the deleted call is left."""
        own = and_(deletions.c.deletion_id == deletion_id, deletions.c.finished_at.is_(None))
        statement = update(deletions).where(own).values(finished_at=now)
        self._database.write(lambda c: c.execute(statement))

    def unfinished_deletions(self) -> tuple[Deletion, ...]:
        """The deletions whose files may still be there, oldest first.

        Of a call that was scored again since, the files are those of its new scoring; that
        deletion is not among these.
        """
        again = exists().where(calls.c.call_id == deletions.c.call_id)
        query = (
            select(deletions)
            .where(deletions.c.finished_at.is_(None), ~again)
            .order_by(deletions.c.deletion_id)
        )
        return self._database.read(lambda c: tuple(_deletion_of(row) for row in c.execute(query)))

    def deletions(
        self, *, call_id: str | None = None, before: int | None = None, limit: int = 100
    ) -> tuple[Deletion, ...]:
        """What was deleted, the newest first; ``before`` is where the page before ended."""
        query = select(deletions).order_by(deletions.c.deletion_id.desc()).limit(limit)
        if call_id is not None:
            query = query.where(deletions.c.call_id == call_id)
        if before is not None:
            query = query.where(deletions.c.deletion_id < before)
        return self._database.read(lambda c: tuple(_deletion_of(row) for row in c.execute(query)))

    def was_deleted(self, recording_key: str) -> bool:
        """Whether a call with this recording was deleted."""
        query = select(deletions.c.deletion_id).where(deletions.c.recording_key == recording_key)
        return self._database.read(lambda c: c.execute(query.limit(1)).first() is not None)

    # --- what there is ---------------------------------------------------------------------------

    def calls_of(
        self, *, agent_id: str | None = None, caller_key: str | None = None
    ) -> tuple[str, ...]:
        """The scored calls of an agent, of a caller, or of both, in the order of their ids."""
        chosen = [
            column == value
            for column, value in ((calls.c.agent_id, agent_id), (calls.c.caller_key, caller_key))
            if value is not None
        ]
        query = select(calls.c.call_id).where(*chosen).order_by(calls.c.call_id)
        return self._database.read(lambda c: tuple(c.scalars(query))) if chosen else ()

    def contents(self, call_id: str) -> Mapping[str, int]:
        """How many rows each table holds of a call; empty when nothing is stored of it."""

        def work(connection: Connection) -> dict[str, int]:
            counts = {
                table.name: connection.scalar(
                    select(func.count()).select_from(table).where(table.c.call_id == call_id)
                )
                or 0
                for table in reversed(_tables_of_calls())
                if table is not leases
            }
            return {name: count for name, count in counts.items() if count}

        return self._database.read(work, call_id)

    def due_calls(
        self, *, before: datetime | None, of_queues: Mapping[str, datetime | None] | None = None
    ) -> tuple[DueCall, ...]:
        """The calls that began before the instant that is set for their queue, oldest first.

        ``of_queues`` names the instants of single queues, ``before`` that of all others; ``None``
        keeps for good. A call whose beginning is not known is as old as its first scoring.
        """
        began = func.coalesce(calls.c.started_at, calls.c.first_scored_at)
        own = dict(of_queues or {})
        due: list[ColumnElement[bool]] = [
            and_(calls.c.queue == queue, began < instant)
            for queue, instant in own.items()
            if instant is not None
        ]
        if before is not None:
            elsewhere = or_(calls.c.queue.is_(None), calls.c.queue.not_in(list(own)))
            due.append(and_(elsewhere, began < before))
        if not due:
            return ()
        query = (
            select(calls.c.call_id, calls.c.queue, exists().where(_is_on_call()).label("is_held"))
            .where(or_(*due))
            .order_by(began, calls.c.call_id)
        )
        return self._database.read(
            lambda c: tuple(
                DueCall(call_id=row.call_id, queue=row.queue, is_held=row.is_held)
                for row in c.execute(query)
            )
        )

    def stored(self, call_ids: Collection[str]) -> frozenset[str]:
        """Those of these calls that are stored, or are being scored at the moment."""

        def work(connection: Connection) -> frozenset[str]:
            found: set[str] = set()
            for chunk in _chunks(sorted(call_ids)):
                for table in (calls, leases):
                    query = select(table.c.call_id).where(table.c.call_id.in_(chunk))
                    found.update(connection.scalars(query))
            return frozenset(found)

        return self._database.read(work)

    def holdings(self) -> Holdings:
        """How much is stored, and what waits."""

        def work(connection: Connection) -> Holdings:
            def count(table: Table, *chosen: ColumnElement[bool]) -> int:
                query = select(func.count()).select_from(table).where(*chosen)
                return connection.scalar(query) or 0

            waiting = (
                select(deliveries.c.channel, func.count())
                .where(deliveries.c.delivered_at.is_(None))
                .group_by(deliveries.c.channel)
                .order_by(deliveries.c.channel)
            )
            return Holdings(
                calls=count(calls),
                failures=count(failures),
                being_scored=count(leases),
                open_alerts=count(alerts, alerts.c.state == AlertState.OPEN.value),
                waiting={row[0]: row[1] for row in connection.execute(waiting)},
                unfinished_deletions=count(deletions, deletions.c.finished_at.is_(None)),
            )

        return self._database.read(work)

    def forget_failures(self, *, before: datetime) -> int:
        """Delete what is noted of calls that failed before then; how many there were.

        Those that a hold names stay.
        """
        held = exists().where(holds.c.lifted_at.is_(None), holds.c.call_id == failures.c.call_id)
        old = and_(failures.c.failed_at < before, ~held)
        return self._database.write(lambda c: c.execute(delete(failures).where(old)).rowcount)

    def old_failures(self, *, before: datetime) -> int:
        """How many ``forget_failures`` would delete."""
        held = exists().where(holds.c.lifted_at.is_(None), holds.c.call_id == failures.c.call_id)
        query = (
            select(func.count()).select_from(failures).where(failures.c.failed_at < before, ~held)
        )
        return self._database.read(lambda c: c.scalar(query) or 0)


def _is_on_call() -> ColumnElement[bool]:
    """Whether a hold stands on a call, for queries of both tables."""
    began = calls.c.started_at
    return and_(
        holds.c.lifted_at.is_(None),
        or_(holds.c.call_id.is_(None), holds.c.call_id == calls.c.call_id),
        or_(holds.c.agent_id.is_(None), holds.c.agent_id == calls.c.agent_id),
        or_(holds.c.caller_key.is_(None), holds.c.caller_key == calls.c.caller_key),
        or_(holds.c.since.is_(None), began.is_(None), began >= holds.c.since),
        or_(holds.c.until.is_(None), began.is_(None), began < holds.c.until),
    )


def _holds_on(call_ids: list[str]) -> CompoundSelect[Any]:
    """The holds that stand on these calls, each with the ``held_id`` of a call.

    Of a call that is not scored nothing but its id is known, so a hold that names it is enough.
    """
    scored = (
        select(calls.c.call_id.label("held_id"), holds)
        .join(holds, _is_on_call())
        .where(calls.c.call_id.in_(call_ids))
    )
    unscored = select(holds.c.call_id.label("held_id"), holds).where(
        holds.c.lifted_at.is_(None),
        holds.c.call_id.in_(call_ids),
        ~exists().where(calls.c.call_id == holds.c.call_id),
    )
    return union_all(scored, unscored)


def _refuse_held(connection: Connection, call_id: str) -> None:
    row = connection.execute(_holds_on([call_id]).order_by("hold_id").limit(1)).first()
    if row is not None:
        raise UsageError(
            f"call {call_id} is under legal hold {row.hold_id}, set by {row.set_by} on "
            f"{row.set_at:%Y-%m-%d}; nothing of it was deleted. Lift the hold first: "
            f"qa-monitor hold remove {row.hold_id}",
            call_id=call_id,
        )


def _refuse_claimed(connection: Connection, call_id: str, now: datetime) -> None:
    """A run that has a call in hand would store it again after it was deleted."""
    claimed = select(leases.c.worker).where(leases.c.call_id == call_id, leases.c.expires_at > now)
    worker = connection.scalar(claimed)
    if worker is not None and not is_dead(worker):
        raise UsageError(
            f"call {call_id} is being scored at the moment; nothing of it was deleted. Delete it "
            "when that run has ended.",
            call_id=call_id,
        )


def _note(
    connection: Connection,
    action: str,
    kind: str,
    object_id: str,
    reason: str | None,
    *,
    by: str,
    via: str,
    now: datetime,
) -> None:
    """An entry of the access log that stands or falls with what it tells of."""
    connection.execute(
        insert(access_log).values(
            at=now,
            user_id=by,
            via=via,
            action=action,
            kind=kind,
            object_id=object_id,
            outcome="allowed",
            reason=reason,
        )
    )


def _chunks(items: list[str]) -> list[list[str]]:
    return [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]


def _hold_of(row: Any) -> Hold:
    return Hold(**row._mapping)


def _deletion_of(row: Any) -> Deletion:
    return Deletion(**row._mapping)
