"""Writing and comparing what backends emit: all of it or nothing.

Files are staged beside their targets, on the same file system, and renamed into place only when the last one is
good and on the disk; the manifest of each top folder is renamed last. A folder that sloctl owns holds nothing else.

A run may read a part of the specifications. It judges a file only if it read every specification that the manifest
names for that file and that still exists; other files are left alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any, Final

import orjson

from sloctl.artifacts.folders import Folders, flush, locked, staging
from sloctl.errors import OutsideError
from sloctl.model.artifact import Rendered

MANIFEST: Final = ".sloctl-manifest.json"


class Change(Enum):
    """How a file on disk differs from what the specifications say."""

    CHANGED = "changed"
    MISSING = "missing"
    STRAY = "stray"


@dataclass(frozen=True, slots=True)
class Drift:
    """One file that differs; `before` and `after` are what is there and what the specifications say."""

    change: Change
    path: str
    before: bytes = b""
    after: bytes = b""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `write` would do, sorted by path."""

    drift: list[Drift]
    left_alone: list[str]


@dataclass(slots=True)
class WrittenFiles:
    """What a run did.

    Attributes:
        stray: files that no specification produces any more and that are still there.
        left_alone: files that come from specifications that this run did not read.
    """

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OutputTarget:
    """Where a run writes.

    Attributes:
        output: the folder that holds `rules/` and `dashboards/`.
        owned: folders below it that hold nothing else; others of the same top folder are left alone.
        read: the specifications that the run read, named as manifests name them, relative to `output`.
    """

    output: Path
    owned: tuple[str, ...]
    read: frozenset[str] = frozenset()

    @property
    def manifests(self) -> list[str]:
        """Path of the manifest of each top folder."""
        return [f"{top}/{MANIFEST}" for top in sorted({PurePosixPath(folder).parts[0] for folder in self.owned})]

    def entries(self) -> dict[str, Mapping[str, Any]]:
        """What the manifests say of each file."""
        folders = Folders(self.output)
        return {path: entry for name in self.manifests for path, entry in _entries(folders.content(name)).items()}

    def judges(self, entry: Mapping[str, Any]) -> bool:
        """Whether this run read all specifications that a file comes from, but for those that are gone."""
        return all(spec in self.read or not (self.output / spec).exists() for spec in entry.get("specs", ()))

    def present(self) -> Iterator[str]:
        """Every file in the owned folders."""
        for folder in self.owned:
            for above, _, names in os.walk(self.output / folder):
                below = Path(above).relative_to(self.output).as_posix()
                yield from (f"{below}/{name}" for name in names if name != MANIFEST)


def write(files: Iterable[Rendered], target: OutputTarget, *, prune: bool = False) -> WrittenFiles:
    """Bring the owned folders up to date.

    Args:
        files: what is to be there; consumed one at a time, nothing is renamed before the last one came.
        target: where to write.
        prune: remove files that nothing produces any more, unless they were edited since.

    Raises:
        OutsideError: the disk or another run is in the way; everything is as it was.
    """
    try:
        target.output.mkdir(parents=True, exist_ok=True)
        with locked(target.output), staging(target.output) as folder:
            return _Run(target, folder).run(files, prune=prune)
    except OSError as error:
        raise OutsideError(f"cannot write below {target.output}: {error.strerror or error}") from error


def compare(files: Iterable[Rendered], target: OutputTarget) -> Comparison:
    """What `write` would change, without writing.

    Raises:
        OutsideError: something else than a file or folder is in the way.
    """
    known, folders = target.entries(), Folders(target.output)
    drift, left_alone, expected = list[Drift](), list[str](), set[str]()
    for file in files:
        expected.add(file.path)
        content = folders.content(file.path)
        if content == file.content:
            continue
        if not target.judges(known.get(file.path, {})):
            left_alone.append(file.path)
        elif content is None:
            drift.append(Drift(Change.MISSING, file.path, after=file.content))
        else:
            drift.append(Drift(Change.CHANGED, file.path, content, file.content))
    for path in target.present():
        if path not in expected:
            judged = target.judges(known.get(path, {}))
            drift += [Drift(Change.STRAY, path)] if judged else []
            left_alone += [] if judged else [path]
    return Comparison(sorted(drift, key=lambda entry: entry.path), sorted(left_alone))


class _Run:
    """One run of `write`, under the lock."""

    def __init__(self, target: OutputTarget, folder: Path) -> None:
        self.target, self.staging = target, Folders(folder)
        self.output = Folders(target.output)
        self.known = target.entries()
        self.entries: dict[str, Mapping[str, Any]] = {}  # of the next manifests
        self.staged: list[str] = []
        self.done = WrittenFiles()

    def run(self, files: Iterable[Rendered], *, prune: bool) -> WrittenFiles:
        for file in files:
            self._stage(file)
        self._keep_or_prune(prune=prune)
        manifests = [path for path in self.target.manifests if self._stage_manifest(path)]
        self.staging.flush([*self.staged, *manifests])
        self._rename(sorted(self.staged))
        self._remove()
        self._rename(manifests)
        self.done.written = sorted(self.staged)
        return self.done

    def _stage(self, file: Rendered) -> None:
        """Write a file that differs into the staging folder."""
        if file.path in self.entries:
            raise AssertionError(f"two artifacts share the path {file.path}")
        same = self.output.content(file.path) == file.content
        known = self.known.get(file.path, {})
        judged = self.target.judges(known)
        made = {"sha256": hashlib.sha256(file.content).hexdigest(), "specs": dict(file.sources)}
        self.entries[file.path] = made if judged else known
        if same:
            self.done.unchanged.append(file.path)
        elif not judged:
            self.done.left_alone.append(file.path)
        else:
            self.staging.write(file.path, file.content)
            self.staged.append(file.path)

    def _keep_or_prune(self, *, prune: bool) -> None:
        """What becomes of the files that this run does not produce."""
        for path in sorted(self.target.present()):
            if path in self.entries:
                continue
            entry = self.known.get(path)
            if entry is not None and not self.target.judges(entry):
                self.done.left_alone.append(path)
            elif prune and entry is not None and self._is_as_written(path, entry):
                self.done.removed.append(path)
                continue
            else:
                self.done.stray.append(path)
            if entry is not None:
                self.entries[path] = entry

    def _is_as_written(self, path: str, entry: Mapping[str, Any]) -> bool:
        content = self.output.content(path)
        return content is not None and hashlib.sha256(content).hexdigest() == entry.get("sha256")

    def _stage_manifest(self, path: str) -> bool:
        """One manifest a top folder, where it changes; entries of folders that this run does not own are kept."""
        top = PurePosixPath(path).parts[0]
        others = {name: entry for name, entry in self.known.items() if not self._owns(name)}
        entries = {name: entry for name, entry in (others | self.entries).items() if _below(name, top)}
        options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        content = orjson.dumps({"files": entries}, option=options)
        if self.output.content(path) == content:
            return False
        self.staging.write(path, content)
        return True

    def _owns(self, path: str) -> bool:
        return any(_below(path, folder) for folder in self.target.owned)

    def _rename(self, paths: Iterable[str]) -> None:
        """Put staged files in place. The folders' own entries are on the disk before anything else happens."""
        touched = {self.output.folder_of(path) for path in paths}
        for path in paths:
            os.replace(self.staging.full(path), self.output.full(path))  # noqa: PTH105 - text, for ten thousand files
        for folder in touched:
            flush(folder)

    def _remove(self) -> None:
        """Remove pruned files, and the folders that are empty then."""
        for path in self.done.removed:
            full = self.target.output / path
            full.unlink()
            for folder in full.parents:
                below = folder.relative_to(self.target.output).as_posix()
                if below in self.target.owned or not self._owns(below) or any(folder.iterdir()):
                    break
                folder.rmdir()


def _entries(manifest: bytes | None) -> dict[str, Mapping[str, Any]]:
    """The files of a manifest; one that is missing or broken knows nothing and is written anew."""
    try:
        files = orjson.loads(manifest or b"{}")["files"]
        good = all(isinstance(entry["sha256"], str) and isinstance(entry["specs"], dict) for entry in files.values())
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return {}
    return files if good else {}


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
