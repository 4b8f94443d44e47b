"""What the search for values left in redacted text promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_monitor.calls import EntityType
from qa_monitor.redaction.measure_left import values_left


def is_left(entity_type: str, value: str, redacted: str, innocent: str = "") -> bool:
    return values_left([(EntityType(entity_type), value)], [redacted], [innocent]) == [0]


@pytest.mark.parametrize(
    ("entity_type", "value", "redacted"),
    [
        ("PHONE", "six one seven, five five five, oh one four two", "it's 617-555-0142"),
        ("PHONE", "617-555-0142", "six one <PHONE_1> double five oh one four two thanks"),
        ("PHONE", "617-555-0142", "ends in oh one forty two"),
        ("MEMBER_ID", "M as in Mary, B, four four one nine", "m b forty four nineteen"),
        ("DATE", "march third nineteen eighty two", "born march third"),
        ("DATE", "March 3, 1982", "the third of march"),
        ("DATE", "the fourteenth", "on the fourteenth"),
        ("DATE", "oh three fourteen fifty one", "0 3 14 51"),
        ("PERSON", "Ray Ortega", "mister ortega"),
        ("PERSON", "Ray Ortega", "mister artega"),
        ("PERSON", "McCall, M as in Mary, C, C, A, L, L", "that is m c c a l l"),
        ("PERSON", "Grace Young", "grace young"),
        ("PERSON", "Grace", "hi grace"),
        ("LOCATION", "forty two Oak Street, Fairview", "42 oak something"),
        ("ORGANIZATION", "Silver Lake Clinic", "the silver lake place"),
        ("EMAIL", "j dot alvarez at gmail dot com", "j.alvarez@mail.com"),
        ("AGE", "ninety four", "she is 94"),
    ],
)
def test_a_value_that_can_still_be_read_is_found(
    entity_type: str, value: str, redacted: str
) -> None:
    assert is_left(entity_type, value, redacted)
    assert not is_left(entity_type, value, redacted, innocent=redacted)


@pytest.mark.parametrize(
    ("entity_type", "value", "redacted"),
    [
        ("PHONE", "617-555-0142", "<PHONE_1> at six thirty, five of us"),
        ("PHONE", "617-555-0142", "six one <PHONE_1> five five"),
        ("DATE", "march third nineteen eighty two", "in march, a third of it"),
        ("DATE", "the fourteenth", "at one forty two or 142"),
        ("PERSON", "Grace Young", "so young"),
        ("PERSON", "Ray Ortega", "<PERSON_1> and rain"),
        ("LOCATION", "forty two Oak Street, Fairview", "<LOCATION_1> street, the oak"),
        ("ORGANIZATION", "Silver Lake Clinic", "the clinic by the lake"),
        ("EMAIL", "j dot alvarez at gmail dot com", "<EMAIL_1> dot com at gmail"),
    ],
)
def test_what_does_not_tell_the_value_is_not_taken_for_it(
    entity_type: str, value: str, redacted: str
) -> None:
    assert not is_left(entity_type, value, redacted)


def test_pieces_do_not_reach_over_placeholders_or_turns() -> None:
    values = [(EntityType.PHONE, "617-555-0142")]
    assert values_left(values, ["55 <OTHER_ID_1> 50"]) == []
    assert values_left(values, ["five five", "five oh"]) == []
    assert values_left(values, ["five five five oh"]) == [0]


@given(st.text(alphabet="0123456789", min_size=4, max_size=12), st.text(max_size=30))
def test_digits_left_as_they_are_are_always_found(digits: str, around: str) -> None:
    assert values_left([(EntityType.OTHER_ID, digits)], [f"{around} x. {digits} {around}"]) == [0]


@given(st.text(max_size=30), st.sampled_from(list(EntityType)))
def test_nothing_is_left_where_all_is_redacted(value: str, entity_type: EntityType) -> None:
    assert values_left([(entity_type, value)], ["<PERSON_1>", "<DATE_2> <DATE_1>", ""]) == []
