"""Invented weeks: marked as such, the same each time, and never beside real calls."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import mean
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from conftest import REPOSITORY
from invented_records import make_record

from qa_monitor.accounts import add_user, sign_in
from qa_monitor.audio import decode, silenced
from qa_monitor.calls import (
    CallRecord,
    CallType,
    Criterion,
    Direction,
    EscalationOutcome,
    Role,
    ScoreStatus,
)
from qa_monitor.config import Config
from qa_monitor.demo import DEMO_SOURCE, DEMO_WARNING, DemoData, write_demo_data
from qa_monitor.demo.records import make_agents, make_failures, make_records
from qa_monitor.demo.shipped import pack_calls, shipped_calls
from qa_monitor.demo.sound import hum
from qa_monitor.errors import UsageError
from qa_monitor.monitor import Monitor
from qa_monitor.pipeline import Stages
from qa_monitor.scoring.rubric import load_rubric
from qa_monitor.store import (
    AlertState,
    DisputeState,
    JudgementKind,
    ReviewKind,
    Scope,
    User,
    UserRole,
)
from qa_monitor.training.demo_calls import demo_calls

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
CHICAGO = ZoneInfo("America/Chicago")


def made(
    calls: int = 150, *, seed: int = 1, agents: int = 6, days: int = 40, zone: ZoneInfo = CHICAGO
) -> list[CallRecord]:
    rubric = load_rubric()
    return [
        one.record
        for one in make_records(
            calls=calls,
            agents=make_agents(agents),
            days=days,
            seed=seed,
            until=NOW.date(),
            zone=zone,
            rubric_of=lambda _queue: rubric,
        )
    ]


@pytest.fixture(scope="module")
def records() -> list[CallRecord]:
    return made()


def monitor_in(folder: Path) -> Monitor:
    return Monitor(Config.model_validate({"data": {"folder": folder}}))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Monitor, DemoData]]:
    folder = tmp_path_factory.mktemp("demo")
    with monitor_in(folder) as monitor:
        data = write_demo_data(
            monitor,
            now=NOW,
            calls=120,
            agents=6,
            days=40,
            recordings=2,
            with_users=True,
            password="quiet-harbour-41",
        )
        yield monitor, data


# --- what ships ----------------------------------------------------------------------------------


def test_what_ships_holds_redacted_calls_with_findings_and_their_writers_points() -> None:
    calls = shipped_calls()
    assert len(calls) > 400
    assert {call.call_type for call in calls} == set(CallType)
    for call in calls:
        assert call.dialogue.turns
        assert call.findings
        for finding in call.findings:
            if finding.evidence is not None:
                assert call.dialogue.quote(finding.evidence)
        for turn in call.dialogue.turns:
            for span in turn.spans:
                assert turn.text[span.start : span.end].startswith(f"<{span.entity_type}_")


def test_packing_what_ships_gives_the_same_bytes_twice() -> None:
    few = shipped_calls()[:5]
    assert pack_calls(few) == pack_calls(few)


@pytest.mark.slow
def test_what_ships_is_what_redactor_and_scorer_make_of_the_written_calls(
    stages: Stages, tmp_path: Path
) -> None:
    written = REPOSITORY / "models" / "turn-findings" / "calls"
    first = next(iter(sorted(written.iterdir())))
    (tmp_path / first.name).mkdir()
    shutil.copy(first / "01.txt", tmp_path / first.name)
    made = list(demo_calls(tmp_path, stages.redactor, stages.scorer))
    assert len(made) > 2
    for own, shipped in zip(made, shipped_calls(), strict=False):
        assert [turn.text for turn in own.dialogue.turns] == [
            turn.text for turn in shipped.dialogue.turns
        ]
        assert [(f.task, f.label, f.evidence) for f in own.findings] == [
            (f.task, f.label, f.evidence) for f in shipped.findings
        ]
        assert own.points == shipped.points


# --- the weeks -----------------------------------------------------------------------------------


def test_every_call_is_marked_as_invented(records: list[CallRecord]) -> None:
    for record in records:
        assert record.recording.source == DEMO_SOURCE
        assert record.call_id.startswith(f"{DEMO_SOURCE}-")
        assert DEMO_WARNING in record.warnings


def test_the_same_seed_gives_the_same_weeks_and_another_seed_others(
    records: list[CallRecord],
) -> None:
    assert made() == records
    assert [one.recording for one in made(seed=2)] != [one.recording for one in records]


def test_calls_come_in_order_within_the_days_and_in_office_hours_of_the_zone(
    records: list[CallRecord],
) -> None:
    begun = [record.recording.started_at for record in records]
    assert begun == sorted(begun, key=str)
    local = [at.astimezone(CHICAGO) for at in begun if at is not None]
    assert len(local) == len(records)
    last = datetime.combine(NOW.date(), datetime.min.time(), CHICAGO)
    assert all(last - timedelta(days=40) <= at < last for at in local)
    at_night = [at for at in local if not 8 <= at.hour < 18]
    assert 0 < len(at_night) < len(local) / 4
    days = Counter(at.weekday() for at in local)
    assert min(days[0], days[4]) > days[5] + days[6]


def test_words_spans_and_turns_have_times_in_order(records: list[CallRecord]) -> None:
    for record in records[:40]:
        before_s = 0.0
        for turn in record.dialogue.turns:
            assert turn.start_s is not None
            assert turn.end_s is not None
            assert before_s <= turn.start_s < turn.end_s <= record.recording.duration_s
            before_s = turn.start_s
            assert [turn.text[word.start : word.end] for word in turn.words] == turn.text.split()
            times = [at for word in turn.words for at in (word.start_s, word.end_s)]
            assert times == sorted(times)
            for span in turn.spans:
                assert span.start_s is not None
                assert span.end_s is not None
                assert turn.start_s <= span.start_s < span.end_s <= turn.end_s


def test_some_callers_phone_again_and_some_are_called_back(records: list[CallRecord]) -> None:
    callers = Counter(record.recording.caller_key for record in records)
    assert 5 < sum(count > 1 for key, count in callers.items() if key) < len(records) / 3
    known: set[str] = set()
    called_back = 0
    for record in records:
        key = record.recording.caller_key
        if record.recording.direction is Direction.OUTBOUND and key in known:
            called_back += 1
        if key:
            known.add(key)
    assert called_back
    assert callers[None]


def test_urgent_calls_are_the_fewer_and_some_are_missed(records: list[CallRecord]) -> None:
    levels = [record.scorecard.score(Criterion.URGENCY).points for record in records]
    urgent = sum((level or 0) >= 1 for level in levels)
    assert len(records) / 8 < urgent < len(records) / 2.5
    outcomes = {record.scorecard.escalated for record in records}
    assert {EscalationOutcome.MISSED, EscalationOutcome.PROPERLY} <= outcomes


def test_some_calls_abstain_for_what_is_wrong_with_them() -> None:
    records = made(300)
    reasons = Counter(code for one in records for code in one.scorecard.review_reasons)
    assert {"roles_uncertain", "doubtful_text", "speech_dropped"} <= set(reasons)
    statuses = Counter(score.status for one in records for score in one.scorecard.scores)
    assert statuses[ScoreStatus.ABSTAINED]
    assert statuses[ScoreStatus.SCORED] > 0.6 * statuses.total()


def test_agents_differ_and_some_get_better_or_worse() -> None:
    points: dict[str, list[float]] = {}
    for record in made(400, agents=12, days=60):
        agent, found = record.recording.agent_id, record.scorecard.score(Criterion.EMPATHY).points
        if agent is not None and found is not None:
            points.setdefault(agent, []).append(found)
    assert len(points) == 12
    assert mean(points["agent-01"]) > mean(points["agent-04"]) + 1
    third = {name: len(found) // 3 for name, found in points.items()}

    def moved(name: str) -> float:
        return mean(points[name][-third[name] :]) - mean(points[name][: third[name]])

    assert moved("agent-02") > 0.4
    assert moved("agent-05") < -0.4


def test_of_more_calls_than_ship_none_comes_again_before_all_came() -> None:
    records = made(700, agents=3, days=60)
    texts = Counter(tuple(turn.text for turn in one.dialogue.turns) for one in records)
    assert max(texts.values()) <= 3
    assert len({one.call_id for one in records}) == 700
    assert len({one.recording.sha256 for one in records}) == 700


def test_large_databases_hold_no_times_of_words() -> None:
    rubric = load_rubric()
    first = next(
        make_records(
            calls=2001,
            agents=make_agents(1),
            days=30,
            seed=1,
            until=date(2026, 11, 1),
            zone=ZoneInfo("UTC"),
            rubric_of=lambda _queue: rubric,
        )
    )
    assert not any(turn.words for turn in first.record.dialogue.turns)
    assert all(turn.end_s for turn in first.record.dialogue.turns)


def test_names_of_many_agents_differ_and_teams_are_three() -> None:
    agents = make_agents(60)
    assert len({agent.agent_id for agent in agents}) == len({agent.name for agent in agents}) == 60
    assert {agent.team for agent in agents} == {"north", "south", "west"}


def test_failures_hold_no_text() -> None:
    failures = make_failures(5, seed=1)
    assert len({failed.call_id for failed in failures}) == 5
    assert all(failed.source == DEMO_SOURCE for failed in failures)


# --- sound ---------------------------------------------------------------------------------------


def test_a_hum_is_heard_where_words_are_and_nothing_at_what_was_redacted(
    records: list[CallRecord],
) -> None:
    record = next(one for one in records if any(turn.spans for turn in one.dialogue.turns))
    audio = hum(record.dialogue.turns, record.recording.duration_s)
    assert audio.channels == 2
    assert audio.duration_s == pytest.approx(record.recording.duration_s, abs=0.01)
    quiet = silenced(audio)
    for turn in record.dialogue.turns:
        channel = 0 if turn.role is Role.AGENT else 1
        for word in turn.words:
            frames = quiet[channel, round(word.start_s * 100) + 1 : round(word.end_s * 100) - 1]
            is_redacted = any(s.start < word.end and word.start < s.end for s in turn.spans)
            assert bool(np.all(frames)) is is_redacted


# --- the folder ----------------------------------------------------------------------------------


def test_the_folder_holds_calls_alerts_failures_agents_and_sound(
    written: tuple[Monitor, DemoData],
) -> None:
    monitor, data = written
    assert (data.calls, data.agents, data.recordings) == (120, 6, 2)
    assert len(monitor.store.summaries()) == 120
    assert len(monitor.store.failures()) == data.failed > 0
    assert len(monitor.store.alerts()) == data.alerts > 10
    assert len(monitor.store.people.agents()) == 6
    files = sorted((monitor.config.data.folder / "audio").glob("*.flac"))
    assert [file.stem for file in files] == [f"demo-{number:06d}" for number in (119, 120)]
    sound = decode(files[0], call_id=files[0].stem)
    record = monitor.record(files[0].stem)
    assert sound.duration_s == pytest.approx(record.recording.duration_s, abs=0.1)
    assert files[0].stat().st_mode & 0o077 == 0


def test_alerts_have_been_handled_and_the_newest_wait(written: tuple[Monitor, DemoData]) -> None:
    monitor, _ = written
    states = Counter(stored.state for stored in monitor.store.alerts())
    assert set(states) >= {AlertState.OPEN, AlertState.RESOLVED}
    handled = next(one for one in monitor.store.alerts() if one.state is AlertState.RESOLVED)
    events = monitor.store.alert_events(handled.alert.alert_id)
    assert [event.state for event in events] == [
        AlertState.OPEN,
        AlertState.ACKNOWLEDGED,
        AlertState.RESOLVED,
    ]
    assert sorted(event.set_at for event in events) == [event.set_at for event in events]


def test_users_of_every_role_can_sign_in(written: tuple[Monitor, DemoData]) -> None:
    monitor, data = written
    assert {role for user in data.users for role in user.roles} == set(UserRole)
    for user in data.users:
        signed_in = sign_in(
            monitor.store.people, user.user_id, data.passwords[user.user_id], now=NOW
        )
        assert signed_in.roles == user.roles


def test_people_have_reviewed_coached_and_disputed_and_left_the_newest_calls(
    written: tuple[Monitor, DemoData],
) -> None:
    store = written[0].store
    finished = store.reviews.finished()
    assert {review.user_id for review in finished} == {"rita", "randall"}
    assert {review.kind for review in finished} == set(ReviewKind)
    assert all(review.done_at < NOW for review in finished)
    begun = {one.call_id: one.started_at for one in store.summaries()}
    for review in finished:
        at = begun[review.call_id]
        assert at is not None
        assert at < review.started_at < review.done_at
        assert at < NOW - timedelta(days=4)
    judged = list(store.reviews.judged())
    assert {one.judgement.kind for one in judged} == set(JudgementKind)
    agents = [agent.agent_id for agent in store.people.agents()]
    assert any(store.coaching.notes(agent) for agent in agents)
    goals = [goal for agent in agents for goal in store.coaching.goals(agent)]
    assert goals
    assert all(goal.baseline is not None and goal.baseline < goal.target for goal in goals)
    states = {dispute.state for dispute in store.coaching.disputes()}
    assert DisputeState.OPEN in states
    assert len(states) > 1
    assert sum(store.queueing.counts(Scope(all_calls=True)).values()) > 10


def test_a_person_with_the_name_of_an_invented_user_keeps_the_password(tmp_path: Path) -> None:
    ada = User(user_id="ada", name="Ada Real", roles=frozenset({UserRole.ADMIN}))
    with monitor_in(tmp_path / "data") as monitor:
        people = monitor.store.people
        add_user(people, ada, password="quiet-harbour-41", now=NOW)
        with pytest.raises(UsageError, match="user ada who is not invented"):
            write_demo_data(monitor, now=NOW, calls=3, recordings=0, with_users=True)
        assert sign_in(people, "ada", "quiet-harbour-41", now=NOW) == people.user("ada")
        assert not monitor.store.sources()


def test_without_users_nobody_has_done_anything(tmp_path: Path) -> None:
    with monitor_in(tmp_path / "data") as monitor:
        data = write_demo_data(monitor, now=NOW, calls=20, recordings=0)
        assert (data.users, dict(data.passwords)) == ((), {})
        assert not monitor.store.reviews.finished()
        assert not monitor.store.people.users()


def test_calls_that_are_not_invented_are_never_added_to(tmp_path: Path) -> None:
    with monitor_in(tmp_path / "data") as monitor:
        monitor.store.save_record(make_record(), (), now=NOW)
        for replace in (False, True):
            with pytest.raises(UsageError, match="not invented"):
                write_demo_data(monitor, now=NOW, calls=3, replace=replace)
        assert monitor.store.sources() == {"calls": 1}
        assert len(monitor.store.people.agents()) == 1


def test_invented_calls_are_replaced_only_when_that_is_said(tmp_path: Path) -> None:
    with monitor_in(tmp_path / "data") as monitor:
        write_demo_data(monitor, now=NOW, calls=6, recordings=1, with_users=True)
        with pytest.raises(UsageError, match="already"):
            write_demo_data(monitor, now=NOW, calls=3)
        data = write_demo_data(
            monitor, now=NOW, calls=3, recordings=0, with_users=True, replace=True
        )
        assert monitor.store.sources() == {DEMO_SOURCE: 3 + data.failed}
        sign_in(monitor.store.people, "rita", data.passwords["rita"], now=NOW)
        assert not list((monitor.config.data.folder / "audio").glob("*.flac"))


def test_the_command_loads_no_model_and_prints_what_it_made(tmp_path: Path) -> None:
    script = (
        "import sys; from qa_monitor.cli import app\n"
        "try: app(['demo-data', '--calls', '5', '--audio', '1', '--users', '--json'])\n"
        "except SystemExit as end: code = end.code\n"
        "engines = {'torch', 'spacy', 'faster_whisper', 'onnxruntime', 'transformers'}\n"
        "print(code, *engines & set(sys.modules), file=sys.stderr)"
    )
    config = tmp_path / "qa-monitor.toml"
    config.write_text(f'[data]\nfolder = "{tmp_path / "data"}"\n')
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={
            "QA_MONITOR_CONFIG": str(config),
            "QA_MONITOR_DEMO_PASSWORD": "quiet-harbour-41",
            "PATH": "",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert result.stderr.split() in (["0"], ["None"])
    found = json.loads(result.stdout)
    assert found["calls"] == 5
    assert {user["password"] for user in found["users"]} == {"quiet-harbour-41"}
