"""What depends on language or country, read from data files: ``locales/*.toml``.

The head of ``locales/en.toml`` says how a file is written and how one of one's own is added. The
sections are the fields of ``Locale``, their keys those of the classes in ``vocabulary.py``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property, reduce
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from qa_monitor.calls import EntityType
from qa_monitor.errors import ConfigError
from qa_monitor.redaction.checksums import CHECKSUMS
from qa_monitor.redaction.tables import (
    MistakeError,
    check_keys,
    read_entity_type,
    read_phrases,
    read_regex,
    read_share,
    read_table,
    read_text,
)
from qa_monitor.redaction.vocabulary import (
    AgeWords,
    DateWords,
    ForeignWords,
    Letters,
    LetterWords,
    NameWords,
    Numbers,
    NumberWords,
    OrganisationWords,
    Phrases,
    PhrasesByType,
    PlaceWords,
    QuantityWords,
    QuestionWords,
    StayingWords,
    TalkWords,
    ValueWords,
    WebWords,
    Words,
    fold,
    phrase_pattern,
)

__all__ = [
    "DEFAULT_LOCALES",
    "Locale",
    "WrittenPattern",
    "default_locale",
    "load_locales",
    "read_patterns",
]

DEFAULT_LOCALES = ("en-US", "en-GB")
"""Callers of both countries are understood; a date of numbers is read as in the first."""

_FOLDER = Path(__file__).with_name("locales")


@dataclass(frozen=True, slots=True)
class WrittenPattern:
    """A regular expression whose matches are ``entity_type`` with confidence ``score``.

    ``checksum`` names one of ``CHECKSUMS`` that a match must stand.
    """

    name: str
    entity_type: EntityType
    score: float
    regex: str
    checksum: str | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Locale:
    """One locale file, or several merged."""

    codes: tuple[str, ...]
    """What was asked for, the first deciding where only one can."""
    language: str
    patterns: tuple[WrittenPattern, ...]
    cues: PhrasesByType
    """Phrases that announce a value of a type."""
    numbers: NumberWords
    letters: LetterWords
    talk: TalkWords
    quantities: QuantityWords
    dates: DateWords
    ages: AgeWords
    names: NameWords
    places: PlaceWords
    organisations: OrganisationWords
    web: WebWords
    values: ValueWords
    questions: QuestionWords
    foreign: ForeignWords
    stays: StayingWords

    @cached_property
    def noise(self) -> Words:
        """What recognisers write for single letters and pauses."""
        return self.values.noise | self.talk.fillers

    @cached_property
    def cue_patterns(self) -> tuple[tuple[EntityType, re.Pattern[str]], ...]:
        """What announces a value of each type."""
        return tuple((name, phrase_pattern(phrases)) for name, phrases in self.cues.items())


# --- reading --------------------------------------------------------------------------------------


@cache
def default_locale() -> Locale:
    """The locales that the product comes with and understands when nothing else is said."""
    return load_locales(DEFAULT_LOCALES)


def load_locales(names: Sequence[str], *, folder: Path | None = None) -> Locale:
    """The locales ``names`` merged: the words of all, of what only one can say the first one's.

    A name is a code ("en-GB") of those the product comes with, or the path of a file that ends in
    ".toml", relative to ``folder``. Raises ``ConfigError`` for a locale that does not exist and for
    a file that is not understood, with the place.
    """
    if not names:
        raise ConfigError('No locale is named. Name one at least: locales = ["en-US"].')
    chain: dict[Path, _File] = {}
    for name in reversed(names):
        _follow(name, folder or Path(), chain, ())
    codes = tuple(Path(name).name.removesuffix(".toml") for name in names)
    # What extends comes before what it extends, and the first named before the others.
    return _merge(codes, [*reversed(chain.values())])


class _File(NamedTuple):
    """A locale file by itself: its own keys, checked, and by section."""

    language: str
    extends: tuple[str, ...]
    patterns: tuple[WrittenPattern, ...]
    cues: dict[EntityType, Phrases]
    sections: dict[str, dict[str, Any]]


def _follow(name: str, folder: Path, chain: dict[Path, _File], behind: tuple[Path, ...]) -> None:
    """Puts what the file of ``name`` extends into ``chain``, and then the file."""
    path = _path(name, folder)
    if path in behind:
        raise ConfigError(f"The locale {name} extends itself. Take it out of `extends`.")
    if path in chain:
        return
    file = _read_file(path)
    for parent in reversed(file.extends):
        _follow(parent, path.parent, chain, (*behind, path))
    chain[path] = file


def _path(name: str, folder: Path) -> Path:
    if name.endswith(".toml"):
        return (folder / name).resolve()
    known = sorted(path.stem for path in _FOLDER.glob("*.toml"))
    if name not in known:
        raise ConfigError(
            f"No locale is called {name}; there are {', '.join(known)}. A file of your own is "
            "named by its path, which ends in .toml."
        )
    return _FOLDER / f"{name}.toml"


def _read_file(path: Path) -> _File:
    failure = ""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return _parse_file(data, path.parent)
    except OSError:
        failure = "cannot be read"
    except tomllib.TOMLDecodeError as error:
        failure = f"is not TOML: {error}"
    except UnicodeDecodeError:
        failure = "is not UTF-8"
    except MistakeError as error:
        failure = f"is not understood: {error}"
    raise ConfigError(
        f"The locale file {path.name} {failure}. The head of qa_monitor/redaction/locales/en.toml "
        "says how one is written."
    )


def _parse_file(data: Mapping[str, Any], folder: Path) -> _File:
    hints = get_type_hints(Locale)
    sections = {name: hints[name] for name in _SECTIONS}
    check_keys(data, {"language", "extends", "patterns", "cues", *sections}, "the file")
    parsed: dict[str, dict[str, Any]] = {}
    for name, section in sections.items():
        table = read_table(data.get(name, {}), f"[{name}]")
        kinds = {key: _KINDS[kind] for key, kind in get_type_hints(section).items()}
        check_keys(table, kinds, f"[{name}]")
        parsed[name] = {
            key: kinds[key].read(value, f"{name}.{key}") for key, value in table.items()
        }
    if "common_words" in parsed["talk"]:
        parsed["talk"]["common_words"] = _common_words(data["talk"]["common_words"], folder)
    if "order" in parsed["dates"] and parsed["dates"]["order"] not in _DATE_ORDERS:
        raise MistakeError(f'dates.order is "{_DATE_ORDERS[0]}" or "{_DATE_ORDERS[1]}"')
    extends = data.get("extends", [])
    return _File(
        language=read_text(data.get("language", ""), "language"),
        extends=read_phrases([extends] if isinstance(extends, str) else extends, "extends"),
        patterns=read_patterns(data.get("patterns", [])),
        cues=_read_phrases_by_type(data.get("cues", {}), "cues"),
        sections=parsed,
    )


def read_patterns(tables: object) -> tuple[WrittenPattern, ...]:
    """The ``[[patterns]]`` of a file; raises ``MistakeError``."""
    if not isinstance(tables, list):
        raise MistakeError("patterns are written as [[patterns]]")
    patterns: list[WrittenPattern] = []
    for number, table in enumerate(tables, 1):
        where = f"[[patterns]] number {number}"
        pattern = read_table(table, where)
        check_keys(pattern, _PATTERN_KEYS, where)
        missing = _NEEDED_IN_PATTERN - set(pattern)
        if missing:
            raise MistakeError(f"{where} lacks {', '.join(sorted(missing))}")
        name = read_text(pattern["name"], f"{where}: name")
        if any(name == other.name for other in patterns):
            raise MistakeError(f"two patterns are called {name}")
        checksum = pattern.get("check")
        if checksum is not None:
            check_keys([read_text(checksum, f"{name}: check")], CHECKSUMS, f"{name}: check")
        patterns.append(
            WrittenPattern(
                name=name,
                entity_type=read_entity_type(pattern["entity"], f"{name}: entity"),
                score=read_share(pattern["score"], f"{name}: score"),
                regex=read_regex(pattern["regex"], f"{name}: regex"),
                checksum=checksum,
            )
        )
    return tuple(patterns)


_NEEDED_IN_PATTERN = frozenset({"name", "entity", "score", "regex"})
_PATTERN_KEYS = _NEEDED_IN_PATTERN | {"check"}
_DATE_ORDERS = ("month first", "day first")


def _common_words(files: object, folder: Path) -> Words:
    words: set[str] = set()
    for file in read_phrases(files, "talk.common_words"):
        failure = False
        try:
            text = (folder / file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            failure = True
        if failure:
            raise MistakeError(f"talk.common_words: {file} cannot be read")
        words.update(fold(text).split())
    return frozenset(words)


def _merge(codes: tuple[str, ...], files: Sequence[_File]) -> Locale:
    hints = get_type_hints(Locale)
    sections = {}
    for name in _SECTIONS:
        kinds = {key: _KINDS[kind] for key, kind in get_type_hints(hints[name]).items()}
        sections[name] = hints[name](
            **{
                key: reduce(
                    kind.merge,
                    [f.sections[name][key] for f in files if key in f.sections[name]],
                    kind.empty,
                )
                for key, kind in kinds.items()
            }
        )
    patterns: dict[str, WrittenPattern] = {}
    for file in files:
        for pattern in file.patterns:
            patterns.setdefault(pattern.name, pattern)
    language = next((file.language for file in files if file.language), "")
    if not language:
        raise ConfigError(
            f'The locale {codes[0]} says no language. Begin its file with language = "...", or '
            "with the locale that it extends."
        )
    return Locale(
        codes=codes,
        language=language,
        patterns=tuple(patterns.values()),
        cues=reduce(_merge_by_type, [file.cues for file in reversed(files)], {}),
        **sections,
    )


# --- kinds of values ------------------------------------------------------------------------------


def _read_words(value: object, where: str) -> Words:
    if isinstance(value, str):
        return frozenset(fold(value).split())
    return frozenset(_read_phrases(value, where))


def _read_phrases(value: object, where: str) -> Phrases:
    phrases = read_phrases(value, where)
    for phrase in phrases:
        if phrase.startswith("re:"):
            read_regex(phrase[3:], where)
    return tuple(phrase if phrase.startswith("re:") else fold(phrase) for phrase in phrases)


def _read_letters(value: object, where: str) -> dict[str, str]:
    return {
        word: fold(meaning)
        for meaning, words in read_table(value, where).items()
        for word in _read_words(words, f"{where}.{meaning}")
    }


def _read_numbers(value: object, where: str) -> dict[str, int]:
    letters = _read_letters(value, where)
    if not all(re.fullmatch(r"\d{1,4}", number, re.ASCII) for number in letters.values()):
        raise MistakeError(f'{where} is a table of numbers with their words, as 4 = "four"')
    return {word: int(number) for word, number in letters.items()}


def _read_phrases_by_type(value: object, where: str) -> dict[EntityType, Phrases]:
    return {
        read_entity_type(name, where): _read_phrases(phrases, f"{where}.{name}")
        for name, phrases in read_table(value, where).items()
    }


def _merge_by_type(
    first: Mapping[EntityType, Phrases], second: Mapping[EntityType, Phrases]
) -> dict[EntityType, Phrases]:
    return {
        entity_type: (*first.get(entity_type, ()), *second.get(entity_type, ()))
        for entity_type in {**first, **second}
    }


class _Kind(NamedTuple):
    """How a value is read from its file, and put together with that of a locale named later."""

    read: Callable[[object, str], Any]
    merge: Callable[[Any, Any], Any]
    empty: Any


_KINDS: Mapping[object, _Kind] = {
    str: _Kind(read_text, lambda first, second: first or second, ""),
    Words: _Kind(_read_words, frozenset.union, frozenset()),
    Phrases: _Kind(_read_phrases, lambda first, second: (*first, *second), ()),
    Numbers: _Kind(_read_numbers, lambda first, second: {**second, **first}, {}),
    Letters: _Kind(_read_letters, lambda first, second: {**second, **first}, {}),
    PhrasesByType: _Kind(_read_phrases_by_type, _merge_by_type, {}),
}
_SECTIONS = tuple(
    field.name
    for field in fields(Locale)
    if field.name not in {"codes", "language", "patterns", "cues"}
)
