"""users and agents: who may sign in, made and changed on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from invented_records import NOW
from typer.testing import CliRunner, Result

from qa_monitor.accounts import sign_in
from qa_monitor.cli import app
from qa_monitor.store import Store, UserRole, open_store

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    config = tmp_path / "qa-monitor.toml"
    config.write_text(f'[data]\nfolder = "{tmp_path}"\n')

    def invoke(*arguments: str, stdin: str = "") -> Result:
        result = CliRunner().invoke(app, ["--config", str(config), *arguments], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return invoke


def opened(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path / 'qa-monitor.sqlite'}")


def test_a_user_is_made_with_a_password_from_stdin(run: Run, tmp_path: Path) -> None:
    result = run(
        *("users", "add", "rita", "--role", "reviewer", "--team", "north", "--password-stdin"),
        stdin="quiet-harbour-41\n",
    )
    assert result.exit_code == 0
    assert result.stdout == ""
    with opened(tmp_path) as store:
        user = sign_in(store.people, "rita", "quiet-harbour-41", now=NOW)
    assert user.roles == {UserRole.REVIEWER}
    assert user.teams == {"north"}


def test_a_made_password_is_the_only_thing_on_stdout_and_works(run: Run, tmp_path: Path) -> None:
    result = run("users", "add", "ada", "--role", "admin", "--generate")
    with opened(tmp_path) as store:
        assert sign_in(store.people, "ada", result.stdout.strip(), now=NOW)
    again = run("users", "password", "ada", "--generate")
    assert again.stdout.strip() != result.stdout.strip()
    with opened(tmp_path) as store:
        assert sign_in(store.people, "ada", again.stdout.strip(), now=NOW)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("add", "x", "--role", "boss", "--generate"), 2, "no role boss"),
        (("add", "x", "--role", "agent", "--generate"), 2, "agent id"),
        (("add", "x", "--generate"), 2, "at least one role"),
        (("add", "X Y", "--role", "admin", "--generate"), 2, "small letters"),
        (("add", "x", "--role", "admin"), 2, "no terminal"),
        (("add", "x", "--role", "admin", "--issuer", "https://id.example"), 2, "together"),
        (("change", "nobody", "--closed"), 10, "no user nobody"),
        (("password", "nobody", "--generate"), 10, "no user nobody"),
    ],
)
def test_what_cannot_be_is_told_plainly_and_makes_no_user(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = run("users", *arguments)
    assert result.exit_code == code
    assert says in result.stderr
    with opened(tmp_path) as store:
        assert store.people.users() == ()


def test_a_short_password_is_refused(run: Run) -> None:
    result = run("users", "add", "x", "--role", "admin", "--password-stdin", stdin="short\n")
    assert result.exit_code == 2
    assert "12 to 200" in result.stderr


def test_a_change_leaves_what_is_not_named(run: Run) -> None:
    run("users", "add", "rita", "--role", "reviewer", "--team", "north", "--generate")
    run("users", "change", "rita", "--team", "south", "--closed")
    (user,) = json.loads(run("users", "list", "--json").stdout)
    assert user["teams"] == ["south"]
    assert user["roles"] == ["reviewer"]
    assert not user["is_active"]
    assert "rita" in run("users", "list").stdout


def test_agents_get_names_and_teams_one_by_one_or_from_a_file(run: Run, tmp_path: Path) -> None:
    run("agents", "set", "agent-01", "--team", "north")
    run("agents", "set", "agent-01", "--name", "Agnes")
    listed = tmp_path / "agents.csv"
    listed.write_text("agent_id,name,team\nagent-02,Amos,south\nagent-03,,\n", encoding="utf-8")
    assert run("agents", "load", str(listed)).exit_code == 0
    assert json.loads(run("agents", "list", "--json").stdout) == [
        {"agent_id": "agent-01", "name": "Agnes", "team": "north"},
        {"agent_id": "agent-02", "name": "Amos", "team": "south"},
        {"agent_id": "agent-03", "name": None, "team": None},
    ]
    assert "Agnes" in run("agents", "list").stdout


@pytest.mark.parametrize(
    "content", [b"name,team\nx,y\n", b"agent_id\n\xff\n", b"agent_id,name\n,x\n", b""]
)
def test_a_file_that_is_no_list_of_agents_changes_nothing(
    run: Run, tmp_path: Path, content: bytes
) -> None:
    listed = tmp_path / "agents.csv"
    listed.write_bytes(content)
    result = run("agents", "load", str(listed))
    assert result.exit_code == 2
    assert json.loads(run("agents", "list", "--json").stdout) == []
