"""What is wrong with the user's files: values, collected, sorted by place and shown all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

MOST_RELATED: Final = 3
"""So many other places of one finding are shown."""


class FindingSeverity(IntEnum):
    """How bad a finding is; only errors stop a run (warnings too, with `--strict`)."""

    ERROR = 0
    WARNING = 1
    NOTE = 2

    @property
    def word(self) -> str:
        """The word that users see, such as `error`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file that the user wrote; line and column start at 1, a column counts characters."""

    path: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that a finding involves, with what is to be seen there."""

    place: Place
    message: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about the user's files, in the user's words.

    Attributes:
        severity: error, warning or note.
        code: stable identifier such as `SLO102`; `sloctl explain CODE` shows its page.
        message: what is wrong, one sentence without a final stop.
        place: where it is.
        help: what to write instead; empty when the message says it all.
        related: the other places involved.
    """

    severity: FindingSeverity
    code: str
    message: str
    place: Place
    help: str = ""
    related: tuple[Related, ...] = ()


@dataclass(slots=True)
class Diagnostics:
    """The one list that every stage of the compiler adds to.

    `sources` holds the text of each file read, by path, so that a finding can show its line.
    """

    found: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    def add(self, diagnostic: Diagnostic) -> None:
        """Add one finding."""
        self.found.append(diagnostic)

    def error(self, code: str, place: Place, message: str, help: str = "", *related: Related) -> None:  # noqa: A002
        """Add an error: nothing is written."""
        self.add(Diagnostic(FindingSeverity.ERROR, code, message, place, help, related))

    def warning(self, code: str, place: Place, message: str, help: str = "", *related: Related) -> None:  # noqa: A002
        """Add a warning: shown, and an error with `--strict`."""
        self.add(Diagnostic(FindingSeverity.WARNING, code, message, place, help, related))

    def note(self, code: str, place: Place, message: str, help: str = "", *related: Related) -> None:  # noqa: A002
        """Add a note: shown only."""
        self.add(Diagnostic(FindingSeverity.NOTE, code, message, place, help, related))

    @property
    def errors(self) -> list[Diagnostic]:
        """The findings that stop the run."""
        return [finding for finding in self.found if finding.severity is FindingSeverity.ERROR]

    def __iter__(self) -> Iterator[Diagnostic]:
        """Findings once each, by place, then severity and code; what is said twice shows the places of both."""
        related: dict[Diagnostic, dict[Related, None]] = {}
        for finding in self.found:
            related.setdefault(replace(finding, related=()), {}).update(dict.fromkeys(finding.related))
        unique = (replace(finding, related=_shown(list(places))) for finding, places in related.items())
        return iter(sorted(unique, key=lambda found: (found.place, found.severity, found.code, found.message)))


def _shown(related: list[Related]) -> tuple[Related, ...]:
    """The first places, and how many more there are: a template may be used a hundred times."""
    if len(related) <= MOST_RELATED:
        return tuple(related)
    *first, last = related[:MOST_RELATED]
    more = len(related) - MOST_RELATED
    return (*first, replace(last, message=f"{last.message}, as in {more} more place{'s' * (more != 1)}"))
