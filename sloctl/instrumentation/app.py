"""Instrument an application with one line; FastAPI and Starlette here, the others in `frameworks`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal

from sloctl.instrumentation import guard
from sloctl.instrumentation.buckets import thresholds
from sloctl.instrumentation.callers import Exclude, Trust
from sloctl.instrumentation.exchange import ID_HEADERS
from sloctl.instrumentation.frameworks import entered
from sloctl.instrumentation.metrics import HttpMetrics, http_metrics, with_edges
from sloctl.instrumentation.middleware import ContextMiddleware, MetricsRoute
from sloctl.instrumentation.pushed import Both, Sent, SentHttp
from sloctl.instrumentation.routes import RouteTable
from sloctl.instrumentation.runtime import Runtime

_MARK: Final = "_sloctl_instrumented"
MAX_DEPTH: Final = 16


def instrument_app(
    app: Any,
    runtime: Runtime,
    *,
    trust: Trust,
    tenants: Iterable[str] | int | None = None,
    slo: str | os.PathLike[str] | None = None,
    buckets: Sequence[float] | None = None,
    metrics_path: str | None = "/metrics",
    mode: Literal["fused", "otel"] = "fused",
    id_headers: Sequence[str] = ID_HEADERS,
    exclude: Exclude = (),
) -> Any:
    """Give an application its correlation ID, spans, metrics and entry lines.

    Args:
        app: of FastAPI, Starlette, Litestar, Flask, aiohttp's server, or what Django's `get_asgi_application` and
            `get_wsgi_application` return; before it serves its first request.
        runtime: what `configure` returned.
        trust: `edge` where clients call, `internal` where only own services call, or a function of the ASGI scope
            that says whether the caller is internal.
        tenants: the tenants that get a label in `tenant_requests_total`, or how many may; None for no such metric.
        slo: the service's SLO specification; its latency thresholds become bucket bounds.
        buckets: bounds in seconds instead of those of the semantic conventions; `slo` still adds its own.
        metrics_path: where `/metrics` is served, unless the application has that route; None nowhere.
        mode: `otel` leaves the span to opentelemetry-instrumentation-fastapi and adds the rest; FastAPI only.
        id_headers: request headers that may hold the request ID, in order; the first is set on the response.
        exclude: requests that get an ID, but no span, no metrics and no entry line: paths or `METHOD path`, both with
            `*`, such as `/healthz` and `OPTIONS *`; or a function of the ASGI scope.

    Returns:
        The application to serve: the same object, but for Django's, which is wrapped.

    Raises:
        TypeError: of no framework that is known; `ContextMiddleware` and `WsgiContextMiddleware` wrap any other.
        ValueError: it is instrumented already, or an argument is out of its range.
    """
    if mode not in ("fused", "otel"):
        raise ValueError(f'mode is "fused" or "otel", not {mode!r}')
    builds_a_stack = callable(getattr(app, "build_middleware_stack", None))
    if builds_a_stack:
        _refuse_twice(app, mode)
    elif mode == "otel":
        raise ValueError('mode="otel" is for FastAPI; any other application has spans of ours')
    settings: dict[str, Any] = {
        "trust": trust,
        "metrics": _metrics(runtime, tenants, slo, buckets),
        "metrics_path": metrics_path,
        "id_headers": id_headers,
        "exclude": exclude,
    }
    if builds_a_stack:
        return _stacked(app, runtime, settings, mode)
    _send(app, runtime, settings["metrics"])
    return entered(app, runtime, settings)


def _stacked(app: Any, runtime: Runtime, settings: dict[str, Any], mode: str) -> Any:
    """FastAPI's and Starlette's applications, which build their stack of middlewares when they begin to serve."""
    settings |= {"routes": RouteTable(app), "span": mode == "fused"}
    ContextMiddleware(app, runtime, **settings)  # a wrong argument is an error here, not at the first request
    if mode == "fused":
        _silence(app)
    _send(app, runtime, settings["metrics"])
    if mode == "otel":
        _instrument_with_otel(app, runtime)
    _wrap(app, runtime, settings)
    setattr(app, _MARK, True)
    return app


def _refuse_twice(app: Any, mode: str) -> None:
    if getattr(app, "middleware_stack", None) is not None:
        raise ValueError("the application serves already; call instrument_app before its first request")
    if getattr(app, _MARK, False):
        raise ValueError("the application is instrumented already; call instrument_app once")
    native = getattr(getattr(app, "_native_telemetry", None), "config", {})
    if mode == "fused" and native.get("tracer_provider") is not None:
        raise ValueError("FastAPI(telemetry={'tracer_provider': ...}) makes a span for each request: remove it")
    names = {getattr(entry, "cls", entry).__name__ for entry in getattr(app, "user_middleware", ())}
    for name in sorted(names & {"CorrelationIdMiddleware", "PrometheusInstrumentatorMiddleware"}):
        guard.LOG.warning("%s does what instrument_app does too; remove it when nobody needs its metrics or IDs", name)


def _metrics(
    runtime: Runtime,
    tenants: Iterable[str] | int | None,
    slo: str | os.PathLike[str] | None,
    buckets: Sequence[float] | None,
) -> HttpMetrics:
    """The runtime's metrics: applications of one process share them, so they must want the same."""
    edges = thresholds(slo) if slo is not None else ()
    bounds = with_edges(edges) if buckets is None else tuple(sorted({*map(float, buckets), *edges}))
    runtime.http_metrics = http_metrics(runtime.registry, bounds, tenants)
    return runtime.http_metrics


def _send(app: Any, runtime: Runtime, metrics: HttpMetrics) -> None:
    """Let the metrics be sent as well, in place of those of the same name that FastAPI would send itself."""
    if not isinstance(runtime.durations, (Sent, Both)) or getattr(app, "_is_instrumented_by_opentelemetry", False):
        return
    if metrics.sent is None:
        metrics.sent = SentHttp(runtime.durations.provider, metrics.buckets)
    for each in (app, *_mounted(app, MAX_DEPTH)):
        if isinstance(native := getattr(getattr(each, "_native_telemetry", None), "config", None), dict):
            native["metrics"] = False


def _wrap(app: Any, runtime: Runtime, settings: dict[str, Any]) -> None:
    """Wrap outside ServerErrorMiddleware, so that the response to an unhandled exception has the ID too."""
    build = app.build_middleware_stack

    def build_middleware_stack() -> Any:
        if not settings["span"]:
            return _within(build(), runtime, settings)
        for mounted in _mounted(app, MAX_DEPTH):
            _silence(mounted)
        return ContextMiddleware(build(), runtime, **settings)

    app.build_middleware_stack = build_middleware_stack


def _within(stack: Any, runtime: Runtime, settings: dict[str, Any]) -> Any:
    """Wrap inside of OpenTelemetry's middleware, where its span is open; but serve the metrics outside of it."""
    theirs = stack
    while theirs is not None and not _is_otel(type(theirs)):
        theirs = getattr(theirs, "app", None)
    if theirs is None:
        return ContextMiddleware(stack, runtime, **settings)
    theirs.app = ContextMiddleware(theirs.app, runtime, **{**settings, "metrics_path": None})
    if settings["metrics_path"] is None:
        return stack
    return _MetricsOutside(stack, MetricsRoute(runtime.registry, settings["metrics_path"], settings["routes"]))


class _MetricsOutside:
    """Serves the metrics; `app` is everything else, which FastAPI's own telemetry searches for OpenTelemetry's."""

    def __init__(self, app: Any, metrics: MetricsRoute) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        wanted = scope["type"] == "http" and self._metrics.wants(scope)
        await (self._metrics.app if wanted else self.app)(scope, receive, send)


def _is_otel(middleware: type) -> bool:
    return middleware.__name__ == "OpenTelemetryMiddleware" and middleware.__module__.startswith("opentelemetry.")


def _instrument_with_otel(app: Any, runtime: Runtime) -> None:
    """Let their package make the spans; where the agent or the Operator did that already, it stays as it is."""
    if getattr(app, "_is_instrumented_by_opentelemetry", False):
        return
    # Its only switch to the stable names of HTTP attributes; read when the first application is instrumented.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.metrics import NoOpMeterProvider

    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=runtime.provider,
        meter_provider=NoOpMeterProvider(),
        exclude_spans=["receive", "send"],
    )


def _silence(app: Any) -> None:
    """One span a request: whatever else would make one stops, FastAPI's own telemetry and OpenTelemetry's package."""
    native = getattr(getattr(app, "_native_telemetry", None), "config", None)
    if isinstance(native, dict):
        native["tracing"] = False
    elif native is not None:
        guard.LOG.warning("FastAPI's own telemetry makes a second span; pass FastAPI(telemetry={'tracing': False})")
    if (middlewares := getattr(app, "user_middleware", None)) is not None:
        app.user_middleware = [entry for entry in middlewares if not _is_otel(getattr(entry, "cls", type(entry)))]
    original = getattr(app, "_original_build_middleware_stack", None)  # theirs keeps it to undo itself
    if getattr(app, "_is_instrumented_by_opentelemetry", False) and original is not None:
        app.build_middleware_stack = original
        del app._original_build_middleware_stack
        app._is_instrumented_by_opentelemetry = False


def _mounted(app: Any, depth: int) -> Iterator[Any]:
    """The applications that are mounted in this one, at any depth."""
    for route in getattr(app, "routes", ()) if depth else ():
        if (below := getattr(route, "app", None)) is not None:
            yield below
            yield from _mounted(below, depth - 1)
