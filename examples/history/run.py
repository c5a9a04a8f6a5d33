"""Ask `sloctl backtest` about the past of the shop: `python -m examples.history.run [OPTIONS of backtest]`.

A real Prometheus gets three weeks of samples as blocks; no rule is loaded. Without options it writes the picture of
docs/backtest.md as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from examples.history.world import END, past
from sloctl.cli import main
from testing.histories import past_server

SPECS = Path(__file__).parent / "slo-specs"
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "backtest.svg"


def ask(url: str, *words: str) -> int:
    """One backtest of the last two weeks: the first one is what its windows look back."""
    span = ("--end", str(END), "--since", "14d")
    return main(["backtest", str(SPECS), "--prometheus", url, *span, "--cache", "none", *words])


if __name__ == "__main__":
    with past_server(past()) as server:
        sys.exit(ask(server.url, *(sys.argv[1:] or ("--picture", str(PICTURE)))))
