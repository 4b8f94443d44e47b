"""What checklists promise: each answer from findings and order alone, and no guess is a no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_calls import EMERGENCY, ROUTINE, A, C, dialogue, finding

from qa_monitor.calls import (
    ChecklistAnswer,
    ChecklistItem,
    Finding,
    RedactedDialogue,
    Role,
)
from qa_monitor.scoring.checklists import _BUILTINS, answer_checklist
from qa_monitor.scoring.features import CallFindings
from qa_monitor.scoring.labels import LABELS
from qa_monitor.scoring.rubric import Builtin, Question, load_rubric

YES, NO = ChecklistAnswer.YES, ChecklistAnswer.NO
UNSURE, NOT_APPLICABLE = ChecklistAnswer.UNSURE, ChecklistAnswer.NOT_APPLICABLE
CHECKLIST = load_rubric().checklist
Turns = Sequence[tuple[Role, str]]


def ask(
    question: Question | str,
    call: RedactedDialogue | Turns = ROUTINE,
    *findings: Finding,
    level: int = 0,
    **circumstances: Any,
) -> ChecklistItem:
    """The answer to one question, a shipped one by its name."""
    if isinstance(question, str):
        question = CHECKLIST[question]
    if not isinstance(call, RedactedDialogue):
        call = dialogue(call)
    (item,) = answer_checklist(
        CallFindings.of(call, findings), {"item": question}, level=level, **circumstances
    )
    return item


def question(**changes: Any) -> Question:
    return Question.model_validate(
        {"asks": "Did you?", "call_types": ["every"], "labels": ["read_back"], **changes}
    )


# --- by findings ---------------------------------------------------------------------------------


def test_a_sure_finding_is_a_yes_where_it_was_found() -> None:
    item = ask("greeting", ROUTINE, finding("checklist", "greeting", 0))
    assert item.answer is YES
    assert item.evidence[0].turn_index == 0
    assert item.confidence == 0.95


def test_nothing_found_is_a_no_shown_where_it_was_due() -> None:
    assert ask("greeting").answer is NO
    assert ask("greeting").evidence[0].turn_index == 0
    assert ask("closing").evidence[0].turn_index == 8
    middle = ask("reschedule")
    assert [place.turn_index for place in middle.evidence] == [2]


def test_a_half_sure_finding_is_neither_yes_nor_no() -> None:
    item = ask("greeting", ROUTINE, finding("checklist", "greeting", 0, sure=0.3))
    assert item.answer is UNSURE
    assert ask("greeting", ROUTINE, finding("checklist", "greeting", 0, sure=0.1)).answer is NO


def test_where_yes_begins_is_the_rubrics_to_say() -> None:
    strict = question(yes_from=0.9, unsure_from=0.8)
    assert ask(strict, ROUTINE, finding("listening", "read_back", 4, sure=0.85)).answer is UNSURE
    assert ask(strict, ROUTINE, finding("listening", "read_back", 4, sure=0.7)).answer is NO


def test_as_many_turns_are_needed_as_the_rubric_says() -> None:
    twice = question(at_least=2)
    one = finding("listening", "read_back", 4)
    assert ask(twice, ROUTINE, one).answer is NO
    assert ask(twice, ROUTINE, one, one).answer is NO
    item = ask(twice, ROUTINE, one, finding("listening", "read_back", 6))
    assert item.answer is YES
    assert "two turns" in item.reason


def test_what_somebody_else_said_answers_nothing() -> None:
    assert ask(question(), ROUTINE, finding("listening", "read_back", 5)).answer is NO


def test_words_over_silence_answer_nothing() -> None:
    call = dialogue(ROUTINE, doubtful=[4])
    assert ask(question(), call, finding("listening", "read_back", 4)).answer is NO


def test_a_question_applies_only_when_its_conditions_hold() -> None:
    urgent = question(when={"urgency_at_least": 2})
    assert ask(urgent, level=1).answer is NOT_APPLICABLE
    assert ask(urgent, level=2).answer is NO
    after = question(when={"labels": ["message_only"]})
    assert ask(after).answer is NOT_APPLICABLE
    assert ask(after, ROUTINE, finding("escalation_action", "message_only", 4)).answer is NO


def test_a_question_about_earlier_calls_applies_where_the_caller_is_known_to_have_called() -> None:
    assert ask("earlier_calls").answer is NOT_APPLICABLE
    assert ask("earlier_calls", called_before=True).answer is NO
    referred = finding("checklist", "earlier_calls", 4)
    assert ask("earlier_calls", ROUTINE, referred, called_before=True).answer is YES
    assert ask("earlier_calls", ROUTINE, referred).answer is YES
    strict = question(when={"called_before": True})
    assert ask(strict).answer is NOT_APPLICABLE
    assert ask(strict, called_before=True).answer is NO
    urgent = question(when={"called_before": True, "urgency_at_least": 1})
    assert ask(urgent, called_before=True).answer is NOT_APPLICABLE


def test_an_unsure_call_type_turns_a_no_into_unsure_for_questions_of_that_type_only() -> None:
    assert ask("charge", is_certain_type=False).answer is UNSURE
    assert ask("greeting", is_certain_type=False).answer is NO
    found = finding("checklist", "charge", 4)
    assert ask("charge", ROUTINE, found, is_certain_type=False).answer is YES


@pytest.mark.parametrize("why", ["roles", "unheard"])
def test_what_makes_the_call_unsure_makes_each_answer_unsure(why: str) -> None:
    item = ask("greeting", ROUTINE, finding("checklist", "greeting", 0), unsure_why=why)
    assert item.answer is UNSURE
    assert item.confidence == 0


# --- by order ------------------------------------------------------------------------------------


def test_every_builtin_that_a_rubric_may_name_is_answered() -> None:
    assert set(_BUILTINS) == set(get_args(Builtin))


def test_two_identifiers_before_the_patients_record_is_read_out_verify_the_caller() -> None:
    item = ask(
        "identity",
        (
            (A, "Clinic, how can I help?"),
            (C, "This is <PERSON_1>."),
            (A, "And your date of birth?"),
            (C, "<DATE_1>."),
            (A, "Thanks. Your record <MRN_1> shows a visit on <DATE_2>."),
        ),
    )
    assert item.answer is YES
    assert [place.turn_index for place in item.evidence] == [1, 3]


def test_telling_before_two_identifiers_is_a_no_shown_where_it_happened() -> None:
    item = ask(
        "identity",
        (
            (A, "Clinic, how can I help?"),
            (C, "This is <PERSON_1>."),
            (A, "I have your record here, <MRN_1>."),
            (C, "I was born on <DATE_1>."),
        ),
    )
    assert item.answer is NO
    assert [place.turn_index for place in item.evidence] == [2]


def test_reading_back_what_the_caller_gave_tells_nothing() -> None:
    item = ask("identity", ((C, "My number is <MRN_1>."), (A, "So that is <MRN_1>.")))
    assert item.answer is NOT_APPLICABLE


def test_a_date_before_identification_may_be_one_that_is_free() -> None:
    assert ask("identity", ((C, "Hello."), (A, "You came on <DATE_1>."))).answer is UNSURE


def test_the_same_kind_of_identifier_twice_is_one() -> None:
    turns = ((C, "<PERSON_1>, for <PERSON_2>."), (A, "The record is <MRN_1>."))
    assert ask("identity", turns).answer is NO


def test_an_identifier_that_may_have_been_drowned_out_makes_identity_unsure() -> None:
    turns = ((C, "This is <PERSON_1>."), (C, "mumble"), (A, "The record is <MRN_1>."))
    assert ask("identity", turns).answer is NO
    assert ask("identity", dialogue(turns, doubtful=[1])).answer is UNSURE


def test_names_of_staff_and_clinic_are_no_disclosure() -> None:
    turns = ((A, "<ORGANIZATION_1>, <PERSON_1> speaking, in <LOCATION_1>."), (C, "Hello."))
    assert ask("identity", turns).answer is NOT_APPLICABLE


def test_in_an_emergency_identity_is_not_asked_for() -> None:
    turns = ((C, "He is not breathing."), (A, "The record is <MRN_1>."))
    assert ask("identity", turns, level=3).answer is NOT_APPLICABLE


def test_a_card_number_said_again_by_the_agent_is_a_no() -> None:
    gives = (C, "It's <ACCOUNT_1>.")
    assert ask("card_not_repeated", (gives, (A, "Thank you."))).answer is YES
    repeated = ask("card_not_repeated", (gives, (A, "That was <ACCOUNT_1>.")))
    assert repeated.answer is NO
    assert [place.turn_index for place in repeated.evidence] == [0, 1]
    before = ((A, "The account <ACCOUNT_2>?"), gives, (A, "Thank you."))
    assert ask("card_not_repeated", before).answer is YES
    assert ask("card_not_repeated", ((C, "Cash."), (A, "Fine."))).answer is NOT_APPLICABLE


def test_a_member_number_is_taken_and_read_back() -> None:
    gives = (C, "It's <MEMBER_ID_1>.")
    assert ask("member_id", (gives, (A, "<MEMBER_ID_1>, right?"))).answer is YES
    assert ask("member_id", (gives, (A, "Thank you."))).answer is NO
    back = finding("listening", "read_back", 1)
    assert ask("member_id", (gives, (A, "Ending in that?")), back).answer is YES
    assert ask("member_id", ((C, "Hello."), (A, "Hello."))).answer is NO
    assert ask("member_id", ((A, "Is it <MEMBER_ID_1>?"), gives)).answer is NO


def test_a_dismissive_answer_is_discourteous_and_a_perhaps_is_unsure() -> None:
    assert ask("courteous").answer is YES
    rude = ask("courteous", ROUTINE, finding("response", "dismissive", 2))
    assert rude.answer is NO
    assert rude.evidence[0].turn_index == 2
    perhaps = finding("response", "dismissive", 2, sure=0.3)
    assert ask("courteous", ROUTINE, perhaps).answer is UNSURE


def test_place_and_number_are_both_needed() -> None:
    where = finding("escalation_action", "asks_location", 4)
    number = finding("checklist", "callback_number", 6)
    nowhere = ((C, "My chest hurts."), *((A, "Okay."),) * 8)
    assert ask("location_and_callback", nowhere, where, number).answer is YES
    assert "number" in ask("location_and_callback", nowhere, where).reason
    assert "place" in ask("location_and_callback", nowhere, number).reason
    assert ask("location_and_callback", nowhere).answer is NO
    given = ((C, "I'm at <LOCATION_1>, <PHONE_1>."), (A, "Okay."))
    assert ask("location_and_callback", given).answer is YES


# --- whatever comes ------------------------------------------------------------------------------

_labels = st.sampled_from([(task, label) for task in LABELS for label in LABELS[task]])


def _found(name: tuple[str, str], turn: int, sure: float) -> Finding:
    return finding(name[0], name[1], turn, sure)


_some_findings = st.lists(
    st.builds(_found, _labels, st.integers(0, 8), st.floats(0, 1)), max_size=12
)


@settings(deadline=None)
@given(
    findings=_some_findings,
    level=st.integers(0, 3),
    doubtful=st.sets(st.integers(0, 8)),
    turns=st.sampled_from([EMERGENCY, ROUTINE, ()]),
)
def test_any_findings_give_each_question_an_answer_with_places_in_the_call(
    findings: list[Finding], level: int, doubtful: set[int], turns: Turns
) -> None:
    call = dialogue(turns, doubtful=sorted(doubtful))
    items = answer_checklist(CallFindings.of(call, findings), CHECKLIST, level=level)
    assert [item.item for item in items] == list(CHECKLIST)
    for item in items:
        assert 0 <= item.confidence <= 1
        assert item.reason.startswith(CHECKLIST[item.item].asks)
        assert item.reason.endswith(".")
        for place in item.evidence:
            call.quote(place)
            assert not call.turns[place.turn_index].is_doubtful
        if item.answer is NO and any(turn.role is A for turn in call.turns if not turn.is_doubtful):
            assert item.evidence


@settings(deadline=None)
@given(findings=_some_findings)
def test_what_is_asked_for_is_a_yes_whatever_else_was_found(findings: list[Finding]) -> None:
    more = finding("listening", "read_back", 6)
    assert ask(question(), ROUTINE, *findings, more).answer is YES


def test_weight_and_auto_fail_stand_on_the_item() -> None:
    item = ask(replace_question("greeting", weight=3.0, auto_fail=True))
    assert item.weight == 3
    assert item.is_auto_fail


def replace_question(name: str, **changes: Any) -> Question:
    return CHECKLIST[name].model_copy(update=changes)


def test_a_call_without_clear_agent_turns_has_no_place_to_show() -> None:
    call = dialogue(ROUTINE)
    call = replace(call, turns=tuple(replace(turn, is_doubtful=True) for turn in call.turns))
    assert ask("greeting", call).evidence == ()
