"""What writing calls as a large recogniser does promises: digits, capitals, labels kept."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_monitor.calls import EntityType
from qa_monitor.redaction.dates import numeric_date
from qa_monitor.redaction.measure import labelled_dialogue
from qa_monitor.training.ner_data import parse_marked, read_written_calls
from qa_monitor.training.written_forms import as_written

CALLS = Path(__file__).parents[1] / "models" / "turn-findings" / "calls"
DIGITS = "zero one two three four five six seven eight nine".split()
SEEDS = range(60)


def call_of(*marked: str) -> dict[str, Any]:
    """A call of turns marked like ``[Ray|PERSON] here``."""
    turns = []
    for index, line in enumerate(marked):
        text, spans = parse_marked(line)
        phi = [{"start": s, "end": e, "type": t, "text": text[s:e]} for s, e, t in spans]
        turns.append({"speaker": ("agent", "caller")[index % 2], "text": text, "phi": phi})
    return {"id": "z01", "call_type": "billing", "turns": turns}


def forms(marked: str) -> set[str]:
    """What a turn of one label can become, the label's text alone."""
    made = [as_written(call_of(marked), rng=random.Random(seed)) for seed in SEEDS]
    return {call["turns"][0]["phi"][0]["text"] for call in made}


def texts(marked: str) -> set[str]:
    """What a turn can become."""
    made = [as_written(call_of(marked), rng=random.Random(seed)) for seed in SEEDS]
    return {call["turns"][0]["text"] for call in made}


def check_labels(before: dict[str, Any], after: dict[str, Any]) -> None:
    for said, written in zip(before["turns"], after["turns"], strict=True):
        assert [p["type"] for p in said["phi"]] == [p["type"] for p in written["phi"]]
        end = 0
        for phi in written["phi"]:
            assert end <= phi["start"] < phi["end"] <= len(written["text"])
            assert written["text"][phi["start"] : phi["end"]] == phi["text"] == phi["text"].strip()
            end = phi["end"]


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        (
            "[six one seven, five five five, oh one four two|PHONE]",
            {"617-555-0142", "6175550142", "617 555 0142", "(617) 555-0142"},
        ),
        ("[march third nineteen eighty two|DATE]", {"March 3rd, 1982", "March 3, 1982"}),
        ("[Seventh of March, fifty-three|DATE]", {"7th of March, 53", "7th of March, '53"}),
        ("[oh three fourteen fifty one|DATE]", {"03-14-51", "3/14/51", "03/14/51"}),
        ("[m c c a l l|PERSON]", {"M-C-C-A-L-L", "M. C. C. A. L. L", "M C C A L L", "MCCALL"}),
        ("it's [double four|MRN]", {"44", "double 4"}),
        ("[O T two, nine P P|LOCATION]", {"OT2 9PP"}),
        ("[ess double u one a|LOCATION]", {"SW1A"}),
        ("[two oh three dot zero dot one one three dot forty two|IP]", {"203.0.113.42"}),
    ],
)
def test_a_value_takes_the_forms_that_recognisers_write(marked: str, expected: set[str]) -> None:
    made = forms(marked)
    assert expected <= made
    assert not any(word in value.lower() for value in made for word in (*DIGITS, "oh "))


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("It's [the fourteenth|DATE] now.", "It's the 14th now."),
        ("I'm [ninety four|AGE].", "I'm 94."),
        ("At [seven twelve Maple Street|LOCATION].", "At 712 Maple Street."),
        ("At [One sixty eighth|LOCATION].", "At 168th."),
        ("At [Seven one seven Fifty-ninth Street|LOCATION].", "At 717 59th Street."),
        ("See [w w w dot fairlawn dot example slash pay|URL].", "See www.fairlawn.example/pay."),
        ("On [the fourth, triple nine|DATE] he said.", "On the 4th, 999 he said."),
        ("It was forty two dollars.", "It was $42."),
        ("It was a dollar, or twelve dollars and five cents.", "It was a dollar, or $12.05."),
        ("Call nine one one.", "Call 911."),
        ("Two pills, ten percent, two point five.", "Two pills, 10%, 2.5."),
        ("One forty over ninety in nineteen eighty two.", "140 over 90 in 1982."),
        ("Be here at nine fifteen.", "Be here at 9:15."),
        ("Doctor [Bell|PERSON], um, called.", "Dr. Bell, called."),
        ("Um, it's me.", "It's me."),
        ("Uh-huh, go on.", "Uh-huh, go on."),
    ],
)
def test_other_words_become_what_is_written(marked: str, expected: str) -> None:
    assert texts(marked) == {expected}


def test_an_address_of_the_net_is_one_word_or_keeps_its_at() -> None:
    assert forms("[j dot alvarez at gmail dot com|EMAIL]") == {
        "j.alvarez@gmail.com",
        "j.alvarez at gmail.com",
    }


def test_a_letter_told_by_a_word_keeps_the_word() -> None:
    made = forms("[m as in mary c c|PERSON]")
    assert made
    assert all(value.startswith("M as in Mary, C") for value in made)


def test_doses_and_times_of_day_have_digits() -> None:
    assert {"Take 500 milligrams.", "Take 500 mg.", "Take 500mg."} == texts(
        "Take five hundred milligrams."
    )
    assert "At 9:30 a.m. then." in texts("At nine thirty a m then.")


def test_a_turn_in_lower_case_gets_capitals_and_a_mark() -> None:
    written = as_written(
        call_of(
            "yes hi this is [ray o'brien|PERSON] of [fairlawn clinic|ORGANIZATION] can you hear me",
            "i said i'm [mccall|PERSON] i'm calling about monday",
        ),
        rng=random.Random(1),
    )
    first, second = (turn["text"] for turn in written["turns"])
    assert first.startswith("Yes, hi, this is Ray O'Brien of Fairlawn Clinic")
    assert first[-1] in ".?"
    assert second == "I said I'm McCall I'm calling about Monday."


def test_a_name_that_is_a_number_stays_a_name() -> None:
    assert forms("[Orville Two Hearts|PERSON]") == {"Orville Two Hearts"}
    assert forms("[three forks clinic|ORGANIZATION]") == {"Three Forks Clinic"}


def test_nothing_else_of_the_call_changes_and_the_call_given_is_left() -> None:
    call = call_of("It's [five|MRN].")
    before = repr(call)
    written = as_written(call, rng=random.Random(3))
    assert repr(call) == before
    assert {key: written[key] for key in ("id", "call_type")} == {
        "id": "z01",
        "call_type": "billing",
    }
    assert written["turns"][0]["speaker"] == "agent"
    labelled_dialogue(written)


def test_a_turn_of_fillers_alone_is_kept() -> None:
    assert texts("Um.") == {"Um."}


WRITTEN = (
    "Thank you for calling [Fairlawn Clinic|ORGANIZATION], this is [Denise|PERSON].",
    "Hi, it's [Ray Ortega|PERSON], [O-R-T-E-G-A|PERSON], [617-555-0142|PHONE].",
    "[M. C. C. A. L. L|PERSON], born [March 3rd, 1982|DATE], or [03-14-51|DATE] or [3/14/51|DATE]?",
    "[617, 555, 0142|PHONE] or [j.alvarez@gmail.com|EMAIL], [www.fairlawn.example|URL], please.",
    "I paid $42 at 9:30 a.m. for 500 mg, [UH-2661047|MEMBER_ID] and [B as in boy, W-77|ACCOUNT].",
    "It's [712 Maple Street, 59043|LOCATION], [SW1A 1AA|LOCATION]. I'm [94|AGE].",
    "From [203.0.113.42|IP] on [the 14th|DATE], you said.",
)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_call_that_is_written_already_stays_as_it_is(seed: int) -> None:
    call = call_of(*WRITTEN)
    assert as_written(call, rng=random.Random(seed)) == call


@settings(deadline=None)
@given(number=st.text("0123456789", min_size=1, max_size=16), data=st.data())
def test_the_digits_of_a_number_are_kept(number: str, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PHONE", "FAX", "SSN", "ACCOUNT", "MRN", "OTHER_ID"]))
    said: list[str] = []
    position = 0
    while position < len(number):
        digit = number[position]
        word = DIGITS[int(digit)] if digit != "0" else data.draw(st.sampled_from(["oh", "zero"]))
        if number[position : position + 2] == digit * 2 and data.draw(st.booleans()):
            word = f"double {word}"
            position += 1
        said.append(word + data.draw(st.sampled_from(["", "", "", ",", " um", " dash"])))
        position += 1
    value = re.sub(r"(,| um| dash)$", "", " ".join(said))
    call = call_of(f"It is [{value}|{kind}] I think.")
    written = as_written(call, rng=random.Random(data.draw(st.integers(0, 999))))
    check_labels(call, written)
    text = written["turns"][0]["phi"][0]["text"]
    spread = re.sub(r"[Dd]ouble (\d)", r"\1\1", text)
    assert re.sub(r"\D", "", spread) == number


@settings(deadline=None)
@given(
    month=st.integers(1, 12),
    day=st.integers(1, 31),
    year=st.integers(10, 99),
    seed=st.integers(0, 999),
)
def test_a_date_said_in_numbers_stays_the_date(month: int, day: int, year: int, seed: int) -> None:
    from qa_monitor.training.recogniser.text import cardinal

    said = ", ".join(cardinal(number) for number in (month, day, year))
    call = call_of(f"born [{said}|DATE]")
    text = as_written(call, rng=random.Random(seed))["turns"][0]["phi"][0]["text"]
    parts = re.findall(r"\d+", text)
    if len(parts) == 1:
        parts = [text[:2], text[2:4], text[4:]]
    assert numeric_date(parts) == numeric_date([str(month), str(day), str(year)])


def digit_string(text: str) -> str:
    """The digits of a value however they are said; leading zeros of numbers left out."""
    from qa_monitor.calls import Dialogue, Role, Turn
    from qa_monitor.redaction.calltext import CallText
    from qa_monitor.redaction.spoken import find_runs

    turn = Turn(
        index=0, speaker="", role=Role.UNKNOWN, role_confidence=0, start_s=None, end_s=None,
        text=text,
    )  # fmt: skip
    runs = find_runs(
        CallText(Dialogue(call_id="", language="en", asr_model="", dropped_s=0, turns=(turn,)))
    )
    return "".join(c for run in runs for c in run.chars if c.isdecimal())


KEPT = {"PHONE", "FAX", "SSN", "MEMBER_ID", "MRN", "ACCOUNT", "LICENSE", "DEVICE", "OTHER_ID"}


@pytest.mark.parametrize("writer", sorted(path.name for path in CALLS.iterdir()))
def test_labels_and_digits_of_whole_calls_are_kept_and_a_second_pass_changes_nothing(
    writer: str,
) -> None:
    numbers = 0
    for seed, call in enumerate(read_written_calls(CALLS / writer)):
        written = as_written(call, rng=random.Random(seed))
        check_labels(call, written)
        assert as_written(written, rng=random.Random(seed + 1)) == written
        for said, made in zip(call["turns"], written["turns"], strict=True):
            for before, after in zip(said["phi"], made["phi"], strict=True):
                if before["type"] in KEPT:
                    numbers += 1
                    assert digit_string(before["text"]) == digit_string(after["text"])
    assert numbers > 20


@settings(deadline=None)
@given(
    pieces=st.lists(
        st.tuples(
            st.text(
                st.sampled_from("aAiI oz19,.-'um dotfirstenty\u00e9"), min_size=1, max_size=24
            ).filter(lambda text: not set("[]|") & set(text)),
            st.sampled_from([None, *EntityType]),
        ),
        max_size=6,
    ),
    seed=st.integers(0, 99),
)
def test_labels_never_leave_their_text_whatever_is_in_it(
    pieces: list[tuple[str, EntityType | None]], seed: int
) -> None:
    marked = " ".join(
        f"[{text.strip()}|{kind}]" if kind and text.strip() else text for text, kind in pieces
    )
    call = call_of(marked)
    check_labels(call, as_written(call, rng=random.Random(seed)))
