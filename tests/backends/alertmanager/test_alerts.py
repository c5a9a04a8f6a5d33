"""The alerts that routes are made for are exactly those that the rules raise."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sloctl.backends.alertmanager.alerts import all_raised
from sloctl.backends.prometheus.backend import PrometheusBackend
from sloctl.compiler import compile_specs
from tests.conftest import TESTS

SPECS = [TESTS.parent / "slo-specs", *sorted((TESTS / "golden").glob("*/spec"))]


@pytest.mark.parametrize("specs", SPECS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_rule_that_alerts_is_known_with_its_labels(specs: Path) -> None:
    compilation = compile_specs([str(specs)], [PrometheusBackend()])
    rules = [
        rule
        for file in compilation.files
        for group in yaml.safe_load(file.content)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    written = sorted((rule["alert"], sorted(rule["labels"].items())) for rule in rules)
    known = sorted((one.name, sorted(one.labels.items())) for one in all_raised(compilation.catalogue))
    assert known == written
    assert known
