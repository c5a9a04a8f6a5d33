"""The states of an SLO, and the bounds between them: in dashboards, in `sloctl status` and in its exit code."""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum
from typing import Final

from sloctl.model.quantities import DAY

LOW: Final = Decimal("0.25")
"""An SLO with less of its budget left is at risk."""
SOON: Final = DAY * 3
"""An SLO whose budget is gone sooner is at risk."""
MEASURED: Final = Decimal("0.1")
"""An SLO with less of its window measured is young: nobody judges a month by its first hours."""


class State(IntEnum):
    """What an SLO is in; dashboards record it as this number."""

    FINE = 0
    QUIET = 1
    YOUNG = 2
    AT_RISK = 3
    EXHAUSTED = 4
    NO_DATA = 5

    @property
    def word(self) -> str:
        """As people read it: `at risk`."""
        return self.name.lower().replace("_", " ")
