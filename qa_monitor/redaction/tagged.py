"""What the tagger's probabilities come to: spans of its own, and doubts about those of rules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qa_monitor.calls import EntityType
from qa_monitor.redaction.ages import is_told_age
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.spoken import FILLERS
from qa_monitor.redaction.tagger import LABELS, TagProbabilities

__all__ = ["find_tagged", "without_denied"]

RECOGNIZER = "call_tagger"

_SEED = 0.5
"""A token this likely begins a span ..."""
_JOIN = 0.3
"""... which goes on over tokens this likely."""
_GAP_WORDS = FILLERS | set(", - . / – — ' ( ) dash hyphen and then".split())
_LONGEST_GAP = 3

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


def find_tagged(call: CallText, tags: TagProbabilities) -> list[Found]:
    """The spans that the tagger finds by itself."""
    phi = tags.phi
    found: list[Found] = []
    for indices in call.turn_tokens:
        position = indices.start
        while position < indices.stop:
            if phi[position] < _SEED:
                position += 1
                continue
            first = position
            while first > indices.start and phi[first - 1] >= _JOIN:
                first -= 1
            last = position
            while True:
                while last + 1 < indices.stop and phi[last + 1] >= _JOIN:
                    last += 1
                following = _over_gap(call, phi, last, indices.stop)
                if following is None:
                    break
                last = following
            found.extend(_by_type(call, tags, first, last))
            position = last + 1
    return found


def _over_gap(call: CallText, phi: np.ndarray, last: int, stop: int) -> int | None:
    """The next sure token, if only pauses and fillers lie between."""
    for following in range(last + 1, min(stop, last + 2 + _LONGEST_GAP)):
        if phi[following] >= _SEED:
            return following
        if call.tokens[following].norm not in _GAP_WORDS:
            return None
    return None


def _by_type(call: CallText, tags: TagProbabilities, first: int, last: int) -> list[Found]:
    """Tokens ``[first, last]`` as one span, or several where the type surely changes."""
    parts: list[list[int]] = [[]]
    kinds = tags.types()
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
        score=round(float(tags.phi[words].mean()), 4),
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
