"""What a service imports: one middleware, one ID, every transport.

The names are loaded when the first one is used, so that `sloctl trace` reads files without OpenTelemetry.
`sloctl.instrumentation.carriers` and `sloctl.instrumentation.boto` are modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
        instrument_app,
        instrument_httpx,
        instrument_libraries,
        lambda_handler,
        log_fields,
        loguru_patcher,
        metrics_app,
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
    "instrument_app",
    "instrument_httpx",
    "instrument_libraries",
    "lambda_handler",
    "log_fields",
    "loguru_patcher",
    "metrics_app",
    "structlog_processor",
    "with_context",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from sloctl.instrumentation import api
    except ModuleNotFoundError as error:
        message = f"{name} needs more packages: pip install 'sloctl[instrumentation]' ({error})"
        raise ImportError(message, name=error.name) from error
    value = globals()[name] = getattr(api, name)
    return value
