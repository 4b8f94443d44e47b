"""What scoring promises: findings with the real model, score cards by the real rubric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_calls import EMERGENCY, ROUTINE, A, C, dialogue

from qa_monitor.calls import CallType, Criterion, EscalationOutcome, Finding, Role
from qa_monitor.errors import ModelError
from qa_monitor.scoring import EncoderScorer
from qa_monitor.scoring.labels import LABELS
from qa_monitor.scoring.rubric import load_rubric

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "turn-findings"
RUBRIC = load_rubric()


@pytest.fixture(scope="module")
def scorer() -> EncoderScorer:
    return EncoderScorer(MODEL, rubric_file=None, red_flags_file=None)


# --- with the real model -------------------------------------------------------------------------


def test_an_emergency_that_was_handled_is_called_urgent_with_its_words_as_evidence(
    scorer: EncoderScorer,
) -> None:
    call = dialogue(EMERGENCY, timed=True)
    card = scorer.score(call, scorer.find(call))
    urgency = card.score(Criterion.URGENCY)
    assert urgency.points == 3
    assert any("chest" in call.quote(place) for place in urgency.evidence)
    assert card.urgency_probability is not None
    assert card.urgency_probability >= RUBRIC.settings.level3_from
    assert card.escalated in (EscalationOutcome.PROPERLY, EscalationOutcome.LATE_OR_PARTIAL)
    assert card.escalation_delay_s is not None
    assert card.escalation_delay_s >= 0


def test_words_of_a_red_flag_ask_for_a_person_where_the_model_sees_no_urgency(
    scorer: EncoderScorer,
) -> None:
    call = dialogue(
        [(A, "thank you for calling how can i help"),
         (C, "i have crushing pain in my chest right now"),
         (A, "can i have your date of birth please"),
         (C, "it is <DATE_1>")]
    )  # fmt: skip
    card = scorer.score(call, scorer.find(call))
    urgency = card.score(Criterion.URGENCY).points or 0
    assert urgency >= 2 or "red_flag_unsure" in card.review_reasons


def test_a_routine_call_is_not_urgent_though_an_emergency_is_named_in_it(
    scorer: EncoderScorer,
) -> None:
    call = dialogue(ROUTINE)
    findings = scorer.find(call)
    card = scorer.score(call, findings)
    assert not any(f.task == "red_flag" for f in findings)
    assert card.score(Criterion.URGENCY).points == 0
    assert card.score(Criterion.ESCALATION).points is None
    assert card.escalated is EscalationOutcome.NOT_NEEDED
    assert card.call_type is CallType.APPOINTMENT


def test_a_call_without_an_opportunity_is_not_assessed_for_empathy_and_says_why(
    scorer: EncoderScorer,
) -> None:
    call = dialogue(ROUTINE)
    score = scorer.score(call, scorer.find(call)).score(Criterion.EMPATHY)
    assert score.points is None
    assert score.reason.startswith("Not scored")


def test_a_warm_agent_scores_above_one_who_jeers(scorer: EncoderScorer) -> None:
    feeling = (C, "My mother died last month and I can't face these letters, I'm worn out.")
    start = ((A, "Billing, this is <PERSON_1>."), (C, "I have a question on a bill."))
    end = ((C, "Okay."), (A, "Goodbye."), (C, "Bye."), (A, "Bye."))
    warm = (A, "I'm so sorry about your mother. No wonder those letters feel like too much today.")
    cold = (A, "That's not my department. Everybody's got a story. Are you paying or not?")
    points = []
    for answer in (warm, cold):
        call = dialogue((*start, feeling, answer, *end))
        points.append(scorer.score(call, scorer.find(call)).score(Criterion.EMPATHY).points)
    assert points[0] is not None
    assert points[1] is not None
    assert points[0] > points[1] + 0.5


def test_findings_are_the_same_each_time(scorer: EncoderScorer) -> None:
    call = dialogue(EMERGENCY)
    assert scorer.find(call) == scorer.find(call)


def test_findings_about_urgency_do_not_depend_on_how_the_call_ends(scorer: EncoderScorer) -> None:
    whole = scorer.find(dialogue(EMERGENCY))
    early = scorer.find(dialogue(EMERGENCY[:4]))

    def cues(findings: Sequence[Finding]) -> set[tuple[str, str, int]]:
        return {
            (f.task, f.label, f.evidence.turn_index)
            for f in findings
            if f.task in ("red_flag", "urgency_cue") and f.evidence and f.evidence.turn_index < 4
        }

    assert cues(whole) == cues(early)


def test_labels_are_of_the_vocabulary_and_model_findings_carry_probabilities(
    scorer: EncoderScorer,
) -> None:
    for found in scorer.find(dialogue(EMERGENCY)):
        assert found.label in LABELS[found.task]
        if found.producer.startswith("red-flags/"):
            assert found.probability is None
        else:
            assert found.probability is not None
            assert 0 <= found.probability <= 1


def test_unknown_roles_leave_urgency_and_call_type_and_nothing_else(scorer: EncoderScorer) -> None:
    call = dialogue([(Role.UNKNOWN, text) for _, text in EMERGENCY], role_confidence=0.2)
    findings = scorer.find(call)
    assert {f.task for f in findings} <= {"red_flag", "urgency_cue", "call_type"}
    card = scorer.score(call, findings)
    assert card.score(Criterion.EMPATHY).points is None
    assert card.score(Criterion.ACTIVE_LISTENING).points is None
    assert card.score(Criterion.ESCALATION).points is None
    assert card.escalated is None
    assert card.call_type is not None
    assert "roles_uncertain" in card.review_reasons


def test_doubtful_turns_support_nothing(scorer: EncoderScorer) -> None:
    call = dialogue(EMERGENCY)
    doubtful = replace(call, turns=tuple(replace(turn, is_doubtful=True) for turn in call.turns))
    assert scorer.find(doubtful) == ()
    card = scorer.score(doubtful, scorer.find(call))
    assert all(score.points in (None, 0) for score in card.scores)
    assert "doubtful_text" in card.review_reasons


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    turns=st.lists(
        st.tuples(st.sampled_from(list(Role)), st.text(max_size=80)), min_size=0, max_size=6
    )
)
def test_evidence_fits_any_dialogue_and_reasons_hold_none_of_its_words(
    scorer: EncoderScorer, turns: list[tuple[Role, str]]
) -> None:
    call = dialogue(turns)
    findings = scorer.find(call)
    card = scorer.score(call, findings)
    places = [f.evidence for f in findings if f.evidence]
    places += [place for score in card.scores for place in score.evidence]
    for place in places:
        call.quote(place)
    assert card.needs_review == bool(card.review_reasons)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        EncoderScorer(tmp_path)
