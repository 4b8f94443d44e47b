"""Watching a folder: recordings are taken up as they are finished, until one is told to stop.

A ``WatchedFolder`` says what is finished and not known yet; ``watch`` has it scored and remembers
it. The folder is looked at again and again, which works on network shares too. What was dealt with
is remembered in the database by a keyed digest of its path, its size and its time, so a run that
was killed goes on where it was: what it had scored is found again by content, what not is scored.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qa_monitor.errors import MetadataError, QAMonitorError, RecordingError, StoreError, UsageError
from qa_monitor.intake import (
    AUDIO_SUFFIXES,
    Intake,
    IntakeRules,
    Refusal,
    read_call_records,
    take_in_one,
)
from qa_monitor.store import Arrival, KnownFile

if TYPE_CHECKING:
    from qa_monitor.pipeline import Outcome
    from qa_monitor.store import Store

__all__ = [
    "Finished",
    "SilentWatcher",
    "WatchObserver",
    "WatchSummary",
    "WatchedFolder",
    "check_folder",
    "watch",
]

PARTIAL_SUFFIXES = frozenset(
    ".part .partial .tmp .temp .filepart .crdownload .download .upload".split()
)
"""What programs write into before a file has its name, wherever in the name they put it."""

_GROUP = 8
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 300.0
_LONGEST_OPEN_S = 900.0
_LOOKING_SHARE = 0.2
_HEARTBEAT_S = 600.0
_ONCE_EVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A recording that nobody writes any more and that is not known as it is."""

    path: Path = field(repr=False)
    row: Mapping[str, str] = field(repr=False)
    digest: str
    file: KnownFile
    arrived_at: datetime
    was_waiting: bool


class WatchObserver(Protocol):
    """Whoever is told how it goes; nothing that it gets holds a file name."""

    def finished(self, outcome: Outcome, arrival: Arrival | None) -> None:
        """A recording is done with; ``arrival`` tells the times of one that was scored."""

    def trouble(self, error: QAMonitorError) -> None:
        """Something is wrong that may mend itself; it is tried again, and told once."""

    def alive(self, summary: WatchSummary) -> None:
        """Nothing special; called rarely."""


class SilentWatcher:
    """A ``WatchObserver`` that takes no notice."""

    def finished(self, outcome: Outcome, arrival: Arrival | None) -> None:
        """Nothing."""

    def trouble(self, error: QAMonitorError) -> None:
        """Nothing."""

    def alive(self, summary: WatchSummary) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSummary:
    """What came of watching: recordings by what became of them, and what waits to be finished."""

    scored: int
    present: int
    failed: int
    known: int
    waiting: int


@dataclass(slots=True)
class _Seen:
    """What is remembered of one path between two looks."""

    size: int
    modified_ns: int
    beside: tuple[int, int] | None
    unchanged_since: float
    arrived_at: datetime
    records_read: int
    known_by: str
    has_more: bool
    is_done: bool = False
    try_again_at: float = 0.0
    failures: int = 0


class WatchedFolder:
    """What ``folder`` and the folders in it hold.

    ``known`` are the files dealt with before, by digest; ``since`` is when anybody first watched,
    ``None`` for now. ``metadata`` are call records, read again when they change. A recording is
    finished when its size and time, and those of its sidecar, have not changed for ``stable_s``
    seconds and no process of this machine has it open for writing, as far as the system tells (and
    for 15 minutes at the longest). One without sidecar and row waits ``sidecar_wait_s`` for them.
    ``clock`` counts seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rules: IntakeRules,
        known: Mapping[str, KnownFile],
        since: datetime | None = None,
        metadata: Path | None = None,
        stable_s: float = 5.0,
        sidecar_wait_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._folder = folder.expanduser().absolute()
        self._rules, self._known = rules, known
        self._since = since or datetime.now(UTC)
        self._stable_s, self._sidecar_wait_s = stable_s, sidecar_wait_s
        self._records = _CallRecords(metadata)
        self._seen: dict[str, _Seen] = {}
        self._looked_at: datetime | None = None
        own = rules.own_folder
        self._own = str(own.resolve()) if own is not None else None
        self.unreadable = 0
        """Folders within that could not be read at the last look."""

    @property
    def known(self) -> int:
        """How many recordings are there and dealt with."""
        return sum(seen.is_done for seen in self._seen.values())

    @property
    def waiting(self) -> int:
        """How many are there and not, because they are not finished, or are to be tried again."""
        return sum(not seen.is_done for seen in self._seen.values())

    @property
    def is_pending(self) -> bool:
        """Whether something is there that was not tried yet."""
        return any(not seen.is_done and not seen.failures for seen in self._seen.values())

    def look(self) -> list[Finished]:
        """What is finished and not known, the oldest first.

        Raises ``StoreError`` when the folder cannot be read and ``MetadataError`` when the call
        records cannot; with the records as they were before the next look goes on.
        """
        now, clock = datetime.now(UTC), self._clock()
        files = self._scan()
        problem = self._records.refresh()
        names = Counter(Path(path).name for path in files) if self._records.has_any else None
        finished = []
        for path, (stat, beside) in files.items():
            seen = self._notice(path, stat, beside, names, now, clock)
            if not seen.is_done and self._is_finished(path, seen, clock):
                finished.append(self._finished(path, seen))
        for gone in self._seen.keys() - files.keys():
            del self._seen[gone]
        self._looked_at = now
        if problem is not None:
            raise problem
        return sorted(finished, key=lambda file: (file.arrived_at, file.file.modified_ns))

    def is_unchanged(self, finished: Finished) -> bool:
        """Whether the file is still as it was when it was found finished."""
        try:
            stat = finished.path.stat()
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (
            finished.file.size,
            finished.file.modified_ns,
        )

    def done(self, finished: Finished) -> None:
        """It was dealt with, and is not given again until it changes."""
        if (seen := self._seen.get(str(finished.path))) is not None:
            seen.is_done = True

    def put_off(self, finished: Finished) -> bool:
        """It could not be dealt with and is given again later; whether this is the first time."""
        seen = self._seen.get(str(finished.path))
        if seen is None:
            return True
        wait_s = min(_FIRST_WAIT_S * 2.0 ** min(seen.failures, 10), _LONGEST_WAIT_S)
        seen.try_again_at = self._clock() + wait_s
        seen.failures += 1
        return seen.failures == 1

    # --- looking ---------------------------------------------------------------------------------

    def _scan(self) -> dict[str, tuple[os.stat_result, os.stat_result | None]]:
        """Every recording, with its state and that of the JSON file beside it."""
        found: dict[str, tuple[os.stat_result, os.stat_result | None]] = {}
        self.unreadable = 0
        folders = [str(self._folder)]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(folder) as listing:
                    entries = [entry for entry in listing if not entry.name.startswith(".")]
            except OSError as error:
                if folder == str(self._folder):
                    problem = error.strerror or type(error).__name__
                    break
                self.unreadable += 1
                continue
            sidecars = {entry.name[:-5]: entry for entry in entries if entry.name.endswith(".json")}
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        if entry.path != self._own:
                            folders.append(entry.path)
                    elif _is_recording(entry.name) and entry.is_file():
                        sidecar = sidecars.get(os.path.splitext(entry.name)[0])  # noqa: PTH122
                        beside = None if sidecar is None else sidecar.stat()
                        found[entry.path] = entry.stat(), beside
        else:
            return found
        raise StoreError(
            f"the watched folder cannot be read ({problem}). It is tried again; check that it is "
            "there and that this account may read it."
        )

    def _notice(
        self,
        path: str,
        stat: os.stat_result,
        beside: os.stat_result | None,
        names: Counter[str] | None,
        now: datetime,
        clock: float,
    ) -> _Seen:
        """What is remembered of ``path``, brought up to date."""
        state = stat.st_size, stat.st_mtime_ns
        side = None if beside is None else (beside.st_size, beside.st_mtime_ns)
        seen = self._seen.get(path)
        if seen is not None and (seen.size, seen.modified_ns) == state and seen.beside == side:
            if seen.records_read == self._records.version:
                return seen
            row = self._records.row_of(path, names)
            known_by = self._digest_beside(side, row)
            seen.records_read, seen.has_more = self._records.version, bool(side or row)
            if known_by != seen.known_by:
                seen.known_by, seen.is_done, seen.failures = known_by, False, 0
                seen.unchanged_since, seen.try_again_at = clock, 0.0
            return seen
        row = self._records.row_of(path, names)
        is_same_file = seen is not None and (seen.size, seen.modified_ns) == state
        seen = _Seen(
            size=state[0],
            modified_ns=state[1],
            beside=side,
            unchanged_since=clock,
            arrived_at=seen.arrived_at
            if seen is not None and is_same_file
            else self._arrival(stat, now),
            records_read=self._records.version,
            known_by=self._digest_beside(side, row),
            has_more=bool(side or row),
        )
        before = self._known.get(self._digest(path))
        if before is not None:
            seen.is_done = (before.size, before.modified_ns, before.known_by) == (
                *state,
                seen.known_by,
            )
        self._seen[path] = seen
        return seen

    def _arrival(self, stat: os.stat_result, now: datetime) -> datetime:
        """When the file was finished, no earlier than the last look, which did not see it so.

        A file that is moved or copied here may bring its old time along.
        """
        modified_at = datetime.fromtimestamp(stat.st_mtime, UTC)
        return min(max(modified_at, self._looked_at or modified_at), now)

    def _is_finished(self, path: str, seen: _Seen, clock: float) -> bool:
        unchanged_s = clock - seen.unchanged_since
        if unchanged_s < self._stable_s or clock < seen.try_again_at:
            return False
        if not seen.has_more and unchanged_s < self._sidecar_wait_s:
            return False
        return unchanged_s > _LONGEST_OPEN_S or not _is_open_for_writing(path)

    def _finished(self, path: str, seen: _Seen) -> Finished:
        return Finished(
            path=Path(path),
            row=self._records.row_of(path, None),
            digest=self._digest(path),
            file=KnownFile(
                size=seen.size,
                modified_ns=seen.modified_ns,
                known_by=seen.known_by,
                is_failed=False,
            ),
            arrived_at=seen.arrived_at,
            was_waiting=seen.arrived_at < self._since,
        )

    # --- digests ---------------------------------------------------------------------------------

    def _digest(self, path: str) -> str:
        return self._keyed(os.fsencode(path))

    def _digest_beside(self, side: tuple[int, int] | None, row: Mapping[str, str]) -> str:
        if side is None and not row:
            return ""
        return self._keyed(repr((side, sorted(row.items()))).encode("utf-8", "surrogatepass"))

    def _keyed(self, content: bytes) -> str:
        key = b"watched " + self._rules.caller_secret
        return hmac.new(key, content, hashlib.sha256).hexdigest()[:32]


class _CallRecords:
    """Rows of call records by the file that they name, read again when they change."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._state: tuple[int, int] | None = None
        self._rows: dict[str, list[dict[str, str]]] = {}
        self._chosen: dict[str, dict[str, str]] = {}
        self.version = 0

    @property
    def has_any(self) -> bool:
        return bool(self._rows)

    def refresh(self) -> MetadataError | None:
        """Read the file if it has changed; what is wrong with it, once for each change."""
        if self._path is None:
            return None
        try:
            stat = self._path.stat()
        except OSError:
            # Told by reading it below, and again when it has come and gone.
            state = (-1, -1)
        else:
            state = stat.st_size, stat.st_mtime_ns
        if state == self._state:
            return None
        self._state = state
        try:
            rows = read_call_records(self._path)
        except MetadataError as error:
            return MetadataError(f"{error.message} Until then they are used as they were.")
        self._rows, self._chosen = {}, {}
        for row in rows:
            self._rows.setdefault(Path(row.get("file", "")).name, []).append(row)
        self.version += 1
        return None

    def row_of(self, path: str, names: Counter[str] | None) -> dict[str, str]:
        """The row that names ``path``; empty where none does, or where it is not clear.

        With ``names`` it is looked up anew, by how often each name is there; without, it is what
        it was then.
        """
        if names is None:
            return self._chosen.get(path, {})
        real = Path(path)
        for row in self._rows.get(real.name, ()):
            meant = Path(row["file"]).parts
            if names[real.name] == 1 or (len(meant) > 1 and real.parts[-len(meant) :] == meant):
                self._chosen[path] = row
                return row
        self._chosen.pop(path, None)
        return {}


def _is_recording(name: str) -> bool:
    """By its name; asked of every file at every look, so without ``Path``."""
    suffixes = [f".{part}" for part in name.lower().split(".")[1:]]
    return (
        bool(suffixes)
        and suffixes[-1] in AUDIO_SUFFIXES
        and PARTIAL_SUFFIXES.isdisjoint(suffixes)
        and not name.startswith("~")
    )


def _is_open_for_writing(path: str) -> bool:
    """Whether a process of this machine writes to the file; False where the system cannot tell.

    Linux grants a read lease on a file only while nobody has it open for writing (fcntl(2),
    "Leases"); network file systems and files of other accounts have none.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # Whoever opens it meanwhile breaks the lease; the signal that tells so must end nothing.
        fcntl.fcntl(handle, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


# Linux; the standard library does not name it.
_F_SETSIG = 10


# --- the loop ------------------------------------------------------------------------------------

Score = Callable[
    [Sequence[Intake], Sequence[Refusal], Callable[["Outcome"], None]], Sequence["Outcome"]
]
"""Scores recordings, keeps them, and calls back with each outcome as soon as it is kept."""


def watch(
    folder: WatchedFolder,
    score: Score,
    store: Store,
    rules: IntakeRules,
    *,
    observer: WatchObserver,
    stop: threading.Event,
    every_s: float = 2.0,
    once: bool = False,
    patience_s: float = 30.0,
) -> WatchSummary:
    """Take up what is finished in ``folder`` until ``stop`` is set; what came of it.

    ``once`` ends when everything that is there was tried, waiting ``patience_s`` at the longest for
    what is not finished. A stop is heeded between two calls. A recording that fails is told of once
    and tried again when it changes; a database or disk that fails is told of once and tried again
    until it works. Raises ``ModelError`` and ``ConfigError``, which do not mend themselves.
    """
    return _Watch(folder, score, store, rules, observer, stop).run(
        every_s=every_s, once=once, patience_s=patience_s
    )


class _StopAskedError(Exception):
    """Ends a group of calls after the one that is done."""


class _Watch:
    def __init__(
        self,
        folder: WatchedFolder,
        score: Score,
        store: Store,
        rules: IntakeRules,
        observer: WatchObserver,
        stop: threading.Event,
    ) -> None:
        self._folder, self._score, self._store, self._rules = folder, score, store, rules
        self._observer, self._stop = observer, stop
        self._counts: Counter[str] = Counter()
        self._position = 0
        self._told: dict[str, str] = {}
        self._failed_in_a_row = 0

    def run(self, *, every_s: float, once: bool, patience_s: float) -> WatchSummary:
        began = alive_at = time.monotonic()
        while not self._stop.is_set():
            looked = time.monotonic()
            ready = self._look()
            looking_s = time.monotonic() - looked
            if ready and self._take(ready[:_GROUP]) and (once or len(ready) > 1):
                # There may be more; who is behind does not rest.
                continue
            is_waiting = self._folder.is_pending and time.monotonic() - began < patience_s
            if once and not ready and not is_waiting:
                break
            if time.monotonic() - alive_at > _HEARTBEAT_S:
                alive_at = time.monotonic()
                self._observer.alive(self.summary)
            wanted_s = min(every_s, _ONCE_EVERY_S) if once else every_s
            self._stop.wait(max(wanted_s, looking_s / _LOOKING_SHARE, self._recovery_s))
        return self.summary

    @property
    def summary(self) -> WatchSummary:
        return WatchSummary(
            scored=self._counts["scored"],
            present=self._counts["present"] + self._counts["duplicate"],
            failed=self._counts["failed"],
            known=self._folder.known,
            waiting=self._folder.waiting,
        )

    @property
    def _recovery_s(self) -> float:
        if not self._failed_in_a_row:
            return 0.0
        return min(2.0 ** min(self._failed_in_a_row, 10), _LONGEST_WAIT_S)

    def _look(self) -> list[Finished]:
        try:
            ready = self._folder.look()
        except MetadataError as error:
            self._trouble("records", error)
            return []
        except StoreError as error:
            self._trouble("folder", error)
            self._failed_in_a_row += 1
            return []
        if "folder" in self._told:
            del self._told["folder"]
            self._failed_in_a_row = 0
        if (count := self._folder.unreadable) != 0:
            within = StoreError(
                f"{count} of the folders within the watched one cannot be read. Check that this "
                "account may read them; what they hold is not scored."
            )
            self._trouble("within", within)
        else:
            self._told.pop("within", None)
        return ready

    def _trouble(self, where: str, error: QAMonitorError) -> None:
        """Tell of it, unless it is what was told last."""
        if error.message != self._told.get(where):
            self._told[where] = error.message
            self._observer.trouble(error)

    def _take(self, ready: Sequence[Finished]) -> bool:
        """Have a group scored; whether that went well, whatever became of each.

        What became of each is noted before anybody else hears of it.
        """
        taken_at = datetime.now(UTC)
        by_position: dict[int, Finished] = {}
        intakes: list[Intake] = []
        refusals: list[Refusal] = []
        for finished in ready:
            self._position += 1
            taken = take_in_one(self._position, finished.path, finished.row, self._rules)
            if not self._folder.is_unchanged(finished):
                # Written to while it was read: it was not finished after all.
                self._position -= 1
                continue
            by_position[self._position] = finished
            if isinstance(taken, Intake):
                intakes.append(taken)
            else:
                refusals.append(taken)

        def finish(outcome: Outcome) -> None:
            self._finish(by_position[outcome.position or 0], outcome, taken_at)
            if self._stop.is_set():
                raise _StopAskedError

        try:
            self._score(intakes, refusals, finish)
        except _StopAskedError:
            return True
        except StoreError as error:
            for finished in by_position.values():
                self._folder.put_off(finished)
            self._trouble("store", error)
            self._failed_in_a_row += 1
            return False
        self._told.pop("store", None)
        self._failed_in_a_row = 0
        return True

    def _finish(self, finished: Finished, outcome: Outcome, taken_at: datetime) -> None:
        now = datetime.now(UTC)
        arrival = None
        if outcome.status == "scored":
            arrival = Arrival(
                call_id=outcome.call_id,
                arrived_at=finished.arrived_at,
                taken_at=taken_at,
                saved_at=now,
                was_waiting=finished.was_waiting,
            )
        is_first = True
        if outcome.status == "busy" or _may_mend(outcome.error):
            is_first = self._folder.put_off(finished)
        else:
            is_failed = outcome.status == "failed"
            file = KnownFile(
                size=finished.file.size,
                modified_ns=finished.file.modified_ns,
                known_by=finished.file.known_by,
                is_failed=is_failed,
            )
            self._store.arrivals.note(finished.digest, file, now=now, arrival=arrival)
            self._folder.done(finished)
        if is_first and outcome.status != "busy":
            self._counts[outcome.status] += 1
            self._observer.finished(outcome, arrival)


def _may_mend(error: QAMonitorError | None) -> bool:
    """Whether the same file may do later: the disk was full, or it could not be read."""
    return isinstance(error, StoreError) or type(error) is RecordingError


def check_folder(folder: Path) -> None:
    """Nothing; ``UsageError`` where ``folder`` is none, so that a slip of the pen is told."""
    if not folder.expanduser().is_dir():
        raise UsageError(
            "what is to be watched is no folder. Check its spelling, and that it is mounted."
        )
