"""What an analysis is asked: the canary as specified, the samples of each check, and where the rollout stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

import numpy as np

from sloctl.canary.analysis.counts import ArmCounts, HistoryCounts, Keep
from sloctl.canary.analysis.evidence import FEW_BLOCKS, BaselineHistory, Limits
from sloctl.canary.analysis.samples import Events, Path
from sloctl.canary.analysis.verdict import RolloutClock
from sloctl.model.canary import Canary, Needs, SloCheck, WhenShared
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Indicator, Latency, Probe, Ratio, WholeIndicator, judgeable

AFTER: Final = "after"
"""Name of the samples and of the finding about the time after promotion."""
BUCKET: Final = "bucket"
BAD_BUCKET: Final = "bad_bucket"


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be judged.

    Attributes:
        slos: the service's SLOs, by name.
        approved: False while a person has to approve this deployment.
    """

    canary: Canary
    slos: Mapping[str, Slo]
    clock: RolloutClock
    approved: bool = True
    warnings: list[str] = field(default_factory=list)

    @property
    def is_last_step(self) -> bool:
        """Whether all traffic is the canary's, so that there is nothing to compare with."""
        return self.clock.step == self.canary.last_step

    def limits(self, check: SloCheck, parts: int = 1) -> Limits:
        """A check's limits with its part of the chances.

        The chance of a false rollback is divided among the checks, and then among `parts` of one. The chance of a
        wrong promote is not: promotion needs every check, so the one that should have failed decides.
        """
        alpha = self.canary.alpha
        return Limits(
            error_rate=None if check.error_rate is None else float(check.error_rate),
            margin=None if check.worse_by is None else 1 + float(check.worse_by),
            both=check.needs is Needs.BOTH,
            shared_rolls_back=check.shared is WhenShared.ROLLBACK,
            alpha_rollback=float(alpha.rollback) / len(self.canary.checks) / parts,
            alpha_promote=float(alpha.promote),
        )


def clock_at(
    canary: Canary, start: float, end: float, grid_seconds: float, step: int, step_started: float | None = None
) -> RolloutClock:
    """Where a rollout stands; without `step_started`, earlier steps are taken to have lasted their shortest time."""
    if step_started is None:
        step_started = start + float(canary.begins(step).seconds)
    longest = canary.longest(step)
    deadline = None if longest is None else step_started + float(longest.seconds)
    held = end - step_started >= float(canary.shortest(step).seconds)
    return RolloutClock(start, end, grid_seconds, step, held, deadline)


def events(counts: ArmCounts, indicator: Indicator, keep: Keep | None = None) -> Events:
    """Bad and all events of an indicator, of the series that are kept."""
    if isinstance(indicator, WholeIndicator):
        return Events(counts.path("bad", keep), counts.path("total", keep))
    judged = judgeable(indicator)
    match judged:
        case Ratio():
            return _ratio_events(counts, judged, keep)
        case Latency():
            return _latency_events(counts, judged, keep)
        case Probe():
            return Events(counts.path("bad", keep), counts.path("total", keep))
        case _:
            assert_never(judged)


def _ratio_events(counts: ArmCounts, ratio: Ratio, keep: Keep | None) -> Events:
    bad, good, total = (counts.path(role, keep) for role in ("bad", "good", "total"))
    if ratio.total is None:
        return Events(bad, bad + good)
    return Events(bad if ratio.bad is not None else total - good, total)


def _latency_events(counts: ArmCounts, latency: Latency, keep: Keep | None) -> Events:
    total, fast = tail_events(counts, BUCKET, float(latency.at_most), keep)
    if latency.bad_if:
        _, fast_but_bad = tail_events(counts, BAD_BUCKET, float(latency.at_most), keep)
        fast = fast - fast_but_bad
    return Events(total - fast, total)


def tail_events(counts: ArmCounts, role: str, bound: float, keep: Keep | None) -> tuple[Path, Path]:
    """All observations of a histogram, and those at or below a bound, interpolated where it is no edge."""
    total = counts.path(role, keep, np.inf)
    edges = counts.bounds(role)
    if bound in edges or not edges:
        return total, counts.path(role, keep, bound)
    below, above = (
        max((edge for edge in edges if edge < bound), default=0.0),
        min(edge for edge in edges if edge > bound),
    )
    share = 0.0 if np.isinf(above) else (bound - below) / (above - below)
    low, high = counts.path(role, keep, below), counts.path(role, keep, above)
    return total, Path(low.low + share * (high.low - low.low), low.high + share * (high.high - low.high))


def lacks_bucket(counts: ArmCounts, indicator: Indicator) -> bool:
    """Whether a classic histogram has no bucket for the bound of its SLI: that is missing data, not slowness."""
    if not isinstance(indicator, Latency) or indicator.native or counts.is_empty:
        return False
    return float(indicator.at_most) not in counts.bounds(BUCKET)


def history_of(counts: HistoryCounts | None, count: Callable[[ArmCounts], Events]) -> BaselineHistory:
    """The baseline's error ratio before the canary, and how much halves of it differ.

    Args:
        counts: of the baseline, on a grid of blocks.
        count: the events of one half.
    """
    if counts is None or counts.halves[0].points < 2 or counts.is_empty:
        return BaselineHistory()
    left, right = map(count, counts.halves)
    return BaselineHistory.of(left.bad.late, left.total.late, right.bad.late, right.total.late)


def history_warnings(history: HistoryCounts | None) -> list[str]:
    """What makes the dispersion uncertain, in words."""
    if history is None or history.is_empty:
        return ["no history of the stable version: its errors are taken to come in bursts"]
    if history.processes < 2:
        return ["the history has one target only: its errors are taken to come in bursts"]
    if history.blocks < FEW_BLOCKS:
        return [f"the history has {history.blocks} blocks of 30 s only: how bursty errors are is hardly known"]
    return []
