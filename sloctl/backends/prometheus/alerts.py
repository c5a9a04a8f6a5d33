"""Alert rules: one a tier, one for a vanished metric, and those about sloctl's own rules."""

from __future__ import annotations

from typing import assert_never

from sloctl import conventions
from sloctl.backends.prometheus import vanished, windows
from sloctl.backends.prometheus.raw import on_split, own
from sloctl.backends.prometheus.rules import AlertingRule, Group
from sloctl.backends.prometheus.texts import (
    blind_annotations,
    down_annotations,
    tier_annotations,
    too_many_series_annotations,
)
from sloctl.backends.prometheus.trends import forecast_rule, regression_rule
from sloctl.conventions import inventory
from sloctl.conventions.inventory import Alert, BuiltIn
from sloctl.model.alerting import BudgetLeft, Forecast, Guard, Regression, Severity, Tier
from sloctl.model.budget import GUARD_MARGIN, LEAST_OF_BUDGET, error_threshold
from sloctl.model.catalogue import Inhibition, Platform, Slo
from sloctl.model.quantities import MINUTE, Duration, number
from sloctl.model.selector import Matcher, MatchOperator
from sloctl.promql.selectors import label_selector, quote, selector_text


def alerting_rule(platform: Platform, slo: Slo, alert: Alert) -> AlertingRule:
    """The rule of one alert of an SLO."""
    match alert.cause:
        case Tier() as tier:
            expr = "\nand ".join(_conditions(slo, tier)) + _unless_higher(platform, slo, tier)
            texts = tier_annotations(platform, slo, tier)
            return AlertingRule(alert, expr, texts, tier.for_, tier.keep_firing_for)
        case Forecast() as forecast:
            return forecast_rule(platform, slo, alert, forecast)
        case Regression() as regression:
            return regression_rule(platform, slo, alert, regression)
        case BuiltIn.BLIND:
            return _blind(platform, slo, alert)
        case BuiltIn.DOWN:
            return _down(platform, slo, alert)
        case BuiltIn.TOO_MANY_SERIES:
            # before the recording rules' limit is reached
            tile = selector_text(own(slo, conventions.total_tile(slo.sampling.resolution)))
            return AlertingRule(alert, f"count({tile}) > {slo.max_series}", too_many_series_annotations(platform, slo))
        case BuiltIn.RULE_FAILURES | BuiltIn.MISSED_EVALUATIONS | BuiltIn.WATCHDOG:
            raise AssertionError("it belongs to a platform")
        case _:
            assert_never(alert.cause)


def _conditions(slo: Slo, tier: Tier) -> list[str]:
    limit = number(error_threshold(tier, slo.objective))
    if isinstance(tier.trigger, BudgetLeft):
        errors = windows.errors_in_window(slo, slo.window)
        return [
            f"{_recorded(slo, conventions.budget_consumed(slo.window))} >= {limit}",
            f"{errors} >= {LEAST_OF_BUDGET}",
        ]
    over = tier.averaged_over
    conditions = [f"{_recorded(slo, conventions.error_ratio(window))} > {limit}" for window in tier.windows]
    if tier.guard is Guard.STATISTICAL:
        conditions.append(_more_than_chance(slo, over))
    if tier.min_events:
        conditions.append(f"{windows.total_in(slo, over)} >= {tier.min_events}")
    if tier.min_bad:
        # a short window may hold fewer tiles than that
        long_enough = [window for window in tier.windows if window / slo.sampling.resolution >= tier.min_bad] or [over]
        conditions += [f"{windows.errors_in(slo, window)} >= {tier.min_bad}" for window in long_enough]
    return conditions


def _unless_higher(platform: Platform, slo: Slo, tier: Tier) -> str:
    """With `inhibition: rule` a lower tier is silent while a higher one of the same SLO fires."""
    higher = [severity.value.lower() for severity in Severity if severity.value < tier.severity.value]
    if platform.inhibition is not Inhibition.RULE or not higher:
        return ""
    firing = label_selector("ALERTS", {"platform": slo.platform, "slo": slo.id, "alertstate": "firing"})
    firing = firing.narrowed(Matcher("burn_tier", MatchOperator.REGEX, f"({'|'.join(higher)})-.*"))
    return f"\nunless {on_split(slo)} {selector_text(firing)}"


def _more_than_chance(slo: Slo, over: Duration) -> str:
    """The low-traffic guard: see `sloctl.model.budget.guard_minimum`; its square root, which asks for events once."""
    events = f"sqrt({windows.total_in(slo, over)} / {windows.coverage(slo, over)})"
    above = f"sqrt({_recorded(slo, conventions.error_ratio(over))}) - {number(slo.objective.error_budget)} ^ 0.5"
    return f"{events}\n  * ({above}) >= {number(GUARD_MARGIN)}"


def _recorded(slo: Slo, metric: str) -> str:
    return selector_text(own(slo, metric))


def _blind(platform: Platform, slo: Slo, alert: Alert) -> AlertingRule:
    """It is pending for one evaluation, so that the first one after a long outage of Prometheus tells nobody."""
    names = " and ".join(
        selector_text(selector) for selectors in slo.indicator.reads().groups for selector in selectors
    )
    texts = blind_annotations(platform, slo, names or "the expression of the SLI")
    return AlertingRule(alert, vanished.blind(slo), texts, slo.sampling.rollup)


def _down(platform: Platform, slo: Slo, alert: Alert) -> AlertingRule:
    assert slo.down is not None
    return AlertingRule(alert, vanished.down(slo), down_annotations(platform, slo), slo.down)


def health_group(platform: Platform) -> Group:
    """Alerts about sloctl's own rules, and the heartbeat that proves the way to the pager."""
    rules = tuple(_health(platform, alert) for alert in inventory.health_alerts(platform))
    return Group(conventions.health_group(platform), MINUTE, rules)


def _health(platform: Platform, alert: Alert) -> AlertingRule:
    own = "|".join(["calendars|health", *sorted({f"{service.name}-.+" for service in platform.services})])
    groups = f"{{rule_group=~{quote(f'.*;slo-{platform.name}-({own})')}}}"  # not those of `shop-eu` for `shop`
    match alert.cause:
        case BuiltIn.RULE_FAILURES:
            expr = f"sum by (rule_group) (increase(prometheus_rule_evaluation_failures_total{groups}[15m])) > 0"
            summary = "Rules in {{ $labels.rule_group }} fail: what they alert on is not watched"
            description = (
                "Open Prometheus' page /rules, which shows each rule's error. A rule that yields more series than its "
                "limit fails wholly: see max_series in the specification."
            )
        case BuiltIn.MISSED_EVALUATIONS:
            expr = f"sum by (rule_group) (increase(prometheus_rule_group_iterations_missed_total{groups}[1h])) > 0"
            summary = "Evaluations of {{ $labels.rule_group }} are skipped: their minutes are not counted"
            description = (
                "The group takes longer than its interval. Look at prometheus_rule_group_last_duration_seconds and "
                "give Prometheus more CPU or the SLO fewer series."
            )
        case BuiltIn.WATCHDOG:
            expr = "vector(1)"
            summary = "The way from Prometheus to the receivers works"
            description = "This alert always fires; when it stops arriving, alerting itself is dead."
        case _:
            raise AssertionError("it belongs to an SLO")
    return AlertingRule(alert, expr, {"summary": summary, "description": description})
