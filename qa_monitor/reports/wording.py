"""The words and forms in which values are shown to people, the same in reports and on pages."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from qa_monitor.calls import (
    CallType,
    Criterion,
    EntityType,
    EscalationOutcome,
    Role,
)
from qa_monitor.reports.behaviours import ACTIONS

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = [
    "CRITERIA_MEAN",
    "CRITERIA_NAMES",
    "NOT_ASSESSED",
    "OUTCOMES",
    "REDACTED",
    "REVIEW_REASONS",
    "ROLES",
    "URGENCIES",
    "add_words",
    "amount",
    "call_type",
    "calls",
    "chips",
    "clock",
    "day",
    "duration",
    "time",
]

NOT_ASSESSED = "not assessed"

CRITERIA_NAMES = {
    Criterion.EMPATHY: "Empathy",
    Criterion.ACTIVE_LISTENING: "Active listening",
    Criterion.ESCALATION: "Handling of urgent calls",
    Criterion.URGENCY: "Urgency",
}
CRITERIA_MEAN = {
    Criterion.EMPATHY: "How the agent answers what callers feel. Assessed only where a caller "
    "showed a feeling, a difficulty, a loss or good news.",
    Criterion.ACTIVE_LISTENING: "Questions, saying back, checking that it was understood; against "
    "it cutting off, asking again, passing over details.",
    Criterion.ESCALATION: "Whether urgent calls got the right action, at once and whole. Assessed "
    "only in urgent calls.",
}
URGENCIES = ("routine", "same day", "urgent", "emergency")
OUTCOMES = {
    EscalationOutcome.NOT_NEEDED: "not needed",
    EscalationOutcome.PROPERLY: "passed on properly",
    EscalationOutcome.LATE_OR_PARTIAL: "late or in part",
    EscalationOutcome.MISSED: "missed",
    EscalationOutcome.UNNEEDED: "without need",
}
_CALL_TYPES = {
    CallType.LAB_RESULTS: "lab results",
    CallType.MEDICAL_RECORDS: "medical records",
    CallType.AFTER_HOURS: "after hours",
    CallType.POST_DISCHARGE: "after discharge",
}
ROLES = {
    Role.AGENT: "Agent",
    Role.OTHER_STAFF: "Colleague",
    Role.CALLER: "Caller",
    Role.THIRD_PARTY: "Third person",
    Role.INTERPRETER: "Interpreter",
    Role.SYSTEM: "Announcement",
    Role.UNKNOWN: "Speaker",
}
REDACTED = {
    EntityType.PERSON: "name",
    EntityType.DATE: "date",
    EntityType.AGE: "age",
    EntityType.LOCATION: "place",
    EntityType.ORGANIZATION: "organisation",
    EntityType.PHONE: "phone number",
    EntityType.FAX: "fax number",
    EntityType.EMAIL: "e-mail",
    EntityType.SSN: "social security number",
    EntityType.MEMBER_ID: "member number",
    EntityType.MRN: "record number",
    EntityType.ACCOUNT: "account number",
    EntityType.LICENSE: "licence",
    EntityType.DEVICE: "device number",
    EntityType.URL: "web address",
    EntityType.IP: "network address",
    EntityType.OTHER_ID: "other number",
}
REVIEW_REASONS = {
    "low_confidence": "the scores are unsure",
    "roles_uncertain": "it is unsure who spoke",
    "doubtful_text": "parts were hard to make out",
    "urgent_unsure": "the urgency is unsure",
    "red_flag_unsure": "words of a red flag were heard, yet the call seems not urgent",
    "outcome_unsure": "it is unsure what was done about the urgency",
    "not_assessable": "not everything could be assessed",
    "abstained": "a score was left to a person",
    "auto_failed": "the call is failed by a rule of the rubric",
    "speech_dropped": "part of the talk could not be transcribed",
}
_PLACEHOLDER = re.compile(r"<([A-Z_]+)_\d+>")


def add_words(environment: Environment) -> None:
    """Give the templates of ``environment`` these words, as filters and globals."""
    environment.filters.update(
        amount=amount,
        action=lambda code: ACTIONS[code].moment,
        call_type=lambda value: NOT_ASSESSED if value is None else call_type(value),
        calls=calls,
        clock=clock,
        day=day,
        chips=chips,
        duration=duration,
        outcome=lambda value: NOT_ASSESSED if value is None else OUTCOMES[value],
        points=lambda value: NOT_ASSESSED if value is None else f"{value:.1f}",
        reason=lambda code: REVIEW_REASONS.get(code, code.replace("_", " ")),
        role=lambda role: ROLES[role],
        time=time,
        urgency=lambda value: NOT_ASSESSED if value is None else URGENCIES[value],
    )
    environment.globals.update(
        criteria_mean=CRITERIA_MEAN,
        criteria_names=CRITERIA_NAMES,
        not_assessed=NOT_ASSESSED,
    )


def chips(text: str) -> Markup:
    """``text`` with each ``<PERSON_1>`` shown as a label that says what was taken out."""
    parts: list[Markup] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        if match[1] not in EntityType.__members__:
            continue
        parts.append(escape(text[end : match.start()]))
        word = REDACTED[EntityType(match[1])]
        parts.append(Markup('<span class="chip">{}</span>').format(word))
        end = match.end()
    parts.append(escape(text[end:]))
    return Markup("").join(parts)


def call_type(value: CallType) -> str:
    """The call type as it stands in a sentence."""
    return _CALL_TYPES.get(value, value.value)


def calls(count: int) -> str:
    """How many calls, in words."""
    return "1 call" if count == 1 else f"{count} calls"


def clock(seconds: float | None) -> str:
    """Minutes and seconds into the recording."""
    if seconds is None:
        return "time unknown"
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def duration(seconds: float) -> str:
    """A stretch of time in words."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02d} s"


def amount(value: float, unit: str) -> str:
    """A value in its unit: ``points``, ``share`` (0 to 1), ``s`` or ``count``."""
    if unit == "share":
        return f"{value * 100:.0f} %"
    return duration(value) if unit == "s" else f"{value:.1f}"


def day(when: date) -> str:
    """A day, as 3 Nov 2026."""
    return f"{when.day} {when:%b %Y}"


def time(when: datetime) -> str:
    """An instant in the zone it has, as 3 Nov 2026, 14:05."""
    return f"{when.day} {when:%b %Y, %H:%M}"
