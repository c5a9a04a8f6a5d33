"""Argo Rollouts' measurement loop, as far as our templates use it, from its documentation and controller.

https://argo-rollouts.readthedocs.io/en/stable/features/analysis/ and analysis/analysis.go of release 1.8: what a
measurement is, what is counted, when a metric is over, and what that does to the Rollout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

ERROR_RETRY_SECONDS = 10
DEFAULT_ERROR_LIMIT = 4
CONDITION = re.compile(r'result\.(\w+) == "(\w+)"')


class Phase(Enum):
    """Of a measurement or of a whole run."""

    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"


Answer = tuple[int, str] | None
"""Status and body; None where nobody answers within the timeout."""
Ask = Callable[[Mapping[str, Any], float], Answer]
"""What the webhook answers to a JSON body at a moment."""


@dataclass
class Run:
    """One metric of an AnalysisRun.

    Attributes:
        index: which of the template's metrics.
        consecutive_success: whether this Argo knows `consecutiveSuccessLimit`, as 1.8 and later do.
    """

    template: Mapping[str, Any]
    arguments: Mapping[str, str]
    ask: Ask
    consecutive_success: bool = True
    index: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(["count", "in a row", *map(str, Phase)], 0))
    kept: list[Any] = field(default_factory=list)
    waited: float = 0.0

    def until(self, seconds: float, start: float = 0.0) -> tuple[Phase, float]:
        """How it stands after so long, and when it was over."""
        now = start
        while now <= start + seconds:
            measured = self.measure(now)
            phase = self.assessed()
            if phase is not Phase.RUNNING:
                return phase, now
            now += ERROR_RETRY_SECONDS if measured is Phase.ERROR else self.interval
            now += self.waited
        return Phase.RUNNING, now

    @property
    def metric(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.template["spec"]["metrics"][self.index]
        return found

    @property
    def interval(self) -> float:
        return float(str(self.metric["interval"]).removesuffix("s"))

    def measure(self, now: float) -> Phase:
        """One measurement: errors are no part of `count`, and any other answer ends their row."""
        phase = self._measured(now)
        self.counts[str(phase)] += 1
        if phase is Phase.ERROR:
            self.counts["errors in a row"] = self.counts.get("errors in a row", 0) + 1
            return phase
        self.counts["errors in a row"] = 0
        self.counts["count"] += 1
        self.counts["in a row"] = self.counts["in a row"] + 1 if phase is Phase.SUCCESSFUL else 0
        return phase

    def assessed(self) -> Phase:
        """In Argo's order: limits, then successes in a row, then the count."""
        metric, counts = self.metric, self.counts
        phase = Phase.RUNNING
        if counts[str(Phase.FAILED)] > metric.get("failureLimit", 0):
            phase = Phase.FAILED
        if counts[str(Phase.INCONCLUSIVE)] > metric.get("inconclusiveLimit", 0):
            phase = Phase.INCONCLUSIVE
        if counts.get("errors in a row", 0) > metric.get("consecutiveErrorLimit", DEFAULT_ERROR_LIMIT):
            phase = Phase.ERROR
        if phase is not Phase.RUNNING:
            return phase
        wanted = metric.get("consecutiveSuccessLimit", 0) if self.consecutive_success else 0
        if wanted and counts["in a row"] >= wanted:
            return Phase.SUCCESSFUL
        if "count" in metric and counts["count"] >= metric["count"]:
            return Phase.INCONCLUSIVE if wanted else Phase.SUCCESSFUL
        return Phase.RUNNING

    def _measured(self, now: float) -> Phase:
        answer = self.ask(self.body, now)
        self.waited = 0.0 if answer is not None else self.metric["provider"]["web"]["timeoutSeconds"]
        if answer is None or not 200 <= answer[0] < 300:
            return Phase.ERROR
        try:
            value = json.loads(answer[1])
        except ValueError:
            return Phase.SUCCESSFUL  # webmetric.parseResponse up to 1.9.1, before any condition is looked at
        else:
            name = self.metric["provider"]["web"]["jsonPath"].removeprefix("{$.").removesuffix("}")
            if name not in value:
                return Phase.ERROR
            value = value[name]
        self.kept.append(value)
        return self._evaluated(value)

    def _evaluated(self, value: Any) -> Phase:
        """With both conditions, failure wins, and neither is inconclusive; with one, the other is its opposite."""
        success, failure = (self.metric.get(name) for name in ("successCondition", "failureCondition"))
        if not isinstance(value, dict):
            return Phase.ERROR  # a text has no fields
        if failure is not None and _holds(failure, value):
            return Phase.FAILED
        if success is None:
            return Phase.SUCCESSFUL
        if _holds(success, value):
            return Phase.SUCCESSFUL
        return Phase.INCONCLUSIVE if failure is not None else Phase.FAILED

    @property
    def body(self) -> Mapping[str, Any]:
        """`jsonBody` with the arguments in place."""
        text = json.dumps(self.metric["provider"]["web"]["jsonBody"])
        found: Mapping[str, Any] = json.loads(
            re.sub(r"\{\{args\.(\w+)\}\}", lambda name: self.arguments[name[1]], text)
        )
        return found


def whole(
    template: Mapping[str, Any],
    arguments: Mapping[str, str],
    ask: Ask,
    seen: Callable[[float], float | None],
    seconds: float,
    *,
    knows: bool = True,
) -> tuple[Phase, float]:
    """An AnalysisRun of a gate: it succeeds with all of its metrics, and ends with the first that ends otherwise.

    Args:
        seen: the verdict's gauge as Prometheus has it at a moment; None for no series.
    """
    asked = Run(template, arguments, ask, knows).until(seconds)
    gauge = SeenRun(template, arguments, ask, knows, 1)
    gauge.seen = seen
    ends = [asked, gauge.until(seconds)]
    bad = [end for end in ends if end[0] not in {Phase.SUCCESSFUL, Phase.RUNNING}]
    if bad:
        return min(bad, key=lambda end: end[1])
    return max(ends, key=lambda end: (end[0] is Phase.RUNNING, end[1]))


class SeenRun(Run):
    """The metric that reads the gauge: an empty vector is neither success nor failure."""

    seen: Callable[[float], float | None]

    def _measured(self, now: float) -> Phase:
        conditions = [self.metric[name] for name in ("successCondition", "failureCondition")]
        assert conditions == ["len(result) > 0 && result[0] == 1", "len(result) > 0 && result[0] == -1"]
        return {1: Phase.SUCCESSFUL, -1: Phase.FAILED}.get(self.seen(now), Phase.INCONCLUSIVE)


def _holds(condition: str, value: Mapping[str, Any]) -> bool:
    found = CONDITION.fullmatch(condition)
    assert found is not None, condition
    return bool(value[found[1]] == found[2])


def rollout_after(phase: Phase) -> str:
    """What Argo does with a Rollout whose step's or background run ends so."""
    return {
        Phase.RUNNING: "waits",
        Phase.SUCCESSFUL: "goes on",
        Phase.FAILED: "aborted",
        Phase.ERROR: "aborted",
        Phase.INCONCLUSIVE: "paused",
    }[phase]
