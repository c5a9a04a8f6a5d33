"""What a check is: a module with a code and a function. Its docstring is the page that users read."""

from __future__ import annotations

from typing import Protocol

from sloctl.diagnostics import Diagnostics
from sloctl.model.catalogue import Catalogue


class Check(Protocol):
    """One opinion.

    Attributes:
        CODE: stable identifier such as `SLO101`.
    """

    @property
    def CODE(self) -> str: ...  # noqa: N802 - a constant of a module

    def check(self, catalogue: Catalogue, found: Diagnostics) -> None:
        """Add what is wrong to `found`."""
        ...
