"""What OpenTelemetry's standard variables ask for (`OTEL_TRACES_SAMPLER`, `OTEL_TRACES_EXPORTER`, ...)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace.export import SpanExporter

from sloctl.instrumentation import guard

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter

_GRPC: Final = ("grpc", "otlp_proto_grpc", "opentelemetry-exporter-otlp-proto-grpc")
_HTTP: Final = ("http/protobuf", "otlp_proto_http", "opentelemetry-exporter-otlp-proto-http")
_HTTP_PORT: Final = ":4318"
_FIXED_RATIOS: Final = {"parentbased_always_on": 1.0, "parentbased_always_off": 0.0}


def sample_ratio() -> float | None:
    """The share of new traces that `OTEL_TRACES_SAMPLER` wants, 1 without it; None for one that is no such share."""
    name = os.environ.get("OTEL_TRACES_SAMPLER", "").strip().lower() or "parentbased_always_on"
    if name != "parentbased_traceidratio":
        return _FIXED_RATIOS.get(name)
    said = os.environ.get("OTEL_TRACES_SAMPLER_ARG", "")
    try:
        ratio = float(said)
    except ValueError:
        ratio = -1.0
    if 0 <= ratio <= 1:
        return ratio
    guard.LOG.warning("OTEL_TRACES_SAMPLER_ARG is a share between 0 and 1, not %r; every trace is recorded", said)
    return 1.0


@dataclass(frozen=True)
class Signal:
    """What is exported: the word that its variables have, and what it is called here."""

    word: str
    what: str

    @property
    def chosen(self) -> str:
        """The variable that names its exporters."""
        return f"OTEL_{self.word}_EXPORTER"

    @property
    def group(self) -> str:
        """Where packages register its exporters."""
        return f"opentelemetry_{self.word.lower()}_exporter"

    def of_otlp(self, setting: str) -> str:
        """What the variables of OTLP say for it, or for all."""
        names = (f"OTEL_EXPORTER_OTLP_{self.word}_{setting}", f"OTEL_EXPORTER_OTLP_{setting}")
        return next((value for name in names if (value := os.environ.get(name))), "")


SPANS: Final = Signal("TRACES", "spans")
METRICS: Final = Signal("METRICS", "metrics")


def exporters() -> list[SpanExporter]:
    """The exporters of spans that the variables ask for; one that cannot be made is said and left out."""
    return list(_asked_for(SPANS, "otlp" if SPANS.of_otlp("ENDPOINT") else "none"))


def wants_metrics() -> bool:
    """Whether `OTEL_METRICS_EXPORTER` itself asks for metrics by OTLP."""
    return "otlp" in [name.strip().lower() for name in os.environ.get(METRICS.chosen, "").split(",")]


def metric_exporters() -> list[MetricExporter]:
    """The exporters of metrics that the variables ask for, OTLP without any; the same."""
    return list(_asked_for(METRICS, "otlp"))


def _asked_for(signal: Signal, default: str) -> Iterator[Any]:
    for name in (os.environ.get(signal.chosen, "").strip() or default).split(","):
        yield from _made(signal, name.strip().lower())


def _made(signal: Signal, name: str) -> Iterator[Any]:
    if name in ("none", ""):
        return
    found = _otlp(signal) if name == "otlp" else name
    for entry in entry_points(group=signal.group, name=found):
        try:
            yield entry.load()()
        except Exception as error:  # noqa: BLE001 - a wrong variable stops no service
            guard.LOG.warning("the exporter %s cannot be made: %s: %s", found, type(error).__name__, error)
        return
    advice = _advice(signal, name)
    guard.LOG.warning("no exporter %s is installed, so no %s are sent; %s", name, signal.what, advice)


def _otlp(signal: Signal) -> str:
    """The OTLP exporter of the protocol that is asked for; of several without a word, the one that is there."""
    asked = signal.of_otlp("PROTOCOL").strip().lower()
    http_first = _HTTP_PORT in signal.of_otlp("ENDPOINT")
    candidates = (_HTTP, _GRPC) if http_first else (_GRPC, _HTTP)
    installed = {entry.name for entry in entry_points(group=signal.group)}
    for protocol, name, _ in candidates:
        if asked == protocol or (not asked and name in installed):
            return name
    return "otlp"


def _advice(signal: Signal, name: str) -> str:
    if name != "otlp":
        return f"{signal.chosen} names it"
    asked = signal.of_otlp("PROTOCOL").strip().lower()
    packages = [package for protocol, _, package in (_HTTP, _GRPC) if asked in ("", protocol)]
    return f"install {' or '.join(packages)}" if packages else f"there is none for the protocol {asked!r}"
