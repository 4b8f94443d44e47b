"""Which known values can still be read in a redacted text, however they are said there.

Numbers and spellings are read here anew, without the finders: what they cannot read must not pass
for redacted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import PLACEHOLDER
from qa_monitor.redaction.words import NAME_WORDS, is_common

__all__ = ["values_left"]

_ONES = "zero one two three four five six seven eight nine".split()
_ORDINALS = "zeroth first second third fourth fifth sixth seventh eighth ninth".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_ORDINAL_TEENS = (
    "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth "
    "nineteenth".split()
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBERS = {
    "oh": "0",
    "hundred": "00",
    "thousand": "000",
    "twentieth": "20",
    "thirtieth": "30",
    **{word: str(i) for words in (_ONES, _ORDINALS) for i, word in enumerate(words)},
    **{word: str(i) for words in (_TEENS, _ORDINAL_TEENS) for i, word in enumerate(words, 10)},
    **{word: str(i * 10) for i, word in enumerate(_TENS, 2)},
}
_SMALL = frozenset({*_ONES[1:], *_ORDINALS[1:]})
_REPEATS = {"double": 2, "triple": 3, "treble": 3}
_MONTHS = frozenset(
    "january february march april may june july august september october november december".split()
)
_TOKEN = re.compile(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*")
_EXAMPLE = re.compile(r"\b([a-z])[,.]? (?:as in|for|like) (?:an? )?\1[a-z]+")
_TELL_NOTHING = frozenset(
    "the and of at in on st nd rd th dot com org net www gmail yahoo hotmail".split()
)
_TELLING_CHARACTERS = 4
_SHORTEST_NAME = 3
_SHORTEST_ALIKE = 5
_ALIKE = 0.8

Piece = tuple[str, ...]
"""Words and runs of characters, one after another, that tell a value."""


def values_left(
    values: Sequence[tuple[EntityType, str]], redacted: Iterable[str], innocent: Iterable[str] = ()
) -> list[int]:
    """The indices of those ``values`` of which a telling piece stands in the ``redacted`` texts.

    Of digits, and letters among them, four in a row tell, however they are said; of names a word
    that is no ordinary English, also when a letter or so was misheard; of dates the month with the
    day; of all values the whole, and of all but dates two words in a row. What the ``innocent``
    texts hold too tells nothing: it is said in the call apart from the value.
    """
    left, elsewhere = list(redacted), list(innocent)
    readings = {
        joins: (_read_all(left, joins=joins), _read_all(elsewhere, joins=joins))
        for joins in (False, True)
    }
    found: list[int] = []
    for index, (entity_type, value) in enumerate(values):
        is_date = entity_type is EntityType.DATE
        there, apart = readings[not is_date]
        words = _read(value, joins=not is_date)
        pieces = _date_pieces(words) if is_date else _pieces(words)
        if any(_stands_in(piece, there) and not _stands_in(piece, apart) for piece in pieces):
            found.append(index)
    return found


def _read_all(texts: Iterable[str], *, joins: bool) -> list[list[str]]:
    return [_read(part, joins=joins) for text in texts for part in PLACEHOLDER.split(text)]


def _read(text: str, *, joins: bool) -> list[str]:
    """``text`` as lower-case words, numbers as digits.

    ``joins`` makes one word of digits, numbers and single letters that follow each other. Words
    that tell nothing are left out.
    """
    folded = _EXAMPLE.sub(r"\1", text.lower().replace("’", "'"))
    read: list[str] = []
    before = ""
    is_run = False
    times = 1
    for word in _TOKEN.findall(folded):
        if word in _REPEATS:
            times = _REPEATS[word]
            continue
        chars = word if word.isdecimal() or len(word) == 1 else _NUMBERS.get(word)
        if chars is None:
            read.append(word.removesuffix("'s"))
        elif before in _TENS and word in _SMALL:
            read[-1] = read[-1][:-1] + chars
        elif is_run and joins:
            read[-1] += chars * times
        else:
            read.append(chars * times)
        before, is_run, times = word, chars is not None, 1
    return [word for word in read if word not in _TELL_NOTHING]


def _date_pieces(words: Sequence[str]) -> Iterator[Piece]:
    yield tuple(words)
    for first, second in pairwise(words):
        if _MONTHS & {first, second}:
            yield (first, second)
            yield (second, first)


def _pieces(words: Sequence[str]) -> Iterator[Piece]:
    yield tuple(words)
    yield from pairwise(words)
    for word in words:
        if _has_digit(word):
            for start in range(len(word) - _TELLING_CHARACTERS + 1):
                yield (word[start : start + _TELLING_CHARACTERS],)
        elif len(word) >= _SHORTEST_NAME and not _is_ordinary(word):
            yield (word,)


def _stands_in(piece: Piece, texts: Sequence[Sequence[str]]) -> bool:
    return bool(piece) and any(
        all(map(_is_same, piece, words[start : start + len(piece)]))
        for words in texts
        for start in range(len(words) - len(piece) + 1)
    )


def _is_same(word: str, there: str) -> bool:
    if word == there:
        return True
    if _has_digit(word):
        return len(word) >= _TELLING_CHARACTERS and word in there
    return (
        min(len(word), len(there)) >= _SHORTEST_ALIKE
        and not _is_ordinary(there)
        and SequenceMatcher(None, word, there).ratio() >= _ALIKE
    )


def _is_ordinary(word: str) -> bool:
    return is_common(word) or word in NAME_WORDS


def _has_digit(word: str) -> bool:
    return any(c.isdecimal() for c in word)
