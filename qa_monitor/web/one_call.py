"""The page of one call: what was said, what the machine makes of it, what people say to that.

Somebody who reads a call blind gets the transcript, the sound and a blank form; nothing that the
machine or anybody else says of the call is in the answer, on a page or in the API, until the review
is done. Agents see their own calls, without what colleagues wrote for each other.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Body, Form, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from qa_monitor.accounts import Permission, scope_of
from qa_monitor.calls import (
    CallRecord,
    Criterion,
)
from qa_monitor.errors import AccessDeniedError, ConflictError, UsageError
from qa_monitor.store import (
    Comment,
    HistoryEntry,
    Judgement,
    RescoringKind,
    Review,
    ReviewKind,
    UserRole,
)
from qa_monitor.store.reviews import COMMENT_LONGEST, REASON_LONGEST
from qa_monitor.web import call_view
from qa_monitor.web.call_json import (
    CallOut,
    CommentOut,
    HistoryEntryOut,
    HistoryOut,
    JudgementOut,
    RescoredOut,
    ReviewOut,
    call_out,
)
from qa_monitor.web.values import WHOLE, Instant
from qa_monitor.web.viewing import Problem, Signed, Viewer, api_router, page_router

__all__ = ["CallId", "api", "is_read_blind", "pages"]

pages = page_router()
api = api_router("one call")

CallId = Annotated[
    str,
    Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", description="The call's id."),
]
_RUBRIC = r"^[A-Za-z0-9._+-]{1,200}$"
_SUBJECT = r"^[a-z_]{1,40}(:[A-Za-z0-9_.-]{1,80})?$"
_LARGEST_ID = 2**31 - 1
_LONGEST_CALL_S = 24 * 3600.0
_CLOCK = re.compile(r"(?:(\d{1,2}):)?(\d{1,3}):(\d{2})|(\d{1,5}(?:\.\d{1,3})?)")
_STAFF_ROLES = (UserRole.REVIEWER, UserRole.COACH, UserRole.SUPERVISOR)
_SCORING = threading.Lock()

_RubricQuery = Annotated[str | None, Query(pattern=_RUBRIC, description="Another of its cards.")]
_RunId = Annotated[int, Form(ge=1, le=_LARGEST_ID)]
_RubricField = Annotated[str, Form(pattern=_RUBRIC)]


# --- what is asked for ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A call within reach, and how the viewer stands to it.

    ``is_own`` tells that it is the viewer's own call as an agent, ``is_blind`` that it is to be
    read without seeing what the machine and others say.
    """

    record: CallRecord
    run_id: int
    is_own: bool
    is_blind: bool
    may_review: bool
    may_comment: bool
    may_hear_unredacted: bool


def is_read_blind(viewer: Viewer, call_id: str) -> bool:
    """Whether the viewer has an open blind review of the call."""
    return viewer.store.queueing.is_blind(viewer.user.user_id, call_id)


def _asked(
    viewer: Viewer,
    call_id: str,
    permission: Permission = Permission.SEE_CALLS,
    *,
    rubric: str | None = None,
) -> _Asked:
    viewer.reach(call_id, permission)
    whose = viewer.store.people.agent_of_call(call_id) or (None, None)

    def reaches(wanted: Permission) -> bool:
        return viewer.may(wanted) and scope_of(viewer.user, wanted).covers(*whose)

    is_own = whose[0] is not None and whose[0] == viewer.user.agent_id
    is_blind = is_read_blind(viewer, call_id)
    run_id = viewer.store.latest_run(call_id)
    return _Asked(
        record=viewer.store.record(call_id, run_id=run_id, rubric=None if is_blind else rubric),
        run_id=run_id,
        is_own=is_own,
        is_blind=is_blind,
        may_review=reaches(Permission.REVIEW_CALLS),
        may_comment=reaches(Permission.COMMENT) and not is_own,
        may_hear_unredacted=reaches(Permission.HEAR_UNREDACTED),
    )


def _open_eyed(viewer: Viewer, call_id: str) -> None:
    """Raises ``AccessDeniedError`` while the viewer reads the call blind."""
    if is_read_blind(viewer, call_id):
        raise AccessDeniedError(
            "you are reviewing this call blind. Finish that review first; then all is shown."
        )


def _judgements(viewer: Viewer, asked: _Asked) -> tuple[Judgement, ...]:
    """What people said of the call that the viewer may see."""
    by = viewer.user.user_id
    found = viewer.store.reviews.judgements(asked.record.call_id, seen_by=by)
    return tuple(one for one in found if not asked.is_blind or one.user_id == by)


def _comments(viewer: Viewer, asked: _Asked) -> tuple[Comment, ...]:
    by = viewer.user.user_id
    found = viewer.store.reviews.comments(asked.record.call_id, for_agent_only=asked.is_own)
    return tuple(one for one in found if not asked.is_blind or one.user_id == by)


def _history(viewer: Viewer, asked: _Asked) -> tuple[HistoryEntry, ...]:
    return viewer.store.history(
        asked.record.call_id, seen_by=viewer.user.user_id, for_agent=asked.is_own
    )


# --- the page ------------------------------------------------------------------------------------


def _context(viewer: Viewer, asked: _Asked, *, turn: int | None = None) -> dict[str, Any]:
    """What the templates are given; while read blind nothing of the machine's."""
    record, by = asked.record, viewer.user.user_id
    comments = _comments(viewer, asked)
    settings = viewer.monitor.config
    context: dict[str, Any] = {
        "call_id": record.call_id,
        "recording": record.recording,
        "dialogue": record.dialogue,
        "asked": asked,
        "is_blind": asked.is_blind,
        "lanes": call_view.lanes_of(record),
        "layers": call_view.LAYERS,
        "has_audio": viewer.monitor.kept_copy(record.call_id).is_file(),
        "may_ask_original": asked.may_hear_unredacted
        and settings.web.allow_unredacted
        and settings.audio.keep_original
        and viewer.monitor.kept_original(record.call_id).is_file(),
        "names": {user.user_id: user.name for user in viewer.store.people.users()},
        "agent_name": viewer.store.people.agent_name(asked.record.recording.agent_id),
        "comments": comments,
        "opened_at": viewer.now,
        "task": viewer.store.queueing.task_of(by, record.call_id) if asked.may_review else None,
        "tells": call_view.said,
        "answered": call_view.answered,
        "warning": call_view.warning,
        "comment_turn": _moment(record, turn),
        "reason_longest": REASON_LONGEST,
        "comment_longest": COMMENT_LONGEST,
    }
    judgements = _judgements(viewer, asked)
    of_run = [one for one in judgements if one.run_id == asked.run_id]
    if asked.is_blind:
        return context | {
            "turns": call_view.turns_of(record, asked.run_id, (), comments),
            "fields": call_view.blind_fields(of_run, by=by),
            "warnings": (),
        }
    scores = call_view.scores_of(record, of_run, by=by)
    facts = call_view.facts_of(record, of_run, by=by)
    checklist = call_view.checklist_of(record, of_run, by=by)
    main, more = call_view.main_measures(viewer.monitor.measures(record))
    cards = viewer.store.cards(record.call_id)
    reviews = viewer.store.reviews.reviews(record.call_id)
    return context | {
        "turns": call_view.turns_of(
            record, asked.run_id, [place for one in scores for place in one.places], comments
        ),
        "card": record.scorecard,
        "scores": scores,
        "facts": facts,
        "checklist": checklist,
        "red_flags": call_view.red_flags_of(record),
        "warnings": record.warnings,
        "measures": main,
        "more_measures": more,
        "measured": call_view.measured,
        "metric_name": call_view.metric_name,
        "cards": cards,
        "is_card_in_use": any(
            one.is_in_use and one.rubric_version == record.scorecard.rubric_version for one in cards
        ),
        "versions": record.versions,
        "rubric_now": viewer.monitor.rubric_of(record.recording.queue)
        if asked.may_review
        else None,
        "history": _history(viewer, asked),
        "reviews": reviews,
        "own_review": next((one for one in reversed(reviews) if one.user_id == by), None),
        "older_judgements": [one for one in judgements if one.run_id != asked.run_id],
        "left": [one for one in (*scores, *facts) if one.own is None],
        "alerts": ()
        if asked.is_own or not viewer.may(Permission.SEE_ALERTS)
        else viewer.store.alerts(call_id=record.call_id),
    }


def _moment(record: CallRecord, turn: int | None) -> int | None:
    """The turn that a comment is begun on, if there is one of that number."""
    return turn if turn is not None and turn < len(record.dialogue.turns) else None


@pages.get("/calls/{call_id}", name="call")
def call_page(
    viewer: Signed,
    call_id: CallId,
    rubric: _RubricQuery = None,
    at: Annotated[float | None, Query(ge=0, le=_LONGEST_CALL_S)] = None,
    turn: Annotated[int | None, Query(ge=0, le=100_000)] = None,
) -> Response:
    """The whole page; ``at`` is where the player stands, ``turn`` which turn is commented on."""
    viewer.note("call.view")
    asked = _asked(viewer, call_id, rubric=rubric)
    if asked.is_blind:
        viewer.note("call.view_blind")
    template = "one_call/blind.html.j2" if asked.is_blind else "one_call/page.html.j2"
    return viewer.page(template, at=at, **_context(viewer, asked, turn=turn))


def _answer(viewer: Viewer, call_id: str, template: str, said: str, **more: Any) -> Response:
    """The part of the page that changed, or the way back to the page."""
    viewer.flash(said)
    if not viewer.is_htmx:
        return viewer.back_to("call", call_id=call_id)
    asked = _asked(viewer, call_id, rubric=more.pop("rubric", None))
    return viewer.partial(template, **_context(viewer, asked), **more)


# --- judging -------------------------------------------------------------------------------------


@pages.post("/calls/{call_id}/judgements", name="judge")
def judge(
    viewer: Signed,
    call_id: CallId,
    run_id: _RunId,
    rubric_version: _RubricField,
    verdict: Annotated[str, Form(pattern="^(agree|correct|agree_rest)$")],
    subject: Annotated[str, Form(pattern=_SUBJECT)] = "",
    value: Annotated[str, Form(max_length=40)] = "",
    reason: Annotated[str, Form(max_length=REASON_LONGEST * 2)] = "",
) -> Response:
    """Agree with the machine, or correct it."""
    viewer.note("call.correct" if verdict == "correct" else "call.agree")
    viewer.reach(call_id, Permission.REVIEW_CALLS)
    _open_eyed(viewer, call_id)
    common: dict[str, Any] = {
        "user_id": viewer.user.user_id,
        "now": viewer.now,
        "run_id": run_id,
        "rubric_version": rubric_version,
    }
    if verdict == "correct":
        points, answer = _value_of(subject, value)
        viewer.store.reviews.correct(
            call_id, subject, points=points, answer=answer, reason=reason, **common
        )
        told = "Your correction is kept beside the machine's score."
    elif verdict == "agree":
        viewer.store.reviews.agree(call_id, [subject], **common)
        told = "Kept: you agree."
    else:
        kept = viewer.store.reviews.agree(call_id, None, **common)
        told = f"Kept: you agree with {len(kept)} more." if kept else "Nothing was left to agree."
    template = (
        "one_call/judged_all.html.j2" if verdict == "agree_rest" else "one_call/judged.html.j2"
    )
    return _answer(viewer, call_id, template, told, subject_code=subject, rubric=rubric_version)


def _value_of(subject: str, value: str) -> tuple[float | None, str | None]:
    """Points and answer of what a form sends; ``none`` is "not assessable"."""
    if subject not in set(Criterion):
        return None, value or None
    if value == "none":
        return None, None
    if not re.fullmatch(r"[0-9]", value):
        raise UsageError("choose the points, or that it cannot be assessed.")
    return float(value), None


@pages.post("/calls/{call_id}/blind", name="judge_blind")
async def judge_blind(viewer: Signed, call_id: CallId) -> Response:
    """Keep what the form of a blind review says, and finish it where that is asked."""
    from anyio.to_thread import run_sync

    form = await viewer.request.form()
    given = {key: text for key, text in form.items() if isinstance(text, str)}
    return await run_sync(_judge_blind, viewer, call_id, given)


def _judge_blind(viewer: Viewer, call_id: str, given: Mapping[str, str]) -> Response:
    viewer.note("call.judge_blind")
    viewer.reach(call_id, Permission.REVIEW_CALLS)
    if not is_read_blind(viewer, call_id):
        raise ConflictError("this blind review is over already; the call is open to you.")
    user_id = viewer.user.user_id
    run_id = viewer.store.latest_run(call_id)
    standing = {
        one.subject: one
        for one in viewer.store.reviews.judgements(call_id, seen_by=user_id, run_id=run_id)
        if one.user_id == user_id and one.is_in_force
    }
    for field in call_view.blind_fields((), by=user_id):
        value = given.get(f"value_{field.code}", "")[:40]
        if not value:
            continue
        reason = given.get(f"reason_{field.code}", "").strip()
        points, answer = _value_of(field.code, value)
        known = standing.get(field.code)
        if known is not None and (known.points, known.answer, known.reason or "") == (
            points,
            answer,
            reason,
        ):
            continue
        viewer.store.reviews.correct(
            call_id,
            field.code,
            points=points,
            answer=answer,
            reason=reason,
            user_id=user_id,
            now=viewer.now,
            is_blind=True,
            run_id=run_id,
        )
    if given.get("action") != "done":
        viewer.flash("Saved. The review goes on.")
        return viewer.back_to("call", call_id=call_id)
    _finish(viewer, call_id, _instant(given.get("opened_at")), _number(given.get("seconds")))
    viewer.flash("Done. Now you see what the machine says, and what others said.")
    return viewer.back_to("call", call_id=call_id)


def _instant(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\d{1,5}(\.\d{1,3})?", text) else None


def _finish(
    viewer: Viewer, call_id: str, started_at: datetime | None, seconds: float | None
) -> Review:
    is_blind = is_read_blind(viewer, call_id)
    return viewer.store.reviews.finish(
        call_id,
        user_id=viewer.user.user_id,
        now=viewer.now,
        kind=ReviewKind.BLIND if is_blind else ReviewKind.NORMAL,
        started_at=started_at,
        seconds=seconds,
    )


@pages.post("/calls/{call_id}/review", name="finish_review")
def finish_review(
    viewer: Signed,
    call_id: CallId,
    opened_at: Annotated[str, Form(max_length=40)] = "",
    seconds: Annotated[str, Form(max_length=12)] = "",
    then: Annotated[str, Form(pattern="^(call|queue)$")] = "call",
) -> Response:
    """Say "done"."""
    viewer.note("call.review")
    viewer.reach(call_id, Permission.REVIEW_CALLS)
    _finish(viewer, call_id, _instant(opened_at), _number(seconds))
    viewer.flash("Done. The review is kept.")
    if then == "queue" and viewer.may(Permission.WORK_QUEUE):
        return viewer.back_to("queue")
    return viewer.back_to("call", call_id=call_id)


# --- comments ------------------------------------------------------------------------------------


@pages.post("/calls/{call_id}/comments", name="comment")
def comment(
    viewer: Signed,
    call_id: CallId,
    text: Annotated[str, Form(max_length=COMMENT_LONGEST * 2)] = "",
    start: Annotated[str, Form(max_length=12)] = "",
    end: Annotated[str, Form(max_length=12)] = "",
    turn: Annotated[int | None, Form(ge=0, le=100_000)] = None,
    is_for_agent: Annotated[bool, Form()] = False,
) -> Response:
    """Comment on a moment, or on the call."""
    viewer.note("call.comment")
    viewer.reach(call_id, Permission.COMMENT)
    _comment(
        viewer,
        call_id,
        text,
        start_s=_seconds(start, "the beginning"),
        end_s=_seconds(end, "the end"),
        turn=turn,
        is_for_agent=is_for_agent,
    )
    return _answer(viewer, call_id, "one_call/commented.html.j2", "Your comment is kept.")


def _comment(
    viewer: Viewer,
    call_id: str,
    text: str,
    *,
    start_s: float | None,
    end_s: float | None,
    turn: int | None,
    is_for_agent: bool,
) -> Comment:
    asked = _asked(viewer, call_id, Permission.COMMENT)
    if asked.is_own:
        raise AccessDeniedError("nobody comments on their own calls. Answer on your own page.")
    if turn is not None and turn >= len(asked.record.dialogue.turns):
        raise UsageError("the call has no such turn.")
    role = next(role for role in _STAFF_ROLES if role in viewer.user.roles)
    return viewer.store.reviews.comment(
        call_id,
        text,
        user_id=viewer.user.user_id,
        role=role.value,
        now=viewer.now,
        start_s=start_s,
        end_s=end_s,
        turn_index=turn,
        is_for_agent=is_for_agent,
    )


def _seconds(text: str, name: str) -> float | None:
    """Seconds of "1:02", "0:01:02" or "62.5"; ``None`` for nothing."""
    text = text.strip()
    if not text:
        return None
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise UsageError(f"write {name} of the moment as minutes and seconds, as 1:05.")
    if match[4] is not None:
        return float(match[4])
    return int(match[1] or 0) * 3600.0 + int(match[2]) * 60.0 + int(match[3])


@pages.post("/calls/{call_id}/comments/{comment_id}/withdraw", name="withdraw_comment")
def withdraw_comment(
    viewer: Signed, call_id: CallId, comment_id: Annotated[int, Path(ge=1, le=_LARGEST_ID)]
) -> Response:
    """Take a comment of one's own back."""
    viewer.note("call.withdraw_comment")
    viewer.reach(call_id, Permission.COMMENT)
    viewer.store.reviews.withdraw_comment(
        comment_id, call_id=call_id, user_id=viewer.user.user_id, now=viewer.now
    )
    viewer.flash("Your comment is withdrawn.")
    return viewer.back_to("call", call_id=call_id)


# --- scoring anew --------------------------------------------------------------------------------


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Models take all of the machine: whoever comes second is told, and tries again."""
    if not _SCORING.acquire(blocking=False):
        raise ConflictError(
            "another call is being scored anew at the moment. Try again in half a minute."
        )
    try:
        yield
    finally:
        _SCORING.release()


def _swap_roles(viewer: Viewer, call_id: str) -> bool:
    """Score the call with agent and caller swapped; whether that changed anything."""
    viewer.note("call.swap_roles")
    viewer.reach(call_id, Permission.REVIEW_CALLS)
    _open_eyed(viewer, call_id)
    with _one_at_a_time():
        result = viewer.monitor.swap_roles(call_id)
    _note_rescoring(viewer, call_id, RescoringKind.ROLES_SWAPPED)
    return result.is_changed


def _rescore(viewer: Viewer, call_id: str) -> bool:
    """Score the call by its configured rubric; whether that changed anything."""
    viewer.note("call.rescore")
    viewer.reach(call_id, Permission.REVIEW_CALLS)
    _open_eyed(viewer, call_id)
    with _one_at_a_time():
        (result,) = viewer.monitor.rescore([call_id])
    if result.error is not None:
        raise result.error
    _note_rescoring(viewer, call_id, RescoringKind.RESCORED)
    return result.is_changed


def _note_rescoring(viewer: Viewer, call_id: str, kind: RescoringKind) -> None:
    # By the clock now: the request is older than the scoring that it led to.
    viewer.store.reviews.note_rescoring(
        call_id, kind, user_id=viewer.user.user_id, now=datetime.now(UTC)
    )


@pages.post("/calls/{call_id}/swap-roles", name="swap_roles")
def swap_roles(viewer: Signed, call_id: CallId) -> Response:
    """Say that agent and caller were mistaken for each other."""
    is_changed = _swap_roles(viewer, call_id)
    viewer.flash(f"Agent and caller are swapped. {_changed(is_changed)}")
    return viewer.back_to("call", call_id=call_id)


@pages.post("/calls/{call_id}/rescore", name="rescore")
def rescore(viewer: Signed, call_id: CallId) -> Response:
    """Score the stored findings by the rubric that is configured now."""
    is_changed = _rescore(viewer, call_id)
    viewer.flash(f"Scored anew. {_changed(is_changed)}")
    return viewer.back_to("call", call_id=call_id)


def _changed(is_changed: bool) -> str:
    return "The scores changed." if is_changed else "No score changed."


# --- the API -------------------------------------------------------------------------------------


@api.get("/calls/{call_id}")
def get_call(viewer: Signed, call_id: CallId, rubric: _RubricQuery = None) -> CallOut:
    """The call: redacted turns, scores with evidence, measures, what people say."""
    viewer.note("call.view")
    asked = _asked(viewer, call_id, rubric=rubric)
    if asked.is_blind:
        viewer.note("call.view_blind")
    is_open = not asked.is_blind
    return call_out(
        asked.record,
        asked.run_id,
        is_blind=asked.is_blind,
        has_audio=viewer.monitor.kept_copy(call_id).is_file(),
        measures=viewer.monitor.measures(asked.record) if is_open else (),
        judgements=_judgements(viewer, asked),
        comments=_comments(viewer, asked),
        reviews=viewer.store.reviews.reviews(call_id) if is_open else (),
    )


@api.get("/calls/{call_id}/history")
def get_call_history(viewer: Signed, call_id: CallId) -> HistoryOut:
    """Who said or did what with the call, and when."""
    viewer.note("call.history")
    asked = _asked(viewer, call_id)
    _open_eyed(viewer, call_id)
    return HistoryOut(
        call_id=call_id,
        entries=[HistoryEntryOut.model_validate(one) for one in _history(viewer, asked)],
    )


# --- the API: what goes in -----------------------------------------------------------------------

_StrictInt = Annotated[int, Field(strict=True, ge=1, le=_LARGEST_ID), WHOLE]
_StrictSeconds = Annotated[float, Field(strict=True, ge=0, le=_LONGEST_CALL_S)]


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JudgementIn(_In):
    """A judgement: that one ``agrees``, or what one finds instead, with a ``reason``.

    Of a criterion ``points`` are found (null: not assessable), of anything else an ``answer``.
    Points are whole, 1 to 5, of urgency 0 to 3. ``run_id`` and ``rubric_version`` name the scoring
    that was seen; without them it is the latest. In a blind review nothing can be agreed with.
    """

    subject: str = Field(pattern=_SUBJECT, examples=["empathy", "checklist:greeting"])
    agrees: Annotated[bool, Field(strict=True)] = False
    points: Annotated[int, Field(strict=True, ge=0, le=5), WHOLE] | None = None
    answer: str | None = Field(None, max_length=40)
    reason: str | None = Field(None, max_length=REASON_LONGEST)
    run_id: _StrictInt | None = None
    rubric_version: str | None = Field(None, pattern=_RUBRIC)


class CommentIn(_In):
    """A remark of 1 to 2,000 characters on a moment, in seconds, or on the call."""

    text: str = Field(min_length=1, max_length=COMMENT_LONGEST)
    start_s: _StrictSeconds | None = None
    end_s: _StrictSeconds | None = None
    turn_index: Annotated[int, Field(strict=True, ge=0, le=100_000), WHOLE] | None = None
    is_for_agent: Annotated[bool, Field(strict=True)] = False


class ReviewIn(_In):
    """That the review is done; how long it took, if known."""

    started_at: Instant | None = None
    seconds: Annotated[float, Field(strict=True, ge=0, le=86_400)] | None = None


_BUSY: dict[int | str, dict[str, Any]] = {
    409: {
        "description": "Another call is being scored, or this one was scored meanwhile",
        "model": Problem,
    }
}


@api.post("/calls/{call_id}/judgements", status_code=201)
def post_judgement(
    viewer: Signed, call_id: CallId, judgement: Annotated[JudgementIn, Body()]
) -> JudgementOut:
    """Agree with the machine, or correct it; its score stands beside what is said here."""
    viewer.note("call.agree" if judgement.agrees else "call.correct")
    viewer.reach(call_id, Permission.REVIEW_CALLS)
    is_blind = is_read_blind(viewer, call_id)
    common: dict[str, Any] = {
        "user_id": viewer.user.user_id,
        "now": viewer.now,
        "run_id": judgement.run_id,
        "rubric_version": None if is_blind else judgement.rubric_version,
    }
    if judgement.agrees:
        _open_eyed(viewer, call_id)
        (kept,) = viewer.store.reviews.agree(call_id, [judgement.subject], **common)
        return JudgementOut.of(kept)
    return JudgementOut.of(
        viewer.store.reviews.correct(
            call_id,
            judgement.subject,
            points=judgement.points,
            answer=judgement.answer,
            reason=judgement.reason,
            is_blind=is_blind,
            **common,
        )
    )


@api.post("/calls/{call_id}/comments", status_code=201)
def post_comment(
    viewer: Signed, call_id: CallId, comment: Annotated[CommentIn, Body()]
) -> CommentOut:
    """Comment on a moment, or on the call."""
    viewer.note("call.comment")
    viewer.reach(call_id, Permission.COMMENT)
    return CommentOut.model_validate(
        _comment(
            viewer,
            call_id,
            comment.text,
            start_s=comment.start_s,
            end_s=comment.end_s,
            turn=comment.turn_index,
            is_for_agent=comment.is_for_agent,
        )
    )


@api.post("/calls/{call_id}/review", status_code=201)
def post_review(viewer: Signed, call_id: CallId, review: Annotated[ReviewIn, Body()]) -> ReviewOut:
    """Say that the review is done; a blind one needs a judgement of every criterion."""
    viewer.note("call.review")
    viewer.reach(call_id, Permission.REVIEW_CALLS)
    return ReviewOut.model_validate(_finish(viewer, call_id, review.started_at, review.seconds))


@api.post("/calls/{call_id}/swap-roles", responses=_BUSY)
def post_swap_roles(viewer: Signed, call_id: CallId) -> RescoredOut:
    """Say that agent and caller were mistaken for each other; the stored text is scored anew."""
    return _rescored_out(viewer, call_id, is_changed=_swap_roles(viewer, call_id))


@api.post("/calls/{call_id}/rescore", responses=_BUSY)
def post_rescore(viewer: Signed, call_id: CallId) -> RescoredOut:
    """Score the stored findings by the rubric that is configured for the call's queue."""
    return _rescored_out(viewer, call_id, is_changed=_rescore(viewer, call_id))


def _rescored_out(viewer: Viewer, call_id: str, *, is_changed: bool) -> RescoredOut:
    run = viewer.store.runs(call_id)[-1]
    return RescoredOut(
        call_id=call_id,
        run_id=run.run_id,
        rubric_version=run.rubric_version,
        is_changed=is_changed,
    )
