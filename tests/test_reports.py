"""Reports: what a coach is told of an agent, and what a report never says."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from qa_monitor import reports
from qa_monitor.calls import (
    CallRecord,
    CallType,
    Criterion,
    Direction,
    EntityType,
    EscalationOutcome,
    Evidence,
    Finding,
    Recording,
    RedactedDialogue,
    RedactedTurn,
    Role,
    Score,
    Scorecard,
    Span,
)
from qa_monitor.errors import NotFoundError
from qa_monitor.reports import (
    AgentReport,
    CallFigures,
    Replay,
    agent_report,
    figures_of,
    render_body,
    render_csv,
    render_html,
    render_index,
    render_json,
    report_file_name,
)
from qa_monitor.reports.behaviours import ACTIONS, GAPS, LISTENING_AGAINST, LISTENING_FOR, RESPONSES
from qa_monitor.reports.figures import Tally, compare
from qa_monitor.reports.quotes import quote
from qa_monitor.scoring.metrics import call_measures
from qa_monitor.store import Correction, Goal, GoalKind, Note, ScoredCall, ScoreSum

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

# --- invented calls ------------------------------------------------------------------------------

Turns = Sequence[tuple[str, str, str]]

STROKE_SEEN: Turns = (
    ("agent", "greeting", "Good morning, <ORGANIZATION_1>, this is <PERSON_1>, how can I help?"),
    (
        "caller",
        "stroke fear",
        "It's my husband, his face looks crooked on one side and he's talking funny. "
        "I'm so frightened, <PERSON_2> has never been ill.",
    ),
    (
        "agent",
        "confirmed asks_location emergency_number",
        "Of course you are frightened, and you did right to call at once. This could be a stroke. "
        "Where are you right now?",
    ),
    ("caller", "", "At home, <LOCATION_1>, in the kitchen."),
    (
        "agent",
        "read_back safety_instruction commitment",
        "<LOCATION_1>, in the kitchen. Sit him down, nothing to eat or drink, and dial 911 from "
        "your other phone. Will you do that now?",
    ),
    ("caller", "", "Yes, yes, I'm dialing."),
    ("agent", "stays_on_line", "Good. I am staying with you until they are at the door."),
    ("caller", "relieved", "They're here. Thank you, thank you."),
    ("agent", "next_step closing", "You did everything right. We will call you this afternoon."),
)
CHEST_MISSED: Turns = (
    ("agent", "greeting", "<ORGANIZATION_1>, <PERSON_1> speaking."),
    (
        "caller",
        "chest_pain difficulty",
        "I wanted to move my appointment, I've had this tightness in my chest since five and it "
        "goes into my arm, so I can't drive.",
    ),
    ("agent", "none ignores_detail", "Okay, what was the date of birth?"),
    ("caller", "", "<DATE_1>. Is it normal that I'm sweating like this?"),
    ("agent", "minimises answers_other", "Probably just nerves. Next Thursday at ten?"),
    ("caller", "fear", "I'm a bit scared to be honest."),
    ("agent", "perfunctory closing", "Sorry to hear that. So, Thursday at ten. Bye now."),
)
INSULIN_LATE: Turns = (
    ("agent", "greeting", "Hello, <ORGANIZATION_1>, you're speaking to <PERSON_1>."),
    (
        "caller",
        "urgent difficulty",
        "My son's insulin runs out tonight and the pharmacy says they never got anything from you.",
    ),
    ("agent", "asks_again identity", "Name and date of birth? And what is it about?"),
    ("caller", "", "<PERSON_2>, <DATE_1>. The insulin. As I said. It's gone by tonight."),
    ("agent", "acknowledged", "Right, that is worrying, I can see why you'd call."),
    ("caller", "", "So what happens now?"),
    (
        "agent",
        "timed_callback read_back next_step",
        "The nurse will call you on <PHONE_1> before four today, and the script goes out after.",
    ),
    ("caller", "", "All right."),
    ("agent", "closing", "Bye."),
)
BILL_WARM: Turns = (
    ("agent", "greeting", "Billing at <ORGANIZATION_1>, my name is <PERSON_1>."),
    (
        "caller",
        "difficulty",
        "I got a bill over eleven hundred dollars and my husband was laid off in September, "
        "I don't know how I'm going to pay this.",
    ),
    (
        "agent",
        "confirmed reflection",
        "Eleven hundred dollars in the same autumn that the pay stopped, that would knock anybody "
        "over. Let's see what is really owed before you worry about paying it.",
    ),
    ("caller", "", "Thank you. The account is <ACCOUNT_1>."),
    ("agent", "read_back", "<ACCOUNT_1>, is that right?"),
    ("caller", "", "That's right."),
    (
        "agent",
        "explains open_question",
        "It was sent before the insurance answered, so most of it will fall away. Tell me, how "
        "would you like to handle the rest?",
    ),
    ("caller", "", "In small parts, if that can be done."),
    (
        "agent",
        "summary teach_back next_step",
        "Twenty dollars a month from January, and nothing until then. So what will you do if "
        "another letter comes in December?",
    ),
    ("caller", "success", "Put it in the drawer! Oh, that's a weight off, I'll sleep tonight."),
    ("agent", "acknowledged anything_else closing", "I'm glad. Is there anything else today?"),
)
REFILL_PLAIN: Turns = (
    ("agent", "greeting", "<ORGANIZATION_1>, <PERSON_1>, how can I help you?"),
    ("caller", "", "hi um i need a refill for my blue inhaler it's <PERSON_2> <DATE_1>"),
    ("agent", "identity clarifying_question", "Which pharmacy should it go to?"),
    ("caller", "", "the one on <LOCATION_1> the number is <PHONE_1>"),
    ("agent", "", "Okay, that goes out today."),
    ("caller", "difficulty", "great because last time it took a week and i was up every night"),
    ("agent", "none closing", "It goes out today. Goodbye."),
)
RECORDS_GOOD: Turns = (
    ("agent", "greeting", "Medical records, <ORGANIZATION_1>, this is <PERSON_1>."),
    ("caller", "", "I need my scans sent to <ORGANIZATION_2>, I see them on <DATE_1>."),
    (
        "agent",
        "identity clarifying_question",
        "Happy to. Your full name and date of birth, and is it the scans only or the reports too?",
    ),
    ("caller", "", "<PERSON_2>, <DATE_2>, and both please."),
    ("agent", "read_back", "<PERSON_2>, <DATE_2>, scans and reports to <ORGANIZATION_2>."),
    ("caller", "", "Yes."),
    (
        "agent",
        "explains next_step follow_up",
        "They leave on Monday and are there on Wednesday. If I hear nothing from them I will call "
        "you on Thursday at ten.",
    ),
    ("caller", "", "Perfect."),
    ("agent", "anything_else closing", "Anything else I can do? Then take care."),
)

_TASKS = {
    "opportunity": "emotion difficulty loss fear success",
    "emotion": "worried sad angry confused relieved",
    "red_flag": "chest_pain stroke",
    "urgency_cue": "urgent",
    "response": "none perfunctory acknowledged pursued confirmed dismissive",
    "listening": "open_question clarifying_question reflection read_back teach_back summary "
    "anything_else builds_on asks_again ignores_detail interrupts answers_other",
    "escalation_action": "emergency_number transfer_now same_day timed_callback message_only "
    "red_flag_question asks_location safety_instruction stays_on_line commitment minimises",
    "checklist": "greeting identity next_step follow_up closing apology explains",
}
_TASK_OF = {label: task for task, labels in _TASKS.items() for label in labels.split()}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An invented call: what is said and what it scores; ``None`` is not assessed."""

    turns: Turns
    call_type: CallType
    empathy: float | None = None
    listening: float | None = None
    escalation: float | None = None
    urgency: float | None = 0
    escalated: EscalationOutcome | None = EscalationOutcome.NOT_NEEDED
    delay_s: float | None = None
    review: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


PLANS: Mapping[str, Plan] = {
    "stroke": Plan(
        turns=STROKE_SEEN,
        call_type=CallType.EMERGENCY,
        empathy=4.8,
        listening=4.2,
        escalation=5.0,
        urgency=3,
        escalated=EscalationOutcome.PROPERLY,
        delay_s=6.0,
    ),
    "chest": Plan(
        turns=CHEST_MISSED,
        call_type=CallType.APPOINTMENT,
        empathy=1.8,
        listening=1.4,
        escalation=1.0,
        urgency=3,
        escalated=EscalationOutcome.MISSED,
        review=("urgent_unsure",),
    ),
    "insulin": Plan(
        turns=INSULIN_LATE,
        call_type=CallType.PRESCRIPTION,
        empathy=3.6,
        listening=2.6,
        escalation=3.0,
        urgency=1,
        escalated=EscalationOutcome.LATE_OR_PARTIAL,
        delay_s=74.0,
    ),
    "bill": Plan(turns=BILL_WARM, call_type=CallType.BILLING, empathy=4.9, listening=4.8),
    "refill": Plan(
        turns=REFILL_PLAIN,
        call_type=CallType.PRESCRIPTION,
        empathy=2.0,
        listening=2.9,
        review=("low_confidence", "doubtful_text"),
    ),
    "records": Plan(turns=RECORDS_GOOD, call_type=CallType.MEDICAL_RECORDS, listening=4.0),
}


def make_record(
    plan: Plan,
    *,
    agent_id: str | None = "agent-02",
    call_id: str = "calls-1001",
    started_at: datetime | None = NOW - timedelta(days=3),
    shift: float = 0.0,
) -> CallRecord:
    """A record of ``plan``; ``shift`` is added to its scores, within 1 and 5."""
    turns = []
    findings = []
    clock_s = 2.0
    for index, (role, labels, text) in enumerate(plan.turns):
        length_s = len(text) / 15
        spans = tuple(
            Span(
                start=text.index(token),
                end=text.index(token) + len(token),
                source_start=text.index(token),
                source_end=text.index(token) + 5,
                entity_type=EntityType(token.strip("<>").rsplit("_", 1)[0]),
                recognizer="names",
                confidence=0.9,
                start_s=clock_s,
                end_s=clock_s + 0.4,
            )
            for token in (word.strip(".,?!") for word in text.split())
            if token.startswith("<") and token.endswith(">") and "_" in token
        )
        turns.append(
            RedactedTurn(
                index=index,
                speaker=role[0],
                role=Role(role),
                role_confidence=0.95,
                start_s=clock_s,
                end_s=clock_s + length_s,
                text=text,
                spans=spans,
            )
        )
        findings += [
            Finding(
                task=_TASK_OF[label],
                label=label,
                producer="turn-findings 1",
                probability=0.9,
                confidence=0.9,
                evidence=Evidence(turn_index=index, start=0, end=len(text)),
            )
            for label in labels.split()
        ]
        clock_s += length_s + 0.6

    def score(criterion: Criterion, points: float | None) -> Score:
        return Score(
            criterion=criterion,
            points=points,
            max_points=3.0 if criterion is Criterion.URGENCY else 5.0,
            confidence=0.8,
            evidence=(Evidence(turn_index=1, start=0, end=len(plan.turns[1][2])),),
            reason="As the rubric says.",
        )

    def shifted(points: float | None) -> float | None:
        return None if points is None else min(5.0, max(1.0, points + shift))

    return CallRecord(
        recording=Recording(
            call_id=call_id,
            interaction_id=None,
            sha256="0" * 64,
            source="calls",
            agent_id=agent_id,
            queue="front desk",
            direction=Direction.INBOUND,
            started_at=started_at,
            duration_s=clock_s,
            channels=2,
            caller_key="a-keyed-hash",
        ),
        dialogue=RedactedDialogue(
            call_id=call_id,
            language="en",
            asr_model="demonstration",
            redactor_version="1",
            dropped_s=0.0,
            turns=tuple(turns),
        ),
        findings=tuple(findings),
        scorecard=Scorecard(
            call_id=call_id,
            rubric_version="1",
            scores=(
                score(Criterion.EMPATHY, shifted(plan.empathy)),
                score(Criterion.ACTIVE_LISTENING, shifted(plan.listening)),
                score(Criterion.URGENCY, plan.urgency),
                score(Criterion.ESCALATION, shifted(plan.escalation)),
            ),
            total=62.5,
            needs_review=bool(plan.review),
            review_reasons=plan.review,
            call_type=plan.call_type,
            also=(),
            call_type_confidence=0.9,
            urgency_probability=None if plan.urgency is None else plan.urgency / 3,
            escalated=plan.escalated,
            escalation_delay_s=plan.delay_s,
        ),
        metrics={},
        versions={"rubric": "1"},
        warnings=plan.warnings,
    )


def make_calls(
    agent_id: str, names: Iterable[str], *, shift: float = 0.0, first: int = 1000
) -> list[CallRecord]:
    """Records of the named plans, one every third day before ``NOW``."""
    ordered = list(names)
    return [
        make_record(
            PLANS[name],
            agent_id=agent_id,
            call_id=f"calls-{first + position}",
            started_at=NOW - timedelta(days=3 * (len(ordered) - position), hours=position % 7),
            shift=shift,
        )
        for position, name in enumerate(ordered)
    ]


def sums_of(records: Iterable[CallRecord], team: str | None = None) -> list[ScoreSum]:
    """What the store would sum up of these calls."""
    points: dict[tuple[str, Criterion], list[float]] = {}
    for record in records:
        for score in record.scorecard.scores:
            if record.recording.agent_id is not None and score.points is not None:
                key = record.recording.agent_id, score.criterion
                points.setdefault(key, []).append(score.points)
    return [
        ScoreSum(
            agent_id=agent_id,
            team=team,
            criterion=criterion,
            calls=len(found),
            points=sum(found),
            squares=sum(value * value for value in found),
        )
        for (agent_id, criterion), found in points.items()
    ]


def scored_call(
    record: CallRecord, corrections: Mapping[str, Correction] | None = None
) -> ScoredCall:
    """The record as the store gives it without its words."""
    card = record.scorecard
    return ScoredCall(
        recording=record.recording,
        run_id=1,
        metrics=record.metrics,
        call_type=card.call_type,
        escalated=card.escalated,
        points={score.criterion: score.points for score in card.scores},
        checklist=card.checklist,
        corrections=corrections or {},
    )


def figures(records: Iterable[CallRecord]) -> list[CallFigures]:
    """The figures of calls, as the monitor works them out."""
    return [
        figures_of(scored_call(record), call_measures(record.metrics, record.recording))
        for record in records
    ]


def report_of(
    agent_id: str,
    records: Iterable[CallRecord],
    team: Iterable[CallRecord],
    *,
    now: datetime,
    **more: Any,
) -> AgentReport:
    """The report on ``agent_id`` from ``records``, the team being the calls of ``team``."""
    records = list(records)
    own = [record for record in records if record.recording.agent_id == agent_id]
    more = {"figures": figures(own), **more}
    return agent_report(agent_id, records, now=now, team=sums_of(team), **more)


OWN = make_calls(
    "agent-02",
    "chest refill bill insulin records refill bill records stroke refill bill insulin records "
    "bill".split(),
)
TEAM = [
    *OWN,
    *make_calls("agent-01", ["bill", "stroke", "records"] * 4, shift=-0.2, first=2000),
    *make_calls("agent-03", ["refill", "insulin", "bill"] * 4, shift=0.3, first=3000),
    *make_calls("agent-10", ["records", "refill"] * 3, shift=-0.4, first=4000),
]


@pytest.fixture(scope="module")
def report() -> AgentReport:
    return report_of("agent-02", OWN, TEAM, now=NOW)


def with_turns(record: CallRecord, **changes: Mapping[int, Any]) -> CallRecord:
    """``record`` with fields of its turns changed: ``text={3: "..."}``."""
    turns = [
        dataclasses.replace(
            turn, **{name: at[turn.index] for name, at in changes.items() if turn.index in at}
        )
        for turn in record.dialogue.turns
    ]
    return dataclasses.replace(
        record, dialogue=dataclasses.replace(record.dialogue, turns=tuple(turns))
    )


def report_on(*names: str, shift: float = 0.0, minimum_calls: int = 3) -> AgentReport:
    """The report on an agent with the named calls and no colleagues."""
    calls = make_calls("agent-02", names, shift=shift)
    return report_of("agent-02", calls, [], now=NOW, minimum_calls=minimum_calls)


# --- what is counted -----------------------------------------------------------------------------


def test_an_agent_without_calls_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="agent-77") as caught:
        report_of("agent-77", OWN, TEAM, now=NOW)
    assert "metadata" in caught.value.message


def test_calls_are_read_once_and_those_of_others_passed_over(report: AgentReport) -> None:
    assert report_of("agent-02", iter(TEAM), iter(TEAM), now=NOW) == report


def test_the_order_of_the_records_changes_nothing(report: AgentReport) -> None:
    assert report_of("agent-02", reversed(OWN), TEAM, now=NOW) == report


def test_counts_say_who_when_and_what_to_be_wary_of() -> None:
    calls = make_calls("agent-02", ["chest", "bill", "records", "refill"])
    calls[1] = dataclasses.replace(calls[1], warnings=("demonstration_model",))
    calls.append(make_record(PLANS["bill"], call_id="calls-9", started_at=None))
    silent = dataclasses.replace(PLANS["records"], listening=None)
    calls.append(make_record(silent, call_id="calls-10"))
    found = report_of("agent-02", calls, [], now=NOW)
    assert (found.calls, found.assessed, found.flagged) == (6, 5, 2)
    assert (found.demonstration, found.undated) == (1, 1)
    assert found.first_call_at == calls[0].recording.started_at
    assert "1 call without a date stands in no trend" in render_html(found)


def test_times_are_told_in_the_zone_of_the_report() -> None:
    zone = ZoneInfo("America/New_York")
    late = make_record(PLANS["bill"], started_at=datetime(2026, 11, 17, 3, 0, tzinfo=UTC))
    found = report_of("agent-02", [late], [], now=NOW.astimezone(zone))
    assert found.rows[0].started_at == datetime(2026, 11, 16, 22, 0, tzinfo=zone)
    assert "16 Nov 2026" in render_html(found)
    assert "17 Nov 2026" not in render_html(found)


def test_not_assessed_is_never_zero(report: AgentReport) -> None:
    escalation = report.criteria[2]
    assert escalation.mean is not None
    assert escalation.mean.n == 4
    assert escalation.mean.mean == pytest.approx((1 + 3 + 5 + 3) / 4)
    unassessed = next(row for row in report.rows if row.call_id == "calls-1007")
    assert unassessed.empathy is None
    line = next(
        row
        for row in csv.DictReader(io.StringIO(render_csv(report)))
        if row["call_id"] == "calls-1007"
    )
    assert line["empathy"] == line["escalation"] == "not assessed"
    stored = json.loads(render_json(report))["rows"]
    assert next(r for r in stored if r["call_id"] == "calls-1007")["empathy"] is None
    cells = re.findall(r'data-label="(?:Empathy|Listening|Handling)">([^<]*)<', render_html(report))
    assert len(cells) == 3 * 14
    assert set(cells) >= {"not assessed", "4.9"}
    assert not {cell for cell in cells if cell.startswith("0")}


def test_a_criterion_never_assessed_is_said_to_be_so_and_not_scored() -> None:
    found = report_on("records", "records", "records")
    assert found.criteria[0].mean is None
    assert "That is not a low score" in render_html(found)


# --- means, trend and team -----------------------------------------------------------------------


def test_the_interval_is_students() -> None:
    tally = Tally()
    for points in (2.0, 3.0, 4.0):
        tally.add(points)
    mean = tally.mean()
    assert mean is not None
    assert mean.mean == pytest.approx(3.0)
    # t(2; .975) = 4.3027, s = 1: 3 +- 2.484, held within the scale.
    assert (mean.low, mean.high) == (1.0, 5.0)
    for points in (2.0, 3.0, 4.0) * 3:
        tally.add(points)
    mean = tally.mean()
    assert mean is not None
    # t(11; .975) = 2.2010, s^2 = 8 / 11.
    assert mean.low == pytest.approx(3 - 2.2010 * (8 / 11 / 12) ** 0.5, abs=1e-3)


def test_equal_scores_do_not_make_a_mean_exact() -> None:
    tally = Tally()
    for _ in range(4):
        tally.add(4.0)
    mean = tally.mean()
    assert mean is not None
    assert mean.low is not None
    assert mean.low < 3.3


def test_a_single_call_has_no_interval() -> None:
    tally = Tally()
    tally.add(4.0)
    mean = tally.mean()
    assert mean is not None
    assert (mean.low, mean.high, mean.n) == (None, None, 1)


@given(st.lists(st.floats(1, 5), min_size=2, max_size=40))
def test_the_interval_holds_the_mean_and_stays_on_the_scale(points: list[float]) -> None:
    tally = Tally()
    for value in points:
        tally.add(value)
    mean = tally.mean()
    assert mean is not None
    assert mean.low is not None
    assert mean.high is not None
    assert 1 <= mean.low <= mean.mean + 1e-9
    assert mean.mean - 1e-9 <= mean.high <= 5


def test_a_difference_is_claimed_only_beyond_chance() -> None:
    def tally(*points: float) -> Tally:
        made = Tally()
        for value in points:
            made.add(value)
        return made

    low, high = tally(1.5, 2.0, 2.5, 2.0), tally(4.0, 4.5, 4.0, 4.5)
    assert compare(low, high) == "lower"
    assert compare(high, low) == "higher"
    assert compare(tally(2, 4, 3), tally(3, 5, 3)) == "no_clear_difference"


def test_the_trend_gives_each_week_its_mean_and_number_of_calls(report: AgentReport) -> None:
    weeks = report.criteria[1].weeks
    assert [week.monday.isoweekday() for week in weeks] == [1] * len(weeks)
    assert weeks[0].monday == date(2026, 10, 5)
    assert sum(week.mean.n for week in weeks) == 14
    second = weeks[1].mean
    assert second.n == 3
    assert second.mean == pytest.approx((2.9 + 4.8 + 2.6) / 3)


def test_a_rise_is_told_when_it_is_beyond_chance() -> None:
    found = report_on(*["chest"] * 4, *["stroke"] * 4)
    assert found.criteria[0].change == "higher"
    assert "The later calls score higher" in render_html(found)


def test_too_few_calls_are_said_to_be_too_few_and_show_no_trend() -> None:
    calls = make_calls("agent-02", ["chest", "bill"])
    found = report_of("agent-02", calls, TEAM, now=NOW)
    assert all(item.weeks == () for item in found.criteria)
    assert {item.change for item in found.criteria} == {"too_few_calls"}
    assert {item.against_team for item in found.criteria} == {"too_few_calls"}
    assert found.next_step is None
    assert found.strengths == ()
    html = render_html(found)
    assert "Too few calls." in html
    assert "Weekly means" not in html


def test_one_week_is_no_trend() -> None:
    monday = datetime(2026, 11, 9, 9, 0, tzinfo=UTC)
    calls = [
        make_record(PLANS["bill"], call_id=f"calls-{day}", started_at=monday + timedelta(days=day))
        for day in range(4)
    ]
    found = report_of("agent-02", calls, [], now=NOW)
    assert found.criteria[0].weeks == ()
    assert "two different weeks" in render_html(found)


def test_the_team_is_the_colleagues_without_the_agent() -> None:
    own = make_calls("agent-02", ["chest"] * 3)
    others = make_calls("agent-01", ["bill"] * 3) + make_calls("agent-03", ["bill"] * 3)
    nobodys = make_record(PLANS["chest"], agent_id=None)
    found = report_of("agent-02", own, [*own, *others, nobodys], now=NOW)
    team = found.criteria[0].team
    assert team is not None
    assert team.n == 6
    assert team.mean == pytest.approx(4.9)
    assert found.criteria[0].against_team == "lower"


def test_a_team_of_one_colleague_is_not_shown() -> None:
    own = make_calls("agent-02", ["chest"] * 3)
    found = report_of("agent-02", own, make_calls("agent-01", ["bill"] * 9), now=NOW)
    assert [item.team for item in found.criteria] == [None] * 3
    assert found.criteria[0].against_team == "too_few_calls"


def test_nobody_is_ranked_and_no_colleague_named(report: AgentReport) -> None:
    for text in (render_html(report), render_json(report), render_csv(report)):
        assert not re.search(r"agent-(01|03|10)", text)
        assert not re.search(r"\b(rank|percentile|best agent|worst|place \d|top \d)", text, re.I)


# --- quotes --------------------------------------------------------------------------------------


def test_every_quote_is_redacted_text(report: AgentReport) -> None:
    spoken = {turn.text for record in OWN for turn in record.dialogue.turns}
    moments = [
        *report.best,
        *report.weakest,
        *(call.moment for call in report.urgent_calls if call.moment),
    ]
    if report.next_step and report.next_step.moment:
        moments.append(report.next_step.moment)
    lines = [line for moment in moments for line in moment.lines]
    assert len(lines) > 10
    for line in lines:
        assert any(line.text.strip("… ") in text for text in spoken)


def test_reports_hold_no_key_of_a_caller(report: AgentReport) -> None:
    for text in (render_html(report), render_json(report), render_csv(report)):
        assert "a-keyed-hash" not in text
        assert "0" * 64 not in text


def test_a_report_printed_by_accident_quotes_nobody(report: AgentReport) -> None:
    assert "husband" not in repr(report)


def test_a_moment_says_where_to_listen(report: AgentReport) -> None:
    first = report.best[0]
    html = render_html(report)
    assert f"Call {first.call_id} at 00:06" in html
    assert "Agent · 00:14" in html


def _dialogue(text: str) -> RedactedDialogue:
    turn = RedactedTurn(
        index=0,
        speaker="a",
        role=Role.CALLER,
        role_confidence=1.0,
        start_s=None,
        end_s=None,
        text=text,
    )
    return RedactedDialogue(
        call_id="calls-1",
        language="en",
        asr_model="none",
        redactor_version="1",
        dropped_s=0.0,
        turns=(turn,),
    )


def test_a_short_quote_grows_to_its_sentence() -> None:
    text = "Hello there. I am so scared of the operation on <DATE_1>, really. Can you help?"
    start = text.index("scared")
    found = quote(_dialogue(text), Evidence(turn_index=0, start=start, end=start + 6))
    assert found == "… I am so scared of the operation on <DATE_1>, really. …"


def test_a_quote_of_one_word_turns_is_the_whole_turn() -> None:
    text = "No. Yes. I am scared."
    assert quote(_dialogue(text), Evidence(turn_index=0, start=4, end=7)) == text


def test_a_long_quote_is_cut_around_its_evidence() -> None:
    text = "well " * 200 + "my chest hurts " + "and so on " * 200
    start = text.index("my chest")
    found = quote(_dialogue(text), Evidence(turn_index=0, start=start, end=start + 14))
    assert "my chest hurts" in found
    assert len(found) < 330
    assert found.startswith("… ")
    assert found.endswith(" …")


_words = st.sampled_from(
    ["<PERSON_1>", "<PHONE_12>,", "a", "hello.", "what?", "unfortunately", "é"]
)


@settings(max_examples=200)
@given(st.lists(_words, min_size=1, max_size=150), st.data())
def test_no_placeholder_is_cut_wherever_the_evidence_lies(
    words: list[str], data: st.DataObject
) -> None:
    text = " ".join(words)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    found = quote(_dialogue(text), Evidence(turn_index=0, start=start, end=end))
    assert found.strip("… ") in text
    assert set(found.replace("…", "").split()) <= set(words)
    if end - start <= 300:
        assert text[start:end].strip() in found


def test_evidence_outside_the_call_is_refused() -> None:
    with pytest.raises(IndexError):
        quote(_dialogue("Hello."), Evidence(turn_index=0, start=2, end=99))


def test_a_finding_that_points_outside_the_call_is_passed_over() -> None:
    record = make_record(PLANS["bill"])
    astray = dataclasses.replace(
        record.findings[0],
        task="listening",
        label="interrupts",
        evidence=Evidence(turn_index=99, start=0, end=5),
    )
    strange = dataclasses.replace(record, findings=(*record.findings, astray))
    assert report_of("agent-02", [strange], [], now=NOW).weakest == ()


def test_redactions_are_shown_as_labels(report: AgentReport) -> None:
    shown = dataclasses.replace(
        report, replays=tuple(Replay(kind="strength", moment=moment) for moment in report.best)
    )
    html = render_html(shown)
    assert '<span class="chip">name</span> has never been ill' in html
    assert "PERSON_" not in html


def test_what_only_looks_like_a_redaction_stays_text() -> None:
    record = with_turns(make_record(PLANS["bill"]), text={1: "I said <FOO_1> and <b>, " + "x" * 30})
    found = dataclasses.replace(
        record,
        findings=tuple(
            dataclasses.replace(f, evidence=Evidence(turn_index=1, start=0, end=40))
            if f.task == "opportunity" and f.label == "difficulty"
            else f
            for f in record.findings
        ),
    )
    html = render_html(report_of("agent-02", [found], [], now=NOW))
    assert "I said &lt;FOO_1&gt; and &lt;b&gt;" in html


# --- what is chosen ------------------------------------------------------------------------------


def test_strengths_are_habits_with_their_counts(report: AgentReport) -> None:
    assert ("read_back", 10, 14) in [(s.code, s.seen, s.due) for s in report.strengths]
    for strength in report.strengths:
        assert strength.seen >= 2
        assert strength.seen / strength.due >= 0.5


def test_best_moments_come_from_different_criteria_and_calls(report: AgentReport) -> None:
    assert [moment.code for moment in report.best] == [
        "confirmed",
        "emergency_number",
        "teach_back",
    ]
    assert len({moment.call_id for moment in report.best}) == 3


def test_the_same_behaviour_is_not_shown_twice() -> None:
    found = report_on(*["records"] * 30, *["chest"] * 30)
    for moments in (found.best, found.weakest):
        codes = [moment.code for moment in moments]
        assert len(codes) == len(set(codes)) > 1


def test_weakest_moments_tell_what_was_missed(report: AgentReport) -> None:
    missed = report.weakest[0]
    assert (missed.code, missed.call_id) == ("urgency_missed", "calls-1000")
    assert "tightness in my chest" in missed.lines[0].text
    assert missed.lines[1].text == "Okay, what was the date of birth?"
    assert missed.needs_review


def test_the_next_step_is_of_the_lowest_criterion_and_its_most_frequent_gap() -> None:
    found = report_on(*["refill"] * 3, "bill")
    step = found.next_step
    assert step is not None
    assert step.criterion is Criterion.EMPATHY
    assert (step.code, step.seen, step.due) == ("feeling_passed_over", 3, 4)
    assert step.moment is not None
    assert step.moment.call_id == "calls-1002"
    assert "up every night" in step.moment.lines[0].text
    html = render_html(found)
    assert step.title in html
    assert "in 3 of the 4 calls that could tell, something the caller felt got no answer" in html


def test_what_harms_is_worked_on_before_what_is_missing() -> None:
    found = report_on("insulin", "insulin", "records", "records", shift=-1.5)
    step = found.next_step
    assert step is not None
    assert step.criterion is Criterion.ACTIVE_LISTENING
    assert step.code == "asks_again"


def test_a_missing_read_back_is_shown_where_details_were_given() -> None:
    plan = dataclasses.replace(PLANS["refill"], empathy=None)
    calls = [make_record(plan, call_id=f"calls-{n}") for n in range(3)]
    step = report_of("agent-02", calls, [], now=NOW).next_step
    assert step is not None
    assert step.code == "no_read_back"
    assert step.moment is not None
    assert "<PHONE_1>" in step.moment.lines[0].text


def test_nothing_to_work_on_is_said_so() -> None:
    turns = [
        (role, labels.replace("greeting", "greeting clarifying_question"), text)
        for role, labels, text in BILL_WARM
    ]
    plan = dataclasses.replace(PLANS["bill"], turns=turns)
    calls = [make_record(plan, call_id=f"calls-{n}") for n in range(3)]
    step = report_of("agent-02", calls, [], now=NOW).next_step
    assert step is not None
    assert step.code == "keep_going"
    assert step.moment is not None


def test_finding_nothing_is_no_reason_for_praise() -> None:
    calls = [
        dataclasses.replace(call, findings=())
        for call in make_calls("agent-02", ["refill"] * 3, shift=-0.5)
    ]
    sure_of_nothing = [
        dataclasses.replace(
            call,
            scorecard=dataclasses.replace(
                call.scorecard,
                scores=tuple(
                    score for score in call.scorecard.scores if score.criterion is Criterion.EMPATHY
                ),
            ),
        )
        for call in calls
    ]
    found = report_of("agent-02", sure_of_nothing, [], now=NOW)
    assert found.next_step is not None
    assert found.next_step.code == "listen_together"
    assert "no single thing to work on was surely found" in render_html(found)


def test_the_next_step_is_where_something_to_work_on_was_found() -> None:
    calls = make_calls("agent-02", ["refill"] * 3)
    silent = [
        dataclasses.replace(
            call, findings=tuple(f for f in call.findings if f.task not in {"response"})
        )
        for call in calls
    ]
    step = report_of("agent-02", silent, [], now=NOW).next_step
    assert step is not None
    assert step.criterion is Criterion.ACTIVE_LISTENING


def test_a_moment_is_quoted_only_when_it_is_clear() -> None:
    record = make_record(PLANS["bill"])
    faint = dataclasses.replace(
        record, findings=tuple(dataclasses.replace(f, probability=0.55) for f in record.findings)
    )
    found = report_of("agent-02", [faint], [], now=NOW)
    assert found.best == ()
    assert found.weakest == ()


def test_the_moment_to_replay_is_not_shown_twice_as_weak(report: AgentReport) -> None:
    assert report.next_step is not None
    assert report.next_step.moment is not None
    replayed = {(report.next_step.moment.call_id, line) for line in report.next_step.moment.lines}
    shown = {(moment.call_id, line) for moment in report.weakest for line in moment.lines}
    assert not replayed & shown


def test_an_unsure_finding_is_neither_a_fault_nor_a_gap() -> None:
    record = make_record(PLANS["chest"])
    unsure = dataclasses.replace(
        record,
        findings=tuple(dataclasses.replace(f, probability=0.3) for f in record.findings),
        scorecard=dataclasses.replace(
            record.scorecard, escalated=EscalationOutcome.PROPERLY, needs_review=False
        ),
    )
    assert report_of("agent-02", [unsure], [], now=NOW).weakest == ()
    plan = dataclasses.replace(PLANS["refill"], empathy=None)
    calls = [make_record(plan, call_id=f"calls-{n}") for n in range(3)]
    hint = Finding(
        task="listening",
        label="read_back",
        producer="turn-findings 1",
        probability=0.4,
        confidence=0.4,
        evidence=Evidence(turn_index=4, start=0, end=4),
    )
    hinted = [dataclasses.replace(call, findings=(*call.findings, hint)) for call in calls]
    step = report_of("agent-02", hinted, [], now=NOW).next_step
    assert step is not None
    assert step.code != "no_read_back"


def test_doubtful_words_support_nothing() -> None:
    record = make_record(PLANS["bill"])
    every = {turn.index: True for turn in record.dialogue.turns}
    found = report_of("agent-02", [with_turns(record, is_doubtful=every)], [], now=NOW)
    assert (found.best, found.weakest) == ((), ())


def test_a_colleagues_words_are_not_the_agents() -> None:
    record = make_record(PLANS["bill"])
    others = {turn.index: Role.OTHER_STAFF for turn in record.dialogue.turns if turn.index % 2 == 0}
    found = report_of("agent-02", [with_turns(record, role=others)], [], now=NOW)
    assert (found.best, found.weakest) == ((), ())


def test_urgent_calls_stand_with_the_missed_first(report: AgentReport) -> None:
    assert [call.call.escalated for call in report.urgent_calls] == [
        EscalationOutcome.MISSED,
        EscalationOutcome.LATE_OR_PARTIAL,
        EscalationOutcome.LATE_OR_PARTIAL,
        EscalationOutcome.PROPERLY,
    ]
    assert "emergency_number" in report.urgent_calls[-1].done
    html = render_html(report)
    assert "First right action 1 min 14 s after the first sign" in html


def test_an_escalation_without_need_is_told() -> None:
    plan = dataclasses.replace(PLANS["bill"], escalated=EscalationOutcome.UNNEEDED)
    found = report_of("agent-02", [make_record(plan)], [], now=NOW)
    assert len(found.urgent_calls) == 1
    assert "without need" in render_html(found)


def test_calls_with_unsure_roles_are_told_without_quotes() -> None:
    plan = dataclasses.replace(PLANS["stroke"], empathy=None, listening=None, escalation=None)
    record = make_record(plan)
    unknown = with_turns(record, role={turn.index: Role.UNKNOWN for turn in record.dialogue.turns})
    unknown = dataclasses.replace(
        unknown, scorecard=dataclasses.replace(unknown.scorecard, escalated=None)
    )
    found = report_of("agent-02", [unknown], [], now=NOW)
    assert found.assessed == 0
    assert len(found.urgent_calls) == 1
    assert "not assessed" in render_html(found)


def test_every_gap_and_behaviour_is_said_in_plain_words() -> None:
    for gap in GAPS.values():
        assert gap.title[0].isupper()
        assert gap.say.endswith((".", "”", "?"))
        assert "_" not in gap.title + gap.say + gap.found
    for table in (RESPONSES, LISTENING_FOR, LISTENING_AGAINST, ACTIONS):
        for behaviour in table.values():
            assert behaviour.moment.endswith(".")
            assert 0 < behaviour.weight <= 1


# --- corrections, periods and what was agreed -----------------------------------------------------


def correction(
    subject: str, *, points: float | None = None, answer: str | None = None
) -> Correction:
    return Correction(
        subject=subject, points=points, answer=answer, reason="Listened", by="rita", at=NOW
    )


def test_a_persons_word_stands_in_place_of_the_machines() -> None:
    calls = make_calls("agent-02", ["chest", "bill", "records"])
    said = {
        calls[0].call_id: {
            "empathy": correction("empathy", points=4.0),
            "escalated": correction("escalated", answer="properly"),
        }
    }
    found = report_of("agent-02", calls, [], now=NOW, corrections=said)
    row = next(row for row in found.rows if row.call_id == calls[0].call_id)
    assert (row.empathy, row.escalated) == (4.0, EscalationOutcome.PROPERLY)
    assert row.corrected == ("empathy", "escalated")
    assert (found.corrected_calls, found.corrected_scores) == (1, 2)
    assert "Reviewers corrected 2 answers or scores in 1 call" in render_html(found)
    assert render_csv(found).splitlines()[-1].endswith("empathy escalated")


def test_what_a_person_finds_not_assessable_is_not_counted() -> None:
    calls = make_calls("agent-02", ["bill"] * 3)
    said = {calls[0].call_id: {"empathy": correction("empathy")}}
    found = report_of("agent-02", calls, [], now=NOW, corrections=said)
    assert found.criteria[0].mean is not None
    assert found.criteria[0].mean.n == 2


def two_periods(*, now: str, before: str) -> AgentReport:
    """Eight calls of each kind, four weeks and the four before."""
    since = NOW - timedelta(days=28)
    recent = [
        make_record(PLANS[now], call_id=f"now-{n}", started_at=since + timedelta(days=n))
        for n in range(8)
    ]
    older = [
        make_record(PLANS[before], call_id=f"old-{n}", started_at=since - timedelta(days=n + 1))
        for n in range(8)
    ]
    return report_of(
        "agent-02",
        recent,
        [],
        now=NOW,
        since=since,
        until=NOW,
        figures=figures([*recent, *older]),
    )


def test_a_period_is_held_against_the_one_before() -> None:
    found = two_periods(now="bill", before="chest")
    assert (found.calls, found.calls_before) == (8, 8)
    empathy = found.criteria[0]
    assert empathy.before is not None
    assert empathy.since_before is not None
    assert empathy.before.mean == pytest.approx(1.8)
    assert empathy.since_before.value == pytest.approx(3.1)
    html = render_html(found)
    assert "Up by 3.1 (95 % interval 2.6 to 3.6)</strong> from the period before" in html
    assert "23 Oct – 19 Nov 2026" not in html
    assert "23 Oct – 20 Nov 2026" in html


def test_no_clear_change_is_said_so() -> None:
    found = two_periods(now="bill", before="bill")
    assert found.criteria[0].since_before is not None
    assert found.criteria[0].since_before.says == "no_clear_difference"
    assert "No clear change</strong> from the period before" in render_html(found)


def test_without_a_beginning_there_is_no_period_before(report: AgentReport) -> None:
    assert report.calls_before is None
    assert "period before" not in render_html(report)


def test_at_most_three_moments_are_shown_to_replay(report: AgentReport) -> None:
    assert [one.kind for one in report.replays] == ["strength", "step", "gap"]
    assert report.next_step is not None
    assert report.replays[1].moment == report.next_step.moment
    for found in (report, report_on("bill"), report_on("chest"), report_on("records")):
        assert len(found.replays) <= 3
        assert render_html(found).count('class="talk"') == len(found.replays)


def test_calls_are_links_to_the_second_where_there_is_an_address(report: AgentReport) -> None:
    html = render_html(report, link_base="https://qa.example.org/calls/")
    first = report.replays[0].moment
    assert f'href="https://qa.example.org/calls/{first.call_id}?at=' in html
    body = render_body(report, link=lambda call_id, at_s: f"/x/{call_id}/{at_s}")
    assert f'href="/x/{first.call_id}/{first.lines[0].start_s}"' in body


def test_the_agent_is_spoken_to_on_the_own_page(report: AgentReport) -> None:
    own = render_body(report, link=lambda *_: None, you=True)
    assert "You read details back" in own
    assert "How you answer what callers feel" in own
    assert "the agent " not in re.sub(r"<q.*?</q>", "", own)
    assert "All calls" not in own
    assert "Reads details back" in render_body(report, link=lambda *_: None)


def test_every_habit_can_be_said_to_the_agent() -> None:
    from qa_monitor.reports.behaviours import CHECKLIST
    from qa_monitor.reports.rendering import _habit

    habits = [
        behaviour.habit
        for table in (RESPONSES, LISTENING_FOR, ACTIONS)
        for behaviour in table.values()
        if behaviour.habit
    ]
    for habit in [*habits, *CHECKLIST.values()]:
        verb = _habit(habit, you=True).split()[1]
        assert not verb.endswith("s"), habit
        assert habit.startswith(verb) or verb == "have"


def test_goals_and_shared_notes_are_followed_up() -> None:
    goal = Goal(
        goal_id=1,
        agent_id="agent-02",
        kind=GoalKind.CRITERION,
        code="empathy",
        wording="Answer the feeling <first>",
        target=4.0,
        is_at_least=True,
        baseline=3.2,
        baseline_n=12,
        due_on=date(2026, 12, 1),
        set_by="cora",
        set_at=NOW - timedelta(days=30),
    )
    notes = [
        Note(
            note_id=n,
            agent_id="agent-02",
            written_by="cora",
            written_at=NOW,
            text=text,
            is_shared=is_shared,
        )
        for n, (text, is_shared) in enumerate([("Well done.", True), ("Between us", False)])
    ]
    found = report_of(
        "agent-02", make_calls("agent-02", ["bill"] * 4), [], now=NOW, goals=[goal], notes=notes
    )
    html = render_html(found)
    assert "Answer the feeling &lt;first&gt;" in html
    assert "Reached so far." in html
    assert "Well done." in html
    assert "Between us" not in html + render_json(found)


def test_the_team_is_the_agents_own_where_teams_are_known() -> None:
    own = make_calls("agent-02", ["chest"] * 3)
    near = make_calls("agent-01", ["bill"] * 3) + make_calls("agent-03", ["bill"] * 3)
    far = make_calls("agent-09", ["chest"] * 9)
    sums = [*sums_of([*own, *near], "north"), *sums_of(far, "south")]
    found = agent_report("agent-02", own, now=NOW, team=sums)
    assert found.criteria[0].team is not None
    assert found.criteria[0].team.n == 6


# --- HTML ----------------------------------------------------------------------------------------

_VOID = {"meta", "link", "br", "hr", "img", "input"}


class _Page(HTMLParser):
    """The tags of a page, in order, with a note of every one that is not closed rightly."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.faults: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.faults += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(tag)


@pytest.fixture(scope="module")
def pages(report: AgentReport) -> dict[str, str]:
    few = [dataclasses.replace(record, warnings=("demonstration_model",)) for record in OWN[:2]]
    return {
        "full": render_html(report),
        "few": render_html(report_of("agent-02", few, TEAM, now=NOW)),
        "none assessed": render_html(report_on("records")),
        "hostile": render_html(hostile_report()),
        "index": render_index([report, hostile_report()]),
        "empty index": render_index([]),
    }


HOSTILE = '"><script>alert(1)</script><img src=https://example.org/x onerror=alert(2)>{{ 7 * 7 }}'


def hostile_report() -> AgentReport:
    """A report in which everything that comes from outside is hostile."""
    calls = []
    for position, record in enumerate(make_calls(HOSTILE, ["chest", "bill", "insulin"])):
        texts = {turn.index: HOSTILE + "x" * 300 for turn in record.dialogue.turns}
        record = with_turns(record, text=texts)
        calls.append(
            dataclasses.replace(
                record,
                recording=dataclasses.replace(
                    record.recording, call_id=f"={HOSTILE}{position}{'y' * 60}"
                ),
                findings=tuple(
                    dataclasses.replace(
                        f, evidence=dataclasses.replace(f.evidence, start=0, end=len(HOSTILE))
                    )
                    for f in record.findings
                    if f.evidence
                ),
                scorecard=dataclasses.replace(
                    record.scorecard, needs_review=True, review_reasons=(HOSTILE,)
                ),
            )
        )
    return report_of(HOSTILE, calls, [], now=NOW)


def test_hostile_words_stay_words(pages: dict[str, str]) -> None:
    for name in ("hostile", "index"):
        page = _Page(pages[name])
        assert "&lt;script&gt;" in pages[name]
        assert "49" not in pages[name].replace("#", "")
        assert not {"script", "img", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
        assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on")]


def test_a_page_asks_nothing_of_any_other_host(pages: dict[str, str]) -> None:
    for name, html in pages.items():
        page = _Page(html)
        links = [attrs.get("href") or "" for tag, attrs in page.tags if tag == "a"]
        if name.endswith("index"):
            assert all(re.fullmatch(r"#main|[\w.~-]+\.html", link) for link in links)
        else:
            assert all(link.startswith("#") for link in links)
        assert not [attrs for _, attrs in page.tags if "src" in attrs or "style" in attrs]
        assert "link" not in {tag for tag, _ in page.tags}
        style = html[html.index("<style>") : html.index("</style>")]
        assert "url(" not in style
        assert "@import" not in style
        assert "default-src 'none'" in html


def test_pages_are_well_formed_with_unique_ids_and_targets(pages: dict[str, str]) -> None:
    for html in pages.values():
        page = _Page(html)
        assert page.faults == []
        ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        assert len(ids) == len(set(ids))
        for _, attrs in page.tags:
            for key in ("aria-labelledby", "href"):
                for target in (attrs.get(key) or "").split():
                    if key != "href" or target.startswith("#"):
                        assert target.removeprefix("#") in ids


def test_headings_descend_one_level_at_a_time(pages: dict[str, str]) -> None:
    for html in pages.values():
        levels = [int(tag[1]) for tag, _ in _Page(html).tags if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_chart_has_a_text_alternative(pages: dict[str, str]) -> None:
    charts = re.findall(r'<svg class="chart".*?</svg>', pages["full"], re.DOTALL)
    assert len(charts) == 6
    for chart in charts:
        assert re.search(r"<title id=.+?>.+?</title><desc id=.+?>.+? calls?.+?</desc>", chart)
    assert "This agent" not in charts[0]
    assert "Agent: 3.6, 95 % interval 2.7 to 4.5, 11 calls; Team: 3.8" in charts[0]


def test_table_headers_say_what_they_head(pages: dict[str, str]) -> None:
    for html in pages.values():
        heads = [attrs for tag, attrs in _Page(html).tags if tag == "th"]
        assert all(attrs.get("scope") in {"col", "row"} for attrs in heads)


def test_the_demonstration_recogniser_is_warned_of(pages: dict[str, str]) -> None:
    assert "Demonstration recogniser." in pages["few"]
    assert "no basis for judging anybody" in pages["few"]
    assert "Demonstration recogniser." not in pages["full"]


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_contrasts_with_every_ground_it_stands_on(scheme: str, pages: dict[str, str]) -> None:
    blocks = re.findall(r":root \{(.*?)\}", pages["full"], re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", blocks[scheme == "dark"]))
    grounds = {
        "ink": ["page", "card", "wash", "chip", "care-wash"],
        "soft": ["page", "card", "wash"],
        "accent": ["page", "card", "wash"],
        "care": ["care-wash"],
        "alarm": ["alarm-wash"],
        "good": ["good-wash"],
        "team": ["card"],
    }
    for text, behind in grounds.items():
        for ground in behind:
            low, high = sorted(_luminance(colours[name]) for name in (text, ground))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


# --- JSON, CSV, index, names ---------------------------------------------------------------------


def test_json_holds_the_whole_report(report: AgentReport) -> None:
    text = render_json(report)
    assert TypeAdapter(AgentReport).validate_json(text) == report
    assert json.loads(text)["agent_id"] == "agent-02"


def test_csv_is_one_line_a_call_under_one_header(report: AgentReport) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(report))))
    assert [row["call_id"] for row in rows] == [row.call_id for row in report.rows]
    assert rows[-1]["escalated"] == "missed"
    assert rows[-1]["started_at"] == "2026-10-09T09:00:00+00:00"
    assert rows[0]["needs_review"] == "no"


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "＝1", "\n=1"])
def test_no_csv_cell_is_a_formula(start: str) -> None:
    record = make_record(PLANS["bill"], call_id=start)
    line = list(csv.reader(io.StringIO(render_csv(report_of("agent-02", [record], [], now=NOW)))))
    assert line[1][1] == f"'{start}"


def test_the_index_is_alphabetical_and_links_each_report() -> None:
    made = [
        report_of(agent, TEAM, TEAM, now=NOW)
        for agent in ("agent-10", "agent-03", "agent-01", "agent-02")
    ]
    html = render_index(made)
    assert re.findall(r'href="(agent-\d+)\.html"', html) == [
        "agent-01",
        "agent-02",
        "agent-03",
        "agent-10",
    ]
    assert "over all 44 calls" in html
    assert "husband" not in html


def test_the_index_orders_numbers_as_people_do() -> None:
    made = [
        report_of(agent, make_calls(agent, ["bill"]), [], now=NOW)
        for agent in ("a10", "A9", "a9", "10", "b", "9")
    ]
    html = render_index(made)
    assert re.findall(r'href="(\w+)\.html"', html) == ["9", "10", "A9", "a9", "a10", "b"]


def test_a_plain_id_names_its_file() -> None:
    assert report_file_name("agent-02") == "agent-02.html"


@given(st.text(min_size=1))
def test_any_id_makes_a_safe_file_name(agent_id: str) -> None:
    name = report_file_name(agent_id)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,80}\.html", name)
    assert name not in {"index.html", "con.html", "nul.html"}


@pytest.mark.parametrize("agent_id", ["index", "INDEX", "../x", "a/b", "a b", "CON", "nul.x", "é"])
def test_an_odd_id_is_told_apart_by_a_digest(agent_id: str) -> None:
    assert re.search(r"~[0-9a-f]{10}\.html$", report_file_name(agent_id))


def test_odd_ids_never_share_a_file() -> None:
    ids = ["a/b", "a b", "a-b", "a:b", "A b", "é", "è", "-", "index", "agent-a-b"]
    assert len({report_file_name(agent_id) for agent_id in ids}) == len(ids)


def test_the_package_offers_what_it_says() -> None:
    for name in reports.__all__:
        assert hasattr(reports, name)


# --- in a real browser ---------------------------------------------------------------------------


class Browser:
    """Chromium, spoken to in its own protocol through a pair of pipes (file numbers 3 and 4)."""

    def __init__(self, program: str, folder: str) -> None:
        heard, its_out = os.pipe()
        its_in, told = os.pipe()
        pipes = (
            "import os, sys; from fcntl import F_DUPFD, fcntl; "
            "i, o = (fcntl(int(n), F_DUPFD, 9) for n in sys.argv[1:3]); "
            "os.dup2(i, 3); os.dup2(o, 4); os.execvp(sys.argv[3], sys.argv[3:])"
        )
        quiet = "background-networking component-update sync extensions gpu"
        self._process = subprocess.Popen(
            [
                sys.executable, "-c", pipes, str(its_in), str(its_out),
                program, "--headless", "--no-sandbox", "--no-first-run",
                *(f"--disable-{what}" for what in quiet.split()),
                "--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank",
            ],
            pass_fds=(its_in, its_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(its_in)
        os.close(its_out)
        self._told, self._heard = told, heard
        self._buffer = b""
        self._count = 0
        self._session: str | None = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        self.ask("Page.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._told, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            read = os.read(self._heard, 1 << 16)
            if not read:
                raise EOFError("the browser ended")
            self._buffer += read
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def open(self, page: Path, *, width: int, scheme: str = "light") -> None:
        """Show ``page`` in a window of ``width`` pixels."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.ask("Page.navigate", url=page.as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def value(self, expression: str) -> Any:
        """What ``expression`` is in the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)[
            "result"
        ].get("value")

    def press(self, key: str) -> None:
        """Press and release ``key``."""
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            down = text if kind == "keyDown" else {}
            self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                **down,
            )

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._told)
        os.close(self._heard)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("Chromium is not installed")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        started = Browser(program, folder)
        try:
            yield started
        finally:
            started.close()


@pytest.fixture(scope="module")
def files(pages: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    written = {name: folder / f"{name}.html" for name in pages}
    for name, path in written.items():
        path.write_text(pages[name], encoding="utf-8")
    return written


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 400, 800, 1130, 1280])
def test_no_page_scrolls_sideways(width: int, browser: Browser, files: dict[str, Path]) -> None:
    for name, path in files.items():
        browser.open(path, width=width)
        beyond = browser.value(
            "[...document.querySelectorAll('main *, header *')]"
            ".filter(e => !e.closest('thead') &&"
            " e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)"
            ".map(e => e.outerHTML.slice(0, 80))"
        )
        assert beyond == [], (name, width)
        assert browser.value(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        ), (name, width)


@pytest.mark.browser
def test_a_page_is_dark_where_the_reader_wants_it(browser: Browser, files: dict[str, Path]) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    browser.open(files["full"], width=1280)
    light = browser.value(ground)
    browser.open(files["full"], width=1280, scheme="dark")
    assert light == "rgb(244, 245, 242)"
    assert browser.value(ground) == "rgb(19, 24, 26)"


@pytest.mark.browser
def test_a_page_can_be_used_from_the_keyboard(browser: Browser, files: dict[str, Path]) -> None:
    browser.open(files["full"], width=400)
    stops = []
    for _ in range(11):
        browser.press("Tab")
        stops.append(browser.value("document.activeElement.textContent"))
    assert stops[0] == "Skip to the content"
    assert stops[1] == "What goes well"
    assert stops[8:] == ["The figures of this chart"] * 3
    browser.press("Enter")
    assert browser.value("document.querySelectorAll('details[open]').length") == 1


@pytest.mark.browser
def test_a_page_prints_on_light_paper_on_few_sheets(
    browser: Browser, files: dict[str, Path]
) -> None:
    for paper in ((8.27, 11.69), (8.5, 11.0)):
        browser.open(files["full"], width=1280, scheme="dark")
        printed = browser.ask("Page.printToPDF", paperWidth=paper[0], paperHeight=paper[1])
        document = base64.b64decode(printed["data"])
        assert document.startswith(b"%PDF")
        assert 3 <= len(re.findall(rb"/Type /Page\b", document)) <= 6
    browser.ask(
        "Emulation.setEmulatedMedia",
        media="print",
        features=[{"name": "prefers-color-scheme", "value": "dark"}],
    )
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    browser.ask("Emulation.setEmulatedMedia", media="", features=[])


@pytest.mark.browser
def test_hostile_words_run_nothing(browser: Browser, files: dict[str, Path]) -> None:
    browser.open(files["hostile"], width=1280)
    assert browser.value("document.scripts.length + document.images.length") == 0
    assert browser.value("performance.getEntriesByType('resource').length") == 0
