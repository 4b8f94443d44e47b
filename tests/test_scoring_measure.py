"""The figures, against values worked out by hand and against their own promises."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_monitor.calls import CallType, Criterion, EscalationOutcome, Score, Scorecard
from qa_monitor.scoring.measure import (
    FIGURES,
    Figure,
    bootstrap_interval,
    chance_calibration_error,
    exact_agreement,
    expected_calibration_error,
    fall,
    gwet_ac2,
    label_f1,
    macro_f1,
    micro_f1,
    most_sure,
    quadratic_weighted_kappa,
    recall_of,
    score_figures,
    sensitivity_and_specificity,
    within_one,
)

SCALES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=30)


def test_full_agreement_is_one() -> None:
    assert quadratic_weighted_kappa([1, 3, 5], [1, 3, 5]) == 1
    assert gwet_ac2([1, 3, 5], [1, 3, 5]) == 1
    assert macro_f1(["a", "b"], ["a", "b"]) == 1


def test_kappa_agrees_with_a_hand_worked_example() -> None:
    # Observed (0+1+1)/3, expected: mean over all pairs of (x-y)^2 for 1,2,3 against 1,3,2 = 12/9.
    assert quadratic_weighted_kappa([1, 2, 3], [1, 3, 2]) == pytest.approx(1 - (2 / 3) / (12 / 9))


def test_always_saying_the_middle_earns_no_kappa() -> None:
    assert quadratic_weighted_kappa([1, 2, 3, 4, 5], [3, 3, 3, 3, 3]) == pytest.approx(0)


def test_what_cannot_be_worked_out_is_none() -> None:
    assert quadratic_weighted_kappa([], []) is None
    assert quadratic_weighted_kappa([3, 3], [3, 3]) is None
    assert gwet_ac2([], []) is None
    assert within_one([], []) is None
    assert macro_f1([], []) is None
    assert recall_of("x", ["y"], ["y"]) is None
    assert expected_calibration_error([], []) is None
    assert bootstrap_interval(within_one, [], []).value is None


def test_decimals_are_rounded_halves_up_before_comparing() -> None:
    assert exact_agreement([3, 4], [2.5, 3.49]) == 0.5
    assert within_one([1], [2.5]) == 0


def test_an_emergency_is_found_when_called_urgent_and_routine_is_spared_up_to_one() -> None:
    sensitivity, specificity = sensitivity_and_specificity([3, 3, 3, 0, 0, 1], [3, 2, 1, 1, 2, 3])
    assert sensitivity == pytest.approx(2 / 3)
    assert specificity == 0.5


def test_macro_f1_counts_rare_classes_as_much_as_common_ones() -> None:
    assert macro_f1(["a", "a", "a", "b"], ["a", "a", "a", "a"]) == pytest.approx((6 / 7 + 0) / 2)


def test_calibration_error_is_the_gap_between_said_and_seen() -> None:
    assert expected_calibration_error([0.8] * 10, [True] * 8 + [False] * 2) == pytest.approx(0)
    assert expected_calibration_error([0.9, 0.9], [False, False]) == pytest.approx(0.9)


@given(SCALES)
def test_agreement_never_exceeds_one(pairs: list[tuple[int, int]]) -> None:
    truth, guesses = [t for t, _ in pairs], [g for _, g in pairs]
    for figure in (quadratic_weighted_kappa, gwet_ac2, exact_agreement, within_one):
        value = figure(truth, guesses)
        assert value is None or value <= 1 + 1e-9


@given(SCALES)
def test_intervals_hold_their_order_and_repeat_themselves(pairs: list[tuple[int, int]]) -> None:
    truth, guesses = [t for t, _ in pairs], [g for _, g in pairs]
    first = bootstrap_interval(within_one, truth, guesses, resamples=50)
    assert first.low is not None
    assert first.high is not None
    assert first.low <= first.high
    assert first == bootstrap_interval(within_one, truth, guesses, resamples=50)


# --- sets of labels ------------------------------------------------------------------------------


def test_micro_f1_counts_members_not_calls() -> None:
    assert micro_f1([{"a", "b"}, set()], [{"a"}, {"c"}]) == pytest.approx(2 * 1 / (2 + 2))
    assert micro_f1([set()], [set()]) is None


def test_label_f1_weighs_each_label_alike() -> None:
    truth = [{(0, "a"), (1, "a"), (2, "a"), (3, "b")}]
    found = [{(0, "a"), (1, "a"), (2, "a")}]
    assert label_f1(truth, found, labels=("a", "b", "c")) == pytest.approx((1 + 0) / 2)


# --- figures of score cards ----------------------------------------------------------------------


@dataclass(frozen=True)
class Reader:
    """What a reader said of a call."""

    empathy: float | None = None
    active_listening: float | None = None
    escalation_score: float | None = None
    urgency: int = 0
    escalated: EscalationOutcome = EscalationOutcome.NOT_NEEDED
    call_type: CallType = CallType.BILLING
    also: tuple[CallType, ...] = ()


def card(
    empathy: float | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
    confidence: float = 0.5,
    urgency: int = 0,
    escalated: EscalationOutcome | None = EscalationOutcome.NOT_NEEDED,
) -> Scorecard:
    def score(
        criterion: Criterion,
        points: float | None,
        low: float | None = None,
        high: float | None = None,
    ) -> Score:
        return Score(
            criterion=criterion,
            points=points,
            max_points=5.0,
            confidence=confidence,
            evidence=(),
            reason="",
            low=low,
            high=high,
        )

    return Scorecard(
        call_id="c",
        rubric_version="r",
        scores=(
            score(Criterion.EMPATHY, empathy, low, high),
            score(Criterion.ACTIVE_LISTENING, None),
            score(Criterion.ESCALATION, None),
            score(Criterion.URGENCY, float(urgency)),
        ),
        total=None,
        needs_review=False,
        review_reasons=(),
        call_type=CallType.BILLING,
        also=(),
        call_type_confidence=confidence,
        urgency_probability=0.0,
        escalated=escalated,
        escalation_delay_s=None,
    )


def figure_of(group: str, measure: str) -> Figure:
    (found,) = (f for f in FIGURES if (f.group, f.measure) == (group, measure))
    return found


def test_agreement_is_over_what_both_score_and_coverage_over_what_the_reader_scored() -> None:
    readers = [Reader(empathy=4), Reader(empathy=2), Reader()]
    cards = [card(4.2), card(None), card(3.0)]
    assert figure_of("empathy", "exact").pairs(readers, cards) == [(4, 4.2)]
    assert figure_of("empathy", "coverage").interval(readers, cards).value == 0.5
    assert score_figures(readers, cards)["empathy"]["invented"] == 1


def test_a_score_at_the_edge_of_an_interval_counts_by_the_part_inside() -> None:
    inside = figure_of("empathy", "inside")
    readers = [Reader(empathy=n) for n in (1, 2, 3, 4, 5)]
    assert inside.interval(readers, [card(3, low=2, high=4)] * 5).value == pytest.approx(2 / 5)
    assert inside.interval(readers, [card(3, low=1, high=5)] * 5).value == 1
    error = figure_of("empathy", "interval_error")
    assert error.interval(readers, [card(3, low=1, high=5)] * 5).value == pytest.approx(0.2)


def test_a_missed_escalation_that_is_left_open_is_not_found() -> None:
    readers = [Reader(urgency=2, escalated=EscalationOutcome.MISSED)] * 2
    cards = [card(escalated=EscalationOutcome.MISSED), card(escalated=None)]
    assert figure_of("escalated", "missed_found").interval(readers, cards).value == 0.5
    assert figure_of("escalated", "accuracy").interval(readers, cards).value == 1
    assert figure_of("escalated", "coverage").interval(readers, cards).value == 0.5


def test_the_surest_calls_are_a_share_of_all_that_could_be_scored() -> None:
    exact = figure_of("empathy", "exact")
    readers = [Reader(empathy=3)] * 4 + [Reader()]
    cards = [card(3, confidence=c) for c in (0.1, 0.9, 0.5)] + [card(None), card(3)]
    assert most_sure(exact, readers, cards, 0.5) == [1, 2]
    assert most_sure(exact, readers, cards, 0.75) == [1, 2, 0]
    assert most_sure(exact, readers, cards, 1.0) is None


def test_a_fall_is_a_part_of_the_figure_before() -> None:
    exact = figure_of("urgency", "exact")
    readers = [Reader(urgency=n) for n in (0, 1, 2, 3)]
    before = [card(urgency=n) for n in (0, 1, 2, 3)]
    after = [card(urgency=n) for n in (0, 1, 2, 2)]
    assert fall(exact, readers, before, after).value == pytest.approx(0.25)
    assert fall(exact, readers, after, before).value == pytest.approx(-1 / 3)
    never = [card(urgency=3 - n if n != 3 else 1) for n in (0, 1, 2, 3)]
    assert fall(exact, readers, never, before).value is None


def test_calibration_error_by_chance_shrinks_with_more_calls() -> None:
    few, many = chance_calibration_error([0.3] * 10), chance_calibration_error([0.3] * 1000)
    assert few is not None
    assert many is not None
    assert many < 0.05 < few


@given(SCALES)
def test_kappa_is_the_sum_over_all_pairs_that_its_definition_asks_for(
    pairs: list[tuple[int, int]],
) -> None:
    truth, guesses = [t for t, _ in pairs], [g for _, g in pairs]
    expected = sum((x - y) ** 2 for x in truth for y in guesses) / len(pairs) ** 2
    observed = sum((x - y) ** 2 for x, y in pairs) / len(pairs)
    kappa = quadratic_weighted_kappa(truth, guesses)
    if expected == 0:
        assert kappa is None
    else:
        assert kappa == pytest.approx(1 - observed / expected)
