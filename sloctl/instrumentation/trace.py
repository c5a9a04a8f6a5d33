"""The way of one request through all services, and where it went wrong first.

A hop is what one service did: the span that a request or message opened there, everything below it in the same
service, and the log lines of both. An entry line stands for the span of a request that was not recorded. Hops are
ordered by cause: a hop comes after the one that called or sent to it, and those of one sender by the sender's clock.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sloctl.instrumentation.telemetry import LogRecord, SpanKey, SpanRecord, Telemetry

_ENTRIES: Final = frozenset({"SERVER", "CONSUMER"})
_SENDING: Final = frozenset({"CLIENT", "PRODUCER"})
_TRANSPORTS: Final = {"aws_sqs": "sqs", "aws.sns": "sns", "aws.eventbridge": "eventbridge", "aws.kinesis": "kinesis"}
_REFUSED: Final = range(400, 500)
_LOOK_BACK: Final = 100


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that failed within a hop, by the clock of its service."""

    time: float
    text: str


@dataclass(slots=True, eq=False)
class Hop:
    """What one service did with a request.

    Attributes:
        cause: the hop that called or sent to it, or None for the first.
        waited_for: whether the cause waits for its answer, as HTTP calls do.
        called_at: when the cause made that call, by the cause's own clock.
        at: when it began, by the clock of the first hop as far as that can be told.
        missing: the span that called or sent to it, where nothing that was read has it.
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
    at: float = 0.0
    missing: SpanKey | None = None
    evidence: list[Evidence] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether something failed in it."""
        return bool(self.evidence)


@dataclass(frozen=True, slots=True)
class Journey:
    """All hops of a request in causal order.

    Attributes:
        request_ids: the ID asked for, or those that we gave to requests that name it.
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
    ordered = _in_causal_order(_hops(spans, logs))
    return Journey(tuple(sorted(ids)), ordered, _culprit(ordered), sum(line.request_id in ids for line in logs))


def related(request_id: str, telemetry: Telemetry) -> set[str]:
    """The IDs to look for beside this one: of other requests that its records name or that name it, and of traces."""
    ids = _ids(request_id, telemetry)
    records: list[SpanRecord | LogRecord] = [*telemetry.spans, *telemetry.logs]
    own = [record for record in records if record.request_id in ids]
    named = {name for record in own for name in record.named}
    traces = {record.trace_id for record in own if record.trace_id is not None}
    return ids | named | traces


def _ids(request_id: str, telemetry: Telemetry) -> set[str]:
    """The request and those that name it, or that it names; a name counts only if there is such a request."""
    names: dict[str, set[str]] = defaultdict(set)
    records: list[SpanRecord | LogRecord] = [*telemetry.spans, *telemetry.logs]
    for record in records:
        if record.request_id is not None:
            names[record.request_id] |= record.named
    named_by: dict[str, set[str]] = defaultdict(set)
    for request, named in names.items():
        for name in named:
            named_by[name].add(request)
    found: set[str] = set()
    waiting = [request_id]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        waiting += named_by.get(one, ())
        waiting += names.get(one, set()) & names.keys()
    return (found & names.keys()) or {request_id}


def _of_request(ids: set[str], spans: Iterable[SpanRecord]) -> dict[SpanKey, SpanRecord]:
    """Spans with the ID or in its trace, and those without any ID that parents or links join to them."""
    # A recorded span knows more than its entry line.
    every = {span.key: span for span in sorted(spans, key=lambda span: not span.is_line)}
    joined: dict[SpanKey, set[SpanKey]] = defaultdict(set)
    for span in every.values():
        for other in (*span.links, *([span.parent] if span.parent else [])):
            joined[span.key].add(other)
            joined[other].add(span.key)
    found: dict[SpanKey, SpanRecord] = {}
    waiting = [key for key, span in every.items() if span.request_id in ids or (key[0] in ids and not span.request_id)]
    while waiting:
        key = waiting.pop()
        here = every.get(key)
        if here is None or key in found or (here.request_id is not None and here.request_id not in ids):
            continue
        found[key] = here
        waiting += joined[key]
    return found


def _hops(spans: Mapping[SpanKey, SpanRecord], logs: Iterable[LogRecord]) -> list[Hop]:
    entry_of = {key: _entry(span, spans) for key, span in spans.items()}
    hops = {key: _hop(spans[key]) for key in {entry.key for entry in entry_of.values()}}
    for key, hop in hops.items():
        _join(spans[key], hop, hops, entry_of, spans)
    _join_by_time(spans, hops)
    for key, span in spans.items():
        if _is_evidence(span):
            hops[entry_of[key].key].evidence.append(Evidence(span.end, _what(span)))
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
    said = entry.attributes.get("transport")  # of an entry line
    systems = ("messaging.system", "rpc.system.name", "rpc.system")
    system = str(said or next((entry.attributes[name] for name in systems if entry.attributes.get(name)), ""))
    if not system and entry.kind == "SERVER":
        system = "lambda" if entry.attributes.get("faas.trigger") == "other" else "http"
    return _TRANSPORTS.get(system, system or "-")


def _status(entry: SpanRecord) -> str:
    code = _code(entry)
    if code is not None:
        return str(code)
    return "error" if entry.failed else "ok"


def _code(span: SpanRecord) -> object:
    """The HTTP status; older conventions have another name for it."""
    return span.attributes.get("http.response.status_code", span.attributes.get("http.status_code"))


def _is_evidence(span: SpanRecord) -> bool:
    """Whether a span says that its service failed.

    The conventions make an answer of 4xx an error of the call. Whether it was expected only the caller knows, and says
    by its own outcome.
    """
    code = _code(span)
    return span.failed and not (span.kind == "CLIENT" and str(code).isdigit() and int(str(code)) in _REFUSED)


def _what(span: SpanRecord) -> str:
    """What failed: a call by what it called."""
    if span.kind not in _SENDING:
        return span.message or f"{span.name} failed"
    target = span.attributes.get("url.full") or span.attributes.get("messaging.destination.name")
    call = f"{span.name} {target}" if target else span.name
    code = _code(span)
    if code is not None:
        return f"{call} answered {code}"
    return f"{call} failed: {span.message}" if span.message else f"{call} failed"


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
            hop.called_at = call.start if call.kind in _SENDING else _within(hop, cause)
            return
    hop.missing = entry.parent


def _within(hop: Hop, cause: Hop) -> float:
    """When a cause called, by its own clock, where it did not say so: a call that it waited for is within it."""
    latest = cause.end - (hop.end - hop.start) if hop.waited_for else float("inf")
    return max(cause.start, min(hop.start, latest))


def _join_by_time(spans: Mapping[SpanKey, SpanRecord], hops: Mapping[SpanKey, Hop]) -> None:
    """A caller that is missing is inside of the last begun hop of its trace that went on all the time."""
    going_on: dict[str, list[Hop]] = defaultdict(list)
    for key, hop in sorted(hops.items(), key=lambda item: (item[1].start, -item[1].end)):
        others = going_on[key[0]]
        if hop.missing is not None and spans[key].kind == "SERVER":
            around = (other for other in reversed(others[-_LOOK_BACK:]) if hop.end <= other.end)
            if (cause := next(around, None)) is not None:
                hop.cause, hop.waited_for, hop.called_at = cause, True, hop.start
        others.append(hop)


def _add_lines(logs: Iterable[LogRecord], hops: Mapping[SpanKey, Hop], entry_of: Mapping[SpanKey, SpanRecord]) -> None:
    for line in logs:
        if line.failing and line.span is not None and line.span in entry_of:
            hops[entry_of[line.span].key].evidence.append(_said(line))


def _said(line: LogRecord) -> Evidence:
    return Evidence(line.time, f"{line.severity} {line.message}")


def _hops_of_lines(logs: Iterable[LogRecord], hops: list[Hop]) -> list[Hop]:
    """Lines outside of known spans: one hop a service, in the order of time."""
    by_service: dict[str, list[LogRecord]] = defaultdict(list)
    for line in sorted(logs, key=lambda line: line.time):
        by_service[line.service].append(line)
    known: dict[str, Hop] = {}
    for hop in hops:
        known.setdefault(hop.service, hop)
    added: list[Hop] = []
    for service, lines in by_service.items():
        evidence = [_said(line) for line in lines if line.failing]
        if service in known:
            known[service].evidence += evidence
            continue
        status = "error" if evidence else "ok"
        added.append(Hop(service, "-", "log lines only", status, lines[0].time, lines[-1].time, evidence=evidence))
    return added


def _in_causal_order(hops: list[Hop]) -> tuple[Hop, ...]:
    """Each hop after its cause; what no cause orders is ordered by time, and within one cause by its own clock."""
    caused: dict[Hop, list[Hop]] = defaultdict(list)
    roots: list[Hop] = []
    for hop in hops:
        (roots if hop.cause is None else caused[hop.cause]).append(hop)
    ordered: list[Hop] = []
    placed: set[Hop] = set()
    heap: list[tuple[float, float, int, Hop]] = []

    def place(hop: Hop, at: float) -> None:
        hop.at = at
        heapq.heappush(heap, (at, hop.start, len(placed) + len(heap), hop))

    for root in roots:
        place(root, root.start)
    rest = iter(sorted(hops, key=lambda hop: hop.start))
    while len(ordered) < len(hops):
        if not heap:  # causes that run in a circle, which only a malformed file has
            stray = next(hop for hop in rest if hop not in placed)
            place(stray, stray.start)
        hop = heapq.heappop(heap)[-1]
        if hop in placed:
            continue
        placed.add(hop)
        ordered.append(hop)
        for later in caused[hop]:
            if later not in placed:
                place(later, hop.at + max(0.0, later.called_at - hop.start))
    return tuple(ordered)


def _culprit(hops: tuple[Hop, ...]) -> Hop | None:
    """The first failing hop whose failure no hop that it waited for explains."""
    calls: dict[Hop, list[Hop]] = defaultdict(list)
    for hop in hops:
        if hop.cause is not None and hop.waited_for and hop.failed:
            calls[hop.cause].append(hop)
    return next((hop for hop in hops if hop.failed and not _explained(hop, calls[hop])), None)


def _explained(hop: Hop, calls: list[Hop]) -> bool:
    """Whether it called somebody who failed, and nothing had failed in it before that call."""
    return any(hop.evidence[0].time >= call.called_at for call in calls)
