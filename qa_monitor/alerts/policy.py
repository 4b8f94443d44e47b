"""Which calls are told of, and how soon: rules of a policy file over the record of a call."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

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
from qa_monitor.errors import ConfigError

__all__ = ["Policy", "Rule", "When", "raise_alerts"]

UNKNOWN = "unknown"

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
