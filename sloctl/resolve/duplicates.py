"""What stands twice where a name must be one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def duplicates(items: Iterable[T], name: Callable[[T], str]) -> Iterator[tuple[T, T]]:
    """Each item whose name an earlier one has, with that."""
    first: dict[str, T] = {}
    for item in items:
        other = first.setdefault(name(item), item)
        if other is not item:
            yield item, other
