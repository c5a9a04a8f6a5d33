"""Job queues on a real Redis, with workers of their own: a job continues the request that enqueued it."""

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from opentelemetry.trace import SpanKind, StatusCode

from sloctl.instrumentation import (
    RequestContext,
    Runtime,
    instrument_arq,
    instrument_celery,
    instrument_dramatiq,
    instrument_rq,
)
from sloctl.instrumentation.context import entered
from testing import databases
from testing.servers import PATIENCE, ROOT
from tests.conftest import absent, program
from tests.instrumentation.conftest import Configure

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("jobs")]
CONTEXT = RequestContext("request-0001", tenant_id="acme")
ARQ = ROOT / ".cache" / "arq"
# What every program begins with: jobs say who they are in a list of Redis, and the last lines are what was counted.
COMMON = """
import json, os, sys
from contextlib import contextmanager
import redis
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from sloctl.instrumentation import (
    RequestContext, configure, current, instrument_arq, instrument_celery, instrument_dramatiq, instrument_rq,
)
from sloctl.instrumentation.context import entered

PORT = int(os.environ["REDIS_PORT"])
URL = f"redis://127.0.0.1:{PORT}/0"
registry = CollectorRegistry()
exporter = InMemorySpanExporter()
runtime = configure(
    "worker", "test", registry=registry, processors=[SimpleSpanProcessor(exporter)], set_global=False
)
CONTEXT = RequestContext("request-0001", tenant_id="acme")

@contextmanager
def request():
    with entered(CONTEXT), runtime.tracer.start_as_current_span("order"):
        yield

def say(job):
    found = current()
    said = None if found is None else [found.request_id, found.tenant_id, found.origin]
    with redis.Redis(port=PORT) as store:
        store.rpush("said", json.dumps([job, said]))

def counted():
    with redis.Redis(port=PORT) as store:
        for metric in registry.collect():
            for s in metric.samples:
                if s.name == "messaging_process_duration_seconds_count":
                    names = ("messaging_system", "messaging_destination_name", "error_type")
                    store.rpush("counted", json.dumps([*(s.labels[name] for name in names), s.value]))
        for span in exporter.get_finished_spans():
            ids = [span.context.span_id, span.parent and span.parent.span_id]
            store.rpush("spans", json.dumps([*ids, span.kind.name, span.name, span.status.status_code.name]))
"""


@pytest.fixture
def store() -> Iterator[redis.Redis]:
    program("redis-server")
    with databases.redis() as port, redis.Redis(port=port) as client:
        yield client


def run(folder: Path, store: redis.Redis, code: str, *, path: str = "") -> None:
    """Run a program that ends by itself."""
    (folder / "program.py").write_text(COMMON + textwrap.dedent(code))
    port = str(store.connection_pool.connection_kwargs["port"])
    environment = {**os.environ, "REDIS_PORT": port, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "program.py"]
    finished = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert finished.returncode == 0, finished.stderr[-3000:]


def lines(store: redis.Redis, key: str) -> list[Any]:
    found: Any = store.lrange(key, 0, -1)
    return sorted(map(json.loads, found), key=str)


def senders(store: redis.Redis) -> set[tuple[str, ...]]:
    """Each job that was handled, and the span that its own continues."""
    spans = lines(store, "spans")
    by_id = {span_id: (kind, name, status) for span_id, _, kind, name, status in spans}
    return {(name, *by_id[parent]) for _, parent, kind, name, _ in spans if kind == "CONSUMER" and parent is not None}


CELERY = """
    from celery import Celery
    app = Celery("shop", broker=URL, backend=URL)
    app.conf.worker_hijack_root_logger = False
    instrument_celery(app, runtime)

    @app.task(name="ship")
    def ship(order):
        say(f"ship {order}")
        if order == "bad":
            raise KeyError("weight")

    @app.task(name="again", bind=True, max_retries=1, default_retry_delay=0)
    def again(self):
        say(f"again {self.request.retries}")
        if not self.request.retries:
            raise self.retry()

    @app.task(name="stop")
    def stop():
        say("stop")
        counted()

    @app.task(name="parent")
    def parent():
        say("parent")
        ship.delay("child")
"""


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_celery(tmp_path: Path, store: redis.Redis, pool: str) -> None:
    sending = """
    with request():
        ship.delay("good"); app.send_task("ship", ["bad"]); again.delay(); parent.delay()
    ship.delay("alone")
    counted()
    """
    run(tmp_path, store, CELERY + sending)
    (tmp_path / "program.py").write_text(COMMON + textwrap.dedent(CELERY))
    port = str(store.connection_pool.connection_kwargs["port"])
    environment = {**os.environ, "REDIS_PORT": port, "PYTHONWARNINGS": "ignore"}
    words = ["-m", "celery", "-A", "program", "worker", "-P", pool, "-c", "1", "-l", "ERROR", "--without-mingle",
             "--without-gossip"]  # fmt: skip
    worker = subprocess.Popen([sys.executable, *words], cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    try:
        wait_for(store, "said", 7)
        run(tmp_path, store, CELERY + "\n    stop.delay()\n")
        wait_for(store, "said", 8)
        wait_for(store, "counted", 3)
    finally:
        worker.terminate()
        worker.communicate(timeout=PATIENCE)
    ours = ["request-0001", "acme", "celery"]
    said = dict(lines(store, "said"))
    alone, stop = said.pop("ship alone"), said.pop("stop")
    assert said == dict.fromkeys(["ship good", "ship bad", "ship child", "again 0", "again 1", "parent"], ours)
    assert len(alone[0]) == 32
    assert stop is not None
    good, bad, retried = lines(store, "counted")
    assert good == ["celery", "celery", "", 5.0]
    assert (bad, retried) == (["celery", "celery", "KeyError", 1.0], ["celery", "celery", "retry", 1.0])
    sent = ("PRODUCER", "send celery", "UNSET")
    assert senders(store) == {("ship", *sent), ("again", *sent), ("parent", *sent)}


def wait_for(store: redis.Redis, key: str, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while int(store.llen(key)) < count:  # type: ignore[arg-type]
        assert time.monotonic() < deadline, lines(store, key)
        time.sleep(0.05)


def test_a_celery_task_that_is_run_at_once_is_part_of_its_request(tmp_path: Path, store: redis.Redis) -> None:
    run(
        tmp_path,
        store,
        CELERY
        + """
    app.conf.task_always_eager = True
    with entered(CONTEXT):
        ship.delay("eager")
    ship.delay("alone")
    """,
    )
    (alone, own), (_, ours) = lines(store, "said")
    assert ours == ["request-0001", "acme", "internal"]
    assert (alone, own[2]) == ("ship alone", "celery")


def test_rq(tmp_path: Path, store: redis.Redis) -> None:
    run(
        tmp_path,
        store,
        """
    import rq
    import program

    def bad():
        program.say("bad")
        raise KeyError("weight")

    if __name__ == "__main__":
        connection = redis.Redis(port=PORT)
        queue = rq.Queue("orders", connection=connection)
        instrument_rq(queue, runtime)
        with request():
            queue.enqueue(program.say, "good")
            queue.enqueue(program.bad)
        queue.enqueue(program.say, "alone")
        worker = rq.SimpleWorker([queue], connection=connection)
        instrument_rq(worker, runtime)
        worker.work(burst=True, logging_level="CRITICAL")
        counted()
    """,
    )
    said = dict(lines(store, "said"))
    assert len(said.pop("alone")[0]) == 32
    ours = ["request-0001", "acme", "rq"]
    assert said == {"good": ours, "bad": ours}
    assert lines(store, "counted") == [["rq", "orders", "", 2.0], ["rq", "orders", "KeyError", 1.0]]
    sent = ("PRODUCER", "send orders", "UNSET")
    assert senders(store) == {("program.say", *sent), ("program.bad", *sent)}


def test_dramatiq(tmp_path: Path, store: redis.Redis) -> None:
    run(
        tmp_path,
        store,
        """
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker
    from dramatiq.results.errors import ResultMissing

    broker = RedisBroker(url=URL)
    instrument_dramatiq(broker, runtime)
    dramatiq.set_broker(broker)

    @dramatiq.actor(queue_name="orders", max_retries=0)
    def ship(order):
        say(order)
        if order == "bad":
            raise KeyError("weight")

    @dramatiq.actor(queue_name="orders", max_retries=1, min_backoff=1, max_backoff=2)
    def again():
        say("again")
        raise ValueError("once more")

    with request():
        ship.send("good"); ship.send("bad"); again.send()
    ship.send("alone")
    worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=2)
    worker.start()
    broker.join("orders")
    worker.join()
    worker.stop()
    counted()
    """,
    )
    said = lines(store, "said")
    (alone,) = (who for job, who in said if job == "alone")
    assert len(alone[0]) == 32
    ours = ["request-0001", "acme", "dramatiq"]
    assert [line for line in said if line[0] != "alone"] == [
        ["again", ours],
        ["again", ours],
        ["bad", ours],
        ["good", ours],
    ]
    counts = {tuple(labels): value for *labels, value in lines(store, "counted")}
    assert counts["dramatiq", "orders", ""] == 2
    assert counts["dramatiq", "orders", "KeyError"] == 1
    sent = ("PRODUCER", "send orders", "UNSET")
    assert senders(store) == {("ship", *sent), ("again", *sent)}


ARQ_PROGRAM = """
    import asyncio
    from arq import create_pool, func
    from arq.connections import RedisSettings
    from arq.worker import Retry, Worker, create_worker

    async def ship(ctx, order):
        say(order)
        await asyncio.sleep(0)
        if order == "bad":
            raise KeyError("weight")

    async def enqueue():
        pool = await create_pool(RedisSettings(port=PORT))
        instrument_arq(pool)
        with request():
            await pool.enqueue_job("ship", "good")
            await pool.enqueue_job("ship", "bad")
        await pool.enqueue_job("ship", "alone")
        await pool.aclose()
"""


@pytest.mark.parametrize(
    "work",
    [
        "worker = Worker([ship], redis_settings=RedisSettings(port=PORT), burst=True, handle_signals=False)\n"
        "    instrument_arq(worker, runtime)",
        "class Settings:\n"
        "        functions = [func(ship, name='ship')]\n"
        "        redis_settings, burst, handle_signals = RedisSettings(port=PORT), True, False\n"
        "    instrument_arq(Settings, runtime)\n"
        "    worker = create_worker(Settings)",
        "worker = Worker([ship], redis_settings=RedisSettings(port=PORT), burst=True, handle_signals=False)",
    ],
    ids=["worker", "settings", "not instrumented"],
)
def test_arq(tmp_path: Path, store: redis.Redis, work: str) -> None:
    if not ARQ.is_dir():
        absent("no .cache/arq; `make .cache/arq` installs it")
    code = f"""{ARQ_PROGRAM}
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(enqueue())
    {work}
    loop.run_until_complete(worker.async_run())
    loop.run_until_complete(worker.close())
    counted()
    """
    run(tmp_path, store, code, path=str(ARQ))
    said = dict(lines(store, "said"))
    if "instrument_arq" not in work:
        assert said == dict.fromkeys(["good", "bad", "alone"])
        return
    assert len(said.pop("alone")[0]) == 32
    ours = ["request-0001", "acme", "arq"]
    assert said == {"good": ours, "bad": ours}
    counts = {labels[-1]: value for *labels, value in lines(store, "counted")}
    assert counts == {"": 2, "KeyError": 1}
    assert senders(store) == {("ship", "PRODUCER", "send arq:queue", "UNSET")}


def unreachable_celery(runtime: Runtime) -> None:
    import celery

    app = celery.Celery("shop", broker="redis://127.0.0.1:1/0")
    app.conf.task_publish_retry = False
    instrument_celery(app, runtime)
    app.send_task("ship", queue="orders")


def unreachable_rq(runtime: Runtime) -> None:
    import rq

    queue = rq.Queue("orders", connection=redis.Redis(port=1))
    instrument_rq(queue, runtime)
    queue.enqueue("program.ship")


def unreachable_dramatiq(runtime: Runtime) -> None:
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    make: Any = RedisBroker
    broker = make(url="redis://127.0.0.1:1/0")
    instrument_dramatiq(broker, runtime)
    broker.declare_queue("orders")
    broker.enqueue(dramatiq.Message("orders", "ship", (), {}, {}))


@pytest.mark.parametrize("send", [unreachable_celery, unreachable_rq, unreachable_dramatiq])
def test_a_job_that_cannot_be_sent_is_seen(observed: Configure, send: Callable[[Runtime], None]) -> None:
    there = observed()
    with (
        entered(CONTEXT),
        there.runtime.tracer.start_as_current_span("order"),
        pytest.raises(Exception, match="refused"),
    ):
        send(there.runtime)
    sent = next(span for span in there.spans if span.kind is SpanKind.PRODUCER)
    assert (sent.name, sent.status.status_code) == ("send orders", StatusCode.ERROR)
    measured = "messaging_client_operation_duration_seconds_count"
    failed = there.value(measured, messaging_destination_name="orders")
    assert (failed, there.value(measured, error_type="")) == (1, None)


def test_a_task_that_no_application_sends_has_the_context_and_no_span(observed: Configure) -> None:
    """A producer of its own makes the message: nobody could say when its send is over."""
    import celery
    from celery.signals import before_task_publish

    there, headers = observed(), dict[str, str]()
    app = celery.Celery("direct")
    instrument_celery(app, there.runtime)
    with entered(CONTEXT), there.runtime.tracer.start_as_current_span("order"):
        before_task_publish.send("ship", headers=headers, routing_key="orders")
    assert headers["x-request-id"] == "request-0001"
    assert there.span.name == "order"


def test_what_is_no_queue_is_refused() -> None:
    import celery
    import dramatiq.brokers.stub

    app, broker = celery.Celery("x"), dramatiq.brokers.stub.StubBroker()
    instrument_celery(app)
    instrument_dramatiq(broker)
    with pytest.raises(ValueError, match="call instrument_celery once"):
        instrument_celery(app)
    with pytest.raises(ValueError, match="call instrument_dramatiq once"):
        instrument_dramatiq(broker)
    for instrument, what in ((instrument_rq, "Queue or Worker of rq"), (instrument_arq, "settings of arq")):
        with pytest.raises(TypeError, match=what):
            instrument("text")
