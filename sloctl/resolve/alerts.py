"""Alert tiers: policies by name, the `google` preset, defaults, and whether lengths fit together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Final

from sloctl.diagnostics import Place, Related
from sloctl.language import alerting
from sloctl.language.problems import did_you_mean
from sloctl.language.tree import Key
from sloctl.model.alerting import BudgetLeft, Burn, ErrorRate, Guard, Severity, Tier
from sloctl.model.budget import error_threshold
from sloctl.model.ownership import Team
from sloctl.model.quantities import ZERO, Duration, Objective
from sloctl.model.window import Window
from sloctl.resolve import codes
from sloctl.resolve.building import built
from sloctl.resolve.layers import Layer, Part
from sloctl.resolve.platforms import PlatformScope
from sloctl.resolve.reading import PartReading

GOOGLE: Final = (
    # severity, burn, over, also_over: The Site Reliability Workbook, chapter 5, table 5-8
    (Severity.P1, "14.4", Duration.of(hours=1), Duration.of(minutes=5)),
    (Severity.P1, "6", Duration.of(hours=6), Duration.of(minutes=30)),
    (Severity.P3, "3", Duration.of(days=1), Duration.of(hours=2)),
    (Severity.P3, "1", Duration.of(days=3), Duration.of(hours=6)),
)
_FLAP: Final = Duration.of(minutes=5)
_SLICES: Final = 3
"""One bad slice of 60 is burn 17 at 99.9 % and must not page."""


@dataclass(frozen=True, slots=True)
class Alerting:
    """The tiers of one SLO, and those of `google` that make no sense for it."""

    tiers: tuple[Tier, ...]
    left_out: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class AlertsReading(PartReading):
    """What reads the alerts of one SLO; `at` is the SLO, or one tier while that is read."""

    scope: PlatformScope
    objective: Objective
    window: Window
    resolution: Duration
    slices: bool
    team: Team | None
    by: tuple[str, ...] = ()

    def tiers(self, layer: Layer | None) -> Alerting:
        """The tiers of the nearest layer that writes `alerts`; `google` without one."""
        tried = self.scope.tried
        if tried == "google" or (layer is None and tried is None):
            return self._google(self.scope.place)
        rows = self._rows(layer) if layer is not None and tried is None else self._tried(str(tried))
        tiers, left_out = list[Tier](), list[Tier]()
        for written, row in rows:
            if written == "google":
                google = self._google(row.place())
                tiers += google.tiers
                left_out += google.left_out
            elif not isinstance(written, str):
                tiers.append(replace(self, at=row)._tier(written))
        return Alerting(tuple(tiers), tuple(left_out))

    def _rows(self, layer: Layer) -> Iterator[tuple[alerting.Tier | str, Part]]:
        alerts = layer.spec.alerts
        assert alerts is not None
        if isinstance(alerts, str):
            yield from self._policy(alerts, layer, "alerts")
            return
        for index, row in enumerate(alerts):
            if isinstance(row, str):
                yield from self._policy(row, layer, "alerts", index)
            else:
                yield row, layer.below("alerts", index)

    def _tried(self, name: str) -> Iterator[tuple[alerting.Tier, Part]]:
        tiers, origin = self.scope.policies.get(name, ((), None))
        assert origin is not None or not tiers
        yield from ((tier, origin.below("policies", name, index)) for index, tier in enumerate(tiers) if origin)

    def _policy(self, name: str, layer: Layer, *keys: Key) -> Iterator[tuple[alerting.Tier | str, Part]]:
        if name == "google":
            yield name, layer.below(*keys)
        elif name in self.scope.policies:
            tiers, origin = self.scope.policies[name]
            yield from ((tier, origin.below("policies", name, index)) for index, tier in enumerate(tiers))
        elif name != "none":
            known = [*sorted(self.scope.policies), "google", "none"]
            message = f"there is no policy `{name}`"
            help_ = did_you_mean(name, known) or f"write one of {', '.join(known)}"
            replace(self, at=layer).error(codes.UNKNOWN_POLICY, message, help_, *keys)

    def _google(self, place: Place) -> Alerting:
        return _google(self.objective, self.window.length, self._min_bad(None, None), self._guard(None), place)

    def _tier(self, written: alerting.Tier) -> Tier:
        self._check_lengths(written)
        self._check_routes(written)
        self._check_labels(written)
        keep, default = written.keep_firing_for, _FLAP if written.severity is Severity.P1 else ZERO
        return built(
            Tier,
            written,
            trigger=_trigger(written),
            keep_firing_for=default if keep is None else keep,
            min_bad=self._min_bad(written.min_bad, written.over),
            guard=self._guard(written.guard),
            place=self.at.place(),
            labels=written.labels or {},
            annotations=written.annotations or {},
        )

    def _min_bad(self, written: int | None, over: Duration | None) -> int:
        if written is not None:
            return written
        most = _SLICES if over is None else max(1, int(over / self.resolution))  # more could never be bad
        return min(_SLICES, most) if self.slices else 0

    def _guard(self, written: Guard | None) -> Guard:
        if written is not None:
            return written
        return Guard.NONE if self.slices else Guard.STATISTICAL

    def _check_lengths(self, written: alerting.Tier) -> None:
        lengths = {"over": written.over, "also_over": written.also_over, "for": written.for_}
        for key, length in lengths.items():
            if length is not None and length % self.resolution:
                message = f"`{key}` {length} is no multiple of the resolution {self.resolution}"
                help_ = f"write a multiple of {self.resolution}, or another `resolution` in the Platform"
                self.error(codes.TIER_LENGTH, message, help_, key)
        if written.over is not None and written.over > self.window.length:
            message = f"`over` {written.over} is longer than the window {self.window}"
            help_ = f"write at most {self.window.length}"
            self.error(codes.TIER_LENGTH, message, help_, "over")

    def _check_routes(self, written: alerting.Tier) -> None:
        for index, name in enumerate(written.notify):
            if self.team is None or name in self.team.routes:
                continue
            known = sorted(self.team.routes)
            message = f"team `{self.team.name}` has no route `{name}`"
            related = Related(self.team.place, "the team's routes are here")
            help_ = (
                did_you_mean(name, known) or f"add it there; its further routes are: {', '.join(known) or 'none yet'}"
            )
            self.error(codes.UNKNOWN_ROUTE, message, help_, "notify", index, related=(related,))

    def _check_labels(self, written: alerting.Tier) -> None:
        for label in sorted(set(written.labels or ()) & set(self.by)):
            message = f"`{label}` is a label of `by`, whose values come from the data"
            place = self.at.key_place("labels", label)
            self.found.error(codes.SPLIT_LABEL, place, message, "remove it here, or from `by`", *self.at.related)


@lru_cache(maxsize=256)
def _google(objective: Objective, window: Duration, min_bad: int, guard: Guard, place: Place) -> Alerting:
    """The preset without tiers that cannot fire at this objective or exceed half the window."""
    kept, left_out = list[Tier](), list[Tier]()
    for severity, burn, over, also_over in GOOGLE:
        flap = _FLAP if severity is Severity.P1 else ZERO
        tier = Tier(severity, Burn(Decimal(burn)), over, also_over, ZERO, flap, 0, min_bad, guard, place)
        fits = error_threshold(tier, objective) < 1 and over * 2 <= window
        (kept if fits else left_out).append(tier)
    return Alerting(tuple(kept), tuple(left_out))


def _trigger(written: alerting.Tier) -> Burn | ErrorRate | BudgetLeft:
    if written.burn is not None:
        return Burn(written.burn)
    if written.error_rate is not None:
        return ErrorRate(written.error_rate)
    assert written.budget_left is not None
    return BudgetLeft(written.budget_left)
