"""AnalysisTemplates whose every end is meant: silence neither promotes nor aborts.

Argo's `web` provider takes what meets neither condition for inconclusive, does not count errors, and calls a metric
successful that merely reached its `count`. So a gate succeeds by `consecutiveSuccessLimit` alone, its `count` of looks
runs out as inconclusive, which pauses the rollout for a person, and errors have five minutes.
"""

from __future__ import annotations

import math
from typing import Any, Final

from sloctl import conventions
from sloctl.model.canary import Canary
from sloctl.model.catalogue import Service
from sloctl.model.quantities import Duration

INTERVAL: Final = Duration.of(seconds=30)
"""Between looks."""
ERRORS: Final = 30
"""So many errors in a row are retried, every ten seconds: five minutes without the webhook."""
TIMEOUT_SECONDS: Final = 20
"""The webhook answers within 8 s; Argo's own default is 10 s."""
MARGIN: Final = 2
"""Looks after the step's deadline, so that the last one judges samples from beyond it."""
METRIC: Final = "sloctl"
PROMOTE: Final = 'result.verdict == "promote"'
ROLLBACK: Final = 'result.verdict == "rollback"'


def gate(platform: str, service: Service, step: int) -> dict[str, Any]:
    """What one step waits for: promote goes on, rollback aborts, no decision until the deadline pauses."""
    assert service.canary is not None
    looks = _looks(service, service.canary, step)
    metric = {
        "name": METRIC,
        "interval": str(INTERVAL),
        "count": looks,
        "successCondition": PROMOTE,
        "failureCondition": ROLLBACK,
        "consecutiveSuccessLimit": 1,
        "failureLimit": 0,
        # One less than `count`: where an older Argo ignores `consecutiveSuccessLimit`, never deciding still pauses.
        "inconclusiveLimit": looks - 1,
        "consecutiveErrorLimit": ERRORS,
        "provider": _provider(platform, service, step),
    }
    return _template(conventions.argo_gate(service, step), platform, service, metric)


def guard(platform: str, service: Service) -> dict[str, Any]:
    """What runs beside the steps, as long as they do: it can abort the rollout and nothing else."""
    metric = {
        "name": METRIC,
        "interval": str(INTERVAL),
        "failureCondition": ROLLBACK,
        "failureLimit": 0,
        "consecutiveErrorLimit": ERRORS,
        "provider": _provider(platform, service, None),
    }
    return _template(conventions.argo_guard(service), platform, service, metric)


def _template(name: str, platform: str, service: Service, metric: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/managed-by": "sloctl",
                "platform": platform,
                "service": service.name,
            },
        },
        "spec": {"args": _arguments(), "metrics": [metric]},
    }


def _arguments() -> list[dict[str, Any]]:
    """The versions and the revision come from the Rollout; the server's address may."""
    secret = {"name": conventions.ARGO_SECRET, "key": conventions.ARGO_SECRET_KEY}
    return [
        {"name": "canary"},
        {"name": "stable"},
        {"name": "revision"},
        {"name": "server", "value": conventions.ARGO_SERVER},
        {"name": "token", "valueFrom": {"secretKeyRef": secret}},
    ]


def _provider(platform: str, service: Service, step: int | None) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "service": f"{platform}/{service.name}",
        "canary": "{{args.canary}}",
        "stable": "{{args.stable}}",
        "revision": "{{args.revision}}",
    }
    if step is not None:
        asked["step"] = step
    return {
        "web": {
            "method": "POST",
            "url": "{{args.server}}/v1/canary/evaluate",
            "timeoutSeconds": TIMEOUT_SECONDS,
            "headers": [{"key": "Authorization", "value": "Bearer {{args.token}}"}],
            "jsonBody": asked,
            "jsonPath": "{$.argo}",
        }
    }


def _looks(service: Service, canary: Canary, step: int) -> int:
    """Until the step's deadline, and until samples from beyond it are there."""
    late = max((slo.sampling.shift + slo.sampling.scrape_interval for slo in service.slos), default=INTERVAL)
    return math.ceil((_longest(canary, step) + late) / INTERVAL) + MARGIN


def _longest(canary: Canary, step: int) -> Duration:
    current = canary.steps[step]
    if current.deadline is not None:
        return current.deadline
    hold = current.hold or Duration(0)
    if canary.after is not None and step == len(canary.steps) - 1:
        hold = max(hold, canary.after.within)
    return hold * 2
