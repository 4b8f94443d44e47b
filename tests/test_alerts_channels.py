"""Channels to people: e-mail, signed webhooks, chats; against real receivers."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from invented_records import NOW, make_record
from standardwebhooks import Webhook, WebhookVerificationError

from qa_monitor.alerts import (
    ChatChannel,
    EmailChannel,
    MailServer,
    Policy,
    WebhookChannel,
    check_webhook_secret,
    deliver_pending,
    raise_alerts,
    read_chats,
)
from qa_monitor.alerts.channels import DigestingChannel
from qa_monitor.config import Config
from qa_monitor.errors import ConfigError, DeliveryError
from qa_monitor.monitor import Monitor
from qa_monitor.store import Delivery, Route, Store, open_store

# Apprise imports a module of the standard library that is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")

POLICY = Policy.load()
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
BASE = "https://qa.example.org"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'qa-monitor.sqlite'}") as store:
        yield store


def delivery_to(
    store: Store, channel: str, *, call_id: str = "calls-1", step: int = 0, text: str = "zebrafish"
) -> Delivery:
    """What ``channel`` is to be told of a missed emergency, in which ``text`` was said."""
    record = make_record(call_id, text=f"{text} a terrible pain")
    route = Route(channel=channel, step=step)
    store.save_record(record, raise_alerts(record, POLICY, now=NOW), now=NOW, channels=(route,))
    pending = store.pending_deliveries(channel, now=NOW)
    return next(delivery for delivery in pending if delivery.alert.call_id == call_id)


# --- e-mail --------------------------------------------------------------------------------------


@dataclass
class Post:
    """A real mail server: what it took, and what it answers."""

    answer: str = "250 taken"
    letters: list[tuple[EmailMessage, Envelope]] = field(default_factory=list)
    was_secret: list[bool] = field(default_factory=list)
    signed_in: list[bytes] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        if not self.answer.startswith("250"):
            return self.answer
        letter = email.message_from_bytes(
            envelope.original_content or b"", policy=email.policy.default
        )
        assert isinstance(letter, EmailMessage)
        self.letters.append((letter, envelope))
        self.was_secret.append(session.ssl is not None)
        return self.answer

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 known"

    def check(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.signed_in.append(data.login)
        return AuthResult(success=data.password == b"correct horse", handled=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@dataclass
class Office:
    """A running mail server and how to reach it."""

    post: Post
    port: int
    ca_file: Path
    security: str = "starttls"

    def channel(self, address: str = "sam@example.org", **changed: Any) -> EmailChannel:
        settings = {"security": self.security, "ca_file": self.ca_file, **changed}
        server = MailServer(
            host="127.0.0.1",
            port=self.port,
            sender="qa-monitor@example.org",
            timeout_s=5,
            **settings,
        )
        return EmailChannel(server, address, link_base=BASE)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def office(certificate: tuple[Path, Path]) -> Iterator[Office]:
    """A mail server that takes mail after STARTTLS only."""
    post = Post()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    port = free_port()
    controller = Controller(
        post,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=post.check,
        auth_require_tls=True,
    )
    controller.start()
    yield Office(post, port, certificate[0])
    controller.stop()


@pytest.fixture
def plain_office(certificate: tuple[Path, Path]) -> Iterator[Office]:
    """A mail server without TLS."""
    post = Post()
    port = free_port()
    controller = Controller(post, hostname="127.0.0.1", port=port)
    controller.start()
    yield Office(post, port, certificate[0], "none")
    controller.stop()


def test_an_email_goes_by_tls_and_carries_codes_time_and_link_and_no_words(
    store: Store, office: Office
) -> None:
    channel = office.channel()
    delivery = delivery_to(store, channel.name)
    channel.send(delivery)
    ((letter, envelope),) = office.post.letters
    assert office.post.was_secret == [True]
    assert envelope.rcpt_tos == ["sam@example.org"]
    assert letter["Subject"] == "[qa-monitor] critical: emergency not escalated (call calls-1)"
    body = letter.get_content()
    assert f"{BASE}/alerts/{delivery.alert.alert_id}" in body
    assert "02 Mar 2026, 09:30 UTC" in body
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Importance"] == "high"
    assert "zebrafish" not in letter.as_string()


def test_a_repeated_email_has_the_same_id_and_a_reminder_stands_in_the_same_thread(
    store: Store, office: Office
) -> None:
    channel = office.channel()
    first = delivery_to(store, channel.name)
    channel.send(first)
    channel.send(first)
    reminder = delivery_to(store, channel.name, call_id="calls-2", step=1)
    channel.send(reminder)
    letters = [letter for letter, _ in office.post.letters]
    assert letters[0]["Message-ID"] == letters[1]["Message-ID"]
    assert letters[0]["Message-ID"] == f"<{first.alert.alert_id}-critical@example.org>"
    assert letters[2]["Message-ID"] == f"<{reminder.alert.alert_id}-critical-1@example.org>"
    assert letters[2]["References"] == f"<{reminder.alert.alert_id}@example.org>"
    assert "reminder, critical" in letters[2]["Subject"]


def test_a_password_is_given_over_tls_only_and_a_wrong_one_keeps_the_alert(
    store: Store, office: Office
) -> None:
    right = office.channel(username="qa", password="correct horse")
    delivery = delivery_to(store, right.name)
    right.send(delivery)
    assert office.post.signed_in == [b"qa"]
    wrong = office.channel(username="qa", password="battery staple")
    with pytest.raises(DeliveryError) as caught:
        wrong.send(delivery)
    assert caught.value.kind == "SMTP 535"
    assert "battery" not in f"{caught.value} {wrong!r}"
    assert caught.value.__context__ is None


def test_a_server_that_offers_no_tls_gets_neither_password_nor_alert(
    store: Store, plain_office: Office
) -> None:
    channel = plain_office.channel(security="starttls", username="qa", password="correct horse")
    with pytest.raises(DeliveryError) as caught:
        channel.send(delivery_to(store, channel.name))
    assert caught.value.kind == "SMTPNotSupportedError"
    assert plain_office.post.letters == []
    assert plain_office.post.signed_in == []


def test_a_server_whose_certificate_is_not_trusted_gets_nothing(
    store: Store, office: Office
) -> None:
    channel = office.channel(ca_file=None)
    with pytest.raises(DeliveryError) as caught:
        channel.send(delivery_to(store, channel.name))
    assert caught.value.kind == "SSLCertVerificationError"
    assert office.post.letters == []


def test_a_server_on_this_machine_may_do_without_tls(store: Store, plain_office: Office) -> None:
    channel = plain_office.channel()
    channel.send(delivery_to(store, channel.name))
    assert len(plain_office.post.letters) == 1


def test_one_address_that_is_refused_keeps_no_other_from_its_email(
    store: Store, plain_office: Office
) -> None:
    channels = [plain_office.channel("nobody@example.org"), plain_office.channel()]
    record = make_record()
    names = tuple(channel.name for channel in channels)
    store.save_record(record, raise_alerts(record, POLICY, now=NOW), now=NOW, channels=names)
    report = deliver_pending(store, channels, now=NOW)
    assert (report.delivered, report.waiting) == (1, 1)
    assert [problem.kind for problem in report.problems] == ["SMTP 550"]
    assert deliver_pending(store, channels, now=NOW + timedelta(hours=1)).delivered == 0
    assert len(plain_office.post.letters) == 1


def test_a_mail_server_that_was_down_gets_its_alerts_when_it_is_up(
    store: Store, plain_office: Office
) -> None:
    channel = plain_office.channel()
    down = EmailChannel(
        MailServer(host="127.0.0.1", port=1, security="none", sender="qa@example.org"),
        channel.address,
    )
    delivery_to(store, channel.name)
    (problem,) = deliver_pending(store, [down], now=NOW).problems
    assert problem.kind == "ConnectionRefusedError"
    plain_office.post.answer = "451 come again later"
    later = NOW + timedelta(hours=1)
    (problem,) = deliver_pending(store, [channel], now=later).problems
    assert problem.kind == "SMTP 451"
    plain_office.post.answer = "250 taken"
    assert deliver_pending(store, [channel], now=later + timedelta(hours=1)).delivered == 1
    assert len(plain_office.post.letters) == 1


def test_several_alerts_stand_in_one_email_if_asked_with_an_id_of_their_own(
    store: Store, plain_office: Office
) -> None:
    channel = plain_office.channel()
    assert isinstance(channel, DigestingChannel)
    waited = [delivery_to(store, channel.name, call_id=f"calls-{n}") for n in range(3)]
    channel.send_digest(waited)
    channel.send_digest(waited[::-1])
    first, second = (letter for letter, _ in plain_office.post.letters)
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Subject"] == "[qa-monitor] 3 alerts of the quiet hours"
    for delivery in waited:
        assert f"{BASE}/alerts/{delivery.alert.alert_id}" in first.get_content()
    assert "zebrafish" not in first.as_string()


# --- webhooks and chats --------------------------------------------------------------------------


@dataclass
class Receiver:
    """A real HTTP server that remembers what it got."""

    status: int = 204
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    def serve(self) -> ThreadingHTTPServer:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers.items()), body))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Not on stderr."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    server = receiver.serve()
    yield receiver
    server.shutdown()
    server.server_close()


def test_a_webhook_is_signed_so_that_the_library_of_the_standard_verifies_it(
    store: Store, receiver: Receiver
) -> None:
    channel = WebhookChannel(f"http://127.0.0.1:{receiver.port}/", secret=SECRET)
    delivery = delivery_to(store, channel.name)
    channel.send(delivery)
    channel.send(delivery)
    (headers, body), (again, _) = receiver.got
    message = Webhook(SECRET).verify(body, headers)
    assert message["alert_id"] == delivery.alert.alert_id
    assert headers["webhook-id"] == again["webhook-id"] == headers["Idempotency-Key"]
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"critical", b"low"), headers)
    other = "whsec_" + base64.b64encode(b"t" * 32).decode()
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, {**headers, "webhook-id": "another"})


def test_without_a_secret_a_webhook_is_not_signed(store: Store, receiver: Receiver) -> None:
    channel = WebhookChannel(f"http://127.0.0.1:{receiver.port}/")
    channel.send(delivery_to(store, channel.name))
    ((headers, _),) = receiver.got
    assert "webhook-signature" not in headers
    assert "webhook-id" in headers


def test_a_reminder_has_an_id_of_its_own(store: Store, receiver: Receiver) -> None:
    channel = WebhookChannel(f"http://127.0.0.1:{receiver.port}/", secret=SECRET)
    channel.send(delivery_to(store, channel.name, step=2))
    ((headers, body),) = receiver.got
    assert headers["webhook-id"].endswith("-critical-2")
    assert Webhook(SECRET).verify(body, headers)["reminder"] == 2


@pytest.mark.parametrize("secret", ["whsec_", "whsec_short", "plain", "whsec_" + "!" * 44])
def test_a_secret_that_is_none_is_told_without_showing_it(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_webhook_secret(secret)
    assert secret not in caught.value.message or secret == "whsec_"


def test_a_chat_gets_its_message_through_apprise(store: Store, receiver: Receiver) -> None:
    chat = ChatChannel("ops", f"json://127.0.0.1:{receiver.port}/", link_base=BASE)
    delivery = delivery_to(store, chat.name)
    chat.send(delivery)
    ((_, body),) = receiver.got
    message = json.loads(body)
    assert message["title"] == "critical: emergency not escalated"
    assert f"Open it: {BASE}/alerts/{delivery.alert.alert_id}" in message["message"]
    assert "zebrafish" not in body.decode()


@pytest.mark.parametrize("status", [500, 403])
def test_a_chat_that_refuses_keeps_the_alert_and_its_address_shows_nowhere(
    store: Store, receiver: Receiver, capfd: pytest.CaptureFixture[str], status: int
) -> None:
    receiver.status = status
    chat = ChatChannel("ops", f"json://user:token-77@127.0.0.1:{receiver.port}/")
    delivery_to(store, chat.name)
    (problem,) = deliver_pending(store, [chat], now=NOW).problems
    printed = "".join(capfd.readouterr())
    assert "token-77" not in f"{problem.message} {chat!r} {printed}"
    assert printed == ""
    assert store.waiting_deliveries([chat.name]) == 1
    receiver.status = 200
    assert deliver_pending(store, [chat], now=NOW, retry_now=True).delivered == 1


def test_an_address_that_apprise_does_not_know_is_told_without_showing_it(store: Store) -> None:
    chat = ChatChannel("ops", "nosuchservice://token-77")
    with pytest.raises(DeliveryError, match="none that Apprise knows") as caught:
        chat.send(delivery_to(store, chat.name))
    assert "token-77" not in caught.value.message


def test_chats_are_read_by_their_names() -> None:
    text = "# our chats\nops=slack://a/b/c\n  lead=json://h/?x=1  two=json://h\n\n"
    assert read_chats(text) == {
        "ops": "slack://a/b/c",
        "lead": "json://h/?x=1",
        "two": "json://h",
    }


@pytest.mark.parametrize("text", ["slack://token-77", "a=json://h a=json://token-77", "A=x://y"])
def test_an_address_without_a_name_of_its_own_is_told_by_its_number(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_chats(text)
    assert "token-77" not in caught.value.message


# --- from the configuration ----------------------------------------------------------------------


def monitor_of(tmp_path: Path, **sections: Any) -> Monitor:
    return Monitor(Config.model_validate({"data": {"folder": tmp_path / "data"}, **sections}))


def test_channels_are_made_of_settings_and_secrets_of_the_environment_or_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    monkeypatch.setenv("QA_MONITOR_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("QA_MONITOR_CHAT_URLS", "ops=json://h/ lead=json://l/")
    monitor = monitor_of(
        tmp_path,
        alerts={
            "webhook_url": "https://example.org/hook",
            "escalation": [{"after_min": 15, "chat": ["lead"], "email": ["head@example.org"]}],
        },
        email={
            "host": "mail.example.org",
            "sender": "qa@example.org",
            "username": "qa",
            "password_file": tmp_path / "password",
            "to": ["sam@example.org"],
        },
    )
    names = [channel.name for channel in monitor.channels]
    assert names == [
        "console",
        "webhook",
        "email:head@example.org",
        "email:sam@example.org",
        "chat:lead",
        "chat:ops",
    ]
    at_once = {route.channel for route in monitor.routes if not route.step}
    assert at_once == {"console", "webhook", "email:sam@example.org", "chat:ops"}
    shown = f"{monitor.channels!r} {monitor.config!r}"
    for secret in ("correct horse", SECRET, "json://"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("sections", "fault"),
    [
        (
            {"email": {"host": "mail.example", "to": ["a@b"], "sender": "q@b", "username": "q"}},
            "no password",
        ),
        ({"alerts": {"on_call": [{"team": "north", "email": ["a@b"]}]}}, "email.host"),
        (
            {"alerts": {"escalation": [{"after_min": 5, "chat": ["lead"]}]}},
            "no address for the chat",
        ),
        ({"chat": {"urls_file": "/nowhere/chats"}}, "cannot be read"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_sent(
    tmp_path: Path, sections: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        _ = monitor_of(tmp_path, **sections).channels


@pytest.mark.parametrize(
    ("section", "named"),
    [
        (
            {"email": {"host": "mail.example.org", "sender": "a@b", "security": "none"}},
            "this machine",
        ),
        ({"email": {"host": "mail.example.org"}}, "sender"),
        ({"email": {"to": ["not an address"]}}, "email"),
        ({"alerts": {"escalation": [{"after_min": 15}]}}, "somebody"),
        ({"alerts": {"quiet_hours": {"email": "22-07"}}}, "22:00-07:00"),
        ({"alerts": {"quiet_hours": {"email": "22:00-07:00 Mars/Olympus"}}}, "IANA"),
        ({"alerts": {"from_severity": {"email": "urgent"}}}, "from_severity"),
        ({"alerts": {"from_severity": {"pager": "high"}}}, "from_severity"),
        ({"alerts": {"link_base": "qa.example.org"}}, "link_base"),
    ],
)
def test_settings_that_cannot_be_are_refused(section: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Config.model_validate(section)
