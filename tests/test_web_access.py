"""Who may do what: every route by every kind of user by every kind of object, from one table.

A route without an entry in ``RULES`` fails the first test. What is refused changes nothing in the
database or the data folder and is in the access log; what is allowed answers as the table says.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from web_fixtures import PASSWORD, serving
from web_house import EVERYBODY, OF, House, begin, is_api

from qa_monitor.accounts import Sessions, make_token
from qa_monitor.config import Config
from qa_monitor.web import every_route

# --- who -----------------------------------------------------------------------------------------

SEES = "rita cora sam agnes amos uma boss"
STAFF = "rita cora sam uma boss"
REVIEWS = "rita uma boss"
COACHES = "cora uma boss"
REPORTS = "cora sam uma boss"
RESOLVES = "rita cora uma boss"
QUEUES = "rita sam uma boss"
AGENTS = "agnes amos uma"
HEARS = "rita sam uma boss"
SUPERVISES = "sam boss"
TEAM = "cora sam uma boss"
ADMIN = "ada"

REACH: Mapping[str, Mapping[str, str]] = {
    # Objects: own (of agent-01, north), team (agent-03, north), other (agent-02, south), nobody (of
    # no agent), missing, mixed (two ids that do not belong together).
    "seen": {
        "rita": "own team",
        "cora": "own team",
        "sam": "own team",
        "uma": "own team",
        "agnes": "own",
        "amos": "other",
        "boss": "own team other nobody",
        "ada": "own team other nobody",
    },
    # Nobody judges their own calls.
    "judged": {
        "rita": "own team",
        "cora": "own team",
        "sam": "own team",
        "uma": "team",
        "boss": "own team other nobody",
    },
    # The role agent reaches the user's own calls only.
    "mine": {"agnes": "own", "amos": "other", "uma": "own"},
    # What belongs to one user, here to rita: comments, a saved list, a token.
    "ritas": {"rita": "own team"},
    # What rita, or somebody for her, may be given.
    "for rita": {"rita": "own team", "sam": "own team", "boss": "own team"},
    # What is kept of the installation as a whole.
    "any": dict.fromkeys(EVERYBODY.split(), "own team other nobody"),
}

# --- the table -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """Who may ask for a route, on what, with what, and how it answers then.

    ``on`` names the kind of object whose ids fill ``{...}`` in the path and in what is sent;
    ``but`` are answers that differ, by user and object. ``is_tried`` is false where an allowed
    request is left to other tests.
    """

    who: str
    on: str | None = None
    reach: str = "seen"
    form: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    ok: int = 200
    beyond: int = 404
    but: Mapping[str, int] = field(default_factory=dict)
    is_tried: bool = True


def page(who: str, on: str | None = None, **more: Any) -> Rule:
    return Rule(who, on, **more)


def form(who: str, on: str | None = None, *, ok: int = 303, **more: Any) -> Rule:
    fields = {key: more.pop(key) for key in ("reach", "query", "beyond", "but") if key in more}
    is_tried = more.pop("is_tried", True)
    return Rule(who, on, form=more, ok=ok, is_tried=is_tried, **fields)


REASON = "because it is so"
JUDGEMENT: dict[str, Any] = {
    "run_id": "{run_id}",
    "rubric_version": "rubric-1",
    "verdict": "correct",
    "subject": "empathy",
    "value": "4",
    "reason": REASON,
}
USER: dict[str, Any] = {"user_id": "nina", "name": "Nina", "role": ["coach"], "teams": "north"}
USER_JSON = {"user_id": "nina", "name": "Nina", "roles": ["coach"], "teams": ["north"]}
GOAL: dict[str, Any] = {
    "measure": "criterion:active_listening",
    "target": "4",
    "wording": "Say what you hear.",
}
GOAL_JSON = {
    "kind": "criterion",
    "code": "active_listening",
    "target": 4,
    "wording": "Say what you hear.",
}

RULES: dict[str, Rule] = {
    # the door
    "GET /": page(EVERYBODY, ok=303),
    "POST /sign-out": form(EVERYBODY),
    # lists of calls
    "GET /calls": page(SEES),
    "GET /calls.csv": page(SEES),
    "GET /api/v1/calls": page(SEES),
    "POST /saved-views": form(SEES, name="mine", query="agent=agent-01"),
    "POST /saved-views/{view_id}/delete": form(SEES, "view", reach="ritas"),
    # one call
    "GET /calls/{call_id}": page(SEES, "call"),
    "GET /api/v1/calls/{call_id}": page(SEES, "call"),
    "GET /api/v1/calls/{call_id}/history": page(SEES, "call"),
    "GET /calls/{call_id}/audio": page(SEES, "call"),
    "GET /calls/{call_id}/waveform": page(SEES, "call"),
    "POST /calls/{call_id}/unredacted": form(HEARS, "call", reach="judged", ok=200, reason=REASON),
    # A ticket that was never given out opens nothing, to nobody.
    "GET /calls/{call_id}/unredacted/{ticket}": page(HEARS, "ticket", reach="judged", ok=403),
    "POST /calls/{call_id}/judgements": form(REVIEWS, "call", reach="judged", **JUDGEMENT),
    "POST /api/v1/calls/{call_id}/judgements": Rule(
        REVIEWS,
        "call",
        reach="judged",
        json={"subject": "empathy", "points": 4, "reason": REASON},
        ok=201,
    ),
    # No blind review is open: 409 where the call is within reach.
    "POST /calls/{call_id}/blind": form(REVIEWS, "call", reach="judged", ok=409),
    "POST /calls/{call_id}/review": form(REVIEWS, "call", reach="judged"),
    "POST /api/v1/calls/{call_id}/review": Rule(REVIEWS, "call", reach="judged", json={}, ok=201),
    # Who is the agent of a call answers on the own page.
    "POST /calls/{call_id}/comments": form(STAFF, "call", but={"uma own": 403}, text="a remark"),
    "POST /api/v1/calls/{call_id}/comments": Rule(
        STAFF, "call", json={"text": "a remark"}, ok=201, but={"uma own": 403}
    ),
    "POST /calls/{call_id}/comments/{comment_id}/withdraw": form(STAFF, "comment", reach="ritas"),
    "POST /calls/{call_id}/swap-roles": form(REVIEWS, "call", reach="judged", is_tried=False),
    "POST /api/v1/calls/{call_id}/swap-roles": Rule(
        REVIEWS, "call", reach="judged", is_tried=False
    ),
    "POST /calls/{call_id}/rescore": form(REVIEWS, "call", reach="judged"),
    "POST /api/v1/calls/{call_id}/rescore": Rule(REVIEWS, "call", reach="judged"),
    # queue
    "GET /queue": page(QUEUES),
    "GET /api/v1/queue": page(QUEUES),
    "POST /queue/next": form(REVIEWS),
    "POST /api/v1/queue/next": Rule(REVIEWS),
    "GET /queue/{task_id}": page(QUEUES, "task", reach="judged"),
    "POST /queue/{task_id}/take": form(REVIEWS, "task", reach="judged"),
    "POST /api/v1/queue/{task_id}/take": Rule(REVIEWS, "task", reach="judged"),
    # Nobody has taken it: 422 where it is within reach.
    "POST /queue/{task_id}/put-back": form(REVIEWS, "task", reach="judged", ok=422),
    "POST /api/v1/queue/{task_id}/put-back": Rule(REVIEWS, "task", reach="judged", ok=422),
    "POST /queue/{task_id}/skip": form(REVIEWS, "task", reach="judged", reason="other", note="x"),
    "POST /api/v1/queue/{task_id}/skip": Rule(
        REVIEWS, "task", reach="judged", json={"reason": "other", "note": "x"}
    ),
    "POST /queue/{task_id}/reopen": form(SUPERVISES, "task", reach="judged", is_tried=False),
    "POST /api/v1/queue/{task_id}/reopen": Rule(SUPERVISES, "task", reach="judged", is_tried=False),
    # Reviewers may give tasks to themselves only; rita is a reviewer of north.
    "POST /queue/assign": form(
        SUPERVISES, "task", reach="judged", user_id="boss", task="{task_id}"
    ),
    "POST /queue/assign#rita": form(
        "rita sam boss",
        "task",
        reach="for rita",
        # The supervisor reaches that call, the reviewer does not.
        but={"boss other": 422},
        user_id="rita",
        task="{task_id}",
    ),
    "POST /api/v1/queue/{task_id}/assign": Rule(
        SUPERVISES, "task", reach="judged", json={"user_id": "boss"}
    ),
    # agreement and labels
    "GET /agreement": page(QUEUES),
    "GET /agreement.csv": page(QUEUES),
    "GET /api/v1/agreement": page(QUEUES),
    "GET /agreement/labelled-calls": page(REVIEWS),
    "GET /api/v1/labelled-calls": page(REVIEWS),
    # agents and coaching
    "GET /agents": page(REPORTS),
    "GET /api/v1/agents": page(REPORTS),
    "GET /agents/{agent_id}": page(REPORTS, "agent"),
    "GET /agents/{agent_id}/report.{form}": page(REPORTS, "report", query={"since": "2026-03-01"}),
    "GET /api/v1/agents/{agent_id}/report": page(REPORTS, "report", query={"since": "2026-03-01"}),
    "GET /api/v1/agents/{agent_id}/notes": page(REPORTS, "agent"),
    "GET /api/v1/agents/{agent_id}/goals": page(REPORTS, "agent"),
    "POST /agents/{agent_id}/notes": form(COACHES, "agent", reach="judged", text="a note"),
    "POST /agents/{agent_id}/notes#call": form(
        COACHES, "agent_call", reach="judged", text="a note", call_id="{call_id}"
    ),
    "POST /api/v1/agents/{agent_id}/notes": Rule(
        COACHES, "agent", reach="judged", json={"text": "a note"}, ok=201
    ),
    "POST /api/v1/agents/{agent_id}/notes#call": Rule(
        COACHES,
        "agent_call",
        reach="judged",
        json={"text": "a note", "call_id": "{call_id}"},
        ok=201,
    ),
    "POST /agents/{agent_id}/goals": form(COACHES, "agent", reach="judged", **GOAL),
    "POST /api/v1/agents/{agent_id}/goals": Rule(
        COACHES, "agent", reach="judged", json=GOAL_JSON, ok=201
    ),
    "POST /agents/{agent_id}/goals/{goal_id}/close": form(
        COACHES, "goal", reach="judged", state="met"
    ),
    "POST /api/v1/agents/{agent_id}/goals/{goal_id}/close": Rule(
        COACHES, "goal", reach="judged", json={"state": "met"}
    ),
    "GET /disputes": page(RESOLVES),
    "GET /api/v1/disputes": page(RESOLVES),
    "GET /disputes/{dispute_id}": page(RESOLVES, "dispute", reach="judged"),
    "POST /disputes/{dispute_id}/resolve": form(
        RESOLVES, "dispute", reach="judged", decision="stands", reason=REASON
    ),
    "POST /api/v1/disputes/{dispute_id}/resolve": Rule(
        RESOLVES, "dispute", reach="judged", json={"reason": REASON}
    ),
    # an agent's own page
    "GET /me": page(AGENTS),
    "GET /api/v1/me": page(AGENTS),
    "GET /me/calls/{call_id}": page(AGENTS, "call", reach="mine"),
    "POST /me/calls/{call_id}/acknowledge": form(AGENTS, "call", reach="mine"),
    "POST /api/v1/calls/{call_id}/acknowledge": Rule(AGENTS, "call", reach="mine"),
    "POST /me/calls/{call_id}/answer": form(AGENTS, "call", reach="mine", text="an answer"),
    "POST /api/v1/calls/{call_id}/answer": Rule(
        AGENTS, "call", reach="mine", json={"text": "an answer"}, ok=201
    ),
    "POST /me/calls/{call_id}/disputes": form(
        AGENTS, "call", reach="mine", criterion="escalation", reason=REASON
    ),
    "POST /api/v1/calls/{call_id}/disputes": Rule(
        AGENTS, "call", reach="mine", json={"criterion": "escalation", "reason": REASON}, ok=201
    ),
    "POST /me/disputes/{dispute_id}/withdraw": form(AGENTS, "dispute", reach="mine"),
    "POST /api/v1/me/disputes/{dispute_id}/withdraw": Rule(AGENTS, "dispute", reach="mine"),
    "POST /me/goals/{goal_id}/acknowledge": form(AGENTS, "own_goal", reach="mine"),
    "POST /me/report/acknowledge": form(AGENTS, since="2026-03-01", until="2026-03-07"),
    # alerts
    "GET /alerts": page(SUPERVISES),
    "GET /api/v1/alerts": page(SUPERVISES),
    "GET /alerts/{alert_id}": page(SUPERVISES, "alert"),
    "GET /api/v1/alerts/{alert_id}": page(SUPERVISES, "alert"),
    "POST /alerts/{alert_id}/state": form(
        SUPERVISES, "alert", reach="judged", state="acknowledged", was="open"
    ),
    "POST /api/v1/alerts/{alert_id}/state": Rule(
        SUPERVISES, "alert", reach="judged", json={"state": "acknowledged"}
    ),
    # the team
    "GET /team": page(TEAM),
    "GET /team#team": page(TEAM, "team", query={"team": "{team}"}),
    "GET /team.csv": page(TEAM),
    "GET /team.csv#team": page(TEAM, "team", query={"team": "{team}"}),
    "GET /api/v1/team": page(TEAM),
    "GET /api/v1/team#team": page(TEAM, "team", query={"team": "{team}"}),
    # administration
    "GET /admin/users": page(ADMIN),
    "GET /api/v1/users": page(ADMIN),
    "POST /admin/users": form(ADMIN, ok=200, **USER),
    "POST /api/v1/users": Rule(ADMIN, json=USER_JSON, ok=201),
    "GET /admin/users/{user_id}": page(ADMIN, "user", reach="any"),
    "GET /api/v1/users/{user_id}": page(ADMIN, "user", reach="any"),
    "POST /admin/users/{user_id}": form(
        ADMIN, "user", reach="any", name="Rita", role=["coach"], is_active="true"
    ),
    "PATCH /api/v1/users/{user_id}": Rule(ADMIN, "user", reach="any", json={"name": "R"}),
    "POST /admin/users/{user_id}/password": form(ADMIN, "user", reach="any", ok=200),
    "POST /api/v1/users/{user_id}/password": Rule(ADMIN, "user", reach="any"),
    "POST /admin/users/{user_id}/sign-out": form(ADMIN, "user", reach="any"),
    "GET /admin/agents": page(ADMIN),
    "POST /admin/agents": form(ADMIN, agent_id="agent-02", team="north"),
    "GET /admin/log": page(ADMIN),
    "GET /admin/log.csv": page(ADMIN),
    "GET /api/v1/access-log": page(ADMIN),
    "GET /admin/keeping": page(ADMIN),
    "GET /api/v1/holds": page(ADMIN),
    "GET /api/v1/deletions": page(ADMIN),
    "POST /admin/holds": form(ADMIN, agent_id="agent-01", reason=REASON),
    "POST /api/v1/holds": Rule(ADMIN, json={"agent_id": "agent-01", "reason": REASON}, ok=201),
    "POST /admin/holds/{hold_id}/lift": form(ADMIN, "hold", reach="any", reason=REASON),
    "POST /api/v1/holds/{hold_id}/lift": Rule(ADMIN, "hold", reach="any", json={"reason": REASON}),
    "POST /admin/deletions": form(
        ADMIN, "call", reach="any", call_id="{call_id}", again="{call_id}", reason=REASON
    ),
    "DELETE /api/v1/calls/{call_id}": Rule(
        ADMIN, "call", reach="any", query={"reason": REASON}, ok=204
    ),
    "GET /admin/system": page(ADMIN),
    # everybody's account
    "GET /account": page(EVERYBODY),
    "POST /account/password": form(
        EVERYBODY, current=PASSWORD, new="another-quiet-harbour", again="another-quiet-harbour"
    ),
    "POST /account/sign-out": form(EVERYBODY),
    "POST /account/tokens": form(EVERYBODY, ok=200, name="nightly"),
    "POST /account/tokens/{token_id}/drop": form(EVERYBODY, "token", reach="ritas"),
}
SIGN_OUT = {"/sign-out", "/account/sign-out", "/account/password"}
OPEN = {"GET /health", "GET /sign-in", "POST /sign-in"}


def key_of(method: str, path: str) -> str:
    return f"{method} {path}"


ROUTES = sorted(
    key_of(method, route.path) for route in every_route() for method in route.methods or ()
)


def split(key: str) -> tuple[str, str]:
    method, _, path = key.partition("#")[0].partition(" ")
    return method, path


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    """``value`` with the ids in place of their names."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda match: ids.get(match[1], match[0]), value)
    if isinstance(value, Mapping):
        return {key: filled(item, ids) for key, item in value.items()}
    return [filled(item, ids) for item in value] if isinstance(value, list) else value


def request(
    client: httpx.Client, key: str, rule: Rule, ids: Mapping[str, str], **more: Any
) -> httpx.Response:
    method, path = split(key)
    said: dict[str, Any] = {"params": filled(rule.query, ids)}
    if rule.json is not None:
        said["json"] = filled(rule.json, ids)
    elif rule.form:
        said["data"] = filled(rule.form, ids)
    return client.request(method, filled(path, ids), **said, **more)


def cases(house: House, rule: Rule) -> Iterator[tuple[str, str, Mapping[str, str], int]]:
    """Every user with every object: its ids, and the answer that is expected."""
    objects = house.objects[rule.on] if rule.on else {"": {}}
    for user, (name, ids) in itertools.product(EVERYBODY.split(), objects.items()):
        if user not in rule.who.split():
            expected = 403
        elif rule.on is None or name in REACH[rule.reach].get(user, "").split():
            expected = rule.ok
        else:
            expected = rule.beyond
        yield user, name, ids, rule.but.get(f"{user} {name}", expected)


# --- the tests -----------------------------------------------------------------------------------


def test_every_route_has_its_place_in_the_table_and_every_entry_its_route() -> None:
    ruled = {key.partition("#")[0] for key in RULES}
    assert ruled | OPEN == set(ROUTES)
    assert not ruled & OPEN


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("key", sorted(RULES))
def test_what_is_refused_is_refused_to_everybody_else_and_changes_nothing(
    house: House, key: str
) -> None:
    rule = RULES[key]
    _, path = split(key)
    before, refusals, wrong, asked = house.digest(), house.refusals(), [], 0
    for user, name, ids, expected in cases(house, rule):
        if expected not in {403, 404}:
            continue
        asked += 1
        answer = request(house.asks(user, path), key, rule, ids)
        if answer.status_code != expected:
            wrong.append((user, name, answer.status_code, expected))
        assert "a pain in the chest" not in answer.text, (user, name)
    assert not wrong
    assert house.digest() == before
    assert house.refusals() == refusals + asked


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("key", sorted(RULES))
def test_what_is_allowed_is_answered(house: House, key: str) -> None:
    rule = RULES[key]
    method, path = split(key)
    wrong = []
    if not rule.is_tried:
        return
    for user, name, ids, expected in cases(house, rule):
        if expected in {403, 404}:
            continue
        answer = request(house.asks(user, path), key, rule, ids)
        if answer.status_code != expected:
            wrong.append((user, name, answer.status_code, expected, answer.text[-300:]))
        elif expected == 303:
            is_signed_out = path in SIGN_OUT
            assert answer.headers["location"].startswith("/sign-in") == is_signed_out, user
        if method != "GET":
            house.restore()
    assert not wrong


# --- who is not known ----------------------------------------------------------------------------


def any_ids(house: House) -> dict[str, str]:
    """Ids of objects that are there, for any path."""
    return {
        name: value
        for kind in house.objects.values()
        for name, value in kind["own"].items()
        if name != "call_id"
    } | {"call_id": OF["own"]}


def all_refused(house: House, page_client: httpx.Client, program: httpx.Client) -> None:
    """Every route, asked for so, leads to the door or is refused, and is in the log as refused."""
    before, refusals, wrong = house.digest(), house.refusals(), []
    for key in RULES:
        _, path = split(key)
        client = program if is_api(path) else page_client
        answer = request(client, key, RULES[key], any_ids(house))
        is_led = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
        if answer.status_code != 401 if is_api(path) else not is_led:
            wrong.append((key, answer.status_code))
    assert not wrong
    assert house.digest() == before
    assert house.refusals() == refusals + len(RULES)


def a_client(house: House, **more: Any) -> httpx.Client:
    return httpx.Client(base_url=house.site.address, timeout=60, **more)


def test_nobody_is_answered_anything(house: House) -> None:
    with a_client(house) as client:
        all_refused(house, client, client)


def test_a_session_over_its_limits_opens_nothing(house: House) -> None:
    people = house.site.store.people
    for idle, absolute in ((31, 31), (1, 12 * 60 + 1)):
        secret = f"over-{idle}"
        digest = hashlib.sha256(secret.encode()).hexdigest()
        now = datetime.now(UTC)
        people.begin_session(
            digest, user_id="boss", csrf_token="t", now=now - timedelta(minutes=absolute)
        )
        people.touch_session(digest, now=now - timedelta(minutes=idle))
        with a_client(house, cookies={"qa_session": secret}) as client:
            answer = client.get("/calls", headers={"X-CSRF-Token": "t"})
            assert answer.headers["location"].startswith("/sign-in")
        assert people.session(digest) is None


def test_whoever_was_closed_out_opens_nothing_with_what_they_had(house: House) -> None:
    people, now = house.site.store.people, datetime.now(UTC)
    secret = "a-session-of-gwen"
    people.begin_session(
        hashlib.sha256(secret.encode()).hexdigest(), user_id="gwen", csrf_token="t", now=now
    )
    token, _ = make_token(people, people.user("gwen"), name="t", now=now, expires_at=None)
    cookie = {"qa_session": secret}
    with (
        a_client(house, cookies=cookie, headers={"X-CSRF-Token": "t"}) as client,
        a_client(house, headers={"Authorization": f"Bearer {token}"}) as program,
    ):
        all_refused(house, client, program)
    house.restore()


def test_a_cookie_opens_no_api_and_a_token_no_page(house: House) -> None:
    all_refused(house, house.programs["boss"], house.clients["boss"])


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer qam_", "Bearer qam_x", "Basic Ym9zczpxdWlldA==", "Bearer " + "x" * 5000],
)
def test_what_is_no_token_opens_nothing(house: House, header: str) -> None:
    with a_client(house, headers={"Authorization": header}) as client:
        assert client.get("/api/v1/calls").status_code == 401


# --- what changes something ----------------------------------------------------------------------

CHANGING = [key for key in RULES if not key.startswith("GET ")]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "wrong"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=lambda headers: " ".join(f"{name}={value}" for name, value in headers.items()),
)
def test_no_form_is_taken_from_another_site_or_without_its_token(
    house: House, headers: Mapping[str, str]
) -> None:
    before, wrong = house.digest(), []
    for key in CHANGING:
        if not is_api(split(key)[1]):
            user = RULES[key].who.split()[0]
            ids = any_ids(house)
            answer = request(house.clients[user], key, RULES[key], ids, headers=headers)
            if answer.status_code != 403:
                wrong.append((key, answer.status_code))
    assert not wrong
    assert house.digest() == before


def test_no_form_is_taken_with_the_token_of_another_session(house: House) -> None:
    headers = {"X-CSRF-Token": house.clients["cora"].headers["X-CSRF-Token"]}
    answer = house.clients["rita"].post("/account/tokens", data={"name": "x"}, headers=headers)
    assert answer.status_code == 403


def test_nothing_is_changed_by_following_a_link(house: House) -> None:
    before = house.digest()
    for key in CHANGING:
        path = split(key)[1]
        if f"GET {path}" in RULES:
            continue
        user = RULES[key].who.split()[0]
        answer = house.asks(user, path).get(filled(path, any_ids(house)))
        # A word where a number stands for an object is no such address either.
        assert answer.status_code in {404, 405, 422}, key
    assert house.digest() == before


# --- what every answer carries -------------------------------------------------------------------

OUTSIDE = re.compile(
    r"""(?:src|href|action|srcset|poster|data-[a-z-]+)\s*=\s*["']?(?:https?:)?//"""
)
INLINE = re.compile(r"""<[^>]+\s(?:on[a-z]+|style)\s*=|<style|<script(?![^>]*\ssrc=)[^>]*>""", re.I)


def test_every_answer_keeps_the_browser_to_this_site(house: House) -> None:
    for key, rule in RULES.items():
        method, path = split(key)
        if method != "GET":
            continue
        for user in (rule.who.split()[0], "ada" if "ada" not in rule.who else "rita"):
            answer = request(house.asks(user, path), key, rule, any_ids(house))
            headers = answer.headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy, key
            assert "frame-ancestors 'none'" in policy, key
            assert "unsafe" not in policy, key
            assert headers["X-Content-Type-Options"] == "nosniff", key
            assert headers["X-Frame-Options"] == "DENY", key
            assert headers["Referrer-Policy"] in {"no-referrer", "same-origin"}, key
            assert "no-store" in headers["Cache-Control"], key
            if headers.get("content-type", "").startswith("text/html"):
                assert not OUTSIDE.search(answer.text), key
                if "attachment" not in headers.get("content-disposition", ""):
                    assert not INLINE.search(answer.text), key


# --- the door ------------------------------------------------------------------------------------


def test_signing_in_gives_a_new_session_whatever_the_browser_came_with(house: House) -> None:
    data = {"user_id": "rita", "password": PASSWORD}
    with a_client(house, cookies={"qa_session": "planted-by-somebody"}) as client:
        first = client.post("/sign-in", data=data).cookies["qa_session"]
        second = client.post("/sign-in", data=data).cookies["qa_session"]
    assert len({first, second, "planted-by-somebody"}) == 3
    digest = hashlib.sha256(b"planted-by-somebody").hexdigest()
    assert house.site.store.people.session(digest) is None
    house.restore()


def test_signing_out_ends_the_session_and_not_only_the_cookie(house: House) -> None:
    people = house.site.store.people
    sessions = Sessions(people, idle=timedelta(minutes=30), absolute=timedelta(hours=12))
    with begin(house, sessions, "rita") as client:
        secret = client.cookies["qa_session"]
        assert client.get("/calls").status_code == 200
        client.post("/sign-out")
    with a_client(house, cookies={"qa_session": secret}) as client:
        assert client.get("/calls").status_code == 303
    house.restore()


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/calls",
        "https:evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "///evil.example",
        "@evil.example",
        "calls",
    ],
)
def test_no_address_leads_from_the_door_to_another_host(house: House, wanted: str) -> None:
    with a_client(house) as client:
        door = client.get("/sign-in", params={"next": wanted})
        assert "evil" not in door.text
        assert "alert(1)" not in door.text
        data = {"user_id": "rita", "password": PASSWORD, "next": wanted}
        led = client.post("/sign-in", data=data).headers["location"]
    assert led == "/calls" or led.startswith("/queue")
    joined = urljoin("https://here.example/sign-in", led)
    assert urlsplit(joined).netloc == "here.example"
    house.restore()


def test_behind_tls_the_cookie_is_of_this_host_alone_and_never_sent_in_the_clear(
    tmp_path: Path,
    _filled_database: tuple[Path, dict[str, str]],  # noqa: PT019 - its value is used
) -> None:
    shutil.copy(_filled_database[0], tmp_path / "qa-monitor.sqlite")
    config = {"data": {"folder": tmp_path}, "web": {"behind_proxy": True}}
    with serving(Config.model_validate(config)) as site:
        data = {"user_id": "rita", "password": PASSWORD}
        answer = site.client().post("/sign-in", data=data)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-qa_session=")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"secure", "httponly", "path=/", "samesite=lax"} <= parts
    assert not any(part.startswith("domain") for part in parts)
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_behind_tls_no_cookie_is_set_or_taken_back_but_over_tls(
    tmp_path: Path,
    _filled_database: tuple[Path, dict[str, str]],  # noqa: PT019 - its value is used
) -> None:
    shutil.copy(_filled_database[0], tmp_path / "qa-monitor.sqlite")
    config = {"data": {"folder": tmp_path}, "web": {"behind_proxy": True}}
    with serving(Config.model_validate(config)) as site:
        sessions = Sessions(
            site.store.people, idle=timedelta(minutes=5), absolute=timedelta(hours=1)
        )
        now = datetime.now(UTC)
        secret = sessions.begin(site.store.people.user("rita"), now=now)
        found = sessions.find(secret, now=now)
        assert found is not None
        client = site.client()
        client.headers["X-CSRF-Token"] = found[1].csrf_token
        client.headers["Cookie"] = f"__Host-qa_session={secret}"
        for path, name in (("/saved-views", "qa_said="), ("/sign-out", "__Host-qa_session=")):
            cookie = client.post(path, data={"name": "Mine"}).headers["set-cookie"]
            assert cookie.startswith(name)
            assert "secure" in {part.strip().lower() for part in cookie.split(";")}
