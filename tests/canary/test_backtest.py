"""The past judged anew: false alarms, power, limits that would do, and recorded rollouts under other limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from sloctl.canary.backtest import outcome, proposal, proposed, windows
from sloctl.cli import main
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Service
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
    found = list(windows(one, Past(), NOW, HOUR, 8))
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


def test_limits_are_proposed_from_what_unchanged_pods_would_get(tmp_path: Path) -> None:
    one = service(tmp_path)
    tried = proposal(one, list(windows(one, Past(), NOW, HOUR, 6)))
    assert tried["0.001"].promoted == 0, "the stable version fails as often"
    assert tried["0.05"].promoted == 6
    wanted = proposed(tried)
    assert wanted is not None
    assert Decimal("0.001") < Decimal(wanted) <= Decimal("0.01")
    assert proposed({limit: each for limit, each in tried.items() if limit == "0.001"}) is None


def test_the_command_reads_history(evaluate: Evaluate) -> None:
    words = ["canary", "backtest", str(evaluate.spec), "--root", str(evaluate.spec.parent), "--service", "pay"]
    assert main([*words, "--prometheus", evaluate.url, "--since", "20m", "--windows", "2"]) == 0
    said = evaluate.capsys.readouterr().out
    assert "unchanged versions, 2 windows: 100% promoted, 0% rolled back" in said
    assert "with 3% errors: 0% promoted, 100% rolled back, median" in said
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
