"""config: every setting once, and an error that names the one that is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qa_monitor.config import Config, find_config, load_config, write_default_config
from qa_monitor.errors import ConfigError


def test_the_defaults_are_a_configuration() -> None:
    assert load_config(None) == Config()


def test_the_written_configuration_states_every_setting_at_its_default(tmp_path: Path) -> None:
    path = tmp_path / "qa-monitor.toml"
    write_default_config(path)
    text = path.read_text()
    for section, field in Config.model_fields.items():
        if section == "sources":
            continue
        settings = field.annotation.model_fields  # type: ignore[union-attr]
        for name, setting in settings.items():
            assert f"# {name} = " in text, f"{section}.{name} is not written"
            assert setting.description in text, f"{section}.{name} is not explained"
    uncommented = re.sub(r"^# (?=\w+ = |\[sources)", "", text, flags=re.M)
    path.write_text(uncommented)
    loaded = load_config(path)
    assert {
        name for name in Config.model_fields if getattr(loaded, name) != getattr(Config(), name)
    } == {"sources"}


def test_the_written_configuration_holds_the_data_folder_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "qa-monitor.toml"
    write_default_config(path, data_folder=tmp_path / 'a "quoted" 📞 folder')
    assert load_config(path).data.folder == tmp_path / 'a "quoted" 📞 folder'


def test_a_configuration_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "qa-monitor.toml"
    path.write_text("# mine")
    with pytest.raises(ConfigError, match="exists already"):
        write_default_config(path)
    assert path.read_text() == "# mine"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[audio]\nmax_duration_h = -1", "audio.max_duration_h"),
        ("[audio]\nmax_duratoin_h = 1", "audio.max_duratoin_h"),
        ("[intake]\nfilename_patterns = ['(']", "intake.filename_patterns.0"),
        ("[intake]\nfilename_patterns = ['(?P<patient>x)']", "intake.filename_patterns.0"),
        ("[alerts]\nwebhook_url = 'ftp://x'", "alerts.webhook_url"),
        ("[sources.west]\nagent_channel = 'middle'", "sources.west.agent_channel"),
        ("nothing = 1", "nothing"),
        ("[asr]\nmodel = 3", "asr.model"),
        ("[scoring]\ndepartment_rubrics = { west = 3 }", "scoring.department_rubrics.west"),
        ("[data]\nfolder = '~nobody-of-that-name/x'", "cannot be understood"),
        ("a = " + "[" * 5000, "cannot be understood"),
        ("[audio", "is not TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(named)):
        load_config(path)


def test_a_missing_or_binary_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_config(tmp_path / "binary.toml")


def test_relative_paths_are_taken_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        '[data]\nfolder = "here"\n[asr]\nmodel = "./m"\n'
        '[scoring]\nrubric_file = "r.toml"\ndepartment_rubrics = { "nurse-line" = "n.toml" }\n'
    )
    config = load_config(path)
    assert config.data.folder == tmp_path / "here"
    assert config.scoring.rubric_file == tmp_path / "r.toml"
    assert config.scoring.department_rubrics == {"nurse-line": tmp_path / "n.toml"}
    assert Path(config.asr.model) == tmp_path / "m"
    assert config.data.database_url == f"sqlite:///{tmp_path / 'here' / 'qa-monitor.sqlite'}"


def test_the_environment_names_the_configuration_before_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QA_MONITOR_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    assert find_config() is None
    (tmp_path / "qa-monitor.toml").write_text("")
    assert find_config() == tmp_path / "qa-monitor.toml"
    monkeypatch.setenv("QA_MONITOR_CONFIG", str(tmp_path / "other.toml"))
    assert find_config() == tmp_path / "other.toml"
