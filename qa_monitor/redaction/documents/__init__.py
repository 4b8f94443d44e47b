"""Texts of every shape, redacted and given back as they were: notes, chats, captions, JSON.

``read_document`` tells what a text is and cuts it into turns; ``redact_document`` redacts them and
writes what replaces each value back into the text, which stays the same in all else, to the
character. The readers are this product's own: libraries for captions and JSON give the
values and forget where they stood, and what they write again is another text.
"""

from __future__ import annotations

import re
from contextlib import suppress

from qa_monitor.errors import UsageError
from qa_monitor.redaction.documents.captions import has_cues, is_vtt, read_captions
from qa_monitor.redaction.documents.jsontree import Node, parse_json, parse_json_lines
from qa_monitor.redaction.documents.lines import looks_like_chat, read_chat, read_text
from qa_monitor.redaction.documents.parts import Document, DocumentKind, RedactedDocument
from qa_monitor.redaction.documents.redacting import redact_document
from qa_monitor.redaction.documents.structured import read_structure

__all__ = [
    "Document",
    "DocumentKind",
    "RedactedDocument",
    "read_document",
    "redact_document",
]

_BY_SUFFIX = {
    ".json": DocumentKind.JSON,
    ".jsonl": DocumentKind.JSONL,
    ".ndjson": DocumentKind.JSONL,
    ".vtt": DocumentKind.VTT,
    ".srt": DocumentKind.SRT,
}
_PARSERS = {DocumentKind.JSON: parse_json, DocumentKind.JSONL: parse_json_lines}
_JSON_MAY_BEGIN = re.compile(r"[\ufeff\s]*[\[{]")
_JSON_BEGINS = re.compile(r"[\ufeff\s]*(?:\{\s*[\"}]|\[\s*[\[{\"\]])")


def read_document(
    content: str, *, kind: DocumentKind | None = None, suffix: str = "", call_id: str = "text"
) -> Document:
    """``content`` read as ``kind``, or as what it shows itself to be.

    ``suffix`` is that of its file (".vtt") and decides where the content does not: what is broken
    then is refused, and not taken for something else. ``call_id`` names the call, and its calls
    (``call_id-1``...) if the document is a list of several. Raises ``UsageError``, with the line
    and none of its words, for what is not of its kind.
    """
    root: Node | None = None
    if kind is None:
        kind, root = _kind_of(content, _BY_SUFFIX.get(suffix.lower()))
    match kind:
        case DocumentKind.JSON:
            calls = read_structure(content, root or parse_json(content))
        case DocumentKind.JSONL:
            calls = read_structure(content, root or parse_json_lines(content))
        case DocumentKind.VTT | DocumentKind.SRT:
            calls = [read_captions(content, is_webvtt=kind is DocumentKind.VTT)]
        case DocumentKind.CHAT:
            calls = [read_chat(content)]
        case DocumentKind.TEXT:
            calls = [read_text(content)]
    finished = [
        call.finish(call_id if len(calls) == 1 else f"{call_id}-{number}")
        for number, call in enumerate(calls, start=1)
    ]
    filled = [parts for parts in finished if parts[0].turns]
    return Document(
        kind=kind,
        content=content,
        dialogues=tuple(dialogue for dialogue, _, _ in filled),
        cells=tuple(cells for _, cells, _ in filled),
        told=tuple(told for _, _, told in filled),
    )


def _kind_of(content: str, hint: DocumentKind | None) -> tuple[DocumentKind, Node | None]:
    """What ``content`` shows itself to be, and its values if that is JSON."""
    if is_vtt(content):
        return DocumentKind.VTT, None
    if _JSON_MAY_BEGIN.match(content):
        for kind, parse in _PARSERS.items():
            with suppress(UsageError):
                return kind, parse(content)
        if hint is None and _JSON_BEGINS.match(content):
            with suppress(UsageError):
                parse_json(content.lstrip("\ufeff \t\r\n").splitlines()[0])
                return DocumentKind.JSONL, None
            return DocumentKind.JSON, None
    if hint is not None:
        return hint, None
    if has_cues(content):
        return DocumentKind.SRT, None
    return (DocumentKind.CHAT if looks_like_chat(content) else DocumentKind.TEXT), None
