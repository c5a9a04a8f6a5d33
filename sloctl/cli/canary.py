"""`sloctl canary`: is this version safe?

Exit codes: 0 promote, 1 rollback, 4 continue, 3 the source is unavailable, 2 what was asked makes no sense.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from sloctl.cli import canary_report, options
from sloctl.cli.canary_backtest import backtest, service_named
from sloctl.cli.canary_server import approve, history, prune, serve, token, verify
from sloctl.cli.report import loaded
from sloctl.errors import OutsideError, SloctlError

if TYPE_CHECKING:
    from sloctl.canary.analysis.verdict import Verdict
    from sloctl.canary.judging import Judged
    from sloctl.canary.source.arms import Release
    from sloctl.canary.source.look import CanarySource
    from sloctl.model.catalogue import Service
    from sloctl.model.quantities import Duration
    from sloctl.prometheus import PrometheusClient

T = TypeVar("T")
ROLLBACK: Final = 1
UNAVAILABLE: Final = 3
CONTINUE: Final = 4


def _percent(text: str) -> Decimal:
    """A percentage with its sign, as a ratio."""
    try:
        number = Decimal(text.removesuffix("%")) / 100
    except InvalidOperation:
        number = Decimal("NaN")
    if not text.endswith("%") or not number.is_finite() or number < 0:
        raise ValueError(f"{text!r} is no percentage; write 0.1%")
    return number


@click.group()
def canary() -> None:
    """Judge a new version by the SLIs of its service."""


for command in (approve, backtest, history, prune, serve, token, verify):
    canary.add_command(command)


@canary.command()
@options.paths
@options.root
@click.option(
    "--service", "services", multiple=True, required=True, help="Service that is released; again for each of its group."
)
@click.option(
    "--canary", "canaries", multiple=True, required=True, metavar="HASH", help="Hash of the new version's pods."
)
@click.option(
    "--stable", "stables", multiple=True, required=True, metavar="HASH", help="Hash of the stable version's pods."
)
@options.prometheus_soon
@click.option("--step", type=click.IntRange(min=0), default=0, show_default=True, help="Step of the rollout, from 0.")
@click.option(
    "--started",
    type=options.moment,
    metavar="TIME",
    help="When the canary got traffic (default: its first sample).",
)
@click.option(
    "--step-started",
    type=options.moment,
    metavar="TIME",
    help="When the step began (default: earlier ones took their `hold`).",
)
@click.option(
    "--warm-up",
    type=options.length,
    help="How long each new pod is not judged (default: `warm_up` of the specification).",
)
@options.at
@click.option("--watch", is_flag=True, help="Look again with every scrape until there is a verdict or the deadline.")
@click.option("--timeout", type=options.length, help="With --watch: give up after so long, with exit code 4.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="github: annotations, and a summary of the job.",
)
@click.option(
    "--html",
    "file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write a page with a picture of the evidence as well.",
)
def evaluate(
    paths: tuple[str, ...],
    root: Path | None,
    services: tuple[str, ...],
    canaries: tuple[str, ...],
    stables: tuple[str, ...],
    client: PrometheusClient,
    step: int,
    started: float | None,
    step_started: float | None,
    warm_up: Duration | None,
    at: float | None,
    timeout: Duration | None,
    form: str,
    file: Path | None,
    *,
    watch: bool,
) -> None:
    """Compare a canary with the stable version: promote, rollback or continue.

    PATH names specifications (default: slo-specs). Exit code 0 promote, 1 rollback, 4 continue, 3 no source.
    """
    if not len(services) == len(canaries) == len(stables):
        raise click.UsageError("write --service, --canary and --stable equally often, in the same order")
    if timeout is not None and not watch:
        raise click.UsageError("--timeout belongs to --watch")
    # Specifications with errors are no question: exit code 2, and never rollback's 1.
    catalogue = loaded(paths, root, only_errors=True, code=2)
    now = time.time() if at is None else at

    def release(service: Service, canary_hash: str, stable_hash: str) -> Release:
        from sloctl.canary.source.arms import Release

        if service.canary is not None and step > service.canary.last_step:
            raise SloctlError(f"{service.name} has steps 0 to {service.canary.last_step}, not {step}")
        return Release(canary_hash, stable_hash, started, step, step_started, warm_up, began=now)

    found = _usage(lambda: [service_named(catalogue, name) for name in services])
    releases = _usage(lambda: list(map(release, found, canaries, stables)))
    asked = list(zip(found, releases, strict=True))
    from sloctl.canary.judging import judge_together
    from sloctl.canary.source.look import CanarySource

    with client as prometheus:
        source = CanarySource(prometheus, at=at)
        judged = _watched(asked, source, form, timeout) if watch else judge_together(asked, source)
    verdicts = [each.verdict for each in judged]
    if file is not None:
        from sloctl.canary.server.page import looks_page

        looked = [(service, each) for (service, _), each in zip(asked, judged, strict=True)]
        file.write_text(looks_page(f"Canary of {', '.join(services)}", looked), encoding="utf-8")
    if not watch or form != "text" or not sys.stdout.isatty():
        canary_report.print_verdicts(verdicts, form)
    raise click.exceptions.Exit(_exit_code(verdicts))


def _usage(make: Callable[[], T]) -> T:
    """What `make` makes; a question that makes no sense exits with 2, because 1 is rollback."""
    try:
        return make()
    except OutsideError:
        raise
    except SloctlError as error:
        raise click.UsageError(str(error)) from error


def _watched(
    asked: list[tuple[Service, Release]], source: CanarySource, form: str, timeout: Duration | None
) -> list[Judged]:
    """Look with every scrape until everything is decided or overdue, or the time is over."""
    from rich.console import Console
    from rich.live import Live

    from sloctl.canary.analysis.verdict import Decision
    from sloctl.canary.judging import judge_together
    from sloctl.canary.source.look import grid_seconds

    pause = max(1.0, min(grid_seconds(service) for service, _ in asked))
    until = math.inf if timeout is None else time.monotonic() + float(timeout.seconds)
    console = Console(stderr=form == "json")
    with Live(console=console, auto_refresh=False) as live:
        while True:
            judged = judge_together(asked, source)
            verdicts = [each.verdict for each in judged]
            if console.is_terminal:
                live.update(canary_report.table(verdicts), refresh=True)
            else:
                canary_report.print_lines(verdicts, err=form == "json")
            undecided = any(verdict.decision is Decision.CONTINUE for verdict in verdicts)
            overdue = any(verdict.clock is not None and verdict.clock.overdue for verdict in verdicts)
            if not undecided or overdue or time.monotonic() + pause > until:
                return judged
            time.sleep(pause)


def _exit_code(verdicts: list[Verdict]) -> int:
    from sloctl.canary.analysis.verdict import Decision, Reason

    decisions = {verdict.decision for verdict in verdicts}
    if Decision.ROLLBACK in decisions:
        return ROLLBACK
    if decisions == {Decision.PROMOTE}:
        return 0
    unavailable = any(verdict.reason is Reason.SOURCE_UNAVAILABLE for verdict in verdicts)
    return UNAVAILABLE if unavailable else CONTINUE


@canary.command()
@click.argument("old", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("new", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", required=True, help="Field that identifies a record.")
@click.option(
    "--numbers",
    type=options.Parsed("percentage", _percent),
    default="0.1%",
    show_default=True,
    help="Relative tolerance of numbers.",
)
@click.option("--worst", type=click.IntRange(min=0), default=10, show_default=True, help="Differences to list.")
def parity(old: Path, new: Path, key: str, numbers: Decimal, worst: int) -> None:
    """Compare the results of two versions, in .jsonl, .json or .csv.

    Numbers agree within a tolerance, everything else exactly; a missing record is a mismatch.
    Exit code 0 promote, 1 rollback, 4 continue: there is nothing to compare.
    """
    from sloctl.cli.canary_parity import compare

    found = _usage(lambda: compare(old, new, key, numbers, worst))
    canary_report.print_parity(found)
    if found.records == 0:
        raise click.exceptions.Exit(CONTINUE)
    raise click.exceptions.Exit(ROLLBACK if found.mismatches else 0)
