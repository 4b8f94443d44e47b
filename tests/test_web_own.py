"""The agent's own page: own calls only, what was shared, and a say in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from invented_records import NOW
from web_fixtures import Site, assert_accessible

from qa_monitor.calls import Criterion

if TYPE_CHECKING:
    from playwright.sync_api import Page

DAYS = {"since": "2026-02-20", "until": "2026-03-10"}
QUERY = "since=2026-02-20&until=2026-03-10"
TODAY = datetime.now(UTC)


def test_the_own_page_shows_own_calls_and_nobody_elses(site: Site) -> None:
    html = site.client("agnes").get("/me", params=DAYS).text
    assert "/me/calls/north-1" in html
    assert "/me/calls/north-2" in html
    for other in ("north-3", "south-1", "nobody-1", "Anna", "agent-03"):
        assert other not in html
    entry = site.store.access_log.entries(limit=1)[0]
    assert (entry.action, entry.object_id) == ("own.view", "agent-01")


def test_calls_of_others_are_not_there_however_they_are_asked_for(site: Site) -> None:
    client, api = site.client("agnes"), site.api("agnes")
    dispute = {"criterion": "empathy", "reason": "Not so"}
    for call_id in ("north-3", "south-1", "nobody-1", "unknown-1"):
        assert client.get(f"/me/calls/{call_id}").status_code == 404
        assert client.post(f"/me/calls/{call_id}/acknowledge").status_code == 404
        assert client.post(f"/me/calls/{call_id}/answer", data={"text": "x"}).status_code == 404
        assert client.post(f"/me/calls/{call_id}/disputes", data=dispute).status_code == 404
        path = f"/api/v1/calls/{call_id}"
        assert api.post(f"{path}/acknowledge").status_code == 404
        assert api.post(f"{path}/answer", json={"text": "x"}).status_code == 404
        assert api.post(f"{path}/disputes", json=dispute).status_code == 404
    assert site.store.coaching.disputes() == ()


@pytest.mark.parametrize("user", ["rita", "cora", "sam", "ada"])
def test_who_is_no_agent_has_no_own_page(site: Site, user: str) -> None:
    client = site.client(user)
    for path in ("/me", "/me/calls/north-1"):
        assert client.get(path).status_code == 403
    assert client.post("/me/calls/north-1/acknowledge").status_code == 403
    assert site.api(user).get("/api/v1/me").status_code == 403


def test_own_calls_come_with_corrections_and_the_reason(site: Site) -> None:
    site.store.reviews.correct(
        "north-1", "empathy", user_id="rita", points=4, reason="She did ask twice", now=NOW
    )
    page = site.client("agnes").get("/me/calls/north-1").text
    assert "The machine said 2.5" in page
    assert "She did ask twice" in page
    assert 'href="/calls/north-1#turn-0"' in page
    own = site.api("agnes").get("/api/v1/me", params=DAYS).json()
    call = next(one for one in own["calls"] if one["call_id"] == "north-1")
    empathy = next(one for one in call["scores"] if one["criterion"] == "empathy")
    assert (empathy["points"], empathy["machine_points"]) == (4, 2.5)
    assert own["report"]["criteria"][0]["mean"]["mean"] == 3.25


def test_only_shared_notes_reach_the_agent(site: Site) -> None:
    for text, is_shared in (("Between us", False), ("Well asked", True)):
        site.store.coaching.add_note(
            "agent-01", text, by="cora", now=NOW, is_shared=is_shared, call_id="north-1"
        )
    client = site.client("agnes")
    pages = client.get("/me", params=DAYS).text + client.get("/me/calls/north-1").text
    pages += site.api("agnes").get("/api/v1/me", params=DAYS).text
    assert pages.count("Well asked") >= 3
    assert "Between us" not in pages


def test_a_team_of_one_colleague_gives_no_mean(site: Site) -> None:
    report = site.api("agnes").get("/api/v1/me", params=DAYS).json()["report"]
    assert [item["team"] for item in report["criteria"]] == [None] * 3


def test_an_acknowledgement_is_kept_once(site: Site) -> None:
    client = site.client("agnes")
    assert client.post("/me/calls/north-1/acknowledge").status_code == 303
    first = site.store.coaching.acknowledged("agent-01", "call")["north-1"]
    answer = site.api("agnes").post("/api/v1/calls/north-1/acknowledge").json()
    assert datetime.fromisoformat(answer["at"]) == first
    assert "You noted on" in client.get("/me/calls/north-1").text


def test_goals_and_reports_are_acknowledged(site: Site) -> None:
    from qa_monitor.store import GoalKind

    goal = site.store.coaching.set_goal(
        "agent-01",
        kind=GoalKind.CRITERION,
        code="empathy",
        wording="Name the feeling",
        target=4.0,
        is_at_least=True,
        baseline=None,
        baseline_n=0,
        due_on=None,
        by="cora",
        now=TODAY,
    )
    client = site.client("agnes")
    assert "New goals" in client.get("/me", params=DAYS).text
    assert client.post(f"/me/goals/{goal.goal_id}/acknowledge").status_code == 303
    assert "New goals" not in client.get("/me", params=DAYS).text
    assert site.client("amos").post(f"/me/goals/{goal.goal_id}/acknowledge").status_code == 404
    answer = client.post(f"/me/report/acknowledge?{QUERY}")
    assert answer.headers["location"] == f"/me?{QUERY}"
    assert "You acknowledged it" in client.get("/me", params=DAYS).text


def test_an_answer_is_kept_and_seen_by_who_decides(site: Site) -> None:
    client = site.client("agnes")
    assert client.post("/me/calls/north-1/answer", data={"text": "Bad <line>"}).status_code == 303
    assert client.post("/me/calls/north-1/answer", data={"text": " "}).status_code == 422
    assert "Bad &lt;line&gt;" in client.get("/me/calls/north-1").text
    form = {"criterion": "empathy", "reason": "I asked"}
    client.post("/me/calls/north-1/disputes", data=form)
    (dispute,) = site.store.coaching.disputes()
    assert "Bad &lt;line&gt;" in site.client("rita").get(f"/disputes/{dispute.dispute_id}").text


def test_a_dispute_is_raised_seen_and_withdrawn(site: Site) -> None:
    client = site.client("agnes")
    form = {"criterion": "empathy", "reason": "I did ask how she felt."}
    assert client.post("/me/calls/north-1/disputes", data=form).status_code == 303
    assert client.post("/me/calls/north-1/disputes", data=form).status_code == 409
    (dispute,) = site.store.coaching.disputes()
    assert "What you disputed" in client.get("/me", params=DAYS).text
    path = f"/me/disputes/{dispute.dispute_id}/withdraw"
    assert site.client("amos").post(path).status_code == 404
    assert client.post(path).status_code == 303
    assert client.post(path).status_code == 409


def test_a_late_dispute_is_refused_in_words(site: Site) -> None:
    site.store.coaching.note_shown("agent-01", ("north-1",), now=NOW)
    client = site.client("agnes")
    form = {"criterion": "empathy", "reason": "I did ask how she felt."}
    answer = client.post("/me/calls/north-1/disputes", data=form)
    assert answer.status_code == 422
    assert "could be disputed until 16 March 2026" in answer.text
    page = client.get("/me/calls/north-1").text
    assert "could be disputed until 16 Mar 2026" in page
    assert "Why it should be another" not in page


def test_looking_at_a_score_begins_its_time(site: Site) -> None:
    site.client("agnes").get("/me", params=DAYS)
    until = site.store.coaching.dispute_until(
        "agent-01", ("north-1", "north-2"), within=timedelta(days=14)
    )
    assert all(moment > TODAY + timedelta(days=13) for moment in until.values())


def test_the_agent_sees_the_outcome_and_its_reason(site: Site) -> None:
    raised = site.store.coaching.raise_dispute(
        "north-1",
        Criterion.EMPATHY,
        "I asked",
        agent_id="agent-01",
        by="agnes",
        now=TODAY,
        within=timedelta(days=14),
    )
    site.store.coaching.resolve_dispute(
        raised.dispute_id,
        points=4.0,
        reason="You asked twice; I missed it.",
        by="rita",
        by_agent=None,
        now=TODAY,
    )
    client = site.client("agnes")
    for page in (client.get("/me", params=DAYS).text, client.get("/me/calls/north-1").text):
        assert "score changed to 4.0" in page
        assert "You asked twice; I missed it." in page
    assert "Rita" in client.get("/me/calls/north-1").text


def test_disputes_by_api_answer_with_what_is_kept(site: Site) -> None:
    api = site.api("agnes")
    form = {"criterion": "empathy", "reason": "I asked"}
    answer = api.post("/api/v1/calls/north-1/disputes", json=form)
    assert answer.status_code == 201
    dispute_id = answer.json()["dispute_id"]
    path = f"/api/v1/me/disputes/{dispute_id}/withdraw"
    assert api.post(path).json()["state"] == "withdrawn"
    wrong = {"criterion": "charm", "reason": "I asked"}
    assert api.post("/api/v1/calls/north-1/disputes", json=wrong).status_code == 422


def test_hostile_words_of_a_call_stay_words_on_the_own_page(site: Site) -> None:
    html = site.client("agnes").get("/me", params=DAYS).text
    assert "<script>document" not in html


@pytest.mark.browser
def test_an_agent_looks_answers_and_disputes_by_keyboard(site: Site, browser_page: Page) -> None:
    page = browser_page
    site.sign_in(page, "agnes")
    page.goto(f"{site.address}/me?{QUERY}")
    assert_accessible(page)
    page.locator("tbody th a", has_text="2 Mar").last.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Dispute a score").wait_for()
    assert_accessible(page)
    page.get_by_role("button", name="I have seen this call").press("Enter")
    page.get_by_text("Noted that you have seen this call.").wait_for()
    page.get_by_label("What you want to say to this call").fill("The line was bad.")
    page.get_by_role("button", name="Send the answer").press("Enter")
    page.get_by_text("Your answer is kept").wait_for()
    page.get_by_label("Which score").select_option("empathy")
    page.get_by_label("Why it should be another").fill("I did ask how she felt.")
    page.get_by_role("button", name="Dispute", exact=True).press("Enter")
    page.get_by_text("Your dispute is with the reviewers.").wait_for()
    assert_accessible(page)
    (dispute,) = site.store.coaching.disputes()
    assert (dispute.call_id, dispute.state) == ("north-1", "open")
