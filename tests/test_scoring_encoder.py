"""What reading a call promises: each turn once, nothing that comes later, the same every time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from qa_monitor.calls import Role
from qa_monitor.errors import ModelError
from qa_monitor.scoring.encoder import Calibration, TurnEncoder
from qa_monitor.scoring.inputs import make_batch, turn_tokens, windows
from qa_monitor.scoring.labels import CALL_TYPE, EXCLUSIVE_TASKS, LABELS

MODEL = Path(__file__).parents[1] / "models" / "turn-findings"
CALL = [
    (Role.AGENT, "Thank you for calling <ORGANIZATION_1>, this is <PERSON_1>."),
    (Role.CALLER, "my husband's face looks crooked and he can't lift his arm"),
    (Role.AGENT, "Please hang up and call 911 right now."),
    (Role.CALLER, "okay i will"),
]
LATER = [(Role.CALLER, "Thank you so much, you have been wonderful! " * 9)] * 12


@pytest.fixture(scope="module")
def encoder() -> TurnEncoder:
    return TurnEncoder(MODEL)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(MODEL / "tokenizer.json"))


def test_a_turn_is_read_as_its_role_and_words_with_placeholders_whole(
    tokenizer: Tokenizer,
) -> None:
    (tokens,) = turn_tokens(tokenizer, [(Role.CALLER, "bad <PERSON_1>")])
    assert [tokenizer.id_to_token(token) for token in tokens] == ["[CALLER]", "bad", "[PERSON]"]


@pytest.mark.parametrize(
    ("said", "otherwise"),
    [
        ("She told her mother-in-law, his wife's", "He told his father-in-law, his husband's"),
        ("Thank you, ma'am. My sisters are ladies.", "Thank you, sir. My brothers are gentlemen."),
        ("I, um, need a, you know, refill", "I need a refill"),
        ("the missus", "the missus"),
    ],
)  # fmt: skip
def test_men_and_women_and_hesitations_are_read_alike(
    tokenizer: Tokenizer, said: str, otherwise: str
) -> None:
    first, second = (turn_tokens(tokenizer, [(Role.CALLER, t)]) for t in (said, otherwise))
    assert first == second


def test_a_very_long_turn_keeps_its_beginning_and_its_end(tokenizer: Tokenizer) -> None:
    (tokens,) = turn_tokens(tokenizer, [(Role.AGENT, "first " + "and " * 900 + "last")])
    words = [tokenizer.id_to_token(token) for token in tokens]
    assert len(words) < 200
    assert (words[1], words[-1]) == ("first", "last")


@given(st.lists(st.integers(1, 150), min_size=1, max_size=60), st.integers(0, 120))
def test_windows_ask_about_every_turn_once_and_in_order(lengths: list[int], context: int) -> None:
    tokens = [(7,) * length for length in lengths]
    found = windows(tokens, context=context, size=200)
    assert [number for w in found for number in range(w.asked, w.end)] == list(range(len(tokens)))
    for window in found:
        assert sum(lengths[window.start : window.asked]) <= context
        assert sum(lengths[window.start : window.end]) < 200 or window.end == window.asked + 1


def test_a_batch_tells_whose_turn_each_token_is_of(tokenizer: Tokenizer) -> None:
    del tokenizer
    batch = make_batch(1, 5, [[(5, 8), (6, 9, 9)], [(6,)]])
    assert batch.ids.tolist() == [[1, 5, 8, 6, 9, 9], [1, 6, 0, 0, 0, 0]]
    assert batch.turns.tolist() == [[0, 1, 1, 2, 2, 2], [0, 1, -1, -1, -1, -1]]
    assert batch.sides.tolist() == [[0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]]


def test_what_is_said_later_changes_nothing_about_a_turn(encoder: TurnEncoder) -> None:
    alone = encoder.predict(CALL)
    going_on = encoder.predict([*CALL, *LATER])
    for task, logits in alone.turns.items():
        assert np.allclose(logits, going_on.turns[task][: len(CALL)], atol=1e-4)
        assert np.allclose(alone.word_turns[task], going_on.word_turns[task][: len(CALL)])


@given(st.data())
@settings(deadline=None, max_examples=15)
def test_every_text_gets_finite_answers_of_the_same_shapes(data: st.DataObject) -> None:
    encoder = TurnEncoder(MODEL, threads=1)
    turns = data.draw(
        st.lists(st.tuples(st.sampled_from(list(Role)), st.text(max_size=80)), min_size=1)
    )
    predictions = encoder.predict(turns)
    for task, logits in predictions.turns.items():
        extra = task in EXCLUSIVE_TASKS
        assert logits.shape == (len(turns), len(LABELS[task]) + extra)
        assert np.isfinite(logits).all()
    assert predictions.call_type.shape == (len(LABELS[CALL_TYPE]),)
    assert predictions.weights.sum() == pytest.approx(1, abs=1e-4)


def test_the_same_call_gets_the_same_answers(encoder: TurnEncoder) -> None:
    first, second = encoder.predict(CALL), encoder.predict(CALL)
    for task, logits in first.turns.items():
        assert (logits == second.turns[task]).all()


def test_an_emergency_in_plain_words_is_likelier_urgent_than_thanks(encoder: TurnEncoder) -> None:
    predictions = encoder.predict([*CALL, (Role.CALLER, "thanks, see you on Monday")])
    shares = encoder.calibration.probabilities(
        "urgency_cue", predictions.turns["urgency_cue"], predictions.word_turns["urgency_cue"]
    )
    assert shares[1, 3] > 0.4 > shares[4, 1:].sum()


def test_probabilities_of_exclusive_tasks_add_up_to_one() -> None:
    calibration = Calibration(
        slopes={"response": 1.0, "listening": 1.0},
        word_slopes={"response": 0.5, "listening": 0.5},
        biases={"response": (0.0,), "listening": (0.0,)},
    )
    logits = np.asarray([[1.0, 2.0, 3.0]])
    assert calibration.probabilities("response", logits, logits).sum() == pytest.approx(1)
    assert calibration.probabilities("listening", logits, logits).max() < 1


@pytest.mark.parametrize("name", ["encoder.onnx", "heads.safetensors", "turn_findings.json"])
def test_a_missing_or_broken_file_is_a_model_error(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder, ignore=shutil.ignore_patterns("calls"))
    (folder / name).write_bytes(b"broken")
    with pytest.raises(ModelError):
        TurnEncoder(folder)
    (folder / name).unlink()
    with pytest.raises(ModelError):
        TurnEncoder(folder)


def test_a_model_for_other_labels_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder, ignore=shutil.ignore_patterns("calls"))
    path = folder / "turn_findings.json"
    description = json.loads(path.read_text("utf-8"))
    description["labels"]["checklist"].pop()
    path.write_text(json.dumps(description), "utf-8")
    with pytest.raises(ModelError):
        TurnEncoder(folder)
