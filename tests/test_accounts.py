"""accounts: who may sign in, with what, and what follows from roles and teams."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from invented_records import NOW, make_record
from sqlalchemy import select

from qa_monitor.accounts import (
    Permission,
    Sessions,
    Strangers,
    add_user,
    make_password,
    make_token,
    may,
    scope_of,
    set_password,
    sign_in,
    user_of_token,
)
from qa_monitor.errors import NotFoundError, SignInError, UsageError
from qa_monitor.store import Agent, People, Scope, Store, User, UserRole, open_store
from qa_monitor.store.tables import calls

PASSWORD = "quiet-harbour-41"
TEAMS = {"agent-01": "north", "agent-02": "south", "agent-03": None}
RITA = User(user_id="rita", name="Rita", roles=frozenset({UserRole.REVIEWER}), all_teams=True)


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    with open_store(f"sqlite:///{tmp_path / 'a.sqlite'}") as store:
        add_user(store.people, RITA, password=PASSWORD, now=NOW)
        yield store.people


def test_the_right_password_signs_in_and_is_stored_as_argon2id_only(
    people: People, tmp_path: Path
) -> None:
    assert sign_in(people, "rita", PASSWORD, now=NOW).name == "Rita"
    stored = people.password_hash("rita")
    assert stored is not None
    assert stored.startswith("$argon2id$")
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert PASSWORD.encode() not in kept


@pytest.mark.parametrize("password", ["", "short", "x" * 201, "rita"])
def test_a_password_too_short_or_too_long_is_refused(people: People, password: str) -> None:
    with pytest.raises(UsageError):
        set_password(people, "rita", password)
    assert sign_in(people, "rita", PASSWORD, now=NOW)


def test_a_name_that_is_the_password_is_refused(people: People) -> None:
    long = User(user_id="a-very-long-name", name="x", roles=frozenset({UserRole.ADMIN}))
    with pytest.raises(UsageError, match="is the user name"):
        add_user(people, long, password="A-very-long-NAME", now=NOW)


@pytest.mark.parametrize("user_id", ["", "Rita", "a b", "ä", "-x", "x" * 65, "a/b", "<b>"])
def test_a_name_that_cannot_be_one_is_refused(people: People, user_id: str) -> None:
    user = User(user_id=user_id, name="x", roles=frozenset({UserRole.ADMIN}))
    with pytest.raises(UsageError, match="small letters"):
        add_user(people, user, password=PASSWORD, now=NOW)


def test_the_role_agent_needs_an_agent_and_a_user_a_role(people: People) -> None:
    agent = User(user_id="x", name="x", roles=frozenset({UserRole.AGENT}))
    with pytest.raises(UsageError, match="agent id"):
        add_user(people, agent, password=PASSWORD, now=NOW)
    with pytest.raises(UsageError, match="at least one role"):
        add_user(people, User(user_id="x", name="x", roles=frozenset()), password=None, now=NOW)


def test_a_second_user_of_a_name_is_refused_and_the_first_stays(people: People) -> None:
    with pytest.raises(UsageError, match="already"):
        add_user(people, RITA, password="another-password", now=NOW)
    assert sign_in(people, "rita", PASSWORD, now=NOW)


def test_a_user_of_single_sign_on_has_no_password_that_works(people: People) -> None:
    user = User(
        user_id="sam",
        name="Sam",
        roles=frozenset({UserRole.SUPERVISOR}),
        issuer="https://id.example.org",
        subject="0042",
    )
    add_user(people, user, password=None, now=NOW)
    assert people.user_of_identity("https://id.example.org", "0042") is not None
    for password in ("", "None", PASSWORD):
        with pytest.raises(SignInError):
            sign_in(people, "sam", password, now=NOW)


def test_failures_in_a_row_lock_the_name_longer_and_longer_and_a_success_forgives(
    people: People,
) -> None:
    now = NOW
    waits = []
    for _ in range(9):
        with pytest.raises(SignInError, match="wrong"):
            sign_in(people, "rita", "wrong-password-1", now=now)
        until = people.locked_until("rita")
        if until is not None and until > now:
            with pytest.raises(SignInError, match="too many"):
                sign_in(people, "rita", PASSWORD, now=now)
            waits.append(until - now)
            now = until
    assert waits == [timedelta(seconds=30 * 2**n) for n in range(5)]
    assert sign_in(people, "rita", PASSWORD, now=now)
    with pytest.raises(SignInError, match="wrong"):
        sign_in(people, "rita", "wrong-password-1", now=now)
    assert sign_in(people, "rita", PASSWORD, now=now)


def test_many_tries_at_once_are_heard_no_more_often_than_one_after_the_other(
    people: People,
) -> None:
    def answer(number: int) -> str:
        with pytest.raises(SignInError) as caught:
            sign_in(people, "rita", f"wrong-password-{number}", now=NOW)
        return caught.value.message

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(answer, range(12)))
    assert sum("wrong" in message for message in answers) == 5
    with pytest.raises(SignInError, match="too many"):
        sign_in(people, "rita", PASSWORD, now=NOW)


def test_a_name_that_is_nobodys_is_locked_as_a_users_is(people: People) -> None:
    strangers = Strangers()

    def answers(name: str) -> list[str]:
        told, now = [], NOW
        for _ in range(9):
            with pytest.raises(SignInError) as caught:
                sign_in(people, name, "wrong-password-1", now=now, strangers=strangers)
            told.append(caught.value.message)
            now += timedelta(seconds=20)
        return told

    assert answers("nobody") == answers("rita")


def test_another_password_ends_the_sessions_and_tokens_that_stand(people: People) -> None:
    sessions = Sessions(people, idle=timedelta(hours=1), absolute=timedelta(hours=2))
    secret = sessions.begin(RITA, now=NOW)
    token, _ = make_token(people, RITA, name="t", now=NOW, expires_at=None)
    assert sessions.find(secret, now=NOW)
    set_password(people, "rita", "another-password")
    assert sessions.find(secret, now=NOW) is None
    assert user_of_token(people, token, now=NOW) is None
    assert sign_in(people, "rita", "another-password", now=NOW)


def test_closing_an_account_ends_its_sessions_tokens_and_sign_ins(people: People) -> None:
    sessions = Sessions(people, idle=timedelta(hours=1), absolute=timedelta(hours=2))
    secret = sessions.begin(RITA, now=NOW)
    token, _ = make_token(people, RITA, name="t", now=NOW, expires_at=None)
    assert user_of_token(people, token, now=NOW)
    closed = User(user_id="rita", name="Rita", roles=RITA.roles, all_teams=True, is_active=False)
    people.change_user(closed)
    assert sessions.find(secret, now=NOW) is None
    assert user_of_token(people, token, now=NOW) is None
    with pytest.raises(SignInError):
        sign_in(people, "rita", PASSWORD, now=NOW)


def test_a_token_works_until_it_ends_or_is_dropped(people: People) -> None:
    secret, token = make_token(people, RITA, name="t", now=NOW, expires_at=NOW + timedelta(days=1))
    assert user_of_token(people, secret, now=NOW) is not None
    assert user_of_token(people, secret, now=NOW + timedelta(days=1)) is None
    assert people.tokens("rita")[0].used_at == NOW
    with pytest.raises(NotFoundError):
        people.drop_token(token.token_id, user_id="somebody-else")
    people.drop_token(token.token_id, user_id="rita")
    assert user_of_token(people, secret, now=NOW) is None


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60))
def test_no_made_up_token_is_anybodys(people: People, text: str) -> None:
    assert user_of_token(people, f"qam_{text}", now=NOW) is None
    assert user_of_token(people, text, now=NOW) is None


def test_the_last_administrator_cannot_be_closed(people: People) -> None:
    ada = User(user_id="ada", name="Ada", roles=frozenset({UserRole.ADMIN}))
    add_user(people, ada, password=PASSWORD, now=NOW)
    closed = User(user_id="ada", name="Ada", roles=ada.roles, is_active=False)
    with pytest.raises(UsageError, match="no administrator"):
        people.change_user(closed)
    assert people.user("ada").is_active
    add_user(
        people,
        User(user_id="eve", name="Eve", roles=ada.roles),
        password=PASSWORD,
        now=NOW,
    )
    people.change_user(closed)
    assert not people.user("ada").is_active


def test_random_passwords_differ_and_are_long_enough() -> None:
    made = {make_password() for _ in range(200)}
    assert len(made) == 200
    assert all(len(password) == 19 for password in made)


_ROLE_SETS = [
    frozenset(roles) for count in range(1, 4) for roles in itertools.combinations(UserRole, count)
]


@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("roles", _ROLE_SETS, ids=lambda roles: "+".join(sorted(roles)))
def test_several_roles_reach_what_each_reaches_and_no_more(
    roles: frozenset[UserRole], permission: Permission
) -> None:
    def user(roles: frozenset[UserRole]) -> User:
        return User(
            user_id="x", name="x", roles=roles, agent_id="agent-01", teams=frozenset({"north"})
        )

    within = [("agent-01", "north"), ("agent-01", None), ("agent-03", "north")]
    within += [("agent-02", "south"), ("agent-09", None)]
    together = scope_of(user(roles), permission)
    apart = [scope_of(user(frozenset({role})), permission) for role in roles]
    for agent_id, team in within:
        assert together.covers(agent_id, team) is any(
            scope.covers(agent_id, team) for scope in apart
        )
    assert not together.covers("agent-02", "south")
    assert may(user(roles), permission) is any(may(user(frozenset({r})), permission) for r in roles)


@pytest.fixture(scope="module")
def staffed() -> Iterator[Store]:
    """Calls of agents with a team, without one, not listed, and of nobody."""
    with open_store("sqlite://") as store:
        store.people.set_agents(
            [Agent(agent_id=each, name=None, team=team) for each, team in TEAMS.items()]
        )
        for agent_id in (*TEAMS, "agent-04", None):
            store.save_record(make_record(f"c-{agent_id}", agent_id=agent_id), (), now=NOW)
        yield store


@settings(deadline=None)
@given(
    scope=st.builds(
        Scope,
        all_calls=st.booleans(),
        teams=st.frozensets(st.sampled_from(["north", "south"])),
        agent_id=st.sampled_from([None, "agent-01", "agent-02"]),
        besides=st.sampled_from([None, "agent-01", "agent-03"]),
    )
)
def test_the_database_and_the_program_agree_on_what_is_within_a_scope(
    staffed: Store, scope: Scope
) -> None:
    query = select(calls.c.agent_id).where(scope.condition())
    found = staffed._database.read(lambda c: set(c.scalars(query)))
    assert found == {
        agent_id
        for agent_id in (*TEAMS, "agent-04", None)
        if scope.covers(agent_id, TEAMS.get(agent_id or ""))
    }
