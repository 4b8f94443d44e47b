"""What is promised of spoken numbers, letters and dates, before any question is weighed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_monitor.calls import Dialogue, EntityType, Role, Turn
from qa_monitor.redaction.ages import find_ages
from qa_monitor.redaction.calltext import CallText, fold
from qa_monitor.redaction.dates import find_dates
from qa_monitor.redaction.expectation import find_cues
from qa_monitor.redaction.spoken import find_runs
from qa_monitor.redaction.web import find_web_addresses


def call(*texts: str) -> CallText:
    return CallText(
        Dialogue(
            call_id="c",
            language="en",
            asr_model="t",
            dropped_s=0.0,
            turns=tuple(
                Turn(
                    index=index,
                    speaker=("agent", "caller")[index % 2],
                    role=(Role.AGENT, Role.CALLER)[index % 2],
                    role_confidence=1.0,
                    start_s=None,
                    end_s=None,
                    text=text,
                )
                for index, text in enumerate(texts)
            ),
        )
    )


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("six one seven, five five five, oh one four two", "6175550142"),
        ("triple five, oh one double nine", "5550199"),
        ("nineteen eighty-two", "1982"),
        ("eight thousand two hundred sixteen", "8216"),
        ("a hundred and four", "104"),
        ("M as in Mary, C, C", "mcc"),
        ("B for Bravo dash 7 7", "b77"),
        ("S, T, I, L, T, N, E, R", "stiltner"),
        ("y b a double r a", "ybarra"),
        ("bravo charlie seven", "bc7"),
        ("BW7703211", "bw7703211"),
        ("617-555-0142", "6175550142"),
        ("five uh one, um, seven six", "5176"),
    ],
)
def test_a_run_has_its_value_however_it_is_said(said: str, value: str) -> None:
    assert [run.chars for run in find_runs(call(said))] == [value]


@pytest.mark.parametrize("text", ["a dog and i went", "hotel california", "at 8 a.m. sharp"])
def test_words_of_one_letter_and_single_code_words_are_no_spelling(text: str) -> None:
    assert all(run.letters == 0 for run in find_runs(call(text)))


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("march third nineteen eighty two", ["march third nineteen eighty two"]),
        ("on the 3rd of March, 1982, then", ["the 3rd of March, 1982"]),
        ("Wednesday the eighteenth at ten fifteen", ["Wednesday the eighteenth"]),
        ("born november second nineteen oh six", ["november second nineteen oh six"]),
        ("seventeenth of the first, sixty-six", ["seventeenth of the first, sixty-six"]),
        ("it was 2024-03-09 or 3/14/82", ["2024-03-09", "3/14/82"]),
        ("since March we wait", ["March"]),
        ("March third, nine thirty", ["March third"]),
        ("I may come and march on", []),
        ("the first time, the second opinion", []),
        ("on Tuesday or tomorrow, for three days", []),
        ("in nineteen ninety", []),
        ("the fourth and fifth fingers", []),
        ("it may take two weeks", []),
    ],
)
def test_dates_are_found_whole_and_nothing_else(text: str, dates: list[str]) -> None:
    read = call(text)
    assert [read.text[f.start : f.end] for f in find_dates(read)] == dates


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("it's j dot alvarez at gmail dot com okay", ["j dot alvarez at gmail dot com"]),
        ("e-mail is p underscore v at tech dot e d u", ["p underscore v at tech dot e d u"]),
        ("go to w w w dot bluff dot org slash contact", ["w w w dot bluff dot org slash contact"]),
        ("my dot lakeview dot org", ["my dot lakeview dot org"]),
        ("one nine two dot one six eight dot four dot nine", None),
        ("she was here looking at me", []),
        ("a red dot on the arm", []),
    ],
)
def test_addresses_read_out_are_found_whole(text: str, addresses: list[str] | None) -> None:
    read = call(text)
    found = find_web_addresses(read, find_cues(read))
    expected = [text] if addresses is None else addresses
    assert [read.text[f.start : f.end] for f in found] == expected


@pytest.mark.parametrize(
    ("text", "is_age"),
    [
        ("he's ninety three", True),
        ("she is 91 years old", True),
        ("my mother is a hundred and one", True),
        ("he's eighty nine", False),
        ("my pulse is ninety three", False),
        ("he's on ninety milligrams", False),
        ("ninety days", False),
    ],
)
def test_only_people_over_89_have_a_telling_age(text: str, is_age: bool) -> None:
    found = find_ages(call(text))
    assert [f.entity_type for f in found] == ([EntityType.AGE] if is_age else [])


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_tokens_point_back_at_their_turns(texts: list[str]) -> None:
    read = call(*texts)
    for token in read.tokens:
        start, end = read.turn_starts[token.turn], read.turn_ends[token.turn]
        assert start <= token.start < token.end <= end
        assert texts[token.turn][token.start - start : token.end - start] == token.text
        assert read.turn_at(token.start) == token.turn
    covered = [index for turn in range(len(texts)) for index in read.turn_tokens[turn]]
    assert covered == list(range(len(read.tokens)))


@given(st.text(max_size=60))
def test_folding_keeps_every_offset(text: str) -> None:
    assert len(fold(text)) == len(text)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=3))
def test_runs_and_dates_stay_in_their_turn(texts: list[str]) -> None:
    read = call(*texts)
    for run in find_runs(read):
        assert read.tokens[run.first].turn == read.tokens[run.last].turn == run.turn
    for found in find_dates(read):
        assert read.turn_at(found.start) == read.turn_at(found.end - 1)
