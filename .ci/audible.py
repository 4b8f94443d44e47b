"""Prints what a listener still hears of the PHI in redacted samples, and what `verify` says of it.

    python .ci/audible.py                       the copy as it is made by default
    python .ci/audible.py --margins 0.05 0.1 0.2 --modes mute beep

A line for each way of making the copy:

- audible: of the seconds in which PHI is spoken (by `samples/timings.jsonl`), the share left;
- lost: of the seconds of all other speech, the share that is silenced with it;
- verdicts: how many copies `verify` calls clean, unsure, a leak;
- places: how many it tells of, surely and not, and in how many of each PHI is indeed spoken;
- found: of the spans left audible on purpose, every other one at a time, the share it tells of by
  listening alone: knowing the redacted values, as in `score`, and not knowing them;
- cost: processor time of listening again, as a share of that of scoring a call without it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from qa_monitor.audio import silenced
from qa_monitor.calls import (
    AudiblePhi,
    DecodedAudio,
    Dialogue,
    RedactedDialogue,
    Span,
    Transcript,
)
from qa_monitor.config import Config
from qa_monitor.intake import take_in
from qa_monitor.pipeline import Stages, build_stages, hear, intake_rules, redacted_audio
from qa_monitor.verification import scan

SAMPLES = Path(__file__).parents[1] / "samples"
_FRAME = 160
_FRAMES_PER_S = 100
_NOISE = 0.006  # of full scale; the samples' line noise is below, their speech above
_NEAR_S = 0.05

T = TypeVar("T")


@dataclass(slots=True)
class Clock:
    """Processor seconds by what they went into."""

    seconds: dict[str, float] = field(default_factory=lambda: {"scoring": 0.0, "again": 0.0})

    def time(self, what: str, work: Callable[[], T]) -> T:
        """What ``work`` returns."""
        begun = time.process_time()
        try:
            return work()
        finally:
            self.seconds[what] += time.process_time() - begun


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample as it was heard and redacted, and when PHI and other things are spoken in it."""

    audio: DecodedAudio
    transcript: Transcript
    original: Dialogue
    redacted: RedactedDialogue
    spoken: NDArray[np.bool_]
    phi: NDArray[np.bool_]

    @property
    def spans(self) -> list[Span]:
        """The redacted spans, in order."""
        return [span for turn in self.redacted.turns for span in turn.spans]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--margins", nargs="+", type=float, default=[Config().audio.margin_s])
    parser.add_argument("--modes", nargs="+", choices=["mute", "beep"], default=["mute"])
    options = parser.parse_args()
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        config = Config.model_validate(
            {
                "data": {"folder": folder},
                "asr": {"model": "embedded-whisper", "threads": 1},
                "intake": {"source": "samples", "agent_channel": "left"},
            }
        )
        stages = build_stages(config)
        samples = list(_samples(config, stages, clock))
    for mode in options.modes:
        for margin_s in options.margins:
            print(f"{mode} {margin_s:g} s: {_copies(samples, stages, mode, margin_s, clock)}")
    print(f"found {_found(samples, stages)}")
    ways = len(options.modes) * len(options.margins)
    print(f"cost {clock.seconds['again'] / ways / clock.seconds['scoring']:.0%}")


def _samples(config: Config, stages: Stages, clock: Clock) -> Iterator[Sample]:
    labels, times = (
        {line["id"]: line for line in map(json.loads, (SAMPLES / name).open(encoding="utf-8"))}
        for name in ("expected.jsonl", "timings.jsonl")
    )
    intakes, _ = take_in([str(SAMPLES)], metadata=None, rules=intake_rules(config))
    for intake in intakes:

        def score(intake: Any = intake) -> tuple[DecodedAudio, Transcript, Dialogue, Any]:
            audio, transcript, dialogue = hear(
                intake, stages.recogniser, stages.limits, progress=lambda *_: None
            )
            redacted = stages.redactor.redact(dialogue)
            stages.scorer.score(redacted, stages.scorer.find(redacted))
            return audio, transcript, dialogue, redacted

        audio, transcript, dialogue, redacted = clock.time("scoring", score)
        frames = audio.samples[:, : audio.samples.shape[1] // _FRAME * _FRAME]
        levels = np.sqrt(
            np.square(frames.reshape(audio.channels, -1, _FRAME) / 32768.0).mean(axis=2)
        )
        spoken = levels > _NOISE
        phi = np.zeros_like(spoken)
        for channel, start_s, end_s in _said(labels[intake.call_id], times[intake.call_id]):
            first, last = int(start_s * _FRAMES_PER_S), int(end_s * _FRAMES_PER_S)
            phi[min(channel, audio.channels - 1), first:last] = True
        yield Sample(audio, transcript, dialogue, redacted, spoken, phi)


def _said(labels: Any, times: Any) -> Iterator[tuple[int, float, float]]:
    """Channel, beginning and end of every word of PHI of a sample."""
    for turn, timed in zip(labels["turns"], times["turns"], strict=True):
        starts: list[float] = []
        for start_s in timed["word_starts_s"]:
            # A voice does not tell of every word when it begins; such words count from the last.
            starts.append(start_s or (starts[-1] if starts else timed["start_s"]))
        ends = [*starts[1:], timed["end_s"]]
        position = 0
        for word, start_s, end_s in zip(turn["text"].split(), starts, ends, strict=True):
            first = turn["text"].index(word, position)
            position = first + len(word)
            if any(phi["start"] < position and phi["end"] > first for phi in turn["phi"]):
                yield timed["channel"], start_s, end_s


def _copies(
    samples: list[Sample],
    stages: Stages,
    mode: Literal["mute", "beep"],
    margin_s: float,
    clock: Clock,
) -> str:
    seconds = dict.fromkeys(("phi", "audible", "other", "lost"), 0)
    verdicts = dict.fromkeys(("clean", "unsure", "leak"), 0)
    places: dict[bool, list[bool]] = {True: [], False: []}
    for sample in samples:
        quiet = redacted_audio(
            sample.audio, sample.transcript, sample.redacted, mode=mode, margin_s=margin_s
        )
        left = sample.spoken & ~silenced(quiet)
        other = sample.spoken & ~sample.phi
        seconds["phi"] += int((sample.spoken & sample.phi).sum())
        seconds["audible"] += int((left & sample.phi).sum())
        seconds["other"] += int(other.sum())
        seconds["lost"] += int((other & ~left).sum())
        verification = clock.time(
            "again",
            lambda quiet=quiet, sample=sample: scan(  # type: ignore[misc]
                quiet,
                stages.recogniser.transcribe(sample.redacted.call_id, quiet),
                stages.redactor,
                redacted=sample.redacted,
                original=sample.original,
            ),
        )
        verdicts[verification.verdict] += 1
        for place in verification.places:
            places[place.is_sure].append(_is_phi(place, sample))
    told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    return (
        f"audible {seconds['audible'] / seconds['phi']:.1%}, "
        f"lost {seconds['lost'] / seconds['other']:.1%}; verdicts {told}; "
        f"places {sum(places[True])} of {len(places[True])} sure, "
        f"{sum(places[False])} of {len(places[False])} unsure"
    )


def _is_phi(place: AudiblePhi, sample: Sample) -> bool:
    first = int((place.start_s - _NEAR_S) * _FRAMES_PER_S)
    return bool(sample.phi[:, max(0, first) : int((place.end_s + _NEAR_S) * _FRAMES_PER_S)].any())


def _found(samples: list[Sample], stages: Stages) -> str:
    left = knowing = unknowing = 0
    for sample in samples:
        for half in (0, 1):
            audible = sample.spans[half::2]
            quiet = redacted_audio(
                sample.audio,
                sample.transcript,
                _each(
                    sample.redacted,
                    lambda span, audible=audible: None if span in audible else span,  # type: ignore[misc]
                ),
                mode="mute",
                margin_s=stages.margin_s,
            )
            heard = stages.recogniser.transcribe(sample.redacted.call_id, quiet)
            # Without their times nothing can be told by the sound under them.
            timeless = _each(
                sample.redacted,
                lambda span, audible=audible: (  # type: ignore[misc]
                    replace(span, start_s=None, end_s=None) if span in audible else span
                ),
            )
            informed = scan(
                quiet, heard, stages.redactor, redacted=timeless, original=sample.original
            )
            blind = scan(quiet, heard, stages.redactor, redacted=timeless)
            left += len(audible)
            knowing += sum(_tells_of(informed.places, span) for span in audible)
            unknowing += sum(_tells_of(blind.places, span) for span in audible)
    return f"{knowing} of {left} knowing the values, {unknowing} not"


def _each(redacted: RedactedDialogue, change: Callable[[Span], Span | None]) -> RedactedDialogue:
    """``redacted`` with each span changed, or taken away."""
    return replace(
        redacted,
        turns=tuple(
            replace(turn, spans=tuple(filter(None, map(change, turn.spans))))
            for turn in redacted.turns
        ),
    )


def _tells_of(places: tuple[AudiblePhi, ...], span: Span) -> bool:
    if span.start_s is None or span.end_s is None:
        return False
    return any(place.start_s < span.end_s and place.end_s > span.start_s for place in places)


if __name__ == "__main__":
    main()
