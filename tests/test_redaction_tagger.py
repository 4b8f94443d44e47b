"""What the PHI tagger promises: each piece read once, in context, and put back on its token."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_monitor.calls import Dialogue, EntityType, Role, Turn
from qa_monitor.redaction.calltext import CallText, Found
from qa_monitor.redaction.tagged import find_tagged, without_denied
from qa_monitor.redaction.tagger import (
    LABELS,
    WINDOW,
    PhiTagger,
    TagProbabilities,
    read_pieces,
    windows,
)

MODEL = Path(__file__).parents[1] / "models" / "phi-tagger"


@pytest.fixture(scope="module")
def tagger() -> PhiTagger:
    return PhiTagger(MODEL)


def call_text(*texts: str) -> CallText:
    roles = (Role.AGENT, Role.CALLER)
    turns = tuple(
        Turn(
            index=i,
            speaker=roles[i % 2].value,
            role=roles[i % 2],
            role_confidence=1.0,
            start_s=None,
            end_s=None,
            text=text,
        )
        for i, text in enumerate(texts)
    )
    return CallText(Dialogue(call_id="c", language="en", asr_model="t", dropped_s=0.0, turns=turns))


def tags(call: CallText, likely: dict[int, tuple[EntityType, float]]) -> TagProbabilities:
    """Made-up probabilities: those of ``likely`` tokens, and none of the others PHI."""
    values = np.zeros((len(call.tokens), len(LABELS)), np.float32)
    values[:, 0] = 1.0
    for index, (kind, probability) in likely.items():
        values[index, 0] = 1.0 - probability
        values[index, LABELS.index(kind)] = probability
    return TagProbabilities(values)


@given(st.integers(1, 5000))
def test_the_windows_answer_for_every_piece_once_and_in_order(length: int) -> None:
    parts = windows(length)
    assert parts[0][2] == 0
    assert parts[-1][3] == length
    for before, after in itertools.pairwise(parts):
        assert before[3] == after[2]
    for start, end, first, last in parts:
        assert end - start <= WINDOW - 2
        assert start <= first < last <= end


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60).filter(lambda t: "\n" not in t), min_size=1, max_size=5))
def test_pieces_stand_for_the_characters_they_were_read_from(
    tagger: PhiTagger, texts: list[str]
) -> None:
    call = call_text(*texts)
    pieces = read_pieces(tagger._tokenizer, call.roles, texts)
    assert list(pieces.starts) == sorted(pieces.starts)
    told = [i for i, (s, e) in enumerate(zip(pieces.starts, pieces.ends, strict=True)) if s == e]
    assert len(told) >= len(texts)
    for start, end in zip(pieces.starts, pieces.ends, strict=True):
        turn = call.turn_at(start)
        assert call.turn_starts[turn] <= start <= end <= call.turn_ends[turn]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=60).filter(lambda t: "\n" not in t), min_size=1, max_size=5))
def test_every_token_gets_probabilities_whatever_the_text(
    tagger: PhiTagger, texts: list[str]
) -> None:
    call = call_text(*texts)
    values = tagger.tag(call).values
    assert values.shape == (len(call.tokens), len(LABELS))
    assert np.isfinite(values).all()
    assert np.allclose(values.sum(axis=1), 1.0, atol=1e-3)


def test_the_question_decides_what_a_bare_number_is(tagger: PhiTagger) -> None:
    asked = call_text("What's your date of birth?", "oh three fourteen fifty one")
    weighed = call_text("How much does he weigh?", "one fourteen")
    assert tagger.tag(asked).phi[-5:].min() > 0.5
    assert tagger.tag(asked).types()[-1] is EntityType.DATE
    assert tagger.tag(weighed).phi[-2:].max() < 0.5


def test_a_name_is_found_without_a_capital_or_a_mark(tagger: PhiTagger) -> None:
    call = call_text("who am i speaking with", "yeah this is oluwaseun adebayo calling")
    phi = tagger.tag(call).phi
    names = [i for i, token in enumerate(call.tokens) if token.norm in {"oluwaseun", "adebayo"}]
    assert phi[names].min() > 0.5
    assert phi[[i for i, t in enumerate(call.tokens) if t.norm == "calling"]].max() < 0.5


def test_a_long_call_is_read_as_its_parts_are(tagger: PhiTagger) -> None:
    talk = ["And how is the knee today?", "it still hurts when i walk up the stairs"] * 40
    call = call_text(*talk, "And your name?", "it's Priya Raghunathan")
    phi = tagger.tag(call).phi
    assert phi[-2:].min() > 0.5
    assert phi[: len(call.tokens) - 8].max() < 0.5


def test_a_tagger_of_other_labels_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "tagger"
    shutil.copytree(MODEL, folder, ignore=shutil.ignore_patterns("calls"))
    description = json.loads((folder / "phi_tagger.json").read_text("utf-8"))
    description["labels"] = description["labels"][:-1]
    (folder / "phi_tagger.json").write_text(json.dumps(description), "utf-8")
    with pytest.raises(ValueError, match="other labels"):
        PhiTagger(folder)


def test_a_value_goes_on_over_fillers_and_pauses() -> None:
    call = call_text("", "six one um seven, then four please")
    kind = EntityType.PHONE
    found = find_tagged(call, tags(call, dict.fromkeys((0, 1, 3, 6), (kind, 0.9))))
    assert [call.text[f.start : f.end] for f in found] == ["six one um seven, then four"]


def test_a_span_ends_with_its_turn() -> None:
    call = call_text("six one", "seven")
    found = find_tagged(call, tags(call, dict.fromkeys(range(3), (EntityType.PHONE, 0.9))))
    assert [call.text[f.start : f.end] for f in found] == ["six one", "seven"]


def test_a_sure_change_of_type_ends_a_span() -> None:
    call = call_text("ray ortega fairlawn")
    likely = {
        0: (EntityType.PERSON, 0.9),
        1: (EntityType.PERSON, 0.9),
        2: (EntityType.LOCATION, 0.9),
    }
    found = find_tagged(call, tags(call, likely))
    assert [(call.text[f.start : f.end], f.entity_type) for f in found] == [
        ("ray ortega", EntityType.PERSON),
        ("fairlawn", EntityType.LOCATION),
    ]


def test_an_age_below_ninety_is_never_taken(tagger: PhiTagger) -> None:
    call = call_text("she is eighty four")
    likely = dict.fromkeys((2, 3), (EntityType.AGE, 0.95))
    assert find_tagged(call, tags(call, likely)) == []


def test_the_tagger_overrules_a_weak_rule_and_no_written_pattern() -> None:
    call = call_text("Sharp pain, mail a@b.com")
    weak = Found(0, 5, EntityType.PERSON, 0.6, "names_and_places")
    sure = Found(17, 24, EntityType.EMAIL, 0.95, "written_email")
    assert without_denied(call, tags(call, {}), [weak, sure]) == [sure]
