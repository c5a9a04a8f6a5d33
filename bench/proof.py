"""`sloctl test` on the shipped specifications, and how many broken rules its proofs catch."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.proof_mutants import Rules, mutants
from bench.rows import Row
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue, Platform, Slo
from sloctl.proof.promtool import Outcome, Promtool
from sloctl.proof.proof import Proof, rules_of
from sloctl.proof.slos import proofs, slo_proofs

CORES = 2
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


def rows() -> Iterator[Row]:
    found = Diagnostics()
    catalogue = load(["slo-specs"], found)
    assert not found.errors
    yield from _all(catalogue)
    yield from _mutants([*catalogue.platforms, *_more()])


def _more() -> tuple[Platform, ...]:
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as folder:
        Path(folder, "more.yaml").write_text(MORE)
        found = Diagnostics()
        catalogue = load([folder], found)
    assert not found.errors
    return catalogue.platforms


def _all(catalogue: Catalogue) -> Iterator[Row]:
    before, began = _children(), time.monotonic()
    claims = list(proofs(catalogue))
    outcomes = _prove([claim for claim in claims if not claim.unproven])
    wall, cpu = time.monotonic() - began, _children() - before
    tiers = {(claim.slo, tier) for claim in claims for tier in claim.tiers}
    broken = {(found.proof.slo, tier) for found in outcomes if found.failures for tier in found.proof.tiers}
    print(f"{len(outcomes)} proofs, {len(claims) - len(outcomes)} not provable, wall {wall:.0f} s, CPU {cpu:.0f} s")
    yield Row("failed proofs", sum(bool(outcome.failures) for outcome in outcomes), at_most=0)
    yield Row("tiers proven, %", 100 * (1 - len(broken) / len(tiers)), at_least=95)
    yield Row(f"CPU seconds of promtool on each of {CORES} cores", cpu / CORES, at_most=180)


def _prove(claims: Sequence[Proof]) -> list[Outcome]:
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as folder:
        return list(Promtool().prove(claims, Path(folder), workers=min(CORES, os.cpu_count() or 1)))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _mutants(platforms: Iterable[Platform]) -> Iterator[Row]:
    caught = made = 0
    for platform in platforms:
        for slo in platform.slos:
            if f"{slo.platform}/{slo.service}/{slo.name}" not in VICTIMS:
                continue
            for name, rules in mutants(platform, slo):
                made += 1
                if _is_caught(platform, slo, rules):
                    caught += 1
                else:
                    print(f"survives: {slo.platform}/{slo.id}: {name}")
    print(f"{caught} of {made} broken rule files caught")
    yield Row("broken rules caught, %", 100 * caught / max(1, made), at_least=95)


def _is_caught(platform: Platform, slo: Slo, rules: Rules) -> bool:
    """Whether a proof fails; of those that run the broken rule, the quick ones come first."""
    intact = {proof.name: proof for proof in slo_proofs(rules_of(platform, slo))}
    claims = slo_proofs(rules_of(platform, slo, rules))
    touched = [
        claim for claim in claims if claim.refuted or (not claim.unproven and claim.rules != intact[claim.name].rules)
    ]
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as folder:
        return any(
            outcome.failures for outcome in Promtool().prove(sorted(touched, key=_cost), Path(folder), workers=CORES)
        )


def _cost(proof: Proof) -> tuple[bool, int]:
    return bool(proof.tiers), proof.every.milliseconds
