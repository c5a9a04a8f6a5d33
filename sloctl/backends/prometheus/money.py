"""Credits at risk: what the contract would owe if the period ended now."""

from __future__ import annotations

from decimal import Decimal

from sloctl.backends.prometheus import raw, windows
from sloctl.model.alerting import Sla
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import number
from sloctl.promql.build import indent, matching_on
from sloctl.promql.selectors import selector_text


def credits_at_risk(slo: Slo) -> str:
    """The highest credit whose limit was missed so far, times the contract's value a period."""
    sla = slo.sla
    assert sla is not None
    ratio = f"(\n  {windows.errors_in_window(slo, sla.window)}\n  / ({windows.total_in_window(slo, sla.window)} > 0)\n)"
    steps = [f"{number(more)} * ({ratio} > bool {number(allowed)})" for allowed, more in _steps(sla)]
    share = "\n+ ".join(steps)
    value = raw.aggregated(slo, "sum", raw.numbers(selector_text(raw.split(slo, sla.value))))
    return f"(\n{indent(share)}\n)\n* {matching_on(slo.split_labels)} group_left () {value}"


def _steps(sla: Sla) -> list[tuple[Decimal, Decimal]]:
    """Error ratios that are still allowed, each with how much the credit grows beyond it."""
    steps, owed = list[tuple[Decimal, Decimal]](), Decimal(0)
    for credit in sorted(sla.credits, key=lambda credit: credit.below, reverse=True):
        if credit.credit > owed:
            steps.append((1 - credit.below, credit.credit - owed))
            owed = credit.credit
    return steps
