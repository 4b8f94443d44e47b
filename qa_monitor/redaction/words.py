"""Ordinary words of the locales that the product comes with, for code that reads no call."""

from __future__ import annotations

from qa_monitor.redaction.locales import default_locale

__all__ = ["NAME_WORDS", "TALK", "is_common"]

TALK = default_locale().talk.words
NAME_WORDS = default_locale().names.words
is_common = default_locale().talk.is_common
