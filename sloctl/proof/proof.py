"""One claim about the rules of an SLO and the promtool unit test that proves it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, TypeAlias

from sloctl import conventions
from sloctl.backends.prometheus.backend import slo_groups
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.quantities import Duration
from sloctl.promql.selectors import parse_selector
from sloctl.proof.compared import RuleGroup, SeenGroups, differences
from sloctl.proof.recorded import AFFECTED, UNAFFECTED, own_series, period_series, split_of
from sloctl.proof.recorded import recorded as recorded_labels
from sloctl.proof.series import InputSeries, notation, series_text

A_YEAR_AGO: Final = Decimal(-31_536_000)
"""Histories begin in 1970."""
NEIGHBOUR: Final = "another"
"""The platform, and the SLO, whose recordings stand beside those of an SLO."""
_OWN: Final = re.compile(r"(?<![\w:])slo:[\w:]+(?![\w:{.])")
"""A recording without matchers."""
Rule: TypeAlias = Mapping[str, Any]
Expected: TypeAlias = tuple[Duration, str, Sequence[Mapping[str, Any]]]
"""A moment; the name of an alert or an expression; and the alerts that fire then or its samples."""


def holds(at: Duration, expr: str, labels: str = "{}") -> Expected:
    """An expression is 1 at a moment, in one series with these labels."""
    return at, expr, [{"labels": labels, "value": 1}]


@dataclass(frozen=True, slots=True)
class Case:
    """One history and what must be seen on it.

    Attributes:
        interval: time between two samples of `series`.
        shown: moments at which a condition must decide, and what lies in its windows then, in words.
    """

    name: str
    interval: Duration
    series: InputSeries
    alerts: Sequence[Expected] = ()
    values: Sequence[Expected] = ()
    shown: Mapping[Duration, str] = field(default_factory=dict)

    def value(self) -> dict[str, Any]:
        """As it stands in a file of promtool's."""
        series = [{"series": name, "values": notation(samples)} for name, samples in self.series.items() if samples]
        alerts = [{"eval_time": str(at), "alertname": name, "exp_alerts": list(seen)} for at, name, seen in self.alerts]
        values = [{"expr": expr, "eval_time": str(at), "exp_samples": list(seen)} for at, expr, seen in self.values]
        return {
            "interval": str(self.interval),
            "input_series": series,
            "promql_expr_test": values,
            "alert_rule_test": alerts,
        }


@dataclass(frozen=True, slots=True)
class Proof:
    """A claim with the rules and the histories that prove it.

    Attributes:
        slo: `platform/service/slo`.
        part: the tier, such as `p1-1h`, or what else is proven, such as `counts`.
        every: the interval at which promtool evaluates all rules.
        unproven: why it cannot be proven; then there are no cases.
        refuted: why the rules are wrong, where that is seen without running them.
        tiers: the tiers of the SLO that it is about, such as `p1-1h`; each is proven by all of its claims.
        like: the SLO whose proofs prove this one as well, because its rules are the same but for what `given` says.
    """

    slo: str
    part: str
    every: Duration
    rules: Sequence[Rule] = ()
    cases: Sequence[Case] = ()
    unproven: str = ""
    refuted: str = ""
    tiers: tuple[str, ...] = ()
    like: str = ""
    given: str = ""

    @property
    def is_run(self) -> bool:
        """Whether promtool has anything to say of it."""
        return not self.unproven and not self.like

    @property
    def name(self) -> str:
        """Where it belongs, in one word."""
        return f"{self.slo} {self.part}"


@dataclass(frozen=True, slots=True)
class SloRules:
    """The rules of one SLO by the name of their recording or alert, and claims about them.

    Attributes:
        platform: whose SLO it is.
        meant: what the specification compiles to; names and texts are expected from it.
        seen: what is proven; the same, or read from a rule file.
        groups: what is meant, as it stands in a rule file.
        differences: how the rule file differs from that, in words.
    """

    platform: Platform
    slo: Slo
    meant: Mapping[str, Rule]
    seen: Mapping[str, Rule]
    groups: Sequence[RuleGroup] = ()
    differences: Sequence[str] = ()

    def compared(self) -> list[Proof]:
        """A refuted claim for each difference."""
        every = self.slo.sampling.resolution
        return [Proof(self.path, "rules", every, refuted=difference) for difference in self.differences]

    def proof(
        self, part: str, every: Duration, names: Sequence[str], cases: Sequence[Case], tiers: tuple[str, ...] = ()
    ) -> Proof:
        """The claim that these rules do what the cases say; refuted where the rule file lacks one of them."""
        missing = next((name for name in names if name not in self.seen), None)
        if missing is not None:
            return Proof(self.path, part, every, refuted=f"the rule file has no rule {missing}", tiers=tiers)
        rules = [rule for name, rule in self.seen.items() if name in names]  # in the order of their file
        shown = [self._beside(rules, self._measured(rules, case)) for case in cases]
        return Proof(self.path, part, every, rules, shown, tiers=tiers)

    def _measured(self, rules: Sequence[Rule], case: Case) -> Case:
        """The case of an SLO that has been measured for a year, where the rules ask since when and nothing else says.

        A calendar period that has no end of its own is nearly over, and so covered.
        """
        recorded = {rule.get("record") for rule in rules}
        read = " ".join(rule["expr"] for rule in rules)
        count = max((len(samples) for samples in case.series.values()), default=0)
        more: InputSeries = {}
        if conventions.MEASURED_SINCE in read and conventions.MEASURED_SINCE not in recorded:
            for value in (AFFECTED, UNAFFECTED):
                split = split_of(self.slo, value)
                name = own_series(self.slo, conventions.MEASURED_SINCE, split)
                of_value = any(all(f'="{text}"' in name for text in split.values()) for name in case.series)
                if of_value and name not in case.series:
                    more[name] = [A_YEAR_AGO] * count
        if conventions.PERIOD_END in read and self.slo.calendar is not None:
            more |= period_series(conventions.PERIOD_END, self.slo, self.slo.calendar, [Decimal(1)] * count)
        return replace(case, series=more | case.series)

    def _beside(self, rules: Sequence[Rule], case: Case) -> Case:
        """The case in a world with another platform and another SLO, whose recordings nothing may read.

        Kills: a matcher that is gone.
        """
        count = max((len(samples) for samples in case.series.values()), default=0)
        recorded = {f'{rule["record"]}{{x=""}}': [Decimal(1)] * count for rule in rules if "record" in rule}
        more: InputSeries = {}
        for name, samples in {**recorded, **case.series}.items():
            known = parse_selector(name)
            own = {**conventions.series_labels(self.slo), **recorded_labels(split_of(self.slo))}
            labels = {matcher.label: matcher.value for matcher in known.matchers if matcher.value}
            if name in case.series and (labels.get("platform"), labels.get("slo")) != (self.slo.platform, self.slo.id):
                continue
            for other in ({"platform": NEIGHBOUR}, {"slo": NEIGHBOUR}):
                more[series_text(known.metric, {**(labels or own), **other})] = samples
        asked = [(at, _OWN.sub(rf"\g<0>{self._matchers}", expr), seen) for at, expr, seen in case.values]
        return replace(case, series=more | case.series, values=asked)

    @property
    def _matchers(self) -> str:
        return f'{{platform="{self.slo.platform}", slo="{self.slo.id}"}}'

    def unproven(self, part: str, why: str) -> Proof:
        """A claim for which no history is known."""
        return Proof(self.path, part, self.slo.sampling.resolution, unproven=why)

    def unrun(self, name: str, why: str = "no history is known that shows it") -> Proof:
        """A rule that cannot be run; in a rule file it must at least be what the specification compiles to."""
        every, seen, meant = self.slo.sampling.resolution, self.seen.get(name), self.meant[name]
        if seen is None:
            return Proof(self.path, name, every, refuted=f"the rule file has no rule {name}")
        if seen != meant:
            expected, found = (" ".join(str(rule.get("expr")).split()) for rule in (meant, seen))
            why = f"{name} is not what the specification compiles to: expected {expected}, seen {found}"
            return Proof(self.path, name, every, refuted=why)
        return self.unproven(name, why)

    @property
    def path(self) -> str:
        """`platform/service/slo`."""
        return f"{self.slo.platform}/{self.slo.service}/{self.slo.name}"


def rules_of(platform: Platform, slo: Slo, seen: SeenGroups | None = None) -> SloRules:
    """The rules of an SLO; `seen` are the groups of rule files by name, by default those compiled now."""
    meant = [group.value() for group in slo_groups(platform, slo)]
    if seen is None:
        return SloRules(platform, slo, _by_name(meant), _by_name(meant), meant)
    found = [group for wanted in meant for group in seen.get(wanted["name"], ())]
    differing = [sentence for group in meant for sentence in differences(group, seen)]
    return SloRules(platform, slo, _by_name(meant), _by_name(found), meant, differing)


def _by_name(groups: Iterable[RuleGroup]) -> dict[str, Rule]:
    return {rule.get("record") or rule["alert"]: rule for group in groups for rule in group["rules"]}
