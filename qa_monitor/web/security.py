"""What guards every request: the access log, security headers, and where a request comes from.

The middlewares are plain ASGI, because an answer may be a stream of sound. The log is written
before the first byte of an answer goes out: what cannot be logged is not shown.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request

from qa_monitor.errors import AccessDeniedError, QAMonitorError
from qa_monitor.store import Access

if TYPE_CHECKING:
    from starlette.responses import Response

    from qa_monitor.store import AccessLog

__all__ = [
    "MOST_BYTES",
    "AccessLogged",
    "BodyLimited",
    "FaultsCaught",
    "SecurityHeaders",
    "check_origin",
    "check_token",
    "cookie_name",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 1024 * 1024
"""Of the body of a request; the longest form, with every field full, is a quarter of that."""

_UNLOGGED = ("/static/", "/health", "/favicon.ico", "/api/v1/openapi.json")
_REFUSED = {401, 403, 404, 405, 429}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)


class SecurityHeaders:
    """Adds to every answer what keeps a browser from doing more than the pages ask for."""

    def __init__(self, app: App, *, has_tls: bool) -> None:
        self._app = app
        self._has_tls = has_tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                headers["Referrer-Policy"] = "same-origin"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
                headers["X-Robots-Tag"] = "noindex, nofollow"
                if not scope["path"].startswith("/static/"):
                    headers["Cache-Control"] = "no-store"
                if self._has_tls:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, send_with_headers)


class AccessLogged:
    """Writes an entry for every answer before it goes out; without the entry there is no answer.

    Routes say what they did in ``scope["state"]["access"]`` (see ``viewing.Viewer.note``).
    """

    def __init__(self, app: App, *, log: Callable[[], AccessLog]) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, once it is noted."""
        if scope["type"] != "http" or scope["path"].startswith(_UNLOGGED):
            await self._app(scope, receive, send)
            return
        is_lost = False

        async def send_once_noted(message: Message) -> None:
            nonlocal is_lost
            if is_lost:
                return
            if message["type"] == "http.response.start":
                try:
                    await run_sync(self._note, scope, message["status"])
                except QAMonitorError:
                    is_lost = True
                    await _send_plainly(send, 503, "The access log cannot be written.")
                    return
            await send(message)

        await self._app(scope, receive, send_once_noted)

    def _note(self, scope: Scope, status: int) -> None:
        said = scope.get("state", {}).get("access", {})
        if said.get("is_silent") and status < 400:
            return
        route = getattr(scope.get("route"), "path", None) or "no route"
        if status in _REFUSED or said.get("is_refused"):
            outcome = "refused"
        else:
            outcome = "allowed" if status < 400 else "failed"
        client = scope.get("client")
        self._log().note(
            [
                Access(
                    at=datetime.now(UTC),
                    user_id=said.get("user_id"),
                    via=said.get("via", "none"),
                    action=said.get("action") or f"{scope['method']} {route}",
                    kind=said.get("kind"),
                    object_id=said.get("object_id"),
                    outcome=outcome,
                    reason=said.get("reason"),
                    client=client[0] if client else None,
                )
            ]
        )


class FaultsCaught:
    """Answers with ``tell`` where the application fails, within the log and with the headers.

    The fault goes no further: whoever caught it next would print its text, which may quote a call.
    """

    def __init__(
        self, app: App, *, tell: Callable[[Request, Exception], Awaitable[Response]]
    ) -> None:
        self._app = app
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and tell what fails."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_and_see(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        fault: Exception | None = None
        try:
            await self._app(scope, receive, send_and_see)
        except Exception as error:  # noqa: BLE001 - whatever it is, its text is not printed
            fault = error
        if fault is None:
            return
        answer = await self._tell(Request(scope), fault)
        # An answer that breaks off is ended by the server.
        if not has_begun:
            await answer(scope, receive, send)


class BodyLimited:
    """Reads no more than ``most`` bytes of a request; nothing here takes files."""

    def __init__(self, app: App, *, most: int = MOST_BYTES) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; 413 for whoever reads on."""
        count = 0

        async def receive_some() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > self._most:
                raise HTTPException(413, "the request is larger than anything that is asked for.")
            return message

        await self._app(scope, receive_some if scope["type"] == "http" else receive, send)


async def _send_plainly(send: Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


def cookie_name(*, has_tls: bool) -> str:
    """The session cookie's name; with TLS one that browsers take from this host only."""
    return "__Host-qa_session" if has_tls else "qa_session"


def check_origin(request: Request) -> None:
    """Raises ``AccessDeniedError`` when a browser says that the request comes from elsewhere."""
    said = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    is_foreign = said is not None and said not in {"same-origin", "none"}
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        is_foreign = True
    if is_foreign:
        raise AccessDeniedError("the request comes from another site. Open the page here again.")


def check_token(given: str | None, expected: str) -> None:
    """Raises ``AccessDeniedError`` unless the form carries the token of its session."""
    if given is None or not secrets.compare_digest(given.encode(), expected.encode()):
        raise AccessDeniedError(
            "the form is too old or comes from elsewhere. Load the page again and repeat."
        )
