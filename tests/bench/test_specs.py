"""What the compiler is measured with is what it is said to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from bench.specs import KINDS, write_short_specs, write_specs
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.selector import Expression, Selector

COUNT = 400


@pytest.fixture(params=[write_specs, write_short_specs], ids=["long", "short"])
def catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> Catalogue:
    write: Callable[[Path, int], None] = request.param
    write(tmp_path / "slo-specs", COUNT)
    found = Diagnostics()
    loaded = load([str(tmp_path / "slo-specs")], found, root=tmp_path)
    assert found.errors == []
    return loaded


def selectors(slo: Slo) -> Iterator[Selector]:
    """Those of the SLI, with bad ones only where they are not a part of the total."""
    for field in fields(slo.indicator):
        value = getattr(slo.indicator, field.name)
        if isinstance(value, Selector):
            yield value
        elif isinstance(value, Expression):
            yield from value.selectors
        elif isinstance(value, tuple):
            yield from (each for each in value if isinstance(each, Selector))


def test_no_two_slos_have_a_selector_in_common(catalogue: Catalogue) -> None:
    owners: dict[Selector, str] = {}
    for slo in catalogue.slos:
        for selector in selectors(slo):
            assert owners.setdefault(selector, slo.id) == slo.id


def test_there_are_as_many_slos_as_asked_for_and_of_all_kinds(catalogue: Catalogue) -> None:
    kinds = [type(slo.indicator).__name__.lower() for slo in catalogue.slos]
    assert len(kinds) == COUNT
    assert set(kinds) == set(KINDS)


def test_a_specification_has_about_30_lines(tmp_path: Path) -> None:
    write_specs(tmp_path / "specs", COUNT)
    lengths = [len(file.read_text().splitlines()) for file in (tmp_path / "specs").glob("service-*.yaml")]
    assert 28 <= sum(lengths) / COUNT <= 32
