"""Split SLOs without one that counts everything."""

from __future__ import annotations

from sloctl.checks.no_overall_slo import CODE
from tests.checks.specifications import FRESH, findings, slo, specification

SPLIT = slo(name="ok-by-tenant", more="by: [tenant]")


def test_one_without_labels_beside_it_is_enough_whatever_it_counts() -> None:
    other = slo("none", name="other", sli="{ratio: {total: other_total, bad: other_failures_total}}")
    assert len(findings(specification(SPLIT), CODE)) == 1
    assert findings(specification(SPLIT, other), CODE) == []


def test_the_proposed_line_is_valid_and_silences_it() -> None:
    (found,) = findings(specification(SPLIT), CODE)
    line = found.help.partition("`- ")[2].removesuffix("`")
    assert findings(specification(SPLIT, line), CODE) == []


def test_one_that_counts_slices_counts_no_events() -> None:
    assert len(findings(specification(SPLIT, slo(name="fresh", sli=FRESH)), CODE)) == 1


def test_it_is_silent_for_slices_and_where_nobody_is_alerted() -> None:
    assert findings(specification(slo(sli=FRESH, more="by: [table]")), CODE) == []
    assert findings(specification(slo("none", more="by: [region]")), CODE) == []
