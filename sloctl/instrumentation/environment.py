"""What OpenTelemetry's standard variables ask for (`OTEL_TRACES_SAMPLER`, `OTEL_TRACES_EXPORTER`, ...)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Final

from opentelemetry.sdk.trace.export import SpanExporter

from sloctl.instrumentation import guard

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
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


def exporters() -> list[SpanExporter]:
    """The exporters that the variables ask for; one that cannot be made is said and left out."""
    default = "otlp" if _first(_ENDPOINTS) else "none"
    names = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or default
    return [exporter for name in names.split(",") for exporter in _made(name.strip().lower())]


def _made(name: str) -> Iterator[SpanExporter]:
    if name in ("none", ""):
        return
    found = _otlp() if name == "otlp" else name
    for entry in entry_points(group="opentelemetry_traces_exporter", name=found):
        try:
            yield entry.load()()
        except Exception as error:  # noqa: BLE001 - a wrong variable stops no service
            guard.LOG.warning("the exporter %s cannot be made: %s: %s", found, type(error).__name__, error)
        return
    guard.LOG.warning("no exporter %s is installed, so no spans are sent; %s", name, _advice(name))


def _otlp() -> str:
    """The OTLP exporter of the protocol that is asked for; of several without a word, the one that is there."""
    asked = _first(_PROTOCOLS).strip().lower()
    http_first = _HTTP_PORT in _first(_ENDPOINTS)
    candidates = (_HTTP, _GRPC) if http_first else (_GRPC, _HTTP)
    installed = {entry.name for entry in entry_points(group="opentelemetry_traces_exporter")}
    for protocol, name, _ in candidates:
        if asked == protocol or (not asked and name in installed):
            return name
    return "otlp"


def _advice(name: str) -> str:
    if name != "otlp":
        return "OTEL_TRACES_EXPORTER names it"
    asked = _first(_PROTOCOLS).strip().lower()
    packages = [package for protocol, _, package in (_HTTP, _GRPC) if asked in ("", protocol)]
    return f"install {' or '.join(packages)}" if packages else f"there is none for the protocol {asked!r}"


def _first(names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := os.environ.get(name))), "")
