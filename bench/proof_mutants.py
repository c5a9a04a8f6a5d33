"""Rule files with one thing broken, as a hand or a careless change would break it; each must fail a proof."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import promql_parser

from sloctl import conventions
from sloctl.backends.prometheus.backend import slo_groups
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.indicator import Latency, Ratio

Rules = dict[str, list[dict[str, Any]]]
Change = Callable[[str], str]


def mutants(platform: Platform, slo: Slo) -> Iterator[tuple[str, Rules]]:
    """What is broken, and the groups of the SLO by name."""
    groups: Rules = {group.name: group.value()["rules"] for group in slo_groups(platform, slo)}
    for group, rules in groups.items():
        for index, rule in enumerate(rules):
            name = rule.get("alert") or rule["record"]
            if name == conventions.blind_alert(slo):
                yield f"{name}: removed", _without(groups, group, index)
            if "for" in rule and name != conventions.blind_alert(slo):
                yield f"{name}: `for` removed", _changed(groups, group, index, {"for": "0s"})
            for what, change in _changes(slo, name, rule["expr"]):
                expr = change(rule["expr"])
                if expr != rule["expr"] and _parses(expr):
                    yield f"{name}: {what}", _changed(groups, group, index, {"expr": expr})


def _without(groups: Rules, group: str, index: int) -> Rules:
    changed = copy.deepcopy(groups)
    del changed[group][index]
    return changed


def _changed(groups: Rules, group: str, index: int, parts: dict[str, str]) -> Rules:
    changed = copy.deepcopy(groups)
    changed[group][index] |= parts
    return changed


def _changes(slo: Slo, name: str, expr: str) -> Iterator[tuple[str, Change]]:
    """What can be broken in a rule of this name."""
    if "BudgetBurn" in name:
        yield from (("threshold x1.2", _higher), ("`and` is `or`", _or))
        yield from (("guard removed", _unguarded), ("inhibition removed", _uninhibited))
    elif name == conventions.regression_alert(slo):
        yield from (("threshold x1.2", _worse), ("a window one step longer", _longer), ("`and` is `or`", _or))
        yield "guard removed", lambda text: re.sub(r"\nand .* >= \d+$", "", text)
    elif name == conventions.forecast_alert(slo):
        yield from (("threshold x1.2", _further), ("`and` is `or`", _or))
        yield "a window one step longer", lambda text: _longer(text.split("\n")[0]) + "\n" + text.split("\n", 1)[1]
        yield "guard removed", lambda text: re.sub(r"\nand count_over_time.*", "", text)
    elif "error:ratio_increase" in name or "error_budget_consumed:ratio_increase" in name:
        yield "a window one step longer", _longer
    elif ":increase" in name and ("last_over_time" in expr or "min_over_time" in expr):
        yield "counter creation removed", _no_creation
        yield from (change for change in _dropped(expr) if not _is_matched_anyway(slo, name, change[0]))
    elif ":increase" in name:
        yield "a window one step longer", lambda text: text.replace(f"[{slo.sampling.rollup}]", "[5m]")


def _is_matched_anyway(slo: Slo, name: str, what: str) -> bool:
    """Good events without a split label are subtracted from no total: dropping `!=""` there changes nothing."""
    by_good = isinstance(slo.indicator, Latency) or (
        isinstance(slo.indicator, Ratio) and slo.indicator.good is not None
    )
    errors = name == conventions.errors_tile(slo.sampling.resolution)
    return by_good and errors and any(f'{label}!=""' in what for label in slo.by)


def _higher(expr: str) -> str:
    return re.sub(r"\} > ([0-9.]+)", lambda found: f"}} > {float(found[1]) * 1.2:.10g}", expr)


def _worse(expr: str) -> str:
    """Worse by a fifth more than it may be."""
    return re.sub(r"\n> ([0-9.]+) \*", lambda found: f"\n> {1 + (float(found[1]) - 1) * 1.2:.10g} *", expr)


def _further(expr: str) -> str:
    return re.sub(r" >= ([0-9.]+)\n", lambda found: f" >= {float(found[1]) * 1.2:.10g}\n", expr)


def _or(expr: str) -> str:
    return expr.replace("\nand ", "\nor ", 1)


def _unguarded(expr: str) -> str:
    return re.sub(r"\nand sqrt[^\n]*\n  \*[^\n]*", "", expr)


def _uninhibited(expr: str) -> str:
    return re.sub(r"\nunless [^\n]*ALERTS\{[^\n]*", "", expr)


def _longer(expr: str) -> str:
    """Windows longer by one tile, or by one roll-up where these are read."""
    step = 240 if "increase4m" in expr or "slo:sli_value" in expr else 60
    return re.sub(r"\[([0-9dhms]+)\]", lambda found: f"[{_seconds(found[1]) + step}s]", expr)


def _seconds(text: str) -> int:
    units = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
    return sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)([wdhms])", text))


def _no_creation(expr: str) -> str:
    """Without the branch of an increase that counts series which begin to exist."""
    guarded = re.sub(
        r"  or \((last_over_time\([^\n]*)\n\s+and on \([^)]*\) \(max_over_time(.|\n)*?\)\)\n(?=\s+or \()", "", expr
    )
    return re.sub(r"\n\s+or \(last_over_time\([^\n]* unless last_over_time\([^\n]*\)\)(?=\n)", "", guarded)


def _dropped(expr: str) -> Iterator[tuple[str, Change]]:
    """Each matcher of the user's, dropped from everywhere in the rule."""
    found = set(re.findall(r'([a-z_]+(?:=~|!=|=|!~)"(?:[^"\\]|\\.)*")', expr))
    own = {matcher for matcher in found if re.split("[=!]", matcher)[0] in {"platform", "slo", "le"}}

    def without(matcher: str) -> Change:
        def change(text: str) -> str:
            return re.sub(r"\{(, )?", "{", text.replace(f", {matcher}", "").replace(matcher, "")).replace("{}", "")

        return change

    return ((f"matcher {matcher} dropped", without(matcher)) for matcher in sorted(found - own))


def _parses(expr: str) -> bool:
    try:
        promql_parser.parse(expr)
    except ValueError:
        return False
    return True
