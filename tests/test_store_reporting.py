"""What reports are made of: sums over many calls, and people's words before the machine's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from invented_records import NOW, make_record

from qa_monitor.calls import CallType, Criterion
from qa_monitor.store import Agent, Scope, ScoreSum, Store, open_store
from qa_monitor.store.reviews import CALL_TYPE

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Two calls of A-1 and one of A-2, each with 2.5 for empathy; one of nobody."""
    with open_store(f"sqlite:///{tmp_path / 'qa.sqlite'}") as store:
        store.people.set_agents([Agent(agent_id="A-1", name=None, team="north")])
        for number, agent_id in enumerate(("A-1", "A-1", "A-2", None)):
            record = make_record(
                f"calls-{number}", agent_id=agent_id, started_at=NOW + number * HOUR
            )
            store.save_record(record, (), now=NOW)
        yield store


def empathy(store: Store, agent_id: str, **chosen: object) -> ScoreSum | None:
    found = [
        one
        for one in store.reporting.sums(**chosen)  # type: ignore[arg-type]
        if one.agent_id == agent_id and one.criterion is Criterion.EMPATHY
    ]
    return found[0] if found else None


def test_sums_are_of_each_agents_calls_with_points(store: Store) -> None:
    found = empathy(store, "A-1")
    assert found is not None
    assert (found.team, found.calls, found.points, found.squares) == ("north", 2, 5.0, 12.5)
    assert {one.agent_id for one in store.reporting.sums()} == {"A-1", "A-2"}
    assert Criterion.ACTIVE_LISTENING not in {one.criterion for one in store.reporting.sums()}


def test_sums_keep_to_the_period_and_the_scope(store: Store) -> None:
    found = empathy(store, "A-1", since=NOW + HOUR, until=NOW + 9 * HOUR)
    assert found is not None
    assert found.calls == 1
    assert empathy(store, "A-1", since=NOW + 2 * HOUR) is None
    assert empathy(store, "A-2", scope=Scope(teams=frozenset({"north"}))) is None


def test_a_correction_counts_in_place_of_the_machines_points(store: Store) -> None:
    store.reviews.correct(
        "calls-0", "empathy", user_id="rita", points=5, reason="Warm throughout", now=NOW
    )
    found = empathy(store, "A-1")
    assert found is not None
    assert (found.calls, found.points) == (2, 7.5)
    (first, _) = store.reporting.calls("A-1")
    assert first.points[Criterion.EMPATHY] == 2.5
    assert first.corrections["empathy"].points == 5
    assert first.corrections["empathy"].by == "rita"


def test_what_a_person_finds_not_assessable_is_counted_nowhere(store: Store) -> None:
    store.reviews.correct(
        "calls-0", "empathy", user_id="rita", points=None, reason="No occasion", now=NOW
    )
    found = empathy(store, "A-1")
    assert found is not None
    assert found.calls == 1


def test_the_latest_word_counts_whoever_said_it(store: Store) -> None:
    reviews = store.reviews
    reviews.correct("calls-0", "empathy", user_id="rita", points=5, reason="Warm", now=NOW)
    reviews.correct("calls-0", "empathy", user_id="randall", points=4, reason="Nearly", now=NOW)
    found = empathy(store, "A-1")
    assert found is not None
    assert found.points == 6.5
    reviews.agree("calls-0", ["empathy"], user_id="rita", now=NOW)
    found = empathy(store, "A-1")
    assert found is not None
    assert found.points == 5.0
    assert store.reporting.calls("A-1")[0].corrections == {}


def test_a_blind_judgement_corrects_nothing(store: Store) -> None:
    store.reviews.correct(
        "calls-0", "empathy", user_id="rita", points=5, reason=None, now=NOW, is_blind=True
    )
    assert store.reporting.calls("A-1")[0].corrections == {}


def test_a_new_scoring_begins_without_the_corrections_of_the_old(store: Store) -> None:
    store.reviews.correct("calls-0", "empathy", user_id="rita", points=5, reason="Warm", now=NOW)
    store.save_record(make_record("calls-0", agent_id="A-1"), (), now=NOW + HOUR)
    found = empathy(store, "A-1")
    assert found is not None
    assert found.points == 5.0


def test_calls_come_without_words_and_with_what_was_corrected(store: Store) -> None:
    store.reviews.correct(
        "calls-1", CALL_TYPE, user_id="rita", answer="billing", reason="A bill", now=NOW
    )
    found = store.reporting.calls("A-1")
    assert [call.recording.call_id for call in found] == ["calls-0", "calls-1"]
    assert found[0].metrics == {"agent_talk_share": 0.4}
    assert found[1].call_type is CallType.EMERGENCY
    assert found[1].corrections[CALL_TYPE].answer == "billing"
    assert store.reporting.calls("A-1", call_id="calls-1") == found[1:]
    assert store.reporting.calls("A-1", call_id="calls-2") == ()


def test_counts_are_of_the_period_and_the_scope(store: Store) -> None:
    counts = store.reporting.counts
    assert counts() == {"A-1": 2, "A-2": 1}
    assert counts(since=NOW + HOUR) == {"A-1": 1, "A-2": 1}
    assert counts(scope=Scope(agent_id="A-2")) == {"A-2": 1}
