"""Words of specifications in dashboards, shown literally whatever they hold."""

from __future__ import annotations

import html
import re
from typing import Final

DOLLAR: Final = "${dollar}"
BRACKET: Final = "${bracket}"
_VARIABLE: Final = re.compile(r"\$(?=[\w{])")
_OLD_VARIABLE: Final = re.compile(r"\[(?=\[\w)")
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]()#+.!|~-])")


def literal(text: str) -> str:
    """Text that Grafana does not read as a variable: hidden constants stand for the signs that begin one."""
    return _OLD_VARIABLE.sub(BRACKET, _VARIABLE.sub(DOLLAR, text))


def markdown(text: str) -> str:
    """The same inside a text panel, where Markdown and HTML would be read as well."""
    return literal(_MARKUP.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False)))
