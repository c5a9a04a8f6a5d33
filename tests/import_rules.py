"""Who may import whom, and the reader that finds the imports which break it.

The table is the project's architecture in one place: a new module needs a row, and a new arrow is a decision.
`python -m tests.import_rules` writes it into docs/architecture.md.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class May:
    """What one part of sloctl may import beside itself, `sloctl.errors` and the standard library.

    Attributes:
        sloctl: dotted names below `sloctl`; each allows all below it, and `*` everything.
        others: names of other packages, or dotted names below them.
        inside_calls: the same two sorts, allowed only in function bodies and for type checking, so that
            importing stays cheap. Where several entries match, the longest decides.
    """

    sloctl: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    inside_calls: frozenset[str] = frozenset()


def may(sloctl: str = "", others: str = "", inside_calls: str = "") -> May:
    return May(frozenset(sloctl.split()), frozenset(others.split()), frozenset(inside_calls.split()))


BACKEND: Final = "model conventions promql backends.backend"
TABLE: Final = {
    "": may(),
    "__main__": may("cli"),
    "diagnostics": may(),
    "errors": may(),
    "prometheus": may(others="httpx orjson"),
    "alertmanager": may("prometheus", others="httpx"),
    "model": may("diagnostics.Place"),
    "promql": may("model", others="promql_parser"),
    "promql.limits": may(),
    "language": may("model promql.limits diagnostics", others="yaml pydantic pydantic_core"),
    "resolve": may("language model promql diagnostics", others="tzdata"),
    "dialects": may("language resolve model promql diagnostics", others="yaml"),
    "discovery": may("language model promql prometheus"),
    "checks": may("model promql conventions diagnostics"),
    "conventions": may("model diagnostics.Place"),
    "backends": may("model"),
    "backends.backend": may("model"),
    "backends.prometheus": may(BACKEND),
    "backends.grafana": may(BACKEND),
    "backends.grafana.preview": may(BACKEND + " backends.grafana", others="jinja2", inside_calls="prometheus"),
    "backends.alertmanager": may(BACKEND),
    "backends.alertmanager.base": may(BACKEND + " backends.alertmanager", others="yaml"),
    "backends.alertmanager.foreign": may(BACKEND + " backends.alertmanager"),
    "backends.alertmanager.merge": may(BACKEND + " backends.alertmanager", others="yaml"),
    "backends.argo": may(BACKEND),
    "rendering": may("model", others="orjson"),
    "artifacts": may("model diagnostics", others="orjson"),
    "compiler": may("language resolve checks backends rendering model diagnostics"),
    "explain": may("model conventions promql diagnostics.Place"),
    "proof": may("model conventions diagnostics.Place promql explain backends.prometheus", others="rstr"),
    "history": may("model conventions diagnostics.Place", others="numpy"),
    "live": may("model conventions prometheus promql diagnostics"),
    "live.history": may("live history model conventions prometheus promql", others="numpy"),
    "live.remote_write": may("history.tiles prometheus", others="numpy"),
    "live.backfill": may("live.history live.remote_write history model conventions prometheus promql", others="numpy"),
    "live.traffic": may("live model conventions prometheus promql"),
    "live.why": may("live.traffic history model conventions prometheus promql", others="numpy"),
    "canary": may(),
    "canary.analysis": may("model history.counting", others="numpy"),
    "canary.source": may("canary.analysis model prometheus promql", others="numpy"),
    "canary.judging": may("canary.analysis canary.source model"),
    "canary.backtest": may("canary.analysis canary.judging canary.source model", others="numpy"),
    "canary.recording": may("canary.analysis canary.judging model diagnostics.Place", others="numpy pydantic"),
    "canary.audit": may(others="sqlalchemy"),
    "canary.server": may(
        "canary model conventions prometheus instrumentation",
        others="starlette uvicorn h11 pydantic prometheus_client",
    ),
    "instrumentation": may(
        others="opentelemetry prometheus_client httpx orjson",
        inside_calls="language resolve diagnostics starlette opentelemetry.instrumentation.fastapi botocore "
        "aiohttp celery django dramatiq flask grpc requests rq urllib3 werkzeug yarl",
    ),
    "instrumentation.aiohttp_server": may("instrumentation", others="aiohttp"),
    "cli": may("*", others="click rich orjson yaml"),
}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name: `name` is dotted and whole, `lazy` when importing the module does not run it."""

    name: str
    line: int
    lazy: bool


def offences(root: Path) -> list[str]:
    """Each import below the package folder `root` that the table does not allow, as `file:line: what`."""
    return [offence for file in sorted(root.rglob("*.py")) for offence in offences_of(file, root)]


def offences_of(file: Path, root: Path) -> Iterator[str]:
    """The imports of one module that its row does not allow."""
    package = root.name
    module = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix("__init__").removesuffix(".")
    shown = file.relative_to(root.parent)
    row = row_of(module)
    if row is None:
        yield f"{shown}:1: no row of the import table covers {package}.{module}; add one"
        return
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for found in imports(tree, f"{package}.{module}".strip("."), is_package=file.name == "__init__.py"):
        if (why := objection(found, row, package)) is not None:
            yield f"{shown}:{found.line}: {row or package} may not import {found.name}{why}"


def row_of(module: str) -> str | None:
    """The longest row that covers a module below the package."""
    rows = [row for row in TABLE if row and below(module, row)]
    return max(rows, key=len) if rows else ("" if module == "" else None)


def below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


def objection(found: Import, row: str, package: str) -> str | None:
    """What to add to "may not import X", or None when the row allows the import."""
    if found.name.split(".")[0] in sys.stdlib_module_names:
        return None
    always = names(TABLE[row].sloctl, TABLE[row].others, package) | {f"{package}.errors"}
    if row:
        always.add(f"{package}.{row}")
    inside_calls = names(TABLE[row].inside_calls, TABLE[row].inside_calls, package)
    matching = [entry for entry in always | inside_calls if below(found.name, entry)]
    if not matching:
        return ""
    return " outside of a function" if max(matching, key=len) in inside_calls and not found.lazy else None


def names(own: frozenset[str], others: frozenset[str], package: str) -> set[str]:
    """The entries of a row as they are imported; `*` is the whole package."""
    return {package if name == "*" else f"{package}.{name}" for name in own} | others


def imports(tree: ast.Module, module: str, is_package: bool) -> list[Import]:
    """Every import of a module, `from a import b` as `a.b`; imports by a computed name as `importlib`'s."""
    finder = Finder(module if is_package else module.rpartition(".")[0])
    finder.visit(tree)
    return finder.found


class Finder(ast.NodeVisitor):
    """Collects imports and whether they stand where importing the module does not run them."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.found: list[Import] = []
        self.lazy = False

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [Import(alias.name, node.lineno, self.lazy) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        start = self.package.rsplit(".", node.level - 1)[0] if node.level else ""
        source = ".".join(part for part in (start, node.module) if part)
        self.found += [Import(f"{source}.{alias.name}", node.lineno, self.lazy) for alias in node.names]

    def visit_Call(self, node: ast.Call) -> None:
        if ast.unparse(node.func) in {"__import__", "import_module", "importlib.import_module"}:
            self.found.append(Import("a module by a computed name", node.lineno, lazy=False))
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_lazily(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_lazily(node)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            self._visit_lazily(node)
        else:
            self.generic_visit(node)

    def _visit_lazily(self, node: ast.AST) -> None:
        before, self.lazy = self.lazy, True
        self.generic_visit(node)
        self.lazy = before


PAGE: Final = Path(__file__).parents[1] / "docs" / "architecture.md"
_SHOWN: Final = re.compile(r"(<!-- import table: begin .*? -->\n).*?(<!-- import table: end -->)", re.DOTALL)


def page() -> str:
    """docs/architecture.md with the table as it is."""
    rows = [f"| `{name or 'sloctl'}` | {written(row)} |\n" for name, row in TABLE.items()]
    table = "".join(["| module | may import |\n|---|---|\n", *rows])
    return _SHOWN.sub(lambda found: found[1] + table + found[2], PAGE.read_text(encoding="utf-8"))


def written(row: May) -> str:
    """What a module may import, in Markdown."""
    always = [f"`{name}`" for name in sorted(row.sloctl) + sorted(row.others)]
    inside = ", ".join(f"`{name}`" for name in sorted(row.inside_calls))
    return ", ".join(always + ([f"({inside})"] if inside else [])) or "nothing"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
