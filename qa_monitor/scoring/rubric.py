"""The rubric file: what findings are worth, what a call is asked, and when a person should look."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from qa_monitor.calls import CallType, Criterion, EscalationOutcome
from qa_monitor.errors import ConfigError
from qa_monitor.scoring.features import (
    EMPATHY_FEATURES,
    ESCALATION_FEATURES,
    LISTENING_FEATURES,
    ROUTINE_FEATURES,
    URGENCY_FEATURES,
)
from qa_monitor.scoring.labels import AGENT_TASKS, CALLER_TASKS, LABELS
from qa_monitor.scoring.ordinal import distribution_of, logistic, mean_of

__all__ = [
    "EVERY",
    "HIGHEST",
    "LOWEST",
    "MISSED_ESCALATION",
    "URGENT_OUTCOMES",
    "Builtin",
    "NotApplicable",
    "Question",
    "Rubric",
    "When",
    "load_rubric",
    "rubric_content",
    "rubric_from",
]

LOWEST, HIGHEST = 1, 5
"""The scale of empathy, active listening and escalation."""

EVERY = "every"
"""What a checklist item names instead of call types."""

MISSED_ESCALATION = "missed_escalation"
"""The name under which a card tells that a missed escalation failed the call."""

Builtin = Literal[
    "card_not_repeated",
    "courteous_tone",
    "identity_before_disclosure",
    "location_and_callback",
    "member_id_read_back",
]
"""Questions of a checklist that need more than a finding; ``checklists`` answers them."""

URGENT_OUTCOMES = (
    EscalationOutcome.MISSED,
    EscalationOutcome.LATE_OR_PARTIAL,
    EscalationOutcome.PROPERLY,
)
"""What can become of a call that is urgent, the worst first."""

_FEATURES = {
    "empathy": EMPATHY_FEATURES,
    "active_listening": LISTENING_FEATURES,
    "escalation": ESCALATION_FEATURES,
}
_AGENT_LABELS = frozenset(label for task in AGENT_TASKS for label in LABELS[task])
_TURN_LABELS = _AGENT_LABELS | {label for task in CALLER_TASKS for label in LABELS[task]}


# --- what may stand in the file ------------------------------------------------------------------


def _increasing(thresholds: tuple[float, ...]) -> tuple[float, ...]:
    if any(low >= high for low, high in pairwise(thresholds)):
        raise ValueError("must increase")
    return thresholds


def _signed(
    known: Mapping[str, int], *others: str
) -> Callable[[dict[str, float]], dict[str, float]]:
    """A check that a table has ``known`` features only, each with its sign, and all ``others``."""

    def check(table: dict[str, float]) -> dict[str, float]:
        mistakes = [f"{name} is missing" for name in others if name not in table]
        for name, value in table.items():
            if name not in known and name not in others:
                mistakes.append(f"{name} is no feature (there are {', '.join(known)})")
            elif value * known.get(name, 0) < 0:
                mistakes.append(
                    f"{name} must not be {'negative' if known[name] > 0 else 'positive'}"
                )
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return table

    return check


def _labels_among(known: frozenset[str]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    def check(labels: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [label for label in labels if label not in known]
        if unknown:
            raise ValueError(f"names no finding: {', '.join(unknown)}")
        return labels

    return check


def _call_types(names: tuple[str, ...]) -> tuple[str, ...]:
    known = [EVERY, *CallType]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"names no call type: {', '.join(unknown)} (there are {', '.join(known)})")
    return names


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Weight = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Points = Annotated[Number, Field(ge=LOWEST, le=HIGHEST)]
Level = Annotated[int, Field(strict=True, ge=0, le=3)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]
UrgencyTable = Annotated[dict[str, Number], AfterValidator(_signed(URGENCY_FEATURES, "base"))]
RoutineTable = Annotated[dict[str, Number], AfterValidator(_signed(ROUTINE_FEATURES, "base"))]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Weights(_Table):
    """How much each criterion, and the checklist as a whole, counts in the total."""

    empathy: Weight
    active_listening: Weight
    escalation: Weight
    checklist: Weight

    @model_validator(mode="after")
    def _some_weight(self) -> Weights:
        if not self.empathy + self.active_listening + self.escalation + self.checklist:
            raise ValueError("must not all be zero")
        return self


class _Ordinal(_Table):
    """One criterion: thresholds between its points, weights (log-odds), and its stretch."""

    thresholds: Annotated[tuple[Number, Number, Number, Number], AfterValidator(_increasing)]
    centre: Points = 3.0
    stretch: Annotated[Number, Field(gt=0)] = 1.0
    weights: dict[str, Number]


class _Empathy(_Ordinal):
    weights: Annotated[dict[str, Number], AfterValidator(_signed(EMPATHY_FEATURES))]


class _Listening(_Ordinal):
    weights: Annotated[dict[str, Number], AfterValidator(_signed(LISTENING_FEATURES))]


class _Escalation(_Ordinal):
    weights: Annotated[dict[str, Number], AfterValidator(_signed(ESCALATION_FEATURES))]


class _Points(_Table):
    empathy: _Empathy
    active_listening: _Listening
    escalation: _Escalation


class _Urgency(_Table):
    level1: UrgencyTable
    level2: UrgencyTable
    level3: UrgencyTable


class _Urgent(_Table):
    """Steps in an urgent call: thresholds to late or partial, and to proper."""

    thresholds: Annotated[tuple[Number, Number], AfterValidator(_increasing)]
    weights: Annotated[dict[str, Number], AfterValidator(_signed(ESCALATION_FEATURES))]


class _Outcome(_Table):
    urgent: _Urgent
    routine: RoutineTable


class _AbstainWidth(_Table):
    empathy: Weight
    active_listening: Weight
    escalation: Weight


class NotApplicable(_Table):
    """To which calls a criterion does not apply: their type, or too few turns of either side."""

    call_types: tuple[CallType, ...] = ()
    turns_fewer_than: Annotated[int, Field(strict=True, ge=0)] = 0


class _NotApplicable(_Table):
    empathy: NotApplicable = NotApplicable()
    active_listening: NotApplicable = NotApplicable()
    escalation: NotApplicable = NotApplicable()
    checklist: NotApplicable = NotApplicable()


class _AutoFail(_Table):
    missed_escalation_from: Annotated[Level, Field(ge=1)] | None = None


class When(_Table):
    """What must hold of a call for a question to be asked.

    Of ``labels`` any one suffices, and so does, with ``called_before``, an earlier call of the
    caller about the same.
    """

    urgency_at_least: Level = 0
    urgency_at_most: Level = 3
    called_before: bool = False
    labels: Annotated[tuple[str, ...], AfterValidator(_labels_among(_TURN_LABELS))] = ()


class Question(_Table):
    """One item of a checklist.

    ``yes`` where ``at_least`` turns hold one of ``labels``, each with ``yes_from`` or more;
    ``unsure`` from ``unsure_from`` on; else ``no``. A ``builtin`` is answered by logic instead.
    ``due`` says where a turn without it would have had it.
    """

    asks: Annotated[str, Field(pattern=r"\S.*\?$")]
    call_types: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_call_types)]
    labels: Annotated[tuple[str, ...], AfterValidator(_labels_among(_AGENT_LABELS))] = ()
    at_least: Annotated[int, Field(strict=True, ge=1)] = 1
    builtin: Builtin | None = None
    weight: Weight = 1.0
    auto_fail: bool = False
    when: When = When()
    yes_from: Share = 0.5
    unsure_from: Share = 0.25
    due: Literal["first", "last", "middle"] = "middle"

    @model_validator(mode="after")
    def _answerable(self) -> Question:
        if bool(self.labels) == (self.builtin is not None):
            raise ValueError("must have either labels or builtin")
        if self.unsure_from > self.yes_from:
            raise ValueError("unsure_from must not be above yes_from")
        return self


class Settings(_Table):
    """The numbers of the section ``settings``; the file says what each is for."""

    answer_none_at_most: Points
    answer_few_at_most: Points
    level1_from: Share
    level2_from: Share
    level3_from: Share
    outcome_from: Share
    missed_counts: Annotated[Number, Field(gt=0)]
    also_from: Share
    interruption_points: Weight
    interruptions_free: Weight
    opportunities_at_least: Weight
    roles_certain_from: Share
    unheard_share_at_most: Share
    type_certain_from: Share
    doubtful_share_at_most: Share
    review_confidence_below: Share
    unsure_from: Share
    unsure_to: Share


class Rubric(_Table):
    """A rubric as its file has it, checked."""

    name: Word
    version: Word
    weights: Weights
    points: _Points
    urgency: _Urgency
    outcome: _Outcome
    abstain_width: _AbstainWidth
    not_applicable: _NotApplicable = _NotApplicable()
    auto_fail: _AutoFail = _AutoFail()
    settings: Settings
    checklist: dict[Word, Question] = {}

    @model_validator(mode="after")
    def _names_are_free(self) -> Rubric:
        if MISSED_ESCALATION in self.checklist:
            raise ValueError(f"checklist.{MISSED_ESCALATION} is a name that auto_fail uses")
        return self

    @cached_property
    def full_version(self) -> str:
        """Name, version, and eight digits that differ as soon as the content does."""
        content = self.model_dump(mode="json", exclude_unset=True)
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.name}-{self.version}+{digest[:8]}"

    def distribution(self, criterion: str, features: Mapping[str, float]) -> tuple[float, ...]:
        """The probability of each of 1 to 5 points; ``criterion`` as in the table ``points``."""
        table = self._table(criterion)
        return distribution_of(_sum(table.weights, features), table.thresholds)

    def points_of(self, criterion: str, features: Mapping[str, float]) -> float:
        """The expected points for ``features``, stretched, 1 to 5."""
        table = self._table(criterion)
        mean = mean_of(self.distribution(criterion, features), lowest=LOWEST)
        return min(max(table.centre + table.stretch * (mean - table.centre), LOWEST), HIGHEST)

    def urgency_probabilities(self, features: Mapping[str, float]) -> tuple[float, float, float]:
        """The probability that urgency is at least 1, at least 2, and 3; never increasing."""
        tables = (self.urgency.level1, self.urgency.level2, self.urgency.level3)
        first, second, third = (logistic(t["base"] + _sum(t, features)) for t in tables)
        second = min(first, second)
        return first, second, min(second, third)

    def outcome_probabilities(
        self,
        urgency: tuple[float, float, float],
        escalation: Mapping[int, Mapping[str, float]],
        routine: Mapping[str, float],
    ) -> dict[EscalationOutcome, float]:
        """The probability of each outcome, whatever the urgency may be.

        ``urgency`` are the probabilities of at least 1, 2 and 3, ``escalation`` the features by
        level, ``routine`` those of steps that a call that is not urgent does not need.
        """
        unneeded = logistic(self.outcome.routine["base"] + _sum(self.outcome.routine, routine))
        shares = {
            EscalationOutcome.NOT_NEEDED: (1 - urgency[0]) * (1 - unneeded),
            EscalationOutcome.UNNEEDED: (1 - urgency[0]) * unneeded,
        }
        shares |= dict.fromkeys(URGENT_OUTCOMES, 0.0)
        for level, (at_least, more) in enumerate(pairwise((*urgency, 0.0)), 1):
            evidence = _sum(self.outcome.urgent.weights, escalation[level])
            steps = distribution_of(evidence, self.outcome.urgent.thresholds)
            for outcome, share in zip(URGENT_OUTCOMES, steps, strict=True):
                shares[outcome] += (at_least - more) * share
        return shares

    def weight_of(self, criterion: Criterion) -> float:
        """What ``criterion`` counts in the total; urgency counts nothing."""
        return float(getattr(self.weights, criterion.value, 0.0))

    def questions_for(self, call_type: CallType | None) -> dict[str, Question]:
        """The checklist of a call of ``call_type``, in the order of the file."""
        return {
            name: question
            for name, question in self.checklist.items()
            if EVERY in question.call_types or call_type in question.call_types
        }

    def _table(self, criterion: str) -> _Ordinal:
        table: _Ordinal = getattr(self.points, criterion)
        return table


def _sum(table: Mapping[str, float], features: Mapping[str, float]) -> float:
    return sum(table.get(name, 0.0) * value for name, value in features.items())


# --- reading it ----------------------------------------------------------------------------------


def load_rubric(path: Path | None = None) -> Rubric:
    """The rubric at ``path``, or the one that ships.

    Raises ``ConfigError`` that names the file, and table and key of every mistake in it.
    """
    return rubric_from(rubric_content(path), source=_source(path))


def rubric_content(path: Path | None = None) -> dict[str, Any]:
    """What stands in the rubric file at ``path``, or in the one that ships, not yet checked.

    Raises ``ConfigError`` when it cannot be read or is not TOML.
    """
    problem: str
    try:
        if path is None:
            text = (files("qa_monitor.scoring") / "rubric.toml").read_text("utf-8")
        else:
            text = path.read_text("utf-8")
        return tomllib.loads(text)
    except OSError as error:
        problem = f"cannot be read ({error.strerror or 'unreadable'})"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = f"is not TOML: {error}"
    except RecursionError:
        problem = "is nested too deep"
    raise ConfigError(f"{_source(path)} {problem}. Correct it, or remove the setting.")


def rubric_from(content: Mapping[str, Any], *, source: str = "the rubric") -> Rubric:
    """The rubric of a file's content.

    Raises ``ConfigError`` that names ``source``, and table and key of every mistake.
    """
    try:
        return Rubric.model_validate(content)
    except ValidationError as error:
        mistakes = [_mistake(found["loc"], found["type"], found["msg"]) for found in error.errors()]
    raise ConfigError(f"{source} is wrong: {'; '.join(mistakes)}. Correct it and try again.")


def _source(path: Path | None) -> str:
    return "the rubric that ships" if path is None else f"the rubric file {path}"


def _mistake(place: tuple[int | str, ...], kind: str, message: str) -> str:
    where = ".".join(str(part) for part in place)
    if kind == "missing":
        return f"{where} is missing"
    if kind == "extra_forbidden":
        return f"{where} is not known"
    says = message.removeprefix("Value error, ")
    return f"{where}: {says}" if where else says
