"""What the inventory lists is what the rules hold, and nobody else knows the names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sloctl import conventions
from sloctl.backends.prometheus.backend import PrometheusBackend
from sloctl.backends.table import BACKENDS
from sloctl.compiler import compile_specs
from sloctl.conventions import inventory
from sloctl.conventions.inventory import Metric
from sloctl.live.status import Status, read_status
from sloctl.model.catalogue import Catalogue
from sloctl.prometheus import Sample
from sloctl.proof.slos import proofs
from tests.conftest import TESTS

ROOT = TESTS.parent
SPECS = [ROOT / "slo-specs", *sorted((TESTS / "golden").glob("*/spec"))]
EVERY_METRIC = """
apiVersion: sloctl/v1
kind: Platform
name: shop
---
apiVersion: sloctl/v1
kind: Service
service: api
slos:
  - name: ok
    objective: 99.9%
    by: [tenant]
    window: {calendar: month, time_zone: UTC}
    sli: {ratio: {total: requests_total, bad_if: 'code="500"'}}
    sla: {value: contract_usd, credits: [{below: 99%, credit: 10%}]}
    alerts: [{severity: P1, burn: 14.4, over: 1h, also_over: 5m}, {severity: P2, budget_left: 25%, notify: [chat]}]
  - name: fast
    objective: 99%
    sli: {latency: {histogram: request_seconds, at_most: 300ms}}
    regression: {quantile: 75%, over: 1d, earlier: 7d, worse_by: 10%, severity: P2}
  - name: full
    objective: 99%
    sli: {saturation: {used: used, capacity: size, at_most: 85%}}
    forecast: {within: 15d}
"""
RECORDED = re.compile(r"slo:[a-z_]+:[a-z]")
NAMES = sorted({value for value in vars(conventions).values() if isinstance(value, str) and RECORDED.match(value)})


def written(specs: Path) -> tuple[Catalogue, list[dict[str, Any]]]:
    compilation = compile_specs([str(specs)], [PrometheusBackend()])
    groups = [group for file in compilation.files for group in yaml.safe_load(file.content)["groups"]]
    return compilation.catalogue, [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("specs", SPECS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_alert_of_the_rules_is_known_with_its_labels(specs: Path) -> None:
    catalogue, rules = written(specs)
    raised = sorted((rule["alert"], sorted(rule["labels"].items())) for rule in rules if "alert" in rule)
    assert raised
    known = (alert for platform in catalogue.platforms for alert in inventory.platform_alerts(platform))
    assert sorted((alert.name, sorted(alert.labels.items())) for alert in known) == raised


@pytest.mark.parametrize("specs", SPECS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_recording_of_the_rules_is_known_with_its_labels(specs: Path) -> None:
    catalogue, rules = written(specs)
    recorded = sorted((rule["record"], sorted(rule["labels"].items())) for rule in rules if "record" in rule)
    assert recorded
    known = [
        *(
            found
            for platform in catalogue.platforms
            for slo in platform.slos
            for found in inventory.recordings(platform, slo)
        ),
        *(
            found
            for platform in catalogue.platforms
            for _, *pair in inventory.calendar_recordings(platform)
            for found in pair
        ),
    ]
    assert sorted((recording.name, sorted(recording.labels.items())) for recording in known) == recorded


def test_the_specifications_of_these_tests_hold_every_metric() -> None:
    catalogues = [written(specs)[0] for specs in SPECS]
    platforms = [platform for catalogue in catalogues for platform in catalogue.platforms]
    held = {
        found.metric for platform in platforms for slo in platform.slos for found in inventory.recordings(platform, slo)
    }
    held |= {
        found.metric for platform in platforms for _, *pair in inventory.calendar_recordings(platform) for found in pair
    }
    assert held == set(Metric)


def literals(file: Path) -> Iterator[ast.Constant]:
    """The texts of a module, without docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node


def test_only_the_conventions_write_recorded_names() -> None:
    modules = [
        file for part in ("sloctl", "bench", "examples", "testing", "tools") for file in (ROOT / part).rglob("*.py")
    ]
    found = [
        f"{file.relative_to(ROOT)}:{text.lineno}: {text.value!r}"
        for file in modules
        for text in literals(file)
        if RECORDED.search(text.value) and "conventions" not in file.parts
    ]
    assert found == []
    assert any(RECORDED.search(text.value) for text in literals(ROOT / "sloctl" / "conventions" / "__init__.py"))


class Recorded:
    """A Prometheus that has one sample of each recording, and of each tier's alert."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.samples = list(self._samples(catalogue))

    def _samples(self, catalogue: Catalogue) -> Iterator[Sample]:
        for platform in catalogue.platforms:
            for slo in platform.slos:
                split = dict.fromkeys(slo.split_labels, "a")
                for recording in inventory.recordings(platform, slo):
                    own = {} if recording.metric is Metric.OBJECTIVE else split
                    yield Sample({"__name__": recording.name, **recording.labels, **own}, 0.5, 0)
                for alert in inventory.alerts(platform, slo):
                    own = dict.fromkeys(alert.split, "a")
                    labels = {"__name__": "ALERTS", "alertname": alert.name, "alertstate": "firing"}
                    yield Sample({**labels, **alert.labels, **own}, 1, 0)

    def get(self, path: str, parameters: dict[str, str]) -> dict[str, str]:
        return {}

    def query(self, promql: str, at: float | None = None) -> Iterable[Sample]:
        names = promql.split('"')[1] if promql.startswith("{") else promql.split("{", maxsplit=1)[0]
        return [sample for sample in self.samples if re.fullmatch(names, sample.labels["__name__"])]


def everything(folder: Path) -> tuple[str, list[Status]]:
    """What is made of specifications: files and proofs; and the status."""
    (folder / "spec.yaml").write_text(EVERY_METRIC)
    compilation = compile_specs([str(folder / "spec.yaml")], BACKENDS.values())
    assert compilation.found.errors == []
    texts = [file.content.decode() for file in compilation.files]
    for proof in proofs(compilation.catalogue):
        texts += [f"{proof.name} {proof.unproven} {proof.refuted}", *(repr(case.value()) for case in proof.cases)]
    return "\n".join(texts), read_status(Recorded(compilation.catalogue))  # type: ignore[arg-type]


def test_every_slo_has_one_row_with_all_of_its_alerts() -> None:
    catalogue = compile_specs([str(SPECS[0])], []).catalogue
    rows = {(row.platform, row.slo, tuple(row.split)): row for row in read_status(Recorded(catalogue))}  # type: ignore[arg-type]
    for platform in catalogue.platforms:
        for slo in platform.slos:
            row = rows.pop((platform.name, slo.id, tuple(sorted(slo.split_labels))))
            assert row.alerts.keys() >= {conventions.burn_tier(tier) for tier in slo.tiers}
            assert row.burns.keys() == {str(window) for window in inventory.error_ratio_windows(slo)}
            assert row.budget_left == 0.5
    # dead targets and too many series: of no value of the split
    assert {name for row in rows.values() for name in row.alerts} == {"down", "health"}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Status]]:
    return everything(tmp_path_factory.mktemp("before"))


@pytest.mark.parametrize("name", NAMES)
def test_whoever_reads_a_recording_follows_when_it_is_renamed(
    name: str, before: tuple[str, list[Status]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    level, metric, operations = name.split(":")
    new = f"{level}:{metric}_renamed:{operations}"
    for constant, value in list(vars(conventions).items()):
        if isinstance(value, str) and value.startswith(name):
            monkeypatch.setattr(conventions, constant, value.replace(name, new))
    text, status = everything(tmp_path)
    assert new in text
    assert text.splitlines() == before[0].replace(name, new).splitlines()
    assert status == before[1]
