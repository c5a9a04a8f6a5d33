"""`python -m sloctl`."""

from sloctl.cli import run

run()
