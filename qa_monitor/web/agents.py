"""The coach's pages: the agents in reach, and the report on one of them with notes and goals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import Form, Path, Query
from pydantic import Field
from starlette.responses import Response

from qa_monitor.accounts import Permission
from qa_monitor.errors import NotFoundError, UsageError
from qa_monitor.reports import (
    GOAL_RANGE,
    MEASURED,
    AgentReport,
    goal_measure,
    natural_order,
    render_body,
    render_csv,
    render_html,
    render_json,
    report_file_name,
)
from qa_monitor.reports.team import MOST_DAYS, Period
from qa_monitor.reports.values import CRITERIA
from qa_monitor.store import CoachedAgent, Goal, GoalKind, GoalState, Note
from qa_monitor.store.coaching import LONGEST_TEXT
from qa_monitor.web.values import Flag
from qa_monitor.web.viewing import Signed, Viewer, api_router, page_router

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AgentId",
    "DayField",
    "ItemId",
    "Since",
    "Until",
    "api",
    "api_period",
    "call_link",
    "names_of",
    "pages",
    "period_of",
    "quick_periods",
    "report_in",
    "zone_of",
]

pages = page_router()
api = api_router("agents")

AgentId = Annotated[
    str,
    # An id comes from call records and may hold spaces or letters of any language.
    Path(pattern=r"^[^\x00-\x1f\x7f/]{1,200}$", description="The agent's id."),
]
ItemId = Annotated[int, Path(ge=1, le=2**31 - 1)]
Since = Annotated[date | None, Query(description="First day, in the centre's time zone.")]
Until = Annotated[date | None, Query(description="Last day, included.")]
DayField = Annotated[str, Query(max_length=10)]
Said = Annotated[str, Form(max_length=LONGEST_TEXT + 1000)]

_DAYS = 28
_QUICK = (7, 28, 90)
_YEARS = range(2000, 2101)
_MEDIA = {
    "html": "text/html; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}


# --- periods -------------------------------------------------------------------------------------


def zone_of(viewer: Viewer) -> ZoneInfo:
    """The centre's time zone."""
    return ZoneInfo(viewer.monitor.config.intake.timezone)


def api_period(viewer: Viewer, since: date | None, until: date | None) -> Period:
    """The days from ``since`` to ``until``; the last four weeks where neither is said.

    Raises ``UsageError`` for days that are no period, or a longer one than a year.
    """
    today = viewer.now.astimezone(zone_of(viewer)).date()
    last = until or today
    if last.year not in _YEARS or (since is not None and since.year not in _YEARS):
        raise UsageError(f"a day lies in the years {_YEARS[0]} to {_YEARS[-1]}.")
    period = Period(first=since or last - timedelta(days=_DAYS - 1), last=last)
    if not 1 <= period.days <= MOST_DAYS:
        raise UsageError(f"a period is 1 to {MOST_DAYS} days long; its first day comes first.")
    return period


def period_of(viewer: Viewer, since: str, until: str) -> Period:
    """The same from the fields of a form, which may be empty."""
    days = []
    for text in (since, until):
        try:
            days.append(date.fromisoformat(text) if text else None)
        except ValueError:
            days.append(None)
            if text:
                raise UsageError("write days as 2026-03-31.") from None
    return api_period(viewer, *days)


def quick_periods(viewer: Viewer, period: Period) -> list[tuple[str, Period, bool]]:
    """The periods to be had with one click: words, days, and whether it is the one in view."""
    today = viewer.now.astimezone(zone_of(viewer)).date()
    found = []
    for days in _QUICK:
        quick = Period(first=today - timedelta(days=days - 1), last=today)
        found.append((f"{days} days", quick, quick == period))
    return found


# --- what is shown -------------------------------------------------------------------------------


def report_in(viewer: Viewer, agent_id: str, period: Period) -> AgentReport | None:
    """The report on the agent, ``None`` where the period has no calls of the agent."""
    since, until = period.between(zone_of(viewer))
    try:
        return viewer.monitor.agent_reports([agent_id], since=since, until=until)[0]
    except NotFoundError:
        return None


def names_of(viewer: Viewer) -> dict[str, str]:
    """The names of users by their ids."""
    return {user.user_id: user.name for user in viewer.store.people.users()}


def call_link(viewer: Viewer, call_id: str, at_s: float | None) -> str:
    """The page of a call, at a second of it."""
    return viewer.url("call", call_id=call_id, at=None if at_s is None else f"{at_s:.1f}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAgent:
    """An agent in the list: calls in the period, and how coaching stands."""

    agent_id: str
    name: str | None
    team: str | None
    calls: int
    last_report_at: datetime | None
    open_goals: int
    open_disputes: int


def _listed(viewer: Viewer, period: Period, wanted: str) -> list[ListedAgent]:
    """The agents in reach whose name, id or team holds ``wanted``, in alphabetical order."""
    scope = viewer.require(Permission.SEE_REPORTS)
    since, until = period.between(zone_of(viewer))
    counts = viewer.store.reporting.counts(since=since, until=until, scope=scope)
    overview = viewer.store.coaching.overview()
    nothing = CoachedAgent()
    found = []
    for agent in viewer.store.people.agents(scope):
        names = (agent.agent_id, agent.name or "", agent.team or "")
        if not any(wanted.casefold() in name.casefold() for name in names):
            continue
        stands = overview.get(agent.agent_id, nothing)
        found.append(
            ListedAgent(
                agent_id=agent.agent_id,
                name=agent.name,
                team=agent.team,
                calls=counts.get(agent.agent_id, 0),
                last_report_at=stands.last_report_at,
                open_goals=stands.open_goals,
                open_disputes=stands.open_disputes,
            )
        )
    return sorted(found, key=lambda one: natural_order(one.name or one.agent_id))


def goal_choices(report: AgentReport | None) -> Mapping[str, list[tuple[str, str, str]]]:
    """What a goal can be measured by, in groups: value of the field, words, unit."""
    gaps = () if report is None else report.checklist_gaps
    return {
        "Scores": [
            (f"criterion:{c.value}", *goal_measure(GoalKind.CRITERION, c.value)) for c in CRITERIA
        ],
        "Checklist": [(f"checklist:{gap.item}", gap.asks, "share") for gap in gaps],
        "Measures": [(f"measure:{code}", one.title, one.unit) for code, one in MEASURED.items()],
    }


# --- pages ---------------------------------------------------------------------------------------


@pages.get("/agents", name="agents")
def agents_page(
    viewer: Signed,
    q: Annotated[str, Query(max_length=200)] = "",
    since: DayField = "",
    until: DayField = "",
) -> Response:
    """The agents in reach, in alphabetical order."""
    viewer.require(Permission.SEE_REPORTS)
    viewer.note("agents.list")
    period = period_of(viewer, since, until)
    return viewer.page(
        "agents/list.html.j2",
        listed=_listed(viewer, period, q.strip()),
        q=q,
        period=period,
        quick=quick_periods(viewer, period),
    )


@pages.get("/agents/{agent_id}", name="agent")
def agent_page(
    viewer: Signed, agent_id: AgentId, since: DayField = "", until: DayField = ""
) -> Response:
    """The report on one agent, with notes and goals."""
    agent = viewer.agent(agent_id, Permission.SEE_REPORTS)
    viewer.note("report.view")
    period = period_of(viewer, since, until)
    report = report_in(viewer, agent_id, period)
    body = None
    if report is not None:
        body = render_body(report, link=lambda call_id, at_s: call_link(viewer, call_id, at_s))
    coaching = viewer.store.coaching
    return viewer.page(
        "agents/report.html.j2",
        agent=agent,
        period=period,
        quick=quick_periods(viewer, period),
        report=report,
        body=body,
        choices=goal_choices(report),
        notes=_notes(viewer, agent_id),
        goals=coaching.goals(agent_id),
        goal_measure=goal_measure,
        seen=coaching.acknowledged(agent_id, "goal"),
        reports_seen=coaching.acknowledged(agent_id, "report"),
        names=names_of(viewer),
        may_coach=_may_coach(viewer, agent_id, agent.team),
    )


def _notes(viewer: Viewer, agent_id: str) -> tuple[Note, ...]:
    """The newest notes on the agent; on oneself those that are shared."""
    is_own = agent_id == viewer.user.agent_id
    return viewer.store.coaching.notes(agent_id, shared_only=is_own)


def _may_coach(viewer: Viewer, agent_id: str, team: str | None) -> bool:
    return viewer.may(Permission.COACH) and viewer.require(Permission.COACH).covers(agent_id, team)


@pages.get("/agents/{agent_id}/report.{form}", name="agent_export")
def export_report(
    viewer: Signed,
    agent_id: AgentId,
    form: Literal["html", "csv", "json"],
    since: DayField = "",
    until: DayField = "",
) -> Response:
    """The report as a file."""
    viewer.agent(agent_id, Permission.SEE_REPORTS)
    viewer.note("report.export")
    report = report_in(viewer, agent_id, period_of(viewer, since, until))
    if report is None:
        raise NotFoundError("the agent has no scored calls in this period.")
    if form == "html":
        base = str(viewer.request.base_url).rstrip("/") + viewer.url("call", call_id="")
        text = render_html(report, link_base=base)
    else:
        text = render_csv(report) if form == "csv" else render_json(report)
    name = report_file_name(agent_id).removesuffix(".html")
    return Response(
        text,
        media_type=_MEDIA[form],
        headers={"Content-Disposition": f'attachment; filename="{name}.{form}"'},
    )


@pages.post("/agents/{agent_id}/notes", name="add_note")
def add_note(
    viewer: Signed,
    agent_id: AgentId,
    text: Said = "",
    is_shared: Annotated[bool, Form()] = False,
    call_id: Annotated[str, Form(max_length=128)] = "",
    at: Annotated[str, Form(max_length=10)] = "",
    since: DayField = "",
    until: DayField = "",
) -> Response:
    """Keep a note on the agent."""
    viewer.agent(agent_id, Permission.COACH)
    viewer.note("coaching.note")
    viewer.store.coaching.add_note(
        agent_id,
        text,
        by=viewer.user.user_id,
        now=viewer.now,
        is_shared=is_shared,
        call_id=call_id.strip() or None,
        at_s=_seconds(at) if call_id.strip() else None,
    )
    viewer.flash("The note is kept." if not is_shared else "The note is kept and shared.")
    return viewer.back_to("agent", agent_id=agent_id, since=since or None, until=until or None)


def _seconds(clock: str) -> float | None:
    """Seconds, from ``1:23`` or ``83``; ``None`` for nothing."""
    if not clock.strip():
        return None
    minutes, _, seconds = clock.strip().rpartition(":")
    if not (seconds.isdecimal() and (not minutes or minutes.isdecimal())):
        raise UsageError("write the moment as minutes and seconds: 1:23.")
    return 60.0 * int(minutes or 0) + int(seconds)


@pages.post("/agents/{agent_id}/goals", name="set_goal")
def set_goal(
    viewer: Signed,
    agent_id: AgentId,
    measure: Annotated[str, Form(max_length=120)],
    target: Annotated[str, Form(max_length=20)],
    wording: Said = "",
    way: Annotated[Literal["", "at_least", "at_most"], Form()] = "",
    due_on: Annotated[str, Form(max_length=10)] = "",
    since: DayField = "",
    until: DayField = "",
) -> Response:
    """Agree on a goal; shares are typed in per cent."""
    viewer.agent(agent_id, Permission.COACH)
    viewer.note("coaching.goal")
    kind, _, code = measure.partition(":")
    try:
        value = float(target.replace(",", "."))
        due = date.fromisoformat(due_on) if due_on else None
        unit = goal_measure(GoalKind(kind), code)[1]
    except (KeyError, ValueError):
        raise UsageError(
            "choose what the goal is measured by, and give a number and a day as 2026-03-31."
        ) from None
    viewer.monitor.set_goal(
        agent_id,
        kind=GoalKind(kind),
        code=code,
        wording=wording,
        target=value / 100 if unit == "share" else value,
        is_at_least=None if not way else way == "at_least",
        due_on=due,
        by=viewer.user.user_id,
    )
    viewer.flash("The goal is set. The next report tells how far it has come.")
    return viewer.back_to("agent", agent_id=agent_id, since=since or None, until=until or None)


@pages.post("/agents/{agent_id}/goals/{goal_id}/close", name="close_goal")
def close_goal(
    viewer: Signed,
    agent_id: AgentId,
    goal_id: ItemId,
    state: Annotated[Literal["met", "dropped"], Form()],
    because: Said = "",
    since: DayField = "",
    until: DayField = "",
) -> Response:
    """Say that a goal is met, or dropped."""
    viewer.agent(agent_id, Permission.COACH)
    viewer.note("coaching.goal_close")
    coaching = viewer.store.coaching
    coaching.goal(goal_id, agent_id=agent_id)
    coaching.close_goal(
        goal_id, GoalState(state), because=because, by=viewer.user.user_id, now=viewer.now
    )
    viewer.flash("The goal is closed.")
    return viewer.back_to("agent", agent_id=agent_id, since=since or None, until=until or None)


# --- API -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNote:
    """A note to be kept; ``at_s`` is a second of call ``call_id``."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    is_shared: Flag = False
    call_id: Annotated[str, Field(max_length=128)] | None = None
    at_s: Annotated[float, Field(strict=True, ge=0, le=86_400)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGoal:
    """A goal to be set; ``target`` in the unit of what it is measured by, shares 0 to 1."""

    kind: GoalKind
    code: Annotated[str, Field(min_length=1, max_length=100)]
    wording: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    target: Annotated[float, Field(strict=True, ge=0, le=GOAL_RANGE["s"][1])]
    is_at_least: Flag | None = None
    due_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseGoal:
    """What became of a goal."""

    state: Literal["met", "dropped"]
    because: Annotated[str, Field(max_length=LONGEST_TEXT)] = ""


@api.get("/agents")
def list_agents(
    viewer: Signed,
    q: Annotated[str, Query(max_length=200, description="Part of id, name or team.")] = "",
    since: Since = None,
    until: Until = None,
) -> list[ListedAgent]:
    """The agents in reach, in alphabetical order, with their calls in the period."""
    viewer.require(Permission.SEE_REPORTS)
    viewer.note("agents.list")
    return _listed(viewer, api_period(viewer, since, until), q.strip())


@api.get("/agents/{agent_id}/report")
def read_agent_report(
    viewer: Signed, agent_id: AgentId, since: Since = None, until: Until = None
) -> AgentReport:
    """The report on an agent; 404 where the agent has no scored calls in the period."""
    viewer.agent(agent_id, Permission.SEE_REPORTS)
    viewer.note("report.export")
    report = report_in(viewer, agent_id, api_period(viewer, since, until))
    if report is None:
        raise NotFoundError("the agent has no scored calls in this period.")
    return report


@api.get("/agents/{agent_id}/notes")
def list_agent_notes(viewer: Signed, agent_id: AgentId) -> list[Note]:
    """The newest hundred notes on an agent; on oneself those that are shared."""
    viewer.agent(agent_id, Permission.SEE_REPORTS)
    viewer.note("coaching.read")
    return list(_notes(viewer, agent_id))


@api.post("/agents/{agent_id}/notes", status_code=201)
def add_agent_note(viewer: Signed, agent_id: AgentId, note: NewNote) -> Note:
    """Keep a note on an agent."""
    viewer.agent(agent_id, Permission.COACH)
    viewer.note("coaching.note")
    return viewer.store.coaching.add_note(
        agent_id,
        note.text,
        by=viewer.user.user_id,
        now=viewer.now,
        is_shared=note.is_shared,
        call_id=note.call_id,
        at_s=note.at_s if note.call_id else None,
    )


@api.get("/agents/{agent_id}/goals")
def list_agent_goals(viewer: Signed, agent_id: AgentId) -> list[Goal]:
    """The goals of an agent, open ones first."""
    viewer.agent(agent_id, Permission.SEE_REPORTS)
    viewer.note("coaching.read")
    return list(viewer.store.coaching.goals(agent_id))


@api.post("/agents/{agent_id}/goals", status_code=201)
def add_agent_goal(viewer: Signed, agent_id: AgentId, goal: NewGoal) -> Goal:
    """Agree on a goal; what it measures in the four weeks until now is kept with it."""
    viewer.agent(agent_id, Permission.COACH)
    viewer.note("coaching.goal")
    return viewer.monitor.set_goal(
        agent_id,
        kind=goal.kind,
        code=goal.code,
        wording=goal.wording,
        target=goal.target,
        is_at_least=goal.is_at_least,
        due_on=goal.due_on,
        by=viewer.user.user_id,
    )


@api.post("/agents/{agent_id}/goals/{goal_id}/close")
def close_agent_goal(
    viewer: Signed, agent_id: AgentId, goal_id: ItemId, closing: CloseGoal
) -> Goal:
    """Say that a goal is met, or dropped."""
    viewer.agent(agent_id, Permission.COACH)
    viewer.note("coaching.goal_close")
    coaching = viewer.store.coaching
    coaching.goal(goal_id, agent_id=agent_id)
    return coaching.close_goal(
        goal_id,
        GoalState(closing.state),
        because=closing.because,
        by=viewer.user.user_id,
        now=viewer.now,
    )
