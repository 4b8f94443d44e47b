"""Who asks, and what he may: every route has its ``Viewer`` and states its permission with it.

``page_router`` and ``api_router`` make routers that answer nobody unknown: pages want a session
(and, where something changes, the form's token and an origin that is this site), the API a bearer
token. A route then asks ``viewer.require`` or, of a call or an agent, ``viewer.call`` and
``viewer.agent``. A missing permission is 403; a call outside the scope is 404, like one that does
not exist, so that nobody learns which ids there are.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import quote, unquote

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from qa_monitor.accounts import Permission, Sessions, may, scope_of, user_of_token
from qa_monitor.calls import CallRecord
from qa_monitor.errors import AccessDeniedError, NotFoundError, SignInError
from qa_monitor.store import Agent, Scope, Session, Store, User
from qa_monitor.web.security import check_origin, check_token

if TYPE_CHECKING:
    from qa_monitor.monitor import Monitor
    from qa_monitor.web.pages import Pages

__all__ = [
    "FLASH_COOKIE",
    "Problem",
    "Signed",
    "Sittings",
    "Viewer",
    "api_router",
    "page_router",
]

FLASH_COOKIE = "qa_said"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_SITTING = timedelta(hours=1)


class Problem(BaseModel):
    """What an error answers, after RFC 9457."""

    title: str
    status: int
    detail: str


class Viewer:
    """Somebody known who asks for something, for the time of one request."""

    def __init__(
        self, request: Request, user: User, *, via: str, session: Session | None = None
    ) -> None:
        self.request = request
        self.user = user
        self.via = via
        self.session = session
        self.monitor: Monitor = request.app.state.monitor
        self.store: Store = self.monitor.store
        self.now = datetime.now(UTC)
        self._pages: Pages = request.app.state.pages
        self._flash: str | None = None
        self._access: dict[str, Any] = {"user_id": user.user_id, "via": via}
        request.state.access = self._access

    # --- what he may -----------------------------------------------------------------------------

    def may(self, permission: Permission) -> bool:
        """Whether the user has ``permission`` for anything at all."""
        return may(self.user, permission)

    def require(self, permission: Permission) -> Scope:
        """The calls for which the user has ``permission``; ``AccessDeniedError`` without it."""
        if not self.may(permission):
            raise AccessDeniedError("your roles do not allow this. Ask an administrator.")
        return scope_of(self.user, permission)

    def reach(self, call_id: str, permission: Permission) -> None:
        """Nothing; ``NotFoundError`` for a call that is not there or not within the scope."""
        self._about("call", call_id)
        scope = self.require(permission)
        found = self.store.people.agent_of_call(call_id)
        if found is None or not scope.covers(*found):
            raise NotFoundError("there is no such call, or it is not yours to see.")

    def call(self, call_id: str, permission: Permission) -> CallRecord:
        """The call with its card in use, where the user has ``permission`` for it."""
        self.reach(call_id, permission)
        return self.monitor.record(call_id)

    def agent(self, agent_id: str, permission: Permission) -> Agent:
        """The agent, listed or with calls, where the user has ``permission`` for the agent's."""
        self._about("agent", agent_id)
        scope = self.require(permission)
        for agent in self.store.people.agents(scope):
            if agent.agent_id == agent_id:
                return agent
        raise NotFoundError("there is no such agent, or not in your teams.")

    # --- the access log --------------------------------------------------------------------------

    def note(
        self,
        action: str,
        *,
        kind: str | None = None,
        object_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Say what this request does, for the access log; ``call`` and ``agent`` name the object.

        ``reason`` is what the user typed where a reason is asked for.
        """
        self._access["action"] = action
        if kind is not None:
            self._about(kind, object_id)
        if reason is not None:
            self._access["reason"] = reason

    def note_nothing(self) -> None:
        """Say that the log has an entry already that covers this request, as of one playback."""
        self._access["is_silent"] = True

    def _about(self, kind: str, object_id: str | None) -> None:
        self._access |= {"kind": kind, "object_id": object_id and object_id[:200]}

    # --- answers ---------------------------------------------------------------------------------

    @property
    def looks_again(self) -> bool:
        """Whether the page asks by itself what is new in what it shows (``seen`` in its query)."""
        return _looks_again(self.request)

    @property
    def is_htmx(self) -> bool:
        """Whether a part of a page is asked for, by its script; not when it goes back a page."""
        headers = self.request.headers
        return headers.get("hx-request") == "true" and "hx-history-restore-request" not in headers

    def page(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """A whole page."""
        said = self.request.cookies.get(FLASH_COOKIE)
        response = HTMLResponse(
            self._pages.render(template, viewer=self, said=said and unquote(said), **context),
            status_code=status,
        )
        if said:
            response.delete_cookie(FLASH_COOKIE)
        return response

    def partial(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """A part of a page, for htmx to put in its place."""
        return HTMLResponse(
            self._pages.render(template, viewer=self, said=self._flash, **context),
            status_code=status,
        )

    def url(self, name: str, **parameters: Any) -> str:
        """The address of route ``name``, as templates have it."""
        return self._pages.url(name, **parameters)

    def flash(self, text: str) -> None:
        """Say ``text`` (never words of a call) on the next page."""
        self._flash = text

    def back_to(self, name: str, **parameters: Any) -> Response:
        """To the page of route ``name``, by a GET, after something was changed."""
        response = RedirectResponse(self._pages.url(name, **parameters), status_code=303)
        if self._flash:
            response.set_cookie(
                FLASH_COOKIE,
                quote(self._flash),
                max_age=60,
                httponly=True,
                samesite="lax",
                secure=self.request.app.state.has_tls,
            )
        return response


def _looks_again(request: Request) -> bool:
    is_script = request.headers.get("hx-request") == "true"
    return request.method == "GET" and is_script and "seen" in request.query_params


class Sittings:
    """Who has what in front of them, so that one sitting of an hour at most is one entry."""

    def __init__(self) -> None:
        self._began: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()

    def begins(self, user_id: str, what: str, *, is_start: bool, now: datetime) -> bool:
        """Whether a request begins a sitting: from the start, or out of the blue."""
        with self._lock:
            old = [key for key, at in self._began.items() if now - at > _SITTING]
            for key in old:
                del self._began[key]
            if not is_start and (user_id, what) in self._began:
                return False
            self._began[user_id, what] = now
            return True


class _Bearer(HTTPBearer):
    """The token of the Authorization header, or nothing; errors are ours to word."""

    def __init__(self) -> None:
        super().__init__(auto_error=False, description="A token made on the page Account.")


async def _sign_in_page(request: Request) -> None:
    """Find whose session this is, and check what changes something."""
    sessions: Sessions = request.app.state.sessions
    secret = request.cookies.get(request.app.state.cookie)
    now = datetime.now(UTC)
    # A page that looks again by itself is no sign that somebody sits there.
    is_use = not _looks_again(request)
    found = (
        await run_sync(lambda: sessions.find(secret, now=now, is_use=is_use)) if secret else None
    )
    if found is None:
        raise SignInError("sign in first.")
    user, session = found
    request.state.viewer = Viewer(request, user, via="session", session=session)
    if request.method in _SAFE:
        return
    check_origin(request)
    given: object = request.headers.get("x-csrf-token")
    if given is None:
        given = (await request.form()).get("csrf_token")
    check_token(given if isinstance(given, str) else None, session.csrf_token)


async def _sign_in_api(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_Bearer())],
) -> None:
    """Find whose token this is."""
    people = request.app.state.monitor.store.people
    now = datetime.now(UTC)
    user = None
    if bearer is not None:
        user = await run_sync(lambda: user_of_token(people, bearer.credentials, now=now))
    if user is None:
        raise SignInError("a valid token is needed: Authorization: Bearer qam_...")
    request.state.viewer = Viewer(request, user, via="token")


def _viewer(request: Request) -> Viewer:
    viewer: Viewer = request.state.viewer
    return viewer


Signed = Annotated[Viewer, Depends(_viewer)]
"""The parameter of a route through which it knows who asks."""


class _Problems:
    """The errors that every API route documents."""

    media = "application/problem+json"
    said: ClassVar[dict[int, str]] = {
        400: "The body cannot be read",
        401: "No valid token",
        403: "The roles do not allow it",
        404: "Not there, or not within reach",
        409: "Somebody else was first",
        422: "A value is wrong",
        429: "Too many requests",
        503: "The database cannot be used",
    }

    @classmethod
    def responses(cls) -> dict[int | str, dict[str, Any]]:
        """As FastAPI takes them."""
        schema = {"$ref": "#/components/schemas/Problem"}
        return {
            status: {
                "description": text,
                "model": Problem,
                "content": {cls.media: {"schema": schema}},
            }
            for status, text in cls.said.items()
        }


def page_router() -> APIRouter:
    """A router for pages: only somebody signed in is answered."""
    return APIRouter(dependencies=[Depends(_sign_in_page)], include_in_schema=False)


def api_router(tag: str) -> APIRouter:
    """A router for JSON under ``/api/v1``: only a valid token is answered."""
    return APIRouter(
        prefix="/api/v1",
        tags=[tag],
        dependencies=[Depends(_sign_in_api)],
        responses=_Problems.responses(),
        generate_unique_id_function=lambda route: route.name,
    )
