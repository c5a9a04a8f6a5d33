"""What pyproject.toml says of the project."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

from packaging.requirements import Requirement

from testing.servers import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
BASE = [Requirement(text) for text in PROJECT["dependencies"]]


def brought_by(extra: str) -> Iterator[Requirement]:
    """What an extra names beside the base installation, with the extras in it."""
    for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
        if requirement.name == PROJECT["name"]:
            for further in requirement.extras:
                yield from brought_by(further)
        else:
            yield requirement
