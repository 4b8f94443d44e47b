"""What speaking calls and hearing them again promises: labels follow their values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import AGENT, CALLER, Script, ScriptedRecogniser

from qa_monitor.calls import EntityType
from qa_monitor.redaction.measure import labelled_dialogue
from qa_monitor.training.heard_forms import align, as_heard, main, said_words
from qa_monitor.training.ner_data import parse_marked
from qa_monitor.training.voices import SAMPLE_VOICES, installed
from qa_monitor.transcription import FasterWhisperRecogniser

MODEL = Path(__file__).parents[1] / "models" / "embedded-whisper"
VOICES = tuple(voice for voice in SAMPLE_VOICES.values() if voice.engine == "espeak")
needs_engines = pytest.mark.skipif(
    not installed(), reason="espeak-ng and flite are not installed (see training/voices.py)"
)

WRITTEN = """=== z01
call_type: appointment
---
agent {chk=greeting}: Thank you for calling, this is [Denise|PERSON], how can I help you?
caller: hi my name is [ray ortega|PERSON] and my number is [six one seven five five five|PHONE]

=== z02
call_type: billing
---
agent: Your name, please?
caller: It's [Diane Miller|PERSON], born [March third|DATE].
"""


def turn_of(marked: str, speaker: str = "caller") -> dict[str, Any]:
    """A labelled turn from text such as ``[Ray|PERSON] here``."""
    text, spans = parse_marked(marked)
    phi = [{"start": s, "end": e, "type": t, "text": text[s:e]} for s, e, t in spans]
    return {"speaker": speaker, "text": text, "phi": phi}


def call_of(agent: str, caller: str) -> dict[str, Any]:
    """A call of two turns."""
    return {"id": "z01", "turns": [turn_of(agent, "agent"), turn_of(caller)]}


def heard_as(call: dict[str, Any], script: Script, **options: Any) -> list[dict[str, Any]]:
    """The turns of ``call`` where the recogniser hears ``script``."""
    heard = as_heard(call, ScriptedRecogniser(script), voices=VOICES, seed=1, **options)
    assert heard is not None
    return list(heard["turns"])


def labelled(turn: dict[str, Any]) -> list[tuple[str, str]]:
    for phi in turn["phi"]:
        assert turn["text"][phi["start"] : phi["end"]] == phi["text"]
    return [(phi["type"], phi["text"]) for phi in turn["phi"]]


def ignored(turn: dict[str, Any]) -> list[str]:
    return [turn["text"][start:end] for start, end in turn["ignored"]]


# --- what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marked", "said"),
    [
        ("[617-555-0142|PHONE]", "six one seven five five five oh one four two"),
        ("[(617) 555-0142|PHONE]", "six one seven five five five oh one four two"),
        ("[PM7333 0094|MEMBER_ID]", "p m seven three three three oh oh nine four"),
        ("[02/11/1943|DATE]", "zero two eleven nineteen forty three"),
        ("[March 3rd, 1982|DATE]", "march third nineteen eighty two"),
        ("[j.alvarez@gmail.com|EMAIL]", "j dot alvarez at gmail dot com"),
        ("[www.fairlawn.example/pay|URL]", "w w w dot fairlawn dot example slash pay"),
        ("[192.0.2.18|IP]", "one nine two dot oh dot two dot one eight"),
        ("[M-C-C-A-L-L|PERSON]", "m c c a l l"),
        ("[LS21 3DW|LOCATION]", "l s twenty one three d w"),
        ("[six one seven|PHONE]", "six one seven"),
    ],
)
def test_values_are_said_as_callers_say_them(marked: str, said: str) -> None:
    words = said_words(turn_of(f"it's {marked}, yes"))
    assert " ".join(word.word for word in words if word.label == 0) == said
    assert [word.word for word in words if word.label is None] == ["it's", "yes"]


def test_a_nought_of_a_code_is_said_as_asked_for() -> None:
    words = said_words(turn_of("[0142|PHONE]"), zero="zero")
    assert [word.word for word in words] == ["zero", "one", "four", "two"]


def test_spelled_letters_are_capitals_for_the_voice_alone() -> None:
    words = said_words(turn_of("it's [m a r a|PERSON] with a k"))
    assert " ".join(word.token for word in words) == "it's M A R A with a K"
    assert " ".join(word.word for word in words) == "it's m a r a with a k"


def test_what_is_glued_to_a_value_is_said_with_it() -> None:
    words = said_words(turn_of("from [Opal|PERSON]'s, and [Ray|PERSON], then."))
    assert [(word.token, word.word, word.label) for word in words] == [
        ("from", "from", None),
        ("Opal's,", "opal's", 0),
        ("and", "and", None),
        ("Ray,", "ray", 1),
        ("then.", "then", None),
    ]


@settings(deadline=None)
@given(
    pieces=st.lists(
        st.tuples(
            st.text(st.sampled_from("abAB é 01-.,'@/$%"), min_size=1, max_size=12),
            st.sampled_from([None, *EntityType]),
        ),
        max_size=6,
    )
)
def test_words_of_a_label_stand_together_whatever_is_in_it(
    pieces: list[tuple[str, EntityType | None]],
) -> None:
    turn = turn_of(
        " ".join(f"[{t.strip()}|{kind}]" if kind and t.strip() else t for t, kind in pieces)
    )
    words = said_words(turn)
    labels = [word.label for word in words if word.label is not None]
    assert labels == sorted(labels)
    assert all(0 <= label < len(turn["phi"]) for label in labels)
    assert all(set(word.word) <= set("abcdefghijklmnopqrstuvwxyz'") for word in words)


# --- alignment -----------------------------------------------------------------------------------

WORDS = st.lists(st.sampled_from("a b five nine oh the mister ortega miller mill er".split()))


@given(words=WORDS)
def test_a_text_heard_right_is_aligned_word_by_word(words: list[str]) -> None:
    assert align(words, words) == [(range(i, i + 1), range(i, i + 1)) for i in range(len(words))]


@settings(deadline=None)
@given(said=WORDS, heard=WORDS)
def test_pairs_stand_in_order_and_never_share_a_word(said: list[str], heard: list[str]) -> None:
    pairs = align(said, heard)
    for words, part in ((said, 0), (heard, 1)):
        position = 0
        for pair in pairs:
            assert position <= pair[part].start < pair[part].stop <= len(words)
            position = pair[part].stop
    assert all(min(len(rows), len(columns)) == 1 for rows, columns in pairs)


@pytest.mark.parametrize(
    ("said", "heard", "expected"),
    [
        ("it's okafor now", "it's oaka for now", "it's=it's okafor=oaka for now=now"),
        ("it's v o p s now", "it's vops now", "it's=it's v o p s=vops now=now"),
        ("five five oh one", "five oh one", "five=five oh=oh one=one"),
        ("call mccall", "call uh mccall", "call=call mccall=mccall"),
        ("a november day", "november day", "november=november day=day"),
    ],
)
def test_words_lost_added_and_joined_are_told_apart(said: str, heard: str, expected: str) -> None:
    one, other = said.split(), heard.split()
    pairs = [
        f"{' '.join(one[i] for i in rows)}={' '.join(other[j] for j in columns)}"
        for rows, columns in align(one, other)
    ]
    assert " ".join(pairs) == expected


# --- labels --------------------------------------------------------------------------------------

NUMBER = call_of("and your number", "it's [six one seven five five|PHONE] yes")
HEARD_NUMBER: Script = [(AGENT, "and your number"), (CALLER, "it's six on seven oh five hive yes")]


@pytest.mark.voices
@needs_engines
def test_for_training_every_word_heard_for_a_value_is_labelled() -> None:
    agent, caller = heard_as(NUMBER, HEARD_NUMBER)
    assert labelled(agent) == []
    assert labelled(caller) == [("PHONE", "six on seven oh five hive")]
    assert ignored(caller) == []


@pytest.mark.voices
@needs_engines
def test_for_measuring_only_words_that_still_tell_the_value_are_labelled() -> None:
    _, caller = heard_as(NUMBER, HEARD_NUMBER, telling_only=True)
    assert labelled(caller) == [("PHONE", "six on seven oh five hive")]
    street = call_of("okay", "[four dry fork road|LOCATION] and [Three Forks Clinic|ORGANIZATION]")
    script = [(AGENT, "okay"), (CALLER, "five try fork a road and three fourks five")]
    _, caller = heard_as(street, script, telling_only=True)
    assert labelled(caller) == [
        ("LOCATION", "five try fork"),
        ("LOCATION", "road"),
        ("ORGANIZATION", "three fourks"),
    ]
    assert ignored(caller) == ["a", "five"]


@pytest.mark.voices
@needs_engines
def test_words_that_tell_nothing_part_a_name_for_measuring_but_not_for_training() -> None:
    name = call_of("your name", "it's [Renata Ortega Miller|PERSON] yes")
    _, caller = heard_as(
        name,
        [(AGENT, "your name"), (CALLER, "it's renata all day millar yes")],
        telling_only=True,
    )
    assert labelled(caller) == [("PERSON", "renata"), ("PERSON", "millar")]
    assert set(ignored(caller)) == {"all", "day"}
    _, caller = heard_as(name, [(AGENT, "your name"), (CALLER, "it's renata all day millar yes")])
    assert labelled(caller) == [("PERSON", "renata all day millar")]


@pytest.mark.voices
@needs_engines
def test_two_values_side_by_side_stay_two_and_one_not_heard_is_none() -> None:
    call = call_of("okay", "[Ray|PERSON] [Ortega|PERSON] of [Tazewell|LOCATION]")
    _, caller = heard_as(call, [(AGENT, "okay"), (CALLER, "ray ortega of")])
    assert labelled(caller) == [("PERSON", "ray"), ("PERSON", "ortega")]


@pytest.mark.voices
@needs_engines
def test_a_call_in_which_nothing_is_heard_gives_none() -> None:
    assert as_heard(NUMBER, ScriptedRecogniser([]), voices=VOICES, seed=1) is None


@pytest.mark.voices
@needs_engines
def test_the_embedded_recogniser_hears_the_values_of_a_call() -> None:
    call = call_of(
        "Thank you for calling, this is [Denise|PERSON]. What is your phone number?",
        "It's [617-555-0142|PHONE], and I was born on [March 3rd, 1982|DATE].",
    )
    recogniser = FasterWhisperRecogniser(MODEL, device="cpu", threads=1)
    heard = as_heard(call, recogniser, voices=VOICES, seed=3)
    assert heard is not None
    assert [turn["speaker"] for turn in heard["turns"]] == ["agent", "caller"]
    kinds = [kind for turn in heard["turns"] for kind, _ in labelled(turn)]
    assert kinds == ["PERSON", "PHONE", "DATE"]
    phone = labelled(heard["turns"][1])[0][1]
    assert "five five five" in phone
    assert heard["heard"]["words"] == 33
    assert heard["heard"]["wrong_words"] < 12
    labelled_dialogue(json.loads(json.dumps(heard)))


@pytest.mark.voices
@needs_engines
def test_the_command_goes_on_where_it_was_broken_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "01.txt").write_text(WRITTEN, encoding="utf-8")
    out = tmp_path / "heard.jsonl"
    arguments = ["--calls", str(tmp_path / "calls"), "--voices", "held-out", "--out", str(out)]
    assert main([*arguments, "--limit", "1"]) == 0
    first = out.read_text(encoding="utf-8")
    assert json.loads(first)["id"] == "z01"
    out.write_text(first + '{"id": "z02", "tur', encoding="utf-8")
    assert main([*arguments, "--jobs", "2"]) == 0
    lines = out.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["z01", "z02"]
    assert lines[0] + "\n" == first
    messages = capsys.readouterr().err
    assert "1 of 1: z02, word error rate" in messages
    assert "miller" not in messages.lower()
