"""The agent's own page: own calls, own trend, what was shared, and what the agent says to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import Form, Query
from pydantic import Field
from starlette.responses import Response

from qa_monitor.accounts import Permission
from qa_monitor.calls import CallType, Criterion, EscalationOutcome
from qa_monitor.errors import UsageError
from qa_monitor.reports import AgentReport, render_body
from qa_monitor.reports.team import Period
from qa_monitor.store import Answer, Dispute, DisputeState, Goal, Note, ScoredCall
from qa_monitor.store.coaching import LONGEST_TEXT
from qa_monitor.web.agents import (
    DayField,
    ItemId,
    Since,
    Until,
    api_period,
    call_link,
    names_of,
    period_of,
    quick_periods,
    report_in,
    zone_of,
)
from qa_monitor.web.one_call import CallId
from qa_monitor.web.viewing import Signed, Viewer, api_router, page_router

__all__ = ["api", "pages"]

pages = page_router()
api = api_router("own calls")

_PAGE = 25
_SHOWN = (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)
Said = Annotated[str, Form(max_length=LONGEST_TEXT + 1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnScore:
    """A criterion of an own call: the machine's points, and a person's where there are any.

    ``points`` are those in force; ``because`` is the reason of the person who corrected them.
    """

    criterion: Criterion
    points: float | None
    machine_points: float | None
    is_corrected: bool
    because: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCall:
    """A call as its agent sees it; its scores can be disputed until ``dispute_until``."""

    call_id: str
    started_at: datetime | None
    duration_s: float
    call_type: CallType | None
    escalated: EscalationOutcome | None
    scores: tuple[OwnScore, ...]
    corrections: int
    acknowledged_at: datetime | None
    dispute_until: datetime | None
    disputes: tuple[Dispute, ...]

    def score(self, criterion: Criterion) -> OwnScore | None:
        """The score of ``criterion``, if the card has one."""
        return next((one for one in self.scores if one.criterion is criterion), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPage:
    """An agent's own page: the newest calls of the period, the report, what is shared.

    ``report`` is ``None`` where the period has no scored calls.
    """

    agent_id: str
    since: datetime
    until: datetime
    calls: tuple[OwnCall, ...]
    report: AgentReport | None
    notes: tuple[Note, ...]
    goals: tuple[Goal, ...]


# --- what is shown -------------------------------------------------------------------------------


def _agent_of(viewer: Viewer) -> str:
    """The agent that the viewer is."""
    viewer.require(Permission.SEE_OWN)
    if viewer.user.agent_id is None:
        raise UsageError("your account is of no agent. Ask an administrator.")
    return viewer.user.agent_id


def _within(viewer: Viewer) -> timedelta:
    return timedelta(days=viewer.monitor.config.coaching.dispute_days)


def _own_calls(viewer: Viewer, agent_id: str, calls: Sequence[ScoredCall]) -> list[OwnCall]:
    """These calls with what was said of them; that they were shown is kept."""
    coaching = viewer.store.coaching
    ids = tuple(call.recording.call_id for call in calls)
    coaching.note_shown(agent_id, ids, now=viewer.now)
    seen = coaching.acknowledged(agent_id, "call")
    until = coaching.dispute_until(agent_id, ids, within=_within(viewer))
    by_call: dict[str, list[Dispute]] = {}
    for dispute in coaching.disputes(agent_id=agent_id, call_ids=ids, limit=1000):
        by_call.setdefault(dispute.call_id, []).append(dispute)
    return [_own_call(call, seen, until, by_call) for call in calls]


def _own_call(
    call: ScoredCall,
    seen: Mapping[str, datetime],
    until: Mapping[str, datetime],
    disputes: Mapping[str, Sequence[Dispute]],
) -> OwnCall:
    call_id = call.recording.call_id
    scores = []
    for criterion, points in call.points.items():
        correction = call.corrections.get(criterion)
        scores.append(
            OwnScore(
                criterion=criterion,
                points=points if correction is None else correction.points,
                machine_points=points,
                is_corrected=correction is not None,
                because=None if correction is None else correction.reason,
            )
        )
    outcome = call.corrections.get("escalated")
    about = call.corrections.get("call_type")
    return OwnCall(
        call_id=call_id,
        started_at=call.recording.started_at,
        duration_s=call.recording.duration_s,
        call_type=CallType(about.answer) if about and about.answer else call.call_type,
        escalated=EscalationOutcome(outcome.answer)
        if outcome and outcome.answer
        else call.escalated,
        scores=tuple(scores),
        corrections=len(call.corrections),
        acknowledged_at=seen.get(call_id),
        dispute_until=until.get(call_id),
        disputes=tuple(disputes.get(call_id, ())),
    )


def _calls_in(viewer: Viewer, agent_id: str, period: Period) -> list[ScoredCall]:
    """The agent's calls of the period, the newest first."""
    since, until = period.between(zone_of(viewer))
    calls = viewer.store.reporting.calls(agent_id, since=since, until=until)
    return list(reversed(calls))


# --- pages ---------------------------------------------------------------------------------------


@pages.get("/me", name="own")
def own_page(
    viewer: Signed,
    since: DayField = "",
    until: DayField = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    """The agent's own calls of a period, and the report on them."""
    agent_id = _agent_of(viewer)
    viewer.note("own.view", kind="agent", object_id=agent_id)
    period = period_of(viewer, since, until)
    calls = _calls_in(viewer, agent_id, period)
    shown = calls[(page - 1) * _PAGE : page * _PAGE]
    report = report_in(viewer, agent_id, period)
    body = None
    if report is not None:
        body = render_body(
            report, link=lambda call_id, at_s: call_link(viewer, call_id, at_s), you=True
        )
    coaching = viewer.store.coaching
    return viewer.page(
        "own/page.html.j2",
        period=period,
        quick=quick_periods(viewer, period),
        calls=_own_calls(viewer, agent_id, shown),
        count=len(calls),
        page=page,
        pages=-(-len(calls) // _PAGE),
        criteria=_SHOWN,
        body=body,
        goals=coaching.goals(agent_id, open_only=True),
        goals_seen=coaching.acknowledged(agent_id, "goal"),
        report_id=_report_id(period),
        report_seen=coaching.acknowledged(agent_id, "report").get(_report_id(period)),
        disputes=coaching.disputes(agent_id=agent_id, limit=20),
        now=viewer.now,
    )


def _report_id(period: Period) -> str:
    return f"{period.first}..{period.last}"


@pages.get("/me/calls/{call_id}", name="own_call")
def own_call_page(viewer: Signed, call_id: CallId) -> Response:
    """One of the agent's own calls: scores, corrections, and what the agent says to it."""
    agent_id = _agent_of(viewer)
    record = viewer.call(call_id, Permission.SEE_OWN)
    viewer.note("own.call")
    (call,) = viewer.store.reporting.calls(agent_id, call_id=call_id)
    coaching = viewer.store.coaching
    (own,) = _own_calls(viewer, agent_id, [call])
    return viewer.page(
        "own/call.html.j2",
        call=own,
        reasons={score.criterion: score for score in record.scorecard.scores},
        answers=coaching.answers(call_id),
        notes=[
            note for note in coaching.notes(agent_id, shared_only=True) if note.call_id == call_id
        ],
        names=names_of(viewer),
        may_dispute=_may_dispute(own, viewer.now),
        now=viewer.now,
        longest=LONGEST_TEXT,
    )


def _may_dispute(call: OwnCall, now: datetime) -> list[Criterion]:
    """The criteria that can be disputed at the moment."""
    if call.dispute_until is None or now > call.dispute_until:
        return []
    taken = {one.criterion for one in call.disputes if one.state is not DisputeState.WITHDRAWN}
    return [s.criterion for s in call.scores if s.points is not None and s.criterion not in taken]


@pages.post("/me/calls/{call_id}/acknowledge", name="acknowledge_call")
def acknowledge_call(viewer: Signed, call_id: CallId) -> Response:
    """Say that the call was looked at."""
    _acknowledge(viewer, call_id)
    viewer.flash("Noted that you have seen this call.")
    return viewer.back_to("own_call", call_id=call_id)


def _acknowledge(viewer: Viewer, call_id: str) -> None:
    agent_id = _agent_of(viewer)
    viewer.reach(call_id, Permission.SEE_OWN)
    viewer.note("own.acknowledge")
    viewer.store.coaching.acknowledge(
        agent_id, "call", call_id, by=viewer.user.user_id, now=viewer.now
    )


@pages.post("/me/calls/{call_id}/answer", name="answer_call")
def answer_call(viewer: Signed, call_id: CallId, text: Said = "") -> Response:
    """Keep what the agent has to say to the call."""
    _answer(viewer, call_id, text)
    viewer.flash("Your answer is kept; your coach and the reviewers see it.")
    return viewer.back_to("own_call", call_id=call_id)


def _answer(viewer: Viewer, call_id: str, text: str) -> Answer:
    agent_id = _agent_of(viewer)
    viewer.reach(call_id, Permission.SEE_OWN)
    viewer.note("own.answer")
    return viewer.store.coaching.answer(
        call_id, text, agent_id=agent_id, by=viewer.user.user_id, now=viewer.now
    )


@pages.post("/me/calls/{call_id}/disputes", name="raise_dispute")
def raise_dispute(
    viewer: Signed, call_id: CallId, criterion: Annotated[Criterion, Form()], reason: Said = ""
) -> Response:
    """Dispute a score of the call."""
    _dispute(viewer, call_id, criterion, reason)
    viewer.flash("Your dispute is with the reviewers. You will see here what they decide, and why.")
    return viewer.back_to("own_call", call_id=call_id)


def _dispute(viewer: Viewer, call_id: str, criterion: Criterion, reason: str) -> Dispute:
    agent_id = _agent_of(viewer)
    viewer.reach(call_id, Permission.SEE_OWN)
    viewer.note("own.dispute")
    return viewer.store.coaching.raise_dispute(
        call_id,
        criterion,
        reason,
        agent_id=agent_id,
        by=viewer.user.user_id,
        now=viewer.now,
        within=_within(viewer),
    )


@pages.post("/me/disputes/{dispute_id}/withdraw", name="withdraw_dispute")
def withdraw_dispute(viewer: Signed, dispute_id: ItemId) -> Response:
    """Take an own dispute back."""
    dispute = _withdraw(viewer, dispute_id)
    viewer.flash("The dispute is withdrawn.")
    return viewer.back_to("own_call", call_id=dispute.call_id)


def _withdraw(viewer: Viewer, dispute_id: int) -> Dispute:
    agent_id = _agent_of(viewer)
    viewer.note("own.dispute_withdraw", kind="dispute", object_id=str(dispute_id))
    return viewer.store.coaching.withdraw_dispute(
        dispute_id, agent_id=agent_id, by=viewer.user.user_id, now=viewer.now
    )


@pages.post("/me/goals/{goal_id}/acknowledge", name="acknowledge_goal")
def acknowledge_goal(viewer: Signed, goal_id: ItemId) -> Response:
    """Say that a goal was seen."""
    _acknowledge_other(viewer, "goal", str(goal_id))
    viewer.flash("Noted that you have seen this goal.")
    return viewer.back_to("own")


@pages.post("/me/report/acknowledge", name="acknowledge_report")
def acknowledge_report(viewer: Signed, since: DayField = "", until: DayField = "") -> Response:
    """Say that the report of a period was seen."""
    period = period_of(viewer, since, until)
    _acknowledge_other(viewer, "report", _report_id(period))
    viewer.flash("Noted that you have seen this report.")
    return viewer.back_to("own", since=period.first, until=period.last)


def _acknowledge_other(viewer: Viewer, kind: Literal["goal", "report"], object_id: str) -> None:
    agent_id = _agent_of(viewer)
    viewer.note("own.acknowledge", kind=kind, object_id=object_id)
    viewer.store.coaching.acknowledge(
        agent_id, kind, object_id, by=viewer.user.user_id, now=viewer.now
    )


# --- API -----------------------------------------------------------------------------------------

Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAnswer:
    """What the agent says to an own call."""

    text: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDispute:
    """A score that the agent does not agree with, and why."""

    criterion: Criterion
    reason: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """When an own call was first acknowledged."""

    call_id: str
    at: datetime


@api.get("/me")
def read_own(viewer: Signed, since: Since = None, until: Until = None) -> OwnPage:
    """The agent's own calls of a period (the newest hundred), report, shared notes and goals."""
    agent_id = _agent_of(viewer)
    viewer.note("own.view", kind="agent", object_id=agent_id)
    period = api_period(viewer, since, until)
    begin, end = period.between(zone_of(viewer))
    coaching = viewer.store.coaching
    return OwnPage(
        agent_id=agent_id,
        since=begin,
        until=end,
        calls=tuple(_own_calls(viewer, agent_id, _calls_in(viewer, agent_id, period)[:100])),
        report=report_in(viewer, agent_id, period),
        notes=coaching.notes(agent_id, shared_only=True),
        goals=coaching.goals(agent_id),
    )


@api.post("/calls/{call_id}/acknowledge")
def acknowledge_own_call(viewer: Signed, call_id: CallId) -> Seen:
    """Say that an own call was looked at; the first time counts."""
    _acknowledge(viewer, call_id)
    seen = viewer.store.coaching.acknowledged(_agent_of(viewer), "call")
    return Seen(call_id=call_id, at=seen[call_id])


@api.post("/calls/{call_id}/answer", status_code=201)
def answer_own_call(viewer: Signed, call_id: CallId, answer: NewAnswer) -> Answer:
    """Keep what the agent says to an own call."""
    return _answer(viewer, call_id, answer.text)


@api.post("/calls/{call_id}/disputes", status_code=201)
def dispute_own_call(viewer: Signed, call_id: CallId, dispute: NewDispute) -> Dispute:
    """Dispute a score of an own call, within the time that the centre has set."""
    return _dispute(viewer, call_id, dispute.criterion, dispute.reason)


@api.post("/me/disputes/{dispute_id}/withdraw")
def withdraw_own_dispute(viewer: Signed, dispute_id: ItemId) -> Dispute:
    """Take an own dispute back."""
    return _withdraw(viewer, dispute_id)
