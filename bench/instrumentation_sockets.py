"""What a request costs the process that serves it on real sockets; and what four workers count.

Each variant is served by uvicorn in a process of its own, and tells its CPU time itself. A round sends requests to
each in turn, over connections that stay open, so that a busy machine hits all alike.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from time import process_time, sleep
from typing import Any, Final

import httpx
import uvicorn

from bench.rows import Row
from testing.servers import answers, free_port, running
from testing.serving import workers

CONNECTIONS: Final = 8
REQUESTS: Final = 80  # of one round of one variant: short ones are sometimes left alone on a busy machine
ROUNDS: Final = 120
WORKERS: Final = 4
BEFORE, AFTER = 2000, 200  # requests before and after a worker is killed
GOALS: Final = {"always": 5.0, "1 %": 9.0, "never": 9.0}
SHARES: Final = {"always": 1.0, "1 %": 0.01, "never": 0.0}
MAKERS: Final = ("ours", "stacked")
COUNTED: Final = "http_server_request_duration_seconds_count{"


def serve(maker: str, share: float, port: int) -> None:
    """One variant, which tells its own CPU time at /cpu."""
    from bench import instrumentation

    app = getattr(instrumentation, maker)(share)

    async def measured(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/cpu":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"24")]})
            await send({"type": "http.response.body", "body": f"{process_time():024.9f}".encode()})
        else:
            await app(scope, receive, send)

    uvicorn.run(measured, host="127.0.0.1", port=port, log_level="error", access_log=False)


async def ask(port: int, path: str, times: int) -> bytes:
    """Requests one after another on a connection; the last body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b""
    for _ in range(times):
        writer.write(f"GET {path} HTTP/1.1\r\nhost: bench\r\naccept: */*\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(int(length.split(b":")[1]))
    writer.close()
    return body


async def round_of(port: int) -> float:
    """Microseconds of the server's CPU time a request."""
    before = float(await ask(port, "/cpu", 1))
    await asyncio.gather(*(ask(port, "/shipments/7", REQUESTS // CONNECTIONS) for _ in range(CONNECTIONS)))
    return (float(await ask(port, "/cpu", 1)) - before) / REQUESTS * 1e6


def overheads() -> Mapping[tuple[str, str], float]:
    """What each variant costs more than the bare application, in microseconds a request."""
    variants = [("bare", "never"), *((maker, name) for name in SHARES for maker in MAKERS)]
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder, httpx.Client() as client:
        ports = {}
        for variant in variants:
            port = ports[variant] = free_port()
            command = [sys.executable, "-m", __spec__.name, variant[0], str(SHARES[variant[1]]), str(port)]
            stack.enter_context(running("-".join(variant), command, Path(folder) / "-".join(variant)))
        for port in ports.values():
            wait_for(client, f"http://127.0.0.1:{port}/cpu")

        async def measured() -> Mapping[tuple[str, str], float]:
            found: dict[tuple[str, str], list[float]] = defaultdict(list)
            draw = random.Random(7)
            for _ in range(ROUNDS):
                for variant in draw.sample(variants, len(variants)):
                    found[variant].append(await round_of(ports[variant]))
            # Processes that take turns on a core also pay for each other's caches; the best round pays least.
            best = {variant: min(rounds) for variant, rounds in found.items()}
            return {variant: microseconds - best["bare", "never"] for variant, microseconds in best.items()}

        return asyncio.run(measured())


def wait_for(client: httpx.Client, url: str) -> None:
    for _ in range(300):
        if answers(client, url):
            return
        sleep(0.1)
    raise RuntimeError(f"{url} does not answer")


WORKER: Final = """
import os
from fastapi import FastAPI
from sloctl.instrumentation import configure, instrument_app
app = FastAPI()
app.get("/pid")(os.getpid)
instrument_app(app, configure(service="bench"), trust="internal")
"""


def missing_requests() -> float:
    """Requests that four workers do not count, one of which is killed after most of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "metrics").mkdir()
        program = folder / "bench_worker.py"
        program.write_text(WORKER)
        environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics")}
        with workers(program, WORKERS, environment, "/metrics") as there:
            pids = send(there.url, BEFORE)
            sleep(1)  # the last response is out before it is counted
            there.kill_one(pids[0])
            sleep(1)
            send(there.url, AFTER)
            lines = httpx.get(f"{there.url}/metrics").text.splitlines()
    return BEFORE + AFTER - sum(float(line.split()[-1]) for line in lines if line.startswith(COUNTED))


def send(url: str, times: int) -> list[int]:
    """Requests from several threads, each on a connection of its own; who answered."""
    todo, found = iter(range(times)), list[int]()

    def some() -> None:
        with httpx.Client(limits=httpx.Limits(max_keepalive_connections=0)) as client:
            found.extend(json.loads(client.get(f"{url}/pid").content) for _ in todo)

    threads = [threading.Thread(target=some) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def rows() -> Iterator[Row]:
    cost = overheads()
    for name, goal in GOALS.items():
        yield Row(
            f"on sockets, {name} sampled: stack / ours", cost["stacked", name] / cost["ours", name], at_least=goal
        )
    text = f"requests that {WORKERS} workers do not count of {BEFORE + AFTER}, one killed"
    yield Row(text, missing_requests(), at_most=0)


if __name__ == "__main__":
    serve(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
