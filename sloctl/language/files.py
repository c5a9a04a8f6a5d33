"""Files to checked bytes: regular, at most 1 MiB, UTF-8, and nothing that nobody can see."""

from __future__ import annotations

import os
import re
import stat
import sys
from itertools import islice
from typing import Final

from sloctl.diagnostics import Diagnostics, Place

MAX_BYTES: Final = 1024 * 1024
STDIN: Final = "-"
CHARACTER_HELP: Final = "remove it: control characters and text direction marks are not allowed"
FORBIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff"  # controls, line separators
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # bidi controls: they show another text than is read
)

_SHOWN: Final = 10  # of one kind of problem that a binary file would have by the thousand
_PLAIN_ASCII: Final = bytes([*range(0x20, 0x7F), 0x09, 0x0A])


class RealPaths:
    """What paths really are, without links; each folder is looked at once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: str) -> str:
        """As `os.path.realpath`; `-` is itself."""
        folder, name = os.path.split(path)
        if path == STDIN:
            return path
        if name in {"", ".", ".."} or os.path.islink(path):  # noqa: PTH114 - text, for ten thousand files
            return os.path.realpath(path)
        return os.path.join(self.folder(folder), name)  # noqa: PTH118 - as above

    def folder(self, folder: str) -> str:
        """A folder as it really is; the empty text is the working directory."""
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return self._folders[folder]


def leaves(path: str, real: str, top: str, found: Diagnostics) -> bool:
    """Whether what a path really is lies outside of the real folder `top`; a finding then, which quotes nothing."""
    if real == top or real.startswith(os.path.join(top, "")):  # noqa: PTH118 - text, for ten thousand files
        return False
    message = f"this leads out of {top}, so it is not read"
    help_ = "put the specification itself here, or name the folder above both with --root"
    found.error("SLO001", Place(path), message, help_)
    return True


def read_file(path: str, found: Diagnostics, top: str = "/") -> bytes | None:
    """The bytes of a regular file (or of stdin for `-`), at most 1 MiB and one byte; None after a finding.

    Args:
        top: a real folder; nothing outside of it is read, links or not.
    """
    if path == STDIN:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        if not _is_regular(os.stat(path), path, found):  # noqa: PTH116 - a device is not even opened
            return None
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with os.fdopen(handle, "rb") as file:  # checked again: the file may have been replaced
            if leaves(path, _opened(handle, path), top, found) or not _is_regular(os.fstat(handle), path, found):
                return None
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as problem:
        unreadable(problem, path, found)
        return None


def _opened(handle: int, path: str) -> str:
    """What has been opened, without links: Linux knows, elsewhere it is looked up once more."""
    link = f"/proc/self/fd/{handle}"
    return os.readlink(link) if os.path.lexists(link) else os.path.realpath(path)  # noqa: PTH115 - text, as above


def unreadable(problem: OSError | ValueError, path: str, found: Diagnostics, what: str = "file") -> None:
    """Say why a file or folder cannot be read."""
    reason = problem.strerror if isinstance(problem, OSError) else None
    message = f"the {what} cannot be read: {(reason or 'not a path').lower()}"
    found.error("SLO001", Place(path), message, "check its name, its permissions and where it links to")


def _is_regular(status: os.stat_result, path: str, found: Diagnostics) -> bool:
    if stat.S_ISREG(status.st_mode):
        return True
    kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
    found.error("SLO001", Place(path), f"this is {kind}, not a file", "name a file that holds a specification")
    return False


def checked_text(text: bytes, path: str, found: Diagnostics) -> bytes | None:
    """The text with plain line ends, kept in `found.sources`; None after a finding."""
    if len(text) > MAX_BYTES:
        found.error("SLO002", Place(path), "the file is larger than 1 MiB", "split it into several files")
        return None
    text = text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    if not text.translate(None, _PLAIN_ASCII):
        found.sources[path] = text.decode("ascii")
        return text
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as problem:
        _report_encoding(text, problem.start, path, found)
        return None
    found.sources[path] = decoded
    return None if _reported_characters(decoded, path, found) else text


def _report_encoding(text: bytes, start: int, path: str, found: Diagnostics) -> None:
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        found.error("SLO003", Place(path), "the file is UTF-16", "save it as UTF-8")
        return
    before = text[:start].decode("utf-8")
    found.sources[path] = text.decode("utf-8", "replace")
    place = Place(path, before.count("\n") + 1, len(before) - before.rfind("\n"))
    found.error("SLO003", place, f"byte 0x{text[start]:02X} is not UTF-8", "save the file as UTF-8")


def _reported_characters(text: str, path: str, found: Diagnostics) -> bool:
    """Whether the text holds characters that nobody can see; the first ten are reported."""
    matches = list(islice(FORBIDDEN.finditer(text), _SHOWN))
    for match in matches:
        start = match.start()
        place = Place(path, text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
        found.error("SLO004", place, f"invisible character {code_point(match[0])}", CHARACTER_HELP)
    return bool(matches)


def code_point(character: str) -> str:
    """How Unicode names a character."""
    return f"U+{ord(character):04X}"
