"""rescoring: a stored call scored anew, by another rubric or with its roles swapped."""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from invented_records import (
    MISSED_EMERGENCY,
    NOW,
    make_lenient_rubric,
    make_missed_emergency,
    make_rubric_file,
)

from qa_monitor import rescoring
from qa_monitor.alerts import raise_alerts
from qa_monitor.calls import (
    AudiblePhi,
    CallRecord,
    ChecklistAnswer,
    Criterion,
    EntityType,
    EscalationOutcome,
    Finding,
    RedactedDialogue,
    Role,
    Scorecard,
    Severity,
    Verification,
)
from qa_monitor.config import Config, ScoringSettings
from qa_monitor.errors import NotFoundError, ScoringError, StoreError, UsageError
from qa_monitor.monitor import Monitor
from qa_monitor.pipeline import build_scorer
from qa_monitor.rescoring import ROLES_SWAPPED, points_of, summarise
from qa_monitor.scoring import Scorer, call_metrics
from qa_monitor.scoring.rubric import Rubric, load_rubric
from qa_monitor.scoring.scorecard import make_scorecard
from qa_monitor.store import AlertState
from qa_monitor.verification import mark

MISSED = "emergency_not_escalated"


@pytest.fixture
def monitor(config: Config) -> Iterator[Monitor]:
    """A monitor with an empty database, which has loaded no engine."""
    with Monitor(config) as monitor:
        yield monitor


@pytest.fixture
def lenient(tmp_path: Path) -> Path:
    """A rubric by which no call is urgent."""
    return make_lenient_rubric(tmp_path)


def store_call(
    monitor: Monitor,
    call_id: str = "calls-1",
    *,
    rubric: Path | None = None,
    queue: str | None = None,
    is_noticed: bool = True,
) -> CallRecord:
    """A call whose agent missed an emergency, kept as scoring by ``rubric`` would keep it."""
    record = make_missed_emergency(
        call_id, rubric=load_rubric(rubric), queue=queue, is_noticed=is_noticed
    )
    alerts = raise_alerts(record, monitor._policy, now=NOW)
    monitor.store.save_record(record, alerts, now=NOW)
    return record


def reasons(monitor: Monitor, call_id: str = "calls-1") -> list[str]:
    return [stored.alert.reason for stored in monitor.store.alerts(call_id=call_id)]


# --- another rubric ------------------------------------------------------------------------------


def test_a_new_rubric_makes_a_new_card_of_stored_findings_and_keeps_the_old_one(
    monitor: Monitor, lenient: Path
) -> None:
    first = store_call(monitor)
    (result,) = monitor.rescore(rubric_file=lenient)
    assert result.is_changed
    assert result.before == first.scorecard
    record = monitor.record("calls-1")
    assert record.scorecard == result.after
    assert record.scorecard == make_scorecard(first.dialogue, first.findings, load_rubric(lenient))
    assert record.scorecard.escalated is EscalationOutcome.NOT_NEEDED
    assert replace(record, scorecard=first.scorecard, versions=first.versions) == first
    assert monitor.record("calls-1", rubric=first.scorecard.rubric_version) == first
    assert len(monitor.store.runs("calls-1")) == 1


def test_rescoring_needs_no_model_and_no_recording(monitor: Monitor, lenient: Path) -> None:
    store_call(monitor)
    monitor.rescore(rubric_file=lenient)
    assert not {"stages", "scorer", "recogniser", "redactor"} & monitor.__dict__.keys()


def test_rescoring_by_the_same_rubric_changes_and_stores_nothing(monitor: Monitor) -> None:
    store_call(monitor)
    (result,) = monitor.rescore()
    assert not result.is_changed
    assert len(monitor.cards("calls-1")) == 1


def test_going_back_to_a_rubric_takes_up_its_card_again(monitor: Monitor, lenient: Path) -> None:
    first = store_call(monitor)
    monitor.rescore(rubric_file=lenient)
    monitor.rescore()
    assert monitor.record("calls-1") == first
    assert [card.is_in_use for card in monitor.cards("calls-1")] == [True, False]


def test_a_dry_run_tells_the_same_and_stores_nothing(monitor: Monitor, lenient: Path) -> None:
    first = store_call(monitor, rubric=lenient)
    before = reasons(monitor)
    (tried,) = monitor.rescore(dry_run=True)
    assert monitor.record("calls-1") == first
    assert len(monitor.cards("calls-1")) == 1
    assert reasons(monitor) == before
    (done,) = monitor.rescore()
    assert (tried.before, tried.after) == (done.before, done.after)
    assert [alert.alert_id for alert in tried.alerts] == [alert.alert_id for alert in done.alerts]


def test_a_card_that_misses_an_emergency_raises_its_alert_once_and_hands_it_over(
    config: Config, lenient: Path, tmp_path: Path
) -> None:
    told = tmp_path / "alerts.jsonl"
    settings = config.model_dump()
    settings["alerts"] |= {"console": False, "jsonl_file": told}
    with Monitor(Config.model_validate(settings)) as monitor:
        store_call(monitor, rubric=lenient)
        assert MISSED not in reasons(monitor)
        (result,) = monitor.rescore()
        (alert,) = (alert for alert in result.alerts if alert.reason == MISSED)
        assert alert.severity is Severity.CRITICAL
        assert told.read_text().count(MISSED) == 1
        for rubric in (lenient, None):
            (again,) = monitor.rescore(rubric_file=rubric)
            assert not again.alerts
        monitor.deliver_alerts(retry_now=True)
        assert told.read_text().count(MISSED) == 1
        assert len(monitor.store.alert_events(alert.alert_id)) == 1


def test_an_alert_whose_cause_is_gone_stays_and_is_told_of_while_it_is_open(
    monitor: Monitor, lenient: Path
) -> None:
    store_call(monitor)
    (result,) = monitor.rescore(rubric_file=lenient)
    assert MISSED in result.outdated_alerts
    assert MISSED in reasons(monitor)
    for stored in monitor.alerts():
        monitor.store.set_alert_state(stored.alert.alert_id, AlertState.RESOLVED, now=NOW)
    (result,) = monitor.rescore(rubric_file=lenient)
    assert not result.outdated_alerts


def test_a_card_beside_leaves_the_one_in_use_and_raises_nothing(
    monitor: Monitor, lenient: Path
) -> None:
    own = load_rubric(lenient).full_version
    first = store_call(monitor, rubric=lenient)
    before = reasons(monitor)
    shipped = make_rubric_file(lenient.with_name("other.toml"), name="other")
    (result,) = monitor.rescore(rubric_file=shipped, beside=True)
    assert result.is_changed
    assert not result.alerts
    assert reasons(monitor) == before
    assert monitor.record("calls-1") == first
    other = monitor.record("calls-1", rubric="other-" + load_rubric().version).scorecard
    assert other.escalated is EscalationOutcome.MISSED
    compared = monitor.compare_rubrics(own, other.rubric_version)
    assert (compared.calls, compared.other_outcome) == (1, 1)


def test_departments_are_rescored_each_by_its_own_rubric(config: Config, lenient: Path) -> None:
    settings = config.model_dump()
    settings["scoring"]["department_rubrics"] = {"desk": lenient}
    with Monitor(Config.model_validate(settings)) as monitor:
        for number, queue in enumerate(("desk", "nurses", None), start=1):
            store_call(monitor, f"calls-{number}", queue=queue)
        assert [one.is_changed for one in monitor.rescore()] == [True, False, False]
        desk, default = load_rubric(lenient).full_version, load_rubric().full_version
        assert monitor.record("calls-1").scorecard.rubric_version == desk
        listed = {one.rubric_version: one for one in monitor.rubrics()}
        assert listed.keys() == {desk, default}
        assert (listed[desk].queues, listed[desk].is_default) == (("desk",), False)
        assert listed[default].is_default
        stored = listed[default].stored
        assert stored is not None
        assert (stored.calls, stored.in_use) == (3, 2)


def test_calls_are_chosen_by_name_or_by_agent_queue_and_time(
    monitor: Monitor, lenient: Path
) -> None:
    for number, queue in enumerate(("desk", "nurses"), start=1):
        store_call(monitor, f"calls-{number}", queue=queue)
    assert [one.call_id for one in monitor.rescore(queue="nurses")] == ["calls-2"]
    assert [one.call_id for one in monitor.rescore(["calls-2", "calls-1", "calls-2"])] == [
        "calls-2",
        "calls-1",
    ]
    assert len(monitor.rescore(agent_id="A-1", since=NOW)) == 2
    with pytest.raises(NotFoundError):
        monitor.rescore(until=NOW)
    with pytest.raises(UsageError):
        monitor.rescore(["calls-1"], queue="desk")
    with pytest.raises(UsageError):
        monitor.rescore(beside=True)


def test_a_broken_record_stops_no_other(monitor: Monitor, lenient: Path) -> None:
    for number in (1, 2, 3, 4):
        store_call(monitor, f"calls-{number}")
    file = monitor.config.data.folder / "qa-monitor.sqlite"
    connection = sqlite3.connect(file)
    for number, broken in ((1, "zebrafish {"), (2, '[{"task": "zebrafish"}]')):
        connection.execute("UPDATE transcripts SET findings = ? WHERE run_id = ?", (broken, number))
    connection.commit()
    connection.close()
    results = monitor.rescore(
        ["calls-1", "calls-2", "calls-3", "calls-4", "calls-9"], rubric_file=lenient
    )
    assert [type(one.error) for one in results] == [
        StoreError,
        StoreError,
        type(None),
        type(None),
        NotFoundError,
    ]
    assert all("zebrafish" not in str(one.error) for one in results)
    assert all("calls-1" in one.error.message for one in results[:1] if one.error)
    assert monitor.record("calls-4").scorecard.rubric_version.startswith("lenient-")


def test_a_fault_of_scoring_fails_its_call_alone_and_without_its_words(
    monitor: Monitor, lenient: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_call(monitor)
    other = store_call(monitor, "calls-2")

    def breaks_on_one(
        dialogue: RedactedDialogue, findings: Sequence[Finding], rubric: Rubric, **known: Any
    ) -> Scorecard:
        if dialogue.call_id == "calls-2":
            raise RuntimeError(dialogue.turns[1].text)
        return make_scorecard(dialogue, findings, rubric, **known)

    monkeypatch.setattr(rescoring, "make_scorecard", breaks_on_one)
    good, bad = monitor.rescore(rubric_file=lenient)
    assert good.is_changed
    assert isinstance(bad.error, ScoringError)
    assert bad.error.kind == "RuntimeError"
    shown = "".join(traceback.format_exception(bad.error))
    assert "calls-2" in shown
    assert "crushing" not in shown
    assert monitor.record("calls-2") == other


def test_phi_that_was_heard_in_the_kept_sound_still_asks_for_review(
    monitor: Monitor, lenient: Path
) -> None:
    record = store_call(monitor)
    leak = AudiblePhi(
        start_s=1.0,
        end_s=2.0,
        entity_type=EntityType.PERSON,
        reason="heard_again",
        confidence=0.8,
        is_sure=True,
    )
    assert monitor.store.note_verification(mark(record, Verification(version="1", places=(leak,))))
    (result,) = monitor.rescore(rubric_file=lenient)
    assert result.after is not None
    assert any(reason.endswith("leak") for reason in result.after.review_reasons)
    (again,) = monitor.rescore(rubric_file=lenient)
    assert not again.is_changed


def test_a_summary_counts_changes_and_gives_the_means_before_and_after(
    monitor: Monitor, lenient: Path
) -> None:
    store_call(monitor)
    store_call(monitor, "calls-2", is_noticed=False)
    results = monitor.rescore(["calls-1", "calls-2", "calls-9"], rubric_file=lenient)
    summary = summarise(results)
    assert (summary.changed, summary.unchanged, summary.failed) == (1, 1, 1)
    (urgency,) = (one for one in summary.criteria if one.criterion is Criterion.URGENCY)
    assert (urgency.mean_before, urgency.mean_after, urgency.changed) == (1.5, 0, 1)
    (escalation,) = (one for one in summary.criteria if one.criterion is Criterion.ESCALATION)
    assert (escalation.calls_before, escalation.calls_after) == (1, 0)
    assert escalation.mean_after is None


def test_a_repeat_caller_is_found_when_an_earlier_call_was_scored_later(monitor: Monitor) -> None:
    def answer() -> ChecklistAnswer:
        card = monitor.record("calls-2").scorecard
        return next(item.answer for item in card.checklist if item.item == "earlier_calls")

    for call_id, at in (("calls-2", NOW), ("calls-1", NOW - timedelta(days=6))):
        record = store_call(monitor, call_id)
        caller = replace(record.recording, caller_key="key", started_at=at)
        monitor.store.save_record(replace(record, recording=caller), (), now=NOW)
    assert answer() is ChecklistAnswer.NOT_APPLICABLE
    monitor.rescore(["calls-2"])
    assert answer() is ChecklistAnswer.NO
    monitor.config = monitor.config.model_copy(update={"scoring": ScoringSettings(repeat_days=5)})
    monitor.rescore(["calls-2"])
    assert answer() is ChecklistAnswer.NOT_APPLICABLE


# --- swapped roles -------------------------------------------------------------------------------


def turned(dialogue: RedactedDialogue) -> RedactedDialogue:
    """``dialogue`` as a diarizer that mistook agent for caller would have had it."""
    other = {Role.AGENT: Role.CALLER, Role.CALLER: Role.AGENT}
    return replace(
        dialogue,
        turns=tuple(
            replace(turn, role=other[turn.role], role_confidence=0.8) for turn in dialogue.turns
        ),
    )


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return build_scorer(Config())


@pytest.fixture
def mistaken(monitor: Monitor, scorer: Scorer) -> CallRecord:
    """The call with its roles mistaken, scored by the real model and kept."""
    monitor.__dict__["scorer"] = scorer
    right = store_call(monitor)
    dialogue = turned(right.dialogue)
    findings = scorer.find(dialogue)
    card = scorer.score(dialogue, findings)
    record = replace(
        right,
        dialogue=dialogue,
        findings=findings,
        scorecard=card,
        metrics={**call_metrics(dialogue), "hold_s": 3.0},
        versions={"scoring": scorer.version, "rubric": card.rubric_version},
    )
    monitor.store.delete_call("calls-1")
    monitor.store.save_record(record, raise_alerts(record, monitor._policy, now=NOW), now=NOW)
    return record


def test_swapped_roles_make_a_new_run_that_says_so(monitor: Monitor, mistaken: CallRecord) -> None:
    result = monitor.swap_roles("calls-1")
    after = monitor.record("calls-1")
    assert result.is_changed
    assert (result.before, result.after) == (mistaken.scorecard, after.scorecard)
    assert [turn.role for turn in after.dialogue.turns] == [role for role, _ in MISSED_EMERGENCY]
    assert {turn.role_confidence for turn in after.dialogue.turns} == {1.0}
    assert [turn.text for turn in after.dialogue.turns] == [text for _, text in MISSED_EMERGENCY]
    assert ROLES_SWAPPED in after.warnings
    assert set(mistaken.warnings) < set(after.warnings)
    first, second = monitor.store.runs("calls-1")
    assert after.versions["roles"] == f"swapped-from-run-{first.run_id}"
    assert monitor.store.record("calls-1", run_id=first.run_id) == mistaken
    assert second.rubric_version == after.scorecard.rubric_version


@pytest.mark.usefixtures("mistaken")
def test_swapped_roles_find_the_emergency_and_raise_its_alert(monitor: Monitor) -> None:
    assert MISSED not in reasons(monitor)
    result = monitor.swap_roles("calls-1")
    assert points_of(monitor.record("calls-1").scorecard, Criterion.URGENCY) == 3
    assert MISSED in [alert.reason for alert in result.alerts]
    assert MISSED in reasons(monitor)


def test_swapped_roles_measure_the_call_anew_and_keep_what_is_not_measured_on_its_words(
    monitor: Monitor, mistaken: CallRecord
) -> None:
    monitor.swap_roles("calls-1")
    after = monitor.record("calls-1").metrics
    assert after["agent_turns"] == mistaken.metrics["caller_turns"]
    assert after["agent_talk_share"] == pytest.approx(mistaken.metrics["caller_talk_share"])
    assert after["hold_s"] == 3.0


def test_swapping_twice_gives_what_was_there_first(monitor: Monitor, mistaken: CallRecord) -> None:
    monitor.swap_roles("calls-1")
    result = monitor.swap_roles("calls-1")
    assert monitor.record("calls-1") == mistaken
    assert result.after == mistaken.scorecard
    assert len(monitor.store.runs("calls-1")) == 3
    monitor.swap_roles("calls-1")
    assert ROLES_SWAPPED in monitor.record("calls-1").warnings


@pytest.mark.usefixtures("mistaken")
def test_a_swapped_call_is_scored_by_its_departments_rubric(
    config: Config, monitor: Monitor, lenient: Path
) -> None:
    record = monitor.record("calls-1")
    record = replace(record, recording=replace(record.recording, queue="desk"))
    monitor.store.save_record(record, (), now=NOW)
    settings = config.model_dump()
    settings["scoring"]["department_rubrics"] = {"desk": lenient}
    with Monitor(Config.model_validate(settings)) as other:
        other.__dict__["scorer"] = monitor.scorer
        other.swap_roles("calls-1")
    assert monitor.record("calls-1").scorecard.rubric_version.startswith("lenient-")


def test_a_call_without_known_roles_has_nothing_to_swap(monitor: Monitor) -> None:
    record = store_call(monitor)
    unknown = replace(
        record.dialogue,
        turns=tuple(replace(turn, role=Role.UNKNOWN) for turn in record.dialogue.turns),
    )
    monitor.store.save_record(replace(record, dialogue=unknown), (), now=NOW)
    with pytest.raises(UsageError, match="nothing to swap"):
        monitor.swap_roles("calls-1")
    assert len(monitor.store.runs("calls-1")) == 2


def test_an_unknown_call_is_told_of_before_any_model_is_loaded(monitor: Monitor) -> None:
    with pytest.raises(NotFoundError):
        monitor.swap_roles("calls-9")
    assert "scorer" not in monitor.__dict__
