"""What the measure of wrongly redacted words promises."""

from __future__ import annotations

import pytest

from qa_monitor.redaction.measure_kept import (
    FUNCTION_WORDS,
    SYMPTOMS,
    KeptTurn,
    count_kept,
    function_words,
    medical_mentions,
)

MEDICINES = frozenset({"metformin", "tylenol"})


def mentions(text: str) -> list[tuple[str, str]]:
    return [(m.kind, text[m.start : m.end]) for m in medical_mentions(text, MEDICINES)]


def counted(text: str, *found: str, phi: tuple[str, ...] = ()) -> dict[str, tuple[int, int]]:
    def stretches(values: tuple[str, ...]) -> list[tuple[int, int]]:
        return [(text.index(value), text.index(value) + len(value)) for value in values]

    counts = count_kept([KeptTurn(text, stretches(found), stretches(phi))], MEDICINES)
    return {name: (counts.part[name], counts.whole[name]) for name in counts.whole}


@pytest.mark.parametrize(
    ("text", "dose"),
    [
        ("take five hundred milligrams of it", "five hundred milligrams"),
        ("500mg twice", "500mg"),
        ("two puffs", "two puffs"),
        ("half a tablet", "half a tablet"),
        ("two point five mg", "two point five mg"),
        ("a hundred and twenty mcg", "hundred and twenty mcg"),
        ("10 units", "10 units"),
    ],
)
def test_a_dose_is_a_number_with_its_unit(text: str, dose: str) -> None:
    assert ("dose", dose) in mentions(text)


@pytest.mark.parametrize("text", ["five days", "two gems", "seven thirty", "unit five"])
def test_a_number_without_a_unit_is_no_dose(text: str) -> None:
    assert mentions(text) == []


def test_drugs_and_symptoms_are_found_whatever_their_case() -> None:
    assert mentions("Metformin gave me HEADACHES, tylenol's fine") == [
        ("drug", "Metformin"),
        ("symptom", "HEADACHES"),
    ]


def test_a_redacted_word_is_wrong_unless_some_of_it_is_phi() -> None:
    counts = counted("call Ray about the cough", "Ray about", "cough", phi=("Ray",))
    assert counts["redacted_words"] == (3, 5)
    assert counts["wrong_words"] == (2, 5)
    assert counts["touched:symptom"] == counts["touched"] == (1, 1)


def test_a_mention_inside_phi_is_not_touched() -> None:
    counts = counted("at Tylenol Street", "Tylenol Street", phi=("Tylenol Street",))
    assert counts["touched:drug"] == (0, 1)
    assert counts["wrong_words"] == (0, 3)


def test_a_function_word_stays_only_whole() -> None:
    assert counted("it's the Ray", "s the")["function_words_kept"] == (0, 2)
    assert counted("it's the Ray", "Ray")["function_words_kept"] == (2, 2)


def test_function_words_are_found_with_either_apostrophe_and_letters_are_none() -> None:
    text = "My name’s... it’s A, I, It's"
    assert [text[a:b] for a, b in function_words(text)] == ["My", "it’s", "It's"]


def test_the_lists_do_not_overlap() -> None:
    assert len(FUNCTION_WORDS) == 60
    assert len(SYMPTOMS) > 80
    assert not FUNCTION_WORDS & SYMPTOMS
