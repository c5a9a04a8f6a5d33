"""A budget that is an average over time.

`bad_ratio` gives a share and not how many events it is a share of, so that a quiet night weighs as much as a busy
noon. Where both can be counted, write `total` with `bad` or `good`: then the budget is of events.
"""

from __future__ import annotations

from typing import Final

from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue
from sloctl.model.indicator import Query

CODE: Final = "SLO113"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Say so where an SLI is a bare ratio."""
    for slo in catalogue.slos:
        if isinstance(slo.indicator, Query) and slo.indicator.bad_ratio is not None:
            message = f"the budget of {slo.id} is an average over time, because `bad_ratio` counts no events"
            help_ = "write `total` and `bad` where both can be counted"
            found.note(CODE, slo.at("sli.query.bad_ratio"), message, help_)
