"""From findings to a score card, by the rubric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from qa_monitor.calls import (
    CallType,
    ChecklistAnswer,
    ChecklistItem,
    Criterion,
    Effect,
    EscalationOutcome,
    Evidence,
    Finding,
    RedactedDialogue,
    RedactedTurn,
    Role,
    Score,
    Scorecard,
    ScoreStatus,
)
from qa_monitor.scoring import reasons
from qa_monitor.scoring.checklists import answer_checklist, turns_due, whole_turn
from qa_monitor.scoring.effects import Weighing, without_task
from qa_monitor.scoring.features import LEVEL_3_RULE_FROM, CallFindings, sureness
from qa_monitor.scoring.labels import (
    AGAINST_LISTENING,
    AGENT_ROLES,
    AGENT_TASKS,
    ANSWERED,
    CALL_TYPE,
    CALLER_ROLES,
    CHECKLIST,
    ESCALATION_ACTION,
    FOR_LISTENING,
    LABELS,
    LISTENING,
    OPPORTUNITY,
    RED_FLAG,
    RESPONSE,
    URGENCY_CUE,
)
from qa_monitor.scoring.metrics import interruptions
from qa_monitor.scoring.ordinal import central_interval, within_one
from qa_monitor.scoring.rubric import HIGHEST, LOWEST, MISSED_ESCALATION, NotApplicable, Rubric

__all__ = ["make_scorecard", "roles_are_certain"]

_MOST_EVIDENCE = 8
_SURE = 0.5
_URGENT = 2
_TOLD = 0.65
"""How sure a finding must be to be quoted or spoken of, where there are surer ones to speak of."""
_ADVISED_UNDER = 0.25
"""What may have been done is not advised."""
_TELLING_POINTS = 0.1
_ADVISED_BELOW = 4.5
_ADVISED = {
    1: ("same_day", "timed_callback", "red_flag_question", "safety_instruction"),
    2: ("transfer_now", "red_flag_question", "safety_instruction", "asks_location", "commitment"),
    3: ("emergency_number", "asks_location", "safety_instruction", "stays_on_line", "commitment"),
}
"""What an agent may be told to do next time, by the urgency of the call."""

_MOST_URGENT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Urgency:
    level: int
    rule: float
    """How sure the surest red flag by rule is."""
    probabilities: tuple[float, float, float]
    score: Score


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """How much of the call was heard, and what its findings on doubtful words are."""

    roles_certain: bool
    doubtful_share: float
    dropped_share: float
    doubtful: tuple[Finding, ...]

    @classmethod
    def of(cls, dialogue: RedactedDialogue, findings: Sequence[Finding], rubric: Rubric) -> _Heard:
        length = sum(len(turn.text) for turn in dialogue.turns)
        unsure = sum(len(turn.text) for turn in dialogue.turns if turn.is_doubtful)
        talk_s = sum(
            max(0.0, turn.end_s - turn.start_s)
            for turn in dialogue.turns
            if turn.start_s is not None and turn.end_s is not None
        )
        return cls(
            roles_certain=roles_are_certain(dialogue, rubric.settings.roles_certain_from),
            doubtful_share=unsure / length if length else 0.0,
            dropped_share=dialogue.dropped_s / (dialogue.dropped_s + talk_s) if talk_s else 0.0,
            doubtful=tuple(
                f
                for f in findings
                if f.evidence
                and f.evidence.turn_index < len(dialogue.turns)
                and dialogue.turns[f.evidence.turn_index].is_doubtful
            ),
        )

    def too_little(self, rubric: Rubric) -> bool:
        """Whether too little was heard to say what was not there."""
        share = max(self.doubtful_share, self.dropped_share)
        return share > rubric.settings.unheard_share_at_most

    def doubtfully(self, *tasks: str) -> bool:
        """Whether doubtful words hold findings of ``tasks``."""
        return any(f.task in tasks for f in self.doubtful)


def make_scorecard(
    dialogue: RedactedDialogue,
    findings: Sequence[Finding],
    rubric: Rubric,
    *,
    earlier_types: Sequence[CallType | None] = (),
) -> Scorecard:
    """The score card of a call; needs nothing but ``findings`` and the order and times of turns.

    ``earlier_types`` are what the same caller's calls of the days before were about, as far as
    known; they only decide what a checklist asks.

    Where roles are unsure, only urgency and call type are scored. Nothing rests on doubtful turns;
    where too much of the call is doubtful or was dropped, scores abstain. The outcome of the
    escalation is the likeliest one also where its points abstain because their interval is wide.
    """
    found = CallFindings.of(dialogue, findings)
    heard = _Heard.of(dialogue, findings, rubric)
    urgency = _urgency(found, heard, rubric)
    call_type, also, type_confidence = _call_type(found, rubric)
    hindrances = {
        criterion: _hindrance(criterion, found, heard, rubric, call_type)
        for criterion in (Criterion.EMPATHY, Criterion.ACTIVE_LISTENING, Criterion.ESCALATION)
    }
    empathy = hindrances[Criterion.EMPATHY] or _empathy(found, heard, rubric)
    listening = hindrances[Criterion.ACTIVE_LISTENING] or _listening(
        found, rubric, is_urgent=urgency.level > 0
    )
    hindrance = hindrances[Criterion.ESCALATION]
    if hindrance is not None or urgency.score.points is None:
        escalation = hindrance or _abstains(Criterion.ESCALATION, "doubtful")
        outcome, delay_s = None, None
    else:
        escalation, outcome, delay_s = _escalation(found, rubric, urgency)
    scores = (empathy, listening, urgency.score, escalation)
    checklist = _checklist(
        found,
        heard,
        rubric,
        urgency.level,
        call_type,
        type_confidence,
        called_before=call_type is not None and call_type in earlier_types,
    )
    auto_failed = _auto_failed(checklist, escalation, outcome, urgency.level, rubric)
    review_reasons = _review_reasons(scores, urgency, outcome, heard, rubric, auto_failed)
    return Scorecard(
        call_id=dialogue.call_id,
        rubric_version=rubric.full_version,
        scores=scores,
        total=0.0 if auto_failed else _total(scores, checklist, rubric),
        needs_review=bool(review_reasons),
        review_reasons=review_reasons,
        call_type=call_type,
        also=also,
        call_type_confidence=type_confidence,
        urgency_probability=round(urgency.probabilities[2], 4),
        escalated=outcome,
        escalation_delay_s=delay_s,
        checklist=checklist,
        auto_failed=auto_failed,
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


# --- whether to score ----------------------------------------------------------------------------


def _hindrance(
    criterion: Criterion,
    found: CallFindings,
    heard: _Heard,
    rubric: Rubric,
    call_type: CallType | None,
) -> Score | None:
    """The score without points, where something stands against scoring the call at all."""
    rules: NotApplicable = getattr(rubric.not_applicable, criterion.value)
    if not heard.roles_certain:
        return _not_assessable(criterion, "roles")
    if call_type in rules.call_types:
        return _not_assessable(criterion, "type")
    if not _has_turns(found, rules.turns_fewer_than):
        if _has_turns(found, rules.turns_fewer_than, of_any_kind=True):
            return _abstains(criterion, "unheard")
        return _not_assessable(criterion, "short")
    if heard.too_little(rubric):
        return _abstains(criterion, "unheard")
    return None


def _has_turns(found: CallFindings, least: int, *, of_any_kind: bool = False) -> bool:
    """Whether agent and caller have ``least`` turns each that are clear, or ``of_any_kind``."""
    turns = [turn for turn in found.dialogue.turns if of_any_kind or not turn.is_doubtful]
    return all(
        sum(turn.role in roles for turn in turns) >= least for roles in (AGENT_ROLES, CALLER_ROLES)
    )


def _not_assessable(
    criterion: Criterion, why: str, *, evidence: tuple[Evidence, ...] = ()
) -> Score:
    return Score(
        criterion=criterion,
        points=None,
        max_points=HIGHEST,
        confidence=0.0,
        evidence=evidence,
        reason=reasons.not_scored_for(criterion, why),
        status=ScoreStatus.NOT_ASSESSABLE,
    )


def _abstains(criterion: Criterion, why: str, *, evidence: tuple[Evidence, ...] = ()) -> Score:
    return replace(
        _not_assessable(criterion, "short", evidence=evidence),
        reason=reasons.abstains_for(criterion, why),
        status=ScoreStatus.ABSTAINED,
    )


# --- points --------------------------------------------------------------------------------------


def _scored(
    weighing: Weighing,
    criterion: Criterion,
    rubric: Rubric,
    *,
    reason: str,
    evidence: tuple[Evidence, ...],
    at_most: float = HIGHEST,
    shift: Effect | None = None,
    certainty: float = 1.0,
) -> Score:
    """Points with interval and effects, or an abstention where the interval is too wide.

    ``at_most`` caps the points; ``shift`` moves them by what no feature holds; ``certainty`` is
    that of there being anything to score.
    """
    distribution = rubric.distribution(criterion.value, weighing.features)
    expected = rubric.points_of(criterion.value, weighing.features)
    moved = shift.points if shift else 0.0
    low, high = central_interval(distribution, lowest=LOWEST)
    points, low, high = (
        min(max(value + moved, LOWEST), at_most)
        for value in (expected, min(low, expected), max(high, expected))
    )
    if high - low > getattr(rubric.abstain_width, criterion.value):
        return _abstains(criterion, "wide", evidence=evidence[:_MOST_EVIDENCE])
    effects = weighing.effects()
    return Score(
        criterion=criterion,
        points=round(points, 2),
        max_points=HIGHEST,
        confidence=round(certainty * within_one(distribution, points - moved, lowest=LOWEST), 4),
        evidence=evidence[:_MOST_EVIDENCE],
        reason=reason,
        low=round(low, 2),
        high=round(high, 2),
        effects=_by_strength([*effects, shift] if shift else effects),
    )


def _by_strength(effects: Iterable[Effect]) -> tuple[Effect, ...]:
    return tuple(sorted(effects, key=lambda effect: -abs(effect.points)))


def _moved(weighing: Weighing, tasks: Iterable[str]) -> list[reasons.Moved]:
    """Which behaviours of ``tasks`` moved the points so far that it is worth saying."""
    moved = []
    for task in tasks:
        for label in LABELS[task]:
            times = len(
                {place.turn_index for place in weighing.found.places(task, label, at_least=_TOLD)}
            )
            if times and reasons.is_phrased(label):
                points = weighing.brought_by((task, label))
                if abs(points) >= _TELLING_POINTS:
                    moved.append(reasons.Moved(label, times, points))
    return sorted(moved, key=lambda one: -abs(one.points))


def _advice(weighing: Weighing, task: str, labels: Iterable[str]) -> str | None:
    """The label, not found yet, of which one finding would have brought most points."""
    turns = weighing.found.agent_turns
    if not turns:
        return None
    best, most = None, _TELLING_POINTS
    for label in labels:
        if weighing.found.highest(task, label) >= _ADVISED_UNDER:
            continue
        finding = Finding(
            task=task,
            label=label,
            producer="",
            probability=1.0,
            confidence=1.0,
            evidence=whole_turn(turns[0]),
        )
        points = weighing.would_bring(finding)
        if points > most:
            best, most = label, points
    return best


def _weighing(
    criterion: Criterion, found: CallFindings, rubric: Rubric, *, level: int = 0
) -> Weighing:
    def features_of(found: CallFindings) -> Mapping[str, float]:
        if criterion is Criterion.EMPATHY:
            return found.empathy()
        if criterion is Criterion.ACTIVE_LISTENING:
            return found.listening()
        return found.escalation(level)

    return Weighing(
        found,
        AGENT_TASKS if criterion is Criterion.ESCALATION else (OPPORTUNITY, *AGENT_TASKS),
        features_of,
        lambda features: rubric.points_of(criterion.value, features),
    )


def _empathy(found: CallFindings, heard: _Heard, rubric: Rubric) -> Score:
    pairs = found.opportunities()
    evidence = _unique(
        place
        for pair in [pair for pair in pairs if pair.weight >= _SURE] or pairs
        for place in (
            pair.opportunity.evidence,
            pair.response.evidence if pair.response else None,
        )
    )
    if not pairs and not heard.doubtfully(OPPORTUNITY):
        return _not_assessable(Criterion.EMPATHY, "no_opportunity")
    if not pairs:
        return _abstains(Criterion.EMPATHY, "doubtful")
    if sum(pair.weight for pair in pairs) < rubric.settings.opportunities_at_least:
        return _abstains(Criterion.EMPATHY, "unsure_opportunity", evidence=evidence)
    if 2 * sum(pair.is_unheard for pair in pairs) >= len(pairs):
        return _abstains(Criterion.EMPATHY, "answers", evidence=evidence)
    weighing = _weighing(Criterion.EMPATHY, found, rubric)
    answered = sum(pair.response is not None and pair.response.label in ANSWERED for pair in pairs)
    name = None
    if not answered:
        name = "answer_none_at_most"
    elif answered * 2 < len(pairs):
        name = "answer_few_at_most"
    cap = HIGHEST if name is None else getattr(rubric.settings, name)
    over = rubric.points_of("empathy", weighing.features) - cap
    is_capped = name is not None and over >= _TELLING_POINTS
    reason = reasons.empathy_reason(
        [
            (pair.opportunity.label, pair.response.label if pair.response else None)
            for pair in pairs
        ],
        _moved(weighing, (LISTENING, ESCALATION_ACTION, CHECKLIST)),
        capped_at=cap if is_capped else None,
    )
    score = _scored(
        weighing, Criterion.EMPATHY, rubric, reason=reason, evidence=evidence, at_most=cap
    )
    if not is_capped or score.points is None:
        return score
    unanswered = _unique(
        pair.opportunity.evidence
        for pair in pairs
        if pair.response is None or pair.response.label not in ANSWERED
    )
    effect = Effect(feature=str(name), points=-round(over, 2), evidence=unanswered)
    return replace(score, effects=_by_strength([*score.effects, effect]))


def _listening(found: CallFindings, rubric: Rubric, *, is_urgent: bool) -> Score:
    weighing = _weighing(Criterion.ACTIVE_LISTENING, found, rubric)
    points = weighing.points_of(weighing.features)
    broken_in = interruptions(found.dialogue) or 0
    beyond = max(0.0, broken_in - rubric.settings.interruptions_free)
    lost = min(beyond * rubric.settings.interruption_points, 1.0)
    shift = Effect(feature="interruption_points", points=-lost, evidence=()) if lost else None
    shown = found.places(LISTENING, *FOR_LISTENING, at_least=_TOLD)
    against = found.places(LISTENING, *AGAINST_LISTENING, at_least=_TOLD)
    places = _unique([*against, *shown] if points < 3 else [*shown, *against])
    if not places or (points < 3 and not against):
        # What is missing is shown where it was due: after what the caller said at most length.
        due = sorted(turns_due(found)[:2], key=lambda turn: turn.index)
        places = _unique([*map(whole_turn, due), *places])
    moved = _moved(weighing, (LISTENING, ESCALATION_ACTION, CHECKLIST))
    moments = points - weighing.points_of(
        CallFindings.listening(without_task(found, OPPORTUNITY, RESPONSE))
    )
    if abs(moments) >= _TELLING_POINTS:
        moved.append(reasons.Moved(reasons.MOMENTS, 1, moments))
        moved.sort(key=lambda one: -abs(one.points))
    advised = [label for label in FOR_LISTENING if not (is_urgent and label == "anything_else")]
    advice = _advice(weighing, LISTENING, advised) if points < _ADVISED_BELOW else None
    return _scored(
        weighing,
        Criterion.ACTIVE_LISTENING,
        rubric,
        reason=reasons.listening_reason(
            moved, interruptions=broken_in if lost else 0, advice=advice
        ),
        evidence=places,
        shift=shift,
    )


def _urgency(found: CallFindings, heard: _Heard, rubric: Rubric) -> _Urgency:
    features = found.urgency()
    probabilities = rubric.urgency_probabilities(features)
    settings = rubric.settings
    level = 0
    for candidate, least in enumerate(
        (settings.level1_from, settings.level2_from, settings.level3_from), 1
    ):
        if probabilities[candidate - 1] >= least:
            level = candidate
    cues = [
        f
        for f in (*found.of_task(RED_FLAG), *found.of_task(URGENCY_CUE))
        if f.evidence and (f.task == RED_FLAG or int(f.label) >= min(level, 2))
    ]
    cues.sort(key=lambda f: -sureness(f))
    sure = [f for f in cues if sureness(f) >= _SURE] or cues[:1]
    evidence = _unique(f.evidence for f in sure)[:_MOST_EVIDENCE] if level else ()
    if not evidence:
        level = 0
    if level == 0 and (heard.too_little(rubric) or heard.doubtfully(RED_FLAG, URGENCY_CUE)):
        why = "doubtful" if heard.doubtfully(RED_FLAG, URGENCY_CUE) else "unheard"
        abstained = replace(_abstains(Criterion.URGENCY, why), max_points=_MOST_URGENT)
        return _Urgency(
            level=0, rule=features["rule3"], probabilities=probabilities, score=abstained
        )
    bounds = (1.0, *probabilities, 0.0)
    distribution = [max(bounds[k] - bounds[k + 1], 0.0) for k in range(len(bounds) - 1)]
    low, high = central_interval(distribution, lowest=0)
    # Effects are on the expected level: the level itself only ever moves by whole steps.
    weighing = Weighing(
        found,
        (RED_FLAG, URGENCY_CUE),
        CallFindings.urgency,
        lambda features: sum(rubric.urgency_probabilities(features)),
    )
    return _Urgency(
        level=level,
        rule=features["rule3"],
        probabilities=probabilities,
        score=Score(
            criterion=Criterion.URGENCY,
            points=float(level),
            max_points=_MOST_URGENT,
            confidence=round(distribution[level], 4),
            evidence=tuple(sorted(evidence, key=lambda place: (place.turn_index, place.start))),
            reason=reasons.urgency_reason(
                level,
                len({place.turn_index for place in evidence}),
                is_likely=level > 0 and probabilities[level - 1] >= _SURE,
            ),
            low=round(min(low, level), 2),
            high=round(max(high, level), 2),
            effects=weighing.effects(),
        ),
    )


def _escalation(
    found: CallFindings, rubric: Rubric, urgency: _Urgency
) -> tuple[Score, EscalationOutcome | None, float | None]:
    level = urgency.level
    outcome = _outcome(found, rubric, urgency)
    if level == 0:
        places = found.places(ESCALATION_ACTION, "emergency_number", "transfer_now")
        why = "unneeded" if outcome is EscalationOutcome.UNNEEDED else "not_urgent"
        return _not_assessable(Criterion.ESCALATION, why, evidence=places), outcome, None
    weighing = _weighing(Criterion.ESCALATION, found, rubric, level=level)
    points = weighing.points_of(weighing.features)
    action = found.first_right_action(level)
    delay_s = _delay_s(found, action)
    taken = [
        f
        for f in found.of_task(ESCALATION_ACTION)
        if sureness(f) >= _TOLD
        or (
            action and f.evidence and f.evidence.turn_index == action.index and sureness(f) >= _SURE
        )
    ]
    places = _unique(f.evidence for f in sorted(taken, key=lambda f: -sureness(f)))
    cues = [whole_turn(found.dialogue.turns[at]) for at in found.cue_turns()[:2]]
    answers = [] if action else [whole_turn(turn) for turn in _answers(found, cues)]
    advised = _ADVISED[level] if points < _ADVISED_BELOW else ()
    reason = reasons.escalation_reason(
        level,
        outcome,
        _moved(weighing, (ESCALATION_ACTION,)),
        action=_right_label(found, action, found.right_actions(level)),
        delay_s=delay_s,
        advice=_advice(weighing, ESCALATION_ACTION, advised),
    )
    score = _scored(
        weighing,
        Criterion.ESCALATION,
        rubric,
        reason=reason,
        evidence=_unique([*cues, *places, *answers])[:_MOST_EVIDENCE],
        certainty=urgency.probabilities[0],
    )
    return score, outcome, delay_s


def _right_label(
    found: CallFindings, action: RedactedTurn | None, right: Sequence[str]
) -> str | None:
    """Which right action the turn holds, the surest."""
    if action is None:
        return None
    there = [
        f
        for f in found.of_task(ESCALATION_ACTION)
        if f.label in right and f.evidence and f.evidence.turn_index == action.index
    ]
    return max(there, key=sureness).label


def _outcome(found: CallFindings, rubric: Rubric, urgency: _Urgency) -> EscalationOutcome | None:
    """The likeliest outcome that fits the level of urgency; ``None`` where it is too unsure."""
    shares = rubric.outcome_probabilities(
        urgency.probabilities,
        {level: found.escalation(level) for level in (1, 2, 3)},
        found.routine(),
    )
    routine = (EscalationOutcome.NOT_NEEDED, EscalationOutcome.UNNEEDED)
    fitting = [outcome for outcome in shares if (outcome in routine) == (urgency.level == 0)]

    def weighed(outcome: EscalationOutcome) -> float:
        is_missed = outcome is EscalationOutcome.MISSED
        return shares[outcome] * (rubric.settings.missed_counts if is_missed else 1.0)

    likeliest = max(fitting, key=weighed)
    share = shares[likeliest] / (sum(shares[outcome] for outcome in fitting) or 1.0)
    return likeliest if share >= rubric.settings.outcome_from else None


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
    also = tuple(CallType(f.label) for f in ranked[1:] if sureness(f) >= rubric.settings.also_from)
    return CallType(ranked[0].label), also, round(sureness(ranked[0]), 4)


# --- the card ------------------------------------------------------------------------------------


def _checklist(
    found: CallFindings,
    heard: _Heard,
    rubric: Rubric,
    level: int,
    call_type: CallType | None,
    type_confidence: float,
    *,
    called_before: bool,
) -> tuple[ChecklistItem, ...]:
    rules = rubric.not_applicable.checklist
    if call_type in rules.call_types or not _has_turns(
        found, rules.turns_fewer_than, of_any_kind=True
    ):
        return ()
    unsure_why = None
    if not heard.roles_certain:
        unsure_why = "roles"
    elif heard.too_little(rubric) or not _has_turns(found, rules.turns_fewer_than):
        unsure_why = "unheard"
    is_certain_type = type_confidence >= rubric.settings.type_certain_from
    return answer_checklist(
        found,
        rubric.questions_for(call_type),
        level=level,
        is_certain_type=is_certain_type,
        called_before=called_before and is_certain_type,
        unsure_why=unsure_why,
    )


def _auto_failed(
    checklist: Sequence[ChecklistItem],
    escalation: Score,
    outcome: EscalationOutcome | None,
    level: int,
    rubric: Rubric,
) -> tuple[str, ...]:
    """What fails the call; nothing that is unsure does."""
    failed = [
        item.item for item in checklist if item.is_auto_fail and item.answer is ChecklistAnswer.NO
    ]
    least = rubric.auto_fail.missed_escalation_from
    if (
        least is not None
        and level >= least
        and outcome is EscalationOutcome.MISSED
        and escalation.status is ScoreStatus.SCORED
    ):
        failed.append(MISSED_ESCALATION)
    return tuple(failed)


def _total(
    scores: Sequence[Score], checklist: Sequence[ChecklistItem], rubric: Rubric
) -> float | None:
    """Weighted share of the points above the lowest and of the checklist's yes, 0 to 100."""
    weighed = [
        (rubric.weight_of(score.criterion), (score.points - LOWEST) / (HIGHEST - LOWEST))
        for score in scores
        if score.points is not None and score.criterion is not Criterion.URGENCY
    ]
    answered = {
        answer: sum(item.weight for item in checklist if item.answer is answer)
        for answer in (ChecklistAnswer.YES, ChecklistAnswer.NO)
    }
    asked = sum(answered.values())
    if asked:
        weighed.append((rubric.weights.checklist, answered[ChecklistAnswer.YES] / asked))
    weight = sum(w for w, _ in weighed)
    return round(100 * sum(w * share for w, share in weighed) / weight, 1) if weight else None


def _review_reasons(
    scores: Sequence[Score],
    urgency: _Urgency,
    outcome: EscalationOutcome | None,
    heard: _Heard,
    rubric: Rubric,
    auto_failed: Sequence[str],
) -> tuple[str, ...]:
    settings = rubric.settings
    judged = [s for s in scores if s.criterion is not Criterion.URGENCY and s.points is not None]
    has_abstained = any(score.status is ScoreStatus.ABSTAINED for score in scores)
    is_so = {
        "roles_uncertain": not heard.roles_certain,
        "doubtful_text": heard.doubtful_share > settings.doubtful_share_at_most,
        "speech_dropped": heard.dropped_share > settings.doubtful_share_at_most,
        "urgent_unsure": settings.unsure_from <= urgency.probabilities[2] < settings.unsure_to,
        # The model misses textbook words that rules know; it does not overrule them unseen.
        "red_flag_unsure": urgency.level < _URGENT and urgency.rule >= LEVEL_3_RULE_FROM,
        "outcome_unsure": outcome is None and heard.roles_certain,
        "abstained": has_abstained,
        "low_confidence": any(
            score.confidence < settings.review_confidence_below for score in judged
        ),
        "not_assessable": heard.roles_certain and not judged and not has_abstained,
        "auto_failed": bool(auto_failed),
    }
    return tuple(reason for reason, holds in is_so.items() if holds)


def _unique(places: Iterable[Evidence | None]) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys(place for place in places if place is not None))
