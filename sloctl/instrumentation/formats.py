"""The forms in which logs and spans come out of what people run, read as the records of `telemetry`.

A form is recognised by its keys. What stands before a line's JSON (`kubectl logs --prefix`, Compose, CRI) is skipped,
and names the service of lines that do not. Envelopes are opened here; what is in them is read by `log_lines` and
`span_forms`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from sloctl.instrumentation.log_lines import guessed, labelled, log_records
from sloctl.instrumentation.span_forms import (
    jaeger,
    jaeger_trace,
    otlp_attributes,
    otlp_spans,
    otlp_value,
    sdk,
    zipkin,
)
from sloctl.instrumentation.telemetry import UNREADABLE, Found, safely

Json = Mapping[str, Any]
_OTLP_FAILING_NUMBER: Final = 17
_DEEPEST: Final = 6
# `[pod/orders-7d9f/orders] `, `orders-1  | `, `2026-01-01T00:00:00Z stdout F `
_BEFORE: Final = re.compile(r"\[pod/[^/\]]*/(?P<pod>[^\]/]+)\]|(?P<compose>[\w.-]+?)(?:-\d+)?\s*\|")


def records(text: str | bytes, service: str = "?") -> Found:
    """The records of a line or of a JSON document; None for each part that is none.

    Args:
        text: as it was read.
        service: who wrote it, where it does not say so itself.
    """
    return safely(_line, text, service)


def _line(text: str | bytes, service: str) -> Found:
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    try:
        found, before = _json(text)
    except UNREADABLE:  # a text, or JSON that was cut off: its time and ID may be read all the same
        found, before = guessed(text), text
    return _read(found, _named_before(before) or service, None, 0)


def _json(text: str) -> tuple[Any, str]:
    """The JSON in a text, and what stands before it."""
    text = text.lstrip("\ufeff \t\r\n")
    decode = json.JSONDecoder().raw_decode
    if text[:1] in ("{", "["):
        try:
            return decode(text)[0], ""
        except ValueError:
            if text[:1] == "{":
                raise
    start = text.index("{")
    return decode(text, start)[0], text[:start]


def _named_before(text: str) -> str | None:
    match = _BEFORE.search(text)
    return None if match is None else match["pod"] or match["compose"]


def _read(found: Any, service: str, moment: object, depth: int) -> Found:
    """Whatever the JSON is, down to the records in it.

    Args:
        found: the JSON.
        service: who wrote it, if it does not say so.
        moment: when it was written, if it does not say so.
        depth: how many envelopes are around it.
    """
    if depth > _DEEPEST:
        raise ValueError("envelopes in envelopes")
    if isinstance(found, list):
        for member in found:
            yield from safely(_read, member, service, moment, depth + 1)
        return
    for is_form, read in _FORMS:
        if is_form(found):
            yield from read(found, service, depth)
            return
    yield from log_records(found, service, moment)


def _text(text: Any, service: str, moment: object, depth: int) -> Found:
    """A line inside of an envelope: JSON again, or a text whose envelope says the rest."""
    try:
        found, _ = _json(text)
    except ValueError:
        found = guessed(str(text))
    yield from _read(found, service, moment, depth + 1)


def _otlp_logs(found: Json, service: str, _depth: int) -> Found:
    for of_resource in found["resourceLogs"]:
        resource = otlp_attributes(of_resource.get("resource") or {})
        for of_scope in of_resource.get("scopeLogs") or ():
            for line in of_scope.get("logRecords") or ():
                yield from safely(_otlp_log, line, resource, service)


def _otlp_log(line: Json, resource: Json, service: str) -> Found:
    number = line.get("severityNumber")
    failing = number >= _OTLP_FAILING_NUMBER if isinstance(number, int) else "ERROR" in str(number)
    told = {
        "timestamp": int(line.get("timeUnixNano") or line["observedTimeUnixNano"]) / 1e9,
        "severity": line.get("severityText") or ("ERROR" if failing else "INFO"),
        "message": otlp_value(line.get("body")) or "",
        "trace_id": line.get("traceId"),
        "span_id": line.get("spanId"),
    }
    yield from log_records({**resource, **otlp_attributes(line), **told}, service, None)


def _tempo(found: Json, service: str, depth: int) -> Found:
    yield from _read(found["trace"], service, None, depth + 1)


def _loki(found: Json, service: str, depth: int) -> Found:
    """Loki's API: streams with their labels, and pairs of nanoseconds and a line."""
    for stream in found["data"]["result"]:
        named = labelled(stream["stream"], service)
        for moment, line, *_ in stream["values"]:
            yield from safely(_text, line, named, moment, depth)


def _logcli(found: Json, service: str, depth: int) -> Found:
    yield from _text(found["line"], labelled(found["labels"], service), found["timestamp"], depth)


def _docker(found: Json, service: str, depth: int) -> Found:
    """Docker's file, and what Fluent Bit makes of it."""
    yield from _text(found["log"], labelled(found, service), found["time"], depth)


def _cloudwatch(found: Json, service: str, depth: int) -> Found:
    for event in found["events"]:
        named = str(event.get("logGroupName") or service)
        yield from safely(_text, event["message"], named, event["timestamp"], depth)


def _insights(found: Json, service: str, depth: int) -> Found:
    """CloudWatch Logs Insights: rows of fields and values."""
    for row in found["results"]:
        fields = {pair["field"]: pair.get("value") for pair in row}
        yield from safely(_text, fields["@message"], str(fields.get("@log", service)), fields.get("@timestamp"), depth)


def _elastic(found: Json, service: str, depth: int) -> Found:
    for hit in found["hits"]["hits"]:
        yield from safely(_read, hit["_source"], service, None, depth + 1)


def _elastic_hit(found: Json, service: str, depth: int) -> Found:
    yield from _read(found["_source"], service, None, depth + 1)


def _list_of(name: str, *keys: str) -> Callable[[Json], bool]:
    """Whether a member is a list whose first member has these keys."""

    def is_form(found: Json) -> bool:
        listed = found.get(name)
        first = listed[0] if isinstance(listed, list) and listed else None
        return isinstance(first, Mapping) and all(key in first for key in keys)

    return is_form


def _with(*keys: str, **texts: type) -> Callable[[Json], bool]:
    """Whether it has these keys, and those with values of these types."""
    return lambda found: (
        all(key in found for key in keys) and all(isinstance(found.get(key), kind) for key, kind in texts.items())
    )


def _inside(name: str, is_form: Callable[[Json], bool]) -> Callable[[Json], bool]:
    """Whether a member is such an object."""
    return lambda found: isinstance(inner := found.get(name), Mapping) and is_form(inner)


_FORMS: Final[tuple[tuple[Callable[[Json], bool], Callable[[Json, str, int], Found]], ...]] = (
    (_list_of("resourceSpans"), otlp_spans),
    (_list_of("batches", "resource"), otlp_spans),
    (_list_of("resourceLogs"), _otlp_logs),
    (_inside("trace", _list_of("resourceSpans")), _tempo),
    (_with("start_time", context=dict), sdk),
    (_list_of("spans", "traceID"), jaeger_trace),
    (_list_of("data", "spans"), jaeger),
    (_with("traceId", "id", localEndpoint=dict), zipkin),
    (_inside("data", _list_of("result", "stream", "values")), _loki),
    (_with("timestamp", line=str, labels=dict), _logcli),
    (lambda found: _with("time", log=str)(found) and not {"message", "msg"} & found.keys(), _docker),
    (_list_of("events", "message", "timestamp"), _cloudwatch),
    (lambda found: isinstance(found.get("results"), list) and "statistics" in found, _insights),
    (_inside("hits", _list_of("hits", "_source")), _elastic),
    (_with(_source=dict), _elastic_hit),
)
