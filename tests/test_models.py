"""Tests of qa_monitor.models; pulls are from a hub served on this machine."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import REVISION, HubRepository, serve_hub

from qa_monitor.errors import ModelDownloadError, ModelError, NotFoundError, UsageError
from qa_monitor.models import (
    EMBEDDED_RECOGNISER,
    MANIFEST_NAME,
    REPOSITORIES,
    check_recogniser,
    find_model,
    list_models,
    packaged_models_folder,
    pull,
    read_manifest,
    user_models_folder,
)

TURBO = "mobiuslabsgmbh/faster-whisper-large-v3-turbo"
FILES = {
    "model.bin": bytes(range(256)) * 20_000,
    "config.json": b'{"alignment_heads": []}',
    "tokenizer.json": b'{"version": "1.0"}' * 500,
    "vocabulary.json": b'["a", "b"]',
    "preprocessor_config.json": b"{}",
    "README.md": b"# a model card",
    "../escape.txt": b"never written",
}


@pytest.fixture(autouse=True)
def _own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QA_MONITOR_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def repository() -> HubRepository:
    return HubRepository(TURBO, dict(FILES))


@pytest.fixture
def endpoint(repository: HubRepository) -> Iterator[str]:
    with serve_hub(repository) as address:
        yield address


def install(folder: Path, **manifest: Any) -> Path:
    """A folder that looks like a recogniser."""
    folder.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        (folder / name).write_bytes(b"{}")
    if manifest:
        (folder / MANIFEST_NAME).write_text(json.dumps(manifest))
    return folder


# --- what is installed ---------------------------------------------------------------------------


def test_the_names_and_repositories_are_those_of_faster_whisper() -> None:
    from faster_whisper.utils import _MODELS

    assert set(REPOSITORIES.items()) <= set(_MODELS.items())
    assert {name for name in _MODELS if name not in REPOSITORIES} == {"large", "turbo"}


def test_the_packaged_recogniser_is_found_and_says_it_is_for_demonstration() -> None:
    folder = find_model(EMBEDDED_RECOGNISER)
    assert folder == packaged_models_folder() / EMBEDDED_RECOGNISER
    manifest = read_manifest(folder)
    assert manifest.demonstration_only
    assert manifest.is_packaged
    assert manifest.kind == "recogniser"


def test_auto_takes_a_production_model_before_the_embedded_one() -> None:
    assert find_model("auto").name == EMBEDDED_RECOGNISER
    small = install(user_models_folder() / "small", repository=REPOSITORIES["small"])
    assert find_model("auto") == small
    turbo = install(user_models_folder() / "large-v3-turbo", repository=TURBO)
    assert find_model("auto") == turbo
    install(user_models_folder() / "another", demonstration_only=True)
    assert find_model("auto") == turbo


def test_a_pulled_model_is_found_by_name_alias_and_repository() -> None:
    turbo = install(user_models_folder() / "large-v3-turbo", repository=TURBO)
    assert find_model("large-v3-turbo") == find_model("turbo") == find_model(TURBO) == turbo


def test_a_folder_is_found_by_its_path(tmp_path: Path) -> None:
    folder = install(tmp_path / "own" / "tuned")
    assert find_model(str(folder)) == folder
    manifest = read_manifest(folder)
    assert (manifest.name, manifest.demonstration_only) == ("tuned", False)
    assert (manifest.max_window_s, manifest.pad_to_s) == (30.0, 30.0)


@pytest.mark.parametrize("name", ["large-v3", "turbo", "someone/whisper-of-theirs"])
def test_a_model_that_is_not_installed_names_the_command_that_installs_it(name: str) -> None:
    with pytest.raises(ModelError, match=r"qa-monitor models pull "):
        find_model(name)


def test_a_name_that_means_nothing_lists_those_that_do() -> None:
    with pytest.raises(NotFoundError, match="large-v3-turbo"):
        find_model("whispr")


@pytest.mark.parametrize("file", ["tokenizer.json", "config.json", "vocabulary.json"])
def test_a_recogniser_that_would_fetch_or_fail_is_refused(file: str) -> None:
    folder = install(user_models_folder() / "small", repository=REPOSITORIES["small"])
    (folder / file).unlink()
    with pytest.raises(ModelError, match=file.split(".")[0]):
        find_model("small")
    with pytest.raises(ModelError, match=file.split(".")[0]):
        check_recogniser(folder)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"max_window_s": 90}', '{"pad_to_s": "long"}', '{"beam_size": 0}'],
)
def test_a_damaged_manifest_is_an_error_and_not_listed(content: str) -> None:
    folder = install(user_models_folder() / "broken")
    (folder / MANIFEST_NAME).write_text(content)
    with pytest.raises(ModelError, match="damaged"):
        read_manifest(folder)
    assert "broken" not in {model.name for model in list_models()}


def test_a_folder_without_a_model_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        read_manifest(tmp_path)


def test_the_list_starts_with_what_auto_takes_and_hides_partial_downloads() -> None:
    install(user_models_folder() / "small", repository=REPOSITORIES["small"])
    install(user_models_folder() / ".partial-medium", repository=REPOSITORIES["medium"])
    names = [model.name for model in list_models()]
    assert names[0] == "small"
    assert EMBEDDED_RECOGNISER in names
    assert not any(name.startswith(".") for name in names)


# --- pull ----------------------------------------------------------------------------------------


def test_pull_installs_the_wanted_files_and_says_where_they_came_from(endpoint: str) -> None:
    folder = pull("turbo", endpoint=endpoint)
    assert folder == user_models_folder() / "large-v3-turbo"
    assert {path.name for path in folder.iterdir()} == {
        *("model.bin", "config.json", "tokenizer.json", "vocabulary.json"),
        *("preprocessor_config.json", MANIFEST_NAME),
    }
    for name in ("model.bin", "tokenizer.json"):
        assert (folder / name).read_bytes() == FILES[name]
    manifest = read_manifest(folder)
    assert (manifest.repository, manifest.revision) == (TURBO, REVISION)
    assert find_model("auto") == folder
    assert [path.name for path in user_models_folder().iterdir()] == ["large-v3-turbo"]
    assert not (user_models_folder().parent / "escape.txt").exists()


def test_pull_tells_bytes_done_up_to_the_whole(endpoint: str) -> None:
    seen: list[tuple[int, int]] = []
    pull("turbo", endpoint=endpoint, progress=lambda done, total: seen.append((done, total)))
    total = sum(len(FILES[name]) for name in FILES if name not in {"README.md", "../escape.txt"})
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 5


def test_a_connection_that_breaks_goes_on_where_it_was(
    repository: HubRepository, endpoint: str
) -> None:
    repository.breaks["model.bin"] = 2
    folder = pull("turbo", endpoint=endpoint)
    assert (folder / "model.bin").read_bytes() == FILES["model.bin"]
    asked = [start for path, start in repository.requests if path == "/cdn/model.bin"]
    assert asked[0] is None
    assert asked[1] == f"bytes={len(FILES['model.bin']) // 2}-"


def test_a_pull_that_failed_is_not_installed_and_the_next_goes_on(
    repository: HubRepository, endpoint: str
) -> None:
    repository.breaks["model.bin"] = 5
    with pytest.raises(ModelDownloadError, match="goes on from where it stopped") as caught:
        pull("turbo", endpoint=endpoint)
    assert caught.value.__cause__ is None
    with pytest.raises(ModelError, match="not installed"):
        find_model("turbo")
    repository.requests.clear()
    folder = pull("turbo", endpoint=endpoint)
    assert (folder / "model.bin").read_bytes() == FILES["model.bin"]
    paths = [path for path, _ in repository.requests]
    assert not any(path.endswith("config.json") and "resolve" in path for path in paths[:1])
    (start,) = [start for path, start in repository.requests if path == "/cdn/model.bin"]
    assert start is not None


def test_a_server_that_ignores_ranges_still_gives_the_whole_file(
    repository: HubRepository, endpoint: str
) -> None:
    repository.honours_range = False
    repository.breaks["model.bin"] = 1
    folder = pull("turbo", endpoint=endpoint)
    assert (folder / "model.bin").read_bytes() == FILES["model.bin"]


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json"])
def test_a_changed_file_is_thrown_away(file: str, repository: HubRepository, endpoint: str) -> None:
    repository.corrupt.add(file)
    with pytest.raises(ModelDownloadError, match="damaged"):
        pull("turbo", endpoint=endpoint)
    left = list(user_models_folder().rglob("*"))
    assert not any(path.name.startswith(file) for path in left)
    repository.corrupt.clear()
    assert (pull("turbo", endpoint=endpoint) / file).read_bytes() == FILES[file]


def test_a_failed_pull_leaves_the_installed_model_as_it_was(
    repository: HubRepository, endpoint: str
) -> None:
    folder = pull("turbo", endpoint=endpoint)
    repository.files["model.bin"] = b"new" * 1000
    repository.corrupt.add("model.bin")
    with pytest.raises(ModelDownloadError):
        pull("turbo", endpoint=endpoint)
    assert (folder / "model.bin").read_bytes() == FILES["model.bin"]
    repository.corrupt.clear()
    assert (pull("turbo", endpoint=endpoint) / "model.bin").read_bytes() == b"new" * 1000


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json", "vocabulary.json"])
def test_a_repository_that_lacks_a_file_is_refused_before_anything_is_fetched(
    file: str, repository: HubRepository, endpoint: str
) -> None:
    del repository.files[file]
    with pytest.raises(ModelDownloadError, match=file.split(".")[0]):
        pull("turbo", endpoint=endpoint)
    assert len(repository.requests) == 1


def test_a_mirror_that_states_no_digests_is_refused(
    repository: HubRepository, endpoint: str
) -> None:
    repository.states_digests = False
    with pytest.raises(ModelDownloadError, match="verified"):
        pull("turbo", endpoint=endpoint)


def test_a_repository_that_is_not_there_is_told(endpoint: str) -> None:
    with pytest.raises(ModelDownloadError, match="check the name"):
        pull("someone/else", endpoint=endpoint)


def test_a_repository_can_be_pulled_by_its_own_name(repository: HubRepository) -> None:
    repository.name = "someone/else"
    with serve_hub(repository) as endpoint:
        folder = pull("someone/else", endpoint=endpoint)
    assert folder.name == "someone--else"
    assert find_model("someone/else") == folder


def test_without_a_connection_the_next_step_is_told() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(ModelDownloadError, match="check the connection"):
        pull("turbo", endpoint=endpoint)


def test_a_full_disk_is_told_before_anything_is_fetched(
    repository: HubRepository, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(ModelDownloadError, match="Free some space"):
        pull("turbo", endpoint=endpoint)
    assert len(repository.requests) == 1


def test_a_token_goes_to_the_hub(
    repository: HubRepository, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_invented")
    pull("turbo", endpoint=endpoint)
    assert set(repository.authorizations) == {"Bearer hf_invented"}


@pytest.mark.parametrize("name", ["gigantic", "../../etc", "a/b/c", "", ".."])
def test_other_names_cannot_be_pulled(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be pulled"):
        pull(name)
    assert not user_models_folder().exists()
