"""Canaries: from what a service or its template writes to what the analysis asks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sloctl.language import rollout
from sloctl.language.fields import written
from sloctl.language.problems import did_you_mean
from sloctl.language.tree import Key
from sloctl.model import canary as meant
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import JudgeableIndicator, Latency, Query, Ratio, WholeIndicator
from sloctl.model.selector import Matcher, MatchOperator
from sloctl.promql.matching import contradiction
from sloctl.resolve import codes
from sloctl.resolve.building import built
from sloctl.resolve.reading import PromqlReading

_PLACEHOLDER: Final = re.compile(r"\$([A-Za-z_]+)")


def resolve_canary(spec: rollout.Canary, slos: Mapping[str, Slo | None], reading: PromqlReading) -> meant.Canary | None:
    """The canary of one service, or None with the reasons in the diagnostics of `reading`.

    Args:
        spec: what is written.
        slos: the service's SLOs by name; None for one that has errors of its own.
        reading: how PromQL below `canary` is read.
    """
    before = len(reading.found.errors)
    made = _Resolving(spec, slos, reading).canary()
    return made if len(reading.found.errors) == before else None


@dataclass(frozen=True, slots=True)
class _Resolving:
    spec: rollout.Canary
    slos: Mapping[str, Slo | None]
    reading: PromqlReading

    def canary(self) -> meant.Canary:
        spec, arms = self.spec, self._arms()
        checks = [self._check(index, check, arms) for index, check in enumerate(spec.checks)]
        made = built(
            meant.Canary,
            spec,
            arms=arms,
            steps=tuple(built(meant.Step, step) for step in spec.steps),
            checks=tuple(check for check in checks if check is not None),
            after=self._after(arms),
            first_deployments=spec.approval.first_deployments if spec.approval else 0,
            alpha=built(meant.Alpha, spec.alpha or rollout.Alpha()),
            parity=None if spec.parity is None else built(meant.Parity, spec.parity),
            place=self.reading.at.place(),
        )
        in_force = (replace(step, deadline=made.longest(index)) for index, step in enumerate(made.steps))
        return replace(made, steps=tuple(in_force))

    def _arms(self) -> meant.Versions:
        written = self.spec.arms
        if written is None:
            return meant.BY_POD_HASH
        canary, baseline = (self.reading.matchers_in(text, "arms", arm) for arm, text in _texts(written))
        fixed = not (_named(canary) or _named(baseline)) and contradiction((*canary, *baseline)) is not None
        for arm, own, matchers in (("canary", "canary", canary), ("baseline", "stable", baseline)):
            names = _named(matchers)
            if matchers and own not in names and not fixed:
                help_ = f'write ${own} where the hash of its pods stands, such as {meant.POD_HASH}="${own}"'
                help_ = f"{help_}; or labels in both arms that exclude each other"
                self._error(f"nothing here tells the {arm} apart", help_, "arms", arm)
            for name in sorted(names - {"canary", "stable"}):
                self._error(f"there is no placeholder `${name}`", "write $canary or $stable", "arms", arm)
        return meant.Versions(canary, baseline)

    def _check(self, index: int, check: rollout.Check, arms: meant.Versions) -> meant.CanaryCheck | None:
        if check.slo is None:
            return self._mismatch(index, check)
        slo = self._slo(check.slo, "checks", index, "slo")
        if slo is not None and isinstance(slo.indicator, WholeIndicator):
            self._absolute(slo, slo.indicator, check, "checks", index)
        elif slo is not None:
            self._judged(slo, arms, "checks", index)
            self._split(slo, arms, check.by, "checks", index, "by")
            self._split(slo, arms, check.within, "checks", index, "within")
            if check.quantile is not None and not isinstance(slo.indicator, Latency):
                message = f"`{slo.name}` has no quantile: it counts no latencies"
                self._error(message, "name an SLO with `latency`, or remove `quantile`", "checks", index, "quantile")
        return built(meant.SloCheck, check, place=self.reading.at.place("checks", index, "name"))

    def _absolute(self, slo: Slo, indicator: WholeIndicator, check: rollout.Check, *keys: Key) -> None:
        """What an expression says is of both versions: an absolute limit is all that can be judged by it."""
        if isinstance(indicator, Query) and indicator.total is None:
            message = f"`{slo.name}` has a ratio alone, without the number of events"
            self._error(message, "write `total` with `bad` or `good` in its query", *keys, "slo")
        elif (more := written(check, "by", "within", "worse_by", "quantile")) and check.error_rate is not None:
            message = f"`{slo.name}` belongs to both versions, so there is nothing to compare"
            self._error(message, f"remove `{more[0]}`", *keys, more[0])
        elif check.error_rate is None:
            message = f"`{slo.name}` belongs to both versions, so there is nothing to compare"
            self._error(message, "write `error_rate`, and no `worse_by`", *keys, "slo")

    def _mismatch(self, index: int, check: rollout.Check) -> meant.MismatchCheck:
        return built(
            meant.MismatchCheck,
            check,
            mismatches=self.reading.selectors(check.mismatches or (), "checks", index, "mismatches"),
            compared=self.reading.selectors(check.compared or (), "checks", index, "compared"),
            place=self.reading.at.place("checks", index, "name"),
        )

    def _after(self, arms: meant.Versions) -> meant.After | None:
        written = self.spec.after
        if written is None:
            return None
        slo = self._slo(written.slo, "after", "slo")
        if slo is not None:
            self._judged(slo, arms, "after")
            self._split(slo, arms, written.by, "after", "by")
        return built(meant.After, written)

    def _slo(self, name: str, *keys: Key) -> Slo | None:
        if name not in self.slos:
            known = ", ".join(sorted(self.slos)) or "none"
            help_ = did_you_mean(name, list(self.slos)) or f"write one of its SLOs: {known}"
            self._error(f"this service has no SLO `{name}`", help_, *keys, code=codes.UNKNOWN_SLO)
        return self.slos.get(name)

    def _judged(self, slo: Slo, arms: meant.Versions, *keys: Key) -> None:
        """A canary counts raw events of both versions."""
        if not isinstance(slo.indicator, JudgeableIndicator):
            message = f"a canary cannot judge `{slo.name}`: its slices belong to both versions"
            self._error(message, "name an SLO with `ratio`, `latency` or `probe`", *keys, "slo")
        elif isinstance(slo.indicator, Ratio) and not slo.indicator.reads().counters:
            message = f"`{slo.name}` counts no running totals, which is what a canary compares"
            self._error(message, "name an SLO on counters", *keys, "slo")
        else:
            self._arms_are_free(slo, arms, *keys)

    def _arms_are_free(self, slo: Slo, arms: meant.Versions, *keys: Key) -> None:
        labels = {matcher.label for matcher in arms.matchers}
        if taken := [label for label in _fixed(_matchers(slo)) if label in labels]:
            message = f"`{slo.name}` fixes `{taken[0]}`, which tells the arms apart"
            self._error(message, "remove the matcher from the SLI, or use another label", *keys, "slo")

    def _split(self, slo: Slo, arms: meant.Versions, by: tuple[str, ...], *keys: Key) -> None:
        fixed = _fixed((*arms.matchers, *_matchers(slo)))
        for label in by:
            if label in fixed:
                help_ = "remove the label here or the matcher there"
                message = f"`{keys[-1]}` splits by `{label}`, but a matcher fixes it"
                self._error(message, help_, *keys, code=codes.SPLIT_LABEL)

    def _error(self, message: str, help_: str, *keys: Key, code: str = codes.CANARY) -> None:
        self.reading.error(code, message, help_, *keys)


def _named(matchers: tuple[Matcher, ...]) -> set[str]:
    return {name for matcher in matchers for name in _PLACEHOLDER.findall(matcher.value)}


def _texts(arms: rollout.Arms) -> tuple[tuple[str, str], ...]:
    return ("canary", arms.canary), ("baseline", arms.baseline)


def _matchers(slo: Slo) -> list[Matcher]:
    """The matchers of an SLI that a canary can judge."""
    selectors = slo.indicator.reads().selectors if isinstance(slo.indicator, JudgeableIndicator) else ()
    return [matcher for selector in selectors for matcher in selector.matchers]


def _fixed(matchers: Iterable[Matcher]) -> list[str]:
    """The labels that matchers fix to one value."""
    return [matcher.label for matcher in matchers if matcher.operator is MatchOperator.EQUAL]
