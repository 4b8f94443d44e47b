"""Who holds a lease: names of processes, and whether one of this machine still lives."""

from __future__ import annotations

import os
import secrets
import socket

__all__ = ["is_dead", "new_worker"]


def new_worker() -> str:
    """A name for a part of this process that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_dead(worker: str) -> bool:
    """Whether ``worker`` was a process of this machine that is no more."""
    host, _, rest = worker.partition(":")
    process = rest.partition(":")[0]
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, under another account
    return False
