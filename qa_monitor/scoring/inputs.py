"""Turns as the tokens that the encoder reads.

A window of the call is read at once: ``[CLS]``, then for each turn a token that tells its role and
its words. A word sees its own turn and the turns before it and nothing that comes later, so that a
finding never depends on what comes later in the call, and each turn is read once whatever else is
asked. Placeholders such as ``<PERSON_1>`` are tokens of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qa_monitor.calls import EntityType, Role
from qa_monitor.scoring.labels import AGENT_ROLES, CALLER_ROLES

__all__ = [
    "ROLE_TOKENS",
    "SPECIAL_WORDS",
    "Batch",
    "Encodes",
    "Window",
    "make_batch",
    "token_id",
    "turn_tokens",
    "windows",
]

_PLACEHOLDER = re.compile(r"<([A-Z][A-Z_]*)_\d+>")
CONTEXT = 96
WINDOW = 320
_HEAD = 96
_TAIL = 32

ROLE_TOKENS = ("[AGENT]", "[CALLER]", "[UNKNOWN]")

SPECIAL_WORDS: dict[str, str] = {
    "[AGENT]": "agent",
    "[CALLER]": "patient",
    "[UNKNOWN]": "someone",
    "[PERSON]": "name",
    "[DATE]": "date",
    "[AGE]": "age",
    "[LOCATION]": "address",
    "[ORGANIZATION]": "clinic",
    "[PHONE]": "phone",
    "[FAX]": "printer",
    "[EMAIL]": "email",
    "[SSN]": "identification",
    "[MEMBER_ID]": "insurance",
    "[MRN]": "record",
    "[ACCOUNT]": "account",
    "[LICENSE]": "license",
    "[DEVICE]": "device",
    "[URL]": "website",
    "[IP]": "network",
    "[OTHER_ID]": "number",
}
"""Tokens added to the vocabulary, and the word whose embedding each starts from."""


class Encodes(Protocol):
    """What is needed of a tokenizer: ``tokenizers.Tokenizer`` has it."""

    def encode(self, sequence: str, *, add_special_tokens: bool = True) -> _Encoding:
        """The tokens of a text."""

    def token_to_id(self, token: str) -> int | None:
        """The id of a token."""


class _Encoding(Protocol):
    @property
    def ids(self) -> list[int]:
        """The token ids."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a call that is read at once: turns ``[start, end)``, by number.

    Those before ``asked`` are read as context only.
    """

    start: int
    asked: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Several windows as the encoder reads them, each array of shape (windows, longest).

    ``ids`` are tokens, ``sides`` 1 for the agent's and 0 for others', ``turns`` the number of the
    turn within the window, counted from 1; 0 is the mark at the beginning, -1 padding.
    """

    ids: NDArray[np.int64]
    sides: NDArray[np.int64]
    turns: NDArray[np.int64]


def _role_token(role: Role) -> str:
    """The token that stands for ``role``."""
    if role in AGENT_ROLES:
        return "[AGENT]"
    return "[CALLER]" if role in CALLER_ROLES else "[UNKNOWN]"


def turn_tokens(tokenizer: Encodes, turns: Sequence[tuple[Role, str]]) -> list[tuple[int, ...]]:
    """The tokens of each of ``turns``, given as role and redacted words; the role's comes first.

    A very long turn keeps its beginning and its end.
    """
    roles = {token: token_id(tokenizer, token) for token in ROLE_TOKENS}
    tokens: list[tuple[int, ...]] = []
    for role, text in turns:
        words = _PLACEHOLDER.sub(_placeholder_token, _evened(text))
        own = tokenizer.encode(words, add_special_tokens=False).ids
        if len(own) > _HEAD + _TAIL:
            own = own[:_HEAD] + own[-_TAIL:]
        tokens.append((roles[_role_token(role)], *own))
    return tokens


def windows(
    tokens: Sequence[Sequence[int]], *, context: int = CONTEXT, size: int = WINDOW
) -> list[Window]:
    """Windows that together ask about every turn once, in order.

    Each begins with as many whole turns of what came before as ``context`` tokens hold, and goes on
    up to ``size`` tokens; a longer turn has a window of its own.
    """
    found: list[Window] = []
    asked = 0
    while asked < len(tokens):
        start, length = asked, 0
        while start and length + len(tokens[start - 1]) <= context:
            start -= 1
            length += len(tokens[start])
        end = asked
        while end < len(tokens) and (end == asked or length + len(tokens[end]) < size):
            length += len(tokens[end])
            end += 1
        found.append(Window(start, asked, end))
        asked = end
    return found


def make_batch(begin: int, agent: int, stretches: Sequence[Sequence[Sequence[int]]]) -> Batch:
    """``stretches`` (the tokens of the turns of each window) padded to the longest.

    ``begin`` is the token at the beginning of each, ``agent`` that of the agent's turns.
    """
    longest = 1 + max(sum(map(len, stretch)) for stretch in stretches)
    ids = np.zeros((len(stretches), longest), dtype=np.int64)
    sides = np.zeros_like(ids)
    numbers = np.full_like(ids, -1)
    for row, stretch in enumerate(stretches):
        ids[row, 0], numbers[row, 0] = begin, 0
        position = 1
        for number, tokens in enumerate(stretch, 1):
            here = slice(position, position + len(tokens))
            ids[row, here] = tokens
            sides[row, here] = int(tokens[0] == agent)
            numbers[row, here] = number
            position = here.stop
    return Batch(ids, sides, numbers)


def token_id(tokenizer: Encodes, token: str) -> int:
    """The id of ``token``; ``ValueError`` where the tokenizer has none."""
    number = tokenizer.token_to_id(token)
    if number is None:
        raise ValueError(f"the tokenizer lacks {token}")
    return number


_HESITATION = re.compile(
    r"[,\s]*\b(?:um+|uh+|uhm|erm+|er|hmm+|you know)\b(?!['’])[,.…]*", re.IGNORECASE
)
_WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+|-in-law)?")
_SAME: dict[str, str] = {
    "she": "he",
    "her": "his",
    "him": "his",
    "hers": "his",
    "herself": "himself",
    "she'd": "he'd",
    "she'll": "he'll",
    "wife": "husband",
    "mother": "father",
    "mom": "dad",
    "mum": "dad",
    "mam": "dad",
    "mommy": "daddy",
    "mummy": "daddy",
    "mama": "papa",
    "daughter": "son",
    "sister": "brother",
    "girl": "boy",
    "woman": "man",
    "women": "men",
    "lady": "man",
    "ladies": "men",
    "gentleman": "man",
    "gentlemen": "men",
    "aunt": "uncle",
    "niece": "nephew",
    "girlfriend": "boyfriend",
    "grandma": "grandpa",
    "grandmother": "grandfather",
    "granddaughter": "grandson",
    "stepmother": "stepfather",
    "ma'am": "sir",
    "madam": "sir",
    "mrs": "mr",
    "ms": "mr",
    "miss": "mr",
}
"""Words for women and, where there are two for one, for men; and what is read in their place."""


def _evened(text: str) -> str:
    """``text`` without hesitations, and the same whether it is of a man or a woman.

    Nothing that is scored depends on either, so that neither may move a score.
    """
    return _WORD.sub(_same, _HESITATION.sub("", text))


def _same(match: re.Match[str]) -> str:
    word = match.group().lower().replace("’", "'")
    stem, mark, ending = word.partition("'s")
    if word in _SAME:
        return _SAME[word]
    if mark and not ending and stem in _SAME:
        return f"{_SAME[stem]}'s"
    if word.endswith("-in-law"):
        return f"{_SAME.get(word[:-7], word[:-7])}-in-law"
    if word.endswith("s") and word[:-1] in _SAME and len(word) > 4:
        return f"{_SAME[word[:-1]]}s"
    return match.group()


def _placeholder_token(match: re.Match[str]) -> str:
    name = match[1] if match[1] in EntityType.__members__ else EntityType.OTHER_ID.value
    return f" [{name}] "
