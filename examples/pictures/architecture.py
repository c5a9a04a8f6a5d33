"""The parts of sloctl and what flows between them, as docs/pictures/architecture.svg.

python -m examples.pictures.architecture

Every module of sloctl/ has a box; a test compares the boxes with the tree, and the picture with this script.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import Final

from testing.servers import ROOT

PICTURE: Final = ROOT / "docs/pictures/architecture.svg"
COLUMN, ROW = 150, 84
WIDTH, HEIGHT = 128, 50
MARGIN, HEAD = 18, 34


@dataclass(frozen=True, slots=True)
class Box:
    """One box: where it stands on the grid, what it is called, and what it does in a few words.

    Attributes:
        outside: something that is no module of ours: files, servers, people's services.
    """

    name: str
    column: float
    row: float
    does: str
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Lane:
    """A band of rows with a title."""

    title: str
    row: float
    rows: float


def backends() -> str:
    """The backends that there are, by their folders."""
    found = [path.parent.name for path in sorted((ROOT / "sloctl/backends").glob("*/__init__.py"))]
    return ", ".join(found)


LANES: Final = (
    Lane("A. compiler: pure functions; only the two ends touch the disk", 0, 2),
    Lane("B. what a running Prometheus says: proofs, status, canary verdicts", 2, 2),
    Lane("C. instrumentation: what a service imports; independent of the rest", 4, 1),
)
BOXES: Final = (
    Box("slo-specs/", 0, 0, "what people write", outside=True),
    Box("language", 1, 0, "YAML to documents"),
    Box("resolve", 2, 0, "documents to model"),
    Box("model", 3, 0, "SLOs as meant"),
    Box("backends", 4, 0, backends()),
    Box("rendering", 5, 0, "canonical YAML, JSON"),
    Box("artifacts", 6, 0, "write all, or none"),
    Box("rules/", 7, 0, "and dashboards/", outside=True),
    Box("cli", 0, 1, "one file a command"),
    Box("diagnostics", 1, 1, "file:line:column"),
    Box("promql", 2, 1, "selectors on the AST"),
    Box("checks", 3, 1, "opinions with a code"),
    Box("conventions", 4, 1, "every name, once"),
    Box("compiler", 5, 1, "the line as a whole"),
    Box("errors", 6, 1, "why it cannot go on"),
    Box("dialects", 0, 2, "other tools' files"),
    Box("live", 1, 2, "status, why, backfill"),
    Box("history", 2, 2, "replay, incidents"),
    Box("canary.audit", 3, 2, "hash-chained store"),
    Box("explain", 4, 2, "when it fires, what changes"),
    Box("proof", 5, 2, "that it fires, in promtool"),
    Box("promtool", 6, 2, "Prometheus' engine", outside=True),
    Box("Prometheus", 0, 3, "or Thanos, Mimir", outside=True),
    Box("prometheus", 1, 3, "the one client"),
    Box("canary", 2, 3, "statistics, verdict"),
    Box("canary.server", 3, 3, "webhook"),
    Box("Argo Rollouts", 4, 3, "asks, and waits", outside=True),
    Box("discovery", 5, 3, "SLOs for what is there"),
    Box("alertmanager", 6, 3, "checked, and drilled"),
    Box("other services", 0, 4, "calls and messages", outside=True),
    Box("carriers", 1, 4, "queues, streams, MQTT"),
    Box("instrumentation", 2, 4, "ID, metrics, logs"),
    Box("/metrics", 3, 4, "the series rules read", outside=True),
    Box("logs, spans", 4, 4, "as JSON lines", outside=True),
    Box("sloctl trace", 5, 4, "one ID to its cause", outside=True),
)
FLOWS: Final = (
    ("slo-specs/", "language"), ("language", "resolve"), ("resolve", "model"), ("model", "backends"),
    ("backends", "rendering"), ("rendering", "artifacts"), ("artifacts", "rules/"),
    ("language", "diagnostics"), ("promql", "resolve"), ("model", "checks"), ("conventions", "backends"),
    ("explain", "proof"), ("proof", "promtool"), ("Prometheus", "prometheus"), ("prometheus", "live"),
    ("live", "history"), ("prometheus", "canary"),
    ("Argo Rollouts", "canary.server"), ("canary.server", "canary"), ("canary.server", "canary.audit"),
    ("instrumentation", "carriers"), ("carriers", "other services"), ("instrumentation", "/metrics"),
    ("logs, spans", "sloctl trace"),
)  # fmt: skip
STYLE: Final = """\
text{font:12px system-ui,sans-serif;fill:#1f2937;text-anchor:middle}
.name{font-weight:600;font-size:13px}.does{fill:#4b5563;font-size:10.5px}
.lane{fill:#f3f4f6}.title{text-anchor:start;font-weight:600;fill:#374151}
.box{fill:#fff;stroke:#2563eb;stroke-width:1.4}.outside{fill:#fef3c7;stroke:#b45309;stroke-dasharray:4 3}
.flow{stroke:#6b7280;stroke-width:1.4;fill:none;marker-end:url(#arrow)}"""


def left(box: Box) -> float:
    return MARGIN + 6 + box.column * COLUMN


def top(box: Box) -> float:
    return HEAD * (1 + sum(lane.row <= box.row for lane in LANES) - 1) + MARGIN + box.row * ROW


def lane(one: Lane) -> Iterator[str]:
    first = top(Box("", 0, one.row, ""))
    width = 8 * COLUMN + MARGIN - 12
    height = one.rows * ROW + HEAD - 12
    yield f'<rect class="lane" x="{MARGIN - 8}" y="{first - HEAD + 4:g}" width="{width}" height="{height:g}" rx="8"/>'
    yield f'<text class="title" x="{MARGIN + 4}" y="{first - 12:g}">{escape(one.title)}</text>'


def box(one: Box) -> Iterator[str]:
    x, y, middle = left(one), top(one), left(one) + WIDTH / 2
    kind = "box outside" if one.outside else "box"
    yield f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
    yield f'<text class="name" x="{middle:g}" y="{y + 21:g}">{escape(one.name)}</text>'
    lines = wrap(one.does, 22)
    for number, line in enumerate(lines):
        offset = 37 if len(lines) == 1 else 33 + 11 * number
        yield f'<text class="does" x="{middle:g}" y="{y + offset:g}">{escape(line)}</text>'


def flow(start: Box, end: Box) -> str:
    """An arrow to the right, to the left, up or down between neighbours."""
    if start.row != end.row:
        x, down = left(start) + WIDTH / 2, end.row > start.row
        ends = (top(start) + (HEIGHT if down else 0), top(end) + (-2 if down else HEIGHT + 2))
        return f'<path class="flow" d="M{x:g} {ends[0]:g}V{ends[1]:g}"/>'
    y, right = top(start) + HEIGHT / 2, end.column > start.column
    ends = (left(start) + (WIDTH if right else 0), left(end) + (-2 if right else WIDTH + 2))
    return f'<path class="flow" d="M{ends[0]:g} {y:g}H{ends[1]:g}"/>'


def picture() -> str:
    """The whole SVG."""
    named = {box.name: box for box in BOXES}
    parts = [line for each in LANES for line in lane(each)]
    parts += [flow(named[start], named[end]) for start, end in FLOWS]
    parts += [line for each in BOXES for line in box(each)]
    width, height = 8 * COLUMN + 2 * MARGIN - 16, top(Box("", 0, 5, "")) - 10
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" role="img">'
    title = "<title>The parts of sloctl and what flows between them</title>"
    arrow = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#6b7280"/></marker></defs>'
    )
    background = f'<rect width="{width}" height="{height:g}" fill="#fff"/>'
    return "\n".join([head, title, f"<style>{STYLE}</style>", arrow, background, *parts, "</svg>", ""])


def main() -> None:
    PICTURE.write_text(picture(), encoding="utf-8")
    print(f"wrote {PICTURE.relative_to(Path.cwd()) if PICTURE.is_relative_to(Path.cwd()) else PICTURE}")


if __name__ == "__main__":
    main()
