"""Pages are independent of each other: what two of them need stands in a module of its own."""

from __future__ import annotations

import ast
import inspect
import sys

from sloctl.backends.grafana.backend import PAGES
from tests.import_rules import imports


def test_no_page_imports_another() -> None:
    pages = {page.__module__ for page in PAGES}
    found = [
        f"{page} imports {imported.name}"
        for page in sorted(pages)
        for imported in imports(ast.parse(inspect.getsource(sys.modules[page])), page, is_package=False)
        if any(imported.name.startswith(f"{other}.") for other in pages)
    ]
    assert found == []
