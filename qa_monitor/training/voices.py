"""Synthetic telephone voices: text in, speech with the start of every word out.

`say("flite-slt", "Thank you for calling.")` gives samples and word starts;
`telephone` then makes them sound like a recorded call. The voices are those of
espeak-ng and flite, run inside this process through their C libraries, because only
the libraries (not the command-line tools) tell when each word begins.

`SAMPLE_VOICES` are the voices that the sample calls are spoken with, and that the
embedded recogniser hears most in training; `HELD_OUT_VOICES` are never trained on.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import math
import threading
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import signal

Samples = npt.NDArray[np.float32]

TELEPHONE_RATE_HZ: Final = 8000

_INSTALL: Final = "On Debian or Ubuntu: apt-get install libespeak-ng1 espeak-ng-data libflite1"
# One text at a time: both engines keep their state in globals.
_ENGINE_LOCK: Final = threading.Lock()


class VoicesUnavailableError(RuntimeError):
    """The speech engines are not installed, or do not know the voice asked for."""


@dataclass(frozen=True)
class Voice:
    """One speaker.

    `variant` is "language+variant" for espeak-ng ("en-us+f3"; plain "en" is its British
    English) and a voice's name for flite ("slt"). `base_pitch` is the speaker's usual
    pitch: for espeak-ng its 0-100 setting, where 50 is the variant's own and every 50
    doubles it; for flite in hertz.
    """

    name: str
    engine: Literal["espeak", "flite"]
    variant: str
    base_pitch: float
    sex: Literal["female", "male"]
    accent: str


@dataclass(frozen=True)
class Speech:
    """What an engine said.

    `word_starts_s` has one entry for each word of `text.split()`: seconds from the
    first sample, or None where the engine did not tell.
    """

    text: str
    samples: Samples
    sample_rate_hz: int
    word_starts_s: tuple[float | None, ...]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz


def _by_name(*voices: Voice) -> dict[str, Voice]:
    return {voice.name: voice for voice in voices}


SAMPLE_VOICES: Final[dict[str, Voice]] = _by_name(
    Voice("flite-slt", "flite", "slt", 170.0, "female", "US"),
    Voice("flite-awb", "flite", "awb", 130.0, "male", "Scottish"),
    Voice("flite-kal16", "flite", "kal16", 105.0, "male", "US"),
    Voice("espeak-us-f3", "espeak", "en-us+f3", 50.0, "female", "US"),
    Voice("espeak-us-m3", "espeak", "en-us+m3", 45.0, "male", "US"),
    Voice("espeak-gb-f2", "espeak", "en+f2", 56.0, "female", "GB"),
    Voice("espeak-gb-m2", "espeak", "en-gb-x-rp+m2", 38.0, "male", "GB"),
    Voice("espeak-us-annie", "espeak", "en-us+Annie", 62.0, "female", "US"),
)

HELD_OUT_VOICES: Final[dict[str, Voice]] = _by_name(
    Voice("flite-rms", "flite", "rms", 100.0, "male", "US"),
    Voice("espeak-us-andy", "espeak", "en-us+Andy", 50.0, "male", "US"),
    Voice("espeak-us-linda", "espeak", "en-us+linda", 50.0, "female", "US"),
    Voice("espeak-scotland-f4", "espeak", "en-gb-scotland+f4", 50.0, "female", "GB"),
    Voice("espeak-us-m7", "espeak", "en-us+m7", 50.0, "male", "US"),
)


def say(voice: str | Voice, text: str, rate: float = 1.0, pitch: float = 1.0) -> Speech:
    """Return the text spoken: mono float32 samples in [-1, 1] at the engine's own rate.

    `voice` is a name in SAMPLE_VOICES or HELD_OUT_VOICES, or a Voice. `rate` and
    `pitch` are factors on the voice's usual ones (0.5 to 2). Punctuation shapes the
    melody and is not spoken. Capital letters that stand alone are spelled out ("K A R L").

    Raises VoicesUnavailableError where the engines are missing, KeyError for an unknown
    name, and ValueError for a text without words or factors out of range.
    """
    if isinstance(voice, str):
        voice = {**SAMPLE_VOICES, **HELD_OUT_VOICES}[voice]
    if not any(character.isalnum() for character in text):
        raise ValueError("There is nothing to say: the text has no words.")
    if not (0.5 <= rate <= 2.0 and 0.5 <= pitch <= 2.0):
        raise ValueError("rate and pitch are factors between 0.5 and 2.")
    with _ENGINE_LOCK:
        engine = _espeak() if voice.engine == "espeak" else _flite()
        speech = engine.say(voice, spell_letter_a(text), rate, pitch)
    return dataclasses.replace(speech, text=text)


def spell_letter_a(text: str) -> str:
    """Return the text with each capital A that names the letter respelled "eigh".

    Both engines read a lone "A" as the article. It is the letter beside another lone
    capital, or before "as" or "for" ("A as in apple"). The number of words stays.
    """
    words = text.split()
    bare = [word.strip(".,;:?!-") for word in words]

    def is_letter(index: int) -> bool:
        return 0 <= index < len(bare) and len(bare[index]) == 1 and bare[index].isupper()

    for index, word in enumerate(bare):
        if word == "A" and (
            is_letter(index - 1)
            or is_letter(index + 1)
            or (index + 1 < len(bare) and bare[index + 1] in ("as", "for"))
        ):
            words[index] = words[index].replace("A", "eigh")
    return " ".join(words)


def installed() -> bool:
    """Whether both speech engines can be loaded."""
    try:
        with _ENGINE_LOCK:
            _espeak()
            _flite()
    except VoicesUnavailableError:
        return False
    return True


# --- espeak-ng -------------------------------------------------------------------------

# Values of speak_lib.h.
_OUTPUT_SYNCHRONOUS: Final = 2
_PARAMETER_RATE, _PARAMETER_PITCH, _PARAMETER_RANGE = 1, 3, 4
_EVENT_LIST_END, _EVENT_WORD = 0, 1
_POSITION_CHARACTER, _TEXT_UTF8 = 1, 1
_DEFAULT_WORDS_PER_MINUTE: Final = 175


class _EspeakEvent(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_EspeakCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_EspeakEvent)
)


def _load_library(name: str) -> ctypes.CDLL:
    try:
        # Flite's voices find the symbols of its other libraries only when these are global.
        return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        pass
    raise VoicesUnavailableError(f"The speech library {name} is missing. {_INSTALL}")


class _Espeak:
    """espeak-ng with its word events."""

    def __init__(self) -> None:
        self._library = _load_library("libespeak-ng.so.1")
        self._sample_rate_hz = int(self._library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, None, 0))
        if self._sample_rate_hz <= 0:
            raise VoicesUnavailableError(f"espeak-ng finds no voice data. {_INSTALL}")
        self._chunks: list[npt.NDArray[np.int16]] = []
        self._word_events: list[tuple[int, float]] = []
        # Kept: the library holds only the pointer.
        self._callback = _EspeakCallback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, wave: Any, count: int, events: Any) -> int:
        if wave and count > 0:
            self._chunks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events and events[index].type != _EVENT_LIST_END:
            event = events[index]
            if event.type == _EVENT_WORD:
                # Positions count characters from 1.
                self._word_events.append(
                    (event.text_position - 1, event.audio_position_ms / 1000.0)
                )
            index += 1
        return 0

    def say(self, voice: Voice, text: str, rate: float, pitch: float) -> Speech:
        self._chunks.clear()
        self._word_events.clear()
        if self._library.espeak_SetVoiceByName(voice.variant.encode()) != 0:
            raise VoicesUnavailableError(f"espeak-ng has no voice {voice.variant}.")
        setting = min(99.0, max(0.0, voice.base_pitch + 50.0 * math.log2(pitch)))
        for parameter, value in (
            (_PARAMETER_RATE, round(_DEFAULT_WORDS_PER_MINUTE * rate)),
            (_PARAMETER_PITCH, round(setting)),
            (_PARAMETER_RANGE, 50),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode() + b"\0"
        self._library.espeak_Synth(
            data, ctypes.c_size_t(len(data)), 0, _POSITION_CHARACTER, 0, _TEXT_UTF8, None, None
        )
        self._library.espeak_Synchronize()
        if not self._chunks:
            raise VoicesUnavailableError(f"espeak-ng said nothing with {voice.variant}.")
        samples = np.concatenate(self._chunks).astype(np.float32) / 32768.0
        return Speech(text, samples, self._sample_rate_hz, self._starts(text))

    def _starts(self, text: str) -> tuple[float | None, ...]:
        """Return the first event in each word; a number has one event per spoken part."""
        starts: list[float | None] = []
        begin = 0
        for word in text.split():
            begin = text.index(word, begin)
            end = begin + len(word)
            times = [time for position, time in self._word_events if begin <= position < end]
            starts.append(min(times) if times else None)
            begin = end
        return tuple(starts)


# --- flite -----------------------------------------------------------------------------

_FLITE_VOICES: Final = ("kal", "kal16", "slt", "awb", "rms")
_FIRST_SOUND: Final = b"daughter1.R:SylStructure.daughter1.daughter1.R:Segment.p.end"


class _FliteWave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class _FliteVoice(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


class _Flite:
    """flite with the times of its Token items."""

    def __init__(self) -> None:
        self._library = library = _load_library("libflite.so.1")
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        for name, result, arguments in (
            ("flite_synth_text", pointer, (text, pointer)),
            ("utt_wave", ctypes.POINTER(_FliteWave), (pointer,)),
            ("utt_relation", pointer, (pointer, text)),
            ("relation_head", pointer, (pointer,)),
            ("item_next", pointer, (pointer,)),
            ("ffeature_float", ctypes.c_float, (pointer, text)),
            ("delete_utterance", None, (pointer,)),
            ("feat_set_float", None, (pointer, text, ctypes.c_float)),
        ):
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
        library.flite_init()
        self._voices: dict[str, Any] = {}
        for name in _FLITE_VOICES:
            register = getattr(
                _load_library(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}"
            )
            register.restype = ctypes.POINTER(_FliteVoice)
            register.argtypes = (text,)
            self._voices[name] = register(None)

    def say(self, voice: Voice, text: str, rate: float, pitch: float) -> Speech:
        if voice.variant not in self._voices:
            raise VoicesUnavailableError(f"flite has no voice {voice.variant}.")
        library, speaker = self._library, self._voices[voice.variant]
        features = speaker.contents.features
        library.feat_set_float(features, b"duration_stretch", 1.0 / rate)
        # The diphone voices (kal) follow a target in hertz, the statistical ones a factor.
        if voice.variant.startswith("kal"):
            library.feat_set_float(features, b"int_f0_target_mean", voice.base_pitch * pitch)
        else:
            library.feat_set_float(features, b"f0_shift", pitch)
        utterance = library.flite_synth_text(text.encode(), ctypes.cast(speaker, ctypes.c_void_p))
        try:
            wave = library.utt_wave(utterance).contents
            samples = (
                np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).astype(np.float32)
                / 32768.0
            )
            starts = self._starts(utterance, len(text.split()))
            return Speech(text, samples, int(wave.sample_rate), starts)
        finally:
            library.delete_utterance(utterance)

    def _starts(self, utterance: int, word_count: int) -> tuple[float | None, ...]:
        library = self._library
        starts: list[float | None] = []
        relation = library.utt_relation(utterance, b"Token")
        item = library.relation_head(relation) if relation else None
        while item:
            starts.append(float(library.ffeature_float(item, _FIRST_SOUND)))
            item = library.item_next(item)
        # A token that flite divided cannot be told apart from the next word.
        return tuple(starts) if len(starts) == word_count else (None,) * word_count


@functools.cache
def _espeak() -> _Espeak:
    return _Espeak()


@functools.cache
def _flite() -> _Flite:
    return _Flite()


# --- the telephone ---------------------------------------------------------------------


def telephone(
    samples: Samples,
    sample_rate_hz: int,
    rng: np.random.Generator,
    *,
    quality: Literal["clean", "varied"] = "clean",
) -> Samples:
    """Return the speech as a telephone recording has it: 8 kHz, float32, as long as before.

    "clean" is one good line (300-3400 Hz, faint noise, mu-law). "varied", for training,
    draws the band, tilt, level, noise, hum and codec (mu-law, a lossy spectral one, or
    none) from `rng`, with now and then a lost packet. Word starts stay valid.
    """
    x = resample(samples, sample_rate_hz, TELEPHONE_RATE_HZ)
    x = x / (np.abs(x).max(initial=0.0) + 1e-6)
    if quality == "clean":
        x = _band(x, 250.0, 3400.0)
        x = x / (np.abs(x).max(initial=0.0) + 1e-6) * 0.5
        x = x + _noise(len(x), rng, 1500.0) * _noise_scale(x, 38.0)
        return mu_law(x)
    if rng.random() < 0.85:
        x = _band(x, rng.uniform(80.0, 320.0), rng.uniform(3200.0, 3850.0))
    if rng.random() < 0.3:
        x = signal.lfilter([1.0, rng.uniform(-0.5, 0.5)], [1.0], x)
    x = x / (np.abs(x).max(initial=0.0) + 1e-6) * 10.0 ** (rng.uniform(-22.0, -1.0) / 20.0)
    if rng.random() < 0.85:
        noise = _noise(len(x), rng, rng.uniform(300.0, 2000.0) if rng.random() < 0.5 else None)
        if rng.random() < 0.15:
            hum_hz = float(rng.choice([50.0, 60.0, 100.0, 120.0]))
            noise = noise + 0.5 * np.sin(2 * np.pi * hum_hz * np.arange(len(x)) / 8000.0)
        x = x + noise * _noise_scale(x, rng.uniform(18.0, 45.0))
    if rng.random() < 0.12:
        x = _lossy(x, rng.uniform(20.0, 40.0))
    if rng.random() < 0.05:
        for start in rng.integers(0, max(1, len(x) - 160), size=2):
            x[start : start + 160] = 0.0
    return mu_law(x) if rng.random() < 0.75 else np.clip(x, -1, 1).astype(np.float32)


def resample(samples: Samples, rate_hz: int, new_rate_hz: int) -> Samples:
    """Return the same sound at another sampling rate, as float32."""
    if rate_hz == new_rate_hz:
        return samples
    common = math.gcd(rate_hz, new_rate_hz)
    resampled = signal.resample_poly(samples, new_rate_hz // common, rate_hz // common)
    return np.asarray(resampled, dtype=np.float32)


def mu_law(samples: npt.NDArray[np.floating[Any]]) -> Samples:
    """Return the samples after 8-bit mu-law coding and decoding (ITU-T G.711, continuous form)."""
    x = np.clip(samples, -1.0, 1.0)
    coded = np.round(np.sign(x) * np.log1p(255.0 * np.abs(x)) / np.log(256.0) * 127.0) / 127.0
    decoded = np.sign(coded) * np.expm1(np.abs(coded) * np.log(256.0)) / 255.0
    return np.asarray(decoded, dtype=np.float32)


def _band(x: npt.NDArray[Any], low_hz: float, high_hz: float) -> npt.NDArray[Any]:
    sections = signal.butter(2, [low_hz, high_hz], "bandpass", fs=TELEPHONE_RATE_HZ, output="sos")
    return np.asarray(signal.sosfilt(sections, x))


def _noise(
    count: int, rng: np.random.Generator, low_pass_hz: float | None
) -> npt.NDArray[np.float64]:
    noise = rng.standard_normal(count)
    if low_pass_hz is not None:
        sections = signal.butter(1, low_pass_hz, "lowpass", fs=TELEPHONE_RATE_HZ, output="sos")
        noise = np.asarray(signal.sosfilt(sections, noise))
    return noise / (np.sqrt(np.mean(noise**2)) + 1e-12) if count else noise


def _noise_scale(x: npt.NDArray[Any], snr_db: float) -> float:
    return float(np.sqrt(np.mean(x**2)) * 10.0 ** (-snr_db / 20.0)) if len(x) else 0.0


def _lossy(x: npt.NDArray[Any], kept_db: float) -> npt.NDArray[Any]:
    """As a low-rate music codec: what lies `kept_db` below each frame's peak is dropped."""
    if len(x) < 256:
        return x
    _, _, spectrum = signal.stft(x, nperseg=256)
    size = np.abs(spectrum)
    floor = size.max(axis=0, keepdims=True) * 10.0 ** (-kept_db / 20.0)
    # A coarse logarithmic step (2 dB) stands for the quantisation of what is kept.
    stepped = 10.0 ** (np.round(np.log10(size + 1e-12) * 10.0) / 10.0)
    coded = np.where(size >= floor, spectrum / (size + 1e-12) * stepped, 0.0)
    _, decoded = signal.istft(coded, nperseg=256)
    return np.asarray(decoded[: len(x)])
