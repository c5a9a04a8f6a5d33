"""When each tier fires, in promtool's rule engine, beside what the arithmetic says: `sloctl.model.budget`.

Traffic is steady and so large that the guard against small numbers decides nothing; before the errors it is clean.
Windows under a day are tested from raw counters each minute. Windows of a day and more read roll-ups, so they are
tested from minute tiles each four minutes: promtool evaluates every group of a test at the same interval.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.rows import Row
from bench.rules_accuracy import WIDTH
from bench.rules_month import compiled
from bench.rules_pages import SPEC
from bench.rules_server import promtool
from sloctl import conventions
from sloctl.backends.prometheus.backend import PrometheusBackend
from sloctl.model.alerting import Tier
from sloctl.model.budget import tier_detection_time
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.quantities import MINUTE, percent
from testing.servers import ServerError

RATIOS: Final = tuple(Decimal(text) for text in ("1", "0.1", "0.05", "0.015", "0.01", "0.005", "0.002"))
PER_MINUTE: Final = 1_000_000_000
FAST_BEGIN: Final = 6 * 60 + 10
"""Minute of the first bad scrape, after more clean time than the longest fast window."""
SLOW_BEGIN: Final = 73 * 60
"""Minute of the first bad tile, a multiple of four."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A tier of an SLO, and the minutes from the first bad event to its first evaluation; None is never."""

    slo: Slo
    tier: Tier
    minutes: int | None

    @property
    def slow(self) -> bool:
        """Whether it reads roll-ups and is evaluated each four minutes."""
        return self.slo.sampling.reads_rollups(self.tier.averaged_over)

    def checks(self) -> Iterator[tuple[int, int]]:
        """Minutes of the test, and whether the alert fires there (1 or 0)."""
        begin, step = (SLOW_BEGIN, 4) if self.slow else (FAST_BEGIN, 1)
        if self.minutes is None:
            yield begin + step * (int(self.tier.averaged_over / MINUTE) // step + 8), 0
            return
        fires = begin + step * -(-self.minutes // step)
        yield fires - step, 0
        yield fires, 1


def rows() -> Iterator[Row]:
    """One row an error ratio; prints the minutes that were confirmed."""
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as text:
        folder = Path(text)
        catalogue = compiled(SPEC, folder)
        fast, slow = _rule_files(catalogue, folder)
        found = {ratio: list(_watched(catalogue, ratio)) for ratio in RATIOS}
        Console(width=WIDTH).print(_table(found))

        def off(ratio: Decimal) -> int:
            quick = [finding for finding in found[ratio] if not finding.slow]
            patient = [finding for finding in found[ratio] if finding.slow]
            return _misses(fast, folder, quick, _raw(ratio), 1) + _misses(slow, folder, patient, _tiles(ratio), 4)

        with ThreadPoolExecutor(2) as pool:
            for ratio, misses in zip(found, pool.map(off, found), strict=True):
                what = f"fire times of {len(found[ratio])} tiers at {percent(ratio)} errors: evaluations off"
                yield Row(what, misses, at_most=0)


def _watched(catalogue: Catalogue, ratio: Decimal) -> Iterator[Watched]:
    for slo in catalogue.slos:
        for tier in slo.tiers:
            time = tier_detection_time(tier, slo.objective, ratio, slo.sampling.resolution)
            yield Watched(slo, tier, None if time is None else int(time / MINUTE))


def _rule_files(catalogue: Catalogue, folder: Path) -> tuple[Path, Path]:
    """Fast groups; and both groups without the minute tiles, which the slow test brings itself."""
    artifacts = [artifact for artifact in PrometheusBackend().compile(catalogue) if "_sloctl" not in artifact.path]
    groups: list[Mapping[str, Any]] = [group for artifact in artifacts for group in _groups(artifact.value)]
    fast = [group for group in groups if group["name"].endswith("-fast")]
    tiles = {conventions.total_tile(MINUTE), conventions.errors_tile(MINUTE)}
    slow = [
        {**group, "rules": [rule for rule in group["rules"] if rule.get("record") not in tiles]}
        for group in groups
        if "-one-window-" not in group["name"]  # it has no tier of a day and more
    ]
    files = folder / "fast.yaml", folder / "slow.yaml"
    for file, value in zip(files, (fast, slow), strict=True):
        file.write_text(json.dumps({"groups": value}), encoding="utf-8")
    return files


def _groups(value: Any) -> list[Mapping[str, Any]]:
    return value["groups"]  # type: ignore[no-any-return]


def _raw(ratio: Decimal) -> dict[str, str]:
    """Counters scraped each 30 s."""
    each, before = PER_MINUTE // 2, 2 * FAST_BEGIN - 1
    bad = int(each * ratio)
    good = f"0+{each}x{before} {each * before + each - bad}+{each - bad}x1000"
    return {
        'up{job="a", instance="i"}': "1x2000",
        'requests_total{job="a", instance="i", code="200"}': good,
        'requests_total{job="a", instance="i", code="500"}': f"0x{before} {bad}+{bad}x1000",
    }


def _tiles(ratio: Decimal) -> dict[str, str]:
    """Minute tiles."""
    bad = int(PER_MINUTE * ratio)
    labels = '{platform="default", service="night", slo="night-google"}'
    return {
        f"{conventions.total_tile(MINUTE)}{labels}": f"{PER_MINUTE}x8000",
        f"{conventions.errors_tile(MINUTE)}{labels}": f"0x{SLOW_BEGIN - 1} {bad}x3000",
    }


def _misses(rules: Path, folder: Path, watched: list[Watched], series: Mapping[str, str], step: int) -> int:
    """How many checks promtool finds wrong."""
    test = {
        "rule_files": [rules.name],
        "evaluation_interval": f"{step}m",
        "tests": [
            {
                "interval": "30s" if step == 1 else "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    _check(watch, minute, fires) for watch in watched for minute, fires in watch.checks()
                ],
            }
        ],
    }
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".yaml", delete=False) as file:
        json.dump(test, file)
    try:
        promtool("test", "rules", file.name, cwd=folder)
    except ServerError as failure:
        print(failure)
        return max(1, str(failure).count("expr: "))
    return 0


def _check(watched: Watched, minute: int, fires: int) -> dict[str, Any]:
    labels = f'slo="{watched.slo.id}", burn_tier="{conventions.burn_tier(watched.tier)}", alertstate="firing"'
    return {
        "expr": f"count(ALERTS{{{labels}}}) or vector(0)",
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": "{}", "value": fires}],
    }


def _table(found: Mapping[Decimal, list[Watched]]) -> Table:
    first = next(iter(found.values()))
    names = [f"{watched.slo.name} {conventions.burn_tier(watched.tier)}" for watched in first]
    table = Table(
        "errors", *names, title="Minutes until each tier fires; slow ones at the next of 4", title_justify="left"
    )
    for ratio, watched in found.items():
        table.add_row(percent(ratio), *("never" if watch.minutes is None else str(watch.minutes) for watch in watched))
    return table
