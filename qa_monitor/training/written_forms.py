"""Calls as a large recogniser writes them: digits, capitals, marks; the labels carried along.

Written calls spell numbers out as they are said ("six one seven, five five five, oh one four
two"), and so do small recognisers; large ones write "617-555-0142". ``as_written`` turns the first
into the second, by the forms that Whisper (Radford et al. 2022) is known to write. Which words
become digits is fixed by rules; how the digits are set ("617 555 0142", "03-14-51", "3/14/51") is
drawn anew for each value.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from qa_monitor.calls import Dialogue, EntityType, Role, Turn
from qa_monitor.redaction.calltext import CallText
from qa_monitor.redaction.dates import numeric_date
from qa_monitor.redaction.spoken import Run, Unit, find_runs, number_at
from qa_monitor.redaction.words import (
    MONTHS,
    NUMBER_WORDS,
    ORDINALS,
    WEEKDAYS,
    is_common,
    is_written_ordinal,
)

__all__ = ["as_written"]

Edit = tuple[int, int, str]

_CODES = frozenset(
    {
        EntityType.PHONE, EntityType.FAX, EntityType.SSN, EntityType.MEMBER_ID, EntityType.MRN,
        EntityType.ACCOUNT, EntityType.LICENSE, EntityType.DEVICE, EntityType.OTHER_ID,
        EntityType.IP,
    }
)  # fmt: skip
_REPEATS = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
_SAID = NUMBER_WORDS - set(_REPEATS)
_ZEROS = frozenset("oh zero nought naught".split())
_TENS = frozenset("twenty thirty forty fifty sixty seventy eighty ninety".split())
_DASHES = frozenset("dash hyphen minus".split())
_SLASHES = frozenset("slash stroke oblique".split())
_JOINTS = _DASHES | _SLASHES | {"space"}
_PAUSE = re.compile(r"[,;.…]|\b(?:um+|uh+|uhm|erm?|hmm?)\b", re.IGNORECASE)
# "UH" is letters.
_FILLER = re.compile(
    r"(?<![\w'’-])(?:[Uu]m+|[Uu]h+|[Uu]hm|[Ee]rm)(?![\w'’-]| (?:huh|oh)\b)([,.…]*)\s*"
)
_FALSE_START = re.compile(r"[,\s]+([.?!])")
_ENDS = re.compile(r"[.?!…][\"”']?$")


def as_written(call: Mapping[str, Any], *, rng: random.Random) -> dict[str, Any]:
    """``call`` as a large recogniser writes it; the call given is left as it is.

    ``call`` is a labelled call, ``{"turns": [{"text", "phi": [{"start", "end", "type", ...}]}]}``.
    Turns, other fields and the number and types of labels stay; a label covers what its words
    became. What is written in digits and with marks already stays as it is.
    """
    return {**call, "turns": [_write_turn(turn, rng) for turn in call["turns"]]}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A label's text, or a word between labels; ``kind`` is ``None`` outside labels."""

    text: str = field(repr=False)
    kind: EntityType | None = None
    is_glued: bool = False
    """No space stands before it."""


def _write_turn(turn: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
    labels = sorted(turn["phi"], key=lambda label: int(label["start"]))
    text: str = turn["text"]
    pieces: list[_Piece] = []
    position = 0
    for label in labels:
        start, end = int(label["start"]), int(label["end"])
        before = text[position:start]
        pieces.extend(_words(_prose(before, rng), is_glued=position > 0))
        kind = EntityType(label["type"])
        value = text[start:end]
        is_code = kind in _CODES or kind is EntityType.DATE
        said = _without_fillers(value, pause=", " if is_code else "")
        written = " ".join(_WRITERS[kind](said, kind, rng).split())
        is_glued = start > 0 and not text[start - 1].isspace()
        pieces.append(_Piece(written or value, kind, is_glued))
        position = end
    rest = _prose(text[position:], rng)
    if not labels and not rest.strip():
        rest = text
    pieces.extend(_words(rest, is_glued=position > 0))
    made, spans = _assemble(_finish(text, pieces))
    phi = [
        {**label, "start": start, "end": end, "text": made[start:end]}
        for label, (start, end) in zip(labels, spans, strict=True)
    ]
    return {**turn, "text": made, "phi": phi}


def _words(text: str, *, is_glued: bool) -> list[_Piece]:
    return [
        _Piece(match[0], None, is_glued and match.start() == 0)
        for match in re.finditer(r"\S+", text)
    ]


def _assemble(pieces: Sequence[_Piece]) -> tuple[str, list[tuple[int, int]]]:
    """The text, and where its labels stand in it."""
    text = ""
    spans: list[tuple[int, int]] = []
    for piece in pieces:
        if text and not piece.is_glued:
            text += " "
        if piece.kind is not None:
            spans.append((len(text), len(text) + len(piece.text)))
        text += piece.text
    return text, spans


def _read(text: str) -> CallText:
    turn = Turn(
        index=0, speaker="", role=Role.UNKNOWN, role_confidence=0.0, start_s=None, end_s=None,
        text=text,
    )  # fmt: skip
    return CallText(Dialogue(call_id="", language="en", asr_model="", dropped_s=0.0, turns=(turn,)))


def _replace(text: str, edits: Sequence[Edit]) -> str:
    made, position = "", 0
    for start, end, new in edits:
        made += text[position:start] + new
        position = end
    return made + text[position:]


def _without_fillers(text: str, *, pause: str = "") -> str:
    """``text`` without "um" and "uh"; a capital goes over to the word after.

    ``pause`` stands for them where words stand on both sides.
    """

    def drop(match: re.Match[str]) -> str:
        before = text[: match.start()].rstrip()
        ends_sentence = match[1] == "." and before and not _ENDS.search(before)
        is_between = before and before[-1].isalnum() and match.end() < len(text)
        mark = ". " if ends_sentence else pause if is_between else ""
        return mark + ("\0" if match[0][0].isupper() else "")

    dropped = _FILLER.sub(drop, text)
    if dropped == text:
        return text
    dropped = re.sub(r"\0+(.?)", lambda match: match[1].upper(), dropped)
    return re.sub(r"\s*, ", ", ", _FALSE_START.sub(r"\1", dropped))


def _choose(rng: random.Random, forms: Mapping[str, float]) -> str:
    return rng.choices(list(forms), weights=list(forms.values()))[0]


# --- numbers and letters one after another -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """What a unit is written as, and what was said before it: pause, dash, slash or nothing."""

    text: str
    before: str
    is_word: bool = False


def _runs(call: CallText) -> list[Run]:
    """The runs of a label; an "a" or "i" at its end, elsewhere a word, is a letter of the last."""
    runs = find_runs(call)
    last = len(call.tokens) - 1
    if runs and runs[-1].last == last - 1 and call.norm(last, 0) in {"a", "i"}:
        letter = Unit(last, last, call.norm(last, 0), "letter")
        runs[-1] = replace(runs[-1], units=(*runs[-1].units, letter))
    return runs


def _is_said(call: CallText, run: Run) -> bool:
    """Whether a run is said: number words, lower-case letters, letters with commas, a "dash"."""
    for before, unit in zip((None, *run.units), run.units, strict=False):
        tokens = call.tokens[unit.first : unit.last + 1]
        if unit.kind in {"digit", "number"}:
            if any(token.norm in _SAID for token in tokens):
                return True
            if tokens[0].norm in _REPEATS and tokens[-1].text.islower():
                return True
        elif unit.kind == "letter":
            if tokens[0].text != tokens[0].norm.upper() and tokens[0].norm not in _REPEATS:
                return True
            if tokens[-1].text.islower() and tokens[0].norm in _REPEATS:
                return True
            is_plain = before is not None and before.kind == "letter" and not before.is_spelled
            if before and is_plain and not unit.is_spelled and "," in _between(call, before, unit):
                return True
    inside = call.tokens[run.first : run.last + 1]
    return any(token.norm in _JOINTS for token in inside)


def _between(call: CallText, before: Unit, unit: Unit) -> str:
    return call.text[call.tokens[before.last].end : call.tokens[unit.first].start]


def _parts(call: CallText, run: Run, rng: random.Random) -> list[_Part]:
    parts: list[_Part] = []
    for index, unit in enumerate(run.units):
        gap = _between(call, run.units[index - 1], unit).lower() if index else ""
        words = set(re.findall(r"[a-z]+", gap))
        if words & _DASHES or gap.strip() in {"-", "–"}:
            before = "-"
        elif words & _SLASHES:
            before = "/"
        elif _PAUSE.search(gap) or "space" in words:
            before = ","
        else:
            before = ""
        tokens = call.tokens[unit.first : unit.last + 1]
        said = call.text[tokens[0].start : tokens[-1].end]
        if unit.kind == "nato":
            parts.append(_Part(_capital(said), before, is_word=True))
        elif unit.is_spelled:
            parts.append(_Part(_letter_with_word(said, unit.chars), before, is_word=True))
        elif tokens[0].norm in _REPEATS and unit.chars.isdecimal() and rng.random() < 0.12:
            parts.append(_Part(f"{said.split()[0]} {unit.chars[0]}", before, is_word=True))
        else:
            parts.append(_Part(unit.chars.upper(), before))
    return parts


def _letter_with_word(said: str, letter: str) -> str:
    """``said``, "m as in mary", as "M as in Mary"; an ordinary word stays as it is."""
    head, _, word = said.rpartition(" ")
    word = word if is_common(word.lower()) else _capital(word)
    return re.sub(r"^\w+", letter.upper(), f"{head} {word}")


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


_PHONE_SIZES = {7: (3, 4), 10: (3, 3, 4)}
_MARKS = {"-": 0.45, " ": 0.3, "": 0.15, ", ": 0.1}


def _join(parts: Sequence[_Part], kind: EntityType, rng: random.Random) -> str:
    """Digits and letters as one value."""
    if not any(part.is_word for part in parts):
        plain = "".join(part.text for part in parts)
        if kind in {EntityType.PHONE, EntityType.FAX} and plain.isdecimal():
            number = _phone(plain, rng)
            if number:
                return number
        if kind is EntityType.SSN and plain.isdecimal() and len(plain) == 9:
            return f"{plain[:3]}-{plain[3:5]}-{plain[5:]}" if rng.random() < 0.8 else plain
        if kind is EntityType.ACCOUNT and plain.isdecimal() and len(plain) == 16:
            mark = rng.choice((" ", "-", " "))
            return mark.join(plain[i : i + 4] for i in range(0, 16, 4))
        if kind is EntityType.LOCATION and (postcode := _POSTCODE.fullmatch(plain)):
            return f"{postcode[1]} {postcode[2]}"
    mark = _choose(rng, _MARKS)
    made = ""
    for index, part in enumerate(parts):
        if not index:
            made = part.text
        elif part.is_word or parts[index - 1].is_word:
            made += (", " if part.before == "," else " ") + part.text
        elif part.before == ",":
            is_lettered = part.text.isalpha() and parts[index - 1].text.isalpha()
            # Letters with commas between would count as said.
            made += ("" if is_lettered and mark == ", " else mark) + part.text
        else:
            made += part.before + part.text
    if mark == "-" and rng.random() < 0.3:
        made = re.sub(r"(?<=[A-Z]{2})(?=\d{3})", "-", made, count=1)
    return made


_POSTCODE = re.compile(r"([A-Z]{1,2}\d[A-Z\d]?)(\d[A-Z]{2})")


def _phone(digits: str, rng: random.Random) -> str | None:
    """A telephone number of a known length in one of the usual forms."""
    if len(digits) == 11 and digits.startswith("0"):
        sizes = rng.choice(((5, 6), (5, 3, 3), (5, 6), (11,)))
        return _cut(digits, sizes, rng.choice((" ", " ", "-")))
    country = ""
    if len(digits) == 11 and digits.startswith("1"):
        country, digits = rng.choice(("1-", "1 ", "+1 ")), digits[1:]
    if len(digits) not in _PHONE_SIZES:
        return None
    if len(digits) == 10 and rng.random() < 0.08:
        return f"{country}({digits[:3]}) {digits[3:6]}-{digits[6:]}"
    mark = _choose(rng, {"-": 0.6, " ": 0.16, "": 0.12, ", ": 0.06, ".": 0.06})
    return country + _cut(digits, _PHONE_SIZES[len(digits)], mark)


def _cut(digits: str, sizes: Sequence[int], mark: str) -> str:
    pieces, position = [], 0
    for size in sizes:
        pieces.append(digits[position : position + size])
        position += size
    return mark.join(pieces)


def _spelled(parts: Sequence[_Part], rng: random.Random) -> str:
    """Letters as a recogniser sets what is spelled out: M-C-C-A-L-L."""
    mark = _choose(rng, {"-": 0.6, " ": 0.14, ". ": 0.12, "": 0.14})
    letters = [part for part in parts if not part.is_word]
    if mark == "" and (len(letters) < 3 or len(letters) < len(parts)):
        mark = "-"
    made = ""
    for index, part in enumerate(parts):
        text = part.text if part.is_word else mark.join(part.text)
        if not index:
            made = text
        elif part.is_word or parts[index - 1].is_word:
            made += ", " + text
        else:
            made += mark + text
    return made


# --- a writer for each type ----------------------------------------------------------------------


def _code(text: str, kind: EntityType, rng: random.Random) -> str:
    """A number or code: every digit and letter of it."""
    call = _read(text)
    edits: list[Edit] = []
    for run in _runs(call):
        if _is_said(call, run):
            parts = _parts(call, run, rng)
            written = _join(parts, kind, rng) if run.digits else _letters(parts, rng)
            edits.append((call.tokens[run.first].start, call.tokens[run.last].end, written))
    return _replace(text, edits)


def _letters(parts: Sequence[_Part], rng: random.Random) -> str:
    """The letters of a code: together, or as spelled."""
    if len(parts) < 4 and not any(part.is_word for part in parts) and rng.random() < 0.6:
        return "".join(part.text for part in parts)
    return _spelled(parts, rng)


def _name(text: str, _kind: EntityType, rng: random.Random) -> str:
    """A name: what is spelled in it."""
    call = _read(text)
    edits: list[Edit] = []
    for run in _runs(call):
        is_spelling = not run.digits and (run.letters > 1 or run.is_spelled)
        if is_spelling and _is_said(call, run):
            written = _spelled(_parts(call, run, rng), rng)
            edits.append((call.tokens[run.first].start, call.tokens[run.last].end, written))
    return _replace(text, edits)


def _ordinal(value: int) -> str:
    ending = "th" if 10 <= value % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def _ordinal_at(call: CallText, index: int) -> tuple[int, int] | None:
    """The ordinal said at token ``index`` ("twenty first") and the next index."""
    word = call.norm(index, 0)
    if word in ORDINALS:
        return ORDINALS[word], index + 1
    if word in _TENS:
        number = number_at(call, index, 0)
        after = index + 1 + (call.norm(index + 1, 0) == "-")
        ones = ORDINALS.get(call.norm(after, 0), 99)
        if number is not None and ones < 10:
            return number[0] // 10 * 10 + ones, after + 1
    return None


_NUMBERED = frozenset(
    "flat apartment apt unit suite number route highway interstate box room floor ward lot exit "
    "plot level building house bed bay block".split()
)


def _place(text: str, kind: EntityType, rng: random.Random) -> str:
    """An address: house numbers, zip codes, postcodes, numbered streets."""
    call = _read(text)
    edits: list[Edit] = []
    runs = {run.first: run for run in _runs(call)}
    index = 0
    while index < len(call.tokens):
        run = runs.get(index)
        ordinal = _ordinal_at(call, index)
        if run is not None and _is_said(call, run) and _is_number_of_place(call, run):
            written, end = _number_of_place(call, run, kind, rng)
            edits.append((call.tokens[index].start, call.tokens[end].end, written))
            index = end + 1
        elif ordinal is not None and ordinal[0] > 3:
            end = ordinal[1] - 1
            edits.append((call.tokens[index].start, call.tokens[end].end, _ordinal(ordinal[0])))
            index = end + 1
        else:
            index += 1
    return _replace(text, edits)


def _is_number_of_place(call: CallText, run: Run) -> bool:
    if len(run.chars) > 1:
        return True
    if run.units[0].kind == "letter":
        return call.tokens[run.first].text.islower() or run.is_spelled
    leads = run.first == 0 and len(call.tokens) > 2
    return leads or call.norm(run.first - 1, 0) in _NUMBERED or len(call.tokens) == 1


def _before_ordinal(run: Run, value: int) -> str:
    """The units of ``run`` but the last, and the ordinal: "one sixty eighth" is "168th"."""
    before = "".join(unit.chars for unit in run.units[:-1])
    mark = "" if len(before) == 1 and value < 100 else " "
    return f"{before.upper()}{mark if before else ''}{_ordinal(value)}"


def _number_of_place(
    call: CallText, run: Run, kind: EntityType, rng: random.Random
) -> tuple[str, int]:
    """What a run of an address is written as, and its last token."""
    ordinal, value = _ordinal_at(call, run.last), run.units[-1].chars
    if ordinal is not None and ordinal[1] > run.last + 1:
        # "sixty eighth": the run ends within the ordinal.
        return _before_ordinal(run, int(value) // 100 * 100 + ordinal[0]), ordinal[1] - 1
    ordinal = _ordinal_at(call, run.last + 1)
    if ordinal is not None and value.endswith("00") and ordinal[0] < 100:
        return _before_ordinal(run, int(value) + ordinal[0]), ordinal[1] - 1
    if not run.digits:
        return _letters(_parts(call, run, rng), rng), run.last
    written = _join(_parts(call, run, rng), kind, rng)
    if re.fullmatch(r"\d+[NSEW]", written) and call.norm(run.last + 1, 0)[:1].isalpha():
        written = f"{written[:-1]} {written[-1]}"  # "409 E Main Street"
    return written, run.last


# --- dates ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _DatePart:
    """Tokens ``[first, last]`` of a date; ``text`` has the digits of a number or ordinal."""

    kind: str
    text: str
    first: int
    last: int
    is_said: bool = True


def _date_parts(call: CallText) -> list[_DatePart]:
    parts: list[_DatePart] = []
    index = 0
    while index < len(call.tokens):
        word = call.norm(index, 0)
        ordinal = _ordinal_at(call, index)
        number = number_at(call, index, 0)
        if ordinal is not None:
            parts.append(_DatePart("ordinal", str(ordinal[0]), index, ordinal[1] - 1))
        elif number is not None:
            parts.append(_DatePart("number", str(number[0]), index, number[1] - 1))
        elif word in _ZEROS:
            parts.append(_DatePart("number", "0", index, index))
        elif word in _REPEATS and (digit := _digit(call, index + 1)) is not None:
            parts.append(_DatePart("number", digit * _REPEATS[word], index, index + 1))
        elif word.isdecimal():
            parts.append(_DatePart("number", word, index, index, is_said=False))
        elif is_written_ordinal(word):
            parts.append(_DatePart("ordinal", word[:-2], index, index, is_said=False))
        elif word in MONTHS:
            parts.append(_DatePart("month", word, index, index))
        elif word not in {",", "the", "of", "-", "and"}:
            parts.append(_DatePart("other", word, index, index))
        index = parts[-1].last + 1 if parts and parts[-1].last >= index else index + 1
    return parts


def _digit(call: CallText, index: int) -> str | None:
    word = call.norm(index, 0)
    if word in _ZEROS:
        return "0"
    number = number_at(call, index, 0)
    return str(number[0]) if number is not None and number[0] < 10 else None


def _date(text: str, _kind: EntityType, rng: random.Random) -> str:
    """A date, or a part of one."""
    call = _read(text)
    parts = _date_parts(call)
    has_month = any(part.kind == "month" for part in parts)
    is_dated = has_month or sum(part.kind == "ordinal" for part in parts) > 1
    edits: list[Edit] = []
    index = 0
    while index < len(parts):
        part = parts[index]
        if part.kind == "ordinal" and part.is_said:
            if is_dated or int(part.text) > 3:
                edits.append(_set(call, part, part, _day(parts, index, rng)))
        elif part.kind == "number":
            end = index
            while end + 1 < len(parts) and parts[end + 1].kind == "number":
                end += 1
            numbers = parts[index : end + 1]
            if any(number.is_said for number in numbers):
                edits.extend(_date_numbers(call, parts, index, end, rng))
            index = end
        index += 1
    return _replace(text, edits)


def _set(call: CallText, first: _DatePart, last: _DatePart, new: str) -> Edit:
    return call.tokens[first.first].start, call.tokens[last.last].end, new


def _day(parts: Sequence[_DatePart], index: int, rng: random.Random) -> str:
    """An ordinal in digits: "March 3" or "March 3rd", "the 3rd of March"."""
    part = parts[index]
    follows_month = index > 0 and parts[index - 1].kind == "month"
    if follows_month and parts[index - 1].last + 1 == part.first and rng.random() < 0.5:
        return part.text
    return _ordinal(int(part.text))


def _date_numbers(
    call: CallText, parts: Sequence[_DatePart], start: int, end: int, rng: random.Random
) -> list[Edit]:
    """Number words of a date one after another: day and year, year, or all of it."""
    numbers = list(parts[start : end + 1])
    before = parts[start - 1] if start else None
    earlier = parts[start - 2] if start > 1 else None
    if before is not None and before.kind == "month":
        has_day = earlier is not None and earlier.kind in {"ordinal", "number"}
        if has_day or _year(numbers) is not None:
            return [_year_after(call, before, numbers, rng, is_american=False)]
        day, *year = numbers
        edits = [_set(call, day, day, day.text)]
        if year:
            edits.append(_year_after(call, day, year, rng, is_american=True))
        return edits
    if before is not None and before.kind == "ordinal":
        is_american = earlier is not None and earlier.kind == "month"
        return [_year_after(call, before, numbers, rng, is_american=is_american)]
    following = parts[end + 1] if end + 1 < len(parts) else None
    if following is not None and following.kind == "month":
        return [_set(call, number, number, number.text) for number in numbers]
    groups = _date_groups([number.text for number in numbers])
    if len(groups) == 3 and numeric_date(groups) is not None:
        return [_set(call, numbers[0], numbers[-1], _numeric(groups, rng))]
    mark = rng.choice(("/", "-", " ", ", ")) if len(groups) < 4 else ""
    return [_set(call, numbers[0], numbers[-1], _year(numbers) or mark.join(groups))]


def _year_after(
    call: CallText,
    before: _DatePart,
    numbers: Sequence[_DatePart],
    rng: random.Random,
    *,
    is_american: bool,
) -> Edit:
    """A year behind day or month: "March 3, 1982", "3rd of March 1982", "March 3rd, '82"."""
    year = _year(numbers) or " ".join(number.text for number in numbers)
    start = call.tokens[before.last].end
    gap = call.text[start : call.tokens[numbers[0].first].start]
    if not gap.strip(" ,"):
        gap = ", " if "," in gap or (is_american and rng.random() < 0.85) else " "
    if len(year) == 2 and rng.random() < 0.25:
        year = f"'{year}"
    return start, call.tokens[numbers[-1].last].end, gap + year


def _year(numbers: Sequence[_DatePart]) -> str | None:
    """The year that numbers are: 19, 82; 20, 0, 4; 2004; 82."""
    texts = [number.text for number in numbers]
    joined = "".join(texts)
    if texts[0] in {"18", "19", "20"} and len(texts) > 1:
        is_rest = texts[1:] == [joined[2:]] or (len(texts) == 3 and texts[1] == "0")
        return joined if is_rest and len(joined) == 4 else None
    if len(joined) == 4 and joined[:2] in {"18", "19", "20"}:
        return joined
    if len(texts) == 2 and texts[0] == "0" and len(joined) == 2:
        return joined
    return joined if len(texts) == 1 and int(joined) > 31 else None


def _date_groups(texts: Sequence[str]) -> list[str]:
    """Month, day and year of numbers said one after another."""
    if len(texts) in {4, 6, 8} and all(len(text) == 1 for text in texts):
        joined = "".join(texts)
        return [part for part in (joined[:2], joined[2:4], joined[4:]) if part]
    groups: list[str] = []
    for text in texts:
        if groups and groups[-1] == "0" and len(text) == 1:
            groups[-1] += text
        else:
            groups.append(text)
    if len(groups) == 4 and groups[2] in {"18", "19", "20"} and len(groups[3]) == 2:
        groups[2:] = [groups[2] + groups[3]]
    return groups


def _numeric(groups: Sequence[str], rng: random.Random) -> str:
    mark = _choose(rng, {"/": 0.4, "-": 0.35, ", ": 0.1, ".": 0.05, " ": 0.05, "": 0.05})
    if mark == "" and any(len(group) == 1 for group in groups):
        mark = "-"
    if mark == "/" and rng.random() < 0.5:
        groups = [str(int(group)) for group in groups[:2]] + [groups[2]]
    elif mark in {"/", "-"} and rng.random() < 0.3:
        groups = [group.zfill(2) for group in groups]
    return mark.join(groups)


# --- addresses of the net ------------------------------------------------------------------------

_GLUE = {
    "dot": ".", "point": ".", "underscore": "_", "dash": "-", "hyphen": "-", "slash": "/",
    "colon": ":", "plus": "+",
}  # fmt: skip
_SPOKEN_NET = re.compile(
    rf"(?<![\w.@/-])(?:{'|'.join((*_GLUE, *NUMBER_WORDS))})(?![\w.@/-])|\b[a-z],? [a-z]\b",
    re.IGNORECASE,
)
# With these in it, what is read out is no address from end to end.
_PROSE = frozenset(
    "as in that's then the is it's its and no not um uh sorry number numeral word words letter "
    "with like for all wait capital".split()
)


def _net(text: str, kind: EntityType, rng: random.Random) -> str:
    """An e-mail or web address as one word; in pieces where other words stand between."""
    if not _SPOKEN_NET.search(text):
        return text
    call = _read(text)
    words = [token.norm for token in call.tokens]
    is_whole = not set(words) & _PROSE and words[0] != "at"
    runs = {run.first: run for run in find_runs(call)}
    made = ""
    is_joined = True
    index = 0
    while index < len(call.tokens):
        token, run = call.tokens[index], runs.get(index)
        glue = None if run is not None else _GLUE.get(token.norm)
        if is_whole and made and token.norm == "at" and kind is EntityType.EMAIL:
            glue = "@"
        if glue and (made or is_whole):
            made = made.rstrip(" ,") + glue
            is_joined = True
        elif not (is_whole and token.norm == ","):
            written = token.text
            is_repeat = token.norm in _REPEATS
            is_counted = call.norm(index + 1, 0) == "word"  # "all one word"
            if run is not None and not is_counted and (is_repeat or _is_said(call, run)):
                parts = _parts(call, run, rng)
                written = _join(parts, kind, rng) if run.is_spelled else _joined(call, run)
                index = run.last
            made += "" if is_whole or is_joined or token.is_glued else " "
            made += written.lower() if is_whole else written
            is_joined = False
        index += 1
    if "@" in made and rng.random() < 0.2:
        made = made.replace("@", " at ")
    return made


def _joined(call: CallText, run: Run) -> str:
    """The characters of a run with its dashes, as an address has them."""
    made = run.units[0].chars
    for before, unit in itertools.pairwise(run.units):
        words = set(re.findall(r"[a-z]+", _between(call, before, unit).lower()))
        made += "-" if words & _DASHES else "/" if words & _SLASHES else ""
        made += unit.chars
    return made


def _ip(text: str, _kind: EntityType, _rng: random.Random) -> str:
    """A network address: "192.0.2.18"."""
    call = _read(text)
    edits: list[Edit] = []
    for run in find_runs(call):
        if _is_said(call, run):
            made = run.units[0].chars
            for before, unit in itertools.pairwise(run.units):
                made += ("." if _PAUSE.search(_between(call, before, unit)) else "") + unit.chars
            edits.append((call.tokens[run.first].start, call.tokens[run.last].end, made))
    return re.sub(r"(?<=\d),? dot,? (?=\d)", ".", _replace(text, edits))


_WRITERS: dict[EntityType, Callable[[str, EntityType, random.Random], str]] = {
    **dict.fromkeys(_CODES, _code),
    EntityType.PERSON: _name,
    EntityType.ORGANIZATION: lambda text, _kind, _rng: text,
    EntityType.LOCATION: _place,
    EntityType.AGE: lambda text, _kind, rng: _numbers(text, rng, least=0),
    EntityType.DATE: _date,
    EntityType.EMAIL: _net,
    EntityType.URL: _net,
    EntityType.IP: _ip,
}


# --- what stands around the labels ---------------------------------------------------------------

_UNITS = {
    "milligrams": "mg", "milligram": "mg", "micrograms": "mcg", "microgram": "mcg",
    "milliliters": "ml", "milliliter": "ml", "millilitres": "ml", "mils": "ml", "mg": "mg",
    "mcg": "mcg", "ml": "ml",
}  # fmt: skip
_COUNTED = frozenset(
    "over pounds pound dollars dollar bucks cents percent degrees years year pills tablets units "
    "a days weeks months hours minutes times people milligrams milligram milliliters point".split()
)
_BEFORE_TIMES = frozenset(
    "at by around till until til from before after between to for is it's and or past nearly since "
    "have that's ,".split()
)


@dataclass(frozen=True, slots=True)
class _Number:
    """A number word and its tokens ``[first, last]``; ``text`` in digits."""

    text: str
    first: int
    last: int


def _prose(text: str, rng: random.Random) -> str:
    """Words outside labels: numbers from ten on in digits, doses, money, times, initials."""
    return _numbers(_initials(_without_fillers(text)), rng, least=10)


def _initials(text: str) -> str:
    """Letters said one by one put together: "m r i" is "MRI"."""
    call = _read(text)
    edits: list[Edit] = []
    for run in find_runs(call):
        said = call.text[call.tokens[run.first].start : call.tokens[run.last].end]
        is_plain = re.fullmatch(r"[a-z](?: [a-z])+", said) is not None
        if is_plain and (said[0] not in "ai" or len(said) > 4):
            start = call.tokens[run.first].start
            edits.append((start, start + len(said), said.replace(" ", "").upper()))
    return _replace(text, edits)


def _numbers(text: str, rng: random.Random, *, least: int) -> str:
    """``text`` with its numbers from ``least`` on in digits, and with all that measure."""
    call = _read(text)
    edits: list[Edit] = []
    index = 0
    while index < len(call.tokens):
        ordinal = _ordinal_at(call, index)
        if ordinal is not None:
            value, after = ordinal
            if value > 10:
                start, end = call.tokens[index].start, call.tokens[after - 1].end
                edits.append((start, end, _ordinal(value)))
            index = after
            continue
        numbers = _number_words(call, index)
        if not numbers:
            index += 1
            continue
        written, index = _write_numbers(call, numbers, rng, least)
        if written is not None:
            edits.append((call.tokens[numbers[0].first].start, call.tokens[index - 1].end, written))
    return _replace(text, edits)


def _number_words(call: CallText, index: int) -> list[_Number]:
    """The numbers said at token ``index``, one after another without a pause."""
    numbers: list[_Number] = []
    while True:
        number = number_at(call, index, 0)
        if number is None and call.norm(index, 0) in _ZEROS:
            number = (0, index + 1)
        if number is None or _ordinal_at(call, index) is not None:
            break
        numbers.append(_Number(str(number[0]), index, number[1] - 1))
        index = number[1]
    if numbers and call.norm(numbers[0].first, 0) == "oh" and len(numbers) in {1, 4}:
        del numbers[0]  # "oh nine one one"
    return numbers


def _write_numbers(
    call: CallText, numbers: Sequence[_Number], rng: random.Random, least: int
) -> tuple[str | None, int]:
    """What numbers are written as with what measures them, and the index after it.

    ``None`` where they stay words.
    """
    after = numbers[-1].last + 1
    texts = [number.text for number in numbers]
    following = call.norm(after, 0)
    plain = _one_number(texts)
    if following == "point" and plain is not None:
        decimals = _number_words(call, after + 1)
        if decimals:
            plain += "." + "".join(number.text for number in decimals)
            after = decimals[-1].last + 1
            following = call.norm(after, 0)
    if plain is not None:
        if following in {"dollars", "dollar"}:
            return _money(call, plain, after + 1)
        if following in _UNITS:
            unit = rng.choice((f" {following}", f" {_UNITS[following]}", _UNITS[following]))
            return plain + unit, after + 1
        if following == "percent":
            return f"{plain}%", after + 1
        if "." in plain or following == "o'clock":
            return plain, after
    half_day, end = _half_day(call, after, rng)
    time = _time(texts)
    if half_day:
        return (time or " ".join(texts)) + half_day, end
    before = call.norm(numbers[0].first - 1, 0)
    is_time = before in _BEFORE_TIMES or int(texts[0]) > 9
    if time is not None and len(texts) > 1 and is_time and following not in _COUNTED:
        return time, after
    if plain is not None:
        if len(texts) > 1 or int(plain) >= least:
            is_round = call.norm(numbers[0].first, 0) == "a" and plain in {"100", "1000"}
            return (None if is_round else _thousands(plain)), after
        return None, after
    if all(len(text) == 1 for text in texts):
        return ("".join(texts) if len(texts) > 2 else None), after
    return " ".join(texts), after


def _one_number(texts: Sequence[str]) -> str | None:
    """The number that number words are together: 98; 19, 82; 1, 70."""
    if len(texts) == 1:
        return texts[0]
    joined = "".join(texts)
    if texts[0] in {"19", "20"} and len(joined) == 4 and len(texts) <= 3:
        return joined
    if len(texts) == 2 and len(texts[0]) == 1 and texts[0] != "0" and len(texts[1]) == 2:
        return joined
    return None


def _thousands(number: str) -> str:
    return f"{int(number):,}" if int(number) >= 10_000 else number


def _money(call: CallText, whole: str, after: int) -> tuple[str, int]:
    written = f"${int(whole):,}" if whole.isdecimal() else f"${whole}"
    position = after + (call.norm(after, 0) == "and")
    cents = number_at(call, position, 0)
    if cents is not None and call.norm(cents[1], 0) in {"cents", "cent"}:
        return f"{written}.{cents[0]:02d}", cents[1] + 1
    return written, after


def _time(texts: Sequence[str]) -> str | None:
    """The time of day that numbers are: 9, 30; 9, 0, 5; 9."""
    if not 1 <= int(texts[0]) <= 12:
        return None
    if len(texts) == 1:
        return texts[0]
    if len(texts) == 3 and texts[1] == "0" and len(texts[2]) == 1:
        return f"{texts[0]}:0{texts[2]}"
    is_minute = len(texts) == 2 and 10 <= int(texts[1]) < 60 and int(texts[1]) % 5 == 0
    return f"{texts[0]}:{texts[1]}" if is_minute else None


def _half_day(call: CallText, index: int, rng: random.Random) -> tuple[str, int]:
    """How "a m" or "p.m." at ``index`` is written, and the index after it; nothing if not there."""
    word = call.norm(index, 0)
    if word in {"am", "pm"} and not call.tokens[index].is_glued:
        letter, end = word[0], index + 1
    elif word in {"a", "p"}:
        end = index + 1 + (call.norm(index + 1, 0) == ".")
        if call.norm(end, 0) != "m":
            return "", index
        letter, end = word, end + 1
        if call.norm(end, 0) == "." and end - index == 3:
            end += 1  # "a.m."
    else:
        return "", index
    forms = (f" {letter}.m.", f"{letter}m", f" {letter.upper()}M", f" {letter}.m.")
    return rng.choice(forms), end


# --- capitals and marks --------------------------------------------------------------------------

_TITLES = {
    "doctor": "Dr.", "dr": "Dr.", "mister": "Mr.", "mr": "Mr.", "missus": "Mrs.", "misses": "Mrs.",
    "mrs": "Mrs.", "ms": "Ms.", "miss": "Miss",
}  # fmt: skip
_SMALL = frozenset(
    "of the and at in on for with a an as to de la del dash dot number no or double triple not "
    "wait sorry like that's then st nd rd th".split()
)
_PROPER = frozenset(
    "english spanish french medicare medicaid tylenol advil benadryl ozempic google god christmas "
    "easter thanksgiving american canadian british mexican".split()
)
_MONTH_OR_WORD = frozenset("may march mar dec jan jun".split())
_GREETINGS = frozenset(
    "yes yeah yep no nope okay ok hi hello hey well oh sorry right alright sure great perfect "
    "thanks".split()
)
_STARTERS = frozenset(
    "i i'm i've i'd i'll it's he's she's they're we're we've that's let's there's you're".split()
)
# After these a new sentence does not begin.
_LEADING_ON = frozenset(
    "and but or that if when because so cause since as while before after until than think know "
    "guess hope say said says tell told see sure what where who how why which whether to for of "
    "with on in at by from about like is was are were am be do did does can could would should "
    "will have has had just not the a an my your his her i you he she we they it maybe".split()
)
_QUESTION = re.compile(
    r"(?:and |so |okay )?(?:(?:what|where|who|how)(?:'s)?|why|which|(?:can|could|do|does|did|is|"
    r"are|am|will|would|should|have|has|may|shall) (?:i|you|he|she|it|we|they|that|this|there)) "
)
_SHORTEST_SENTENCE = 6
_NO_ENDS = frozenset("dr. mr. mrs. ms. st. a.m. p.m.".split())


def _finish(original: str, pieces: Sequence[_Piece]) -> list[_Piece]:
    """``pieces`` with titles and, where ``original`` has none, with marks and capitals."""
    done = list(pieces)
    # What became digits may have held the only capitals.
    is_lower = _is_lower(original) or _is_lower(_assemble(done)[0])
    for index, (piece, following) in enumerate(itertools.pairwise(done)):
        if piece.kind is None and following.kind is EntityType.PERSON:
            title = _TITLES.get(piece.text.lower())
            done[index] = replace(piece, text=title) if title else piece
    if not is_lower:
        return done
    if not re.search(r"[.,?!;:…](?:\s|$)", original):
        done = _with_marks(done)
    return _with_capitals(done)


def _is_lower(text: str) -> bool:
    first = next((c for c in text if c.isalpha()), "")
    return first.islower() and not re.search(r"\b[A-Z][a-z]", text)


def _with_marks(pieces: Sequence[_Piece]) -> list[_Piece]:
    """``pieces`` cut into sentences by the words that often begin one."""
    made: list[_Piece] = []
    sentence: list[str] = []
    is_greeting = True
    for piece in pieces:
        word = piece.text.lower() if piece.kind is None else ""
        before = made[-1] if made else None
        if before is not None and not piece.is_glued:
            said = sentence[-1]
            is_long = len(sentence) >= _SHORTEST_SENTENCE
            if word in _STARTERS and is_long and said not in _LEADING_ON:
                made.append(_end(sentence))
                sentence = []
            elif (is_greeting and said in _GREETINGS) or (piece.kind and before.kind):
                made.append(_Piece(",", is_glued=True))
        is_greeting = is_greeting and word in _GREETINGS
        sentence.append(word)
        made.append(piece)
    if made and not _ENDS.search(made[-1].text):
        made.append(_end(sentence))
    return made


def _end(sentence: Sequence[str]) -> _Piece:
    is_question = _QUESTION.match(" ".join(sentence) + " ")
    return _Piece("?" if is_question else ".", is_glued=True)


def _with_capitals(pieces: Sequence[_Piece]) -> list[_Piece]:
    made: list[_Piece] = []
    is_start = True
    for piece in pieces:
        text = piece.text
        if piece.kind in {EntityType.PERSON, EntityType.ORGANIZATION, EntityType.LOCATION}:
            text = " ".join(_titled(word) for word in text.split(" "))
        elif piece.kind in {None, EntityType.DATE}:
            text = _proper(text, is_date=piece.kind is not None)
        if is_start and piece.kind not in {EntityType.EMAIL, EntityType.URL}:
            text = _capital(text)
        made.append(replace(piece, text=text))
        is_end = _ENDS.search(text) is not None and text.lower() not in _NO_ENDS
        is_start = is_end and not re.search(r"\b\w\.$", text)
    return made


def _titled(word: str) -> str:
    if word in _SMALL or not word[:1].isalpha():
        return word
    if re.fullmatch(r"mc[a-z]{3,}[,']?.*", word):
        return f"Mc{_capital(word[2:])}"
    return re.sub(r"(^o'|^|-)([a-z])", lambda match: (match[1] + match[2]).title(), word)


def _proper(text: str, *, is_date: bool) -> str:
    """``text`` with capitals for "I", days, months and a few names."""

    def write(match: re.Match[str]) -> str:
        word = match[0]
        is_month = word in MONTHS and (is_date or word not in _MONTH_OR_WORD)
        is_self = word == "i" or word.startswith("i'")
        return _capital(word) if is_month or is_self or word in WEEKDAYS | _PROPER else word

    return re.sub(r"(?<![\w.'-])[a-z']+(?![\w.-]*\w)", write, text)
