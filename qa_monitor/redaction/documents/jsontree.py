"""JSON with the place of every value in its text, which the standard parser does not tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from qa_monitor.errors import UsageError
from qa_monitor.redaction.documents.parts import Encoding, Piece, Run

__all__ = ["Node", "parse_json", "parse_json_lines"]

_DEEPEST = 200
_SPACES = " \t\r\n"
_SPACE = re.compile(rf"[{_SPACES}]*")
# Line breaks inside strings are forgiven: what is redacted need not be mended first.
_STRING = re.compile(r'"(?:[^"\\]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])", re.ASCII)
_WORD = re.compile(r"true|false|null|NaN|-?Infinity")
_UNIT = re.compile(
    r"[^\\]+"
    r"|\\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\u(?P<code>[0-9a-fA-F]{4})"
    r"|\\(?P<short>.)"
)
_STRING_TEXT = Encoding.JSON_STRING
_HALVES = re.compile("[\ud800-\udfff]")
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Node:
    """A value at ``[start, end)`` of the text.

    ``piece`` is the text of a string; ``members`` the values of an object by key, in order and with
    repeated keys, ``items`` those of an array.
    """

    kind: Literal["object", "array", "string", "number", "word"]
    start: int
    end: int
    piece: Piece | None = field(default=None, repr=False)
    members: tuple[tuple[Piece, Node], ...] = field(default=(), repr=False)
    items: tuple[Node, ...] = field(default=(), repr=False)

    @property
    def text(self) -> str:
        """The text of a string; empty for anything else."""
        return self.piece.text if self.piece is not None else ""


class _MalformedError(Exception):
    """Not JSON at ``offset``."""

    def __init__(self, offset: int) -> None:
        super().__init__()
        self.offset = offset


def parse_json(content: str) -> Node:
    """The value that ``content`` is; a byte order mark before it is let pass.

    Raises ``UsageError``, with the line and none of its text.
    """
    offset = 0
    try:
        node = _Parser(content, 1 if content.startswith("\ufeff") else 0).parse()
    except _MalformedError as error:
        offset = error.offset
    else:
        return node
    raise _broken(content, offset)


def parse_json_lines(content: str) -> Node:
    """An array of the values of the lines of ``content``; blank lines are let pass.

    Raises ``UsageError``, with the line and none of its text.
    """
    items: list[Node] = []
    offset: int | None = None
    start = 1 if content.startswith("\ufeff") else 0
    for match in re.finditer(r"[^\r\n]+", content):
        if not match.group().strip("\ufeff \t"):
            continue
        try:
            items.append(_Parser(content, max(start, match.start()), match.end()).parse())
        except _MalformedError as error:
            offset = error.offset
            break
    if offset is not None:
        raise _broken(content, offset)
    return Node("array", 0, len(content), items=tuple(items))


def _broken(content: str, offset: int) -> UsageError:
    line = content.count("\n", 0, offset) + 1
    return UsageError(
        f"line {line}: the JSON is broken there, or nested too deeply. Mend it, or say that it is "
        "to be taken as plain text."
    )


class _Parser:
    def __init__(self, content: str, start: int, end: int | None = None) -> None:
        self._content = content
        self._at = start
        self._end = len(content) if end is None else end

    def parse(self) -> Node:
        """The one value there is."""
        node = self._value(0)
        if self._peek():
            raise _MalformedError(self._at)
        return node

    def _peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        character = self._content[self._at] if self._at < self._end else ""
        if character and character in _SPACES:
            match = _SPACE.match(self._content, self._at, self._end)
            self._at = match.end() if match else self._at
            character = self._content[self._at] if self._at < self._end else ""
        return character

    def _take(self, expected: str) -> None:
        if self._peek() != expected:
            raise _MalformedError(self._at)
        self._at += 1

    def _value(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise _MalformedError(self._at)
        first = self._peek()
        start = self._at
        if first == "{":
            members = tuple(self._members(depth))
            return Node("object", start, self._at, members=members)
        if first == "[":
            items = tuple(self._items(depth))
            return Node("array", start, self._at, items=items)
        if first == '"':
            piece = self._string()
            return Node("string", start, self._at, piece=piece)
        for kind, pattern in (("number", _NUMBER), ("word", _WORD)):
            match = pattern.match(self._content, self._at, self._end)
            if match:
                self._at = match.end()
                return Node("number" if kind == "number" else "word", start, self._at)
        raise _MalformedError(self._at)

    def _members(self, depth: int) -> Iterator[tuple[Piece, Node]]:
        self._take("{")
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            if self._peek() != '"':
                raise _MalformedError(self._at)
            key = self._string()
            self._take(":")
            yield key, self._value(depth + 1)
            if self._peek() == "}":
                self._at += 1
                return
            self._take(",")

    def _items(self, depth: int) -> Iterator[Node]:
        self._take("[")
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield self._value(depth + 1)
            if self._peek() == "]":
                self._at += 1
                return
            self._take(",")

    def _string(self) -> Piece:
        match = _STRING.match(self._content, self._at, self._end)
        if match is None:
            raise _MalformedError(self._at)
        self._at = match.end()
        start, end = match.start() + 1, match.end() - 1
        text = self._content[start:end]
        if "\\" not in text:
            return Piece(_whole_characters(text), (Run(0, end - start, start, end),), _STRING_TEXT)
        parts: list[str] = []
        runs: list[Run] = []
        length = 0
        for unit in _UNIT.finditer(self._content, start, end):
            text = _decoded(unit)
            parts.append(text)
            runs.append(Run(length, length + len(text), *unit.span()))
            length += len(text)
        return Piece("".join(parts), tuple(runs), _STRING_TEXT)


def _decoded(unit: re.Match[str]) -> str:
    if unit["short"]:
        return _SHORT.get(unit["short"], unit["short"])
    if unit["high"]:
        high, low = int(unit["high"], 16), int(unit["low"], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    return _whole_characters(chr(int(unit["code"], 16)) if unit["code"] else unit.group())


def _whole_characters(text: str) -> str:
    # Half a character by itself can be written by no engine; it is nobody's letter.
    return text if text.isascii() else _HALVES.sub("\ufffd", text)
