"""JSON and JSON Lines: labelled calls, transcripts of recognisers and platforms, anything else.

Every text is redacted, whatever its key; keys stay where they name a field. Of what the common
shapes mean, only that is used which makes redaction better: who says what, in which order, and
which texts are one text told several times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from qa_monitor.calls import EntityType, Role
from qa_monitor.redaction.calltext import fold
from qa_monitor.redaction.documents.fields import is_field_name, told_by_field, told_number
from qa_monitor.redaction.documents.jsontree import Node
from qa_monitor.redaction.documents.leads import CLOCK, DATE, name_in, role_of
from qa_monitor.redaction.documents.lines import STAMP_DATE
from qa_monitor.redaction.documents.parts import (
    CallDraft,
    Cell,
    Draft,
    Encoding,
    Piece,
    Region,
    Run,
    Told,
    mirror,
)
from qa_monitor.redaction.words import NAME_WORDS, NUMBER_WORDS, is_common

__all__ = ["read_structure"]

# Keys as they are compared: lower-case letters and digits only.
_TEXTS = frozenset(
    "text content message transcript body utterance caption msg sentence line phrase displaytext "
    "display".split()
)
_CONVERSATIONS = frozenset(
    "turns segments messages utterances transcript transcripts transcription conversation "
    "dialogue dialog entries phrases recognizedphrases sentences lines chat monologues results "
    "chunks".split()
)
# Conversations of stretches that need not be whole sentences.
_STRETCHES = frozenset("segments transcription chunks lines results".split())
_SPEAKERS = (
    "speaker speakername displayname name nickname author sender participant from user username "
    "speakerid speakerlabel speakertag participantid participantrole role party channel "
    "channeltag".split()
)
_WORD_LISTS = frozenset(
    "words wordsegments wordtimestamps items tokens characters chars displaywords lexicalwords "
    "word elements".split()
)
_WORD_TEXTS = ("punctuatedword", "word", "text", "token", "content", "displaytext", "value", "char")
_KINDS = frozenset("type kind category language lang".split())
_CODES = frozenset("id token tokenid".split())
_LONGEST_WORD = 40
_SPECIAL_TOKEN = re.compile(r"\[_(?:[A-Z]{2,6}_|TT_\d+)\]|<\|[a-z0-9_.]*\|>")
_SENTENCE_END = (".", "?", "!", "…", '."', '?"')

_STAMP = re.compile(
    rf"\s*(?:(?P<with_time>{DATE})(?:,?\s+(?:at\s+)?|T){CLOCK}"
    r"|(?P<compact>\d{8})T\d{6}Z?"
    r"|(?P<alone>\d{4}-\d{2}-\d{2}|\d{1,2}[/-]\d{1,2}[/-](?:\d{4}|\d{2})|\d{2}\.\d{2}\.\d{4}"
    r"|<DATE_\d+>))\s*",
    re.IGNORECASE,
)
_TIME = re.compile(
    rf"\s*(?:{CLOCK}|PT(?:[\d.]+[HMS])+|\d{{1,5}}\.\d{{1,3}}|\d{{1,6}}(?:\.\d{{1,9}})?\s?m?s)\s*",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    r"[a-z]{2}(?:-[A-Z]{2})?|(?:application|audio|video|text|image)/[a-z0-9.+-]+"
    r"|(?:in|out)bound|stereo|punct(?:uation)?|pronunciation|mp3|wav|flac|ogg|opus|m4a|webm|json|utf-?8"
)

# "agent-02", "SPEAKER_00"
_LABEL = re.compile(r"[A-Za-z]+[ _-]?\d{1,3}")


def read_structure(content: str, root: Node) -> list[CallDraft]:
    """The calls that ``root`` holds, in order; what lies around several calls is the last."""
    records = _records(root)
    calls: list[CallDraft] = []
    for record in records:
        reader = _CallReader(content)
        reader.visit(record, "")
        calls.append(reader.finish())
    around = _CallReader(content, besides={id(record) for record in records})
    around.visit(root, "")
    return [*calls, around.finish()]


# --- which parts are calls -----------------------------------------------------------------------


def _plain_key(key: Piece) -> str:
    return _plain(key.text)


@lru_cache(maxsize=512)
def _plain(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.lower())


def _children(node: Node) -> Iterator[tuple[str, Node]]:
    for key, value in node.members:
        yield _plain_key(key), value
    for item in node.items:
        yield "", item


def _records(root: Node) -> list[Node]:
    """The values that hold a conversation each, where there are several; else none."""
    with_talk = [child for key, child in _children(root) if _holds_conversation(child, key)]
    if len(with_talk) > 1 and all(child.kind == "object" for child in with_talk):
        return with_talk
    return _records(with_talk[0]) if len(with_talk) == 1 else []


def _holds_conversation(node: Node, key: str) -> bool:
    return _is_conversation(node, key) or any(
        _holds_conversation(child, child_key) for child_key, child in _children(node)
    )


def _is_conversation(node: Node, key: str) -> bool:
    """Whether ``node`` is a list of what was said, one entry after another."""
    entries = [item for item in node.items if _entry_text(item) or _has_words(item)]
    if not entries or key in _WORD_LISTS or 2 * len(entries) < len(node.items):
        return False
    if not key or key in _CONVERSATIONS:
        return True
    spoken = [entry for entry in entries if any(k in _SPEAKERS for k, _ in _children(entry))]
    return 2 * len(spoken) > len(entries)


def _entry_text(node: Node) -> Node | None:
    """What is said in an entry, as its text or inside of it."""
    for key, value in node.members:
        if _plain_key(key) in _TEXTS:
            if value.kind == "string":
                return value
            inner = next(iter(value.items), value)
            return _entry_text(inner)
    return None


def _has_words(node: Node) -> bool:
    return any(key in _WORD_LISTS and value.items for key, value in _children(node))


# --- one call ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Words:
    """Words with times that hold a text once more; ``shadows`` are further forms of each."""

    owner: int
    pieces: list[Piece] = field(default_factory=list)
    joints: list[str] = field(default_factory=list)
    shadows: list[list[tuple[Node, Encoding]]] = field(default_factory=list)


class _CallReader:
    def __init__(self, content: str, besides: set[int] | None = None) -> None:
        self._content = content
        self._seen = besides or set()
        self._call = CallDraft()
        self._texts: list[tuple[int, Piece]] = []
        self._told_again: list[list[tuple[int, Piece]]] = []
        self._words: list[_Words] = []
        self._codes: list[tuple[int, Node]] = []
        self._regions: dict[int, list[Region]] = {}

    # --- what there is ---------------------------------------------------------------------------

    def visit(self, node: Node, key: str) -> None:
        """Take in ``node``, the value of ``key`` as it is written."""
        if id(node) in self._seen:
            return
        plain = _plain(key)
        if node.kind == "string":
            self._text(node, key)
        elif node.kind == "number":
            self._number(node, key)
        elif node.kind == "object":
            self._object(node)
        elif node.kind == "array":
            if _is_conversation(node, plain):
                self._conversation(node, plain)
            else:
                for item in node.items:
                    self.visit(item, key)

    def _text(self, node: Node, key: str) -> None:
        piece, text = node.piece, node.text
        if piece is None or not text.strip():
            return
        if stamp := _STAMP.fullmatch(text):
            self._call.tell(piece.cut(*stamp.span(str(stamp.lastgroup))), STAMP_DATE)
            return
        told = told_by_field(key, text)
        if not (told and told.is_sure) and (_TIME.fullmatch(text) or _is_machine(text)):
            return
        if told:
            self._call.tell(piece, told)
        else:
            self._call.beside(piece)

    def _number(self, node: Node, key: str) -> None:
        if told := told_number(key, self._content[node.start : node.end]):
            self._call.tell(_whole(node, self._content[node.start : node.end]), told)

    def _object(self, node: Node) -> None:
        label = self._labelled(node)
        self._keys(node)
        for key, value in node.members:
            plain = _plain_key(key)
            if value.piece is None or plain not in _TEXTS or id(value) in self._seen:
                self._member(node, key, value)
            elif plain == "text" and label is not None:
                self._call.tell(value.piece, label)
            else:
                self._texts.append((id(node), value.piece))

    def _labelled(self, node: Node) -> Told | None:
        """What an object of a text and its type of PHI tells, as labelled calls have them."""
        for key, value in node.members:
            if _plain_key(key) == "type" and value.text in EntityType.__members__:
                return Told(EntityType(value.text), "labels", "")
        return None

    def _member(self, owner: Node, key: Piece, value: Node) -> None:
        if id(value) in self._seen:
            return
        plain = _plain_key(key)
        words = self._word_list(value, id(owner)) if plain in _WORD_LISTS else None
        if words is not None:
            self._words.append(words)
        elif plain == "tokens" and value.items and all(i.kind == "number" for i in value.items):
            self._codes.append((id(owner), value))
        else:
            self.visit(value, key.text)

    def _keys(self, node: Node) -> None:
        """Redact the keys that name no field: in an object of calls by name or by number."""
        named = {key.text: self._is_field_name(key) for key, _ in node.members}
        has_names = 2 * sum(is_field is None for is_field in named.values()) > len(named)
        for key, _ in node.members:
            is_field = named[key.text]
            if is_field is False or (is_field is None and has_names):
                self._call.beside(key)

    def _is_field_name(self, key: Piece) -> bool | None:
        plain = _plain_key(key)
        is_known = plain in _TEXTS | _CONVERSATIONS | _WORD_LISTS or plain in _SPEAKERS
        return True if is_known else is_field_name(key.text)

    def _conversation(self, node: Node, key: str) -> None:
        is_first = not self._call.said
        again: list[tuple[int, Piece]] = []
        for entry in node.items:
            text = _entry_text(entry)
            if text is None or text.piece is None:
                if not (is_first and self._say_words(entry)):
                    self.visit(entry, "")
                continue
            label, role = self._speaker(entry)
            self._seen.add(id(text))
            if is_first:
                last = self._call.said[-1] if self._call.said else None
                goes_on = (
                    key in _STRETCHES
                    and last is not None
                    and last.label == label
                    and (label is not None or not last.text.endswith(_SENTENCE_END))
                )
                region = self._call.say(text.piece, label, role=role, goes_on=goes_on)
                if region is not None:
                    self._regions[id(entry)] = [region]
            else:
                again.append((id(entry), text.piece))
            self._keys(entry)
            for member_key, value in entry.members:
                self._member(entry, member_key, value)
        if again:
            self._told_again.append(again)

    def _speaker(self, entry: Node) -> tuple[str | None, Role | None]:
        """Who says an entry: label and role."""
        label: str | None = None
        role: Role | None = None
        by_key = {_plain_key(key): value for key, value in entry.members}
        for key in _SPEAKERS:
            value = by_key.get(key)
            if value is None or value.kind in {"array", "word"}:
                continue
            if value.kind == "object":
                called, known = self._speaker(value)
            else:
                called = fold(value.text.strip())
                if value.piece is not None:
                    self._call.tell_name(value.piece.stripped())
                    self._seen.add(id(value))
                else:
                    called = f"{key} {self._content[value.start : value.end]}"
                known = role_of(called)
            label = label or called or None
            role = role or (known if known is not Role.UNKNOWN else None)
        return label, role

    # --- words -----------------------------------------------------------------------------------

    def _word_list(self, node: Node, owner: int) -> _Words | None:
        """The words of ``node``, if that is what it lists."""
        words = _Words(owner)
        if node.kind != "array" or not node.items:
            return None
        for item in node.items:
            main = item if item.kind == "string" else _word_text(item)
            if main is None or main.piece is None or not _is_word(main.text):
                return None
            if _SPECIAL_TOKEN.fullmatch(main.text):
                continue
            words.pieces.append(main.piece)
            words.shadows.append(list(_shadows(item, main)))
        is_letters = all(len(piece.text) <= 1 for piece in words.pieces)
        is_spaced = any(piece.text[:1].isspace() for piece in words.pieces[1:])
        before = ""
        for piece in words.pieces:
            # Where some words come with their space, those without go on with the last.
            has_gap = piece.text[:1].isspace() or before[-1:].isspace()
            words.joints.append(" " if has_gap or not (is_spaced or is_letters) else "")
            before = piece.text
        for item in node.items:
            self._keys(item)
            self._speaker(item)
            for key, value in item.members:
                if _plain_key(key) in _KINDS:
                    self.visit(value, key.text)
        return words

    # --- one text told several times -------------------------------------------------------------

    def finish(self) -> CallDraft:
        """The call, with all that repeats what is said put to it."""
        whole = [Region(draft, 0, len(draft.text)) for draft in self._call.said]
        for entries in self._told_again:
            found = mirror([piece for _, piece in entries], whole)
            for index, (owner, piece) in enumerate(entries):
                if found is not None:
                    self._regions[owner] = found[index]
                elif region := self._call.say(piece, None):
                    self._regions[owner] = [region]
        for owner, piece in self._texts:
            found = mirror([piece], whole)
            if found is not None:
                self._regions.setdefault(owner, []).extend(found[0])
            elif region := self._call.beside(piece):
                self._regions.setdefault(owner, []).append(region)
        for words in self._words:
            self._put_words(words, whole)
        for owner, node in self._codes:
            for region in self._regions.get(owner, ()):
                _shade(node, region, Encoding.JSON_LIST)
        return self._call

    def _put_words(self, words: _Words, whole: Sequence[Region]) -> None:
        own = self._regions.get(words.owner, ())
        found = mirror(words.pieces, own) or mirror(words.pieces, whole)
        if found is None:
            draft, found = _written_out(words)
            region = self._call.put_beside(draft)
            if region is not None and region.draft is not draft:
                found = [[Region(region.draft, r.start, r.end) for r in places] for places in found]
        _shade_words(words, found)

    def _say_words(self, entry: Node) -> bool:
        """Whether ``entry`` tells what was said, and by whom, in words alone; then it is said."""
        if not any(key in _SPEAKERS for key, _ in _children(entry)):
            return False
        for key, value in entry.members:
            words = self._word_list(value, id(entry)) if _plain_key(key) in _WORD_LISTS else None
            if words is not None:
                draft, found = _written_out(words)
                draft.label, draft.role = self._speaker(entry)
                if draft.text:
                    self._call.said.append(draft)
                _shade_words(words, found)
                self._seen.add(id(value))
                self.visit(entry, "")
                return True
        return False


def _written_out(words: _Words) -> tuple[Draft, list[list[Region]]]:
    """A turn of ``words``, and where each of them stands in it."""
    draft = Draft()
    found: list[list[Region]] = []
    for piece, joint in zip(words.pieces, words.joints, strict=True):
        start = len(draft.text)
        draft.add(piece, joint=joint)
        found.append([Region(draft, start, len(draft.text))])
    return draft, found


def _shade_words(words: _Words, found: Sequence[Sequence[Region]]) -> None:
    for places, shadows in zip(found, words.shadows, strict=True):
        for node, encoding in shadows:
            for place in places:
                _shade(node, place, encoding if len(places) == 1 else Encoding.JSON_CODE)


def _is_machine(text: str) -> bool:
    """Whether a value is one of a machine's, or an ordinary word by itself: nobody's name."""
    if _MACHINE.fullmatch(text) or text in EntityType.__members__:
        return True
    if _LABEL.fullmatch(text) and name_in(text) is None:
        return True
    ordinary = (
        word.islower() and is_common(word) and word not in NAME_WORDS | NUMBER_WORDS
        for word in text.split("_")
    )
    return all(ordinary)


def _whole(node: Node, text: str, encoding: Encoding = Encoding.JSON_VALUE) -> Piece:
    return Piece(text, (Run(0, len(text), node.start, node.end),), encoding)


def _shade(node: Node, region: Region, encoding: Encoding) -> None:
    """Let ``node`` go when anything of ``region`` goes."""
    text = region.draft.text[region.start : region.end]
    if text:
        region.draft.cells.append(Cell(region.start, _whole(node, text, encoding)))


def _is_word(text: str) -> bool:
    return len(text) <= _LONGEST_WORD and len(text.split()) <= 1


def _word_text(node: Node) -> Node | None:
    """What the word is, of an entry in a list of words."""
    by_key = {_plain_key(key): value for key, value in node.members}
    for key in _WORD_TEXTS:
        value = by_key.get(key)
        if value is not None and value.kind == "string":
            return value
    alternatives = by_key.get("alternatives")
    return _word_text(alternatives.items[0]) if alternatives and alternatives.items else None


def _shadows(node: Node, main: Node, key: str = "") -> Iterator[tuple[Node, Encoding]]:
    """All else in a word's entry that may tell the word: other forms of it, codes of it."""
    if node is main or key in _KINDS or key in _SPEAKERS:
        return
    if node.kind == "string" and not _TIME.fullmatch(node.text):
        yield node, Encoding.JSON_VALUE
    elif node.kind == "number" and key in _CODES:
        yield node, Encoding.JSON_CODE
    for child_key, child in _children(node):
        yield from _shadows(child, main, child_key)
