"""A call as one text with tokens: what every recognizer looks at, and where it came from."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from qa_monitor.calls import Dialogue, EntityType, Role
from qa_monitor.redaction.locales import Locale, default_locale
from qa_monitor.redaction.vocabulary import fold

__all__ = ["PLACEHOLDER", "WORDED", "CallText", "Found", "Token", "fold"]

PLACEHOLDER = re.compile(r"<[A-Z][A-Z_]*_\d+>")
WORDED = frozenset(
    {EntityType.PERSON, EntityType.ORGANIZATION, EntityType.LOCATION, EntityType.DATE}
)
"""Types whose values are words and not codes."""

_CASED_WORDS = 4


@cache
def _token_pattern(ordinal_endings: frozenset[str]) -> re.Pattern[str]:
    endings = "|".join(map(re.escape, sorted(ordinal_endings))) or "(?!)"
    return re.compile(
        rf"{PLACEHOLDER.pattern}"
        rf"|\d+(?:{endings})(?![a-z])"
        r"|\d+"
        r"|[^\W\d_]+(?:['’][^\W\d_]+)*"
        r"|\S",
        re.IGNORECASE,
    )


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number or mark; ``start, end`` in the text of the whole call."""

    text: str = field(repr=False)
    norm: str = field(repr=False)
    start: int
    end: int
    turn: int
    is_glued: bool
    """No space lies between this token and the one before it in its turn."""

    @property
    def is_word(self) -> bool:
        """Whether it is made of letters."""
        return self.norm[0].isalpha()

    @property
    def is_capitalised(self) -> bool:
        """Whether it begins with a capital."""
        return self.text[0].isupper()


@dataclass(frozen=True, slots=True)
class Found:
    """A stretch of the call that holds PHI: offsets into the whole call's text, and why.

    ``context`` names the class of the words or of the question that decided, never the words.
    ``value`` is the value in a canonical form, by which it is found again elsewhere in the call.
    """

    start: int
    end: int
    entity_type: EntityType
    score: float
    recognizer: str
    context: str | None = None
    value: str | None = field(default=None, repr=False)


class CallText:
    """The turns of a call joined by line breaks, with tokens and the way back to each turn.

    ``locale`` holds the words it is read with; those that the product comes with when not given.
    """

    def __init__(self, dialogue: Dialogue, locale: Locale | None = None) -> None:
        self.locale = locale or default_locale()
        texts = [turn.text for turn in dialogue.turns]
        self.text = "\n".join(texts)
        self.views: dict[str, Any] = {}
        """What modules have worked out of the call once and read again."""
        self.folded = fold(self.text)
        self.roles: tuple[Role, ...] = tuple(turn.role for turn in dialogue.turns)
        self.speakers: tuple[str, ...] = tuple(turn.speaker for turn in dialogue.turns)
        self.turn_starts: list[int] = []
        self.turn_ends: list[int] = []
        position = 0
        for text in texts:
            self.turn_starts.append(position)
            self.turn_ends.append(position + len(text))
            position += len(text) + 1

    def is_same_speaker(self, turn: int, other: int) -> bool:
        """Whether two turns are surely one speaker's; where roles are unknown, nothing is sure."""
        same = self.speakers[turn] == self.speakers[other]
        return same and self.roles[turn] is not Role.UNKNOWN

    def is_cased(self, turn: int) -> bool:
        """Whether the turn is written with capitals, so that a name in it would have one."""
        words = [i for i in self.turn_tokens[turn] if self.tokens[i].is_word]
        return len(words) >= _CASED_WORDS and self.tokens[words[0]].is_capitalised

    @cached_property
    def tokens(self) -> list[Token]:
        """All tokens in order; none crosses its turn."""
        tokens: list[Token] = []
        pattern = _token_pattern(self.locale.numbers.ordinal_endings)
        for turn, (start, end) in enumerate(zip(self.turn_starts, self.turn_ends, strict=True)):
            previous_end = -1
            for match in pattern.finditer(self.text, start, end):
                tokens.append(
                    Token(
                        text=match.group(),
                        norm=self.folded[match.start() : match.end()],
                        start=match.start(),
                        end=match.end(),
                        turn=turn,
                        is_glued=match.start() == previous_end,
                    )
                )
                previous_end = match.end()
        return tokens

    @cached_property
    def _token_starts(self) -> list[int]:
        return [token.start for token in self.tokens]

    @cached_property
    def turn_tokens(self) -> list[range]:
        """For each turn, the indices of its tokens."""
        ranges: list[range] = []
        position = 0
        for turn in range(len(self.turn_starts)):
            first = position
            while position < len(self.tokens) and self.tokens[position].turn == turn:
                position += 1
            ranges.append(range(first, position))
        return ranges

    def turn_at(self, offset: int) -> int:
        """The index of the turn that holds ``offset``."""
        return bisect_right(self.turn_starts, offset) - 1

    def tokens_between(self, start: int, end: int) -> range:
        """The indices of the tokens that touch ``[start, end)``."""
        first = bisect_right(self._token_starts, start) - 1
        if first < 0 or self.tokens[first].end <= start:
            first += 1
        last = first
        while last < len(self.tokens) and self.tokens[last].start < end:
            last += 1
        return range(first, last)

    @cached_property
    def _norms(self) -> list[str]:
        return [token.norm for token in self.tokens]

    def norm(self, index: int, turn: int) -> str:
        """The folded text of token ``index``; empty outside ``turn``."""
        return self._norms[index] if index in self.turn_tokens[turn] else ""
