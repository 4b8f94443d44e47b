"""What the page of one call is made of: pieces of turns that lose nothing, and words for values."""

from __future__ import annotations

from dataclasses import replace

import pytest
from call_fixtures import make_heard_call
from hypothesis import given
from hypothesis import strategies as st
from invented_records import NOW

from qa_monitor.calls import Evidence, RedactedTurn, Role
from qa_monitor.errors import UsageError
from qa_monitor.store import Comment
from qa_monitor.web import call_view
from qa_monitor.web.one_call import _seconds

_WORDS = st.sampled_from(
    ["pain ", "<PERSON_1>", "<DATE_12>", "<SMILE_1>", "<b>", "<", "> ", "é ", "\n", "a"]
)
_LAYERS = st.sampled_from(list(call_view.LAYERS))


@st.composite
def turns_with_places(draw: st.DrawFn) -> tuple[RedactedTurn, list[call_view.Place]]:
    """A turn of words and placeholders, with stretches of it that overlap as they like."""
    text = "".join(draw(st.lists(_WORDS, min_size=1, max_size=8)))
    turn = RedactedTurn(
        index=0,
        speaker="channel-0",
        role=Role.AGENT,
        role_confidence=1.0,
        start_s=0.0,
        end_s=1.0,
        text=text,
    )
    places = []
    for number in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text) - 1))
        layer = draw(_LAYERS)
        places.append(
            call_view.Place(
                key=f"{layer}-{number}",
                tab=f"X{number}",
                layer=layer,
                turn_index=0,
                start=start,
                end=draw(st.integers(start + 1, len(text))),
                start_s=None,
                end_s=None,
                role=Role.AGENT,
                quote="",
            )
        )
    return turn, places


@given(turns_with_places())
def test_the_pieces_of_a_turn_are_all_of_it_and_every_place_opens_once(
    drawn: tuple[RedactedTurn, list[call_view.Place]],
) -> None:
    turn, places = drawn
    record = make_heard_call()
    record = replace(record, dialogue=replace(record.dialogue, turns=(turn,)))
    (shown,) = call_view.turns_of(record, 1, places, ())
    assert "".join(piece.text for piece in shown.pieces) == turn.text
    opened = [place.key for piece in shown.pieces for place in piece.opens]
    assert sorted(opened) == sorted(place.key for place in places)
    for piece in shown.pieces:
        if piece.word is not None:
            assert piece.text in {"<PERSON_1>", "<DATE_12>"}
    whole = {p.layer for p in places if (p.start, p.end) == (0, len(turn.text))}
    assert set(shown.layers) == whole
    in_part = {p.layer for p in places} - whole
    assert in_part <= {layer for piece in shown.pieces for layer in piece.layers}


def test_evidence_that_lies_outside_its_turn_is_left_out() -> None:
    record = make_heard_call()
    empathy = replace(
        record.scorecard.scores[0],
        evidence=(
            Evidence(turn_index=99, start=0, end=3),
            Evidence(turn_index=0, start=0, end=99_999),
            Evidence(turn_index=0, start=5, end=5),
            Evidence(turn_index=1, start=0, end=2),
        ),
    )
    card = replace(record.scorecard, scores=(empathy,))
    (subject,) = call_view.scores_of(replace(record, scorecard=card), (), by="rita")
    assert [place.quote for place in subject.places] == ["My"]


def test_the_channels_are_named_after_who_speaks_on_them() -> None:
    record = make_heard_call()
    assert [lane.name for lane in call_view.lanes_of(record)] == ["Agent", "Caller"]
    mono = replace(record, recording=replace(record.recording, channels=1))
    assert [lane.name for lane in call_view.lanes_of(mono)] == ["Everybody"]
    more = replace(record, recording=replace(record.recording, channels=3))
    assert [lane.name for lane in call_view.lanes_of(more)] == ["Agent", "Caller", "Channel 3"]


@pytest.mark.parametrize(
    ("run_id", "turn_index", "start_s", "expected"),
    [(1, 3, 0.0, 3), (2, 3, 11.0, 2), (1, None, 15.0, 3), (1, 99, 15.0, None), (2, 3, None, None)],
)
def test_a_comment_stands_at_its_turn_or_in_another_run_at_its_time(
    run_id: int, turn_index: int | None, start_s: float | None, expected: int | None
) -> None:
    comment = Comment(
        comment_id=1,
        call_id="calls-1",
        run_id=run_id,
        user_id="rita",
        role="reviewer",
        text="here",
        start_s=start_s,
        end_s=None,
        turn_index=turn_index,
        is_for_agent=False,
        made_at=NOW,
        withdrawn_at=None,
    )
    shown = call_view.turns_of(make_heard_call(), 1, (), [comment])
    assert [t.index for t in shown if t.comments] == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("", None), (" 1:05 ", 65.0), ("62.5", 62.5), ("0:00", 0.0), ("1:02:03", 3723.0), ("7", 7.0)],
)
def test_moments_are_typed_as_minutes_and_seconds(typed: str, seconds: float | None) -> None:
    assert _seconds(typed, "the beginning") == seconds


@given(st.text(max_size=12))
def test_whatever_is_typed_for_a_moment_is_a_time_or_told_to_be_none(typed: str) -> None:
    try:
        found = _seconds(typed, "the beginning")
    except UsageError:
        return
    assert found is None or found >= 0
