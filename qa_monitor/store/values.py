"""What the store tells besides call records: summaries, alerts with their state, deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from qa_monitor.calls import Alert, CallType, Criterion, EscalationOutcome, Severity

__all__ = [
    "AlertEvent",
    "AlertState",
    "CallSummary",
    "CardSummary",
    "CriterionComparison",
    "Delivery",
    "DeliveryState",
    "Route",
    "RubricComparison",
    "RubricUse",
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
    """One scoring of a call: when, by which versions, with what total.

    Rubric and total are those of its card in use.
    """

    run_id: int
    call_id: str
    scored_at: datetime
    rubric_version: str
    versions: Mapping[str, str]
    total: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSummary:
    """One score card of a run; ``is_in_use`` tells that reports, lists and alerts go by it."""

    rubric_version: str
    made_at: datetime
    total: float | None
    auto_failed: tuple[str, ...]
    is_in_use: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RubricUse:
    """What is stored of one rubric version: cards of the latest run of each call.

    ``calls`` have a card of it, for ``in_use`` of them it is the card in use; ``mean_total`` is 0
    to 100, ``None`` where no card has a total; ``auto_failed`` cards fail their call.
    """

    rubric_version: str
    calls: int
    in_use: int
    mean_total: float | None
    auto_failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionComparison:
    """One criterion under two rubrics, over the ``calls`` to which both give points.

    The means are over these calls; ``changed`` of them have other points.
    """

    criterion: Criterion
    calls: int
    changed: int
    first_mean: float | None
    second_mean: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RubricComparison:
    """Two rubrics over the ``calls`` whose latest run has a card of both.

    Total means are over the ``total_calls`` to which both give a total. ``newly_failed`` calls are
    failed by an auto-fail rule of the second only, ``newly_passed`` of the first only;
    ``other_outcome`` have another outcome of the escalation.
    """

    first: str
    second: str
    calls: int
    criteria: tuple[CriterionComparison, ...]
    total_calls: int
    first_total: float | None
    second_total: float | None
    newly_failed: int
    newly_passed: int
    other_outcome: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A channel, and which alerts it is told of, and when.

    Alerts of ``from_severity`` and more urgent ones; of calls of agents of ``teams`` (``None``: of
    any team and of none) but not of ``besides``. ``step`` 0 is told at once; a later step
    ``after_s`` seconds later, and only if nobody has acted by then.
    """

    channel: str
    from_severity: Severity = Severity.LOW
    teams: frozenset[str] | None = None
    besides: frozenset[str] = frozenset()
    step: int = 0
    after_s: float = 0.0

    def takes(self, severity: Severity, team: str | None) -> bool:
        """Whether an alert of ``severity`` on a call of ``team`` goes this way."""
        return (
            severity.rank <= self.from_severity.rank
            and (self.teams is None or team in self.teams)
            and team not in self.besides
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryState:
    """How far telling one channel of an alert has come; ``last_error`` is a kind, never a text.

    ``step`` is 0 for the first telling and counts reminders; ``is_held`` says that it waits for the
    end of quiet hours.
    """

    channel: str
    severity: Severity
    attempts: int
    next_attempt_at: datetime
    delivered_at: datetime | None
    last_error: str | None
    step: int = 0
    is_held: bool = False


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
    """Who set which state of an alert, when and why; the pipeline's own are by ``scoring``."""

    alert_id: str
    state: AlertState
    severity: Severity
    set_at: datetime
    set_by: str
    note: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One thing to tell one channel: ``alert`` at the severity the channel is to hear of.

    ``is_raise`` says that the channel was told of the alert before, at a lower severity; ``step``
    is 0 for the first telling and counts reminders. ``is_held`` says that it waited for the end of
    quiet hours.
    """

    delivery_id: int
    channel: str
    alert: Alert
    is_raise: bool
    attempts: int
    step: int = 0
    is_held: bool = False
