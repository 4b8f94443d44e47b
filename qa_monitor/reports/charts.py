"""Charts as inline SVG: no script, colours from the page's style, a text alternative in each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from markupsafe import Markup

from qa_monitor.reports.figures import HIGHEST, LOWEST, Mean
from qa_monitor.reports.values import Week

__all__ = [
    "MOST_WEEKS",
    "make_svg",
    "place_label",
    "place_mark",
    "scale_chart",
    "scale_place",
    "trend_chart",
]

MOST_WEEKS = 26
"""A trend shows the latest half year; older weeks stay in the table beside it."""

_WIDTH = 320
_DATE_WIDTH = 44.0
_COUNT_WIDTH = 26.0


def scale_chart(chart_id: str, own: Mean, team: Mean | None, *, own_name: str = "Agent") -> Markup:
    """The agent's mean and interval on the scale of 1 to 5, and the team's below it.

    The agent is a disc on a bar, the team a diamond on a thin line, so that colour is not needed to
    tell them apart. ``chart_id`` makes the ids in it unique in its page.
    """
    rows = [(own, "own", own_name, 18)]
    if team is not None:
        rows.append((team, "team", "Team", 42))
    foot = rows[-1][3] + 14
    parts = [
        Markup(
            '<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="4" y2="{1}"/>'
            '<text x="{0:.1f}" y="{2}" text-anchor="middle">{3}</text>'
        ).format(scale_place(tick), foot, foot + 14, tick)
        for tick in range(1, 6)
    ]
    for mean, kind, name, y in rows:
        parts.append(Markup('<text x="0" y="{}">{}</text>').format(y + 4, name))
        if mean.low is not None and mean.high is not None:
            parts.append(
                Markup(
                    '<line class="{} interval" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
                ).format(kind, scale_place(mean.low), scale_place(mean.high), y, y)
            )
        parts.append(place_mark(kind, scale_place(mean.mean), y))
    said = "; ".join(f"{name}: {_in_words(mean)}" for mean, _, name, _ in rows)
    return make_svg(chart_id, foot + 20, "Mean on the scale of 1 to 5", said, parts)


def trend_chart(chart_id: str, weeks: Sequence[Week]) -> Markup:
    """The weekly means over time with their intervals, and under each its number of calls."""
    weeks = weeks[-MOST_WEEKS:]
    left, right, top, bottom = 38.0, 298.0, 10.0, 112.0
    first = weeks[0].monday
    days = max(1, (weeks[-1].monday - first).days)

    def across(monday: date) -> float:
        return left + (monday - first).days / days * (right - left)

    def down(points: float) -> float:
        return bottom - (points - LOWEST) / (HIGHEST - LOWEST) * (bottom - top)

    parts = [
        Markup(
            '<line class="grid" x1="20" x2="314" y1="{0:.1f}" y2="{0:.1f}"/>'
            '<text x="8" y="{1:.1f}" text-anchor="middle">{2}</text>'
        ).format(down(tick), down(tick) + 4, tick)
        for tick in range(1, 6)
    ]
    line = " ".join(f"{across(week.monday):.1f},{down(week.mean.mean):.1f}" for week in weeks)
    parts.append(Markup('<polyline class="own trend" points="{}"/>').format(line))
    last_date = last_count = -_WIDTH * 1.0
    for week in weeks:
        x, mean = across(week.monday), week.mean
        if mean.low is not None and mean.high is not None:
            parts.append(
                Markup(
                    '<line class="own interval" x1="{0:.1f}" x2="{0:.1f}" '
                    'y1="{1:.1f}" y2="{2:.1f}"/>'
                ).format(x, down(mean.low), down(mean.high))
            )
        parts.append(place_mark("own" if mean.n > 1 else "own single", x, down(mean.mean)))
        if x - last_date >= _DATE_WIDTH:
            last_date = x
            parts.append(place_label(x, bottom + 20, f"{week.monday.day} {week.monday:%b}"))
        if x - last_count >= _COUNT_WIDTH:
            last_count = x
            parts.append(place_label(x, bottom + 36, f"n={mean.n}"))
    said = "; ".join(
        f"week of {week.monday.day} {week.monday:%B %Y}: {_in_words(week.mean)}" for week in weeks
    )
    return make_svg(chart_id, 154, "Weekly means", said, parts)


def scale_place(points: float) -> float:
    """Where ``points`` lie on the scale, in units of the drawing."""
    left, right = 58.0, 308.0
    return left + (points - LOWEST) / (HIGHEST - LOWEST) * (right - left)


def place_mark(kind: str, x: float, y: float) -> Markup:
    """A disc for the agent, hollow for a single call, and a diamond for the team."""
    if kind == "team":
        return Markup('<path class="team dot" d="M{:.1f} {}l6 6l-6 6l-6 -6z"/>').format(x, y - 6)
    return Markup('<circle class="{} dot" cx="{:.1f}" cy="{:.1f}" r="5"/>').format(kind, x, y)


def place_label(x: float, y: float, text: str) -> Markup:
    """``text`` with its middle at ``x``."""
    return Markup('<text x="{:.1f}" y="{:.0f}" text-anchor="middle">{}</text>').format(x, y, text)


def make_svg(chart_id: str, height: int, title: str, said: str, parts: Sequence[Markup]) -> Markup:
    """A drawing of 320 units by ``height``; ``said`` is what it tells those who do not see it."""
    return Markup(
        '<svg class="chart" viewBox="0 0 {width} {height}" role="img" '
        'aria-labelledby="{id}-title {id}-desc"><title id="{id}-title">{title}</title>'
        '<desc id="{id}-desc">{said}.</desc>{parts}</svg>'
    ).format(
        width=_WIDTH,
        height=height,
        id=chart_id,
        title=title,
        said=said,
        parts=Markup("").join(parts),
    )


def _in_words(mean: Mean) -> str:
    calls = "1 call" if mean.n == 1 else f"{mean.n} calls"
    if mean.low is None or mean.high is None:
        return f"{mean.mean:.1f} in {calls}"
    return f"{mean.mean:.1f}, 95 % interval {mean.low:.1f} to {mean.high:.1f}, {calls}"
