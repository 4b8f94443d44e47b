"""Figures of many calls: measures, checklist gaps, goals, and what changed since before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_records import NOW

from qa_monitor.calls import ChecklistAnswer, Criterion
from qa_monitor.reports.figures import Tally, difference, difference_of_shares, share
from qa_monitor.reports.measuring import (
    MEASURED,
    CallFigures,
    change_between,
    checklist_gaps,
    goal_measure,
    goal_reports,
    mean_of,
    measure_reports,
    tally_of,
)
from qa_monitor.store import Goal, GoalKind, GoalState

DAY = timedelta(days=1)
YES, NO = ChecklistAnswer.YES, ChecklistAnswer.NO


def call(
    number: int = 0,
    *,
    started_at: datetime | None = NOW,
    empathy: float | None = 3.0,
    items: dict[str, ChecklistAnswer] | None = None,
    measures: dict[str, float] | None = None,
    estimated: Sequence[str] = (),
) -> CallFigures:
    return CallFigures(
        call_id=f"calls-{number}",
        started_at=started_at,
        points={Criterion.EMPATHY: empathy},
        items=items or {},
        asks={item: f"Did you {item}?" for item in items or {}},
        measures=measures or {},
        estimated=frozenset(estimated),
    )


def goal(**changes: object) -> Goal:
    given = {
        "goal_id": 1,
        "agent_id": "A-1",
        "kind": GoalKind.CRITERION,
        "code": "empathy",
        "wording": "Answer the feeling first",
        "target": 4.0,
        "is_at_least": True,
        "baseline": 3.0,
        "baseline_n": 9,
        "due_on": None,
        "set_by": "cora",
        "set_at": NOW,
    } | changes
    return Goal(**given)  # type: ignore[arg-type]


# --- intervals -----------------------------------------------------------------------------------


def test_the_interval_of_a_share_is_wilsons() -> None:
    found = share(3, 21)
    assert found is not None
    assert found.mean == pytest.approx(1 / 7)
    # By Wilson's formula with z = 1.95996; below, the example of Newcombe 1998, table I.
    assert found.low == pytest.approx(0.0498, abs=5e-4)
    assert found.high == pytest.approx(0.3464, abs=5e-4)
    known = share(81, 263)
    assert known is not None
    assert known.low == pytest.approx(0.2553, abs=5e-5)
    assert known.high == pytest.approx(0.3662, abs=5e-5)


def test_the_difference_of_shares_is_newcombes() -> None:
    first, second = share(56, 70), share(48, 80)
    assert first is not None
    assert second is not None
    found = difference_of_shares(first, second)
    # Newcombe 1998, table II, method 10, example (a).
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=5e-5)
    assert found.high == pytest.approx(0.3339, abs=5e-5)
    assert found.says == "higher"


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_a_share_holds_it_and_stays_between_none_and_all(
    seen: tuple[int, int],
) -> None:
    found = share(*seen)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.mean <= found.high <= 1


@given(st.lists(st.floats(1, 5), min_size=2, max_size=20))
def test_a_tally_of_sums_is_that_of_the_scores(points: list[float]) -> None:
    one_by_one = Tally()
    for value in points:
        one_by_one.add(value)
    of_sums = Tally.of_sums(len(points), sum(points), sum(value * value for value in points))
    first, second = one_by_one.mean(), of_sums.mean()
    assert first is not None
    assert second is not None
    assert first.mean == pytest.approx(second.mean)
    assert first.low == pytest.approx(second.low, abs=1e-5)


@given(
    st.lists(st.floats(1, 5), min_size=2, max_size=20),
    st.lists(st.floats(1, 5), min_size=2, max_size=20),
)
def test_a_difference_turned_round_is_its_mirror(first: list[float], second: list[float]) -> None:
    tallies = [Tally(), Tally()]
    for tally, points in zip(tallies, (first, second), strict=True):
        for value in points:
            tally.add(value)
    there, back = difference(*tallies), difference(*reversed(tallies))
    assert there.value == pytest.approx(-back.value)
    assert there.low == pytest.approx(-back.high)
    assert there.low <= there.value <= there.high


def test_a_change_is_told_only_with_calls_enough_in_both_periods() -> None:
    few, many = [call(n, empathy=1.0) for n in range(2)], [call(n, empathy=5.0) for n in range(9)]
    tallies = [tally_of(calls, Criterion.EMPATHY) for calls in (few, many)]
    assert change_between(*tallies, minimum_calls=3) is None
    assert change_between(tallies[1], tallies[1], minimum_calls=3) is not None
    found = change_between(tallies[0], tallies[1], minimum_calls=2)
    assert found is not None
    assert found.says == "lower"
    assert found.high < 0


# --- measures ------------------------------------------------------------------------------------


def test_a_measure_is_the_mean_over_the_calls_of_which_it_is_known() -> None:
    calls = [call(measures={"dead_air_s": 10.0}), call(measures={"dead_air_s": 20.0}), call()]
    (found,) = measure_reports(calls, [], minimum_calls=3)
    assert (found.code, found.unit) == ("dead_air_s", "s")
    assert (found.mean.mean, found.mean.n) == (15.0, 2)
    assert found.change is None
    assert found.before is None


def test_yes_and_no_are_a_share_of_the_calls() -> None:
    now = [call(measures={"first_contact_resolved": float(n % 2)}) for n in range(8)]
    before = [call(measures={"first_contact_resolved": 0.0}) for _ in range(30)]
    (found,) = measure_reports(now, before, minimum_calls=3)
    assert found.mean.mean == 0.5
    assert found.change is not None
    assert found.change.says == "higher"


def test_what_was_only_heard_is_said_to_be_estimated() -> None:
    calls = [
        call(measures={"hold_s": 30.0}, estimated=["hold_s"]),
        call(measures={"hold_s": 10.0}),
    ]
    (found,) = measure_reports(calls, [], minimum_calls=3)
    assert found.estimated == 1


def test_shares_stay_shares_and_seconds_are_never_negative() -> None:
    calls = [
        call(measures={"agent_talk_share": value, "dead_air_s": value * 100})
        for value in (0.0, 0.02, 1.0)
    ]
    by_code = {one.code: one.mean for one in measure_reports(calls, [], minimum_calls=1)}
    assert (by_code["agent_talk_share"].low, by_code["agent_talk_share"].high) == (0.0, 1.0)
    assert by_code["dead_air_s"].low == 0.0


def test_every_measure_has_words_and_a_unit_that_can_be_written() -> None:
    from qa_monitor.scoring.metrics import METRICS

    assert set(MEASURED) <= set(METRICS)
    for measured in MEASURED.values():
        assert measured.says.endswith(".")
        assert measured.unit in {"share", "s", "count"}


# --- the checklist -------------------------------------------------------------------------------


def test_gaps_are_counted_over_clear_answers_only() -> None:
    unsure = {"greet": ChecklistAnswer.UNSURE, "close": ChecklistAnswer.NOT_APPLICABLE}
    calls = [call(items={"greet": NO, "close": YES})] * 3 + [call(items=unsure)] * 5
    (found,) = checklist_gaps(calls, minimum_calls=3)
    assert (found.item, found.asks, found.missed, found.share.n) == (
        "greet",
        "Did you greet?",
        3,
        3,
    )


def test_two_of_three_do_not_come_before_nine_of_twelve() -> None:
    calls = [call(items={"often": NO if n < 9 else YES}) for n in range(12)]
    calls += [call(items={"seldom": NO if n < 2 else YES}) for n in range(3)]
    assert [gap.item for gap in checklist_gaps(calls, minimum_calls=3)] == ["often", "seldom"]


def test_too_few_answers_make_no_gap() -> None:
    assert checklist_gaps([call(items={"greet": NO})] * 2, minimum_calls=3) == ()


# --- goals ---------------------------------------------------------------------------------------


def test_a_goal_is_followed_by_the_calls_since_it_was_set() -> None:
    calls = [call(n, started_at=NOW - DAY, empathy=1.0) for n in range(5)]
    calls += [call(n, started_at=NOW + n * DAY, empathy=4.5) for n in range(3)]
    (found,) = goal_reports([goal()], calls, now=NOW + 9 * DAY, minimum_calls=3)
    assert found.since is not None
    assert (found.since.mean, found.since.n) == (4.5, 3)
    assert found.is_reached is True
    assert (found.baseline, found.baseline_n) == (3.0, 9)


def test_whether_a_goal_is_reached_waits_for_calls_enough() -> None:
    calls = [call(started_at=NOW, empathy=5.0)] * 2
    (found,) = goal_reports([goal()], calls, now=NOW + DAY, minimum_calls=3)
    assert found.is_reached is None


def test_a_closed_goal_is_told_as_it_was_when_it_closed() -> None:
    calls = [call(started_at=NOW + n * DAY, empathy=2.0 + n) for n in range(3)]
    closed = goal(state=GoalState.MET, closed_at=NOW + 2 * DAY, closed_by="cora")
    (found,) = goal_reports([closed], calls, now=NOW + 9 * DAY, minimum_calls=1)
    assert found.since is not None
    assert found.since.mean == 2.5


def test_a_goal_may_ask_for_less() -> None:
    calls = [call(started_at=NOW, measures={"dead_air_s": 4.0})] * 3
    wanted = goal(kind=GoalKind.MEASURE, code="dead_air_s", target=5.0, is_at_least=False)
    (found,) = goal_reports([wanted], calls, now=NOW + DAY, minimum_calls=3)
    assert (found.is_reached, found.unit, found.title) == (True, "s", "Dead air")


def test_an_item_of_the_checklist_is_measured_by_its_share_of_yes() -> None:
    calls = [call(items={"greet": YES}), call(items={"greet": NO}), call()]
    found = mean_of(calls, GoalKind.CHECKLIST, "greet")
    assert found is not None
    assert (found.mean, found.n) == (0.5, 2)
    assert goal_measure(GoalKind.CHECKLIST, "greet") == ("Checklist: greet", "share")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (GoalKind.CRITERION, "urgency"),
        (GoalKind.CRITERION, "charm"),
        (GoalKind.MEASURE, "words"),
    ],
)
def test_what_does_not_judge_an_agent_is_no_goal(kind: GoalKind, code: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        goal_measure(kind, code)


@given(st.lists(st.floats(0, 10_000), min_size=2, max_size=12))
def test_the_mean_of_a_measure_lies_within_its_interval(values: list[float]) -> None:
    found = mean_of(
        [call(measures={"handle_time_s": value}) for value in values],
        GoalKind.MEASURE,
        "handle_time_s",
    )
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.mean + 1e-6
    assert math.isfinite(found.high)
