"""Where alerts go: each channel hands over one delivery, or says that it could not.

What leaves by a channel is call id, severity, reason code, time and link, and never words of the
call.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO, runtime_checkable

from qa_monitor.calls import Severity
from qa_monitor.errors import ConfigError, DeliveryError

if TYPE_CHECKING:
    from smtplib import SMTP

    from qa_monitor.store import Delivery

__all__ = [
    "Channel",
    "ChatChannel",
    "ConsoleChannel",
    "DigestingChannel",
    "EmailChannel",
    "JsonLinesChannel",
    "MailServer",
    "WebhookChannel",
    "check_webhook_secret",
    "read_chats",
    "refused",
]


class Channel(Protocol):
    """Where alerts go; ``name`` stands in the outbox, so it stays the same from run to run."""

    @property
    def name(self) -> str:
        """A short code."""

    def send(self, delivery: Delivery) -> None:
        """Hand over; returns when the receiver has it, raises ``DeliveryError`` when not."""


@runtime_checkable
class DigestingChannel(Channel, Protocol):
    """A channel that can tell of several alerts at once."""

    def send_digest(self, waited: Sequence[Delivery]) -> None:
        """Hand over all of them or none, as ``send`` does one."""


def _message(delivery: Delivery, link_base: str) -> dict[str, str | bool | int | None]:
    """All that a channel may carry; ``reminder`` counts how often it was told of before."""
    alert = delivery.alert
    return {
        "alert_id": alert.alert_id,
        "call_id": alert.call_id,
        "severity": alert.severity.value,
        "is_raise": delivery.is_raise,
        "reminder": delivery.step,
        "reason": alert.reason,
        "raised_at": alert.raised_at.astimezone(UTC).isoformat(timespec="seconds"),
        "link": f"{link_base.rstrip('/')}/alerts/{alert.alert_id}" if link_base else None,
    }


def _key(delivery: Delivery) -> str:
    """What is the same when this is told again, and differs from all else that is told."""
    key = f"{delivery.alert.alert_id}-{delivery.alert.severity.value}"
    return f"{key}-{delivery.step}" if delivery.step else key


def _headline(delivery: Delivery) -> str:
    """A line for people, as "reminder, high: emergency escalated late"."""
    alert = delivery.alert
    told = "reminder, " if delivery.step else "raised to " if delivery.is_raise else ""
    return f"{told}{alert.severity.value}: {alert.reason.replace('_', ' ')}"


def _facts(delivery: Delivery, link_base: str) -> str:
    """The same with all else that a channel may carry, in lines."""
    message = _message(delivery, link_base)
    lines = [
        f"Severity: {message['severity']}",
        f"Reason: {str(message['reason']).replace('_', ' ')}",
        f"Call: {message['call_id']}",
        f"Raised: {delivery.alert.raised_at.astimezone(UTC):%d %b %Y, %H:%M} UTC",
    ]
    if message["link"]:
        lines.append(f"Open it: {message['link']}")
    return "\n".join(lines)


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
        told = "reminder, " if delivery.step else "raised to " if delivery.is_raise else ""
        line = (
            f"ALERT {told}{message['severity']}: {message['reason']}, call {message['call_id']}, "
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

    With a ``secret`` (``whsec_`` and base64) it is signed as Standard Webhooks has it: the receiver
    checks ``webhook-signature`` over ``webhook-id``, ``webhook-timestamp`` and the body
    (https://www.standardwebhooks.com, specification of 2023). The id is made of the alert's id and
    severity, and of the reminder's number: the same again is a repetition. It is the value of
    ``Idempotency-Key`` too. Redirects are not followed, so that alerts go to no other address than
    the configured one.
    """

    url: str = field(repr=False)
    link_base: str = ""
    timeout_s: float = 10.0
    secret: str | None = field(default=None, repr=False)
    name: str = "webhook"

    def send(self, delivery: Delivery) -> None:
        """Post; ``DeliveryError`` when there is no receipt within ``timeout_s`` a step."""
        import httpx

        body = json.dumps(_message(delivery, self.link_base))
        try:
            # The answer's body is not wanted, however long it is.
            with httpx.stream(
                "POST",
                self.url,
                content=body.encode(),
                headers=self._headers(_key(delivery), body),
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
            what = _in_words(kind)
        raise refused(delivery, self.name, what, kind)

    def _headers(self, key: str, body: str) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "User-Agent": "qa-monitor",
            "webhook-id": key,
        }
        if self.secret is not None:
            from standardwebhooks import Webhook

            now = datetime.now(UTC).replace(microsecond=0)
            headers["webhook-timestamp"] = str(int(now.timestamp()))
            headers["webhook-signature"] = Webhook(self.secret).sign(key, now, body)
        return headers


def check_webhook_secret(secret: str) -> str:
    """``secret``; ``ConfigError`` when it is none as Standard Webhooks has it."""
    digits = secret.removeprefix("whsec_")
    try:
        is_one = digits != secret and 24 <= len(base64.b64decode(digits, validate=True)) <= 64
    except ValueError:
        is_one = False
    if not is_one:
        raise ConfigError(
            "the secret of the webhook must be whsec_ and 24 to 64 random bytes in base64. Make "
            'one with: python -c "import base64, secrets; '
            "print('whsec_' + base64.b64encode(secrets.token_bytes(32)).decode())\""
        )
    return secret


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where e-mail is handed in, and from whom; ``password`` is sent over a secret connection only.

    ``security`` is ``starttls``, ``tls`` or, for a server on this machine, ``none``.
    """

    host: str
    port: int
    security: str
    sender: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    timeout_s: float = 20.0


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """A message to one ``address``, handed to ``server``.

    The Message-ID is made of what is told, so that a repetition is known as one, and all messages
    of an alert refer to one id, so that they stand together.
    """

    server: MailServer
    address: str
    link_base: str = ""

    @property
    def name(self) -> str:
        """``email:`` and the address."""
        return f"email:{self.address}"

    def send(self, delivery: Delivery) -> None:
        """Hand in one message; ``DeliveryError`` when the server did not take it."""
        headline = _headline(delivery)
        mail = self._mail(
            subject=f"[qa-monitor] {headline} (call {delivery.alert.call_id})",
            message_id=_key(delivery),
            thread=delivery.alert.alert_id,
            text=f"A call needs a supervisor: {headline}.\n\n"
            f"{_facts(delivery, self.link_base)}\n\n{_NO_WORDS}\n",
        )
        if delivery.alert.severity is Severity.CRITICAL:
            mail["Importance"] = "high"
        self._hand_in(mail, delivery)

    def send_digest(self, waited: Sequence[Delivery]) -> None:
        """Hand in one message about all that waited for the end of quiet hours."""
        keys = "\n".join(sorted(_key(delivery) for delivery in waited))
        parts = [
            f"{_headline(delivery)}\n{_facts(delivery, self.link_base)}" for delivery in waited
        ]
        mail = self._mail(
            subject=f"[qa-monitor] {len(waited)} alerts of the quiet hours",
            message_id=f"digest-{hashlib.sha256(keys.encode()).hexdigest()[:32]}",
            thread=None,
            text=f"{len(waited)} calls need a supervisor, the most urgent first.\n\n"
            + "\n\n".join(parts)
            + f"\n\n{_NO_WORDS}\n",
        )
        self._hand_in(mail, waited[0])

    def _mail(
        self, *, subject: str, message_id: str, thread: str | None, text: str
    ) -> EmailMessage:
        domain = self.server.sender.rpartition("@")[2]
        mail = EmailMessage()
        mail["From"] = self.server.sender
        mail["To"] = self.address
        mail["Subject"] = subject
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{message_id}@{domain}>"
        if thread is not None:
            mail["References"] = f"<{thread}@{domain}>"
        # No out-of-office note need answer it (RFC 3834).
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(text)
        return mail

    def _hand_in(self, mail: EmailMessage, delivery: Delivery) -> None:
        import smtplib

        try:
            connection = self._connect()
            try:
                if self.server.username is not None:
                    connection.login(self.server.username, self.server.password or "")
                connection.send_message(mail)
            finally:
                # A server that has taken the message and then hangs up has taken it.
                with suppress(smtplib.SMTPException, OSError):
                    connection.quit()
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            what, kind = f"it refused the address with {code}", f"SMTP {code}"
        except smtplib.SMTPResponseException as error:
            what, kind = f"it answered {error.smtp_code}", f"SMTP {error.smtp_code}"
        except (smtplib.SMTPException, OSError, ValueError) as error:
            kind = type(error).__name__
            what = _in_words(kind)
        else:
            return
        raise refused(delivery, self.name, what, kind)

    def _connect(self) -> SMTP:
        import smtplib
        import ssl

        server = self.server
        if server.security == "none":
            return smtplib.SMTP(server.host, server.port, timeout=server.timeout_s)
        context = ssl.create_default_context(cafile=server.ca_file)
        if server.security == "tls":
            return smtplib.SMTP_SSL(
                server.host, server.port, timeout=server.timeout_s, context=context
            )
        connection = smtplib.SMTP(server.host, server.port, timeout=server.timeout_s)
        try:
            connection.starttls(context=context)
        except BaseException:
            connection.close()
            raise
        return connection


_NO_WORDS = "This message holds nothing of what was said. Sign in to see the call."


@dataclass(frozen=True, slots=True)
class ChatChannel:
    """A message to one chat through Apprise (Slack, Teams, Mattermost, Matrix, ...).

    ``url`` is Apprise's form and holds secrets; it shows in no message. Apprise waits four seconds
    for a connection and for an answer, unless the URL says otherwise.
    """

    chat: str
    url: str = field(repr=False)
    link_base: str = ""

    @property
    def name(self) -> str:
        """``chat:`` and the name of the chat."""
        return f"chat:{self.chat}"

    def send(self, delivery: Delivery) -> None:
        """Hand over; ``DeliveryError`` when the service did not take it."""
        from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

        # What it logs may quote the URL, and with it the secret.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        kinds = {Severity.CRITICAL: NotifyType.FAILURE, Severity.HIGH: NotifyType.WARNING}
        chat = Apprise(asset=AppriseAsset(app_id="qa-monitor", async_mode=False))
        try:
            if not chat.add(self.url):
                what, kind = "its address is none that Apprise knows", "UnknownAddress"
            elif chat.notify(
                title=_headline(delivery),
                body=_facts(delivery, self.link_base),
                notify_type=kinds.get(delivery.alert.severity, NotifyType.INFO),
                body_format=NotifyFormat.TEXT,
            ):
                return
            else:
                what, kind = "it did not answer, or refused", "NotTaken"
        except Exception as error:  # noqa: BLE001 - plugins raise what they like
            kind = type(error).__name__
            what = _in_words(kind)
        raise refused(delivery, self.name, what, kind)


def read_chats(text: str) -> dict[str, str]:
    """The Apprise addresses in ``text`` by their names; comments are lines that begin with #.

    Raises ``ConfigError`` for one without a name, without quoting it.
    """
    words = [
        word
        for line in text.splitlines()
        if not line.lstrip().startswith("#")
        for word in line.split()
    ]
    chats: dict[str, str] = {}
    for number, word in enumerate(words, start=1):
        match = _CHAT.fullmatch(word)
        if match is None or match[1] in chats:
            problem = "has no name" if match is None else "has the name of another"
            raise ConfigError(
                f"address {number} of the chats {problem}. Write each as name=address, "
                "as ops=slack://...; a name is small letters, digits, _ and -."
            )
        chats[match[1]] = match[2]
    return chats


_CHAT = re.compile(r"([a-z0-9][a-z0-9_-]{0,31})=([A-Za-z][A-Za-z0-9+.-]*://\S+)")


def _in_words(kind: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
