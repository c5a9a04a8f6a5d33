"""The past judged anew: false alarms, power, limits that would do, and recorded rollouts under other limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from sloctl.canary.backtest import PastWindow, outcome, plans, proposed, trials, windows
from sloctl.cli import main
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Service
from sloctl.model.quantities import Duration
from sloctl.prometheus import Sample, Series
from tests.canary.server.conftest import MakeHook, hook_of
from tests.canary.source.test_look import SPEC, Evaluate, evaluate
from tests.canary.stub import NOW

__all__ = ["evaluate", "hook_of"]

HOUR = 3600.0
SLIS = {
    "ratio": "{ratio: {total: 'requests_total{job=\"pay\"}', bad_if: 'code=~\"5..\"'}}",
    "good": '{ratio: {total: \'requests_total{job="pay"}\', good: \'requests_total{job="pay",code="200"}\'}}',
}


class Past:
    """Three hours of six pods of one version, 40 requests a second each, of which 0.1 % fail."""

    def __init__(self) -> None:
        rng = np.random.default_rng(4)
        times = np.arange(NOW - 3 * HOUR, NOW + 1, 10.0)
        self.series: list[tuple[dict[str, str], tuple[float, ...], tuple[float, ...]]] = []
        for pod in range(6):
            labels = {"job": "pay", "instance": f"pod-{pod}", "rollouts_pod_template_hash": "5c577"}
            for code, each in (("200", 399.6), ("500", 0.4)):
                values = np.cumsum(rng.poisson(each, len(times))) + 1000.0
                self.series.append(({**labels, "code": code}, tuple(times.tolist()), tuple(values.tolist())))

    def query(self, promql: str, at: float | None = None) -> tuple[Sample, ...]:
        raise AssertionError(promql, at)

    def samples(self, selector: str, length: str, at: float) -> tuple[Series, ...]:
        assert "hash" not in selector, "all versions of the stable pods"
        units = {"h": 3600, "m": 60, "s": 1}
        seconds = sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", length))
        return tuple(self._cut(selector, at - seconds, at, None))

    def query_range(self, promql: str, start: float, end: float, step: float) -> tuple[Series, ...]:
        return tuple(self._cut(promql, start - 1, end, step))

    def _cut(self, selector: str, after: float, until: float, step: float | None) -> Iterator[Series]:
        for labels, times, values in self.series:
            if ("5.." in selector and labels["code"] != "500") or (
                'code="200"' in selector and labels["code"] != "200"
            ):
                continue
            kept = [(t, v) for t, v in zip(times, values, strict=True) if after < t <= until]
            kept = kept if step is None else kept[:: round(step / 10)]
            moments, counts = zip(*kept, strict=True)
            yield Series(labels, moments, counts)


def service(tmp_path: Path, sli: str = "ratio") -> Service:
    file = tmp_path / "pay.yaml"
    file.write_text(re.sub(r"sli: .*", lambda _: f"sli: {SLIS[sli]}", SPEC), encoding="utf-8")
    found = Diagnostics()
    catalogue = load((str(file),), found, root=tmp_path)
    assert not found.errors, found.errors
    return catalogue.platforms[0].services[0]


@pytest.mark.parametrize("sli", SLIS)
def test_unchanged_pods_are_promoted_and_errors_added_to_them_are_found(tmp_path: Path, sli: str) -> None:
    one = service(tmp_path, sli)
    found = trials(one, past(one, 8), Decimal("0.05"), Duration.of(minutes=9))
    assert len(found) == 8
    unchanged = outcome(one, found)
    assert (unchanged.windows, unchanged.promoted, unchanged.rolled_back) == (8, 8, 0)
    bad = outcome(one, found, 0.03)
    assert (bad.promoted, bad.rolled_back) == (0, 8)
    assert bad.seconds is not None
    assert 0 < bad.seconds <= 60
    few = outcome(one, found, 0.005)
    assert few.rolled_back + few.promoted <= 8
    assert outcome(one, found, 0.03) == bad, "the same on any day"


def past(one: Service, count: int, minutes: int = 9) -> list[PastWindow]:
    return list(windows(one, Past(), NOW, HOUR, count, Duration.of(minutes=minutes)))


def test_limits_weights_and_holds_are_proposed_from_a_service_s_own_history(tmp_path: Path) -> None:
    one = service(tmp_path)
    made = plans(one, past(one, 6, 20), 0.03)
    assert Decimal("0.001") not in {plan.limit for plan in made}, "the stable version fails as often"
    assert all(
        plan.unchanged.promoted == 6 and plan.bad.promoted == 0 for plan in made if plan.limit <= Decimal("0.01")
    )
    assert {plan.weight for plan in made} <= {Decimal(pods) / 6 for pods in (1, 2, 3)}
    by_limit = [plan.exposure for plan in sorted(made, key=lambda plan: plan.limit)]
    assert by_limit == sorted(by_limit, reverse=True), "the stricter the limit, the more has to be exposed"
    best = proposed(one, made)
    assert best is not None
    assert best.hold <= Duration.of(minutes=20)
    few = replace(one, canary=replace(one.canary, steps=(replace(one.canary.steps[0], hold=Duration.of(seconds=10)),)))
    cheapest = proposed(few, made)
    assert cheapest is not None
    assert cheapest.exposure == min(plan.exposure for plan in made)
    assert proposed(one, []) is None


def test_a_past_without_two_pods_or_with_hardly_a_request_gives_no_plan(tmp_path: Path) -> None:
    one = service(tmp_path)
    [window] = past(one, 1)
    alone = {
        name: replace(found, canary=found.canary.of(set(list(found.canary.seen)[:1])))
        for name, found in window.samples.items()
    }
    assert plans(one, [replace(window, samples=alone)], 0.03) == []
    assert plans(one, [], 0.03) == []


def test_the_command_reads_history(evaluate: Evaluate) -> None:
    words = ["canary", "backtest", str(evaluate.spec), "--root", str(evaluate.spec.parent), "--service", "pay"]
    assert main([*words, "--prometheus", evaluate.url, "--since", "20m", "--windows", "2"]) == 0
    said = evaluate.capsys.readouterr().out
    assert "unchanged versions, 2 windows: 100% promoted, 0% rolled back" in said
    assert "with 3% errors: 0% promoted, 100% rolled back, median" in said
    assert re.search(r"error_rate: 2% needs weight: 50%, hold: \w+; with 1% errors: ", said)
    assert re.search(r"proposed:\n  steps: \[\{weight: .*%, hold: .*\}, \{weight: 100%\}\]\n  error_rate: .*%\n", said)
    assert main([*words]) == 2


def test_recorded_rollouts_are_judged_by_other_limits(
    hook_of: MakeHook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = hook_of()
    hook.evaluate()
    loose = SPEC.replace("error_rate: 0.5%, worse_by: 0%", "error_rate: 0.05%")
    hook.specs.write_text(loose, encoding="utf-8")
    words = ["canary", "backtest", str(hook.specs), "--root", str(tmp_path), "--service", "pay"]
    assert main([*words, "--store", str(tmp_path / "audit.db"), "--format", "json"]) == 0
    judged = json.loads(capsys.readouterr().out)["recorded"]
    assert [(each["then"], each["revision"]) for each in judged] == [("promote", "3")]
    assert {each["now"] for each in judged} <= {"rollback", "continue"}
    assert main([*words, "--store", str(tmp_path / "audit.db")]) == 0
    assert "recorded rollouts: 1, of them " in capsys.readouterr().out
