"""From findings to a score card, by the rubric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qa_monitor.calls import (
    CallType,
    Criterion,
    EscalationOutcome,
    Evidence,
    Finding,
    RedactedDialogue,
    RedactedTurn,
    Role,
    Score,
    Scorecard,
)
from qa_monitor.scoring.features import CallFindings, Opportunity, sureness
from qa_monitor.scoring.labels import (
    AGAINST_LISTENING,
    CALL_TYPE,
    ESCALATION_ACTION,
    FOR_LISTENING,
    LISTENING,
    RED_FLAG,
    URGENCY_CUE,
)
from qa_monitor.scoring.metrics import interruptions
from qa_monitor.scoring.rubric import Rubric

__all__ = ["make_scorecard", "roles_are_certain"]

_LOW, _HIGH = 1.0, 5.0
_MOST_EVIDENCE = 8
_SHORTEST_CALL = 4
_ONE_POINT = 1.0
_LEVEL_WORDS = ("routine", "same-day", "urgent", "an emergency")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Urgency:
    level: int
    probabilities: tuple[float, float, float]
    score: Score


def make_scorecard(
    dialogue: RedactedDialogue, findings: Sequence[Finding], rubric: Rubric
) -> Scorecard:
    """The score card of a call; needs nothing but ``findings`` and the order and times of turns.

    Where roles are unsure, only urgency and call type are scored.
    """
    found = CallFindings.of(dialogue, findings)
    certain = roles_are_certain(dialogue, rubric.settings["roles_certain_from"])
    urgency = _urgency(found, rubric)
    call_type, also, type_confidence = _call_type(found, rubric)
    if certain:
        empathy = _empathy(found, rubric)
        listening = _listening(found, rubric)
        escalation, outcome, delay_s = _escalation(found, rubric, urgency.level)
    else:
        why = "Not assessed: it is not sure enough who of the speakers is the agent."
        empathy, listening, escalation = (
            _not_assessable(criterion, why)
            for criterion in (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)
        )
        outcome, delay_s = None, None
    scores = (empathy, listening, urgency.score, escalation)
    reasons = _review_reasons(dialogue, scores, urgency, rubric, roles_certain=certain)
    return Scorecard(
        call_id=dialogue.call_id,
        rubric_version=f"{rubric.name}-{rubric.version}",
        scores=scores,
        total=_total(scores, rubric),
        needs_review=bool(reasons),
        review_reasons=reasons,
        call_type=call_type,
        also=also,
        call_type_confidence=type_confidence,
        urgency_probability=round(urgency.probabilities[2], 4),
        escalated=outcome,
        escalation_delay_s=delay_s,
    )


def roles_are_certain(dialogue: RedactedDialogue, at_least: float) -> bool:
    """Whether the words of the call, weighed by the certainty of their speaker's role, suffice."""
    total = sum(len(turn.text) for turn in dialogue.turns if turn.role is not Role.SYSTEM)
    known = sum(
        len(turn.text) * turn.role_confidence
        for turn in dialogue.turns
        if turn.role not in (Role.SYSTEM, Role.UNKNOWN)
    )
    return total > 0 and known / total >= at_least


# --- the criteria --------------------------------------------------------------------------------


def _empathy(found: CallFindings, rubric: Rubric) -> Score:
    pairs = found.opportunities()
    if not pairs:
        return _not_assessable(
            Criterion.EMPATHY,
            "Not assessed: the caller showed no feeling or difficulty to respond to.",
        )
    features = found.empathy()
    points = _held(rubric.points_of("empathy", features))
    answered = sum(_is_answered(pair) for pair in pairs)
    note = ""
    if not answered:
        points = min(points, rubric.settings["answer_none_at_most"])
        note = " None of them was answered, which caps the score."
    elif answered * 2 < len(pairs):
        points = min(points, rubric.settings["answer_few_at_most"])
        note = " Fewer than half were answered, which caps the score."
    evidence = _unique(
        place
        for pair in pairs
        for place in (
            pair.opportunity.evidence,
            pair.response.evidence if pair.response else None,
        )
    )
    acknowledged = sum(
        pair.response is not None
        and pair.response.label in ("acknowledged", "pursued", "confirmed")
        for pair in pairs
    )
    reason = (
        f"The caller gave {_count(len(pairs), 'opening')} for empathy; {answered} "
        f"{'was' if answered == 1 else 'were'} answered and {acknowledged} acknowledged in "
        f"substance.{note}"
    )
    sure = [pair.weight for pair in pairs] + [
        sureness(pair.response) for pair in pairs if pair.response
    ]
    return Score(
        criterion=Criterion.EMPATHY,
        points=points,
        max_points=_HIGH,
        confidence=_confidence(sure),
        evidence=evidence[:_MOST_EVIDENCE],
        reason=reason,
    )


def _is_answered(pair: Opportunity) -> bool:
    return pair.response is not None and pair.response.label not in ("none", "dismissive")


def _listening(found: CallFindings, rubric: Rubric) -> Score:
    agent_turns = found.agent_turns
    if len(agent_turns) < _SHORTEST_CALL or len(found.caller_turns()) < _SHORTEST_CALL:
        return _not_assessable(
            Criterion.ACTIVE_LISTENING,
            "Not assessed: the conversation is too short, or too little of it was understood.",
        )
    points = rubric.points_of("active_listening", found.listening())
    broken_in = interruptions(found.dialogue)
    note = ""
    if broken_in is not None:
        beyond = max(0.0, broken_in - rubric.settings["interruptions_free"])
        points -= min(beyond * rubric.settings["interruption_points"], _ONE_POINT)
        note = f" The agent broke in {_count(broken_in, 'time')}." if beyond else ""
    shown = found.places(LISTENING, *FOR_LISTENING)
    against = found.places(LISTENING, *AGAINST_LISTENING)
    points = _held(points)
    places = _unique([*against, *shown] if points < 3 else [*shown, *against])
    if not places or (points < 3 and not against):
        # What is missing is shown where it was due: after what the caller said at most length.
        places = _unique([*_where_due(found), *places])
    kinds = {
        f.label for f in found.of_task(LISTENING) if f.label in FOR_LISTENING and sureness(f) >= 0.5
    }
    reason = (
        f"{_count(len(shown), 'turn')} {'shows' if len(shown) == 1 else 'show'} listening, of "
        f"{_count(len(kinds), 'kind')}; {_count(len(against), 'turn')} "
        f"{'speaks' if len(against) == 1 else 'speak'} against it.{note}"
    )
    return Score(
        criterion=Criterion.ACTIVE_LISTENING,
        points=points,
        max_points=_HIGH,
        confidence=_confidence([sureness(f) for f in found.of_task(LISTENING)]),
        evidence=places[:_MOST_EVIDENCE],
        reason=reason,
    )


def _where_due(found: CallFindings) -> list[Evidence]:
    """The agent's turns that follow what the caller said at most length."""
    turns = found.dialogue.turns
    due = [
        turn
        for turn in found.agent_turns
        if turn.index > 0 and turns[turn.index - 1] in found.caller_turns()
    ]
    due.sort(key=lambda turn: -len(turns[turn.index - 1].text))
    return [_whole(turn) for turn in sorted(due[:2], key=lambda turn: turn.index)]


def _urgency(found: CallFindings, rubric: Rubric) -> _Urgency:
    probabilities = rubric.urgency_probabilities(found.urgency())
    settings = rubric.settings
    level = 0
    for candidate in (1, 2, 3):
        if probabilities[candidate - 1] >= settings[f"level{candidate}_from"]:
            level = candidate
    cues = [
        f
        for f in (*found.of_task(RED_FLAG), *found.of_task(URGENCY_CUE))
        if f.evidence and (f.task == RED_FLAG or int(f.label) >= min(level, 2))
    ]
    cues.sort(key=lambda f: -sureness(f))
    evidence = _unique(f.evidence for f in cues)[:_MOST_EVIDENCE] if level else ()
    if level and not evidence:
        level = 0
    turns = len({place.turn_index for place in evidence})
    reason = (
        f"{_count(turns, 'turn')} of the caller {'tells' if turns == 1 else 'tell'} of something "
        f"{_LEVEL_WORDS[level]}."
        if level
        else "Nothing the caller said tells of urgency."
    )
    bounds = (1.0, *probabilities, 0.0)
    return _Urgency(
        level=level,
        probabilities=probabilities,
        score=Score(
            criterion=Criterion.URGENCY,
            points=float(level),
            max_points=3.0,
            confidence=round(max(bounds[level] - bounds[level + 1], 0.0), 4),
            evidence=tuple(sorted(evidence, key=lambda place: (place.turn_index, place.start))),
            reason=reason,
        ),
    )


def _escalation(
    found: CallFindings, rubric: Rubric, level: int
) -> tuple[Score, EscalationOutcome, float | None]:
    if level == 0:
        places = found.places(ESCALATION_ACTION, "emergency_number", "transfer_now", at_least=0.6)
        outcome = EscalationOutcome.UNNEEDED if places else EscalationOutcome.NOT_NEEDED
        why = "Not assessed: nothing in the call was urgent" + (
            ", yet the agent escalated." if places else "."
        )
        return _not_assessable(Criterion.ESCALATION, why, evidence=places), outcome, None
    points = _held(rubric.points_of("escalation", found.escalation(level)))
    if points >= rubric.settings["properly_from"]:
        outcome = EscalationOutcome.PROPERLY
    elif points >= rubric.settings["late_or_partial_from"]:
        outcome = EscalationOutcome.LATE_OR_PARTIAL
    else:
        outcome = EscalationOutcome.MISSED
    action = found.first_right_action(level)
    delay_s = _delay_s(found, action)
    taken = [f for f in found.of_task(ESCALATION_ACTION) if sureness(f) >= 0.5]
    places = _unique(f.evidence for f in sorted(taken, key=lambda f: -sureness(f)))
    cues = [_whole(found.dialogue.turns[at]) for at in found.cue_turns()[:2]]
    answers = [] if action else [_whole(turn) for turn in _answers(found, cues)]
    when = "" if delay_s is None else f" {delay_s:.0f} seconds after the first sign of it"
    reason = (
        f"The call was {_LEVEL_WORDS[level]}; the agent took the right action{when}, with "
        f"{_count(max(len(taken) - 1, 0), 'further step')} that {_make(len(taken) - 1)} it safe."
        if action
        else f"The call was {_LEVEL_WORDS[level]}; the action that this asks for was not found."
    )
    return (
        Score(
            criterion=Criterion.ESCALATION,
            points=points,
            max_points=_HIGH,
            confidence=round(
                _confidence([sureness(f) for f in taken] or [0.5])
                * max(0.5, rubric.urgency_probabilities(found.urgency())[level - 1]),
                4,
            ),
            evidence=_unique([*cues, *places, *answers])[:_MOST_EVIDENCE],
            reason=reason,
        ),
        outcome,
        delay_s,
    )


def _answers(found: CallFindings, cues: Sequence[Evidence]) -> list[RedactedTurn]:
    """The agent's turns just after ``cues``: where the action was due."""
    after = {cue.turn_index + 1 for cue in cues}
    return [turn for turn in found.agent_turns if turn.index in after]


def _delay_s(found: CallFindings, action: RedactedTurn | None) -> float | None:
    cues = found.cue_turns()
    if action is None or action.start_s is None or not cues:
        return None
    first = found.dialogue.turns[cues[0]]
    if first.end_s is None:
        return None
    return round(max(0.0, action.start_s - first.end_s), 2)


def _call_type(
    found: CallFindings, rubric: Rubric
) -> tuple[CallType | None, tuple[CallType, ...], float]:
    ranked = sorted(found.of_task(CALL_TYPE), key=lambda f: -sureness(f))
    if not ranked:
        return None, (), 0.0
    also = tuple(
        CallType(f.label) for f in ranked[1:] if sureness(f) >= rubric.settings["also_from"]
    )
    return CallType(ranked[0].label), also, round(sureness(ranked[0]), 4)


# --- the card ------------------------------------------------------------------------------------


def _total(scores: Sequence[Score], rubric: Rubric) -> float | None:
    """Weighted share of the points above the lowest, 0 to 100."""
    weighed = [
        (rubric.weights[score.criterion], (score.points - _LOW) / (score.max_points - _LOW))
        for score in scores
        if score.points is not None and score.criterion in rubric.weights
    ]
    weight = sum(w for w, _ in weighed)
    return round(100 * sum(w * share for w, share in weighed) / weight, 1) if weight else None


def _review_reasons(
    dialogue: RedactedDialogue,
    scores: Sequence[Score],
    urgency: _Urgency,
    rubric: Rubric,
    *,
    roles_certain: bool,
) -> tuple[str, ...]:
    settings = rubric.settings
    reasons: list[str] = []
    if not roles_certain:
        reasons.append("roles_uncertain")
    length = sum(len(turn.text) for turn in dialogue.turns)
    doubtful = sum(len(turn.text) for turn in dialogue.turns if turn.is_doubtful)
    if length and doubtful / length > settings["doubtful_share_at_most"]:
        reasons.append("doubtful_text")
    if settings["unsure_from"] <= urgency.probabilities[2] < settings["unsure_to"]:
        reasons.append("urgent_unsure")
    judged = [s for s in scores if s.criterion is not Criterion.URGENCY and s.points is not None]
    if any(score.confidence < settings["review_confidence_below"] for score in judged):
        reasons.append("low_confidence")
    if roles_certain and not judged:
        reasons.append("not_assessable")
    return tuple(reasons)


def _not_assessable(
    criterion: Criterion, reason: str, *, evidence: tuple[Evidence, ...] = ()
) -> Score:
    return Score(
        criterion=criterion,
        points=None,
        max_points=_HIGH,
        confidence=0.0,
        evidence=evidence,
        reason=reason,
    )


def _held(points: float) -> float:
    return round(min(max(points, _LOW), _HIGH), 2)


def _confidence(sure: Sequence[float]) -> float:
    """How sure the findings are on average, less where there are few."""
    return round(sum(sure) / (len(sure) + 0.5), 4) if sure else 0.3


def _unique(places: object) -> tuple[Evidence, ...]:
    kept: dict[Evidence, None] = {}
    for place in places:  # type: ignore[attr-defined]
        if place is not None:
            kept[place] = None
    return tuple(kept)


def _whole(turn: RedactedTurn) -> Evidence:
    text = turn.text
    start = len(text) - len(text.lstrip())
    return Evidence(turn_index=turn.index, start=start, end=max(start, len(text.rstrip())))


def _count(number: int | float, noun: str) -> str:
    return f"{int(number)} {noun}{'' if number == 1 else 's'}"


def _make(number: int) -> str:
    return "makes" if number == 1 else "make"
