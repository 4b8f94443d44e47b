"""Disputes of agents, for the coach or reviewer who decides on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Form, Query
from pydantic import Field
from starlette.responses import Response

from qa_monitor.accounts import Permission
from qa_monitor.errors import AccessDeniedError, UsageError
from qa_monitor.store import Dispute
from qa_monitor.store.coaching import LONGEST_TEXT
from qa_monitor.store.reviews import scale_of
from qa_monitor.web.agents import ItemId, names_of
from qa_monitor.web.one_call import is_read_blind
from qa_monitor.web.values import WHOLE
from qa_monitor.web.viewing import Signed, Viewer, api_router, page_router

__all__ = ["api", "pages"]

pages = page_router()
api = api_router("disputes")

_PAGE = 50
Before = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="The dispute where the page before ended.")
]


def _reached(viewer: Viewer, dispute_id: int) -> Dispute:
    """The dispute, where the viewer may decide on it."""
    viewer.require(Permission.RESOLVE_DISPUTES)
    dispute = viewer.store.coaching.dispute(dispute_id)
    viewer.reach(dispute.call_id, Permission.RESOLVE_DISPUTES)
    if is_read_blind(viewer, dispute.call_id):
        raise AccessDeniedError(
            "you are reviewing this call blind. Finish that review first; then all is shown."
        )
    return dispute


def _listed(viewer: Viewer, *, open_only: bool, before: int | None = None) -> tuple[Dispute, ...]:
    """The disputes in reach, but for those of calls that the viewer reads blind."""
    scope = viewer.require(Permission.RESOLVE_DISPUTES)
    found = viewer.store.coaching.disputes(
        scope=scope, open_only=open_only, before=before, limit=_PAGE
    )
    return tuple(one for one in found if not is_read_blind(viewer, one.call_id))


def _resolve(viewer: Viewer, dispute_id: int, points: float | None, reason: str) -> Dispute:
    dispute = _reached(viewer, dispute_id)
    viewer.note("dispute.resolve", kind="dispute", object_id=str(dispute_id))
    return viewer.store.coaching.resolve_dispute(
        dispute.dispute_id,
        points=points,
        reason=reason,
        by=viewer.user.user_id,
        by_agent=viewer.user.agent_id,
        now=viewer.now,
    )


@pages.get("/disputes", name="disputes")
def disputes_page(
    viewer: Signed, state: Annotated[Literal["open", "all"], Query()] = "open"
) -> Response:
    """Disputes in reach: the open ones, or all."""
    viewer.require(Permission.RESOLVE_DISPUTES)
    viewer.note("disputes.list")
    return viewer.page(
        "agents/disputes.html.j2",
        disputes=_listed(viewer, open_only=state == "open"),
        state=state,
        names=names_of(viewer),
        agents=_agent_names(viewer),
    )


def _agent_names(viewer: Viewer) -> dict[str, str]:
    return {a.agent_id: a.name or a.agent_id for a in viewer.store.people.agents()}


@pages.get("/disputes/{dispute_id}", name="dispute")
def dispute_page(viewer: Signed, dispute_id: ItemId) -> Response:
    """One dispute, with the score it is about, and the form that decides on it."""
    dispute = _reached(viewer, dispute_id)
    viewer.note("dispute.view", kind="dispute", object_id=str(dispute_id))
    record = viewer.monitor.record(dispute.call_id)
    return viewer.page(
        "agents/dispute.html.j2",
        dispute=dispute,
        history=viewer.store.coaching.dispute_history(dispute_id),
        score=record.scorecard.score(dispute.criterion),
        scale=scale_of(dispute.criterion),
        answers=viewer.store.coaching.answers(dispute.call_id),
        names=names_of(viewer),
        agents=_agent_names(viewer),
        is_own=dispute.raised_by == viewer.user.user_id,
    )


@pages.post("/disputes/{dispute_id}/resolve", name="resolve_dispute")
def resolve_dispute(
    viewer: Signed,
    dispute_id: ItemId,
    decision: Annotated[str, Form(max_length=10)],
    reason: Annotated[str, Form(max_length=LONGEST_TEXT + 1000)] = "",
) -> Response:
    """Decide: ``stands``, or the points that the score becomes."""
    if decision != "stands" and not decision.isdecimal():
        raise UsageError("say whether the score stands, or what it becomes.")
    points = None if decision == "stands" else float(int(decision))
    resolved = _resolve(viewer, dispute_id, points, reason)
    viewer.flash(
        "Decided: the score stands. The agent sees your reason."
        if resolved.state == "upheld"
        else "Decided: the score is corrected. The agent sees your reason."
    )
    return viewer.back_to("disputes")


# --- API -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of a dispute: the score stands (``points`` is ``null``), or becomes ``points``.

    Points are whole: 1 to 5, urgency 0 to 3.
    """

    points: Annotated[int, Field(strict=True, ge=0, le=5), WHOLE] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


@api.get("/disputes")
def list_disputes(
    viewer: Signed,
    state: Annotated[Literal["open", "all"], Query(description="Which of them.")] = "open",
    before: Before = None,
) -> list[Dispute]:
    """Disputes in reach, the newest first; fifty at a time."""
    viewer.require(Permission.RESOLVE_DISPUTES)
    viewer.note("disputes.list")
    return list(_listed(viewer, open_only=state == "open", before=before))


@api.post("/disputes/{dispute_id}/resolve")
def settle_dispute(viewer: Signed, dispute_id: ItemId, decision: Decision) -> Dispute:
    """Decide on an open dispute; other points are a correction by the one who decides."""
    return _resolve(viewer, dispute_id, decision.points, decision.reason)
