"""Quotes from redacted calls: long enough to be understood, short enough to be read."""

from __future__ import annotations

import re

from qa_monitor.calls import Evidence, RedactedDialogue

__all__ = ["quote"]

_SHORT = 40
_LONGEST = 300
_SENTENCE = re.compile(r".+?(?:[.!?]+(?=\s)|$)\s*", re.DOTALL)


def quote(dialogue: RedactedDialogue, evidence: Evidence) -> str:
    """The redacted words at ``evidence``, widened to its sentence or turn when they are few.

    What is longer than 300 characters is cut between words, with an ellipsis; a placeholder is
    never cut. Raises ``IndexError`` when the evidence points outside the call.
    """
    turn_length = len(dialogue.turns[evidence.turn_index].text)
    dialogue.quote(evidence)
    whole = Evidence(turn_index=evidence.turn_index, start=0, end=turn_length)
    text = dialogue.quote(whole)
    start, end = evidence.start, evidence.end
    if end - start < _SHORT:
        start, end = _sentence(text, start, end)
    if end - start < _SHORT:
        start, end = 0, len(text)
    start, end = _fit(text, start, end, evidence)
    words = text[start:end].strip()
    return f"{'… ' if text[:start].strip() else ''}{words}{' …' if text[end:].strip() else ''}"


def _sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """The sentences of ``text`` that hold ``[start, end)``."""
    for match in _SENTENCE.finditer(text):
        if match.start() <= start < match.end():
            start = match.start()
        if match.start() < end <= match.end():
            end = match.end()
    return start, end


def _fit(text: str, start: int, end: int, evidence: Evidence) -> tuple[int, int]:
    """``[start, end)`` cut to the longest that is shown, around ``evidence``, at whole words."""
    if end - start > _LONGEST:
        start = max(start, min(evidence.start, end - _LONGEST) - _SHORT)
        end = min(end, start + _LONGEST)
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    return start, end
