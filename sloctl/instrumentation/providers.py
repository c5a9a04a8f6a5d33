"""Where spans and durations go: what the process has already, or what is made for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4
from weakref import WeakSet

from opentelemetry import metrics, propagate, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import ProxyTracerProvider

from sloctl.instrumentation import environment as asked
from sloctl.instrumentation import guard
from sloctl.instrumentation.identity import INSTANCE
from sloctl.instrumentation.propagation import REQUEST_ID, RequestIdPropagator
from sloctl.instrumentation.sampling import DrawnIds
from sloctl.instrumentation.tail import KeepErrors, RecordAll

_ours: Final[WeakSet[TracerProvider]] = WeakSet()


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where spans go.

    Attributes:
        provider: makes the tracers.
        ratio: the share of new traces that is recorded, or None where only the provider's sampler knows.
        finished: the processors that take finished spans, where no other looks at them.
    """

    provider: TracerProvider
    ratio: float | None = None
    finished: tuple[SpanProcessor, ...] = ()


def tracing(
    resource: Resource,
    naming: Callable[[Resource], SpanProcessor],
    *,
    provider: TracerProvider | None,
    sampler: Sampler | None,
    sample_ratio: float | None,
    exporters: Sequence[SpanExporter],
    processors: Sequence[SpanProcessor],
    keep_errors: bool,
    is_global: bool,
) -> Tracing:
    """What `configure` is told of spans, put into force; see there.

    Args:
        resource: of a provider that is made.
        naming: what each span is given first, by the resource of the provider in force.

    Raises:
        ValueError: the ratio is not between 0 and 1, or `keep_errors` with a provider.
    """
    if sample_ratio is not None and not 0 <= sample_ratio <= 1:
        raise ValueError(f"sample_ratio is a share between 0 and 1, not {sample_ratio}")
    if keep_errors and provider is not None:
        raise ValueError("keep_errors needs a tracer provider that configure makes; leave provider out")
    if provider is None and is_global and not keep_errors:
        provider = _provider_of_others(sampled=sample_ratio is not None or sampler is not None)
    ratio = None
    if provider is None:
        provider, ratio = _new_provider(resource, sampler, sample_ratio, keep_errors=keep_errors)
        exporters = exporters or asked.exporters()
    provider.add_span_processor(naming(provider.resource))
    batches = tuple(BatchSpanProcessor(exporter) for exporter in exporters)
    keeping = [KeepErrors([*processors, *batches])] if keep_errors else []
    for processor in (*processors, *batches, *keeping):
        provider.add_span_processor(processor)
    return Tracing(provider, ratio, batches if ratio is not None and not processors else ())


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


def _provider_of_others(*, sampled: bool) -> TracerProvider | None:
    """The process' tracer provider, if somebody else has set one."""
    there = trace.get_tracer_provider()
    if not isinstance(there, TracerProvider) or there in _ours:
        return None
    if sampled:
        guard.LOG.warning("this process has a tracer provider already: its sampler decides what is recorded")
    return there


def make_global(provider: TracerProvider) -> None:
    """Make it that of the process, and add the ID to the process' propagators."""
    if isinstance(trace.get_tracer_provider(), ProxyTracerProvider):  # nobody has set one
        trace.set_tracer_provider(provider)
    there = propagate.get_global_textmap()
    if REQUEST_ID not in there.fields:
        propagate.set_global_textmap(CompositePropagator([there, RequestIdPropagator()]))


def meter_provider(resource: Resource) -> MeterProvider:
    """The process' own, if something has set one; or else one that sends what the variables ask for."""
    from opentelemetry.sdk.metrics import MeterProvider as Provider  # much to load, for few processes
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    if isinstance(there := metrics.get_meter_provider(), Provider):
        return there
    # Each process adds up for itself, and pods of a Lambda function have no names.
    instance = Resource({INSTANCE: str(uuid4())}).merge(resource)
    return Provider([PeriodicExportingMetricReader(exporter) for exporter in asked.metric_exporters()], instance)
