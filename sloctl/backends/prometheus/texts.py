"""What alerts say: what is broken and for whom, what is left of the budget, and what to do next.

Texts hold placeholders such as `$value`; each becomes a word of the specification or a fixed template of
Prometheus' alert language. Text of a specification never opens a template action: `{{` is refused when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from sloctl import conventions
from sloctl.model.alerting import BudgetLeft, ErrorRate, Forecast, Regression, Severity, Tier
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.quantities import number, percent
from sloctl.model.window import CalendarWindow
from sloctl.promql.selectors import label_selector, matchers_text, selector_text

_PLACEHOLDER: Final = re.compile(r"\$(labels\.[a-zA-Z_][a-zA-Z0-9_]*|[a-z_][a-z0-9_]*)")

_SUMMARY: Final = "$slo$whom: $value of events are bad over $over, above $threshold"
_LEFT_SUMMARY: Final = "$slo$whom: $budget_left of the error budget is left"
_DESCRIPTION: Final = (
    "$service promises $objective over $window. A few minutes ago $budget_spent of the error budget was spent; "
    "at the rate of the last $rate_over the rest is gone in $time_to_exhaustion. $young$next "
    "`sloctl why $slo` says where it burns."
)
_NEXT: Final = {
    Severity.P1: "Users are affected now, so follow the runbook and open an incident.",
    Severity.P2: "Follow the runbook before the budget is gone.",
    Severity.P3: "Plan a repair in working hours; the runbook says where to look.",
}
_PERCENT: Final = " }}%"
_LENGTH: Final = " | humanizeDuration }}"
_NO_PART: Final = "a part that is not yet counted"
_NO_TIME: Final = "a time that is not yet counted"
_BLIND_SUMMARY: Final = "$slo: its metric has had no usable samples for $after, so nothing is measured"
_BLIND_DESCRIPTION: Final = (
    "No series match $selector, or their samples are too old when they come. Either the service or its scrape is gone, "
    "or the metric was renamed: check the target first, then the selector and `late_by` in the specification. Until "
    "then no other alert of $slo can fire."
)
_DOWN_SUMMARY: Final = "$slo: none of its targets has answered a scrape for $after"
_DOWN_DESCRIPTION: Final = (
    "Targets of $service were up within the last hour and counted events; now all of them are down or gone. "
    "Nothing is counted meanwhile, so no other alert of $slo can tell. Follow the runbook and open an incident."
)


_MANY_SUMMARY: Final = "$slo has more than $most values of its `by` labels"
_MANY_DESCRIPTION: Final = (
    "Find out which label grew. Above ten times as many its rules fail and no alert of $slo fires; raise max_series "
    "only when the values are meant."
)
_FORECAST_SUMMARY: Final = "$slo$whom reaches its limit within $within"
_FORECAST_DESCRIPTION: Final = (
    "A straight line through the last $since reaches the limit in $left. $service needs more capacity before then; "
    "the runbook says how to add it."
)
_REGRESSION_SUMMARY: Final = "$slo$whom: $quantile over $over is $value, over $worse_by worse than $earlier before"
_REGRESSION_DESCRIPTION: Final = (
    "Users of $service wait longer than they did. Compare releases and traffic of the two times, beginning with "
    "what was deployed between them."
)


def tier_annotations(platform: Platform, slo: Slo, tier: Tier) -> dict[str, str]:
    """Annotations of a tier's alert; the platform's texts, then the SLO's and the tier's replace ours."""
    words = _words(platform, slo) | _tier_words(slo, tier)
    ours = _LEFT_SUMMARY if isinstance(tier.trigger, BudgetLeft) else _SUMMARY
    texts = {
        "summary": platform.texts.summary or ours,
        "description": platform.texts.description or _DESCRIPTION,
    }
    own = texts | _facts(platform, tier) | dict(slo.annotations) | dict(tier.annotations)
    return _filled(own, words) | _links(platform, slo)


def blind_annotations(platform: Platform, slo: Slo, selector: str) -> dict[str, str]:
    """Annotations of the alert on a vanished metric."""
    return _built_in(platform, slo, _BLIND_SUMMARY, _BLIND_DESCRIPTION, {"selector": selector, "after": str(slo.blind)})


def down_annotations(platform: Platform, slo: Slo) -> dict[str, str]:
    """Annotations of the alert on targets that are all dead."""
    return _built_in(platform, slo, _DOWN_SUMMARY, _DOWN_DESCRIPTION, {"after": str(slo.down)})


def too_many_series_annotations(platform: Platform, slo: Slo) -> dict[str, str]:
    """Annotations of the alert on more split values than expected."""
    return _built_in(platform, slo, _MANY_SUMMARY, _MANY_DESCRIPTION, {"most": str(slo.max_series)})


def forecast_annotations(platform: Platform, slo: Slo, forecast: Forecast) -> dict[str, str]:
    """Annotations of the alert on a limit that will be reached."""
    left = _asked(slo, "%s", conventions.TIME_TO_LIMIT, _LENGTH, "an unknown time")
    words = {"within": str(forecast.within), "since": str(forecast.since), "left": left}
    return _built_in(platform, slo, _FORECAST_SUMMARY, _FORECAST_DESCRIPTION, words)


def regression_annotations(platform: Platform, slo: Slo, regression: Regression) -> dict[str, str]:
    """Annotations of the alert on a quantile that is worse than it was."""
    words = {
        "quantile": f"p{number(regression.quantile * 100)}",
        "value": "{{ $value | humanize }}",
        "over": str(regression.over),
        "earlier": str(regression.earlier),
        "worse_by": percent(regression.worse_by),
    }
    return _built_in(platform, slo, _REGRESSION_SUMMARY, _REGRESSION_DESCRIPTION, words)


def _facts(platform: Platform, tier: Tier) -> dict[str, str]:
    """What routes pass on field by field; without teams nobody reads it."""
    if not platform.teams:
        return {}
    facts = {"objective": "$objective", "window": "$window", "budget_left": "$budget_left"}
    return facts if isinstance(tier.trigger, BudgetLeft) else {**facts, "burn": "above $burn over $over"}


def _built_in(platform: Platform, slo: Slo, summary: str, description: str, words: Mapping[str, str]) -> dict[str, str]:
    texts = {"summary": summary, "description": description}
    return _filled(texts | dict(slo.annotations), _words(platform, slo) | dict(words)) | _links(platform, slo)


def _filled(texts: Mapping[str, str], words: Mapping[str, str]) -> dict[str, str]:
    return {name: "".join([words.get(*piece) for piece in _pieces(text)]) for name, text in texts.items()}


@lru_cache(maxsize=256)
def _pieces(text: str) -> tuple[tuple[str, str], ...]:
    """A text cut at its placeholders: each piece is the name of a word and what stands where there is none."""
    names, pieces, end = _PLACEHOLDER.finditer(text), list[tuple[str, str]](), 0
    for found in names:
        pieces += [("", text[end : found.start()]), (found[1], found[0])]
        end = found.end()
    return (*pieces, ("", text[end:]))


@lru_cache(maxsize=1)
def _words(platform: Platform, slo: Slo) -> dict[str, str]:
    split = {label: f"{{{{ $labels.{label} }}}}" for label in slo.split_labels}
    whom = ", ".join(f"{label} {value}" for label, value in split.items())
    consumed = conventions.budget_consumed(slo.window)
    return {
        "platform": platform.name,
        "service": slo.service,
        "slo": slo.id,
        "team": slo.team or "nobody",
        "objective": str(slo.objective),
        "window": str(slo.window),
        "whom": f" for {whom}" if whom else "",
        "budget_spent": _asked(slo, "round(100 * %s, 0.01)", consumed, _PERCENT, _NO_PART),
        "budget_left": _asked(slo, "round(100 - 100 * %s, 0.01)", consumed, _PERCENT, _NO_PART),
        "rate_over": "hour",
        "young": _young(slo),
        "time_to_exhaustion": _asked(slo, "%s", conventions.TIME_TO_EXHAUSTION, _LENGTH, _NO_TIME),
        "credits_at_risk": _credits(slo),
        "runbook": _runbook(slo),
        "dashboard": _dashboard(platform, slo),
        **split,
        **{f"labels.{label}": shown for label, shown in zip(slo.by, split.values(), strict=True)},
    }


def _tier_words(slo: Slo, tier: Tier) -> dict[str, str]:
    limit = error_threshold(tier, slo.objective)
    burn = number(limit / slo.objective.error_budget)
    by_rate = isinstance(tier.trigger, ErrorRate)
    return {
        "over": str(tier.over or slo.window),
        "burn": burn,
        "threshold": percent(limit) if by_rate else f"{burn}x the error budget",
        "value": "{{ $value | humanizePercentage }}",
        "next": _NEXT[tier.severity],
    } | ({} if tier.over is None else {"rate_over": str(tier.over), "time_to_exhaustion": _exhausted(slo)})


def _exhausted(slo: Slo) -> str:
    """How long the rest of the budget lasts at the error ratio of the alert itself, known at its first second."""
    whole = number(slo.window.length.seconds * slo.objective.error_budget)
    rest = f"round({whole} * clamp_min(1 - max(%s or vector(0)), 0) / %g)"
    return _asked(slo, rest, conventions.budget_consumed(slo.window), _LENGTH, _NO_TIME, "$value")


def _young(slo: Slo) -> str:
    """A sentence while a part of the window, or of the period so far, is not measured; else nothing."""
    begin, whole = f"time() - {number(slo.window.length.seconds)}", str(slo.window)
    if isinstance(slo.window, CalendarWindow):
        labels = conventions.calendar_labels(slo.platform, slo.window)
        start = selector_text(label_selector(conventions.PERIOD_START, labels))
        begin, whole = f"scalar({start})", f"this {slo.window.calendar.value}"
    shown = f"{_LENGTH} of {whole} are measured, and what is not counts as clean. "
    return _asked(slo, f"time() - (%s > {begin})", conventions.MEASURED_SINCE, shown, "", before="Only ")


def _asked(slo: Slo, expression: str, metric: str, shown: str, otherwise: str, *values: str, before: str = "") -> str:
    """A fixed template that asks Prometheus for one of our own recordings, `%s`, when the alert is sent.

    Percentages are rounded by the query and written by the template as they are: without exponents.
    """
    fixed = matchers_text(label_selector("x", {"platform": slo.platform, "slo": slo.id}).matchers)
    known = [*(f"$labels.{label}" for label in slo.split_labels), *values]
    fixed = fixed.replace("%", "%%") if known else fixed  # `printf` fills in what is known
    selector = metric + "{" + ", ".join([fixed, *(f"{label}=%q" for label in slo.split_labels)]) + "}"
    query = f"`{expression.replace('%s', selector)}`"
    if known:
        query = f"(printf {query} {' '.join(known)})"
    found = f"{before}{{{{ . | first | value{shown}"
    return f"{{{{ with query {query} }}}}{found}{f'{{{{ else }}}}{otherwise}' if otherwise else ''}{{{{ end }}}}"


def _credits(slo: Slo) -> str:
    """What all SLOs of the service would owe if their periods ended now; fixed labels, so no split."""
    fixed = matchers_text(label_selector("x", {"platform": slo.platform, "service": slo.service}).matchers)
    query = f"`sum by (currency) ({conventions.SLA_CREDITS}{{{fixed}}})`"
    shown = "{{ .Value | printf `%.2f` }} {{ .Labels.currency }}"
    return f"{{{{ range query {query} }}}}{shown} {{{{ else }}}}nothing{{{{ end }}}}"


@lru_cache(maxsize=1)
def _links(platform: Platform, slo: Slo) -> dict[str, str]:
    logs = platform.dashboards.logs if platform.teams else None
    links = {
        "runbook_url": _runbook(slo),
        "dashboard_url": _dashboard(platform, slo),
        "logs_url": logs,
        "why_url": _why(platform, slo),
    }
    return {name: link for name, link in links.items() if link}


def _runbook(slo: Slo) -> str:
    words = {"service": slo.service, "slo": quote(slo.id)}
    return _PLACEHOLDER.sub(lambda found: words.get(found[1], found[0]), slo.runbook or "")


def _why(platform: Platform, slo: Slo) -> str:
    base = (platform.dashboards.sloctl or "").rstrip("/")
    return f"{base}/why/{slo.service}/{quote(slo.name)}" if base else ""


def _dashboard(platform: Platform, slo: Slo) -> str:
    if not platform.dashboards.base_url:
        return ""
    split = "".join(f"&var-{label}={{{{ $labels.{label} | urlquery }}}}" for label in slo.split_labels)
    base = platform.dashboards.base_url.rstrip("/")
    return f"{base}/d/{conventions.dashboard_uid(platform, 'detail')}?var-slo={quote(slo.id)}{split}"
