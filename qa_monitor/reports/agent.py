"""What is reported of one agent, and how it is chosen.

``agent_report`` goes over the agent's calls once; of each it keeps the row of the table and at most
a few quotes, so that a long history costs little memory. The team comes as sums, and what lies
before or beyond the period as figures. Every quote is taken from the redacted dialogue.

How the one next step is chosen: among the criteria with enough assessed calls, the one with the
lowest mean in which a gap was surely found; within it the lowest rung (what harms before what is
missing, what is missing before what could be finer) on which some gap occurs in at least a third of
the calls where it could; on that rung the gap of the most calls. Where no gap is that frequent, the
one of the most calls. Where none was found at all, good means say to keep going and others to
listen to a call together, because software that found nothing is no reason for praise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from types import MappingProxyType

from qa_monitor.calls import CallRecord, Criterion, EscalationOutcome
from qa_monitor.errors import NotFoundError
from qa_monitor.reports.behaviours import ACTIONS, CHECKLIST, GAPS, LISTENING_FOR, RESPONSES
from qa_monitor.reports.corrections import corrected
from qa_monitor.reports.figures import Tally, compare
from qa_monitor.reports.gathering import MOST_MOMENTS, Candidate, Collected, Count, rank
from qa_monitor.reports.measuring import (
    CallFigures,
    change_between,
    checklist_gaps,
    goal_reports,
    measure_reports,
    shared_notes,
    tally_of,
)
from qa_monitor.reports.one_call import CallView
from qa_monitor.reports.values import (
    CRITERIA,
    AgentReport,
    CallRow,
    Comparison,
    CriterionReport,
    Moment,
    MomentKind,
    NextStep,
    Replay,
    Strength,
    UrgentCall,
    Week,
)
from qa_monitor.store import Correction, Goal, Note, ScoreSum

__all__ = ["agent_report"]

_NONE: Mapping[str, Mapping[str, Correction]] = MappingProxyType({})
_MOST_STRENGTHS = 4
_FEWEST_COLLEAGUES = 2
_FREQUENT = 1 / 3
_HABIT = 1 / 2
_GOOD = 4.0


def agent_report(
    agent_id: str,
    records: Iterable[CallRecord],
    *,
    now: datetime,
    team: Iterable[ScoreSum] = (),
    figures: Sequence[CallFigures] = (),
    corrections: Mapping[str, Mapping[str, Correction]] = _NONE,
    goals: Iterable[Goal] = (),
    notes: Iterable[Note] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    minimum_calls: int = 3,
) -> AgentReport:
    """The feedback on ``agent_id`` from ``records``, the calls begun in ``[since, until)``.

    Calls of others in ``records`` are passed over. ``team`` holds the sums of all agents in the
    same period: colleagues are the others of the agent's team, or all others where the agent has
    none. ``figures`` are those of the agent's calls, of this period, of the one before, which is as
    long, and since ``goals`` were set. ``corrections`` are by call id and subject. ``now``
    is an aware time; its zone is the report's. A criterion with fewer than ``minimum_calls``
    assessed calls gets no trend and no verdict. Raises ``NotFoundError`` when there is no call of
    the agent.
    """
    collected = Collected()
    for record in records:
        if record.recording.agent_id == agent_id:
            found = corrections.get(record.call_id, {})
            collected.add(CallView(corrected(record, found), now, corrected=tuple(found)))
    if not collected.rows:
        raise NotFoundError(
            f"agent {agent_id} has no scored calls in this period. Score recordings whose "
            "metadata names the agent, or ask for a longer period."
        )
    colleagues = _Colleagues(agent_id, team)
    within, before = _periods(figures, since, until, now)
    rows = tuple(sorted(collected.rows, key=_newest_first))
    times = [row.started_at for row in rows if row.started_at is not None]
    criteria = tuple(
        _criterion_report(criterion, rows, colleagues, before, minimum_calls)
        for criterion in CRITERIA
    )
    best = _choose(collected.good)
    next_step = _next_step(criteria, collected.gaps, best, minimum_calls)
    weakest = _choose(collected.weak, besides=next_step.moment if next_step else None)
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
        weakest=weakest,
        urgent_calls=tuple(sorted(collected.urgent, key=_least_handled_first)),
        rows=rows,
        since=since,
        until=until,
        calls_before=None if before is None else len(before),
        replays=_replays(best, next_step, weakest),
        checklist_gaps=checklist_gaps(within, minimum_calls=minimum_calls),
        measures=measure_reports(within, before or (), minimum_calls=minimum_calls),
        goals=goal_reports(goals, figures, now=now, minimum_calls=minimum_calls),
        notes=shared_notes(notes),
        corrected_calls=sum(bool(row.corrected) for row in rows),
        corrected_scores=sum(len(row.corrected) for row in rows),
    )


class _Colleagues:
    """The scores of the others of the agent's team, or of all others where there is none."""

    def __init__(self, agent_id: str, sums: Iterable[ScoreSum]) -> None:
        sums = list(sums)
        team = next((one.team for one in sums if one.agent_id == agent_id), None)
        self._sums = [
            one
            for one in sums
            if one.agent_id != agent_id and one.calls and (team is None or one.team == team)
        ]

    def of(self, criterion: Criterion) -> Tally | None:
        """Their scores, ``None`` where they are of too few people to be nobody's in particular."""
        own = [one for one in self._sums if one.criterion is criterion]
        if len(own) < _FEWEST_COLLEAGUES:
            return None
        return Tally.of_sums(
            sum(one.calls for one in own),
            sum(one.points for one in own),
            sum(one.squares for one in own),
        )


def _periods(
    figures: Sequence[CallFigures], since: datetime | None, until: datetime | None, now: datetime
) -> tuple[list[CallFigures], list[CallFigures] | None]:
    """The figures of the period, and of the one before; ``None`` where no period has a beginning.

    Without a period a call needs no date.
    """
    end = until or now
    within = [
        call
        for call in figures
        if (since is None and until is None)
        or (
            call.started_at is not None
            and (since is None or since <= call.started_at)
            and (until is None or call.started_at < until)
        )
    ]
    if since is None:
        return within, None
    begin = since - (end - since)
    return within, [c for c in figures if c.started_at and begin <= c.started_at < since]


def _replays(
    best: Sequence[Moment], next_step: NextStep | None, weakest: Sequence[Moment]
) -> tuple[Replay, ...]:
    """At most three moments: one that went well, the next step's, one more to work on.

    Where one is lacking, another of the best or of the weakest takes its place.
    """
    kinds: list[tuple[MomentKind, Sequence[Moment]]] = [
        ("strength", best[:1]),
        ("step", (next_step.moment,) if next_step and next_step.moment else ()),
        ("gap", weakest),
        ("strength", best[1:]),
    ]
    chosen: list[Replay] = []
    for kind, moments in kinds:
        for moment in moments[: 1 if kind == "gap" and len(chosen) > 1 else None]:
            shown = [one.moment for one in chosen]
            if len(chosen) < MOST_MOMENTS and not _overlaps(moment, shown):
                chosen.append(Replay(kind=kind, moment=moment))
    order = ("strength", "step", "gap")
    return tuple(sorted(chosen, key=lambda one: order.index(one.kind)))


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
    criterion: Criterion,
    rows: tuple[CallRow, ...],
    colleagues: _Colleagues,
    before: Sequence[CallFigures] | None,
    minimum_calls: int,
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
    team = colleagues.of(criterion)
    against_team: Comparison = "too_few_calls"
    enough = max(2, minimum_calls)
    if team is not None and min(own.n, team.n) >= enough:
        against_team = compare(own, team)
    dated.sort(key=lambda pair: pair[0])
    earlier = None if before is None else tally_of(before, criterion)
    return CriterionReport(
        criterion=criterion,
        mean=own.mean(),
        team=None if team is None else team.mean(),
        against_team=against_team,
        weeks=_weeks(dated) if len(dated) >= minimum_calls else (),
        change=_change([points for _, points in dated], enough),
        before=None if earlier is None else earlier.mean(),
        since_before=None
        if earlier is None
        else change_between(own, earlier, minimum_calls=minimum_calls),
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
