"""What the name of a field tells of its value: "dob" a date, "callerPhone" a telephone number."""

from __future__ import annotations

import re
from functools import lru_cache

from qa_monitor.calls import EntityType
from qa_monitor.redaction.documents.leads import MONTHS, name_in
from qa_monitor.redaction.documents.parts import Told
from qa_monitor.redaction.words import NAME_WORDS, is_common

__all__ = ["is_field_name", "is_form_label", "told_by_field", "told_number"]

_RECOGNIZER = "field_name"
_NUMBER = r"(?:id|number|num|no|code|nbr)"
_PEOPLE = (
    r"(?:patient|caller|customer|member|client|subscriber|guarantor|doctor|physician|provider|nurse"
    r"|clinician|agent|contact|spouse|guardian|employee|beneficiary|dependent|recipient|author"
    r"|sender|speaker|participant|relative|father|mother|attendee)"
)
# In this order: an e-mail address is no street address, a tax number no telephone.
_FIELDS: tuple[tuple[EntityType, str], ...] = (
    (EntityType.EMAIL, r"e ?mail"),
    (EntityType.FAX, r"fax"),
    (EntityType.SSN, r"ssn|social security|national insurance|nino"),
    (EntityType.DATE, r"dob|birth|birthday|birthdate|born|deceased|admitted|discharged"),
    (
        EntityType.PHONE,
        r"phone|phones|telephone|tel|mobile|cell|landline|msisdn|ani|dnis|callback|pager"
        rf"|(?:call back|caller|calling|called|dialed|contact|home|work|from|to) {_NUMBER}",
    ),
    (EntityType.IP, r"ip|ip ?address|ipv4|ipv6"),
    (EntityType.DEVICE, r"mac address|imei|imsi|udid|serial|device id"),
    (
        EntityType.MRN,
        rf"mrn|medical record|record number|chart {_NUMBER}|patient {_NUMBER}|nhs"
        rf"|nhs {_NUMBER}|hospital {_NUMBER}",
    ),
    (
        EntityType.MEMBER_ID,
        rf"member {_NUMBER}|membership|subscriber {_NUMBER}|policy|policy {_NUMBER}"
        rf"|group {_NUMBER}|insurance {_NUMBER}|beneficiary {_NUMBER}|medicaid|medicare"
        rf"|plan {_NUMBER}|payer {_NUMBER}",
    ),
    (
        EntityType.ACCOUNT,
        rf"account|acct|iban|routing|sort code|card {_NUMBER}|credit card|debit card|cvv|cvc"
        rf"|guarantor {_NUMBER}|statement {_NUMBER}",
    ),
    (EntityType.LICENSE, r"licen[sc]e|plate|driving|drivers|dea"),
    (
        EntityType.OTHER_ID,
        r"(?:confirmation|reference|claim|case|ticket|authori[sz]ation|prescription|rx|invoice"
        r"|order|customer|client|person|employee|referral|booking|encounter|npi|tax|badge)"
        rf" {_NUMBER}|^(?:confirmation|reference|claim|ticket|referral|npi|booking|encounter)$"
        r"|passport|pin|passcode|password",
    ),
    (
        EntityType.LOCATION,
        r"zip|zipcode|postcode|postal|post code|street|address|city|town|village|county|apartment"
        r"|residence|hometown|birthplace|latitude|longitude|coordinates|^(?:lat|lon|lng|long|geo)$",
    ),
    (
        EntityType.ORGANIZATION,
        r"^(?:company|organi[sz]ation|employer|hospital|clinic|pharmacy|practice|facility|insurer"
        r"|carrier|payer)(?: name)?$",
    ),
    (
        EntityType.PERSON,
        r"names?$|firstname|lastname|fullname|surname|forename|username|nickname"
        rf"|^{_PEOPLE}(?: (?:id|user))?$",
    ),
    (
        EntityType.DATE,
        r"date|timestamp|ts|epoch|day|at|on|when|time|(?:creat|updat|start|end|clos|modifi)ed",
    ),
    (EntityType.AGE, r"age"),
)
_PATTERNS = tuple((kind, re.compile(rf"(?<!\w)(?:{words})(?!\w)")) for kind, words in _FIELDS)
# "phone_type", "name_confidence": what is said of a value, not the value.
_ABOUT = frozenset(
    "type kind count status label format verified valid flag length confidence score probability "
    "index source method class category language locale model version mode reason duration ms "
    "millis seconds secs size rate present known provided confirmed matched match offset zone "
    "timezone url uri enabled redacted".split()
)
_NO_PERSONS = frozenset(
    "file queue model event field key tag service app application host domain attribute product "
    "drug medication medicine template tool function column table job task skill team department "
    "brand test plan channel bucket path script variable engine voice".split()
)
_DIGITAL = frozenset(EntityType) - {
    EntityType.PERSON,
    EntityType.ORGANIZATION,
    EntityType.LOCATION,
    EntityType.EMAIL,
    EntityType.URL,
}
_ANY_NUMBER = frozenset(
    {EntityType.PHONE, EntityType.FAX, EntityType.SSN, EntityType.IP, EntityType.LOCATION}
)
_SMALLEST_ID = 1000
_SMALLEST_PHONE = 1_000_000
_PARTIES = frozenset("from to caller callee customer patient contact speaker user".split())
_LONGEST_NAME = 60
_LONGEST_NUMBER = 40
_FEWEST_DIGITS = 3
_MOST_WORDS_BESIDE = 2
_MOST_DIGITS = 4
_COMPACT_DIGITS = 6
_EPOCH_DIGITS = 17
_LONGEST_ADDRESS = 120
_MOST_WORDS = 6
_EPOCH = 100_000_000
_COMPACT_DATE = 10_000_000
_OLDEST_TOLD_AGE = 89
_WRITTEN_DATE = re.compile(
    rf"\b{MONTHS}\W*\d|\d(?:st|nd|rd|th)?\W*{MONTHS}(?!\w)|\d[/.-]\d{{1,2}}[/.-]\d", re.IGNORECASE
)
_ABBREVIATIONS = frozenset("dob ssn mrn zip id tel fax email postcode nhs acct pt no".split())
_PLAIN = re.compile(r"[a-z_$@][\w$@.:/-]*", re.ASCII)


@lru_cache(maxsize=512)
def _key_words(key: str) -> str:
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", key)
    return " ".join(word.lower() for word in words)


@lru_cache(maxsize=512)
def _type_of(key: str) -> EntityType | None:
    words = _key_words(key)
    if not words or words.split()[-1] in _ABOUT:
        return None
    for entity_type, pattern in _PATTERNS:
        if pattern.search(words):
            is_thing = entity_type is EntityType.PERSON and set(words.split()) & _NO_PERSONS
            return None if is_thing else entity_type
    return None


def told_by_field(key: str, value: str) -> Told | None:
    """What field ``key`` tells of the text ``value``, and whether that is enough by itself.

    "n/a" under "phone" is no telephone number, a sentence under "patient" no name; then the
    redactor is left to decide, and reads the field's name before the value.
    """
    entity_type = _type_of(key)
    if entity_type is None:
        return None
    if entity_type is EntityType.PERSON:
        if name_in(value) is None:
            return None
        is_sure = _could_name(value, _LONGEST_NAME)
        return Told(entity_type, _RECOGNIZER, "My name is ", ".", is_sure=is_sure)
    return Told(
        entity_type,
        _RECOGNIZER,
        f"{_key_words(key)}: ",
        is_sure=_is_value(entity_type, value),
    )


def _is_value(entity_type: EntityType, value: str) -> bool:
    has_digit = any(character.isdecimal() for character in value)
    if entity_type is EntityType.EMAIL:
        return "@" in value
    if entity_type is EntityType.LOCATION:
        return _could_name(value, _LONGEST_ADDRESS) or (has_digit and len(value) <= _LONGEST_NUMBER)
    if entity_type is EntityType.ORGANIZATION:
        return _could_name(value, _LONGEST_NAME)
    if entity_type is EntityType.DATE:
        return _is_date(value)
    if entity_type is EntityType.AGE:
        return value.strip().isdecimal() and int(value) > _OLDEST_TOLD_AGE
    return (
        sum(character.isdecimal() for character in value) >= _FEWEST_DIGITS
        and len(re.findall(r"[^\W\d_]{3,}", value)) <= _MOST_WORDS_BESIDE
        and len(value) <= _LONGEST_NUMBER
    )


def _is_date(value: str) -> bool:
    # Four digits are a year, which tells nobody; a colon stands in a time of day.
    digits = sum(character.isdecimal() for character in value)
    return (
        len(value) <= _LONGEST_NUMBER
        and ":" not in value
        and not re.fullmatch(r"\s*\d{4}\s*", value)
        and (_COMPACT_DIGITS <= digits <= _EPOCH_DIGITS or _WRITTEN_DATE.search(value) is not None)
    )


def _could_name(value: str, longest: int) -> bool:
    words = re.findall(r"[^\W_]+", value)
    return (
        len(value) <= longest
        and len(words) <= (_MOST_WORDS if longest == _LONGEST_NAME else 2 * _MOST_WORDS)
        and any(not is_common(w.lower()) or w.lower() in NAME_WORDS for w in words)
    )


def told_number(key: str, number: str) -> Told | None:
    """What field ``key`` tells of the JSON number ``number``; ``None``: it may stay."""
    entity_type = _type_of(key)
    words = _key_words(key).split()
    value = abs(float(number))
    if value >= _SMALLEST_PHONE and _PARTIES.intersection(words[-1:]):
        return Told(EntityType.PHONE, _RECOGNIZER, "phone: ")
    if entity_type is None or entity_type not in _DIGITAL | {EntityType.LOCATION}:
        return None
    if entity_type is EntityType.AGE:
        is_told = value > _OLDEST_TOLD_AGE
    elif entity_type is EntityType.DATE:
        is_birth = bool({"dob", "birth", "birthday", "birthdate", "born"} & set(words))
        is_told = (is_birth and "year" not in words) or (
            value >= _COMPACT_DATE if "date" in words else value >= _EPOCH
        )
    else:
        is_told = entity_type in _ANY_NUMBER or value >= _SMALLEST_ID
    return Told(entity_type, _RECOGNIZER, f"{' '.join(words)}: ") if is_told else None


def is_form_label(label: str) -> bool:
    """Whether what stands before a colon is the name of a field of a form, and nothing else.

    "Date of birth" is, "Grace's phone" is not.
    """
    words = _key_words(label).split()
    return (
        _type_of(label) is not None
        and re.fullmatch(r"[\w /#.-]+", label) is not None
        and all((is_common(w) and w not in NAME_WORDS) or w in _ABBREVIATIONS for w in words)
    )


def is_field_name(key: str) -> bool | None:
    """Whether ``key`` names a field, and not a person, a number or a day; ``None``: it may.

    A capitalised word by itself may be either: "Sentiment", "Maria".
    """
    if sum(character.isdecimal() for character in key) > _MOST_DIGITS:
        return False
    if _PLAIN.fullmatch(key):
        return True
    if not re.fullmatch(r"[A-Za-z][\w$.-]*", key, re.ASCII):
        return False
    words = _key_words(key).split()
    return any(is_common(w) and w not in NAME_WORDS for w in words) or None
