"""The words of a locale: a class for each section of a locale file, and what is made of them.

What each key is for stands beside it in ``locales/en.toml``. Words are kept folded, as the tokens
of a call are compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from qa_monitor.calls import EntityType

__all__ = [
    "AgeWords",
    "DateWords",
    "ForeignWords",
    "LetterWords",
    "Letters",
    "NameWords",
    "NumberWords",
    "Numbers",
    "OrganisationWords",
    "Phrases",
    "PhrasesByType",
    "PlaceWords",
    "QuantityWords",
    "QuestionWords",
    "StayingWords",
    "TalkWords",
    "ValueWords",
    "WebWords",
    "Words",
    "fold",
    "phrase_pattern",
]

_NEVER = r"(?!)"

Words = frozenset[str]
Numbers = Mapping[str, int]
"""What each word counts."""
Letters = Mapping[str, str]
"""What each word stands for."""
Phrases = tuple[str, ...]
PhrasesByType = Mapping[EntityType, Phrases]


def fold(text: str) -> str:
    """``text`` as it is compared: lower-case, typewriter apostrophes; the same length."""
    lowered = text.lower()
    if len(lowered) != len(text):
        # A few capitals (such as the dotted I of Turkish) grow when lowered; offsets must not move.
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return lowered.replace("’", "'")


def phrase_pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    """One pattern for all ``phrases``, the longest first; it matches nothing where there are none.

    A phrase that begins with "re:" is a regular expression; between the words of another any space
    or mark may stand.
    """
    return re.compile(rf"(?<![\w'])(?:{_alternatives(phrases)})(?!\w)")


def _alternatives(phrases: Sequence[str]) -> str:
    parts = [
        phrase[3:] if phrase.startswith("re:") else r"[\W_]+".join(map(re.escape, phrase.split()))
        for phrase in sorted(phrases, key=len, reverse=True)
    ]
    return "|".join(f"(?:{part})" for part in parts) or _NEVER


def _tokens(phrase: str) -> tuple[str, ...]:
    return tuple(phrase.replace("-", " - ").split())


def _by_first_word(phrases: Sequence[str]) -> dict[str, tuple[tuple[str, ...], ...]]:
    by_first: dict[str, list[tuple[str, ...]]] = {}
    for words in sorted(map(_tokens, phrases), key=len, reverse=True):
        by_first.setdefault(words[0], []).append(words)
    return {first: tuple(names) for first, names in by_first.items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class NumberWords:
    """The section ``numbers``."""

    words: Numbers
    ordinals: Numbers
    ordinal_endings: Words
    repeats: Numbers
    hundred: Words
    thousand: Words
    one: Words
    joints: Words
    zeros: Words
    year_zeros: Words

    @cached_property
    def said(self) -> Words:
        """All words that numbers are said with, but ordinals."""
        return frozenset[str]().union(
            self.words, self.zeros, self.repeats, self.hundred, self.thousand
        )

    @cached_property
    def digits(self) -> Mapping[str, str]:
        """The digit that each word says by itself."""
        ones = {word: str(value) for word, value in self.words.items() if value < 10}
        return dict.fromkeys(self.zeros, "0") | ones

    def written_ordinal(self, word: str) -> int | None:
        """The number of "1st", "22nd" and the like."""
        if word[:1].isdecimal():
            for ending in self.ordinal_endings:
                if word.endswith(ending) and word[: -len(ending)].isdecimal():
                    return int(word[: -len(ending)])
        return None

    def is_written_ordinal(self, word: str) -> bool:
        """Whether ``word`` is "1st", "22nd" and the like."""
        return self.written_ordinal(word) is not None


@dataclass(frozen=True, eq=False, kw_only=True)
class LetterWords:
    """The section ``letters``."""

    alphabet: Words
    tellers: Words
    after_tellers: Words
    weak_tellers: Words
    words: Words
    doubled: Letters
    homophones: Letters
    weak_homophones: Letters
    acronyms: Words


@dataclass(frozen=True, eq=False, kw_only=True)
class TalkWords:
    """The section ``talk``."""

    fillers: Words
    separators: Words
    piece_marks: Words
    code_joints: Words
    articles: Words
    definite_article: Words
    joints: Words
    pronouns: Words
    words: Words
    idle: Words
    common_words: Words
    common_endings: Words

    @cached_property
    def pauses(self) -> Words:
        """What may be said between the parts of a value."""
        return self.fillers | self.separators

    @cached_property
    def between_pieces(self) -> Words:
        """What may be said between two pieces of a name or date."""
        return self.fillers | self.piece_marks

    @cached_property
    def between_code_pieces(self) -> Words:
        """What may be said between two pieces of a number or code."""
        return self.between_pieces | self.code_joints

    @cached_property
    def saying_nothing(self) -> Words:
        """Words that say nothing besides a value."""
        return self.idle | self.fillers

    def is_common(self, word: str) -> bool:
        """Whether lower-case ``word`` is an ordinary one, in which no name is looked for."""
        common = self._common
        return word in common or any(
            word.endswith(ending) and word[: -len(ending)] in common
            for ending in self.common_endings
        )

    @cached_property
    def _common(self) -> Words:
        return self.common_words | self.words


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantityWords:
    """The section ``quantities``."""

    after: Words
    after_short: Words
    before: Words
    times_after: Words
    half_days: Words
    glued: Words

    @cached_property
    def spaced_half_days(self) -> Mapping[str, str]:
        """For "a m" and "p m" said as letters, the second by the first."""
        return {word[0]: word[1] for word in self.half_days if len(word) == 2}


@dataclass(frozen=True, eq=False, kw_only=True)
class DateWords:
    """The section ``dates``."""

    order: str
    months: Numbers
    abbreviations: Words
    ambiguous_months: Words
    name_months: Words
    verb_months: Words
    modal_months: Words
    after_modal: Words
    weekdays: Words
    holidays: Phrases
    of: Words
    before_year: Words
    month_prepositions: Words
    sure_month_prepositions: Words
    hedges: Words
    before_number: Words
    day_prepositions: Words
    weak_day_prepositions: Words
    day_followers: Words
    alternatives: Words
    linking_verbs: Words
    ordinal_nouns: Words
    counted: Words
    not_after_year: Words
    day_words: Words
    periods: Words
    month_words: Words
    relative: Words
    not_before_piece: Words
    counting_ordinals: Words
    doubtful_pieces: Words

    @cached_property
    def is_day_first(self) -> bool:
        """Whether 3/4 is the third of April."""
        return self.order == "day first"

    @cached_property
    def holiday_words(self) -> Words:
        """Words of holidays: a date that the calendar rules do not know may hold one."""
        return frozenset(word for phrase in self.holidays for word in phrase.split())

    @cached_property
    def holidays_by_head(self) -> Mapping[str, tuple[tuple[str, ...], ...]]:
        """The words of each holiday by the first of them, the longest first."""
        return _by_first_word(self.holidays)

    @cached_property
    def before_day(self) -> Words:
        """Words before a day of the month."""
        return self.day_prepositions | self.weak_day_prepositions

    @cached_property
    def before_day_number(self) -> Words:
        """Words before a month that make the number after it a day."""
        return self.before_day | self.month_prepositions | self.before_number

    def is_counted(self, word: str) -> bool:
        """Whether an ordinal before ``word`` counts it: "the fourth finger"."""
        return word in self.ordinal_nouns or word.removesuffix("s") in self.ordinal_nouns


@dataclass(frozen=True, eq=False, kw_only=True)
class AgeWords:
    """The section ``ages``."""

    asks: Phrases
    pronouns: Words
    people: Words
    subjects: Words
    future_subjects: Words
    verbs: Words
    sure_verbs: Words
    age: Words
    auxiliaries: Words
    softeners: Words
    years: Words
    after_years: Words

    @cached_property
    def asking(self) -> re.Pattern[str]:
        """What asks for an age."""
        return phrase_pattern(self.asks)

    @cached_property
    def aged(self) -> Words:
        """Whatever before a verb has an age."""
        return self.people | self.pronouns | self.subjects | self.future_subjects


@dataclass(frozen=True, eq=False, kw_only=True)
class NameWords:
    """The section ``names``."""

    titles: Words
    sure_titles: Words
    capital_titles: Words
    verb_titles: Words
    titles_in_names: Words
    weak_repeat_titles: Words
    particles: Words
    introductions: Phrases
    weak_introductions: Phrases
    hesitations: Words
    after_introduction: Words
    speaking: Words
    here: Words
    asks_agent: Phrases
    place_prepositions: Words
    compounds: Letters
    no_names: Words
    words: Words

    @cached_property
    def outer_titles(self) -> Words:
        """Titles that stay before a name that is redacted."""
        return self.titles - self.titles_in_names

    @cached_property
    def introducing(self) -> re.Pattern[str]:
        """What a name follows, at the end of the words before it."""
        return re.compile(phrase_pattern(self.introductions).pattern + "$")

    @cached_property
    def weakly_introducing(self) -> re.Pattern[str]:
        """What a name or much else follows, at the end of the words before it."""
        return re.compile(phrase_pattern(self.weak_introductions).pattern + "$")

    @cached_property
    def hesitating(self) -> re.Pattern[str]:
        """What people say before a name while they think, at the end of the words before it."""
        words = "|".join(map(re.escape, self.hesitations)) or _NEVER
        return re.compile(rf"(?:[ ,]+(?:{words}))+$")

    @cached_property
    def asking_agent(self) -> re.Pattern[str]:
        """How a caller asks for the agent's name."""
        return phrase_pattern(self.asks_agent)


@dataclass(frozen=True, eq=False, kw_only=True)
class PlaceWords:
    """The section ``places``."""

    streets: Words
    weak_streets: Words
    sure_streets: Words
    capital_streets: Words
    abbreviations: Words
    compass: Words
    in_streets: Words
    counted: Words
    name_like: Words
    inner: Words
    weak_inner: Words
    number_words: Words

    @cached_property
    def all_streets(self) -> Words:
        """Words that end a street's name."""
        return self.streets | self.weak_streets

    @cached_property
    def plain_streets(self) -> Words:
        """Words that tell a street without a number, also in lower case."""
        return self.streets - self.capital_streets


@dataclass(frozen=True, eq=False, kw_only=True)
class OrganisationWords:
    """The section ``organisations``."""

    kinds: Words
    tails: Words
    lower_kinds: Words
    sure_lower_kinds: Words
    joints: Words
    inner_joints: Words
    not_first: Words
    not_names: Words
    not_name_endings: Words
    chains: Phrases
    ordinary_chains: Phrases
    chain_tails: Words
    generic: Words

    @cached_property
    def kinds_and_tails(self) -> Words:
        """Words that end the name of an organisation."""
        return self.kinds | self.tails

    @cached_property
    def chains_by_head(self) -> Mapping[str, tuple[tuple[str, ...], ...]]:
        """The words of each chain's name by the first of them, the longest first."""
        return _by_first_word(self.chains)

    @cached_property
    def ordinary_chain_words(self) -> frozenset[tuple[str, ...]]:
        """The words of each chain's name that needs a capital."""
        return frozenset(map(_tokens, self.ordinary_chains))


@dataclass(frozen=True, eq=False, kw_only=True)
class WebWords:
    """The section ``web``."""

    at: Words
    dot: Words
    dots: Words
    dashes: Words
    underscores: Words
    slashes: Words
    forward: Words
    colon: Words
    endings: Words
    weak_endings: Words
    providers: Words
    stops: Words
    before_letter: Words
    letter_names: Words
    path_words: Words

    @cached_property
    def joints(self) -> Words:
        """What the marks inside an address are called."""
        return self.dots | self.dashes | self.underscores | self.slashes


@dataclass(frozen=True, eq=False, kw_only=True)
class ValueWords:
    """The section ``values``."""

    noise: Words
    after_piece: Words
    extension: Words
    postcodes: Phrases

    @cached_property
    def postcode(self) -> re.Pattern[str]:
        """A postcode with letters, as the letters and digits of a run."""
        return re.compile(_alternatives(self.postcodes))


@dataclass(frozen=True, eq=False, kw_only=True)
class QuestionWords:
    """The section ``questions``."""

    asks: Phrases
    narrow: PhrasesByType

    @cached_property
    def asking(self) -> re.Pattern[str]:
        """What asks for something."""
        return re.compile(rf"\?|{phrase_pattern(self.asks).pattern}")

    @cached_property
    def narrow_patterns(self) -> Mapping[EntityType, re.Pattern[str]]:
        """What asks for this type and no other."""
        return {entity_type: phrase_pattern(narrow) for entity_type, narrow in self.narrow.items()}


@dataclass(frozen=True, eq=False, kw_only=True)
class ForeignWords:
    """The section ``foreign``."""

    months: Words
    numbers: Words
    joints: Words
    words: Words
    elisions: Words
    introductions: Words

    @cached_property
    def numbers_and_joints(self) -> Words:
        """What a date is said with beside its month."""
        return self.numbers | self.joints


@dataclass(frozen=True, eq=False, kw_only=True)
class StayingWords:
    """The section ``stays``."""

    values: Phrases
    words: Phrases
    medicines: Words
