"""Incidents that somebody wrote down: a CSV, a JSON list, or what PagerDuty exports."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sloctl.cli.report import escaped

if TYPE_CHECKING:
    from sloctl.history.backtest import KnownIncident

_KEYS: Final = {
    "start": ("start", "created_at", "created_on", "started_at"),
    "end": ("end", "resolved_at", "resolved_on", "ended_at"),
    "services": ("services", "service", "service_name"),
    "name": ("name", "title", "summary", "description", "id"),
}
"""The names that a key of ours has elsewhere; the first that is there counts."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """A value with its place, both counted from 1."""

    value: Any
    line: int
    column: int


def read_incidents(path: Path) -> tuple[KnownIncident, ...]:
    """The incidents of a file.

    Raises:
        click.UsageError: what is wrong, with file, line and column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path}: it is no text in UTF-8") from error
    rows = _json(path, text) if text.lstrip()[:1] in {"[", "{"} else _csv(path, text)
    return tuple(_incident(path, row) for row in rows)


def _csv(path: Path, text: str) -> Iterator[Mapping[str, _Cell]]:
    import csv

    lines = text.splitlines(keepends=True)
    reader = csv.reader(lines, strict=True)
    try:
        head = [name.strip().lower() for name in next(reader, [])]
        first = reader.line_num + 1
        for values in reader:
            if any(value.strip() for value in values):
                row = lines[first - 1]
                yield {
                    name: _Cell(value.strip(), first, max(0, row.find(value)) + 1)
                    for name, value in zip(head, values, strict=False)
                }
            first = reader.line_num + 1
    except csv.Error as error:
        raise _refused(path, _Cell("", reader.line_num, 1), f"no CSV: {error}") from error


def _json(path: Path, text: str) -> Iterator[Mapping[str, _Cell]]:
    """JSON is YAML, whose parser says where a value stands."""
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = _Cell("", mark.line + 1, mark.column + 1) if mark else _Cell("", 1, 1)
        raise _refused(path, place, f"no JSON: {error.problem}") from error
    if isinstance(root, yaml.MappingNode):
        root = next((value for key, value in root.value if key.value == "incidents"), None)
    if not isinstance(root, yaml.SequenceNode):
        raise _refused(path, _Cell("", 1, 1), "a list of incidents is needed, or a mapping with `incidents`")
    for node in root.value:
        if not isinstance(node, yaml.MappingNode):
            raise _refused(path, _place(node), "an incident is a mapping with `start` and `end`")
        yield {str(key.value): _place(value) for key, value in node.value}


def _place(node: Any) -> _Cell:
    return _Cell(_plain(node), node.start_mark.line + 1, node.start_mark.column + 1)


def _plain(node: Any) -> Any:
    if isinstance(node.value, str):
        return node.value
    if node.id == "sequence":
        return [_plain(one) for one in node.value]
    return {str(key.value): _plain(value) for key, value in node.value}


def _incident(path: Path, row: Mapping[str, _Cell]) -> KnownIncident:
    from sloctl.history.backtest import KnownIncident

    start, end = (_moment(path, row, key) for key in ("start", "end"))
    if end <= start:
        raise _refused(path, _cell(row, "end"), "it ends before it begins")
    name = _text(_cell(row, "name").value)
    return KnownIncident(start, end, name, _services(_cell(row, "services").value))


def _cell(row: Mapping[str, _Cell], key: str) -> _Cell:
    found = (row[name] for name in _KEYS[key] if name in row)
    return next(found, _Cell("", next(iter(row.values())).line if row else 1, 1))


def _moment(path: Path, row: Mapping[str, _Cell], key: str) -> int:
    cell = _cell(row, key)
    try:
        moment = datetime.fromisoformat(str(cell.value))
    except ValueError:
        message = f"`{key}` is {cell.value!r}; write a time such as 2026-01-31T12:00:00Z"
        raise _refused(path, cell, message) from None
    if moment.tzinfo is None:
        raise _refused(path, cell, f"`{key}` {cell.value} has no zone; write 2026-01-31T12:00:00Z or +05:30 behind it")
    return round(moment.timestamp() * 1000)


def _text(value: Any) -> str:
    return str(value.get("summary", "")) if isinstance(value, dict) else str(value)


def _services(value: Any) -> tuple[str, ...]:
    """Names of services; a person's `Checkout API` is our `checkout-api`."""
    words = value if isinstance(value, list) else re.split(r"[;|]", value) if isinstance(value, str) else [value]
    texts = (_text(word).strip() for word in words)
    return tuple(re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") for text in texts if text)


def _refused(path: Path, cell: _Cell, message: str) -> click.UsageError:
    return click.UsageError(escaped(f"{path}:{cell.line}:{cell.column}: {message}"))
