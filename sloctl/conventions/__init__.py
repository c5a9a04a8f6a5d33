"""Every name that users see in Prometheus, Alertmanager and Grafana, once.

Recordings are named `level:metric:operations`, as Prometheus' own guide for recording rules asks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from sloctl.model.alerting import BudgetLeft, Severity, Tier
from sloctl.model.catalogue import Platform, Service, Slo
from sloctl.model.ownership import Route, Team
from sloctl.model.quantities import Duration, number
from sloctl.model.window import CalendarWindow, Window

_BETWEEN_WORDS: Final = re.compile("[^A-Za-z0-9]")
ALERT_VERSION: Final = "v1"
"""Value of the label `sloctl` on every alert; users join and route on it."""

TOTAL: Final = "slo:sli_total:increase"
ERRORS: Final = "slo:sli_errors:increase"
BUCKETS: Final = "slo:sli_bucket:increase"
ERROR_RATIO: Final = "slo:sli_error:ratio_"
BUDGET_CONSUMED: Final = "slo:error_budget_consumed:ratio_"
MISSED_TOTAL: Final = "slo:missed_total:increase"
MISSED_ERRORS: Final = "slo:missed_errors:increase"
OBJECTIVE: Final = "slo:objective:info"
TIME_TO_EXHAUSTION: Final = "slo:time_to_exhaustion:seconds"
MEASURED_SINCE: Final = "slo:measured_since:timestamp_seconds"
WINDOW_COVERED: Final = "slo:window_covered:ratio"
PERIOD_START: Final = "slo:period_start:timestamp_seconds"
PERIOD_END: Final = "slo:period_end:timestamp_seconds"
PERIOD_ERROR_RATIO: Final = f"{ERROR_RATIO}period"
BUDGET_PREDICTED: Final = "slo:error_budget_predicted:ratio_period"
VALUE: Final = "slo:sli_value:last"
TIME_TO_LIMIT: Final = "slo:time_to_limit:seconds"
SLA_CREDITS: Final = "slo:sla_credits_at_risk:currency"

RULE_FAILURES: Final = "SloctlRuleFailures"
MISSED_EVALUATIONS: Final = "SloctlMissedEvaluations"
WATCHDOG: Final = "SloctlWatchdog"
HEALTH: Final = "health"
BLIND: Final = "blind"
DOWN: Final = "down"
REGRESSION: Final = "regression"
FORECAST: Final = "forecast"

CANARY_VERDICTS: Final = "sloctl_canary_verdicts_total"
"""Verdicts that were sent, by `platform`, `service`, `verdict` and `reason`."""
CANARY_QUERY_SECONDS: Final = "sloctl_canary_query_duration_seconds"
"""Histogram of what Prometheus takes to answer, by `outcome`: `ok` or the fault."""
CANARY_COALESCED: Final = "sloctl_canary_coalesced_queries_total"
"""Queries that another analysis was asking already."""
CANARY_IN_FLIGHT: Final = "sloctl_canary_analyses_in_flight"
CANARY_REJECTED: Final = "sloctl_canary_rejected_total"
"""Requests that got no verdict, by `reason`, the `error` of the answer."""
CANARY_BREAKER_OPEN: Final = "sloctl_canary_breaker_open"
"""1 while Prometheus is not asked because it failed again and again."""
CANARY_AUDIT_SECONDS: Final = "sloctl_canary_audit_lag_seconds"
"""Histogram of the time from a verdict until it is on disk."""
CANARY_AUDIT_WRITABLE: Final = "sloctl_canary_audit_writable"
"""1 while the audit store takes entries; without it there are no verdicts."""
CANARY_RELOADED: Final = "sloctl_canary_configuration_reload_successful"
"""0 while the specifications have errors and the last good ones are in force."""
CANARY_LOADED_AT: Final = "sloctl_canary_configuration_loaded_timestamp_seconds"
CANARY_VERDICT: Final = "sloctl_canary_verdict"
"""The last verdict on a step of a release, which Argo's gates read as well: 1 promote, 0 continue, -1 rollback."""
CANARY_BUILD: Final = "sloctl_build_info"


def total_tile(length: Duration) -> str:
    """Recording of all events in a tile."""
    return f"{TOTAL}{length}"


def errors_tile(length: Duration) -> str:
    """Recording of the bad events in a tile."""
    return f"{ERRORS}{length}"


def bucket_tile(length: Duration) -> str:
    """Recording of a histogram's buckets in a tile, for regressions."""
    return f"{BUCKETS}{length}"


def calendar_name(window: CalendarWindow) -> str:
    """Value of the label `calendar`, such as `month_Asia_Kolkata`."""
    zone = "".join(char if char.isalnum() else "_" for char in window.time_zone)
    return f"{window.calendar.value}_{zone}"


def calendar_labels(platform: str, window: CalendarWindow) -> dict[str, str]:
    """Labels of the start and the end of a calendar's running period."""
    return {"platform": platform, "calendar": calendar_name(window)}


def calendar_group(platform: Platform) -> str:
    """Group that records when the running calendar periods began."""
    return f"slo-{platform.name}-calendars"


def error_ratio(over: Duration) -> str:
    """Recording of the error ratio over a window."""
    return f"{ERROR_RATIO}increase{over}"


def error_ratios() -> str:
    """Pattern of the recordings of the error ratio; its group is the window, such as `1h`."""
    return f"{ERROR_RATIO}increase(.+)"


def window_total(window: Window) -> str:
    """Recording of all events in an SLO's window."""
    return f"{TOTAL}_period" if isinstance(window, CalendarWindow) else f"{TOTAL}{window.length}"


def budget_consumed(window: Window) -> str:
    """Recording of the share of the error budget that is spent; above 1 it is overspent."""
    if isinstance(window, CalendarWindow):
        return f"{BUDGET_CONSUMED}period"
    return f"{BUDGET_CONSUMED}increase{window.length}"


def budgets_consumed() -> str:
    """Pattern of the recordings of the share that is spent, whatever their window."""
    return f"{BUDGET_CONSUMED}.+"


def fast_group(slo: Slo) -> str:
    """Group of the tiles and of all windows over them."""
    return f"slo-{slo.platform}-{slo.id}-fast"


def slow_group(slo: Slo) -> str:
    """Group of the roll-ups and of all windows over them."""
    return f"slo-{slo.platform}-{slo.id}-slow"


def repairs_group(platform: Platform, service: Service) -> str:
    """Group of what a service's counters counted while Prometheus was away."""
    return f"slo-{platform.name}-{service.name}-repairs"


def health_group(platform: Platform) -> str:
    """Group of the alerts about sloctl's own rules."""
    return f"slo-{platform.name}-health"


@lru_cache(maxsize=64)
def camel(name: str) -> str:
    """`tracking-api` as `TrackingApi`."""
    return "".join(part[:1].upper() + part[1:] for part in _BETWEEN_WORDS.split(name))


def alert_prefix(slo: Slo) -> str:
    """What the names of all alerts of an SLO begin with."""
    return camel(slo.service) + camel(slo.name)


def tier_alert(slo: Slo, tier: Tier) -> str:
    """Name of a tier's alert."""
    severity = tier.severity.value
    if isinstance(tier.trigger, BudgetLeft):
        return f"{alert_prefix(slo)}BudgetLeft{severity}At{_left(tier.trigger)}"
    return f"{alert_prefix(slo)}BudgetBurn{severity}Over{tier.over}"


def blind_alert(slo: Slo) -> str:
    """Name of the alert on a metric that vanished or cannot be used."""
    return f"{alert_prefix(slo)}Blind"


def down_alert(slo: Slo) -> str:
    """Name of the alert on targets that are all down or gone."""
    return f"{alert_prefix(slo)}Down"


def too_many_series_alert(slo: Slo) -> str:
    """Name of the alert on more split values than expected."""
    return f"{alert_prefix(slo)}TooManySeries"


def regression_alert(slo: Slo) -> str:
    """Name of the alert on a quantile that is worse than it was."""
    return f"{alert_prefix(slo)}Regression"


def forecast_alert(slo: Slo) -> str:
    """Name of the alert on a limit that will be reached."""
    return f"{alert_prefix(slo)}ReachesLimit"


def burn_tier(tier: Tier) -> str:
    """Value of the label `burn_tier`, unique within an SLO: `p1-1h`."""
    severity = tier.severity.value.lower()
    if isinstance(tier.trigger, BudgetLeft):
        return f"{severity}-left-{_left(tier.trigger)}"
    return f"{severity}-{tier.over}"


def _left(trigger: BudgetLeft) -> str:
    return number(trigger.ratio * 100).replace(".", "_")


@lru_cache(maxsize=4)
def series_labels(slo: Slo) -> Mapping[str, str]:
    """Labels on every recording of an SLO, by name, without the split labels, which come from the data."""
    labels = {"platform": slo.platform, "slo": slo.id, "service": slo.service, **slo.labels}
    return dict(sorted(labels.items()))


def severity_word(platform: Platform, severity: Severity) -> str:
    """The platform's own word for a severity."""
    return platform.severities.get(severity, severity.value)


def rules_path(service: Service, platform: Platform) -> str:
    """File with the rules of a service."""
    return f"rules/prometheus/{platform.name}/{service.name}.yaml"


HEALTH_PATH: Final = "rules/prometheus/_sloctl.yaml"
ROUTES_PATH: Final = "rules/alertmanager/routes.yaml"

ARGO_SECRET: Final = "sloctl-canary"  # noqa: S105 - the name of a Secret
"""Secret with the token that Argo sends, under the key `ARGO_SECRET_KEY`."""
ARGO_SECRET_KEY: Final = "token"  # noqa: S105 - the name of a key
ARGO_SERVER: Final = "http://sloctl-canary.sloctl:8080"
"""Where `sloctl canary serve` is looked for, unless a Rollout's argument `server` says otherwise."""
ARGO_PROMETHEUS: Final = "http://prometheus.monitoring:9090"
"""Where Argo reads the last verdict, unless a Rollout's argument `prometheus` says otherwise."""


def argo_templates_path(service: Service, platform: Platform) -> str:
    """File with the AnalysisTemplates of a service."""
    return f"rules/argo/{platform.name}/{service.name}-canary.yaml"


def argo_rollout_path(service: Service, platform: Platform) -> str:
    """File with the part of a service's Rollout that uses them."""
    return f"rules/argo/{platform.name}/{service.name}-rollout.yaml"


def argo_gate(service: Service, step: int) -> str:
    """AnalysisTemplate of one step, counted from 0."""
    return f"{service.name}-canary-step-{step}"


def argo_guard(service: Service) -> str:
    """AnalysisTemplate that runs beside all steps."""
    return f"{service.name}-canary-guard"


OWN_PREFIX: Final = "slo-"
"""What the names of all receivers and time intervals begin with."""
FALLBACK: Final = "slo-fallback"
OBSERVED: Final = "slo-observe"


def fallback_receiver(platform: Platform) -> str:
    """Receiver of a platform's alerts that no route of a team takes."""
    return _own_or_theirs(platform.fallback, f"{OWN_PREFIX}{platform.name}-fallback")


def watchdog_receiver(platform: Platform) -> str:
    """Receiver of a platform's heartbeat."""
    return _own_or_theirs(platform.watchdog, f"{OWN_PREFIX}{platform.name}-watchdog")


def team_receiver(platform: Platform, team: Team, route: str) -> str:
    """Receiver of one route of a team: of `P1`, `P2`, `P3`, or of a further one by its name."""
    return _own_or_theirs(team.named(route), f"{OWN_PREFIX}{platform.name}-{team.name}-{route}")


def _own_or_theirs(route: Route | None, own: str) -> str:
    """A receiver of ours, unless the route names one that the Alertmanager configuration has already."""
    return own if route is None or route.receiver is None else route.receiver


def office_hours(platform: Platform, team: Team) -> str:
    """Time interval in which a team's P3 is delivered."""
    return f"{OWN_PREFIX}{platform.name}-{team.name}-office-hours"


def dashboard_uid(platform: Platform, name: str) -> str:
    """Stable identifier of a dashboard; Grafana takes at most 40 characters."""
    uid = f"slo-{platform.name}-{name}"
    if len(uid) <= 40:
        return uid
    digest = hashlib.sha256(uid.encode()).hexdigest()[:8]
    return f"{uid[:31]}-{digest}"


def kubernetes_name(name: str) -> str:
    """A name for a Kubernetes object, which takes at most 253 characters."""
    if len(name) <= 253:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[:244].rstrip('-.')}-{digest}"
