"""The tables, as SQLAlchemy knows them; ``migrations`` makes them in a database.

What is filtered, sorted or counted is a column; what is only read together with its call is JSON:

- ``calls``: one row a call, with the metadata that may be corrected without scoring again, and
  which run counts.
- ``runs``: one row a scoring, never changed but for which of its score cards is in use.
- ``scorecards``: the cards of a run, one for each rubric (and again where the same rubric came to
  give another card); none is changed, but for what listening again to the call's sound told.
- ``transcripts``: what was said in a run, and found in it. The dialogue is one JSON text, because
  turns, words and spans are only ever read as a whole and would be millions of rows; the findings
  are JSON too, since each points into that dialogue and means nothing without it. They have a table
  of their own so that lists of a hundred thousand calls read no page that holds a transcript.
- ``scores``: one row for each criterion of a card, because people filter by them, average them and
  (later) correct them, naming run and criterion. Effects and checklists are JSON: they are read
  with their card.
- ``failures``: calls that could not be scored. ``leases``: who is scoring what at the moment.
- ``alerts``, ``alert_events`` (who set which state, when) and ``deliveries``, the outbox: one row
  for each alert, channel, severity and step of the escalation that the channel is to be told of.

What people do with the calls (``people``, ``reviews``, ``queueing``, ...) has its tables in the
modules of those names, on the same ``metadata``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

if TYPE_CHECKING:
    from sqlalchemy import Dialect

__all__ = [
    "HEAD_REVISION",
    "alert_events",
    "alerts",
    "calls",
    "deliveries",
    "failures",
    "leases",
    "metadata",
    "runs",
    "scorecards",
    "scores",
    "transcripts",
]

HEAD_REVISION = "0011"
"""The newest migration; known here so that opening a current database need not load Alembic."""


class UtcDateTime(TypeDecorator[datetime]):
    """An instant, always aware and in UTC; SQLite keeps no zone, so it is put on and taken off."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """``value`` in UTC; ``ValueError`` for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """The stored instant, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

calls = Table(
    "calls",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("interaction_id", Text),
    # Not unique: two runs may meet the same recording under two names at once, and neither should
    # end with an error.
    Column("sha256", Text, nullable=False, index=True),
    Column("source", Text, nullable=False),
    Column("agent_id", Text),
    Column("queue", Text),
    Column("direction", Text, nullable=False),
    Column("started_at", UtcDateTime, index=True),
    Column("duration_s", Double, nullable=False),
    Column("channels", Integer, nullable=False),
    Column("caller_key", Text),
    Column("hold_s", Double),
    Column("after_call_s", Double),
    Column("disposition_code", Text),
    Column("resolved", Boolean),
    Column("transferred", Boolean),
    Column("first_scored_at", UtcDateTime, nullable=False),
    # No foreign key: calls and runs would need each other to exist first.
    Column("latest_run_id", Integer, index=True),
    Index(None, "agent_id", "started_at"),
    Index(None, "interaction_id"),
    Index(None, "caller_key", "started_at"),
)


def _call_id() -> Column[str]:
    key = ForeignKey("calls.call_id", ondelete="CASCADE")
    return Column("call_id", Text, key, nullable=False, index=True)


runs = Table(
    "runs",
    metadata,
    Column("run_id", Integer, primary_key=True),
    _call_id(),
    Column("scored_at", UtcDateTime, nullable=False),
    Column("versions", Text, nullable=False),
    Column("warnings", Text, nullable=False),
    Column("metrics", Text, nullable=False),
    # No foreign key: runs and cards would need each other to exist first.
    Column("card_id", Integer),
    sqlite_autoincrement=True,
)


def _run_id(*, primary_key: bool = False) -> Column[int]:
    key = ForeignKey("runs.run_id", ondelete="CASCADE")
    return Column("run_id", Integer, key, primary_key=primary_key, nullable=False)


transcripts = Table(
    "transcripts",
    metadata,
    _run_id(primary_key=True),
    Column("dialogue", Text, nullable=False),
    Column("findings", Text, nullable=False),
)

scorecards = Table(
    "scorecards",
    metadata,
    Column("card_id", Integer, primary_key=True),
    _run_id(),
    Column("rubric_version", Text, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("total", Double),
    Column("needs_review", Boolean, nullable=False),
    Column("review_reasons", Text, nullable=False),
    Column("call_type", Text),
    Column("also", Text, nullable=False),
    Column("call_type_confidence", Double, nullable=False),
    Column("urgency_probability", Double),
    Column("escalated", Text),
    Column("escalation_delay_s", Double),
    Column("checklist", Text, nullable=False),
    Column("auto_failed", Text, nullable=False),
    Index(None, "run_id", "rubric_version"),
    sqlite_autoincrement=True,
)

scores = Table(
    "scores",
    metadata,
    Column(
        "card_id",
        ForeignKey("scorecards.card_id", ondelete="CASCADE"),
        primary_key=True,
        nullable=False,
    ),
    Column("criterion", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("points", Double),
    Column("max_points", Double, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("low", Double),
    Column("high", Double),
    Column("effects", Text, nullable=False),
)

failures = Table(
    "failures",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("sha256", Text),
    Column("stage", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("failed_at", UtcDateTime, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("worker", Text, nullable=False),
    Column("lease_s", Double, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", Text, primary_key=True),
    _call_id(),
    # The run whose redacted text the evidence points into.
    _run_id(),
    Column("severity", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False, index=True),
    Column("first_raised_at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False, index=True),
)

alert_events = Table(
    "alert_events",
    metadata,
    Column("event_id", Integer, primary_key=True),
    Column(
        "alert_id",
        ForeignKey("alerts.alert_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("state", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("set_at", UtcDateTime, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("note", Text),
    sqlite_autoincrement=True,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Integer, primary_key=True),
    Column("alert_id", ForeignKey("alerts.alert_id", ondelete="CASCADE"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("is_raise", Boolean, nullable=False),
    Column("queued_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("delivered_at", UtcDateTime),
    Column("last_error", Text),
    # 0: told at once; then the steps of the escalation, which wait here for their time.
    Column("step", Integer, nullable=False, server_default="0"),
    Column("after_s", Double, nullable=False, server_default="0"),
    Column("is_held", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("alert_id", "channel", "severity", "step"),
    Index(None, "channel", "delivered_at", "next_attempt_at"),
    sqlite_autoincrement=True,
)
