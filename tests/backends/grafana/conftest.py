"""The dashboards of the project's own specifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sloctl.backends.grafana.backend import GrafanaBackend
from sloctl.compiler import compile_specs
from sloctl.model.catalogue import Catalogue
from testing.servers import ROOT

Dashboards = Mapping[str, Mapping[str, Any]]


def catalogue_of(*paths: str) -> Catalogue:
    compilation = compile_specs(paths, [])
    assert compilation.found.errors == []
    return compilation.catalogue


def dashboards_of(catalogue: Catalogue) -> dict[str, Any]:
    return {artifact.path: artifact.value for artifact in GrafanaBackend().compile(catalogue)}


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return catalogue_of(str(ROOT / "slo-specs"))


@pytest.fixture(scope="session")
def dashboards(catalogue: Catalogue) -> Dashboards:
    """Every dashboard of `slo-specs/`, by path."""
    return dashboards_of(catalogue)
