"""What is written as one with a finding is redacted with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_monitor.calls import Dialogue, EntityType, Role, Turn
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.extend import extend_codes, extend_organisations
from qa_monitor.redaction.settings import load_settings


def call_text(text: str) -> CallText:
    turn = Turn(
        index=0,
        speaker="caller",
        role=Role.CALLER,
        role_confidence=1.0,
        start_s=None,
        end_s=None,
        text=text,
    )
    return CallText(
        Dialogue(call_id="c", language="en", asr_model="t", dropped_s=0.0, turns=(turn,))
    )


def found_in(text: str, part: str, kind: EntityType) -> Found:
    start = text.index(part)
    return Found(start, start + len(part), kind, 0.8, "spoken_values")


@pytest.mark.parametrize(
    ("text", "part", "whole"),
    [
        ("claim UPL-881C04, please", "881C04", "UPL-881C04"),
        ("it is 4402C now", "4402", "4402C"),
        ("the AP-24-11906 one", "11906", "AP-24-11906"),
        ("it is 4402 C", "4402", "4402"),
        ("the lot is XK 449 now", "449", "XK 449"),
        ("that was FDA, 661", "661", "FDA, 661"),
        ("the MRN 66104 of hers", "66104", "66104"),
        ("it is 500 MG twice", "500", "500"),
    ],
)
def test_a_code_is_taken_whole(text: str, part: str, whole: str) -> None:
    found = [found_in(text, part, EntityType.OTHER_ID)]
    (f,) = extend_codes(call_text(text), found, load_settings())
    assert text[f.start : f.end] == whole


@given(st.text(alphabet="ab1 -.,", min_size=1, max_size=30), st.data())
def test_a_code_never_grows_over_a_space(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    call = call_text(text)
    found = [Found(start, end, EntityType.MRN, 0.8, "spoken_values")]
    (f,) = extend_codes(call, found, load_settings())
    assert f.start <= start
    assert f.end >= end
    assert " " not in text[f.start : start]
    assert " " not in text[end : f.end]


@pytest.mark.parametrize(
    ("text", "part", "whole"),
    [
        (
            "This is Front Street Eye and Ear in town",
            "Front Street Eye",
            "Front Street Eye and Ear",
        ),
        ("Is that Trent Vale Out of Hours today", "Trent Vale", "Trent Vale Out of Hours"),
        ("It's Bluestem Care and I need help", "Bluestem Care", "Bluestem Care"),
        ("I have Bluestem Care and Medicare here", "Bluestem Care", "Bluestem Care"),
        ("You reached Bluestem Care. How are you", "Bluestem Care", "Bluestem Care"),
    ],
)
def test_a_company_is_taken_on_over_its_capitals(text: str, part: str, whole: str) -> None:
    found = [found_in(text, part, EntityType.ORGANIZATION)]
    (f,) = extend_organisations(call_text(text), found, load_settings())
    assert text[f.start : f.end] == whole
