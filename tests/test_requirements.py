"""The lock in `requirements/` is what pyproject.toml allows, and nothing of the machine that made it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from testing.servers import ROOT
from tests.project import BASE, PROJECT, PYPROJECT, brought_by

LOCKS = ROOT / "requirements"
PINNED = re.compile(
    r"^(?P<requirement>[a-z0-9.-]+==\S+)(?: ; (?P<marker>.*?))? \\\n(?P<hashes>(?: +--hash=.*\n)+)", re.M
)
FIRST_MINOR, LAST_MINOR = 11, 13


def locked(name: str, minor: int) -> dict[str, Version]:
    """The versions that a lock file names for one Python on Linux."""
    environment = {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.9"}
    found = {}
    for match in PINNED.finditer((LOCKS / name).read_text(encoding="utf-8")):
        pin = Requirement("; ".join(filter(None, (match["requirement"], match["marker"]))))
        if pin.marker is None or pin.marker.evaluate(environment):
            [exactly] = pin.specifier
            found[pin.name] = Version(exactly.version)
    return found


@pytest.mark.parametrize("minor", range(FIRST_MINOR, LAST_MINOR + 1))
@pytest.mark.parametrize("name", ["base", "demo", "dev"])
def test_each_dependency_of_the_project_is_locked_within_its_bounds(name: str, minor: int) -> None:
    versions = locked(f"{name}.txt", minor)
    asked = [*BASE, *(brought_by(name) if name != "base" else ())]
    missing = [str(requirement) for requirement in asked if requirement.name not in versions]
    assert not missing, f"run `make lock`: requirements/{name}.txt lacks {missing}"
    outside = [str(r) for r in asked if not r.specifier.contains(versions[r.name], prereleases=True)]
    assert not outside, f"run `make lock`: requirements/{name}.txt is outside of {outside}"


def test_what_builds_and_installs_the_project_is_locked_within_its_bounds() -> None:
    group = [Requirement(text) for text in PYPROJECT["dependency-groups"]["install"]]
    assert {*PYPROJECT["build-system"]["requires"]} <= {str(requirement) for requirement in group}
    versions = locked("install.txt", FIRST_MINOR)
    assert all(requirement.specifier.contains(versions[requirement.name]) for requirement in group)


@pytest.mark.parametrize("minor", range(FIRST_MINOR, LAST_MINOR + 1))
def test_each_environment_is_a_part_of_the_next(minor: int) -> None:
    base, demo, dev = (locked(name, minor) for name in ("base.txt", "demo.txt", "dev.txt"))
    assert base.items() < demo.items() < dev.items()
    shared = locked("install.txt", minor)
    assert {name: version for name, version in shared.items() if dev.get(name, version) != version} == {}


@pytest.mark.parametrize("path", sorted(LOCKS.iterdir()), ids=lambda path: path.name)
def test_a_lock_is_hashes_only_and_names_neither_an_address_nor_a_folder(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "//" not in text
    assert not re.search(r"(^|\s)/|--(extra-)?index-url|--find-links|file:", text)
    without_pins = PINNED.sub("", text)
    assert [line for line in without_pins.splitlines() if not line.lstrip().startswith("#")] == []


def test_the_pythons_of_the_classifiers_are_those_of_the_lock_and_of_the_bounds() -> None:
    prefix = "Programming Language :: Python :: 3."
    minors = [int(text.removeprefix(prefix)) for text in PROJECT["classifiers"] if text.startswith(prefix)]
    assert minors == list(range(FIRST_MINOR, LAST_MINOR + 1))
    assert PROJECT["requires-python"] == f">=3.{FIRST_MINOR}"
    assert f"--python-version 3.{FIRST_MINOR} " in (ROOT / "tools/lock").read_text(encoding="utf-8")
