"""Where alerts go: each channel hands over one delivery, or says that it could not.

What leaves by a channel is call id, severity, reason code, time and link, and never words of the
call.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO
from urllib.parse import quote

from qa_monitor.errors import DeliveryError

if TYPE_CHECKING:
    from qa_monitor.store import Delivery

__all__ = ["Channel", "ConsoleChannel", "JsonLinesChannel", "WebhookChannel", "refused"]


class Channel(Protocol):
    """Where alerts go; ``name`` stands in the outbox, so it stays the same from run to run."""

    @property
    def name(self) -> str:
        """A short code."""

    def send(self, delivery: Delivery) -> None:
        """Hand over; returns when the receiver has it, raises ``DeliveryError`` when not."""


def _message(delivery: Delivery, link_base: str) -> dict[str, str | bool | None]:
    """All that a channel may carry."""
    alert = delivery.alert
    link = None
    if link_base:
        separator = "" if link_base.endswith(("/", "=", "#")) else "/"
        link = f"{link_base}{separator}{quote(alert.call_id, safe='')}"
    return {
        "alert_id": alert.alert_id,
        "call_id": alert.call_id,
        "severity": alert.severity.value,
        "is_raise": delivery.is_raise,
        "reason": alert.reason,
        "raised_at": alert.raised_at.astimezone(UTC).isoformat(timespec="seconds"),
        "link": link,
    }


def refused(delivery: Delivery, channel: str, what: str, kind: str) -> DeliveryError:
    """The error of a channel that did not take ``delivery``; ``what`` says why."""
    return DeliveryError(
        f"call {delivery.alert.call_id}: the {channel} channel did not take the alert ({what}). "
        "It stays queued and is tried again later; check the channel.",
        call_id=delivery.alert.call_id,
        kind=kind,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleChannel:
    """One line an alert, on stderr or on ``stream``."""

    link_base: str = ""
    stream: TextIO | None = None
    name: str = "console"

    def send(self, delivery: Delivery) -> None:
        """Print; ``DeliveryError`` when the stream is closed."""
        message = _message(delivery, self.link_base)
        raised = "raised to " if delivery.is_raise else ""
        line = (
            f"ALERT {raised}{message['severity']}: {message['reason']}, call {message['call_id']}, "
            f"{message['raised_at']} {message['link'] or ''}"
        )
        problem = None
        try:
            print(line.rstrip(), file=self.stream or sys.stderr, flush=True)
        except (OSError, ValueError) as error:
            problem = refused(delivery, self.name, "it is closed", type(error).__name__)
        if problem:
            raise problem


@dataclass(frozen=True, slots=True)
class JsonLinesChannel:
    """One JSON object a line, appended to ``path`` and on disk when ``send`` returns.

    Several processes may append to the same file. The file is made for its owner only.
    """

    path: Path
    link_base: str = ""
    name: str = "jsonl"

    def send(self, delivery: Delivery) -> None:
        """Append; ``DeliveryError`` when it cannot, with the file as it was."""
        line = json.dumps(_message(delivery, self.link_base)).encode() + b"\n"
        problem = None
        try:
            _append(self.path, line)
        except OSError as error:
            what = error.strerror or "it cannot be written"
            problem = refused(delivery, self.name, what, type(error).__name__)
        if problem:
            raise problem


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        if size:
            # A line that a crash cut short must not run into this one.
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(size)
            raise


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """A POST of one JSON object to ``url``; an answer of 200 to 299 is a receipt.

    The header ``Idempotency-Key`` is the alert's id and severity: the same again is a repetition,
    and a raise is not. Redirects are not followed, so that alerts go to no other address than the
    configured one.
    """

    url: str = field(repr=False)
    link_base: str = ""
    timeout_s: float = 10.0
    name: str = "webhook"

    def send(self, delivery: Delivery) -> None:
        """Post; ``DeliveryError`` when there is no receipt within ``timeout_s`` a step."""
        import httpx

        alert = delivery.alert
        headers = {
            "Idempotency-Key": f"{alert.alert_id}-{alert.severity.value}",
            "User-Agent": "qa-monitor",
        }
        try:
            # The answer's body is not wanted, however long it is.
            with httpx.stream(
                "POST",
                self.url,
                json=_message(delivery, self.link_base),
                headers=headers,
                timeout=self.timeout_s,
                follow_redirects=False,
            ) as response:
                status = response.status_code
            if 200 <= status < 300:
                return
            what = f"it answered {status}"
            if 300 <= status < 400:
                what += ", a redirect, which is not followed"
            kind = f"HTTP {status}"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            kind = type(error).__name__
            what = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
        raise refused(delivery, self.name, what, kind)
