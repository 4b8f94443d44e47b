"""What the people of the invented centre did with its calls: reviewed, coached, disputed.

Reviewers give what the writers of the calls gave, give or take a point, so that there is agreement
to be measured. The newest calls are left as they came, for whoever tries the pages.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from qa_monitor.calls import Criterion, Role
from qa_monitor.demo.records import MadeCall
from qa_monitor.reviewing import Reason
from qa_monitor.store import Agent, GoalKind, ReviewKind, Scope, Store
from qa_monitor.store.reviews import CALL_TYPE, OUTCOME

__all__ = ["do_people_s_work"]

_REVIEWERS = ("rita", "randall")
_COACH = "cora"
_REVIEWED = 60
_READ_TWICE = 12
_LEFT_ALONE = timedelta(days=4)

_WHY_LOWER = (
    "The worry was named once and then passed over.",
    "Nothing was read back, though a number was given.",
    "Polite, but by the script.",
    "The caller had to ask twice.",
)
_WHY_HIGHER = (
    "The pause was used to let the caller speak.",
    "The detail from the beginning was taken up again.",
    "Warm, and with a next step that fits this caller.",
    "The answer came at once and was whole.",
)
_COMMENTS = (
    "Good example for the next team meeting.",
    "Listen to how long the silence is here.",
    "The system was slow that day; not the agent's doing.",
    "The second identifier is asked for only after the answer.",
    "Calm and clear at a hard moment.",
)
_NOTES = (
    "We listened to two calls together. The openings are warm; the read-back is what to work on.",
    "Asked for more time on billing calls; I will sit in next week.",
    "Much calmer in urgent calls than a month ago.",
)
_GOALS = {
    Criterion.ACTIVE_LISTENING: "Say the caller's detail back before acting on it.",
    Criterion.EMPATHY: "Name the feeling before the next question.",
}
_GOOD_ENOUGH = 4.3
_DISPUTES = (
    "The caller asked me to be quick, so I left the rest out.",
    "I did read the number back; it is in the part that was hard to hear.",
    "The feeling was about another office and I said so.",
)


def do_people_s_work(
    store: Store,
    made: Sequence[MadeCall],
    agents: Sequence[Agent],
    *,
    now: datetime,
    seed: int,
    dispute_within: timedelta,
) -> None:
    """Reviews, double readings, comments, notes, goals, and disputes of the second agent.

    What the queue has drawn by chance is read blind. The first agent's page is left as it came.
    """
    rng = random.Random(f"people {seed}")
    tasks = store.queueing.tasks(Scope(all_calls=True), reason=Reason.RANDOM, limit=_REVIEWED)
    drawn = {task.call_id for task in tasks}
    settled = []
    for one in made:
        if now - one.scored_at <= _LEFT_ALONE:
            continue
        if one.record.call_id in drawn:
            _read_blind(store, one, rng.choice(_REVIEWERS), rng)
        else:
            settled.append(one)
    wanting = [one for one in settled if one.record.scorecard.needs_review]
    chosen = wanting[-_REVIEWED // 2 :]
    rest = [one for one in settled if one not in chosen]
    others = rng.sample(rest, min(_REVIEWED - len(chosen), len(rest)))
    for one in (*chosen, *others):
        _review(store, one, rng.choice(_REVIEWERS), rng)
    reviewed = {one.record.call_id for one in (*chosen, *others)}
    unread = [one for one in settled if one.record.call_id not in reviewed]
    for one in rng.sample(unread, min(_READ_TWICE, len(unread))):
        for reviewer in _REVIEWERS:
            _read_blind(store, one, reviewer, rng)
    for one in rng.sample(settled, min(15, len(settled))):
        _comment(store, one, rng)
    _coach(store, agents, now, rng)
    for agent in agents[1:2]:
        _dispute(store, agent, settled, rng, dispute_within)


# --- reviewers -----------------------------------------------------------------------------------


def _found(made: MadeCall, criterion: Criterion, rng: random.Random) -> float | None:
    """The points a careful person gives: the writer's, in one of five calls a point off."""
    written = made.written.points.get(criterion)
    if written is None or rng.random() < 0.8:
        return written
    lowest, highest = (0.0, 3.0) if criterion is Criterion.URGENCY else (1.0, 5.0)
    return min(highest, max(lowest, written + rng.choice((-1.0, 1.0))))


def _review(store: Store, made: MadeCall, reviewer: str, rng: random.Random) -> None:
    record = made.record
    began = made.scored_at + timedelta(hours=rng.uniform(2, 70))
    at = began + timedelta(minutes=rng.uniform(3, 9))
    for score in record.scorecard.scores:
        own = _found(made, score.criterion, rng)
        if own is None or (score.points is not None and abs(own - score.points) < 1):
            continue
        is_higher = score.points is None or own > score.points
        store.reviews.correct(
            record.call_id,
            score.criterion.value,
            user_id=reviewer,
            points=own,
            reason=rng.choice(_WHY_HIGHER if is_higher else _WHY_LOWER),
            now=at,
        )
    store.reviews.agree(record.call_id, None, user_id=reviewer, now=at)
    store.reviews.finish(record.call_id, user_id=reviewer, now=at, started_at=began)


def _read_blind(store: Store, made: MadeCall, reviewer: str, rng: random.Random) -> None:
    record = made.record
    began = made.scored_at + timedelta(hours=rng.uniform(20, 90))
    at = began + timedelta(minutes=rng.uniform(4, 12))
    for score in record.scorecard.scores:
        store.reviews.correct(
            record.call_id,
            score.criterion.value,
            user_id=reviewer,
            points=_found(made, score.criterion, rng),
            reason=None,
            now=at,
            is_blind=True,
        )
    answers = {CALL_TYPE: made.written.call_type, OUTCOME: made.written.escalated}
    for subject, answer in answers.items():
        if answer is not None:
            store.reviews.correct(
                record.call_id,
                subject,
                user_id=reviewer,
                answer=answer,
                reason=None,
                now=at,
                is_blind=True,
            )
    store.reviews.finish(
        record.call_id, user_id=reviewer, now=at, started_at=began, kind=ReviewKind.BLIND
    )


def _comment(store: Store, made: MadeCall, rng: random.Random) -> None:
    turn = rng.choice([t for t in made.record.dialogue.turns if t.role is Role.AGENT])
    author, role = rng.choice((("rita", "reviewer"), (_COACH, "coach"), ("sam", "supervisor")))
    store.reviews.comment(
        made.record.call_id,
        rng.choice(_COMMENTS),
        user_id=author,
        role=role,
        now=made.scored_at + timedelta(hours=rng.uniform(3, 80)),
        start_s=turn.start_s,
        turn_index=turn.index,
        is_for_agent=rng.random() < 0.5,
    )


# --- coach and agents ----------------------------------------------------------------------------


def _coach(store: Store, agents: Sequence[Agent], now: datetime, rng: random.Random) -> None:
    """Notes on some agents of the coach's, and a goal where there is something to reach."""
    coached = [agent for agent in agents[1:] if agent.team in ("north", "south")]
    for number, agent in enumerate(coached[:5]):
        at = now - timedelta(days=rng.uniform(6, 30))
        store.coaching.add_note(
            agent.agent_id, rng.choice(_NOTES), by=_COACH, now=at, is_shared=number % 2 == 0
        )
        means = {
            one.criterion: (one.points / one.calls, one.calls)
            for one in store.reporting.sums(since=at - timedelta(days=28), until=at)
            if one.agent_id == agent.agent_id and one.criterion in _GOALS
        }
        if not means:
            continue
        criterion, (mean, n) = min(means.items(), key=lambda pair: pair[1])
        if mean < _GOOD_ENOUGH:
            store.coaching.set_goal(
                agent.agent_id,
                kind=GoalKind.CRITERION,
                code=criterion.value,
                wording=_GOALS[criterion],
                target=round(min(5.0, mean + 0.5), 1),
                is_at_least=True,
                baseline=mean,
                baseline_n=n,
                due_on=(now + timedelta(days=14)).date(),
                by=_COACH,
                now=at,
            )


def _dispute(
    store: Store,
    agent: Agent,
    settled: Sequence[MadeCall],
    rng: random.Random,
    within: timedelta,
) -> None:
    """The agent has seen some calls and disputes two scores: one is decided, one waits."""
    user_id = (agent.name or agent.agent_id).split()[0].lower()
    own = [one for one in settled if one.record.recording.agent_id == agent.agent_id][-8:]
    for one in own:
        at = one.scored_at + timedelta(hours=rng.uniform(3, 40))
        store.coaching.acknowledge(agent.agent_id, "call", one.record.call_id, by=user_id, now=at)
    scored = [
        (one, score.points)
        for one in own
        for score in one.record.scorecard.scores
        if score.criterion is Criterion.ACTIVE_LISTENING and score.points is not None
    ]
    low = sorted(scored, key=lambda pair: pair[1])[:2]
    for number, (one, points) in enumerate(low):
        at = one.scored_at + timedelta(hours=45)
        dispute = store.coaching.raise_dispute(
            one.record.call_id,
            Criterion.ACTIVE_LISTENING,
            rng.choice(_DISPUTES),
            agent_id=agent.agent_id,
            by=user_id,
            now=at,
            within=within,
        )
        if number == 0:
            is_changed = points < 4 and rng.random() < 0.5
            store.coaching.resolve_dispute(
                dispute.dispute_id,
                points=float(round(points) + 1) if is_changed else None,
                reason="Heard again: the read-back is there."
                if is_changed
                else "It stands: what was read back was another number.",
                by=_REVIEWERS[0],
                by_agent=None,
                now=at + timedelta(hours=20),
            )
