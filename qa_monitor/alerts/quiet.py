"""Quiet hours: when a channel is not told, and of what it is told all the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from qa_monitor.calls import Severity

if TYPE_CHECKING:
    from qa_monitor.store import Delivery

__all__ = ["Quiet", "QuietHours"]

_HOURS = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})(?: (\S+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``begin`` to ``end`` of each day by the clocks of ``zone``, over midnight if need be."""

    begin: time
    end: time
    zone: tzinfo

    @classmethod
    def parse(cls, text: str, *, zone: str) -> QuietHours:
        """``text``, as "22:00-07:00 America/Chicago", in ``zone`` where it names none.

        Raises ``ValueError`` for anything else.
        """
        match = _HOURS.fullmatch(text)
        if match is None:
            raise ValueError("not as 22:00-07:00")
        begin_h, begin_min, end_h, end_min = (int(part) for part in match.groups()[:4])
        return cls(time(begin_h, begin_min), time(end_h, end_min), ZoneInfo(match[5] or zone))

    def end_after(self, now: datetime) -> datetime | None:
        """When the quiet hours that hold at ``now`` end; ``None`` where none do."""
        local = now.astimezone(self.zone)
        clock = local.time().replace(fold=0)
        if self.begin < self.end:
            is_quiet = self.begin <= clock < self.end
        else:
            is_quiet = clock >= self.begin or clock < self.end
        if not is_quiet:
            return None
        day = local.date() if clock < self.end else local.date() + timedelta(days=1)
        # A clock that is set back shows an hour twice, and the end may have been there already.
        ends = (datetime.combine(day, self.end.replace(fold=fold), self.zone) for fold in (0, 1))
        later = [end for end in (end.astimezone(UTC) for end in ends) if end > now]
        return later[0] if later else now.astimezone(UTC) + timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Quiet hours by the name of a channel, or of its kind: ``email`` is every e-mail address.

    Alerts of ``lets_pass`` and more urgent ones go out all the same; ``None``: none do.
    """

    hours: Mapping[str, QuietHours] = field(default_factory=dict)
    lets_pass: Severity | None = Severity.CRITICAL

    def until(self, delivery: Delivery, now: datetime) -> datetime | None:
        """Until when ``delivery`` has to wait; ``None`` where it need not."""
        severity = delivery.alert.severity
        if self.lets_pass is not None and severity.rank <= self.lets_pass.rank:
            return None
        kind, _, target = delivery.channel.partition(":")
        for name in (delivery.channel, target, kind):
            if name in self.hours:
                return self.hours[name].end_after(now)
        return None
