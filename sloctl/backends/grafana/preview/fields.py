"""How one series or column is shown: its panel's defaults with the overrides that name it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sloctl.backends.grafana.panels import Json
from sloctl.backends.grafana.preview.figures import color_of, shown, threshold_color, word


@dataclass(frozen=True, slots=True)
class Look:
    """What a viewer sees of one value; `color` is None where nothing colours it."""

    text: str
    color: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """The settings in force for one series or column."""

    name: str
    unit: str
    decimals: int | None
    thresholds: Json
    mappings: Sequence[Json]
    no_value: str
    fixed_color: str | None
    dashed: bool
    background: bool
    hidden: bool
    link: Json | None

    def look(self, value: float | str | None) -> Look:
        """A value as text, with its colour."""
        if (found := word(value, self.mappings)) is not None:
            return Look(found["text"], color_of(found["color"]) if "color" in found else None)
        if value is None:
            return Look("")
        if isinstance(value, str):
            return Look(value)
        return Look(shown(value, self.unit, self.decimals), threshold_color(value, self.thresholds))


def field_of(panel: Json, name: str) -> Field:
    """The settings of a panel for one name."""
    defaults = panel["fieldConfig"]["defaults"]
    found: dict[str, Any] = {"unit": defaults["unit"], "decimals": defaults.get("decimals")}
    found |= {"thresholds": defaults["thresholds"], "mappings": defaults["mappings"]}
    for override in panel["fieldConfig"]["overrides"]:
        if _matches(override["matcher"], name):
            found |= {prop["id"]: prop["value"] for prop in override["properties"]}
    color = found.get("color", {}).get("fixedColor")
    return Field(
        name,
        found["unit"],
        found["decimals"],
        found["thresholds"],
        found["mappings"],
        defaults["noValue"],
        color_of(color) if color else None,
        dashed="custom.lineStyle" in found,
        background="custom.cellOptions" in found,
        hidden="custom.hidden" in found,
        link=found["links"][0] if found.get("links") else None,
    )


def _matches(matcher: Json, name: str) -> bool:
    options = str(matcher["options"])
    if matcher["id"] == "byRegexp":
        return re.search(options.strip("/"), name) is not None
    return options == name
