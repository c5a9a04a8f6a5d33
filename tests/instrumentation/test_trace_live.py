"""`sloctl trace` on the log lines of services that record no span: it names the one that failed, not its caller."""

import sys
import textwrap
from pathlib import Path

import httpx
import pytest

from sloctl.cli import main
from testing.servers import answers, free_port, running

pytestmark = pytest.mark.server
SERVICE = """
import logging, os
import httpx
from fastapi import FastAPI
from sloctl.instrumentation import JsonFormatter, configure, instrument_app, instrument_httpx

name, orders = os.environ["NAME"], os.environ["ORDERS"]
runtime = configure(name, "test", sample_ratio=0, internal_hosts=["127.0.0.1"])
handler = logging.StreamHandler()
handler.setFormatter(JsonFormatter(runtime))
logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
app = FastAPI()
client = httpx.AsyncClient()
instrument_httpx(client, runtime)
instrument_app(app, runtime, trust="edge" if name == "edge" else "internal")

@app.post("/shop")
async def shop():
    (await client.post(f"http://127.0.0.1:{orders}/orders")).raise_for_status()

@app.post("/orders")
async def order():
    raise KeyError("weight")
"""


def test_an_exception_of_a_callee_in_a_request_that_was_not_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "service.py").write_text(textwrap.dedent(SERVICE))
    edge, orders = free_port(), free_port()

    def command(name: str, port: int) -> list[str]:
        settings = [f"--chdir={tmp_path}", f"NAME={name}", f"ORDERS={orders}"]
        server = [sys.executable, "-m", "uvicorn", "service:app", "--port", str(port), "--no-access-log"]
        return ["env", *settings, *server, "--log-level", "warning"]

    logs = {name: tmp_path / f"{name}.log" for name in ("edge", "orders")}
    with (
        running("orders", command("orders", orders), logs["orders"]) as of_orders,
        running("edge", command("edge", edge), logs["edge"]) as of_edge,
        httpx.Client() as client,
    ):
        for process, port in ((of_orders, orders), (of_edge, edge)):
            process.wait_for(lambda port=port: answers(client, f"http://127.0.0.1:{port}/metrics"), "it is ready", 20)  # type: ignore[misc]
        response = client.post(f"http://127.0.0.1:{edge}/shop", headers={"x-request-id": "support-ticket-4711"})
    assert response.status_code == 500
    for asked in (response.headers["x-request-id"], "support-ticket-4711"):
        assert main(["trace", asked, *map(str, logs.values())]) == 1
        report = capsys.readouterr().out
        rows = [line.split()[:5] for line in report.splitlines()[2:4]]
        assert rows == [["1", "edge", "http", "500", "(failed)"], ["2", "1", "orders", "http", "500"]], report
        assert "earliest failing hop: orders (POST /orders)\n  KeyError: 'weight'" in report
