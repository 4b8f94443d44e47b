"""The list of calls: filtered, searched and sorted by what stands in its address.

The same names filter the page, its file and the API, so that every list is a link that can be
kept. The page leaves blank fields out of the address; the API takes nothing that it does not know.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from fastapi import Form, Path, Query
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qa_monitor.accounts import Permission
from qa_monitor.calls import CallType, Criterion, Direction, EscalationOutcome
from qa_monitor.errors import UsageError
from qa_monitor.reports import csv_cell, natural_order
from qa_monitor.reports.wording import CRITERIA_NAMES, OUTCOMES, URGENCIES, call_type, day
from qa_monitor.store import (
    MOST_ROWS,
    Agent,
    AlertFilter,
    CallFilter,
    CallLine,
    CallPage,
    Facets,
    ReviewState,
    Scope,
    ScoreRange,
    Snippet,
    Sort,
)
from qa_monitor.web.values import Day
from qa_monitor.web.viewing import Signed, Viewer, api_router, page_router

__all__ = ["CallQuery", "api", "pages"]

pages = page_router()
api = api_router("calls")

NONE = "(none)"
"""Stands for calls without an agent, a team or a queue."""

_ROWS = 50
_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(2200, 1, 1)
_UNKNOWN = "unknown"
_SCORED = (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)

_SORT_WORDS = {
    Sort.NEWEST: "Newest first",
    Sort.OLDEST: "Oldest first",
    Sort.MOST_URGENT: "Most urgent first",
    Sort.LOWEST_TOTAL: "Lowest total first",
    Sort.LONGEST: "Longest first",
}
_REVIEW_WORDS = {
    ReviewState.NEEDS_REVIEW: "needs review",
    ReviewState.REVIEWED: "reviewed",
    ReviewState.NOT_REVIEWED: "not reviewed yet",
    ReviewState.ABSTAINED: "a score left to a person",
    ReviewState.AUTO_FAILED: "failed by a rule",
}
_ALERT_WORDS = {
    AlertFilter.OPEN: "an open alert",
    AlertFilter.ANY: "any alert",
    AlertFilter.NONE: "no alert",
}
_DIRECTION_WORDS = {
    Direction.INBOUND: "inbound",
    Direction.OUTBOUND: "outbound",
    Direction.UNKNOWN: "direction unknown",
}

_Text = Annotated[str, Field(min_length=1, max_length=200)]
_Points = Annotated[float | None, Field(ge=1, le=5)]
_Total = Annotated[float | None, Field(ge=0, le=100)]
_Minutes = Annotated[float | None, Field(ge=0, le=1440)]


class CallQuery(BaseModel):
    """Which calls, in which order.

    Of several values of one name one has to fit, of several names all. Days are those of the
    centre's time zone, both included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    q: str = Field(
        default="",
        max_length=200,
        description='Words of the redacted text: all must be said. "Quoted" words stand together, '
        "`pre*` is a beginning, PERSON (in capitals) a kind of redaction.",
    )
    since: Day | None = Field(default=None, description="The first day.")
    until: Day | None = Field(default=None, description="The last day.")
    agent: list[_Text] = Field(
        default=[], max_length=100, description=f"Agent ids; `{NONE}`: of no known agent."
    )
    team: list[_Text] = Field(
        default=[], max_length=100, description=f"Teams; `{NONE}`: of an agent without a team."
    )
    queue: list[_Text] = Field(default=[], max_length=100, description=f"Queues, or `{NONE}`.")
    type: list[CallType | Literal["unknown"]] = Field(
        default=[], max_length=20, description="What the call is mainly about."
    )
    urgency: list[Literal["0", "1", "2", "3", "unknown"]] = Field(
        default=[], max_length=10, description="Levels, 3 an emergency."
    )
    outcome: list[EscalationOutcome | Literal["unknown"]] = Field(
        default=[], max_length=10, description="What became of the urgency."
    )
    review: list[ReviewState] = Field(default=[], max_length=10, description="State of review.")
    alert: AlertFilter | None = Field(default=None, description="Whether alerts were raised.")
    direction: list[Direction] = Field(default=[], max_length=5, description="Who called.")
    empathy_from: _Points = None
    empathy_to: _Points = None
    active_listening_from: _Points = None
    active_listening_to: _Points = None
    escalation_from: _Points = None
    escalation_to: _Points = None
    total_from: _Total = None
    total_to: _Total = None
    minutes_from: _Minutes = Field(default=None, description="Length of the call, in minutes.")
    minutes_to: _Minutes = None
    sort: Sort = Field(default=Sort.NEWEST, description="The order; what lacks a value is last.")

    def filter(self, zone: ZoneInfo) -> CallFilter:
        """The same for the store; days are those of ``zone``."""
        return CallFilter(
            search=self.q,
            since=None if self.since is None else _midnight(self.since, zone),
            until=None if self.until is None else _midnight(self.until, zone, days=1),
            agents=_known(self.agent),
            teams=_known(self.team),
            queues=_known(self.queue),
            call_types=frozenset(None if t == _UNKNOWN else CallType(t) for t in self.type),
            urgencies=frozenset(None if u == _UNKNOWN else int(u) for u in self.urgency),
            outcomes=frozenset(
                None if o == _UNKNOWN else EscalationOutcome(o) for o in self.outcome
            ),
            review=frozenset(self.review),
            alert=self.alert,
            directions=frozenset(self.direction),
            scores=tuple(
                ScoreRange(criterion=criterion, at_least=ends[0], at_most=ends[1])
                for criterion in _SCORED
                if (ends := self.ends(criterion.value)) != (None, None)
            ),
            total_at_least=self.total_from,
            total_at_most=self.total_to,
            duration_at_least_s=_seconds(self.minutes_from),
            duration_at_most_s=_seconds(self.minutes_to),
        )

    def ends(self, name: str) -> tuple[float | None, float | None]:
        """The range asked for of ``name`` (a criterion, ``total`` or ``minutes``)."""
        return getattr(self, f"{name}_from"), getattr(self, f"{name}_to")

    def parameters(self, *, without: tuple[str, str | None] | None = None) -> list[tuple[str, str]]:
        """What is asked for, as it stands in an address, in one order.

        ``without`` leaves a name out, or one of its values.
        """
        found = []
        for name, value in self.model_dump(mode="json", exclude_defaults=True).items():
            for each in value if isinstance(value, list) else [value]:
                text = f"{each:g}" if isinstance(each, float) else str(each)
                if without is None or without[0] != name or without[1] not in {None, text}:
                    found.append((name, text))
        return found


class ApiQuery(CallQuery):
    """The same, and which page of the list."""

    cursor: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,400}$",
        description="`next_cursor` or `previous_cursor` of another page of the same list.",
    )
    limit: int = Field(default=_ROWS, ge=1, le=200, description="Calls on one page.")


def _known(values: Sequence[str]) -> frozenset[str | None]:
    return frozenset(None if value == NONE else value for value in values)


def _seconds(minutes: float | None) -> float | None:
    return None if minutes is None else minutes * 60


def _midnight(day_: date, zone: ZoneInfo, *, days: int = 0) -> datetime:
    within = min(max(day_, _FIRST_DAY), _LAST_DAY) + timedelta(days=days)
    return datetime.combine(within, time(), zone).astimezone(UTC)


# --- the page ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force, in words, and the address of the list without it."""

    words: str
    address: str


@dataclass(frozen=True, slots=True)
class Option:
    """One value that can be chosen."""

    value: str
    words: str
    is_chosen: bool


@pages.get("/calls", name="calls")
def calls_page(viewer: Signed) -> Response:
    """The list that the address asks for; the whole page, or its results for a script."""
    scope = viewer.require(Permission.SEE_CALLS)
    viewer.note("calls.list")
    given = viewer.request.query_params.multi_items()
    query, cursor = _query_of(given)
    if not viewer.is_htmx and any(not value for _, value in given):
        return RedirectResponse(_address(viewer, query, cursor=cursor), 303)
    page = _page_of(viewer, query, scope, cursor=cursor, limit=_ROWS)
    facets = viewer.store.browsing.facets(scope)
    context: dict[str, Any] = {
        "query": query,
        "page": page,
        "chips": list(_chips(viewer, query, facets)),
        "address": _address(viewer, query),
        "export": _address(viewer, query, route="calls_file"),
        "first": _address(viewer, query) if cursor else None,
        "next": page.next_cursor and _address(viewer, query, cursor=page.next_cursor),
        "previous": page.previous_cursor and _address(viewer, query, cursor=page.previous_cursor),
        "most_rows": MOST_ROWS,
        "criteria": _SCORED,
        "review_words": _REVIEW_WORDS,
        "pieces": _pieces,
        "is_filtered": bool(query.parameters(without=("sort", None))),
        "is_one_agents": _is_one_agents(scope),
        "sorts": _SORT_WORDS,
        "views": viewer.store.browsing.views(viewer.user.user_id),
        "view_query": urlencode(query.parameters()),
    }
    if viewer.is_htmx:
        answer = viewer.partial("calls/results.html.j2", **context)
        answer.headers["HX-Push-Url"] = _address(viewer, query, cursor=cursor)
        return answer
    return viewer.page(
        "calls/page.html.j2",
        **context,
        options=_options(query, facets),
        alerts=_ALERT_WORDS,
    )


@pages.get("/calls.csv", name="calls_file")
def calls_file(viewer: Signed) -> Response:
    """The list as a file: a line for each call, ten thousand at most, without words of calls."""
    scope = viewer.require(Permission.SEE_CALLS)
    viewer.note("calls.export")
    query, _ = _query_of(viewer.request.query_params.multi_items())
    page = _page_of(viewer, query, scope, cursor=None, limit=MOST_ROWS)
    return Response(
        _csv_of(page.rows),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="calls.csv"'},
    )


@pages.post("/saved-views", name="save_view")
def save_view(
    viewer: Signed,
    name: Annotated[str, Form(max_length=60)] = "",
    query: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """Keep a list under a name; one of that name is replaced."""
    viewer.require(Permission.SEE_CALLS)
    viewer.note("calls.save_view")
    asked, _ = _query_of(parse_qsl(query))
    wanted = " ".join(name.split())
    if not wanted:
        raise UsageError("give the list a name.")
    kept = urlencode(asked.parameters())
    viewer.store.browsing.save_view(viewer.user.user_id, wanted, kept, now=viewer.now)
    viewer.flash("The list is kept.")
    return _to_list(viewer, asked)


@pages.post("/saved-views/{view_id}/delete", name="drop_view")
def drop_view(
    viewer: Signed,
    view_id: Annotated[int, Path(ge=1, le=2**31 - 1)],
    query: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """Forget a list that was kept."""
    viewer.require(Permission.SEE_CALLS)
    viewer.note("calls.drop_view", kind="view", object_id=str(view_id))
    viewer.store.browsing.drop_view(view_id, user_id=viewer.user.user_id)
    viewer.flash("The list is no longer kept.")
    return _to_list(viewer, _query_of(parse_qsl(query))[0])


def _to_list(viewer: Viewer, query: CallQuery) -> Response:
    by_name: dict[str, list[str]] = {}
    for name, value in query.parameters():
        by_name.setdefault(name, []).append(value)
    return viewer.back_to("calls", **by_name)


# --- the API -------------------------------------------------------------------------------------


@api.get("/calls", name="list_calls")
def list_calls(viewer: Signed, asked: Annotated[ApiQuery, Query()]) -> CallPage:
    """Calls that the user reaches: one page of a list, and cursors to the pages beside it."""
    scope = viewer.require(Permission.SEE_CALLS)
    viewer.note("calls.list")
    return _page_of(viewer, asked, scope, cursor=asked.cursor, limit=asked.limit)


# --- what is asked for ---------------------------------------------------------------------------


def _query_of(given: Iterable[tuple[str, str]]) -> tuple[CallQuery, str | None]:
    """What an address asks for, and the page of it; blank fields and unknown names are left out.

    Raises ``UsageError`` that names what is wrong, without its value.
    """
    by_name: dict[str, Any] = {}
    cursor = None
    for name, value in given:
        if name == "cursor":
            cursor = value or None
        elif value and (field := CallQuery.model_fields.get(name)) is not None:
            if field.default == []:
                by_name.setdefault(name, []).append(value)
            else:
                by_name[name] = value
    wrong = ""
    try:
        return CallQuery.model_validate(by_name), cursor
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        wrong = f"{str(first['loc'][0]).replace('_', ' ')}: {first['msg']}"
    raise UsageError(f"{wrong}. Mend it in the form and show the list again.")


def _page_of(
    viewer: Viewer, query: CallQuery, scope: Scope, *, cursor: str | None, limit: int
) -> CallPage:
    return viewer.store.browsing.page(
        query.filter(ZoneInfo(viewer.monitor.config.intake.timezone)),
        scope,
        sort=query.sort,
        cursor=cursor,
        limit=limit,
        blind_for=viewer.user.user_id,
    )


def _address(
    viewer: Viewer,
    query: CallQuery,
    *,
    route: str = "calls",
    cursor: str | None = None,
    without: tuple[str, str | None] | None = None,
) -> str:
    parameters = query.parameters(without=without)
    if cursor:
        parameters.append(("cursor", cursor))
    path = viewer.url(route)
    return f"{path}?{urlencode(parameters)}" if parameters else path


def _is_one_agents(scope: Scope) -> bool:
    """Whether the calls in reach can be of one agent only, who need not be told so."""
    return not scope.all_calls and not scope.teams


# --- in words ------------------------------------------------------------------------------------


def _chips(viewer: Viewer, query: CallQuery, facets: Facets) -> Iterator[Chip]:
    names = {agent.agent_id: agent.name for agent in facets.agents if agent.name}
    in_words: Mapping[str, Callable[[str], str]] = {
        "q": lambda value: f"“{value}”",
        "since": lambda value: f"from {day(date.fromisoformat(value))}",
        "until": lambda value: f"to {day(date.fromisoformat(value))}",
        "agent": lambda value: "no known agent" if value == NONE else names.get(value, value),
        "team": lambda value: "no team" if value == NONE else f"team {value}",
        "queue": lambda value: "no queue" if value == NONE else f"queue {value}",
        "type": lambda value: "type unsure" if value == _UNKNOWN else call_type(CallType(value)),
        "urgency": _urgency_words,
        "outcome": _outcome_words,
        "review": lambda value: _REVIEW_WORDS[ReviewState(value)],
        "alert": lambda value: _ALERT_WORDS[AlertFilter(value)],
        "direction": lambda value: _DIRECTION_WORDS[Direction(value)],
    }
    for name, value in query.parameters(without=("sort", None)):
        if name in in_words:
            words = in_words[name](value)
        else:
            of, _, end = name.rpartition("_")
            words = f"{_range_words(of)} {'at least' if end == 'from' else 'at most'} {value}"
        yield Chip(words, _address(viewer, query, without=(name, value)))


def _urgency_words(value: str) -> str:
    return "urgency unsure" if value == _UNKNOWN else f"urgency: {URGENCIES[int(value)]}"


def _outcome_words(value: str) -> str:
    if value == _UNKNOWN:
        return "escalation unsure"
    return f"escalation {OUTCOMES[EscalationOutcome(value)]}"


def _range_words(name: str) -> str:
    if name in set(Criterion):
        return CRITERIA_NAMES[Criterion(name)].lower()
    return {"minutes": "minutes", "total": "total"}[name]


def _options(query: CallQuery, facets: Facets) -> Mapping[str, Sequence[Option]]:
    """What can be chosen in each field; what is chosen already is always among it."""

    def made(
        name: str, values: Iterable[str], words: Mapping[str, str], none: str
    ) -> Sequence[Option]:
        chosen: Sequence[str] = getattr(query, name)
        known = sorted({*values, *chosen} - {NONE}, key=lambda v: natural_order(words.get(v, v)))
        options = [Option(value, words.get(value, value), value in chosen) for value in known]
        return [*options, Option(NONE, none, NONE in chosen)]

    def listed(name: str, words: Mapping[str, str]) -> Sequence[Option]:
        chosen: Sequence[str] = getattr(query, name)
        return [Option(value, text, value in chosen) for value, text in words.items()]

    there = {*facets.call_types, *(CallType(t) for t in query.type if t != _UNKNOWN)}
    types = {t.value: call_type(t) for t in CallType if t in there}
    return {
        "agent": made(
            "agent",
            (agent.agent_id for agent in facets.agents),
            {agent.agent_id: _agent_words(agent) for agent in facets.agents},
            "no known agent",
        ),
        "team": made("team", facets.teams, {}, "no team"),
        "queue": made("queue", facets.queues, {}, "no queue"),
        "type": listed("type", {**types, _UNKNOWN: "unsure"}),
        "urgency": listed(
            "urgency",
            {**{str(level): URGENCIES[level] for level in (3, 2, 1, 0)}, _UNKNOWN: "unsure"},
        ),
        "outcome": listed(
            "outcome", {**{o.value: words for o, words in OUTCOMES.items()}, _UNKNOWN: "unsure"}
        ),
        "review": listed("review", {s.value: words for s, words in _REVIEW_WORDS.items()}),
        "direction": listed("direction", {d.value: words for d, words in _DIRECTION_WORDS.items()}),
    }


def _agent_words(agent: Agent) -> str:
    return f"{agent.name} ({agent.agent_id})" if agent.name else agent.agent_id


def _pieces(snippet: Snippet) -> Iterator[tuple[str, bool]]:
    """The text of a snippet, piece by piece, and whether a piece was searched for."""
    end = 0
    for start, stop in snippet.marks:
        if start > end:
            yield snippet.text[end:start], False
        yield snippet.text[start:stop], True
        end = stop
    if end < len(snippet.text):
        yield snippet.text[end:], False


def _csv_of(rows: Sequence[CallLine]) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(
        "call_id agent_id agent_name team queue direction started_at duration_s call_type urgency "
        "escalated empathy active_listening escalation total needs_review reviewed_at "
        "left_to_a_person auto_failed open_alert warnings".split()
    )
    for row in rows:
        writer.writerow(
            csv_cell(value)
            for value in (
                row.call_id,
                row.agent_id or "",
                row.agent_name or "",
                row.team or "",
                row.queue or "",
                row.direction.value,
                row.started_at.isoformat() if row.started_at else "",
                f"{row.duration_s:.1f}",
                row.call_type,
                row.urgency,
                row.escalated,
                *(_decimals(row.points[criterion], 2) for criterion in _SCORED),
                _decimals(row.total, 1),
                _yes(row.needs_review),
                row.reviewed_at.isoformat() if row.reviewed_at else "",
                _yes(row.is_abstained),
                _yes(row.is_auto_failed),
                row.alert.value if row.alert else "",
                " ".join(row.warnings),
            )
        )
    return file.getvalue()


def _decimals(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _yes(claim: bool) -> str:
    return "yes" if claim else "no"
