"""AnalysisTemplates whose every end is meant: silence neither promotes nor aborts.

Argo's `web` provider takes what meets neither condition for inconclusive, does not count errors, and calls a metric
successful that merely reached its `count`. So a gate succeeds by `consecutiveSuccessLimit` alone, its `count` of looks
runs out as inconclusive, which pauses the rollout for a person, and errors have five minutes.

Argo up to 1.9.1 calls any answer that is no JSON successful, before it looks at conditions: a proxy's page, an empty
body, a login form after a redirect. So each gate waits for the verdict as Prometheus has seen it as well.
"""

from __future__ import annotations

import math
from typing import Any, Final

from sloctl import conventions
from sloctl.model.canary import Canary
from sloctl.model.catalogue import Service
from sloctl.model.quantities import ZERO, Duration
from sloctl.model.selector import Matcher, MatchOperator, Selector
from sloctl.promql.selectors import selector_text

INTERVAL: Final = Duration.of(seconds=30)
"""Between looks."""
ERRORS: Final = 30
"""So many errors in a row are retried, every ten seconds: five minutes without the webhook."""
TIMEOUT_SECONDS: Final = 20
"""The webhook answers within 8 s; Argo's own default is 10 s."""
MARGIN: Final = 2
"""Looks after the step's deadline, so that the last one judges samples from beyond it."""
METRIC: Final = "sloctl"
SEEN: Final = "sloctl-verdict"
"""The metric that reads the last verdict from Prometheus."""
SCRAPED: Final = 4
"""Looks until Prometheus has scraped a verdict."""
PROMOTE: Final = 'result.verdict == "promote"'
ROLLBACK: Final = 'result.verdict == "rollback"'
IS_PROMOTE: Final = "len(result) > 0 && result[0] == 1"
IS_ROLLBACK: Final = "len(result) > 0 && result[0] == -1"


def gate(platform: str, service: Service, step: int) -> dict[str, Any]:
    """What one step waits for: promote goes on, rollback aborts, no decision until the deadline pauses."""
    assert service.canary is not None
    looks = _looks(service, service.canary, step)
    asked = _waits(METRIC, looks, PROMOTE, ROLLBACK) | {"provider": _provider(platform, service, step)}
    seen = _waits(SEEN, looks + SCRAPED, IS_PROMOTE, IS_ROLLBACK) | {"provider": _seen(platform, service, step)}
    return _template(conventions.argo_gate(service, step), platform, service, asked, seen)


def _waits(name: str, looks: int, success: str, failure: str) -> dict[str, Any]:
    """A metric that succeeds with its first success and fails with its first failure."""
    return {
        "name": name,
        "interval": str(INTERVAL),
        "count": looks,
        "successCondition": success,
        "failureCondition": failure,
        "consecutiveSuccessLimit": 1,
        "failureLimit": 0,
        # One less than `count`: where an older Argo ignores `consecutiveSuccessLimit`, never deciding still pauses.
        "inconclusiveLimit": looks - 1,
        "consecutiveErrorLimit": ERRORS,
    }


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


def _template(name: str, platform: str, service: Service, *metrics: dict[str, Any]) -> dict[str, Any]:
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
        "spec": {"args": _arguments(with_prometheus=len(metrics) > 1), "metrics": list(metrics)},
    }


def _arguments(*, with_prometheus: bool) -> list[dict[str, Any]]:
    """The versions and the revision come from the Rollout; the servers' addresses may."""
    secret = {"name": conventions.ARGO_SECRET, "key": conventions.ARGO_SECRET_KEY}
    prometheus = [{"name": "prometheus", "value": conventions.ARGO_PROMETHEUS}] if with_prometheus else []
    return [
        {"name": "canary"},
        {"name": "stable"},
        {"name": "revision"},
        {"name": "server", "value": conventions.ARGO_SERVER},
        *prometheus,
        {"name": "token", "valueFrom": {"secretKeyRef": secret}},
    ]


def _seen(platform: str, service: Service, step: int) -> dict[str, Any]:
    values = {
        "platform": platform,
        "service": service.name,
        "canary": "{{args.canary}}",
        "revision": "{{args.revision}}",
        "step": str(step),
    }
    matchers = tuple(Matcher(label, MatchOperator.EQUAL, value) for label, value in values.items())
    query = f"max({selector_text(Selector(conventions.CANARY_VERDICT, matchers))})"
    return {"prometheus": {"address": "{{args.prometheus}}", "query": query}}


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
    sampling = [slo.sampling for slo in service.slos]
    late = max((each.shift + each.scrape_interval for each in sampling), default=INTERVAL)
    return math.ceil(((canary.longest(step) or ZERO) + late) / INTERVAL) + MARGIN
