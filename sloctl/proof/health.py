"""Proofs of the alerts about sloctl's own rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sloctl import conventions
from sloctl.backends.prometheus.alerts import health_group
from sloctl.model.catalogue import Platform
from sloctl.model.quantities import MINUTE, Duration
from sloctl.proof.proof import Case, Expected, Proof, Rule
from sloctl.proof.series import Raw, series_text

_COUNTERS: Final = {
    conventions.RULE_FAILURES: ("prometheus_rule_evaluation_failures_total", MINUTE * 15),
    conventions.MISSED_EVALUATIONS: ("prometheus_rule_group_iterations_missed_total", MINUTE * 60),
}
_ONE: Final = 5
"""The minute in which a counter counts one."""


def health_proofs(platform: Platform, seen: Sequence[Rule]) -> Iterator[Proof]:
    """One failure, or one skipped evaluation, is told for as long as its window holds; the watchdog always."""
    meant = {rule["alert"]: rule for rule in health_group(platform).value()["rules"]}
    found = {rule["alert"]: rule for rule in seen if rule.get("alert") in meant}
    for name, alert in meant.items():
        case = _counted(platform, alert, *_COUNTERS[name]) if name in _COUNTERS else _always(alert)
        rules = [found[name]] if name in found else []
        refuted = "" if rules else f"the rule file has no rule {name}"
        yield Proof(f"{platform.name}/health", name, MINUTE, rules, [case], refuted=refuted)


def _always(alert: Rule) -> Case:
    name, told = alert["alert"], {"exp_labels": alert["labels"], "exp_annotations": alert["annotations"]}
    alerts: list[Expected] = [(MINUTE * minute, name, [told]) for minute in (0, 2)]
    return Case("always fires", MINUTE, {"up": [Decimal(1)] * 3}, alerts)


def _counted(platform: Platform, alert: Rule, metric: str, window: Duration) -> Case:
    """A counter of this platform's rules, and one of another's."""
    group = f"/etc/prometheus/rules.yaml;slo-{platform.name}-api-fast"
    other = f"/etc/prometheus/rules.yaml;slo-other-{platform.name}-api-fast"
    count = int(window / MINUTE) + _ONE + 5
    series: Raw = {
        series_text(metric, {"rule_group": group}): [Decimal(minute >= _ONE) for minute in range(count)],
        series_text(metric, {"rule_group": other}): [Decimal(minute) for minute in range(count)],
    }
    told = _told(alert, group)
    last = MINUTE * (_ONE - 1) + window
    alerts: list[Expected] = [
        (MINUTE * (_ONE - 1), alert["alert"], []),
        (MINUTE * _ONE, alert["alert"], [told]),
        (last - MINUTE, alert["alert"], [told]),
        (last + MINUTE * 2, alert["alert"], []),
    ]
    return Case("one is told, of this platform's rules only", MINUTE, series, alerts)


def _told(alert: Rule, group: str) -> Mapping[str, Any]:
    texts = {name: text.replace("{{ $labels.rule_group }}", group) for name, text in alert["annotations"].items()}
    return {"exp_labels": {**alert["labels"], "rule_group": group}, "exp_annotations": texts}
