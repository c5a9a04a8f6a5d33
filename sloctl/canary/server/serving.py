"""The process: logs, signals, and one server until SIGTERM.

SIGHUP reads the configuration again, and so does a change of its files. SIGTERM lets what is under way finish.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn
from prometheus_client import CollectorRegistry

from sloctl.canary.audit.store import Store, StoreError
from sloctl.canary.server import protocol
from sloctl.canary.server.app import Webhook
from sloctl.canary.server.configuration import Configuration, CurrentConfiguration
from sloctl.canary.server.evaluation import Evaluator
from sloctl.canary.server.metrics import ServerMetrics
from sloctl.canary.server.queries import Shared
from sloctl.errors import OutsideError, SloctlError
from sloctl.instrumentation import JsonFormatter, configure, instrument_app

LOG: Final = logging.getLogger("sloctl.canary.server")
SERVICE: Final = "sloctl-canary"
FINISH_SECONDS: Final = 10.0
LOOK_AT_FILES_SECONDS: Final = 15.0
PRUNE_SECONDS: Final = 3600.0
"""Evidence that is too old is looked for so often."""
_ADDRESS_IS_TAKEN: Final = (1, 3)
"""How uvicorn exits then, by its version; its log says so."""
COLLECT_AFTER: Final = 250_000
"""New objects after which garbage is looked for; a look of a large service makes 100 000, and hardly any cycle."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server listens.

    Attributes:
        host: an IP address or a name.
        drain_seconds: so long after SIGTERM it goes on refusing politely, until nobody is sent here any more.
        certificate: file with the certificate and those of its issuers, and `key` with its key; None for plain HTTP.
    """

    host: str
    port: int
    drain_seconds: float = 0.0
    certificate: Path | None = None
    key: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        with suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return False


def serve(
    listening: Listening,
    store: Store,
    load: Callable[[], Configuration],
    stamp: Callable[[], object],
    evidence_seconds: float,
    public_url: str = "",
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        load: reads the configuration; raises `SloctlError` when it is not good.
        stamp: differs when a file of the configuration has changed.
        evidence_seconds: how long the counts of a decision are kept.
        public_url: the server's address for people, to which verdicts link.

    Raises:
        SloctlError: the configuration is not good, or nobody would have to authenticate.
        OutsideError: the address cannot be listened on.
    """
    log_as_json()
    runtime = configure(SERVICE, registry=CollectorRegistry(), sample_ratio=0.0, set_global=False)
    metrics = ServerMetrics(runtime.registry)
    configuration = CurrentConfiguration(lambda: _safe(load(), listening), metrics)
    shared = Shared(lambda: configuration.current.prometheus, metrics)
    evaluation = Evaluator(store, shared, metrics, public_url=public_url)
    webhook = Webhook(configuration, evaluation, metrics)
    app = webhook.app()
    instrument_app(app, runtime, trust="edge")
    config = uvicorn.Config(
        app,
        host=listening.host,
        port=listening.port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=int(FINISH_SECONDS),
        ssl_certfile=listening.certificate,
        ssl_keyfile=listening.key,
        **protocol.settings(),
    )
    _load_tls(config, listening)

    def prune() -> None:
        store.prune(int((time.time() - evidence_seconds) * 1000), compact=False)

    server = CanaryServer(config, webhook, stamp, listening, prune)
    gc.collect()
    gc.freeze()  # what is loaded now stays: no look waits for the collector to go through it again
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    try:
        server.run()
    except SystemExit as error:
        if error.code not in _ADDRESS_IS_TAKEN:
            raise  # a signal
        raise OutsideError(f"{listening.host}:{listening.port} cannot be listened on") from error
    finally:
        store.close()


class CanaryServer(uvicorn.Server):
    """Uvicorn that drains before it stops."""

    def __init__(
        self,
        config: uvicorn.Config,
        webhook: Webhook,
        stamp: Callable[[], object],
        listening: Listening,
        prune: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._webhook, self._stamp, self._listening, self._prune = webhook, stamp, listening, prune
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and read the configuration again when that is asked for."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGHUP, lambda: self._begin(self._reload()))
        self._begin(self._watch())
        self._begin(self._prune_again_and_again())
        try:
            await super().serve(sockets)
        finally:
            for task in tuple(self._tasks):
                task.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain on the first signal, stop on the second."""
        if self._webhook.draining or self._loop is None:
            super().handle_exit(sig, frame)
            return
        self._webhook.draining = True
        self._loop.call_soon_threadsafe(lambda: self._begin(self._drain()))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        LOG.info("shutting down: %d analyses are finished first", self._webhook.in_flight)
        await asyncio.sleep(self._listening.drain_seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                while self._webhook.in_flight:
                    await asyncio.sleep(0.02)
        self.should_exit = True

    async def _reload(self) -> None:
        await asyncio.to_thread(self._webhook.configuration.reload)
        try:
            _load_tls(self.config, self._listening)  # connections that are there keep the certificate they have seen
        except SloctlError as error:
            LOG.error("the certificate is not good, so the last one stays in force: %s", error)  # noqa: TRY400 - no traceback

    async def _prune_again_and_again(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._prune)
            except StoreError as error:
                LOG.warning("old evidence stays for now: %s", error)
            await asyncio.sleep(PRUNE_SECONDS)

    async def _watch(self) -> None:
        """Kubernetes changes mounted files without telling anybody."""
        before = await asyncio.to_thread(self._stamp)
        while True:
            await asyncio.sleep(LOOK_AT_FILES_SECONDS)
            after = await asyncio.to_thread(self._stamp)
            if after != before:
                before = after
                await self._reload()


def _safe(configuration: Configuration, listening: Listening) -> Configuration:
    if not configuration.tokens.callers and not listening.is_loopback:
        raise SloctlError(
            f"without --tokens anybody who reaches {listening.host} could ask; "
            "give --tokens FILE, or listen on 127.0.0.1"
        )
    return configuration


def _load_tls(config: uvicorn.Config, listening: Listening) -> None:
    """Read the certificate and its key, again where they were read before.

    Raises:
        SloctlError: they are none, or do not belong together.
    """
    if listening.certificate is None:
        return
    try:
        if not config.loaded:
            config.load()
        if config.ssl is not None:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
            config.ssl.load_cert_chain(listening.certificate, listening.key)
    except (OSError, ssl.SSLError) as error:
        raise SloctlError(f"{listening.certificate} cannot be used for TLS: {error}") from error


def log_as_json() -> None:
    """One JSON object per line on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_plain)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _plain(record: logging.LogRecord) -> bool:
    """Uvicorn says some things twice, the second time for terminals."""
    vars(record).pop("color_message", None)
    return True
