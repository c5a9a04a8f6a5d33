"""Compile the project's specs and compare the committed rules and dashboards with them; needs no server."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.console import Console

from examples.demo.run import run_program
from examples.servers import ServerError

SPECS = "slo-specs"


def main() -> int:
    """Exit code 0 when the specs compile and what is committed is what they say, else 1."""
    console = Console()
    sloctl: list[str | Path] = [sys.executable, "-m", "sloctl"]
    try:
        with tempfile.TemporaryDirectory(prefix="sloctl-demo-") as folder:
            run_program(console, f"sloctl generate {SPECS} -o {folder}", [*sloctl, "generate", SPECS, "-o", folder])
            for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
                console.print(f"{file.stat().st_size:9,} bytes  {file.relative_to(folder)}", highlight=False)
        run_program(console, f"sloctl generate {SPECS} --check", [*sloctl, "generate", SPECS, "--check"])
    except ServerError as error:
        console.print(str(error), style="bold red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
