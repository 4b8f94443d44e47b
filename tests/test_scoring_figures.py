"""What the command that prints the figures of scoring promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import scoring_figures
from scoring_baselines import Keywords, Majority, WordsOfCall

from qa_monitor.calls import (
    CallType,
    Criterion,
    EscalationOutcome,
    Evidence,
    Finding,
    Score,
    Scorecard,
)
from qa_monitor.errors import ScoringError
from qa_monitor.scoring.measure import FIGURES
from qa_monitor.training.labelled_calls import LabelledCall, parse_calls, redacted_dialogue

REPOSITORY = Path(__file__).parents[1]
SCRIPT = REPOSITORY / ".ci" / "scoring_figures.py"

CALL = """=== ID
call_type: {call_type}
also: -
direction: inbound
after_hours: no
urgency: {urgency}
urgency_reason: -
escalated: {escalated}
empathy: {empathy}
active_listening: 4
escalation_score: {points}
notes: quokka notes
---
agent {{chk=greeting}}: Thank you for calling [Quokka Clinic|ORGANIZATION], how can I help?
caller {{op=fear emo=worried{cue}}}: {said}
agent {{resp=acknowledged lis=clarifying_question}}: I am so sorry, that is frightening. Since when?
caller: about an hour ago and my husband is with me, he's worried too
agent {{lis=read_back{act}}}: An hour ago. {done}
caller: okay please do, thank you
agent {{lis=anything_else chk=closing}}: Is there anything else I can help with today?
caller: no that was it, bye quokka
"""
URGENT = CALL.format(
    call_type="emergency",
    urgency=3,
    escalated="properly",
    empathy=4,
    points=5,
    cue=" flag=chest_pain urg=3",
    said="I have crushing chest pain going down my left arm, quokka, I am scared",
    act=" act=emergency_number",
    done="I am calling 911 for you now, stay on the line with me.",
)
ROUTINE = CALL.format(
    call_type="appointment",
    urgency=0,
    escalated="not_needed",
    empathy="-",
    points="-",
    cue="",
    said="I would like to move my appointment to another day, quokka, if I may",
    act="",
    done="I can book you in for next week, same time, same place.",
)


def written(folder: Path, writers: str = "vw", each: int = 3) -> Path:
    """Folders of writers with ``each`` urgent and as many routine calls."""
    for writer in writers:
        (folder / writer).mkdir(parents=True)
        calls = [
            text.replace("ID", f"zebra{writer}{number}{kind}")
            for number in range(each)
            for kind, text in (("u", URGENT), ("r", ROUTINE))
        ]
        (folder / writer / "01.txt").write_text("".join(calls), encoding="utf-8")
    return folder


def call_of(text: str, name: str = "c") -> LabelledCall:
    (call,) = parse_calls(text.replace("ID", name))
    return call


def card(empathy: float | None = 4.0, *, quoted: bool = True) -> Scorecard:
    place = Evidence(turn_index=2, start=0, end=13)
    values = {
        Criterion.EMPATHY: empathy,
        Criterion.ACTIVE_LISTENING: None,
        Criterion.ESCALATION: None,
        Criterion.URGENCY: 3.0,
    }
    return Scorecard(
        call_id="zebra",
        rubric_version="r",
        scores=tuple(
            Score(
                criterion=criterion,
                points=points,
                max_points=5.0,
                confidence=0.9,
                evidence=(place,) if quoted else (),
                reason="It was warm.",
            )
            for criterion, points in values.items()
        ),
        total=None,
        needs_review=False,
        review_reasons=(),
        call_type=CallType.EMERGENCY,
        also=(),
        call_type_confidence=0.9,
        urgency_probability=0.9,
        escalated=EscalationOutcome.PROPERLY,
        escalation_delay_s=None,
    )


def scored(
    text: str = URGENT,
    *,
    writer: str = "v",
    given: Scorecard | None = None,
    findings: tuple[Finding, ...] = (),
) -> scoring_figures.Scored:
    call = call_of(text)
    return scoring_figures.Scored(
        call=call,
        writer=writer,
        dialogue=redacted_dialogue(call),
        labels=tuple(turn.labels for turn in call.turns),
        findings=findings,
        card=given or card(),
    )


def finding(task: str, label: str, turn: int, probability: float) -> Finding:
    return Finding(
        task=task,
        label=label,
        producer="p",
        probability=probability,
        confidence=probability,
        evidence=Evidence(turn_index=turn, start=0, end=1),
    )


# --- what is worked out --------------------------------------------------------------------------


def test_every_figure_has_words_for_the_table() -> None:
    names = [scoring_figures._name(figure) for figure in FIGURES]
    assert len(set(names)) == len(names)
    assert {(f.group, f.measure) for f in FIGURES} >= scoring_figures._TARGETS.keys()


def test_a_slice_of_few_calls_is_not_told_apart() -> None:
    figure = next(f for f in FIGURES if (f.group, f.measure) == ("empathy", "exact"))
    many = [scored(writer="v")] * 5 + [scored(writer="w")] * 5
    few = [scored(writer="x", given=card(1.0))] * 4
    worst = scoring_figures._worst_slice(figure, [*many, *few], lambda s: s.writer)
    assert worst is not None
    assert worst.value == 1
    assert scoring_figures._worst_slice(figure, [*few, *few[:1]], lambda s: s.writer) is None


def test_of_alternatives_the_surest_is_the_finding_of_a_turn() -> None:
    one = scored(
        findings=(
            finding("response", "confirmed", 2, 0.3),
            finding("response", "acknowledged", 2, 0.6),
            finding("urgency_cue", "2", 1, 0.2),
            finding("urgency_cue", "3", 3, 0.3),
            finding("urgency_cue", "2", 3, 0.25),
            finding("listening", "open_question", 2, 0.4),
            finding("listening", "clarifying_question", 2, 0.7),
        )
    )
    assert scoring_figures._found_places(one, "response") == {(2, "acknowledged")}
    assert scoring_figures._found_places(one, "urgency_cue") == {(3, "3")}
    assert len(scoring_figures._found_places(one, "listening")) == 2
    assert scoring_figures._labelled_places(one, "response") == {(2, "acknowledged")}


def test_a_heard_turn_has_the_labels_of_all_that_was_said_in_it() -> None:
    labels = scoring_figures._labels_of(call_of(URGENT), [2, 4])
    assert labels["listening"] == ("clarifying_question", "read_back")
    assert labels["escalation_action"] == ("emergency_number",)


def test_flips_are_shares_of_varied_calls_in_percent() -> None:
    empathy, none = frozenset({"empathy"}), frozenset[str]()
    cells = scoring_figures._flip_cells([[empathy, none], [none], []])
    assert cells["empathy"].value == pytest.approx(100 / 3)
    assert cells["any"].value == pytest.approx(100 / 3)
    assert cells["empathy"].count == 3
    assert cells["call type"].value == 0


# --- the sheet for a second reader ---------------------------------------------------------------


def test_the_sheet_shows_reason_quote_and_context_and_no_id(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.txt"
    assert scoring_figures._write_sheet([scored()], 10, sheet) == 2
    text = sheet.read_text(encoding="utf-8")
    assert "reason: It was warm." in text
    assert "> agent: »I am so sorry«, that is" in text
    assert "  caller: about an hour ago" in text
    assert "zebra" not in text
    assert sheet.stat().st_mode & 0o077 == 0


def test_scores_without_points_or_quotes_are_not_judged(tmp_path: Path) -> None:
    bare = scored(given=card(quoted=False))
    assert scoring_figures._write_sheet([bare], 10, tmp_path / "sheet.txt") == 0


def test_criteria_come_as_often_as_each_other(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.txt"
    assert scoring_figures._write_sheet([scored()] * 9, 8, sheet) == 8
    text = sheet.read_text(encoding="utf-8")
    assert text.count(" empathy\n") == text.count(" urgency\n") == 4


def test_quotes_that_meet_are_marked_as_one() -> None:
    places = [Evidence(turn_index=0, start=s, end=e) for s, e in ((5, 8), (0, 10), (20, 22))]
    assert scoring_figures._apart(places) == [(0, 10), (20, 22)]


def test_a_judged_sheet_gives_shares_and_says_what_is_left(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.txt"
    scoring_figures._write_sheet([scored()] * 2, 4, sheet)
    pieces = sheet.read_text(encoding="utf-8").split("judged: ")
    verdicts = ["right", " Wrong ", "right", ""]
    judged = "".join(f"{p}judged: {v}" for p, v in zip(pieces[:-1], verdicts, strict=True))
    sheet.write_text(judged + pieces[-1], encoding="utf-8")
    section = scoring_figures._read_sheet(sheet)
    cell = section.rows[0].cells["judged right"]
    assert cell.value == pytest.approx(2 / 3)
    assert cell.count == 3
    assert cell.low is not None
    assert cell.low < 2 / 3
    assert section.notes == ["Not judged yet: 1."]


# --- baselines -----------------------------------------------------------------------------------


def test_the_commonest_answer_is_said_of_every_call() -> None:
    learnt = [(c, redacted_dialogue(c)) for c in map(call_of, (URGENT, URGENT, ROUTINE))]
    answer = Majority(learnt).score(learnt[2][1])
    assert answer.call_type is CallType.EMERGENCY
    assert answer.score(Criterion.URGENCY).points == 3
    assert answer.urgency_probability == pytest.approx(2 / 3)


def test_keywords_know_a_plain_emergency_from_a_plain_booking() -> None:
    urgent, routine = (
        Keywords().score(redacted_dialogue(call_of(text))) for text in (URGENT, ROUTINE)
    )
    assert urgent.score(Criterion.URGENCY).points == 3
    assert urgent.escalated is EscalationOutcome.PROPERLY
    assert routine.call_type is CallType.APPOINTMENT
    assert routine.escalated is EscalationOutcome.NOT_NEEDED
    assert routine.score(Criterion.ESCALATION).points is None


def test_words_of_the_call_tell_what_they_have_learnt() -> None:
    pytest.importorskip("sklearn")
    learnt = [(c, redacted_dialogue(c)) for c in map(call_of, (URGENT, ROUTINE) * 3)]
    baseline = WordsOfCall(learnt)
    urgent, routine = (baseline.score(redacted_dialogue(call_of(t))) for t in (URGENT, ROUTINE))
    assert urgent.call_type is CallType.EMERGENCY
    assert routine.call_type is CallType.APPOINTMENT
    assert (urgent.urgency_probability or 0) > (routine.urgency_probability or 0)


# --- the command ---------------------------------------------------------------------------------


class Failing:
    """A scorer whose error tells of a call."""

    version = "failing"

    def find(self, dialogue: object) -> tuple[Finding, ...]:
        raise ScoringError("call zebra: it said quokka", call_id="zebra")


def test_an_error_says_its_kind_and_place_and_nothing_of_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = written(tmp_path / "calls")
    monkeypatch.setattr(scoring_figures, "_scorer", lambda _: Failing())
    monkeypatch.setattr(
        sys, "argv", ["figures", "--calls", str(calls), "--no-dev", "--gold-redaction"]
    )
    with pytest.raises(SystemExit) as caught:
        scoring_figures.main()
    told = f"{caught.value} {capsys.readouterr()}"
    assert "ScoringError" in told
    assert "zebra" not in told
    assert "quokka" not in told.lower()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.slow
def test_the_command_prints_totals_and_never_words_ids_or_single_calls(tmp_path: Path) -> None:
    calls = written(tmp_path / "frozen", each=2)
    heard = {
        "id": "zebrav0u",
        "turns": [
            {
                "speaker": "agent",
                "text": "thank you for calling quokka clinic",
                "phi": [],
                "said": [0],
            },
            {"speaker": "caller", "text": "i have chest pain quokka", "phi": [], "said": [1]},
        ],
    }
    (calls / "heard.jsonl").write_text(json.dumps(heard) + "\n", encoding="utf-8")
    evaluation = tmp_path / "shared" / "eval"
    evaluation.mkdir(parents=True)
    dev = {
        **{"id": "zebradev", "call_type": "billing", "urgency": 0, "escalated": "not_needed"},
        **{"empathy": None, "active_listening": 3, "escalation_score": None},
        "turns": [{"speaker": "nurse", "text": "quokka billing"}],
    }
    (evaluation / "calls-dev.jsonl").write_text(json.dumps(dev) + "\n", encoding="utf-8")
    options = ["--calls", str(calls), "--shared", str(tmp_path / "shared"), "--gold-redaction"]
    result = subprocess.run(
        [sys.executable, SCRIPT, *options, "--json", "--part", "scores", "fairness"],
        # One thread: on a busy machine several wait for each other.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    sections = {section["title"].split(":")[0]: section for section in json.loads(result.stdout)}
    agreement = {row["figure"]: row for row in sections["agreement with the reader"]["rows"]}
    found = agreement["urgency, emergencies found"]
    assert found["target"] == ">= 0.95"
    assert found["script"]["count"] == 4
    assert found["heard"]["count"] == 1
    assert found["calls-dev"]["count"] == 0
    assert agreement["call type, macro-F1"]["worst"][0] == "script"
    turns = {row["figure"]: row for row in sections["findings by turn"]["rows"]}
    assert turns["checklist, any label, F1"]["script"]["count"] == 16
    assert turns["checklist, any label, F1"]["heard"]["count"] == 1
    assert "calls-dev" not in turns["checklist, any label, F1"]
    assert sections["from script to heard"]["rows"]
    swapped = sections["flips in %, script"]["rows"][0]
    assert swapped["target"] == "<= 5"
    assert swapped["any"]["count"] == 8
    told = (result.stdout + result.stderr).lower()
    assert "zebra" not in told
    assert "quokka" not in told


@pytest.mark.slow
def test_speed_is_told_beside_that_of_another_model(tmp_path: Path) -> None:
    calls = written(tmp_path / "calls", "v", 1)
    model = REPOSITORY / "models" / "turn-findings"
    options = ["--calls", str(calls), "--part", "speed", "--json", "--beside", str(model)]
    result = subprocess.run(
        [sys.executable, SCRIPT, *options, "--speed-turns", "20"],
        capture_output=True,
        text=True,
        check=True,
    )
    (section,) = json.loads(result.stdout)
    rows = {row["figure"]: row for row in section["rows"]}
    assert rows["seconds for 1,000 turns"]["target"] == "<= 10"
    assert rows["seconds for 1,000 turns"]["product"]["value"] > 0
    assert rows["times as long as the model that ships"]["beside"]["value"] > 0
