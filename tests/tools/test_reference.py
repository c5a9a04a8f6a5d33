"""docs/specification.md: its tables are the models', its examples are valid, its defaults hold, its links lead on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import pytest

from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.explain.entries import entries
from sloctl.model.catalogue import Catalogue
from sloctl.model.indicator import Threshold
from sloctl.proof.promtool import Promtool
from sloctl.proof.proof import Proof, rules_of
from sloctl.proof.slos import slo_proofs
from tests.conftest import program
from tools.reference import MODELS, PAGE, default, page

TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SERVICE = "apiVersion: sloctl/v1\nkind: Service\nservice: api\nteam: web\n"
PLATFORM = """apiVersion: sloctl/v1
kind: Platform
name: shop
teams:
  web: {P1: {pagerduty: web}, P2: {slack: '#web'}, P3: {email: web@example.com}, incident: {slack: '#incidents'}}
  checkout: {P1: {pagerduty: checkout}, P2: {slack: '#checkout'}, P3: {email: checkout@example.com}}
"""
QUICK = "alerts: [{severity: P1, burn: 2, over: 30m, also_over: 5m}]\n"
"""Tiers whose histories are short."""
JUDGED = """slos:
  - {name: availability, objective: 99.9%, sli: {ratio: {total: requests_total, bad: failures_total}}}
  - {name: latency, objective: 99%, sli: {latency: {histogram: request_seconds, at_most: 1s}}}
"""


def examples() -> Iterator[tuple[int, str]]:
    """Each example with the line where it begins."""
    for match in EXAMPLE.finditer(TEXT):
        yield TEXT.count("\n", 0, match.start()) + 2, match[1]


def whole(example: str) -> str:
    """An example as documents: pieces are put into a Service."""
    if "apiVersion:" in example:
        return example
    if example.startswith("slos:"):
        return SERVICE + example
    assert example.startswith("canary:"), example
    return SERVICE + JUDGED + example


def loaded(folder: Path, *files: str) -> tuple[Catalogue, Diagnostics]:
    found = Diagnostics()
    for number, file in enumerate(files):
        (folder / f"{number}.yaml").write_text(file, encoding="utf-8")
    return load([str(folder)], found, root=folder), found


@pytest.mark.parametrize(("line", "example"), list(examples()))
def test_an_example_is_valid(line: int, example: str, tmp_path: Path) -> None:
    text = whole(example)
    files = [text] if "kind: Platform" in text else [text, PLATFORM]
    if "kind: Service" not in text:
        files.append(SERVICE.replace("team: web\n", "") + JUDGED)
    catalogue, found = loaded(tmp_path, *files)
    assert [f"{error.place.line}: {error.message}" for error in found.errors] == []
    assert any(catalogue.slos)


@pytest.mark.server
def test_every_example_is_proven(tmp_path: Path) -> None:
    proofs = dict[str, Proof]()
    for line, example in examples():
        text = whole(example)
        if "kind: Template" in text or "kind: Platform" in text:
            continue  # of these, what a Service uses is among the others
        (folder := tmp_path / str(line)).mkdir()
        catalogue, found = loaded(folder, text, f"{PLATFORM}{QUICK}")
        assert found.errors == []
        for platform in catalogue.platforms:
            of_slos = (proof for slo in platform.slos for proof in slo_proofs(rules_of(platform, slo)))
            proofs |= {f"{line} {proof.name}": replace(proof, slo=f"{line} {proof.slo}") for proof in of_slos}
    run = [proof for proof in proofs.values() if not proof.unproven]
    assert len(run) > 100
    outcomes = Promtool(str(program("promtool"))).prove(run, tmp_path / "proofs", workers=2)
    assert [(outcome.proof.name, outcome.failures) for outcome in outcomes if outcome.failures] == []


def test_the_tables_are_what_the_models_say() -> None:
    assert page(TEXT) == TEXT, "run `python -m tools.reference`"


def test_every_model_has_its_table() -> None:
    assert set(re.findall(r"<!-- table: (\w+) -->", TEXT)) == MODELS.keys() - {"Inheritable", "TemplateBody"}


def test_a_link_within_the_page_leads_to_a_heading() -> None:
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in TEXT.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\(#([a-z-]+)\)", TEXT)) <= headings


MINIMAL = """slos:
  - {name: total, objective: 99.9%, sli: {ratio: {total: requests_total, bad: failures_total}}}
  - {name: speed, objective: 99%, sli: {latency: {histogram: request_seconds, at_most: 1s}}}
  - {name: flow, objective: 99%, sli: {throughput: {counter: events_total, at_least: 1/s}}}
  - {name: up, objective: 99%, sli: {probe: {gauge: probe_success}}}
  - {name: age, objective: 99%, sli: {freshness: {age: age_seconds, max_age: 5m}}}
  - {name: lag, objective: 99%, sli: {threshold: {value: lag_seconds, at_most: 5}}, forecast: {within: 15d}}
  - name: tiers
    objective: 99%
    sli: {ratio: {total: requests_total, bad: failures_total}}
    alerts: [{severity: P1, burn: 10, over: 1h}, {severity: P2, burn: 5, over: 1h}]
    sla: {credits: [{below: 99%, credit: 10%}], value: contract_usd}
    window: {calendar: month}
"""


@pytest.fixture(scope="module")
def defaults(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What is in force where nothing is written: texts by key, by SLO."""
    catalogue, found = loaded(tmp_path_factory.mktemp("minimal"), SERVICE.replace("team: web\n", "") + MINIMAL)
    assert found.errors == []
    (platform,) = catalogue.platforms
    of_platform = {entry.key: entry.text for entry in entries(platform)}
    return {slo.name: of_platform | {entry.key: entry.text for entry in entries(slo)} for slo in platform.slos}


def word(key: str) -> str:
    """A default as the page has it, without its quotes."""
    name, _, field = key.partition(".")
    return default(MODELS[name], field, get_type_hints(MODELS[name], include_extras=True)[field]).replace("`", "")


@pytest.mark.parametrize(
    "key",
    ["window", "scrape_interval", "new_series", "mode", "resolution", "inhibition", "pagerduty"],
)
def test_a_default_of_the_platform_is_in_force(key: str, defaults: dict[str, dict[str, str]]) -> None:
    assert defaults["total"][key] == word(f"Platform.{key}")


def test_defaults_that_are_lists_or_depend_on_others_are_in_force(defaults: dict[str, dict[str, str]]) -> None:
    total = defaults["total"]
    assert total["target_labels"] == word("Platform.target_labels").strip("[]")
    assert word("Platform.scrape_timeout").startswith(total["scrape_timeout"])
    assert total["max_series"] == word("Slo.max_series")
    assert [total[f"severities.P{number}"] for number in (1, 2, 3)] == ["P1", "P2", "P3"]
    tiers = dict.fromkeys(key.split(".")[1] for key in total if key.startswith("alerts."))
    assert list(tiers) == ["p1-1h", "p1-6h", "p3-1d", "p3-3d"]


def test_defaults_of_slis_are_in_force(defaults: dict[str, dict[str, str]]) -> None:
    assert defaults["total"]["sli.ratio.counts"] == word("Ratio.counts")
    assert defaults["speed"]["sli.latency.unit"] == "s"
    assert defaults["speed"]["sli.latency.native"] == word("Latency.native")
    assert defaults["flow"]["sli.throughput.counts"] == word("Throughput.counts")
    assert defaults["flow"]["sli.throughput.across"] == word("Throughput.across")
    for slo, kind in (("up", "Probe"), ("age", "Freshness"), ("lag", "Threshold")):
        assert defaults[slo][f"sli.{kind.lower()}.across"] == word(f"{kind}.across")


def test_defaults_of_tiers_forecasts_and_contracts_are_in_force(tmp_path: Path) -> None:
    catalogue, _ = loaded(tmp_path, SERVICE.replace("team: web\n", "") + MINIMAL)
    slos = {slo.name: slo for slo in catalogue.slos}
    page_, urgent = slos["tiers"].tiers
    assert [str(page_.keep_firing_for), str(urgent.keep_firing_for)] == ["5m", "0s"]
    assert (str(page_.for_), page_.min_events, page_.min_bad, page_.guard.value) == ("0s", 0, 0, "statistical")
    slices = slos["flow"].tiers[0]
    assert (slices.min_bad, slices.guard.value) == (3, "none")
    forecast, lag = slos["lag"].forecast, slos["lag"].indicator
    assert forecast is not None
    assert isinstance(lag, Threshold)
    assert (str(forecast.since), forecast.severity.value, forecast.to) == ("14d", "P3", lag.at_most)
    sla = slos["tiers"].sla
    assert sla is not None
    assert (str(sla.window), sla.currency) == ("month (UTC)", "USD")
