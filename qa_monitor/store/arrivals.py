"""What watched folders brought: the files that are known, and how long each call took.

File names carry names of patients, so a file is known by a keyed digest of its path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Table,
    Text,
    func,
    select,
    true,
)

from qa_monitor.store.tables import UtcDateTime, alerts, calls, deliveries, metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from qa_monitor.store.database import Database
    from qa_monitor.store.people import Scope

__all__ = ["Arrival", "Arrivals", "FileToAlert", "KnownFile", "percentile"]

_MEASURED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """A file as it was when it was dealt with.

    ``known_by`` digests what was known of the call beside the file (sidecar, row of call records);
    ``is_failed`` says that it could not be scored as it was.
    """

    size: int
    modified_ns: int
    known_by: str
    is_failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When a recording was finished in its folder, taken up, and kept with its record.

    ``was_waiting`` tells that it lay there before anybody watched, so that its time says nothing.
    """

    call_id: str
    arrived_at: datetime
    taken_at: datetime
    saved_at: datetime
    was_waiting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToAlert:
    """How long it takes from the end of a file to its record, and to the first channel told.

    Seconds, median and 95th percentile, over the newest ``calls`` that came while their folder was
    watched, and ``alerts`` of theirs that were not held back by quiet hours. ``was_waiting`` calls
    lay there before and are not counted. ``None`` where there is nothing to measure.
    """

    calls: int
    to_record_median_s: float | None
    to_record_p95_s: float | None
    alerts: int
    to_alert_median_s: float | None
    to_alert_p95_s: float | None
    was_waiting: int


watched_files = Table(
    "watched_files",
    metadata,
    Column("path_digest", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("known_by", Text, nullable=False),
    Column("is_failed", Boolean, nullable=False),
    Column("noted_at", UtcDateTime, nullable=False),
)

arrivals = Table(
    "arrivals",
    metadata,
    Column("call_id", ForeignKey("calls.call_id", ondelete="CASCADE"), primary_key=True),
    Column("arrived_at", UtcDateTime, nullable=False),
    Column("taken_at", UtcDateTime, nullable=False),
    Column("saved_at", UtcDateTime, nullable=False, index=True),
    Column("was_waiting", Boolean, nullable=False),
)


class Arrivals:
    """``Store.arrivals``; each method is one transaction, and raises ``StoreError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known_files(self) -> Mapping[str, KnownFile]:
        """Every file that was dealt with, by the digest of its path."""
        query = select(watched_files)
        return self._database.read(
            lambda c: {
                row.path_digest: KnownFile(
                    size=row.size,
                    modified_ns=row.modified_ns,
                    known_by=row.known_by,
                    is_failed=row.is_failed,
                )
                for row in c.execute(query)
            }
        )

    def watching_since(self) -> datetime | None:
        """When the first file was dealt with; ``None`` where nobody has watched yet."""
        query = select(func.min(watched_files.c.noted_at))
        since: datetime | None = self._database.read(lambda c: c.scalar(query))
        return since

    def note(
        self, path_digest: str, file: KnownFile, *, now: datetime, arrival: Arrival | None = None
    ) -> None:
        """Remember that a file was dealt with, and how long its call took where it was scored.

        A call whose time is known keeps it, and one that is deleted meanwhile has none.
        """
        values = {
            "size": file.size,
            "modified_ns": file.modified_ns,
            "known_by": file.known_by,
            "is_failed": file.is_failed,
            "noted_at": now,
        }

        def work(connection: Connection) -> None:
            connection.execute(
                self._database.insert(watched_files)
                .values(path_digest=path_digest, **values)
                .on_conflict_do_update(index_elements=[watched_files.c.path_digest], set_=values)
            )
            if arrival is None:
                return
            own = calls.c.call_id == arrival.call_id
            if connection.scalar(select(calls.c.call_id).where(own)) is not None:
                connection.execute(
                    self._database.insert(arrivals)
                    .values(
                        call_id=arrival.call_id,
                        arrived_at=arrival.arrived_at,
                        taken_at=arrival.taken_at,
                        saved_at=arrival.saved_at,
                        was_waiting=arrival.was_waiting,
                    )
                    .on_conflict_do_nothing(index_elements=[arrivals.c.call_id])
                )

        self._database.write(work)

    def of_call(self, call_id: str) -> Arrival | None:
        """When the recording of a call came; ``None`` for one that no watched folder brought."""
        query = select(arrivals).where(arrivals.c.call_id == call_id)
        row = self._database.read(lambda c: c.execute(query).one_or_none(), call_id)
        return None if row is None else _arrival_of(row)

    def file_to_alert(
        self, scope: Scope | None = None, *, since: datetime | None = None
    ) -> FileToAlert:
        """How quick it was, over calls within ``scope`` kept since then."""
        chosen = [true() if scope is None else scope.condition()]
        if since is not None:
            chosen.append(arrivals.c.saved_at >= since)
        told_at = func.min(deliveries.c.delivered_at)

        def work(connection: Connection) -> tuple[Sequence[Any], Sequence[Any], int]:
            came = (
                connection.execute(
                    select(arrivals)
                    .join(calls, calls.c.call_id == arrivals.c.call_id)
                    .where(*chosen, arrivals.c.was_waiting.is_(False))
                    .order_by(arrivals.c.saved_at.desc())
                    .limit(_MEASURED)
                )
            ).all()
            told = connection.execute(
                select(arrivals.c.arrived_at, told_at.label("told_at"))
                .join(calls, calls.c.call_id == arrivals.c.call_id)
                .join(alerts, alerts.c.call_id == arrivals.c.call_id)
                .join(deliveries, deliveries.c.alert_id == alerts.c.alert_id)
                .where(
                    *chosen,
                    arrivals.c.was_waiting.is_(False),
                    deliveries.c.step == 0,
                    deliveries.c.is_raise.is_(False),
                    deliveries.c.is_held.is_(False),
                    deliveries.c.delivered_at.is_not(None),
                )
                .group_by(alerts.c.alert_id, arrivals.c.arrived_at, arrivals.c.saved_at)
                .order_by(arrivals.c.saved_at.desc())
                .limit(_MEASURED)
            ).all()
            waiting = connection.scalar(
                select(func.count())
                .select_from(arrivals)
                .join(calls, calls.c.call_id == arrivals.c.call_id)
                .where(*chosen, arrivals.c.was_waiting)
            )
            return came, told, waiting or 0

        came, told, waiting = self._database.read(work)
        to_record = [(row.saved_at - row.arrived_at).total_seconds() for row in came]
        to_alert = [(row.told_at - row.arrived_at).total_seconds() for row in told]
        return FileToAlert(
            calls=len(to_record),
            to_record_median_s=percentile(to_record, 0.5),
            to_record_p95_s=percentile(to_record, 0.95),
            alerts=len(to_alert),
            to_alert_median_s=percentile(to_alert, 0.5),
            to_alert_p95_s=percentile(to_alert, 0.95),
            was_waiting=waiting,
        )


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value that ``share`` of ``values`` do not exceed, between neighbours in proportion."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _arrival_of(row: Any) -> Arrival:
    return Arrival(
        call_id=row.call_id,
        arrived_at=row.arrived_at,
        taken_at=row.taken_at,
        saved_at=row.saved_at,
        was_waiting=row.was_waiting,
    )
