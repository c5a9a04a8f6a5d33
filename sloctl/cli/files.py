"""Single files that a command writes, as a whole or not at all, and folders for those that it may keep."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sloctl.errors import OutsideError, SloctlError


def write(file: Path, content: str) -> None:
    """Write a file as a whole, with the folders above it.

    Raises:
        OutsideError: the disk is in the way.
    """
    import tempfile

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".sloctl-") as folder:
            new = Path(folder) / file.name
            new.write_text(content, encoding="utf-8")
            os.replace(new, file)  # noqa: PTH105 - says that it replaces
    except OSError as error:
        raise OutsideError(f"cannot write {file}: {error.strerror or error}") from error


def write_new(files: Mapping[Path, str], otherwise: str) -> None:
    """Write files of which none is there yet; with one there, none is written.

    Raises:
        SloctlError: a file is there, and what to do `otherwise`.
        OutsideError: the disk is in the way.
    """
    taken = next((file for file in files if file.exists()), None)
    if taken is not None:
        raise SloctlError(f"{taken} is there already: {otherwise}")
    for file, content in files.items():
        write(file, content)


def is_written(file: Path, content: str) -> bool:
    """Whether the file holds this already.

    Raises:
        OutsideError: it cannot be read.
    """
    try:
        return file.read_bytes() == content.encode()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise OutsideError(f"cannot read {file}: {error.strerror or error}") from error


@contextmanager
def kept_folder(keep: Path | None, prefix: str) -> Iterator[Path]:
    """The folder to keep files in, made if need be; without one a temporary folder.

    Raises:
        OutsideError: the disk is in the way.
    """
    import tempfile

    if keep is None:
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            yield Path(folder)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutsideError(f"cannot write to {keep}: {error.strerror}") from error
    yield keep
