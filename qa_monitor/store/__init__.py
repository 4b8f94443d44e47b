"""What is kept: records, alerts and who works on what, in SQLite or PostgreSQL.

``open_store`` is the only function that opens the database and this package the only place that
knows SQL. What is stored is redacted, but redacted is not de-identified: the database is PHI.
"""

from __future__ import annotations

from qa_monitor.store.accesslog import Access, AccessLog
from qa_monitor.store.coaching import (
    Acknowledgement,
    Answer,
    CoachedAgent,
    Coaching,
    Dispute,
    DisputeState,
    Goal,
    GoalKind,
    GoalState,
    Note,
    StateChange,
)
from qa_monitor.store.keeping import Deletion, DueCall, Hold, Keeping
from qa_monitor.store.people import Agent, People, Scope, Session, Token, User, UserRole
from qa_monitor.store.reporting import Correction, Reporting, ScoredCall, ScoreSum
from qa_monitor.store.reviews import (
    Comment,
    HistoryEntry,
    Judged,
    Judgement,
    JudgementKind,
    Rescoring,
    RescoringKind,
    Review,
    ReviewKind,
    Reviews,
)
from qa_monitor.store.store import Store, open_store
from qa_monitor.store.values import (
    AlertEvent,
    AlertState,
    CallSummary,
    CardSummary,
    CriterionComparison,
    Delivery,
    DeliveryState,
    RubricComparison,
    RubricUse,
    RunSummary,
    StoredAlert,
)

__all__ = [
    "Access",
    "AccessLog",
    "Acknowledgement",
    "Agent",
    "AlertEvent",
    "AlertState",
    "Answer",
    "CallSummary",
    "CardSummary",
    "CoachedAgent",
    "Coaching",
    "Comment",
    "Correction",
    "CriterionComparison",
    "Deletion",
    "Delivery",
    "DeliveryState",
    "Dispute",
    "DisputeState",
    "DueCall",
    "Goal",
    "GoalKind",
    "GoalState",
    "HistoryEntry",
    "Hold",
    "Judged",
    "Judgement",
    "JudgementKind",
    "Keeping",
    "Note",
    "People",
    "Reporting",
    "Rescoring",
    "RescoringKind",
    "Review",
    "ReviewKind",
    "Reviews",
    "RubricComparison",
    "RubricUse",
    "RunSummary",
    "Scope",
    "ScoreSum",
    "ScoredCall",
    "Session",
    "StateChange",
    "Store",
    "StoredAlert",
    "Token",
    "User",
    "UserRole",
    "open_store",
]
