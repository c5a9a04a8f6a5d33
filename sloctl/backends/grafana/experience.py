"""User experience: what real browsers and robots see, by region and vantage point, beside the week before."""

from __future__ import annotations

from typing import Final

from sloctl import conventions
from sloctl.backends.grafana import panels as p
from sloctl.backends.grafana import shared
from sloctl.backends.grafana.dashboard import DashboardPage, split_variables
from sloctl.backends.grafana.queries import Ask, chosen, equal, legend, selector, split_labels
from sloctl.backends.grafana.raw_queries import histogram_quantile, quantile, raw, unit_of
from sloctl.backends.grafana.texts import literal, markdown
from sloctl.model.alerting import Regression
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.indicator import Latency, Probe, Ratio
from sloctl.model.quantities import Duration, number, percent
from sloctl.model.selector import Matcher

MOST_RAW: Final = 12
MOST_COMPARED: Final = 24
"""More charts than these nobody looks through; the alerts watch every one."""


def experience(platform: Platform) -> DashboardPage:
    """Regressions by region, journeys by vantage point, and what users feel of every service."""
    compared = [slo for slo in platform.slos if slo.regression and isinstance(slo.indicator, Latency)]
    robots = [slo for slo in platform.slos if isinstance(slo.indicator, Probe)]
    labels = split_labels([*compared, *robots])
    ask = Ask(platform, (), chosen(labels))
    return DashboardPage(
        "user-experience",
        "What real users and robots see, by place, beside the time before.",
        [*_real_users(compared, ask.split_matchers), *_robots(ask, robots), *_felt(ask)],
        split_variables(platform, labels),
    )


def _real_users(compared: list[Slo], matchers: tuple[Matcher, ...]) -> list[p.Panel]:
    """A quantile of each SLO beside the time before, and the names of those for which there is no room."""
    if not compared:
        return [
            p.note(
                "Real users",
                "No SLO of this platform compares a quantile with the time before. To see web vitals here, write a "
                "`latency` SLO on their histogram with `by: [region]` and a `regression`.",
            )
        ]
    panels = [p.row("Real users, beside the time before")]
    for slo in compared[:MOST_COMPARED]:
        panels += _vital(slo, matchers)
    if left_out := ", ".join(markdown(slo.id) for slo in compared[MOST_COMPARED:]):
        panels.append(p.note("Not shown", f"For want of room, though their alerts watch them: {left_out}."))
    return panels


def _vital(slo: Slo, matchers: tuple[Matcher, ...]) -> list[p.Panel]:
    regression = slo.regression
    assert regression is not None
    now = recorded_quantile(slo, regression, matchers)
    before = recorded_quantile(slo, regression, matchers, regression.earlier)
    share = f"p{number(regression.quantile * 100)}"
    labels = list(slo.split_labels)
    limit = p.Style("limit", color=p.DARK_RED, dashed=True)
    assert isinstance(slo.indicator, Latency)
    unit = unit_of(slo)
    change = p.more_is_worse(orange=regression.worse_by / 2, red=regression.worse_by)
    return [
        p.time_series(
            literal(f"{slo.id}, {share} over {regression.over}"),
            f"{share} of what users saw, and the bound of the objective. {literal(slo.description)}",
            [
                p.Target(now, legend(labels) or slo.id),
                p.Target(f"vector({number(slo.indicator.at_most)})", "limit"),
            ],
            unit,
            styles=(limit,),
            width=14,
        ),
        p.table(
            f"{slo.id} against {regression.earlier} before",
            f"{share} over {regression.over} now and {regression.earlier} before; more than "
            f"{percent(regression.worse_by)} worse is an alert.",
            [p.Target(now, "now"), p.Target(before, "before"), p.Target(f"{now}\n/ ({before} > 0) - 1", "change")],
            {label: label for label in labels},
            styles=(
                p.Style("now", unit=unit, decimals=2),
                p.Style("before", unit=unit, decimals=2),
                p.Style("change", unit=p.PERCENT, decimals=1, steps=change, background=True),
            ),
            sort_by="change",
            descending=True,
            width=10,
        ),
    ]  # fmt: skip


def recorded_quantile(
    slo: Slo, regression: Regression, matchers: tuple[Matcher, ...], offset: Duration | None = None
) -> str:
    """A quantile over the regression's time for each value of the split labels.

    It comes from the recorded buckets; of a native histogram there are none, so from the histogram itself.
    """
    own = dict(zip(slo.split_labels, slo.by, strict=True))
    narrowed = [matcher for matcher in matchers if matcher.label in own]
    q, tail = number(regression.quantile), f" offset {offset}" if offset else ""
    latency = slo.indicator
    assert isinstance(latency, Latency)
    if latency.native:
        narrowed = [matcher._replace(label=own[matcher.label]) for matcher in narrowed]
        increases = [
            f"increase({raw(histogram, *narrowed)}[{regression.over}]{tail})" for histogram in latency.histogram
        ]
        return histogram_quantile(q, slo.by, " or ".join(increases))
    fixed = [equal("platform", slo.platform), equal("slo", slo.id), *narrowed]
    buckets = selector([conventions.bucket_tile(slo.sampling.rollup)], fixed, str(regression.over), tail)
    return histogram_quantile(q, [*own, "le"], f"sum_over_time({buckets})")


def _robots(ask: Ask, robots: list[Slo]) -> list[p.Panel]:
    if not robots:
        return []
    labels = split_labels(robots)
    own = tuple(matcher for matcher in ask.split_matchers if matcher.label in labels)
    ask = Ask(ask.platform, (), own, slos=tuple(robots))
    text = "One band a journey, vantage point or node: red where something failed."
    failed = p.Target(f"{ask.errors()} > bool 0", ask.legend)
    return [
        p.row("Robots"),
        p.states("When robots failed", text, [failed], steps=p.more_is_worse(red=1), width=24, height=10),
        shared.slo_table("Journeys and probes", "One row a journey and vantage point, the most urgent first.", ask),
    ]


def _felt(ask: Ask) -> list[p.Panel]:
    """Of every SLO that counts events, and the raw latency behind it, whose exemplars lead to traces."""
    felt = [slo for slo in ask.of if isinstance(slo.indicator, Ratio | Latency)]
    if not felt:
        return []
    ask = ask.about(felt)
    lowest = p.Target(f"bottomk(10, {ask.sli()})", ask.legend)
    text = "Share of events that users found good; the ten lowest."
    panels = [
        p.row("What users feel"),
        p.time_series("Good for users, last hour", text, [lowest], p.PERCENT, decimals=2, minimum=None, maximum=1),
    ]
    timed = [slo for slo in felt if isinstance(slo.indicator, Latency) and unit_of(slo) == p.SECONDS][:MOST_RAW]
    targets = [p.Target(quantile(slo, "0.99"), literal(slo.id), exemplar=True) for slo in timed]
    if targets:
        text = f"Of the first {MOST_RAW} latency SLOs, from raw histograms; a dot is a request and leads to its trace."
        panels.append(p.time_series("Latency, p99, with exemplars", text, targets, p.SECONDS))
    return panels
