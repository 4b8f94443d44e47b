"""verification: what can still be heard is told by time and type, and what cannot is not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from conftest import SAMPLES
from hypothesis import given
from hypothesis import strategies as st
from invented_records import make_record

from qa_monitor.audio import decode
from qa_monitor.calls import (
    SAMPLE_RATE_HZ,
    AudiblePhi,
    DecodedAudio,
    Dialogue,
    EntityType,
    RedactedDialogue,
    RedactedTurn,
    RedactedWord,
    Segment,
    Transcript,
    Verdict,
    Verification,
    Word,
)
from qa_monitor.pipeline import Stages, redacted_audio
from qa_monitor.speakers import assign_speakers
from qa_monitor.verification import is_chosen, listen_again, mark, scan

AGENT, CALLER = 0, 1
Script = Sequence[tuple[int, str]]
SCRIPT = [
    (AGENT, "thank you for calling can i have your name and your phone number please"),
    (CALLER, "my name is wilhelmina quackenbush and the number is six one seven five five five"),
    (CALLER, "oh one nine four"),
    (AGENT, "thank you what can i do for you today"),
    (CALLER, "i was born on march third nineteen forty two and i would like a check up"),
    (AGENT, "of course would next week in the morning work for you"),
]


def transcript_of(script: Script) -> Transcript:
    """``script`` as heard: a word each 0.3 s without a pause, a turn each second after the last."""
    segments, clock_s = [], 1.0
    for channel, text in script:
        words = []
        for word in text.split():
            words.append(Word(text=word, start_s=clock_s, end_s=clock_s + 0.3, confidence=0.95))
            clock_s += 0.3
        segments.append(segment_of(channel, words))
        clock_s += 1.0
    return Transcript(
        call_id="c1", language="en", asr_model="m", segments=tuple(segments), dropped_s=0.0
    )


def segment_of(channel: int, words: Sequence[Word]) -> Segment:
    return Segment(
        channel=channel,
        start_s=words[0].start_s,
        end_s=words[-1].end_s,
        text=" ".join(word.text for word in words),
        words=tuple(words),
        confidence=0.9,
    )


def noise(seconds: float) -> DecodedAudio:
    rng = np.random.default_rng(5)
    samples = rng.normal(0, 3000, (2, int(seconds * SAMPLE_RATE_HZ)))
    return DecodedAudio(samples.astype(np.int16))


class Call:
    """A call as it was heard and redacted, with its silenced sound."""

    def __init__(
        self, stages: Stages, script: Script = SCRIPT, mode: Literal["mute", "beep"] = "mute"
    ) -> None:
        self.redactor = stages.redactor
        self.transcript = transcript_of(script)
        self.audio = noise(self.transcript.segments[-1].end_s + 1)
        self.original: Dialogue = assign_speakers(self.transcript, self.audio, agent_channel=AGENT)
        self.redacted: RedactedDialogue = self.redactor.redact(self.original)
        self.quiet = redacted_audio(
            self.audio, self.transcript, self.redacted, mode=mode, margin_s=0.05
        )

    def word(self, text: str) -> Word:
        return next(w for part in self.transcript.segments for w in part.words if w.text == text)

    def heard(self, *extra: tuple[int, str, float, float]) -> Transcript:
        """What a good listener hears in the silenced sound, and ``extra`` words over it.

        Each extra word is (channel, text, seconds, confidence).
        """
        segments = []
        for part in self.transcript.segments:
            words = [word for word in part.words if self._is_audible(word)]
            if words:
                segments.append(segment_of(part.channel, words))
        for channel, text, at_s, confidence in extra:
            words = [
                Word(
                    text=word,
                    start_s=at_s + 0.3 * index,
                    end_s=at_s + 0.3 * index + 0.3,
                    confidence=confidence,
                )
                for index, word in enumerate(text.split())
            ]
            segments.append(segment_of(channel, words))
        ordered = sorted(segments, key=lambda part: part.start_s)
        return replace(self.transcript, segments=tuple(ordered))

    def _is_audible(self, word: Word) -> bool:
        first, last = (int(s * SAMPLE_RATE_HZ) for s in (word.start_s, word.end_s))
        now, before = self.quiet.samples[:, first:last], self.audio.samples[:, first:last]
        return bool((now == before).all(axis=0).mean() > 0.5)

    def unsilenced(self, start_s: float, end_s: float) -> DecodedAudio:
        """The silenced sound with a stretch as it was."""
        samples = self.quiet.samples.copy()
        first, last = int(start_s * SAMPLE_RATE_HZ), int(end_s * SAMPLE_RATE_HZ)
        samples[:, first:last] = self.audio.samples[:, first:last]
        return DecodedAudio(samples)

    def scan(
        self, heard: Transcript, quiet: DecodedAudio | None = None, **known: Any
    ) -> Verification:
        everything: dict[str, Any] = {"redacted": self.redacted, "original": self.original}
        return scan(quiet or self.quiet, heard, self.redactor, **(everything | known))


@pytest.fixture(scope="module")
def call(stages: Stages) -> Call:
    return Call(stages)


# --- what is heard, and what is not --------------------------------------------------------------


@pytest.mark.parametrize("mode", ["mute", "beep"])
def test_a_good_copy_is_clean(stages: Stages, mode: Literal["mute", "beep"]) -> None:
    call = Call(stages, mode=mode)
    found = call.scan(call.heard())
    assert (found.verdict, found.places) == (Verdict.CLEAN, ())
    # It could have been otherwise: there was PHI in the call, and its words are gone.
    assert {span.entity_type for turn in call.redacted.turns for span in turn.spans} >= {
        EntityType.PERSON,
        EntityType.PHONE,
        EntityType.DATE,
    }


@pytest.mark.parametrize("mode", ["mute", "beep"])
def test_a_span_that_was_not_silenced_is_a_leak_even_if_nobody_understands_it(
    stages: Stages, mode: Literal["mute", "beep"]
) -> None:
    call = Call(stages, mode=mode)
    name = call.word("quackenbush")
    found = call.scan(call.heard(), call.unsilenced(name.start_s, name.end_s))
    assert found.verdict is Verdict.LEAK
    (place,) = found.places
    assert (place.reason, place.entity_type) == ("not_silenced", EntityType.PERSON)
    assert place.start_s <= name.start_s < name.end_s <= place.end_s


def test_a_call_in_which_nothing_is_heard_any_more_is_clean(call: Call) -> None:
    assert call.scan(replace(call.transcript, segments=())).verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    "said",
    ["617 555 0194", "6175550194", "zero one nine four", "five five 5 oh one", "555 oh one 94"],
)
def test_digits_of_a_value_are_known_again_however_they_are_said(call: Call, said: str) -> None:
    at = call.word("morning")
    found = scan(
        call.quiet,
        call.heard((AGENT, said, at.start_s, 0.9)),
        FindsNothing(),
        redacted=call.redacted,
        original=call.original,
    )
    assert found.verdict is Verdict.LEAK
    assert {(place.reason, place.entity_type) for place in found.places} == {
        ("heard_again", EntityType.PHONE)
    }


@pytest.mark.parametrize(
    "said", ["quackenbush", "quakenbush", "q u a c k e n b u s h", "quackenbush's"]
)
def test_a_name_is_known_again_by_likeness_and_when_it_is_spelled(call: Call, said: str) -> None:
    at = call.word("morning")
    found = scan(
        call.quiet,
        call.heard((AGENT, said, at.start_s, 0.9)),
        FindsNothing(),
        redacted=call.redacted,
        original=call.original,
    )
    assert found.verdict is Verdict.LEAK
    assert {(place.reason, place.entity_type) for place in found.places} == {
        ("heard_again", EntityType.PERSON)
    }


@pytest.mark.parametrize(
    "said", ["twenty five dollars", "nineteen forty two", "two thousand", "the number is fine"]
)
def test_other_numbers_and_ordinary_words_are_no_value_heard_again(call: Call, said: str) -> None:
    at = call.word("morning")
    found = call.scan(call.heard((AGENT, said, at.start_s, 0.9)))
    assert "heard_again" not in {place.reason for place in found.places}


def test_what_was_not_recognised_at_first_is_found_without_the_first_words(call: Call) -> None:
    heard = call.heard((CALLER, "my name is bartholomew pennington", 30.0, 0.95))
    quiet = DecodedAudio(np.concatenate([call.quiet.samples, noise(8.0).samples], axis=1))
    found = call.scan(heard, quiet, original=None)
    assert found.verdict is Verdict.LEAK
    assert {(place.reason, place.entity_type) for place in found.places} == {
        ("found_anew", EntityType.PERSON)
    }
    assert all(place.start_s >= 30.0 for place in found.places)


def test_a_recording_without_a_record_is_judged_by_what_is_heard_alone(call: Call) -> None:
    heard = transcript_of(SCRIPT)
    found = call.scan(heard, call.audio, redacted=None, original=None)
    assert found.verdict is Verdict.LEAK
    assert {place.entity_type for place in found.places} >= {EntityType.PERSON, EntityType.DATE}


def test_a_recording_in_which_nobody_speaks_is_clean(call: Call) -> None:
    nothing = replace(call.transcript, segments=())
    assert call.scan(nothing, redacted=None, original=None).verdict is Verdict.CLEAN


def test_segments_and_words_that_came_without_times_are_scanned_all_the_same(call: Call) -> None:
    whole = Segment(
        channel=CALLER,
        start_s=1.0,
        end_s=9.0,
        text="my name is bartholomew pennington",
        words=(),
        confidence=0.9,
    )
    timeless = tuple(
        Word(text=text, start_s=2.0, end_s=2.0, confidence=0.9) for text in whole.text.split()
    )
    for segment in (whole, replace(whole, words=timeless)):
        heard = replace(call.transcript, segments=(segment,))
        for redacted in (as_kept(call.original), None):
            found = call.scan(heard, call.audio, redacted=redacted, original=None)
            assert found.verdict is Verdict.LEAK


# --- false alarms --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["mute", "beep"])
def test_words_that_a_recogniser_makes_of_silence_or_a_beep_are_nothing(
    stages: Stages, mode: Literal["mute", "beep"]
) -> None:
    call = Call(stages, mode=mode)
    assert call.scan(transcript_of(SCRIPT)).verdict is Verdict.CLEAN


def test_the_less_sure_a_word_was_heard_the_less_is_said_of_it(call: Call) -> None:
    at = call.word("morning").start_s

    def verdict(confidence: float) -> Verdict:
        return call.scan(call.heard((AGENT, "quackenbush", at, confidence))).verdict

    assert verdict(0.9) is Verdict.LEAK
    assert verdict(0.4) is Verdict.UNSURE
    assert verdict(0.1) is Verdict.CLEAN


def test_what_the_same_redactor_read_and_left_at_first_weighs_half(call: Call) -> None:
    heard = transcript_of([(CALLER, "my name is bartholomew pennington")])
    audio = noise(6.0)
    kept = as_kept(assign_speakers(heard, audio, agent_channel=AGENT))
    (older,) = scan(audio, heard, call.redactor, redacted=kept).places
    same = scan(
        audio, heard, call.redactor, redacted=replace(kept, redactor_version=call.redactor.version)
    )
    assert older.is_sure
    assert not any(place.is_sure for place in same.places)
    assert all(place.confidence < 0.6 * older.confidence for place in same.places)


class FindsNothing:
    """A redactor that leaves every word, so that what is told is told without it."""

    version = "an older one"

    def redact(self, dialogue: Dialogue) -> RedactedDialogue:
        return as_kept(dialogue)


def as_kept(dialogue: Dialogue) -> RedactedDialogue:
    """``dialogue`` as a redactor keeps it that finds nothing."""
    turns = []
    for turn in dialogue.turns:
        ends = list(itertools.accumulate(len(word.text) + 1 for word in turn.words))
        turns.append(
            RedactedTurn(
                index=turn.index,
                speaker=turn.speaker,
                role=turn.role,
                role_confidence=turn.role_confidence,
                start_s=turn.start_s,
                end_s=turn.end_s,
                text=turn.text,
                words=tuple(
                    RedactedWord(
                        start=end - 1 - len(word.text),
                        end=end - 1,
                        start_s=word.start_s,
                        end_s=word.end_s,
                        confidence=word.confidence,
                    )
                    for word, end in zip(turn.words, ends, strict=True)
                ),
            )
        )
    return RedactedDialogue(
        call_id=dialogue.call_id,
        language=dialogue.language,
        asr_model=dialogue.asr_model,
        redactor_version="an older one",
        dropped_s=0.0,
        turns=tuple(turns),
    )


# --- what is told --------------------------------------------------------------------------------


def test_what_is_told_holds_no_word_of_the_call(call: Call) -> None:
    found = call.scan(transcript_of(SCRIPT), call.audio)
    assert found.places
    told = repr(found).casefold()
    for word in ("wilhelmina", "quackenbush", "six", "nine", "march", "third", "forty", "check"):
        assert word not in told


def test_places_come_in_order_and_never_touch(call: Call) -> None:
    places = call.scan(transcript_of(SCRIPT), call.audio).places
    assert len(places) > 1
    for before, after in itertools.pairwise(places):
        assert before.end_s < after.start_s


@given(st.text(min_size=1, max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_a_call_in_a_sample_is_in_every_larger_one(
    call_id: str, share: float, other: float
) -> None:
    small, large = sorted((share, other))
    assert is_chosen(call_id, small) <= is_chosen(call_id, large)
    assert is_chosen(call_id, 1.0)
    assert not is_chosen(call_id, 0.0)


def test_a_share_is_the_share_of_the_calls() -> None:
    chosen = sum(is_chosen(f"calls-{number}", 0.2) for number in range(5000))
    assert 900 < chosen < 1100


def found(*places: AudiblePhi) -> Verification:
    return Verification(version="1", places=places)


def place(start_s: float, *, is_sure: bool) -> AudiblePhi:
    return AudiblePhi(
        start_s=start_s,
        end_s=start_s + 1,
        entity_type=EntityType.PERSON,
        reason="found_anew",
        confidence=0.9 if is_sure else 0.4,
        is_sure=is_sure,
    )


def test_a_leak_makes_a_record_one_for_review_and_a_clean_copy_does_not() -> None:
    record = make_record("c1")
    record = replace(
        record, scorecard=replace(record.scorecard, review_reasons=(), needs_review=False)
    )
    clean = mark(record, found())
    assert clean.dialogue.verification == found()
    assert clean.scorecard == record.scorecard
    unsure = mark(record, found(place(3, is_sure=False)))
    assert unsure.scorecard.review_reasons == ("redacted_audio_unsure",)
    leak = mark(unsure, found(place(9, is_sure=True)))
    assert leak.scorecard.review_reasons == ("redacted_audio_leak",)
    assert leak.scorecard.needs_review


def test_what_was_found_in_a_copy_stays_found_whoever_listens_later() -> None:
    leak = mark(make_record("c1"), found(place(3, is_sure=True)))
    again = mark(leak, found(place(9, is_sure=False)))
    verification = again.dialogue.verification
    assert verification is not None
    assert [place.start_s for place in verification.places] == [3, 9]
    assert "redacted_audio_leak" in again.scorecard.review_reasons
    assert mark(leak, found()).dialogue.verification == leak.dialogue.verification


# --- a real recogniser on a real sample ----------------------------------------------------------


@pytest.fixture(scope="module")
def sample(stages: Stages) -> tuple[DecodedAudio, Transcript, Dialogue, RedactedDialogue]:
    path = next(Path(SAMPLES / "recordings").glob("*c1008*.wav"))
    audio = decode(path, call_id="c1008")
    transcript = stages.recogniser.transcribe("c1008", audio)
    dialogue = assign_speakers(transcript, audio, agent_channel=1)
    return audio, transcript, dialogue, stages.redactor.redact(dialogue)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["mute", "beep"])
def test_a_good_copy_of_a_sample_has_no_leak(
    stages: Stages, sample: Any, mode: Literal["mute", "beep"]
) -> None:
    audio, transcript, dialogue, redacted = sample
    quiet = redacted_audio(audio, transcript, redacted, mode=mode, margin_s=stages.margin_s)
    told = listen_again(
        "c1008", quiet, stages.recogniser, stages.redactor, redacted=redacted, original=dialogue
    )
    assert told.verdict is not Verdict.LEAK


@pytest.mark.slow
def test_a_telephone_number_left_in_a_sample_is_heard(stages: Stages, sample: Any) -> None:
    audio, transcript, dialogue, redacted = sample
    phones = [
        span
        for turn in redacted.turns
        for span in turn.spans
        if span.entity_type is EntityType.PHONE
    ]
    quiet = redacted_audio(
        audio, transcript, redacted, mode="mute", margin_s=stages.margin_s
    ).samples.copy()
    for span in phones:
        first, last = int(span.start_s * SAMPLE_RATE_HZ), int(span.end_s * SAMPLE_RATE_HZ)
        quiet[:, first:last] = audio.samples[:, first:last]
    assert phones
    for known in ({}, {"redacted": redacted}, {"redacted": redacted, "original": dialogue}):
        told = listen_again(
            "c1008", DecodedAudio(quiet), stages.recogniser, stages.redactor, **known
        )
        assert told.verdict is Verdict.LEAK, known.keys()
        assert any(
            place.start_s < phones[-1].end_s and place.end_s > phones[-1].start_s
            for place in told.places
            if place.is_sure
        )
