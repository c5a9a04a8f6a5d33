"""The command line: one file a command, and the one place that maps errors to exit codes.

Exit codes: 0 done, 1 findings, 2 usage, 3 a disk, program or server outside, 70 a bug of sloctl's.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Final

import click

from sloctl.cli import signals
from sloctl.cli.backfill import backfill
from sloctl.cli.backtest import backtest
from sloctl.cli.canary import canary
from sloctl.cli.check import check
from sloctl.cli.diff import diff
from sloctl.cli.discover import discover
from sloctl.cli.drill import drill
from sloctl.cli.explain import explain
from sloctl.cli.exporting import export
from sloctl.cli.generate import generate
from sloctl.cli.importing import import_
from sloctl.cli.init import init
from sloctl.cli.preview import preview
from sloctl.cli.routes import routes
from sloctl.cli.schema import schema
from sloctl.cli.show import show
from sloctl.cli.status import status
from sloctl.cli.templates import templates
from sloctl.cli.test import test
from sloctl.cli.trace import trace
from sloctl.cli.trial import try_
from sloctl.cli.validate import validate
from sloctl.cli.why import why
from sloctl.errors import OutsideError, SloctlError

FINDINGS: Final = 1
USAGE: Final = 2
OUTSIDE: Final = 3
BUG: Final = 70
INTERRUPTED: Final = 130

EXTRAS: Final = {
    "numpy": "history",
    **dict.fromkeys(("opentelemetry", "prometheus_client", "psycopg", "sqlalchemy", "starlette", "uvicorn"), "canary"),
}
"""Packages that a plain installation lacks, and the extra whose commands need them."""


class Sections(click.Group):
    """Commands by what they are for, each with its whole first sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands below the headings of `SECTIONS`."""
        del ctx
        widest = max(map(len, self.commands))
        for heading, commands in SECTIONS.items():
            with formatter.section(heading):
                rows = [(str(each.name).ljust(widest), each.get_short_help_str(limit=_WHOLE)) for each in commands]
                formatter.write_dl(rows)


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sloctl")
def cli() -> None:
    """SLO specifications compiled to Prometheus rules, dashboards, routes and canary verdicts."""


_WHOLE: Final = 200
"""No first sentence is longer."""
SECTIONS: Final[dict[str, tuple[click.Command, ...]]] = {
    "Write specifications": (init, discover, import_, templates, schema, export),
    "Check them": (validate, try_, show, explain, test, diff),
    "Compile them": (generate, routes, preview),
    "See what runs": (status, why, trace, check, drill),
    "Look back": (backtest, backfill),
    "Release": (canary,),
}
for command in (each for commands in SECTIONS.values() for each in commands):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the process's exit code."""
    # The first model would make pydantic search every installed distribution for plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        code = cli.main(arguments, prog_name="sloctl", standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - the last fence: whatever happens ends in a sentence and an exit code
        return _explained(error)
    return code if isinstance(code, int) else 0


def _explained(error: Exception) -> int:
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.Abort():
            return INTERRUPTED
        case click.ClickException():
            error.show()
            return USAGE
        case OutsideError():
            return _fail(OUTSIDE, str(error))
        case SloctlError():
            return _fail(FINDINGS, str(error))
        case BrokenPipeError():
            return _quiet()
        case ImportError() if (extra := _extra(error)) is not None:
            return _fail(USAGE, f"this command needs more packages: pip install 'sloctl[{extra}]' ({error.name})")
        case Exception(__cause__=KeyboardInterrupt()):
            return INTERRUPTED
        case Exception(__cause__=SystemExit() as asked):  # before Python 3.12, inside of a class that is being made
            raise asked
        case _:
            return _bug(error)


def run() -> None:
    """The console script."""
    signals.raised()
    try:
        code = main()
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        signals.final()
    gc.freeze()  # what is left goes with the process; collecting it first takes 30 ms
    sys.exit(code)


def _fail(code: int, message: str) -> int:
    click.echo(f"sloctl: {message}", err=True)
    return code


def _extra(error: ImportError) -> str | None:
    """The extra that brings the package which could not be imported; a canary's brings what it shares with others."""
    import traceback

    extra = EXTRAS.get((error.name or "").partition(".")[0])
    importing = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    return "canary" if extra and any(name.startswith("sloctl.canary.") for name in importing) else extra


def _quiet() -> int:
    """The reader of our output went away, as `head` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _bug(error: Exception) -> int:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="sloctl-bug-", suffix=".txt", delete=False) as report:
        report.write("".join(traceback.format_exception(error)))
    message = (
        f"this is a bug of sloctl's: {type(error).__name__}. Nothing was written. "
        f"Please report it with {report.name}, which holds the details."
    )
    return _fail(BUG, message)
