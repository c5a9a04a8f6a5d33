"""Files on the disk, without surprises: no links, no pipes, and nothing outside of one folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from sloctl.errors import OutsideError

_STAGING: Final = ".sloctl-staging-"


class Folders:
    """Files below one folder, as text because there are ten thousand; each folder is looked at once.

    Nothing is read or written through a link, and only regular files are.
    """

    def __init__(self, base: Path) -> None:
        self._prefix = "" if base == Path() else f"{base}/"
        self._known: set[str] = set()
        self._made: set[str] = set()

    def full(self, path: str) -> str:
        """Where a file is."""
        return self._prefix + path

    def folder_of(self, path: str) -> str:
        """The folder of a file, made if need be."""
        folder = self.full(path).rpartition("/")[0]
        if folder not in self._made:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as above
            self._made.add(folder)
        return folder

    def content(self, path: str) -> bytes | None:
        """The bytes of a file, None where there is none.

        Raises:
            OutsideError: something else is there, or a folder above it is a link.
        """
        self._check(path)
        try:
            status = os.lstat(self.full(path))
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            raise OutsideError(f"{self.full(path)} is {_kind(status)}: remove it, sloctl writes real files only")
        with open(self.full(path), "rb") as handle:  # noqa: PTH123 - as above
            return handle.read()

    def write(self, path: str, content: bytes) -> None:
        """Write a file, in a folder that nobody else uses."""
        self.folder_of(path)
        with open(self.full(path), "wb") as handle:  # noqa: PTH123 - as above
            handle.write(content)

    def flush(self, paths: Iterable[str]) -> None:
        """Wait until the disk has these files; together, because the first wait writes most of the others as well."""
        for path in paths:
            flush(self.full(path))

    def _check(self, path: str) -> None:
        """Never leave the folder: paths come from validated names, and links to folders are refused."""
        folder = path.rpartition("/")[0]
        if folder in self._known:
            return
        parts = PurePosixPath(path).parts
        if path.startswith("/") or ".." in parts or not parts:
            raise AssertionError(f"{path} leaves the output folder")
        for length in range(1, len(parts)):
            above = "/".join(parts[:length])
            if os.path.lexists(self.full(above)) and not stat.S_ISDIR((status := os.lstat(self.full(above))).st_mode):
                raise OutsideError(f"{self.full(above)} is {_kind(status)}: sloctl writes into real folders only")
        self._known.add(folder)


def flush(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _kind(status: os.stat_result) -> str:
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFLNK:
            return "a symbolic link"
        case stat.S_IFDIR:
            return "a folder"
        case stat.S_IFREG:
            return "a file"
        case _:
            return "a pipe, socket or device"


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """One writer at a time: a lock on the folder itself, which leaves no file behind."""
    folder = os.open(output, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(folder, output)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, output: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutsideError(f"another `sloctl generate` is writing to {output}: wait until it is done") from error


@contextmanager
def staging(output: Path) -> Iterator[Path]:
    for left in output.glob(f"{_STAGING}*"):  # of a run that was killed; nobody else runs, the lock is ours
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=output))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
