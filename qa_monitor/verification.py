"""Listening again: whether PHI can still be heard in a redacted recording, and where.

The redacted sound is transcribed as any recording is, and three things are looked for in it:

- sound under a redacted span, which should be silence or a beep;
- what the redactor finds anew in what is heard: speech left audible over or beside a span, or a
  value that was not recognised the first time;
- where the words of the first hearing are at hand, the redacted values themselves, wherever in the
  recording they are said again: digits however said, names by likeness.

A recogniser makes words of beeps and of words cut off, and a redactor finds what is no PHI. So each
find has a confidence: that of the redactor (or the likeness) times that of the recogniser, times
the share of its time in which there is sound at all. Below one threshold it is nothing; below the
other a person is asked to listen. What is told are times and types, never words.
"""

from __future__ import annotations

import bisect
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher

import numpy as np

from qa_monitor.audio import silenced
from qa_monitor.calls import (
    AudiblePhi,
    CallRecord,
    DecodedAudio,
    Dialogue,
    EntityType,
    RedactedDialogue,
    RedactedTurn,
    Span,
    Transcript,
    Turn,
    Verdict,
    Verification,
    Word,
)
from qa_monitor.redaction import Redactor
from qa_monitor.redaction.calltext import PLACEHOLDER, CallText
from qa_monitor.redaction.spoken import Run, find_runs
from qa_monitor.redaction.words import ALPHABET, NUMBER_WORDS, ORDINALS, is_common
from qa_monitor.speakers import assign_speakers
from qa_monitor.transcription import Recogniser

__all__ = ["is_chosen", "listen_again", "mark", "scan"]

_VERSION = "1"

_SURE = 0.5
_WORTH_LISTENING = 0.35
# What the same redactor read in the first hearing and left: that it finds it now is half a reason.
_LEFT_BEFORE = 0.5

_FRAMES_PER_S = 100
_NEIGHBOURS = 3  # turns that may overlap
_MATCHING_DIGITS = 4
# A year is no birth date.
_MATCHING_DATE_DIGITS = 5
_MATCHING_LETTERS = 4
_SHORTEST_NAME = 3
_SHORTEST_ALIKE = 5
_ALIKE = 0.8
_JOINED_S = 0.3
_REASON = "redacted_audio_"
_NAMING = frozenset(
    {
        EntityType.PERSON,
        EntityType.LOCATION,
        EntityType.ORGANIZATION,
        EntityType.EMAIL,
        EntityType.URL,
    }
)


def is_chosen(call_id: str, share: float) -> bool:
    """Whether a call is in the sample of ``share`` (0 to 1) of all calls.

    The same call is always in it or never, and one in a smaller sample is in every larger one.
    """
    number = int.from_bytes(hashlib.sha256(call_id.encode()).digest()[:8], "big")
    return number < share * 2.0**64


def listen_again(
    call_id: str,
    audio: DecodedAudio,
    recogniser: Recogniser,
    redactor: Redactor,
    *,
    redacted: RedactedDialogue | None = None,
    original: Dialogue | None = None,
    progress: Callable[[float], None] | None = None,
) -> Verification:
    """What PHI can be heard in ``audio``, the redacted sound of a call.

    ``redacted`` is what is kept of the call, ``original`` what was heard at first, turn for turn;
    with the one the call's spans are looked under, with both its values are looked for. Costs a
    second transcription. Raises ``TranscriptionError`` and ``RedactionError``.
    """
    transcript = recogniser.transcribe(call_id, audio, progress=progress)
    return scan(audio, transcript, redactor, redacted=redacted, original=original)


def scan(
    audio: DecodedAudio,
    transcript: Transcript,
    redactor: Redactor,
    *,
    redacted: RedactedDialogue | None = None,
    original: Dialogue | None = None,
) -> Verification:
    """``listen_again`` for sound that is transcribed already."""
    sound = _Sound(audio)
    heard = _as_turns(transcript, audio, redacted)
    places = list(_found_anew(heard, redactor, redacted))
    if redacted is not None:
        places.extend(_not_silenced(redacted, sound))
        if original is not None:
            places.extend(_heard_again(heard, _Values.of(original, redacted)))
    weighed = (
        place
        if place.reason == "not_silenced"
        else replace(place, confidence=place.confidence * sound.share(place.start_s, place.end_s))
        for place in places
    )
    return Verification(
        version=f"listening-{_VERSION}+{transcript.asr_model}+{redactor.version}",
        places=tuple(_joined(weighed)),
    )


# --- what is heard -------------------------------------------------------------------------------


class _Sound:
    """Where a recording sounds at all, on any of its channels."""

    def __init__(self, audio: DecodedAudio) -> None:
        self._sounds = np.asarray((~silenced(audio)).any(axis=0))

    def share(self, start_s: float, end_s: float) -> float:
        """The share of a stretch in which there is sound, 0 to 1."""
        first = int(start_s * _FRAMES_PER_S)
        inside = self._sounds[first : max(first + 1, round(end_s * _FRAMES_PER_S))]
        return float(inside.mean()) if len(inside) else 0.0

    def is_under(self, span: Span) -> bool:
        """Whether there is sound within the span, save at its very edges, where a beep rises."""
        if span.start_s is None or span.end_s is None:
            return False
        first = math.ceil(span.start_s * _FRAMES_PER_S) + 1
        last = math.floor(span.end_s * _FRAMES_PER_S) - 1
        return bool(self._sounds[first : max(first, last)].any())


def _as_turns(
    transcript: Transcript,
    audio: DecodedAudio,
    redacted: RedactedDialogue | None,
) -> Dialogue:
    """What is heard, in the turns of the call where they are known, else told apart anew.

    In known turns the placeholders stand at their times, so that the redactor knows which questions
    have had their answers.
    """
    turns = () if redacted is None else redacted.turns
    known = [turn for turn in turns if turn.start_s is not None]
    if not known:
        return assign_speakers(transcript, audio, agent_channel=None)
    by_speaker: dict[str, list[RedactedTurn]] = {}
    for turn in known:
        by_speaker.setdefault(turn.speaker, []).append(turn)
    words: dict[int, list[Word]] = {turn.index: [] for turn in known}
    for segment in transcript.segments:
        own = by_speaker.get(f"channel-{segment.channel}", known)
        whole = Word(
            text=segment.text,
            start_s=segment.start_s,
            end_s=segment.end_s,
            confidence=segment.confidence,
        )
        for word in segment.words or (whole,):
            words[_nearest(word, own).index].append(word)
    for turn in known:
        words[turn.index].extend(
            Word(
                text=turn.text[span.start : span.end],
                start_s=span.start_s,
                end_s=span.end_s,
                confidence=1.0,
            )
            for span in turn.spans
            if span.start_s is not None and span.end_s is not None
        )
        words[turn.index].sort(key=lambda word: word.start_s)
    spoken = [turn for turn in known if words[turn.index]]
    return Dialogue(
        call_id=transcript.call_id,
        language=transcript.language,
        asr_model=transcript.asr_model,
        dropped_s=transcript.dropped_s,
        turns=tuple(
            Turn(
                index=index,
                speaker=turn.speaker,
                role=turn.role,
                role_confidence=turn.role_confidence,
                start_s=words[turn.index][0].start_s,
                end_s=max(word.end_s for word in words[turn.index]),
                text=" ".join(word.text for word in words[turn.index]),
                words=tuple(words[turn.index]),
            )
            for index, turn in enumerate(spoken)
        ),
    )


def _nearest(word: Word, turns: Sequence[RedactedTurn]) -> RedactedTurn:
    """The turn of ``turns``, which come in order of their beginning, in or next to which it is."""
    middle_s = (word.start_s + word.end_s) / 2
    following = bisect.bisect_right(turns, middle_s, key=lambda turn: turn.start_s or 0.0)

    def distance_s(turn: RedactedTurn) -> float:
        return max(0.0, (turn.start_s or 0.0) - middle_s, middle_s - (turn.end_s or 0.0))

    return min(turns[max(0, following - _NEIGHBOURS) : following + 1], key=distance_s)


# --- what should not be heard --------------------------------------------------------------------


def _not_silenced(redacted: RedactedDialogue, sound: _Sound) -> Iterator[AudiblePhi]:
    for turn in redacted.turns:
        for span in turn.spans:
            if sound.is_under(span) and span.start_s is not None and span.end_s is not None:
                yield AudiblePhi(
                    start_s=span.start_s,
                    end_s=span.end_s,
                    entity_type=span.entity_type,
                    reason="not_silenced",
                    confidence=1.0,
                    is_sure=True,
                )


def _found_anew(
    heard: Dialogue, redactor: Redactor, redacted: RedactedDialogue | None
) -> Iterator[AudiblePhi]:
    for turn, source in zip(redactor.redact(heard).turns, heard.turns, strict=True):
        for span in turn.spans:
            if span.start_s is None or span.end_s is None:
                continue
            words = [
                word
                for word in source.words
                if span.start_s <= (word.start_s + word.end_s) / 2 <= span.end_s
                and not PLACEHOLDER.fullmatch(word.text)
            ]
            text = source.text[span.source_start : span.source_end]
            certainty = span.confidence * _certainty(words)
            if (
                redacted is not None
                and redacted.redactor_version == redactor.version
                and _was_left(text, span.start_s, span.end_s, redacted)
            ):
                certainty *= _LEFT_BEFORE
            yield AudiblePhi(
                start_s=span.start_s,
                end_s=span.end_s,
                entity_type=span.entity_type,
                reason="found_anew",
                confidence=certainty,
                is_sure=False,
            )


def _was_left(text: str, start_s: float, end_s: float, redacted: RedactedDialogue) -> bool:
    """Whether the same words stand at that time in what is kept of the call."""
    then = {
        _plain(turn.text[word.start : word.end])
        for turn in redacted.turns
        for word in turn.words
        if word.start_s < end_s + _JOINED_S and word.end_s > start_s - _JOINED_S
    }
    return {_plain(word) for word in text.split()} <= then


def _plain(word: str) -> str:
    return re.sub(r"\W", "", word.casefold())


def _certainty(words: Sequence[Word]) -> float:
    return float(np.mean([word.confidence for word in words])) if words else 0.0


# --- redacted values said again ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Values:
    """The redacted values of a call by which they are known again: digits, and words of names."""

    digits: dict[str, EntityType] = field(repr=False)
    names: dict[str, EntityType] = field(repr=False)

    @classmethod
    def of(cls, original: Dialogue, redacted: RedactedDialogue) -> _Values:
        call = CallText(original)
        runs = find_runs(call)
        digits: dict[str, EntityType] = {}
        names: dict[str, EntityType] = {}
        for index, turn in enumerate(redacted.turns):
            for span in turn.spans:
                inside = call.tokens_between(
                    call.turn_starts[index] + span.source_start,
                    call.turn_starts[index] + span.source_end,
                )
                for run in runs:
                    if run.last < inside.start or run.first >= inside.stop:
                        continue
                    number, letters = _digits(run, inside), _letters(run, inside)
                    if len(number) >= _needed(span.entity_type):
                        digits.setdefault(number, span.entity_type)
                    if len(letters) >= _MATCHING_LETTERS:
                        names.setdefault(letters, span.entity_type)
                if span.entity_type in _NAMING:
                    for token in inside:
                        word = call.tokens[token].norm.removesuffix("'s")
                        if _is_telling(word):
                            names.setdefault(word, span.entity_type)
        return cls(digits, names)


def _needed(entity_type: EntityType) -> int:
    return _MATCHING_DATE_DIGITS if entity_type is EntityType.DATE else _MATCHING_DIGITS


def _digits(run: Run, tokens: range) -> str:
    return "".join(
        char
        for unit in run.units
        if unit.first in tokens or unit.last in tokens
        for char in unit.chars
        if char.isdecimal()
    )


def _letters(run: Run, tokens: range) -> str:
    """The letters that are spelled out in ``tokens``."""
    return "".join(
        unit.chars
        for unit in run.units
        if unit.kind in {"letter", "nato"} and unit.first in tokens and unit.last in tokens
    )


def _is_telling(word: str) -> bool:
    """Whether a word by itself may tell who is meant."""
    return (
        len(word) >= _SHORTEST_NAME
        and word.isalpha()
        and word not in NUMBER_WORDS
        and word not in ORDINALS
        and word not in ALPHABET
        and not is_common(word)
    )


def _heard_again(heard: Dialogue, values: _Values) -> Iterator[AudiblePhi]:
    call = CallText(heard)
    words = _word_at(heard, call)
    for run in find_runs(call):
        yield from _digits_again(run, words, values)
        yield from _spelled_again(run, words, values)
    for index, token in enumerate(call.tokens):
        said = token.norm.removesuffix("'s")
        if index not in words or not _is_telling(said):
            continue
        for name, entity_type in values.names.items():
            likeness = _likeness(said, name)
            if likeness >= _ALIKE:
                yield _said_again([words[index]], entity_type, likeness)


def _word_at(heard: Dialogue, call: CallText) -> dict[int, Word]:
    """The word of each token of ``call`` that has one."""
    words: dict[int, Word] = {}
    for turn, start in zip(heard.turns, call.turn_starts, strict=True):
        position = start
        for word in turn.words:
            end = position + len(word.text)
            words.update(dict.fromkeys(call.tokens_between(position, end), word))
            position = end + 1
    return words


def _said_again(
    words: Sequence[Word], entity_type: EntityType, likeness: float = 1.0
) -> AudiblePhi:
    return AudiblePhi(
        start_s=min(word.start_s for word in words),
        end_s=max(word.end_s for word in words),
        entity_type=entity_type,
        reason="heard_again",
        # Counted twice: what is only alike is seldom the same.
        confidence=likeness**2 * _certainty(words),
        is_sure=False,
    )


def _digits_again(run: Run, words: dict[int, Word], values: _Values) -> Iterator[AudiblePhi]:
    units = [unit for unit in run.units for char in unit.chars if char.isdecimal()]
    number = "".join(char for unit in run.units for char in unit.chars if char.isdecimal())
    for value, entity_type in values.digits.items():
        start, _, length = SequenceMatcher(None, number, value, autojunk=False).find_longest_match()
        if length >= _needed(entity_type):
            tokens = range(units[start].first, units[start + length - 1].last + 1)
            said = [words[token] for token in tokens if token in words]
            yield _said_again(said, entity_type)


def _spelled_again(run: Run, words: dict[int, Word], values: _Values) -> Iterator[AudiblePhi]:
    tokens = range(run.first, run.last + 1)
    letters = _letters(run, tokens)
    said = [words[token] for token in tokens if token in words]
    for name, entity_type in values.names.items():
        is_long = min(len(letters), len(name)) >= _MATCHING_LETTERS
        if is_long and (letters in name or name in letters):
            yield _said_again(said, entity_type)


def _likeness(said: str, name: str) -> float:
    if said == name:
        return 1.0
    if min(len(said), len(name)) < _SHORTEST_ALIKE:
        return 0.0
    matcher = SequenceMatcher(None, said, name, autojunk=False)
    # An upper bound that costs little, for nearly all pairs are nothing alike.
    return matcher.ratio() if matcher.quick_ratio() >= _ALIKE else 0.0


# --- what is told --------------------------------------------------------------------------------


def _joined(places: Iterable[AudiblePhi]) -> list[AudiblePhi]:
    """The places worth a listen, in order; those that touch are one, of the surest's type."""
    joined: list[AudiblePhi] = []
    for place in sorted(places, key=lambda place: (place.start_s, place.end_s)):
        if place.confidence < _WORTH_LISTENING:
            continue
        found = replace(
            place,
            start_s=round(place.start_s, 3),
            end_s=round(place.end_s, 3),
            confidence=round(place.confidence, 3),
            is_sure=place.confidence >= _SURE,
        )
        if joined and found.start_s - joined[-1].end_s < _JOINED_S:
            before = joined.pop()
            surest = max(before, found, key=lambda place: place.confidence)
            found = replace(surest, start_s=before.start_s, end_s=max(before.end_s, found.end_s))
        joined.append(found)
    return joined


def mark(record: CallRecord, found: Verification) -> CallRecord:
    """``record`` with what was ``found`` in its redacted recording; for review unless it is clean.

    What was found in the same copy before stays found: the first time the redacted values were at
    hand, and a later listener may have worse ears.
    """
    before = record.dialogue.verification
    if before is not None:
        found = replace(found, places=tuple(_joined((*before.places, *found.places))))
    card = record.scorecard
    reasons = tuple(reason for reason in card.review_reasons if not reason.startswith(_REASON))
    if found.verdict is not Verdict.CLEAN:
        reasons += (f"{_REASON}{found.verdict}",)
    return replace(
        record,
        dialogue=replace(record.dialogue, verification=found),
        scorecard=replace(card, review_reasons=reasons, needs_review=bool(reasons)),
    )
