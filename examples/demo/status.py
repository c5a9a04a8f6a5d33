"""What a running Prometheus says of the demonstration's SLO, and how that looks on a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table

from examples.servers import Prometheus

SLO = "checkout-availability"
ERROR_RATIO = "slo:sli_error:ratio_increase"
CONSUMED = "slo:error_budget_consumed:ratio_increase1d"
OBJECTIVE = "slo:objective:info"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
STYLES = {"firing": "bold red", "pending": "yellow", "inactive": "dim"}


@dataclass(frozen=True, slots=True)
class Status:
    """One look at the SLO.

    Attributes:
        objective: share of good events promised, 0 to 1; None before its rule ran.
        error_ratios: by window, such as `5m`, the shortest first; windows without traffic are left out.
        budget_spent: share of the budget, 1 is all of it; None before its rule ran.
        alerts: state of each alert rule by its `burn_tier`, such as `p1-5m`.
        names: alert name by `burn_tier`.
    """

    objective: float | None
    error_ratios: Mapping[str, float]
    budget_spent: float | None
    alerts: Mapping[str, str]
    names: Mapping[str, str]

    def burn(self, window: str) -> float | None:
        """How many times faster than the objective allows the budget burns over a window."""
        if self.objective is None or window not in self.error_ratios:
            return None
        return self.error_ratios[window] / (1 - self.objective)


def read_status(prometheus: Prometheus) -> Status:
    """Look at the SLO's recordings and alerts now."""
    samples = prometheus.query(f'{{slo="{SLO}", __name__=~"slo:.+"}}')
    values = {sample.labels["__name__"]: sample.value for sample in samples}
    windows = {name.removeprefix(ERROR_RATIO): value for name, value in values.items() if name.startswith(ERROR_RATIO)}
    rules = {
        rule.labels["burn_tier"]: rule
        for rule in prometheus.rules()
        if rule.kind == "alerting" and rule.labels.get("slo") == SLO and rule.labels.get("burn_tier") != "blind"
    }
    return Status(
        objective=values.get(OBJECTIVE),
        error_ratios={window: windows[window] for window in sorted(windows, key=seconds)},
        budget_spent=values.get(CONSUMED),
        alerts={tier: rule.state for tier, rule in rules.items()},
        names={tier: rule.name for tier, rule in rules.items()},
    )


def seconds(duration: str) -> int:
    """Length of a duration such as `2m30s`."""
    return sum(int(count) * SECONDS[unit] for count, unit in re.findall(r"(\d+)([smhd])", duration))


def times(value: float | None) -> str:
    """A burn rate or spent budget: `14.4x`."""
    return "-" if value is None else f"{value:.1f}x" if value < 100 else f"{value:.0f}x"


def percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{100 * ratio:.2f} %"


def line(status: Status) -> str:
    """The status in one plain line."""
    good = {window: 1 - ratio for window, ratio in status.error_ratios.items()}
    active = [f"{tier} {state}" for tier, state in status.alerts.items() if state != "inactive"]
    return (
        f"SLI {percent(good.get('5m'))} over 5m, burn {times(status.burn('25s'))} over 25s and "
        f"{times(status.burn('5m'))} over 5m, budget spent {times(status.budget_spent)}, "
        f"alerts: {', '.join(active) or 'none'}"
    )


def tables(status: Status) -> Group:
    """The status as two tables: what is measured by window, and the alerts."""
    return Group(windows_table(status), alerts_table(status))


def windows_table(status: Status) -> Table:
    promise = f"objective {percent(status.objective)}"
    budget = f"budget of 1d spent {times(status.budget_spent)}"
    table = Table("over", *status.error_ratios, title=f"{SLO}: {promise}, {budget}", title_justify="left")
    table.add_row("SLI, %", *(f"{100 * (1 - ratio):.2f}" for ratio in status.error_ratios.values()))
    table.add_row("burn rate", *(times(status.burn(window)) for window in status.error_ratios))
    return table


def alerts_table(status: Status) -> Table:
    table = Table("alert", "burn tier", "state")
    for tier, state in status.alerts.items():
        table.add_row(status.names[tier], tier, state, style=STYLES.get(state, ""))
    return table
