"""`sloctl test`: prove in promtool's rule engine that every alert fires when it must and only then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sloctl.cli import options, signals
from sloctl.cli.files import kept_folder
from sloctl.cli.report import counted, escaped, loaded
from sloctl.errors import SloctlError

if TYPE_CHECKING:
    from sloctl.proof.compared import SeenGroups
    from sloctl.proof.promtool import Outcome, Promtool
    from sloctl.proof.proof import Proof

_DEEPEST: Final = 32


@click.command("test")
@options.paths
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Keep the tests here.")
@click.option(
    "--rules",
    type=click.Path(exists=True, path_type=Path),
    metavar="DIR",
    help="Prove these rule files (rules/prometheus) instead of what the specifications compile to now.",
)
@click.option("--each", is_flag=True, help="Prove every SLO by itself, not one of each shape.")
@click.option("-v", "--verbose", is_flag=True, help="Name the SLOs of each shape, and in what their rules differ.")
@click.option(
    "--promtool", metavar="PROGRAM", help="The promtool to use (default: that of `make prometheus`, else on PATH)."
)
@options.root
def test(
    paths: tuple[str, ...],
    keep: Path | None,
    rules: Path | None,
    each: bool,  # noqa: FBT001 - click passes flags
    verbose: bool,  # noqa: FBT001
    promtool: str | None,
    root: Path | None,
) -> None:
    """Prove every alert of the specifications (default: slo-specs) in promtool's rule engine.

    For each SLO and tier, unit tests are generated and run: silent one evaluation before the computed moment,
    firing at it with all labels and texts, silent for ever just below the threshold, ended when the trouble ends.
    """
    from sloctl.proof.promtool import Promtool
    from sloctl.proof.slos import proofs

    program = Promtool(promtool)
    catalogue = loaded(paths, root)
    claims = list(proofs(catalogue, _groups(rules) if rules else None, each=each))
    with signals.told(program.interrupt), kept_folder(keep, "sloctl-test-") as folder:
        outcomes = _run(program, [claim for claim in claims if claim.is_run], folder.resolve())
    raise click.exceptions.Exit(_report(claims, outcomes, is_verbose=verbose))


def _groups(place: Path) -> SeenGroups:
    """The groups of rule files, by name."""
    import yaml

    files = sorted(place.rglob("*.yaml")) if place.is_dir() else [place]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for file in files:
        try:
            content = _loaded(file.read_text(encoding="utf-8"))
            for group in content["groups"]:
                groups.setdefault(group["name"], []).append({**group, "rules": _rules(group)})
        except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
            why = error if type(error) is ValueError else type(error).__name__
            raise SloctlError(f"{file} is no rule file of Prometheus: {why}") from error
    if not groups:
        raise SloctlError(f"{place} holds no rule file; write them with `sloctl generate`")
    return groups


def _loaded(text: str) -> Any:
    """YAML of plain values; libyaml's events come first, because what builds values from them dies of deep brackets."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it has aliases")  # noqa: TRY004 - a few lines of them expand to anything
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
    return yaml.load(text, Loader=yaml.CSafeLoader)


def _rules(group: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The rules of a group, of the types that they have for Prometheus."""
    rules: Sequence[Mapping[str, Any]] = list(group["rules"])
    types = {"labels": dict, "annotations": dict}
    if all(isinstance(value, types.get(key, str)) for rule in rules for key, value in dict(rule).items()):
        return rules
    raise ValueError(f"a rule of {group['name']} has another form")


def _run(program: Promtool, claims: Sequence[Proof], folder: Path) -> list[Outcome]:
    from rich.console import Console
    from rich.progress import Progress

    outcomes: list[Outcome] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("proving", total=len(claims))
        try:
            for outcome in program.prove(claims, folder):
                outcomes.append(outcome)
                progress.advance(task)
        except (KeyboardInterrupt, SystemExit):
            progress.stop()
            click.echo(f"interrupted after {len(outcomes)} of {len(claims)} proofs; nothing is decided", err=True)
            raise
    return outcomes


def _report(claims: Sequence[Proof], outcomes: Sequence[Outcome], *, is_verbose: bool) -> int:
    unproven = sorted((claim for claim in claims if claim.unproven), key=lambda claim: claim.name)
    for claim in unproven:
        click.echo(f"not provable: {escaped(claim.name)}: {escaped(claim.unproven)}")
    alike = [claim for claim in claims if claim.like]
    for claim in alike if is_verbose else ():
        click.echo(f"{escaped(claim.slo)} has the rules of {escaped(claim.like)} with {escaped(claim.given)}")
    wrong = sorted((outcome for outcome in outcomes if outcome.failures), key=lambda outcome: outcome.proof.name)
    for outcome in wrong:
        for failure in outcome.failures:
            click.echo(f"{click.style('failed', fg='red')}: {escaped(outcome.proof.name)}: {escaped(failure)}")
    broken = {outcome.proof.slo for outcome in wrong}
    followers = [claim for claim in alike if claim.like in broken]
    for claim in followers:
        click.echo(
            f"{click.style('failed', fg='red')}: {escaped(claim.slo)}: as {escaped(claim.like)}, whose rules it has"
        )
    tiers = {(claim.slo, tier) for claim in claims for tier in claim.tiers}
    failed = {(outcome.proof.slo, tier) for outcome in wrong for tier in outcome.proof.tiers}
    failed |= {(claim.slo, tier) for claim in followers for tier in claim.tiers if (claim.like, tier) in failed}
    click.echo(f"{len(tiers) - len(failed)} of {len(tiers)} tiers proven, each with all of its histories.")
    if alike:
        shapes = len({claim.like for claim in alike})
        click.echo(f"{counted(len(alike), 'SLO')} proven by {counted(shapes, 'other')} of the same shape")
    click.echo(f"{len(outcomes) - len(wrong)} proven, {len(unproven)} not provable, {len(wrong)} failed")
    return 1 if wrong else 0
