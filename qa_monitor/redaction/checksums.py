"""Check digits of written numbers: they tell an NHS number from a telephone number."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

__all__ = ["CHECKSUMS"]


def _digits(text: str) -> list[int]:
    return [int(c) for c in text if c.isdecimal()]


def _is_nhs_number(text: str) -> bool:
    """Whether the last digit is that of the other nine: modulus 11 (NHS Data Dictionary)."""
    digits = _digits(text)
    if len(digits) != 10:
        return False
    weighted = sum(weight * digit for weight, digit in zip(range(10, 1, -1), digits, strict=False))
    return (11 - weighted % 11) % 11 == digits[9]


def _is_luhn(text: str) -> bool:
    """Whether the last digit is that of the others: Luhn's sum, ISO/IEC 7812-1."""
    doubled = [
        digit if place % 2 == 0 else sum(divmod(2 * digit, 10))
        for place, digit in enumerate(reversed(_digits(text)))
    ]
    return bool(doubled) and sum(doubled) % 10 == 0


def _is_npi(text: str) -> bool:
    """Luhn's sum over the number with the prefix of US health care, 45 CFR 162.406."""
    return len(_digits(text)) == 10 and _is_luhn("80840" + re.sub(r"\D", "", text))


def _is_dea_number(text: str) -> bool:
    """Whether the last digit is that of the six before: odd places once, even places twice."""
    digits = _digits(text)[-7:]
    if len(digits) != 7:
        return False
    return (sum(digits[0:6:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6]


CHECKSUMS: Mapping[str, Callable[[str], bool]] = {
    "nhs": _is_nhs_number,
    "npi": _is_npi,
    "dea": _is_dea_number,
    "luhn": _is_luhn,
}
"""What a match of a written pattern can be checked by, by name."""
