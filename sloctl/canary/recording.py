"""What a decision was made of, as JSON: enough to make it again on any day.

The samples of both arms, where the rollout stood, and the service as it was specified then.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter

from sloctl.canary.analysis.question import CheckSamples
from sloctl.canary.analysis.samples import Samples, Series
from sloctl.canary.analysis.statistics import Floats
from sloctl.canary.analysis.verdict import Clock, Reason, Verdict, as_json, unanswered
from sloctl.canary.judging import Judged, judge_samples
from sloctl.diagnostics import Place
from sloctl.model.canary import Canary
from sloctl.model.catalogue import Service, Slo

_SERVICE: Final = TypeAdapter(Service)
_CLOCK: Final = TypeAdapter(Clock)
_NOWHERE: Final = Place("")
_MOST_BYTES: Final = 256 * 1024 * 1024


def service_bytes(service: Service) -> bytes:
    """What the analysis reads of a service; equal for specifications that say the same of it."""
    return _packed(_SERVICE.dump_python(_bare(service), mode="json"))


def service_digest(packed: bytes) -> str:
    """Digest of a service as `service_bytes` gives it."""
    return hashlib.sha256(_unpacked(packed)).hexdigest()


def service_from(packed: bytes) -> Service:
    """The service that `service_bytes` was given."""
    return _SERVICE.validate_json(_unpacked(packed))


def evidence_bytes(judged: Judged, *, approved: bool) -> bytes:
    """What a verdict was made of, and the verdict."""
    clock = judged.verdict.clock
    return _packed(
        {
            "approved": approved,
            "cause": judged.cause and [judged.cause[0].value, judged.cause[1]],
            "clock": None if clock is None else _CLOCK.dump_python(clock, mode="json"),
            "samples": {name: _check_json(found) for name, found in judged.samples.items()},
            "warnings": list(judged.warnings),
            "verdict": as_json(judged.verdict),
        }
    )


def replayed(evidence: bytes, service: Service) -> tuple[dict[str, Any], dict[str, Any]]:
    """The verdict as it was recorded, and as it is computed from the recorded counts now."""
    recorded = json.loads(_unpacked(evidence))
    then: dict[str, Any] = recorded["verdict"]
    again = _again(recorded, service)
    again = replace(again, service=then["service"], canary=then["canary"], stable=then["stable"])
    return then, json.loads(json.dumps(as_json(again)))


def _again(recorded: Mapping[str, Any], service: Service) -> Verdict:
    assert service.canary is not None
    clock = None if recorded["clock"] is None else _CLOCK.validate_python(recorded["clock"])
    if recorded["cause"] is not None:
        reason, sentence = recorded["cause"]
        return unanswered(Reason(reason), sentence, clock, service.canary.when_missing)
    assert clock is not None
    samples = {name: _check(found) for name, found in recorded["samples"].items()}
    verdict = judge_samples(service, samples, clock, approved=recorded["approved"])
    return replace(verdict, warnings=(*recorded["warnings"], *verdict.warnings))


def _bare(service: Service) -> Service:
    """The service without what no verdict depends on, such as texts, alerts and where something is written."""
    assert service.canary is not None
    return Service(
        service.name, None, tuple(map(_bare_slo, service.slos)), _NOWHERE, "", canary=_bare_canary(service.canary)
    )


def _bare_slo(slo: Slo) -> Slo:
    return Slo(
        slo.platform,
        slo.service,
        slo.name,
        slo.objective,
        slo.indicator,
        slo.window,
        (),
        slo.sampling,
        slo.mode,
        _NOWHERE,
        max_series=slo.max_series,
    )


def _bare_canary(canary: Canary) -> Canary:
    checks = tuple(replace(check, place=_NOWHERE) for check in canary.checks)
    return replace(canary, checks=checks, place=_NOWHERE)


def _check_json(found: CheckSamples) -> dict[str, Any]:
    history = None if found.history is None else _samples_json(found.history)
    return {"canary": _samples_json(found.canary), "baseline": _samples_json(found.baseline), "history": history}


def _check(found: Mapping[str, Any]) -> CheckSamples:
    history = None if found["history"] is None else _samples(found["history"])
    return CheckSamples(_samples(found["canary"]), _samples(found["baseline"]), history)


def _samples_json(samples: Samples) -> dict[str, Any]:
    series = {role: [_series_json(one) for one in found] for role, found in samples.series.items()}
    return {"points": samples.points, "targets": list(samples.target_labels), "series": series}


def _samples(found: Mapping[str, Any]) -> Samples:
    series = {role: tuple(_series(one) for one in each) for role, each in found["series"].items()}
    return Samples(series, found["points"], tuple(found["targets"]))


def _series_json(series: Series) -> dict[str, Any]:
    values = [None if math.isnan(value) else value for value in series.values.tolist()]
    return {"labels": dict(series.labels), "values": values, "invalid": bool(series.invalid)}


def _series(found: Mapping[str, Any]) -> Series:
    values: Floats = np.array([math.nan if value is None else value for value in found["values"]], dtype=np.float64)
    return Series(found["labels"], values, found["invalid"])


def _packed(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    return zlib.compress(text.encode(), 1)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not recorded")


def _unpacked(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    return unpacking.decompress(packed, _MOST_BYTES)
