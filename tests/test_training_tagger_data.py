"""What the tagger learns from: labels that keep to their values however a call is varied."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_monitor.calls import EntityType, Role
from qa_monitor.training.ner_data import TEMPLATES, read_written_calls
from qa_monitor.training.tagger_data import (
    CallSource,
    TaggedTurn,
    WideNames,
    broken,
    exchange,
    hesitating,
    misheard,
    quiet_exchange,
    read_turns,
    rewrite,
    with_other_values,
    without_marks,
)

CALLS = Path(__file__).parents[1] / "models" / "phi-tagger" / "calls"
WORDS = ("summer", "rain", "table", "walking")


@pytest.fixture(scope="module")
def names() -> WideNames:
    pytest.importorskip("faker")
    return WideNames(random.Random(3))


@pytest.fixture(scope="module")
def calls() -> list[list[TaggedTurn]]:
    return [read_turns(call) for call in read_written_calls(CALLS / "s")]


def check(turn: TaggedTurn) -> None:
    """Labels lie in the text, in order, and neither begin nor end with a space."""
    position = 0
    for start, end, _ in turn.spans:
        assert position <= start < end <= len(turn.text)
        assert turn.text[start:end] == turn.text[start:end].strip()
        position = end


def test_a_label_keeps_to_its_value_when_text_around_and_in_it_changes() -> None:
    turn = TaggedTurn(Role.CALLER, "it's Ray Ortega, ok", ((5, 15, EntityType.PERSON),))
    changed = rewrite(turn, [(0, 4, "this is"), (9, 15, "Vega"), (15, 16, "")])
    assert changed.text == "this is Ray Vega ok"
    assert [changed.text[s:e] for s, e, _ in changed.spans] == ["Ray Vega"]


@given(st.text(alphabet="ab ", min_size=4, max_size=30), st.data())
def test_rewriting_keeps_labels_inside_the_text(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=4, max_size=4)))
    start, end = data.draw(st.integers(0, len(text) - 1)), len(text)
    turn = TaggedTurn(Role.CALLER, text, ((start, end, EntityType.PERSON),))
    new = data.draw(st.text(alphabet="xy ", max_size=5))
    check(rewrite(turn, [(cuts[0], cuts[1], new), (cuts[2], cuts[3], "")]))


@pytest.mark.parametrize(
    "vary",
    [
        lambda turn, rng: without_marks(turn),
        lambda turn, rng: misheard(turn, rng, 0.3),
        lambda turn, rng: hesitating(turn, rng, 0.3),
    ],
)
def test_labels_stay_on_values_that_are_heard_otherwise(
    calls: list[list[TaggedTurn]], vary: Callable[[TaggedTurn, random.Random], TaggedTurn]
) -> None:
    rng = random.Random(5)
    for turn in (turn for call in calls[:20] for turn in call):
        check(vary(turn, rng))


def test_marks_go_and_labels_stay_whole() -> None:
    turn = TaggedTurn(Role.CALLER, "It's 617-555-0142.", ((5, 17, EntityType.PHONE),))
    plain = without_marks(turn)
    assert plain.text == "it's 617 555 0142"
    assert [plain.text[s:e] for s, e, _ in plain.spans] == ["617 555 0142"]


def test_a_broken_value_is_labelled_on_both_sides_of_the_other_speaker() -> None:
    turn = TaggedTurn(Role.CALLER, "it's six one seven", ((5, 18, EntityType.PHONE),))
    first, between, second = broken(turn, random.Random(1))
    assert between.role is Role.AGENT
    assert between.spans == ()
    said = [t.text[s:e] for t in (first, second) for s, e, _ in t.spans]
    assert " ".join(said) == "six one seven"


def test_other_values_keep_the_number_of_labels_and_their_types(
    names: WideNames, calls: list[list[TaggedTurn]]
) -> None:
    changed = 0
    for call in calls[:20]:
        for before, after in zip(call, with_other_values(call, names), strict=True):
            check(after)
            assert [k for _, _, k in before.spans] == [k for _, _, k in after.spans]
            changed += before.text != after.text
    assert changed > 50


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000))
def test_made_exchanges_label_their_values(seed: int) -> None:
    pytest.importorskip("faker")
    made = exchange(WideNames(random.Random(seed)), WORDS)
    assert any(turn.spans for turn in made)
    for turn in made:
        check(turn)


def test_answers_that_are_quantities_carry_no_label(names: WideNames) -> None:
    assert not any(turn.spans for _ in range(50) for turn in quiet_exchange(names))


def test_a_source_draws_sound_calls_of_every_kind(
    names: WideNames, calls: list[list[TaggedTurn]]
) -> None:
    talk = ["How are you?", "Not so well, my knee hurts.", "Since when?", "Since last week."] * 3
    source = CallSource(
        calls=calls, dialogues=[talk], names=names, templates=TEMPLATES, words=WORDS
    )
    for draw in (source.spliced, source.template, lambda: source.varied(calls[0])):
        for _ in range(30):
            for turn in draw():
                check(turn)
