"""`sloctl test` on the shipped specifications and on a thousand SLOs, and which broken rules it catches."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.proof_mutants import Mutant, equivalent, mutants
from bench.rows import Row
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue, Platform, Slo
from sloctl.proof.promtool import Promtool, ProofOutcome
from sloctl.proof.proof import Proof, rules_of
from sloctl.proof.slos import proofs, slo_proofs

CORES = 2
EACH = 8
"""Mutants of each operator of an SLO."""
VICTIMS = (
    "finflow/payments/transactions",  # ratio, short windows
    "ecommerce/cart/latency",  # latency, long and rolled-up windows
    "finflow/nodes/ready",  # probe, every sample
    "gps-logistics/tracking/positions",  # freshness, calendar
    "routemesh/ingestion/throughput",  # throughput, excluded at times
    "routemesh/pooler/connections",  # saturation, forecast
    "routemesh/stream/delay",  # threshold
    "routemesh/journeys/completion",  # probe by vote, split
    "gps-logistics/tracking/silent-failures",  # ratio of two metrics, calendar
    "routemesh/web/largest-paint",  # regression, split
    "bench/asked/query",
    "bench/asked/inhibited",
)
"""One SLO of each kind, with each sort of window: short, long, rolled up, calendar, split."""
MORE = """
apiVersion: sloctl/v1
kind: Platform
name: bench
inhibition: rule
---
apiVersion: sloctl/v1
kind: Service
service: asked
runbook: https://runbooks.example.com/asked
slos:
  - name: query
    objective: 99.9%
    sli: {query: {total: 'sum(increase(jobs_total[$window]))', bad: 'sum(increase(jobs_failed_total[$window]))'}}
    alerts: google
  - name: inhibited
    objective: 99.9%
    by: [tenant]
    sli: {ratio: {total: 'jobs_total{job="api"}', bad_if: 'outcome!="done"'}}
    alerts:
      - {severity: P1, burn: 14.4, over: 1h, also_over: 5m, for: 2m}
      - {severity: P2, burn: 6, over: 14m}
"""
"""Kinds that the shipped specifications do not use."""


OBJECTIVES = ("99.9%", "99.95%", "99.5%", "99.8%", "99.7%")
SHAPES = (
    "{ratio: {total: 'NAME_total{job=\"NAME\"}', bad_if: 'code=~\"5..\"'}}",
    '{ratio: {total: \'NAME_total{job="NAME"}\', good: \'NAME_total{job="NAME", ok="1"}\'}}',
    "{ratio: {total: NAME_total, bad: NAME_failed_total}}",
    "{latency: {histogram: 'NAME_seconds{job=\"NAME\"}', at_most: 300ms}}",
    "{latency: {histogram: 'NAME_seconds{job=\"NAME\"}', at_most: 300ms, bad_if: 'code=\"500\"'}}",
    "{probe: {gauge: 'NAME_up{job=\"NAME\"}'}}",
    "{freshness: {timestamp: NAME_seen, max_age: 5m, across: all}}",
    "{throughput: {counter: 'NAME_done{job=\"NAME\"}', at_least: 10/min}}",
    "{saturation: {used: NAME_used, capacity: NAME_size, at_most: 85%}}",
    "{threshold: {value: max(NAME_lag_seconds), at_most: 10s}}",
)


def rows() -> Iterator[Row]:
    found = Diagnostics()
    catalogue = load(["slo-specs"], found)
    assert not found.errors
    yield from _all(catalogue)
    yield from _thousand()
    yield from _mutants([*catalogue.platforms, *_more()])


def _more() -> tuple[Platform, ...]:
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as folder:
        Path(folder, "more.yaml").write_text(MORE)
        found = Diagnostics()
        catalogue = load([folder], found)
    assert not found.errors
    return catalogue.platforms


def _all(catalogue: Catalogue) -> Iterator[Row]:
    """Every SLO by itself, and then as `sloctl test` does it."""
    claims = list(proofs(catalogue, each=True))
    outcomes = _prove([claim for claim in claims if claim.is_run])
    tiers = {(claim.slo, tier) for claim in claims for tier in claim.tiers}
    broken = {(found.proof.slo, tier) for found in outcomes if found.failures for tier in found.proof.tiers}
    print(f"{len(outcomes)} proofs, {len(claims) - len(outcomes)} not provable")
    yield Row("failed proofs", sum(bool(outcome.failures) for outcome in outcomes), at_most=0)
    yield Row("tiers proven, %", 100 * (1 - len(broken) / len(tiers)), at_least=95)
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as cache:
        first = _measured(cache, "slo-specs")
        print(f"slo-specs: wall {first.wall:.0f} s, CPU {first.cpu:.0f} s, {first.mebibytes:.0f} MiB")
        yield Row(f"slo-specs, CPU seconds on each of {CORES} cores", first.cpu / CORES, at_most=30)
        yield Row("slo-specs again, seconds", _measured(cache, "slo-specs").wall, at_most=2)


def _thousand() -> Iterator[Row]:
    """A thousand SLOs of ten shapes."""
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as folder:
        specs, cache = Path(folder, "specs"), str(Path(folder, "cache"))
        _write_shapes(specs, 1000)
        first = _measured(cache, str(specs))
        print(f"1 000 SLOs: wall {first.wall:.0f} s, CPU {first.cpu:.0f} s, {first.mebibytes:.0f} MiB")
        yield Row(f"1 000 SLOs, CPU seconds on each of {CORES} cores", first.cpu / CORES, at_most=60)
        yield Row("1 000 SLOs, MiB of all processes together", first.mebibytes, at_most=300)
        yield Row("1 000 SLOs again, seconds", _measured(cache, str(specs)).wall, at_most=2)


def _write_shapes(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count // len(SHAPES)):
        objective = OBJECTIVES[number % len(OBJECTIVES)]
        policy = f"    objective: {objective}\n    alerts: google\n"
        slos = "".join(
            f"  - name: slo-{index}\n{policy}    sli: {sli.replace('NAME', f's{number}')}\n"
            for index, sli in enumerate(SHAPES)
        )
        head = f"apiVersion: sloctl/v1\nkind: Service\nservice: service-{number}\nrunbook: https://r.example\nslos:\n"
        Path(folder, f"service-{number}.yaml").write_text(head + slos)


@dataclass(frozen=True, slots=True)
class Run:
    """What one `sloctl test` cost, its promtools included; seconds, and MiB at the same time."""

    wall: float
    cpu: float
    mebibytes: float


def _measured(cache: str, specs: str) -> Run:
    before, began, most = _children(), time.monotonic(), 0
    environment = os.environ | {"XDG_CACHE_HOME": cache}
    command = [sys.executable, "-m", "sloctl", "test", specs, "--promtool", Promtool().path]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, _resident(process.pid))
            time.sleep(0.02)
    assert process.returncode == 0, f"sloctl test {specs} ended with {process.returncode}"
    return Run(time.monotonic() - began, _children() - before, most / 2**20)


def _resident(pid: int) -> int:
    """Bytes of a process and of those that it started."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/statm"):
        try:
            parent = int(status.with_name("stat").read_text().rpartition(")")[2].split()[1])
            if status.parent.name == str(pid) or parent == pid:
                total += int(status.read_text().split()[1]) * resource.getpagesize()
        except OSError:
            continue  # it has ended
    return total


def _prove(claims: Sequence[Proof]) -> list[ProofOutcome]:
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as folder:
        return list(Promtool().prove(claims, Path(folder), workers=min(CORES, os.cpu_count() or 1)))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a mutant.

    Attributes:
        compared: it differs from what the specification compiles to.
        failed: a proof fails on it.
    """

    slo: str
    mutant: Mutant
    compared: bool
    failed: bool


def fates(platform: Platform, slo: Slo, chosen: Sequence[Mutant]) -> Iterator[Fate]:
    """Of each mutant of an SLO, from all proofs that run what is broken."""
    intact = {proof.part: proof.rules for proof in slo_proofs(rules_of(platform, slo))}
    compared, lacking, claims = list[bool](), set[int](), list[Proof]()
    for number, mutant in enumerate(chosen):
        rules = rules_of(platform, slo, {group["name"]: [group] for group in mutant.groups})
        compared.append(bool(rules.differences))
        for claim in slo_proofs(rules):
            if claim.refuted.startswith("the rule file has no rule"):
                lacking.add(number)  # a history needs a rule that is not there
            elif claim.is_run and not claim.refuted and claim.rules != intact[claim.part]:
                claims.append(replace(claim, slo=str(number)))
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as folder:
        tool = Promtool(explains=False)
        outcomes = tool.prove(claims, Path(folder), workers=min(CORES, os.cpu_count() or 1))
        failed = lacking | {int(outcome.proof.slo) for outcome in outcomes if outcome.failures}
    for number, mutant in enumerate(chosen):
        yield Fate(f"{slo.platform}/{slo.id}", mutant, compared[number], number in failed)


def sampled(found: Iterable[Mutant], each: int) -> list[Mutant]:
    """Some mutants of each operator, the same ones in every run."""
    by_operator = defaultdict[str, list[Mutant]](list)
    for mutant in found:
        by_operator[mutant.operator].append(mutant)
    chance = random.Random("mutants")
    return [mutant for of_one in by_operator.values() for mutant in chance.sample(of_one, min(each, len(of_one)))]


def _mutants(platforms: Iterable[Platform]) -> Iterator[Row]:
    """Both ways to catch them apart: a file that was edited differs, and a compiler that is broken behaves wrongly."""
    every = list[Fate]()
    for platform in platforms:
        for slo in platform.slos:
            if f"{slo.platform}/{slo.service}/{slo.name}" in VICTIMS:
                every += fates(platform, slo, sampled(mutants(platform, slo), EACH))
    for operator in dict.fromkeys(fate.mutant.operator for fate in every):
        of_one = [fate for fate in every if fate.mutant.operator == operator]
        behaving = sum(fate.failed for fate in of_one)
        print(
            f"{operator}: {behaving} of {len(of_one)} caught by behaviour, {sum(f.compared for f in of_one)} compared"
        )
    for fate in every:
        if not fate.failed:
            why = equivalent(fate.mutant) or ("compared only" if fate.compared else "SURVIVES")
            print(f"{why}: {fate.slo}: {fate.mutant.operator}: {fate.mutant.what}")
    real = [fate for fate in every if fate.failed or not equivalent(fate.mutant)]
    caught = sum(fate.failed or fate.compared for fate in real)
    behaving = sum(fate.failed for fate in real)
    print(f"{len(every)} mutants, {len(every) - len(real)} equivalent")
    yield Row("mutants caught, of those not equivalent, %", 100 * caught / max(1, len(real)), at_least=98)
    yield Row("mutants that behave wrongly in a proof, %", 100 * behaving / max(1, len(real)), at_least=65)
