"""An error budget of a few events.

At the declared `traffic` the whole budget of the window is less than 50 bad events. Burn rates of so few are mostly
chance, the guard against that makes alerts late, and one bad minute decides the month.

Promise less, look at a longer window, or send probes and promise something about those.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Final

from sloctl.diagnostics import Diagnostics, Related
from sloctl.model.budget import expected_budget
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.quantities import DAY, Rate, number, percent

CODE: Final = "SLO114"
FEWEST: Final = 50
"""Below so many events the relative error of the count, 1/sqrt(n), is above one seventh."""
_LONGEST: Final = 366  # days that anybody looks at


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Budgets that alerts look at hold enough events to tell failure from chance."""
    for slo in catalogue.slos:
        if slo.traffic is None or slo.counts_slices or not slo.tiers:
            continue
        budget = expected_budget(slo.objective, slo.traffic, slo.window.length)
        if budget < FEWEST:
            shown = number(budget.quantize(Decimal("0.1")))
            message = (
                f"the error budget of {slo.id} is {shown} events in {slo.window} at {slo.traffic}: too few to alert on"
            )
            related = Related(slo.at("traffic"), "the traffic is declared here")
            found.warning(CODE, slo.at("objective"), message, _help(slo, slo.traffic), related)


def _help(slo: Slo, traffic: Rate) -> str:
    ways = []
    needed = FEWEST / traffic.during(slo.window.length) if traffic.events else Decimal(1)
    if needed < Decimal("0.5"):
        step = Decimal(1).scaleb(needed.adjusted() - 1)  # two digits of the error budget
        ways.append(f"promise {percent(1 - needed.quantize(step, ROUND_CEILING))}")
    if traffic.events:
        days = FEWEST / (slo.objective.error_budget * traffic.during(DAY))
        whole = int(days.to_integral_value(ROUND_CEILING))
        ways += [f"write `window: {whole}d`"] if whole <= _LONGEST else []
    return ", or ".join([*ways, "count probes instead of users' requests"])
