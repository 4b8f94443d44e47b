"""WebVTT and SRT: cues of timed lines.

WebVTT after https://www.w3.org/TR/webvtt1/ (headers, notes, styles, cue text with voices and other
tags); SRT, which has no standard, as players take it: numbers may be missing, times may have a
point, tags are those of HTML.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from qa_monitor.errors import UsageError
from qa_monitor.redaction.calltext import PLACEHOLDER, fold
from qa_monitor.redaction.documents.leads import LABEL, is_name
from qa_monitor.redaction.documents.lines import Line, lines_of
from qa_monitor.redaction.documents.parts import CallDraft, Encoding, Piece, Run

__all__ = ["has_cues", "is_vtt", "read_captions"]

_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMING = re.compile(rf"[\ufeff\s]*{_TIME}\s*-->\s*{_TIME}(?=\s|$)")
# What is not just so is text: a tag, a setting or a line of the header that hides a name is none.
_SETTING = re.compile(
    r"\s*(?:vertical:(?:rl|lr)|(?:line|position|size):(?:auto|-?[\d.]+%?)"
    r"(?:,(?:start|center|end|line-left|line-right))?"
    r"|align:(?:start|middle|center|end|left|right)|[XY][12]:\d+)(?=\s|$)",
    re.IGNORECASE,
)
# Numbers and the ids that recorders make, which tell nobody.
_MACHINE_ID = re.compile(
    r"[\ufeff\s]*(?:\d{1,6}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}[-/\d]*)\s*", re.I
)
_HEADER = re.compile(r"\ufeff?WEBVTT(?=[ \t\r\n]|$)")
_METADATA = re.compile(
    r"(?:Kind:\s*(?:captions|subtitles|metadata|chapters|descriptions)"
    r"|Language:\s*[a-z]{2,3}(?:-[a-z]{2})?"
    r"|X-TIMESTAMP-MAP=(?:LOCAL|MPEGTS):[\d:.]+,(?:LOCAL|MPEGTS):[\d:.]+)\s*",
    re.IGNORECASE,
)
_REGION = re.compile(
    r"(?:id:\d{1,4}|width:[\d.]+%|lines:\d+|(?:region|viewport)anchor:[\d.%,]+|scroll:up|\s)+",
    re.IGNORECASE,
)
_CLASSES = (
    r"(?:\.(?:bg_)?(?:white|lime|cyan|red|yellow|magenta|blue|black|color[0-9a-f]{6}"
    r"|first|loud|quiet))*"
)
_TAG = re.compile(
    rf"(?P<placeholder>{PLACEHOLDER.pattern})"
    rf"|<v{_CLASSES}[ \t]+(?P<voice>[^<>\n]*)>"
    rf"|</?(?:v|c|i|b|u|s|ruby|rt|lang|font|em|strong|span|br){_CLASSES}\s*/?>"
    r"|<lang\s+[a-z]{2}(?:-[a-z]{2})?>"
    r"|<font(?:\s+(?:color|size)=\"?\#?(?:[0-9a-f]{1,6}|white|yellow|red|green|blue|cyan)\"?)*\s*>"
    r"|<(?:\d{2,}:)?\d{2}:\d{2}\.\d{3}>"
    r"|\{\\(?:an?\d{1,2}|[bius][01]|pos\([\d., ]*\))\}"
    r"|(?P<entity>&(?:\#\d+|\#x[0-9a-f]+|\w+);)",
    re.IGNORECASE,
)
_DASH = re.compile(r"\s*(?:[-–—]|>{1,3})\s*")
_LEAD = re.compile(rf"\s*(?P<name>{LABEL})\s*:(?=\s|$)")
_SENTENCE_END = (".", "?", "!", "…", '."', '?"')
_PAUSE_S = 2.0
_STYLE_TEXT = re.compile(
    r"voice\s*[~|^$*]?=\s*(?:\"(?P<voice>[^\"\n]*)\"|'(?P<voice_too>[^'\n]*)')"
    r"|\"(?P<quoted>[^\"\n]*)\"|'(?P<quoted_too>[^'\n]*)'|/\*(?P<remark>.*?)\*/",
    re.DOTALL,
)


def is_vtt(content: str) -> bool:
    """Whether ``content`` begins as WebVTT must."""
    return _HEADER.match(content) is not None


def has_cues(content: str) -> bool:
    """Whether there is a line of ``content`` with the times of a cue."""
    return "-->" in content and any(_TIMING.match(line.text) for line in lines_of(content))


def read_captions(content: str, *, is_webvtt: bool) -> CallDraft:
    """What the cues say, by speaker where they tell one, and the text around them.

    Cues of one speaker are one turn; where none is told, a sentence that goes on in the next cue
    is. Raises ``UsageError``, with the line, for WebVTT without its header and a text without cues.
    """
    if is_webvtt and not is_vtt(content):
        raise UsageError("line 1: WebVTT begins with WEBVTT, and this text does not.")
    if not is_webvtt and not has_cues(content):
        raise UsageError(
            "no line has the times of a cue (00:00:01,000 --> 00:00:04,000): this is no SRT."
        )
    return _Reader(content, is_webvtt=is_webvtt).read()


@dataclass(slots=True)
class _Cue:
    start_s: float
    end_s: float
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a line; ``is_new`` tells that a voice ended before it."""

    piece: Piece
    voice: Piece | None
    is_new: bool


class _Reader:
    def __init__(self, content: str, *, is_webvtt: bool) -> None:
        self._content = content
        self._is_webvtt = is_webvtt
        self._encoding = Encoding.MARKUP if is_webvtt else Encoding.PLAIN
        self._lines = list(lines_of(content))
        self._call = CallDraft()

    def read(self) -> CallDraft:
        """The call."""
        cues: list[_Cue] = []
        position = self._read_header() if self._is_webvtt else 0
        while position < len(self._lines):
            line = self._lines[position]
            following = self._text(position + 1)
            if match := _TIMING.match(line.text):
                cue, position = self._read_cue(match, position)
                cues.append(cue)
            elif _MACHINE_ID.fullmatch(line.text) and _TIMING.match(following):
                position += 1
            elif self._is_webvtt and re.match(r"NOTE(?=\s|$)", line.text):
                position = self._read_note(position)
            elif self._is_webvtt and line.text.rstrip() == "STYLE":
                position = self._read_style(position)
            elif self._is_webvtt and line.text.rstrip() == "REGION":
                position = self._read_region(position)
            else:
                self._call.beside(self._plain(line))
                position += 1
        self._say(cues)
        return self._call

    def _text(self, position: int) -> str:
        return self._lines[position].text if position < len(self._lines) else ""

    def _plain(self, line: Line, start: int = 0) -> Piece:
        return Piece.plain(self._content, line.start + start, line.start + len(line.text))

    def _block_end(self, position: int) -> int:
        while position < len(self._lines) and self._text(position).strip():
            position += 1
        return position

    # --- around the cues -------------------------------------------------------------------------

    def _read_header(self) -> int:
        first = self._lines[0]
        match = _HEADER.match(first.text)
        self._call.beside(self._plain(first, match.end() if match else 0))
        end = 1
        while self._text(end).strip() and not _TIMING.match(self._text(end)):
            if not _METADATA.fullmatch(self._text(end)):
                self._call.beside(self._plain(self._lines[end]))
            end += 1
        return end

    def _read_note(self, position: int) -> int:
        end = self._block_end(position)
        first, *others = self._lines[position:end]
        self._call.beside(self._plain(first, len("NOTE")), *(self._plain(line) for line in others))
        return end

    def _read_style(self, position: int) -> int:
        """Styles stay, but for the voices they name and what is quoted or remarked in them."""
        end = self._block_end(position)
        last = self._lines[end - 1]
        for match in _STYLE_TEXT.finditer(
            self._content, self._lines[position].start, last.start + len(last.text)
        ):
            group = str(match.lastgroup)
            piece = Piece.plain(self._content, *match.span(group))
            if group.startswith("voice"):
                self._call.tell_name(piece)
            else:
                self._call.beside(piece)
        return end

    def _read_region(self, position: int) -> int:
        end = self._block_end(position)
        for line in self._lines[position + 1 : end]:
            if not _REGION.fullmatch(line.text):
                self._call.beside(self._plain(line))
        return end

    # --- cues ------------------------------------------------------------------------------------

    def _read_cue(self, timing: re.Match[str], position: int) -> tuple[_Cue, int]:
        cue = _Cue(_seconds(timing.groups()[:4]), _seconds(timing.groups()[4:]))
        line = self._lines[position]
        settings_end = timing.end()
        while match := _SETTING.match(line.text, settings_end):
            settings_end = match.end()
        self._call.beside(self._plain(line, settings_end))
        position += 1
        while self._text(position).strip():
            text, following = self._text(position), self._text(position + 1)
            # Where the blank line between two cues was forgotten, the next begins all the same.
            if _TIMING.match(text) or (_MACHINE_ID.fullmatch(text) and _TIMING.match(following)):
                break
            cue.lines.append(self._lines[position])
            position += 1
        return cue, position

    def _say(self, cues: list[_Cue]) -> None:
        spoken = [(cue, [part for line in cue.lines for part in self._parts(line)]) for cue in cues]
        times = Counter(
            fold(match["name"].strip())
            for _, parts in spoken
            for part in parts
            if (match := _LEAD.match(part.piece.text))
        )
        said = self._call.said
        last_end_s = 0.0
        for cue, parts in spoken:
            goes_on = (
                bool(said)
                and not said[-1].text.endswith(_SENTENCE_END)
                and cue.start_s - last_end_s < _PAUSE_S
            )
            label = said[-1].label if goes_on else None
            for part in parts:
                piece, given, is_new = self._led(part, times)
                if given is not None:
                    label, goes_on = given, bool(said) and said[-1].label == given
                elif is_new:
                    label, goes_on = None, False
                region = self._call.say(
                    piece, label, goes_on=goes_on, start_s=cue.start_s, end_s=cue.end_s
                )
                goes_on = goes_on or region is not None
            last_end_s = cue.end_s

    def _parts(self, line: Line) -> Iterator[_Part]:
        """The text of a line between tags, parted where a voice begins or ends."""
        end = line.start + len(line.text)
        voice: Piece | None = None
        is_new = False
        text, runs = "", list[Run]()

        def read(start: int, stop: int, character: str | None = None) -> None:
            nonlocal text
            added = self._content[start:stop] if character is None else character
            runs.append(Run(len(text), len(text) + len(added), start, stop))
            text += added

        position = line.start
        for match in _TAG.finditer(self._content, line.start, end):
            read(position, match.start())
            position = match.end()
            entity = match["entity"]
            if match["placeholder"] or (entity and not self._is_webvtt):
                read(*match.span())
            elif entity:
                character = html.unescape(entity)
                read(*match.span(), character if len(character) == 1 else None)
            elif match["voice"] is not None or match.group().lower() == "</v>":
                yield _Part(Piece(text, tuple(runs), self._encoding), voice, is_new)
                text, runs, is_new = "", [], True
                voice = self._voice(match) if match["voice"] is not None else None
        read(position, end)
        yield _Part(Piece(text, tuple(runs), self._encoding), voice, is_new)

    def _voice(self, tag: re.Match[str]) -> Piece:
        start, end = tag.span("voice")
        (part,) = self._parts(Line(start, self._content[start:end]))
        return part.piece

    def _led(self, part: _Part, times: Counter[str]) -> tuple[Piece, str | None, bool]:
        """What is said in ``part``, by whom if it tells, and whether another begins to speak."""
        piece, is_new = part.piece, part.is_new
        given: str | None = None
        if match := _DASH.match(piece.text):
            piece, is_new = piece.cut(match.end(), len(piece.text)), True
        match = _LEAD.match(piece.text)
        if match and is_name(match["name"], times=times[fold(match["name"].strip())]):
            self._call.tell_name(piece.cut(*match.span("name")))
            given = fold(match["name"].strip())
            piece = piece.cut(match.end(), len(piece.text))
        if part.voice is not None:
            self._call.tell_name(part.voice)
            given = fold(part.voice.text.strip())
        return piece, given, is_new


def _seconds(groups: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = groups
    return (
        int(hours or 0) * 3600
        + int(minutes or 0) * 60
        + int(seconds or 0)
        + int((fraction or "0").ljust(3, "0")) / 1000
    )
