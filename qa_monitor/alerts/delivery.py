"""Handing over what is queued, at least once and with a stable id.

``deliver_pending`` does it once; a ``Courier`` does it again and again in the background. Of all
processes on one database one hands over at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from qa_monitor.alerts.channels import DigestingChannel, refused
from qa_monitor.alerts.quiet import Quiet
from qa_monitor.errors import DeliveryError, QAMonitorError, StoreError

if TYPE_CHECKING:
    from qa_monitor.alerts.channels import Channel
    from qa_monitor.store import Delivery, Store

__all__ = ["Courier", "DeliveryReport", "deliver_pending"]

_BATCH = 100
_GIVE_UP_AFTER = 3
# No call has such an id.
_LEASE = "alerts:delivery"
_LEASE_S = 120.0
_HEARTBEAT_S = 20.0
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """What became of what was queued.

    ``delivered`` were taken; ``problems`` say what was not, and why; ``waiting`` are still queued
    for these channels, the problems among them, and what waits for the end of quiet hours.
    """

    delivered: int
    problems: tuple[DeliveryError, ...]
    waiting: int


def deliver_pending(
    store: Store,
    channels: Sequence[Channel],
    *,
    now: datetime,
    retry_now: bool = False,
    quiet: Quiet | None = None,
    wait_s: float = 30.0,
) -> DeliveryReport:
    """Hand to each channel what is queued for it and due at ``now``, the most urgent first.

    A failure is noted, to be retried later (``Alerting.failed`` says when), and never ends the run;
    a channel that fails three times in a row is left alone for this time. ``retry_now`` does not
    wait for the time of a retry. What ``quiet`` holds back goes out when its hours end, several
    alerts in one message where the channel can. While another process hands over, this one waits
    for ``wait_s`` seconds, then leaves it to that one. Raises ``StoreError`` when the database
    fails.
    """
    names = [channel.name for channel in channels]
    delivered, problems = 0, list[DeliveryError]()
    due_at = store.alerting.next_due(names)
    if due_at is not None and (retry_now or due_at <= now):
        with _turn(store, wait_s) as goes_on:
            run = _Run(store, now, retry_now, quiet or Quiet(), goes_on)
            for channel in channels:
                run.serve(channel)
        delivered, problems = run.delivered, run.problems
    return DeliveryReport(
        delivered=delivered, problems=tuple(problems), waiting=store.alerting.waiting(names)
    )


@contextmanager
def _turn(store: Store, wait_s: float) -> Iterator[Callable[[], bool]]:
    """Tells, before each hand-over, whether it is our turn, and keeps it ours."""
    from qa_monitor.store.workers import is_dead, new_worker

    worker = new_worker()
    give_up_at = time.monotonic() + wait_s
    while not store.claim(_LEASE, worker=worker, now=datetime.now(UTC), lease_s=_LEASE_S):
        holder = store.holder(_LEASE)
        if holder is not None and is_dead(holder):
            store.release(_LEASE, worker=holder)
        elif time.monotonic() >= give_up_at:
            yield lambda: False
            return
        else:
            time.sleep(_LOOK_S)
    beaten_at = time.monotonic()

    def goes_on() -> bool:
        nonlocal beaten_at
        if time.monotonic() - beaten_at < _HEARTBEAT_S:
            return True
        beaten_at = time.monotonic()
        return store.heartbeat(_LEASE, worker=worker, now=datetime.now(UTC))

    try:
        yield goes_on
    finally:
        store.release(_LEASE, worker=worker)


class _Run:
    """One round over the channels."""

    def __init__(
        self,
        store: Store,
        now: datetime,
        retry_now: bool,
        quiet: Quiet,
        goes_on: Callable[[], bool],
    ) -> None:
        self._store, self._began_at, self._retry_now = store, now, retry_now
        self._quiet, self._goes_on = quiet, goes_on
        self._clock = time.monotonic()
        self.delivered = 0
        self.problems: list[DeliveryError] = []

    @property
    def _now(self) -> datetime:
        """The time by the clock of whoever asked; a slow receiver takes some of it."""
        return self._began_at + timedelta(seconds=time.monotonic() - self._clock)

    def serve(self, channel: Channel) -> None:
        """Hand over until nothing is left, or the channel has failed too often."""
        tried: set[int] = set()
        failed_in_a_row = 0
        while self._goes_on():
            due = self._store.alerting.pending(
                channel.name, now=self._began_at, limit=_BATCH, retry_now=self._retry_now
            )
            fresh = [delivery for delivery in due if delivery.delivery_id not in tried]
            if not fresh:
                return
            tried.update(delivery.delivery_id for delivery in fresh)
            for parcel in self._parcels(channel, self._not_held(fresh)):
                if not self._goes_on():
                    return
                failed_in_a_row = 0 if self._hand_over(channel, parcel) else failed_in_a_row + 1
                if failed_in_a_row == _GIVE_UP_AFTER:
                    return

    def _not_held(self, fresh: Sequence[Delivery]) -> list[Delivery]:
        """What need not wait for the end of quiet hours; the rest is noted as waiting."""
        goes, held = [], dict[datetime, list[int]]()
        for delivery in fresh:
            until = self._quiet.until(delivery, self._began_at)
            if until is None:
                goes.append(delivery)
            else:
                held.setdefault(until, []).append(delivery.delivery_id)
        for until, delivery_ids in held.items():
            self._store.alerting.hold(delivery_ids, until=until)
        return goes

    @staticmethod
    def _parcels(channel: Channel, fresh: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
        """What is handed over at once: what waited together goes together."""
        waited = [delivery for delivery in fresh if delivery.is_held]
        if len(waited) < 2 or not isinstance(channel, DigestingChannel):
            waited = []
        for delivery in fresh:
            if delivery not in waited:
                yield [delivery]
            elif delivery is waited[0]:
                yield waited

    def _hand_over(self, channel: Channel, parcel: Sequence[Delivery]) -> bool:
        problem = _send(channel, parcel)
        for delivery in parcel:
            if problem is None:
                self._store.alerting.delivered(delivery.delivery_id, now=self._now)
                self.delivered += 1
            else:
                kind = problem.kind or type(problem).__name__
                self._store.alerting.failed(
                    delivery.delivery_id, error_kind=kind, now=self._began_at
                )
        if problem is not None:
            self.problems.append(problem)
        return problem is None


def _send(channel: Channel, parcel: Sequence[Delivery]) -> DeliveryError | None:
    try:
        if len(parcel) > 1 and isinstance(channel, DigestingChannel):
            channel.send_digest(parcel)
        else:
            channel.send(parcel[0])
    except DeliveryError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever a channel does, the others are served
        return refused(parcel[0], channel.name, type(error).__name__, type(error).__name__)
    return None


class Courier:
    """Hands over in the background what is due, reminders too, until it is stopped.

    ``deliver`` is called every ``every_s`` seconds, and at once when ``wake`` says that there is
    something; it is called from the courier's own thread, one call at a time. ``report`` gets what
    was not taken, and a database that failed, each kind once until it works again. The program can
    end while a receiver keeps the courier waiting: what is queued stays queued.
    """

    def __init__(
        self,
        deliver: Callable[[], DeliveryReport],
        *,
        every_s: float = 5.0,
        report: Callable[[QAMonitorError], None] = lambda _: None,
    ) -> None:
        self._deliver, self._every_s, self._report = deliver, every_s, report
        self._woken = threading.Event()
        self._stopping = False
        self._told: set[str] = set()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; nothing more when it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Look at once for what is due."""
        self._woken.set()

    def stop(self, timeout_s: float = 15.0) -> bool:
        """Hand over what is due now, then end; False when that takes longer than ``timeout_s``."""
        if self._thread is None:
            return True
        self._stopping = True
        self._woken.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            is_last = self._stopping
            self._woken.clear()
            self._once()
            if is_last:
                return
            self._woken.wait(0 if self._stopping else self._every_s)

    def _once(self) -> None:
        problems: tuple[QAMonitorError, ...]
        try:
            problems = self._deliver().problems
        except QAMonitorError as error:
            problems = (error,)
        except Exception as error:  # noqa: BLE001 - alerts go on whatever happens
            kind = type(error).__name__
            problems = (
                StoreError(
                    f"alerts could not be handed over ({kind}). It is tried again.", kind=kind
                ),
            )
        # Of a receiver that is down people are told once, not every few seconds.
        for problem in problems:
            key = f"{type(problem).__name__} {problem.kind}"
            if key not in self._told:
                self._told.add(key)
                self._report(problem)
        if not problems:
            self._told.clear()
