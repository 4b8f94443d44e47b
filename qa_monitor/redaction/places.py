"""Street addresses, and organisations and places told by a word that names their kind."""

from __future__ import annotations

from dataclasses import replace

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.dates import MONTHS
from qa_monitor.redaction.expectation import Cue
from qa_monitor.redaction.settings import RecognizerSettings
from qa_monitor.redaction.spoken import (
    FILLERS,
    NUMBER_WORDS,
    ORDINALS,
    Run,
    find_runs,
    is_written_ordinal,
)
from qa_monitor.redaction.words import TALK, is_common

__all__ = ["find_addresses", "find_named_places"]

_STREETS = frozenset(
    "street st avenue ave av road rd drive lane ln boulevard blvd court ct terrace parkway pkwy "
    "highway hwy "
    "trail crescent gardens grove mews close walk row branch fork pike alley plaza wharf turnpike "
    "circle cir square loop parade rise expressway freeway route wynd causeway bypass".split()
)
_WEAK_STREETS = frozenset(
    "way place hill park green view run point creek bend ridge hollow valley cove landing path "
    "crossing".split()
)
_COMPASS = frozenset("north south east west northeast northwest southeast southwest".split())
_SURE_STREETS = frozenset(
    "street avenue ave road rd lane boulevard blvd parkway pkwy highway hwy crescent "
    "terrace".split()
)
_IN_STREETS = frozenset(
    "the old new st over under up down right out house line end first second third fourth".split()
)
_COUNTED = frozenset(
    "dollars dollar hundred percent degrees milligrams point years days weeks months hours "
    "minutes people".split()
)
# Ordinary words that streets are called by.
_NAME_LIKE = frozenset(
    "mill fork oak pine hill spring river lake creek park church school main forest garden "
    "orchard meadow "
    "valley ridge stone bridge market water front station high canal chestnut walnut cherry "
    "maple elm "
    "willow cedar rose green fox bear wolf eagle buck dry cold union branch".split()
)
_INNER = frozenset(
    "apartment apt unit suite flat room number floor building lot box trailer ste".split()
)
_LONGEST_STREET = 4
_LONGEST_GAP = 3
# Words that number much else, too: they count only right after an address.
_WEAK_INNER = frozenset("number room floor building lot box".split())
_ORG_KINDS = frozenset(
    "clinic hospital pharmacy surgery hospice infirmary dispensary chemist chemists orthopedics "
    "orthopaedics cardiology pediatrics "
    "paediatrics dermatology oncology radiology urology neurology gastroenterology dental "
    "dentistry "
    "physicians associates partners medical healthcare health hospitals clinics imaging rehab "
    "insurance "
    "mutual practice center centre university college school church elementary academy labs "
    "laboratories".split()
)
_ORG_TAILS = frozenset(
    "center centre clinic group hospital associates partners services system practice pharmacy "
    "care "
    "specialists institute team network surgery plan plus advantage insurance department "
    "foundation therapy "
    "women's children's family community medical health healthcare imaging".split()
)


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
    position = run.last + 1
    words = 0
    while words <= _LONGEST_STREET and (word := call.norm(position, turn)):
        if word in {",", "-", "'"}:
            if word == "," and words:
                return None
            position += 1
            continue
        is_number = word[0].isdecimal() and not is_written_ordinal(word)
        if is_number or not word[0].isalnum():
            return None
        if words and _is_street_word(call, position, turn):
            return run.first, _after_street(call, position, turn)
        if word in TALK - _IN_STREETS or word in _COUNTED:
            return None
        words += 1
        position += 1
    return None


def _compass_address(call: CallText, run: Run) -> tuple[int, int] | None:
    """A house number, a compass point and a name: "five fifteen southeast taylor"."""
    turn = run.turn
    compass = run.last + 1
    while call.norm(compass, turn) in FILLERS | {","}:
        compass += 1
    if call.norm(compass, turn) not in _COMPASS or not 2 <= run.digits <= 5:
        return None
    name = call.norm(compass + 1, turn)
    if not name or not name[0].isalnum() or name in TALK:
        return None
    last = compass + 1
    if _is_street_word(call, last + 1, turn):
        last += 1
    return run.first, last


def _corners(call: CallText) -> list[Found]:
    """Corners of numbered streets: "forty-seventh and Ashland", "eleventh and H"."""
    found: list[Found] = []
    for turn, indices in enumerate(call.turn_tokens):
        for index in indices:
            ordinal, joint = call.norm(index, turn), call.norm(index + 1, turn)
            other = call.norm(index + 2, turn)
            if joint not in {"and", "&"} or not other or not other[0].isalpha():
                continue
            is_ordinal = ORDINALS.get(ordinal, 0) >= 4 or is_written_ordinal(ordinal)
            is_street = call.tokens[index + 2].is_capitalised or not is_common(other)
            is_street = is_street and other not in MONTHS and other not in ORDINALS
            if not is_ordinal or not (is_street or (len(other) == 1 and other not in {"a", "i"})):
                continue
            first = index
            while call.norm(first - 1, turn) in NUMBER_WORDS | {"-"}:
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
    word, before = call.norm(index, turn), call.norm(index - 1, turn)
    if word not in _STREETS | _WEAK_STREETS:
        return False
    if word in _SURE_STREETS:
        return True
    if call.tokens[index].is_capitalised:
        return True
    return not is_common(before) or (
        before in _NAME_LIKE and not call.tokens[index - 1].is_capitalised
    )


def _after_street(call: CallText, index: int, turn: int) -> int:
    """The last index of a compass point or a suite after the street."""
    last = index
    if call.norm(last + 1, turn) == "." and call.norm(last, turn) in {
        "st",
        "ave",
        "rd",
        "dr",
        "ln",
        "blvd",
        "ct",
    }:
        last += 1
    if call.norm(last + 1, turn) in _COMPASS:
        last += 1
    return last


def _streets(call: CallText) -> list[Found]:
    """Street names with a capital before the word, without a number: "on Palmer Highway"."""
    found: list[Found] = []
    for turn, indices in enumerate(call.turn_tokens):
        for index in indices:
            word = call.norm(index, turn)
            if (
                word not in _STREETS
                or word
                in {
                    "st",
                    "close",
                    "walk",
                    "row",
                    "branch",
                    "fork",
                    "loop",
                    "rise",
                    "court",
                    "drive",
                    "square",
                    "route",
                    "circle",
                    "ct",
                    "av",
                    "parade",
                    "pike",
                }
            ) and not (word in _STREETS and call.tokens[index].is_capitalised):
                continue
            first = index
            while first - 1 >= indices.start and index - first < 3:
                before = call.tokens[first - 1]
                ordinal = before.norm in ORDINALS or is_written_ordinal(before.norm)
                if not before.is_word and not ordinal:
                    break
                if (
                    before.is_capitalised
                    or ordinal
                    or (not is_common(before.norm) and len(before.norm) > 2)
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
    inner: list[Found] = []
    ends = {call.tokens_between(f.start, f.end).stop for f in found}
    for run in find_runs(call):
        before = run.first - 1
        if call.norm(before, run.turn) in {"number", "#"} and call.norm(before - 1, run.turn) in (
            _INNER
        ):
            before -= 1
        word = call.norm(before, run.turn)
        if word not in _INNER:
            continue
        is_beside = any(before - gap in ends for gap in range(_LONGEST_GAP))
        is_asked = word not in _WEAK_INNER and any(
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


def find_named_places(call: CallText, settings: RecognizerSettings) -> list[Found]:
    """Well-known chains, and capitalised names that end in a word such as "Clinic"."""
    found: list[Found] = []
    for turn, indices in enumerate(call.turn_tokens):
        position = indices.start
        while position < indices.stop:
            end = _chain_end(call, position, turn, settings)
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


def _chain_end(call: CallText, index: int, turn: int, settings: RecognizerSettings) -> int | None:
    for words in settings.chains.get(call.norm(index, turn), ()):
        if all(call.norm(index + i, turn) == word for i, word in enumerate(words)):
            if words in settings.ordinary_chains and not call.tokens[index].is_capitalised:
                return None
            end = index + len(words)
            if call.norm(end, turn) in {"pharmacy", "pharmacies", "health", "insurance"}:
                end += 1
            return end
    return None


# What stands before "pharmacy" or "hospital" without naming one.
_NO_ORG_NAMES = frozenset(
    "local same new other hospital mail order different nearest closest retail specialty usual "
    "regular "
    "which what any preferred outside compounding online one big little good next nearby in at "
    "to or and "
    "of for is was after another home small every with call called calling like no not don't "
    "nice use "
    "from by on outpatient inpatient community public private emergency main whole old actual "
    "current "
    "previous last first right wrong".split()
)


def _lower_org_end(call: CallText, index: int, turn: int) -> int | None:
    """The end of "hometown pharmacy" or "mercy hospital" in lower case."""
    word, kind = call.norm(index, turn), call.norm(index + 1, turn)
    if kind not in {"pharmacy", "hospital", "clinic", "chemist", "chemists", "infirmary"}:
        return None
    if not word[0].isalpha() or word in TALK or word in _NO_ORG_NAMES or word.endswith("ing"):
        return None
    is_likely = kind == "pharmacy" or not is_common(word)
    return index + 2 if is_likely and len(word) > 2 else None


def _capitalised_org_end(call: CallText, index: int, turn: int, lowest: int) -> int | None:
    token = call.tokens[index]
    if (
        not token.is_word
        or not token.is_capitalised
        or token.norm in {"the", "this", "our", "your", "my", "a"}
    ):
        return None
    position = index
    kinds = 0
    while position < len(call.tokens) and call.tokens[position].turn == turn:
        current = call.tokens[position]
        if current.norm in {"of", "and", "&", "'"} and position > index:
            following = call.norm(position + 1, turn)
            if following and call.tokens[position + 1].is_capitalised:
                position += 1
                continue
            break
        if not (current.is_word and current.is_capitalised):
            break
        if position > index and current.norm in _ORG_KINDS | _ORG_TAILS:
            kinds = position
        position += 1
    if not kinds:
        return None
    distinctive = [
        call.tokens[i].norm
        for i in range(index, kinds)
        if call.tokens[i].norm not in _ORG_KINDS | _ORG_TAILS
    ]
    if not distinctive or (index == lowest and len(distinctive) == 1 and is_common(distinctive[0])):
        return None
    return kinds + 1
