"""Canaries: from what a service or its template writes to what the analysis asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.errors import PromqlError
from sloctl.language import rollout
from sloctl.language.problems import nearest
from sloctl.language.tree import Key
from sloctl.model import canary as meant
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import JudgeableIndicator, Latency, Ratio
from sloctl.model.quantities import Duration
from sloctl.model.selector import Matcher, MatchOperator, Selector, Selectors
from sloctl.promql.selectors import parse_matchers, parse_selector
from sloctl.resolve import codes
from sloctl.resolve.layers import Located

T = TypeVar("T")
HASH: Final = "rollouts_pod_template_hash"
"""The label that Argo Rollouts puts on pods; what relabelling calls it by default."""
DEFAULT_ARMS: Final = meant.Arms(
    (Matcher(HASH, MatchOperator.EQUAL, "$canary"),), (Matcher(HASH, MatchOperator.EQUAL, "$stable"),)
)
DEFAULT_ALPHA: Final = Decimal("0.01")
_PLACEHOLDER: Final = re.compile(r"\$([A-Za-z_]+)")


@dataclass(frozen=True, slots=True)
class Source:
    """A canary as written, and where its parts stand.

    Attributes:
        use: where a service uses the template that brings it.
    """

    spec: rollout.Canary
    document: Located
    use: Place | None = None

    def place(self, *keys: Key) -> Place:
        """Where the value at this path below `canary` stands."""
        return self.document.place("canary", *keys)


def resolve_canary(source: Source, slos: Mapping[str, Slo | None], found: Diagnostics) -> meant.Canary | None:
    """The canary of one service, or None with the reasons in `found`.

    Args:
        source: what is written.
        slos: the service's SLOs by name; None for one that has errors of its own.
        found: what is wrong is added here.
    """
    before = len(found.errors)
    reading = _Reading(source, slos, found)
    made = reading.canary()
    return made if len(found.errors) == before else None


@dataclass(frozen=True, slots=True)
class _Reading:
    source: Source
    slos: Mapping[str, Slo | None]
    found: Diagnostics

    def canary(self) -> meant.Canary:
        spec, arms = self.source.spec, self._arms()
        checks = [self._check(index, check, arms) for index, check in enumerate(spec.checks)]
        return meant.Canary(
            arms=arms,
            steps=tuple(_step(step) for step in spec.steps),
            checks=tuple(check for check in checks if check is not None),
            after=self._after(arms),
            first_deployments=spec.approval.first_deployments if spec.approval else 0,
            group=spec.group,
            when_missing=meant.WhenMissing(spec.when_missing or "hold"),
            alpha=_alpha(spec.alpha),
            parity=_parity(spec.parity),
            place=self.source.place(),
        )

    def _arms(self) -> meant.Arms:
        written = self.source.spec.arms
        if written is None:
            return DEFAULT_ARMS
        canary = self._arm("canary", written.canary, "canary")
        baseline = self._arm("baseline", written.baseline, "stable")
        return meant.Arms(canary, baseline)

    def _arm(self, arm: str, text: str, own: str) -> tuple[Matcher, ...]:
        matchers = self._parsed(parse_matchers, text, "arms", arm) or ()
        names = {name for matcher in matchers for name in _PLACEHOLDER.findall(matcher.value)}
        if matchers and own not in names:
            help_ = f'write ${own} where the hash of its pods stands, such as {HASH}="${own}"'
            self._error(f"nothing here tells the {arm} apart", help_, "arms", arm)
        for name in sorted(names - {"canary", "stable"}):
            self._error(f"there is no placeholder `${name}`", "write $canary or $stable", "arms", arm)
        return matchers

    def _check(self, index: int, check: rollout.Check, arms: meant.Arms) -> meant.CanaryCheck | None:
        if check.slo is None:
            return self._mismatch(index, check)
        slo = self._slo(check.slo, "checks", index, "slo")
        if slo is not None:
            self._judged(slo, arms, "checks", index)
            self._split(slo, arms, check.by or (), "checks", index, "by")
            if check.quantile is not None and not isinstance(slo.indicator, Latency):
                message = f"`{slo.name}` has no quantile: it counts no latencies"
                self._error(message, "name an SLO with `latency`, or remove `quantile`", "checks", index, "quantile")
        return meant.SloCheck(
            name=check.name,
            slo=check.slo,
            by=check.by or (),
            error_rate=check.error_rate,
            worse_by=check.worse_by,
            quantile=check.quantile,
            needs=meant.Needs(check.needs or "any"),
            shared=meant.WhenShared(check.shared or "hold"),
            place=self.source.place("checks", index, "name"),
        )

    def _mismatch(self, index: int, check: rollout.Check) -> meant.MismatchCheck:
        return meant.MismatchCheck(
            name=check.name,
            mismatches=self._selectors(check.mismatches or (), "checks", index, "mismatches"),
            compared=self._selectors(check.compared or (), "checks", index, "compared"),
            mismatch_rate=check.mismatch_rate or Decimal(0),
            settle=Duration(30_000 if check.settle is None else check.settle),
            place=self.source.place("checks", index, "name"),
        )

    def _after(self, arms: meant.Arms) -> meant.After | None:
        written = self.source.spec.after
        if written is None:
            return None
        slo = self._slo(written.slo, "after", "slo")
        if slo is not None:
            self._judged(slo, arms, "after")
            self._split(slo, arms, written.by or (), "after", "by")
        return meant.After(written.slo, written.by or (), Duration(written.within), written.success)

    def _slo(self, name: str, *keys: Key) -> Slo | None:
        if name not in self.slos:
            known = ", ".join(sorted(self.slos)) or "none"
            help_ = nearest(name, list(self.slos)) or f"write one of its SLOs: {known}"
            self.found.error(codes.UNKNOWN_SLO, self.source.place(*keys), f"this service has no SLO `{name}`", help_)
        return self.slos.get(name)

    def _judged(self, slo: Slo, arms: meant.Arms, *keys: Key) -> None:
        """A canary counts raw events of both versions."""
        if not isinstance(slo.indicator, JudgeableIndicator):
            message = f"a canary cannot judge `{slo.name}`: its slices belong to both versions"
            self._error(message, "name an SLO with `ratio`, `latency` or `probe`", *keys, "slo")
        elif isinstance(slo.indicator, Ratio) and not slo.indicator.reads().counters:
            message = f"`{slo.name}` counts no running totals, which is what a canary compares"
            self._error(message, "name an SLO on counters", *keys, "slo")
        else:
            self._arms_are_free(slo, arms, *keys)

    def _arms_are_free(self, slo: Slo, arms: meant.Arms, *keys: Key) -> None:
        labels = {matcher.label for matcher in (*arms.canary, *arms.baseline)}
        for selector in selectors_of(slo):
            for matcher in selector.matchers:
                if matcher.label in labels and matcher.operator is MatchOperator.EQUAL:
                    message = f"`{slo.name}` fixes `{matcher.label}`, which tells the arms apart"
                    self._error(message, "remove the matcher from the SLI, or use another label", *keys, "slo")
                    return

    def _split(self, slo: Slo, arms: meant.Arms, by: tuple[str, ...], *keys: Key) -> None:
        fixed = {
            matcher.label
            for matcher in (*arms.canary, *arms.baseline, *(m for one in selectors_of(slo) for m in one.matchers))
            if matcher.operator is MatchOperator.EQUAL
        }
        for label in by:
            if label in fixed:
                help_ = "remove the label here or the matcher there"
                message = f"`by` splits by `{label}`, but a matcher fixes it"
                self.found.error(codes.SPLIT_LABEL, self.source.place(*keys), message, help_, *self._related)

    def _selectors(self, texts: tuple[str, ...], *keys: Key) -> Selectors:
        read = (
            self._parsed(parse_selector, text, *keys, *((index,) if len(texts) > 1 else ()))
            for index, text in enumerate(texts)
        )
        return tuple(selector for selector in read if selector is not None)

    def _parsed(self, parse: Callable[[str], T], text: str, *keys: Key) -> T | None:
        try:
            return parse(text)
        except PromqlError as error:
            self.found.error(codes.PROMQL, self.source.place(*keys), str(error), error.help, *self._related)
            return None

    def _error(self, message: str, help_: str, *keys: Key) -> None:
        self.found.error(codes.CANARY, self.source.place(*keys), message, help_, *self._related)

    @property
    def _related(self) -> tuple[Related, ...]:
        return () if self.source.use is None else (Related(self.source.use, "used here"),)


def selectors_of(slo: Slo) -> tuple[Selector, ...]:
    """The selectors of an SLI that a canary can judge."""
    return slo.indicator.reads().selectors if isinstance(slo.indicator, JudgeableIndicator) else ()


def _step(step: rollout.Step) -> meant.Step:
    hold = None if step.hold is None else Duration(step.hold)
    deadline = Duration(step.deadline) if step.deadline is not None else hold * 2 if hold is not None else None
    return meant.Step(step.weight, hold, deadline)


def _alpha(written: rollout.Alpha | None) -> meant.Alpha:
    if written is None:
        return meant.Alpha(DEFAULT_ALPHA, DEFAULT_ALPHA)
    return meant.Alpha(written.rollback or DEFAULT_ALPHA, written.promote or DEFAULT_ALPHA)


def _parity(written: rollout.Parity | None) -> meant.Parity | None:
    if written is None:
        return None
    numbers = Decimal("0.001") if written.numbers is None else written.numbers
    return meant.Parity(written.key, numbers, written.categories or "exact")
