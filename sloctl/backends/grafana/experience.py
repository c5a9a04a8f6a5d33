"""User experience: what real browsers and robots see, by region and vantage point, beside the week before."""

from __future__ import annotations

from decimal import Decimal

from sloctl import conventions
from sloctl.backends.grafana.canary import quantile, unit_of
from sloctl.backends.grafana.dashboard import Page, split_variables
from sloctl.backends.grafana.panels import (
    DARK_RED,
    GREEN,
    ORANGE,
    PERCENT,
    Panel,
    Step,
    Style,
    Target,
    note,
    row,
    states,
    table,
    time_series,
)
from sloctl.backends.grafana.queries import Ask, equal, like, raw, selector
from sloctl.backends.grafana.shared import slo_table
from sloctl.backends.grafana.texts import literal, markdown
from sloctl.model.alerting import Regression
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.indicator import Latency, Probe, Ratio
from sloctl.model.quantities import Duration, number, percent
from sloctl.model.selector import Matcher

MOST_RAW = 12
MOST_COMPARED = 24
"""More charts than these nobody looks through; the alerts watch every one."""


def experience(platform: Platform) -> Page:
    """Regressions by region, journeys by vantage point, and what users feel of every service."""
    compared = [slo for slo in platform.slos if slo.regression and isinstance(slo.indicator, Latency)]
    robots = tuple(slo for slo in platform.slos if isinstance(slo.indicator, Probe))
    felt = tuple(slo for slo in platform.slos if isinstance(slo.indicator, Ratio | Latency))
    labels = sorted({label for slo in (*compared, *robots) for label in slo.split_labels})
    matchers = tuple(like(label, f"${label}") for label in labels)
    panels = [panel for slo in compared[:MOST_COMPARED] for panel in _vital(slo, _regression(slo), matchers)]
    left_out = ", ".join(markdown(slo.id) for slo in compared[MOST_COMPARED:])
    users = Ask(platform, (), matchers, slos=felt)
    return Page(
        "user-experience",
        "What real users and robots see, by place, beside the time before.",
        [
            *([row("Real users, beside the time before"), *panels] if panels else [_more()]),
            *(
                [note("Not shown", f"For want of room, though their alerts watch them: {left_out}.")]
                if left_out
                else []
            ),
            *([row("Robots"), *_robots(platform, robots, matchers)] if robots else []),
            *([row("What users feel"), *_felt(users), *_raw(felt)] if felt else []),
        ],
        split_variables(platform, labels),
    )


def _more() -> Panel:
    return note(
        "Real users",
        "No SLO of this platform compares a quantile with the time before. To see web vitals here, write a `latency` "
        "SLO on their histogram with `by: [region]` and a `regression`.",
    )


def _regression(slo: Slo) -> Regression:
    assert slo.regression is not None
    return slo.regression


def _vital(slo: Slo, regression: Regression, matchers: tuple[Matcher, ...]) -> list[Panel]:
    now = recorded_quantile(slo, regression, matchers)
    before = recorded_quantile(slo, regression, matchers, regression.earlier)
    share = f"p{number(regression.quantile * 100)}"
    legend = " ".join(f"{{{{{label}}}}}" for label in slo.split_labels) or slo.id
    worse = f"{now}\n/ ({before} > 0) - 1"
    limit = Style("limit", color=DARK_RED, dashed=True)
    assert isinstance(slo.indicator, Latency)
    labels = {label: label for label in slo.split_labels}
    unit = unit_of(slo)
    return [
        time_series(
            literal(f"{slo.id}, {share} over {regression.over}"),
            f"{share} of what users saw, and the bound of the objective. {literal(slo.description)}",
            [Target(now, legend), Target(f"vector({number(slo.indicator.at_most)})", "limit")],
            unit,
            styles=(limit,),
            minimum=Decimal(0),
            width=14,
        ),
        table(
            f"{slo.id} against {regression.earlier} before",
            f"{share} over {regression.over} now and {regression.earlier} before; more than "
            f"{percent(regression.worse_by)} worse is an alert.",
            [Target(now, "now"), Target(before, "before"), Target(worse, "change")],
            labels,
            styles=(
                Style("now", unit=unit, decimals=2),
                Style("before", unit=unit, decimals=2),
                Style("change", unit=PERCENT, decimals=1, steps=_worse(regression), background=True),
            ),
            sort_by="change",
            descending=True,
            width=10,
        ),
    ]  # fmt: skip


def _worse(regression: Regression) -> tuple[Step, ...]:
    return Step(GREEN), Step(ORANGE, regression.worse_by / 2), Step(DARK_RED, regression.worse_by)


def recorded_quantile(
    slo: Slo, regression: Regression, matchers: tuple[Matcher, ...], offset: Duration | None = None
) -> str:
    """A quantile over the regression's time for each value of the split labels.

    It comes from the recorded buckets; of a native histogram there are none, so from the histogram itself.
    """
    chosen = [matcher for matcher in matchers if matcher.label in slo.split_labels]
    fixed = [equal("platform", slo.platform), equal("slo", slo.id), *chosen]
    tail = f" offset {offset}" if offset else ""
    latency = slo.indicator
    assert isinstance(latency, Latency)
    if latency.native:
        own = dict(zip(slo.split_labels, slo.by, strict=True))
        narrowed = [matcher._replace(label=own[matcher.label]) for matcher in chosen]
        increases = [f"increase({raw(one, *narrowed)}[{regression.over}]{tail})" for one in latency.histogram]
        grouping = f" by ({', '.join(slo.by)})" if slo.by else ""
        return f"histogram_quantile({number(regression.quantile)}, sum{grouping} ({' or '.join(increases)}))"
    buckets = selector([conventions.bucket_tile(slo.sampling.rollup)], fixed, str(regression.over), tail)
    by = ", ".join([*slo.split_labels, "le"])
    return f"histogram_quantile({number(regression.quantile)}, sum by ({by}) (sum_over_time({buckets})))"


def _robots(platform: Platform, robots: tuple[Slo, ...], matchers: tuple[Matcher, ...]) -> list[Panel]:
    labels = {label for slo in robots for label in slo.split_labels}
    ask = Ask(platform, (), tuple(matcher for matcher in matchers if matcher.label in labels), slos=robots)
    bad = f"{ask.errors()} > bool 0"
    legend = " ".join(["{{slo}}", *(f"{{{{{label}}}}}" for label in ask.labels[2:])])
    steps = (Step(GREEN), Step(DARK_RED, Decimal(1)))
    return [
        states(
            "When robots failed",
            "One band a journey, vantage point or node: red where something failed.",
            [Target(bad, legend)],
            (),
            steps=steps,
            width=24,
            height=10,
        ),
        slo_table("Journeys and probes", "One row a journey and vantage point, the most urgent first.", ask, width=24),
    ]


def _felt(ask: Ask) -> list[Panel]:
    return [
        time_series(
            "Good for users, last hour",
            "Share of events that users found good; the ten lowest.",
            [
                Target(
                    f"bottomk(10, {ask.sli()})",
                    " ".join(["{{slo}}", *(f"{{{{{label}}}}}" for label in ask.labels[2:])]),
                )
            ],
            PERCENT,
            decimals=2,
            maximum=Decimal(1),
        )
    ]


def _raw(felt: tuple[Slo, ...]) -> list[Panel]:
    timed = [slo for slo in felt if isinstance(slo.indicator, Latency) and unit_of(slo) == "s"][:MOST_RAW]
    if not timed:
        return []
    return [
        time_series(
            "Latency, p99, with exemplars",
            f"Of the first {MOST_RAW} latency SLOs, from raw histograms; a dot is a request and leads to its trace.",
            [Target(quantile(slo, "0.99"), literal(slo.id), exemplar=True) for slo in timed],
            "s",
            minimum=Decimal(0),
        )
    ]
