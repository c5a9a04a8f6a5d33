"""Each history of a tier kills the mutants that its docstring names: broken rules fail on it, sound ones do not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sloctl.model.catalogue import Inhibition
from sloctl.proof.history import raw_input
from sloctl.proof.proof import Proof, Rule, SloRules, rules_of
from sloctl.proof.tiers import tier_proofs
from tests.proof.conftest import RATIO, Prove, Written

PROBE = "{probe: {gauge: up, across: any}}"
TIERS = "[{severity: P1, burn: 14.4, over: 30m, also_over: 5m, for: 2m%s}, {severity: P2, burn: 6, over: 14m}]"
Mutant = Callable[[dict[str, Any]], Rule]


def instead(old: str, new: str) -> Mutant:
    """The expression with one thing replaced."""
    return lambda rule: rule | {"expr": re.sub(old, new, rule["expr"])}


P1, P2, LONG, SHORT = "ApiOkBudgetBurnP1Over30m", "ApiOkBudgetBurnP2Over14m", "ratio_increase30m", "ratio_increase5m"
KILLED = [
    ("fires in a full outage and ends after it", RATIO, P1, lambda rule: rule | {"for": "0s"}),
    ("fires in a full outage and ends after it", RATIO, SHORT, instead("4m59s", "5m59s")),
    ("fires at the computed moment", RATIO, P1, instead("> 0.0144", "> 0.0152")),
    ("fires at the computed moment", RATIO, P1, instead("> 0.0144", "> 0.0137")),
    ("fires when the history that held it down leaves its window", RATIO, LONG, instead("29m59s", "30m59s")),
    ("fires when the history that held it down leaves its window", RATIO, LONG, instead("29m59s", "28m59s")),
    ("ends when the trouble leaves its short window", RATIO, SHORT, instead("4m59s", "5m59s")),
    ("ends when the trouble leaves its short window", RATIO, SHORT, instead("4m59s", "3m59s")),
    ("ends when the trouble leaves its short window", RATIO, P1, instead("\nand ", "\nor ")),
    ("is silent for ever just below its threshold", RATIO, P1, instead("> 0.0144", "> 0.0143")),
    ("is silent for one error at low traffic", RATIO, P1, instead(r"\nand sqrt[^\n]*\n  \*[^\n]*", "")),
    ("is silent for fewer than 3 bad ones", PROBE, P1, instead(">= 3", ">= 2")),
    ("fires whatever else fires", RATIO, P2, instead(r'(ALERTS\{[^}]*), slo="api-ok"', r"\1")),
    ("is silent while a higher tier fires", RATIO, P2, instead(r"\nunless [^\n]*ALERTS\{[^\n]*", "")),
]


def history(rules: SloRules, alert: str, name: str) -> Proof:
    """The proof of one tier by one history."""
    (proof,) = (
        proof
        for proof in tier_proofs(rules, raw_input(rules.slo))
        if alert in {rule.get("alert") for rule in proof.rules}
    )
    return replace(proof, cases=[case for case in proof.cases if case.name == name])


@pytest.mark.server
def test_each_history_kills_the_mutants_that_it_names_and_no_sound_rule(written: Written, prove: Prove) -> None:
    claims = list[Proof]()
    for number, (name, sli, broken, mutant) in enumerate(KILLED):
        platform, slo = written(sli, TIERS % (", min_bad: 3" if sli is PROBE else ""))
        sound = rules_of(replace(platform, inhibition=Inhibition.RULE), slo)
        (rule,) = (rule for rule in sound.meant if broken in rule)
        mutated = {**sound.meant, rule: mutant(dict(sound.meant[rule]))}
        assert mutated != sound.meant
        alert = broken if broken.startswith("Api") else P1
        claims.append(replace(history(sound, alert, name), part=f"{number} sound"))
        claims.append(replace(history(replace(sound, seen=mutated), alert, name), part=f"{number} mutant"))
    assert all(len(claim.cases) == 1 for claim in claims)
    failed = {outcome.proof.part for outcome in prove(claims) if outcome.failures}
    assert failed == {f"{number} mutant" for number in range(len(KILLED))}
