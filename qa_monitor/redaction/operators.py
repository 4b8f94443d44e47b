"""What stands in the place of PHI in a text that is handed out: an operator for each type.

What is kept and scored always holds ``<TYPE_n>``. Only ``redact`` and exports apply operators: they
go back to the dialogue as it was said, and write a placeholder, a mask, a keyed hash or, where the
user insists, the value itself over each span of the redacted dialogue.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from qa_monitor.calls import Dialogue, EntityType, RedactedDialogue, RedactedTurn, Turn
from qa_monitor.errors import ConfigError, QAMonitorError, RedactionError
from qa_monitor.redaction.calltext import CallText
from qa_monitor.redaction.canonical import CanonicalValues

__all__ = ["Operator", "OperatorName", "Operators", "Replacement", "apply_operators", "operate"]

_LONGEST_REST = 9
_PHONE_DIGITS = 10
_SPACED = frozenset({EntityType.PERSON, EntityType.LOCATION, EntityType.ORGANIZATION})


class OperatorName(StrEnum):
    """What can stand in the place of a value."""

    REPLACE = "replace"
    MASK = "mask"
    HASH = "hash"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator for the values of a type.

    ``keep_last`` is how many of its last letters and digits a mask leaves to be read; a value with
    no more than twice as many is masked whole, because what is left would tell it.
    """

    name: OperatorName
    keep_last: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """The operator written as "replace", "mask", "mask:4", "hash" or "keep".

        Raises ``ValueError`` for anything else.
        """
        name, colon, rest = text.partition(":")
        if name not in set(OperatorName):
            raise ValueError(f"no operator is called so; there are {', '.join(OperatorName)}")
        if not colon:
            return cls(OperatorName(name))
        if name != OperatorName.MASK or not re.fullmatch(r"\d", rest, re.ASCII):
            raise ValueError(f"only mask takes a number, from 0 to {_LONGEST_REST}, as mask:4")
        return cls(OperatorName.MASK, int(rest))


_REPLACE = Operator(OperatorName.REPLACE)


@dataclass(frozen=True, slots=True)
class Operators:
    """The operator of each type; a type that is not named is replaced by its placeholder.

    ``key`` is the secret of the hashes. Raises ``ConfigError`` when a hash is asked for without.
    """

    by_type: Mapping[EntityType, Operator] = field(default_factory=dict)
    key: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        """Refuses hashes that anybody could make."""
        if not self.key and any(o.name is OperatorName.HASH for o in self.by_type.values()):
            raise ConfigError("the operator hash needs a key; give the key of the data folder.")

    def of(self, entity_type: EntityType) -> Operator:
        """The operator of ``entity_type``."""
        return self.by_type.get(entity_type, _REPLACE)


@dataclass(frozen=True, slots=True)
class Replacement:
    """``text`` for ``[start, end)`` of a turn as it was said.

    ``is_aligned`` tells that each character stands for the one in its place, as in a mask, so that
    a part of the stretch has its own part of the text.
    """

    start: int
    end: int
    text: str = field(repr=False)
    is_aligned: bool = False


def apply_operators(
    dialogue: Dialogue, redacted: RedactedDialogue, operators: Operators
) -> tuple[str, ...]:
    """The text of each turn with ``operators`` applied to the spans of ``redacted``.

    Raises ``RedactionError`` when the two are not the same call, or on any fault.
    """
    texts: list[str] = []
    for turn, replacements in zip(
        dialogue.turns, operate(dialogue, redacted, operators), strict=True
    ):
        text, position = "", 0
        for replacement in replacements:
            text += turn.text[position : replacement.start] + replacement.text
            position = replacement.end
        texts.append(text + turn.text[position:])
    return tuple(texts)


def operate(
    dialogue: Dialogue, redacted: RedactedDialogue, operators: Operators
) -> tuple[tuple[Replacement, ...], ...]:
    """For each turn what to write over which stretch of it, in order.

    A hash is that of the value in canonical form ("six one seven" and "617" are one value). All
    mentions that share a placeholder share a hash, that of the fullest: "Maria" and "Maria Alvarez"
    of one call are one person. Raises ``RedactionError`` when the two dialogues are not the same
    call, or on any fault.
    """
    kind = ""
    try:
        _check_same_call(dialogue, redacted)
        values = _Values(dialogue, redacted) if _needs_values(operators) else None
        return tuple(
            _operate_on_turn(turn, redacted_turn, operators, values)
            for turn, redacted_turn in zip(dialogue.turns, redacted.turns, strict=True)
        )
    except QAMonitorError as error:
        kind = error.kind or type(error).__name__
    except Exception as error:  # noqa: BLE001 - fails closed whatever an engine raises
        kind = type(error).__name__
    raise RedactionError(
        f"The operators could not be applied to call {dialogue.call_id} ({kind}); nothing of it "
        "was written. Redact it again; if it fails again, report the kind.",
        call_id=dialogue.call_id,
        kind=kind,
    )


def _check_same_call(dialogue: Dialogue, redacted: RedactedDialogue) -> None:
    same = dialogue.call_id == redacted.call_id and len(dialogue.turns) == len(redacted.turns)
    if not same:
        raise RedactionError("two calls", kind="CallMismatch")


def _needs_values(operators: Operators) -> bool:
    return any(operator.name is OperatorName.HASH for operator in operators.by_type.values())


def _operate_on_turn(
    turn: Turn, redacted: RedactedTurn, operators: Operators, values: _Values | None
) -> tuple[Replacement, ...]:
    if not redacted.spans:
        return ()
    from qa_monitor.redaction.presidio_operators import anonymize

    spans = sorted(redacted.spans, key=lambda span: span.source_start)
    placeholders = [redacted.text[span.start : span.end] for span in spans]
    texts = anonymize(
        turn.text,
        [
            (
                span.source_start,
                span.source_end,
                placeholder,
                operators.of(span.entity_type),
                values.of(placeholder) if values is not None else "",
            )
            for span, placeholder in zip(spans, placeholders, strict=True)
        ],
        operators.key,
    )
    return tuple(
        Replacement(
            start=span.source_start,
            end=span.source_end,
            text=text,
            is_aligned=operators.of(span.entity_type).name is OperatorName.MASK,
        )
        for span, text in zip(spans, texts, strict=True)
    )


class _Values:
    """The canonical value behind each placeholder of a call."""

    def __init__(self, dialogue: Dialogue, redacted: RedactedDialogue) -> None:
        call = CallText(dialogue)
        canonical = CanonicalValues(call)
        self._values: dict[str, str] = {}
        for turn, turn_start in zip(redacted.turns, call.turn_starts, strict=True):
            for span in turn.spans:
                value = canonical.value_between(
                    turn_start + span.source_start,
                    turn_start + span.source_end,
                    span.entity_type,
                )
                value = _linkable(span.entity_type, value)
                placeholder = turn.text[span.start : span.end]
                known = self._values.get(placeholder, "")
                self._values[placeholder] = max(known, value, key=lambda v: (len(v), v))

    def of(self, placeholder: str) -> str:
        """The value; a placeholder that the text came with stands for itself."""
        return self._values[placeholder]


def _linkable(entity_type: EntityType, value: str) -> str:
    """``value`` without what differs from one call to the next: gaps, the country's code."""
    if entity_type in _SPACED:
        return value
    joined = value.replace(" ", "")
    if entity_type in {EntityType.PHONE, EntityType.FAX} and joined.isdecimal():
        return joined[-_PHONE_DIGITS:]
    return joined
