"""The demonstration: an SLO from YAML to an alert that fires and resolves in a real Prometheus.

Exit code 0 when every act happened, 1 when one did not.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from examples.demo.status import SLO, Status, line, read_status, tables
from examples.servers import (
    ROOT,
    Prometheus,
    ServerError,
    answers,
    find_program,
    free_port,
    prometheus,
    running,
)

SPECS: Final = "examples/demo/slo-specs"
PAGE: Final = "p1-5m"  # burn 14.4 over 5m and 25s: the first tier of google's, 12 times faster
PATIENT: Final = "p2-5s"  # the tier with `for`
PLAIN_LINE_EVERY: Final = 5.0

FAILING: Final = "0.1"

INTRODUCTION: Final = (
    "[bold]An SLO burns.[/bold] A checkout service on loopback answers 100 requests a second and promises "
    "that 99.9 % of them succeed. Time runs 12 times faster than in production: events are counted in tiles "
    "of 5 s (resolution: 5s instead of 1m), and the burn-rate tiers are google's with every duration divided "
    "by 12 (5m and 25s stand for 1h and 5m).\n"
)
EPILOGUE: Final = (
    "This took {seconds:.0f} s; in production every step takes 12 times as long. Alerts over longer windows "
    "still remember the errors and go on firing, as they should. The budget counts the events of one day, of "
    "which this Prometheus has seen {seconds:.0f} s, so a short fault overspends it."
)


@dataclass(slots=True)
class Story:
    """Shows the SLO while time passes and remembers when each alert changed its state."""

    console: Console
    live: Live | None
    prometheus: Prometheus
    began: float
    states: dict[str, str] = field(default_factory=dict)
    events: list[tuple[float, str]] = field(default_factory=list)
    last_line: float = 0.0

    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def tell(self, what: str) -> None:
        """Note an event with its time, and say it."""
        self.events.append((self.now(), what))
        self.console.print(f"{self.now():5.1f} s  [bold]{what}[/bold]", highlight=False)

    def look(self) -> Status:
        """Read the status, tell what changed, and show it."""
        status = read_status(self.prometheus)
        for tier, state in status.alerts.items():
            if state != self.states.get(tier, "inactive"):
                self.tell(f"{status.names[tier]} is {'resolved' if state == 'inactive' else state}")
            self.states[tier] = state
        self._show(status)
        return status

    def until(self, happened: Callable[[Status], bool], what: str, within: float) -> None:
        """Show the SLO until an act has happened.

        Raises:
            ServerError: it did not happen within so many seconds.
        """
        self.prometheus.wait_for(lambda: happened(self.look()), what, within)

    def _show(self, status: Status) -> None:
        if self.live:
            self.live.update(tables(status))
        elif self.now() - self.last_line >= PLAIN_LINE_EVERY:
            self.last_line = self.now()
            self.console.print(f"{self.now():5.1f} s  {line(status)}", highlight=False, soft_wrap=True)


def run_program(console: Console, shown: str, command: list[str | Path]) -> None:
    """Run a program of the set-up and show its output.

    Raises:
        ServerError: it failed.
    """
    console.print(f"$ {shown}", style="bold", highlight=False, soft_wrap=True)
    finished = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    console.print(finished.stdout.rstrip(), markup=False, highlight=False, soft_wrap=True)
    if finished.returncode:
        raise ServerError(f"`{shown}` ended with exit code {finished.returncode}")


def compile_specs(console: Console, specs: str, folder: Path) -> list[Path]:
    """Compile the specs below a folder of the project; returns the rule files."""
    generate: list[str | Path] = [sys.executable, "-m", "sloctl", "generate", specs, "-o", folder]
    run_program(console, f"sloctl generate {specs} -o {folder}", generate)
    return sorted(folder.glob("rules/prometheus/**/*.yaml"))


def check_rules(console: Console, rules: list[Path]) -> None:
    """Let Prometheus' own tool check the rule files."""
    promtool = find_program("promtool")
    run_program(console, "promtool check rules --lint=all ...", [promtool, "check", "rules", "--lint=all", *rules])


@contextmanager
def checkout_service(folder: Path) -> Iterator[str]:
    """The service that fails on demand; its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, ROOT / "examples/demo/exporter.py", str(port)]
    with running("checkout", command, folder / "checkout.log") as process, httpx.Client(timeout=5) as client:
        process.wait_for(lambda: answers(client, f"{url}/metrics"), "it serves its metrics", within=20)
        yield url


def scrape_config(url: str) -> dict[str, object]:
    """Prometheus' configuration: scrape the service each second."""
    target = {"targets": [url.removeprefix("http://")]}
    return {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "checkout", "static_configs": [target]}],
    }


def order(url: str) -> None:
    """Tell the service to fail or to heal."""
    httpx.post(url, timeout=5).raise_for_status()


def is_healthy(status: Status) -> bool:
    return status.error_ratios.get("5m") == 0 and status.objective is not None


def act(story: Story, service: str) -> None:
    """The acts, each of which must happen in time."""
    story.until(is_healthy, "the SLI is measured and without errors", within=60)
    story.tell("the service is healthy; from now on every tenth request fails")
    order(f"{service}/fail?ratio={FAILING}")
    story.until(lambda status: status.alerts.get(PATIENT) == "pending", f"{PATIENT} is pending", within=30)
    story.until(
        lambda status: status.alerts.get(PATIENT) == status.alerts.get(PAGE) == "firing",
        f"{PATIENT} and {PAGE} fire",
        within=40,
    )
    order(f"{service}/heal")
    story.tell("the alerts fire; the service is healed")
    story.until(
        lambda status: status.alerts.get(PATIENT) == status.alerts.get(PAGE) == "inactive",
        f"{PATIENT} and {PAGE} are resolved",
        within=80,
    )


def summary(story: Story) -> Table:
    """When what happened."""
    table = Table("at", "what happened", title=f"What happened to {SLO}", title_justify="left")
    for moment, what in story.events:
        table.add_row(f"{moment:.1f} s", what)
    return table


def demonstrate(console: Console, folder: Path) -> None:
    """Set up, play every act, and sum up."""
    began = time.monotonic()
    console.print(INTRODUCTION, highlight=False)
    rules = compile_specs(console, SPECS, folder)
    check_rules(console, rules)
    with checkout_service(folder) as service, prometheus(scrape_config(service), rules) as server:
        console.print(f"Prometheus listens on {server.url}, checkout on {service}", highlight=False)
        live = Live(console=console, refresh_per_second=4) if console.is_terminal else None
        story = Story(console, live, server, began)
        with live or nullcontext():
            act(story, service)
        if not live:
            console.print(tables(story.look()))
        console.print(summary(story))
    console.print(EPILOGUE.format(seconds=story.now()), highlight=False)


def end(*_: object) -> NoReturn:
    """Leave as Ctrl-C does, so that every server is stopped."""
    raise KeyboardInterrupt


def main() -> int:
    """Run the demonstration; returns the exit code."""
    signal.signal(signal.SIGTERM, end)
    console = Console()
    try:
        with tempfile.TemporaryDirectory(prefix="sloctl-demo-") as folder:
            demonstrate(console, Path(folder))
    except (ServerError, httpx.HTTPError) as error:
        console.print("The demonstration failed:", style="bold red")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    console.print("Every act happened.", style="bold green")
    return 0


if __name__ == "__main__":
    sys.exit(main())
