"""What a service imports: one middleware, one ID, every transport.

The names are loaded when the first one is used, so that `sloctl trace` reads files without OpenTelemetry.
`sloctl.instrumentation.carriers` and `sloctl.instrumentation.boto` are modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sloctl.instrumentation.extra import needed_by

if TYPE_CHECKING:
    from sloctl.instrumentation.api import (
        ContextFilter,
        ContextMiddleware,
        JsonFormatter,
        RequestContext,
        RequestIdPropagator,
        Runtime,
        WsgiContextMiddleware,
        configure,
        consume,
        current,
        grpc_client_interceptors,
        grpc_server_interceptor,
        instrument_aiohttp,
        instrument_app,
        instrument_arq,
        instrument_celery,
        instrument_dramatiq,
        instrument_httpx,
        instrument_libraries,
        instrument_requests,
        instrument_rq,
        instrument_urllib3,
        lambda_handler,
        log_fields,
        loguru_patcher,
        metrics_app,
        produce,
        structlog_processor,
        with_context,
    )

__all__ = [
    "ContextFilter",
    "ContextMiddleware",
    "JsonFormatter",
    "RequestContext",
    "RequestIdPropagator",
    "Runtime",
    "WsgiContextMiddleware",
    "configure",
    "consume",
    "current",
    "grpc_client_interceptors",
    "grpc_server_interceptor",
    "instrument_aiohttp",
    "instrument_app",
    "instrument_arq",
    "instrument_celery",
    "instrument_dramatiq",
    "instrument_httpx",
    "instrument_libraries",
    "instrument_requests",
    "instrument_rq",
    "instrument_urllib3",
    "lambda_handler",
    "log_fields",
    "loguru_patcher",
    "metrics_app",
    "produce",
    "structlog_processor",
    "with_context",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needed_by(name):
        from sloctl.instrumentation import api
    value = globals()[name] = getattr(api, name)
    return value
