"""What changes for the person on call between two catalogues, as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from sloctl import conventions
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.quantities import Duration, percent
from sloctl.proof.explain import pending_time

_SHOWN = (Decimal(1), Decimal("0.1"), Decimal("0.01"))


def compared(old: Catalogue, new: Catalogue) -> list[str]:
    """Lines of Markdown; empty when nothing changes for the person on call."""
    before, after = _by_path(old), _by_path(new)
    lines = list[str]()
    for path in sorted(before.keys() | after.keys()):
        changes = list(_changes(before.get(path), after.get(path)))
        if changes:
            lines += [f"### {path}", "", *(f"- {change}" for change in changes), ""]
    return lines


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
        elif (was := _speed(old, name)) != (now := _speed(new, name)):
            yield f"tier `{name}`: {was} → {now}"


def _speed(slo: Slo, name: str) -> str:
    """The threshold of a tier and when it pages at some error ratios."""
    tier = next(tier for tier in slo.tiers if conventions.burn_tier(tier) == name)
    threshold = percent(error_threshold(tier, slo.objective))
    if tier.over is None:
        return f"at {threshold} of the budget spent"
    times = ", ".join(f"{_time(pending_time(slo, tier, ratio), tier.for_)} at {percent(ratio)}" for ratio in _SHOWN)
    short = "" if tier.also_over is None else f" and {tier.also_over}"
    return f"above {threshold} errors over {tier.over}{short} (pages after {times})"


def _time(pending: Duration | None, for_: Duration) -> str:
    return "never" if pending is None else str(pending + for_)


def _history(old: Slo, new: Slo) -> Iterator[str]:
    """Recordings begin anew when a label, a name or what is counted changes."""
    if old.indicator != new.indicator or old.timeslices != new.timeslices:
        yield "**counts something else**: until a window has passed, budget and averages mix both"
    if conventions.series_labels(old) != conventions.series_labels(new) or old.by != new.by:
        yield "**its series lose their history**: labels or `by` change, so budget and averages begin anew"
    elif old.sampling.resolution != new.sampling.resolution:
        yield "**its series lose their history**: `resolution` is part of their names"
    elif old.calendar != new.calendar:
        yield "**its budget begins anew**: roll-ups carry the period of the calendar"
