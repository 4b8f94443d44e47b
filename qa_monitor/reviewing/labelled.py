"""What reviewers found, as labelled calls that ``evaluate`` and training read.

Only redacted text leaves the store; what reviewers typed does not: it may tell more than the call.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median_low
from typing import TYPE_CHECKING, Any

from qa_monitor.calls import CallRecord, CallType, Criterion
from qa_monitor.errors import NotFoundError
from qa_monitor.reviewing.agreement import HEADS, Basis, Head

if TYPE_CHECKING:
    from qa_monitor.store import LatestWord, Scope, Store

__all__ = ["Adjudicated", "LabelledExport", "LabelledFormat", "adjudicate", "export_labelled"]

_NAMES = {Criterion.ESCALATION.value: "escalation_score"}
"""Heads that labelled calls call otherwise."""
_MUST_HAVE_VALUE = frozenset({"call_type", "escalated", Criterion.URGENCY.value})


class LabelledFormat(StrEnum):
    """What labelled calls are for; both are labelled calls, and differ in their PHI spans."""

    EVALUATION = "evaluation"
    """No spans: the text is redacted already, so there is nothing to be found in it."""
    TRAINING = "training"
    """The placeholders are marked, so that training gives them their spans back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjudicated:
    """What holds of one call after all that reviewers said: a place under each head.

    ``labels`` maps a head to the place of its value (see ``Head.values``), ``None`` for not
    assessable. ``missing`` are the heads of which nobody said anything, or not enough;
    ``disagree`` those of which reviewers say different things and nobody decides.
    """

    labels: Mapping[str, int | None]
    missing: tuple[str, ...]
    disagree: tuple[str, ...]
    readers: int
    is_blind: bool
    is_random: bool

    @property
    def is_whole(self) -> bool:
        """Whether the call can be a labelled call."""
        return not self.missing and not self.disagree


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledExport:
    """Labelled calls and what was left out.

    ``lines`` are JSON texts, one a call, in the order of the call ids; ``incomplete`` calls lack a
    head, ``disagreeing`` ones have reviewers of different minds. ``next_after`` is the call after
    which to go on, ``None`` at the end.
    """

    lines: tuple[str, ...]
    incomplete: int
    disagreeing: int
    next_after: str | None = None

    def text(self) -> str:
        """A JSON Lines file."""
        return "".join(f"{line}\n" for line in self.lines)


def export_labelled(
    store: Store,
    scope: Scope,
    *,
    basis: Basis = Basis.ALL,
    purpose: LabelledFormat = LabelledFormat.EVALUATION,
    after: str | None = None,
    limit: int | None = None,
    blind_for: str | None = None,
) -> LabelledExport:
    """The reviewed calls within ``scope`` as labelled calls, of the readings of ``basis``.

    All, or ``limit`` reviewed calls whose ids come after ``after``, but for those that the user
    ``blind_for`` is to review blind.

    A label is what reviewers said last in a review they finished. Of two within one point the later
    stands; of two further apart, or with other classes, neither: the call is left out and counted,
    since an average of two opinions is nobody's. Of three or more the middle one, or the majority,
    decides. A head of which nobody said anything leaves the call out, too: the machine's word is no
    label. Each line also says, under ``review``, how many read it, whether all labels were given
    blind, and whether the call was drawn at random.
    """
    lines: list[str] = []
    incomplete = disagreeing = 0
    words_of = store.ratings.latest_words(scope, after=after, limit=limit, blind_for=blind_for)
    for call_id, words in words_of.items():
        chosen = [word for word in words if _is_of(word, basis)]
        if not chosen:
            continue
        found = adjudicate(chosen)
        if found.disagree:
            disagreeing += 1
        elif found.missing:
            incomplete += 1
        else:
            try:
                record = store.record(call_id)
            except NotFoundError:
                # Deleted meanwhile.
                continue
            lines.append(json.dumps(_line(record, found, purpose), ensure_ascii=False))
    return LabelledExport(
        lines=tuple(lines),
        incomplete=incomplete,
        disagreeing=disagreeing,
        next_after=max(words_of) if limit is not None and len(words_of) == limit else None,
    )


def _is_of(word: LatestWord, basis: Basis) -> bool:
    if basis is Basis.ALL:
        return True
    return word.is_blind and (basis is Basis.BLIND or word.is_sampled)


def adjudicate(words: Sequence[LatestWord]) -> Adjudicated:
    """What holds after ``words``, the latest of each person on each head of one call."""
    labels: dict[str, int | None] = {}
    missing, disagree = [], []
    for subject, head in HEADS.items():
        said = sorted((w for w in words if w.subject == subject), key=lambda word: word.said_at)
        places = [head.place(word.said) for word in said]
        if subject in _MUST_HAVE_VALUE:
            places = [place for place in places if place is not None]
        if not places:
            missing.append(subject)
            continue
        decided, place = _decide(head, places)
        if decided:
            labels[subject] = place
        else:
            disagree.append(subject)
    return Adjudicated(
        labels=labels,
        missing=tuple(missing),
        disagree=tuple(disagree),
        readers=len({word.user_id for word in words}),
        is_blind=all(word.is_blind for word in words),
        is_random=all(word.is_sampled for word in words),
    )


def _decide(head: Head, places: Sequence[int | None]) -> tuple[bool, int | None]:
    """Whether ``places``, the latest last, are settled, and on what."""
    if len(places) == 1 or len(set(places)) == 1:
        return True, places[-1]
    known = [place for place in places if place is not None]
    if len(places) == 2:
        near = head.is_ordered and len(known) == 2 and abs(known[0] - known[1]) <= 1
        return near, places[-1] if near else None
    if head.is_ordered and 2 * len(known) != len(places):
        return True, median_low(known) if 2 * len(known) > len(places) else None
    most, count = Counter(places).most_common(1)[0]
    return 2 * count > len(places), most if 2 * count > len(places) else None


def _line(record: CallRecord, found: Adjudicated, purpose: LabelledFormat) -> dict[str, Any]:
    labels = {
        _NAMES.get(subject, subject): _value(HEADS[subject], place)
        for subject, place in found.labels.items()
    }
    call_type = str(labels["call_type"])
    return {
        "id": record.call_id,
        **labels,
        # Reviewers name the primary type; what else the call is about is the machine's word.
        "also": [],
        "direction": record.recording.direction.value,
        "after_hours": call_type == CallType.AFTER_HOURS,
        "urgency_reason": "",
        "notes": "",
        "review": {
            "readers": found.readers,
            "blind": found.is_blind,
            "random": found.is_random,
        },
        "turns": list(_turns(record, purpose)),
    }


def _value(head: Head, place: int | None) -> int | str | None:
    if place is None:
        return None
    return int(head.values[place]) if head.is_ordered else head.values[place]


def _turns(record: CallRecord, purpose: LabelledFormat) -> Iterator[dict[str, Any]]:
    for turn in record.dialogue.turns:
        yield {
            "speaker": turn.role.value,
            "text": turn.text,
            "phi": [
                {
                    "start": span.start,
                    "end": span.end,
                    "type": span.entity_type.value,
                    "text": turn.text[span.start : span.end],
                }
                for span in (turn.spans if purpose is LabelledFormat.TRAINING else ())
            ],
        }
