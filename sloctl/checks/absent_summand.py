"""A sum of aggregations, of which one may have no series.

PromQL adds only what both sides have. A counter without any event yet has no series, so that its aggregation returns
nothing, and then the whole sum returns nothing: the events of the other side are not counted.

    bad: sum(increase(failures_total[$window])) + sum(increase(timeouts_total[$window]))

Until the first timeout no failure is bad. Give each side a zero of its own: `(sum(...) or vector(0))`; with `by`,
aggregate both at once: `sum by (tenant) ({__name__=~"failures_total|timeouts_total"}...)` is one aggregation.
"""

from __future__ import annotations

from typing import Final

from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue
from sloctl.model.indicator import Query
from sloctl.promql.expressions import summands_may_be_absent

CODE: Final = "SLO146"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """A side of a query is no sum of aggregations without zeros."""
    for slo in catalogue.slos:
        if not isinstance(slo.indicator, Query):
            continue
        for side in ("total", "bad", "good"):
            expression = getattr(slo.indicator, side)
            if expression is not None and summands_may_be_absent(expression):
                message = f"`{side}` of {slo.id} counts nothing while one of its aggregations has no series"
                zeros = "write `(sum(...) or vector(0))` on each side of the sign"
                help_ = "aggregate both metrics at once" if slo.by else zeros
                found.warning(CODE, slo.at(f"sli.query.{side}"), message, help_)
