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
from sloctl.cli.report import as_json, loaded, no_such_slo

if TYPE_CHECKING:
    from sloctl.explain.detection import Detection, SloExplanation, TierExplanation
    from sloctl.model.quantities import Duration, Rate


@click.command()
@click.argument("which", required=False, default="", metavar="[SERVICE[/SLO] | CODE]")
@click.option("--specs", multiple=True, metavar="PATH", help="Specifications to read (default: slo-specs).")
@click.option("--traffic", metavar="RATE", help="Events, such as 5/min, instead of the declared traffic.")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@options.root
def explain(which: str, specs: tuple[str, ...], traffic: str | None, form: str, root: Path | None) -> None:
    """Say when each alert of an SLO fires, or of all SLOs; or what a finding's CODE, such as SLO101, means.

    Moments are counted from an evaluation of the alert at which the trouble begins, after clean and steady traffic.
    """
    if re.fullmatch(r"SLO\d\w*", which, re.IGNORECASE):
        click.echo(page(which))
        return
    from sloctl.explain.detection import explained, missed

    rate = _rate(traffic) if traffic else None
    catalogue = loaded(specs, root)
    explanations = explained(catalogue, which, rate)
    if not explanations:
        raise no_such_slo(which, catalogue.slos)
    _print(explanations, form)
    broken = list(missed(catalogue, which, rate))
    for sentence in broken:
        click.echo(f"expect: {sentence}", err=True)
    raise click.exceptions.Exit(1 if broken else 0)


def _rate(text: str) -> Rate:
    from sloctl.language.quantities import rate

    with contextlib.suppress(ValueError):
        if (found := rate(text)).events:
            return found
    raise click.BadParameter(f"{text!r} is no rate; write 5/min, 800K/min or 8K/s", param_hint="--traffic")


def _print(explanations: list[SloExplanation], form: str) -> None:
    if form == "json":
        click.echo(as_json([_value(explanation) for explanation in explanations]))
        return
    for explanation in explanations:
        (_markdown if form == "markdown" else _text)(explanation)


_HEADS = ("tier", "above", "errors", "pending", "page", "spent", "with guard", "ends after")


def _text(explanation: SloExplanation) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(_title(explanation), style="bold", markup=False)
    for line in _facts(explanation):
        console.print(f"  {line}", markup=False, soft_wrap=True)
    if explanation.tiers:
        table = Table(*_HEADS)
        for tier in explanation.tiers:
            for row in _rows(tier):
                table.add_row(*row)
            table.add_section()
        console.print(table)
    for line in _notes(explanation):
        console.print(f"  {line}", markup=False, soft_wrap=True)
    console.print()


def _markdown(explanation: SloExplanation) -> None:
    click.echo(f"### {_title(explanation)}\n")
    for line in _facts(explanation):
        click.echo(f"- {line}")
    if explanation.tiers:
        click.echo(f"\n| {' | '.join(_HEADS)} |\n|{'---|' * len(_HEADS)}")
    for tier in explanation.tiers:
        for row in _rows(tier):
            click.echo(f"| {' | '.join(row)} |")
    click.echo()
    for line in _notes(explanation):
        click.echo(f"- {line}")
    click.echo()


def _title(explanation: SloExplanation) -> str:
    slo = explanation.slo
    return f"{slo.platform}/{slo.service}/{slo.name}: {slo.objective} over {slo.window}"


def _facts(explanation: SloExplanation) -> list[str]:
    events = explanation.events
    or_events = f", or {_short(events)} bad events at {explanation.traffic}" if events is not None else ""
    return [
        f"budget: {_short(explanation.minutes)} minutes of a full outage{or_events}",
        f"every moment below may be up to {explanation.late} later: a scrape and the shift of all selectors",
    ]


def _rows(tier: TierExplanation) -> list[tuple[str, ...]]:
    """One row per error ratio; the first one also names the tier and its threshold."""
    first = tier.name, _percent(tier.threshold) + (" of the budget" if tier.tier.over is None else "")
    return [
        (*(first if number == 0 else ("", "")), _percent(detection.ratio), *_moments(tier, detection))
        for number, detection in enumerate(tier.detections)
    ]


def _moments(tier: TierExplanation, detection: Detection) -> tuple[str, ...]:
    if detection.pending is None:
        return ("never", "never", "", "", "")
    spent = _percent(detection.spent) if detection.spent is not None else ""
    never = tier.least is not None and detection.guarded is None
    times = (detection.pending, detection.page, detection.guarded, detection.reset)
    pending, page, guarded, reset = ("" if time is None else str(time) for time in times)
    return pending, page, spent, "never" if never else guarded, reset


def _notes(explanation: SloExplanation) -> list[str]:
    notes = [_chances(explanation, tier) for tier in explanation.tiers if tier.least is not None]
    if notes:
        notes.append("false alerts: by chance alone, in 30 days with 70% of the allowed errors")
    if explanation.left_out:
        notes.append(f"left out, because they cannot fire here: {', '.join(explanation.left_out)}")
    if explanation.traffic is None and explanation.tiers:
        notes.append("declare `traffic` or give --traffic to see the guard and the false alerts")
    return notes


def _chances(explanation: SloExplanation, tier: TierExplanation) -> str:
    """What it takes to fire at the traffic, and how often chance does."""
    least = (
        f"{tier.name}: at {explanation.traffic}, {tier.least} bad events in {tier.tier.over} are the fewest that fire"
    )
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


def _value(explanation: SloExplanation) -> dict[str, Any]:
    slo = explanation.slo
    return {
        "platform": slo.platform,
        "service": slo.service,
        "slo": slo.name,
        "objective": str(slo.objective.ratio),
        "window": str(slo.window),
        "budget_minutes": str(explanation.minutes),
        "budget_events": _exact(explanation.events),
        "traffic": _exact(explanation.traffic),
        "late_seconds": str(explanation.late.seconds),
        "left_out": list(explanation.left_out),
        "tiers": [_tier_value(tier) for tier in explanation.tiers],
    }


def _tier_value(tier: TierExplanation) -> dict[str, Any]:
    return {
        "tier": tier.name,
        "severity": tier.tier.severity.value,
        "threshold": str(tier.threshold),
        "evaluated_every_seconds": str(tier.every.seconds),
        "least_bad_events": tier.least,
        "false_pages_30d": _exact(tier.false_pages),
        "detections": [
            {
                "error_ratio": str(detection.ratio),
                "pending_seconds": _seconds(detection.pending),
                "page_seconds": _seconds(detection.page),
                "budget_spent": _exact(detection.spent),
                "page_with_guard_seconds": _seconds(detection.guarded),
                "reset_seconds": _seconds(detection.reset),
            }
            for detection in tier.detections
        ],
    }


def _exact(value: Decimal | Rate | None) -> str | None:
    return None if value is None else str(value)


def _seconds(moment: Duration | None) -> str | None:
    return None if moment is None else str(moment.seconds)
