"""Redaction of a document: what a redactor finds in it, and what the place of a text tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from qa_monitor.calls import (
    Dialogue,
    EntityType,
    RedactedDialogue,
    RedactedTurn,
    Span,
    Turn,
)
from qa_monitor.redaction.calltext import PLACEHOLDER, fold
from qa_monitor.redaction.documents.leads import tells_somebody
from qa_monitor.redaction.documents.parts import (
    ASIDE,
    SPEAKER_LABEL,
    Document,
    RedactedDocument,
    Told,
)
from qa_monitor.redaction.operators import OperatorName, Operators, operate
from qa_monitor.redaction.redactor import Redactor

__all__ = ["redact_document"]

# A value in a field answers no question and goes on with no other: empty turns keep them apart.
_GAP = 4


def redact_document(
    document: Document,
    redactor: Redactor,
    operators: Operators,
    *,
    entity_types: Collection[EntityType] = tuple(EntityType),
) -> RedactedDocument:
    """``document`` redacted, with ``operators`` applied to its text.

    What its place tells (a speaker's name, a field "dob") is redacted whatever the redactor finds,
    if its type is among ``entity_types``, and has the number that it has in the rest of the call.
    Raises ``RedactionError``.
    """
    calls = tuple(
        _redact(dialogue, told, redactor, frozenset(entity_types))
        for dialogue, told in zip(document.dialogues, document.told, strict=True)
    )
    text = document.render(
        [
            operate(dialogue, call, operators)
            for dialogue, call in zip(document.dialogues, calls, strict=True)
        ]
    )
    kept = Counter(
        span.entity_type
        for call in calls
        for turn in call.turns
        for span in turn.spans
        if operators.of(span.entity_type).name is OperatorName.KEEP
    )
    return RedactedDocument(kind=document.kind, text=text, calls=calls, kept=dict(kept))


def _redact(
    dialogue: Dialogue,
    told: tuple[Told | None, ...],
    redactor: Redactor,
    entity_types: frozenset[EntityType],
) -> RedactedDialogue:
    asked: list[Turn] = []
    places: list[int] = []
    for turn, what in zip(dialogue.turns, told, strict=True):
        if turn.speaker == ASIDE:
            asked += [replace(turn, index=len(asked) + n, text="") for n in range(_GAP)]
        places.append(len(asked))
        text = turn.text if what is None else what.before + _shown(turn.text, what) + what.after
        asked.append(replace(turn, index=len(asked), text=text))
    answered = redactor.redact(replace(dialogue, turns=tuple(asked)))
    numbers = _Numbers(answered)
    turns = []
    for turn, what, place in zip(dialogue.turns, told, places, strict=True):
        answer = replace(answered.turns[place], index=turn.index)
        if what is not None:
            answer = _retold(turn, what, answer, numbers, entity_types)
        turns.append(answer)
    return replace(answered, turns=tuple(turns))


def _shown(text: str, told: Told) -> str:
    """``text`` with the capitals of a name, if it is one written without."""
    if told.entity_type is EntityType.PERSON and (text.islower() or text.isupper()):
        titled = text.title()
        return titled if len(titled) == len(text) else text
    return text


class _Numbers:
    """The numbers of placeholders, from the first that a redacted dialogue does not use."""

    def __init__(self, redacted: RedactedDialogue) -> None:
        self._last: dict[str, int] = {}
        self._given: dict[tuple[EntityType, str], int] = {}
        for turn in redacted.turns:
            for match in PLACEHOLDER.finditer(turn.text):
                name, _, number = match.group()[1:-1].rpartition("_")
                self._last[name] = max(self._last.get(name, 0), int(number))

    def placeholder(self, entity_type: EntityType, value: str) -> str:
        """The placeholder of ``value``, the same whenever it is asked for."""
        key = (entity_type, fold(value))
        if key not in self._given:
            self._last[entity_type] = self._last.get(entity_type, 0) + 1
            self._given[key] = self._last[entity_type]
        return f"<{entity_type}_{self._given[key]}>"


def _retold(
    turn: Turn,
    told: Told,
    answer: RedactedTurn,
    numbers: _Numbers,
    entity_types: frozenset[EntityType],
) -> RedactedTurn:
    """``turn`` as ``answer`` has it, without the sentence around it, and all of it where sure."""
    shift, length = len(told.before), len(turn.text)
    found = [
        (
            replace(
                span,
                source_start=max(span.source_start - shift, 0),
                source_end=min(span.source_end - shift, length),
            ),
            answer.text[span.start : span.end],
        )
        for span in answer.spans
        if span.source_start - shift < length and span.source_end > shift
    ]
    same = [p for span, p in found if span.entity_type is told.entity_type]
    # A field's name tells the type better than its value does; a speaker's name may stand in the
    # text as the redactor takes it.
    is_other = bool(found) and not same and told.recognizer != SPEAKER_LABEL
    is_short = is_other or _is_left(turn.text, told, found)
    if told.is_sure and told.entity_type in entity_types and is_short:
        whole = Span(
            start=0,
            end=0,
            source_start=0,
            source_end=length,
            entity_type=told.entity_type,
            recognizer=told.recognizer,
            confidence=1.0,
            start_s=None,
            end_s=None,
            context="place in the document",
        )
        found = [(whole, same[0] if same else numbers.placeholder(told.entity_type, turn.text))]
    text, position = "", 0
    spans: list[Span] = []
    for span, placeholder in found:
        text += turn.text[position : span.source_start]
        spans.append(replace(span, start=len(text), end=len(text) + len(placeholder)))
        text += placeholder
        position = span.source_end
    return replace(answer, text=text + turn.text[position:], spans=tuple(spans))


def _is_left(text: str, told: Told, found: list[tuple[Span, str]]) -> bool:
    """Whether ``found`` leaves something of the value that ``text`` is."""
    rest = text
    for span, _ in reversed(found):
        rest = f"{rest[: span.source_start]} {rest[span.source_end :]}"
    rest = PLACEHOLDER.sub(" ", rest)
    if told.entity_type is EntityType.PERSON:
        return tells_somebody(rest)
    return any(character.isalnum() for character in rest)
