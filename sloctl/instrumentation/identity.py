"""Who writes: service, pod, cluster and environment, on each span and log line; and for which request."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor

from sloctl.instrumentation.context import CURRENT, extracted

SERVICE: Final = "service.name"
INSTANCE: Final = "service.instance.id"
POD: Final = "k8s.pod.name"
CLUSTER: Final = "k8s.cluster.name"
ENVIRONMENT: Final = "deployment.environment.name"
IDENTITY: Final = (SERVICE, POD, CLUSTER, ENVIRONMENT)
UNKNOWN: Final = "unknown"


def identity_of(
    service: str, environment: str | None, cluster: str | None, pod: str | None, env: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Who writes, by attribute name: what the call says, or else the environment."""
    said = _resource_attributes(env.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    return {
        SERVICE: service,
        ENVIRONMENT: environment or said.get(ENVIRONMENT) or said.get("deployment.environment") or UNKNOWN,
        CLUSTER: cluster or said.get(CLUSTER) or env.get("K8S_CLUSTER_NAME") or UNKNOWN,
        POD: pod or said.get(POD) or env.get("K8S_POD_NAME") or env.get("POD_NAME") or socket.gethostname(),
    }


def _resource_attributes(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, separator, value in pairs if separator}


class RequestAttributes(SpanProcessor):
    """Puts the request ID and the tenant on every span, whoever starts it.

    Service, pod, cluster and environment are on the span's resource. Where the resource is not ours and lacks some
    of them (`configure(provider=...)`), they are put on the span itself.
    """

    def __init__(self, resource: Resource, own: Resource, request_attribute: str, tenant_attribute: str) -> None:
        self._missing = {name: own.attributes[name] for name in IDENTITY if name not in resource.attributes}
        self._request = request_attribute
        self._tenant = tenant_attribute

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Set the attributes; called by OpenTelemetry."""
        if self._missing:
            span.set_attributes(self._missing)
        request = CURRENT.get() or extracted(parent_context)
        if request is None:
            return
        span.set_attribute(self._request, request.request_id)
        if request.tenant_id is not None:
            span.set_attribute(self._tenant, request.tenant_id)
