"""What a service imports: one middleware, one ID, every transport."""

from sloctl.instrumentation.app import instrument_app as instrument_app
from sloctl.instrumentation.context import RequestContext as RequestContext, current as current
from sloctl.instrumentation.logs import JsonFormatter as JsonFormatter
from sloctl.instrumentation.middleware import ContextMiddleware as ContextMiddleware
from sloctl.instrumentation.runtime import Runtime as Runtime, configure as configure
