"""A stored call scored anew, without its recording: by another rubric, or with its roles swapped.

``rescore`` makes another score card from stored findings, without any model. ``swap_roles`` makes
a new run from the stored redacted text. Both keep what was there, and give a ``Rescored`` that
tells what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from qa_monitor.alerts import Policy, raise_alerts
from qa_monitor.calls import (
    Alert,
    CallRecord,
    CallType,
    Criterion,
    RedactedDialogue,
    RedactedTurn,
    Role,
    Scorecard,
)
from qa_monitor.errors import (
    NotFoundError,
    QAMonitorError,
    ScoringError,
    StoreError,
    UsageError,
)
from qa_monitor.scoring import Scorer, call_metrics
from qa_monitor.scoring.rubric import Rubric
from qa_monitor.scoring.scorecard import make_scorecard
from qa_monitor.store import AlertState
from qa_monitor.verification import mark

if TYPE_CHECKING:
    from qa_monitor.store import Route, Store

__all__ = [
    "ROLES_SWAPPED",
    "CriterionChange",
    "Rescored",
    "RescoringSummary",
    "points_of",
    "rescore",
    "summarise",
    "swap_roles",
]

_T = TypeVar("_T")

ROLES_SWAPPED = "roles_swapped"
"""The warning of a record whose roles a person has swapped."""

_ROLES = "roles"
_FROM_RUN = "swapped-from-run-"
_OTHER_ROLE = {Role.AGENT: Role.CALLER, Role.CALLER: Role.AGENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """What scoring one stored call anew changed, or the error that took its place.

    ``before`` is the card that was in use. ``alerts`` are those that the new card raises and the
    old one did not; ``outdated_alerts`` the reasons of alerts that stay open though the new card
    gives no cause for them.
    """

    call_id: str
    before: Scorecard | None = None
    after: Scorecard | None = None
    alerts: tuple[Alert, ...] = ()
    outdated_alerts: tuple[str, ...] = ()
    error: QAMonitorError | None = None

    @property
    def is_changed(self) -> bool:
        """Whether anything that is read off a card differs, its wording and version aside."""
        if self.before is None or self.after is None:
            return False
        return _essence(self.before) != _essence(self.after)


def _essence(card: Scorecard) -> tuple[object, ...]:
    return (
        {score.criterion: (score.points, score.status) for score in card.scores},
        {item.item: item.answer for item in card.checklist},
        card.total,
        card.auto_failed,
        card.escalated,
        card.call_type,
        card.also,
        card.review_reasons,
    )


def rescore(
    store: Store,
    call_id: str,
    rubric_of: Callable[[str | None], Rubric],
    policy: Policy,
    *,
    now: datetime,
    within: timedelta,
    in_use: bool = True,
    keep: bool = True,
    channels: Sequence[str | Route] = (),
) -> Rescored:
    """The latest run of a call scored by ``rubric_of`` its queue, from its findings alone.

    Calls by the same caller ``within`` are repeat calls, which a checklist may ask about.
    The card is kept beside the run's others, with the alerts that it asks for; it becomes the one
    ``in_use``, unless that is false: then it raises no alert. Unless ``keep`` nothing is stored.
    What is wrong with the call is in the result; ``StoreError`` is raised when the database takes
    nothing.
    """
    try:
        run_id = store.latest_run(call_id)
        record = store.record(call_id, run_id=run_id)
        rubric = rubric_of(record.recording.queue)
        earlier_types = _earlier_types(store, record, within=within, now=now)
        card = _translated(
            call_id,
            lambda: make_scorecard(
                record.dialogue, record.findings, rubric, earlier_types=earlier_types
            ),
        )
        scored = _still_marked(replace(record, scorecard=card))
        alerts = (
            _translated(call_id, lambda: raise_alerts(scored, policy, now=now)) if in_use else ()
        )
        result = _compared(store, record, scored.scorecard, alerts, in_use=in_use)
    except QAMonitorError as error:
        return Rescored(call_id=call_id, error=error)
    is_news = not in_use or result.alerts or scored.scorecard != record.scorecard
    if keep and is_news:
        try:
            store.save_card(
                scored.scorecard, run_id, alerts, now=now, in_use=in_use, channels=channels
            )
        except (NotFoundError, StoreError) as error:
            if error.kind is not None:
                raise
            return Rescored(call_id=call_id, error=error)
    return result


def swap_roles(
    store: Store,
    call_id: str,
    scorer: Scorer,
    rubric_of: Callable[[str | None], Rubric],
    policy: Policy,
    *,
    now: datetime,
    within: timedelta,
    channels: Sequence[str | Route] = (),
) -> Rescored:
    """What agent and caller changing places changes: a new run of the call, from its stored text.

    Findings, score card, measures and alerts are made anew; that the roles are as they are is a
    person's word now, and certain. The run says so (``ROLES_SWAPPED``, and the version of the
    roles). Swapping them back takes the roles as they were first, with the certainty they had.
    Raises ``NotFoundError`` for an unknown call, ``UsageError`` where there is nothing to swap,
    ``ScoringError`` and ``StoreError``.
    """
    run_id = store.latest_run(call_id)
    record = store.record(call_id, run_id=run_id)
    origin = _origin(record)
    if origin is None:
        dialogue = _swapped(record.dialogue)
        roles = {_ROLES: f"{_FROM_RUN}{run_id}"}
        warnings = (*record.warnings, ROLES_SWAPPED)
    else:
        turns = store.record(call_id, run_id=origin).dialogue.turns
        dialogue = replace(record.dialogue, turns=turns)
        roles = {}
        warnings = tuple(code for code in record.warnings if code != ROLES_SWAPPED)
    findings = scorer.find(dialogue)
    rubric = rubric_of(record.recording.queue)
    earlier_types = _earlier_types(store, record, within=within, now=now)
    card = _translated(
        call_id,
        lambda: scorer.score(dialogue, findings, rubric, earlier_types=earlier_types),
    )
    metrics = _translated(call_id, lambda: call_metrics(dialogue))
    versions = {stage: version for stage, version in record.versions.items() if stage != _ROLES}
    swapped = _still_marked(
        CallRecord(
            recording=record.recording,
            dialogue=dialogue,
            findings=findings,
            scorecard=card,
            metrics={**record.metrics, **metrics},
            versions={
                **versions,
                **roles,
                "scoring": scorer.version,
                "rubric": card.rubric_version,
            },
            warnings=warnings,
        )
    )
    alerts = _translated(call_id, lambda: raise_alerts(swapped, policy, now=now))
    result = _compared(store, record, swapped.scorecard, alerts, in_use=True)
    store.save_record(swapped, alerts, now=now, channels=channels, after_run=run_id)
    return result


def _earlier_types(
    store: Store, record: CallRecord, *, within: timedelta, now: datetime
) -> Sequence[CallType | None]:
    """What the caller's earlier calls were about, as far as known."""
    return store.contacts_of(record.recording, within=within, now=now).earlier_types or ()


def _origin(record: CallRecord) -> int | None:
    """The run from which the roles of ``record`` were swapped, if they were."""
    version = record.versions.get(_ROLES, "")
    return int(version.removeprefix(_FROM_RUN)) if version.startswith(_FROM_RUN) else None


def _swapped(dialogue: RedactedDialogue) -> RedactedDialogue:
    if not any(turn.role in _OTHER_ROLE for turn in dialogue.turns):
        raise UsageError(
            f"call {dialogue.call_id}: no speaker is known as agent or caller, so there is nothing "
            "to swap. Say which channel is the agent's (agent_channel, in the call record or the "
            "configuration) and score the recording with --again.",
            call_id=dialogue.call_id,
        )

    def turned(turn: RedactedTurn) -> RedactedTurn:
        role = _OTHER_ROLE.get(turn.role)
        return turn if role is None else replace(turn, role=role, role_confidence=1.0)

    return replace(dialogue, turns=tuple(map(turned, dialogue.turns)))


def _still_marked(record: CallRecord) -> CallRecord:
    """``record`` for review where PHI was heard in its kept recording, which is as it was."""
    found = record.dialogue.verification
    if found is None:
        return record
    unheard = replace(record, dialogue=replace(record.dialogue, verification=None))
    return mark(unheard, found)


def _compared(
    store: Store, before: CallRecord, after: Scorecard, alerts: Sequence[Alert], *, in_use: bool
) -> Rescored:
    stored = {one.alert.alert_id: one for one in store.alerts(call_id=before.call_id)}
    ids = {alert.alert_id for alert in alerts}
    return Rescored(
        call_id=before.call_id,
        before=before.scorecard,
        after=after,
        alerts=tuple(
            alert
            for alert in alerts
            if alert.alert_id not in stored
            or alert.severity.rank < stored[alert.alert_id].alert.severity.rank
        ),
        outdated_alerts=tuple(
            one.alert.reason
            for alert_id, one in stored.items()
            if in_use and alert_id not in ids and one.state is AlertState.OPEN
        ),
    )


def _translated(call_id: str, work: Callable[[], _T]) -> _T:
    """What ``work`` returns; a foreign exception becomes ``ScoringError`` without its message."""
    try:
        return work()
    except QAMonitorError:
        raise
    except Exception as error:  # noqa: BLE001 - a message may quote the caller
        kind = type(error).__name__
    raise ScoringError(
        f"call {call_id}: scoring it anew failed ({kind}); it stays as it was. "
        "Score its recording with --again; if that fails too, report the kind of error.",
        call_id=call_id,
        kind=kind,
    )


# --- what changed over many calls ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionChange:
    """One criterion before and after: the mean over the calls that have points, and how many do.

    ``changed`` calls have other points, or points where there were none, or the reverse.
    """

    criterion: Criterion
    changed: int
    calls_before: int
    calls_after: int
    mean_before: float | None
    mean_after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoringSummary:
    """What became of many calls; totals are 0 to 100."""

    changed: int
    unchanged: int
    failed: int
    criteria: tuple[CriterionChange, ...]
    total_before: float | None
    total_after: float | None
    auto_failed_before: int
    auto_failed_after: int


def summarise(results: Sequence[Rescored]) -> RescoringSummary:
    """How many calls changed, and the means before and after."""
    pairs = [
        (one.before, one.after)
        for one in results
        if one.before is not None and one.after is not None
    ]
    changed = sum(one.is_changed for one in results)
    return RescoringSummary(
        changed=changed,
        unchanged=len(pairs) - changed,
        failed=len(results) - len(pairs),
        criteria=tuple(_change(criterion, pairs) for criterion in Criterion),
        total_before=_mean([before.total for before, _ in pairs]),
        total_after=_mean([after.total for _, after in pairs]),
        auto_failed_before=sum(bool(before.auto_failed) for before, _ in pairs),
        auto_failed_after=sum(bool(after.auto_failed) for _, after in pairs),
    )


def _change(criterion: Criterion, pairs: Sequence[tuple[Scorecard, Scorecard]]) -> CriterionChange:
    before = [points_of(card, criterion) for card, _ in pairs]
    after = [points_of(card, criterion) for _, card in pairs]
    return CriterionChange(
        criterion=criterion,
        changed=sum(one != other for one, other in zip(before, after, strict=True)),
        calls_before=sum(points is not None for points in before),
        calls_after=sum(points is not None for points in after),
        mean_before=_mean(before),
        mean_after=_mean(after),
    )


def points_of(card: Scorecard, criterion: Criterion) -> float | None:
    """The points of ``criterion``, ``None`` where there are none."""
    return next((score.points for score in card.scores if score.criterion is criterion), None)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
