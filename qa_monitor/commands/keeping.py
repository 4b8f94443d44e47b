"""``qa-monitor delete``, ``retention`` and ``hold``: what goes, when, and what may not."""

from __future__ import annotations

import getpass
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from qa_monitor.commands.common import JsonFlag, console, monitor_of, print_json, say
from qa_monitor.errors import EXIT_SOME_FAILED, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qa_monitor.retention import Erasure, Retained
    from qa_monitor.store import Hold

__all__ = ["delete", "hold_app", "retention"]

_DAYS = ["%Y-%m-%d"]
_STDIN = "-"

hold_app = typer.Typer(help="Legal holds: what must not be deleted.", no_args_is_help=True)

Caller = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER",
        help="The calls of a caller, by telephone number; - reads it from stdin, so that it is not "
        "in the shell's history. It is hashed, and neither kept nor shown.",
    ),
]


def delete(
    ctx: typer.Context,
    calls: Annotated[
        list[str] | None, typer.Argument(metavar="[CALL]...", help="Call ids.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="All calls of this agent.")] = None,
    caller: Caller = None,
    reason: Annotated[
        str | None,
        typer.Option(help="Why, for the access log; nothing of the call itself."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would go, and delete nothing.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Delete calls for good: database, search, sound, reports and exports in the data folder.

    A call under legal hold stays. The same recording is not scored again unless by score --again.
    """
    from qa_monitor.retention import OUT_OF_REACH

    with monitor_of(ctx) as monitor:
        keeper = monitor.keeper
        chosen = keeper.chosen(calls or (), agent_id=agent, caller_number=_number(caller))
        planned = keeper.plan(chosen)
        if not dry_run and not yes:
            _confirm(planned, as_json=as_json)
        done = planned
        if not dry_run:
            done = keeper.delete(chosen, by=_account(), now=datetime.now(UTC), reason=reason)
    failed = [one.error for one in done if one.error is not None]
    for error in failed:
        say(f"qa-monitor: {error.message}")
    if as_json:
        print_json({"dry_run": dry_run, "calls": [_erasure_json(one) for one in done]})
    elif len(failed) < len(done):
        console().print(_erasure_table(done, is_tried=dry_run))
    if not dry_run and len(failed) < len(done):
        if any(one.files.get("reports") for one in done):
            say("Reports that quoted them are gone; write them anew: qa-monitor report agent --all")
        say(OUT_OF_REACH)
    if failed:
        raise typer.Exit(failed[0].exit_code if len(done) == 1 else EXIT_SOME_FAILED)


def retention(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would go, and delete nothing.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Delete what is older than the retention settings allow; for a daily job.

    Legal holds stand above it. Nothing goes by default but the access log after six years, for
    which HIPAA has documentation kept [45 CFR 164.316(b)(2)(i)].
    """
    with monitor_of(ctx) as monitor:
        done = monitor.keeper.retain(now=datetime.now(UTC), by=_account(), dry_run=dry_run)
    for error in done.errors:
        say(f"qa-monitor: {error.message}")
    if as_json:
        print_json({"dry_run": dry_run, **_retained_json(done)})
    else:
        console().print(_retained_table(done, is_tried=dry_run))
    if done.errors:
        raise typer.Exit(EXIT_SOME_FAILED)


@hold_app.command("add", epilog="Example: qa-monitor hold add --call calls-10423 --reason 'case 7'")
def add(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option(help="Why, for whoever wants to delete.")],
    call: Annotated[str | None, typer.Option(help="This call.")] = None,
    agent: Annotated[str | None, typer.Option(help="Calls of this agent.")] = None,
    caller: Caller = None,
    since: Annotated[
        datetime | None, typer.Option(formats=_DAYS, help="Calls from this day on (UTC).")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_DAYS, help="Calls before this day (UTC).")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Hold calls that fit all that is given; they are neither deleted nor is their sound."""
    since, until = (day.replace(tzinfo=UTC) if day else None for day in (since, until))
    with monitor_of(ctx) as monitor:
        number = _number(caller)
        hold = monitor.store.keeping.add_hold(
            reason=reason,
            by=_account(),
            now=datetime.now(UTC),
            call_id=call,
            agent_id=agent,
            caller_key=None if number is None else monitor.keeper.caller_key(number),
            since=since,
            until=until,
        )
    _tell_hold(hold, f"Hold {hold.hold_id} stands.", as_json=as_json)


@hold_app.command("remove", epilog="Example: qa-monitor hold remove 3 --reason 'case closed'")
def remove(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(help="Its number, as listed.")],
    reason: Annotated[str, typer.Option(help="Why it may go.")],
    as_json: JsonFlag = False,
) -> None:
    """Lift a hold; who did it, when and why is kept."""
    with monitor_of(ctx) as monitor:
        hold = monitor.store.keeping.lift_hold(
            number, reason=reason, by=_account(), now=datetime.now(UTC)
        )
    _tell_hold(hold, f"Hold {hold.hold_id} is lifted.", as_json=as_json)


@hold_app.command("list", epilog="Example: qa-monitor hold list --all")
def list_holds(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Those that were lifted, too.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """The holds that stand."""
    with monitor_of(ctx) as monitor:
        found = monitor.store.keeping.holds(lifted_too=every)
    if as_json:
        print_json([_hold_json(hold) for hold in found])
        return
    if not found:
        say("No hold stands." if not every else "There never was a hold.")
        return
    table = Table("hold", "on", "reason", "set by", "set", "lifted")
    for hold in found:
        lifted = "–" if hold.lifted_at is None else f"{hold.lifted_at:%Y-%m-%d} {hold.lifted_by}"
        table.add_row(
            str(hold.hold_id),
            _held(hold),
            hold.reason,
            hold.set_by,
            f"{hold.set_at:%Y-%m-%d}",
            lifted,
        )
    console().print(table)


# --- what is asked and printed -------------------------------------------------------------------


def _account() -> str:
    """Who runs this; in a container an account may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _number(caller: str | None) -> str | None:
    return sys.stdin.readline().strip() if caller == _STDIN else caller


def _confirm(planned: Sequence[Erasure], *, as_json: bool) -> None:
    """Go on only if somebody says so."""
    going = [one for one in planned if one.error is None and not one.holds]
    if not going:
        return
    if as_json or not sys.stdin.isatty():
        raise UsageError("deleting cannot be undone: add --yes, or look first with --dry-run.")
    console().print(_erasure_table(planned, is_tried=True))
    count = f"{len(going)} call{'' if len(going) == 1 else 's'}"
    typer.confirm(f"Delete {count} for good?", abort=True, err=True)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()) or "–"


def _status(one: Erasure, *, is_tried: bool) -> str:
    if one.error is not None:
        return "not deleted"
    if one.holds:
        return f"stays, hold {', '.join(map(str, one.holds))}"
    if one.was_deleted:
        return "was deleted before"
    return "would be deleted" if is_tried else "deleted"


def _erasure_table(done: Sequence[Erasure], *, is_tried: bool) -> Table:
    table = Table("call", "", "in the database", "in files")
    for one in done:
        table.add_row(
            one.call_id, _status(one, is_tried=is_tried), _counts(one.rows), _counts(one.files)
        )
    return table


def _erasure_json(one: Erasure) -> dict[str, Any]:
    line: dict[str, Any] = {
        "call_id": one.call_id,
        "rows": dict(one.rows),
        "files": dict(one.files),
        "holds": list(one.holds),
        "was_deleted": one.was_deleted,
    }
    if one.error is not None:
        line["error"] = {
            "type": type(one.error).__name__,
            "message": one.error.message,
            "exit_code": one.error.exit_code,
        }
    return line


def _retained_table(done: Retained, *, is_tried: bool) -> Table:
    table = Table("what", "would go" if is_tried else "gone")
    table.add_row("calls", str(len(done.calls)))
    table.add_row("recordings of other calls", str(done.recordings))
    table.add_row("notes of failures", str(done.failures))
    table.add_row("entries of the access log", str(done.log_entries))
    table.add_row("files of earlier deletions", str(done.finished))
    table.add_row("kept by a legal hold", str(len(done.held)))
    return table


def _retained_json(done: Retained) -> dict[str, Any]:
    return {
        "calls": list(done.calls),
        "held": list(done.held),
        "recordings": done.recordings,
        "failures": done.failures,
        "log_entries": done.log_entries,
        "finished": done.finished,
        "errors": [error.message for error in done.errors],
    }


def _tell_hold(hold: Hold, message: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_hold_json(hold))
    else:
        say(message)


def _held(hold: Hold) -> str:
    """What a hold is on, in words."""
    parts = []
    if hold.call_id is not None:
        parts.append(f"call {hold.call_id}")
    if hold.agent_id is not None:
        parts.append(f"agent {hold.agent_id}")
    if hold.caller_key is not None:
        parts.append("one caller")
    if hold.since is not None:
        parts.append(f"from {hold.since:%Y-%m-%d}")
    if hold.until is not None:
        parts.append(f"before {hold.until:%Y-%m-%d}")
    return ", ".join(parts)


def _hold_json(hold: Hold) -> dict[str, Any]:
    return {
        "hold_id": hold.hold_id,
        "call_id": hold.call_id,
        "agent_id": hold.agent_id,
        "is_on_caller": hold.caller_key is not None,
        "since": _instant(hold.since),
        "until": _instant(hold.until),
        "reason": hold.reason,
        "set_by": hold.set_by,
        "set_at": _instant(hold.set_at),
        "lifted_by": hold.lifted_by,
        "lifted_at": _instant(hold.lifted_at),
        "lifted_reason": hold.lifted_reason,
    }


def _instant(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()
