"""A recogniser that hears what a script says, so that a test knows the words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from qa_monitor.calls import DecodedAudio, Segment, Transcript, Word
from qa_monitor.errors import TranscriptionError

AGENT, CALLER = 0, 1
Script = Sequence[tuple[int, str]]


class ScriptedRecogniser:
    """Hears ``script`` whatever the recording says; ``fails_on`` makes it break at a call."""

    name = "scripted"
    is_demonstration = False

    def __init__(
        self, script: Script, *, fails_on: Callable[[str], bool] = lambda _: False
    ) -> None:
        self.script = script
        self.heard: list[str] = []
        self._fails_on = fails_on

    def transcribe(
        self,
        call_id: str,
        audio: DecodedAudio,
        *,
        progress: Callable[[float], None] | None = None,
    ) -> Transcript:
        """The script, a word each 0.22 s, a turn each 0.4 s after the one before."""
        self.heard.append(call_id)
        if self._fails_on(call_id):
            raise RuntimeError("the engine heard: " + " ".join(text for _, text in self.script))
        segments, clock_s = [], 0.2
        for channel, text in self.script:
            words = []
            for word in text.split():
                words.append(Word(text=word, start_s=clock_s, end_s=clock_s + 0.2, confidence=0.95))
                clock_s += 0.22
            segments.append(
                Segment(
                    channel=min(channel, audio.channels - 1),
                    start_s=words[0].start_s,
                    end_s=words[-1].end_s,
                    text=text,
                    words=tuple(words),
                    confidence=0.95,
                )
            )
            clock_s += 0.4
        return Transcript(
            call_id=call_id,
            language="en",
            asr_model=self.name,
            segments=tuple(segments),
            dropped_s=0.0,
        )

    def transcribe_many(
        self,
        calls: Iterable[tuple[str, DecodedAudio]],
        *,
        progress: Callable[[str, float], None] | None = None,
    ) -> Iterator[Transcript | TranscriptionError]:
        """The script for each call."""
        for call_id, audio in calls:
            yield self.transcribe(call_id, audio)
