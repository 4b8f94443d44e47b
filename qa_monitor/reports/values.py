"""What a report holds: plain frozen values, ready to be written down or compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from qa_monitor.calls import CallType, Criterion, EscalationOutcome, Role
from qa_monitor.reports.figures import Mean

__all__ = [
    "CRITERIA",
    "AgentReport",
    "CallRow",
    "Comparison",
    "CriterionReport",
    "Line",
    "Moment",
    "NextStep",
    "Strength",
    "UrgentCall",
    "Week",
]

CRITERIA = (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)
"""The criteria that judge the agent; urgency is the caller's."""

Comparison = Literal["higher", "lower", "no_clear_difference", "too_few_calls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one speaker said; ``text`` is redacted, ``start_s`` seconds into the recording."""

    role: Role
    start_s: float | None
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A moment worth replaying: what was said, and what was good or missed in it.

    ``code`` names the behaviour; ``language`` is that of the quotes; ``needs_review`` is the
    call's.
    """

    call_id: str
    started_at: datetime | None
    criterion: Criterion
    code: str
    says: str
    lines: tuple[Line, ...]
    language: str
    needs_review: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """The mean of the calls of the week that begins on ``monday``."""

    monday: date
    mean: Mean


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionReport:
    """One criterion, 1 to 5.

    ``mean`` is ``None`` where no call could be assessed. ``team`` is the mean of the colleagues'
    calls, ``None`` where fewer than two colleagues have any, so that it never gives away one
    colleague's. ``weeks`` is empty where there are too few calls for a trend; ``change`` compares
    the later half of the calls with the earlier.
    """

    criterion: Criterion
    mean: Mean | None
    team: Mean | None
    against_team: Comparison
    weeks: tuple[Week, ...]
    change: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """A habit: seen in ``seen`` of the ``due`` calls where it could have been."""

    code: str
    says: str
    seen: int
    due: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """The one thing to work on next.

    ``say`` is for the coach to say aloud; ``found`` completes "In ``seen`` of ``due`` calls".
    """

    criterion: Criterion
    code: str
    title: str
    say: str
    found: str
    seen: int
    due: int
    moment: Moment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One call in the table; ``None`` is not assessed, never zero.

    ``auto_failed`` names what fails the call by the rubric. Of its checklist ``checklist_asked``
    items were answered yes or no, ``checklist_yes`` of them yes.
    """

    call_id: str
    started_at: datetime | None
    duration_s: float
    call_type: CallType | None
    urgency: int | None
    escalated: EscalationOutcome | None
    escalation_delay_s: float | None
    empathy: float | None
    active_listening: float | None
    escalation: float | None
    total: float | None
    needs_review: bool
    review_reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    auto_failed: tuple[str, ...] = ()
    checklist_yes: int = 0
    checklist_asked: int = 0

    @property
    def is_demonstration(self) -> bool:
        """Whether the call was heard by the demonstration recogniser."""
        return "demonstration_model" in self.warnings

    def points(self, criterion: Criterion) -> float | None:
        """The points of ``criterion``."""
        points: float | None = getattr(self, criterion.value)
        return points


@dataclass(frozen=True, slots=True, kw_only=True)
class UrgentCall:
    """An urgent call, or one that was escalated without need, and what was done.

    ``done`` are codes of escalation actions, in the order they were first taken.
    """

    call: CallRow
    done: tuple[str, ...]
    moment: Moment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    """Feedback on one agent. Quotes are redacted, and still to be kept as PHI is kept.

    ``calls`` counts all, ``assessed`` those with at least one criterion scored, ``flagged`` those
    that a person should review, ``demonstration`` those heard by the demonstration recogniser,
    ``undated`` those without a time, which stand in no trend. Times are in the zone of ``made_at``.
    """

    agent_id: str
    made_at: datetime
    minimum_calls: int
    first_call_at: datetime | None
    last_call_at: datetime | None
    calls: int
    assessed: int
    flagged: int
    demonstration: int
    undated: int
    criteria: tuple[CriterionReport, ...]
    strengths: tuple[Strength, ...]
    next_step: NextStep | None
    best: tuple[Moment, ...]
    weakest: tuple[Moment, ...]
    urgent_calls: tuple[UrgentCall, ...]
    rows: tuple[CallRow, ...]
