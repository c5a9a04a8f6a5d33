"""Inheritance: for each key the nearest document that wrote it wins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sloctl.diagnostics import Place, Related
from sloctl.spec.document import Inheritable
from sloctl.spec.indicators import Sli
from sloctl.spec.tree import Key

_MERGED: Final = ("annotations", "dashboards", "labels", "severities", "texts")


class Located(Protocol):
    """A document, or what a template brought: something whose values have places."""

    def place(self, *keys: Key) -> Place:
        """Where the value at this path stands."""
        ...

    def key_place(self, *keys: Key) -> Place:
        """Where the last key of this path is written."""
        ...


@dataclass(frozen=True, slots=True)
class Layer:
    """One mapping that can give values: an SLO, a Service or a Platform.

    Attributes:
        keys: the path of the mapping in its document.
        use: where a service uses the template that brought the mapping.
    """

    spec: Inheritable
    document: Located
    keys: tuple[Key, ...] = ()
    use: Place | None = None

    def has(self, key: str) -> bool:
        """Whether the mapping writes this key."""
        return key in self.spec.model_fields_set

    def place(self, *keys: Key) -> Place:
        """Where the value at this path below the mapping stands."""
        return self.document.place(*self.keys, *keys)

    def key_place(self, *keys: Key) -> Place:
        """Where the last key of this path below the mapping is written."""
        return self.document.key_place(*self.keys, *keys)

    @property
    def related(self) -> tuple[Related, ...]:
        """The second place that a finding in a template involves."""
        return () if self.use is None else (Related(self.use, "used here"),)


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

    def value(self, key: str, default: Any = None) -> Any:
        """The value in force."""
        layer = self.nearest.get(key)
        return default if layer is None else getattr(layer.spec, key)

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

    def fields(self, key: str, *names: str) -> dict[str, Any]:
        """A nested model merged by its fields; what nobody writes is left out."""
        merged: dict[str, Any] = {}
        for layer in self.writing(key):
            model = getattr(layer.spec, key)
            for name in names:
                if name in model.model_fields_set:
                    merged.setdefault(name, getattr(model, name))
        return merged

    def writing(self, key: str) -> Iterator[Layer]:
        """The layers that write `key`, nearest first."""
        return (layer for layer in self.stack if layer.has(key)) if key in self.nearest else iter(())


@dataclass(frozen=True, slots=True, eq=False)
class Places(Mapping[str, Place]):
    """Where each key in force was written, each key of the SLI as `sli.ratio.bad`, and each label as `labels.tier`.

    Few are ever asked for, so each is looked up when it is.

    Attributes:
        sli: the layer that says what is counted, which `sli: NAME` finds in another SLO.
    """

    layers: Layers
    sli: Layer | None = None

    def __getitem__(self, key: str) -> Place:
        if self.sli is not None and key in self._sli_keys:
            return self.sli.place(*key.split("."))
        if key in self.layers.nearest:
            return self.layers.nearest[key].place(key)
        return self._merged[key].place(*key.split(".", 1))

    def __iter__(self) -> Iterator[str]:
        return iter((*self.layers.nearest, *self._sli_keys, *self._merged))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def _merged(self) -> dict[str, Layer]:
        """The layer of each key below one that is merged by its first-level keys."""
        below: dict[str, Layer] = {}
        for key in _MERGED:
            for layer in self.layers.writing(key):
                value = getattr(layer.spec, key)
                names = value if isinstance(value, dict) else value.model_fields_set
                below |= {f"{key}.{name}": layer for name in names if f"{key}.{name}" not in below}
        return below

    @property
    def _sli_keys(self) -> tuple[str, ...]:
        written = getattr(self.sli.spec, "sli", None) if self.sli is not None else None
        if not isinstance(written, Sli):
            return ()
        return tuple(f"sli.{written.kind}.{key}" for key in sorted(written.indicator.model_fields_set))
