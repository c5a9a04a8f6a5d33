"""Other tools' YAML as trees: anchors, aliases and merge keys are read, as far as they stay small."""

from __future__ import annotations

from array import array
from typing import Any, Final

import yaml

from sloctl.diagnostics import Diagnostics
from sloctl.language.reader import MAX_VALUES, Reader, mark_of, read_text
from sloctl.language.tree import REFUSED, Mapping, Sequence, Tree, YamlValue

_MERGE: Final = "<<"


def read_foreign_text(text: bytes, path: str, found: Diagnostics) -> list[Tree]:
    """The documents of a file of another tool, in order; what is wrong with it is added to `found`.

    All limits of `read_text` hold. What an alias stands for counts as if it were written out, and is placed
    where its anchor stands.
    """
    return read_text(text, path, found, _LenientReader)


class _LenientReader(Reader):
    """Keeps what each anchor names, once it has ended, and how many values it holds."""

    def __init__(self, path: str, found: Diagnostics) -> None:
        super().__init__(path, found)
        self.anchors: dict[str, tuple[YamlValue, int]] = {}
        self.open_anchors: list[tuple[str | None, int]] = []

    def _refuse_extras(self, event: Any, mark: int) -> None:
        """Tags are left out: all values of the documents that are read here are text, numbers or collections."""

    def _start_document(self, event: yaml.DocumentStartEvent) -> None:  # noqa: ARG002 - versions and tags are left out
        self.anchors.clear()

    def _start(self, collection: Mapping | Sequence, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        super()._start(collection, event)
        self.open_anchors.append((event.anchor, self.values))

    def _end(self, event: yaml.Event) -> None:
        anchor, before = self.open_anchors.pop()
        collection = self.parent
        if isinstance(collection, Mapping) and _MERGE in collection:
            _merge(collection)
        super()._end(event)
        if anchor is not None:
            self.anchors[anchor] = collection, self.values - before + 1

    def _scalar(self, event: Any) -> None:
        super()._scalar(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = event.value, 1

    def _plain(self, text: str, mark: int) -> YamlValue:
        return text if text == _MERGE else super()._plain(text, mark)

    def _alias(self, event: yaml.AliasEvent) -> None:
        mark = mark_of(event)
        if event.anchor not in self.anchors:
            message = f"`*{str(event.anchor)[:80]}` names nothing that has ended before it"
            self._error("SLO008", mark, message, "write the value out")
            self._add(REFUSED, mark)
            return
        value, size = self.anchors[event.anchor]
        self.values = min(self.values + size, MAX_VALUES)
        self._add(value, mark)


def _merge(mapping: Mapping) -> None:
    """What `<<` names, below the mapping's own keys."""
    pairs = _pairs(mapping)
    merged, _ = pairs.pop(_MERGE)
    for other in merged if isinstance(merged, Sequence) else [merged]:
        if isinstance(other, Mapping):
            pairs = {**_pairs(other), **pairs}
    mapping.clear()
    del mapping.marks[:]
    for key, (value, marks) in pairs.items():
        mapping[key] = value
        mapping.marks.extend(marks)


def _pairs(mapping: Mapping) -> dict[str, tuple[YamlValue, array[int]]]:
    return {key: (value, mapping.marks[2 * at : 2 * at + 2]) for at, (key, value) in enumerate(mapping.items())}
