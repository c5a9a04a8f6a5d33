"""Numbers as a person reads them."""

from __future__ import annotations

import math

import pytest

from sloctl.backends.grafana.preview.evaluate import Moment, filled, interpolated
from sloctl.backends.grafana.preview.figures import shown, threshold_color, word


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.99951, "percentunit", None, "99.95%"),
        (0.5, "percentunit", 1, "50.0%"),
        (14.4, "suffix:x", None, "14.4x"),
        (0, "s", None, "0 s"),
        (0.0871, "s", None, "87.1 ms"),
        (5400, "s", None, "1.5 hours"),
        (-5400, "s", 1, "-1.5 hours"),
        (1_234_567, "short", None, "1.23 M"),
        (0.000035, "currencyUSD", None, "$0.000035"),
        (-3, "currencyUSD", 2, "-$3.00"),
        (250, "ms", None, "250 ms"),
        (math.nan, "short", None, "no events"),
        (math.inf, "s", None, "∞"),
    ],
)
def test_a_number_has_its_unit(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert shown(value, unit, decimals) == text


def test_the_last_step_that_is_reached_gives_the_colour() -> None:
    steps = {"steps": [{"color": "green", "value": None}, {"color": "orange", "value": 1}]}
    assert threshold_color(0.99, steps) != threshold_color(1, steps)


def test_a_word_replaces_a_value_and_everything_above() -> None:
    mappings = [
        {"type": "value", "options": {"0": {"text": "gone"}}},
        {"type": "range", "options": {"from": 10, "to": None, "result": {"text": "never"}}},
    ]
    assert [(word(value, mappings) or {}).get("text") for value in (0.0, 5.0, 10.0, 99.0)] == [
        "gone",
        None,
        "never",
        "never",
    ]


def test_variables_are_filled_in_once_and_unknown_ones_stay() -> None:
    moment = Moment(0, 3600, {"slo": "a", "dollar": "$"})
    assert (
        interpolated("$slo ${slo} ${slo:raw} [[slo]] ${dollar}slo $other $__range", moment)
        == "a a a a $slo $other 3600s"
    )


def test_a_legend_holds_labels_and_drops_missing_ones() -> None:
    assert filled("{{slo}} {{tenant}} p99", {"slo": "a"}) == "a p99"
