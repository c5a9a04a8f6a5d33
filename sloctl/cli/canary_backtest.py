"""`sloctl canary backtest`: what a canary's specification would have said of the past."""

from __future__ import annotations

import time
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloctl.cli import options
from sloctl.cli.report import as_json, escaped, loaded
from sloctl.errors import SloctlError

if TYPE_CHECKING:
    from sloctl.canary.backtest import Plan
    from sloctl.model.catalogue import Catalogue, Service
    from sloctl.model.quantities import Duration
    from sloctl.prometheus import PrometheusClient

MOST_DECISIONS = 500


@click.command()
@options.paths
@options.root
@click.option("--service", "name", required=True, help="Service whose canary is tried.")
@options.perhaps_prometheus
@click.option("--store", envvar="SLOCTL_CANARY_STORE", show_envvar=True, metavar="URL", help="Audit store of rollouts.")
@click.option("--since", type=options.length, default="7d", show_default=True, help="How far back history is read.")
@click.option("--windows", "count", type=click.IntRange(1, 1000), default=50, show_default=True, help="Windows of it.")
@click.option(
    "--errors", "rates", type=float, multiple=True, default=(1.0, 3.0), show_default=True, help="Percent, added to see."
)
@options.text_or_json
def backtest(
    paths: tuple[str, ...],
    root: Path | None,
    name: str,
    client: PrometheusClient | None,
    store: str | None,
    since: Duration,
    count: int,
    rates: tuple[float, ...],
    form: str,
) -> None:
    """What the canary of a service would have said of the past.

    With --prometheus: some pods of the stable version are taken for a canary again and again. What is rolled back then
    is a false alarm; with errors added to them, it is what would be found. Other limits, weights and holds are tried as
    well, and those that fit this service are proposed. With --store: recorded rollouts are judged anew by this
    specification.
    """
    if client is None and store is None:
        raise click.UsageError("write --prometheus, --store or both")
    service = service_named(loaded(paths, root, only_errors=True, code=2), name)
    report: dict[str, Any] = {"service": service.name}
    if client is not None:
        with client as prometheus:
            report |= _history(service, prometheus, float(since.seconds), count, rates)
    if store is not None:
        report["recorded"] = _recorded(service, store)
    if form == "json":
        click.echo(as_json(report))
        return
    for line in _lines(report):
        click.echo(escaped(line))


def service_named(catalogue: Catalogue, name: str) -> Service:
    from difflib import get_close_matches

    platform, _, own = name.rpartition("/")
    every = [(known.name, service) for known in catalogue.platforms for service in known.services]
    found = [service for where, service in every if service.name == own and platform in {"", where}]
    if len(found) > 1:
        places = ", ".join(f"{where}/{own}" for where, service in every if service.name == own)
        raise SloctlError(f"several platforms have a service {own!r}; write one of {places}")
    if not found:
        near = get_close_matches(own, [service.name for _, service in every], 1)
        raise SloctlError(f"there is no service {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    if found[0].canary is None:
        raise SloctlError(f"{found[0].place.path}: {own!r} has no `canary`; write one, see docs/canary.md")
    return found[0]


def _history(
    service: Service, prometheus: PrometheusClient, since: float, count: int, rates: tuple[float, ...]
) -> dict[str, Any]:
    from sloctl.canary.backtest import HOLDS, outcome, plans, proposed, trials, windows

    assert service.canary is not None
    own = service.canary.shortest(0)
    longest = max([own, *(hold for hold in HOLDS if 2 * hold.seconds <= since)])
    past = list(windows(service, prometheus, time.time(), since, count, longest))
    found = trials(service, past, service.canary.steps[0].weight, own)
    if not found:
        raise SloctlError(f"{service.name} had no two pods through any of {count} windows of its history")
    rate = min(rates, default=1.0)
    made = plans(service, past, rate / 100)
    best = proposed(service, made)
    return {
        "unchanged": asdict(outcome(service, found)),
        "errors": {f"{rate:g}%": asdict(outcome(service, found, rate / 100)) for rate in rates},
        "plan_errors": f"{rate:g}%",
        "plans": list(map(_plan, made)),
        "proposed": None if best is None else _plan(best),
    }


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "error_rate": _percent(plan.limit),
        "weight": _percent(plan.weight),
        "hold": str(plan.hold),
        "unchanged": asdict(plan.unchanged),
        "bad": asdict(plan.bad),
    }


def _percent(ratio: Decimal) -> str:
    return f"{float(100 * ratio):.3g}%"


def _recorded(service: Service, url: str) -> list[dict[str, Any]]:
    """The last decision with counts of each release, then and now."""
    from sloctl.canary.audit.chain import Kind, Subject
    from sloctl.canary.audit.store import Store
    from sloctl.canary.backtest import again
    from sloctl.canary.recording import recorded_counts, service_from

    store, judged = Store.open(url, create=False), []
    try:
        releases: set[tuple[str, str, str]] = set()
        for entry in store.decisions(Subject.of(service.name), limit=MOST_DECISIONS):
            release = entry.subject.platform, entry.subject.canary, entry.subject.revision
            if entry.kind != Kind.DECISION.value or not entry.evidence or release in releases:
                continue
            releases.add(release)
            [recorded] = store.find(Kind.CONFIGURATION, entry.config)
            counts, clock = recorded_counts(entry.evidence, service_from(recorded.evidence))
            now = None if clock is None else again(service, counts, clock)
            judged.append(
                {
                    "id": entry.id,
                    "canary": entry.subject.canary,
                    "revision": entry.subject.revision,
                    "then": entry.own or entry.verdict,
                    "now": None if now is None else now.decision.value,
                    "sentence": None if now is None else now.sentence,
                }
            )
    finally:
        store.close()
    return judged


def _lines(report: dict[str, Any]) -> list[str]:
    lines = []
    if "unchanged" in report:
        lines.append(f"unchanged versions, {report['unchanged']['windows']} windows: {_said(report['unchanged'])}")
        lines += [f"with {rate} errors: {_said(each)}" for rate, each in report["errors"].items()]
        lines += [
            f"error_rate: {plan['error_rate']} needs weight: {plan['weight']}, hold: {plan['hold']}; "
            f"with {report['plan_errors']} errors: {_said(plan['bad'])}"
            for plan in report["plans"]
        ]
        lines += _proposal(report["proposed"])
    for each in report.get("recorded", ()):
        now = each["now"] or "not judged: it lacks a check"
        changed = "" if each["now"] in {each["then"], None} else f" ({each['sentence']})"
        lines.append(f"{each['canary']} revision {each['revision'] or '-'}: {each['then']}, now {now}{changed}")
    if "recorded" in report:
        differ = sum(each["now"] not in {each["then"], None} for each in report["recorded"])
        back = sum(each["now"] == "rollback" for each in report["recorded"])
        lines.append(
            f"recorded rollouts: {len(report['recorded'])}, of them {back} rolled back now, {differ} decided otherwise"
        )
    return lines


def _proposal(plan: dict[str, Any] | None) -> list[str]:
    """What to write, ready to be pasted."""
    if plan is None:
        return ["no limit, weight and hold that were tried promote unchanged versions: they have too few requests"]
    return [
        "proposed:",
        f"  steps: [{{weight: {plan['weight']}, hold: {plan['hold']}}}, {{weight: 100%}}]",
        f"  error_rate: {plan['error_rate']}",
    ]


def _said(outcome: dict[str, Any]) -> str:
    total = outcome["windows"]
    said = [f"{100 * outcome[name] / total:.3g}% {name.replace('_', ' ')}" for name in ("promoted", "rolled_back")]
    if outcome["seconds"] is not None:
        said.append(f"median {outcome['seconds']:.0f} s")
    if outcome["why"]:
        said.append(f"the others mostly {outcome['why']}")
    return ", ".join(said)
