"""One recording to one record, top to bottom; then the batch.

``score_recording`` is the whole story of a call. ``score_batch`` tells it for many: it skips what
is done, keeps a failure to its call, saves each record with its alerts in one transaction, and can
be stopped and started again at any point.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from qa_monitor.alerts import Policy, raise_alerts
from qa_monitor.audio import DecodeLimits, MuteSpan, decode, mute, write_audio
from qa_monitor.calls import (
    Alert,
    CallRecord,
    CallType,
    DecodedAudio,
    Dialogue,
    FailedCall,
    Recording,
    RedactedDialogue,
    Transcript,
    Verdict,
    Verification,
    Word,
)
from qa_monitor.errors import (
    LeakError,
    MetadataError,
    NoSpeechError,
    QAMonitorError,
    RedactionError,
    ScoringError,
    StageError,
    StoreError,
    TranscriptionError,
)
from qa_monitor.intake import Intake, IntakeRules, Refusal, SourceRules, load_caller_secret
from qa_monitor.models import find_model
from qa_monitor.redaction import PresidioRedactor, Redactor
from qa_monitor.scoring import EncoderScorer, Scorer, call_metrics
from qa_monitor.scoring.labels import LABELS
from qa_monitor.scoring.rubric import Rubric, load_rubric
from qa_monitor.speakers import assign_speakers
from qa_monitor.store.workers import is_dead, new_worker
from qa_monitor.transcription import FasterWhisperRecogniser, Recogniser
from qa_monitor.verification import is_chosen, listen_again, mark

if TYPE_CHECKING:
    from qa_monitor.config import Config
    from qa_monitor.store import Route, Store

__all__ = [
    "Observer",
    "Outcome",
    "Rubrics",
    "Stages",
    "build_policy",
    "build_recogniser",
    "build_redactor",
    "build_rubrics",
    "build_scorer",
    "build_stages",
    "decode_limits",
    "hear",
    "intake_rules",
    "redacted_audio",
    "score_batch",
    "score_recording",
    "verify_audio",
]

_T = TypeVar("_T")

_LEASE_S = 300.0
_HEARTBEAT_S = 30.0
_GROUP_CALLS = 8
_GROUP_S = 1800.0
_UNHEARD_MARGIN_S = 0.5
_GUESSED = 0.3
_UNSURE = 0.6
_UNSURE_WORDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubrics:
    """Which rubric a call is scored by: its department's, which its queue tells, or the default."""

    default: Rubric
    by_queue: Mapping[str, Rubric]

    def of(self, queue: str | None) -> Rubric:
        """The rubric of calls of ``queue``."""
        return self.default if queue is None else self.by_queue.get(queue, self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The engines, loaded, and the plain values they work by.

    ``audio_folder`` is where redacted copies of the recordings go, ``None`` to keep none. Those of
    ``verify_share`` of the calls are listened to again, unless ``verify`` is off.
    ``originals_folder`` is where copies go that are not redacted, ``None`` to keep none. Calls by
    the same caller within ``repeat_window`` are repeat calls.
    """

    limits: DecodeLimits
    recogniser: Recogniser
    redactor: Redactor
    scorer: Scorer
    rubrics: Rubrics
    policy: Policy
    audio_folder: Path | None
    redact_audio_with: Literal["mute", "beep"]
    margin_s: float
    verify: Literal["off", "flag", "fail"] = "off"
    verify_share: float = 1.0
    repeat_window: timedelta = timedelta(days=7)
    originals_folder: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one recording.

    ``status``: scored; present (scored in an earlier run); duplicate (the same recording stands
    under ``duplicate_of``); busy (another run is scoring it); deleted (its call was deleted, and it
    is not scored unasked); failed (see ``error``).
    ``position`` is ``None`` for a row of call records without a recording.
    """

    position: int | None
    call_id: str
    status: Literal["scored", "present", "duplicate", "busy", "deleted", "failed"]
    record: CallRecord | None = None
    alerts: tuple[Alert, ...] = ()
    duplicate_of: str | None = None
    error: QAMonitorError | None = None


class Observer(Protocol):
    """Whoever watches a batch; called from the batch's own thread."""

    def advanced(self, call_id: str, stage: str, fraction: float) -> None:
        """``stage`` of ``call_id`` is at ``fraction`` (0 to 1)."""

    def finished(self, outcome: Outcome) -> None:
        """A recording is done with."""


# --- the engines ---------------------------------------------------------------------------------


def build_stages(
    config: Config,
    *,
    recogniser: Recogniser | None = None,
    redactor: Redactor | None = None,
    scorer: Scorer | None = None,
) -> Stages:
    """The stages as ``config`` wants them, with their models loaded (a few seconds).

    ``recogniser``, ``redactor`` and ``scorer`` are used where they are loaded already.

    Raises ``ModelError`` when a model is missing or damaged and ``ConfigError`` when a policy,
    rubric or recognizer file is wrong.
    """
    keep = config.audio.keep_redacted
    return Stages(
        limits=decode_limits(config),
        recogniser=recogniser or build_recogniser(config),
        redactor=redactor or build_redactor(config),
        scorer=scorer or build_scorer(config),
        rubrics=build_rubrics(config),
        policy=build_policy(config),
        audio_folder=config.data.folder / "audio" if keep else None,
        redact_audio_with=config.audio.redact_with,
        margin_s=config.audio.margin_s,
        verify=config.audio.verify,
        verify_share=config.audio.verify_share,
        repeat_window=timedelta(days=config.scoring.repeat_days),
        originals_folder=config.data.folder / "originals" if config.audio.keep_original else None,
    )


def decode_limits(config: Config) -> DecodeLimits:
    """What may be decoded."""
    return DecodeLimits(
        max_duration_s=config.audio.max_duration_h * 3600,
        max_bytes=int(config.audio.max_size_mb * 1e6),
    )


def build_recogniser(config: Config) -> Recogniser:
    """The recogniser that ``config`` names, loaded."""
    return FasterWhisperRecogniser(
        find_model(config.asr.model),
        device=config.asr.device,
        compute_type=config.asr.compute_type,
        threads=config.asr.threads,
        batch_size=config.asr.batch_size,
        language=config.asr.language,
    )


def build_redactor(config: Config) -> Redactor:
    """The redactor that ``config`` names, loaded."""
    return PresidioRedactor(
        find_model("phi-ner"),
        tagger_dir=find_model("phi-tagger"),
        recognizers_file=config.redaction.recognizers_file,
    )


def build_scorer(config: Config) -> Scorer:
    """The scorer that ``config`` names, loaded."""
    return EncoderScorer(
        find_model("turn-findings"),
        rubric_file=config.scoring.rubric_file,
        red_flags_file=config.scoring.red_flags_file,
    )


def build_rubrics(config: Config) -> Rubrics:
    """The rubrics that ``config`` names; ``ConfigError`` when one of them is wrong."""
    return Rubrics(
        default=load_rubric(config.scoring.rubric_file),
        by_queue={
            queue: load_rubric(path) for queue, path in config.scoring.department_rubrics.items()
        },
    )


def build_policy(config: Config) -> Policy:
    """The alert policy that ``config`` names; ``ConfigError`` when it is wrong."""
    return Policy.load(config.alerts.policy_file, labels=LABELS)


def intake_rules(config: Config) -> IntakeRules:
    """How ``config`` names recordings; makes the key of caller hashes if there is none yet."""
    channels = {"left": 0, "right": 1, "auto": None}

    def rules_of(channel: str, patterns: Sequence[str]) -> SourceRules:
        return SourceRules(
            agent_channel=channels[channel],
            filename_patterns=tuple(re.compile(pattern) for pattern in patterns),
        )

    default = config.intake
    return IntakeRules(
        source=default.source,
        default=rules_of(default.agent_channel, default.filename_patterns),
        sources={
            name: rules_of(
                source.agent_channel or default.agent_channel,
                default.filename_patterns
                if source.filename_patterns is None
                else source.filename_patterns,
            )
            for name, source in config.sources.items()
        },
        time_format=default.time_format,
        timezone=default.timezone,
        agents=frozenset(default.agents),
        caller_secret=load_caller_secret(config.data.folder),
        own_folder=config.data.folder,
    )


# --- one recording -------------------------------------------------------------------------------


def score_recording(
    intake: Intake, stages: Stages, *, progress: Callable[[str, float], None] | None = None
) -> CallRecord:
    """The record of one recording: decoded, heard, told apart, redacted, scored.

    ``progress`` gets the stage's name and how far it is (0 to 1). Nothing is stored. Raises the
    error of the stage that failed, always with the call's id.
    """
    report = progress or (lambda _stage, _fraction: None)
    audio, transcript, dialogue = hear(intake, stages.recogniser, stages.limits, progress=report)
    return _complete(intake, audio, transcript, dialogue, stages, report)


def hear(
    intake: Intake,
    recogniser: Recogniser,
    limits: DecodeLimits,
    *,
    progress: Callable[[str, float], None],
) -> tuple[DecodedAudio, Transcript, Dialogue]:
    """The sound of one recording, what is said in it, and who says it. Holds PHI."""
    call_id = intake.call_id
    audio = _decode(intake, limits, progress)
    transcript = _guard(
        TranscriptionError,
        "transcription",
        call_id,
        lambda: recogniser.transcribe(
            call_id, audio, progress=lambda fraction: progress("transcription", fraction)
        ),
    )
    return audio, transcript, _tell_apart(intake, audio, transcript)


def _tell_apart(intake: Intake, audio: DecodedAudio, transcript: Transcript) -> Dialogue:
    """Who says what; ``NoSpeechError`` when nobody says anything."""
    call_id = intake.call_id
    if not transcript.segments:
        raise NoSpeechError(
            f"call {call_id}: no speech was recognised in {audio.duration_s:.0f} s of recording. "
            "Check that the recorder was connected, and that the language is the configured one.",
            call_id=call_id,
        )
    return _guard(
        StageError,
        "speakers",
        call_id,
        lambda: assign_speakers(transcript, audio, agent_channel=intake.agent_channel),
    )


def _decode(
    intake: Intake, limits: DecodeLimits, report: Callable[[str, float], None]
) -> DecodedAudio:
    return _guard(
        StageError,
        "decoding",
        intake.call_id,
        lambda: decode(
            intake.path,
            limits=limits,
            call_id=intake.call_id,
            progress=lambda fraction: report("decoding", fraction),
        ),
    )


def _complete(
    intake: Intake,
    audio: DecodedAudio,
    transcript: Transcript,
    dialogue: Dialogue,
    stages: Stages,
    report: Callable[[str, float], None],
    earlier_types: Sequence[CallType | None] = (),
) -> CallRecord:
    """The record, from what was heard, and what the caller called about before."""
    call_id = intake.call_id
    report("redaction", 0.0)
    redacted = _guard(
        RedactionError, "redaction", call_id, lambda: stages.redactor.redact(dialogue)
    )
    report("scoring", 0.0)
    findings = _guard(ScoringError, "scoring", call_id, lambda: stages.scorer.find(redacted))
    rubric = stages.rubrics.of(intake.queue)
    scorecard = _guard(
        ScoringError,
        "scoring",
        call_id,
        lambda: stages.scorer.score(redacted, findings, rubric, earlier_types=earlier_types),
    )
    return CallRecord(
        recording=_recording(intake, audio),
        dialogue=redacted,
        findings=findings,
        scorecard=scorecard,
        metrics=_guard(ScoringError, "scoring", call_id, lambda: call_metrics(redacted)),
        versions={
            "transcription": transcript.asr_model,
            "redaction": stages.redactor.version,
            "scoring": stages.scorer.version,
            "rubric": scorecard.rubric_version,
        },
        warnings=_warnings(dialogue, stages),
    )


def _recording(intake: Intake, audio: DecodedAudio) -> Recording:
    return Recording(
        call_id=intake.call_id,
        interaction_id=intake.interaction_id,
        sha256=intake.sha256,
        source=intake.source,
        agent_id=intake.agent_id,
        queue=intake.queue,
        direction=intake.direction,
        started_at=intake.started_at,
        duration_s=audio.duration_s,
        channels=audio.channels,
        caller_key=intake.caller_key,
        hold_s=intake.hold_s,
        after_call_s=intake.after_call_s,
        disposition_code=intake.disposition_code,
        resolved=intake.resolved,
        transferred=intake.transferred,
    )


def _warnings(dialogue: Dialogue, stages: Stages) -> tuple[str, ...]:
    warnings = []
    if stages.recogniser.is_demonstration:
        warnings.append("demonstration_model")
    spoken_s = sum((turn.end_s or 0) - (turn.start_s or 0) for turn in dialogue.turns)
    if dialogue.dropped_s > 0.1 * (spoken_s + dialogue.dropped_s):
        warnings.append("much_speech_not_recognised")
    return tuple(warnings)


def redacted_audio(
    audio: DecodedAudio,
    transcript: Transcript,
    redacted: RedactedDialogue,
    *,
    mode: Literal["mute", "beep"],
    margin_s: float,
) -> DecodedAudio:
    """``audio`` with its PHI made inaudible, on every channel.

    Whatever no recognised word accounts for is silenced too, and so are words that are guesses: a
    name that the recogniser did not hear cannot have been redacted. Beside a redacted word those
    it was unsure of go with it, for the surname after a first name is the word that is misheard.
    Raises ``RedactionError`` when a span has no time.
    """
    spans: list[tuple[float, float]] = []
    for turn in redacted.turns:
        for span in turn.spans:
            if span.start_s is None or span.end_s is None:
                raise RedactionError(
                    f"call {redacted.call_id}: PHI without a time cannot be silenced. "
                    "No copy of the recording was kept.",
                    call_id=redacted.call_id,
                )
            spans.append((span.start_s, span.end_s))
    unheard: list[MuteSpan] = []
    hidden = [MuteSpan(channel=None, start_s=start_s, end_s=end_s) for start_s, end_s in spans]
    for channel in range(audio.channels):
        words = _words_of(transcript, channel)
        unheard.extend(
            MuteSpan(channel=channel, start_s=start_s, end_s=end_s)
            for start_s, end_s in _unheard(words, audio.duration_s)
        )
        hidden.extend(
            MuteSpan(channel=None, start_s=word.start_s, end_s=word.end_s)
            for word in _hidden_with(words, spans)
        )
    silenced = mute(audio, unheard, mode="mute", margin_s=0.0)
    return mute(silenced, hidden, mode=mode, margin_s=margin_s)


def _words_of(transcript: Transcript, channel: int) -> list[Word]:
    return sorted(
        (
            word
            for segment in transcript.segments
            if segment.channel == channel
            for word in segment.words
        ),
        key=lambda word: word.start_s,
    )


def _unheard(words: Sequence[Word], duration_s: float) -> Iterator[tuple[float, float]]:
    """The stretches farther than a margin from any of ``words``."""
    heard_until_s = 0.0
    for word in words:
        if word.start_s - _UNHEARD_MARGIN_S > heard_until_s:
            yield heard_until_s, word.start_s - _UNHEARD_MARGIN_S
        heard_until_s = max(heard_until_s, word.end_s + _UNHEARD_MARGIN_S)
    if heard_until_s < duration_s:
        yield heard_until_s, duration_s


def _hidden_with(words: Sequence[Word], spans: Sequence[tuple[float, float]]) -> list[Word]:
    """The words under no span that are not to be heard either.

    Those are guesses anywhere, and on each side of a redacted word up to two that are unsure.
    """
    covered = _covered(words, spans)
    hidden = {
        index
        for index, word in enumerate(words)
        if word.confidence < _GUESSED and not covered[index]
    }
    for order in (range(len(words)), range(len(words) - 1, -1, -1)):
        left, edge_s = 0, (0.0, 0.0)
        for index in order:
            word = words[index]
            pause_s = max(word.start_s - edge_s[1], edge_s[0] - word.end_s)
            if covered[index]:
                left = _UNSURE_WORDS
            elif left and word.confidence < _UNSURE and pause_s < _UNHEARD_MARGIN_S:
                left -= 1
                hidden.add(index)
            else:
                left = 0
            edge_s = word.start_s, word.end_s
    return [words[index] for index in sorted(hidden)]


def _covered(words: Sequence[Word], spans: Sequence[tuple[float, float]]) -> list[bool]:
    """Of each word, whether a span lies over its middle."""
    ordered = sorted(spans)
    starts = [start_s for start_s, _ in ordered]
    ends = list(itertools.accumulate((end_s for _, end_s in ordered), max, initial=-1.0))
    middles = ((word.start_s + word.end_s) / 2 for word in words)
    return [middle <= ends[bisect.bisect_right(starts, middle)] for middle in middles]


def _guard(error_type: type[StageError], stage: str, call_id: str, work: Callable[[], _T]) -> _T:
    """What ``work`` returns; any foreign exception becomes ``error_type`` without its message.

    The new error is raised after the handler has ended, so that it carries no trace of the old
    one: an engine's message, and the values in its frames, may quote the caller.
    """
    try:
        return work()
    except QAMonitorError as error:
        error.__cause__ = error.__context__ = None
        if error.call_id is None:
            error.call_id = call_id
        raise
    except OSError as error:
        kind, reason = type(error).__name__, error.strerror or type(error).__name__
        translated: QAMonitorError = StoreError(
            f"call {call_id}: {stage} could not read or write a file ({reason}). "
            "Free disk space or mend the permissions, and run again.",
            call_id=call_id,
            kind=kind,
        )
    except Exception as error:  # noqa: BLE001 - every fault of an engine is translated here
        kind = type(error).__name__
        translated = error_type(
            f"call {call_id}: {stage} failed ({kind}); nothing of the call was kept. "
            "Run it again; if it fails again, report the kind of error and the version.",
            call_id=call_id,
            kind=kind,
        )
    raise translated


# --- the batch -----------------------------------------------------------------------------------


def score_batch(
    intakes: Sequence[Intake],
    refusals: Sequence[Refusal],
    *,
    stages: Callable[[], Stages],
    store: Store,
    observer: Observer,
    channels: tuple[str | Route, ...] = (),
    again: bool = False,
    was_deleted: Callable[[str], bool] = lambda _sha256: False,
) -> tuple[Outcome, ...]:
    """Score ``intakes`` and put the records and their alerts into ``store``.

    ``stages`` is called once, and only when there is something to do, so that a run over finished
    work loads no model. A call that fails is stored as failed and the rest goes on. ``again``
    scores what is present once more, as a new run, and what ``was_deleted`` (told of a recording by
    its SHA-256) anew. ``channels`` are the names of those that alerts are queued for. Outcomes come
    in the order of positions, rows without a recording last. ``StoreError`` ends the batch: without
    a database nothing is kept.
    """
    outcomes: list[Outcome] = []

    def finish(outcome: Outcome) -> None:
        outcomes.append(outcome)
        observer.finished(outcome)

    for refusal in refusals:
        finish(_refused(refusal, store))
    pending: dict[str, Intake] = {}
    first_of: dict[str, str] = {}
    for intake in intakes:
        if (first := first_of.get(intake.sha256)) is not None:
            finish(_duplicate(intake, first))
            continue
        standing = _look_up(intake, store, again=again)
        first_of[intake.sha256] = standing.call_id
        if isinstance(standing, Outcome):
            finish(standing)
        elif not again and was_deleted(standing.sha256):
            finish(Outcome(position=standing.position, call_id=standing.call_id, status="deleted"))
        elif standing.call_id in pending:
            finish(_failed(standing, _id_taken(standing), "intake", store))
        else:
            pending[standing.call_id] = standing
    if pending:
        scored = _score_pending(
            pending.values(), stages(), store, observer, channels=channels, again=again
        )
        # Closed, so that a run stopped between two calls gives back what it holds at once.
        with contextlib.closing(scored):
            for outcome in scored:
                finish(outcome)
    return tuple(
        sorted(outcomes, key=lambda outcome: (outcome.position is None, outcome.position or 0))
    )


def _look_up(intake: Intake, store: Store, *, again: bool) -> Intake | Outcome:
    """The recording as it is to be scored, or what became of it in an earlier run."""
    known = store.find_by_sha256(intake.sha256)
    if known is None:
        if store.has_record(intake.call_id):
            return _failed(intake, _id_taken(intake), "intake", store)
        return intake
    if known != intake.call_id:
        by_content = f"-{intake.sha256[:12]}"
        if not (known.endswith(by_content) or intake.call_id.endswith(by_content)):
            return _duplicate(intake, known)
        # The same call, scored once with and once without its call record: what it was called
        # first it stays.
        intake = replace(intake, call_id=known)
    if again:
        return intake
    store.correct_metadata(
        intake.call_id,
        agent_id=intake.agent_id,
        queue=intake.queue,
        direction=intake.direction,
        started_at=intake.started_at,
        interaction_id=intake.interaction_id,
        caller_key=intake.caller_key,
        hold_s=intake.hold_s,
        after_call_s=intake.after_call_s,
        disposition_code=intake.disposition_code,
        resolved=intake.resolved,
        transferred=intake.transferred,
    )
    return Outcome(position=intake.position, call_id=intake.call_id, status="present")


def _score_pending(
    pending: Iterable[Intake],
    stages: Stages,
    store: Store,
    observer: Observer,
    *,
    channels: tuple[str | Route, ...],
    again: bool,
) -> Generator[Outcome]:
    """The outcomes of ``pending``, in groups whose speech is recognised together."""
    waiting = iter(pending)
    leases = _Leases(store, observer)
    try:
        while group := list(_next_group(waiting, stages, store, leases, again=again)):
            yield from _score_group(group, stages, store, leases, channels)
            # The sound of one group goes before that of the next is decoded.
            group.clear()
    finally:
        leases.release_all()


def _score_group(
    group: Sequence[_Heard | Outcome],
    stages: Stages,
    store: Store,
    leases: _Leases,
    channels: tuple[str | Route, ...],
) -> Iterator[Outcome]:
    yield from (entry for entry in group if isinstance(entry, Outcome))
    heard = [entry for entry in group if isinstance(entry, _Heard)]
    for entry, result in _recognise(heard, stages, leases):
        yield _complete_and_save(entry, result, stages, store, leases, channels)
        leases.release(entry.intake.call_id)


class _Leases:
    """The calls that this run holds; an observer that keeps them held while work goes on."""

    def __init__(self, store: Store, observer: Observer) -> None:
        self._store, self._observer = store, observer
        self._worker = new_worker()
        self._held: set[str] = set()
        self._beaten_at = time.monotonic()

    def claim(self, call_id: str) -> bool:
        """Whether the call is this run's to score."""
        holder = self._store.holder(call_id)
        if holder is not None and is_dead(holder):
            # A run that was killed cannot give back what it held; nobody need wait for it.
            self._store.release(call_id, worker=holder)
        now = datetime.now(UTC)
        claimed = self._store.claim(call_id, worker=self._worker, now=now, lease_s=_LEASE_S)
        if claimed:
            self._held.add(call_id)
        return claimed

    def release(self, call_id: str) -> None:
        """Give a call back."""
        self._store.release(call_id, worker=self._worker)
        self._held.discard(call_id)

    def release_all(self) -> None:
        """Give back what is still held, as when a run is stopped."""
        for call_id in tuple(self._held):
            self.release(call_id)

    def advanced(self, call_id: str, stage: str, fraction: float) -> None:
        """Pass the progress on, and hold what is held for longer."""
        self._observer.advanced(call_id, stage, fraction)
        if time.monotonic() - self._beaten_at > _HEARTBEAT_S:
            self._beaten_at = time.monotonic()
            for held in self._held:
                self._store.heartbeat(held, worker=self._worker, now=datetime.now(UTC))

    def finished(self, outcome: Outcome) -> None:
        """Pass it on."""
        self._observer.finished(outcome)


@dataclass(frozen=True, slots=True)
class _Heard:
    intake: Intake
    audio: DecodedAudio


def _next_group(
    waiting: Iterator[Intake], stages: Stages, store: Store, leases: _Leases, *, again: bool
) -> Iterator[_Heard | Outcome]:
    """Claimed and decoded recordings, up to a group's worth of audio, bounding the memory."""
    calls, total_s = 0, 0.0
    while calls < _GROUP_CALLS and total_s < _GROUP_S:
        intake = next(waiting, None)
        if intake is None:
            return
        calls += 1
        if not leases.claim(intake.call_id):
            yield Outcome(position=intake.position, call_id=intake.call_id, status="busy")
            continue
        # Another run may have scored it since this one began.
        standing = _look_up(intake, store, again=again)
        if isinstance(standing, Outcome):
            yield standing
            leases.release(intake.call_id)
            continue
        failure: QAMonitorError
        try:
            audio = _decode(intake, stages.limits, _reporter(leases, intake.call_id))
        except QAMonitorError as error:
            failure = error
        else:
            total_s += audio.duration_s
            yield _Heard(intake, audio)
            continue
        yield _failed(intake, failure, "decoding", store)
        leases.release(intake.call_id)


def _recognise(
    heard: Sequence[_Heard], stages: Stages, observer: Observer
) -> Iterator[tuple[_Heard, Transcript | QAMonitorError]]:
    waiting = list(heard)
    while waiting:
        results = stages.recogniser.transcribe_many(
            [(entry.intake.call_id, entry.audio) for entry in waiting],
            progress=lambda call_id, fraction: observer.advanced(
                call_id, "transcription", fraction
            ),
        )
        result: Transcript | QAMonitorError | None = None
        # A recogniser that broke is asked anew for the calls after the one it broke at.
        while waiting and not isinstance(result, StageError):
            try:
                result = _guard(
                    TranscriptionError,
                    "transcription",
                    waiting[0].intake.call_id,
                    lambda: next(results),  # noqa: B023 - called at once
                )
            except QAMonitorError as error:
                result = error
            yield waiting.pop(0), result


def _complete_and_save(
    entry: _Heard,
    heard: Transcript | QAMonitorError,
    stages: Stages,
    store: Store,
    observer: Observer,
    channels: tuple[str | Route, ...],
) -> Outcome:
    intake = entry.intake
    if isinstance(heard, QAMonitorError):
        return _failed(intake, heard, "transcription", store)
    failure: QAMonitorError
    stage = ["speakers"]

    def report(name: str, fraction: float) -> None:
        stage[0] = name
        observer.advanced(intake.call_id, name, fraction)

    drafts: list[Path] = []
    now = datetime.now(UTC)
    contacts = store.contacts_of(
        _recording(intake, entry.audio), within=stages.repeat_window, now=now
    )
    try:
        dialogue = _tell_apart(intake, entry.audio, heard)
        record = _complete(
            intake, entry.audio, heard, dialogue, stages, report, contacts.earlier_types or ()
        )
        alerts = _guard(
            StageError,
            "alerts",
            intake.call_id,
            lambda: raise_alerts(record, stages.policy, now=now),
        )
        if stages.audio_folder is not None:
            report("audio", 0.0)
            quiet = _silence(entry.audio, heard, record.dialogue, stages)
            if stages.verify != "off" and is_chosen(intake.call_id, stages.verify_share):
                report("verification", 0.0)
                record = _listen_again(record, dialogue, quiet, stages, report)
                report("audio", 1.0)
            drafts.append(_write_draft(quiet, intake.call_id, stages.audio_folder))
        if stages.originals_folder is not None:
            drafts.append(_write_draft(entry.audio, intake.call_id, stages.originals_folder))
    except QAMonitorError as error:
        failure = error
        _drop(drafts)
    else:
        try:
            store.save_record(record, alerts, channels=channels, now=now)
        except BaseException:
            # Sound without a record would be found by nobody, and deleted by nobody.
            _drop(drafts)
            raise
        for draft in drafts:
            draft.replace(draft.with_name(f"{intake.call_id}.flac"))
        return Outcome(
            position=intake.position,
            call_id=intake.call_id,
            status="scored",
            record=record,
            alerts=alerts,
        )
    return _failed(intake, failure, stage[0], store)


def _silence(
    audio: DecodedAudio, transcript: Transcript, redacted: RedactedDialogue, stages: Stages
) -> DecodedAudio:
    return _guard(
        RedactionError,
        "audio redaction",
        redacted.call_id,
        lambda: redacted_audio(
            audio, transcript, redacted, mode=stages.redact_audio_with, margin_s=stages.margin_s
        ),
    )


def _listen_again(
    record: CallRecord,
    original: Dialogue,
    quiet: DecodedAudio,
    stages: Stages,
    report: Callable[[str, float], None],
) -> CallRecord:
    """``record`` with what can be heard in its redacted sound.

    Raises ``LeakError`` where that is PHI and the call is to fail of it.
    """
    found = verify_audio(
        record.call_id,
        quiet,
        stages.recogniser,
        stages.redactor,
        redacted=record.dialogue,
        original=original,
        progress=lambda fraction: report("verification", fraction),
    )
    if stages.verify == "fail" and found.verdict is Verdict.LEAK:
        types = ", ".join(sorted({place.entity_type for place in found.places if place.is_sure}))
        raise LeakError(
            f"call {record.call_id}: PHI ({types}) could still be heard in the redacted recording; "
            "nothing of the call was kept. To keep such calls for review set audio.verify to flag.",
            call_id=record.call_id,
        )
    return mark(record, found)


def verify_audio(
    call_id: str,
    audio: DecodedAudio,
    recogniser: Recogniser,
    redactor: Redactor,
    *,
    redacted: RedactedDialogue | None = None,
    original: Dialogue | None = None,
    progress: Callable[[float], None] | None = None,
) -> Verification:
    """``verification.listen_again``, whose every fault is a ``StageError`` without words."""
    return _guard(
        StageError,
        "verification",
        call_id,
        lambda: listen_again(
            call_id,
            audio,
            recogniser,
            redactor,
            redacted=redacted,
            original=original,
            progress=progress,
        ),
    )


def _write_draft(audio: DecodedAudio, call_id: str, folder: Path) -> Path:
    """A copy of a recording as a file for its owner only, not yet under its name."""
    path = folder / f".{call_id}.flac"
    _guard(RedactionError, "audio redaction", call_id, lambda: write_audio(path, audio))
    return path


def _drop(drafts: Iterable[Path]) -> None:
    for draft in drafts:
        draft.unlink(missing_ok=True)


def _reporter(observer: Observer, call_id: str) -> Callable[[str, float], None]:
    return lambda stage, fraction: observer.advanced(call_id, stage, fraction)


def _refused(refusal: Refusal, store: Store) -> Outcome:
    if refusal.position is not None:
        return _failed(refusal, refusal.error, "intake", store)
    # A row of call records is no call: there is nothing to keep of it.
    return Outcome(position=None, call_id=refusal.call_id, status="failed", error=refusal.error)


def _failed(
    recording: Intake | Refusal, error: QAMonitorError, stage: str, store: Store
) -> Outcome:
    store.save_failure(
        FailedCall(
            call_id=recording.call_id,
            source=recording.source,
            sha256=recording.sha256,
            stage=stage,
            error=error.kind or type(error).__name__,
            message=error.message,
        ),
        now=datetime.now(UTC),
    )
    return Outcome(
        position=recording.position, call_id=recording.call_id, status="failed", error=error
    )


def _duplicate(intake: Intake, known: str) -> Outcome:
    return Outcome(
        position=intake.position, call_id=intake.call_id, status="duplicate", duplicate_of=known
    )


def _id_taken(intake: Intake) -> MetadataError:
    return MetadataError(
        f"call {intake.call_id}: this id belongs to another recording. "
        "Correct the call id of one of the two.",
        call_id=intake.call_id,
    )
