"""Reading TOML tables that users write: each mistake is told with its place in the file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from qa_monitor.calls import EntityType

__all__ = [
    "MistakeError",
    "check_keys",
    "read_entity_type",
    "read_phrases",
    "read_regex",
    "read_share",
    "read_switch",
    "read_table",
    "read_text",
]


class MistakeError(ValueError):
    """What is wrong in a file, and where in it."""


def check_keys(table: Iterable[str], known: Iterable[str], where: str) -> None:
    """Nothing, if every key of ``table`` is ``known``; else raises ``MistakeError``."""
    unknown = set(table) - set(known)
    if unknown:
        raise MistakeError(
            f"{where} has no {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
        )


def read_table(value: object, where: str) -> dict[str, Any]:
    """``value``, a table; raises ``MistakeError``, as do all functions below."""
    if not isinstance(value, dict):
        raise MistakeError(f"{where} is a table")
    return value


def read_text(value: object, where: str) -> str:
    """``value``, a string."""
    if not isinstance(value, str):
        raise MistakeError(f"{where} is a string")
    return value


def read_share(value: object, where: str) -> float:
    """``value``, a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise MistakeError(f"{where} is a number from 0 to 1")
    return float(value)


def read_switch(value: object, where: str) -> bool:
    """``value``, true or false."""
    if not isinstance(value, bool):
        raise MistakeError(f"{where} is true or false")
    return value


def read_phrases(value: object, where: str) -> tuple[str, ...]:
    """``value``, a list of strings that say something."""
    if not isinstance(value, list) or not all(isinstance(v, str) and v.strip() for v in value):
        raise MistakeError(f"{where} is a list of strings")
    return tuple(value)


def read_regex(value: object, where: str) -> str:
    """``value``, a regular expression that does not match an empty text."""
    text = read_text(value, where)
    failure = ""
    try:
        if re.fullmatch(text, "") is not None:
            failure = "it matches where nothing is"
    except re.error as error:
        failure = str(error)
    if failure:
        raise MistakeError(f"{where} is no regular expression of use: {failure}")
    return text


def read_entity_type(value: object, where: str) -> EntityType:
    """``value``, the name of a type of PHI."""
    name = read_text(value, where)
    if name not in set(EntityType):
        raise MistakeError(
            f"{where}: no entity is called {name}; there are {', '.join(EntityType)}"
        )
    return EntityType(name)
