"""Compare a produced tree of files with an expected one on disk, and rewrite the expected one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path


def read_tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path from there; empty where the folder does not exist."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def differences(expected: Mapping[str, bytes], produced: Mapping[str, bytes]) -> str:
    """A unified diff from expected to produced; empty when both are the same, byte by byte."""
    return "\n".join(
        line
        for path in sorted(expected.keys() | produced.keys())
        if expected.get(path) != produced.get(path)
        for line in _diff(path, expected.get(path), produced.get(path))
    )


def rewrite(expected: Path, produced: Mapping[str, bytes]) -> None:
    """Make the expected tree hold the produced files and no other."""
    for path in read_tree(expected).keys() - produced.keys():
        (expected / path).unlink()
    for path, content in produced.items():
        file = expected / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _diff(path: str, before: bytes | None, after: bytes | None) -> Iterator[str]:
    if before is None:
        yield f"not expected: {path}"
    if after is None:
        yield f"not produced: {path}"
        return
    yield from difflib.unified_diff(
        _lines(before or b""), _lines(after), f"expected/{path}", f"produced/{path}", lineterm=""
    )


def _lines(content: bytes) -> list[str]:
    """Lines to show; what differs is visible also where it is a line end or no UTF-8."""
    return content.decode(errors="backslashreplace").replace("\r", "\\r").split("\n")
