"""Tests of qa_monitor.speakers, on the sample calls as they were spoken and on made-up words."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from conftest import SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_monitor.audio import decode
from qa_monitor.calls import (
    SAMPLE_RATE_HZ,
    DecodedAudio,
    Dialogue,
    Role,
    Segment,
    Transcript,
    Word,
)
from qa_monitor.speakers import assign_speakers
from qa_monitor.speakers.voices import tell_voices


def words_of(text: str, start_s: float, end_s: float, starts: Sequence[float | None]) -> list[Word]:
    texts = text.split()
    even = np.linspace(start_s, end_s, len(texts) + 1)
    begin = [float(even[i]) if time is None else time for i, time in enumerate(starts)]
    begin = [max(begin[: i + 1]) for i in range(len(begin))]
    return [
        Word(text=word, start_s=begin[i], end_s=[*begin[1:], end_s][i], confidence=0.9)
        for i, word in enumerate(texts)
    ]


@cache
def sample(number: str) -> tuple[DecodedAudio, Transcript, list[dict[str, Any]]]:
    """A sample call with what is really said in it, and its turns."""
    call_id = f"samples-{number}"
    path = next(
        path
        for path in sorted((SAMPLES / "recordings").glob(f"*_{number}_*"))
        if path.suffix != ".json"
    )
    rows = {}
    for name in ("expected", "timings"):
        lines = (SAMPLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        rows[name] = next(row for row in map(json.loads, lines) if row["id"] == call_id)
    turns = [
        {**said, **spoken}
        for said, spoken in zip(rows["expected"]["turns"], rows["timings"]["turns"], strict=True)
    ]
    audio = decode(path, call_id=call_id)
    segments = []
    for turn in turns:
        words = words_of(turn["text"], turn["start_s"], turn["end_s"], turn["word_starts_s"])
        channel = turn["channel"] if audio.channels > 1 else 0
        segments.append(segment(words, channel))
    return audio, transcript_of(segments), turns


def segment(words: Sequence[Word], channel: int = 0, *, is_doubtful: bool = False) -> Segment:
    return Segment(
        channel=channel,
        start_s=words[0].start_s,
        end_s=words[-1].end_s,
        text=" ".join(word.text for word in words),
        words=tuple(words),
        confidence=0.9,
        is_doubtful=is_doubtful,
    )


def transcript_of(segments: Sequence[Segment]) -> Transcript:
    return Transcript(
        call_id="c-1",
        language="en",
        asr_model="as spoken",
        segments=tuple(segments),
        dropped_s=1.5,
    )


def spoken(text: str, start_s: float, channel: int = 0, **options: Any) -> Segment:
    """``text`` at three words a second."""
    end_s = start_s + len(text.split()) / 3
    return segment(words_of(text, start_s, end_s, [None] * len(text.split())), channel, **options)


def two_lines(seconds: float = 60.0) -> DecodedAudio:
    """Two channels that are equally loud all the time and have nothing in common."""
    rng = np.random.default_rng(0)
    return DecodedAudio(
        rng.integers(-3000, 3000, (2, int(seconds * SAMPLE_RATE_HZ)), dtype=np.int16)
    )


def right_roles(dialogue: Dialogue, turns: Sequence[dict[str, Any]]) -> float:
    """The share of words whose role is that of the one turn spoken at that time."""
    right = []
    for turn in dialogue.turns:
        for word in turn.words:
            middle = (word.start_s + word.end_s) / 2
            true = [x["speaker"] for x in turns if x["start_s"] <= middle <= x["end_s"]]
            if len(true) == 1:
                right.append(true[0] == turn.role)
    return float(np.mean(right))


def shape(dialogue: Dialogue) -> list[tuple[str, str]]:
    return [(turn.role.value, turn.text) for turn in dialogue.turns]


# --- two channels --------------------------------------------------------------------------------

DUAL = ["c1001", "c1002", "c1004", "c1006", "c1007", "c1008", "c1010", "c1011", "c1012", "c1014"]


@pytest.mark.parametrize("number", DUAL)
def test_roles_of_two_channels_are_found_by_what_is_said(number: str) -> None:
    audio, transcript, turns = sample(number)
    dialogue = assign_speakers(transcript, audio, agent_channel=None)
    assert right_roles(dialogue, turns) > 0.99
    assert min(turn.role_confidence for turn in dialogue.turns) > 0.7
    assert abs(len(dialogue.turns) - len(turns)) <= 2


def test_a_configured_channel_that_fits_raises_confidence() -> None:
    audio, transcript, turns = sample("c1011")
    alone = assign_speakers(transcript, audio, agent_channel=None)
    told = assign_speakers(transcript, audio, agent_channel=0)
    assert right_roles(told, turns) > 0.99
    assert told.turns[0].role_confidence >= alone.turns[0].role_confidence


def test_a_configured_channel_that_words_contradict_stays_with_little_confidence() -> None:
    audio, transcript, turns = sample("c1002")
    dialogue = assign_speakers(transcript, audio, agent_channel=1)
    assert right_roles(dialogue, turns) < 0.01
    assert max(turn.role_confidence for turn in dialogue.turns) < 0.5


def test_contradicted_roles_are_exchanged_only_when_asked() -> None:
    audio, transcript, turns = sample("c1002")
    dialogue = assign_speakers(transcript, audio, agent_channel=1, swap_on_contradiction=True)
    assert right_roles(dialogue, turns) > 0.99
    assert min(turn.role_confidence for turn in dialogue.turns) > 0.5


def test_two_sides_whose_words_tell_nothing_are_unknown() -> None:
    said = transcript_of([spoken("blue green", 1, 0), spoken("red yellow", 3, 1)])
    dialogue = assign_speakers(said, two_lines(), agent_channel=None)
    assert {turn.role for turn in dialogue.turns} == {Role.UNKNOWN}
    told = assign_speakers(said, two_lines(), agent_channel=1)
    assert [turn.role for turn in told.turns] == [Role.CALLER, Role.AGENT]


def test_an_announcement_is_the_systems() -> None:
    said = transcript_of(
        [
            spoken("your call is important to us please stay on the line", 0, 0),
            spoken("thank you for calling how can i help you", 8, 0),
            spoken("i need to see the doctor my chest hurts", 13, 1),
            spoken("i will transfer you now this call may be recorded so how can i help", 20, 0),
        ]
    )
    dialogue = assign_speakers(said, two_lines(), agent_channel=0)
    assert [turn.role.value for turn in dialogue.turns] == ["system", "agent", "caller", "agent"]


def test_with_more_channels_the_others_are_unknown_unless_their_words_tell() -> None:
    said = transcript_of(
        [
            spoken("thank you for calling how can i help you", 0, 0),
            spoken("i need to make an appointment my head hurts", 5, 1),
            spoken("blue green", 10, 2),
        ]
    )
    audio = DecodedAudio(np.vstack([two_lines().samples, two_lines().samples[:1]]))
    dialogue = assign_speakers(said, audio, agent_channel=0)
    assert [turn.role.value for turn in dialogue.turns] == ["agent", "caller", "unknown"]


# --- turns ---------------------------------------------------------------------------------------


def test_a_listeners_mm_hm_does_not_end_the_turn() -> None:
    said = transcript_of(
        [
            spoken("i have had this pain", 0.0, 1),
            spoken("mm-hm", 1.8, 0),
            spoken("since monday and it is worse", 2.4, 1),
            spoken("i see", 4.5, 0),
            spoken("what did you take", 5.5, 0),
        ]
    )
    dialogue = assign_speakers(said, two_lines(), agent_channel=0)
    assert shape(dialogue) == [
        ("caller", "i have had this pain since monday and it is worse"),
        ("agent", "mm-hm"),
        ("agent", "i see what did you take"),
    ]


def test_an_answer_in_between_ends_the_turn() -> None:
    said = transcript_of(
        [
            spoken("do you have a fever", 0.0, 0),
            spoken("no", 2.0, 1),
            spoken("are you dizzy", 3.0, 0),
        ]
    )
    dialogue = assign_speakers(said, two_lines(), agent_channel=0)
    assert [turn.text for turn in dialogue.turns] == [
        "do you have a fever",
        "no",
        "are you dizzy",
    ]


def test_a_long_pause_ends_the_turn_and_a_short_one_does_not() -> None:
    said = transcript_of(
        [spoken("one moment", 0.0), spoken("please", 2.0), spoken("thank you", 12.0)]
    )
    dialogue = assign_speakers(said, two_lines(), agent_channel=0)
    assert [turn.text for turn in dialogue.turns] == ["one moment please", "thank you"]


def test_talking_at_once_gives_two_turns_with_their_own_times() -> None:
    said = transcript_of(
        [spoken("let me explain the bill to you now", 0, 0), spoken("no you listen to me", 1, 1)]
    )
    dialogue = assign_speakers(said, two_lines(), agent_channel=0)
    assert [turn.start_s for turn in dialogue.turns] == [0, 1]
    first, second = dialogue.turns
    assert first.end_s is not None
    assert second.start_s is not None
    assert first.end_s > second.start_s


def test_a_segment_without_word_times_is_spread_over_its_length() -> None:
    bare = Segment(
        channel=0, start_s=2.0, end_s=4.0, text="how can i help", words=(), confidence=0.8
    )
    (turn,) = assign_speakers(transcript_of([bare]), two_lines(), agent_channel=0).turns
    assert turn.text == "how can i help"
    assert [word.start_s for word in turn.words] == [2.0, 2.5, 3.0, 3.5]


def test_a_turn_of_mostly_doubtful_words_is_doubtful() -> None:
    said = transcript_of(
        [spoken("yes it is so", 0, 0, is_doubtful=True), spoken("of course i do", 4, 1)]
    )
    dialogue = assign_speakers(said, two_lines(), agent_channel=0)
    assert [turn.is_doubtful for turn in dialogue.turns] == [True, False]


def test_a_call_without_words_has_no_turns() -> None:
    for audio in (two_lines(1), DecodedAudio(np.zeros((1, 0), np.int16))):
        dialogue = assign_speakers(transcript_of([]), audio, agent_channel=None)
        assert dialogue.turns == ()
        assert (dialogue.call_id, dialogue.dropped_s) == ("c-1", 1.5)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.floats(0, 50, allow_nan=False),
            st.lists(
                st.sampled_from(["yes", "no", "mm-hm", "doctor", "help", "i", "press one"]),
                min_size=1,
                max_size=8,
            ),
        ),
        max_size=12,
    )
)
@settings(max_examples=40, deadline=None)
def test_every_word_is_kept_once_and_turns_are_in_order(
    parts: list[tuple[int, float, list[str]]],
) -> None:
    said = transcript_of(
        [spoken(" ".join(texts), start, channel) for channel, start, texts in parts]
    )
    dialogue = assign_speakers(said, _LINES, agent_channel=0)
    for channel in (0, 1):
        kept = [w for t in dialogue.turns if t.speaker == f"channel-{channel}" for w in t.words]
        given_words = [w for s in said.segments if s.channel == channel for w in s.words]
        if len({s.channel for s in said.segments}) == 2:
            assert sorted(map(repr, kept)) == sorted(map(repr, given_words))
    assert [turn.index for turn in dialogue.turns] == list(range(len(dialogue.turns)))
    for turn in dialogue.turns:
        assert turn.text == " ".join(word.text for word in turn.words)
        assert 0.0 <= turn.role_confidence <= 1.0
    starts = [turn.start_s for turn in dialogue.turns]
    assert all(
        one is not None and other is not None and one <= other
        for one, other in itertools.pairwise(starts)
    )


_LINES = two_lines()


def test_the_same_call_gives_the_same_dialogue() -> None:
    for number in ("c1002", "c1003"):
        audio, transcript, _ = sample(number)
        audio = DecodedAudio(audio.samples[:, : 45 * SAMPLE_RATE_HZ])
        transcript = transcript_of([part for part in transcript.segments if part.end_s < 45])
        one = assign_speakers(transcript, audio, agent_channel=None)
        assert one == assign_speakers(transcript, audio, agent_channel=None)


# --- leakage -------------------------------------------------------------------------------------


def test_words_that_leaked_into_the_other_channel_are_removed() -> None:
    audio, transcript, turns = sample("c1002")
    mixed = audio.samples.astype(np.float64)
    mixed = mixed + 0.1 * mixed[::-1]
    leaky = DecodedAudio(np.clip(mixed, -32768, 32767).astype(np.int16))
    ghosts = [
        Segment(
            channel=1 - part.channel,
            start_s=part.start_s + 0.05,
            end_s=part.end_s + 0.05,
            text=part.text,
            # every third word is misheard
            words=tuple(
                Word(
                    text=word.text if index % 3 else "mumble",
                    start_s=word.start_s + 0.05,
                    end_s=word.end_s + 0.05,
                    confidence=0.4,
                )
                for index, word in enumerate(part.words)
            ),
            confidence=0.4,
        )
        for part in transcript.segments
    ]
    clean = assign_speakers(transcript, audio, agent_channel=0)
    cleaned = assign_speakers(
        transcript_of([*transcript.segments, *ghosts]), leaky, agent_channel=0
    )
    real = sum(len(part.words) for part in transcript.segments)
    kept = sum(len(turn.words) for turn in cleaned.turns)
    assert real <= kept <= real * 1.05
    assert right_roles(cleaned, turns) > 0.95
    assert abs(len(cleaned.turns) - len(clean.turns)) <= 6


def test_the_same_word_said_by_both_is_kept_on_both() -> None:
    said = transcript_of([spoken("okay thank you", 1, 0), spoken("okay thank you", 1.1, 1)])
    dialogue = assign_speakers(said, two_lines(), agent_channel=0)
    assert [turn.text for turn in dialogue.turns] == ["okay thank you"] * 2


# --- one channel ---------------------------------------------------------------------------------


def test_a_mono_call_is_divided_by_voice_and_named_by_words() -> None:
    audio, transcript, turns = sample("c1003")
    assert audio.channels == 1
    dialogue = assign_speakers(transcript, audio, agent_channel=None)
    assert right_roles(dialogue, turns) > 0.95
    assert {turn.speaker for turn in dialogue.turns} == {"voice-0", "voice-1"}
    assert abs(len(dialogue.turns) - len(turns)) <= 2


def as_mono(number: str) -> tuple[DecodedAudio, Transcript, list[dict[str, Any]]]:
    audio, transcript, turns = sample(number)
    both = np.clip(audio.samples.astype(np.int32).sum(axis=0, keepdims=True), -32768, 32767)
    segments = [segment(part.words, 0) for part in transcript.segments]
    return DecodedAudio(both.astype(np.int16)), transcript_of(segments), turns


@pytest.mark.parametrize("number", ["c1001", "c1006", "c1007"])
def test_two_channels_mixed_to_one_are_told_apart_again(number: str) -> None:
    audio, transcript, turns = as_mono(number)
    dialogue = assign_speakers(transcript, audio, agent_channel=0)
    assert right_roles(dialogue, turns) > 0.93


@pytest.mark.parametrize("number", ["c1001", "c1002", "c1006", "c1008"])
@pytest.mark.parametrize("channel", [0, 1])
def test_one_voice_alone_is_one_speaker(number: str, channel: int) -> None:
    audio, transcript, _ = sample(number)
    words = [word for part in transcript.segments if part.channel == channel for word in part.words]
    assert set(tell_voices(words, audio.samples[channel]).labels) == {0}


def test_a_third_voice_is_a_third_speaker() -> None:
    parts, words, truth, offset = [], [], [], 0.0
    for turn in range(12):
        number, channel = [("c1001", 0), ("c1002", 0), ("c1001", 1)][turn % 3]
        audio, transcript, _ = sample(number)
        own = [part for part in transcript.segments if part.channel == channel][turn // 3]
        start, end = int(own.start_s * 16000), int(own.end_s * 16000)
        parts += [audio.samples[channel, start:end], np.zeros(4800, np.int16)]
        shift = offset - own.start_s
        for word in own.words:
            words.append(
                Word(
                    text=word.text,
                    start_s=word.start_s + shift,
                    end_s=word.end_s + shift,
                    confidence=0.9,
                )
            )
            truth.append(turn % 3)
        offset += (end - start + 4800) / 16000
    labels = tell_voices(words, np.concatenate(parts)).labels
    assert len(set(labels)) == 3
    assert np.mean([label == true for label, true in zip(labels, truth, strict=True)]) > 0.9


def test_a_mono_call_of_few_words_is_one_speaker_of_unknown_role() -> None:
    audio = DecodedAudio(two_lines(5).samples[:1])
    (turn,) = assign_speakers(
        transcript_of([spoken("blue green", 1)]), audio, agent_channel=None
    ).turns
    assert (turn.speaker, turn.role) == ("voice-0", Role.UNKNOWN)


def test_voices_too_alike_to_be_told_apart_are_unknown() -> None:
    audio, transcript, _ = sample("c1002")
    words = [word for part in transcript.segments for word in part.words]
    one_voice = DecodedAudio(np.tile(audio.samples[:1, 16000:64000], 40))
    mixed = transcript_of([segment(words)])
    dialogue = assign_speakers(mixed, one_voice, agent_channel=None)
    assert {turn.speaker for turn in dialogue.turns} == {"voice-0"}
    assert {turn.role for turn in dialogue.turns} == {Role.UNKNOWN}


def test_a_dead_second_channel_leaves_a_mono_call() -> None:
    audio, transcript, turns = sample("c1003")
    dead = DecodedAudio(np.vstack([audio.samples, np.zeros_like(audio.samples)]))
    dialogue = assign_speakers(transcript, dead, agent_channel=1)
    assert right_roles(dialogue, turns) > 0.95


@pytest.mark.parametrize(("live", "role"), [(0, Role.AGENT), (1, Role.CALLER)])
def test_one_live_side_keeps_the_role_of_its_channel(live: int, role: Role) -> None:
    audio, transcript, _ = sample("c1002")
    samples = audio.samples.copy()
    samples[1 - live] = 0
    heard = transcript_of([part for part in transcript.segments if part.channel == live])
    dialogue = assign_speakers(heard, DecodedAudio(samples), agent_channel=0)
    assert {turn.role for turn in dialogue.turns} == {role}
    assert {turn.speaker for turn in dialogue.turns} == {f"channel-{live}"}
    assert min(turn.role_confidence for turn in dialogue.turns) > 0.8
