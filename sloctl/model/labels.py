"""The labels that sloctl sets itself, and how labels of the data stand beside them."""

from __future__ import annotations

from typing import Final

RESERVED_LABELS: Final = frozenset(
    {"sloctl", "platform", "service", "slo", "team", "severity", "burn_tier", "notify", "mode"}
    | {"alertname", "alertstate"}
    | {"le", "quantile", "period"}
)


def recorded_label(label: str) -> str:
    """The name that a split label has on recordings: reserved names are moved out of the way."""
    return f"exported_{label}" if label in RESERVED_LABELS else label
