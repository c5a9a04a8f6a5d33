"""Every difference between a rule file and what the specification compiles to is told, of every part."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sloctl.backends.prometheus.backend import platform_groups, service_groups, slo_groups
from sloctl.model.catalogue import Catalogue
from sloctl.proof.compared import differences
from sloctl.proof.proof import rules_of
from sloctl.proof.slos import proofs, slo_proofs
from tests.proof.conftest import Written

Group = dict[str, Any]


def rule(group: Group, name: str) -> dict[str, Any]:
    (found,) = (rule for rule in group["rules"] if name in {rule.get("alert"), rule.get("record")})
    return dict(found)


def changed(name: str, **parts: Any) -> Callable[[Group], Group]:
    def change(group: Group) -> Group:
        rules = [
            {key: value for key, value in ({**rule, **parts}).items() if value is not None}
            if name in {rule.get("alert"), rule.get("record")}
            else rule
            for rule in group["rules"]
        ]
        return group | {"rules": rules}

    return change


P1 = "ApiOkBudgetBurnP1Over5m"
NOT = "is not the rule that the specification compiles to: "


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda group: group | {"interval": "5m"}, "group slo-default-api-ok-fast: interval expected 1m, seen 5m"),
        (lambda group: group | {"limit": 20}, "group slo-default-api-ok-fast: limit expected 10, seen 20"),
        (lambda group: group | {"query_offset": "1m"}, "query_offset expected nothing, seen 1m"),
        (lambda group: group | {"rules": group["rules"][1:]}, "has no rule slo:sli_total:increase1m in group"),
        (lambda group: group | {"rules": group["rules"][::-1]}, "the order of its rules is another"),
        (lambda group: group | {"rules": [*group["rules"], group["rules"][0]]}, "more than once"),
        (lambda group: group | {"rules": [*group["rules"], {"record": "x", "expr": "1"}]}, "x of group"),
        (changed(P1, **{"for": "2m"}), f"{P1} {NOT}for expected nothing, seen 2m"),
        (changed(P1, expr="up"), f"{P1} {NOT}expr expected slo:sli_error:ratio_increase5m"),
        (changed(P1, labels={}), f"{P1} {NOT}label burn_tier expected p1-5m, seen nothing"),
        (changed(P1, annotations=None), f"{P1} {NOT}annotations expected"),
    ],
)
def test_a_difference_is_told_with_what_was_expected_and_seen(
    written: Written, change: Callable[[Group], Group], says: str
) -> None:
    platform, slo = written()
    fast, slow = (copy.deepcopy(group.value()) for group in slo_groups(platform, slo))
    told = list(differences(fast, {fast["name"]: [change(fast)]}))
    assert says in told[0]
    refuted = slo_proofs_of(written, {fast["name"]: [change(fast)], slow["name"]: [slow]})
    assert told[0] in refuted


def slo_proofs_of(written: Written, seen: dict[str, list[Group]]) -> list[str]:
    rules = rules_of(*written(), seen)
    return [proof.refuted for proof in [*rules.compared(), *slo_proofs(rules)]]


def test_a_group_that_is_gone_or_stands_twice_is_told(written: Written) -> None:
    platform, slo = written()
    fast = slo_groups(platform, slo)[0].value()
    assert list(differences(fast, {})) == ["the rule files have no group slo-default-api-ok-fast"]
    twice = {fast["name"]: [fast, fast]}
    assert list(differences(fast, twice)) == ["the rule files have 2 groups slo-default-api-ok-fast"]


def test_what_is_as_it_must_be_differs_in_nothing(written: Written) -> None:
    platform, slo = written()
    for group in slo_groups(platform, slo):
        assert list(differences(group.value(), {group.name: [group.value()]})) == []


def test_a_group_of_a_service_that_no_slo_compiles_to_is_told(written: Written) -> None:
    platform, _ = written()
    meant = [group.value() for group in (*service_groups(platform, platform.services[0]), *platform_groups(platform))]
    more = [{**meant[0], "name": "slo-default-api-old-fast"}]
    others = [{"name": "mine", "interval": "1m", "rules": [{"record": "x", "expr": "1", "labels": {"service": "web"}}]}]
    seen = {group["name"]: [group] for group in [*meant, *others]}
    catalogue = Catalogue((platform,))
    assert [proof.refuted for proof in proofs(catalogue, seen) if proof.refuted] == []
    assert [proof.refuted for proof in proofs(catalogue, {**seen, more[0]["name"]: more}) if proof.refuted] == [
        "group slo-default-api-old-fast is none that the specifications compile to"
    ]
