"""Job queues: a job continues the request that enqueued it. Celery, rq, dramatiq and arq, by hooks that they have.

Enqueuing is sending: it is measured, and a PRODUCER span of a recorded request. The hooks do not tell of a send that
fails, so the call that sends is wrapped; within it the hooks put the context into the job.
"""

from __future__ import annotations

import dataclasses
import functools
import pickle
import pkgutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from sloctl.instrumentation import guard
from sloctl.instrumentation.carriers.outcome import Incoming
from sloctl.instrumentation.carriers.textmap import TextMap
from sloctl.instrumentation.consuming import consume
from sloctl.instrumentation.context import RequestContext, current
from sloctl.instrumentation.producing import Sending, produce
from sloctl.instrumentation.runtime import Runtime

KEY: Final = "_ctx"  # of what rq, dramatiq and arq keep of a job beside its arguments
CELERY: Final = TextMap("celery")
RQ: Final = TextMap("rq")
DRAMATIQ: Final = TextMap("dramatiq")
ARQ: Final = TextMap("arq")
_MARK: Final = "_sloctl_instrumented"
_of_arq_job: Final[ContextVar[Mapping[str, Any]]] = ContextVar("sloctl_arq_job", default={})  # noqa: B039 - never changed


@dataclass
class _Publishing:
    """A call of Celery's that sends, once its router has chosen the queue."""

    sending: Sending | None = None


_of_celery: Final[ContextVar[_Publishing | None]] = ContextVar("sloctl_celery_publishing", default=None)


class _Jobs:
    """The jobs that are going on, by what their library calls them; each is begun and ended in one thread."""

    def __init__(self) -> None:
        self._open: dict[object, tuple[AbstractContextManager[RequestContext], RequestContext]] = {}

    def begin(
        self, key: object, incoming: Incoming, name: str, destination: str | None, runtime: Runtime | None
    ) -> None:
        try:
            job = consume(incoming, name=name, destination=destination, runtime=runtime)
            self._open[key] = job, job.__enter__()
        except Exception as error:  # noqa: BLE001 - our failure never stops a job
            guard.failed("job begin", error)

    def end(self, key: object, error: BaseException | None, failure: str | None = None) -> None:
        job, context = self._open.pop(key, (None, None))
        try:
            if job is None or context is None:
                return
            if failure is not None:
                context.fail(failure)
            job.__exit__(None if error is None else type(error), error, None if error is None else error.__traceback__)
        except Exception as own:  # noqa: BLE001 - our failure never stops a job
            if own is not error:
                guard.failed("job end", own)


def _fields(kept: object) -> Mapping[str, Any]:
    found = kept.get(KEY) if isinstance(kept, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _once(target: object, function: str) -> None:
    if getattr(target, _MARK, False):
        raise ValueError(f"it is instrumented already; call {function} once")
    setattr(target, _MARK, True)


def _sent(call: Callable[..., Any], transport: str, queue: str, runtime: Runtime | None) -> Callable[..., Any]:
    """The call, as a send to the queue."""

    @functools.wraps(call)
    def sent(*arguments: Any, **options: Any) -> Any:
        with produce(transport, queue, runtime=runtime):
            return call(*arguments, **options)

    return sent


def instrument_celery(app: Any, runtime: Runtime | None = None) -> None:
    """Let tasks of a Celery application continue the request that sends them; in clients and in workers.

    Args:
        app: the `Celery` application.
        runtime: what `configure` returned; without it, what is configured when a task is sent or run.

    Raises:
        ValueError: it is instrumented already.
    """
    from celery import signals

    _once(app, "instrument_celery")
    tasks = _CeleryTasks(app, runtime)
    app.send_task = tasks.send
    # Strong references: a signal forgets a method otherwise.
    signals.before_task_publish.connect(tasks.publish, weak=False)
    signals.task_prerun.connect(tasks.begin, weak=False)
    signals.task_failure.connect(tasks.fail, weak=False)
    signals.task_retry.connect(tasks.retry, weak=False)
    signals.task_postrun.connect(tasks.end, weak=False)


class _CeleryTasks:
    """The tasks of one application; Celery's signals tell of the tasks of all."""

    def __init__(self, app: Any, runtime: Runtime | None) -> None:
        self._app = app
        self._send = app.send_task
        self._runtime = runtime
        self._jobs = _Jobs()
        self._failed: dict[str, BaseException] = {}
        self._retried: set[str] = set()

    def send(self, *arguments: Any, **options: Any) -> Any:
        publishing = _Publishing()
        token = _of_celery.set(publishing)
        failure: str | None = None
        try:
            return self._send(*arguments, **options)
        except BaseException as error:
            failure = type(error).__qualname__
            raise
        finally:
            _of_celery.reset(token)
            if publishing.sending is not None:
                publishing.sending.over(failure)

    def publish(self, headers: Any = None, routing_key: str | None = None, **_: object) -> None:
        if headers is None:
            return
        publishing = _of_celery.get()
        if publishing is None:  # something else than an application sends it
            CELERY.inject(headers)
            return
        if publishing.sending is None:
            publishing.sending = Sending("celery", routing_key or None, self._runtime)
        with publishing.sending.current():
            CELERY.inject(headers)

    def begin(self, task_id: str, task: Any, **_: object) -> None:
        request = task.request
        # A task that is run at once, where it is sent, is a part of the request that runs it.
        if task.app is not self._app or (request.is_eager and current() is not None):
            return
        headers = request.headers or {name: getattr(request, name, None) for name in ("x-request-id", "traceparent")}
        queue = (request.delivery_info or {}).get("routing_key")
        self._jobs.begin(task_id, CELERY.extract(headers), task.name, queue, self._runtime)

    def fail(self, task_id: str, exception: BaseException, **_: object) -> None:
        self._failed[task_id] = exception

    def retry(self, request: Any, **_: object) -> None:
        self._retried.add(request.id)

    def end(self, task_id: str, **_: object) -> None:
        again = task_id in self._retried
        self._retried.discard(task_id)
        self._jobs.end(task_id, self._failed.pop(task_id, None), "retry" if again else None)


def instrument_rq(queue_or_worker: Any, runtime: Runtime | None = None) -> None:
    """Let jobs of rq continue the request that enqueues them: call it with each `Queue` and each `Worker`.

    Raises:
        TypeError: it is neither.
        ValueError: it is instrumented already.
    """
    from rq import Queue
    from rq.worker import BaseWorker

    if isinstance(queue_or_worker, Queue):
        _once(queue_or_worker, "instrument_rq")
        create: Any = queue_or_worker.create_job

        def create_job(*arguments: Any, **options: Any) -> Any:
            job = create(*arguments, **options)
            fields: dict[str, Any] = {}
            if RQ.inject(fields).ok:
                job.meta[KEY] = fields
            return job

        patched: Any = queue_or_worker
        patched.create_job = create_job
        for name in ("enqueue_call", "enqueue_many", "enqueue_at"):  # every other one calls one of these
            setattr(patched, name, _sent(getattr(patched, name), "rq", queue_or_worker.name, runtime))
    elif isinstance(queue_or_worker, BaseWorker):
        _once(queue_or_worker, "instrument_rq")
        queue_or_worker.job_class = _rq_job(queue_or_worker.job_class, runtime)
    else:
        raise TypeError(f"{type(queue_or_worker).__name__} is no Queue or Worker of rq")


def _rq_job(base: Any, runtime: Runtime | None) -> Any:
    class Job(base):  # type: ignore[misc]
        def perform(self) -> Any:
            with consume(RQ.extract(_fields(self.meta)), name=self.func_name, destination=self.origin, runtime=runtime):
                return super().perform()

    return Job


def instrument_dramatiq(broker: Any, runtime: Runtime | None = None) -> None:
    """Let messages of a dramatiq broker continue the request that sends them; in clients and in workers.

    Raises:
        ValueError: it is instrumented already.
    """
    from dramatiq import Middleware

    _once(broker, "instrument_dramatiq")
    jobs = _Jobs()

    class Context(Middleware):
        def before_enqueue(self, _broker: Any, message: Any, _delay: Any) -> None:
            fields: dict[str, Any] = {}
            if DRAMATIQ.inject(fields).ok:
                message.options[KEY] = fields

        def before_process_message(self, _broker: Any, message: Any) -> None:
            incoming = DRAMATIQ.extract(_fields(message.options))
            jobs.begin(message.message_id, incoming, message.actor_name, message.queue_name, runtime)

        def after_process_message(
            self, _broker: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
        ) -> None:
            del result  # of the actor; the name is dramatiq's
            jobs.end(message.message_id, exception)

        def after_skip_message(self, _broker: Any, message: Any) -> None:
            jobs.end(message.message_id, None)

    send: Any = broker.enqueue

    @functools.wraps(send)
    def enqueue(message: Any, *arguments: Any, **options: Any) -> Any:
        with produce("dramatiq", message.queue_name, runtime=runtime):
            return send(message, *arguments, **options)

    broker.enqueue = enqueue
    broker.add_middleware(Context())


def instrument_arq(pool_or_worker: Any, runtime: Runtime | None = None) -> None:
    """Let jobs of arq continue the request that enqueues them: call it with each pool, and each worker or its settings.

    The context is kept beside a job's arguments, where a worker that is not instrumented does not look.

    Args:
        pool_or_worker: what `create_pool` returned; a `Worker`; or the class of a worker's settings.
        runtime: what `configure` returned; without it, what is configured when a job is run.

    Raises:
        TypeError: it is none of these.
        ValueError: it is instrumented already.
    """
    if hasattr(pool_or_worker, "enqueue_job"):
        _once(pool_or_worker, "instrument_arq")
        serialize = pool_or_worker.job_serializer or pickle.dumps

        def with_fields(job: dict[str, Any]) -> bytes:
            fields: dict[str, Any] = {}
            ARQ.inject(fields)
            found: bytes = serialize({**job, KEY: fields} if fields else job)
            return found

        pool_or_worker.job_serializer = with_fields
        _measure_arq(pool_or_worker, runtime)
        return
    functions = getattr(pool_or_worker, "functions", None)
    if not isinstance(functions, (list, tuple, dict)):
        raise TypeError(f"{type(pool_or_worker).__name__} is no pool, worker or worker's settings of arq")
    _once(pool_or_worker, "instrument_arq")
    deserialize = getattr(pool_or_worker, "job_deserializer", None) or pickle.loads

    def read(data: bytes) -> Any:
        job = deserialize(data)
        _of_arq_job.set(_fields(job))  # in the task of this job, whose copy runs the function
        return job

    queue = getattr(pool_or_worker, "queue_name", None)
    wrap = functools.partial(_arq_function, queue=queue, runtime=runtime)
    if isinstance(functions, dict):
        pool_or_worker.functions = {name: wrap(function) for name, function in functions.items()}
    else:
        pool_or_worker.functions = [wrap(function) for function in functions]
    pool_or_worker.job_deserializer = staticmethod(read) if isinstance(pool_or_worker, type) else read


def _measure_arq(pool: Any, runtime: Runtime | None) -> None:
    send: Any = pool.enqueue_job

    @functools.wraps(send)
    async def enqueue_job(*arguments: Any, **options: Any) -> Any:
        with produce("arq", options.get("_queue_name") or pool.default_queue_name, runtime=runtime):
            return await send(*arguments, **options)

    pool.enqueue_job = enqueue_job


def _arq_function(function: Any, queue: str | None, runtime: Runtime | None) -> Any:
    if dataclasses.is_dataclass(function) and not isinstance(function, type):
        found: Any = function
        name = str(found.name)
        return dataclasses.replace(found, coroutine=_arq_coroutine(found.coroutine, name, queue, runtime))
    if isinstance(function, str):  # the dotted name of one
        module, _, attribute = function.rpartition(".")
        function = pkgutil.resolve_name(f"{module}:{attribute}")
    return _arq_coroutine(function, function.__qualname__, queue, runtime)


def _arq_coroutine(coroutine: Callable[..., Any], name: str, queue: str | None, runtime: Runtime | None) -> Any:
    @functools.wraps(coroutine)
    async def in_context(*arguments: Any, **options: Any) -> Any:
        with consume(ARQ.extract(_of_arq_job.get()), name=name, destination=queue, runtime=runtime):
            return await coroutine(*arguments, **options)

    return in_context
