"""`make pictures`: all seven dashboards with real numbers, as docs/pictures/*.png."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from examples.pictures.browser import picture
from examples.pictures.world import world
from sloctl.backends.grafana.preview.page import preview
from sloctl.prometheus import PrometheusClient
from testing.servers import ROOT, ServerError

WIDTH = 1400
PICTURES: Mapping[str, tuple[str, int, str | None, Mapping[str, str]]] = {
    "overview": ("finflow/overview", 1560, None, {}),
    "detail": ("routemesh/detail", 1560, None, {"slo": "gateway-latency"}),
    "canary": ("ecommerce/canary", 1300, "3m", {"canary": "7c2d", "stable": "6b9f"}),
    "tenant": ("routemesh/tenant", 1200, None, {}),
    "scorecard": ("ecommerce/scorecard", 900, None, {}),
    "user-experience": ("routemesh/user-experience", 1500, None, {"vantage_point": "frankfurt|mumbai"}),
    "capacity": ("routemesh/capacity", 1500, None, {}),
}
"""Dashboard, height in pixels, a range of its own, and chosen variables."""


def main() -> int:
    """Exit code 1 when a server or the browser is missing."""
    console = Console()
    target = ROOT / "docs/pictures"
    target.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="sloctl-pictures-") as folder:
            console.print("Starting Prometheus with the rules of slo-specs/ (about two minutes)")
            with world(Path(folder), flags=["--query.lookback-delta=61m"]) as live:
                time.sleep(60)
                with PrometheusClient(live.server.url) as client:
                    for name, (board, height, since, chosen) in PICTURES.items():
                        dashboard = json.loads(Path(folder, f"dashboards/{board}.json").read_text())
                        page = Path(folder, f"{name}.html")
                        page.write_text(preview(dashboard, client, time.time(), chosen, 30, since), encoding="utf-8")
                        picture(page, target / f"{name}.png", WIDTH, height)
                        console.print(f"wrote docs/pictures/{name}.png")
    except ServerError as error:
        console.print(str(error), style="bold red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
