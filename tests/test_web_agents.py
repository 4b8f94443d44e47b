"""The coach's pages: agents in reach, the report as a page, notes and goals, disputes."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from invented_records import NOW, make_record
from web_fixtures import PASSWORD, Site, assert_accessible

from qa_monitor.accounts import add_user, make_token
from qa_monitor.calls import Criterion
from qa_monitor.store import Dispute, User, UserRole

if TYPE_CHECKING:
    from playwright.sync_api import Page

DAYS = {"since": "2026-02-20", "until": "2026-03-10"}
QUERY = "since=2026-02-20&until=2026-03-10"
TODAY = datetime.now(UTC)


def dispute(site: Site, call_id: str = "north-1") -> Dispute:
    """The agent of the call disputes its empathy."""
    agent = site.store.people.agent_of_call(call_id)
    assert agent is not None
    assert agent[0] is not None
    return site.store.coaching.raise_dispute(
        call_id,
        Criterion.EMPATHY,
        "I did ask how she felt.",
        agent_id=agent[0],
        by="agnes" if agent[0] == "agent-01" else "amos",
        now=TODAY,
        within=timedelta(days=14),
    )


def last_access(site: Site) -> tuple[str, str | None, str]:
    entry = site.store.access_log.entries(limit=1)[0]
    return entry.action, entry.object_id, entry.outcome


# --- the list ------------------------------------------------------------------------------------


def test_a_coach_sees_the_agents_of_the_own_teams_in_alphabetical_order(site: Site) -> None:
    html = site.client("cora").get("/agents", params=DAYS).text
    assert html.index("Agnes") < html.index("Anna")
    assert "Amos" not in html
    assert "not by score" in html
    everybody = site.client("boss").get("/agents", params=DAYS).text
    assert everybody.index("Agnes") < everybody.index("Amos") < everybody.index("Anna")


def test_the_list_counts_calls_goals_and_disputes(site: Site) -> None:
    dispute(site)
    (agnes, anna) = site.api("cora").get("/api/v1/agents", params=DAYS).json()
    assert (agnes["agent_id"], agnes["calls"], agnes["open_disputes"]) == ("agent-01", 2, 1)
    assert (anna["name"], anna["calls"], anna["last_report_at"]) == ("Anna", 1, None)
    site.client("cora").get("/agents/agent-01", params=DAYS)
    (agnes, _) = site.api("cora").get("/api/v1/agents", params=DAYS).json()
    assert agnes["last_report_at"] is not None


def test_the_list_is_searched_by_name_id_and_team(site: Site) -> None:
    for wanted, found in (("ann", ["agent-03"]), ("NORTH", ["agent-01", "agent-03"]), ("%", [])):
        answer = site.api("cora").get("/api/v1/agents", params={"q": wanted})
        assert [agent["agent_id"] for agent in answer.json()] == found


@pytest.mark.parametrize(
    "days",
    [
        {"since": "2026-03-02", "until": "2026-03-01"},
        {"since": "2020-01-01", "until": "2026-03-01"},
        {"since": "0001-01-01"},
        {"until": "9999-12-31"},
        {"since": "March"},
    ],
)
def test_days_that_are_no_period_are_refused_in_words(site: Site, days: dict[str, str]) -> None:
    assert site.api("cora").get("/api/v1/agents", params=days).status_code == 422
    assert site.client("cora").get("/agents", params=days).status_code == 422


# --- the report ----------------------------------------------------------------------------------


def test_the_report_is_a_page_with_links_into_the_calls(site: Site) -> None:
    html = site.client("cora").get("/agents/agent-01", params=DAYS).text
    assert "What goes well" in html
    assert 'href="/calls/north-1"' in html
    assert 'href="/calls/north-1?at=1.0"' in html
    assert last_access(site) == ("report.view", "agent-01", "allowed")


def test_an_agent_without_calls_in_the_period_is_told_so(site: Site) -> None:
    client = site.client("cora")
    answer = client.get("/agents/agent-01", params={"since": "2025-01-01", "until": "2025-02-01"})
    assert answer.status_code == 200
    assert "No scored calls in this period" in answer.text
    answer = client.get("/agents/agent-01/report.csv?since=2025-01-01&until=2025-02-01")
    assert answer.status_code == 404


def test_agents_beyond_the_teams_are_not_there(site: Site) -> None:
    for path in ("/agents/agent-02", "/agents/agent-02/report.csv", "/agents/agent-99"):
        assert site.client("cora").get(path).status_code == 404
        assert last_access(site)[2] == "refused"
    assert site.api("cora").get("/api/v1/agents/agent-02/report").status_code == 404
    assert site.client("rita").get("/agents/agent-01").status_code == 403
    assert site.client("agnes").get("/agents/agent-01").status_code == 403


def test_the_report_can_be_taken_along_as_csv_json_and_html(site: Site) -> None:
    client = site.client("cora")
    text = client.get("/agents/agent-01/report.csv", params=DAYS).text
    assert [row["call_id"] for row in csv.DictReader(io.StringIO(text))] == ["north-2", "north-1"]
    assert client.get("/agents/agent-01/report.json", params=DAYS).json()["calls"] == 2
    answer = client.get("/agents/agent-01/report.html", params=DAYS)
    assert answer.headers["content-disposition"] == 'attachment; filename="agent-01.html"'
    assert f'href="{site.address}/calls/north-1"' in answer.text
    assert "<script>" not in answer.text
    assert last_access(site) == ("report.export", "agent-01", "allowed")


def test_the_same_report_is_had_as_json(site: Site) -> None:
    report = site.api("cora").get("/api/v1/agents/agent-01/report", params=DAYS).json()
    assert report["calls"] == 2
    assert report["calls_before"] == 0
    assert report["criteria"][0]["mean"]["mean"] == 2.5
    assert report["criteria"][0]["team"] is None


def test_a_correction_stands_in_the_report(site: Site) -> None:
    site.store.reviews.correct(
        "north-1", "empathy", user_id="rita", points=5, reason="Warm throughout", now=NOW
    )
    report = site.api("cora").get("/api/v1/agents/agent-01/report", params=DAYS).json()
    assert report["criteria"][0]["mean"]["mean"] == 3.75
    assert report["corrected_scores"] == 1


def test_an_odd_id_has_a_page_and_hostile_words_stay_words(site: Site) -> None:
    odd = "Ann & Söhne?x=<b>"
    site.store.save_record(make_record("odd-1", agent_id=odd), (), now=NOW)
    client = site.client("boss")
    html = client.get("/agents", params=DAYS).text
    assert "&lt;b&gt;" in html
    link = html.split('href="/agents/Ann')[1].split('"')[0].replace("&amp;", "&")
    assert client.get(f"/agents/Ann{link}").status_code == 200


# --- notes and goals -----------------------------------------------------------------------------


def test_a_note_is_kept_shared_or_not(site: Site) -> None:
    client = site.client("cora")
    note = {"text": "Look at the opening.", "call_id": "north-1", "at": "1:05"}
    answer = client.post(f"/agents/agent-01/notes?{QUERY}", data=note)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/agents/agent-01?{QUERY}"
    (kept,) = site.store.coaching.notes("agent-01")
    assert (kept.text, kept.is_shared, kept.at_s) == ("Look at the opening.", False, 65.0)
    client.post("/agents/agent-01/notes", data={"text": "Well done.", "is_shared": "true"})
    page = client.get("/agents/agent-01").text
    assert page.index("Well done.") < page.index("Look at the opening.")


def test_a_coach_who_is_an_agent_reads_no_note_that_others_keep_on_them(site: Site) -> None:
    uma = User(
        user_id="uma",
        name="Uma",
        roles=frozenset({UserRole.AGENT, UserRole.COACH}),
        agent_id="agent-01",
        teams=frozenset({"north"}),
    )
    people, coaching = site.store.people, site.store.coaching
    add_user(people, uma, password=PASSWORD, now=NOW)
    site.tokens["uma"], _ = make_token(people, uma, name="tests", now=NOW, expires_at=None)
    coaching.add_note("agent-01", "Between coaches", by="cora", now=NOW, is_shared=False)
    coaching.add_note("agent-01", "For Uma", by="cora", now=NOW, is_shared=True)
    for client, path in (
        (site.client("uma"), "/agents/agent-01"),
        (site.api("uma"), "/api/v1/agents/agent-01/notes"),
    ):
        text = client.get(path).text
        assert "For Uma" in text
        assert "Between coaches" not in text


def test_a_note_on_a_call_of_somebody_else_is_refused(site: Site) -> None:
    note = {"text": "Here", "call_id": "north-3"}
    assert site.client("cora").post("/agents/agent-01/notes", data=note).status_code == 404
    assert site.client("cora").post("/agents/agent-01/notes", data={"text": " "}).status_code == 422
    assert site.store.coaching.notes("agent-01") == ()


def test_only_coaches_write_notes_and_goals(site: Site) -> None:
    for user in ("sam", "rita", "agnes", "ada"):
        client = site.client(user)
        assert client.post("/agents/agent-01/notes", data={"text": "x"}).status_code == 403
        goal = {"measure": "criterion:empathy", "target": "4", "wording": "x"}
        assert client.post("/agents/agent-01/goals", data=goal).status_code == 403
    assert site.client("cora").post("/agents/agent-02/notes", data={"text": "x"}).status_code == 404
    assert "Set the goal" not in site.client("sam").get("/agents/agent-01", params=DAYS).text


def test_a_goal_is_set_followed_up_and_closed(site: Site) -> None:
    client = site.client("cora")
    record = make_record("fresh-1", agent_id="agent-01", started_at=TODAY - timedelta(days=2))
    site.store.save_record(record, (), now=TODAY)
    goal = {"measure": "criterion:empathy", "target": "4,0", "wording": "Name the feeling"}
    assert client.post("/agents/agent-01/goals", data=goal).status_code == 303
    (kept,) = site.store.coaching.goals("agent-01")
    assert (kept.target, kept.baseline, kept.baseline_n) == (4.0, 2.5, 1)
    page = client.get("/agents/agent-01").text
    assert "Name the feeling" in page
    assert "Too few calls since to tell." in page
    path = f"/agents/agent-01/goals/{kept.goal_id}/close"
    assert client.post(path, data={"state": "dropped"}).status_code == 422
    assert client.post(path, data={"state": "met", "because": "Done"}).status_code == 303
    assert site.store.coaching.goals("agent-01", open_only=True) == ()


@pytest.mark.parametrize(
    "goal",
    [
        {"measure": "criterion:urgency", "target": "2"},
        {"measure": "criterion:empathy", "target": "6"},
        {"measure": "criterion:empathy", "target": "much"},
        {"measure": "criterion:empathy", "target": "nan"},
        {"measure": "measure:agent_talk_share", "target": "101"},
        {"measure": "checklist:never_asked", "target": "50"},
        {"measure": "criterion:empathy", "target": "4", "due_on": "soon"},
        {"measure": "", "target": "4"},
    ],
)
def test_impossible_goals_are_refused(site: Site, goal: dict[str, str]) -> None:
    answer = site.client("cora").post("/agents/agent-01/goals", data={"wording": "x", **goal})
    assert answer.status_code == 422
    assert site.store.coaching.goals("agent-01") == ()


def test_shares_are_typed_in_per_cent(site: Site) -> None:
    goal = {"measure": "measure:agent_talk_share", "target": "45", "wording": "Let them speak"}
    site.client("cora").post("/agents/agent-01/goals", data=goal)
    (kept,) = site.store.coaching.goals("agent-01")
    assert (kept.target, kept.is_at_least) == (0.45, False)


def test_notes_and_goals_are_had_by_api(site: Site) -> None:
    api = site.api("cora")
    note = api.post("/api/v1/agents/agent-01/notes", json={"text": "Good", "is_shared": True})
    assert note.status_code == 201
    assert api.get("/api/v1/agents/agent-01/notes").json() == [note.json()]
    wanted = {"kind": "criterion", "code": "empathy", "wording": "Warmer", "target": 4}
    goal = api.post("/api/v1/agents/agent-01/goals", json=wanted)
    assert goal.status_code == 201
    assert api.get("/api/v1/agents/agent-01/goals").json() == [goal.json()]
    path = f"/api/v1/agents/agent-01/goals/{goal.json()['goal_id']}/close"
    assert api.post(path, json={"state": "met"}).json()["state"] == "met"
    assert api.post(path, json={"state": "met"}).status_code == 409
    assert site.api("sam").post(path, json={"state": "met"}).status_code == 403


# --- disputes ------------------------------------------------------------------------------------


def test_disputes_in_reach_are_listed_and_others_are_not_there(site: Site) -> None:
    north, south = dispute(site), dispute(site, "south-1")
    html = site.client("rita").get("/disputes").text
    assert "north-1" in html
    assert "south-1" not in html
    assert site.client("rita").get(f"/disputes/{south.dispute_id}").status_code == 404
    assert site.client("rita").get("/disputes/999").status_code == 404
    listed = site.api("boss").get("/api/v1/disputes").json()
    assert [one["dispute_id"] for one in listed] == [south.dispute_id, north.dispute_id]
    older = site.api("boss").get("/api/v1/disputes", params={"before": south.dispute_id}).json()
    assert [one["dispute_id"] for one in older] == [north.dispute_id]


@pytest.mark.parametrize("user", ["agnes", "sam", "ada"])
def test_only_reviewers_and_coaches_decide(site: Site, user: str) -> None:
    raised = dispute(site)
    assert site.client(user).get("/disputes").status_code == 403
    path = f"/disputes/{raised.dispute_id}/resolve"
    answer = site.client(user).post(path, data={"decision": "stands", "reason": "No"})
    assert answer.status_code == 403
    assert site.store.coaching.dispute(raised.dispute_id).state == "open"


def test_a_changed_score_is_corrected_in_the_name_of_who_decided(site: Site) -> None:
    raised = dispute(site)
    path = f"/disputes/{raised.dispute_id}/resolve"
    answer = site.client("rita").post(path, data={"decision": "4", "reason": "She did ask."})
    assert answer.status_code == 303
    (judgement,) = site.store.reviews.judgements("north-1")
    assert (judgement.user_id, judgement.points) == ("rita", 4.0)
    assert last_access(site)[:2] == ("dispute.resolve", "north-1") or last_access(site)[:2] == (
        "dispute.resolve",
        str(raised.dispute_id),
    )


def test_a_decision_needs_a_reason_and_possible_points(site: Site) -> None:
    raised = dispute(site)
    client = site.client("cora")
    path = f"/disputes/{raised.dispute_id}/resolve"
    for form in (
        {"decision": "stands", "reason": ""},
        {"decision": "9", "reason": "Because"},
        {"decision": "-1", "reason": "Because"},
        {"decision": "²", "reason": "Because"},
        {"reason": "Because"},
    ):
        assert client.post(path, data=form).status_code == 422
    api = site.api("cora")
    path = f"/api/v1{path}"
    assert api.post(path, json={"points": 6, "reason": "Because"}).status_code == 422
    assert api.post(path, json={"reason": "As the rubric says"}).json()["state"] == "upheld"
    assert api.post(path, json={"reason": "As the rubric says"}).status_code == 409


def test_a_coach_who_is_the_agent_does_not_decide(site: Site) -> None:
    from dataclasses import replace

    from qa_monitor.store import UserRole

    raised = dispute(site)
    agnes = site.store.people.user("agnes")
    both = frozenset({UserRole.AGENT, UserRole.COACH, UserRole.REVIEWER})
    site.store.people.change_user(replace(agnes, roles=both, teams=frozenset({"north"})))
    client = site.client("agnes")
    assert client.get(f"/disputes/{raised.dispute_id}").status_code == 404
    assert "north-1" not in client.get("/disputes").text
    assert client.post("/agents/agent-01/notes", data={"text": "I am good"}).status_code == 404
    path = f"/disputes/{raised.dispute_id}/resolve"
    assert client.post(path, data={"decision": "5", "reason": "I am good"}).status_code == 404


# --- in a real browser ---------------------------------------------------------------------------


@pytest.mark.browser
def test_a_coach_reads_sets_a_goal_and_writes_a_note(site: Site, browser_page: Page) -> None:
    page = browser_page
    site.sign_in(page, "cora")
    page.goto(f"{site.address}/agents?{QUERY}")
    assert_accessible(page)
    page.get_by_role("link", name="Agnes").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Agnes"
    assert_accessible(page)
    page.get_by_role("link", name="Notes and goals").click()
    page.get_by_label("In your words").fill("Name the feeling first")
    page.get_by_label("Measured by").select_option("criterion:empathy")
    page.get_by_label("Target").fill("4")
    page.get_by_role("button", name="Set the goal").press("Enter")
    page.get_by_text("The goal is set.").wait_for()
    page.get_by_label("A note", exact=True).fill("Let's listen to the first call together.")
    page.get_by_label("Share it with the agent").check()
    page.get_by_role("button", name="Keep the note").press("Enter")
    page.get_by_text("The note is kept and shared.").wait_for()
    assert QUERY in page.url
    assert_accessible(page)
    assert site.store.coaching.notes("agent-01")[0].is_shared


@pytest.mark.browser
def test_a_printed_report_leaves_private_notes_and_forms_out(
    site: Site, browser_page: Page
) -> None:
    page = browser_page
    site.store.coaching.add_note("agent-01", "Between us", by="cora", now=NOW, is_shared=False)
    site.sign_in(page, "cora")
    page.goto(f"{site.address}/agents/agent-01?{QUERY}")
    assert page.get_by_text("Between us").is_visible()
    page.emulate_media(media="print")
    assert not page.get_by_text("Between us").is_visible()
    assert not page.get_by_role("button", name="Set the goal").is_visible()
    assert page.get_by_role("heading", name="What goes well").is_visible()
    for paper in ("A4", "Letter"):
        assert page.pdf(format=paper).startswith(b"%PDF")


@pytest.mark.browser
def test_a_reviewer_decides_a_dispute_by_keyboard(site: Site, browser_page: Page) -> None:
    page = browser_page
    raised = dispute(site)
    site.sign_in(page, "rita")
    page.goto(f"{site.address}/disputes")
    assert_accessible(page)
    page.locator("tbody th a").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Decide").wait_for()
    assert_accessible(page)
    page.get_by_label("becomes 4").focus()
    page.keyboard.press("Space")
    page.get_by_label("Why").fill("She asked at one minute twenty.")
    page.get_by_role("button", name="Decide").press("Enter")
    page.get_by_text("the score is corrected").wait_for()
    assert site.store.coaching.dispute(raised.dispute_id).points_after == 4.0
