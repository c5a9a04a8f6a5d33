"""The templates that come with sloctl, one a source of metrics; a service uses them as `std/NAME`."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Final

from sloctl.diagnostics import Diagnostics
from sloctl.language.document import Document, parse_documents

PREFIX: Final = "std/"


@lru_cache(maxsize=1)
def std_names() -> tuple[str, ...]:
    """The names of all of them, `std/` included, sorted."""
    files = resources.files("sloctl").joinpath("std").iterdir()
    return tuple(sorted(PREFIX + file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


@lru_cache(maxsize=64)
def std_text(name: str) -> str:
    """The document of the template `name`, with its comments."""
    file = resources.files("sloctl").joinpath("std", f"{name.removeprefix(PREFIX)}.yaml")
    return file.read_text(encoding="utf-8")


@lru_cache(maxsize=64)
def std_template(name: str) -> Document:
    """The template `name`, one of `std_names`."""
    found = Diagnostics()
    [document] = parse_documents(std_text(name).encode(), f"{name}.yaml", found)
    return document
