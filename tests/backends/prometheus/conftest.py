"""Catalogues written as specifications, and promtool's rule engine on what they compile to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from sloctl.backends.table import BACKENDS
from sloctl.compiler import compile_specs
from tests.conftest import Promtool

RuleTest = Callable[..., None]


def write_rules(spec: str, folder: Path) -> Path:
    """Compile one specification; the rule file of its only service."""
    (folder / "spec.yaml").write_text(spec)
    compilation = compile_specs([str(folder / "spec.yaml")], [BACKENDS["prometheus"]])
    assert compilation.found.errors == []
    for file in compilation.files:
        if file.path.startswith("rules/prometheus/") and "_sloctl" not in file.path:
            (folder / "rules.yaml").write_bytes(file.content)
    return folder / "rules.yaml"


@pytest.fixture
def rule_test(promtool: Promtool, tmp_path: Path) -> RuleTest:
    """Run the rules of a specification on input series in promtool's engine and compare.

    Every group is evaluated at `every`, as promtool does; `only` keeps the groups whose names end so.
    """

    def run(
        spec: str,
        series: Mapping[str, str],
        *,
        values: Sequence[tuple[str, str, list[dict[str, Any]]]] = (),
        alerts: Sequence[tuple[str, str, list[dict[str, Any]]]] = (),
        interval: str = "30s",
        every: str = "1m",
        only: str = "",
    ) -> None:
        rules = write_rules(spec, tmp_path)
        if only:
            groups = [group for group in yaml.safe_load(rules.read_text())["groups"] if group["name"].endswith(only)]
            rules.write_text(json.dumps({"groups": groups}))
        test = {
            "rule_files": [str(rules)],
            "evaluation_interval": every,
            "tests": [
                {
                    "interval": interval,
                    "input_series": [{"series": name, "values": points} for name, points in series.items()],
                    "promql_expr_test": [
                        {"expr": expr, "eval_time": at, "exp_samples": samples} for at, expr, samples in values
                    ],
                    "alert_rule_test": [
                        {"eval_time": at, "alertname": name, "exp_alerts": expected} for at, name, expected in alerts
                    ],
                }
            ],
        }
        file = tmp_path / "test.yaml"
        file.write_text(json.dumps(test))
        ran = promtool("test", "rules", file)
        assert ran.returncode == 0, ran.stdout

    return run
