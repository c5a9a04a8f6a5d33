"""What earlier runs proved, kept by digest in the user's cache folder.

A digest covers all that the outcome follows from, so nothing here can be out of date. What cannot be read, was cut
off, edited or written by somebody else counts for nothing, and where nothing can be written nothing is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FORM: Final = "sloctl proof 1"
_LONGEST: Final = 16_000_000
"""Bytes."""
_UNUSED_SECONDS: Final = 60 * 24 * 3600


def digest(parts: Iterable[str | bytes]) -> str:
    """One digest of many parts, whose borders count."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "big"))
        found.update(data)
    return found.hexdigest()


def cache_folder() -> Path | None:
    """Where the user's caches are, `XDG_CACHE_HOME` or `~/.cache`; None where there is no such place."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if named and Path(named).is_absolute():
        return Path(named, "sloctl", "proofs")
    try:
        return Path.home() / ".cache" / "sloctl" / "proofs"
    except RuntimeError:
        return None


@dataclass(frozen=True, slots=True)
class Known:
    """Texts by digest, one file each; whole or not there at all, however many runs write at once.

    Attributes:
        folder: None keeps nothing.
    """

    folder: Path | None

    def text(self, key: str) -> str | None:
        """What was kept under a digest, or None."""
        if self.folder is None:
            return None
        path = self.folder / key
        try:
            text = _read(path, key)
            if text is not None:
                os.utime(path)
        except (OSError, ValueError, RecursionError):
            return None
        return text

    def keep(self, key: str, text: str = "") -> None:
        """Keep a text, where that is possible."""
        if self.folder is None:
            return
        content = json.dumps({"form": _FORM, "text": text, "check": digest([_FORM, key, text])})
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".new-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(content)
                os.replace(temporary, self.folder / key)  # noqa: PTH105 - says that it replaces
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def forget_unused(self) -> None:
        """Remove what no run has asked for in two months."""
        if self.folder is None:
            return
        with suppress(OSError):
            for entry in os.scandir(self.folder):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > _UNUSED_SECONDS:
                    Path(entry.path).unlink(missing_ok=True)


def _read(path: Path, key: str) -> str | None:
    """The text of a file that is ours and as it was written.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
        if not is_ours or found.st_size > _LONGEST:
            return None
        content = json.loads(file.read())
    if not isinstance(content, dict) or content.get("form") != _FORM:
        return None
    text = content.get("text")
    return text if isinstance(text, str) and content.get("check") == digest([_FORM, key, text]) else None
