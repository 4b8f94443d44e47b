"""Signing in and out, and where somebody starts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from qa_monitor.accounts import sign_in
from qa_monitor.errors import SignInError
from qa_monitor.web.security import check_origin
from qa_monitor.web.viewing import Signed, Viewer, page_router

if TYPE_CHECKING:
    from qa_monitor.accounts import Sessions
    from qa_monitor.web.pages import Pages

__all__ = ["open_pages", "pages"]

open_pages = APIRouter(include_in_schema=False)
"""What somebody unknown may ask for; nothing else is answered without a session or a token."""
pages = page_router()

Next = Annotated[str, Query(max_length=2000, alias="next")]


@open_pages.get("/health", name="health")
def health() -> Response:
    """That the process runs; nothing of what it holds."""
    return PlainTextResponse("ok\n")


@open_pages.get("/sign-in", name="sign_in")
def sign_in_page(request: Request, wanted: Next = "") -> Response:
    """The form; ``next`` is where to go then."""
    return _form(request, wanted=wanted)


@open_pages.post("/sign-in", name="sign_in_try")
async def try_sign_in(
    request: Request,
    user_id: Annotated[str, Form(max_length=100)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    wanted: Annotated[str, Form(max_length=2000, alias="next")] = "",
) -> Response:
    """A new session, whatever stood before, or the form with what was wrong."""
    check_origin(request)
    # Few at a time: each takes 64 MiB, and whoever tries many keeps no page waiting.
    limiter = request.app.state.sign_ins_at_once
    return await run_sync(_try, request, user_id, password, wanted, limiter=limiter)


def _try(request: Request, user_id: str, password: str, wanted: str) -> Response:
    now = datetime.now(UTC)
    state = request.app.state
    name = user_id.strip().lower()
    # Whoever mistakes the field for that of the password should not find it in the log.
    request.state.access = {"action": "sign_in", "via": "none"}
    try:
        user = sign_in(
            state.monitor.store.people, name, password, now=now, strangers=state.strangers
        )
    except SignInError as error:
        return _form(request, wanted=wanted, problem=error.message, status=401)
    viewer = Viewer(request, user, via="session")
    viewer.note("sign_in", kind="user", object_id=user.user_id)
    sessions: Sessions = state.sessions
    secret = sessions.begin(user, now=now)
    response = RedirectResponse(_within(wanted) or state.pages.first_page(viewer), 303)
    response.set_cookie(
        state.cookie, secret, httponly=True, samesite="lax", secure=state.has_tls, path="/"
    )
    return response


@pages.post("/sign-out", name="sign_out")
def sign_out(viewer: Signed) -> Response:
    """The end of the session."""
    viewer.note("sign_out", kind="user", object_id=viewer.user.user_id)
    state = viewer.request.app.state
    sessions: Sessions = state.sessions
    sessions.end(viewer.request.cookies[state.cookie])
    response = viewer.back_to("sign_in")
    # Browsers heed nothing less for a cookie of that name.
    response.delete_cookie(state.cookie, path="/", secure=state.has_tls)
    return response


@pages.get("/", name="start")
def start(viewer: Signed) -> Response:
    """The first page of this user's day."""
    viewer.note("start")
    first: str = viewer.request.app.state.pages.first_page(viewer)
    return RedirectResponse(first, 303)


def _form(request: Request, *, wanted: str, problem: str = "", status: int = 200) -> Response:
    pages: Pages = request.app.state.pages
    text = pages.render("sign_in/form.html.j2", wanted=_within(wanted) or "", problem=problem)
    return HTMLResponse(text, status)


def _within(address: str) -> str | None:
    """``address`` if it is a page of this site: a path, and no way to another host."""
    is_path = address.startswith("/") and not address.startswith(("//", "/\\"))
    has_control = any(ord(character) < 33 or character == "\\" for character in address)
    return address if is_path and not has_control else None
