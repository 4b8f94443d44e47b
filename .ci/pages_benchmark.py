"""Prints how quickly lists of calls come from a database of many: of the store, and as pages.

`python .ci/pages_benchmark.py --calls 100000`; some ten minutes on two cores, a few of them to fill
the database, which takes 50 kB a call. `--database FILE` keeps it, and uses it again when it is
there; `--part` measures one part. Run it on an otherwise idle machine: it measures wall time; "own"
is the processor time of this process, which others on the machine move less.
"""

from __future__ import annotations

import argparse
import socket
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import uvicorn

from qa_monitor.calls import CallRecord, CallType, Criterion, Direction, EscalationOutcome
from qa_monitor.config import Config
from qa_monitor.demo import write_demo_data
from qa_monitor.monitor import Monitor
from qa_monitor.store import (
    Agent,
    AlertFilter,
    CallFilter,
    ReviewState,
    Scope,
    ScoreRange,
    Sort,
    Store,
    User,
    UserRole,
)

_BASE = 500
_AGENTS = 240
_TEAMS = 12
_ROUNDS = 10
_NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
_PAGE_LIMIT_MS = 200
_PASSWORD = "of-this-benchmark-only"


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--database", type=Path)
    parser.add_argument("--part", choices=["store", "pages", "changes"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = options.database or Path(folder) / "qa-monitor.sqlite"
        with _monitor(file) as monitor:
            if not monitor.store.sources():
                _fill(monitor, file, options.calls)
            if options.part in {None, "store"}:
                _print_store(monitor.store)
            if options.part in {None, "pages"}:
                _print_pages(monitor)
            if options.part in {None, "changes"}:
                _print_changes(monitor.store)


def _monitor(file: Path) -> Monitor:
    settings = {"folder": str(file.parent), "database": f"sqlite:///{file}"}
    return Monitor(Config.model_validate({"data": settings}))


# --- many calls ----------------------------------------------------------------------------------


def _fill(monitor: Monitor, file: Path, calls: int) -> None:
    """Invented calls, then copies of them with other ids, times, agents and totals."""
    started = time.perf_counter()
    write_demo_data(monitor, now=_NOW, calls=_BASE, recordings=0)
    monitor.store.people.set_agents(
        [
            Agent(agent_id=f"agent-{n:03d}", name=f"Agent {n}", team=f"team-{n % _TEAMS:02d}")
            for n in range(_AGENTS)
        ]
    )
    monitor.store.close()
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    for copy in range(1, max(1, calls // _BASE)):
        connection.execute("BEGIN IMMEDIATE")
        for statement in _copying(connection, copy):
            connection.execute(statement)
        connection.execute("COMMIT")
    connection.close()
    print(f"filled in {time.perf_counter() - started:.0f} s, {file.stat().st_size / 1e9:.1f} GB")


def _copying(connection: sqlite3.Connection, copy: int) -> Iterator[str]:
    """Statements that copy what belongs to the first calls once more."""
    agent = f"printf('agent-%03d', (call_number * 7 + {copy}) % {_AGENTS})"
    # Spread over a year and more, and over the day.
    shift = f"'-{copy % 365} days', '-{copy * 37 % 480} minutes'"
    moved = "strftime('%Y-%m-%d %H:%M:%f000', {}, " + shift + ")"
    changed = {
        "calls": {
            "call_id": f"call_id || '-{copy}'",
            "sha256": f"sha256 || '-{copy}'",
            "agent_id": agent.replace("call_number", "latest_run_id"),
            "started_at": moved.format("started_at"),
            "latest_run_id": f"latest_run_id + {copy * _BASE}",
        },
        "runs": {
            "run_id": f"run_id + {copy * _BASE}",
            "call_id": f"call_id || '-{copy}'",
            "card_id": f"card_id + {copy * _BASE}",
        },
        "transcripts": {"run_id": f"run_id + {copy * _BASE}"},
        "scorecards": {
            "run_id": f"run_id + {copy * _BASE}",
            "card_id": f"card_id + {copy * _BASE}",
        },
        "scores": {"card_id": f"card_id + {copy * _BASE}"},
        "alerts": {
            "alert_id": f"alert_id || '-{copy}'",
            "call_id": f"call_id || '-{copy}'",
            "run_id": f"run_id + {copy * _BASE}",
        },
        "call_index": {
            "call_number": f"call_number + {copy * _BASE}",
            "call_id": f"call_id || '-{copy}'",
            "agent_id": agent,
            "started_at": moved.format("started_at"),
            "sorted_at": moved.format("sorted_at"),
            "total": f"min(100.0, total + {copy % 10} / 10.0)",
            "reviewed_at": f"CASE WHEN (call_number + {copy}) % 9 = 0 THEN sorted_at END",
        },
        "call_words": {"call_number": f"call_number + {copy * _BASE}"},
    }
    keys = {"calls": "latest_run_id", "alerts": "run_id", "scores": "card_id"}
    for table, values in changed.items():
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        chosen = ", ".join(values.get(name, name) for name in names)
        key = keys.get(table, names[0])
        yield (
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {chosen} FROM {table} "
            f"WHERE {key} <= {_BASE}"
        )


# --- the store -----------------------------------------------------------------------------------


def _filters() -> Mapping[str, CallFilter]:
    needs = frozenset({ReviewState.NEEDS_REVIEW})
    return {
        "no filter": CallFilter(),
        "one agent": CallFilter(agents=frozenset({"agent-017"})),
        "two teams": CallFilter(teams=frozenset({"team-01", "team-07"})),
        "calls of no team": CallFilter(teams=frozenset({None})),
        "a queue": CallFilter(queues=frozenset({"nurse-line"})),
        "a call type": CallFilter(call_types=frozenset({CallType.EMERGENCY})),
        "urgency 3 or unknown": CallFilter(urgencies=frozenset({3, None})),
        "missed escalations": CallFilter(outcomes=frozenset({EscalationOutcome.MISSED})),
        "empathy 1 to 2": CallFilter(
            scores=(ScoreRange(criterion=Criterion.EMPATHY, at_least=1, at_most=2),)
        ),
        "total 20 to 21": CallFilter(total_at_least=20, total_at_most=21),
        "nothing fits (total over 100)": CallFilter(total_at_least=101),
        "needs review": CallFilter(review=needs),
        "reviewed": CallFilter(review=frozenset({ReviewState.REVIEWED})),
        "open alert": CallFilter(alert=AlertFilter.OPEN),
        "no alert": CallFilter(alert=AlertFilter.NONE),
        "last week": CallFilter(since=_NOW - timedelta(days=7)),
        "outbound, over 10 minutes": CallFilter(
            directions=frozenset({Direction.OUTBOUND}), duration_at_least_s=600
        ),
        "much at once": CallFilter(
            teams=frozenset({"team-01", "team-02", "team-03"}),
            call_types=frozenset({CallType.SYMPTOMS, CallType.EMERGENCY}),
            urgencies=frozenset({2, 3}),
            review=needs | {ReviewState.ABSTAINED},
            alert=AlertFilter.ANY,
            since=_NOW - timedelta(days=200),
        ),
        "word in all calls: you": CallFilter(search="you"),
        "two words: appointment tuesday": CallFilter(search="appointment tuesday"),
        "rare word: wheezing": CallFilter(search="wheezing"),
        "word of none: zyzzyva": CallFilter(search="zyzzyva"),
        "phrase: chest pain": CallFilter(search='"chest pain"'),
        "phrase of words in all: of the": CallFilter(search='"of the"'),
        "phrase of none: the of": CallFilter(search='"the of"'),
        "beginning: con*": CallFilter(search="con*"),
        "redacted: PERSON": CallFilter(search="PERSON"),
        "word, team and review": CallFilter(
            search="pain", teams=frozenset({"team-05"}), review=needs
        ),
    }


def _print_store(store: Store) -> None:
    whole, team = Scope(all_calls=True), Scope(teams=frozenset({"team-03", "team-04"}))
    _head("the store, ms", "calls")
    everything: list[_Took] = []
    for scope_name, scope in (("", whole), (", two teams reached", team)):
        for name, chosen in _filters().items():
            times: list[_Took] = []
            for sort in Sort:
                times += _times(partial(store.browsing.page, chosen, scope, sort=sort))
            page = store.browsing.page(chosen, scope)
            more = "" if page.is_total_exact else "+"
            _row(name + scope_name, times, f"{page.total}{more}")
            everything += times
    for name, scope in (("facets", whole), ("facets, two teams reached", team)):
        _row(name, _times(partial(store.browsing.facets, scope)))
    for sort in Sort:
        page = store.browsing.page(scope=whole, sort=sort, limit=10_000)
        for _ in range(4):
            page = store.browsing.page(
                scope=whole, sort=sort, limit=10_000, cursor=page.next_cursor
            )
        far = page.next_cursor
        _row(
            f"page 1,001, {sort}",
            _times(partial(store.browsing.page, scope=whole, sort=sort, cursor=far)),
            "",
        )
    _row("all of it", everything)


@dataclass(frozen=True, slots=True)
class _Took:
    """How long something took, in milliseconds: by the clock, and of this process's own work."""

    wall: float
    own: float


def _times(work: Callable[[], object], rounds: int = _ROUNDS) -> list[_Took]:
    """How long ``work`` takes, once for each round."""
    found = []
    for _ in range(rounds):
        started, worked = time.perf_counter(), time.process_time()
        work()
        wall, own = time.perf_counter() - started, time.process_time() - worked
        found.append(_Took(wall * 1000, own * 1000))
    return found


def _head(title: str, note: str = "") -> None:
    columns = "".join(f"{name:>9}" for name in ("p50", "p95", "worst", "own p95"))
    print(f"\n{title:<42}{columns}{note:>9}")


def _row(name: str, times: list[_Took], note: str = "") -> None:
    walls = [took.wall for took in times]
    p95 = _p95(walls)
    own = _p95([took.own for took in times])
    over = "  over the limit" if p95 > _PAGE_LIMIT_MS else ""
    print(
        f"{name:<42}{statistics.median(walls):>9.1f}{p95:>9.1f}{max(walls):>9.1f}{own:>9.1f}"
        f"{note:>9}{over}",
        flush=True,
    )


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


# --- pages and the API ---------------------------------------------------------------------------

_ADDRESSES = (
    "/calls",
    "/calls?agent=agent-017",
    "/calls?team=team-01&team=team-07&sort=most_urgent",
    "/calls?urgency=3&urgency=unknown&sort=lowest_total",
    "/calls?outcome=missed&review=needs_review&sort=oldest",
    "/calls?alert=none&sort=longest",
    "/calls?total_from=99.9&empathy_to=1",
    "/calls?q=you",
    "/calls?q=%22of+the%22&sort=longest",
    "/calls?q=wheezing",
    "/calls?q=con*&sort=lowest_total",
    "/api/v1/calls",
    "/api/v1/calls?q=pain&limit=200",
)


def _print_pages(monitor: Monitor) -> None:
    """Whole answers over HTTP, signed in, of a server in this process."""
    from qa_monitor.accounts import add_user, make_token

    user = User(user_id="bench", name="Bench", roles=frozenset({UserRole.REVIEWER}), all_teams=True)
    if user.user_id not in {known.user_id for known in monitor.store.people.users()}:
        add_user(monitor.store.people, user, password=_PASSWORD, now=_NOW)
    token, _ = make_token(
        monitor.store.people, user, name="benchmark", now=datetime.now(UTC), expires_at=None
    )
    _head("pages and the API over HTTP, ms", "kB")
    everything: list[_Took] = []
    with _serving(monitor) as client:
        answer = client.post("/sign-in", data={"user_id": user.user_id, "password": _PASSWORD})
        assert answer.status_code == 303, "the benchmark cannot sign in"
        client.headers["Authorization"] = f"Bearer {token}"
        for address in _ADDRESSES:
            answer = client.get(address)
            assert answer.status_code == 200, f"{address} answers {answer.status_code}"
            times = _times(partial(client.get, address))
            _row(address, times, f"{len(answer.content) / 1000:.0f}")
            everything += times
        file = _times(lambda: client.get("/calls.csv"), rounds=3)
        _row("/calls.csv of 10,000 calls", file)
    _row("all pages", everything)


@contextmanager
def _serving(monitor: Monitor) -> Iterator[httpx.Client]:
    from qa_monitor.web import create_app

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    settings = uvicorn.Config(create_app(monitor), access_log=False, log_level="error")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with httpx.Client(
        base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60
    ) as client:
        yield client
    server.should_exit = True
    thread.join()


# --- changes -------------------------------------------------------------------------------------


def _print_changes(store: Store) -> None:
    """What keeping, listing anew and deleting one call take, of as many."""
    record = next(store.records(agent_id="agent-017"))
    _head("changes, ms")

    def again(number: int) -> CallRecord:
        call_id = f"bench-{number}"
        return replace(
            record,
            recording=replace(record.recording, call_id=call_id, sha256=call_id),
            dialogue=replace(record.dialogue, call_id=call_id),
            scorecard=replace(record.scorecard, call_id=call_id),
        )

    made = [again(number) for number in range(_ROUNDS)]
    records = iter(made)
    _row("a record kept", _times(lambda: store.save_record(next(records), (), now=_NOW)))
    records = iter(made)
    _row(
        "the same scored again", _times(lambda: store.save_record(next(records), (), now=_NOW)), ""
    )
    ids = iter([one.call_id for one in made])
    _row("a call deleted", _times(lambda: store.delete_call(next(ids), scrub=False)))
    _row("deleted words scrubbed", _times(store.browsing.scrub, rounds=2))


if __name__ == "__main__":
    main()
