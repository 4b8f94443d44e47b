"""Words as they are searched: what is indexed of a call, what a query asks for, where it matches.

The words are made here and not by the databases, so that SQLite and PostgreSQL find the same. A
word is a run of letters and digits without its accents and capitals; a placeholder (``<PERSON_1>``)
is one word that no talk holds. Turns are set apart, so that no phrase runs from one into the next.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from qa_monitor.calls import EntityType

__all__ = [
    "SHORTEST_PREFIX",
    "Place",
    "Snippet",
    "Term",
    "find_terms",
    "fts5_query",
    "indexed_words",
    "like_pattern",
    "make_snippet",
    "parse_search",
    "tsquery",
]

SHORTEST_PREFIX = 3
"""Letters that must stand before ``*``; with fewer, half the dictionary would be looked up."""

_LONGEST_WORD = 64
_MOST_TERMS = 32
_TURN_END = "¶"
_KIND = "§"
_SNIPPET = 160

# A placeholder, or letters and digits with the accents that are characters of their own.
_TOKEN = re.compile(r"<([A-Z_]+)_\d+>|[^\W_]+(?:[\u0300-\u036f]+[^\W_]*)*")
_QUOTED = re.compile(r'"([^"]*)"?|(\S+)')
_KIND_ASKED = re.compile(r"<?([A-Z_]+?)(?:_\d+)?>?")


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must follow each other; of the last only the beginning, if ``is_prefix``."""

    words: tuple[str, ...]
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a term was found: ``[start, end)`` of the text of turn ``turn_index``."""

    turn_index: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A stretch of one redacted turn around what was searched for.

    ``marks`` are ``(start, end)`` of the matches in ``text``; ``is_cut_before`` and
    ``is_cut_after`` tell that the turn goes on; ``start_s`` is where the turn begins, in seconds.
    """

    turn_index: int
    role: str
    start_s: float | None
    text: str
    marks: tuple[tuple[int, int], ...]
    is_cut_before: bool
    is_cut_after: bool


def indexed_words(turns: Iterable[str]) -> str:
    """The words of redacted turns, one space between two, a mark after each turn."""
    return " ".join(
        word for text in turns for word in (*(word for word, _, _ in _words(text)), _TURN_END)
    )


def parse_search(text: str) -> tuple[Term, ...]:
    """What ``text`` asks for; all terms must be found. Any text can be parsed; () asks for nothing.

    Words stand alone, ``"quoted"`` ones together; ``pre*`` is a beginning of at least
    ``SHORTEST_PREFIX`` letters; ``PERSON`` in capitals, or as a placeholder, is that kind of
    redaction. Terms beyond the first 32 are not heeded.
    """
    terms: dict[Term, None] = {}
    for match in _QUOTED.finditer(text):
        quoted, chunk = match[1], match[2]
        if quoted is None and (kind := _KIND_ASKED.fullmatch(chunk)):
            name = kind[1]
            if name in EntityType.__members__:
                terms[Term((_KIND + name.casefold(),))] = None
                continue
        asked = chunk if quoted is None else quoted
        words = tuple(word for word, _, _ in _words(asked))
        if words:
            is_prefix = asked.endswith("*") and len(words[-1]) >= SHORTEST_PREFIX
            terms[Term(words, is_prefix)] = None
    return tuple(terms)[:_MOST_TERMS]


def _words(text: str) -> Iterator[tuple[str, int, int]]:
    """Each word as it is indexed, and its place in ``text``."""
    for match in _TOKEN.finditer(text):
        if match[1] in EntityType.__members__:
            yield _KIND + match[1].casefold(), match.start(), match.end()
        elif match[1] is not None:
            # No placeholder of ours: its words are words.
            for word, start, end in _words(match[0][1:-1]):
                yield word, match.start() + 1 + start, match.start() + 1 + end
        elif word := _plain(match[0]):
            yield word, match.start(), match.end()


def _plain(word: str) -> str:
    if word.isascii():
        return word.lower()[:_LONGEST_WORD]
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", word).casefold())
    return "".join(character for character in folded if character.isalnum())[:_LONGEST_WORD]


# --- for the databases ---------------------------------------------------------------------------


def fts5_query(terms: Sequence[Term]) -> str:
    """``terms`` in the query language of SQLite's FTS5."""
    return " AND ".join(f'"{" ".join(term.words)}"{" *" * term.is_prefix}' for term in terms)


def tsquery(terms: Sequence[Term]) -> str:
    """``terms`` as a PostgreSQL ``tsquery`` of their single words."""
    words = {
        (word, term.is_prefix and place == len(term.words) - 1)
        for term in terms
        for place, word in enumerate(term.words)
    }
    return " & ".join(f"'{word}'{':*' * is_prefix}" for word, is_prefix in sorted(words))


def like_pattern(term: Term) -> str | None:
    """The pattern of a phrase in ``' ' || words || ' '``; ``None`` for a single word."""
    if len(term.words) < 2:
        return None
    return f"% {' '.join(term.words)}{'' if term.is_prefix else ' '}%"


# --- for people ----------------------------------------------------------------------------------


def find_terms(turns: Sequence[str], terms: Sequence[Term]) -> tuple[Place, ...]:
    """Where any of ``terms`` is found in the redacted ``turns``, in their order."""
    return tuple(
        Place(index, start, end)
        for index, text in enumerate(turns)
        for start, end, _ in _matches(text, terms)
    )


def _matches(text: str, terms: Sequence[Term]) -> list[tuple[int, int, Term]]:
    lowered = text.lower() if text.isascii() else None
    sought = [
        term
        for term in terms
        # Most turns hold none of it, which is told sooner than what their words are.
        if lowered is None or term.words[0].replace(_KIND, "<") in lowered
    ]
    words = list(_words(text)) if sought else []
    found = []
    for term in sought:
        length = len(term.words)
        for first in range(len(words) - length + 1):
            if all(
                words[first + place][0].startswith(word)
                if term.is_prefix and place == length - 1
                else words[first + place][0] == word
                for place, word in enumerate(term.words)
            ):
                found.append((words[first][1], words[first + length - 1][2], term))
    return sorted(found, key=lambda match: match[:2])


def make_snippet(
    turns: Sequence[tuple[str, float | None, str]], terms: Sequence[Term]
) -> Snippet | None:
    """The stretch of the turn in which most of ``terms`` are found, the first of several.

    ``turns`` are role, beginning and text of each. ``None`` where nothing is found.
    """
    best: list[tuple[int, int, Term]] = []
    best_index, most = -1, 0
    for index, (_, _, text) in enumerate(turns):
        found = _matches(text, terms)
        count = len({term for _, _, term in found})
        if count > most:
            best, best_index, most = found, index, count
        if most == len(terms):
            break
    if not best:
        return None
    role, start_s, text = turns[best_index]
    start, end = _window(text, best[0][0], best[0][1])
    marks = _merged((a, b) for a, b, _ in best if start <= a and b <= end)
    return Snippet(
        turn_index=best_index,
        role=role,
        start_s=start_s,
        text=text[start:end],
        marks=tuple((a - start, b - start) for a, b in marks),
        is_cut_before=start > 0,
        is_cut_after=end < len(text),
    )


def _window(text: str, first: int, last: int) -> tuple[int, int]:
    """About ``_SNIPPET`` characters around ``[first, last)``, whole words; all if that is short."""
    if len(text) <= _SNIPPET:
        return 0, len(text)
    start = max(0, min(first - _SNIPPET // 3, len(text) - _SNIPPET))
    end = max(last, min(len(text), start + _SNIPPET))
    if start > 0:
        start = min(first, text.find(" ", start, first) + 1 or first)
    if end < len(text):
        end = max(last, text.rfind(" ", last, end))
    return start, end


def _merged(marks: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in marks:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
