"""The pages and the API of the review queue."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy
from typing import TYPE_CHECKING

import pytest
from web_fixtures import Site, assert_accessible, serving

from qa_monitor.config import Config
from qa_monitor.store import ReviewTask, Scope, SkipReason, TaskState, User, UserRole

if TYPE_CHECKING:
    from playwright.sync_api import Page

EVERYTHING = Scope(all_calls=True)


@pytest.fixture
def reviewing(tmp_path: Path, _filled_database: tuple[Path, dict[str, str]]) -> Iterator[Site]:
    """The site with a queue that still asks for its calls, however old, and draws none."""
    with served(tmp_path, _filled_database, random_share=0.0) as site:
        yield site


@pytest.fixture
def drawing(tmp_path: Path, _filled_database: tuple[Path, dict[str, str]]) -> Iterator[Site]:
    """The site where every call is drawn into the random sample."""
    with served(tmp_path, _filled_database, random_share=1.0) as site:
        yield site


def served(folder: Path, filled: tuple[Path, dict[str, str]], *, random_share: float) -> serving:
    database, tokens = filled
    (folder / "site").mkdir()
    copy(database, folder / "site" / "qa-monitor.sqlite")
    review = {
        "random_share": random_share,
        "double_share": 0,
        "days_back": 3650,
        "per_agent_floor": 0,
    }
    settings = {"data": {"folder": folder / "site"}, "review": review}
    return serving(Config.model_validate(settings), tokens)


def tasks_of(site: Site) -> dict[str, ReviewTask]:
    site.monitor.refresh_queue()
    return {task.call_id: task for task in site.store.queueing.tasks(EVERYTHING)}


# --- who sees what -------------------------------------------------------------------------------


def test_the_queue_shows_calls_of_the_own_teams_with_their_reasons(reviewing: Site) -> None:
    for user_id in ("rita", "sam"):
        page = reviewing.client(user_id).get("/queue").text
        assert "north-1" in page
        assert "Urgent call not passed on" in page
        assert "south-1" not in page
    assert "south-1" in reviewing.client("boss").get("/queue").text


def test_coaches_agents_and_administrators_have_no_queue(reviewing: Site) -> None:
    for user_id in ("cora", "agnes", "ada"):
        assert reviewing.client(user_id).get("/queue").status_code == 403
        assert reviewing.client(user_id).post("/queue/next").status_code == 403
        assert reviewing.api(user_id).get("/api/v1/queue").status_code == 403


def test_a_task_of_another_team_is_not_there(reviewing: Site) -> None:
    task_id = tasks_of(reviewing)["south-1"].task_id
    client, api = reviewing.client("rita"), reviewing.api("rita")
    assert client.get(f"/queue/{task_id}").status_code == 404
    for what in ("take", "put-back"):
        assert client.post(f"/queue/{task_id}/{what}").status_code == 404
        assert api.post(f"/api/v1/queue/{task_id}/{what}").status_code == 404
    answer = api.post(f"/api/v1/queue/{task_id}/skip", json={"reason": "other"})
    assert answer.status_code == 404
    answer = api.post(f"/api/v1/queue/{task_id}/assign", json={"user_id": "rita"})
    assert answer.status_code == 404


# --- working -------------------------------------------------------------------------------------


def test_next_opens_the_most_important_call_and_keeps_it_for_an_hour(reviewing: Site) -> None:
    client = reviewing.client("rita")
    answer = client.post("/queue/next")
    assert (answer.status_code, answer.headers["location"]) == (303, "/calls/north-1")
    assert tasks_of(reviewing)["north-1"].taken_by == "rita"
    # The other reviewer of this team gets another one.
    assert reviewing.client("boss").post("/queue/next").headers["location"] != "/calls/north-1"
    assert "Go on with my call" in client.get("/queue").text
    entry = reviewing.store.access_log.entries(user_id="rita", kind="call", limit=1)[0]
    assert (entry.action, entry.object_id) == ("queue.next", "north-1")


def test_when_nothing_is_left_next_says_so(reviewing: Site) -> None:
    client = reviewing.client("rita")
    for task in tasks_of(reviewing).values():
        if task.call_id.startswith("north"):
            client.post(f"/queue/{task.task_id}/skip", data={"reason": "unusable"})
    answer = client.post("/queue/next", follow_redirects=True)
    assert "Nothing is left" in answer.text


def test_a_finished_review_closes_its_task(reviewing: Site) -> None:
    client = reviewing.client("rita")
    client.post("/queue/next")
    reviewing.store.reviews.finish("north-1", user_id="rita", now=datetime.now(UTC))
    assert "north-1" not in tasks_of(reviewing)
    assert "north-1" in client.get("/queue", params={"state": "done"}).text


def test_skipping_passes_a_call_on_with_its_reason(reviewing: Site) -> None:
    task_id = tasks_of(reviewing)["north-1"].task_id
    client = reviewing.client("rita")
    data = {"reason": "conflict", "note": "<b>my sister</b>"}
    answer = client.post(f"/queue/{task_id}/skip", data=data, follow_redirects=True)
    assert "passed on" in answer.text
    page = reviewing.client("boss").get(f"/queue/{task_id}").text
    assert "I know somebody" in page
    assert "&lt;b&gt;my sister" in page
    assert client.post("/queue/next").headers["location"] != "/calls/north-1"


def test_a_call_closed_as_unusable_is_put_back_by_a_supervisor(reviewing: Site) -> None:
    task_id = tasks_of(reviewing)["north-1"].task_id
    reviewing.client("rita").post(f"/queue/{task_id}/skip", data={"reason": "unusable"})
    assert "north-1" in reviewing.client("sam").get("/queue", params={"state": "skipped"}).text
    assert reviewing.client("rita").post(f"/queue/{task_id}/reopen").status_code == 403
    assert reviewing.client("sam").post(f"/queue/{task_id}/reopen").status_code == 303
    assert "north-1" in tasks_of(reviewing)


def test_supervisors_give_calls_to_reviewers_of_their_teams_only(reviewing: Site) -> None:
    chosen = [task.task_id for task in tasks_of(reviewing).values() if "north" in task.call_id]
    client = reviewing.client("sam")
    answer = client.post(
        "/queue/assign", data={"user_id": "rita", "task": chosen}, follow_redirects=True
    )
    assert f"{len(chosen)} calls were given to rita" in answer.text
    assert {task.assigned_to for task in tasks_of(reviewing).values()} == {"rita", None}
    for nobody in ("cora", "agnes", "nobody"):
        answer = client.post("/queue/assign", data={"user_id": nobody, "task": chosen})
        assert answer.status_code == 422
    assert client.post("/queue/assign", data={"user_id": "rita"}).status_code == 422
    client.post("/queue/assign", data={"user_id": "", "task": chosen})
    assert {task.assigned_to for task in tasks_of(reviewing).values()} == {None}


def test_a_reviewer_may_keep_calls_but_not_give_them_to_others(reviewing: Site) -> None:
    task_id = tasks_of(reviewing)["north-1"].task_id
    client = reviewing.client("rita")
    for user_id, status in (("boss", 403), ("", 403), ("rita", 303)):
        data = {"user_id": user_id, "task": [task_id]}
        assert client.post("/queue/assign", data=data).status_code == status


def test_nobody_is_given_their_own_calls(reviewing: Site) -> None:
    both = frozenset({UserRole.REVIEWER, UserRole.AGENT})
    rita = reviewing.store.people.user("rita")
    own = User(user_id="rita", name=rita.name, roles=both, teams=rita.teams, agent_id="agent-01")
    reviewing.store.people.change_user(own)
    task_id = tasks_of(reviewing)["north-1"].task_id
    client = reviewing.client("rita")
    assert "north-1" not in client.get("/queue").text
    assert client.post(f"/queue/{task_id}/take").status_code == 404
    data = {"user_id": "rita", "task": [task_id]}
    assert reviewing.client("sam").post("/queue/assign", data=data).status_code == 422


# --- blind ---------------------------------------------------------------------------------------


def test_the_queue_does_not_tell_why_a_blind_call_would_matter(drawing: Site) -> None:
    client = drawing.client("rita")
    page = client.get("/queue").text
    assert "north-1" in page
    assert "Random sample" in page
    assert '<span class="tag alarm">' not in page
    task_id = tasks_of(drawing)["north-1"].task_id
    assert "not pass on" not in client.get(f"/queue/{task_id}").text
    told = drawing.api("rita").get("/api/v1/queue").json()
    assert {reason for task in told["tasks"] for reason in task["reasons"]} == {"random"}
    assert set(told["counts"]) == {"random"}


def test_a_blind_call_is_opened_without_the_machines_scores(drawing: Site) -> None:
    client = drawing.client("rita")
    assert "as the rubric says" in drawing.client("boss").get("/calls/north-1").text
    task_id = tasks_of(drawing)["north-1"].task_id
    page = client.post(f"/queue/{task_id}/take", follow_redirects=True).text
    assert "blind" in page
    assert "as the rubric says" not in page
    assert drawing.store.queueing.is_blind("rita", "north-1")


def test_who_has_opened_a_call_is_not_given_it_to_read_blind(drawing: Site) -> None:
    client = drawing.client("rita")
    task_id = tasks_of(drawing)["north-1"].task_id
    client.get("/calls/north-1")
    assert client.post(f"/queue/{task_id}/take").status_code == 422
    assert client.post("/queue/next").headers["location"] != "/calls/north-1"


# --- the API -------------------------------------------------------------------------------------


def test_the_queue_is_worked_by_programs_too(reviewing: Site) -> None:
    api = reviewing.api("rita")
    taken = api.post("/api/v1/queue/next").json()["task"]
    assert (taken["call_id"], taken["taken_by"], taken["reasons"][0]) == (
        "north-1",
        "rita",
        "missed",
    )
    mine = api.get("/api/v1/queue", params={"mine": True}).json()
    assert [task["task_id"] for task in mine["tasks"]] == [taken["task_id"]]
    address = f"/api/v1/queue/{taken['task_id']}"
    assert api.post(f"{address}/put-back").json()["taken_by"] is None
    assert api.post(f"{address}/put-back").status_code == 422
    assert api.post(f"{address}/take").json()["taken_by"] == "rita"
    assert api.post(f"{address}/assign", json={"user_id": "rita"}).json()["assigned_to"] == "rita"
    boss = reviewing.api("boss")
    assert boss.post(f"{address}/take").status_code == 422
    assert boss.post(f"{address}/assign", json={"user_id": None}).json()["assigned_to"] is None
    skipped = api.post(f"{address}/skip", json={"reason": "unusable", "note": "no sound"}).json()
    assert skipped["state"] == "skipped"
    assert api.post(f"{address}/reopen").status_code == 403
    assert boss.post(f"{address}/reopen").json()["state"] == "open"


def test_the_api_pages_through_the_queue(reviewing: Site) -> None:
    api = reviewing.api("boss")
    found: list[str] = []
    after = None
    while True:
        params = {"limit": 1} if after is None else {"limit": 1, "after": after}
        page = api.get("/api/v1/queue", params=params).json()
        found += [task["call_id"] for task in page["tasks"]]
        after = page["next_after"]
        if after is None:
            break
    assert found == [task.call_id for task in reviewing.store.queueing.tasks(EVERYTHING)]


def test_wrong_values_are_told_and_never_fail(reviewing: Site) -> None:
    api = reviewing.api("rita")
    task_id = tasks_of(reviewing)["north-1"].task_id
    for params in ({"limit": 0}, {"limit": 10**6}, {"reason": "x"}, {"after": 0}, {"state": "x"}):
        assert api.get("/api/v1/queue", params=params).status_code == 422
    assert api.get("/api/v1/queue", params={"after": 10**6}).status_code == 404
    for body in ({"reason": "x"}, {"reason": "other", "note": "\x00"}, {"note": "x"}):
        answer = api.post(f"/api/v1/queue/{task_id}/skip", json=body)
        assert answer.status_code == 422
    assert api.post(f"/api/v1/queue/{2**40}/take").status_code == 422
    answer = api.post(f"/api/v1/queue/{task_id}/assign", json={"user_id": "NOT A NAME"})
    assert answer.status_code == 422
    answer = reviewing.client("sam").post(
        "/queue/assign", data={"user_id": "rita", "task": [2**70]}
    )
    assert answer.status_code == 422


# --- in a browser --------------------------------------------------------------------------------


def test_a_reviewer_works_through_the_queue_by_keyboard(
    reviewing: Site, browser_page: Page
) -> None:
    reviewing.sign_in(browser_page, "rita")
    browser_page.goto(f"{reviewing.address}/queue")
    assert_accessible(browser_page)
    browser_page.get_by_text("All reasons, in their order").click()
    first = browser_page.locator("#queue-list tbody th a").first
    first.focus()
    browser_page.keyboard.press("ArrowDown")
    second = browser_page.locator("#queue-list tbody th a").nth(1)
    assert second.evaluate("link => link === document.activeElement")
    browser_page.keyboard.press("ArrowUp")
    assert first.evaluate("link => link === document.activeElement")
    browser_page.keyboard.press("Enter")
    browser_page.get_by_role("button", name="Take and open").wait_for()
    assert_accessible(browser_page)
    browser_page.get_by_label("Another reviewer should read it, for another reason").check()
    browser_page.get_by_label("A word on it").fill("heard it last week")
    browser_page.get_by_role("button", name="Skip").focus()
    browser_page.keyboard.press("Enter")
    browser_page.get_by_text("You will not be asked for it again", exact=False).wait_for()
    browser_page.get_by_role("button", name="Next call").focus()
    browser_page.keyboard.press("Enter")
    browser_page.wait_for_url("**/calls/*")
    browser_page.goto(f"{reviewing.address}/queue")
    browser_page.get_by_role("button", name="Go on with my call").wait_for()
    assert_accessible(browser_page)


def test_a_supervisor_gives_chosen_calls_to_a_reviewer(reviewing: Site, browser_page: Page) -> None:
    now = datetime.now(UTC)
    task = tasks_of(reviewing)["north-3"]
    reviewing.store.queueing.next("boss", scope=EVERYTHING, now=now, lease=timedelta(hours=1))
    reviewing.store.queueing.skip(
        task.task_id, "rita", SkipReason.UNUSABLE, note="silence", scope=EVERYTHING, now=now
    )
    reviewing.sign_in(browser_page, "sam")
    browser_page.goto(f"{reviewing.address}/queue")
    browser_page.get_by_label("Choose call north-2").check()
    browser_page.get_by_label("Reviewer").select_option("rita")
    browser_page.get_by_role("button", name="Assign").click()
    browser_page.get_by_text("1 call was given to rita").wait_for()
    assert tasks_of(reviewing)["north-2"].assigned_to == "rita"
    assert_accessible(browser_page)
    browser_page.get_by_role("link", name="Unusable").click()
    browser_page.get_by_text("silence").wait_for()
    assert_accessible(browser_page)
    browser_page.get_by_role("button", name="Put back").click()
    browser_page.get_by_text("in the queue again").wait_for()
    assert tasks_of(reviewing)["north-3"].state is TaskState.OPEN
