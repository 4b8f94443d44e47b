"""``qa-monitor alerts``: what was raised, who was told, and what people made of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from qa_monitor.commands.common import JsonFlag, account, console, monitor_of, print_json, say
from qa_monitor.errors import DeliveryError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qa_monitor.store import AlertStory, FileToAlert, StoredAlert

__all__ = ["alert_json", "alert_table", "alerts", "speed_line"]


def alerts(
    ctx: typer.Context,
    open_only: Annotated[
        bool, typer.Option("--open", help="Only those nobody has acted on.")
    ] = False,
    acknowledge: Annotated[
        str | None, typer.Option(metavar="ALERT", help="Say that you see to an alert.")
    ] = None,
    resolve: Annotated[
        str | None, typer.Option(metavar="ALERT", help="Close an alert as dealt with.")
    ] = None,
    false_alarm: Annotated[
        str | None, typer.Option(metavar="ALERT", help="Close an alert that was none.")
    ] = None,
    reopen: Annotated[
        str | None, typer.Option(metavar="ALERT", help="Open an alert again, reminders too.")
    ] = None,
    note: Annotated[
        str | None, typer.Option(help="What to note with that; it is shown to colleagues only.")
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(metavar="ALERT", help="One alert: who did what and who was told, when."),
    ] = None,
    deliver: Annotated[
        bool, typer.Option("--deliver", help="Try again now to hand over what is queued.")
    ] = False,
    times: Annotated[
        bool, typer.Option("--times", help="How long it takes from a finished file to its alert.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List alerts, urgent and unescalated calls first, and act on them."""
    wanted = {
        "acknowledged": acknowledge,
        "resolved": resolve,
        "false_alarm": false_alarm,
        "open": reopen,
    }
    changes = [(state, alert_id) for state, alert_id in wanted.items() if alert_id is not None]
    if len(changes) > 1:
        raise UsageError("do one thing at a time with one alert.")
    if note is not None and not changes:
        raise UsageError("a note goes with --acknowledge, --resolve, --false-alarm or --reopen.")
    with monitor_of(ctx) as monitor:
        alerting = monitor.store.alerting
        for state, alert_id in changes:
            alerting.set_state(alert_id, state, by=account(), now=datetime.now(UTC), note=note)
        problems = monitor.deliver_alerts(retry_now=True).problems if deliver else ()
        for problem in problems:
            say(f"qa-monitor: {problem.message}")
        speed = monitor.store.arrivals.file_to_alert()
        if history is not None:
            story = alerting.alert(history)
            _show(
                as_json,
                lambda: _story_json(story),
                lambda: console().print(_history_table(story)),
            )
        elif times:
            _show(as_json, lambda: _speed_json(speed), lambda: say(speed_line(speed)))
        else:
            found = monitor.alerts(open_only=open_only)
            if as_json:
                print_json([alert_json(stored) for stored in found])
            elif found:
                console().print(alert_table(found))
            else:
                say("No alerts." if not open_only else "No open alerts.")
            if found and not as_json and speed.alerts:
                say(speed_line(speed))
    if problems:
        raise typer.Exit(DeliveryError.exit_code)


def alert_table(found: Iterable[StoredAlert]) -> Table:
    """A line for each alert."""
    table = Table("alert", "severity", "call", "reason", "state", title="Alerts")
    table.title_justify = "left"
    for stored in found:
        alert = stored.alert
        table.add_row(
            alert.alert_id,
            alert.severity,
            alert.call_id,
            alert.reason.replace("_", " "),
            stored.state.replace("_", " "),
        )
    return table


def alert_json(stored: StoredAlert) -> dict[str, Any]:
    """An alert as JSON has it, with who was told of it."""
    alert = stored.alert
    return {
        "alert_id": alert.alert_id,
        "call_id": alert.call_id,
        "severity": alert.severity,
        "reason": alert.reason,
        "evidence": [
            {"turn_index": place.turn_index, "start": place.start, "end": place.end}
            for place in alert.evidence
        ],
        "raised_at": alert.raised_at.isoformat(),
        "state": stored.state,
        "deliveries": [
            {
                "channel": delivery.channel,
                "severity": delivery.severity,
                "reminder": delivery.step,
                "delivered_at": delivery.delivered_at and delivery.delivered_at.isoformat(),
                "attempts": delivery.attempts,
                "last_error": delivery.last_error,
            }
            for delivery in stored.deliveries
        ],
    }


def _show(as_json: bool, value: Any, show: Any) -> None:
    if as_json:
        print_json(value())
    else:
        show()


def _moments(story: AlertStory) -> list[tuple[datetime, str, str, str | None]]:
    """When, who, what and the note of everything that happened to an alert, in order."""
    moments = [(event.set_at, event.set_by, str(event.state), event.note) for event in story.events]
    for told in story.deliveries:
        said = f"reminded ({told.severity})" if told.step else f"told ({told.severity})"
        if told.delivered_at is not None:
            moments.append((told.delivered_at, told.channel, said, None))
        elif told.last_error is not None:
            note = f"not yet: {told.last_error}, {told.attempts} tries"
            moments.append((told.next_attempt_at, told.channel, said, note))
    return sorted(moments, key=lambda moment: moment[0])


def _history_table(story: AlertStory) -> Table:
    alert = story.listed.alert
    table = Table("when (UTC)", "who", "what", "note", title_justify="left")
    table.title = f"{alert.severity}: {alert.reason.replace('_', ' ')}, call {alert.call_id}"
    for when, who, what, note in _moments(story):
        table.add_row(f"{when:%Y-%m-%d %H:%M:%S}", who, what.replace("_", " "), note or "")
    return table


def _story_json(story: AlertStory) -> dict[str, Any]:
    listed = story.listed
    return {
        "alert_id": listed.alert.alert_id,
        "call_id": listed.alert.call_id,
        "severity": listed.alert.severity,
        "reason": listed.alert.reason,
        "state": listed.state,
        "history": [
            {"at": when.isoformat(), "who": who, "what": what, "note": note}
            for when, who, what, note in _moments(story)
        ],
    }


def _speed_json(speed: FileToAlert) -> dict[str, Any]:
    return {
        "calls": speed.calls,
        "file_to_record_median_s": speed.to_record_median_s,
        "file_to_record_p95_s": speed.to_record_p95_s,
        "alerts": speed.alerts,
        "file_to_alert_median_s": speed.to_alert_median_s,
        "file_to_alert_p95_s": speed.to_alert_p95_s,
        "was_waiting": speed.was_waiting,
    }


def speed_line(speed: FileToAlert) -> str:
    """How quick it was, in a line."""
    if not speed.calls:
        return "No recording has come yet while its folder was watched."
    line = (
        f"from file to record: {speed.to_record_median_s:.1f} s (median), "
        f"{speed.to_record_p95_s:.1f} s (95th percentile) over {speed.calls} calls"
    )
    if speed.alerts:
        line += (
            f"; from file to alert: {speed.to_alert_median_s:.1f} s, {speed.to_alert_p95_s:.1f} s "
            f"over {speed.alerts} alerts"
        )
    return line
