"""How files differ from what the specifications say, in so many lines that a CI log stays readable."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from sloctl.artifacts import Change, Drift
from sloctl.cli.report import escaped

_LINES_A_FILE: Final = 60
_FILES: Final = 20
_COMPARED: Final = 20_000  # lines; comparing longer files takes minutes


def lines(drift: list[Drift], output: Path) -> Iterator[str]:
    """Each file that differs, with a unified diff of the first ones that changed."""
    shown = 0
    for one in drift:
        yield f"{one.change.value}: {output / one.path}"
        if one.change is Change.CHANGED and shown < _FILES:
            shown += 1
            yield from _bounded_diff(one)
    changed = sum(one.change is Change.CHANGED for one in drift)
    if changed > shown:
        yield f"({changed - shown} more changed files are not shown line by line)"


def _bounded_diff(one: Drift) -> Iterator[str]:
    before, after = (text.decode(errors="backslashreplace").split("\n") for text in (one.before, one.after))
    if len(before) + len(after) > _COMPARED:
        yield "  (too long to be compared line by line)"
        return
    diff = difflib.unified_diff(before, after, f"{one.path} (there)", f"{one.path} (specified)", lineterm="")
    yield from (escaped(line) for line in islice(diff, _LINES_A_FILE))
    if next(diff, None) is not None:
        yield f"  (more than {_LINES_A_FILE} lines differ)"
