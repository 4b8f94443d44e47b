"""Which models are installed, where, and how more are fetched.

A model is a folder. Those that come with the product lie in ``_models`` of the installed package,
or in ``models`` of a checkout; those fetched by ``pull`` in the user's own folder, which
``QA_MONITOR_MODELS`` can move and which is looked in first. ``qa_monitor.json`` in the folder of a
recogniser says what it is. Nothing but ``pull`` opens a connection.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qa_monitor.errors import ModelDownloadError, ModelError, NotFoundError, UsageError

__all__ = [
    "EMBEDDED_RECOGNISER",
    "MANIFEST_NAME",
    "REPOSITORIES",
    "ModelManifest",
    "check_recogniser",
    "find_model",
    "list_models",
    "packaged_models_folder",
    "pull",
    "read_manifest",
    "user_models_folder",
]

EMBEDDED_RECOGNISER = "embedded-whisper"
MANIFEST_NAME = "qa_monitor.json"
MODELS_VARIABLE = "QA_MONITOR_MODELS"

REPOSITORIES: dict[str, str] = {
    "large-v3": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "large-v2": "Systran/faster-whisper-large-v2",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "large-v1": "Systran/faster-whisper-large-v1",
    "medium.en": "Systran/faster-whisper-medium.en",
    "medium": "Systran/faster-whisper-medium",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "small.en": "Systran/faster-whisper-small.en",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "small": "Systran/faster-whisper-small",
    "base.en": "Systran/faster-whisper-base.en",
    "base": "Systran/faster-whisper-base",
    "tiny.en": "Systran/faster-whisper-tiny.en",
    "tiny": "Systran/faster-whisper-tiny",
}
"""faster-whisper's names and the repositories they stand for, in the order ``auto`` prefers."""

_ALIASES = {"large": "large-v3", "turbo": "large-v3-turbo"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")

_REQUIRED_FILES = ("config.json", "model.bin", "tokenizer.json")
_WANTED_FILES = (*_REQUIRED_FILES, "preprocessor_config.json")
_CHUNK_BYTES = 1 << 20
_ATTEMPTS = 5
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelManifest:
    """What ``qa_monitor.json`` says of a model, with what its place says.

    ``max_window_s`` is the longest stretch of sound, in seconds, that it transcribes well at once,
    ``pad_to_s`` what shorter ones are padded to: 30 as Whisper was trained, or less for a model
    that was trained on short windows, which is then several times faster. ``word_shift_s`` is
    added to the times of words, for a model that is known to tell them early or late.
    ``repository`` and ``revision`` say where a pulled model came from.
    """

    name: str
    kind: str
    path: Path
    demonstration_only: bool = False
    language: str = "en"
    max_window_s: float = 30.0
    pad_to_s: float = 30.0
    word_shift_s: float = 0.0
    beam_size: int = 5
    repository: str | None = None
    revision: str | None = None
    is_packaged: bool = False


# --- what is installed ---------------------------------------------------------------------------


def packaged_models_folder() -> Path:
    """The folder of the models that come with the product."""
    package = Path(__file__).resolve().parent
    in_wheel = package / "_models"
    return in_wheel if in_wheel.is_dir() else package.parent / "models"


def user_models_folder() -> Path:
    """The folder that ``pull`` installs into: ``QA_MONITOR_MODELS``, else in the user's data."""
    import platformdirs

    override = os.environ.get(MODELS_VARIABLE)
    if override:
        return Path(override).expanduser().absolute()
    return platformdirs.user_data_path("qa-monitor", appauthor=False) / "models"


def list_models() -> tuple[ModelManifest, ...]:
    """Every installed model that has a manifest, the user's first; the best recogniser first.

    A model of the user's hides a packaged one of the same name. A folder whose manifest cannot be
    read is left out; ``find_model`` tells what is wrong with it.
    """
    found: dict[str, ModelManifest] = {}
    for folder in _model_folders():
        try:
            manifest = read_manifest(folder)
        except ModelError:
            continue
        found.setdefault(manifest.name, manifest)
    return tuple(sorted(found.values(), key=_preference))


def find_model(name: str) -> Path:
    """The folder of model ``name``.

    ``name`` is ``auto`` (the best installed recogniser: a production model before the embedded
    one), the name of an installed model, a faster-whisper name or repository that was pulled, or
    the path of a folder. Raises ``ModelError`` for a recogniser that is not installed or lacks a
    file, with the command that mends it, and ``NotFoundError`` for a name that means nothing.
    """
    if name == "auto":
        best = next((model for model in list_models() if model.kind == "recogniser"), None)
        if best is None:
            raise ModelError("No recogniser is installed. Run `qa-monitor models pull small.en`.")
        return check_recogniser(best.path)
    canonical = _ALIASES.get(name, name)
    for folder in _model_folders():
        if folder.name == canonical:
            return check_recogniser(folder)
    by_repository = {model.repository: model for model in list_models()}
    repository = REPOSITORIES.get(canonical, canonical)
    if repository in by_repository:
        return check_recogniser(by_repository[repository].path)
    if Path(name).expanduser().is_dir():
        return check_recogniser(Path(name).expanduser().absolute())
    if canonical in REPOSITORIES or _REPOSITORY.fullmatch(canonical):
        raise ModelError(
            f"Model {canonical} is not installed. Run `qa-monitor models pull {canonical}`."
        )
    raise NotFoundError(
        f"There is no model named {name!r}. `qa-monitor models list` names those installed; "
        f"these can be pulled: {', '.join(REPOSITORIES)}."
    )


def read_manifest(folder: Path) -> ModelManifest:
    """What the manifest in ``folder`` says; that of a recogniser of unknown origin if it has none.

    Raises ``ModelError`` when the manifest is damaged or the folder holds no model.
    """
    is_packaged = folder.parent == packaged_models_folder()
    path = folder / MANIFEST_NAME
    if not path.is_file():
        if not (folder / "model.bin").is_file():
            raise ModelError(f"Folder {folder} holds no model. Choose another, or pull one.")
        return ModelManifest(
            name=folder.name, kind="recogniser", path=folder, is_packaged=is_packaged
        )
    problem: str | None = None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return _manifest(said, folder, is_packaged=is_packaged)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        problem = type(error).__name__
    raise ModelError(
        f"The manifest {path} is damaged ({problem}). Pull or install the model again.",
        kind=problem,
    )


def _manifest(said: Any, folder: Path, *, is_packaged: bool) -> ModelManifest:
    manifest = ModelManifest(
        name=str(said.get("name", folder.name)),
        kind=str(said.get("kind", "recogniser")),
        path=folder,
        demonstration_only=bool(said.get("demonstration_only", False)),
        language=str(said.get("language", "en")),
        max_window_s=float(said.get("max_window_s", 30.0)),
        pad_to_s=float(said.get("pad_to_s", 30.0)),
        word_shift_s=float(said.get("word_shift_s", 0.0)),
        beam_size=int(said.get("beam_size", 5)),
        repository=said.get("repository"),
        revision=said.get("revision"),
        is_packaged=is_packaged,
    )
    lengths_s = manifest.max_window_s, manifest.pad_to_s
    is_possible = (
        all(1.0 <= length_s <= 30.0 for length_s in lengths_s)
        and abs(manifest.word_shift_s) <= 1.0
        and 1 <= manifest.beam_size <= 20
    )
    if not is_possible:
        raise ValueError("a number is out of range")
    return manifest


def _model_folders() -> Iterator[Path]:
    for root in (user_models_folder(), packaged_models_folder()):
        if root.is_dir():
            for folder in sorted(root.iterdir()):
                if folder.is_dir() and not folder.name.startswith("."):
                    yield folder


def _preference(model: ModelManifest) -> tuple[bool, bool, int, str]:
    """Recognisers first, then production before demonstration, then as ``REPOSITORIES`` goes."""
    known = list(REPOSITORIES.values())
    rank = known.index(model.repository) if model.repository in known else len(known)
    return model.kind != "recogniser", model.demonstration_only, rank, model.name


def check_recogniser(folder: Path) -> Path:
    """``folder``, once it is sure that loading it as a recogniser will not fetch anything.

    Raises ``ModelError`` when a file is missing. Folders of other models pass: their own stages
    check them.
    """
    has_manifest = (folder / MANIFEST_NAME).is_file()
    if has_manifest and read_manifest(folder).kind != "recogniser":
        return folder
    if not has_manifest and not (folder / "model.bin").is_file():
        return folder
    missing = _missing_files({path.name for path in folder.iterdir()})
    if missing:
        raise ModelError(
            f"The recogniser in {folder} lacks {', '.join(missing)}, which the engine would try "
            "to fetch or fail without. Pull the model again, or copy the file from its origin."
        )
    return folder


def _missing_files(names: set[str]) -> list[str]:
    missing = [name for name in _REQUIRED_FILES if name not in names]
    if not any(name.startswith("vocabulary.") for name in names):
        missing.append("vocabulary.json or vocabulary.txt")
    return missing


# --- pull ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _RemoteFile:
    """A file as the hub states it; large files have a SHA-256, small ones git's SHA-1."""

    name: str
    size: int
    digest: str
    algorithm: Literal["sha256", "git-sha1"]


def pull(
    name: str,
    *,
    endpoint: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """The folder of model ``name``, fetched from the hub, verified and installed.

    ``name`` is one of ``REPOSITORIES``, an alias of faster-whisper's, or ``owner/repository`` of a
    Whisper model in CTranslate2 form. ``endpoint`` is the address of a mirror. ``progress`` is
    called with the bytes done and the bytes in all. What was fetched before a break is kept and
    goes on; the model appears whole or not at all. Raises ``UsageError`` for another name and
    ``ModelDownloadError`` when it cannot be fetched whole.
    """
    canonical = _ALIASES.get(name, name)
    repository = REPOSITORIES.get(canonical, canonical)
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(
            f"{name!r} cannot be pulled. Choose one of {', '.join(REPOSITORIES)}, "
            "or a repository written as owner/name."
        )
    folder_name = canonical if _NAME.fullmatch(canonical) else repository.replace("/", "--")
    root = user_models_folder()
    kind: str
    try:
        return _pull(repository, root, folder_name, endpoint, progress)
    except (ModelDownloadError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - the hub's client has errors of many kinds
        kind = type(error).__name__
    raise ModelDownloadError(
        f"Model {canonical} could not be fetched ({kind}): {_advice(kind)} "
        f"Then run `qa-monitor models pull {canonical}` again; it goes on from where it stopped.",
        kind=kind,
    )


def _advice(kind: str) -> str:
    if kind == "OfflineModeIsEnabled":
        return "HF_HUB_OFFLINE forbids connections; unset it."
    if kind in {"RepositoryNotFoundError", "GatedRepoError", "RevisionNotFoundError"}:
        return "the hub does not have it or does not show it to you; check the name, or log in."
    if kind in {"OSError", "PermissionError"}:
        return "the models folder cannot be written; check its permissions and the disk."
    return "check the connection, the proxy settings and HF_ENDPOINT."


@dataclass(frozen=True, slots=True)
class _Report:
    """Tells ``progress`` of one file's bytes as bytes of the whole model."""

    progress: Callable[[int, int], None] | None
    before: int
    total: int

    def __call__(self, done: int) -> None:
        if self.progress is not None:
            self.progress(self.before + done, self.total)


def _pull(
    repository: str,
    root: Path,
    folder_name: str,
    endpoint: str | None,
    progress: Callable[[int, int], None] | None,
) -> Path:
    from huggingface_hub import HfApi

    info = HfApi(endpoint=endpoint).model_info(repository, files_metadata=True, timeout=_TIMEOUT_S)
    if info.sha is None:
        raise ModelDownloadError(f"The hub names no revision of {repository}. Try again later.")
    files = [_remote_file(sibling) for sibling in info.siblings or () if _is_wanted(sibling)]
    missing = _missing_files({file.name for file in files})
    if missing:
        raise ModelDownloadError(
            f"{repository} lacks {', '.join(missing)}: it is no Whisper model in CTranslate2 "
            "form. Choose another."
        )
    staging = root / f".partial-{folder_name}"
    staging.mkdir(parents=True, exist_ok=True)
    total = sum(file.size for file in files)
    there = sum(path.stat().st_size for path in staging.iterdir() if path.is_file())
    free = shutil.disk_usage(staging).free
    if total - there > free:
        raise ModelDownloadError(
            f"{repository} needs {(total - there) / 1e6:.0f} MB and the disk of {root} has "
            f"{free / 1e6:.0f} MB free. Free some space and pull again."
        )
    done = 0
    for file in files:
        report = _Report(progress, done, total)
        _fetch(repository, info.sha, file, staging / file.name, endpoint, report)
        done += file.size
    return _install(staging, root / folder_name, repository, info.sha, {f.name for f in files})


def _is_wanted(sibling: Any) -> bool:
    name = sibling.rfilename
    return name in _WANTED_FILES or bool(re.fullmatch(r"vocabulary\.(json|txt)", name))


def _remote_file(sibling: Any) -> _RemoteFile:
    if sibling.lfs is not None:
        return _RemoteFile(sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256, "sha256")
    if sibling.size is None or sibling.blob_id is None:
        raise ModelDownloadError(
            "The hub does not state sizes and digests, so nothing could be verified. "
            "Use another mirror."
        )
    return _RemoteFile(sibling.rfilename, sibling.size, sibling.blob_id, "git-sha1")


def _fetch(
    repository: str,
    revision: str,
    file: _RemoteFile,
    target: Path,
    endpoint: str | None,
    progress: _Report,
) -> None:
    """Leaves the verified file at ``target``, going on from what an earlier try left beside it."""
    import httpx
    from huggingface_hub import get_token, hf_hub_url

    if target.is_file() and _verifies(target, file):
        progress(file.size)
        return
    # The name holds the digest: what is left of another revision is not gone on with.
    partial = target.with_name(f"{target.name}.{file.digest[:16]}.part")
    url = hf_hub_url(repository, file.name, revision=revision, endpoint=endpoint)
    headers = {"Accept-Encoding": "identity"}
    if token := get_token():
        headers["Authorization"] = f"Bearer {token}"
    with httpx.Client(follow_redirects=True, timeout=_TIMEOUT_S) as client:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                _stream(client, url, headers, partial, file.size, progress)
                break
            except httpx.TransportError:
                if attempt == _ATTEMPTS:
                    raise
    if not _verifies(partial, file):
        partial.unlink(missing_ok=True)
        raise ModelDownloadError(
            f"{file.name} of {repository} arrived damaged and was thrown away. Pull again; if it "
            "happens again, a proxy or mirror changes the file."
        )
    partial.replace(target)


def _stream(
    client: Any,
    url: str,
    headers: dict[str, str],
    partial: Path,
    size: int,
    progress: _Report,
) -> None:
    there = partial.stat().st_size if partial.is_file() else 0
    if there >= size > 0:
        return
    ranged = {**headers, "Range": f"bytes={there}-"} if there else headers
    with client.stream("GET", url, headers=ranged) as response:
        response.raise_for_status()
        goes_on = response.status_code == 206
        done = there if goes_on else 0
        with partial.open("ab" if goes_on else "wb") as output:
            for block in response.iter_bytes():
                output.write(block)
                done += len(block)
                progress(done)
                if done > size:
                    break  # a page of a proxy instead of the file; it will not verify


def _verifies(path: Path, file: _RemoteFile) -> bool:
    if path.stat().st_size != file.size:
        return False
    # git's SHA-1 is what the hub states of small files; it guards against damage, not attack.
    digest = hashlib.sha256() if file.algorithm == "sha256" else hashlib.sha1(usedforsecurity=False)
    if file.algorithm == "git-sha1":
        digest.update(f"blob {file.size}\0".encode())
    with path.open("rb") as content:
        while block := content.read(_CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest() == file.digest


def _install(staging: Path, target: Path, repository: str, revision: str, wanted: set[str]) -> Path:
    for path in staging.iterdir():
        if path.name not in wanted:
            path.unlink()
    manifest = {
        "name": target.name,
        "kind": "recogniser",
        "demonstration_only": False,
        "max_window_s": 30.0,
        "language": "en",
        "beam_size": 5,
        "repository": repository,
        "revision": revision,
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (staging / MANIFEST_NAME).write_text(text, encoding="utf-8")
    replaced = target.with_name(f".replaced-{target.name}")
    shutil.rmtree(replaced, ignore_errors=True)
    if target.exists():
        target.replace(replaced)
    staging.replace(target)
    shutil.rmtree(replaced, ignore_errors=True)
    return target
