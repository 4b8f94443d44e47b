"""What score cards promise: made of findings alone, sure of what they say, silent otherwise."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_calls import EMERGENCY, ROUTINE, A, C, dialogue, finding

from qa_monitor.calls import (
    CallType,
    ChecklistAnswer,
    Criterion,
    EscalationOutcome,
    Finding,
    RedactedDialogue,
    Role,
    Scorecard,
    ScoreStatus,
)
from qa_monitor.scoring.effects import Weighing, without, without_task
from qa_monitor.scoring.features import CallFindings
from qa_monitor.scoring.labels import AGENT_TASKS, LABELS, OPPORTUNITY
from qa_monitor.scoring.rubric import Rubric, load_rubric, rubric_content, rubric_from
from qa_monitor.scoring.scorecard import make_scorecard

ROOT = Path(__file__).parents[1]
RUBRIC = load_rubric()
JUDGED = (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)
EMERGENCY_CUES = (finding("urgency_cue", "3", 1), finding("red_flag", "chest_pain", 1))
FEAR = finding("opportunity", "fear", 3)
ACKNOWLEDGED = finding("response", "acknowledged", 4)


def rubric(**changes: Any) -> Rubric:
    """The shipped rubric with tables changed, by table name."""
    content = copy.deepcopy(rubric_content())
    for name, values in changes.items():
        content.setdefault(name, {}).update(values)
    return rubric_from(content)


def card_of(
    *findings: Finding, call: RedactedDialogue | None = None, by: Rubric = RUBRIC
) -> Scorecard:
    return make_scorecard(call or dialogue(EMERGENCY), findings, by)


# --- points --------------------------------------------------------------------------------------


def points(criterion: Criterion, *findings: Finding) -> float | None:
    return make_scorecard(dialogue(EMERGENCY), findings, RUBRIC).score(criterion).points


def test_empathy_is_at_most_two_when_no_opportunity_was_answered() -> None:
    listening = [finding("listening", "reflection", turn) for turn in (2, 4, 6)]
    value = points(
        Criterion.EMPATHY,
        *listening,
        finding("opportunity", "fear", 3),
        finding("response", "none", 4),
    )
    assert value is not None
    assert value <= 2


def test_empathy_rises_with_the_level_of_the_response() -> None:
    values = [
        points(Criterion.EMPATHY, finding("opportunity", "fear", 3), finding("response", level, 4))
        for level in ("dismissive", "perfunctory", "acknowledged", "confirmed")
    ]
    assert None not in values
    assert values == sorted(values, key=lambda value: value or 0)
    assert values[0] != values[-1]


def test_every_score_has_evidence_even_one_for_what_is_missing() -> None:
    card = make_scorecard(dialogue(EMERGENCY), (), RUBRIC)
    listening = card.score(Criterion.ACTIVE_LISTENING)
    assert listening.points is not None
    assert listening.points < 3
    assert listening.evidence


def test_listening_falls_with_what_speaks_against_it() -> None:
    for_it = [finding("listening", "read_back", turn) for turn in (2, 4, 6)]
    against = [finding("listening", "ignores_detail", turn) for turn in (2, 4, 6)]
    better = points(Criterion.ACTIVE_LISTENING, *for_it)
    worse = points(Criterion.ACTIVE_LISTENING, *for_it, *against)
    assert better is not None
    assert worse is not None
    assert worse < better


def test_a_polite_agent_who_does_nothing_about_an_emergency_missed_it() -> None:
    cues = [finding("urgency_cue", "3", 1), finding("red_flag", "chest_pain", 1)]
    card = make_scorecard(dialogue(EMERGENCY), (*cues, finding("checklist", "greeting", 0)), RUBRIC)
    assert card.score(Criterion.URGENCY).points == 3
    assert card.escalated is EscalationOutcome.MISSED
    score = card.score(Criterion.ESCALATION)
    assert score.points is not None
    assert score.points < 2.5
    assert score.evidence


def test_escalating_a_routine_call_is_unneeded() -> None:
    card = make_scorecard(
        dialogue(EMERGENCY), (finding("escalation_action", "emergency_number", 4),), RUBRIC
    )
    assert card.escalated is EscalationOutcome.UNNEEDED


def test_a_call_scored_on_nothing_has_no_total_and_is_for_review() -> None:
    card = make_scorecard(dialogue(EMERGENCY[:2]), (), RUBRIC)
    assert card.total is None
    assert "not_assessable" in card.review_reasons


def test_another_rubric_scores_the_same_findings_anew(tmp_path: Path) -> None:
    text = (ROOT / "qa_monitor/scoring/rubric.toml").read_text("utf-8")
    own = tmp_path / "rubric.toml"
    own.write_text(
        text.replace('name = "default"', 'name = "strict"').replace(
            "answer_none_at_most = 2.0", "answer_none_at_most = 1.0"
        ),
        "utf-8",
    )
    findings = (finding("opportunity", "fear", 3), finding("response", "none", 4))
    card = make_scorecard(dialogue(EMERGENCY), findings, load_rubric(own))
    assert card.rubric_version.startswith("strict-")
    assert card.score(Criterion.EMPATHY).points == 1


# --- how sure ------------------------------------------------------------------------------------


def test_points_lie_in_their_interval_on_the_scale() -> None:
    score = card_of(FEAR, ACKNOWLEDGED).score(Criterion.EMPATHY)
    assert score.status is ScoreStatus.SCORED
    assert score.points is not None
    assert score.low is not None
    assert score.high is not None
    assert 1 <= score.low <= score.points <= score.high <= 5
    assert 0 < score.confidence <= 1


def test_urgency_has_an_interval_of_levels() -> None:
    score = card_of(*EMERGENCY_CUES).score(Criterion.URGENCY)
    assert score.points == 3
    assert score.low is not None
    assert 0 <= score.low < 3
    assert score.high == 3


@pytest.mark.parametrize("criterion", JUDGED)
def test_where_the_interval_is_too_wide_no_points_are_given_and_a_person_is_asked(
    criterion: Criterion,
) -> None:
    strict = rubric(abstain_width={criterion.value: 0.0})
    card = card_of(*EMERGENCY_CUES, FEAR, ACKNOWLEDGED, by=strict)
    score = card.score(criterion)
    assert score.status is ScoreStatus.ABSTAINED
    assert score.points is None
    assert score.low is None
    assert score.evidence
    assert "abstained" in card.review_reasons
    assert "not_assessable" not in card.review_reasons


def test_the_outcome_of_an_escalation_is_told_also_where_its_points_abstain() -> None:
    card = card_of(*EMERGENCY_CUES, by=rubric(abstain_width={"escalation": 0.0}))
    assert card.score(Criterion.ESCALATION).points is None
    assert card.escalated is EscalationOutcome.MISSED


def test_an_opportunity_that_hardly_was_one_is_left_to_a_person() -> None:
    unsure = finding("opportunity", "fear", 3, sure=0.2)
    score = card_of(unsure).score(Criterion.EMPATHY)
    assert score.status is ScoreStatus.ABSTAINED


def test_unsure_roles_are_not_assessable() -> None:
    call = dialogue(EMERGENCY, role_confidence=0.2)
    card = card_of(*EMERGENCY_CUES, FEAR, ACKNOWLEDGED, call=call)
    assert {card.score(criterion).status for criterion in JUDGED} == {ScoreStatus.NOT_ASSESSABLE}
    assert card.score(Criterion.URGENCY).points == 3
    assert card.escalated is None
    assert {item.answer for item in card.checklist} <= {
        ChecklistAnswer.UNSURE,
        ChecklistAnswer.NOT_APPLICABLE,
    }
    assert card.total is None


# --- what was not heard --------------------------------------------------------------------------


def test_what_only_doubtful_words_tell_of_is_left_to_a_person() -> None:
    call = dialogue(EMERGENCY, doubtful=[1, 3])
    card = card_of(*EMERGENCY_CUES, FEAR, call=call)
    assert card.score(Criterion.EMPATHY).status is ScoreStatus.ABSTAINED
    assert card.score(Criterion.URGENCY).status is ScoreStatus.ABSTAINED
    assert card.score(Criterion.ESCALATION).status is ScoreStatus.ABSTAINED
    assert card.escalated is None


def test_an_answer_that_was_not_heard_is_not_held_against_the_agent() -> None:
    call = dialogue(EMERGENCY, doubtful=[4])
    score = card_of(FEAR, call=call).score(Criterion.EMPATHY)
    assert score.status is ScoreStatus.ABSTAINED
    assert "answers" in score.reason


@settings(deadline=None)
@given(
    doubtful=st.sets(st.integers(0, 8)),
    labels=st.lists(
        st.sampled_from([(task, label) for task in LABELS for label in LABELS[task]]), max_size=9
    ),
)
def test_words_over_silence_support_no_score(
    doubtful: set[int], labels: list[tuple[str, str]]
) -> None:
    call = dialogue(EMERGENCY, doubtful=sorted(doubtful))
    findings = [finding(task, label, turn) for turn, (task, label) in enumerate(labels)]
    card = make_scorecard(call, findings, RUBRIC)
    places = [place for score in card.scores for place in score.evidence]
    places += [
        place for score in card.scores for effect in score.effects for place in effect.evidence
    ]
    assert not {place.turn_index for place in places} & doubtful


def test_findings_on_doubtful_words_change_no_points() -> None:
    call = dialogue(EMERGENCY, doubtful=[6])
    clear = (*EMERGENCY_CUES, FEAR, ACKNOWLEDGED)
    doubtful = (finding("listening", "read_back", 6), finding("escalation_action", "same_day", 6))
    with_them, without_them = (
        make_scorecard(call, findings, RUBRIC) for findings in ((*clear, *doubtful), clear)
    )
    assert [score.points for score in with_them.scores] == [
        score.points for score in without_them.scores
    ]


def test_a_call_that_was_mostly_not_heard_is_not_called_routine() -> None:
    call = dialogue(ROUTINE, doubtful=[1, 2, 3, 4, 5])
    card = card_of(call=call)
    assert card.score(Criterion.URGENCY).status is ScoreStatus.ABSTAINED
    assert card.score(Criterion.ACTIVE_LISTENING).status is ScoreStatus.ABSTAINED
    assert card.escalated is None
    assert {item.answer for item in card.checklist} <= {
        ChecklistAnswer.UNSURE,
        ChecklistAnswer.NOT_APPLICABLE,
    }


def test_talk_that_was_dropped_in_transcription_makes_scores_abstain() -> None:
    most = dialogue(EMERGENCY, timed=True, dropped_s=60.0)
    card = card_of(FEAR, ACKNOWLEDGED, call=most)
    assert {card.score(c).status for c in JUDGED} == {ScoreStatus.ABSTAINED}
    assert "speech_dropped" in card.review_reasons
    little = dialogue(EMERGENCY, timed=True, dropped_s=2.0)
    assert card_of(FEAR, ACKNOWLEDGED, call=little).score(Criterion.EMPATHY).points is not None


# --- to which calls a rubric applies -------------------------------------------------------------


def test_a_criterion_can_be_taken_from_a_type_of_call() -> None:
    rules = rubric(not_applicable={"empathy": {"call_types": ["outreach"]}})
    outreach = finding("call_type", "outreach", 0)
    score = card_of(FEAR, ACKNOWLEDGED, outreach, by=rules).score(Criterion.EMPATHY)
    assert score.status is ScoreStatus.NOT_ASSESSABLE
    assert card_of(FEAR, ACKNOWLEDGED, by=rules).score(Criterion.EMPATHY).points is not None


def test_a_short_call_is_not_assessable_and_one_hardly_heard_abstains() -> None:
    short = card_of(call=dialogue(EMERGENCY[:4]))
    assert short.score(Criterion.ACTIVE_LISTENING).status is ScoreStatus.NOT_ASSESSABLE
    assert short.checklist == ()
    hardly = card_of(call=dialogue(EMERGENCY, doubtful=[5]))
    assert hardly.score(Criterion.ACTIVE_LISTENING).status is ScoreStatus.ABSTAINED


# --- what fails a call ---------------------------------------------------------------------------


def test_as_it_comes_the_rubric_fails_nobody() -> None:
    card = card_of(*EMERGENCY_CUES)
    assert card.escalated is EscalationOutcome.MISSED
    assert card.auto_failed == ()
    assert card.total != 0


def test_a_missed_escalation_fails_the_call_from_the_level_that_the_rubric_says() -> None:
    strict = rubric(auto_fail={"missed_escalation_from": 3})
    card = card_of(*EMERGENCY_CUES, by=strict)
    assert card.auto_failed == ("missed_escalation",)
    assert card.total == 0
    assert "auto_failed" in card.review_reasons
    urgent = card_of(finding("urgency_cue", "2", 1), by=strict)
    assert urgent.score(Criterion.URGENCY).points == 2
    assert urgent.escalated is EscalationOutcome.MISSED
    assert urgent.auto_failed == ()


def test_nothing_that_is_unsure_fails_a_call() -> None:
    strict = rubric(auto_fail={"missed_escalation_from": 1}, abstain_width={"escalation": 0.0})
    card = card_of(*EMERGENCY_CUES, by=strict)
    assert card.escalated is EscalationOutcome.MISSED
    assert card.auto_failed == ()


def test_only_earlier_calls_about_the_same_are_asked_about_and_they_change_no_score() -> None:
    findings = (finding("call_type", "appointment", 1), finding("checklist", "greeting", 0))

    def answer(card: Scorecard) -> ChecklistAnswer:
        return next(item.answer for item in card.checklist if item.item == "earlier_calls")

    first = make_scorecard(dialogue(ROUTINE), findings, RUBRIC)
    cards = [
        make_scorecard(dialogue(ROUTINE), findings, RUBRIC, earlier_types=types)
        for types in ((CallType.BILLING, None), (CallType.BILLING, CallType.APPOINTMENT))
    ]
    assert cards[0] == first
    assert [answer(card) for card in cards] == [ChecklistAnswer.NOT_APPLICABLE, ChecklistAnswer.NO]
    assert (cards[1].scores, cards[1].total) == (first.scores, first.total)
    unsure = (finding("call_type", "appointment", 1, 0.2),)
    card = make_scorecard(dialogue(ROUTINE), unsure, RUBRIC, earlier_types=(CallType.APPOINTMENT,))
    assert answer(card) is ChecklistAnswer.NOT_APPLICABLE


def test_an_item_of_the_checklist_can_fail_the_call() -> None:
    content = copy.deepcopy(rubric_content())
    content["checklist"]["greeting"]["auto_fail"] = True
    strict = rubric_from(content)
    assert card_of(by=strict).auto_failed == ("greeting",)
    assert card_of(by=strict).total == 0
    greeted = card_of(finding("checklist", "greeting", 0), by=strict)
    assert greeted.auto_failed == ()
    perhaps = card_of(finding("checklist", "greeting", 0, sure=0.3), by=strict)
    assert perhaps.auto_failed == ()


# --- the total -----------------------------------------------------------------------------------


def test_the_checklist_counts_in_the_total_as_much_as_the_rubric_says() -> None:
    none, all_of_it = (
        rubric(weights={"empathy": w, "active_listening": w, "escalation": w, "checklist": 1.0 - w})
        for w in (1.0, 0.0)
    )
    findings = (FEAR, ACKNOWLEDGED, finding("checklist", "greeting", 0))
    points = [score.points for score in card_of(*findings).scores if score.criterion in JUDGED]
    scored = [value for value in points if value is not None]
    expected = 100 * sum((value - 1) / 4 for value in scored) / len(scored)
    assert card_of(*findings, by=none).total == pytest.approx(expected, abs=0.2)
    card = card_of(*findings, by=all_of_it)
    asked = [i for i in card.checklist if i.answer in (ChecklistAnswer.YES, ChecklistAnswer.NO)]
    yes = sum(item.weight for item in asked if item.answer is ChecklistAnswer.YES)
    assert 0 < yes < sum(item.weight for item in asked)
    assert card.total == pytest.approx(100 * yes / sum(item.weight for item in asked), abs=0.1)


# --- what moved a score --------------------------------------------------------------------------


def test_effects_name_features_their_points_and_their_places_strongest_first() -> None:
    score = card_of(FEAR, ACKNOWLEDGED, finding("listening", "ignores_detail", 6)).score(
        Criterion.EMPATHY
    )
    by_feature = {effect.feature: effect for effect in score.effects}
    acknowledged = by_feature["acknowledged"]
    assert acknowledged.points > 0
    assert 4 in {place.turn_index for place in acknowledged.evidence}
    assert by_feature["against"].points < 0
    assert {place.turn_index for place in by_feature["against"].evidence} == {6}
    strengths = [abs(effect.points) for effect in score.effects]
    assert strengths == sorted(strengths, reverse=True)


def test_a_cap_is_an_effect_shown_at_what_was_passed_over() -> None:
    loose = rubric(settings={"answer_none_at_most": 1.0})
    listening = [finding("listening", "reflection", turn) for turn in (2, 4, 6)]
    score = card_of(FEAR, finding("response", "none", 4), *listening, by=loose).score(
        Criterion.EMPATHY
    )
    caps = [effect for effect in score.effects if effect.feature == "answer_none_at_most"]
    assert score.points == 1
    assert len(caps) == 1
    assert caps[0].points < 0
    assert [place.turn_index for place in caps[0].evidence] == [3]
    assert "no more than 1" in score.reason


def test_interruptions_cost_points_and_are_told() -> None:
    call = dialogue([(A if index % 2 else C, "some words here") for index in range(12)])
    overlapping = replace(
        call,
        turns=tuple(
            replace(
                turn,
                start_s=turn.index * 4.0 - (2.0 if turn.role is A else 0.0),
                end_s=turn.index * 4.0 + 3.5,
            )
            for turn in call.turns
        ),
    )
    plain = card_of(call=call).score(Criterion.ACTIVE_LISTENING)
    cut = card_of(call=overlapping).score(Criterion.ACTIVE_LISTENING)
    assert plain.points is not None
    assert cut.points is not None
    assert cut.points < plain.points
    assert "interruption_points" in {effect.feature for effect in cut.effects}
    assert "still speaking" in cut.reason


@settings(deadline=None)
@given(
    labels=st.lists(
        st.sampled_from(
            [(task, label) for task in (OPPORTUNITY, *AGENT_TASKS) for label in LABELS[task]]
        ),
        min_size=1,
        max_size=8,
    )
)
def test_leaving_out_what_an_effect_names_takes_its_points_away(
    labels: list[tuple[str, str]],
) -> None:
    found = CallFindings.of(
        dialogue(EMERGENCY),
        [finding(task, label, turn) for turn, (task, label) in enumerate(labels)],
    )
    weighing = Weighing(
        found,
        (OPPORTUNITY, *AGENT_TASKS),
        CallFindings.listening,
        lambda features: RUBRIC.points_of("active_listening", features),
    )
    before = weighing.points_of(weighing.features)
    for effect in weighing.effects():
        less = weighing.points_of({**weighing.features, effect.feature: 0.0})
        assert before - less == pytest.approx(effect.points, abs=0.006)
        assert effect.evidence
    for name in set(labels):
        brought = weighing.brought_by(name)
        assert before - brought == pytest.approx(
            weighing.points_of(CallFindings.listening(without(found, [name])))
        )


def test_a_call_without_a_task_has_none_of_its_findings() -> None:
    found = CallFindings.of(dialogue(EMERGENCY), [FEAR, ACKNOWLEDGED])
    assert without_task(found, OPPORTUNITY).of_task(OPPORTUNITY) == ()
    assert without_task(found, OPPORTUNITY).of_task("response") == (ACKNOWLEDGED,)


# --- good deeds ----------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    labels=st.lists(
        st.sampled_from(
            [(task, label) for task in ("listening", "escalation_action") for label in LABELS[task]]
        ),
        max_size=6,
    ),
    good=st.sampled_from(
        [
            ("listening", "read_back"),
            ("listening", "reflection"),
            ("escalation_action", "emergency_number"),
            ("escalation_action", "safety_instruction"),
        ]
    ),
)
def test_a_good_deed_never_lowers_a_score(
    labels: Sequence[tuple[str, str]], good: tuple[str, str]
) -> None:
    never = rubric(abstain_width={criterion.value: 4.0 for criterion in JUDGED})
    known = [
        *EMERGENCY_CUES,
        FEAR,
        ACKNOWLEDGED,
        *(finding(task, label, 6) for task, label in labels),
    ]
    before = card_of(*known, by=never)
    after = card_of(*known, finding(good[0], good[1], 8), by=never)
    for criterion in JUDGED:
        less, more = before.score(criterion).points, after.score(criterion).points
        assert less is not None
        assert more is not None
        assert more >= less - 0.011


def test_the_same_findings_give_the_same_card() -> None:
    findings = (*EMERGENCY_CUES, FEAR, ACKNOWLEDGED)
    assert card_of(*findings) == card_of(*findings)


def test_a_card_needs_neither_words_nor_names() -> None:
    blank = dialogue([(role, "x" * len(text)) for role, text in EMERGENCY])
    blank = replace(
        blank,
        turns=tuple(
            replace(turn, spans=other.spans)
            for turn, other in zip(blank.turns, dialogue(EMERGENCY).turns, strict=True)
        ),
    )
    findings = (*EMERGENCY_CUES, FEAR, ACKNOWLEDGED)
    told, silent = card_of(*findings), card_of(*findings, call=blank)
    assert told.scores == silent.scores
    assert told.total == silent.total


def test_a_call_of_nobody_is_scored_without_a_fault() -> None:
    card = card_of(call=dialogue([(Role.UNKNOWN, "hello")]))
    assert card.total is None
    assert "roles_uncertain" in card.review_reasons
