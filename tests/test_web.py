"""The frame of the pages: signing in, what is refused, and what every answer carries."""

from __future__ import annotations

from datetime import timedelta

import pytest
from web_fixtures import PASSWORD, Site, assert_accessible

from qa_monitor.accounts import Permission, may, scope_of
from qa_monitor.store import User, UserRole
from qa_monitor.store.alerting import Alerting
from qa_monitor.web import every_route
from qa_monitor.web.security import MOST_BYTES

MAKE = "/account"


def test_nobody_unknown_is_answered_but_at_the_door(site: Site) -> None:
    client = site.client()
    for route in every_route():
        for method in route.methods or ():
            path = route.path.replace("{", "").replace("}", "")
            answer = client.request(method, path)
            if route.path in {"/sign-in", "/health"}:
                continue
            if route.path.startswith("/api/"):
                assert answer.status_code == 401, (method, route.path)
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            else:
                assert answer.status_code == 303, (method, route.path)
                assert answer.headers["location"].startswith("/sign-in"), route.path


def test_signing_in_leads_to_the_page_that_was_wanted_and_never_to_another_host(
    site: Site,
) -> None:
    for wanted, led in (("/account?x=1", "/account?x=1"), ("//evil.example", None)):
        client = site.client()
        data = {"user_id": "rita", "password": PASSWORD, "next": wanted}
        answer = client.post("/sign-in", data=data)
        assert answer.status_code == 303
        assert answer.headers["location"] == led or (
            led is None and "evil" not in answer.headers["location"]
        )


def test_a_wrong_password_and_an_unknown_name_are_told_alike_and_noted(site: Site) -> None:
    client = site.client()
    answers = [
        client.post("/sign-in", data={"user_id": name, "password": "wrong-password-1"})
        for name in ("rita", "nobody")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].text == answers[1].text
    noted = site.store.access_log.entries(limit=2)
    assert [(entry.action, entry.outcome) for entry in noted] == [("sign_in", "refused")] * 2
    assert "wrong-password-1" not in repr(noted)


def test_too_many_wrong_passwords_lock_the_name_for_a_while(site: Site) -> None:
    client = site.client()
    for _ in range(5):
        client.post("/sign-in", data={"user_id": "rita", "password": "wrong-password-1"})
    answer = client.post("/sign-in", data={"user_id": "rita", "password": PASSWORD})
    assert answer.status_code == 401
    assert "oo many tries" in answer.text


def test_a_session_ends_when_idle_and_after_its_longest_time(site: Site) -> None:
    from qa_monitor.accounts import Sessions

    people = site.store.people
    sessions = Sessions(people, idle=timedelta(minutes=30), absolute=timedelta(hours=12))
    begun = site.monitor.store.people.user("rita").created_at
    assert begun is not None
    secret = sessions.begin(people.user("rita"), now=begun)
    for minutes in range(20, 720, 20):
        assert sessions.find(secret, now=begun + timedelta(minutes=minutes)) is not None
    assert sessions.find(secret, now=begun + timedelta(minutes=721)) is None
    secret = sessions.begin(people.user("rita"), now=begun)
    assert sessions.find(secret, now=begun + timedelta(minutes=31)) is None


def test_what_changes_something_needs_the_forms_token_and_an_origin_of_this_site(
    site: Site,
) -> None:
    client = site.client("rita")
    token = client.headers.pop("X-CSRF-Token")
    assert client.post("/sign-out").status_code == 403
    assert client.post("/sign-out", data={"csrf_token": token + "x"}).status_code == 403
    foreign = {"Origin": "https://evil.example"}
    data = {"csrf_token": token}
    assert client.post("/sign-out", data=data, headers=foreign).status_code == 403
    assert client.post("/sign-out", data=data).status_code == 303
    assert client.get("/").headers["location"].startswith("/sign-in")


def test_every_answer_keeps_the_browser_to_this_site(site: Site) -> None:
    client = site.client("rita")
    for path in ("/sign-in", "/", "/nowhere", "/static/app.css", "/api/v1/nowhere", "/health"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        is_static = path.startswith("/static/")
        assert ("no-store" in headers["Cache-Control"]) is not is_static


def test_another_host_name_is_refused(site: Site) -> None:
    assert site.client().get("/sign-in", headers={"Host": "evil.example"}).status_code == 400


def test_a_fault_is_told_noted_and_logged_by_its_kind_alone(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("my name is Jane")

    monkeypatch.setattr(Alerting, "alerts", fail)
    answer = site.client("sam").get("/alerts")
    assert answer.status_code == 500
    assert "Content-Security-Policy" in answer.headers
    (entry,) = site.store.access_log.entries(limit=1)
    assert (entry.user_id, entry.action, entry.outcome) == ("sam", "alert.list", "failed")
    assert "RuntimeError" in caplog.text
    assert "Jane" not in answer.text + caplog.text + "".join(capfd.readouterr())


def test_a_request_larger_than_any_form_is_not_read(site: Site) -> None:
    for client, path, kind in (
        (site.client(), "/sign-in", "application/x-www-form-urlencoded"),
        (site.client("rita"), "/queue/next", "multipart/form-data; boundary=b"),
        (site.api("rita"), "/api/v1/calls/north-1/comments", "application/json"),
    ):
        client.headers.pop("X-CSRF-Token", None)
        body = b'--b\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\n'
        body += b"a" * MOST_BYTES
        answer = client.post(path, content=body, headers={"content-type": kind})
        assert answer.status_code in {400, 413}, (path, answer.text)
        (entry,) = site.store.access_log.entries(limit=1)
        assert entry.outcome == "failed"
    assert answer.status_code == 413


def test_the_session_cookie_cannot_be_read_by_scripts(site: Site) -> None:
    data = {"user_id": "rita", "password": PASSWORD}
    cookie = site.client().post("/sign-in", data=data).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_an_agent_reaches_own_calls_only_and_nobody_judges_their_own() -> None:
    both = User(
        user_id="x",
        name="x",
        roles=frozenset({UserRole.AGENT, UserRole.REVIEWER}),
        agent_id="agent-01",
        teams=frozenset({"north"}),
    )
    only = User(user_id="y", name="y", roles=frozenset({UserRole.AGENT}), agent_id="agent-01")
    assert scope_of(only, Permission.SEE_CALLS).covers("agent-01", "north")
    assert not scope_of(only, Permission.SEE_CALLS).covers("agent-03", "north")
    assert scope_of(both, Permission.SEE_CALLS).covers("agent-01", "north")
    assert not scope_of(both, Permission.REVIEW_CALLS).covers("agent-01", "north")
    assert scope_of(both, Permission.REVIEW_CALLS).covers("agent-03", "north")
    assert not may(both, Permission.ADMINISTER)


@pytest.mark.parametrize("role", [role for role in UserRole if role is not UserRole.AGENT])
def test_a_user_without_teams_reaches_nothing(role: UserRole) -> None:
    user = User(user_id="x", name="x", roles=frozenset({role}))
    for permission in Permission:
        assert not scope_of(user, permission).covers("agent-01", "north")


def test_the_sign_in_page_is_good_for_all(site: Site, browser_page: object) -> None:
    from playwright.sync_api import Page

    assert isinstance(browser_page, Page)
    browser_page.goto(f"{site.address}/sign-in")
    assert_accessible(browser_page)
    browser_page.keyboard.press("Tab")
    browser_page.keyboard.press("Tab")
    browser_page.keyboard.type("rita")
    browser_page.keyboard.press("Tab")
    browser_page.keyboard.type("wrong-password-1")
    browser_page.keyboard.press("Enter")
    browser_page.locator("#wrong").wait_for()
    assert_accessible(browser_page)


def test_a_method_that_a_path_has_not_is_answered_with_all_that_it_has(site: Site) -> None:
    answer = site.api("boss").delete("/api/v1/agents/agent-01/notes")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, POST"
