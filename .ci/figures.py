"""What the commands that print figures share: tables, progress, the redactor that ships.

Tables go to stdout, progress to stderr.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from qa_monitor.config import Config
    from qa_monitor.redaction import Redactor

__all__ = [
    "REPOSITORY",
    "Cell",
    "Row",
    "Section",
    "Target",
    "json_lines",
    "print_tables",
    "say",
    "shipped_config",
    "shipped_redactor",
    "shown",
]

REPOSITORY = Path(__file__).parents[1]
_PROGRESS_S = 10

Item = TypeVar("Item")


# --- what is printed -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """The least or the most a figure may be."""

    bound: float
    is_least: bool = True

    def is_met(self, value: float) -> bool:
        """Whether ``value`` is on the right side of it."""
        return value >= self.bound if self.is_least else value <= self.bound

    def __str__(self) -> str:
        """As it stands in a table."""
        return f"{'>=' if self.is_least else '<='} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure: its 95 % interval where it has one, how many it rests on, and what it is of."""

    value: float | None
    low: float | None = None
    high: float | None = None
    count: int | None = None
    of: str = ""
    places: int = 4

    def __str__(self) -> str:
        """As it stands in a table."""
        if self.value is None:
            return "-"
        text = f"{self.of} {self.value:,.{self.places}f}".strip()
        if self.low is not None and self.high is not None and self.low < self.high:
            text += f" [{self.low:.{self.places}f}, {self.high:.{self.places}f}]"
        return text if self.count is None else f"{text} ({self.count:,})"


@dataclass(frozen=True, slots=True)
class Row:
    """A figure in each column; the worst of the columns ``counting`` is held against ``target``."""

    name: str
    cells: Mapping[str, Cell]
    target: Target | None = None
    counting: tuple[str, ...] = ()

    @property
    def worst(self) -> tuple[str, float] | None:
        """The column that counts and its figure."""
        known = {
            name: cell.value
            for name, cell in self.cells.items()
            if cell.value is not None and name in self.counting
        }
        if not known or self.target is None:
            return None
        pick = min if self.target.is_least else max
        name = pick(known, key=lambda column: known[column])
        return name, known[name]

    @property
    def is_met(self) -> bool | None:
        """Whether the target is reached; ``None`` where that is open, or there is no target."""
        if self.target is None or self.worst is None:
            return None
        is_whole = all(column in self.cells for column in self.counting)
        return (is_whole or None) if self.target.is_met(self.worst[1]) else False


@dataclass(slots=True)
class Section:
    """What was measured on one thing."""

    title: str
    columns: Sequence[str] = ()
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        rows = [
            {
                "figure": row.name,
                "target": str(row.target) if row.target else None,
                "worst": row.worst,
                "met": row.is_met,
                **{name: asdict(cell) for name, cell in row.cells.items()},
            }
            for row in self.rows
        ]
        return {"title": self.title, "notes": self.notes, "rows": rows}


def print_tables(
    sections: Iterable[Section],
    *,
    legend: str = "(labels, spans, calls, turns, words or mentions it rests on)",
) -> None:
    """Print ``sections`` on stdout; ``legend`` says what the counts in round brackets count."""
    for section in sections:
        print(f"\n{section.title}")
        lines = [["figure", "target", "worst counts", "met", *section.columns]]
        for row in section.rows:
            worst = row.worst
            places = 0 if worst is None else row.cells[worst[0]].places
            lines.append(
                [
                    row.name,
                    str(row.target or ""),
                    "" if worst is None else f"{worst[1]:,.{places}f} {worst[0]}",
                    {True: "yes", False: "NO", None: "open" if row.target else ""}[row.is_met],
                    *(str(row.cells.get(name, Cell(None))) for name in section.columns),
                ]
            )
        if section.rows:
            widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
            for line in lines:
                cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
                print(f"  {'  '.join(cells)}".rstrip())
        for note in section.notes:
            print(f"  {note}")
    print(f"\n[95 % interval] {legend}")


# --- progress -------------------------------------------------------------------------------------


def shown(what: str, items: Sequence[Item]) -> Iterator[Item]:
    """``items`` one after another, with progress on stderr."""
    started = said = time.monotonic()
    for number, item in enumerate(items):
        now = time.monotonic()
        if not number or now - said > _PROGRESS_S:
            said = now
            say(f"{what}: {number} of {len(items)}, {now - started:.0f} s")
        yield item


def say(message: str) -> None:
    """Print ``message`` on stderr, at once."""
    print(message, file=sys.stderr, flush=True)


# --- what is measured ----------------------------------------------------------------------------


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The values of a JSON Lines file."""
    return [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
    ]


def shipped_config(folder: str) -> Config:
    """The configuration as it comes, its data in ``folder``, with the recogniser that ships."""
    from qa_monitor.config import Config

    return Config.model_validate({"data": {"folder": folder}, "asr": {"model": "embedded-whisper"}})


def shipped_redactor() -> Redactor:
    """The redactor as it is shipped, all recognizers on."""
    from qa_monitor.pipeline import build_redactor

    with tempfile.TemporaryDirectory() as folder:
        return build_redactor(shipped_config(folder))
