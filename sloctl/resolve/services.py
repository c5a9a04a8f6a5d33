"""Services and their SLOs, with inheritance applied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.model.alerting import Mode
from sloctl.model.catalogue import Service, Slo
from sloctl.model.indicator import Indicator, counts_events
from sloctl.model.ownership import Team
from sloctl.model.quantities import DAY, Duration, Objective, Rate
from sloctl.model.window import RollingWindow, Window
from sloctl.resolve import alerts, codes, indicators, platforms
from sloctl.resolve.layers import Layer, Layers
from sloctl.resolve.platforms import Scope
from sloctl.spec import document
from sloctl.spec.alerting import Calendar
from sloctl.spec.document import Document

_DEFAULT_WINDOW: Final = RollingWindow(DAY * 30)
_ANY_OBJECTIVE: Final = Objective(Decimal("0.999"))
"""Stands in where none is written, so that the alerts are read all the same and every problem is shown at once."""
_NOT_YET: Final = ("timeslices", "exclude_when", "forecast", "regression", "sla")


@dataclass(frozen=True, slots=True)
class _Owner:
    """A service while it is resolved."""

    scope: Scope
    spec: document.Service
    layer: Layer
    found: Diagnostics

    @property
    def layers(self) -> Layers:
        return self.scope.layers.above(self.layer)


def service(scope: Scope, written: Document, found: Diagnostics) -> Service | None:
    """One service, or None with the reasons in `found`."""
    spec = written.spec
    assert isinstance(spec, document.Service)
    owner = _Owner(scope, spec, Layer(spec, written), found)
    if spec.uses:
        found.error(codes.NOT_YET, written.key_place("uses"), "`uses` is not compiled by this version", "write `slos`")
    slos = [_slo(owner, index, one) for index, one in enumerate(spec.slos or ())]
    return Service(
        name=spec.service,
        team=owner.layers.value("team"),
        slos=tuple(slo for slo in slos if slo is not None),
        place=written.place("service"),
        path=written.path,
        description=spec.description or "",
        runbook=owner.layers.value("runbook"),
        sources=tuple(sorted({written.path, *scope.sources})),
    )


def _slo(owner: _Owner, index: int, spec: document.Slo) -> Slo | None:
    if spec.enabled is False:
        return None
    layer = Layer(spec, owner.layer.document, ("slos", index))
    layers = owner.layers.above(layer)
    _refuse_what_is_not_compiled(spec, layer, owner.found)
    objective = _objective(spec, layer, owner.found)
    indicator = _indicator(owner, spec, layer)
    window = _window(layers, owner.found)
    sampling = platforms.sampling(layers, owner.found)
    reading = alerts.Reading(
        scope=owner.scope,
        found=owner.found,
        objective=objective or _ANY_OBJECTIVE,
        window=window or _DEFAULT_WINDOW,
        resolution=sampling.resolution,
        slices=indicator is not None and not counts_events(indicator),
        team=_team(owner, layers),
    )
    alerting = reading.tiers(layers.source("alerts"))
    labels = _labels(layers, spec.by or (), owner.found)
    if objective is None or indicator is None or window is None:
        return None
    return Slo(
        platform=owner.scope.name,
        service=owner.spec.service,
        name=spec.name,
        objective=objective,
        indicator=indicator,
        window=window,
        tiers=alerting.tiers,
        left_out=alerting.left_out,
        sampling=sampling,
        mode=Mode(layers.value("mode", "page")),
        place=layer.place("name"),
        description=spec.description or "",
        by=spec.by or (),
        max_series=spec.max_series or 1000,
        traffic=None if spec.traffic is None else Rate(spec.traffic.events, Duration(spec.traffic.per_milliseconds)),
        team=layers.value("team"),
        runbook=layers.value("runbook"),
        labels=labels,
        annotations=dict(spec.annotations or {}),
        places=dict(_places(layers)),
    )


def _refuse_what_is_not_compiled(spec: document.Slo, layer: Layer, found: Diagnostics) -> None:
    for key in _NOT_YET:
        if key in spec.model_fields_set:
            found.error(codes.NOT_YET, layer.key_place(key), f"`{key}` is not compiled by this version", "remove it")


def _objective(spec: document.Slo, layer: Layer, found: Diagnostics) -> Objective | None:
    if spec.objective is None:
        message = f"`{spec.name}` has no objective"
        found.error(codes.MISSING_KEY, layer.place("name"), message, "add `objective: 99.9%`, the share of good events")
        return None
    return Objective(spec.objective)


def _indicator(owner: _Owner, spec: document.Slo, layer: Layer) -> Indicator | None:
    """What is counted; `sli: NAME` reads the selectors of that SLO, split by this one's labels."""
    match spec.sli:
        case None:
            message = f"`{spec.name}` does not say what is counted"
            help_ = "add `sli: {ratio: {total: 'requests_total{...}', bad_if: 'code=~\"5..\"'}}`"
            owner.found.error(codes.MISSING_KEY, layer.place("name"), message, help_)
            return None
        case str(name):
            source = _referred(owner, name, layer)
        case _:
            source = layer
    if source is None:
        return None
    written = source.spec
    assert isinstance(written, document.Slo)
    if written.sli is None or isinstance(written.sli, str):
        return None
    matchers = {
        label: (value, origin.place("matchers", label))
        for label, (value, origin) in owner.layers.merged("matchers").items()
    }
    return indicators.Reading(source, owner.found, matchers, spec.by or ()).indicator(written.sli)


def _referred(owner: _Owner, name: str, layer: Layer) -> Layer | None:
    others = {one.name: index for index, one in enumerate(owner.spec.slos or ())}
    if name in others:
        slos = owner.spec.slos or ()
        target = Layer(slos[others[name]], owner.layer.document, ("slos", others[name]))
        if not isinstance(slos[others[name]].sli, str):
            return target
        message, help_ = f"`{name}` itself refers to another SLO", "name the SLO that has the selectors"
    else:
        known = ", ".join(sorted(set(others) - {getattr(layer.spec, "name", "")}))
        message = f"this service has no SLO `{name}`"
        help_ = f"write one of {known}, or an SLI" if known else "write an SLI, such as `{ratio: {...}}`"
    owner.found.error(codes.UNKNOWN_SLI, layer.place("sli"), message, help_)
    return None


def _window(layers: Layers, found: Diagnostics) -> Window | None:
    written = layers.value("window")
    if isinstance(written, Calendar):
        place = layers.place("window")
        assert place is not None
        found.error(codes.NOT_YET, place, "calendar windows are not compiled by this version", "write `window: 30d`")
        return None
    return _DEFAULT_WINDOW if written is None else RollingWindow(Duration(written))


def _team(owner: _Owner, layers: Layers) -> Team | None:
    name, teams = layers.value("team"), owner.scope.teams
    if name is None or not teams or name in teams:
        return teams.get(name) if name is not None else None
    place = layers.place("team")
    assert place is not None
    related = [Related(team.place, "teams are named here") for team in teams.values()][:1]
    message = f"`{name}` is not a team of platform `{owner.scope.name}`"
    owner.found.error(codes.UNKNOWN_TEAM, place, message, f"write one of {', '.join(sorted(teams))}", *related)
    return None


def _labels(layers: Layers, by: tuple[str, ...], found: Diagnostics) -> dict[str, str]:
    labels = layers.merged("labels")
    for label in set(labels) & set(by):
        place = labels[label][1].key_place("labels", label)
        message = f"`{label}` is a label of `by`, whose values come from the data"
        found.error(codes.SPLIT_LABEL, place, message, "remove it here, or from `by`")
    return {label: value for label, (value, _) in sorted(labels.items())}


def _places(layers: Layers) -> Iterator[tuple[str, Place]]:
    """Where each key in force was written."""
    keys = dict.fromkeys(key for layer in layers.stack for key in layer.spec.model_fields_set)
    for key in keys:
        place = layers.place(key)
        if place is not None:
            yield key, place
