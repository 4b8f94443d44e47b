"""Reports written down: HTML that stands alone, JSON, CSV, and the index of the agents."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable
from datetime import date, datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from qa_monitor.calls import CallType, Criterion, EntityType, EscalationOutcome, Role
from qa_monitor.reports.behaviours import ACTIONS
from qa_monitor.reports.charts import MOST_WEEKS, scale_chart, trend_chart
from qa_monitor.reports.figures import Mean, Tally
from qa_monitor.reports.values import CRITERIA, AgentReport

__all__ = ["render_csv", "render_html", "render_index", "render_json", "report_file_name"]

NOT_ASSESSED = "not assessed"

_CRITERIA = {
    Criterion.EMPATHY: "Empathy",
    Criterion.ACTIVE_LISTENING: "Active listening",
    Criterion.ESCALATION: "Handling of urgent calls",
    Criterion.URGENCY: "Urgency",
}
_CRITERIA_MEAN = {
    Criterion.EMPATHY: "How the agent answers what callers feel. Assessed only where a caller "
    "showed a feeling, a difficulty, a loss or good news.",
    Criterion.ACTIVE_LISTENING: "Questions, saying back, checking that it was understood; against "
    "it cutting off, asking again, passing over details.",
    Criterion.ESCALATION: "Whether urgent calls got the right action, at once and whole. Assessed "
    "only in urgent calls.",
}
_URGENCIES = ("routine", "same day", "urgent", "emergency")
_OUTCOMES = {
    EscalationOutcome.NOT_NEEDED: "not needed",
    EscalationOutcome.PROPERLY: "passed on properly",
    EscalationOutcome.LATE_OR_PARTIAL: "late or in part",
    EscalationOutcome.MISSED: "missed",
    EscalationOutcome.UNNEEDED: "without need",
}
_CALL_TYPES = {
    CallType.LAB_RESULTS: "lab results",
    CallType.MEDICAL_RECORDS: "medical records",
    CallType.AFTER_HOURS: "after hours",
    CallType.POST_DISCHARGE: "after discharge",
}
_ROLES = {
    Role.AGENT: "Agent",
    Role.OTHER_STAFF: "Colleague",
    Role.CALLER: "Caller",
    Role.THIRD_PARTY: "Third person",
    Role.INTERPRETER: "Interpreter",
    Role.SYSTEM: "Announcement",
    Role.UNKNOWN: "Speaker",
}
_REDACTED = {
    EntityType.PERSON: "name",
    EntityType.DATE: "date",
    EntityType.AGE: "age",
    EntityType.LOCATION: "place",
    EntityType.ORGANIZATION: "organisation",
    EntityType.PHONE: "phone number",
    EntityType.FAX: "fax number",
    EntityType.EMAIL: "e-mail",
    EntityType.SSN: "social security number",
    EntityType.MEMBER_ID: "member number",
    EntityType.MRN: "record number",
    EntityType.ACCOUNT: "account number",
    EntityType.LICENSE: "licence",
    EntityType.DEVICE: "device number",
    EntityType.URL: "web address",
    EntityType.IP: "network address",
    EntityType.OTHER_ID: "other number",
}
_REVIEW_REASONS = {
    "low_confidence": "the scores are unsure",
    "roles_uncertain": "it is unsure who spoke",
    "doubtful_text": "parts were hard to make out",
    "urgent_unsure": "the urgency is unsure",
    "red_flag_unsure": "words of a red flag were heard, yet the call seems not urgent",
    "outcome_unsure": "it is unsure what was done about the urgency",
    "not_assessable": "not everything could be assessed",
    "abstained": "a score was left to a person",
    "auto_failed": "the call is failed by a rule of the rubric",
    "speech_dropped": "part of the talk could not be transcribed",
}
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
_PLACEHOLDER = re.compile(r"<([A-Z_]+)_\d+>")
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
    environment.filters.update(
        action=lambda code: ACTIONS[code].moment,
        call_type=lambda value: NOT_ASSESSED if value is None else _call_type(value),
        calls=_calls,
        clock=_clock,
        day=_day,
        chips=_chips,
        duration=_duration,
        outcome=lambda value: NOT_ASSESSED if value is None else _OUTCOMES[value],
        points=lambda value: NOT_ASSESSED if value is None else f"{value:.1f}",
        reason=lambda code: _REVIEW_REASONS.get(code, code.replace("_", " ")),
        role=lambda role: _ROLES[role],
        time=_time,
        urgency=lambda value: NOT_ASSESSED if value is None else _URGENCIES[value],
    )
    environment.globals.update(
        against_team=_AGAINST_TEAM,
        changes=_CHANGES,
        criteria_mean=_CRITERIA_MEAN,
        criteria_names=_CRITERIA,
        file_name=report_file_name,
        interval=_interval,
        most_weeks=MOST_WEEKS,
        not_assessed=NOT_ASSESSED,
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


def _chips(text: str) -> Markup:
    """``text`` with each ``<PERSON_1>`` shown as a label that says what was taken out."""
    parts: list[Markup] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        if match[1] not in EntityType.__members__:
            continue
        parts.append(escape(text[end : match.start()]))
        word = _REDACTED[EntityType(match[1])]
        parts.append(Markup('<span class="chip">{}</span>').format(word))
        end = match.end()
    parts.append(escape(text[end:]))
    return Markup("").join(parts)


def _call_type(value: CallType) -> str:
    return _CALL_TYPES.get(value, value.value)


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"


def _clock(seconds: float | None) -> str:
    """Minutes and seconds into the recording."""
    if seconds is None:
        return "time unknown"
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def _duration(seconds: float) -> str:
    """A stretch of time in words."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02d} s"


def _day(when: date) -> str:
    return f"{when.day} {when:%b %Y}"


def _time(when: datetime) -> str:
    return f"{when.day} {when:%b %Y, %H:%M}"


def _interval(mean: Mean) -> str:
    if mean.low is None or mean.high is None:
        return "one call, no interval"
    return f"{mean.low:.1f} to {mean.high:.1f}"


def _period(report: AgentReport) -> str:
    if report.first_call_at is None or report.last_call_at is None:
        return "dates unknown"
    first, last = _day(report.first_call_at), _day(report.last_call_at)
    if report.first_call_at.year == report.last_call_at.year and first != last:
        first = first.rpartition(" ")[0]
    return first if first == last else f"{first} – {last}"


def _natural(text: str) -> list[tuple[int, int | str]]:
    """The order a reader expects: agent-2 before agent-10, capitals beside small letters."""
    return [
        (0, int(part)) if part.isdecimal() else (1, part.casefold())
        for part in re.split(r"(\d+)", text)
    ]
