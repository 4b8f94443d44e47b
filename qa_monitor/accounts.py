"""Who may do what: passwords, tokens, and what each role reaches.

A user signs in with a password (hashed with Argon2id) and keeps a session, or comes with a token.
What somebody may do follows from the roles by one table; which calls are meant follows from teams
and the agent the user is. Nothing here knows the web.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from qa_monitor.errors import SignInError, UsageError
from qa_monitor.store import Scope, Session, Token, User, UserRole

if TYPE_CHECKING:
    from argon2 import PasswordHasher

    from qa_monitor.store import People

__all__ = [
    "SHORTEST_PASSWORD",
    "Permission",
    "Sessions",
    "Strangers",
    "add_user",
    "make_password",
    "make_token",
    "may",
    "scope_of",
    "set_password",
    "sign_in",
    "user_of_token",
]

SHORTEST_PASSWORD = 12
"""Characters; length and nothing else is asked of a password [NIST SP 800-63B, 3.1.1.2]."""
_LONGEST_PASSWORD = 200
_FREE_TRIES = 5
_FIRST_LOCK_S = 30.0
_LONGEST_LOCK_S = 3600.0
_MOST_STRANGERS = 10_000
_TOKEN_START = "qam_"
_TOUCH_EVERY = timedelta(minutes=1)
_USER_ID = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


class Permission(StrEnum):
    """One thing that a user may be allowed to do."""

    SEE_CALLS = "see_calls"
    """Lists, search, transcript, scores, redacted sound."""
    REVIEW_CALLS = "review_calls"
    """Judge the machine's scores, swap roles, score again."""
    COMMENT = "comment"
    HEAR_UNREDACTED = "hear_unredacted"
    """Where the configuration allows it at all, and with a reason each time."""
    WORK_QUEUE = "work_queue"
    ASSIGN_QUEUE = "assign_queue"
    SEE_AGREEMENT = "see_agreement"
    EXPORT_LABELS = "export_labels"
    SEE_REPORTS = "see_reports"
    COACH = "coach"
    """Notes and goals."""
    SEE_OWN = "see_own"
    """An agent's own page: acknowledge, answer, dispute."""
    RESOLVE_DISPUTES = "resolve_disputes"
    SEE_ALERTS = "see_alerts"
    HANDLE_ALERTS = "handle_alerts"
    SEE_TEAM = "see_team"
    ADMINISTER = "administer"
    """Users, log, holds, deletion; it opens no call."""


_P = Permission
_ALLOWED: dict[UserRole, frozenset[Permission]] = {
    UserRole.REVIEWER: frozenset(
        {
            _P.SEE_CALLS,
            _P.REVIEW_CALLS,
            _P.COMMENT,
            _P.HEAR_UNREDACTED,
            _P.WORK_QUEUE,
            _P.SEE_AGREEMENT,
            _P.EXPORT_LABELS,
            _P.RESOLVE_DISPUTES,
        }
    ),
    UserRole.COACH: frozenset(
        {
            _P.SEE_CALLS,
            _P.COMMENT,
            _P.SEE_REPORTS,
            _P.COACH,
            _P.RESOLVE_DISPUTES,
            _P.SEE_TEAM,
        }
    ),
    UserRole.SUPERVISOR: frozenset(
        {
            _P.SEE_CALLS,
            _P.COMMENT,
            _P.HEAR_UNREDACTED,
            _P.ASSIGN_QUEUE,
            _P.SEE_AGREEMENT,
            _P.SEE_REPORTS,
            _P.SEE_ALERTS,
            _P.HANDLE_ALERTS,
            _P.SEE_TEAM,
        }
    ),
    UserRole.AGENT: frozenset({_P.SEE_CALLS, _P.SEE_OWN}),
    UserRole.ADMIN: frozenset({_P.ADMINISTER}),
}
_NOT_ON_OWN_CALLS = frozenset(
    {
        _P.REVIEW_CALLS,
        _P.HEAR_UNREDACTED,
        _P.WORK_QUEUE,
        _P.ASSIGN_QUEUE,
        _P.COACH,
        _P.RESOLVE_DISPUTES,
        _P.HANDLE_ALERTS,
    }
)


def may(user: User, permission: Permission) -> bool:
    """Whether any role of an active ``user`` has ``permission``."""
    return user.is_active and any(permission in _ALLOWED[role] for role in user.roles)


def scope_of(user: User, permission: Permission) -> Scope:
    """The calls for which ``user`` has ``permission``; none without the permission.

    The role agent reaches the user's own calls only, the others those of the user's teams. Nobody
    judges their own calls.
    """
    granting = {role for role in user.roles if permission in _ALLOWED[role]}
    if not user.is_active or not granting:
        return Scope()
    of_teams = bool(granting - {UserRole.AGENT})
    return Scope(
        all_calls=of_teams and user.all_teams,
        teams=user.teams if of_teams else frozenset(),
        agent_id=user.agent_id if UserRole.AGENT in granting else None,
        besides=user.agent_id if permission in _NOT_ON_OWN_CALLS else None,
    )


# --- users and passwords -------------------------------------------------------------------------


def add_user(people: People, user: User, *, password: str | None, now: datetime) -> None:
    """Keep a new user, signing in with ``password``, or not by password where it is ``None``.

    Raises ``UsageError`` for a name, role, agent or password that cannot be.
    """
    if not _USER_ID.fullmatch(user.user_id):
        raise UsageError(
            "a user name is up to 64 small letters, digits and . _ @ -, and begins with a letter "
            "or digit."
        )
    check_user(user)
    hashed = None if password is None else _hash(password, user.user_id)
    people.add_user(
        replace(user, subject=user.subject or user.user_id), password_hash=hashed, now=now
    )


def check_user(user: User) -> None:
    """Raises ``UsageError`` where roles, agent and teams do not fit each other."""
    if not user.roles:
        raise UsageError(f"user {user.user_id}: give at least one role: {', '.join(UserRole)}.")
    if UserRole.AGENT in user.roles and not user.agent_id:
        raise UsageError(f"user {user.user_id}: name the agent id that the role agent is for.")


def set_password(people: People, user_id: str, password: str) -> None:
    """Make ``password`` the user's, and end all sign-ins and tokens.

    Raises ``UsageError`` for a password that cannot be one, and ``NotFoundError``.
    """
    people.set_password_hash(user_id, _hash(password, user_id), end_access=True)


def make_password() -> str:
    """A random password that can be read out: 16 characters, 79 bits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def _hash(password: str, user_id: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        raise UsageError(
            f"a password has {SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters; a few words "
            "one after the other are easy to keep in mind."
        )
    if password.casefold() in {user_id.casefold(), user_id.casefold() * 2}:
        raise UsageError("the password is the user name; choose another one.")
    return _hasher().hash(password)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    # Argon2id with the library's parameters (RFC 9106, low memory: 3 passes over 64 MiB).
    return PasswordHasher()


@cache
def _hash_of_nobody() -> str:
    return _hasher().hash(secrets.token_urlsafe())


class Strangers:
    """Tries of names that are nobody's, which lock as users' names do: a lock tells of no user."""

    def __init__(self) -> None:
        self._tries: dict[str, tuple[int, datetime]] = {}
        self._lock = threading.Lock()

    def begin_sign_in(self, name: str, *, now: datetime) -> bool:
        """Count a try; whether it may be looked at."""
        with self._lock:
            failed, until = self._tries.pop(name, (0, now))
            may_try = until <= now
            if may_try:
                failed, until = failed + 1, now + timedelta(seconds=_lock_s(failed + 1))
            self._tries[name] = failed, until
            if len(self._tries) > _MOST_STRANGERS:
                del self._tries[next(iter(self._tries))]
            return may_try


def _lock_s(failed: int) -> float:
    if failed < _FREE_TRIES:
        return 0.0
    return min(_FIRST_LOCK_S * 2.0 ** min(failed - _FREE_TRIES, 20), _LONGEST_LOCK_S)


def sign_in(
    people: People,
    user_id: str,
    password: str,
    *,
    now: datetime,
    strangers: Strangers | None = None,
) -> User:
    """The user whose name and password these are; ``SignInError`` if they are nobody's.

    An unknown name takes as long as a wrong password and, with ``strangers``, is locked as a known
    one is: after five failures in a row each further one locks it for twice as long, an hour at
    most.
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    may_try = people.begin_sign_in(user_id, now=now, lock_s=_lock_s)
    if may_try is None:
        may_try = strangers is None or strangers.begin_sign_in(user_id, now=now)
    if not may_try:
        raise SignInError("too many tries. Wait some minutes, or ask an administrator.")
    stored = people.password_hash(user_id)
    is_right = False
    try:
        is_right = _hasher().verify(stored or _hash_of_nobody(), password[: _LONGEST_PASSWORD + 1])
    except (VerificationError, InvalidHashError):
        is_right = False
    user = people.user(user_id) if is_right and stored is not None else None
    if user is None or stored is None or not user.is_active:
        raise SignInError("name or password is wrong, or the account is closed.")
    people.forgive_sign_ins(user_id)
    if _hasher().check_needs_rehash(stored):
        people.set_password_hash(user_id, _hasher().hash(password), end_access=False)
    return user


# --- sessions and tokens -------------------------------------------------------------------------


class Sessions:
    """Sign-ins that stand, kept on the server and told apart by a random secret.

    A session ends ``idle`` after its last use and ``absolute`` after its beginning.
    """

    def __init__(self, people: People, *, idle: timedelta, absolute: timedelta) -> None:
        self._people = people
        self._idle, self._absolute = idle, absolute

    def begin(self, user: User, *, now: datetime) -> str:
        """The secret of a new session of ``user``; sessions over their limits are cleared."""
        secret = secrets.token_urlsafe(32)
        self._people.end_old_sessions(
            seen_before=now - self._idle, began_before=now - self._absolute
        )
        self._people.begin_session(
            _digest(secret), user_id=user.user_id, csrf_token=secrets.token_urlsafe(32), now=now
        )
        return secret

    def find(
        self, secret: str, *, now: datetime, is_use: bool = True
    ) -> tuple[User, Session] | None:
        """Whose session this is; ``None`` when it is over, or its user may no longer sign in.

        Unless ``is_use`` it grows idle all the same.
        """
        digest = _digest(secret)
        session = self._people.session(digest)
        if session is None:
            return None
        if now - session.seen_at > self._idle or now - session.began_at > self._absolute:
            self._people.end_session(digest)
            return None
        user = self._people.user(session.user_id)
        if not user.is_active:
            return None
        # A page asks several times a second; a minute is near enough.
        if is_use and now - session.seen_at > min(_TOUCH_EVERY, self._idle / 4):
            self._people.touch_session(digest, now=now)
        return user, session

    def end(self, secret: str) -> None:
        """Forget the session."""
        self._people.end_session(_digest(secret))


def make_token(
    people: People, user: User, *, name: str, now: datetime, expires_at: datetime | None
) -> tuple[str, Token]:
    """A new token of ``user`` for the API: its secret, shown this once, and what is kept."""
    secret = _TOKEN_START + secrets.token_urlsafe(32)
    token = people.add_token(
        _digest(secret), user_id=user.user_id, name=name, now=now, expires_at=expires_at
    )
    return secret, token


def user_of_token(people: People, secret: str, *, now: datetime) -> User | None:
    """Whose token this is; ``None`` when it is nobody's, has ended, or its user is inactive."""
    token = people.token(_digest(secret)) if secret.startswith(_TOKEN_START) else None
    if token is None or (token.expires_at is not None and token.expires_at <= now):
        return None
    user = people.user(token.user_id)
    if not user.is_active:
        return None
    if token.used_at is None or now - token.used_at > _TOUCH_EVERY:
        people.use_token(token.token_id, now=now)
    return user


def _digest(secret: str) -> str:
    # Long and random, so a plain hash is enough: there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()
