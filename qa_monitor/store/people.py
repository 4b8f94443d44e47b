"""Users of the pages, their sessions and tokens, and which team an agent belongs to.

Secrets are kept as digests only: passwords as Argon2id hashes (made in ``qa_monitor.accounts``),
sessions and tokens as SHA-256 of long random strings, so that who reads the database cannot sign
in with what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    and_,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from qa_monitor.errors import NotFoundError, UsageError
from qa_monitor.store.database import Database
from qa_monitor.store.tables import UtcDateTime, calls, metadata

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

__all__ = ["Agent", "People", "Scope", "Session", "Token", "User", "UserRole", "agents"]


class UserRole(StrEnum):
    """What a user of the pages does; one user may do several."""

    REVIEWER = "reviewer"
    COACH = "coach"
    SUPERVISOR = "supervisor"
    AGENT = "agent"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which calls somebody reaches: all, or those of agents of ``teams`` and of ``agent_id``.

    Calls of nobody, and of agents without a team, are within ``all_calls`` only. ``besides`` names
    an agent whose calls are left out: nobody judges their own.
    """

    all_calls: bool = False
    teams: frozenset[str] = frozenset()
    agent_id: str | None = None
    besides: str | None = None

    def covers(self, agent_id: str | None, team: str | None) -> bool:
        """Whether a call of ``agent_id``, who is of ``team``, is within."""
        if agent_id is not None and agent_id == self.besides:
            return False
        return (
            self.all_calls
            or (agent_id is not None and agent_id == self.agent_id)
            or (team is not None and team in self.teams)
        )

    def condition(
        self,
        agent_id: ColumnElement[str | None] = calls.c.agent_id,
    ) -> ColumnElement[bool]:
        """The same for a query of ``calls``, or of another table with the agent of each call."""
        parts: list[ColumnElement[bool]] = []
        if self.all_calls:
            parts.append(true())
        if self.agent_id is not None:
            parts.append(agent_id == self.agent_id)
        if self.teams:
            of_teams = select(agents.c.agent_id).where(agents.c.team.in_(sorted(self.teams)))
            parts.append(agent_id.in_(of_teams))
        within = or_(*parts) if parts else false()
        if self.besides is None:
            return within
        return and_(within, or_(agent_id.is_(None), agent_id != self.besides))


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may sign in.

    ``user_id`` is the name signed in with. ``issuer`` and ``subject`` say who vouches for the
    identity: ``local`` and the user id, or those of an OpenID provider. ``teams`` are those whose
    calls the user reaches, all calls with ``all_teams``; ``agent_id`` is the agent that the user
    is.
    """

    user_id: str
    name: str
    roles: frozenset[UserRole]
    email: str | None = field(default=None, repr=False)
    agent_id: str | None = None
    teams: frozenset[str] = frozenset()
    all_teams: bool = False
    issuer: str = "local"
    subject: str = ""
    is_active: bool = True
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A sign-in that stands; times are instants, ``csrf_token`` is what its forms must carry."""

    user_id: str
    csrf_token: str = field(repr=False)
    began_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of a user for the API, without its secret; ``None``: never used, never ends."""

    token_id: int
    user_id: str
    name: str
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent of the centre: the name that colleagues know, and the team; both may be unknown."""

    agent_id: str
    name: str | None
    team: str | None


users = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("roles", Text, nullable=False),
    Column("agent_id", Text),
    Column("all_teams", Boolean, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("password_hash", Text),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("failed_sign_ins", Integer, nullable=False),
    Column("locked_until", UtcDateTime),
    UniqueConstraint("issuer", "subject"),
)

user_teams = Table(
    "user_teams",
    metadata,
    Column("user_id", ForeignKey("users.user_id", ondelete="CASCADE"), primary_key=True),
    Column("team", Text, primary_key=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", Text, primary_key=True),
    Column(
        "user_id",
        ForeignKey("users.user_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("csrf_token", Text, nullable=False),
    Column("began_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", Integer, primary_key=True),
    Column(
        "user_id",
        ForeignKey("users.user_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("used_at", UtcDateTime),
    sqlite_autoincrement=True,
)

agents = Table(
    "agents",
    metadata,
    # Not a foreign key of calls: recordings name agents that nobody has listed yet.
    Column("agent_id", Text, primary_key=True),
    Column("name", Text),
    Column("team", Text, index=True),
)


class People:
    """``Store.people``; each method is one transaction, and raises ``StoreError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- users -----------------------------------------------------------------------------------

    def add_user(self, user: User, *, password_hash: str | None, now: datetime) -> None:
        """Keep a new user; ``UsageError`` when the name, or the identity, is taken."""

        def work(connection: Connection) -> bool:
            try:
                with connection.begin_nested():
                    connection.execute(
                        insert(users).values(
                            **_columns(user),
                            user_id=user.user_id,
                            password_hash=password_hash,
                            created_at=now,
                            failed_sign_ins=0,
                        )
                    )
            except IntegrityError:
                return False
            self._keep_teams(connection, user)
            return True

        if not self._database.write(work):
            raise UsageError(
                f"there is a user {user.user_id} already, or one with that identity. Change that "
                "user, or choose another name."
            )

    def change_user(self, user: User) -> None:
        """Keep what ``user`` says in place of what is stored of that user id.

        Sessions of a user who is no longer active end. Raises ``NotFoundError``, and ``UsageError``
        when no active administrator would be left.
        """

        def work(connection: Connection) -> str | None:
            before = self._load(connection, users.c.user_id == user.user_id)
            if not before:
                return "unknown"
            own = users.c.user_id == user.user_id
            connection.execute(update(users).where(own).values(**_columns(user)))
            connection.execute(delete(user_teams).where(user_teams.c.user_id == user.user_id))
            self._keep_teams(connection, user)
            if not user.is_active:
                connection.execute(delete(sessions).where(sessions.c.user_id == user.user_id))
            was_admin = before[0].is_active and UserRole.ADMIN in before[0].roles
            if was_admin and not any(
                found.is_active and UserRole.ADMIN in found.roles
                for found in self._load(connection, true())
            ):
                connection.rollback()
                return "last"
            return None

        problem = self._database.write(work)
        if problem == "unknown":
            raise _no_user(user.user_id)
        if problem == "last":
            raise UsageError("there would be no administrator left. Make another one first.")

    @staticmethod
    def _keep_teams(connection: Connection, user: User) -> None:
        rows = [{"user_id": user.user_id, "team": team} for team in sorted(user.teams)]
        if rows:
            connection.execute(insert(user_teams), rows)

    def user(self, user_id: str) -> User:
        """The user of that name; ``NotFoundError`` when there is none."""
        found = self._database.read(lambda c: self._load(c, users.c.user_id == user_id))
        if not found:
            raise _no_user(user_id)
        return found[0]

    def user_of_identity(self, issuer: str, subject: str) -> User | None:
        """The user whom ``issuer`` knows as ``subject``."""
        own = and_(users.c.issuer == issuer, users.c.subject == subject)
        found = self._database.read(lambda c: self._load(c, own))
        return found[0] if found else None

    def users(self) -> tuple[User, ...]:
        """Everybody, in the order of their names."""
        return self._database.read(lambda c: self._load(c, true()))

    @staticmethod
    def _load(connection: Connection, which: ColumnElement[bool]) -> tuple[User, ...]:
        teams: dict[str, set[str]] = {}
        for row in connection.execute(
            select(user_teams).join(users, users.c.user_id == user_teams.c.user_id).where(which)
        ):
            teams.setdefault(row.user_id, set()).add(row.team)
        return tuple(
            User(
                user_id=row.user_id,
                name=row.name,
                email=row.email,
                roles=frozenset(UserRole(role) for role in row.roles.split()),
                agent_id=row.agent_id,
                teams=frozenset(teams.get(row.user_id, ())),
                all_teams=row.all_teams,
                issuer=row.issuer,
                subject=row.subject,
                is_active=row.is_active,
                created_at=row.created_at,
            )
            for row in connection.execute(select(users).where(which).order_by(users.c.user_id))
        )

    # --- passwords -------------------------------------------------------------------------------

    def password_hash(self, user_id: str) -> str | None:
        """The hash of the password; ``None`` without a user or a password."""
        query = select(users.c.password_hash).where(users.c.user_id == user_id)
        return self._database.read(lambda c: c.scalar(query))

    def set_password_hash(self, user_id: str, password_hash: str, *, end_access: bool) -> None:
        """Keep another hash; ``end_access`` ends the sign-ins and tokens that stand."""

        def work(connection: Connection) -> int:
            own = users.c.user_id == user_id
            values = {"password_hash": password_hash, "failed_sign_ins": 0, "locked_until": None}
            changed = connection.execute(update(users).where(own).values(**values)).rowcount
            if end_access:
                connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
                connection.execute(delete(tokens).where(tokens.c.user_id == user_id))
            return changed

        if not self._database.write(work):
            raise _no_user(user_id)

    def locked_until(self, user_id: str) -> datetime | None:
        """Until when sign-ins of the user are refused unheard."""
        query = select(users.c.locked_until).where(users.c.user_id == user_id)
        return self._database.read(lambda c: c.scalar(query))

    def begin_sign_in(
        self, user_id: str, *, now: datetime, lock_s: Callable[[int], float]
    ) -> bool | None:
        """Count a try; whether it may be looked at, and ``None`` when there is no such user.

        It may not while the name is locked; ``lock_s`` are the seconds for which so many failures
        in a row lock it. A try counts as failed until ``forgive_sign_ins``, so that of many at once
        no more are looked at than of as many in a row.
        """
        own = users.c.user_id == user_id

        def work(connection: Connection) -> bool | None:
            row = connection.execute(
                select(users.c.failed_sign_ins, users.c.locked_until).where(own).with_for_update()
            ).one_or_none()
            if row is None:
                return None
            if row.locked_until is not None and row.locked_until > now:
                return False
            values: dict[str, Any] = {"failed_sign_ins": row.failed_sign_ins + 1}
            if seconds := lock_s(row.failed_sign_ins + 1):
                values["locked_until"] = now + timedelta(seconds=seconds)
            connection.execute(update(users).where(own).values(**values))
            return True

        return self._database.write(work)

    def forgive_sign_ins(self, user_id: str) -> None:
        """Forget the tries that failed: one has succeeded."""
        values = {"failed_sign_ins": 0, "locked_until": None}
        own = users.c.user_id == user_id
        self._database.write(lambda c: c.execute(update(users).where(own).values(**values)))

    # --- sessions --------------------------------------------------------------------------------

    def begin_session(self, digest: str, *, user_id: str, csrf_token: str, now: datetime) -> None:
        """Keep a sign-in by the SHA-256 of its secret."""
        values = {"user_id": user_id, "csrf_token": csrf_token, "began_at": now, "seen_at": now}
        statement = insert(sessions).values(digest=digest, **values)
        self._database.write(lambda c: c.execute(statement))

    def session(self, digest: str) -> Session | None:
        """The sign-in with that digest, however old."""
        query = select(sessions).where(sessions.c.digest == digest)
        row = self._database.read(lambda c: c.execute(query).one_or_none())
        return None if row is None else _session_of(row)

    def touch_session(self, digest: str, *, now: datetime) -> None:
        """Note that the sign-in was used."""
        own = sessions.c.digest == digest
        self._database.write(lambda c: c.execute(update(sessions).where(own).values(seen_at=now)))

    def end_session(self, digest: str) -> None:
        """Forget one sign-in."""
        self._database.write(
            lambda c: c.execute(delete(sessions).where(sessions.c.digest == digest))
        )

    def end_old_sessions(self, *, seen_before: datetime, began_before: datetime) -> None:
        """Forget sign-ins that are over their limits."""
        over = or_(sessions.c.seen_at < seen_before, sessions.c.began_at < began_before)
        self._database.write(lambda c: c.execute(delete(sessions).where(over)))

    def sessions(self, user_id: str) -> tuple[Session, ...]:
        """The sign-ins of a user, those over their limits too, the newest first."""
        query = (
            select(sessions)
            .where(sessions.c.user_id == user_id)
            .order_by(sessions.c.began_at.desc(), sessions.c.digest)
        )
        return self._database.read(lambda c: tuple(_session_of(row) for row in c.execute(query)))

    def end_access(self, user_id: str, *, tokens_too: bool = False) -> None:
        """Forget all sign-ins of a user; ``tokens_too`` what the user's programs come with."""

        def work(connection: Connection) -> None:
            connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            if tokens_too:
                connection.execute(delete(tokens).where(tokens.c.user_id == user_id))

        self._database.write(work)

    # --- tokens ----------------------------------------------------------------------------------

    def add_token(
        self, digest: str, *, user_id: str, name: str, now: datetime, expires_at: datetime | None
    ) -> Token:
        """Keep a token by the SHA-256 of its secret."""
        values = {"user_id": user_id, "name": name, "created_at": now, "expires_at": expires_at}

        def work(connection: Connection) -> int:
            written = connection.execute(insert(tokens).values(digest=digest, **values))
            token_id: int = written.inserted_primary_key[0]  # type: ignore[index]
            return token_id

        token_id = self._database.write(work)
        return Token(
            token_id=token_id,
            user_id=user_id,
            name=name,
            created_at=now,
            expires_at=expires_at,
            used_at=None,
        )

    def token(self, digest: str) -> Token | None:
        """The token with that digest, expired or not."""
        query = select(tokens).where(tokens.c.digest == digest)
        row = self._database.read(lambda c: c.execute(query).one_or_none())
        return None if row is None else _token_of(row)

    def tokens(self, user_id: str) -> tuple[Token, ...]:
        """The tokens of a user, oldest first."""
        query = select(tokens).where(tokens.c.user_id == user_id).order_by(tokens.c.token_id)
        return self._database.read(lambda c: tuple(_token_of(row) for row in c.execute(query)))

    def use_token(self, token_id: int, *, now: datetime) -> None:
        """Note that a token was used."""
        own = tokens.c.token_id == token_id
        self._database.write(lambda c: c.execute(update(tokens).where(own).values(used_at=now)))

    def drop_token(self, token_id: int, *, user_id: str) -> None:
        """Forget a token of the user; ``NotFoundError`` when it is nobody's, or another's."""
        own = and_(tokens.c.token_id == token_id, tokens.c.user_id == user_id)
        if not self._database.write(lambda c: c.execute(delete(tokens).where(own)).rowcount):
            raise NotFoundError(f"user {user_id} has no token {token_id}.")

    # --- agents and teams ------------------------------------------------------------------------

    def set_agents(self, listed: Collection[Agent]) -> None:
        """Keep these agents' names and teams, in place of what was known of them."""

        def work(connection: Connection) -> None:
            for agent in listed:
                values = {"name": agent.name, "team": agent.team}
                connection.execute(
                    self._database.insert(agents)
                    .values(agent_id=agent.agent_id, **values)
                    .on_conflict_do_update(index_elements=[agents.c.agent_id], set_=values)
                )

        self._database.write(work)

    def agents(self, scope: Scope | None = None) -> tuple[Agent, ...]:
        """Agents that are listed or have calls, in the order of their ids; within ``scope``."""

        def work(connection: Connection) -> Sequence[Any]:
            listed = select(agents.c.agent_id)
            calling = select(calls.c.agent_id).where(calls.c.agent_id.is_not(None)).distinct()
            ids = listed.union(calling).subquery()
            return connection.execute(
                select(ids.c.agent_id, agents.c.name, agents.c.team)
                .outerjoin(agents, agents.c.agent_id == ids.c.agent_id)
                .order_by(ids.c.agent_id)
            ).all()

        found = (
            Agent(agent_id=row.agent_id, name=row.name, team=row.team)
            for row in self._database.read(work)
        )
        return tuple(a for a in found if scope is None or scope.covers(a.agent_id, a.team))

    def agent_name(self, agent_id: str | None) -> str | None:
        """The name of an agent, if it is known."""
        query = select(agents.c.name).where(agents.c.agent_id == agent_id)
        return self._database.read(lambda c: c.scalar(query))

    def team_of(self, agent_id: str | None) -> str | None:
        """The team of an agent, if it is known."""
        query = select(agents.c.team).where(agents.c.agent_id == agent_id)
        return self._database.read(lambda c: c.scalar(query))

    def teams(self) -> Mapping[str, int]:
        """How many agents each team has, in the order of their names."""
        query = (
            select(agents.c.team, func.count())
            .where(agents.c.team.is_not(None))
            .group_by(agents.c.team)
            .order_by(agents.c.team)
        )
        return self._database.read(lambda c: {row[0]: row[1] for row in c.execute(query)})

    def agent_of_call(self, call_id: str) -> tuple[str | None, str | None] | None:
        """Agent and team of a scored call; ``None`` when there is no such call."""
        query = (
            select(calls.c.agent_id, agents.c.team)
            .outerjoin(agents, agents.c.agent_id == calls.c.agent_id)
            .where(calls.c.call_id == call_id, calls.c.latest_run_id.is_not(None))
        )
        row = self._database.read(lambda c: c.execute(query).one_or_none(), call_id)
        return None if row is None else (row.agent_id, row.team)


def _columns(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "email": user.email,
        "roles": " ".join(sorted(user.roles)),
        "agent_id": user.agent_id,
        "all_teams": user.all_teams,
        "issuer": user.issuer,
        "subject": user.subject or user.user_id,
        "is_active": user.is_active,
    }


def _session_of(row: Any) -> Session:
    return Session(
        user_id=row.user_id,
        csrf_token=row.csrf_token,
        began_at=row.began_at,
        seen_at=row.seen_at,
    )


def _token_of(row: Any) -> Token:
    return Token(
        token_id=row.token_id,
        user_id=row.user_id,
        name=row.name,
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
    )


def _no_user(user_id: str) -> NotFoundError:
    return NotFoundError(f"no user {user_id}. See them with: qa-monitor users list")
