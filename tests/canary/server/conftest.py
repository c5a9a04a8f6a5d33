"""A webhook in this process, whose Prometheus a test decides."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from jsonschema import Draft202012Validator
from prometheus_client import CollectorRegistry

from sloctl.canary.audit.store import Store
from sloctl.canary.server import protocol
from sloctl.canary.server.app import Webhook
from sloctl.canary.server.auth import Tokens
from sloctl.canary.server.configuration import Configuration, CurrentConfiguration, judgeable
from sloctl.canary.server.evaluation import Evaluator
from sloctl.canary.server.metrics import ServerMetrics
from sloctl.canary.server.openapi import description
from sloctl.canary.server.queries import Shared
from sloctl.compiler import load
from sloctl.diagnostics import Diagnostics
from sloctl.prometheus import PrometheusClient
from testing.servers import PATIENCE
from tests.canary.source.test_look import SPEC
from tests.canary.stub import NOW, Stub, serving

ASKED = {"service": "pay", "canary": "7ddf8", "stable": "5c577", "revision": "3", "step": 0}


@dataclass
class Hook:
    """The webhook, its stub and its store."""

    stub: Stub
    store: Store
    webhook: Webhook
    client: httpx.Client
    registry: CollectorRegistry
    specs: Path
    seen: list[dict[str, Any]] = field(default_factory=list)

    def evaluate(self, **more: object) -> dict[str, Any]:
        """An answer with a verdict, of the shape that the OpenAPI description promises."""
        response = self.client.post("/v1/canary/evaluate", json={**ASKED, **more})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = json.loads(response.text, parse_constant=pytest.fail)
        has_shape("Answer", answer)
        self.seen.append(answer)
        return answer

    def said(self, **more: object) -> str:
        answer = self.evaluate(**more)
        return f"{answer['verdict']}/{answer['reason']}"

    def refused(self, content: bytes | str, **headers: str) -> tuple[int, str]:
        """The status and the error of a request that gets no verdict."""
        response = self.client.post("/v1/canary/evaluate", content=content, headers=headers)
        has_shape("ErrorAnswer", response.json())
        return response.status_code, response.json()["error"]

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


def has_shape(name: str, value: object) -> None:
    schema = {**description(), "$ref": f"#/components/schemas/{name}"}
    Draft202012Validator(schema).validate(value)


@contextmanager
def listening(webhook: Webhook) -> Iterator[str]:
    """The webhook on a socket of loopback, in a thread; its address."""
    config = uvicorn.Config(webhook.app(), port=0, log_config=None, lifespan="off", **protocol.settings())
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


MakeHook = Callable[..., Hook]


@pytest.fixture
def hook_of(tmp_path: Path) -> Iterator[MakeHook]:
    """A webhook of a specification, with these tokens."""
    with ExitStack() as stack:

        def make(spec: str = SPEC, tokens: Tokens | None = None, **limits: Any) -> Hook:
            specs = tmp_path / "specs.yaml"
            specs.write_text(spec, encoding="utf-8")
            stub = Stub()
            prometheus = stack.enter_context(PrometheusClient(stack.enter_context(serving(stub)), timeout=PATIENCE))

            def configuration() -> Configuration:
                found = Diagnostics()
                catalogue = load((str(specs),), found, root=tmp_path)
                assert not found.errors, found.errors
                return Configuration(tuple(judgeable(catalogue)), tokens or Tokens(), prometheus)

            registry = CollectorRegistry()
            metrics = ServerMetrics(registry)
            store = Store.open(str(tmp_path / "audit.db"))
            stack.callback(store.close)
            in_force = CurrentConfiguration(configuration, metrics)
            shared = Shared(lambda: in_force.current.prometheus, metrics)
            evaluation = Evaluator(store, shared, metrics, **{"clock": lambda: NOW, "look_seconds": PATIENCE, **limits})
            webhook = Webhook(in_force, evaluation, metrics)
            client = stack.enter_context(
                httpx.Client(base_url=stack.enter_context(listening(webhook)), timeout=PATIENCE)
            )
            return Hook(stub, store, webhook, client, registry, specs)

        yield make


@pytest.fixture
def hook(hook_of: MakeHook) -> Hook:
    return hook_of()
