"""``qa-monitor users`` and ``qa-monitor agents``: who may sign in, and who is in which team."""

from __future__ import annotations

import csv
import getpass
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from qa_monitor.commands.common import JsonFlag, console, monitor_of, print_json, print_text, say
from qa_monitor.errors import UsageError

if TYPE_CHECKING:
    from qa_monitor.store import Agent, User

__all__ = ["agents_app", "users_app"]

users_app = typer.Typer(help="Who may sign in to the pages.", no_args_is_help=True)
agents_app = typer.Typer(help="Names and teams of the agents.", no_args_is_help=True)

Roles = Annotated[
    list[str] | None,
    typer.Option("--role", help="reviewer, coach, supervisor, agent or admin; may be repeated."),
]
Teams = Annotated[
    list[str] | None,
    typer.Option("--team", help="A team whose calls the user reaches; may be repeated."),
]
AllTeams = Annotated[
    bool | None, typer.Option("--all-teams/--not-all-teams", help="Whether to reach all calls.")
]
AgentId = Annotated[str | None, typer.Option(help="The agent that the user is.")]
Stdin = Annotated[bool, typer.Option(help="Read the password from the first line of stdin.")]


@users_app.command("add", epilog="Example: qa-monitor users add rita --role reviewer --team north")
def add(
    ctx: typer.Context,
    user_id: Annotated[str, typer.Argument(help="The name to sign in with.")],
    role: Roles = None,
    team: Teams = None,
    all_teams: AllTeams = None,
    agent_id: AgentId = None,
    name: Annotated[str | None, typer.Option(help="The name that colleagues see.")] = None,
    email: Annotated[str | None, typer.Option(help="Where alerts may go.")] = None,
    password_stdin: Stdin = False,
    generate: Annotated[
        bool, typer.Option(help="Make a random password and print it on stdout.")
    ] = False,
    issuer: Annotated[
        str | None, typer.Option(help="Issuer of single sign-on; then there is no password.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="What the issuer calls the user.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a user; the password is asked for."""
    from qa_monitor.accounts import add_user, check_user
    from qa_monitor.store import User

    if (issuer is None) != (subject is None):
        raise UsageError("give --issuer and --subject together.")
    user = User(
        user_id=user_id,
        name=name or user_id,
        email=email,
        roles=_roles(role or ()),
        agent_id=agent_id,
        teams=frozenset(team or ()),
        all_teams=bool(all_teams),
        issuer=issuer or "local",
        subject=subject or user_id,
    )
    # Before a password is typed twice for nothing.
    check_user(user)
    password = None if issuer else _password(generate=generate, from_stdin=password_stdin)
    with monitor_of(ctx) as monitor:
        add_user(monitor.store.people, user, password=password, now=datetime.now(UTC))
    _tell(user, password if generate else None, as_json=as_json)
    if not (user.teams or user.all_teams or user.agent_id):
        say(f"{user_id} reaches no calls yet: give --team or --all-teams with users change.")


@users_app.command("change", epilog="Example: qa-monitor users change rita --team south --active")
def change(
    ctx: typer.Context,
    user_id: Annotated[str, typer.Argument(help="The name signed in with.")],
    role: Roles = None,
    team: Teams = None,
    all_teams: AllTeams = None,
    agent_id: AgentId = None,
    name: Annotated[str | None, typer.Option(help="The name that colleagues see.")] = None,
    email: Annotated[str | None, typer.Option(help="Where alerts may go.")] = None,
    active: Annotated[
        bool | None, typer.Option("--active/--closed", help="Whether the user may sign in.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Change what is given of a user, and leave the rest; --role and --team replace all."""
    from qa_monitor.accounts import check_user

    given: dict[str, Any] = {
        "roles": _roles(role) if role else None,
        "teams": frozenset(team) if team else None,
        "all_teams": all_teams,
        "agent_id": agent_id,
        "name": name,
        "email": email,
        "is_active": active,
    }
    with monitor_of(ctx) as monitor:
        people = monitor.store.people
        user = people.user(user_id)
        user = replace(user, **{key: value for key, value in given.items() if value is not None})
        check_user(user)
        people.change_user(user)
    _tell(user, None, as_json=as_json)


@users_app.command("password", epilog="Example: qa-monitor users password rita --generate")
def password(
    ctx: typer.Context,
    user_id: Annotated[str, typer.Argument(help="The name signed in with.")],
    password_stdin: Stdin = False,
    generate: Annotated[
        bool, typer.Option(help="Make a random password and print it on stdout.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Give a user another password; sign-ins that stand end."""
    from qa_monitor.accounts import set_password

    with monitor_of(ctx) as monitor:
        user = monitor.store.people.user(user_id)
        new = _password(generate=generate, from_stdin=password_stdin)
        set_password(monitor.store.people, user_id, new)
    if as_json:
        print_json(_user_json(user) | ({"password": new} if generate else {}))
    elif generate:
        print_text(new)
    say(f"{user_id} has another password now.")


@users_app.command("list", epilog="Example: qa-monitor users list --json")
def list_users(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """Who may sign in, with roles and teams."""
    with monitor_of(ctx) as monitor:
        found = monitor.store.people.users()
    if as_json:
        print_json([_user_json(user) for user in found])
        return
    table = Table("user", "name", "roles", "reaches", "agent", "may sign in")
    for user in found:
        table.add_row(
            user.user_id,
            user.name,
            ", ".join(sorted(user.roles)),
            "all calls" if user.all_teams else ", ".join(sorted(user.teams)) or "–",
            user.agent_id or "–",
            "yes" if user.is_active else "no",
        )
    console().print(table)


@agents_app.command("set", epilog="Example: qa-monitor agents set agent-07 --team north")
def set_agent(
    ctx: typer.Context,
    agent_id: Annotated[str, typer.Argument(help="The agent's id, as in the call records.")],
    team: Annotated[str | None, typer.Option(help="The team; an empty one takes it away.")] = None,
    name: Annotated[str | None, typer.Option(help="The name that colleagues see.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Name an agent, or put one in a team."""
    from qa_monitor.store import Agent

    with monitor_of(ctx) as monitor:
        people = monitor.store.people
        known = {agent.agent_id: agent for agent in people.agents()}
        before = known.get(agent_id, Agent(agent_id=agent_id, name=None, team=None))
        after = Agent(
            agent_id=agent_id,
            name=before.name if name is None else name or None,
            team=before.team if team is None else team or None,
        )
        people.set_agents([after])
    if as_json:
        print_json(_agent_json(after))
        return
    say(f"{agent_id}: {after.name or 'no name'}, {after.team or 'no team'}.")


@agents_app.command("load", epilog="Example: qa-monitor agents load agents.csv")
def load(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV with the columns agent_id, name, team.")],
    as_json: JsonFlag = False,
) -> None:
    """Names and teams of many agents, from a file."""
    listed = _read_agents(file)
    with monitor_of(ctx) as monitor:
        monitor.store.people.set_agents(listed)
    if as_json:
        print_json([_agent_json(agent) for agent in listed])
        return
    say(f"{len(listed)} agents are listed.")


@agents_app.command("list", epilog="Example: qa-monitor agents list --json")
def list_agents(ctx: typer.Context, as_json: JsonFlag = False) -> None:
    """The agents that are listed or have calls."""
    with monitor_of(ctx) as monitor:
        found = monitor.store.people.agents()
    if as_json:
        print_json([_agent_json(agent) for agent in found])
        return
    table = Table("agent", "name", "team")
    for agent in found:
        table.add_row(agent.agent_id, agent.name or "–", agent.team or "–")
    console().print(table)


def _read_agents(file: Path) -> list[Agent]:
    from qa_monitor.store import Agent

    problem = ""
    rows: list[dict[str, str]] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            if "agent_id" not in (reader.fieldnames or ()):
                problem = "has no column agent_id"
            else:
                rows = list(reader)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except (UnicodeDecodeError, csv.Error):
        problem = "is not CSV in UTF-8"
    if problem:
        raise UsageError(f"{file} {problem}. Give a CSV file with agent_id, name and team.")
    empty = [number for number, row in enumerate(rows, start=2) if not row["agent_id"]]
    if empty:
        raise UsageError(f"{file}, line {empty[0]}: agent_id is empty.")
    return [
        Agent(
            agent_id=row["agent_id"].strip(),
            name=(row.get("name") or "").strip() or None,
            team=(row.get("team") or "").strip() or None,
        )
        for row in rows
    ]


def _roles(named: Any) -> frozenset[Any]:
    from qa_monitor.store import UserRole

    unknown = [role for role in named if role not in set(UserRole)]
    if unknown:
        raise UsageError(f"no role {unknown[0]}; there are {', '.join(UserRole)}.")
    return frozenset(UserRole(role) for role in named)


def _password(*, generate: bool, from_stdin: bool) -> str:
    from qa_monitor.accounts import make_password

    if generate:
        return make_password()
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask at: use --password-stdin or --generate.")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise UsageError("the two passwords differ; nothing was changed.")
    return first


def _tell(user: User, password: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json(_user_json(user) | ({"password": password} if password else {}))
    elif password:
        print_text(password)
    if not as_json:
        roles = ", ".join(sorted(user.roles))
        say(f"{user.user_id}: {roles}{'' if user.is_active else '; may not sign in'}.")


def _agent_json(agent: Agent) -> dict[str, Any]:
    return {"agent_id": agent.agent_id, "name": agent.name, "team": agent.team}


def _user_json(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "name": user.name,
        "roles": sorted(user.roles),
        "teams": sorted(user.teams),
        "all_teams": user.all_teams,
        "agent_id": user.agent_id,
        "issuer": user.issuer,
        "subject": user.subject,
        "is_active": user.is_active,
    }
