"""Reads the written training calls and gives them the shapes that models learn from.

The files are plain text, several calls each::

    === a01
    call_type: symptoms
    urgency: 3
    ...
    ---
    agent {chk=greeting}: Thank you for calling [Fairlawn Clinic|ORGANIZATION].
    caller {flag=chest_pain urg=3}: i've got this pressure on my chest

``-`` stands for null, ``[text|TYPE]`` marks PHI, labels stand in braces. A call becomes a line of
labelled calls (``labelled_json``), or a dialogue redacted without a mistake
(``redacted_dialogue``), on which scoring is trained.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qa_monitor.calls import (
    CallType,
    Direction,
    EntityType,
    EscalationOutcome,
    RedactedDialogue,
    RedactedTurn,
    Role,
    Span,
)
from qa_monitor.errors import UsageError
from qa_monitor.scoring.labels import (
    AGENT_TASKS,
    CALLER_TASKS,
    CHECKLIST,
    EMOTION,
    ESCALATION_ACTION,
    EXCLUSIVE_TASKS,
    LABELS,
    LISTENING,
    OPPORTUNITY,
    RED_FLAG,
    RESPONSE,
    URGENCY_CUE,
)

__all__ = [
    "LabelledCall",
    "LabelledSpan",
    "LabelledTurn",
    "call_from_json",
    "labelled_json",
    "parse_calls",
    "read_calls",
    "redacted_dialogue",
]

_TASK_OF_KEY = {
    "op": OPPORTUNITY,
    "emo": EMOTION,
    "flag": RED_FLAG,
    "urg": URGENCY_CUE,
    "resp": RESPONSE,
    "lis": LISTENING,
    "act": ESCALATION_ACTION,
    "chk": CHECKLIST,
}
_TURN = re.compile(r"(agent|caller)(?: \{([^}]*)\})?: (.*)")
_MARKED = re.compile(r"\[([^\[\]|]+)\|([A-Z_]+)\]")
_STRAY = re.compile(r"[\[\]|{}]")
_SCALES = ("empathy", "active_listening", "escalation_score")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSpan:
    """PHI: ``text[start:end]`` of its turn."""

    start: int
    end: int
    entity_type: EntityType


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledTurn:
    """One turn; ``labels`` holds the labels of each task that has any."""

    role: Role
    text: str = field(repr=False)
    phi: tuple[LabelledSpan, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledCall:
    """A call with what a reader said of it; a scale is ``None`` where it is not assessable."""

    call_id: str
    call_type: CallType
    also: tuple[CallType, ...]
    direction: Direction
    after_hours: bool
    urgency: int
    urgency_reason: str
    escalated: EscalationOutcome
    empathy: int | None
    active_listening: int | None
    escalation_score: int | None
    notes: str
    turns: tuple[LabelledTurn, ...] = field(repr=False)


def read_calls(path: Path) -> tuple[LabelledCall, ...]:
    """The calls of a file, or of all ``*.txt`` of a folder in order of their names.

    Raises ``UsageError``, with file and line, when a call breaks the format.
    """
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    calls: list[LabelledCall] = []
    for file in files:
        calls += parse_calls(file.read_text(encoding="utf-8"), name=file.name)
    return tuple(calls)


def parse_calls(text: str, *, name: str = "calls") -> tuple[LabelledCall, ...]:
    """The calls written in ``text``; ``name`` is for messages.

    Raises ``UsageError`` when a head field, a label or a mark is not of the format.
    """
    return tuple(_blocks(text, name))


def _blocks(text: str, name: str) -> Iterator[LabelledCall]:
    head: dict[str, str] | None = None
    turns: list[LabelledTurn] = []
    in_turns = False
    begun_at = 0
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}, line {number}"
        if not line.strip():
            continue
        if line.startswith("==="):
            if head is not None:
                yield _call(head, turns, f"{name}, line {begun_at}")
            head, turns, in_turns, begun_at = {"id": line[3:].strip()}, [], False, number
        elif head is None:
            raise UsageError(f"{where}: text before the first call. Begin calls with '=== id'.")
        elif line.strip() == "---":
            in_turns = True
        elif in_turns:
            turns.append(_turn(line, where))
        else:
            key, _, value = line.partition(":")
            head[key.strip()] = value.strip()
    if head is not None:
        yield _call(head, turns, f"{name}, line {begun_at}")


def _turn(line: str, where: str) -> LabelledTurn:
    match = _TURN.fullmatch(line)
    if match is None:
        raise UsageError(f"{where}: not a turn. Write 'agent {{labels}}: words' on one line.")
    role = Role(match[1])
    text, phi = _unmark(match[3], where)
    labels: dict[str, tuple[str, ...]] = {}
    for part in (match[2] or "").split():
        key, _, values = part.partition("=")
        task = _TASK_OF_KEY.get(key)
        tasks = AGENT_TASKS if role is Role.AGENT else CALLER_TASKS
        given = tuple(values.split(","))
        if task not in tasks or not set(given) <= set(LABELS[task]):
            raise UsageError(f"{where}: a label that the format does not know for this role.")
        if task in EXCLUSIVE_TASKS and task != OPPORTUNITY and len(given) > 1:
            given = (max(given),) if task == URGENCY_CUE else given[:1]
        labels[task] = given
    return LabelledTurn(role=role, text=text, phi=phi, labels=labels)


def _unmark(marked: str, where: str) -> tuple[str, tuple[LabelledSpan, ...]]:
    """The words without marks, and where the marks were."""
    text, position = "", 0
    phi: list[LabelledSpan] = []
    for match in _MARKED.finditer(marked):
        text += marked[position : match.start()]
        if match[2] not in EntityType.__members__:
            raise UsageError(f"{where}: a PHI type that does not exist.")
        phi.append(
            LabelledSpan(
                start=len(text), end=len(text) + len(match[1]), entity_type=EntityType(match[2])
            )
        )
        text += match[1]
        position = match.end()
    text += marked[position:]
    if _STRAY.search(text):
        raise UsageError(f"{where}: a bracket, bar or brace that marks nothing.")
    return text, tuple(phi)


def _call(head: Mapping[str, str], turns: list[LabelledTurn], where: str) -> LabelledCall:
    problem = None
    try:
        scales = {key: None if head[key] == "-" else int(head[key]) for key in _SCALES}
        call = LabelledCall(
            call_id=head["id"],
            call_type=CallType(head["call_type"]),
            also=tuple(
                CallType(part.strip())
                for part in head["also"].split(",")
                if part.strip() not in ("", "-")
            ),
            direction=Direction(head["direction"]),
            after_hours=head["after_hours"] == "yes",
            urgency=int(head["urgency"]),
            urgency_reason="" if head["urgency_reason"] == "-" else head["urgency_reason"],
            escalated=EscalationOutcome(head["escalated"]),
            notes=head["notes"],
            turns=tuple(turns),
            **scales,
        )
    except (KeyError, ValueError) as error:
        problem = type(error).__name__
    if problem is not None:
        raise UsageError(f"{where}: the call's head is incomplete or has an impossible value.")
    return call


# --- other shapes --------------------------------------------------------------------------------


def labelled_json(call: LabelledCall) -> dict[str, Any]:
    """``call`` as a line of labelled calls, the shape that ``qa-monitor evaluate`` reads."""
    return {
        "id": call.call_id,
        "call_type": call.call_type.value,
        "also": [other.value for other in call.also],
        "direction": call.direction.value,
        "after_hours": call.after_hours,
        "urgency": call.urgency,
        "urgency_reason": call.urgency_reason,
        "escalated": call.escalated.value,
        "empathy": call.empathy,
        "active_listening": call.active_listening,
        "escalation_score": call.escalation_score,
        "notes": call.notes,
        "turns": [
            {
                "speaker": turn.role.value,
                "text": turn.text,
                "phi": [
                    {
                        "start": span.start,
                        "end": span.end,
                        "type": span.entity_type.value,
                        "text": turn.text[span.start : span.end],
                    }
                    for span in turn.phi
                ],
            }
            for turn in call.turns
        ],
    }


def call_from_json(line: Mapping[str, Any]) -> LabelledCall:
    """The call of one line of labelled calls; its turns carry no labels."""
    return LabelledCall(
        call_id=line["id"],
        call_type=CallType(line["call_type"]),
        also=tuple(CallType(other) for other in line.get("also") or ()),
        direction=Direction(line.get("direction") or "unknown"),
        after_hours=bool(line.get("after_hours")),
        urgency=line["urgency"],
        urgency_reason=line.get("urgency_reason") or "",
        escalated=EscalationOutcome(line["escalated"]),
        empathy=line["empathy"],
        active_listening=line["active_listening"],
        escalation_score=line["escalation_score"],
        notes=line.get("notes") or "",
        turns=tuple(
            LabelledTurn(
                role=Role(turn["speaker"]),
                text=turn["text"],
                phi=tuple(
                    LabelledSpan(
                        start=span["start"],
                        end=span["end"],
                        entity_type=EntityType(span["type"]),
                    )
                    for span in turn.get("phi") or ()
                ),
            )
            for turn in line["turns"]
        ),
    )


def redacted_dialogue(call: LabelledCall) -> RedactedDialogue:
    """``call`` as scoring sees it, each marked span replaced by ``<TYPE_n>``.

    Equal values of a type get the same ``n``, counted from 1 in the order of the call.
    """
    numbers: dict[tuple[EntityType, str], int] = {}
    counts: dict[EntityType, int] = {}
    turns: list[RedactedTurn] = []
    for index, turn in enumerate(call.turns):
        text, position = "", 0
        spans: list[Span] = []
        for marked in sorted(turn.phi, key=lambda span: span.start):
            text += turn.text[position : marked.start]
            value = (marked.entity_type, turn.text[marked.start : marked.end].casefold())
            if value not in numbers:
                counts[marked.entity_type] = counts.get(marked.entity_type, 0) + 1
                numbers[value] = counts[marked.entity_type]
            placeholder = f"<{marked.entity_type.value}_{numbers[value]}>"
            spans.append(
                Span(
                    start=len(text),
                    end=len(text) + len(placeholder),
                    source_start=marked.start,
                    source_end=marked.end,
                    entity_type=marked.entity_type,
                    recognizer="written",
                    confidence=1.0,
                    start_s=None,
                    end_s=None,
                )
            )
            text += placeholder
            position = marked.end
        turns.append(
            RedactedTurn(
                index=index,
                speaker=turn.role.value,
                role=turn.role,
                role_confidence=1.0,
                start_s=None,
                end_s=None,
                text=text + turn.text[position:],
                spans=tuple(spans),
            )
        )
    return RedactedDialogue(
        call_id=call.call_id,
        language="en",
        asr_model="written",
        redactor_version="written",
        dropped_s=0.0,
        turns=tuple(turns),
    )
