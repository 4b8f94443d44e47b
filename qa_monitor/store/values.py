"""What the store tells besides call records: summaries, alerts with their state, deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from qa_monitor.calls import Alert, CallType, Criterion, EscalationOutcome, Severity

__all__ = [
    "AlertEvent",
    "AlertState",
    "CallSummary",
    "Delivery",
    "DeliveryState",
    "RunSummary",
    "StoredAlert",
]


class AlertState(StrEnum):
    """What people have made of an alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    FALSE_ALARM = "false_alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSummary:
    """A line of a table of calls: the latest run of one call, without its transcript.

    ``points`` has every criterion of the score card, ``None`` where not assessable; ``urgency`` is
    the level, 0 to 3; ``total`` is 0 to 100.
    """

    call_id: str
    run_id: int
    agent_id: str | None
    queue: str | None
    started_at: datetime | None
    duration_s: float
    scored_at: datetime
    call_type: CallType | None
    urgency: float | None
    escalated: EscalationOutcome | None
    points: Mapping[Criterion, float | None]
    total: float | None
    needs_review: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One scoring of a call: when, by which versions, with what total."""

    run_id: int
    call_id: str
    scored_at: datetime
    rubric_version: str
    versions: Mapping[str, str]
    total: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryState:
    """How far telling one channel of an alert has come; ``last_error`` is a kind, never a text."""

    channel: str
    severity: Severity
    attempts: int
    next_attempt_at: datetime
    delivered_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAlert:
    """An alert and what became of it.

    ``alert.raised_at`` is when it got its present severity, ``first_raised_at`` when it was raised
    first; its evidence points into the redacted text of run ``run_id``.
    """

    alert: Alert
    run_id: int
    first_raised_at: datetime
    state: AlertState
    deliveries: tuple[DeliveryState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """Who set which state of an alert, and when; the pipeline's own are by ``scoring``."""

    alert_id: str
    state: AlertState
    severity: Severity
    set_at: datetime
    set_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One thing to tell one channel: ``alert`` at the severity the channel is to hear of.

    ``is_raise`` says that the channel was told of the alert before, at a lower severity.
    """

    delivery_id: int
    channel: str
    alert: Alert
    is_raise: bool
    attempts: int
