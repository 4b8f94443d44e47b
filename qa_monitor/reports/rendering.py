"""Reports written down: HTML that stands alone, JSON, CSV, and the index of the agents."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from qa_monitor.reports.charts import MOST_WEEKS, scale_chart, trend_chart
from qa_monitor.reports.figures import Mean, Tally
from qa_monitor.reports.values import CRITERIA, AgentReport
from qa_monitor.reports.wording import NOT_ASSESSED, add_words, day

__all__ = ["render_csv", "render_html", "render_index", "render_json", "report_file_name"]

_AGAINST_TEAM = {
    "higher": "Higher than the team's",
    "lower": "Lower than the team's",
    "no_clear_difference": "No clear difference from the team",
    "too_few_calls": "Too few calls to compare with the team",
}
_CHANGES = {
    "higher": "The later calls score higher than the earlier ones.",
    "lower": "The later calls score lower than the earlier ones.",
    "no_clear_difference": "No clear change between the earlier and the later calls.",
    "too_few_calls": "Too few calls to tell a change from chance.",
}
_FILE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}")
_DEVICE_NAME = re.compile(r"(index|con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠|%")


def render_html(report: AgentReport) -> str:
    """A page that stands alone: style and charts inside, no script, no other host."""
    return _environment().get_template("agent.html.j2").render(report=report)


def render_json(report: AgentReport) -> str:
    """The whole report as JSON: the fields of ``AgentReport``, ``null`` for not assessed."""
    from pydantic import TypeAdapter

    return TypeAdapter(AgentReport).dump_json(report, indent=2).decode() + "\n"


def render_csv(report: AgentReport) -> str:
    """One line for each call, after a header; "not assessed" where there is no score.

    No cell can be taken for a formula by a spreadsheet [OWASP, CSV injection].
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(
        "agent_id call_id started_at duration_s call_type urgency escalated escalation_delay_s "
        "empathy active_listening escalation total needs_review review_reasons "
        "demonstration_recogniser auto_failed checklist_yes checklist_asked".split()
    )
    for row in report.rows:
        writer.writerow(
            _cell(value)
            for value in (
                report.agent_id,
                row.call_id,
                row.started_at.isoformat() if row.started_at else "",
                f"{row.duration_s:.1f}",
                row.call_type,
                row.urgency,
                row.escalated,
                "" if row.escalation_delay_s is None else f"{row.escalation_delay_s:.1f}",
                *(_decimals(row.points(criterion), 2) for criterion in CRITERIA),
                _decimals(row.total, 1),
                "yes" if row.needs_review else "no",
                " ".join(row.review_reasons),
                "yes" if row.is_demonstration else "no",
                " ".join(row.auto_failed),
                row.checklist_yes,
                row.checklist_asked,
            )
        )
    return file.getvalue()


def render_index(reports: Iterable[AgentReport]) -> str:
    """A page that links the agents' reports in alphabetical order, with the means of all calls.

    It ranks nobody: there is no order but that of the ids. The links are ``report_file_name``.
    """
    ordered = sorted(reports, key=lambda report: (_natural(report.agent_id), report.agent_id))
    tallies = {criterion: Tally() for criterion in CRITERIA}
    for report in ordered:
        for row in report.rows:
            for criterion, tally in tallies.items():
                points = row.points(criterion)
                if points is not None:
                    tally.add(points)
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            reports=ordered,
            team=[(criterion, tally.mean()) for criterion, tally in tallies.items()],
        )
    )


def report_file_name(agent_id: str) -> str:
    """The name of the agent's HTML file: safe on every system, never the same for two ids.

    An id of letters, digits, dots, hyphens and underscores stands as it is; any other is shortened
    to those and told apart by a digest.
    """
    if _FILE_NAME.fullmatch(agent_id) and not _DEVICE_NAME.match(agent_id):
        return f"{agent_id}.html"
    plain = re.sub(r"[^a-zA-Z0-9]+", "-", agent_id)[:40].strip("-").lower()
    digest = hashlib.sha256(agent_id.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{'agent' if not plain else 'agent-' + plain}~{digest}.html"


# --- words and forms for the templates -----------------------------------------------------------


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("qa_monitor.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    add_words(environment)
    environment.globals.update(
        against_team=_AGAINST_TEAM,
        changes=_CHANGES,
        file_name=report_file_name,
        interval=_interval,
        most_weeks=MOST_WEEKS,
        period=_period,
        scale_chart=scale_chart,
        trend_chart=trend_chart,
    )
    return environment


def _cell(value: object) -> str:
    text = NOT_ASSESSED if value is None else str(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text


def _decimals(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _interval(mean: Mean) -> str:
    if mean.low is None or mean.high is None:
        return "one call, no interval"
    return f"{mean.low:.1f} to {mean.high:.1f}"


def _period(report: AgentReport) -> str:
    if report.first_call_at is None or report.last_call_at is None:
        return "dates unknown"
    first, last = day(report.first_call_at), day(report.last_call_at)
    if report.first_call_at.year == report.last_call_at.year and first != last:
        first = first.rpartition(" ")[0]
    return first if first == last else f"{first} – {last}"


def _natural(text: str) -> list[tuple[int, int | str]]:
    """The order a reader expects: agent-2 before agent-10, capitals beside small letters."""
    return [
        (0, int(part)) if part.isdecimal() else (1, part.casefold())
        for part in re.split(r"(\d+)", text)
    ]
