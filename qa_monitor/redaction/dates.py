"""Dates as said and as written, for a call's tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.spoken import Run, number_at

__all__ = ["find_dates", "numeric_date", "spoken_numeric_date"]

RECOGNIZER = "spoken_dates"

# Marks that are written where a pause is heard.
_PAUSES = frozenset(",-–/.")
_YEAR_MARKS = frozenset("-,")
_COMMA = frozenset(",")


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a date: value and the index after it."""

    value: int = field(repr=False)
    after: int
    is_ordinal: bool = False


def _skip(call: CallText, index: int, turn: int, *words: frozenset[str]) -> int:
    """The first index from ``index`` on whose word is in none of ``words``."""
    position = index
    while (word := call.norm(position, turn)) and any(word in some for some in words):
        position += 1
    return position


def _day(call: CallText, index: int, turn: int) -> _Part | None:
    """A day of the month at ``index``: ordinal, number or number word."""
    numbers = call.locale.numbers
    word = call.norm(index, turn)
    if word in numbers.ordinals:
        return _Part(numbers.ordinals[word], index + 1, is_ordinal=True)
    ten = numbers.words.get(word)
    if ten in {20, 30}:
        after = index + 1
        if call.norm(after, turn) in {"-", "–"}:
            after += 1
        ordinal = numbers.ordinals.get(call.norm(after, turn), 99)
        if ordinal <= 9 and ten + ordinal <= 31:
            return _Part(ten + ordinal, after + 1, is_ordinal=True)
    written = numbers.written_ordinal(word)
    if written is not None and 1 <= written <= 31:
        return _Part(written, index + 1, is_ordinal=True)
    if word.isdecimal() and len(word) <= 2 and 1 <= int(word) <= 31:
        return _Part(int(word), index + 1)
    number = number_at(call, index, turn)
    if number is not None and 1 <= number[0] <= 31:
        return _Part(number[0], number[1])
    if word in numbers.year_zeros:
        rest = number_at(call, index + 1, turn)
        if rest is not None and 1 <= rest[0] <= 9:
            return _Part(rest[0], rest[1])
    return None


def _year(call: CallText, index: int, turn: int, *, short: bool) -> _Part | None:
    """A year at ``index``; ``short`` allows two digits."""
    numbers, fillers = call.locale.numbers, call.locale.talk.fillers
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
        if short and word in numbers.year_zeros:
            rest = number_at(call, index + 1, turn)
            if rest is not None and rest[0] <= 9:
                return _Part(2000 + rest[0], rest[1])
        return None
    value, after = first
    if 1900 <= value <= 2050:
        return _Part(value, after)
    if value in {18, 19, 20}:
        rest_at = _skip(call, after, turn, _YEAR_MARKS, numbers.joints, fillers)
        if call.norm(rest_at, turn) in numbers.hundred:
            rest_at = _skip(call, rest_at + 1, turn, numbers.joints)
        if call.norm(rest_at, turn) in numbers.year_zeros:
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
            if call.norm(position, turn) in numbers.year_zeros:
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


def _with_year(call: CallText, after: int, turn: int, *, has_day: bool) -> _Part | None:
    """The year after a month or day, over a pause, "of" or "in"."""
    dates, fillers = call.locale.dates, call.locale.talk.fillers
    position = _skip(call, after, turn, _PAUSES, fillers)
    if call.norm(position, turn) in dates.before_year:
        position = _skip(call, position + 1, turn, _PAUSES, fillers)
    has_pause = any(call.norm(i, turn) == "." for i in range(after, position))
    year = _year(call, position, turn, short=has_day and not has_pause)
    if year is None:
        return None
    if year.value < 100:
        following = call.norm(year.after, turn)
        if following in dates.not_after_year or number_at(call, year.after, turn) is not None:
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
    dates, talk = call.locale.dates, call.locale.talk
    word = call.norm(index, turn)
    month = dates.months.get(word)
    if month is None:
        return None
    after = index + 1
    if word in dates.abbreviations and call.norm(after, turn) == ".":
        after += 1
    day_at = _skip(call, after, turn, talk.definite_article, _COMMA, talk.fillers)
    day = _day(call, day_at, turn)
    if day is not None and not day.is_ordinal and call.norm(day.after, turn) in dates.counted:
        day = None
    if day is not None and not (
        not day.is_ordinal and _year(call, day_at, turn, short=False) is not None
    ):
        is_modal = word in dates.modal_months and not day.is_ordinal
        if is_modal and not _is_date_number(call, index, turn):
            return None
        year = _with_year(call, day.after, turn, has_day=True)
        last = (year or day).after - 1
        return index, last, 0.95, _key(month, day.value, year.value if year else None)
    year = _with_year(call, after, turn, has_day=False)
    if year is not None:
        return index, year.after - 1, 0.9, _key(month, None, year.value)
    if word in dates.ambiguous_months:
        token = call.tokens[index]
        index_before = index
        before = call.norm(index_before - 1, turn)
        while before in talk.fillers or before in dates.hedges:
            index_before -= 1
            before = call.norm(index_before - 1, turn)
        is_told = token.is_capitalised and before not in {"", ".", "?", "!", "…"}
        if before not in dates.month_prepositions and not is_told:
            if word in dates.name_months:
                return index, index, 0.55, _key(month, None, None)
            return None
        if word in dates.abbreviations:
            if not token.is_capitalised:
                return None
        elif word in dates.verb_months and not is_told:
            if before not in dates.sure_month_prepositions:
                return None
            following = call.norm(index + 1, turn)
            if word in dates.modal_months and following in dates.after_modal:
                return None
    return index, index, 0.85, _key(month, None, None)


def _is_date_number(call: CallText, index: int, turn: int) -> bool:
    """Whether a cardinal after "may" is a day: "May 3", "born may three"."""
    before = call.norm(index - 1, turn)
    is_told = before in {",", ""} or before in call.locale.dates.before_day_number
    return is_told or call.tokens[index].is_capitalised


def _day_first(call: CallText, index: int, turn: int) -> _Match | None:
    """The third, third of March 1982, 3 March, the third of the seventh oh four."""
    dates, talk = call.locale.dates, call.locale.talk
    has_article = call.norm(index, turn) in talk.definite_article
    day_at = index + 1 if has_article else index
    day = _day(call, day_at, turn)
    if day is None:
        return None
    after = day.after
    if call.norm(after, turn) in dates.day_words and call.norm(after + 1, turn) in dates.of:
        after += 1
    month_at = _skip(call, after, turn, dates.of, talk.definite_article, _COMMA, talk.fillers)
    month = dates.months.get(call.norm(month_at, turn))
    follows_of = call.norm(after, turn) in dates.of
    if month is not None and (day.is_ordinal or follows_of or month_at == after):
        if call.norm(month_at, turn) in dates.verb_months and not (
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
        last = month_at
        if (
            call.norm(last, turn) in dates.relative
            and call.norm(last + 1, turn) in dates.month_words
        ):
            last += 1
        return (index, last, 0.85, None) if call.norm(last, turn) in dates.periods else None
    if not day.is_ordinal:
        return None
    return _bare_ordinal(call, index, day_at, day, turn, has_article=has_article)


def _bare_ordinal(
    call: CallText, index: int, day_at: int, day: _Part, turn: int, *, has_article: bool
) -> _Match | None:
    dates = call.locale.dates
    following = call.norm(day.after, turn)
    before = call.norm(index - 1, turn)
    if following in dates.alternatives:
        # "the fourth and fifth fingers"
        second = _day(call, day.after + 1, turn)
        is_ordinal = second is not None and second.is_ordinal
        if second and is_ordinal and dates.is_counted(call.norm(second.after, turn)):
            return None
    elif following == "-" or dates.is_counted(following):
        return None
    key = _key(None, day.value, None)
    weekday = call.norm(index - 2, turn) if before == "," else before
    if weekday in dates.weekdays:
        return index, day.after - 1, 0.9, key
    is_end = not following or not following[0].isalnum()
    if day.value <= 3:
        if not has_article:
            return None
        if before in dates.day_prepositions and (
            is_end or following in dates.day_followers or following in dates.months
        ):
            return index, day.after - 1, 0.8, key
        if is_end and before and before not in dates.linking_verbs and before[0].isalpha():
            # "I'm putting the first.", "Dr. Whitlock sent it the third, but ..."
            return index, day.after - 1, 0.5, key
        return None
    if has_article or before in dates.before_day:
        is_followed = following in dates.day_followers
        if is_end or is_followed or number_at(call, day.after, turn) is not None:
            return index, day.after - 1, 0.8, key
        if before in dates.before_day:
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
    is_day_first = call.locale.dates.is_day_first
    if len(parts) == 2:
        month, day = int(parts[is_day_first]), int(parts[not is_day_first])
        is_date = marks == ["/"] and len(parts[0]) <= 2 and len(parts[1]) <= 2 and day > 0
        if is_date and 1 <= month <= 12 and 12 < day <= 31:
            return index, index + 2, 0.6, _key(month, day, None)
        month, year = int(parts[0]), int(parts[1])
        is_year = len(parts[1]) == 4 and parts[1][:2] in {"19", "20"}
        if marks == ["/"] and 1 <= month <= 12 and is_year:
            return index, index + 2, 0.9, _key(month, None, year)
        return None
    last = index + 4
    key = numeric_date(parts, is_day_first=is_day_first)
    return (index, last, 0.95, key) if key else None


def numeric_date(parts: list[str], *, is_day_first: bool = False) -> str | None:
    """The canonical form of three numbers that can be a date in any common order, else ``None``.

    Where day and month could be either, ``is_day_first`` decides.
    """
    if len(parts) != 3 or any(not p.isdecimal() or len(p) > 4 for p in parts):
        return None
    a, b, c = (int(p) for p in parts)
    if len(parts[0]) == 4:
        year, month, day = a, b, c
    else:
        year = c
        month, day = (b, a) if is_day_first else (a, b)
        if not 1 <= month <= 12:
            month, day = day, month
    is_year = 1880 <= year <= 2060 or (year < 100 and len(parts[0 if year == a else 2]) == 2)
    if is_year and 1 <= month <= 12 and 1 <= day <= 31:
        return _key(month, day, year)
    return None


def _holiday(call: CallText, index: int, turn: int) -> _Match | None:
    for words in call.locale.dates.holidays_by_head.get(call.norm(index, turn), ()):
        if all(call.norm(index + i, turn) == word for i, word in enumerate(words)):
            return index, index + len(words) - 1, 0.6, None
    return None


def _foreign(call: CallText, index: int, turn: int, lowest: int) -> _Match | None:
    """A French or Spanish month with a day or year beside it: "le trois avril"."""
    words = call.locale.foreign
    if call.norm(index, turn) not in words.months:
        return None
    first = last = index
    has_number = False
    while first > lowest and call.norm(first - 1, turn) in words.numbers_and_joints:
        first -= 1
        has_number = has_number or call.norm(first, turn) in words.numbers
    if first > lowest and call.norm(first - 1, turn).isdecimal():
        first, has_number = first - 1, True
    while (word := call.norm(last + 1, turn)) and (
        word == "-" or word.isdecimal() or word in words.numbers_and_joints
    ):
        last += 1
        has_number = has_number or (word != "-" and word not in words.joints)
    return (first, last, 0.8, None) if has_number else None


def _with_weekday(call: CallText, first: int, turn: int, lowest: int) -> int:
    dates, talk = call.locale.dates, call.locale.talk
    position = first - 1
    before = call.norm(position, turn)
    if position > lowest and (before == "," or before in talk.definite_article):
        position -= 1
    if position < lowest or call.norm(position, turn) not in dates.weekdays:
        return first
    if position > lowest and call.norm(position - 1, turn) in dates.relative:
        position -= 1
    return position


def spoken_numeric_date(run: Run, *, is_day_first: bool = False) -> str | None:
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
        key = numeric_date(groups, is_day_first=is_day_first)
        if key is not None:
            return key
    chars = run.chars
    if len(groups) >= 5 and len(chars) in {6, 8} and all(len(g) <= 2 for g in groups):
        return numeric_date([chars[:2], chars[2:4], chars[4:]], is_day_first=is_day_first)
    return None
