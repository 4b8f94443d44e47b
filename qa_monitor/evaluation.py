"""The system against labelled calls: what it predicts for each, and how good that is.

``evaluate_file`` reads calls in the labelled format (a JSON object a line: id, call type, scores,
turns with PHI spans, optionally the path of a recording), runs the stages on them, and gives
figures. Given turns are kept one to one for redaction; where a call has a recording and listening
is wanted, transcript and scores come from what was heard.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qa_monitor.calls import (
    CallType,
    Criterion,
    Dialogue,
    EntityType,
    EscalationOutcome,
    RedactedDialogue,
    Role,
    Scorecard,
    Turn,
)
from qa_monitor.errors import RecordingError, UsageError

if TYPE_CHECKING:
    from qa_monitor.monitor import Monitor
    from qa_monitor.pipeline import Observer

__all__ = [
    "LabelledCall",
    "Prediction",
    "check_recogniser",
    "evaluate_file",
    "read_labelled_calls",
    "render_table",
]


class _Labelled(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LabelledSpan(_Labelled):
    """PHI in a turn: ``[start, end)`` of its text."""

    start: int = Field(ge=0)
    end: int
    type: EntityType


class LabelledTurn(_Labelled):
    """One turn as labelled."""

    speaker: str
    text: str = Field(repr=False)
    phi: tuple[LabelledSpan, ...] = ()

    @model_validator(mode="after")
    def _spans_fit(self) -> LabelledTurn:
        for span in self.phi:
            if not span.start < span.end <= len(self.text):
                raise ValueError("a phi span lies outside its turn")
        return self


class LabelledCall(_Labelled):
    """A call with what an experienced reviewer said of it; ``None`` is not assessable."""

    id: str
    call_type: CallType
    also: tuple[CallType, ...] = ()
    urgency: int = Field(ge=0, le=3)
    escalated: EscalationOutcome
    empathy: float | None = Field(ge=1, le=5)
    active_listening: float | None = Field(ge=1, le=5)
    escalation_score: float | None = Field(ge=1, le=5)
    audio: str | None = None
    agent_channel: Literal["left", "right"] = "left"
    turns: tuple[LabelledTurn, ...] = Field(min_length=1, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the system says of one labelled call.

    ``redacted`` is of the given turns; ``scorecard`` of the turns that were scored, which are those
    heard where the recording was listened to. ``transcript`` is redacted.
    """

    call_id: str
    redacted: RedactedDialogue
    scorecard: Scorecard
    transcript: str | None = field(default=None, repr=False)
    word_error_rate: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The prediction as a line of the predictions file."""
        card = self.scorecard
        urgency = card.score(Criterion.URGENCY).points
        line: dict[str, Any] = {
            "id": self.call_id,
            "turns": [
                {
                    "spans": [
                        {
                            "start": span.source_start,
                            "end": span.source_end,
                            "entity_type": span.entity_type.value,
                        }
                        for span in turn.spans
                    ],
                    "redacted": turn.text,
                }
                for turn in self.redacted.turns
            ],
            "empathy": card.score(Criterion.EMPATHY).points,
            "active_listening": card.score(Criterion.ACTIVE_LISTENING).points,
            "escalation_score": card.score(Criterion.ESCALATION).points,
            "urgency": None if urgency is None else int(urgency),
            "urgency_probability": card.urgency_probability,
            "escalated": card.escalated,
            "call_type": card.call_type,
            "also": list(card.also),
            "needs_review": card.needs_review,
        }
        if self.transcript is not None:
            line |= {"transcript": self.transcript, "word_error_rate": self.word_error_rate}
        return line


# --- reading -------------------------------------------------------------------------------------


def read_labelled_calls(path: Path) -> tuple[LabelledCall, ...]:
    """The labelled calls of a JSON Lines file.

    Raises ``UsageError`` naming the line and the field at fault, never its text.
    """
    calls: list[LabelledCall] = []
    problem = ""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    found = _parse(line)
                    if isinstance(found, str):
                        raise UsageError(f"line {number} of the labelled calls: {found}.")
                    calls.append(found)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        problem = "are not UTF-8 text"
    if not problem and not calls:
        problem = "hold no call"
    if not problem and len({call.id for call in calls}) < len(calls):
        problem = "hold the same id twice"
    if problem:
        raise UsageError(f"the labelled calls {problem}. Give a JSON Lines file, a call a line.")
    return tuple(calls)


def _parse(line: str) -> LabelledCall | str:
    try:
        return LabelledCall.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the line"
        return f"{place}: {first['msg']}"


def _dialogue(call: LabelledCall) -> Dialogue:
    """The given turns, one to one."""
    known = {role.value: role for role in Role}
    return Dialogue(
        call_id=call.id,
        language="en",
        asr_model="given",
        dropped_s=0.0,
        turns=tuple(
            Turn(
                index=index,
                speaker=turn.speaker,
                role=known.get(turn.speaker, Role.UNKNOWN),
                role_confidence=1.0 if turn.speaker in known else 0.0,
                start_s=None,
                end_s=None,
                text=turn.text,
            )
            for index, turn in enumerate(call.turns)
        ),
    )


# --- predicting ----------------------------------------------------------------------------------


def evaluate_file(
    path: Path,
    *,
    monitor: Monitor,
    predictions: Path | None = None,
    listen: bool = True,
    observer: Observer | None = None,
) -> dict[str, Any]:
    """Figures of the system on the labelled calls in ``path``.

    The keys: ``calls``, ``turns``, ``redaction``, ``scores``, and with recordings
    ``transcription``. ``predictions`` gets a line per call. ``listen`` uses the recordings that
    calls name (paths relative to the file). Raises ``UsageError`` for a file that is not such
    calls, and the stage's error when a call cannot be predicted: a figure over fewer calls than
    given would mislead.
    """
    from qa_monitor.monitor import write_private

    calls = read_labelled_calls(path)
    started = time.perf_counter()
    predicted = []
    for number, call in enumerate(calls):
        if observer is not None:
            observer.advanced("evaluate", call.id, number / len(calls))
        predicted.append(_predict(call, path.parent, monitor, listen=listen, observer=observer))
    elapsed_s = time.perf_counter() - started
    if predictions is not None:
        write_private(
            predictions,
            "".join(
                json.dumps(prediction.as_json(), ensure_ascii=False) + "\n"
                for prediction in predicted
            ),
        )
    return _figures(calls, predicted, elapsed_s)


def _predict(
    call: LabelledCall,
    folder: Path,
    monitor: Monitor,
    *,
    listen: bool,
    observer: Observer | None,
) -> Prediction:
    stages = monitor.stages
    redacted = stages.redactor.redact(_dialogue(call))
    if not (listen and call.audio):
        findings = stages.scorer.find(redacted)
        return Prediction(
            call_id=call.id,
            redacted=redacted,
            scorecard=stages.scorer.score(redacted, findings),
        )
    recording = folder / call.audio
    if not recording.is_file():
        raise RecordingError(
            f"call {call.id}: its recording is not where the labelled call says. "
            "Paths are taken from the file's folder; or evaluate with --text-only.",
            call_id=call.id,
        )
    channel = 1 if call.agent_channel == "right" else 0
    spoken = monitor.transcribe(recording, agent_channel=channel, observer=observer)
    heard = stages.redactor.redact(spoken)
    findings = stages.scorer.find(heard)
    return Prediction(
        call_id=call.id,
        redacted=redacted,
        scorecard=stages.scorer.score(heard, findings),
        transcript="\n".join(f"{turn.role}: {turn.text}" for turn in heard.turns),
        word_error_rate=_word_error_rate(call, spoken),
    )


def _word_error_rate(call: LabelledCall, spoken: Dialogue) -> float:
    """By speaker, because the order of turns that overlap is nobody's error."""
    from qa_monitor.transcription import normalise_words, word_error_rate

    errors = words = 0.0
    for role in (Role.AGENT, Role.CALLER):
        said = " ".join(turn.text for turn in call.turns if turn.speaker == role)
        heard = " ".join(turn.text for turn in spoken.turns if turn.role is role)
        count = len(normalise_words(said).split())
        errors += word_error_rate(said, heard) * max(1, count)
        words += count
    return errors / max(1.0, words)


# --- figures -------------------------------------------------------------------------------------


def _figures(
    calls: tuple[LabelledCall, ...], predicted: list[Prediction], elapsed_s: float
) -> dict[str, Any]:
    from qa_monitor.redaction.measure import PhiLabel, RedactionTally
    from qa_monitor.scoring.measure import score_figures

    tally = RedactionTally()
    for call, prediction in zip(calls, predicted, strict=True):
        tally.add(
            [turn.text for turn in call.turns],
            [
                [PhiLabel(span.start, span.end, span.type) for span in turn.phi]
                for turn in call.turns
            ],
            prediction.redacted,
        )
    figures: dict[str, Any] = {
        "calls": len(calls),
        "turns": sum(len(call.turns) for call in calls),
        "seconds": round(elapsed_s, 2),
        "redaction": tally.figures().as_dict(),
        "scores": score_figures(calls, [prediction.scorecard for prediction in predicted]),
    }
    heard = [
        (call, prediction.word_error_rate)
        for call, prediction in zip(calls, predicted, strict=True)
        if prediction.word_error_rate is not None
    ]
    if heard:
        words = [sum(len(turn.text.split()) for turn in call.turns) for call, _ in heard]
        rates = [rate for _, rate in heard]
        figures["transcription"] = {
            "calls": len(heard),
            "word_error_rate": round(
                sum(rate * count for rate, count in zip(rates, words, strict=True)) / sum(words), 4
            ),
            "worst_call": round(max(rates), 4),
        }
    return figures


def check_recogniser(
    name: str, path: Path, *, monitor: Monitor, observer: Observer | None = None
) -> dict[str, Any]:
    """How well and how fast a recogniser hears the recordings of labelled calls.

    The keys: ``model``, ``demonstration_only``, ``calls``, ``words``, ``word_error_rate``,
    ``dropped_s``, ``times_real_time``. Raises ``UsageError`` when no labelled call has a recording.
    """
    from qa_monitor.audio import decode
    from qa_monitor.models import find_model
    from qa_monitor.pipeline import decode_limits
    from qa_monitor.transcription import CheckSample, check_model

    calls = [call for call in read_labelled_calls(path) if call.audio]
    if not calls:
        raise UsageError("none of the labelled calls names a recording ('audio').")
    samples = []
    for number, call in enumerate(calls):
        if observer is not None:
            observer.advanced("check", f"decoding {call.id}", number / len(calls))
        audio = decode(
            path.parent / str(call.audio), limits=decode_limits(monitor.config), call_id=call.id
        )
        said = {
            role: " ".join(turn.text for turn in call.turns if turn.speaker == role)
            for role in (Role.AGENT, Role.CALLER)
        }
        if audio.channels == 1:
            references: tuple[str, ...] = (" ".join(turn.text for turn in call.turns),)
        elif call.agent_channel == "right":
            references = (said[Role.CALLER], said[Role.AGENT])
        else:
            references = (said[Role.AGENT], said[Role.CALLER])
        samples.append(CheckSample(audio=audio, references=references))
    if observer is not None:
        observer.advanced("check", "listening", 0.0)
    check = check_model(find_model(name), samples)
    return {
        "model": check.model,
        "demonstration_only": check.is_demonstration,
        "calls": len(calls),
        "words": check.words,
        "word_error_rate": round(check.word_error_rate, 4),
        "dropped_s": round(check.dropped_s, 1),
        "times_real_time": round(check.times_real_time, 1),
    }


# --- printing ------------------------------------------------------------------------------------


def render_table(figures: Mapping[str, Any]) -> str:
    """``figures`` as lines for people, a figure a line, sections apart."""
    lines = [
        f"{figures['calls']} calls, {figures['turns']} turns in {figures['seconds']:.1f} s",
    ]
    for section in ("redaction", "scores", "transcription"):
        if section in figures:
            lines += ["", section]
            lines += [f"  {name:<44} {value}" for name, value in _flat(figures[section])]
    return "\n".join(lines)


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        label = f"{before}{name.replace('_', ' ')}"
        if isinstance(value, Mapping) and value.keys() == {"value", "low", "high"}:
            known = value["value"] is not None
            yield (
                label,
                "{value:.3f}  [{low:.3f}, {high:.3f}]".format_map(value)
                if known
                else "not measurable",
            )
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{label}, ")
        elif isinstance(value, float):
            yield label, f"{value:.3f}"
        else:
            yield label, "not measurable" if value is None else str(value)
