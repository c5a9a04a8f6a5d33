"""The public names; `sloctl.instrumentation` hands them out."""

from sloctl.instrumentation.app import instrument_app
from sloctl.instrumentation.aws_lambda import lambda_handler
from sloctl.instrumentation.consuming import consume
from sloctl.instrumentation.context import RequestContext, current
from sloctl.instrumentation.jobs import instrument_arq, instrument_celery, instrument_dramatiq, instrument_rq
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

__all__ = [
    "ContextMiddleware",
    "JsonFormatter",
    "RequestContext",
    "RequestIdPropagator",
    "Runtime",
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
    "instrument_requests",
    "instrument_rq",
    "instrument_urllib3",
    "lambda_handler",
    "metrics_app",
    "produce",
]
