"""Findings to spans that do not overlap, to placeholders, and back to words and times."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache

from qa_monitor.calls import EntityType, RedactedWord, Turn, Word
from qa_monitor.redaction.calltext import PLACEHOLDER, CallText, Found
from qa_monitor.redaction.settings import RecognizerSettings

__all__ = ["Numbering", "merge", "word_offsets"]

_JOINS_BY_TYPE = {
    EntityType.PERSON: re.compile(r"[ \t]*|[ \t]*[.-][ \t]*"),
    EntityType.ORGANIZATION: re.compile(r"[ \t]*"),
    EntityType.LOCATION: re.compile(r"[\s,]*"),
    EntityType.DATE: re.compile(r"[\s,]*"),
}


@cache
def _join_digits(between_pieces: frozenset[str]) -> re.Pattern[str]:
    words = "|".join(map(re.escape, sorted(between_pieces))) or "(?!)"
    return re.compile(rf"[\s,\-–—/.…]*(?:\b(?:{words})\b[\s,\-–—/.…]*){{0,3}}", re.IGNORECASE)


def merge(call: CallText, found: Iterable[Found], settings: RecognizerSettings) -> list[Found]:
    """Findings in order, each within one turn, none overlapping, none touching a placeholder.

    Overlapping findings become one, of the type of the most confident; neighbours of one type with
    nothing but pauses between them are joined.
    """
    pieces: list[Found] = []
    placeholders = [m.span() for m in PLACEHOLDER.finditer(call.text)]
    for f in found:
        pieces.extend(_within_turns(call, f, placeholders))
    tidied = (_tidy(call, piece) for piece in pieces)
    pieces = [f for f in tidied if f is not None and not _is_allowed(call, f, settings)]
    pieces.sort(key=lambda f: (f.start, -f.end))
    merged: list[Found] = []
    for f in pieces:
        if merged and f.start < merged[-1].end:
            merged[-1] = _union(merged[-1], f)
        else:
            merged.append(f)
    joined: list[Found] = []
    for f in merged:
        if joined and _joins(call, joined[-1], f):
            joined[-1] = _union(joined[-1], f)
        else:
            joined.append(f)
    return joined


def _within_turns(call: CallText, found: Found, placeholders: list[tuple[int, int]]) -> list[Found]:
    """``found`` cut at turn ends and around placeholders that an earlier redaction left."""
    pieces: list[Found] = []
    start = found.start
    while start < found.end:
        turn = call.turn_at(start)
        end = min(found.end, call.turn_ends[turn])
        if end > start:
            pieces.append(replace(found, start=start, end=end))
        start = max(end, call.turn_ends[turn]) + 1
    if not placeholders:
        return pieces
    free: list[Found] = []
    for piece in pieces:
        start = piece.start
        for left, right in placeholders:
            if right <= start or left >= piece.end:
                continue
            if left > start:
                free.append(replace(piece, start=start, end=left))
            start = right
        if start < piece.end:
            free.append(replace(piece, start=start))
    return free


def _tidy(call: CallText, found: Found) -> Found | None:
    """``found`` without outer marks and without "'s"; ``None`` if nothing is left.

    A title before a name stays outside, so that "Dr. <PERSON_1>" can be read.
    """
    text = call.text
    start, end = found.start, found.end
    while start < end and not text[start].isalnum() and text[start] not in "+(":
        start += 1
    while end > start and not text[end - 1].isalnum() and text[end - 1] != ")":
        end -= 1
    if text[end - 1 : end] == ")" and "(" not in text[start:end]:
        end -= 1
    if found.entity_type is EntityType.PERSON:
        indices = call.tokens_between(start, end)
        first = indices.start
        outer_titles = call.locale.names.outer_titles
        while first < indices.stop - 1 and (
            call.tokens[first].norm == "." or call.tokens[first].norm in outer_titles
        ):
            first += 1
        if indices:
            start = max(start, call.tokens[first].start)
        if call.folded[start:end].endswith("'s"):
            end -= 2
    return replace(found, start=start, end=end) if end > start else None


def _is_allowed(call: CallText, found: Found, settings: RecognizerSettings) -> bool:
    text = call.folded[found.start : found.end]
    if found.entity_type in {EntityType.PERSON, EntityType.LOCATION, EntityType.ORGANIZATION}:
        first, _, rest = text.partition(" ")
        words = rest if first in call.locale.talk.definite_article else text
        return words in settings.allowed_words
    return re.sub(r"\W", "", text) in settings.allowed_values


def _union(a: Found, b: Found) -> Found:
    strongest = max(a, b, key=lambda f: (f.score, f.end - f.start))
    longest = max(a, b, key=lambda f: f.end - f.start)
    covers = longest.start <= min(a.start, b.start) and longest.end >= max(a.end, b.end)
    return replace(
        strongest,
        start=min(a.start, b.start),
        end=max(a.end, b.end),
        value=longest.value if covers else None,
    )


def _joins(call: CallText, a: Found, b: Found) -> bool:
    if a.entity_type is not b.entity_type or call.turn_at(a.start) != call.turn_at(b.start):
        return False
    pattern = _JOINS_BY_TYPE.get(a.entity_type) or _join_digits(
        call.locale.talk.between_code_pieces
    )
    return pattern.fullmatch(call.text, a.end, b.start) is not None


@dataclass(slots=True)
class Numbering:
    """Gives each value of a call its number, the same whenever the value is said."""

    _numbers: dict[tuple[EntityType, str], int] = field(default_factory=dict, repr=False)
    _last: dict[EntityType, int] = field(default_factory=dict)

    def reserve(self, text: str) -> None:
        """Numbers after those of placeholders that ``text`` already holds."""
        for match in PLACEHOLDER.finditer(text):
            name, _, number = match.group()[1:-1].rpartition("_")
            if name in EntityType.__members__:
                entity_type = EntityType(name)
                self._last[entity_type] = max(self._last.get(entity_type, 0), int(number))

    def number(self, entity_type: EntityType, value: str) -> int:
        """The number of ``value``; a part of one known name takes that name's number."""
        key = (entity_type, value)
        if key not in self._numbers:
            whole = self._whole(entity_type, value)
            if whole is None:
                self._last[entity_type] = self._last.get(entity_type, 0) + 1
                whole = self._last[entity_type]
            self._numbers[key] = whole
        return self._numbers[key]

    def _whole(self, entity_type: EntityType, value: str) -> int | None:
        if entity_type is not EntityType.PERSON:
            return None
        parts = set(value.split())
        related = {
            number
            for (known_type, known), number in self._numbers.items()
            if known_type is entity_type
            and (parts <= set(known.split()) or set(known.split()) <= parts)
        }
        return related.pop() if len(related) == 1 else None


def word_offsets(turn: Turn) -> list[tuple[int, int, Word]] | None:
    """Where each timed word stands in the turn's text; ``None`` if the words are not the text's."""
    offsets: list[tuple[int, int, Word]] = []
    position = 0
    for word in turn.words:
        text = word.text.strip()
        start = turn.text.find(text, position) if text else -1
        if start < 0 or turn.text[position:start].strip():
            return None
        offsets.append((start, start + len(text), word))
        position = start + len(text)
    return None if turn.text[position:].strip() else offsets


def redacted_words(
    offsets: list[tuple[int, int, Word]], spans: list[tuple[int, int, int, int]]
) -> list[RedactedWord]:
    """The words of a redacted turn; those a span touches are one word.

    ``spans`` are ``(source_start, source_end, start, end)`` in order.
    """
    words: list[RedactedWord] = []
    shift_at = 0
    shift = 0
    open_until = -1
    for start, end, word in offsets:
        while shift_at < len(spans) and spans[shift_at][1] <= start:
            shift = spans[shift_at][3] - spans[shift_at][1]
            shift_at += 1
        touching = [s for s in spans[shift_at:] if s[0] < end]
        first = start + shift
        last = end + shift
        if touching:
            if touching[0][0] < start:
                first = touching[0][2]
            final = touching[-1]
            last = final[3] if final[1] >= end else final[3] + end - final[1]
        if words and first < open_until:
            previous = words[-1]
            words[-1] = RedactedWord(
                start=previous.start,
                end=max(previous.end, last),
                start_s=min(previous.start_s, word.start_s),
                end_s=max(previous.end_s, word.end_s),
                confidence=min(previous.confidence, word.confidence),
            )
        else:
            words.append(
                RedactedWord(
                    start=first,
                    end=last,
                    start_s=word.start_s,
                    end_s=word.end_s,
                    confidence=word.confidence,
                )
            )
        if touching:
            open_until = max(open_until, touching[-1][3])
    return words
