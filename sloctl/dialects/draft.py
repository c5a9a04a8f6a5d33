"""An SLO on its way from another tool to a specification, with what changes on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from sloctl.diagnostics import Place
from sloctl.dialects.source import Cursor, UnconvertibleError
from sloctl.errors import PromqlError
from sloctl.model.labels import RESERVED_LABELS
from sloctl.model.quantities import DAY, HOUR, Duration, number
from sloctl.promql.lift import Lifted

_NOT_NAME: Final = re.compile(r"[^a-z0-9]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LONGEST_NAME: Final = 63
PAGES: Final = (("P1", Decimal("14.4"), "1h", "5m"), ("P1", Decimal(6), "6h", "30m"))
TICKETS: Final = (("P3", Decimal(3), "1d", "2h"), ("P3", Decimal(1), "3d", "6h"))
"""The tiers of the SRE workbook, which most tools have: severity, burn rate, long and short window."""

_WEEK: Final = DAY * 7
_CALENDAR_DAYS: Final = {"M": DAY * 30, "Q": DAY * 90, "Y": DAY * 365}
_UNITS: Final = {"day": DAY, "week": _WEEK, "hour": HOUR}
_BOUNDS: Final = {"lte": "at_most", "lt": "at_most", "gte": "at_least", "gt": "at_least"}


class Note(NamedTuple):
    """What a reader of the result must know, and where in the source it comes from."""

    place: Place
    text: str
    is_mistake: bool


@dataclass(slots=True)
class Draft:
    """One SLO.

    Attributes:
        place: where the source defines it.
        service: the service that it belongs to.
        value: the SLO as it is written in a specification.
        notes: what changes, mistakes of the source included.
    """

    place: Place
    service: str
    value: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def changed(self, place: Place, text: str) -> None:
        """Something means something else now."""
        self._note(Note(place, text, is_mistake=False))

    def mistaken(self, place: Place, text: str) -> None:
        """The source does not do what it says."""
        self._note(Note(place, text, is_mistake=True))

    def _note(self, note: Note) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def name(self, cursor: Cursor) -> None:
        """The SLO's name, in lower case."""
        self.value["name"] = self._named(cursor)

    def belongs_to(self, cursor: Cursor) -> None:
        """The service's name, in lower case."""
        self.service = self._named(cursor)

    def belongs_to_or_is_named_after(self, cursor: Cursor | None) -> None:
        """The service's name, or the SLO's where the source has none."""
        if cursor is not None and cursor.is_written:
            self.belongs_to(cursor)
        else:
            self.service = self.value["name"]
            self.changed(self.place, f"the source names no service: `{self.service}` is named after the SLO")

    def _named(self, cursor: Cursor) -> str:
        text = cursor.text()
        name = as_name(text)
        if not name:
            raise UnconvertibleError(cursor.place, f"`{text}` holds no letter or digit for a name", "rename it")
        if name != text.lower().replace("_", "-"):
            self.changed(cursor.place, f"`{text}` is called `{name}` now")
        return name

    def objective(self, cursor: Cursor, *, of_one: bool = False) -> None:
        """The objective from a percentage, or from a share `of_one`."""
        share = decimal(cursor)
        self.value["objective"] = f"{number(share * 100 if of_one else share)}%"

    def describe(self, cursor: Cursor) -> None:
        """The description, on one line."""
        if cursor.is_written and (text := " ".join(cursor.text().split())):
            self.value["description"] = text

    def take(self, lifted: Lifted, place: Place) -> None:
        """The SLI and its grouping."""
        self.value["sli"] = lifted.sli
        if lifted.by:
            self.value["by"] = list(lifted.by)
        for text in lifted.mistakes:
            self.mistaken(place, text)
        for text in lifted.changes:
            self.changed(place, text)

    def group(self, labels: Iterable[Cursor]) -> None:
        """One objective for each value of these labels."""
        if written := [label.text() for label in labels]:
            self.value["by"] = written

    def labels(self, pairs: Iterable[tuple[str, Cursor]]) -> None:
        """Labels of the source, as far as a specification may set them."""
        kept = dict(self.value.get("labels", {}))
        for key, cursor in pairs:
            try:
                value = cursor.text()
            except UnconvertibleError as problem:
                self.changed(problem.place, f"the label `{key}` is left out: {problem}")
                continue
            if key in RESERVED_LABELS or key in self.value.get("by", ()):
                who = "sloctl sets it itself" if key in RESERVED_LABELS else "`by` takes it from the data"
                self.changed(cursor.place, f"the label `{key}` is left out: {who}")
            elif not _LABEL.fullmatch(key) or not value or "{{" in value:
                self.changed(cursor.place, f"the label `{key}` is left out: Prometheus has no such label for a rule")
            else:
                kept[key] = value
        if kept:
            self.value["labels"] = kept

    def runbook(self, cursor: Cursor) -> None:
        """An https link to what to do."""
        if not cursor.is_written:
            return
        try:
            link = cursor.text()
        except UnconvertibleError as problem:
            self.changed(problem.place, f"the runbook is left out: {problem}")
            return
        if link.startswith("https://") and "{{" not in link:
            self.value["runbook"] = link
        else:
            self.changed(cursor.place, "the runbook is left out: it is no plain https link")

    def window(self, cursor: Cursor) -> None:
        """A rolling window."""
        self.value["window"] = str(length(cursor))
        if cursor.text()[-1] in _CALENDAR_DAYS:
            self.changed(cursor.place, f"`{cursor.text()}` that roll are {self.value['window']} now")

    def calendar(self, period: str | None, zone: Cursor, place: Place) -> None:
        """A calendar window: week, month, quarter or year.

        Raises:
            UnconvertibleError: it is none of them.
        """
        if period is None:
            message = "this calendar window is no week, month, quarter or year"
            raise UnconvertibleError(place, message, "use one of them in the source")
        self.value["window"] = {"calendar": period, **({"time_zone": zone.text()} if zone.is_written else {})}

    def threshold(self, value: Cursor, objective: Cursor) -> None:
        """Samples of a query that are held against `value` of an objective.

        Raises:
            UnconvertibleError: the objective has no bound, or compares in a way that has no counterpart.
        """
        bound, operator = objective["value"], objective["op"].text_or("lte")
        if operator not in _BOUNDS or not bound.is_written:
            message = "a threshold needs `op` (lte, lt, gte or gt) and `value`"
            raise UnconvertibleError(objective.place, message, "write both in the source")
        if operator in {"lt", "gt"}:
            self.changed(objective["op"].place, f"`{operator}` counts a value that is the bound itself as good now")
        self.changed(value.place, "every series of the query is held against the bound once a minute")
        self.value["sli"] = {"threshold": {"value": value.promql(), _BOUNDS[operator]: decimal(bound)}}

    def timeslices(self, method: Cursor, objective: Cursor) -> None:
        """Slices that are good where so many of their events are."""
        target = objective["timeSliceTarget"]
        share = decimal(target) if target.is_written else Decimal(1)
        self.value["timeslices"] = {"target": f"{number(share * 100)}%"}
        slices = objective["timeSliceWindow"].text_or("1m")
        if slices not in {"1m", "1"}:
            self.changed(method.place, f"slices last a minute now, in the source {slices}")

    def burn(self, rows: Iterable[tuple[str, Decimal, str, str]], **also: object) -> None:
        """More tiers, each a row as in `PAGES`."""
        self.value.setdefault("alerts", []).extend(
            {"severity": severity, "burn": burn, "over": over, "also_over": short, **also}
            for severity, burn, over, short in rows
        )


class Dialect(Protocol):
    """One tool's language."""

    @property
    def name(self) -> str:
        """As `--from` has it."""

    def slos(self, documents: list[Cursor]) -> Iterator[Callable[[], Draft]]:
        """What converts each SLO of all documents in it.

        The conversion raises:
            UnconvertibleError: it has no counterpart.
            PromqlError: an expression is no PromQL.
        """


def as_name(text: str) -> str:
    """A name as specifications have it: lower case, digits and hyphens."""
    return _NOT_NAME.sub("-", _HUMP.sub("-", text).lower()).strip("-")[:_LONGEST_NAME].strip("-")


def decimal(cursor: Cursor) -> Decimal:
    """A number, or a percentage without its sign.

    Raises:
        UnconvertibleError: it is none.
    """
    text = cursor.text().removesuffix("%").strip()
    try:
        found = Decimal(text)
    except ArithmeticError:
        found = Decimal("NaN")
    if not found.is_finite():
        raise UnconvertibleError(cursor.place, f"`{text}` is no number", "write one such as 99.9")
    return found


def length(cursor: Cursor) -> Duration:
    """A length of time such as `4w`, `28d` or `1h30m`.

    Raises:
        UnconvertibleError: it is none.
    """
    text = cursor.text()
    try:
        unit = _CALENDAR_DAYS.get(text[-1:], _WEEK if text.endswith("w") else None)
        return unit * int(text[:-1]) if unit else Duration.parse(text)
    except ValueError:
        raise UnconvertibleError(cursor.place, f"`{text}` is no length of time", "write one such as 28d") from None


def length_of(count: str, unit: Cursor) -> Duration:
    """A length of time whose number and unit stand apart, such as 28 and `Day`.

    Raises:
        UnconvertibleError: it is none.
    """
    known = _UNITS.get(unit.text().lower().removesuffix("s"))
    if known is None or not count.isdecimal():
        message = f"`{count} {unit.text()}` is no length of time that is always the same"
        raise UnconvertibleError(unit.place, message, "write days or weeks in the source")
    return known * int(count)


def lifted_at(place: Place, lift: Callable[[], Lifted]) -> Lifted:
    """What `lift` returns; what is no PromQL is told at `place`.

    Raises:
        UnconvertibleError: an expression cannot be taken.
    """
    try:
        return lift()
    except PromqlError as problem:
        raise UnconvertibleError(place, str(problem), problem.help or "repair it in the source first") from problem


def factored(slos: list[dict[str, Any]], keys: Iterable[str]) -> Mapping[str, Any]:
    """What all SLOs of a service say alike, taken out of each of them."""
    shared = {key: slos[0][key] for key in keys if key in slos[0] and all(slo.get(key) == slos[0][key] for slo in slos)}
    for slo in slos:
        for key in shared:
            del slo[key]
    return shared
