"""Urgent calls told to those who can act: the policy, the channels, the delivery.

``raise_alerts`` turns a record into alerts by a policy file; the store queues them for each channel
in the transaction that keeps the record; ``deliver_pending`` hands over what is queued. Delivery is
at least once: after a crash between sending and noting it, or when two processes deliver at the
same moment, a channel may be told twice, under the same id. What leaves by a channel is call id,
severity, reason code, time and link, and never words of the call.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, Self, TextIO
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qa_monitor.calls import (
    Alert,
    CallRecord,
    CallType,
    Criterion,
    EscalationOutcome,
    Evidence,
    Severity,
)
from qa_monitor.errors import ConfigError, DeliveryError

if TYPE_CHECKING:
    from qa_monitor.store import Delivery, Store

__all__ = [
    "Channel",
    "ConsoleChannel",
    "DeliveryReport",
    "JsonLinesChannel",
    "Policy",
    "Rule",
    "WebhookChannel",
    "When",
    "deliver_pending",
    "raise_alerts",
]

UNKNOWN = "unknown"
_BATCH = 100
_GIVE_UP_AFTER = 3
_AT_ONCE = datetime.max.replace(tzinfo=UTC)

# --- the policy ----------------------------------------------------------------------------------

Probability = Annotated[float, Field(ge=0, le=1)]
FindingName = Annotated[str, Field(pattern=r"^[a-z_]+:([a-z0-9_]+|\*)$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class When(_Section):
    """Conditions of a rule, all of which must hold; what is not given does not matter."""

    urgency: tuple[Literal[0, 1, 2, 3, "unknown"], ...] = ()
    urgency_probability_at_least: Probability | None = None
    escalated: tuple[EscalationOutcome | Literal["unknown"], ...] = ()
    escalation_delay_s_at_least: Annotated[float, Field(ge=0)] | None = None
    call_types: tuple[CallType, ...] = ()
    findings: tuple[FindingName, ...] = ()
    needs_review: bool | None = None

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self == When.model_construct():
            raise ValueError("a rule without conditions would tell of every call")
        return self

    def holds(self, record: CallRecord) -> bool:
        """Whether all conditions hold for ``record``."""
        card = record.scorecard
        probability = card.urgency_probability
        delay_s = card.escalation_delay_s
        return (
            (not self.urgency or _urgency(record) in self.urgency)
            and _reaches(probability, self.urgency_probability_at_least)
            and (not self.escalated or (card.escalated or UNKNOWN) in self.escalated)
            and _reaches(delay_s, self.escalation_delay_s_at_least)
            and (not self.call_types or bool({card.call_type, *card.also} & {*self.call_types}))
            and (not self.findings or bool(_names(record) & {*self.findings}))
            and (self.needs_review is None or card.needs_review is self.needs_review)
        )


class Rule(_Section):
    """A severity and a reason code, and when they apply."""

    severity: Severity
    reason: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,63}$")]
    when: When


class Policy(_Section):
    """The rules by which calls are told of, in order."""

    version: str
    rules: tuple[Rule, ...]

    @classmethod
    def load(
        cls, path: Path | None = None, *, labels: Mapping[str, Iterable[str]] | None = None
    ) -> Policy:
        """The policy in ``path``, or the one that ships.

        With ``labels`` (task to its labels), rules may only name findings that exist. Raises
        ``ConfigError`` that names the rule and the fault.
        """
        name = "the alert policy that ships" if path is None else f"alert policy {path}"
        try:
            if path is None:
                content = resources.files("qa_monitor").joinpath("alert_policy.toml").read_bytes()
            else:
                content = path.read_bytes()
            policy = cls.model_validate(tomllib.loads(content.decode()))
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problem = f"is not TOML: {error}"
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"{_where(first['loc'])}: {first['msg']}"
        else:
            unknown = policy._unknown_findings(labels) if labels is not None else []
            if not unknown:
                return policy
            problem = f"no such finding: {', '.join(unknown)}"
        raise ConfigError(f"{name}: {problem}. Correct it, or unset alerts.policy_file.")

    def _unknown_findings(self, labels: Mapping[str, Iterable[str]]) -> list[str]:
        known = {f"{task}:{label}" for task, names in labels.items() for label in ("*", *names)}
        return sorted({name for rule in self.rules for name in rule.when.findings} - known)


def _where(location: tuple[int | str, ...]) -> str:
    """``("rules", 2, "when")`` as a person counts: rule 3, when."""
    if len(location) > 1 and location[0] == "rules" and isinstance(location[1], int):
        return ".".join([f"rule {location[1] + 1}", *map(str, location[2:])])
    return ".".join(map(str, location))


def raise_alerts(record: CallRecord, policy: Policy, *, now: datetime) -> tuple[Alert, ...]:
    """The alerts of ``record``, one for each reason, the most urgent first.

    The same call and reason give the same ``alert_id``, whenever and however it was scored.
    """
    by_reason: dict[str, Rule] = {}
    for rule in policy.rules:
        if rule.reason not in by_reason and rule.when.holds(record):
            by_reason[rule.reason] = rule
    return tuple(
        Alert(
            alert_id=_alert_id(record.call_id, rule.reason),
            call_id=record.call_id,
            severity=rule.severity,
            reason=rule.reason,
            evidence=_evidence(record, rule),
            raised_at=now,
        )
        for rule in sorted(by_reason.values(), key=lambda rule: rule.severity.rank)
    )


def _alert_id(call_id: str, reason: str) -> str:
    return hashlib.sha256(f"{call_id}\n{reason}".encode()).hexdigest()[:32]


def _urgency(record: CallRecord) -> int | str:
    for score in record.scorecard.scores:
        if score.criterion is Criterion.URGENCY and score.points is not None:
            return round(score.points)
    return UNKNOWN


def _reaches(value: float | None, least: float | None) -> bool:
    return least is None or (value is not None and value >= least)


def _names(record: CallRecord) -> set[str]:
    """Findings as conditions name them: each by its label, and its task with a star."""
    return {
        f"{finding.task}:{label}" for finding in record.findings for label in (finding.label, "*")
    }


def _evidence(record: CallRecord, rule: Rule) -> tuple[Evidence, ...]:
    """Where to look first: what the urgency and its handling rest on, in the call's order."""
    places = {
        place
        for score in record.scorecard.scores
        if score.criterion in (Criterion.URGENCY, Criterion.ESCALATION)
        for place in score.evidence
    }
    for finding in record.findings:
        names = {f"{finding.task}:{finding.label}", f"{finding.task}:*"}
        is_urgent = finding.task in ("red_flag", "urgency_cue")
        if finding.evidence and (is_urgent or names & {*rule.when.findings}):
            places.add(finding.evidence)
    return tuple(sorted(places, key=lambda place: (place.turn_index, place.start, place.end)))


# --- the channels --------------------------------------------------------------------------------


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


def _refused(delivery: Delivery, channel: str, what: str, kind: str) -> DeliveryError:
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
            problem = _refused(delivery, self.name, "it is closed", type(error).__name__)
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
            problem = _refused(delivery, self.name, what, type(error).__name__)
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
        raise _refused(delivery, self.name, what, kind)


# --- the delivery --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """What became of what was queued.

    ``delivered`` were taken; ``problems`` say what was not, and why; ``waiting`` are still queued
    for these channels, the problems among them.
    """

    delivered: int
    problems: tuple[DeliveryError, ...]
    waiting: int


def deliver_pending(
    store: Store, channels: Sequence[Channel], *, now: datetime, retry_now: bool = False
) -> DeliveryReport:
    """Hand to each channel what is queued for it and due at ``now``, the most urgent first.

    A failure is noted, to be retried later (``Store.mark_failed`` says when), and never ends the
    run; a channel that fails three times in a row is left alone for this time. ``retry_now`` does
    not wait for the time of a retry. Raises ``StoreError`` when the database fails.
    """
    delivered = 0
    problems: list[DeliveryError] = []
    for channel in channels:
        tried: set[int] = set()
        failed_in_a_row = 0
        while failed_in_a_row < _GIVE_UP_AFTER:
            due = store.pending_deliveries(
                channel.name, now=_AT_ONCE if retry_now else now, limit=_BATCH
            )
            fresh = [delivery for delivery in due if delivery.delivery_id not in tried]
            if not fresh:
                break
            for delivery in fresh:
                tried.add(delivery.delivery_id)
                problem = _send(channel, delivery)
                if problem is None:
                    store.mark_delivered(delivery.delivery_id, now=now)
                    delivered += 1
                    failed_in_a_row = 0
                    continue
                kind = problem.kind or type(problem).__name__
                store.mark_failed(delivery.delivery_id, error_kind=kind, now=now)
                problems.append(problem)
                failed_in_a_row += 1
                if failed_in_a_row == _GIVE_UP_AFTER:
                    break
    return DeliveryReport(
        delivered=delivered,
        problems=tuple(problems),
        waiting=store.waiting_deliveries(channel.name for channel in channels),
    )


def _send(channel: Channel, delivery: Delivery) -> DeliveryError | None:
    try:
        channel.send(delivery)
    except DeliveryError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever a channel does, the others are served
        return _refused(delivery, channel.name, type(error).__name__, type(error).__name__)
    return None
