"""Runs of digits and letters that identify somebody, typed by question, words and shape."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.dates import find_dates, spoken_numeric_date
from qa_monitor.redaction.expectation import Cue, Expectation, asked_for, expectations
from qa_monitor.redaction.settings import RecognizerSettings
from qa_monitor.redaction.spoken import Run, Unit, find_runs
from qa_monitor.redaction.web import find_web_addresses

__all__ = ["find_identifiers"]

RECOGNIZER = "spoken_values"

_CODES = frozenset(
    {
        EntityType.MEMBER_ID, EntityType.MRN, EntityType.ACCOUNT, EntityType.OTHER_ID,
        EntityType.LICENSE, EntityType.DEVICE,
    }
)  # fmt: skip
_CONTINUATION_TURNS = 4
_CONTINUATION_TOKENS = 25
_CORRECTION_TOKENS = 6
_LONGEST_NOISE = 3
_NOISE_MARKS = frozenset(",.-")
# Types whose values are said like a time of day: "expires nine twenty-eight".
_CLOCK_LIKE = frozenset({EntityType.ACCOUNT, EntityType.OTHER_ID, EntityType.LICENSE})
_TIMES = re.compile(r"(?:[1-9]|1[0-2])(?:0[0-9]|[1-5][0-9])")
_YEAR = re.compile(r"(?:19|20)\d\d")
_FEVER = re.compile(r"(?:3[5-9]|4[01]|9[5-9]|10[0-6])\d")


@dataclass(slots=True)
class _Memory:
    """The last identifier found, and what values the call holds so far."""

    entity_type: EntityType | None = None
    turn: int = -99
    last_token: int = -999
    values: list[tuple[str, EntityType]] = field(default_factory=list)

    def note(self, entity_type: EntityType, turn: int, last_token: int) -> None:
        """Remembers that a value of ``entity_type`` ended at ``last_token``."""
        self.entity_type, self.turn, self.last_token = entity_type, turn, last_token


def find_identifiers(
    call: CallText, cues: list[list[Cue]], settings: RecognizerSettings
) -> list[Found]:
    """Digit and letter runs that are PHI; doses, times, amounts and counts are not."""
    others = [f for f in find_dates(call) if f.score >= 0.6] + find_web_addresses(call, cues)
    others.sort(key=lambda f: f.start)
    taken = {i for f in others for i in call.tokens_between(f.start, f.end)}
    memory = _Memory()
    judged: list[tuple[Run, Found | None]] = []
    passed = 0
    for run in find_runs(call):
        while passed < len(others) and others[passed].end <= call.tokens[run.first].start:
            last = call.tokens_between(others[passed].start, others[passed].end).stop - 1
            memory.note(others[passed].entity_type, call.tokens[last].turn, last)
            passed += 1
        is_cut = run.first in taken or run.last in taken
        for part in _outside(run, taken) if is_cut else [run]:
            judged.append((part, _classify(call, part, cues, settings, memory)))
    found = [result for _, result in judged if result is not None]
    return [
        *(_with_letter_groups(call, f) for f in found),
        *_misheard(call, judged),
        *_pieces_of_dates(call),
    ]


def _with_letter_groups(call: CallText, found: Found) -> Found:
    """``found`` with groups of letters beside it that were written as a word: "bt", "pq"."""
    if found.context not in {"question before", "words before"} or found.entity_type not in (
        _CODES | {EntityType.LOCATION}
    ):
        return found
    indices = call.tokens_between(found.start, found.end)
    turn = call.tokens[indices.start].turn
    first, last = indices.start, indices.stop - 1
    if _is_letter_group(call, first - 1, turn):
        first -= 1
    if _is_letter_group(call, last + 1, turn):
        last += 1
    return replace(found, start=call.tokens[first].start, end=call.tokens[last].end)


def _is_letter_group(call: CallText, index: int, turn: int) -> bool:
    word = call.norm(index, turn)
    talk = call.locale.talk
    is_short = 2 <= len(word) <= 3 and word.isalpha()
    return is_short and word not in talk.fillers and not talk.is_common(word)


def _pieces_of_dates(call: CallText) -> list[Found]:
    """Months and ordinals in answers to a question for a birth date, however they are strewn."""
    dates, numbers = call.locale.dates, call.locale.numbers
    pieces: list[Found] = []
    for turn, indices in enumerate(call.turn_tokens):
        if EntityType.DATE not in asked_for(call, turn):
            continue
        for index in indices:
            word = call.norm(index, turn)
            is_ordinal = word in numbers.ordinals or numbers.is_written_ordinal(word)
            if not (is_ordinal or word in dates.months):
                continue
            if call.norm(index - 1, turn) in dates.not_before_piece:
                continue
            following = call.norm(index + 1, turn)
            if word in dates.counting_ordinals and following in numbers.said:
                continue
            if word in dates.doubtful_pieces and following in call.locale.talk.pronouns:
                continue
            pieces.append(
                Found(
                    start=call.tokens[index].start,
                    end=call.tokens[index].end,
                    entity_type=EntityType.DATE,
                    score=0.55,
                    recognizer=RECOGNIZER,
                    context="question before",
                )
            )
    return pieces


def _misheard(call: CallText, judged: list[tuple[Run, Found | None]]) -> list[Found]:
    """Runs that a misheard letter ("are", "you", "and") parts from a value with letters."""
    noise = call.locale.noise
    more: list[Found] = []
    for forward in (1, -1):
        near: tuple[Run, Found] | None = None
        for run, found in judged[::forward]:
            if found is not None:
                has_letters = run.letters > 0 or found.entity_type is EntityType.LOCATION
                near = (run, found) if has_letters else None
                continue
            if near is None or near[0].turn != run.turn:
                near = None
                continue
            left, right = (near[0], run) if forward == 1 else (run, near[0])
            gap = range(left.last + 1, right.first)
            words = [call.norm(i, run.turn) for i in gap]
            is_noise = len(gap) <= _LONGEST_NOISE and all(
                w in noise or w in _NOISE_MARKS for w in words
            )
            if not is_noise or _is_quantity(call, run):
                near = None
                continue
            extended = replace(
                near[1],
                start=call.tokens[run.first].start,
                end=call.tokens[run.last].end,
                value=None,
            )
            more.append(extended)
            near = (run, extended)
    return more


def _outside(run: Run, taken: set[int]) -> list[Run]:
    """The stretches of ``run`` that no date has taken."""
    parts: list[Run] = []
    current: list[Unit] = []
    for unit in run.units:
        if unit.first in taken or unit.last in taken:
            if current:
                parts.append(Run(run.turn, tuple(current)))
            current = []
        else:
            current.append(unit)
    if current:
        parts.append(Run(run.turn, tuple(current)))
    return parts


def _classify(
    call: CallText,
    run: Run,
    cues: list[list[Cue]],
    settings: RecognizerSettings,
    memory: _Memory,
) -> Found | None:
    chars = run.chars
    if chars in settings.allowed_values:
        return None
    if _is_quantity(call, run):
        return None
    expected = expectations(call, cues, run.first, run.last)
    choice = _choose(call, run, expected, memory)
    if choice is None:
        return None
    entity_type, score, reason = choice
    memory.note(entity_type, run.turn, run.last)
    value = _date(call, run) if entity_type is EntityType.DATE else None
    memory.values.append((chars, entity_type))
    return Found(
        start=call.tokens[run.first].start,
        end=call.tokens[run.last].end,
        entity_type=entity_type,
        score=round(score, 3),
        recognizer=RECOGNIZER,
        context=reason,
        value=value or chars,
    )


def _date(call: CallText, run: Run) -> str | None:
    return spoken_numeric_date(run, is_day_first=call.locale.dates.is_day_first)


def _is_quantity(call: CallText, run: Run) -> bool:
    """Whether the words around say that the number counts, measures or costs something."""
    words = call.locale.quantities
    after = call.norm(run.last + 1, run.turn)
    before = call.norm(run.first - 1, run.turn)
    if after == "-":
        after = call.norm(run.last + 2, run.turn)
    if after in words.after and run.letters == 0:
        # Ten digits before "pounds" would still be a number that identifies somebody.
        return run.digits < 7
    if before in words.before and run.digits < 6:
        return True
    if after in {"%", "°"}:
        return True
    if len(run.chars) <= 2 and run.letters == 0:
        return after in words.after_short
    return False


def _is_time(call: CallText, run: Run) -> bool:
    words = call.locale.quantities
    chars = run.chars
    if run.letters or len(chars) > 4:
        return False
    after = call.norm(run.last + 1, run.turn)
    if after in words.half_days or after in words.spaced_half_days:
        return True
    before = call.norm(run.first - 1, run.turn)
    is_clock = chars in {str(h) for h in range(1, 13)} or bool(_TIMES.fullmatch(chars))
    if not is_clock:
        return False
    if before == ":" or before in words.times_after:
        return True
    return ":" in call.text[call.tokens[run.first].start : call.tokens[run.last].end]


def _looks_like_clock(run: Run) -> bool:
    """Whether hour and minutes were said as two numbers: "ten forty", "seven oh five"."""
    if not _TIMES.fullmatch(run.chars) or len(run.units) not in {2, 3}:
        return False
    minutes = run.units[1:]
    if run.singles <= 2 and (len(minutes) == 1 or minutes[0].chars == "0"):
        return True
    return len(minutes) == 1 and minutes[0].kind == "number" and len(minutes[0].chars) == 2


def _fit(call: CallText, entity_type: EntityType, run: Run) -> float:
    """How well the shape of ``run`` suits the type, 0 to 1."""
    acronyms = call.locale.letters.acronyms
    digits, letters, chars = run.digits, run.letters, run.chars
    is_round = len(run.units) == 1 and chars.endswith("00") and not _is_written(call, run)
    if is_round and entity_type in _CODES:
        # "it pays forty thousand"
        return 0.4
    if is_round and entity_type is not EntityType.LOCATION:
        return 0.0
    if entity_type is EntityType.DATE:
        if letters:
            return 0.0
        if _date(call, run):
            return 1.0
        return 0.7 if digits <= 8 else 0.2
    if entity_type in {EntityType.PHONE, EntityType.FAX}:
        if letters:
            return 0.0
        if digits in {10, 11, 12, 13}:
            return 1.0
        return 0.9 if digits == 7 else 0.75 if digits <= 9 else 0.3
    if entity_type is EntityType.SSN:
        if letters:
            return 0.3
        return 1.0 if digits == 9 else 0.9 if digits == 4 else 0.6 if digits < 9 else 0.2
    if entity_type is EntityType.LOCATION:
        if call.locale.values.postcode.fullmatch(chars):
            return 1.0
        if letters:
            return (0.75 if digits else 0.65) if len(chars) <= 7 else 0.0
        return 0.95 if digits == 5 else 0.7 if digits < 5 or digits == 9 else 0.2
    if entity_type in _CODES:
        if digits == 0:
            return 0.55 if letters >= 2 and chars not in acronyms else 0.0
        if entity_type is EntityType.ACCOUNT and digits in {15, 16}:
            return 1.0
        if _date(call, run) and run.singles <= 1:
            return 0.5
        return 0.85
    if entity_type is EntityType.PERSON:
        return 0.95 if digits == 0 and letters >= 2 and chars not in acronyms else 0.0
    if entity_type is EntityType.IP:
        return 0.9 if letters == 0 and digits >= 2 else 0.0
    return 0.0


def _choose(
    call: CallText,
    run: Run,
    expected: list[Expectation],
    memory: _Memory,
) -> tuple[EntityType, float, str] | None:
    is_year = run.singles == 0 and run.letters == 0 and _YEAR.fullmatch(run.chars) is not None
    before = call.norm(run.first - 1, run.turn)
    if before in call.locale.values.extension and run.letters == 0:
        return EntityType.PHONE, 0.8, "words before"
    asked = asked_for(call, run.turn)
    best: tuple[EntityType, float, str] | None = None
    for expectation in expected:
        fit = _fit(call, expectation.entity_type, run)
        if is_year and expectation.entity_type is not EntityType.DATE:
            fit -= 0.35
        is_narrow = expectation.entity_type in asked and expectation.reason == "question before"
        if is_narrow and expectation.entity_type is EntityType.PERSON and run.digits == 0:
            fit = max(fit, 0.7 if run.chars not in call.locale.letters.words else 0.0)
        if fit <= 0.0:
            continue
        strength = expectation.strength
        if is_narrow:
            strength = max(strength, 0.75)
        elif not _is_answer(call, run, expectation):
            strength -= 0.45
        score = fit * strength
        if best is None or score > best[1]:
            best = (expectation.entity_type, score, expectation.reason)
    if _is_time(call, run) and (best is None or best[1] < 0.75):
        return None
    if _looks_like_clock(run) and (
        best is None or best[1] < 0.5 or (best[0] not in _CLOCK_LIKE and run.singles < 3)
    ):
        return None
    shape = _by_shape(call, run)
    if shape is not None and best is not None and best[1] >= 0.25:
        return best[0], max(best[1], shape[1]), best[2]
    if best is not None and best[1] >= 0.5:
        return best
    if shape is not None:
        return shape
    return _continuation(call, run, memory) or best


def _is_answer(call: CallText, run: Run, expectation: Expectation) -> bool:
    """Whether a run looks said on purpose: long enough, said digit by digit, or all there is."""
    if run.digits >= 3 and (run.singles >= 2 or len(run.chars) >= 4):
        return True
    if run.letters and len(run.chars) >= 3:
        return True
    if expectation.reason == "words before" and expectation.strength >= 0.88:
        # "group is nine", "ending in 42"
        return len(run.chars) >= 2 or run.units[0].kind == "number"
    return len(run.chars) >= 2 and _is_bare(call, run)


def _is_bare(call: CallText, run: Run) -> bool:
    """Whether the turn, or its clause, holds hardly anything but the run."""
    idle = call.locale.talk.saying_nothing
    turn_tokens = call.turn_tokens[run.turn]
    others = 0
    position = run.last + 1
    while position < turn_tokens.stop and call.norm(position, run.turn) not in {".", "?", "!"}:
        word = call.norm(position, run.turn)
        others += word not in idle and word[0].isalnum()
        position += 1
    position = run.first - 1
    while position >= turn_tokens.start and call.norm(position, run.turn) not in {".", "?", "!"}:
        word = call.norm(position, run.turn)
        others += word not in idle and word[0].isalnum()
        position -= 1
    return others == 0


def _is_first(call: CallText, run: Run) -> bool:
    """Whether the turn begins with the run."""
    before = range(call.turn_tokens[run.turn].start, run.first)
    idle = call.locale.talk.saying_nothing
    return all(call.norm(i, run.turn) in idle or not call.tokens[i].is_word for i in before)


def _by_shape(call: CallText, run: Run) -> tuple[EntityType, float, str] | None:
    """The type that the shape alone tells, without any question."""
    acronyms = call.locale.letters.acronyms
    digits, letters, chars = run.digits, run.letters, run.chars
    if letters == 0:
        if (digits in {10, 11} and chars[0] != "0") or digits == 11:
            return EntityType.PHONE, 0.8, "shape"
        if digits in {13, 14, 15, 16}:
            return EntityType.ACCOUNT, 0.8, "shape"
        date = _date(call, run)
        if date is not None and digits >= 4 and run.singles <= 4:
            return EntityType.DATE, 0.7, "shape"
        if 2 * run.singles < digits and len(run.units) > 1 and not _is_written(call, run):
            # "one sixty-one, one sixty-two, one sixty-four" are readings.
            return None
        if digits == 9 and run.singles != 0:
            return EntityType.SSN, 0.7, "shape"
        if digits >= 7:
            return EntityType.PHONE if digits == 7 else EntityType.OTHER_ID, 0.7, "shape"
        if _FEVER.fullmatch(chars):
            return None
        if digits >= 4 and run.singles >= 3:
            return (EntityType.LOCATION if digits == 5 else EntityType.OTHER_ID), 0.55, "shape"
        if digits in {5, 6} and len(run.units) == 1 and _is_written(call, run):
            return EntityType.OTHER_ID, 0.5, "shape"
        return None
    if call.locale.values.postcode.fullmatch(chars):
        return EntityType.LOCATION, 0.85, "shape"
    if digits == 0:
        if chars in acronyms:
            return None
        if run.is_spelled and letters >= 1:
            return EntityType.PERSON, 0.7, "spelled"
        if letters >= 4 or (letters == 3 and _is_bare(call, run)):
            return EntityType.PERSON, 0.65, "spelled"
        return None
    if digits >= 3 and len(chars) >= 5 and chars not in acronyms:
        return EntityType.OTHER_ID, 0.6, "shape"
    return None


def _is_written(call: CallText, run: Run) -> bool:
    return all(call.tokens[unit.first].norm.isdecimal() for unit in run.units)


def _continuation(
    call: CallText, run: Run, memory: _Memory
) -> tuple[EntityType, float, str] | None:
    """The type of the value that this run goes on with, corrects or repeats."""
    if memory.entity_type is None:
        return None
    turns = run.turn - memory.turn
    tokens = run.first - memory.last_token
    chars = run.chars
    repeats = len(chars) >= 2 and any(chars in value for value, _ in memory.values)
    is_said_by_digit = run.singles >= 2 or (run.letters and run.digits)
    if memory.entity_type is EntityType.PERSON and run.digits:
        return None
    if memory.entity_type in {EntityType.LOCATION, EntityType.URL, EntityType.IP}:
        is_said_by_digit = run.singles >= 3 and len(chars) >= 3
    if memory.entity_type is EntityType.DATE:
        # After a date only a corrected date or year goes on with it.
        is_year = run.letters == 0 and (
            (len(chars) == 2 and chars >= "21") or _YEAR.fullmatch(chars)
        )
        is_near = turns <= 1 and tokens <= _CORRECTION_TOKENS and _is_bare(call, run)
        if _date(call, run) is None and not (is_year and is_near):
            return None
    elif run.letters == 0 and run.singles == 0 and len(run.units) == 1 and not repeats:
        # "Twenty." after a value is a count as often as a part of it.
        return None
    if turns == 0 and tokens <= _CONTINUATION_TOKENS and (is_said_by_digit or _is_bare(call, run)):
        return memory.entity_type, 0.6, "goes on"
    if 0 < turns <= 2 and len(chars) == 2 and run.singles == 2 and _is_first(call, run):
        # "Nine seven, not seven nine."
        following = call.norm(run.last + 1, run.turn)
        if (
            not following
            or not following[0].isalnum()
            or following in call.locale.values.after_piece
        ):
            return memory.entity_type, 0.55, "goes on"
    if 0 < turns <= _CONTINUATION_TURNS and (
        (is_said_by_digit and (len(chars) >= 4 or (len(chars) == 3 and _is_first(call, run))))
        or _is_bare(call, run)
    ):
        return memory.entity_type, 0.6, "goes on"
    if len(chars) >= 4 or (run.singles >= 2 and len(chars) == 3):
        for value, entity_type in memory.values:
            if chars in value:
                return entity_type, 0.55, "repeated"
    return None
