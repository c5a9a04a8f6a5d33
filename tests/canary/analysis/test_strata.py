"""Comparing within tenants, nodes or routes: what they differ by is no fault of the version."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sloctl.canary.analysis.analyse import counted
from sloctl.canary.analysis.question import Question, clock_at
from sloctl.canary.analysis.samples import ArmSamples, CheckSamples, CounterSeries
from sloctl.canary.analysis.story import stories
from sloctl.canary.analysis.verdict import Decision, Verdict, as_json
from sloctl.model.canary import SloCheck
from testing.canaries import CANARY_POD, GRID, STABLE_PODS, canary, counter, errors, judged, slo

RATES = {"": 0.001, "small": 0.0005, "large": 0.0005, "broken": 0.03}
"""Error ratios of tenants; of some requests none is told."""
USUAL = {"": 100.0, "small": 400.0, "large": 1400.0, "broken": 100.0}
STICKY = {"": 5.0, "small": 5.0, "large": 40.0, "broken": 50.0}
"""Requests in an interval; the canary happens to serve the tenant whose requests always fail."""


def arm(pods: list[dict[str, str]], requests: dict[str, float], looks: int, times: float, seed: int) -> ArmSamples:
    rng = np.random.default_rng(seed)
    series: dict[str, list[CounterSeries]] = {"total": [], "bad": []}
    for pod in pods:
        for tenant, many in requests.items():
            labels = {**pod, "tenant": tenant} if tenant else pod
            each = rng.poisson(many / len(pods), looks)
            series["total"].append(counter(labels, each, base=None if len(pods) == 1 else 0.0))
            bad = rng.binomial(each, RATES[tenant] * times)
            series["bad"].append(counter(labels, bad, base=None if len(pods) == 1 else 0.0))
    return ArmSamples({role: tuple(each) for role, each in series.items()}, looks + 1, ("instance",))


def world(times: float = 1.0, seed: int = 1) -> CheckSamples:
    """A canary that fails so many times as often as the baseline in each tenant."""
    history = {tenant: 3 * many for tenant, many in USUAL.items()}
    return CheckSamples(
        arm([CANARY_POD], STICKY, 60, times, seed),
        arm(STABLE_PODS, USUAL, 60, 1.0, seed + 1),
        arm(STABLE_PODS, history, 120, 1.0, seed + 2),
    )


def verdict(found: CheckSamples, *within: str, check: SloCheck | None = None) -> Verdict:
    spec = canary(replace(check or errors(error_rate=None, worse_by="0.1"), within=within))
    return judged({"errors": found}, spec)


@pytest.mark.parametrize("seed", range(5))
def test_a_tenant_that_always_fails_is_no_fault_of_the_canary_that_serves_it(seed: int) -> None:
    assert verdict(world(seed=10 * seed)).decision is Decision.ROLLBACK
    assert verdict(world(seed=10 * seed), "tenant").decision is not Decision.ROLLBACK
    assert verdict(world(2.5, 10 * seed), "tenant").decision is Decision.ROLLBACK


def test_within_a_label_that_nothing_has_is_as_without() -> None:
    both = [verdict(world(2.5)), verdict(world(2.5), "nothing")]
    assert json.dumps(as_json(both[0])) == json.dumps(as_json(both[1]))


def test_values_of_by_are_judged_beside_it() -> None:
    """Within pods nothing can be compared, as each is of one version; a tenant alone still can."""
    found = verdict(world(4.0), "instance", check=errors(error_rate=None, by=("tenant",)))
    assert found.decision is Decision.ROLLBACK
    assert found.findings[0].series == {"tenant": "broken"}


def test_the_absolute_limit_is_about_all_requests() -> None:
    check = errors(error_rate="0.005", worse_by="0")
    assert verdict(world(), "tenant", check=check).decision is Decision.ROLLBACK


def test_the_story_is_that_of_the_verdict() -> None:
    spec = canary(replace(errors(error_rate=None), within=("tenant",)))
    clock = clock_at(spec, 0.0, 60 * GRID, GRID, 0, 0.0)
    [told] = stories(counted({"errors": world(4.0)}, spec), Question(spec, {"availability": slo()}, clock))
    found = verdict(world(4.0), "tenant", check=errors(error_rate=None)).findings[0]
    assert told.crossed is not None
    assert found.crossed_at == told.times[told.crossed]
