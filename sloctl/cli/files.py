"""Single files that a command writes: as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from sloctl.errors import OutsideError


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
