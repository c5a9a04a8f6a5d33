"""Specifications for the benchmarks: any number of SLOs, of all kinds, no two selectors alike.

They look like what people write: blocks of 11 to 15 lines an SLO, eight SLOs a service, one file a service.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

PLATFORM: Final = """\
apiVersion: sloctl/v1
kind: Platform
name: shop
description: Everything that sells.
team: team-0
runbook: https://runbooks.example.com/$service/$slo
dashboards:
  base_url: https://grafana.example.com
matchers:
  environment: prod
policies:
  violated:
    - {severity: P1, burn: 1, over: 1m, for: 2m}
  quiet:
    - {severity: P3, burn: 1, over: 3d, also_over: 6h}
"""

SLOS_A_SERVICE: Final = 8


def write_specs(folder: Path, slos: int) -> list[Path]:
    """A Platform with its teams and as many services as hold `slos` SLOs; returns all files."""
    folder.mkdir(parents=True)
    platform = folder / "platform.yaml"
    platform.write_text(PLATFORM + "teams:\n" + "".join(map(_team, range(10))), encoding="utf-8")
    files = [platform]
    for first in range(0, slos, SLOS_A_SERVICE):
        number = first // SLOS_A_SERVICE
        file = folder / f"service-{number:05}.yaml"
        file.write_text(service(number, min(SLOS_A_SERVICE, slos - first)), encoding="utf-8")
        files.append(file)
    return files


def service(number: int, slos: int = SLOS_A_SERVICE) -> str:
    """The document of one service."""
    head = f"apiVersion: sloctl/v1\nkind: Service\nservice: service-{number:05}\nteam: team-{number % 10}\nslos:\n"
    return head + "".join(_slo(number, kind) for kind in list(KINDS)[:slos])


def _team(number: int) -> str:
    name = f"team-{number}"
    routes = f"P1: {{pagerduty: {name}}}, P2: {{slack: '#{name}'}}, P3: {{email: {name}@example.com}}"
    return f"  {name}: {{{routes}}}\n"


def _slo(number: int, kind: str) -> str:
    """Every fourth service is split by region; every tenth counts calendar months; some have fewer alerts."""
    split = "    by: [region]\n" if _is_split(number) else ""
    month = "    window:\n      calendar: month\n      time_zone: Europe/Berlin\n" if number % 10 == 3 else ""
    alerts = {5: "    alerts: quiet\n", 6: "    alerts: [violated, quiet]\n"}.get(number % 7, "")
    return (
        f"  - name: {kind}\n"
        f"    description: What service {number:05} promises about its {kind}.\n"
        f"    objective: {99 + number % 97 / 100:.2f}%\n"
        f"{split}{month}{alerts}"
        f"    labels:\n      component: {kind}-{number % 3}\n"
        f"    sli:\n{KINDS[kind](number)}"
    )


def _is_split(number: int) -> bool:
    return number % 4 == 1


def _ratio(number: int) -> str:
    total = f'http_server_request_duration_seconds_count{{job="service-{number:05}"}}'
    bad = {
        0: f"        bad: 'http_server_failures_total{{job=\"service-{number:05}\"}}'\n",
        1: f"        good: 'http_server_successes_total{{job=\"service-{number:05}\"}}'\n",
    }.get(number % 3, "        bad_if: 'http_response_status_code=~\"5..\"'\n")
    return f"      ratio:\n        total: '{total}'\n{bad}    traffic: {number + 1}/s\n"


def _latency(number: int) -> str:
    native = "        native: true\n" if number % 5 == 2 else ""
    return (
        f"      latency:\n        histogram: 'rpc_server_duration_seconds{{job=\"service-{number:05}\"}}'\n"
        f"        at_most: {(number % 9 + 1) * 100}ms\n{native}"
    )


def _query(number: int) -> str:
    by = " by (region)" if _is_split(number) else ""
    return (
        f"      query:\n        total: 'sum{by} (increase(jobs_total{{queue=\"queue-{number:05}\"}}[$window]))'\n"
        f"        bad: 'sum{by} (increase(jobs_failed_total{{queue=\"queue-{number:05}\"}}[$window]))'\n"
    )


def _probe(number: int) -> str:
    return (
        f"      probe:\n        gauge: 'probe_success{{target=\"https://service-{number:05}.example.com/health\"}}'\n"
        f"        across: {('each', 'any', 'most', 'all')[number % 4]}\n"
    )


def _freshness(number: int) -> str:
    return (
        f"      freshness:\n        timestamp: 'last_import_timestamp_seconds{{table=\"table_{number:05}\"}}'\n"
        f"        max_age: {number % 50 + 10}m\n"
    )


def _throughput(number: int) -> str:
    return (
        f"      throughput:\n        counter: 'events_ingested_total{{stream=\"stream-{number:05}\"}}'\n"
        f"        at_least: {number + 1}/s\n"
    )


def _saturation(number: int) -> str:
    forecast = "    forecast:\n      within: 15d\n" if number % 8 == 4 else ""
    return (
        f"      saturation:\n        used: 'pool_connections_in_use{{pool=\"pool-{number:05}\"}}'\n"
        f"        capacity: 'pool_connections_limit{{pool=\"pool-{number:05}\"}}'\n"
        f"        at_most: {number % 30 + 60}%\n{forecast}"
    )


def _threshold(number: int) -> str:
    by = " by (region)" if _is_split(number) else ""
    return (
        f"      threshold:\n        value: 'max{by} (replication_lag_seconds{{cluster=\"cluster-{number:05}\"}})'\n"
        f"        at_most: {number % 60 + 1}s\n"
    )


KINDS: Final[dict[str, Callable[[int], str]]] = {
    "ratio": _ratio,
    "latency": _latency,
    "query": _query,
    "probe": _probe,
    "freshness": _freshness,
    "throughput": _throughput,
    "saturation": _saturation,
    "threshold": _threshold,
}
