"""Charts of the team's report, as inline SVG like those of ``charts``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from markupsafe import Markup

from qa_monitor.reports.charts import make_svg, place_label, place_mark, scale_place
from qa_monitor.reports.team import CriterionRow, DayCount
from qa_monitor.reports.wording import day

__all__ = ["criterion_chart", "volume_chart"]

_MOST_BARS = 62


def volume_chart(chart_id: str, days: Sequence[DayCount]) -> Markup:
    """A bar for each day's calls, or for each week's where the days are many."""
    bars = [(one.day, one.calls) for one in days]
    unit = "day"
    if len(bars) > _MOST_BARS:
        weeks: dict[date, int] = {}
        for when, calls in bars:
            monday = when - timedelta(days=when.weekday())
            weeks[monday] = weeks.get(monday, 0) + calls
        bars, unit = list(weeks.items()), "week"
    top, bottom, left, right = 12.0, 104.0, 6.0, 314.0
    most = max(1, *(calls for _, calls in bars))
    step = (right - left) / len(bars)
    parts = [
        Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            left, right, bottom, bottom
        )
    ]
    last = -100.0
    for number, (when, calls) in enumerate(bars):
        x, height = left + number * step, calls / most * (bottom - top)
        parts.append(
            Markup(
                '<rect class="own" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
            ).format(x + 0.1 * step, bottom - height, 0.8 * step, height)
        )
        middle = x + step / 2
        if middle - last >= 52 and 20 <= middle <= 300:
            last = middle
            parts.append(place_label(middle, bottom + 17, f"{when.day} {when:%b}"))
    first, final = bars[0][0], bars[-1][0]
    peak_day, peak = max(bars, key=lambda bar: bar[1])
    said = (
        f"{sum(calls for _, calls in bars)} calls from {day(first)} to {day(final)}; the most in "
        f"a {unit}, {peak}, on {day(peak_day)}"
    )
    return make_svg(chart_id, 126, f"Calls each {unit}", said, parts)


def criterion_chart(chart_id: str, row: CriterionRow) -> Markup:
    """The mean and its interval now and in the period before, and how far agents lie apart."""
    parts: list[Markup] = []
    marks: list[Markup] = []
    said: list[str] = []
    y = 18
    for mean, kind, name in ((row.mean, "own", "Now"), (row.before, "team", "Before")):
        if mean is None:
            continue
        marks.append(Markup('<text x="0" y="{}">{}</text>').format(y + 4, name))
        if mean.low is not None and mean.high is not None:
            marks.append(_bar(f"{kind} interval", mean.low, mean.high, y))
        marks.append(place_mark(kind, scale_place(mean.mean), y))
        said.append(f"{name}: {mean.mean:.1f} in {mean.n} calls")
        y += 24
    if row.spread is not None:
        spread = row.spread
        marks.append(Markup('<text x="0" y="{}">Agents</text>').format(y + 4))
        marks.append(_bar("team interval", spread.lowest, spread.highest, y))
        marks.append(
            Markup('<rect class="quarters" x="{:.1f}" y="{}" width="{:.1f}" height="12"/>').format(
                scale_place(spread.lower_quarter),
                y - 6,
                scale_place(spread.upper_quarter) - scale_place(spread.lower_quarter),
            )
        )
        marks.append(
            Markup('<line class="middle" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(
                scale_place(spread.middle), y - 6, y + 6
            )
        )
        said.append(
            f"{spread.agents} agents' means from {spread.lowest:.1f} to {spread.highest:.1f}, half "
            f"of them from {spread.lower_quarter:.1f} to {spread.upper_quarter:.1f}"
        )
        y += 24
    foot = y - 10
    for tick in range(1, 6):
        parts.append(
            Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="4" y2="{1}"/>').format(
                scale_place(tick), foot
            )
        )
        parts.append(place_label(scale_place(tick), foot + 14, str(tick)))
    return make_svg(
        chart_id, foot + 20, "On the scale of 1 to 5", "; ".join(said), [*parts, *marks]
    )


def _bar(kind: str, low: float, high: float, y: int) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(
        kind, scale_place(low), scale_place(high), y, y
    )
