"""No line loses its ID and none has another's, whichever handler, logger or thread writes it."""

import io
import json
import logging
import logging.handlers
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import loguru
import pytest
import structlog
from fastapi import FastAPI

from sloctl.instrumentation import (
    ContextFilter,
    JsonFormatter,
    RequestContext,
    carriers,
    consume,
    instrument_app,
    log_fields,
    loguru_patcher,
    structlog_processor,
    with_context,
)
from sloctl.instrumentation.context import entered
from testing.serving import serving
from tests.instrumentation.conftest import Configure, Observed

LOG = logging.getLogger("shop")


class Kept(logging.Handler):
    """Formats when it is told to, and keeps the lines."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    @property
    def ids(self) -> list[str | None]:
        return [json.loads(line).get("request.id") for line in self.lines]


@pytest.fixture
def seen(observed: Configure) -> Observed:
    return observed()


@pytest.fixture
def kept(seen: Observed) -> Kept:
    return Kept(JsonFormatter(seen.runtime))


@pytest.fixture
def to() -> Iterator[Any]:
    """Let all log records go to one handler."""
    added: list[logging.Handler] = []

    def use(handler: logging.Handler) -> None:
        added.append(handler)
        logging.getLogger().addHandler(handler)

    LOG.setLevel(logging.DEBUG)
    yield use
    for handler in added:
        logging.getLogger().removeHandler(handler)
    LOG.setLevel(logging.NOTSET)


def three_requests() -> None:
    for number in range(3):
        with entered(RequestContext(f"request-{number:04}")):
            LOG.info("request %d", number)
    LOG.info("outside")


THREE = ["request-0000", "request-0001", "request-0002", None]


def test_a_handler_that_formats_later_writes_the_id_of_each_line(kept: Kept, to: Any) -> None:
    memory = logging.handlers.MemoryHandler(100, flushLevel=logging.CRITICAL, target=kept)
    to(memory)
    three_requests()
    with entered(RequestContext("somebody-else")):
        memory.flush()
    assert kept.ids == THREE


def test_a_queue_and_its_listener_keep_the_ids(kept: Kept, to: Any) -> None:
    lines: queue.Queue[logging.LogRecord] = queue.Queue()
    listener = logging.handlers.QueueListener(lines, kept)
    listener.start()
    to(logging.handlers.QueueHandler(lines))
    three_requests()
    listener.stop()
    assert kept.ids == THREE


def test_a_record_from_another_process_keeps_its_own_id(kept: Kept, seen: Observed) -> None:
    made = logging.getLogRecordFactory()
    with entered(RequestContext("request-0001")):
        sent = vars(made("shop", logging.INFO, "", 0, "with", (), None))
    unsent = vars(made("shop", logging.INFO, "", 0, "without", (), None))
    with entered(RequestContext("the-receivers-own")):
        for received in (sent, unsent):
            kept.emit(logging.makeLogRecord(received))
    assert kept.ids == ["request-0001", None]


def test_text_formats_get_the_names_from_a_filter(to: Any, seen: Observed) -> None:
    kept = Kept(logging.Formatter("%(request_id)s %(tenant_id)s %(trace_id)s %(message)s"))
    kept.addFilter(ContextFilter())
    to(kept)
    with entered(RequestContext("request-0001", tenant_id="acme")):
        LOG.info("sold")
        LOG.info("own", extra={"request_id": "set by the application"})
    LOG.info("outside")
    assert kept.lines == ["request-0001 acme - sold", "set by the application acme - own", "- - - outside"]


def test_structlog_has_the_fields_by_a_processor(seen: Observed) -> None:
    written = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(written), processors=[structlog_processor, structlog.processors.JSONRenderer()]
    )
    with entered(RequestContext("request-0001")):
        logger.info("sold")
    assert json.loads(written.getvalue()) == {"event": "sold", "request.id": "request-0001"}


def test_loguru_has_the_fields_by_a_patcher_also_when_it_writes_later(seen: Observed) -> None:
    lines: list[str] = []
    number = loguru.logger.add(lines.append, format="{extra[request.id]} {message}", enqueue=True)
    logger = loguru.logger.patch(loguru_patcher)
    with entered(RequestContext("request-0001")):
        logger.info("sold")
    loguru.logger.remove(number)
    assert lines == ["request-0001 sold\n"]


def test_threads_and_executors_take_the_context_along(kept: Kept, to: Any) -> None:
    to(kept)
    with ThreadPoolExecutor(2) as pool:
        with entered(RequestContext("request-0001")):
            work = with_context(LOG.info)
            for _ in range(2):
                pool.submit(work, "in a pool")
            thread = threading.Thread(target=work, args=("in a thread",))
        thread.start()
        thread.join()
    assert kept.ids == ["request-0001"] * 3


def test_what_an_exception_was_raised_for_is_on_the_line_that_a_server_writes_later(kept: Kept, to: Any) -> None:
    to(kept)
    error, outer = ValueError("broken"), RuntimeError("the worker gives up")
    outer.__cause__ = error
    with suppress(ValueError), consume(carriers.mapping.extract({"x-request-id": "request-0001"}), name="job"):
        raise error
    LOG.error("outside of the message", exc_info=outer)
    with entered(RequestContext("request-0002")):
        LOG.error("another", exc_info=ValueError("of nobody"))
    assert kept.ids[-2:] == ["request-0001", "request-0002"]


@pytest.mark.server
def test_the_line_with_the_traceback_of_a_server_has_the_id(
    kept: Kept, to: Any, seen: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("uvicorn", "uvicorn.error"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        monkeypatch.setattr(logging.getLogger(name), "level", logging.INFO)
    app = FastAPI()

    @app.get("/boom")
    async def boom() -> None:
        raise RuntimeError("boom")

    instrument_app(app, seen.runtime, trust="internal")
    to(kept)
    with serving(app, log_config=None) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/boom", headers={"x-request-id": "request-0001"}).status_code == 500
    lines = [json.loads(line) for line in kept.lines]
    with_stack = {line["logger"]: line.get("request.id") for line in lines if "exception.stacktrace" in line}
    assert with_stack == {"sloctl.entry": "request-0001", "uvicorn.error": "request-0001"}


def test_the_fields_are_empty_outside_and_have_the_client_s_id(seen: Observed) -> None:
    assert log_fields() == {}
    with entered(RequestContext("request-0001", client_request_id="client-id-0001")):
        assert log_fields() == {"request.id": "request-0001", "client.request_id": "client-id-0001"}


def test_configuring_twice_stamps_once(observed: Configure) -> None:
    observed()
    factory = logging.getLogRecordFactory()
    observed()
    assert logging.getLogRecordFactory() is factory
