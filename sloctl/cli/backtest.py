"""`sloctl backtest`: what an alert policy would have sent in the past, before it goes live."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sloctl.cli import options
from sloctl.cli.diff import of_revision
from sloctl.cli.past import Reading, cache_folder, span_of
from sloctl.cli.report import as_json, loaded, no_such_slo, report
from sloctl.errors import OutsideError, SloctlError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sloctl.history.backtest import Backtest, KnownIncident, Limits, SloResult, Span
    from sloctl.live.history import Past
    from sloctl.model.catalogue import Catalogue, Platform, Slo
    from sloctl.model.quantities import Duration
    from sloctl.prometheus import PrometheusClient

BEFORE: Final = "before"
"""The name under which what `--against` holds is tried."""


def _share(text: str) -> float:
    from sloctl.language.quantities import percentage

    try:
        return float(percentage(text))
    except ValueError:
        raise ValueError(f"{text!r} is no percentage; write 80%") from None


def _often(text: str) -> tuple[int, Duration]:
    from sloctl.language.quantities import duration

    count, _, length = text.partition("/")
    try:
        return int(count), duration(length)
    except ValueError:
        raise ValueError(f"{text!r} is no count in a time; write 5/30d") from None


share = options.Parsed("percentage", _share)
often = options.Parsed("count/duration", _often)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is replayed.

    Attributes:
        policies: by the name under which their tiers are tried, SLOs by platform and ID.
    """

    catalogue: Catalogue
    policies: dict[str, dict[tuple[str, str], Slo]] = field(default_factory=dict)
    significant: float = 0.02
    known: tuple[KnownIncident, ...] = ()

    def platform(self, slo: Slo) -> Platform:
        """The platform of an SLO."""
        return next(one for one in self.catalogue.platforms if one.name == slo.platform)

    def tried(self, slo: Slo) -> dict[str, Slo]:
        """The SLO under each policy that is there for it and counts in the same tiles; as written by the empty name."""
        others = {name: slos.get((slo.platform, slo.id)) for name, slos in self.policies.items()}
        tiles = slo.sampling.resolution, slo.split_labels
        return {"": slo} | {
            name: other
            for name, other in others.items()
            if other is not None and (other.sampling.resolution, other.split_labels) == tiles
        }

    def changed(self, slo: Slo) -> tuple[str, ...]:
        """What a comparison with another revision cannot show."""
        if BEFORE not in self.policies:
            return ()
        before = self.tried(slo).get(BEFORE)
        if before is None:
            return ("it is new, or counted in other tiles: there is nothing to compare it with",)
        counted = [(one.indicator, one.timeslices, one.exclude_when) for one in (slo, before)]
        if counted[0] == counted[1]:
            return ()
        return ("it counts something else than before: both are replayed over what it counts now",)

    def of(self, past: Past, span: Span) -> Backtest:
        """How the past of one SLO is looked at."""
        from sloctl.history.backtest import Backtest
        from sloctl.model.catalogue import Inhibition

        return Backtest(
            past.slo,
            past.history,
            span,
            self.significant,
            self.known,
            past.phases,
            past.shortest,
            inhibited=self.platform(past.slo).inhibition is Inhibition.RULE,
            split=past.split,
        )


@click.command()
@options.paths
@options.prometheus_slowly
@options.root
@click.option("--since", type=options.length, default="90d", show_default=True, help="How far back the past counts.")
@click.option("--start", type=options.moment, metavar="TIME", help="From this moment instead (RFC 3339, UTC).")
@click.option("--end", type=options.moment, metavar="TIME", help="Until this moment instead of now.")
@click.option("--only", default="", metavar="SERVICE[/SLO]", help="Only these SLOs.")
@click.option("--against", metavar="FOLDER|REVISION", help="Replay what is written there as well; show what differs.")
@click.option("--policy", "policies", multiple=True, metavar="NAME", help="Try this policy of the Platform as well.")
@click.option(
    "--incidents",
    "known",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Incidents that were worth a page: CSV, JSON or PagerDuty's export.",
)
@click.option(
    "--significant",
    type=share,
    default="2%",
    show_default=True,
    help="What of a window's budget an incident spends that is worth a page.",
)
@click.option("--suggest", is_flag=True, help="Suggest an objective and tiers that the past recommends, as YAML.")
@click.option(
    "--source",
    type=click.Choice(["auto", "tiles", "samples", "query"]),
    default="auto",
    show_default=True,
    help="Recorded tiles, raw samples counted here, or the expression of a tile asked of the server.",
)
@click.option("--cache", metavar="DIR|none", help="Where answers are kept (default: ~/.cache/sloctl/history).")
@click.option("--most-pages", type=often, metavar="COUNT/TIME", help="Fail where an SLO sends more, such as 5/30d.")
@click.option("--least-precision", type=share, metavar="SHARE", help="Fail where fewer notifications were worth it.")
@click.option("--least-recall", type=share, metavar="SHARE", help="Fail where fewer incidents were told.")
@click.option("--detect-within", type=options.length, metavar="TIME", help="Fail where the median page came later.")
@click.option(
    "--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw the past of the one SLO, as SVG, here."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json", "csv"]),
    default="text",
    show_default=True,
    help="How the result is shown; `markdown` is for a pull request.",
)
def backtest(
    paths: tuple[str, ...],
    client: PrometheusClient,
    root: Path | None,
    since: Duration,
    start: float | None,
    end: float | None,
    only: str,
    against: str | None,
    policies: tuple[str, ...],
    known: Path | None,
    significant: float,
    source: str,
    cache: str | None,
    most_pages: tuple[int, Duration] | None,
    least_precision: float | None,
    least_recall: float | None,
    detect_within: Duration | None,
    picture: Path | None,
    form: str,
    *,
    suggest: bool,
) -> None:
    """Replay alert tiers over the past: what would have paged, what of that was worth it, what was missed.

    Tiles that rules recorded are read where they reach back, raw samples before that; no rule has to be loaded.
    An incident is significant where it spent --significant of a window's budget beyond what its time allowed, or
    where --incidents lists it.
    """
    from sloctl.cli import backtest_report
    from sloctl.history.backtest import Limits
    from sloctl.live.history import Source

    catalogue = loaded(paths, root, only_errors=True, code=2)
    chosen = [slo for slo in catalogue.slos if only in {"", slo.service, f"{slo.service}/{slo.name}"}]
    if not chosen:
        raise no_such_slo(only, catalogue.slos)
    incidents = _incidents(known, catalogue.slos)
    asked = Asked(catalogue, _policies(paths, root, policies, against), significant, incidents)
    span = span_of(since, start, end)
    reading = Reading(client, Source(source), cache_folder(cache))
    results: list[SloResult] = []
    drawn: list[str] = []
    suggested: dict[str, str] = {}
    tried = [one for slo in chosen for one in asked.tried(slo).values()]
    with client:
        for past in reading.pasts(chosen, tried, asked.platform, span):
            looked = asked.of(past, span)
            found = looked.result(asked.tried(past.slo))
            results.append(backtest_report.described(past, found, asked.changed(past.slo)))
            if suggest:
                suggested[results[-1].name] = backtest_report.suggestion(looked, results[-1])
            if picture is not None:
                from sloctl.history.picture import picture_of

                drawn.append(picture_of(looked, results[-1]))
    if picture is not None:
        _draw(picture, drawn)
    made = backtest_report.Report(span, tuple(results), significant, client.url, suggested, against)
    click.echo(as_json(made.value()) if form == "json" else made.text(form), nl=form == "json")
    _fail_without_series(chosen, results, client.url, span)
    limits = Limits(most_pages, least_precision, least_recall, detect_within)
    _fail_beyond(limits, results, span)


def _policies(
    paths: tuple[str, ...], root: Path | None, names: tuple[str, ...], against: str | None
) -> dict[str, dict[tuple[str, str], Slo]]:
    """What is tried beside what is written."""
    from sloctl.compiler import load
    from sloctl.diagnostics import Diagnostics

    found: dict[str, Iterable[Slo]] = {}
    for name in dict.fromkeys(names):
        errors = Diagnostics()
        tried = load(paths, errors, root=root, policy=name)
        report(errors, "text", only_errors=True, code=2)
        # an SLO whose Platform has no such policy is not tried
        found[name] = [slo for slo in tried.slos if slo.tiers]
        if not found[name]:
            raise click.UsageError(f"no Platform has a policy `{name}`")
    if against is not None:
        folder = Path(against).exists()
        before = loaded([against], only_errors=True) if folder else of_revision(against, (paths or ("slo-specs",))[0])
        found[BEFORE] = before.slos
    return {name: {(slo.platform, slo.id): slo for slo in slos} for name, slos in found.items()}


def _incidents(path: Path | None, slos: Iterable[Slo]) -> tuple[KnownIncident, ...]:
    """What a file lists; services that no specification has are named."""
    from sloctl.cli.incidents import read_incidents

    found = () if path is None else read_incidents(path)
    unknown = {service for one in found for service in one.services} - {slo.service for slo in slos}
    if unknown:
        click.echo(f"no specification has these services of the incidents: {', '.join(sorted(unknown))}", err=True)
    return found


def _draw(path: Path, drawn: list[str]) -> None:
    if len(drawn) != 1:
        raise click.UsageError(f"--picture draws one SLO, and there are {len(drawn)}; name one with --only")
    try:
        path.write_text(drawn[0], encoding="utf-8")
    except OSError as error:
        raise OutsideError(f"{path} cannot be written: {error.strerror}") from error


def _fail_without_series(slos: list[Slo], results: list[SloResult], url: str, span: Span) -> None:
    from sloctl.cli.backtest_report import shown_time
    from sloctl.promql.selectors import selector_text

    known = {(result.slo.platform, result.slo.id) for result in results}
    lacking = []
    for slo in slos:
        if (slo.platform, slo.id) not in known:
            reads = [selector_text(selector) for selector in slo.indicator.reads().selectors]
            lacking.append(f"{slo.service}/{slo.name} ({', '.join(reads) or 'its expression'})")
    if lacking:
        times = f"{shown_time(span.start)} to {shown_time(span.end)}"
        raise OutsideError(f"{url} has no series in {times} of {'; '.join(lacking)}")


def _fail_beyond(limits: Limits, results: list[SloResult], span: Span) -> None:
    missed = [sentence for result in results for sentence in limits.missed(result, span)]
    if missed:
        raise SloctlError("; ".join(missed))
