"""The figures of many calls: measures, checklist gaps, goals; now, before and since.

A ``CallFigures`` holds of one call what is counted here, corrected; it is small, so that a year of
them is at hand where only the calls of the period are read in full.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from qa_monitor.calls import ChecklistAnswer, Criterion, Measure
from qa_monitor.reports.corrections import corrected_checklist
from qa_monitor.reports.figures import (
    Difference,
    Mean,
    Tally,
    difference,
    difference_of_shares,
    share,
)
from qa_monitor.reports.values import (
    CRITERIA,
    Change,
    ChecklistGap,
    GoalReport,
    MeasureReport,
    SharedNote,
)
from qa_monitor.reports.wording import CRITERIA_NAMES
from qa_monitor.store import Goal, GoalKind, Note, ScoredCall

__all__ = [
    "GOAL_RANGE",
    "MEASURED",
    "CallFigures",
    "Measured",
    "change_between",
    "checklist_gaps",
    "figures_of",
    "goal_measure",
    "goal_reports",
    "mean_of",
    "measure_reports",
    "shared_notes",
    "tally_of",
]

_MOST_GAPS = 6

GOAL_RANGE = MappingProxyType(
    {"points": (1.0, 5.0), "share": (0.0, 1.0), "s": (0.0, 86_400.0), "count": (0.0, 1000.0)}
)
"""Between what the target of a goal lies, by its unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measure that a report tells of: its name on the page and what it means.

    ``unit`` is ``share`` (of the time, or of the calls), ``s`` or ``count``, of one call.
    ``fewer_is_better`` is which way a goal points as it comes. ``smallest_sd`` is the least spread
    between calls that is believed.
    """

    title: str
    says: str
    unit: str
    fewer_is_better: bool = True
    smallest_sd: float = 0.0
    is_yes_no: bool = False


MEASURED = MappingProxyType(
    {
        "agent_talk_share": Measured(
            title="Talk share",
            says="The agent's talk, of the agent's and the caller's.",
            unit="share",
            smallest_sd=0.05,
        ),
        "dead_air_s": Measured(
            title="Dead air",
            says="Silences of 10 s and more that nobody announced, added up in a call.",
            unit="s",
            smallest_sd=2.0,
        ),
        "agent_interruptions": Measured(
            title="Interruptions",
            says="How often the agent breaks in on the caller in a call.",
            unit="count",
            smallest_sd=0.5,
        ),
        "hold_s": Measured(title="Hold", says="Time on hold in a call.", unit="s", smallest_sd=5.0),
        "handle_time_s": Measured(
            title="Handle time",
            says="Talk, hold and after-call work of a call; the mean is AHT.",
            unit="s",
            smallest_sd=15.0,
        ),
        "first_contact_resolved": Measured(
            title="First-contact resolution",
            says="Matters settled in the first call about them, of those where it is known.",
            unit="share",
            fewer_is_better=False,
            is_yes_no=True,
        ),
        "transferred": Measured(
            title="Transfers",
            says="Calls that were transferred, of those whose call record tells.",
            unit="share",
            is_yes_no=True,
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFigures:
    """What is counted of one call, with people's corrections in place.

    ``measures`` are by the names of ``MEASURED``; ``estimated`` names those that rest on what could
    be heard and no call record. ``items`` are the answers of the checklist, ``asks`` their
    questions.
    """

    call_id: str
    started_at: datetime | None
    points: Mapping[Criterion, float | None]
    items: Mapping[str, ChecklistAnswer]
    asks: Mapping[str, str]
    measures: Mapping[str, float]
    estimated: frozenset[str]


def figures_of(call: ScoredCall, measures: Iterable[Measure]) -> CallFigures:
    """The figures of a call; ``measures`` are those of ``scoring.call_measures``."""
    known = [m for m in measures if m.metric.name in MEASURED and m.value is not None]
    checklist = corrected_checklist(call.checklist, call.corrections)
    return CallFigures(
        call_id=call.recording.call_id,
        started_at=call.recording.started_at,
        points={
            criterion: call.corrections[criterion].points
            if criterion in call.corrections
            else points
            for criterion, points in call.points.items()
        },
        items={item.item: item.answer for item in checklist},
        asks={item.item: f"{item.reason.partition('?')[0]}?" for item in checklist},
        measures={m.metric.name: float(m.value) for m in known if m.value is not None},
        estimated=frozenset(m.metric.name for m in known if "estimated" in m.basis),
    )


def tally_of(calls: Iterable[CallFigures], criterion: Criterion) -> Tally:
    """The points of a criterion."""
    tally = Tally()
    for call in calls:
        points = call.points.get(criterion)
        if points is not None:
            tally.add(points)
    return tally


# --- measures ------------------------------------------------------------------------------------


def measure_reports(
    now: Sequence[CallFigures], before: Sequence[CallFigures], *, minimum_calls: int
) -> tuple[MeasureReport, ...]:
    """Every measure of which something is known in ``now``, against the period before."""
    found = []
    for code, measured in MEASURED.items():
        mean = mean_of(now, GoalKind.MEASURE, code)
        if mean is None:
            continue
        earlier = mean_of(before, GoalKind.MEASURE, code)
        found.append(
            MeasureReport(
                code=code,
                title=measured.title,
                says=measured.says,
                unit=measured.unit,
                mean=mean,
                estimated=sum(code in call.estimated for call in now),
                before=earlier,
                change=_measure_change(now, before, code, minimum_calls),
            )
        )
    return tuple(found)


def mean_of(calls: Iterable[CallFigures], kind: GoalKind, code: str) -> Mean | None:
    """The mean of what a goal of ``kind`` and ``code`` is measured by; ``None`` without calls."""
    if kind is GoalKind.CRITERION:
        return tally_of(calls, Criterion(code)).mean()
    if kind is GoalKind.CHECKLIST:
        asked = _asked(calls, code)
        return share(sum(asked), len(asked))
    if MEASURED[code].is_yes_no:
        values = _values(calls, code)
        return share(sum(value > 0 for value in values), len(values))
    return _measure_tally(calls, code).mean()


def _values(calls: Iterable[CallFigures], code: str) -> list[float]:
    return [call.measures[code] for call in calls if code in call.measures]


def _measure_tally(calls: Iterable[CallFigures], code: str) -> Tally:
    measured = MEASURED[code]
    highest = 1.0 if measured.unit == "share" else math.inf
    tally = Tally(smallest_sd=measured.smallest_sd, lowest=0.0, highest=highest)
    for value in _values(calls, code):
        tally.add(value)
    return tally


def _measure_change(
    now: Sequence[CallFigures], before: Sequence[CallFigures], code: str, minimum_calls: int
) -> Change | None:
    if MEASURED[code].is_yes_no:
        first, second = (mean_of(calls, GoalKind.MEASURE, code) for calls in (now, before))
        if first is None or second is None or min(first.n, second.n) < max(2, minimum_calls):
            return None
        return _change(difference_of_shares(first, second))
    return change_between(
        _measure_tally(now, code), _measure_tally(before, code), minimum_calls=minimum_calls
    )


def change_between(now: Tally, before: Tally, *, minimum_calls: int) -> Change | None:
    """By how much the mean has changed, ``None`` with too few calls in either period."""
    if min(now.n, before.n) < max(2, minimum_calls):
        return None
    return _change(difference(now, before))


def _change(found: Difference) -> Change:
    return Change(value=found.value, low=found.low, high=found.high, says=found.says)


# --- the checklist -------------------------------------------------------------------------------


def _asked(calls: Iterable[CallFigures], item: str) -> list[bool]:
    """Whether the answer was yes, of each call where it was yes or no."""
    answers = (call.items.get(item) for call in calls)
    return [
        answer is ChecklistAnswer.YES
        for answer in answers
        if answer in (ChecklistAnswer.YES, ChecklistAnswer.NO)
    ]


def checklist_gaps(calls: Sequence[CallFigures], *, minimum_calls: int) -> tuple[ChecklistGap, ...]:
    """The items most often answered no, of the calls where the answer was yes or no.

    In the order of the share that is surely reached (the lower end of the interval), so that two
    of two does not come before nine of twelve. Unsure answers count nowhere.
    """
    asks = {item: question for call in calls for item, question in call.asks.items()}
    gaps = []
    for item, question in asks.items():
        asked = _asked(calls, item)
        missed = len(asked) - sum(asked)
        found = share(missed, len(asked))
        if found is not None and missed and found.n >= minimum_calls:
            gaps.append(ChecklistGap(item=item, asks=question, missed=missed, share=found))
    gaps.sort(key=lambda gap: (-(gap.share.low or 0.0), -gap.share.n, gap.item))
    return tuple(gaps[:_MOST_GAPS])


# --- goals and notes -----------------------------------------------------------------------------


def goal_measure(kind: GoalKind, code: str) -> tuple[str, str]:
    """How a goal's measure is called, and its unit: ``points``, ``share``, ``s`` or ``count``.

    ``KeyError`` or ``ValueError`` for a code that there is not.
    """
    if kind is GoalKind.CRITERION:
        if Criterion(code) not in CRITERIA:
            raise ValueError(code)
        return CRITERIA_NAMES[Criterion(code)], "points"
    if kind is GoalKind.CHECKLIST:
        return f"Checklist: {code.replace('_', ' ')}", "share"
    return MEASURED[code].title, MEASURED[code].unit


def goal_reports(
    goals: Iterable[Goal], calls: Sequence[CallFigures], *, now: datetime, minimum_calls: int
) -> tuple[GoalReport, ...]:
    """How far each goal has come: what it measured when it was set, and in the calls since.

    Whether it is reached is told from ``minimum_calls`` calls on.
    """
    found = []
    for goal in goals:
        title, unit = goal_measure(goal.kind, goal.code)
        until = goal.closed_at or now
        since = mean_of(
            [c for c in calls if c.started_at and goal.set_at <= c.started_at < until],
            goal.kind,
            goal.code,
        )
        is_reached = None
        if since is not None and since.n >= minimum_calls:
            is_reached = (
                since.mean >= goal.target if goal.is_at_least else since.mean <= goal.target
            )
        found.append(
            GoalReport(
                goal_id=goal.goal_id,
                title=title,
                unit=unit,
                wording=goal.wording,
                target=goal.target,
                is_at_least=goal.is_at_least,
                baseline=goal.baseline,
                baseline_n=goal.baseline_n,
                since=since,
                is_reached=is_reached,
                set_at=goal.set_at,
                due_on=goal.due_on,
                state=goal.state.value,
            )
        )
    return tuple(found)


def shared_notes(notes: Iterable[Note]) -> tuple[SharedNote, ...]:
    """The notes that coach and agent share."""
    return tuple(
        SharedNote(written_at=note.written_at, text=note.text, call_id=note.call_id, at_s=note.at_s)
        for note in notes
        if note.is_shared
    )
