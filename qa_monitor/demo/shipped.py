"""The invented calls that ship for demonstrations: redacted, with findings, and without audio.

They are written calls (``models/turn-findings/calls``) that went through the product's own redactor
and scorer once (``qa_monitor.training.demo_calls``), so that showing the product needs no model and
no minutes of work. Nobody in them exists.
"""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from pydantic import TypeAdapter

from qa_monitor.calls import (
    CallType,
    Criterion,
    Direction,
    EscalationOutcome,
    Finding,
    RedactedDialogue,
)

__all__ = ["DemoCall", "pack_calls", "shipped_calls"]

_FILE = "calls.json.xz"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCall:
    """One invented call without times, and what its writer says of it.

    ``points`` are the writer's (urgency 0 to 3, the others 1 to 5), without those that are not
    assessable. ``scorer_version`` found ``findings``.
    """

    dialogue: RedactedDialogue = field(repr=False)
    findings: tuple[Finding, ...]
    scorer_version: str
    call_type: CallType
    direction: Direction
    after_hours: bool
    escalated: EscalationOutcome
    points: dict[Criterion, float]


_CALLS = TypeAdapter(tuple[DemoCall, ...])


def pack_calls(calls: Sequence[DemoCall]) -> bytes:
    """``calls`` as ``shipped_calls`` reads them; the same calls give the same bytes."""
    return lzma.compress(_CALLS.dump_json(tuple(calls)), preset=9 | lzma.PRESET_EXTREME)


@cache
def shipped_calls() -> tuple[DemoCall, ...]:
    """The calls that ship, in the order of their writing."""
    packed = resources.files("qa_monitor.demo").joinpath(_FILE).read_bytes()
    return _CALLS.validate_json(lzma.decompress(packed))
