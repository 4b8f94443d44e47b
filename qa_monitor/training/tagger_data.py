"""Calls for training the PHI tagger: written calls varied, and values put into real dialogue.

Every draw differs: other names and digits, values broken over turns, corrections, words misheard,
with capitals and marks or without. Names beyond the product's own lists come from Faker (MIT).
"""

from __future__ import annotations

import importlib
import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from qa_monitor.calls import EntityType, Role
from qa_monitor.redaction.words import ALPHABET
from qa_monitor.training.ner_data import (
    MONTHS,
    ONES,
    ORDINALS,
    TEENS,
    TENS,
    Names,
    fill,
    splice_piece,
    swap_value,
)

__all__ = ["CallSource", "TaggedTurn", "read_turns"]

Edit = tuple[int, int, str]
Spans = tuple[tuple[int, int, EntityType], ...]


@dataclass(frozen=True, slots=True)
class TaggedTurn:
    """A turn with the PHI in it: ``(start, end, type)`` in its text."""

    role: Role
    text: str = field(repr=False)
    spans: Spans


def read_turns(call: dict[str, Any]) -> list[TaggedTurn]:
    """A labelled call as turns to learn from."""
    return [
        TaggedTurn(
            role=Role(turn["speaker"]) if turn["speaker"] in set(Role) else Role.UNKNOWN,
            text=turn["text"],
            spans=tuple(sorted((p["start"], p["end"], EntityType(p["type"])) for p in turn["phi"])),
        )
        for turn in call["turns"]
    ]


# --- rewriting with labels kept ------------------------------------------------------------------


def rewrite(turn: TaggedTurn, edits: Sequence[Edit]) -> TaggedTurn:
    """``turn`` with pieces replaced; the labels keep to what stands where their text stood.

    ``edits`` are ``(start, end, new text)`` in order, none overlapping.
    """
    pieces: list[str] = []
    moved: list[tuple[int, int]] = []  # (place in the old text, shift from there on)
    position = shift = 0
    for start, end, new in edits:
        pieces += [turn.text[position:start], new]
        shift += len(new) - (end - start)
        moved.append((end, shift))
        position = end
    pieces.append(turn.text[position:])
    text = "".join(pieces)

    def at(place: int, *, is_end: bool) -> int:
        total = 0
        for (start, end, new), (_, after) in zip(edits, moved, strict=True):
            if place >= end and not (start == end == place and is_end):
                total = after
            elif start < place < end:
                return start + total + (len(new) if is_end else 0)
        return place + total

    spans: list[tuple[int, int, EntityType]] = []
    for start, end, kind in turn.spans:
        left, right = at(start, is_end=False), at(end, is_end=True)
        while left < right and text[left].isspace():
            left += 1
        while right > left and text[right - 1].isspace():
            right -= 1
        if right > left:
            spans.append((left, right, kind))
    return TaggedTurn(turn.role, text, tuple(spans))


_PUNCTUATION = re.compile(r"[^\w\s'’@&]+")


def without_marks(turn: TaggedTurn) -> TaggedTurn:
    """``turn`` in lower case, hyphens as spaces and other marks gone."""
    edits: list[Edit] = []
    for match in _PUNCTUATION.finditer(turn.text):
        start, end = match.span()
        left = turn.text[start - 1 : start]
        right = turn.text[end : end + 1]
        glue = bool(left.strip()) and bool(right.strip())
        edits.append((start, end, " " if glue else ""))
    plain = rewrite(turn, edits)
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in plain.text)
    return TaggedTurn(plain.role, lowered, plain.spans)


_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_MISHEARD = (
    "the a and to i in it is you that of for on have my with be was but so we not this they he she "
    "there can just know get what one two right now call day pain take need time here been well"
).split()
_SOUNDS = {
    "f": "v", "v": "f", "b": "p", "p": "b", "d": "t", "t": "d", "m": "n", "n": "m", "s": "z",
    "z": "s", "k": "c", "c": "k", "g": "k", "e": "i", "i": "e", "o": "a", "a": "o", "u": "o",
    "l": "r", "r": "l", "j": "g", "h": "", "w": "v", "y": "i",
}  # fmt: skip
_ALIKE = {
    "two": ("to", "too"), "four": ("for",), "eight": ("ate",), "one": ("won", "wan"),
    "oh": ("o", "owe"), "six": ("sicks",), "nine": ("nigh", "line"), "five": ("fife", "fine"),
    "three": ("tree", "free"), "seven": ("sever",), "b": ("be", "bee"), "c": ("see", "sea"),
    "t": ("tea", "tee"), "r": ("are",), "u": ("you",), "y": ("why",), "p": ("pea",), "i": ("eye",),
    "q": ("queue", "cue"), "m": ("em", "n"), "n": ("en", "m", "and"), "a": ("eh", "hey"),
    "h": ("age", "each"), "l": ("el", "hell"), "x": ("ex",), "f": ("s", "ef"), "s": ("f", "ess"),
    "d": ("the", "dee"), "e": ("he",), "k": ("okay", "kay"), "g": ("gee",), "w": ("double you",),
    "sixteen": ("sixty",), "fifteen": ("fifty",), "thirteen": ("thirty",), "nineteen": ("ninety",),
}  # fmt: skip


def misheard(turn: TaggedTurn, rng: random.Random, rate: float) -> TaggedTurn:
    """``turn`` with about ``rate`` of its words heard wrongly, doubled or lost."""
    edits: list[Edit] = []
    inside = [(s, e) for s, e, _ in turn.spans]
    for match in _WORD.finditer(turn.text):
        if rng.random() >= rate:
            continue
        start, end = match.span()
        word = match.group().lower()
        is_value = any(s <= start and end <= e for s, e in inside)
        draw = rng.random()
        if word in _ALIKE and draw < 0.7:
            edits.append((start, end, rng.choice(_ALIKE[word])))
        elif is_value or draw < 0.5:
            letters = list(word)
            for _ in range(1 + (len(word) > 6)):
                place = rng.randrange(len(letters))
                letters[place] = _SOUNDS.get(letters[place], letters[place])
            made = "".join(letters)
            if len(made) > 5 and rng.random() < 0.15:
                cut = rng.randrange(2, len(made) - 2)
                made = f"{made[:cut]} {made[cut:]}"
            edits.append((start, end, made or word))
        elif draw < 0.65:
            edits.append((start, end, rng.choice(_MISHEARD)))
        elif draw < 0.8:
            edits.append((start, end, f"{word} {word}"))
        else:
            edits.append((start, end, ""))
    return rewrite(turn, edits)


_FILLERS = ("um", "uh", "er", "hm", "let me see", "sorry", "i think", "like", "wait")


def hesitating(turn: TaggedTurn, rng: random.Random, rate: float) -> TaggedTurn:
    """``turn`` with fillers between its words; inside a value they belong to it."""
    edits: list[Edit] = []
    for match in re.finditer(r"(?<=\w) (?=\w)", turn.text):
        if rng.random() < rate:
            said = rng.choice(_FILLERS[:4] if rng.random() < 0.8 else _FILLERS)
            joint = rng.choice((f" {said} ", f", {said}, "))
            edits.append((match.start(), match.end(), joint))
    return rewrite(turn, edits)


_BACKCHANNELS = (
    "mm-hmm", "okay", "uh-huh", "yes", "go on", "go ahead", "got it", "right", "yep", "and",
    "sorry, go ahead", "one second", "one moment", "and the rest?", "I'm listening", "mhm",
)  # fmt: skip


def broken(turn: TaggedTurn, rng: random.Random) -> list[TaggedTurn]:
    """``turn`` broken in two inside a value, with the other speaker between."""
    spans = [span for span in turn.spans if " " in turn.text[span[0] : span[1]]]
    if not spans:
        return [turn]
    start, end, _ = rng.choice(spans)
    gaps = [start + m.start() for m in re.finditer(" ", turn.text[start:end])]
    cut = rng.choice(gaps)
    first, second = _cut(turn, cut)
    other = {Role.AGENT: Role.CALLER, Role.CALLER: Role.AGENT}.get(turn.role, Role.UNKNOWN)
    return [first, TaggedTurn(other, rng.choice(_BACKCHANNELS), ()), second]


def _cut(turn: TaggedTurn, place: int) -> tuple[TaggedTurn, TaggedTurn]:
    left = TaggedTurn(
        turn.role,
        turn.text[:place],
        tuple((s, min(e, place), k) for s, e, k in turn.spans if s < place),
    )
    right = rewrite(
        TaggedTurn(
            turn.role,
            " " * place + turn.text[place:],
            tuple((max(s, place), e, k) for s, e, k in turn.spans if e > place),
        ),
        [(0, place + 1, "")],
    )
    return rewrite(left, []), right


# --- other values --------------------------------------------------------------------------------

# First to third are seldom told from counting, so they are left as they are.
_LATER_ORDINALS = ORDINALS[3:]
_CLASSES = {word: group for group in (ONES, TEENS, TENS, _LATER_ORDINALS, MONTHS) for word in group}
_CODED = frozenset(
    {
        EntityType.PHONE, EntityType.FAX, EntityType.SSN, EntityType.MEMBER_ID, EntityType.MRN,
        EntityType.ACCOUNT, EntityType.LICENSE, EntityType.DEVICE, EntityType.IP,
        EntityType.OTHER_ID, EntityType.DATE,
    }
)  # fmt: skip


def _other_digits(value: str, kind: EntityType, rng: random.Random) -> str:
    """``value`` with other digits, number words, months and code letters."""

    def draw(match: re.Match[str]) -> str:
        word = match.group()
        low = word.lower()
        if low in {"oh", "zero"}:
            return rng.choice(("oh", "zero", *ONES[1:]))
        if low in _CLASSES:
            made = rng.choice(_CLASSES[low])
            return made.capitalize() if word[0].isupper() else made
        if word.isdecimal() and kind is not EntityType.DATE:
            return "".join(rng.choice("0123456789") for _ in word)
        if word.isdecimal() and len(word) <= 2:
            return str(rng.randrange(1, 29)).zfill(len(word))
        is_code = kind not in {EntityType.DATE, EntityType.IP}
        follows = value[match.end() :].lstrip(" ,")
        if is_code and len(word) == 1 and word not in "aI" and not follows.startswith("as"):
            made = rng.choice("bcdefghjklmnpqrstvwxyz")
            return made.upper() if word.isupper() else made
        return word

    return re.sub(r"[A-Za-z]+|\d+", draw, value)


def with_other_values(turns: Sequence[TaggedTurn], names: Names) -> list[TaggedTurn]:
    """The call with other people, places, companies and digits in it."""
    swapped: dict[tuple[str, str], str] = {}
    others: list[TaggedTurn] = []
    for turn in turns:
        edits: list[Edit] = []
        for start, end, kind in turn.spans:
            value = turn.text[start:end]
            if kind in _CODED:
                made = _other_digits(value, kind, names.rng)
            else:
                made = swap_value(value, kind.value, names, swapped)
            edits.append((start, end, made))
        others.append(rewrite(turn, edits))
    return others


# --- values as they are said ---------------------------------------------------------------------


@cache
def _faker_names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """First and last names of many countries, lower-case, in Latin letters without accents."""
    firsts: set[str] = set()
    lasts: set[str] = set()
    for locale in (
        "en_US en_GB en_IN es_MX fr_FR de_DE it_IT pt_BR nl_NL vi_VN id_ID es_ES sv_SE no_NO fi_FI "
        "cs_CZ ro_RO hu_HU en_NZ en_KE en_NG yo_NG ha_NG ig_NG zu_ZA tw_GH en_PK hr_HR lt_LT"
    ).split():
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        for attribute, into in (
            ("first_names", firsts), ("first_names_male", firsts), ("first_names_female", firsts),
            ("last_names", lasts),
        ):  # fmt: skip
            for name in getattr(provider, attribute, ()):
                plain = unicodedata.normalize("NFKD", str(name)).encode("ascii", "ignore").decode()
                if re.fullmatch(r"[A-Za-z'-]{2,14}(?: [A-Za-z'-]{2,14})?", plain):
                    into.add(plain.lower())
    return tuple(sorted(firsts)), tuple(sorted(lasts))


class WideNames(Names):
    """Names drawn from the product's lists and, half the time, from those of many countries."""

    def first(self) -> str:
        """A first name, lower-case."""
        if not self.is_test and self.rng.random() < 0.5:
            return self.rng.choice(_faker_names()[0])
        return super().first()

    def last(self) -> str:
        """A last name, lower-case."""
        if not self.is_test and self.rng.random() < 0.5:
            return self.rng.choice(_faker_names()[1])
        return super().last()


_PAUSES = (", ", ", ", ", ", "... ", " then ", ", then ", " and then ", " uh ", " dash ", ". ")


def say_digits(digits: str, rng: random.Random) -> str:
    """Digits as people say them: one by one, in pairs, "double five", with pauses."""
    said: list[str] = []
    position = 0
    zero = rng.choice(("oh", "zero", "oh", "nought"))
    style = rng.choice(("single", "single", "mixed", "pairs"))
    while position < len(digits):
        digit = digits[position]
        pair = digits[position : position + 2]
        if len(pair) == 2 and pair[0] == pair[1] and rng.random() < 0.3:
            if digits[position : position + 3] == digit * 3 and rng.random() < 0.5:
                said.append(f"triple {_digit(digit, zero)}")
                position += 3
            else:
                said.append(f"double {_digit(digit, zero)}")
                position += 2
        elif (
            len(pair) == 2
            and digit != "0"
            and (style == "pairs" or (style == "mixed" and rng.random() < 0.3))
        ):
            said.append(_two_digits(int(pair)))
            position += 2
        else:
            said.append(_digit(digit, zero))
            position += 1
    joined = said[0]
    for i, word in enumerate(said[1:], 1):
        is_pause = i % 3 == 0 and rng.random() < 0.45
        joined += (rng.choice(_PAUSES) if is_pause else " ") + word
    return joined


def _digit(digit: str, zero: str) -> str:
    return zero if digit == "0" else ONES[int(digit)]


def _two_digits(value: int) -> str:
    if value < 10:
        return f"oh {ONES[value]}"
    if value < 20:
        return TEENS[value - 10]
    return TENS[value // 10 - 2] + (f" {ONES[value % 10]}" if value % 10 else "")


def _random_digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _grouped(digits: str, rng: random.Random, sizes: Sequence[int]) -> str:
    """Written digits in groups."""
    mark = rng.choice(("-", " ", "-", ""))
    parts: list[str] = []
    position = 0
    for size in sizes:
        parts.append(digits[position : position + size])
        position += size
    return mark.join(part for part in parts if part)


def say_letters(letters: str, rng: random.Random) -> str:
    """Letters as people spell: bare, with words, in the alphabet of radio."""
    style = rng.choice(("bare", "bare", "bare", "word", "nato"))
    nato = {word[0]: word for word in sorted(ALPHABET)}
    said: list[str] = []
    for letter in letters:
        if style == "nato" and letter in nato:
            said.append(nato[letter])
        elif (style == "word" and rng.random() < 0.6) or rng.random() < 0.05:
            word = rng.choice([w for w in _SPELLING_WORDS if w[0] == letter] or [letter])
            said.append(f"{letter.upper()} {rng.choice(('as in', 'for', 'like', 'as in'))} {word}")
        else:
            said.append(letter.upper() if rng.random() < 0.6 else letter)
    return rng.choice((" ", ", ", " ", "-" if style == "bare" else " ")).join(said)


_SPELLING_WORDS = (
    "apple adam boy bravo cat charlie david dog edward echo frank freddie fox george golf harry "
    "hotel ida igloo india john james king kilo larry lima lemon mary mike mother nancy november "
    "nora oscar ocean orange paul peter papa queen quebec robert romeo sam sugar sierra tom tango "
    "tommy uncle umbrella victor violet william whiskey xray yellow yankee zebra zulu"
).split()


def _said_or_written(digits: str, rng: random.Random, sizes: Sequence[int]) -> str:
    return say_digits(digits, rng) if rng.random() < 0.65 else _grouped(digits, rng, sizes)


def _phone(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.6:
        return _said_or_written(_random_digits(rng, 10), rng, (3, 3, 4))
    if draw < 0.75:
        return _said_or_written(_random_digits(rng, 7), rng, (3, 4))
    if draw < 0.85:
        return _said_or_written(_random_digits(rng, 4), rng, (4,))
    return _said_or_written("0" + _random_digits(rng, 10), rng, (5, 6))


def _code(rng: random.Random) -> str:
    """An identifier of letters and digits."""
    letters = "".join(
        rng.choice("abcdefghjklmnpqrstuvwxyz") for _ in range(rng.choice((0, 1, 2, 3)))
    )
    digits = _random_digits(rng, rng.randrange(4, 11))
    if rng.random() < 0.3:
        return (letters + digits).upper()
    tail = rng.choice(("", "", rng.choice("abcdexyz")))
    parts = [say_letters(letters, rng) if letters else "", say_digits(digits, rng)]
    if tail:
        parts.append(tail.upper())
    if rng.random() < 0.1:
        parts.insert(1, rng.choice(("dash", "hyphen", "slash")))
    return rng.choice((" ", ", ")).join(part for part in parts if part)


def _postcode(rng: random.Random) -> str:
    area = "".join(rng.choice("abcdefghklmnoprstw") for _ in range(rng.choice((1, 2, 2))))
    district = str(rng.randrange(1, 30))
    inward = rng.choice("0123456789"), "".join(rng.choice("abdefghjlnpqrstuwxyz") for _ in "ab")
    if rng.random() < 0.2:
        return f"{area}{district} {inward[0]}{inward[1]}".upper()
    said = (
        district
        if rng.random() < 0.2
        else (
            _two_digits(int(district))
            if rng.random() < 0.7 and int(district) > 9
            else " ".join(ONES[int(d)] for d in district)
        )
    )
    third = inward[0] if rng.random() < 0.2 else _digit(inward[0], rng.choice(("oh", "zero")))
    parts = [say_letters(area, rng), said, third, say_letters(inward[1], rng)]
    return rng.choice((" ", ", ", " ")).join(parts)


def _zip(rng: random.Random) -> str:
    return _said_or_written(_random_digits(rng, 5), rng, (5,))


def _year(rng: random.Random) -> str:
    year = rng.randrange(1926, 2026)
    high, low = divmod(year, 100)
    draw = rng.random()
    if draw < 0.3:
        return str(year)
    if draw < 0.55:
        return _two_digits(low) if low else "two thousand"
    if year >= 2000 and draw < 0.8:
        small = "" if low == 0 else " " + (ONES[low] if low < 10 else _two_digits(low))
        return f"two thousand{rng.choice(('', ' and')) if small else ''}{small}"
    return f"{_two_digits(high)} {_two_digits(low) if low else 'hundred'}"


def _date_of_birth(rng: random.Random) -> str:
    month, day = rng.randrange(1, 13), rng.randrange(1, 29)
    name = MONTHS[month - 1]
    name = name.capitalize() if rng.random() < 0.6 else name
    ordinal = ORDINALS[day - 1] if day <= 20 else f"twenty{rng.choice('- ')}{ORDINALS[day - 21]}"
    if rng.random() < 0.25:
        ordinal = (
            f"{day}{'th' if 4 <= day <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"
        )
    spoken = _two_digits(day) if rng.random() < 0.8 else str(day)
    numbers = (
        f"{_two_digits(month) if rng.random() < 0.7 else month} {spoken}",
        f"{spoken} {_two_digits(month) if rng.random() < 0.7 else month}",
    )
    year = _year(rng)
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"{name} {ordinal}, {year}",
        lambda: f"{name} {ordinal} {year}",
        lambda: f"{name} the {ordinal} {year}",
        lambda: f"the {ordinal} of {name} {year}",
        lambda: f"{ordinal} {name} {year}",
        lambda: f"{spoken} {name} {year}",
        lambda: f"{name} {spoken} {year}",
        lambda: f"{numbers[0]} {year}",
        lambda: f"{numbers[1]} {year}",
        lambda: f"the {ordinal} of the {rng.choice(_LATER_ORDINALS[:9])} {year}",
        lambda: f"{month:02d}{rng.choice('/-. ')}{day:02d}{rng.choice('/-. ')}{year}",
        lambda: f"{name} {year}",
        lambda: f"{ordinal} of {name}",
        lambda: say_digits(f"{month:02d}{day:02d}{rng.randrange(26, 99)}", rng),
    )
    return rng.choice(forms)()


def _mail(names: Names) -> str:
    rng = names.rng
    first, last = names.first().replace(" ", ""), names.last().replace(" ", "")
    host = rng.choice(("gmail", "yahoo", "outlook", "hotmail", "aol", "icloud", names.last()))
    end = rng.choice(("com", "com", "net", "org", "co.uk"))
    if rng.random() < 0.3:
        local = rng.choice((f"{first}.{last}", f"{first[0]}{last}", f"{first}_{rng.randrange(99)}"))
        return f"{local}@{host}.{end}".replace(" ", "")
    number = rng.choice(("", f" {say_digits(_random_digits(rng, 2), rng)}"))
    local = rng.choice(
        (f"{first} dot {last}{number}", f"{first[0]} {last}{number}", f"{first}{last}{number}",
         f"{first} underscore {last}", f"{say_letters(first[:6], rng)} dot {last}",
         f"{last} dash {first}{number}")
    )  # fmt: skip
    return f"{local} at {host} dot {end.replace('.', ' dot ')}"


def _web(names: Names) -> str:
    rng = names.rng
    host = names.last().replace(" ", "") + rng.choice(("clinic", "health", "", "care", "med"))
    end = rng.choice(("com", "org", "net", "co.uk"))
    if rng.random() < 0.4:
        return rng.choice(("www.", "", "https://")) + f"{host}.{end}"
    lead = rng.choice(("w w w dot ", "www dot ", "", "my dot "))
    return f"{lead}{host} dot {end.replace('.', ' dot ')}" + rng.choice(("", " slash portal"))


def _name(names: Names, words: Sequence[str]) -> str:
    """A person's name, at times one that a recogniser took for ordinary words."""
    rng = names.rng
    draw = rng.random()
    if draw < 0.12:
        return " ".join(rng.choice(words) for _ in range(rng.choice((1, 2, 2))))
    if draw < 0.25:
        return names.spelled()
    return names.person()


_LEADS = (
    "", "", "", "", "it's ", "it is ", "that's ", "that would be ", "yes, ", "yeah it's ",
    "sure, ",
    "um, ", "okay, ", "so it's ", "let me see, ", "I think it's ", "uh ", "my {w} is ",
    "the {w} is ",
    "yes it's ", "oh, ", "certainly, ", "it should be ", "here it is, ", "um yeah ", "{w} is ",
)  # fmt: skip
_TAILS = (
    "",
    "",
    "",
    "",
    ".",
    ".",
    " please",
    ", thanks",
    " I think",
    ", yes",
    ". Is that right?",
    " if that helps",
    ", that's it",
    " okay?",
    ", and that's all I have",
    ", yeah",
)
_ASKS: dict[EntityType, tuple[tuple[str, ...], tuple[str, ...]]] = {
    EntityType.PERSON: (
        ("name", "full name", "first name", "last name", "surname", "daughter's name"),
        ("Can I have your {w}?", "What is your {w}, please?", "And the {w}?",
         "Could you spell your {w}?",
         "Your {w}?", "May I get your {w}?", "Who am I speaking with?", "Who's calling?",
         "Could you please tell me your {w}?", "what's your {w}", "Spell that for me?"),
    ),
    EntityType.DATE: (
        ("date of birth", "birthday", "birth date", "DOB"),
        ("And your {w}?", "What's your {w}?", "Can you verify your {w}?",
         "Could I take your {w}, please?",
         "{w}, please.", "When were you born?", "your {w} for me"),
    ),
    EntityType.PHONE: (
        ("phone number", "number", "call-back number", "cell", "mobile number", "telephone number"),
        ("What's the best {w}?", "And a {w}?", "Can I have your {w} in case we get cut off?",
         "Which {w} should we use?", "Area code first.", "And the last four?"),
    ),
    EntityType.LOCATION: (
        ("address", "postcode", "zip code", "zip", "post code", "home address", "postal code"),
        ("What's your {w}?", "And the {w}?", "Could you tell me your {w}?",
         "Can I take your {w}, please?",
         "{w}?", "Please tell me your {w}."),
    ),
    EntityType.MEMBER_ID: (
        ("member ID", "policy number", "member number", "group number", "insurance ID", "plan ID"),
        ("What is the {w} on the card?", "Can you read me the {w}?", "And your {w}?",
         "{w}, please?"),
    ),
    EntityType.MRN: (
        ("record number", "chart number", "medical record number", "NHS number", "MRN"),
        ("Do you have the {w}?", "What's the {w}?", "Can you give me your {w}?"),
    ),
    EntityType.ACCOUNT: (
        ("account number", "card number", "security code", "routing number", "sort code"),
        ("What's the {w} on the bill?", "Can I have the {w}?", "And the {w}?",
         "Go ahead with the {w}."),
    ),
    EntityType.SSN: (
        ("social security number", "social", "last four of your social",
         "national insurance number"),
        ("And your {w}?", "Can you verify the {w}?", "Could I get the {w}?"),
    ),
    EntityType.OTHER_ID: (
        ("case number", "claim number", "confirmation number", "prescription number", "reference",
         "verification code", "ticket number", "authorization number", "Rx number"),
        ("Do you have a {w}?", "What's the {w}?", "Could you read me the {w}?", "And the {w}?"),
    ),
    EntityType.FAX: (
        ("fax number", "fax"),
        ("What's the {w}?", "And the {w} there?", "Where do we fax it, the {w}?"),
    ),
    EntityType.EMAIL: (
        ("email", "email address", "e-mail"),
        ("What's your {w}?", "Can I get an {w}?", "Which {w} do we have?", "Spell the {w} for me?"),
    ),
    EntityType.URL: (
        ("website", "web address", "link"), ("What's the {w}?", "Which {w} was it?"),
    ),
    EntityType.LICENSE: (
        ("license number", "driver's license", "plate", "licence number", "number plate"),
        ("What's the {w}?", "And the {w}?"),
    ),
    EntityType.DEVICE: (
        ("serial number", "device number", "pump serial", "lot number", "model and serial"),
        ("Can you read the {w}?", "What's the {w} on the back?", "And the {w}?"),
    ),
    EntityType.IP: (("IP address",), ("What does it say for {w}?",)),
    EntityType.ORGANIZATION: (
        ("pharmacy", "insurance", "doctor's office", "employer", "hospital", "clinic"),
        ("Which {w}?", "What {w} do you use?", "And your {w}?", "Who's your {w} with?"),
    ),
    EntityType.AGE: (
        ("age",), ("How old is she?", "And your {w}?", "How old are you, if I may ask?"),
    ),
}  # fmt: skip


def _value(kind: EntityType, names: Names, words: Sequence[str]) -> str:
    rng = names.rng
    match kind:
        case EntityType.PERSON:
            return _name(names, words)
        case EntityType.DATE:
            return _date_of_birth(rng)
        case EntityType.PHONE | EntityType.FAX:
            return _phone(rng)
        case EntityType.LOCATION:
            draw = rng.random()
            if draw < 0.4:
                return _postcode(rng)
            if draw < 0.65:
                return _zip(rng)
            address = names.address()
            return address if draw < 0.8 else f"{address}, {names.town()}"
        case EntityType.SSN:
            digits = _random_digits(rng, rng.choice((9, 4)))
            return _said_or_written(digits, rng, (3, 2, 4) if len(digits) == 9 else (4,))
        case EntityType.EMAIL:
            return _mail(names)
        case EntityType.URL:
            return _web(names)
        case EntityType.ORGANIZATION:
            return names.organisation()
        case EntityType.AGE:
            value = rng.randrange(90, 104)
            if rng.random() < 0.4:
                return str(value)
            return _two_digits(value) if value < 100 else f"a hundred and {ONES[value % 100 or 1]}"
        case EntityType.IP:
            joint = rng.choice((" dot ", "."))
            parts = [str(rng.randrange(1, 256)) for _ in range(4)]
            said = [say_digits(p, rng) for p in parts] if joint == " dot " else parts
            return joint.join(said)
        case EntityType.MRN | EntityType.ACCOUNT:
            digits = _random_digits(rng, rng.choice((3, 4, 6, 7, 8, 10, 10, 16)))
            return _said_or_written(digits, rng, (3, 3, 4, 6)) if rng.random() < 0.7 else _code(rng)
        case _:
            return _code(rng)


_READ_BACKS = (
    "So that's {x}.", "{x}, got it.", "Okay, {x}, is that right?", "I have {x}.", "That was {x}?",
    "Thank you, {x}.", "Let me read that back, {x}.", "{x}?", "Right, {x}, correct?",
)  # fmt: skip


def _turn(role: Role, form: str, value: str, kind: EntityType) -> TaggedTurn:
    before, slot, after = form.partition("{x}")
    if not slot:
        return TaggedTurn(role, form, ())
    return TaggedTurn(
        role, before + value + after, ((len(before), len(before) + len(value), kind),)
    )


def exchange(names: Names, words: Sequence[str]) -> list[TaggedTurn]:
    """A question for a value and its answer, at times corrected, broken, spelled or read back."""
    rng = names.rng
    kind = rng.choices(
        list(_ASKS),
        weights=[6, 5, 4, 6, 3, 3, 3, 2, 3, 1, 2, 1, 1, 1, 0.5, 1, 1],
    )[0]
    nouns, questions = _ASKS[kind]
    noun = rng.choice(nouns)
    value = _value(kind, names, words)
    ask = TaggedTurn(Role.AGENT, rng.choice(questions).replace("{w}", noun), ())
    lead, tail = rng.choice(_LEADS).replace("{w}", noun), rng.choice(_TAILS)
    answer = _turn(Role.CALLER, f"{lead}{{x}}{tail}", value, kind)
    turns = [ask, answer]
    if rng.random() < 0.15:
        wrong = rng.choice((", no sorry, ", ", no wait, ", " I mean ", ", sorry, "))
        other = _value(kind, names, words)
        second = _turn(Role.CALLER, f"{{x}}{tail}", other, kind)
        shift = len(answer.text) - len(tail) + len(wrong)
        text = answer.text[: len(answer.text) - len(tail)] + wrong + second.text
        spans = (*answer.spans, *((s + shift, e + shift, k) for s, e, k in second.spans))
        turns[1] = TaggedTurn(Role.CALLER, text, spans)
    if rng.random() < 0.2:
        turns[1:] = broken(turns[1], rng)
    if rng.random() < 0.25:
        turns.append(_turn(Role.AGENT, rng.choice(_READ_BACKS), value, kind))
        turns.append(TaggedTurn(Role.CALLER, rng.choice(("yes", "yeah", "that's right", "no")), ()))
    if rng.random() < 0.15:
        # The question came earlier, or nobody asked.
        del turns[0]
    return turns


_QUANTITY_ASKS = (
    "How much do you weigh?", "What was the blood pressure?", "How many milligrams?",
    "What's her temperature?", "How many a day?", "How long has this been going on?",
    "What time works for you?", "How old is he?", "How much is the bill?", "What's the copay?",
    "How many pills are left?", "On a scale of one to ten?", "What did the sugar read?",
    "How many weeks along are you?", "How far is it?", "When did it start?", "Which medication?",
    "What year was the surgery?", "How many refills?", "What does the bottle say?",
    "How tall are you?", "Which one hurts?", "How much have you had to drink?", "And how often?",
    "What dose?", "How long is the wait?", "What day would you like?", "Which state?",
)  # fmt: skip
_QUANTITIES = (
    "{n} over {m}", "{n} pounds", "{n} milligrams", "{n}", "{m} milligrams twice a day", "{m}",
    "about {m} days", "since {day}", "{time}", "{n} dollars and {m} cents", "{m} out of ten",
    "{m} weeks", "{m} point {d}", "{n} point {d}", "{d} times a day", "one or two", "half past {d}",
    "{d} {d} or {d}", "maybe {m} minutes", "{med}", "{med} {m} milligrams", "{d} of the {med}",
    "in {year}", "about {m}", "five foot {d}", "{d} {d} {d} milligrams", "the second one",
    "first thing on {day}", "{m} years ago", "{m} percent", "{day} or {day}", "every {d} hours",
    "both of them", "a hundred and {m}", "she's {m}", "he's {m} years old", "number {d}",
    "the {med} and the {med}", "{d} puffs of {med}", "room {d}", "press {d}", "{time} on {day}",
)  # fmt: skip
_DAYS = "monday tuesday wednesday thursday friday saturday sunday tomorrow today".split()


def quiet_exchange(names: Names) -> list[TaggedTurn]:
    """A question for a quantity and its answer: numbers and names that are no PHI."""
    rng = names.rng

    def fill_in(match: re.Match[str]) -> str:
        match match[1]:
            case "n":
                value = rng.randrange(90, 400)
                return rng.choice(
                    (str(value), f"{ONES[value // 100]} {_two_digits(value % 100 or 40)}",
                     f"{ONES[value // 100]} hundred {_two_digits(max(10, value % 100))}")
                )  # fmt: skip
            case "m":
                value = rng.randrange(10, 89)
                return rng.choice((str(value), _two_digits(value)))
            case "d":
                return rng.choice(ONES[1:])
            case "day":
                return rng.choice(_DAYS)
            case "time":
                hour, minute = rng.randrange(1, 13), rng.choice(("thirty", "fifteen", "o'clock"))
                return f"{_two_digits(hour) if hour > 9 else ONES[hour]} {minute}"
            case "year":
                return f"{rng.choice(('nineteen', 'twenty'))} {_two_digits(rng.randrange(10, 24))}"
            case _:
                return names.medicine()

    form = rng.choice(_LEADS[:18]) if rng.random() < 0.6 else ""
    said = re.sub(r"\{(\w+)\}", fill_in, rng.choice(_QUANTITIES))
    form = form.replace("my {w} is ", "it's ").replace("the {w} is ", "it's ")
    return [
        TaggedTurn(Role.AGENT, rng.choice(_QUANTITY_ASKS), ()),
        TaggedTurn(Role.CALLER, form + said + rng.choice(_TAILS[:9]), ()),
    ]


# --- the whole -----------------------------------------------------------------------------------


@dataclass(slots=True)
class CallSource:
    """Draws calls to learn from: ``calls`` are labelled, ``dialogues`` hold no PHI to speak of."""

    calls: list[list[TaggedTurn]]
    dialogues: list[list[str]]
    names: Names
    templates: tuple[str, ...]
    words: tuple[str, ...]
    """Ordinary words that names are at times misheard as."""

    def varied(self, turns: Sequence[TaggedTurn], *, is_heard: bool = False) -> list[TaggedTurn]:
        """A written call as it might be said and heard this time."""
        rng = self.names.rng
        made = list(turns)
        if rng.random() < 0.65:
            made = with_other_values(made, self.names)
        if rng.random() < 0.5:
            made = [part for turn in made for part in self._maybe_broken(turn, 0.08)]
        made = self._as_heard(made, is_heard=is_heard)
        return self._partly_redacted(made) if rng.random() < 0.08 else made

    def _partly_redacted(self, turns: Sequence[TaggedTurn]) -> list[TaggedTurn]:
        """The call with placeholders in place of some values, as what was redacted before has."""
        rng = self.names.rng
        share = rng.choice((0.3, 0.8, 1.0))
        made: list[TaggedTurn] = []
        for turn in turns:
            hidden = [span for span in turn.spans if rng.random() < share]
            seen = tuple(span for span in turn.spans if span not in hidden)
            edits = [(s, e, f"<{kind.value}_{rng.randrange(1, 9)}>") for s, e, kind in hidden]
            made.append(rewrite(TaggedTurn(turn.role, turn.text, seen), edits))
        return made

    def _maybe_broken(self, turn: TaggedTurn, share: float) -> list[TaggedTurn]:
        rng = self.names.rng
        if any(" " in turn.text[s:e] for s, e, _ in turn.spans) and rng.random() < share:
            return broken(turn, rng)
        return [turn]

    def _as_heard(self, turns: Sequence[TaggedTurn], *, is_heard: bool = False) -> list[TaggedTurn]:
        rng = self.names.rng
        style = rng.choice(("written", "bare", "mixed"))
        rate = 0.0 if is_heard else rng.choice((0.0, 0.0, 0.04, 0.1))
        hesitation = rng.choice((0.0, 0.0, 0.03))
        unknown = rng.random() < 0.12
        made: list[TaggedTurn] = []
        for turn in turns:
            heard = hesitating(turn, rng, hesitation) if hesitation else turn
            if style == "bare" or (style == "mixed" and rng.random() < 0.5):
                heard = without_marks(heard)
                if rate:
                    heard = misheard(heard, rng, rate)
            if unknown:
                heard = TaggedTurn(Role.UNKNOWN, heard.text, heard.spans)
            made.append(heard)
        return made

    def spliced(self) -> list[TaggedTurn]:
        """Some turns of a real dialogue, with values put in at random places."""
        rng = self.names.rng
        dialogue = rng.choice(self.dialogues)
        length = min(len(dialogue), rng.randrange(6, 24))
        start = rng.randrange(len(dialogue) - length + 1)
        swap = rng.random() < 0.5
        turns: list[TaggedTurn] = []
        for index, text in enumerate(dialogue[start : start + length]):
            role = (Role.AGENT, Role.CALLER)[(index + swap) % 2]
            turn = TaggedTurn(role, text, ())
            draw = rng.random()
            if draw < 0.3:
                turn = self._splice(turn)
            turns.append(turn)
            if draw > 0.97:
                turns.extend(exchange(self.names, self.words))
        return self._as_heard(turns)

    def _splice(self, turn: TaggedTurn) -> TaggedTurn:
        text, spans = self._piece()
        gaps = [m.start() for m in re.finditer(" ", turn.text)]
        place = self.names.rng.choice([0, len(turn.text), *gaps, *gaps])
        left, right = turn.text[:place].rstrip(), turn.text[place:].lstrip()
        before = f"{left} " if left else ""
        moved = tuple((s + len(before), e + len(before), k) for s, e, k in spans)
        return TaggedTurn(turn.role, f"{before}{text}{' ' if right else ''}{right}", moved)

    def _piece(self) -> tuple[str, Spans]:
        text, spans = splice_piece(self.names)
        return text, tuple((s, e, EntityType(k)) for s, e, k in spans if k != "NONE")

    def template(self) -> list[TaggedTurn]:
        """Some exchanges of made-up calls."""
        turns: list[TaggedTurn] = []
        rng = self.names.rng
        for line in rng.sample(self.templates, 3):
            for index, part in enumerate(line.split("|")):
                text, spans = fill(part.strip(), "PERSON", self.names)
                role = (Role.AGENT, Role.CALLER)[index % 2]
                kinds = tuple((s, e, EntityType(k)) for s, e, k in spans if k != "NONE")
                turns.append(TaggedTurn(role, text, kinds))
        for _ in range(rng.randrange(1, 5)):
            turns.extend(exchange(self.names, self.words))
            if rng.random() < 0.6:
                turns.extend(quiet_exchange(self.names))
        return self._as_heard(turns)
