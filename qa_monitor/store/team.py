"""What the team page counts: sums over many calls, made in the database.

``call_figures`` holds what sums need of a call and no other table has ready: handle time, the
answers of its checklist, whether a follow-up was promised, and whose contact it was. One narrow
row a call; ``note_figures`` keeps it true in the transactions that change it. What lists are
filtered by is counted from ``call_index``, so that a figure and the list behind it agree.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    and_,
    case,
    false,
    func,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from qa_monitor.calls import (
    CallType,
    ChecklistAnswer,
    Criterion,
    Direction,
    EscalationOutcome,
)
from qa_monitor.store.browsing import call_index
from qa_monitor.store.people import Scope, agents
from qa_monitor.store.reporting import ScoreSum, latest_words
from qa_monitor.store.reviews import OUTCOME, checklist_subject
from qa_monitor.store.tables import calls, metadata, runs, scorecards, transcripts

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Subquery

    from qa_monitor.store.database import Database

__all__ = [
    "CallCounts",
    "ChecklistCount",
    "ContactCounts",
    "HandleTime",
    "Promise",
    "PromiseState",
    "PromisedCall",
    "Team",
    "TeamCounts",
    "figures_of",
    "note_figures",
]

_PROMISES = {("checklist", "follow_up"), ("escalation_action", "timed_callback")}
"""Findings that say that somebody will get back to the caller."""

_SCORED = (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)
_SHOWN_PROMISES = 10
_DAY_S = 86400.0
_QUARTER_S = 900
_CHECKLIST = checklist_subject("")


# --- what is told --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HandleTime:
    """How many calls of one type (``None``: unsure) took how many whole seconds.

    ``bases`` counts the calls by what their handle time rests on (see ``calls.Measure``).
    """

    call_type: CallType | None
    seconds: Mapping[int, int]
    bases: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCounts:
    """Scored calls that began in a period, counted as the machine's cards in use have them.

    ``outcomes`` are of calls by urgency (0 to 3, ``None``: unsure) and outcome of the escalation;
    of ``corrected_outcomes`` calls a person found another outcome. ``by_quarter`` counts calls by
    the quarter of an hour, in UTC, in which they began.
    """

    calls: int
    by_quarter: Mapping[datetime, int]
    by_type: Mapping[CallType | None, int]
    outcomes: Mapping[tuple[int | None, EscalationOutcome | None], int]
    corrected_outcomes: int
    abstained: int
    for_review: int
    reviewed: int
    auto_failed: int
    outbound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactCounts:
    """Contacts of callers that are known: interactions that the centre did not place.

    ``repeated`` had another contact by the same caller in the days before. The others are first
    contacts: ``settled`` ones, by the call record or because the caller did not phone again,
    ``unsettled`` ones, and ``open`` ones, of which it cannot be told yet. Of ``by_record`` of the
    settled and unsettled the call record told.
    """

    contacts: int
    repeated: int
    settled: int
    unsettled: int
    open: int
    by_record: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistCount:
    """How often one item of the checklists was answered yes, no and unsure, corrected by people."""

    item: str
    yes: int
    no: int
    unsure: int


class PromiseState(StrEnum):
    """What other calls tell of a promised follow-up; that nothing is seen is no proof."""

    CALLED_BACK = "called_back"
    """The centre called the same number within the days."""
    PHONED_AGAIN = "phoned_again"
    """The caller phoned again first."""
    NOT_SEEN = "not_seen"
    OPEN = "open"
    """The days are not over."""
    CALLER_UNKNOWN = "caller_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """How many promised follow-ups came to what."""

    state: PromiseState
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromisedCall:
    """A call in which a follow-up was promised; ``seen_after_s`` until what was seen, if any."""

    call_id: str
    started_at: datetime
    call_type: CallType | None
    state: PromiseState
    seen_after_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamCounts:
    """All counts of one period."""

    calls: CallCounts
    scores: tuple[ScoreSum, ...]
    handle_times: tuple[HandleTime, ...]
    contacts: ContactCounts
    checklist: tuple[ChecklistCount, ...]
    promises: tuple[Promise, ...]


# --- the table -----------------------------------------------------------------------------------

call_figures = Table(
    "call_figures",
    metadata,
    Column(
        "call_id",
        ForeignKey("calls.call_id", ondelete="CASCADE"),
        primary_key=True,
        nullable=False,
    ),
    Column("agent_id", Text),
    # Seconds since 1970, so that every database can take one from the other, and quarters of an
    # hour, of which the hours and days of any time zone are made.
    Column("began_s", Double, index=True),
    Column("quarter", Integer),
    Column("is_outbound", Boolean, nullable=False),
    # A number made of the caller's key: what is sorted and compared most is short.
    Column("caller", BigInteger),
    # The interaction of its legs, else the call itself.
    Column("contact", Text, nullable=False),
    Column("resolved", Boolean),
    Column("call_type", Text),
    # Whole seconds, so that the database can count the calls of each.
    Column("handle_s", Integer),
    Column("handle_basis", Text),
    Column("is_promised", Boolean, nullable=False),
    # "greeting:yes identity:no": calls of the same answers are grouped by the database.
    Column("checklist", Text, nullable=False),
    # All that contacts are told by, so that no row is looked up for it.
    Index(
        "ix_call_figures_contacts",
        "caller",
        "contact",
        "began_s",
        "is_outbound",
        "resolved",
        "agent_id",
    ),
)


def note_figures(connection: Connection, call_id: str) -> None:
    """Bring the figures of a call up to date, in the transaction that changed it."""
    row = connection.execute(
        select(
            calls.c.call_id,
            calls.c.agent_id,
            calls.c.started_at,
            calls.c.direction,
            calls.c.caller_key,
            calls.c.interaction_id,
            calls.c.resolved,
            calls.c.hold_s,
            calls.c.after_call_s,
            scorecards.c.call_type,
            runs.c.metrics,
            scorecards.c.checklist,
            transcripts.c.findings,
        )
        .join(runs, runs.c.run_id == calls.c.latest_run_id)
        .join(scorecards, scorecards.c.card_id == runs.c.card_id)
        .join(transcripts, transcripts.c.run_id == runs.c.run_id)
        .where(calls.c.call_id == call_id)
    ).one()
    values = figures_of(row)
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        make(call_figures)
        .values(**values)
        .on_conflict_do_update(
            index_elements=[call_figures.c.call_id],
            set_={name: value for name, value in values.items() if name != "call_id"},
        )
    )


def figures_of(row: Any) -> dict[str, Any]:
    """The columns of ``call_figures``, of a row with its call, run, card and findings."""
    began_s = None if row.started_at is None else row.started_at.timestamp()
    handle_s, basis = _handle_time(json.loads(row.metrics), row.hold_s, row.after_call_s)
    findings = json.loads(row.findings)
    return {
        "call_id": row.call_id,
        "agent_id": row.agent_id,
        "began_s": began_s,
        "quarter": None if began_s is None else int(began_s // _QUARTER_S),
        "is_outbound": row.direction == Direction.OUTBOUND.value,
        "caller": None if row.caller_key is None else _caller(row.caller_key),
        "contact": row.interaction_id or row.call_id,
        "resolved": row.resolved,
        "call_type": row.call_type,
        "handle_s": None if handle_s is None else round(handle_s),
        "handle_basis": basis,
        "is_promised": any((one["task"], one["label"]) in _PROMISES for one in findings),
        "checklist": " ".join(
            f"{item['item']}:{item['answer']}" for item in json.loads(row.checklist)
        ),
    }


def _caller(key: str) -> int:
    """60 bits of the key's hash: of a million callers any two are alike with odds below 1e-6."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:15], 16)


def _handle_time(
    metrics: Mapping[str, float], hold_s: float | None, after_call_s: float | None
) -> tuple[float | None, str | None]:
    """Handle time and its basis, as ``scoring.metrics`` tells them of one call."""
    heard_hold_s = metrics.get("hold_estimated_s")
    held_s = heard_hold_s if hold_s is None else hold_s
    if "talk_span_s" not in metrics or held_s is None:
        return None, None
    talk_s = metrics["talk_span_s"] - metrics.get("queue_s", 0.0) - (heard_hold_s or 0.0)
    basis = [
        *["estimated"] * (hold_s is None),
        *["without_after_call"] * (after_call_s is None),
    ]
    return max(0.0, talk_s) + held_s + (after_call_s or 0.0), "_".join(basis) or "call_record"


# --- the counts ----------------------------------------------------------------------------------


class Team:
    """``Store.team``; each method is one transaction, and raises ``StoreError``."""

    def __init__(self, database: Database) -> None:
        self._read = database.read

    def counts(
        self,
        scope: Scope,
        periods: Sequence[tuple[datetime, datetime]],
        *,
        within: timedelta,
        now: datetime,
    ) -> tuple[TeamCounts, ...]:
        """The counts of calls in ``scope`` that began in each of ``periods``, ``[since, until)``.

        A contact by the same caller ``within`` the days before is a repeat one. Of undated calls
        nothing is counted.
        """

        def work(connection: Connection) -> tuple[TeamCounts, ...]:
            contacts = _contacts(connection, scope, periods, within=within, now=now)
            return tuple(
                TeamCounts(
                    calls=_call_counts(connection, scope, since, until),
                    scores=_scores(connection, scope, since, until),
                    handle_times=_handle_times(connection, scope, since, until),
                    contacts=own,
                    checklist=_checklist(connection, scope, since, until),
                    promises=_promises(connection, scope, since, until, within=within, now=now),
                )
                for (since, until), own in zip(periods, contacts, strict=True)
            )

        return self._read(work)

    def promised(
        self, scope: Scope, since: datetime, until: datetime, *, within: timedelta, now: datetime
    ) -> tuple[PromisedCall, ...]:
        """The newest promised follow-ups of which no call back was seen, up to ten."""

        def work(connection: Connection) -> tuple[PromisedCall, ...]:
            promised = _promised(connection, scope, since, until, within=within, now=now)
            wanted = (PromiseState.PHONED_AGAIN.value, PromiseState.NOT_SEEN.value)
            rows = connection.execute(
                select(promised)
                .where(promised.c.state.in_(wanted))
                .order_by(promised.c.began_s.desc(), promised.c.call_id)
                .limit(_SHOWN_PROMISES)
            )
            return tuple(
                PromisedCall(
                    call_id=row.call_id,
                    started_at=datetime.fromtimestamp(row.began_s, UTC),
                    call_type=CallType(row.call_type) if row.call_type else None,
                    state=PromiseState(row.state),
                    seen_after_s=row.seen_after_s,
                )
                for row in rows
            )

        return self._read(work)


def _indexed(scope: Scope, since: datetime, until: datetime) -> ColumnElement[bool]:
    # What begins is sorted by its beginning, which has an index.
    return and_(
        call_index.c.sorted_at >= since,
        call_index.c.sorted_at < until,
        call_index.c.started_at.is_not(None),
        scope.condition(call_index.c.agent_id),
    )


def _figured(scope: Scope, since: datetime, until: datetime) -> ColumnElement[bool]:
    return and_(
        call_figures.c.began_s >= since.timestamp(),
        call_figures.c.began_s < until.timestamp(),
        scope.condition(call_figures.c.agent_id),
    )


def _call_counts(
    connection: Connection, scope: Scope, since: datetime, until: datetime
) -> CallCounts:
    chosen = _indexed(scope, since, until)
    index = call_index.c

    kinds = (
        index.call_type,
        index.urgency,
        index.escalated,
        index.is_abstained,
        index.needs_review,
        index.is_auto_failed,
        index.direction,
        index.reviewed_at.is_not(None).label("is_reviewed"),
    )
    rows = connection.execute(
        select(*kinds, func.count().label("calls")).where(chosen).group_by(*kinds)
    ).all()

    quarter = call_figures.c.quarter
    quarters = select(quarter, func.count()).where(_figured(scope, since, until)).group_by(quarter)

    def total(which: Callable[[Any], bool]) -> int:
        return sum(row.calls for row in rows if which(row))

    by_type: Counter[CallType | None] = Counter()
    outcomes: Counter[tuple[int | None, EscalationOutcome | None]] = Counter()
    for row in rows:
        by_type[CallType(row.call_type) if row.call_type else None] += row.calls
        escalated = EscalationOutcome(row.escalated) if row.escalated else None
        outcomes[row.urgency, escalated] += row.calls
    words = latest_words()
    corrected = connection.scalar(
        select(func.count())
        .select_from(words)
        .join(runs, runs.c.run_id == words.c.run_id)
        .join(calls, calls.c.latest_run_id == runs.c.run_id)
        .join(call_index, index.call_id == calls.c.call_id)
        .where(words.c.subject == OUTCOME, words.c.is_correction, chosen)
    )
    return CallCounts(
        calls=total(lambda _: True),
        by_quarter={
            datetime.fromtimestamp(row[0] * _QUARTER_S, UTC): row[1]
            for row in connection.execute(quarters)
        },
        by_type=by_type,
        outcomes=outcomes,
        corrected_outcomes=corrected or 0,
        abstained=total(lambda row: row.is_abstained),
        for_review=total(lambda row: row.needs_review),
        reviewed=total(lambda row: row.is_reviewed),
        auto_failed=total(lambda row: row.is_auto_failed),
        outbound=total(lambda row: row.direction == Direction.OUTBOUND.value),
    )


def _scores(
    connection: Connection, scope: Scope, since: datetime, until: datetime
) -> tuple[ScoreSum, ...]:
    """What ``Reporting.sums`` gives, of the points that stand ready for lists, then corrected."""
    chosen = _indexed(scope, since, until)
    index = call_index.c
    points = {criterion: index[criterion.value] for criterion in _SCORED}
    parts = [
        part
        for column in points.values()
        for part in (func.count(column), func.sum(column), func.sum(column * column))
    ]
    found: dict[tuple[str, Criterion], list[float]] = {}
    for agent_id, *values in connection.execute(
        select(index.agent_id, *parts)
        .where(chosen, index.agent_id.is_not(None))
        .group_by(index.agent_id)
    ):
        for number, criterion in enumerate(_SCORED):
            three = values[3 * number : 3 * number + 3]
            found[agent_id, criterion] = [value or 0.0 for value in three]
    words = latest_words()
    for row in connection.execute(
        select(index.agent_id, words.c.subject, words.c.points, *points.values())
        .join(calls, calls.c.latest_run_id == words.c.run_id)
        .join(call_index, index.call_id == calls.c.call_id)
        .where(
            chosen,
            words.c.is_correction,
            words.c.subject.in_([criterion.value for criterion in _SCORED]),
            index.agent_id.is_not(None),
        )
    ):
        sums = found[row.agent_id, Criterion(row.subject)]
        for value, sign in ((getattr(row, row.subject), -1), (row.points, 1)):
            if value is not None:
                for number, part in enumerate((1, value, value * value)):
                    sums[number] += sign * part
    teams = {
        row.agent_id: row.team
        for row in connection.execute(select(agents.c.agent_id, agents.c.team))
    }
    return tuple(
        ScoreSum(
            agent_id=agent_id,
            team=teams.get(agent_id),
            criterion=criterion,
            calls=round(sums[0]),
            points=sums[1],
            squares=sums[2],
        )
        for (agent_id, criterion), sums in sorted(found.items())
        if round(sums[0])
    )


def _handle_times(
    connection: Connection, scope: Scope, since: datetime, until: datetime
) -> tuple[HandleTime, ...]:
    figures = call_figures.c
    what = (figures.call_type, figures.handle_s, figures.handle_basis)
    seconds: dict[str | None, Counter[int]] = {}
    bases: dict[str | None, Counter[str]] = {}
    for call_type, handle_s, basis, count in connection.execute(
        select(*what, func.count())
        .where(_figured(scope, since, until), figures.handle_s.is_not(None))
        .group_by(*what)
    ):
        seconds.setdefault(call_type, Counter())[handle_s] += count
        bases.setdefault(call_type, Counter())[basis] += count
    return tuple(
        HandleTime(
            call_type=CallType(call_type) if call_type else None,
            seconds=found,
            bases=bases[call_type],
        )
        for call_type, found in sorted(seconds.items(), key=lambda pair: str(pair[0]))
    )


# --- contacts ------------------------------------------------------------------------------------


def _contacts(
    connection: Connection,
    scope: Scope,
    periods: Sequence[tuple[datetime, datetime]],
    *,
    within: timedelta,
    now: datetime,
) -> tuple[ContactCounts, ...]:
    """Repeat contacts and first-contact resolution, as ``contacts`` tells them of one call."""
    figures, within_s = call_figures.c, within.total_seconds()
    first = min(since for since, _ in periods).timestamp()
    last = max(until for _, until in periods).timestamp()
    each = (
        select(
            figures.caller,
            func.min(figures.began_s).label("began_s"),
            # What any leg of the contact says; that it was settled before that it was not.
            func.max(case((figures.resolved, 1), (figures.resolved.is_(False), 0))).label("said"),
            func.max(case((scope.condition(figures.agent_id), 1), else_=0)).label("is_chosen"),
        )
        .where(
            figures.caller.is_not(None),
            figures.is_outbound.is_(False),
            figures.began_s >= first - within_s - _DAY_S,
            figures.began_s < last + within_s + _DAY_S,
        )
        .group_by(figures.caller, figures.contact)
        .subquery()
    )

    def beside(value: Any) -> ColumnElement[float | None]:
        moved: ColumnElement[float | None] = value.over(
            partition_by=each.c.caller, order_by=each.c.began_s
        )
        return moved

    placed = select(
        each.c.began_s,
        each.c.said,
        each.c.is_chosen,
        (each.c.began_s - beside(func.lag(each.c.began_s))).label("since_last_s"),
        (beside(func.lead(each.c.began_s)) - each.c.began_s).label("until_next_s"),
    ).subquery()
    closed_until = min(now.timestamp(), _newest(connection) or now.timestamp()) - within_s
    is_repeat = func.coalesce(placed.c.since_last_s <= within_s, false())
    is_again = func.coalesce(placed.c.until_next_s <= within_s, false())
    state = case(
        (is_repeat, "repeated"),
        (placed.c.said == 1, "settled_by_record"),
        (placed.c.said == 0, "unsettled_by_record"),
        (is_again, "unsettled"),
        (placed.c.began_s <= closed_until, "settled"),
        else_="open",
    )
    period = case(
        *(
            (
                and_(placed.c.began_s >= since.timestamp(), placed.c.began_s < until.timestamp()),
                number,
            )
            for number, (since, until) in enumerate(periods)
        )
    )
    # Named first and grouped then: PostgreSQL takes two equal cases for two different ones.
    stated = (
        select(period.label("period"), state.label("state"))
        .where(placed.c.is_chosen == 1, period.is_not(None))
        .subquery()
    )
    found: list[Counter[str]] = [Counter() for _ in periods]
    for number, name, count in connection.execute(
        select(stated.c.period, stated.c.state, func.count()).group_by(
            stated.c.period, stated.c.state
        )
    ):
        found[number][name] += count
    return tuple(
        ContactCounts(
            contacts=one.total(),
            repeated=one["repeated"],
            settled=one["settled"] + one["settled_by_record"],
            unsettled=one["unsettled"] + one["unsettled_by_record"],
            open=one["open"],
            by_record=one["settled_by_record"] + one["unsettled_by_record"],
        )
        for one in found
    )


def _newest(connection: Connection) -> float | None:
    """When the newest call began: what came in after it is not known."""
    newest: float | None = connection.scalar(select(func.max(call_figures.c.began_s)))
    return newest


# --- promises ------------------------------------------------------------------------------------


def _promised(
    connection: Connection,
    scope: Scope,
    since: datetime,
    until: datetime,
    *,
    within: timedelta,
    now: datetime,
) -> Subquery:
    """The calls in which a follow-up was promised, each with what other calls tell of it."""
    figures, within_s = call_figures.c, within.total_seconds()
    other = call_figures.alias("other")

    def first(*which: ColumnElement[bool]) -> ColumnElement[float | None]:
        return (
            select(func.min(other.c.began_s))
            .where(
                other.c.caller == figures.caller,
                other.c.began_s > figures.began_s,
                other.c.began_s <= figures.began_s + within_s,
                *which,
            )
            .correlate(call_figures)
            .scalar_subquery()
        )

    times = (
        select(
            figures.call_id,
            figures.began_s,
            figures.call_type,
            figures.caller,
            first(other.c.is_outbound).label("called_at"),
            first(other.c.is_outbound.is_(False), other.c.contact != figures.contact).label(
                "phoned_at"
            ),
        )
        .where(_figured(scope, since, until), figures.is_promised)
        .subquery()
    )
    closed_until = min(now.timestamp(), _newest(connection) or now.timestamp()) - within_s
    is_called = and_(
        times.c.called_at.is_not(None),
        or_(times.c.phoned_at.is_(None), times.c.called_at <= times.c.phoned_at),
    )
    state = case(
        (times.c.caller.is_(None), PromiseState.CALLER_UNKNOWN.value),
        (is_called, PromiseState.CALLED_BACK.value),
        (times.c.phoned_at.is_not(None), PromiseState.PHONED_AGAIN.value),
        (times.c.began_s > closed_until, PromiseState.OPEN.value),
        else_=PromiseState.NOT_SEEN.value,
    )
    seen_at = case((is_called, times.c.called_at), else_=times.c.phoned_at)
    return select(
        times.c.call_id,
        times.c.began_s,
        times.c.call_type,
        state.label("state"),
        (seen_at - times.c.began_s).label("seen_after_s"),
    ).subquery()


def _promises(
    connection: Connection,
    scope: Scope,
    since: datetime,
    until: datetime,
    *,
    within: timedelta,
    now: datetime,
) -> tuple[Promise, ...]:
    promised = _promised(connection, scope, since, until, within=within, now=now)
    found: dict[str, int] = dict(
        connection.execute(select(promised.c.state, func.count()).group_by(promised.c.state)).all()
    )
    return tuple(Promise(state=state, calls=found.get(state.value, 0)) for state in PromiseState)


# --- checklists ----------------------------------------------------------------------------------


def _checklist(
    connection: Connection, scope: Scope, since: datetime, until: datetime
) -> tuple[ChecklistCount, ...]:
    figures = call_figures.c
    chosen = _figured(scope, since, until)
    answers: Counter[tuple[str, str]] = Counter()
    for line, count in connection.execute(
        select(figures.checklist, func.count()).where(chosen).group_by(figures.checklist)
    ):
        for answer in line.split():
            item, _, said = answer.partition(":")
            answers[item, said] += count
    words = latest_words()
    for subject, line, answer in connection.execute(
        select(words.c.subject, figures.checklist, words.c.answer)
        .join(calls, calls.c.latest_run_id == words.c.run_id)
        .join(call_figures, figures.call_id == calls.c.call_id)
        .where(words.c.is_correction, words.c.subject.startswith(_CHECKLIST), chosen)
    ):
        item = subject.removeprefix(_CHECKLIST)
        before = dict(each.split(":", 1) for each in line.split()).get(item)
        if before is not None:
            answers[item, before] -= 1
            answers[item, answer] += 1
    return tuple(
        ChecklistCount(
            item=item,
            yes=answers[item, ChecklistAnswer.YES.value],
            no=answers[item, ChecklistAnswer.NO.value],
            unsure=answers[item, ChecklistAnswer.UNSURE.value],
        )
        for item in sorted({item for item, _ in answers})
    )
