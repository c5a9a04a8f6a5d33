"""The calendar table ends soon.

Prometheus knows no time zones, so that the rules of a calendar window carry a table of period starts, to the end
of 2035. In its last year a newer sloctl has a longer one: install it and generate again. Afterwards the last period
would never end and its budget never be renewed.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from sloctl.checks.grouped import SLOS, GroupedFinding, report
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.periods import LAST_YEAR

CODE: Final = "SLO112"


def check(catalogue: Catalogue, found: Diagnostics, today: date) -> None:
    """Calendar windows have at least a year of table left; `today` comes from the command line."""
    if today.year < LAST_YEAR:
        return
    calendars = (slo for slo in catalogue.slos if slo.calendar is not None)
    report(found.warning, CODE, map(_finding, calendars))


def _finding(slo: Slo) -> GroupedFinding:
    message = f"the calendar table behind {SLOS} ends with {LAST_YEAR}"
    place = slo.at("window" if slo.window == slo.calendar else "sla")
    return GroupedFinding(
        slo, place, message, "install a newer sloctl and run `sloctl generate`, or write a rolling window such as `30d`"
    )
