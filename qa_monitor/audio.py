"""Sound in and out: safe decoding, muting of stretches, and the one place that writes audio.

A recording comes from outside and is not trusted. It is opened as nameless bytes, so that what it
holds decides and not what it is called; only the containers and codecs of the tables below are
tried; and whatever a file asks to be opened beside it (play lists, ``ffconcat`` scripts, movie
references) is refused.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import stat
import tempfile
import wave
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from qa_monitor.calls import SAMPLE_RATE_HZ, DecodedAudio
from qa_monitor.errors import NotAudioError, RecordingError, StoreError, TooLongError, UsageError

__all__ = [
    "SAMPLE_RATE_HZ",
    "DecodeLimits",
    "DecodedAudio",
    "MuteSpan",
    "decode",
    "file_sha256",
    "mute",
    "silenced",
    "write_audio",
]

_FORMATS = (
    "3gp aac aiff alaw amr amrnb amrwb asf au caf flac g722 g723_1 g729 gsm ircam matroska mov mp3 "
    "mp4 mulaw nistsphere ogg sln tta voc w64 wav webm wv"
).split()
_MAGIC_FORMATS = sorted({*_FORMATS} - {"aac", "mp3", "gsm"})
_CODECS = (
    "aac aac_latm adpcm_g722 adpcm_g726 adpcm_ima_wav adpcm_ms adpcm_yamaha alac amrnb amrwb flac "
    "g722 g723_1 g726 g729 gsm gsm_ms libgsm libgsm_ms libopencore_amrnb libopencore_amrwb libopus "
    "libspeex libvorbis mp2 mp2float mp3 mp3float opus pcm_alaw pcm_f32be pcm_f32le pcm_f64be "
    "pcm_f64le pcm_mulaw pcm_s16be pcm_s16le pcm_s24be pcm_s24le pcm_s32be pcm_s32le pcm_s8 pcm_u8 "
    "speex truespeech tta vorbis wavpack wmalossless wmapro wmav1 wmav2 wmavoice"
).split()

# Telephone formats that have no header: only their name tells them from noise.
_HEADERLESS: dict[str, tuple[str, dict[str, str]]] = {
    ".al": ("alaw", {"sample_rate": "8000"}),
    ".alaw": ("alaw", {"sample_rate": "8000"}),
    ".pcma": ("alaw", {"sample_rate": "8000"}),
    ".ul": ("mulaw", {"sample_rate": "8000"}),
    ".ulaw": ("mulaw", {"sample_rate": "8000"}),
    ".mulaw": ("mulaw", {"sample_rate": "8000"}),
    ".pcmu": ("mulaw", {"sample_rate": "8000"}),
    ".sln": ("sln", {}),
    ".gsm": ("gsm", {}),
    ".g722": ("g722", {}),
    ".g723": ("g723_1", {}),
    ".g729": ("g729", {}),
}

# Formats whose header states the length; others are estimated from size and bit rate.
_STATES_DURATION = {"wav", "aiff", "au", "flac", "mov", "matroska", "tta"}
_STREAMED_SIZE = 0x7FFF_F000  # a recorder that does not know the length yet writes more than this

_BEEP_HZ = 1_000.0
_BEEP_LEVEL = 0.1
_FRAME = SAMPLE_RATE_HZ // 100
_NO_SOUND = 1e-3  # root mean square of full scale; a whisper on a quiet line has ten times as much
_FADE_S = 0.008
_IDENTICAL_CHANNELS = 1e-3  # energy of the difference of two channels, as a share of their energy


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """What is too much: ``max_duration_s`` in seconds of sound, ``max_bytes`` of the file.

    Memory stays below that of two channels of ``max_duration_s`` (0.9 GB at four hours), and a
    quarter more while it grows; a recording of more channels is allowed less time each.
    """

    max_duration_s: float = 4 * 3600.0
    max_bytes: int = 4 * 1024**3
    max_channels: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteSpan:
    """Seconds ``[start_s, end_s)`` to make inaudible, on one ``channel`` or, ``None``, on all."""

    channel: int | None
    start_s: float
    end_s: float


def file_sha256(path: Path) -> str:
    """The SHA-256 of what ``path`` holds, in hexadecimal; ``OSError`` when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- decoding ------------------------------------------------------------------------------------


def decode(
    path: Path,
    *,
    call_id: str,
    limits: DecodeLimits | None = None,
    progress: Callable[[float], None] | None = None,
) -> DecodedAudio:
    """The sound of ``path`` at 16 kHz, one row for each channel.

    A mono call stored as two equal channels comes back as one channel. ``progress`` is called with
    the share of the file that is done, 0 to 1. Length is counted in decoded samples; what a header
    says is believed only where it shows that the end is missing.

    Raises ``NotAudioError`` (not a file, empty, not audio, cut off, a format that is not allowed)
    and ``TooLongError``; their messages name ``call_id`` and never the file.
    """
    limits = limits or DecodeLimits()
    size = _check_file(path, call_id, limits)
    failure: tuple[str, str]
    try:
        with path.open("rb") as file:
            return _decode_file(file, path.suffix.lower(), size, call_id, limits, progress)
    except RecordingError:
        raise
    except MemoryError as error:
        failure = "needs more memory than there is", type(error).__name__
    except OSError as error:  # FFmpeg's own errors of reading are OSErrors too
        failure = "could not be read as audio", type(error).__name__
    except Exception as error:  # noqa: BLE001 - a broken file may break the decoder in any way
        failure = "could not be decoded", type(error).__name__
    raise NotAudioError(
        f"The recording of call {call_id} {failure[0]} ({failure[1]}). "
        "Check that the file plays, and export it again as WAV, MP3, Ogg, FLAC or M4A.",
        call_id=call_id,
        kind=failure[1],
    )


def _check_file(path: Path, call_id: str, limits: DecodeLimits) -> int:
    kind = None
    try:
        facts = path.stat()
    except OSError as error:
        kind = type(error).__name__
    if kind is not None:
        raise NotAudioError(
            f"The recording of call {call_id} cannot be opened ({kind}). "
            "Check that the file is there and may be read.",
            call_id=call_id,
            kind=kind,
        )
    if not stat.S_ISREG(facts.st_mode):
        raise NotAudioError(
            f"The recording of call {call_id} is not a file. Give the path of a recording.",
            call_id=call_id,
        )
    if facts.st_size == 0:
        raise NotAudioError(
            f"The recording of call {call_id} is empty. Copy it again from the recorder.",
            call_id=call_id,
        )
    if facts.st_size > limits.max_bytes:
        raise TooLongError(
            f"The recording of call {call_id} has {facts.st_size / 1e6:.0f} MB, over the limit of "
            f"{limits.max_bytes / 1e6:.0f} MB. Split it or raise the limit.",
            call_id=call_id,
        )
    return facts.st_size


class _Nameless:
    """An open file without its name, which would sway the choice of format and leak into errors."""

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


def _refuse_nested_open(*_: object) -> None:
    raise PermissionError("a recording may not open other files")


def _open_container(file: BinaryIO, suffix: str) -> Any:
    import av

    # FFmpeg's log would name the file; PyAV would also quote it in its errors.
    av.logging.set_level(None)

    def try_open(formats: list[str], name: str | None = None, **options: str) -> Any:
        file.seek(0)
        return av.open(
            _Nameless(file),
            mode="r",
            format=name,
            options={
                "format_whitelist": ",".join(formats),
                "protocol_whitelist": "none",
                "codec_whitelist": ",".join(_CODECS),
                "max_size": "65536",  # WAV: fewer and larger packets, five times faster
                **options,
            },
            io_open=_refuse_nested_open,
        )

    if suffix not in _HEADERLESS:
        return try_open(_FORMATS)
    try:
        return try_open(_MAGIC_FORMATS)
    except av.FFmpegError:
        name, options = _HEADERLESS[suffix]
    return try_open([name], name, **options)


def _decode_file(
    file: BinaryIO,
    suffix: str,
    size: int,
    call_id: str,
    limits: DecodeLimits,
    progress: Callable[[float], None] | None,
) -> DecodedAudio:
    with _open_container(file, suffix) as container:
        stream = next(iter(container.streams.audio), None)
        codec = None if stream is None else stream.codec_context
        if stream is None or codec is None or codec.name not in _CODECS:
            raise NotAudioError(
                f"The recording of call {call_id} holds no sound that can be decoded. "
                "Export it again as WAV, MP3, Ogg, FLAC or M4A.",
                call_id=call_id,
            )
        channels = codec.channels
        if not 1 <= channels <= limits.max_channels:
            raise NotAudioError(
                f"The recording of call {call_id} has {channels} channels, more than the "
                f"{limits.max_channels} allowed. Export it with one channel for each side.",
                call_id=call_id,
            )
        declared_s = _declared_duration_s(file, container, stream, size)
        samples = _Growing(channels, limits)
        for frame in _frames(container, stream, call_id):
            samples.append(frame, call_id)
            if progress is not None:
                progress(min(1.0, file.tell() / size))
    decoded_s = samples.count / SAMPLE_RATE_HZ
    if not samples.count:
        raise NotAudioError(
            f"The recording of call {call_id} holds no sound. Copy it again from the recorder.",
            call_id=call_id,
        )
    if declared_s is not None and decoded_s < 0.98 * declared_s - 0.5:
        raise NotAudioError(
            f"The recording of call {call_id} is cut off: {decoded_s:.0f} of {declared_s:.0f} "
            "seconds are there. Copy it again from the recorder.",
            call_id=call_id,
        )
    if progress is not None:
        progress(1.0)
    return DecodedAudio(_without_copies(samples.finish()))


def _declared_duration_s(
    file: BinaryIO,
    container: Any,
    stream: Any,
    size: int,
) -> float | None:
    """Seconds that the header promises; ``None`` where the format only lets them be guessed."""
    format_name = container.format.name.split(",")[0]
    if format_name not in _STATES_DURATION:
        return None
    if format_name == "wav":
        return _declared_wav_duration_s(file, stream, size)
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration is not None else None


def _declared_wav_duration_s(file: BinaryIO, stream: Any, size: int) -> float | None:
    """Seconds by the size of the ``data`` chunk, which FFmpeg corrects silently when cut off."""
    position = file.tell()
    try:
        file.seek(12)
        for _ in range(64):
            header = file.read(8)
            if len(header) < 8:
                return None
            chunk_size = int.from_bytes(header[4:], "little")
            if header[:4] == b"data":
                there = size - file.tell()
                is_streamed = chunk_size == 0 or chunk_size >= _STREAMED_SIZE
                if is_streamed or chunk_size <= there or stream.codec_context.bit_rate <= 0:
                    return None
                return float(chunk_size * 8 / stream.codec_context.bit_rate)
            file.seek(chunk_size + chunk_size % 2, io.SEEK_CUR)
        return None
    finally:
        file.seek(position)


def _frames(container: Any, stream: Any, call_id: str) -> Iterator[Any]:
    """Frames at 16 kHz in interleaved int16, of the channels of the first frame."""
    import av

    resampler: Any = None
    source: tuple[Any, ...] = ()
    layout: Any = None
    good = failed = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            # One bad packet is a scratch; mostly bad packets are no recording.
            failed += 1
            continue
        good += bool(frames)
        for frame in frames:
            facts = frame.format.name, frame.layout.name, frame.sample_rate
            if facts != source:  # a stream may change its rate or layout half way
                if resampler is not None:
                    yield from resampler.resample(None)
                if layout is None:
                    channels = stream.codec_context.channels
                    layout = {1: "mono", 2: "stereo"}.get(channels, frame.layout.name)
                resampler = av.AudioResampler(format="s16", layout=layout, rate=SAMPLE_RATE_HZ)
                source = facts
            frame.pts = None
            yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)
    if failed > good:
        raise NotAudioError(
            f"Most of the recording of call {call_id} cannot be decoded. "
            "Copy it again from the recorder.",
            call_id=call_id,
        )


class _Growing:
    """Interleaved samples in one buffer that grows by a quarter, so that memory stays bounded."""

    def __init__(self, channels: int, limits: DecodeLimits) -> None:
        self._limit_s = limits.max_duration_s * min(1.0, 2 / channels)
        self._buffer = np.empty((60 * SAMPLE_RATE_HZ, channels), np.int16)
        self.count = 0

    def append(self, frame: Any, call_id: str) -> None:
        channels = self._buffer.shape[1]
        new = frame.to_ndarray().reshape(-1, channels)
        end = self.count + len(new)
        if end > self._limit_s * SAMPLE_RATE_HZ:
            raise TooLongError(
                f"The recording of call {call_id} is longer than "
                f"{self._limit_s / 3600:.3g} hours. Split it or raise the limit.",
                call_id=call_id,
            )
        if end > len(self._buffer):
            self._buffer.resize((max(end, len(self._buffer) * 5 // 4), channels), refcheck=False)
        self._buffer[self.count : end] = new
        self.count = end

    def finish(self) -> NDArray[np.int16]:
        self._buffer.resize((self.count, self._buffer.shape[1]), refcheck=False)
        return self._buffer.T


def _without_copies(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """One channel where two carry the same sound, as a mono call stored as stereo does."""
    if samples.shape[0] == 2:
        difference = energy = 0.0
        for start in range(0, samples.shape[1], 60 * SAMPLE_RATE_HZ):
            block = samples[:, start : start + 60 * SAMPLE_RATE_HZ].astype(np.float32)
            difference += float(np.square(block[0] - block[1]).sum())
            energy += float(np.square(block).sum())
        if difference <= _IDENTICAL_CHANNELS * energy:
            samples = np.ascontiguousarray(samples[:1])
    samples.flags.writeable = False
    return samples


# --- muting and writing --------------------------------------------------------------------------


def mute(
    audio: DecodedAudio,
    spans: Iterable[MuteSpan],
    *,
    mode: Literal["mute", "beep"] = "mute",
    margin_s: float = 0.1,
) -> DecodedAudio:
    """A copy of ``audio`` in which nothing of ``spans`` can be heard.

    Each span and ``margin_s`` before and after it become silence, or with ``"beep"`` a quiet tone
    of 1 kHz. The sound around is faded over 8 ms outside of that stretch, never inside. A word
    may also be heard faintly on the other channel: use ``channel=None`` unless the channels are
    known to be apart.
    """
    samples = audio.samples.copy()
    length = samples.shape[1]
    silences: list[set[tuple[int, int]]] = [set() for _ in range(audio.channels)]
    for span in spans:
        start = max(0, math.floor((span.start_s - margin_s) * SAMPLE_RATE_HZ))
        end = min(length, math.ceil((span.end_s + margin_s) * SAMPLE_RATE_HZ))
        if start < end:
            for channel in range(audio.channels) if span.channel is None else (span.channel,):
                silences[channel].add((start, end))
    for channel, stretches in enumerate(silences):
        for start, end in _union(stretches):
            _silence(samples[channel], start, end, beep=mode == "beep")
    samples.flags.writeable = False
    return DecodedAudio(samples)


def _union(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The stretches in order, those joined that touch or nearly do."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if joined and start - joined[-1][1] < 2 * _FADE_S * SAMPLE_RATE_HZ:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _silence(samples: NDArray[np.int16], start: int, end: int, *, beep: bool) -> None:
    fade = round(_FADE_S * SAMPLE_RATE_HZ)
    ramp = np.linspace(1.0, 0.0, fade + 1)[1:]
    before = samples[max(0, start - fade) : start]
    after = samples[end : end + fade]
    before[:] = before * ramp[fade - len(before) :]
    after[:] = after * ramp[::-1][: len(after)]
    samples[start:end] = 0
    if beep:
        count = end - start
        edge = np.minimum(np.arange(count), np.arange(count)[::-1])
        envelope = np.minimum(1.0, edge / fade) * _BEEP_LEVEL * np.iinfo(np.int16).max
        tone = np.sin(2 * np.pi * _BEEP_HZ / SAMPLE_RATE_HZ * np.arange(count))
        samples[start:end] = np.round(envelope * tone)


def silenced(audio: DecodedAudio) -> NDArray[np.bool_]:
    """Where nothing is to be heard but silence or the beep of ``mute``.

    Shape (channels, n): a claim for each whole hundredth of a second of each channel. It does not
    hold for the 8 ms in which a beep rises or falls.
    """
    count = audio.samples.shape[1] // _FRAME
    found = np.empty((audio.channels, count), np.bool_)
    # A frame holds ten whole waves of the beep, so that the tone falls out of what is left.
    phase = 2 * np.pi * _BEEP_HZ / SAMPLE_RATE_HZ * np.arange(_FRAME)
    waves = np.stack([np.sin(phase), np.cos(phase)]) * math.sqrt(2 / _FRAME)
    block = 6000
    for channel, samples in enumerate(audio.samples):
        for first in range(0, count, block):
            last = min(count, first + block)
            frames = samples[first * _FRAME : last * _FRAME].reshape(-1, _FRAME) / 32768.0
            rest = np.square(frames).sum(axis=1) - np.square(frames @ waves.T).sum(axis=1)
            found[channel, first:last] = rest <= _FRAME * _NO_SOUND**2
    return found


def write_audio(path: Path, audio: DecodedAudio) -> None:
    """Writes ``audio`` to ``path``: 16 kHz, 16 bit, as ``.wav`` or ``.flac``.

    The file appears whole or not at all, readable by its owner only; its folder is made. Raises
    ``UsageError`` for any other ending and ``StoreError`` when it cannot be written.
    """
    writers = {".wav": _write_wav, ".flac": _write_flac}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise UsageError("Audio is written as .wav or .flac only; choose one of these endings.")
    kind: str | None = None
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp makes the file readable by its owner only.
        descriptor, temporary = tempfile.mkstemp(prefix=".qa-monitor-", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            writer(file, audio)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        kind = type(error).__name__
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    if kind is not None:
        raise StoreError(
            f"A redacted recording could not be written ({kind}). "
            "Free disk space or check the folder's permissions, then run again.",
            kind=kind,
        )


def _blocks(audio: DecodedAudio) -> Iterator[NDArray[np.int16]]:
    """Interleaved minutes, so that a long call is never in memory twice."""
    for start in range(0, audio.samples.shape[1], 60 * SAMPLE_RATE_HZ):
        yield np.ascontiguousarray(audio.samples[:, start : start + 60 * SAMPLE_RATE_HZ].T)


def _write_wav(file: BinaryIO, audio: DecodedAudio) -> None:
    with wave.open(file, "wb") as output:
        output.setnchannels(audio.channels)
        output.setsampwidth(2)
        output.setframerate(SAMPLE_RATE_HZ)
        output.setnframes(audio.samples.shape[1])
        for block in _blocks(audio):
            output.writeframesraw(block.astype("<i2", copy=False).tobytes())


def _write_flac(file: BinaryIO, audio: DecodedAudio) -> None:
    import av

    layouts = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    layout = layouts[audio.channels]
    with av.open(file, mode="w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE_HZ, layout=layout)
        stream.codec_context.format = "s16"
        for block in _blocks(audio):
            frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout=layout)
            frame.sample_rate = SAMPLE_RATE_HZ
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
