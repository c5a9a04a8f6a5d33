"""The backend `prometheus`: one rule file a service, and one about sloctl's own rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from sloctl import conventions
from sloctl.backends.prometheus import alerts, pauses, tiles, trends, windows
from sloctl.backends.prometheus.calendars import calendar_group
from sloctl.backends.prometheus.money import credits_at_risk
from sloctl.backends.prometheus.rules import AlertingRule, Group, RecordingRule
from sloctl.conventions import inventory
from sloctl.conventions.inventory import Alert, Metric, Recording
from sloctl.model.artifact import Artifact
from sloctl.model.catalogue import Catalogue, Platform, Service, Slo
from sloctl.model.quantities import Duration, number


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
    groups = [group.value() for group in service_groups(platform, service)]
    return Artifact(conventions.rules_path(service, platform), {"groups": groups}, service.sources)


def service_groups(platform: Platform, service: Service) -> list[Group]:
    """The groups of all SLOs of a service, then the one that repairs what they missed."""
    groups = [group for slo in service.slos for group in slo_groups(platform, slo)]
    return [*groups, *repair_groups(platform, service)]


def repair_groups(platform: Platform, service: Service) -> list[Group]:
    """The one group that repairs what the SLOs of a service missed; none where nothing can be repaired."""
    rules = tuple(
        RecordingRule(rule, _EXPRESSIONS[rule.metric](slo)) for slo in service.slos for rule in inventory.repairs(slo)
    )
    every = platform.sampling.resolution * pauses.EVERY_TILES
    limit = max((_limit(slo) for slo in service.slos), default=0)
    return [Group(conventions.repairs_group(platform, service), every, rules, limit)] if rules else []


def slo_groups(platform: Platform, slo: Slo) -> tuple[Group, Group]:
    """The groups of one SLO. Order inside matters: what a rule reads stands before it."""
    made = [(rule.slow, _rule(platform, slo, rule)) for rule in inventory.rules(platform, slo)]
    fast, slow = (tuple(rule for is_slow, rule in made if is_slow is wanted) for wanted in (False, True))
    limit = _limit(slo)
    return (
        Group(conventions.fast_group(slo), slo.sampling.resolution, fast, limit),
        Group(conventions.slow_group(slo), slo.sampling.rollup, slow, _slow_limit(slo, limit)),
    )


def _limit(slo: Slo) -> int:
    return 10 * (slo.max_series if slo.by else 1)


def _slow_limit(slo: Slo, limit: int) -> int:
    """A regression records every bucket of a histogram."""
    return limit * 10 if slo.regression else limit


def _rule(platform: Platform, slo: Slo, rule: Recording | Alert) -> RecordingRule | AlertingRule:
    if isinstance(rule, Alert):
        return alerts.alerting_rule(platform, slo, rule)
    if isinstance(rule.window, Duration) and rule.metric is Metric.ERROR_RATIO:
        return RecordingRule(rule, windows.error_ratio(slo, rule.window))
    return RecordingRule(rule, _EXPRESSIONS[rule.metric](slo))


_EXPRESSIONS: Final[Mapping[Metric, Callable[[Slo], str]]] = {
    Metric.TOTAL: tiles.total,
    Metric.ERRORS: tiles.errors,
    Metric.MISSED_TOTAL: lambda slo: tiles.included(slo, pauses.missed_total(slo)),
    Metric.MISSED_ERRORS: lambda slo: tiles.included(slo, pauses.missed_errors(slo)),
    Metric.TOTAL_ROLLUP: lambda slo: windows.rollup(slo, conventions.total_tile, conventions.MISSED_TOTAL),
    Metric.ERRORS_ROLLUP: lambda slo: windows.rollup(slo, conventions.errors_tile, conventions.MISSED_ERRORS),
    Metric.WINDOW_TOTAL: windows.window_total,
    Metric.PERIOD_ERROR_RATIO: windows.period_error_ratio,
    Metric.MEASURED_SINCE: windows.measured_since,
    Metric.BUDGET_CONSUMED: windows.budget_consumed,
    Metric.WINDOW_COVERED: windows.window_covered,
    Metric.TIME_TO_EXHAUSTION: windows.time_to_exhaustion,
    Metric.BUDGET_PREDICTED: windows.budget_predicted,
    Metric.OBJECTIVE: lambda slo: f"vector({number(slo.objective.ratio)})",
    Metric.VALUE: trends.measured,
    Metric.TIME_TO_LIMIT: trends.time_to_limit,
    Metric.BUCKETS: trends.buckets,
    Metric.SLA_CREDITS: credits_at_risk,
}
