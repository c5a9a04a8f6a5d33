"""What a backend is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from sloctl.model.artifact import Artifact
from sloctl.model.catalogue import Catalogue


class Backend(Protocol):
    """One kind of output.

    Attributes:
        name: what `--only` takes.
        folders: the folders below the output folder that this backend owns wholly.
    """

    @property
    def name(self) -> str: ...

    @property
    def folders(self) -> tuple[str, ...]: ...

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """The artifacts of a catalogue, in a stable order; a function of the catalogue alone."""
        ...
