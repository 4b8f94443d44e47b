"""People's reviews: which calls they are asked for, how far they agree, and what is learnt from it.

``queue`` says what is to be reviewed next and why; ``agreement`` works out figures, with
``statistics``; ``labelled`` gives what reviewers found as labelled calls, which ``evaluation`` and
training read.
"""

from __future__ import annotations

from qa_monitor.reviewing.agreement import (
    ENOUGH,
    HEADS,
    Agreement,
    AlertPrecision,
    Among,
    Basis,
    Head,
    MonthFigure,
    PairFigure,
    Subject,
    VersionFigure,
    agreement,
    alert_precision,
)
from qa_monitor.reviewing.labelled import (
    Adjudicated,
    LabelledExport,
    LabelledFormat,
    export_labelled,
)
from qa_monitor.reviewing.queue import (
    LEASE,
    REASONS,
    QueuePolicy,
    Reason,
    ReasonWords,
    refresh_queue,
    shown_reasons,
)
from qa_monitor.scoring.measure import Interval

__all__ = [
    "ENOUGH",
    "HEADS",
    "LEASE",
    "REASONS",
    "Adjudicated",
    "Agreement",
    "AlertPrecision",
    "Among",
    "Basis",
    "Head",
    "Interval",
    "LabelledExport",
    "LabelledFormat",
    "MonthFigure",
    "PairFigure",
    "QueuePolicy",
    "Reason",
    "ReasonWords",
    "Subject",
    "VersionFigure",
    "agreement",
    "alert_precision",
    "export_labelled",
    "refresh_queue",
    "shown_reasons",
]
