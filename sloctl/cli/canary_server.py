"""`sloctl canary serve`, and what was decided: `history`, `approve`, `verify`, `token`."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sloctl.cli import options
from sloctl.cli.report import as_json, escaped
from sloctl.errors import SloctlError

if TYPE_CHECKING:
    from sloctl.canary.audit.chain import Entry
    from sloctl.canary.audit.store import Store
    from sloctl.canary.server.configuration import Configuration
    from sloctl.model.quantities import Duration
    from sloctl.prometheus import PrometheusClient

_DIFFERENT: Final = 1
_SHORT: Final = 12
_store = click.option(
    "--store",
    envvar="SLOCTL_CANARY_STORE",
    show_envvar=True,
    default="sqlite:///sloctl-canary.db",
    show_default=True,
    metavar="URL",
    help="Audit store: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
)


def _address(text: str) -> tuple[str, int]:
    """A host and a port."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is no address; write 127.0.0.1:8080 or 0.0.0.0:8080")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - without tokens `serve` refuses it


def _web_address(text: str) -> str:
    """An address without what would follow it."""
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", text):
        raise ValueError(f"{text!r} is no address; write https://canary.example.com")
    return text.rstrip("/")


@click.command()
@options.paths
@options.root
@options.prometheus_again
@_store
@click.option(
    "--listen", type=options.Parsed("address", _address), default="127.0.0.1:8080", show_default=True, help="HOST:PORT."
)
@click.option(
    "--tokens",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="File with the digests of valid tokens; without it only 127.0.0.1 is listened on.",
)
@click.option(
    "--drain",
    type=click.FloatRange(0, 60),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="After SIGTERM, be not ready for so long before going.",
)
@click.option(
    "--tls-cert",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Certificate, with those of its issuers: speak HTTPS. A new one is read as it comes.",
)
@click.option("--tls-key", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="Its key.")
@click.option(
    "--keep-evidence",
    type=options.length,
    default="90d",
    show_default=True,
    help="How long the counts of decisions are kept; what was decided stays for ever.",
)
@click.option(
    "--public-url",
    type=options.Parsed("address", _web_address),
    metavar="URL",
    help="Where people reach this server: verdicts and dashboards then link to pictures of the evidence.",
)
def serve(
    paths: tuple[str, ...],
    root: Path | None,
    connect: Callable[[], PrometheusClient],
    store: str,
    listen: tuple[str, int],
    tokens: Path | None,
    drain: float,
    tls_cert: Path | None,
    tls_key: Path | None,
    keep_evidence: Duration,
    public_url: str | None,
) -> None:
    """Answer Argo Rollouts: POST /v1/canary/evaluate.

    PATH names specifications (default: slo-specs). SIGHUP, or a change of a file, reads them and the tokens again.
    """
    from sloctl.canary.audit.store import Store
    from sloctl.canary.server.serving import Listening, serve

    def load() -> Configuration:
        return _configuration(paths, root, tokens, connect)

    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together")
    host, port = listen
    watched = [file for file in (tokens, tls_cert, tls_key) if file is not None]
    listening = Listening(host, port, drain, tls_cert, tls_key)
    evidence_seconds = float(keep_evidence.seconds)
    serve(listening, Store.open(store), load, lambda: _stamp(paths, watched), evidence_seconds, public_url or "")


def _configuration(
    paths: tuple[str, ...], root: Path | None, tokens: Path | None, connect: Callable[[], PrometheusClient]
) -> Configuration:
    from sloctl.canary.server.auth import Tokens, read_tokens
    from sloctl.canary.server.configuration import Configuration, judgeable
    from sloctl.compiler import load
    from sloctl.diagnostics import Diagnostics

    found = Diagnostics()
    catalogue = load(paths, found, root=root)
    if found.errors:
        lines = [f"{error.place}: error[{error.code}]: {error.message}" for error in found.errors]
        raise SloctlError("\n".join(["the specifications have errors; `sloctl validate` shows more", *lines]))
    known = read_tokens(tokens) if tokens is not None else Tokens()
    return Configuration(tuple(judgeable(catalogue)), known, connect())


def _stamp(paths: tuple[str, ...], others: list[Path]) -> frozenset[tuple[str, int, int]]:
    """What changes when a file of the configuration does."""
    roots = [Path(path) for path in paths or ("slo-specs",)]
    files = [file for root in roots for file in (root.rglob("*.y*ml") if root.is_dir() else [root])]
    return frozenset(_state(file) for file in [*files, *others])


def _state(file: Path) -> tuple[str, int, int]:
    try:
        found = file.stat()
    except OSError:
        return str(file), 0, 0
    return str(file), found.st_mtime_ns, found.st_size


@click.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["evaluate", "approve"]), default="evaluate", show_default=True)
def token(name: str, role: str) -> None:
    """Make a token: the secret on standard output, its line for `--tokens` on standard error."""
    from sloctl.canary.server.auth import new_token, token_digest

    secret = new_token()
    click.echo(secret)
    click.echo(f"{name} {role} sha256:{token_digest(secret)}", err=True)


@click.command()
@click.argument("service", required=False, default="")
@_store
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@click.option("--replay", metavar="ID", help="Make a decision again from its counts, and compare.")
@click.option(
    "--html",
    "file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write a page with a picture of the evidence of each decision.",
)
@options.text_or_json
def history(service: str, store: str, limit: int, replay: str | None, file: Path | None, form: str) -> None:
    """What was decided for SERVICE, and who approved, newest first.

    With --replay: exit code 0 when the counts give the same verdict today, 1 when they do not.
    """
    from sloctl.canary.audit.chain import Subject

    with _opened(store) as opened:
        if file is not None:
            from sloctl.canary.server.page import decisions_page

            title = f"Canary decisions of {service}" if service else "Canary decisions"
            shown = opened.decisions(Subject.of(service), limit=limit)
            file.write_text(decisions_page(title, opened, shown), encoding="utf-8")
            click.echo(f"wrote {file}")
            return
        if replay is not None:
            raise click.exceptions.Exit(0 if _replayed(opened, replay, form) else _DIFFERENT)
        _print_entries(opened.decisions(Subject.of(service), limit=limit), form)


def _print_entries(entries: list[Entry], form: str) -> None:
    from sloctl.canary.server.answers import entry, moment

    if form == "json":
        click.echo(as_json(list(map(entry, entries))))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("at", "service", "canary", "revision", "step", "decision", "by", "id", box=None, pad_edge=False)
    for recorded in entries:
        said = f"{recorded.verdict} ({recorded.reason})" if recorded.verdict else "approved"
        step = "" if recorded.step < 0 else str(recorded.step)
        subject, at, identity = recorded.subject, moment(recorded.at / 1000), recorded.id[:_SHORT]
        where = f"{subject.platform}/{subject.service}"
        cells = (at, where, subject.canary, subject.revision, step, said, recorded.caller, identity)
        table.add_row(*map(escaped, cells))
    Console(width=200).print(table if entries else "nothing was decided")


def _replayed(store: Store, identity: str, form: str) -> bool:
    from sloctl.canary.audit.chain import Kind
    from sloctl.canary.recording import METHOD, replayed, service_from

    decision = _only(store.find(Kind.DECISION, identity), f"decision {identity}")
    if decision.evidence_digest:
        raise SloctlError(f"the evidence of decision {identity} was pruned, so it cannot be made again")
    configuration = _only(store.find(Kind.CONFIGURATION, decision.config), f"configuration of decision {identity}")
    made = replayed(decision.evidence, service_from(configuration.evidence))
    if form == "json":
        click.echo(as_json({"id": decision.id, "same": made.same, "then": made.then, "now": made.now}))
        return made.same
    for name, verdict in (("then", made.then), ("now", made.now)):
        click.echo(escaped(f"{name}: {verdict['verdict']} ({verdict['reason']}) {verdict['sentence']}"))
    click.echo("the counts give the same verdict" if made.same else "the counts give another verdict today")
    if made.method != METHOD:
        click.echo("an earlier sloctl decided it, whose statistics were others")
    return made.same


def _only(found: list[Entry], what: str) -> Entry:
    if len(found) != 1:
        raise SloctlError(
            f"there is no {what}" if not found else f"{what} is the beginning of several; write more of it"
        )
    return found[0]


@click.command()
@click.argument("service")
@click.option("--revision", required=True, help="Revision of the Rollout, or hash of the canary.")
@click.option("--by", required=True, metavar="NAME", help="Who approves.")
@_store
def approve(service: str, revision: str, by: str, store: str) -> None:
    """Let one of the first deployments of SERVICE be promoted once the evidence says so."""
    import getpass
    from dataclasses import replace

    from sloctl.canary.audit.chain import Subject

    if not by.strip() or not by.isprintable():
        raise click.UsageError("--by is the name of a person")
    with _opened(store) as opened:
        subject = Subject.of(service, revision=revision)
        known = {entry.subject.platform for entry in opened.decisions(replace(subject, revision=""), limit=500)}
        if len(known) != 1:
            several = f"write one of {', '.join(sorted(f'{where}/{subject.service}' for where in known))}"
            raise SloctlError(several if known else f"nothing was ever decided for {service!r}")
        entry = opened.approve(replace(subject, platform=known.pop()), by, f"cli:{getpass.getuser()}")
    click.echo(f"approved {service} revision {revision} by {by} (entry {entry.sequence})")


@click.command()
@_store
@click.option("--head", metavar="DIGEST", help="The digest that an earlier run printed: it must be in the chain.")
def verify(store: str, head: str | None) -> None:
    """Read the whole audit store: is every entry as it was written?"""
    with _opened(store) as opened:
        found = opened.verify(head)
    for problem in found.problems:
        click.echo(escaped(problem))
    if found.problems:
        click.echo(f"the chain is broken ({found.entries} entries)")
        raise click.exceptions.Exit(_DIFFERENT)
    click.echo(f"{found.entries} entries, every one as it was written; head {found.head}")


@click.command()
@click.option(
    "--evidence-older-than", "age", type=options.length, required=True, metavar="DURATION", help="Such as 90d."
)
@_store
def prune(age: Duration, store: str) -> None:
    """Remove the counts of old decisions. What was decided, when and for whom stays, and so does the chain."""
    import time

    with _opened(store) as opened:
        pruned = opened.prune(int((time.time() - float(age.seconds)) * 1000))
    click.echo(f"the evidence of {pruned} decisions was removed; `sloctl canary verify` finds the chain whole")


def _opened(url: str) -> closing[Store]:
    from sloctl.canary.audit.store import Store

    return closing(Store.open(url, create=False))
