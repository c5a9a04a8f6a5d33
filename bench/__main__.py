"""Run benchmarks: `python -m bench` runs all, `python -m bench NAME...` those named."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from bench import (
    canary,
    canary_latency,
    canary_live,
    canary_server,
    canary_store,
    dashboards,
    engines,
    history,
    history_live,
    instrumentation,
    language,
    proof,
    routes,
    rules,
    rules_live,
    startup,
    why,
)
from bench.rows import Row, show

BENCHMARKS: Final[Mapping[str, Callable[[], Iterable[Row]]]] = {
    "startup": startup.rows,
    "canary": canary.rows,
    "canary-latency": canary_latency.rows,
    "canary-live": canary_live.rows,
    "canary-server": canary_server.rows,
    "canary-store": canary_store.rows,
    "instrumentation": instrumentation.rows,
    "history": history.rows,
    "history-live": history_live.rows,
    "language": language.rows,
    "proof": proof.rows,
    "rules": rules.rows,
    "rules-live": rules_live.rows,
    "dashboards": dashboards.rows,
    "engines": engines.rows,
    "routes": routes.size_rows,
    "routes-live": routes.waiting_rows,
    "why": why.rows,
    "why-live": why.live_rows,
}


def main(names: Sequence[str]) -> int:
    """Exit code 0 when every row of every benchmark is ok, 1 when one is not, 2 for an unknown name."""
    if unknown := [name for name in names if name not in BENCHMARKS]:
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    good = [show(name, BENCHMARKS[name]()) for name in names or BENCHMARKS]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
