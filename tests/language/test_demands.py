"""One example of each demand on the language is valid, means what it says, and becomes rules."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from sloctl.backends.table import BACKENDS
from sloctl.compiler import Compilation, compile_specs
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Every, Freshness, Latency, Probe, Ratio, Saturation, Throughput
from sloctl.model.quantities import Duration

FOLDER = Path(__file__).parent / "demands"


@pytest.fixture(scope="module")
def compiled() -> Compilation:
    return compile_specs([str(FOLDER)], [BACKENDS["prometheus"]], root=FOLDER)


@pytest.fixture(scope="module")
def slos(compiled: Compilation) -> dict[str, Slo]:
    return {slo.id: slo for slo in compiled.catalogue.slos}


def test_all_of_them_are_valid(compiled: Compilation) -> None:
    assert compiled.found.errors == []


def test_each_service_becomes_a_file_of_rules(compiled: Compilation) -> None:
    names = {file.path.rpartition("/")[2] for file in compiled.files}
    assert names >= {"fleet-api.yaml", "basket.yaml", "checkout.yaml"}


def test_each_kind_of_sli_is_there(slos: dict[str, Slo]) -> None:
    kinds = {type(slo.indicator) for slo in slos.values()}
    assert kinds >= {Ratio, Latency, Throughput, Saturation, Freshness, Probe}


def test_routes_policies_and_contracts_are_found(slos: dict[str, Slo]) -> None:
    violated, by_rate = slos["fleet-api-answers"].tiers
    assert (str(violated.for_), by_rate.notify) == ("2m", ("bridge",))
    sla = slos["fleet-api-answers-by-customer"].sla
    assert sla is not None
    assert (str(sla.window), sla.credits[0].credit) == ("month (Asia/Kolkata)", Decimal("0.1"))
    assert [tier.severity.value for tier in slos["fleet-api-functions"].tiers] == ["P1", "P2", "P3"]


def test_samples_that_hold_five_minutes_are_told_from_counters(slos: dict[str, Slo]) -> None:
    functions = slos["fleet-api-functions"].indicator
    assert isinstance(functions, Ratio)
    assert functions.counts == Every(Duration.of(minutes=5))


def test_a_template_is_filled_in(slos: dict[str, Slo]) -> None:
    basket = slos["basket-availability"]
    assert (str(basket.objective), basket.team) == ("99.95%", "shop")
    assert isinstance(basket.indicator, Ratio)
    assert basket.indicator.total is not None
    assert basket.indicator.total[0].matchers[0].value == "basket"
