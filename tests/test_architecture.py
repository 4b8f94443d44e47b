"""The house: imports point one way, engines load late, names of things agree."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import qa_monitor

PACKAGE = Path(qa_monitor.__file__).parent
ENGINES = {
    "av",
    "ctranslate2",
    "faster_whisper",
    "presidio_analyzer",
    "presidio_anonymizer",
    "spacy",
    "torch",
    "transformers",
}
STAGES = {"audio", "transcription", "speakers", "redaction", "scoring"}
MAY_IMPORT: dict[str, set[str]] = {
    "calls": set(),
    "errors": set(),
    "config": {"errors"},
    "intake": {"calls", "errors"},
    "models": {"errors"},
    "audio": {"calls", "errors"},
    "transcription": {"calls", "errors", "models"},
    "speakers": {"calls", "errors"},
    "redaction": {"calls", "errors"},
    "scoring": {"calls", "errors"},
    "verification": {"audio", "calls", "redaction", "speakers", "transcription"},
    "waveforms": {"calls", "errors"},
    "store": {"calls", "errors"},
    "alerts": {"calls", "errors", "store"},
    "reports": {"calls", "errors", "store"},
    "pipeline": {
        *STAGES,
        "alerts",
        "calls",
        "config",
        "errors",
        "intake",
        "models",
        "store",
        "verification",
    },
    "demo": {
        "accounts",
        "alerts",
        "audio",
        "calls",
        "errors",
        "monitor",
        "pipeline",
        "reviewing",
        "scoring",
        "store",
    },
    "retention": {"errors", "intake", "reports", "store"},
    "watching": {"calls", "errors", "intake", "pipeline", "store"},
    "rescoring": {"alerts", "calls", "errors", "scoring", "store", "verification"},
    "reviewing": {"calls", "errors", "scoring", "store"},
    "monitor": {
        *STAGES,
        "alerts",
        "calls",
        "config",
        "errors",
        "intake",
        "models",
        "pipeline",
        "reports",
        "rescoring",
        "retention",
        "reviewing",
        "store",
        "verification",
        "waveforms",
        "watching",
    },
    "evaluation": {*STAGES, "calls", "errors", "models", "monitor", "pipeline"},
    "accounts": {"errors", "store"},
    "web": {
        "accounts",
        "alerts",
        "audio",
        "calls",
        "errors",
        "evaluation",
        "models",
        "monitor",
        "pipeline",
        "reports",
        "rescoring",
        "retention",
        "reviewing",
        "store",
        "waveforms",
        "",
    },
    "commands": {
        "accounts",
        "config",
        "demo",
        "errors",
        "monitor",
        "pipeline",
        "retention",
        "reviewing",
        "store",
        "watching",
        "web",
    },
    "cli": {
        "alerts",
        "calls",
        "commands",
        "config",
        "errors",
        "evaluation",
        "models",
        "monitor",
        "pipeline",
        "reports",
        "rescoring",
        "store",
        "",
    },
}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """The parts of the package that ``path`` imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{name.name}" for name in node.names]
            if node.module != "qa_monitor":
                names = [str(node.module)]
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        for name in names:
            first, _, rest = name.partition(".")
            if first == "qa_monitor":
                part = rest.split(".")[0]
                is_part = (PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").is_file()
                found.add(part if is_part else "")
    return found


SOURCES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if part_of(path) not in {"__init__", "__main__", "training", "_models"}
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(path)
    assert part in MAY_IMPORT, f"{part} has no place in the house yet; say what it may import"
    assert imports_of(path) - {part} <= MAY_IMPORT[part]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_store_knows_sql(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert part_of(path) == "store" or "sqlalchemy" not in text.replace("SQLAlchemy", "")


@pytest.mark.parametrize("module", [*sorted(MAY_IMPORT), "__main__"])
def test_importing_loads_no_engine(module: str) -> None:
    script = f"import qa_monitor.{module}, sys; print(*sorted(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert not loaded & ENGINES


def test_nothing_is_pickled() -> None:
    for path in PACKAGE.rglob("*.py"):
        if "_models" not in path.parts:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            modules = {
                alias.name
                for node in ast.walk(tree)
                if isinstance(node, ast.Import)
                for alias in node.names
            }
            assert not modules & {"pickle", "joblib", "dill", "shelve"}, path
