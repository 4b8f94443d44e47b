"""README: what it says of commands, exit codes, settings and files is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import qa_monitor
from qa_monitor import errors
from qa_monitor.cli import app
from qa_monitor.config import Config
from qa_monitor.intake import METADATA_FIELDS

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PACKAGE = Path(qa_monitor.__file__).parent


def commands() -> dict[str, set[str]]:
    """Every command with its options."""
    found: dict[str, set[str]] = {}

    def walk(name: str, command: object) -> None:
        children = getattr(command, "commands", {})
        if not children:
            options = [option for parameter in command.params for option in parameter.opts]  # type: ignore[attr-defined]
            found[name] = {option for option in options if option.startswith("-")}
        for child, sub in children.items():
            walk(f"{name} {child}".strip(), sub)

    walk("", get_command(app))
    return found


def test_every_command_shown_exists_with_its_options() -> None:
    known = commands()
    shown = re.findall(r"^\$ qa-monitor (.+?)(?:\s{2,}#.*)?$", README, re.M)
    assert len(shown) >= 9
    for line in shown:
        words = line.split()
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in known), None)
        assert name, line
        assert {word for word in words if word.startswith("--")} <= known[name], line


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_takes_json_and_shows_an_example(name: str) -> None:
    assert "--json" in commands()[name]
    result = subprocess.run(
        [sys.executable, "-m", "qa_monitor", *name.split(), "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert f"Example: qa-monitor {name}" in " ".join(result.stdout.split())


def test_the_exit_codes_are_those_of_the_errors() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.M)}
    defined = {
        value.exit_code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.QAMonitorError)
    }
    defined |= {errors.EXIT_OK, errors.EXIT_SOME_FAILED, errors.EXIT_INTERRUPTED}
    assert documented == defined


def test_the_settings_named_exist() -> None:
    sections = "|".join(Config.model_fields)
    for section, name in re.findall(rf"`({sections})\.([a-z_]+)`", README):
        fields = Config.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
        assert name in fields, f"{section}.{name}"


def test_the_metadata_fields_are_the_ones_that_are_read() -> None:
    sentence = README.split("these fields are read:")[1].split(".\n")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == METADATA_FIELDS


def test_the_architecture_lists_what_there_is() -> None:
    block = README.split("## Architecture")[1].split("```")[1]
    listed = set(re.findall(r"^  (\w+(?:\.py|/))", block, re.M))
    there = {
        path.name if path.suffix else f"{path.name}/"
        for path in PACKAGE.iterdir()
        if path.name not in {"__init__.py", "__main__.py", "__pycache__", "_models"}
        and (path.suffix == ".py" or path.is_dir())
    }
    assert listed == there


def test_the_python_example_is_the_one_of_the_package() -> None:
    example = README.split("```python")[1].split("```")[0].strip()
    documented = "\n".join(
        line.removeprefix("    ") for line in (qa_monitor.__doc__ or "").splitlines()
    )
    assert example in documented


def test_pictures_and_files_that_are_linked_are_there() -> None:
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", README):
        assert (REPOSITORY / target).exists(), target
