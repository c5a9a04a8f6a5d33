"""`sloctl test`: prove in promtool's rule engine that every alert fires when it must and only then."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sloctl.cli import options, signals
from sloctl.cli.files import kept_folder
from sloctl.cli.report import as_json, counted, escaped, report
from sloctl.errors import SloctlError

if TYPE_CHECKING:
    from sloctl.model.catalogue import Catalogue
    from sloctl.proof.compared import SeenGroups
    from sloctl.proof.known import Known
    from sloctl.proof.promtool import Promtool, ProofOutcome
    from sloctl.proof.proof import Proof

_DEEPEST: Final = 32
_DEPENDENCIES: Final = ("promql_parser", "pydantic", "PyYAML", "rstr", "tzdata")
"""What compiles and proves beside sloctl's own sources."""


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
@click.option("--no-cache", is_flag=True, help="Prove anew what an earlier run proved.")
@options.text_or_json
@options.root
def test(
    paths: tuple[str, ...],
    keep: Path | None,
    rules: Path | None,
    promtool: str | None,
    root: Path | None,
    form: str,
    *,
    each: bool,
    verbose: bool,
    no_cache: bool,
) -> None:
    """Prove every alert of the specifications (default: slo-specs) in promtool's rule engine.

    For each SLO and tier, unit tests are generated and run: firing in an outage at the computed moment with all labels
    and texts, ended when the trouble ends, and right at each edge: just below and just above its threshold, what chance
    explains, `min_events` and `min_bad`. One SLO of each shape is proven; the rules of the others are compared with its
    own, and may differ from them in names and in what follows from an objective or a bound. What was proven is kept
    in ~/.cache/sloctl, so that the next run proves what has changed.
    """
    from sloctl.proof.known import Known, cache_folder
    from sloctl.proof.promtool import Promtool
    from sloctl.proof.slos import proofs

    program = Promtool(promtool)
    known = Known(None if no_cache or keep else cache_folder())
    key = _run_key(program, paths, rules, root, [str(each), str(verbose), form])
    if key and (said := known.text(key)) is not None:
        click.echo(said)
        click.echo("nothing has changed since this was proven; --no-cache proves it anew", err=True)
        return
    findings, catalogue = _catalogue(paths, root)
    claims = list(proofs(catalogue, _groups(rules) if rules else None, each=each))
    run = [claim for claim in claims if claim.is_run]
    with signals.told(program.interrupt), kept_folder(keep, "sloctl-test-") as folder:
        outcomes = _run(program, run, folder.resolve(), known)
    result = _Result.of(claims, outcomes)
    said = as_json(result.value()) if form == "json" else "\n".join(result.lines(is_verbose=verbose))
    click.echo(said)
    if key and not result.wrong and not findings:
        known.keep(key, said)
    known.forget_unused()
    raise click.exceptions.Exit(1 if result.wrong else 0)


def _catalogue(paths: tuple[str, ...], root: Path | None) -> tuple[bool, Catalogue]:
    """Whether anything was found in the specifications, and what they mean."""
    from sloctl.compiler import load
    from sloctl.diagnostics import Diagnostics

    found = Diagnostics()
    catalogue = load(paths, found, root=root)
    report(found, "text")
    return any(True for _ in found), catalogue


def _run_key(
    program: Promtool, paths: tuple[str, ...], rules: Path | None, root: Path | None, options_: Sequence[str]
) -> str:
    """The digest of all that a run's outcome follows from; empty where that cannot be told.

    The day is part of it, because one finding looks at the calendar.
    """
    from importlib.metadata import version

    from sloctl.diagnostics import Diagnostics
    from sloctl.language.discovery import discover
    from sloctl.proof.known import digest

    found, package = Diagnostics(), Path(__file__).parent.parent
    selection = discover(paths or ("slo-specs",), found, root=root)
    if any(True for _ in found) or "-" in selection.chosen:
        return ""
    files = [*selection.chosen, *selection.shared, *map(str, _rule_files(rules) if rules else ())]
    sources = sorted(package.rglob("*.py"))
    parts: list[str | bytes] = [program.identity, sys.version, datetime.now(UTC).date().isoformat(), *options_]
    parts += [f"{name} {version(name)}" for name in _DEPENDENCIES]
    try:
        for path in (*sources, *map(Path, files)):
            parts += [str(path), path.read_bytes()]
    except OSError:
        return ""  # whoever reads it says why
    return digest([*parts, *paths, str(root), str(rules)])


def _rule_files(place: Path) -> list[Path]:
    return sorted(place.rglob("*.yaml")) if place.is_dir() else [place]


def _groups(place: Path) -> SeenGroups:
    """The groups of rule files, by name."""
    import yaml

    groups: dict[str, list[Mapping[str, Any]]] = {}
    for file in _rule_files(place):
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


def _run(program: Promtool, claims: Sequence[Proof], folder: Path, known: Known) -> list[ProofOutcome]:
    """The outcome of each claim; of those that an earlier run proved without running them."""
    from rich.console import Console
    from rich.progress import Progress

    from sloctl.proof.promtool import ProofOutcome

    keys = {id(claim): program.key(claim) for claim in claims} if known.folder else {}
    outcomes = [ProofOutcome(claim) for claim in claims if keys and known.text(keys[id(claim)]) is not None]
    proven = {id(outcome.proof) for outcome in outcomes}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("proving", total=len(claims), completed=len(outcomes))
        try:
            for outcome in program.prove([claim for claim in claims if id(claim) not in proven], folder):
                outcomes.append(outcome)
                progress.advance(task)
                if keys and not outcome.failures:
                    known.keep(keys[id(outcome.proof)])
        except (KeyboardInterrupt, SystemExit):
            progress.stop()
            click.echo(f"interrupted after {len(outcomes)} of {len(claims)} proofs; nothing is decided", err=True)
            raise
    return outcomes


@dataclass(frozen=True, slots=True)
class _Result:
    """What a run decided, by claim and by tier.

    Attributes:
        followers: claims of SLOs that have the rules of one whose proofs failed.
        tiers: every tier, as `platform/service/slo` and its name; `failed` are those with a failed proof.
    """

    claims: Sequence[Proof]
    outcomes: Sequence[ProofOutcome]
    wrong: Sequence[ProofOutcome]
    followers: Sequence[Proof]
    tiers: Set[tuple[str, str]]
    failed: Set[tuple[str, str]]

    @classmethod
    def of(cls, claims: Sequence[Proof], outcomes: Sequence[ProofOutcome]) -> _Result:
        """Of each claim, and of each that was run its outcome."""
        wrong = sorted((outcome for outcome in outcomes if outcome.failures), key=lambda outcome: outcome.proof.name)
        broken = {outcome.proof.slo for outcome in wrong}
        followers = [claim for claim in claims if claim.like in broken]
        failed = {(outcome.proof.slo, tier) for outcome in wrong for tier in outcome.proof.tiers}
        failed |= {(claim.slo, tier) for claim in followers for tier in claim.tiers if (claim.like, tier) in failed}
        tiers = {(claim.slo, tier) for claim in claims for tier in claim.tiers}
        return cls(claims, outcomes, wrong, followers, tiers, failed)

    @property
    def unproven(self) -> list[Proof]:
        """Claims for which no history is known."""
        return sorted((claim for claim in self.claims if claim.unproven), key=lambda claim: claim.name)

    @property
    def alike(self) -> list[Proof]:
        """Claims that other SLOs of the same shape prove."""
        return [claim for claim in self.claims if claim.like]

    def lines(self, *, is_verbose: bool) -> Iterator[str]:
        """As people read it."""
        yield from (f"not provable: {escaped(claim.name)}: {escaped(claim.unproven)}" for claim in self.unproven)
        if is_verbose:
            for claim in self.alike:
                yield f"{escaped(claim.slo)}: the rules of {escaped(claim.like)} with {escaped(claim.given)}"
        word = click.style("failed", fg="red")
        for outcome in self.wrong:
            yield from (f"{word}: {escaped(outcome.proof.name)}: {escaped(failure)}" for failure in outcome.failures)
        for claim in self.followers:
            yield f"{word}: {escaped(claim.slo)}: it has the rules of {escaped(claim.like)}"
        tiers = len(self.tiers)
        yield f"{tiers - len(self.failed)} of {tiers} tiers proven, each with all of its histories."
        if self.alike:
            shapes = len({claim.like for claim in self.alike})
            yield f"{counted(len(self.alike), 'SLO')} proven by {counted(shapes, 'other')} of the same shape"
        wrong, unproven = len(self.wrong), len(self.unproven)
        yield f"{len(self.outcomes) - wrong} proven, {unproven} not provable, {wrong} failed"

    def value(self) -> dict[str, Any]:
        """The same for programs."""
        failures = {id(outcome.proof): outcome.failures for outcome in self.wrong}
        return {
            "tiers": {"proven": len(self.tiers) - len(self.failed), "all": len(self.tiers)},
            "proofs": {
                "proven": len(self.outcomes) - len(self.wrong),
                "not_provable": len(self.unproven),
                "failed": len(self.wrong),
                "of_known_shape": len(self.alike),
            },
            "claims": [
                self._claim(claim, failures.get(id(claim), ()))
                for claim in sorted(self.claims, key=lambda claim: claim.name)
            ],
        }

    def _claim(self, claim: Proof, failures: Sequence[str]) -> dict[str, Any]:
        told = list(map(escaped, failures))
        if claim in self.followers:
            told = [f"it has the rules of {escaped(claim.like)}"]
        return {
            "slo": escaped(claim.slo),
            "part": escaped(claim.part),
            "result": "failed" if told else "not_provable" if claim.unproven else "proven",
            "why": told or ([escaped(claim.unproven)] if claim.unproven else []),
            "like": escaped(claim.like) or None,
            "given": escaped(claim.given) or None,
            "tiers": [{"tier": tier, "proven": (claim.slo, tier) not in self.failed} for tier in claim.tiers],
        }
