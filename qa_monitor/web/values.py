"""Times, days and numbers as the API's document has them, and nothing that merely resembles them.

The library takes a number for the seconds of a time, and yes or no for a number; the document does
not, so neither does the API.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

__all__ = ["WHOLE", "Day", "Flag", "Instant"]

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


def _written_time(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and _DAY.match(value)):
        return value
    raise ValueError("write a time as 2026-03-02T09:30:00Z")


def _written_day(value: object) -> object:
    if isinstance(value, date) or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    raise ValueError("write a day as 2026-03-02")


def _within_reach(value: datetime) -> datetime:
    """An instant that every database and zone can take; no call is outside."""
    return min(max(value, _EARLIEST), _LATEST)


def _whole(value: object) -> object:
    """``5.0`` as the 5 that it is in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Instant = Annotated[AwareDatetime, BeforeValidator(_written_time), AfterValidator(_within_reach)]
"""A time with its zone."""
Day = Annotated[date, BeforeValidator(_written_day)]
Flag = Annotated[bool, Field(strict=True)]
WHOLE = BeforeValidator(_whole)
"""Beside ``Field(strict=True)`` of an ``int``: a number without a fraction."""
