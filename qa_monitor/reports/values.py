"""What a report holds: plain frozen values, ready to be written down or compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from qa_monitor.calls import CallType, Criterion, EscalationOutcome, Role
from qa_monitor.reports.figures import Comparison, Mean

__all__ = [
    "CRITERIA",
    "AgentReport",
    "CallRow",
    "Change",
    "ChecklistGap",
    "Comparison",
    "CriterionReport",
    "GoalReport",
    "Line",
    "MeasureReport",
    "Moment",
    "MomentKind",
    "NextStep",
    "Replay",
    "SharedNote",
    "Strength",
    "UrgentCall",
    "Week",
]

CRITERIA = (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)
"""The criteria that judge the agent; urgency is the caller's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """By how much a mean is above that of the period before, with its 95 % interval."""

    value: float
    low: float
    high: float
    says: Comparison


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
    the later half of the calls with the earlier. ``before`` is the mean of the period before, and
    ``since_before`` the change from it, ``None`` where there is no such period or too few calls.
    """

    criterion: Criterion
    mean: Mean | None
    team: Mean | None
    against_team: Comparison
    weeks: tuple[Week, ...]
    change: Comparison
    before: Mean | None = None
    since_before: Change | None = None


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
    items were answered yes or no, ``checklist_yes`` of them yes. ``corrected`` are the subjects
    (``Judgement.subject``) of which a person's word stands here; ``total`` is the machine's.
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
    corrected: tuple[str, ...] = ()

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
class ChecklistGap:
    """An item of the checklist that was answered no in ``missed`` of ``share.n`` calls.

    ``asks`` is its question to the agent; ``share`` is that of no, with Wilson's interval.
    """

    item: str
    asks: str
    missed: int
    share: Mean


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureReport:
    """A measure over the calls of which it is known.

    ``unit`` is ``share`` (0 to 1), ``s`` or ``count``, each of one call; ``estimated`` calls told
    it by what was heard only. ``before`` and ``change`` are of the period before, ``None`` where
    there is none, or too few calls.
    """

    code: str
    title: str
    says: str
    unit: str
    mean: Mean
    estimated: int
    before: Mean | None
    change: Change | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalReport:
    """A goal and how far it has come.

    ``target``, ``baseline`` (over ``baseline_n`` calls, when it was set) and ``since`` (the calls
    since then) are in ``unit``: ``points``, ``share``, ``s`` or ``count``. ``is_reached`` is
    ``None`` with too few calls since.
    """

    goal_id: int
    title: str
    unit: str
    wording: str = field(repr=False)
    target: float
    is_at_least: bool
    baseline: float | None
    baseline_n: int
    since: Mean | None
    is_reached: bool | None
    set_at: datetime
    due_on: date | None
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedNote:
    """A note of the coach that the agent sees; ``at_s`` seconds into call ``call_id``."""

    written_at: datetime
    text: str = field(repr=False)
    call_id: str | None
    at_s: float | None


MomentKind = Literal["strength", "step", "gap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A moment to replay together: what went well, the next step, or another thing to work on."""

    kind: MomentKind
    moment: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReport:
    """Feedback on one agent. Quotes are redacted, and still to be kept as PHI is kept.

    The calls began in ``[since, until)``; the period before is as long and ends at ``since``, and
    is ``None`` where there is no beginning. ``replays`` are the moments to replay, at most three,
    chosen from ``best``, the next step's and ``weakest``. People's corrections stand in place of
    the machine's: ``corrected_scores`` of them in ``corrected_calls`` calls.

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
    since: datetime | None = None
    until: datetime | None = None
    calls_before: int | None = None
    replays: tuple[Replay, ...] = ()
    checklist_gaps: tuple[ChecklistGap, ...] = ()
    measures: tuple[MeasureReport, ...] = ()
    goals: tuple[GoalReport, ...] = ()
    notes: tuple[SharedNote, ...] = ()
    corrected_calls: int = 0
    corrected_scores: int = 0
