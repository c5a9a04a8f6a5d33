"""Findings for people, programs and GitHub. Text that comes from a specification is escaped first."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sloctl.diagnostics import Diagnostic, Diagnostics, FindingSeverity, Place

if TYPE_CHECKING:
    from rich.console import Console

    from sloctl.model.catalogue import Catalogue, Slo

_COLOURS: Final = {FindingSeverity.ERROR: "red", FindingSeverity.WARNING: "yellow", FindingSeverity.NOTE: "cyan"}
_WIDTH: Final = 160
_WIDEST: Final = 1000


def loaded(
    paths: Iterable[str],
    root: Path | None = None,
    form: str = "text",
    *,
    strict: bool = False,
    only_errors: bool = False,
    code: int = 1,
) -> Catalogue:
    """The specifications at `paths` (default: slo-specs), or the end of the command; findings as in `report`."""
    from sloctl.compiler import load

    found = Diagnostics()
    catalogue = load(paths, found, root=root)
    report(found, form, strict=strict, only_errors=only_errors, code=code)
    return catalogue


def no_such_slo(which: str, slos: Iterable[Slo]) -> click.UsageError:
    """What to raise where nothing is called `which`; `slos` are those that are named instead."""
    known = ", ".join(f"{slo.service}/{slo.name}" for slo in slos)
    return click.UsageError(f"there is no SLO {which!r}; there are {known}")


def plain_console() -> Console:
    """A console as wide as the terminal; where there is none, no name is folded or cut."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _WIDEST)


def report(found: Diagnostics, form: str, *, strict: bool = False, only_errors: bool = False, code: int = 1) -> None:
    """Print all findings in one of `FORMS`, and end the command where they stop it.

    Args:
        strict: warnings stop it as well as errors.
        only_errors: nothing is printed where nothing stops it.
        code: the exit code.
    """
    worst = FindingSeverity.WARNING if strict else FindingSeverity.ERROR
    failed = any(finding.severity <= worst for finding in found)
    for line in FORMS[form](found) if failed or not only_errors else ():
        click.echo(line, err=True)
    if failed:
        raise click.exceptions.Exit(code)


def as_json(value: object) -> str:
    """A value for programs."""
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def escaped(text: str) -> str:
    """Text without what a terminal or a CI log would obey, or what is secret in it.

    Control and invisible characters become escapes, secrets asterisks.
    """
    from sloctl.checks.secret import masked

    return "".join(char if _is_harmless(char) else _escape(char) for char in masked(text))


def counted(count: int, what: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{count} {what}{'s' * (count != 1)}"


def _is_harmless(char: str) -> bool:
    return char == " " or (char.isprintable() and unicodedata.category(char) not in {"Cf", "Zl", "Zp"})


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def _text(found: Diagnostics) -> Iterator[str]:
    for finding in found:
        yield from _finding(finding, found.sources)
        yield ""
    counts = [(severity, sum(finding.severity is severity for finding in found)) for severity in FindingSeverity]
    if any(count for _, count in counts):
        yield ", ".join(counted(count, severity.word) for severity, count in counts if count)


def _finding(finding: Diagnostic, sources: Mapping[str, str]) -> Iterator[str]:
    head = click.style(f"{finding.severity.word}[{finding.code}]", fg=_COLOURS[finding.severity], bold=True)
    yield f"{escaped(str(finding.place))}: {head}: {escaped(finding.message)}"
    yield from _excerpt(finding.place, sources)
    for related in finding.related:
        yield f"{escaped(str(related.place))}: {escaped(related.message)}"
        yield from _excerpt(related.place, sources)
    if finding.help:
        yield f"  help: {escaped(finding.help)}"


def _excerpt(place: Place, sources: Mapping[str, str]) -> Iterator[str]:
    from sloctl.checks.secret import masked

    lines = sources.get(place.path, "").split("\n")
    if not 0 < place.line <= len(lines) or not lines[place.line - 1].strip():
        return
    line = masked(lines[place.line - 1].rstrip("\r"))  # whole, before a part of a secret is cut off
    start = max(0, place.column - 1 - _WIDTH // 2)
    before, shown = escaped(line[start : place.column - 1]), escaped(line[start : start + _WIDTH])
    number = str(place.line)
    yield f"  {number} | {shown}"
    yield f"  {' ' * len(number)} | {' ' * len(before)}^"


def _json(found: Diagnostics) -> Iterator[str]:
    yield as_json([_as_mapping(finding) for finding in found])


def _as_mapping(finding: Diagnostic) -> dict[str, Any]:
    return {
        "severity": finding.severity.word,
        "code": finding.code,
        "message": escaped(finding.message),
        **_position(finding.place),
        "help": escaped(finding.help),
        "related": [{**_position(note.place), "message": escaped(note.message)} for note in finding.related],
    }


def _position(place: Place) -> dict[str, Any]:
    return {"path": escaped(place.path), "line": place.line, "column": place.column}


def _github(found: Diagnostics) -> Iterator[str]:
    """Workflow commands: https://docs.github.com/actions/reference/workflow-commands-for-github-actions."""
    words = {FindingSeverity.ERROR: "error", FindingSeverity.WARNING: "warning", FindingSeverity.NOTE: "notice"}
    for finding in found:
        place = finding.place
        text = finding.message + (f"\nhelp: {finding.help}" if finding.help else "")
        properties = (
            f"file={_property(place.path)},line={place.line},col={place.column},title={_property(finding.code)}"
        )
        yield f"::{words[finding.severity]} {properties}::{_data(text)}"


def _data(text: str) -> str:
    lines = [escaped(line).replace("%", "%25") for line in text.split("\n")]
    return "%0A".join(lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


FORMS: Final[dict[str, Callable[[Diagnostics], Iterator[str]]]] = {"text": _text, "json": _json, "github": _github}
