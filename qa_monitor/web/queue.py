"""The review queue: what to review next and why, who has it, and passing it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from fastapi import Form, Path, Query
from pydantic import Field
from starlette.responses import Response

from qa_monitor.accounts import Permission, may, scope_of
from qa_monitor.errors import UsageError
from qa_monitor.reviewing import LEASE, REASONS, Reason, shown_reasons
from qa_monitor.store import SkipReason, TaskPurpose, TaskState
from qa_monitor.web.viewing import Signed, Viewer, api_router, page_router

if TYPE_CHECKING:
    from qa_monitor.store import ReviewTask, Scope, Skip, User

__all__ = ["api", "pages"]

pages = page_router()
api = api_router("queue")

_PAGE = 25
_MOST_AT_ONCE = 100
_HIGHEST_ID = 2**31 - 1
_WORKLOAD_DAYS = 30
_CHANGES_AT_ONCE = 2000
"""A page that worked off more, after a long import, would keep its reader waiting."""
_USER = r"^[a-z0-9][a-z0-9._@-]{0,63}$"
# What a person may type, without control characters but for line ends.
_NOTE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
_PLACES = tuple(list(Reason)[: list(Reason).index(Reason.UNSURE) + 1])
"""The reasons that give a task its place, in the order of the queue."""

SKIP_WORDS = {
    SkipReason.CONFLICT: "I know somebody in this call; another reviewer should read it",
    SkipReason.OTHER: "Another reviewer should read it, for another reason",
    SkipReason.UNUSABLE: "Nobody could judge this call: close it",
}

_Id = Annotated[int, Field(ge=1, le=_HIGHEST_ID)]
TaskId = Annotated[int, Path(ge=1, le=_HIGHEST_ID, description="The task's number.")]
After = Annotated[
    int | None,
    Query(ge=1, le=_HIGHEST_ID, description="The task that ended the page before."),
]
ByReason = Annotated[
    Reason | None, Query(description="Only tasks that stand in the queue for this reason.")
]
OfState = Annotated[TaskState, Query(description="How far the tasks have come.")]


def _reach(viewer: Viewer) -> Scope:
    """The calls whose tasks the viewer sees: to review them, or to give them to others."""
    if viewer.may(Permission.ASSIGN_QUEUE):
        return viewer.require(Permission.ASSIGN_QUEUE)
    return viewer.require(Permission.WORK_QUEUE)


def _reviewers(viewer: Viewer) -> list[User]:
    """Who may be given tasks of calls that the viewer reaches."""
    own = viewer.require(Permission.ASSIGN_QUEUE)

    def shares(user: User) -> bool:
        theirs = scope_of(user, Permission.WORK_QUEUE)
        return own.all_calls or theirs.all_calls or bool(own.teams & theirs.teams)

    users = viewer.store.people.users()
    return [user for user in users if may(user, Permission.WORK_QUEUE) and shares(user)]


def _assign(viewer: Viewer, task_ids: list[int], user_id: str | None) -> None:
    """Give tasks to somebody; who may not assign may take them for themselves for good."""
    is_own = user_id == viewer.user.user_id and viewer.may(Permission.WORK_QUEUE)
    scope = viewer.require(Permission.WORK_QUEUE if is_own else Permission.ASSIGN_QUEUE)
    reach = None
    if is_own:
        reach = scope
    elif user_id is not None:
        found = [user for user in _reviewers(viewer) if user.user_id == user_id]
        if not found:
            raise UsageError("there is no such reviewer in your teams. Nothing was assigned.")
        reach = scope_of(found[0], Permission.WORK_QUEUE)
    viewer.store.queueing.assign(
        task_ids, user_id, by=viewer.user.user_id, scope=scope, reach=reach
    )


def _to_work(viewer: Viewer, task: ReviewTask) -> Response:
    """To where the task is done: the call's page, or that of the dispute."""
    if task.purpose is TaskPurpose.DISPUTE:
        disputes = viewer.store.coaching.disputes(call_ids=(task.call_id,), open_only=True)
        if disputes:
            return viewer.back_to("dispute", dispute_id=disputes[0].dispute_id)
    return viewer.back_to("call", call_id=task.call_id)


# --- pages ---------------------------------------------------------------------------------------


@pages.get("/queue", name="queue")
def queue_page(
    viewer: Signed,
    reason: ByReason = None,
    state: OfState = TaskState.OPEN,
    after: After = None,
) -> Response:
    """What is to be reviewed, the viewer's own first."""
    scope = _reach(viewer)
    viewer.note("queue.view")
    viewer.monitor.refresh_queue(most=_CHANGES_AT_ONCE)
    queueing = viewer.store.queueing
    tasks = queueing.tasks(
        scope, state=state, reason=reason and reason.value, after=after, limit=_PAGE + 1
    )
    is_more, tasks = len(tasks) > _PAGE, tasks[:_PAGE]
    mine = queueing.tasks(scope, held_by=viewer.user.user_id)
    counts = queueing.counts(scope)
    may_assign = viewer.may(Permission.ASSIGN_QUEUE)
    since = viewer.now - timedelta(days=_WORKLOAD_DAYS)
    return viewer.page(
        "queue/page.html.j2",
        tasks=tasks,
        mine=mine,
        may_take=_may_take(viewer, tasks),
        next_after=tasks[-1].task_id if is_more else None,
        counts=[(place, counts[place]) for place in _PLACES if counts.get(place)],
        total=sum(counts.values()),
        reason=reason,
        state=state,
        skips=_skips(viewer, tasks, state),
        unseen=queueing.unseen(),
        names=_names(viewer, scope),
        people={user.user_id: user.name for user in viewer.store.people.users()},
        reviewers=_reviewers(viewer) if may_assign else [],
        workload=queueing.workload(since=since) if may_assign else {},
        workload_days=_WORKLOAD_DAYS,
        places=_PLACES,
        words=REASONS,
        shown_reasons=shown_reasons,
        settings=viewer.monitor.config.review,
        TaskPurpose=TaskPurpose,
        TaskState=TaskState,
    )


def _skips(viewer: Viewer, tasks: Sequence[ReviewTask], state: TaskState) -> Mapping[int, Skip]:
    """Who closed each of ``tasks``, where they are such."""
    if state is not TaskState.SKIPPED:
        return {}
    found = viewer.store.queueing.skips([task.task_id for task in tasks])
    return {skip.task_id: skip for skip in found if skip.reason is SkipReason.UNUSABLE}


def _may_take(viewer: Viewer, tasks: Sequence[ReviewTask]) -> frozenset[int]:
    """The tasks that the viewer could take now."""
    if not viewer.may(Permission.WORK_QUEUE):
        return frozenset()
    return viewer.store.queueing.may_take(
        viewer.user.user_id,
        [task.task_id for task in tasks],
        scope=viewer.require(Permission.WORK_QUEUE),
        now=viewer.now,
    )


def _names(viewer: Viewer, scope: Scope) -> dict[str, str]:
    """What agents are called, by their ids."""
    return {
        agent.agent_id: agent.name or agent.agent_id for agent in viewer.store.people.agents(scope)
    }


@pages.post("/queue/next", name="queue_next")
def take_next_page(viewer: Signed) -> Response:
    """Take the head of the queue and open it."""
    task = _take_next(viewer)
    if task is None:
        viewer.flash("Nothing is left in the queue that you could review.")
        return viewer.back_to("queue")
    return _to_work(viewer, task)


def _take_next(viewer: Viewer) -> ReviewTask | None:
    scope = viewer.require(Permission.WORK_QUEUE)
    viewer.note("queue.next")
    viewer.monitor.refresh_queue(most=_CHANGES_AT_ONCE)
    task = viewer.store.queueing.next(viewer.user.user_id, scope=scope, now=viewer.now, lease=LEASE)
    if task is not None:
        viewer.note("queue.next", kind="call", object_id=task.call_id)
    return task


@pages.post("/queue/assign", name="queue_assign")
def assign_page(
    viewer: Signed,
    user_id: Annotated[str, Form(max_length=64)] = "",
    task: Annotated[list[_Id] | None, Form(max_length=_MOST_AT_ONCE)] = None,
) -> Response:
    """Give the chosen tasks to somebody, or to nobody."""
    _reach(viewer)
    viewer.note("queue.assign", kind="user", object_id=user_id or None)
    if not task:
        raise UsageError("choose at least one call of the queue.")
    _assign(viewer, task, user_id or None)
    said = "1 call was" if len(task) == 1 else f"{len(task)} calls were"
    viewer.flash(f"{said} given to {user_id}." if user_id else f"{said} taken back.")
    return viewer.back_to("queue")


@pages.get("/queue/{task_id}", name="queue_task")
def task_page(viewer: Signed, task_id: TaskId) -> Response:
    """One task: why it is asked for, and what to do with it but review it."""
    scope = _reach(viewer)
    task = viewer.store.queueing.task(task_id, scope)
    viewer.note("queue.view", kind="call", object_id=task.call_id)
    return viewer.page(
        "queue/task.html.j2",
        task=task,
        reasons=shown_reasons(task),
        words=REASONS,
        may_take=task.task_id in _may_take(viewer, [task]),
        skip_words=SKIP_WORDS,
        skips=viewer.store.queueing.skips([task_id]),
        names=_names(viewer, scope),
        people={user.user_id: user.name for user in viewer.store.people.users()},
        reviewers=_reviewers(viewer) if viewer.may(Permission.ASSIGN_QUEUE) else [],
        TaskPurpose=TaskPurpose,
        TaskState=TaskState,
    )


@pages.post("/queue/{task_id}/take", name="queue_take")
def take_page(viewer: Signed, task_id: TaskId) -> Response:
    """Take one task and open it."""
    return _to_work(viewer, _take(viewer, task_id))


def _take(viewer: Viewer, task_id: int) -> ReviewTask:
    scope = viewer.require(Permission.WORK_QUEUE)
    viewer.note("queue.take", kind="task", object_id=str(task_id))
    return viewer.store.queueing.take(
        task_id, viewer.user.user_id, scope=scope, now=viewer.now, lease=LEASE
    )


@pages.post("/queue/{task_id}/put-back", name="queue_put_back")
def put_back_page(viewer: Signed, task_id: TaskId) -> Response:
    """Let others have a task again."""
    _put_back(viewer, task_id)
    viewer.flash("The call is back in the queue.")
    return viewer.back_to("queue")


def _put_back(viewer: Viewer, task_id: int) -> None:
    scope = viewer.require(Permission.WORK_QUEUE)
    viewer.note("queue.put_back", kind="task", object_id=str(task_id))
    viewer.store.queueing.put_back(task_id, viewer.user.user_id, scope=scope)


@pages.post("/queue/{task_id}/skip", name="queue_skip")
def skip_page(
    viewer: Signed,
    task_id: TaskId,
    reason: Annotated[SkipReason, Form()],
    note: Annotated[str, Form(max_length=500, pattern=_NOTE)] = "",
) -> Response:
    """Pass a task on."""
    _skip(viewer, task_id, reason, note)
    viewer.flash(
        "The call is closed; nobody will be asked for it."
        if reason is SkipReason.UNUSABLE
        else "The call is passed on; you will not be asked for it again."
    )
    return viewer.back_to("queue")


def _skip(viewer: Viewer, task_id: int, reason: SkipReason, note: str) -> None:
    scope = viewer.require(Permission.WORK_QUEUE)
    viewer.note("queue.skip", kind="task", object_id=str(task_id))
    viewer.store.queueing.skip(
        task_id, viewer.user.user_id, reason, note=note.strip(), scope=scope, now=viewer.now
    )


@pages.post("/queue/{task_id}/reopen", name="queue_reopen")
def reopen_page(viewer: Signed, task_id: TaskId) -> Response:
    """Put a closed task back into the queue."""
    _reopen(viewer, task_id)
    viewer.flash("The call is in the queue again.")
    return viewer.back_to("queue")


def _reopen(viewer: Viewer, task_id: int) -> None:
    scope = viewer.require(Permission.ASSIGN_QUEUE)
    viewer.note("queue.reopen", kind="task", object_id=str(task_id))
    viewer.store.queueing.reopen(task_id, scope=scope, now=viewer.now)


# --- API -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTask:
    """A call to be reviewed. Of a blind task that is open the only reason told is that it is one.

    `taken_by` has it until `taken_until`; `assigned_to` has it for good.
    """

    task_id: int
    call_id: str
    agent_id: str | None
    began_at: datetime
    purpose: TaskPurpose
    state: TaskState
    reasons: tuple[Reason, ...]
    is_blind: bool
    made_at: datetime
    assigned_to: str | None
    taken_by: str | None
    taken_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePage:
    """A part of the queue; `counts` are of all open tasks within reach, by their reason."""

    tasks: tuple[QueueTask, ...]
    counts: dict[str, int]
    next_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTask:
    """The task taken; null when nothing is left."""

    task: QueueTask | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Who is to have a task; null: nobody."""

    user_id: Annotated[str, Field(pattern=_USER)] | None


def _told(task: ReviewTask) -> QueueTask:
    return QueueTask(
        task_id=task.task_id,
        call_id=task.call_id,
        agent_id=task.agent_id,
        began_at=task.began_at,
        purpose=task.purpose,
        state=task.state,
        reasons=shown_reasons(task),
        is_blind=task.is_blind,
        made_at=task.made_at,
        assigned_to=task.assigned_to,
        taken_by=task.taken_by,
        taken_until=task.taken_until,
    )


@api.get("/queue", name="queue_tasks", summary="What is to be reviewed")
def queue_api(
    viewer: Signed,
    reason: ByReason = None,
    state: OfState = TaskState.OPEN,
    mine: Annotated[bool, Query(description="Only tasks that the caller has.")] = False,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=200)] = _PAGE,
) -> QueuePage:
    """Tasks in the order of the queue; closed ones the newest first."""
    scope = _reach(viewer)
    viewer.note("queue.view")
    viewer.monitor.refresh_queue(most=_CHANGES_AT_ONCE)
    tasks = viewer.store.queueing.tasks(
        scope,
        state=state,
        reason=reason and reason.value,
        held_by=viewer.user.user_id if mine else None,
        after=after,
        limit=limit,
    )
    return QueuePage(
        tasks=tuple(_told(task) for task in tasks),
        counts=dict(viewer.store.queueing.counts(scope)),
        next_after=tasks[-1].task_id if len(tasks) == limit else None,
    )


@api.post("/queue/next", name="queue_take_next", summary="Take what is to be reviewed next")
def next_api(viewer: Signed) -> NextTask:
    """What the caller has and has not finished first; theirs for an hour."""
    task = _take_next(viewer)
    return NextTask(task=None if task is None else _told(task))


@api.post("/queue/{task_id}/take", name="queue_take_task", summary="Take a task")
def take_api(viewer: Signed, task_id: TaskId) -> QueueTask:
    """A task that nobody else has, for an hour."""
    return _told(_take(viewer, task_id))


@api.post("/queue/{task_id}/assign", name="queue_assign_task", summary="Give a task to somebody")
def assign_api(viewer: Signed, task_id: TaskId, assignment: Assignment) -> QueueTask:
    """Reviewers may give tasks to themselves only, supervisors to any reviewer of their teams."""
    scope = _reach(viewer)
    viewer.note("queue.assign", kind="task", object_id=str(task_id))
    _assign(viewer, [task_id], assignment.user_id)
    return _told(viewer.store.queueing.task(task_id, scope))


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipping:
    """Why a task is passed on; `unusable` closes it for everybody."""

    reason: SkipReason
    note: Annotated[str, Field(max_length=500, pattern=_NOTE)] = ""


@api.post("/queue/{task_id}/skip", name="queue_skip_task", summary="Pass a task on")
def skip_api(viewer: Signed, task_id: TaskId, skipping: Skipping) -> QueueTask:
    """The caller is not asked for it again."""
    _skip(viewer, task_id, skipping.reason, skipping.note)
    return _told(viewer.store.queueing.task(task_id, viewer.require(Permission.WORK_QUEUE)))


@api.post("/queue/{task_id}/put-back", name="queue_put_task_back", summary="Put a task back")
def put_back_api(viewer: Signed, task_id: TaskId) -> QueueTask:
    """Others may have it again."""
    _put_back(viewer, task_id)
    return _told(viewer.store.queueing.task(task_id, viewer.require(Permission.WORK_QUEUE)))


@api.post("/queue/{task_id}/reopen", name="queue_reopen_task", summary="Reopen a closed task")
def reopen_api(viewer: Signed, task_id: TaskId) -> QueueTask:
    """A task that was closed as unusable."""
    _reopen(viewer, task_id)
    return _told(viewer.store.queueing.task(task_id, viewer.require(Permission.ASSIGN_QUEUE)))
