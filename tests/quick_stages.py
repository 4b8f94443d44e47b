"""Stages that take no time and find a missed emergency in every call, for tests of what is around.

Sound is decoded, and everything is stored, by the real thing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from invented_records import make_record

from qa_monitor.alerts import Policy
from qa_monitor.audio import DecodeLimits
from qa_monitor.calls import (
    CallType,
    DecodedAudio,
    Dialogue,
    Finding,
    RedactedDialogue,
    Scorecard,
    Segment,
    Transcript,
    Word,
)
from qa_monitor.errors import TranscriptionError
from qa_monitor.pipeline import Rubrics, Stages
from qa_monitor.scoring.rubric import Rubric, load_rubric


class QuickRecogniser:
    """Hears the same two words in every recording, after ``takes_s``."""

    name = "quick"
    is_demonstration = False

    def __init__(self, takes_s: float = 0.0, before: Callable[[str], None] | None = None) -> None:
        self._takes_s, self._before = takes_s, before

    def transcribe(
        self,
        call_id: str,
        audio: DecodedAudio,
        *,
        progress: Callable[[float], None] | None = None,
    ) -> Transcript:
        """One segment."""
        del progress
        if self._before is not None:
            self._before(call_id)
        time.sleep(self._takes_s)
        words = tuple(
            Word(text=text, start_s=at, end_s=at + 0.2, confidence=0.9)
            for text, at in (("chest", 0.0), ("pain", 0.2))
        )
        segment = Segment(
            channel=min(1, audio.channels - 1),
            start_s=0.0,
            end_s=0.4,
            text="chest pain",
            words=words,
            confidence=0.9,
        )
        return Transcript(
            call_id=call_id,
            language="en",
            asr_model=self.name,
            segments=(segment,),
            dropped_s=0.0,
        )

    def transcribe_many(
        self,
        calls: Iterable[tuple[str, DecodedAudio]],
        *,
        progress: Callable[[str, float], None] | None = None,
    ) -> Iterator[Transcript | TranscriptionError]:
        """The same of each."""
        del progress
        for call_id, audio in calls:
            yield self.transcribe(call_id, audio)


class _QuickRedactor:
    version = "quick"

    def redact(self, dialogue: Dialogue) -> RedactedDialogue:
        return replace(make_record().dialogue, call_id=dialogue.call_id)


class _QuickScorer:
    version = "quick"

    def find(self, dialogue: RedactedDialogue) -> tuple[Finding, ...]:
        return make_record(dialogue.call_id).findings

    def score(
        self,
        dialogue: RedactedDialogue,
        findings: Sequence[Finding],
        rubric: Rubric | None = None,
        *,
        earlier_types: Sequence[CallType | None] = (),
    ) -> Scorecard:
        return make_record(dialogue.call_id).scorecard


def quick_stages(recogniser: QuickRecogniser | None = None) -> Stages:
    """Them, keeping no sound."""
    return Stages(
        limits=DecodeLimits(max_duration_s=600, max_bytes=10**7),
        recogniser=recogniser or QuickRecogniser(),
        redactor=_QuickRedactor(),
        scorer=_QuickScorer(),
        rubrics=Rubrics(default=load_rubric(None), by_queue={}),
        policy=Policy.load(),
        audio_folder=None,
        redact_audio_with="mute",
        margin_s=0.1,
        repeat_window=timedelta(days=7),
    )
