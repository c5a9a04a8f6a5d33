"""Grafana SLO, as its API and its Terraform provider write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from sloctl.dialects.draft import PAGES, TICKETS, Draft, decimal, lifted_at
from sloctl.dialects.source import Cursor, UnconvertibleError
from sloctl.errors import PromqlError
from sloctl.model.selector import Selector
from sloctl.promql.lift import lift_ratio, lift_selectors
from sloctl.promql.selectors import parse_selector

name: Final = "grafana"

_INTERVALS: Final = ("$__rate_interval", "$__interval", "$__range")


def is_grafana(document: Cursor) -> bool:
    """Whether a document has the objectives and the query that every SLO of Grafana has, alone or in the API's list."""
    return any(_is_slo(slo) for slo in _listed(document))


def slos(documents: list[Cursor]) -> Iterator[Callable[[], Draft]]:
    """The documents themselves, or the items of `slos`."""
    for document in documents:
        for slo in _listed(document):
            yield partial(_converted, slo)


def _listed(document: Cursor) -> list[Cursor]:
    return list(document["slos"].items()) or [document["spec"] if _is_slo(document["spec"]) else document]


def _is_slo(slo: Cursor) -> bool:
    return slo["objectives"].is_written and any(slo["query", key].is_written for key in ("type", "ratio", "freeform"))


def _converted(slo: Cursor) -> Draft:
    draft = Draft(slo.place, "")
    draft.name(slo["name"])
    draft.describe(slo["description"])
    objective = _one(slo["objectives"])
    draft.objective(objective["value"], of_one=True)
    draft.window(objective["window"])
    _indicator(draft, slo["query"])
    labels = {str(label["key"].value): label["value"] for label in slo.either("labels", "label").items()}
    draft.labels((key, cursor) for key, cursor in labels.items() if key not in {"service", "service_name", "team_name"})
    service = next((labels[key] for key in ("service_name", "service") if key in labels), None)
    draft.belongs_to_or_is_named_after(service)
    _alerts(draft, slo["alerting"])
    return draft


def _one(objectives: Cursor) -> Cursor:
    """Grafana has exactly one objective, as a list."""
    return next(objectives.items(), objectives)


def _indicator(draft: Draft, query: Cursor) -> None:
    ratio, free = _block(query["ratio"]), _block(query["freeform"])
    if ratio.is_written:
        good, total = (
            _selector(ratio, *keys) for keys in (("successMetric", "success_metric"), ("totalMetric", "total_metric"))
        )
        draft.take(lift_selectors("good", good, total), ratio.place)
        draft.group(ratio.either("groupByLabels", "group_by_labels").items())
    elif free.is_written:
        text = free["query"].promql()
        for interval in _INTERVALS:
            text = text.replace(interval, "$window")
        draft.take(lifted_at(free.place, lambda: lift_ratio("good", text)), free.place)
    else:
        kind = query["type"].text_or("no kind")
        raise UnconvertibleError(query.place, f"a query of {kind} is no PromQL", "write what it counts as `ratio`")


def _block(cursor: Cursor) -> Cursor:
    """Terraform's JSON writes each block as a list of one."""
    return next(cursor.items(), cursor)


def _selector(ratio: Cursor, *keys: str) -> Selector:
    metric = _block(ratio.either(*keys))
    found = metric.either("prometheusMetric", "prometheus_metric") if not isinstance(metric.value, str) else metric
    try:
        return parse_selector(found.text())
    except PromqlError as problem:
        raise UnconvertibleError(found.place, str(problem), problem.help or "repair it in the source") from problem


def _alerts(draft: Draft, written: Cursor) -> None:
    alerting = _block(written)
    if not alerting.is_written:
        draft.value["alerts"] = "none"
        return
    options = _block(alerting.either("advancedOptions", "advanced_options"))
    least = options.either("minFailures", "min_failures")
    if least.is_written:
        draft.burn((*PAGES, *TICKETS), min_bad=int(decimal(least)))
    for alert in (alerting, _block(alerting.either("fastBurn", "fastburn"))):
        for annotation in alert["annotations"].items():
            if "runbook" in str(annotation["key"].value).lower():
                draft.runbook(annotation["value"])
