"""Kappas as inline SVG, each with its interval and a text that says the same."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from qa_monitor.reports.charts import make_svg, place_label, place_mark
from qa_monitor.reviewing import Interval, MonthFigure

__all__ = ["kappa_chart", "months_chart"]

_LOWEST, _HIGHEST = -0.2, 1.0
"""What is drawn; kappas below lie at the edge, and are told in words."""
_TICKS = (0.0, 0.5, 1.0)
_LABEL_WIDTH = 44.0
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def kappa_chart(chart_id: str, machine: Interval, reviewers: Interval) -> Markup:
    """Kappa of machine and reviewers as a disc, of reviewers among themselves as a diamond."""
    rows = [(machine, "own", "Machine", 18)]
    if reviewers.value is not None:
        rows.append((reviewers, "team", "Reviewers", 42))
    foot = rows[-1][3] + 14
    parts = [
        Markup(
            '<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="4" y2="{1}"/>'
            '<text x="{0:.1f}" y="{2}" text-anchor="middle">{3:g}</text>'
        ).format(_across(tick), foot, foot + 14, tick)
        for tick in _TICKS
    ]
    for figure, kind, name, y in rows:
        parts.append(Markup('<text x="0" y="{}">{}</text>').format(y + 4, name))
        if figure.low is not None and figure.high is not None:
            parts.append(
                Markup(
                    '<line class="{} interval" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
                ).format(kind, _across(figure.low), _across(figure.high), y, y)
            )
        if figure.value is not None:
            parts.append(place_mark(kind, _across(figure.value), y))
    said = "; ".join(f"{name}: {_in_words(figure)}" for figure, _, name, _ in rows)
    return make_svg(chart_id, foot + 20, "Kappa", said, parts)


def months_chart(chart_id: str, months: Sequence[MonthFigure]) -> Markup:
    """Kappa month by month, a gap where a month has too few calls."""
    left, right, top, bottom = 44.0, 300.0, 10.0, 112.0

    def down(kappa: float) -> float:
        shown = min(max(kappa, _LOWEST), _HIGHEST)
        return bottom - (shown - _LOWEST) / (_HIGHEST - _LOWEST) * (bottom - top)

    numbers = [int(m.month[:4]) * 12 + int(m.month[5:]) for m in months]
    span = max(1, numbers[-1] - numbers[0]) if numbers else 1
    parts = [
        Markup(
            '<line class="grid" x1="24" x2="316" y1="{0:.1f}" y2="{0:.1f}"/>'
            '<text x="10" y="{1:.1f}" text-anchor="middle">{2:g}</text>'
        ).format(down(tick), down(tick) + 4, tick)
        for tick in _TICKS
    ]
    last_label = -_LABEL_WIDTH
    for month, number in zip(months, numbers, strict=True):
        x = left + (number - numbers[0]) / span * (right - left)
        if month.kappa.value is not None:
            if month.kappa.low is not None and month.kappa.high is not None:
                parts.append(
                    Markup(
                        '<line class="own interval" x1="{0:.1f}" x2="{0:.1f}" '
                        'y1="{1:.1f}" y2="{2:.1f}"/>'
                    ).format(x, down(month.kappa.low), down(month.kappa.high))
                )
            parts.append(place_mark("own", x, down(month.kappa.value)))
        if x - last_label >= _LABEL_WIDTH:
            last_label = x
            name = f"{_MONTHS[int(month.month[5:]) - 1]} {month.month[2:4]}"
            parts.append(place_label(x, bottom + 20, name))
            parts.append(place_label(x, bottom + 36, f"n={month.calls}"))
    said = "; ".join(f"{m.month}: {_in_words(m.kappa)}, {m.calls} calls" for m in months)
    return make_svg(chart_id, 154, "Kappa by month", said, parts)


def _across(kappa: float) -> float:
    left, right = 72.0, 308.0
    shown = min(max(kappa, _LOWEST), _HIGHEST)
    return left + (shown - _LOWEST) / (_HIGHEST - _LOWEST) * (right - left)


def _in_words(figure: Interval) -> str:
    if figure.value is None:
        return "too few calls"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.2f}"
    return f"{figure.value:.2f}, 95 % interval {figure.low:.2f} to {figure.high:.2f}"
