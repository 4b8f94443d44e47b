"""Ages over 89, as said and as written."""

from __future__ import annotations

from collections.abc import Sequence

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.spoken import number_at

__all__ = ["find_ages", "is_told_age"]

RECOGNIZER = "spoken_ages"

_LOWEST, _HIGHEST = 90, 119


def find_ages(call: CallText) -> list[Found]:
    """Ages from 90 on, told by "years old" after or a person before the number."""
    found: list[Found] = []
    for turn, indices in enumerate(call.turn_tokens):
        position = indices.start
        while position < indices.stop:
            end = _age_end(call, position, turn)
            if end is None:
                position += 1
                continue
            context = _context(call, position, end, turn)
            if context is not None:
                found.append(
                    Found(
                        start=call.tokens[position].start,
                        end=call.tokens[end - 1].end,
                        entity_type=EntityType.AGE,
                        score=0.85,
                        recognizer=RECOGNIZER,
                        context=context,
                    )
                )
            position = end
    return found


def _age_end(call: CallText, index: int, turn: int) -> int | None:
    word = call.norm(index, turn)
    if word.isdecimal():
        return index + 1 if _LOWEST <= int(word) <= _HIGHEST else None
    number = number_at(call, index, turn)
    if number is None or not _LOWEST <= number[0] <= _HIGHEST:
        return None
    return number[1]


def is_told_age(call: CallText, indices: Sequence[int]) -> bool:
    """Whether an age from 90 on is told by tokens ``indices``, or a number that may be one's part.

    "Two" may be the rest of "ninety ... two"; 39 is no age that is PHI.
    """
    values: list[int] = []
    position = indices[0]
    while position <= indices[-1]:
        word = call.tokens[position].norm
        number = number_at(call, position, call.tokens[position].turn)
        if word.isdecimal():
            values.append(int(word))
        elif number is not None:
            values.append(number[0])
        position = number[1] if number is not None else position + 1
    if not values:
        return True
    return len(values) == 1 and (values[0] < 10 or _LOWEST <= values[0] <= _HIGHEST)


def _is_asked(call: CallText, turn: int) -> bool:
    """Whether the turn before asks for an age."""
    if turn == 0:
        return False
    start, end = call.turn_starts[turn - 1], call.turn_ends[turn - 1]
    return call.locale.ages.asking.search(call.folded, start, end) is not None


def _context(call: CallText, first: int, end: int, turn: int) -> str | None:
    words, fillers = call.locale.ages, call.locale.talk.fillers
    position = end
    if call.norm(position, turn) == "-":
        position += 1
    if call.norm(position, turn) in words.years:
        after = call.norm(position + 1, turn)
        if after == "-":
            after = call.norm(position + 2, turn)
        return "words after" if after in words.after_years else None
    after = call.norm(position, turn)
    if (
        after in call.locale.quantities.after
        or after in {"%", "°"}
        or after.isdecimal()
        or (number_at(call, position, turn) is not None)
    ):
        return None
    if after == "":
        after = "."
    if _is_asked(call, turn) and not after[0].isalnum():
        return "question before"
    back = first - 1
    is_apart = call.norm(back, turn) == "," and not after[0].isalnum()
    if is_apart and call.norm(back - 1, turn) in words.people:
        # "my mother, ninety two, ..."
        return "words before"
    while (before := call.norm(back, turn)) in words.softeners or before in fillers:
        back -= 1
    if before in words.subjects or before in words.sure_verbs:
        return "words before"
    if before in words.verbs:
        subject = call.norm(back - 1, turn)
        if subject in words.auxiliaries:
            subject = call.norm(back - 2, turn)
        if before in words.age or subject in words.aged:
            return "words before"
    return None
