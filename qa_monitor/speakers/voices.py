"""Which voice says each word of a mono recording, without a model that must be downloaded.

Cepstra and pitch of the telephone band describe short stretches of words; Ward's clustering makes
a first division of them; then a Gaussian mixture of all speech is adapted to each voice (Reynolds,
Quatieri and Dunn, "Speaker verification using adapted Gaussian mixture models", 2000) and the
words are divided anew by the likeliest path, on which voices rather change in pauses, until
nothing changes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from qa_monitor.calls import SAMPLE_RATE_HZ, Word

__all__ = ["Voices", "tell_voices"]

Matrix = NDArray[np.float64]

_HOP = 160
_WINDOW = 400
_FFT = 512
_BANDS = 24
_LOWEST_HZ, _HIGHEST_HZ = 200.0, 3600.0
_CEPSTRA = 16
_PITCH_WINDOW = 640
_LOWEST_PITCH_HZ, _HIGHEST_PITCH_HZ = 65.0, 400.0
_VOICED = 0.5
_SPEECH_DB = 30.0
_BLOCK_FRAMES = 6_000

_UNIT_GAP_S = 0.25
_LONGEST_UNIT_S = 2.5
_SHORTEST_UNIT_S = 0.6
_MOST_UNITS = 1_500
_COMPONENTS = 16
_RELEVANCE = 16.0
_PASSES = 8
_FRAME_WEIGHT = 0.15  # frames 10 ms apart are far from independent
_PITCH_WEIGHT = 0.05
_SEMITONES = 2.0
_MOST_VOICES = 4
# Over the sample calls and 13 synthetic voices, the halves of one voice reach 0.9 (2.7 for one of
# 39), and two voices 2.0 or more (0.9 for one pair of 35).
_APART = 1.5
_FAR_APART = 1.8
_SURELY_APART = 3.0


@dataclass(frozen=True, slots=True)
class Voices:
    """For each word the number of its voice, counted from 0 in order of appearance.

    ``confidence`` (0 to 1) is that of the division, 1 where only one voice is heard.
    ``separation`` tells how far apart the two nearest voices are, in units of their spread.
    """

    labels: tuple[int, ...]
    confidence: float
    separation: float = field(default=0.0)


@dataclass(frozen=True, slots=True)
class _Features:
    cepstra: Matrix
    pitch: Matrix  # semitones; NaN where there is none
    is_speech: NDArray[np.bool_]

    def frames(self, start_s: float, end_s: float) -> NDArray[np.intp]:
        """The speech frames between two times."""
        first = max(0, int(start_s * SAMPLE_RATE_HZ / _HOP))
        last = min(len(self.is_speech), math.ceil(end_s * SAMPLE_RATE_HZ / _HOP))
        return first + np.flatnonzero(self.is_speech[first:last])


def _features(samples: NDArray[np.int16]) -> _Features:
    cepstra, pitch, energy = [], [], []
    count = 1 + max(0, len(samples) - _PITCH_WINDOW) // _HOP
    for first in range(0, count, _BLOCK_FRAMES):
        last = min(count, first + _BLOCK_FRAMES)
        block = samples[first * _HOP : (last - 1) * _HOP + _PITCH_WINDOW].astype(np.float64)
        block = np.pad(block, (0, (last - first - 1) * _HOP + _PITCH_WINDOW - len(block)))
        windows = np.lib.stride_tricks.sliding_window_view(block, _PITCH_WINDOW)[::_HOP]
        cepstra.append(_cepstra(windows[:, :_WINDOW]))
        pitch.append(_pitch(windows))
        energy.append(10 * np.log10(np.square(windows[:, :_WINDOW]).mean(axis=1) + 1.0))
    level = np.concatenate(energy)
    is_speech = level > max(float(np.percentile(level, 95)) - _SPEECH_DB, 15.0)
    return _Features(np.concatenate(cepstra), np.concatenate(pitch), is_speech)


def _cepstra(windows: Matrix) -> Matrix:
    from scipy.fft import dct

    spectrum = np.abs(np.fft.rfft(windows * np.hamming(_WINDOW), _FFT)) ** 2
    bands = np.log(spectrum @ _mel_bands().T + 1e3)
    return np.asarray(dct(bands, norm="ortho", axis=1)[:, 1:_CEPSTRA])


def _mel_bands() -> Matrix:
    """Triangular filters over the telephone band, evenly spaced in mel."""
    edges_mel = np.linspace(
        1127 * math.log1p(_LOWEST_HZ / 700), 1127 * math.log1p(_HIGHEST_HZ / 700), _BANDS + 2
    )
    edges = 700 * np.expm1(edges_mel / 1127)
    hz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE_HZ)
    rising = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))


def _pitch(windows: Matrix) -> Matrix:
    """Semitones above 55 Hz by the highest peak of the autocorrelation; NaN where unvoiced."""
    centred = windows - windows.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(centred, 2 * _PITCH_WINDOW)) ** 2
    lags = np.fft.irfft(power)[:, :_PITCH_WINDOW]
    # Undo the fall that comes of the windows overlapping less and less.
    lags = lags / (1.0 - np.arange(_PITCH_WINDOW) / _PITCH_WINDOW)
    shortest = int(SAMPLE_RATE_HZ / _HIGHEST_PITCH_HZ)
    longest = min(_PITCH_WINDOW * 2 // 3, int(SAMPLE_RATE_HZ / _LOWEST_PITCH_HZ))
    reach = lags[:, shortest:longest]
    strength = reach.max(axis=1) / np.maximum(lags[:, 0], 1e-9)
    # The first peak nearly as high as the highest: not an octave below.
    is_high = reach >= 0.9 * reach.max(axis=1, keepdims=True)
    lag = shortest + _first_peak(reach, is_high)
    semitones = 12 * np.log2(SAMPLE_RATE_HZ / lag / 55.0)
    return np.asarray(np.where(strength >= _VOICED, semitones, np.nan))


def _first_peak(reach: Matrix, is_high: NDArray[np.bool_]) -> NDArray[np.intp]:
    is_peak = np.zeros_like(is_high)
    is_peak[:, 1:-1] = (reach[:, 1:-1] >= reach[:, :-2]) & (reach[:, 1:-1] >= reach[:, 2:])
    candidates = is_high & is_peak
    has_peak = np.asarray(candidates.any(axis=1))
    chosen = np.where(has_peak[:, None], candidates, is_high)
    return np.asarray(chosen.argmax(axis=1))


# --- division ------------------------------------------------------------------------------------


def tell_voices(
    words: Sequence[Word], samples: NDArray[np.int16], *, is_one_side: bool = False
) -> Voices:
    """Which voice says each of ``words`` (in order of time) in ``samples`` (16 kHz, one channel).

    One voice where two cannot be told apart for sure; more than two only where all are far apart.
    ``is_one_side`` says that one voice is to be expected, so that two must be farther apart.
    Deterministic.
    """
    if not words:
        return Voices((), 1.0)
    features = _features(samples)
    units = _units(words, features)
    found = Voices((0,) * len(words), 1.0)
    for count in range(2, _MOST_VOICES + 1):
        if len(units) < 2 * count:
            break
        separation = _separation(words, features, units, count)
        needed = _APART if count == 2 else _FAR_APART
        if separation < (_SURELY_APART if is_one_side else needed):
            break
        divided = _divide(words, features, units, count)
        if divided is None:
            break
        found = replace(divided, separation=separation)
    return found


def _units(words: Sequence[Word], features: _Features) -> list[list[int]]:
    """Words in a row, as lists of indices, with enough speech to describe a voice by."""
    runs: list[list[int]] = []
    for index, word in enumerate(words):
        run = runs[-1] if runs else None
        if (
            run is not None
            and word.start_s - words[run[-1]].end_s < _UNIT_GAP_S
            and word.end_s - words[run[0]].start_s < _LONGEST_UNIT_S
        ):
            run.append(index)
        else:
            runs.append([index])
    least = _SHORTEST_UNIT_S * SAMPLE_RATE_HZ / _HOP
    long_enough = [
        run
        for run in runs
        if len(run) >= 2
        and len(features.frames(words[run[0]].start_s, words[run[-1]].end_s)) >= least
    ]
    step = max(1, math.ceil(len(long_enough) / _MOST_UNITS))
    return long_enough[::step]


def _embed(words: Sequence[Word], features: _Features, units: Sequence[Sequence[int]]) -> Matrix:
    """A row for each unit: mean cepstra and pitch, in units of what varies within a voice."""
    every = features.cepstra[features.is_speech]
    scale = every.std(axis=0) + 1e-6
    middle = every.mean(axis=0)
    voiced = features.pitch[features.is_speech]
    usual = float(np.nanmedian(voiced)) if np.isfinite(voiced).any() else 0.0
    rows = []
    for unit in units:
        frames = features.frames(words[unit[0]].start_s, words[unit[-1]].end_s)
        pitch = features.pitch[frames]
        known = pitch[np.isfinite(pitch)]
        semitones = float(np.median(known)) - usual if len(known) >= 5 else 0.0
        rows.append(
            np.append(
                (features.cepstra[frames].mean(axis=0) - middle) / scale * 3.0,
                semitones / _SEMITONES,
            )
        )
    return np.array(rows)


def _divide(
    words: Sequence[Word], features: _Features, units: Sequence[Sequence[int]], count: int
) -> Voices | None:
    from scipy.cluster.hierarchy import fcluster, linkage

    clusters = fcluster(linkage(_embed(words, features, units), "ward"), count, "maxclust") - 1
    labels = np.full(len(words), -1)
    for unit, cluster in zip(units, clusters, strict=True):
        labels[list(unit)] = cluster
    word_frames = [features.frames(word.start_s, word.end_s) for word in words]
    mixture = _Mixture.of(features.cepstra[np.concatenate(word_frames)])
    for _ in range(_PASSES):
        scores = _scores(word_frames, features, labels, mixture, count)
        renewed = _likeliest_path(words, scores)
        if (renewed == labels).all():
            break
        labels = renewed
    if len(set(labels.tolist())) < count:
        return None
    order: dict[int, int] = {}
    for label in labels.tolist():
        order.setdefault(label, len(order))
    margin = np.sort(scores, axis=1)
    sure = 1.0 / (1.0 + np.exp(-(margin[:, -1] - margin[:, -2])))
    confidence = float(sure.mean())
    return Voices(
        tuple(order[label] for label in labels.tolist()),
        confidence,
    )


def _separation(
    words: Sequence[Word], features: _Features, units: Sequence[Sequence[int]], count: int
) -> float:
    """How far apart ``count`` voices are, in units of the spread within a voice.

    Any speech can be divided, by what is said if not by whom. So the division is made by one half
    of each unit and measured on the other: what was said differs, the voice does not.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    halves = [unit[: len(unit) // 2] for unit in units], [unit[len(unit) // 2 :] for unit in units]
    embedded = [_embed(words, features, half) for half in halves]
    distances = []
    for seen, unseen in (embedded, embedded[::-1]):
        clusters = fcluster(linkage(seen, "ward"), count, "maxclust")
        distances.append(_nearest_distance(seen, unseen, clusters))
    return sum(distances) / len(distances)


def _nearest_distance(seen: Matrix, unseen: Matrix, clusters: NDArray[np.int_]) -> float:
    """The smallest distance of two clusters of ``seen``, measured on ``unseen`` along its line."""
    nearest = math.inf
    for one, other in itertools.combinations(sorted(set(clusters.tolist())), 2):
        here, there = clusters == one, clusters == other
        line = seen[here].mean(axis=0) - seen[there].mean(axis=0)
        line /= np.linalg.norm(line) + 1e-9
        a, b = unseen[here] @ line, unseen[there] @ line
        spread = math.sqrt((len(a) * a.var() + len(b) * b.var()) / (len(a) + len(b)))
        nearest = min(nearest, float(a.mean() - b.mean()) / max(spread, 1e-6))
    return nearest if math.isfinite(nearest) else 0.0


@dataclass(frozen=True, slots=True)
class _Mixture:
    """Gaussians with diagonal covariances: ``means`` and ``variances`` (components, cepstra)."""

    weights: Matrix
    means: Matrix
    variances: Matrix

    @classmethod
    def of(cls, frames: Matrix) -> _Mixture:
        from scipy.cluster.vq import kmeans2

        frames = frames[:: max(1, len(frames) // 20_000)]
        count = max(1, min(_COMPONENTS, len(frames) // 50))
        means, nearest = kmeans2(
            frames, frames[np.linspace(0, len(frames) - 1, count).astype(int)], minit="matrix"
        )
        floor = frames.var(axis=0) * 0.05 + 1e-6
        variances = np.array(
            [
                frames[nearest == index].var(axis=0) if (nearest == index).sum() > 1 else floor
                for index in range(count)
            ]
        )
        weights = np.bincount(nearest, minlength=count) / len(frames)
        mixture = cls(np.maximum(weights, 1e-6), means, np.maximum(variances, floor))
        for _ in range(5):
            shares = mixture.shares(frames)
            total = shares.sum(axis=0) + 1e-9
            means = shares.T @ frames / total[:, None]
            variances = shares.T @ np.square(frames) / total[:, None] - np.square(means)
            mixture = cls(total / len(frames), means, np.maximum(variances, floor))
        return mixture

    def log_densities(self, frames: Matrix) -> Matrix:
        precision = 1.0 / self.variances
        constant = np.log(self.weights) - 0.5 * (
            np.log(2 * np.pi * self.variances).sum(axis=1)
            + (np.square(self.means) * precision).sum(axis=1)
        )
        squares = np.square(frames) @ precision.T
        return np.asarray(constant - 0.5 * squares + frames @ (self.means * precision).T)

    def log_likelihood(self, frames: Matrix) -> Matrix:
        densities = self.log_densities(frames)
        top = densities.max(axis=1)
        return np.asarray(top + np.log(np.exp(densities - top[:, None]).sum(axis=1)))

    def shares(self, frames: Matrix) -> Matrix:
        densities = self.log_densities(frames)
        return np.asarray(np.exp(densities - self.log_likelihood(frames)[:, None]))

    def adapted(self, frames: Matrix) -> _Mixture:
        """The mixture with its means moved towards ``frames`` as far as these tell."""
        shares = self.shares(frames)
        total = shares.sum(axis=0)
        told = shares.T @ frames / (total[:, None] + 1e-9)
        trust = (total / (total + _RELEVANCE))[:, None]
        return _Mixture(self.weights, trust * told + (1 - trust) * self.means, self.variances)


def _scores(
    word_frames: Sequence[NDArray[np.intp]],
    features: _Features,
    labels: NDArray[np.int_],
    mixture: _Mixture,
    count: int,
) -> Matrix:
    """Log likelihood of each word (rows) under each voice (columns)."""
    every = np.concatenate(word_frames)
    owner = np.repeat(np.arange(len(word_frames)), [len(frames) for frames in word_frames])
    cepstra = features.cepstra[every]
    pitch = features.pitch[every]
    is_voiced = np.isfinite(pitch)
    scores = np.zeros((len(word_frames), count))
    for voice in range(count):
        mine = labels[owner] == voice
        if not mine.any():
            scores[:, voice] = -1e6
            continue
        likelihood = _FRAME_WEIGHT * mixture.adapted(cepstra[mine]).log_likelihood(cepstra)
        own_pitch = pitch[mine & is_voiced]
        if len(own_pitch) >= 20:
            middle = float(np.median(own_pitch))
            spread = max(1.5, 1.48 * float(np.median(np.abs(own_pitch - middle))))
            away = np.minimum(4.0, np.abs(pitch - middle) / spread)
            known = _PITCH_WEIGHT * (-0.5 * np.square(away) - math.log(spread))
            likelihood = likelihood + np.where(is_voiced, known, 0.0)
        scores[:, voice] = np.bincount(owner, likelihood, minlength=len(word_frames))
    return scores


def _likeliest_path(words: Sequence[Word], scores: Matrix) -> NDArray[np.int_]:
    """Viterbi over words: voices change at a price that a pause lowers."""
    count = scores.shape[1]
    best = scores[0].copy()
    steps = np.zeros((len(words), count), dtype=int)
    for index in range(1, len(words)):
        price = _change_price(words[index].start_s - words[index - 1].end_s)
        moves = best[:, None] - price * (1 - np.eye(count))
        steps[index] = moves.argmax(axis=0)
        best = moves.max(axis=0) + scores[index]
    path = [int(best.argmax())]
    for index in range(len(words) - 1, 0, -1):
        path.append(int(steps[index, path[-1]]))
    return np.array(path[::-1])


def _change_price(gap_s: float) -> float:
    return float(np.interp(gap_s, [0.0, 0.15, 0.4, 1.0], [7.0, 5.0, 2.0, 1.0]))
