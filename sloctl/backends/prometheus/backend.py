"""The backend `prometheus`: one rule file a service, and one about sloctl's own rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sloctl import conventions
from sloctl.backends.prometheus import alerts, trends, windows
from sloctl.backends.prometheus.calendars import calendar_group
from sloctl.backends.prometheus.money import credits_at_risk
from sloctl.backends.prometheus.rules import Alert, Group, Recording
from sloctl.backends.prometheus.tiles import tile_rules
from sloctl.model.alerting import Tier
from sloctl.model.artifact import Artifact
from sloctl.model.catalogue import Catalogue, Platform, Service, Slo


class PrometheusBackend:
    """Rule files for Prometheus 2.42 and later, Thanos Ruler and Mimir."""

    name: Final = "prometheus"
    folders: Final = ("rules/prometheus",)

    def compile(self, catalogue: Catalogue) -> Iterator[Artifact]:
        """One artifact a service, then sloctl's own health."""
        for platform in catalogue.platforms:
            yield from (service_rules(platform, service) for service in platform.services)
        if catalogue.platforms:
            groups = [group.value() for platform in catalogue.platforms for group in platform_groups(platform)]
            sources = {source for platform in catalogue.platforms for source in platform.sources}
            yield Artifact(conventions.HEALTH_PATH, {"groups": groups}, tuple(sorted(sources)))


def platform_groups(platform: Platform) -> list[Group]:
    """What the services of a platform share: its calendars and the alerts about its own rules."""
    calendars = calendar_group(platform)
    return [*([calendars] if calendars else []), alerts.health_group(platform)]


def service_rules(platform: Platform, service: Service) -> Artifact:
    """The rule file of one service: a fast and a slow group for each SLO."""
    groups = [group.value() for slo in service.slos for group in slo_groups(platform, slo)]
    return Artifact(conventions.rules_path(service, platform), {"groups": groups}, service.sources)


def slo_groups(platform: Platform, slo: Slo) -> tuple[Group, Group]:
    """The groups of one SLO. Order inside matters: what a rule reads stands before it."""
    limit = 10 * (slo.max_series if slo.by else 1)
    fast = Group(conventions.fast_group(slo), slo.sampling.resolution, _fast_rules(platform, slo), limit)
    slow = Group(conventions.slow_group(slo), slo.sampling.rollup, _slow_rules(platform, slo), _slow_limit(slo, limit))
    return fast, slow


def _slow_limit(slo: Slo, limit: int) -> int:
    """A regression records every bucket of a histogram."""
    return limit * 10 if slo.regression else limit


def _fast_rules(platform: Platform, slo: Slo) -> tuple[Recording | Alert, ...]:
    recorded = [over for over in windows.recorded_windows(slo) if not windows.is_slow(slo, over)]
    return (
        *tile_rules(slo),
        *(windows.ratio_over(slo, over) for over in recorded),
        *(alerts.tier_alert(platform, slo, tier) for tier in slo.tiers if not _is_slow(slo, tier)),
    )


def _slow_rules(platform: Platform, slo: Slo) -> tuple[Recording | Alert, ...]:
    recorded = [over for over in windows.recorded_windows(slo) if windows.is_slow(slo, over)]
    return (
        *windows.rollups(slo),
        *(windows.ratio_over(slo, over) for over in recorded),
        *windows.budget(slo),
        windows.objective(slo),
        *_extras(platform, slo),
        *(alerts.tier_alert(platform, slo, tier) for tier in slo.tiers if _is_slow(slo, tier)),
        alerts.blind_alert(platform, slo),
        *([alerts.too_many_series_alert(platform, slo)] if slo.by else []),
    )


def _extras(platform: Platform, slo: Slo) -> Iterator[Recording | Alert]:
    """What only some SLOs ask for."""
    yield from trends.measured(slo)
    if slo.forecast:
        yield from trends.forecast_rules(platform, slo, slo.forecast)
    if slo.regression:
        yield from trends.regression_rules(platform, slo, slo.regression)
    if slo.sla:
        yield credits_at_risk(slo, slo.sla)


def _is_slow(slo: Slo, tier: Tier) -> bool:
    """Whether the tier's alert reads roll-ups; one by the budget left does."""
    return tier.over is None or windows.is_slow(slo, tier.over)
