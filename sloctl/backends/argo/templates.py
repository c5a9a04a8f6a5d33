"""AnalysisTemplates whose every end is meant: silence neither promotes nor aborts.

Argo's `web` provider takes what meets neither condition for inconclusive, does not count errors, and calls a metric
successful that merely reached its `count`. So a gate succeeds by `consecutiveSuccessLimit` alone, its `count` of looks
runs out as inconclusive, which pauses the rollout for a person, and errors have five minutes.

Argo up to 1.9.1 calls any answer that is no JSON successful, before it looks at conditions: a proxy's page, an empty
body, a login form after a redirect. So each gate waits for the verdict as Prometheus has seen it as well, and the guard
looks there too. A Prometheus that is away aborts nothing: then the webhook has no samples and the rollout is paused.
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
RETRY: Final = Duration.of(seconds=10)
"""Argo tries again so long after an error."""
ERRORS: Final = 14
"""So many errors in a row are retried: five minutes of a webhook that hangs, half of that of one that is not there."""
FOR_EVER: Final = 1_000_000
"""So many errors in a row take months."""
TIMEOUT_SECONDS: Final = 10
"""The webhook answers within 8 s."""
MARGIN: Final = 2
"""Looks after the step's deadline, so that the last one judges samples from beyond it."""
METRIC: Final = "sloctl"
SEEN: Final = "sloctl-verdict"
"""The metric that reads the last verdict from Prometheus."""
SCRAPED: Final = 4
"""Looks until Prometheus has scraped a verdict."""
PROMOTE: Final = 'result.verdict == "promote"'
ROLLBACK: Final = 'result.verdict == "rollback"'
DRY_RUN: Final = {"name": "dry_run", "value": "false"}
"""A gate's argument: in a dry run it takes its time also after a rollback, which ends nothing else."""
IS_PROMOTE: Final = "len(result) > 0 && result[0] == 1"
IS_ROLLBACK: Final = "len(result) > 0 && result[0] == -1"


def gate(platform: str, service: Service, step: int) -> dict[str, Any]:
    """What one step waits for: promote goes on, rollback aborts, no decision until the deadline pauses."""
    assert service.canary is not None
    looks = _looks(service, service.canary, step)
    asked = _waits(METRIC, looks, PROMOTE, ROLLBACK) | {"provider": _provider(platform, service, step)}
    seen = _waits(SEEN, looks + SCRAPED, IS_PROMOTE, IS_ROLLBACK) | {"provider": _seen(platform, service, step)}
    seen["consecutiveErrorLimit"] = (looks + SCRAPED) * int(INTERVAL / RETRY)
    return _template(conventions.argo_gate(service, step), platform, service, asked, seen, DRY_RUN)


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
    asked = _watches(METRIC, ROLLBACK, ERRORS) | {"provider": _provider(platform, service, None)}
    seen = _watches(SEEN, IS_ROLLBACK, FOR_EVER) | {"provider": _seen(platform, service, None)}
    return _template(conventions.argo_guard(service), platform, service, asked, seen)


def _watches(name: str, failure: str, errors: int) -> dict[str, Any]:
    """A metric that fails with its first failure and never ends otherwise."""
    return {
        "name": name,
        "interval": str(INTERVAL),
        "failureCondition": failure,
        "failureLimit": 0,
        "consecutiveErrorLimit": errors,
    }


def _template(
    name: str,
    platform: str,
    service: Service,
    asked: dict[str, Any],
    seen: dict[str, Any],
    *arguments: dict[str, Any],
) -> dict[str, Any]:
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
        "spec": {"args": [*_arguments(), *arguments], "metrics": [asked, seen]},
    }


def _arguments() -> list[dict[str, Any]]:
    """The versions and the revision come from the Rollout; the servers' addresses may."""
    secret = {"name": conventions.ARGO_SECRET, "key": conventions.ARGO_SECRET_KEY}
    return [
        {"name": "canary"},
        {"name": "stable"},
        {"name": "revision"},
        {"name": "server", "value": conventions.ARGO_SERVER},
        {"name": "prometheus", "value": conventions.ARGO_PROMETHEUS},
        {"name": "token", "valueFrom": {"secretKeyRef": secret}},
    ]


def _seen(platform: str, service: Service, step: int | None) -> dict[str, Any]:
    """The last verdict on a step, or the worst on any: a replica that has not been asked again shows an old one."""
    values = {
        "platform": platform,
        "service": service.name,
        "canary": "{{args.canary}}",
        "revision": "{{args.revision}}",
    }
    worst = "min"
    if step is not None:
        values["step"], worst = str(step), "max"
    matchers = tuple(Matcher(label, MatchOperator.EQUAL, value) for label, value in values.items())
    query = f"{worst}({selector_text(Selector(conventions.CANARY_VERDICT, matchers))})"
    return {"prometheus": {"address": "{{args.prometheus}}", "query": query}}


def _provider(platform: str, service: Service, step: int | None) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "service": f"{platform}/{service.name}",
        "canary": "{{args.canary}}",
        "stable": "{{args.stable}}",
        "revision": "{{args.revision}}",
    }
    if step is not None:
        asked |= {"step": step, "dry_run": "{{args.dry_run}}"}
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
