"""What a process configures once: who it is, what is sampled, where spans and metrics go."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote
from uuid import uuid4
from weakref import WeakSet

from opentelemetry import metrics, propagate, trace
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import ProxyTracerProvider, Tracer
from prometheus_client import REGISTRY, CollectorRegistry

from sloctl.instrumentation import environment as asked
from sloctl.instrumentation import guard
from sloctl.instrumentation.context import CURRENT, REQUEST_ATTRIBUTE, TENANT_ATTRIBUTE, extracted
from sloctl.instrumentation.counters import serve_from
from sloctl.instrumentation.durations import Durations, Scraped
from sloctl.instrumentation.hosts import HostPatterns
from sloctl.instrumentation.metrics import HttpMetrics
from sloctl.instrumentation.propagation import REQUEST_ID, RequestIdPropagator
from sloctl.instrumentation.pushed import Printed, Sent
from sloctl.instrumentation.request_spans import Origin
from sloctl.instrumentation.sampling import DrawnIds, EntrySpans
from sloctl.instrumentation.stamps import stamp_records
from sloctl.instrumentation.tail import KeepErrors, RecordAll
from sloctl.instrumentation.workers import DIRECTORY

SERVICE: Final = "service.name"
INSTANCE: Final = "service.instance.id"
POD: Final = "k8s.pod.name"
CLUSTER: Final = "k8s.cluster.name"
ENVIRONMENT: Final = "deployment.environment.name"
IDENTITY: Final = (SERVICE, POD, CLUSTER, ENVIRONMENT)
UNKNOWN: Final = "unknown"
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
_ours: Final[WeakSet[TracerProvider]] = WeakSet()


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
    otlp_metrics: bool = False,
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
            after each invocation of a Lambda function, and each minute of any other process.
        set_global: make its tracer provider that of OpenTelemetry in this process, and add the ID to its propagators.

    Raises:
        ValueError: the service is empty, the ratio is not between 0 and 1, `keep_errors` with a provider, or
            `otlp_metrics` with a namespace of CloudWatch.
    """
    if not service:
        raise ValueError("configure(service=...) needs the name of the service")
    if sample_ratio is not None and not 0 <= sample_ratio <= 1:
        raise ValueError(f"sample_ratio is a share between 0 and 1, not {sample_ratio}")
    if otlp_metrics and cloudwatch_namespace is not None:
        raise ValueError("durations are printed for CloudWatch or sent by OTLP; give one of both")
    if folder := os.environ.get(DIRECTORY):
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - before the first metric, which writes into it
    resource = Resource.create(_identity(service, environment, cluster, pod))
    if keep_errors and provider is not None:
        raise ValueError("keep_errors needs a tracer provider that configure makes; leave provider out")
    if provider is None and set_global and not keep_errors:
        provider = _provider_of_others(sampled=sample_ratio is not None or sampler is not None)
    ratio = None
    if provider is None:
        provider, ratio = _new_provider(resource, sampler, sample_ratio, keep_errors=keep_errors)
        exporters = exporters or asked.exporters()
    provider.add_span_processor(RequestAttributes(provider.resource, resource, request_attribute, tenant_attribute))
    batches = tuple(BatchSpanProcessor(exporter) for exporter in exporters)
    keeping = [KeepErrors([*processors, *batches])] if keep_errors else []
    for processor in (*processors, *batches, *keeping):
        provider.add_span_processor(processor)
    finished = batches if ratio is not None and not processors else ()
    runtime = Runtime(
        resource=resource,
        provider=provider,
        tracer=(tracer := provider.get_tracer(TRACER)),
        entry_spans=EntrySpans(tracer, ratio, Origin(provider.resource, finished, TRACER) if finished else None),
        registry=registry,
        baggage=frozenset(baggage),
        internal_hosts=HostPatterns(internal_hosts),
        durations=_durations(registry, resource, cloudwatch_namespace, otlp=otlp_metrics),
        finished=finished,
        request_attribute=request_attribute,
        tenant_attribute=tenant_attribute,
    )
    _remember(runtime)
    serve_from(registry)
    stamp_records()
    if set_global:
        _set_global(runtime.provider)
    return runtime


def _new_provider(
    resource: Resource, sampler: Sampler | None, sample_ratio: float | None, *, keep_errors: bool
) -> tuple[TracerProvider, float | None]:
    """A provider of ours, and the ratio of new traces that it records where a ratio is what decides."""
    ratio = None
    if sampler is None:
        ratio = asked.sample_ratio() if sample_ratio is None else sample_ratio
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            ratio = None  # its tracers make no spans, and so must we
        if ratio is not None:
            sampler = ParentBased(TraceIdRatioBased(ratio))
    # A ratio that the variables do not give is a sampler of OpenTelemetry's, which the provider finds itself.
    provider = TracerProvider(resource=resource, sampler=sampler, id_generator=DrawnIds())
    if keep_errors:
        provider.sampler, ratio = RecordAll(provider.sampler), None
    _ours.add(provider)
    return provider, ratio


def _durations(registry: CollectorRegistry, resource: Resource, namespace: str | None, *, otlp: bool) -> Durations:
    """Where durations go: one of three."""
    if namespace is not None:
        return Printed(namespace, {SERVICE: str(resource.attributes[SERVICE])})
    return Sent(_meter_provider(resource)) if otlp else Scraped(registry)


def _meter_provider(resource: Resource) -> MeterProvider:
    """The process' own, if something has set one; or else one that sends what the variables ask for."""
    from opentelemetry.sdk.metrics import MeterProvider as Provider  # much to load, for few processes
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    if isinstance(there := metrics.get_meter_provider(), Provider):
        return there
    # Each process adds up for itself, and pods of a Lambda function have no names.
    instance = Resource({INSTANCE: str(uuid4())}).merge(resource)
    return Provider([PeriodicExportingMetricReader(exporter) for exporter in asked.metric_exporters()], instance)


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


def _provider_of_others(*, sampled: bool) -> TracerProvider | None:
    """The process' tracer provider, if somebody else has set one."""
    there = trace.get_tracer_provider()
    if not isinstance(there, TracerProvider) or there in _ours:
        return None
    if sampled:
        guard.LOG.warning("this process has a tracer provider already: its sampler decides what is recorded")
    return there


def _set_global(provider: TracerProvider) -> None:
    if isinstance(trace.get_tracer_provider(), ProxyTracerProvider):  # nobody has set one
        trace.set_tracer_provider(provider)
    there = propagate.get_global_textmap()
    if REQUEST_ID not in there.fields:
        propagate.set_global_textmap(CompositePropagator([there, RequestIdPropagator()]))


def _identity(
    service: str, environment: str | None, cluster: str | None, pod: str | None, env: Mapping[str, str] = os.environ
) -> dict[str, str]:
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
