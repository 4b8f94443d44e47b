"""A running server with something of every kind of each agent, and a way back to how it was."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from web_fixtures import CALLS, PASSWORD, Site, serving

from qa_monitor.accounts import Sessions, add_user, make_token
from qa_monitor.audio import write_audio
from qa_monitor.calls import Criterion, DecodedAudio
from qa_monitor.config import Config
from qa_monitor.monitor import Monitor
from qa_monitor.store import Scope, User, UserRole
from qa_monitor.store.coaching import GoalKind

__all__ = ["AGENT_OF", "EVERYBODY", "OF", "House", "begin", "house", "is_api"]

EVERYBODY = "rita cora sam agnes amos uma ada boss"
"""``uma`` is agent agent-01 and reviewer and coach of team north; the others: ``web_fixtures``."""


def is_api(path: str) -> bool:
    return path.startswith("/api/")


# --- the house -----------------------------------------------------------------------------------


@dataclass
class House:
    """A running server with something of every kind of each agent, and a way back to how it was."""

    site: Site
    file: Path
    kept: Path
    objects: dict[str, dict[str, dict[str, str]]]
    clients: dict[str, httpx.Client] = field(default_factory=dict)
    programs: dict[str, httpx.Client] = field(default_factory=dict)

    def asks(self, user: str, path: str) -> httpx.Client:
        """Whoever asks for ``path`` as ``user``: a browser that signed in, or a program."""
        return (self.programs if is_api(path) else self.clients)[user]

    def restore(self) -> None:
        """Make the database as it was."""
        source, target = sqlite3.connect(self.kept), sqlite3.connect(self.file)
        with source, target:
            source.backup(target)
        source.close()
        target.close()
        shutil.copytree(self.kept.parent / "files", self.file.parent, dirs_exist_ok=True)

    def digest(self) -> str:
        """All that is kept but the access log and when somebody was last seen."""
        connection = sqlite3.connect(self.file)
        found = hashlib.sha256()
        names = [
            row[0]
            for row in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            )
            if not row[0].startswith(("call_search", "sqlite_", "access_log"))
        ]
        for name in names:
            columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]
            kept = [c for c in columns if c not in {"seen_at", "used_at"}]
            chosen = ", ".join(f'"{column}"' for column in kept)
            rows = sorted(map(repr, connection.execute(f'SELECT {chosen} FROM "{name}"')))
            found.update(repr((name, rows)).encode())
        connection.close()
        folder = self.file.parent
        files = sorted(
            (str(path.relative_to(folder)), path.stat().st_size)
            for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(self.file.name)
        )
        found.update(repr(files).encode())
        return found.hexdigest()

    def refusals(self) -> int:
        """How many entries of the log say that something was refused."""
        connection = sqlite3.connect(self.file)
        query = "SELECT count(*) FROM access_log WHERE outcome = 'refused'"
        count: int = connection.execute(query).fetchone()[0]
        connection.close()
        return count


UMA = User(
    user_id="uma",
    name="Uma",
    roles=frozenset({UserRole.AGENT, UserRole.REVIEWER, UserRole.COACH}),
    agent_id="agent-01",
    teams=frozenset({"north"}),
)
GONE = User(
    user_id="gwen",
    name="Gwen",
    roles=frozenset(UserRole),
    all_teams=True,
    agent_id="agent-01",
)
OF = {"own": "north-1", "team": "north-3", "other": "south-1", "nobody": "nobody-1"}
AGENT_OF = {"own": "agent-01", "team": "agent-03", "other": "agent-02"}


def fill(monitor: Monitor) -> dict[str, dict[str, dict[str, str]]]:
    """Something of every kind of each agent; its ids, by kind and object."""
    store, now = monitor.store, datetime.now(UTC)
    for each in (UMA, GONE):
        add_user(store.people, each, password=PASSWORD, now=now)
    store.people.change_user(replace(GONE, is_active=False, subject="gwen"))
    rng = np.random.default_rng(3)
    sound = DecodedAudio(rng.integers(-3000, 3000, (2, 16_000), dtype=np.int16))
    for call_id, folder in itertools.product(CALLS, ("audio", "originals")):
        write_audio(monitor.config.data.folder / folder / f"{call_id}.flac", sound)
    monitor.refresh_queue()
    tasks = {}
    objects: dict[str, dict[str, dict[str, str]]] = {
        "call": {key: {"call_id": call_id} for key, call_id in OF.items()},
        "agent": {key: {"agent_id": agent_id} for key, agent_id in AGENT_OF.items()},
        "team": {"own": {"team": "north"}, "other": {"team": "south"}},
        "user": {"own": {"user_id": "rita"}},
        "comment": {},
        "goal": {},
        "dispute": {},
        "task": {},
        "alert": {},
    }
    runs = {call_id: str(store.latest_run(call_id)) for call_id in CALLS}
    for ids in objects["call"].values():
        ids["run_id"] = runs[ids["call_id"]]
    for task in store.queueing.tasks(Scope(all_calls=True)):
        tasks[task.call_id] = str(task.task_id)
    for stored in store.alerts():
        for key, call_id in OF.items():
            if stored.alert.call_id == call_id:
                objects["alert"][key] = {"alert_id": stored.alert.alert_id}
    for key, call_id in OF.items():
        if call_id in tasks:
            objects["task"][key] = {"task_id": tasks[call_id]}
        made = store.reviews.comment(call_id, "a remark", user_id="rita", role="reviewer", now=now)
        objects["comment"][key] = {"call_id": call_id, "comment_id": str(made.comment_id)}
    for key, agent_id in AGENT_OF.items():
        goal = monitor.set_goal(
            agent_id,
            kind=GoalKind.CRITERION,
            code="empathy",
            wording="Say what you hear.",
            target=4,
            by="boss",
        )
        objects["goal"][key] = {"agent_id": agent_id, "goal_id": str(goal.goal_id)}
        store.coaching.note_shown(agent_id, (OF[key],), now=now)
        dispute = store.coaching.raise_dispute(
            OF[key],
            Criterion.EMPATHY,
            "it was kind",
            agent_id=agent_id,
            by="agnes",
            now=now,
            within=timedelta(days=14),
        )
        objects["dispute"][key] = {"dispute_id": str(dispute.dispute_id)}
    view = store.browsing.save_view("rita", "mine", "agent=agent-01", now=now)
    (token,) = store.people.tokens("rita")
    hold = store.keeping.add_hold(reason="case 7", by="ada", now=now, agent_id="agent-99")
    objects["view"] = {"own": {"view_id": str(view.view_id)}}
    objects["token"] = {"own": {"token_id": str(token.token_id)}}
    objects["hold"] = {"own": {"hold_id": str(hold.hold_id)}}
    objects["ticket"] = {
        key: {**ids, "ticket": "never-given-out-0000000000"} for key, ids in objects["call"].items()
    }
    objects["report"] = {key: {**ids, "form": "csv"} for key, ids in objects["agent"].items()}
    objects["agent_call"] = {
        key: {**ids, "call_id": OF[key]} for key, ids in objects["agent"].items()
    }
    for kind, keys in objects.items():
        keys["missing"] = {
            name: {
                "call_id": "north-9",
                "agent_id": "agent-9",
                "team": "west",
                "user_id": "zoe",
            }.get(name, value if name in {"ticket", "form", "run_id"} else "999999")
            for name, value in keys["own"].items()
        }
        if kind == "alert":
            keys["missing"] = {"alert_id": "alert-0000000000000000"}
    # Two ids that are both there, and do not belong together.
    objects["comment"]["mixed"] = {**objects["comment"]["own"], "call_id": OF["team"]}
    objects["own_goal"] = dict(objects["goal"])
    objects["goal"]["mixed"] = {**objects["goal"]["own"], "agent_id": AGENT_OF["team"]}
    objects["agent_call"]["mixed"] = {"agent_id": AGENT_OF["own"], "call_id": OF["other"]}
    objects["agent_call"]["mixed2"] = {"agent_id": AGENT_OF["team"], "call_id": OF["own"]}
    return objects


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory,
    _filled_database: tuple[Path, dict[str, str]],
) -> Iterator[House]:
    database, tokens = _filled_database
    folder = tmp_path_factory.mktemp("access")
    file = folder / "qa-monitor.sqlite"
    shutil.copy(database, file)
    config = Config.model_validate(
        {
            "data": {"folder": folder},
            "web": {"allow_unredacted": True},
            "audio": {"keep_original": True},
            # The invented calls are old; none is drawn to be read blind.
            "review": {"days_back": 3650, "random_share": 0.0},
        }
    )
    tokens = dict(tokens)
    with serving(config, tokens) as site:
        objects = fill(site.monitor)
        # Drawn before anything is compared: the first listener has it drawn.
        for call_id in CALLS:
            site.monitor.waveform(call_id)
        people, now = site.store.people, datetime.now(UTC)
        secret, _ = make_token(people, people.user("uma"), name="t", now=now, expires_at=None)
        tokens["uma"] = site.tokens["uma"] = secret
        house = House(site, file, tmp_path_factory.mktemp("kept") / "kept.sqlite", objects)
        sessions = Sessions(people, idle=timedelta(minutes=30), absolute=timedelta(hours=12))
        for user_id in EVERYBODY.split():
            house.clients[user_id] = begin(house, sessions, user_id)
            house.programs[user_id] = site.api(user_id)
        for name in ("audio", "originals", "waveforms"):
            shutil.copytree(folder / name, house.kept.parent / "files" / name)
        source, target = sqlite3.connect(file), sqlite3.connect(house.kept)
        with source, target:
            source.backup(target)
        source.close()
        target.close()
        yield house
        for client in house.clients.values():
            client.close()


def begin(house: House, sessions: Sessions, user_id: str) -> httpx.Client:
    """A browser that signed in; the password is left out, its hashing takes long."""
    people = house.site.store.people
    secret = sessions.begin(people.user(user_id), now=datetime.now(UTC))
    session = people.session(hashlib.sha256(secret.encode()).hexdigest())
    assert session is not None
    return httpx.Client(
        base_url=house.site.address,
        cookies={"qa_session": secret},
        headers={"X-CSRF-Token": session.csrf_token},
        timeout=60,
    )
