"""Recording rules in stages: what a rule reads is recorded before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.rules_stages import Stage, block_hours, stages
from sloctl.backends.prometheus.backend import PrometheusBackend
from sloctl.compiler import compile_specs
from sloctl.model.artifact import Artifact


def group(name: str, *rules: tuple[str, str], interval: str = "1m", slo: str = "s") -> dict[str, Any]:
    values = [{"record": record, "expr": expr, "labels": {"slo": slo}} for record, expr in rules]
    return {"name": name, "interval": interval, "rules": [*values, {"alert": "A", "expr": "slo:x > 1"}]}


def staged(*groups: dict[str, Any]) -> list[Stage]:
    return stages([Artifact("rules.yaml", {"groups": list(groups)}, ())])


def recorded(found: list[Stage]) -> list[set[str]]:
    return [{rule["record"] for group in stage.groups for rule in group["rules"]} for stage in found]


def test_a_rule_comes_after_what_it_reads_whatever_its_group() -> None:
    fast = group("fast", ("slo:tile", "sum(raw)"), ("slo:ratio", "slo:tile / 2"))
    slow = group("slow", ("slo:rolled", "sum_over_time(slo:tile[4m])"), ("slo:budget", "slo:rolled"), interval="4m")
    assert recorded(staged(fast, slow)) == [{"slo:tile"}, {"slo:ratio", "slo:rolled"}, {"slo:budget"}]


def test_a_rule_that_reads_its_own_past_needs_no_stage_of_its_own() -> None:
    found = staged(group("slow", ("slo:rolled", "raw and present_over_time(slo:rolled[5m])")))
    assert recorded(found) == [{"slo:rolled"}]


def test_slos_may_read_the_same_names_in_opposite_orders() -> None:
    one = group("one", ("slo:total", "sum(raw)"), ("slo:errors", "slo:total * 2"), slo="one")
    two = group("two", ("slo:errors", "sum(raw)"), ("slo:total", "slo:errors * 2"), slo="two")
    assert recorded(staged(one, two)) == [{"slo:total", "slo:errors"}] * 2


def test_what_is_recorded_already_stays_and_nothing_is_counted_twice() -> None:
    (rule,) = staged(group("fast", ("slo:tile", 'sum(raw{a="\\"b"})')))[0].groups[0]["rules"]
    assert rule["expr"] == '(\n  sum(raw{a="\\"b"})\n)\nunless on () present_over_time(slo:tile{slo="s"}[1m])'


def test_blocks_are_as_long_as_one_query_can_answer() -> None:
    assert block_hours(staged(group("g", ("slo:a", "raw"), interval="1m"))) == 162
    assert block_hours(staged(group("g", ("slo:a", "raw"), interval="5s"))) == 6
    assert block_hours(staged(group("g", ("slo:a", "raw"), interval="1h30m"))) == 162


def test_every_recording_of_a_catalogue_of_all_kinds_has_one_stage(tmp_path: Path) -> None:
    spec = Path(__file__).parents[1] / "golden" / "kinds" / "spec"
    catalogue = compile_specs([str(spec)], []).catalogue
    artifacts = list(PrometheusBackend().compile(catalogue))
    rules = [rule for artifact in artifacts for group in artifact.value["groups"] for rule in group["rules"]]  # type: ignore[index]
    found = stages(artifacts)
    assert sum(len(group["rules"]) for stage in found for group in stage.groups) == sum("record" in r for r in rules)
    assert 2 <= len(found) <= 6
