"""Rules and groups as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sloctl.model.quantities import ZERO, Duration


def in_order(labels: Mapping[str, str]) -> Mapping[str, str]:
    """Sorted by name; labels that are sorted already stay the same object, which is then rendered once."""
    return labels if list(labels) == sorted(labels) else dict(sorted(labels.items()))


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording rule."""

    record: str
    expr: str
    labels: Mapping[str, str]

    def value(self) -> dict[str, Any]:
        """As it stands in a rule file."""
        return {"record": self.record, "expr": self.expr, "labels": in_order(self.labels)}


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule."""

    alert: str
    expr: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    for_: Duration = ZERO
    keep_firing_for: Duration = ZERO

    def value(self) -> dict[str, Any]:
        """As it stands in a rule file; lengths of zero are left out."""
        lengths = {"for": self.for_, "keep_firing_for": self.keep_firing_for}
        return {
            "alert": self.alert,
            "expr": self.expr,
            **{key: str(length) for key, length in lengths.items() if length},
            "labels": in_order(self.labels),
            "annotations": in_order(self.annotations),
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated in order, together; each fails when it yields more than `limit` series."""

    name: str
    interval: Duration
    rules: tuple[Recording | Alert, ...] = field(default=())
    limit: int | None = None

    def value(self) -> dict[str, Any]:
        """As it stands in a rule file."""
        limit = {} if self.limit is None else {"limit": self.limit}
        return {
            "name": self.name,
            "interval": str(self.interval),
            **limit,
            "rules": [rule.value() for rule in self.rules],
        }
