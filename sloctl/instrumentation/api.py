"""The public names; `sloctl.instrumentation` hands them out."""

from sloctl.instrumentation.app import instrument_app
from sloctl.instrumentation.aws_lambda import lambda_handler
from sloctl.instrumentation.consuming import consume
from sloctl.instrumentation.context import RequestContext, current
from sloctl.instrumentation.jobs import instrument_arq, instrument_celery, instrument_dramatiq, instrument_rq
from sloctl.instrumentation.libraries import instrument_libraries
from sloctl.instrumentation.logs import JsonFormatter
from sloctl.instrumentation.metrics import metrics_app
from sloctl.instrumentation.middleware import ContextMiddleware
from sloctl.instrumentation.outbound import (
    instrument_aiohttp,
    instrument_httpx,
    instrument_requests,
    instrument_urllib3,
)
from sloctl.instrumentation.producing import produce
from sloctl.instrumentation.propagation import RequestIdPropagator
from sloctl.instrumentation.rpc import grpc_client_interceptors, grpc_server_interceptor
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
