"""Templates, and what stands in all of them: wording, addresses, the menu."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qa_monitor.accounts import Permission
from qa_monitor.calls import CallType, Criterion, EscalationOutcome, Severity
from qa_monitor.reports.wording import add_words

if TYPE_CHECKING:
    from fastapi.routing import APIRoute

    from qa_monitor.web.viewing import Viewer

__all__ = ["Menu", "Pages", "static_file", "static_url"]


@dataclass(frozen=True, slots=True)
class Menu:
    """A place in the menu: its words, its route, and who is shown it."""

    words: str
    route: str
    permission: Permission


_MENU = (
    Menu("Alerts", "alerts", Permission.SEE_ALERTS),
    Menu("Queue", "queue", Permission.WORK_QUEUE),
    Menu("Queue", "queue", Permission.ASSIGN_QUEUE),
    Menu("My calls", "own", Permission.SEE_OWN),
    Menu("Calls", "calls", Permission.SEE_CALLS),
    Menu("Agents", "agents", Permission.SEE_REPORTS),
    Menu("Disputes", "disputes", Permission.RESOLVE_DISPUTES),
    Menu("Team", "team", Permission.SEE_TEAM),
    Menu("Agreement", "agreement", Permission.SEE_AGREEMENT),
    Menu("Users", "users", Permission.ADMINISTER),
    Menu("Agent list", "agent_list", Permission.ADMINISTER),
    Menu("Access log", "access_log", Permission.ADMINISTER),
    Menu("Keeping", "keeping", Permission.ADMINISTER),
    Menu("System", "system", Permission.ADMINISTER),
)


class Pages:
    """Renders templates; ``zone`` is the zone in which times are shown."""

    def __init__(self, routes: Callable[[], Iterable[APIRoute]], *, zone: ZoneInfo) -> None:
        self._routes = routes
        self._zone = zone
        self._named: dict[str, APIRoute] = {}
        self._environment = Environment(
            loader=PackageLoader("qa_monitor.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        add_words(self._environment)
        words = self._environment.filters
        show_time, show_day = words["time"], words["day"]
        self._environment.filters.update(
            time=lambda when: show_time(self.local(when)),
            day=lambda when: show_day(self.local(when) if isinstance(when, datetime) else when),
        )
        self._environment.globals.update(
            url=self.url,
            static=static_url,
            Permission=Permission,
            Criterion=Criterion,
            CallType=CallType,
            EscalationOutcome=EscalationOutcome,
            Severity=Severity,
        )

    def local(self, when: datetime) -> datetime:
        """``when`` in the zone of the centre."""
        return when.astimezone(self._zone)

    def render(
        self, template: str, *, viewer: Viewer | None = None, said: str | None = None, **more: Any
    ) -> str:
        """The template with ``more``; ``viewer`` is who looks, ``said`` what is told once."""
        token = viewer.session.csrf_token if viewer is not None and viewer.session else ""
        field = Markup('<input type="hidden" name="csrf_token" value="{}">').format(token)
        return self._environment.get_template(template).render(
            viewer=viewer,
            said=said,
            menu=self._menu(viewer),
            may=viewer.may if viewer is not None else lambda _permission: False,
            csrf=lambda: field,
            csrf_token=token,
            **more,
        )

    def _menu(self, viewer: Viewer | None) -> list[tuple[str, str, bool]]:
        """Words, address and whether it is the page in view, of what this viewer may open."""
        if viewer is None:
            return []
        by_route = {place.route: place for place in reversed(_MENU) if viewer.may(place.permission)}
        shown = [place for place in _MENU if by_route.get(place.route) is place]
        here = viewer.request.url.path
        known = self._by_name()
        found = []
        for place in shown:
            if place.route in known:
                address = self.url(place.route)
                is_here = here == address or here.startswith(f"{address}/")
                found.append((place.words, address, is_here))
        return found

    def first_page(self, viewer: Viewer) -> str:
        """Where somebody starts after signing in."""
        menu = self._menu(viewer)
        return menu[0][1] if menu else "/account"

    def url(self, name: str, **parameters: Any) -> str:
        """The address of route ``name``; what is no part of its path becomes the query.

        ``None`` is left out, lists repeat. ``KeyError`` for a route that there is not.
        """
        route = self._by_name()[name]
        path = route.path_format
        query: dict[str, Any] = {}
        for key, value in parameters.items():
            if key in route.param_convertors:
                path = path.replace("{" + key + "}", quote(str(value), safe=""))
            elif value is not None:
                query[key] = value
        return path + (f"?{urlencode(query, doseq=True)}" if query else "")

    def _by_name(self) -> dict[str, APIRoute]:
        if not self._named:
            self._named = {route.name: route for route in self._routes()}
        return self._named


def static_file(name: str) -> Traversable:
    """A static file; ``base.css`` is the style of the reports, so that both look alike."""
    if name == "base.css":
        return resources.files("qa_monitor.reports").joinpath("templates", "style.css")
    return resources.files("qa_monitor.web").joinpath("static", name)


@cache
def static_url(name: str) -> str:
    """The address of a static file, another one whenever its content changes."""
    content = static_file(name).read_bytes()
    return f"/static/{name}?{hashlib.sha256(content).hexdigest()[:10]}"
