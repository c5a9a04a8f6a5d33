"""The backend `prometheus`: one rule file a service, and one about sloctl's own rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sloctl import conventions
from sloctl.backends.prometheus import alerts, tiles, windows
from sloctl.backends.prometheus.rules import Alert, Group, Recording
from sloctl.model.alerting import Tier
from sloctl.model.artifact import Artifact
from sloctl.model.catalogue import Catalogue, Platform, Service, Slo
from sloctl.model.indicator import Indicator, Ratio
from sloctl.model.selector import Selectors


class PrometheusBackend:
    """Rule files for Prometheus 2.42 and later, Thanos Ruler and Mimir."""

    name: Final = "prometheus"
    folders: Final = ("rules/prometheus",)

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """One artifact a service, then sloctl's own health."""
        for platform in catalogue.platforms:
            yield from (service_rules(platform, service) for service in platform.services)
        if catalogue.platforms:
            groups = [alerts.health_group(platform).value() for platform in catalogue.platforms]
            sources = {source for platform in catalogue.platforms for source in platform.sources}
            yield Artifact(conventions.HEALTH_PATH, {"groups": groups}, tuple(sorted(sources)))


def service_rules(platform: Platform, service: Service) -> Artifact:
    """The rule file of one service: a fast and a slow group for each SLO."""
    groups = [group.value() for slo in service.slos for group in slo_groups(platform, slo)]
    return Artifact(conventions.rules_path(service, platform), {"groups": groups}, service.sources)


def slo_groups(platform: Platform, slo: Slo) -> tuple[Group, Group]:
    """The groups of one SLO. Order inside matters: what a rule reads stands before it."""
    series = slo.max_series if slo.by else 1
    fast = Group(conventions.fast_group(slo), slo.sampling.resolution, _fast_rules(platform, slo), 10 * series)
    slow = Group(conventions.slow_group(slo), slo.sampling.rollup, _slow_rules(platform, slo), 10 * series)
    return fast, slow


def _fast_rules(platform: Platform, slo: Slo) -> tuple[Recording | Alert, ...]:
    labels = conventions.series_labels(slo)
    resolution = slo.sampling.resolution
    total, errors = _tiles(slo, slo.indicator)
    averages = [
        windows.ratio_over(slo, over) for over in windows.recorded_windows(slo) if not windows.is_slow(slo, over)
    ]
    return (
        Recording(conventions.total_tile(resolution), total, labels),
        Recording(conventions.errors_tile(resolution), errors, labels),
        *averages,
        *(alerts.tier_alert(platform, slo, tier) for tier in slo.tiers if not _is_slow(slo, tier)),
    )


def _slow_rules(platform: Platform, slo: Slo) -> tuple[Recording | Alert, ...]:
    resolution, rollup = slo.sampling.resolution, slo.sampling.rollup
    averages = [windows.ratio_over(slo, over) for over in windows.recorded_windows(slo) if windows.is_slow(slo, over)]
    return (
        windows.rollup(slo, conventions.total_tile(resolution), conventions.total_tile(rollup)),
        windows.rollup(slo, conventions.errors_tile(resolution), conventions.errors_tile(rollup)),
        *averages,
        windows.budget_consumed(slo),
        windows.objective(slo),
        windows.time_to_exhaustion(slo),
        *(alerts.tier_alert(platform, slo, tier) for tier in slo.tiers if _is_slow(slo, tier)),
        alerts.blind_alert(platform, slo, _raw_total(slo.indicator)),
    )


def _is_slow(slo: Slo, tier: Tier) -> bool:
    """Whether the tier's alert reads roll-ups; one by the budget left does."""
    return tier.over is None or windows.is_slow(slo, tier.over)


def _tiles(slo: Slo, indicator: Indicator) -> tuple[str, str]:
    match indicator:
        case Ratio():
            return tiles.total_tile(slo, indicator), tiles.errors_tile(slo, indicator)
        case _:
            raise NotImplementedError(type(indicator).__name__)


def _raw_total(indicator: Indicator) -> Selectors:
    """The raw series without which nothing can be measured."""
    match indicator:
        case Ratio(total=total, bad=bad, good=good):
            return total if total is not None else (bad or ()) + (good or ())
        case _:
            raise NotImplementedError(type(indicator).__name__)
