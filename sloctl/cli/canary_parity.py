"""Comparing the results of two versions: numbers within a tolerance, everything else exactly.

Results are records with a key, in JSON (a list), JSON Lines or CSV. NaN equals NaN, a missing record or field is a
mismatch, and numbers are compared as the decimals that were written.
"""

from __future__ import annotations

import csv
import heapq
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, TypeAlias

from sloctl.errors import OutsideError, SloctlError

PlainValue: TypeAlias = Any
_NUMBER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?")
"""What a number looks like in CSV; `007` is a category."""
_NOT_FINITE: Final = {
    "NaN": "nan",
    "nan": "nan",
    "NAN": "nan",
    "Infinity": "inf",
    "inf": "inf",
    "-Infinity": "-inf",
    "-inf": "-inf",
}


class ParityError(SloctlError):
    """A file holds no records that could be compared; the message begins with its place."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs.

    Attributes:
        key: of the record.
        field: path of the field, such as `total.amount`; empty for a whole record.
        by: the relative difference, infinite where it is no difference of numbers.
    """

    key: str
    field: str
    old: str
    new: str
    by: float


@dataclass(frozen=True, slots=True)
class ParityReport:
    """What a comparison found.

    Attributes:
        records: keys in either file.
        mismatches: keys with at least one difference.
        worst: the largest differences, largest first.
    """

    records: int
    mismatches: int
    worst: tuple[Difference, ...]

    @property
    def ratio(self) -> float:
        """The share of records that do not match."""
        return self.mismatches / self.records if self.records else 0.0


def compare(old: Path, new: Path, key: str, tolerance: Decimal, worst: int = 10) -> ParityReport:
    """Compare the records of two files.

    Args:
        old: results of the stable version.
        new: results of the canary.
        key: the field that identifies a record.
        tolerance: relative, such as 0.001; of the larger of both numbers.
        worst: how many differences to keep.

    Raises:
        ParityError: a file is none of the formats, or a key is missing, no plain value, or there twice.
        OutsideError: a file cannot be read.
    """
    before, after = keyed(old, key), keyed(new, key)
    keys = sorted(before.keys() | after.keys())
    mismatches, found = 0, list[Difference]()
    for name in keys:
        differences = list(_record(name, before.get(name), after.get(name), tolerance))
        mismatches += bool(differences)
        found = heapq.nlargest(worst, [*found, *differences], key=lambda difference: difference.by)
    return ParityReport(len(keys), mismatches, tuple(found))


def keyed(path: Path, key: str) -> dict[str, Mapping[str, PlainValue]]:
    """The records of a file by their key."""
    found: dict[str, Mapping[str, PlainValue]] = {}
    lines: dict[str, int] = {}
    for line, record in _records(path):
        if key not in record:
            raise ParityError(f"{path}:{line}:1: the record has no `{key}`; name the field that identifies it by --key")
        value = record[key]
        if isinstance(value, dict | list) or value is None or _is_nan(value):
            raise ParityError(f"{path}:{line}:1: `{key}` is no text or number here")
        name = str(value)
        if name in found:
            raise ParityError(f"{path}:{line}:1: `{key}` {name!r} is there twice, first in line {lines[name]}")
        found[name], lines[name] = record, line
    return found


def _record(key: str, old: PlainValue, new: PlainValue, tolerance: Decimal) -> Iterator[Difference]:
    if old is None or new is None:
        missing = "missing"
        yield Difference(key, "", missing if old is None else "there", missing if new is None else "there", math.inf)
        return
    for field, before, after in _leaves(old, new, ""):
        by = difference(before, after)
        if by > tolerance:
            yield Difference(key, field, _shown(before), _shown(after), float(by))


_MISSING: Final = object()


def _leaves(old: PlainValue, new: PlainValue, path: str) -> Iterator[tuple[str, PlainValue, PlainValue]]:
    """Pairs of plain values at the same place; a place that only one has is paired with nothing."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _leaves(old.get(name, _MISSING), new.get(name, _MISSING), f"{path}.{name}" if path else name)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before, after = (side[index] if index < len(side) else _MISSING for side in (old, new))
            yield from _leaves(before, after, f"{path}[{index}]")
    else:
        yield path, old, new


def difference(old: PlainValue, new: PlainValue) -> Decimal:
    """How far two plain values are apart: 0 for equal ones, relative for numbers, infinite for anything else."""
    infinite = Decimal("Infinity")
    if not (isinstance(old, Decimal) and isinstance(new, Decimal)):
        return Decimal(0) if type(old) is type(new) and old == new else infinite
    if old.is_nan() or new.is_nan():
        return Decimal(0) if old.is_nan() and new.is_nan() else infinite
    if old == new:
        return Decimal(0)
    if not (old.is_finite() and new.is_finite()):
        return infinite
    return abs(old - new) / max(abs(old), abs(new))


def _is_nan(value: PlainValue) -> bool:
    return isinstance(value, Decimal) and value.is_nan()


def _shown(value: PlainValue) -> str:
    if value is _MISSING:
        return "missing"
    text = str(value) if isinstance(value, Decimal | str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _records(path: Path) -> Iterator[tuple[int, Mapping[str, PlainValue]]]:
    """Each record with the line on which it begins."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParityError(f"{path}:1:1: this is no UTF-8 text: {error.reason}") from error
    except OSError as error:
        raise OutsideError(f"{path} cannot be read: {error.strerror}") from error
    read = FORMATS.get(path.suffix.lower())
    if read is None:
        raise ParityError(f"{path}:1:1: a file is {', '.join(FORMATS)}; `{path.suffix}` is none of them")
    yield from read(path, text)


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, PlainValue]]]:
    for line, row in enumerate(text.split("\n"), start=1):
        if row.strip():
            yield line, _object(path, line, _parsed(path, line, row))


def _json(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, PlainValue]]]:
    records = _parsed(path, 1, text)
    if not isinstance(records, list):
        raise ParityError(f"{path}:1:1: a JSON file holds a list of records; for one a line name it .jsonl")
    for record in records:
        yield 1, _object(path, 1, record)


def _csv(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, PlainValue]]]:
    rows = csv.DictReader(text.splitlines(keepends=True), strict=True)
    try:
        for row in rows:
            if None in row or None in row.values():
                raise ParityError(f"{path}:{rows.line_num}:1: the row has not as many fields as the head")
            yield rows.line_num, {name: _cell(value) for name, value in row.items()}
    except csv.Error as error:
        raise ParityError(f"{path}:{rows.line_num}:1: this is not CSV: {error}") from error


FORMATS: Final[dict[str, Callable[[Path, str], Iterable[tuple[int, Mapping[str, PlainValue]]]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _csv,
}


def _parsed(path: Path, line: int, text: str) -> PlainValue:
    try:
        return json.loads(text, parse_int=_decimal, parse_float=_decimal, parse_constant=_constant)
    except json.JSONDecodeError as error:
        place = f"{path}:{line + error.lineno - 1}:{error.colno}"
        raise ParityError(f"{place}: this is not JSON: {error.msg}") from error
    except (RecursionError, InvalidOperation) as error:
        raise ParityError(f"{path}:{line}:1: this is nested too deeply, or holds no number") from error


def _object(path: Path, line: int, record: PlainValue) -> Mapping[str, PlainValue]:
    if isinstance(record, dict):
        return record
    raise ParityError(f'{path}:{line}:1: a record is an object such as {{"id": 7}}')


def _decimal(text: str) -> Decimal:
    return Decimal(text)


def _constant(text: str) -> Decimal:
    return Decimal(_NOT_FINITE[text])


def _cell(text: str) -> PlainValue:
    """A cell of CSV: a number when it is written as one."""
    stripped = text.strip()
    if stripped in _NOT_FINITE:
        return Decimal(_NOT_FINITE[stripped])
    if stripped and any(char.isdigit() for char in stripped) and _NUMBER.fullmatch(stripped):
        return Decimal(stripped)
    return text
