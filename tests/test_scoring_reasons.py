"""What reasons promise: sentences that a coach can say aloud, whatever a call held."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_calls import EMERGENCY, ROUTINE, finding
from made_calls import dialogue as made_dialogue

from qa_monitor.calls import Criterion, EscalationOutcome, Finding, Score, ScoreStatus
from qa_monitor.scoring.labels import ESCALATION_ACTION, LABELS, LISTENING, RESPONSE
from qa_monitor.scoring.reasons import (
    MOMENTS,
    Moved,
    abstains_for,
    counted,
    empathy_reason,
    escalation_reason,
    is_phrased,
    listening_reason,
    not_scored_for,
    urgency_reason,
)
from qa_monitor.scoring.rubric import load_rubric
from qa_monitor.scoring.scorecard import make_scorecard

RUBRIC = load_rubric()
PLURALS = (
    "moments",
    "answers",
    "others",
    "things",
    "turns",
    "times",
    "seconds",
    "minutes",
)
JARGON = re.compile(
    r"\b(opportunit|feature|probabilit|finding|label|teach|reflection|criteri|escalat|threshold"
    r"|classif|interval|placeholder|model)",
    re.IGNORECASE,
)


def assert_is_sayable(text: str) -> None:
    """Whole sentences, grammatical in number, without marks of how they were made."""
    assert text[0].isupper(), text
    assert text.endswith("."), text
    assert not re.search(r"  | [,.;]|[,;]\.|\.\.|_|\{|\}|<|>|None|\bTrue\b", text), text
    for sentence in re.split(r"(?<=\.) ", text):
        assert sentence[0].isupper(), text
        assert 3 <= len(sentence.split()) <= 50, text
    assert not re.search(rf"\b[Oo]ne ({'|'.join(PLURALS)})\b", text), text
    assert not re.search(r"\b(two|three|four|five|six|seven|\d+) (moment|thing|turn)\b", text), text
    assert not re.search(r"\bone were\b|\b(two|three|four|five) was\b", text), text
    assert not re.search(r"\b(\w+) \1\b", text), text
    assert not JARGON.search(text), text


# --- by example ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moments", "said"),
    [
        (
            [("fear", "acknowledged"), ("fear", "confirmed"), ("fear", "none")],
            "You answered two of three moments when the caller was worried, and both answers went "
            "into what was said; one was passed over.",
        ),
        (
            [("fear", "perfunctory")],
            "You answered the one moment when the caller was worried, but only with a set phrase.",
        ),
        (
            [("loss", "none")],
            "There was one moment when the caller told you of a loss, and it was passed over.",
        ),
        (
            [("difficulty", "dismissive")],
            "There was one moment when the caller told you of a difficulty, and your answer "
            "brushed it aside.",
        ),
        (
            [("success", "none"), ("fear", "dismissive")],
            "There were two moments when the caller showed a feeling or a difficulty, and none of "
            "them was answered; one was brushed aside.",
        ),
        (
            [("emotion", "pursued"), ("emotion", "perfunctory")],
            "You answered both moments when the caller showed how they felt, one with words that "
            "went into what was said and one with a set phrase.",
        ),
        (
            [("fear", "confirmed"), ("fear", "none"), ("fear", "none"), ("fear", None)],
            "You answered one of four moments when the caller was worried, and that answer went "
            "into what was said; two were passed over and one had no answer that was clear.",
        ),
        (
            [("fear", "perfunctory"), ("fear", "perfunctory"), ("fear", "acknowledged")],
            "You answered all three moments when the caller was worried; one of the answers went "
            "into what was said, and the others were set phrases.",
        ),
        (
            [("fear", None)],
            "There was one moment when the caller was worried, and no clear answer to it was "
            "heard.",
        ),
    ],
)
def test_empathy_tells_what_was_answered_and_how(
    moments: list[tuple[str, str | None]], said: str
) -> None:
    assert empathy_reason(moments) == said


def test_a_cap_is_told_with_its_number() -> None:
    reason = empathy_reason([("fear", "none"), ("loss", "none")], capped_at=2.0)
    assert reason.endswith("Because none of them was answered, the score can be no more than 2.")
    one = empathy_reason([("fear", "none")], capped_at=1.5)
    assert one.endswith("Because it was not answered, the score can be no more than 1.5.")


def test_listening_tells_what_helped_before_what_did_not() -> None:
    moved = [Moved("read_back", 2, 0.6), Moved("asks_again", 1, -0.4), Moved(MOMENTS, 1, 0.3)]
    assert listening_reason(moved) == (
        "You read details back twice and answered what the caller felt. "
        "Against that, you asked again for what had been said already."
    )


def test_listening_that_was_not_heard_comes_with_advice() -> None:
    assert listening_reason([], advice="read_back") == (
        "Little was heard that shows how closely you listened. Next time, read details back."
    )


def test_escalation_tells_what_was_done_how_soon_and_with_what() -> None:
    moved = [Moved("emergency_number", 1, 1.0), Moved("asks_location", 1, 0.3)]
    assert escalation_reason(
        3, EscalationOutcome.PROPERLY, moved, action="emergency_number", delay_s=12.0
    ) == (
        "The call was an emergency, and you told the caller to call the emergency number "
        "12 seconds after the first sign of it. You also asked where the patient was."
    )


def test_a_missed_escalation_says_what_to_do_next_time() -> None:
    assert escalation_reason(2, EscalationOutcome.MISSED, [], advice="transfer_now") == (
        "The call was urgent, and what it asks for was not heard from you. "
        "Next time, put the caller through to somebody who can help."
    )


def test_one_turn_and_several_are_told_apart() -> None:
    assert counted(1, "turn") == "one turn"
    assert counted(3, "turn") == "three turns"
    assert counted(12, "turn") == "12 turns"
    assert urgency_reason(3, 1, is_likely=True) == (
        "One thing the caller said points to an emergency."
    )
    assert urgency_reason(1, 2, is_likely=False) == (
        "Two things the caller said may point to a need for help the same day."
    )


# --- whatever comes ------------------------------------------------------------------------------


def test_there_are_words_for_all_that_an_agent_can_do_about_listening_and_urgency() -> None:
    for task in (LISTENING, ESCALATION_ACTION):
        assert all(is_phrased(label) for label in LABELS[task])


@settings(deadline=None)
@given(
    moments=st.lists(
        st.tuples(
            st.sampled_from(LABELS["opportunity"]), st.none() | st.sampled_from(LABELS[RESPONSE])
        ),
        min_size=1,
        max_size=12,
    ),
    cap=st.none() | st.sampled_from([1.5, 2.0, 4.0]),
)
def test_empathy_is_sayable_for_any_moments(
    moments: list[tuple[str, str | None]], cap: float | None
) -> None:
    assert_is_sayable(empathy_reason(moments, capped_at=cap))


_moved = st.lists(
    st.builds(
        Moved,
        st.sampled_from([*LABELS[LISTENING], *LABELS[ESCALATION_ACTION], "apology", MOMENTS]),
        st.integers(1, 30),
        st.floats(0.1, 2) | st.floats(-2, -0.1),
    ),
    max_size=8,
    unique_by=lambda one: one.label,
)


@settings(deadline=None)
@given(
    moved=_moved,
    interruptions=st.integers(0, 20),
    advice=st.none() | st.sampled_from(LABELS[LISTENING]),
)
def test_listening_is_sayable_for_anything_that_moved_it(
    moved: list[Moved], interruptions: int, advice: str | None
) -> None:
    assert_is_sayable(listening_reason(moved, interruptions=interruptions, advice=advice))


@settings(deadline=None)
@given(
    level=st.integers(1, 3),
    outcome=st.sampled_from(EscalationOutcome),
    moved=_moved.map(lambda moved: [one for one in moved if one.label != MOMENTS]),
    action=st.none() | st.sampled_from(LABELS[ESCALATION_ACTION]),
    delay_s=st.none() | st.floats(0, 4000),
    advice=st.none() | st.sampled_from(LABELS[ESCALATION_ACTION]),
)
def test_escalation_is_sayable_for_any_level_and_outcome(
    level: int,
    outcome: EscalationOutcome,
    moved: list[Moved],
    action: str | None,
    delay_s: float | None,
    advice: str | None,
) -> None:
    assert_is_sayable(
        escalation_reason(level, outcome, moved, action=action, delay_s=delay_s, advice=advice)
    )


@settings(deadline=None)
@given(level=st.integers(0, 3), signs=st.integers(1, 20), is_likely=st.booleans())
def test_urgency_is_sayable_for_any_level(level: int, signs: int, is_likely: bool) -> None:
    assert_is_sayable(urgency_reason(level, signs, is_likely=is_likely))


@pytest.mark.parametrize("criterion", Criterion)
@pytest.mark.parametrize(
    "why", ["roles", "type", "short", "no_opportunity", "not_urgent", "unneeded"]
)
def test_what_is_not_scored_says_why(criterion: Criterion, why: str) -> None:
    reason = not_scored_for(criterion, why)
    assert_is_sayable(reason)
    assert reason.startswith("Not scored")


@pytest.mark.parametrize("criterion", Criterion)
@pytest.mark.parametrize("why", ["unheard", "doubtful", "answers", "unsure_opportunity", "wide"])
def test_an_abstention_says_why_and_sends_a_person(criterion: Criterion, why: str) -> None:
    reason = abstains_for(criterion, why)
    assert_is_sayable(reason)
    assert "A person should listen" in reason


def _found(name: tuple[str, str], turn: int, sure: float) -> Finding:
    return finding(name[0], name[1], turn, sure)


@settings(deadline=None)
@given(
    findings=st.lists(
        st.builds(
            _found,
            st.sampled_from([(task, label) for task in LABELS for label in LABELS[task]]),
            st.integers(0, 8),
            st.floats(0.05, 1),
        ),
        max_size=14,
    ),
    turns=st.sampled_from([EMERGENCY, ROUTINE]),
    timed=st.booleans(),
    doubtful=st.sets(st.integers(0, 8), max_size=3),
)
def test_any_call_gets_reasons_that_are_sayable_and_hold_none_of_its_words(
    findings: Sequence[Finding],
    turns: Sequence[tuple[object, str]],
    timed: bool,
    doubtful: set[int],
) -> None:
    call = made_dialogue(turns, timed=timed, doubtful=sorted(doubtful))  # type: ignore[arg-type]
    card = make_scorecard(call, findings, RUBRIC)
    for score in card.scores:
        assert_is_sayable(score.reason)
        assert_says_its_status(score)
        assert not re.search(r"chest|front door|appointment|ten fifteen|911", score.reason)


def assert_says_its_status(score: Score) -> None:
    starts = {
        ScoreStatus.NOT_ASSESSABLE: "Not scored",
        ScoreStatus.ABSTAINED: "No points",
    }
    if score.points is None:
        assert score.reason.startswith(starts[score.status])
    else:
        assert score.status is ScoreStatus.SCORED
        assert not score.reason.startswith(tuple(starts.values()))
