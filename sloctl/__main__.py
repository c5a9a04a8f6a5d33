"""`python -m sloctl` and the console script."""

from __future__ import annotations

import gc

gc.disable()  # what is imported stays, so collecting in between finds nothing
from sloctl.cli import run  # noqa: E402

gc.enable()

if __name__ == "__main__":
    run()
