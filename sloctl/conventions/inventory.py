"""What the rules record and raise: every recording and every alert with its name and labels, once.

The rules backend writes an expression for each; routes, checks, proofs and dashboards ask here what there is. Labels
are those that rules set, sorted by name; the split labels of an SLO come from the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from sloctl import conventions
from sloctl.diagnostics import Place
from sloctl.model.alerting import Forecast, Mode, Regression, Severity, Tier
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.indicator import Latency, Saturation, Threshold
from sloctl.model.ownership import Route
from sloctl.model.quantities import Duration
from sloctl.model.window import CalendarWindow, Window


class Metric(Enum):
    """What a recording holds."""

    TOTAL = auto()
    ERRORS = auto()
    ERROR_RATIO = auto()
    MISSED_TOTAL = auto()
    MISSED_ERRORS = auto()
    TOTAL_ROLLUP = auto()
    ERRORS_ROLLUP = auto()
    WINDOW_TOTAL = auto()
    PERIOD_ERROR_RATIO = auto()
    MEASURED_SINCE = auto()
    BUDGET_CONSUMED = auto()
    WINDOW_COVERED = auto()
    TIME_TO_EXHAUSTION = auto()
    BUDGET_PREDICTED = auto()
    OBJECTIVE = auto()
    VALUE = auto()
    TIME_TO_LIMIT = auto()
    BUCKETS = auto()
    SLA_CREDITS = auto()
    PERIOD_START = auto()
    PERIOD_END = auto()


class Recording(NamedTuple):
    """One recording.

    Attributes:
        window: what it counts or averages over; None for a value of the moment.
        slow: whether it is evaluated with the roll-ups.
    """

    metric: Metric
    name: str
    labels: Mapping[str, str]
    window: Duration | Window | None = None
    slow: bool = True


class BuiltIn(Enum):
    """Alerts that nobody writes."""

    BLIND = auto()
    DOWN = auto()
    TOO_MANY_SERIES = auto()
    RULE_FAILURES = auto()
    MISSED_EVALUATIONS = auto()
    WATCHDOG = auto()


Cause: TypeAlias = Tier | Forecast | Regression | BuiltIn


class Alert(NamedTuple):
    """One alert.

    Attributes:
        severity: None of the heartbeat, which tells nobody of trouble.
        place: where it is written; None of what is built in.
        split: the names of its split labels.
        slow: whether it is evaluated with the roll-ups.
    """

    cause: Cause
    name: str
    labels: Mapping[str, str]
    severity: Severity | None
    place: Place | None = None
    split: tuple[str, ...] = ()
    slow: bool = True


def rules(platform: Platform, slo: Slo) -> Iterator[Recording | Alert]:
    """Every rule of an SLO in the order of evaluation: what a rule reads stands before it."""
    tiers = [_tier(platform, slo, tier) for tier in slo.tiers]
    ratios = [_error_ratio(slo, over) for over in error_ratio_windows(slo)]
    yield from _tiles(slo)
    yield from (ratio for ratio in ratios if not ratio.slow)
    yield from (tier for tier in tiers if not tier.slow)
    if down := slo.down_severity:
        labels = _labels(platform, slo, down, conventions.DOWN)
        yield Alert(BuiltIn.DOWN, conventions.down_alert(slo), labels, down, slow=False)
    yield from _rollups(slo)
    yield from (ratio for ratio in ratios if ratio.slow)
    yield from _budget(slo)
    yield from _trends(platform, slo)
    if slo.sla:
        labels = {**conventions.series_labels(slo), "currency": slo.sla.currency}
        yield Recording(Metric.SLA_CREDITS, conventions.SLA_CREDITS, _in_order(labels), slo.sla.window)
    yield from (tier for tier in tiers if tier.slow)
    if slo.blind:
        blind = _labels(platform, slo, Severity.P2, conventions.BLIND)
        yield Alert(BuiltIn.BLIND, conventions.blind_alert(slo), blind, Severity.P2, split=slo.split_labels)
    if slo.by:
        many = _labels(platform, slo, Severity.P2, conventions.HEALTH)
        yield Alert(BuiltIn.TOO_MANY_SERIES, conventions.too_many_series_alert(slo), many, Severity.P2)


def repairs(slo: Slo) -> Iterator[Recording]:
    """What is recorded of an SLO after Prometheus was away, in a group that its service's SLOs share."""
    if slo.survives_pauses:
        labels = conventions.series_labels(slo)
        yield Recording(Metric.MISSED_TOTAL, conventions.MISSED_TOTAL, labels)
        yield Recording(Metric.MISSED_ERRORS, conventions.MISSED_ERRORS, labels)


def recordings(platform: Platform, slo: Slo) -> Iterator[Recording]:
    """What is recorded of an SLO."""
    yield from (rule for rule in rules(platform, slo) if isinstance(rule, Recording))
    yield from repairs(slo)


def alerts(platform: Platform, slo: Slo) -> list[Alert]:
    """What an SLO raises: its tiers as they are written, then the others."""
    raised = [rule for rule in rules(platform, slo) if isinstance(rule, Alert)]
    names = [conventions.tier_alert(slo, tier) for tier in slo.tiers]
    return sorted(raised, key=lambda alert: names.index(alert.name) if alert.name in names else len(names))


def calendar_recordings(platform: Platform) -> Iterator[tuple[CalendarWindow, Recording, Recording]]:
    """The start and the end of the running period of each calendar that an SLO of the platform uses."""
    calendars = {conventions.calendar_name(slo.calendar): slo.calendar for slo in platform.slos if slo.calendar}
    for _, calendar in sorted(calendars.items()):
        labels = _in_order(conventions.calendar_labels(platform.name, calendar))
        yield (
            calendar,
            Recording(Metric.PERIOD_START, conventions.PERIOD_START, labels, calendar),
            Recording(Metric.PERIOD_END, conventions.PERIOD_END, labels, calendar),
        )


def health_alerts(platform: Platform) -> Iterator[Alert]:
    """What is raised about sloctl's own rules, and the heartbeat."""
    team = {"team": platform.team} if platform.team else {}
    labels = {"platform": platform.name, "sloctl": conventions.ALERT_VERSION, **team, "burn_tier": conventions.HEALTH}
    urgent = _in_order(labels | {"severity": conventions.severity_word(platform, Severity.P2)})
    yield Alert(BuiltIn.RULE_FAILURES, conventions.RULE_FAILURES, urgent, Severity.P2)
    yield Alert(BuiltIn.MISSED_EVALUATIONS, conventions.MISSED_EVALUATIONS, urgent, Severity.P2)
    yield Alert(BuiltIn.WATCHDOG, conventions.WATCHDOG, _in_order(labels), None)


def platform_alerts(platform: Platform) -> Iterator[Alert]:
    """The alerts of one platform: of its SLOs, then about sloctl's own rules."""
    for slo in platform.slos:
        yield from alerts(platform, slo)
    yield from health_alerts(platform)


class Receiver(NamedTuple):
    """One receiver of a platform's alerts.

    Attributes:
        route: where it tells; None where nothing is written, and nobody is told.
        place: what it is named after.
        severity: None where alerts of any severity come.
    """

    name: str
    route: Route | None
    place: Place
    severity: Severity | None = None


def receivers(platform: Platform) -> Iterator[Receiver]:
    """Every receiver that a platform can have."""
    yield Receiver(conventions.fallback_receiver(platform), platform.fallback, platform.place)
    yield Receiver(conventions.watchdog_receiver(platform), platform.watchdog, platform.place)
    for team in platform.teams.values():
        for severity, route in team.severities.items():
            name = conventions.team_receiver(platform, team, severity.value)
            yield Receiver(name, route, team.place, severity)
        for further, route in team.routes.items():
            yield Receiver(conventions.team_receiver(platform, team, further), route, team.place)


def error_ratio_windows(slo: Slo) -> list[Duration]:
    """Every window over which a tier averages, shortest first."""
    return sorted({window for tier in slo.tiers for window in tier.windows})


def records_value(slo: Slo) -> bool:
    """Whether the value itself is recorded: a utilisation, or what a forecast looks at."""
    return isinstance(slo.indicator, Saturation) or (isinstance(slo.indicator, Threshold) and slo.forecast is not None)


def reads_rollups(slo: Slo, tier: Tier) -> bool:
    """Whether a tier's alert reads roll-ups; one by the budget left does."""
    return tier.over is None or slo.sampling.reads_rollups(tier.over)


def _tiles(slo: Slo) -> Iterator[Recording]:
    """Neither tile reads the other."""
    resolution, labels = slo.sampling.resolution, conventions.series_labels(slo)
    yield Recording(Metric.TOTAL, conventions.total_tile(resolution), labels, resolution, slow=False)
    yield Recording(Metric.ERRORS, conventions.errors_tile(resolution), labels, resolution, slow=False)
    yield Recording(Metric.MEASURED_SINCE, conventions.MEASURED_SINCE, labels, slow=False)


def _rollups(slo: Slo) -> Iterator[Recording]:
    step, labels = slo.sampling.rollup, conventions.series_labels(slo)
    yield Recording(Metric.TOTAL_ROLLUP, conventions.total_tile(step), labels, step)
    yield Recording(Metric.ERRORS_ROLLUP, conventions.errors_tile(step), labels, step)


def _error_ratio(slo: Slo, over: Duration) -> Recording:
    labels, slow = conventions.series_labels(slo), slo.sampling.reads_rollups(over)
    return Recording(Metric.ERROR_RATIO, conventions.error_ratio(over), labels, over, slow)


def _budget(slo: Slo) -> Iterator[Recording]:
    """What of the budget is spent and how long the rest lasts; of a calendar, also the ratio and what is to come."""
    labels, window = conventions.series_labels(slo), slo.window
    yield Recording(Metric.WINDOW_TOTAL, conventions.window_total(window), labels, window)
    if isinstance(window, CalendarWindow):
        yield Recording(Metric.PERIOD_ERROR_RATIO, conventions.PERIOD_ERROR_RATIO, labels, window)
    yield Recording(Metric.BUDGET_CONSUMED, conventions.budget_consumed(window), labels, window)
    yield Recording(Metric.WINDOW_COVERED, conventions.WINDOW_COVERED, labels, window)
    yield Recording(Metric.TIME_TO_EXHAUSTION, conventions.TIME_TO_EXHAUSTION, labels, slo.sampling.recent)
    if isinstance(window, CalendarWindow):
        yield Recording(Metric.BUDGET_PREDICTED, conventions.BUDGET_PREDICTED, labels, window)
    team = {"team": slo.team} if slo.team else {}
    told = _in_order({**labels, "window": str(window), **team})
    yield Recording(Metric.OBJECTIVE, conventions.OBJECTIVE, told, window)


def _trends(platform: Platform, slo: Slo) -> Iterator[Recording | Alert]:
    """A limit that will be reached, and a quantile that is worse than it was."""
    labels, step = conventions.series_labels(slo), slo.sampling.rollup
    if records_value(slo):
        yield Recording(Metric.VALUE, conventions.VALUE, labels)
    if slo.forecast:
        yield Recording(Metric.TIME_TO_LIMIT, conventions.TIME_TO_LIMIT, labels)
        yield _trend(platform, slo, slo.forecast, conventions.forecast_alert(slo), conventions.FORECAST)
    if slo.regression:
        if isinstance(slo.indicator, Latency) and not slo.indicator.native:
            yield Recording(Metric.BUCKETS, conventions.bucket_tile(step), labels, step)
        yield _trend(platform, slo, slo.regression, conventions.regression_alert(slo), conventions.REGRESSION)


def _trend(platform: Platform, slo: Slo, cause: Forecast | Regression, name: str, kind: str) -> Alert:
    """The alert on a forecast or regression, which is written under the key `kind`."""
    labels = _labels(platform, slo, cause.severity, kind)
    return Alert(cause, name, labels, cause.severity, slo.at(kind), slo.split_labels)


def _tier(platform: Platform, slo: Slo, tier: Tier) -> Alert:
    """`notify` names the team's further routes, which nobody is told by while observing."""
    told = {"notify": ",".join(tier.notify)} if tier.notify and slo.mode is Mode.PAGE else {}
    labels = _labels(platform, slo, tier.severity, conventions.burn_tier(tier), {**told, **tier.labels})
    name, slow = conventions.tier_alert(slo, tier), reads_rollups(slo, tier)
    return Alert(tier, name, labels, tier.severity, tier.place, slo.split_labels, slow)


def _labels(
    platform: Platform, slo: Slo, severity: Severity, tier: str, more: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    team = {"team": slo.team} if slo.team else {}
    labels = {
        **conventions.series_labels(slo),
        "sloctl": conventions.ALERT_VERSION,
        **team,
        "severity": conventions.severity_word(platform, severity),
        "burn_tier": tier,
        **({"mode": Mode.OBSERVE.value} if slo.mode is Mode.OBSERVE else {}),
        **more,
    }
    return _in_order(labels)


def _in_order(labels: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(labels.items()))
