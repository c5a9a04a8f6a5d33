"""The thin thread, live: a specification becomes rules that a real Prometheus evaluates until alerts fire."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.demo.checkout import checkout_service, order, scrape_config
from sloctl.artifacts import OutputTarget, write
from sloctl.backends.table import BACKENDS
from sloctl.compiler import compile_specs
from sloctl.live.status import read_status
from sloctl.prometheus import PrometheusClient
from testing.servers import ROOT, Prometheus
from tests.conftest import StartPrometheus

SHIFT = 1.5  # seconds: 1.5 times the scrape time-out of 1s
HALF_A_TILE = 2.5  # seconds that a roll-up stays behind
DAY = 24 * 3600


def compile_demo(output: Path) -> list[Path]:
    compilation = compile_specs([str(ROOT / "examples/demo/slo-specs")], [BACKENDS["prometheus"]], relative_to=output)
    written = write(compilation.files, OutputTarget(output, ("rules/prometheus",))).written
    return [output / path for path in written]


def counted(server: Prometheus, code: str, at: float) -> float:
    """What a perfect reader of the scraped counter knows at this moment; 0 before the series is born."""
    found = server.query(f'last_over_time(http_requests_total{{code=~"{code}"}}[5m])', at)
    return sum(sample.value for sample in found)


@pytest.mark.server
def test_live_tiles_add_up_to_every_scraped_event_and_a_birth(prometheus: StartPrometheus, tmp_path: Path) -> None:
    with checkout_service(tmp_path) as service:
        server = prometheus(scrape_config(service), compile_demo(tmp_path / "out"))
        tile = "slo:sli_total:increase5s"
        server.wait_for(lambda: (server.value(tile) or 0) > 0, "a first whole tile")
        began = server.value(f"timestamp({tile})")
        assert began is not None
        order(f"{service}/fail?ratio=0.2")
        server.wait_for(lambda: (server.value(f"timestamp({tile})") or 0) >= began + 20, "four more tiles")
        ended = server.value(f"timestamp({tile})")
        assert ended is not None
        length = f"{round((ended - began) * 1000) - 1000}ms"
        for kind, code in (("total", ".*"), ("errors", "5..")):
            tiles = server.query(f"sum_over_time(slo:sli_{kind}:increase5s[{length}])", ended)
            true = counted(server, code, ended - SHIFT) - counted(server, code, began - SHIFT)
            assert [sample.value for sample in tiles] == [true]
            assert true > 0
        assert [rule for rule in server.rules() if rule.health == "err"] == []


@pytest.mark.server
def test_status_shows_the_budget_that_the_scraped_events_have_spent(
    prometheus: StartPrometheus, tmp_path: Path
) -> None:
    with checkout_service(tmp_path) as service:
        server = prometheus(scrape_config(service), compile_demo(tmp_path / "out"))
        server.wait_for(lambda: (server.value("slo:sli_total:increase5s") or 0) > 0, "a first whole tile")
        order(f"{service}/fail?ratio=0.2")
        consumed = "slo:error_budget_consumed:ratio_increase1d"
        server.wait_for(lambda: (server.value(consumed) or 0) > 0.02, "some of the budget is spent")
        with PrometheusClient(server.url) as client:
            [status] = read_status(client)
        recorded = server.value(f"timestamp({consumed})")
        assert recorded is not None
        newest = server.query("timestamp(slo:sli_total:increase5s)", recorded - HALF_A_TILE)[0].value
        first = server.query('min_over_time(http_requests_total{code="200"}[10m])', newest - SHIFT)[0].value
        total = counted(server, ".*", newest - SHIFT) - first
        since = server.value("slo:measured_since:timestamp_seconds")
        assert since is not None
        covered = (recorded - since) / DAY
        spent = counted(server, "5..", newest - SHIFT) / total / 0.001 * covered
        assert status.consumed == pytest.approx(spent, rel=0.005)
        assert status.slo == "checkout-availability"
