"""The red-flag file and the rules that tell emergencies from words that only sound like one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_monitor.calls import RedactedDialogue, RedactedTurn, Role
from qa_monitor.errors import ConfigError
from qa_monitor.scoring.redflags import RedFlags, pattern_regex

FLAGS = RedFlags()


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


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("I have this pressure on my chest and it won't let up.", "chest_pain"),
        ("his face looks crooked and he's talking funny", "stroke"),
        ("My neighbor can't breathe, her lips are blue!", "breathing"),
        ("i just want to end it all tonight", "suicide"),
        ("My throat is closing up after the shrimp.", "swelling_airway"),
        ("she won't wake up", "unresponsive"),
        ("he put his hands around my neck", "violence"),
    ],
)
def test_a_present_flag_is_found_in_plain_words_and_in_third_persons(text: str, code: str) -> None:
    assert code in said(text)


@pytest.mark.parametrize(
    "text",
    [
        "No chest pain, no shortness of breath.",
        "i don't have any chest pain or anything like that",
        "I had a heart attack in 2019 but that was the old clinic.",
        "What if I get chest pain after the procedure?",
        "The leaflet says it can cause swelling of the face.",
        "This bill is killing me.",
        "I about had a heart attack when I opened the envelope.",
        "My grandfather died of a stroke.",
        "I'm sick to death of this hold music.",
    ],
)
def test_negated_past_hypothetical_and_idiomatic_words_raise_no_flag(text: str) -> None:
    assert said(text) == set()


def test_a_question_of_the_agent_is_no_flag_by_itself() -> None:
    assert codes((Role.AGENT, "Are you having any chest pain?")) == set()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Yes, a little, since this morning.", {"chest_pain"}),
        ("yeah it started an hour ago", {"chest_pain"}),
        ("No, nothing like that.", set()),
        ("no", set()),
        ("I don't think so.", set()),
    ],
)
def test_a_yes_to_the_agents_question_counts_and_a_no_does_not(
    answer: str, expected: set[str]
) -> None:
    turns = ((Role.AGENT, "Do you have any chest pain?"), (Role.CALLER, answer))
    assert codes(*turns) == expected


def test_a_feverish_infant_is_found_once_the_age_is_known_and_not_before() -> None:
    fever = (Role.CALLER, "the temperature was a hundred and one point four")
    age = (Role.CALLER, "she's six weeks old")
    assert "infant" not in codes(fever)
    assert "infant" in codes(fever, age)
    assert "infant" in codes(age, fever)


def test_evidence_is_the_words_of_the_match() -> None:
    call = dialogue((Role.CALLER, "Well, my chest hurts now."))
    (match,) = FLAGS.find(call)
    assert call.quote(match.evidence) == "chest hurts"


def test_what_is_found_early_does_not_depend_on_what_comes_later() -> None:
    turns = [
        (Role.CALLER, "my chest is tight"),
        (Role.AGENT, "Any trouble breathing?"),
        (Role.CALLER, "yes, and my left arm is numb"),
        (Role.CALLER, "no wait, it's fine"),
    ]
    whole = FLAGS.find(dialogue(*turns))
    for end in range(1, len(turns)):
        early = FLAGS.find(dialogue(*turns[:end]))
        assert early == tuple(m for m in whole if m.evidence.turn_index < end)


@given(
    st.lists(st.tuples(st.sampled_from(list(Role)), st.text(max_size=120)), min_size=1, max_size=6)
)
def test_evidence_always_lies_inside_its_turn(turns: list[tuple[Role, str]]) -> None:
    call = dialogue(*turns)
    for match in FLAGS.find(call):
        assert call.quote(match.evidence) != ""


def test_a_users_own_file_takes_the_place_of_the_one_that_ships(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "qa_monitor/scoring/red_flags.toml").read_text("utf-8")
    context = text[: text.index("[[flag]]")]
    own = tmp_path / "flags.toml"
    own.write_text(
        context + '[[flag]]\ncode = "seizure"\nlevel = 3\npatterns = ["shak* all over"]\n', "utf-8"
    )
    flags = RedFlags(own)
    found = flags.find(dialogue((Role.CALLER, "he's shaking all over, my chest hurts")))
    assert [match.code for match in found] == ["seizure"]


@pytest.mark.parametrize(
    "content",
    [
        "version = ",
        'version = "1"\n',
        'version = "1"\n[[flag]]\ncode = "hiccups"\nlevel = 3\npatterns = ["hic"]\n',
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


@pytest.mark.parametrize("pattern", ["", "  ", "(open", "shut)"])
def test_a_broken_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|brackets"):
        pattern_regex(pattern)
