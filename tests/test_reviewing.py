"""Statistics of agreement, on which readings they rest, and labelled calls made of reviews."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_records import NOW, make_record

from qa_monitor.calls import (
    CallRecord,
    Criterion,
    EntityType,
    EscalationOutcome,
    RedactedTurn,
    Role,
    Span,
)
from qa_monitor.evaluation import read_labelled_calls
from qa_monitor.reviewing import (
    ENOUGH,
    HEADS,
    Basis,
    LabelledFormat,
    QueuePolicy,
    agreement,
    alert_precision,
    export_labelled,
    refresh_queue,
)
from qa_monitor.reviewing.statistics import (
    Resampled,
    krippendorff_alpha,
    pair_table,
    share_on_diagonal,
    unit_table,
    weighted_kappa,
    wilson_interval,
)
from qa_monitor.scoring.measure import quadratic_weighted_kappa, within_one
from qa_monitor.store import (
    AlertState,
    CallValue,
    Rating,
    ReasonOutcomes,
    ReviewKind,
    Scope,
    Store,
    open_store,
)
from qa_monitor.training.labelled_calls import call_from_json, redacted_dialogue

EVERYTHING = Scope(all_calls=True)
PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)
UNITS = st.lists(st.lists(st.integers(0, 4), max_size=4), min_size=1, max_size=20)


def kappa_of(pairs: list[tuple[int, int]], *, is_ordered: bool = True) -> float:
    return float(weighted_kappa(pair_table(pairs, 5), is_ordered=is_ordered))


def alpha_of(units: list[list[int]], classes: int = 5, *, is_ordered: bool = True) -> float:
    tables = np.sum([unit_table(values, classes) for values in units], axis=0)
    return float(krippendorff_alpha(tables, is_ordered=is_ordered))


def same(one: float | None, other: float | None) -> bool:
    nothing = [value is None or math.isnan(value) for value in (one, other)]
    if any(nothing):
        return all(nothing)
    return math.isclose(one or 0, other or 0, abs_tol=1e-9)


# --- kappa ---------------------------------------------------------------------------------------


@given(PAIRS)
def test_kappa_of_a_scale_is_the_one_that_evaluation_gives(pairs: list[tuple[int, int]]) -> None:
    firsts, seconds = ([p[side] + 1 for p in pairs] for side in (0, 1))
    assert same(kappa_of(pairs), quadratic_weighted_kappa(firsts, seconds))
    table = pair_table(pairs, 5)
    assert same(float(share_on_diagonal(table, within=1)), within_one(firsts, seconds))


def test_kappa_of_classes_is_cohens_own() -> None:
    # They agree in 35 of 50, and by chance in .5 * .6 + .5 * .4 of all.
    pairs = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    assert kappa_of(pairs, is_ordered=False) == pytest.approx(0.4)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30), st.booleans())
def test_kappa_and_alpha_of_equal_words_are_one(values: list[int], is_ordered: bool) -> None:
    varied = len(set(values)) > 1
    kappa = kappa_of([(v, v) for v in values], is_ordered=is_ordered)
    alpha = alpha_of([[v, v, v] for v in values], is_ordered=is_ordered)
    assert kappa == pytest.approx(1) if varied else math.isnan(kappa)
    assert alpha == pytest.approx(1) if varied else math.isnan(alpha)


@given(PAIRS, st.randoms(use_true_random=False), st.booleans())
def test_it_does_not_matter_in_which_order_calls_come_nor_who_is_first(
    pairs: list[tuple[int, int]], random: object, is_ordered: bool
) -> None:
    mixed = list(pairs)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    value = kappa_of(pairs, is_ordered=is_ordered)
    assert same(value, kappa_of(mixed, is_ordered=is_ordered))
    assert same(value, kappa_of([(b, a) for a, b in pairs], is_ordered=is_ordered))


@given(PAIRS, st.permutations(range(5)))
def test_what_classes_are_called_does_not_matter(
    pairs: list[tuple[int, int]], names: list[int]
) -> None:
    renamed = [(names[a], names[b]) for a, b in pairs]
    assert same(kappa_of(pairs, is_ordered=False), kappa_of(renamed, is_ordered=False))


@given(PAIRS)
def test_a_scale_read_from_the_other_end_agrees_as_well(pairs: list[tuple[int, int]]) -> None:
    turned = [(4 - a, 4 - b) for a, b in pairs]
    assert same(kappa_of(pairs), kappa_of(turned))
    assert same(alpha_of([[a, b] for a, b in pairs]), alpha_of([[a, b] for a, b in turned]))


# --- alpha ---------------------------------------------------------------------------------------

# The example worked through by Krippendorff (2011): four observers, twelve units, values missing.
OBSERVED = [
    [1, 1, 1],
    [2, 2, 3, 2],
    [3, 3, 3, 3],
    [3, 3, 3, 3],
    [2, 2, 2, 2],
    [1, 2, 3, 4],
    [4, 4, 4, 4],
    [1, 1, 2, 1],
    [2, 2, 2, 2],
    [5, 5, 5],
    [1, 1],
    [3],
]


def test_alpha_is_the_one_of_the_published_example() -> None:
    units = [[value - 1 for value in values] for values in OBSERVED]
    assert alpha_of(units, is_ordered=False) == pytest.approx(0.743, abs=0.001)
    assert alpha_of(units, is_ordered=True) == pytest.approx(0.815, abs=0.001)


@given(UNITS, st.randoms(use_true_random=False), st.booleans())
def test_alpha_does_not_know_who_said_what(
    units: list[list[int]], random: object, is_ordered: bool
) -> None:
    mixed = [list(values) for values in units]
    for values in mixed:
        random.shuffle(values)  # type: ignore[attr-defined]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert same(alpha_of(units, is_ordered=is_ordered), alpha_of(mixed, is_ordered=is_ordered))


@given(UNITS)
def test_calls_that_one_person_read_are_nothing_to_alpha(units: list[list[int]]) -> None:
    read_twice = [values for values in units if len(values) > 1] or [[]]
    assert same(alpha_of(units), alpha_of(read_twice))


# --- intervals -----------------------------------------------------------------------------------


@given(PAIRS)
def test_an_interval_holds_its_figure_and_is_the_same_each_time(
    pairs: list[tuple[int, int]],
) -> None:
    tables = [pair_table([pair], 5) for pair in pairs]

    def figure(t: np.ndarray) -> np.ndarray:
        return share_on_diagonal(t)

    interval = Resampled.of(tables).interval(figure)
    assert interval.value is not None
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low <= interval.value + 1e-9
    assert interval.value <= interval.high + 1e-9
    assert interval == Resampled.of(tables[::-1]).interval(figure)


def test_resampling_kinds_of_calls_gives_the_interval_of_resampling_calls() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 5, 200)
    given_ = np.clip(truth + rng.integers(-1, 2, 200), 0, 4)
    pairs = [(int(a), int(b)) for a, b in zip(truth, given_, strict=True)]
    quick = Resampled.of([pair_table([p], 5) for p in pairs]).interval(
        lambda t: weighted_kappa(t, is_ordered=True)
    )
    slow = []
    for _ in range(2000):
        drawn = rng.integers(0, 200, 200)
        slow.append(kappa_of([pairs[i] for i in drawn]))
    low, high = np.percentile(slow, [2.5, 97.5])
    assert quick.low == pytest.approx(low, abs=0.015)
    assert quick.high == pytest.approx(high, abs=0.015)


def test_a_share_has_the_interval_of_wilson() -> None:
    # Wilson (1927) by Newcombe (1998), method 3: 81 of 263, and none of 20.
    interval = wilson_interval(81, 263)
    assert interval.low == pytest.approx(0.2553, abs=1e-4)
    assert interval.high == pytest.approx(0.3662, abs=1e-4)
    nothing = wilson_interval(0, 20)
    assert nothing.low == 0
    assert nothing.high == pytest.approx(0.1611, abs=1e-4)
    assert wilson_interval(0, 0).value is None


# --- agreement -----------------------------------------------------------------------------------


def rating(
    number: int,
    said: CallValue,
    machine: CallValue = 3.0,
    *,
    user_id: str = "rita",
    review_id: int | None = None,
    subject: str = "empathy",
    is_blind: bool = True,
    is_sampled: bool = True,
    is_sampled_twice: bool = False,
    scoring: str = "scorer-1",
    after: timedelta = timedelta(0),
) -> Rating:
    return Rating(
        review_id=number if review_id is None else review_id,
        call_id=f"calls-{number}",
        user_id=user_id,
        subject=subject,
        said=said,
        machine=machine,
        began_at=NOW + after,
        is_blind=is_blind,
        is_sampled=is_sampled,
        is_sampled_twice=is_sampled_twice,
        scoring=scoring,
        rubric="rubric-1",
    )


def test_the_unbiased_figure_rests_on_blind_readings_of_the_sample_alone() -> None:
    right = [rating(n, n % 5 + 1, float(n % 5 + 1)) for n in range(20)]
    led = [rating(100 + n, n % 5 + 1, 3.0, is_blind=False) for n in range(20)]
    chosen = [rating(200 + n, n % 5 + 1, 3.0, is_sampled=False) for n in range(20)]
    everything = [*right, *led, *chosen]
    for basis, calls in ((Basis.RANDOM, 20), (Basis.BLIND, 40), (Basis.ALL, 60)):
        empathy = agreement(everything, basis).subjects[0]
        assert (empathy.calls, agreement(everything, basis).calls) == (calls, calls)
        assert (empathy.kappa.value == 1) == (basis is Basis.RANDOM)


def test_a_second_reading_brought_about_by_the_first_has_no_weight_without_bias() -> None:
    firsts = [rating(n, 3, 3.0 if n % 2 else 4.0, is_sampled_twice=n < 12) for n in range(20)]
    seconds = [
        rating(n, 1, 3.0, user_id="cora", review_id=100 + n, is_sampled_twice=n < 12)
        for n in range(20)
    ]
    found = agreement([*firsts, *seconds], Basis.RANDOM)
    assert found.readings == 20
    assert found.subjects[0].bias.value == pytest.approx(0.5)
    # Among readers those count whose second reading was drawn, too.
    assert found.among[0].calls == 12
    assert agreement([*firsts, *seconds], Basis.BLIND).among[0].calls == 20


def test_too_few_calls_say_so_and_give_no_figure() -> None:
    few = [rating(n, 3, float(n % 5 + 1)) for n in range(ENOUGH - 1)]
    subject = agreement(few, Basis.RANDOM).subjects[0]
    assert not subject.is_enough
    assert subject.kappa.value is subject.bias.value is subject.exact.value is None
    assert subject.within_one.value is None
    assert subject.months[0].kappa.value is subject.versions[0].kappa.value is None


def test_few_calls_that_all_agree_do_not_promise_that_all_others_will() -> None:
    exact = agreement([rating(n, 3) for n in range(12)], Basis.RANDOM).subjects[0].exact
    assert exact.value == exact.high == 1
    assert exact.low is not None
    assert exact.low < 0.8


def test_bias_tells_the_direction_in_points() -> None:
    high = [rating(n, n % 3 + 1, n % 3 + 1.6) for n in range(30)]
    bias = agreement(high, Basis.RANDOM).subjects[0].bias
    assert bias.value == pytest.approx(0.6)
    assert bias.low == pytest.approx(0.6)
    assert bias.high == pytest.approx(0.6)


def test_what_one_side_left_open_is_counted_and_not_compared() -> None:
    ratings = [
        *(rating(n, 3, 3.0) for n in range(3)),
        *(rating(10 + n, None, 3.0) for n in range(2)),
        rating(20, 4, None),
    ]
    subject = agreement(ratings, Basis.ALL).subjects[0]
    assert (subject.calls, subject.reader_open, subject.machine_open) == (3, 2, 1)


def test_figures_are_told_by_month_and_by_version() -> None:
    month = timedelta(days=31)
    ratings = [
        *(rating(n, n % 5 + 1, float(n % 5 + 1)) for n in range(20)),
        *(rating(50 + n, n % 5 + 1, 3.0, scoring="scorer-2", after=month) for n in range(20)),
    ]
    subject = agreement(ratings, Basis.RANDOM).subjects[0]
    assert [(m.month, m.calls, m.kappa.value) for m in subject.months] == [
        ("2026-03", 20, 1.0),
        ("2026-04", 20, 0.0),
    ]
    assert [(v.scoring, v.kappa.value) for v in subject.versions] == [
        ("scorer-1", 1.0),
        ("scorer-2", 0.0),
    ]


def test_outcomes_and_types_are_compared_as_classes() -> None:
    ratings = [
        rating(n, value, value, subject="escalated")
        for n, value in enumerate(["missed", "properly"] * 10)
    ]
    found = {subject.head.subject: subject for subject in agreement(ratings, Basis.ALL).subjects}
    assert list(found) == list(HEADS)
    assert found["escalated"].kappa.value == 1
    assert found["escalated"].bias.value is found["escalated"].within_one.value is None


def test_each_two_reviewers_are_told_of_by_name() -> None:
    ratings = [
        rating(n, n % 5 + 1, user_id=user, review_id=2 * n + place)
        for n in range(20)
        for place, user in enumerate(("rita", "cora"))
    ]
    among = agreement(ratings, Basis.ALL).among[0]
    assert [(p.first, p.second, p.calls, p.kappa.value) for p in among.pairs] == [
        ("cora", "rita", 20, 1.0)
    ]
    assert among.kappa.value == among.alpha.value == 1


def test_alerts_are_told_by_reason_with_how_many_were_right() -> None:
    outcomes = [
        ReasonOutcomes(
            reason="missed",
            raised=25,
            by_state={
                AlertState.RESOLVED: 15,
                AlertState.FALSE_ALARM: 5,
                AlertState.ACKNOWLEDGED: 2,
                AlertState.OPEN: 3,
            },
        ),
        ReasonOutcomes(reason="rare", raised=1, by_state={AlertState.FALSE_ALARM: 1}),
    ]
    missed, rare = alert_precision(outcomes)
    assert (missed.right, missed.false_alarms, missed.open) == (15, 5, 5)
    assert missed.share.value == 0.75
    assert rare.share.value is None


# --- labelled calls ------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'qa-monitor.sqlite'}") as store:
        yield store


LABELS: dict[str, CallValue] = {
    "empathy": 4,
    "active_listening": None,
    "urgency": 3,
    "escalation": 2,
    "escalated": "missed",
    "call_type": "symptoms",
}


@pytest.fixture
def review(store: Store) -> Callable[..., None]:
    def reviewed(
        call_id: str,
        user_id: str = "rita",
        *,
        is_blind: bool = False,
        after: timedelta = timedelta(0),
        without: str = "",
        **changes: CallValue,
    ) -> None:
        for subject, value in (LABELS | changes).items():
            if subject == without:
                continue
            is_answer = isinstance(value, str)
            store.reviews.correct(
                call_id,
                subject,
                user_id=user_id,
                points=None if is_answer else value,  # type: ignore[arg-type]
                answer=value if is_answer else None,  # type: ignore[arg-type]
                reason="Mr Alvarez was heard to say so",
                now=NOW + after,
                is_blind=is_blind,
            )
        kind = ReviewKind.BLIND if is_blind else ReviewKind.NORMAL
        store.reviews.finish(call_id, user_id=user_id, now=NOW + after, kind=kind)

    return reviewed


def with_two_turns(call_id: str) -> CallRecord:
    record = make_record(call_id)
    (caller,) = record.dialogue.turns
    start = caller.text.index("<PERSON_1>")
    span = Span(
        start=start,
        end=start + len("<PERSON_1>"),
        source_start=start,
        source_end=start + 5,
        entity_type=EntityType.PERSON,
        recognizer="rule",
        confidence=1.0,
        start_s=None,
        end_s=None,
    )
    agent = RedactedTurn(
        index=1,
        speaker="ch0",
        role=Role.AGENT,
        role_confidence=1.0,
        start_s=4.0,
        end_s=6.0,
        text="please hold the line",
    )
    turns = (replace(caller, spans=(span,)), agent)
    return replace(record, dialogue=replace(record.dialogue, turns=turns))


def test_what_reviewers_found_is_read_by_evaluation_and_by_training(
    store: Store, review: Callable[..., None], tmp_path: Path
) -> None:
    record = with_two_turns("calls-1")
    store.save_record(record, (), now=NOW)
    store.save_record(make_record("calls-2"), (), now=NOW)
    review("calls-1")
    file = tmp_path / "labelled.jsonl"
    file.write_text(export_labelled(store, EVERYTHING).text(), encoding="utf-8")

    (evaluated,) = read_labelled_calls(file)
    assert (evaluated.id, evaluated.call_type, evaluated.urgency) == ("calls-1", "symptoms", 3)
    assert evaluated.escalated is EscalationOutcome.MISSED
    assert (evaluated.empathy, evaluated.active_listening) == (4, None)
    assert evaluated.escalation_score == 2
    assert [turn.text for turn in evaluated.turns] == [t.text for t in record.dialogue.turns]

    # What is redacted already is no PHI that the redactor could miss.
    assert [turn.phi for turn in evaluated.turns] == [(), ()]

    (line,) = export_labelled(store, EVERYTHING, purpose=LabelledFormat.TRAINING).lines
    trained = call_from_json(json.loads(line))
    assert trained.empathy == 4
    read = redacted_dialogue(trained).turns
    assert [turn.text for turn in read] == [turn.text for turn in record.dialogue.turns]
    assert [(span.start, span.end, span.entity_type) for span in read[0].spans] == [
        (span.start, span.end, span.entity_type) for span in record.dialogue.turns[0].spans
    ]


def test_what_reviewers_typed_and_who_they_are_is_not_handed_out(
    store: Store, review: Callable[..., None]
) -> None:
    store.save_record(with_two_turns("calls-1"), (), now=NOW)
    review("calls-1")
    text = export_labelled(store, EVERYTHING).text()
    assert "Alvarez" not in text
    assert "rita" not in text


def test_a_machines_points_agreed_with_become_a_whole_label(
    store: Store, review: Callable[..., None]
) -> None:
    store.save_record(make_record("calls-1"), (), now=NOW)
    review("calls-1", without="empathy")
    assert export_labelled(store, EVERYTHING).incomplete == 1
    store.reviews.agree("calls-1", ["empathy"], user_id="rita", now=NOW)
    assert export_labelled(store, EVERYTHING).incomplete == 1
    store.reviews.finish("calls-1", user_id="rita", now=NOW)
    (line,) = export_labelled(store, EVERYTHING).lines
    assert json.loads(line)["empathy"] == 3


def test_of_two_reviewers_close_together_the_later_stands_and_of_two_apart_neither(
    store: Store, review: Callable[..., None]
) -> None:
    later = timedelta(hours=1)
    for call_id in ("near", "apart", "other-class", "decided", "not-assessable"):
        store.save_record(make_record(call_id), (), now=NOW)
        review(call_id)
    review("near", "cora", after=later, empathy=5)
    review("apart", "cora", after=later, empathy=2)
    review("other-class", "cora", after=later, call_type="billing")
    review("decided", "cora", after=later, empathy=1)
    review("decided", "dora", after=later, empathy=5)
    review("not-assessable", "cora", after=later, empathy=None)
    export = export_labelled(store, EVERYTHING)
    lines = {line["id"]: line for line in map(json.loads, export.lines)}
    assert {call_id: line["empathy"] for call_id, line in lines.items()} == {
        "near": 5,
        "decided": 4,
    }
    assert (export.disagreeing, lines["decided"]["review"]["readers"]) == (3, 3)


def test_the_export_can_be_of_blind_readings_or_of_the_sample_only(
    store: Store, review: Callable[..., None]
) -> None:
    policy = QueuePolicy(
        key=b"test", random_share=1, double_share=0, days_back=60, per_agent_floor=0
    )
    for call_id in ("drawn", "blind", "seen"):
        store.save_record(make_record(call_id), (), now=NOW)
        if call_id == "drawn":
            refresh_queue(store, policy, now=NOW)
            store.queueing.next("rita", scope=EVERYTHING, now=NOW, lease=timedelta(hours=1))
        review(call_id, is_blind=call_id != "seen")

    def ids(basis: Basis) -> dict[str, tuple[bool, bool]]:
        lines = map(json.loads, export_labelled(store, EVERYTHING, basis=basis).lines)
        return {line["id"]: (line["review"]["blind"], line["review"]["random"]) for line in lines}

    assert ids(Basis.ALL) == {
        "blind": (True, False),
        "drawn": (True, True),
        "seen": (False, False),
    }
    assert set(ids(Basis.BLIND)) == {"blind", "drawn"}
    assert set(ids(Basis.RANDOM)) == {"drawn"}


def test_only_calls_within_reach_are_handed_out(store: Store, review: Callable[..., None]) -> None:
    store.save_record(make_record("calls-1"), (), now=NOW)
    review("calls-1")
    assert export_labelled(store, Scope(all_calls=True, besides="A-1")).lines == ()


def test_agreement_counts_what_was_said_when_first_finishing(
    store: Store, review: Callable[..., None]
) -> None:
    store.save_record(make_record("calls-1"), (), now=NOW)
    review("calls-1", is_blind=True, empathy=5)
    # Having seen the machine's 2.5 the reviewer comes round.
    review("calls-1", empathy=3)
    ratings = {r.subject: r for r in store.ratings.of_calls(EVERYTHING)}
    empathy = ratings["empathy"]
    assert (empathy.said, empathy.machine, empathy.is_blind) == (5, 2.5, True)
    assert (empathy.scoring, empathy.rubric) == ("scorer-1", "rubric-1")
    assert ratings["call_type"].machine == "emergency"
    assert ratings["escalated"].machine == "missed"
    (line,) = export_labelled(store, EVERYTHING).lines
    assert json.loads(line)["empathy"] == 3


def test_every_criterion_has_a_head() -> None:
    assert {criterion.value for criterion in Criterion} <= set(HEADS)
