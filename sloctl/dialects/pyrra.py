"""Pyrra's resource `ServiceLevelObjective`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Final

from sloctl.dialects.draft import Draft, as_name, length
from sloctl.dialects.source import Cursor, UnconvertibleError
from sloctl.errors import PromqlError
from sloctl.model.quantities import DAY, HOUR, MINUTE, Duration
from sloctl.model.selector import MatchOperator, Selector
from sloctl.promql.lift import lift_selectors
from sloctl.promql.selectors import parse_selector, selector_text

name: Final = "pyrra"

_PREFIX: Final = "pyrra.dev/"
_USUAL: Final = DAY * 28
_TIERS: Final = (
    ("P1", 14, HOUR, MINUTE * 5, MINUTE * 2),
    ("P1", 7, HOUR * 6, MINUTE * 30, MINUTE * 15),
    ("P3", 2, DAY, HOUR * 2, HOUR),
    ("P3", 1, DAY * 4, HOUR * 6, HOUR * 3),
)
"""Severity, burn rate, long window, short window and `for`, for a window of 28 days; they grow with the window."""


def slos(documents: list[Cursor]) -> Iterator[Callable[[], Draft]]:
    """One a document."""
    for document in documents:
        yield partial(_converted, document)


def _converted(document: Cursor) -> Draft:
    spec, meta = document["spec"], document["metadata"]
    draft = Draft(document.place, "")
    draft.name(meta["name"])
    draft.describe(spec["description"])
    draft.objective(spec["target"])
    window = _window(draft, spec["window"])
    total = _indicator(draft, spec["indicator"])
    _service(draft, meta, total)
    own = ((key.removeprefix(_PREFIX), cursor) for key, cursor in meta["labels"].pairs() if key.startswith(_PREFIX))
    draft.labels((key, cursor) for key, cursor in own if key not in {"service", "team"})
    _alerts(draft, spec["alerting"], window)
    return draft


def _window(draft: Draft, written: Cursor) -> Duration:
    window = length(written) if written.is_written else _USUAL
    draft.value["window"] = str(window)
    return window


def _service(draft: Draft, meta: Cursor, total: Selector) -> None:
    """The service: Pyrra has none, so the label, the job that is counted or the SLO itself name it."""
    label = meta["labels", f"{_PREFIX}service"]
    if label.is_written:
        draft.belongs_to(label)
        return
    jobs = [m.value for m in total.matchers if m.label == "job" and m.operator is MatchOperator.EQUAL]
    draft.service = as_name(jobs[0]) if jobs and as_name(jobs[0]) else draft.value["name"]
    why = "the job that it counts" if jobs else "the SLO, as it names no job"
    draft.changed(meta.place, f"Pyrra knows no services: `{draft.service}` is named after {why}")


def _indicator(draft: Draft, indicator: Cursor) -> Selector:
    """The SLI; the selector of all events."""
    ratio, latency, native, gauge = (indicator[key] for key in ("ratio", "latency", "latencyNative", "bool_gauge"))
    kind = next((each for each in (ratio, latency, native, gauge) if each.is_written), None)
    if kind is None:
        raise UnconvertibleError(indicator.place, "the SLO has no indicator", "write one in the source")
    if kind is gauge:
        total = _metric(gauge["metric"])
        draft.value["sli"] = {"probe": {"gauge": selector_text(total)}}
    elif kind is native:
        total = _metric(native["total", "metric"])
        bound = str(length(native["latency"]))
        draft.value["sli"] = {"latency": {"histogram": selector_text(total), "at_most": bound, "native": True}}
    else:
        side, key = ("bad", "errors") if kind is ratio else ("good", "success")
        total = _metric(kind["total", "metric"])
        draft.take(lift_selectors(side, _metric(kind[key, "metric"]), total), kind.place)
    draft.group(kind["grouping"].items())
    return total


def _metric(cursor: Cursor) -> Selector:
    try:
        return parse_selector(cursor.text())
    except PromqlError as problem:
        raise UnconvertibleError(cursor.place, str(problem), problem.help or "repair it in the source") from problem


def _alerts(draft: Draft, alerting: Cursor, window: Duration) -> None:
    if alerting["disabled"].flag() or alerting["burnrates"].value is False:
        draft.value["alerts"] = "none"
        return
    draft.value["alerts"] = [
        {
            "severity": severity,
            "burn": Decimal(burn),
            "over": _scaled(over, window),
            "also_over": _scaled(also, window),
            "for": _scaled(wait, window),
        }
        for severity, burn, over, also, wait in _TIERS
    ]


def _scaled(part: Duration, window: Duration) -> str:
    """A part of 28 days as the same part of `window`, rounded to a minute as Pyrra does."""
    minutes = Decimal(part.milliseconds * window.milliseconds) / (_USUAL.milliseconds * MINUTE.milliseconds)
    return str(MINUTE * max(int(minutes.quantize(Decimal(1), "ROUND_HALF_UP")), 1))
