"""The recognizers file: which entities, recognizers, words and thresholds redaction works with."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qa_monitor.calls import EntityType
from qa_monitor.errors import ConfigError
from qa_monitor.redaction.calltext import fold
from qa_monitor.redaction.operators import Operator, OperatorName

__all__ = ["DEFAULT_FILE", "RecognizerSettings", "WrittenPattern", "load_settings"]

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
class WrittenPattern:
    """A regular expression whose matches are ``entity_type`` with confidence ``score``."""

    name: str
    entity_type: EntityType
    score: float
    regex: str


@dataclass(frozen=True, slots=True)
class RecognizerSettings:
    """A recognizers file, read and checked."""

    version: str
    language: str
    thresholds: Mapping[EntityType, float]
    """Entities that are redacted, with the confidence from which they are."""
    recognizers: frozenset[str]
    patterns: tuple[WrittenPattern, ...]
    allowed_values: frozenset[str]
    allowed_words: frozenset[str]
    medicines: frozenset[str]
    chains: Mapping[str, tuple[tuple[str, ...], ...]]
    """Names of companies as words, by their first word, the longest first."""
    ordinary_chains: frozenset[tuple[str, ...]]
    denied: Mapping[EntityType, tuple[str, ...]]
    units_after: frozenset[str]
    units_after_short: frozenset[str]
    units_before: frozenset[str]
    times_after: frozenset[str]
    acronyms: frozenset[str]
    context: tuple[tuple[EntityType, re.Pattern[str]], ...] = field(repr=False)
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
            return _parse(data)
        except (KeyError, TypeError, AttributeError, ValueError, re.error) as error:
            failure = f"is not understood: {type(error).__name__}: {error}"
    raise ConfigError(f"The recognizers file {failure}. Start from a copy of the shipped one.")


def _parse(data: Mapping[str, Any]) -> RecognizerSettings:
    unknown = set(data["recognizers"]) - _RECOGNIZERS
    if unknown:
        raise ValueError(f"no recognizer is called {', '.join(sorted(unknown))}")
    quantities = data["quantities"]
    return RecognizerSettings(
        version=str(data["version"]),
        language=str(data["language"]),
        thresholds={
            EntityType(name): float(entity["threshold"])
            for name, entity in data["entities"].items()
            if entity["enabled"]
        },
        recognizers=frozenset(name for name, is_on in data["recognizers"].items() if is_on),
        patterns=tuple(
            WrittenPattern(
                name=pattern["name"],
                entity_type=EntityType(pattern["entity"]),
                score=float(pattern["score"]),
                regex=re.compile(pattern["regex"]).pattern,
            )
            for pattern in data.get("patterns", [])
        ),
        allowed_values=frozenset(re.sub(r"\W", "", fold(v)) for v in data["allow"]["values"]),
        allowed_words=frozenset(fold(word) for word in data["allow"]["words"]),
        medicines=frozenset(fold(word) for word in data["allow"]["medicines"]),
        chains=_by_first_word(data["organisations"]["chains"]),
        ordinary_chains=frozenset(map(_words, data["organisations"]["ordinary"])),
        denied={
            EntityType(name): tuple(fold(phrase) for phrase in phrases)
            for name, phrases in data.get("deny", {}).items()
        },
        units_after=frozenset(quantities["after"]),
        units_after_short=frozenset(quantities["after_short"]),
        units_before=frozenset(quantities["before"]),
        times_after=frozenset(quantities["times_after"]),
        acronyms=frozenset(word.replace(" ", "") for word in data["acronyms"]["words"]),
        context=tuple(
            (EntityType(name), _phrases(phrases)) for name, phrases in data["context"].items()
        ),
        operators={
            EntityType(name): _operator(text) for name, text in data.get("operators", {}).items()
        },
    )


def _operator(text: str) -> Operator:
    operator = Operator.parse(text)
    if operator.name is OperatorName.KEEP:
        raise ValueError("PHI is kept for one run at a time, by `qa-monitor redact --keep`")
    return operator


def _words(phrase: str) -> tuple[str, ...]:
    return tuple(fold(phrase).replace("-", " - ").split())


def _by_first_word(phrases: list[str]) -> dict[str, tuple[tuple[str, ...], ...]]:
    by_first: dict[str, list[tuple[str, ...]]] = {}
    for words in sorted(map(_words, phrases), key=len, reverse=True):
        by_first.setdefault(words[0], []).append(words)
    return {first: tuple(names) for first, names in by_first.items()}


def _phrases(phrases: list[str]) -> re.Pattern[str]:
    """One pattern for all ``phrases``, the longest first."""
    parts = [
        phrase[3:] if phrase.startswith("re:") else r"[\W_]+".join(map(re.escape, phrase.split()))
        for phrase in sorted(phrases, key=len, reverse=True)
    ]
    return re.compile(rf"(?<![\w'])(?:{'|'.join(parts)})(?!\w)")
