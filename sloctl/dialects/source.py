"""What a document of another tool says, value by value, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sloctl.diagnostics import Place
from sloctl.dialects.helm import template_in
from sloctl.language.tree import Absent, Key, Mapping, Sequence, Tree, YamlValue
from sloctl.model.quantities import number

_WINDOW: Final = re.compile(r"\{\{-?\s*\.\s*[wW]indow\s*-?\}\}")


class UnconvertibleError(Exception):
    """A part of a document that cannot become a part of a specification.

    Attributes:
        place: what it is about.
        help: what to do instead.
    """

    def __init__(self, place: Place, message: str, help_: str) -> None:
        super().__init__(message)
        self.place, self.help = place, help_


@dataclass(frozen=True, slots=True)
class Cursor:
    """A value of a document, by its key path; it need not be there."""

    tree: Tree
    keys: tuple[Key, ...] = ()

    def __getitem__(self, keys: Key | tuple[Key, ...]) -> Cursor:
        return Cursor(self.tree, (*self.keys, *(keys if isinstance(keys, tuple) else (keys,))))

    def either(self, *names: str) -> Cursor:
        """The first of these keys that is written: tools spell one key in several ways."""
        return next((self[name] for name in names if self[name].is_written), self[names[0]])

    @property
    def document(self) -> Cursor:
        """The whole document."""
        return Cursor(self.tree)

    @property
    def value(self) -> YamlValue:
        """The value; None where nothing is written."""
        found = self.tree.find(*self.keys)
        return None if isinstance(found, Absent) else found

    @property
    def is_written(self) -> bool:
        """Whether there is anything but null."""
        return self.value is not None

    @property
    def place(self) -> Place:
        """Where it stands, or else what is around it."""
        return self.tree.place(*self.keys)

    def items(self) -> Iterator[Cursor]:
        """The items of a list."""
        found = self.value
        for index in range(len(found) if isinstance(found, Sequence) else 0):
            yield self[index]

    def pairs(self) -> Iterator[tuple[str, Cursor]]:
        """The keys of a mapping and what they hold."""
        found = self.value
        for key in found if isinstance(found, Mapping) else ():
            yield key, self[key]

    def text(self) -> str:
        """A text or number as text.

        Raises:
            UnconvertibleError: it is missing, is no scalar, or depends on a template.
        """
        match self.value:
            case None:
                raise UnconvertibleError(self.place, f"`{self._name}` is missing", "write it in the source")
            case bool() as flag:
                found = str(flag).lower()
            case int() | Decimal() as count:
                found = number(Decimal(count))
            case str() as found:
                pass
            case _:
                message = f"`{self._name}` is no text and no number"
                raise UnconvertibleError(self.place, message, "write one in the source")
        if (template := template_in(found)) is not None:
            message = f"`{self._name}` depends on the template `{template}`"
            raise UnconvertibleError(self.place, message, "import what `helm template` prints instead")
        return found

    def text_or(self, otherwise: str) -> str:
        """As `text`, where nothing need be written."""
        return self.text() if self.is_written else otherwise

    def promql(self) -> str:
        """An expression with `$window` for the tool's own placeholder."""
        return _WINDOW.sub("$window", self.text())

    def flag(self) -> bool:
        """Whether a switch is on."""
        return self.value is True or str(self.value).lower() == "true"

    @property
    def _name(self) -> str:
        return next((str(key) for key in reversed(self.keys) if isinstance(key, str)), "the document")
