"""The rules of all five platforms in a real Prometheus: loaded, evaluated, without a failure or a warning."""

from __future__ import annotations

import time

import pytest

from testing.servers import ROOT
from tests.conftest import StartPrometheus

SECONDS = 125  # every fast group is evaluated twice, every slow group's first turn has come for half of them


@pytest.mark.server
def test_two_minutes_of_all_platforms_bring_no_failure_warning_or_missed_evaluation(
    prometheus: StartPrometheus,
) -> None:
    rules = sorted((ROOT / "rules" / "prometheus").rglob("*.yaml"))
    server = prometheus({"global": {"scrape_interval": "5s"}, "scrape_configs": []}, rules)
    time.sleep(SECONDS)
    loaded = server.rules()
    assert len(loaded) > 700
    assert [(rule.group, rule.name, rule.last_error) for rule in loaded if rule.health == "err"] == []
    assert sum(rule.health == "ok" for rule in loaded) > len(loaded) / 2
    log = server.running.log.read_text()
    assert [line for line in log.splitlines() if "level=warn" in line or "level=error" in line] == []
    metrics = server.client.get(f"{server.url}/metrics").text.splitlines()
    for name in ("prometheus_rule_evaluation_failures_total", "prometheus_rule_group_iterations_missed_total"):
        counted = [float(line.rsplit(" ", 1)[1]) for line in metrics if line.startswith(name + "{")]
        assert counted
        assert sum(counted) == 0
