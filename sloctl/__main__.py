"""`python -m sloctl` and the console script."""

from __future__ import annotations

import gc
import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing has begun: end without a traceback
gc.disable()  # what is imported stays, so collecting in between finds nothing
from sloctl.cli import run  # noqa: E402

gc.enable()

if __name__ == "__main__":
    run()
