"""`sloctl status --would-page`: one row an SLO with what its alerts would have sent, for the weekly look of a team."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from sloctl.cli.backtest_report import described, share
from sloctl.cli.past import Reading, cache_folder, span_of
from sloctl.cli.report import as_json, counted, escaped, loaded, plain_console
from sloctl.errors import OutsideError
from sloctl.history.backtest import Backtest, SloResult
from sloctl.live.history import Source
from sloctl.model.alerting import Guard
from sloctl.model.catalogue import Inhibition, Slo

if TYPE_CHECKING:
    from sloctl.model.quantities import Duration
    from sloctl.prometheus import PrometheusClient

_UNGUARDED = "without the guard"


@dataclass(frozen=True, slots=True)
class Row:
    """What an SLO, or one value of its split labels, would have sent."""

    result: SloResult

    @property
    def sentence(self) -> str:
        """For people: `7 pages, 2 of them worth it; 38% of the budget; without the guard 31`."""
        written, *others = self.result.policies
        pages = len(written.pages.notifications)
        parts = [counted(pages, "page") + (f", {written.pages.right} of them worth it" if pages else "")]
        if tickets := len(written.tickets.notifications):
            parts.append(f"{counted(tickets, 'ticket')}, {written.tickets.right} of them worth it")
        if self.result.spent is not None:
            parts.append(f"{share(self.result.spent)} of the budget")
        parts += [f"{other.name} {len(other.pages.notifications)}" for other in others]
        if missed := sum(all(after is None for after in told.values()) for told in written.told):
            parts.append(f"{counted(missed, 'incident')} told to nobody")
        return "; ".join(parts)

    def value(self) -> dict[str, Any]:
        """For programs."""
        written, *others = self.result.policies
        return {
            "platform": self.result.slo.platform,
            "slo": self.result.slo.id,
            "split": dict(self.result.split),
            "mode": self.result.slo.mode.value,
            "pages": len(written.pages.notifications),
            "pages_worth_it": written.pages.right,
            "tickets": len(written.tickets.notifications),
            "tickets_worth_it": written.tickets.right,
            "incidents": len(self.result.significant),
            "spent": self.result.spent,
            "pages_without_guard": next((len(other.pages.notifications) for other in others), None),
        }


def show(client: PrometheusClient, specs: tuple[str, ...], since: Duration, at: float | None, form: str) -> None:
    """Print the rows, most pages first.

    Raises:
        OutsideError: there is no series of any SLO.
    """
    catalogue, span = loaded(specs, only_errors=True, code=2), span_of(since, None, at)
    platforms = {platform.name: platform for platform in catalogue.platforms}
    slos = list(catalogue.slos)
    reading, rows = Reading(client, Source.AUTO, cache_folder(None)), list[Row]()
    with client:
        for past in reading.pasts(slos, slos, lambda slo: platforms[slo.platform], span):
            looked = Backtest(
                past.slo,
                past.history,
                span,
                shortest=past.shortest,
                inhibited=platforms[past.slo.platform].inhibition is Inhibition.RULE,
                split=past.split,
            )
            rows.append(Row(described(past, looked.result(_tried(past.slo)))))
    if not rows:
        raise OutsideError(f"{client.url} has no series of these SLOs in the last {since}")
    rows.sort(key=lambda row: (-len(row.result.written.pages.notifications), row.result.name))
    if form == "json":
        click.echo(as_json([row.value() for row in rows]))
        return
    _print(rows, since)
    known = {(row.result.slo.platform, row.result.slo.id) for row in rows}
    if lacking := [f"{slo.service}/{slo.name}" for slo in slos if (slo.platform, slo.id) not in known]:
        click.echo(f"no series of {', '.join(lacking)}")


def _tried(slo: Slo) -> dict[str, Slo]:
    """What is written, and without the guard where there is one."""
    guarded = any(tier.guard is Guard.STATISTICAL for tier in slo.tiers)
    bare = replace(slo, tiers=tuple(replace(tier, guard=Guard.NONE) for tier in slo.tiers))
    return {"": slo} | ({_UNGUARDED: bare} if guarded else {})


def _print(rows: list[Row], since: Duration) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"the last {since}", title_justify="left")
    for column in ("SLO", "mode", "what its alerts would have sent"):
        table.add_column(column)
    for row in rows:
        slo = row.result.slo
        table.add_row(Text(escaped(f"{slo.platform}/{row.result.name}")), slo.mode.value, escaped(row.sentence))
    plain_console().print(table)
