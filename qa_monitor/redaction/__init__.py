"""Redaction: PHI in a call found, replaced by ``<TYPE_n>``, and told with times to mute.

``Redactor`` is the interface, ``PresidioRedactor`` the default: presidio-analyzer with a registry
of this product's recognizers, a spaCy pipeline trained here, and presidio-anonymizer's operators.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from qa_monitor.calls import Dialogue, RedactedDialogue
from qa_monitor.redaction.redactor import PresidioRedactor, redact_text

__all__ = ["PresidioRedactor", "Redactor", "redact_text"]


@runtime_checkable
class Redactor(Protocol):
    """What takes the PHI out of a call."""

    @property
    def version(self) -> str:
        """What produced the output; it changes when the output may."""
        ...

    def redact(self, dialogue: Dialogue) -> RedactedDialogue:
        """``dialogue`` redacted; raises ``RedactionError`` and then keeps nothing of the call."""
        ...
