"""Handing over what is queued, at least once and with a stable id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from qa_monitor.alerts.channels import refused
from qa_monitor.errors import DeliveryError

if TYPE_CHECKING:
    from qa_monitor.alerts.channels import Channel
    from qa_monitor.store import Delivery, Store

__all__ = ["DeliveryReport", "deliver_pending"]

_BATCH = 100
_GIVE_UP_AFTER = 3
_AT_ONCE = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """What became of what was queued.

    ``delivered`` were taken; ``problems`` say what was not, and why; ``waiting`` are still queued
    for these channels, the problems among them.
    """

    delivered: int
    problems: tuple[DeliveryError, ...]
    waiting: int


def deliver_pending(
    store: Store, channels: Sequence[Channel], *, now: datetime, retry_now: bool = False
) -> DeliveryReport:
    """Hand to each channel what is queued for it and due at ``now``, the most urgent first.

    A failure is noted, to be retried later (``Store.mark_failed`` says when), and never ends the
    run; a channel that fails three times in a row is left alone for this time. ``retry_now`` does
    not wait for the time of a retry. Raises ``StoreError`` when the database fails.
    """
    delivered = 0
    problems: list[DeliveryError] = []
    for channel in channels:
        tried: set[int] = set()
        failed_in_a_row = 0
        while failed_in_a_row < _GIVE_UP_AFTER:
            due = store.pending_deliveries(
                channel.name, now=_AT_ONCE if retry_now else now, limit=_BATCH
            )
            fresh = [delivery for delivery in due if delivery.delivery_id not in tried]
            if not fresh:
                break
            for delivery in fresh:
                tried.add(delivery.delivery_id)
                problem = _send(channel, delivery)
                if problem is None:
                    store.mark_delivered(delivery.delivery_id, now=now)
                    delivered += 1
                    failed_in_a_row = 0
                    continue
                kind = problem.kind or type(problem).__name__
                store.mark_failed(delivery.delivery_id, error_kind=kind, now=now)
                problems.append(problem)
                failed_in_a_row += 1
                if failed_in_a_row == _GIVE_UP_AFTER:
                    break
    return DeliveryReport(
        delivered=delivered,
        problems=tuple(problems),
        waiting=store.waiting_deliveries(channel.name for channel in channels),
    )


def _send(channel: Channel, delivery: Delivery) -> DeliveryError | None:
    try:
        channel.send(delivery)
    except DeliveryError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever a channel does, the others are served
        return refused(delivery, channel.name, type(error).__name__, type(error).__name__)
    return None
