"""The frozen values that flow from one stage to the next.

Read top to bottom they tell the story of a call::

    Recording -> DecodedAudio -> Transcript -> Dialogue    hold protected health information (PHI)
    === redaction: nothing below this line sees unredacted text ===
    RedactedDialogue -> Finding -> Scorecard -> CallRecord -> Alert

Units are in the names: ``_s`` seconds from the start of the recording, ``_hz`` hertz. Offsets are
half-open ``[start, end)`` in characters. Fields that hold PHI are left out of ``repr``, so that a
value printed by accident, in a log or a failing test, tells nothing about a caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "SAMPLE_RATE_HZ",
    "Alert",
    "AudiblePhi",
    "CallRecord",
    "CallType",
    "ChecklistAnswer",
    "ChecklistItem",
    "Contacts",
    "Criterion",
    "DecodedAudio",
    "Dialogue",
    "Direction",
    "Effect",
    "EntityType",
    "EscalationOutcome",
    "Evidence",
    "FailedCall",
    "Finding",
    "Measure",
    "Metric",
    "Recording",
    "RedactedDialogue",
    "RedactedTurn",
    "RedactedWord",
    "Role",
    "Score",
    "ScoreStatus",
    "Scorecard",
    "Segment",
    "Severity",
    "Span",
    "Transcript",
    "Turn",
    "Unit",
    "Verdict",
    "Verification",
    "Word",
]


class Role(StrEnum):
    """Who a speaker is in the call; ``UNKNOWN`` is a permitted answer."""

    AGENT = "agent"
    OTHER_STAFF = "other_staff"
    CALLER = "caller"
    THIRD_PARTY = "third_party"
    INTERPRETER = "interpreter"
    SYSTEM = "system"
    UNKNOWN = "unknown"


class Direction(StrEnum):
    """Who placed the call."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    UNKNOWN = "unknown"


class EntityType(StrEnum):
    """Kinds of PHI, after the identifiers of HIPAA Safe Harbor, 45 CFR 164.514(b)(2)."""

    PERSON = "PERSON"
    DATE = "DATE"
    AGE = "AGE"
    LOCATION = "LOCATION"
    ORGANIZATION = "ORGANIZATION"
    PHONE = "PHONE"
    FAX = "FAX"
    EMAIL = "EMAIL"
    SSN = "SSN"
    MEMBER_ID = "MEMBER_ID"
    MRN = "MRN"
    ACCOUNT = "ACCOUNT"
    LICENSE = "LICENSE"
    DEVICE = "DEVICE"
    URL = "URL"
    IP = "IP"
    OTHER_ID = "OTHER_ID"


class CallType(StrEnum):
    """What a call is about; one primary type, any number of others."""

    APPOINTMENT = "appointment"
    INSURANCE = "insurance"
    BILLING = "billing"
    PRESCRIPTION = "prescription"
    LAB_RESULTS = "lab_results"
    MEDICAL_RECORDS = "medical_records"
    REFERRAL = "referral"
    SYMPTOMS = "symptoms"
    EMERGENCY = "emergency"
    AFTER_HOURS = "after_hours"
    POST_DISCHARGE = "post_discharge"
    OUTREACH = "outreach"
    GENERAL = "general"


class EscalationOutcome(StrEnum):
    """What the agent did about the urgency of the call."""

    NOT_NEEDED = "not_needed"
    PROPERLY = "properly"
    LATE_OR_PARTIAL = "late_or_partial"
    MISSED = "missed"
    UNNEEDED = "unneeded"


class Criterion(StrEnum):
    """What a score card scores.

    ``EMPATHY``, ``ACTIVE_LISTENING`` and ``ESCALATION`` are 1 to 5; ``URGENCY`` is a level, 0 to 3,
    and no judgement of the agent; it does not count in the total.
    """

    EMPATHY = "empathy"
    ACTIVE_LISTENING = "active_listening"
    URGENCY = "urgency"
    ESCALATION = "escalation"


class Severity(StrEnum):
    """How soon a supervisor should look, most urgent first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the most urgent."""
        return list(Severity).index(self)


# --- what is heard -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One leg of a call: one agent, one recording.

    ``call_id`` is the source plus the source's own id, else made from the content; it never holds
    a file name, because file names carry people's names. ``caller_key`` is a keyed hash made at
    intake, never a number. ``duration_s`` and ``channels`` are those of the decoded audio.
    ``hold_s``, ``after_call_s`` (after-call work), ``disposition_code`` (the telephony's outcome
    code), ``resolved`` and ``transferred`` are what the call record says, ``None`` where it does
    not.
    """

    call_id: str
    interaction_id: str | None
    sha256: str
    source: str
    agent_id: str | None
    queue: str | None
    direction: Direction
    started_at: datetime | None
    duration_s: float
    channels: int
    caller_key: str | None = field(default=None, repr=False)
    hold_s: float | None = None
    after_call_s: float | None = None
    disposition_code: str | None = None
    resolved: bool | None = None
    transferred: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """What the same caller's other calls, in the days before and after a call, tell of it.

    ``earlier_types`` is the primary type (``None``: unsure) of each earlier contact, oldest first,
    the legs of one interaction being one; ``None`` where caller or time is not known, or the call
    is not the caller's own. ``since_last_s`` is from the beginning of the last of them to that of
    this call. ``is_resolved`` tells first-contact resolution, ``None`` where it cannot be told;
    ``basis`` what that rests on: ``call_record``, ``called_again``, ``not_called_again``; or why
    not: ``not_first_contact``, ``window_open``, ``caller_unknown``, ``time_unknown``, ``outbound``.
    """

    earlier_types: tuple[CallType | None, ...] | None
    since_last_s: float | None
    is_resolved: bool | None
    basis: str


SAMPLE_RATE_HZ = 16_000
"""Every stage works at this rate."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedAudio:
    """The sound of a call: ``samples`` is int16 of shape (channels, n) at ``SAMPLE_RATE_HZ``."""

    samples: NDArray[np.int16] = field(repr=False)

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return int(self.samples.shape[0])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return int(self.samples.shape[1]) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word as recognised; ``confidence`` 0 to 1."""

    text: str = field(repr=False)
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of recogniser output on one channel; ``confidence`` 0 to 1.

    ``is_doubtful`` tells that the recogniser's own thresholds (repetition, probability, silence)
    flagged it: it is kept, but supports no score.
    """

    channel: int
    start_s: float
    end_s: float
    text: str = field(repr=False)
    words: tuple[Word, ...] = field(repr=False)
    confidence: float
    is_doubtful: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What was said, by channel and time; ``dropped_s`` is speech whose text was discarded."""

    call_id: str
    language: str
    asr_model: str
    segments: tuple[Segment, ...] = field(repr=False)
    dropped_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One speaker, uninterrupted. Holds PHI.

    ``text`` is the words joined by single spaces where ``words`` is not empty (a turn read from a
    labelled text has none); ``role_confidence`` 0 to 1. ``start_s`` and ``end_s`` are ``None``
    where the turn came without times.
    """

    index: int
    speaker: str
    role: Role
    role_confidence: float
    start_s: float | None
    end_s: float | None
    text: str = field(repr=False)
    words: tuple[Word, ...] = field(default=(), repr=False)
    is_doubtful: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """The call as turns, in order of their beginning. Holds PHI."""

    call_id: str
    language: str
    asr_model: str
    dropped_s: float
    turns: tuple[Turn, ...] = field(repr=False)


# === redaction: nothing below this line sees unredacted text =====================================


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One redacted stretch of one turn, and why, without its words.

    ``start, end`` are offsets of the placeholder in the redacted text; ``source_start,
    source_end`` those of the removed text in the turn as it was; ``start_s, end_s`` the stretch of
    the recording to mute, ``None`` without word times.
    """

    start: int
    end: int
    source_start: int
    source_end: int
    entity_type: EntityType
    recognizer: str
    confidence: float
    start_s: float | None
    end_s: float | None
    context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedWord:
    """A word or placeholder of the redacted text: offsets into it, and times."""

    start: int
    end: int
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedTurn:
    """A turn with its PHI replaced by ``<TYPE_n>``.

    It does not inherit from ``Turn``, so that the type checker refuses raw text downstream.
    """

    index: int
    speaker: str
    role: Role
    role_confidence: float
    start_s: float | None
    end_s: float | None
    text: str = field(repr=False)
    words: tuple[RedactedWord, ...] = field(default=(), repr=False)
    spans: tuple[Span, ...] = ()
    is_doubtful: bool = False


class Verdict(StrEnum):
    """What listening again to a redacted recording told, the worst last."""

    CLEAN = "clean"
    UNSURE = "unsure"
    LEAK = "leak"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudiblePhi:
    """A stretch of a redacted recording in which PHI can be heard, without its words.

    ``reason`` is a code: ``found_anew`` (the redactor finds it in what is heard), ``heard_again``
    (a value that was redacted in this call), ``not_silenced`` (there is sound under a redacted
    span). Unless ``is_sure`` a person has to listen; ``confidence`` 0 to 1.
    """

    start_s: float
    end_s: float
    entity_type: EntityType
    reason: str
    confidence: float
    is_sure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was heard when somebody listened again to the redacted recording of a call.

    ``version`` names what listened; ``places`` are in order of their beginning.
    """

    version: str
    places: tuple[AudiblePhi, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the places; clean when there is none."""
        if any(place.is_sure for place in self.places):
            return Verdict.LEAK
        return Verdict.UNSURE if self.places else Verdict.CLEAN


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedDialogue:
    """The call as scoring, storage and people see it.

    ``verification`` is of the redacted recording; ``None`` where nobody has listened again.
    """

    call_id: str
    language: str
    asr_model: str
    redactor_version: str
    dropped_s: float
    turns: tuple[RedactedTurn, ...] = field(repr=False)
    verification: Verification | None = None

    def quote(self, evidence: Evidence) -> str:
        """The redacted words that ``evidence`` points at; ``IndexError`` if it points outside."""
        text = self.turns[evidence.turn_index].text
        if not 0 <= evidence.start <= evidence.end <= len(text):
            raise IndexError("evidence lies outside its turn")
        return text[evidence.start : evidence.end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where to look: ``[start, end)`` of the redacted text of turn ``turn_index``."""

    turn_index: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing noticed in the call.

    ``task`` and ``label`` are names of ``qa_monitor.scoring.labels``; ``producer`` names the model
    or the rule and its version. ``probability`` is set only where it is calibrated; ``confidence``
    (0 to 1) is anything else.
    """

    task: str
    label: str
    producer: str
    probability: float | None
    confidence: float
    evidence: Evidence | None


class ScoreStatus(StrEnum):
    """Why a score has points, or has none."""

    SCORED = "scored"
    NOT_ASSESSABLE = "not_assessable"
    """The call gave no occasion, or the roles are not known."""
    ABSTAINED = "abstained"
    """There was occasion, but the machine is too unsure to give points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one feature of the call did to a score.

    ``feature`` is a name of the rubric file; ``points`` how much higher (or lower) the score is
    than it would be without; ``evidence`` where the feature was found.
    """

    feature: str
    points: float
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One criterion's points, with what they rest on.

    ``points=None`` means that none are given, ``status`` says why, and it is never zero. With
    points, ``low`` and ``high`` hold them with a probability of 80 %, and ``effects`` are what
    moved them, the strongest first. ``reason`` is a sentence without words of the call.
    """

    criterion: Criterion
    points: float | None
    max_points: float
    confidence: float
    evidence: tuple[Evidence, ...]
    reason: str
    status: ScoreStatus = ScoreStatus.SCORED
    low: float | None = None
    high: float | None = None
    effects: tuple[Effect, ...] = ()


class ChecklistAnswer(StrEnum):
    """The answer to one item of a checklist."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistItem:
    """Whether the agent did one thing that the rubric asks of calls of this type.

    ``item`` is a name of the rubric file. ``evidence`` is where it was done, or where it was due;
    ``is_auto_fail`` tells that a ``NO`` fails the call whatever its other scores.
    """

    item: str
    answer: ChecklistAnswer
    weight: float
    is_auto_fail: bool
    confidence: float
    evidence: tuple[Evidence, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """The scores of one call under one rubric.

    ``total`` is 0 to 100 over what has points, ``None`` when nothing has. ``checklist`` holds the
    items that the rubric asks of calls of this type, ``auto_failed`` the names of those that fail
    the call; its total is 0 then.
    ``urgency_probability`` is that of level 3. ``review_reasons`` says, as short codes, why a
    person should look; ``needs_review`` is true when there is any.
    """

    call_id: str
    rubric_version: str
    scores: tuple[Score, ...]
    total: float | None
    needs_review: bool
    review_reasons: tuple[str, ...]
    call_type: CallType | None
    also: tuple[CallType, ...]
    call_type_confidence: float
    urgency_probability: float | None
    escalated: EscalationOutcome | None
    escalation_delay_s: float | None
    checklist: tuple[ChecklistItem, ...] = ()
    auto_failed: tuple[str, ...] = ()

    def score(self, criterion: Criterion) -> Score:
        """The score of ``criterion``; ``KeyError`` when the card has none."""
        for score in self.scores:
            if score.criterion is criterion:
                return score
        raise KeyError(criterion)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """All that is kept of one scored call.

    ``metrics`` are measures of the call (shares, seconds, counts); ``versions`` a version string
    for each stage; ``warnings`` codes of what a reader should know (``demonstration_model``,
    ``roles_uncertain``, ...).
    """

    recording: Recording
    dialogue: RedactedDialogue
    findings: tuple[Finding, ...]
    scorecard: Scorecard
    metrics: Mapping[str, float]
    versions: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def call_id(self) -> str:
        """The call's id, as everywhere."""
        return self.recording.call_id


Unit = Literal["count", "s", "share", "per_min", "yes_no"]
"""What a measure is counted in; shares are 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A measure that calls can have: its name, its unit, what it means, and whose term it is."""

    name: str
    unit: Unit
    says: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure of one call, and what it rests on.

    ``value`` is a number, yes or no, or ``None`` where it cannot be told. ``basis`` is a code:
    ``heard`` (words and times of turns), ``call_record``, ``other_calls``; ``estimated`` (holds by
    the silences heard), ``without_after_call`` (a handle time that lacks it),
    ``estimated_without_after_call``; and for first-contact resolution those of ``Contacts.basis``.
    """

    metric: Metric
    value: float | bool | None
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCall:
    """A call that could not be scored: the stage and the kind of error, and no text."""

    call_id: str
    source: str
    sha256: str | None
    stage: str
    error: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A call a supervisor should see, without words of the call.

    ``alert_id`` is stable: the same call and reason give the same id however often it is scored.
    ``reason`` is a code of the policy file; ``evidence`` points into the stored redacted text.
    """

    alert_id: str
    call_id: str
    severity: Severity
    reason: str
    evidence: tuple[Evidence, ...]
    raised_at: datetime
