"""Administration pages: each does what it says, in a real browser and without scripts."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from invented_records import NOW
from web_fixtures import MARKUP, PASSWORD, Site, assert_accessible

from qa_monitor.accounts import make_token
from qa_monitor.store import Access, UserRole

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Page

PAGES = [
    "/admin/users",
    "/admin/users/rita",
    "/admin/agents",
    "/admin/log",
    "/admin/keeping?lifted=true",
    "/admin/system",
    "/account",
]


def followed(client: httpx.Client, answer: httpx.Response) -> str:
    """The text of the page that a form leads to."""
    assert answer.status_code == 303, answer.text
    page = client.get(answer.headers["location"])
    assert page.status_code == 200
    return page.text


def last_action(site: Site) -> Access:
    return site.store.access_log.entries(limit=1)[0]


# --- users ---------------------------------------------------------------------------------------


def test_a_new_user_signs_in_with_the_password_that_is_shown_once(site: Site) -> None:
    ada = site.client("ada")
    data = {"user_id": "nina", "name": "Nina", "role": ["coach"], "teams": "north, south"}
    shown = ada.post("/admin/users", data=data).text
    password = re.findall(r'<code id="password">([^<]+)</code>', shown)[0]
    assert password not in ada.get("/admin/users").text + ada.get("/admin/users/nina").text
    answer = site.client().post("/sign-in", data={"user_id": "nina", "password": password})
    assert answer.status_code == 303
    user = site.store.people.user("nina")
    assert user.teams == {"north", "south"}
    assert user.roles == {UserRole.COACH}
    noted = site.store.access_log.entries(action="user.add")[0]
    assert (noted.user_id, noted.object_id) == ("ada", "nina")


@pytest.mark.parametrize(
    "data",
    [
        {"user_id": "Nina", "role": ["coach"]},
        {"user_id": "nina"},
        {"user_id": "nina", "role": ["agent"]},
        {"user_id": "nina", "role": ["emperor"]},
        {"user_id": "rita", "role": ["coach"]},
    ],
)
def test_a_user_that_cannot_be_is_refused_with_a_reason(
    site: Site, data: dict[str, object]
) -> None:
    before = site.store.people.users()
    answer = site.client("ada").post("/admin/users", data=data)
    assert answer.status_code == 422
    assert "<h1>" in answer.text
    assert site.store.people.users() == before


def test_a_change_replaces_what_was_known_and_closing_ends_the_sign_ins(site: Site) -> None:
    ada, rita = site.client("ada"), site.client("rita")
    data = {"name": "Rita R.", "role": ["reviewer", "coach"], "teams": "", "all_teams": "true"}
    assert "rita is changed" in followed(ada, ada.post("/admin/users/rita", data=data))
    user = site.store.people.user("rita")
    assert not user.is_active
    assert (user.name, user.all_teams, user.teams) == ("Rita R.", True, frozenset())
    assert rita.get("/account").headers["location"].startswith("/sign-in")
    assert site.api("rita").get("/api/v1/users").status_code == 401


def test_the_last_administrator_cannot_be_taken_away(site: Site) -> None:
    ada = site.client("ada")
    for data in ({"role": ["coach"], "is_active": "true"}, {"role": ["admin"]}):
        answer = ada.post("/admin/users/ada", data=data)
        assert answer.status_code == 422
        assert "no administrator left" in answer.text
    assert ada.get("/admin/users").status_code == 200


def test_another_password_ends_what_stood_before(site: Site) -> None:
    ada, rita = site.client("ada"), site.client("rita")
    shown = ada.post("/admin/users/rita/password").text
    password = re.findall(r'<code id="password">([^<]+)</code>', shown)[0]
    assert rita.get("/account").status_code == 303
    client = site.client()
    old, new = (
        client.post("/sign-in", data={"user_id": "rita", "password": word})
        for word in (PASSWORD, password)
    )
    assert (old.status_code, new.status_code) == (401, 303)


def test_signing_somebody_out_ends_sessions_and_tokens(site: Site) -> None:
    ada, rita = site.client("ada"), site.client("rita")
    assert site.api("rita").get("/api/v1/users").status_code == 403
    assert "signed out everywhere" in followed(ada, ada.post("/admin/users/rita/sign-out"))
    assert rita.get("/account").status_code == 303
    assert site.api("rita").get("/api/v1/users").status_code == 401


# --- agents --------------------------------------------------------------------------------------


def test_an_agents_team_decides_who_reaches_the_calls(site: Site) -> None:
    ada = site.client("ada")
    data = {"agent_id": "agent-02", "name": "Amos", "team": "north"}
    assert "agent-02: Amos, north" in followed(ada, ada.post("/admin/agents", data=data))
    assert site.store.people.team_of("agent-02") == "north"
    followed(ada, ada.post("/admin/agents", data={"agent_id": "agent-02"}))
    assert site.store.people.team_of("agent-02") is None
    assert ada.post("/admin/agents", data={"agent_id": "a b"}).status_code == 422


# --- access log ----------------------------------------------------------------------------------


def test_the_log_is_filtered_paged_and_itself_logged(site: Site) -> None:
    site.store.access_log.note(
        [
            Access(
                at=NOW + timedelta(minutes=number),
                user_id="rita" if number % 2 else "cora",
                via="session",
                action="call.view",
                kind="call",
                object_id=f"call-{number}",
                outcome="allowed" if number % 5 else "refused",
            )
            for number in range(250)
        ]
    )
    ada = site.client("ada")
    first = ada.get("/admin/log", params={"user_id": "rita", "action": "call.view"}).text
    assert "call-249" in first
    assert "call-49<" not in first
    assert "call-248" not in first
    older = re.findall(r'href="(/admin/log\?before[^"]+)"', first)[0].replace("&amp;", "&")
    second = ada.get(older).text
    assert "call-49<" in second
    assert "call-51" not in second
    refused = ada.get("/admin/log", params={"outcome": "refused", "object_id": "call-5"}).text
    assert refused.count('scope="row"') == 1
    day = NOW.date()
    for params, count in (
        ({"since": str(day), "until": str(day)}, 100),
        ({"until": str(day - timedelta(days=1))}, 0),
    ):
        assert ada.get("/admin/log", params=params).text.count('scope="row"') == count
    assert ada.get("/admin/log", params={"since": "yesterday"}).status_code == 422
    assert site.store.access_log.entries(action="log.view")[0].user_id == "ada"


def test_the_log_comes_as_csv_whole_and_no_cell_is_a_formula(site: Site) -> None:
    site.store.access_log.note(
        Access(at=NOW, user_id="rita", via="session", action="x", reason="=1+1,\n2")
        for _ in range(1500)
    )
    answer = site.client("ada").get("/admin/log.csv", params={"user_id": "rita"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == 1500
    assert {row["reason"] for row in rows} == {"'=1+1,\n2"}
    assert site.store.access_log.entries(action="log.export")[0].outcome == "allowed"


def test_what_others_typed_is_text_and_not_markup(site: Site) -> None:
    site.store.access_log.note(
        [Access(at=NOW, user_id=MARKUP, via="none", action=MARKUP, reason=MARKUP)]
    )
    site.store.keeping.add_hold(reason=MARKUP, by="ada", now=NOW, agent_id=MARKUP)
    ada = site.client("ada")
    ada.post("/admin/users/rita", data={"name": MARKUP, "role": ["coach"], "teams": MARKUP})
    for path in ("/admin/log", "/admin/keeping", "/admin/users", "/admin/users/rita"):
        text = ada.get(path).text
        assert "<b>bold</b>" not in text, path
        assert "&lt;b&gt;bold" in text, path


# --- keeping and deleting ------------------------------------------------------------------------


def test_a_call_is_deleted_by_its_id_typed_twice_and_a_reason(site: Site) -> None:
    ada = site.client("ada")
    for data in (
        {"call_id": "north-1", "again": "north-2", "reason": "asked for"},
        {"call_id": "north-1", "again": "north-1", "reason": " "},
        {"call_id": "north-1", "again": "north-1"},
    ):
        assert ada.post("/admin/deletions", data=data).status_code == 422
    assert site.store.has_record("north-1")
    data = {"call_id": "north-1", "again": "north-1", "reason": "asked for"}
    page = followed(ada, ada.post("/admin/deletions", data=data))
    assert "Call north-1 is deleted" in page
    assert "asked for" in page
    assert not site.store.has_record("north-1")
    fact, asked = (
        site.store.access_log.entries(action=action)[0]
        for action in ("call.deleted", "call.delete")
    )
    assert (fact.user_id, fact.via, fact.reason) == ("ada", "session", "asked for")
    assert (asked.object_id, asked.client) == ("north-1", "127.0.0.1")
    unknown = {"call_id": "north-9", "again": "north-9", "reason": "asked for"}
    assert ada.post("/admin/deletions", data=unknown).status_code == 404


def test_a_held_call_is_not_deleted_until_the_hold_is_lifted(site: Site) -> None:
    ada = site.client("ada")
    hold = {"agent_id": "agent-01", "since": "2026-01-01", "reason": "case 7"}
    assert "Hold 1 stands" in followed(ada, ada.post("/admin/holds", data=hold))
    data = {"call_id": "north-1", "again": "north-1", "reason": "asked for"}
    answer = ada.post("/admin/deletions", data=data)
    assert answer.status_code == 422
    assert "legal hold 1" in answer.text
    assert site.store.has_record("north-1")
    assert ada.post("/admin/holds/1/lift", data={"reason": " "}).status_code == 422
    page = followed(ada, ada.post("/admin/holds/1/lift", data={"reason": "closed"}))
    assert "Hold 1 is lifted" in page
    assert "case 7" not in page
    assert "closed" in ada.get("/admin/keeping?lifted=true").text
    followed(ada, ada.post("/admin/deletions", data=data))
    assert not site.store.has_record("north-1")


def test_a_hold_on_a_caller_keeps_no_number(site: Site) -> None:
    ada = site.client("ada")
    data = {"caller_number": "617-555-0194", "reason": "case 7"}
    page = followed(ada, ada.post("/admin/holds", data=data))
    assert "one caller" in page
    assert "0194" not in page + repr(site.store.access_log.entries())
    (hold,) = site.store.keeping.holds()
    assert hold.caller_key == site.monitor.keeper.caller_key("(617) 555 0194")


def test_an_administrator_sees_nothing_of_a_call(site: Site) -> None:
    ada = site.client("ada")
    for path in PAGES:
        assert "a pain in the chest" not in ada.get(path).text


# --- everybody's account -------------------------------------------------------------------------


def test_one_changes_ones_own_password_knowing_the_old_one(site: Site) -> None:
    rita, other = site.client("rita"), site.client("rita")
    wanted = "a-new-quiet-harbour"
    for data in (
        {"current": "wrong-password-1", "new": wanted, "again": wanted},
        {"current": PASSWORD, "new": wanted, "again": wanted + "x"},
        {"current": PASSWORD, "new": "short", "again": "short"},
    ):
        assert rita.post("/account/password", data=data).status_code == 422
    answer = rita.post(
        "/account/password", data={"current": PASSWORD, "new": wanted, "again": wanted}
    )
    assert answer.headers["location"] == "/sign-in"
    assert rita.get("/account").status_code == other.get("/account").status_code == 303
    answer = site.client().post("/sign-in", data={"user_id": "rita", "password": wanted})
    assert answer.status_code == 303
    assert wanted not in repr(site.store.access_log.entries(limit=1000))


def test_one_signs_out_everywhere(site: Site) -> None:
    here, there = site.client("rita"), site.client("rita")
    assert here.get("/account").text.count('scope="row"') >= 2
    assert here.post("/account/sign-out").headers["location"] == "/sign-in"
    assert here.get("/account").status_code == there.get("/account").status_code == 303
    assert site.client("rita").get("/account").status_code == 200


def test_a_token_is_shown_once_works_and_can_be_dropped(site: Site) -> None:
    ada = site.client("ada")
    page = ada.post("/account/tokens", data={"name": "nightly export", "days": "30"}).text
    secret = re.findall(r'<code id="secret">([^<]+)</code>', page)[0]
    assert secret not in ada.get("/account").text
    api = site.client()
    api.headers["Authorization"] = f"Bearer {secret}"
    assert api.get("/api/v1/users").status_code == 200
    token = next(t for t in site.store.people.tokens("ada") if t.name == "nightly export")
    assert token.expires_at is not None
    assert token.expires_at - token.created_at == timedelta(days=30)
    assert "dropped" in followed(ada, ada.post(f"/account/tokens/{token.token_id}/drop"))
    assert api.get("/api/v1/users").status_code == 401


@pytest.mark.parametrize("data", [{"name": " "}, {"name": "x", "days": "0"}, {"days": "9"}])
def test_a_token_has_a_name_and_an_end(site: Site, data: dict[str, str]) -> None:
    before = site.store.people.tokens("rita")
    assert site.client("rita").post("/account/tokens", data=data).status_code == 422
    assert site.store.people.tokens("rita") == before


def test_nobody_drops_the_tokens_of_others(site: Site) -> None:
    (theirs,) = site.store.people.tokens("cora")
    assert site.client("rita").post(f"/account/tokens/{theirs.token_id}/drop").status_code == 404
    assert site.store.people.tokens("cora") == (theirs,)


def test_an_expired_token_opens_nothing(site: Site) -> None:
    people = site.store.people
    secret, _ = make_token(people, people.user("ada"), name="old", now=NOW, expires_at=NOW)
    api = site.client()
    api.headers["Authorization"] = f"Bearer {secret}"
    assert api.get("/api/v1/users").status_code == 401


# --- the API -------------------------------------------------------------------------------------


def test_the_api_does_what_the_pages_do(site: Site) -> None:
    ada = site.api("ada")
    new = {"user_id": "nina", "name": "Nina", "roles": ["agent"], "agent_id": "agent-03"}
    made = ada.post("/api/v1/users", json=new)
    assert made.status_code == 201
    body = {"user_id": "nina", "password": made.json()["password"]}
    assert site.client().post("/sign-in", data=body).status_code == 303
    changed = ada.patch("/api/v1/users/nina", json={"roles": ["coach"], "teams": ["north"]}).json()
    assert (changed["roles"], changed["teams"], changed["agent_id"]) == (
        ["coach"],
        ["north"],
        "agent-03",
    )
    assert "nina" in {user["user_id"] for user in ada.get("/api/v1/users").json()}
    again = ada.post("/api/v1/users/nina/password").json()
    assert again["password"] != made.json()["password"]
    held = ada.post("/api/v1/holds", json={"call_id": "north-1", "reason": "case 7"})
    assert held.status_code == 201
    refused = ada.delete("/api/v1/calls/north-1", params={"reason": "asked for"})
    assert refused.status_code == 422
    assert "legal hold 1" in refused.json()["detail"]
    lifted = ada.post("/api/v1/holds/1/lift", json={"reason": "closed"}).json()
    assert lifted["lifted_by"] == "ada"
    assert ada.delete("/api/v1/calls/north-1").status_code == 422
    assert ada.delete("/api/v1/calls/north-1", params={"reason": "x"}).status_code == 204
    (deletion,) = ada.get("/api/v1/deletions").json()
    assert (deletion["call_id"], deletion["reason"]) == ("north-1", "x")
    assert site.store.access_log.entries(action="call.deleted")[0].via == "token"
    page = ada.get("/api/v1/access-log", params={"limit": 3, "user_id": "ada"}).json()
    rest = ada.get("/api/v1/access-log", params={"before": page["before"], "limit": 1}).json()
    assert rest["entries"][0]["entry_id"] < page["entries"][-1]["entry_id"]


def test_a_callers_key_and_passwords_do_not_leave_by_the_api(site: Site) -> None:
    ada = site.api("ada")
    new = {"caller_number": "617-555-0194", "reason": "case 7"}
    held = ada.post("/api/v1/holds", json=new)
    key = site.monitor.keeper.caller_key("617-555-0194")
    assert held.json()["is_on_caller"]
    said = held.text + ada.get("/api/v1/holds").text + ada.get("/api/v1/users").text
    assert key not in said
    assert "argon2" not in said


# --- in a browser --------------------------------------------------------------------------------


@pytest.mark.browser
def test_the_pages_are_good_for_all_in_a_browser(site: Site, browser_page: Page) -> None:
    site.store.keeping.add_hold(reason="case 7", by="ada", now=NOW, agent_id="agent-03")
    site.monitor.keeper.delete(["south-2"], by="ada", now=NOW, reason="asked for")
    site.sign_in(browser_page, "ada")
    for path in PAGES:
        browser_page.goto(f"{site.address}{path}")
        assert browser_page.locator("h1").count() == 1, path
        assert_accessible(browser_page)


@pytest.mark.browser
def test_a_call_is_deleted_with_the_keyboard_alone(site: Site, browser_page: Page) -> None:
    site.sign_in(browser_page, "ada")
    browser_page.goto(f"{site.address}/admin/keeping")
    browser_page.get_by_label("Call id", exact=True).last.focus()
    for text in ("north-2", "north-2", "asked for"):
        browser_page.keyboard.type(text)
        browser_page.keyboard.press("Tab")
    browser_page.keyboard.press("Enter")
    browser_page.get_by_text("Call north-2 is deleted").wait_for()
    assert not site.store.has_record("north-2")
