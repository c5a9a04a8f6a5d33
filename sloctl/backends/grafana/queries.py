"""PromQL that dashboards ask: over the recordings of one platform, by the names that its rules give them.

Dashboards read off the rules' grid, so ranges are plain (`[1h]`). Where SLOs of a platform differ in window or
resolution, one selector reads all of their recordings by a pattern on the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from sloctl import conventions
from sloctl.conventions.states import LOW, MEASURED, SOON, State
from sloctl.model.alerting import BudgetLeft, Tier
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.quantities import DAY, ZERO, Duration, number
from sloctl.model.selector import Matcher, MatchOperator
from sloctl.model.window import CalendarWindow, RollingWindow
from sloctl.promql.build import indent
from sloctl.promql.selectors import matchers_text, one_of, quote

NOT_BURNING: Final = DAY * 3650
"""Stands for "never" where a table is sorted by the time left."""


def equal(label: str, value: str) -> Matcher:
    """`label="value"`."""
    return Matcher(label, MatchOperator.EQUAL, value)


def like(label: str, pattern: str) -> Matcher:
    """`label=~"pattern"`."""
    return Matcher(label, MatchOperator.REGEX, pattern)


def selector(names: Iterable[str], matchers: Sequence[Matcher], range_: str = "", offset: str = "") -> str:
    """Series of one metric, or of several by a pattern on the name."""
    distinct = sorted(set(names))
    if len(distinct) > 1:
        matchers, name = [like("__name__", "|".join(distinct)), *matchers], ""
    else:
        name = distinct[0]
    return f"{name}{{{matchers_text(tuple(matchers))}}}" + (f"[{range_}]" if range_ else "") + offset


def firing(platform: Platform, *matchers: Matcher, offset: str = "") -> str:
    """The platform's alerts that fire."""
    own = [equal("sloctl", conventions.ALERT_VERSION), equal("platform", platform.name), equal("alertstate", "firing")]
    return selector(["ALERTS"], [*own, *matchers], offset=offset)


def legend(labels: Iterable[str]) -> str:
    """Grafana's template of a series' name: the values of these labels."""
    return " ".join(f"{{{{{label}}}}}" for label in labels)


def split_labels(slos: Iterable[Slo]) -> tuple[str, ...]:
    """The split labels of SLOs by the names that recordings give them, sorted."""
    return tuple(sorted({label for slo in slos for label in slo.split_labels}))


def chosen(labels: Iterable[str]) -> tuple[Matcher, ...]:
    """What is chosen at the top of the dashboard for each of these labels."""
    return tuple(like(label, f"${label}") for label in labels)


@dataclass(frozen=True, slots=True)
class Ask:
    """Questions about one platform's SLOs, narrowed by matchers that may hold Grafana's variables.

    Attributes:
        matchers: on the labels that every series of an SLO has (`slo`, `service`).
        split_matchers: on split labels, which `slo:objective:info` lacks.
        team: a pattern on the team, which only `slo:objective:info` knows.
    """

    platform: Platform
    matchers: tuple[Matcher, ...] = ()
    split_matchers: tuple[Matcher, ...] = ()
    team: str | None = None
    slos: tuple[Slo, ...] | None = None

    @property
    def of(self) -> tuple[Slo, ...]:
        """The SLOs whose recordings are read."""
        return self.slos if self.slos is not None else tuple(self.platform.slos)

    @property
    def labels(self) -> tuple[str, ...]:
        """Every row's labels: service, SLO and the split labels."""
        return ("service", "slo", *self.split_labels)

    @property
    def split_labels(self) -> tuple[str, ...]:
        """The split labels of the SLOs whose recordings are read."""
        return split_labels(self.of)

    @property
    def legend(self) -> str:
        """A row's name in a chart: its SLO and split values."""
        return legend(self.labels[1:])

    @property
    def by(self) -> str:
        """`by (...)` all labels of a row."""
        return f"by ({', '.join(self.labels)})"

    @property
    def recent(self) -> str:
        """The range that "now" means."""
        return str(max(slo.sampling.recent for slo in self.of))

    def about(self, slos: Iterable[Slo]) -> Ask:
        """The same questions about these SLOs only."""
        return replace(self, slos=tuple(slos))

    def info(self) -> str:
        """Objective, team and window of each SLO."""
        team = [like("team", self.team)] if self.team else []
        return selector([conventions.OBJECTIVE], [*self._fixed(splits=False), *team])

    def consumed(self) -> str:
        """The part of the budget that is spent, for each row."""
        return self._rows("max", selector(self._consumed_names(), self._fixed()))

    def left(self) -> str:
        """The part of the budget that is left, for each row; negative once it is overspent."""
        return f"1 - {self.consumed()}"

    def budget(self) -> str:
        """The error budget as a ratio, one series per SLO."""
        return f"(1 - {self.info()})"

    def times_budget(self, inner: str, operator: str = "*") -> str:
        """Each row times (or by) its error budget."""
        return f"{inner}\n{operator} on (slo) group_left () {self.budget()}"

    def objective(self) -> str:
        """The objective, for each row."""
        return f"0 * {self.consumed()}\n+ on (slo) group_left () {self.info()}"

    def attained(self) -> str:
        """The share of good events among those that were counted in the SLO's window, for each row."""
        return f"1 - (\n{indent(self.times_budget(self._rows('max', self._counted_only())))}\n)"

    def exhaustion(self) -> str:
        """Seconds until the budget is gone, for each row that burns."""
        return self._rows("min", selector([conventions.TIME_TO_EXHAUSTION], self._fixed()))

    def exhaustion_or_never(self) -> str:
        """The same with a large number for rows that do not burn, so that a table can be sorted by it."""
        return f"{self.exhaustion()}\nor (0 * {self.consumed()} + {number(NOT_BURNING.seconds)})"

    def errors(self, range_: str = "") -> str:
        """Bad events of the tiles in a range, or in the last tile, for each row."""
        return self._tiles(conventions.errors_tile, range_)

    def total(self, range_: str = "") -> str:
        """Events of the tiles in a range, or in the last tile, for each row."""
        return self._tiles(conventions.total_tile, range_)

    def total_of_period(self, longest: str, period: str) -> str:
        """Events of a calendar period so far, for each row; `period` has its start as a label."""
        tiles = self._over("sum", conventions.total_tile, longest)
        return self._rows("sum", f"{tiles} and on (period) {period}")

    def left_at_start(self) -> str:
        """The part of the budget that was left when the time shown began."""
        return f"1 - {self._rows('max', selector(self._consumed_names(), self._fixed()) + ' @ start()')}"

    def consumed_in(self, ahead: Duration) -> str:
        """The part of the budget that will be spent after some time, by a line through the last three days."""
        history = selector(self._consumed_names(), self._fixed(), "3d")
        return self._rows("max", f"predict_linear({history}, {number(ahead.seconds)})")

    def error_ratios(self) -> str:
        """The recorded error ratio over each window, which becomes the label `over`."""
        pattern = conventions.error_ratio(ZERO).removesuffix(str(ZERO)) + "(.+)"
        fixed = [like("__name__", pattern), *self._fixed()]
        return f'label_replace({{{matchers_text(tuple(fixed))}}}, "over", "$1", "__name__", {quote(pattern)})'

    def error_ratio(self, range_: str) -> str:
        """Bad events among all in a range; absent without events, never NaN."""
        return f"(\n  {self.errors(range_)}\n  / ({self.total(range_)} > 0)\n)"

    def burn(self, range_: str | None = None) -> str:
        """Error ratio over the budget, by default of the last hour."""
        return self.times_budget(self.error_ratio(range_ or self.recent), "/")

    def sli(self, range_: str | None = None) -> str:
        """The share of good events, by default of the last hour."""
        return f"1 - {self.error_ratio(range_ or self.recent)}"

    def state(self) -> str:
        """The `State` of each row, as a number."""
        total = selector(self._tile_names(conventions.total_tile), self._fixed())
        consumed = selector(self._consumed_names(), self._fixed())
        never = f"({self.info()} unless on (slo) {total})"
        parts = [
            (State.NO_DATA, self.alerts(equal("burn_tier", conventions.BLIND))),
            (State.NO_DATA, never),
            (State.EXHAUSTED, f"({consumed} >= 1)"),
            (State.AT_RISK, f"({consumed} > {number(1 - LOW)})"),
            (State.AT_RISK, f"({selector([conventions.TIME_TO_EXHAUSTION], self._fixed())} < {number(SOON.seconds)})"),
            (State.AT_RISK, self.alerts(like("burn_tier", f"p.*|{conventions.DOWN}"))),
            (State.YOUNG, f"({self._covered()} < {number(MEASURED)})"),
            (State.QUIET, f"({self._over('sum', conventions.total_tile, self.recent)} == 0)"),
            (State.FINE, total),
        ]
        words = [f"({state.value} + 0 * {self._rows('max', inner)})" for state, inner in parts]
        return "\nor ".join(words)

    def of_team(self, inner: str) -> str:
        """Only rows of the chosen team."""
        return f"(\n{indent(inner)}\n)\nand on (slo) {self.info()}" if self.team else inner

    def alerts(self, *matchers: Matcher) -> str:
        """Alerts of these SLOs that fire."""
        fixed = [equal("sloctl", conventions.ALERT_VERSION), equal("alertstate", "firing"), *self._fixed()]
        return selector(["ALERTS"], [*fixed, *matchers])

    def _tiles(self, name: Callable[[Duration], str], range_: str) -> str:
        if not range_:
            return self._rows("sum", selector(self._tile_names(name), self._fixed()))
        return self._rows("sum", self._over("sum", name, range_))

    def _over(self, function: str, name: Callable[[Duration], str], range_: str) -> str:
        """Long ranges read roll-ups."""
        long = range_.startswith("$") or "d" in range_
        names = {name(slo.sampling.rollup if long else slo.sampling.resolution) for slo in self.of}
        return f"{function}_over_time({selector(names, self._fixed(), range_)})"

    def _rows(self, operator: str, inner: str) -> str:
        return f"{operator} {self.by} ({inner})"

    def _counted_only(self) -> str:
        """What is spent, as if all of the window was like the part that is measured."""
        return f"{selector(self._consumed_names(), self._fixed())} / {self._covered()}"

    def _covered(self) -> str:
        return selector([conventions.WINDOW_COVERED], self._fixed())

    def measured(self) -> str:
        """Seconds since an SLO's first tile, for each row: what of its window was before counts as clean."""
        return f"time() - {self._rows('max', selector([conventions.MEASURED_SINCE], self._fixed()))}"

    def _tile_names(self, name: Callable[[Duration], str]) -> set[str]:
        return {name(slo.sampling.resolution) for slo in self.of}

    def _consumed_names(self) -> set[str]:
        return {conventions.budget_consumed(slo.window) for slo in self.of}

    def _fixed(self, *, splits: bool = True) -> list[Matcher]:
        own = [] if self.slos is None else [like("slo", one_of(slo.id for slo in self.slos))]
        split = self.split_matchers if splits else ()
        return [equal("platform", self.platform.name), *own, *self.matchers, *split]


def only(platform: Platform, slos: Iterable[Slo], *matchers: Matcher) -> str:
    """`slo:objective:info` of these SLOs alone: a gate for constants that hold for some SLOs.

    Most policies are shared, so the shorter of "one of these" and "none of the others" is written.
    """
    ids = {slo.id for slo in slos}
    wanted, others = sorted(ids), sorted(slo.id for slo in platform.slos if slo.id not in ids)
    if not others:
        gate: tuple[Matcher, ...] = ()
    elif len(wanted) <= len(others):
        gate = (like("slo", one_of(wanted)),)
    else:
        gate = (Matcher("slo", MatchOperator.NOT_REGEX, one_of(others)),)
    return selector([conventions.OBJECTIVE], [equal("platform", platform.name), *matchers, *gate])


def constant(value: Decimal, gate: str) -> str:
    """A threshold's line that exists only for the SLOs in `gate`: the value + 0 * max(gate)."""
    return f"{number(value)} + 0 * max({gate})"


@dataclass(frozen=True, slots=True)
class Limit:
    """The threshold of one or more tiers, as a burn rate or, by the budget left, as a ratio.

    Attributes:
        name: what its line is called.
    """

    name: str
    value: Decimal
    slos: tuple[Slo, ...]


def limits(platform: Platform, *, left: bool = False) -> list[Limit]:
    """Each distinct threshold with the SLOs that have it, the most severe and highest first."""
    found: dict[tuple[str, Decimal, str], dict[str, Slo]] = {}
    for slo in platform.slos:
        for tier in slo.tiers:
            if isinstance(tier.trigger, BudgetLeft) == left:
                found.setdefault(_limit(platform, slo, tier), {})[slo.id] = slo
    order = sorted(found, key=lambda key: (key[0], -key[1], key[2]))
    return [Limit(_name(*key, left=left), key[1], tuple(found[key].values())) for key in order]


def _limit(platform: Platform, slo: Slo, tier: Tier) -> tuple[str, Decimal, str]:
    """The word for its severity, the threshold, and over what it is averaged."""
    severity = conventions.severity_word(platform, tier.severity)
    if isinstance(tier.trigger, BudgetLeft):
        return severity, tier.trigger.ratio, str(slo.window)
    over = f"{tier.averaged_over} and {tier.also_over}" if tier.also_over else str(tier.averaged_over)
    return severity, error_threshold(tier, slo.objective) / slo.objective.error_budget, over


def _name(severity: str, value: Decimal, over: str, *, left: bool) -> str:
    if left:
        return f"{severity} below {shown(value * 100)} % left"
    return f"{severity} above {shown(value)}x over {over}"


def rolling(platform: Platform) -> list[tuple[Duration, list[Slo]]]:
    """Each length of a rolling window, the shortest first, with its SLOs."""
    found: dict[Duration, list[Slo]] = {}
    for slo in platform.slos:
        if isinstance(slo.window, RollingWindow):
            found.setdefault(slo.window.length, []).append(slo)
    return sorted(found.items())


def calendars(platform: Platform) -> list[tuple[CalendarWindow, list[Slo]]]:
    """Each calendar that windows of the platform use, with its SLOs."""
    found: dict[str, tuple[CalendarWindow, list[Slo]]] = {}
    for slo in platform.slos:
        if isinstance(slo.window, CalendarWindow):
            found.setdefault(conventions.calendar_name(slo.window), (slo.window, []))[1].append(slo)
    return [found[name] for name in sorted(found)]


def period(platform: Platform, calendar: CalendarWindow) -> tuple[str, str]:
    """When the running period of a calendar began and when it ends, in Unix seconds."""
    labels = [equal(*label) for label in conventions.calendar_labels(platform.name, calendar).items()]
    return selector([conventions.PERIOD_START], labels), selector([conventions.PERIOD_END], labels)


def shown(value: Decimal) -> str:
    """A number in a name, with at most four significant digits."""
    return number(Decimal(f"{value:.4g}"))
