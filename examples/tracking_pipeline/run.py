"""`make demo`: a specification becomes rules, a bad canary is rolled back, a fault a page.

Exit code 0 when every act happened, 1 when one did not, 130 when it was stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from examples.tracking_pipeline.acts import play
from examples.tracking_pipeline.pictures import take
from examples.tracking_pipeline.story import Story
from examples.tracking_pipeline.world import JUDGE, World, lock, stop_when_asked, world
from testing.servers import ServerError, find_program

PROGRAMS: Final = (
    "postgres", "initdb", "redis-server", "mosquitto", "prometheus", "prometheus-alertmanager",
)  # fmt: skip
INTRODUCTION: Final = (
    "The tracking pipeline of a logistics platform, on loopback: gateway, Redis stream, ingestion, PostgreSQL, "
    "MQTT, projection, read store and tracking API; Prometheus with the rules of "
    "examples/tracking_pipeline/slo-specs, Alertmanager, and a sink that plays PagerDuty and Slack. Time runs 12 "
    "times faster than in production: events are counted in tiles of 5 s (resolution: 5s), and every duration of the "
    "alert tiers and of the canary is divided by 12."
)


def main(words: Sequence[str]) -> int:
    """Run the story; returns the exit code."""
    options = arguments().parse_args(words)
    console = Console()
    try:
        for program in PROGRAMS:
            find_program(program)
        held = lock(Path(tempfile.gettempdir(), f"sloctl-demo-{os.getuid()}.lock"))
        with open(held, closefd=True), tempfile.TemporaryDirectory(prefix="sloctl-demo-") as folder:  # noqa: PTH123
            demonstrate(console, Path(folder), options)
    except (ServerError, httpx.HTTPError) as error:
        console.print("The demonstration failed:", style="bold red")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped, with everything that was started.")
        return 130
    console.print("Every act happened. Nothing is left running.", style="bold green")
    return 0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo ARGS=", description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave everything up at the end, until Ctrl-C")
    parser.add_argument("--port", type=int, metavar="N", help="take ports from N on instead of free ones")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="keep dashboards of the story; needs chromium")
    return parser


def demonstrate(console: Console, folder: Path, options: argparse.Namespace) -> None:
    """Start everything, play every act, and sum up."""
    console.print(INTRODUCTION, highlight=False, soft_wrap=True)
    began = time.monotonic()
    with world(folder, options.port) as running:
        console.print(f"{time.monotonic() - began:6.1f} s  everything runs", highlight=False)
        live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        story = Story(console, live, running, began)
        if options.pictures:
            story.take_picture = partial(take, into=options.pictures.resolve())
        story.acts.append(("Start", story.now()))
        with live or nullcontext():
            play(story)
        console.print(summary(story))
        if options.keep:
            keep(console, running)


def summary(story: Story) -> Table:
    """How long each act took, and what was measured."""
    table = Table("act", "took", title="What happened", title_justify="left")
    for name, seconds in story.acts:
        table.add_row(name, f"{seconds:.1f} s")
    table.add_row("All", f"{story.now():.1f} s", end_section=True)
    for what, value in story.figures:
        table.add_row(what, value)
    return table


def keep(console: Console, running: World) -> None:
    """Say where everything is, let days and nights follow each other, and wait for Ctrl-C."""
    running.switch(diurnal=1)
    table = Table("what", "where", title="Everything stays up until Ctrl-C", title_justify="left")
    for name in ("prometheus", "alertmanager", "gateway", JUDGE):
        table.add_row(name, running.settings.url(name))
    table.add_row("PostgreSQL", running.settings.postgresql)
    table.add_row("logs and spans", str(running.folder))
    table.add_row("switches", f"python -m examples.tracking_pipeline.switches {running.folder}")
    console.print(table)
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)
            running.require_alive()


if __name__ == "__main__":
    stop_when_asked()
    sys.exit(main(sys.argv[1:]))
