"""``qa-monitor demo-data``: a data folder full of invented calls."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from qa_monitor.commands.common import JsonFlag, console, monitor_of, print_json, say

if TYPE_CHECKING:
    from qa_monitor.demo import DemoData

__all__ = ["demo_data"]

_PASSWORD = "QA_MONITOR_DEMO_PASSWORD"


def demo_data(
    ctx: typer.Context,
    calls: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many calls.")] = 400,
    agents: Annotated[int, typer.Option(min=1, max=500, help="How many agents.")] = 12,
    days: Annotated[int, typer.Option(min=1, max=1000, help="Over how many days until now.")] = 60,
    seed: Annotated[int, typer.Option(help="Another seed makes other weeks.")] = 1,
    audio: Annotated[
        int, typer.Option(min=0, max=1000, help="How many of the newest calls get a sound, a hum.")
    ] = 24,
    users: Annotated[
        bool,
        typer.Option(
            "--users", help=f"Add a user of each role; passwords are printed, or all {_PASSWORD}."
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Replace the invented calls that are there.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Fill the data folder with invented calls, to try the pages; never beside real ones."""
    from qa_monitor.demo import write_demo_data

    with monitor_of(ctx) as monitor:
        made = write_demo_data(
            monitor,
            now=datetime.now(UTC),
            calls=calls,
            agents=agents,
            days=days,
            seed=seed,
            recordings=audio,
            with_users=users,
            password=os.environ.get(_PASSWORD) if users else None,
            replace=yes,
        )
    if as_json:
        print_json(_made_json(made))
        return
    say(
        f"{made.calls} invented calls of {made.agents} agents, {made.alerts} alerts, "
        f"{made.failed} recordings that failed, {made.recordings} with a sound."
    )
    if made.users:
        table = Table("user", "roles", "reaches", "password")
        for line in _made_json(made)["users"]:
            table.add_row(
                line["user_id"], ", ".join(line["roles"]), line["reaches"], line["password"]
            )
        console().print(table)


def _made_json(made: DemoData) -> dict[str, Any]:
    return {
        "calls": made.calls,
        "failed": made.failed,
        "agents": made.agents,
        "alerts": made.alerts,
        "recordings": made.recordings,
        "users": [
            {
                "user_id": user.user_id,
                "roles": sorted(user.roles),
                "reaches": "all teams"
                if user.all_teams
                else ", ".join(sorted(user.teams)) or user.agent_id or "no calls",
                "password": made.passwords[user.user_id],
            }
            for user in made.users
        ],
    }
