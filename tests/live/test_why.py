"""`sloctl why` names an injected cause among decoys on a real Prometheus, and says what else happened then."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bench.rules_server import Server, promtool
from sloctl.cli import main
from testing.servers import ROOT
from tests.conftest import program

pytestmark = [pytest.mark.xdist_group("why"), pytest.mark.server]  # one Prometheus serves all

SPEC = """apiVersion: sloctl/v1
kind: Platform
name: shop
runbook: https://runbooks.example.com/$slo
scrape_interval: 30s
dashboards: {deploys: 'deployed{job="ci"}', traces: 'https://traces.example.com/$trace_id'}
---
apiVersion: sloctl/v1
kind: Service
service: api
slos:
  - name: availability
    objective: 99.9%
    sli: {ratio: {total: 'requests_total{job="api"}', bad_if: 'code=~"5.."'}}
  - name: latency
    objective: 99%
    sli: {latency: {histogram: 'took_seconds{job="api"}', at_most: 300ms}}
  - name: reachable
    objective: 99%
    sli: {probe: {gauge: 'up{job="api"}'}}
  - name: workers
    objective: 99%
    sli: {threshold: {value: 'queue_length{job="api"}', at_most: 10}}
  - name: incoming
    objective: 99%
    sli: {throughput: {counter: 'arrivals_total{job="api"}', at_least: 25/s}}
  - name: disk
    objective: 99%
    sli: {saturation: {used: 'disk_used{job="api"}', capacity: 'disk_size{job="api"}', at_most: 30%}}
  - name: query
    objective: 99%
    by: [route]
    sli:
      query:
        bad: sum by (route) (increase(requests_total{job="api", code=~"5.."}[$window]))
        total: sum by (route) (increase(requests_total{job="api"}[$window]))
  - name: calm
    objective: 99.9%
    sli: {ratio: {total: 'requests_total{job="api", route="/list"}', bad_if: 'code=~"5.."'}}
"""
MOMENT = r"\d{4}-\d\d-\d\dT[0-9:]{8}Z"
NOW = int(time.time()) // 30 * 30
HOURS = 4
BURN = 20 * 60
DEPLOYED = BURN + 120
"""Seconds before now at which version v2 came."""
STEP = 30
ROUTES = {"/pay": 2.0, "/cart": 10.0, "/list": 20.0}
PODS = {"a": "v1", "b": "v1", "c": "v2"}


def moments() -> range:
    return range(NOW - HOURS * 3600, NOW + 1, STEP)


def failing(route: str, version: str, age: int) -> float:
    """The error ratio: half of the payments of v2 fail, and one of a thousand requests otherwise."""
    return 0.5 if (route, version) == ("/pay", "v2") and age < BURN else 0.0005


def counter(labels: Mapping[str, str], at: int, per_second: float) -> tuple[float, float]:
    """Good and bad requests of a pod's route until `at`."""
    begin = NOW - (DEPLOYED if labels["version"] == "v2" else HOURS * 3600)
    good = bad = 0.0
    for split, ratio in ((NOW - BURN, 0), (at, 1)):
        upto = min(at, split)
        seconds = max(upto - begin, 0)
        share = failing(labels["route"], labels["version"], BURN if ratio == 0 else 0)
        good, bad = good + seconds * per_second * (1 - share), bad + seconds * per_second * share
        begin = max(begin, upto)
    return good, bad


def history() -> Iterator[str]:
    """Everything that the Prometheus has scraped and recorded, as OpenMetrics."""
    yield "# TYPE requests_total unknown\n"
    for route, rate in ROUTES.items():
        for pod in PODS:
            yield from requests(route, rate, pod)
    for name, value in BY_POD.items():
        yield f"# TYPE {name.partition('{')[0]} unknown\n"
        for pod in PODS:
            for at in moments():
                if (found := value(pod, NOW - at)) is not None:
                    yield f'{name}job="api",instance="{pod}:1"}} {found:.3f} {at}\n'
    yield "# TYPE deployed unknown\n"
    yield from (f'deployed{{job="ci",version="v2"}} 1 {at}\n' for at in moments() if NOW - at <= DEPLOYED)
    yield from recorded()
    yield "# EOF\n"


def requests(route: str, rate: float, pod: str) -> Iterator[str]:
    own = {"job": "api", "instance": f"{pod}:1", "route": route, "version": PODS[pod], "tls": "yes"}
    inside = ",".join(f'{name}="{value}"' for name, value in own.items())
    for place, code in enumerate(("200", "500")):
        for at in moments():
            if NOW - at <= lifetime(pod):
                yield f'requests_total{{{inside},code="{code}"}} {counter(own, at, rate)[place]:.3f} {at}\n'


def lifetime(pod: str) -> int:
    """Seconds for which a pod has been there."""
    return DEPLOYED if PODS[pod] == "v2" else HOURS * 3600


def observed(pod: str, age: int) -> float:
    """Observations of a pod's histogram; pod b answers slowly during the burn."""
    del pod
    return (HOURS * 3600 - age) * 10


BY_POD: dict[str, Callable[[str, int], float | None]] = {
    'took_seconds_bucket{le="0.3",': lambda pod, age: observed(pod, age) - max(BURN - age, 0) * 4 * (pod == "b"),
    "took_seconds_count{": observed,
    "up{": lambda pod, age: not (pod == "a" and age < BURN),
    "queue_length{": lambda pod, age: 99 if pod == "b" and age < BURN else 1,
    "arrivals_total{": lambda pod, age: (HOURS * 3600 - age - (max(BURN - age, 0) if pod == "b" else 0)) * 10,
    "disk_used{": lambda pod, age: 90 if pod == "c" and age < BURN else 10,
    "disk_size{": lambda pod, age: 100,
    "process_start_time_seconds{": lambda pod, age: NOW - lifetime(pod) if age <= lifetime(pod) else None,
}
"""Series of each pod by their beginning, from the pod and the seconds before now."""


def recorded() -> Iterator[str]:
    """The tiles that the rules would have recorded, of the SLO itself and of two others."""
    for name, side in (("slo:sli_total:increase1m", 0), ("slo:sli_errors:increase1m", 1)):
        yield f"# TYPE {name} unknown\n"
        for slo, began in (("availability", BURN), ("latency", BURN), ("calm", 0)):
            for at in range(NOW - HOURS * 3600, NOW + 1, 60):
                bad = 60.0 if NOW - at < began else 1.0
                own = f'sloctl="v1",platform="shop",service="api",slo="api-{slo}"'
                yield f"{name}{{{own}}} {(2000.0, bad)[side]} {at}\n"
        for route in ROUTES:
            for at in range(NOW - HOURS * 3600, NOW + 1, 60):
                bad = 60.0 if route == "/pay" and NOW - at < BURN else 0.1
                own = f'sloctl="v1",platform="shop",service="api",slo="api-query",route="{route}"'
                yield f"{name}{{{own}}} {(500.0, bad)[side]} {at}\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    program("prometheus")
    folder = tmp_path_factory.mktemp("why")
    (folder / "specs").mkdir()
    (folder / "specs" / "api.yaml").write_text(SPEC)
    (folder / "history.om").write_text("".join(history()))
    with Server(folder, {}) as server:
        promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", "history.om", server.data, cwd=folder)
        server.start()
        yield server


def why(server: Server, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    specs = str(server.folder / "specs")
    options = ["--prometheus", server.url, "--specs", specs, "--root", specs, "--at", str(NOW)]
    assert main(["why", *words, *options]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_the_pair_that_fails_is_named_first_with_what_happened_then(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = why(server, capsys, "api/availability")
    lines = shown.splitlines()
    assert lines[0].startswith("api/availability since ")
    assert "(20m" in lines[0] or "(19m" in lines[0]
    assert 'of the excess is instance="c:1", route="/pay"' in shown or 'route="/pay", version="v2"' in shown
    assert 'which is also route="/pay", version="v2"' in shown or 'which is also instance="c:1", route="/pay"' in shown
    assert "New since then: " in shown
    assert "Deployed at " in shown
    assert 'Restarted: instance="c:1", job="api"' in shown or 'Restarted: job="api", instance="c:1"' in shown
    assert "Also burning since: api-latency " in shown
    assert "api-calm" not in shown


def test_programs_get_the_same(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(why(server, capsys, "api/availability", "--format", "json", "--without", "instance"))
    assert found["parts"][0]["labels"] == {"route": "/pay", "version": "v2"}
    assert found["parts"][0]["of_excess"] > 0.95
    assert found["parts"][0]["of_traffic"] < 0.05
    assert found["start"] == pytest.approx(NOW - BURN, abs=120)


@pytest.mark.parametrize(
    ("slo", "labels"),
    [
        ("latency", {"instance": "b:1"}),
        ("reachable", {"instance": "a:1"}),
        ("workers", {"instance": "b:1"}),
        ("incoming", {"instance": "b:1"}),
        ("disk", {"instance": "c:1"}),
    ],
)
def test_other_kinds_have_a_form_of_their_own(
    slo: str, labels: dict[str, str], server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--from", str(NOW - BURN), "--format", "json"]
    found = json.loads(why(server, capsys, f"api/{slo}", *words))
    assert found["parts"][0]["labels"] == labels
    assert found["bad_before"] == pytest.approx(0, abs=1)


def test_the_label_of_an_alert_names_the_slo(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert why(server, capsys, "api-availability") == why(server, capsys, "api/availability")


def test_a_query_is_known_by_its_own_labels_only(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    shown = why(server, capsys, "api/query")
    assert 'of the excess is route="/pay"' in shown
    assert "only the labels of `by` are known" in shown


def test_too_many_series_are_looked_at_label_by_label(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    shown = why(server, capsys, "api/availability", "--max-series", "3", "--without", "instance")
    assert 'of the excess is version="v2"' in shown or 'of the excess is route="/pay"' in shown
    assert "each label was looked at by itself" in shown


def test_what_does_not_burn_says_what_was_worst(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing burns now" in why(server, capsys, "api/calm")
    again = why(server, capsys, "api/availability", "--from", str(NOW - 3 * 3600), "--to", str(NOW - 2 * 3600))
    assert "No part of the" in again


def test_an_unknown_slo_and_a_time_turned_round_are_refused(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    specs = str(server.folder / "specs")
    options = ["--prometheus", server.url, "--specs", specs, "--root", specs]
    assert main(["why", "api/nothing", *options]) == 2
    assert main(["why", "api", *options, "--from", "20", "--to", "10"]) == 2
    assert "it is not before the end" in capsys.readouterr().err


def test_eight_queries_are_enough(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sloctl.prometheus import PrometheusClient

    asked = list[str]()
    ask = PrometheusClient._ask

    def counting(self: PrometheusClient, path: str, parameters: Mapping[str, str]) -> bytes:
        asked.append(path)
        return ask(self, path, parameters)

    monkeypatch.setattr(PrometheusClient, "_ask", counting)
    why(server, capsys, "api/availability")
    assert len([path for path in asked if path != "query_exemplars"]) <= 9  # and one for deployments


def test_a_missing_folder_of_specifications_is_named(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "api", "--prometheus", server.url, "--specs", str(Path("/nowhere"))]) == 1
    assert "/nowhere" in capsys.readouterr().err


def test_the_page_shows_what_is_really_answered(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "why.md").read_text()
    shown = why(server, capsys, "api/availability", "--without", "instance")
    assert re.sub(MOMENT, "TIME", shown) in re.sub(MOMENT, "TIME", page)
