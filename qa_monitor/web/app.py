"""The application: what is served, and how errors are told."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator, Sequence
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from anyio import CapacityLimiter
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request

from qa_monitor.accounts import Sessions, Strangers
from qa_monitor.errors import (
    AccessDeniedError,
    ConflictError,
    NotFoundError,
    QAMonitorError,
    SignInError,
    StoreError,
)
from qa_monitor.web import (
    administration,
    agents,
    agreement,
    alerts,
    calls,
    disputes,
    listening,
    one_call,
    own,
    queue,
    sign_in,
    team,
)
from qa_monitor.web.pages import Pages, static_file
from qa_monitor.web.security import (
    AccessLogged,
    BodyLimited,
    FaultsCaught,
    SecurityHeaders,
    cookie_name,
)

if TYPE_CHECKING:
    from qa_monitor.monitor import Monitor

__all__ = ["create_app", "every_route"]

_LOG = logging.getLogger("qa_monitor.web")
_ROUTERS: tuple[APIRouter, ...] = (
    sign_in.open_pages,
    sign_in.pages,
    administration.pages,
    administration.api,
    alerts.pages,
    alerts.api,
    agents.pages,
    agents.api,
    own.pages,
    own.api,
    disputes.pages,
    disputes.api,
    calls.pages,
    calls.api,
    one_call.pages,
    one_call.api,
    listening.pages,
    queue.pages,
    queue.api,
    agreement.pages,
    agreement.api,
    team.pages,
    team.api,
)
_TITLES = {
    400: "That cannot be read",
    401: "Sign in first",
    403: "Not allowed",
    404: "Not there",
    405: "Not to be done that way",
    409: "Somebody was quicker",
    413: "Too large",
    422: "That cannot be done",
    429: "Too many tries",
    500: "A fault of qa_monitor",
    503: "The database cannot be used",
}


def create_app(monitor: Monitor) -> FastAPI:
    """The pages and the API of ``monitor``, whose database is opened.

    Nothing is served from, and no page asks for, any other host.
    """
    settings = monitor.config.web
    has_tls = settings.behind_proxy or settings.tls_certificate is not None
    app = FastAPI(
        title="qa_monitor",
        version="1",
        description="What qa_monitor heard in the calls of a health-care call centre.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.monitor = monitor
    app.state.cookie = cookie_name(has_tls=has_tls)
    app.state.has_tls = has_tls
    app.state.sessions = Sessions(
        monitor.store.people,
        idle=timedelta(minutes=settings.session_idle_min),
        absolute=timedelta(hours=settings.session_hours),
    )
    app.state.strangers = Strangers()
    app.state.sign_ins_at_once = CapacityLimiter(2)
    app.state.pages = Pages(every_route, zone=ZoneInfo(monitor.config.intake.timezone))
    for router in _ROUTERS:
        app.include_router(router)
    app.mount("/static", _Static(directory=str(resources.files("qa_monitor.web") / "static")))
    app.add_exception_handler(QAMonitorError, _tell)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    app.add_exception_handler(HTTPException, _tell_http)
    app.add_exception_handler(Exception, _tell_fault)
    # The last added is the first to see a request.
    app.add_middleware(BodyLimited)
    app.add_middleware(FaultsCaught, tell=_tell_fault)
    app.add_middleware(AccessLogged, log=lambda: monitor.store.access_log)
    app.add_middleware(
        TrustedHostMiddleware, allowed_hosts=list(_hosts(settings.host, settings.hosts))
    )
    app.add_middleware(SecurityHeaders, has_tls=has_tls)
    return app


class _Static(StaticFiles):
    """The files of ``static``, and the style of the reports; their addresses change with them."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Where a file lies."""
        if path == "base.css":
            found = str(static_file(path))
            return found, Path(found).stat()
        return super().lookup_path(path)

    def file_response(self, *args: Any, **options: Any) -> Response:
        """The file, to be kept by the browser for as long as it likes."""
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "max-age=31536000, immutable"
        return response


def every_route() -> Iterator[APIRoute]:
    """All routes but static files, with their paths, names and methods."""
    for router in _ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            yield route


def _hosts(own: str, named: Sequence[str]) -> Iterator[str]:
    yield from ("localhost", "127.0.0.1", "[::1]")
    if own not in {"0.0.0.0", "::"}:
        yield own
    yield from named


# --- errors --------------------------------------------------------------------------------------


def _status_of(error: QAMonitorError) -> int:
    kinds: tuple[tuple[type[QAMonitorError], int], ...] = (
        (SignInError, 401),
        (AccessDeniedError, 403),
        (NotFoundError, 404),
        (ConflictError, 409),
        (StoreError, 503),
    )
    return next((status for kind, status in kinds if isinstance(error, kind)), 422)


async def _tell(request: Request, error: Exception) -> Response:
    assert isinstance(error, QAMonitorError)
    status = _status_of(error)
    if status == 401 and not _is_api(request):
        return _to_sign_in(request)
    return _answer(request, status, error.message)


async def _tell_invalid(request: Request, error: Exception) -> Response:
    """What is wrong with the values, without the values: they may hold words of a call."""
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(
        f"{'.'.join(str(part) for part in each['loc'][1:]) or 'the request'}: {each['msg']}"
        for each in error.errors()[:5]
    )
    return _answer(request, 422, f"{wrong}.", title="A value is wrong")


async def _tell_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = "There is no such page." if error.status_code == 404 else str(error.detail)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # Several routes may share a path; the router only names the methods of the first.
        path = request.url.path
        allowed = {m for r in every_route() if r.path_regex.match(path) for m in r.methods or ()}
        headers["Allow"] = ", ".join(sorted(allowed))
    return _answer(request, error.status_code, detail, headers=headers)


async def _tell_fault(request: Request, error: Exception) -> Response:
    # Kind and place only: an exception's text may quote a call.
    route = getattr(request.scope.get("route"), "path", "no route")
    places = traceback.extract_tb(error.__traceback__)
    place = f"{Path(places[-1].filename).name}:{places[-1].lineno}" if places else "no place"
    kind = type(error).__name__
    _LOG.error("%s %s failed: %s in %s", request.method, route, kind, place)
    return _answer(request, 500, f"qa_monitor failed ({type(error).__name__}). Report it.")


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def _answer(
    request: Request,
    status: int,
    detail: str,
    *,
    title: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    title = title or _TITLES.get(status, "That did not work")
    if _is_api(request):
        more = dict(headers or {})
        if status == 401:
            more["WWW-Authenticate"] = "Bearer"
        problem = {"title": title, "status": status, "detail": detail}
        return JSONResponse(problem, status, media_type="application/problem+json", headers=more)
    pages: Pages = request.app.state.pages
    viewer = getattr(request.state, "viewer", None)
    is_part = request.headers.get("hx-request") == "true"
    template = "problem_part.html.j2" if is_part else "problem.html.j2"
    text = pages.render(template, viewer=viewer, title=title, detail=detail, status=status)
    more = {"HX-Retarget": "#problem", "HX-Reswap": "innerHTML"} if is_part else {}
    return Response(text, status, media_type="text/html", headers=more | (headers or {}))


def _to_sign_in(request: Request) -> Response:
    pages: Pages = request.app.state.pages
    wanted = request.url.path if request.method == "GET" else None
    if wanted and request.url.query:
        wanted += f"?{request.url.query}"
    address = pages.url("sign_in", next=None if wanted in {None, "/"} else wanted)
    # Noted as refused, though a browser is led on.
    state = request.scope.setdefault("state", {})
    state.setdefault("access", {})["is_refused"] = True
    if request.headers.get("hx-request") == "true":
        return PlainTextResponse("", 401, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)
