"""Alerts: who is told of which call, once and at least once, and never what was said."""

from __future__ import annotations

import io
import json
import os
import resource
import socket
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from invented_records import NOW, any_record, make_finding, make_record

from qa_monitor.alerts import (
    Channel,
    ConsoleChannel,
    JsonLinesChannel,
    Policy,
    WebhookChannel,
    deliver_pending,
    raise_alerts,
)
from qa_monitor.calls import CallRecord, CallType, EscalationOutcome, Evidence
from qa_monitor.errors import ConfigError, DeliveryError
from qa_monitor.scoring.labels import LABELS
from qa_monitor.store import Delivery, Store, open_store

MINUTE = timedelta(minutes=1)
Outcome = EscalationOutcome
SHIPPED = Policy.load(labels=LABELS)


def told(record: CallRecord, policy: Policy = SHIPPED) -> list[tuple[str, str]]:
    return [(alert.severity.value, alert.reason) for alert in raise_alerts(record, policy, now=NOW)]


def policy_of(tmp_path: Path, content: str) -> Policy:
    file = tmp_path / "policy.toml"
    file.write_text(f'version = "1"\n{content}', encoding="utf-8")
    return Policy.load(file, labels=LABELS)


# --- the policy that ships -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("urgency", "escalated", "expected"),
    [
        (3, Outcome.MISSED, [("critical", "emergency_not_escalated")]),
        (3, Outcome.LATE_OR_PARTIAL, [("high", "emergency_escalated_late")]),
        (3, None, [("high", "emergency_outcome_unclear")]),
        (3, Outcome.PROPERLY, [("low", "emergency_escalated")]),
        (2, Outcome.MISSED, [("high", "urgent_not_escalated")]),
        (2, Outcome.LATE_OR_PARTIAL, [("medium", "urgent_escalated_late")]),
        (2, Outcome.PROPERLY, [("low", "urgent_escalated")]),
        (1, Outcome.MISSED, [("low", "same_day_need_missed")]),
        (1, Outcome.PROPERLY, []),
        (0, Outcome.NOT_NEEDED, []),
        (0, Outcome.UNNEEDED, []),
    ],
)
def test_the_policy_that_ships_ranks_urgency_by_what_the_agent_did(
    urgency: float, escalated: Outcome | None, expected: list[tuple[str, str]]
) -> None:
    record = make_record(urgency=urgency, escalated=escalated, urgency_probability=0.1)
    assert told(record) == expected


@pytest.mark.parametrize("urgency", [0, 2, None])
def test_a_likely_emergency_that_was_not_decided_is_told_of(urgency: float | None) -> None:
    record = make_record(
        urgency=urgency,
        urgency_probability=0.6,
        needs_review=True,
        escalated=Outcome.LATE_OR_PARTIAL,
        findings=(),
    )
    assert ("high", "possible_emergency") in told(record)
    less_likely = make_record(
        urgency=urgency, urgency_probability=0.3, needs_review=True, escalated=None, findings=()
    )
    assert ("medium", "possible_emergency") in told(less_likely)


def test_an_uncertain_routine_call_is_not_told_of() -> None:
    record = make_record(
        urgency=0,
        urgency_probability=0.02,
        needs_review=True,
        escalated=Outcome.NOT_NEEDED,
        findings=(),
    )
    assert told(record) == []


def test_words_of_a_red_flag_in_a_routine_call_for_review_are_told_of() -> None:
    record = make_record(
        urgency=0, urgency_probability=0.02, needs_review=True, escalated=Outcome.NOT_NEEDED
    )
    assert told(record) == [("medium", "red_flag_not_urgent")]


def test_a_red_flag_in_a_call_without_a_level_is_told_of() -> None:
    record = make_record(urgency=None, urgency_probability=None, escalated=None)
    assert told(record) == [("medium", "red_flag_urgency_unclear")]


def test_an_emergency_escalated_after_minutes_counts_more_than_one_at_once() -> None:
    slow = make_record(escalated=Outcome.PROPERLY, escalation_delay_s=180)
    assert told(slow) == [("medium", "emergency_escalated")]


# --- raising -------------------------------------------------------------------------------------


def test_the_same_call_and_reason_give_the_same_id_however_often_it_is_scored() -> None:
    (first,) = raise_alerts(make_record(urgency_probability=0.9), SHIPPED, now=NOW)
    (again,) = raise_alerts(make_record(urgency_probability=0.8), SHIPPED, now=NOW + MINUTE)
    (other,) = raise_alerts(make_record("calls-2"), SHIPPED, now=NOW)
    assert first.alert_id == again.alert_id != other.alert_id
    assert (first.call_id, first.raised_at) == ("calls-1", NOW)


def test_of_rules_with_one_reason_the_first_that_holds_counts(tmp_path: Path) -> None:
    policy = policy_of(
        tmp_path,
        """
        rules = [
            { severity = "low", reason = "nobody", when = { urgency = [0] } },
            { severity = "low", reason = "urgent", when = { urgency = [2, 3] } },
            { severity = "critical", reason = "urgent", when = { urgency = [3] } },
            { severity = "high", reason = "missed", when = { escalated = ["missed"] } },
        ]
        """,
    )
    assert told(make_record(), policy) == [("high", "missed"), ("low", "urgent")]


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("call_types = ['billing', 'emergency']", True),
        ("call_types = ['billing']", False),
        ("findings = ['red_flag:stroke', 'red_flag:chest_pain']", True),
        ("findings = ['red_flag:*']", True),
        ("findings = ['red_flag:stroke']", False),
        ("urgency_probability_at_least = 0.97", True),
        ("urgency_probability_at_least = 0.98", False),
        ("escalation_delay_s_at_least = 0", False),
        ("needs_review = false", True),
        ("needs_review = true", False),
        ("urgency = [3]\nescalated = ['properly']", False),
    ],
)
def test_every_condition_of_a_rule_must_hold(tmp_path: Path, when: str, holds: bool) -> None:
    policy = policy_of(
        tmp_path, f'[[rules]]\nseverity = "low"\nreason = "told"\n[rules.when]\n{when}'
    )
    assert told(make_record(call_type=CallType.EMERGENCY), policy) == (
        [("low", "told")] if holds else []
    )


def test_evidence_is_what_urgency_rests_on_in_the_order_of_the_call() -> None:
    late, early = (Evidence(turn_index=0, start=start, end=start + 4) for start in (30, 3))
    elsewhere = Evidence(turn_index=0, start=20, end=22)
    record = make_record(
        findings=(
            make_finding("red_flag", "chest_pain", late),
            make_finding("urgency_cue", "3", early),
            make_finding("listening", "reflection", elsewhere),
            make_finding("red_flag", "breathing", None),
        )
    )
    (alert,) = raise_alerts(record, SHIPPED, now=NOW)
    places = [(place.start, place.end) for place in alert.evidence]
    assert places == sorted(places)
    assert early in alert.evidence
    assert late in alert.evidence
    assert elsewhere not in alert.evidence


@given(record=any_record())
def test_any_record_gives_one_alert_a_reason_the_most_urgent_first(record: CallRecord) -> None:
    alerts = raise_alerts(record, SHIPPED, now=NOW)
    assert len({alert.reason for alert in alerts}) == len({alert.alert_id for alert in alerts})
    assert len({alert.alert_id for alert in alerts}) == len(alerts)
    ranks = [alert.severity.rank for alert in alerts]
    assert ranks == sorted(ranks)


# --- policy files that are wrong -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("rules = [", "not TOML"),
        ("rules = []\nruels = 1", "ruels"),
        ("[[rules]]\nreason = 'told'\nseverity = 'low'\nwhen = {}", "rule 1.when"),
        ("[[rules]]\nreason = 'told'\nseverity = 'dire'\nwhen = {urgency=[3]}", "rule 1.severity"),
        ("[[rules]]\nreason = 'Told of'\nseverity = 'low'\nwhen = {urgency=[3]}", "rule 1.reason"),
        ("[[rules]]\nreason = 'told'\nseverity = 'low'\nwhen = {urgency=[4]}", "rule 1.when"),
        ("[[rules]]\nreason = 'told'\nseverity = 'low'\nwhen = {urgent=[3]}", "urgent"),
        (
            "[[rules]]\nreason = 'told'\nseverity = 'low'\nwhen = {findings=['red_flag:chst']}",
            "no such finding: red_flag:chst",
        ),
    ],
)
def test_a_wrong_policy_is_told_with_its_rule_and_fault(
    tmp_path: Path, content: str, fault: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        policy_of(tmp_path, content)
    assert fault in str(caught.value)
    assert caught.value.__context__ is None


def test_a_policy_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Policy.load(tmp_path / "nothing.toml")


# --- the outbox ----------------------------------------------------------------------------------


@dataclass
class Receiver:
    """A real HTTP server that answers as it is told and remembers what it got."""

    status: int = 204
    port: int = 0
    answers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str | None, dict[str, Any]]] = field(default_factory=list)
    server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alerts"

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.headers["Idempotency-Key"], json.loads(body)))
                self.send_response(receiver.status)
                for name, value in receiver.answers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Not on stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'qa-monitor.sqlite'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as store:
        yield store


def save(store: Store, record: CallRecord, *channels: Channel) -> None:
    alerts = raise_alerts(record, SHIPPED, now=NOW)
    names = tuple(channel.name for channel in channels)
    store.save_record(record, alerts, now=NOW, channels=names)


def test_a_channel_carries_codes_time_and_link_and_nothing_else(
    store: Store, receiver: Receiver, tmp_path: Path
) -> None:
    base = "https://qa.example.org"
    stream, file = io.StringIO(), tmp_path / "alerts" / "alerts.jsonl"
    channels = (
        ConsoleChannel(link_base=base, stream=stream),
        JsonLinesChannel(file, link_base=base),
        WebhookChannel(receiver.url, link_base=base),
    )
    save(store, make_record(text="zebrafish " * 8), *channels)
    report = deliver_pending(store, channels, now=NOW)
    assert (report.delivered, report.problems, report.waiting) == (3, (), 0)
    ((key, message),) = receiver.requests
    alert_id = store.alerts()[0].alert.alert_id
    assert key == f"{alert_id}-critical"
    assert message == {
        "alert_id": alert_id,
        "call_id": "calls-1",
        "severity": "critical",
        "is_raise": False,
        "reminder": 0,
        "reason": "emergency_not_escalated",
        "raised_at": "2026-03-02T09:30:00+00:00",
        "link": f"https://qa.example.org/alerts/{alert_id}",
    }
    assert json.loads(file.read_text()) == message
    assert stream.getvalue() == (
        "ALERT critical: emergency_not_escalated, call calls-1, 2026-03-02T09:30:00+00:00 "
        f"https://qa.example.org/alerts/{alert_id}\n"
    )


@pytest.mark.parametrize(
    ("base", "link"),
    [
        ("", None),
        ("https://qa.example.org/", "https://qa.example.org/alerts/"),
        ("https://example.org/qa", "https://example.org/qa/alerts/"),
    ],
)
def test_a_link_leads_to_the_page_of_the_alert(
    store: Store, receiver: Receiver, base: str, link: str | None
) -> None:
    channel = WebhookChannel(receiver.url, link_base=base)
    save(store, make_record(), channel)
    deliver_pending(store, [channel], now=NOW)
    message = receiver.requests[0][1]
    assert message["link"] == (link and link + message["alert_id"])


def test_a_receiver_that_is_down_gets_its_alerts_when_it_is_up(
    store: Store, receiver: Receiver
) -> None:
    channel = WebhookChannel(receiver.url)
    receiver.stop()
    save(store, make_record(), channel)
    report = deliver_pending(store, [channel], now=NOW)
    (problem,) = report.problems
    assert (report.delivered, report.waiting) == (0, 1)
    assert (problem.call_id, problem.kind) == ("calls-1", "ConnectError")
    assert "stays queued" in problem.message
    assert problem.__context__ is None
    receiver.start()
    assert deliver_pending(store, [channel], now=NOW + 0.4 * MINUTE).delivered == 0
    assert deliver_pending(store, [channel], now=NOW + MINUTE).delivered == 1
    assert deliver_pending(store, [channel], now=NOW + 9 * MINUTE).delivered == 0
    assert [message["call_id"] for _, message in receiver.requests] == ["calls-1"]


def test_a_retry_can_be_asked_for_before_its_time(store: Store, receiver: Receiver) -> None:
    channel = WebhookChannel(receiver.url)
    receiver.status = 503
    save(store, make_record(), channel)
    deliver_pending(store, [channel], now=NOW)
    deliver_pending(store, [channel], now=NOW, retry_now=True)
    receiver.status = 200
    assert deliver_pending(store, [channel], now=NOW, retry_now=True).delivered == 1
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("status", [500, 404, 302])
def test_an_answer_that_is_no_receipt_keeps_the_alert_queued(
    store: Store, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    receiver.answers["Location"] = receiver.url
    channel = WebhookChannel(receiver.url)
    save(store, make_record(), channel)
    report = deliver_pending(store, [channel], now=NOW)
    assert [problem.kind for problem in report.problems] == [f"HTTP {status}"]
    assert report.waiting == 1
    assert len(receiver.requests) == 1
    (state,) = store.alerts()[0].deliveries
    assert (state.last_error, state.attempts) == (f"HTTP {status}", 1)


def test_a_receiver_that_never_answers_does_not_hold_up_the_run(store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        channel = WebhookChannel(f"http://127.0.0.1:{port}/", timeout_s=0.2)
        save(store, make_record(), channel)
        report = deliver_pending(store, [channel], now=NOW)
    assert [problem.kind for problem in report.problems] == ["ReadTimeout"]


def test_the_most_urgent_unescalated_calls_are_told_of_first(
    store: Store, receiver: Receiver
) -> None:
    channel = WebhookChannel(receiver.url)
    for call_id, urgency, escalated in [
        ("calls-1", 2, Outcome.PROPERLY),
        ("calls-2", 3, Outcome.LATE_OR_PARTIAL),
        ("calls-3", 2, Outcome.MISSED),
        ("calls-4", 3, Outcome.MISSED),
    ]:
        record = make_record(
            call_id, urgency=urgency, escalated=escalated, urgency_probability=None
        )
        save(store, record, channel)
    deliver_pending(store, [channel], now=NOW)
    order = [message["call_id"] for _, message in receiver.requests]
    assert order == ["calls-4", "calls-3", "calls-2", "calls-1"]


def test_a_channel_that_keeps_failing_is_left_alone_and_the_others_are_served(
    store: Store, receiver: Receiver
) -> None:
    receiver.status = 500
    stream = io.StringIO()
    channels = (WebhookChannel(receiver.url), ConsoleChannel(stream=stream))
    for number in range(5):
        save(store, make_record(f"calls-{number}"), *channels)
    report = deliver_pending(store, channels, now=NOW)
    assert len(receiver.requests) == 3
    assert (report.delivered, report.waiting) == (5, 5)
    assert len(stream.getvalue().splitlines()) == 5


def test_more_alerts_than_one_batch_are_all_delivered(store: Store) -> None:
    stream = io.StringIO()
    channel = ConsoleChannel(stream=stream)
    for number in range(130):
        save(store, make_record(f"calls-{number}"), channel)
    assert deliver_pending(store, [channel], now=NOW).delivered == 130
    assert len(set(stream.getvalue().splitlines())) == 130


def test_a_raise_is_told_under_another_key_and_a_repetition_is_not_told(
    store: Store, receiver: Receiver
) -> None:
    channel = WebhookChannel(receiver.url)
    for probability in (0.3, 0.3, 0.7, 0.7, 0.3):
        record = make_record(
            urgency=None,
            urgency_probability=probability,
            needs_review=True,
            escalated=None,
            findings=(),
        )
        save(store, record, channel)
        deliver_pending(store, [channel], now=NOW)
    assert [(message["severity"], message["is_raise"]) for _, message in receiver.requests] == [
        ("medium", False),
        ("high", True),
    ]
    assert len({key for key, _ in receiver.requests}) == 2
    assert len({message["alert_id"] for _, message in receiver.requests}) == 1


DIE_BEFORE_NOTING = """
import os, signal, sys
from sqlalchemy import event
from invented_records import NOW
from qa_monitor.alerts import WebhookChannel, deliver_pending
from qa_monitor.store import open_store

store = open_store(sys.argv[1])

@event.listens_for(store._database._writing, "before_cursor_execute")
def die(connection, cursor, statement, *rest):
    if statement.startswith("UPDATE deliveries"):
        os.kill(os.getpid(), signal.SIGKILL)

deliver_pending(store, [WebhookChannel(sys.argv[2])], now=NOW)
"""


def test_a_crash_between_sending_and_noting_repeats_the_alert_under_the_same_key(
    store: Store, url: str, receiver: Receiver
) -> None:
    channel = WebhookChannel(receiver.url)
    save(store, make_record(), channel)
    died = subprocess.run(
        [sys.executable, "-c", DIE_BEFORE_NOTING, url, receiver.url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
        check=False,
    )
    assert died.returncode == -9
    assert deliver_pending(store, [channel], now=NOW).delivered == 1
    first, second = receiver.requests
    assert first == second


def test_whatever_a_channel_raises_ends_no_run_and_leaks_no_text(store: Store) -> None:
    class Broken:
        name = "broken"

        def send(self, delivery: Delivery) -> None:
            raise RuntimeError("zebrafish")

    stream = io.StringIO()
    channels = (Broken(), ConsoleChannel(stream=stream))
    save(store, make_record(), *channels)
    report = deliver_pending(store, channels, now=NOW)
    assert report.delivered == 1
    (problem,) = report.problems
    assert problem.kind == "RuntimeError"
    assert "zebrafish" not in "".join(traceback.format_exception(problem))


def test_a_webhook_url_shows_in_no_problem_and_no_repr(store: Store) -> None:
    channel = WebhookChannel("http://127.0.0.1:9/hooks/secret-token")
    save(store, make_record(), channel)
    (problem,) = deliver_pending(store, [channel], now=NOW).problems
    assert "secret-token" not in f"{problem.message} {problem.kind} {channel!r}"


# --- the file ------------------------------------------------------------------------------------


def deliver_to(store: Store, channel: Channel, call_id: str) -> tuple[DeliveryError, ...]:
    save(store, make_record(call_id), channel)
    return deliver_pending(store, [channel], now=NOW).problems


def test_alerts_are_appended_to_a_file_for_its_owner_only(store: Store, tmp_path: Path) -> None:
    channel = JsonLinesChannel(tmp_path / "alerts.jsonl")
    deliver_to(store, channel, "calls-1")
    deliver_to(store, channel, "calls-2")
    lines = [json.loads(line) for line in channel.path.read_text().splitlines()]
    assert [line["call_id"] for line in lines] == ["calls-1", "calls-2"]
    assert stat.S_IMODE(channel.path.stat().st_mode) == 0o600


def test_a_line_cut_short_by_a_crash_spoils_only_itself(store: Store, tmp_path: Path) -> None:
    channel = JsonLinesChannel(tmp_path / "alerts.jsonl")
    channel.path.write_text('{"alert_id": "cut sh')
    deliver_to(store, channel, "calls-1")
    lines = channel.path.read_text().splitlines()
    assert json.loads(lines[1])["call_id"] == "calls-1"


def test_a_file_that_cannot_be_written_keeps_the_alert_queued(store: Store, tmp_path: Path) -> None:
    channel = JsonLinesChannel(tmp_path)
    (problem,) = deliver_to(store, channel, "calls-1")
    assert problem.kind == "IsADirectoryError"
    assert store.waiting_deliveries([channel.name]) == 1


def test_a_disk_that_fills_up_leaves_the_file_as_it_was_and_the_alert_queued(
    store: Store, tmp_path: Path
) -> None:
    channel = JsonLinesChannel(tmp_path / "alerts.jsonl")
    deliver_to(store, channel, "calls-1")
    before = channel.path.read_bytes()
    save(store, make_record("calls-2"), channel)
    (delivery,) = store.pending_deliveries(channel.name, now=NOW)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        with pytest.raises(DeliveryError, match="File too large"):
            channel.send(delivery)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert channel.path.read_bytes() == before


def test_processes_that_append_at_once_mix_no_lines(tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    script = (
        "import sys; from pathlib import Path; from qa_monitor.alerts.channels import _append\n"
        "for n in range(40): _append(Path(sys.argv[1]), b'x' * 3000 + b'\\n')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(file)]) for _ in range(3)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert {len(line) for line in file.read_bytes().splitlines()} == {3000}
    assert file.stat().st_size == 3 * 40 * 3001


def test_a_closed_console_keeps_the_alert_queued(store: Store) -> None:
    stream = io.StringIO()
    stream.close()
    (problem,) = deliver_to(store, ConsoleChannel(stream=stream), "calls-1")
    assert isinstance(problem, DeliveryError)
    assert store.waiting_deliveries(["console"]) == 1
