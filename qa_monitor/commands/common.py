"""What all commands share: where they print, and the product under the configuration given."""

from __future__ import annotations

import getpass
import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from qa_monitor.monitor import Monitor

__all__ = ["JsonFlag", "account", "console", "monitor_of", "print_json", "print_text", "say"]

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def console(*, stderr: bool = False) -> Console:
    """A console that keeps its tables whole where there is no terminal to fit them to."""
    found = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found = Console(stderr=stderr, highlight=False, width=160)
    return found


def say(message: str) -> None:
    """One message on stderr."""
    console(stderr=True).print(message, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """``value`` as JSON on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_text(text: str) -> None:
    """``text`` on stdout, with a line's end."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def account() -> str:
    """Who runs this; in a container an account may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def monitor_of(ctx: typer.Context) -> Monitor:
    """The product under the configuration that the command line names."""
    from qa_monitor.monitor import Monitor

    return Monitor(ctx.obj)
