"""The recognizers file: which entities, recognizers, words and locales redaction works with."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qa_monitor.calls import EntityType
from qa_monitor.errors import ConfigError
from qa_monitor.redaction.locales import (
    DEFAULT_LOCALES,
    Locale,
    WrittenPattern,
    load_locales,
    read_patterns,
)
from qa_monitor.redaction.operators import Operator, OperatorName
from qa_monitor.redaction.tables import (
    MistakeError,
    check_keys,
    read_entity_type,
    read_phrases,
    read_share,
    read_switch,
    read_table,
    read_text,
)
from qa_monitor.redaction.vocabulary import fold

__all__ = ["DEFAULT_FILE", "RecognizerSettings", "load_settings"]

DEFAULT_FILE = Path(__file__).with_name("recognizers.toml")
"""The file shipped with the product; copy it to change it."""

_RECOGNIZERS = frozenset(
    {
        "call_tagger",
        "names_and_places",
        "spoken_dates",
        "spoken_values",
        "spoken_ages",
        "spoken_addresses",
        "spoken_web",
        "introduced_names",
        "named_places",
        "unknown_names",
        "repeated_values",
    }
)


@dataclass(frozen=True, slots=True)
class RecognizerSettings:
    """A recognizers file, read and checked."""

    version: str
    locale: Locale = field(repr=False)
    thresholds: Mapping[EntityType, float]
    """Entities that are redacted, with the confidence from which they are."""
    recognizers: frozenset[str]
    patterns: tuple[WrittenPattern, ...]
    allowed_values: frozenset[str]
    allowed_words: frozenset[str]
    medicines: frozenset[str]
    denied: Mapping[EntityType, tuple[str, ...]]
    operators: Mapping[EntityType, Operator] = field(default_factory=dict)
    """What `redact` writes for the values of a type, where it is not the placeholder."""


def load_settings(path: Path | None = None) -> RecognizerSettings:
    """The settings of ``path``, or those shipped with the product.

    Raises ``ConfigError`` when the file cannot be read, is not TOML or names what does not exist.
    """
    failure = ""
    data: dict[str, Any] = {}
    try:
        data = tomllib.loads((path or DEFAULT_FILE).read_text(encoding="utf-8"))
    except OSError:
        failure = "cannot be read"
    except tomllib.TOMLDecodeError as error:
        failure = f"is not TOML: {error}"
    except UnicodeDecodeError:
        failure = "is not UTF-8"
    if not failure:
        try:
            return _parse(data, (path or DEFAULT_FILE).parent)
        except MistakeError as error:
            failure = f"is not understood: {error}"
    raise ConfigError(f"The recognizers file {failure}. Start from a copy of the shipped one.")


def _parse(data: Mapping[str, Any], folder: Path) -> RecognizerSettings:
    check_keys(data, _KEYS, "the file")
    missing = _NEEDED - set(data)
    if missing:
        raise MistakeError(f"it lacks {', '.join(sorted(missing))}")
    locale = load_locales(
        read_phrases(data.get("locales", list(DEFAULT_LOCALES)), "locales"), folder=folder
    )
    patterns = {pattern.name: pattern for pattern in locale.patterns}
    patterns |= {pattern.name: pattern for pattern in read_patterns(data.get("patterns", []))}
    switches = read_table(data["recognizers"], "[recognizers]")
    check_keys(switches, _RECOGNIZERS | set(patterns), "[recognizers]")
    for name, is_on in switches.items():
        read_switch(is_on, f"recognizers.{name}")
    denied = {
        read_entity_type(name, "[deny]"): tuple(map(fold, read_phrases(phrases, f"deny.{name}")))
        for name, phrases in read_table(data.get("deny", {}), "[deny]").items()
    }
    allow = read_table(data.get("allow", {}), "[allow]")
    check_keys(allow, _ALLOW, "[allow]")
    values, words, medicines = (
        tuple(map(fold, read_phrases(allow.get(key, []), f"allow.{key}"))) for key in _ALLOW
    )
    always = {phrase for phrases in denied.values() for phrase in phrases}
    return RecognizerSettings(
        version=str(data["version"]),
        locale=locale,
        thresholds=_thresholds(read_table(data["entities"], "[entities]")),
        recognizers=frozenset(name for name in _RECOGNIZERS if switches.get(name, True)),
        patterns=tuple(p for p in patterns.values() if switches.get(p.name, True)),
        allowed_values=frozenset(
            re.sub(r"\W", "", value) for value in {*locale.stays.values, *values} - always
        ),
        allowed_words=frozenset({*locale.stays.words, *words} - always),
        medicines=frozenset({*locale.stays.medicines, *medicines} - always),
        denied=denied,
        operators={
            read_entity_type(name, "[operators]"): _operator(text, f"operators.{name}")
            for name, text in read_table(data.get("operators", {}), "[operators]").items()
        },
    )


_NEEDED = frozenset({"version", "entities", "recognizers"})
_KEYS = _NEEDED | {"locales", "operators", "patterns", "allow", "deny"}
_ALLOW = ("values", "words", "medicines")
_THRESHOLD = 0.5


def _thresholds(table: Mapping[str, Any]) -> dict[EntityType, float]:
    """From which confidence each type is redacted; one that the file does not name is, too."""
    thresholds = dict.fromkeys(EntityType, _THRESHOLD)
    for name, value in table.items():
        entity_type = read_entity_type(name, "[entities]")
        entity = read_table(value, f"entities.{name}")
        check_keys(entity, ("enabled", "threshold"), f"entities.{name}")
        if read_switch(entity.get("enabled", True), f"entities.{name}.enabled"):
            thresholds[entity_type] = read_share(
                entity.get("threshold", _THRESHOLD), f"entities.{name}.threshold"
            )
        else:
            del thresholds[entity_type]
    return thresholds


def _operator(value: object, where: str) -> Operator:
    failure = ""
    try:
        operator = Operator.parse(read_text(value, where))
    except ValueError as error:
        failure = str(error)
    if failure:
        raise MistakeError(f"{where}: {failure}")
    if operator.name is OperatorName.KEEP:
        raise MistakeError(
            f"{where}: PHI is kept for one run at a time, by `qa-monitor redact --keep`"
        )
    return operator
