"""Alerts as supervisors handle them: lists, states and who set them, and what the outbox holds.

The outbox holds the reminders too: when an alert is raised, a row is queued for each channel that
is told at once and for each step of the escalation, with the time at which it is due. Steps are
handed over only while the alert is open, so a restart forgets none and repeats none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, func, insert, or_, select, true, update

from qa_monitor.calls import Alert, EscalationOutcome, Evidence, Severity
from qa_monitor.errors import ConflictError, NotFoundError, UsageError
from qa_monitor.store.people import agents
from qa_monitor.store.rows import delivery_of, delivery_state_of, event_of, evidence_of
from qa_monitor.store.tables import (
    alert_events,
    alerts,
    calls,
    deliveries,
    runs,
    scorecards,
    transcripts,
)
from qa_monitor.store.tasks import note_change
from qa_monitor.store.values import AlertEvent, AlertState, Delivery, DeliveryState, Route

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

    from qa_monitor.store.database import Database
    from qa_monitor.store.people import Scope

__all__ = [
    "LONGEST_NOTE",
    "TRANSITIONS",
    "AlertCounts",
    "AlertPage",
    "AlertStory",
    "Alerting",
    "ListedAlert",
    "ReasonOutcomes",
    "by_need",
    "note_state",
    "queue_deliveries",
]

LONGEST_NOTE = 2000
"""Characters of a note on an alert."""

_FIRST_RETRY_S = 30.0
_LONGEST_RETRY_S = 3600.0

TRANSITIONS: Mapping[AlertState, frozenset[AlertState]] = {
    AlertState.OPEN: frozenset(
        {AlertState.ACKNOWLEDGED, AlertState.RESOLVED, AlertState.FALSE_ALARM}
    ),
    AlertState.ACKNOWLEDGED: frozenset(
        {AlertState.OPEN, AlertState.RESOLVED, AlertState.FALSE_ALARM}
    ),
    AlertState.RESOLVED: frozenset({AlertState.OPEN, AlertState.FALSE_ALARM}),
    AlertState.FALSE_ALARM: frozenset({AlertState.OPEN, AlertState.RESOLVED}),
}
"""Which states may follow which; to open is to give back what was acknowledged, or to reopen."""

_SAID = {
    AlertState.OPEN: "opened again",
    AlertState.ACKNOWLEDGED: "acknowledged",
    AlertState.RESOLVED: "resolved",
    AlertState.FALSE_ALARM: "called a false alarm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAlert:
    """A line of the list of alerts.

    ``team`` is that of the call's agent; ``place_s`` the second of the recording where its first
    evidence lies, ``None`` where there is none; ``set_by`` and ``set_at`` tell the last change of
    its state; ``told_at`` when the first channel had it.
    """

    alert: Alert
    state: AlertState
    run_id: int
    first_raised_at: datetime
    agent_id: str | None
    agent_name: str | None
    team: str | None
    escalated: EscalationOutcome | None
    place_s: float | None
    set_by: str
    set_at: datetime
    told_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPage:
    """A stretch of a list of ``total`` alerts."""

    alerts: tuple[ListedAlert, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStory:
    """One alert whole: who set which state, oldest first, and who was told, in the order queued."""

    listed: ListedAlert
    events: tuple[AlertEvent, ...]
    deliveries: tuple[DeliveryState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCounts:
    """How many alerts there are by state; of ``undelivered`` some channel would not be told yet."""

    by_state: Mapping[AlertState, int]
    undelivered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonOutcomes:
    """What became of the alerts of one reason (a rule of the policy).

    ``false_alarm_share`` is of those that people closed, ``None`` where none is.
    """

    reason: str
    raised: int
    by_state: Mapping[AlertState, int] = field(default_factory=dict)

    @property
    def false_alarm_share(self) -> float | None:
        """False alarms among closed alerts, 0 to 1."""
        false_alarms = self.by_state.get(AlertState.FALSE_ALARM, 0)
        closed = false_alarms + self.by_state.get(AlertState.RESOLVED, 0)
        return false_alarms / closed if closed else None


class Alerting:
    """``Store.alerting``; each method is one transaction, and raises ``StoreError``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read, self._write = database.read, database.write

    # --- reading ---------------------------------------------------------------------------------

    def alerts(
        self,
        scope: Scope | None = None,
        *,
        states: Iterable[AlertState] | None = None,
        severities: Iterable[Severity] | None = None,
        reason: str | None = None,
        team: str | None = None,
        call_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> AlertPage:
        """Alerts that fit all that is given; ``[since, until)`` is on when they were raised.

        Open ones first, then acknowledged, then closed; within open and acknowledged the most
        urgent first, then missed escalations, then the oldest; closed ones newest first.
        """
        chosen = _chosen(scope, since, until)
        if states is not None:
            chosen.append(alerts.c.state.in_([state.value for state in states]))
        if severities is not None:
            chosen.append(alerts.c.severity.in_([severity.value for severity in severities]))
        equal = ((alerts.c.reason, reason), (agents.c.team, team), (alerts.c.call_id, call_id))
        chosen += [column == value for column, value in equal if value is not None]

        def work(connection: Connection) -> AlertPage:
            total = connection.scalar(
                _joined(select(func.count()).select_from(alerts)).where(*chosen)
            )
            closed = alerts.c.state.in_((AlertState.RESOLVED.value, AlertState.FALSE_ALARM.value))
            found = connection.execute(
                _joined(_LISTED.select_from(alerts))
                .where(*chosen)
                .order_by(
                    case((alerts.c.state == AlertState.OPEN.value, 0), (closed, 2), else_=1),
                    case((closed, alerts.c.raised_at), else_=None).desc(),
                    *by_need(alerts.c.severity),
                )
                .limit(limit)
                .offset(offset)
            ).all()
            return AlertPage(alerts=self._listed(connection, found), total=total or 0)

        return self._read(work, call_id)

    def alert(self, alert_id: str, scope: Scope | None = None) -> AlertStory:
        """One alert; ``NotFoundError`` when there is none, or none within ``scope``."""
        chosen = [alerts.c.alert_id == alert_id, *_chosen(scope)]

        def work(connection: Connection) -> AlertStory | None:
            found = connection.execute(_joined(_LISTED.select_from(alerts)).where(*chosen)).all()
            if not found:
                return None
            events = connection.execute(
                select(alert_events)
                .where(alert_events.c.alert_id == alert_id)
                .order_by(alert_events.c.event_id)
            )
            told = connection.execute(
                select(deliveries)
                .where(deliveries.c.alert_id == alert_id)
                .order_by(deliveries.c.delivery_id)
            )
            return AlertStory(
                listed=self._listed(connection, found)[0],
                events=tuple(event_of(row) for row in events),
                deliveries=tuple(delivery_state_of(row) for row in told),
            )

        story = self._read(work)
        if story is None:
            raise _no_alert(alert_id)
        return story

    def _listed(self, connection: Connection, found: Sequence[Any]) -> tuple[ListedAlert, ...]:
        ids = [row.alert_id for row in found]
        places = _places(connection, found)
        last = (
            select(func.max(alert_events.c.event_id))
            .where(alert_events.c.alert_id.in_(ids))
            .group_by(alert_events.c.alert_id)
        )
        changes = {
            row.alert_id: row
            for row in connection.execute(
                select(alert_events).where(alert_events.c.event_id.in_(last))
            )
        }
        told: dict[str, datetime] = {}
        for row in connection.execute(
            select(deliveries.c.alert_id, deliveries.c.delivered_at).where(
                deliveries.c.alert_id.in_(ids), deliveries.c.delivered_at.is_not(None)
            )
        ):
            told[row.alert_id] = min(row.delivered_at, told.get(row.alert_id, row.delivered_at))
        return tuple(
            ListedAlert(
                alert=Alert(
                    alert_id=row.alert_id,
                    call_id=row.call_id,
                    severity=Severity(row.severity),
                    reason=row.reason,
                    evidence=evidence_of(row.evidence),
                    raised_at=row.raised_at,
                ),
                state=AlertState(row.state),
                run_id=row.run_id,
                first_raised_at=row.first_raised_at,
                agent_id=row.agent_id,
                agent_name=row.agent_name,
                team=row.team,
                escalated=EscalationOutcome(row.escalated) if row.escalated else None,
                place_s=places.get(row.alert_id),
                set_by=changes[row.alert_id].set_by,
                set_at=changes[row.alert_id].set_at,
                told_at=told.get(row.alert_id),
            )
            for row in found
        )

    def counts(self, scope: Scope | None = None) -> AlertCounts:
        """How many alerts are in which state, every state named."""
        failing = (
            select(deliveries.c.alert_id)
            .where(
                deliveries.c.alert_id == alerts.c.alert_id,
                deliveries.c.delivered_at.is_(None),
                deliveries.c.attempts > 0,
            )
            .exists()
        )
        chosen = _chosen(scope)

        def work(connection: Connection) -> AlertCounts:
            by_state = dict.fromkeys(AlertState, 0)
            for row in connection.execute(
                _joined(select(alerts.c.state, func.count().label("n")).select_from(alerts))
                .where(*chosen)
                .group_by(alerts.c.state)
            ):
                by_state[AlertState(row.state)] = row.n
            undelivered = connection.scalar(
                _joined(select(func.count()).select_from(alerts)).where(*chosen, failing)
            )
            return AlertCounts(by_state=by_state, undelivered=undelivered or 0)

        return self._read(work)

    def outcomes(
        self,
        scope: Scope | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[ReasonOutcomes, ...]:
        """What people made of alerts raised in ``[since, until)``, by reason in alphabetical order.

        The share of false alarms is how well a rule of the policy agrees with people.
        """
        query = (
            _joined(
                select(alerts.c.reason, alerts.c.state, func.count().label("n")).select_from(alerts)
            )
            .where(*_chosen(scope, since, until))
            .group_by(alerts.c.reason, alerts.c.state)
        )
        by_reason: dict[str, dict[AlertState, int]] = {}
        for row in self._read(lambda c: c.execute(query).all()):
            by_reason.setdefault(row.reason, dict.fromkeys(AlertState, 0))[
                AlertState(row.state)
            ] = row.n
        return tuple(
            ReasonOutcomes(reason=reason, raised=sum(by_state.values()), by_state=by_state)
            for reason, by_state in sorted(by_reason.items())
        )

    # --- handling --------------------------------------------------------------------------------

    def set_state(
        self,
        alert_id: str,
        state: AlertState | str,
        *,
        by: str,
        now: datetime,
        note: str | None = None,
        was: AlertState | str | None = None,
        scope: Scope | None = None,
    ) -> AlertEvent:
        """Note what ``by`` (a person's account) made of an alert, and why; what was noted.

        ``was`` is the state that the person saw. Raises ``ConflictError``, which says who was
        first, when it is another by now, and when ``TRANSITIONS`` does not lead from the present
        state to this one; ``UsageError`` for an unknown state or too long a note, ``NotFoundError``
        when there is no such alert within ``scope``.
        """
        if state not in set(AlertState):
            raise UsageError(f"an alert cannot be made that. Its states: {', '.join(AlertState)}.")
        state = AlertState(state)
        note = (note or "").strip() or None
        if note is not None and len(note) > LONGEST_NOTE:
            raise UsageError(f"the note is over {LONGEST_NOTE} characters long. Shorten it.")
        chosen = [alerts.c.alert_id == alert_id, *_chosen(scope)]

        def work(connection: Connection) -> AlertEvent | None:
            # Held until the transaction ends: SQLite has one writer, PostgreSQL locks the row.
            found = connection.execute(
                _joined(select(alerts).select_from(alerts))
                .where(*chosen)
                .with_for_update(of=alerts)
            ).one_or_none()
            if found is None:
                return None
            present = AlertState(found.state)
            if (was is not None and present != was) or state not in TRANSITIONS[present]:
                raise self._conflict(connection, alert_id, present)
            own = alerts.c.alert_id == alert_id
            connection.execute(update(alerts).where(own).values(state=state.value))
            note_state(connection, alert_id, state, now, by=by, note=note)
            note_change(connection, found.call_id)
            if state is AlertState.OPEN:
                _restart_steps(connection, alert_id, found.severity, now)
            return event_of(
                connection.execute(
                    select(alert_events)
                    .where(alert_events.c.alert_id == alert_id)
                    .order_by(alert_events.c.event_id.desc())
                    .limit(1)
                ).one()
            )

        event = self._write(work)
        if event is None:
            raise _no_alert(alert_id)
        return event

    @staticmethod
    def _conflict(connection: Connection, alert_id: str, present: AlertState) -> ConflictError:
        last = connection.execute(
            select(alert_events)
            .where(alert_events.c.alert_id == alert_id)
            .order_by(alert_events.c.event_id.desc())
            .limit(1)
        ).one()
        return ConflictError(
            f"{last.set_by} was first: the alert was {_SAID[present]} at "
            f"{last.set_at:%H:%M} UTC on {last.set_at:%d %b %Y}. Look at it again, then decide."
        )

    # --- the outbox ------------------------------------------------------------------------------

    def pending(
        self, channel: str, *, now: datetime, limit: int, retry_now: bool = False
    ) -> tuple[Delivery, ...]:
        """What ``channel`` is to be told of by ``now``, in the order in which it matters.

        The most urgent first, then calls that nobody escalated, then the oldest. Steps of the
        escalation come only while their alert is open. ``retry_now`` brings what failed before its
        time too.
        """
        due = deliveries.c.next_attempt_at <= now
        if retry_now:
            due = or_(due, and_(deliveries.c.attempts > 0, deliveries.c.is_held.is_(False)))
        query = (
            select(
                alerts,
                deliveries.c.delivery_id,
                deliveries.c.channel,
                deliveries.c.severity.label("told_severity"),
                deliveries.c.is_raise,
                deliveries.c.attempts,
                deliveries.c.step,
                deliveries.c.is_held,
            )
            .join(deliveries, deliveries.c.alert_id == alerts.c.alert_id)
            .join(runs, runs.c.run_id == alerts.c.run_id)
            .join(scorecards, scorecards.c.card_id == runs.c.card_id)
            .where(deliveries.c.channel == channel, _IS_WANTED, due)
            .order_by(*by_need(deliveries.c.severity), deliveries.c.step)
            .limit(limit)
        )
        return self._read(lambda c: tuple(delivery_of(row) for row in c.execute(query)))

    def waiting(self, channels: Iterable[str]) -> int:
        """How much these channels are still to be told of, but for steps before their time."""
        query = (
            select(func.count())
            .select_from(deliveries)
            .join(alerts, alerts.c.alert_id == deliveries.c.alert_id)
            .where(
                deliveries.c.channel.in_(list(channels)),
                _IS_WANTED,
                or_(deliveries.c.step == 0, deliveries.c.attempts > 0, deliveries.c.is_held),
            )
        )
        return self._read(lambda c: c.scalar(query) or 0)

    def next_due(self, channels: Iterable[str]) -> datetime | None:
        """When the next of these channels is to be told of something; ``None``: of nothing."""
        query = (
            select(func.min(deliveries.c.next_attempt_at))
            .join(alerts, alerts.c.alert_id == deliveries.c.alert_id)
            .where(deliveries.c.channel.in_(list(channels)), _IS_WANTED)
        )
        due_at: datetime | None = self._read(lambda c: c.scalar(query))
        return due_at

    def hold(self, delivery_ids: Iterable[int], *, until: datetime) -> None:
        """Let these wait for the end of quiet hours."""
        statement = (
            update(deliveries)
            .where(
                deliveries.c.delivery_id.in_(list(delivery_ids)),
                deliveries.c.delivered_at.is_(None),
            )
            .values(is_held=True, next_attempt_at=until)
        )
        self._write(lambda c: c.execute(statement))

    def delivered(self, delivery_id: int, *, now: datetime) -> None:
        """Note that the channel has taken it; it is not sent again."""
        statement = (
            update(deliveries)
            .where(deliveries.c.delivery_id == delivery_id, deliveries.c.delivered_at.is_(None))
            .values(delivered_at=now, attempts=deliveries.c.attempts + 1, last_error=None)
        )
        self._write(lambda c: c.execute(statement))

    def failed(self, delivery_id: int, *, error_kind: str, now: datetime) -> None:
        """Note that the channel did not take it, and when to try again.

        The first retry waits 30 s, each further one twice as long, an hour at most; there is no
        last one. ``error_kind`` is the name of a kind of error, never its text.
        """

        def work(connection: Connection) -> None:
            own = and_(deliveries.c.delivery_id == delivery_id, deliveries.c.delivered_at.is_(None))
            attempts = connection.scalar(select(deliveries.c.attempts).where(own))
            if attempts is None:
                return
            wait_s = min(_FIRST_RETRY_S * 2.0 ** min(attempts, 20), _LONGEST_RETRY_S)
            connection.execute(
                update(deliveries)
                .where(own)
                .values(
                    attempts=attempts + 1,
                    next_attempt_at=now + timedelta(seconds=wait_s),
                    last_error=error_kind,
                )
            )

        self._write(work)


# --- within the transactions of the store --------------------------------------------------------


def queue_deliveries(
    connection: Connection, alert: Alert, channels: Sequence[str | Route], now: datetime
) -> None:
    """Queue ``alert`` for the channels that it goes to; a plain name is told of every alert.

    What they were still to be told of a lower severity is moot.
    """
    routes = [route if isinstance(route, Route) else Route(channel=route) for route in channels]
    if not routes:
        return
    team = connection.scalar(
        select(agents.c.team)
        .join(calls, calls.c.agent_id == agents.c.agent_id)
        .where(calls.c.call_id == alert.call_id)
    )
    own = deliveries.c.alert_id == alert.alert_id
    connection.execute(
        delete(deliveries).where(
            own,
            deliveries.c.channel.in_({route.channel for route in routes}),
            deliveries.c.delivered_at.is_(None),
        )
    )
    told_before = set(
        connection.scalars(select(deliveries.c.channel).where(own, deliveries.c.step == 0))
    )
    # By channel and step: one whom two settings name is told once.
    taken = {
        (route.channel, route.step): route for route in routes if route.takes(alert.severity, team)
    }
    for route in taken.values():
        connection.execute(
            insert(deliveries).values(
                alert_id=alert.alert_id,
                channel=route.channel,
                severity=alert.severity.value,
                is_raise=route.channel in told_before,
                queued_at=now,
                attempts=0,
                next_attempt_at=now + timedelta(seconds=route.after_s),
                step=route.step,
                after_s=route.after_s,
                is_held=False,
            )
        )


def note_state(
    connection: Connection,
    alert_id: str,
    state: AlertState,
    now: datetime,
    *,
    by: str,
    note: str | None = None,
) -> None:
    """Add to the history of an alert."""
    severity = connection.scalar(select(alerts.c.severity).where(alerts.c.alert_id == alert_id))
    connection.execute(
        insert(alert_events).values(
            alert_id=alert_id,
            state=state.value,
            severity=severity,
            set_at=now,
            set_by=by,
            note=note,
        )
    )


def _restart_steps(connection: Connection, alert_id: str, severity: str, now: datetime) -> None:
    """Let the escalation begin anew: what was not sent gets its time again, what was is repeated.

    What was sent stands in the history, so its repetition is a further step.
    """
    steps = connection.execute(
        select(deliveries).where(
            deliveries.c.alert_id == alert_id,
            deliveries.c.severity == severity,
            deliveries.c.step > 0,
        )
    ).all()
    last = max((row.step for row in steps), default=0)
    repeated = set()
    for row in steps:
        due_at = now + timedelta(seconds=row.after_s)
        if row.delivered_at is None:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.delivery_id == row.delivery_id)
                .values(attempts=0, next_attempt_at=due_at, last_error=None, is_held=False)
            )
        elif (row.channel, row.after_s) not in repeated:
            repeated.add((row.channel, row.after_s))
            values = {**row._mapping, "step": row.step + last, "queued_at": now}
            values |= {"attempts": 0, "next_attempt_at": due_at, "delivered_at": None}
            values |= {"last_error": None, "is_held": False}
            del values["delivery_id"]
            connection.execute(insert(deliveries).values(**values))


# --- parts of queries ----------------------------------------------------------------------------

_IS_WANTED = and_(
    deliveries.c.delivered_at.is_(None),
    or_(deliveries.c.step == 0, alerts.c.state == AlertState.OPEN.value),
)

_LISTED = select(
    alerts,
    calls.c.agent_id,
    agents.c.name.label("agent_name"),
    agents.c.team,
    scorecards.c.escalated,
)


def _joined(query: Select[Any]) -> Select[Any]:
    """``query`` of alerts, with the call, its agent and the card in use."""
    return (
        query.join(calls, calls.c.call_id == alerts.c.call_id)
        .outerjoin(agents, agents.c.agent_id == calls.c.agent_id)
        .join(runs, runs.c.run_id == alerts.c.run_id)
        .join(scorecards, scorecards.c.card_id == runs.c.card_id)
    )


def _chosen(
    scope: Scope | None, since: datetime | None = None, until: datetime | None = None
) -> list[ColumnElement[bool]]:
    chosen: list[ColumnElement[bool]] = [true() if scope is None else scope.condition()]
    if since is not None:
        chosen.append(alerts.c.raised_at >= since)
    if until is not None:
        chosen.append(alerts.c.raised_at < until)
    return chosen


def by_need(severity: ColumnElement[str]) -> tuple[ColumnElement[Any], ...]:
    """The order in which supervisors need alerts; wants their runs' cards in the query."""
    by_severity = case({level.value: level.rank for level in Severity}, value=severity)
    by_outcome = case(
        (scorecards.c.escalated == EscalationOutcome.MISSED.value, 0),
        (scorecards.c.escalated.is_(None), 1),
        (scorecards.c.escalated == EscalationOutcome.LATE_OR_PARTIAL.value, 2),
        else_=3,
    )
    return by_severity, by_outcome, alerts.c.raised_at, alerts.c.alert_id


def _places(connection: Connection, found: Sequence[Any]) -> dict[str, float]:
    """The second of the recording at which the first evidence of each alert lies."""
    first: dict[str, tuple[int, Evidence]] = {}
    for row in found:
        if evidence := evidence_of(row.evidence):
            first[row.alert_id] = (row.run_id, evidence[0])
    query = select(transcripts.c.run_id, transcripts.c.dialogue).where(
        transcripts.c.run_id.in_({run_id for run_id, _ in first.values()})
    )
    starts = {
        row.run_id: [turn.get("start_s") for turn in json.loads(row.dialogue)["turns"]]
        for row in connection.execute(query)
    }
    places = {}
    for alert_id, (run_id, place) in first.items():
        of_run = starts.get(run_id, [])
        if place.turn_index < len(of_run) and of_run[place.turn_index] is not None:
            places[alert_id] = float(of_run[place.turn_index])
    return places


def _no_alert(alert_id: str) -> NotFoundError:
    shown = alert_id if alert_id.isascii() and alert_id.replace("-", "").isalnum() else "of that id"
    return NotFoundError(f"no alert {shown[:80]}. See them with: qa-monitor alerts")
