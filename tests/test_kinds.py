"""Each SLI kind has a golden, a case in promtool's engine, a proof and a page in the documentation."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from itertools import chain
from typing import Any, get_args

import pytest

from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.language.indicators import Sli
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import EventIndicator, Indicator, SliceIndicator
from sloctl.model.selector import Selector
from tests.conftest import TESTS
from tests.proof.test_proofs import KINDS as PROVEN

ALL = [pytest.param(kind, id=kind.key) for kind in get_args(Indicator)]
UNPROVEN = {"query"}
"""The result of the user's own PromQL cannot be turned back into series."""


@cache
def golden() -> list[Slo]:
    found = Diagnostics()
    catalogues = [load([str(spec)], found) for spec in sorted((TESTS / "golden").glob("*/spec"))]
    assert found.errors == []
    return [slo for made in catalogues for slo in made.slos]


def test_the_kinds_of_the_language_are_those_of_the_model() -> None:
    assert sorted(kind.key for kind in get_args(Indicator)) == sorted(Sli.model_fields)
    assert {*get_args(EventIndicator), *get_args(SliceIndicator)} == set(get_args(Indicator))


@pytest.mark.parametrize("kind", ALL)
def test_a_kind_is_in_the_goldens(kind: type[Any]) -> None:
    assert any(isinstance(slo.indicator, kind) for slo in golden())


@pytest.mark.parametrize("kind", ALL)
def test_what_a_kind_counts_is_run_by_promtool(kind: type[Any]) -> None:
    tree = ast.parse((TESTS / "backends" / "prometheus" / "test_kinds.py").read_text(encoding="utf-8"))
    runs = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any(argument.arg == "rule_test" for argument in node.args.args)
    ]
    texts = (node.value for node in chain.from_iterable(map(ast.walk, runs)) if isinstance(node, ast.Constant))
    assert any(isinstance(text, str) and text.startswith(f"{kind.key}: {{") for text in texts)


@pytest.mark.parametrize("kind", ALL)
def test_a_kind_is_proven_from_raw_series(kind: type[Any]) -> None:
    assert any(sli.startswith(f"{{{kind.key}: ") for sli in PROVEN.values()) is not (kind.key in UNPROVEN)


@pytest.mark.parametrize("kind", ALL)
def test_a_kind_has_a_page(kind: type[Any]) -> None:
    page = (TESTS.parent / "docs" / "specification.md").read_text(encoding="utf-8")
    assert f"\n### {kind.key.replace('_', ' ').capitalize()}\n" in page


@pytest.mark.parametrize("kind", ALL)
def test_a_kind_reads_each_selector_that_it_holds(kind: type[Any]) -> None:
    """A metric that is not read is not missed when it vanishes."""
    for slo in (slo for slo in golden() if isinstance(slo.indicator, kind)):
        read = {selector.matchers for selector in slo.indicator.reads().selectors}
        assert read == {selector.matchers for selector in held(slo.indicator)}


def held(indicator: Indicator) -> Iterator[Selector]:
    """The selectors in the fields of an indicator."""
    for value in (getattr(indicator, field.name) for field in fields(indicator)):
        parts = value if isinstance(value, tuple) and not isinstance(value, Selector) else (value,)
        yield from (part for part in parts if isinstance(part, Selector))
