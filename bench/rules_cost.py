"""What rules cost: samples that Prometheus reads for them, by its own statistics, and how many they are."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench import rules_others
from bench.rows import Row
from bench.rules_accuracy import WIDTH
from bench.rules_month import Month, compiled
from bench.rules_others import Rule
from bench.rules_server import Server, promtool
from bench.rules_traffic import START
from sloctl.backends.prometheus.backend import service_groups

SLOS: Final = {
    "clean": ("availability", rules_others.AVAILABILITY, "0.001"),
    "latency": ("latency", rules_others.LATENCY, "0.01"),
}


def rows(month: Month) -> Iterator[Row]:
    """The targets; prints the three shapes side by side."""
    table = Table(
        "samples read per SLO and minute", "ours", "mean of 5m ratios", "raw increase",
        title=f"Cost, Prometheus {month.server.ask('status/buildinfo')['version']}", title_justify="left",
    )  # fmt: skip
    found: list[Row] = []
    for slo, (what, sides, budget) in SLOS.items():
        rules = generated(month, slo)
        at = {rule.every: month.last(slo, "4m" if rule.every == 240 else "1m") for rule in rules}
        ours = sum(month.server.samples_read(rule.expr, at[rule.every]) * 60 / rule.every for rule in rules)
        others = [
            sum(month.server.samples_read(rule.expr, at[240]) * 60 / rule.every for rule in shape)
            for shape in (rules_others.ratios(sides, budget, slo), rules_others.raw(sides, budget))
        ]
        series = month.server.value(f"count({sides.total})", at[60])
        table.add_row(f"{what}", f"{ours:,.0f}", *(f"{other:,.0f} ({other / ours:.0f}x)" for other in others))
        recorded = {rule.record for rule in rules if rule.record}
        found += [
            Row(f"{what}: raw series of the total", series, at_least=6 if sides.good else 28, at_most=30),
            Row(f"{what}: samples read per minute", ours, at_most=13_300),
            Row(f"{what}: rules", len(rules), at_most=25),
            Row(f"{what}: recorded series", len(recorded), at_most=19),
        ]
    Console(width=WIDTH).print(table)
    yield from found


def generated(month: Month, slo: str) -> list[Rule]:
    """The generated rules of an SLO."""
    return _rules(
        [group for name, group in month.groups.items() if name.startswith("slo-bench-month-")], f"month-{slo}"
    )


def _rules(groups: Iterable[Mapping[str, Any]], slo: str) -> list[Rule]:
    return [
        Rule(rule["expr"], _seconds(group), rule.get("record"))
        for group in groups
        for rule in group["rules"]
        if rule["labels"]["slo"] == slo
    ]


def many_targets() -> Iterator[Row]:
    """A selector without `job` on a server of 2 000 targets, and with labels that `up` is said to have."""
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as text, Server(Path(text), {}) as server:
        at = START + 30 * 60
        (server.folder / "up.om").write_text("\n".join([*_targets(at), "# EOF", ""]))
        promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", "up.om", server.data, cwd=server.folder)
        server.start()
        for what, labels in (("job and instance", "job, instance"), ("namespace too", "job, instance, namespace")):
            catalogue = compiled(_NO_JOB.format(labels=labels), server.folder)
            groups = [
                group.value()
                for platform in catalogue.platforms
                for group in service_groups(platform, platform.services[0])
            ]
            read = sum(server.samples_read(rule.expr, at) * 60 / rule.every for rule in _rules(groups, "web-ok"))
            most = 1_000 if "namespace" in labels else 20_000
            yield Row(f"no job, 2 000 targets, target labels {what}: samples read per minute", read, at_most=most)


def throughput() -> Iterator[Row]:
    """Samples of the tiles of a throughput beside those of a ratio of the same 30 series."""
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as text, Server(Path(text), {}) as server:
        at = START + 30 * 60
        labels = [f'job="app",instance="{number}"' for number in range(6)]
        lines = [f"up{{{target}}} 1 {moment}" for target in labels for moment in range(START, at + 1, 30)]
        lines += [
            f'requests_total{{{target},code="{code}00"}} {moment - START + 3600} {moment}'
            for target in labels
            for code in range(5)
            for moment in range(START, at + 1, 30)
        ]
        (server.folder / "raw.om").write_text("\n".join([*lines, "# EOF", ""]))
        promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", "raw.om", server.data, cwd=server.folder)
        server.start()
        (platform,) = compiled(_PACED, server.folder).platforms
        groups = [group.value() for group in service_groups(platform, platform.services[0])]
        paced, ratio = (
            sum(
                server.samples_read(rule.expr, at)
                for rule in _rules(groups, f"app-{slo}")
                if str(rule.record).startswith("slo:sli_") and rule.every == 60
            )
            for slo in ("paced", "ratio")
        )
        yield Row("throughput, 30 series: samples of its tiles, by those of a ratio", paced / ratio, at_most=1.0)


_PACED: Final = """
apiVersion: sloctl/v1
kind: Service
service: app
slos:
  - {name: paced, objective: 99.9%, sli: {throughput: {counter: 'requests_total{job="app"}', at_least: 100/min}}}
  - name: ratio
    objective: 99.9%
    sli: {ratio: {total: 'requests_total{job="app"}', bad_if: 'code="500"'}}
"""

_NO_JOB: Final = """
apiVersion: sloctl/v1
kind: Platform
name: bench
target_labels: [{labels}]
---
apiVersion: sloctl/v1
kind: Service
service: web
slos:
  - name: ok
    objective: 99.9%
    sli: {{ratio: {{total: 'requests_total{{namespace="web"}}', bad_if: 'code="500"'}}}}
"""


def _targets(end: int) -> Iterator[str]:
    """Half an hour of `up`, and of requests on five targets."""
    moments = range(end - 30 * 60, end + 1, 30)
    for number in range(2_000):
        labels = f'job="app",instance="{number}",namespace="{"web" if number < 5 else "other"}"'
        yield from (f"up{{{labels}}} 1 {moment}" for moment in moments)
    for number in range(5):
        labels = f'job="app",instance="{number}",namespace="web",code="200"'
        yield from (f"requests_total{{{labels}}} {moment - end + 3600} {moment}" for moment in moments)


def _seconds(group: Mapping[str, Any]) -> float:
    match = re.fullmatch(r"(\d+)m", group["interval"])
    assert match, group["interval"]
    return int(match[1]) * 60
