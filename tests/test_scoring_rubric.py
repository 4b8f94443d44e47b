"""What the rubric promises: points that follow their evidence, and files that say what is wrong."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_monitor.calls import CallType
from qa_monitor.errors import ConfigError
from qa_monitor.scoring.features import (
    EMPATHY_FEATURES,
    ESCALATION_FEATURES,
    LISTENING_FEATURES,
    URGENCY_FEATURES,
)
from qa_monitor.scoring.labels import LABELS
from qa_monitor.scoring.ordinal import central_interval, distribution_of, mean_of, within_one
from qa_monitor.scoring.rubric import load_rubric, rubric_content, rubric_from

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "qa_monitor/scoring/rubric.toml"
RUBRIC = load_rubric()
FEATURES: Mapping[str, Mapping[str, int]] = {
    "empathy": EMPATHY_FEATURES,
    "active_listening": LISTENING_FEATURES,
    "escalation": ESCALATION_FEATURES,
}


def content(**changes: Any) -> dict[str, Any]:
    """The shipped file with values put in at dotted places; ``...`` takes one out."""
    changed = copy.deepcopy(rubric_content())
    for place, value in changes.items():
        *tables, key = place.split("__")
        table = changed
        for name in tables:
            table = table.setdefault(name, {})
        if value is ...:
            del table[key]
        else:
            table[key] = value
    return changed


def mistakes_of(**changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        rubric_from(content(**changes), source="the rubric file own.toml")
    return caught.value.message


# --- scales --------------------------------------------------------------------------------------

_numbers = st.floats(-60, 60)
_thresholds = st.lists(_numbers, min_size=4, max_size=4, unique=True).map(sorted)


@settings(deadline=None)
@given(evidence=_numbers, thresholds=_thresholds)
def test_the_five_probabilities_are_a_distribution(
    evidence: float, thresholds: list[float]
) -> None:
    distribution = distribution_of(evidence, thresholds)
    assert len(distribution) == 5
    assert all(share >= 0 for share in distribution)
    assert sum(distribution) == pytest.approx(1)
    assert 1 <= mean_of(distribution, lowest=1) <= 5 + 1e-9


@settings(deadline=None)
@given(evidence=_numbers, more=st.floats(0, 20), thresholds=_thresholds)
def test_more_evidence_never_lowers_mean_or_interval(
    evidence: float, more: float, thresholds: list[float]
) -> None:
    before = distribution_of(evidence, thresholds)
    after = distribution_of(evidence + more, thresholds)
    assert mean_of(after, lowest=1) >= mean_of(before, lowest=1) - 1e-9
    for low, high in zip(
        central_interval(before, lowest=1), central_interval(after, lowest=1), strict=True
    ):
        assert high >= low - 1e-6


@settings(deadline=None)
@given(evidence=_numbers, thresholds=_thresholds)
def test_the_interval_is_on_the_scale_and_in_order(
    evidence: float, thresholds: list[float]
) -> None:
    low, high = central_interval(distribution_of(evidence, thresholds), lowest=1)
    assert 1 <= low <= high <= 5


def test_the_interval_leaves_a_tenth_on_either_side() -> None:
    low, high = central_interval((0.1, 0.2, 0.4, 0.2, 0.1), lowest=1)
    assert low == pytest.approx(1.5)
    assert high == pytest.approx(4.5)


def test_an_even_distribution_is_as_wide_as_the_scale() -> None:
    assert central_interval((0.2,) * 5, lowest=1) == (1.0, 5.0)


@pytest.mark.parametrize(("points", "wanted"), [(3.0, 0.8), (3.5, 0.7), (1.2, 0.3), (4.9, 0.3)])
def test_confidence_is_the_probability_of_a_reader_within_one_point(
    points: float, wanted: float
) -> None:
    assert within_one((0.1, 0.2, 0.4, 0.2, 0.1), points, lowest=1) == pytest.approx(wanted)


# --- points --------------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", FEATURES)
@settings(deadline=None)
@given(data=st.data())
def test_a_feature_moves_points_only_the_way_its_sign_says(
    criterion: str, data: st.DataObject
) -> None:
    signs = FEATURES[criterion]
    values = data.draw(st.fixed_dictionaries(dict.fromkeys(signs, st.floats(0, 1))))
    name = data.draw(st.sampled_from(sorted(signs)))
    fuller = {**values, name: data.draw(st.floats(values[name], 1))}
    before, after = (RUBRIC.points_of(criterion, features) for features in (values, fuller))
    assert 1 <= before <= 5
    assert (after - before) * signs[name] >= -1e-9


@settings(deadline=None)
@given(data=st.data())
def test_more_signs_of_urgency_never_make_it_less_likely(data: st.DataObject) -> None:
    values = data.draw(st.fixed_dictionaries(dict.fromkeys(URGENCY_FEATURES, st.floats(0, 1))))
    name = data.draw(st.sampled_from(sorted(URGENCY_FEATURES)))
    fuller = {**values, name: data.draw(st.floats(values[name], 1))}
    before, after = (RUBRIC.urgency_probabilities(features) for features in (values, fuller))
    assert all(b >= a - 1e-12 for a, b in zip(before, after, strict=True))
    assert before[0] >= before[1] >= before[2]


def test_a_stretch_keeps_points_on_the_scale_and_moves_them_from_the_centre() -> None:
    plain = rubric_from(content(points__empathy__centre=3.0, points__empathy__stretch=1.0))
    wide = rubric_from(content(points__empathy__centre=3.0, points__empathy__stretch=3.0))
    all_good = {name: float(sign > 0) for name, sign in EMPATHY_FEATURES.items()}
    some = {name: value / 4 for name, value in all_good.items()}
    assert wide.points_of("empathy", all_good) == 5
    before, after = plain.points_of("empathy", some), wide.points_of("empathy", some)
    assert after - 3 == pytest.approx(3 * (before - 3))


# --- the file ------------------------------------------------------------------------------------


def test_the_version_tells_edits_apart_but_not_comments_or_order(tmp_path: Path) -> None:
    text = SHIPPED.read_text("utf-8")
    commented = tmp_path / "commented.toml"
    commented.write_text("# mine\n" + text.replace("weight = 0.5", "weight = 0.50"), "utf-8")
    edited = tmp_path / "edited.toml"
    edited.write_text(text.replace("checklist = 0.5", "checklist = 0.6"), "utf-8")
    assert load_rubric(commented).full_version == RUBRIC.full_version
    assert load_rubric(edited).full_version != RUBRIC.full_version
    assert load_rubric(edited).full_version.startswith(f"{RUBRIC.name}-{RUBRIC.version}+")


def test_without_a_version_the_file_is_refused() -> None:
    assert "version is missing" in mistakes_of(version=...)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("weights", ..., "weights is missing"),
        ("weights__empathy", -1.0, "weights.empathy: "),
        ("weights__empathy", "1", "weights.empathy: "),
        ("weights__politeness", 1.0, "weights.politeness is not known"),
        ("points__empathy__thresholds", [1.0, 0.5, 2.0, 3.0], "points.empathy.thresholds: must in"),
        ("points__empathy__thresholds", [1.0, 1.0, 2.0, 3.0], "points.empathy.thresholds: must in"),
        ("points__empathy__thresholds", [1.0, 2.0], "points.empathy.thresholds"),
        ("points__empathy__stretch", 0.0, "points.empathy.stretch: "),
        ("points__empathy__centre", 6.0, "points.empathy.centre: "),
        ("points__escalation__weights__right", -0.1, "right must not be negative"),
        ("points__escalation__weights__minimises", 0.1, "minimises must not be positive"),
        ("points__escalation__weights__charm", 0.1, "charm is no feature"),
        ("points__escalation__weights__right", float("nan"), "points.escalation.weights.right"),
        ("urgency__level2__base", ..., "urgency.level2: base is missing"),
        ("urgency__level2__cue2", -1.0, "cue2 must not be negative"),
        ("settings__level1_from", 1.2, "settings.level1_from: "),
        ("settings__level1_from", ..., "settings.level1_from is missing"),
        ("outcome__urgent__thresholds", [2.0, 1.0], "outcome.urgent.thresholds: must increase"),
        ("not_applicable__empathy__call_types", ["party"], "not_applicable.empathy.call_types"),
        ("auto_fail__missed_escalation_from", 0, "auto_fail.missed_escalation_from: "),
        ("checklist__greeting__labels", ["hello"], "checklist.greeting.labels: names no finding"),
        ("checklist__greeting__labels", [], "checklist.greeting: must have either labels or"),
        ("checklist__greeting__builtin", "courteous_tone", "checklist.greeting: must have either"),
        ("checklist__identity__builtin", "guess", "checklist.identity.builtin: "),
        ("checklist__greeting__call_types", ["party"], "checklist.greeting.call_types: names no"),
        ("checklist__greeting__call_types", [], "checklist.greeting.call_types: "),
        ("checklist__greeting__weight", -1, "checklist.greeting.weight: "),
        ("checklist__greeting__at_least", 0, "checklist.greeting.at_least: "),
        ("checklist__greeting__asks", "Greets.", "checklist.greeting.asks: "),
        ("checklist__greeting__unsure_from", 0.9, "unsure_from must not be above yes_from"),
        ("checklist__greeting__when", {"labels": ["sun"]}, "checklist.greeting.when.labels: "),
        ("checklist__missed_escalation", {}, "checklist.missed_escalation"),
        ("name", "two words", "name: "),
    ],
)
def test_a_mistake_is_named_with_file_table_and_key(place: str, value: Any, told: str) -> None:
    message = mistakes_of(**{place: value})
    assert "own.toml" in message
    assert told in message


def test_all_weights_at_zero_are_refused() -> None:
    assert "weights: must not all be zero" in mistakes_of(
        weights=dict.fromkeys(("empathy", "active_listening", "escalation", "checklist"), 0)
    )


def test_a_name_that_auto_fail_uses_cannot_be_an_items() -> None:
    item = {"asks": "Did you?", "call_types": ["every"], "labels": ["greeting"]}
    assert "checklist.missed_escalation is a name" in mistakes_of(checklist__missed_escalation=item)


def test_all_mistakes_are_told_at_once() -> None:
    message = mistakes_of(
        version=..., weights__empathy=-1.0, checklist__greeting__labels=["hello"], surprise=1
    )
    for told in ("version", "weights.empathy", "checklist.greeting.labels", "surprise"):
        assert told in message


def test_a_file_that_is_not_toml_or_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[weights\n", "utf-8")
    with pytest.raises(ConfigError, match=r"broken\.toml is not TOML"):
        load_rubric(broken)
    with pytest.raises(ConfigError, match=r"absent\.toml cannot be read"):
        load_rubric(tmp_path / "absent.toml")


@settings(deadline=None)
@given(
    junk=st.dictionaries(
        st.sampled_from(["name", "version", "weights", "points", "settings", "checklist", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    )
)
def test_any_other_content_is_refused_as_a_wrong_rubric(junk: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        rubric_from(junk)


def test_the_rubric_that_ships_asks_of_every_type_what_it_should() -> None:
    every = set(RUBRIC.questions_for(None))
    assert every >= {"greeting", "identity", "courteous", "next_step", "follow_up", "closing"}
    for call_type in CallType:
        asked = set(RUBRIC.questions_for(call_type))
        assert asked >= every
        assert call_type is CallType.GENERAL or asked > every


def test_every_label_for_checklists_is_asked_for_by_the_rubric_that_ships() -> None:
    asked = {label for question in RUBRIC.checklist.values() for label in question.labels}
    by_logic = {"identity", "callback_number"}
    praised_elsewhere = {"apology", "explains"}
    assert set(LABELS["checklist"]) - asked == by_logic | praised_elsewhere
