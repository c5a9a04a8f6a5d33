"""What the templates `std/` are about, read from the templates themselves.

The selectors of a template say which metric there must be, which labels name what it is used for (those whose value is
a parameter), and which labels an error is told by. Nothing about a source stands anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sloctl.language.document import Template
from sloctl.language.std import std_names, std_template
from sloctl.model.selector import MatchOperator, Selector
from sloctl.promql.expressions import parse_expression
from sloctl.promql.lift import unit_in
from sloctl.promql.selectors import parse_matchers, parse_selector

GATEWAYS: Final = ("std/ingress-nginx", "std/traefik", "std/kong", "std/haproxy", "std/caddy", "std/envoy", "std/alb")
MESHES: Final = ("std/istio", "std/linkerd")
"""The layers in front of a service, the one nearest to its users first; everything else is the service itself."""


@dataclass(frozen=True, slots=True)
class Read:
    """One SLO of a template, as far as data tells about it.

    Attributes:
        name: of the SLO.
        kind: the key of its SLI.
        objective: the parameter that is its objective; empty where it is fixed.
        at_most: the parameter that is its bound; empty without one.
        selectors: what is read, by `total`, `bad`, `good`, `histogram` or `value`, without the matchers of parameters.
        counts: what a sample holds, as the specification has it; empty for running totals.
        unit: of the histogram's bounds; `s` or `ms`.
    """

    name: str
    kind: str
    objective: str
    at_most: str
    selectors: Mapping[str, Selector]
    counts: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One template.

    Attributes:
        template: its name, with `std/`.
        labels: the label that each parameter without a default is the value of, by parameter, in their order.
        chosen: the same for parameters with a default: one value is taken where there are several.
        needs: labels that some series must have.
        bounds: parameters that only a person can give.
        reads: its SLOs.
    """

    template: str
    labels: Mapping[str, str]
    chosen: Mapping[str, str]
    needs: tuple[str, ...]
    bounds: tuple[str, ...]
    reads: tuple[Read, ...]

    @property
    def first(self) -> Selector:
        """What must be there for the source to be there."""
        return next(iter(self.reads[0].selectors.values()))

    @property
    def metrics(self) -> frozenset[str]:
        """Every metric that it reads, with the names of a histogram's parts."""
        names = {selector.metric for read in self.reads for selector in read.selectors.values()}
        return frozenset(names | {f"{name}_{part}" for name in names for part in ("bucket", "count", "sum")})


@lru_cache(maxsize=1)
def sources() -> tuple[Source, ...]:
    """Every template, those in front of a service first."""
    order = {name: place for place, name in enumerate((*GATEWAYS, *MESHES))}
    return tuple(sorted(map(_source, std_names()), key=lambda source: order.get(source.template, len(order))))


def _source(name: str) -> Source:
    template = std_template(name)
    spec = template.spec
    assert isinstance(spec, Template)
    parameters: Mapping[str, Any] = spec.parameters or {}
    slos: Any = template.tree.find("slos")
    placed, needs, reads = dict[str, str](), dict[str, None](), list[Read]()
    for slo in slos:
        kind, sli = next(iter(slo["sli"].items()))
        selectors = dict(_selectors(kind, sli))
        for selector in selectors.values():
            placed |= {m.value[1:]: m.label for m in selector.matchers if m.value.startswith("$")}
        if "bad_if" in sli:
            matchers = parse_matchers(sli["bad_if"])
            needs |= dict.fromkeys(m.label for m in matchers if m.operator is not MatchOperator.NOT_EQUAL)
            selectors["bad"] = selectors["total"].narrowed(*matchers)
        histogram = selectors.get("histogram")
        reads.append(
            Read(
                slo["name"],
                kind,
                _parameter(slo["objective"]),
                _parameter(sli.get("at_most")),
                {side: _without_parameters(selector) for side, selector in selectors.items()},
                str(sli.get("counts", "")),
                sli.get("unit") or (unit_in(histogram.metric) or "" if histogram else ""),
            )
        )
    return Source(
        name,
        {name: placed[name] for name, default in parameters.items() if name in placed and default is None},
        {name: placed[name] for name, default in parameters.items() if name in placed and default is not None},
        tuple(needs),
        tuple(name for name, default in parameters.items() if default is None and name not in placed),
        tuple(reads),
    )


def _selectors(kind: str, sli: Mapping[str, Any]) -> Iterator[tuple[str, Selector]]:
    match kind:
        case "ratio":
            for side in ("total", "good", "bad"):
                if side in sli:
                    yield side, parse_selector(sli[side])
        case "latency":
            yield "histogram", parse_selector(sli["histogram"])
        case "threshold":
            yield "value", parse_expression(sli["value"]).selectors[0]
        case "saturation":
            yield "value", parse_selector(sli["used"])
            yield "capacity", parse_selector(sli["capacity"])
        case _:
            yield "value", parse_selector(sli["gauge"])


def _parameter(value: object) -> str:
    return value[1:] if isinstance(value, str) and value.startswith("$") else ""


def _without_parameters(selector: Selector) -> Selector:
    return selector._replace(matchers=tuple(m for m in selector.matchers if not m.value.startswith("$")))
