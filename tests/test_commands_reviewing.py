"""labelled-calls: what reviewers found, as a file that the product reads again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from invented_records import NOW, make_record
from typer.testing import CliRunner

from qa_monitor.accounts import add_user
from qa_monitor.cli import app
from qa_monitor.commands.reviewing import Purpose, Readings
from qa_monitor.evaluation import read_labelled_calls
from qa_monitor.reviewing import Basis, LabelledFormat
from qa_monitor.store import ReviewKind, User, UserRole, open_store
from qa_monitor.store.reviews import CALL_TYPE, OUTCOME


@pytest.mark.parametrize("pair", [(Readings, Basis), (Purpose, LabelledFormat)])
def test_the_options_are_those_of_the_export(pair: tuple[type, type]) -> None:
    assert {each.value for each in pair[0]} == {each.value for each in pair[1]}  # type: ignore[attr-defined]


def test_reviewed_calls_come_out_as_a_file_that_evaluate_reads(tmp_path: Path) -> None:
    config = tmp_path / "qa-monitor.toml"
    config.write_text(f'[data]\nfolder = "{tmp_path}"\n')
    reader = User(user_id="rita", name="Rita", roles=frozenset({UserRole.REVIEWER}), all_teams=True)
    with open_store(f"sqlite:///{tmp_path / 'qa-monitor.sqlite'}") as store:
        add_user(store.people, reader, password="quiet-harbour-41", now=NOW)
        for call_id in ("calls-1", "calls-2"):
            store.save_record(make_record(call_id), (), now=NOW)
        words = {"empathy": 4, "active_listening": 3, "urgency": 3, "escalation": 2}
        for subject, points in words.items():
            store.reviews.correct(
                "calls-1", subject, user_id="rita", points=points, reason="heard it", now=NOW
            )
        for subject, answer in {CALL_TYPE: "emergency", OUTCOME: "missed"}.items():
            store.reviews.correct(
                "calls-1", subject, user_id="rita", answer=answer, reason="heard it", now=NOW
            )
        store.reviews.finish("calls-1", user_id="rita", now=NOW, kind=ReviewKind.NORMAL)
    file = tmp_path / "reviewed.jsonl"
    arguments = ["--config", str(config), "labelled-calls", str(file), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"calls": 1, "incomplete": 0, "disagreeing": 0}
    assert file.stat().st_mode & 0o077 == 0
    (line,) = file.read_text().splitlines()
    assert '"escalated": "missed"' in line
    assert len(list(read_labelled_calls(file))) == 1
    with open_store(f"sqlite:///{tmp_path / 'qa-monitor.sqlite'}") as store:
        (noted,) = store.access_log.entries()
    assert noted.action == "agreement.export"
    assert noted.at <= datetime.now(UTC)
