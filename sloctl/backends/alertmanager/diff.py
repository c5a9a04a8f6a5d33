"""Which open incidents a new configuration would orphan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sloctl.backends.alertmanager.tree import MatchedRoute, RouteNode, all_routes


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """One route of the old tree whose incidents get another identity, and why."""

    receiver: str
    why: str


def changes(old: RouteNode | None, new: RouteNode | None) -> Iterator[IncidentChange]:
    """The routes whose open incidents the new tree no longer updates or resolves."""
    after = {leaf.receiver: leaf for leaf in _leaves(new)}
    for before in _leaves(old):
        name = before.receiver or "the base's default receiver"
        now = after.get(before.receiver)
        if now is None:
            yield IncidentChange(name, "is gone: what is open there is never resolved")
        elif now.key != before.key:
            yield IncidentChange(name, f"is reached by {now.key} instead of {before.key}")
        elif set(now.group_by) != set(before.group_by):
            yield IncidentChange(name, f"groups by {', '.join(now.group_by)} instead of {', '.join(before.group_by)}")


def _leaves(tree: RouteNode | None) -> list[MatchedRoute]:
    return [] if tree is None else [matched for matched in all_routes(tree) if not matched.route.routes]
