"""What a decision was made of, as JSON: enough to make it again on any day.

The samples of both arms, where the rollout stood, and the service as it was specified then. Every value of the model
is tagged with the name of its class, so those names and the names of their fields are a format that stores are kept in.
"""

from __future__ import annotations

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

from sloctl.canary.analysis.question import CheckSamples
from sloctl.canary.analysis.samples import ArmSamples, CounterSeries
from sloctl.canary.analysis.statistics import Floats
from sloctl.canary.analysis.verdict import Reason, RolloutClock, Verdict, as_json, unanswered
from sloctl.canary.judging import Judged, judge_samples
from sloctl.diagnostics import Place
from sloctl.model import canary, catalogue, indicator, quantities, selector, window
from sloctl.model.catalogue import Service, Slo

METHOD: Final = 2
"""Counted up when the statistics change; 1 took evidence from the first interval only."""
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
            "samples": {name: _check_json(found) for name, found in judged.samples.items()},
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


def _again(recorded: Mapping[str, Any], service: Service) -> Verdict:
    assert service.canary is not None
    clock = None if recorded["clock"] is None else RolloutClock(**recorded["clock"])
    if recorded["cause"] is not None:
        reason, sentence = recorded["cause"]
        return unanswered(Reason(reason), sentence, clock, service.canary.when_missing)
    assert clock is not None
    samples = {name: _check(found) for name, found in recorded["samples"].items()}
    verdict = judge_samples(service, samples, clock, approved=recorded["approved"])
    return replace(verdict, warnings=(*recorded["warnings"], *verdict.warnings))


def _check_json(found: CheckSamples) -> dict[str, Any]:
    history = None if found.history is None else _samples_json(found.history)
    return {"canary": _samples_json(found.canary), "baseline": _samples_json(found.baseline), "history": history}


def _check(found: Mapping[str, Any]) -> CheckSamples:
    history = None if found["history"] is None else _samples(found["history"])
    return CheckSamples(_samples(found["canary"]), _samples(found["baseline"]), history)


def _samples_json(samples: ArmSamples) -> dict[str, Any]:
    series = {role: list(map(_series_json, found)) for role, found in samples.series.items()}
    gone = sorted(map(list, samples.gone))
    targets = {"targets": list(samples.target_labels), "gone": gone, "warm_up": samples.warm_up}
    return {"points": samples.points, **targets, "series": series}


def _samples(found: Mapping[str, Any]) -> ArmSamples:
    series = {role: tuple(map(_series, each)) for role, each in found["series"].items()}
    gone = frozenset(map(tuple, found.get("gone", ())))
    return ArmSamples(series, found["points"], tuple(found["targets"]), gone, found.get("warm_up", 0))


def _series_json(series: CounterSeries) -> dict[str, Any]:
    """The values; of whole ones how they grow from sample to sample, which takes a part of the room."""
    seen = ~np.isnan(series.values)
    known = series.values[seen]
    whole = bool((known == np.floor(known)).all() and (np.abs(known) < _EXACT).all())
    numbers = iter((np.diff(known, prepend=0.0).astype(np.int64) if whole else known).tolist())
    values = [next(numbers) if here else None for here in seen.tolist()]
    return {"labels": dict(series.labels), "steps" if whole else "values": values, "invalid": bool(series.invalid)}


def _series(found: Mapping[str, Any]) -> CounterSeries:
    recorded = found["values"] if "values" in found else found["steps"]
    values: Floats = np.array([math.nan if value is None else value for value in recorded], dtype=np.float64)
    if "steps" in found:
        known = ~np.isnan(values)
        values[known] = np.cumsum(values[known])
    return CounterSeries(found["labels"], values, found["invalid"])


def _packed(value: object) -> bytes:
    return zlib.compress(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode(), 6)


def _unpacked(packed: bytes) -> bytes:
    return zlib.decompressobj().decompress(packed, _MOST_BYTES)
