"""What is to be reviewed next, and why: the policy of the queue.

Where several reasons hold, the first of ``REASONS`` gives the place; within one reason the newest
calls come first. The random sample is another matter: its calls are drawn by a keyed hash of the
call id, so that the draw can be repeated, knows no score and cannot be guessed; they are read blind
and stand in the queue by the draw alone, so that neither their place nor a half-read sample tells
anything of their scores. The same holds for who is read a second time at random.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from qa_monitor.calls import Criterion, EscalationOutcome
from qa_monitor.reviewing.agreement import HEADS
from qa_monitor.store import (
    CallValue,
    Candidate,
    ReviewTask,
    TaskPurpose,
    TaskState,
    WantedTask,
)

if TYPE_CHECKING:
    from qa_monitor.store import Store

__all__ = [
    "LEASE",
    "REASONS",
    "QueuePolicy",
    "Reason",
    "ReasonWords",
    "refresh_queue",
    "shown_reasons",
]

LEASE = timedelta(hours=1)
"""For how long a task that somebody has taken is offered to nobody else."""

_FAR_APART = 2
"""Points from which two judgements of a scale count as different."""


class Reason(StrEnum):
    """Why a call is to be reviewed, in the order in which calls are handed out."""

    MISSED = "missed"
    RED_FLAG = "red_flag"
    DISPUTED = "disputed"
    URGENT = "urgent"
    SECOND = "second"
    RANDOM = "random"
    AUTO_FAILED = "auto_failed"
    FALSE_ALARM = "false_alarm"
    COVERAGE = "coverage"
    UNSURE = "unsure"
    # Why there is a second reading; never the place of a task.
    DRAWN_TWICE = "drawn_twice"
    DIFFERS = "differs"
    READERS_DIFFER = "readers_differ"


@dataclass(frozen=True, slots=True)
class ReasonWords:
    """A reason for people: a few words, and a sentence."""

    title: str
    says: str


REASONS: Mapping[Reason, ReasonWords] = {
    Reason.MISSED: ReasonWords(
        "Urgent call not passed on",
        "The machine heard an urgent call that the agent did not pass on, or only late or in part.",
    ),
    Reason.RED_FLAG: ReasonWords(
        "Words of a red flag",
        "Words of a red flag were heard, but the call was not taken for urgent, or the machine is "
        "unsure of it.",
    ),
    Reason.DISPUTED: ReasonWords("Disputed", "The agent disputes a score and waits for an answer."),
    Reason.URGENT: ReasonWords("Urgent call", "Urgency 2 or 3, passed on as it should be."),
    Reason.SECOND: ReasonWords(
        "Another reading",
        "Another reviewer read this call. Read it without seeing what anybody found.",
    ),
    Reason.RANDOM: ReasonWords(
        "Random sample",
        "Drawn by chance, whatever its scores. Read it without seeing them: only these readings "
        "tell how good the machine is in all calls.",
    ),
    Reason.AUTO_FAILED: ReasonWords(
        "Failed by a rule", "A rule of the rubric fails the call whatever its other scores."
    ),
    Reason.FALSE_ALARM: ReasonWords(
        "False alarm", "An alert on this call was set to false alarm: say what the call was."
    ),
    Reason.COVERAGE: ReasonWords(
        "For a fair share",
        "Too few calls of this agent have been reviewed this month; drawn by chance.",
    ),
    Reason.UNSURE: ReasonWords(
        "The machine is unsure", "A score was left to a person, or the machine asks to look."
    ),
    Reason.DRAWN_TWICE: ReasonWords("Drawn for two readers", "A share of reviews is read twice."),
    Reason.DIFFERS: ReasonWords(
        "Reviewer and machine differ", "By two points or more, or in the outcome."
    ),
    Reason.READERS_DIFFER: ReasonWords(
        "Reviewers differ", "By two points or more, or in the outcome."
    ),
}
"""What is said of each reason, in the order of the queue."""

_RANK = {reason.value: rank for rank, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """What is reviewed; ``decide`` says it of one call.

    ``key`` makes the draws; ``random_share`` of calls, and ``double_share`` of reviewed calls, are
    drawn. Calls older than ``days_back`` are let be. ``per_agent_floor`` calls of each agent and
    month are to be reviewed; 0 for none.
    """

    key: bytes = field(repr=False)
    random_share: float
    double_share: float
    days_back: int
    per_agent_floor: int

    @property
    def version(self) -> str:
        """A name that is another one when other calls are wanted."""
        parts = (self.random_share, self.double_share, self.days_back, self._draw("version", ""))
        return " ".join(map(str, (1, *parts)))

    def since(self, now: datetime) -> datetime:
        """The beginning of the oldest call that is of interest."""
        return now - timedelta(days=self.days_back)

    def decide(self, call: Candidate) -> tuple[WantedTask, ...]:
        """The tasks that a call gives rise to; those that are done already among them, or not."""
        wanted = []
        if call.is_disputed:
            wanted.append(self._task(call, TaskPurpose.DISPUTE, (Reason.DISPUTED,)))
        first = self._first(call)
        if first is not None:
            wanted.append(first)
        readers = len({reading.user_id for reading in call.readings})
        if readers == 1 and first is None:
            reasons = self._why_again(call)
            if reasons:
                is_random = call.is_random and Reason.DRAWN_TWICE in reasons
                wanted.append(self._blind(call, TaskPurpose.SECOND, reasons, is_random=is_random))
        elif readers == 2 and _differ(call.readings[0].said, call.readings[1].said):
            wanted.append(self._blind(call, TaskPurpose.THIRD, (Reason.READERS_DIFFER,)))
        return tuple(wanted)

    def _first(self, call: Candidate) -> WantedTask | None:
        reasons = tuple(_reasons_of(call))
        if call.is_random or self._draw("sample", call.call_id) < self.random_share:
            # Somebody may have reviewed it already, having seen its scores: the sample needs
            # another reading, blind.
            if any(reading.is_blind for reading in call.readings):
                return None
            return WantedTask(
                purpose=TaskPurpose.FIRST,
                reasons=(Reason.RANDOM.value, *reasons),
                rank=_RANK[Reason.RANDOM],
                place=self._draw("sample", call.call_id),
                is_blind=True,
                is_random=True,
            )
        if not reasons or call.readings:
            return None
        return self._task(call, TaskPurpose.FIRST, reasons)

    def _why_again(self, call: Candidate) -> tuple[Reason, ...]:
        said = call.readings[0].said
        reasons = []
        if self._draw("second", call.call_id) < self.double_share:
            reasons.append(Reason.DRAWN_TWICE)
        if _differ(said, call.machine):
            reasons.append(Reason.DIFFERS)
        return tuple(reasons)

    def _blind(
        self,
        call: Candidate,
        purpose: TaskPurpose,
        reasons: tuple[Reason, ...],
        *,
        is_random: bool = False,
    ) -> WantedTask:
        return WantedTask(
            purpose=purpose,
            reasons=(Reason.SECOND.value, *reasons),
            rank=_RANK[Reason.SECOND],
            place=self._draw("second", call.call_id),
            is_blind=True,
            is_random=is_random,
        )

    @staticmethod
    def _task(call: Candidate, purpose: TaskPurpose, reasons: tuple[str, ...]) -> WantedTask:
        return WantedTask(
            purpose=purpose,
            reasons=reasons,
            rank=_RANK[reasons[0]],
            place=-call.began_at.timestamp(),
        )

    def choose(self, call_ids: Sequence[str], count: int) -> Sequence[str]:
        """``count`` of ``call_ids``, drawn by the key; all where there are fewer."""
        return sorted(call_ids, key=lambda call_id: self._draw("coverage", call_id))[:count]

    def _draw(self, what: str, call_id: str) -> float:
        """A number in [0, 1) that is even over calls and the same each time."""
        digest = hmac.new(self.key, f"review {what} {call_id}".encode(), hashlib.sha256).digest()
        return int.from_bytes(digest[:6], "big") / 2**48


def _reasons_of(call: Candidate) -> list[Reason]:
    """Why a call is reviewed but for chance, the first in the queue first."""
    urgency = call.machine.get(Criterion.URGENCY)
    is_urgent = isinstance(urgency, float | int) and urgency >= 2
    outcome = call.machine.get("escalated")
    is_late = outcome == EscalationOutcome.LATE_OR_PARTIAL and is_urgent
    holds = {
        Reason.MISSED: outcome == EscalationOutcome.MISSED or is_late,
        Reason.RED_FLAG: bool({"red_flag_unsure", "urgent_unsure"} & set(call.review_reasons)),
        Reason.URGENT: is_urgent,
        Reason.AUTO_FAILED: call.is_auto_failed,
        Reason.FALSE_ALARM: call.is_false_alarm,
        Reason.COVERAGE: call.is_for_coverage,
        Reason.UNSURE: call.needs_review,
    }
    return [reason for reason in Reason if holds.get(reason)]


def _differ(one: Mapping[str, CallValue], other: Mapping[str, CallValue]) -> bool:
    """Whether two found the call another one: by two points on a scale, or in the outcome.

    What either left open is no difference.
    """
    for subject, head in HEADS.items():
        first, second = head.place(one.get(subject)), head.place(other.get(subject))
        if first is None or second is None or subject == "call_type":
            continue
        if abs(first - second) >= (_FAR_APART if head.is_ordered else 1):
            return True
    return False


def shown_reasons(task: ReviewTask) -> tuple[Reason, ...]:
    """Why a call is in the queue, as far as it may be told.

    Of a blind task that is open only that it is one: the other reasons come of the scores.
    """
    if task.is_blind and task.state is TaskState.OPEN:
        return (Reason(task.reason),)
    return tuple(Reason(code) for code in task.reasons)


def refresh_queue(
    store: Store, policy: QueuePolicy, *, now: datetime, most: int | None = None
) -> int:
    """Bring the queue up to date; of how many calls it was looked at whether they are wanted.

    About ``most``, where that is given: the rest is looked at another time.
    """
    if policy.per_agent_floor:
        month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        store.queueing.cover(
            policy.choose,
            floor=policy.per_agent_floor,
            since=max(month, policy.since(now)),
            now=now,
        )
    return store.queueing.refresh(
        policy.decide, policy=policy.version, since=policy.since(now), now=now, most=most
    )
