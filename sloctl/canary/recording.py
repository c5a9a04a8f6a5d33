"""What a decision was made of, as JSON: enough to make it again on any day.

The events of both arms in each interval, where the rollout stood, and the service as it was specified then. Every value
of the model is tagged with the name of its class, so those names and the names of their fields are a format that stores
are kept in. Stores of earlier releases hold every sample instead of the events; they are read as well.
"""

from __future__ import annotations

import bz2
import hashlib
import inspect
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter

from sloctl.canary.analysis.analyse import counted
from sloctl.canary.analysis.counts import ArmCounts, CheckCounts, HistoryCounts
from sloctl.canary.analysis.samples import ArmSamples, CheckSamples, CounterSeries, LabelValues, Path
from sloctl.canary.analysis.statistics import Floats
from sloctl.canary.analysis.verdict import Reason, RolloutClock, Verdict, as_json, unanswered
from sloctl.canary.judging import Judged, judge_counts
from sloctl.diagnostics import Place
from sloctl.model import canary, catalogue, indicator, quantities, selector, window
from sloctl.model.catalogue import Service, Slo

METHOD: Final = 3
"""Counted up when the statistics change; 1 took evidence from the first interval only, 2 also from a single burst."""
_MOST_BYTES: Final = 256 * 1024 * 1024
_MODULES: Final = (canary, catalogue, indicator, quantities, selector, window)
_KINDS: Final = {name: kind for module in _MODULES for name, kind in vars(module).items() if isinstance(kind, type)}
"""The classes that a recorded service is made of, by name."""
_EXACT: Final = 2**53
"""Below it every whole number is one of floating point."""
_READ: Final[Mapping[type, Iterable[str]]] = {
    Service: ("name", "slos", "canary"),
    Slo: ("platform", "service", "name", "objective", "indicator", "window", "sampling", "mode", "max_series"),
}
"""What the analysis reads of these; no verdict depends on the rest, such as texts, teams and alerts."""
_UNREAD: Final = {"place": Place(""), "path": "", "team": None, "tiers": ()}
"""Stands in for what is not recorded and has no default."""
_UNTAGGED: Final = TypeAdapter(Service)
"""Reads what was recorded before kinds were tagged."""


def service_bytes(service: Service) -> bytes:
    """What the analysis reads of a service; equal for specifications that say the same of it."""
    return _packed(_tagged(service))


def service_digest(packed: bytes) -> str:
    """Digest of a service as `service_bytes` gives it."""
    return hashlib.sha256(_unpacked(packed)).hexdigest()


def service_from(packed: bytes) -> Service:
    """The service that `service_bytes` was given."""
    text = _unpacked(packed)
    recorded = json.loads(text)
    found: Service = _value(recorded) if "kind" in recorded else _UNTAGGED.validate_json(text)
    return found


def _tagged(value: Any) -> Any:
    """A value of the model as JSON."""
    match value:
        case Enum():
            fields = {"value": value.value}
        case Decimal():
            fields = {"value": str(value)}
        case None | bool() | int() | str():
            return value
        case tuple() if not hasattr(value, "_fields"):  # no named tuple
            return [_tagged(item) for item in value]
        case _:
            names = _READ.get(type(value)) or inspect.signature(type(value)).parameters.keys() - _UNREAD.keys()
            fields = {name: _tagged(getattr(value, name)) for name in names}
    kind = type(value).__name__
    if _KINDS.get(kind) is not type(value):
        raise TypeError(f"{kind} is not recorded")
    return {"kind": kind, **fields}


def _value(recorded: Any) -> Any:
    """The value that `_tagged` was given."""
    match recorded:
        case {"kind": str(name), **fields}:
            kind = _KINDS[name]
            parameters = inspect.signature(kind).parameters.values()
            needed = {parameter.name for parameter in parameters if parameter.default is parameter.empty}
            unread = {name: value for name, value in _UNREAD.items() if name in needed}
            return kind(**unread | {str(name): _value(value) for name, value in fields.items()})
        case list():
            return tuple(map(_value, recorded))
        case _:
            return recorded


def evidence_bytes(judged: Judged, *, approved: bool) -> bytes:
    """What a verdict was made of, and the verdict."""
    clock = judged.verdict.clock
    return _packed(
        {
            "method": METHOD,
            "approved": approved,
            "cause": judged.cause and [judged.cause[0].value, judged.cause[1]],
            "clock": None if clock is None else asdict(clock),
            "counts": {name: _check_json(found) for name, found in judged.counts.items()},
            "warnings": list(judged.warnings),
            "verdict": as_json(judged.verdict),
        }
    )


@dataclass(frozen=True, slots=True)
class Replay:
    """A verdict as it was recorded, and as it is computed from the recorded counts now; both as `as_json` writes them.

    Attributes:
        method: of the statistics that made it; by another one than `METHOD` its numbers are others.
    """

    then: dict[str, Any]
    now: dict[str, Any]
    method: int

    @property
    def same(self) -> bool:
        """Whether the counts still say so: to the last digit, or by another method the verdict and its reason."""
        if self.method == METHOD:
            return self.then == self.now
        return all(self.then[name] == self.now[name] for name in ("verdict", "reason"))


def replayed(evidence: bytes, service: Service) -> Replay:
    """Make a recorded verdict again."""
    recorded = json.loads(_unpacked(evidence))
    then: dict[str, Any] = recorded["verdict"]
    again = _again(recorded, service)
    again = replace(again, service=then["service"], canary=then["canary"], stable=then["stable"])
    return Replay(then, json.loads(json.dumps(as_json(again))), recorded.get("method", 1))


def recorded_counts(evidence: bytes, service: Service) -> tuple[dict[str, CheckCounts], RolloutClock | None]:
    """The counts of each check by name, and where the rollout stood; none where the source gave no samples."""
    return _counts(json.loads(_unpacked(evidence)), service)


def _counts(recorded: Mapping[str, Any], service: Service) -> tuple[dict[str, CheckCounts], RolloutClock | None]:
    assert service.canary is not None
    clock = None if recorded["clock"] is None else RolloutClock(**recorded["clock"])
    if "counts" in recorded:
        return {name: _check(found) for name, found in recorded["counts"].items()}, clock
    return counted({name: _samples_of(found) for name, found in recorded["samples"].items()}, service.canary), clock


def _again(recorded: Mapping[str, Any], service: Service) -> Verdict:
    assert service.canary is not None
    counts, clock = _counts(recorded, service)
    if recorded["cause"] is not None:
        reason, sentence = recorded["cause"]
        return unanswered(Reason(reason), sentence, clock, service.canary.when_missing)
    assert clock is not None
    verdict = judge_counts(service, counts, clock, approved=recorded["approved"])
    return replace(verdict, warnings=(*recorded["warnings"], *verdict.warnings))


def _check_json(found: CheckCounts) -> dict[str, Any]:
    return {
        "canary": _arm_json(found.canary),
        "baseline": _arm_json(found.baseline),
        "history": None if found.history is None else _history_json(found.history),
    }


def _check(found: Mapping[str, Any]) -> CheckCounts:
    history = None if found["history"] is None else _history(found["history"])
    return CheckCounts(_arm(found["canary"]), _arm(found["baseline"]), history)


def _history_json(history: HistoryCounts) -> dict[str, Any]:
    halves = list(map(_arm_json, history.halves))
    return {"halves": halves, "processes": history.processes, "blocks": history.blocks}


def _history(found: Mapping[str, Any]) -> HistoryCounts:
    left, right = map(_arm, found["halves"])
    return HistoryCounts((left, right), found["processes"], found["blocks"])


def _arm_json(arm: ArmCounts) -> dict[str, Any]:
    events = [
        {"role": role, "bound": None if bound is None else repr(bound), "value": list(value), **_path_json(path)}
        for (role, bound), each in arm.counted.items()
        for value, path in each.items()
    ]
    problem = None if arm.problem is None else [arm.problem[0].value, arm.problem[1]]
    head = {"points": arm.points, "complete_until": arm.complete_until, "is_empty": arm.is_empty, "problem": problem}
    return {**head, "processes": arm.processes, "events": events}


def _arm(found: Mapping[str, Any]) -> ArmCounts:
    events: dict[tuple[str, float | None], dict[LabelValues, Path]] = {}
    for each in found["events"]:
        bound = None if each["bound"] is None else float(each["bound"])
        events.setdefault((each["role"], bound), {})[tuple(each["value"])] = _path(each)
    problem = None if found["problem"] is None else (Reason(found["problem"][0]), found["problem"][1])
    return ArmCounts(found["points"], events, found["complete_until"], problem, found["is_empty"], found["processes"])


def _path_json(path: Path) -> dict[str, Any]:
    """The events of each interval, and how many more they may be where that is not certain."""
    low = _steps_json(path.low)
    return (
        {"low": low} if np.array_equal(path.low, path.high) else {"low": low, "more": _steps_json(path.high - path.low)}
    )


def _path(found: Mapping[str, Any]) -> Path:
    low = _steps(found["low"])
    return Path(low, low + _steps(found["more"]) if "more" in found else low)


def _steps_json(values: Floats) -> dict[str, Any]:
    """How a count grows from point to point; of whole ones by how much more than usual, which takes the least room."""
    if not ((values == np.floor(values)).all() and (np.abs(values) < _EXACT).all()):
        return {"values": values.tolist()}
    steps = np.diff(values, prepend=0.0).astype(np.int64)
    usual = int(np.median(steps))
    return {"usual": usual, "more": (steps - usual).tolist()}


def _steps(found: Mapping[str, Any]) -> Floats:
    if "values" in found:
        return np.array(found["values"], dtype=np.float64)
    steps = np.array(found["more"], dtype=np.int64) + found["usual"]
    return np.cumsum(steps).astype(np.float64)


def _samples_of(found: Mapping[str, Any]) -> CheckSamples:
    """The samples of a check, as earlier releases recorded them."""
    history = None if found["history"] is None else _samples(found["history"])
    return CheckSamples(_samples(found["canary"]), _samples(found["baseline"]), history)


def _samples(found: Mapping[str, Any]) -> ArmSamples:
    series = {role: tuple(map(_series, each)) for role, each in found["series"].items()}
    gone = frozenset(map(tuple, found.get("gone", ())))
    return ArmSamples(series, found["points"], tuple(found["targets"]), gone, found.get("warm_up", 0))


def _series(found: Mapping[str, Any]) -> CounterSeries:
    recorded = found["values"] if "values" in found else found["steps"]
    values: Floats = np.array([math.nan if value is None else value for value in recorded], dtype=np.float64)
    if "steps" in found:
        known = ~np.isnan(values)
        values[known] = np.cumsum(values[known])
    return CounterSeries(found["labels"], values, found["invalid"])


def _packed(value: object) -> bytes:
    """As JSON, compressed by bzip2, which finds what columns of numbers have in common."""
    return bz2.compress(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())


def _unpacked(packed: bytes) -> bytes:
    """The JSON; earlier releases compressed it by zlib."""
    if packed.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(packed, _MOST_BYTES)
    return zlib.decompressobj().decompress(packed, _MOST_BYTES)
