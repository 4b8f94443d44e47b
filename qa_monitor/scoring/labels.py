"""The tasks and labels that findings are named by.

A task is a question asked of one turn (``call_type``: of the call); a label is an answer that is
written down. The silent answers (no opportunity, neutral, not urgent, ...) have no label here.
The words are those of the written training calls, so that labels, findings, rubric and reports
speak alike.
"""

from __future__ import annotations

from typing import Final

from qa_monitor.calls import CallType, Role

__all__ = [
    "AGAINST_LISTENING",
    "AGENT_ROLES",
    "AGENT_TASKS",
    "ANSWERED",
    "CALLER_ROLES",
    "CALLER_TASKS",
    "CALL_TYPE",
    "CHECKLIST",
    "EMOTION",
    "ESCALATION_ACTION",
    "EXCLUSIVE_TASKS",
    "FOR_LISTENING",
    "LABELS",
    "LISTENING",
    "OPPORTUNITY",
    "RED_FLAG",
    "RESPONSE",
    "URGENCY_CUE",
]

OPPORTUNITY: Final = "opportunity"
EMOTION: Final = "emotion"
RED_FLAG: Final = "red_flag"
URGENCY_CUE: Final = "urgency_cue"
RESPONSE: Final = "response"
LISTENING: Final = "listening"
ESCALATION_ACTION: Final = "escalation_action"
CHECKLIST: Final = "checklist"
CALL_TYPE: Final = "call_type"

FOR_LISTENING: Final = (
    "open_question",
    "clarifying_question",
    "reflection",
    "read_back",
    "teach_back",
    "summary",
    "anything_else",
    "builds_on",
)
"""Behaviours that show listening [MITI/AnnoMI; AQTT items 12-20]."""

AGAINST_LISTENING: Final = ("asks_again", "ignores_detail", "interrupts", "answers_other")
"""Behaviours that show the want of it."""

LABELS: Final[dict[str, tuple[str, ...]]] = {
    OPPORTUNITY: ("emotion", "difficulty", "loss", "fear", "success"),
    EMOTION: ("worried", "sad", "angry", "confused", "relieved"),
    RED_FLAG: (
        "chest_pain",
        "stroke",
        "breathing",
        "bleeding",
        "swelling_airway",
        "unresponsive",
        "seizure",
        "confusion",
        "overdose_poisoning",
        "injury",
        "abdominal_pain",
        "head_pain",
        "stiff_neck_fever",
        "suicide",
        "harm_others",
        "pregnancy",
        "sepsis",
        "violence",
        "infant",
    ),
    URGENCY_CUE: ("1", "2", "3"),
    RESPONSE: ("none", "perfunctory", "acknowledged", "pursued", "confirmed", "dismissive"),
    LISTENING: FOR_LISTENING + AGAINST_LISTENING,
    ESCALATION_ACTION: (
        "emergency_number",
        "transfer_now",
        "same_day",
        "timed_callback",
        "message_only",
        "red_flag_question",
        "asks_location",
        "safety_instruction",
        "stays_on_line",
        "commitment",
        "minimises",
    ),
    CHECKLIST: (
        "greeting",
        "identity",
        "next_step",
        "follow_up",
        "closing",
        "apology",
        "explains",
        "date_time_place",
        "what_to_bring",
        "reschedule",
        "reminder",
        "coverage",
        "charge",
        "payment_options",
        "financial_help",
        "pharmacy_or_clinician",
        "secure_channel",
        "right_person",
        "callback_number",
        "on_call",
        "seek_care",
        "authorisation",
        "destination",
        "medicines",
        "warning_signs",
        "visit_booked",
        "purpose",
        "permission",
        "tailored",
        "earlier_calls",
    ),
    CALL_TYPE: tuple(call_type.value for call_type in CallType),
}
"""The labels of each task, in the order in which models give them."""

EXCLUSIVE_TASKS: Final = frozenset({OPPORTUNITY, EMOTION, URGENCY_CUE, RESPONSE, CALL_TYPE})
"""Tasks of which a turn (or call) has at most one label; of the others it may have several."""

CALLER_TASKS: Final = (OPPORTUNITY, EMOTION, RED_FLAG, URGENCY_CUE)
AGENT_TASKS: Final = (RESPONSE, LISTENING, ESCALATION_ACTION, CHECKLIST)

CALLER_ROLES: Final = frozenset({Role.CALLER, Role.THIRD_PARTY})
AGENT_ROLES: Final = frozenset({Role.AGENT, Role.OTHER_STAFF})

ANSWERED: Final = frozenset({"perfunctory", "acknowledged", "pursued", "confirmed"})
"""Levels of response that answer an empathic opportunity at all [ECCS, Bylund & Makoul 2005]."""
