"""Reports written down: HTML that stands alone, JSON, CSV, and the index of the agents."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cache
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qa_monitor.reports.charts import MOST_WEEKS, scale_chart, trend_chart
from qa_monitor.reports.figures import Mean, Tally
from qa_monitor.reports.values import CRITERIA, AgentReport, Change, GoalReport
from qa_monitor.reports.wording import NOT_ASSESSED, add_words, amount, day

__all__ = [
    "Link",
    "csv_cell",
    "natural_order",
    "render_body",
    "render_csv",
    "render_html",
    "render_index",
    "render_json",
    "report_file_name",
]

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
_TO_AGENT = (
    ("The agent's talk, of the agent's", "Your talk, of yours"),
    ("the agent answers", "you answer"),
    ("the agent breaks in", "you break in"),
    ("the agent ", "you "),
)
_FILE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}")
_DEVICE_NAME = re.compile(r"(index|con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠|%")


Link = Callable[[str, float | None], str | None]
"""The address of a call, at a second of it or from its beginning; ``None`` where there is none."""


def render_html(report: AgentReport, *, link_base: str = "") -> str:
    """A page that stands alone: style and charts inside, no script, nothing from another host.

    Calls are links to ``link_base`` and the call id, with the second as ``?at=``, if it is given.
    """

    def link(call_id: str, at_s: float | None) -> str | None:
        at = "" if at_s is None else f"?at={at_s:.1f}"
        return f"{link_base}{quote(call_id, safe='')}{at}" if link_base else None

    template = _environment().get_template("agent.html.j2")
    return template.render(report=report, link=link, you=False)


def render_body(report: AgentReport, *, link: Link, you: bool = False) -> Markup:
    """The report as a part of another page, whose style is ``templates/style.css``.

    ``link`` gives the addresses of calls; ``you`` speaks to the agent, else of the agent.
    """
    environment = _environment()
    parts = ("agent_summary.html.j2", "agent_sections.html.j2")
    return Markup("").join(
        Markup(environment.get_template(name).render(report=report, link=link, you=you))
        for name in parts
    )


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
        "demonstration_recogniser auto_failed checklist_yes checklist_asked corrected".split()
    )
    for row in report.rows:
        writer.writerow(
            csv_cell(value)
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
                " ".join(row.corrected),
            )
        )
    return file.getvalue()


def render_index(reports: Iterable[AgentReport]) -> str:
    """A page that links the agents' reports in alphabetical order, with the means of all calls.

    It ranks nobody: there is no order but that of the ids. The links are ``report_file_name``.
    """
    ordered = sorted(reports, key=lambda report: (natural_order(report.agent_id), report.agent_id))
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
    environment.filters.update(habit=_habit, to_reader=_to_reader)
    environment.globals.update(
        against_team=_AGAINST_TEAM,
        changed=_changed,
        changes=_CHANGES,
        file_name=report_file_name,
        goal_says=_goal_says,
        interval=_interval,
        most_weeks=MOST_WEEKS,
        period=_period,
        scale_chart=scale_chart,
        trend_chart=trend_chart,
    )
    return environment


def _changed(change: Change | None, unit: str) -> str:
    """What has changed from the period before, in words."""
    if change is None:
        return "Too few calls to compare"
    if change.says == "no_clear_difference":
        return "No clear change"
    low, high = sorted((abs(change.low), abs(change.high)))
    by, least, most = (amount(end, unit) for end in (abs(change.value), low, high))
    if unit == "share":
        by = f"{by} points"
    return f"{'Up' if change.value > 0 else 'Down'} by {by} (95 % interval {least} to {most})"


def _goal_says(goal: GoalReport) -> str:
    """How far a goal has come, in words."""
    if goal.state != "open":
        return "Met." if goal.state == "met" else "Dropped."
    if goal.is_reached is None:
        return "Too few calls since to tell."
    return "Reached so far." if goal.is_reached else "Not reached yet."


def _habit(says: str, you: bool) -> str:
    """A habit as the beginning of a sentence: "Asks on ...", to the agent "You ask on ..."."""
    if not you:
        return says[0].upper() + says[1:]
    verb, _, rest = says.partition(" ")
    return f"You {'have' if verb == 'has' else verb.removesuffix('s')} {rest}"


def _to_reader(says: str, you: bool) -> str:
    """What is said of the agent, said to the agent where ``you`` is asked for."""
    if you:
        for of_agent, to_agent in _TO_AGENT:
            says = says.replace(of_agent, to_agent)
    return says


def csv_cell(value: object) -> str:
    """``value`` as a cell that no spreadsheet takes for a formula [OWASP, CSV injection]."""
    text = NOT_ASSESSED if value is None else str(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text


def _decimals(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _interval(mean: Mean) -> str:
    if mean.low is None or mean.high is None:
        return "one call, no interval"
    return f"{mean.low:.1f} to {mean.high:.1f}"


def _period(report: AgentReport) -> str:
    """The period that was asked for; where it is open, the calls' own."""
    begin, end = report.first_call_at, report.last_call_at
    zone = report.made_at.tzinfo
    if report.since is not None:
        begin = report.since.astimezone(zone)
    if report.until is not None:
        end = (report.until - timedelta(microseconds=1)).astimezone(zone)
    if begin is None or end is None:
        return "dates unknown"
    first, last = day(begin), day(end)
    if begin.year == end.year and first != last:
        first = first.rpartition(" ")[0]
    return first if first == last else f"{first} – {last}"


def natural_order(text: str) -> list[tuple[int, int | str]]:
    """The order a reader expects: agent-2 before agent-10, capitals beside small letters."""
    return [
        (0, int(part)) if part.isdecimal() else (1, part.casefold())
        for part in re.split(r"(\d+)", text)
    ]
