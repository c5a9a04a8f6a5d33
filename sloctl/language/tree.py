"""Plain values that remember where they were written."""

from __future__ import annotations

from array import array
from collections.abc import Mapping as AbstractMapping
from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias

from sloctl.diagnostics import Place

Key: TypeAlias = str | int
YamlValue: TypeAlias = "bool | int | Decimal | str | Mapping | Sequence | Refused | None"

COLUMN_BITS: Final = 21  # a file has at most 1 MiB, so neither line nor column needs more


class Refused:
    """Stands for a value that the reader has already complained about."""

    __slots__ = ()


REFUSED: Final = Refused()


class Absent:
    """Stands for a value that was not written."""

    __slots__ = ()


ABSENT: Final = Absent()


class Mapping(dict[str, YamlValue]):
    """A YAML mapping. `marks` holds the packed positions of each key and its value, in order."""

    __slots__ = ("marks",)

    def __init__(self, items: AbstractMapping[str, YamlValue] | None = None, marks: array[int] | None = None) -> None:
        super().__init__(items or {})
        self.marks = array("Q") if marks is None else marks

    def only(self, *keys: str) -> Mapping:
        """The pairs with these keys, with their places."""
        part = Mapping()
        for index, (key, value) in enumerate(self.items()):
            if key in keys:
                part[key] = value
                part.marks.extend(self.marks[2 * index : 2 * index + 2])
        return part


class Sequence(list[YamlValue]):
    """A YAML list. `marks` holds the packed position of each item, in order."""

    __slots__ = ("marks",)

    def __init__(self, items: AbstractSequence[YamlValue] = (), marks: array[int] | None = None) -> None:
        super().__init__(items)
        self.marks = array("Q") if marks is None else marks


def packed(line: int, column: int) -> int:
    """One number for a position; both count from 0, as libyaml does."""
    return line << COLUMN_BITS | column


def place_at(path: str, mark: int) -> Place:
    """The position as people count, from 1."""
    return Place(path, (mark >> COLUMN_BITS) + 1, (mark & (1 << COLUMN_BITS) - 1) + 1)


@dataclass(frozen=True, slots=True)
class Tree:
    """One document as written: its value, and where each part of it stands.

    Attributes:
        path: the file, as named by the user.
        value: the document's value, usually a `Mapping`.
        mark: packed position of the document.
        origins: places of values that were put in from elsewhere (template arguments), by key path.
    """

    path: str
    value: YamlValue
    mark: int
    origins: AbstractMapping[tuple[Key, ...], Place] = field(default_factory=dict)

    def place(self, *keys: Key) -> Place:
        """Where the value at this key path stands, or else the nearest value around it."""
        _, value_mark, known = self._marks(keys)
        for length in range(len(known), 0, -1):
            if known[:length] in self.origins:
                return self.origins[known[:length]]
        return place_at(self.path, value_mark)

    def key_place(self, *keys: Key) -> Place:
        """Where the last key of this path is written, or else the nearest value around it."""
        key_mark, _, _ = self._marks(keys)
        return place_at(self.path, key_mark)

    def written_place(self, *keys: Key) -> Place:
        """As `place`, but within this file even where the value was put in from elsewhere."""
        _, value_mark, _ = self._marks(keys)
        return place_at(self.path, value_mark)

    def find(self, *keys: Key) -> YamlValue | Absent:
        """The value at this key path, or `ABSENT`."""
        node: YamlValue = self.value
        for key in keys:
            match node, key:
                case Mapping(), str() if key in node:
                    node = node[key]
                case Sequence(), int() if 0 <= key < len(node):
                    node = node[key]
                case _:
                    return ABSENT
        return node

    def _marks(self, keys: tuple[Key, ...]) -> tuple[int, int, tuple[Key, ...]]:
        """Packed positions of key and value, and the part of the path that exists."""
        node, key_mark, mark = self.value, self.mark, self.mark
        for depth, key in enumerate(keys):
            match node, key:
                case Mapping(), str() if key in node:
                    index = 2 * next(index for index, each in enumerate(node) if each == key)
                    key_mark, mark = node.marks[index], node.marks[index + 1]
                    node = node[key]
                case Sequence(), int() if 0 <= key < len(node):
                    key_mark = mark = node.marks[key]
                    node = node[key]
                case _:
                    return mark, mark, keys[:depth]
        return key_mark, mark, keys
