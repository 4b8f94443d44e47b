"""Deleting calls, keeping for as long as is set and no longer, and what a legal hold forbids.

A call is in the database and in files: its sound, reports that quote it, exports that hold it. The
database goes first, in one transaction, so that from then on nobody sees the call; the files go
after. Whatever stops this in between leaves a deletion that is not finished, and the next one takes
it up again. What was sent or copied out of the data folder, backups among it, is out of reach.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from qa_monitor.errors import NotFoundError, QAMonitorError, StoreError, UsageError
from qa_monitor.intake import caller_key, recording_key
from qa_monitor.reports import report_file_name
from qa_monitor.store import Access

if TYPE_CHECKING:
    from qa_monitor.store import Deletion, Store

__all__ = [
    "OUT_OF_REACH",
    "DailyRetention",
    "Erasure",
    "Keeper",
    "KeepingTimes",
    "QueueTimes",
    "Retained",
]

OUT_OF_REACH = (
    "What was sent, printed, exported elsewhere or backed up cannot be called back from here."
)
_CALL_FOLDERS = ("audio", "originals", "waveforms")
_REPORTS, _EXPORTS = "reports", "exports"
_CALL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_WORD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]*")
_LINE_FORMATS = frozenset({".jsonl", ".ndjson"})


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTimes:
    """How long one queue's calls are kept, in days; 0: for good, ``None``: as all others."""

    call_days: int | None = None
    audio_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingTimes:
    """How long things are kept, in days; 0: for good.

    ``session_idle`` and ``session_absolute`` are when a sign-in is over, and can go.
    """

    call_days: int = 0
    audio_days: int = 0
    failure_days: int = 0
    access_log_days: int = 0
    queues: Mapping[str, QueueTimes] = field(default_factory=dict)
    session_idle: timedelta = timedelta(minutes=30)
    session_absolute: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What became, or would become, of one call that was to be deleted.

    ``rows`` counts what the database holds of it, ``files`` those of the data folder by kind
    (``audio``, ``reports``, ...). ``holds`` are the numbers of the legal holds that keep it.
    ``was_deleted`` tells that it had been deleted before; ``error`` why it was not deleted.
    """

    call_id: str
    rows: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)
    holds: tuple[int, ...] = ()
    was_deleted: bool = False
    error: QAMonitorError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """What retention deleted, or would delete: calls, and numbers of all else.

    ``held`` are calls that were due and stay because of a legal hold, whole or their sound;
    ``finished`` counts earlier deletions whose files went only now; ``errors`` is what could not
    be deleted.
    """

    calls: tuple[str, ...]
    held: tuple[str, ...]
    recordings: int
    failures: int
    log_entries: int
    finished: int
    errors: tuple[QAMonitorError, ...] = ()

    @property
    def is_worth_noting(self) -> bool:
        """Whether anything went, stayed because of a hold, or could not go."""
        return bool(
            self.calls
            or self.held
            or self.recordings
            or self.failures
            or self.log_entries
            or self.finished
            or self.errors
        )


class Keeper:
    """Deletes and keeps, in ``store`` and the data ``folder``.

    ``secret`` gives the installation's secret (see ``intake.load_caller_secret``).
    """

    def __init__(
        self, store: Store, folder: Path, *, secret: Callable[[], bytes], times: KeepingTimes
    ) -> None:
        self._store = store
        self._folder = folder
        self._secret = secret
        self._times = times

    # --- what is meant ---------------------------------------------------------------------------

    def caller_key(self, number: str) -> str:
        """What stands for a caller's number here; ``UsageError`` for no number of one caller."""
        key = caller_key(number, self._secret())
        if key is None:
            raise UsageError(
                "that is no number of one caller: give seven digits or more, as in the call "
                "records. Withheld numbers and extensions belong to many callers."
            )
        return key

    def chosen(
        self,
        calls: Sequence[str] = (),
        *,
        agent_id: str | None = None,
        caller_number: str | None = None,
    ) -> tuple[str, ...]:
        """The ids meant: those named, or all of an agent, of a caller, or of both.

        Raises ``UsageError`` when calls and one of the others are given, or nothing, and
        ``NotFoundError`` when an agent or caller has no calls.
        """
        if bool(calls) == (agent_id is not None or caller_number is not None):
            raise UsageError("name calls, or choose them by agent or caller; one of the two.")
        if calls:
            return tuple(dict.fromkeys(calls))
        key = None if caller_number is None else self.caller_key(caller_number)
        found = self._store.keeping.calls_of(agent_id=agent_id, caller_key=key)
        if not found:
            raise NotFoundError("no stored call is of that agent or caller.")
        return found

    def was_deleted(self, sha256: str) -> bool:
        """Whether a call with the recording of that SHA-256 was deleted."""
        return self._store.keeping.was_deleted(recording_key(sha256, self._secret()))

    # --- deleting --------------------------------------------------------------------------------

    def plan(self, calls: Sequence[str]) -> tuple[Erasure, ...]:
        """What ``delete`` would do with each of these calls; nothing is changed."""
        keeping = self._store.keeping
        held = keeping.held(calls)
        sound = self._sound()
        reports = self._naming(_REPORTS, calls)
        exports = self._naming(_EXPORTS, calls)
        planned: list[Erasure] = []
        for call_id in calls:
            rows = keeping.contents(call_id)
            was_deleted = not rows and bool(keeping.deletions(call_id=call_id, limit=1))
            if not rows and not was_deleted:
                planned.append(Erasure(call_id=_shown(call_id), error=_not_stored(call_id)))
                continue
            files = {
                "audio": len(sound.get(call_id, ())),
                "reports": sum(call_id in named for named in reports.values()),
                "exports": sum(call_id in named for named in exports.values()),
            }
            planned.append(
                Erasure(
                    call_id=call_id,
                    rows=rows,
                    files={kind: count for kind, count in files.items() if count},
                    holds=held.get(call_id, ()),
                    was_deleted=was_deleted,
                )
            )
        return tuple(planned)

    def delete(
        self,
        calls: Sequence[str],
        *,
        by: str,
        now: datetime,
        via: str = "command",
        reason: str | None = None,
    ) -> tuple[Erasure, ...]:
        """What became of each call; one that cannot be deleted is told of and the rest goes on.

        ``by`` is who deletes, ``via`` how (``command``, ``session``, ``token``), both for the
        access log; ``reason`` holds nothing of the call. Deleting again does what is still to do.
        Reports that quote a call are removed whole and can be written again; of exports, the
        call's lines go. Raises ``StoreError`` when the database fails; what was begun then is
        taken up by the next deletion.
        """
        done: list[Erasure] = []
        begun: list[Deletion] = []
        for call_id in calls:
            rows = self._store.keeping.contents(call_id)
            try:
                deletion = self._store.keeping.delete_call(
                    call_id,
                    recording_key=lambda sha256: recording_key(sha256, self._secret()),
                    by=by,
                    now=now,
                    via=via,
                    reason=reason,
                )
            except NotFoundError:
                done.append(Erasure(call_id=_shown(call_id), error=_not_stored(call_id)))
                continue
            except UsageError as error:
                done.append(Erasure(call_id=call_id, rows=rows, error=error))
                continue
            begun.append(deletion)
            done.append(Erasure(call_id=call_id, rows=rows, was_deleted=not rows))
        files, errors = self._finish(begun, now=now)
        return tuple(
            Erasure(
                call_id=one.call_id,
                rows=one.rows,
                files=files.get(one.call_id, {}),
                was_deleted=one.was_deleted,
                error=one.error or errors.get(one.call_id),
            )
            for one in done
        )

    def finish(self, *, now: datetime) -> int:
        """How many earlier deletions were finished now; raises the error of one that cannot be."""
        begun = self._store.keeping.unfinished_deletions()
        _, errors = self._finish(begun, now=now)
        for error in errors.values():
            raise error
        return len(begun)

    def _finish(
        self, begun: Collection[Deletion], *, now: datetime
    ) -> tuple[dict[str, dict[str, int]], dict[str, StoreError]]:
        """Remove what the database holds no longer from the search index and from the files.

        How many files, by call and kind, and the errors of those that stay: a deletion is finished
        when all of its files are gone.
        """
        if not begun:
            return {}, {}
        self._store.browsing.scrub()
        call_ids = {deletion.call_id for deletion in begun}
        agents = {deletion.agent_id for deletion in begun if deletion.agent_id is not None}
        sound: dict[str, list[Path]] = {}
        reports: dict[Path, set[str]] = {}
        exports: dict[Path, set[str]] = {}
        wrong_everywhere = None
        try:
            # Once for all of them: it reads every report and export.
            sound = self._sound()
            reports = self._remove_reports(call_ids, agents)
            exports = self._strip_exports(call_ids)
        except OSError as error:
            wrong_everywhere = error.strerror or type(error).__name__
        files: dict[str, dict[str, int]] = {}
        errors: dict[str, StoreError] = {}
        for deletion in begun:
            call_id, wrong = deletion.call_id, wrong_everywhere
            counts = {
                "audio": len(sound.get(call_id, ())),
                "reports": sum(call_id in named for named in reports.values()),
                "exports": sum(call_id in named for named in exports.values()),
            }
            try:
                for path in sound.get(call_id, ()):
                    path.unlink(missing_ok=True)
            except OSError as error:
                wrong = error.strerror or type(error).__name__
            if wrong is None:
                files[call_id] = {kind: count for kind, count in counts.items() if count}
                self._store.keeping.finish_deletion(deletion.deletion_id, now=now)
            else:
                errors[call_id] = StoreError(
                    f"call {call_id} is gone from the database, but a file of it in the data "
                    f"folder cannot be removed ({wrong}). Mend the permissions and delete the "
                    "call once more.",
                    call_id=call_id,
                )
        return files, errors

    # --- retention -------------------------------------------------------------------------------

    def retain(
        self,
        *,
        now: datetime,
        by: str = "retention",
        via: str = "command",
        dry_run: bool = False,
    ) -> Retained:
        """What was older than it is to be kept, and is gone now; ``dry_run`` only tells.

        For a daily task: it can be stopped at any point and does the rest the next time. What a
        legal hold is on stays. Raises ``StoreError`` when the database fails.
        """
        keeping, times = self._store.keeping, self._times
        due = keeping.due_calls(
            before=_before(now, times.call_days),
            of_queues={
                queue: _before(now, times.call_days if own.call_days is None else own.call_days)
                for queue, own in times.queues.items()
            },
        )
        held = {call.call_id for call in due if call.is_held}
        going = tuple(call.call_id for call in due if not call.is_held)
        errors: list[QAMonitorError] = []
        if dry_run:
            finished = len(keeping.unfinished_deletions())
        else:
            finished = 0
            try:
                finished = self.finish(now=now)
            except StoreError as error:
                errors.append(error)
            gone = self.delete(going, by=by, now=now, via=via, reason="retention")
            errors += [one.error for one in gone if one.error is not None]
            going = tuple(one.call_id for one in gone if one.error is None)
        recordings, muted = self._retain_sound(now, leaving=set(going), dry_run=dry_run)
        failures = self._retain_failures(now, dry_run=dry_run)
        log_entries = self._retain_log(now, dry_run=dry_run)
        if not dry_run:
            self._store.people.end_old_sessions(
                seen_before=now - times.session_idle, began_before=now - times.session_absolute
            )
        retained = Retained(
            calls=going,
            held=tuple(sorted(held | muted)),
            recordings=recordings,
            failures=failures,
            log_entries=log_entries,
            finished=finished,
            errors=tuple(errors),
        )
        if not dry_run and retained.is_worth_noting:
            self._note(retained, now=now, by=by, via=via)
        return retained

    def _retain_sound(
        self, now: datetime, *, leaving: set[str], dry_run: bool
    ) -> tuple[int, set[str]]:
        """How many recordings are too old, and which of the old ones a hold keeps.

        A recording of no call, as a crash leaves it, is as old as its file.
        """
        times = self._times
        due = self._store.keeping.due_calls(
            before=_before(now, times.audio_days),
            of_queues={
                queue: _before(now, times.audio_days if own.audio_days is None else own.audio_days)
                for queue, own in times.queues.items()
            },
        )
        by_call = self._sound()
        there = {call.call_id: call.is_held for call in due if call.call_id in by_call}
        going = {call_id for call_id, is_held in there.items() if not is_held}
        oldest = _before(now, times.audio_days)
        if oldest is not None:
            strays = by_call.keys() - self._store.keeping.stored(by_call.keys())
            going |= {
                call_id
                for call_id in strays
                if all(path.stat().st_mtime < oldest.timestamp() for path in by_call[call_id])
            }
        going -= leaving
        problem = None
        if not dry_run:
            try:
                for path in (path for call_id in going for path in by_call[call_id]):
                    path.unlink(missing_ok=True)
            except OSError as error:
                problem = error.strerror or type(error).__name__
        if problem:
            raise StoreError(
                f"a recording in the data folder is too old and cannot be removed ({problem}). "
                "Mend the permissions; the rest follows with the next run."
            )
        return len(going), {call_id for call_id, is_held in there.items() if is_held}

    def _retain_failures(self, now: datetime, *, dry_run: bool) -> int:
        before = _before(now, self._times.failure_days)
        if before is None:
            return 0
        keeping = self._store.keeping
        old = keeping.old_failures if dry_run else keeping.forget_failures
        return old(before=before)

    def _retain_log(self, now: datetime, *, dry_run: bool) -> int:
        before = _before(now, self._times.access_log_days)
        if before is None:
            return 0
        log = self._store.access_log
        return log.count(before=before) if dry_run else log.forget(before=before)

    def _note(self, retained: Retained, *, now: datetime, by: str, via: str) -> None:
        told = (
            f"calls {len(retained.calls)}, recordings {retained.recordings}, "
            f"failures {retained.failures}, log entries {retained.log_entries}, "
            f"held {len(retained.held)}, failed {len(retained.errors)}"
        )
        entry = Access(at=now, user_id=by, via=via, action="retention.run", reason=told)
        self._store.access_log.note([entry])

    # --- files -----------------------------------------------------------------------------------

    def _sound(self) -> dict[str, list[Path]]:
        """The recordings that are kept, and what was drawn from them, by call."""
        by_call: dict[str, list[Path]] = {}
        for folder in _CALL_FOLDERS:
            for path in _files_in(self._folder / folder):
                by_call.setdefault(_call_of(path), []).append(path)
        return by_call

    def _naming(self, folder: str, call_ids: Collection[str]) -> dict[Path, set[str]]:
        """The files of ``folder`` that name any of the calls, and which."""
        wanted = set(call_ids)
        named = {
            path: wanted & _ids_in(path.read_bytes()) for path in _files_in(self._folder / folder)
        }
        return {path: found for path, found in named.items() if found}

    def _remove_reports(
        self, call_ids: Collection[str], agents: Collection[str]
    ) -> dict[Path, set[str]]:
        """Remove the reports that name a call or are of an agent, and their index; which named."""
        naming = self._naming(_REPORTS, call_ids)
        folder = self._folder / _REPORTS
        for path in (*naming, *(folder / report_file_name(agent_id) for agent_id in agents)):
            path.unlink(missing_ok=True)
        # It links to what is gone.
        (folder / "index.html").unlink(missing_ok=True)
        return naming

    def _strip_exports(self, call_ids: Collection[str]) -> dict[Path, set[str]]:
        """Take calls out of exports of a call a line, and remove others; which named which."""
        naming = self._naming(_EXPORTS, call_ids)
        for path, named in naming.items():
            if path.suffix.lower() not in _LINE_FORMATS:
                path.unlink(missing_ok=True)
                continue
            lines = path.read_bytes().splitlines(keepends=True)
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.writelines(line for line in lines if not named & _ids_in(line))
            draft.replace(path)
        return naming


class DailyRetention:
    """Retention for as long as something is served: when it starts, and once a day from then on.

    It runs in a thread of its own; ``report`` is told what could not be done, which is tried again
    the next day.
    """

    def __init__(
        self,
        keeper: Keeper,
        *,
        report: Callable[[QAMonitorError], None],
        every: timedelta = timedelta(days=1),
    ) -> None:
        self._keeper = keeper
        self._report = report
        self._every = every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, when what is at work is done."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            errors: Sequence[QAMonitorError]
            try:
                errors = self._keeper.retain(now=datetime.now(UTC), via="none").errors
            except QAMonitorError as error:
                errors = (error,)
            for problem in errors:
                self._report(problem)
            if self._stopped.wait(self._every.total_seconds()):
                return


def _before(now: datetime, days: int) -> datetime | None:
    return now - timedelta(days=days) if days else None


def _files_in(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _call_of(path: Path) -> str:
    """The call whose file this is; drafts begin with a dot, which no call id does."""
    return path.name.removeprefix(".").removesuffix(path.suffix)


def _ids_in(content: bytes) -> set[str]:
    """Whatever in ``content`` may be the id of a call; a sentence may end with one."""
    words = {word.decode() for word in _WORD.findall(content)}
    return words | {word.rstrip(".") for word in words}


def _shown(call_id: str) -> str:
    """An id as a message may repeat it; what is no id may be a file name, or anything."""
    return call_id if _CALL_ID.fullmatch(call_id) else "of that name"


def _not_stored(call_id: str) -> NotFoundError:
    shown = _shown(call_id)
    return NotFoundError(
        f"nothing is stored of a call {shown}, nor was one deleted. Check the id.", call_id=shown
    )
