"""Findings taken on to what is written as one with them: a whole code, a whole company name."""

from __future__ import annotations

from dataclasses import replace

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import WORDED, CallText, Found
from qa_monitor.redaction.settings import RecognizerSettings

__all__ = ["extend_codes", "extend_organisations"]

_CODE_MARKS = frozenset("-–_/.#")
_LONGEST_NAME = 7
_LONGEST_CAPITALS = 4


def extend_codes(call: CallText, found: list[Found], settings: RecognizerSettings) -> list[Found]:
    """``found`` with codes taken whole: the "UPL-" of "UPL-881C04", the "XK" of "XK 449"."""
    extended: list[Found] = []
    for f in found:
        indices = call.tokens_between(f.start, f.end)
        if f.entity_type in WORDED or not indices:
            extended.append(f)
            continue
        first, last = indices.start, indices.stop - 1
        while (step := _glued(call, first, -1)) is not None:
            first = step
        while (step := _glued(call, last, 1)) is not None:
            last = step
        first = _with_capitals(call, first, -1, settings)
        last = _with_capitals(call, last, 1, settings)
        start = min(f.start, call.tokens[first].start)
        extended.append(replace(f, start=start, end=max(f.end, call.tokens[last].end)))
    return extended


def _with_capitals(call: CallText, index: int, step: int, settings: RecognizerSettings) -> int:
    """``index``, or that of a few capitals which stand beside it as a part of the code."""
    turn = call.tokens[index].turn
    position = index + step
    if call.norm(position, turn) == ",":
        position += step
    word = call.norm(position, turn)
    if not word or not call.tokens[index].norm[0].isdecimal():
        return index
    text = call.tokens[position].text
    is_code = text.isalpha() and text.isupper() and 2 <= len(text) <= _LONGEST_CAPITALS
    if not is_code or word in settings.allowed_words:
        return index
    locale = call.locale
    is_word = word in locale.letters.acronyms or word in locale.quantities.after
    return index if is_word or word in locale.talk.words else position


def _glued(call: CallText, index: int, step: int) -> int | None:
    """The next token of letters or digits on that side with no space between, over one mark."""
    turn = call.tokens[index].turn
    position = index
    for _ in range(2):
        following = position + step
        if not call.norm(following, turn):
            return None
        if not call.tokens[max(position, following)].is_glued:
            return None
        if call.tokens[following].norm.isalnum():
            return following
        if call.tokens[following].norm not in _CODE_MARKS:
            return None
        position = following
    return None


def extend_organisations(
    call: CallText, found: list[Found], settings: RecognizerSettings
) -> list[Found]:
    """``found`` with companies taken on over capitals: "Front Street Eye" to "... Eye and Ear"."""
    joints = call.locale.organisations.inner_joints
    covered = {i for f in found for i in call.tokens_between(f.start, f.end)}
    extended: list[Found] = []
    for f in found:
        indices = call.tokens_between(f.start, f.end)
        turn = call.turn_at(f.start)
        is_named = f.entity_type is EntityType.ORGANIZATION and indices and call.is_cased(turn)
        if not is_named or not call.tokens[indices.start].is_capitalised:
            extended.append(f)
            continue
        last = indices.stop - 1
        while last - indices.start < _LONGEST_NAME:
            following = last + 1
            while following - last <= 2 and (
                (word := call.norm(following, turn)) == "&" or word in joints
            ):
                following += 1
            if not _is_more_name(call, following, turn, settings) or following in covered:
                break
            last = following
        extended.append(replace(f, end=max(f.end, call.tokens[last].end)))
    return extended


def _is_more_name(call: CallText, index: int, turn: int, settings: RecognizerSettings) -> bool:
    word = call.norm(index, turn)
    if not word or not word[0].isalpha() or len(word) < 2:
        return False
    token = call.tokens[index]
    return (
        token.is_capitalised
        and word not in call.locale.talk.words
        and word not in settings.allowed_words
        and word not in settings.medicines
    )
