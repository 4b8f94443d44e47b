"""A real server on a real database of a few invented calls, and a real browser to look at it.

Users (all with ``PASSWORD``): ``rita`` reviewer, ``cora`` coach and ``sam`` supervisor of team
north, ``agnes`` agent agent-01 (north), ``amos`` agent agent-02 (south), ``ada`` admin, ``boss``
reviewer, coach and supervisor of all teams. Calls: see ``CALLS``.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from invented_records import NOW, make_record

from qa_monitor.accounts import Sessions, add_user, make_token
from qa_monitor.alerts import Policy, raise_alerts
from qa_monitor.calls import CallRecord, CallType, EscalationOutcome
from qa_monitor.config import Config
from qa_monitor.monitor import Monitor
from qa_monitor.store import Agent, Store, User, UserRole, open_store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PASSWORD = "quiet-harbour-41"
MARKUP = "<script>document.title='taken over'</script> and <b>bold</b>"
SIZES = {"wide": (1280, 900), "narrow": (400, 800)}

CALLS = {
    "north-1": ("agent-01", EscalationOutcome.MISSED, 3.0),
    "north-2": ("agent-01", None, 0.0),
    "north-3": ("agent-03", EscalationOutcome.PROPERLY, 2.0),
    "south-1": ("agent-02", EscalationOutcome.MISSED, 3.0),
    "south-2": ("agent-02", None, 0.0),
    "nobody-1": (None, None, 1.0),
}
"""Call ids, with agent, escalation outcome and urgency."""

_USERS = (
    User(
        user_id="rita",
        name="Rita",
        roles=frozenset({UserRole.REVIEWER}),
        teams=frozenset({"north"}),
    ),
    User(
        user_id="cora", name="Cora", roles=frozenset({UserRole.COACH}), teams=frozenset({"north"})
    ),
    User(
        user_id="sam",
        name="Sam",
        roles=frozenset({UserRole.SUPERVISOR}),
        teams=frozenset({"north"}),
        email="sam@example.org",
    ),
    User(user_id="agnes", name="Agnes", roles=frozenset({UserRole.AGENT}), agent_id="agent-01"),
    User(user_id="amos", name="Amos", roles=frozenset({UserRole.AGENT}), agent_id="agent-02"),
    User(user_id="ada", name="Ada", roles=frozenset({UserRole.ADMIN})),
    User(
        user_id="boss",
        name="Bo",
        roles=frozenset({UserRole.REVIEWER, UserRole.COACH, UserRole.SUPERVISOR}),
        all_teams=True,
    ),
)
_AGENTS = (
    Agent(agent_id="agent-01", name="Agnes", team="north"),
    Agent(agent_id="agent-02", name="Amos", team="south"),
    Agent(agent_id="agent-03", name="Anna", team="north"),
)


def invented_calls() -> Iterator[CallRecord]:
    """The calls of ``CALLS``, an hour apart; the text of north-2 holds markup."""
    for number, (call_id, (agent_id, outcome, urgency)) in enumerate(CALLS.items()):
        record = make_record(
            call_id,
            agent_id=agent_id,
            started_at=NOW + timedelta(hours=number),
            urgency=urgency,
            urgency_probability=0.97 if urgency == 3 else 0.02,
            escalated=outcome,
            needs_review=call_id == "north-2",
            call_type=CallType.EMERGENCY if urgency == 3 else CallType.BILLING,
            text=f"it is <PERSON_1> {MARKUP}" if call_id == "north-2" else "a pain in the chest",
            findings=None if urgency == 3 else (),
        )
        yield replace(record, warnings=())


@pytest.fixture(scope="session")
def _filled_database(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A database made once and copied for each test, and a token of each user."""
    path = tmp_path_factory.mktemp("site") / "qa-monitor.sqlite"
    tokens = {}
    policy = Policy.load()
    with open_store(f"sqlite:///{path}") as store:
        store.people.set_agents(_AGENTS)
        for user in _USERS:
            add_user(store.people, user, password=PASSWORD, now=NOW)
            secret, _ = make_token(store.people, user, name="tests", now=NOW, expires_at=None)
            tokens[user.user_id] = secret
        for record in invented_calls():
            alerts = raise_alerts(record, policy, now=NOW)
            store.save_record(record, alerts, now=NOW)
    return path, tokens


@dataclass
class Site:
    """A running server: ``address``, the ``monitor`` behind it, and ways to ask as somebody."""

    address: str
    monitor: Monitor
    tokens: dict[str, str] = field(repr=False)
    _open: list[httpx.Client] = field(default_factory=list)

    @property
    def store(self) -> Store:
        """The database that is served."""
        return self.monitor.store

    def begin_session(self, user_id: str) -> str:
        """The secret of a sign-in, without the time that a password takes."""
        people = self.store.people
        sessions = Sessions(people, idle=timedelta(hours=1), absolute=timedelta(hours=1))
        return sessions.begin(people.user(user_id), now=datetime.now(UTC))

    def client(self, user_id: str | None = None) -> httpx.Client:
        """A browser's stand-in, signed in as ``user_id``; it sends the token that forms carry."""
        client = httpx.Client(base_url=self.address, timeout=30)
        self._open.append(client)
        if user_id is not None:
            secret = self.begin_session(user_id)
            client.cookies.set("qa_session", secret, domain="127.0.0.1")
            session = self.store.people.session(hashlib.sha256(secret.encode()).hexdigest())
            assert session is not None
            client.headers["X-CSRF-Token"] = session.csrf_token
        return client

    def api(self, user_id: str) -> httpx.Client:
        """A program that comes with the token of ``user_id``."""
        headers = {"Authorization": f"Bearer {self.tokens[user_id]}"}
        client = httpx.Client(base_url=self.address, headers=headers, timeout=30)
        self._open.append(client)
        return client

    def sign_in(self, page: Page, user_id: str) -> None:
        """Have ``page`` signed in as ``user_id``, and on the first page of the day."""
        cookie = {"name": "qa_session", "value": self.begin_session(user_id), "url": self.address}
        page.context.add_cookies([cookie])  # type: ignore[list-item]
        page.goto(self.address)

    def sign_in_by_hand(self, page: Page, user_id: str) -> None:
        """The same by the form."""
        page.goto(f"{self.address}/sign-in")
        page.get_by_label("User name").fill(user_id)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/sign-in" not in url)

    def close(self) -> None:
        """Close the clients."""
        for client in self._open:
            client.close()


@pytest.fixture
def site(tmp_path: Path, _filled_database: tuple[Path, dict[str, str]]) -> Iterator[Site]:
    """A server of its own for each test."""
    database, tokens = _filled_database
    folder = tmp_path / "site"
    folder.mkdir()
    shutil.copy(database, folder / "qa-monitor.sqlite")
    with serving(Config.model_validate({"data": {"folder": folder}}), tokens) as site:
        yield site


class serving:  # noqa: N801 - used as a function
    """``with serving(config) as site``: the pages of a configuration, served on a free port."""

    def __init__(self, config: Config, tokens: dict[str, str] | None = None, **app: Any) -> None:
        self._config, self._tokens, self._app = config, tokens or {}, app

    def __enter__(self) -> Site:
        """Begin to serve."""
        import uvicorn

        from qa_monitor.web import create_app

        self._monitor = Monitor(self._config)
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        settings = uvicorn.Config(
            create_app(self._monitor, **self._app), access_log=False, log_level="error"
        )
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, daemon=True
        )
        self._thread.start()
        until = time.monotonic() + 20
        while not self._server.started and time.monotonic() < until:
            time.sleep(0.01)
        self._site = Site(
            address=f"http://127.0.0.1:{listening.getsockname()[1]}",
            monitor=self._monitor,
            tokens=self._tokens,
        )
        return self._site

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._site.close()
        self._server.should_exit = True
        self._thread.join(timeout=20)
        self._monitor.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium; skipped where there is none."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=SIZES, ids=list(SIZES))
def browser_page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page of 1280 and one of 400 pixels; a script error or outside request fails the test."""
    width, height = SIZES[request.param]
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(f"script error: {error}"))
    page.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith(("http://127.0.0.1:", "data:", "blob:", "about:"))
            else faults.append(f"asks {asked.url}")
        ),
    )
    page.on(
        "console",
        lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None,
    )
    yield page
    context.close()
    assert not faults


def assert_accessible(page: Page) -> None:
    """No serious or critical finding of axe, and nothing wider than the window."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    serious = [
        (each["id"], [node["target"] for node in each["nodes"]][:3])
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]
    assert not serious
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]  # type: ignore[index]
