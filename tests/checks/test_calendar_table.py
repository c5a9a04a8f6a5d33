"""The last year of the calendar table."""

from __future__ import annotations

from datetime import date

import pytest

from sloctl.checks.calendar_table import CODE
from tests.checks.specifications import findings, slo, specification

MONTH = slo(more="window: {calendar: month}")


@pytest.mark.parametrize(("today", "count"), [(date(2034, 12, 31), 0), (date(2035, 1, 1), 1), (date(2040, 1, 1), 1)])
def test_it_warns_from_the_last_year_on(today: date, count: int) -> None:
    assert len(findings(specification(MONTH), CODE, today)) == count


def test_it_is_silent_without_a_date_and_without_a_calendar() -> None:
    assert findings(specification(MONTH), CODE) == []
    assert findings(specification(slo()), CODE, date(2035, 6, 1)) == []


def test_slos_that_inherit_one_calendar_are_told_together() -> None:
    text = specification(*(slo(name=name) for name in "abc"), platform="window: {calendar: week}")
    (found,) = findings(text, CODE, date(2035, 6, 1))
    assert found.message == "the calendar table behind checkout-a and 2 other SLOs ends with 2035"


def test_the_calendar_of_a_contract_counts_too() -> None:
    sla = "sla: {window: {calendar: month}, credits: [{below: 99%, credit: 10%}], value: contract_usd}"
    (found,) = findings(specification(slo(more=sla)), CODE, date(2035, 6, 1))
    assert found.place.column > 100
