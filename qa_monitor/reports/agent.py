"""What is reported of one agent, and how it is chosen.

``agent_report`` goes over the agent's calls once and over the team's once; of each call it keeps
the row of the table and at most a few quotes, so that a long history costs little memory. Every
quote is taken from the redacted dialogue.

How the one next step is chosen: the criterion with the lowest mean among those with enough assessed
calls; within it the lowest rung (what harms before what is missing, what is missing before what
could be finer) on which some gap occurs in at least a third of the calls where it could; on that
rung the gap of the most calls. Where no gap is that frequent, the one of the most calls; where
there is none at all, to keep going.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from qa_monitor.calls import (
    CallRecord,
    CallType,
    Criterion,
    EntityType,
    EscalationOutcome,
    Evidence,
    Finding,
    Role,
)
from qa_monitor.errors import NotFoundError
from qa_monitor.reports.behaviours import (
    ACTIONS,
    CHECKLIST,
    GAPS,
    LISTENING_AGAINST,
    LISTENING_FOR,
    OPPORTUNITIES,
    RESPONSES,
)
from qa_monitor.reports.figures import Mean, Tally, compare
from qa_monitor.reports.quotes import quote

__all__ = [
    "AgentReport",
    "CallRow",
    "CriterionReport",
    "Line",
    "Moment",
    "NextStep",
    "Strength",
    "UrgentCall",
    "Week",
    "agent_report",
]

CRITERIA = (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)

_MOST_MOMENTS = 3
_MOST_STRENGTHS = 4
_FEWEST_COLLEAGUES = 2
_FREQUENT = 1 / 3
_HABIT = 1 / 2
_SURE = 0.5
_HINT = 0.25
_ANSWER_REACH = 3
_AGENT_TASKS = frozenset({"response", "listening", "escalation_action", "checklist"})
_CALLERS = frozenset({Role.CALLER, Role.THIRD_PARTY})

Comparison = Literal["higher", "lower", "no_clear_difference", "too_few_calls"]


# --- the report ----------------------------------------------------------------------------------


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
    """One call in the table; ``None`` is not assessed, never zero."""

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
    collected = _Collected()
    for record in records:
        if record.recording.agent_id == agent_id:
            collected.add(_CallView(record, now))
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
            points = _points(record, criterion)
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


# --- one call ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Answered:
    """An empathic opportunity, the agent's answer to it, and where that is."""

    opportunity: Finding
    response: Finding
    answer: Evidence


class _CallView:
    """One record, asked the questions that the report asks."""

    def __init__(self, record: CallRecord, now: datetime) -> None:
        self.record = record
        card = record.scorecard
        urgency = _points(record, Criterion.URGENCY)
        started_at = record.recording.started_at
        if started_at is not None and started_at.tzinfo is not None:
            started_at = started_at.astimezone(now.tzinfo)
        self.row = CallRow(
            call_id=record.call_id,
            started_at=started_at,
            duration_s=record.recording.duration_s,
            call_type=card.call_type,
            urgency=None if urgency is None else round(urgency),
            escalated=card.escalated,
            escalation_delay_s=card.escalation_delay_s,
            empathy=_points(record, Criterion.EMPATHY),
            active_listening=_points(record, Criterion.ACTIVE_LISTENING),
            escalation=_points(record, Criterion.ESCALATION),
            total=card.total,
            needs_review=card.needs_review,
            review_reasons=card.review_reasons,
            warnings=record.warnings,
        )
        self._turns = record.dialogue.turns
        by_task: dict[str, list[tuple[Finding, Evidence]]] = {}
        self._hinted: set[tuple[str, str]] = set()
        for finding in record.findings:
            evidence = finding.evidence
            if evidence is None or not self._is_usable(finding.task, evidence):
                continue
            if _sureness(finding) >= _HINT:
                self._hinted.add((finding.task, finding.label))
            if _sureness(finding) >= _SURE:
                by_task.setdefault(finding.task, []).append((finding, evidence))
        for found in by_task.values():
            found.sort(key=lambda pair: (pair[1].turn_index, pair[1].start))
        self._by_task = by_task

    def _is_usable(self, task: str, evidence: Evidence) -> bool:
        """Whether a finding may be shown: of clear words, and of the agent's own if about them."""
        if not 0 <= evidence.turn_index < len(self._turns):
            return False
        turn = self._turns[evidence.turn_index]
        inside = 0 <= evidence.start <= evidence.end <= len(turn.text)
        right_role = task not in _AGENT_TASKS or turn.role is Role.AGENT
        return inside and right_role and not turn.is_doubtful

    def hints_at(self, task: str, labels: Iterable[str]) -> bool:
        """Whether any of ``labels`` was found, even unsurely; what is hinted at is not missing."""
        return any((task, label) in self._hinted for label in labels)

    def found(self, task: str) -> list[tuple[Finding, Evidence]]:
        """The sure findings of ``task`` with their evidence, in the order of the call."""
        return self._by_task.get(task, [])

    def labels(self, task: str) -> set[str]:
        """The labels of ``task`` that were surely found."""
        return {finding.label for finding, _ in self.found(task)}

    def answered(self) -> Iterator[_Answered]:
        """Each empathic opportunity whose answer is known, with that answer.

        The answer is the agent's next turn, as scoring takes it; where the call ended before one,
        or scoring is unsure what to make of it, nothing is said about the opportunity.
        """
        responses = {
            where.turn_index: response
            for response, where in self.found("response")
            if response.label in RESPONSES
        }
        for finding, evidence in self.found("opportunity"):
            answer = self._agent_turn_after(evidence.turn_index, within=_ANSWER_REACH)
            if finding.label in OPPORTUNITIES and answer is not None and answer in responses:
                yield _Answered(finding, responses[answer], self.whole_turn(answer))

    def first_cue(self) -> Evidence | None:
        """Where the call's urgency first shows, by what its score rests on."""
        rests_on = self._score_evidence(Criterion.URGENCY)
        found = [
            evidence for task in ("red_flag", "urgency_cue") for _, evidence in self.found(task)
        ]
        cues = rests_on or found
        return min(cues, key=lambda cue: (cue.turn_index, cue.start), default=None)

    def needless_step(self) -> Evidence | None:
        """Where the call was escalated without need."""
        return next(iter(self._score_evidence(Criterion.ESCALATION)), None)

    def due(self, gap: str) -> Evidence | None:
        """The turn after which the missing behaviour of ``gap`` was due, ``None`` if unknown."""
        agents = [index for index, turn in enumerate(self._turns) if turn.role is Role.AGENT]
        callers = [
            index
            for index, turn in enumerate(self._turns)
            if turn.role in _CALLERS and self._agent_turn_after(index) is not None
        ]
        if not callers:
            return None
        if gap == "no_open_question":
            return self.whole_turn(callers[0])
        if gap == "no_anything_else":
            return self.whole_turn(agents[-1])
        if gap == "no_teach_back":
            explained = [
                where for item, where in self.found("checklist") if item.label == "explains"
            ]
            turn = explained[-1].turn_index if explained else max(agents, key=self._length)
            return self.whole_turn(turn)
        if gap == "no_read_back":
            return self.whole_turn(
                max(callers, key=lambda index: (self._details(index), self._length(index)))
            )
        return self.whole_turn(max(callers, key=self._length))

    def whole_turn(self, index: int) -> Evidence:
        """All of turn ``index``."""
        return Evidence(turn_index=index, start=0, end=len(self._turns[index].text))

    def moment(
        self, criterion: Criterion, code: str, says: str, places: Iterable[Evidence | None]
    ) -> Moment:
        """A moment made of the words at ``places``, each turn once, in the order of the call."""
        by_turn = {place.turn_index: place for place in places if place is not None}
        return Moment(
            call_id=self.row.call_id,
            started_at=self.row.started_at,
            criterion=criterion,
            code=code,
            says=says,
            lines=tuple(
                Line(
                    role=self._turns[index].role,
                    start_s=self._turns[index].start_s,
                    text=quote(self.record.dialogue, by_turn[index]),
                )
                for index in sorted(by_turn)
            ),
            language=self.record.dialogue.language,
            needs_review=self.row.needs_review,
        )

    def before(self, evidence: Evidence) -> Evidence | None:
        """What the caller said just before ``evidence``."""
        index = evidence.turn_index - 1
        if index >= 0 and self._turns[index].role in _CALLERS:
            return self.whole_turn(index)
        return None

    def after(self, evidence: Evidence) -> Evidence | None:
        """What the agent said next after ``evidence``."""
        index = self._agent_turn_after(evidence.turn_index)
        return None if index is None else self.whole_turn(index)

    def _score_evidence(self, criterion: Criterion) -> list[Evidence]:
        return [
            place
            for score in self.record.scorecard.scores
            if score.criterion is criterion
            for place in score.evidence
            if self._is_usable("", place)
        ]

    def _agent_turn_after(self, index: int, *, within: int | None = None) -> int | None:
        """The agent's first turn after ``index``, at most ``within`` turns later."""
        last = None if within is None else index + 1 + within
        for later, turn in enumerate(self._turns[index + 1 : last], start=index + 1):
            if turn.role is Role.AGENT:
                return later
        return None

    def _details(self, index: int) -> int:
        """How many numbers, dates and places a turn gives; a name alone needs no read-back."""
        spans = self._turns[index].spans
        return sum(span.entity_type is not EntityType.PERSON for span in spans)

    def _length(self, index: int) -> int:
        return len(self._turns[index].text)


def _points(record: CallRecord, criterion: Criterion) -> float | None:
    for score in record.scorecard.scores:
        if score.criterion is criterion:
            return score.points
    return None


def _sureness(finding: Finding) -> float:
    return finding.confidence if finding.probability is None else finding.probability


# --- all calls -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Candidate:
    weight: float
    moment: Moment


@dataclass(slots=True)
class _Count:
    """In how many of the calls where it could be something was, and its clearest moment."""

    seen: int = 0
    due: int = 0
    clearest: _Candidate | None = None


class _Shortlist:
    """The few best candidates of each criterion, of however many are offered."""

    def __init__(self) -> None:
        self._by_criterion: dict[Criterion, list[_Candidate]] = {}

    def offer(self, candidate: _Candidate) -> None:
        """Keep ``candidate`` if it is among the best of its criterion."""
        kept = self._by_criterion.setdefault(candidate.moment.criterion, [])
        kept.append(candidate)
        kept.sort(key=_rank)
        del kept[4 * _MOST_MOMENTS :]

    def __iter__(self) -> Iterator[_Candidate]:
        """The best first."""
        return iter(sorted((c for kept in self._by_criterion.values() for c in kept), key=_rank))


class _Collected:
    """What is kept of the agent's calls while they are read."""

    def __init__(self) -> None:
        self.rows: list[CallRow] = []
        self.urgent: list[UrgentCall] = []
        self.habits: dict[str, _Count] = {}
        self.gaps: dict[str, _Count] = {}
        self.good = _Shortlist()
        self.weak = _Shortlist()

    def add(self, call: _CallView) -> None:
        """Take one call in."""
        self.rows.append(call.row)
        if call.row.empathy is not None:
            self._add_empathy(call)
        if call.row.active_listening is not None:
            self._add_listening(call)
        urgency = call.row.urgency or 0
        if urgency > 0 or call.row.escalated is EscalationOutcome.UNNEEDED:
            self._add_urgent(call)
        if call.row.escalation is not None and urgency > 0:
            self._add_escalation(call, urgency)
        if any(call.row.points(criterion) is not None for criterion in CRITERIA):
            done = call.labels("checklist")
            for label in CHECKLIST:
                self._count_habit(label, seen=label in done)

    def _add_empathy(self, call: _CallView) -> None:
        answers = list(call.answered())
        if not answers:
            return
        levels = {answer.response.label for answer in answers}
        for label in ("acknowledged", "pursued", "confirmed"):
            self._count_habit(label, seen=label in levels)
        clearest: dict[str, _Candidate] = {}
        for answer in answers:
            level = answer.response.label
            behaviour = RESPONSES[level]
            moment = call.moment(
                Criterion.EMPATHY,
                level,
                f"{OPPORTUNITIES[answer.opportunity.label]}; {behaviour.moment}",
                (answer.opportunity.evidence, answer.answer),
            )
            sure = min(_sureness(answer.opportunity), _sureness(answer.response))
            candidate = _Candidate(behaviour.weight * sure, moment)
            (self.good if behaviour.habit else self.weak).offer(candidate)
            if level not in clearest or candidate.weight > clearest[level].weight:
                clearest[level] = candidate
        for gap, level in (
            ("feeling_brushed_aside", "dismissive"),
            ("feeling_passed_over", "none"),
            ("feeling_set_phrase", "perfunctory"),
        ):
            self._count_gap(gap, clearest.get(level))
        deep = levels & {"pursued", "confirmed"}
        self._count_gap("feeling_one_step_further", None if deep else clearest.get("acknowledged"))

    def _add_listening(self, call: _CallView) -> None:
        clearest: dict[str, _Candidate] = {}
        for finding, evidence in call.found("listening"):
            label = finding.label
            behaviour = LISTENING_FOR.get(label) or LISTENING_AGAINST.get(label)
            if behaviour is None:
                continue
            candidate = _Candidate(
                behaviour.weight * _sureness(finding),
                call.moment(
                    Criterion.ACTIVE_LISTENING,
                    label,
                    behaviour.moment,
                    (call.before(evidence), evidence),
                ),
            )
            (self.good if label in LISTENING_FOR else self.weak).offer(candidate)
            if label not in clearest or candidate.weight > clearest[label].weight:
                clearest[label] = candidate
        for label in LISTENING_FOR:
            self._count_habit(label, seen=label in clearest)
        for label in LISTENING_AGAINST:
            self._count_gap(label, clearest.get(label))
        for gap, closing in (
            ("no_read_back", {"read_back", "reflection", "summary"}),
            ("no_clarifying_question", {"clarifying_question"}),
            ("no_open_question", {"open_question"}),
            ("no_teach_back", {"teach_back"}),
            ("no_anything_else", {"anything_else"}),
        ):
            is_missing = not call.hints_at("listening", closing)
            self._count_missing(call, gap, call.due(gap), is_missing=is_missing)

    def _add_urgent(self, call: _CallView) -> None:
        cue = call.first_cue()
        done = tuple(
            dict.fromkeys(
                item.label for item, _ in call.found("escalation_action") if item.label in ACTIONS
            )
        )
        moment = None
        if call.row.escalated is EscalationOutcome.UNNEEDED and (step := call.needless_step()):
            moment = call.moment(
                Criterion.ESCALATION,
                "unneeded",
                "Escalated, and nothing urgent was found.",
                (call.before(step), step),
            )
        elif cue is not None:
            moment = call.moment(
                Criterion.ESCALATION,
                "first_cue",
                "Where the urgency first showed.",
                (cue, call.after(cue)),
            )
        self.urgent.append(UrgentCall(call=call.row, done=done, moment=moment))

    def _add_escalation(self, call: _CallView, urgency: int) -> None:
        outcome = call.row.escalated
        actions = call.labels("escalation_action")
        cue = call.first_cue()
        played_down: _Candidate | None = None
        for finding, evidence in call.found("escalation_action"):
            behaviour = ACTIONS.get(finding.label)
            if behaviour is None:
                continue
            is_good = bool(behaviour.habit)
            if is_good and outcome is not EscalationOutcome.PROPERLY:
                continue
            candidate = _Candidate(
                behaviour.weight * _sureness(finding),
                call.moment(
                    Criterion.ESCALATION,
                    finding.label,
                    behaviour.moment,
                    (call.before(evidence), evidence),
                ),
            )
            (self.good if is_good else self.weak).offer(candidate)
            if finding.label == "minimises" and played_down is None:
                played_down = candidate
        self._count_gap("minimises", played_down)
        for label, behaviour in ACTIONS.items():
            if behaviour.habit and _is_due(label, urgency):
                is_right = outcome is EscalationOutcome.PROPERLY
                self._count_habit(label, seen=is_right and label in actions)

        missed = outcome is EscalationOutcome.MISSED
        late = outcome is EscalationOutcome.LATE_OR_PARTIAL
        for gap, is_there, says in (
            ("urgency_missed", missed, "A sign of urgency was there, and nobody acted on it."),
            ("urgency_late", late, "The right action came late, or only in part."),
        ):
            self._count_missing(call, gap, cue, is_missing=is_there, says=says)
            if is_there and cue is not None:
                moment = call.moment(Criterion.ESCALATION, gap, says, (cue, call.after(cue)))
                self.weak.offer(_Candidate(1.0 if missed else 0.8, moment))
        for gap, due, closing in (
            ("no_location", _is_due("asks_location", urgency), {"asks_location"}),
            ("no_safety_instruction", urgency > 1, {"safety_instruction"}),
            ("no_red_flag_question", True, {"red_flag_question"}),
            ("no_commitment", urgency > 2, {"commitment", "stays_on_line"}),
        ):
            if due:
                is_missing = not call.hints_at("escalation_action", closing)
                self._count_missing(call, gap, cue, is_missing=is_missing)

    def _count_habit(self, code: str, *, seen: bool) -> None:
        count = self.habits.setdefault(code, _Count())
        count.due += 1
        count.seen += seen

    def _count_gap(self, code: str, candidate: _Candidate | None) -> None:
        count = self.gaps.setdefault(code, _Count())
        count.due += 1
        if candidate is None:
            return
        count.seen += 1
        if count.clearest is None or _rank(candidate) < _rank(count.clearest):
            count.clearest = candidate

    def _count_missing(
        self,
        call: _CallView,
        code: str,
        place: Evidence | None,
        *,
        is_missing: bool,
        says: str = "",
    ) -> None:
        """Count a gap whose moment is where something should have followed."""
        gap = GAPS[code]
        candidate = None
        if is_missing and place is not None:
            moment = call.moment(
                gap.criterion, code, says or f"Here {gap.found}.", (place, call.after(place))
            )
            candidate = _Candidate(1.0, moment)
        self._count_gap(code, candidate)
        if is_missing and candidate is None:
            self.gaps[code].seen += 1


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


def _is_due(action: str, urgency: int) -> bool:
    """Whether ``action`` belongs to the right handling at this level of urgency."""
    if action in {"same_day", "timed_callback"}:
        return urgency == 1
    if action == "transfer_now":
        return urgency == 2
    if action in {"emergency_number", "asks_location", "stays_on_line"}:
        return urgency > 2
    if action in {"safety_instruction", "commitment"}:
        return urgency > 1
    return True


# --- choosing ------------------------------------------------------------------------------------


def _rank(candidate: _Candidate) -> tuple[float, float, str]:
    """The clearest first, then the latest, then by call id so that a report can be repeated."""
    started_at = candidate.moment.started_at
    return (
        -candidate.weight,
        -started_at.timestamp() if started_at else 0.0,
        candidate.moment.call_id,
    )


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
    candidates: Iterable[_Candidate], *, besides: Moment | None = None
) -> tuple[Moment, ...]:
    """The clearest moments: of other criteria and calls first, then of other calls, then any.

    ``besides`` is shown elsewhere; no line of it is shown again.
    """
    ranked = list(candidates)
    chosen: list[_Candidate] = []
    for other_criterion, other_call in ((True, True), (False, True), (False, False)):
        for candidate in ranked:
            moment = candidate.moment
            shown = [c.moment for c in chosen]
            if len(chosen) == _MOST_MOMENTS or _overlaps(moment, [*shown, besides]):
                continue
            if other_criterion and any(m.criterion is moment.criterion for m in shown):
                continue
            if other_call and any(m.call_id == moment.call_id for m in shown):
                continue
            chosen.append(candidate)
    return tuple(candidate.moment for candidate in sorted(chosen, key=_rank))


def _overlaps(moment: Moment, shown: Iterable[Moment | None]) -> bool:
    """Whether any of ``shown`` holds a line of ``moment``."""
    return any(
        other is not None
        and other.call_id == moment.call_id
        and set(other.lines) & set(moment.lines)
        for other in shown
    )


def _strengths(habits: dict[str, _Count], minimum_calls: int) -> tuple[Strength, ...]:
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
    gaps: dict[str, _Count],
    best: tuple[Moment, ...],
    minimum_calls: int,
) -> NextStep | None:
    """The one next step by the rule of this module, ``None`` with too few calls for any."""
    known = [(c.mean, c.criterion) for c in criteria if c.mean and c.mean.n >= minimum_calls]
    if not known:
        return None
    _, criterion = min(known, key=lambda pair: (pair[0].mean, -pair[0].n))
    found = {
        code: gaps[code]
        for code, gap in GAPS.items()
        if gap.criterion is criterion and code in gaps and gaps[code].seen
    }
    if not found:
        return NextStep(
            criterion=criterion,
            code="keep_going",
            title="Keep going, and show a colleague how",
            say="Nothing in these calls asks for a change. Choose the call you are proudest of and "
            "play it to a colleague: what did you do, and why?",
            found="",
            seen=0,
            due=0,
            moment=next((moment for moment in best if moment.criterion is criterion), None),
        )
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
