"""Labels derived from selectors."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sloctl.model.catalogue import NewSeries, Sampling
from sloctl.model.quantities import MINUTE, SECOND
from sloctl.promql.selectors import parse_matchers, parse_selector
from sloctl.proof.examples import NotDerivableError, matches, non_matching, selected
from sloctl.proof.series import ScrapeClock, notation

SELECTORS = [
    'm{job="api", code=~"5.."}',
    'm{code!~"5..|4..", path!=""}',
    'm{path=~"/v[0-9]+/(a|b)", method=~"GET|POST", method!="GET"}',
    'm{env=~"(prod|live)-[a-z]{2}"}',
    "m",
]


@pytest.mark.parametrize("text", SELECTORS)
def test_derived_labels_are_selected_and_non_matching_ones_are_not(text: str) -> None:
    selector = parse_selector(text)
    assert matches(selector, selected(selector))
    assert not any(matches(selector, labels) for labels in non_matching(selector))


def test_labels_that_must_fail_a_matcher_fail_it() -> None:
    (server_error,) = parse_matchers('code=~"5.."')
    labels = selected(parse_selector('m{job="api"}'), server_error)
    assert labels["job"] == "api"
    assert not labels.get("code", "").startswith("5")


def test_what_nothing_fulfils_says_which_matchers() -> None:
    with pytest.raises(NotDerivableError, match="no value of label code"):
        selected(parse_selector('m{code="200", code="500"}'))


def test_samples_are_written_as_lines_gaps_and_single_values() -> None:
    values = [None, None, Decimal(1), Decimal(3), Decimal(5), None, Decimal("0.5")]
    assert notation(values) == "_x2 1+2x2 _x1 0.5"


def test_samples_never_lie_on_the_edge_of_a_shifted_tile() -> None:
    for timeout in (0, 1, 10, 20, 30):
        sampling = Sampling(MINUTE, SECOND * 30, SECOND * timeout, ("job",), NewSeries.COUNT)
        clock = ScrapeClock.of(sampling)
        assert clock.per_tile >= 3
        if timeout:
            assert sampling.shift.milliseconds % clock.interval.milliseconds
