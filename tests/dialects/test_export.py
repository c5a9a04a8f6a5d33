"""What is exported as OpenSLO is valid by its schema's rules, and imports as what it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sloctl.cli import main
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.dialects.convert import convert
from sloctl.dialects.export import open_slo
from sloctl.language.document import parse_documents
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.resolve import resolve
from testing.servers import ROOT

HEAD = """apiVersion: sloctl/v1
kind: Service
service: shop
alerts: none
slos:
  - name: a
    objective: 99%
    sli: """


def read(text: str) -> Catalogue:
    found = Diagnostics()
    catalogue = resolve(parse_documents(text.encode(), "x.yaml", found), found)
    assert not found.errors, found.errors
    return catalogue


def there_and_back(slo: Slo) -> Slo:
    found = Diagnostics()
    [service] = convert({"x": open_slo([slo], found).encode()}, found)
    assert not found.errors, found.errors
    [back] = read(service.text).slos
    return back


@pytest.mark.parametrize(
    "sli",
    [
        "{ratio: {total: t, bad_if: 'code=~\"5..\"'}}",
        "{ratio: {total: t, bad: [b, c]}}",
        "{latency: {histogram: 'h_seconds{a=\"b\"}', at_most: 300ms}}",
        "{probe: {gauge: up}}",
        "{threshold: {value: max(queue_length), at_most: 5}}",
        "{query: {bad: 'sum(max_over_time(a[$window]))', total: 'sum(max_over_time(b[$window]))'}}",
        "{query: {bad_ratio: 'max(max_over_time(a[$window]))'}}",
    ],
)
def test_an_sli_comes_back_as_it_was(sli: str) -> None:
    [slo] = read(HEAD + sli).slos
    back = there_and_back(slo)
    assert (back.indicator, back.objective, back.window) == (slo.indicator, slo.objective, slo.window)


def test_windows_slices_grouping_and_tiers_come_back() -> None:
    text = (
        HEAD.replace("alerts: none", "alerts: [{severity: P1, burn: 10, over: 1h, for: 5m, guard: none}]")
        + "{ratio: {total: t, bad: b}}\n    by: [tenant]\n    window: {calendar: month, time_zone: Europe/Berlin}\n"
        + "    timeslices: {target: 95%}\n"
    )
    [slo] = read(text).slos
    back = there_and_back(slo)
    assert (back.by, back.window, back.timeslices) == (slo.by, slo.window, slo.timeslices)
    assert [(tier.severity, tier.trigger, tier.over, tier.for_) for tier in back.tiers] == [
        (tier.severity, tier.trigger, tier.over, tier.for_) for tier in slo.tiers
    ]


def test_every_slo_of_the_platforms_is_exported_and_what_is_lost_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["export", "openslo", str(ROOT / "slo-specs")]) == 0
    shown = capsys.readouterr()
    documents = list(yaml.safe_load_all(shown.out))
    catalogue = load([str(ROOT / "slo-specs")], Diagnostics())
    assert [document["metadata"]["name"] for document in documents] == [slo.name for slo in catalogue.slos]
    assert "note[SLO305]" in shown.err
    assert "OpenSLO cannot say `also_over`" in shown.err


def test_strict_shows_nothing_that_would_mean_less(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(HEAD.replace("alerts: none\n", "") + "{ratio: {total: t, bad: b}}\n")
    assert main(["export", "openslo", str(tmp_path), "--root", str(tmp_path), "--strict"]) == 1
    assert capsys.readouterr().out == ""
