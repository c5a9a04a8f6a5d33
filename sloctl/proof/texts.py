"""What an alert's annotations say once Prometheus has expanded them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from math import floor
from typing import Any, Final
from urllib.parse import quote_plus

from sloctl import conventions
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import number
from sloctl.proof.proof import Rule
from sloctl.proof.recorded import own_series, recorded, split_of
from sloctl.proof.series import InputSeries, series_text

_ACTION: Final = re.compile(r"\{\{ (with|range) query .*?\{\{ end \}\}|\{\{ .*? \}\}")
_LASTS: Final = re.compile(r"`round\(([\d.]+) \* clamp_min\(1 - max\(")

LEFT_SECONDS: Final = 7200
SPENT: Final = Decimal("0.25")
CREDITS: Final = Decimal(1500)


def humanized_percentage(ratio: Decimal) -> str:
    """Prometheus' `humanizePercentage`."""
    return f"{float(ratio) * 100:.4g}%"


def _rounded(ratio: Decimal) -> str:
    """A ratio as a percentage with at most two digits after the point, without an exponent."""
    return number((ratio * 100).quantize(Decimal("0.01"), ROUND_HALF_UP).normalize())


def humanized_duration(seconds: int) -> str:
    """Prometheus' `humanizeDuration` of whole seconds."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    parts = [(days, "d"), (hour, "h"), (minute, "m"), (second, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count}{unit}" for count, unit in parts[first:])


def humanized(value: Decimal) -> str:
    """Prometheus' `humanize`: four digits and an SI prefix."""
    shown = float(value)
    if shown == 0:
        return "0"
    prefixes, factor = (["", "k", "M", "G"], 1 / 1000) if abs(shown) >= 1 else (["", "m", "u", "n"], 1000)
    while len(prefixes) > 1 and not 1 <= abs(shown) < 1000:
        prefixes, shown = prefixes[1:], shown * factor
    return f"{shown:.4g}{prefixes[0]}"


def asked_series(slo: Slo, split: Mapping[str, str], samples: int, *, spent: bool = True) -> InputSeries:
    """Recordings that annotations ask for, each constant with the value that the expected texts show."""
    owed = {"platform": slo.platform, "slo": slo.id, "service": slo.service, "currency": "USD"}
    consumed = {own_series(slo, conventions.budget_consumed(slo.window), split): SPENT} if spent else {}
    values = consumed | {
        own_series(slo, conventions.TIME_TO_EXHAUSTION, split): Decimal(LEFT_SECONDS),
        own_series(slo, conventions.TIME_TO_LIMIT, split): Decimal(LEFT_SECONDS),
        series_text(conventions.SLA_CREDITS, owed): CREDITS,
    }
    return {name: [value] * samples for name, value in values.items()}


def fired(
    slo: Slo, rule: Rule, split: Mapping[str, str], value: Decimal | None = None, spent: Decimal = SPENT
) -> dict[str, Any]:
    """An alert of an SLO with all its labels and texts, as promtool expects it."""
    labels = recorded(split)
    texts = expanded(rule["annotations"], value, recorded(split_of(slo, "")) | labels, spent)
    return {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": texts}


def expanded(
    annotations: Mapping[str, str], value: Decimal | None, split: Mapping[str, str], spent: Decimal = SPENT
) -> dict[str, str]:
    """The annotations of an alert with this value and these split labels."""

    def action(found: re.Match[str]) -> str:
        return _expanded(found[0], value, split, spent)

    return {name: _ACTION.sub(action, text) for name, text in annotations.items()}


def _expanded(action: str, value: Decimal | None, split: Mapping[str, str], spent: Decimal) -> str:
    shown = Decimal(0) if value is None else value
    if action == "{{ $value | humanizePercentage }}":
        return humanized_percentage(shown)
    if action == "{{ $value | humanize }}":
        return humanized(shown)
    for label, text in split.items():
        if action.startswith(f"{{{{ $labels.{label} "):
            return quote_plus(text) if "urlquery" in action else text
    if conventions.SLA_CREDITS in action:
        return f"{CREDITS:.2f} USD "
    if conventions.TIME_TO_EXHAUSTION in action or conventions.TIME_TO_LIMIT in action:
        return "2h 0m 0s"
    if whole := _LASTS.search(action):
        seconds = float(whole[1]) * max(0.0, float(1 - spent)) / float(shown)
        return humanized_duration(floor(seconds + 0.5))  # as Prometheus rounds
    if conventions.BUDGET_CONSUMED in action and "`round(100" in action:
        return f"{_rounded(1 - spent if '`round(100 - ' in action else spent)}%"
    if conventions.MEASURED_SINCE in action:
        return ""  # histories are those of SLOs that have been measured for a year
    raise AssertionError(f"an annotation holds an action that the proof does not know: {action}")
