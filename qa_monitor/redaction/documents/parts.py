"""How texts lie in a document, and how what replaces them goes back without moving anything else.

A reader cuts a document into *pieces*, each with the way back to the characters it was read from.
Pieces one after another are a *turn*; one turn may lie in a document more than once (a recogniser's
text, its segments, its words), and is then redacted once and written back everywhere.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from typing import TypeVar

from qa_monitor.calls import Dialogue, EntityType, RedactedDialogue, Role, Turn
from qa_monitor.errors import RedactionError
from qa_monitor.redaction.calltext import fold
from qa_monitor.redaction.documents.leads import kind_of_name, name_in, role_of
from qa_monitor.redaction.operators import Replacement

__all__ = [
    "ASIDE",
    "SPEAKER_LABEL",
    "CallDraft",
    "Cell",
    "Document",
    "DocumentKind",
    "Draft",
    "Encoding",
    "Piece",
    "RedactedDocument",
    "Region",
    "Run",
    "Told",
    "mirror",
]


ASIDE = "aside"
"""The speaker of a turn that nobody says: a field, a note, a name."""

SPEAKER_LABEL = "speaker_label"
"""The recognizer of what speakers are called in their labels."""


class DocumentKind(StrEnum):
    """What a text can be."""

    TEXT = "text"
    CHAT = "chat"
    VTT = "vtt"
    SRT = "srt"
    JSON = "json"
    JSONL = "jsonl"


class Encoding(StrEnum):
    """How a text stands in its document."""

    PLAIN = "plain"
    MARKUP = "markup"
    """With ``&lt;`` for ``<``."""
    JSON_STRING = "json_string"
    """Between the quotes of a string."""
    JSON_VALUE = "json_value"
    """As a whole value; changed anywhere, it is written anew as a string."""
    JSON_LIST = "json_list"
    """As a list of codes of the text; changed anywhere, it is emptied."""
    JSON_CODE = "json_code"
    """As a code of the text; changed, it becomes null."""


_WHOLE = frozenset({Encoding.JSON_VALUE, Encoding.JSON_LIST, Encoding.JSON_CODE})


@dataclass(frozen=True, slots=True)
class Run:
    """``[start, end)`` of a piece's text, read from ``[raw_start, raw_end)`` of the document.

    Of equal length they agree character by character; else they belong together as a whole.
    """

    start: int
    end: int
    raw_start: int
    raw_end: int

    def raw(self, start: int, end: int) -> tuple[int, int]:
        """Where the part of ``[start, end)`` that lies in this run was read from."""
        if self.end - self.start != self.raw_end - self.raw_start:
            return self.raw_start, self.raw_end
        shift = self.raw_start - self.start
        return max(start, self.start) + shift, min(end, self.end) + shift


@dataclass(frozen=True, slots=True)
class Piece:
    """A text and where it was read from; what lies between two runs (a tag) is left as it is."""

    text: str = field(repr=False)
    runs: tuple[Run, ...]
    encoding: Encoding = Encoding.PLAIN

    @classmethod
    def plain(cls, content: str, start: int, end: int) -> Piece:
        """``content[start:end]`` as it stands."""
        return cls(content[start:end], (Run(0, end - start, start, end),))

    def cut(self, start: int, end: int) -> Piece:
        """The part ``[start, end)`` of this piece."""
        runs = tuple(
            Run(max(run.start, start) - start, min(run.end, end) - start, *run.raw(start, end))
            for run in _between(self.runs, start, end)
        )
        return Piece(self.text[start:end], runs, self.encoding)

    def stripped(self) -> Piece:
        """This piece without white space around it."""
        left = len(self.text) - len(self.text.lstrip())
        return self.cut(left, max(left, len(self.text.rstrip())))


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece where it stands in its turn; what replaces a value is written once in each cell."""

    start: int
    piece: Piece

    def edits(self, replacements: Sequence[Replacement]) -> Iterator[tuple[int, int, str]]:
        """What to write over which stretch of the document for ``replacements`` of the turn.

        They are in order and do not overlap.
        """
        end = self.start + len(self.piece.text)
        parts: list[tuple[int, int, str]] = []
        for r in _between(replacements, self.start, end):
            left, right = max(r.start, self.start), min(r.end, end)
            text = r.text[left - r.start : right - r.start] if r.is_aligned else r.text
            parts.append((left - self.start, right - self.start, text))
        if not parts:
            return
        if self.piece.encoding in _WHOLE:
            (run,) = self.piece.runs
            text = " ".join(text for _, _, text in parts)
            yield run.raw_start, run.raw_end, _encoded(text, self.piece.encoding)
            return
        for left, right, text in parts:
            written = _encoded(text, self.piece.encoding)
            for run in _between(self.piece.runs, left, right):
                yield *run.raw(left, right), written
                written = ""


_Stretch = TypeVar("_Stretch", Run, Replacement)


def _between(stretches: Sequence[_Stretch], start: int, end: int) -> Iterator[_Stretch]:
    """Those of ``stretches``, in order and without overlap, that touch ``[start, end)``."""
    position = bisect_right(stretches, start, key=lambda stretch: stretch.end)
    while position < len(stretches) and stretches[position].start < end:
        yield stretches[position]
        position += 1


def _encoded(text: str, encoding: Encoding) -> str:
    match encoding:
        case Encoding.PLAIN:
            return text
        case Encoding.MARKUP:
            return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        case Encoding.JSON_STRING:
            return json.dumps(text, ensure_ascii=False)[1:-1]
        case Encoding.JSON_VALUE:
            return json.dumps(text, ensure_ascii=False)
        case Encoding.JSON_LIST:
            return "[]"
        case Encoding.JSON_CODE:
            return "null"


@dataclass(frozen=True, slots=True)
class Told:
    """What a text is known to be by its place, without its words: a speaker's name, a field.

    ``before`` and ``after`` make a sentence of it, in which a redactor knows it for what it is.
    Where ``is_sure``, it is PHI whatever the redactor says.
    """

    entity_type: EntityType
    recognizer: str
    before: str
    after: str = ""
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class Document:
    """A text read: its dialogues, and the way back.

    Most documents are one call and have one dialogue; a list of calls has one for each. ``cells``
    and ``told`` have an entry for each turn of each dialogue.
    """

    kind: DocumentKind
    content: str = field(repr=False)
    dialogues: tuple[Dialogue, ...] = field(repr=False)
    cells: tuple[tuple[tuple[Cell, ...], ...], ...] = field(repr=False)
    told: tuple[tuple[Told | None, ...], ...] = field(repr=False)

    def render(self, replacements: Sequence[Sequence[Sequence[Replacement]]]) -> str:
        """The document with ``replacements``, by dialogue and turn; all else is as it was.

        Raises ``RedactionError`` when two of them would be written over the same place.
        """
        edits: list[tuple[int, int, str]] = []
        for dialogue, by_turn, cells_by_turn in zip(
            self.dialogues, replacements, self.cells, strict=True
        ):
            for turn, of_turn, cells in zip(dialogue.turns, by_turn, cells_by_turn, strict=True):
                changed = [r for r in of_turn if r.text != turn.text[r.start : r.end]]
                for cell in cells if changed else ():
                    edits.extend(cell.edits(changed))
        pieces: list[str] = []
        position = 0
        for start, end, text in sorted(set(edits)):
            if start < position:
                raise RedactionError(
                    "The text could not be written back; nothing of it was written. Report this "
                    "with the kind of the document.",
                    kind="EditOverlap",
                )
            pieces += [self.content[position:start], text]
            position = end
        return "".join([*pieces, self.content[position:]])


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedDocument:
    """A text as it is handed out, and its calls as they would be kept.

    ``text`` has the operators applied; the turns of ``calls`` hold ``<TYPE_n>``, and their spans
    say why. ``kept`` counts the values that were left as they were because the user asked for it.
    """

    kind: DocumentKind
    text: str = field(repr=False)
    calls: tuple[RedactedDialogue, ...]
    kept: Mapping[EntityType, int]


@dataclass(slots=True, eq=False)
class Draft:
    """A turn in the making."""

    label: str | None = None
    role: Role | None = None
    told: Told | None = None
    text: str = field(default="", repr=False)
    cells: list[Cell] = field(default_factory=list, repr=False)
    start_s: float | None = None
    end_s: float | None = None

    def add(self, piece: Piece, *, joint: str = " ") -> None:
        """Put ``piece`` at the end, after ``joint``."""
        piece = piece.stripped()
        if piece.text:
            self.text += joint if self.text else ""
            self.cells.append(Cell(len(self.text), piece))
            self.text += piece.text


_CALLED_BY = {
    EntityType.PERSON: Told(EntityType.PERSON, SPEAKER_LABEL, "My name is ", "."),
    EntityType.PHONE: Told(EntityType.PHONE, SPEAKER_LABEL, "My phone number is ", "."),
    EntityType.EMAIL: Told(EntityType.EMAIL, SPEAKER_LABEL, "My email address is "),
}


class CallDraft:
    """A dialogue in the making: what is said, what stands beside it, what is told by its place."""

    def __init__(self) -> None:
        self.said: list[Draft] = []
        self._besides: dict[str, Draft] = {}
        self._told: dict[tuple[Told, str], Draft] = {}

    def say(
        self,
        piece: Piece,
        label: str | None,
        *,
        role: Role | None = None,
        goes_on: bool = False,
        start_s: float | None = None,
        end_s: float | None = None,
    ) -> Region | None:
        """Where ``piece`` lies in its turn: the last one, which it ``goes_on`` with, or its own.

        ``None`` where nothing is said.
        """
        if not piece.text.strip():
            return None
        if not (goes_on and self.said):
            self.said.append(Draft(label=label, role=role, start_s=start_s))
        draft = self.said[-1]
        draft.add(piece)
        draft.end_s = end_s
        return Region(draft, draft.cells[-1].start, len(draft.text))

    def beside(self, *pieces: Piece) -> Region | None:
        """The turn of ``pieces`` that nobody says; the same text again is the same turn."""
        draft = Draft()
        for piece in pieces:
            draft.add(piece)
        return self.put_beside(draft)

    def put_beside(self, draft: Draft) -> Region | None:
        """``draft``, or the turn of the same text that stands there already."""
        if not draft.text:
            return None
        known = self._besides.setdefault(draft.text, draft)
        if known is not draft:
            known.cells.extend(draft.cells)
        return Region(known, 0, len(known.text))

    def tell(self, piece: Piece, told: Told) -> None:
        """Take ``piece`` for what its place tells; the same value again is the same turn."""
        piece = piece.stripped()
        if piece.text:
            draft = self._told.setdefault((told, fold(piece.text)), Draft(told=told))
            if draft.text:
                draft.cells.append(Cell(0, piece))
            else:
                draft.add(piece)

    def tell_name(self, piece: Piece) -> None:
        """Take ``piece`` for what a speaker is called by, but for words that name nobody."""
        place = name_in(piece.text)
        if place is not None:
            name = piece.cut(*place)
            self.tell(name, _CALLED_BY[kind_of_name(name.text)])

    def finish(
        self, call_id: str
    ) -> tuple[Dialogue, tuple[tuple[Cell, ...], ...], tuple[Told | None, ...]]:
        """The dialogue, and the cells and what is told for each of its turns."""
        said = len(self.said)
        drafts = [*self.said, *self._besides.values(), *self._told.values()]
        roles = _roles(self.said)
        speakers = {label: f"speaker-{n}" for n, label in enumerate(roles, start=1)}
        turns = tuple(
            Turn(
                index=index,
                speaker=speakers.get(draft.label, "unknown") if index < said else ASIDE,
                role=roles.get(draft.label, Role.UNKNOWN),
                role_confidence=float(roles.get(draft.label, Role.UNKNOWN) is not Role.UNKNOWN),
                start_s=draft.start_s,
                end_s=draft.end_s,
                text=draft.text,
            )
            for index, draft in enumerate(drafts)
        )
        dialogue = Dialogue(
            call_id=call_id, language="en", asr_model="none", dropped_s=0.0, turns=turns
        )
        cells = tuple(tuple(draft.cells) for draft in drafts)
        return dialogue, cells, tuple(draft.told for draft in drafts)


_OPPOSITE = {Role.AGENT: Role.CALLER, Role.CALLER: Role.AGENT}


def _roles(said: Sequence[Draft]) -> dict[str | None, Role]:
    """The role of each label; of two speakers the one tells the other's."""
    roles: dict[str | None, Role] = {}
    for draft in said:
        if draft.label is not None:
            known = roles.get(draft.label, Role.UNKNOWN)
            roles[draft.label] = (
                known if known is not Role.UNKNOWN else draft.role or role_of(draft.label)
            )
    people = {label: role for label, role in roles.items() if role is not Role.SYSTEM}
    if len(people) == 2:
        (one, role), (other, other_role) = people.items()
        if role is Role.UNKNOWN:
            roles[one] = _OPPOSITE.get(other_role, Role.UNKNOWN)
        elif other_role is Role.UNKNOWN:
            roles[other] = _OPPOSITE.get(role, Role.UNKNOWN)
    return roles


# --- one text in several places ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Region:
    """``[start, end)`` of a turn in the making."""

    draft: Draft
    start: int
    end: int


def mirror(pieces: Sequence[Piece], regions: Sequence[Region]) -> list[list[Region]] | None:
    """Where each of ``pieces`` lies in ``regions``, if they hold one text, else ``None``.

    Case and white space do not count. The pieces become further places of the text, so that it is
    redacted alike to the letter.
    """
    there: list[tuple[int, int]] = []
    wanted: list[tuple[Draft, int]] = []
    for here, target in zip_longest(_letters_of(pieces), _places_in(regions)):
        if here is None or target is None:
            return None
        index, at = here
        draft, place = target
        if fold(pieces[index].text[at]) != fold(draft.text[place]):
            return None
        there.append(here)
        wanted.append(target)
    if not there:
        return None
    found: list[list[Region]] = [[] for _ in pieces]
    position = 0
    while position < len(there):
        index, draft = there[position][0], wanted[position][0]
        end = position + 1
        while end < len(there) and there[end][0] == index and wanted[end][0] is draft:
            end += 1
        cell = _mirror_cell(
            pieces[index],
            draft.text,
            [at for _, at in there[position:end]],
            [at for _, at in wanted[position:end]],
        )
        draft.cells.append(cell)
        found[index].append(Region(draft, cell.start, cell.start + len(cell.piece.text)))
        position = end
    return found


def _letters_of(pieces: Sequence[Piece]) -> Iterator[tuple[int, int]]:
    """Index of the piece and place in it of each character that is no white space."""
    for index, piece in enumerate(pieces):
        for at, character in enumerate(piece.text):
            if not character.isspace():
                yield index, at


def _places_in(regions: Sequence[Region]) -> Iterator[tuple[Draft, int]]:
    for region in regions:
        for place in range(region.start, region.end):
            if not region.draft.text[place].isspace():
                yield region.draft, place


def _mirror_cell(piece: Piece, text: str, there: list[int], wanted: list[int]) -> Cell:
    """The cell in which character ``wanted[i]`` of ``text`` is character ``there[i]`` of piece."""
    start = wanted[0]
    runs: list[Run] = []
    first = 0
    for i in range(1, len(there) + 1):
        is_end = i == len(there)
        if not is_end and there[i] - there[i - 1] == wanted[i] - wanted[i - 1] == 1:
            continue
        part = piece.cut(there[first], there[i - 1] + 1)
        shift = wanted[first] - start
        runs.extend(
            Run(run.start + shift, run.end + shift, run.raw_start, run.raw_end) for run in part.runs
        )
        if not is_end and there[i] - there[i - 1] > 1 and wanted[i] - wanted[i - 1] > 1:
            # White space on both sides goes when the words around it go.
            gap = piece.cut(there[i - 1] + 1, there[i]).runs
            runs.append(
                Run(
                    wanted[i - 1] + 1 - start,
                    wanted[i] - start,
                    gap[0].raw_start,
                    gap[-1].raw_end,
                )
            )
        first = i
    return Cell(start, Piece(text[start : wanted[-1] + 1], tuple(runs), piece.encoding))
