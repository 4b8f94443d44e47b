"""Alerts: which calls somebody should look at now, who does, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import Form, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from qa_monitor.accounts import Permission
from qa_monitor.calls import EscalationOutcome, Severity
from qa_monitor.reports.wording import clock
from qa_monitor.store import (
    LONGEST_NOTE,
    TRANSITIONS,
    AlertPage,
    AlertState,
    AlertStory,
    Arrival,
    ListedAlert,
    Scope,
)
from qa_monitor.web.values import Instant
from qa_monitor.web.viewing import Signed, Sittings, Viewer, api_router, page_router

__all__ = ["api", "pages"]

pages = page_router()
api = api_router("alerts")

_OPEN_LISTS = Sittings()
_ROWS = 50
_LAST_PAGE = 10_000
_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(2200, 1, 1)
_TO_DO = (AlertState.OPEN, AlertState.ACKNOWLEDGED)
_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"

AlertId = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", description="The alert's id.")
]
Team = Annotated[str | None, Query(max_length=64, pattern=_TEXT, description="Of its agents.")]
Day = Annotated[
    Annotated[date, Field(ge=_FIRST_DAY, le=_LAST_DAY)] | None,
    BeforeValidator(lambda value: value or None),
    Query(),
]
Note = Annotated[str, Form(max_length=LONGEST_NOTE, pattern=_TEXT)]

STATES: Mapping[AlertState, str] = {
    AlertState.OPEN: "open",
    AlertState.ACKNOWLEDGED: "acknowledged",
    AlertState.RESOLVED: "resolved",
    AlertState.FALSE_ALARM: "false alarm",
}
REASONS: Mapping[str, str] = {
    "emergency_not_escalated": "an emergency that was not passed on",
    "emergency_escalated_late": "an emergency passed on late or in part",
    "emergency_outcome_unclear": "an emergency; it is unclear what was done",
    "emergency_escalated": "an emergency, passed on",
    "possible_emergency": "perhaps an emergency; the machine would not decide",
    "red_flag_urgency_unclear": "words of a red flag; the urgency is unclear",
    "red_flag_not_urgent": "words of a red flag in a call that seems routine",
    "urgent_not_escalated": "an urgent call that was not passed on",
    "urgent_escalated_late": "an urgent call passed on late or in part",
    "urgent_outcome_unclear": "an urgent call; it is unclear what was done",
    "urgent_escalated": "an urgent call, passed on",
    "same_day_need_missed": "a need of the same day that was missed",
}
"""The reasons of the policy that ships; others are shown as their code reads."""
_ACTIONS: Mapping[tuple[bool, AlertState], str] = {
    (False, AlertState.ACKNOWLEDGED): "Acknowledge",
    (False, AlertState.RESOLVED): "Resolve",
    (False, AlertState.FALSE_ALARM): "False alarm",
    (False, AlertState.OPEN): "Give back",
    (True, AlertState.RESOLVED): "Make it resolved",
    (True, AlertState.FALSE_ALARM): "Make it a false alarm",
    (True, AlertState.OPEN): "Reopen",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertQuery:
    """Which alerts the page shows; it stands in the address, so that a list is a link."""

    state: str = "to_do"
    severity: str | None = None
    team: str | None = None
    since: date | None = None
    until: date | None = None
    page: int = 1

    def address(self, viewer: Viewer, **changed: Any) -> str:
        """The address of the same list but for what is ``changed``, from its first page on."""
        wanted = {
            "state": None if self.state == "to_do" else self.state,
            "severity": self.severity,
            "team": self.team,
            "since": self.since,
            "until": self.until,
        } | changed
        if wanted["state"] == "to_do":
            wanted["state"] = None
        return viewer.url("alerts", **wanted)


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to an alert: when, who, what, and what was noted."""

    at: datetime
    who: str
    what: str
    note: str | None = None
    is_problem: bool = False


# --- pages ---------------------------------------------------------------------------------------


@pages.get("/alerts", name="alerts")
def alerts_page(
    viewer: Signed,
    state: Literal["to_do", "open", "acknowledged", "resolved", "false_alarm", "all"] = "to_do",
    severity: Severity | None = None,
    team: Team = None,
    since: Day = None,
    until: Day = None,
    page: Annotated[int, Query(ge=1, le=_LAST_PAGE)] = 1,
    seen: Annotated[float | None, Query(ge=0, le=1e11)] = None,
) -> Response:
    """The list, open ones first; ``seen`` is when the page in view was made, and asks for a part.

    What came after that is told.
    """
    scope = viewer.require(Permission.SEE_ALERTS)
    viewer.note("alert.list")
    query = AlertQuery(
        state=state, severity=severity, team=team, since=since, until=until, page=page
    )
    # The page looks again by itself; that somebody has this list open is in the log already.
    if not _OPEN_LISTS.begins(
        viewer.user.user_id, repr(query), is_start=not viewer.looks_again, now=viewer.now
    ):
        viewer.note_nothing()
    found = _found(viewer, scope, query)
    counts = viewer.store.alerting.counts(scope)
    context = {
        **_words(viewer),
        "query": query,
        "found": found,
        "counts": counts,
        "now": viewer.now,
        "asked_at": viewer.now.timestamp(),
        "pages": -(-found.total // _ROWS),
        "address": lambda **changed: query.address(viewer, **changed),
    }
    if viewer.is_htmx and seen is not None:
        fresh = [
            one for one in found.alerts if one.alert.raised_at.timestamp() > seen and _is_to_do(one)
        ]
        return viewer.partial("alerts/list.html.j2", fresh=fresh, is_part=True, **context)
    return viewer.page(
        "alerts/page.html.j2",
        is_part=False,
        fresh=(),
        teams=_teams(viewer, scope),
        speed=viewer.store.arrivals.file_to_alert(scope, since=viewer.now - timedelta(days=30)),
        **context,
    )


@pages.get("/alerts/{alert_id}", name="alert")
def alert_page(viewer: Signed, alert_id: AlertId) -> Response:
    """One alert: what it is about, what can be done, who was told and who did what."""
    story = _story(viewer, alert_id, Permission.SEE_ALERTS)
    viewer.note("alert.view", kind="alert", object_id=alert_id)
    present = story.listed.state
    is_closed = present not in _TO_DO
    arrival = viewer.store.arrivals.of_call(story.listed.alert.call_id)
    return viewer.page(
        "alerts/alert.html.j2",
        **_words(viewer),
        one=story.listed,
        moments=_moments(story),
        deliveries=story.deliveries,
        actions=[
            (state, _ACTIONS[is_closed, state])
            for state in AlertState
            if state in TRANSITIONS[present]
        ],
        arrival=arrival,
        times=_times(story.listed, arrival),
        now=viewer.now,
        longest_note=LONGEST_NOTE,
    )


@pages.post("/alerts/{alert_id}/state", name="set_alert_state")
def set_alert_state(
    viewer: Signed,
    alert_id: AlertId,
    state: Annotated[AlertState, Form()],
    was: Annotated[AlertState, Form()],
    note: Note = "",
    to_list: Annotated[bool, Form()] = False,
) -> Response:
    """Say what became of an alert; ``was`` is the state that the page showed."""
    _set_state(viewer, alert_id, state, was=was, note=note)
    viewer.flash(f"The alert is {STATES[state]} now.")
    if to_list:
        return viewer.back_to("alerts")
    return viewer.back_to("alert", alert_id=alert_id)


# --- what pages and API share --------------------------------------------------------------------


def _story(viewer: Viewer, alert_id: str, permission: Permission) -> AlertStory:
    viewer.note("alert.view", kind="alert", object_id=alert_id)
    return viewer.store.alerting.alert(alert_id, viewer.require(permission))


def _set_state(
    viewer: Viewer, alert_id: str, state: AlertState, *, was: AlertState | None, note: str | None
) -> None:
    viewer.note(f"alert.{state}", kind="alert", object_id=alert_id)
    viewer.store.alerting.set_state(
        alert_id,
        state,
        by=viewer.user.user_id,
        now=viewer.now,
        note=note,
        was=was,
        scope=viewer.require(Permission.HANDLE_ALERTS),
    )


def _found(viewer: Viewer, scope: Scope, query: AlertQuery) -> AlertPage:
    states: Sequence[AlertState] | None = None
    if query.state == "to_do":
        states = _TO_DO
    elif query.state != "all":
        states = [AlertState(query.state)]
    zone = ZoneInfo(viewer.monitor.config.intake.timezone)
    return viewer.store.alerting.alerts(
        scope,
        states=states,
        severities=None if query.severity is None else [Severity(query.severity)],
        team=query.team or None,
        since=None if query.since is None else _midnight(query.since, zone),
        until=None if query.until is None else _midnight(query.until, zone, days=1),
        limit=_ROWS,
        offset=(query.page - 1) * _ROWS,
    )


def _midnight(day: date, zone: ZoneInfo, *, days: int = 0) -> datetime:
    return datetime.combine(day + timedelta(days=days), time(), zone).astimezone(UTC)


def _teams(viewer: Viewer, scope: Scope) -> list[str]:
    return sorted({agent.team for agent in viewer.store.people.agents(scope) if agent.team})


def _is_to_do(one: ListedAlert) -> bool:
    return one.state in _TO_DO


def _words(viewer: Viewer) -> dict[str, Any]:
    """Names of things, for the templates."""
    names = {user.user_id: user.name for user in viewer.store.people.users()}
    return {
        "states": STATES,
        "state_of": lambda state: STATES[AlertState(state)],
        "why": lambda code: REASONS.get(code, code.replace("_", " ")),
        "person": lambda by: "the machine" if by == "scoring" else names.get(by, by),
        "age": age,
        "took": took,
        "clock": clock,
    }


def age(since: datetime, now: datetime) -> str:
    """How long ago, in the two units that matter."""
    minutes = max(0, int((now - since).total_seconds() // 60))
    hours, rest = divmod(minutes, 60)
    days, left = divmod(hours, 24)
    if days:
        return f"{days} d {left} h" if days < 10 else f"{days} d"
    return f"{hours} h {rest:02d} min" if hours else f"{rest} min"


def took(seconds: float | None) -> str:
    """A stretch of time, to the tenth of a second where it is short."""
    if seconds is None:
        return "not known"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _moments(story: AlertStory) -> list[Moment]:
    """Everything that happened, oldest first."""
    said = {
        AlertState.ACKNOWLEDGED: "acknowledged it",
        AlertState.RESOLVED: "resolved it",
        AlertState.FALSE_ALARM: "called it a false alarm",
    }
    moments = []
    for number, event in enumerate(story.events):
        if event.state is AlertState.OPEN:
            by_machine = event.set_by == "scoring"
            what = f"raised it as {event.severity}" if by_machine else "opened it again"
            if by_machine and number:
                what = f"raised it to {event.severity}"
        else:
            what = said[event.state]
        moments.append(Moment(event.set_at, event.set_by, what, event.note))
    for told in story.deliveries:
        if told.delivered_at is not None:
            what = "was reminded" if told.step else "was told"
            moments.append(Moment(told.delivered_at, told.channel, what))
    return sorted(moments, key=lambda moment: moment.at)


def _times(one: ListedAlert, arrival: Arrival | None) -> dict[str, float | None] | None:
    """Seconds from the finished file to the record, and to the first channel told."""
    if arrival is None:
        return None
    told = None if one.told_at is None else (one.told_at - arrival.arrived_at).total_seconds()
    return {
        "record": (arrival.saved_at - arrival.arrived_at).total_seconds(),
        "alert": told,
    }


# --- the API -------------------------------------------------------------------------------------


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class AlertOut(_Out):
    """An alert. ``place_s`` is the second of the recording where its first evidence lies."""

    alert_id: str
    call_id: str
    severity: Severity
    reason: str
    state: AlertState
    raised_at: datetime
    first_raised_at: datetime
    agent_id: str | None
    team: str | None
    escalated: EscalationOutcome | None
    place_s: float | None
    set_by: str
    set_at: datetime
    told_at: datetime | None


class AlertsOut(_Out):
    """A stretch of ``total`` alerts; ``next_offset`` is where the next one begins, if any."""

    alerts: list[AlertOut]
    total: int
    next_offset: int | None


class AlertEventOut(_Out):
    """Who set which state, when, and with which note."""

    state: AlertState
    severity: Severity
    set_at: datetime
    set_by: str
    note: str | None


class DeliveryOut(_Out):
    """How far telling one channel has come; ``reminder`` 0 is the first telling."""

    channel: str
    severity: Severity
    reminder: int
    attempts: int
    delivered_at: datetime | None
    next_attempt_at: datetime | None
    last_error: str | None
    is_held: bool


class AlertStoryOut(AlertOut):
    """An alert with its history and who was told; seconds from the finished file on, if watched."""

    history: list[AlertEventOut]
    deliveries: list[DeliveryOut]
    file_to_record_s: float | None
    file_to_alert_s: float | None


class StateIn(BaseModel):
    """What became of an alert; with ``was``, the state that was seen, nobody is overruled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: AlertState
    was: AlertState | None = None
    note: str | None = Field(None, max_length=LONGEST_NOTE, pattern=_TEXT)


@api.get("/alerts")
def list_alerts(
    viewer: Signed,
    state: Annotated[list[AlertState], Query(max_length=4)] = [],  # noqa: B006 - FastAPI copies it
    severity: Annotated[list[Severity], Query(max_length=4)] = [],  # noqa: B006
    team: Team = None,
    since: Annotated[Instant | None, Query(description="Raised then or later.")] = None,
    until: Annotated[Instant | None, Query(description="Raised before then.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = _ROWS,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> AlertsOut:
    """Alerts, open ones first, the most urgent of them first; of several states any fits."""
    scope = viewer.require(Permission.SEE_ALERTS)
    viewer.note("alert.list")
    found = viewer.store.alerting.alerts(
        scope,
        states=state or None,
        severities=severity or None,
        team=team,
        since=since,
        until=until,
        limit=limit,
        offset=offset,
    )
    end = offset + len(found.alerts)
    return AlertsOut(
        alerts=[AlertOut(**_out(one)) for one in found.alerts],
        total=found.total,
        next_offset=end if found.alerts and end < found.total else None,
    )


@api.get("/alerts/{alert_id}")
def get_alert(viewer: Signed, alert_id: AlertId) -> AlertStoryOut:
    """One alert with its history."""
    return _story_out(viewer, _story(viewer, alert_id, Permission.SEE_ALERTS))


@api.post("/alerts/{alert_id}/state")
def change_alert_state(viewer: Signed, alert_id: AlertId, wanted: StateIn) -> AlertStoryOut:
    """Say what became of an alert; 409 tells who was first."""
    _set_state(viewer, alert_id, wanted.state, was=wanted.was, note=wanted.note)
    scope = viewer.require(Permission.SEE_ALERTS)
    return _story_out(viewer, viewer.store.alerting.alert(alert_id, scope))


def _out(one: ListedAlert) -> dict[str, Any]:
    alert = one.alert
    return {
        "alert_id": alert.alert_id,
        "call_id": alert.call_id,
        "severity": alert.severity,
        "reason": alert.reason,
        "state": one.state,
        "raised_at": alert.raised_at,
        "first_raised_at": one.first_raised_at,
        "agent_id": one.agent_id,
        "team": one.team,
        "escalated": one.escalated,
        "place_s": one.place_s,
        "set_by": one.set_by,
        "set_at": one.set_at,
        "told_at": one.told_at,
    }


def _story_out(viewer: Viewer, story: AlertStory) -> AlertStoryOut:
    arrival = viewer.store.arrivals.of_call(story.listed.alert.call_id)
    times = _times(story.listed, arrival) or {"record": None, "alert": None}
    return AlertStoryOut(
        **_out(story.listed),
        history=[
            AlertEventOut(
                state=event.state,
                severity=event.severity,
                set_at=event.set_at,
                set_by=event.set_by,
                note=event.note,
            )
            for event in story.events
        ],
        deliveries=[
            DeliveryOut(
                channel=told.channel,
                severity=told.severity,
                reminder=told.step,
                attempts=told.attempts,
                delivered_at=told.delivered_at,
                next_attempt_at=None if told.delivered_at else told.next_attempt_at,
                last_error=told.last_error,
                is_held=told.is_held,
            )
            for told in story.deliveries
        ],
        file_to_record_s=times["record"],
        file_to_alert_s=times["alert"],
    )
