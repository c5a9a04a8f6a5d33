"""Routes of 1 000 services and 20 teams, and how long it takes from the first bad request to the page in real time."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measured import succeeded
from bench.rows import Row
from examples.demo.checkout import checkout_service, order
from sloctl import conventions
from sloctl.model.quantities import MINUTE
from testing.routed import routed, rules, scraping
from testing.servers import find_program, prometheus

SERVICES = 1000
TEAMS = 20
OUTAGE = "0.95"  # share of requests that fail in a near-total outage

# Nothing is scaled: tiles of one minute, scrapes every 15 seconds, a page after two minutes of violation.
REAL_TIME = """\
apiVersion: sloctl/v1
kind: Platform
name: shop
scrape_interval: 15s
runbook: https://runbooks.example.com/$service/$slo
teams:
  web: {P1: {pagerduty: web}, P2: {slack: '#web'}}
---
apiVersion: sloctl/v1
kind: Service
service: checkout
team: web
slos:
  - name: ok
    objective: 99.9%
    sli: {ratio: {total: 'http_requests_total{job="checkout"}', bad_if: 'code=~"5.."'}}
    alerts: [{severity: P1, burn: 1, over: 1m, for: 2m}]
"""


def size_rows() -> Iterator[Row]:
    """`sloctl generate --only alertmanager` and `sloctl routes test`, with amtool."""
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as folder:
        specs = Path(folder, "slo-specs")
        write_specs(specs)
        generate = seconds("generate", specs, "-o", folder, "--only", "alertmanager")
        test = seconds("routes", "test", specs)
    yield Row(f"{SERVICES} services, {TEAMS} teams: generated, s of CPU", generate, at_most=10)
    yield Row("the same, generated and tested, s of CPU", generate + test, at_most=10)


def write_specs(specs: Path) -> None:
    """One platform, one file a service."""
    specs.mkdir()
    teams = "".join(
        f"  team-{n}: {{P1: {{pagerduty: team-{n}, slack: '#team-{n}'}}, P2: {{slack: '#team-{n}'}}, "
        f"P3: {{email: team-{n}@example.com}}}}\n"
        for n in range(TEAMS)
    )
    head = "apiVersion: sloctl/v1\nkind: Platform\nname: shop\nrunbook: https://runbooks.example.com/$slo\nteams:\n"
    (specs / "platform.yaml").write_text(head + teams)
    for n in range(SERVICES):
        (specs / f"service-{n}.yaml").write_text(
            f"apiVersion: sloctl/v1\nkind: Service\nservice: service-{n}\nteam: team-{n % TEAMS}\nslos:\n"
            "  - name: availability\n    objective: 99.9%\n    alerts: google\n"
            f"    sli: {{ratio: {{total: 'requests_total{{job=\"{n}\"}}', "
            "bad_if: 'code=~\"5..\"'}}\n"
        )


def seconds(*words: str | Path) -> float:
    """User and system time of a command with all that it starts, with amtool on PATH."""
    path = f"{find_program('amtool').parent}{os.pathsep}{os.environ['PATH']}"
    return succeeded([sys.executable, "-m", "sloctl", *words], environment={**os.environ, "PATH": path}).cpu


def waiting_rows() -> Iterator[Row]:
    """A near-total outage in real time: when it is noticed, and when somebody is paged."""
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as name:
        folder = Path(name)
        with routed(REAL_TIME, folder, fast=False) as (sink, told, specs), checkout_service(folder) as service:
            config = scraping({"checkout": service}, told, "15s")
            with prometheus(config, rules(specs, folder)) as server:
                ratio = f'{conventions.error_ratio(MINUTE)}{{slo="checkout-ok"}} == 0'
                server.wait_for(lambda: server.query(ratio), "a healthy start", 300)
                began = time.monotonic()
                order(f"{service}/fail?ratio={OUTAGE}")
                server.wait_for(lambda: server.alerts(slo="checkout-ok"), "it is noticed", 200)
                noticed = time.monotonic() - began
                told.running.wait_for(lambda: sink.events("trigger", "web"), "the page", 300)
                paged = sink.events("trigger", "web")[0].at - began
    yield Row("95 % errors, 15 s scrapes: first bad request to pending, s", noticed, at_most=90)
    yield Row("the same: to the page, s; never before 2 min", paged, at_least=120, at_most=240)
