"""Specifications for the benchmarks: any number of SLOs, of all kinds, no two selectors alike.

`write_specs` makes one file of about 30 lines for each SLO, with its own alert policy, labels and annotations.
`write_short_specs` makes services of eight SLOs of some 10 lines each, which take their policies from the Platform:
there is less to read for each SLO, but as much to write.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
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
SPLIT: Final = frozenset({"probe", "freshness", "throughput", "saturation", "threshold"})


def write_specs(folder: Path, slos: int) -> None:
    """A Platform with its teams, and one service for each SLO, all kinds in turn."""
    _write_platform(folder)
    kinds = list(KINDS)
    for number in range(slos):
        text = _head(number) + _slo(number, kinds[number % len(kinds)], _tiers(number), number // len(kinds))
        (folder / f"service-{number:05}.yaml").write_text(text, encoding="utf-8")


def write_short_specs(folder: Path, slos: int) -> None:
    """A Platform with its teams, and services of eight SLOs, one of each kind."""
    _write_platform(folder)
    for number in range(slos // SLOS_A_SERVICE):
        text = _head(number) + "".join(_slo(number, kind, _policy(number), number) for kind in KINDS)
        (folder / f"service-{number:05}.yaml").write_text(text, encoding="utf-8")


def _write_platform(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "platform.yaml").write_text(PLATFORM + "teams:\n" + "".join(map(_team, range(10))), encoding="utf-8")


def _head(number: int) -> str:
    """The beginning of a service's document."""
    return f"apiVersion: sloctl/v1\nkind: Service\nservice: service-{number:05}\nteam: team-{number % 10}\nslos:\n"


def _tiers(number: int) -> str:
    """A policy of the SLO's own: who is told, how fast the budget burns, over which windows."""
    burn = 14 + Decimal(number % 50) / 10
    tiers = (("P1", burn, "1h", "5m"), ("P2", burn / 2, "6h", "30m"), ("P3", Decimal(1), "3d", "6h"))
    row = "      - severity: {}\n        burn: {}\n        over: {}\n        also_over: {}\n"
    return (
        "    alerts:\n"
        + "".join(row.format(*tier) for tier in tiers)
        + f"    annotations:\n      channel: service-{number:05} on the status page\n"
    )


def _policy(number: int) -> str:
    """Some services have fewer alerts than the Platform says."""
    return {5: "    alerts: quiet\n", 6: "    alerts: [violated, quiet]\n"}.get(number % 7, "")


def _team(number: int) -> str:
    name = f"team-{number}"
    routes = f"P1: {{pagerduty: {name}}}\n    P2: {{slack: '#{name}'}}\n    P3: {{email: {name}@example.com}}"
    return f"  {name}:\n    {routes}\n"


def _slo(number: int, kind: str, alerts: str, turn: int) -> str:
    """In every fourth turn it is split by region where it counts slices; in every tenth it counts calendar months."""
    split = "    by: [region]\n" if turn % 4 == 1 and kind in SPLIT else ""
    month = "    window:\n      calendar: month\n      time_zone: Europe/Berlin\n" if turn % 10 == 3 else ""
    return (
        f"  - name: {kind}\n"
        f"    description: What service {number:05} promises about its {kind}.\n"
        f"    objective: {99 + number % 97 / 100:.2f}%\n"
        f"{split}{month}{alerts}"
        f"    labels:\n      component: {kind}-{number % 3}\n"
        f"    sli:\n{KINDS[kind](number, ' by (region)' if split else '')}"
    )


def _ratio(number: int, _: str) -> str:
    total = f'http_server_request_duration_seconds_count{{job="service-{number:05}"}}'
    bad = {
        0: f"        bad: 'http_server_failures_total{{job=\"service-{number:05}\"}}'\n",
        1: f"        good: 'http_server_successes_total{{job=\"service-{number:05}\"}}'\n",
    }.get(number % 3, "        bad_if: 'http_response_status_code=~\"5..\"'\n")
    return f"      ratio:\n        total: '{total}'\n{bad}    traffic: {number + 1}/s\n"


def _latency(number: int, _: str) -> str:
    native = "        native: true\n" if number % 5 == 2 else ""
    return (
        f"      latency:\n        histogram: 'rpc_server_duration_seconds{{job=\"service-{number:05}\"}}'\n"
        f"        at_most: {(number % 9 + 1) * 100}ms\n{native}"
    )


def _query(number: int, by: str) -> str:
    return (
        f"      query:\n        total: 'sum{by} (increase(jobs_total{{queue=\"queue-{number:05}\"}}[$window]))'\n"
        f"        bad: 'sum{by} (increase(jobs_failed_total{{queue=\"queue-{number:05}\"}}[$window]))'\n"
    )


def _probe(number: int, _: str) -> str:
    return (
        f"      probe:\n        gauge: 'probe_success{{target=\"https://service-{number:05}.example.com/health\"}}'\n"
        f"        across: {('each', 'any', 'most', 'all')[number % 4]}\n"
    )


def _freshness(number: int, _: str) -> str:
    return (
        f"      freshness:\n        timestamp: 'last_import_timestamp_seconds{{table=\"table_{number:05}\"}}'\n"
        f"        max_age: {number % 50 + 10}m\n"
    )


def _throughput(number: int, _: str) -> str:
    return (
        f"      throughput:\n        counter: 'events_ingested_total{{stream=\"stream-{number:05}\"}}'\n"
        f"        at_least: {number + 1}/s\n"
    )


def _saturation(number: int, _: str) -> str:
    forecast = "    forecast:\n      within: 15d\n" if number % 8 == 4 else ""
    return (
        f"      saturation:\n        used: 'pool_connections_in_use{{pool=\"pool-{number:05}\"}}'\n"
        f"        capacity: 'pool_connections_limit{{pool=\"pool-{number:05}\"}}'\n"
        f"        at_most: {number % 30 + 60}%\n{forecast}"
    )


def _threshold(number: int, by: str) -> str:
    return (
        f"      threshold:\n        value: 'max{by} (replication_lag_seconds{{cluster=\"cluster-{number:05}\"}})'\n"
        f"        at_most: {number % 60 + 1}s\n"
    )


KINDS: Final[dict[str, Callable[[int, str], str]]] = {
    "ratio": _ratio,
    "latency": _latency,
    "query": _query,
    "probe": _probe,
    "freshness": _freshness,
    "throughput": _throughput,
    "saturation": _saturation,
    "threshold": _threshold,
}
