"""E-mail and web addresses read out: "j dot alvarez at gmail dot com"."""

from __future__ import annotations

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.expectation import Cue
from qa_monitor.redaction.spoken import number_at

__all__ = ["find_web_addresses"]

RECOGNIZER = "spoken_web"

_LONGEST_LOCAL = 14
_LONGEST_PATH = 3


def find_web_addresses(call: CallText, cues: list[list[Cue]]) -> list[Found]:
    """E-mail, web and network addresses as they are read out, whole."""
    if "web" in call.views:
        return list(call.views["web"])
    found: list[Found] = []
    for turn, indices in enumerate(call.turn_tokens):
        position = indices.start
        lowest = indices.start
        while position < indices.stop:
            match = (
                _email(call, position, turn, lowest)
                or _web(call, position, turn, lowest)
                or _network_address(call, position, turn)
            )
            if match is None:
                position += 1
                continue
            first, last, entity_type, score = match
            found.append(
                Found(
                    start=call.tokens[first].start,
                    end=call.tokens[last].end,
                    entity_type=entity_type,
                    score=score,
                    recognizer=RECOGNIZER,
                )
            )
            position = lowest = last + 1
        found.extend(_fragments(call, turn, cues, found))
    call.views["web"] = found
    return list(found)


def _spelled_ending(call: CallText, index: int, turn: int) -> int | None:
    """The last index of an ending said letter by letter at ``index``: "e d u", "c o m"."""
    endings = call.locale.web.endings
    letters = ""
    position = index
    while (
        len(call.norm(position, turn)) == 1
        and call.norm(position, turn).isalpha()
        and len(letters) < 4
    ):
        letters += call.norm(position, turn)
        if letters in endings and len(call.norm(position + 1, turn)) != 1:
            return position
        position += 1
    return None


def _is_glued(call: CallText, index: int, turn: int) -> bool:
    return bool(call.norm(index, turn)) and call.tokens[index].is_glued


def _domain_end(call: CallText, index: int, turn: int) -> int | None:
    """The last token of "gmail dot com" beginning at ``index``; ``None`` if there is no ending."""
    said = call.locale.web
    position = index
    last: int | None = None
    words = 0
    while words < 8 and (word := call.norm(position, turn)):
        is_mark = word == "." and not _is_glued(call, position + 1, turn)
        if (word == "." or word in said.dots) and not (is_mark and last is not None):
            ending = call.norm(position + 1, turn)
            if ending in said.endings:
                last = position + 1
                position += 2
                continue
            spelled = _spelled_ending(call, position + 1, turn)
            if spelled is not None:
                return spelled
            if word == "." and not (
                position + 1 < len(call.tokens) and call.tokens[position + 1].is_glued
            ):
                break
            position += 1
            continue
        is_led = word == "," or word in said.forward
        if last is not None and is_led and call.norm(position + 1, turn) in said.slashes:
            position += 1
            continue
        if last is not None and (word == "/" or word in said.slashes):
            path = call.norm(position + 1, turn)
            if not path or not path[0].isalnum():
                break
            last = position + 1
            position += 2
            while _goes_on(call, position, turn) and position - last <= _LONGEST_PATH:
                last = position
                position += 1
            continue
        if last is not None and word != "-" and word not in said.dashes:
            break
        if not (word[0].isalnum() or word in {"-", ","} or word in said.joints):
            break
        words += 1
        position += 1
    return last


def _goes_on(call: CallText, index: int, turn: int) -> bool:
    """Whether the token is one more word of a path: "slash new patient forms"."""
    word = call.norm(index, turn)
    is_path = word in call.locale.web.path_words or word not in call.locale.talk.words
    return bool(word) and word[0].isalnum() and is_path


def _email(
    call: CallText, index: int, turn: int, lowest: int
) -> tuple[int, int, EntityType, float] | None:
    said = call.locale.web
    at = call.norm(index, turn)
    if at != "@" and at not in said.at:
        return None
    domain = index + 1
    while (pause := call.norm(domain, turn)) == "," or pause in call.locale.talk.fillers:
        domain += 1
    word = call.norm(domain, turn)
    if not word or not word[0].isalnum():
        return None
    end = _domain_end(call, domain, turn)
    if end is None:
        if word not in said.providers:
            return None
        end = domain
    elif word not in said.providers and said.dot.isdisjoint(
        call.norm(i, turn) for i in range(domain, end + 1)
    ):
        return None
    first = _local_start(call, index, turn, lowest)
    if first == index:
        first = domain if first == lowest else index
    return first, end, EntityType.EMAIL, 0.9


def _local_start(call: CallText, index: int, turn: int, lowest: int) -> int:
    """Where the part before "at" begins."""
    said, fillers = call.locale.web, call.locale.talk.fillers
    first = index
    position = index - 1
    while position >= lowest and index - position <= _LONGEST_LOCAL:
        word = call.norm(position, turn)
        before, after = call.norm(position - 1, turn), call.norm(position + 1, turn)
        joined = after in said.joints or before in said.joints
        if word in {".", "?", "!", ":", ";"} and not call.tokens[position + 1].is_glued:
            break
        is_named = after in said.letter_names and word in call.locale.talk.definite_article
        if word in said.stops and not joined and not is_named:
            is_letter = len(word) == 1 and (
                _is_spelled(call, position, turn) or before in said.before_letter
            )
            is_pause = word in fillers and before not in said.stops
            if is_pause and position > lowest:
                position -= 1
                continue
            if not is_letter:
                break
        if word[0].isalnum() or word in said.joints or word == "_":
            first = position
        position -= 1
    return first


def _is_spelled(call: CallText, index: int, turn: int) -> bool:
    around = (call.norm(index - 1, turn), call.norm(index + 1, turn))
    return any(len(word) == 1 and word.isalpha() for word in around)


def _web(
    call: CallText, index: int, turn: int, lowest: int
) -> tuple[int, int, EntityType, float] | None:
    said = call.locale.web
    word = call.norm(index, turn)
    spelled_www = word == "w" and [call.norm(index + i, turn) for i in (1, 2)] == ["w", "w"]
    if word == "www" or spelled_www or _is_repeated_w(call, index, turn):
        end = _domain_end(call, index + (3 if spelled_www else 1), turn)
        if end is not None:
            return index, end, EntityType.URL, 0.9
    if word in {"https", "http"}:
        colon = call.norm(index + 1, turn)
        end = _domain_end(call, index + 2, turn)
        if end is not None and (colon == ":" or colon in said.colon):
            return index, end, EntityType.URL, 0.9
    if word in said.dot and index > lowest:
        after = call.norm(index + 1, turn)
        spelled = _spelled_ending(call, index + 1, turn)
        is_ending = after in said.endings and after not in said.weak_endings
        if is_ending or spelled is not None:
            end = _domain_end(call, index, turn) or spelled or index + 1
            first = index
            position = index - 1
            while position >= lowest and index - position <= 5:
                previous = call.norm(position, turn)
                is_part = call.norm(position + 1, turn) in said.joints
                if (previous in said.stops and not is_part) or (
                    not previous[0].isalnum() and previous not in {"-", "."}
                ):
                    break
                if previous == "." and not call.tokens[position + 1].is_glued:
                    break
                first = position
                position -= 1
            if first < index:
                return first, end, EntityType.URL, 0.8
    return None


def _is_repeated_w(call: CallText, index: int, turn: int) -> bool:
    """Whether "double u" or "triple w" stands at ``index``."""
    if call.norm(index, turn) not in call.locale.numbers.repeats:
        return False
    repeated = call.norm(index + 1, turn)
    return repeated == "w" or call.locale.letters.doubled.get(repeated) == "w"


def _network_address(
    call: CallText, index: int, turn: int
) -> tuple[int, int, EntityType, float] | None:
    """Four numbers with "dot" between them."""
    numbers, dots = call.locale.numbers, call.locale.web.dots
    parts = 0
    position = index
    while True:
        begin = position
        while word := call.norm(position, turn):
            number = number_at(call, position, turn)
            if number is not None:
                position = number[1]
            elif word.isdecimal() or word in numbers.zeros or word in numbers.repeats:
                position += 1
            else:
                break
        if position == begin:
            break
        parts += 1
        last = position - 1
        if parts == 4:
            return index, last, EntityType.IP, 0.9
        if call.norm(position, turn) != "." and call.norm(position, turn) not in dots:
            break
        position += 1
    return None


def _fragments(call: CallText, turn: int, cues: list[list[Cue]], found: list[Found]) -> list[Found]:
    """Pieces of an address in an answer that does not hold all of it."""
    asked = any(
        cue.entity_type is EntityType.EMAIL
        for back in range(3)
        if turn - back >= 0
        for cue in cues[turn - back]
    )
    if not asked:
        return []
    said = call.locale.web
    covered = {
        i
        for f in found
        if call.turn_at(f.start) == turn
        for i in call.tokens_between(f.start, f.end)
    }
    pieces: list[Found] = []
    for index in call.turn_tokens[turn]:
        word = call.norm(index, turn)
        if index in covered or not (word in said.dot or word in said.underscores):
            continue
        first, last = index, index
        while (
            index - first < 6
            and (previous := call.norm(first - 1, turn))
            and first - 1 not in covered
            and (previous[0].isalnum() or previous == ",")
            and (previous not in said.stops or len(previous) == 1)
        ):
            first -= 1
        while (
            last - index < 6
            and (following := call.norm(last + 1, turn))
            and last + 1 not in covered
            and (following[0].isalnum() or following == ",")
            and (following not in said.stops or len(following) == 1)
        ):
            last += 1
        covered.update(range(first, last + 1))
        if last > first:
            pieces.append(
                Found(
                    start=call.tokens[first].start,
                    end=call.tokens[last].end,
                    entity_type=EntityType.EMAIL,
                    score=0.7,
                    recognizer=RECOGNIZER,
                    context="question before",
                )
            )
    return pieces
