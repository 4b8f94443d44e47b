"""``qa-monitor labelled-calls``: what reviewers found, as a file for ``evaluate`` or training."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from qa_monitor.commands.common import JsonFlag, account, monitor_of, print_json, say

__all__ = ["labelled_calls"]


class Readings(StrEnum):
    """Which readings count; the names are those of ``reviewing.Basis``."""

    ALL = "all"
    BLIND = "blind"
    RANDOM = "random"


class Purpose(StrEnum):
    """What the file is for; the names are those of ``reviewing.LabelledFormat``."""

    EVALUATION = "evaluation"
    TRAINING = "training"


def labelled_calls(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to write, JSON Lines.")],
    basis: Annotated[
        Readings,
        typer.Option(help="All finished reviews, blind ones, or those of the sample."),
    ] = Readings.ALL,
    purpose: Annotated[
        Purpose, typer.Option("--for", help="For evaluate, or for training.")
    ] = Purpose.EVALUATION,
    as_json: JsonFlag = False,
) -> None:
    """Write what reviewers found as labelled calls; redacted text only."""
    from qa_monitor.monitor import write_private
    from qa_monitor.reviewing import Basis, LabelledFormat, export_labelled
    from qa_monitor.store import Access, Scope

    with monitor_of(ctx) as monitor:
        found = export_labelled(
            monitor.store,
            Scope(all_calls=True),
            basis=Basis(basis),
            purpose=LabelledFormat(purpose),
        )
        noted = Access(
            at=datetime.now(UTC), user_id=account(), via="command", action="agreement.export"
        )
        monitor.store.access_log.note([noted])
        write_private(file, found.text())
    if as_json:
        print_json(
            {
                "calls": len(found.lines),
                "incomplete": found.incomplete,
                "disagreeing": found.disagreeing,
            }
        )
        return
    say(
        f"{len(found.lines)} labelled calls. Left out: {found.incomplete} in which reviewers left "
        f"something unsaid, {found.disagreeing} of which they say different things."
    )
