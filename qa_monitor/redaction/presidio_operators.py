"""The operators as presidio-anonymizer runs them; importing this module imports presidio."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

from presidio_anonymizer import AnonymizerEngine
from presidio_anonymizer.entities import OperatorConfig, RecognizerResult
from presidio_anonymizer.operators import Operator as PresidioOperator
from presidio_anonymizer.operators import OperatorType

from qa_monitor.errors import RedactionError
from qa_monitor.redaction.operators import Operator, OperatorName

__all__ = ["anonymize"]

_MASK = "*"
_HASH_DIGITS = 16


class _Operator(PresidioOperator):  # type: ignore[misc]
    """What the product's own operators share."""

    name: str

    def validate(self, params: dict[str, Any]) -> None:
        """Nothing: the parameters are made here."""

    def operator_name(self) -> str:
        """The name by which a configuration asks for it."""
        return self.name

    def operator_type(self) -> OperatorType:
        """It takes out, and cannot put back."""
        return OperatorType.Anonymize


class _MaskCharacters(_Operator):
    """Masks letters and digits and leaves marks and spaces, so that the shape can be read.

    Presidio's own mask counts marks and spaces among the characters that stay, and masks nothing
    where the value is shorter than what stays.
    """

    name = "mask_characters"

    def operate(self, text: str, params: dict[str, Any]) -> str:
        """``text``, as long as it was."""
        telling = [i for i, c in enumerate(text) if unicodedata.category(c)[0] in "LNM"]
        keep_last = params["keep_last"]
        if keep_last and len(telling) > 2 * keep_last:
            telling = telling[:-keep_last]
        masked = list(text)
        for i in telling:
            masked[i] = _MASK
        return "".join(masked)


class _KeyedHash(_Operator):
    """Writes a number that only the holder of the key can make, in the shape of a placeholder.

    HMAC (RFC 2104) with SHA-256 over type and value. Presidio's own hash appends its salt to the
    text as it was said, so that one value has as many hashes as ways to say it. A number and no
    hexadecimal: redacted once more, it is known for a placeholder and left alone.
    """

    name = "keyed_hash"

    def operate(self, text: str, params: dict[str, Any]) -> str:  # noqa: ARG002
        """``<TYPE_n>`` with sixteen digits: of a million values, two meet once in 20,000 tries."""
        entity_type = params["entity_type"].rpartition("_")[0]
        message = f"redacted value\0{entity_type}\0{params['value']}".encode()
        digest = hmac.new(params["key"], message, hashlib.sha256).digest()
        number = int.from_bytes(digest[:16]) % 10**_HASH_DIGITS
        return f"<{entity_type}_{number:0{_HASH_DIGITS}d}>"


@cache
def _engine() -> AnonymizerEngine:
    engine = AnonymizerEngine()
    engine.add_anonymizer(_MaskCharacters)
    engine.add_anonymizer(_KeyedHash)
    return engine


def anonymize(
    text: str, found: Sequence[tuple[int, int, str, Operator, str]], key: bytes
) -> list[str]:
    """What stands for each stretch of ``text``, in order.

    ``found`` is start, end, placeholder, operator and canonical value of each, in order and without
    overlap; ``key`` is that of the hashes. Raises ``RedactionError`` if presidio sees it otherwise.
    """
    operators: dict[str, OperatorConfig] = {}
    results: list[RecognizerResult] = []
    for start, end, placeholder, operator, value in found:
        entity = placeholder[1:-1]
        results.append(RecognizerResult(entity_type=entity, start=start, end=end, score=1.0))
        match operator.name:
            case OperatorName.REPLACE:
                config = OperatorConfig("replace", {"new_value": placeholder})
            case OperatorName.MASK:
                config = OperatorConfig(_MaskCharacters.name, {"keep_last": operator.keep_last})
            case OperatorName.HASH:
                config = OperatorConfig(_KeyedHash.name, {"value": value, "key": key})
            case OperatorName.KEEP:
                config = OperatorConfig("keep")
        operators[entity] = config
    replaced = _engine().anonymize(text, results, operators, merge_entities_with_spaces=False)
    if len(replaced.items) != len(found):
        raise RedactionError("operators and spans differ", kind="SpanMismatch")
    return [item.text for item in sorted(replaced.items, key=lambda item: item.start)]
