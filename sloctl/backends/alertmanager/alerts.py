"""Every alert that the rules of a catalogue can raise, with the labels that routes see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sloctl import conventions
from sloctl.model.alerting import Severity
from sloctl.model.catalogue import Catalogue, Platform, Slo


@dataclass(frozen=True, slots=True)
class Raised:
    """One alert, without the values of its split labels, which only live data knows.

    Attributes:
        split: the names of its split labels.
    """

    name: str
    labels: Mapping[str, str]
    split: tuple[str, ...] = ()


def all_raised(catalogue: Catalogue) -> Iterator[Raised]:
    """The alerts of every platform."""
    for platform in catalogue.platforms:
        yield from raised(platform)


def raised(platform: Platform) -> Iterator[Raised]:
    """The alerts of one platform: of its SLOs, then about sloctl's own rules."""
    for slo in platform.slos:
        yield from _of_slo(platform, slo)
    labels = conventions.health_labels(platform)
    severity = {"severity": conventions.severity_word(platform, Severity.P2)}
    yield Raised(conventions.RULE_FAILURES, labels | severity)
    yield Raised(conventions.MISSED_EVALUATIONS, labels | severity)
    yield Raised(conventions.WATCHDOG, labels)


def _of_slo(platform: Platform, slo: Slo) -> Iterator[Raised]:
    split = split_labels(slo)
    for tier in slo.tiers:
        yield Raised(conventions.tier_alert(slo, tier), conventions.tier_labels(platform, slo, tier), split)

    def other(name: str, severity: Severity, tier: str, *by: str) -> Raised:
        word = conventions.severity_word(platform, severity)
        return Raised(name, conventions.alert_labels(slo, word, tier), by)

    if slo.forecast:
        yield other(conventions.forecast_alert(slo), slo.forecast.severity, conventions.FORECAST, *split)
    if slo.regression:
        yield other(conventions.regression_alert(slo), slo.regression.severity, conventions.REGRESSION, *split)
    yield other(conventions.blind_alert(slo), Severity.P2, conventions.BLIND, *split)
    if slo.by:
        yield other(conventions.too_many_series_alert(slo), Severity.P2, conventions.HEALTH)


def split_labels(slo: Slo) -> tuple[str, ...]:
    """The names that an SLO's split labels have on alerts."""
    return tuple(conventions.recorded_label(label) for label in slo.by)
