"""What a benchmark measures, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure and its target.

    Attributes:
        what: what is measured, with its unit.
        measured: the figure.
        at_most: the largest good figure, or None.
        at_least: the smallest good figure, or None.
    """

    what: str
    measured: float
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if self.at_most is None and self.at_least is None:
            raise ValueError(f"{self.what} has no target")

    @property
    def ok(self) -> bool:
        """Whether the target is met; a figure that is no number never meets it."""
        over = self.at_most is None or self.measured <= self.at_most
        under = self.at_least is None or self.measured >= self.at_least
        return over and under

    @property
    def target(self) -> str:
        """The target in words."""
        at_least = [] if self.at_least is None else [f"at least {self.at_least:g}"]
        at_most = [] if self.at_most is None else [f"at most {self.at_most:g}"]
        return ", ".join(at_least + at_most)


def show(title: str, rows: Iterable[Row]) -> bool:
    """Print the rows; returns whether there are some and every one is ok."""
    rows = list(rows)
    table = Table("what", "target", "measured", "ok", title=title, title_justify="left")
    for row in rows:
        table.add_row(row.what, row.target, f"{row.measured:.4g}", "yes" if row.ok else "[bold red]NO[/]")
    Console().print(table)
    return bool(rows) and all(row.ok for row in rows)
