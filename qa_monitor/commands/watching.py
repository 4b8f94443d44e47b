"""``qa-monitor watch``: recordings are scored as they are finished."""

from __future__ import annotations

import json
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qa_monitor.commands.alerting import speed_line
from qa_monitor.commands.common import JsonFlag, monitor_of, say
from qa_monitor.errors import EXIT_SOME_FAILED, DeliveryError, QAMonitorError

if TYPE_CHECKING:
    from types import FrameType

    from qa_monitor.pipeline import Outcome
    from qa_monitor.store import Arrival, FileToAlert
    from qa_monitor.watching import WatchSummary

__all__ = ["watch"]


def watch(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="The folder, in whose subfolders recordings come too.")
    ],
    metadata: Annotated[
        Path | None,
        typer.Option(help="Call records, joined by 'file'; read again when they change."),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(min=0.1, max=3600, help="Seconds between two looks; else watch.every_s."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End when all that is there was tried, as for cron.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Score recordings of a folder as they are finished, until stopped; alerts go out at once.

    The first Ctrl-C (or SIGTERM) ends after the call at work, with code 0; the second at once, with
    130. Started again, it goes on where it was.
    """
    stop = threading.Event()
    teller = _Teller(as_json=as_json)
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]

    def heed(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say("stopping after the call at work; press Ctrl-C once more to stop at once.")

    began_at = datetime.now(UTC)
    with monitor_of(ctx) as monitor:
        try:
            for number, _ in before:
                signal.signal(number, heed)
            summary = monitor.watch(
                folder, metadata=metadata, every_s=every, once=once, observer=teller, stop=stop
            )
        finally:
            for number, handler in before:
                signal.signal(number, handler)
        speed = monitor.store.arrivals.file_to_alert(since=began_at)
    teller.end(summary, speed)
    if once and teller.troubles:
        raise typer.Exit(teller.troubles[-1].exit_code)
    if once and summary.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


class _Teller:
    """Tells what ``watch`` does: a line a call, troubles on stderr, seldom a sign of life."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.troubles: list[QAMonitorError] = []

    def finished(self, outcome: Outcome, arrival: Arrival | None) -> None:
        """A line for a call."""
        if self._as_json:
            sys.stdout.write(json.dumps(_line(outcome, arrival)) + "\n")
            sys.stdout.flush()
        elif outcome.error is None:
            took = ""
            if arrival is not None:
                took = f", {(arrival.saved_at - arrival.arrived_at).total_seconds():.1f} s"
            told = "".join(f", {alert.severity} alert" for alert in outcome.alerts)
            say(f"{outcome.position}: {outcome.call_id}: {outcome.status}{took}{told}")
        if outcome.error is not None:
            say(f"qa-monitor: recording {outcome.position}: {outcome.error.message}")

    def trouble(self, error: QAMonitorError) -> None:
        """What may mend itself."""
        if not isinstance(error, DeliveryError):
            self.troubles.append(error)
        elif not any(isinstance(known, DeliveryError) for known in self.troubles):
            self.troubles.insert(0, error)
        say(f"qa-monitor: {error.message}")

    def alive(self, summary: WatchSummary) -> None:
        """A sign of life."""
        say(f"watching: {_counted(summary)}")

    def end(self, summary: WatchSummary, speed: FileToAlert) -> None:
        """What came of it all."""
        say(f"watched: {_counted(summary)}")
        if speed.calls:
            say(speed_line(speed))


def _counted(summary: WatchSummary) -> str:
    return (
        f"{summary.scored} scored, {summary.present} scored before, {summary.failed} failed, "
        f"{summary.waiting} not finished; {summary.known} recordings known"
    )


def _line(outcome: Outcome, arrival: Arrival | None) -> dict[str, Any]:
    line: dict[str, Any] = {
        "position": outcome.position,
        "call_id": outcome.call_id,
        "status": outcome.status,
        "alerts": [
            {
                "alert_id": alert.alert_id,
                "severity": alert.severity,
                "reason": alert.reason,
            }
            for alert in outcome.alerts
        ],
    }
    if arrival is not None:
        line |= {
            "arrived_at": arrival.arrived_at.isoformat(),
            "saved_at": arrival.saved_at.isoformat(),
            "was_waiting": arrival.was_waiting,
        }
    if outcome.duplicate_of is not None:
        line["duplicate_of"] = outcome.duplicate_of
    if outcome.error is not None:
        line["error"] = {
            "type": type(outcome.error).__name__,
            "message": outcome.error.message,
            "exit_code": outcome.error.exit_code,
        }
    return line
