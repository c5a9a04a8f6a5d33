"""What exporters expose is recognised, proposed with objectives that history kept, and nothing is invented."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.rules_server import Server, promtool
from sloctl.cli import main
from sloctl.discovery.sources import sources
from sloctl.language.std import std_names
from tests.conftest import program
from tests.discovery.farm import FARM, NOISE, open_metrics

pytestmark = [pytest.mark.xdist_group("discovery"), pytest.mark.server]  # one Prometheus serves all
NAMED = {"istio": "cart", "linkerd": "basket", "envoy": "ledger", "traefik": "blog-docker", "ingress-nginx": "front",
         "haproxy": "web", "kong": "orders-api", "caddy": "srv0", "spring": "stock", "grpc-micrometer": "shop-stock",
         "grpc-go": "shop-pay", "grpc-java": "shop-mail", "spanmetrics": "till", "tempo": "desk",
         "starlette-exporter": "items", "lambda": "pay", "alb": "tg-1", "vllm": "llama"}  # fmt: skip
"""The services that are not named after their job."""
YOURS = {"kafka-lag", "rabbitmq"}
"""Sources with a bound that only a person knows."""


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Prometheus that has scraped all of them for two and a half hours."""
    program("prometheus")
    folder = tmp_path_factory.mktemp("farm")
    (folder / "farm.om").write_text("".join(open_metrics(time.time())))
    with Server(folder, {}) as server:
        promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", "farm.om", server.data, cwd=folder)
        server.start()
        yield server


def discover(farm: Server, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    assert main(["discover", "--prometheus", farm.url, *words]) == 0
    return capsys.readouterr()


def test_every_source_is_recognised_and_nothing_else(farm: Server, capsys: pytest.CaptureFixture[str]) -> None:
    services = json.loads(discover(farm, capsys, "--format", "json")[0])
    uses = {
        (use["template"].removeprefix("std/"), service["service"]) for service in services for use in service["uses"]
    }
    assert uses == {(name, NAMED.get(name, name)) for name in FARM if name not in YOURS}
    left = {use["template"].removeprefix("std/"): use["why"] for service in services for use in service["left_out"]}
    assert left == {name: f"std/{name}: only you know `at_most`" for name in YOURS}


def test_the_farm_has_every_template() -> None:
    assert {f"std/{name}" for name in FARM} == set(std_names()) == {source.template for source in sources()}


def test_what_is_proposed_is_valid_offline_and_with_the_data(
    farm: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    discover(farm, capsys, "-o", str(tmp_path / "specs"))
    assert main(["validate", str(tmp_path / "specs"), "--root", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert f"of {len(FARM) - len(YOURS)} services are valid" in said.out
    assert "error" not in said.err
    assert main(["discover", "--prometheus", farm.url, "-o", str(tmp_path / "specs")]) == 1
    assert "is there already" in capsys.readouterr().err


def test_each_slo_says_what_was_seen_and_keeps_it(farm: Server, capsys: pytest.CaptureFixture[str]) -> None:
    shown, _ = discover(farm, capsys, "--only", "^cart$", "--since", "2h")
    assert re.search(
        r"# availability: 99\.90\d\d% good in 2h; 99\.8% would have spent (49|5\d)%, at 20(\.0)? events a second", shown
    ), shown
    assert re.search(
        r"# latency: 99\.9\d*% good in 2h; 99\.8% would have spent \d+% at or below 5s; bounds 0\.5 1 5", shown
    )
    assert "      service: cart\n      namespace: shop\n" in shown


def test_a_handler_with_most_events_stands_for_a_chain(farm: Server, capsys: pytest.CaptureFixture[str]) -> None:
    [service] = json.loads(discover(farm, capsys, "--only", "srv0", "--format", "json")[0])
    assert service["uses"][0]["with"]["handler"] == "subroute"


def test_memory_without_a_limit_and_missing_buckets_switch_their_slo_off(
    farm: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    services = {each["service"]: each for each in json.loads(discover(farm, capsys, "--format", "json")[0])}
    assert services["redis"]["disabled"] == ["memory"]
    assert services["shop-stock"]["disabled"] == ["latency"]
    assert services["postgres"]["disabled"] == []


def test_a_quiet_service_is_a_comment_with_its_reason(farm: Server, capsys: pytest.CaptureFixture[str]) -> None:
    [service] = json.loads(discover(farm, capsys, "--only", "^web$", "--min-rate", "100/s", "--format", "json")[0])
    assert not service["uses"]
    assert "only" in service["left_out"][0]["why"]


def test_unknown_counters_with_a_status_are_named_only(farm: Server, capsys: pytest.CaptureFixture[str]) -> None:
    _, said = discover(farm, capsys, "--only", "^web$")
    assert "Not recognised: jobs_finished_total tells errors by `outcome`" in said
    assert not re.search(r"Not recognised: (odd|my|promhttp|node)_", said)
    assert not any(f"\n{job} " in said for job in NOISE)


def test_the_time_that_the_targets_reach_back_is_the_time_that_is_looked_at(
    farm: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    _, said = discover(farm, capsys, "--only", "^web$", "--since", "1d")
    assert "The targets reach back 1h30m, not 1d" in said


def test_init_begins_with_the_services_that_are_there(
    farm: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["init", str(tmp_path / "specs"), "--prometheus", farm.url]) == 0
    written = {file.stem for file in (tmp_path / "specs").glob("*.yaml")}
    assert {"platform", "cart", "orders-api"} <= written
    assert "my-service" not in written
    assert main(["validate", str(tmp_path / "specs"), "--root", str(tmp_path)]) == 0
    assert "error" not in capsys.readouterr().err
