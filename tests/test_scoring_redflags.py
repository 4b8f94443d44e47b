"""The red-flag file and the rules that tell emergencies from words that only sound like one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qa_monitor.scoring.redflags as redflags
from qa_monitor.calls import RedactedDialogue, RedactedTurn, Role
from qa_monitor.errors import ConfigError
from qa_monitor.scoring.labels import LABELS, RED_FLAG
from qa_monitor.scoring.redflags import FlagMatch, FlagStatus, RedFlags

FLAGS = RedFlags()
SHIPPED = Path(redflags.__file__).with_name("red_flags.toml")

PRESENT = [
    ("I have this pressure on my chest and it won't let up.", "chest_pain"),
    ("it feels like an elephant is sitting on me", "chest_pain"),
    ("my left arm's gone numb and I'm sweating", "chest_pain"),
    ("he's clutching his chest, he says it's crushing", "chest_pain"),
    ("his face looks crooked and he's talking funny", "stroke"),
    ("one side of mum's mouth has dropped", "stroke"),
    ("all of a sudden she can't lift her right arm", "stroke"),
    ("My neighbor can't breathe, her lips are blue!", "breathing"),
    ("she can't get three words out without stopping", "breathing"),
    ("I've been coughing up blood since this morning", "bleeding"),
    ("the bleeding won't stop, we've gone through four towels", "bleeding"),
    ("my poo's gone black as tar", "bleeding"),
    ("My throat is closing up after the shrimp.", "swelling_airway"),
    ("his tongue is swelling up", "swelling_airway"),
    ("she won't wake up", "unresponsive"),
    ("dad's just collapsed in the kitchen", "unresponsive"),
    ("my daughter is having a fit, she's never had one", "seizure"),
    ("all of a sudden my mother doesn't know who I am", "confusion"),
    ("the toddler got into my blood pressure pills", "overdose_poisoning"),
    ("she's taken the whole bottle of paracetamol", "overdose_poisoning"),
    ("he fell off the ladder and can't feel his legs", "injury"),
    ("i've got this awful pain in my belly, i'm doubled over", "abdominal_pain"),
    ("it's the worst headache of my life", "head_pain"),
    ("he's got a fever and he can't put his chin down, his neck is stiff", "stiff_neck_fever"),
    ("i just want to end it all tonight", "suicide"),
    ("they'd be better off without me", "suicide"),
    ("I've got a shotgun in the truck for him", "harm_others"),
    ("I'm thirty four weeks and two days and the baby has stopped moving", "pregnancy"),
    ("he's shivering with a fever and all confused, his skin is mottled", "sepsis"),
    ("he put his hands around my neck", "violence"),
    ("my newborn has a fever of 101", "infant"),
    ("our baby is floppy and won't feed", "infant"),
]

NOT_PRESENT = [
    ("No chest pain, no shortness of breath.", FlagStatus.NEGATED),
    ("no chest pain no fever nothing like that", FlagStatus.NEGATED),
    ("i don't have any chest pain or anything like that", FlagStatus.NEGATED),
    ("No, no. No chest pain.", FlagStatus.NEGATED),
    ("She hasn't had any trouble breathing.", FlagStatus.NEGATED),
    ("he denies chest pain", FlagStatus.NEGATED),
    ("chest pain, none, and my feet are fine", FlagStatus.NEGATED),
    ("Chest pain, no. Breathing's fine.", FlagStatus.NEGATED),
    ("my chest doesn't hurt", FlagStatus.NEGATED),
    ("I don't want to kill myself, I'm only sad", FlagStatus.NEGATED),
    ("Grandad had a seizure back in 2020.", None),
    ("the seizing in 2020 was at another hospital", FlagStatus.HISTORICAL),
    ("I had chest pain years ago, that was the old clinic", FlagStatus.HISTORICAL),
    ("my arm went numb after my stroke, years back", FlagStatus.HISTORICAL),
    ("My father had a heart attack in his sixties", None),
    ("What if I get chest pain after the procedure?", FlagStatus.HYPOTHETICAL),
    ("if my chest hurts I should call 911, got it", FlagStatus.HYPOTHETICAL),
    ("The leaflet says it can cause swelling of the face.", FlagStatus.HYPOTHETICAL),
    ("I about had a heart attack when I opened the envelope.", None),
    ("I was going to shoot myself listening to that music", FlagStatus.IDIOM),
    ("just reading this bill, my chest hurts just thinking about it", FlagStatus.IDIOM),
    ("i need a refill of my epipen, it's out of date", None),
    ("I need the chest pain clinic, they moved my slot", FlagStatus.TOPIC),
    ("I've an appointment with the stroke clinic", None),
    ("I'm calling about my seizure medicine", None),
    ("This bill is killing me.", None),
    ("My grandfather died of a stroke.", None),
    ("I'm sick to death of this hold music.", None),
    ("I had chest pain but it's gone now", FlagStatus.RESOLVED),
    ("just my usual chest tightness, same as always", FlagStatus.MINOR),
    ("there's blood when I floss", None),
]

SYMPTOMS = [
    "chest pain",
    "shortness of breath",
    "trouble breathing",
    "slurred speech",
    "seizures",
    "vomiting blood",
    "suicidal thoughts",
    "swelling of the face",
    "blood in my stool",
    "severe headache",
    "confusion",
    "stiff neck",
]


def dialogue(*turns: tuple[Role, str]) -> RedactedDialogue:
    return RedactedDialogue(
        call_id="t-1",
        language="en",
        asr_model="none",
        redactor_version="none",
        dropped_s=0.0,
        turns=tuple(
            RedactedTurn(
                index=index,
                speaker=role.value,
                role=role,
                role_confidence=1.0,
                start_s=None,
                end_s=None,
                text=text,
            )
            for index, (role, text) in enumerate(turns)
        ),
    )


def codes(*turns: tuple[Role, str]) -> set[str]:
    return {match.code for match in FLAGS.find(dialogue(*turns))}


def said(text: str) -> set[str]:
    return codes((Role.CALLER, text))


def all_matches(text: str) -> tuple[FlagMatch, ...]:
    return FLAGS.find_all(dialogue((Role.CALLER, text)))


def as_heard(text: str) -> str:
    """``text`` as a recogniser without punctuation writes it."""
    return " ".join(re.sub(r"[^\w'’ ]", " ", text.lower()).split())


@pytest.mark.parametrize(("text", "code"), PRESENT)
def test_a_present_flag_is_found_in_plain_words_and_in_third_persons(text: str, code: str) -> None:
    assert code in said(text)


@pytest.mark.parametrize(("text", "code"), PRESENT)
def test_it_is_found_without_punctuation_capitals_and_apostrophes_too(text: str, code: str) -> None:
    assert code in said(as_heard(text))
    assert code in said(text.replace("'", "’"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("my um my chest uh kind of hurts", "chest_pain"),
        ("he cant breathe", "breathing"),
        ("she can not breathe", "breathing"),
        ("he's he's talkin funny", "stroke"),
        ("he ain't breathin", "breathing"),
        ("the tongue's swelling up", "swelling_airway"),
        ("<PERSON_1>'s not breathing", "breathing"),
    ],
)
def test_fillers_repeats_and_dialect_spellings_do_not_hide_a_flag(text: str, code: str) -> None:
    assert code in said(text)


@pytest.mark.parametrize(("text", "status"), NOT_PRESENT)
def test_what_is_not_an_emergency_of_now_raises_no_flag(
    text: str, status: FlagStatus | None
) -> None:
    assert said(text) == set()
    if status is not None:
        assert status in {match.status for match in all_matches(text)}


@pytest.mark.parametrize(
    "text",
    [
        "no my chest hurts",
        "No, it's not getting better, my chest is tight.",
        "It's not just the chest pain, I can't breathe.",
        "I had a heart attack in 2019 and now my chest hurts again.",
        "I don't know why but I have chest pain.",
        "no fever but he's got chest pain",
    ],
)
def test_words_that_only_look_like_context_do_not_hide_an_emergency(text: str) -> None:
    assert "chest_pain" in said(text)
    assert "chest_pain" in said(as_heard(text))


def test_a_question_of_the_agent_is_no_flag_by_itself() -> None:
    assert codes((Role.AGENT, "Are you having any chest pain?")) == set()


def test_a_recorded_announcement_is_no_flag() -> None:
    assert codes((Role.SYSTEM, "you have chest pain now hang up and dial 911")) == set()


@pytest.mark.parametrize("question", ["Do you have any chest pain?", "do you have any chest pain"])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Yes, a little, since this morning.", {"chest_pain"}),
        ("yeah it started an hour ago", {"chest_pain"}),
        ("No, nothing like that.", set()),
        ("no", set()),
        ("I don't think so.", set()),
        ("my number is the same", set()),
    ],
)
def test_a_yes_to_the_agents_question_counts_and_a_no_does_not(
    question: str, answer: str, expected: set[str]
) -> None:
    assert codes((Role.AGENT, question), (Role.CALLER, answer)) == expected


def test_a_no_to_a_row_of_questions_is_told_as_negated() -> None:
    call = dialogue((Role.AGENT, "Any chest pain? Any trouble breathing?"), (Role.CALLER, "No."))
    told = {(match.code, match.status) for match in FLAGS.find_all(call)}
    assert told == {
        ("chest_pain", FlagStatus.NEGATED),
        ("breathing", FlagStatus.NEGATED),
    }


def test_a_yes_to_advice_is_no_flag() -> None:
    advice = "If you get any chest pain you call 911, okay?"
    assert codes((Role.AGENT, advice), (Role.CALLER, "Yes, I will.")) == set()


def test_a_caller_who_repeats_advice_raises_no_flag_and_one_who_has_it_does() -> None:
    advice = (Role.AGENT, "If you get chest pain or you can't breathe, call 911. Say that back?")
    assert codes(advice, (Role.CALLER, "Chest pain, can't breathe, nine one one.")) == set()
    assert codes(advice, (Role.CALLER, "But I have chest pain now.")) == {"chest_pain"}


def test_a_feverish_infant_is_found_once_the_age_is_known_and_not_before() -> None:
    fever = (Role.CALLER, "the temperature was a hundred and one point four")
    age = (Role.CALLER, "she's six weeks old")
    assert "infant" not in codes(fever)
    assert "infant" in codes(fever, age)
    assert "infant" in codes(age, fever)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Well, my chest hurts now.", "chest hurts"),
        ("Well, my CHEST, um, hurts now.", "CHEST, um, hurts"),
        ("he can not breathe", "can not breathe"),
    ],
)
def test_evidence_is_the_words_of_the_match_as_they_were_said(text: str, words: str) -> None:
    call = dialogue((Role.CALLER, text))
    (match,) = FLAGS.find(call)
    assert call.quote(match.evidence) == words


def test_what_is_found_early_does_not_depend_on_what_comes_later() -> None:
    turns = [
        (Role.CALLER, "my chest is tight"),
        (Role.AGENT, "Any trouble breathing?"),
        (Role.CALLER, "yes, and my left arm is numb"),
        (Role.CALLER, "no wait, it's fine"),
    ]
    whole = FLAGS.find_all(dialogue(*turns))
    for end in range(1, len(turns)):
        early = FLAGS.find_all(dialogue(*turns[:end]))
        assert early == tuple(m for m in whole if m.evidence.turn_index < end)


_WORDS = st.one_of(
    st.text(max_size=120),
    st.lists(
        st.sampled_from(
            "chest pain , . ? no not if my he can't breathe um İ ﬁ ’ <PERSON_1> - is not".split()
        ),
        max_size=25,
    ).map(" ".join),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(Role)), _WORDS), min_size=1, max_size=6))
def test_evidence_always_lies_inside_its_turn(turns: list[tuple[Role, str]]) -> None:
    call = dialogue(*turns)
    for match in FLAGS.find_all(call):
        assert call.quote(match.evidence) != ""
        assert match.evidence.end <= len(turns[match.evidence.turn_index][1])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["", "well ", "hi there, ", "My name is <PERSON_1>. "]),
    st.lists(st.sampled_from(SYMPTOMS), min_size=1, max_size=3, unique=True),
    st.sampled_from([" ", ", ", " and "]),
    st.sampled_from(["", ".", " at all", " or anything"]),
)
def test_no_before_each_symptom_leaves_no_flag(
    opening: str, symptoms: list[str], joint: str, closing: str
) -> None:
    assert said(opening + joint.join(f"no {symptom}" for symptom in symptoms) + closing) == set()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([text for text, _ in PRESENT]), st.sampled_from(SYMPTOMS))
def test_no_before_a_symptom_adds_no_flag_to_what_was_said(text: str, symptom: str) -> None:
    assert said(f"{text} No {symptom}.") <= said(text)


def test_every_flag_that_there_is_has_patterns() -> None:
    assert {code for _, code in PRESENT} == set(LABELS[RED_FLAG])


# --- the file ------------------------------------------------------------------------------------


BARE = 'version = "1"\n[context]\n' + "".join(
    f'{name} = ["word"]\n' for name in ("ends", "yes", "no", "question", "own")
)


def own_file(folder: Path, flags: str) -> Path:
    """The shipped words and context with other flags."""
    text = SHIPPED.read_text("utf-8")
    own = folder / "flags.toml"
    own.write_text(text[: text.index("[[flag]]")] + flags, "utf-8")
    return own


def test_a_users_own_file_takes_the_place_of_the_one_that_ships(tmp_path: Path) -> None:
    flags = RedFlags(
        own_file(tmp_path, '[[flag]]\ncode = "seizure"\nlevel = 3\npatterns = ["shak* all over"]\n')
    )
    found = flags.find(dialogue((Role.CALLER, "he's shaking all over, my chest hurts")))
    assert [match.code for match in found] == ["seizure"]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("tummy pain", "belly pain"),
        ("she is cold", "she's cold"),
        ("(very)? hot toast", "hot toast"),
        ("(big|(very)? small) toast", "small toast"),
        ("toast ..2 burn*", "toast is now burning"),
        ("{lips} on toast", "lips on toast"),
    ],
)
def test_patterns_read_as_the_file_explains(tmp_path: Path, pattern: str, text: str) -> None:
    entry = f'[[flag]]\ncode = "seizure"\nlevel = 3\npatterns = ["{pattern}"]\n'
    if "(very)" in pattern:
        entry = entry.replace("very", "quite")
    flags = RedFlags(own_file(tmp_path, entry))
    assert flags.find(dialogue((Role.CALLER, f"so {text} there")))
    assert not flags.find(dialogue((Role.CALLER, "so nothing of it")))


@pytest.mark.parametrize(
    "pattern",
    ["", "  ", "(open", "shut)", "a (b|) c", "(all)?", "ends ..", ".. begins", "*x", "{no}"],
)
def test_a_broken_pattern_is_refused(tmp_path: Path, pattern: str) -> None:
    entry = f'[[flag]]\ncode = "seizure"\nlevel = 3\npatterns = ["{pattern}"]\n'
    with pytest.raises(ConfigError, match=r"flags\.toml"):
        RedFlags(own_file(tmp_path, entry))


@pytest.mark.parametrize(
    "content",
    [
        "version = ",
        'version = "1"\n',
        BARE + '[[flag]]\ncode = "hiccups"\nlevel = 3\npatterns = ["hic"]\n',
        BARE + 'flag = []\n[context.joking]\nbefore = ["ha"]\n',
        BARE + 'flag = []\n[context.negated]\nbehind = ["no"]\n',
    ],
)
def test_a_wrong_file_is_refused_with_its_path(tmp_path: Path, content: str) -> None:
    own = tmp_path / "flags.toml"
    own.write_text(content, "utf-8")
    with pytest.raises(ConfigError, match=r"flags\.toml"):
        RedFlags(own)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        RedFlags(tmp_path / "none.toml")
