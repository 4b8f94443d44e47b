"""The sound of a call: the redacted recording, its waveform and, where allowed, the original.

The original is served only where the configuration says so twice (kept at all, heard at all), to
somebody who may, for a reason that is typed and logged, by a ticket that is good for one request of
the same session within a minute.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path as File
from typing import Annotated

from fastapi import Form, Path
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.requests import Request

from qa_monitor.accounts import Permission
from qa_monitor.errors import AccessDeniedError, NotFoundError, UsageError
from qa_monitor.web.one_call import CallId
from qa_monitor.web.viewing import Signed, Sittings, Viewer, page_router

__all__ = ["REASON_SHORTEST", "pages"]

pages = page_router()

REASON_SHORTEST = 10
"""Characters of the reason for hearing an original."""
_REASON_LONGEST = 500
_TICKET_LASTS = timedelta(minutes=1)
_FLAC = "audio/flac"
_CHUNK = 256 * 1024


# --- the redacted recording ----------------------------------------------------------------------


_LISTENS = Sittings()
"""Who is listening to what."""


@pages.get("/calls/{call_id}/audio", name="audio")
def audio(viewer: Signed, call_id: CallId, request: Request) -> Response:
    """The redacted recording, whole or in ranges."""
    viewer.note("call.listen")
    viewer.reach(call_id, Permission.SEE_CALLS)
    recording = viewer.monitor.kept_copy(call_id)
    if not recording.is_file():
        raise NotFoundError("no recording of this call is kept.")
    asked = request.headers.get("range", "bytes=0-")
    if not _LISTENS.begins(
        viewer.user.user_id, call_id, is_start=asked.startswith("bytes=0-"), now=viewer.now
    ):
        viewer.note_nothing()
    return FileResponse(recording, media_type=_FLAC, headers={"Content-Disposition": "inline"})


@pages.get("/calls/{call_id}/waveform", name="waveform")
def waveform(viewer: Signed, call_id: CallId) -> Response:
    """How loud the recording is over its length, by channel."""
    viewer.note("call.waveform")
    viewer.reach(call_id, Permission.SEE_CALLS)
    found = viewer.monitor.waveform(call_id)
    return JSONResponse({"duration_s": found.duration_s, "lanes": found.lanes})


# --- the original --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ticket:
    call_id: str
    session: str
    until: datetime


class _Tickets:
    """Tickets that are out; each is good once."""

    def __init__(self) -> None:
        self._out: dict[str, _Ticket] = {}
        self._lock = threading.Lock()

    def issue(self, call_id: str, session: str, *, now: datetime) -> str:
        """A new ticket for ``call_id`` and ``session``."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._out = {key: one for key, one in self._out.items() if one.until > now}
            self._out[secret] = _Ticket(call_id, session, now + _TICKET_LASTS)
        return secret

    def redeem(self, secret: str, call_id: str, session: str, *, now: datetime) -> bool:
        """Whether the ticket is good for this; from now on it is not."""
        with self._lock:
            ticket = self._out.pop(secret, None)
        return (
            ticket is not None
            and ticket.until > now
            and ticket.call_id == call_id
            and secrets.compare_digest(ticket.session, session)
        )


_TICKETS = _Tickets()


@pages.post("/calls/{call_id}/unredacted", name="ask_unredacted")
def ask_unredacted(
    viewer: Signed,
    call_id: CallId,
    reason: Annotated[str, Form(max_length=_REASON_LONGEST * 2)] = "",
) -> Response:
    """A player for the original, good for one hearing."""
    reason = " ".join(reason.split())
    viewer.note("call.listen_unredacted", reason=reason[:_REASON_LONGEST] or None)
    _original(viewer, call_id)
    if not REASON_SHORTEST <= len(reason) <= _REASON_LONGEST:
        raise UsageError(
            f"say why you need the original, in {REASON_SHORTEST} to {_REASON_LONGEST} "
            "characters. The reason is logged."
        )
    ticket = _TICKETS.issue(call_id, _session_of(viewer), now=viewer.now)
    template = "one_call/original.html.j2" if viewer.is_htmx else "one_call/original_page.html.j2"
    show = viewer.partial if viewer.is_htmx else viewer.page
    return show(template, call_id=call_id, ticket=ticket)


@pages.get("/calls/{call_id}/unredacted/{ticket}", name="unredacted")
def unredacted(
    viewer: Signed,
    call_id: CallId,
    ticket: Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{20,80}$")],
) -> Response:
    """The original, whole, once."""
    viewer.note("call.play_unredacted")
    recording = _original(viewer, call_id)
    if not _TICKETS.redeem(ticket, call_id, _session_of(viewer), now=viewer.now):
        raise AccessDeniedError("this ticket is used up or too old. Give your reason again.")
    # In one piece: a request for a part would be a second one, and the ticket is good for one.
    return StreamingResponse(
        _chunks(recording),
        media_type=_FLAC,
        headers={
            "Accept-Ranges": "none",
            "Content-Disposition": "inline",
            "Content-Length": str(recording.stat().st_size),
        },
    )


def _original(viewer: Viewer, call_id: str) -> File:
    """Where the original is; ``AccessDeniedError`` unless it may be heard at all."""
    viewer.reach(call_id, Permission.HEAR_UNREDACTED)
    settings = viewer.monitor.config
    if not (settings.web.allow_unredacted and settings.audio.keep_original):
        raise AccessDeniedError(
            "originals are not played here. An administrator would have to set "
            "web.allow_unredacted and audio.keep_original."
        )
    recording = viewer.monitor.kept_original(call_id)
    if not recording.is_file():
        raise NotFoundError("the original of this call is not kept.")
    return recording


def _session_of(viewer: Viewer) -> str:
    """What tells one sign-in from another; the token of its forms, which it has for its life."""
    return viewer.session.csrf_token if viewer.session is not None else ""


def _chunks(recording: File) -> Iterator[bytes]:
    with recording.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
