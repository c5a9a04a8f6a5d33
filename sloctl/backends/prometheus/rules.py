"""Rules and groups as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sloctl.conventions.inventory import Alert, Recording
from sloctl.model.quantities import ZERO, Duration


class RecordingRule(NamedTuple):
    """A recording with its expression."""

    recording: Recording
    expr: str

    def value(self) -> dict[str, Any]:
        """As it stands in a rule file."""
        return {"record": self.recording.name, "expr": self.expr, "labels": self.recording.labels}


class AlertingRule(NamedTuple):
    """An alert with its expression and texts."""

    alert: Alert
    expr: str
    annotations: Mapping[str, str]
    for_: Duration = ZERO
    keep_firing_for: Duration = ZERO

    def value(self) -> dict[str, Any]:
        """As it stands in a rule file; lengths of zero are left out."""
        lengths = {"for": self.for_, "keep_firing_for": self.keep_firing_for}
        return {
            "alert": self.alert.name,
            "expr": self.expr,
            **{key: str(length) for key, length in lengths.items() if length},
            "labels": self.alert.labels,
            "annotations": dict(sorted(self.annotations.items())),
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated in order, together; each fails when it yields more than `limit` series."""

    name: str
    interval: Duration
    rules: tuple[RecordingRule | AlertingRule, ...]
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
