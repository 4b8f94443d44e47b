"""Lists of calls: filtered, searched, sorted and paged, quick at a hundred thousand of them.

What lists are chosen by stands in ``call_index``, one narrow row a call, which is read from start
to end where no index of its own helps; ``note_run`` and ``note_call`` keep it true in the
transactions that change what it shows. ``call_words`` holds the words of each call's latest run,
as ``words`` makes them; FTS5 on SQLite and a GIN index on PostgreSQL find calls in it. Both go
when the call goes. What became of alerts, and teams, are looked up when a list is asked for.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json
from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    case,
    column,
    delete,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from qa_monitor.calls import (
    CallRecord,
    CallType,
    Criterion,
    Direction,
    EscalationOutcome,
    ScoreStatus,
    Severity,
)
from qa_monitor.errors import NotFoundError, UsageError
from qa_monitor.store.people import Agent, Scope, agents
from qa_monitor.store.tables import (
    UtcDateTime,
    alerts,
    calls,
    metadata,
    runs,
    scorecards,
    scores,
)
from qa_monitor.store.tasks import blind_calls
from qa_monitor.store.values import AlertState
from qa_monitor.store.words import (
    Snippet,
    Term,
    fts5_query,
    indexed_words,
    like_pattern,
    make_snippet,
    parse_search,
    tsquery,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, FromClause, Select

    from qa_monitor.store.database import Database

__all__ = [
    "MOST_COUNTED",
    "MOST_ROWS",
    "AlertFilter",
    "Browsing",
    "CallFilter",
    "CallLine",
    "CallPage",
    "Facets",
    "ReviewState",
    "SavedView",
    "ScoreRange",
    "Sort",
    "note_call",
    "note_reviewed",
    "note_run",
]

MOST_ROWS = 10_000
"""Calls that one page, or one export, can hold."""

MOST_COUNTED = 10_000
"""Calls are counted up to here; beyond it there are "more than" that."""

_MOST_VIEWS = 50
_CHUNK = 500
_SCRUB_STEP = 1000
_POINTS = (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)


# --- what is asked for ---------------------------------------------------------------------------


class Sort(StrEnum):
    """The order of a list; what has no value for it comes last."""

    NEWEST = "newest"
    OLDEST = "oldest"
    MOST_URGENT = "most_urgent"
    LOWEST_TOTAL = "lowest_total"
    LONGEST = "longest"


class ReviewState(StrEnum):
    """What people have done with a call, and why they should look at it."""

    NEEDS_REVIEW = "needs_review"
    REVIEWED = "reviewed"
    NOT_REVIEWED = "not_reviewed"
    ABSTAINED = "abstained"
    """The machine left a score of it to a person."""
    AUTO_FAILED = "auto_failed"


class AlertFilter(StrEnum):
    """Whether alerts were raised on a call."""

    ANY = "any"
    OPEN = "open"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRange:
    """Calls with points of ``criterion`` from ``at_least`` to ``at_most``, both included."""

    criterion: Criterion
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls a list shows: those that fit all that is given.

    Of several agents, teams, ... one has to fit, ``None`` among them means "not known", and an
    empty set leaves it open. ``search`` is what a user typed (see ``words.parse_search``).
    ``[since, until)`` is on the beginning of the call; with either, a call without a known
    beginning is left out. Ranges include both ends; what has no value is in none.
    """

    search: str = field(default="", repr=False)
    agents: frozenset[str | None] = frozenset()
    teams: frozenset[str | None] = frozenset()
    queues: frozenset[str | None] = frozenset()
    call_types: frozenset[CallType | None] = frozenset()
    urgencies: frozenset[int | None] = frozenset()
    outcomes: frozenset[EscalationOutcome | None] = frozenset()
    directions: frozenset[Direction] = frozenset()
    scores: tuple[ScoreRange, ...] = ()
    total_at_least: float | None = None
    total_at_most: float | None = None
    review: frozenset[ReviewState] = frozenset()
    alert: AlertFilter | None = None
    since: datetime | None = None
    until: datetime | None = None
    duration_at_least_s: float | None = None
    duration_at_most_s: float | None = None


# --- what is told --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLine:
    """A line of a list of calls: the latest run of one call, without its transcript.

    ``points`` has empathy, active listening and escalation, ``None`` where there are none;
    ``urgency`` is the level, 0 to 3; ``total`` is 0 to 100. ``alert`` is the worst that is open.
    ``found`` is where the words searched for stand, ``None`` without a search.
    """

    call_id: str
    run_id: int
    agent_id: str | None
    agent_name: str | None
    team: str | None
    queue: str | None
    direction: Direction
    started_at: datetime | None
    duration_s: float
    scored_at: datetime
    call_type: CallType | None
    urgency: int | None
    escalated: EscalationOutcome | None
    points: Mapping[Criterion, float | None]
    total: float | None
    needs_review: bool
    is_abstained: bool
    is_auto_failed: bool
    reviewed_at: datetime | None
    alert: Severity | None
    warnings: tuple[str, ...]
    found: Snippet | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPage:
    """One page of a list; a cursor is ``None`` where there is nothing further that way.

    ``total`` is how many calls there are on all pages; when not ``is_total_exact``, more than that.
    """

    rows: tuple[CallLine, ...]
    next_cursor: str | None
    previous_cursor: str | None
    total: int
    is_total_exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """What there is to choose from: agents, teams, queues and types of the calls in a scope."""

    agents: tuple[Agent, ...]
    teams: tuple[str, ...]
    queues: tuple[str, ...]
    call_types: tuple[CallType, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView:
    """A list that a user keeps: ``query`` is what stands behind the question mark of its link."""

    view_id: int
    user_id: str
    name: str
    query: str = field(repr=False)
    saved_at: datetime


# --- tables --------------------------------------------------------------------------------------

call_index = Table(
    "call_index",
    metadata,
    Column("call_number", Integer, primary_key=True),
    # The beginning of the call, or when it was first scored: every call has a place in the order.
    Column("sorted_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("agent_id", Text),
    Column("urgency", Integer),
    Column("total", Double),
    Column("call_type", Text),
    Column("escalated", Text),
    Column("queue", Text),
    Column("needs_review", Boolean, nullable=False),
    Column("is_abstained", Boolean, nullable=False),
    Column("is_auto_failed", Boolean, nullable=False),
    Column("is_alerted", Boolean, nullable=False),
    Column("reviewed_at", UtcDateTime),
    Column("empathy", Double),
    Column("active_listening", Double),
    Column("escalation", Double),
    Column("duration_s", Double, nullable=False),
    Column("direction", Text, nullable=False),
    Column(
        "call_id",
        ForeignKey("calls.call_id", ondelete="CASCADE"),
        nullable=False,
        unique=True,
    ),
    Index(None, "sorted_at", "call_number"),
    Index(None, "agent_id", "sorted_at"),
    Index(None, "agent_id", "queue", "call_type"),
    Index(None, "queue"),
    Index(None, "call_type"),
    sqlite_autoincrement=True,
)

call_words = Table(
    "call_words",
    metadata,
    Column(
        "call_number",
        ForeignKey("call_index.call_number", ondelete="CASCADE"),
        primary_key=True,
        nullable=False,
    ),
    Column("words", Text, nullable=False),
    # Role, beginning and text of each turn: a transcript is twenty times as long.
    Column("turns", Text, nullable=False),
)

saved_views = Table(
    "saved_views",
    metadata,
    Column("view_id", Integer, primary_key=True),
    Column("user_id", ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("saved_at", UtcDateTime, nullable=False),
    UniqueConstraint("user_id", "name"),
    sqlite_autoincrement=True,
)

# FTS5 on SQLite, kept by triggers of call_words; it is no table that metadata could make.
_call_search = table("call_search", column("rowid", Integer), column("words", Text))


# --- kept true -----------------------------------------------------------------------------------


def note_call(connection: Connection, call_id: str) -> None:
    """Bring what lists show of a call up to date, in the transaction that changed it."""
    connection.execute(_noting(connection.dialect.name), {"noted": call_id})


def note_run(connection: Connection, record: CallRecord) -> None:
    """The same after ``record`` became the latest run of its call: its words are searched now."""
    noting = _noting(connection.dialect.name).returning(call_index.c.call_number)
    number = connection.execute(noting, {"noted": record.call_id}).scalar_one()
    turns = [(turn.role.value, turn.start_s, turn.text) for turn in record.dialogue.turns]
    values = {
        "words": indexed_words(text for _, _, text in turns),
        "turns": json.dumps(turns, separators=(",", ":")),
    }
    connection.execute(
        _insert(connection.dialect.name, call_words)
        .values(call_number=number, **values)
        .on_conflict_do_update(index_elements=[call_words.c.call_number], set_=values)
    )


def _insert(dialect: str, into: Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(into) if dialect == "postgresql" else sqlite.insert(into)


@cache
def _noting(dialect: str) -> postgresql.Insert | sqlite.Insert:
    query = _index_query().where(calls.c.call_id == bindparam("noted"))
    names = [selected.name for selected in query.selected_columns]
    statement = _insert(dialect, call_index).from_select(names, query)
    return statement.on_conflict_do_update(
        index_elements=[call_index.c.call_id],
        set_={name: statement.excluded[name] for name in names if name != "call_id"},
    )


def note_reviewed(connection: Connection, call_id: str, when: datetime | None) -> None:
    """Note that a person has reviewed the call, or (``None``) that nobody has."""
    own = call_index.c.call_id == call_id
    connection.execute(update(call_index).where(own).values(reviewed_at=when))


def _index_query() -> Select[Any]:
    """The columns of ``call_index`` but those that are noted otherwise, of every scored call."""

    def points(criterion: Criterion) -> ColumnElement[float | None]:
        return (
            select(scores.c.points)
            .where(scores.c.card_id == runs.c.card_id, scores.c.criterion == criterion.value)
            .scalar_subquery()
        )

    urgency = points(Criterion.URGENCY)
    is_abstained = exists().where(
        scores.c.card_id == runs.c.card_id, scores.c.status == ScoreStatus.ABSTAINED.value
    )
    return (
        select(
            calls.c.call_id,
            calls.c.agent_id,
            calls.c.queue,
            calls.c.direction,
            calls.c.started_at,
            func.coalesce(calls.c.started_at, calls.c.first_scored_at).label("sorted_at"),
            calls.c.duration_s,
            scorecards.c.call_type,
            scorecards.c.escalated,
            scorecards.c.total,
            scorecards.c.needs_review,
            is_abstained.label("is_abstained"),
            (scorecards.c.auto_failed != "[]").label("is_auto_failed"),
            exists().where(alerts.c.call_id == calls.c.call_id).label("is_alerted"),
            case({level: level for level in range(4)}, value=urgency).label("urgency"),
            *(points(criterion).label(criterion.value) for criterion in _POINTS),
        )
        .select_from(calls)
        .join(runs, runs.c.run_id == calls.c.latest_run_id)
        .join(scorecards, scorecards.c.card_id == runs.c.card_id)
    )


# --- the order of lists --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Key:
    """One of the values that a list is sorted by, and what it comes back as from a cursor."""

    expression: ColumnElement[Any]
    is_descending: bool
    parse: Callable[[Any], Any]

    def beyond(self, value: Any, *, is_back: bool) -> ColumnElement[bool]:
        """What comes after ``value``, or before it."""
        after: ColumnElement[bool] = self.expression > value
        before: ColumnElement[bool] = self.expression < value
        return after if self.is_descending is is_back else before

    def ordered(self, *, is_back: bool) -> ColumnElement[Any]:
        return self.expression.asc() if self.is_descending is is_back else self.expression.desc()


def _instant(value: Any) -> datetime:
    when = datetime.fromisoformat(value)
    if when.tzinfo is None:
        raise ValueError("no zone")
    # As it is kept, which not every instant can be.
    return when.astimezone(UTC)


def _integer(value: Any) -> int:
    if type(value) is not int or abs(value) >= 2**63:
        raise ValueError("no integer")
    return value


def _number(value: Any) -> float:
    if type(value) not in {int, float}:
        raise ValueError("no number")
    return float(value)


_NEWEST_FIRST = (
    _Key(call_index.c.sorted_at, True, _instant),
    _Key(call_index.c.call_number, True, _integer),
)
_SORTS: Mapping[Sort, tuple[_Key, ...]] = {
    Sort.NEWEST: _NEWEST_FIRST,
    Sort.OLDEST: (
        _Key(call_index.c.sorted_at, False, _instant),
        _Key(call_index.c.call_number, False, _integer),
    ),
    Sort.MOST_URGENT: (
        _Key(func.coalesce(call_index.c.urgency, -1), True, _integer),
        *_NEWEST_FIRST,
    ),
    Sort.LOWEST_TOTAL: (
        _Key(case((call_index.c.total.is_(None), 1), else_=0), False, _integer),
        _Key(func.coalesce(call_index.c.total, 0.0), False, _number),
        *_NEWEST_FIRST,
    ),
    Sort.LONGEST: (_Key(call_index.c.duration_s, True, _number), *_NEWEST_FIRST),
}


@dataclass(frozen=True, slots=True)
class _Cursor:
    """A place between two calls of a list, and which way to go from there.

    It names values that calls are sorted by and no position, so that calls that come or go
    meanwhile neither repeat others nor hide them.
    """

    sort: Sort
    is_back: bool
    values: tuple[Any, ...]

    def __str__(self) -> str:
        shown = [
            value.isoformat() if isinstance(value, datetime) else value for value in self.values
        ]
        text = json.dumps([self.sort, int(self.is_back), *shown], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str, sort: Sort) -> _Cursor:
        keys = _SORTS[sort]
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            named, is_back, *values = json.loads(raw)
            if named == sort and is_back in (0, 1) and len(values) == len(keys):
                parsed = (key.parse(value) for key, value in zip(keys, values, strict=True))
                return cls(sort, bool(is_back), tuple(parsed))
        except (ValueError, TypeError, OverflowError, RecursionError):
            pass
        raise UsageError("that page is not of this list. Begin again with its first page.")

    def condition(self) -> ColumnElement[bool]:
        """The calls on that side of the place."""
        keys = _SORTS[self.sort]
        parts = []
        for place, (key, value) in enumerate(zip(keys, self.values, strict=True)):
            same = (
                earlier.expression == earlier_value
                for earlier, earlier_value in zip(keys[:place], self.values, strict=False)
            )
            parts.append(and_(*same, key.beyond(value, is_back=self.is_back)))
        first, value = keys[0], self.values[0]
        # Said once more so that an index can begin there.
        return and_(
            or_(first.expression == value, first.beyond(value, is_back=self.is_back)), or_(*parts)
        )


# --- the store's part ----------------------------------------------------------------------------


class Browsing:
    """``Store.browsing``; each method is one transaction, and raises ``StoreError``.

    ``scope`` is what the user reaches, ``None`` for who reaches everything; no call outside it is
    told of in any way, nor counted.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        chosen: CallFilter | None = None,
        scope: Scope | None = None,
        *,
        sort: Sort = Sort.NEWEST,
        cursor: str | None = None,
        limit: int = 50,
        blind_for: str | None = None,
    ) -> CallPage:
        """The first ``limit`` calls of a list, or those where ``cursor`` of another page points.

        Left out are the calls that the user ``blind_for`` is to review without seeing what the
        machine says: by what they are filtered and sorted, a list would tell. Raises
        ``UsageError`` for a cursor that is not of this order, or no cursor.
        """
        place = None if cursor is None else _Cursor.parse(cursor, sort)
        is_back = place is not None and place.is_back
        limit = max(1, min(limit, MOST_ROWS))
        keys = _SORTS[sort]
        chosen = chosen or CallFilter()
        terms = parse_search(chosen.search)

        def work(connection: Connection) -> CallPage:
            conditions = _conditions(chosen, scope)
            found = self._found(terms) if terms else None
            if chosen.search.strip() and found is None:
                conditions.append(false())
            if blind_for is not None:
                conditions.append(call_index.c.call_id.not_in(blind_calls(blind_for)))
            further = [place.condition()] if place else []
            if found is not None:
                further.append(call_index.c.call_number.in_(found))
            query = (
                select(
                    call_index, *(key.expression.label(f"key_{n}") for n, key in enumerate(keys))
                )
                .where(*conditions, *further)
                .order_by(*(key.ordered(is_back=is_back) for key in keys))
                .limit(limit + 1)
            )
            rows = list(connection.execute(query))
            is_more = len(rows) > limit
            rows = rows[:limit]
            if is_back:
                rows.reverse()

            def cursor_at(row: Any, *, back: bool) -> str:
                values = tuple(getattr(row, f"key_{n}") for n in range(len(keys)))
                return str(_Cursor(sort, back, values))

            # Where one came from there was a call a moment ago.
            has_next = is_back or is_more
            has_previous = is_more if is_back else place is not None
            if place is None and not is_more:
                total = len(rows)
            else:
                total = self._count(connection, conditions, found)
            return CallPage(
                rows=_lines(connection, rows, terms),
                next_cursor=cursor_at(rows[-1], back=False) if rows and has_next else None,
                previous_cursor=cursor_at(rows[0], back=True) if rows and has_previous else None,
                total=min(total, MOST_COUNTED),
                is_total_exact=total <= MOST_COUNTED,
            )

        return self._database.read(work)

    def facets(self, scope: Scope | None = None) -> Facets:
        """What the calls of a scope can be filtered by."""

        def work(connection: Connection) -> Facets:
            agent_ids, queues, call_types = _facet_values(connection, scope)
            listed = {
                row.agent_id: Agent(agent_id=row.agent_id, name=row.name, team=row.team)
                for row in connection.execute(select(agents))
            }
            there = tuple(
                listed.get(agent_id) or Agent(agent_id=agent_id, name=None, team=None)
                for agent_id in agent_ids
            )
            return Facets(
                agents=there,
                teams=tuple(sorted({agent.team for agent in there if agent.team is not None})),
                queues=tuple(queues),
                call_types=tuple(map(CallType, call_types)),
            )

        return self._database.read(work)

    def scrub(self) -> None:
        """Take the words of deleted calls out of SQLite's search index for good.

        FTS5 only notes that a word is gone until it merges its index; this merges all of it, a
        little in each transaction (some seconds in all at a hundred thousand calls), and empties
        the log. To be called after calls were deleted, once for many.
        """
        if not self._database.is_sqlite:
            return

        def changes(connection: Connection) -> int:
            return connection.scalar(select(func.total_changes())) or 0

        def merge(connection: Connection, pages: int) -> bool:
            before = changes(connection)
            connection.exec_driver_sql(
                "INSERT INTO call_search (call_search, rank) VALUES ('merge', ?)", (pages,)
            )
            # As FTS5 tells that there was nothing left to merge.
            return changes(connection) - before >= 2

        # A negative number makes it take up all of the index, the further ones go on with that.
        pages = -_SCRUB_STEP
        while self._database.write(lambda c, pages=pages: merge(c, pages)):  # type: ignore[misc]
            pages = _SCRUB_STEP
        self._database.empty_log()

    # --- saved views -----------------------------------------------------------------------------

    def save_view(self, user_id: str, name: str, query: str, *, now: datetime) -> SavedView:
        """Keep a list under a name of the user's own, in place of one of that name.

        Raises ``UsageError`` when the user keeps 50 already.
        """

        def work(connection: Connection) -> Any:
            own = saved_views.c.user_id == user_id
            names = set(connection.scalars(select(saved_views.c.name).where(own)))
            if name not in names and len(names) >= _MOST_VIEWS:
                return None
            values = {"query": query, "saved_at": now}
            connection.execute(
                self._database.insert(saved_views)
                .values(user_id=user_id, name=name, **values)
                .on_conflict_do_update(
                    index_elements=[saved_views.c.user_id, saved_views.c.name], set_=values
                )
            )
            return connection.execute(
                select(saved_views).where(own, saved_views.c.name == name)
            ).one()

        row = self._database.write(work)
        if row is None:
            raise UsageError(f"you keep {_MOST_VIEWS} views already. Delete one of them first.")
        return SavedView(**row._mapping)

    def views(self, user_id: str) -> tuple[SavedView, ...]:
        """The lists that a user keeps, in the order of their names."""
        query = (
            select(saved_views).where(saved_views.c.user_id == user_id).order_by(saved_views.c.name)
        )
        return self._database.read(
            lambda c: tuple(SavedView(**row._mapping) for row in c.execute(query))
        )

    def drop_view(self, view_id: int, *, user_id: str) -> None:
        """Forget a list of the user; ``NotFoundError`` when it is nobody's, or another's."""
        own = and_(saved_views.c.view_id == view_id, saved_views.c.user_id == user_id)
        if not self._database.write(lambda c: c.execute(delete(saved_views).where(own)).rowcount):
            raise NotFoundError(f"no saved view {view_id}.")

    # --- parts of queries ------------------------------------------------------------------------

    def _count(
        self,
        connection: Connection,
        conditions: Sequence[ColumnElement[bool]],
        found: Select[tuple[int]] | None,
    ) -> int:
        """How many calls there are, up to one more than is counted."""
        counted: FromClause = call_index
        if found is not None:
            # Joined, the search ends with the last call that is counted.
            numbers = found.subquery()
            counted = call_index.join(numbers, call_index.c.call_number == numbers.c[0])
        within = select(literal(1)).select_from(counted).where(*conditions)
        limited = within.limit(MOST_COUNTED + 1).subquery()
        return connection.scalar(select(func.count()).select_from(limited)) or 0

    def _found(self, terms: Sequence[Term]) -> Select[tuple[int]]:
        """The numbers of the calls in which all of ``terms`` are said."""
        if self._database.is_sqlite:
            return select(_call_search.c.rowid).where(
                _call_search.c.words.op("MATCH")(fts5_query(terms))
            )
        # Word for word as in the index, or PostgreSQL does not use it.
        lexemes: ColumnElement[Any] = literal_column(
            "array_to_tsvector(string_to_array(call_words.words, ' '))"
        )
        spaced = literal(" ") + call_words.c.words + literal(" ")
        phrases = [pattern for term in terms if (pattern := like_pattern(term)) is not None]
        return select(call_words.c.call_number).where(
            lexemes.op("@@")(literal(tsquery(terms)).cast(postgresql.TSQUERY)),
            *(spaced.like(pattern) for pattern in phrases),
        )


def _conditions(chosen: CallFilter, scope: Scope | None) -> list[ColumnElement[bool]]:
    """All that a list is chosen by but its search."""
    index = call_index.c
    conditions = [_within(scope)]
    for column_, values in (
        (index.agent_id, chosen.agents),
        (index.queue, chosen.queues),
        (index.call_type, chosen.call_types),
        (index.urgency, chosen.urgencies),
        (index.escalated, chosen.outcomes),
        (index.direction, chosen.directions),
    ):
        if values:
            conditions.append(_one_of(column_, values))
    if chosen.teams:
        conditions.append(_of_teams(chosen.teams))
    ranges = [(index[each.criterion.value], each.at_least, each.at_most) for each in chosen.scores]
    ranges.append((index.total, chosen.total_at_least, chosen.total_at_most))
    ranges.append((index.duration_s, chosen.duration_at_least_s, chosen.duration_at_most_s))
    for column_, at_least, at_most in ranges:
        if at_least is not None:
            conditions.append(column_ >= at_least)
        if at_most is not None:
            conditions.append(column_ <= at_most)
    if chosen.review:
        conditions.append(or_(*(_review_condition(state) for state in sorted(chosen.review))))
    if chosen.alert is not None:
        conditions.append(_alert_condition(chosen.alert))
    if chosen.since is not None or chosen.until is not None:
        conditions.append(index.started_at.is_not(None))
    # Where started_at is known, sorted_at is the same and has an index.
    if chosen.since is not None:
        conditions.append(index.sorted_at >= chosen.since)
    if chosen.until is not None:
        conditions.append(index.sorted_at < chosen.until)
    return conditions


def _within(scope: Scope | None) -> ColumnElement[bool]:
    return true() if scope is None else scope.condition(call_index.c.agent_id)


def _facet_values(connection: Connection, scope: Scope | None) -> tuple[list[str], ...]:
    """The agents, queues and call types of the calls in a scope, each in order."""
    columns = (call_index.c.agent_id, call_index.c.queue, call_index.c.call_type)
    if scope is None or (scope.all_calls and scope.besides is None):
        return tuple(sorted(connection.scalars(_each(column_))) for column_ in columns)
    rows = connection.execute(select(*columns).where(_within(scope)).distinct()).all()
    return tuple(sorted({row[place] for row in rows} - {None}) for place in range(len(columns)))


def _each(column_: ColumnElement[Any]) -> Select[tuple[str]]:
    """The values of an indexed column, found by steps from one to the next and not row by row."""
    found = select(func.min(column_).label("value")).cte("found", recursive=True)
    following = select(func.min(column_)).where(column_ > found.c.value).scalar_subquery()
    found = found.union_all(select(following).where(found.c.value.is_not(None)))
    return select(found.c.value).where(found.c.value.is_not(None))


def _one_of(column_: ColumnElement[Any], values: frozenset[Any]) -> ColumnElement[bool]:
    known = sorted(value for value in values if value is not None)
    parts = [column_.in_(known)] if known else []
    if None in values:
        parts.append(column_.is_(None))
    return or_(*parts)


def _of_teams(teams: frozenset[str | None]) -> ColumnElement[bool]:
    parts: list[ColumnElement[bool]] = []
    known = sorted(team for team in teams if team is not None)
    if known:
        of_teams = select(agents.c.agent_id).where(agents.c.team.in_(known))
        parts.append(call_index.c.agent_id.in_(of_teams))
    if None in teams:
        teamed = select(agents.c.agent_id).where(agents.c.team.is_not(None))
        parts.append(or_(call_index.c.agent_id.is_(None), call_index.c.agent_id.not_in(teamed)))
    return or_(*parts)


def _review_condition(state: ReviewState) -> ColumnElement[bool]:
    index = call_index.c
    conditions: Mapping[ReviewState, ColumnElement[bool]] = {
        ReviewState.NEEDS_REVIEW: index.needs_review.is_(True),
        ReviewState.REVIEWED: index.reviewed_at.is_not(None),
        ReviewState.NOT_REVIEWED: index.reviewed_at.is_(None),
        ReviewState.ABSTAINED: index.is_abstained.is_(True),
        ReviewState.AUTO_FAILED: index.is_auto_failed.is_(True),
    }
    return conditions[state]


def _alert_condition(wanted: AlertFilter) -> ColumnElement[bool]:
    if wanted is not AlertFilter.OPEN:
        return call_index.c.is_alerted.is_(wanted is AlertFilter.ANY)
    is_open = alerts.c.state == AlertState.OPEN.value
    return call_index.c.call_id.in_(select(alerts.c.call_id).where(is_open))


# --- rows to values ------------------------------------------------------------------------------


def _lines(
    connection: Connection, rows: Sequence[Any], terms: Sequence[Term]
) -> tuple[CallLine, ...]:
    """The lines of rows of ``call_index``, in their order."""
    lines: list[CallLine] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        call_ids = [row.call_id for row in chunk]
        more = _more_of(connection, call_ids)
        severities = _open_alerts(connection, call_ids)
        turns = _turns_of(connection, [row.call_number for row in chunk]) if terms else {}
        for row in chunk:
            said = turns.get(row.call_number)
            found = make_snippet(from_json(said), terms) if said else None
            lines.append(_line_of(row, more[row.call_id], severities.get(row.call_id), found))
    return tuple(lines)


def _more_of(connection: Connection, call_ids: Sequence[str]) -> dict[str, Any]:
    """What lists show of these calls and are not chosen by."""
    query = (
        select(
            calls.c.call_id,
            runs.c.run_id,
            runs.c.scored_at,
            runs.c.warnings,
            agents.c.name,
            agents.c.team,
        )
        .select_from(calls)
        .join(runs, runs.c.run_id == calls.c.latest_run_id)
        .outerjoin(agents, agents.c.agent_id == calls.c.agent_id)
        .where(calls.c.call_id.in_(call_ids))
    )
    return {row.call_id: row for row in connection.execute(query)}


def _turns_of(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    query = select(call_words.c.call_number, call_words.c.turns)
    found = connection.execute(query.where(call_words.c.call_number.in_(numbers)))
    return {row.call_number: row.turns for row in found}


def _open_alerts(connection: Connection, call_ids: Sequence[str]) -> dict[str, Severity]:
    """The worst open alert of each of these calls that has one."""
    worst: dict[str, Severity] = {}
    for row in connection.execute(
        select(alerts.c.call_id, alerts.c.severity).where(
            alerts.c.call_id.in_(call_ids), alerts.c.state == AlertState.OPEN.value
        )
    ):
        severity = Severity(row.severity)
        known = worst.get(row.call_id)
        if known is None or severity.rank < known.rank:
            worst[row.call_id] = severity
    return worst


def _line_of(row: Any, more: Any, alert: Severity | None, found: Snippet | None) -> CallLine:
    return CallLine(
        call_id=row.call_id,
        run_id=more.run_id,
        agent_id=row.agent_id,
        agent_name=more.name,
        team=more.team,
        queue=row.queue,
        direction=Direction(row.direction),
        started_at=row.started_at,
        duration_s=row.duration_s,
        scored_at=more.scored_at,
        call_type=CallType(row.call_type) if row.call_type else None,
        urgency=row.urgency,
        escalated=EscalationOutcome(row.escalated) if row.escalated else None,
        points={criterion: getattr(row, criterion.value) for criterion in _POINTS},
        total=row.total,
        needs_review=row.needs_review,
        is_abstained=row.is_abstained,
        is_auto_failed=row.is_auto_failed,
        reviewed_at=row.reviewed_at,
        alert=alert,
        warnings=tuple(from_json(more.warnings)),
        found=found,
    )
