"""How soon alerts fire in everyday troubles, and that none fires in the first hour of a new SLO, in promtool's engine.

Counters are older than the rules, as when an SLO is written for a service that runs; scrapes come each 30 s.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final

from bench.rows import Row
from bench.rules_month import compiled
from bench.rules_pages import ERROR_RATIO
from bench.rules_traffic import HOUR, poisson
from bench.rules_worlds import HISTORY, evaluated
from sloctl.backends.prometheus.backend import service_groups

SPEC: Final = """
apiVersion: sloctl/v1
kind: Service
service: api
runbook: https://runbooks.example.com/api
slos:
  - name: ok
    objective: 99.9%
    {by}
    sli: {{ratio: {{total: 'requests_total{{job="api"}}', bad_if: 'code="500"'}}}}
    alerts:
      - {{severity: P1, burn: 14.2, over: 5m}}
      - {{severity: P1, burn: 14.4, over: 1h, also_over: 5m}}
      - {{severity: P1, burn: 6, over: 6h, also_over: 30m}}
      - {{severity: P2, burn: 1, over: 1m, for: 2m}}
      - {{severity: P3, burn: 3, over: 1d, also_over: 2h}}
      - {{severity: P3, burn: 1, over: 3d, also_over: 6h}}
      - {{severity: P3, budget_left: 25%}}
"""
SCRAPE: Final = 30
BEGIN: Final = 2 * HOUR
"""When trouble begins, in seconds."""
END: Final = BEGIN + HOUR
NEVER: Final = 1e9
TENANTS: Final = 20
RATES: Final = {"1/min": 1 / 60, "10/min": 1 / 6, "1/s": 1.0, "10/s": 10.0, "100/s": 100.0, "1000/s": 1000.0}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What fails, from `BEGIN` on.

    Attributes:
        bad: the share of requests that fail so many seconds after the beginning.
        within: minutes after which each tier fires at the latest, to its next evaluation.
        every: seconds from request to request.
        dead: no target answers.
    """

    name: str
    bad: Callable[[int], float]
    within: Mapping[str, int]
    every: float = 0.1
    dead: bool = False


TROUBLES: Final = (
    Trouble("all requests fail for an hour", lambda _: 1, {"p1-5m": 1, "p2-1m": 3, "p1-1h": 2}),
    Trouble("2 % fail", lambda _: 0.02, {"p1-5m": 5, "p2-1m": 4, "p1-1h": 44}),
    Trouble("all fail for 30 s", lambda second: float(second < 30), {"p1-5m": 1}),
    Trouble(
        "half of them fail every other minute",
        lambda second: 0.5 * (second % 120 < 60),
        {"p1-5m": 2, "p2-1m": 4, "p1-1h": 5},
    ),
    Trouble("all fail, 1 request a minute", lambda _: 1, {"p1-5m": 4, "p1-1h": 5}, every=60),
    Trouble("all fail, 10 requests a minute", lambda _: 1, {"p1-5m": 2, "p2-1m": 4, "p1-1h": 2}, every=6),
    Trouble("all pods dead", lambda _: 1, {"down": 4}, dead=True),
)


def rows() -> Iterator[Row]:
    """Minutes until each tier fires in each trouble, and what a new SLO fires in its first hour."""
    for trouble in TROUBLES:
        asked = [_fired(tier) for tier in trouble.within]
        for (tier, within), minutes in zip(trouble.within.items(), _ask("", _troubled(trouble), asked), strict=True):
            yield Row(f"{trouble.name}: minutes until {tier} fires", minutes, at_most=within)
    asked = [_ever(rate) for rate in RATES]
    for rate, count in zip(RATES, _ask("by: [tenant]", _first_hour(), asked), strict=True):
        what = f"first hour of {TENANTS} new values at {rate}, {100 * ERROR_RATIO:g} % errors: alerts"
        yield Row(what, count, at_most=0)


def _ask(by: str, series: Mapping[str, str], asked: Sequence[str]) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as text:
        folder = Path(text)
        (platform,) = compiled(SPEC.format(by=by), folder).platforms
        groups: list[dict[str, Any]] = [group.value() for group in service_groups(platform, platform.services[0])]
        rules = {"groups": [group for group in groups if not group["name"].endswith("-repairs")]}
        (folder / "rules.json").write_text(json.dumps(rules), encoding="utf-8")
        return evaluated(folder, SCRAPE, series, END, asked)


def _fired(tier: str) -> str:
    """Minutes from the beginning of the trouble until an alert fires."""
    firing = f'ALERTS{{alertstate="firing", burn_tier="{tier}"}}'
    return f"(min(min_over_time(timestamp({firing})[{END}s:1m])) - {BEGIN}) / 60 or vector({NEVER:g})"


def _ever(rate: str) -> str:
    firing = f'ALERTS{{alertstate="firing", tenant=~"{rate} .+"}}'
    return f"count(max_over_time({firing}[{END}s])) or vector(0)"


def _troubled(trouble: Trouble) -> dict[str, str]:
    """Requests come evenly; a bad one is each so-manieth of them."""
    moments = range(0, END + 1, SCRAPE)
    total = [int(SCRAPE / trouble.every * number) for number in range(len(moments))]
    shares = [trouble.bad(moment - SCRAPE - BEGIN) if moment > BEGIN else 0 for moment in moments]
    new = [0, *(after - before for before, after in pairwise(total))]
    bad = [int(count) for count in accumulate(count * share for count, share in zip(new, shares, strict=True))]
    alive = [not trouble.dead or moment <= BEGIN for moment in moments]
    return {
        'up{job="api", instance="a"}': " ".join(str(int(lives)) for lives in alive),
        **_counter("200", [all_ - failed for all_, failed in zip(total, bad, strict=True)], alive),
        **_counter("500", bad, alive),
    }


def _counter(code: str, counts: Sequence[int], alive: Sequence[bool], tenant: str = "") -> dict[str, str]:
    """A code has no series before its first request."""
    history = HISTORY if code == "200" else 0
    values = [
        str(history + count) if lives and history + count else "stale" if not lives else "_"
        for count, lives in zip(counts, alive, strict=True)
    ]
    more = f', tenant="{tenant}"' if tenant else ""
    return {f'requests_total{{job="api", instance="a", code="{code}"{more}}}': " ".join(values)}


def _first_hour() -> dict[str, str]:
    """Some values for each rate, whose first hour of rules ends with the test; bad events come by chance."""
    moments = range(BEGIN, END + 1, SCRAPE)
    before = f"_x{BEGIN // SCRAPE} "
    series = {'up{job="api", instance="a"}': before + " ".join("1" for _ in moments)}
    for rate, each in RATES.items():
        for number in range(TENANTS):
            chance = random.Random(f"{rate}/{number}")
            total = [poisson(chance, each * SCRAPE) for _ in moments]
            bad = [min(count, poisson(chance, count * ERROR_RATIO)) for count in total]
            for code, new in (("200", total), ("500", bad)):
                written = _counter(code, list(accumulate(new)), [True] * len(new), f"{rate} {number}")
                series |= {name: before + values for name, values in written.items()}
    return series
