"""The days of the four who use the pages, on several hundred invented calls.

A real server, a database made by ``demo-data``, a real Chromium at 1280 and at 400 pixels; hands on
the keyboard where a day is spent with it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from web_fixtures import PASSWORD, Site, assert_accessible, serving

from qa_monitor.calls import Criterion
from qa_monitor.config import Config

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as the command makes it."""
    folder = tmp_path_factory.mktemp("demo")
    config = folder / "qa-monitor.toml"
    config.write_text(f'[data]\nfolder = "{folder / "data"}"\n')
    command = [
        "--config",
        str(config),
        "demo-data",
        "--calls",
        "300",
        "--audio",
        "12",
        "--users",
        "--seed",
        "7",
    ]
    subprocess.run(
        [sys.executable, "-m", "qa_monitor", *command],
        env={"QA_MONITOR_DEMO_PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        timeout=240,
    )
    return folder / "data"


@pytest.fixture
def centre(demo: Path, tmp_path: Path) -> Iterator[Site]:
    """The pages of a copy of it, to be changed."""
    folder = tmp_path / "data"
    shutil.copytree(demo, folder)
    with serving(Config.model_validate({"data": {"folder": folder}})) as site:
        yield site
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def library(demo: Path) -> Iterator[Site]:
    """The pages of it, to be read only."""
    with serving(Config.model_validate({"data": {"folder": demo}})) as site:
        yield site


def open_by_keyboard(page: Page, name: str | re.Pattern[str], role: str = "link") -> None:
    """Tab to a link or button and press Enter, as somebody without a mouse does."""
    target = page.get_by_role(role, name=name).first  # type: ignore[arg-type]
    target.wait_for()
    wanted = target.element_handle()
    for _ in range(400):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement === wanted", wanted):
            page.keyboard.press("Enter")
            return
    pytest.fail(f"{name} cannot be reached by Tab")


def most_urgent_call_with_sound(site: Site) -> str:
    """The id of the call that has most to show."""
    kept = {path.stem for path in (site.monitor.config.data.folder / "audio").glob("*.flac")}
    by_urgency = {
        record.call_id: record.scorecard.score(Criterion.URGENCY).points or 0
        for record in site.store.records()
        if record.call_id in kept
    }
    return max(by_urgency, key=lambda call_id: by_urgency[call_id])


def test_a_reviewer_takes_a_call_checks_its_evidence_and_corrects_the_machine(
    centre: Site, browser_page: Page
) -> None:
    page = browser_page
    centre.sign_in(page, "rita")
    expect(page).to_have_url(re.compile("/queue"))
    open_by_keyboard(page, "Next call", "button")
    page.wait_for_url(re.compile(r"/calls/"))
    assert_accessible(page)

    # An urgent one, to look at its evidence: each score leads to its words and back.
    page.goto(f"{centre.address}/calls/{most_urgent_call_with_sound(centre)}")
    place = page.locator("#scores .evidence a[data-go]").first
    key = place.get_attribute("data-go")
    place.focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"#at-{key}")).to_be_in_viewport()

    empathy = page.locator("#subject-empathy")
    shown_by_machine = empathy.locator(".points").inner_text()
    empathy.get_by_text(re.compile("Correct|Score it yourself")).first.press("Enter")
    empathy.locator("input[type=radio][value='5']").first.press("Space")
    empathy.get_by_label("Why").fill("The pause was used to let the caller speak.")
    empathy.get_by_role("button", name="Keep the correction").press("Enter")
    expect(empathy.get_by_text("The pause was used to let the caller speak.")).to_be_visible()
    expect(empathy.locator(".points")).to_have_text(shown_by_machine)
    assert_accessible(page)

    rest = page.get_by_role("button", name=re.compile("Agree with rest"))
    if rest.count():
        rest.press("Enter")
        expect(page.locator("#finish")).to_contain_text("6 of 6")
    page.get_by_role("button", name="Done", exact=True).press("Enter")
    page.wait_for_load_state()
    expect(page.locator("#finish")).to_contain_text("Reviewed")
    expect(page.locator("#history")).to_contain_text("Rita")


def test_a_reviewer_finds_calls_by_what_was_said_and_keeps_the_view(
    library: Site, browser_page: Page
) -> None:
    page = browser_page
    library.sign_in(page, "rita")
    page.goto(f"{library.address}/calls")
    all_calls = int(re.sub(r"\D", "", page.get_by_text(re.compile(r"^\d+ calls")).inner_text()))
    page.get_by_label("Words said").fill("appointment")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("appointment"))
    found = page.get_by_text(re.compile(r"^\d+ calls?")).first
    expect(found).not_to_have_text(f"{all_calls} calls")
    address = page.url
    page.goto(f"{library.address}/calls")
    page.goto(address)
    expect(page.get_by_label("Words said")).to_have_value("appointment")
    assert_accessible(page)


def test_a_coach_reads_a_report_replays_a_moment_and_agrees_on_a_goal(
    centre: Site, browser_page: Page
) -> None:
    page = browser_page
    centre.sign_in(page, "cora")
    page.goto(f"{centre.address}/agents")
    page.locator("main a[href^='/agents/agent-']").first.press("Enter")
    page.wait_for_url(re.compile(r"/agents/agent-"))
    report = page.url
    for heading in ("What goes well", "Moments to replay", "One next step", "Checklist"):
        expect(page.get_by_role("heading", name=heading, exact=False).first).to_be_visible()
    assert_accessible(page)

    moment = page.locator(".report a[href*='/calls/']").first
    moment.press("Enter")
    page.wait_for_url(re.compile(r"/calls/"))
    expect(page.locator("#transcript")).to_be_visible()

    page.goto(report)
    page.get_by_label("In your words").fill("Say back the detail before acting")
    page.get_by_label("Measured by").select_option(index=2)
    page.get_by_label("Target").fill("4")
    page.get_by_role("button", name="Set the goal").press("Enter")
    goal = page.locator(".goal-card", has_text="Say back the detail before acting")
    expect(goal).to_be_visible()
    page.get_by_label("A note", exact=True).fill("Heard two calls together.")
    page.get_by_label("Share it with the agent").check()
    page.get_by_role("button", name="Keep the note").press("Enter")
    expect(page.locator("#coaching")).to_contain_text("Heard two calls together.")
    assert_accessible(page)


def test_a_supervisor_sees_an_urgent_call_that_nobody_passed_on_and_settles_it(
    centre: Site, browser_page: Page
) -> None:
    page = browser_page
    centre.sign_in(page, "sam")
    expect(page).to_have_url(re.compile("/alerts"))
    first = page.locator("main a[href^='/alerts/']").first
    first.press("Enter")
    page.wait_for_url(re.compile(r"/alerts/\w"))
    alert = page.url
    page.get_by_role("button", name="Acknowledge").press("Enter")
    expect(page.locator("#said")).to_contain_text("acknowledged")
    page.get_by_role("link", name=re.compile("Open the call")).press("Enter")
    page.wait_for_url(re.compile(r"/calls/"))
    expect(page.locator("#transcript")).to_be_visible()
    page.goto(alert)
    page.get_by_label("Note for colleagues").fill("Called the patient back; help was there.")
    page.get_by_role("button", name="Resolve").press("Enter")
    expect(page.locator("#said")).to_contain_text("resolved")
    expect(page.locator("main")).to_contain_text("Called the patient back")
    assert_accessible(page)


def test_an_agent_disputes_a_score_a_reviewer_decides_and_the_agent_reads_why(
    centre: Site, browser_page: Page
) -> None:
    page = browser_page
    centre.sign_in_by_hand(page, "agnes")
    expect(page).to_have_url(re.compile("/me"))
    page.locator("main a[href^='/me/calls/']").first.press("Enter")
    page.wait_for_url(re.compile(r"/me/calls/"))
    call = page.url
    page.get_by_role("button", name="I have seen this call").press("Enter")
    expect(page.locator("main")).to_contain_text("you have seen this call")
    page.get_by_label("Why it should be another").fill("The caller asked me to be brief.")
    page.get_by_role("button", name="Dispute", exact=True).press("Enter")
    expect(page.locator("main")).to_contain_text("You disputed")
    assert_accessible(page)
    page.get_by_role("button", name="Sign out").press("Enter")
    page.wait_for_url(re.compile("/sign-in"))

    centre.sign_in_by_hand(page, "rita")
    page.goto(f"{centre.address}/disputes")
    page.locator("main a[href^='/disputes/']").first.wait_for()
    for link in page.locator("main a[href^='/disputes/']").all():
        address = link.get_attribute("href")
        page.goto(f"{centre.address}{address}")
        if page.get_by_text("The caller asked me to be brief.").count():
            break
        page.go_back()
    page.get_by_label("stands").check()
    page.get_by_label("Why").fill("The worry was passed over twice.")
    page.get_by_role("button", name="Decide").press("Enter")
    page.wait_for_load_state()
    assert_accessible(page)
    page.get_by_role("button", name="Sign out").press("Enter")
    page.wait_for_url(re.compile("/sign-in"))

    centre.sign_in_by_hand(page, "agnes")
    page.goto(call)
    expect(page.locator("main")).to_contain_text("The worry was passed over twice.")


def test_an_agent_sees_own_calls_and_nobody_elses(library: Site, browser_page: Page) -> None:
    page = browser_page
    library.sign_in(page, "agnes")
    page.goto(f"{library.address}/calls")
    own = {
        record.call_id
        for record in library.store.records()
        if record.recording.agent_id == "agent-01"
    }
    links = page.locator("main a[href^='/calls/']").all()
    shown = {(link.get_attribute("href") or "").split("/")[2].split("?")[0] for link in links}
    assert shown
    assert shown <= own
    other = next(
        record.call_id
        for record in library.store.records()
        if record.recording.agent_id == "agent-02"
    )
    answer = page.goto(f"{library.address}/calls/{other}")
    assert answer is not None
    assert answer.status == 404


@pytest.mark.parametrize(
    ("user", "paths"),
    [
        ("rita", ["/queue", "/calls", "/disputes", "/agreement", "/account"]),
        ("cora", ["/agents", "/agents/agent-01", "/team", "/calls"]),
        ("sam", ["/alerts", "/team", "/agreement", "/agents"]),
        ("agnes", ["/me", "/calls", "/account"]),
        ("ada", ["/admin/users", "/admin/agents", "/admin/log", "/admin/system", "/account"]),
    ],
)
def test_every_page_is_there_and_asks_no_other_host(
    library: Site, browser_page: Page, user: str, paths: list[str]
) -> None:
    library.sign_in(browser_page, user)
    for path in paths:
        answer = browser_page.goto(f"{library.address}{path}")
        assert answer is not None
        assert answer.status == 200, path
        assert browser_page.locator("h1").count() == 1
