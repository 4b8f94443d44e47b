"""Prints how fast each stage is on the samples, and how much memory a four-hour call takes.

`make bench`; about two minutes on two cores. One line a figure, `--json` for one JSON value. Run it
on an otherwise idle machine: it measures wall time.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
_FOUR_HOURS_S = 4 * 3600 - 60


def main() -> None:
    """Measure and print."""
    if "--decode" in sys.argv:
        _decode_alone(Path(sys.argv[-1]))
        return
    # Memory first: a process starts with the peak of the one that starts it.
    figures = {**_memory(), **_stages()}
    if "--json" in sys.argv:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name.replace('_', ' '):<44} {value:,.1f}")


def _stages() -> dict[str, float]:
    """Times of the stages over all samples, one call after the other."""
    from qa_monitor.config import Config
    from qa_monitor.intake import take_in
    from qa_monitor.pipeline import build_stages, hear, intake_rules

    with tempfile.TemporaryDirectory() as folder:
        config = Config.model_validate(
            {"data": {"folder": folder}, "asr": {"model": "embedded-whisper"}}
        )
        started = time.perf_counter()
        stages = build_stages(config)
        loading_s = time.perf_counter() - started
        intakes, _ = take_in(
            [str(REPOSITORY / "samples")], metadata=None, rules=intake_rules(config)
        )
        times = dict.fromkeys(("hearing", "redaction", "scoring"), 0.0)
        audio_s = words = turns = 0.0
        for intake in intakes:
            clock = [time.perf_counter()]
            audio, _, dialogue = hear(
                intake, stages.recogniser, stages.limits, progress=lambda *_: None
            )
            clock.append(time.perf_counter())
            redacted = stages.redactor.redact(dialogue)
            clock.append(time.perf_counter())
            stages.scorer.score(redacted, stages.scorer.find(redacted))
            clock.append(time.perf_counter())
            for stage, begun, ended in zip(times, clock, clock[1:], strict=False):
                times[stage] += ended - begun
            audio_s += audio.duration_s
            turns += len(dialogue.turns)
            words += sum(len(turn.text.split()) for turn in dialogue.turns)
    return {
        "loading_models_s": loading_s,
        "hearing_times_real_time": audio_s / times["hearing"],
        "redaction_words_per_s": words / times["redaction"],
        "scoring_turns_per_s": turns / times["scoring"],
        "whole_times_real_time": audio_s / sum(times.values()),
    }


def _memory() -> dict[str, float]:
    """Peak memory of a process that decodes a dual-channel call of nearly four hours."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.wav"
        _write_mulaw(path, np.random.default_rng(1), _FOUR_HOURS_S)
        result = subprocess.run(
            [sys.executable, __file__, "--decode", str(path)],
            capture_output=True,
            text=True,
            check=True,
        )
    seconds, before_mb, peak_mb = map(float, result.stdout.split())
    return {
        "decoding_four_hours_s": seconds,
        "decoding_four_hours_peak_mb": peak_mb,
        "of_which_before_decoding_mb": before_mb,
    }


def _write_mulaw(path: Path, rng: Any, duration_s: int) -> None:
    """A mu-law WAV of noise: 8 kHz, two channels."""
    import struct

    size = duration_s * 8000 * 2
    head = struct.pack("<4sI4s4sIHHIIHHH", b"RIFF", 38 + size, b"WAVE", b"fmt ", 18, 7, 2, 8000,
                       16000, 2, 8, 0)  # fmt: skip
    with path.open("wb") as file:
        file.write(head + struct.pack("<4sI", b"data", size))
        minute = rng.integers(0, 256, 60 * 8000 * 2, dtype="uint8").tobytes()
        for _ in range(duration_s // 60):
            file.write(minute)


def _decode_alone(path: Path) -> None:
    from qa_monitor.audio import decode

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    started = time.perf_counter()
    decode(path, call_id="long")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(time.perf_counter() - started, before, peak)


if __name__ == "__main__":
    main()
