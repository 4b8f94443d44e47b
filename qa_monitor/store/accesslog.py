"""Who saw, changed, took out or was refused what, and when; entries are added and never changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, Integer, Table, Text, and_, delete, func, insert, select

from qa_monitor.store.database import Database
from qa_monitor.store.tables import UtcDateTime, metadata

__all__ = ["Access", "AccessLog"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One entry.

    ``user_id`` is ``None`` for somebody not signed in; ``via`` is ``session``, ``token``,
    ``command`` or ``none``. ``action`` is a code (``call.view``, ``report.export``); ``kind`` and
    ``object_id`` name what it was about (``call``, ``agent``, ``alert``, ...). ``outcome`` is
    ``allowed``, ``refused`` or ``failed``. ``reason`` is what the user typed where a reason is
    asked for; ``client`` the network address.
    """

    at: datetime
    user_id: str | None
    via: str
    action: str
    kind: str | None = None
    object_id: str | None = None
    outcome: str = "allowed"
    reason: str | None = None
    client: str | None = None
    entry_id: int | None = None


access_log = Table(
    "access_log",
    metadata,
    Column("entry_id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    # No foreign key: what somebody did stays when the account is gone.
    Column("user_id", Text),
    Column("via", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("kind", Text),
    Column("object_id", Text),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("client", Text),
    Index(None, "kind", "object_id"),
    Index(None, "user_id", "at"),
    sqlite_autoincrement=True,
)


class AccessLog:
    """``Store.access_log``; each method is one transaction, and raises ``StoreError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, entries: Iterable[Access]) -> None:
        """Add entries; on disk when this returns."""
        rows = [
            {
                "at": entry.at,
                "user_id": entry.user_id,
                "via": entry.via,
                "action": entry.action,
                "kind": entry.kind,
                "object_id": entry.object_id,
                "outcome": entry.outcome,
                "reason": entry.reason,
                "client": entry.client,
            }
            for entry in entries
        ]
        if rows:
            self._database.write(lambda c: c.execute(insert(access_log), rows))

    def entries(
        self,
        *,
        user_id: str | None = None,
        action: str | None = None,
        kind: str | None = None,
        object_id: str | None = None,
        outcome: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[Access, ...]:
        """Entries that fit all that is given, the newest first.

        ``before`` is the ``entry_id`` where the page before ended; ``[since, until)``.
        """
        equal = {
            "user_id": user_id,
            "action": action,
            "kind": kind,
            "object_id": object_id,
            "outcome": outcome,
        }
        chosen = [access_log.c[name] == value for name, value in equal.items() if value is not None]
        if since is not None:
            chosen.append(access_log.c.at >= since)
        if until is not None:
            chosen.append(access_log.c.at < until)
        if before is not None:
            chosen.append(access_log.c.entry_id < before)
        query = (
            select(access_log)
            .where(and_(True, *chosen))
            .order_by(access_log.c.entry_id.desc())
            .limit(limit)
        )
        return self._database.read(lambda c: tuple(_entry_of(row) for row in c.execute(query)))

    def count(self, *, before: datetime) -> int:
        """How many entries are older than ``before``."""
        query = select(func.count()).select_from(access_log).where(access_log.c.at < before)
        return self._database.read(lambda c: c.scalar(query) or 0)

    def forget(self, *, before: datetime) -> int:
        """Delete entries older than ``before``; how many there were."""
        old = access_log.c.at < before
        return self._database.write(lambda c: c.execute(delete(access_log).where(old)).rowcount)


def _entry_of(row: Any) -> Access:
    return Access(
        entry_id=row.entry_id,
        at=row.at,
        user_id=row.user_id,
        via=row.via,
        action=row.action,
        kind=row.kind,
        object_id=row.object_id,
        outcome=row.outcome,
        reason=row.reason,
        client=row.client,
    )
