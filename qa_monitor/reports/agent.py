"""What is reported of one agent, and how it is chosen.

``agent_report`` goes over the agent's calls once and over the team's once; of each call it keeps
the row of the table and at most a few quotes, so that a long history costs little memory. Every
quote is taken from the redacted dialogue.

How the one next step is chosen: among the criteria with enough assessed calls, the one with the
lowest mean in which a gap was surely found; within it the lowest rung (what harms before what is
missing, what is missing before what could be finer) on which some gap occurs in at least a third of
the calls where it could; on that rung the gap of the most calls. Where no gap is that frequent, the
one of the most calls. Where none was found at all, good means say to keep going and others to
listen to a call together, because software that found nothing is no reason for praise.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from qa_monitor.calls import CallRecord, Criterion, EscalationOutcome
from qa_monitor.errors import NotFoundError
from qa_monitor.reports.behaviours import ACTIONS, CHECKLIST, GAPS, LISTENING_FOR, RESPONSES
from qa_monitor.reports.figures import Tally, compare
from qa_monitor.reports.gathering import MOST_MOMENTS, Candidate, Collected, Count, rank
from qa_monitor.reports.one_call import CallView, points_of
from qa_monitor.reports.values import (
    CRITERIA,
    AgentReport,
    CallRow,
    Comparison,
    CriterionReport,
    Moment,
    NextStep,
    Strength,
    UrgentCall,
    Week,
)

__all__ = ["agent_report"]

_MOST_STRENGTHS = 4
_FEWEST_COLLEAGUES = 2
_FREQUENT = 1 / 3
_HABIT = 1 / 2
_GOOD = 4.0


def agent_report(
    agent_id: str,
    records: Iterable[CallRecord],
    team: Iterable[CallRecord],
    *,
    now: datetime,
    minimum_calls: int = 3,
) -> AgentReport:
    """The feedback on ``agent_id`` from ``records``, against the colleagues in ``team``.

    Calls of others in ``records``, and the agent's own and nobody's in ``team``, are passed over.
    ``now`` is an aware time; its zone is the report's. A criterion with fewer than
    ``minimum_calls`` assessed calls gets no trend and no verdict. Raises ``NotFoundError`` when
    there is no call of the agent.
    """
    collected = Collected()
    for record in records:
        if record.recording.agent_id == agent_id:
            collected.add(CallView(record, now))
    if not collected.rows:
        raise NotFoundError(
            f"agent {agent_id} has no scored calls in this period. Score recordings whose "
            "metadata names the agent, or ask for a longer period."
        )
    colleagues = {criterion: _Colleagues() for criterion in CRITERIA}
    for record in team:
        agent = record.recording.agent_id
        if agent is None or agent == agent_id:
            continue
        for criterion in CRITERIA:
            points = points_of(record, criterion)
            if points is not None:
                colleagues[criterion].add(agent, points)

    rows = tuple(sorted(collected.rows, key=_newest_first))
    times = [row.started_at for row in rows if row.started_at is not None]
    criteria = tuple(
        _criterion_report(criterion, rows, colleagues[criterion], minimum_calls)
        for criterion in CRITERIA
    )
    best = _choose(collected.good)
    next_step = _next_step(criteria, collected.gaps, best, minimum_calls)
    return AgentReport(
        agent_id=agent_id,
        made_at=now,
        minimum_calls=minimum_calls,
        first_call_at=min(times, default=None),
        last_call_at=max(times, default=None),
        calls=len(rows),
        assessed=sum(any(row.points(c) is not None for c in CRITERIA) for row in rows),
        flagged=sum(row.needs_review for row in rows),
        demonstration=sum(row.is_demonstration for row in rows),
        undated=len(rows) - len(times),
        criteria=criteria,
        strengths=_strengths(collected.habits, minimum_calls),
        next_step=next_step,
        best=best,
        weakest=_choose(collected.weak, besides=next_step.moment if next_step else None),
        urgent_calls=tuple(sorted(collected.urgent, key=_least_handled_first)),
        rows=rows,
    )


class _Colleagues:
    """The scores of the others, and how many others there are."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._agents: set[str] = set()

    def add(self, agent: str, points: float) -> None:
        """Count one call."""
        self._agents.add(agent)
        self.tally.add(points)

    @property
    def may_be_shown(self) -> bool:
        """Whether the mean is of enough people to be nobody's in particular."""
        return len(self._agents) >= _FEWEST_COLLEAGUES


def _newest_first(row: CallRow) -> tuple[bool, float, str]:
    started_at = row.started_at
    return started_at is None, -started_at.timestamp() if started_at else 0.0, row.call_id


def _least_handled_first(urgent: UrgentCall) -> tuple[int, int, tuple[bool, float, str]]:
    order = [
        EscalationOutcome.MISSED,
        EscalationOutcome.LATE_OR_PARTIAL,
        None,
        EscalationOutcome.NOT_NEEDED,
        EscalationOutcome.UNNEEDED,
        EscalationOutcome.PROPERLY,
    ]
    row = urgent.call
    return order.index(row.escalated), -(row.urgency or 0), _newest_first(row)


def _choose(
    candidates: Iterable[Candidate], *, besides: Moment | None = None
) -> tuple[Moment, ...]:
    """The clearest moments: of other criteria and calls first, then of other calls, then any.

    The same behaviour is not shown twice, nor any line of ``besides``, which is shown elsewhere.
    """
    ranked = list(candidates)
    chosen: list[Candidate] = []
    for other_criterion, other_call in ((True, True), (False, True), (False, False)):
        for candidate in ranked:
            moment = candidate.moment
            shown = [c.moment for c in chosen]
            if len(chosen) == MOST_MOMENTS or _overlaps(moment, [*shown, besides]):
                continue
            if any(
                other.code == moment.code
                or (other_criterion and other.criterion is moment.criterion)
                or (other_call and other.call_id == moment.call_id)
                for other in shown
            ):
                continue
            chosen.append(candidate)
    return tuple(candidate.moment for candidate in sorted(chosen, key=rank))


def _overlaps(moment: Moment, shown: Iterable[Moment | None]) -> bool:
    """Whether any of ``shown`` holds a line of ``moment``."""
    return any(
        other is not None
        and other.call_id == moment.call_id
        and set(other.lines) & set(moment.lines)
        for other in shown
    )


def _strengths(habits: dict[str, Count], minimum_calls: int) -> tuple[Strength, ...]:
    """The surest habits: due in enough calls, and seen in two and in half of them at least.

    What shows empathy, listening or escalation goes before the checklist; within each the share
    decides, with one call added on either side so that two of two does not beat eleven of twelve.
    """
    words = {
        code: behaviour.habit
        for table in (RESPONSES, LISTENING_FOR, ACTIONS)
        for code, behaviour in table.items()
    } | dict(CHECKLIST)
    sure = [
        (code in CHECKLIST, -(count.seen + 1) / (count.due + 2), code)
        for code, count in habits.items()
        if count.due >= minimum_calls and count.seen > 1 and count.seen / count.due >= _HABIT
    ]
    return tuple(
        Strength(code=code, says=words[code], seen=habits[code].seen, due=habits[code].due)
        for _, _, code in sorted(sure)[:_MOST_STRENGTHS]
    )


def _next_step(
    criteria: Iterable[CriterionReport],
    gaps: dict[str, Count],
    best: tuple[Moment, ...],
    minimum_calls: int,
) -> NextStep | None:
    """The one next step by the rule of this module, ``None`` with too few calls for any."""
    known = [(c.mean, c.criterion) for c in criteria if c.mean and c.mean.n >= minimum_calls]
    if not known:
        return None
    known.sort(key=lambda pair: (pair[0].mean, -pair[0].n))
    for _, criterion in known:
        found = {
            code: gaps[code]
            for code, gap in GAPS.items()
            if gap.criterion is criterion and code in gaps and gaps[code].seen
        }
        if found:
            return _step_from(criterion, found)
    lowest, criterion = known[0]
    is_good = lowest.mean >= _GOOD
    return NextStep(
        criterion=criterion,
        code="keep_going" if is_good else "listen_together",
        title="Keep going, and show a colleague how" if is_good else "Listen to one call together",
        say="Choose the call you are proudest of and play it to a colleague: what did you do, and "
        "why?"
        if is_good
        else "Let's listen to one of your calls from start to end, and each note one place where "
        "we would answer differently now.",
        found="",
        seen=0,
        due=0,
        moment=next((m for m in best if is_good and m.criterion is criterion), None),
    )


def _step_from(criterion: Criterion, found: dict[str, Count]) -> NextStep:
    """The step that closes the gap to work on first among those ``found``."""
    frequent = {c: n for c, n in found.items() if n.seen / n.due >= _FREQUENT}
    lowest_rung = min((GAPS[code].rung for code in frequent), default=None)
    on_rung = {c: n for c, n in frequent.items() if GAPS[c].rung == lowest_rung} or found
    code = max(on_rung, key=lambda item: on_rung[item].seen)
    gap, count = GAPS[code], on_rung[code]
    return NextStep(
        criterion=criterion,
        code=code,
        title=gap.title,
        say=gap.say,
        found=gap.found,
        seen=count.seen,
        due=count.due,
        moment=count.clearest.moment if count.clearest else None,
    )


def _criterion_report(
    criterion: Criterion, rows: tuple[CallRow, ...], colleagues: _Colleagues, minimum_calls: int
) -> CriterionReport:
    own = Tally()
    dated: list[tuple[datetime, float]] = []
    for row in rows:
        points = row.points(criterion)
        if points is None:
            continue
        own.add(points)
        if row.started_at is not None:
            dated.append((row.started_at, points))
    against_team: Comparison = "too_few_calls"
    enough = max(2, minimum_calls)
    if colleagues.may_be_shown and min(own.n, colleagues.tally.n) >= enough:
        against_team = compare(own, colleagues.tally)
    dated.sort(key=lambda pair: pair[0])
    return CriterionReport(
        criterion=criterion,
        mean=own.mean(),
        team=colleagues.tally.mean() if colleagues.may_be_shown else None,
        against_team=against_team,
        weeks=_weeks(dated) if len(dated) >= minimum_calls else (),
        change=_change([points for _, points in dated], enough),
    )


def _weeks(dated: list[tuple[datetime, float]]) -> tuple[Week, ...]:
    """The weekly means, none for a single week: one point is no trend."""
    tallies: dict[date, Tally] = {}
    for started_at, points in dated:
        monday = started_at.date() - timedelta(days=started_at.weekday())
        tallies.setdefault(monday, Tally()).add(points)
    weeks = [(monday, tally.mean()) for monday, tally in sorted(tallies.items())]
    if len(weeks) < 2:
        return ()
    return tuple(Week(monday=monday, mean=mean) for monday, mean in weeks if mean)


def _change(points: list[float], enough: int) -> Comparison:
    """Whether the later half of ``points`` differs from the earlier beyond chance."""
    middle = len(points) // 2
    if middle < enough:
        return "too_few_calls"
    earlier, later = Tally(), Tally()
    for value in points[:middle]:
        earlier.add(value)
    for value in points[middle:]:
        later.add(value)
    return compare(later, earlier)
