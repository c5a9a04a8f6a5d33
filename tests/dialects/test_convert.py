"""Files of other tools become valid specifications that mean the same, or say what they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sloctl.diagnostics import Diagnostics, FindingSeverity
from sloctl.dialects.convert import convert
from sloctl.language.document import parse_documents
from sloctl.resolve import resolve

SLOTH = """
version: prometheus/v1
service: myService
labels: &own {owner: team-a, tier: 1}
slos:
  - name: requests_availability
    objective: 99.9
    description: "most
      succeed"
    labels: {<<: *own, severity: x}
    sli:
      events:
        error_query: sum(rate(requests_total{code=~"5.."}[{{.window}}]))
        total_query: sum(rate(requests_total[{{ .window }}]))
    alerting: {annotations: {runbook_url: "https://runbooks.example.com/a"}, ticket_alert: {disable: true}}
"""
SLOTH_RESOURCE = """
apiVersion: sloth.slok.dev/v1
kind: PrometheusServiceLevel
metadata: {name: x}
spec:
  service: shop
  slos:
    - name: availability
      objective: 99
      sli: {events: {errorQuery: 'sum(rate(e[{{.window}}]))', totalQuery: 'sum(rate(t[{{.window}}]))'}}
      alerting: {pageAlert: {disable: true}, ticketAlert: {disable: true}}
    - name: snake
      objective: 99
      sli: {events: {error_query: 'sum(rate(e[{{.window}}]))', total_query: 'sum(rate(t[{{.window}}]))'}}
"""
PYRRA = """
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: api-errors, labels: {pyrra.dev/team: a, pyrra.dev/tier: gold}}
spec:
  target: "99.5"
  window: 2w
  indicator:
    ratio:
      errors: {metric: 'requests_total{job="api", code=~"5.."}'}
      total: {metric: 'requests_total{job="api"}'}
      grouping: [handler]
"""
OPENSLO = """
- apiVersion: openslo/v1
  kind: SLI
  metadata: {name: good-requests}
  spec:
    ratioMetric:
      counter: true
      good: {metricSource: {type: Prometheus, spec: {query: 'requests_total{code="200"}'}}}
      total: {metricSource: {type: Prometheus, spec: {query: requests_total}}}
- apiVersion: openslo/v1
  kind: AlertCondition
  metadata: {name: fast}
  spec: {severity: page, condition: {kind: burnrate, op: gte, threshold: 2.5, lookbackWindow: 1h, alertAfter: 5m}}
- apiVersion: openslo/v1
  kind: AlertPolicy
  metadata: {name: usual}
  spec: {conditions: [{conditionRef: fast}]}
- apiVersion: openslo/v1
  kind: SLO
  metadata: {name: mainPage}
  spec:
    service: web
    indicatorRef: good-requests
    timeWindow: [{duration: 1M, isRolling: false, calendar: {startTime: 2022-01-01 00:00:00, timeZone: Europe/Berlin}}]
    budgetingMethod: Timeslices
    objectives: [{target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 1m}]
    alertPolicies: [usual]
"""
GRAFANA = """
{"slos": [{"name": "Checkout ratio", "query": {"type": "ratio", "ratio": {
  "successMetric": {"prometheusMetric": "requests_total{status!~\\"5..\\"}"},
  "totalMetric": {"prometheusMetric": "requests_total"}, "groupByLabels": ["region"]}},
 "objectives": [{"value": 0.995, "window": "28d"}], "labels": [{"key": "service_name", "value": "checkout"}],
 "alerting": {"advancedOptions": {"minFailures": 3}}},
 {"name": "free", "query": {"type": "freeform", "freeform": {"query":
  "sum(rate(ok_total[$__rate_interval])) / sum(rate(all_total[$__rate_interval]))"}},
 "objectives": [{"value": 0.995, "window": "28d"}]}]}
"""
NOBL9 = """
apiVersion: n9/v1alpha
kind: SLO
metadata: {name: orders, project: default}
spec:
  service: shop
  budgetingMethod: Occurrences
  timeWindows: [{unit: Day, count: 28, isRolling: true}]
  objectives:
    - target: 0.95
      countMetrics:
        incremental: true
        good: {prometheus: {promql: 'sum(orders_total{state="ok"})'}}
        total: {prometheus: {promql: sum(orders_total)}}
  alertPolicies: [fast]
---
apiVersion: n9/v1alpha
kind: AlertPolicy
metadata: {name: fast}
spec:
  severity: High
  conditions: [{measurement: averageBurnRate, value: 10, op: gte, alertingWindow: 1h}]
"""


def imported(*texts: str) -> tuple[dict[str, Any], Diagnostics]:
    """The services of the result by name, each checked to be valid, and what was found."""
    found = Diagnostics()
    services = convert({f"{number}.yaml": text.encode() for number, text in enumerate(texts)}, found)
    for service in services:
        problems = Diagnostics()
        resolve(parse_documents(service.text.encode(), "x.yaml", problems), problems)
        assert not problems.errors, (service.text, problems.errors)
    return {service.service: yaml.safe_load(service.text) for service in services}, found


def codes(found: Diagnostics, severity: FindingSeverity) -> list[str]:
    return [finding.code for finding in found if finding.severity is severity]


def test_sloth_is_read_with_its_anchors_runbook_and_half_of_its_alerts() -> None:
    services, found = imported(SLOTH)
    [slo] = services["my-service"].pop("slos")
    assert services["my-service"] == {
        "apiVersion": "sloctl/v1",
        "kind": "Service",
        "service": "my-service",
        "alerts": [
            {"severity": "P1", "burn": 14.4, "over": "1h", "also_over": "5m"},
            {"severity": "P1", "burn": 6, "over": "6h", "also_over": "30m"},
        ],
        "labels": {"owner": "team-a", "tier": "1"},
        "runbook": "https://runbooks.example.com/a",
    }
    assert slo == {
        "name": "requests-availability",
        "description": "most succeed",
        "objective": "99.9%",
        "sli": {"ratio": {"total": "requests_total", "bad_if": 'code=~"5.."'}},
    }
    assert codes(found, FindingSeverity.NOTE) == ["SLO301", "SLO301"]  # the service's name, and the label `severity`


def test_keys_that_kubernetes_drops_are_a_mistake_of_the_source() -> None:
    services, found = imported(SLOTH_RESOURCE)
    assert [slo.get("alerts") for slo in services["shop"]["slos"]] == ["none", None]
    assert {str(finding.place) for finding in found if finding.code == "SLO300"} == {"0.yaml:14:35", "0.yaml:14:77"}


def test_pyrra_keeps_its_own_tiers_scaled_to_the_window() -> None:
    services, found = imported(PYRRA)
    [slo] = services["api"]["slos"]
    assert services["api"]["window"] == "14d"
    assert services["api"]["alerts"][1] == {
        "severity": "P1",
        "burn": 7,
        "over": "3h",
        "also_over": "15m",
        "for": "8m",
    }
    assert slo["sli"] == {"ratio": {"total": 'requests_total{job="api"}', "bad_if": 'code=~"5.."'}}
    assert (slo["by"], services["api"]["labels"]) == (["handler"], {"tier": "gold"})
    assert [finding.message for finding in found] == [
        "Pyrra knows no services: `api` is named after the job that it counts"
    ]


@pytest.mark.parametrize(
    ("indicator", "sli"),
    [
        ("latency: {success: {metric: 'h_seconds_bucket{le=\"0.1\"}'}, total: {metric: h_seconds_count}}",
         {"latency": {"histogram": "h_seconds", "at_most": "100ms"}}),
        ("latencyNative: {latency: 1s, total: {metric: h_seconds}}",
         {"latency": {"histogram": "h_seconds", "at_most": "1s", "native": True}}),
        ("bool_gauge: {metric: 'up{job=\"x\"}'}", {"probe": {"gauge": 'up{job="x"}'}}),
    ],
)  # fmt: skip
def test_every_indicator_of_pyrra_has_its_kind(indicator: str, sli: dict[str, Any]) -> None:
    head, _, _ = PYRRA.partition("    ratio:")
    services, _ = imported(f"{head}    {indicator}\n")
    assert [slo["sli"] for service in services.values() for slo in service["slos"]] == [sli]


def test_openslo_follows_references_between_documents_of_a_run() -> None:
    services, found = imported(OPENSLO)
    [slo] = services["web"]["slos"]
    assert slo["name"] == "main-page"
    assert slo["sli"] == {"ratio": {"total": "requests_total", "bad_if": 'code!="200"'}}
    assert slo["timeslices"] == {"target": "95%"}
    assert services["web"]["window"] == {"calendar": "month", "time_zone": "Europe/Berlin"}
    assert services["web"]["alerts"] == [{"severity": "P1", "burn": 2.5, "over": "1h", "for": "5m"}]
    assert not found.errors


def test_a_reference_to_nothing_is_named() -> None:
    _, found = imported(OPENSLO.replace("indicatorRef: good-requests", "indicatorRef: gone"))
    assert [finding.message for finding in found.errors] == [
        "this SLO is not imported: there is no SLI `gone` in what is imported"
    ]


def test_grafana_is_read_from_the_answer_of_its_api() -> None:
    services, _ = imported(GRAFANA)
    [slo] = services["checkout"]["slos"]
    assert (slo["name"], slo["objective"], slo["by"]) == ("checkout-ratio", "99.5%", ["region"])
    assert slo["sli"] == {"ratio": {"total": "requests_total", "bad_if": 'status=~"5.."'}}
    assert {tier["min_bad"] for tier in services["checkout"]["alerts"]} == {3}
    assert services["free"]["slos"][0]["sli"] == {"ratio": {"total": "all_total", "good": "ok_total"}}
    assert services["free"]["alerts"] == "none"


def test_nobl9_is_read_with_its_policies() -> None:
    services, found = imported(NOBL9)
    [slo] = services["shop"]["slos"]
    assert slo["sli"] == {"ratio": {"total": "orders_total", "bad_if": 'state!="ok"'}}
    assert services["shop"]["window"] == "28d"
    assert services["shop"]["alerts"] == [{"severity": "P1", "burn": 10, "over": "1h"}]
    assert not found.errors


def test_one_file_may_hold_documents_of_several_tools() -> None:
    services, found = imported("\n---\n".join((SLOTH, PYRRA, NOBL9, "apiVersion: v1\nkind: ConfigMap\n")))
    assert set(services) == {"my-service", "api", "shop"}
    assert codes(found, FindingSeverity.WARNING) == ["SLO302"]


def test_slos_of_one_service_from_several_files_stand_together_and_none_is_lost() -> None:
    services, found = imported(PYRRA, PYRRA.replace("99.5", "98"))
    assert [(slo["name"], slo["objective"]) for slo in services["api"]["slos"]] == [
        ("api-errors", "99.5%"),
        ("api-errors-2", "98%"),
    ]
    assert any("0.yaml:1:1 has that name already" in finding.message for finding in found) or any(
        "has that name already" in finding.message for finding in found
    )


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("objective: 99.9", "objective: 100", "leaves no error budget"),
        ("objective: 99.9", "objective: lots", "`lots` is no number"),
        ("    objective: 99.9\n", "", "`objective` is missing"),
        ("name: requests_availability", "name: '---'", "holds no letter or digit"),
        ('{code=~"5.."}[{{.window}}]', "[", "this is not PromQL"),
        ("events:", "events: 3\n      other:", "the SLO does not say what it counts"),
        ("sli:", "sli: {plugin: {id: sloth-common/istio/v1/availability}}\n    other:", "comes from the plugin"),
        ("sli:", "sli: {plugin: {id: acme/x}}\n    other:", "comes from the plugin `acme/x`"),
        ("- name: requests_availability", "- 3\n  - name: x", "`name` is missing"),
    ],
)
def test_what_cannot_be_imported_says_where_and_why(before: str, after: str, message: str) -> None:
    assert before in SLOTH
    _, found = imported(SLOTH.replace(before, after))
    assert any(message in finding.message for finding in found.errors), found.errors
    assert all(finding.help and finding.place.line > 1 for finding in found.errors)


HOSTILE = (
    "",
    "a: [",
    "[" * 5000,
    "x: &a [*a]",
    "- - - 3",
    "version: prometheus/v1\nslos: [[[]]]\nservice: []\n",
    "apiVersion: pyrra.dev/v1alpha1\nspec: 3",
    "kind: SLO\napiVersion: openslo/v1\nspec: {objectives: [[], 3]}",
    "apiVersion: n9/x\nkind: SLO\nspec: {objectives: {a: b}}",
    '{"slos": [3, {"objectives": 1, "query": {"type": []}}]}',
    "a0: &a0 [1, 1, 1]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9)),
)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_ends_in_anything_but_findings(text: str) -> None:
    services, _ = imported(text)
    assert not services


CHART = """
{{- if .Values.enabled }}
{{- /* a comment
  of two lines */ -}}
version: prometheus/v1
service: shop
labels:
  {{- include "chart.labels" . | nindent 2 }}
  zone: "{{ .Values.zone }}"
slos:
  - name: availability
    objective: {{ .Values.objective }}
    sli: &sli
      events:
        error_query: {{`sum(rate(e[{{.window}}]))`}}
        total_query: |-
          {{`sum(rate(t[{{.window}}]))`}}
  - name: other
    {{- if .Values.strict }}
    objective: 99
    {{- else }}
    objective: 9
    {{- end }}
    sli: *sli
{{- end }}
"""


def test_a_chart_is_read_as_far_as_it_is_literal_and_the_rest_is_named() -> None:
    services, found = imported(CHART)
    assert [(slo["name"], slo["objective"]) for slo in services["shop"]["slos"]] == [("other", "99%")]
    assert [(finding.place.line, finding.code) for finding in found] == [
        (8, "SLO304"),
        (9, "SLO301"),
        (12, "SLO303"),
        (22, "SLO304"),
    ]
    assert "the template `{{ .Values.objective }}`" in found.errors[0].message


UNSAID = ("plugin", "a query of", "does not say", "is missing", "there is no SLI", "not PromQL")
"""Why the others do not say what they measure, at least not in PromQL."""

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "import"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="public files of other tools are no part of the repository")
def test_nearly_all_public_files_that_say_what_they_measure_convert() -> None:
    converted, selectors, refused = 0, 0, list[str]()
    for file in sorted(CORPUS.rglob("*.yaml")):
        found = Diagnostics()
        services = convert({str(file): file.read_bytes()}, found)
        slis = [slo["sli"] for service in services for slo in yaml.safe_load(service.text)["slos"]]
        converted += len(slis)
        selectors += sum("query" not in sli for sli in slis)
        refused += [f"{error.place}: {error.message}" for error in found.errors]
    told = [line for line in refused if not any(word in line for word in UNSAID)]
    assert converted >= 0.95 * (converted + len(told)), told
    assert selectors >= 0.8 * converted
