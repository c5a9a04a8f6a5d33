"""Two other shapes of SLO rules that people use, written out for the same SLI, to be measured beside ours.

`ratios` averages: the error ratio over 5 m is recorded each minute, and the window's is the mean of these; shorter
windows are rates of raw series. Sloth's rules have this shape. `raw` takes the increase of raw series over the
whole window each 2.5 min and every burn rate each 30 s. Pyrra's rules have this shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, how often it is evaluated (seconds), and the name that it records; None for an alert."""

    expr: str
    every: float
    record: str | None = None


@dataclass(frozen=True, slots=True)
class Sides:
    """The selectors of an SLI: bad events are `bad`, or `total` without `good`."""

    total: str
    bad: str | None = None
    good: str | None = None

    def ratio(self, window: str) -> str:
        """The error ratio as a rate of raw series."""
        total = f"sum(rate({self.total}[{window}]))"
        if self.bad is not None:
            return f"sum(rate({self.bad}[{window}])) / {total}"
        return f"1 - sum(rate({self.good}[{window}])) / {total}"

    def increases(self, window: str) -> tuple[str, ...]:
        """The increases that the budget is computed from; the codes of one metric are read once."""
        return tuple(
            f"sum by (code, le) (increase({selector}[{window}]))" for selector in (self.total, self.good) if selector
        )


def availability(job: str) -> Sides:
    """Requests of a job, bad with a code of 500 and more."""
    return Sides(f'http_requests_total{{job="{job}"}}', bad=f'http_requests_total{{job="{job}",code=~"5.."}}')


AVAILABILITY: Final = availability("clean")
LATENCY: Final = Sides(
    'http_request_duration_seconds_count{job="clean"}',
    good='http_request_duration_seconds_bucket{job="clean",le="0.3"}',
)
RATIO: Final = "others:sli_error:ratio_rate"


def ratios(sides: Sides, budget: str, slo: str) -> list[Rule]:
    """The mean of 5-minute ratios; all each minute."""
    own = f'{{slo="{slo}"}}'
    windows = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
    mean = f"sum_over_time({RATIO}5m{own}[30d]) / count_over_time({RATIO}5m{own}[30d])"
    objective = "others:error_budget:ratio" + own
    meta = ["vector(0.999)", f"vector({budget})", "vector(30)", "vector(1)"]
    meta += [
        f"{RATIO}5m{own} / {objective}",
        f"{RATIO}30d{own} / {objective}",
        f"1 - others:period_burn_rate:ratio{own}",
    ]
    pairs = [("5m", "1h", "14.4"), ("30m", "6h", "6"), ("2h", "1d", "3"), ("6h", "3d", "1")]
    burns = [
        f"({RATIO}{short}{own} > {factor} * {budget} and {RATIO}{long}{own} > {factor} * {budget})"
        for short, long, factor in pairs
    ]
    return [
        *(Rule(sides.ratio(window), 60, RATIO + window) for window in windows),
        Rule(mean, 60, RATIO + "30d"),
        *(Rule(expr, 60, "others:meta") for expr in meta),
        Rule(" or ".join(burns[:2]), 60),
        Rule(" or ".join(burns[2:]), 60),
    ]


def raw(sides: Sides, budget: str) -> list[Rule]:
    """Increases over the window each 2.5 min and burn rates each 30 s, all of raw series."""
    burn = "others:burnrate"
    pairs = [("5m", "1h", "14"), ("30m", "6h", "7"), ("2h", "1d", "2"), ("6h", "4d", "1")]
    return [
        *(Rule(expr, 150, "others:increase30d") for expr in sides.increases("30d")),
        Rule(f"absent({sides.total})", 150),
        *(Rule(sides.ratio(window), 30, burn + window) for window in ("5m", "30m", "1h", "2h", "6h", "1d", "4d")),
        *(Rule(f"{burn}{a} > {factor} * {budget} and {burn}{b} > {factor} * {budget}", 30) for a, b, factor in pairs),
    ]
