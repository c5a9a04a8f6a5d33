"""`matchers` of a Platform and of a Service are added to every selector, wherever PromQL is written."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sloctl.diagnostics import Diagnostics
from sloctl.language.document import parse_documents
from sloctl.model.canary import MismatchCheck
from sloctl.model.catalogue import Platform, Service
from sloctl.model.selector import Matcher, MatchOperator, Selector
from sloctl.resolve import resolve

PLATFORM = """\
apiVersion: sloctl/v1
kind: Platform
name: shop
matchers: {environment: prod}
dashboards: {deploys: 'changes(deployment_generation[5m]) > 0'}
---
"""
SERVICE = """\
apiVersion: sloctl/v1
kind: Service
service: pay
matchers: {job: pay}
cost: sum(cost_per_hour)
slos:
  - name: availability
    objective: 99.9%
    sli: {ratio: {total: requests_total, bad_if: 'code=~"5.."'}}
    exclude_when: [maintenance]
    sla: {value: contract_value, credits: [{below: 99.9%, credit: 10%}]}
    alerts: none
  - name: latency
    objective: 99%
    sli: {latency: {histogram: duration_seconds, at_most: 200ms}}
    alerts: none
  - name: journey
    objective: 99%
    sli: {probe: {gauge: probe_success}}
    alerts: none
"""
CANARY = """\
  steps: [{weight: 5%, hold: 10m}, {weight: 100%}]
  checks:
    - {name: errors, slo: availability, error_rate: 1%}
    - {name: latency, slo: latency, quantile: 99%, worse_by: 30%}
    - {name: journey, slo: journey, error_rate: 1%}
    - {name: shadow, mismatches: mismatched_total, compared: [compared_total, 'compared_too_total{environment="prod"}']}
  after: {slo: availability, within: 5m, success: 99%}
"""
OWN = PLATFORM + SERVICE + "canary:\n" + CANARY
FROM_TEMPLATE = (
    PLATFORM
    + SERVICE
    + "uses: [careful]\n---\napiVersion: sloctl/v1\nkind: Template\nname: careful\ncanary:\n"
    + CANARY
)
PROD, PAY = Matcher("environment", MatchOperator.EQUAL, "prod"), Matcher("job", MatchOperator.EQUAL, "pay")


def resolved(text: str) -> tuple[Platform, list[str]]:
    found = Diagnostics()
    catalogue = resolve(parse_documents(text.encode(), "shop.yaml", found), found)
    return catalogue.platforms[0], [f"{finding.place}: {finding.message}; {finding.help}" for finding in found]


def of_service(service: Service) -> Iterator[Selector]:
    """Every selector of a service."""
    assert service.canary is not None
    assert service.cost is not None
    yield from service.cost.selectors
    for slo in service.slos:
        yield from slo.indicator.reads().selectors
        yield from (selector for expression in slo.exclude_when for selector in expression.selectors)
        if slo.sla is not None:
            yield slo.sla.value
    for check in service.canary.checks:
        if isinstance(check, MismatchCheck):
            yield from (*check.mismatches, *check.compared)


@pytest.mark.parametrize("text", [OWN, FROM_TEMPLATE], ids=["own canary", "canary of a template"])
def test_every_selector_of_a_service_has_the_matchers_once(text: str) -> None:
    platform, said = resolved(text)
    assert said == []
    matchers = {selector.metric: selector.matchers for selector in of_service(platform.services[0])}
    assert set(matchers) == {
        "requests_total", "duration_seconds_count", "probe_success", "maintenance", "contract_value", "cost_per_hour",
        "mismatched_total", "compared_total", "compared_too_total",
    }  # fmt: skip
    assert {metric: (found.count(PROD), found.count(PAY)) for metric, found in matchers.items()} == dict.fromkeys(
        matchers, (1, 1)
    )


def test_the_selector_that_marks_deployments_has_the_matchers_of_its_platform() -> None:
    platform, _ = resolved(OWN)
    deploys = platform.dashboards.deploys
    assert deploys is not None
    assert deploys.selectors == (Selector("deployment_generation", (PROD,)),)
    assert 'environment="prod"' in deploys.text


def test_a_counter_of_mismatches_that_matches_otherwise_is_refused() -> None:
    text = OWN.replace("mismatches: mismatched_total", "mismatches: 'mismatched_total{environment=\"staging\"}'")
    platform, said = resolved(text)
    assert platform.services[0].canary is None
    assert said == [
        "shop.yaml:33:34: this selector already matches `environment`, which `matchers` sets to 'prod'; "
        "remove it from the selector, or from `matchers`"
    ]
