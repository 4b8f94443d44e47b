"""Numbers and letters as people say them: "double five", "M as in Mary", "nineteen eighty two".

A *unit* is the smallest piece that stands for characters (a digit word, "twenty-two", "double
four", a letter with its word); a *run* is units one after another in a turn, with nothing between
them but pauses, fillers and words such as "dash".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qa_monitor.redaction.calltext import CallText

__all__ = ["Run", "Unit", "find_runs", "number_at"]

_SOFT_MARKS = frozenset(",-–—/…:·•*#()")
_LONGEST_GAP = 4


@dataclass(frozen=True, slots=True)
class Unit:
    """Tokens ``[first, last]`` that stand for ``chars``.

    ``kind`` is ``digit`` (one digit said by itself), ``number`` (said or written as a number),
    ``letter`` or ``nato``; ``is_weak`` marks what counts only beside other units.
    """

    first: int
    last: int
    chars: str = field(repr=False)
    kind: str
    is_weak: bool = False
    is_spelled: bool = False
    """A letter with its word: "M as in Mary"."""


@dataclass(frozen=True, slots=True)
class Run:
    """Units of one turn one after another; ``first`` and ``last`` are token indices."""

    turn: int
    units: tuple[Unit, ...]

    @property
    def first(self) -> int:
        """Index of the first token."""
        return self.units[0].first

    @property
    def last(self) -> int:
        """Index of the last token."""
        return self.units[-1].last

    @property
    def chars(self) -> str:
        """The value, digits and lower-case letters without separators."""
        return "".join(unit.chars for unit in self.units)

    @property
    def digits(self) -> int:
        """How many digits the value has."""
        return sum(c.isdecimal() for c in self.chars)

    @property
    def letters(self) -> int:
        """How many letters the value has."""
        return sum(c.isalpha() for c in self.chars)

    @property
    def singles(self) -> int:
        """How many digits were said one by one, or by "double" and "triple"."""
        return sum(len(unit.chars) for unit in self.units if unit.kind == "digit")

    @property
    def is_spelled(self) -> bool:
        """Whether a letter was told with a word."""
        return any(unit.is_spelled for unit in self.units)


def _small(call: CallText, index: int, turn: int) -> tuple[int, int] | None:
    """Value and next index of a number word below one hundred (not "oh")."""
    words = call.locale.numbers.words
    value = words.get(call.norm(index, turn))
    if value is None:
        return None
    if value >= 20 and value % 10 == 0:
        after = index + 1
        if call.norm(after, turn) in {"-", "–"}:
            after += 1
        one = words.get(call.norm(after, turn), 0)
        if 1 <= one <= 9:
            return value + one, after + 1
    return value, index + 1


def number_at(call: CallText, index: int, turn: int) -> tuple[int, int] | None:
    """The number said at token ``index`` with its hundreds and thousands, and the next index."""
    words = call.locale.numbers
    small = _small(call, index, turn)
    if small is None:
        following = call.norm(index + 1, turn) if call.norm(index, turn) in words.one else ""
        if following not in words.hundred and following not in words.thousand:
            return None
        small = (1, index + 1)
    value, after = small
    is_large = False
    if value and call.norm(after, turn) in words.hundred:
        value, after, is_large = value * 100, after + 1, True
        value, after = _add_rest(call, value, after, turn)
    if value and call.norm(after, turn) in words.thousand:
        value, after, is_large = value * 1000, after + 1, True
        rest = _small(call, after, turn)
        if rest is not None and call.norm(rest[1], turn) in words.hundred:
            value, after = value + rest[0] * 100, rest[1] + 1
        value, after = _add_rest(call, value, after, turn)
    return (value, after) if is_large or small[1] == after else small


def _add_rest(call: CallText, value: int, after: int, turn: int) -> tuple[int, int]:
    position = after + 1 if call.norm(after, turn) in call.locale.numbers.joints else after
    rest = _small(call, position, turn)
    return (value + rest[0], rest[1]) if rest is not None else (value, after)


def _letter_with_word(call: CallText, index: int, turn: int, letter: str) -> int | None:
    """The last index of "as in Mary" after a letter; ``None`` if no word tells the letter."""
    words = call.locale.letters
    after = index + 1
    if call.norm(after, turn) in {",", "."}:
        after += 1
    joint = call.norm(after, turn)
    is_sure = joint in words.tellers
    if not is_sure and (joint not in words.weak_tellers or letter in words.words):
        # "can I, like, ..." spells nothing.
        return None
    after += 1
    if is_sure and call.norm(after, turn) in words.after_tellers:
        after += 1
    if call.norm(after, turn) in call.locale.talk.articles:
        after += 1
    word = call.norm(after, turn)
    if is_sure and word in words.alphabet and call.norm(after + 1, turn) in words.alphabet:
        # "S, H, as in sierra hotel"
        return after + 1
    if len(word) > 1 and word[0] == letter:
        return after
    return None


def _unit_at(call: CallText, index: int, turn: int) -> Unit | None:
    token = call.tokens[index]
    word = token.norm
    if word.isdecimal():
        return Unit(index, index, word, "digit" if len(word) == 1 else "number")
    numbers, letters = call.locale.numbers, call.locale.letters
    if word in numbers.repeats:
        times, after = numbers.repeats[word], index + 1
        repeated = call.norm(after, turn)
        if times == 2 and repeated in letters.doubled:
            return Unit(index, after, letters.doubled[repeated], "letter", is_weak=True)
        char = numbers.digits.get(repeated) or (repeated if len(repeated) == 1 else None)
        if char is not None and char.isalnum():
            kind = "digit" if char.isdecimal() else "letter"
            return Unit(index, after, char * times, kind)
        return None
    digit = numbers.digits.get(word)
    number = number_at(call, index, turn)
    if number is not None and number[1] > index + 1:
        return Unit(index, number[1] - 1, str(number[0]), "number")
    if digit is not None:
        return Unit(index, index, digit, "digit")
    if number is not None:
        return Unit(index, index, str(number[0]), "number")
    if len(word) == 1 and word.isalpha():
        last = _letter_with_word(call, index, turn, word)
        if last is not None:
            return Unit(index, last, word, "letter", is_spelled=True)
        return Unit(index, index, word, "letter", is_weak=word in letters.words)
    if token.is_word and len(word) <= 3 and _is_beside_digits(call, index, turn):
        return Unit(index, index, word, "letter")
    if word in letters.alphabet:
        return Unit(index, index, word[0], "nato", is_weak=True)
    if word in letters.homophones:
        letter = letters.homophones[word]
        last = _letter_with_word(call, index, turn, letter)
        if last is not None:
            return Unit(index, last, letter, "letter", is_spelled=True)
        return Unit(index, index, letter, "letter", is_weak=True)
    return None


def _is_beside_digits(call: CallText, index: int, turn: int) -> bool:
    token = call.tokens[index]
    before, after = call.norm(index - 1, turn), call.norm(index + 1, turn)
    if token.is_glued and before.isdecimal():
        return token.norm not in call.locale.quantities.glued
    return after.isdecimal() and call.tokens[index + 1].is_glued


def _gap_end(call: CallText, index: int, turn: int) -> int | None:
    """The index after the pauses at ``index`` where a run may go on; ``None`` if it must end."""
    talk = call.locale.talk
    position = index
    while position - index <= _LONGEST_GAP:
        word = call.norm(position, turn)
        if not word:
            return None
        if word in _SOFT_MARKS or word in talk.pauses:
            position += 1
            continue
        if word == "." and (call.norm(position + 1, turn) == "."):
            position += 1
            continue
        if word == "." and position > 0 and len(call.norm(position - 1, turn)) == 1:
            # "S. T. I. L." and "m.c.c."
            position += 1
            continue
        return position
    return None


def find_runs(call: CallText) -> list[Run]:
    """All runs of the call, in order."""
    if "runs" in call.views:
        return list(call.views["runs"])
    runs: list[Run] = []
    weak_homophones = call.locale.letters.weak_homophones
    for turn, indices in enumerate(call.turn_tokens):
        position, stop = indices.start, indices.stop
        while position < stop:
            unit = _unit_at(call, position, turn)
            half_day = _half_day_end(call, position, turn)
            if unit is None or half_day is not None:
                position = half_day or position + 1
                continue
            units = [unit]
            position = unit.last + 1
            while position < stop:
                following = _gap_end(call, position, turn)
                if following is None:
                    break
                if _half_day_end(call, following, turn) is not None:
                    break
                following_unit = _unit_at(call, following, turn)
                if following_unit is None and call.norm(following, turn) in weak_homophones:
                    following_unit = _weak_unit(call, following, turn, units)
                if following_unit is None:
                    break
                units.append(following_unit)
                position = following_unit.last + 1
            trimmed = _trim(units, call.locale.letters.words)
            if trimmed:
                runs.append(Run(turn, tuple(trimmed)))
    call.views["runs"] = runs
    return list(runs)


def _half_day_end(call: CallText, index: int, turn: int) -> int | None:
    """The index after "a m" or "p.m." at ``index``, if it follows a number."""
    second = call.locale.quantities.spaced_half_days.get(call.norm(index, turn))
    if second is None:
        return None
    before = call.norm(index - 1, turn)
    if not before.isdecimal() and before not in call.locale.numbers.said:
        return None
    after = index + 1
    if call.norm(after, turn) == ".":
        after += 1
    return after + 1 if call.norm(after, turn) == second else None


def _weak_unit(call: CallText, index: int, turn: int, units: list[Unit]) -> Unit | None:
    """A common word that sounds like a letter, taken so only inside a run of letters."""
    if units[-1].kind != "letter":
        return None
    following = _gap_end(call, index + 1, turn)
    if following is None or _unit_at(call, following, turn) is None:
        return None
    letter = call.locale.letters.weak_homophones[call.norm(index, turn)]
    return Unit(index, index, letter, "letter", is_weak=True)


def _trim(units: list[Unit], letter_words: frozenset[str]) -> list[Unit]:
    """``units`` without weak ones that have nothing to lean on."""
    strong = [i for i, unit in enumerate(units) if not unit.is_weak]
    nato = [i for i, unit in enumerate(units) if unit.kind == "nato"]
    if not strong:
        return units if len(nato) >= 2 and len(nato) == len(units) else []
    if len(units) == 1:
        return units
    first, last = strong[0], strong[-1]
    while (
        first > 0
        and units[first - 1].kind == "letter"
        and units[first - 1].chars not in letter_words
    ):
        first -= 1
    letters = [i for i in strong if units[i].kind == "letter"]
    # "a" and "i" beside another letter are spelled; beside a number they are words.
    while (
        first > 0
        and len(units) > 2
        and units[first].kind in {"letter", "nato"}
        and units[first].first - units[first - 1].last <= 2
    ):
        first -= 1
    while first > 0 and units[first - 1].kind == "nato" and len(nato) >= 2:
        first -= 1
    while last < len(units) - 1 and (
        (units[last].kind in {"letter", "nato"} and len(letters) >= 1 and last - first >= 1)
        or (units[last + 1].kind == "nato" and len(nato) >= 2)
    ):
        last += 1
    return units[first : last + 1]
