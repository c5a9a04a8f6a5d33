"""What `sloctl trace` costs on a gigabyte of logs, beside `grep` for the same ID.

The request has 20 lines in it. An ID that we minted is its trace's too, and one search finds all; one that came from
elsewhere leads to a trace of another name, which is searched for once more.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.measured import Measured, measured
from bench.rows import Row

SIZE: Final = 1_000_000_000
BLOCK: Final = 8_000  # lines of other requests between those of ours
OURS: Final = 20
FOUND: Final = (0, 1)  # exit codes: nothing failed, something failed


def line(request_id: str, trace_id: str) -> bytes:
    """A line of `JsonFormatter`."""
    fields = {
        "timestamp": "2026-01-01T00:00:00.000000+00:00",
        "severity": "INFO",
        "message": "sold 3",
        "logger": "shop",
        "service.name": "orders",
        "k8s.pod.name": "orders-7d9f8b6c5-abcde",
        "k8s.cluster.name": "prod",
        "deployment.environment.name": "production",
        "request.id": request_id,
        "trace_id": trace_id,
        "span_id": trace_id[:16],
    }
    return json.dumps(fields).encode() + b"\n"


def write(path: Path, request_id: str, trace_id: str) -> None:
    """A gigabyte of lines; those of others are the same block again and again."""
    draw = random.Random(1)
    others = b"".join(line(other := f"{draw.getrandbits(128):032x}", other) for _ in range(BLOCK))
    blocks = SIZE // len(others)
    with path.open("wb") as file:
        for number in range(blocks):
            file.write(others)
            if number % (blocks // OURS) == 0:
                file.write(line(request_id, trace_id))


def searched(path: Path, request_id: str) -> tuple[Measured, Measured]:
    """`sloctl trace` and `grep`, each after the file is in memory."""
    # Behind a pipe: grep stops at the first line when it writes to /dev/null.
    grep: list[str | Path] = ["sh", "-c", 'grep --fixed-strings "$0" "$1" | cat', request_id, path]
    measured(grep)
    ours = measured([sys.executable, "-m", "sloctl", "trace", request_id, str(path)])
    if ours.exit_code not in FOUND:
        raise RuntimeError(f"sloctl trace ended with {ours.exit_code}: {ours.said[-500:]}")
    return ours, measured(grep)


def rows() -> Iterator[Row]:
    """CPU seconds divided by grep's, and the peak of memory."""
    trace_id = f"{random.Random(2).getrandbits(128):032x}"
    for what, request_id, at_most in (("its own trace", trace_id, 4), ("another trace", "order-request-0001", 8)):
        with tempfile.TemporaryDirectory(prefix="sloctl-trace-") as folder:
            path = Path(folder, "log.jsonl")
            write(path, request_id, trace_id)
            ours, grep = searched(path, request_id)
        yield Row(f"trace on 1 GB, ID of {what}: CPU / CPU of grep", ours.cpu / grep.cpu, at_most=at_most)
        yield Row(f"trace on 1 GB, ID of {what}: peak MiB", ours.memory, at_most=100)
