"""Canaries from documents: defaults, and what is refused with its place."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sloctl.diagnostics import Diagnostics
from sloctl.language.document import parse_documents
from sloctl.model.canary import Canary, MismatchCheck, SloCheck, WhenMissing
from sloctl.model.quantities import Duration
from sloctl.promql.selectors import matchers_text
from sloctl.resolve import resolve

SERVICE = """\
apiVersion: sloctl/v1
kind: Service
service: pay
slos:
  - name: availability
    objective: 99.9%
    sli: {ratio: {total: 'requests_total{job="pay"}', bad_if: 'code=~"5.."'}}
    alerts: none
  - name: latency
    objective: 99%
    sli: {latency: {histogram: duration_seconds, at_most: 200ms}}
    alerts: none
  - name: pushed
    objective: 99%
    sli: {ratio: {total: pushed_sum, bad: failed_sum, counts: per_5m}}
    alerts: none
  - name: fill
    objective: 99%
    sli: {saturation: {used: used_bytes, capacity: capacity_bytes, at_most: 80%}}
    alerts: none
  - {name: lag, objective: 99%, alerts: none, sli: {threshold: {value: max(lag), at_most: 1000}}}
canary:
"""
STEPS = "  steps: [{weight: 5%, hold: 10m}, {weight: 100%}]\n"


def resolved(canary: str) -> tuple[Canary | None, list[str]]:
    found = Diagnostics()
    documents = parse_documents((SERVICE + canary).encode(), "pay.yaml", found)
    catalogue = resolve(documents, found)
    said = [f"{finding.place}: {finding.message}; {finding.help}" for finding in found]
    services = [service for platform in catalogue.platforms for service in platform.services]
    return (services[0].canary if services else None), said


def test_defaults() -> None:
    made, said = resolved(STEPS + "  checks: [{name: errors, slo: availability, error_rate: 0.5%}]\n")
    assert said == []
    assert made is not None
    assert matchers_text(made.arms.canary) == 'rollouts_pod_template_hash="$canary"'
    assert matchers_text(made.arms.baseline) == 'rollouts_pod_template_hash="$stable"'
    assert made.steps[0].deadline == Duration.of(minutes=20)
    assert (made.alpha.rollback, made.alpha.promote) == (Decimal("0.01"), Decimal("0.01"))
    assert (made.when_missing, made.group, made.after) == (WhenMissing.HOLD, None, None)
    assert isinstance(made.checks[0], SloCheck)
    assert (made.checks[0].error_rate, made.checks[0].worse_by) == (Decimal("0.005"), None)


def test_every_key() -> None:
    made, said = resolved(
        "  arms: {canary: 'version=\"$canary\"', baseline: 'version=\"$stable\"'}\n"
        + STEPS
        + "  alpha: {rollback: 0.001}\n  approval: {first_deployments: 3}\n  group: money\n  when_missing: rollback\n"
        "  warm_up: 60s\n"
        "  checks:\n    - {name: latency, slo: latency, quantile: 99%, worse_by: 30%}\n"
        "    - {name: ledger, mismatches: mismatch_total, compared: compared_total, settle: 10s}\n"
        "  after: {slo: availability, by: [route], within: 5m, success: 100%}\n"
        "  parity: {key: id}\n"
    )
    assert said == []
    assert made is not None
    assert (made.alpha.rollback, made.alpha.promote) == (Decimal("0.001"), Decimal("0.01"))
    assert (made.first_deployments, made.group, made.when_missing) == (3, "money", WhenMissing.ROLLBACK)
    assert made.warm_up == Duration.of(seconds=60)
    assert isinstance(made.checks[1], MismatchCheck)
    assert (made.checks[1].settle, made.checks[1].mismatch_rate) == (Duration.of(seconds=10), Decimal(0))
    assert made.after is not None
    assert made.after.success == 1
    assert made.parity is not None
    assert made.parity.numbers == Decimal("0.001")


@pytest.mark.parametrize(
    ("canary", "said"),
    [
        (STEPS + "  checks: [{name: e, slo: availabilty, error_rate: 1%}]\n",
         "pay.yaml:24:27: this service has no SLO `availabilty`; did you mean `availability`?"),
        (STEPS + "  checks: [{name: e, slo: availability, quantile: 99%, worse_by: 1%}]\n",
         "pay.yaml:24:51: `availability` has no quantile: it counts no latencies; "
         "name an SLO with `latency`, or remove `quantile`"),
        (STEPS + "  checks: [{name: e, slo: pushed, error_rate: 1%}]\n",
         "pay.yaml:24:27: `pushed` counts no running totals, which is what a canary compares; "
         "name an SLO on counters"),
        (STEPS + "  checks: [{name: e, slo: fill, error_rate: 1%}]\n",
         "pay.yaml:24:27: a canary cannot judge `fill`: its slices belong to both versions; "
         "name an SLO with `ratio`, `latency` or `probe`"),
        (STEPS + "  checks: [{name: e, slo: lag, error_rate: 1%, worse_by: 0%}]\n",
         "pay.yaml:24:58: `lag` belongs to both versions, so there is nothing to compare; remove `worse_by`"),
        (STEPS + "  checks: [{name: e, slo: availability, within: [job], worse_by: 1%}]\n",
         "pay.yaml:24:49: `within` splits by `job`, but a matcher fixes it; "
         "remove the label here or the matcher there"),
        (STEPS + "  checks: [{name: e, slo: lag, worse_by: 0%}]\n",
         "pay.yaml:24:27: `lag` belongs to both versions, so there is nothing to compare; "
         "write `error_rate`, and no `worse_by`"),
        (STEPS + "  checks: [{name: e, slo: availability, by: [job], error_rate: 1%}]\n",
         "pay.yaml:24:45: `by` splits by `job`, but a matcher fixes it; "
         "remove the label here or the matcher there"),
        ("  arms: {canary: 'version=\"new\"', baseline: 'version=\"$stable\"'}\n" + STEPS
         + "  checks: [{name: e, slo: availability, error_rate: 1%}]\n",
         "pay.yaml:23:18: nothing here tells the canary apart; write $canary where the hash of its pods stands, "
         'such as rollouts_pod_template_hash="$canary"; or labels in both arms that exclude each other'),
        ("  arms: {canary: 'role=~\"a|b\"', baseline: 'role=\"b\"'}\n" + STEPS
         + "  checks: [{name: e, slo: availability, error_rate: 1%}]\n",
         "pay.yaml:23:18: nothing here tells the canary apart; write $canary where the hash of its pods stands, "
         'such as rollouts_pod_template_hash="$canary"; or labels in both arms that exclude each other'),
        ("  arms: {canary: 'job=\"$canary\"', baseline: 'job=\"$stable\"'}\n" + STEPS
         + "  checks: [{name: e, slo: availability, error_rate: 1%}]\n",
         "pay.yaml:25:27: `availability` fixes `job`, which tells the arms apart; "
         "remove the matcher from the SLI, or use another label"),
        ("  arms: {canary: 'v=\"$canary$x\"', baseline: 'v=\"$stable\"'}\n" + STEPS
         + "  checks: [{name: e, slo: availability, error_rate: 1%}]\n",
         "pay.yaml:23:18: there is no placeholder `$x`; write $canary or $stable"),
        (STEPS + "  checks: [{name: e, slo: availability, error_rate: 1%}]\n"
         "  after: {slo: nothing, within: 5m, success: 100%}\n",
         "pay.yaml:25:16: this service has no SLO `nothing`; "
         "write one of its SLOs: availability, fill, lag, latency, pushed"),
    ],
)  # fmt: skip
def test_what_a_canary_cannot_be(canary: str, said: str) -> None:
    made, found = resolved(canary)
    assert made is None
    assert said in found


@pytest.mark.parametrize(
    ("canary", "baseline", "by_hash"),
    [
        ('role="canary"', 'role="stable"', True),
        ('service="app.pay-canary.80"', 'service=~"app.pay-primary.80|app.pay.80"', True),
        ('role="canary"', 'role!="canary"', True),
        ('pod=~"pay-$canary-.*"', 'pod=~"pay-$stable-.*"', True),
        ('replicaset="pay-$canary"', 'replicaset="pay-$stable"', True),
        ('pod_template_hash="$canary"', 'pod_template_hash="$stable"', True),
        ('version="$canary"', 'version="$stable"', False),
    ],
)
def test_arms_are_told_apart_by_names_of_versions_or_by_fixed_labels(canary: str, baseline: str, by_hash: bool) -> None:
    checks = "  checks: [{name: errors, slo: availability, error_rate: 0.5%}]\n"
    made, said = resolved(f"  arms: {{canary: '{canary}', baseline: '{baseline}'}}\n{STEPS}{checks}")
    assert said == []
    assert made is not None
    assert made.arms.named_by_hash is by_hash
    assert made.arms.are_fixed is ("$" not in canary)
