"""The rubric's checklist, asked of one call.

Most questions are answered by findings; a few follow the order in which things were said, which
redacted spans and roles tell without any words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from qa_monitor.calls import (
    ChecklistAnswer,
    ChecklistItem,
    EntityType,
    Evidence,
    RedactedTurn,
    Span,
)
from qa_monitor.scoring.features import CallFindings, sureness
from qa_monitor.scoring.labels import (
    AGENT_ROLES,
    AGENT_TASKS,
    CALL_TYPE,
    CALLER_ROLES,
    CHECKLIST,
    ESCALATION_ACTION,
    LISTENING,
    RESPONSE,
)
from qa_monitor.scoring.reasons import counted
from qa_monitor.scoring.rubric import EVERY, Builtin, Question

__all__ = ["answer_checklist", "turns_due", "whole_turn"]

YES, NO = ChecklistAnswer.YES, ChecklistAnswer.NO
UNSURE, NOT_APPLICABLE = ChecklistAnswer.UNSURE, ChecklistAnswer.NOT_APPLICABLE

_MOST_EVIDENCE = 4
_UNSEEN = 0.2
"""How likely something is that was not found: models name nothing that is less likely."""

_IDENTIFIERS: Final = frozenset(
    {
        EntityType.PERSON,
        EntityType.DATE,
        EntityType.LOCATION,
        EntityType.PHONE,
        EntityType.EMAIL,
        EntityType.SSN,
        EntityType.MEMBER_ID,
        EntityType.MRN,
        EntityType.ACCOUNT,
        EntityType.LICENSE,
    }
)
_PATIENTS_OWN: Final = frozenset(
    {
        EntityType.AGE,
        EntityType.EMAIL,
        EntityType.SSN,
        EntityType.MEMBER_ID,
        EntityType.MRN,
        EntityType.ACCOUNT,
        EntityType.LICENSE,
        EntityType.DEVICE,
    }
)
"""What an agent who says it has told of the patient."""

_PERHAPS_THE_PATIENTS: Final = frozenset({EntityType.DATE, EntityType.OTHER_ID})
"""A date may also be one that is free, a number that of a new case."""

_TELLS: Final = ("charge", "medicines")
"""Checklist labels of turns in which something of the patient is told in plain words."""

_UNSURE_WHY: Final = {
    "roles": "Unsure: it is not sure enough which of the speakers you are.",
    "unheard": "Unsure: too much of the call could not be heard clearly.",
    "type": "Unsure: it was not heard, but it is not sure that this call asks for it.",
}

_READ_BACK_REACH = 3
_CERTAIN_ENOUGH = 2


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer, how sure it is, what it rests on, and a sentence that says why."""

    answer: ChecklistAnswer
    confidence: float
    evidence: tuple[Evidence, ...]
    says: str


def answer_checklist(
    found: CallFindings,
    questions: Mapping[str, Question],
    *,
    level: int,
    is_certain_type: bool = True,
    called_before: bool = False,
    unsure_why: str | None = None,
) -> tuple[ChecklistItem, ...]:
    """The answers to ``questions``, in their order.

    ``level`` is the call's urgency; ``called_before`` tells that the caller is known to have called
    about the same before. Unless ``is_certain_type``, a question that is not asked of
    every call is ``UNSURE`` where it would be ``NO``. ``unsure_why`` is the code of what makes
    every answer unsure: ``roles`` or ``unheard``.
    """
    items = []
    for name, question in questions.items():
        if not _is_due(found, question, level, called_before=called_before):
            given = _Answer(NOT_APPLICABLE, 0.0, (), "This does not apply to this call.")
        elif unsure_why is not None:
            given = _Answer(UNSURE, 0.0, (), _UNSURE_WHY[unsure_why])
        else:
            given = _answer(found, question)
            if given.answer is NO and not is_certain_type and EVERY not in question.call_types:
                given = _Answer(UNSURE, given.confidence, given.evidence, _UNSURE_WHY["type"])
        if given.answer in (NO, UNSURE) and not given.evidence:
            given = _Answer(given.answer, given.confidence, _where_due(found, question), given.says)
        items.append(
            ChecklistItem(
                item=name,
                answer=given.answer,
                weight=question.weight,
                is_auto_fail=question.auto_fail,
                confidence=round(given.confidence, 4),
                evidence=given.evidence[:_MOST_EVIDENCE],
                reason=f"{question.asks} {given.says}",
            )
        )
    return tuple(items)


def _is_due(found: CallFindings, question: Question, level: int, *, called_before: bool) -> bool:
    when = question.when
    if not when.urgency_at_least <= level <= when.urgency_at_most:
        return False
    if when.called_before and (called_before or not when.labels):
        return called_before
    return not when.labels or any(
        f.label in when.labels and sureness(f) >= question.yes_from
        for task, findings in found.by_task.items()
        if task != CALL_TYPE
        for f in findings
    )


def _answer(found: CallFindings, question: Question) -> _Answer:
    if question.builtin is not None:
        return _BUILTINS[question.builtin](found, question)
    by_turn = sorted(_by_turn(found, question.labels), key=lambda pair: -pair[0])
    certain = [place for sure, place in by_turn if sure >= question.yes_from]
    if len(certain) >= question.at_least:
        often = "" if question.at_least == 1 else f", in {counted(len(certain), 'turn')}"
        sure = by_turn[question.at_least - 1][0]
        return _Answer(YES, sure, _in_order(certain), f"Yes{often}.")
    weakest = by_turn[question.at_least - 1][0] if len(by_turn) >= question.at_least else 0.0
    if weakest >= question.unsure_from:
        places = _in_order(place for _, place in by_turn)
        return _Answer(UNSURE, weakest, places, "Unsure: it was not heard clearly enough.")
    says = "No, it was not heard in this call."
    if certain:
        says = f"No, only in {counted(len(certain), 'turn')} of the {question.at_least} asked for."
    return _Answer(NO, _absence(weakest), _in_order(certain), says)


def _by_turn(found: CallFindings, labels: Iterable[str]) -> list[tuple[float, Evidence]]:
    """The surest finding of ``labels`` in each turn of the agent."""
    wanted = frozenset(labels)
    best: dict[int, tuple[float, Evidence]] = {}
    for task in AGENT_TASKS:
        for f in found.of_task(task):
            place = f.evidence
            if f.label not in wanted or place is None:
                continue
            known = best.get(place.turn_index)
            is_agents = found.dialogue.turns[place.turn_index].role in AGENT_ROLES
            if is_agents and (known is None or sureness(f) > known[0]):
                best[place.turn_index] = (sureness(f), place)
    return list(best.values())


def _where_due(found: CallFindings, question: Question) -> tuple[Evidence, ...]:
    turns = found.agent_turns
    if not turns:
        return ()
    if question.due == "first":
        return (whole_turn(turns[0]),)
    if question.due == "last":
        return (whole_turn(turns[-1]),)
    return (whole_turn(next(iter(turns_due(found)), turns[0])),)


def turns_due(found: CallFindings) -> list[RedactedTurn]:
    """The agent's turns that follow something of the caller's, after the longest first."""
    lengths = {turn.index: len(turn.text) for turn in found.caller_turns()}
    answers = [turn for turn in found.agent_turns if turn.index - 1 in lengths]
    return sorted(answers, key=lambda turn: -lengths[turn.index - 1])


# --- questions that follow the order of the call -------------------------------------------------


def _identity_before_disclosure(found: CallFindings, question: Question) -> _Answer:
    """Two kinds of identifier from the caller before the agent tells anything of the patient.

    Judged by redacted spans: what the caller has said already is no disclosure, names and places
    neither, and a date may be the patient's or just one that is free.
    """
    given: dict[EntityType, Evidence] = {}
    said: set[str] = set()
    told: list[tuple[bool, Evidence]] = []
    missed_some = False
    for turn in found.dialogue.turns:
        is_identified = len(given) >= _CERTAIN_ENOUGH
        if is_identified:
            break
        if turn.role in CALLER_ROLES:
            missed_some |= turn.is_doubtful
            for span in _spans(turn):
                said.add(_value(turn, span))
                if span.entity_type in _IDENTIFIERS:
                    given.setdefault(span.entity_type, _place(turn, span))
        elif turn.role in AGENT_ROLES and not turn.is_doubtful:
            told += _tellings(found, turn, said, question.yes_from)
    identifiers = tuple(given.values())
    surely = tuple(place for is_sure, place in told if is_sure)
    perhaps = tuple(place for is_sure, place in told if not is_sure)
    if surely and not missed_some:
        return _Answer(NO, 1 - _UNSEEN, surely, "No, something of the patient's came before that.")
    if surely or perhaps:
        return _Answer(
            UNSURE, 0.5, surely or perhaps, "Unsure: what came before that may be the patient's."
        )
    if len(given) >= _CERTAIN_ENOUGH:
        return _Answer(YES, 1 - _UNSEEN, identifiers, "Yes.")
    return _Answer(NOT_APPLICABLE, 0.0, (), "Nothing of the patient's was heard from you.")


def _tellings(
    found: CallFindings, turn: RedactedTurn, said: set[str], sure_from: float
) -> list[tuple[bool, Evidence]]:
    """Where ``turn`` tells something of the patient, surely or perhaps."""
    places = [
        (span.entity_type in _PATIENTS_OWN, _place(turn, span))
        for span in _spans(turn)
        if span.entity_type in _PATIENTS_OWN | _PERHAPS_THE_PATIENTS
        and _value(turn, span) not in said
    ]
    places += [
        (False, place)
        for place in found.places(CHECKLIST, *_TELLS, at_least=sure_from)
        if place.turn_index == turn.index
    ]
    return places


def _card_not_repeated(found: CallFindings, _: Question) -> _Answer:
    """No account or card number from the agent after the caller gave one."""
    caller = _first_from(found, CALLER_ROLES, EntityType.ACCOUNT)
    if caller is None:
        return _Answer(NOT_APPLICABLE, 0.0, (), "No card or account number was heard.")
    agent = _first_from(found, AGENT_ROLES, EntityType.ACCOUNT, after=caller[0].turn_index)
    if agent is not None:
        return _Answer(NO, agent[1], (caller[0], agent[0]), "No, a number was said aloud again.")
    return _Answer(YES, caller[1], (caller[0],), "Yes.")


def _member_id_read_back(found: CallFindings, question: Question) -> _Answer:
    """A member number from the caller, and soon after it the agent's reading it back."""
    caller = _first_from(found, CALLER_ROLES, EntityType.MEMBER_ID)
    if caller is None:
        return _Answer(NO, 1 - _UNSEEN, (), "No, no member number was heard.")
    place, confidence = caller
    agent = _first_from(found, AGENT_ROLES, EntityType.MEMBER_ID, after=place.turn_index)
    if agent is not None:
        return _Answer(YES, min(confidence, agent[1]), (place, agent[0]), "Yes.")
    soon = [turn.index for turn in found.agent_turns if turn.index > place.turn_index]
    read_back = [
        back
        for back in found.places(LISTENING, "read_back", at_least=question.yes_from)
        if back.turn_index in soon[:_READ_BACK_REACH]
    ]
    if read_back:
        return _Answer(YES, confidence, (place, read_back[0]), "Yes.")
    return _Answer(NO, 1 - _UNSEEN, (place,), "No, it was given but not read back.")


def _courteous_tone(found: CallFindings, question: Question) -> _Answer:
    """No response that brushes the caller aside."""
    rude = found.highest(RESPONSE, "dismissive")
    places = found.places(RESPONSE, "dismissive", at_least=question.unsure_from)
    if rude >= question.yes_from:
        return _Answer(NO, rude, places, "No, the caller was brushed aside.")
    if rude >= question.unsure_from:
        return _Answer(UNSURE, rude, places, "Unsure: one answer may have sounded dismissive.")
    return _Answer(YES, _absence(rude), (), "Yes.")


def _location_and_callback(found: CallFindings, question: Question) -> _Answer:
    """Where the patient is and a number to call back, asked by the agent or given by the caller."""
    least = question.yes_from
    where = found.places(ESCALATION_ACTION, "asks_location", at_least=least)
    number = found.places(CHECKLIST, "callback_number", at_least=least)
    at = _first_from(found, CALLER_ROLES, EntityType.LOCATION)
    phone = _first_from(found, CALLER_ROLES, EntityType.PHONE)
    places = _in_order({*where, *number, *(given[0] for given in (at, phone) if given)})
    has_place, has_number = bool(where or at), bool(number or phone)
    if has_place and has_number:
        return _Answer(YES, 1 - _UNSEEN, places, "Yes.")
    if has_place:
        says = "No, the number to call back is missing."
    elif has_number:
        says = "No, the place is missing."
    else:
        says = "No, neither was heard."
    return _Answer(NO, 1 - _UNSEEN, places, says)


_BUILTINS: Final[Mapping[Builtin, Callable[[CallFindings, Question], _Answer]]] = {
    "card_not_repeated": _card_not_repeated,
    "courteous_tone": _courteous_tone,
    "identity_before_disclosure": _identity_before_disclosure,
    "location_and_callback": _location_and_callback,
    "member_id_read_back": _member_id_read_back,
}


# --- places --------------------------------------------------------------------------------------


def whole_turn(turn: RedactedTurn) -> Evidence:
    """All words of ``turn``, without space around them."""
    text = turn.text
    start = len(text) - len(text.lstrip())
    return Evidence(turn_index=turn.index, start=start, end=max(start, len(text.rstrip())))


def _absence(sure: float) -> float:
    """How sure it is that something is not there, of which at most ``sure`` was seen."""
    return 1 - max(sure, _UNSEEN)


def _spans(turn: RedactedTurn) -> tuple[Span, ...]:
    """The redacted spans of a turn that was heard clearly."""
    return () if turn.is_doubtful else turn.spans


def _value(turn: RedactedTurn, span: Span) -> str:
    """What stands for the value; the same value has the same placeholder in all of the call."""
    return turn.text[span.start : span.end]


def _place(turn: RedactedTurn, span: Span) -> Evidence:
    return Evidence(turn_index=turn.index, start=span.start, end=span.end)


def _first_from(
    found: CallFindings, roles: Iterable[object], entity_type: EntityType, *, after: int = -1
) -> tuple[Evidence, float] | None:
    """The first span of ``entity_type`` by ``roles`` after turn ``after``, and its confidence."""
    for turn in found.dialogue.turns[after + 1 :]:
        if turn.role in roles:
            for span in _spans(turn):
                if span.entity_type is entity_type:
                    return _place(turn, span), span.confidence
    return None


def _in_order(places: Iterable[Evidence]) -> tuple[Evidence, ...]:
    return tuple(sorted(places, key=lambda place: (place.turn_index, place.start)))
