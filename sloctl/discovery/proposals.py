"""What was found as specifications: objectives that history has kept, bounds that the buckets have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from sloctl.discovery.reading import Found, Seen, find, history, metric_names, unknown
from sloctl.discovery.sources import Read, sources
from sloctl.language.writing import yaml_text
from sloctl.model.quantities import Duration, Rate, percent
from sloctl.prometheus import PrometheusClient
from sloctl.promql.lift import bound_text

_OBJECTIVES: Final = tuple(
    Decimal(share) / 100
    for share in ("50", "75", "90", "95", "98", "99", "99.5", "99.8", "99.9", "99.95", "99.98", "99.99")
)
_SPENT: Final = Decimal("0.8")
"""An objective is proposed where history would have spent at most this part of its budget."""
_FAST: Final = 0.99
"""The bound is the lowest bucket that so many observations lie in."""
_NOT_NAME: Final = re.compile(r"[^a-z0-9]+")


@dataclass(slots=True)
class Proposal:
    """One service.

    Attributes:
        service: its name.
        uses: the templates, each with what was seen.
        others: templates that are left out, as comments, each with the reason.
        disabled: SLOs of the templates that the data cannot fill.
    """

    service: str
    uses: list[tuple[list[str], dict[str, Any]]] = field(default_factory=list)
    others: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    slos: list[str] = field(default_factory=list)

    def text(self, origin: str) -> str:
        """The specification; `origin` says where it comes from."""
        lines = [f"# Proposed by `sloctl discover` from {origin}", "apiVersion: sloctl/v1", "kind: Service"]
        lines += [f"service: {self.service}", "uses:"] if self.uses else [f"service: {self.service}"]
        for comments, use in self.uses:
            lines += [f"  # {comment}" for comment in comments]
            lines += _indented([use])
        for reason, use in self.others:
            lines += [f"  # {reason}", *(f"  # {line.strip()}" if line.strip() else "" for line in _indented([use]))]
        if self.disabled:
            lines += ["slos:", *_indented([{"name": name, "enabled": False} for name in self.disabled])]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a Prometheus was found to hold.

    Attributes:
        proposals: a service each, by name.
        over: the time that was looked at; shorter than asked for where the targets do not reach back so far.
        unknown: counters of no known source with a label that looks like a status, and that label.
    """

    proposals: list[Proposal]
    over: Duration
    unknown: list[tuple[str, str]]


def discover(client: PrometheusClient, since: Duration, least: Rate) -> Discovery:
    """Specifications for everything that the templates `std/` are about.

    Args:
        client: the Prometheus.
        since: how far back objectives are looked for.
        least: services with fewer events are left out, as comments.
    """
    names, over = metric_names(client), history(client, since)
    found = [one for source in sources() for one in find(source, names, client, over)]
    known = frozenset(metric for source in sources() for metric in source.metrics)
    return Discovery(propose(found, over, least), over, unknown(names, known, client))


def propose(found: Iterable[Found], over: Duration, least: Rate) -> list[Proposal]:
    """A specification for each service, by name.

    Args:
        found: the uses of templates, those in front of a service first.
        over: how long the time is that was looked at.
        least: services with fewer events are left out, as comments.
    """
    proposals = dict[str, Proposal]()
    for name, one in _named(list(found)):
        proposal = proposals.setdefault(name, Proposal(name))
        _add(proposal, one, over, least)
    return [proposals[name] for name in sorted(proposals)]


def _named(found: list[Found]) -> Iterator[tuple[str, Found]]:
    """Each with the name of its service: the first of its labels, all of them where that is not enough."""
    first = [as_service(next(iter(one.arguments.values()))) for one in found]
    known = dict[tuple[str, str], set[tuple[str, ...]]]()
    for name, one in zip(first, found, strict=True):
        known.setdefault((one.source.template, name), set()).add(tuple(one.arguments.values()))
    for name, one in zip(first, found, strict=True):
        alone = len(known[one.source.template, name]) == 1
        yield name if alone else as_service("-".join(one.arguments.values())), one


def as_service(text: str) -> str:
    """A name as specifications have it."""
    return _NOT_NAME.sub("-", text.lower()).strip("-")[:63].strip("-") or "unnamed"


def _add(proposal: Proposal, one: Found, over: Duration, least: Rate) -> None:
    arguments: dict[str, Any] = dict(one.arguments)
    comments, slos, disabled = list[str](), list[str](), list[str]()
    for read in one.source.reads:
        seen = one.seen.get(read.name)
        said = None if seen is None else _say(read, seen, over, arguments)
        if said is None:
            disabled.append(read.name)
        else:
            slos.append(read.name)
            comments.append(f"{read.name}: {said}")
    use = {"template": one.source.template, "with": arguments}
    if (reason := _against(proposal, one, slos, over, least)) is not None:
        proposal.others.append((reason, use))
        return
    proposal.uses.append((comments, use))
    proposal.slos += slos
    proposal.disabled += disabled


def _against(proposal: Proposal, one: Found, slos: list[str], over: Duration, least: Rate) -> str | None:
    """Why a use is left out, if it is."""
    if one.source.bounds:
        return f"{one.source.template}: only you know `{', '.join(one.source.bounds)}`"
    if not slos:
        return f"{one.source.template}: nothing was counted"
    if taken := set(slos) & set(proposal.slos):
        return f"{one.source.template}: a layer nearer to the user has the SLO `{sorted(taken)[0]}` already"
    totals = [seen.total for seen in one.seen.values() if seen.total is not None]
    if totals and Decimal(max(totals)) < least.during(over):
        return f"{one.source.template}: only {max(totals):,.0f} events in {over}"
    return None


def _say(read: Read, seen: Seen, over: Duration, arguments: dict[str, Any]) -> str | None:
    """What was seen, for people; the arguments get what follows from it. None where there is nothing to count."""
    if read.kind == "ratio":
        if not seen.total:
            return None
        bad = min(max(seen.bad / seen.total, 0.0), 1.0)
        return f"{_kept(read, 1 - bad, over, arguments)}, at {seen.total / float(over.seconds):,.3g} events a second"
    if read.kind == "latency":
        return _bounded(read, seen, over, arguments)
    if seen.good_share is not None:
        return _kept(read, seen.good_share, over, arguments)
    return "its series are there"


def _bounded(read: Read, seen: Seen, over: Duration, arguments: dict[str, Any]) -> str | None:
    finite = [(bound, count) for bound, count in seen.buckets if bound.is_finite()]
    whole = seen.buckets[-1][1] if seen.buckets else 0.0
    if not finite or whole <= 0:
        return None
    bound, count = next((each for each in finite if each[1] >= _FAST * whole), finite[-1])
    at_most = bound_text(bound, read.unit or "s")
    arguments[read.at_most] = at_most
    known = " ".join(f"{bound.normalize():f}" for bound, _ in finite)
    return f"{_kept(read, min(count / whole, 1.0), over, arguments)} at or below {at_most}; bounds {known}"


def _kept(read: Read, good: float, over: Duration, arguments: dict[str, Any]) -> str:
    """The objective that history kept, put into the arguments, and what it would have spent."""
    bad = 1 - Decimal(repr(good))
    kept = [objective for objective in _OBJECTIVES if bad <= _SPENT * (1 - objective)] or [_OBJECTIVES[0]]
    said = f"{good:.4%} good in {over}"
    if not read.objective:
        return said
    arguments[read.objective] = percent(kept[-1])
    return f"{said}; {percent(kept[-1])} would have spent {bad / (1 - kept[-1]):.0%}"


def _indented(value: list[dict[str, Any]]) -> list[str]:
    return [f"  {line}" for line in yaml_text(value).splitlines()]
