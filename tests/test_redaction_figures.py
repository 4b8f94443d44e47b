"""What the command that prints the figures of redaction promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import figures
import pytest

REPOSITORY = Path(__file__).parents[1]
SCRIPT = REPOSITORY / ".ci" / "redaction_figures.py"

HEAD = """=== {id}
call_type: appointment
also: -
direction: inbound
after_hours: no
urgency: 0
urgency_reason: -
escalated: not_needed
empathy: -
active_listening: 3
escalation_score: -
notes: -
---
"""
TURNS = """agent: What is your date of birth?
caller: [march third nineteen eighty two|DATE], and I have a cough
"""
RULE = """
import json
import sys


def carriers(item, gold, text):
    return [word for word in text.split() if word in gold.split()]
"""


def test_the_worst_of_what_counts_is_held_against_the_target() -> None:
    cells = {"a": figures.Cell(0.99), "b": figures.Cell(0.95), "c": figures.Cell(0.5)}
    row = figures.Row("names", cells, figures.Target(0.98), ("a", "b"))
    assert row.worst == ("b", 0.95)
    assert row.is_met is False
    assert figures.Row("names", cells, figures.Target(0.9), ("a", "b")).is_met is True
    most = figures.Row("errors", cells, figures.Target(0.97, is_least=False), ("a", "b"))
    assert most.worst == ("a", 0.99)
    assert most.is_met is False


def test_a_target_stays_open_while_a_way_that_counts_is_not_measured() -> None:
    cells = {"a": figures.Cell(0.99)}
    assert figures.Row("names", cells, figures.Target(0.98), ("a", "b")).is_met is None
    assert figures.Row("names", cells, figures.Target(0.995), ("a", "b")).is_met is False
    assert figures.Row("names", cells).is_met is None


@pytest.mark.slow
def test_the_command_prints_each_figure_of_each_way_beside_its_target(tmp_path: Path) -> None:
    writer = tmp_path / "frozen" / "w"
    writer.mkdir(parents=True)
    calls = "".join(HEAD.format(id=name) + TURNS for name in ("w1", "w2"))
    (writer / "01.txt").write_text(calls, encoding="utf-8")
    turns = [
        {"speaker": "agent", "text": "date of birth", "phi": []},
        {
            "speaker": "caller",
            "text": "march third nineteen eighty too cow",
            "phi": [{"start": 0, "end": 27, "type": "DATE"}],
            "ignored": [[28, 31]],
        },
    ]
    (tmp_path / "frozen" / "heard.jsonl").write_text(json.dumps({"id": "w1", "turns": turns}))
    evaluation = tmp_path / "shared" / "eval"
    evaluation.mkdir(parents=True)
    (evaluation / "evi_leaks.py").write_text(RULE)
    answer = {"item": "name", "prompt": "What is your name?", "text": "my name is ray ortega"}
    (evaluation / "evi-dev.jsonl").write_text(json.dumps({**answer, "gold": "ray ortega"}) + "\n")
    options = ["--frozen", f"{tmp_path}/frozen", "--shared", f"{tmp_path}/shared", "--json"]
    result = subprocess.run(
        [sys.executable, SCRIPT, *options, "--only", "frozen", "calls-dev", "evi"],
        capture_output=True,
        text=True,
        check=True,
    )
    frozen, dev, evi = json.loads(result.stdout)
    rows = {row["figure"]: row for row in frozen["rows"]}
    assert set(rows["birth dates"]) >= {"spoken", "written", "heard", "lower case", "worst", "met"}
    assert rows["birth dates"]["spoken"]["count"] == 2
    assert rows["birth dates"]["heard"]["count"] == 1
    assert rows["names"]["spoken"]["value"] is None
    assert rows["worst writer"]["spoken"]["of"].startswith("w ")
    assert "1 of 2" in frozen["notes"][0]
    assert "not there" in dev["notes"][0]
    clean, by_item, kept = evi["rows"]
    assert clean["as heard"]["value"] == by_item["as heard"]["value"] == 1.0
    assert kept["as heard"]["count"] == 3
    assert "frozen test" in result.stderr
    assert "ortega" not in result.stdout + result.stderr
