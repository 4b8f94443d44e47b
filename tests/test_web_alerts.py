"""The alert pages: who sees which, what becomes of them, and that new ones are told."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from invented_records import NOW, make_record
from web_fixtures import PASSWORD, Site, assert_accessible

from qa_monitor.alerts import Policy, raise_alerts
from qa_monitor.calls import Severity
from qa_monitor.store import Arrival, KnownFile, Route
from qa_monitor.web import alerts
from qa_monitor.web.viewing import Sittings

if TYPE_CHECKING:
    from playwright.sync_api import Page

POLICY = Policy.load()


def alert_of(site: Site, call_id: str) -> str:
    """The id of the one alert of a call."""
    (stored,) = site.store.alerts(call_id=call_id)
    return stored.alert.alert_id


def raise_one(
    site: Site, call_id: str, *, agent_id: str = "agent-01", now: datetime | None = None
) -> str:
    """A call of a missed emergency, scored now; the id of its alert."""
    when = now or datetime.now(UTC)
    record = make_record(call_id, agent_id=agent_id, started_at=when)
    routes = (
        Route(channel="email:sam@example.org"),
        Route(channel="email:boss@example.org", step=1, after_s=900),
    )
    site.store.save_record(
        record, raise_alerts(record, POLICY, now=when), now=when, channels=routes
    )
    return alert_of(site, call_id)


# --- what a page that looks again leaves behind ---------------------------------------------------


def listings(site: Site) -> int:
    """How often the log says that somebody saw a list of alerts."""
    return len(site.store.access_log.entries(action="alert.list", limit=1000))


def test_looking_again_is_noted_once_and_another_list_by_itself(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "_OPEN_LISTS", Sittings())
    sam, script = site.client("sam"), {"HX-Request": "true"}
    sam.get("/alerts")
    for _ in range(3):
        sam.get("/alerts?seen=0", headers=script)
    assert listings(site) == 1
    # What nobody has opened is seen for the first time, however it is asked for.
    sam.get("/alerts?state=all&seen=0", headers=script)
    assert listings(site) == 2
    sam.get("/alerts?seen=0")
    assert listings(site) == 3


def test_looking_again_keeps_no_session_alive(site: Site) -> None:
    sam = site.client("sam")
    digest = hashlib.sha256(sam.cookies["qa_session"].encode()).hexdigest()
    long_ago = datetime.now(UTC) - timedelta(minutes=29)
    site.store.people.touch_session(digest, now=long_ago)
    assert sam.get("/alerts?seen=0", headers={"HX-Request": "true"}).status_code == 200
    session = site.store.people.session(digest)
    assert session is not None
    assert session.seen_at == long_ago
    sam.get("/alerts")
    session = site.store.people.session(digest)
    assert session is not None
    assert session.seen_at > long_ago


# --- who sees what -------------------------------------------------------------------------------


def test_a_supervisor_sees_the_alerts_of_the_teams_and_no_other(site: Site) -> None:
    page = site.client("sam").get("/alerts").text
    assert "north-1" in page
    assert "south-1" not in page
    assert "nobody-1" not in page
    everything = site.client("boss").get("/alerts?state=all").text
    assert "south-1" in everything


@pytest.mark.parametrize("user_id", ["rita", "cora", "agnes", "ada"])
def test_who_handles_no_alerts_sees_none_and_changes_none(site: Site, user_id: str) -> None:
    alert_id = alert_of(site, "north-1")
    client, api = site.client(user_id), site.api(user_id)
    assert client.get("/alerts").status_code == 403
    assert client.get(f"/alerts/{alert_id}").status_code == 403
    form = {"state": "resolved", "was": "open"}
    assert client.post(f"/alerts/{alert_id}/state", data=form).status_code == 403
    assert api.get("/api/v1/alerts").status_code == 403
    answer = api.post(f"/api/v1/alerts/{alert_id}/state", json={"state": "resolved"})
    assert answer.status_code == 403
    assert site.store.alerting.alert(alert_id).listed.state == "open"


def test_an_alert_of_another_team_is_not_there_for_reading_nor_for_changing(site: Site) -> None:
    alert_id = alert_of(site, "south-1")
    client, api = site.client("sam"), site.api("sam")
    assert client.get(f"/alerts/{alert_id}").status_code == 404
    form = {"state": "resolved", "was": "open"}
    assert client.post(f"/alerts/{alert_id}/state", data=form).status_code == 404
    assert api.get(f"/api/v1/alerts/{alert_id}").status_code == 404
    wanted = {"state": "resolved"}
    assert api.post(f"/api/v1/alerts/{alert_id}/state", json=wanted).status_code == 404
    assert api.get("/api/v1/alerts/nothing").status_code == 404
    assert site.store.alerting.alert(alert_id).listed.state == "open"


def test_a_link_of_a_message_asks_to_sign_in_and_then_opens_the_alert(site: Site) -> None:
    alert_id = alert_of(site, "north-1")
    client = site.client()
    asked = client.get(f"/alerts/{alert_id}")
    assert asked.status_code == 303
    form = client.get(asked.headers["Location"])
    assert form.status_code == 200
    data = {"user_id": "sam", "password": PASSWORD, "next": f"/alerts/{alert_id}"}
    answer = client.post("/sign-in", data=data)
    assert answer.headers["Location"] == f"/alerts/{alert_id}"


# --- the list ------------------------------------------------------------------------------------


def test_open_alerts_come_first_then_by_severity_and_what_is_filtered_is_a_link(
    site: Site,
) -> None:
    site.store.alerting.set_state(alert_of(site, "south-1"), "resolved", by="boss", now=NOW)
    api = site.api("boss")
    listed = api.get("/api/v1/alerts").json()
    assert [one["state"] for one in listed["alerts"]][-1] == "resolved"
    ranks = [Severity(one["severity"]).rank for one in listed["alerts"][:-1]]
    assert ranks == sorted(ranks)
    assert listed["total"] == len(listed["alerts"])
    boss = site.client("boss")
    assert "south-1" not in boss.get("/alerts").text
    assert "south-1" in boss.get("/alerts?state=resolved&severity=critical&team=south").text
    assert "south-1" not in boss.get("/alerts?state=all&team=north").text
    assert "No alert is like that" in boss.get("/alerts?state=all&until=2020-01-01&since=").text


def test_a_list_can_be_read_in_stretches(site: Site) -> None:
    api = site.api("boss")
    seen, offset = [], 0
    while offset is not None:
        stretch = api.get("/api/v1/alerts", params={"limit": 1, "offset": offset}).json()
        seen += [one["alert_id"] for one in stretch["alerts"]]
        offset = stretch["next_offset"]
    assert len(seen) == len(set(seen)) == stretch["total"] > 2


def test_a_row_leads_to_the_second_of_the_call_where_the_evidence_lies(site: Site) -> None:
    page = site.client("sam").get("/alerts").text
    assert "/calls/north-1?at=1.0#turn-0" in page
    assert "an emergency that was not passed on" in page.lower()


# --- handling ------------------------------------------------------------------------------------


def test_what_was_done_is_noted_with_name_time_and_note_and_in_the_access_log(site: Site) -> None:
    alert_id = alert_of(site, "north-1")
    client = site.client("sam")
    form = {"state": "acknowledged", "was": "open", "note": "calling the floor <b>now</b>"}
    answer = client.post(f"/alerts/{alert_id}/state", data=form, follow_redirects=True)
    assert "The alert is acknowledged now" in answer.text
    assert "calling the floor &lt;b&gt;now&lt;/b&gt;" in answer.text
    (event,) = site.store.alerting.alert(alert_id).events[1:]
    assert (event.state, event.set_by) == ("acknowledged", "sam")
    assert event.note == "calling the floor <b>now</b>"
    (entry,) = site.store.access_log.entries(user_id="sam", kind="alert", limit=1)
    assert (entry.action, entry.object_id) == ("alert.view", alert_id)
    actions = {entry.action for entry in site.store.access_log.entries(user_id="sam")}
    assert "alert.acknowledged" in actions
    page = client.get("/alerts?state=acknowledged").text
    assert "by Sam" in page


def test_of_two_supervisors_at_once_the_second_is_told_who_was_first(site: Site) -> None:
    alert_id = alert_of(site, "north-1")
    first, second = site.client("boss"), site.client("sam")
    form = {"state": "resolved", "was": "open"}
    assert first.post(f"/alerts/{alert_id}/state", data=form).status_code == 303
    late = second.post(f"/alerts/{alert_id}/state", data={"state": "false_alarm", "was": "open"})
    assert late.status_code == 409
    assert "boss was first" in late.text
    api = site.api("sam")
    again = api.post(f"/api/v1/alerts/{alert_id}/state", json={"state": "resolved"})
    assert again.status_code == 409
    assert "boss was first" in again.json()["detail"]
    assert site.store.alerting.alert(alert_id).listed.state == "resolved"


def test_the_api_answers_the_alert_with_its_history_and_who_is_told(site: Site) -> None:
    alert_id = raise_one(site, "north-9")
    api = site.api("sam")
    wanted = {"state": "false_alarm", "was": "open", "note": "the caller quoted a film"}
    answer = api.post(f"/api/v1/alerts/{alert_id}/state", json=wanted)
    assert answer.status_code == 200
    whole = api.get(f"/api/v1/alerts/{alert_id}").json()
    assert answer.json() == whole
    assert [event["state"] for event in whole["history"]] == ["open", "false_alarm"]
    assert whole["history"][1]["note"] == "the caller quoted a film"
    assert [told["reminder"] for told in whole["deliveries"]] == [0, 1]
    assert whole["file_to_alert_s"] is None


@pytest.mark.parametrize(
    "wanted",
    [
        {"state": "done"},
        {"state": "resolved", "was": "gone"},
        {"state": "resolved", "note": "x" * 2001},
        {"state": "resolved", "by": "kim"},
        {"state": "resolved", "note": "a\x00b"},
        {},
    ],
)
def test_what_is_no_state_is_refused(site: Site, wanted: dict[str, str]) -> None:
    alert_id = alert_of(site, "north-1")
    answer = site.api("sam").post(f"/api/v1/alerts/{alert_id}/state", json=wanted)
    assert answer.status_code == 422


def test_the_page_tells_the_time_from_file_to_alert(site: Site) -> None:
    now = datetime.now(UTC)
    alert_id = raise_one(site, "north-9", now=now)
    (delivery,) = site.store.pending_deliveries("email:sam@example.org", now=now)
    site.store.mark_delivered(delivery.delivery_id, now=now + timedelta(seconds=3))
    file = KnownFile(size=1, modified_ns=1, known_by="", is_failed=False)
    arrival = Arrival(
        call_id="north-9",
        arrived_at=now - timedelta(seconds=22),
        taken_at=now - timedelta(seconds=15),
        saved_at=now,
        was_waiting=False,
    )
    site.store.arrivals.note("digest", file, now=now, arrival=arrival)
    client = site.client("sam")
    page = client.get("/alerts").text
    assert "<strong>22 s</strong>" in page
    assert "<strong>25 s</strong>" in page
    assert "to the first message: 25 s" in client.get(f"/alerts/{alert_id}").text
    assert site.api("sam").get(f"/api/v1/alerts/{alert_id}").json()["file_to_alert_s"] == 25.0
    # Another team's times are not one's own.
    site.store.people.set_agents([replace(site.store.people.agents()[0], team="west")])
    assert "Not measured yet" in client.get("/alerts").text


# --- in a browser --------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.slow
def test_a_supervisor_acknowledges_from_the_list_and_resolves_with_a_note(
    site: Site, browser_page: Page
) -> None:
    alert_id = raise_one(site, "north-9")
    page = browser_page
    site.sign_in(page, "sam")
    page.goto(f"{site.address}/alerts")
    assert_accessible(page)
    page.locator(f"#ack-{alert_id}").press("Enter")
    page.get_by_text("The alert is acknowledged now").wait_for()
    page.locator(f"#alert-{alert_id}").click()
    assert_accessible(page)
    page.get_by_label("Note for colleagues").fill("spoke to the agent")
    page.get_by_role("button", name="Resolve").press("Enter")
    page.get_by_text("The alert is resolved now").wait_for()
    assert page.get_by_text("spoke to the agent").is_visible()
    assert site.store.alerting.alert(alert_id).listed.state == "resolved"


@pytest.mark.browser
@pytest.mark.slow
def test_a_new_alert_appears_and_is_told_without_moving_the_focus(
    site: Site, browser_page: Page
) -> None:
    page = browser_page
    page.clock.install()
    site.sign_in(page, "sam")
    page.goto(f"{site.address}/alerts")
    kept = page.locator(f"#alert-{alert_of(site, 'north-1')}")
    kept.focus()
    alert_id = raise_one(site, "north-9")
    page.clock.run_for(16_000)
    page.locator(f"#alert-{alert_id}").wait_for()
    assert "1 new alert" in page.locator("#fresh").inner_text()
    assert page.locator("#fresh").get_attribute("aria-live") == "polite"
    assert page.evaluate("document.activeElement.id") == f"alert-{alert_of(site, 'north-1')}"
    told = page.locator("#fresh").inner_text()
    page.clock.run_for(16_000)
    page.wait_for_timeout(300)
    assert page.locator("#fresh").inner_text() == told
