"""Sloth, as its own file (`prometheus/v1`) and as a resource of Kubernetes (`sloth.slok.dev/v1`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from sloctl.dialects.draft import PAGES, TICKETS, Draft, lifted_at
from sloctl.dialects.source import Cursor, UnconvertibleError
from sloctl.language.std import PREFIX, std_names
from sloctl.promql.lift import lift_events, lift_ratio

name: Final = "sloth"

_SNAKE: Final = re.compile(r"_([a-z])")


def slos(documents: list[Cursor]) -> Iterator[Callable[[], Draft]]:
    """The items of `slos`."""
    for document in documents:
        spec = document["spec"] if document["kind"].is_written else document
        for slo in spec["slos"].items():
            yield partial(_converted, spec, slo)


def _converted(spec: Cursor, slo: Cursor) -> Draft:
    draft = Draft(slo.place, "")
    draft.belongs_to(spec["service"])
    draft.name(slo["name"])
    draft.describe(slo["description"])
    draft.objective(slo["objective"])
    if slo["period"].is_written:
        draft.window(slo["period"])
    _indicator(draft, slo["sli"])
    draft.labels([*spec["labels"].pairs(), *slo["labels"].pairs()])
    _alerts(draft, slo["alerting"])
    return draft


def _indicator(draft: Draft, sli: Cursor) -> None:
    events, raw, latency = sli["events"], sli["raw"], sli["latency"]
    bad, total = _key(draft, events, "error_query"), _key(draft, events, "total_query")
    if bad.is_written or total.is_written:
        draft.take(lifted_at(bad.place, lambda: lift_events("bad", bad.promql(), total.promql())), bad.place)
    elif raw.is_written:
        ratio = _key(draft, raw, "error_ratio_query")
        draft.take(lifted_at(ratio.place, lambda: lift_ratio("bad", ratio.promql())), ratio.place)
    elif latency.is_written:
        _histogram(draft, latency)
    elif sli["plugin"].is_written:
        _plugin(sli["plugin"])
    else:
        raise UnconvertibleError(sli.place, "the SLO does not say what it counts", "write `sli` in the source")


def _key(draft: Draft, parent: Cursor, snake: str) -> Cursor:
    """A key that files write with underscores and resources in camel case."""
    camel = _SNAKE.sub(lambda found: found[1].upper(), snake)
    is_resource = parent.document["kind"].is_written
    if is_resource and parent[snake].is_written:
        text = (
            f"`{snake}` is the key of a file; in a resource it is `{camel}`, and Kubernetes drops what it does not know"
        )
        draft.mistaken(parent[snake].place, text)
    return parent.either(*((camel, snake) if is_resource else (snake, camel)))


def _histogram(draft: Draft, latency: Cursor) -> None:
    metric, bound = latency["histogram_metric"].text(), latency["threshold"].text()
    matchers = latency["selector"].text_or("")
    fast = f"{metric}_bucket{{{', '.join(part for part in (matchers, f'le={chr(34)}{bound}{chr(34)}') if part)}}}"
    every = f"{metric}_count{{{matchers}}}"
    place = latency.place
    draft.take(
        lifted_at(place, lambda: lift_events("good", f"sum(rate({fast}[$window]))", f"sum(rate({every}[$window]))")),
        place,
    )


def _plugin(plugin: Cursor) -> None:
    name = plugin["id"].text()
    parts = name.split("/")
    alike = [each for each in std_names() if each.removeprefix(PREFIX).removeprefix("kube-") in parts]
    cure = f"write `uses: [{{template: {alike[0]}}}]`" if alike else "`sloctl templates` lists what may count the same"
    raise UnconvertibleError(plugin["id"].place, f"the SLI comes from the plugin `{name}`", cure)


def _alerts(draft: Draft, alerting: Cursor) -> None:
    page, ticket = (_key(draft, alerting, key) for key in ("page_alert", "ticket_alert"))
    off = [alert["disable"].flag() for alert in (page, ticket)]
    if all(off):
        draft.value["alerts"] = "none"
    elif any(off):
        draft.burn(TICKETS if off[0] else PAGES)
    annotations = dict(alerting["annotations"].pairs())
    runbooks = [cursor for key, cursor in annotations.items() if "runbook" in key.lower()]
    if runbooks:
        draft.runbook(runbooks[0])
    routed = [*alerting["labels"].pairs(), *page["labels"].pairs(), *ticket["labels"].pairs()]
    words = sorted({key for key, _ in routed})
    if words:
        kept = ", ".join(f"`{word}`" for word in words)
        draft.changed(
            alerting.place,
            f"labels of alerts ({kept}) are left out: a team's routes decide who is told; "
            "`severities` of a Platform gives `severity` the words that you have",
        )
