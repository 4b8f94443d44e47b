"""The figures, against values worked out by hand and against their own promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_monitor.scoring.measure import (
    bootstrap_interval,
    exact_agreement,
    expected_calibration_error,
    gwet_ac2,
    macro_f1,
    quadratic_weighted_kappa,
    recall_of,
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
