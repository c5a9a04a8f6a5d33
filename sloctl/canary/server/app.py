"""The webhook's routes: a thin shell that lets a request through to the evaluation or says why not."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sloctl.canary.audit.chain import Entry, Kind, Subject
from sloctl.canary.audit.store import StoreError
from sloctl.canary.server import answers
from sloctl.canary.server.answers import PAGES
from sloctl.canary.server.auth import AuthorizedCaller, Role
from sloctl.canary.server.configuration import Configuration, CurrentConfiguration
from sloctl.canary.server.evaluation import Evaluator, UnknownError
from sloctl.canary.server.metrics import ServerMetrics
from sloctl.canary.server.openapi import description
from sloctl.canary.server.page import decisions_page
from sloctl.canary.server.shapes import (
    ApprovalRequest,
    DecisionsQuery,
    EvaluateRequest,
    FlaggerRequest,
    MalformedError,
    read,
    read_asked,
    read_body,
)

LOG: Final = logging.getLogger(__name__)
T = TypeVar("T")
MOST_BODY: Final = 64 * 1024
BODY_SECONDS: Final = 10.0
AT_ONCE: Final = 64
ANSWER_SECONDS: Final = 7.8
"""Argo waits 10 s by default; whoever has no answer by now gets a 503."""
RETRY_SECONDS: Final = 5
PAGE_DECISIONS: Final = 20
_NO_SCRIPTS: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
"""Pages show names that others chose."""
HOOKS: Final = {
    "rollout": ("promote", "continue"),
    "rollback": ("rollback",),
    "confirm-promotion": ("promote",),
}
"""Flagger's hooks by type, and the verdicts that they call success: a check passed, roll back, go on to all traffic."""
NO: Final = 409
"""The status of the others: the state of the release conflicts with what was asked."""


class RefusedError(Exception):
    """A request that gets no verdict."""

    def __init__(self, status: int, error: str, message: str, problems: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status, self.error, self.message, self.problems = status, error, message, problems


@dataclass
class Webhook:
    """The server's state between requests: none but how many analyses are under way.

    Attributes:
        draining: set on SIGTERM: what is under way is finished, nothing new is begun.
    """

    configuration: CurrentConfiguration
    evaluation: Evaluator
    metrics: ServerMetrics
    at_once: int = AT_ONCE
    draining: bool = False
    in_flight: int = 0
    _pool: ThreadPoolExecutor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.at_once + 4, thread_name_prefix="analysis")

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/canary/evaluate", self._guarded(self.evaluate), methods=["POST", "GET"]),
                Route("/v1/flagger/{hook}", self._guarded(self.flagger), methods=["POST"]),
                Route("/v1/canary/decisions", self._guarded(self.decisions), methods=["GET"]),
                Route("/v1/canary/decisions/{id}", self._guarded(self.decision), methods=["GET"]),
                Route(f"{PAGES}/decisions/{{id}}", self._guarded(self.decision_page), methods=["GET"]),
                Route(f"{PAGES}/services/{{service:path}}", self._guarded(self.service_page), methods=["GET"]),
                Route("/v1/canary/approvals", self._guarded(self.approve), methods=["POST"]),
                Route("/healthz", self.health, methods=["GET"]),
                Route("/readyz", self._guarded(self.ready), methods=["GET"]),
                Route("/openapi.json", self.openapi, methods=["GET"]),
            ],
            exception_handlers={HTTPException: _http_error},
        )

    async def evaluate(self, request: Request) -> Response:
        """One look at one release; a GET has it in the query, for those who poll a URL."""
        caller, configuration = self._asking(request)
        if request.method == "GET":
            asked: EvaluateRequest | FlaggerRequest = read(EvaluateRequest, dict(request.query_params))
        else:
            asked = read_asked(await _body(request))
        if isinstance(asked, FlaggerRequest):  # posted here instead of to its own address
            return await self._hooked(asked, HOOKS["rollout"], caller, configuration)
        return JSONResponse(await self._evaluated(asked, caller, configuration))

    async def flagger(self, request: Request) -> Response:
        """One look for a hook of Flagger's, which reads nothing but the status: up to 202 is yes, all else is no."""
        says = HOOKS.get(request.path_params["hook"])
        if says is None:
            raise RefusedError(404, "unknown_path", f"there are the hooks {', '.join(HOOKS)}")
        caller, configuration = self._asking(request)
        return await self._hooked(read_body(FlaggerRequest, await _body(request)), says, caller, configuration)

    async def _hooked(
        self, told: FlaggerRequest, says: tuple[str, ...], caller: AuthorizedCaller, configuration: Configuration
    ) -> Response:
        asked = told.asked(self.evaluation.weights(told.service, configuration))
        answer = await self._evaluated(asked, caller, configuration)
        return JSONResponse(answer, 200 if answer["verdict"] in says else NO)

    def _asking(self, request: Request) -> tuple[AuthorizedCaller, Configuration]:
        caller = self._caller(request, Role.EVALUATE)
        if self.draining:
            raise RefusedError(503, "shutting_down", "this server is going away; ask again")
        return caller, self.configuration.current

    async def _evaluated(
        self, asked: EvaluateRequest, caller: AuthorizedCaller, configuration: Configuration
    ) -> dict[str, Any]:
        if self.in_flight >= self.at_once:
            raise RefusedError(429, "overloaded", f"{self.at_once} analyses are under way; ask again")
        self._more(1)
        try:
            return await self._started(lambda: self.evaluation.evaluate(asked, caller.name, configuration))
        finally:
            self._more(-1)

    async def approve(self, request: Request) -> Response:
        """A person lets a deployment go on."""
        caller, configuration = self._caller(request, Role.APPROVE), self.configuration.current
        asked = read_body(ApprovalRequest, await _body(request))
        done = await self._started(lambda: self.evaluation.approve(asked, caller.name, configuration))
        return JSONResponse(done, 201)

    async def decisions(self, request: Request) -> Response:
        """What was decided, newest first."""
        self._caller(request, Role.EVALUATE)
        asked = read(DecisionsQuery, dict(request.query_params))
        subject = Subject.of(asked.service, asked.canary, asked.revision)
        store = self.evaluation.store
        found = await self._started(lambda: store.decisions(subject, before=asked.before, limit=asked.limit))
        before = found[-1].sequence if len(found) == asked.limit else None
        return JSONResponse({"decisions": [answers.entry(each) for each in found], "before": before})

    async def decision(self, request: Request) -> Response:
        """One decision."""
        self._caller(request, Role.EVALUATE)
        return JSONResponse(answers.entry(await self._decision(request)))

    async def decision_page(self, request: Request) -> Response:
        """A picture of the evidence of one decision."""
        self._caller(request, Role.EVALUATE)
        found, store = await self._decision(request), self.evaluation.store
        title = f"Canary of {found.subject.service}"
        return HTMLResponse(await self._started(lambda: decisions_page(title, store, [found])), headers=_NO_SCRIPTS)

    async def service_page(self, request: Request) -> Response:
        """Pictures of the evidence of a service's last decisions."""
        self._caller(request, Role.EVALUATE)
        asked, store = read(DecisionsQuery, {"service": request.path_params["service"]}), self.evaluation.store

        def page() -> str:
            found = store.decisions(Subject.of(asked.service), limit=PAGE_DECISIONS)
            return decisions_page(f"Canary decisions of {asked.service}", store, found)

        return HTMLResponse(await self._started(page), headers=_NO_SCRIPTS)

    async def _decision(self, request: Request) -> Entry:
        identity = request.path_params["id"]
        found = await self._started(lambda: self.evaluation.store.find(Kind.DECISION, identity))
        if len(found) != 1:
            raise RefusedError(404, "unknown_decision", "there is no decision with this ID")
        return found[0]

    async def health(self, _: Request) -> Response:
        """Whether the process runs."""
        return PlainTextResponse("ok\n")

    async def ready(self, _: Request) -> Response:
        """Whether verdicts can be given: the store takes entries. An outage of Prometheus makes no server unready."""
        if self.draining:
            raise RefusedError(503, "shutting_down", "this server is going away")
        if not await self._started(self.evaluation.check_store):
            raise RefusedError(503, "audit_unavailable", "the audit store does not take entries")
        return JSONResponse({"ready": True})

    async def openapi(self, _: Request) -> Response:
        """The OpenAPI description."""
        return JSONResponse(description())

    def _caller(self, request: Request, role: Role) -> AuthorizedCaller:
        caller = self.configuration.current.tokens.caller(request.headers.get("authorization"))
        if caller is None:
            raise RefusedError(401, "unauthenticated", "send a valid token: `Authorization: Bearer ...`")
        if role is Role.APPROVE and caller.role is not Role.APPROVE:
            raise RefusedError(403, "forbidden", "this token may not approve")
        return caller

    def _more(self, change: int) -> None:
        self.in_flight += change
        self.metrics.in_flight.set(self.in_flight)

    async def _started(self, call: Callable[[], T]) -> T:
        """A blocking call in a thread, with the request's correlation ID.

        Raises:
            TimeoutError: it takes longer than anybody waits; one that waits for a thread is not begun any more.
        """
        context = contextvars.copy_context()
        running: Future[T] = self._pool.submit(lambda: context.run(_ended, call))
        return await asyncio.wait_for(asyncio.wrap_future(running), ANSWER_SECONDS)

    def _guarded(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        """The handler, whose every failure is a JSON answer and never a verdict."""

        async def guarded(request: Request) -> Response:
            try:
                answer: Response = await handler(request)
            except Exception as error:  # noqa: BLE001 - the last fence: whatever happens is a 503 and no verdict
                return self._refused(_refusal(error), request.url.path)
            return answer

        return guarded

    def _refused(self, refusal: RefusedError, path: str) -> Response:
        self.metrics.rejected.labels(refusal.error).inc()
        body: dict[str, Any] = {"error": refusal.error, "message": refusal.message}
        if refusal.problems:
            body["problems"] = refusal.problems
        headers = {"Retry-After": str(RETRY_SECONDS)} if refusal.status in {429, 503} else {}
        if refusal.status == 401:
            is_page = path.startswith(f"{PAGES}/")
            headers["WWW-Authenticate"] = 'Basic realm="the token is the password"' if is_page else "Bearer"
        return JSONResponse(body, refusal.status, headers)


def _ended(call: Callable[[], T]) -> T:
    """What `call` returns; asyncio cannot deliver a StopIteration, and whoever awaits it would wait for ever."""
    try:
        return call()
    except StopIteration as error:
        raise RuntimeError("an iterator ended too early") from error


def _refusal(error: Exception) -> RefusedError:
    match error:
        case RefusedError():
            return error
        case MalformedError():
            return RefusedError(422 if error.problems else 400, "malformed", str(error), error.problems)
        case UnknownError():
            return RefusedError(404, "unknown", str(error))
        case StoreError():
            LOG.error("no verdict: %s", error)
            return RefusedError(503, "audit_unavailable", "the audit store does not work, so there is no verdict")
        case TimeoutError():
            return RefusedError(503, "too_slow", "the analysis took too long; ask again")
        case ClientDisconnect():
            return RefusedError(400, "malformed", "the body ended early")
        case _:
            LOG.error("a bug of sloctl's", exc_info=error)
            return RefusedError(503, "internal", "a bug of sloctl's; its log has the details by this request's ID")


async def _body(request: Request) -> bytes:
    """The body, if it is small and comes in time."""
    pieces, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                size += len(piece)
                if size > MOST_BODY:
                    raise RefusedError(413, "too_large", "the body is larger than 64 kB")
                pieces.append(piece)
    except TimeoutError as error:
        raise RefusedError(408, "too_slow_body", f"the body did not come within {BODY_SECONDS:g} s") from error
    return b"".join(pieces)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    names = {404: "unknown_path", 405: "wrong_method"}
    body = {"error": names.get(error.status_code, "refused"), "message": error.detail}
    return JSONResponse(body, error.status_code, dict(error.headers or {}))
