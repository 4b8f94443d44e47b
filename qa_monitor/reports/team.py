"""The team's report: a period of many agents' calls against the one before, and nobody's name.

``team_report`` makes shares, means and their intervals of the counts that the store gives. There is
no ranking of agents: of their means it tells how far they lie apart, and only where there are
enough agents for that to tell of nobody.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from qa_monitor.calls import CallType, Criterion, EscalationOutcome
from qa_monitor.reports.figures import (
    Comparison,
    Mean,
    Tally,
    compare,
    difference_of_shares,
    share,
)
from qa_monitor.reports.rendering import csv_cell
from qa_monitor.reports.values import CRITERIA
from qa_monitor.store import (
    HandleTime,
    PromisedCall,
    PromiseState,
    Scope,
    ScoreSum,
    TeamCounts,
)
from qa_monitor.store.arrivals import percentile

if TYPE_CHECKING:
    from qa_monitor.store import Store

__all__ = [
    "MOST_DAYS",
    "ChecklistRow",
    "ContactRow",
    "CriterionRow",
    "DayCount",
    "HandleRow",
    "HourCount",
    "Period",
    "PromiseRow",
    "ShareRow",
    "Spread",
    "TeamReport",
    "TypeRow",
    "UrgentRow",
    "render_team_csv",
    "team_report",
]

MOST_DAYS = 366
"""The longest period that is reported on."""

_SPREAD_FROM = 4
_CHECKLIST_FROM = 10
_COMPARED_FROM = 10
_MOST_GAPS = 10
_COLUMNS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Days of the centre's time zone, the first and the last included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days that are."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Period:
        """The period of the same length that ends where this one begins."""
        return Period(
            first=self.first - timedelta(days=self.days), last=self.first - timedelta(days=1)
        )

    def between(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """``[since, until)`` as instants."""
        after = self.last + timedelta(days=1)
        return (
            datetime.combine(self.first, time(), zone),
            datetime.combine(after, time(), zone),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HourCount:
    """Calls that began in an hour of the day (0 to 23) of a weekday (0 is Monday)."""

    weekday: int
    hour: int
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """Calls that began on a day."""

    day: date
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRow:
    """``seen`` of ``share.n``, the share before, and whether they differ beyond chance.

    ``code`` says of what. ``share`` is ``None`` where there are no calls.
    """

    code: str
    seen: int
    share: Mean | None
    before: Mean | None
    change: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class HandleRow:
    """Handle times in seconds; ``estimated`` calls have no call record of hold or after-call work.

    ``call_type`` is ``None`` where the type is unsure, and in the row of all calls.
    """

    call_type: CallType | None
    calls: int
    median_s: float | None
    p90_s: float | None
    estimated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeRow:
    """Calls of one type (``None``: unsure), and how long they took."""

    call_type: CallType | None
    calls: int
    calls_before: int
    share: float
    handle: HandleRow


@dataclass(frozen=True, slots=True, kw_only=True)
class UrgentRow:
    """Calls of one level of urgency (1 to 3) and what agents did about it, ``None``: unsure."""

    urgency: int
    calls: int
    calls_before: int
    outcomes: Mapping[EscalationOutcome, int]
    unsure: int
    missed: ShareRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far the means of ``agents`` lie apart: the lowest, quarters, the highest."""

    agents: int
    lowest: float
    lower_quarter: float
    middle: float
    upper_quarter: float
    highest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionRow:
    """The mean over calls, with people's corrections in place; ``None`` where none has points.

    ``spread`` is over agents with enough calls, ``None`` where these are too few.
    """

    criterion: Criterion
    mean: Mean | None
    before: Mean | None
    change: Comparison
    spread: Spread | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRow:
    """Callers' contacts; ``by_record`` of the first contacts were told by the call record."""

    contacts: int
    repeated: ShareRow
    resolved: ShareRow
    by_record: int
    open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistRow:
    """An item of the checklists, by the share of calls in which it was left out.

    ``asks`` is its question to the agent, ``None`` where no configured rubric has it any more.
    """

    item: str
    asks: str | None
    missed: ShareRow
    unsure: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseRow:
    """What other calls tell of promised follow-ups."""

    state: PromiseState
    calls: int
    calls_before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamReport:
    """All that the team page shows, and the API and the CSV file tell.

    ``team`` is ``None`` for all within the viewer's reach. A caller's next contact counts within
    ``repeat_days``; of ``outcomes_corrected`` urgent calls a person found another outcome than the
    machine, whose outcomes are counted here. ``unanswered`` are the newest promises of which no
    call back was seen.
    """

    team: str | None
    period: Period
    before: Period
    time_zone: str
    made_at: datetime
    repeat_days: float
    minimum_calls: int
    calls: int
    calls_before: int
    outbound: int
    agents: int
    hours: tuple[HourCount, ...]
    days: tuple[DayCount, ...]
    types: tuple[TypeRow, ...]
    handle: HandleRow
    handle_before: HandleRow
    urgent: tuple[UrgentRow, ...]
    unneeded: ShareRow
    outcomes_corrected: int
    criteria: tuple[CriterionRow, ...]
    contacts: ContactRow
    checklist: tuple[ChecklistRow, ...]
    promises: tuple[PromiseRow, ...]
    unanswered: tuple[PromisedCall, ...]
    machine: tuple[ShareRow, ...]


def team_report(
    store: Store,
    *,
    scope: Scope,
    team: str | None,
    period: Period,
    zone: ZoneInfo,
    within: timedelta,
    now: datetime,
    minimum_calls: int,
    asks: Mapping[str, str],
) -> TeamReport:
    """The report on the calls in ``scope`` that began in ``period``, against the period before.

    ``within`` is how soon a caller's next contact is a repeat one; of agents with fewer than
    ``minimum_calls`` scored calls no mean is made; ``asks`` are the questions of checklist items.
    """
    since, until = period.between(zone)
    earlier = period.before.between(zone)
    own, before = store.team.counts(scope, [(since, until), earlier], within=within, now=now)
    hours, days = _volume(own, period, zone)
    return TeamReport(
        team=team,
        period=period,
        before=period.before,
        time_zone=zone.key,
        made_at=now,
        repeat_days=within / timedelta(days=1),
        minimum_calls=minimum_calls,
        calls=own.calls.calls,
        calls_before=before.calls.calls,
        outbound=own.calls.outbound,
        agents=len({one.agent_id for one in own.scores}),
        hours=hours,
        days=days,
        types=tuple(_types(own, before)),
        handle=_handle(None, own.handle_times),
        handle_before=_handle(None, before.handle_times),
        urgent=tuple(_urgent(level, own, before) for level in (3, 2, 1)),
        unneeded=_unneeded(own, before),
        outcomes_corrected=own.calls.corrected_outcomes,
        criteria=tuple(
            _criterion(criterion, own.scores, before.scores, minimum_calls=minimum_calls)
            for criterion in CRITERIA
        ),
        contacts=_contact_row(own, before),
        checklist=_checklist(own, before, asks),
        promises=tuple(
            PromiseRow(state=now_.state, calls=now_.calls, calls_before=then.calls)
            for now_, then in zip(own.promises, before.promises, strict=True)
        ),
        unanswered=store.team.promised(scope, since, until, within=within, now=now),
        machine=tuple(_machine(own, before)),
    )


def _share_row(code: str, seen: int, n: int, seen_before: int, n_before: int) -> ShareRow:
    own, before = share(seen, n), share(seen_before, n_before)
    change: Comparison = "too_few_calls"
    if own is not None and before is not None and min(n, n_before) >= _COMPARED_FROM:
        change = difference_of_shares(own, before).says
    return ShareRow(code=code, seen=seen, share=own, before=before, change=change)


def _volume(
    counts: TeamCounts, period: Period, zone: ZoneInfo
) -> tuple[tuple[HourCount, ...], tuple[DayCount, ...]]:
    hours: Counter[tuple[int, int]] = Counter()
    days: Counter[date] = Counter()
    for quarter, calls in counts.calls.by_quarter.items():
        local = quarter.astimezone(zone)
        hours[local.weekday(), local.hour] += calls
        days[local.date()] += calls
    every = (period.first + timedelta(days=day) for day in range(period.days))
    return (
        tuple(
            HourCount(weekday=weekday, hour=hour, calls=calls)
            for (weekday, hour), calls in sorted(hours.items())
        ),
        tuple(DayCount(day=day, calls=days[day]) for day in every),
    )


def _types(own: TeamCounts, before: TeamCounts) -> Iterator[TypeRow]:
    ordered = sorted(own.calls.by_type.items(), key=lambda pair: (-pair[1], str(pair[0])))
    for call_type, calls in ordered:
        times = [one for one in own.handle_times if one.call_type == call_type]
        yield TypeRow(
            call_type=call_type,
            calls=calls,
            calls_before=before.calls.by_type.get(call_type, 0),
            share=calls / own.calls.calls,
            handle=_handle(call_type, times),
        )


def _handle(call_type: CallType | None, times: Sequence[HandleTime]) -> HandleRow:
    seconds: Counter[int] = Counter()
    for one in times:
        seconds.update(one.seconds)
    told = sum(one.bases.get("call_record", 0) for one in times)
    return HandleRow(
        call_type=call_type,
        calls=seconds.total(),
        median_s=_quantile(seconds, 0.5),
        p90_s=_quantile(seconds, 0.9),
        estimated=seconds.total() - told,
    )


def _quantile(seconds: Counter[int], part: float) -> float | None:
    """The fewest whole seconds that ``part`` of the calls do not exceed."""
    wanted, passed = part * seconds.total(), 0
    for value in sorted(seconds):
        passed += seconds[value]
        if passed >= wanted:
            return float(value)
    return None


def _urgent(level: int, own: TeamCounts, before: TeamCounts) -> UrgentRow:
    now, then = _outcomes(level, own), _outcomes(level, before)
    missed = EscalationOutcome.MISSED
    known = [sum(found.values()) - found[None] for found in (now, then)]
    return UrgentRow(
        urgency=level,
        calls=sum(now.values()),
        calls_before=sum(then.values()),
        outcomes={outcome: now[outcome] for outcome in EscalationOutcome},
        unsure=now[None],
        missed=_share_row("missed", now[missed], known[0], then[missed], known[1]),
    )


def _outcomes(level: int, counts: TeamCounts) -> Counter[EscalationOutcome | None]:
    found: Counter[EscalationOutcome | None] = Counter()
    for (urgency, outcome), calls in counts.calls.outcomes.items():
        if urgency == level:
            found[outcome] += calls
    return found


def _unneeded(own: TeamCounts, before: TeamCounts) -> ShareRow:
    """Routine calls that were passed on as urgent."""
    now, then = _outcomes(0, own), _outcomes(0, before)
    code = EscalationOutcome.UNNEEDED
    return _share_row(code.value, now[code], sum(now.values()), then[code], sum(then.values()))


# --- scores --------------------------------------------------------------------------------------


def _criterion(
    criterion: Criterion,
    sums: Iterable[ScoreSum],
    sums_before: Iterable[ScoreSum],
    *,
    minimum_calls: int,
) -> CriterionRow:
    own = [one for one in sums if one.criterion is criterion]
    now, then = _tally(own), _tally(one for one in sums_before if one.criterion is criterion)
    change: Comparison = "too_few_calls"
    if min(now.n, then.n) >= _COMPARED_FROM:
        change = compare(now, then)
    return CriterionRow(
        criterion=criterion,
        mean=now.mean(),
        before=then.mean(),
        change=change,
        spread=_spread([one.points / one.calls for one in own if one.calls >= minimum_calls]),
    )


def _tally(sums: Iterable[ScoreSum]) -> Tally:
    listed = list(sums)
    return Tally.of_sums(
        sum(one.calls for one in listed),
        sum(one.points for one in listed),
        sum(one.squares for one in listed),
    )


def _spread(means: list[float]) -> Spread | None:
    if len(means) < _SPREAD_FROM:
        return None
    ordered = sorted(means)
    at = [percentile(ordered, part) or 0.0 for part in (0.25, 0.5, 0.75)]
    return Spread(
        agents=len(ordered),
        lowest=ordered[0],
        lower_quarter=at[0],
        middle=at[1],
        upper_quarter=at[2],
        highest=ordered[-1],
    )


# --- callers, checklists, the machine ------------------------------------------------------------


def _contact_row(own: TeamCounts, before: TeamCounts) -> ContactRow:
    now, then = own.contacts, before.contacts
    return ContactRow(
        contacts=now.contacts,
        repeated=_share_row("repeated", now.repeated, now.contacts, then.repeated, then.contacts),
        resolved=_share_row(
            "resolved",
            now.settled,
            now.settled + now.unsettled,
            then.settled,
            then.settled + then.unsettled,
        ),
        by_record=now.by_record,
        open=now.open,
    )


def _checklist(
    own: TeamCounts, before: TeamCounts, asks: Mapping[str, str]
) -> tuple[ChecklistRow, ...]:
    """What is left out most often, of what was due often enough to tell."""
    earlier = {one.item: one for one in before.checklist}
    rows = []
    for one in own.checklist:
        if one.no and one.yes + one.no >= _CHECKLIST_FROM:
            then = earlier.get(one.item)
            no, answered = (then.no, then.yes + then.no) if then else (0, 0)
            rows.append(
                ChecklistRow(
                    item=one.item,
                    asks=asks.get(one.item),
                    missed=_share_row(one.item, one.no, one.no + one.yes, no, answered),
                    unsure=one.unsure,
                )
            )
    rows.sort(key=lambda row: (-row.missed.share.mean if row.missed.share else 0.0, row.item))
    return tuple(rows[:_MOST_GAPS])


def _machine(own: TeamCounts, before: TeamCounts) -> Iterator[ShareRow]:
    """What the machine left to people, and what these have done of it."""
    now, then = own.calls, before.calls
    for code, seen, seen_before in (
        ("abstained", now.abstained, then.abstained),
        ("for_review", now.for_review, then.for_review),
        ("reviewed", now.reviewed, then.reviewed),
        ("auto_failed", now.auto_failed, then.auto_failed),
    ):
        yield _share_row(code, seen, now.calls, seen_before, then.calls)


# --- written down --------------------------------------------------------------------------------


def render_team_csv(report: TeamReport) -> str:
    """A line for each figure, with its 95 % interval and its value in the period before."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow("section name unit value low high n before change".split())
    for line in _lines(report):
        writer.writerow(_told(value) for value in (*line, *[None] * (_COLUMNS - len(line))))
    return file.getvalue()


def _told(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_Line = tuple[str | float | None, ...]


def _lines(report: TeamReport) -> Iterator[_Line]:
    yield from (
        ("period", "first", "day", report.period.first.isoformat()),
        ("period", "last", "day", report.period.last.isoformat()),
        ("period", "team", "name", csv_cell(report.team or "all")),
        ("calls", "all", "count", report.calls, None, None, None, report.calls_before),
        ("calls", "outbound", "count", report.outbound),
    )
    for hour in report.hours:
        yield "volume", f"weekday {hour.weekday + 1} hour {hour.hour}", "count", hour.calls
    for day in report.days:
        yield "volume", day.day.isoformat(), "count", day.calls
    for kind in report.types:
        name = kind.call_type or "unsure"
        yield "call_type", name, "count", kind.calls, None, None, None, kind.calls_before
        yield from _handle_lines(name, kind.handle, None)
    yield from _handle_lines("all", report.handle, report.handle_before)
    for urgent in report.urgent:
        name = f"urgency {urgent.urgency}"
        yield "urgent", name, "count", urgent.calls, None, None, None, urgent.calls_before
        for outcome, calls in urgent.outcomes.items():
            yield "urgent", f"{name} {outcome}", "count", calls
        yield _share_line("urgent", urgent.missed, f"{name} missed")
    yield _share_line("urgent", report.unneeded)
    for row in report.criteria:
        mean = row.mean
        before = row.before.mean if row.before else None
        if mean is not None:
            figures = (mean.mean, mean.low, mean.high, mean.n)
            yield "score", row.criterion, "points", *figures, before, row.change
        if row.spread is not None:
            for name in ("lowest", "lower_quarter", "middle", "upper_quarter", "highest"):
                value = getattr(row.spread, name)
                name = f"{row.criterion} {name} mean of an agent"
                yield "spread", name, "points", value, None, None, row.spread.agents
    yield _share_line("contacts", report.contacts.repeated)
    yield _share_line("contacts", report.contacts.resolved)
    for gap in report.checklist:
        yield _share_line("checklist", gap.missed)
    for promise in report.promises:
        count = (promise.calls, None, None, None, promise.calls_before)
        yield "promise", promise.state, "count", *count
    for row_ in report.machine:
        yield _share_line("machine", row_)


def _handle_lines(name: str, row: HandleRow, before: HandleRow | None) -> Iterator[_Line]:
    figures: tuple[tuple[str, Callable[[HandleRow], float | None]], ...] = (
        ("median", lambda of: of.median_s),
        ("90th percentile", lambda of: of.p90_s),
    )
    for figure, of in figures:
        then = of(before) if before is not None else None
        yield "handle_time", f"{name} {figure}", "s", of(row), None, None, row.calls, then


def _share_line(section: str, row: ShareRow, name: str | None = None) -> _Line:
    own, before = row.share, row.before
    figures = (own.mean, own.low, own.high, own.n) if own else (None, None, None, 0)
    return (section, name or row.code, "share", *figures, before and before.mean, row.change)
