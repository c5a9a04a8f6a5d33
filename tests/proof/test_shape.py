"""SLOs of one shape: which are, what differs between their rules, and what makes a shape of its own."""

from __future__ import annotations

import copy
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.quantities import Objective
from sloctl.proof.proof import SloRules, rules_of
from sloctl.proof.shape import shape_of, substituted
from sloctl.proof.slos import proofs
from tests.proof.conftest import Written

LATENCY = "{latency: {histogram: 'lat_seconds{job=\"api\"}', at_most: 300ms}}"
BASE = "{ratio: {total: 'requests_total{job=\"api\"}', bad_if: 'code=~\"5..\"'}}"


def alike(one: tuple[Platform, Slo], two: tuple[Platform, Slo]) -> bool:
    return shape_of(*one) == shape_of(*two)


@pytest.mark.parametrize(
    ("sli", "other"),
    [
        (BASE, "{ratio: {total: 'calls_total{job=\"web\"}', bad_if: 'code=~\"50[0-3]\"'}}"),
        (LATENCY, "{latency: {histogram: 'took_seconds{job=\"web\"}', at_most: 200ms}}"),
        ("{throughput: {counter: done, at_least: 10/min}}", "{throughput: {counter: ended, at_least: 90/min}}"),
        ("{threshold: {value: max(a), at_most: 10s}}", "{threshold: {value: max(b), at_most: 3s}}"),
        ("{freshness: {timestamp: a, max_age: 5m}}", "{freshness: {timestamp: b, max_age: 1h}}"),
    ],
)
def test_names_selectors_objectives_and_bounds_make_no_shape(written: Written, sli: str, other: str) -> None:
    platform, slo = written(sli, "google")
    one = platform, slo
    two = written(other, "google")
    two = two[0], replace(two[1], objective=Objective(Decimal("0.9975")))
    assert alike(one, two)
    given = substituted(rules_of(*one), rules_of(*two))
    assert given is not None
    assert "0.999 → 0.9975" in str(given)


@pytest.mark.parametrize(
    ("sli", "alerts", "more"),
    [
        ("{ratio: {total: 'requests_total{job=~\"api\"}', bad_if: 'code=~\"5..\"'}}", "google", ""),
        ("{ratio: {total: 'requests_total{app=\"api\"}', bad_if: 'code=~\"5..\"'}}", "google", ""),
        ("{ratio: {total: requests_total, bad_if: 'code=~\"5..\"'}}", "google", ""),
        ("{ratio: {total: 'requests_total{job=\"api\"}', bad: 'failures_total{job=\"api\"}'}}", "google", ""),
        (BASE, "[{severity: P1, burn: 14.4, over: 1h, also_over: 5m}]", ""),
        (BASE, "google", "    by: [tenant]\n"),
        (BASE, "google", "    window: 28d\n"),
        (BASE, "google", "    window: {calendar: month, time_zone: UTC}\n"),
        (BASE, "google", "    mode: observe\n"),
        (BASE, "google", "    exclude_when: ['max(maintenance) == 1']\n"),
    ],
)
def test_every_other_difference_makes_a_shape(written: Written, sli: str, alerts: str, more: str) -> None:
    one, two = written(BASE, "google"), written(sli, alerts, more)
    assert not alike(one, two)
    assert substituted(rules_of(*one), rules_of(*two)) is None or more.strip().startswith(("mode", "exclude"))


def changed(rules: SloRules, group: int, name: str, key: str, value: Any) -> SloRules:
    """The rules as a compiler would write them that has a fault in one of them."""
    groups: list[dict[str, Any]] = copy.deepcopy([dict(found) for found in rules.groups])
    if not name:
        groups[group][key] = value
        return replace(rules, groups=groups)
    (rule,) = (rule for rule in groups[group]["rules"] if name in {rule.get("alert"), rule.get("record")})
    rule[key] = value(rule[key]) if callable(value) else value
    return replace(rules, groups=groups)


P1 = "ApiOkBudgetBurnP1Over1h"


@pytest.mark.parametrize(
    ("group", "name", "key", "value"),
    [
        (0, "", "interval", "5m"),
        (1, "", "limit", 11),
        (0, P1, "for", "1m"),
        (0, P1, "labels", lambda labels: {key: labels[key] for key in labels if key != "team"} | {"severity": "P3"}),
        (0, P1, "annotations", lambda texts: {key: text for key, text in texts.items() if key != "summary"}),
        (0, P1, "annotations", lambda texts: texts | {"summary": "{{ $value | humanize }}"}),
        (0, P1, "expr", lambda text: text.replace("> 0.0144", ">= 0.0144")),
        (0, P1, "expr", lambda text: text.replace("> 0.0144", "> 0.015")),
        (0, P1, "expr", lambda text: text.replace("59m59s", "58m59s")),
        (0, P1, "expr", lambda text: text.replace("1.545", "1.5")),
        (0, P1, "expr", lambda text: text.replace("ratio_increase1h", "ratio_increase6h")),
        (0, P1, "expr", lambda text: text.replace('slo="api-ok"', 'slo="api-other"', 1)),
        (0, P1, "expr", lambda text: text.replace('platform="default", ', "", 1)),
    ],
)
def test_what_differs_in_no_explained_way_is_not_like_what_is_proven(
    written: Written, group: int, name: str, key: str, value: Any
) -> None:
    rules = rules_of(*written(BASE, "google"))
    assert substituted(rules, rules) is not None
    other = changed(rules, group, name, key, value)
    assert other.groups != rules.groups
    assert substituted(rules, other) is None


def test_what_is_of_one_shape_and_differs_all_the_same_is_proven_by_itself(tmp_path: Path) -> None:
    sli = "{latency: {histogram: 'took_seconds{job=\"%s\"}', at_most: %s}}"
    bounds = {"a": "300ms", "b": "2s", "c": "700ms", "d": "3s"}  # le="2" may be spelt 2.0
    slos = "".join(
        f"  - {{name: {name}, objective: 99.9%, alerts: google, sli: {sli % (name, at_most)}}}\n"
        for name, at_most in bounds.items()
    )
    (tmp_path / "spec.yaml").write_text(f"apiVersion: sloctl/v1\nkind: Service\nservice: api\nslos:\n{slos}")
    catalogue = load([str(tmp_path)], Diagnostics())
    like = {proof.slo: proof.like for proof in proofs(catalogue) if proof.like}
    assert like == {"default/api/c": "default/api/a", "default/api/d": "default/api/b"}
    assert {proof.slo for proof in proofs(catalogue, each=True) if proof.tiers} == {
        f"default/api/{name}" for name in bounds
    }
