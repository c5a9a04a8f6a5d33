"""The public names; `sloctl.instrumentation` hands them out."""

from sloctl.instrumentation.app import instrument_app
from sloctl.instrumentation.aws_lambda import lambda_handler
from sloctl.instrumentation.consuming import consume
from sloctl.instrumentation.context import RequestContext, current
from sloctl.instrumentation.libraries import instrument_libraries
from sloctl.instrumentation.logs import JsonFormatter
from sloctl.instrumentation.metrics import metrics_app
from sloctl.instrumentation.middleware import ContextMiddleware
from sloctl.instrumentation.outbound import instrument_httpx
from sloctl.instrumentation.propagation import RequestIdPropagator
from sloctl.instrumentation.runtime import Runtime, configure
from sloctl.instrumentation.stamps import ContextFilter, log_fields, loguru_patcher, structlog_processor, with_context
from sloctl.instrumentation.wsgi import WsgiContextMiddleware

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
