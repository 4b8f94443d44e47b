"""Plain text and chat transcripts, read line by line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from qa_monitor.calls import EntityType
from qa_monitor.redaction.calltext import fold
from qa_monitor.redaction.documents.fields import is_form_label, told_by_field
from qa_monitor.redaction.documents.leads import CLOCK, DATE, LABEL, is_name, name_in
from qa_monitor.redaction.documents.parts import CallDraft, Piece, Told

__all__ = ["STAMP_DATE", "Line", "lines_of", "looks_like_chat", "read_chat", "read_text"]

STAMP_DATE = Told(EntityType.DATE, "time_stamp", "The date is ", ".")
"""How the date of a time stamp is told."""

_BLANK = "[\\s\ufeff\u200e\u200f]*"
_ELAPSED = r"(?:\d+\s?h\s+)?(?:\d+\s?m\s+)?\d+\s?s"
_CHAT_SHARE = 5


def _stamp(name: str) -> str:
    """A date with a time, or a time; the group ``name`` is the date."""
    return (
        rf"(?:(?P<{name}>{DATE})(?:,?\s+(?:at\s+)?|T|\s+[-–]\s+){CLOCK}"
        rf"|{CLOCK}(?:,?\s+(?P<{name}_behind>{DATE}))?)"
    )


# [10:32] ...    10:32 AM - ...    3/4/26, 10:32 - ...    ( 1m 12s ) ...
_STAMPED = re.compile(
    rf"{_BLANK}(?:[\[(]\s*(?:{_stamp('inside')}|(?P<alone>{DATE})|{_ELAPSED})\s*[\])]"
    rf"|{_stamp('bare')})(?=[\s:–—|-]|$)\s*(?:[-–—|:]\s*)?",
    re.IGNORECASE,
)
# Maria Lopez (3/4/2026 10:32): ...    Maria Lopez [10:32] ...
_NAMED = re.compile(
    rf"{_BLANK}(?P<name>{LABEL})\s*[\[(]\s*(?:{_stamp('inside')}|(?P<alone>{DATE}))\s*[\])]"
    r"\s*(?:[:–-](?=\s|$))?",
    re.IGNORECASE,
)
# Maria Lopez  10:32 AM, with the message in the lines that follow
_NAMED_HEADER = re.compile(
    rf"{_BLANK}(?P<name>{LABEL}),?\s+{_stamp('bare')}\s*:?\s*$", re.IGNORECASE
)
# Maria Lopez: ...    <maria> ...
_SPEAKER = re.compile(
    rf"{_BLANK}(?:(?P<name>{LABEL})\s*:(?=\s|$)|<(?P<nick>[^<>\s]{{1,40}})>(?=\s))", re.IGNORECASE
)
_ALONE = re.compile(rf"(?P<name>{LABEL})\s*$")
_DATES = ("inside", "inside_behind", "bare", "bare_behind", "alone")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text, without its end; ``start`` in the text."""

    start: int
    text: str = field(repr=False)


def lines_of(content: str) -> Iterator[Line]:
    """The lines of ``content``, however they end."""
    start = 0
    for line in content.splitlines(keepends=True):
        yield Line(start, line.rstrip("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"))
        start += len(line)


@dataclass(frozen=True, slots=True)
class _Lead:
    """What stands before a message: how long it is, where in it name and date stand."""

    length: int
    name: tuple[int, int] | None
    date: tuple[int, int] | None
    is_stamped: bool


class _Leads:
    """The leads of a document's lines, by what stands there how often."""

    def __init__(self, lines: Sequence[Line]) -> None:
        candidates = [found for line in lines for found in _candidates(line.text)]
        self._times = Counter(fold(name.strip()) for name, _ in candidates)
        self._has_roles = any(name_in(label) is None for label in self._times)
        self._stamped = {
            fold(name.strip())
            for name, is_stamped in candidates
            if is_stamped and is_name(name, times=self._times[fold(name.strip())])
        }

    def of(self, line: str) -> _Lead | None:
        """The lead of ``line``, if it has one."""
        if match := _NAMED.match(line):
            is_marked = line[match.end() - 1] in ":-–" or match.end() == len(line)
            if self._is_name(match["name"], is_stamped=is_marked):
                return _Lead(match.end(), match.span("name"), _date_in(match), True)
        if (match := _NAMED_HEADER.match(line)) and self._is_name(match["name"]):
            return _Lead(match.end(), match.span("name"), _date_in(match), True)
        stamped = _STAMPED.match(line)
        start = stamped.end() if stamped else 0
        date = _date_in(stamped) if stamped else None
        if match := _SPEAKER.match(line, start):
            group = "nick" if match["nick"] else "name"
            if (stamped or group == "name") and self._is_name(
                match[group], is_stamped=stamped is not None
            ):
                return _Lead(match.end(), match.span(group), date, stamped is not None)
        if stamped is None:
            return None
        alone = _ALONE.match(line, start)
        if alone and self._times[fold(alone["name"])] > 1 and self._is_name(alone["name"]):
            return _Lead(alone.end(), alone.span("name"), date, True)
        return _Lead(start, None, date, True)

    def _is_name(self, label: str, *, is_stamped: bool = False) -> bool:
        key = fold(label.strip())
        if not is_stamped and self._stamped and key not in self._stamped:
            # Where messages have times, what stands before a colon without one is no speaker.
            return name_in(label) is None
        # Beside "Agent:", a name that speaks once is a speaker too.
        times = self._times[key] + self._has_roles
        return is_name(label, times=times, is_stamped=is_stamped)


def _candidates(line: str) -> Iterator[tuple[str, bool]]:
    """What may be the name of a speaker in ``line``, and whether a time stands beside it."""
    for pattern in (_NAMED, _NAMED_HEADER):
        if match := pattern.match(line):
            yield match["name"], True
            return
    stamped = _STAMPED.match(line)
    start = stamped.end() if stamped else 0
    if match := _SPEAKER.match(line, start):
        yield match["nick"] or match["name"], stamped is not None
    elif stamped and (match := _ALONE.match(line, start)):
        yield match["name"], True


def _date_in(match: re.Match[str]) -> tuple[int, int] | None:
    groups = match.groupdict()
    return next((match.span(name) for name in _DATES if groups.get(name)), None)


def looks_like_chat(content: str) -> bool:
    """Whether ``content`` is messages with times or with the names of those who wrote them.

    Text in which only "Agent:" and the like stand before what is said is no chat.
    """
    lines = [line for line in lines_of(content) if line.text.strip()]
    leads = _Leads(lines)
    stamped = named = led = 0
    for line in lines:
        lead = leads.of(line.text)
        if lead is None:
            continue
        is_somebody = lead.name is not None and name_in(line.text[slice(*lead.name)]) is not None
        led += lead.name is not None
        stamped += lead.is_stamped and lead.name is not None
        named += is_somebody
    if stamped and stamped * _CHAT_SHARE >= len(lines):
        return True
    return bool(named) and led * 2 >= len(lines) and led > 1


def read_text(content: str) -> CallDraft:
    """A turn for each line that is not blank; "Agent:" and the like before it is its speaker.

    Lines of a form ("DOB: 3/4/1982") are fields.
    """
    call = CallDraft()
    for line in lines_of(content):
        end = line.start + len(line.text)
        match = _SPEAKER.match(line.text)
        label = match["name"].strip() if match and match["name"] else ""
        value = Piece.plain(content, line.start + (match.end() if match else 0), end).stripped()
        if label and name_in(label) is None:
            call.say(value, fold(label))
        elif is_form_label(label):
            told = told_by_field(label, value.text)
            if told is None:
                call.beside(value)
            else:
                call.tell(value, told)
        else:
            call.say(Piece.plain(content, line.start, end), None)
    return call


def read_chat(content: str) -> CallDraft:
    """A turn for each message with the lines it goes on in; names and dates of leads are told."""
    call = CallDraft()
    lines = list(lines_of(content))
    leads = _Leads(lines)
    label: str | None = None
    is_led = is_open = False
    for line in lines:
        lead = leads.of(line.text)
        start = line.start
        if lead is not None:
            start += lead.length
            is_led, is_open, label = True, False, None
            if lead.date is not None:
                left, right = lead.date
                call.tell(Piece.plain(content, line.start + left, line.start + right), STAMP_DATE)
            if lead.name is not None:
                left, right = lead.name
                name = Piece.plain(content, line.start + left, line.start + right).stripped()
                label = fold(name.text)
                call.tell_name(name)
        said = call.say(
            Piece.plain(content, start, line.start + len(line.text)), label, goes_on=is_open
        )
        # The lines before the first lead are nobody's message.
        is_open = is_led and (is_open or said is not None)
    return call
