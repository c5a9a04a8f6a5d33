"""Canaries and their samples, as small as a test needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np

from sloctl.canary.analysis.analyse import analyse
from sloctl.canary.analysis.question import AFTER, Question, clock_at
from sloctl.canary.analysis.samples import ArmSamples, CheckSamples, CounterSeries
from sloctl.canary.analysis.verdict import Verdict
from sloctl.diagnostics import Place
from sloctl.model.alerting import Mode
from sloctl.model.canary import (
    After,
    Alpha,
    Canary,
    CanaryCheck,
    MismatchCheck,
    Needs,
    SloCheck,
    Step,
    Versions,
    WhenMissing,
    WhenShared,
)
from sloctl.model.catalogue import NewSeries, Sampling, Slo
from sloctl.model.indicator import Indicator, Latency, Ratio, Unit
from sloctl.model.quantities import DAY, MINUTE, Duration, Objective
from sloctl.model.selector import Matcher, MatchOperator, Selector
from sloctl.model.window import RollingWindow

PLACE = Place("spec.yaml")
GRID = 10.0
"""Seconds between scrapes."""
RATIO = Ratio(total=(Selector("requests_total"),), bad=(Selector("errors_total"),))
LATENCY = Latency((Selector("duration_seconds"),), Decimal("0.5"), Unit.SECONDS)
CANARY_POD = {"instance": "canary-1:80"}
STABLE_PODS = [{"instance": f"stable-{number}:80"} for number in range(1, 5)]


def errors(
    *,
    error_rate: str | None = "0.005",
    worse_by: str | None = "0",
    by: tuple[str, ...] = (),
    needs: Needs = Needs.ANY,
    shared: WhenShared = WhenShared.HOLD,
    quantile: str | None = None,
    name: str = "errors",
) -> SloCheck:
    """A check of the only SLO."""
    limit, worse, q = (None if value is None else Decimal(value) for value in (error_rate, worse_by, quantile))
    return SloCheck(name, "availability", by, limit, worse, q, needs, shared, PLACE)


def mismatches(rate: str = "0", settle: int = 30) -> MismatchCheck:
    """A check of a shadow comparison."""
    return MismatchCheck(
        "ledger",
        (Selector("mismatch_total"),),
        (Selector("compared_total"),),
        Decimal(rate),
        Duration.of(seconds=settle),
        PLACE,
    )


def canary(
    *checks: CanaryCheck,
    hold: Duration = MINUTE * 10,
    when_missing: WhenMissing = WhenMissing.HOLD,
    after: After | None = None,
) -> Canary:
    """5 % for `hold`, at most twice as long, then everything."""
    equal = MatchOperator.EQUAL
    return Canary(
        arms=Versions((Matcher("hash", equal, "$canary"),), (Matcher("hash", equal, "$stable"),)),
        steps=(Step(Decimal("0.05"), hold, hold * 2), Step(Decimal(1), None, None)),
        checks=checks or (errors(),),
        after=after,
        first_deployments=0,
        group=None,
        when_missing=when_missing,
        alpha=Alpha(Decimal("0.01"), Decimal("0.01")),
        parity=None,
        place=PLACE,
    )


def slo(indicator: Indicator = RATIO) -> Slo:
    """An SLO named availability."""
    return Slo(
        platform="shop",
        service="checkout",
        name="availability",
        objective=Objective(Decimal("0.999")),
        indicator=indicator,
        window=RollingWindow(DAY * 30),
        tiers=(),
        sampling=Sampling(
            MINUTE, Duration.of(seconds=10), Duration.of(seconds=5), ("instance",), NewSeries.COUNT_IF_UP
        ),
        mode=Mode.PAGE,
        place=PLACE,
    )


def counter(labels: Mapping[str, str], steps: Sequence[float], *, base: float | None = None) -> CounterSeries:
    """A counter that grows by these steps; without `base` it is not there at the first grid point."""
    start = np.nan if base is None else base
    values = np.concatenate([[start], (base or 0.0) + np.cumsum(steps)])
    return CounterSeries(dict(labels), values)


def arm(
    pods: Sequence[Mapping[str, str]], requests: float, bad: float, looks: int, *, base: float | None = None
) -> ArmSamples:
    """So many requests and errors an interval; errors are whole and fall on one pod after the other."""
    until = np.floor(np.arange(looks + 1) * bad + 1e-9)
    shares = np.stack([np.floor((until + pod) / len(pods)) for pod in range(len(pods))])
    total = [counter(pod, [requests / len(pods)] * looks, base=base) for pod in pods]
    failed = [counter(pod, np.diff(share), base=base) for pod, share in zip(pods, shares, strict=True)]
    return ArmSamples({"total": tuple(total), "bad": tuple(failed)}, looks + 1, ("instance",))


def samples(
    canary_bad: float = 0.1,
    baseline_bad: float = 1.9,
    *,
    looks: int = 60,
    canary_requests: float = 100.0,
    baseline_requests: float = 1900.0,
) -> CheckSamples:
    """By default 10 requests a second at 5 %, and 0.1 % errors in both arms."""
    return CheckSamples(
        arm([CANARY_POD], canary_requests, canary_bad, looks),
        arm(STABLE_PODS, baseline_requests, baseline_bad, looks, base=1000.0),
        arm(STABLE_PODS, baseline_requests * 3, baseline_bad * 3, 120, base=0.0),
    )


def judged(
    found: CheckSamples | Mapping[str, CheckSamples],
    spec: Canary | None = None,
    *,
    indicator: Indicator = RATIO,
    step: int = 0,
    approved: bool = True,
) -> Verdict:
    """The verdict on samples of the only check, or of several by name."""
    spec = spec or canary()
    named = found if isinstance(found, Mapping) else {check.name: found for check in spec.checks}
    if spec.after is not None and AFTER not in named:
        named = {**named, AFTER: next(iter(named.values()))}
    looks = next(iter(named.values())).canary.points - 1
    clock = clock_at(spec, 0.0, looks * GRID, GRID, step, step_started=0.0)
    return analyse(named, Question(spec, {"availability": slo(indicator)}, clock, approved))


def without(arm_: ArmSamples, role: str, index: int, points: Sequence[int]) -> ArmSamples:
    """The arm without the samples of one series at these grid points."""
    series = list(arm_.series[role])
    values = series[index].values.copy()
    values[list(points)] = np.nan
    series[index] = replace(series[index], values=values)
    return replace(arm_, series={**arm_.series, role: tuple(series)})


def without_scrapes(arm_: ArmSamples, pod: int, points: Sequence[int]) -> ArmSamples:
    """The arm without whole scrapes of one pod."""
    for role in arm_.series:
        arm_ = without(arm_, role, pod, points)
    return arm_
