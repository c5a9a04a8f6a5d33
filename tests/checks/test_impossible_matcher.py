"""Selectors that match nothing are reported; nothing is claimed that is not so."""

from __future__ import annotations

import pytest

from sloctl.checks.impossible_matcher import CODE
from tests.checks.specifications import findings, slo, specification


@pytest.mark.parametrize(
    ("sli", "key"),
    [
        ('ratio: {total: \'a{c="1", c="2"}\', good: b}', "total"),
        ('ratio: {total: a, good: \'b{c="1", c!="1"}\'}', "good"),
        ('ratio: {total: [a, \'a{c="1", c="2"}\'], bad_if: \'x="y"\'}', "total"),
        ("latency: {histogram: 'a_seconds{c=\"1\"}', at_most: 1s, bad_if: 'c=\"2\"'}", "bad_if"),
        ('probe: {gauge: \'a{c="1", c="2"}\'}', "gauge"),
        ('freshness: {age: \'a{c="1", c="2"}\', max_age: 1m}', "age"),
        ('throughput: {counter: \'a{c="1", c="2"}\', at_least: 1/s}', "counter"),
        ('saturation: {used: a, capacity: \'b{c="1", c="2"}\', at_most: 80%}', "capacity"),
        ('threshold: {value: \'max(a) - min(b{c="1", c="2"} offset 5m)\', at_most: 1}', "value"),
    ],
)
def test_every_selector_of_every_kind_is_looked_at_and_placed_at_its_key(sli: str, key: str) -> None:
    text = specification(slo(sli=f"{{{sli}}}", alerts="none"))
    (found,) = {finding.place: finding for finding in findings(text, CODE)}.values()
    line = text.splitlines()[found.place.line - 1]
    assert line[: found.place.column - 1].endswith(f"{key}: ")


def test_ordinary_matchers_are_left_alone() -> None:
    sli = '{ratio: {total: \'a{job="x", code!="404", code!~"3.."}\', bad_if: \'code=~"5.."\'}}'
    assert findings(specification(slo(sli=sli)), CODE) == []
