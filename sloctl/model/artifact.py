"""What a backend emits: a path below the output folder and the value to be rendered there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file to be written.

    Attributes:
        path: relative, with `/`, below the output folder; its suffix chooses the format.
        value: mappings, lists and scalars.
        sources: paths of the specifications that it comes from.
    """

    path: str
    value: object
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """An artifact as bytes.

    Attributes:
        sources: sha256 of each specification it comes from, by its path.
    """

    path: str
    content: bytes
    sources: Mapping[str, str]
