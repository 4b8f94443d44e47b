"""The written calls are read exactly, and a mistake in them is named by its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_monitor.calls import CallType, EntityType, EscalationOutcome, Role
from qa_monitor.errors import UsageError
from qa_monitor.training.labelled_calls import (
    call_from_json,
    labelled_json,
    parse_calls,
    read_calls,
    redacted_dialogue,
)

WRITTEN = Path(__file__).parents[1] / "models" / "turn-findings" / "calls"
HEAD = """=== x01
call_type: symptoms
also: appointment, billing
direction: inbound
after_hours: no
urgency: 3
urgency_reason: chest pressure
escalated: properly
empathy: 4
active_listening: -
escalation_score: 5
notes: none
---
"""
TURN = (
    "caller {op=fear flag=chest_pain urg=3}: "
    "I'm [Ray|PERSON], that's [ray|PERSON]. [911 Elm|LOCATION]"
)


def test_head_labels_and_phi_are_read() -> None:
    (call,) = parse_calls(HEAD + TURN + "\n")
    assert call.call_type is CallType.SYMPTOMS
    assert call.also == (CallType.APPOINTMENT, CallType.BILLING)
    assert call.escalated is EscalationOutcome.PROPERLY
    assert call.active_listening is None
    (turn,) = call.turns
    assert turn.role is Role.CALLER
    assert turn.text == "I'm Ray, that's ray. 911 Elm"
    assert [turn.text[s.start : s.end] for s in turn.phi] == ["Ray", "ray", "911 Elm"]
    assert turn.labels == {
        "opportunity": ("fear",),
        "red_flag": ("chest_pain",),
        "urgency_cue": ("3",),
    }


def test_redaction_gives_equal_values_one_number_and_fitting_spans() -> None:
    (call,) = parse_calls(HEAD + TURN + "\n")
    (turn,) = redacted_dialogue(call).turns
    assert turn.text == "I'm <PERSON_1>, that's <PERSON_1>. <LOCATION_1>"
    for span in turn.spans:
        assert turn.text[span.start : span.end].startswith(f"<{span.entity_type}_")
        assert call.turns[0].text[span.source_start : span.source_end].lower() in ("ray", "911 elm")


def test_a_call_survives_the_way_to_json_and_back_but_for_its_turn_labels() -> None:
    (call,) = parse_calls(HEAD + TURN + "\n")
    again = call_from_json(labelled_json(call))
    assert again.turns[0].phi == call.turns[0].phi
    assert labelled_json(again) == labelled_json(call)


@pytest.mark.parametrize(
    "body",
    [
        "caller: a stray ] bracket",
        "caller: [Ray|NAME] is no type",
        "caller {resp=none}: a label of the other role",
        "caller {op=joy}: a label that does not exist",
        "robot: nobody we know",
    ],
)
def test_a_broken_line_is_named_by_its_number_and_not_by_its_words(body: str) -> None:
    with pytest.raises(UsageError, match="line 14") as caught:
        parse_calls(HEAD + body + "\n")
    assert body.split(": ")[1] not in caught.value.message


def test_an_incomplete_head_is_refused() -> None:
    with pytest.raises(UsageError, match="head"):
        parse_calls(HEAD.replace("urgency: 3\n", "") + TURN + "\n")


def test_text_before_the_first_call_is_refused() -> None:
    with pytest.raises(UsageError, match="line 1"):
        parse_calls("hello\n" + HEAD + TURN)


@given(
    st.lists(
        st.tuples(
            st.text(
                st.characters(exclude_characters="[]|{}", exclude_categories=("C", "Z")), max_size=9
            ),
            st.sampled_from([None, *EntityType]),
        ),
        max_size=8,
    )
)
def test_marks_never_change_the_words_between_them(
    parts: list[tuple[str, EntityType | None]],
) -> None:
    parts = [(text, kind) for text, kind in parts if text]
    marked = " ".join(text if kind is None else f"[{text}|{kind}]" for text, kind in parts)
    (call,) = parse_calls(HEAD + "agent: " + marked + "\n")
    (turn,) = call.turns
    assert turn.text == " ".join(text for text, _ in parts)
    assert [turn.text[s.start : s.end] for s in turn.phi] == [t for t, kind in parts if kind]


def test_all_written_calls_are_readable_and_their_ids_differ() -> None:
    calls = [call for folder in sorted(WRITTEN.iterdir()) for call in read_calls(folder)]
    assert len(calls) >= 140
    assert len({call.call_id for call in calls}) == len(calls)
    for call in calls:
        assert len(call.turns) >= 6
        assert (call.escalation_score is None) == (call.urgency == 0)
