"""What the tagger's probabilities come to: spans of its own, and doubts about those of rules."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from qa_monitor.calls import EntityType
from qa_monitor.redaction.ages import is_told_age
from qa_monitor.redaction.calltext import WORDED, CallText, Found
from qa_monitor.redaction.spoken import find_runs
from qa_monitor.redaction.tagger import LABELS, TagProbabilities

__all__ = ["find_tagged", "without_denied"]

RECOGNIZER = "call_tagger"

_SEED = 0.5
"""A token this likely begins a span ..."""
_JOIN = 0.3
"""... which goes on over tokens this likely."""
_ASKED_SEED = 0.3
"""In the answer to a question for a value a token this likely is enough ..."""
_RUN_SEED = 0.2
"""... and in digits or letters said one after another, one of this likelihood for them all."""
_GAP_MARKS = frozenset(",-./–—'()")
_LONGEST_GAP = 3
_SHORTEST_DIGITS, _SHORTEST_SPELLING = 2, 3

# Below this no token of a rule's finding may lie, or the finding is dropped: a capital alone is a
# weak reason, a written e-mail address none to doubt.
_DENIED_BELOW = {
    "unknown_names": 0.3,
    "names_and_places": 0.15,
    "introduced_names": 0.1,
    "named_places": 0.1,
    "spoken_dates": 0.05,
    "spoken_values": 0.05,
    "spoken_addresses": 0.05,
    "spoken_web": 0.05,
    "spoken_ages": 0.05,
    "repeated_values": 0.03,
}


def find_tagged(
    call: CallText, tags: TagProbabilities, answers: Collection[int] = ()
) -> list[Found]:
    """The spans that the tagger finds by itself; ``answers`` are turns that were asked a value."""
    kinds = tags.types()
    seeds, joins = _likely(call, tags, answers)
    found: list[Found] = []
    for indices in call.turn_tokens:
        position = indices.start
        while position < indices.stop:
            if not seeds[position]:
                position += 1
                continue
            first = position
            while first > indices.start and joins[first - 1]:
                first -= 1
            last = position
            while True:
                while last + 1 < indices.stop and joins[last + 1]:
                    last += 1
                # "Four four and then nine" is one code, "Maria and Tom" are two people.
                is_code = kinds[last] not in WORDED
                following = _over_gap(call, seeds, last, indices.stop, is_code=is_code)
                if following is None:
                    break
                last = following
            found.extend(_by_type(call, tags, kinds, first, last))
            position = last + 1
    return found


Booleans = npt.NDArray[np.bool_]


def _likely(
    call: CallText, tags: TagProbabilities, answers: Collection[int]
) -> tuple[Booleans, Booleans]:
    """For each token whether a span may begin with it, and whether one may go on over it."""
    phi = tags.phi
    seeds = phi >= _SEED
    joins = phi >= _JOIN
    for turn in answers:
        indices = call.turn_tokens[turn]
        seeds[indices.start : indices.stop] = phi[indices.start : indices.stop] >= _ASKED_SEED
    for run in find_runs(call):
        if run.digits < _SHORTEST_DIGITS and run.letters < _SHORTEST_SPELLING:
            continue
        if phi[run.first : run.last + 1].max() >= _RUN_SEED:
            seeds[run.first : run.last + 1] = True
    return seeds, joins | seeds


def _over_gap(
    call: CallText, seeds: Booleans, last: int, stop: int, *, is_code: bool
) -> int | None:
    """The next sure token, if only pauses and fillers lie between."""
    talk = call.locale.talk
    gap_words = talk.between_code_pieces if is_code else talk.between_pieces
    for following in range(last + 1, min(stop, last + 2 + _LONGEST_GAP)):
        if seeds[following]:
            return following
        word = call.tokens[following].norm
        if word not in _GAP_MARKS and word not in gap_words:
            return None
    return None


def _by_type(
    call: CallText, tags: TagProbabilities, kinds: Sequence[EntityType], first: int, last: int
) -> list[Found]:
    """Tokens ``[first, last]`` as one span, or several where the type surely changes."""
    parts: list[list[int]] = [[]]
    values = tags.values
    current: EntityType | None = None
    for index in range(first, last + 1):
        if call.tokens[index].norm[0].isalnum():
            kind = kinds[index]
            is_sure = values[index, LABELS.index(kind)] > 0.6
            if current is not None and kind is not current and is_sure:
                parts.append([])
            if is_sure or current is None:
                current = kind
        parts[-1].append(index)
    return [f for part in parts if (f := _found(call, tags, part)) is not None]


def _found(call: CallText, tags: TagProbabilities, indices: Sequence[int]) -> Found | None:
    words = [i for i in indices if call.tokens[i].norm[0].isalnum()]
    if not words:
        return None
    best = int(tags.values[words, 1:].sum(axis=0).argmax())
    kind = LABELS[1 + best] or EntityType.OTHER_ID
    if kind is EntityType.AGE and not is_told_age(call, words):
        return None
    return Found(
        start=call.tokens[words[0]].start,
        end=call.tokens[words[-1]].end,
        entity_type=kind,
        # What the question or the digits beside it have lifted is over the usual threshold.
        score=round(max(_SEED, float(tags.phi[words].mean())), 4),
        recognizer=RECOGNIZER,
        context="call",
    )


def without_denied(call: CallText, tags: TagProbabilities, found: Sequence[Found]) -> list[Found]:
    """``found`` without what rules found and no word of which the tagger thinks possible."""
    phi = tags.phi
    kept: list[Found] = []
    for f in found:
        least = _DENIED_BELOW.get(f.recognizer)
        indices = call.tokens_between(f.start, f.end)
        if least is None or not indices or float(phi[indices.start : indices.stop].max()) >= least:
            kept.append(f)
    return kept
