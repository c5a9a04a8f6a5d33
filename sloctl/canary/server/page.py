"""Verdicts as one HTML page with a picture of the evidence of each; it needs no script and nothing from elsewhere."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sloctl.canary.analysis.counts import CheckCounts
from sloctl.canary.analysis.question import Question
from sloctl.canary.analysis.story import Story, stories
from sloctl.canary.analysis.verdict import RolloutClock, as_json
from sloctl.canary.analysis.wording import grouped, odds, percent
from sloctl.canary.audit.chain import Entry, Kind
from sloctl.canary.audit.store import Store
from sloctl.canary.judging import Judged
from sloctl.canary.recording import recorded_counts, service_from
from sloctl.canary.server.answers import moment
from sloctl.model.catalogue import Service

WIDTH, HEIGHT, LEFT, GAP = 780, 150, 80, 34
MOST_POWERS: Final = 12
"""Evidence of more powers of ten is drawn as so many: it is decided long before."""
SETTLED: Final = 3
"""The interval of the first looks is wider than what is worth drawing."""
STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;max-width:860px;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.3rem}h2{font-size:1.05rem;margin:2.2rem 0 .2rem}
p{margin:.25rem 0}.promote{color:#176f2c}.rollback{color:#b3261e}.continue{color:#8a5a00}
table{border-collapse:collapse;margin:.5rem 0}td,th{padding:.15rem .7rem .15rem 0;text-align:left;vertical-align:top}
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#57606a}
.line{fill:none;stroke:#0b57d0;stroke-width:1.6}.band{fill:#0b57d0;opacity:.15}.zero{stroke:#9aa4af}
.limit{stroke:#b3261e;stroke-dasharray:4 3}.masked{fill:#9aa4af;opacity:.3}.crossed{stroke:#b3261e}
@media (prefers-color-scheme:dark){body{color:#e6e8eb;background:#15181c}svg text{fill:#a9b1ba}
.line{stroke:#8ab4f8}.band{fill:#8ab4f8}.promote{color:#7fd48f}.rollback{color:#f2a19b}.continue{color:#e8c268}}
"""


def decisions_page(title: str, store: Store, decisions: Sequence[Entry]) -> str:
    """The page of these decisions."""
    return _page(title, [line for entry in decisions for line in _of_entry(store, entry)])


def looks_page(title: str, looked: Sequence[tuple[Service, Judged]]) -> str:
    """The page of looks that nobody recorded."""
    return _page(title, [line for service, judged in looked for line in _of_look(service, judged)])


def _page(title: str, lines: Sequence[str]) -> str:
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{_text(title)}</title><style>{STYLE}</style>"
    return f"{head}<h1>{_text(title)}</h1>\n{chr(10).join(lines) or '<p>nothing was decided</p>'}\n"


def _of_entry(store: Store, entry: Entry) -> Iterator[str]:
    subject, at = entry.subject, moment(entry.at / 1000)
    if not entry.verdict:
        yield f"<h2>{_text(subject.service)} revision {_text(subject.revision)}</h2>"
        yield f"<p>approved by {_text(entry.caller)} at {at}</p>"
        return
    where = f"{subject.platform}/{subject.service}".strip("/")
    what = f"{where}: {subject.canary} against {subject.stable}, revision {subject.revision or '-'}, step {entry.step}"
    yield f'<h2 id="{entry.id}">{_text(what)}</h2>'
    yield from _said(json.loads(entry.body), f"{at}, asked by {entry.caller}")
    if entry.evidence:
        yield from map(_figure, _recorded_stories(store, entry))
    else:
        yield "<p>The counts of this decision were pruned.</p>"


def _of_look(service: Service, judged: Judged) -> Iterator[str]:
    verdict = judged.verdict
    yield f"<h2>{_text(f'{service.name}: {verdict.canary} against {verdict.stable}')}</h2>"
    clock = verdict.clock
    yield from _said(as_json(verdict), "" if clock is None else f"{moment(clock.end)}, step {clock.step}")
    yield from map(_figure, _stories(service, judged.counts, clock))


def _said(details: Mapping[str, Any], when: str) -> Iterator[str]:
    """A verdict in words and numbers."""
    word = details["verdict"]
    yield f"<p><b class={word}>{word}</b> ({_text(details['reason'])}), {_text(when)}</p>"
    yield f"<p>{_text(details['sentence'])}</p>"
    yield from (f"<p>warning: {_text(text)}</p>" for text in details["warnings"])
    if advice := details.get("advice"):
        yield f"<p>Now: {_text(advice)}.</p>"
    yield _numbers(details["checks"])


def _numbers(checks: Sequence[dict[str, Any]]) -> str:
    rows = []
    for check in checks:
        arms = [
            "-" if arm is None or arm["rate"] is None else f"{percent(arm['rate'])} of {grouped(arm['n'])}"
            for arm in (check["canary"], check["baseline"])
        ]
        harm, enough = (odds(check[name]) for name in ("e_rollback", "threshold"))
        crossed, seen = check.get("crossed_at"), check.get("processes")
        rows.append(
            [check["name"], *arms, " / ".join(map(str, seen or [])), f"{harm}; {enough} is enough", _clock(crossed)]
        )
    head = ["check", "canary failed", "baseline failed", "pods", "harm, by chance", "since"]
    names = "".join(f"<th>{name}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{names}</tr>{body}</table>"


def _recorded_stories(store: Store, entry: Entry) -> list[Story]:
    found = store.find(Kind.CONFIGURATION, entry.config)
    if len(found) != 1:
        return []
    service = service_from(found[0].evidence)
    return _stories(service, *recorded_counts(entry.evidence, service))


def _stories(service: Service, counts: Mapping[str, CheckCounts], clock: RolloutClock | None) -> list[Story]:
    if clock is None or service.canary is None or not counts:
        return []
    return list(stories(counts, Question(service.canary, {slo.name: slo for slo in service.slos}, clock)))


def _figure(story: Story) -> str:
    """Two panels over the same time: the difference of the error ratios, and the evidence of harm."""
    powers = [min(value / math.log(10), MOST_POWERS) for value in story.evidence.tolist()]
    threshold = story.threshold / math.log(10)
    shown = [
        value for value in (*story.interval[0].tolist()[3:], *story.interval[1].tolist()[3:]) if math.isfinite(value)
    ]
    top = max([*(100 * abs(value) for value in shown), 0.1])
    first = _Panel(0, -top, top, len(powers))
    second = _Panel(HEIGHT + GAP, 0, max(*powers, threshold * 1.2), len(powers))
    low, high = ([100 * value for value in side.tolist()] for side in story.interval)
    parts = [
        first.masks(story.masked.tolist()),
        first.band(low, high),
        first.level(0, "zero"),
        first.line([100 * value for value in story.difference.tolist()]),
        first.label(f"{_text(story.check)}: the canary's errors less the baseline's, with what they may be (99%)"),
        first.ticks(f"{top:.2g}%", f"-{top:.2g}%"),
        second.masks(story.masked.tolist()),
        second.level(threshold, "limit"),
        second.line(powers),
        second.label("evidence of harm; above the dashed line the canary is rolled back; in grey both versions fail"),
        second.ticks(f"1 in 10^{second.high:.0f}", "none"),
        f'<text x="{LEFT}" y="{2 * HEIGHT + GAP + 26}">{_clock(float(story.times[0]))}</text>',
        f'<text x="{WIDTH}" y="{2 * HEIGHT + GAP + 26}" text-anchor="end">{_clock(float(story.times[-1]))}</text>',
    ]
    if story.crossed is not None:
        parts += [panel.mark(story.crossed) for panel in (first, second)]
        said = f"harm shown at {_clock(float(story.times[story.crossed]))}"
        parts.append(f'<text x="{WIDTH / 2}" y="{2 * HEIGHT + GAP + 26}" text-anchor="middle">{said}</text>')
    size = f"0 0 {WIDTH + 10} {2 * HEIGHT + GAP + 34}"
    title = f"Evidence of {_text(story.check)} over time"
    return f'<svg viewBox="{size}" role="img" aria-label="{title}"><title>{title}</title>{"".join(parts)}</svg>'


class _Panel:
    """Points of one panel; values outside of it are drawn at its edge."""

    def __init__(self, top: float, low: float, high: float, points: int) -> None:
        self.top, self.low, self.high, self.points = top + 16, low, high, points

    def x(self, index: float) -> float:
        return LEFT + (WIDTH - LEFT) * index / max(1, self.points - 1)

    def y(self, value: float) -> float:
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.top + (HEIGHT - 16) * (1 - part)

    def at(self, pairs: Sequence[tuple[int, float]]) -> str:
        return " ".join(f"{self.x(index):.1f},{self.y(value):.1f}" for index, value in pairs if math.isfinite(value))

    def line(self, values: Sequence[float]) -> str:
        return f'<polyline class="line" points="{self.at(list(enumerate(values)))}"/>'

    def band(self, low: Sequence[float], high: Sequence[float]) -> str:
        there, back = list(enumerate(high)), list(enumerate(low))[::-1]
        return f'<polygon class="band" points="{self.at(there)} {self.at(back)}"/>'

    def level(self, value: float, kind: str) -> str:
        y = f"{self.y(value):.1f}"
        return f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH}" y1="{y}" y2="{y}"/>'

    def masks(self, masked: Sequence[bool]) -> str:
        width = (WIDTH - LEFT) / max(1, self.points - 1)
        here = (self.x(index - 1) for index, flag in enumerate(masked) if flag and index)
        size = f'y="{self.top}" width="{width:.1f}" height="{HEIGHT - 16}"'
        return "".join(f'<rect class="masked" x="{x:.1f}" {size}/>' for x in here)

    def mark(self, index: int) -> str:
        x, bottom = f"{self.x(index):.1f}", self.top + HEIGHT - 16
        return f'<line class="crossed" x1="{x}" x2="{x}" y1="{self.top}" y2="{bottom}"/>'

    def label(self, text: str) -> str:
        return f'<text x="{LEFT}" y="{self.top - 5}">{text}</text>'

    def ticks(self, high: str, low: str) -> str:
        ends = ((self.top + 9, high), (self.top + HEIGHT - 16, low))
        return "".join(f'<text x="{LEFT - 6}" y="{y}" text-anchor="end">{text}</text>' for y, text in ends)


def _clock(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def _text(value: object) -> str:
    return html.escape(str(value))
