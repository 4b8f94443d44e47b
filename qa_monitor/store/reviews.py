"""What people say of calls: judgements, comments, finished reviews; added to and never changed.

A judgement names the call, the run and the score card that it is about, and its subject. The
machine's score stays as it is and both stand. Of several judgements by one person of one subject
in one run the latest is in force; the older are history. A comment can be withdrawn, which hides
it and forgets nothing. What people type is kept as PHI, as all text of a call is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    and_,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from qa_monitor.calls import (
    CallType,
    ChecklistAnswer,
    ChecklistItem,
    Criterion,
    EscalationOutcome,
    ScoreStatus,
)
from qa_monitor.errors import NotFoundError, UsageError
from qa_monitor.store.browsing import note_reviewed
from qa_monitor.store.people import Scope, agents
from qa_monitor.store.tables import UtcDateTime, calls, metadata, runs, scorecards, scores
from qa_monitor.store.tasks import note_review_done

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Select

    from qa_monitor.store.database import Database

__all__ = [
    "CALL_TYPE",
    "COMMENT_LONGEST",
    "OUTCOME",
    "REASON_LONGEST",
    "REASON_SHORTEST",
    "Comment",
    "HistoryEntry",
    "Judged",
    "Judgement",
    "JudgementKind",
    "Rescoring",
    "RescoringKind",
    "Review",
    "ReviewKind",
    "Reviews",
    "checklist_subject",
    "comments",
    "judgements",
    "rescorings",
    "reviews",
    "scale_of",
]

CALL_TYPE = "call_type"
"""The subject of a judgement of what the call is about."""

OUTCOME = "escalated"
"""The subject of a judgement of what became of the urgency."""

_CHECKLIST = "checklist:"

REASON_SHORTEST, REASON_LONGEST = 3, 2000
COMMENT_LONGEST = 2000
_LONGEST_REVIEW = timedelta(days=1)
_PAGE = 500
_CHECKLISTS = TypeAdapter(tuple[ChecklistItem, ...])
_VERSIONS = TypeAdapter(dict[str, str])


def checklist_subject(item: str) -> str:
    """The subject of a judgement of the checklist's ``item``."""
    return _CHECKLIST + item


def scale_of(criterion: Criterion) -> range:
    """The points that a person can give: urgency is a level, 0 to 3, the rest 1 to 5."""
    return range(4) if criterion is Criterion.URGENCY else range(1, 6)


class JudgementKind(StrEnum):
    """How a judgement came about."""

    AGREE = "agree"
    """The person saw what the machine says and says the same."""
    CORRECT = "correct"
    """The person saw what the machine says and says another thing."""
    BLIND = "blind"
    """The person judged without having seen what the machine, or anybody else, says."""


class ReviewKind(StrEnum):
    """Whether the reviewer saw the machine's scores."""

    NORMAL = "normal"
    BLIND = "blind"


class RescoringKind(StrEnum):
    """What a person had done to a stored call."""

    ROLES_SWAPPED = "roles_swapped"
    RESCORED = "rescored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one person says of one subject of a call.

    ``subject`` is a criterion, ``CALL_TYPE``, ``OUTCOME`` or an item of the checklist
    (``checklist_subject``). Of a criterion ``points`` are given, ``None`` where the person finds it
    not assessable: 1 to 5, urgency 0 to 3, whole where the person gave them and the machine's own
    where the person agrees. Of the rest ``answer`` is given, a code of its enumeration.
    ``review_id`` is set when the person has finished the review; until then a blind judgement is
    nobody else's to see. ``is_in_force`` tells that the person has said nothing newer of it.
    """

    judgement_id: int
    call_id: str
    run_id: int
    rubric_version: str
    user_id: str
    kind: JudgementKind
    subject: str
    points: float | None
    answer: str | None
    reason: str | None = field(repr=False)
    judged_at: datetime
    review_id: int | None
    is_in_force: bool

    @property
    def criterion(self) -> Criterion | None:
        """The criterion judged, if it is one."""
        return Criterion(self.subject) if self.subject in set(Criterion) else None

    @property
    def item(self) -> str | None:
        """The checklist's item judged, if it is one."""
        is_item = self.subject.startswith(_CHECKLIST)
        return self.subject.removeprefix(_CHECKLIST) if is_item else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A judgement beside what the machine said of the same subject, in that run, on that card.

    ``machine_points`` (with ``machine_low``, ``machine_high``, ``machine_confidence``) and
    ``machine_status`` are those of a criterion, ``machine_answer`` that of any other subject;
    ``None`` where the machine left it open. ``versions`` are those of the run, by stage.
    """

    judgement: Judgement
    agent_id: str | None
    team: str | None
    started_at: datetime | None
    machine_points: float | None
    machine_low: float | None
    machine_high: float | None
    machine_confidence: float | None
    machine_status: ScoreStatus | None
    machine_answer: str | None
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A remark on a moment of a call, or on all of it.

    ``start_s`` and ``end_s`` are seconds of the recording, ``turn_index`` a turn of run ``run_id``.
    ``role`` is what the author was when writing. Only what ``is_for_agent`` is shown to the agent.
    """

    comment_id: int
    call_id: str
    run_id: int
    user_id: str
    role: str
    text: str = field(repr=False)
    start_s: float | None
    end_s: float | None
    turn_index: int | None
    is_for_agent: bool
    made_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """That somebody has gone through a call and said "done"; ``seconds`` is how long it took."""

    review_id: int
    call_id: str
    run_id: int
    user_id: str
    kind: ReviewKind
    started_at: datetime
    done_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescoring:
    """Who had a stored call scored anew, and which run came, or was given another card."""

    call_id: str
    run_id: int
    rubric_version: str
    user_id: str
    kind: RescoringKind
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """Something that happened to a call: who said or did what, and when.

    ``by`` is a user, ``None`` for the machine. ``what`` is a code: ``scored``, ``scored_again``,
    ``roles_swapped``, ``rescored`` (another card), ``agree``, ``correct``, ``blind``,
    ``commented``, ``comment_withdrawn``, ``reviewed``, ``reviewed_blind``, ``alert_open``,
    ``alert_acknowledged``, ... ``subject``, ``points`` and ``answer`` are a judgement's, or a
    card's total and rubric; ``text`` is what was typed. Unless ``is_for_agent`` it is not shown to
    the agent, unless ``is_final`` to nobody but ``by``.
    """

    at: datetime
    by: str | None
    what: str
    subject: str | None = None
    points: float | None = None
    answer: str | None = None
    text: str | None = field(default=None, repr=False)
    run_id: int | None = None
    is_for_agent: bool = True
    is_final: bool = True


# --- tables --------------------------------------------------------------------------------------


def _call_id() -> Column[str]:
    key = ForeignKey("calls.call_id", ondelete="CASCADE")
    return Column("call_id", Text, key, nullable=False)


def _run_id() -> Column[int]:
    key = ForeignKey("runs.run_id", ondelete="CASCADE")
    return Column("run_id", Integer, key, nullable=False, index=True)


reviews = Table(
    "reviews",
    metadata,
    Column("review_id", Integer, primary_key=True),
    _call_id(),
    _run_id(),
    # No foreign key to users, here and below: what somebody said stays when the account is gone.
    Column("user_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime, nullable=False, index=True),
    Column("seconds", Double, nullable=False),
    Index(None, "call_id", "user_id"),
    sqlite_autoincrement=True,
)

judgements = Table(
    "judgements",
    metadata,
    Column("judgement_id", Integer, primary_key=True),
    _call_id(),
    _run_id(),
    Column(
        "card_id",
        ForeignKey("scorecards.card_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("user_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("points", Double),
    Column("answer", Text),
    Column("reason", Text),
    Column("judged_at", UtcDateTime, nullable=False, index=True),
    Column("review_id", ForeignKey("reviews.review_id", ondelete="CASCADE"), index=True),
    Index(None, "call_id", "user_id", "run_id", "subject"),
    sqlite_autoincrement=True,
)

comments = Table(
    "comments",
    metadata,
    Column("comment_id", Integer, primary_key=True),
    _call_id(),
    _run_id(),
    Column("user_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("start_s", Double),
    Column("end_s", Double),
    Column("turn_index", Integer),
    Column("is_for_agent", Boolean, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("withdrawn_at", UtcDateTime),
    Index(None, "call_id"),
    sqlite_autoincrement=True,
)

rescorings = Table(
    "rescorings",
    metadata,
    Column("rescoring_id", Integer, primary_key=True),
    _call_id(),
    _run_id(),
    Column("rubric_version", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Index(None, "call_id"),
    sqlite_autoincrement=True,
)


# --- the sub-store -------------------------------------------------------------------------------


class Reviews:
    """``Store.reviews``; each method is one transaction, and raises ``StoreError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- judging ---------------------------------------------------------------------------------

    def agree(
        self,
        call_id: str,
        subjects: Collection[str] | None = None,
        *,
        user_id: str,
        now: datetime,
        run_id: int | None = None,
        rubric_version: str | None = None,
    ) -> tuple[Judgement, ...]:
        """Note that the person says what the machine says of ``subjects``; what was noted.

        ``None`` is every criterion, call type and outcome that the machine has made up its mind
        about and of which the person has said nothing yet. Run and card are the latest and the one
        in use, unless named. Raises ``NotFoundError`` for a call, run or card that there is not,
        and ``UsageError`` for a subject that the card does not have, or left open.
        """

        def work(connection: Connection) -> tuple[Judgement, ...]:
            card = self._card(connection, call_id, run_id, rubric_version)
            chosen = subjects
            if chosen is None:
                said = self._subjects_of(connection, call_id, card.run_id, user_id)
                chosen = [s for s, one in card.said.items() if one.is_decided and s not in said]
                chosen = [s for s in chosen if not s.startswith(_CHECKLIST)]
            rows = []
            for subject in dict.fromkeys(chosen):
                one = card.said_of(subject)
                if not one.is_decided:
                    raise UsageError(
                        f"call {call_id}: the machine left {_named(subject)} to a person, so there "
                        "is nothing to agree with. Say what you find.",
                        call_id=call_id,
                    )
                rows.append({"subject": subject, "points": one.points, "answer": one.answer})
            return self._keep(connection, card, rows, JudgementKind.AGREE, user_id, now)

        return self._database.write(work, call_id)

    def correct(
        self,
        call_id: str,
        subject: str,
        *,
        user_id: str,
        points: float | None = None,
        answer: str | None = None,
        reason: str | None,
        now: datetime,
        is_blind: bool = False,
        run_id: int | None = None,
        rubric_version: str | None = None,
    ) -> Judgement:
        """Note what the person finds of ``subject`` in place of what the machine says.

        ``points`` are a criterion's, a whole number of ``scale_of`` it, and ``None``, where
        ``answer`` is ``None`` too, says "not assessable"; ``answer`` is that of any other subject.
        A ``reason`` of 3 to 2,000 characters is asked for, unless ``is_blind``: then it may be
        missing. Raises what ``agree`` does, and ``UsageError`` for impossible values.
        """
        return self._database.write(
            lambda c: self.correct_within(
                c,
                call_id,
                subject,
                user_id=user_id,
                points=points,
                answer=answer,
                reason=reason,
                now=now,
                is_blind=is_blind,
                run_id=run_id,
                rubric_version=rubric_version,
            ),
            call_id,
        )

    def correct_within(
        self,
        connection: Connection,
        call_id: str,
        subject: str,
        *,
        user_id: str,
        points: float | None = None,
        answer: str | None = None,
        reason: str | None,
        now: datetime,
        is_blind: bool = False,
        run_id: int | None = None,
        rubric_version: str | None = None,
    ) -> Judgement:
        """``correct`` as a part of the transaction of ``connection``."""
        _check_value(call_id, subject, points, answer)
        reason = _typed(reason or "", "the reason", longest=REASON_LONGEST) or None
        if reason is None and not is_blind:
            raise UsageError("say why: a correction needs a reason.", call_id=call_id)
        if reason is not None and len(reason) < REASON_SHORTEST:
            raise UsageError(
                f"say why in {REASON_SHORTEST} characters or more; others read it.",
                call_id=call_id,
            )
        card = self._card(connection, call_id, run_id, rubric_version)
        card.said_of(subject)
        row = {"subject": subject, "points": points, "answer": answer, "reason": reason}
        kind = JudgementKind.BLIND if is_blind else JudgementKind.CORRECT
        (kept,) = self._keep(connection, card, [row], kind, user_id, now)
        return kept

    @staticmethod
    def _keep(
        connection: Connection,
        card: _Card,
        rows: Sequence[Mapping[str, Any]],
        kind: JudgementKind,
        user_id: str,
        now: datetime,
    ) -> tuple[Judgement, ...]:
        kept = []
        for row in rows:
            values = {
                "call_id": card.call_id,
                "run_id": card.run_id,
                "user_id": user_id,
                "kind": kind.value,
                "reason": None,
                "judged_at": now,
                **row,
            }
            written = connection.execute(insert(judgements).values(**values, card_id=card.card_id))
            judgement_id: int = written.inserted_primary_key[0]  # type: ignore[index]
            kept.append(
                Judgement(
                    **{**values, "kind": kind},
                    judgement_id=judgement_id,
                    rubric_version=card.rubric_version,
                    review_id=None,
                    is_in_force=True,
                )
            )
        return tuple(kept)

    @staticmethod
    def _subjects_of(
        connection: Connection, call_id: str, run_id: int, user_id: str
    ) -> frozenset[str]:
        query = select(judgements.c.subject).where(
            judgements.c.call_id == call_id,
            judgements.c.run_id == run_id,
            judgements.c.user_id == user_id,
        )
        return frozenset(connection.scalars(query))

    def _card(
        self,
        connection: Connection,
        call_id: str,
        run_id: int | None,
        rubric_version: str | None,
    ) -> _Card:
        """The card that a judgement is about, and what the machine says on it."""
        chosen = [calls.c.call_id == call_id]
        chosen.append(runs.c.run_id == (calls.c.latest_run_id if run_id is None else run_id))
        if rubric_version is None:
            chosen.append(scorecards.c.card_id == runs.c.card_id)
        else:
            chosen.append(scorecards.c.rubric_version == rubric_version)
        row = connection.execute(
            select(scorecards)
            .join(runs, runs.c.run_id == scorecards.c.run_id)
            .join(calls, calls.c.call_id == runs.c.call_id)
            .where(*chosen)
            .order_by(scorecards.c.card_id.desc())
            .limit(1)
        ).one_or_none()
        if row is None:
            raise NotFoundError(
                f"call {call_id} has no such run or score card. Open the call anew.",
                call_id=call_id,
            )
        said = {
            found.criterion: _Said(
                points=found.points,
                answer=None,
                is_decided=found.status != ScoreStatus.ABSTAINED.value,
            )
            for found in connection.execute(
                select(scores).where(scores.c.card_id == row.card_id).order_by(scores.c.position)
            )
        }
        answers = {CALL_TYPE: row.call_type, OUTCOME: row.escalated, **_checklist_of(row.checklist)}
        for subject, answer in answers.items():
            is_decided = answer is not None and answer != ChecklistAnswer.UNSURE.value
            said[subject] = _Said(points=None, answer=answer, is_decided=is_decided)
        return _Card(
            call_id=call_id,
            run_id=row.run_id,
            card_id=row.card_id,
            rubric_version=row.rubric_version,
            said=said,
        )

    # --- comments --------------------------------------------------------------------------------

    def comment(
        self,
        call_id: str,
        text: str,
        *,
        user_id: str,
        role: str,
        now: datetime,
        start_s: float | None = None,
        end_s: float | None = None,
        turn_index: int | None = None,
        is_for_agent: bool = False,
    ) -> Comment:
        """Add a remark of 1 to 2,000 characters, on seconds of the recording where they are given.

        Raises ``NotFoundError`` for an unknown call and ``UsageError`` for an empty or too long
        text and for a time that is not within the call.
        """
        text = _typed(text, "the comment", longest=COMMENT_LONGEST)
        if not text:
            raise UsageError("the comment is empty.", call_id=call_id)

        def work(connection: Connection) -> Comment:
            call = connection.execute(
                select(calls.c.latest_run_id, calls.c.duration_s).where(
                    calls.c.call_id == call_id, calls.c.latest_run_id.is_not(None)
                )
            ).one_or_none()
            if call is None:
                raise _no_call(call_id)
            first = 0.0 if start_s is None else start_s
            last = first if end_s is None else end_s
            is_outside = not 0 <= first <= last <= call.duration_s
            if is_outside or (start_s is None and end_s is not None):
                raise UsageError(
                    f"call {call_id}: that moment is not within the call.", call_id=call_id
                )
            values = {
                "call_id": call_id,
                "run_id": call.latest_run_id,
                "user_id": user_id,
                "role": role,
                "text": text,
                "start_s": start_s,
                "end_s": end_s,
                "turn_index": turn_index,
                "is_for_agent": is_for_agent,
                "made_at": now,
            }
            written = connection.execute(insert(comments).values(**values))
            comment_id: int = written.inserted_primary_key[0]  # type: ignore[index]
            return Comment(comment_id=comment_id, withdrawn_at=None, **values)

        return self._database.write(work, call_id)

    def withdraw_comment(
        self, comment_id: int, *, call_id: str, user_id: str, now: datetime
    ) -> None:
        """Hide a comment from everybody; it is the author's own to withdraw.

        Raises ``NotFoundError`` when the user has no such comment on that call.
        """
        own = and_(
            comments.c.comment_id == comment_id,
            comments.c.call_id == call_id,
            comments.c.user_id == user_id,
        )
        at = func.coalesce(comments.c.withdrawn_at, literal(now, UtcDateTime()))
        statement = update(comments).where(own).values(withdrawn_at=at)
        if not self._database.write(lambda c: c.execute(statement).rowcount, call_id):
            raise NotFoundError(
                f"call {call_id}: you have no such comment to withdraw.", call_id=call_id
            )

    def comments(self, call_id: str, *, for_agent_only: bool = False) -> tuple[Comment, ...]:
        """The comments on a call that stand, in the order of the moments they are about.

        ``for_agent_only`` leaves out what is not for the agent.
        """
        chosen = [comments.c.call_id == call_id, comments.c.withdrawn_at.is_(None)]
        if for_agent_only:
            chosen.append(comments.c.is_for_agent)
        query = (
            select(comments)
            .where(*chosen)
            .order_by(comments.c.start_s.is_(None), comments.c.start_s, comments.c.comment_id)
        )
        return self._database.read(
            lambda c: tuple(comment_of(row) for row in c.execute(query)), call_id
        )

    # --- reviews ---------------------------------------------------------------------------------

    def finish(
        self,
        call_id: str,
        *,
        user_id: str,
        now: datetime,
        kind: ReviewKind = ReviewKind.NORMAL,
        started_at: datetime | None = None,
        seconds: float | None = None,
        run_id: int | None = None,
    ) -> Review:
        """Note that the person is done with the call; what they said of it is final with that.

        ``seconds`` of work, where not told, are those since ``started_at``, at most a day. A blind
        review needs a judgement of every criterion of the card, else ``UsageError``;
        ``NotFoundError`` for an unknown call or run.
        """

        def work(connection: Connection) -> Review:
            card = self._card(connection, call_id, run_id, None)
            missing = {s for s in card.said if s in set(Criterion)} - self._subjects_of(
                connection, call_id, card.run_id, user_id
            )
            if kind is ReviewKind.BLIND and missing:
                names = ", ".join(_named(s) for s in card.said if s in missing)
                raise UsageError(
                    f"call {call_id}: still to be scored: {names}. Say what you find, or that it "
                    "cannot be assessed.",
                    call_id=call_id,
                )
            began = min(max(started_at or now, now - _LONGEST_REVIEW), now)
            spent = (now - began).total_seconds() if seconds is None else seconds
            values: dict[str, Any] = {
                "call_id": call_id,
                "run_id": card.run_id,
                "user_id": user_id,
                "kind": kind.value,
                "started_at": began,
                "done_at": now,
                "seconds": min(max(spent, 0.0), _LONGEST_REVIEW.total_seconds()),
            }
            written = connection.execute(insert(reviews).values(**values))
            review_id: int = written.inserted_primary_key[0]  # type: ignore[index]
            connection.execute(
                update(judgements)
                .where(
                    judgements.c.call_id == call_id,
                    judgements.c.user_id == user_id,
                    judgements.c.review_id.is_(None),
                )
                .values(review_id=review_id)
            )
            note_review_done(connection, call_id=call_id, user_id=user_id, now=now)
            note_reviewed(connection, call_id, now)
            return Review(**{**values, "kind": kind}, review_id=review_id)

        return self._database.write(work, call_id)

    def reviews(self, call_id: str) -> tuple[Review, ...]:
        """The finished reviews of a call, oldest first."""
        query = select(reviews).where(reviews.c.call_id == call_id).order_by(reviews.c.review_id)
        return self._database.read(
            lambda c: tuple(review_of(row) for row in c.execute(query)), call_id
        )

    def finished(
        self,
        *,
        scope: Scope | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        user_id: str | None = None,
    ) -> tuple[Review, ...]:
        """The reviews finished in ``[since, until)`` of calls within ``scope``, oldest first."""
        query = (
            select(reviews)
            .join(calls, calls.c.call_id == reviews.c.call_id)
            .where(*_chosen(reviews.c.done_at, reviews.c.user_id, scope, since, until, user_id))
            .order_by(reviews.c.review_id)
        )
        return self._database.read(lambda c: tuple(review_of(row) for row in c.execute(query)))

    def note_rescoring(
        self, call_id: str, kind: RescoringKind, *, user_id: str, now: datetime
    ) -> None:
        """Note who had the call scored anew, of the run and card that are in use by now.

        Raises ``NotFoundError`` for an unknown call.
        """

        def work(connection: Connection) -> None:
            card = self._card(connection, call_id, None, None)
            connection.execute(
                insert(rescorings).values(
                    call_id=call_id,
                    run_id=card.run_id,
                    rubric_version=card.rubric_version,
                    user_id=user_id,
                    kind=kind.value,
                    made_at=now,
                )
            )

        self._database.write(work, call_id)

    # --- judgements out --------------------------------------------------------------------------

    def judgements(
        self,
        call_id: str,
        *,
        seen_by: str | None = None,
        run_id: int | None = None,
        in_force_only: bool = False,
    ) -> tuple[Judgement, ...]:
        """What people said of a call, oldest first; of run ``run_id``, or of all.

        Blind judgements of reviews that are not finished are left out, but for those of
        ``seen_by`` themselves.
        """
        chosen = [judgements.c.call_id == call_id, _may_be_seen(seen_by)]
        if run_id is not None:
            chosen.append(judgements.c.run_id == run_id)
        if in_force_only:
            chosen.append(_is_in_force())
        query = _judgements().where(*chosen).order_by(judgements.c.judgement_id)
        return self._database.read(
            lambda c: tuple(judgement_of(row) for row in c.execute(query)), call_id
        )

    def judged(
        self,
        *,
        scope: Scope | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        user_id: str | None = None,
        in_force_only: bool = True,
        finished_only: bool = False,
    ) -> Iterator[Judged]:
        """Judgements made in ``[since, until)`` of calls within ``scope``, beside the machine's.

        Oldest first, a few hundred in memory at a time; those made meanwhile may or may not come.
        Blind judgements of reviews that are not finished never come; ``finished_only`` leaves out
        the others of such reviews, too.
        """
        chosen = _chosen(judgements.c.judged_at, judgements.c.user_id, scope, since, until, user_id)
        chosen.append(_may_be_seen(None))
        if in_force_only:
            chosen.append(_is_in_force())
        if finished_only:
            chosen.append(judgements.c.review_id.is_not(None))
        last = 0
        while True:
            page = self._database.read(partial(_judged_after, chosen=chosen, last=last))
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1].judgement.judgement_id


# --- queries and rows ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What the machine says of one subject; ``is_decided`` unless it left that to a person."""

    points: float | None
    answer: str | None
    is_decided: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    call_id: str
    run_id: int
    card_id: int
    rubric_version: str
    said: Mapping[str, _Said]

    def said_of(self, subject: str) -> _Said:
        found = self.said.get(subject)
        if found is None:
            raise UsageError(
                f"call {self.call_id}: its score card has no such criterion or item.",
                call_id=self.call_id,
            )
        return found


def _judgements() -> Select[Any]:
    return (
        select(
            judgements,
            scorecards.c.rubric_version,
            _is_in_force().label("is_in_force"),
        )
        .join(scorecards, scorecards.c.card_id == judgements.c.card_id)
        .join(calls, calls.c.call_id == judgements.c.call_id)
    )


def _is_in_force() -> ColumnElement[bool]:
    newer = judgements.alias()
    return ~exists().where(
        newer.c.call_id == judgements.c.call_id,
        newer.c.user_id == judgements.c.user_id,
        newer.c.run_id == judgements.c.run_id,
        newer.c.subject == judgements.c.subject,
        newer.c.judgement_id > judgements.c.judgement_id,
    )


def _may_be_seen(by: str | None) -> ColumnElement[bool]:
    """Whether a judgement is not one of a blind review that is still going on."""
    seen = or_(judgements.c.kind != JudgementKind.BLIND.value, judgements.c.review_id.is_not(None))
    return seen if by is None else or_(seen, judgements.c.user_id == by)


def _chosen(
    at: Column[datetime],
    by: Column[str],
    scope: Scope | None,
    since: datetime | None,
    until: datetime | None,
    user_id: str | None,
) -> list[ColumnElement[bool]]:
    chosen: list[ColumnElement[bool]] = []
    if scope is not None:
        chosen.append(scope.condition())
    if since is not None:
        chosen.append(at >= since)
    if until is not None:
        chosen.append(at < until)
    if user_id is not None:
        chosen.append(by == user_id)
    return chosen


def _judged_after(
    connection: Connection, *, chosen: Sequence[ColumnElement[bool]], last: int
) -> list[Judged]:
    rows = connection.execute(
        _judgements()
        .add_columns(
            calls.c.agent_id,
            calls.c.started_at,
            agents.c.team,
            runs.c.versions,
            scorecards.c.call_type,
            scorecards.c.escalated,
            scorecards.c.checklist,
            scores.c.points.label("machine_points"),
            scores.c.low.label("machine_low"),
            scores.c.high.label("machine_high"),
            scores.c.confidence.label("machine_confidence"),
            scores.c.status.label("machine_status"),
        )
        .join(runs, runs.c.run_id == judgements.c.run_id)
        .outerjoin(agents, agents.c.agent_id == calls.c.agent_id)
        .outerjoin(
            scores,
            and_(
                scores.c.card_id == judgements.c.card_id,
                scores.c.criterion == judgements.c.subject,
            ),
        )
        .where(*chosen, judgements.c.judgement_id > last)
        .order_by(judgements.c.judgement_id)
        .limit(_PAGE)
    )
    return [_judged_of(row) for row in rows]


def _judged_of(row: Any) -> Judged:
    judgement = judgement_of(row)
    if judgement.subject == CALL_TYPE:
        answer = row.call_type
    elif judgement.subject == OUTCOME:
        answer = row.escalated
    elif judgement.item is not None:
        answer = _checklist_of(row.checklist).get(judgement.subject)
    else:
        answer = None
    return Judged(
        judgement=judgement,
        agent_id=row.agent_id,
        team=row.team,
        started_at=row.started_at,
        machine_points=row.machine_points,
        machine_low=row.machine_low,
        machine_high=row.machine_high,
        machine_confidence=row.machine_confidence,
        machine_status=ScoreStatus(row.machine_status) if row.machine_status else None,
        machine_answer=answer,
        versions=_VERSIONS.validate_json(row.versions),
    )


def _checklist_of(column: str) -> dict[str, str]:
    """The machine's answers by the subjects of judgements."""
    items = _CHECKLISTS.validate_json(column)
    return {checklist_subject(item.item): item.answer.value for item in items}


def judgement_of(row: Any) -> Judgement:
    """A judgement, of a row with its card's rubric and whether it is in force."""
    return Judgement(
        judgement_id=row.judgement_id,
        call_id=row.call_id,
        run_id=row.run_id,
        rubric_version=row.rubric_version,
        user_id=row.user_id,
        kind=JudgementKind(row.kind),
        subject=row.subject,
        points=row.points,
        answer=row.answer,
        reason=row.reason,
        judged_at=row.judged_at,
        review_id=row.review_id,
        is_in_force=bool(row.is_in_force),
    )


def comment_of(row: Any) -> Comment:
    """A comment, withdrawn or not."""
    return Comment(
        comment_id=row.comment_id,
        call_id=row.call_id,
        run_id=row.run_id,
        user_id=row.user_id,
        role=row.role,
        text=row.text,
        start_s=row.start_s,
        end_s=row.end_s,
        turn_index=row.turn_index,
        is_for_agent=row.is_for_agent,
        made_at=row.made_at,
        withdrawn_at=row.withdrawn_at,
    )


def review_of(row: Any) -> Review:
    """A finished review."""
    return Review(
        review_id=row.review_id,
        call_id=row.call_id,
        run_id=row.run_id,
        user_id=row.user_id,
        kind=ReviewKind(row.kind),
        started_at=row.started_at,
        done_at=row.done_at,
        seconds=row.seconds,
    )


# --- what people may say -------------------------------------------------------------------------

_ANSWERS: Mapping[str, Collection[str]] = {
    CALL_TYPE: tuple(CallType),
    OUTCOME: tuple(EscalationOutcome),
}
_ITEM_ANSWERS = (ChecklistAnswer.YES, ChecklistAnswer.NO, ChecklistAnswer.NOT_APPLICABLE)


def _check_value(call_id: str, subject: str, points: float | None, answer: str | None) -> None:
    if subject in set(Criterion):
        scale = scale_of(Criterion(subject))
        if answer is not None or (points is not None and points not in scale):
            raise UsageError(
                f"call {call_id}: {_named(subject)} is a whole number from {scale[0]} to "
                f"{scale[-1]}, or not assessable.",
                call_id=call_id,
            )
        return
    possible = _ITEM_ANSWERS if subject.startswith(_CHECKLIST) else _ANSWERS.get(subject, ())
    if points is not None or answer not in set(possible):
        raise UsageError(
            f"call {call_id}: that is no answer to what is judged. "
            f"There are: {', '.join(possible) or 'none'}.",
            call_id=call_id,
        )


def _typed(text: str, name: str, *, longest: int) -> str:
    """``text`` as it is kept; ``UsageError``, which names it, for what cannot be."""
    text = text.replace("\r\n", "\n").strip()
    if len(text) > longest:
        raise UsageError(f"{name} is longer than {longest} characters. Shorten it.")
    # Control characters, and halves of pairs that no encoding takes.
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text if letter not in "\n\t"):
        raise UsageError(f"{name} holds characters that are no text. Type it anew.")
    return text


def _named(subject: str) -> str:
    return subject.removeprefix(_CHECKLIST).replace("_", " ")


def _no_call(call_id: str) -> NotFoundError:
    return NotFoundError(f"no scored call {call_id}.", call_id=call_id)
