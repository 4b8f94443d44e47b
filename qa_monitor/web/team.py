"""The team page: what came in, how it went, and what is left to do, without agents' names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Query
from starlette.responses import Response

from qa_monitor.accounts import Permission
from qa_monitor.errors import NotFoundError
from qa_monitor.reports.team import Period, TeamReport, render_team_csv
from qa_monitor.reports.team_charts import criterion_chart, volume_chart
from qa_monitor.web.agents import DayField, Since, Until, api_period, period_of, quick_periods
from qa_monitor.web.viewing import Signed, Viewer, api_router, page_router

if TYPE_CHECKING:
    from qa_monitor.store import Scope

__all__ = ["api", "pages"]

pages = page_router()
api = api_router("team")

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SHADES = 5

TeamField = Annotated[str, Query(max_length=100)]
Team = Annotated[
    str | None, Query(min_length=1, max_length=100, description="One team; else all in reach.")
]


@pages.get("/team", name="team")
def team_page(
    viewer: Signed, since: DayField = "", until: DayField = "", team: TeamField = ""
) -> Response:
    """The page."""
    teams = _teams(viewer)
    report = _report(viewer, period_of(viewer, since, until), team or None)
    viewer.note("team.view", kind="team", object_id=report.team)
    return viewer.page(
        "team/page.html.j2",
        report=report,
        teams=teams,
        is_all=viewer.require(Permission.SEE_TEAM).all_calls,
        quick=quick_periods(viewer, report.period),
        heat=_heat(report),
        weekdays=_WEEKDAYS,
        volume_chart=volume_chart,
        criterion_chart=criterion_chart,
    )


@pages.get("/team.csv", name="team_csv")
def team_csv(
    viewer: Signed, since: DayField = "", until: DayField = "", team: TeamField = ""
) -> Response:
    """The page's figures as a file for a spreadsheet."""
    report = _report(viewer, period_of(viewer, since, until), team or None)
    viewer.note("report.export", kind="team", object_id=report.team)
    name = f"team-{report.period.first}-{report.period.last}.csv"
    return Response(
        render_team_csv(report),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@api.get("/team", name="team_report", summary="A team's report")
def team_api(
    viewer: Signed, since: Since = None, until: Until = None, team: Team = None
) -> TeamReport:
    """Volume, handle times, urgent calls, scores, repeat callers, checklists and promises.

    Of the calls that began from `since` to `until`, against the period of the same length before;
    of the last four weeks where neither is said. Shares are 0 to 1, intervals are of 95 %; no agent
    is named.
    """
    viewer.require(Permission.SEE_TEAM)
    report = _report(viewer, api_period(viewer, since, until), team)
    viewer.note("team.view", kind="team", object_id=report.team)
    return report


def _report(viewer: Viewer, period: Period, team: str | None) -> TeamReport:
    scope = viewer.require(Permission.SEE_TEAM)
    if team is not None and team not in _teams(viewer):
        raise NotFoundError("there is no such team, or it is not yours to see.")
    return viewer.monitor.team_report(scope, first=period.first, last=period.last, team=team)


def _teams(viewer: Viewer) -> list[str]:
    scope: Scope = viewer.require(Permission.SEE_TEAM)
    return sorted(viewer.store.people.teams() if scope.all_calls else scope.teams)


def _heat(report: TeamReport) -> list[tuple[int, list[tuple[int, int]]]]:
    """Each hour from the first to the last in which calls began, with its weekdays' calls.

    Beside each count stands its shade, 0 to 5.
    """
    calls = {(one.weekday, one.hour): one.calls for one in report.hours}
    if not calls:
        return []
    most, hours = max(calls.values()), [hour for _, hour in calls]
    return [
        (
            hour,
            [
                (count, -(-count * _SHADES // most))
                for count in (calls.get((weekday, hour), 0) for weekday in range(7))
            ],
        )
        for hour in range(min(hours), max(hours) + 1)
    ]
