"""What differs between two catalogues: sentences for the person on call, and each key in force that has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Final, TypeAlias

from sloctl import conventions
from sloctl.explain.detection import RATIOS, pending_time
from sloctl.explain.entries import NONE, KeyEntry, Owner, entries, line
from sloctl.model.alerting import Tier
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.quantities import percent

_COUNTED: Final = ("sli", "timeslices", "exclude_when")
_TOLD: Final = ("alerts", *_COUNTED)
_THRESHOLD: Final = ("burn", "error_rate", "budget_left", "over", "also_over")

Rows: TypeAlias = Mapping[str, list[KeyEntry]]


@dataclass(frozen=True, slots=True)
class Changes:
    """A platform, a service or an SLO that changes.

    Attributes:
        path: `platform`, `platform/service` or `platform/service/slo`.
        sentences: what changes for the person on call, in Markdown.
        values: old and new text of each key in force that differs; None where it is not in force.
    """

    path: str
    sentences: list[str]
    values: dict[str, tuple[str | None, str | None]]


def compared(old: Catalogue, new: Catalogue) -> list[Changes]:
    """What differs, by path; empty when nothing changes for the person on call."""
    before, after = _by_path(old), _by_path(new)
    for path, slo in _renamed(before, after):
        before[path] = before.pop(f"{slo.platform}/{slo.service}/{slo.name}")
    found = (_changes(path, before.get(path), after.get(path)) for path in sorted(before.keys() | after.keys()))
    return [changes for changes in found if changes.values]


def markdown(found: list[Changes]) -> str:
    """A section for each of them."""
    sections = ([f"### {changes.path}", "", *(f"- {sentence}" for sentence in changes.sentences)] for changes in found)
    return "\n\n".join("\n".join(section) for section in sections)


def _by_path(catalogue: Catalogue) -> dict[str, Owner]:
    owners: dict[str, Owner] = {}
    for platform in catalogue.platforms:
        owners[platform.name] = platform
        for service in platform.services:
            owners[f"{platform.name}/{service.name}"] = service
            owners |= {f"{platform.name}/{service.name}/{slo.name}": slo for slo in service.slos}
    return owners


def _renamed(before: Mapping[str, Owner], after: Mapping[str, Owner]) -> list[tuple[str, Slo]]:
    """The new path of each SLO that has another name and the same `id`, and what it was."""
    new = {(slo.platform, slo.id): path for path, slo in after.items() if isinstance(slo, Slo) and path not in before}
    old = [slo for path, slo in before.items() if isinstance(slo, Slo) and path not in after]
    return [(new[slo.platform, slo.id], slo) for slo in old if (slo.platform, slo.id) in new]


def _changes(path: str, old: Owner | None, new: Owner | None) -> Changes:
    before, after = [entries(owner) if owner is not None else [] for owner in (old, new)]
    texts = [{entry.key: entry.text for entry in found} for found in (before, after)]
    keys = dict.fromkeys(key for found in texts for key in found)
    values = {key: (texts[0].get(key), texts[1].get(key)) for key in keys}
    values = {key: (was, now) for key, (was, now) in values.items() if was != now}
    return Changes(path, list(_sentences(old, new, before, after)) if values else [], values)


def _sentences(old: Owner | None, new: Owner | None, before: list[KeyEntry], after: list[KeyEntry]) -> Iterator[str]:
    if old is None or new is None:
        yield from _come_or_gone(old, new)
    elif isinstance(old, Slo) and isinstance(new, Slo):
        yield from _rows(*([entry for entry in found if entry.head not in _TOLD] for found in (before, after)))
        if conventions.alert_prefix(old) != conventions.alert_prefix(new):
            names = f"`{conventions.alert_prefix(old)}...` → `{conventions.alert_prefix(new)}...`"
            yield f"its alerts are called {names}: silences by `alertname` no longer hold"
        yield from _tiers(old, new, _by_row(before), _by_row(after))
        counted = list(_rows(*([entry for entry in found if entry.head in _COUNTED] for found in (before, after))))
        if counted:
            yield "**counts something else**: until a window has passed, budget and averages mix both"
            yield from counted
        yield from _history(old, new)
    else:
        yield from _rows(before, after)


def _come_or_gone(old: Owner | None, new: Owner | None) -> Iterator[str]:
    match old, new:
        case _, Slo():
            tiers = ", ".join(conventions.burn_tier(tier) for tier in new.tiers) or "none"
            yield f"**new**: {new.objective} over {new.window}, alerts: {tiers}; its budget is young for a window"
        case Slo(), _:
            yield "**removed**: nobody is told of it any more, and its series end"
        case _:
            yield "**new**" if old is None else "**removed**"


def _rows(before: list[KeyEntry], after: list[KeyEntry]) -> Iterator[str]:
    """Keys whose values differ; a mapping that comes or goes is told as a whole."""
    old, new = _by_row(before), _by_row(after)
    whole = [row for row in dict.fromkeys((*old, *new)) if _is_mapping(row, old) != _is_mapping(row, new)]
    for row in dict.fromkeys((*old, *new)):
        if any(row.startswith(f"{above}.") for above in whole):
            continue
        if row in whole:
            yield f"{row} **added**: {_told(row, new)}" if _is_mapping(row, new) else f"{row} **removed**"
        else:
            yield from (f"{key}: {change}" for key, change in _keys(old.get(row, []), new.get(row, [])))


def _by_row(found: list[KeyEntry]) -> Rows:
    return {row: list(group) for row, group in groupby(found, lambda entry: entry.row)}


def _is_mapping(row: str, rows: Rows) -> bool:
    """Whether a row holds keys, or others stand below it."""
    return any(entry.name for entry in rows.get(row, ())) or any(other.startswith(f"{row}.") for other in rows)


def _told(row: str, rows: Rows) -> str:
    """A mapping in one line, with those below it."""
    if row in rows:
        return line(rows[row])
    below = {other.removeprefix(f"{row}."): found for other, found in rows.items() if other.startswith(f"{row}.")}
    return "; ".join(f"{name} {line(found)}" for name, found in below.items() if found[0].name)


def _keys(old: list[KeyEntry], new: list[KeyEntry]) -> Iterator[tuple[str, str]]:
    """The keys of a row that differ, and how."""
    before, after = ({entry.key: entry.text for entry in found} for found in (old, new))
    for key in dict.fromkeys((*before, *after)):
        was, now = (texts.get(key, NONE) for texts in (before, after))
        if was != now:
            nothing = "nobody" if key.rpartition(".")[2] in {"team", "notify"} else NONE
            yield key, f"{nothing if was == NONE else was} → {nothing if now == NONE else now}"


def _tiers(old: Slo, new: Slo, before: Rows, after: Rows) -> Iterator[str]:
    names = [[conventions.burn_tier(tier) for tier in slo.tiers] for slo in (old, new)]
    for name in dict.fromkeys((*names[0], *names[1])):
        if name not in names[1]:
            yield f"tier `{name}` **removed**"
        elif name not in names[0]:
            yield f"tier `{name}` **added**: {_speed(new, name)}"
        else:
            threshold, moments = _threshold(old, new, name), _moments(old, new, name)
            if threshold or moments:
                yield f"tier `{name}`: {'; '.join(change for change in (threshold, moments) if change)}"
            told = {*(_THRESHOLD if threshold else ()), *(("for",) if moments else ())}
            row = f"alerts.{name}"
            changes = ((key.removeprefix(f"{row}."), change) for key, change in _keys(before[row], after[row]))
            yield from (f"tier `{name}`: {key}: {change}" for key, change in changes if key not in told)


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
    """Recordings begin anew when a label comes or has another value; those of one that is gone go on."""
    was, now = conventions.series_labels(old).items(), conventions.series_labels(new).items()
    if now - was or set(new.by) - set(old.by):
        yield "**its series lose their history**: labels or `by` change, so budget and averages begin anew"
    elif old.sampling.resolution != new.sampling.resolution:
        yield "**its series lose their history**: `resolution` is part of their names"
    elif old.calendar != new.calendar:
        yield "**its budget begins anew**: roll-ups carry the period of the calendar"
