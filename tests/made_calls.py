"""Invented redacted calls and findings, made by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qa_monitor.calls import (
    EntityType,
    Evidence,
    Finding,
    RedactedDialogue,
    RedactedTurn,
    Role,
    Span,
)

A, C = Role.AGENT, Role.CALLER

EMERGENCY = (
    (A, "Thank you for calling <ORGANIZATION_1>, this is <PERSON_1>, how can I help?"),
    (C, "Hi, it's <PERSON_2>. I have this terrible pressure in my chest and my left arm is numb."),
    (A, "I'm so glad you called, that must be frightening. Are you short of breath?"),
    (C, "Yes, a bit, and I'm sweating. I'm really scared."),
    (
        A,
        "It makes sense that you're scared. I want you to hang up and call 911 now. Where are you?",
    ),
    (C, "At home, <LOCATION_1>."),
    (A, "Sit down, unlock the front door, and don't drive. I'll stay on the line with you."),
    (C, "Okay. My wife is calling them."),
    (A, "Good. Tell them chest pressure and a numb arm. I'm right here until they come."),
)
ROUTINE = (
    (A, "Good morning, <ORGANIZATION_1>, <PERSON_1> speaking."),
    (C, "Hi, I'd like to move my appointment on <DATE_1>, please. No chest pain or anything."),
    (A, "Sure. What's your date of birth?"),
    (C, "<DATE_2>."),
    (A, "So that's <DATE_2>. I have <DATE_3> at ten fifteen. Would that work?"),
    (C, "That works."),
    (A, "You're all set for <DATE_3> at ten fifteen. Anything else I can help with?"),
    (C, "No, that's all."),
    (A, "Have a good day."),
)


def dialogue(
    turns: Sequence[tuple[Role, str]],
    *,
    role_confidence: float = 1.0,
    timed: bool = False,
    doubtful: Sequence[int] = (),
    dropped_s: float = 0.0,
) -> RedactedDialogue:
    """A call of ``turns``, with a span for each placeholder in them; ``timed``, one each 5 s."""
    return RedactedDialogue(
        call_id="t-1",
        language="en",
        asr_model="none",
        redactor_version="none",
        dropped_s=dropped_s,
        turns=tuple(
            RedactedTurn(
                index=index,
                speaker=role.value,
                role=role,
                role_confidence=role_confidence,
                start_s=index * 5.0 if timed else None,
                end_s=index * 5.0 + 4.0 if timed else None,
                text=text,
                spans=_spans(text),
                is_doubtful=index in doubtful,
            )
            for index, (role, text) in enumerate(turns)
        ),
    )


def _spans(text: str) -> tuple[Span, ...]:
    return tuple(
        Span(
            start=match.start(),
            end=match.end(),
            source_start=match.start(),
            source_end=match.end(),
            entity_type=EntityType(match[1]),
            recognizer="made",
            confidence=0.9,
            start_s=None,
            end_s=None,
        )
        for match in re.finditer(r"<([A-Z_]+)_\d+>", text)
        if match[1] in EntityType.__members__
    )


def finding(task: str, label: str, turn: int, sure: float = 0.95) -> Finding:
    """A finding of the model, on the first letters of ``turn``."""
    return Finding(
        task=task,
        label=label,
        producer="turn-findings/test",
        probability=sure,
        confidence=sure,
        evidence=Evidence(turn_index=turn, start=0, end=3),
    )
