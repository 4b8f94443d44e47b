"""What the measure of wrongly redacted words promises."""

from __future__ import annotations

import pytest

from qa_monitor.redaction.measure_kept import (
    FUNCTION_WORDS,
    SYMPTOMS,
    KeptTally,
    function_words,
    medical_mentions,
)

MEDICINES = frozenset({"metformin", "tylenol"})


def mentions(text: str) -> list[tuple[str, str]]:
    return [(m.kind, text[m.start : m.end]) for m in medical_mentions(text, MEDICINES)]


def tally(text: str, *found: str, phi: tuple[str, ...] = ()) -> KeptTally:
    counted = KeptTally(MEDICINES)

    def stretches(values: tuple[str, ...]) -> list[tuple[int, int]]:
        return [(text.index(value), text.index(value) + len(value)) for value in values]

    counted.add(text, stretches(found), stretches(phi))
    return counted


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
    counted = tally("call Ray about the cough", "Ray about", "cough", phi=("Ray",))
    assert (counted.words, counted.redacted_words, counted.wrong_words) == (5, 3, 2)
    assert counted.touched == {"symptom": 1}


def test_a_mention_inside_phi_is_not_touched() -> None:
    counted = tally("at Tylenol Street", "Tylenol Street", phi=("Tylenol Street",))
    assert counted.mentions == {"drug": 1}
    assert not counted.touched.total()
    assert counted.wrong_words == 0


def test_function_words_are_found_with_either_apostrophe_and_letters_are_none() -> None:
    text = "My name’s... it’s A, I, It's"
    assert [text[a:b] for a, b in function_words(text)] == ["My", "it’s", "It's"]


def test_the_lists_do_not_overlap() -> None:
    assert len(FUNCTION_WORDS) == 60
    assert len(SYMPTOMS) > 80
    assert not FUNCTION_WORDS & SYMPTOMS
