"""One call, asked the questions that a report asks of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from qa_monitor.calls import (
    CallRecord,
    ChecklistAnswer,
    ChecklistItem,
    Criterion,
    EntityType,
    Evidence,
    Finding,
    Role,
)
from qa_monitor.reports.behaviours import OPPORTUNITIES, RESPONSES
from qa_monitor.reports.quotes import quote
from qa_monitor.reports.values import CallRow, Line, Moment

__all__ = ["Answered", "CallView", "points_of", "sureness"]

_SURE = 0.5
_HINT = 0.25
_ANSWER_REACH = 3
_AGENT_TASKS = frozenset({"response", "listening", "escalation_action", "checklist"})
_CALLERS = frozenset({Role.CALLER, Role.THIRD_PARTY})


@dataclass(frozen=True, slots=True)
class Answered:
    """An empathic opportunity, the agent's answer to it, and where that is."""

    opportunity: Finding
    response: Finding
    answer: Evidence


class CallView:
    """One record, asked the questions that the report asks.

    ``corrected`` names the subjects of which a person's word stands in it.
    """

    def __init__(
        self, record: CallRecord, now: datetime, *, corrected: tuple[str, ...] = ()
    ) -> None:
        self.record = record
        card = record.scorecard
        urgency = points_of(record, Criterion.URGENCY)
        started_at = record.recording.started_at
        if started_at is not None:
            started_at = started_at.astimezone(now.tzinfo)
        self.row = CallRow(
            call_id=record.call_id,
            started_at=started_at,
            duration_s=record.recording.duration_s,
            call_type=card.call_type,
            urgency=None if urgency is None else round(urgency),
            escalated=card.escalated,
            escalation_delay_s=card.escalation_delay_s,
            empathy=points_of(record, Criterion.EMPATHY),
            active_listening=points_of(record, Criterion.ACTIVE_LISTENING),
            escalation=points_of(record, Criterion.ESCALATION),
            total=card.total,
            needs_review=card.needs_review,
            review_reasons=card.review_reasons,
            warnings=record.warnings,
            auto_failed=card.auto_failed,
            checklist_yes=_count(card.checklist, ChecklistAnswer.YES),
            checklist_asked=_count(card.checklist, ChecklistAnswer.YES, ChecklistAnswer.NO),
            corrected=corrected,
        )
        self._turns = record.dialogue.turns
        by_task: dict[str, list[tuple[Finding, Evidence]]] = {}
        self._hinted: set[tuple[str, str]] = set()
        for finding in record.findings:
            evidence = finding.evidence
            if evidence is None or not self._is_usable(finding.task, evidence):
                continue
            if sureness(finding) >= _HINT:
                self._hinted.add((finding.task, finding.label))
            if sureness(finding) >= _SURE:
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

    def answered(self) -> Iterator[Answered]:
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
                yield Answered(finding, responses[answer], self.whole_turn(answer))

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


def points_of(record: CallRecord, criterion: Criterion) -> float | None:
    """The points of ``criterion``, ``None`` where it is not assessed or not on the card."""
    for score in record.scorecard.scores:
        if score.criterion is criterion:
            return score.points
    return None


def _count(checklist: Iterable[ChecklistItem], *answers: ChecklistAnswer) -> int:
    """How many items that count have one of ``answers``."""
    return sum(item.answer in answers and item.weight > 0 for item in checklist)


def sureness(finding: Finding) -> float:
    """The finding's probability, or its confidence where nothing is calibrated."""
    return finding.confidence if finding.probability is None else finding.probability
