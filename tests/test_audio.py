"""Tests of qa_monitor.audio, on files made on the spot."""

from __future__ import annotations

import hashlib
import math
import stat
import struct
import wave
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qa_monitor.audio import (
    SAMPLE_RATE_HZ,
    DecodedAudio,
    DecodeLimits,
    MuteSpan,
    decode,
    file_sha256,
    mute,
    silenced,
    write_audio,
)
from qa_monitor.errors import NotAudioError, StoreError, TooLongError, UsageError

PHI_NAME = "Ortega_Maria_4135550142"


def tones(seconds: float, rate_hz: int, *hertz: float) -> np.ndarray:
    """int16 of shape (channels, n), a tone on each channel."""
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    return np.array([np.sin(2 * np.pi * hz * time) * 9000 for hz in hertz], dtype=np.int16)


def encode(
    path: Path,
    samples: np.ndarray,
    rate_hz: int,
    container: str,
    codec: str,
    **options: str,
) -> Path:
    """``path``, holding ``samples`` as PyAV encodes them."""
    layout = "mono" if len(samples) == 1 else "stereo"
    with av.open(str(path), "w", format=container, options=options) as output:
        stream: Any = output.add_stream(codec, rate=rate_hz, layout=layout)
        stream.bit_rate = 64_000
        resampler = av.AudioResampler(stream.codec_context.format.name, layout, rate_hz)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T).reshape(1, -1), format="s16", layout=layout
        )
        frame.sample_rate = rate_hz
        size = stream.codec_context.frame_size or 1024
        fifo = av.AudioFifo()
        for part in resampler.resample(frame):
            part.pts = None
            fifo.write(part)
        while (part := fifo.read(size)) is not None:
            output.mux(stream.encode(part))
        if (part := fifo.read(size, partial=True)) is not None:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return path


def wav(path: Path, samples: np.ndarray, rate_hz: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.T.astype("<i2").tobytes())
    return path


def loudest_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples.astype(float) * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE_HZ / len(samples))


FORMATS = {
    "pcm.wav": (8000, "wav", "pcm_s16le", {}),
    "pcm24.wav": (8000, "wav", "pcm_s24le", {}),
    "float.wav": (48000, "wav", "pcm_f32le", {}),
    "mulaw.wav": (8000, "wav", "pcm_mulaw", {}),
    "alaw.wav": (8000, "wav", "pcm_alaw", {}),
    "adpcm.wav": (8000, "wav", "adpcm_ima_wav", {}),
    "rf64.wav": (8000, "wav", "pcm_s16le", {"rf64": "always"}),
    "call.mp3": (16000, "mp3", "libmp3lame", {}),
    "call.opus": (48000, "ogg", "libopus", {}),
    "call.flac": (8000, "flac", "flac", {}),
    "call.m4a": (16000, "ipod", "aac", {}),
    "call.mp4": (16000, "mp4", "aac", {}),
    "call.aac": (16000, "adts", "aac", {}),
    "call.mov": (16000, "mov", "alac", {}),
    "call.webm": (48000, "webm", "libopus", {}),
    "call.mka": (8000, "matroska", "pcm_s16le", {}),
    "call.wma": (16000, "asf", "wmav2", {}),
    "call.aiff": (8000, "aiff", "pcm_s16be", {}),
    "call.au": (8000, "au", "pcm_s16be", {}),
    "call.w64": (8000, "w64", "pcm_s16le", {}),
    "call.caf": (8000, "caf", "pcm_s16be", {}),
    "call.voc": (8000, "voc", "pcm_u8", {}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_keeps_length_channels_and_sound(name: str, tmp_path: Path) -> None:
    rate_hz, container, codec, options = FORMATS[name]
    samples = tones(2.0, rate_hz, 440.0, 700.0)
    path = encode(tmp_path / name, samples, rate_hz, container, codec, **options)
    audio = decode(path, call_id="c-1")
    assert audio.channels == 2
    assert audio.duration_s == pytest.approx(2.0, abs=0.15)
    middle = audio.samples[:, SAMPLE_RATE_HZ // 2 : SAMPLE_RATE_HZ * 3 // 2]
    assert loudest_hz(middle[0]) == pytest.approx(440.0, abs=4)
    assert loudest_hz(middle[1]) == pytest.approx(700.0, abs=4)
    assert audio.samples.dtype == np.int16


@pytest.mark.parametrize(
    ("name", "content", "seconds"),
    [
        ("call.gsm", (b"\xd0" + bytes(32)) * 100, 2.0),
        ("gsm-in-disguise.wav", (b"\xd0" + bytes(32)) * 100, 2.0),
        ("call.g729", bytes(range(10)) * 200, 2.0),
        ("call.amr", b"#!AMR\n" + (b"\x3c" + bytes(31)) * 100, 2.0),
        ("call.ul", bytes(range(128)) * 125, 2.0),
        ("call.al", bytes(range(128)) * 125, 2.0),
        ("call.sln", bytes(range(128)) * 250, 2.0),
        ("call.g722", bytes(range(128)) * 125, 2.0),
    ],
)
def test_telephone_formats_without_a_wav_header_decode(
    name: str, content: bytes, seconds: float, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    audio = decode(path, call_id="c-1")
    assert audio.channels == 1
    assert audio.duration_s == pytest.approx(seconds, abs=0.05)


def test_content_decides_and_not_the_extension(tmp_path: Path) -> None:
    path = encode(tmp_path / "call.flac", tones(1.0, 8000, 440.0), 8000, "flac", "flac")
    for wrong in ("call.mp3", "call.wav", "call.gsm", "call.ul", "call.txt", "call"):
        renamed = path.rename(tmp_path / wrong)
        assert loudest_hz(decode(renamed, call_id="c-1").samples[0]) == pytest.approx(440, abs=4)
        path = renamed


def test_a_mono_call_stored_as_stereo_comes_back_as_one_channel(tmp_path: Path) -> None:
    one = tones(2.0, 16000, 440.0)
    both = np.repeat(one, 2, axis=0)
    assert decode(wav(tmp_path / "a.wav", both), call_id="c").channels == 1
    lossy = encode(tmp_path / "a.mp3", both, 16000, "mp3", "libmp3lame")
    assert decode(lossy, call_id="c").channels == 1


def test_a_silent_second_channel_is_kept(tmp_path: Path) -> None:
    samples = np.concatenate([tones(1.0, 8000, 440.0), np.zeros((1, 8000), np.int16)])
    audio = decode(wav(tmp_path / "a.wav", samples), call_id="c")
    assert audio.channels == 2
    assert not audio.samples[1].any()


def test_decoded_samples_cannot_be_changed(tmp_path: Path) -> None:
    audio = decode(wav(tmp_path / "a.wav", tones(0.5, 8000, 440.0)), call_id="c")
    with pytest.raises(ValueError, match="read-only"):
        audio.samples[0, 0] = 1


def test_progress_rises_to_one(tmp_path: Path) -> None:
    seen: list[float] = []
    path = wav(tmp_path / "a.wav", tones(30.0, 8000, 440.0))
    decode(path, call_id="c", progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 5


# --- files that are not what they seem -----------------------------------------------------------

TRICKS = {
    "concat list": "ffconcat version 1.0\nfile secret.wav\n",
    "concat list with path": "ffconcat version 1.0\nfile '{secret}'\n",
    "play list": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\nsecret.wav\n#EXT-X-ENDLIST\n",
    "play list with path": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\nfile://{secret}\n"
    "#EXT-X-ENDLIST\n",
    "session description": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio 5004 RTP/AVP 0\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="audio/mp4">'
    "<Representation id='1'><BaseURL>{secret}</BaseURL></Representation></AdaptationSet>"
    "</Period></MPD>",
}


@pytest.mark.parametrize(
    "extension", [".wav", ".m3u8", ".mp4", ".ffconcat", ".gsm", ".sdp", ".mpd"]
)
@pytest.mark.parametrize("trick", TRICKS)
def test_a_list_of_files_never_makes_the_decoder_read_another_file(
    trick: str, extension: str, tmp_path: Path
) -> None:
    secret = wav(tmp_path / "secret.wav", tones(2.0, 8000, 440.0))
    path = tmp_path / f"call{extension}"
    path.write_text(TRICKS[trick].format(secret=secret))
    try:
        audio = decode(path, call_id="c-1")
    except NotAudioError:
        return
    # Raw telephone formats take any bytes; then it is these bytes and nothing else.
    assert extension == ".gsm"
    assert audio.duration_s < 0.5


def quicktime_reference(target: str) -> bytes:
    """A QuickTime file whose only track keeps its samples in another file."""

    def atom(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", 8 + len(content)) + kind + content

    alias = atom(b"url ", b"\0\0\0\0" + f"file://{target}".encode() + b"\0")
    dref = atom(b"dref", struct.pack(">II", 0, 1) + alias)
    sound = struct.pack(">6xH8xHHHHI", 1, 1, 16, 0, 0, 8000 << 16)
    tables = (
        atom(b"stsd", struct.pack(">II", 0, 1) + atom(b"sowt", sound))
        + atom(b"stts", struct.pack(">IIII", 0, 1, 8000, 1))
        + atom(b"stsc", struct.pack(">IIIII", 0, 1, 1, 8000, 1))
        + atom(b"stsz", struct.pack(">III", 0, 2, 8000))
        + atom(b"stco", struct.pack(">III", 0, 1, 44))
    )
    minf = atom(b"smhd", bytes(8)) + atom(b"dinf", dref) + atom(b"stbl", tables)
    mdhd = atom(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 8000, 8000, 0, 0))
    hdlr = atom(b"hdlr", bytes(8) + b"soun" + bytes(13))
    tkhd = atom(b"tkhd", struct.pack(">IIIIII60x", 7, 0, 0, 1, 0, 8000))
    trak = atom(b"trak", tkhd + atom(b"mdia", mdhd + hdlr + atom(b"minf", minf)))
    mvhd = atom(b"mvhd", struct.pack(">IIIII80x", 0, 0, 0, 8000, 8000))
    return atom(b"ftyp", b"qt  \0\0\0\0qt  ") + atom(b"moov", mvhd + trak)


def test_a_movie_that_points_at_another_file_does_not_get_its_sound(tmp_path: Path) -> None:
    secret = wav(tmp_path / "secret.wav", tones(2.0, 8000, 440.0))
    path = tmp_path / "call.mov"
    path.write_bytes(quicktime_reference(str(secret)))
    with pytest.raises(NotAudioError):
        decode(path, call_id="c-1")


def test_a_picture_or_a_video_without_sound_is_not_audio(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for _ in range(5):
            image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            output.mux(stream.encode(image))
        output.mux(stream.encode(None))
    with pytest.raises(NotAudioError):
        decode(path, call_id="c-1")


# --- bad input -----------------------------------------------------------------------------------


def bad_files(folder: Path) -> dict[str, Path]:
    noise = np.random.default_rng(1).bytes(200_000)
    contents = {
        "empty": b"",
        "one byte": b"R",
        "text": b"hello, this is no recording\n" * 500,
        "pdf": b"%PDF-1.7\n" + noise,
        "noise": noise,
        "zeros": bytes(100_000),
        "riff only": b"RIFF\x24\0\0\0WAVE",
        "zip": b"PK\x03\x04" + noise[:5000],
    }
    found = {}
    for name, content in contents.items():
        found[name] = folder / f"{PHI_NAME} {name}.wav"
        found[name].write_bytes(content)
    found["missing"] = folder / f"{PHI_NAME}.wav"
    found["folder"] = folder / f"{PHI_NAME}-folder"
    found["folder"].mkdir()
    header_only = wav(folder / f"{PHI_NAME}-header.wav", np.zeros((1, 0), np.int16))
    found["no samples"] = header_only
    return found


@pytest.mark.parametrize(
    "kind",
    [
        "empty", "one byte", "text", "pdf", "noise", "zeros", "riff only", "zip", "missing",
        "folder", "no samples",
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused_without_naming_the_file(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotAudioError) as caught:
        decode(bad_files(tmp_path)[kind], call_id="c-77")
    assert caught.value.call_id == "c-77"
    assert "c-77" in caught.value.message
    assert caught.value.message.rstrip().endswith(".")
    assert "Ortega" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert capfd.readouterr() == ("", "")


CUT = ["pcm.wav", "mulaw.wav", "call.flac", "call.m4a", "call.mka", "call.aiff", "call.au"]


@pytest.mark.parametrize("name", CUT)
def test_a_recording_whose_end_is_missing_is_refused(name: str, tmp_path: Path) -> None:
    rate_hz, container, codec, options = FORMATS[name]
    samples = np.random.default_rng(0).integers(-9000, 9000, (1, rate_hz * 4), dtype=np.int16)
    path = encode(tmp_path / name, samples, rate_hz, container, codec, **options)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(NotAudioError):
        decode(path, call_id="c-1")


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_streamed_wav_without_its_length_is_whole(size: int, tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", tones(2.0, 8000, 440.0))
    content = bytearray(path.read_bytes())
    content[40:44] = size.to_bytes(4, "little")
    path.write_bytes(bytes(content))
    assert decode(path, call_id="c-1").duration_s == pytest.approx(2.0)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_anywhere_gives_sound_or_the_right_error(
    data: st.DataObject, tmp_path: Path
) -> None:
    name = data.draw(st.sampled_from(["pcm.wav", "call.mp3", "call.opus", "call.flac", "call.m4a"]))
    rate_hz, container, codec, options = FORMATS[name]
    path = tmp_path / name
    encode(path, tones(0.5, rate_hz, 440.0), rate_hz, container, codec, **options)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        audio = decode(path, call_id="c-1", limits=DecodeLimits(max_duration_s=60.0))
    except (NotAudioError, TooLongError):
        return
    assert audio.duration_s > 0


@pytest.mark.slow
def test_five_hours_are_refused(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", tones(1.0, 8000, 440.0))
    content = bytearray(path.read_bytes())
    content[40:44] = (5 * 3600 * 16000).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    with path.open("ab") as file:  # the rest is a hole that takes no room on the disk
        file.truncate(44 + 5 * 3600 * 16000)
    with pytest.raises(TooLongError, match="c-1 is longer than 4 hours"):
        decode(path, call_id="c-1")


def test_length_is_counted_and_not_believed(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", tones(5.0, 8000, 440.0))
    content = bytearray(path.read_bytes())
    content[40:44] = (0).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    with pytest.raises(TooLongError):
        decode(path, call_id="c-1", limits=DecodeLimits(max_duration_s=4.0))


def test_large_files_are_refused_unread(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", tones(2.0, 8000, 440.0))
    with pytest.raises(TooLongError, match="over the limit"):
        decode(path, call_id="c-1", limits=DecodeLimits(max_bytes=1000))


def test_more_channels_get_less_time_and_too_many_are_refused(tmp_path: Path) -> None:
    four = wav(tmp_path / "four.wav", tones(3.0, 8000, 300.0, 400.0, 500.0, 600.0))
    assert decode(four, call_id="c", limits=DecodeLimits(max_duration_s=6.0)).channels == 4
    with pytest.raises(TooLongError):
        decode(four, call_id="c", limits=DecodeLimits(max_duration_s=5.0))
    with pytest.raises(NotAudioError, match="4 channels"):
        decode(four, call_id="c", limits=DecodeLimits(max_channels=2))


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content" * 100_000)
    assert file_sha256(path) == hashlib.sha256(b"content" * 100_000).hexdigest()


# --- muting and writing --------------------------------------------------------------------------


def call(seconds: float = 3.0) -> DecodedAudio:
    return DecodedAudio(tones(seconds, SAMPLE_RATE_HZ, 440.0, 620.0))


def test_nothing_is_left_in_a_muted_span_and_its_margin() -> None:
    quiet = mute(call(), [MuteSpan(channel=0, start_s=1.0, end_s=1.5)], margin_s=0.1)
    assert not quiet.samples[0, int(0.9 * 16000) : int(1.6 * 16000)].any()


def test_sound_outside_the_span_and_on_the_other_channel_stays() -> None:
    audio = call()
    quiet = mute(audio, [MuteSpan(channel=0, start_s=1.0, end_s=1.5)], margin_s=0.1)
    assert (quiet.samples[1] == audio.samples[1]).all()
    before, after = slice(0, int(0.89 * 16000)), slice(int(1.61 * 16000), None)
    assert (quiet.samples[0, before] == audio.samples[0, before]).all()
    assert (quiet.samples[0, after] == audio.samples[0, after]).all()
    assert audio.samples[0, 16000:20000].any()


def test_without_a_channel_every_channel_is_muted() -> None:
    quiet = mute(call(), [MuteSpan(channel=None, start_s=1.0, end_s=1.5)])
    assert not quiet.samples[:, 16000:24000].any()


def test_muting_makes_no_click() -> None:
    audio = DecodedAudio(np.full((1, 48000), 20000, np.int16))
    quiet = mute(audio, [MuteSpan(channel=0, start_s=1.0, end_s=2.0)], margin_s=0.0)
    assert np.abs(np.diff(quiet.samples[0].astype(int))).max() < 400


def test_a_beep_has_its_own_tone_and_nothing_of_the_call() -> None:
    loud = mute(call(), [MuteSpan(channel=0, start_s=1.0, end_s=2.0)], mode="beep", margin_s=0.0)
    other = DecodedAudio(tones(3.0, SAMPLE_RATE_HZ, 3000.0, 100.0))
    same = mute(other, [MuteSpan(channel=0, start_s=1.0, end_s=2.0)], mode="beep", margin_s=0.0)
    assert loudest_hz(loud.samples[0, 16000:32000]) == pytest.approx(1000, abs=2)
    assert (loud.samples[0, 16000:32000] == same.samples[0, 16000:32000]).all()


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, 0, 1]),
            st.floats(-1, 4, allow_nan=False),
            st.floats(0, 2, allow_nan=False),
        ),
        max_size=8,
    ),
    st.sampled_from(["mute", "beep"]),
)
@settings(max_examples=60, deadline=None)
def test_spans_anywhere_leave_length_and_hide_all_they_cover(
    spans: list[tuple[int | None, float, float]], mode: Any
) -> None:
    audio = call(2.0)
    reference = DecodedAudio(np.full((2, audio.samples.shape[1]), 77, np.int16))
    wanted = [
        MuteSpan(channel=channel, start_s=start, end_s=start + length)
        for channel, start, length in spans
    ]
    one, two = mute(audio, wanted, mode=mode), mute(reference, wanted, mode=mode)
    assert one.samples.shape == audio.samples.shape
    for span in wanted:
        covered = slice(max(0, int(span.start_s * 16000) + 1), max(0, int(span.end_s * 16000)))
        for channel in (0, 1) if span.channel is None else (span.channel,):
            assert (one.samples[channel, covered] == two.samples[channel, covered]).all()


@pytest.mark.parametrize("mode", ["mute", "beep"])
@given(start_s=st.floats(0.1, 1.4), length_s=st.floats(0.05, 0.5))
def test_what_was_muted_is_known_to_be_silent_and_speech_is_not(
    mode: Literal["mute", "beep"], start_s: float, length_s: float
) -> None:
    noise = np.random.default_rng(3).normal(0, 500, (2, 32_000)).astype(np.int16)
    span = MuteSpan(channel=1, start_s=start_s, end_s=start_s + length_s)
    found = silenced(mute(DecodedAudio(noise), [span], mode=mode, margin_s=0.02))
    assert found.shape == (2, 200)
    assert not found[0].any()
    first, last = math.ceil(span.start_s * 100), math.floor(span.end_s * 100)
    assert found[1, first:last].all()
    assert not found[1, : max(0, first - 4)].any()
    assert not found[1, last + 4 :].any()


@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_written_audio_reads_back_the_same_and_is_private(ending: str, tmp_path: Path) -> None:
    audio = call()
    path = tmp_path / "new" / f"a{ending}"
    write_audio(path, audio)
    assert (decode(path, call_id="c").samples == audio.samples).all()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_old_file_and_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"{PHI_NAME}.wav"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError) as caught:
        write_audio(path, call())
    assert "Ortega" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_other_endings_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_audio(tmp_path / "a.mp3", call())
    assert not list(tmp_path.iterdir())
