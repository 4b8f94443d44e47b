"""Turns as the tokens that the encoder reads.

``[CLS]`` the end of what was said before ``[SEP]`` role and words of the turn ``[SEP]``. Only
earlier turns are context, so that a finding never depends on what comes later in the call.
Placeholders such as ``<PERSON_1>`` are tokens of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from qa_monitor.calls import EntityType, Role
from qa_monitor.scoring.labels import AGENT_ROLES, CALLER_ROLES

__all__ = ["ROLE_TOKENS", "SPECIAL_WORDS", "Encodes", "TurnInput", "role_token", "turn_inputs"]

_PLACEHOLDER = re.compile(r"<([A-Z][A-Z_]*)_\d+>")
_CONTEXT_TOKENS = 32
_OWN_HEAD = 64
_OWN_TAIL = 24

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
class TurnInput:
    """Token ids of one turn in its context; the turn's own begin at ``own_start``."""

    ids: tuple[int, ...]
    own_start: int


def role_token(role: Role) -> str:
    """The token that stands for ``role``."""
    if role in AGENT_ROLES:
        return "[AGENT]"
    return "[CALLER]" if role in CALLER_ROLES else "[UNKNOWN]"


def turn_inputs(tokenizer: Encodes, turns: Sequence[tuple[Role, str]]) -> list[TurnInput]:
    """What the encoder reads for each of ``turns``, given as role and redacted words.

    A very long turn keeps its beginning and its end.
    """
    ids = {token: _id(tokenizer, token) for token in ("[CLS]", "[SEP]", *ROLE_TOKENS)}
    inputs: list[TurnInput] = []
    before: list[int] = []
    for role, text in turns:
        words = _PLACEHOLDER.sub(_placeholder_token, text)
        own = tokenizer.encode(words, add_special_tokens=False).ids
        if len(own) > _OWN_HEAD + _OWN_TAIL:
            own = own[:_OWN_HEAD] + own[-_OWN_TAIL:]
        context = [ids["[CLS]"], *before[-_CONTEXT_TOKENS:], ids["[SEP]"]]
        this = [ids[role_token(role)], *own]
        inputs.append(TurnInput(ids=(*context, *this, ids["[SEP]"]), own_start=len(context)))
        before = (before + this)[-_CONTEXT_TOKENS:]
    return inputs


def _id(tokenizer: Encodes, token: str) -> int:
    number = tokenizer.token_to_id(token)
    if number is None:
        raise ValueError(f"the tokenizer lacks {token}")
    return number


def _placeholder_token(match: re.Match[str]) -> str:
    name = match[1] if match[1] in EntityType.__members__ else EntityType.OTHER_ID.value
    return f" [{name}] "
