"""calls: frozen values that do not show PHI and keep redacted and raw apart."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest

from qa_monitor import calls
from qa_monitor.calls import (
    Criterion,
    DecodedAudio,
    Dialogue,
    Evidence,
    RedactedDialogue,
    RedactedTurn,
    Role,
    Segment,
    Severity,
    Transcript,
    Turn,
    Word,
)

SECRET = "Wilhelmina"
WORD = Word(text=SECRET, start_s=0.0, end_s=1.0, confidence=0.9)
TURN = Turn(
    index=0,
    speaker="a",
    role=Role.CALLER,
    role_confidence=1.0,
    start_s=0.0,
    end_s=1.0,
    text=SECRET,
    words=(WORD,),
)
SEGMENT = Segment(channel=0, start_s=0, end_s=1, text=SECRET, words=(WORD,), confidence=1)
REDACTED = RedactedTurn(
    index=0,
    speaker="a",
    role=Role.CALLER,
    role_confidence=1.0,
    start_s=0.0,
    end_s=1.0,
    text="it is <PERSON_1> here",
)
DIALOGUE = RedactedDialogue(
    call_id="c1",
    language="en",
    asr_model="m",
    redactor_version="1",
    dropped_s=0.0,
    turns=(REDACTED,),
)


def test_every_value_is_frozen() -> None:
    for name, value in inspect.getmembers(calls, dataclasses.is_dataclass):
        assert value.__dataclass_params__.frozen, name  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "value",
    [
        WORD,
        TURN,
        SEGMENT,
        Transcript(call_id="c", language="en", asr_model="m", segments=(SEGMENT,), dropped_s=0),
        Dialogue(call_id="c", language="en", asr_model="m", dropped_s=0, turns=(TURN,)),
        DecodedAudio(np.zeros((1, 4), np.int16)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_holds_phi_does_not_show_it(value: object) -> None:
    assert SECRET not in repr(value)
    assert "array" not in repr(value)


def test_a_redacted_turn_is_no_turn() -> None:
    assert not isinstance(REDACTED, Turn)
    assert not issubclass(RedactedTurn, Turn)


def test_words_are_had_through_evidence_only_where_it_points() -> None:
    assert DIALOGUE.quote(Evidence(turn_index=0, start=6, end=16)) == "<PERSON_1>"
    with pytest.raises(IndexError):
        DIALOGUE.quote(Evidence(turn_index=0, start=6, end=99))
    with pytest.raises(IndexError):
        DIALOGUE.quote(Evidence(turn_index=1, start=0, end=1))


def test_severities_are_ranked_from_the_most_urgent() -> None:
    assert [severity.rank for severity in Severity] == [0, 1, 2, 3]
    assert Severity.CRITICAL.rank < Severity.LOW.rank


def test_a_score_card_without_a_criterion_says_so() -> None:
    card = calls.Scorecard(
        call_id="c",
        rubric_version="1",
        scores=(),
        total=None,
        needs_review=False,
        review_reasons=(),
        call_type=None,
        also=(),
        call_type_confidence=0.0,
        urgency_probability=None,
        escalated=None,
        escalation_delay_s=None,
    )
    with pytest.raises(KeyError):
        card.score(Criterion.EMPATHY)


def test_audio_knows_its_length_and_channels() -> None:
    audio = DecodedAudio(np.zeros((2, 32_000), np.int16))
    assert (audio.channels, audio.duration_s) == (2, 2.0)
