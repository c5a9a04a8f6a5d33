"""What the running Prometheus says of every SLO of the pipeline, in one look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sloctl import conventions
from sloctl.model.quantities import DAY, SECOND, ZERO
from sloctl.model.window import RollingWindow
from testing.servers import Prometheus

PLATFORM = "tracking-pipeline"
ERROR_RATIO = conventions.error_ratio(ZERO).removesuffix(str(ZERO))
SHORT, LONG = "25s", "5m"
SPENT = conventions.budget_consumed(RollingWindow(DAY))
EVENTS = conventions.total_tile(SECOND * 5)
RESOLUTION_SECONDS = 5


@dataclass(slots=True)
class SloStatus:
    """One SLO, or the worst of its tenants.

    Attributes:
        objective: share of good events promised; None before its rule ran.
        error_ratios: by window.
        spent: share of the budget; 1 is all of it.
        per_second: events a second in the last tile.
        alerts: state by `burn_tier`, without inactive ones.
    """

    slo: str
    objective: float | None = None
    error_ratios: dict[str, float] = field(default_factory=dict)
    spent: float | None = None
    per_second: float = 0.0
    alerts: dict[str, str] = field(default_factory=dict)

    def burn(self, window: str) -> float | None:
        """How many times faster than the objective allows the budget burns."""
        if self.objective is None or window not in self.error_ratios:
            return None
        return self.error_ratios[window] / (1 - self.objective)


def read(prometheus: Prometheus) -> Mapping[str, SloStatus]:
    """Every SLO by its ID."""
    found: dict[str, SloStatus] = {}
    for sample in prometheus.query(f'{{platform="{PLATFORM}", __name__=~"slo:.+"}}'):
        name = sample.labels["__name__"]
        one = found.setdefault(sample.labels["slo"], SloStatus(sample.labels["slo"]))
        if name == conventions.OBJECTIVE:
            one.objective = sample.value
        elif name == SPENT:
            one.spent = max(one.spent or 0.0, sample.value)
        elif name == EVENTS:
            one.per_second += sample.value / RESOLUTION_SECONDS
        elif name.startswith(ERROR_RATIO):
            window = name.removeprefix(ERROR_RATIO)
            one.error_ratios[window] = max(one.error_ratios.get(window, 0.0), sample.value)
    for alert in prometheus.alerts(platform=PLATFORM):
        if "slo" in alert.labels:
            one = found.setdefault(alert.labels["slo"], SloStatus(alert.labels["slo"]))
            one.alerts[alert.labels["burn_tier"]] = alert.state
    return found


def paging(found: Mapping[str, SloStatus]) -> dict[str, str]:
    """The P1 alerts that are pending or firing: SLO and tier, and state."""
    return {
        f"{finding.slo} {tier}": state
        for finding in found.values()
        for tier, state in finding.alerts.items()
        if tier.startswith("p1-")
    }
