"""The pages and the API of agreement, and the labelled calls they hand out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy, copytree
from typing import TYPE_CHECKING

import pytest
from invented_records import make_record, make_score
from web_fixtures import Site, assert_accessible, serving

from qa_monitor.calls import CallRecord, Criterion, EscalationOutcome
from qa_monitor.config import Config
from qa_monitor.evaluation import read_labelled_calls
from qa_monitor.monitor import Monitor
from qa_monitor.store import ReviewKind, Scope, Store

if TYPE_CHECKING:
    from playwright.sync_api import Page

EVERYTHING = Scope(all_calls=True)
NOW = datetime.now(UTC).replace(day=15, hour=9, minute=0, second=0, microsecond=0)
CALLS = 24


REVIEW = {"random_share": 1, "double_share": 1, "days_back": 3650, "per_agent_floor": 0}


@pytest.fixture(scope="module")
def _judged_database(
    tmp_path_factory: pytest.TempPathFactory, _filled_database: tuple[Path, dict[str, str]]
) -> Path:
    """Calls of team north that were drawn, and read blind by one or two people; made once."""
    folder = tmp_path_factory.mktemp("judged")
    copy(_filled_database[0], folder / "qa-monitor.sqlite")
    with Monitor(settings_of(folder)) as monitor:
        monitor.store.save_records([(scored(number), (), NOW) for number in range(CALLS)])
        for user_id, readings in (("rita", CALLS), ("boss", CALLS // 2)):
            monitor.refresh_queue()
            for number in range(readings):
                read(monitor.store, number, user_id)
    return folder


@pytest.fixture
def judged(
    tmp_path: Path, _judged_database: Path, _filled_database: tuple[Path, dict[str, str]]
) -> Iterator[Site]:
    """The site with those calls."""
    copytree(_judged_database, tmp_path / "site")
    with serving(settings_of(tmp_path / "site"), _filled_database[1]) as site:
        yield site


def settings_of(folder: Path) -> Config:
    return Config.model_validate({"data": {"folder": folder}, "review": REVIEW})


def scored(number: int) -> CallRecord:
    record = make_record(
        f"read-{number:02}",
        agent_id="agent-01" if number % 2 else "agent-03",
        started_at=NOW - timedelta(days=31 * (number % 2)),
        urgency=float(number % 4),
        escalated=EscalationOutcome.MISSED,
        text="she said <PERSON_1> is unwell",
    )
    scores = (
        make_score(Criterion.EMPATHY, float(number % 5 + 1)),
        make_score(Criterion.ACTIVE_LISTENING, 4.5),
        make_score(Criterion.URGENCY, float(number % 4), max_points=3),
        make_score(Criterion.ESCALATION, None),
    )
    return replace(record, scorecard=replace(record.scorecard, scores=scores))


def read(store: Store, number: int, user_id: str) -> None:
    """A blind review that says what the machine says, but for listening: two points less."""
    call_id = f"read-{number:02}"
    task = next(t for t in store.queueing.tasks(EVERYTHING, limit=200) if t.call_id == call_id)
    store.queueing.take(task.task_id, user_id, scope=EVERYTHING, now=NOW, lease=timedelta(hours=1))
    said: dict[str, int | str | None] = {
        "empathy": number % 5 + 1,
        "active_listening": 2 + number % 2,
        "urgency": number % 4,
        "escalation": None,
        "escalated": "missed",
        "call_type": "emergency",
    }
    for subject, value in said.items():
        store.reviews.correct(
            call_id,
            subject,
            user_id=user_id,
            points=value if isinstance(value, int) else None,
            answer=value if isinstance(value, str) else None,
            reason=None,
            now=NOW,
            is_blind=True,
        )
    store.reviews.finish(call_id, user_id=user_id, now=NOW, kind=ReviewKind.BLIND)


# --- who sees what -------------------------------------------------------------------------------


def test_agreement_is_for_reviewers_and_supervisors(judged: Site) -> None:
    for user_id, status in (("rita", 200), ("sam", 200), ("cora", 403)):
        client = judged.client(user_id)
        for path in ("/agreement", "/agreement.csv"):
            assert client.get(path).status_code == status, (user_id, path)
    everybody = {"rita": 200, "sam": 200, "boss": 200, "cora": 403, "agnes": 403, "ada": 403}
    for user_id, status in everybody.items():
        assert judged.api(user_id).get("/api/v1/agreement").status_code == status


def test_labelled_calls_are_for_reviewers_and_their_taking_is_noted(judged: Site) -> None:
    assert judged.client("sam").get("/agreement/labelled-calls").status_code == 403
    for user_id in ("sam", "cora", "ada", "agnes"):
        assert judged.api(user_id).get("/api/v1/labelled-calls").status_code == 403
    answer = judged.client("rita").get("/agreement/labelled-calls")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    entries = judged.store.access_log.entries(user_id="rita", limit=5)
    assert ("agreement.export", "allowed") in [(e.action, e.outcome) for e in entries]


def test_figures_are_of_the_own_teams_calls(judged: Site) -> None:
    for user_id in ("rita", "boss"):
        report = judged.api(user_id).get("/api/v1/agreement").json()
        assert report["agreement"]["calls"] == CALLS
    judged.store.people.change_user(
        replace(judged.store.people.user("rita"), teams=frozenset({"south"}))
    )
    assert judged.api("rita").get("/api/v1/agreement").json()["agreement"]["calls"] == 0
    assert judged.api("rita").get("/api/v1/labelled-calls").text == ""


# --- what is told --------------------------------------------------------------------------------


def test_figures_are_those_of_what_was_read(judged: Site) -> None:
    report = judged.api("rita").get("/api/v1/agreement").json()
    subjects = {one["head"]["subject"]: one for one in report["agreement"]["subjects"]}
    assert subjects["empathy"]["kappa"]["value"] == 1
    assert subjects["active_listening"]["bias"]["value"] == pytest.approx(2.0)
    assert subjects["escalation"]["calls"] == 0
    assert subjects["escalation"]["kappa"]["value"] is None
    assert [month["calls"] for month in subjects["empathy"]["months"]] == [12, 12]
    among = {one["head"]["subject"]: one for one in report["agreement"]["among"]}
    assert among["empathy"]["calls"] == CALLS // 2
    assert among["empathy"]["pairs"][0]["first"] == "boss"
    drawn = sum(month["drawn"] for month in report["sample"])
    assert drawn >= CALLS
    assert sum(month["read_blind"] for month in report["sample"]) == CALLS


def test_the_page_says_on_what_its_figures_rest(judged: Site) -> None:
    client = judged.client("rita")
    page = client.get("/agreement").text
    assert "Only these figures tell how it is in all calls" in page
    assert "machine gives more" in page
    assert "too few" in page
    assert "Not for all calls" in client.get("/agreement", params={"basis": "all"}).text


def test_the_csv_holds_every_figure_with_its_interval(judged: Site) -> None:
    text = judged.client("rita").get("/agreement.csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    (kappa,) = [
        row
        for row in rows
        if (row["between"], row["head"], row["part"], row["measure"])
        == ("machine and reviewers", "empathy", "all", "kappa")
    ]
    assert (kappa["readings"], kappa["calls"], kappa["value"]) == ("random", "24", "1.0")
    assert kappa["low"] == "1.0"
    assert {row["between"] for row in rows} >= {"machine and reviewers", "reviewers"}


def test_what_is_handed_out_is_read_by_evaluation(judged: Site, tmp_path: Path) -> None:
    file = tmp_path / "labelled.jsonl"
    file.write_text(judged.client("rita").get("/agreement/labelled-calls").text, encoding="utf-8")
    calls = read_labelled_calls(file)
    assert len(calls) == CALLS
    assert {call.turns[0].text for call in calls} == {"she said <PERSON_1> is unwell"}


def test_whoever_reads_a_call_blind_takes_no_labels_of_it(judged: Site) -> None:
    task = judged.api("boss").post("/api/v1/queue/next").json()["task"]
    assert task["is_blind"]
    for user_id, is_told in (("rita", True), ("boss", False)):
        file = judged.client(user_id).get("/agreement/labelled-calls").text
        told = judged.api(user_id).get("/api/v1/labelled-calls?limit=500").text
        assert (f'"{task["call_id"]}"' in file) is is_told
        assert (f'"{task["call_id"]}"' in told) is is_told


def test_programs_take_labelled_calls_part_by_part(judged: Site) -> None:
    api = judged.api("rita")
    found: list[str] = []
    after: str | None = None
    while True:
        params: dict[str, str | int] = {"limit": 10} | ({"after": after} if after else {})
        answer = api.get("/api/v1/labelled-calls", params=params)
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        found += [json.loads(line)["id"] for line in answer.text.splitlines()]
        after = answer.headers.get("X-Next-After")
        if after is None:
            break
    assert found == [f"read-{number:02}" for number in range(CALLS)]


def test_wrong_values_are_told_and_never_fail(judged: Site) -> None:
    api = judged.api("rita")
    for params in ({"basis": "x"}, {"months": 0}, {"months": 10**9}):
        assert api.get("/api/v1/agreement", params=params).status_code == 422
    for params in ({"limit": 0}, {"limit": 10**9}, {"after": "?"}, {"basis": "x"}):
        assert api.get("/api/v1/labelled-calls", params=params).status_code == 422


# --- in a browser --------------------------------------------------------------------------------


def test_figures_are_read_and_chosen_by_keyboard(judged: Site, browser_page: Page) -> None:
    judged.sign_in(browser_page, "rita")
    browser_page.goto(f"{judged.address}/agreement")
    browser_page.get_by_role("heading", name="Agreement", exact=True).wait_for()
    assert browser_page.get_by_role("img", name="Kappa by month").count() >= 1
    browser_page.get_by_text("As a table").first.click()
    browser_page.get_by_text("Each two reviewers").click()
    assert_accessible(browser_page)
    browser_page.get_by_role("link", name="All reviews").focus()
    browser_page.keyboard.press("Enter")
    browser_page.get_by_text("led.").wait_for()
    browser_page.get_by_label("Months back").select_option("3")
    browser_page.get_by_role("button", name="Show").press("Enter")
    browser_page.wait_for_url("**basis=all&months=3")
    assert_accessible(browser_page)


def test_a_page_without_any_reading_says_so(site: Site, browser_page: Page) -> None:
    site.sign_in(browser_page, "sam")
    browser_page.goto(f"{site.address}/agreement")
    assert browser_page.get_by_text("too few for a figure").count() >= 1
    assert_accessible(browser_page)
