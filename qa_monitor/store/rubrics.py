"""Queries over score cards of several rubrics: which there are, and two of them side by side."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select

from qa_monitor.calls import Criterion
from qa_monitor.errors import NotFoundError, UsageError
from qa_monitor.store.tables import calls, runs, scorecards, scores
from qa_monitor.store.values import CriterionComparison, RubricComparison, RubricUse

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

__all__ = ["compare_rubrics", "named_rubric", "rubric_uses"]

_NOTHING = "[]"


def named_rubric(wanted: str, there: Collection[str], lacking: str) -> str:
    """The rubric version among ``there`` that ``wanted`` names, with or without its fingerprint.

    Raises ``NotFoundError``, which begins with ``lacking``, when there is none, and ``UsageError``
    when there are several.
    """
    fitting = [version for version in there if version == wanted]
    fitting = fitting or [version for version in there if version.partition("+")[0] == wanted]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(sorted(there)) or "none"
    if fitting:
        raise UsageError(
            f"several rubrics are named {wanted}: {', '.join(sorted(fitting))}. Name one in full."
        )
    raise NotFoundError(f"{lacking} the rubric of that name. There are: {known}.")


def rubric_uses(connection: Connection) -> tuple[RubricUse, ...]:
    """What is stored of each rubric version, in alphabetical order."""
    newest = _newest_cards().subquery()
    is_in_use = case((runs.c.card_id == newest.c.card_id, 1), else_=0)
    has_failed = case((scorecards.c.auto_failed != _NOTHING, 1), else_=0)
    query = (
        select(
            scorecards.c.rubric_version,
            func.count().label("calls"),
            func.sum(is_in_use).label("in_use"),
            func.avg(scorecards.c.total).label("mean_total"),
            func.sum(has_failed).label("auto_failed"),
        )
        .join(newest, newest.c.card_id == scorecards.c.card_id)
        .join(runs, runs.c.run_id == scorecards.c.run_id)
        .group_by(scorecards.c.rubric_version)
        .order_by(scorecards.c.rubric_version)
    )
    return tuple(RubricUse(**row._mapping) for row in connection.execute(query))


def compare_rubrics(connection: Connection, first: str, second: str) -> RubricComparison:
    """Two rubrics over the calls whose latest run has a card of both.

    They are named as ``named_rubric`` takes it, which says what is raised.
    """
    there = connection.scalars(
        select(scorecards.c.rubric_version)
        .join(calls, calls.c.latest_run_id == scorecards.c.run_id)
        .distinct()
    ).all()
    first, second = (named_rubric(name, there, "no call has a card of") for name in (first, second))
    ones, others = (_newest_cards(name).subquery() for name in (first, second))
    one, other = scorecards.alias(), scorecards.alias()
    have_totals = one.c.total.is_not(None) & other.c.total.is_not(None)
    has_failed, fails = one.c.auto_failed != _NOTHING, other.c.auto_failed != _NOTHING
    both = (
        select(
            func.count().label("calls"),
            func.count(case((have_totals, 1))).label("total_calls"),
            func.avg(case((have_totals, one.c.total))).label("first_total"),
            func.avg(case((have_totals, other.c.total))).label("second_total"),
            func.count(case((fails & ~has_failed, 1))).label("newly_failed"),
            func.count(case((has_failed & ~fails, 1))).label("newly_passed"),
            func.count(
                case(
                    (
                        func.coalesce(one.c.escalated, "") != func.coalesce(other.c.escalated, ""),
                        1,
                    )
                )
            ).label("other_outcome"),
        )
        .select_from(ones)
        .join(others, others.c.run_id == ones.c.run_id)
        .join(one, one.c.card_id == ones.c.card_id)
        .join(other, other.c.card_id == others.c.card_id)
    )
    mine, theirs = scores.alias(), scores.alias()
    have_points = mine.c.points.is_not(None) & theirs.c.points.is_not(None)
    by_criterion = (
        select(
            mine.c.criterion,
            func.count(case((have_points, 1))).label("calls"),
            func.count(case((have_points & (mine.c.points != theirs.c.points), 1))).label(
                "changed"
            ),
            func.avg(case((have_points, mine.c.points))).label("first_mean"),
            func.avg(case((have_points, theirs.c.points))).label("second_mean"),
        )
        .select_from(ones)
        .join(others, others.c.run_id == ones.c.run_id)
        .join(mine, mine.c.card_id == ones.c.card_id)
        .join(
            theirs,
            (theirs.c.card_id == others.c.card_id) & (theirs.c.criterion == mine.c.criterion),
        )
        .group_by(mine.c.criterion)
    )
    found = {row.criterion: row for row in connection.execute(by_criterion)}
    return RubricComparison(
        first=first,
        second=second,
        criteria=tuple(
            CriterionComparison(**{**found[name]._mapping, "criterion": Criterion(name)})
            for name in Criterion
            if name in found
        ),
        **connection.execute(both).one()._mapping,
    )


def _newest_cards(rubric_version: str | None = None) -> Select[Any]:
    """The newest card of each rubric, or of one, of the latest run of each call."""
    query = (
        select(scorecards.c.run_id, func.max(scorecards.c.card_id).label("card_id"))
        .join(calls, calls.c.latest_run_id == scorecards.c.run_id)
        .group_by(scorecards.c.run_id, scorecards.c.rubric_version)
    )
    if rubric_version is not None:
        query = query.where(scorecards.c.rubric_version == rubric_version)
    return query
