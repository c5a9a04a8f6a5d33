"""When each tier fires, what is spent by then, and how often chance alone would fire it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Final

from sloctl import conventions
from sloctl.conventions.inventory import reads_rollups
from sloctl.explain.simulation import interval
from sloctl.model import budget
from sloctl.model.alerting import Guard, Severity, Tier
from sloctl.model.catalogue import Catalogue, Platform, Service, Slo
from sloctl.model.indicator import Across, Probe
from sloctl.model.quantities import DAY, ZERO, Duration, Rate

RATIOS: Final = (Decimal(1), Decimal("0.5"), Decimal("0.1"), Decimal("0.05"), Decimal("0.01"))
INSIDE: Final = Decimal("0.7")
"""The share of its budget that a service spends whose pages count as false."""
_MONTH: Final = DAY * 30
_FINE: Final = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class Detection:
    """What happens at one error ratio, for trouble that begins at an evaluation, with steady and clean traffic before.

    Attributes:
        pending: until the condition holds first; None when it never does.
        page: until the alert fires, `for` included.
        spent: share of the window's budget that is spent by then.
        guarded: until it fires at the given traffic with the low-traffic guard; None without traffic, or never.
    """

    ratio: Decimal
    pending: Duration | None
    page: Duration | None
    spent: Decimal | None
    guarded: Duration | None
    reset: Duration | None


@dataclass(frozen=True, slots=True)
class TierExplanation:
    """One tier in numbers.

    Attributes:
        threshold: the error ratio above which it fires; for `budget_left`, the share of the budget spent.
        every: how often it is evaluated.
        detections: one for each of `RATIOS`, and for the smallest ratio that fires, if any does.
        false_pages: expected in 30 days at the given traffic while 70 % of the budget is spent; None without traffic.
        least: fewest bad events in `over` that fire at the given traffic.
    """

    name: str
    tier: Tier
    threshold: Decimal
    every: Duration
    detections: tuple[Detection, ...]
    false_pages: Decimal | None
    least: int | None


@dataclass(frozen=True, slots=True)
class SloExplanation:
    """One SLO in numbers.

    Attributes:
        minutes: of a full outage that spend the budget.
        events: bad events that spend it at the given traffic.
        late: what a scrape and the shift of all selectors can add to every moment.
        left_out: tiers of the `google` policy that cannot fire here.
    """

    slo: Slo
    minutes: Decimal
    events: Decimal | None
    traffic: Rate | None
    late: Duration
    tiers: tuple[TierExplanation, ...]
    left_out: tuple[str, ...]


def explain_slo(slo: Slo, traffic: Rate | None = None) -> SloExplanation:
    """Everything about one SLO; `traffic` replaces the declared one."""
    traffic = traffic or slo.traffic
    events = traffic.during(slo.window.length) * slo.objective.error_budget if traffic else None
    return SloExplanation(
        slo=slo,
        minutes=budget.budget_minutes(slo.objective, slo.window.length),
        events=events,
        traffic=traffic,
        late=slo.sampling.shift + slo.sampling.scrape_interval,
        tiers=tuple(explain_tier(slo, tier, traffic) for tier in slo.tiers),
        left_out=tuple(conventions.burn_tier(tier) for tier in slo.left_out),
    )


def explain_tier(slo: Slo, tier: Tier, traffic: Rate | None = None) -> TierExplanation:
    """One tier."""
    smallest = smallest_ratio(slo, tier)
    ratios = (*RATIOS, smallest) if smallest <= 1 else RATIOS
    return TierExplanation(
        name=conventions.burn_tier(tier),
        tier=tier,
        threshold=budget.error_threshold(tier, slo.objective),
        every=interval(slo, tier),
        detections=tuple(_detected(slo, tier, ratio, traffic) for ratio in ratios),
        false_pages=_false_pages(slo, tier, traffic),
        least=_least(slo, tier, traffic),
    )


def smallest_ratio(slo: Slo, tier: Tier) -> Decimal:
    """The smallest error ratio that surely fires; above 1 where none does."""
    if slo.counts_slices:
        shares = [window.least_bad / (window.tiles * _looks(slo)) for window in _sliced(slo, tier)]
        return max(shares).quantize(_FINE, ROUND_CEILING)  # rounded down it would be a slice too few
    return budget.smallest_firing_ratio(
        _least_ratio(slo, tier), tier.over or slo.window.length, slo.sampling.resolution
    )


def pending_time(slo: Slo, tier: Tier, ratio: Decimal) -> Duration | None:
    """Until a tier's condition holds, at traffic so high that the guard plays no part; None for never.

    It is the moment of the evaluation, for trouble that begins at one. Bad slices come evenly, every twentieth at 5 %.
    """
    threshold, sampling = _least_ratio(slo, tier), slo.sampling
    if slo.counts_slices:
        return _sliced_time(slo, tier, ratio)
    if tier.over is None:
        return budget.rolled_detection_time(
            threshold, slo.window.length, ratio, sampling.resolution, sampling.rollup, reaching=True
        )
    times = list[Duration]()
    for window in tier.windows:
        if sampling.reads_rollups(window):
            time = budget.rolled_detection_time(threshold, window, ratio, sampling.resolution, sampling.rollup)
        else:
            time = budget.detection_time(threshold, window, ratio, sampling.resolution)
        if time is None:
            return None
        times.append(time)
    step = interval(slo, tier)
    latest = max(times, default=ZERO)
    return step * -(-latest.milliseconds // step.milliseconds) if times else None


@dataclass(frozen=True, slots=True)
class _Window:
    """A window of a tier that counts slices.

    Attributes:
        tiles: its length.
        late: tiles before the evaluation that it does not see yet, as in a roll-up.
        least_bad: fewest bad slices in it with which the tier fires.
    """

    tiles: int
    late: int
    least_bad: int


def _sliced(slo: Slo, tier: Tier) -> list[_Window]:
    resolution, looks = slo.sampling.resolution, _looks(slo)
    lengths = tier.windows or (slo.window.length,)
    long_enough = [window for window in lengths if window / resolution >= tier.min_bad] or list(lengths[:1])
    found = list[_Window]()
    for window in lengths:
        tiles = int(window / resolution)
        most_allowed = _least_ratio(slo, tier) * tiles * looks
        if tier.over is None:
            least = max(int(most_allowed.to_integral_value(ROUND_CEILING)), budget.LEAST_OF_BUDGET)
        else:
            least = max(int(most_allowed) + 1, tier.min_bad if window in long_enough else 0)
        late = 1 if tier.over is None or slo.sampling.reads_rollups(window) else 0
        found.append(_Window(tiles, late, least))
    return found


def _sliced_time(slo: Slo, tier: Tier, ratio: Decimal) -> Duration | None:
    """The first evaluation at which every window holds enough bad slices; whole slices, which come evenly.

    They come in the same way again and again, so what has not fired after a window and a period never does.
    """
    bad, looked = (ratio * _looks(slo)).as_integer_ratio()
    windows, step = _sliced(slo, tier), int(interval(slo, tier) / slo.sampling.resolution)

    def counted(tile: int) -> int:
        return bad * max(0, tile) // looked

    longest = max(window.tiles for window in windows)
    last = longest + step * min(looked, 2 * longest) + step
    first = max(-(-window.least_bad * looked // bad) for window in windows)
    for tile in range(-(-first // step) * step, last + 1, step):
        ends = [(tile - window.late, window) for window in windows]
        if all(counted(end) - counted(end - window.tiles) >= window.least_bad for end, window in ends):
            return slo.sampling.resolution * tile
    return None


def _least_ratio(slo: Slo, tier: Tier) -> Decimal:
    """The error ratio over its long window at which a tier fires; for one by the budget left over the whole window."""
    threshold = budget.error_threshold(tier, slo.objective)
    return threshold * slo.objective.error_budget if tier.over is None else threshold


def _looks(slo: Slo) -> Decimal:
    """Looks in a tile: every sample of a probe is one, other slices are judged once."""
    match slo.indicator:
        case Probe(across=Across.EACH):
            return max(Decimal(1), slo.sampling.resolution / slo.sampling.scrape_interval)
        case _:
            return Decimal(1)


def _detected(slo: Slo, tier: Tier, ratio: Decimal, traffic: Rate | None) -> Detection:
    pending = pending_time(slo, tier, ratio)
    if pending is None:
        return Detection(ratio, None, None, None, None, None)
    threshold, shortest = _least_ratio(slo, tier), tier.also_over or tier.over or slo.window.length
    page = pending + tier.for_
    spent = budget.budget_spent(ratio / slo.objective.error_budget, slo.window.length, page)
    reset = None
    if tier.over is not None:
        reset = budget.reset_time(threshold, shortest, ratio, slo.sampling.resolution) + tier.keep_firing_for
    return Detection(ratio, pending, page, spent, _guarded(slo, tier, ratio, traffic, pending), reset)


def _guarded(slo: Slo, tier: Tier, ratio: Decimal, traffic: Rate | None, pending: Duration) -> Duration | None:
    """Until the tier fires with its guard, at steady traffic in a window that was full of clean events."""
    if traffic is None or slo.counts_slices or tier.over is None:
        return None
    step, over = interval(slo, tier), tier.over
    if traffic.during(over) < tier.min_events:
        return None
    bad = traffic.during(slo.sampling.resolution) * ratio
    tiles = -(-_more_than_chance(slo, tier, traffic, over) // bad) + (1 if reads_rollups(slo, tier) else 0)
    if tiles * slo.sampling.resolution.milliseconds > over.milliseconds + step.milliseconds:
        return None
    needed = slo.sampling.resolution * int(tiles)
    return max(pending, step * -(-needed.milliseconds // step.milliseconds)) + tier.for_


def _more_than_chance(slo: Slo, tier: Tier, traffic: Rate, over: Duration) -> Decimal:
    """Bad events that the guard and `min_bad` ask for."""
    guard = budget.guard_minimum(traffic.during(over), slo.objective) if tier.guard is Guard.STATISTICAL else Decimal(0)
    return max(guard, Decimal(tier.min_bad))


def _least(slo: Slo, tier: Tier, traffic: Rate | None) -> int | None:
    if tier.over is None or traffic is None or slo.counts_slices:
        return None
    return _fewest(slo, tier, traffic, tier.over)


def _fewest(slo: Slo, tier: Tier, traffic: Rate, window: Duration) -> int:
    guarded = tier.guard is Guard.STATISTICAL and window == tier.over
    total, threshold = traffic.during(window), budget.error_threshold(tier, slo.objective)
    return budget.least_errors(total, threshold, slo.objective, guarded=guarded, least=max(1, tier.min_bad))


def _false_pages(slo: Slo, tier: Tier, traffic: Rate | None) -> Decimal | None:
    if tier.over is None or traffic is None or slo.counts_slices:
        return None
    if traffic.during(tier.over) < tier.min_events:
        return Decimal(0)
    step = interval(slo, tier)
    windows = [(max(1, int(window / step)), _fewest(slo, tier, traffic, window)) for window in tier.windows]
    errors = traffic.during(step) * slo.objective.error_budget * INSIDE
    return budget.expected_false_fires(errors, windows, int(_MONTH / step))


def missed(catalogue: Catalogue, which: str = "", traffic: Rate | None = None) -> Iterator[str]:
    """What a Platform's `expect` asks of the SLOs of `which` and does not get, one sentence each."""
    wanted = set(chosen(catalogue, which))
    for platform in catalogue.platforms:
        for service in platform.services:
            if wanted.intersection(service.slos):
                yield from _too_late(platform, service)
        for slo in platform.slos:
            if slo in wanted:
                yield from _too_many(platform, slo, traffic)


def _too_late(platform: Platform, service: Service) -> Iterator[str]:
    """The worst case: the outage begins right after a scrape, and that scrape right after an evaluation."""
    within = platform.expect.detect_within
    if within is None or not any(tier.severity is Severity.P1 for slo in service.slos for tier in slo.tiers):
        return
    yield from _dead_too_late(platform, service, within)
    times = [
        pending + slo.sampling.shift + slo.sampling.scrape_interval
        for slo in service.slos
        for tier in slo.tiers
        if (pending := pending_time(slo, tier, Decimal(1))) is not None
    ]
    if not times or min(times) > within:
        seen = f"after {min(times)}" if times else "never"
        yield (
            f"{platform.name}/{service.name}: a full outage is seen {seen}, expected within {within}; "
            "use a shorter `resolution`, `scrape_interval` or `scrape_timeout`, or a tier with a smaller `burn`"
        )


def _dead_too_late(platform: Platform, service: Service, within: Duration) -> Iterator[str]:
    """Targets that are all dead answer nothing: the next scrape fails at its timeout, and an evaluation sees it."""
    times = [
        slo.sampling.scrape_interval + slo.sampling.scrape_timeout + slo.sampling.resolution
        for slo in service.slos
        if slo.down_severity is Severity.P1
    ]
    if times and min(times) > within:
        yield (
            f"{platform.name}/{service.name}: targets that are all dead are seen after {min(times)}, "
            f"expected within {within}; use a shorter `resolution`, `scrape_interval` or `scrape_timeout`"
        )


def _too_many(platform: Platform, slo: Slo, traffic: Rate | None) -> Iterator[str]:
    most = platform.expect.false_pages
    if most is None:
        return
    for tier in slo.tiers:
        expected = _false_pages(slo, tier, traffic or slo.traffic)
        if expected is not None and expected > most:
            yield (
                f"{slo.platform}/{slo.service}/{slo.name}: tier {conventions.burn_tier(tier)} fires falsely "
                f"{expected:.2g} times in 30 days, expected at most {most:.2g}; {_quieter(slo, tier, most, traffic)}"
            )


def _quieter(slo: Slo, tier: Tier, most: Decimal, traffic: Rate | None) -> str:
    """What to write so that chance fires a tier no more often than it may."""
    least = _least(slo, tier, traffic or slo.traffic) or 0
    for more in range(least + 1, 2 * least + 20):
        expected = _false_pages(slo, replace(tier, min_bad=more), traffic or slo.traffic)
        if expected is not None and expected <= most:
            return f"write `min_bad: {more}`"
    return "use a longer `over` or a higher `burn`"


def explained(catalogue: Catalogue, which: str = "", traffic: Rate | None = None) -> list[SloExplanation]:
    """The SLOs that `chosen` chooses."""
    return [explain_slo(slo, traffic) for slo in chosen(catalogue, which)]


def chosen(catalogue: Catalogue, which: str) -> list[Slo]:
    """The SLOs of a service, or one of `SERVICE/SLO`, or all."""
    service, _, name = which.partition("/")
    return [slo for slo in catalogue.slos if service in {"", slo.service} and name in {"", slo.name}]
