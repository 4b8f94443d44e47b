"""What redaction promises: PHI gone, offsets and times exact, nothing kept on a fault."""

from __future__ import annotations

import re
import socket
import string
import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qa_monitor.calls import Dialogue, EntityType, RedactedDialogue, RedactedTurn, Role, Turn, Word
from qa_monitor.errors import ConfigError, ModelError, RedactionError
from qa_monitor.redaction import PresidioRedactor, Redactor

MODEL = Path(__file__).parents[1] / "models" / "phi-ner"
TAGGER = MODEL.with_name("phi-tagger")
PLACEHOLDER = re.compile(r"<[A-Z_]+_\d+>")


@pytest.fixture(scope="module")
def redactor() -> PresidioRedactor:
    return PresidioRedactor(MODEL, tagger_dir=TAGGER)


def dialogue(*texts: str, timed: bool = False) -> Dialogue:
    """Turns by agent and caller in alternation; a word a second where ``timed``."""
    turns: list[Turn] = []
    clock = 0.0
    for index, text in enumerate(texts):
        words: list[Word] = []
        for word in text.split(" ") if timed else ():
            words.append(Word(text=word, start_s=clock, end_s=clock + 0.8, confidence=0.9))
            clock += 1.0
        role = Role.CALLER if index % 2 else Role.AGENT
        turns.append(
            Turn(
                index=index,
                speaker=role.value,
                role=role,
                role_confidence=1.0,
                start_s=words[0].start_s if words else None,
                end_s=words[-1].end_s if words else None,
                text=text,
                words=tuple(words),
            )
        )
    return Dialogue(
        call_id="call-1", language="en", asr_model="test", dropped_s=0.0, turns=tuple(turns)
    )


def check_offsets(source: Dialogue, redacted: RedactedDialogue) -> None:
    """Every span points at its placeholder, and the rest of the text is untouched."""
    for turn, result in zip(source.turns, redacted.turns, strict=True):
        rebuilt, position = "", 0
        source_position = 0
        for span in result.spans:
            assert 0 <= source_position <= span.source_start < span.source_end <= len(turn.text)
            between = turn.text[source_position : span.source_start]
            assert result.text[position : span.start] == between
            placeholder = result.text[span.start : span.end]
            assert re.fullmatch(rf"<{span.entity_type}_\d+>", placeholder)
            rebuilt += between + turn.text[span.source_start : span.source_end]
            position, source_position = span.end, span.source_end
        assert result.text[position:] == turn.text[source_position:]
        assert rebuilt + turn.text[source_position:] == turn.text


SPOKEN = [
    ("What's your date of birth?", "{march third nineteen eighty two}", "DATE"),
    ("What's your date of birth?", "it's {oh three fourteen fifty one}", "DATE"),
    ("And your birthday?", "{Four, eleven, sixty-eight}.", "DATE"),
    ("Date of birth?", "{03/14/1982}", "DATE"),
    ("And when is the visit?", "It's {Thursday the fourteenth} at nine.", "DATE"),
    ("When were you born?", "{the second of november nineteen thirty one}", "DATE"),
    ("Best number to reach you?", "{six one seven five five five oh one four two}", "PHONE"),
    ("Best number to reach you?", "It's {617-555-0142}.", "PHONE"),
    ("Your phone number?", "{six one seven, triple five, oh one double nine}", "PHONE"),
    ("And the last four of your phone?", "uh {oh one four two}", "PHONE"),
    ("What is your social?", "{123-45-6789}", "SSN"),
    ("Last four of your social?", "{six six oh one}", "SSN"),
    ("Your member ID, please?", "{W as in Walter, seven seven four, zero nine one}", "MEMBER_ID"),
    ("And the group number?", "Group is {five oh oh two B}.", "MEMBER_ID"),
    ("Do you have the record number?", "{C G zero zero two, eight one seven}", "MRN"),
    ("Card number?", "{4147 2209 6631 0815}", "ACCOUNT"),
    ("And the three digits on the back?", "{Six oh two}.", "ACCOUNT"),
    ("What's the confirmation number?", "{N as in Nancy, six, six, oh, two, one}", "OTHER_ID"),
    ("Your e-mail?", "{j dot alvarez at gmail dot com}", "EMAIL"),
    ("Your e-mail?", "{j.alvarez@gmail.com}", "EMAIL"),
    ("Where do I find it?", "go to {w w w dot brightwell dot org slash reset}", "URL"),
    ("What is your address?", "{four eighteen dry fork road}", "LOCATION"),
    ("And the zip code?", "{two three five oh seven}", "LOCATION"),
    ("And your postcode?", "{L S twenty-one, three, D for Dorothy, W}", "LOCATION"),
    ("Postcode?", "{LS21 3DW}", "LOCATION"),
    ("How old is she?", "my mother is {ninety three}", "AGE"),
    ("Your last name?", "{Ybarra}, {y b a r r a}", "PERSON"),
    ("Can you spell that?", "{M as in Mary, C, C, A, R, T, H, Y}", "PERSON"),
    ("Who is this?", "my name is {ray ortega}", "PERSON"),
    ("The plate of the van?", "{7 K D, 4 4 1}", "LICENSE"),
    ("And the serial number?", "{R, L, A, four four one, zero}", "DEVICE"),
    ("Which IP address?", "{192.168.14.7}", "IP"),
    ("NHS number?", "{four five oh, five five seven, seven one oh four}", "MRN"),
    ("Fax?", "Our fax is {six oh six, five five five, oh one two nine}.", "FAX"),
]


def _telling(value: str) -> set[str]:
    """The words of a value that must not stay."""
    empty = {"as", "in", "at", "dot", "the", "of", "for", "slash", "is"}
    return set(re.findall(r"\w+", value.lower())) - empty


def _plain(text: str) -> str:
    return re.sub(r"[{}]", "", text)


@pytest.mark.parametrize(("question", "answer", "entity"), SPOKEN)
def test_a_value_is_gone_however_it_is_said(
    redactor: PresidioRedactor, question: str, answer: str, entity: str
) -> None:
    source = dialogue(question, _plain(answer))
    redacted = redactor.redact(source)
    check_offsets(source, redacted)
    for value in re.findall(r"\{(.*?)\}", answer):
        left = set(re.findall(r"\w+", PLACEHOLDER.sub(" ", redacted.turns[1].text).lower()))
        assert not left & _telling(value)
    assert entity in {span.entity_type for span in redacted.turns[1].spans}


@pytest.mark.parametrize(("question", "answer", "entity"), SPOKEN)
def test_a_value_is_gone_as_a_small_recogniser_writes_it(
    redactor: PresidioRedactor, question: str, answer: str, entity: str
) -> None:
    if any(c.isdigit() for c in answer) or "@" in answer:
        pytest.skip("only written with marks")
    plain = " ".join(re.sub(r"[^\w\s{}']", " ", answer).lower().split())
    redacted = redactor.redact(dialogue(question.lower().rstrip("?"), _plain(plain)))
    for value in re.findall(r"\{(.*?)\}", plain):
        left = set(re.findall(r"\w+", PLACEHOLDER.sub(" ", redacted.turns[1].text)))
        assert not left & _telling(value)


@pytest.mark.parametrize(
    "text",
    [
        "I take two pills of twenty milligrams at nine thirty every morning.",
        "my blood pressure was one forty over ninety and my sugar was one eighty",
        "The co-pay is forty five dollars and the wait is about ten minutes.",
        "It started three days ago, on Tuesday, and I called twice.",
        "He has Crohn's and Parkinson's and takes metformin.",
        "Medicare covers eighty percent of it in Ohio.",
        "Call 911 right now.",
        "My oxygen was ninety four percent this morning.",
        "I may need more time, mark my words.",
        "this is the first time i've had a second opinion",
        "She is eighty two years old and weighs one hundred and ten pounds.",
        "I had a temperature of 101.4 last night.",
        "See you tomorrow, or on Monday at ten fifteen.",
        "we need an mri and a c t scan of the l five s one",
    ],
)
def test_doses_readings_amounts_and_diseases_stay(redactor: PresidioRedactor, text: str) -> None:
    assert redactor.redact(dialogue("How can I help?", text)).turns[1].text == text


def test_the_question_types_a_bare_answer_over_turns(redactor: PresidioRedactor) -> None:
    redacted = redactor.redact(
        dialogue(
            "Can I have your member ID?",
            "okay it's w seven seven four",
            "Go ahead, I'm writing.",
            "oh nine one",
            "And then?",
            "no sorry oh nine six",
        )
    )
    for turn in (1, 3, 5):
        assert [span.entity_type for span in redacted.turns[turn].spans] == [EntityType.MEMBER_ID]


def test_a_name_found_once_is_found_everywhere(redactor: PresidioRedactor) -> None:
    redacted = redactor.redact(
        dialogue(
            "Your name, please?",
            "My name is Grace Okonkwo.",
            "Thank you, Grace.",
            "okonkwo is spelled o k o n k w o",
            "There is a grace period, Ms. Okonkwo.",
        )
    )
    text = "\n".join(turn.text for turn in redacted.turns)
    assert "okonkwo" not in text.lower()
    assert "Grace" not in text
    assert "a grace period" in text


def test_the_same_value_has_the_same_number_said_or_written(redactor: PresidioRedactor) -> None:
    redacted = redactor.redact(
        dialogue(
            "What number can we reach you at?",
            "six one seven, five five five, oh one four two",
            "So 617-555-0142. And a second phone number?",
            "six one seven, five five five, oh one four three",
        )
    )
    assert "<PHONE_1>" in redacted.turns[1].text
    assert "<PHONE_1>" in redacted.turns[2].text
    assert "<PHONE_2>" in redacted.turns[3].text


def test_part_of_a_known_name_has_the_name_s_number(redactor: PresidioRedactor) -> None:
    redacted = redactor.redact(
        dialogue("Your name?", "My name is Marisela Ybarra.", "Thank you, Ms. Ybarra.")
    )
    assert redacted.turns[1].text == "My name is <PERSON_1>."
    assert redacted.turns[2].text == "Thank you, Ms. <PERSON_1>."


def test_a_span_covers_the_times_of_every_word_it_touches(redactor: PresidioRedactor) -> None:
    source = dialogue("Your name please?", "sure it's Ray Ortega, thanks", timed=True)
    turn = redactor.redact(source).turns[1]
    (span,) = turn.spans
    ray, ortega = source.turns[1].words[2:4]
    assert (span.start_s, span.end_s) == (ray.start_s, ortega.end_s)
    assert [turn.text[word.start : word.end] for word in turn.words] == [
        "sure",
        "it's",
        "<PERSON_1>,",
        "thanks",
    ]
    name = turn.words[2]
    assert (name.start_s, name.end_s) == (ray.start_s, ortega.end_s)


def test_words_that_are_not_the_text_s_still_give_times_to_mute(
    redactor: PresidioRedactor,
) -> None:
    source = dialogue("Your name?", "My name is Ray Ortega.", timed=True)
    odd = Word(text="something else", start_s=10.0, end_s=12.0, confidence=0.5)
    turn = source.turns[1]
    changed = Turn(
        index=1,
        speaker=turn.speaker,
        role=turn.role,
        role_confidence=1.0,
        start_s=10.0,
        end_s=12.0,
        text=turn.text,
        words=(odd,),
    )
    (span,) = (
        redactor.redact(
            Dialogue(
                call_id="c",
                language="en",
                asr_model="t",
                dropped_s=0.0,
                turns=(source.turns[0], changed),
            )
        )
        .turns[1]
        .spans
    )
    assert (span.start_s, span.end_s) == (10.0, 12.0)


def test_spans_say_why_without_words(redactor: PresidioRedactor) -> None:
    redacted = redactor.redact(dialogue("Member ID?", "seven seven four, oh nine one"))
    (span,) = redacted.turns[1].spans
    assert span.recognizer in {"call_tagger", "spoken_values"}
    assert span.context == "question before"
    assert 0.5 <= span.confidence <= 1.0
    assert "seven" not in repr(redacted)


def test_an_empty_call_and_empty_turns_are_redacted_to_themselves(
    redactor: PresidioRedactor,
) -> None:
    assert redactor.redact(dialogue()).turns == ()
    assert [turn.text for turn in redactor.redact(dialogue("", "  ", "")).turns] == ["", "  ", ""]


def test_the_version_names_rules_file_model_and_presidio(redactor: PresidioRedactor) -> None:
    assert re.fullmatch(r"rules-\S+\+file-\S+\+phi-ner-\S+\+presidio-\S+", redactor.version)
    assert isinstance(redactor, Redactor)


# --- failure -------------------------------------------------------------------------------------


def test_a_fault_of_an_engine_keeps_nothing_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = PresidioRedactor(MODEL)
    canary = "Zebulon Canaryfield"

    def fail(*_: object, **__: object) -> None:
        raise ValueError(f"cannot read {canary}")

    monkeypatch.setattr(redactor._analyzer, "analyze", fail)
    with pytest.raises(RedactionError) as caught:
        redactor.redact(dialogue("Your name?", f"My name is {canary}."))
    error = caught.value
    assert (error.call_id, error.kind) == ("call-1", "ValueError")
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "Canary" not in str(error) + repr(error) + repr(error.args)
    assert "Canary" not in "".join(traceback.format_exception_only(error))


def test_a_missing_or_broken_model_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        PresidioRedactor(tmp_path / "nothing")
    assert caught.value.__context__ is None
    (tmp_path / "config.cfg").write_text("[nlp]\n")
    with pytest.raises(ModelError):
        PresidioRedactor(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["version = ", 'version = "1"', "\x00", '[recognizers]\nspoken_dates = true\nversion = "1"'],
)
def test_a_wrong_recognizers_file_is_a_config_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(content)
    with pytest.raises(ConfigError):
        PresidioRedactor(MODEL, recognizers_file=file)


def test_no_connection_is_opened_to_load_or_to_redact(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    redacted = PresidioRedactor(MODEL).redact(
        dialogue("Your e-mail?", "it's ray.ortega@example.com, see www.example.org/portal")
    )
    assert "ortega" not in redacted.turns[1].text


def test_a_user_s_file_turns_entities_off_and_adds_words(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[1] / "qa_monitor" / "redaction" / "recognizers.toml"
    own = tmp_path / "own.toml"
    own.write_text(
        shipped.read_text(encoding="utf-8")
        .replace("AGE = { enabled = true", "AGE = { enabled = false")
        .replace("[deny]", '[deny]\nORGANIZATION = ["project bluebird"]'),
        encoding="utf-8",
    )
    redacted = PresidioRedactor(MODEL, recognizers_file=own).redact(
        dialogue("Hello?", "she is ninety three years old and in project bluebird")
    )
    assert redacted.turns[1].text == "she is ninety three years old and in <ORGANIZATION_1>"


# --- properties ----------------------------------------------------------------------------------

_DIGITS = "zero one two three four five six seven eight nine".split()


def _spoken(digits: str) -> str:
    return " ".join("oh" if d == "0" else _DIGITS[int(d)] for d in digits)


_PHONES = st.from_regex(r"[2-9][0-9]{2}55501[0-9]{2}", fullmatch=True)
_QUIET = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_QUIET
@given(
    number=_PHONES,
    joint=st.sampled_from([" ", ", ", " ... ", "  ", " uh ", " - "]),
    case=st.sampled_from([str.lower, str.upper, str.title]),
    lead=st.sampled_from(["", "it's ", "yeah, my number is ", "Okay. "]),
)
def test_case_marks_and_pauses_do_not_bring_a_number_back(
    redactor: PresidioRedactor, number: str, joint: str, case: object, lead: str
) -> None:
    groups = [_spoken(number[:3]), _spoken(number[3:6]), _spoken(number[6:])]
    answer = lead + case(joint.join(groups))  # type: ignore[operator]
    source = dialogue("What's the best number to reach you?", answer)
    redacted = redactor.redact(source)
    check_offsets(source, redacted)
    left = PLACEHOLDER.sub(" ", redacted.turns[1].text).lower().split()
    assert not set(left) & {*_DIGITS, "oh"}


_TEXT = st.text(alphabet=string.ascii_letters + string.digits + " .,'-@/<>_:?é’İ\n\t", max_size=80)


@_QUIET
@given(texts=st.lists(_TEXT, min_size=1, max_size=4), timed=st.booleans())
def test_offsets_hold_for_any_text(
    redactor: PresidioRedactor, texts: list[str], timed: bool
) -> None:
    source = dialogue(*texts, timed=timed)
    redacted = redactor.redact(source)
    check_offsets(source, redacted)
    for turn, result in zip(source.turns, redacted.turns, strict=True):
        _check_words(turn, result)


def _check_words(turn: Turn, result: RedactedTurn) -> None:
    for before, after in zip(result.words, result.words[1:], strict=False):
        assert before.end <= after.start
    for word in result.words:
        assert 0 <= word.start < word.end <= len(result.text)
    for span in result.spans:
        if turn.words:
            assert span.start_s is not None
            assert span.end_s is not None
            holding = [w for w in result.words if w.start <= span.start and span.end <= w.end]
            if result.words:
                assert len(holding) == 1
                assert holding[0].start_s <= span.start_s
                assert span.end_s <= holding[0].end_s


@_QUIET
@given(
    number=_PHONES,
    day=st.integers(1, 28),
    month=st.sampled_from(["January", "march", "July", "october"]),
    is_written=st.booleans(),
)
def test_redacting_twice_changes_nothing(
    redactor: PresidioRedactor, number: str, day: int, month: str, is_written: bool
) -> None:
    said = f"{number[:3]}-{number[3:6]}-{number[6:]}" if is_written else _spoken(number)
    once = redactor.redact(
        dialogue(
            "May I have your date of birth and a call-back number?",
            f"it's {month} {day}, 1961 and {said}",
            "Thank you. The visit is on the fourteenth at ten.",
        )
    )
    twice = redactor.redact(dialogue(*(turn.text for turn in once.turns)))
    assert [turn.text for turn in twice.turns] == [turn.text for turn in once.turns]


def test_new_values_beside_old_placeholders_get_new_numbers(redactor: PresidioRedactor) -> None:
    redacted = redactor.redact(
        dialogue("I have <PHONE_1> here.", "my cell is 617-555-0142 not <PHONE_1>")
    )
    assert redacted.turns[0].text == "I have <PHONE_1> here."
    assert redacted.turns[1].text == "my cell is <PHONE_2> not <PHONE_1>"
