"""What people say of calls is kept beside what the machine says, and nothing is ever lost of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from invented_records import NOW, make_record, make_score
from sqlalchemy import create_engine, text

from qa_monitor.calls import (
    CallRecord,
    ChecklistAnswer,
    ChecklistItem,
    Criterion,
    EscalationOutcome,
    ScoreStatus,
)
from qa_monitor.errors import NotFoundError, UsageError
from qa_monitor.store import (
    Agent,
    AlertState,
    JudgementKind,
    RescoringKind,
    ReviewKind,
    Scope,
    Store,
    open_store,
)
from qa_monitor.store.reviews import CALL_TYPE, OUTCOME, checklist_subject, scale_of

POSTGRESQL = os.environ.get("QA_MONITOR_TEST_POSTGRESQL")
MINUTE = timedelta(minutes=1)
GREETING = checklist_subject("greeting")


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRESQL else ["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'qa-monitor.sqlite'}"
    if request.param == "postgresql" and POSTGRESQL:
        engine = create_engine(POSTGRESQL)
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        engine.dispose()
        url = POSTGRESQL
    with open_store(url) as store:
        yield store


def make_call(call_id: str = "calls-1", *, agent_id: str | None = "A-1") -> CallRecord:
    """A call with a score, one that is left open, one that is not assessable, and a checklist."""
    record = make_record(call_id, agent_id=agent_id)
    card = record.scorecard
    scores = tuple(
        replace(
            score,
            status=ScoreStatus.ABSTAINED
            if score.criterion is Criterion.ACTIVE_LISTENING
            else ScoreStatus.SCORED,
            low=1.5,
            high=3.5,
        )
        for score in card.scores
    )
    greeting = ChecklistItem(
        item="greeting",
        answer=ChecklistAnswer.NO,
        weight=1.0,
        is_auto_fail=False,
        confidence=0.9,
        evidence=(),
        reason="No greeting was heard.",
    )
    return replace(record, scorecard=replace(card, scores=scores, checklist=(greeting,)))


def save(store: Store, call_id: str = "calls-1", *, agent_id: str | None = "A-1") -> int:
    return store.save_record(make_call(call_id, agent_id=agent_id), (), now=NOW)


def correct(store: Store, subject: str = "empathy", **more: object) -> object:
    values = {"user_id": "rita", "points": 4.0, "reason": "warm throughout", "now": NOW + MINUTE}
    return store.reviews.correct("calls-1", subject, **(values | more))  # type: ignore[arg-type]


# --- judging -------------------------------------------------------------------------------------


def test_a_correction_stands_beside_the_machines_score_and_changes_nothing_of_it(
    store: Store,
) -> None:
    run_id = save(store)
    before = store.record("calls-1")
    correct(store)
    (judged,) = store.reviews.judged()
    assert (judged.judgement.points, judged.machine_points) == (4.0, 2.5)
    assert (judged.machine_low, judged.machine_high) == (1.5, 3.5)
    assert judged.judgement.run_id == run_id
    assert judged.judgement.rubric_version == "rubric-1"
    assert judged.judgement.kind is JudgementKind.CORRECT
    assert judged.versions["scoring"] == "scorer-1"
    assert store.record("calls-1") == before


def test_to_agree_says_what_the_machine_says(store: Store) -> None:
    save(store)
    subjects = ["empathy", CALL_TYPE, OUTCOME, GREETING]
    kept = store.reviews.agree("calls-1", subjects, user_id="rita", now=NOW)
    assert [(one.subject, one.points, one.answer) for one in kept] == [
        ("empathy", 2.5, None),
        (CALL_TYPE, None, "emergency"),
        (OUTCOME, None, "missed"),
        (GREETING, None, "no"),
    ]
    assert {one.kind for one in kept} == {JudgementKind.AGREE}


def test_to_agree_with_all_leaves_out_what_is_open_and_what_the_person_has_judged(
    store: Store,
) -> None:
    save(store)
    correct(store)
    kept = store.reviews.agree("calls-1", user_id="rita", now=NOW + 2 * MINUTE)
    assert [one.subject for one in kept] == ["urgency", "escalation", CALL_TYPE, OUTCOME]
    assert not store.reviews.agree("calls-1", user_id="rita", now=NOW + 3 * MINUTE)


def test_nobody_can_agree_with_what_the_machine_left_open(store: Store) -> None:
    save(store)
    with pytest.raises(UsageError, match="active listening"):
        store.reviews.agree("calls-1", ["active_listening"], user_id="rita", now=NOW)
    assert not store.reviews.judgements("calls-1")


def test_what_cannot_be_assessed_is_none_and_never_zero(store: Store) -> None:
    save(store)
    correct(store, points=None)
    (judged,) = store.reviews.judged()
    assert judged.judgement.points is None
    assert judged.machine_points == 2.5


def test_the_latest_word_of_a_person_is_in_force_and_the_older_stay(store: Store) -> None:
    save(store)
    correct(store, points=2.0)
    correct(store, points=5.0, now=NOW + 2 * MINUTE)
    correct(store, points=3.0, user_id="bo")
    said = store.reviews.judgements("calls-1")
    assert [(one.user_id, one.points, one.is_in_force) for one in said] == [
        ("rita", 2.0, False),
        ("rita", 5.0, True),
        ("bo", 3.0, True),
    ]
    assert {one.judgement.points for one in store.reviews.judged()} == {5.0, 3.0}
    every = store.reviews.judged(in_force_only=False)
    assert [one.judgement.points for one in every] == [2.0, 5.0, 3.0]


def test_a_new_run_leaves_what_was_said_of_the_old_one_in_force_for_the_old_one(
    store: Store,
) -> None:
    first = save(store)
    correct(store, points=2.0)
    second = save(store)
    correct(store, points=4.0, run_id=second)
    in_force = store.reviews.judgements("calls-1", in_force_only=True)
    assert [(one.run_id, one.points) for one in in_force] == [(first, 2.0), (second, 4.0)]


def test_a_judgement_names_the_card_that_was_seen(store: Store) -> None:
    run_id = save(store)
    card = make_call().scorecard
    stricter = replace(
        card,
        rubric_version="stricter-1",
        scores=(make_score(Criterion.EMPATHY, 1.5), *card.scores[1:]),
    )
    store.save_card(stricter, run_id, now=NOW, in_use=False)
    correct(store, rubric_version="stricter-1")
    correct(store, user_id="bo")
    judged = {one.judgement.user_id: one for one in store.reviews.judged()}
    assert judged["rita"].judgement.rubric_version == "stricter-1"
    assert judged["rita"].machine_points == 1.5
    assert judged["bo"].machine_points == 2.5


@pytest.mark.parametrize(
    ("subject", "value"),
    [
        ("empathy", {"points": 0}),
        ("empathy", {"points": 6}),
        ("empathy", {"points": 3.5}),
        ("empathy", {"points": None, "answer": "yes"}),
        ("urgency", {"points": 4}),
        (CALL_TYPE, {"points": 3}),
        (CALL_TYPE, {"points": None, "answer": "gossip"}),
        (OUTCOME, {"points": None, "answer": None}),
        (GREETING, {"points": None, "answer": "unsure"}),
        (checklist_subject("dance"), {"points": None, "answer": "yes"}),
        ("charm", {"points": 3}),
        ("empathy", {"reason": "no"}),
        ("empathy", {"reason": "   "}),
        ("empathy", {"reason": None}),
        ("empathy", {"reason": "x" * 2001}),
        ("empathy", {"reason": "a\x00b c"}),
        ("empathy", {"reason": "half a pair \ud83d"}),
    ],
)
def test_impossible_judgements_are_refused_and_leave_nothing(
    store: Store, subject: str, value: dict[str, object]
) -> None:
    save(store)
    with pytest.raises(UsageError):
        correct(store, subject, **value)
    assert not store.reviews.judgements("calls-1")


@pytest.mark.parametrize("criterion", Criterion)
def test_points_are_taken_just_within_the_scale_of_their_criterion(
    store: Store, criterion: Criterion
) -> None:
    save(store)
    for points in range(-2, 9):
        if points in scale_of(criterion):
            correct(store, criterion.value, points=float(points))
        else:
            with pytest.raises(UsageError):
                correct(store, criterion.value, points=float(points))


def test_calls_runs_and_cards_that_are_not_there_are_told_of(store: Store) -> None:
    run_id = save(store)
    other = store.save_record(make_call("calls-2"), (), now=NOW)
    with pytest.raises(NotFoundError):
        store.reviews.agree("calls-9", user_id="rita", now=NOW)
    with pytest.raises(NotFoundError):
        correct(store, run_id=other)
    with pytest.raises(NotFoundError):
        correct(store, run_id=run_id, rubric_version="rubric-9")
    with pytest.raises(NotFoundError):
        store.reviews.comment("calls-9", "hm", user_id="rita", role="reviewer", now=NOW)
    with pytest.raises(NotFoundError):
        store.reviews.finish("calls-9", user_id="rita", now=NOW)


# --- blind ---------------------------------------------------------------------------------------


def judge_blind(store: Store, *, user_id: str = "rita", now: datetime = NOW) -> None:
    for criterion in Criterion:
        correct(
            store, criterion.value, points=3.0, is_blind=True, reason="", user_id=user_id, now=now
        )


def test_a_blind_judgement_is_nobody_elses_to_see_until_the_review_is_done(store: Store) -> None:
    save(store)
    judge_blind(store)
    assert len(store.reviews.judgements("calls-1", seen_by="rita")) == 4
    assert not store.reviews.judgements("calls-1", seen_by="bo")
    assert not list(store.reviews.judged())
    assert not [e for e in store.history("calls-1", seen_by="bo") if e.by == "rita"]
    assert [e.by for e in store.history("calls-1", seen_by="rita")].count("rita") == 4
    store.reviews.finish("calls-1", user_id="rita", now=NOW + MINUTE, kind=ReviewKind.BLIND)
    assert len(store.reviews.judgements("calls-1", seen_by="bo")) == 4
    assert len(list(store.reviews.judged())) == 4


def test_a_blind_review_is_done_when_every_criterion_is_scored(store: Store) -> None:
    save(store)
    correct(store, "empathy", is_blind=True)
    with pytest.raises(UsageError, match="active listening, urgency, escalation"):
        store.reviews.finish("calls-1", user_id="rita", now=NOW, kind=ReviewKind.BLIND)
    assert not store.reviews.reviews("calls-1")


# --- reviews -------------------------------------------------------------------------------------


def test_a_finished_review_tells_how_long_it_took_and_makes_its_judgements_final(
    store: Store,
) -> None:
    save(store)
    correct(store)
    assert not list(store.reviews.judged(finished_only=True))
    store.reviews.finish("calls-1", user_id="rita", now=NOW + MINUTE, started_at=NOW)
    (review,) = store.reviews.reviews("calls-1")
    assert (review.seconds, review.kind, review.user_id) == (60.0, ReviewKind.NORMAL, "rita")
    (judged,) = store.reviews.judged(finished_only=True)
    assert judged.judgement.review_id == review.review_id


@pytest.mark.parametrize(
    ("started_at", "seconds", "expected"),
    [
        (None, None, 0.0),
        (NOW + timedelta(days=3), None, 0.0),
        (NOW - timedelta(days=30), None, 86_400.0),
        (NOW - MINUTE, 12.5, 12.5),
        (NOW - MINUTE, 1e9, 86_400.0),
    ],
)
def test_the_time_of_a_review_is_between_none_and_a_day_whatever_a_browser_says(
    store: Store, started_at: datetime | None, seconds: float | None, expected: float
) -> None:
    save(store)
    review = store.reviews.finish(
        "calls-1", user_id="rita", now=NOW, started_at=started_at, seconds=seconds
    )
    assert review.seconds == expected
    assert review.started_at <= review.done_at == NOW


def test_the_list_of_calls_learns_of_a_finished_review(store: Store) -> None:
    from qa_monitor.store.browsing import call_index

    save(store)
    store.reviews.finish("calls-1", user_id="rita", now=NOW)
    with create_engine(store._database._reading.url).connect() as connection:
        assert connection.execute(call_index.select()).one().reviewed_at == NOW


def test_judgements_and_reviews_are_chosen_by_scope_person_and_period(store: Store) -> None:
    store.people.set_agents(
        [
            Agent(agent_id="A-1", name=None, team="north"),
            Agent(agent_id="A-2", name=None, team="south"),
        ]
    )
    save(store)
    save(store, "calls-2", agent_id="A-2")
    for day, (call_id, user_id) in enumerate(
        [("calls-1", "rita"), ("calls-2", "rita"), ("calls-1", "bo")]
    ):
        now = NOW + timedelta(days=day)
        store.reviews.agree(call_id, ["empathy"], user_id=user_id, now=now)
        store.reviews.finish(call_id, user_id=user_id, now=now)

    def chosen(**by: object) -> list[tuple[str, str]]:
        judged = [
            (one.judgement.call_id, one.judgement.user_id)
            for one in store.reviews.judged(**by)  # type: ignore[arg-type]
        ]
        reviews = [
            (one.call_id, one.user_id)
            for one in store.reviews.finished(**by)  # type: ignore[arg-type]
        ]
        assert judged == reviews
        return judged

    assert chosen(scope=Scope(teams=frozenset({"north"}))) == [
        ("calls-1", "rita"),
        ("calls-1", "bo"),
    ]
    assert chosen(scope=Scope()) == []
    assert chosen(scope=Scope(all_calls=True, besides="A-1")) == [("calls-2", "rita")]
    assert chosen(user_id="bo") == [("calls-1", "bo")]
    second = NOW + timedelta(days=1)
    assert chosen(since=second, until=second + timedelta(days=1)) == [("calls-2", "rita")]


def test_many_judgements_come_each_once_and_in_order(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa_monitor.store.reviews._PAGE", 3)
    save(store)
    for number in range(8):
        correct(store, user_id=f"user-{number}")
    said = [one.judgement.user_id for one in store.reviews.judged()]
    assert said == [f"user-{number}" for number in range(8)]


# --- comments ------------------------------------------------------------------------------------


def comment(store: Store, words: str = "well said", **more: object) -> object:
    values = {"user_id": "rita", "role": "reviewer", "now": NOW}
    return store.reviews.comment("calls-1", words, **(values | more))  # type: ignore[arg-type]


def test_comments_come_in_the_order_of_their_moments(store: Store) -> None:
    save(store)
    comment(store, "of all of it")
    comment(store, "late", start_s=50.0)
    comment(store, "early", start_s=3.0, end_s=9.5, turn_index=0)
    found = store.reviews.comments("calls-1")
    assert [one.text for one in found] == ["early", "late", "of all of it"]
    assert (found[0].end_s, found[0].turn_index, found[0].role) == (9.5, 0, "reviewer")


def test_an_agent_is_told_only_what_is_for_the_agent(store: Store) -> None:
    save(store)
    comment(store, "between us")
    comment(store, "for you", is_for_agent=True)
    shown = store.reviews.comments("calls-1", for_agent_only=True)
    assert [one.text for one in shown] == ["for you"]
    told = [entry.text for entry in store.history("calls-1", for_agent=True)]
    assert "for you" in told
    assert "between us" not in told


def test_a_withdrawn_comment_is_hidden_and_the_history_tells_that_it_was(store: Store) -> None:
    save(store)
    comment(store, "a slip of the pen")
    (made,) = store.reviews.comments("calls-1")
    own = {"call_id": "calls-1", "now": NOW + MINUTE}
    with pytest.raises(NotFoundError):
        store.reviews.withdraw_comment(made.comment_id, user_id="bo", **own)  # type: ignore[arg-type]
    store.reviews.withdraw_comment(made.comment_id, user_id="rita", **own)  # type: ignore[arg-type]
    assert not store.reviews.comments("calls-1")
    told = [(e.what, e.text, e.at) for e in store.history("calls-1") if e.by == "rita"]
    assert told == [("commented", None, NOW), ("comment_withdrawn", None, NOW + MINUTE)]


@pytest.mark.parametrize(
    "more",
    [
        {"start_s": -1.0},
        {"start_s": 62.0},
        {"start_s": 9.0, "end_s": 3.0},
        {"end_s": 3.0},
        {"start_s": 3.0, "end_s": 1e9},
        {"start_s": float("nan")},
    ],
)
def test_a_moment_outside_the_call_is_refused(store: Store, more: dict[str, object]) -> None:
    save(store)
    with pytest.raises(UsageError, match="moment"):
        comment(store, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", ["", " \n ", "x" * 2001, "bell \x07"])
def test_a_comment_that_says_nothing_or_too_much_is_refused(store: Store, words: str) -> None:
    save(store)
    with pytest.raises(UsageError):
        comment(store, words)


def test_what_was_typed_stays_out_of_printed_values(store: Store) -> None:
    save(store)
    assert "well said" not in repr(comment(store))
    assert "warm throughout" not in repr(correct(store))
    assert "warm throughout" not in repr(store.history("calls-1"))


# --- history -------------------------------------------------------------------------------------


def test_the_history_tells_who_did_what_when_oldest_first(store: Store) -> None:
    from qa_monitor.alerts import Policy, raise_alerts

    record = make_call()
    (alert,) = raise_alerts(record, Policy.load(), now=NOW)
    run_id = store.save_record(record, [alert], now=NOW)
    correct(store, now=NOW + MINUTE)
    comment(store, now=NOW + 2 * MINUTE)
    store.set_alert_state(alert.alert_id, AlertState.ACKNOWLEDGED, now=NOW + 3 * MINUTE, by="sam")
    store.reviews.finish("calls-1", user_id="rita", now=NOW + 4 * MINUTE)
    card = replace(record.scorecard, rubric_version="stricter-1", total=10.0)
    store.save_card(card, run_id, now=NOW + 5 * MINUTE)
    store.reviews.note_rescoring(
        "calls-1", RescoringKind.RESCORED, user_id="bo", now=NOW + 6 * MINUTE
    )
    told = [(e.what, e.by) for e in store.history("calls-1")]
    assert told == [
        ("scored", None),
        ("alert_open", None),
        ("correct", "rita"),
        ("commented", "rita"),
        ("alert_acknowledged", "sam"),
        ("reviewed", "rita"),
        ("rescored", "bo"),
    ]
    last = store.history("calls-1")[-1]
    assert (last.answer, last.points) == ("stricter-1", 10.0)
    assert not any(e.what.startswith("alert") for e in store.history("calls-1", for_agent=True))


def test_the_history_tells_runs_made_by_nobody_in_particular_too(store: Store) -> None:
    save(store)
    save(store)
    swapped = replace(make_call(), versions={"scoring": "scorer-1", "roles": "swapped-from-run-2"})
    store.save_record(swapped, (), now=NOW + MINUTE)
    store.reviews.note_rescoring(
        "calls-1", RescoringKind.RESCORED, user_id="bo", now=NOW + 2 * MINUTE
    )
    assert [(e.what, e.by) for e in store.history("calls-1")] == [
        ("scored", None),
        ("scored_again", None),
        ("roles_swapped", None),
        ("rescored", "bo"),
    ]


def test_roles_swapped_on_a_page_are_told_with_who_did_it(store: Store) -> None:
    save(store)
    save(store)
    store.reviews.note_rescoring(
        "calls-1", RescoringKind.ROLES_SWAPPED, user_id="rita", now=NOW + MINUTE
    )
    assert [(e.what, e.by) for e in store.history("calls-1")] == [
        ("scored", None),
        ("roles_swapped", "rita"),
    ]


def test_all_that_was_said_of_a_call_goes_with_the_call(store: Store) -> None:
    save(store)
    save(store, "calls-2")
    correct(store)
    comment(store)
    store.reviews.finish("calls-1", user_id="rita", now=NOW)
    store.reviews.note_rescoring("calls-1", RescoringKind.RESCORED, user_id="bo", now=NOW)
    store.delete_call("calls-1")
    assert not store.reviews.judgements("calls-1")
    assert not store.reviews.comments("calls-1")
    assert not store.reviews.finished()
    assert store.history("calls-1") == ()
    assert store.history("calls-2")


def test_an_outcome_that_the_machine_left_open_can_be_said_by_a_person(store: Store) -> None:
    record = make_call()
    store.save_record(
        replace(record, scorecard=replace(record.scorecard, escalated=None)), (), now=NOW
    )
    correct(store, OUTCOME, points=None, answer=EscalationOutcome.PROPERLY.value)
    (judged,) = store.reviews.judged()
    assert (judged.judgement.answer, judged.machine_answer) == ("properly", None)
