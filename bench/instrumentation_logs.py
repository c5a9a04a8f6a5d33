"""What a JSON log line costs, beside structlog and python-json-logger with the same fields.

All write to a stream that keeps nothing, within a request, through `logging` where that is how they are used.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry
from pythonjsonlogger.json import JsonFormatter as PythonJsonFormatter

from bench.interleaved import extra_costs
from bench.rows import Row
from sloctl.instrumentation import JsonFormatter, RequestContext, configure, log_fields
from sloctl.instrumentation.context import entered

LINES: Final = 500
# Four fifths of a line of ours is the record that `logging` makes, which structlog's own printer does without.
FASTEST: Final = 0.85
PROCESSORS: Final[list[Any]] = [
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.JSONRenderer(),
]
STATIC: Final = {
    "service.name": "bench",
    "k8s.pod.name": "pod-1",
    "k8s.cluster.name": "eu-1",
    "deployment.environment.name": "bench",
}


class Nothing(io.TextIOBase):
    """Takes what is written and keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


def logger(name: str, formatter: logging.Formatter) -> logging.Logger:
    made = logging.getLogger(f"bench.{name}")
    made.propagate = False
    made.setLevel(logging.INFO)
    handler = logging.StreamHandler(Nothing())
    handler.setFormatter(formatter)
    made.handlers = [handler]
    return made


def nothing() -> Callable[[], object]:
    return lambda: None


def ours() -> Callable[[], object]:
    runtime = configure("bench", "bench", registry=CollectorRegistry(), set_global=False)
    made = logger("ours", JsonFormatter(runtime))
    return lambda: made.info("shipped %s", "parcel-1", extra={"order": "o-1"})


def python_json_logger() -> Callable[[], object]:
    formatter = PythonJsonFormatter(
        "%(asctime)s %(levelname)s %(message)s %(name)s",
        rename_fields={"asctime": "timestamp", "levelname": "severity", "name": "logger"},
        static_fields=STATIC,
    )
    made = logger("python-json-logger", formatter)
    return lambda: made.info("shipped %s", "parcel-1", extra={"order": "o-1", **log_fields()})


def add(_logger: Any, _method: str, event: Any) -> Any:
    """The fields that our lines have."""
    event.update(STATIC)
    event.update(log_fields())
    return event


def structlog_as_it_comes() -> Callable[[], object]:
    """structlog printing JSON, as `get_logger` hands it out."""
    structlog.configure(
        processors=[add, *PROCESSORS],
        logger_factory=structlog.PrintLoggerFactory(Nothing()),  # type: ignore[arg-type]
    )
    made = structlog.get_logger()
    return lambda: made.info("shipped parcel-1", order="o-1", logger="bench")


def structlog_at_its_fastest() -> Callable[[], object]:
    """Bound once, filtered by level, printing; no handler or library of `logging` shares its lines."""
    made = structlog.wrap_logger(
        structlog.PrintLogger(Nothing()),  # type: ignore[arg-type]
        processors=[add, *PROCESSORS],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    ).bind(logger="bench")
    return lambda: made.info("shipped parcel-1", order="o-1")


def structlog_logging() -> Callable[[], object]:
    """structlog over `logging`, as its documentation sets it up for services."""
    made = structlog.wrap_logger(
        logger("structlog", logging.Formatter("%(message)s")),
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.add_logger_name, add, *PROCESSORS],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    ).bind()
    return lambda: made.info("shipped %s", "parcel-1", order="o-1")


def lines(write: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        with entered(RequestContext("request-0001", tenant_id="acme")):
            for _ in range(LINES):
                write()

    return run


def rows() -> Iterator[Row]:
    others = (structlog_logging, structlog_as_it_comes, structlog_at_its_fastest, python_json_logger)
    makers = {made.__name__: made for made in (ours, *others)}
    cost = asyncio.run(extra_costs({name: lines(make()) for name, make in {"bare": nothing, **makers}.items()}, LINES))
    for other, at_least in zip(others, (1.2, 1, FASTEST, 1.2), strict=True):
        words = other.__name__.replace("_", " ")
        yield Row(f"a JSON log line: {words} / ours", cost[other.__name__] / cost["ours"], at_least=at_least)
