"""What a call's findings say about each criterion, as numbers and as places to look.

The numbers are what the rubric file weighs; their names are the names used there. Nothing here
reads the words of the call: roles, order and times of turns, and findings, are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from qa_monitor.calls import Evidence, Finding, RedactedDialogue, RedactedTurn
from qa_monitor.scoring.labels import (
    AGAINST_LISTENING,
    AGENT_ROLES,
    CALLER_ROLES,
    CHECKLIST,
    ESCALATION_ACTION,
    FOR_LISTENING,
    LISTENING,
    OPPORTUNITY,
    RED_FLAG,
    RESPONSE,
    URGENCY_CUE,
)
from qa_monitor.scoring.metrics import dead_air

__all__ = [
    "EMPATHY_FEATURES",
    "ESCALATION_FEATURES",
    "LEVEL_3_RULE_FROM",
    "LISTENING_FEATURES",
    "ROUTINE_FEATURES",
    "RULE_PRODUCER",
    "URGENCY_FEATURES",
    "CallFindings",
    "Opportunity",
    "rule_confidence",
    "sureness",
]

RULE_PRODUCER = "red-flags/"
"""How the producer of findings made by rule begins."""

_RULE_CONFIDENCE = {1: 0.6, 2: 0.7, 3: 0.9}
_ANSWER_FACTOR = 0.8
_ACKNOWLEDGED = frozenset({"acknowledged", "pursued", "confirmed"})
_CONFIRMED = frozenset({"pursued", "confirmed"})
_PASSED_OVER = frozenset({"none", "dismissive"})
_UNKNOWN_LEVEL = 0.3
_RESPONSE_REACH = 3
_CUE_LEVEL = 0.5
_IMPLIES_FROM = 0.6

EMPATHY_FEATURES: Mapping[str, int] = {
    "answered": 1,
    "acknowledged": 1,
    "confirmed": 1,
    "repeated": 1,
    "best": 1,
    "attentive": 1,
    "dismissed": -1,
    "against": -1,
}
"""Features of empathy, and whether more of each may only raise (1) or lower (-1) the points."""

LISTENING_FEATURES: Mapping[str, int] = {
    "open": 1,
    "clarify": 1,
    "reflect": 1,
    "read_back": 1,
    "check": 1,
    "anything_else": 1,
    "breadth": 1,
    "heard": 1,
    "asks_again": -1,
    "ignores": -1,
    "interrupts": -1,
    "against": -1,
    "passed_over": -1,
    "one_sided": -1,
    "dead_air": -1,
}

ESCALATION_FEATURES: Mapping[str, int] = {
    "right": 1,
    "prompt": 1,
    "partial": 1,
    "safety": 1,
    "location": 1,
    "stays": 1,
    "commitment": 1,
    "questions": 1,
    "minimises": -1,
    "unheeded": -1,
}

ROUTINE_FEATURES: Mapping[str, int] = {
    "number": 1,
    "transfer": 1,
    "safety": 1,
    "same_day": 1,
}
"""Features of the steps taken in a call that is not urgent: whether they were more than it needed.
"""

URGENCY_FEATURES: Mapping[str, int] = {
    "cue1": 1,
    "cue2": 1,
    "cue3": 1,
    "cues": 1,
    "cues3": 1,
    "twice2": 1,
    "twice3": 1,
    "flag": 1,
    "flags": 1,
    "rule2": 1,
    "rule3": 1,
    "rules": 1,
}


def rule_confidence(level: int, *, is_answer: bool) -> float:
    """How sure a red flag by rule is held to be: by its level, and less where it was an answer."""
    return round(_RULE_CONFIDENCE[level] * (_ANSWER_FACTOR if is_answer else 1), 4)


LEVEL_3_RULE_FROM = rule_confidence(3, is_answer=True)
"""From which confidence a red flag by rule is one of level 3."""


def sureness(finding: Finding) -> float:
    """The finding's probability, or its confidence where nothing is calibrated."""
    return finding.confidence if finding.probability is None else finding.probability


@dataclass(frozen=True, slots=True, kw_only=True)
class Opportunity:
    """An empathic opportunity and the response to it, ``None`` when the call ended before one.

    ``is_unheard`` tells that the agent's words after it could not be heard clearly.
    """

    opportunity: Finding
    response: Finding | None
    is_unheard: bool = False

    @property
    def turn_index(self) -> int:
        """Where it was."""
        place = self.opportunity.evidence
        return -1 if place is None else place.turn_index

    @property
    def weight(self) -> float:
        """How sure it is that there was one."""
        return sureness(self.opportunity)

    def share(self, levels: Iterable[str]) -> float:
        """How far the response is of one of ``levels``, 0 to 1."""
        levels = frozenset(levels)
        if self.response is None:
            return 1.0 if "none" in levels else 0.0
        sure = sureness(self.response)
        return sure if self.response.label in levels else (1 - sure) * _UNKNOWN_LEVEL


@dataclass(frozen=True, slots=True)
class CallFindings:
    """The findings of a call by task, without those that rest on doubtful words."""

    dialogue: RedactedDialogue
    by_task: Mapping[str, tuple[Finding, ...]] = field(repr=False)

    @classmethod
    def of(cls, dialogue: RedactedDialogue, findings: Sequence[Finding]) -> CallFindings:
        """``findings`` by task, without those on doubtful turns or outside the call."""
        by_task: dict[str, list[Finding]] = {}
        for finding in findings:
            place = finding.evidence
            if place is not None and (
                place.turn_index >= len(dialogue.turns)
                or dialogue.turns[place.turn_index].is_doubtful
            ):
                continue
            by_task.setdefault(finding.task, []).append(finding)
        return cls(dialogue, {task: tuple(found) for task, found in by_task.items()})

    def of_task(self, task: str) -> tuple[Finding, ...]:
        """The findings of ``task``."""
        return self.by_task.get(task, ())

    def total(self, task: str, *labels: str) -> float:
        """The expected number of findings of ``labels``."""
        return sum(sureness(found) for found in self.of_task(task) if found.label in labels)

    def highest(self, task: str, *labels: str) -> float:
        """The surest finding of ``labels``; 0 without any."""
        return max(
            (sureness(found) for found in self.of_task(task) if found.label in labels), default=0.0
        )

    def places(self, task: str, *labels: str, at_least: float = 0.5) -> tuple[Evidence, ...]:
        """Where ``labels`` were found with some certainty, in the order of the call."""
        places = {
            found.evidence
            for found in self.of_task(task)
            if found.label in labels and found.evidence and sureness(found) >= at_least
        }
        return tuple(sorted(places, key=lambda place: (place.turn_index, place.start)))

    @property
    def agent_turns(self) -> list[RedactedTurn]:
        """The agent's turns whose words are not doubtful."""
        return [t for t in self.dialogue.turns if t.role in AGENT_ROLES and not t.is_doubtful]

    # --- empathy ---------------------------------------------------------------------------------

    def opportunities(self) -> tuple[Opportunity, ...]:
        """The empathic opportunities, each with the first response after it.

        A response that is clearly one implies an opportunity just before it.
        """
        responses = {
            found.evidence.turn_index: found for found in self.of_task(RESPONSE) if found.evidence
        }
        taken: set[int] = set()
        pairs: list[Opportunity] = []
        for found in sorted(
            (f for f in self.of_task(OPPORTUNITY) if f.evidence),
            key=lambda f: f.evidence.turn_index if f.evidence else 0,
        ):
            assert found.evidence is not None
            at = self._answer_to(found.evidence.turn_index)
            pairs.append(
                Opportunity(
                    opportunity=found,
                    response=responses.get(at),
                    is_unheard=at >= 0 and self.dialogue.turns[at].is_doubtful,
                )
            )
            taken.add(at)
        for at, response in responses.items():
            if at in taken or response.label == "none" or sureness(response) < _IMPLIES_FROM:
                continue
            place = self._before(at)
            if place is not None:
                implied = replace(response, task=OPPORTUNITY, label="emotion", evidence=place)
                pairs.append(Opportunity(opportunity=implied, response=response))
        return tuple(sorted(pairs, key=lambda pair: pair.turn_index))

    def _heard_opportunities(self) -> list[Opportunity]:
        """Those whose answer, if there was one, was heard: of the others nothing is known."""
        return [pair for pair in self.opportunities() if not pair.is_unheard]

    def _before(self, index: int) -> Evidence | None:
        """What the caller said just before turn ``index``."""
        turn = self.dialogue.turns[index - 1] if index else None
        if turn is None or turn.role not in CALLER_ROLES or turn.is_doubtful:
            return None
        return Evidence(turn_index=turn.index, start=0, end=len(turn.text))

    def _answer_to(self, index: int) -> int:
        """The agent's turn that answers turn ``index``; -1 without one."""
        for turn in self.dialogue.turns[index + 1 : index + 1 + _RESPONSE_REACH]:
            if turn.role in AGENT_ROLES:
                return turn.index
        return -1

    def empathy(self) -> dict[str, float]:
        """The features of empathy; all 0 without an opportunity."""
        pairs = self._heard_opportunities()
        weight = sum(pair.weight for pair in pairs)
        if not weight:
            return dict.fromkeys(EMPATHY_FEATURES, 0.0)

        def share(levels: Iterable[str]) -> float:
            return sum(pair.weight * pair.share(levels) for pair in pairs) / weight

        acknowledged = [pair.weight * pair.share(_ACKNOWLEDGED) for pair in pairs]
        attentive = self.total(LISTENING, "reflection", "builds_on") + self.total(
            CHECKLIST, "apology"
        )
        return {
            "answered": share(_ACKNOWLEDGED | {"perfunctory"}),
            "acknowledged": share(_ACKNOWLEDGED),
            "confirmed": share(_CONFIRMED),
            "repeated": min(sum(acknowledged), 3.0) / 3,
            "best": max(acknowledged),
            "attentive": min(attentive, 3.0) / 3,
            "dismissed": share({"dismissive"}),
            "against": self._against(),
        }

    def _against(self) -> float:
        against = self.total(LISTENING, *AGAINST_LISTENING)
        against += self.total(ESCALATION_ACTION, "minimises")
        return min(against, 5.0) / 5

    # --- active listening ------------------------------------------------------------------------

    def listening(self) -> dict[str, float]:
        """The features of active listening."""

        def capped(most: float, *labels: str) -> float:
            return min(self.total(LISTENING, *labels), most) / most

        pairs = self._heard_opportunities()
        weight = sum(pair.weight for pair in pairs)
        passed = sum(pair.weight * pair.share(_PASSED_OVER) for pair in pairs)
        heard = sum(pair.weight * pair.share(_ACKNOWLEDGED) for pair in pairs)
        return {
            "open": capped(2, "open_question"),
            "clarify": capped(4, "clarifying_question"),
            "reflect": capped(4, "reflection", "builds_on"),
            "read_back": capped(3, "read_back"),
            "check": capped(2, "teach_back", "summary"),
            "anything_else": capped(1, "anything_else"),
            "breadth": sum(capped(1, label) for label in FOR_LISTENING) / len(FOR_LISTENING),
            "heard": heard / weight if weight else 0.0,
            "asks_again": capped(2, "asks_again"),
            "ignores": capped(3, "ignores_detail", "answers_other"),
            "interrupts": capped(2, "interrupts"),
            "against": self._against(),
            "passed_over": passed / weight if weight else 0.0,
            "one_sided": self._one_sidedness(),
            "dead_air": min(len(dead_air(self.dialogue)), 3) / 3,
        }

    def _one_sidedness(self) -> float:
        """How far the agent's share of the words goes beyond three fifths; 1 where it is all."""
        own = sum(len(turn.text) for turn in self.agent_turns)
        words = own + sum(len(turn.text) for turn in self.caller_turns())
        return max(0.0, own / words - 0.6) / 0.4 if words else 0.0

    # --- urgency ---------------------------------------------------------------------------------

    def urgency(self) -> dict[str, float]:
        """The features of urgency; each can only grow as the call goes on."""
        at_least = {level: self._told(level) for level in (1, 2, 3)}

        def twice(level: int) -> float:
            """The mean of the two surest turns."""
            return sum(sorted(at_least[level].values())[-2:]) / 2

        rules = [f for f in self.of_task(RED_FLAG) if f.producer.startswith(RULE_PRODUCER)]
        model = [f for f in self.of_task(RED_FLAG) if not f.producer.startswith(RULE_PRODUCER)]
        # A rule's confidence says its level.
        return {
            "cue1": max(at_least[1].values(), default=0.0),
            "cue2": max(at_least[2].values(), default=0.0),
            "cue3": max(at_least[3].values(), default=0.0),
            "cues": min(sum(at_least[2].values()), 3.0) / 3,
            "cues3": min(sum(at_least[3].values()), 3.0) / 3,
            "twice2": twice(2),
            "twice3": twice(3),
            "flag": max((sureness(found) for found in model), default=0.0),
            "flags": min(sum(sureness(found) for found in model), 3.0) / 3,
            "rule2": float(bool(rules)),
            "rule3": max((found.confidence for found in rules), default=0.0),
            "rules": min(len({f.evidence.turn_index for f in rules if f.evidence}), 3) / 3,
        }

    def _told(self, level: int) -> dict[int, float]:
        """How sure each turn tells of urgency ``level`` or more."""
        told: dict[int, float] = {}
        for found in self.of_task(URGENCY_CUE):
            if found.evidence is not None and int(found.label) >= level:
                at = found.evidence.turn_index
                told[at] = min(1.0, told.get(at, 0.0) + sureness(found))
        return told

    def cue_turns(self) -> tuple[int, ...]:
        """The turns that tell of urgency, in order."""
        turns: dict[int, float] = {}
        for found in (*self.of_task(URGENCY_CUE), *self.of_task(RED_FLAG)):
            if found.evidence is not None:
                at = found.evidence.turn_index
                turns[at] = turns.get(at, 0.0) + sureness(found)
        return tuple(sorted(at for at, sure in turns.items() if sure >= _CUE_LEVEL))

    # --- escalation ------------------------------------------------------------------------------

    def right_actions(self, level: int) -> tuple[str, ...]:
        """The actions that are right for urgency ``level``."""
        if level >= 3:
            return ("emergency_number",)
        if level == 2:
            return ("transfer_now", "emergency_number")
        return ("same_day", "timed_callback", "transfer_now", "emergency_number")

    def escalation(self, level: int) -> dict[str, float]:
        """The features of escalation, given that the call's urgency is ``level``."""
        right = self.right_actions(level)
        partial = {"message_only", "timed_callback", "same_day", "transfer_now"} - set(right)
        cues = self.cue_turns()
        first_cue = cues[0] if cues else 0
        chance, prompt = 0.0, 0.0
        for found in self.of_task(ESCALATION_ACTION):
            if found.label in right and found.evidence is not None:
                late = sum(
                    turn.role in AGENT_ROLES
                    for turn in self.dialogue.turns[first_cue + 1 : found.evidence.turn_index]
                )
                chance = max(chance, sureness(found))
                prompt = max(prompt, sureness(found) / (1 + late / 3))

        def capped(most: float, *labels: str) -> float:
            return min(self.total(ESCALATION_ACTION, *labels), most) / most

        return {
            "right": chance,
            "prompt": prompt,
            "partial": self.highest(ESCALATION_ACTION, *partial),
            "safety": capped(2, "safety_instruction"),
            "location": capped(1, "asks_location"),
            "stays": capped(1, "stays_on_line"),
            "commitment": capped(1, "commitment"),
            "questions": capped(2, "red_flag_question"),
            "minimises": capped(1, "minimises"),
            "unheeded": min(self._said_again(level), 4) / 4,
        }

    def routine(self) -> dict[str, float]:
        """The features of steps taken although nothing was urgent."""
        return {
            "number": self.highest(ESCALATION_ACTION, "emergency_number"),
            "transfer": self.highest(ESCALATION_ACTION, "transfer_now"),
            "safety": self.highest(ESCALATION_ACTION, "safety_instruction"),
            "same_day": self.highest(ESCALATION_ACTION, "same_day"),
        }

    def _said_again(self, level: int) -> float:
        """How often the caller told of urgency ``level`` again before a right action; 0 without."""
        right = self.places(ESCALATION_ACTION, *self.right_actions(level), at_least=_CUE_LEVEL)
        told = self._told(level)
        cues = sorted(at for at, sure in told.items() if sure >= _CUE_LEVEL)
        answers = [place.turn_index for place in right if cues and place.turn_index > cues[0]]
        if not answers:
            return 0.0
        return max(0.0, sum(told[at] for at in cues if at < answers[0]) - 1)

    def first_right_action(self, level: int) -> RedactedTurn | None:
        """The agent's first turn with a right action after the first cue."""
        cues = self.cue_turns()
        first_cue = cues[0] if cues else -1
        places = self.places(ESCALATION_ACTION, *self.right_actions(level))
        for place in places:
            if place.turn_index > first_cue:
                return self.dialogue.turns[place.turn_index]
        return None

    def caller_turns(self) -> list[RedactedTurn]:
        """The turns of callers and third persons whose words are not doubtful."""
        return [t for t in self.dialogue.turns if t.role in CALLER_ROLES and not t.is_doubtful]
