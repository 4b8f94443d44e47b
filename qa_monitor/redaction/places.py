"""Street addresses, and organisations and places told by a word that names their kind."""

from __future__ import annotations

from dataclasses import replace

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.expectation import Cue
from qa_monitor.redaction.spoken import Run, find_runs

__all__ = ["find_addresses", "find_named_places"]

_LONGEST_STREET = 4
_LONGEST_GAP = 3


def find_addresses(call: CallText, cues: list[list[Cue]]) -> list[Found]:
    """House number, street and what belongs to it ("apartment four b", a zip code at the end)."""
    found: list[Found] = []
    for run in find_runs(call):
        match = _address(call, run) or _compass_address(call, run)
        if match is not None:
            first, last = match
            found.append(_place(call, first, last, 0.85))
    found.extend(_streets(call))
    found.extend(_corners(call))
    found.extend(_inner_addresses(call, found, cues))
    return found


def _address(call: CallText, run: Run) -> tuple[int, int] | None:
    turn = run.turn
    if (run.letters and not run.digits) or run.digits > 6:
        return None
    said, talk, numbers = call.locale.places, call.locale.talk.words, call.locale.numbers
    position = run.last + 1
    words = 0
    while words <= _LONGEST_STREET and (word := call.norm(position, turn)):
        if word in {",", "-", "'"}:
            if word == "," and words:
                return None
            position += 1
            continue
        is_number = word[0].isdecimal() and not numbers.is_written_ordinal(word)
        if is_number or not word[0].isalnum():
            return None
        if words and _is_street_word(call, position, turn):
            return run.first, _after_street(call, position, turn)
        if (word in talk and word not in said.in_streets) or word in said.counted:
            return None
        words += 1
        position += 1
    return None


def _compass_address(call: CallText, run: Run) -> tuple[int, int] | None:
    """A house number, a compass point and a name: "five fifteen southeast taylor"."""
    turn = run.turn
    compass = run.last + 1
    while (word := call.norm(compass, turn)) == "," or word in call.locale.talk.fillers:
        compass += 1
    if word not in call.locale.places.compass or not 2 <= run.digits <= 5:
        return None
    name = call.norm(compass + 1, turn)
    if not name or not name[0].isalnum() or name in call.locale.talk.words:
        return None
    last = compass + 1
    if _is_street_word(call, last + 1, turn):
        last += 1
    return run.first, last


def _corners(call: CallText) -> list[Found]:
    """Corners of numbered streets: "forty-seventh and Ashland", "eleventh and H"."""
    numbers, months, talk = call.locale.numbers, call.locale.dates.months, call.locale.talk
    found: list[Found] = []
    for turn, indices in enumerate(call.turn_tokens):
        for index in indices:
            ordinal, joint = call.norm(index, turn), call.norm(index + 1, turn)
            other = call.norm(index + 2, turn)
            is_joint = joint == "&" or joint in talk.joints
            if not is_joint or not other or not other[0].isalpha():
                continue
            is_ordinal = numbers.ordinals.get(ordinal, 0) >= 4 or numbers.is_written_ordinal(
                ordinal
            )
            is_street = call.tokens[index + 2].is_capitalised or not talk.is_common(other)
            is_street = is_street and other not in months and other not in numbers.ordinals
            is_letter = len(other) == 1 and other not in call.locale.letters.words
            if not is_ordinal or not (is_street or is_letter):
                continue
            first = index
            while (before := call.norm(first - 1, turn)) == "-" or before in numbers.said:
                first -= 1
            found.append(_place(call, first, index + 2, 0.82))
    return found


def _place(
    call: CallText, first: int, last: int, score: float, context: str | None = None
) -> Found:
    return Found(
        start=call.tokens[first].start,
        end=call.tokens[last].end,
        entity_type=EntityType.LOCATION,
        score=score,
        recognizer="spoken_addresses",
        context=context,
    )


def _is_street_word(call: CallText, index: int, turn: int) -> bool:
    """Whether the token ends a street's name; "drive", "walk" and the like need a name before."""
    said = call.locale.places
    word, before = call.norm(index, turn), call.norm(index - 1, turn)
    if word not in said.all_streets:
        return False
    if word in said.sure_streets:
        return True
    if call.tokens[index].is_capitalised:
        return True
    return not call.locale.talk.is_common(before) or (
        before in said.name_like and not call.tokens[index - 1].is_capitalised
    )


def _after_street(call: CallText, index: int, turn: int) -> int:
    """The last index of a compass point or a suite after the street."""
    said = call.locale.places
    last = index
    if call.norm(last + 1, turn) == "." and call.norm(last, turn) in said.abbreviations:
        last += 1
    if call.norm(last + 1, turn) in said.compass:
        last += 1
    return last


def _streets(call: CallText) -> list[Found]:
    """Street names with a capital before the word, without a number: "on Palmer Highway"."""
    said, numbers, talk = call.locale.places, call.locale.numbers, call.locale.talk
    found: list[Found] = []
    for turn, indices in enumerate(call.turn_tokens):
        for index in indices:
            word = call.norm(index, turn)
            if word not in said.streets or not (
                word in said.plain_streets or call.tokens[index].is_capitalised
            ):
                continue
            first = index
            while first - 1 >= indices.start and index - first < 3:
                before = call.tokens[first - 1]
                ordinal = before.norm in numbers.ordinals or numbers.is_written_ordinal(before.norm)
                if not before.is_word and not ordinal:
                    break
                if (
                    before.is_capitalised
                    or ordinal
                    or (not talk.is_common(before.norm) and len(before.norm) > 2)
                ):
                    first -= 1
                    continue
                break
            if first == index:
                continue
            found.append(_place(call, first, index, 0.7))
    return found


def _inner_addresses(call: CallText, found: list[Found], cues: list[list[Cue]]) -> list[Found]:
    """Apartment and suite numbers beside an address or where one was asked for."""
    said = call.locale.places
    inner: list[Found] = []
    ends = {call.tokens_between(f.start, f.end).stop for f in found}
    for run in find_runs(call):
        before = run.first - 1
        word, leading = call.norm(before, run.turn), call.norm(before - 1, run.turn)
        if (word == "#" or word in said.number_words) and leading in said.inner:
            before, word = before - 1, leading
        if word not in said.inner:
            continue
        is_beside = any(before - gap in ends for gap in range(_LONGEST_GAP))
        is_asked = word not in said.weak_inner and any(
            cue.entity_type is EntityType.LOCATION
            for asked in range(max(0, run.turn - 2), run.turn + 1)
            for cue in cues[asked]
        )
        if is_beside:
            inner.append(_place(call, before, run.last, 0.75))
        elif is_asked:
            inner.append(_place(call, before, run.last, 0.75, "question before"))
    return inner


def extend_places(call: CallText, found: list[Found]) -> list[Found]:
    """``found`` with house numbers right before a place taken into it: "410 Bloomfield"."""
    runs = {run.last: run for run in find_runs(call) if run.digits and run.digits <= 5}
    extended: list[Found] = []
    for f in found:
        if f.entity_type is EntityType.LOCATION and (
            (indices := call.tokens_between(f.start, f.end))
            and (run := runs.get(indices.start - 1)) is not None
            and run.turn == call.tokens[indices.start].turn
            and call.tokens[indices.start].is_word
        ):
            extended.append(replace(f, start=call.tokens[run.first].start))
        else:
            extended.append(f)
    return extended


def find_named_places(call: CallText) -> list[Found]:
    """Well-known chains, and capitalised names that end in a word such as "Clinic"."""
    found: list[Found] = []
    for turn, indices in enumerate(call.turn_tokens):
        position = indices.start
        while position < indices.stop:
            end = _chain_end(call, position, turn)
            if end is None:
                end = _capitalised_org_end(call, position, turn, indices.start)
            if end is None:
                end = _lower_org_end(call, position, turn)
            if end is None:
                position += 1
                continue
            found.append(
                Found(
                    start=call.tokens[position].start,
                    end=call.tokens[end - 1].end,
                    entity_type=EntityType.ORGANIZATION,
                    score=0.75,
                    recognizer="named_places",
                )
            )
            position = end
    return found


def _chain_end(call: CallText, index: int, turn: int) -> int | None:
    said = call.locale.organisations
    for words in said.chains_by_head.get(call.norm(index, turn), ()):
        if all(call.norm(index + i, turn) == word for i, word in enumerate(words)):
            if words in said.ordinary_chain_words and not call.tokens[index].is_capitalised:
                return None
            end = index + len(words)
            if call.norm(end, turn) in said.chain_tails:
                end += 1
            return end
    return None


def _lower_org_end(call: CallText, index: int, turn: int) -> int | None:
    """The end of "hometown pharmacy" or "mercy hospital" in lower case."""
    said, talk = call.locale.organisations, call.locale.talk
    word, kind = call.norm(index, turn), call.norm(index + 1, turn)
    if kind not in said.lower_kinds:
        return None
    if not word[0].isalpha() or word in talk.words or word in said.not_names:
        return None
    if word.endswith(tuple(said.not_name_endings)):
        return None
    is_likely = kind in said.sure_lower_kinds or not talk.is_common(word)
    return index + 2 if is_likely and len(word) > 2 else None


def _capitalised_org_end(call: CallText, index: int, turn: int, lowest: int) -> int | None:
    token = call.tokens[index]
    said = call.locale.organisations
    if not token.is_word or not token.is_capitalised or token.norm in said.not_first:
        return None
    position = index
    kinds = 0
    while position < len(call.tokens) and call.tokens[position].turn == turn:
        current = call.tokens[position]
        is_joint = current.norm in {"&", "'"} or current.norm in said.joints
        if is_joint and position > index:
            following = call.norm(position + 1, turn)
            if following and call.tokens[position + 1].is_capitalised:
                position += 1
                continue
            break
        if not (current.is_word and current.is_capitalised):
            break
        if position > index and current.norm in said.kinds_and_tails:
            kinds = position
        position += 1
    if not kinds:
        return None
    distinctive = [
        call.tokens[i].norm
        for i in range(index, kinds)
        if call.tokens[i].norm not in said.kinds_and_tails
    ]
    if not distinctive:
        return None
    is_common = call.locale.talk.is_common
    if index == lowest and len(distinctive) == 1 and is_common(distinctive[0]):
        return None
    return kinds + 1
