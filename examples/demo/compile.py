"""Compile the project's specs and compare the committed rules and dashboards with them; needs no server."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from testing.servers import ROOT, ServerError

SPECS = "slo-specs"


def main() -> int:
    """Exit code 0 when the specs compile and what is committed is what they say, else 1."""
    console = Console()
    try:
        with tempfile.TemporaryDirectory(prefix="sloctl-demo-") as folder:
            run_sloctl(console, "generate", SPECS, "-o", folder)
            for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
                console.print(f"{file.stat().st_size:9,} bytes  {file.relative_to(folder)}", highlight=False)
        run_sloctl(console, "generate", SPECS, "--check")
    except ServerError as error:
        console.print(str(error), style="bold red", markup=False)
        return 1
    return 0


def run_sloctl(console: Console, *words: str) -> None:
    """Run the command and show what it prints.

    Raises:
        ServerError: it failed.
    """
    shown = " ".join(["sloctl", *words])
    console.print(f"$ {shown}", style="bold", highlight=False, soft_wrap=True)
    command = [sys.executable, "-m", "sloctl", *words]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    console.print(ran.stdout.rstrip(), markup=False, highlight=False, soft_wrap=True)
    if ran.returncode:
        raise ServerError(f"`{shown}` ended with exit code {ran.returncode}")


if __name__ == "__main__":
    sys.exit(main())
