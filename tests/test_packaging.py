"""The wheel works outside the checkout, with models, migrations, templates and all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--wheel-dir", str(folder), str(REPOSITORY)),
        ],
        check=True,
        timeout=280,
        capture_output=True,
    )
    (wheel,) = folder.glob("qa_monitor-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "qa_monitor", *arguments],
        cwd=cwd,
        env={
            **{name: value for name, value in os.environ.items() if name != "QA_MONITOR_MODELS"},
            "PYTHONPATH": str(installed),
            "XDG_DATA_HOME": str(cwd / "data"),
        },
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.mark.slow
def test_a_call_is_scored_by_the_wheel_outside_the_checkout(
    installed: Path, tmp_path: Path
) -> None:
    listed = run(installed, tmp_path, "models", "list", "--json")
    models = {model["name"]: model["folder"] for model in json.loads(listed.stdout)}
    assert models["embedded-whisper"].startswith(str(installed))
    recording = next((REPOSITORY / "samples").rglob("*_c1001_*.wav"))
    scored = run(installed, tmp_path, "score", str(recording), "--json")
    assert scored.returncode == 0, scored.stderr
    value = json.loads(scored.stdout)
    assert value["calls"][0]["status"] == "scored"
    assert all(Path(path).is_file() for path in value["reports"])


@pytest.mark.slow
def test_the_wheel_carries_no_training_text_and_no_test(installed: Path) -> None:
    names = [str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()]
    assert not [
        name
        for name in names
        if ("/calls/" in name and "/templates/" not in name)
        or name.startswith(("tests", "samples"))
    ]
    assert any("migrations" in name for name in names)


@pytest.mark.slow
def test_the_wheel_carries_the_recognizers_file_and_its_locales(installed: Path) -> None:
    script = (
        "from qa_monitor.redaction.settings import load_settings; locale = load_settings().locale; "
        "print(locale.__class__.__module__, *locale.codes, locale.talk.is_common('appointment'))"
    )
    result = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout.split() == ["qa_monitor.redaction.locales", "en-US", "en-GB", "True"]
    folder = installed / "qa_monitor" / "redaction" / "locales"
    assert {path.name for path in folder.iterdir()} >= {"en.toml", "en-US.toml", "en-words.txt"}
