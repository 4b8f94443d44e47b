"""Tests of qa_monitor.transcription: the real engine on the sample calls and on computed sounds."""

from __future__ import annotations

import itertools
import json
import shutil
import socket
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qa_monitor.audio import decode
from qa_monitor.calls import SAMPLE_RATE_HZ, DecodedAudio, Transcript, Word
from qa_monitor.errors import ModelError, TranscriptionError
from qa_monitor.models import EMBEDDED_RECOGNISER, find_model
from qa_monitor.transcription import (
    CheckSample,
    FasterWhisperRecogniser,
    _Channel,
    _Heard,
    _join_pieces,
    _loop_start,
    _Piece,
    _speech_pieces,
    _speech_probabilities,
    _Window,
    check_model,
    normalise_words,
    word_error_rate,
)

SECRET = "ortega"


@pytest.fixture(scope="session")
def recogniser() -> FasterWhisperRecogniser:
    return FasterWhisperRecogniser(find_model(EMBEDDED_RECOGNISER))


@cache
def sample(number: str) -> tuple[DecodedAudio, list[dict[str, Any]]]:
    """A sample call and its turns: channel, text, when they are spoken."""
    call_id = f"samples-{number}"
    (path,) = (
        path
        for path in (SAMPLES / "recordings").glob(f"*_{number}_*")
        if path.suffix not in {".json", ".csv"}
    )
    rows = {}
    for name in ("expected", "timings"):
        lines = (SAMPLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        rows[name] = next(row for row in map(json.loads, lines) if row["id"] == call_id)
    turns = [
        {**said, **spoken}
        for said, spoken in zip(rows["expected"]["turns"], rows["timings"]["turns"], strict=True)
    ]
    return decode(path, call_id=call_id), turns


def excerpt(number: str, start_s: float, end_s: float) -> DecodedAudio:
    audio, _ = sample(number)
    return DecodedAudio(audio.samples[:, int(start_s * 16000) : int(end_s * 16000)])


@pytest.fixture(scope="session")
def transcript(recogniser: FasterWhisperRecogniser) -> Transcript:
    return recogniser.transcribe("c1002", sample("c1002")[0])


def as_audio(*channels: NDArray[np.floating[Any]]) -> DecodedAudio:
    stacked = np.stack([channel / (np.abs(channel).max() + 1e-9) for channel in channels])
    return DecodedAudio((stacked * 12000).astype(np.int16))


# --- what is heard -------------------------------------------------------------------------------


def test_a_sample_call_is_heard_on_both_channels(transcript: Transcript) -> None:
    _, turns = sample("c1002")
    for channel in (0, 1):
        said = " ".join(turn["text"] for turn in turns if turn["channel"] == channel)
        heard = " ".join(part.text for part in transcript.segments if part.channel == channel)
        assert word_error_rate(said, heard) < 0.35


def test_words_lie_where_they_were_said(transcript: Transcript) -> None:
    _, turns = sample("c1002")
    starts = {
        (turn["channel"], round(start, 3))
        for turn in turns
        for start in turn["word_starts_s"]
        if start is not None
    }
    errors = [
        min(abs(start - word.start_s) for channel, start in starts if channel == segment.channel)
        for segment in transcript.segments
        for word in segment.words
    ]
    assert len(errors) > 100
    assert np.median(errors) < 0.12
    assert np.percentile(errors, 95) < 0.4


def test_words_are_in_order_inside_their_segment_and_make_its_text(transcript: Transcript) -> None:
    audio, _ = sample("c1002")
    for segment in transcript.segments:
        assert segment.text == " ".join(word.text for word in segment.words)
        assert segment.start_s == segment.words[0].start_s
        assert segment.end_s == segment.words[-1].end_s
        edges = [edge for word in segment.words for edge in (word.start_s, word.end_s)]
        assert edges == sorted(edges)
        assert 0 <= edges[0] <= edges[-1] <= audio.duration_s
        assert all(0 <= word.confidence <= 1 for word in segment.words)
        assert 0 <= segment.confidence <= 1
    times = [segment.start_s for segment in transcript.segments]
    assert times == sorted(times)


def test_segments_of_one_channel_do_not_overlap(transcript: Transcript) -> None:
    for channel in (0, 1):
        parts = [part for part in transcript.segments if part.channel == channel]
        for one, other in itertools.pairwise(parts):
            assert one.end_s <= other.start_s


def test_the_record_is_marked_as_made_with_the_embedded_model(
    recogniser: FasterWhisperRecogniser, transcript: Transcript
) -> None:
    assert recogniser.is_demonstration
    assert transcript.asr_model == recogniser.name == EMBEDDED_RECOGNISER
    assert transcript.language == "en"


def test_nothing_is_heard_in_hold_music_ringing_and_long_silence(
    recogniser: FasterWhisperRecogniser,
) -> None:
    audio, turns = sample("c1011")
    heard = recogniser.transcribe("c1011", audio)
    for segment in heard.segments:
        for word in segment.words:
            middle = (word.start_s + word.end_s) / 2
            assert any(
                turn["start_s"] - 0.5 <= middle <= turn["end_s"] + 0.5
                for turn in turns
                if turn["channel"] == segment.channel
            )


def sounds() -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    time = np.arange(20 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    ringing = (np.sin(2764.6 * time) + np.sin(3015.9 * time)) * (time % 6 < 2)
    melody = np.zeros_like(time)
    for index in range(40):
        note = 262.0 * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 12]) / 12)
        start = index * SAMPLE_RATE_HZ // 2
        length = np.arange(min(SAMPLE_RATE_HZ, len(time) - start)) / SAMPLE_RATE_HZ
        for harmonic in range(1, 6):
            tone = np.sin(2 * np.pi * note * harmonic * length) / harmonic
            melody[start : start + len(length)] += tone * np.exp(-3 * length)
    return {
        "silence": np.zeros_like(time),
        "line noise": rng.standard_normal(len(time)),
        "ringing": ringing + 1e-4 * rng.standard_normal(len(time)),
        "hold music": melody + 1e-4 * rng.standard_normal(len(time)),
        "key clicks": rng.standard_normal(len(time)) * (time % 0.3 < 0.01),
    }


@pytest.mark.parametrize("kind", sounds())
def test_no_text_comes_of_sounds_that_are_no_speech(
    kind: str, recogniser: FasterWhisperRecogniser
) -> None:
    assert recogniser.transcribe("c", as_audio(sounds()[kind])).segments == ()


def test_an_empty_recording_gives_an_empty_transcript(recogniser: FasterWhisperRecogniser) -> None:
    for length in (0, 1, 100, 600):
        heard = recogniser.transcribe("c", DecodedAudio(np.ones((1, length), np.int16)))
        assert (heard.segments, heard.dropped_s) == ((), 0.0)


def test_text_made_up_over_weak_speech_is_dropped_and_counted(
    recogniser: FasterWhisperRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "qa_monitor.transcription._speech_probabilities",
        lambda samples: np.full(len(samples) // 512 + 1, 0.6, np.float32),
    )
    heard = recogniser.transcribe("c", as_audio(sounds()["line noise"]))
    assert sum(len(part.words) for part in heard.segments) < 5
    assert heard.dropped_s > 15


def test_times_are_the_recordings_own_after_a_long_silence(
    recogniser: FasterWhisperRecogniser,
) -> None:
    spoken = excerpt("c1002", 0, 16)
    silence = np.zeros((2, 20 * SAMPLE_RATE_HZ), np.int16)
    late = DecodedAudio(np.concatenate([silence, spoken.samples], axis=1))
    one = [word for part in recogniser.transcribe("a", spoken).segments for word in part.words]
    two = [word for part in recogniser.transcribe("b", late).segments for word in part.words]
    assert min(word.start_s for word in two) > 20
    again = [
        any(
            word.text == moved.text and abs(moved.start_s - word.start_s - 20) < 0.3
            for moved in two
        )
        for word in one
    ]
    assert np.mean(again) > 0.6


# --- the same again ------------------------------------------------------------------------------


def test_the_same_samples_give_the_same_transcript_alone_or_in_any_batch(
    recogniser: FasterWhisperRecogniser,
) -> None:
    calls = [
        ("a", excerpt("c1002", 0, 12)),
        ("b", excerpt("c1006", 0, 12)),
        ("c", excerpt("c1003", 10, 22)),
    ]
    alone = [recogniser.transcribe(call_id, audio) for call_id, audio in calls]
    assert all(transcript.segments for transcript in alone)
    for size in (1, 16):
        other = FasterWhisperRecogniser(find_model(EMBEDDED_RECOGNISER), batch_size=size, threads=1)
        assert list(other.transcribe_many(calls)) == alone


def test_calls_are_taken_as_they_are_needed_and_given_back_in_order(
    recogniser: FasterWhisperRecogniser,
) -> None:
    taken: list[str] = []

    def calls() -> Iterator[tuple[str, DecodedAudio]]:
        for index in range(5):
            taken.append(f"c{index}")
            yield f"c{index}", excerpt("c1002", 0, 16)

    results = recogniser.transcribe_many(calls())
    first = next(results)
    assert isinstance(first, Transcript)
    assert first.call_id == "c0"
    assert len(taken) < 5
    assert [result.call_id for result in results] == ["c1", "c2", "c3", "c4"]


def test_progress_rises_to_one(recogniser: FasterWhisperRecogniser) -> None:
    seen: list[float] = []
    recogniser.transcribe("c", excerpt("c1002", 0, 70), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    assert len(seen) > 1


def test_no_connection_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    local = FasterWhisperRecogniser(find_model(EMBEDDED_RECOGNISER))
    assert local.transcribe("c", excerpt("c1002", 0, 8)).segments


def test_voice_activity_in_blocks_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = sample("c1002")[0].samples[0, : 60 * SAMPLE_RATE_HZ]
    whole = _speech_probabilities(samples)
    monkeypatch.setattr("qa_monitor.transcription._VAD_BLOCK_S", 7)
    blocks = _speech_probabilities(samples)
    assert whole.shape == blocks.shape
    assert np.mean((whole > 0.5) == (blocks > 0.5)) > 0.98


# --- windows that fail ---------------------------------------------------------------------------


def said(text: str, start_s: float = 0.3, pace_s: float = 0.3) -> tuple[Word, ...]:
    return tuple(
        Word(
            text=word,
            start_s=start_s + index * pace_s,
            end_s=start_s + (index + 0.9) * pace_s,
            confidence=0.9,
        )
        for index, word in enumerate(text.split())
    )


def heard_as(
    monkeypatch: pytest.MonkeyPatch, recogniser: FasterWhisperRecogniser, answer: Any
) -> list[int]:
    """Has the engine answer each window with ``answer(window)``; gives the halvings it saw."""
    seen: list[int] = []

    def hear(windows: Sequence[_Window]) -> list[_Heard]:
        seen.extend(window.halvings for window in windows)
        return [answer(window) for window in windows]

    monkeypatch.setattr(recogniser, "_hear", hear)
    return seen


def test_a_loop_is_tried_in_halves_then_cut_flagged_and_counted(
    recogniser: FasterWhisperRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    looped = said("i need a refill " + "of my pills " * 8, pace_s=0.15)
    seen = heard_as(monkeypatch, recogniser, lambda window: _Heard(looped, -0.2, 0.0))
    result = recogniser.transcribe("c", excerpt("c1002", 0, 8))
    assert max(seen) > 0
    assert result.segments
    assert result.dropped_s > 0
    for segment in result.segments:
        assert segment.is_doubtful
        assert segment.text.count("of my pills") <= 1


def test_an_unlikely_text_is_kept_and_flagged(
    recogniser: FasterWhisperRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard_as(monkeypatch, recogniser, lambda window: _Heard(said("hello there"), -1.4, 0.1))
    result = recogniser.transcribe("c", excerpt("c1002", 0, 8))
    assert result.segments
    assert all(segment.is_doubtful for segment in result.segments)


def test_text_over_silence_is_dropped_and_counted(
    recogniser: FasterWhisperRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard_as(monkeypatch, recogniser, lambda window: _Heard(said("thank you"), -1.4, 0.9))
    result = recogniser.transcribe("c", excerpt("c1002", 0, 8))
    assert result.segments == ()
    assert result.dropped_s > 1


def test_text_faster_than_speech_is_dropped(
    recogniser: FasterWhisperRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = said(" ".join(f"word{number}" for number in range(90)), pace_s=0.05)
    heard_as(monkeypatch, recogniser, lambda window: _Heard(fast, -0.2, 0.0))
    assert recogniser.transcribe("c", excerpt("c1002", 0, 8)).segments == ()


def test_a_call_that_breaks_the_engine_fails_alone_and_its_error_quotes_nothing(
    recogniser: FasterWhisperRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = DecodedAudio(np.ascontiguousarray(excerpt("c1006", 0, 20).samples))
    real = recogniser._hear

    def hear(windows: Sequence[_Window]) -> list[_Heard]:
        if any(np.shares_memory(window.channel.samples, bad.samples) for window in windows):
            raise RuntimeError(f"cannot align {SECRET}")
        return real(windows)

    monkeypatch.setattr(recogniser, "_hear", hear)
    good = excerpt("c1002", 0, 12)
    results = list(recogniser.transcribe_many([("a", good), ("b", bad), ("c", good)]))
    assert [type(result) for result in results] == [Transcript, TranscriptionError, Transcript]
    failure = results[1]
    assert isinstance(failure, TranscriptionError)
    assert failure.call_id == "b"
    assert failure.kind == "RuntimeError"
    assert SECRET not in str(failure)
    assert failure.__cause__ is None
    assert failure.__context__ is None
    with pytest.raises(TranscriptionError, match="call b"):
        recogniser.transcribe("b", bad)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("no no no no", None),
        ("it is zero zero zero zero", None),
        ("no no no no no no", 1),
        ("so thank you thank you thank you thank you", 3),
        ("Yes, I do. yes I do yes I do yes i do", 3),
        ("i can help you i can help them i can help us i can help all", None),
    ],
)
def test_a_loop_is_told_from_emphasis(text: str, start: int | None) -> None:
    assert _loop_start(said(text)) == start


# --- pieces and windows --------------------------------------------------------------------------


def channel_of(speech: Sequence[float], seed: int = 0) -> _Channel:
    rng = np.random.default_rng(seed)
    samples = rng.integers(-3000, 3000, len(speech) * 512, dtype=np.int16)
    return _Channel(0, samples, np.array(speech, np.float32))


@st.composite
def speech(draw: st.DrawFn) -> list[float]:
    runs = draw(
        st.lists(
            st.tuples(st.integers(1, 120), st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0])), min_size=1
        )
    )
    return [level for length, level in runs for _ in range(length)]


@given(speech(), st.sampled_from([2, 8, 30]))
@settings(max_examples=100, deadline=None)
def test_pieces_are_apart_short_enough_and_leave_no_long_speech_out(
    levels: list[float], max_s: int
) -> None:
    channel = channel_of(levels)
    pieces = _speech_pieces(channel, max_s * SAMPLE_RATE_HZ)
    covered = np.zeros(len(levels), bool)
    end = 0
    for piece in pieces:
        assert end <= piece.start < piece.end <= len(channel.samples)
        assert piece.length <= max_s * SAMPLE_RATE_HZ
        covered[piece.start // 512 : -(-piece.end // 512)] = True
        end = piece.end
    strong = np.array(levels) >= 0.5
    for frame in range(3, len(levels)):
        if strong[frame - 3 : frame + 1].all():
            assert covered[frame - 3 : frame + 1].all()
    windows = list(_join_pieces(channel, pieces, max_s * SAMPLE_RATE_HZ))
    assert [piece for window in windows for piece in window.pieces] == pieces
    assert all(window.length <= max_s * SAMPLE_RATE_HZ for window in windows)


def test_long_speech_is_cut_where_it_is_quietest() -> None:
    levels = [1.0] * 400
    levels[180:183] = [0.4, 0.36, 0.4]
    pieces = _speech_pieces(channel_of(levels), 8 * SAMPLE_RATE_HZ)
    assert 180 <= pieces[0].end / 512 <= 183


@given(
    speech(),
    st.lists(st.tuples(st.floats(-1, 40), st.floats(0, 2)), max_size=40),
)
@settings(max_examples=100, deadline=None)
def test_placed_words_are_all_there_in_order_and_inside_their_piece(
    levels: list[float], times: list[tuple[float, float]]
) -> None:
    channel = channel_of(levels)
    pieces = _speech_pieces(channel, 30 * SAMPLE_RATE_HZ)
    if not pieces:
        return
    window = _Window(channel, tuple(pieces))
    words = [
        Word(text=str(index), start_s=start, end_s=start + length, confidence=1.0)
        for index, (start, length) in enumerate(sorted(times))
    ]
    placed = window.place(words)
    assert [word.text for group in placed for word in group] == [word.text for word in words]
    for piece, group in zip(pieces, placed, strict=True):
        edges = [edge for word in group for edge in (word.start_s, word.end_s)]
        assert edges == sorted(edges)
        for edge in edges:
            assert piece.start / 16000 - 1e-3 <= edge <= piece.end / 16000 + 1e-3


def test_the_first_word_after_a_joint_goes_to_its_own_piece() -> None:
    levels = [0.0] * 7 + [1.0] * 60 + [0.0] * 200 + [1.0] * 15 + [0.0] * 30
    channel = channel_of(levels)
    window = _Window(channel, tuple(_speech_pieces(channel, 30 * SAMPLE_RATE_HZ)))
    joint_s = window.pieces[0].length / SAMPLE_RATE_HZ
    words = (
        Word(text="better", start_s=1.6, end_s=joint_s - 0.4, confidence=1.0),
        Word(text="no", start_s=joint_s - 0.4, end_s=joint_s + 0.3, confidence=1.0),
    )
    assert [[word.text for word in group] for group in window.place(words)] == [["better"], ["no"]]


def test_halves_hold_the_same_sound_and_end_in_time() -> None:
    channel = channel_of([1.0] * 900)
    window = _Window(channel, (_Piece(0, 16000 * 20),))
    halves = window.halves()
    assert sum(half.length for half in halves) == window.length
    assert [half.halvings for half in halves] == [1, 1]
    assert _Window(channel, (_Piece(0, 16000 * 3),)).halves() == ()
    assert _Window(channel, (_Piece(0, 16000 * 20),), halvings=3).halves() == ()


# --- models --------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["tokenizer.json", "vocabulary.json", "config.json"])
def test_an_incomplete_model_is_refused_before_it_is_loaded(file: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(find_model(EMBEDDED_RECOGNISER), folder)
    (folder / file).unlink()
    with pytest.raises(ModelError, match=file.split(".")[0]):
        FasterWhisperRecogniser(folder)


def test_a_damaged_model_is_told_without_the_engines_words(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(find_model(EMBEDDED_RECOGNISER), folder)
    (folder / "model.bin").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="does not load") as caught:
        FasterWhisperRecogniser(folder)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_word_error_rate_counts_words_and_not_marks_or_case() -> None:
    assert word_error_rate("Thank you, Dr. O'Neil!", "thank you dr o'neil") == 0.0
    assert word_error_rate("one two three four", "one too three") == pytest.approx(0.5)
    assert word_error_rate("one", "one two three") == pytest.approx(2.0)
    assert word_error_rate("", "") == 0.0
    assert word_error_rate("...", "words") == 1.0


@given(st.text(max_size=60), st.text(max_size=60))
@settings(deadline=None)
def test_word_error_rate_is_zero_for_the_same_words_and_never_negative(
    one: str, other: str
) -> None:
    assert word_error_rate(one, one) == 0.0
    assert word_error_rate(one, other) >= 0.0
    assert normalise_words(normalise_words(one)) == normalise_words(one)


def test_a_check_says_how_well_and_how_fast_a_model_does() -> None:
    audio, turns = sample("c1002")
    part = DecodedAudio(audio.samples[:, : 30 * SAMPLE_RATE_HZ])
    references = tuple(
        " ".join(
            turn["text"] for turn in turns if turn["channel"] == channel and turn["end_s"] < 30
        )
        for channel in (0, 1)
    )
    check = check_model(find_model(EMBEDDED_RECOGNISER), [CheckSample(part, references)])
    assert check.model == EMBEDDED_RECOGNISER
    assert check.is_demonstration
    assert check.words == sum(len(normalise_words(text).split()) for text in references)
    assert 0.0 <= check.word_error_rate < 0.6
    assert check.times_real_time > 0
