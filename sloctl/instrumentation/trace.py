"""The way of one request through all services, and where it went wrong first.

A hop is what one service did: the span that a request or message opened there, everything below it in the same
service, and the log lines of both. Hops are ordered by cause: a hop comes after the one that called or sent to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sloctl.instrumentation.telemetry import CLIENT_ID, LogRecord, SpanKey, SpanRecord, Telemetry

_ENTRIES: Final = frozenset({"SERVER", "CONSUMER"})
_TRANSPORTS: Final = {"aws_sqs": "sqs", "aws.sns": "sns", "aws.eventbridge": "eventbridge", "aws.kinesis": "kinesis"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that failed within a hop, by the clock of its service."""

    time: float
    text: str


@dataclass(slots=True)
class Hop:
    """What one service did with a request.

    Attributes:
        cause: the hop that called or sent to it, or None for the first.
        waited_for: whether the cause waits for its answer, as HTTP calls do.
        called_at: when the cause made that call, by the cause's own clock.
        evidence: what failed, in the order of time.
    """

    service: str
    transport: str
    name: str
    status: str
    start: float
    end: float
    cause: Hop | None = None
    waited_for: bool = False
    called_at: float = 0.0
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether something failed in it."""
        return bool(self.evidence)


@dataclass(frozen=True, slots=True)
class Journey:
    """All hops of a request in causal order.

    Attributes:
        request_ids: the ID asked for, or those that we gave to requests of a client that sent it.
        hops: each after its cause.
        culprit: the earliest failing hop, or None when nothing failed.
        lines: how many log lines have the ID.
    """

    request_ids: tuple[str, ...]
    hops: tuple[Hop, ...]
    culprit: Hop | None
    lines: int


def journey(request_id: str, telemetry: Telemetry) -> Journey:
    """Follow a request by its ID, or by the ID that an untrusted client sent with it."""
    ids = _ids(request_id, telemetry)
    spans = _of_request(ids, telemetry.spans)
    logs = [line for line in telemetry.logs if line.request_id in ids or (line.span in spans and not line.request_id)]
    hops = _hops(spans, logs)
    ordered = _in_causal_order(hops)
    return Journey(tuple(sorted(ids)), ordered, _culprit(ordered), sum(line.request_id in ids for line in logs))


def _ids(request_id: str, telemetry: Telemetry) -> set[str]:
    known = {span.request_id for span in telemetry.spans} | {line.request_id for line in telemetry.logs}
    if request_id not in known:
        sent = {span.request_id for span in telemetry.spans if span.attributes.get(CLIENT_ID) == request_id}
        if found := {one for one in sent if one is not None}:
            return found
    return {request_id}


def _of_request(ids: set[str], spans: Iterable[SpanRecord]) -> dict[SpanKey, SpanRecord]:
    """Spans with the ID or in its trace, and those without any ID that parents or links join to them."""
    every = {span.key: span for span in spans}
    joined: dict[SpanKey, set[SpanKey]] = defaultdict(set)
    for span in every.values():
        for other in (*span.links, *([span.parent] if span.parent else [])):
            joined[span.key].add(other)
            joined[other].add(span.key)
    found: dict[SpanKey, SpanRecord] = {}
    waiting = [key for key, span in every.items() if span.request_id in ids or (key[0] in ids and not span.request_id)]
    while waiting:
        key = waiting.pop()
        one = every.get(key)
        if one is None or key in found or (one.request_id is not None and one.request_id not in ids):
            continue
        found[key] = one
        waiting += joined[key]
    return found


def _hops(spans: Mapping[SpanKey, SpanRecord], logs: Iterable[LogRecord]) -> list[Hop]:
    entry_of = {key: _entry(span, spans) for key, span in spans.items()}
    hops = {key: _hop(spans[key]) for key in {entry.key for entry in entry_of.values()}}
    for key, hop in hops.items():
        _join(spans[key], hop, hops, entry_of, spans)
    for key, span in spans.items():
        if span.failed:
            hop = hops[entry_of[key].key]
            hop.evidence.append(Evidence(span.end, span.message or f"{span.name} failed"))
    _add_lines(logs, hops, entry_of)
    found = list(hops.values())
    found += _hops_of_lines([line for line in logs if line.span not in entry_of], found)
    for hop in found:
        hop.evidence.sort(key=lambda evidence: evidence.time)
    return found


def _entry(span: SpanRecord, spans: Mapping[SpanKey, SpanRecord]) -> SpanRecord:
    """The span that opened the hop in which this one is."""
    seen: set[SpanKey] = set()
    while span.kind not in _ENTRIES and span.parent is not None and span.key not in seen:
        seen.add(span.key)
        parent = spans.get(span.parent)
        if parent is None or parent.service != span.service:
            break
        span = parent
    return span


def _hop(entry: SpanRecord) -> Hop:
    return Hop(entry.service, _transport(entry), entry.name, _status(entry), entry.start, entry.end)


def _transport(entry: SpanRecord) -> str:
    if entry.kind == "SERVER":
        return "http"
    system = str(entry.attributes.get("messaging.system", "-"))
    return _TRANSPORTS.get(system, system)


def _status(entry: SpanRecord) -> str:
    code = entry.attributes.get("http.response.status_code")
    if code is not None:
        return str(code)
    return "error" if entry.failed else "ok"


def _join(
    entry: SpanRecord,
    hop: Hop,
    hops: Mapping[SpanKey, Hop],
    entry_of: Mapping[SpanKey, SpanRecord],
    spans: Mapping[SpanKey, SpanRecord],
) -> None:
    """Find the hop that caused this one: the parent's, or else the first link's."""
    for origin in ((entry.parent,) if entry.parent else ()) + entry.links:
        cause = hops.get(entry_of[origin].key) if origin in entry_of else None
        if cause is not None and cause is not hop:
            hop.cause = cause
            hop.waited_for = entry.kind == "SERVER" and origin == entry.parent
            call = spans[origin]
            hop.called_at = call.start if call.kind == "CLIENT" else entry.start
            return


def _add_lines(logs: Iterable[LogRecord], hops: Mapping[SpanKey, Hop], entry_of: Mapping[SpanKey, SpanRecord]) -> None:
    for line in logs:
        if line.failing and line.span is not None and line.span in entry_of:
            hops[entry_of[line.span].key].evidence.append(_said(line))


def _said(line: LogRecord) -> Evidence:
    return Evidence(line.time, f"{line.severity} {line.message}")


def _hops_of_lines(logs: Iterable[LogRecord], hops: list[Hop]) -> list[Hop]:
    """Lines outside of recorded spans: one hop a service, in the order of time."""
    by_service: dict[str, list[LogRecord]] = defaultdict(list)
    for line in sorted(logs, key=lambda line: line.time):
        by_service[line.service].append(line)
    added: list[Hop] = []
    for service, lines in by_service.items():
        evidence = [_said(line) for line in lines if line.failing]
        known = next((hop for hop in hops if hop.service == service), None)
        if known is not None:
            known.evidence += evidence
            continue
        status = "error" if evidence else "ok"
        added.append(Hop(service, "-", "log lines only", status, lines[0].time, lines[-1].time, evidence=evidence))
    return added


def _in_causal_order(hops: list[Hop]) -> tuple[Hop, ...]:
    """Each hop after its cause; what no cause orders is ordered by time."""
    waiting = sorted(hops, key=lambda hop: hop.start)
    ordered: list[Hop] = []
    placed: set[int] = set()
    while waiting:
        ready = next((hop for hop in waiting if hop.cause is None or id(hop.cause) in placed), waiting[0])
        waiting.remove(ready)
        placed.add(id(ready))
        ordered.append(ready)
    return tuple(ordered)


def _culprit(hops: tuple[Hop, ...]) -> Hop | None:
    """The first failing hop whose failure no hop that it waited for explains."""
    return next((hop for hop in hops if hop.failed and not _explained(hop, hops)), None)


def _explained(hop: Hop, hops: tuple[Hop, ...]) -> bool:
    """Whether it called somebody who failed, and nothing had failed in it before that call."""
    calls = [other for other in hops if other.cause is hop and other.waited_for and other.failed]
    return any(hop.evidence[0].time >= call.called_at for call in calls)
