"""operators: what stands for a value is what was asked for, and never more of it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_monitor.calls import Dialogue, EntityType, RedactedDialogue, RedactedTurn, Role, Span, Turn
from qa_monitor.errors import ConfigError, RedactionError
from qa_monitor.redaction import PresidioRedactor
from qa_monitor.redaction.operators import (
    Operator,
    OperatorName,
    Operators,
    apply_operators,
    operate,
)
from qa_monitor.redaction.settings import DEFAULT_FILE, load_settings

MODEL = Path(__file__).parents[1] / "models" / "phi-ner"
KEY = b"k" * 32
CALL = (
    "Thanks for calling, this is Helen. Your name and phone number?",
    "My name is Maria Alvarez and it's 617-555-0142.",
    "Thank you Maria. And your date of birth?",
    "march third nineteen eighty two",
)


@pytest.fixture(scope="module")
def redactor() -> PresidioRedactor:
    return PresidioRedactor(MODEL)


def dialogue(*texts: str) -> Dialogue:
    """Turns by agent and caller in alternation."""
    return Dialogue(
        call_id="call-1",
        language="en",
        asr_model="none",
        dropped_s=0.0,
        turns=tuple(
            Turn(
                index=index,
                speaker=str(index % 2),
                role=Role.CALLER if index % 2 else Role.AGENT,
                role_confidence=1.0,
                start_s=None,
                end_s=None,
                text=text,
            )
            for index, text in enumerate(texts)
        ),
    )


def one_span(text: str, start: int, end: int, entity_type: EntityType) -> RedactedDialogue:
    """A turn redacted in one place."""
    source = dialogue(text)
    placeholder = f"<{entity_type}_1>"
    span = Span(
        start=start,
        end=start + len(placeholder),
        source_start=start,
        source_end=end,
        entity_type=entity_type,
        recognizer="test",
        confidence=1.0,
        start_s=None,
        end_s=None,
    )
    turn = RedactedTurn(
        index=0,
        speaker="0",
        role=Role.AGENT,
        role_confidence=1.0,
        start_s=None,
        end_s=None,
        text=text[:start] + placeholder + text[end:],
        spans=(span,),
    )
    return RedactedDialogue(
        call_id=source.call_id,
        language="en",
        asr_model="none",
        redactor_version="test",
        dropped_s=0.0,
        turns=(turn,),
    )


def operators(**named: str) -> Operators:
    return Operators({EntityType(t): Operator.parse(text) for t, text in named.items()}, KEY)


def applied(redactor: PresidioRedactor, texts: tuple[str, ...], **named: str) -> tuple[str, ...]:
    source = dialogue(*texts)
    return apply_operators(source, redactor.redact(source), operators(**named))


def test_without_operators_the_texts_are_the_redacted_ones(redactor: PresidioRedactor) -> None:
    source = dialogue(*CALL)
    redacted = redactor.redact(source)
    assert apply_operators(source, redacted, Operators()) == tuple(t.text for t in redacted.turns)
    assert redacted.turns[1].text == "My name is <PERSON_2> and it's <PHONE_1>."


def test_each_type_has_its_operator_and_the_rest_keep_their_placeholders(
    redactor: PresidioRedactor,
) -> None:
    texts = applied(redactor, CALL, PHONE="mask:4", DATE="keep", PERSON="mask")
    assert texts[0].startswith("Thanks for calling, this is *****.")
    assert texts[1] == "My name is ***** ******* and it's ***-***-0142."
    assert texts[3] == CALL[3]


@pytest.mark.parametrize(
    ("value", "keep_last", "masked"),
    [
        ("617-555-0142", 0, "***-***-****"),
        ("617-555-0142", 4, "***-***-0142"),
        ("(617) 555 0142", 2, "(***) *** **42"),
        ("0142", 4, "****"),
        ("Ana Li", 3, "*** **"),
        ("1234567", 3, "****567"),
        ("Zoë", 0, "***"),
        ("Jose\u0301", 0, "*****"),
    ],
)
def test_a_mask_is_as_long_as_the_value_and_never_leaves_half_of_it(
    value: str, keep_last: int, masked: str
) -> None:
    redacted = one_span(f"it is {value}, yes", 6, 6 + len(value), EntityType.PHONE)
    by_type = {EntityType.PHONE: Operator(OperatorName.MASK, keep_last)}
    (text,) = apply_operators(dialogue(f"it is {value}, yes"), redacted, Operators(by_type))
    assert text == f"it is {masked}, yes"


@given(value=st.text(min_size=1, max_size=30), keep_last=st.integers(0, 9))
def test_a_mask_hides_every_letter_and_digit_but_the_last_few(value: str, keep_last: int) -> None:
    redacted = one_span(value, 0, len(value), EntityType.MRN)
    by_type = {EntityType.MRN: Operator(OperatorName.MASK, keep_last)}
    (text,) = apply_operators(dialogue(value), redacted, Operators(by_type))
    assert len(text) == len(value)
    telling = [i for i, c in enumerate(value) if unicodedata.category(c)[0] in "LNM"]
    left = [i for i in telling if text[i] == value[i]]
    assert left == (telling[-keep_last:] if keep_last and len(telling) > 2 * keep_last else [])
    assert all(text[i] == value[i] for i in range(len(value)) if i not in telling)


def hashes(redactor: PresidioRedactor, *texts: str, key: bytes = KEY) -> list[str]:
    source = dialogue(*texts)
    by_type = {entity_type: Operator(OperatorName.HASH) for entity_type in EntityType}
    whole = "\n".join(apply_operators(source, redactor.redact(source), Operators(by_type, key)))
    return re.findall(r"<[A-Z_]+_\d+>", whole)


@pytest.mark.parametrize(
    ("question", "said", "written"),
    [
        ("Phone number?", "six one seven, five five five, oh one four two", "617-555-0142"),
        ("Phone number?", "(617) 555 0142", "it's +1 617 555 0142"),
        ("Date of birth?", "march third nineteen eighty two", "03/03/1982"),
        ("Date of birth?", "March 3, 1982", "the third of march eighty two"),
        ("Your name?", "maria alvarez", "My name is Maria Alvarez."),
        ("Email?", "m dot alvarez at gmail dot com", "m.alvarez@gmail.com"),
        ("Member ID?", "x j four, seven seven one nine", "XJ4-7719"),
    ],
)
def test_a_value_has_one_hash_however_it_is_said_and_in_whatever_call(
    redactor: PresidioRedactor, question: str, said: str, written: str
) -> None:
    first = hashes(redactor, question, said)
    assert len(first) == 1
    assert hashes(redactor, "Hello, this is Zoe.", "hi", question, written)[1:] == first


def test_another_value_key_or_type_is_another_hash(redactor: PresidioRedactor) -> None:
    (phone,) = hashes(redactor, "Phone number?", "617-555-0142")
    (other,) = hashes(redactor, "Phone number?", "617-555-0143")
    (fax,) = hashes(redactor, "Fax number?", "the fax is 617-555-0142")
    (keyed,) = hashes(redactor, "Phone number?", "617-555-0142", key=b"q" * 32)
    assert fax.startswith("<FAX_")
    assert len({re.sub(r"\D", "", h) for h in (phone, other, fax, keyed)}) == 4


def test_the_mentions_of_one_person_share_the_hash_of_the_full_name(
    redactor: PresidioRedactor,
) -> None:
    full, short = hashes(redactor, "Your name?", "Maria Alvarez", "Thank you, Maria.")
    assert full == short
    assert full == hashes(redactor, "Your name?", "Maria Alvarez")[0]


def test_a_hash_is_left_alone_when_its_text_is_redacted_again(redactor: PresidioRedactor) -> None:
    source = dialogue(*CALL)
    hashed = applied(redactor, CALL, **dict.fromkeys(("PERSON", "PHONE", "DATE"), "hash"))
    assert all(t not in " ".join(hashed) for t in ("Maria", "0142", "eighty"))
    again = redactor.redact(replace(source, turns=dialogue(*hashed).turns))
    assert tuple(turn.text for turn in again.turns) == hashed


def test_a_hash_without_a_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a key"):
        Operators({EntityType.PERSON: Operator(OperatorName.HASH)})
    assert "kkk" not in repr(operators(PERSON="hash"))


@pytest.mark.parametrize(
    "text", ["", "masks", "mask:", "mask:-1", "mask:10", "mask:٤", "hash:4", "keep:1", "Mask"]
)
def test_what_is_no_operator_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"operator|mask"):
        Operator.parse(text)


def test_the_texts_of_another_call_are_refused_and_nothing_is_written() -> None:
    redacted = one_span("it is 0142", 6, 10, EntityType.PHONE)
    with pytest.raises(RedactionError) as caught:
        apply_operators(dialogue("a", "b"), redacted, Operators())
    assert caught.value.kind == "CallMismatch"


def test_a_fault_of_presidio_tells_its_kind_and_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from qa_monitor.redaction import presidio_operators

    def fail(*_: object, **__: object) -> None:
        raise ValueError("cannot mask 0142")

    monkeypatch.setattr(presidio_operators, "_engine", fail)
    with pytest.raises(RedactionError) as caught:
        operate(
            dialogue("it is 0142"), one_span("it is 0142", 6, 10, EntityType.PHONE), Operators()
        )
    error = caught.value
    assert "0142" not in f"{error} {vars(error)} {error.__context__} {error.__cause__}"


# --- the recognizers file ------------------------------------------------------------------------


def settings_with(tmp_path: Path, lines: str) -> Mapping[EntityType, Operator]:
    path = tmp_path / "recognizers.toml"
    shipped = DEFAULT_FILE.read_text(encoding="utf-8")
    path.write_text(shipped.replace("[operators]\n", f"[operators]\n{lines}\n"), encoding="utf-8")
    return load_settings(path).operators


def test_the_recognizers_file_names_operators_by_type(tmp_path: Path) -> None:
    assert load_settings().operators == {}
    assert settings_with(tmp_path, 'PHONE = "mask:4"\nMRN = "hash"') == {
        EntityType.PHONE: Operator(OperatorName.MASK, 4),
        EntityType.MRN: Operator(OperatorName.HASH),
    }


def test_a_recognizers_file_written_before_there_were_operators_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.toml"
    shipped = DEFAULT_FILE.read_text(encoding="utf-8")
    path.write_text(shipped.replace("[operators]\n", ""), encoding="utf-8")
    assert load_settings(path).operators == {}


@pytest.mark.parametrize(
    "line", ['PERSON = "keep"', 'PERSON = "msk"', 'NAME = "mask"', "PHONE = 4"]
)
def test_a_recognizers_file_cannot_keep_phi_nor_name_what_does_not_exist(
    tmp_path: Path, line: str
) -> None:
    with pytest.raises(ConfigError):
        settings_with(tmp_path, line)
