"""The templates of the shipped specifications."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from sloctl.backends.table import BACKENDS
from sloctl.compiler import compile_specs
from testing.servers import ROOT


@pytest.fixture(scope="session")
def files() -> dict[str, Any]:
    """Every file of the backend, read."""
    compilation = compile_specs([str(ROOT / "slo-specs")], [BACKENDS["argo"]])
    assert not compilation.found.errors
    return {file.path: yaml.safe_load(file.content) for file in compilation.files}


@pytest.fixture(scope="session")
def templates(files: dict[str, Any]) -> dict[str, Any]:
    """Every AnalysisTemplate, by its name."""
    lists = [value for value in files.values() if value["kind"] == "List"]
    return {item["metadata"]["name"]: item for value in lists for item in value["items"]}
