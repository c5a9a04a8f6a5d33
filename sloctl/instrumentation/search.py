"""Find the lines of one request in files of any size: bytes are compared first, and only what is found is parsed.

A file is lines, or JSON documents of several lines (what APIs answer, indented). Compressed and UTF-16 files are read
as they are.
"""

from __future__ import annotations

import base64
import codecs
import gzip
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Final, Protocol

from sloctl.instrumentation.telemetry import Telemetry
from sloctl.instrumentation.trace import related

BLOCK: Final = 1 << 20
PEEK: Final = 1 << 16
# So many IDs are looked for one after the other; more of them are compared word by word.
FEW: Final = 16
_WORD: Final = re.compile(rb"[A-Za-z0-9._-]{8,128}")
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_INCOMPLETE: Final = (EOFError, zlib.error, gzip.BadGzipFile)
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Reader(Protocol):
    """Where blocks of bytes come from."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Put bytes into the buffer; returns how many, none at the end."""


class Needles:
    """IDs to look for."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = [found.encode("utf-8", "surrogatepass") for found in ids if found]
        self._words = frozenset(self._ids) if len(self._ids) > FEW else None

    def __bool__(self) -> bool:
        return bool(self._ids)

    def within(self, data: bytes) -> bool:
        """Whether one of them is in there."""
        return next(self.places(data, len(data)), None) is not None

    def places(self, data: bytes | bytearray, end: int) -> Iterator[int]:
        """Where they are before the end, each one's in order."""
        if self._words is not None:
            yield from (match.start() for match in _WORD.finditer(data, 0, end) if match[0] in self._words)
            return
        for needle in self._ids:
            at = data.find(needle, 0, end)
            while at >= 0:
                yield at
                at = data.find(needle, at + len(needle), end)


def seekable(file: IO[bytes]) -> IO[bytes]:
    """The file, or a copy on disk of what comes from a pipe: it may be searched more than once."""
    if file.seekable():
        return file
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as whoever reads it
    shutil.copyfileobj(file, copy, BLOCK)
    copy.seek(0)
    return copy


def matching(file: IO[bytes], needles: Needles, broken: Callable[[], None]) -> Iterator[bytes]:
    """The lines, or the documents, that hold one of the IDs.

    Args:
        file: read from its start.
        needles: what to look for.
        broken: called when a compressed file ends before its end.
    """
    file.seek(0)
    start = file.read(PEEK)
    file.seek(0)
    reader = _decoded(file, start)
    texts = _documents(reader) if _is_indented(_plain(start)) else None
    try:
        if texts is not None:
            yield from (text for text in texts if needles.within(text))
        else:
            yield from _lines(reader, needles)
    except _INCOMPLETE:
        broken()


def _plain(start: bytes) -> bytes:
    """The beginning of a file as UTF-8."""
    if start[:2] == b"\x1f\x8b":
        try:
            start = zlib.decompressobj(31).decompress(start, PEEK)
        except zlib.error:
            return b""
    if start[:2] in _UTF16:
        return start[: len(start) // 2 * 2].decode("utf-16", "replace").encode("utf-8", "replace")
    return start.removeprefix(codecs.BOM_UTF8)


def _decoded(file: IO[bytes], start: bytes) -> Reader:
    reader: Any = file
    if start[:2] == b"\x1f\x8b":
        reader = gzip.GzipFile(fileobj=file)
        start = _peeked(start)
    found: Reader = _Utf16(reader) if start[:2] in _UTF16 else reader
    return found


def _peeked(start: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(start, 2)
    except zlib.error:
        return b""


class _Utf16:
    """Blocks of UTF-16 as UTF-8."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
        self._waiting = b""

    def readinto(self, buffer: memoryview, /) -> int:
        while not self._waiting:
            raw = self._file.read(BLOCK)
            self._waiting = self._decoder.decode(raw, final=not raw).encode("utf-8", "replace")
            if not raw:
                break
        count = min(len(buffer), len(self._waiting))
        buffer[:count], self._waiting = self._waiting[:count], self._waiting[count:]
        return count


def _chunks(reader: Reader) -> Iterator[tuple[bytearray, int]]:
    """Whole lines in one buffer, which is used again and again, and where they end in it."""
    buffer, filled = bytearray(BLOCK), 0
    while True:
        if filled == len(buffer):  # a line that is longer
            buffer.extend(bytes(filled))
        with memoryview(buffer) as view:
            count = reader.readinto(view[filled:])
        if not count:
            break
        end = buffer.rfind(b"\n", filled, filled + count) + 1
        filled += count
        if end:
            yield buffer, end
            buffer[: filled - end] = buffer[end:filled]
            filled -= end
    if filled:
        yield buffer, filled


def _lines(reader: Reader, needles: Needles) -> Iterator[bytes]:
    for buffer, end in _chunks(reader):
        after = 0
        for place in sorted(needles.places(buffer, end)):
            if place < after:  # on the same line
                continue
            start = buffer.rfind(b"\n", 0, place) + 1
            after = buffer.find(b"\n", place, end) + 1 or end
            yield bytes(buffer[start:after])


def _is_indented(start: bytes) -> bool:
    """Whether a file begins with a JSON document of several lines: no object ends in its first two lines."""
    first, *more = [line for line in start.splitlines()[:20] if line.strip()] or [b""]
    if first.lstrip()[:1] not in (b"{", b"[") or not more:
        return False
    return not any(_has_object(line) for line in (first, more[0])) and first.rstrip()[-1:] in (b"{", b"[", b",")


def _has_object(line: bytes) -> bool:
    text = line.decode("utf-8", "replace")
    try:
        found: Any = json.JSONDecoder().raw_decode(text, text.index("{"))[0]
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict)


def _documents(reader: Reader) -> Iterator[bytes]:
    """Documents end where a closing bracket begins a line, or the next document does."""
    parts: list[bytes] = []
    for line in _every_line(reader):
        if parts and line[:1] in (b"{", b"["):
            yield b"".join(parts)
            parts = []
        parts.append(line)
        if line[:1] in (b"}", b"]"):
            yield b"".join(parts)
            parts = []
    yield b"".join(parts)


def _every_line(reader: Reader) -> Iterator[bytes]:
    for buffer, end in _chunks(reader):
        yield from bytes(buffer[:end]).splitlines(keepends=True)


def follow(request_id: str, files: Iterable[IO[bytes]]) -> Telemetry:
    """What files say of a request: its records, those of its traces, and those of other requests that they name.

    The files are read once for the ID, and again for IDs that are found in them: most requests have none, since an ID
    that we mint is its trace's too.
    """
    telemetry = Telemetry()
    files = list(files)
    searched: set[str] = set()
    new = {request_id}
    while new:
        needles, before = Needles(new), Needles(searched)

        def broken() -> None:
            telemetry.unreadable += 1

        for file in files:
            texts = (text for text in matching(file, needles, broken) if not before.within(text))
            telemetry.read(texts, about=request_id)
        searched |= new
        new = {form for found in related(request_id, telemetry) for form in _forms(found)} - searched
    return telemetry


def _forms(found: str) -> Iterator[str]:
    """An ID as it is written: Jaeger leaves leading zeros out, and Protobuf's JSON has Base64."""
    yield found
    if _TRACE_ID.fullmatch(found):
        yield found.lstrip("0")
        yield base64.b64encode(bytes.fromhex(found)).decode("ascii")
