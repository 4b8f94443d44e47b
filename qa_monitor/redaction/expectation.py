"""What the talk leads one to expect: the words before a value and the question it answers."""

from __future__ import annotations

from dataclasses import dataclass

from qa_monitor.calls import EntityType, Role
from qa_monitor.redaction.calltext import CallText

__all__ = [
    "Cue",
    "Expectation",
    "answering_turns",
    "asked_for",
    "expectations",
    "find_cues",
]

_REACH_BACK_TURNS = 4
_REACH_TOKENS = 24
_REACH_AFTER_TOKENS = 6


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that announce a value of ``entity_type``: offsets in the call's text."""

    start: int
    end: int
    turn: int
    entity_type: EntityType


@dataclass(frozen=True, slots=True)
class Expectation:
    """A type that a value may have, how strongly (0 to 1), and why, in a word."""

    entity_type: EntityType
    strength: float
    reason: str


def find_cues(call: CallText) -> list[list[Cue]]:
    """The cues of each turn, in order; where several overlap, the longest."""
    by_turn: list[list[Cue]] = []
    for turn, (start, end) in enumerate(zip(call.turn_starts, call.turn_ends, strict=True)):
        cues = [
            Cue(match.start(), match.end(), turn, entity_type)
            for entity_type, pattern in call.locale.cue_patterns
            for match in pattern.finditer(call.folded, start, end)
        ]
        cues.sort(key=lambda cue: (cue.start, -cue.end))
        kept: list[Cue] = []
        for cue in cues:
            if kept and cue.start < kept[-1].end:
                if cue.end - cue.start > kept[-1].end - kept[-1].start:
                    kept[-1] = cue
                continue
            kept.append(cue)
        by_turn.append(kept)
    return by_turn


def asked_for(call: CallText, turn: int) -> frozenset[EntityType]:
    """What the other speaker asked for just before ``turn``: a birth date, postcode or name."""
    asked = turn - 1
    if asked < 0 or call.is_same_speaker(asked, turn) or call.roles[turn] is Role.AGENT:
        return frozenset()
    questions = call.locale.questions
    start, end = call.turn_starts[asked], call.turn_ends[asked]
    if questions.asking.search(call.folded, start, end) is None:
        return frozenset()
    return frozenset(
        entity_type
        for entity_type, pattern in questions.narrow_patterns.items()
        if pattern.search(call.folded, start, end)
    )


def answering_turns(call: CallText, cues: list[list[Cue]]) -> list[int]:
    """The turns before which the other speaker asked for a value of any type."""
    asking = call.locale.questions.asking
    return [
        turn
        for turn in range(1, len(cues))
        if cues[turn - 1]
        and not call.is_same_speaker(turn - 1, turn)
        and asking.search(call.folded, call.turn_starts[turn - 1], call.turn_ends[turn - 1])
    ]


def expectations(call: CallText, cues: list[list[Cue]], first: int, last: int) -> list[Expectation]:
    """The types that tokens ``[first, last]`` may have, the strongest first."""
    turn = call.tokens[first].turn
    start, end = call.tokens[first].start, call.tokens[last].end
    expected: list[Expectation] = []
    before = [cue for cue in cues[turn] if cue.end <= start]
    for rank, cue in enumerate(reversed(before)):
        distance = len(call.tokens_between(cue.end, start)) if start > cue.end else 0
        if distance > _REACH_TOKENS:
            break
        strength = max(0.35, 1.0 - 0.02 * distance - 0.15 * rank)
        expected.append(Expectation(cue.entity_type, strength, "words before"))
    for cue in cues[turn]:
        if cue.start >= end and (distance := len(call.tokens_between(end, cue.start))) <= (
            _REACH_AFTER_TOKENS
        ):
            expected.append(Expectation(cue.entity_type, 0.6 - 0.03 * distance, "words after"))
    expected.extend(_from_questions(call, cues, turn))
    return sorted(expected, key=lambda e: -e.strength)


def _from_questions(call: CallText, cues: list[list[Cue]], turn: int) -> list[Expectation]:
    asking = call.locale.questions.asking
    expected: list[Expectation] = []
    for back in range(1, _REACH_BACK_TURNS + 1):
        asked = turn - back
        if asked < 0:
            break
        if call.is_same_speaker(asked, turn) and back > 2:
            continue
        asks = asking.search(call.folded, call.turn_starts[asked], call.turn_ends[asked])
        strength = (0.8 if asks else 0.5) - 0.12 * (back - 1)
        for rank, cue in enumerate(reversed(cues[asked])):
            expected.append(
                Expectation(cue.entity_type, max(0.2, strength - 0.04 * rank), "question before")
            )
    return expected
