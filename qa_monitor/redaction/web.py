"""E-mail and web addresses read out: "j dot alvarez at gmail dot com"."""

from __future__ import annotations

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.expectation import Cue
from qa_monitor.redaction.spoken import FILLERS, number_at
from qa_monitor.redaction.words import TALK

__all__ = ["find_web_addresses"]

RECOGNIZER = "spoken_web"

_ENDINGS = frozenset(
    "com net org edu gov io co uk us info biz health nhs ca mil care app tv me clinic example test "
    "med hospital pharmacy doctor family coop int de fr es mx ie au nz".split()
)
_JOINTS = frozenset("dot underscore dash hyphen period point slash".split())
_PROVIDERS = frozenset(
    "gmail yahoo hotmail outlook icloud aol comcast verizon protonmail proton msn att "
    "sbcglobal btinternet googlemail ymail cox charter bellsouth earthlink".split()
)
# Words that come before an address and are not part of it.
_STOPS = frozenset(
    "is it's its at to email e-mail mail address that's that on me my his her their your our the "
    "and so or "
    "yes yeah yep sure okay ok uh um er erm it through visit website site online go use send "
    "sent have by "
    "for via from check with still an a new old be would can portal page correct right no was "
    "i you we they link in of".split()
)
_LONGEST_LOCAL = 14
_LONGEST_PATH = 3
_PATH_WORDS = frozenset("new patient patients doctor form forms".split())


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
    letters = ""
    position = index
    while (
        len(call.norm(position, turn)) == 1
        and call.norm(position, turn).isalpha()
        and len(letters) < 4
    ):
        letters += call.norm(position, turn)
        if letters in _ENDINGS and len(call.norm(position + 1, turn)) != 1:
            return position
        position += 1
    return None


def _is_glued(call: CallText, index: int, turn: int) -> bool:
    return bool(call.norm(index, turn)) and call.tokens[index].is_glued


def _domain_end(call: CallText, index: int, turn: int) -> int | None:
    """The last token of "gmail dot com" beginning at ``index``; ``None`` if there is no ending."""
    position = index
    last: int | None = None
    words = 0
    while words < 8 and (word := call.norm(position, turn)):
        is_mark = word == "." and not _is_glued(call, position + 1, turn)
        if word in {"dot", ".", "point", "period"} and not (is_mark and last is not None):
            ending = call.norm(position + 1, turn)
            if ending in _ENDINGS:
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
        if last is not None and word == "," and call.norm(position + 1, turn) == "slash":
            position += 1
            continue
        if last is not None and word == "forward" and call.norm(position + 1, turn) == "slash":
            position += 1
            continue
        if last is not None and word in {"slash", "/"}:
            path = call.norm(position + 1, turn)
            if not path or not path[0].isalnum():
                break
            last = position + 1
            position += 2
            while _goes_on(call, position, turn) and position - last <= _LONGEST_PATH:
                last = position
                position += 1
            continue
        if last is not None and word not in {"dash", "-", "hyphen"}:
            break
        if not (word[0].isalnum() or word in {"-", ","} or word in _JOINTS):
            break
        words += 1
        position += 1
    return last


def _goes_on(call: CallText, index: int, turn: int) -> bool:
    """Whether the token is one more word of a path: "slash new patient forms"."""
    word = call.norm(index, turn)
    return bool(word) and word[0].isalnum() and (word in _PATH_WORDS or word not in TALK)


def _email(
    call: CallText, index: int, turn: int, lowest: int
) -> tuple[int, int, EntityType, float] | None:
    if call.norm(index, turn) not in {"at", "@"}:
        return None
    domain = index + 1
    while call.norm(domain, turn) in FILLERS | {","}:
        domain += 1
    word = call.norm(domain, turn)
    if not word or not word[0].isalnum():
        return None
    end = _domain_end(call, domain, turn)
    if end is None:
        if word not in _PROVIDERS:
            return None
        end = domain
    elif (
        "dot" not in {call.norm(i, turn) for i in range(domain, end + 1)} and word not in _PROVIDERS
    ):
        return None
    first = _local_start(call, index, turn, lowest)
    if first == index:
        first = domain if first == lowest else index
    return first, end, EntityType.EMAIL, 0.9


def _local_start(call: CallText, index: int, turn: int, lowest: int) -> int:
    """Where the part before "at" begins."""
    first = index
    position = index - 1
    while position >= lowest and index - position <= _LONGEST_LOCAL:
        word = call.norm(position, turn)
        joined = (
            call.norm(position + 1, turn) in _JOINTS or call.norm(position - 1, turn) in _JOINTS
        )
        if word in {".", "?", "!", ":", ";"} and not call.tokens[position + 1].is_glued:
            break
        is_named = word in {"the", "number"} and call.norm(position + 1, turn) in {
            "number",
            "letter",
        }
        if word in _STOPS and not joined and not is_named:
            is_letter = len(word) == 1 and (
                _is_spelled(call, position, turn) or call.norm(position - 1, turn) in {"it's", "is"}
            )
            is_pause = word in FILLERS and call.norm(position - 1, turn) not in _STOPS
            if is_pause and position > lowest:
                position -= 1
                continue
            if not is_letter:
                break
        if word[0].isalnum() or word in _JOINTS or word == "_":
            first = position
        position -= 1
    return first


def _is_spelled(call: CallText, index: int, turn: int) -> bool:
    around = (call.norm(index - 1, turn), call.norm(index + 1, turn))
    return any(len(word) == 1 and word.isalpha() for word in around)


def _web(
    call: CallText, index: int, turn: int, lowest: int
) -> tuple[int, int, EntityType, float] | None:
    word = call.norm(index, turn)
    spelled_www = [call.norm(index + i, turn) for i in range(3)] == ["w", "w", "w"]
    double = word in {"double", "triple"} and call.norm(index + 1, turn) in {"u", "w"}
    if word == "www" or spelled_www or double:
        end = _domain_end(call, index + (3 if spelled_www else 1), turn)
        if end is not None:
            return index, end, EntityType.URL, 0.9
    if word in {"https", "http"} and call.norm(index + 1, turn) in {"colon", ":"}:
        end = _domain_end(call, index + 2, turn)
        if end is not None:
            return index, end, EntityType.URL, 0.9
    if word == "dot" and index > lowest:
        after = call.norm(index + 1, turn)
        spelled = _spelled_ending(call, index + 1, turn)
        if after in _ENDINGS - {"me", "us"} or spelled is not None:
            end = _domain_end(call, index, turn) or spelled or index + 1
            first = index
            position = index - 1
            while position >= lowest and index - position <= 5:
                previous = call.norm(position, turn)
                is_part = call.norm(position + 1, turn) in {"dot", "slash", "dash"}
                if (previous in _STOPS and not is_part) or (
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


def _network_address(
    call: CallText, index: int, turn: int
) -> tuple[int, int, EntityType, float] | None:
    """Four numbers with "dot" between them."""
    parts = 0
    position = index
    while True:
        begin = position
        while (
            call.norm(position, turn).isdecimal()
            or call.norm(position, turn) in {"oh", "double", "triple"}
            or number_at(call, position, turn) is not None
        ):
            number = number_at(call, position, turn)
            position = number[1] if number is not None else position + 1
        if position == begin:
            break
        parts += 1
        last = position - 1
        if parts == 4:
            return index, last, EntityType.IP, 0.9
        if call.norm(position, turn) not in {"dot", "point", "."}:
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
    covered = {
        i
        for f in found
        if call.turn_at(f.start) == turn
        for i in call.tokens_between(f.start, f.end)
    }
    pieces: list[Found] = []
    for index in call.turn_tokens[turn]:
        word = call.norm(index, turn)
        if index in covered or word not in {"dot", "underscore"}:
            continue
        first, last = index, index
        while (
            index - first < 6
            and (previous := call.norm(first - 1, turn))
            and first - 1 not in covered
            and (previous[0].isalnum() or previous == ",")
            and (previous not in _STOPS or len(previous) == 1)
        ):
            first -= 1
        while (
            last - index < 6
            and (following := call.norm(last + 1, turn))
            and last + 1 not in covered
            and (following[0].isalnum() or following == ",")
            and (following not in _STOPS or len(following) == 1)
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
