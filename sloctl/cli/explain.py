"""`sloctl explain`: when each alert fires, what is spent by then, and how often chance alone would fire it."""

from __future__ import annotations

import contextlib
import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloctl.cli import options
from sloctl.cli.pages import page
from sloctl.cli.report import failed, show

if TYPE_CHECKING:
    from rich.table import Table

    from sloctl.explain.detection import Detection, SloExplanation, TierExplanation
    from sloctl.model.catalogue import Catalogue
    from sloctl.model.quantities import Duration, Rate


@click.command()
@click.argument("which", required=False, default="", metavar="[SERVICE[/SLO] | CODE]")
@click.option("--specs", multiple=True, metavar="PATH", help="Specifications to read (default: slo-specs).")
@click.option("--traffic", metavar="RATE", help="Events, such as 5/min, instead of the declared traffic.")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@options.root
@click.pass_context
def explain(
    context: click.Context, which: str, specs: tuple[str, ...], traffic: str | None, form: str, root: Path | None
) -> None:
    """Say when each alert of an SLO fires, or of all SLOs; or what a finding's CODE, such as SLO101, means.

    Moments are counted from an evaluation of the alert at which the trouble begins, after clean and steady traffic.
    """
    if re.fullmatch(r"SLO\d\w*", which, re.IGNORECASE):
        click.echo(page(which))
        return
    from sloctl.compiler import load
    from sloctl.diagnostics import Diagnostics
    from sloctl.explain.detection import explained, missed

    rate = _rate(traffic) if traffic else None
    found = Diagnostics()
    catalogue = load(specs, found, root=root)
    show(found, "text")
    if failed(found, strict=False):
        context.exit(1)
    explanations = explained(catalogue, which, rate)
    if not explanations:
        raise click.UsageError(f"there is no SLO {which!r}; there are {_names(catalogue)}")
    _print(explanations, form)
    broken = list(missed(catalogue, which, rate))
    for sentence in broken:
        click.echo(f"expect: {sentence}", err=True)
    context.exit(1 if broken else 0)


def _names(catalogue: Catalogue) -> str:
    return ", ".join(f"{slo.service}/{slo.name}" for slo in catalogue.slos)


def _rate(text: str) -> Rate:
    from sloctl.language.quantities import rate

    with contextlib.suppress(ValueError):
        if (found := rate(text)).events:
            return found
    raise click.BadParameter(f"{text!r} is no rate; write 5/min, 800K/min or 8K/s", param_hint="--traffic")


def _print(explanations: list[SloExplanation], form: str) -> None:
    if form == "json":
        import orjson

        values = [_value(one) for one in explanations]
        click.echo(orjson.dumps(values, option=orjson.OPT_INDENT_2).decode())
        return
    for one in explanations:
        if form == "markdown":
            _markdown(one)
        else:
            _text(one)


_HEADS = ("tier", "above", "errors", "pending", "page", "spent", "with guard", "ends after")


def _text(one: SloExplanation) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(_title(one), style="bold", markup=False)
    for line in _facts(one):
        console.print(f"  {line}", markup=False, soft_wrap=True)
    if one.tiers:
        console.print(_table(one, Table(*_HEADS)))
    for line in _notes(one):
        console.print(f"  {line}", markup=False, soft_wrap=True)
    console.print()


def _table(one: SloExplanation, table: Table) -> Table:
    for tier in one.tiers:
        for number, row in enumerate(_rows(tier)):
            table.add_row(*row, end_section=number == len(tier.detections) - 1)
    return table


def _markdown(one: SloExplanation) -> None:
    click.echo(f"### {_title(one)}\n")
    for line in _facts(one):
        click.echo(f"- {line}")
    if one.tiers:
        click.echo(f"\n| {' | '.join(_HEADS)} |\n|{'---|' * len(_HEADS)}")
    for tier in one.tiers:
        for row in _rows(tier):
            click.echo(f"| {' | '.join(row)} |")
    click.echo()
    for line in _notes(one):
        click.echo(f"- {line}")
    click.echo()


def _title(one: SloExplanation) -> str:
    slo = one.slo
    return f"{slo.platform}/{slo.service}/{slo.name}: {slo.objective} over {slo.window}"


def _facts(one: SloExplanation) -> list[str]:
    events = f", or {_short(one.events)} bad events at {one.traffic}" if one.events is not None else ""
    return [
        f"budget: {_short(one.minutes)} minutes of a full outage{events}",
        f"every moment below may be up to {one.late} later: a scrape and the shift of all selectors",
    ]


def _rows(tier: TierExplanation) -> list[tuple[str, ...]]:
    threshold = _percent(tier.threshold) + (" of the budget" if tier.over is None else "")
    rows = [(_percent(one.ratio), *_moments(tier, one)) for one in tier.detections]
    return [(tier.name if first else "", threshold if first else "", *row) for first, row in _marked(rows)]


def _marked(rows: list[tuple[str, ...]]) -> list[tuple[bool, tuple[str, ...]]]:
    return [(number == 0, row) for number, row in enumerate(rows)]


def _moments(tier: TierExplanation, one: Detection) -> tuple[str, ...]:
    if one.pending is None:
        return ("never", "never", "", "", "")
    spent = _percent(one.spent) if one.spent is not None else ""
    guarded = "never" if tier.least is not None and one.guarded is None else _time(one.guarded)
    return (str(one.pending), str(one.page), spent, guarded, _time(one.reset))


def _time(moment: Duration | None) -> str:
    return "" if moment is None else str(moment)


def _notes(one: SloExplanation) -> list[str]:
    notes = [_chances(one, tier) for tier in one.tiers if tier.least is not None]
    if notes:
        notes.append("false alerts: by chance alone, in 30 days with 70% of the allowed errors")
    if one.left_out:
        notes.append(f"left out, because they cannot fire here: {', '.join(one.left_out)}")
    if one.traffic is None and one.tiers:
        notes.append("declare `traffic` or give --traffic to see the guard and the false alerts")
    return notes


def _chances(one: SloExplanation, tier: TierExplanation) -> str:
    """What it takes to fire at the traffic, and how often chance does."""
    least = f"{tier.name}: at {one.traffic}, {tier.least} bad events in {tier.over} are the fewest that fire"
    match tier.false_pages:
        case None:
            return f"{least}; false alerts nearly always"
        case rare if rare < Decimal("0.001"):
            return f"{least}; under 0.001 false alerts"
        case often:
            return f"{least}; {_short(often)} false alerts"


def _percent(ratio: Decimal) -> str:
    return f"{_short(ratio * 100)}%"


def _short(value: Decimal) -> str:
    """Four significant digits, for people; nothing is decided by it."""
    return f"{float(value):.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _value(one: SloExplanation) -> dict[str, Any]:
    slo = one.slo
    return {
        "platform": slo.platform,
        "service": slo.service,
        "slo": slo.name,
        "objective": str(slo.objective.ratio),
        "window": str(slo.window),
        "budget_minutes": str(one.minutes),
        "budget_events": None if one.events is None else str(one.events),
        "traffic": None if one.traffic is None else str(one.traffic),
        "late_seconds": str(one.late.seconds),
        "left_out": list(one.left_out),
        "tiers": [_tier_value(tier) for tier in one.tiers],
    }


def _tier_value(tier: TierExplanation) -> dict[str, Any]:
    return {
        "tier": tier.name,
        "severity": tier.severity,
        "threshold": str(tier.threshold),
        "evaluated_every_seconds": str(tier.every.seconds),
        "least_bad_events": tier.least,
        "false_pages_30d": None if tier.false_pages is None else str(tier.false_pages),
        "detections": [
            {
                "error_ratio": str(one.ratio),
                "pending_seconds": _seconds(one.pending),
                "page_seconds": _seconds(one.page),
                "budget_spent": None if one.spent is None else str(one.spent),
                "page_with_guard_seconds": _seconds(one.guarded),
                "reset_seconds": _seconds(one.reset),
            }
            for one in tier.detections
        ],
    }


def _seconds(moment: Duration | None) -> str | None:
    return None if moment is None else str(moment.seconds)
