"""The review queue: who is asked for what, once, in which order, and what is read blind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from invented_records import NOW, make_record, make_score

from qa_monitor.calls import Alert, CallRecord, Criterion, EscalationOutcome, Severity
from qa_monitor.errors import NotFoundError, UsageError
from qa_monitor.reviewing import QueuePolicy, Reason, refresh_queue, shown_reasons
from qa_monitor.store import (
    Access,
    Agent,
    ReviewKind,
    ReviewTask,
    Scope,
    SkipReason,
    Store,
    TaskPurpose,
    TaskState,
    open_store,
)

HOUR = timedelta(hours=1)
EVERYTHING = Scope(all_calls=True)
POLICY = QueuePolicy(
    key=b"of this test", random_share=0, double_share=0, days_back=60, per_agent_floor=0
)
EVERY_CALL_AT_RANDOM = replace(POLICY, random_share=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'qa-monitor.sqlite'}") as store:
        yield store


@pytest.fixture
def refresh(store: Store) -> Callable[..., int]:
    def refreshed(policy: QueuePolicy = POLICY, *, after: timedelta = timedelta(0)) -> int:
        return refresh_queue(store, policy, now=NOW + after)

    return refreshed


def quiet(call_id: str, **changes: object) -> CallRecord:
    """A call that nobody needs to look at."""
    values: dict[str, object] = {"urgency": 0, "escalated": EscalationOutcome.NOT_NEEDED}
    return make_record(call_id, **(values | changes))  # type: ignore[arg-type]


def keep(store: Store, *records: CallRecord) -> None:
    store.save_records([(record, (), NOW) for record in records])


def open_tasks(store: Store, **chosen: object) -> list[ReviewTask]:
    return list(store.queueing.tasks(EVERYTHING, **chosen))  # type: ignore[arg-type]


def take_next(store: Store, user_id: str, *, after: timedelta = timedelta(0)) -> str | None:
    task = store.queueing.next(user_id, scope=EVERYTHING, now=NOW + after, lease=HOUR)
    return None if task is None else task.call_id


def review(
    store: Store, call_id: str, user_id: str, *, is_blind: bool = False, empathy: int | None = 3
) -> None:
    """A whole review, as the page of one call makes it."""
    values: dict[Criterion, int | None] = dict.fromkeys(Criterion)
    values |= {Criterion.EMPATHY: empathy, Criterion.URGENCY: 0}
    for criterion, points in values.items():
        store.reviews.correct(
            call_id,
            criterion.value,
            user_id=user_id,
            points=points,
            reason="as heard",
            now=NOW,
            is_blind=is_blind,
        )
    kind = ReviewKind.BLIND if is_blind else ReviewKind.NORMAL
    store.reviews.finish(call_id, user_id=user_id, now=NOW, kind=kind)


# --- what is asked for ---------------------------------------------------------------------------


def test_a_quiet_call_is_not_asked_for(store: Store, refresh: Callable[..., int]) -> None:
    keep(store, quiet("calls-1"))
    assert refresh() == 1
    assert open_tasks(store) == []


def test_what_matters_most_stands_first_and_the_newest_before_the_older(
    store: Store, refresh: Callable[..., int]
) -> None:
    def scored(call_id: str, **changes: object) -> CallRecord:
        record = quiet(call_id)
        return replace(record, scorecard=replace(record.scorecard, **changes))  # type: ignore[arg-type]

    keep(
        store,
        quiet("unsure", needs_review=True),
        scored("failed", auto_failed=("identity",)),
        scored("red-flag", needs_review=True, review_reasons=("red_flag_unsure",)),
        quiet("urgent", urgency=2, escalated=EscalationOutcome.PROPERLY),
        make_record("missed"),
        make_record("missed-later", started_at=NOW + HOUR),
    )
    refresh()
    assert [(task.call_id, task.reason) for task in open_tasks(store)] == [
        ("missed-later", "missed"),
        ("missed", "missed"),
        ("red-flag", "red_flag"),
        ("urgent", "urgent"),
        ("failed", "auto_failed"),
        ("unsure", "unsure"),
    ]
    assert store.queueing.counts(EVERYTHING) == {
        "missed": 2,
        "red_flag": 1,
        "urgent": 1,
        "auto_failed": 1,
        "unsure": 1,
    }


def test_nothing_is_worked_out_twice_until_something_changes(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, make_record("calls-1"))
    assert refresh() == 1
    assert refresh() == 0
    keep(store, make_record("calls-1"))
    assert refresh() == 1
    assert len(open_tasks(store)) == 1


def test_a_call_scored_anew_without_its_reason_is_no_longer_asked_for(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, make_record("calls-1"), make_record("calls-2"))
    refresh()
    store.queueing.next("rita", scope=EVERYTHING, now=NOW, lease=HOUR)
    keep(store, quiet("calls-1"), quiet("calls-2"))
    refresh()
    # But for the one that somebody is at.
    assert [task.taken_by for task in open_tasks(store)] == ["rita"]


def test_a_call_grown_too_old_lapses(store: Store, refresh: Callable[..., int]) -> None:
    keep(store, make_record("calls-1"), make_record("calls-2", started_at=NOW - 61 * 24 * HOUR))
    refresh()
    assert [task.call_id for task in open_tasks(store)] == ["calls-1"]
    refresh(after=61 * 24 * HOUR)
    assert open_tasks(store) == []
    assert [task.call_id for task in open_tasks(store, state=TaskState.GONE)] == ["calls-1"]


def test_another_policy_looks_at_every_call_again(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, quiet("calls-1"), quiet("calls-2"))
    refresh()
    assert refresh(EVERY_CALL_AT_RANDOM) == 2
    assert len(open_tasks(store)) == 2


def test_many_changes_can_be_looked_at_in_parts(store: Store) -> None:
    keep(store, *(make_record(f"calls-{n}") for n in range(600)))
    assert refresh_queue(store, POLICY, now=NOW, most=1) == 500
    assert store.queueing.unseen() == 100
    assert refresh_queue(store, POLICY, now=NOW, most=1) == 100
    assert store.queueing.unseen() == 0
    assert store.queueing.counts(EVERYTHING) == {"missed": 600}


def test_a_dispute_is_asked_for_however_old_its_call_is(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, quiet("calls-1", started_at=NOW - 90 * 24 * HOUR))
    store.coaching.raise_dispute(
        "calls-1",
        Criterion.EMPATHY,
        "I did say that I was sorry",
        agent_id="A-1",
        by="agnes",
        now=NOW,
        within=timedelta(days=14),
    )
    refresh()
    assert [task.purpose for task in open_tasks(store)] == [TaskPurpose.DISPUTE]


def test_a_false_alarm_asks_for_a_review(store: Store, refresh: Callable[..., int]) -> None:
    alert = Alert(
        alert_id="alert-1",
        call_id="calls-1",
        severity=Severity.HIGH,
        reason="rule",
        evidence=(),
        raised_at=NOW,
    )
    store.save_record(quiet("calls-1"), [alert], now=NOW)
    refresh()
    assert open_tasks(store) == []
    store.alerting.set_state("alert-1", "false_alarm", by="sam", now=NOW)
    refresh()
    assert [task.reason for task in open_tasks(store)] == ["false_alarm"]


def test_a_dispute_is_a_task_of_its_own_until_it_is_resolved(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, quiet("calls-1"))
    review(store, "calls-1", "rita")
    dispute = store.coaching.raise_dispute(
        "calls-1",
        Criterion.EMPATHY,
        agent_id="A-1",
        by="agnes",
        reason="I did say that I was sorry",
        now=NOW,
        within=timedelta(days=14),
    )
    refresh()
    (task,) = open_tasks(store)
    assert (task.purpose, shown_reasons(task)) == (TaskPurpose.DISPUTE, (Reason.DISPUTED,))
    # Who reviewed the call may answer for it.
    assert take_next(store, "rita") == "calls-1"
    assert not store.queueing.is_blind("rita", "calls-1")
    store.coaching.withdraw_dispute(dispute.dispute_id, agent_id="A-1", by="agnes", now=NOW)
    refresh()
    assert open_tasks(store) == []


def test_a_deleted_call_leaves_no_task(store: Store, refresh: Callable[..., int]) -> None:
    keep(store, make_record("calls-1"))
    refresh()
    store.delete_call("calls-1")
    assert open_tasks(store) == []


# --- the sample ----------------------------------------------------------------------------------


def test_the_draw_is_the_same_each_time_and_knows_no_score(tmp_path: Path) -> None:
    drawn = []
    for urgency in (0, 3):
        with open_store(f"sqlite:///{tmp_path / f'{urgency}.sqlite'}") as store:
            keep(store, *(make_record(f"calls-{n}", urgency=urgency) for n in range(300)))
            refresh_queue(store, replace(POLICY, random_share=0.1), now=NOW)
            tasks = store.queueing.tasks(EVERYTHING, reason="random", limit=300)
            assert all(task.is_random and task.is_blind for task in tasks)
            drawn.append([task.call_id for task in tasks])
    assert drawn[0] == drawn[1]
    assert 15 <= len(drawn[0]) <= 50


def test_the_place_and_the_words_of_a_drawn_call_tell_nothing_of_its_scores(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, make_record("calls-1"))
    refresh(EVERY_CALL_AT_RANDOM)
    (task,) = open_tasks(store)
    assert task.reasons == ("random", "missed", "urgent")
    assert shown_reasons(task) == (Reason.RANDOM,)
    assert store.queueing.counts(EVERYTHING) == {"random": 1}
    take_next(store, "rita")
    review(store, "calls-1", "rita", is_blind=True)
    (done,) = open_tasks(store, state=TaskState.DONE)
    assert shown_reasons(done) == (Reason.RANDOM, Reason.MISSED, Reason.URGENT)


def test_a_drawn_call_reviewed_in_passing_still_waits_for_a_blind_reader(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, quiet("calls-1"))
    refresh(EVERY_CALL_AT_RANDOM)
    review(store, "calls-1", "rita")
    refresh(EVERY_CALL_AT_RANDOM)
    assert [task.is_random for task in open_tasks(store)] == [True]
    assert take_next(store, "rita") is None
    assert take_next(store, "cora") == "calls-1"


def test_who_has_seen_a_calls_scores_is_not_asked_to_read_it_blind(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, quiet("calls-1"))
    refresh(EVERY_CALL_AT_RANDOM)
    for user_id, action in (("rita", "call.view"), ("cora", "call.view_blind")):
        seen = Access(
            at=NOW, user_id=user_id, via="session", action=action, kind="call", object_id="calls-1"
        )
        store.access_log.note([seen])
    assert take_next(store, "rita") is None
    assert take_next(store, "cora") == "calls-1"


def test_what_was_drawn_stays_drawn_when_fewer_are(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, quiet("calls-1"))
    refresh(EVERY_CALL_AT_RANDOM)
    refresh(POLICY)
    assert [task.is_random for task in open_tasks(store)] == [True]


def test_it_is_told_what_became_of_the_sample(store: Store, refresh: Callable[..., int]) -> None:
    keep(store, *(quiet(f"calls-{n}") for n in range(4)))
    refresh(EVERY_CALL_AT_RANDOM)
    take_next(store, "rita")
    (task,) = open_tasks(store, held_by="rita")
    review(store, task.call_id, "rita", is_blind=True)
    other = open_tasks(store)[0]
    store.queueing.skip(other.task_id, "rita", SkipReason.UNUSABLE, scope=EVERYTHING, now=NOW)
    (count,) = store.queueing.sample(EVERYTHING)
    assert (count.month, count.drawn, count.read_blind, count.waiting, count.unusable) == (
        "2026-03",
        4,
        1,
        2,
        1,
    )
    assert store.queueing.sample(Scope()) == ()


# --- second readings -----------------------------------------------------------------------------


def test_a_share_of_reviewed_calls_is_read_by_a_second_person_blind(
    store: Store, refresh: Callable[..., int]
) -> None:
    policy = replace(POLICY, double_share=1)
    keep(store, quiet("calls-1"))
    refresh(policy)
    review(store, "calls-1", "rita", empathy=3)
    refresh(policy)
    (task,) = open_tasks(store)
    assert (task.purpose, task.is_blind, task.is_random) == (TaskPurpose.SECOND, True, False)
    assert take_next(store, "rita") is None
    assert take_next(store, "cora") == "calls-1"
    assert store.queueing.is_blind("cora", "calls-1")
    assert not store.queueing.is_blind("rita", "calls-1")
    review(store, "calls-1", "cora", is_blind=True, empathy=3)
    assert not store.queueing.is_blind("cora", "calls-1")
    refresh(policy)
    assert open_tasks(store) == []


def test_a_second_reading_of_the_sample_is_of_the_sample(
    store: Store, refresh: Callable[..., int]
) -> None:
    policy = replace(EVERY_CALL_AT_RANDOM, double_share=1)
    keep(store, quiet("calls-1"))
    refresh(policy)
    take_next(store, "rita")
    review(store, "calls-1", "rita", is_blind=True)
    refresh(policy)
    assert [(task.purpose, task.is_random) for task in open_tasks(store)] == [
        (TaskPurpose.SECOND, True)
    ]


def test_who_differs_by_two_points_from_the_machine_is_followed_by_a_second_reader(
    store: Store, refresh: Callable[..., int]
) -> None:
    # The machine gives 2.5 for empathy, which is a 3.
    keep(store, quiet("calls-1"), quiet("calls-2"))
    review(store, "calls-1", "rita", empathy=5)
    review(store, "calls-2", "rita", empathy=4)
    refresh()
    (task,) = open_tasks(store)
    assert (task.call_id, task.reasons) == ("calls-1", ("second", "differs"))
    assert shown_reasons(task) == (Reason.SECOND,)


def test_two_readers_who_differ_are_followed_by_a_third(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, quiet("calls-1"))
    review(store, "calls-1", "rita", empathy=1)
    review(store, "calls-1", "cora", empathy=4)
    refresh()
    (task,) = open_tasks(store)
    assert task.purpose is TaskPurpose.THIRD
    assert take_next(store, "cora") is None
    assert take_next(store, "dora") == "calls-1"
    review(store, "calls-1", "dora", is_blind=True, empathy=4)
    refresh()
    assert open_tasks(store) == []


# --- fair shares ---------------------------------------------------------------------------------


def test_each_agent_has_some_calls_reviewed_each_month(
    store: Store, refresh: Callable[..., int]
) -> None:
    policy = replace(POLICY, per_agent_floor=2)
    keep(
        store,
        *(quiet(f"a-{n}", agent_id="A-1") for n in range(5)),
        *(quiet(f"b-{n}", agent_id="B-1") for n in range(5)),
        quiet("b-old", agent_id="B-1", started_at=NOW - 30 * 24 * HOUR),
        quiet("nobodys", agent_id=None),
    )
    review(store, "b-3", "rita")
    refresh(policy)
    tasks = open_tasks(store)
    assert sorted((task.agent_id, task.reason) for task in tasks) == [
        ("A-1", "coverage"),
        ("A-1", "coverage"),
        ("B-1", "coverage"),
    ]
    refresh(policy, after=2 * HOUR)
    assert len(open_tasks(store)) == 3


# --- handing out ---------------------------------------------------------------------------------


def test_two_reviewers_never_get_the_same_call_at_once(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, *(make_record(f"calls-{n}") for n in range(8)))
    refresh()
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda n: take_next(store, f"reviewer-{n}"), range(8)))
    assert sorted(filter(None, given)) == [f"calls-{n}" for n in range(8)]


def test_what_somebody_took_is_theirs_until_the_time_is_over(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, make_record("calls-1"))
    refresh()
    assert take_next(store, "rita") == "calls-1"
    assert take_next(store, "rita") == "calls-1"
    assert take_next(store, "cora", after=HOUR / 2) is None
    assert take_next(store, "cora", after=2 * HOUR) == "calls-1"
    task = store.queueing.task_of("cora", "calls-1")
    assert task is not None
    with pytest.raises(UsageError, match="another reviewer's"):
        store.queueing.take(
            task.task_id, "rita", scope=EVERYTHING, now=NOW + 2.5 * HOUR, lease=HOUR
        )


def test_what_is_put_back_is_anybodys_again(store: Store, refresh: Callable[..., int]) -> None:
    keep(store, make_record("calls-1"))
    refresh()
    take_next(store, "rita")
    (task,) = open_tasks(store)
    with pytest.raises(UsageError, match="not yours"):
        store.queueing.put_back(task.task_id, "cora", scope=EVERYTHING)
    store.queueing.put_back(task.task_id, "rita", scope=EVERYTHING)
    assert take_next(store, "cora") == "calls-1"


def test_a_page_loaded_again_after_the_time_is_over_still_hides_what_it_hid(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, quiet("calls-1"))
    refresh(EVERY_CALL_AT_RANDOM)
    assert not store.queueing.is_blind("rita", "calls-1")
    take_next(store, "rita")
    assert store.queueing.is_blind("rita", "calls-1")
    assert take_next(store, "cora", after=2 * HOUR) == "calls-1"
    assert store.queueing.is_blind("cora", "calls-1")
    assert not store.queueing.is_blind("rita", "calls-1")


def test_nobody_gets_a_call_of_their_own_or_of_another_team(
    store: Store, refresh: Callable[..., int]
) -> None:
    store.people.set_agents(
        [
            Agent(agent_id="A-1", name=None, team="north"),
            Agent(agent_id="B-1", name=None, team="south"),
        ]
    )
    keep(store, make_record("calls-1"), make_record("calls-2", agent_id="B-1"))
    refresh()

    def given(scope: Scope) -> str | None:
        task = store.queueing.next("rita", scope=scope, now=NOW, lease=HOUR)
        return None if task is None else task.call_id

    assert given(Scope(all_calls=True, besides="A-1")) == "calls-2"
    assert given(Scope(teams=frozenset({"north"}))) == "calls-1"
    assert given(Scope(teams=frozenset({"north"}), besides="A-1")) is None
    task = open_tasks(store)[0]
    with pytest.raises(NotFoundError):
        store.queueing.task(task.task_id, Scope())


def test_an_assigned_call_is_offered_to_nobody_else_and_to_them_first(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, make_record("first", started_at=NOW + HOUR), make_record("second"))
    refresh()
    last = open_tasks(store)[1]
    store.queueing.assign([last.task_id], "cora", by="sam", scope=EVERYTHING, reach=EVERYTHING)
    assert take_next(store, "cora") == "second"
    assert take_next(store, "rita") == "first"
    assert store.queueing.workload(since=NOW) == {"cora": (1, 0)}
    review(store, "second", "cora")
    assert store.queueing.workload(since=NOW) == {"cora": (0, 1)}
    with pytest.raises(UsageError, match="cannot be given"):
        store.queueing.assign([last.task_id], None, by="sam", scope=EVERYTHING, reach=None)


def test_a_call_is_not_assigned_to_who_may_not_review_it_and_then_none_is(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, make_record("calls-1"), make_record("calls-2", agent_id="B-1"))
    refresh()
    tasks = [task.task_id for task in open_tasks(store)]
    reach = Scope(all_calls=True, besides="B-1")
    with pytest.raises(UsageError, match="Nothing was assigned"):
        store.queueing.assign(tasks, "rita", by="sam", scope=EVERYTHING, reach=reach)
    assert [task.assigned_to for task in open_tasks(store)] == [None, None]
    with pytest.raises(NotFoundError):
        store.queueing.assign([999], "rita", by="sam", scope=EVERYTHING, reach=EVERYTHING)


def test_who_passes_a_call_on_is_not_asked_again_but_others_are(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, make_record("calls-1"))
    refresh()
    take_next(store, "rita")
    (task,) = open_tasks(store)
    store.queueing.skip(
        task.task_id, "rita", SkipReason.CONFLICT, note="a neighbour", scope=EVERYTHING, now=NOW
    )
    assert take_next(store, "rita") is None
    assert [skip.note for skip in store.queueing.skips([task.task_id])] == ["a neighbour"]
    with pytest.raises(UsageError):
        store.queueing.assign([task.task_id], "rita", by="sam", scope=EVERYTHING, reach=EVERYTHING)
    assert take_next(store, "cora") == "calls-1"


def test_a_call_that_nobody_can_judge_is_closed_and_can_be_put_back(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, make_record("calls-1"))
    refresh()
    (task,) = open_tasks(store)
    store.queueing.skip(task.task_id, "rita", SkipReason.UNUSABLE, scope=EVERYTHING, now=NOW)
    assert open_tasks(store) == []
    keep(store, make_record("calls-1"))
    refresh()
    assert open_tasks(store) == []
    with pytest.raises(UsageError):
        store.queueing.skip(task.task_id, "rita", SkipReason.OTHER, scope=EVERYTHING, now=NOW)
    store.queueing.reopen(task.task_id, scope=EVERYTHING, now=NOW)
    assert take_next(store, "rita") == "calls-1"


def test_a_review_that_nobody_asked_for_closes_what_was_asked(
    store: Store, refresh: Callable[..., int]
) -> None:
    keep(store, make_record("calls-1"), make_record("calls-2"))
    refresh()
    assert take_next(store, "cora") == "calls-1"
    review(store, "calls-2", "rita")
    # Somebody else is at this one.
    review(store, "calls-1", "rita")
    refresh()
    assert "calls-2" not in [t.call_id for t in open_tasks(store) if t.purpose == "first"]
    assert [t.call_id for t in open_tasks(store) if t.purpose == "first"] == ["calls-1"]


def test_the_queue_is_turned_over_page_by_page(store: Store, refresh: Callable[..., int]) -> None:
    keep(store, *(make_record(f"calls-{n}") for n in range(7)))
    refresh()
    whole = [task.task_id for task in open_tasks(store)]
    paged: list[int] = []
    while page := open_tasks(store, after=paged[-1] if paged else None, limit=3):
        paged += [task.task_id for task in page]
    assert paged == whole
    with pytest.raises(NotFoundError):
        open_tasks(store, after=999)


def test_scores_of_a_reviewed_call_are_no_reason_to_ask_again(
    store: Store, refresh: Callable[..., int]
) -> None:
    record = make_record("calls-1", escalated=None)
    scores = (make_score(Criterion.EMPATHY, 3.0), make_score(Criterion.URGENCY, 0, max_points=3))
    card = replace(record.scorecard, scores=scores, needs_review=True)
    keep(store, replace(record, scorecard=card))
    refresh()
    assert len(open_tasks(store)) == 1
    for criterion in (Criterion.EMPATHY, Criterion.URGENCY):
        store.reviews.agree("calls-1", [criterion.value], user_id="rita", now=NOW)
    store.reviews.finish("calls-1", user_id="rita", now=NOW)
    keep(store, replace(record, scorecard=card))
    refresh()
    assert open_tasks(store) == []
