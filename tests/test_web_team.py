"""The team page: figures that agree with the lists behind them, and nobody's name."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import httpx
import pytest
from web_fixtures import PASSWORD, Site, assert_accessible, serving

from qa_monitor.config import Config
from qa_monitor.demo import write_demo_data
from qa_monitor.monitor import Monitor
from qa_monitor.store import Scope

if TYPE_CHECKING:
    from playwright.sync_api import Page

NOW = datetime.now(UTC)
DAYS = {
    "since": (NOW - timedelta(days=27)).date().isoformat(),
    "until": NOW.date().isoformat(),
}


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server on invented weeks, only read by these tests."""
    config = Config.model_validate({"data": {"folder": tmp_path_factory.mktemp("centre")}})
    with Monitor(config) as monitor:
        write_demo_data(
            monitor,
            now=NOW,
            calls=300,
            agents=12,
            days=60,
            recordings=0,
            with_users=True,
            password=PASSWORD,
        )
    with serving(config) as site:
        yield site


@pytest.fixture(scope="module")
def boss(centre: Site) -> httpx.Client:
    """A supervisor of all teams."""
    return centre.client("sam")


def test_the_page_is_for_supervisors_and_coaches(site: Site) -> None:
    for user_id, status in (
        ("sam", 200),
        ("cora", 200),
        ("rita", 403),
        ("agnes", 403),
        ("ada", 403),
    ):
        client = site.client(user_id)
        assert client.get("/team").status_code == status, user_id
        assert client.get("/team.csv").status_code == status, user_id
        assert site.api(user_id).get("/api/v1/team").status_code == status, user_id


def test_a_viewer_s_own_teams_are_counted_and_no_other(site: Site) -> None:
    days = {"since": "2026-03-01", "until": "2026-03-03"}
    north = site.api("sam").get("/api/v1/team", params=days).json()
    every = site.api("boss").get("/api/v1/team", params=days).json()
    assert (north["calls"], every["calls"]) == (3, 6)
    south = site.api("boss").get("/api/v1/team", params={**days, "team": "south"}).json()
    assert (south["calls"], south["team"]) == (2, "south")
    for name in ("south", "nowhere"):
        for client, path in ((site.api("sam"), "/api/v1/team"), (site.client("sam"), "/team")):
            assert client.get(path, params={"team": name}).status_code == 404


def test_every_view_and_export_is_in_the_access_log(site: Site) -> None:
    site.client("sam").get("/team", params={"team": "north"})
    site.client("sam").get("/team.csv")
    site.client("rita").get("/team")
    noted = [
        (entry.user_id, entry.action, entry.object_id, entry.outcome)
        for entry in site.store.access_log.entries(limit=20)
        if entry.action.startswith(("team", "report", "GET /team"))
    ]
    assert ("sam", "team.view", "north", "allowed") in noted
    assert ("sam", "report.export", None, "allowed") in noted
    assert any(user == "rita" and outcome == "refused" for user, _, _, outcome in noted)


def test_no_agent_is_named(centre: Site, boss: httpx.Client) -> None:
    texts = [boss.get(path, params=DAYS).text for path in ("/team", "/team.csv")]
    texts.append(_report(centre).__repr__())
    for agent in centre.store.people.agents():
        for text in texts:
            assert agent.agent_id not in text
            assert (agent.name or "") not in text


def _report(site: Site) -> dict[str, object]:
    from qa_monitor.accounts import make_token

    people = site.store.people
    secret, _ = make_token(people, people.user("sam"), name="t", now=NOW, expires_at=None)
    answer = httpx.get(
        f"{site.address}/api/v1/team",
        params=DAYS,
        headers={"Authorization": f"Bearer {secret}"},
        timeout=30,
    )
    assert answer.status_code == 200
    found: dict[str, object] = answer.json()
    return found


def test_each_figure_that_is_a_link_leads_to_as_many_calls(boss: httpx.Client) -> None:
    page = boss.get("/team", params=DAYS).text
    links = re.findall(r'href="(/calls\?[^"]+)">(\d+)<', page)
    assert len(links) > 15
    for address, count in links:
        listed = boss.get(address.replace("&amp;", "&").replace("/calls?", "/calls.csv?"))
        assert listed.status_code == 200, address
        assert len(list(csv.reader(io.StringIO(listed.text)))) - 1 == int(count), address


def test_page_file_and_api_tell_the_same(centre: Site, boss: httpx.Client) -> None:
    report = _report(centre)
    rows = list(csv.DictReader(io.StringIO(boss.get("/team.csv", params=DAYS).text)))
    by_name = {(row["section"], row["name"], row["unit"]): row for row in rows}
    assert by_name["calls", "all", "count"]["value"] == str(report["calls"])
    for row in report["criteria"]:  # type: ignore[attr-defined]
        written = by_name["score", row["criterion"], "points"]
        assert float(written["value"]) == pytest.approx(row["mean"]["mean"], rel=1e-3)
        assert int(written["n"]) == row["mean"]["n"]
    days = [row for row in rows if re.fullmatch(r"\d{4}-\d\d-\d\d", row["name"])]
    assert len(days) == 28
    assert sum(int(row["value"]) for row in days) == report["calls"]
    hours = [row for row in rows if row["name"].startswith("weekday")]
    assert sum(int(row["value"]) for row in hours) == report["calls"]
    page = boss.get("/team", params=DAYS).text
    assert f"{report['calls']} calls" in page


def test_the_period_before_is_as_long_and_ends_where_this_one_begins(centre: Site) -> None:
    report = centre.monitor.team_report(
        Scope(all_calls=True),
        first=NOW.date() - timedelta(days=27),
        last=NOW.date(),
    )
    before = centre.monitor.team_report(
        Scope(all_calls=True), first=report.before.first, last=report.before.last
    )
    assert before.period.days == report.period.days == 28
    assert before.calls == report.calls_before > 0
    assert [row.mean for row in before.criteria] == [row.before for row in report.criteria]
    assert before.handle.median_s == report.handle_before.median_s
    assert [row.calls for row in before.promises] == [row.calls_before for row in report.promises]
    assert before.contacts.repeated.share == report.contacts.repeated.before


def test_hours_are_those_of_the_centre(centre: Site) -> None:
    zoned = Config.model_validate(
        {
            "data": {"folder": centre.monitor.config.data.folder},
            "intake": {"timezone": "Asia/Kolkata"},
        }
    )
    with Monitor(zoned) as monitor:
        report = monitor.team_report(
            Scope(all_calls=True), first=NOW.date() - timedelta(days=27), last=NOW.date()
        )
    zone = ZoneInfo("Asia/Kolkata")
    begun = [one.started_at.astimezone(zone) for one in centre.store.summaries() if one.started_at]
    inside = [at for at in begun if report.period.first <= at.date() <= report.period.last]
    assert report.calls == len(inside) > 100
    assert {(cell.weekday, cell.hour): cell.calls for cell in report.hours} == Counter(
        (at.weekday(), at.hour) for at in inside
    )
    assert {one.day: one.calls for one in report.days if one.calls} == Counter(
        at.date() for at in inside
    )


def test_few_calls_say_so_and_none_leave_the_page_whole(site: Site) -> None:
    client = site.client("sam")
    page = client.get("/team", params={"since": "2026-03-01", "until": "2026-03-03"}).text
    assert "Too few agents" in page
    assert "oo few calls to compare" in page
    page = client.get("/team", params={"since": "2020-03-01", "until": "2020-03-03"}).text
    assert "No calls of this time" in page


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": "2026-03-03", "until": "2026-03-01"},
        {"since": "2020-01-01", "until": "2026-03-01"},
        {"since": "0001-01-01", "until": "0001-02-01"},
        {"since": "9999-01-01", "until": "9999-12-31"},
        {"since": "yesterday"},
        {"team": "x" * 101},
    ],
)
def test_days_that_are_no_period_are_refused(site: Site, wrong: dict[str, str]) -> None:
    for client, path in ((site.api("sam"), "/api/v1/team"), (site.client("sam"), "/team")):
        assert client.get(path, params=wrong).status_code == 422, wrong


@pytest.mark.browser
def test_a_supervisor_chooses_days_and_team_and_goes_on_to_the_calls(
    centre: Site, browser_page: Page
) -> None:
    page = browser_page
    centre.sign_in(page, "sam")
    page.get_by_role("link", name="Team", exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text() == "All teams"
    assert_accessible(page)
    page.get_by_label("Team", exact=True).select_option("north")
    page.get_by_role("button", name="Show").press("Enter")
    page.wait_for_url("**team=north**")
    assert page.get_by_role("heading", level=1).inner_text() == "Team north"
    assert page.get_by_role("img", name="Calls each day").is_visible()
    assert_accessible(page)
    missed = page.get_by_role("region", name="Urgent calls").get_by_role("link").first
    shown = int(re.match(r"\d+", missed.inner_text())[0])  # type: ignore[index]
    missed.press("Enter")
    page.wait_for_url("**/calls?**")
    assert "team=north" in page.url
    assert page.get_by_text(re.compile(rf"\b{shown} calls?\b")).first.is_visible()
