"""Invented call records, one that can be told how the call went and any that can be; rubrics."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path

from hypothesis import strategies as st

from qa_monitor.calls import (
    AudiblePhi,
    CallRecord,
    CallType,
    ChecklistAnswer,
    ChecklistItem,
    Criterion,
    Direction,
    Effect,
    EntityType,
    EscalationOutcome,
    Evidence,
    Finding,
    Recording,
    RedactedDialogue,
    RedactedTurn,
    RedactedWord,
    Role,
    Score,
    Scorecard,
    ScoreStatus,
    Span,
    Verification,
)
from qa_monitor.scoring import call_metrics
from qa_monitor.scoring.rubric import Rubric
from qa_monitor.scoring.scorecard import make_scorecard

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def make_record(
    call_id: str = "calls-1",
    *,
    sha256: str | None = None,
    agent_id: str | None = "A-1",
    started_at: datetime | None = NOW,
    text: str = "my husband <PERSON_1> has a terrible pain in his chest",
    urgency: float | None = 3,
    urgency_probability: float | None = 0.97,
    escalated: EscalationOutcome | None = EscalationOutcome.MISSED,
    escalation_delay_s: float | None = None,
    needs_review: bool = False,
    call_type: CallType = CallType.EMERGENCY,
    findings: tuple[Finding, ...] | None = None,
) -> CallRecord:
    """A call of one turn; as it comes, an emergency that the agent missed."""
    pain = Evidence(turn_index=0, start=0, end=len(text))
    if findings is None:
        findings = (make_finding("red_flag", "chest_pain", pain),)
    return CallRecord(
        recording=Recording(
            call_id=call_id,
            interaction_id=None,
            sha256=sha256 or f"sha-of-{call_id}",
            source="calls",
            agent_id=agent_id,
            queue=None,
            direction=Direction.INBOUND,
            started_at=started_at,
            duration_s=61.5,
            channels=2,
            caller_key=None,
        ),
        dialogue=RedactedDialogue(
            call_id=call_id,
            language="en",
            asr_model="asr-1",
            redactor_version="redactor-1",
            dropped_s=0.0,
            turns=(
                RedactedTurn(
                    index=0,
                    speaker="ch1",
                    role=Role.CALLER,
                    role_confidence=1.0,
                    start_s=1.0,
                    end_s=4.0,
                    text=text,
                ),
            ),
        ),
        findings=findings,
        scorecard=Scorecard(
            call_id=call_id,
            rubric_version="rubric-1",
            scores=(
                make_score(Criterion.EMPATHY, 2.5),
                make_score(Criterion.ACTIVE_LISTENING, None),
                make_score(Criterion.URGENCY, urgency, evidence=(pain,), max_points=3),
                make_score(Criterion.ESCALATION, None if escalated is None else 1.0),
            ),
            total=40.0,
            needs_review=needs_review,
            review_reasons=("urgency_uncertain",) if needs_review else (),
            call_type=call_type,
            also=(),
            call_type_confidence=0.9,
            urgency_probability=urgency_probability,
            escalated=escalated,
            escalation_delay_s=escalation_delay_s,
        ),
        metrics={"agent_talk_share": 0.4},
        versions={"transcription": "asr-1", "redaction": "redactor-1", "scoring": "scorer-1"},
        warnings=("demonstration_model",),
    )


def make_score(
    criterion: Criterion,
    points: float | None,
    *,
    evidence: tuple[Evidence, ...] = (),
    max_points: float = 5,
) -> Score:
    """A score as the rubric would give it."""
    return Score(
        criterion=criterion,
        points=points,
        max_points=max_points,
        confidence=0.8,
        evidence=evidence,
        reason="not assessable" if points is None else "as the rubric says",
    )


def make_finding(task: str, label: str, evidence: Evidence | None = None) -> Finding:
    """A finding of a rule."""
    return Finding(
        task=task,
        label=label,
        producer="rule-1",
        probability=None,
        confidence=0.9,
        evidence=evidence,
    )


MISSED_EMERGENCY = (
    (Role.AGENT, "Thank you for calling <ORGANIZATION_1>, this is <PERSON_1>, how can I help?"),
    (Role.CALLER, "My husband has crushing chest pain and he can't breathe, I'm so scared."),
    (Role.AGENT, "We have an opening next Tuesday in the afternoon."),
    (Role.CALLER, "He is grey and sweating, please, what should I do?"),
    (Role.AGENT, "Tuesday at two then. What is your date of birth?"),
    (Role.CALLER, "<DATE_1>."),
    (Role.AGENT, "You are booked for Tuesday."),
    (Role.CALLER, "Okay."),
    (Role.AGENT, "Goodbye."),
)


def make_missed_emergency(
    call_id: str = "calls-1", *, rubric: Rubric, queue: str | None = None, is_noticed: bool = True
) -> CallRecord:
    """A whole call whose agent missed an emergency, scored by ``rubric``.

    Unless ``is_noticed`` nothing of it was found.
    """
    turns = tuple(
        RedactedTurn(
            index=index,
            speaker=f"channel-{0 if role is Role.AGENT else 1}",
            role=role,
            role_confidence=1.0,
            start_s=5.0 * index,
            end_s=5.0 * index + 4,
            text=text,
        )
        for index, (role, text) in enumerate(MISSED_EMERGENCY)
    )

    def found(task: str, label: str, index: int) -> Finding:
        place = Evidence(turn_index=index, start=0, end=len(turns[index].text))
        return make_finding(task, label, place)

    noticed = (
        found("urgency_cue", "3", 1),
        found("red_flag", "chest_pain", 1),
        found("urgency_cue", "3", 3),
        found("call_type", "emergency", 1),
    )
    record = make_record(call_id)
    dialogue = replace(record.dialogue, turns=turns)
    findings = noticed if is_noticed else ()
    card = make_scorecard(dialogue, findings, rubric)
    return replace(
        record,
        recording=replace(record.recording, queue=queue),
        dialogue=dialogue,
        findings=findings,
        scorecard=card,
        metrics=call_metrics(dialogue),
        versions={"scoring": "scorer-1", "rubric": card.rubric_version},
    )


def make_lenient_rubric(folder: Path) -> Path:
    """A rubric of the name "lenient", by which no call is urgent."""
    levels = {f"level{level}_from": "1.0" for level in (1, 2, 3)}
    return make_rubric_file(folder / "lenient.toml", name="lenient", **levels)


def make_rubric_file(path: Path, *, name: str = "own", **replaced: str) -> Path:
    """``path``, the rubric that ships under ``name``; ``replaced`` keys have other values."""
    text = files("qa_monitor.scoring").joinpath("rubric.toml").read_text("utf-8")
    for key, value in {"name": f'"{name}"', **replaced}.items():
        text, count = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.M)
        assert count, f"the rubric has no {key}"
    path.write_text(text, encoding="utf-8")
    return path


# --- any record ----------------------------------------------------------------------------------

_numbers = st.floats(allow_nan=False, allow_infinity=False)
_shares = st.floats(0, 1)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_codes = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=12)
_indices = st.integers(0, 10_000)
_zones = st.sampled_from([UTC, timezone(timedelta(hours=-8)), timezone(timedelta(hours=5.5))])
_instants = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=_zones)

_evidence = st.builds(Evidence, turn_index=_indices, start=_indices, end=_indices)
_spans = st.builds(
    Span,
    start=_indices,
    end=_indices,
    source_start=_indices,
    source_end=_indices,
    entity_type=st.sampled_from(EntityType),
    recognizer=_codes,
    confidence=_shares,
    start_s=st.none() | _numbers,
    end_s=st.none() | _numbers,
    context=st.none() | _texts,
)
_words = st.builds(
    RedactedWord,
    start=_indices,
    end=_indices,
    start_s=_numbers,
    end_s=_numbers,
    confidence=_shares,
)
_turns = st.builds(
    RedactedTurn,
    index=_indices,
    speaker=_codes,
    role=st.sampled_from(Role),
    role_confidence=_shares,
    start_s=st.none() | _numbers,
    end_s=st.none() | _numbers,
    text=_texts,
    words=st.lists(_words, max_size=3).map(tuple),
    spans=st.lists(_spans, max_size=2).map(tuple),
    is_doubtful=st.booleans(),
)
_verifications = st.builds(
    Verification,
    version=_codes,
    places=st.lists(
        st.builds(
            AudiblePhi,
            start_s=_numbers,
            end_s=_numbers,
            entity_type=st.sampled_from(EntityType),
            reason=_codes,
            confidence=_shares,
            is_sure=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
)
_findings = st.builds(
    Finding,
    task=_codes,
    label=_codes,
    producer=_codes,
    probability=st.none() | _shares,
    confidence=_shares,
    evidence=st.none() | _evidence,
)
_scores = st.builds(
    Score,
    criterion=st.sampled_from(Criterion),
    points=st.none() | _numbers,
    max_points=_numbers,
    confidence=_shares,
    evidence=st.lists(_evidence, max_size=2).map(tuple),
    reason=_codes,
    status=st.sampled_from(ScoreStatus),
    low=st.none() | _numbers,
    high=st.none() | _numbers,
    effects=st.lists(
        st.builds(
            Effect,
            feature=_codes,
            points=_numbers,
            evidence=st.lists(_evidence, max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
)
_checklist_items = st.builds(
    ChecklistItem,
    item=_codes,
    answer=st.sampled_from(ChecklistAnswer),
    weight=_shares,
    is_auto_fail=st.booleans(),
    confidence=_shares,
    evidence=st.lists(_evidence, max_size=2).map(tuple),
    reason=_texts,
)


@st.composite
def any_record(draw: st.DrawFn, call_id: str = "calls-any") -> CallRecord:
    """A record of ``call_id`` in which everything else may be anything that its type allows."""
    recording = st.builds(
        Recording,
        call_id=st.just(call_id),
        interaction_id=st.none() | _codes,
        sha256=st.just(f"sha-of-{call_id}"),
        source=_codes,
        agent_id=st.none() | _codes,
        queue=st.none() | _codes,
        direction=st.sampled_from(Direction),
        started_at=st.none() | _instants,
        duration_s=_numbers,
        channels=st.integers(1, 8),
        caller_key=st.none() | _codes,
        hold_s=st.none() | _numbers,
        after_call_s=st.none() | _numbers,
        disposition_code=st.none() | _codes,
        resolved=st.none() | st.booleans(),
        transferred=st.none() | st.booleans(),
    )
    dialogue = st.builds(
        RedactedDialogue,
        call_id=st.just(call_id),
        language=_codes,
        asr_model=_codes,
        redactor_version=_codes,
        dropped_s=_numbers,
        turns=st.lists(_turns, max_size=3).map(tuple),
        verification=st.none() | _verifications,
    )
    scorecard = st.builds(
        Scorecard,
        call_id=st.just(call_id),
        rubric_version=_codes,
        scores=st.lists(_scores, max_size=4, unique_by=lambda score: score.criterion).map(tuple),
        total=st.none() | _numbers,
        needs_review=st.booleans(),
        review_reasons=st.lists(_codes, max_size=2).map(tuple),
        call_type=st.none() | st.sampled_from(CallType),
        also=st.lists(st.sampled_from(CallType), max_size=2).map(tuple),
        call_type_confidence=_shares,
        urgency_probability=st.none() | _shares,
        escalated=st.none() | st.sampled_from(EscalationOutcome),
        escalation_delay_s=st.none() | _numbers,
        checklist=st.lists(_checklist_items, max_size=2).map(tuple),
        auto_failed=st.lists(_codes, max_size=2).map(tuple),
    )
    # The rubric's version is that of the card, whatever the run was made with.
    stages = _codes.filter(lambda stage: stage != "rubric")
    return CallRecord(
        recording=draw(recording),
        dialogue=draw(dialogue),
        findings=draw(st.lists(_findings, max_size=3).map(tuple)),
        scorecard=draw(scorecard),
        metrics=draw(st.dictionaries(_codes, _numbers, max_size=3)),
        versions=draw(st.dictionaries(stages, _codes, max_size=3)),
        warnings=draw(st.lists(_codes, max_size=2).map(tuple)),
    )
