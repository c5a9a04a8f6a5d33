"""The tables of docs/specification.md, from the models that validate specifications: `python -m tools.reference`.

A table stands between `<!-- table: Model -->` and `<!-- end -->`; `--check` writes nothing and exits with 1 when a
table is not what the models say.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sloctl.language import alerting, document, indicators, ownership, rollout
from sloctl.language.fields import Written
from sloctl.language.values import Read

PAGE: Final = Path(__file__).parents[1] / "docs" / "specification.md"
_TABLE: Final = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

MODELS: Final[Mapping[str, type[Written]]] = {
    model.__name__: model
    for module in (alerting, document, indicators, ownership, rollout)
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, Written) and model is not Written
}

DEFAULTS: Final[Mapping[str, str]] = {
    "Platform.window": "`30d`",
    "Platform.alerts": "`google`",
    "Platform.scrape_interval": "`30s`",
    "Platform.new_series": "`count_if_up`",
    "Platform.mode": "`page`",
    "Platform.resolution": "`1m`",
    "Platform.target_labels": "`[job, instance]`",
    "Platform.scrape_timeout": "`10s`, or `scrape_interval` where that is shorter",
    "Platform.inhibition": "`alertmanager`",
    "Platform.pagerduty": "`per-team-key`",
    "Severities.P1": "`P1`",
    "Severities.P2": "`P2`",
    "Severities.P3": "`P3`",
    "Texts.summary": "built in",
    "Texts.description": "built in",
    "Slo.by": "`[]`",
    "Slo.max_series": "`1000`",
    "Slo.exclude_when": "`[]`",
    "Slo.enabled": "`true`",
    "Tier.for": "`0s`",
    "Tier.keep_firing_for": "`5m` for P1, else `0s`",
    "Tier.min_events": "`0`",
    "Tier.min_bad": "`3` where slices are counted, else `0`",
    "Tier.guard": "`statistical` for ratio, latency and query, else `none`",
    "Ratio.counts": "`counter`",
    "Throughput.counts": "`counter`",
    "Throughput.across": "`sum`",
    "Probe.across": "`each`",
    "Freshness.across": "`each`",
    "Threshold.across": "`each`",
    "Latency.native": "`false`",
    "Latency.unit": "what the histogram's name ends with",
    "Forecast.from": "`14d`",
    "Forecast.to": "`100%` for saturation, the bound of the SLI for threshold",
    "Forecast.severity": "`P3`",
    "Regression.min_events": "`1000`",
    "Sla.window": "`{calendar: month}`",
    "Sla.currency": "`USD`",
    "Calendar.time_zone": "`UTC`",
    "OfficeHours.time_zone": "`UTC`",
    "Step.deadline": "twice `hold`",
    "Check.needs": "`any`",
    "Check.shared": "`hold`",
    "Check.mismatch_rate": "`0%`",
    "Check.settle": "`30s`",
    "Canary.arms": "Argo's hash of the pod template",
    "Canary.when_missing": "`hold`",
    "Approval.first_deployments": "`0`",
    "Alpha.rollback": "`0.01`",
    "Alpha.promote": "`0.01`",
    "Parity.numbers": "`0.1%`",
    "Parity.categories": "`exact`",
}
"""What holds where a key is not written, by model and key; a test compares them with what is resolved."""


def page(text: str) -> str:
    """The page with its tables as the models have them."""
    return _TABLE.sub(lambda found: f"{found[1]}{table(MODELS[found[2]])}{found[3]}", text)


def table(model: type[Written]) -> str:
    """One row a key, in the order of the model."""
    hints = get_type_hints(model, include_extras=True)
    ordered = sorted(model.model_fields.items(), key=lambda item: not item[1].is_required())
    rows = [_row(model, name, field, hints[name]) for name, field in ordered]
    return "| key | type | default | meaning |\n|---|---|---|---|\n" + "".join(f"{row}\n" for row in rows)


def _row(model: type[Written], name: str, field: FieldInfo, hint: Any) -> str:
    key = field.alias or name
    cells = [f"`{key}`", type_name(hint), default(model, key, field), field.description or ""]
    return f"| {' | '.join(cells)} |"


def default(model: type[Written], key: str, field: FieldInfo) -> str:
    """What holds where the key is not written."""
    if field.is_required():
        return "required"
    inherits = issubclass(model, document.Service | document.Slo) and key in document.Inheritable.model_fields
    if inherits and key != "description":
        return "inherited"
    return DEFAULTS.get(f"{model.__name__}.{key}", "")


def type_name(hint: Any) -> str:
    """A type in the words of the reference."""
    return " or ".join(dict.fromkeys(_names(hint)))


def _names(hint: Any) -> Iterator[str]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        yield from _annotated(arguments)
    elif origin in (Union, types.UnionType):
        for one in arguments:
            yield from _names(one)
    elif origin is Literal:
        yield ", ".join(f"`{word}`" for word in arguments)
    elif origin is tuple:
        inner = type_name(arguments[0])
        yield f"list of ({inner})" if " or " in inner else f"list of {inner}"
    elif origin is dict:
        yield f"{type_name(arguments[0])} → {type_name(arguments[1])}"
    elif isinstance(hint, type) and issubclass(hint, BaseModel):
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", hint.__name__)
        yield f"[{words}](#{words.lower().replace(' ', '-')})"
    elif hint is object:
        yield "any value"
    elif hint is not types.NoneType:
        raise TypeError(f"{hint} has no name in the reference: annotate it with `Read`")


def _annotated(arguments: tuple[Any, ...]) -> Iterator[str]:
    """The name that the type was given, the last one first, or that of the type inside."""
    for mark in reversed(arguments[1:]):
        if isinstance(mark, Read):
            yield mark.called
            return
    yield from _names(arguments[0])


def main(arguments: list[str]) -> int:
    text = PAGE.read_text(encoding="utf-8")
    new = page(text)
    if new != text and "--check" not in arguments:
        PAGE.write_text(new, encoding="utf-8")
    return int(new != text and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
