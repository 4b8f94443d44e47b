"""Dates as said and as written, for a call's tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.spoken import FILLERS, ORDINALS, Run, is_written_ordinal, number_at

__all__ = [
    "HOLIDAY_WORDS",
    "MONTHS",
    "WEEKDAYS",
    "find_dates",
    "is_counted",
    "numeric_date",
    "spoken_numeric_date",
]

RECOGNIZER = "spoken_dates"

_MONTH_NAMES = (
    "january february march april may june july august september october november december"
).split()
MONTHS = (
    {name: i for i, name in enumerate(_MONTH_NAMES, 1)}
    | {name[:3]: i for i, name in enumerate(_MONTH_NAMES, 1) if name != "may"}
    | {"sept": 9, "febuary": 2, "janurary": 1}
)
# Month names that are ordinary words or first names: they need a day, a year or a preposition.
_AMBIGUOUS_MONTHS = frozenset(
    "may march april june august jan feb mar apr jun jul aug sep oct nov dec".split()
)
_FIRST_NAME_MONTHS = {"april", "june", "august"}
WEEKDAYS = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday "
    "mon tues tue wed thurs thu fri".split()
)
_MONTH_PREPOSITIONS = frozenset(
    "in since last until till by early late mid this next of from during before after through "
    "around "
    "every for end beginning middle and or between".split()
)
_SURE_PREPOSITIONS = frozenset("in since last until till of during through".split())
# What follows an ordinal that counts or names something else.
_ORDINAL_NOUNS = frozenset(
    "time times floor one ones day week weekend visit dose doses grade trimester degree toe toes "
    "finger metacarpal metatarsal person child kid baby pregnancy attempt call opinion line step "
    "street "
    "st avenue ave road set round test shot cycle month year quarter leg place part thing half "
    "try party "
    "nerve rib lumbar molar course hospital hand cousin husband wife appointment option question "
    "pill tablet page letter name digit number stage phase attack surgery operation opinions base "
    "row door house building entrance left right choice aid responder medication injection vaccine "
    "booster session symptom episode stent infection night morning attempt date son daughter "
    "medicine doctor reason couple few bit sign sample sound heart class language generation "
    "nature "
    "grader mtp graders ray man lady guy woman glass century edition birthday anniversary or and "
    "stroke thought".split()
)
_DATE_PREPOSITIONS = frozenset(
    "on by until till til from since before after for through thru between to of and or dated "
    "around not "
    "the".split()
)
# Words after which a bare "first", "second" or "third" still is a day of the month.
_DAY_FOLLOWERS = frozenset(
    "at is was works and or if then so we i you to through but because of around between please "
    "for "
    "that he she they it with in".split()
)
_FOREIGN_MONTHS = frozenset(
    "janvier février fevrier mars avril mai juin juillet août aout septembre octobre novembre "
    "décembre decembre enero febrero marzo abril mayo junio julio agosto septiembre octubre "
    "noviembre diciembre".split()
)
_FOREIGN_NUMBERS = frozenset(
    "premier un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze "
    "seize vingt trente quarante cinquante soixante quatre-vingt vingts cent mil mille primero uno "
    "dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "dieciseis diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro "
    "veinticinco veintiséis veintisiete veintiocho veintinueve treinta cuarenta cincuenta sesenta "
    "setenta ochenta noventa cien ciento novecientos".split()
)
_FOREIGN_JOINTS = frozenset("le el de del du et y".split())
_LINKING_VERBS = frozenset(
    "is was are were be been being am isn't wasn't it's that's this that he's she's you're i'm "
    "we're "
    "they're than like as just only".split()
)
_HOLIDAYS = frozenset(
    tuple(holiday.split())
    for holiday in (
        "labor day|labour day|memorial day|christmas eve|christmas day|new year's eve|"
        "new year's day|new years eve|new years day|new year's|valentine's day|valentines day|"
        "veterans day|mother's day|father's day|boxing day|thanksgiving|christmas|halloween|"
        "independence day|st patrick's day|easter sunday|easter monday|good friday|easter"
    ).split("|")
)
_HOLIDAY_HEADS = {words[0] for words in _HOLIDAYS}
HOLIDAY_WORDS = frozenset(word for words in _HOLIDAYS for word in words)
"""Words of holidays: a date that the calendar rules do not know may hold one."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a date: value and the index after it."""

    value: int = field(repr=False)
    after: int
    is_ordinal: bool = False


def _skip(call: CallText, index: int, turn: int, words: frozenset[str] | set[str]) -> int:
    position = index
    while call.norm(position, turn) in words:
        position += 1
    return position


_PAUSES = frozenset({",", "-", "–", "/", "."}) | FILLERS


def _day(call: CallText, index: int, turn: int) -> _Part | None:
    """A day of the month at ``index``: ordinal, number or number word."""
    word = call.norm(index, turn)
    if word in ORDINALS:
        return _Part(ORDINALS[word], index + 1, is_ordinal=True)
    if word in {"twenty", "thirty"}:
        after = index + 1
        if call.norm(after, turn) in {"-", "–"}:
            after += 1
        ordinal = ORDINALS.get(call.norm(after, turn), 99)
        value = (20 if word == "twenty" else 30) + ordinal
        if ordinal <= 9 and value <= 31:
            return _Part(value, after + 1, is_ordinal=True)
    if is_written_ordinal(word) and 1 <= int(word[:-2]) <= 31:
        return _Part(int(word[:-2]), index + 1, is_ordinal=True)
    if word.isdecimal() and len(word) <= 2 and 1 <= int(word) <= 31:
        return _Part(int(word), index + 1)
    number = number_at(call, index, turn)
    if number is not None and 1 <= number[0] <= 31:
        return _Part(number[0], number[1])
    if word in {"oh", "o", "zero"}:
        rest = number_at(call, index + 1, turn)
        if rest is not None and 1 <= rest[0] <= 9:
            return _Part(rest[0], rest[1])
    return None


def _year(call: CallText, index: int, turn: int, *, short: bool) -> _Part | None:
    """A year at ``index``; ``short`` allows two digits."""
    word = call.norm(index, turn)
    if word in {"'", "’"}:
        following = call.norm(index + 1, turn)
        return (
            _Part(int(following), index + 2)
            if len(following) == 2 and following.isdecimal()
            else None
        )
    if word.isdecimal():
        if len(word) == 4 and word[:2] in {"18", "19", "20"}:
            return _Part(int(word), index + 1)
        return _Part(int(word), index + 1) if short and len(word) == 2 else None
    first = number_at(call, index, turn)
    if first is None:
        if short and word in {"oh", "o", "zero"}:
            rest = number_at(call, index + 1, turn)
            if rest is not None and rest[0] <= 9:
                return _Part(2000 + rest[0], rest[1])
        return None
    value, after = first
    if 1900 <= value <= 2050:
        return _Part(value, after)
    if value in {18, 19, 20}:
        rest_at = _skip(call, after, turn, {"-", ",", "and", *FILLERS})
        if call.norm(rest_at, turn) in {"hundred"}:
            rest_at = _skip(call, rest_at + 1, turn, {"and"})
        if call.norm(rest_at, turn) in {"oh", "o", "zero", "ought", "aught", "nought"}:
            ones = number_at(call, rest_at + 1, turn)
            if ones is not None and 0 < ones[0] <= 9:
                return _Part(value * 100 + ones[0], ones[1])
        rest = number_at(call, rest_at, turn)
        if rest is not None and 10 <= rest[0] <= 99:
            return _Part(value * 100 + rest[0], rest[1])
        if rest is not None and rest[0] <= 9:
            # "one nine eight two" and "nineteen eight two"
            more = number_at(call, rest[1], turn)
            if more is not None and more[0] <= 9:
                return _Part(value * 100 + rest[0] * 10 + more[0], more[1])
        return _Part(value, after) if short else None
    if value in {1, 2}:
        digits = [value]
        position = after
        while len(digits) < 4:
            digit = number_at(call, position, turn)
            if call.norm(position, turn) in {"oh", "o", "zero"}:
                digits.append(0)
                position += 1
            elif digit is not None and digit[0] <= 9:
                digits.append(digit[0])
                position = digit[1]
            else:
                return None
        spelled = int("".join(map(str, digits)))
        return _Part(spelled, position) if 1900 <= spelled <= 2050 else None
    if short and 10 <= value <= 99:
        return _Part(value, after)
    if short and value <= 9:
        more = number_at(call, after, turn)
        if more is not None and more[0] <= 9 and more[1] == after + 1:
            return _Part(value * 10 + more[0], more[1])
    return None


_COUNTED = frozenset(
    "nights days weeks months years times hours minutes pills tablets visits people day week "
    "thousand hundred percent o'clock am pm".split()
)
_UNITS_AFTER_SHORT_YEAR = frozenset(
    "dollars pills tablets milligrams mg weeks days months years hours minutes percent o'clock "
    "am pm "
    "thirty fifteen forty oh".split()
)


def _with_year(call: CallText, after: int, turn: int, *, has_day: bool) -> _Part | None:
    """The year after a month or day, over a pause, "of" or "in"."""
    position = _skip(call, after, turn, _PAUSES)
    if call.norm(position, turn) in {"of", "in"}:
        position = _skip(call, position + 1, turn, _PAUSES)
    has_pause = any(call.norm(i, turn) == "." for i in range(after, position))
    year = _year(call, position, turn, short=has_day and not has_pause)
    if year is None:
        return None
    if year.value < 100:
        following = call.norm(year.after, turn)
        if following in _UNITS_AFTER_SHORT_YEAR or number_at(call, year.after, turn) is not None:
            # "March third, nine thirty": a time of day follows, not a year.
            return None
    return year


def find_dates(call: CallText) -> list[Found]:
    """Dates with a month or an ordinal day; never weekdays alone nor durations."""
    if "dates" in call.views:
        return list(call.views["dates"])
    found: list[Found] = []
    for turn, indices in enumerate(call.turn_tokens):
        position = indices.start
        while position < indices.stop:
            match = (
                _month_first(call, position, turn)
                or _day_first(call, position, turn)
                or _slashed(call, position, turn)
                or _holiday(call, position, turn)
                or _foreign(call, position, turn, indices.start)
            )
            if match is None:
                position += 1
                continue
            first, last, score, value = match
            first = _with_weekday(call, first, turn, indices.start)
            found.append(
                Found(
                    start=call.tokens[first].start,
                    end=call.tokens[last].end,
                    entity_type=EntityType.DATE,
                    score=score,
                    recognizer=RECOGNIZER,
                    value=value,
                )
            )
            position = last + 1
    call.views["dates"] = found
    return list(found)


_Match = tuple[int, int, float, str | None]


def _key(month: int | None, day: int | None, year: int | None) -> str:
    short_year = "" if year is None else f"{year % 100:02d}"
    return f"{month or ''}-{day or ''}-{short_year}"


def _month_first(call: CallText, index: int, turn: int) -> _Match | None:
    """March, March third, March the third, March 3rd 1982, March 1982."""
    word = call.norm(index, turn)
    month = MONTHS.get(word)
    if month is None:
        return None
    after = index + 1
    if (
        len(word) <= 4
        and word != "may"
        and word != "june"
        and word != "july"
        and call.norm(after, turn) == "."
    ):
        after += 1
    day_at = _skip(call, after, turn, {"the", ",", *FILLERS})
    day = _day(call, day_at, turn)
    if day is not None and not day.is_ordinal and call.norm(day.after, turn) in _COUNTED:
        day = None
    if day is not None and not (
        not day.is_ordinal and _year(call, day_at, turn, short=False) is not None
    ):
        if not day.is_ordinal and word == "may" and not _is_date_number(call, index, turn):
            return None
        year = _with_year(call, day.after, turn, has_day=True)
        last = (year or day).after - 1
        return index, last, 0.95, _key(month, day.value, year.value if year else None)
    year = _with_year(call, after, turn, has_day=False)
    if year is not None:
        return index, year.after - 1, 0.9, _key(month, None, year.value)
    if word in _AMBIGUOUS_MONTHS:
        token = call.tokens[index]
        index_before = index
        before = call.norm(index_before - 1, turn)
        while before in FILLERS | {"like", "about", "maybe"}:
            index_before -= 1
            before = call.norm(index_before - 1, turn)
        is_told = token.is_capitalised and before not in {"", ".", "?", "!", "…"}
        if before not in _MONTH_PREPOSITIONS and not is_told:
            if word in _FIRST_NAME_MONTHS:
                return index, index, 0.55, _key(month, None, None)
            return None
        if word in {"may", "march"}:
            if not is_told and before not in _SURE_PREPOSITIONS:
                return None
            following = call.norm(index + 1, turn)
            if not is_told and word == "may" and following in {"i", "we", "you", "be", "have"}:
                return None
        elif len(word) == 3 and not token.is_capitalised:
            return None
    return index, index, 0.85, _key(month, None, None)


def _is_date_number(call: CallText, index: int, turn: int) -> bool:
    """Whether a cardinal after "may" is a day: "May 3", "born may three"."""
    return call.tokens[index].is_capitalised or call.norm(index - 1, turn) in (
        _DATE_PREPOSITIONS | _MONTH_PREPOSITIONS | {"is", "born", "it's", ",", ""}
    )


def _day_first(call: CallText, index: int, turn: int) -> _Match | None:
    """The third, third of March 1982, 3 March, the third of the seventh oh four."""
    word = call.norm(index, turn)
    has_article = word == "the"
    day_at = index + 1 if has_article else index
    day = _day(call, day_at, turn)
    if day is None:
        return None
    after = day.after
    if call.norm(after, turn) == "day" and call.norm(after + 1, turn) == "of":
        after += 1
    month_at = _skip(call, after, turn, {"of", "the", ",", *FILLERS})
    month = MONTHS.get(call.norm(month_at, turn))
    follows_of = call.norm(after, turn) == "of"
    if month is not None and (day.is_ordinal or follows_of or month_at == after):
        if call.norm(month_at, turn) in {"may", "march", "mar"} and not (
            day.is_ordinal or follows_of or call.tokens[month_at].is_capitalised
        ):
            return None
        year = _with_year(call, month_at + 1, turn, has_day=True)
        last = year.after - 1 if year else month_at
        return index, last, 0.95, _key(month, day.value, year.value if year else None)
    if day.is_ordinal and follows_of:
        second = _day(call, month_at, turn)
        if second is not None and second.is_ordinal and second.value <= 12:
            # British: "the third of the seventh, two thousand and four"
            year = _with_year(call, second.after, turn, has_day=True)
            last = (year or second).after - 1
            return index, last, 0.9, _key(second.value, day.value, year.value if year else None)
        if call.norm(month_at, turn) in {"month", "year", "next", "last", "this"}:
            last = month_at
            if (
                call.norm(last, turn) not in {"month", "year"}
                and call.norm(last + 1, turn) == "month"
            ):
                last += 1
            return (index, last, 0.85, None) if call.norm(last, turn) in {"month", "year"} else None
        return None
    if not day.is_ordinal:
        return None
    return _bare_ordinal(call, index, day_at, day, turn, has_article=has_article)


def is_counted(word: str) -> bool:
    """Whether an ordinal before ``word`` counts it: "the fourth finger"."""
    return word in _ORDINAL_NOUNS or word.removesuffix("s") in _ORDINAL_NOUNS


def _bare_ordinal(
    call: CallText, index: int, day_at: int, day: _Part, turn: int, *, has_article: bool
) -> _Match | None:
    following = call.norm(day.after, turn)
    before = call.norm(index - 1, turn)
    if following == "-" or (is_counted(following) and following not in {"or", "and"}):
        return None
    if following in {"or", "and"}:
        # "the fourth and fifth fingers"
        second = _day(call, day.after + 1, turn)
        if second is not None and second.is_ordinal and is_counted(call.norm(second.after, turn)):
            return None
    key = _key(None, day.value, None)
    has_weekday = before in WEEKDAYS or (before == "," and call.norm(index - 2, turn) in WEEKDAYS)
    if has_weekday:
        return index, day.after - 1, 0.9, key
    is_end = not following or not following[0].isalnum()
    if day.value <= 3:
        if not has_article:
            return None
        if before in _DATE_PREPOSITIONS - {"the", "to", "of", "and", "or"} and (
            is_end or following in _DAY_FOLLOWERS or following in MONTHS
        ):
            return index, day.after - 1, 0.8, key
        if is_end and before and before not in _LINKING_VERBS and before[0].isalpha():
            # "I'm putting the first.", "Dr. Whitlock sent it the third, but ..."
            return index, day.after - 1, 0.5, key
        return None
    if has_article or before in {"the", *_DATE_PREPOSITIONS}:
        if is_end or following in _DAY_FOLLOWERS or number_at(call, day.after, turn) is not None:
            return index, day.after - 1, 0.8, key
        if before in _DATE_PREPOSITIONS:
            return index, day.after - 1, 0.7, key
        return index, day.after - 1, 0.55, key
    alone = call.turn_tokens[turn]
    if (
        day_at == alone.start
        and day.value > 3
        and (is_end or number_at(call, day.after, turn) is not None)
    ):
        return index, day.after - 1, 0.6, key
    return None


def _slashed(call: CallText, index: int, turn: int) -> _Match | None:
    """03/14/1982, 3-14-82, 14.03.1982, 1982-03-14, 3/14."""
    parts: list[str] = []
    marks: list[str] = []
    position = index
    while call.norm(position, turn).isdecimal() and len(parts) < 3:
        if parts and not call.tokens[position].is_glued:
            return None
        parts.append(call.norm(position, turn))
        mark = call.norm(position + 1, turn)
        if len(parts) < 3 and mark in {"/", "-", "."} and call.tokens[position + 1].is_glued:
            marks.append(mark)
            position += 2
            continue
        position += 1
        break
    if len(set(marks)) != 1 or len(parts) < 2:
        return None
    if len(parts) == 2:
        month, day = int(parts[0]), int(parts[1])
        is_date = marks == ["/"] and len(parts[0]) <= 2 and len(parts[1]) <= 2 and day > 0
        if is_date and 1 <= month <= 12 and 12 < day <= 31:
            return index, index + 2, 0.6, _key(month, day, None)
        if (
            marks[0] == "/"
            and 1 <= month <= 12
            and len(parts[1]) == 4
            and parts[1][:2] in {"19", "20"}
        ):
            return index, index + 2, 0.9, _key(month, None, day)
        return None
    last = index + 4
    key = numeric_date(parts)
    return (index, last, 0.95, key) if key else None


def numeric_date(parts: list[str]) -> str | None:
    """The canonical form of three numbers that can be a date in any common order, else ``None``."""
    if len(parts) != 3 or any(not p.isdecimal() or len(p) > 4 for p in parts):
        return None
    a, b, c = (int(p) for p in parts)
    if len(parts[0]) == 4:
        year, month, day = a, b, c
    else:
        year = c
        month, day = (a, b) if 1 <= a <= 12 else (b, a)
    is_year = 1880 <= year <= 2060 or (year < 100 and len(parts[0 if year == a else 2]) == 2)
    if is_year and 1 <= month <= 12 and 1 <= day <= 31:
        return _key(month, day, year)
    return None


def _holiday(call: CallText, index: int, turn: int) -> _Match | None:
    if call.norm(index, turn) not in _HOLIDAY_HEADS:
        return None
    for length in (3, 2, 1):
        words = tuple(call.norm(index + i, turn) for i in range(length))
        if words in _HOLIDAYS:
            return index, index + length - 1, 0.6, None
    return None


def _foreign(call: CallText, index: int, turn: int, lowest: int) -> _Match | None:
    """A French or Spanish month with a day or year beside it: "le trois avril"."""
    if call.norm(index, turn) not in _FOREIGN_MONTHS:
        return None
    first = last = index
    has_number = False
    while first > lowest and call.norm(first - 1, turn) in _FOREIGN_NUMBERS | _FOREIGN_JOINTS:
        first -= 1
        has_number = has_number or call.norm(first, turn) in _FOREIGN_NUMBERS
    if first > lowest and call.norm(first - 1, turn).isdecimal():
        first, has_number = first - 1, True
    while (word := call.norm(last + 1, turn)) in _FOREIGN_NUMBERS | _FOREIGN_JOINTS | {"-"} or (
        word.isdecimal()
    ):
        last += 1
        has_number = has_number or word not in _FOREIGN_JOINTS | {"-"}
    return (first, last, 0.8, None) if has_number else None


def _with_weekday(call: CallText, first: int, turn: int, lowest: int) -> int:
    position = first - 1
    if position > lowest and call.norm(position, turn) in {",", "the"}:
        position -= 1
    if position < lowest or call.norm(position, turn) not in WEEKDAYS:
        return first
    if position > lowest and call.norm(position - 1, turn) in {"next", "this", "last"}:
        position -= 1
    return position


def spoken_numeric_date(run: Run) -> str | None:
    """The date that a run's units can be ("oh three, fourteen, fifty-one"), else ``None``."""
    groups: list[str] = []
    position = 0
    units = run.units
    if any(unit.kind not in {"digit", "number"} for unit in units):
        return None
    while position < len(units):
        chars = units[position].chars
        if len(chars) == 1 and position + 1 < len(units):
            following = units[position + 1].chars
            if chars == "0" and len(following) == 1:
                groups.append(chars + following)
                position += 2
                continue
        groups.append(chars)
        position += 1
    if len(groups) == 4 and groups[2] in {"18", "19", "20"} and len(groups[3]) == 2:
        groups[2:] = [groups[2] + groups[3]]
    if len(groups) == 3:
        key = numeric_date(groups)
        if key is not None:
            return key
    chars = run.chars
    if len(groups) >= 5 and len(chars) in {6, 8} and all(len(g) <= 2 for g in groups):
        return numeric_date([chars[:2], chars[2:4], chars[4:]])
    return None
