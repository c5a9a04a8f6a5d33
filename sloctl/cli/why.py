"""`sloctl why`: the part of the traffic that carries a burn."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloctl.cli import options
from sloctl.cli.report import as_json, escaped, loaded, no_such_slo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sloctl.history.scan import Part
    from sloctl.live.why import Answer, Burn
    from sloctl.model.catalogue import Catalogue, Slo
    from sloctl.prometheus import PrometheusClient


@click.command()
@click.argument("which", metavar="SERVICE[/SLO]|ID")
@click.option("--specs", multiple=True, metavar="PATH", help="Specifications to read (default: slo-specs).")
@options.prometheus
@options.at
@click.option(
    "--from",
    "start",
    type=options.moment,
    metavar="TIME",
    help="When it began (default: when the burn in progress began).",
)
@click.option("--to", "end", type=options.moment, metavar="TIME", help="When it ended (default: --at).")
@click.option("--without", multiple=True, metavar="LABEL", help="Do not look at this label; may be repeated.")
@click.option("--depth", type=click.IntRange(1, 3), default=2, show_default=True, help="So many labels together.")
@click.option(
    "--max-series", type=click.IntRange(1), default=20_000, show_default=True, help="Above it, one label at a time."
)
@options.root
@click.option("--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True)
def why(
    which: str,
    specs: tuple[str, ...],
    client: PrometheusClient,
    at: float | None,
    start: float | None,
    end: float | None,
    without: tuple[str, ...],
    depth: int,
    max_series: int,
    root: Path | None,
    form: str,
) -> None:
    """Show which part of the traffic carries the errors of an SLO, since when, and what else happened then.

    ID is the label `slo` of an alert. Without --from it is the burn that is in progress. All labels of the raw series
    are looked at, alone and in pairs.
    """
    from sloctl.live.why import why as answered

    catalogue = loaded(specs, root, only_errors=True)
    chosen = [slo for slo in catalogue.slos if which in {slo.service, slo.id, f"{slo.service}/{slo.name}"}]
    if not chosen:
        raise no_such_slo(which, catalogue.slos)
    moment = time.time() if at is None else at
    with client:
        slo, burn = _named(chosen, start, end, moment) or _in_progress(chosen, client, moment)
        if burn is None:
            click.echo(_calm(chosen, client, moment))
            return
        answer = answered(catalogue, slo, client, burn, without=without, depth=depth, most_series=max_series)
    if form == "json":
        click.echo(as_json(_value(answer)))
    else:
        click.echo("\n".join(_lines(answer, catalogue, markdown=form == "markdown")))


def _named(chosen: list[Slo], start: float | None, end: float | None, at: float) -> tuple[Slo, Burn] | None:
    """The time that somebody gave."""
    from sloctl.live.why import Burn

    if start is None:
        return None
    last = at if end is None else end
    if start >= last:
        raise click.BadParameter("it is not before the end", param_hint="--from")
    return chosen[0], Burn(start, last)


def _in_progress(chosen: list[Slo], client: PrometheusClient, at: float) -> tuple[Slo, Burn | None]:
    """The SLO that burns most, and since when."""
    from sloctl.live.why import burning

    found = [(slo, burn) for slo in chosen if (burn := burning(slo, client, at)) is not None]
    return max(found, key=lambda each: each[1].spent or 0, default=(chosen[0], None))


def _calm(chosen: list[Slo], client: PrometheusClient, at: float) -> str:
    """What to look at where nothing burns."""
    from sloctl.live.why import worst_before

    names = ", ".join(f"{slo.service}/{slo.name}" for slo in chosen)
    worst = [(slo, found) for slo in chosen if (found := worst_before(slo, client, at)) is not None]
    if not worst:
        return f"{names}: nothing burns now, and nothing did in the last week."
    slo, one = max(worst, key=lambda each: each[1].spent)
    begin, end = _time(one.start / 1000), _time(one.end / 1000)
    return (
        f"{names}: nothing burns now. The worst of the last week spent {one.spent:.1%} of the budget of "
        f"{slo.service}/{slo.name}; look at it with --from {begin} --to {end}"
    )


def _lines(answer: Answer, catalogue: Catalogue, *, markdown: bool) -> Iterator[str]:
    bad, total, bad_before, total_before = answer.counts
    slo, code = answer.slo, "`" if markdown else ""
    if total <= 0:
        yield f"{slo.service}/{slo.name}: its raw series have no events since {_time(answer.burn.start)}."
        return
    before = f", {bad_before / total_before:.3%} before" if total_before > 0 else ", and there was nothing before"
    since = f"since {_time(answer.burn.start)} ({answer.burn.length})"
    yield f"{slo.service}/{slo.name} {since}: {bad:,.0f} of {total:,.0f} events bad, {bad / total:.2%}{before}."
    if not answer.parts:
        yield f"No part of the {answer.series:,} series stands out: all are hit alike."
    for number, part in enumerate(answer.parts, start=1):
        yield f"{number}. {_part(part, code)}"
        yield from (f"   which is also {code}{_labels(other)}{code}" for other in part.also)
    yield from _beside(answer, catalogue, code)


def _part(part: Part, code: str) -> str:
    of_traffic = f"{part.of_traffic:.1%} of the traffic"
    counts = f"{part.bad:,.0f} of its {part.total:,.0f} events bad"
    return f"{min(part.of_excess, 1):.0%} of the excess is {code}{_labels(part.labels)}{code} ({of_traffic}; {counts})"


def _beside(answer: Answer, catalogue: Catalogue, code: str) -> Iterator[str]:
    """What else is known, a line each."""
    if answer.by_one_label:
        yield f"{answer.series:,} series are too many to look at pairs: each label was looked at by itself."
    if answer.only_split:
        yield "The SLI is a query, so only the labels of `by` are known."
    if answer.new:
        shown = ", ".join(f"{code}{_labels(each)}{code}" for each in answer.new[:5])
        more = f" and {len(answer.new) - 5} more" if len(answer.new) > 5 else ""
        yield f"New since then: {shown}{more}"
    for labels, moment in answer.deploys[:3]:
        yield f"Deployed at {_time(moment)}: {code}{_labels(labels)}{code}"
    if answer.restarted:
        shown = "; ".join(f"{code}{_labels(each)}{code}" for each in answer.restarted[:3])
        yield f"Restarted: {shown}" + (f" and {len(answer.restarted) - 3} more" if len(answer.restarted) > 3 else "")
    if answer.others:
        yield "Also burning since: " + ", ".join(f"{name} {_time(moment)}" for name, moment in answer.others[:5])
    platform = next(each for each in catalogue.platforms if each.name == answer.slo.platform)
    for trace in answer.traces:
        yield f"Trace: {(platform.dashboards.traces or '').replace('$trace_id', trace)}"


def _labels(labels: Mapping[str, str]) -> str:
    return escaped(", ".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__"))


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _value(answer: Answer) -> dict[str, Any]:
    bad, total, bad_before, total_before = answer.counts
    return {
        "slo": answer.slo.id,
        "platform": answer.slo.platform,
        "start": answer.burn.start,
        "end": answer.burn.end,
        "bad": bad,
        "total": total,
        "bad_before": bad_before,
        "total_before": total_before,
        "series": answer.series,
        "by_one_label": answer.by_one_label,
        "parts": [
            {
                "labels": dict(part.labels),
                "also": [dict(other) for other in part.also],
                "of_excess": part.of_excess,
                "of_traffic": part.of_traffic,
                "bad": part.bad,
                "total": part.total,
            }
            for part in answer.parts
        ],
        "new": [dict(each) for each in answer.new],
        "deploys": [{"labels": dict(labels), "at": moment} for labels, moment in answer.deploys],
        "restarted": [dict(each) for each in answer.restarted],
        "others": [{"slo": name, "since": moment} for name, moment in answer.others],
        "traces": answer.traces,
    }
