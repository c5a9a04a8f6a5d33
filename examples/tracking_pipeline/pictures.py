"""The dashboards of the story, as `sloctl preview` shows them, in a browser."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from examples.pictures.browser import picture
from examples.tracking_pipeline.settings import CANARY, STABLE
from examples.tracking_pipeline.world import World
from sloctl.backends.grafana.preview.page import preview
from sloctl.prometheus import PrometheusClient

WIDTH: Final = 1400
SINCE: Final = "3m"
HEIGHTS: Final[Mapping[str, int]] = {"canary": 985, "overview": 740}
CHOSEN: Final[Mapping[str, str]] = {"canary": CANARY, "stable": STABLE}


def take(world: World, dashboard: str, into: Path) -> None:
    """Keep one dashboard as `story-<dashboard>.png`."""
    board = json.loads((world.folder / f"dashboards/tracking-pipeline/{dashboard}.json").read_text(encoding="utf-8"))
    known = {variable["name"] for variable in board.get("templating", {}).get("list", [])}
    chosen = {name: value for name, value in CHOSEN.items() if name in known}
    page = world.folder / f"{dashboard}.html"
    with PrometheusClient(world.prometheus.url) as client:
        page.write_text(preview(board, client, time.time(), chosen, 30, SINCE), encoding="utf-8")
    picture(page, into / f"story-{dashboard}.png", WIDTH, HEIGHTS[dashboard])
