"""Every value in force, with the place that says so or `default`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sloctl.cli import main

PLATFORM = """apiVersion: sloctl/v1
kind: Platform
name: shop
team: web
scrape_interval: 15s
labels: {tier: gold, area: front}
matchers: {environment: prod}
runbook: https://runbooks.example.com/$slo
severities: {P1: critical}
teams: {web: {P1: {pagerduty: web}, P2: {slack: '#web'}, P3: {email: web@example.com}}}
policies:
  quiet:
    - {severity: P3, burn: 2, over: 1d}
---
apiVersion: sloctl/v1
kind: Template
name: http
parameters: {job: null}
slos:
  - name: latency
    objective: 99%
    sli: {latency: {histogram: 'http_seconds{job="$job"}', at_most: 250ms, bad_if: 'code=~"5.."'}}
"""
SERVICE = """apiVersion: sloctl/v1
kind: Service
service: cart
labels: {tier: silver}
uses: [{template: http, with: {job: cart}}]
slos:
  - name: availability
    objective: 99.9%
    by: [region]
    alerts: quiet
    annotations: {owner: Finance}
    sli: {ratio: {total: 'requests_total{job="cart"}', bad_if: 'code=~"5.."'}}
  - name: load
    objective: 99.5%
    alerts: none
    window: {calendar: month, time_zone: Asia/Kolkata}
    sli: {saturation: {used: used, capacity: [a, b], at_most: 80%}}
    forecast: {within: 15d}
canary:
  steps:
    - weight: 5%
      hold: 10m
    - {weight: 100%}
  checks:
    - {name: errors, slo: availability, error_rate: 0.5%}
"""


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slo-specs").mkdir()
    (tmp_path / "slo-specs" / "platform.yaml").write_text(PLATFORM)
    (tmp_path / "slo-specs" / "cart.yaml").write_text(SERVICE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def shown(which: str, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    """Value and origin by key, as `--format json` has them: of an SLO, its service and its platform."""
    assert main(["show", "slo-specs", which, "--format", "json"]) == 0
    slo, service, platform = json.loads(capsys.readouterr().out)
    assert [(table["service"], table["slo"]) for table in (service, platform)] == [("cart", None), (None, None)]
    return {
        row["key"]: (row["value"], origin(row["from"])) for table in (platform, service, slo) for row in table["values"]
    }


def origin(place: dict[str, Any] | None) -> str:
    return "default" if place is None else f"{place['path']}:{place['line']}:{place['column']}"


def test_the_nearest_place_is_named_whichever_layer_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    values = shown("cart/availability", capsys)
    assert values["objective"] == ("99.9%", "slo-specs/cart.yaml:8:16")
    assert values["scrape_interval"] == ("15s", "slo-specs/platform.yaml:5:18")
    assert values["runbook"] == ("https://runbooks.example.com/$slo", "slo-specs/platform.yaml:8:10")
    assert values["window"] == ("30d", "default")
    assert values["platform"] == ("shop", "slo-specs/platform.yaml:3:7")
    assert values["service"] == ("cart", "slo-specs/cart.yaml:3:10")


def test_mappings_are_merged_key_by_key(capsys: pytest.CaptureFixture[str]) -> None:
    values = shown("cart/availability", capsys)
    assert values["labels.tier"] == ("silver", "slo-specs/cart.yaml:4:16")
    assert values["labels.area"] == ("front", "slo-specs/platform.yaml:6:28")
    assert values["annotations.owner"] == ("Finance", "slo-specs/cart.yaml:11:26")
    assert values["severities.P1"] == ("critical", "slo-specs/platform.yaml:9:18")
    assert values["severities.P2"] == ("P2", "default")


def test_selectors_are_shown_as_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    values = shown("cart/availability", capsys)
    assert values["sli.ratio.total"] == (
        'requests_total{job="cart", environment="prod"}',
        "slo-specs/cart.yaml:12:26",
    )
    assert values["sli.ratio.bad"][0] == 'requests_total{job="cart", environment="prod", code=~"5.."}'


def test_tiers_of_a_policy_are_placed_where_the_policy_is(capsys: pytest.CaptureFixture[str]) -> None:
    values = shown("cart/availability", capsys)
    assert values["alerts.p3-1d"] == ("P3: burn 2, over 1d, guard statistical", "slo-specs/platform.yaml:13:7")


def test_what_a_template_brings_is_placed_in_the_template_and_its_argument_at_the_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = shown("cart/latency", capsys)
    assert values["objective"] == ("99%", "slo-specs/platform.yaml:21:16")
    assert values["sli.latency.at_most"] == ("0.25s", "slo-specs/platform.yaml:22:69")
    assert values["sli.latency.bad_if"] == ('code=~"5.."', "slo-specs/platform.yaml:22:84")
    assert values["alerts.p1-1h"][1] == "default"


def test_windows_forecasts_and_shares_are_in_the_words_of_the_specification(
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = shown("cart/load", capsys)
    assert values["window"][0] == "month (Asia/Kolkata)"
    assert values["alerts"] == ("none", "slo-specs/cart.yaml:15:13")
    assert values["sli.saturation.capacity"][0] == 'a{environment="prod"}, b{environment="prod"}'
    assert values["sli.saturation.at_most"][0] == "80%"
    assert values["forecast"][0] == "within 15d, from 14d, to 1, severity P3"


def test_a_terminal_gets_a_table_for_each_slo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    titles = [line for line in lines if line.endswith(("(platform shop)", "platform shop"))]
    assert titles == [
        *(f"cart/{name} (platform shop)" for name in ("latency", "availability", "load")),
        "service cart (platform shop)",
        "platform shop",
    ]
    assert any(line.split() == ["objective", "99.9%", "slo-specs/cart.yaml:8:16"] for line in lines)
    assert any(line.split() == ["max_series", "1000", "default"] for line in lines)


def test_a_canary_teams_and_matchers_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    values = shown("cart/availability", capsys)
    assert values["matchers.environment"] == ("prod", "slo-specs/platform.yaml:7:25")
    assert values["teams.web.P1"] == ("pagerduty web", "slo-specs/platform.yaml:10:19")
    assert values["canary.steps.1"] == ("weight 5%, hold 10m, deadline 20m", "slo-specs/cart.yaml:21:7")
    assert values["canary.checks.errors"] == (
        "slo availability, error_rate 0.5%, needs any, shared hold",
        "slo-specs/cart.yaml:25:14",
    )
    assert values["canary.alpha"] == ("rollback 0.01, promote 0.01", "default")


def test_an_unknown_slo_is_wrong_usage_and_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "slo-specs", "cart/speed"]) == 2
    assert "there are cart/latency, cart/availability, cart/load" in capsys.readouterr().err


def test_wrong_specifications_are_told_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    Path("slo-specs/cart.yaml").write_text(SERVICE.replace("99.9%", "99.9"))
    assert main(["show"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "SLO022" in err
