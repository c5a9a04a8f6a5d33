"""Inheritance: for each key the nearest document that wrote it wins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sloctl.diagnostics import Place, Related
from sloctl.language.document import Inheritable, Platform, Service, Slo
from sloctl.language.fields import Written
from sloctl.language.tree import Absent, Key, Tree

_MERGED: Final = frozenset(
    ("annotations", "buckets", "dashboards", "expect", "labels", "matchers", "policies", "severities", "teams", "texts")
)
"""Mappings that are merged key by key."""


WrittenT = TypeVar("WrittenT", bound=Written)
_DEFAULTS: Final = {
    name: field.default
    for model in (Platform, Service, Slo)
    for name, field in model.model_fields.items()
    if not field.is_required()
}


@dataclass(frozen=True, slots=True)
class Part:
    """One mapping of a document or of what a template brought.

    Attributes:
        tree: all of it, with places.
        keys: the path of the mapping in it.
        use: where a service uses the template that brought the mapping.
    """

    tree: Tree
    keys: tuple[Key, ...] = ()
    use: Place | None = None

    def below(self, *keys: Key) -> Part:
        """The part at this path below the mapping."""
        return Part(self.tree, (*self.keys, *keys), self.use)

    def holds(self, *keys: Key) -> bool:
        """Whether anything is written at this path below the mapping."""
        return not isinstance(self.tree.find(*self.keys, *keys), Absent)

    def place(self, *keys: Key) -> Place:
        """Where the value at this path below the mapping stands."""
        return self.tree.place(*self.keys, *keys)

    def key_place(self, *keys: Key) -> Place:
        """Where the last key of this path below the mapping is written."""
        return self.tree.key_place(*self.keys, *keys)

    @property
    def related(self) -> tuple[Related, ...]:
        """The second place that a finding in a template involves."""
        return () if self.use is None else (Related(self.use, "used here"),)


@dataclass(frozen=True, slots=True)
class Layer(Part):
    """A mapping that can give values to SLOs: an SLO, a Service or a Platform."""

    spec: Inheritable = field(kw_only=True)

    def has(self, key: str) -> bool:
        """Whether the mapping writes this key."""
        return key in self.spec.model_fields_set


@dataclass(frozen=True, slots=True)
class Layers:
    """Mappings from the nearest to the farthest.

    Attributes:
        nearest: the layer that decides, by key; keys that nobody writes are not there.
    """

    stack: tuple[Layer, ...]
    nearest: Mapping[str, Layer] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        nearest: dict[str, Layer] = {}
        for layer in reversed(self.stack):
            nearest.update(dict.fromkeys(layer.spec.model_fields_set, layer))
        object.__setattr__(self, "nearest", nearest)

    def source(self, key: str) -> Layer | None:
        """The nearest layer that writes `key`."""
        return self.nearest.get(key)

    def value(self, key: str) -> Any:
        """The value in force; where nobody writes one, the key's default."""
        layer = self.nearest.get(key)
        return _DEFAULTS[key] if layer is None else getattr(layer.spec, key)

    def place(self, key: str) -> Place | None:
        """Where the value in force was written; None for a default."""
        layer = self.source(key)
        return None if layer is None else layer.place(key)

    def merged(self, key: str) -> dict[str, tuple[Any, Layer]]:
        """A mapping merged by its first-level key, with the layer of each."""
        merged: dict[str, tuple[Any, Layer]] = {}
        for layer in self.writing(key):
            for name, value in getattr(layer.spec, key).items():
                merged.setdefault(name, (value, layer))
        return merged

    @property
    def matchers(self) -> dict[str, tuple[str, Place]]:
        """Label and value of what is added to every selector, with the place that says so."""
        merged = self.merged("matchers")
        return {label: (value, layer.place("matchers", label)) for label, (value, layer) in merged.items()}

    def whole(self, key: str, model: type[WrittenT]) -> WrittenT:
        """A nested mapping merged by its keys, with the defaults of those that nobody writes."""
        merged: dict[str, Any] = {}
        for layer in self.writing(key):
            mapping = getattr(layer.spec, key)
            merged = {name: getattr(mapping, name) for name in mapping.model_fields_set} | merged
        return model.model_construct(**merged)

    def writing(self, key: str) -> Iterator[Layer]:
        """The layers that write `key`, nearest first."""
        return (layer for layer in self.stack if layer.has(key)) if key in self.nearest else iter(())


@dataclass(frozen=True, slots=True, eq=False)
class Places(Mapping[str, Place]):
    """Where each key in force was written, by its path: `objective`, `sli.ratio.bad`, `labels.tier`, `canary.steps.0`.

    Few are ever asked for, so each is looked up when it is.

    Attributes:
        stack: the mappings that can give values, nearest first.
        sli: the one that says what is counted, which `sli: NAME` finds in another SLO.
    """

    stack: tuple[Part, ...]
    sli: Part | None = None

    @classmethod
    def of(cls, parts: Iterable[Part], sli: Part | None = None) -> Places:
        """The places in some parts, nearest first. They hold trees only, so that the documents can be given up."""
        return cls(tuple(part.below() for part in parts), sli and sli.below())

    def __getitem__(self, key: str) -> Place:
        head, *below = key.split(".")
        decides = below[:1] if head in _MERGED else []
        stack = self.stack if head != "sli" or not below or self.sli is None else (self.sli,)
        part = next((part for part in stack if part.holds(head, *decides)), None)
        indices = (int(word) if word.isdigit() else word for word in below)  # items of lists
        path = next((path for path in ((head, *below), (head, *indices)) if part and part.holds(*path)), None)
        if part is None or path is None:
            raise KeyError(key)
        return part.place(*path)

    def __iter__(self) -> Iterator[str]:
        parts = (*self.stack, *((self.sli,) if self.sli else ()))
        paths = (".".join(map(str, path)) for part in parts for path in _paths(part.tree.find(*part.keys)))
        return (path for path in dict.fromkeys(paths) if path in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _paths(value: object) -> Iterator[tuple[Key, ...]]:
    """The paths of all that stands below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (key,)
        yield from ((key, *below) for below in _paths(item))
