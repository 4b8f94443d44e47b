"""What several test files share: the real engines, loaded once, and recordings made on the spot."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from web_fixtures import _filled_database, browser, browser_page, site  # noqa: F401 - fixtures
from web_house import house  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from qa_monitor.config import Config
    from qa_monitor.monitor import Monitor
    from qa_monitor.pipeline import Stages

REPOSITORY = Path(__file__).parents[1]
SAMPLES = REPOSITORY / "samples"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own configuration, models or data."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg-config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg-data"))
    monkeypatch.delenv("QA_MONITOR_CONFIG", raising=False)
    # Nor is it told how wide a terminal is, or that there is one.
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def stages() -> Stages:
    """The real engines as they come, keeping no audio."""
    from qa_monitor.config import Config
    from qa_monitor.pipeline import build_stages

    return build_stages(Config.model_validate({"audio": {"keep_redacted": False}}))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration whose data lie in the test's own folder."""
    from qa_monitor.config import Config, DataSettings

    return Config(data=DataSettings(folder=tmp_path / "data", database=""))


@pytest.fixture
def monitor(config: Config, stages: Stages) -> Iterator[Monitor]:
    """A monitor with an empty database and the shared engines."""
    from dataclasses import replace

    from qa_monitor.monitor import Monitor

    with Monitor(config) as monitor:
        monitor.__dict__["scorer"] = stages.scorer
        monitor.__dict__["recogniser"] = stages.recogniser
        monitor.__dict__["redactor"] = stages.redactor
        monitor.__dict__["stages"] = replace(stages, audio_folder=config.data.folder / "audio")
        yield monitor


def write_wav(path: Path, samples: np.ndarray, rate_hz: int = 8000) -> Path:
    """``path``, a 16-bit WAV of ``samples`` of shape (channels, n), -1 to 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = (np.clip(samples, -1, 1).T * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[0])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(data.tobytes())
    return path
