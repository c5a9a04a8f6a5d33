"""A bound below a millisecond.

`at_most` is in the unit of the histogram. `0.5` on `request_milliseconds` is half a millisecond, which nearly every
request exceeds; half a second is `500ms`, with its unit.
"""

from __future__ import annotations

from typing import Final

from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue
from sloctl.model.indicator import Latency, Unit
from sloctl.model.quantities import number

CODE: Final = "SLO117"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """No histogram of milliseconds has a bound below one of them."""
    for slo in catalogue.slos:
        latency = slo.indicator
        if isinstance(latency, Latency) and latency.unit is Unit.MILLISECONDS and latency.at_most < 1:
            place = slo.at("sli.latency.at_most")
            message = f"{number(latency.at_most)} of {latency.histogram[0].metric} is less than a millisecond"
            help_ = f"write `at_most: {number(latency.at_most * 1000)}ms` if you mean {number(latency.at_most)} seconds"
            found.warning(CODE, place, message, help_)
