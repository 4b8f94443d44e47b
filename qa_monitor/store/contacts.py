"""Repeat callers and first-contact resolution: one call among the same caller's others.

A contact is an interaction, however many legs it has, that was not placed by the centre. First-
contact resolution follows the repeat-call method of contact centres: a matter counts as settled
when the caller does not phone again within so many days. Whatever the caller phones about next
counts, because call types are read from words.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select, true

from qa_monitor.calls import CallType, Contacts, Direction, Recording
from qa_monitor.store.tables import calls, runs, scorecards

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

__all__ = ["Leg", "contacts_among", "contacts_of", "contacts_of_chosen"]

_LEGS_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What matters of one call here; ``call_type`` is that of its card in use."""

    call_id: str
    interaction_id: str | None
    caller_key: str | None
    direction: Direction
    started_at: datetime | None
    resolved: bool | None
    call_type: CallType | None

    @property
    def contact(self) -> tuple[bool, str]:
        """What the legs of one contact have in common."""
        return self.interaction_id is not None, self.interaction_id or self.call_id


def contacts_of(
    connection: Connection, recording: Recording, *, within: timedelta, now: datetime
) -> Contacts:
    """What the caller's other stored calls tell of ``recording``, stored or not."""
    own = Leg(
        call_id=recording.call_id,
        interaction_id=recording.interaction_id,
        caller_key=recording.caller_key,
        direction=recording.direction,
        started_at=recording.started_at,
        resolved=recording.resolved,
        call_type=None,
    )
    others = []
    if recording.caller_key is not None and recording.started_at is not None:
        query = _legs().where(
            calls.c.caller_key == recording.caller_key,
            calls.c.started_at.between(*_around(recording.started_at, within)),
        )
        others = [_leg(row) for row in connection.execute(query)]
    newest = connection.scalar(select(func.max(calls.c.started_at)))
    return contacts_among(own, others, within=within, known_until=min(now, newest or now))


def contacts_of_chosen(
    connection: Connection,
    chosen: Sequence[ColumnElement[bool]],
    *,
    since: datetime | None,
    until: datetime | None,
    within: timedelta,
    now: datetime,
) -> dict[str, Contacts]:
    """The same for every call that is ``chosen``, by call id, in one query."""
    newest = select(func.max(calls.c.started_at)).scalar_subquery()
    # Callers of the chosen calls only: those of everybody else are no concern of theirs.
    callers = select(calls.c.caller_key).where(calls.c.caller_key.is_not(None), *chosen)
    around: list[ColumnElement[bool]] = [calls.c.caller_key.in_(callers)]
    if since is not None:
        around.append(calls.c.started_at >= _around(since, within)[0])
    if until is not None:
        around.append(calls.c.started_at < _around(until, within)[1])
    rows = connection.execute(
        _legs()
        .add_columns(and_(true(), *chosen).label("is_chosen"), newest.label("newest"))
        .where(or_(and_(*chosen), and_(*around)))
        .order_by(calls.c.started_at)
    ).all()
    by_caller: dict[str, tuple[list[datetime], list[Leg]]] = {}
    for row in rows:
        if row.caller_key is not None and row.started_at is not None:
            times, legs = by_caller.setdefault(row.caller_key, ([], []))
            times.append(row.started_at)
            legs.append(_leg(row))
    found = {}
    for row in rows:
        if row.is_chosen:
            others: Sequence[Leg] = ()
            if row.started_at is not None and row.caller_key is not None:
                times, legs = by_caller[row.caller_key]
                first, last = _around(row.started_at, within)
                others = legs[bisect_left(times, first) : bisect_right(times, last)]
            known_until = min(now, row.newest or now)
            found[row.call_id] = contacts_among(
                _leg(row), others, within=within, known_until=known_until
            )
    return found


def _around(at: datetime, within: timedelta) -> tuple[datetime, datetime]:
    """Between when calls begin that may matter: the legs of one interaction begin within a day."""
    return at - within - _LEGS_WITHIN, at + within + _LEGS_WITHIN


def contacts_among(
    own: Leg, others: Sequence[Leg], *, within: timedelta, known_until: datetime
) -> Contacts:
    """What ``others``, calls of the same caller, tell of ``own``.

    ``known_until`` is up to when it is known which calls there were. What the call record says of
    the outcome goes before what the caller did afterwards, in a first contact.
    """
    is_outbound = own.direction is Direction.OUTBOUND
    if is_outbound or own.caller_key is None or own.started_at is None:
        unknown = "caller_unknown" if own.caller_key is None else "time_unknown"
        said = None if is_outbound else own.resolved
        basis = "outbound" if is_outbound else unknown if said is None else "call_record"
        return Contacts(earlier_types=None, since_last_s=None, is_resolved=said, basis=basis)
    legs: dict[tuple[bool, str], list[tuple[datetime, Leg]]] = {own.contact: []}
    for leg in others:
        if leg.started_at is not None and leg.direction is not Direction.OUTBOUND:
            legs.setdefault(leg.contact, []).append((leg.started_at, leg))
    began = min([own.started_at, *(started_at for started_at, _ in legs.pop(own.contact))])
    earlier: list[tuple[datetime, str, CallType | None]] = []
    is_again = False
    for (_, name), contact in legs.items():
        contact.sort(key=lambda pair: (pair[0], pair[1].call_id))
        at = contact[0][0]
        if began - within <= at < began or (at == began and name < own.contact[1]):
            types = (leg.call_type for _, leg in contact if leg.call_type is not None)
            earlier.append((at, name, next(types, None)))
        elif began <= at <= began + within:
            is_again = True
    earlier.sort(key=lambda contact: contact[:2])
    is_resolved, basis = _resolution(
        own, is_first=not earlier, is_again=is_again, is_closed=began + within <= known_until
    )
    return Contacts(
        earlier_types=tuple(call_type for _, _, call_type in earlier),
        since_last_s=(began - earlier[-1][0]).total_seconds() if earlier else None,
        is_resolved=is_resolved,
        basis=basis,
    )


def _resolution(
    own: Leg, *, is_first: bool, is_again: bool, is_closed: bool
) -> tuple[bool | None, str]:
    if not is_first:
        return None, "not_first_contact"
    if own.resolved is not None:
        return own.resolved, "call_record"
    if is_again:
        return False, "called_again"
    return (True, "not_called_again") if is_closed else (None, "window_open")


def _legs() -> Select[Any]:
    return (
        select(
            calls.c.call_id,
            calls.c.interaction_id,
            calls.c.caller_key,
            calls.c.direction,
            calls.c.started_at,
            calls.c.resolved,
            scorecards.c.call_type,
        )
        .outerjoin(runs, runs.c.run_id == calls.c.latest_run_id)
        .outerjoin(scorecards, scorecards.c.card_id == runs.c.card_id)
    )


def _leg(row: Any) -> Leg:
    return Leg(
        call_id=row.call_id,
        interaction_id=row.interaction_id,
        caller_key=row.caller_key,
        direction=Direction(row.direction),
        started_at=row.started_at,
        resolved=row.resolved,
        call_type=CallType(row.call_type) if row.call_type else None,
    )
