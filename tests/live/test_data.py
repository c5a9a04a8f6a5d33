"""`sloctl validate --prometheus`: mistakes that only the data shows, each with its place in the specification."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.rules_server import Server, promtool
from examples.demo.checkout import checkout_service, scrape_config
from sloctl.cli import main
from testing.servers import free_port, until
from tests.conftest import StartPrometheus

SPEC = """apiVersion: sloctl/v1
kind: Platform
name: shop
scrape_interval: {interval}
resolution: 5s
target_labels: [{target}]
---
apiVersion: sloctl/v1
kind: Service
service: checkout
alerts: none
slos:
  - name: ok
    objective: 99%
    {slo}
"""
RATIO = "sli: {ratio: {total: http_requests_total, bad_if: 'code=\"500\"'}}"
KEPT = ("--storage.tsdb.retention.time=45d",)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has scraped a service for some seconds."""
    from contextlib import ExitStack

    from testing import servers
    from tests.conftest import program

    program("prometheus")
    with ExitStack() as stack:
        service = stack.enter_context(checkout_service(tmp_path_factory.mktemp("checkout")))
        server = stack.enter_context(servers.prometheus(scrape_config(service), flags=KEPT))
        server.wait_for(lambda: (server.value("count_over_time(http_requests_total[1m])") or 0) > 3, "scrapes")
        yield server.url


def validate(
    folder: Path,
    url: str,
    capsys: pytest.CaptureFixture[str],
    slo: str,
    interval: str = "1s",
    target: str = "job, instance",
) -> tuple[int, str]:
    (folder / "spec.yaml").write_text(SPEC.format(slo=slo, interval=interval, target=target))
    code = main(["validate", str(folder / "spec.yaml"), "--prometheus", url])
    return code, capsys.readouterr().err.replace(str(folder), "")


@pytest.mark.server
def test_data_that_fits_is_silent(tmp_path: Path, scraped: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(tmp_path, scraped, capsys, RATIO) == (0, "")


@pytest.mark.server
@pytest.mark.parametrize(
    ("slo", "said"),
    [
        (
            "sli: {ratio: {total: http_request_total, bad_if: 'code=\"500\"'}}",
            "/spec.yaml:15:10: error[SLO201]: http_request_total matches no series",
        ),
        (
            f"by: [tenant]\n    {RATIO}",
            "/spec.yaml:15:9: error[SLO204]: no series of http_requests_total has the labels tenant",
        ),
        (
            "sli: {latency: {histogram: prometheus_http_request_duration_seconds, at_most: 300ms}}",
            "error[SLO201]: prometheus_http_request_duration_seconds_count matches no series",
        ),
    ],
)
def test_what_the_data_lacks_is_an_error_at_its_place(
    tmp_path: Path, scraped: str, capsys: pytest.CaptureFixture[str], slo: str, said: str
) -> None:
    code, err = validate(tmp_path, scraped, capsys, slo)
    assert code == 1
    assert said in err


@pytest.mark.server
def test_births_that_cannot_be_told_are_a_warning(
    tmp_path: Path, scraped: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = validate(tmp_path, scraped, capsys, RATIO, target="cluster, job")
    assert code == 0
    assert "warning[SLO203]: no `up` shares the labels cluster, job with http_requests_total" in err


@pytest.mark.server
def test_what_falls_all_the_time_is_no_counter(
    tmp_path: Path, scraped: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As each delta or rate does; how long a scrape took goes up and down like them."""
    seconds = "sli: {ratio: {total: scrape_duration_seconds, bad: scrape_duration_seconds}}"
    err = until(lambda: said if "SLO206" in (said := validate(tmp_path, scraped, capsys, seconds)[1]) else "")
    assert re.search(r"spec.yaml:15:10: warning\[SLO206\]: scrape_duration_seconds fell \d+ times in 15m", err)
    assert "write `counts: per_5m`" in err


class Late(BaseHTTPRequestHandler):
    """A counter whose samples carry the time of two minutes ago."""

    def do_GET(self) -> None:
        stamp = (int(time.time()) - 120) * 1000
        body = f"# TYPE late_total counter\nlate_total 5 {stamp}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its parent calls it
        pass


@pytest.mark.server
def test_samples_that_come_late_are_told_with_what_to_write(
    tmp_path: Path, prometheus: StartPrometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Late) as exporter:
        threading.Thread(target=exporter.serve_forever, args=(0.01,)).start()
        target = {"targets": [f"127.0.0.1:{exporter.server_port}"]}
        job = {"job_name": "late", "scrape_interval": "1s", "static_configs": [target]}
        server = prometheus({"scrape_configs": [job]}, flags=KEPT)
        server.wait_for(lambda: server.value("count_over_time(late_total[10m])"), "a late sample")
        late = "sli: {ratio: {total: late_total, bad: late_total}}"
        code, err = validate(tmp_path, server.url, capsys, late)
        assert code == 0
        assert re.search(r"warning\[SLO208\]: the newest sample of late_total is 12\ds old", err)
        assert re.search(r"write `late_by: [23]m`", err)
        assert "SLO208" not in validate(tmp_path, server.url, capsys, f"late_by: 2m\n    {late}")[1]
        exporter.shutdown()


@pytest.mark.server
def test_a_bound_that_is_no_bucket_and_a_wrong_interval_are_told(
    tmp_path: Path, prometheus: StartPrometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {"job_name": "self", "static_configs": [{"targets": ["localhost:1"]}]}
    server = prometheus({"global": {"scrape_interval": "1s"}, "scrape_configs": [own]})
    own["static_configs"] = [{"targets": [server.url.removeprefix("http://")]}]
    again = prometheus({"global": {"scrape_interval": "1s"}, "scrape_configs": [own]})
    metric = "prometheus_http_request_duration_seconds"
    server.client.get(f"{server.url}/metrics")
    again.wait_for(lambda: again.value(f"count({metric}_bucket)"), "a scraped histogram")
    slo = f"sli: {{latency: {{histogram: {metric}, at_most: 300ms}}}}"
    code, err = validate(tmp_path, again.url, capsys, slo)
    assert code == 1
    assert f"error[SLO202]: {metric} has no bucket at 0.3" in err
    assert "write one of its bounds, such as 0.2 or 0.4" in err


@pytest.mark.server
def test_a_selector_that_narrows_up_by_nothing_is_told_what_would(
    tmp_path: Path, prometheus: StartPrometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {"targets": [f"localhost:{(port := free_port())}"], "labels": {"namespace": "shop"}}
    dead = {"targets": [f"127.0.0.{number}:1" for number in range(2, 122)], "labels": {"namespace": "else"}}
    job = {"job_name": "all", "scrape_interval": "1s", "static_configs": [own, dead]}
    server = prometheus({"scrape_configs": [job]}, flags=KEPT, port=port)
    metric = "prometheus_http_requests_total"
    server.wait_for(lambda: server.value(f"count({metric})") and (server.value("count(up)") or 0) > 120, "scrapes")
    slo = f"sli: {{ratio: {{total: '{metric}{{namespace=\"shop\"}}', bad_if: 'code=\"500\"'}}}}"
    _, err = validate(tmp_path, server.url, capsys, slo)
    assert f'warning[SLO209]: rules read `up` of 121 targets, and {metric}{{namespace="shop"}} is on 1' in err
    assert "write `target_labels: [job, instance, namespace]` in the Platform" in err
    _, err = validate(tmp_path, server.url, capsys, slo, target="job, instance, namespace")
    assert "SLO209" not in err
    _, err = validate(tmp_path, server.url, capsys, f"sli: {{ratio: {{total: {metric}, bad_if: 'code=\"500\"'}}}}")
    assert "add a matcher on `job` to the selector" in err


@pytest.mark.server
def test_the_counters_of_several_workers_behind_one_target_are_told_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each scrape meets one of four workers by chance."""
    chance, now, workers = random.Random(5), int(time.time()), (60, 45, 30, 15)
    lines = ["# TYPE work counter"]
    for scrape in range(60):
        labels, moment = '{job="api",instance="a"}', now - 900 + 15 * scrape
        lines.append(f"work_total{labels} {chance.choice(workers) * (scrape + 100)} {moment}")
    with Server(tmp_path, {}) as server:
        (tmp_path / "data.om").write_text("\n".join([*lines, "# EOF", ""]))
        promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", "data.om", server.data, cwd=tmp_path)
        server.start()
        work = "sli: {ratio: {total: work_total, bad: work_total}}"
        _, err = validate(tmp_path, server.url, capsys, work)
    assert "as several workers behind one target do" in err
    assert "PROMETHEUS_MULTIPROC_DIR" in err
    assert "per_5m" not in err


MANY = """apiVersion: sloctl/v1
kind: Platform
name: shop
---
apiVersion: sloctl/v1
kind: Service
service: checkout
alerts: none
slos:
"""


@pytest.mark.server
def test_scrapes_that_are_all_rarer_than_declared_are_told_once_a_platform(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five jobs are scraped each minute, give or take a lost scrape; a sixth is not scraped each 30 s either."""
    now, slos, lines = int(time.time()), list[str](), list[str]()
    for number, apart in enumerate((60, 60, 59, 60, 61, 120)):
        labels = f'job="j{number}",instance="a"'
        lines += [f"# TYPE work{number} counter"]
        lines += [
            f"work{number}_total{{{labels}}} {1500 - at} {now - at * apart}" for at in range(1500 // apart, -1, -1)
        ]
        sli = f"{{ratio: {{total: 'work{number}_total{{job=\"j{number}\"}}', bad: work{number}_total}}}}"
        slos.append(f"  - {{name: s{number}, objective: 99%, sli: {sli}}}\n")
    with Server(tmp_path, {}) as server:
        (tmp_path / "data.om").write_text("\n".join([*lines, "# EOF", ""]))
        promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", "data.om", server.data, cwd=tmp_path)
        server.start()
        (tmp_path / "spec.yaml").write_text(MANY + "".join(slos))
        main(["validate", str(tmp_path / "spec.yaml"), "--prometheus", server.url])
    err = capsys.readouterr().err.replace(str(tmp_path), "")
    told = [line for line in err.splitlines() if "SLO205" in line or "scrape_interval" in line]
    assert told == [
        '/spec.yaml:3:7: warning[SLO205]: work0_total{job="j0"} has a sample each 60s, not each 30s; so it is with '
        "checkout-s1, checkout-s2, checkout-s3 and 1 more",
        "  help: write `scrape_interval: 60s`",
        '/spec.yaml:15:12: warning[SLO205]: work5_total{job="j5"} has a sample each 120s, not each 30s',
        "  help: write `scrape_interval: 120s`",
    ]
    assert err.count("SLO203") == 1
