"""Feedback on one agent, as a value and as HTML, JSON or CSV.

``agent_report`` reads scored calls and chooses what to say; the ``render_`` functions write it
down. The HTML stands alone: no script, no other file, no other host. Quotes are redacted text;
redacted is not de-identified, so a report is to be kept as the calls are kept.
"""

from __future__ import annotations

from qa_monitor.reports.agent import agent_report
from qa_monitor.reports.figures import Mean
from qa_monitor.reports.measuring import (
    GOAL_RANGE,
    MEASURED,
    CallFigures,
    figures_of,
    goal_measure,
    mean_of,
)
from qa_monitor.reports.rendering import (
    csv_cell,
    natural_order,
    render_body,
    render_csv,
    render_html,
    render_index,
    render_json,
    report_file_name,
)
from qa_monitor.reports.values import (
    AgentReport,
    CallRow,
    Change,
    ChecklistGap,
    CriterionReport,
    GoalReport,
    Line,
    MeasureReport,
    Moment,
    NextStep,
    Replay,
    SharedNote,
    Strength,
    UrgentCall,
    Week,
)

__all__ = [
    "GOAL_RANGE",
    "MEASURED",
    "AgentReport",
    "CallFigures",
    "CallRow",
    "Change",
    "ChecklistGap",
    "CriterionReport",
    "GoalReport",
    "Line",
    "Mean",
    "MeasureReport",
    "Moment",
    "NextStep",
    "Replay",
    "SharedNote",
    "Strength",
    "UrgentCall",
    "Week",
    "agent_report",
    "csv_cell",
    "figures_of",
    "goal_measure",
    "mean_of",
    "natural_order",
    "render_body",
    "render_csv",
    "render_html",
    "render_index",
    "render_json",
    "report_file_name",
]
