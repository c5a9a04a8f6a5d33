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

MANY = "a ratio with `min_events`"
PROBE = "{probe: {gauge: up, across: any}}"
TIERS = "[{severity: P1, burn: 14.4, over: 30m, also_over: 5m, for: 2m%s}, {severity: P2, burn: 6, over: 14m}]"
Mutant = Callable[[dict[str, Any]], Rule]


def instead(old: str, new: str) -> Mutant:
    """The expression with one thing replaced."""
    return lambda rule: rule | {"expr": re.sub(old, new, rule["expr"])}


P1, P2, LONG, SHORT = "ApiOkBudgetBurnP1Over30m", "ApiOkBudgetBurnP2Over14m", "ratio_increase30m", "ratio_increase5m"
OUTAGE, EDGES, GUARD = "outage", "p1-30m", r"\nand sqrt[^\n]*\n  \*[^\n]*"
KILLED = [
    (OUTAGE, RATIO, P1, lambda rule: rule | {"for": "0s"}),
    (OUTAGE, RATIO, P1, lambda rule: rule | {"for": "3m"}),
    (OUTAGE, RATIO, P1, lambda rule: rule | {"labels": rule["labels"] | {"severity": "P2"}}),
    (OUTAGE, RATIO, P1, lambda rule: rule | {"annotations": rule["annotations"] | {"runbook_url": "elsewhere"}}),
    ("ends", RATIO, P1, lambda rule: rule | {"for": "0s"}),
    ("ends", RATIO, P1, lambda rule: rule | {"keep_firing_for": "1m"}),
    (EDGES, RATIO, P1, instead("30m(.*) > 0.0144", r"30m\1 > 0.0145")),
    (EDGES, RATIO, P1, instead("30m(.*) > 0.0144", r"30m\1 > 0.0143")),
    (EDGES, RATIO, P1, instead("30m(.*) > 0.0144", r"30m\1 >= 0.0144")),
    (EDGES, RATIO, P1, instead("5m(.*) > 0.0144", r"5m\1 > 0.0145")),
    (EDGES, RATIO, P1, instead("5m(.*) > 0.0144", r"5m\1 > 0.0143")),
    (EDGES, RATIO, P1, instead("5m(.*) > 0.0144", r"5m\1 >= 0.0144")),
    (EDGES, RATIO, P1, instead("\nand ", "\nor ")),
    (EDGES, RATIO, P1, instead('platform="default", ', "")),
    (EDGES, RATIO, P1, instead(', slo="api-ok"', "")),
    (EDGES, RATIO, P1, instead(GUARD, "")),
    (EDGES, RATIO, P1, instead("1.545", "1.55")),
    (EDGES, RATIO, P1, instead("1.545", "1.54")),
    (EDGES, RATIO, P1, instead(r"- 0.001 \^", "- 0.0011 ^")),
    (EDGES, RATIO, P1, instead(r"- 0.001 \^", "- 0.0009 ^")),
    (EDGES, RATIO, P1, instead("total:increase1m(.*)29m59s", r"total:increase1m\g<1>30m59s")),
    (EDGES, RATIO, P1, instead("total:increase1m(.*)29m59s", r"total:increase1m\g<1>28m59s")),
    (EDGES, RATIO, LONG, instead("errors(.*)29m59s", r"errors\g<1>30m59s")),
    (EDGES, RATIO, LONG, instead("total(.*)29m59s", r"total\g<1>28m59s")),
    (EDGES, RATIO, LONG, instead("/ 1800", "/ 3600")),
    (EDGES, RATIO, SHORT, instead("errors(.*)4m59s", r"errors\g<1>5m59s")),
    (EDGES, RATIO, SHORT, instead("total(.*)4m59s", r"total\g<1>3m59s")),
    (EDGES, MANY, P1, instead(">= 200", ">= 199")),
    (EDGES, MANY, P1, instead(">= 200", "> 200")),
    (EDGES, PROBE, P1, instead("4m59s(.*) >= 3", r"4m59s\1 >= 2")),
    (EDGES, PROBE, P1, instead("4m59s(.*) >= 3", r"4m59s\1 > 3")),
    ("p2-14m", RATIO, P2, instead(r'(ALERTS\{[^}]*), slo="api-ok"', r"\1")),
    ("p2-14m", RATIO, P2, instead(r'ALERTS\{platform="default", ', "ALERTS{")),
    ("p2-14m", RATIO, P2, instead(r"\nunless [^\n]*ALERTS\{[^\n]*", "")),
]


def proof_of(rules: SloRules, part: str) -> Proof:
    (proof,) = (proof for proof in tier_proofs(rules, raw_input(rules.slo)) if proof.part.removesuffix("-p1") == part)
    return proof


@pytest.mark.server
def test_each_history_kills_the_mutants_that_its_docstring_names_and_no_sound_rule(
    written: Written, prove: Prove
) -> None:
    claims, names = list[Proof](), dict[str, str]()
    for number, (part, sli, broken, mutant) in enumerate(KILLED):
        tiers = TIERS % {PROBE: ", min_bad: 3", MANY: ", min_events: 200"}.get(sli, "")
        platform, slo = written(RATIO if sli is MANY else sli, tiers)
        sound = rules_of(replace(platform, inhibition=Inhibition.RULE), slo)
        (rule,) = (rule for rule in sound.meant if broken in rule)
        mutated = {**sound.meant, rule: mutant(dict(sound.meant[rule]))}
        assert mutated != sound.meant, number
        claims.append(replace(proof_of(sound, part), part=f"{number} sound"))
        claims.append(replace(proof_of(replace(sound, seen=mutated), part), part=f"{number} mutant"))
        names[f"{number} mutant"] = f"{part}: {mutated[rule]}"
    failed = {outcome.proof.part for outcome in prove(claims, explains=False) if outcome.failures}
    assert [name for name in failed if name not in names] == []
    assert [names[name] for name in names if name not in failed] == []
