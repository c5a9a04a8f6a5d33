"""What a service imports: typed, light, and nothing of the compiler."""

import subprocess
import sys
from pathlib import Path

from testing.servers import ROOT

FOREIGN = ("botocore", "boto3", "confluent_kafka", "paho", "pydantic", "yaml", "promql_parser", "fastapi", "rich")
LOADED = """
import sys
before = set(sys.modules)
from sloctl.instrumentation import *
import sloctl.instrumentation.carriers, sloctl.instrumentation.boto
print(*sorted(set(sys.modules) - before))
"""
GOOD = """
from collections.abc import Mapping
from typing import Any, assert_type
import httpx
from fastapi import FastAPI
from sloctl.instrumentation import (
    ContextMiddleware, JsonFormatter, RequestContext, Runtime, boto, carriers, configure, consume, current,
    instrument_app, instrument_httpx, lambda_handler,
)
runtime = configure(service="web", environment="test")
assert_type(runtime, Runtime)
assert_type(current(), RequestContext | None)
instrument_app(FastAPI(), runtime, trust="edge", tenants=["a"], slo="x.yaml", buckets=[0.1], mode="otel")
instrument_app(FastAPI(), runtime, trust=lambda scope: bool(scope["client"]))
instrument_httpx(httpx.AsyncClient(), runtime)
assert_type(carriers.sqs.inject({"MessageBody": ""}), carriers.Outcome)
with consume(carriers.kafka.extract([("a", b"b")]), name="x", relation="link") as request:
    assert_type(request, RequestContext)
    assert_type(request.request_id, str)
@lambda_handler
def bare(event: dict[str, Any], context: Any) -> int: return 1
@lambda_handler(trust="internal", report_failures=True)
def full(event: dict[str, Any], context: Any) -> int: return 1
"""
BAD = """
from fastapi import FastAPI
from sloctl.instrumentation import carriers, configure, consume, instrument_app
runtime = configure("web")
instrument_app(FastAPI(), runtime)
instrument_app(FastAPI(), runtime, trust="everyone")
instrument_app(FastAPI(), runtime, trust="edge", mode="both")
configure(service=1)
with consume(carriers.Incoming("sqs"), name="x", relation="child"): pass
carriers.sqs.inject("text")
"""


def test_importing_it_loads_neither_transports_nor_the_compiler() -> None:
    finished = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = finished.stdout.split()
    assert "sloctl.instrumentation.api" in loaded
    assert [name for name in loaded if name.split(".")[0] in FOREIGN] == []
    ours = [name for name in loaded if name.startswith("sloctl.")]
    assert [name for name in ours if not name.startswith("sloctl.instrumentation")] == []


def test_reading_traces_needs_no_opentelemetry() -> None:
    program = "import sys, sloctl.instrumentation.trace; print('opentelemetry' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stdout == "False\n"


def test_without_the_extra_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['prometheus_client'] = None; from sloctl.instrumentation import configure"
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert "configure needs more packages: pip install 'sloctl[instrumentation]'" in finished.stderr


def types(tmp_path: Path, text: str) -> list[str]:
    """What mypy says of a program, strictly."""
    program = tmp_path / "program.py"
    program.write_text(text)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        program,
    ]  # the settings, and so the cache, of the project
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [line for line in finished.stdout.splitlines() if "error:" in line and "program.py" in line]


def test_right_calls_are_typed(tmp_path: Path) -> None:
    assert types(tmp_path, GOOD) == []


def test_wrong_calls_are_found_by_the_type_checker(tmp_path: Path) -> None:
    found = {int(line.split(":")[1]) for line in types(tmp_path, BAD)}
    assert found == {5, 6, 7, 8, 9, 10}
