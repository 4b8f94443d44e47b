"""``Store``: everything that is done with the database, each method one transaction.

A method either does the whole of what it says or nothing. Times are aware and come back in UTC.
Every method raises ``StoreError`` when the database fails.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import and_, delete, func, insert, literal, or_, select, update

from qa_monitor.calls import (
    Alert,
    CallRecord,
    Contacts,
    Criterion,
    Direction,
    FailedCall,
    Recording,
    Score,
    Scorecard,
    Severity,
)
from qa_monitor.errors import NotFoundError, StoreError
from qa_monitor.store.accesslog import AccessLog
from qa_monitor.store.alerting import Alerting, by_need, note_state, queue_deliveries
from qa_monitor.store.arrivals import Arrivals
from qa_monitor.store.browsing import Browsing, note_call, note_run
from qa_monitor.store.coaching import Coaching
from qa_monitor.store.contacts import contacts_of, contacts_of_chosen
from qa_monitor.store.database import Database, open_engine
from qa_monitor.store.history import history_of
from qa_monitor.store.keeping import Keeping, clear_call
from qa_monitor.store.people import People
from qa_monitor.store.queueing import Queueing
from qa_monitor.store.ratings import Ratings
from qa_monitor.store.reporting import Reporting
from qa_monitor.store.reviews import HistoryEntry, Reviews
from qa_monitor.store.rows import (
    call_columns,
    card_columns,
    card_of,
    card_summary_of,
    delivery_state_of,
    event_of,
    evidence_column,
    failure_of,
    is_of_dialogue,
    record_of,
    review_columns,
    run_columns,
    run_of,
    score_columns,
    score_of,
    stored_alert_of,
    summary_of,
    transcript_columns,
)
from qa_monitor.store.rubrics import compare_rubrics, named_rubric, rubric_uses
from qa_monitor.store.tables import (
    alert_events,
    alerts,
    calls,
    deliveries,
    failures,
    leases,
    runs,
    scorecards,
    scores,
    transcripts,
)
from qa_monitor.store.tasks import note_change
from qa_monitor.store.team import Team, note_figures
from qa_monitor.store.values import (
    AlertEvent,
    AlertState,
    CallSummary,
    CardSummary,
    Delivery,
    DeliveryState,
    Route,
    RubricComparison,
    RubricUse,
    RunSummary,
    StoredAlert,
)

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy import ColumnElement, Connection

__all__ = ["Store", "open_store"]

_PAGE = 50
_COMPARED_IDS = 20_000
_CALL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def open_store(url: str) -> Store:
    """The store at ``url`` (SQLAlchemy's form), made or brought up to date if need be.

    SQLite, in a file for its owner only, or PostgreSQL. Raises ``ConfigError`` when the URL cannot
    be used, ``StoreError`` when the database cannot be opened, is damaged, or was made by a newer
    version.
    """
    return Store(Database(open_engine(url)))


class Store:
    """The database of records and alerts; a context manager that closes it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read, self._write = database.read, database.write
        self._insert = database.insert

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Close every connection; what was saved is on disk already."""
        self._database.close()

    @cached_property
    def people(self) -> People:
        """Users of the pages, their sessions and tokens, and the agents' teams."""
        return People(self._database)

    @cached_property
    def alerting(self) -> Alerting:
        """Alerts as supervisors handle them, and the outbox."""
        return Alerting(self._database)

    @cached_property
    def arrivals(self) -> Arrivals:
        """What watched folders brought, and how quickly it was told."""
        return Arrivals(self._database)

    @cached_property
    def team(self) -> Team:
        """Sums over many calls, for those who run a centre."""
        return Team(self._database)

    @cached_property
    def browsing(self) -> Browsing:
        """Lists of calls, filtered and searched, and those that users keep."""
        return Browsing(self._database)

    @cached_property
    def access_log(self) -> AccessLog:
        """Who saw, changed or was refused what."""
        return AccessLog(self._database)

    @cached_property
    def keeping(self) -> Keeping:
        """Legal holds, what is due to go, and what was deleted."""
        return Keeping(self._database)

    @cached_property
    def coaching(self) -> Coaching:
        """Notes, goals, acknowledgements, answers and disputes."""
        return Coaching(self._database)

    @cached_property
    def reviews(self) -> Reviews:
        """What people say of calls: judgements, comments, finished reviews."""
        return Reviews(self._database)

    @cached_property
    def queueing(self) -> Queueing:
        """What is to be reviewed, who has it, and what was read blind."""
        return Queueing(self._database)

    @cached_property
    def ratings(self) -> Ratings:
        """What reviewers found beside what the machine found."""
        return Ratings(self._database)

    @cached_property
    def reporting(self) -> Reporting:
        """Scored calls without their words, and sums over many, with corrections in place."""
        return Reporting(self._database)

    # --- calls being worked on -------------------------------------------------------------------

    def claim(self, call_id: str, *, worker: str, now: datetime, lease_s: float = 900) -> bool:
        """Whether ``worker`` now holds ``call_id``, for ``lease_s`` seconds.

        False while another worker holds it. Of several that claim at once exactly one succeeds.
        """
        values = {"worker": worker, "lease_s": lease_s, "expires_at": _after(now, lease_s)}
        statement = (
            self._insert(leases)
            .values(call_id=call_id, **values)
            .on_conflict_do_update(
                index_elements=[leases.c.call_id],
                set_=values,
                where=or_(leases.c.expires_at <= now, leases.c.worker == worker),
            )
            .execution_options(preserve_rowcount=True)
        )
        return self._write(lambda c: c.execute(statement).rowcount == 1, call_id)

    def holder(self, call_id: str) -> str | None:
        """The worker whose lease on ``call_id`` stands, even if it has run out."""
        query = select(leases.c.worker).where(leases.c.call_id == call_id)
        return self._read(lambda c: c.scalar(query), call_id)

    def heartbeat(self, call_id: str, *, worker: str, now: datetime) -> bool:
        """Hold ``call_id`` for another lease; False when the lease was lost to another worker."""

        def work(connection: Connection) -> bool:
            own = and_(leases.c.call_id == call_id, leases.c.worker == worker)
            lease_s = connection.scalar(select(leases.c.lease_s).where(own))
            if lease_s is None:
                return False
            connection.execute(update(leases).where(own).values(expires_at=_after(now, lease_s)))
            return True

        return self._write(work, call_id)

    def release(self, call_id: str, *, worker: str) -> None:
        """Give ``call_id`` back, if ``worker`` holds it."""
        own = and_(leases.c.call_id == call_id, leases.c.worker == worker)
        self._write(lambda c: c.execute(delete(leases).where(own)), call_id)

    # --- records in ------------------------------------------------------------------------------

    def find_by_sha256(self, sha256: str) -> str | None:
        """The call id under which this recording was scored, if it was."""
        return self._read(
            lambda c: c.scalar(
                select(calls.c.call_id)
                .where(calls.c.sha256 == sha256)
                .order_by(calls.c.first_scored_at, calls.c.call_id)
                .limit(1)
            )
        )

    def has_record(self, call_id: str) -> bool:
        """Whether the call was scored."""
        query = select(calls.c.call_id).where(calls.c.call_id == call_id)
        return self._read(lambda c: c.scalar(query) is not None, call_id)

    def save_record(
        self,
        record: CallRecord,
        alerts: Sequence[Alert],
        *,
        now: datetime,
        channels: Sequence[str | Route] = (),
        after_run: int | None = None,
    ) -> int:
        """Keep ``record`` as a new run of its call, with ``alerts``; the run's id.

        Record, alerts and what ``channels`` are to be told of are one transaction. An alert whose
        id is known is not raised again; one that is more urgent than before is opened again and
        told of as a raise. An earlier failure of the call is forgotten. Raises ``StoreError`` also
        when the call id belongs to another recording, and when ``after_run``, from which the record
        was made, is no longer the call's latest.
        """

        def work(connection: Connection) -> int:
            if after_run is not None and not self._is_latest(connection, record.call_id, after_run):
                raise _scored_meanwhile(record.call_id)
            return self._keep_record(connection, record, alerts, now, channels)

        return self._write(work, record.call_id)

    def save_records(
        self, scored: Sequence[tuple[CallRecord, Sequence[Alert], datetime]]
    ) -> tuple[int, ...]:
        """The same for many records, each with its alerts and when it was scored: all or none.

        No channel is told of their alerts. A few hundred at a time are quick.
        """

        def work(connection: Connection) -> tuple[int, ...]:
            return tuple(
                self._keep_record(connection, record, alerts, now, ())
                for record, alerts, now in scored
            )

        return self._write(work)

    def _keep_record(
        self,
        connection: Connection,
        record: CallRecord,
        alerts: Sequence[Alert],
        now: datetime,
        channels: Sequence[str | Route],
    ) -> int:
        self._keep_call(connection, record.recording, now)
        run_id = self._keep_run(connection, record, now)
        # By the recording too: it may have failed while it had no id but that of its content.
        same = failures.c.sha256 == record.recording.sha256
        connection.execute(delete(failures).where(or_(failures.c.call_id == record.call_id, same)))
        for alert in alerts:
            self._keep_alert(connection, alert, run_id, channels, now)
        note_run(connection, record)
        return run_id

    def _keep_call(self, connection: Connection, recording: Recording, now: datetime) -> None:
        values = call_columns(recording)
        own = dict(values)
        del own["call_id"], own["sha256"]
        written = connection.execute(
            self._insert(calls)
            .values(**values, first_scored_at=now)
            .on_conflict_do_update(
                index_elements=[calls.c.call_id],
                set_=own,
                where=calls.c.sha256 == recording.sha256,
            )
            .execution_options(preserve_rowcount=True)
        )
        if written.rowcount != 1:
            raise StoreError(
                f"call {recording.call_id}: this id belongs to another recording that is scored "
                "already. Correct the call id of one of the two.",
                call_id=recording.call_id,
            )

    def _keep_run(self, connection: Connection, record: CallRecord, now: datetime) -> int:
        written = connection.execute(insert(runs).values(**run_columns(record), scored_at=now))
        run_id: int = written.inserted_primary_key[0]  # type: ignore[index]
        connection.execute(insert(transcripts).values(**transcript_columns(record), run_id=run_id))
        card_id = self._keep_card(connection, record.scorecard, run_id, now)
        self._use_card(connection, run_id, card_id)
        connection.execute(
            update(calls).where(calls.c.call_id == record.call_id).values(latest_run_id=run_id)
        )
        note_figures(connection, record.call_id)
        note_change(connection, record.call_id)
        return run_id

    @staticmethod
    def _keep_card(connection: Connection, card: Scorecard, run_id: int, now: datetime) -> int:
        written = connection.execute(
            insert(scorecards).values(**card_columns(card), run_id=run_id, made_at=now)
        )
        card_id: int = written.inserted_primary_key[0]  # type: ignore[index]
        score_rows = [
            {**score_columns(score), "card_id": card_id, "position": position}
            for position, score in enumerate(card.scores)
        ]
        if score_rows:
            connection.execute(insert(scores), score_rows)
        return card_id

    @staticmethod
    def _use_card(connection: Connection, run_id: int, card_id: int) -> None:
        connection.execute(update(runs).where(runs.c.run_id == run_id).values(card_id=card_id))

    @staticmethod
    def _is_latest(connection: Connection, call_id: str, run_id: int) -> bool:
        # Held until the transaction ends: SQLite has one writer, PostgreSQL locks the row.
        latest = select(calls.c.latest_run_id).where(calls.c.call_id == call_id).with_for_update()
        return connection.scalar(latest) == run_id

    def save_card(
        self,
        card: Scorecard,
        run_id: int,
        alerts: Sequence[Alert] = (),
        *,
        now: datetime,
        in_use: bool = True,
        channels: Sequence[str | Route] = (),
    ) -> None:
        """Keep another score card of run ``run_id``, beside those it has, in one transaction.

        ``in_use`` makes it the one that reports, lists and alerts go by, and keeps ``alerts`` as
        ``save_record`` does. A card that the run has as its newest of this rubric is not kept
        twice. Raises ``StoreError`` when the run is no longer the call's latest, and
        ``NotFoundError`` when nothing is stored of the call.
        """

        def work(connection: Connection) -> bool:
            if not self._is_latest(connection, card.call_id, run_id):
                return False
            own = (scorecards.c.run_id == run_id) & (
                scorecards.c.rubric_version == card.rubric_version
            )
            newest = connection.execute(
                select(scorecards).where(own).order_by(scorecards.c.card_id.desc()).limit(1)
            ).one_or_none()
            if newest is None or card != self._card(connection, card.call_id, newest):
                card_id = self._keep_card(connection, card, run_id, now)
            else:
                card_id = newest.card_id
            if in_use:
                self._use_card(connection, run_id, card_id)
                for alert in alerts:
                    self._keep_alert(connection, alert, run_id, channels, now)
                note_call(connection, card.call_id)
                note_figures(connection, card.call_id)
                note_change(connection, card.call_id)
            return True

        if not self._write(work, card.call_id):
            if not self.has_record(card.call_id):
                raise self._not_found(card.call_id)
            raise _scored_meanwhile(card.call_id)

    def _card(self, connection: Connection, call_id: str, row: Any) -> Scorecard:
        return card_of(call_id, row, self._scores(connection, [row.card_id]).get(row.card_id, ()))

    @staticmethod
    def _scores(connection: Connection, card_ids: Collection[int]) -> dict[int, tuple[Score, ...]]:
        """The scores of each card that has any."""
        by_card: dict[int, list[Score]] = {}
        for row in connection.execute(
            select(scores)
            .where(scores.c.card_id.in_(card_ids))
            .order_by(scores.c.card_id, scores.c.position)
        ):
            by_card.setdefault(row.card_id, []).append(score_of(row))
        return {card_id: tuple(found) for card_id, found in by_card.items()}

    def _keep_alert(
        self,
        connection: Connection,
        alert: Alert,
        run_id: int,
        channels: Sequence[str | Route],
        now: datetime,
    ) -> None:
        known = connection.scalar(
            select(alerts.c.severity).where(alerts.c.alert_id == alert.alert_id)
        )
        values: dict[str, Any] = {"run_id": run_id, "evidence": evidence_column(alert.evidence)}
        is_raised = known is not None and alert.severity.rank < Severity(known).rank
        if known is None or is_raised:
            values |= {
                "severity": alert.severity.value,
                "raised_at": alert.raised_at,
                "state": AlertState.OPEN.value,
            }
        if known is None:
            connection.execute(
                insert(alerts).values(
                    alert_id=alert.alert_id,
                    call_id=alert.call_id,
                    reason=alert.reason,
                    first_raised_at=alert.raised_at,
                    **values,
                )
            )
        else:
            own = alerts.c.alert_id == alert.alert_id
            connection.execute(update(alerts).where(own).values(**values))
        if known is None or is_raised:
            note_state(connection, alert.alert_id, AlertState.OPEN, now, by="scoring")
            queue_deliveries(connection, alert, channels, now)

    def note_verification(self, record: CallRecord) -> bool:
        """Put the verification and the review reasons of ``record`` where it was read from.

        False, and nothing is changed, when the call has been scored again or deleted since: what
        was listened to is no longer what is kept.
        """

        def work(connection: Connection) -> bool:
            stored = connection.execute(
                select(
                    transcripts.c.run_id,
                    transcripts.c.dialogue,
                    scorecards.c.card_id,
                    scorecards.c.rubric_version,
                )
                .join(calls, calls.c.latest_run_id == transcripts.c.run_id)
                .join(runs, runs.c.run_id == transcripts.c.run_id)
                .join(scorecards, scorecards.c.card_id == runs.c.card_id)
                .where(calls.c.call_id == record.call_id)
            ).one_or_none()
            if (
                stored is None
                or stored.rubric_version != record.scorecard.rubric_version
                or not is_of_dialogue(stored.dialogue, record.dialogue)
            ):
                return False
            connection.execute(
                update(transcripts)
                .where(transcripts.c.run_id == stored.run_id)
                .values(**transcript_columns(record))
            )
            connection.execute(
                update(scorecards)
                .where(scorecards.c.card_id == stored.card_id)
                .values(**review_columns(record.scorecard))
            )
            note_call(connection, record.call_id)
            note_change(connection, record.call_id)
            return True

        return self._write(work, record.call_id)

    def correct_metadata(
        self,
        call_id: str,
        *,
        agent_id: str | None,
        queue: str | None,
        direction: Direction,
        started_at: datetime | None,
        interaction_id: str | None,
        caller_key: str | None,
        hold_s: float | None = None,
        after_call_s: float | None = None,
        disposition_code: str | None = None,
        resolved: bool | None = None,
        transferred: bool | None = None,
    ) -> None:
        """Put these in place of what is stored of the call; nothing is scored again.

        What is not said (``None``, or an unknown direction) leaves what was known as it is, so that
        a later run without call records forgets nothing.
        """
        said = {
            "agent_id": agent_id,
            "queue": queue,
            "direction": None if direction is Direction.UNKNOWN else direction.value,
            "started_at": started_at,
            "interaction_id": interaction_id,
            "caller_key": caller_key,
            "hold_s": hold_s,
            "after_call_s": after_call_s,
            "disposition_code": disposition_code,
            "resolved": resolved,
            "transferred": transferred,
        }
        corrected = {name: value for name, value in said.items() if value is not None}
        own = calls.c.call_id == call_id
        stored = self._read(
            lambda c: c.execute(select(calls).where(own)).mappings().one_or_none(), call_id
        )
        if stored is None:
            raise self._not_found(call_id)
        # A run over finished work asks this of every call; few have changed, and writing waits for
        # the disk.
        if any(stored[name] != value for name, value in corrected.items()):

            def work(connection: Connection) -> None:
                connection.execute(update(calls).where(own).values(corrected))
                note_call(connection, call_id)
                note_figures(connection, call_id)

            self._write(work, call_id)

    def save_failure(self, failed: FailedCall, *, now: datetime) -> None:
        """Note that a call could not be scored, in place of what was noted of it before."""
        values = {
            "source": failed.source,
            "sha256": failed.sha256,
            "stage": failed.stage,
            "error": failed.error,
            "message": failed.message,
            "failed_at": now,
        }
        statement = (
            self._insert(failures)
            .values(call_id=failed.call_id, **values)
            .on_conflict_do_update(index_elements=[failures.c.call_id], set_=values)
        )
        self._write(lambda c: c.execute(statement), failed.call_id)

    def sources(self) -> Mapping[str, int]:
        """How many calls, scored or failed, each source has, in alphabetical order."""
        ids = select(calls.c.call_id, calls.c.source).union(
            select(failures.c.call_id, failures.c.source)
        )
        each = ids.subquery()
        query = select(each.c.source, func.count()).group_by(each.c.source).order_by(each.c.source)
        return self._read(lambda c: {row[0]: row[1] for row in c.execute(query)})

    def delete_call(self, call_id: str, *, scrub: bool = True) -> None:
        """Delete every run, score, alert, delivery, failure and lease of the call for good.

        Whatever holds it, and noted nowhere: people delete by ``keeping.delete_call``. On SQLite
        the freed pages are overwritten and the write-ahead log is emptied, so that the text is gone
        from the disk once no other process is reading. That takes seconds where many calls are
        searched: of several deletions, leave ``scrub`` to the last. Raises ``NotFoundError`` when
        nothing is stored of the call.
        """
        if not self._write(lambda c: clear_call(c, call_id), call_id):
            raise self._not_found(call_id)
        if scrub:
            self.browsing.scrub()

    # --- records out -----------------------------------------------------------------------------

    def record(
        self, call_id: str, *, run_id: int | None = None, rubric: str | None = None
    ) -> CallRecord:
        """The latest run of a call, or run ``run_id`` of it, with its card in use.

        ``rubric`` names another of its cards: the newest of that rubric version, or of that name
        and version where only one of the run's rubrics has them. Raises ``NotFoundError`` that
        tells what is known of the call, or names ids and rubrics that there are.
        """
        wanted = (runs.c.run_id == (calls.c.latest_run_id if run_id is None else run_id)) & (
            calls.c.call_id == call_id
        )

        def work(connection: Connection) -> list[CallRecord]:
            if rubric is None:
                return self._load(connection, wanted)
            newest = (
                select(scorecards.c.rubric_version, func.max(scorecards.c.card_id).label("card_id"))
                .join(runs, runs.c.run_id == scorecards.c.run_id)
                .join(calls, calls.c.call_id == runs.c.call_id)
                .where(wanted)
                .group_by(scorecards.c.rubric_version)
            )
            cards = {row.rubric_version: row.card_id for row in connection.execute(newest)}
            if not cards:
                return []
            card_id = cards[named_rubric(rubric, cards, f"call {_shown(call_id)} has no card of")]
            return self._load(connection, wanted, card=literal(card_id))

        found = self._read(work, call_id)
        if not found:
            raise self._not_found(call_id, run_id)
        return found[0]

    def cards(self, call_id: str) -> tuple[CardSummary, ...]:
        """The score cards of the latest run of a call, oldest first."""
        query = (
            select(scorecards, (scorecards.c.card_id == runs.c.card_id).label("is_in_use"))
            .join(runs, runs.c.run_id == scorecards.c.run_id)
            .join(calls, calls.c.latest_run_id == runs.c.run_id)
            .where(calls.c.call_id == call_id)
            .order_by(scorecards.c.card_id)
        )
        found = self._read(lambda c: tuple(card_summary_of(row) for row in c.execute(query)))
        if not found:
            raise self._not_found(call_id)
        return found

    def latest_runs(
        self,
        *,
        agent_id: str | None = None,
        queue: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Mapping[str, int]:
        """Which run is the latest, by call id; calls chosen and ordered as ``records`` does."""
        chosen = _chosen(agent_id, since, until)
        if queue is not None:
            chosen.append(calls.c.queue == queue)
        query = (
            select(calls.c.call_id, calls.c.latest_run_id).where(*chosen).order_by(*_BY_BEGINNING)
        )
        return self._read(lambda c: {row.call_id: row.latest_run_id for row in c.execute(query)})

    def latest_run(self, call_id: str) -> int:
        """The id of the latest run of a call; ``NotFoundError`` when there is none."""
        query = select(calls.c.latest_run_id).where(calls.c.call_id == call_id)
        run_id: int | None = self._read(lambda c: c.scalar(query), call_id)
        if run_id is None:
            raise self._not_found(call_id)
        return run_id

    def records(
        self,
        *,
        agent_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[CallRecord]:
        """The latest run of each call with its card in use, oldest first, a few in memory.

        ``since`` and ``until`` are ``[since, until)`` on the beginning of the call; with either, a
        call without a known beginning is left out. Calls saved meanwhile may or may not come.
        """
        query = (
            select(calls.c.latest_run_id)
            .where(*_chosen(agent_id, since, until))
            .order_by(*_BY_BEGINNING)
        )
        wanted = self._read(lambda c: list(c.scalars(query)))
        for start in range(0, len(wanted), _PAGE):
            page = runs.c.run_id.in_(wanted[start : start + _PAGE])
            yield from self._read(partial(self._load, wanted=page))

    def _load(
        self,
        connection: Connection,
        wanted: ColumnElement[bool],
        card: ColumnElement[int] = runs.c.card_id,
    ) -> list[CallRecord]:
        rows = connection.execute(
            select(
                calls,
                runs.c.versions,
                runs.c.warnings,
                runs.c.metrics,
                scorecards,
                transcripts.c.dialogue,
                transcripts.c.findings,
            )
            .join(runs, runs.c.call_id == calls.c.call_id)
            .join(scorecards, scorecards.c.card_id == card)
            .join(transcripts, transcripts.c.run_id == runs.c.run_id)
            .where(wanted)
            .order_by(*_BY_BEGINNING)
        ).all()
        by_card = self._scores(connection, [row.card_id for row in rows])
        return [record_of(row, by_card.get(row.card_id, ())) for row in rows]

    def summaries(
        self,
        *,
        agent_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[CallSummary, ...]:
        """A line for each call, chosen and ordered as ``records`` does, without transcripts."""
        chosen = _chosen(agent_id, since, until)

        def work(connection: Connection) -> tuple[CallSummary, ...]:
            points: dict[int, dict[Criterion, float | None]] = {}
            for row in connection.execute(
                select(runs.c.run_id, scores.c.criterion, scores.c.points)
                .join(runs, runs.c.card_id == scores.c.card_id)
                .join(calls, calls.c.latest_run_id == runs.c.run_id)
                .where(*chosen)
                .order_by(runs.c.run_id, scores.c.position)
            ):
                points.setdefault(row.run_id, {})[Criterion(row.criterion)] = row.points
            rows = connection.execute(
                select(
                    calls.c.call_id,
                    calls.c.agent_id,
                    calls.c.queue,
                    calls.c.started_at,
                    calls.c.duration_s,
                    runs.c.run_id,
                    runs.c.scored_at,
                    scorecards.c.call_type,
                    scorecards.c.escalated,
                    scorecards.c.total,
                    scorecards.c.needs_review,
                    runs.c.warnings,
                )
                .join(runs, calls.c.latest_run_id == runs.c.run_id)
                .join(scorecards, scorecards.c.card_id == runs.c.card_id)
                .where(*chosen)
                .order_by(*_BY_BEGINNING)
            )
            return tuple(summary_of(row, points.get(row.run_id, {})) for row in rows)

        return self._read(work)

    def runs(self, call_id: str) -> tuple[RunSummary, ...]:
        """The scorings of a call, oldest first; ``NotFoundError`` when there is none."""
        query = (
            select(
                runs.c.run_id,
                runs.c.call_id,
                runs.c.scored_at,
                runs.c.versions,
                scorecards.c.rubric_version,
                scorecards.c.total,
            )
            .join(scorecards, scorecards.c.card_id == runs.c.card_id)
            .where(runs.c.call_id == call_id)
            .order_by(runs.c.run_id)
        )
        found = self._read(lambda c: tuple(run_of(row) for row in c.execute(query)), call_id)
        if not found:
            raise self._not_found(call_id)
        return found

    def history(
        self, call_id: str, *, seen_by: str | None = None, for_agent: bool = False
    ) -> tuple[HistoryEntry, ...]:
        """Who said or did what with the call, and when, oldest first.

        Of blind reviews that go on only what ``seen_by`` said is told; ``for_agent`` leaves out
        what the agent is not to see.
        """
        return self._read(
            lambda c: history_of(c, call_id, seen_by=seen_by, for_agent=for_agent), call_id
        )

    def failures(self) -> tuple[FailedCall, ...]:
        """The calls that could not be scored, in the order in which they failed."""
        query = select(failures).order_by(failures.c.failed_at, failures.c.call_id)
        return self._read(lambda c: tuple(failure_of(row) for row in c.execute(query)))

    def agents(self) -> tuple[str, ...]:
        """The agents with scored calls, in alphabetical order."""
        query = select(calls.c.agent_id).where(calls.c.agent_id.is_not(None)).distinct()
        return self._read(lambda c: tuple(sorted(c.scalars(query))))

    # --- callers ---------------------------------------------------------------------------------

    def contacts_of(self, recording: Recording, *, within: timedelta, now: datetime) -> Contacts:
        """What the same caller's other calls ``within`` before and after tell of ``recording``.

        It need not be stored yet. What came in after the newest stored call is not known, so a
        window is open until both that and ``now`` have passed it.
        """
        return self._read(
            lambda c: contacts_of(c, recording, within=within, now=now), recording.call_id
        )

    def contacts(
        self,
        *,
        within: timedelta,
        now: datetime,
        agent_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Mapping[str, Contacts]:
        """The same by call id, for the calls that ``records`` would choose, in one query."""
        chosen = _chosen(agent_id, since, until)
        return self._read(
            lambda c: contacts_of_chosen(
                c, chosen, since=since, until=until, within=within, now=now
            )
        )

    # --- rubrics ---------------------------------------------------------------------------------

    def rubrics(self) -> tuple[RubricUse, ...]:
        """The rubric versions of the latest run of each call, in alphabetical order."""
        return self._read(rubric_uses)

    def compare_rubrics(self, first: str, second: str) -> RubricComparison:
        """Two rubric versions over the calls whose latest run has a card of both.

        They are named as in ``record``. Raises ``NotFoundError`` for one of which no card is
        stored.
        """
        return self._read(lambda c: compare_rubrics(c, first, second))

    # --- alerts ----------------------------------------------------------------------------------

    def alerts(
        self, *, open_only: bool = False, call_id: str | None = None
    ) -> tuple[StoredAlert, ...]:
        """Alerts with their state, the most urgent first, then unescalated calls, then the oldest.

        ``open_only`` leaves out what people have acknowledged, resolved or called a false alarm.
        """
        chosen = []
        if open_only:
            chosen.append(alerts.c.state == AlertState.OPEN.value)
        if call_id is not None:
            chosen.append(alerts.c.call_id == call_id)

        def work(connection: Connection) -> tuple[StoredAlert, ...]:
            states: dict[str, list[DeliveryState]] = {}
            for row in connection.execute(
                select(deliveries)
                .join(alerts, alerts.c.alert_id == deliveries.c.alert_id)
                .where(*chosen)
                .order_by(deliveries.c.delivery_id)
            ):
                states.setdefault(row.alert_id, []).append(delivery_state_of(row))
            rows = connection.execute(
                select(alerts)
                .join(runs, runs.c.run_id == alerts.c.run_id)
                .join(scorecards, scorecards.c.card_id == runs.c.card_id)
                .where(*chosen)
                .order_by(*by_need(alerts.c.severity))
            )
            return tuple(stored_alert_of(row, states.get(row.alert_id, ())) for row in rows)

        return self._read(work, call_id)

    def set_alert_state(
        self, alert_id: str, state: AlertState | str, *, now: datetime, by: str = "unnamed"
    ) -> None:
        """Note what ``by`` (a person's account) made of an alert; see ``Alerting.set_state``."""
        self.alerting.set_state(alert_id, state, by=by, now=now)

    def alert_events(self, alert_id: str) -> tuple[AlertEvent, ...]:
        """The history of an alert, oldest first; empty when there is no such alert."""
        query = (
            select(alert_events)
            .where(alert_events.c.alert_id == alert_id)
            .order_by(alert_events.c.event_id)
        )
        return self._read(lambda c: tuple(event_of(row) for row in c.execute(query)))

    # --- the outbox ------------------------------------------------------------------------------

    def pending_deliveries(
        self, channel: str, *, now: datetime, limit: int = 100
    ) -> tuple[Delivery, ...]:
        """What ``channel`` is to be told of by ``now``, in the order in which it matters.

        The most urgent first, then calls that nobody escalated, then the oldest.
        """
        return self.alerting.pending(channel, now=now, limit=limit)

    def waiting_deliveries(self, channels: Iterable[str]) -> int:
        """How much these channels are still to be told of, now or later."""
        return self.alerting.waiting(channels)

    def mark_delivered(self, delivery_id: int, *, now: datetime) -> None:
        """Note that the channel has taken it; it is not sent again."""
        self.alerting.delivered(delivery_id, now=now)

    def mark_failed(self, delivery_id: int, *, error_kind: str, now: datetime) -> None:
        """Note that the channel did not take it, and when to try again."""
        self.alerting.failed(delivery_id, error_kind=error_kind, now=now)

    # --- what is not there ----------------------------------------------------------------------

    def _not_found(self, call_id: str, run_id: int | None = None) -> NotFoundError:
        """The error that says what is known of ``call_id``."""
        shown = _shown(call_id)

        def work(connection: Connection) -> tuple[bool, Any, list[str]]:
            is_scored = connection.scalar(select(calls.c.call_id).where(calls.c.call_id == call_id))
            failure = connection.execute(
                select(failures.c.stage, failures.c.error).where(failures.c.call_id == call_id)
            ).one_or_none()
            holding = select(calls.c.call_id).where(
                calls.c.call_id.contains(call_id, autoescape=True)
            )
            near = list(connection.scalars(holding.order_by(calls.c.call_id).limit(3)))
            if not near:
                newest = (
                    select(calls.c.call_id)
                    .order_by(calls.c.first_scored_at.desc())
                    .limit(_COMPARED_IDS)
                )
                near = difflib.get_close_matches(call_id, list(connection.scalars(newest)))
            return is_scored is not None, failure, near

        is_scored, failure, near = self._read(work)
        if is_scored and run_id is not None:
            message = f"call {shown} has no run {run_id}."
        elif failure is not None:
            message = (
                f"call {shown} could not be scored: {failure.stage} failed ({failure.error}). "
                "Mend that and score the recording again."
            )
        elif near:
            message = f"no call {shown}. Close to it: {', '.join(near)}."
        else:
            message = f"no call {shown}. Score its recording first: qa-monitor score PATH"
        return NotFoundError(message, call_id=shown)


def _scored_meanwhile(call_id: str) -> StoreError:
    return StoreError(
        f"call {call_id} was scored again meanwhile; what was made of its old run was not kept. "
        "Run the command once more.",
        call_id=call_id,
    )


# --- parts of queries ----------------------------------------------------------------------------

_BY_BEGINNING = (
    calls.c.started_at.is_(None),
    calls.c.started_at,
    calls.c.first_scored_at,
    calls.c.call_id,
)


def _chosen(
    agent_id: str | None, since: datetime | None, until: datetime | None
) -> list[ColumnElement[bool]]:
    chosen: list[ColumnElement[bool]] = [calls.c.latest_run_id.is_not(None)]
    if agent_id is not None:
        chosen.append(calls.c.agent_id == agent_id)
    if since is not None:
        chosen.append(calls.c.started_at >= since)
    if until is not None:
        chosen.append(calls.c.started_at < until)
    return chosen


def _after(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


def _shown(identifier: str) -> str:
    """``identifier`` as a message may repeat it; what is no id may be a file name, or anything."""
    return identifier if _CALL_ID.fullmatch(identifier) else "of that name"
