"""`bad` beside a `total` of the same metric."""

from __future__ import annotations

import pytest

from sloctl.checks.use_bad_if import CODE
from tests.checks.specifications import findings, slo, specification


@pytest.mark.parametrize(
    "ratio",
    [
        "total: a_total, bad: b_total",
        "total: a_total, bad_if: 'code=\"5\"'",
        "total: a_total, good: 'a_total{code=\"2\"}'",
        "total: 'a_total{job=\"x\"}', bad: 'a_total{code=\"5\"}'",
        "total: [a_total, b_total], bad: 'a_total{code=\"5\"}'",
        "total: [a_total, b_total], bad: ['a_total{code=\"5\"}', 'b_total{code=\"6\"}']",
    ],
)
def test_it_is_silent_where_bad_if_cannot_say_the_same(ratio: str) -> None:
    assert findings(specification(slo(sli=f"{{ratio: {{{ratio}}}}}")), CODE) == []


@pytest.mark.parametrize(
    ("ratio", "better"),
    [
        ("total: a_total, bad: 'a_total{code=\"5\"}'", 'code="5"'),
        ("total: [a_total, b_total], bad: ['a_total{c=\"5\"}', 'b_total{c=\"5\"}']", 'c="5"'),
        ('total: \'a_total{job="x"}\', bad: \'a_total{code=~"5..", job="x"}\'', 'code=~"5.."'),
    ],
)
def test_it_proposes_the_matchers_that_are_left(ratio: str, better: str) -> None:
    (found,) = findings(specification(slo(sli=f"{{ratio: {{{ratio}}}}}")), CODE)
    assert found.help == f"write `bad_if: '{better}'` instead of `bad`"


def test_an_slo_that_refers_to_it_is_told_once() -> None:
    ratio = "{ratio: {total: a_total, bad: 'a_total{code=\"5\"}'}}"
    text = specification(slo(sli=ratio), slo(sli="ok", name="quarter"))
    assert len({(finding.place, finding.code) for finding in findings(text, CODE)}) == 1
