"""`sloctl test` on the shipped specifications, and how many broken rules its proofs catch."""

from __future__ import annotations

import copy
import os
import re
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import promql_parser

from bench.rows import Row
from sloctl.backends.prometheus.backend import platform_groups, slo_groups
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue, Platform, Slo
from sloctl.proof.catalogue import proofs
from sloctl.proof.promtool import Outcome, Promtool
from sloctl.proof.proof import Proof, rules_of
from sloctl.proof.slos import slo_proofs

Rules = dict[str, list[dict[str, Any]]]
CORES = 2
VICTIMS = (
    "finflow/payments/transactions",
    "ecommerce/cart/latency",
    "finflow/nodes/ready",
    "gps-logistics/tracking/positions",
    "routemesh/ingestion/throughput",
    "routemesh/pooler/connections",
    "routemesh/stream/delay",
    "routemesh/journeys/completion",
    "gps-logistics/tracking/silent-failures",
)
"""One SLO of each kind, with each sort of window: short, long, rolled up, calendar, split."""


def rows() -> Iterator[Row]:
    found = Diagnostics()
    catalogue = load(["slo-specs"], found)
    assert not found.errors
    yield from _all(catalogue)
    yield from _mutants(catalogue)


def _all(catalogue: Catalogue) -> Iterator[Row]:
    before, began = _children(), time.monotonic()
    claims = list(proofs(catalogue))
    outcomes = _prove([claim for claim in claims if not claim.unproven])
    wall, cpu = time.monotonic() - began, _children() - before
    tiers = [claim for claim in claims if claim.is_tier]
    proven = sum(one.proof.is_tier and not one.failures for one in outcomes)
    print(f"{len(outcomes)} proofs, {len(claims) - len(outcomes)} not provable, wall {wall:.0f} s, CPU {cpu:.0f} s")
    yield Row("failed proofs", sum(bool(one.failures) for one in outcomes), at_most=0)
    yield Row("tiers proven, %", 100 * proven / len(tiers), at_least=95)
    yield Row(f"CPU seconds of promtool on each of {CORES} cores", cpu / CORES, at_most=180)


def _prove(claims: Sequence[Proof]) -> list[Outcome]:
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as folder:
        return list(Promtool().prove(claims, Path(folder), workers=min(CORES, os.cpu_count() or 1)))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _mutants(catalogue: Catalogue) -> Iterator[Row]:
    caught = made = 0
    for platform in catalogue.platforms:
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


def _is_caught(platform: Platform, slo: Slo, rules: Mapping[str, Sequence[Mapping[str, Any]]]) -> bool:
    intact = {proof.name: proof for proof in slo_proofs(slo, rules_of(platform, slo))}
    claims = list(slo_proofs(slo, rules_of(platform, slo, rules)))
    touched = [one for one in claims if not one.unproven and one.rules != intact[one.name].rules]
    with tempfile.TemporaryDirectory(prefix="sloctl-bench-") as folder:
        return any(one.failures for one in Promtool().prove(touched, Path(folder), workers=CORES))


def mutants(platform: Platform, slo: Slo) -> Iterator[tuple[str, Rules]]:
    """Rule files with one thing broken, each of which some proof must catch."""
    groups = {group.name: group.value()["rules"] for group in (*slo_groups(platform, slo), *platform_groups(platform))}
    for group, rules in groups.items():
        for index, rule in enumerate(rules):
            name = rule.get("alert") or rule["record"]
            if not _is_proven(slo, name, group):
                continue
            if name.endswith("Blind"):
                yield f"{name} removed", _without(groups, group, index)
                continue
            for what, expr in _broken(name, rule["expr"]):
                if expr != rule["expr"] and _parses(expr):
                    changed = copy.deepcopy(groups)
                    changed[group][index]["expr"] = expr
                    yield f"{name}: {what}", changed


def _is_proven(slo: Slo, name: str, group: str) -> bool:
    if group not in {f"slo-{slo.platform}-{slo.id}-fast", f"slo-{slo.platform}-{slo.id}-slow"}:
        return False
    return "BudgetBurn" in name or "Blind" in name or "increase1m" in name or "ratio_increase" in name


def _without(groups: Rules, group: str, index: int) -> Rules:
    changed = copy.deepcopy(groups)
    del changed[group][index]
    return changed


def _broken(name: str, expr: str) -> Iterator[tuple[str, str]]:
    breaks: list[tuple[str, Callable[[str], str]]] = []
    if "BudgetBurn" in name:
        breaks = [("threshold x1.2", _higher), ("`and` is `or`", _or), ("guard removed", _unguarded)]
    elif "error:ratio" in name:
        breaks = [("a window one step longer", _longer)]
    elif "increase1m" in name:
        breaks = [("births removed", _no_births), *_dropped(expr)]
    for what, change in breaks:
        yield what, change(expr)


def _higher(expr: str) -> str:
    return re.sub(r"\} > ([0-9.]+)", lambda found: f"}} > {float(found[1]) * 1.2:.10g}", expr)


def _or(expr: str) -> str:
    return expr.replace("\nand ", "\nor ", 1)


def _unguarded(expr: str) -> str:
    return re.sub(r"\nand [^\n]*\n  >= \(sqrt.*", "", expr)


def _longer(expr: str) -> str:
    """A window of all or of bad events by one step more, which the other rules of the SLO would not show."""
    step = 240 if "increase4m" in expr else 60

    def more(found: re.Match[str]) -> str:
        return f"[{_seconds(found[1]) + step}s]"

    return re.sub(r"\[([0-9dhms]+)\]", more, expr)


def _seconds(text: str) -> int:
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    return sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)([dhms])", text))


def _no_births(expr: str) -> str:
    """The branch of an increase that counts series which begin to exist."""
    guarded = re.sub(
        r"  or \((last_over_time\([^\n]*)\n\s+and on \([^)]*\) \(max_over_time(.|\n)*?\)\)\n(?=\s+or \()", "", expr
    )
    return re.sub(r"\n\s+or \(last_over_time\([^\n]* unless last_over_time\([^\n]*\)\)(?=\n)", "", guarded)


def _dropped(expr: str) -> list[tuple[str, Callable[[str], str]]]:
    """Each matcher of the user's dropped from everywhere in the rule."""
    found = set(re.findall(r'([a-z_]+(?:=~|!=|=|!~)"(?:[^"\\]|\\.)*")', expr))
    own = {one for one in found if one.split("=")[0].rstrip("!~") in {"platform", "slo", "le"}}

    def without(matcher: str) -> Callable[[str], str]:
        def change(text: str) -> str:
            return re.sub(r"\{(, )?", "{", text.replace(f", {matcher}", "").replace(matcher, "")).replace("{}", "")

        return change

    return [(f"matcher {one} dropped", without(one)) for one in sorted(found - own)]


def _parses(expr: str) -> bool:
    try:
        promql_parser.parse(expr)
    except ValueError:
        return False
    return True
