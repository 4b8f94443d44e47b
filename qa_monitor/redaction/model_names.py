"""What the trained pipeline says, held against what is known of words."""

from __future__ import annotations

from dataclasses import replace

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.dates import HOLIDAY_WORDS, MONTHS, WEEKDAYS, is_counted
from qa_monitor.redaction.expectation import Cue
from qa_monitor.redaction.names import NO_NAMES, TITLES
from qa_monitor.redaction.settings import RecognizerSettings
from qa_monitor.redaction.spoken import ORDINALS, number_at
from qa_monitor.redaction.words import NAME_WORDS, TALK, is_common

__all__ = ["is_known_word", "plausible_entity"]

_ASKED_TURNS = 3
# Small words of French and Spanish that are none of English.
_FOREIGN = frozenset(
    "je vous nous est et les des une pas pour dans mon avec oui merci bonjour elle mais que qui "
    "sur "
    "très suis ai votre mes cette ça ou où quel quelle bien alors depuis plus fait être avoir au "
    "aux "
    "el los las una por para con mi su está esta es qué como cómo gracias señora señor hola pero "
    "muy "
    "tengo tiene yo usted mucho dolor ella aquí ahora bueno sí puede hija hijo del al".split()
)
_ELISIONS = ("j'", "c'est", "l'", "d'", "qu'", "n'", "m'", "s'il")
_DATE_WORDS = MONTHS.keys() | HOLIDAY_WORDS


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
    known = settings.medicines | settings.allowed_words | settings.acronyms
    return bool(words) and all(
        len(word) > 1 and (word in known or word.removesuffix("s") in settings.acronyms)
        for word in words
    )


def _is_small_in_cased(call: CallText, indices: range) -> bool:
    """Whether a turn that is written with capitals has none here: then it is no name."""
    turn = call.tokens[indices.start].turn
    named = [call.tokens[i] for i in indices if call.tokens[i].is_word]
    return call.is_cased(turn) and not any(w.is_capitalised or len(w.norm) == 1 for w in named)


def _is_date(call: CallText, cues: list[list[Cue]], indices: range) -> bool:
    if any(call.tokens[i].norm in _DATE_WORDS for i in indices):
        return True
    turn = call.tokens[indices.start].turn
    following = call.norm(indices.stop, turn)
    has_ordinal = any(ORDINALS.get(call.tokens[i].norm, 0) > 3 for i in indices)
    has_weekday = any(call.tokens[i].norm in WEEKDAYS for i in indices)
    if (has_ordinal or (has_weekday and len(indices) > 1)) and not is_counted(following):
        return True
    has_number = any(
        call.tokens[i].norm in ORDINALS or number_at(call, i, turn) is not None for i in indices
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
    turn = call.tokens[indices.start].turn
    first, last = indices.start, indices.stop - 1
    for i in range(first + 1, last + 1):
        is_stop = call.tokens[i].norm in {".", "?", "!"}
        if is_stop and len(call.tokens[i - 1].norm) > 1 and call.tokens[i - 1].norm not in TITLES:
            last = i - 1
            break
    while last > first and _is_no_name(call, settings, last, turn):
        last -= 1
    while first < last and _is_no_name(call, settings, first, turn):
        first += 1
    words = [call.tokens[i] for i in range(first, last + 1) if call.tokens[i].is_word]
    if _is_foreign(call, turn) and not _is_told_in_foreign(call, first, turn):
        return None
    if not words or all(word.norm in settings.medicines | NO_NAMES for word in words):
        return None
    if words[0].norm in {"x", "ray"} and words[-1].norm == "ray":
        before = call.norm(first - 1, turn)
        if words[0].norm == "x" or before == "x" or call.norm(first - 2, turn) == "x":
            return None
    plain = [w.norm for w in words if len(w.norm) > 1]
    if plain and all(is_common(word) and word not in NAME_WORDS for word in plain):
        before = call.norm(first - 1, turn)
        is_inside = bool(before) and before not in {".", "?", "!", ":", "…"}
        if not (words[0].is_capitalised and is_inside):
            return None
    end = call.tokens[last].end if last < indices.stop - 1 else found.end
    start = call.tokens[first].start if first > indices.start else found.start
    return replace(found, start=start, end=end)


def _is_foreign(call: CallText, turn: int) -> bool:
    """Whether the turn is French or Spanish: there the pipeline takes most words for names."""
    words = [call.tokens[i].norm for i in call.turn_tokens[turn] if call.tokens[i].is_word]
    foreign = sum(word in _FOREIGN or word.startswith(_ELISIONS) for word in words)
    return foreign >= 2 and 6 * foreign >= len(words)


def _is_told_in_foreign(call: CallText, index: int, turn: int) -> bool:
    """Whether a name stands in a French or Spanish turn: a capital inside, or introduced."""
    before = call.norm(index - 1, turn)
    if before in {"m'appelle", "llamo", "soy", "appelle", "madame", "monsieur", "señora", "señor"}:
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
        or (token.norm in TALK and not token.is_capitalised)
        or number_at(call, index, turn) is not None
    )
