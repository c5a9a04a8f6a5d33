"""The events that tiles and repairs count in worlds with one fault each, in promtool's engine, beside what happened.

Two days of a service with a daily rhythm, peaks of 3.4 times the traffic and four incidents. Time is cut into steps of
five seconds; a scrape reads what its process counted until then. What happened is drawn before any rule is compiled,
and nothing of sloctl takes part in it.
"""

from __future__ import annotations

import json
import math
import random
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.rows import Row
from bench.rules_accuracy import WIDTH
from bench.rules_month import compiled
from bench.rules_server import promtool
from bench.rules_traffic import DAY, HOUR, MINUTE, poisson
from sloctl.backends.prometheus.backend import service_groups
from testing.servers import ServerError

SPEC: Final = """
apiVersion: sloctl/v1
kind: Service
service: api
runbook: https://runbooks.example.com/api
{service}
slos:
  - name: ok
    objective: 99.9%
    sli: {sli}
    {slo}
"""
RATIO: Final = "{ratio: {total: 'requests_total{job=~\"api|renamed\"}', bad_if: 'code=\"500\"'}}"
LATENCY: Final = "{latency: {histogram: 'requests_seconds{job=\"api\"}', at_most: 1s}}"
_HERE: Final = "prometheus_is_here"
KINDS: Final = ("total", "errors")
BASELINE: Final = 0.0005
HISTORY: Final = 1_000_000
Span = tuple[int, int]
"""From a second on until another."""
Sample = int | str


@dataclass(frozen=True, slots=True)
class World:
    """A service and what befalls it or those who read it; lengths in seconds.

    Attributes:
        at_most: how far its budget may be off the truth, in per cent.
        pods: how many run side by side.
        rate: requests a second of all of them.
        baseline: the share that fails outside of incidents.
        crash_every: after which a pod crashes, by chance; it is back under its name.
        deploy_every: after which all pods are replaced by others.
        restored: what the counters of a new process begin with.
        lost: the share of scrapes that fail.
        late: a scrape begins so much later, by chance.
        stamped: samples carry a time of their own, so old by chance.
        replicas: each forty minutes the samples are those of another Prometheus.
        away: while Prometheus is.
        gone: while an exporter cannot read what it exports.
        idle: without a request.
        relabelled: from then on the series of the first pod have another label.
        renamed: from then on the job has another name.
        falls: then each counter falls by 300.
        no_number: the share of samples that are none.
        zeros: a new series begins with a sample of zero.
        service: keys of the service, and `slo` of the SLO.
    """

    name: str
    at_most: float = 1.0
    days: int = 2
    step: int = 5
    pods: int = 3
    rate: float = 20.0
    baseline: float = BASELINE
    incidents: tuple[tuple[int, int, float], ...] = (
        (3 * HOUR, 30 * MINUTE, 0.2),
        (18 * HOUR + 50 * MINUTE, 20 * MINUTE, 0.05),
        (33 * HOUR, 6 * HOUR, 0.004),
        (44 * HOUR, 5 * MINUTE, 0.4),
    )
    scrape: int = 30
    crash_every: int = 0
    deploy_every: int = 0
    restored: int = 0
    lost: float = 0.0
    late: int = 0
    stamped: int = 0
    replicas: bool = False
    away: tuple[Span, ...] = ()
    gone: tuple[Span, ...] = ()
    idle: tuple[Span, ...] = ()
    relabelled: int = 0
    renamed: int = 0
    falls: int = 0
    no_number: float = 0.0
    zeros: bool = False
    up: bool = True
    histogram: bool = False
    service: str = ""
    slo: str = ""

    @property
    def end(self) -> int:
        """When it is over."""
        return self.days * DAY


_NASTY_INCIDENTS: Final = (
    (3 * HOUR, 30 * MINUTE, 0.2),
    (20 * HOUR, 20 * MINUTE, 0.05),
    (33 * HOUR, 6 * HOUR, 0.004),
    (52 * HOUR, 30 * MINUTE, 0.1),  # within two hours without Prometheus
    (80 * HOUR, 5 * MINUTE, 0.4),
)
WORLDS: Final = (
    World("uneven traffic"),
    World("8 crashes a pod and day", crash_every=3 * HOUR),
    World("1 request a minute", rate=1 / 60, baseline=0.004),
    World("5 % of scrapes fail", lost=0.05),
    World("scrapes up to 10 s late", late=10),
    World("another replica each 40 min", replicas=True),
    World("the job is renamed", renamed=20 * HOUR + 7),
    World("labels changed by a reload", relabelled=20 * HOUR + 7),
    World("10 pods, replaced each 3 h", pods=10, deploy_every=3 * HOUR, step=15),
    World("new processes with restored counters", deploy_every=12 * HOUR, restored=5 * HISTORY),
    World("counters restored to a minute ago", falls=20 * HOUR),
    World("what an exporter reads is away for 20 min", gone=((20 * HOUR, 20 * HOUR + 20 * MINUTE),)),
    World("Prometheus away for 2 h, an incident inside", away=((2 * HOUR + 30 * MINUTE, 4 * HOUR + 30 * MINUTE),)),
    World("Prometheus away for 10 min in an incident", away=((3 * HOUR + 10 * MINUTE, 3 * HOUR + 20 * MINUTE),)),
    World("an hour without requests each day", idle=((5 * HOUR, 6 * HOUR), (29 * HOUR, 30 * HOUR))),
    World("stamped up to 25 s ago, `late_by: 30s`", stamped=25, service="late_by: 30s"),
    World("no `up`, crashes", up=False, crash_every=6 * HOUR),
    World("scrapes each 60 s, declared", scrape=60, service="scrape_interval: 60s"),
    World("scrapes each 60 s, not declared", scrape=60),
    World("scrapes each 120 s, declared", scrape=120, service="scrape_interval: 2m"),
    World("new series begin with zero", zeros=True, crash_every=6 * HOUR),
    World("2 % of samples are no number", no_number=0.02),
    World("latency, crashes", histogram=True, crash_every=6 * HOUR),
    World(
        "four nasty days: ten pods replaced each 3 h, crashes, 3 % of scrapes lost, two hours without Prometheus",
        days=4, step=15, pods=10, deploy_every=3 * HOUR, crash_every=DAY, lost=0.03, incidents=_NASTY_INCIDENTS,
        away=((51 * HOUR + 30 * MINUTE, 53 * HOUR + 30 * MINUTE),),
    ),
)  # fmt: skip


@dataclass(slots=True)
class Process:
    """What one process counts, from its begin on until its end."""

    instance: str
    begin: int
    end: int
    good: int = 0
    bad: int = 0
    read: set[str] = field(default_factory=set)
    """Series that were written, so that they can end."""


@dataclass(slots=True)
class Played:
    """What happened, and what was stored: samples by series and step."""

    world: World
    total: int = 0
    errors: int = 0
    stored: dict[str, dict[int, Sample]] = field(default_factory=lambda: defaultdict(dict))


def played(world: World) -> Played:
    """Everything that happens in a world, the same in every run."""
    found = Played(world)
    for slot in range(world.pods):
        _play_pod(found, slot, random.Random(f"{world.name}/{slot}"))
    return found


def _play_pod(found: Played, slot: int, chance: random.Random) -> None:
    world = found.world
    lives = list(_lives(world, slot, chance))
    old: Process | None = None
    phase = slot * world.step % world.scrape
    for second in range(0, world.end, world.step):
        process = next((life for life in lives[:2] if life.begin <= second < life.end), None)
        if process is not None and lives[0] is not process:
            old = lives.pop(0)
        if process is not None:
            _count(found, process, second, chance)
            if 0 < world.falls == second:
                process.good, process.bad = process.good - 300, max(0, process.bad - 300)
        shifted = world.scrape // 2 * (second // (40 * MINUTE) % 2) if world.replicas else 0
        if (second - phase - shifted) % world.scrape or _within(second, world.away):
            continue
        at = second + world.step * chance.randint(0, world.late // world.step)
        if old is not None and process is not None and (old.instance != process.instance or not world.up):
            _end(found, old, second)
            old = None
        _scrape(found, process or lives[0], at, chance, is_up=process is not None and chance.random() >= world.lost)


def _lives(world: World, slot: int, chance: random.Random) -> Iterator[Process]:
    """Crashes end a process for 45 s, deployments for ever."""
    begin, version, value = 0, 0, HISTORY
    deploy = world.deploy_every or world.end
    while begin < world.end:
        until = min((version + 1) * deploy + (slot * 60 if world.deploy_every else 0), world.end)
        crash = begin + math.ceil(chance.expovariate(1 / world.crash_every)) if world.crash_every else until
        end = min(until, crash)
        yield Process(f"{slot}-{version}", begin, end, value, value // 1000)
        begin = end + (45 if end < until else 0)
        version += end == until
        value = world.restored


def _count(found: Played, process: Process, second: int, chance: random.Random) -> None:
    world = found.world
    if _within(second, world.idle):
        return
    mean = world.rate * _swing(second) * world.step / world.pods
    ratio = next((ratio for begin, length, ratio in world.incidents if begin <= second < begin + length), 0)
    total = poisson(chance, mean)
    bad = min(total, poisson(chance, total * max(ratio, world.baseline)))
    process.good, process.bad = process.good + total - bad, process.bad + bad
    found.total, found.errors = found.total + total, found.errors + bad


def _swing(second: int) -> float:
    """Traffic as a multiple of its mean: 60 % up and down over a day, and two hours of 3.4 times as much."""
    clock = second % DAY
    return (1 + 0.6 * math.sin(2 * math.pi * (clock - 9 * HOUR) / DAY)) * (3.4 if 18 <= clock / HOUR < 20 else 1)


def _within(second: int, spans: Sequence[Span]) -> bool:
    return any(begin <= second < end for begin, end in spans)


def _scrape(found: Played, process: Process, at: int, chance: random.Random, *, is_up: bool) -> None:
    world = found.world
    target = {"job": "renamed" if 0 < world.renamed <= at else "api", "instance": process.instance}
    if world.up:
        found.stored[_series("up", target)][at // world.step] = int(is_up)
    if not is_up or _within(at, world.gone):
        if world.up:
            _end(found, process, at)
        return
    more = {"team": "web"} if 0 < world.relabelled <= at and process.instance.startswith("0-") else {}
    stamp = (at - world.step * chance.randint(0, world.stamped // world.step)) // world.step
    values = _values(process, histogram=world.histogram)
    names = {name: _series(metric, {**target, **more, **labels}) for name, (metric, labels, _) in values.items()}
    for gone in process.read - set(names.values()):  # as Prometheus does it: one interval and a tenth later
        found.stored[gone][(at + world.scrape * 11 // 10) // world.step] = "stale"
        process.read.discard(gone)
    for name, (_, _, value) in values.items():
        series = found.stored[names[name]]
        if world.zeros and process.begin and names[name] not in process.read:
            series[stamp - 1] = 0
        series[stamp] = "NaN" if chance.random() < world.no_number else value
        process.read.add(names[name])


def _values(process: Process, *, histogram: bool) -> dict[str, tuple[str, dict[str, str], int]]:
    """What its page shows: a code has no series before its first request."""
    if histogram:
        every = process.good + process.bad
        return {
            "count": ("requests_seconds_count", {}, every),
            "fast": ("requests_seconds_bucket", {"le": "1"}, process.good),
            "all": ("requests_seconds_bucket", {"le": "+Inf"}, every),
        }
    codes = {"200": process.good, "500": process.bad}
    return {code: ("requests_total", {"code": code}, value) for code, value in codes.items() if value}


def _end(found: Played, process: Process, at: int) -> None:
    """What a scrape no longer finds has a stale marker."""
    for name in process.read:
        found.stored[name][at // found.world.step] = "stale"
    process.read.clear()


def _series(metric: str, labels: Mapping[str, str]) -> str:
    inside = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{metric}{{{inside}}}"


def _notation(samples: Mapping[int, Sample]) -> str:
    """Samples by step, as promtool reads them."""
    words, last = list[str](), -1
    for at in sorted(samples):
        words += [f"_x{at - last - 1}"] if at - last > 1 else []
        words.append(str(samples[at]))
        last = at
    return " ".join(words)


def rows() -> Iterator[Row]:
    """How far the budget of each world is off; prints events and errors as well."""
    title = "What is counted, % off what happened; the budget is their ratio"
    table = Table("world", "events", "errors", "budget", title=title, title_justify="left")
    with ThreadPoolExecutor(2) as pool:
        for world, (happened, counted) in zip(WORLDS, pool.map(_counted, WORLDS), strict=True):
            off = [100 * (seen / true - 1) for seen, true in zip(counted, happened, strict=True)]
            budget = 100 * (counted[1] / counted[0] / (happened[1] / happened[0]) - 1)
            table.add_row(world.name, *(f"{each:+.2f} %" for each in (*off, budget)))
            yield Row(f"{world.name}: budget off, %", abs(budget), at_most=world.at_most)
    Console(width=WIDTH).print(table)


def _counted(world: World) -> tuple[tuple[int, int], tuple[float, float]]:
    """Events and errors that happened, and those that the rules count."""
    found = played(world)
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as text:
        folder = Path(text)
        sli = LATENCY if world.histogram else RATIO
        (platform,) = compiled(SPEC.format(service=world.service, sli=sli, slo=world.slo), folder).platforms
        groups = [group.value() for group in service_groups(platform, platform.services[0])]
        tiles = [rule for rule in groups[0]["rules"] if rule.get("record", "").startswith("slo:sli_")][:2]
        repairs = groups[-1]["rules"] if world.away else []
        here = [{**rule, "expr": f"(\n{rule['expr']}\n) and on () {_HERE}"} for rule in (*tiles, *repairs)]
        rules = {"groups": [{**groups[0], "rules": here}]}
        (folder / "rules.json").write_text(json.dumps(rules), encoding="utf-8")
        series = {name: _notation(samples) for name, samples in found.stored.items()}
        series[_HERE] = _notation(_here(world))
        total, errors = evaluated(folder, world.step, series, world.end, [_sum(world, kind) for kind in KINDS])
    return (found.total, found.errors), (total, errors)


def _here(world: World) -> dict[int, Sample]:
    """Whether Prometheus is there: promtool evaluates rules always."""
    marks: dict[int, Sample] = {
        second // world.step: 1 for second in range(0, world.end + 1, MINUTE) if not _within(second, world.away)
    }
    return marks | {begin // world.step: "stale" for begin, _ in world.away}


def _sum(world: World, kind: str) -> str:
    """What tiles hold, and what repairs add to roll-ups."""
    parts = [f"sum_over_time(slo:sli_{kind}:increase1m[{world.end}s])"]
    parts += [f"sum_over_time(slo:missed_{kind}:increase[{world.end}s])"] if world.away else []
    return " + ".join(f"(sum({part}) or vector(0))" for part in parts)


def evaluated(folder: Path, step: int, series: Mapping[str, str], at: int, asked: Sequence[str]) -> list[float]:
    """The values of expressions after promtool has evaluated `rules.json` each minute: it tells what it got."""
    test: dict[str, Any] = {
        "rule_files": ["rules.json"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": f"{step}s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {"expr": expr, "eval_time": f"{at}s", "exp_samples": [{"labels": "{}", "value": -1}]}
                    for expr in asked
                ],
            }
        ],
    }
    (folder / "test.json").write_text(json.dumps(test), encoding="utf-8")
    try:
        promtool("test", "rules", "test.json", cwd=folder)
    except ServerError as failure:
        found = re.findall(r"got:\s*\{\} (\S+)", str(failure))
        if len(found) != len(asked):
            raise
        return [float(value) for value in found]
    raise AssertionError("something is -1")
