"""What the synthetic telephone voices promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_monitor.training import voices
from qa_monitor.training.voices import (
    HELD_OUT_VOICES,
    SAMPLE_VOICES,
    Voice,
    VoicesUnavailableError,
    mu_law,
    say,
    spell_letter_a,
    telephone,
)

ENGINES_MISSING = "espeak-ng and flite are not installed (apt: libespeak-ng1 libflite1)"
needs_engines = pytest.mark.skipif(not voices.installed(), reason=ENGINES_MISSING)


def tone(seconds: float, rate_hz: int = 16000) -> voices.Samples:
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    return np.asarray(0.4 * np.sin(2 * np.pi * 700.0 * times), dtype=np.float32)


@pytest.mark.voices
@needs_engines
@pytest.mark.parametrize("name", [*SAMPLE_VOICES, *HELD_OUT_VOICES])
def test_every_voice_speaks_and_tells_when_each_word_starts(name: str) -> None:
    speech = say(name, "Thank you for calling, this is Denise.")
    assert 1.0 < speech.duration_s < 6.0
    assert speech.samples.dtype == np.float32
    assert 0.05 < np.abs(speech.samples).max() <= 1.0
    starts = [start for start in speech.word_starts_s if start is not None]
    assert len(speech.word_starts_s) == 7
    assert len(starts) == 7
    assert starts == sorted(starts)
    assert starts[-1] < speech.duration_s


@pytest.mark.voices
@needs_engines
@pytest.mark.parametrize("name", ["flite-slt", "espeak-us-f3"])
def test_rate_makes_speech_shorter_and_pitch_leaves_its_length(name: str) -> None:
    text = "I would like to make an appointment."
    usual, fast = say(name, text), say(name, text, rate=1.4)
    assert fast.duration_s < 0.85 * usual.duration_s
    assert say(name, text, pitch=1.15).duration_s == pytest.approx(usual.duration_s, rel=0.1)


@pytest.mark.voices
@needs_engines
def test_a_word_written_in_digits_has_one_start() -> None:
    speech = say("espeak-us-m3", "Room 214 is open.")
    assert len(speech.word_starts_s) == 4
    assert None not in speech.word_starts_s


@pytest.mark.voices
@needs_engines
def test_settings_of_one_call_do_not_reach_the_next() -> None:
    text = "Good morning."
    before = say("espeak-gb-f2", text).duration_s
    say("espeak-gb-f2", text, rate=1.5, pitch=1.5)
    assert say("espeak-gb-f2", text).duration_s == pytest.approx(before, rel=0.02)


@pytest.mark.voices
@needs_engines
def test_an_unknown_variant_is_an_error_and_not_another_voice() -> None:
    stranger = Voice("x", "espeak", "no-such-language+f1", 50.0, "female", "")
    with pytest.raises(VoicesUnavailableError, match="no-such-language"):
        say(stranger, "Hello.")
    with pytest.raises(VoicesUnavailableError, match="nobody"):
        say(Voice("x", "flite", "nobody", 100.0, "male", ""), "Hello.")


def test_a_missing_library_is_named_with_its_package() -> None:
    with pytest.raises(VoicesUnavailableError, match=r"libnone\.so.*apt-get install"):
        voices._load_library("libnone.so.1")


def test_nothing_to_say_is_refused() -> None:
    with pytest.raises(ValueError, match="no words"):
        say("flite-slt", " ... ")


@pytest.mark.parametrize(("rate", "pitch"), [(0.1, 1.0), (1.0, 3.0)])
def test_factors_out_of_range_are_refused(rate: float, pitch: float) -> None:
    with pytest.raises(ValueError, match="between"):
        say("flite-slt", "Hello.", rate=rate, pitch=pitch)


def test_no_voice_is_both_trained_on_and_held_out() -> None:
    trained = {(voice.engine, voice.variant) for voice in SAMPLE_VOICES.values()}
    held = {(voice.engine, voice.variant) for voice in HELD_OUT_VOICES.values()}
    assert not trained & held
    assert all(name == voice.name for name, voice in SAMPLE_VOICES.items())
    assert {voice.sex for voice in SAMPLE_VOICES.values()} == {"female", "male"}


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("K A R L", "K eigh R L"),
        ("It's A, B.", "It's eigh, B."),
        ("A as in apple", "eigh as in apple"),
        ("A nurse calls.", "A nurse calls."),
        ("I have a cough", "I have a cough"),
    ],
)
def test_the_letter_a_is_told_from_the_article(text: str, spelled: str) -> None:
    assert spell_letter_a(text) == spelled


@given(st.lists(st.sampled_from("A B C a the as A, A.".split()), min_size=1, max_size=12))
def test_respelling_keeps_the_number_of_words(words: list[str]) -> None:
    assert len(spell_letter_a(" ".join(words)).split()) == len(words)


@pytest.mark.parametrize("quality", ["clean", "varied"])
@pytest.mark.parametrize("seed", range(8))
def test_the_telephone_keeps_the_length_and_stays_in_range(quality: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    line = telephone(tone(1.5), 16000, rng, quality=quality)  # type: ignore[arg-type]
    assert len(line) == 12000
    assert line.dtype == np.float32
    assert np.isfinite(line).all()
    assert np.abs(line).max() <= 1.0


def test_the_same_generator_gives_the_same_line() -> None:
    first, second = (
        telephone(tone(0.5), 16000, np.random.default_rng(4), quality="varied") for _ in range(2)
    )
    assert np.array_equal(first, second)


def test_a_clean_line_passes_speech_and_not_rumble() -> None:
    times = np.arange(16000) / 16000
    rumble = np.sin(2 * np.pi * 60.0 * times)
    voice = np.sin(2 * np.pi * 1000.0 * times)
    line = telephone((rumble + voice).astype(np.float32), 16000, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(line[2000:6000]))
    assert spectrum[round(60 * 4000 / 8000)] < 0.1 * spectrum[round(1000 * 4000 / 8000)]


@given(st.lists(st.floats(-1.0, 1.0, width=32), min_size=1, max_size=50))
def test_mu_law_changes_no_sample_by_much_and_is_stable(values: list[float]) -> None:
    samples = np.asarray(values, dtype=np.float32)
    coded = mu_law(samples)
    assert np.abs(coded - samples).max() <= 0.03
    assert np.allclose(mu_law(coded), coded, atol=1e-6)
