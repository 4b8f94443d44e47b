"""Words of the locales that the product comes with, for code that reads no call of its own.

Recognizers never ask here: they go by the locale of the call (``CallText.locale``), which a
recognizers file decides.
"""

from __future__ import annotations

from qa_monitor.redaction.locales import default_locale

__all__ = [
    "ALPHABET",
    "MONTHS",
    "NAME_WORDS",
    "NUMBER_WORDS",
    "ORDINALS",
    "WEEKDAYS",
    "is_common",
    "is_written_ordinal",
]

_LOCALE = default_locale()

ALPHABET = _LOCALE.letters.alphabet
MONTHS = _LOCALE.dates.months
NAME_WORDS = _LOCALE.names.words
NUMBER_WORDS = _LOCALE.numbers.said
ORDINALS = _LOCALE.numbers.ordinals
WEEKDAYS = _LOCALE.dates.weekdays
is_common = _LOCALE.talk.is_common
is_written_ordinal = _LOCALE.numbers.is_written_ordinal
