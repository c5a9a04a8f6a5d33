"""Everything that the specifications of one run promise, with inheritance applied and units exact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Final

from sloctl.diagnostics import Place
from sloctl.model.alerting import Forecast, Mode, Regression, Severity, Sla, Tier
from sloctl.model.canary import Canary
from sloctl.model.indicator import Across, Indicator, Latency, Ratio, RunningTotal, counts_events
from sloctl.model.labels import recorded_label
from sloctl.model.ownership import Route, Team
from sloctl.model.quantities import MINUTE, ZERO, Duration, Objective, Rate
from sloctl.model.selector import Expression
from sloctl.model.window import CalendarWindow, Window


class NewSeries(Enum):
    """What the first sample of a new series means."""

    COUNT_IF_UP = "count_if_up"
    COUNT = "count"
    IGNORE = "ignore"


LOOKBACK_TILES: Final = 15
ROLLUP_TILES: Final = 4
RECENT_TILES: Final = 60
SLOW_TILES: Final = 1440


@dataclass(frozen=True, slots=True)
class Sampling:
    """How raw series become tiles; every length that the rules use follows from these.

    Attributes:
        resolution: length of a tile and interval of the fast rule group.
        target_labels: the labels that identify a scraped target.
        late_by: how much later than they are stamped samples can be read.
        shift: selectors look this far back, so that a late sample is never lost.
        lookback: how far a tile looks for the previous sample: gaps up to this long are recovered.
        rollup: length of a roll-up tile and interval of the slow rule group.
        recent: an hour of minutes, what "now" means for burn rates, exhaustion and traffic.
    """

    resolution: Duration
    scrape_interval: Duration
    scrape_timeout: Duration
    target_labels: tuple[str, ...]
    new_series: NewSeries
    late_by: Duration = ZERO
    shift: Duration = field(init=False, repr=False)
    lookback: Duration = field(init=False, repr=False)
    rollup: Duration = field(init=False, repr=False)
    recent: Duration = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shift", Duration(self.scrape_timeout.milliseconds * 3 // 2) + self.late_by)
        object.__setattr__(self, "lookback", self.resolution * LOOKBACK_TILES)
        object.__setattr__(self, "rollup", self.resolution * ROLLUP_TILES)
        object.__setattr__(self, "recent", self.resolution * RECENT_TILES)

    def reads_rollups(self, over: Duration) -> bool:
        """Whether a window is summed over roll-ups: a day of minutes, or longer."""
        return over.milliseconds >= self.resolution.milliseconds * SLOW_TILES


@dataclass(frozen=True, slots=True, eq=False)
class Slo:
    """One objective of a service, with every value in force; equal only to itself, so that texts are cached by it.

    Attributes:
        written_id: its `id` where that is not made of its names.
        places: where each key in force was written, by its path, such as `sli.ratio.bad`; a default has none.
        by: one objective, budget and set of alerts for each value of these labels.
        split_labels: the labels of `by` as recordings and alerts have them.
        timeslices: the share of good events that makes a slice good; None counts events.
        blind: its metric is gone after so long without series; None tells nobody.
        down: its targets are dead after so long; None tells nobody.
    """

    platform: str
    service: str
    name: str
    objective: Objective
    indicator: Indicator
    window: Window
    tiers: tuple[Tier, ...]
    sampling: Sampling
    mode: Mode
    place: Place
    written_id: str | None = None
    description: str = ""
    by: tuple[str, ...] = ()
    max_series: int = 1000
    blind: Duration | None = MINUTE * 15
    down: Duration | None = MINUTE * 2
    timeslices: Decimal | None = None
    traffic: Rate | None = None
    exclude_when: tuple[Expression, ...] = ()
    forecast: Forecast | None = None
    regression: Regression | None = None
    sla: Sla | None = None
    team: str | None = None
    runbook: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    left_out: tuple[Tier, ...] = ()
    split_labels: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "split_labels", tuple(recorded_label(label) for label in self.by))

    @property
    def id(self) -> str:
        """The value of label `slo`, unique within the platform."""
        return self.written_id or f"{self.service}-{self.name}"

    @property
    def counts_slices(self) -> bool:
        """Whether slices of `resolution` are counted instead of events."""
        return self.timeslices is not None or not counts_events(self.indicator)

    @property
    def survives_pauses(self) -> bool:
        """Whether its counters tell afterwards what they counted while nobody read them."""
        match self.indicator:
            case Ratio(counts=counts):
                return self.timeslices is None and isinstance(counts, RunningTotal)
            case Latency(native=native):
                return self.timeslices is None and not native
            case _:
                return False

    def slices_in(self, length: Duration) -> int | None:
        """The most events that a time can hold where slices are counted; None where series or events add to them."""
        across = getattr(self.indicator, "across", None)
        if not self.counts_slices or (self.timeslices is None and across is Across.EACH):
            return None
        return int(length / self.sampling.resolution)

    @property
    def down_severity(self) -> Severity | None:
        """How urgent it is that all its targets are dead: as its most urgent tier. None where nothing can tell."""
        known = self.indicator.reads().required and self.sampling.target_labels
        if not self.down or not known:
            return None
        return min((tier.severity for tier in self.tiers), key=list(Severity).index, default=None)

    @property
    def calendar(self) -> CalendarWindow | None:
        """The calendar that its roll-ups are counted by: its window's or its contract's."""
        if isinstance(self.window, CalendarWindow):
            return self.window
        return self.sla.window if self.sla and isinstance(self.sla.window, CalendarWindow) else None

    def at(self, key: str) -> Place:
        """Where `key` was written, or the SLO itself when its value is a default."""
        return self.places.get(key, self.place)


@dataclass(frozen=True, slots=True)
class Service:
    """A service and its SLOs, in the order written.

    Attributes:
        matchers: added to every selector, those of its platform among them.
        places: where each key in force was written, as of an SLO.
    """

    name: str
    team: str | None
    slos: tuple[Slo, ...]
    place: Place
    path: str
    description: str = ""
    runbook: str | None = None
    cost: Expression | None = None
    canary: Canary | None = None
    sources: tuple[str, ...] = ()
    matchers: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Texts:
    """Alert texts of the users' own; None means the built-in one."""

    summary: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Dashboards:
    """Where links in alerts and dashboards lead; `deploys` marks deployments."""

    base_url: str | None = None
    logs: str | None = None
    traces: str | None = None
    sloctl: str | None = None
    folder: str | None = None
    deploys: Expression | None = None


@dataclass(frozen=True, slots=True)
class KubernetesDashboards:
    """What Grafana's sidecar or operator looks for; `instances` are labels of the Grafana that gets them."""

    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    folder_annotation: str | None = None
    instances: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """Where Kubernetes objects go, and what finds them."""

    namespace: str | None = None
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    dashboards: KubernetesDashboards = KubernetesDashboards()

    def metadata(
        self, name: str, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None
    ) -> dict[str, object]:
        """The `metadata` of an object."""
        placed = {} if self.namespace is None else {"namespace": self.namespace}
        noted = {} if not annotations else {"annotations": dict(annotations)}
        return {"name": name, **placed, "labels": dict(labels), **noted}


@dataclass(frozen=True, slots=True)
class Expect:
    """What `sloctl explain` must find, or it fails."""

    detect_within: Duration | None = None
    false_pages: Decimal | None = None


class PagerDutyKeys(Enum):
    """One integration key a team, or one for all."""

    PER_TEAM_KEY = "per-team-key"
    SINGLE_ORCHESTRATION = "single-orchestration"


class Inhibition(Enum):
    """Who mutes the lower tiers of one SLO."""

    ALERTMANAGER = "alertmanager"
    RULE = "rule"
    NONE = "none"


@dataclass(frozen=True, slots=True, eq=False)
class Platform:
    """A platform with what its services share; equal only to itself.

    Attributes:
        matchers: added to every selector.
        places: where each key in force was written, as of an SLO.
    """

    name: str
    services: tuple[Service, ...]
    teams: Mapping[str, Team]
    team: str | None
    severities: Mapping[Severity, str]
    sampling: Sampling
    place: Place
    texts: Texts = Texts()
    dashboards: Dashboards = Dashboards()
    kubernetes: Kubernetes = Kubernetes()
    buckets: Mapping[str, tuple[Decimal, ...]] = field(default_factory=dict)
    expect: Expect = Expect()
    fallback: Route | None = None
    watchdog: Route | None = None
    pagerduty: PagerDutyKeys = PagerDutyKeys.PER_TEAM_KEY
    inhibition: Inhibition = Inhibition.ALERTMANAGER
    description: str = ""
    sources: tuple[str, ...] = ()
    matchers: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def slos(self) -> Iterator[Slo]:
        """Every SLO of every service."""
        return (slo for service in self.services for slo in service.slos)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All platforms of a run, sorted by name."""

    platforms: tuple[Platform, ...] = ()

    @property
    def slos(self) -> Iterator[Slo]:
        """Every SLO of every platform."""
        return (slo for platform in self.platforms for slo in platform.slos)
