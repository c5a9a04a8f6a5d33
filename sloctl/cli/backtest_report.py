"""The result of a backtest for people, pull requests and programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, assert_never

from sloctl.cli.report import counted, escaped
from sloctl.history.backtest import PAGES, PolicyResult, SloResult, Span, TierResult
from sloctl.history.incidents import Incident
from sloctl.history.suggest import front, objective
from sloctl.model.alerting import BudgetLeft, Burn, ErrorRate, Severity, Tier
from sloctl.model.quantities import Duration, number, percent

if TYPE_CHECKING:
    from sloctl.history.backtest import Backtest
    from sloctl.live.history import Past

BEFORE: Final = "before"
_SOURCES: Final = {
    "tiles": "recorded tiles",
    "samples": "raw samples counted here",
    "query": "the expression of its tile",
}
_COLUMNS: Final = (
    *("tier", "severity", "judged", "sent", "sent_most", "right", "precision", "recall"),
    *("detection_seconds", "reset_seconds", "longest_seconds"),
)
_NOTHING: Final = "–"
_MEASURED: Final = 0.995
"""A span that is measured so far has no gaps worth a word."""


def described(past: Past, result: SloResult, notes: tuple[str, ...] = ()) -> SloResult:
    """With where it comes from, and what else should be known."""
    sources = tuple(source.value for source in past.sources)
    return replace(result, measured=past.measured, sources=sources, notes=(*past.notes, *notes))


def shown_time(moment: int) -> str:
    """A moment in Unix milliseconds, in UTC."""
    return f"{datetime.fromtimestamp(moment / 1000, UTC):%Y-%m-%d %H:%M}"


def length(milliseconds: float | None) -> str:
    """A length as people say it: two units are enough."""
    if milliseconds is None:
        return _NOTHING
    seconds = round(milliseconds / 1000)
    for unit, size, below, smaller in (("d", 86_400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size}{unit}" + (f"{rest}{below}" if rest else "")
    return f"{seconds}s"


def share(ratio: float | None) -> str:
    """A ratio in whole percent; what is nearly nothing keeps a digit."""
    if ratio is None:
        return _NOTHING
    return f"{ratio:.1%}" if abs(ratio) < 0.1 else f"{ratio:.0%}"


@dataclass(frozen=True, slots=True)
class Report:
    """All that a backtest found.

    Attributes:
        significant: share of the budget that a significant incident spent.
        suggested: YAML by the name of the SLO.
        against: what `before` is, as it was named.
    """

    span: Span
    results: tuple[SloResult, ...]
    significant: float
    url: str
    suggested: Mapping[str, str] = field(default_factory=dict)
    against: str | None = None

    def text(self, form: str) -> str:
        """As `text`, `markdown` or `csv`."""
        match form:
            case "csv":
                return self._csv()
            case "markdown":
                return "\n".join(self._markdown()) + "\n"
            case _:
                return self._plain()

    def _head(self) -> str:
        milliseconds = self.span.end - self.span.start
        days = milliseconds / 86_400_000
        lasts = f"{days:.3g} days" if days >= 1 else length(milliseconds)
        pages = sum(len(result.written.pages.notifications) for result in self.results)
        right = sum(result.written.pages.right for result in self.results)
        tickets = sum(len(result.written.tickets.notifications) for result in self.results)
        return (
            f"{shown_time(self.span.start)} to {shown_time(self.span.end)} UTC ({lasts}): "
            f"{counted(pages, 'page')}, {right} of them worth it; {counted(tickets, 'ticket')}"
        )

    def _plain(self) -> str:
        from rich.console import Console

        from sloctl.cli.report import plain_console

        into = io.StringIO()
        console = Console(file=into, width=plain_console().width, no_color=True, highlight=False)
        console.print(self._head(), markup=False)
        for result in self.results:
            console.print()
            console.print(escaped(f"{result.name}: {_measured(result)}"), markup=False)
            for head, rows in _tables(result, self.significant):
                console.print(_rich(head, rows))
            for sentence in self._sentences(result):
                console.print(escaped(sentence), markup=False)
            if result.name in self.suggested:
                console.print(self.suggested[result.name], markup=False)
        return "\n".join(line.rstrip() for line in into.getvalue().splitlines()) + "\n"

    def _markdown(self) -> Iterator[str]:
        yield f"**What it would have paged**, {self._head()}"
        for result in self.results:
            yield ""
            yield f"### {_cell(result.name)}"
            yield ""
            yield f"{_measured(result)[0].upper()}{_measured(result)[1:]}."
            for head, rows in _tables(result, self.significant):
                yield ""
                yield "| " + " | ".join(head) + " |"
                yield "|" + "---|" * len(head)
                yield from ("| " + " | ".join(map(_cell, row)) + " |" for row in rows)
            sentences = list(self._sentences(result))
            if sentences:
                yield ""
                yield from (f"- {_cell(sentence)}" for sentence in sentences)
            if result.name in self.suggested:
                yield from ("", "```yaml", self.suggested[result.name].rstrip(), "```")

    def _sentences(self, result: SloResult) -> Iterator[str]:
        yield from result.notes
        if young := [tier.name for tier in result.written.tiers if not tier.judged]:
            yield f"not judged, as the past does not fill their windows: {', '.join(young)}"
        for known in result.unseen:
            yield f"{known.name or 'the incident'} of {shown_time(known.start)} left no trace in this SLI"
        for policy in result.policies[1:]:
            if policy.name == BEFORE:
                yield f"Compared with {self.against}: {'; '.join(differences(result, policy)) or 'nothing changes'}"

    def _csv(self) -> str:
        into = io.StringIO()
        writer = csv.writer(into, lineterminator="\n")
        writer.writerow(("slo", "policy", *_COLUMNS))
        for result in self.results:
            for policy in result.policies:
                for tier in policy.tiers:
                    value = _tier_value(tier)
                    writer.writerow((result.name, policy.name, *(value[name] for name in _COLUMNS)))
        return into.getvalue()

    def value(self) -> dict[str, Any]:
        """For programs: seconds and ratios, moments in RFC 3339."""
        return {
            "start": _rfc(self.span.start),
            "end": _rfc(self.span.end),
            "significant": self.significant,
            "slos": [self._value(result) for result in self.results],
        }

    def _value(self, result: SloResult) -> dict[str, Any]:
        return {
            "platform": result.slo.platform,
            "slo": result.slo.id,
            "service": result.slo.service,
            "split": dict(result.split),
            "objective": float(result.slo.objective.ratio),
            "window": str(result.slo.window),
            "measured": result.measured,
            "sources": list(result.sources),
            "notes": list(result.notes),
            "spent": result.spent,
            "policies": [_policy_value(policy) for policy in result.policies],
            "incidents": [
                _incident_value(one, [policy.told[index] for policy in result.policies], result.policies)
                for index, one in enumerate(result.significant)
            ],
            "unseen_incidents": [known.name for known in result.unseen],
            "suggested": self.suggested.get(result.name),
        }


def _measured(result: SloResult) -> str:
    """What it is and how much of the past is known."""
    from_ = " before it ".join(_SOURCES[source] for source in result.sources)
    gaps = "" if result.measured > _MEASURED else f"{result.measured:.1%} of the time is measured, "
    spent = "no events" if result.spent is None else f"{share(result.spent)} of a window's budget spent"
    return f"{result.slo.objective} over {result.slo.window}, {gaps}{spent}, from {from_}"


def _tables(result: SloResult, significant: float) -> Iterator[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    several = len(result.policies) > 1
    head = ("tier", "sent", "worth it", "told", "detection", "reset", "longest")
    rows = [
        (*((_policy_name(policy),) if several else ()), *row) for policy in result.policies for row in _rows(policy)
    ]
    yield (("policy", *head) if several else head), rows
    title = f"incident of {share(significant)} of the budget and more"
    if result.significant:
        incidents = [_incident_row(result, index) for index in range(len(result.significant))]
        yield (title, "length", "worst burn", "budget", "told"), incidents


def _policy_name(policy: PolicyResult) -> str:
    return policy.name or "as written"


def _rows(policy: PolicyResult) -> Iterator[tuple[str, ...]]:
    for tier in policy.tiers:
        if not tier.judged:
            yield (tier.name, "not judged", *[_NOTHING] * 5)
            continue
        score, least, most = tier.score, tier.least, tier.most
        kind = "page" if tier.tier.severity in PAGES else "ticket"
        sent = counted(most, kind) if least == most else f"{least} to {counted(most, kind)}"
        told = f"{sum(one.after is not None for one in score.told)} of {len(score.told)}"
        yield (
            tier.name,
            sent,
            share(score.precision),
            told,
            length(score.detection),
            length(score.reset),
            length(tier.longest or None),
        )
    if len(policy.tiers) > 1:
        known = sum(any(after is not None for after in one.values()) for one in policy.told)
        pages, tickets = len(policy.pages.notifications), len(policy.tickets.notifications)
        sent, told = f"{counted(pages, 'page')}, {counted(tickets, 'ticket')}", f"{known} of {len(policy.told)}"
        yield ("together", sent, share(policy.precision), told, length(policy.pages.detection), "", "")


def _incident_row(result: SloResult, index: int) -> tuple[str, ...]:
    one = result.significant[index]
    told = [_told(policy.told[index]) for policy in result.policies]
    names = [f"{_policy_name(policy)}: {words}" for policy, words in zip(result.policies, told, strict=True)]
    name = f" {one.name}" if one.name else ""
    words = told[0] if len(set(told)) == 1 else "; ".join(names)
    return shown_time(one.start) + name, length(one.end - one.start), f"{one.worst:.3g}", share(one.spent), words


def _told(after: Mapping[Severity, int | None]) -> str:
    words = [f"{severity.value} after {length(late)}" for severity, late in after.items() if late is not None]
    return ", ".join(words) or "nobody"


def _first(after: Mapping[Severity, int | None]) -> int | None:
    return min((late for late in after.values() if late is not None), default=None)


def differences(result: SloResult, before: PolicyResult) -> list[str]:
    """What is written now does otherwise, in sentences."""
    written, found = result.written, list[str]()
    for kind, now, then in (("page", written.pages, before.pages), ("ticket", written.tickets, before.tickets)):
        more = len(now.notifications) - len(then.notifications)
        if more:
            found.append(f"{counted(abs(more), kind)} {'more' if more > 0 else 'fewer'}")
    for incident, told, was in zip(result.significant, written.told, before.told, strict=True):
        late, earlier = _first(told), _first(was)
        what = f"incident of {shown_time(incident.start)} ({share(incident.spent)} of the budget)"
        if late is None and earlier is not None:
            found.append(f"{what} is told to nobody any more")
        elif late is not None and earlier is None:
            found.append(f"{what} is told, after {length(late)}")
        elif late is not None and earlier is not None and late != earlier:
            found.append(f"{what} is told {length(abs(late - earlier))} {'later' if late > earlier else 'earlier'}")
    return found


def suggestion(looked: Backtest, result: SloResult) -> str:
    """An objective and tiers, as YAML to paste."""
    tiles = looked.history.tiles.between(looked.span.start, looked.span.end)
    wanted = objective(looked.slo, tiles)
    if wanted is None:
        lines = [f"# no objective: the past holds no whole window of {looked.slo.window}, or keeps not even 90%"]
    else:
        lines = ["# kept in 95 % of the windows with a fifth of the budget to spare", f"objective: {wanted}"]
    best = front(looked.slo, looked.history, result.significant, looked.span.start)
    if not best:
        return "\n".join([*lines, "# no tiers: nothing significant happened that any of them would have told"]) + "\n"
    lines.append("# choose one: no other tier is better in pages, incidents told and detection at once")
    lines.append("alerts:")
    for candidate in best:
        score = candidate.score
        told = f"{sum(one.after is not None for one in score.told)} of {len(score.told)}"
        count = counted(len(score.notifications), "page")
        lines.append(f"  - {written_tier(candidate.tier)}   # {count}, told {told}, after {length(score.detection)}")
    return "\n".join(lines) + "\n"


def written_tier(tier: Tier) -> str:
    """A tier as a specification has it."""
    match tier.trigger:
        case Burn(rate):
            keys = {"burn": number(rate)}
        case ErrorRate(ratio):
            keys = {"error_rate": percent(ratio)}
        case BudgetLeft(ratio):
            keys = {"budget_left": percent(ratio)}
        case _:
            assert_never(tier.trigger)
    lengths: dict[str, Duration | None] = {"over": tier.over, "also_over": tier.also_over, "for": tier.for_}
    keys |= {key: str(value) for key, value in lengths.items() if value}
    keys |= {key: str(value) for key, value in (("min_events", tier.min_events), ("min_bad", tier.min_bad)) if value}
    return "{" + ", ".join(f"{key}: {value}" for key, value in {"severity": tier.severity.value, **keys}.items()) + "}"


def _tier_value(tier: TierResult) -> dict[str, Any]:
    score = tier.score
    return {
        "tier": tier.name,
        "severity": tier.tier.severity.value,
        "judged": tier.judged,
        "sent": tier.least,
        "sent_most": tier.most,
        "right": score.right,
        "precision": score.precision,
        "recall": score.recall,
        "detection_seconds": _seconds(score.detection),
        "reset_seconds": _seconds(score.reset),
        "longest_seconds": _seconds(tier.longest),
        "notifications": [{"start": _rfc(one.start), "end": _rfc(one.end)} for one in score.notifications],
    }


def _policy_value(policy: PolicyResult) -> dict[str, Any]:
    return {
        "policy": policy.name,
        "pages": len(policy.pages.notifications),
        "pages_worth_it": policy.pages.right,
        "tickets": len(policy.tickets.notifications),
        "precision": policy.precision,
        "recall": policy.recall,
        "detection_seconds": _seconds(policy.pages.detection),
        "tiers": [_tier_value(tier) for tier in policy.tiers],
    }


def _incident_value(
    one: Incident, told: Sequence[Mapping[Severity, int | None]], policies: Sequence[PolicyResult]
) -> dict[str, Any]:
    return {
        "start": _rfc(one.start),
        "end": _rfc(one.end),
        "name": one.name,
        "spent": one.spent,
        "worst_burn": one.worst,
        "total": one.total,
        "bad": one.bad,
        "told_after_seconds": {
            policy.name: {severity.value: _seconds(after) for severity, after in each.items()}
            for policy, each in zip(policies, told, strict=True)
        },
    }


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _rfc(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cell(text: str) -> str:
    """Text that opens nothing in Markdown."""
    return escaped(text).replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")


def _rich(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE, pad_edge=False)
    numbers = {"worth it", "detection", "reset", "longest", "length", "worst burn", "budget"}
    for column in head:
        made.add_column(column, justify="right" if column in numbers else "left")
    for row in rows:
        made.add_row(*(Text(escaped(cell)) for cell in row))
    return made
