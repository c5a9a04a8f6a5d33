"""What changes for the person on call between two catalogues, as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from sloctl import conventions
from sloctl.conventions import severity_word
from sloctl.explain.detection import RATIOS, pending_time
from sloctl.model.alerting import Severity, Tier
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.quantities import percent


def compared(old: Catalogue, new: Catalogue) -> list[str]:
    """Lines of Markdown; empty when nothing changes for the person on call."""
    before, after = _by_path(old), _by_path(new)
    changes = {path: list(_changes(before.get(path), after.get(path))) for path in sorted(before.keys() | after.keys())}
    found = {**dict(_platforms(old, new)), **changes}
    lines = [[f"### {path}", "", *(f"- {change}" for change in told), ""] for path, told in found.items() if told]
    return [line for section in lines for line in section]


def _platforms(old: Catalogue, new: Catalogue) -> Iterator[tuple[str, list[str]]]:
    """Who mutes lower tiers, and the words for severities, of platforms that stay."""
    before = {platform.name: platform for platform in old.platforms}
    for platform in new.platforms:
        if (was := before.get(platform.name)) is not None:
            words = [
                ("inhibition", was.inhibition.value, platform.inhibition.value),
                *((one.value, severity_word(was, one), severity_word(platform, one)) for one in Severity),
            ]
            yield platform.name, [f"{what}: {one} → {other}" for what, one, other in words if one != other]


def _by_path(catalogue: Catalogue) -> dict[str, Slo]:
    return {f"{slo.platform}/{slo.service}/{slo.name}": slo for slo in catalogue.slos}


def _changes(old: Slo | None, new: Slo | None) -> Iterator[str]:
    if new is None:
        yield "**removed**: nobody is told of it any more, and its series end"
        return
    if old is None:
        tiers = ", ".join(conventions.burn_tier(tier) for tier in new.tiers) or "none"
        yield f"**new**: {new.objective} over {new.window}, alerts: {tiers}; its budget is young for a window"
        return
    yield from _words(old, new)
    yield from _tiers(old, new)
    yield from _trends(old, new)
    yield from _history(old, new)


def _words(old: Slo, new: Slo) -> Iterator[str]:
    for what, before, after in (
        ("objective", str(old.objective), str(new.objective)),
        ("window", str(old.window), str(new.window)),
        ("team", old.team or "nobody", new.team or "nobody"),
        ("runbook", old.runbook or "none", new.runbook or "none"),
        ("mode", old.mode.value, new.mode.value),
    ):
        if before != after:
            yield f"{what}: {before} → {after}"


def _tiers(old: Slo, new: Slo) -> Iterator[str]:
    before = {conventions.burn_tier(tier): tier for tier in old.tiers}
    after = {conventions.burn_tier(tier): tier for tier in new.tiers}
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            yield f"tier `{name}` **removed**"
        elif name not in before:
            yield f"tier `{name}` **added**: {_speed(new, name)}"
        else:
            told = [change for change in (_threshold(old, new, name), _moments(old, new, name)) if change]
            if told:
                yield f"tier `{name}`: {'; '.join(told)}"
            yield from (f"tier `{name}`: {change}" for change in _conditions(before[name], after[name]))


def _conditions(old: Tier, new: Tier) -> Iterator[str]:
    """What else decides whether somebody is told."""
    for what, before, after in (
        ("guard", old.guard.value, new.guard.value),
        ("min_events", str(old.min_events), str(new.min_events)),
        ("min_bad", str(old.min_bad), str(new.min_bad)),
        ("keep_firing_for", str(old.keep_firing_for), str(new.keep_firing_for)),
        ("notify", ", ".join(old.notify) or "nobody", ", ".join(new.notify) or "nobody"),
    ):
        if before != after:
            yield f"{what}: {before} → {after}"


def _trends(old: Slo, new: Slo) -> Iterator[str]:
    for what, before, after in (
        ("forecast", old.forecast, new.forecast),
        ("regression", old.regression, new.regression),
    ):
        if before is None and after is not None:
            yield f"{what} **added**"
        elif after is None and before is not None:
            yield f"{what} **removed**"
        elif before != after:
            yield f"{what} changed"


def _tier(slo: Slo, name: str) -> Tier:
    return next(tier for tier in slo.tiers if conventions.burn_tier(tier) == name)


def _speed(slo: Slo, name: str) -> str:
    """The threshold of a tier and when it pages at some error ratios."""
    tier = _tier(slo, name)
    times = ", ".join(f"{_page(slo, tier, ratio)} at {percent(ratio)}" for ratio in RATIOS)
    return f"{_above(slo, tier)} (pages after {times})"


def _above(slo: Slo, tier: Tier) -> str:
    threshold = percent(error_threshold(tier, slo.objective))
    if tier.over is None:
        return f"at {threshold} of the budget spent"
    short = "" if tier.also_over is None else f" and {tier.also_over}"
    return f"above {threshold} errors over {tier.over}{short}"


def _threshold(old: Slo, new: Slo, name: str) -> str:
    was, now = _above(old, _tier(old, name)), _above(new, _tier(new, name))
    return f"{was} → {now}" if was != now else ""


def _moments(old: Slo, new: Slo, name: str) -> str:
    """When it pages, before and after, at the error ratios where that changes."""
    before, after = _tier(old, name), _tier(new, name)
    times = [(_page(old, before, ratio), _page(new, after, ratio), percent(ratio)) for ratio in RATIOS]
    changed = ", ".join(f"{was} → {now} at {ratio}" for was, now, ratio in times if was != now)
    return f"pages after {changed}" if changed else ""


def _page(slo: Slo, tier: Tier, ratio: Decimal) -> str:
    pending = pending_time(slo, tier, ratio)
    return "never" if pending is None else str(pending + tier.for_)


def _history(old: Slo, new: Slo) -> Iterator[str]:
    """Recordings begin anew when a label, a name or what is counted changes."""
    counted = [(slo.indicator, slo.timeslices, slo.exclude_when) for slo in (old, new)]
    if counted[0] != counted[1]:
        yield "**counts something else**: until a window has passed, budget and averages mix both"
    if conventions.series_labels(old) != conventions.series_labels(new) or old.by != new.by:
        yield "**its series lose their history**: labels or `by` change, so budget and averages begin anew"
    elif old.sampling.resolution != new.sampling.resolution:
        yield "**its series lose their history**: `resolution` is part of their names"
    elif old.calendar != new.calendar:
        yield "**its budget begins anew**: roll-ups carry the period of the calendar"
