"""Writing and comparing what backends emit: all of it or nothing.

Files are staged beside their targets, on the same file system, and renamed into place only when the last one is
good; the manifest of each owned folder is written last. A folder that sloctl owns holds nothing else.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any, Final

import orjson

from sloctl.errors import OutsideError
from sloctl.model.artifact import Rendered

MANIFEST: Final = ".sloctl-manifest.json"
_STAGING: Final = ".sloctl-staging-"


class Change(Enum):
    """How a file on disk differs from what the specifications say."""

    CHANGED = "changed"
    MISSING = "missing"
    STRAY = "stray"


@dataclass(frozen=True, slots=True)
class Drift:
    """One file that differs."""

    change: Change
    path: str


@dataclass(slots=True)
class Written:
    """What a run did."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)


def write(files: Iterable[Rendered], output: Path, owned: Iterable[str], *, prune: bool = False) -> Written:
    """Bring the owned folders below `output` up to date.

    Args:
        files: what is to be there; consumed one at a time, nothing is renamed before the last one came.
        output: the folder that holds `rules/` and `dashboards/`.
        owned: folders below it that hold nothing else; others of the same top folder are left alone.
        prune: remove files in owned folders that nothing produces any more.

    Raises:
        OutsideError: the disk or another run is in the way; everything is as it was.
    """
    owned = tuple(owned)
    try:
        output.mkdir(parents=True, exist_ok=True)
        with _locked(output), _staging(output) as staging:
            staged = _stage(files, staging, output)
            return _commit(staged, staging, output, owned, prune=prune)
    except OSError as error:
        raise OutsideError(_why(error, output)) from error


def compare(files: Iterable[Rendered], output: Path, owned: Iterable[str]) -> list[Drift]:
    """What `write` would change, without writing; sorted by path."""
    drift, expected = [], set[str]()
    for file in files:
        expected.add(file.path)
        content = _content(output / file.path)
        if content is None:
            drift.append(Drift(Change.MISSING, file.path))
        elif content != file.content:
            drift.append(Drift(Change.CHANGED, file.path))
    drift += [Drift(Change.STRAY, path) for path in _present(output, owned) if path not in expected]
    return sorted(drift, key=lambda one: one.path)


def _stage(files: Iterable[Rendered], staging: Path, output: Path) -> dict[str, dict[str, Any]]:
    """Write every file that differs into the staging folder; the manifest entries by path."""
    entries: dict[str, dict[str, Any]] = {}
    for file in files:
        if file.path in entries:
            raise AssertionError(f"two artifacts share the path {file.path}")
        _check_path(file.path, output)
        if _content(output / file.path) != file.content:
            _write_through(staging / file.path, file.content)
        entries[file.path] = {"sha256": hashlib.sha256(file.content).hexdigest(), "specs": dict(file.sources)}
    return entries


def _write_through(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def _commit(
    staged: Mapping[str, dict[str, Any]], staging: Path, output: Path, owned: tuple[str, ...], *, prune: bool
) -> Written:
    result = Written()
    for path in sorted(staged):
        if not (staging / path).exists():
            result.unchanged.append(path)
            continue
        target = output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (staging / path).replace(target)
        result.written.append(path)
    stray = [path for path in _present(output, owned) if path not in staged]
    for path in stray if prune else ():
        (output / path).unlink()
        result.removed.append(path)
    result.stray = [] if prune else stray
    _write_manifests(staged, staging, output, owned)
    return result


def _write_manifests(staged: Mapping[str, dict[str, Any]], staging: Path, output: Path, owned: tuple[str, ...]) -> None:
    """One manifest a top folder; entries of folders that this run does not own are kept."""
    for top in sorted({PurePosixPath(folder).parts[0] for folder in owned}):
        path = output / top / MANIFEST
        others = {
            name: entry for name, entry in _manifest(path).items() if not any(_below(name, folder) for folder in owned)
        }
        ours = {name: entry for name, entry in staged.items() if _below(name, top)}
        content = orjson.dumps(
            {"files": others | ours}, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        )
        if _content(path) != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = staging / top / MANIFEST
            _write_through(temporary, content)
            temporary.replace(path)


def _manifest(path: Path) -> dict[str, Any]:
    content = _content(path)
    if content is None:
        return {}
    try:
        files: dict[str, Any] = orjson.loads(content)["files"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return {}  # a broken manifest is written anew; it decides nothing
    return files


def _present(output: Path, owned: Iterable[str]) -> Iterator[str]:
    for folder in owned:
        for path in sorted((output / folder).rglob("*")):
            if path.is_file() and path.name != MANIFEST:
                yield path.relative_to(output).as_posix()


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _check_path(path: str, output: Path) -> None:
    """Never write outside the output folder: paths come from validated names, and links are refused."""
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or not parts:
        raise AssertionError(f"{path} leaves the output folder")
    current = output
    for part in parts:
        current /= part
        if current.is_symlink():
            raise OutsideError(f"{current} is a symbolic link: remove it, sloctl writes real files only")


@contextmanager
def _locked(output: Path) -> Iterator[None]:
    """One writer at a time: a lock on the folder itself, which leaves no file behind."""
    folder = os.open(output, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise OutsideError(f"another `sloctl generate` is writing to {output}: wait until it is done") from error
    finally:
        os.close(folder)


@contextmanager
def _staging(output: Path) -> Iterator[Path]:
    for left in output.glob(f"{_STAGING}*"):  # of a run that was killed; nobody else runs, the lock is ours
        shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=output))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _why(error: OSError, output: Path) -> str:
    return f"cannot write below {output}: {error.strerror or error}"
