"""What training the PHI pipeline promises: exact spans, names kept apart, a usable result."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_monitor.calls import EntityType
from qa_monitor.training import ner
from qa_monitor.training.ner_data import (
    LABELS,
    Names,
    Splicer,
    augment_call,
    call_documents,
    is_training_dialogue,
    parse_marked,
    read_dialogues,
    read_written_calls,
    template_document,
)

CALL = """=== z01
call_type: appointment
---
agent {chk=greeting}: [Fairlawn Clinic|ORGANIZATION], this is [Denise|PERSON].
caller: hi it's [ray ortega|PERSON] of [twelve elm street|LOCATION], born [march third|DATE]
agent: Thank you, Mr. [Ortega|PERSON].

=== z02
---
caller: no labels here
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    for folder in ("a", "e"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "01.txt").write_text(CALL, encoding="utf-8")
    return tmp_path


def test_marks_become_spans_of_the_plain_text() -> None:
    text, spans = parse_marked("hi [Ray|PERSON], call [five five five|PHONE] now")
    assert text == "hi Ray, call five five five now"
    assert [(text[s:e], t) for s, e, t in spans] == [("Ray", "PERSON"), ("five five five", "PHONE")]


def test_an_unknown_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="NAME"):
        parse_marked("hi [Ray|NAME]")


def test_written_calls_are_read_whole(calls: Path) -> None:
    read = list(read_written_calls(calls / "a"))
    assert [call["id"] for call in read] == ["z01", "z02"]
    first = read[0]["turns"]
    assert [turn["speaker"] for turn in first] == ["agent", "caller", "agent"]
    for turn in first:
        for phi in turn["phi"]:
            assert turn["text"][phi["start"] : phi["end"]] == phi["text"]


def _corpus(folder: Path, name: str, ids: list[str]) -> None:
    turns = [{"speaker": "doctor", "text": "how is the cough"}] * 3
    (folder / f"{name}.jsonl").write_text(
        "".join(
            json.dumps({"id": i, "turns": [*turns, {"speaker": "patient", "text": f"well {i}"}]})
            + "\n"
            for i in ids
        )
    )


def test_a_dialogue_is_for_training_or_for_testing_and_stays_so(tmp_path: Path) -> None:
    ids = [f"d{i}" for i in range(40)]
    _corpus(tmp_path, "some", ids)
    train, test = (
        {turns[-1].split()[1] for turns in read_dialogues(tmp_path, part)}
        for part in ("train", "test")
    )
    assert train == {i for i in ids if is_training_dialogue("some", i)}
    assert test == set(ids) - train
    assert 10 < len(train) < 30
    assert len(read_dialogues(tmp_path)) == 40
    _corpus(tmp_path, "other", ids)
    _corpus(tmp_path, "some", ids[::-2])
    assert len(read_dialogues(tmp_path, "train")) == sum(
        is_training_dialogue(corpus, i)
        for corpus, part in (("some", ids[::-2]), ("other", ids))
        for i in part
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_spans_of_made_documents_begin_and_end_at_words(seed: int) -> None:
    rng = random.Random(seed)
    names = Names(rng)
    text, spans = parse_marked(
        "It's [Ray Ortega|PERSON], [R, A, Y|PERSON], from [H-E-B|ORGANIZATION] in [Troy|LOCATION]."
    )
    call = {
        "turns": [{"text": text, "phi": [{"start": s, "end": e, "type": t} for s, e, t in spans]}]
    }
    splicer = Splicer([["I had a cough, and a fever.", "How long?", "Three days."]], names)
    documents = [
        *augment_call(call, names),
        *call_documents(call, rng),
        splicer.document(),
        template_document(names),
    ]
    for document in documents:
        end_before = 0
        for start, end, label in document.spans:
            assert label in LABELS
            assert end_before <= start < end <= len(document.text)
            value = document.text[start:end]
            assert value == value.strip()
            assert "\n" not in value
            assert start == 0 or not document.text[start - 1].isalnum()
            assert end == len(document.text) or not document.text[end].isalnum()
            end_before = end


def test_names_for_testing_are_never_drawn_for_training() -> None:
    train, test = Names(random.Random(1)), Names(random.Random(2), is_test=True)
    for name in ("first_names", "last_names", "towns", "streets", "organisations"):
        trained = {train._pick(name) for _ in range(4000)}
        tested = {test._pick(name) for _ in range(1000)}
        assert trained
        assert tested
        assert not trained & tested


def test_the_same_seed_makes_the_same_text() -> None:
    once, again = (template_document(Names(random.Random(7))) for _ in range(2))
    assert once == again


@pytest.mark.slow
def test_training_writes_a_pipeline_that_can_be_read_from_its_folder(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import spacy

    corpora = tmp_path / "corpora"
    corpora.mkdir()
    turns = [{"speaker": "doctor", "text": f"how is the cough on day {i}"} for i in range(20)]
    (corpora / "some.jsonl").write_text(
        "".join(json.dumps({"id": str(i), "turns": turns}) + "\n" for i in range(21))
    )
    monkeypatch.setattr(ner, "_SPLICED_PER_EPOCH", 4)
    monkeypatch.setattr(ner, "_TEMPLATES_PER_EPOCH", 4)
    out = tmp_path / "model"
    out.mkdir()
    (out / "README.md").write_text("a card\n")
    figures = ner.train(corpora, calls, out, held_out=["e"], epochs=1, seed=3)
    assert set(figures) == {"written calls", "written calls, as heard", "spliced"}
    assert (out / "README.md").read_text() == "a card\n"
    nlp = spacy.load(out)
    assert set(nlp.get_pipe("ner").labels) == set(LABELS) <= {t.value for t in EntityType}
    assert nlp("hello there").text == "hello there"
