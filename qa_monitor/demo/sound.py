"""Sound for invented calls, which nobody spoke: a hum where there would be talk.

It lasts as long as the call, with a voice's rhythm on the channel of whoever has the word and
silence at what was redacted, so that players and waveforms have something to show. No word can be
made out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qa_monitor.calls import SAMPLE_RATE_HZ, DecodedAudio, RedactedTurn, Role

__all__ = ["hum"]

_TILE_S = 4.0
_PITCHES_HZ = {Role.AGENT: 170.0, Role.CALLER: 118.0}
_LOUDNESS = 2400.0
_STEP = 256
"""Samples are multiples of this, so that the files are small."""


def hum(turns: tuple[RedactedTurn, ...], duration_s: float) -> DecodedAudio:
    """The sound of a call of ``duration_s``; agents on channel 0, everybody else on channel 1."""
    length = round(duration_s * SAMPLE_RATE_HZ)
    samples = np.zeros((2, length), np.int16)
    for turn in turns:
        channel = samples[0 if turn.role is Role.AGENT else 1]
        voice = _voice(_PITCHES_HZ.get(turn.role, 140.0))
        for start_s, end_s in _spoken(turn):
            start, end = (round(at_s * SAMPLE_RATE_HZ) for at_s in (start_s, end_s))
            end = min(end, length)
            if end > start:
                swell = np.sin(np.linspace(0, np.pi, end - start)) ** 0.6
                offset = start % (len(voice) // 2)
                wave = np.resize(voice[offset:], end - start) * swell
                channel[start:end] = np.round(wave / _STEP) * _STEP
    return DecodedAudio(samples)


def _spoken(turn: RedactedTurn) -> list[tuple[float, float]]:
    """When words are heard that nobody had to take out."""
    return [
        (word.start_s, word.end_s)
        for word in turn.words
        if not any(span.start < word.end and word.start < span.end for span in turn.spans)
    ]


def _voice(pitch_hz: float) -> NDArray[np.float64]:
    """Some seconds of a voiced sound, its overtones falling off as a voice's do."""
    at_s = np.arange(round(_TILE_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * (pitch_hz * at_s + 2.5 * np.sin(2 * np.pi * 0.7 * at_s))
    overtones = sum(np.sin(number * phase) / number**1.5 for number in range(1, 6))
    return np.asarray(_LOUDNESS * overtones, np.float64)
