"""Administration: users, agents, access log, keeping and deleting, the system; everybody's account.

Whoever administers opens no call: these pages name calls by their ids and show nothing of them.
"""

from __future__ import annotations

import csv
import io
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import Form, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from qa_monitor import __version__
from qa_monitor.accounts import (
    SHORTEST_PASSWORD,
    Permission,
    add_user,
    check_user,
    make_password,
    make_token,
    set_password,
    sign_in,
)
from qa_monitor.errors import SignInError, UsageError
from qa_monitor.models import list_models
from qa_monitor.reports import csv_cell
from qa_monitor.store import Access, Agent, Deletion, Hold, Holdings, User, UserRole
from qa_monitor.store.tables import HEAD_REVISION
from qa_monitor.web.values import Flag, Instant
from qa_monitor.web.viewing import Signed, Viewer, api_router, page_router

__all__ = ["api", "pages"]

pages = page_router()
api = api_router("administration")

_LOG_PAGE = 100
_LOG_FIELDS = tuple("entry_id at user_id via action kind object_id outcome reason client".split())
_OUTCOMES = ("allowed", "refused", "failed")
_LONGEST_TOKEN_DAYS = 365
UserId = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._@-]{0,63}$")]
CallId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Before = Annotated[int | None, Query(ge=1, le=2**53, description="Where the page before ended.")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]
Team = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
AgentName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
LogFilter = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
Text = Annotated[str, Form(max_length=500)]


def _administer(
    viewer: Viewer,
    action: str,
    *,
    kind: str | None = None,
    object_id: str | None = None,
    reason: str | None = None,
) -> None:
    """Note what is asked for, then refuse whoever may not administer."""
    viewer.note(action, kind=kind, object_id=object_id, reason=reason)
    viewer.require(Permission.ADMINISTER)


# --- users ---------------------------------------------------------------------------------------


@pages.get("/admin/users", name="users")
def users_page(viewer: Signed) -> Response:
    """Who may sign in."""
    _administer(viewer, "users.list")
    people = viewer.store.people
    return viewer.page(
        "administration/users.html.j2",
        users=people.users(),
        teams=tuple(people.teams()),
        roles=tuple(UserRole),
    )


@pages.post("/admin/users", name="user_add")
def add_user_form(
    viewer: Signed,
    user_id: Text,
    name: Text = "",
    email: Text = "",
    role: Annotated[list[UserRole] | None, Form()] = None,
    teams: Text = "",
    all_teams: Annotated[bool, Form()] = False,
    agent_id: Text = "",
) -> Response:
    """A new user, and the password, which is shown this once."""
    _administer(viewer, "user.add", kind="user", object_id=user_id.strip())
    user = User(
        user_id=user_id.strip(),
        name=name.strip() or user_id.strip(),
        email=email.strip() or None,
        roles=frozenset(role or ()),
        teams=_teams(teams),
        all_teams=all_teams,
        agent_id=agent_id.strip() or None,
    )
    password = _add_user(viewer, user)
    return viewer.page("administration/password.html.j2", user=user, password=password)


@pages.get("/admin/users/{user_id}", name="user")
def user_page(viewer: Signed, user_id: UserId) -> Response:
    """One user: what may be changed, and what stands open."""
    _administer(viewer, "user.view", kind="user", object_id=user_id)
    people = viewer.store.people
    return viewer.page(
        "administration/user.html.j2",
        user=people.user(user_id),
        sessions=len(people.sessions(user_id)),
        tokens=people.tokens(user_id),
        teams=tuple(people.teams()),
        roles=tuple(UserRole),
    )


@pages.post("/admin/users/{user_id}", name="user_change")
def change_user_form(
    viewer: Signed,
    user_id: UserId,
    name: Text = "",
    email: Text = "",
    role: Annotated[list[UserRole] | None, Form()] = None,
    teams: Text = "",
    all_teams: Annotated[bool, Form()] = False,
    agent_id: Text = "",
    is_active: Annotated[bool, Form()] = False,
) -> Response:
    """What the form says in place of what was known of the user."""
    _administer(viewer, "user.change", kind="user", object_id=user_id)
    before = viewer.store.people.user(user_id)
    _change_user(
        viewer,
        replace(
            before,
            name=name.strip() or user_id,
            email=email.strip() or None,
            roles=frozenset(role or ()),
            teams=_teams(teams),
            all_teams=all_teams,
            agent_id=agent_id.strip() or None,
            is_active=is_active,
        ),
    )
    viewer.flash(f"{user_id} is changed.")
    return viewer.back_to("user", user_id=user_id)


@pages.post("/admin/users/{user_id}/password", name="user_password")
def reset_password_form(viewer: Signed, user_id: UserId) -> Response:
    """Another password, which is shown this once."""
    _administer(viewer, "user.password", kind="user", object_id=user_id)
    user = viewer.store.people.user(user_id)
    password = _reset_password(viewer, user)
    return viewer.page("administration/password.html.j2", user=user, password=password)


@pages.post("/admin/users/{user_id}/sign-out", name="user_sign_out")
def sign_user_out(viewer: Signed, user_id: UserId) -> Response:
    """The end of all sign-ins and tokens of the user."""
    _administer(viewer, "user.sign_out", kind="user", object_id=user_id)
    people = viewer.store.people
    people.user(user_id)
    people.end_access(user_id, tokens_too=True)
    viewer.flash(f"{user_id} is signed out everywhere, and has no tokens any more.")
    if user_id == viewer.user.user_id:
        return viewer.back_to("sign_in")
    return viewer.back_to("user", user_id=user_id)


def _teams(text: str) -> frozenset[str]:
    return frozenset(team.strip() for team in text.split(",") if team.strip())


def _add_user(viewer: Viewer, user: User) -> str:
    check_user(user)
    password = make_password()
    add_user(viewer.store.people, user, password=password, now=viewer.now)
    return password


def _change_user(viewer: Viewer, user: User) -> None:
    check_user(user)
    viewer.store.people.change_user(user)


def _reset_password(viewer: Viewer, user: User) -> str:
    if user.issuer != "local":
        raise UsageError(f"{user.user_id} signs in at {user.issuer}, and has no password here.")
    password = make_password()
    set_password(viewer.store.people, user.user_id, password)
    return password


# --- agents --------------------------------------------------------------------------------------


@pages.get("/admin/agents", name="agent_list")
def agents_page(viewer: Signed) -> Response:
    """Names and teams of the agents that are listed or have calls."""
    _administer(viewer, "agents.list")
    people = viewer.store.people
    return viewer.page(
        "administration/agents.html.j2", agents=people.agents(), teams=tuple(people.teams())
    )


@pages.post("/admin/agents", name="agent_set")
def set_agent_form(
    viewer: Signed,
    agent_id: Annotated[str, Form(pattern=r"^\s*[A-Za-z0-9][A-Za-z0-9._-]{0,63}\s*$")],
    name: Annotated[str, Form(max_length=100)] = "",
    team: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """The agent's name and team; an empty one is taken away."""
    agent_id = agent_id.strip()
    _administer(viewer, "agent.set", kind="agent", object_id=agent_id)
    agent = Agent(agent_id=agent_id, name=name.strip() or None, team=team.strip() or None)
    viewer.store.people.set_agents([agent])
    viewer.flash(f"{agent_id}: {agent.name or 'no name'}, {agent.team or 'no team'}.")
    return viewer.back_to("agent_list")


# --- access log ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _LogQuery:
    """What entries of the log are wanted, as the form says it."""

    user_id: str = ""
    action: str = ""
    kind: str = ""
    object_id: str = ""
    outcome: str = ""
    since: date | None = None
    until: date | None = None

    def entries(self, viewer: Viewer, *, before: int | None, limit: int) -> tuple[Access, ...]:
        """The newest entries that fit; days are those of UTC, the last one included."""
        after = self.until + timedelta(days=1) if self.until else None
        return viewer.store.access_log.entries(
            user_id=self.user_id or None,
            action=self.action or None,
            kind=self.kind or None,
            object_id=self.object_id or None,
            outcome=self.outcome or None,
            since=_midnight(self.since),
            until=_midnight(after),
            before=before,
            limit=limit,
        )

    def parameters(self) -> dict[str, str]:
        """The same as a query of an address."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: str(value) for name, value in values.items() if value}


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


Word = Annotated[str, Query(max_length=200)]
Day = Annotated[str, Query(max_length=10)]


def _log_query(
    user_id: str, action: str, kind: str, object_id: str, outcome: str, since: str, until: str
) -> _LogQuery:
    days: list[date | None] = []
    for day in (since, until):
        try:
            days.append(date.fromisoformat(day) if day else None)
        except ValueError:
            days.append(None)
        if day and (days[-1] is None or not 1970 <= days[-1].year < 9999):
            raise UsageError("a day is written as 2026-03-02.")
    return _LogQuery(
        user_id=user_id.strip(),
        action=action.strip(),
        kind=kind.strip(),
        object_id=object_id.strip(),
        outcome=outcome if outcome in _OUTCOMES else "",
        since=days[0],
        until=days[1],
    )


@pages.get("/admin/log", name="access_log")
def log_page(
    viewer: Signed,
    user_id: Word = "",
    action: Word = "",
    kind: Word = "",
    object_id: Word = "",
    outcome: Word = "",
    since: Day = "",
    until: Day = "",
    before: Before = None,
) -> Response:
    """Who saw, changed or was refused what; itself in the log."""
    _administer(viewer, "log.view")
    query = _log_query(user_id, action, kind, object_id, outcome, since, until)
    entries = query.entries(viewer, before=before, limit=_LOG_PAGE + 1)
    more = entries[_LOG_PAGE - 1].entry_id if len(entries) > _LOG_PAGE else None
    return viewer.page(
        "administration/log.html.j2",
        entries=entries[:_LOG_PAGE],
        query=query,
        parameters=query.parameters(),
        outcomes=_OUTCOMES,
        more=more,
        is_first=before is None,
    )


@pages.get("/admin/log.csv", name="access_log_export")
def export_log(
    viewer: Signed,
    user_id: Word = "",
    action: Word = "",
    kind: Word = "",
    object_id: Word = "",
    outcome: Word = "",
    since: Day = "",
    until: Day = "",
) -> Response:
    """All entries that fit, as CSV."""
    _administer(viewer, "log.export")
    query = _log_query(user_id, action, kind, object_id, outcome, since, until)
    return StreamingResponse(
        _log_lines(viewer, query),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="access-log.csv"'},
    )


def _log_lines(viewer: Viewer, query: _LogQuery) -> Iterator[str]:
    yield _csv_line(_LOG_FIELDS)
    before = None
    while found := query.entries(viewer, before=before, limit=1000):
        yield "".join(
            _csv_line(_csv_value(getattr(entry, name)) for name in _LOG_FIELDS) for entry in found
        )
        before = found[-1].entry_id


def _csv_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else csv_cell(value)


def _csv_line(cells: object) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)  # type: ignore[arg-type]
    return line.getvalue()


# --- keeping and deleting ------------------------------------------------------------------------


@pages.get("/admin/keeping", name="keeping")
def keeping_page(
    viewer: Signed,
    lifted: Annotated[bool, Query()] = False,
    before: Before = None,
) -> Response:
    """Legal holds, what was deleted, and for how long things are kept."""
    _administer(viewer, "keeping.view")
    keeping = viewer.store.keeping
    deletions = keeping.deletions(before=before, limit=51)
    return viewer.page(
        "administration/keeping.html.j2",
        holds=keeping.holds(lifted_too=lifted),
        lifted=lifted,
        deletions=deletions[:50],
        more=deletions[49].deletion_id if len(deletions) > 50 else None,
        retention=viewer.monitor.config.retention,
    )


@pages.post("/admin/holds", name="hold_add")
def add_hold_form(
    viewer: Signed,
    reason: Text,
    call_id: Text = "",
    agent_id: Text = "",
    caller_number: Annotated[str, Form(max_length=40)] = "",
    since: Annotated[str, Form(max_length=10)] = "",
    until: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """A hold on what the form names; the caller's number is hashed and not kept."""
    _administer(viewer, "hold.add", kind="hold", reason=reason)
    period = _log_query("", "", "", "", "", since, until)
    after = period.until + timedelta(days=1) if period.until else None
    hold = _add_hold(
        viewer,
        reason=reason,
        call_id=call_id.strip() or None,
        agent_id=agent_id.strip() or None,
        caller_number=caller_number.strip() or None,
        since=_midnight(period.since),
        until=_midnight(after),
    )
    viewer.flash(f"Hold {hold.hold_id} stands.")
    return viewer.back_to("keeping")


@pages.post("/admin/holds/{hold_id}/lift", name="hold_lift")
def lift_hold_form(viewer: Signed, hold_id: Number, reason: Text) -> Response:
    """The end of a hold."""
    _lift_hold(viewer, hold_id, reason)
    viewer.flash(f"Hold {hold_id} is lifted.")
    return viewer.back_to("keeping")


@pages.post("/admin/deletions", name="call_delete")
def delete_call_form(
    viewer: Signed,
    call_id: Annotated[str, Form(max_length=128)],
    again: Annotated[str, Form(max_length=128)],
    reason: Text,
) -> Response:
    """The end of a call whose id was typed twice."""
    call_id = call_id.strip()
    _administer(viewer, "call.delete", kind="call", object_id=call_id, reason=reason)
    if again.strip() != call_id:
        raise UsageError("the two ids differ; nothing was deleted.")
    _delete_call(viewer, call_id, reason)
    viewer.flash(
        f"Call {call_id} is deleted. What was sent or exported elsewhere cannot be called back."
    )
    return viewer.back_to("keeping")


def _add_hold(
    viewer: Viewer,
    *,
    reason: str,
    call_id: str | None,
    agent_id: str | None,
    caller_number: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Hold:
    number = caller_number
    return viewer.store.keeping.add_hold(
        reason=reason,
        by=viewer.user.user_id,
        now=viewer.now,
        via=viewer.via,
        call_id=call_id,
        agent_id=agent_id,
        caller_key=None if number is None else viewer.monitor.keeper.caller_key(number),
        since=since,
        until=until,
    )


def _lift_hold(viewer: Viewer, hold_id: int, reason: str) -> Hold:
    _administer(viewer, "hold.lift", kind="hold", object_id=str(hold_id), reason=reason)
    return viewer.store.keeping.lift_hold(
        hold_id, reason=reason, by=viewer.user.user_id, now=viewer.now, via=viewer.via
    )


def _delete_call(viewer: Viewer, call_id: str, reason: str) -> None:
    if not reason.strip():
        raise UsageError("say why the call is deleted.")
    (erased,) = viewer.monitor.keeper.delete(
        [call_id], by=viewer.user.user_id, via=viewer.via, reason=reason.strip(), now=viewer.now
    )
    if erased.error is not None:
        raise erased.error


# --- the system ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What runs here, and how it fares; sizes in bytes, ``None`` where they cannot be told."""

    version: str
    python: str
    database: str
    migration: str
    database_size: int | None
    disk_free: int
    disk_total: int
    holdings: Holdings
    models: tuple[str, ...]
    has_tls: bool
    users: int


def _system(viewer: Viewer) -> System:
    data = viewer.monitor.config.data
    file = data.folder / "qa-monitor.sqlite"
    is_own_file = not data.database and file.is_file()
    disk = shutil.disk_usage(data.folder)
    return System(
        version=__version__,
        python=platform.python_version(),
        database="SQLite" if data.database_url.startswith("sqlite") else "PostgreSQL",
        migration=HEAD_REVISION,
        database_size=file.stat().st_size if is_own_file else None,
        disk_free=disk.free,
        disk_total=disk.total,
        holdings=viewer.store.keeping.holdings(),
        models=tuple(
            f"{model.name} ({model.kind}{', demonstration' if model.demonstration_only else ''})"
            for model in list_models()
        ),
        has_tls=viewer.request.app.state.has_tls,
        users=sum(user.is_active for user in viewer.store.people.users()),
    )


@pages.get("/admin/system", name="system")
def system_page(viewer: Signed) -> Response:
    """Versions, disk, and what waits; no secret."""
    _administer(viewer, "system.view")
    return viewer.page("administration/system.html.j2", system=_system(viewer))


# --- everybody's account -------------------------------------------------------------------------


@pages.get("/account", name="account")
def account_page(viewer: Signed) -> Response:
    """The viewer's own account: password, sign-ins, tokens."""
    viewer.note("account.view", kind="user", object_id=viewer.user.user_id)
    return _account(viewer)


def _account(viewer: Viewer, *, secret: str | None = None) -> Response:
    people = viewer.store.people
    return viewer.page(
        "administration/account.html.j2",
        sessions=people.sessions(viewer.user.user_id),
        tokens=people.tokens(viewer.user.user_id),
        secret=secret,
        shortest=SHORTEST_PASSWORD,
        longest_days=_LONGEST_TOKEN_DAYS,
    )


@pages.post("/account/password", name="account_password")
def change_password(
    viewer: Signed,
    current: Annotated[str, Form(max_length=1000)],
    new: Annotated[str, Form(max_length=1000)],
    again: Annotated[str, Form(max_length=1000)],
) -> Response:
    """Another password of one's own; every sign-in ends, this one too."""
    user = viewer.user
    viewer.note("account.password", kind="user", object_id=user.user_id)
    if user.issuer != "local":
        raise UsageError(f"you sign in at {user.issuer}; change your password there.")
    is_right = True
    try:
        sign_in(viewer.store.people, user.user_id, current, now=viewer.now)
    except SignInError:
        is_right = False
    if not is_right:
        raise UsageError("the password that you have now is another one; nothing was changed.")
    if new != again:
        raise UsageError("the two new passwords differ; nothing was changed.")
    set_password(viewer.store.people, user.user_id, new)
    viewer.flash("Your password is changed. Sign in with the new one.")
    return viewer.back_to("sign_in")


@pages.post("/account/sign-out", name="account_sign_out")
def sign_out_everywhere(viewer: Signed) -> Response:
    """The end of all of one's sign-ins, this one too."""
    viewer.note("account.sign_out", kind="user", object_id=viewer.user.user_id)
    viewer.store.people.end_access(viewer.user.user_id)
    return viewer.back_to("sign_in")


@pages.post("/account/tokens", name="token_add")
def add_token(
    viewer: Signed,
    name: Annotated[str, Form(max_length=100)],
    days: Annotated[int, Form(ge=1, le=_LONGEST_TOKEN_DAYS)] = 90,
) -> Response:
    """A token for the API with all that the viewer may do, shown this once."""
    viewer.note("token.add", kind="user", object_id=viewer.user.user_id)
    if not name.strip():
        raise UsageError("give the token a name by which you know it again.")
    secret, _ = make_token(
        viewer.store.people,
        viewer.user,
        name=name.strip(),
        now=viewer.now,
        expires_at=viewer.now + timedelta(days=days),
    )
    return _account(viewer, secret=secret)


@pages.post("/account/tokens/{token_id}/drop", name="token_drop")
def drop_token(viewer: Signed, token_id: Number) -> Response:
    """The end of one of one's tokens."""
    viewer.note("token.drop", kind="token", object_id=str(token_id))
    viewer.store.people.drop_token(token_id, user_id=viewer.user.user_id)
    viewer.flash("The token is dropped.")
    return viewer.back_to("account")


# --- the API -------------------------------------------------------------------------------------


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UserOut(_Value):
    """A user as administrators see them; ``issuer`` says who vouches for the identity."""

    user_id: str
    name: str
    email: str | None
    roles: tuple[UserRole, ...]
    teams: tuple[str, ...]
    all_teams: bool
    agent_id: str | None
    issuer: str
    is_active: bool
    created_at: datetime | None


class UserIn(_Value):
    """A new user; a role ``agent`` needs an ``agent_id``."""

    user_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._@-]{0,63}$")]
    name: Name
    email: Annotated[str, Field(max_length=254)] | None = None
    roles: Annotated[tuple[UserRole, ...], Field(min_length=1, max_length=5)]
    teams: Annotated[tuple[Team, ...], Field(max_length=100)] = ()
    all_teams: Flag = False
    agent_id: AgentName | None = None


class UserChange(_Value):
    """What is to be changed of a user; what is left out, or ``null``, stays."""

    name: Name | None = None
    email: Annotated[str, Field(max_length=254)] | None = None
    roles: Annotated[tuple[UserRole, ...], Field(min_length=1, max_length=5)] | None = None
    teams: Annotated[tuple[Team, ...], Field(max_length=100)] | None = None
    all_teams: Flag | None = None
    agent_id: AgentName | None = None
    is_active: Flag | None = None


class NewPassword(_Value):
    """A password that is told this once."""

    user_id: str
    password: str


class LogEntry(_Value):
    """An entry of the access log."""

    entry_id: int
    at: datetime
    user_id: str | None
    via: str
    action: str
    kind: str | None
    object_id: str | None
    outcome: str
    reason: str | None
    client: str | None


class LogPage(_Value):
    """Entries, the newest first; ``before`` asks for the page that follows, ``null`` at the end."""

    entries: tuple[LogEntry, ...]
    before: int | None


class HoldOut(_Value):
    """A legal hold; ``is_on_caller`` says that it is on the calls of one caller."""

    hold_id: int
    call_id: str | None
    agent_id: str | None
    is_on_caller: bool
    since: datetime | None
    until: datetime | None
    reason: str
    set_by: str
    set_at: datetime
    lifted_by: str | None
    lifted_at: datetime | None
    lifted_reason: str | None


class HoldIn(_Value):
    """What is to be held, and why; at least one of call, agent, caller and period is named."""

    reason: Reason
    call_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] | None = None
    agent_id: AgentName | None = None
    caller_number: Annotated[str, Field(pattern=r"^[0-9+() .-]{7,40}$")] | None = None
    since: Instant | None = None
    until: Instant | None = None


class Why(_Value):
    """A reason, for the access log."""

    reason: Reason


class DeletionOut(_Value):
    """That a call was deleted; ``finished_at`` is ``null`` while files of it may be there."""

    deletion_id: int
    call_id: str
    agent_id: str | None
    deleted_by: str
    deleted_at: datetime
    reason: str | None
    finished_at: datetime | None


@api.get("/users")
def list_users(viewer: Signed) -> list[UserOut]:
    """Who may sign in."""
    _administer(viewer, "users.list")
    return [_user_out(user) for user in viewer.store.people.users()]


@api.post("/users", status_code=201)
def create_user(viewer: Signed, new: UserIn) -> NewPassword:
    """A new user, with a random password."""
    _administer(viewer, "user.add", kind="user", object_id=new.user_id)
    user = User(
        user_id=new.user_id,
        name=new.name,
        email=new.email,
        roles=frozenset(new.roles),
        teams=frozenset(new.teams),
        all_teams=new.all_teams,
        agent_id=new.agent_id,
    )
    return NewPassword(user_id=user.user_id, password=_add_user(viewer, user))


@api.get("/users/{user_id}")
def show_user(viewer: Signed, user_id: UserId) -> UserOut:
    """One user."""
    _administer(viewer, "user.view", kind="user", object_id=user_id)
    return _user_out(viewer.store.people.user(user_id))


@api.patch("/users/{user_id}")
def change_user(viewer: Signed, user_id: UserId, change: UserChange) -> UserOut:
    """The user with what was changed; closing an account ends its sign-ins."""
    _administer(viewer, "user.change", kind="user", object_id=user_id)
    said = change.model_dump(exclude_none=True)
    for name in ("roles", "teams"):
        if name in said:
            said[name] = frozenset(said[name])
    user = replace(viewer.store.people.user(user_id), **said)
    _change_user(viewer, user)
    return _user_out(user)


@api.post("/users/{user_id}/password")
def reset_password(viewer: Signed, user_id: UserId) -> NewPassword:
    """Another, random password; the user's sign-ins end."""
    _administer(viewer, "user.password", kind="user", object_id=user_id)
    user = viewer.store.people.user(user_id)
    return NewPassword(user_id=user_id, password=_reset_password(viewer, user))


@api.get("/access-log")
def show_access_log(
    viewer: Signed,
    user_id: LogFilter = None,
    action: LogFilter = None,
    kind: LogFilter = None,
    object_id: LogFilter = None,
    outcome: Annotated[str | None, Query(pattern="^(allowed|refused|failed)$")] = None,
    since: Annotated[Instant | None, Query()] = None,
    until: Annotated[Instant | None, Query()] = None,
    before: Before = None,
    limit: Limit = 100,
) -> LogPage:
    """Entries of the access log that fit all that is given, the newest first."""
    _administer(viewer, "log.view")
    found = viewer.store.access_log.entries(
        user_id=user_id,
        action=action,
        kind=kind,
        object_id=object_id,
        outcome=outcome,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )
    return LogPage(
        entries=tuple(
            LogEntry(**{name: getattr(entry, name) for name in _LOG_FIELDS}) for entry in found
        ),
        before=found[-1].entry_id if len(found) == limit else None,
    )


@api.get("/holds")
def list_holds(viewer: Signed, lifted: Annotated[bool, Query()] = False) -> list[HoldOut]:
    """The legal holds that stand, or all there ever were."""
    _administer(viewer, "keeping.view")
    return [_hold_out(hold) for hold in viewer.store.keeping.holds(lifted_too=lifted)]


@api.post("/holds", status_code=201)
def set_hold(viewer: Signed, new: HoldIn) -> HoldOut:
    """A new hold; the caller's number is hashed and not kept."""
    _administer(viewer, "hold.add", kind="hold", reason=new.reason)
    return _hold_out(_add_hold(viewer, **new.model_dump()))


@api.post("/holds/{hold_id}/lift")
def lift_hold(viewer: Signed, hold_id: Number, why: Why) -> HoldOut:
    """The hold, which no longer stands."""
    return _hold_out(_lift_hold(viewer, hold_id, why.reason))


@api.get("/deletions")
def list_deletions(viewer: Signed, before: Before = None, limit: Limit = 100) -> list[DeletionOut]:
    """What was deleted, the newest first; ``before`` is the last number of the page before."""
    _administer(viewer, "keeping.view")
    found = viewer.store.keeping.deletions(before=before, limit=limit)
    return [_deletion_out(deletion) for deletion in found]


@api.delete("/calls/{call_id}", status_code=204)
def delete_call(
    viewer: Signed,
    call_id: CallId,
    reason: Annotated[str, Query(min_length=1, max_length=500, pattern=r"\S")],
) -> None:
    """The end of a call: database, search index, sound, reports and exports of this installation.

    Refused (422) while a legal hold is on it or it is being scored.
    """
    _administer(viewer, "call.delete", kind="call", object_id=call_id, reason=reason)
    _delete_call(viewer, call_id, reason)


def _user_out(user: User) -> UserOut:
    return UserOut(
        user_id=user.user_id,
        name=user.name,
        email=user.email,
        roles=tuple(sorted(user.roles)),
        teams=tuple(sorted(user.teams)),
        all_teams=user.all_teams,
        agent_id=user.agent_id,
        issuer=user.issuer,
        is_active=user.is_active,
        created_at=user.created_at,
    )


def _hold_out(hold: Hold) -> HoldOut:
    return HoldOut(
        hold_id=hold.hold_id,
        call_id=hold.call_id,
        agent_id=hold.agent_id,
        is_on_caller=hold.caller_key is not None,
        since=hold.since,
        until=hold.until,
        reason=hold.reason,
        set_by=hold.set_by,
        set_at=hold.set_at,
        lifted_by=hold.lifted_by,
        lifted_at=hold.lifted_at,
        lifted_reason=hold.lifted_reason,
    )


def _deletion_out(deletion: Deletion) -> DeletionOut:
    return DeletionOut(
        deletion_id=deletion.deletion_id,
        call_id=deletion.call_id,
        agent_id=deletion.agent_id,
        deleted_by=deletion.deleted_by,
        deleted_at=deletion.deleted_at,
        reason=deletion.reason,
        finished_at=deletion.finished_at,
    )
