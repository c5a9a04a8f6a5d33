"""One SLO with every value in force."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sloctl.diagnostics import Diagnostics, Place
from sloctl.language import alerting as written_alerting
from sloctl.language.indicators import Sli
from sloctl.language.problems import did_you_mean
from sloctl.language.tree import Key
from sloctl.model.alerting import Credit, Forecast, Regression, Sla
from sloctl.model.catalogue import Sampling, Slo
from sloctl.model.indicator import (
    Indicator,
    Latency,
    PerSecond,
    Query,
    Ratio,
    Saturation,
    Threshold,
    Throughput,
    counts_events,
)
from sloctl.model.ownership import Team
from sloctl.model.periods import zone_names
from sloctl.model.quantities import DAY, Duration, Objective
from sloctl.model.selector import Expression
from sloctl.model.window import CalendarWindow, RollingWindow, Window
from sloctl.promql.expressions import needs_two_samples
from sloctl.resolve import alerts, codes, indicators, platforms
from sloctl.resolve.building import built
from sloctl.resolve.layers import Layer, Layers, Places
from sloctl.resolve.platforms import PlatformScope

# These stand in where none is written, so that the alerts are read all the same and every problem is shown at once.
_ANY_OBJECTIVE: Final = Objective(Decimal("0.999"))
_ANY_WINDOW: Final = RollingWindow(DAY * 30)


@dataclass(frozen=True, slots=True)
class Draft:
    """An SLO of a service before its values are read.

    Attributes:
        own: its own mappings, nearest first: the service's, then the template's.
        layers: these with those of the service and of the platforms in their order.
    """

    service: str
    name: str
    own: tuple[Layer, ...]
    layers: Layers
    scope: PlatformScope
    found: Diagnostics

    @property
    def place(self) -> Place:
        """Where its name stands."""
        return self.own[0].place("name")

    @property
    def by(self) -> tuple[str, ...]:
        """The labels it is split by."""
        labels: tuple[str, ...] = self.layers.value("by")
        return labels

    @property
    def sli(self) -> Sli | str | None:
        """What is counted, as written."""
        sli: Sli | str | None = self.layers.value("sli")
        return sli

    @property
    def enabled(self) -> bool:
        """Whether it exists at all."""
        return bool(self.layers.value("enabled"))

    def error(self, code: str, message: str, help_: str, *keys: Key) -> None:
        """An error at the place where the value at this path was written, or at the SLO's name."""
        layer, path = self.layers.source(str(keys[0])), keys
        if layer is None:
            layer, path = self.own[0], ("name",)
        self.found.error(code, layer.place(*path), message, help_, *layer.related)

    def reading(self, layer: Layer) -> indicators.IndicatorReading:
        """How PromQL in `layer` is read for this SLO."""
        buckets = {name: bounds for name, (bounds, _) in self.layers.merged("buckets").items()}
        return indicators.IndicatorReading(layer, self.found, self.layers.matchers, self.by, buckets=buckets)


def resolve_slo(draft: Draft, siblings: dict[str, Draft]) -> Slo | None:
    """The SLO as meant, or None with the reasons in the diagnostics; `siblings` are the service's SLOs by name."""
    layers = draft.layers
    objective, window = _objective(draft), _window(draft, layers.value("window"), "window")
    source = _source(draft, siblings)
    indicator = None if source is None else _indicator(draft, source, siblings)
    timeslices = layers.value("timeslices")
    slices = timeslices is not None or (indicator is not None and not counts_events(indicator))
    sampling = platforms.sampling(layers, draft.found)
    reading = alerts.AlertsReading(
        at=draft.own[0],
        found=draft.found,
        scope=draft.scope,
        objective=objective or _ANY_OBJECTIVE,
        window=window or _ANY_WINDOW,
        resolution=sampling.resolution,
        slices=slices,
        team=_team(draft),
        by=draft.by,
    )
    alerting = reading.tiers(layers.source("alerts"))
    _check_spacing(draft, indicator, sampling)
    labels, exclude_when, sla, own = _labels(draft), _exclude_when(draft), _sla(draft), Layers(draft.own)
    if objective is None or indicator is None or window is None:
        return None
    return Slo(
        platform=draft.scope.name,
        service=draft.service,
        name=draft.name,
        objective=objective,
        indicator=indicator,
        window=window,
        tiers=alerting.tiers,
        left_out=alerting.left_out,
        sampling=sampling,
        place=draft.place,
        written_id=own.value("id"),
        description=own.value("description") or "",  # a service's is about the service
        by=draft.by,
        timeslices=_timeslices(draft, indicator),
        exclude_when=exclude_when,
        forecast=_forecast(draft, indicator, sampling.rollup),
        regression=_regression(draft, indicator, sampling.rollup),
        sla=sla,
        **{key: layers.value(key) for key in ("blind", "down", "mode", "max_series", "traffic", "team", "runbook")},
        labels=labels,
        annotations={name: text for name, (text, _) in sorted(own.merged("annotations").items())},
        places=Places.of(layers.stack, (source or draft).layers.source("sli")),
    )


def _check_spacing(draft: Draft, indicator: Indicator | None, sampling: Sampling) -> None:
    """Whether tiles hold as many samples as they need."""
    tile, interval = sampling.resolution, sampling.scrape_interval
    if tile < interval and _needs_samples(indicator):
        message = f"a tile of {tile} has no events when it is scraped every {interval}"
        draft.error(codes.SAMPLING, message, f"scrape at least every {tile}", "sli")
        return
    sides = (
        [indicator.total, indicator.bad, indicator.good, indicator.bad_ratio] if isinstance(indicator, Query) else []
    )
    functions = [needs_two_samples(side) for side in sides if side is not None]
    function = next((name for name in functions if name is not None), None)
    if function is not None and tile < interval * 2:
        message = (
            f"`{function}` needs two samples, and a tile of {tile} may hold one when it is scraped every {interval}"
        )
        help_ = (
            f"scrape at least every {tile // 2}, or write a `ratio`, whose tiles look back for the sample before them"
        )
        draft.error(codes.SAMPLING, message, help_, "sli")


def _needs_samples(indicator: Indicator | None) -> bool:
    """Whether each tile must hold samples of its own; running totals are counted by those before it."""
    match indicator:
        case Throughput() | Query() | Ratio(counts=PerSecond()):
            return True
        case _:
            return False


def _objective(draft: Draft) -> Objective | None:
    written = draft.layers.value("objective")
    if written is None:
        help_ = "add `objective: 99.9%`, the share of good events"
        draft.error(codes.MISSING_KEY, f"`{draft.name}` has no objective", help_, "objective")
        return None
    return Objective(written)


def _source(draft: Draft, siblings: dict[str, Draft]) -> Draft | None:
    """The SLO that has the selectors: this one, or with `sli: NAME` that one."""
    return _referred(draft, draft.sli, siblings) if isinstance(draft.sli, str) else draft


def _indicator(draft: Draft, source: Draft, siblings: dict[str, Draft]) -> Indicator | None:
    """What is counted: the selectors of `source`, split by this SLO's labels."""
    layer = source.layers.source("sli")
    if layer is None:
        if source is draft:
            help_ = did_you_mean(draft.name, sorted(set(siblings) - {draft.name}))
            help_ = help_ or "add `sli: {ratio: {total: 'requests_total{...}', bad_if: 'code=~\"5..\"'}}`"
            draft.error(codes.MISSING_KEY, f"`{draft.name}` does not say what is counted", help_, "sli")
        return None
    written = source.sli
    assert isinstance(written, Sli)
    return draft.reading(layer).indicator(written)


def _referred(draft: Draft, name: str, siblings: dict[str, Draft]) -> Draft | None:
    if name not in siblings:
        known = sorted(set(siblings) - {draft.name})
        others = f"write one of {', '.join(known)}, or an SLI" if known else "write an SLI, such as `{ratio: {...}}`"
        help_ = did_you_mean(name, known) or others
        draft.error(codes.UNKNOWN_SLI, f"this service has no SLO `{name}`", help_, "sli")
        return None
    if isinstance(siblings[name].sli, str):
        help_ = "name the SLO that has the selectors"
        draft.error(codes.UNKNOWN_SLI, f"`{name}` itself refers to another SLO", help_, "sli")
        return None
    return siblings[name]


def _window(draft: Draft, written: Duration | written_alerting.Calendar, key: str) -> Window | None:
    if isinstance(written, Duration):
        return RollingWindow(written)
    name = written.time_zone
    if name in zone_names():
        return built(CalendarWindow, written)
    draft.error(codes.UNKNOWN_ZONE, f"there is no time zone `{name}`", platforms.zone_help(name), key)
    return None


def _team(draft: Draft) -> Team | None:
    layer = draft.layers.source("team")
    return None if layer is None else platforms.known_team(draft.scope, layer, draft.found)


def _timeslices(draft: Draft, indicator: Indicator) -> Decimal | None:
    written = draft.layers.value("timeslices")
    if written is None:
        return None
    if not counts_events(indicator):
        message = "`timeslices` has no meaning here: this SLI counts slices already"
        draft.error(codes.WRONG_KIND, message, "remove it", "timeslices")
        return None
    target: Decimal = written.target
    return target


def _exclude_when(draft: Draft) -> tuple[Expression, ...]:
    layer = draft.layers.source("exclude_when")
    if layer is None:
        return ()
    reading, expressions = draft.reading(layer), list[Expression]()
    for index, text in enumerate(draft.layers.value("exclude_when")):
        expression = reading.expression(text, "exclude_when", index)
        if expression is None:
            continue
        if foreign := set(expression.grouping or ()) - set(draft.by):
            message = f"this is grouped by `{sorted(foreign)[0]}`, which is no label of `by`"
            help_ = "group it by labels of `by`, or without any to exclude everything"
            draft.error(codes.SPLIT_LABEL, message, help_, "exclude_when", index)
        expressions.append(expression)
    return tuple(expressions)


def _forecast(draft: Draft, indicator: Indicator, rollup: Duration) -> Forecast | None:
    written = draft.layers.value("forecast")
    if written is None:
        return None
    match indicator:
        case Saturation():
            default: Decimal | None = Decimal(1)
        case Threshold():
            default = indicator.at_most if indicator.at_most is not None else indicator.at_least
        case _:
            message = "`forecast` is for `saturation` and `threshold`"
            draft.error(codes.WRONG_KIND, message, "remove it, or alert on `budget_left`", "forecast")
            return None
    assert default is not None
    to = default if written.to is None else written.to.value
    forecast = built(Forecast, written, since=written.from_, to=to)
    _check_holds(draft, ("forecast", "from"), forecast.since, rollup * 16, rollup)  # a quarter of it suffices
    _check_holds(draft, ("forecast", "within"), forecast.within, rollup * 4, rollup)
    return forecast


def _regression(draft: Draft, indicator: Indicator, rollup: Duration) -> Regression | None:
    written = draft.layers.value("regression")
    if written is None:
        return None
    if not isinstance(indicator, Latency):
        draft.error(codes.WRONG_KIND, "`regression` is for `latency`", "remove it", "regression")
        return None
    regression = built(Regression, written)
    _check_holds(draft, ("regression", "over"), regression.over, rollup * 4, rollup)
    if regression.earlier < regression.over:
        message = f"`earlier` {regression.earlier} is shorter than `over`: the time would be compared with itself"
        help_ = f"write at least {regression.over}"
        draft.error(codes.TIER_LENGTH, message, help_, "regression", "earlier")
    return regression


def _check_holds(draft: Draft, keys: tuple[str, str], length: Duration, least: Duration, rollup: Duration) -> None:
    """Fewer than four roll-ups are neither a line nor a distribution."""
    if length < least:
        message = f"`{keys[1]}` {length} is too short: values are recorded every {rollup}"
        draft.error(codes.TIER_LENGTH, message, f"write at least {least}", *keys)


def _sla(draft: Draft) -> Sla | None:
    layer = draft.layers.source("sla")
    if layer is None:
        return None
    written = draft.layers.value("sla")
    window = _window(draft, written.window, "sla")
    value = draft.reading(layer).selector(written.value, "sla", "value")
    if window is None or value is None:
        return None
    own = _window(draft, draft.layers.value("window"), "window")
    if isinstance(own, CalendarWindow) and isinstance(window, CalendarWindow) and own != window:
        message = f"the contract's period {window} is another calendar than the SLO's window {own}"
        draft.error(codes.SLA_WINDOW, message, "write the same calendar in both, or a rolling `window`", "sla")
        return None
    owed = tuple(built(Credit, credit) for credit in written.credits)
    return built(Sla, written, window=window, credits=owed, value=value)


def _labels(draft: Draft) -> dict[str, str]:
    labels = draft.layers.merged("labels")
    for label in sorted(set(labels) & set(draft.by)):
        layer = labels[label][1]
        message = f"`{label}` is a label of `by`, whose values come from the data"
        help_ = "remove it here, or from `by`"
        draft.found.error(codes.SPLIT_LABEL, layer.key_place("labels", label), message, help_, *layer.related)
    return {label: value for label, (value, _) in sorted(labels.items())}
