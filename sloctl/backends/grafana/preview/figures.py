"""How one series or column is shown: numbers with units, words instead of values, colours by threshold."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from sloctl.backends.grafana.panels import Json

_LENGTHS: Final = (
    (31_536_000, "years"),
    (604_800, "weeks"),
    (86_400, "days"),
    (3600, "hours"),
    (60, "min"),
    (1, "s"),
    (0.001, "ms"),
    (0.000_001, "µs"),
)
_SIZES: Final = ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " K"))
_COLORS: Final = {
    "green": "#1a7f4b",
    "yellow": "#b58900",
    "orange": "#c4570a",
    "red": "#d1242f",
    "dark-red": "#a40e26",
    "blue": "#1f60c4",
    "purple": "#6f42c1",
}


def color_of(name: str) -> str:
    """A colour of Grafana's as it is drawn here: dark enough for white text."""
    return name if name.startswith("#") else _COLORS[name]


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """A number with its unit, short enough for a panel."""
    if math.isnan(value):
        return "no events"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    match unit:
        case "percentunit":
            return f"{_fixed(value * 100, decimals, 2)}%"
        case "s" | "ms":
            return _length(value / (1000 if unit == "ms" else 1), decimals)
        case "currencyUSD":
            return f"{'-' if value < 0 else ''}${_sized(abs(value), decimals)}"
        case "reqps":
            return f"{_sized(value, decimals)} req/s"
        case "cps":
            return f"{_sized(value, decimals)} /s"
        case _ if unit.startswith("suffix:"):
            return f"{_sized(value, decimals)}{unit.removeprefix('suffix:')}"
        case _:
            return _sized(value, decimals)


def _length(seconds: float, decimals: int | None) -> str:
    if seconds == 0:
        return "0 s"
    size, name = next(((size, name) for size, name in _LENGTHS if abs(seconds) >= size), _LENGTHS[-1])
    return f"{_fixed(seconds / size, decimals, 1)} {name}"


def _sized(value: float, decimals: int | None) -> str:
    size, name = next(((size, name) for size, name in _SIZES if abs(value) >= size), (1, ""))
    if 0 < abs(value) < 0.01 and decimals is None:
        return f"{Decimal(f'{value:.2g}'):f}"
    return _fixed(value / size, decimals, 3 if size == 1 else 2) + name


def _fixed(value: float, decimals: int | None, at_most: int) -> str:
    """With the wanted decimals, or with so many at most and without trailing zeros."""
    if decimals is not None:
        return f"{value:.{decimals}f}"
    text = f"{value:.{at_most}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def threshold_color(value: float, thresholds: Json) -> str:
    """The colour of the last step that the value reaches."""
    steps: Sequence[Json] = thresholds["steps"]
    reached = [step for step in steps if step["value"] is None or value >= step["value"]]
    return color_of(str(reached[-1]["color"]))


def word(value: float | str | None, mappings: Sequence[Json]) -> Json | None:
    """What is shown instead of a value: `text` and perhaps `color`."""
    for mapping in mappings:
        options = mapping["options"]
        match mapping["type"]:
            case "value":
                key = value if isinstance(value, str) else _key(value)
                if key in options:
                    found: Json = options[key]
                    return found
            case "range" if isinstance(value, int | float) and not math.isnan(value) and value >= options["from"]:
                result: Json = options["result"]
                return result
            case "special" if value is None or (isinstance(value, float) and math.isnan(value)):
                special: Json = options["result"]
                return special
    return None


def _key(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)


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
