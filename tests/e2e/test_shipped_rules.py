"""The rules of all five platforms in a real Prometheus: loaded, evaluated, without a failure or a warning."""

from __future__ import annotations

import pytest

from testing.servers import ROOT, Prometheus
from tests.conftest import StartPrometheus

ENOUGH = 900  # seconds; on a quiet machine all fast groups have had two turns after two minutes


def fast_turns(server: Prometheus) -> float:
    """How often each of the groups that are evaluated often had its turn, at least."""
    lines = server.client.get(f"{server.url}/metrics").text.splitlines()
    name = "prometheus_rule_group_iterations_total{"
    turns = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name) and '-fast"' in line]
    return min(turns, default=0)


@pytest.mark.server
def test_two_turns_of_all_platforms_bring_no_failure_warning_or_missed_evaluation(
    prometheus: StartPrometheus,
) -> None:
    rules = sorted((ROOT / "rules" / "prometheus").rglob("*.yaml"))
    server = prometheus({"global": {"scrape_interval": "5s"}, "scrape_configs": []}, rules)
    server.wait_for(lambda: fast_turns(server) >= 2, "two turns of every fast group", ENOUGH)
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
