"""All calls of an agent, gone over once: habits, gaps, and the moments that show them best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qa_monitor.calls import Criterion, EscalationOutcome, Evidence
from qa_monitor.reports.behaviours import (
    ACTIONS,
    CHECKLIST,
    GAPS,
    LISTENING_AGAINST,
    LISTENING_FOR,
    OPPORTUNITIES,
    RESPONSES,
)
from qa_monitor.reports.one_call import CallView, sureness
from qa_monitor.reports.values import CRITERIA, CallRow, Moment, UrgentCall

__all__ = ["MOST_MOMENTS", "Candidate", "Collected", "Count", "Shortlist", "rank"]

MOST_MOMENTS = 3
"""How many moments of a kind a report shows."""

_CLEAR = 0.6
_TELLING = 0.3


@dataclass(frozen=True, slots=True)
class Candidate:
    """A moment that may be shown: how much it teaches and how sure it is, each 0 to 1."""

    worth: float
    sure: float
    moment: Moment


@dataclass(slots=True)
class Count:
    """In how many of the calls where it could be something was, and its clearest moment."""

    seen: int = 0
    due: int = 0
    clearest: Candidate | None = None


class Shortlist:
    """The few best candidates of each behaviour, of however many are offered."""

    def __init__(self) -> None:
        self._by_behaviour: dict[str, list[Candidate]] = {}

    def offer(self, candidate: Candidate) -> None:
        """Keep ``candidate`` if it is clear and telling, and among the best of its behaviour.

        What is quoted has to be surer than what is only counted.
        """
        if candidate.sure < _CLEAR or candidate.worth < _TELLING:
            return
        kept = self._by_behaviour.setdefault(candidate.moment.code, [])
        kept.append(candidate)
        kept.sort(key=rank)
        del kept[2 * MOST_MOMENTS :]

    def __iter__(self) -> Iterator[Candidate]:
        """The best first."""
        return iter(sorted((c for kept in self._by_behaviour.values() for c in kept), key=rank))


class Collected:
    """What is kept of the agent's calls while they are read."""

    def __init__(self) -> None:
        self.rows: list[CallRow] = []
        self.urgent: list[UrgentCall] = []
        self.habits: dict[str, Count] = {}
        self.gaps: dict[str, Count] = {}
        self.good = Shortlist()
        self.weak = Shortlist()

    def add(self, call: CallView) -> None:
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

    def _add_empathy(self, call: CallView) -> None:
        answers = list(call.answered())
        if not answers:
            return
        levels = {answer.response.label for answer in answers}
        for label in ("acknowledged", "pursued", "confirmed"):
            self._count_habit(label, seen=label in levels)
        clearest: dict[str, Candidate] = {}
        for answer in answers:
            level = answer.response.label
            behaviour = RESPONSES[level]
            moment = call.moment(
                Criterion.EMPATHY,
                level,
                f"{OPPORTUNITIES[answer.opportunity.label]}; {behaviour.moment}",
                (answer.opportunity.evidence, answer.answer),
            )
            sure = min(sureness(answer.opportunity), sureness(answer.response))
            candidate = Candidate(behaviour.weight, sure, moment)
            (self.good if behaviour.habit else self.weak).offer(candidate)
            if level not in clearest or rank(candidate) < rank(clearest[level]):
                clearest[level] = candidate
        for gap, level in (
            ("feeling_brushed_aside", "dismissive"),
            ("feeling_passed_over", "none"),
            ("feeling_set_phrase", "perfunctory"),
        ):
            self._count_gap(gap, clearest.get(level))
        deep = levels & {"pursued", "confirmed"}
        self._count_gap("feeling_one_step_further", None if deep else clearest.get("acknowledged"))

    def _add_listening(self, call: CallView) -> None:
        clearest: dict[str, Candidate] = {}
        for finding, evidence in call.found("listening"):
            label = finding.label
            behaviour = LISTENING_FOR.get(label) or LISTENING_AGAINST.get(label)
            if behaviour is None:
                continue
            candidate = Candidate(
                behaviour.weight,
                sureness(finding),
                call.moment(
                    Criterion.ACTIVE_LISTENING,
                    label,
                    behaviour.moment,
                    (call.before(evidence), evidence),
                ),
            )
            (self.good if label in LISTENING_FOR else self.weak).offer(candidate)
            if label not in clearest or rank(candidate) < rank(clearest[label]):
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

    def _add_urgent(self, call: CallView) -> None:
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

    def _add_escalation(self, call: CallView, urgency: int) -> None:
        outcome = call.row.escalated
        actions = call.labels("escalation_action")
        cue = call.first_cue()
        played_down: Candidate | None = None
        for finding, evidence in call.found("escalation_action"):
            behaviour = ACTIONS.get(finding.label)
            if behaviour is None:
                continue
            is_good = bool(behaviour.habit)
            if is_good and outcome is not EscalationOutcome.PROPERLY:
                continue
            candidate = Candidate(
                behaviour.weight,
                sureness(finding),
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
                self.weak.offer(Candidate(1.0 if missed else 0.8, 1.0, moment))
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
        count = self.habits.setdefault(code, Count())
        count.due += 1
        count.seen += seen

    def _count_gap(self, code: str, candidate: Candidate | None) -> None:
        count = self.gaps.setdefault(code, Count())
        count.due += 1
        if candidate is None:
            return
        count.seen += 1
        if count.clearest is None or rank(candidate) < rank(count.clearest):
            count.clearest = candidate

    def _count_missing(
        self,
        call: CallView,
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
            candidate = Candidate(1.0, 1.0, moment)
        self._count_gap(code, candidate)
        if is_missing and candidate is None:
            self.gaps[code].seen += 1


def rank(candidate: Candidate) -> tuple[float, float, str]:
    """The clearest first, then the latest, then by call id so that a report can be repeated."""
    started_at = candidate.moment.started_at
    return (
        -candidate.worth * candidate.sure,
        -started_at.timestamp() if started_at else 0.0,
        candidate.moment.call_id,
    )


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
