"""What a process configures once: who it is, what is sampled, where spans and metrics go."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import Tracer
from prometheus_client import REGISTRY, CollectorRegistry

from sloctl.instrumentation.context import REQUEST_ATTRIBUTE, TENANT_ATTRIBUTE
from sloctl.instrumentation.counters import serve_from
from sloctl.instrumentation.durations import Durations, Scraped
from sloctl.instrumentation.environment import wants_metrics
from sloctl.instrumentation.hosts import HostPatterns
from sloctl.instrumentation.identity import IDENTITY, SERVICE, RequestAttributes, identity_of
from sloctl.instrumentation.metrics import HttpMetrics
from sloctl.instrumentation.providers import make_global, meter_provider, tracing
from sloctl.instrumentation.pushed import Both, Printed, Sent
from sloctl.instrumentation.request_spans import Origin
from sloctl.instrumentation.sampling import EntrySpans
from sloctl.instrumentation.stamps import stamp_records
from sloctl.instrumentation.workers import DIRECTORY

TRACER: Final = "sloctl.instrumentation"


@dataclass(slots=True)
class Runtime:
    """What `configure` returns; every other call takes it.

    Attributes:
        resource: service, pod, cluster and environment, as on every span and log line.
        provider: makes the tracers; its spans have all six attributes.
        entry_spans: starts the span of a request.
        registry: where the metrics are registered.
        baggage: names of the baggage members that may come in and go out.
        internal_hosts: hosts that are ours: they alone get the tenant and the baggage.
        finished: the processors that take finished spans, where no other looks at them; see `client_spans`.
        request_attribute: span attribute and log field of the request ID.
        tenant_attribute: span attribute and log field of the tenant.
        durations: of messages, functions and outbound calls.
    """

    resource: Resource
    provider: TracerProvider
    tracer: Tracer
    entry_spans: EntrySpans
    registry: CollectorRegistry
    baggage: frozenset[str]
    internal_hosts: HostPatterns
    durations: Durations
    request_attribute: str = REQUEST_ATTRIBUTE
    tenant_attribute: str = TENANT_ATTRIBUTE
    finished: tuple[SpanProcessor, ...] = ()
    http_metrics: HttpMetrics | None = None

    @property
    def identity(self) -> dict[str, str]:
        """Service, pod, cluster and environment by attribute name."""
        return {name: str(self.resource.attributes[name]) for name in IDENTITY}

    def shutdown(self) -> None:
        """Export what is still waiting, and stop; for the end of a process and for tests."""
        self.provider.shutdown()
        self.durations.close()


_default: Runtime | None = None


def configure(
    service: str,
    environment: str | None = None,
    *,
    cluster: str | None = None,
    pod: str | None = None,
    sample_ratio: float | None = None,
    sampler: Sampler | None = None,
    exporters: Sequence[SpanExporter] = (),
    processors: Sequence[SpanProcessor] = (),
    provider: TracerProvider | None = None,
    keep_errors: bool = False,
    baggage: Iterable[str] = (),
    internal_hosts: Iterable[str] = (),
    registry: CollectorRegistry = REGISTRY,
    request_attribute: str = REQUEST_ATTRIBUTE,
    tenant_attribute: str = TENANT_ATTRIBUTE,
    cloudwatch_namespace: str | None = None,
    otlp_metrics: bool | None = None,
    set_global: bool = True,
) -> Runtime:
    """Say once in a process who it is and where its spans go.

    Args:
        service: `service.name`; the same as in the SLO specification.
        environment: `deployment.environment.name`, or else from `OTEL_RESOURCE_ATTRIBUTES`.
        cluster: `k8s.cluster.name`, or else from `OTEL_RESOURCE_ATTRIBUTES` or `K8S_CLUSTER_NAME`.
        pod: `k8s.pod.name`, or else from `OTEL_RESOURCE_ATTRIBUTES`, `K8S_POD_NAME` or `POD_NAME` (downward API),
            or else the host name, which in a pod is the pod's.
        sample_ratio: share of new traces that are recorded, 0 to 1; a trusted caller's decision is kept. Without it,
            what `OTEL_TRACES_SAMPLER` says, or 1.
        sampler: replaces the ratio.
        exporters: where spans go, in batches. Without any, those that `OTEL_TRACES_EXPORTER` names, or OTLP, if
            `OTEL_EXPORTER_OTLP_ENDPOINT` (or `..._TRACES_ENDPOINT`) is set: over gRPC or HTTP as
            `OTEL_EXPORTER_OTLP_PROTOCOL` says, or as the installed exporter speaks.
        processors: span processors to add as they are.
        provider: a tracer provider that is there already; its sampler and exporters stay as they are. Without it, the
            process' own, if something has set one (`opentelemetry-instrument`, the Operator).
        keep_errors: export the spans of every request or message that fails, also of those that are not sampled. All
            are recorded then, which costs as much as sampling all; see docs/instrumentation.md.
        baggage: names of the baggage members that may come in and go out; none by default.
        internal_hosts: hosts such as `*.svc.cluster.local` that get the tenant and the baggage.
        registry: for the metrics.
        request_attribute: name of the span attribute that holds the request ID.
        tenant_attribute: name of the span attribute that holds the tenant.
        cloudwatch_namespace: print the durations of each invocation of a Lambda function, in CloudWatch's embedded
            metric format under this namespace, instead of keeping them for Prometheus.
        otlp_metrics: send the durations by OTLP instead, as `OTEL_METRICS_EXPORTER` and `OTEL_EXPORTER_OTLP_...` say:
            after each invocation of a Lambda function, and each minute of any other process. Those of HTTP servers are
            sent as well as scraped. Without it, `OTEL_METRICS_EXPORTER=otlp` has all sent as well.
        set_global: make its tracer provider that of OpenTelemetry in this process, and add the ID to its propagators.

    Raises:
        ValueError: the service is empty, the ratio is not between 0 and 1, `keep_errors` with a provider, or
            `otlp_metrics` with a namespace of CloudWatch.
    """
    if not service:
        raise ValueError("configure(service=...) needs the name of the service")
    if otlp_metrics and cloudwatch_namespace is not None:
        raise ValueError("durations are printed for CloudWatch or sent by OTLP; give one of both")
    if folder := os.environ.get(DIRECTORY):
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - before the first metric, which writes into it
    resource = Resource.create(identity_of(service, environment, cluster, pod))
    spans = tracing(
        resource,
        lambda there: RequestAttributes(there, resource, request_attribute, tenant_attribute),
        provider=provider,
        sampler=sampler,
        sample_ratio=sample_ratio,
        exporters=exporters,
        processors=processors,
        keep_errors=keep_errors,
        is_global=set_global,
    )
    tracer = spans.provider.get_tracer(TRACER)
    origin = Origin(spans.provider.resource, spans.finished, TRACER) if spans.finished else None
    runtime = Runtime(
        resource=resource,
        provider=spans.provider,
        tracer=tracer,
        entry_spans=EntrySpans(tracer, spans.ratio, origin),
        registry=registry,
        baggage=frozenset(baggage),
        internal_hosts=HostPatterns(internal_hosts),
        durations=_durations(registry, resource, cloudwatch_namespace, otlp=otlp_metrics),
        finished=spans.finished,
        request_attribute=request_attribute,
        tenant_attribute=tenant_attribute,
    )
    _remember(runtime)
    serve_from(registry)
    stamp_records()
    if set_global:
        make_global(spans.provider)
    return runtime


def _durations(
    registry: CollectorRegistry, resource: Resource, namespace: str | None, *, otlp: bool | None
) -> Durations:
    """Where durations go."""
    if namespace is not None:
        return Printed(namespace, {SERVICE: str(resource.attributes[SERVICE])})
    if otlp:
        return Sent(meter_provider(resource))
    if otlp is None and wants_metrics():
        return Both(Scraped(registry), Sent(meter_provider(resource)))
    return Scraped(registry)


def default_runtime() -> Runtime:
    """What `configure` made last.

    Raises:
        RuntimeError: nothing was configured yet.
    """
    if _default is None:
        raise RuntimeError("call sloctl.instrumentation.configure(service=...) first")
    return _default


def configured() -> Runtime | None:
    """What `configure` made last, or None before."""
    return _default


def _remember(runtime: Runtime) -> None:
    global _default  # noqa: PLW0603 - one process is one service; what it configured is found from everywhere
    _default = runtime
