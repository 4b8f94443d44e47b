"""What the trained pipeline says, held against what is known of words."""

from __future__ import annotations

from dataclasses import replace

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.expectation import Cue
from qa_monitor.redaction.settings import RecognizerSettings
from qa_monitor.redaction.spoken import number_at

__all__ = ["is_known_word", "plausible_entity"]

_ASKED_TURNS = 3


def plausible_entity(
    call: CallText, cues: list[list[Cue]], settings: RecognizerSettings, found: Found
) -> Found | None:
    """``found`` as the pipeline found it, cut to size; ``None`` where its words deny it."""
    indices = call.tokens_between(found.start, found.end)
    if not indices:
        return None
    if found.entity_type is EntityType.DATE:
        return found if _is_date(call, cues, indices) else None
    if found.entity_type is EntityType.LOCATION:
        return found if _is_place(call, cues, settings, indices) else None
    if _is_small_in_cased(call, indices):
        return None
    if found.entity_type is EntityType.PERSON:
        return _person(call, settings, found, indices)
    return found


_NAMED = frozenset({EntityType.PERSON, EntityType.LOCATION, EntityType.ORGANIZATION})


def is_known_word(call: CallText, settings: RecognizerSettings, found: Found) -> bool:
    """Whether what was taken for a name is made of medicines, terms and allowed words alone."""
    if found.entity_type not in _NAMED:
        return False
    words = [
        call.tokens[i].norm
        for i in call.tokens_between(found.start, found.end)
        if call.tokens[i].is_word
    ]
    acronyms = call.locale.letters.acronyms
    return bool(words) and all(
        len(word) > 1
        and (
            word in settings.medicines
            or word in settings.allowed_words
            or word in acronyms
            or word.removesuffix("s") in acronyms
        )
        for word in words
    )


def _is_small_in_cased(call: CallText, indices: range) -> bool:
    """Whether a turn that is written with capitals has none here: then it is no name."""
    turn = call.tokens[indices.start].turn
    named = [call.tokens[i] for i in indices if call.tokens[i].is_word]
    return call.is_cased(turn) and not any(w.is_capitalised or len(w.norm) == 1 for w in named)


def _is_date(call: CallText, cues: list[list[Cue]], indices: range) -> bool:
    dates, ordinals = call.locale.dates, call.locale.numbers.ordinals
    if any(
        call.tokens[i].norm in dates.months or call.tokens[i].norm in dates.holiday_words
        for i in indices
    ):
        return True
    turn = call.tokens[indices.start].turn
    following = call.norm(indices.stop, turn)
    has_ordinal = any(ordinals.get(call.tokens[i].norm, 0) > 3 for i in indices)
    has_weekday = any(call.tokens[i].norm in dates.weekdays for i in indices)
    if (has_ordinal or (has_weekday and len(indices) > 1)) and not dates.is_counted(following):
        return True
    has_number = any(
        call.tokens[i].norm in ordinals or number_at(call, i, turn) is not None for i in indices
    )
    return has_number and any(
        cue.entity_type is EntityType.DATE
        for asked in range(max(0, turn - _ASKED_TURNS), turn + 1)
        for cue in cues[asked]
    )


def _is_place(
    call: CallText, cues: list[list[Cue]], settings: RecognizerSettings, indices: range
) -> bool:
    turn = call.tokens[indices.start].turn
    words = [i for i in indices if call.tokens[i].is_word and number_at(call, i, turn) is None]
    if words:
        known = {call.tokens[i].norm for i in words}
        if len(words) == 1 and not call.tokens[words[0]].is_capitalised:
            is_common = call.locale.talk.is_common
            return not all(is_common(word) or word in settings.medicines for word in known)
        return not known & settings.medicines
    return any(
        cue.entity_type is EntityType.LOCATION
        for asked in range(max(0, turn - _ASKED_TURNS), turn + 1)
        for cue in cues[asked]
    )


def _person(
    call: CallText, settings: RecognizerSettings, found: Found, indices: range
) -> Found | None:
    said, is_common = call.locale.names, call.locale.talk.is_common
    turn = call.tokens[indices.start].turn
    first, last = indices.start, indices.stop - 1
    for i in range(first + 1, last + 1):
        is_stop = call.tokens[i].norm in {".", "?", "!"}
        before = call.tokens[i - 1].norm
        if is_stop and len(before) > 1 and before not in said.titles:
            last = i - 1
            break
    while last > first and _is_no_name(call, settings, last, turn):
        last -= 1
    while first < last and _is_no_name(call, settings, first, turn):
        first += 1
    words = [call.tokens[i] for i in range(first, last + 1) if call.tokens[i].is_word]
    if _is_foreign(call, turn) and not _is_told_in_foreign(call, first, turn):
        return None
    if all(word.norm in settings.medicines or word.norm in said.no_names for word in words):
        return None
    head = said.compounds.get(words[-1].norm)
    just_before = {call.norm(first - 1, turn), call.norm(first - 2, turn)}
    if head == words[0].norm or (words[0].norm == words[-1].norm and head in just_before):
        # "x-ray"
        return None
    plain = [w.norm for w in words if len(w.norm) > 1]
    if plain and all(is_common(word) and word not in said.words for word in plain):
        before = call.norm(first - 1, turn)
        is_inside = bool(before) and before not in {".", "?", "!", ":", "…"}
        if not (words[0].is_capitalised and is_inside):
            return None
    end = call.tokens[last].end if last < indices.stop - 1 else found.end
    start = call.tokens[first].start if first > indices.start else found.start
    return replace(found, start=start, end=end)


def _is_foreign(call: CallText, turn: int) -> bool:
    """Whether the turn is French or Spanish: there the pipeline takes most words for names."""
    said, elisions = call.locale.foreign.words, tuple(call.locale.foreign.elisions)
    words = [call.tokens[i].norm for i in call.turn_tokens[turn] if call.tokens[i].is_word]
    foreign = sum(word in said or word.startswith(elisions) for word in words)
    return foreign >= 2 and 6 * foreign >= len(words)


def _is_told_in_foreign(call: CallText, index: int, turn: int) -> bool:
    """Whether a name stands in a French or Spanish turn: a capital inside, or introduced."""
    before = call.norm(index - 1, turn)
    if before in call.locale.foreign.introductions:
        return True
    is_inside = bool(before) and before not in {".", "?", "!", ":", "…"}
    return is_inside and call.tokens[index].is_capitalised


def _is_no_name(call: CallText, settings: RecognizerSettings, index: int, turn: int) -> bool:
    """Whether the token at a name's edge is a number, a medicine or a word of talk."""
    token = call.tokens[index]
    if not token.norm[0].isalnum():
        return True
    if len(token.norm) == 1 and token.is_word:
        return False
    return (
        token.norm in settings.medicines
        or (token.norm in call.locale.talk.words and not token.is_capitalised)
        or number_at(call, index, turn) is not None
    )
