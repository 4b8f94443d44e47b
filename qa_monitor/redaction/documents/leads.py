"""What stands before a message: who says it, and when."""

from __future__ import annotations

import re
from collections.abc import Mapping

from qa_monitor.calls import EntityType, Role
from qa_monitor.redaction.calltext import PLACEHOLDER
from qa_monitor.redaction.words import NAME_WORDS, is_common

__all__ = [
    "CLOCK",
    "DATE",
    "LABEL",
    "MONTHS",
    "is_name",
    "kind_of_name",
    "name_in",
    "role_of",
    "tells_somebody",
]

MONTHS = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
"""The name of a month."""
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,?\s+)?"
DATE = (
    rf"{_WEEKDAY}(?:\d{{1,4}}[/.-]\d{{1,2}}(?:[/.-]\d{{1,4}})?"
    rf"|{MONTHS}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[\s-]{MONTHS}(?:,?[\s-]\d{{2,4}})?"
    r"|<DATE_\d+>)"
)
"""A date as it is written in a time stamp, or its placeholder."""
CLOCK = (
    r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s?[ap]\.?m\b\.?)?"
    r"(?:\s?(?:Z|UTC|GMT|BST|[ECMP][SD]T|[+-]\d{2}:?\d{2})\b)?"
)
"""A time of day, or of the recording."""
_NAME = r"@?[^\W\d_][^\n:\[\](){}<>|\"]{0,38}?"
LABEL = (
    rf"(?:{_NAME}(?:\s*\([^():]{{1,30}}\))?"
    rf"|(?:{_NAME}\s)?{PLACEHOLDER.pattern}[^\n:\[\](){{}}<>|\"]{{0,20}}?(?:\s*\([^():]{{1,30}}\))?"
    r"|\+?\(?\d[\d\s().-]{6,20}?)"
)
"""What a speaker can be called: words, with a role in brackets behind; a placeholder; a number."""

_ROLES: Mapping[Role, frozenset[str]] = {
    Role.AGENT: frozenset(
        "agent rep representative nurse operator csr advisor adviser scheduler receptionist clerk "
        "staff support specialist coordinator dispatcher pharmacist technician doctor dr physician "
        "provider clinician therapist counselor assistant triage employee helpdesk desk".split()
    ),
    Role.CALLER: frozenset(
        "caller patient customer member client subscriber consumer user visitor guest "
        "policyholder pt".split()
    ),
    Role.THIRD_PARTY: frozenset(
        "mother father mom mum dad parent wife husband spouse partner son daughter sister brother "
        "guardian caregiver carer relative family friend companion".split()
    ),
    Role.INTERPRETER: frozenset("interpreter translator".split()),
    Role.SYSTEM: frozenset("system bot chatbot ivr robot recording voicemail ai".split()),
}
_ROLE_OF_WORD = {word: role for role, words in _ROLES.items() for word in words}
# Words of a label that name nobody.
_NEUTRAL = frozenset(
    "speaker spk spkr speakers participant person unknown unidentified voice channel ch left right "
    "male female man woman host moderator interviewer interviewee party track service call center "
    "centre care health human other mr mrs ms miss mister rn lpn np pa md do phd cna ma the and "
    "of new id no number primary secondary inbound outbound from to me you live virtual front "
    "medical clinical line on hold a external internal everyone hosts panelists direct message "
    "privately".split()
)
_WORD = re.compile(rf"{PLACEHOLDER.pattern}|[^\W\d_]+|\d+")
_LONGEST_NUMBER = 4
_LONGEST_NAME = 6
_PARTICLES = frozenset("de la del van der von den bin al el da dos di st le du ter ten y".split())
# What stands before a colon in notes and forms and is no speaker.
_FIELDS = frozenset(
    "name names dob date time phone tel telephone cell mobile fax email mail address city state "
    "zip mrn id subject re cc bcc from to sent reason notes note summary plan assessment age sex "
    "gender insurance member account diagnosis dx rx medications allergies history pharmacy "
    "provider status type priority ref reference ticket case url http https ps nb warning error "
    "example question answer start end duration attachment attachments link location".split()
)


def _words(label: str) -> list[re.Match[str]]:
    return list(_WORD.finditer(label))


def _is_nobody(word: str) -> bool:
    """Whether a word of a label tells no person: a role, a number, a placeholder."""
    folded = word.lower()
    return (
        folded in _ROLE_OF_WORD
        or folded in _NEUTRAL
        or (word.isdecimal() and len(word) <= _LONGEST_NUMBER)
        or PLACEHOLDER.fullmatch(word) is not None
    )


def tells_somebody(rest: str) -> bool:
    """Whether something of a name is left in ``rest``: letters or digits but for roles."""
    return any(m.group().isdecimal() or not _is_nobody(m.group()) for m in _words(rest))


def role_of(label: str) -> Role:
    """The role that the words of ``label`` tell, ``UNKNOWN`` where none does."""
    for match in _words(label):
        role = _ROLE_OF_WORD.get(match.group().lower())
        if role is not None:
            return role
    return Role.UNKNOWN


def name_in(label: str) -> tuple[int, int] | None:
    """Where in ``label`` the name stands; ``None`` where it holds a role and nobody's name.

    "Nurse Maria L. (agent)" holds "Maria L.", "SPEAKER_01" holds none.
    """
    words = _words(label)
    strange = [m for m in words if len(m.group()) > 1 and not _is_nobody(m.group())]
    if sum(len(m.group()) for m in words if m.group().isdecimal()) >= 7:
        # A number in groups of few digits each.
        strange = words
    if not strange:
        letters = [m for m in words if len(m.group()) > 1]
        return None if letters or len(words) <= 1 else (words[0].start(), words[-1].end())
    start, end = strange[0].start(), strange[-1].end()
    # A letter beside a name is an initial, digits are a part of it; marks glued to it belong to it.
    for match in words:
        if len(match.group()) == 1 or match.group().isdecimal():
            start, end = min(start, match.start()), max(end, match.end())
    while start > 0 and not label[start - 1].isspace() and label[start - 1] not in "([{<\"'":
        start -= 1
    while end < len(label) and not label[end].isspace() and label[end] not in ")]}>\"',;:":
        end += 1
    return start, end


def kind_of_name(name: str) -> EntityType:
    """What a speaker is called by: a name, an address, a telephone number."""
    if "@" in name:
        return EntityType.EMAIL
    digits = sum(character.isdecimal() for character in name)
    return EntityType.PHONE if digits >= 7 else EntityType.PERSON


def is_name(label: str, *, times: int = 1, is_stamped: bool = False) -> bool:
    """Whether what stands before a colon is a speaker, by its words and by how often it does.

    ``times`` is how often it stands there in the document; ``is_stamped`` tells that a time stands
    beside it, as it does in no form and in no sentence.
    """
    words = label.split()
    letters = [m.group() for m in _words(label)]
    if not letters or len(words) > _LONGEST_NAME:
        return False
    if name_in(label) is None:
        return True
    if kind_of_name(label) is not EntityType.PERSON:
        return is_stamped or times > 1
    folded = [word.lower() for word in letters if not PLACEHOLDER.fullmatch(word)]
    if not is_stamped and any(word in _FIELDS for word in folded):
        return False
    is_capitalised = all(not word[0].islower() or word.lower() in _PARTICLES for word in letters)
    strange = [w for w in folded if not (is_common(w) and w not in NAME_WORDS) and len(w) > 1]
    if is_stamped:
        return is_capitalised or len(words) == 1 or bool(strange) or times > 1
    return bool(strange) and (is_capitalised or len(words) == 1) and (times > 1 or len(letters) > 1)
