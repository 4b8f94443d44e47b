"""What the figures of redaction say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_monitor.calls import Dialogue, EntityType, RedactedDialogue, RedactedTurn, Role, Span
from qa_monitor.redaction.measure import (
    CallCounts,
    MeasuredTurn,
    PhiLabel,
    RedactionTally,
    count_call,
    count_redacted,
    is_spelled,
    is_whole_date,
    lowered,
    measure,
)

CALL: dict[str, Any] = {
    "id": "c1",
    "turns": [
        {"speaker": "agent", "text": "Your name?", "phi": []},
        {
            "speaker": "caller",
            "text": "Ray Ortega on the fourteenth",
            "phi": [
                {"start": 0, "end": 10, "type": "PERSON", "text": "Ray Ortega"},
                {"start": 14, "end": 28, "type": "DATE", "text": "the fourteenth"},
            ],
        },
    ],
}


class Fixed:
    """Redacts the same stretches of the second turn whatever it is given."""

    version = "fixed"

    def __init__(self, *stretches: tuple[int, int, EntityType]) -> None:
        self._stretches = stretches

    def redact(self, dialogue: Dialogue) -> RedactedDialogue:
        turns = []
        for turn in dialogue.turns:
            spans = tuple(
                Span(
                    start=start,
                    end=end,
                    source_start=start,
                    source_end=end,
                    entity_type=entity_type,
                    recognizer="fixed",
                    confidence=1.0,
                    start_s=None,
                    end_s=None,
                )
                for start, end, entity_type in self._stretches
                if turn.index == 1
            )
            turns.append(
                RedactedTurn(
                    index=turn.index,
                    speaker=turn.speaker,
                    role=turn.role,
                    role_confidence=1.0,
                    start_s=None,
                    end_s=None,
                    text=turn.text,
                    spans=spans,
                )
            )
        return RedactedDialogue(
            call_id=dialogue.call_id,
            language="en",
            asr_model="t",
            redactor_version="fixed",
            dropped_s=0.0,
            turns=tuple(turns),
        )


def test_any_type_counts_for_recall_and_agreement_is_told_apart() -> None:
    figures = measure([CALL], Fixed((0, 10, EntityType.ORGANIZATION), (18, 28, EntityType.DATE)))
    assert figures.character_recall == round(20 / 24, 4)
    assert figures.type_agreement == 0.5
    assert figures.character_precision == figures.span_precision == 1.0
    assert figures.recall_by_type == {"DATE": round(10 / 14, 4), "PERSON": 1.0}


def test_an_article_left_is_no_leak_but_a_name_is() -> None:
    whole = Fixed((0, 10, EntityType.PERSON), (18, 28, EntityType.DATE))
    assert measure([CALL], whole).calls_without_leak == 1.0
    part = Fixed((0, 3, EntityType.PERSON), (18, 28, EntityType.DATE))
    figures = measure([CALL], part)
    assert figures.calls_without_leak == 0.0
    assert figures.label_recall == 0.5


def test_a_span_mostly_outside_labels_is_wrong() -> None:
    figures = measure([CALL], Fixed((9, 14, EntityType.PERSON)))
    assert figures.span_precision == 0.0
    assert figures.over_redacted_characters == 4


def test_nothing_to_measure_is_none_and_figures_are_plain_values() -> None:
    figures = measure([], Fixed())
    assert figures.character_recall is None
    assert figures.as_dict()["calls"] == 0
    assert figures.as_dict()["recall_by_type"] == {}


def turn(
    text: str, *labels: tuple[str, EntityType], found: tuple[str, ...] = (), ignored: str = ""
) -> MeasuredTurn:
    """A turn by the caller; labels, spans found and the ignored stretch are told by their text."""

    def stretch(value: str, entity_type: EntityType) -> PhiLabel:
        start = text.index(value)
        return PhiLabel(start, start + len(value), entity_type)

    return MeasuredTurn(
        text=text,
        role=Role.CALLER,
        labels=[stretch(*label) for label in labels],
        found=[stretch(value, EntityType.OTHER_ID) for value in found],
        ignored=[(text.index(ignored), text.index(ignored) + len(ignored))] if ignored else [],
    )


def shares(*turns: MeasuredTurn) -> dict[str, tuple[int, int]]:
    counts = count_call(turns)
    return {name: (counts.part[name], counts.whole[name]) for name in counts.whole}


@pytest.mark.parametrize(
    "text",
    [
        "march third nineteen eighty two",
        "the third of march, nineteen oh five",
        "March 3rd, 1982",
        "oh three fourteen fifty one",
        "3/14/82",
        "03-14-1951",
        "03141951",
        "three one four eight two",
        "september twenty-first two thousand and five",
        "twelve, twenty-five, two thousand",
    ],
)
def test_a_date_with_day_month_and_year_is_whole(text: str) -> None:
    assert is_whole_date(text)
    assert is_whole_date(text.upper())


@pytest.mark.parametrize(
    "text",
    ["march third", "the fourteenth", "March 3", "twenty-third of may", "june", "3/14", "oh five"],
)
def test_a_part_of_a_date_is_not_whole(text: str) -> None:
    assert not is_whole_date(text)


@pytest.mark.parametrize(
    "text",
    [
        "M-C-C-A-L-L",
        "ortega, O R T E G A",
        "m as in Mary, c, c",
        "em see see a el el",
        "mike charlie charlie",
        "m for mother and then double t, like tom, uh a",
    ],
)
def test_letters_one_after_another_spell_a_name(text: str) -> None:
    assert is_spelled(text)


@pytest.mark.parametrize(
    "text", ["Mary McCall", "J R Ewing", "Mike", "Ray A", "a b ortega c", "Mary, as in Mary"]
)
def test_a_name_said_is_not_spelled(text: str) -> None:
    assert not is_spelled(text)


def test_kinds_that_matter_most_are_measured_by_themselves() -> None:
    counted = shares(
        turn("it is 555 0142", ("555 0142", EntityType.PHONE), found=("555",)),
        turn("june", ("june", EntityType.DATE), found=("june",)),
        turn("my name is ray", ("ray", EntityType.PERSON)),
        turn("that is r a y", ("r a y", EntityType.PERSON), found=("r a y",)),
    )
    assert counted["digit_identifiers"] == (3, 8)
    assert counted["names"] == (5, 8)
    assert counted["spelled_names"] == (5, 5)
    assert counted["role:caller"] == counted["character_recall"] == (12, 20)
    assert "birth_dates" not in counted


def test_a_date_is_a_birth_date_when_whole_or_up_to_two_turns_after_birth_is_named() -> None:
    june = turn("june fourth", ("june fourth", EntityType.DATE))
    other = turn("okay")
    assert "birth_dates" in shares(turn("Date of birth?"), other, june)
    assert "birth_dates" in shares(turn("born in june fourth", ("june fourth", EntityType.DATE)))
    assert "birth_dates" not in shares(turn("Date of birth?"), other, other, june)
    assert "birth_dates" in shares(turn("on 6/4/1982", ("6/4/1982", EntityType.DATE)))


def test_what_is_ignored_is_neither_missed_nor_wrongly_redacted() -> None:
    label = ("ray", EntityType.PERSON)
    missed = shares(turn("it is ray oh tiger", label, found=("ray",), ignored="oh tiger"))
    assert missed["label_recall"] == missed["calls_without_leak"] == (1, 1)
    taken = shares(turn("it is ray oh tiger", label, found=("ray oh tiger",), ignored="oh tiger"))
    assert taken["character_precision"] == (3, 4)
    beside = shares(turn("it is ray oh tiger", label, found=("tiger",), ignored="oh tiger"))
    assert "span_precision" not in beside
    assert beside["label_recall"] == (0, 1)


def test_a_labelled_call_may_tell_what_to_ignore() -> None:
    call = {**CALL, "turns": [CALL["turns"][0], {**CALL["turns"][1], "ignored": [[11, 13]]}]}
    counts = count_redacted(call, Fixed((0, 13, EntityType.PERSON)))
    assert (counts.part["character_precision"], counts.whole["character_precision"]) == (10, 11)


def test_the_worst_type_is_named_with_its_recall_and_number_of_labels() -> None:
    figures = measure([CALL], Fixed((0, 10, EntityType.PERSON), (18, 28, EntityType.DATE)))
    assert (figures.worst_type, figures.worst_type_labels) == ("DATE", 1)
    assert figures.worst_type_recall == round(10 / 14, 4)
    tally = RedactionTally([count_redacted(CALL, Fixed((0, 10, EntityType.PERSON)))])
    worst = tally.worst("type:")
    assert worst is not None
    assert worst[0] == "DATE"
    assert worst[1].value == 0.0
    assert tally.worst("nothing:") is None


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20))
def test_an_interval_holds_its_share_and_is_the_same_each_time(
    calls: list[tuple[int, int]],
) -> None:
    tally = RedactionTally()
    for hit, missed in calls:
        counts = CallCounts()
        counts.add("names", hit, hit + missed)
        tally.calls.append(counts)
    share = tally.share("names")
    if share.value is None:
        assert share.low is share.high is None
        return
    assert share.low is not None
    assert share.high is not None
    assert 0 <= share.low <= share.high <= 1
    if len({missed / (hit + missed) for hit, missed in calls if hit + missed}) == 1:
        assert share.low == pytest.approx(share.value)
        assert share.high == pytest.approx(share.value)
    assert tally.share("names") == share


def test_the_interval_of_calls_is_wilsons() -> None:
    tally = RedactionTally()
    for is_clean in [True] * 9 + [False]:
        counts = CallCounts()
        counts.add("calls_without_leak", is_clean, 1)
        tally.calls.append(counts)
    share = tally.share("calls_without_leak")
    assert share.value == 0.9
    assert share.low == pytest.approx(0.596, abs=1e-3)
    assert share.high == pytest.approx(0.982, abs=1e-3)


@given(st.text(max_size=40), st.data())
def test_lower_case_keeps_labels_in_their_place(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    phi = {"start": start, "end": end, "type": "PERSON", "text": text[start:end]}
    call = {"id": "c", "turns": [{"speaker": "caller", "text": text, "phi": [phi]}]}
    lower = lowered(call)["turns"][0]
    assert len(lower["text"]) == len(text)
    assert lower["phi"][0]["text"] == lower["text"][start:end]
    assert all(c == c.lower() or len(c.lower()) > 1 for c in lower["text"])
