"""What the rest of an Alertmanager configuration does to our alerts: rules that mute them, routes that lose them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from sloctl.backends.alertmanager import base
from sloctl.backends.alertmanager.routes import routed
from sloctl.backends.alertmanager.tree import matcher_text, matches
from sloctl.conventions.inventory import Alert, platform_alerts
from sloctl.model.alerting import Mode, Severity
from sloctl.model.catalogue import Catalogue
from sloctl.model.selector import Matcher

Labels: TypeAlias = Mapping[str, str]

_OURS: Final = frozenset(("alertname", "slo", "sloctl"))
"""Labels whose values no alert of somebody else has."""
_SPARE: Final = 'add `sloctl=""` to its target matchers, so that it leaves these alerts alone'
_SHOWN: Final = 3
_SOURCES: Final = 4
"""So many sources with the same `equal` labels are tried: of different SLOs and severities."""


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that the base does to our alerts.

    Attributes:
        is_error: a page would not arrive; otherwise somebody should look.
        message: with the place in the base, and what to write instead.
    """

    is_error: bool
    message: str


@dataclass(frozen=True, slots=True)
class _Inhibition:
    node: base.Node
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]

    def mutes(self, source: Labels, target: Labels) -> bool:
        """Whether one alert mutes another by this rule, as Alertmanager decides."""
        if not _all(self.source, source) or not _all(self.target, target):
            return False
        if _all(self.source, target) and _all(self.target, source):
            return False  # what is on both sides mutes nothing that is on both sides
        return self.key(source) == self.key(target)

    def key(self, labels: Labels) -> tuple[str, ...]:
        """The values that must be the same; a label that is missing is an empty one."""
        return tuple(labels.get(label, "") for label in self.equal)

    def may_mute(self, target: Labels) -> bool:
        """Whether a foreign alert could mute one of ours: it has the same `equal` labels, or lacks them as well."""
        if not _all(self.target, target) or _OURS.intersection(self.equal):
            return False
        known = {label: target.get(label, "") for label in self.equal}
        return all(matches(matcher, known) for matcher in self.source if matcher.label in known)


def concerns(text: str, path: str, catalogue: Catalogue) -> list[Concern]:
    """Everything in a base, without what a merge put in, that mutes our alerts or no longer sees them.

    Raises:
        BaseError: the base cannot be read.
    """
    root = base.read(text, path)
    alerts = [
        alert._replace(labels={**alert.labels, "alertname": alert.name})
        for platform in routed(catalogue)
        for alert in platform_alerts(platform)
        if alert.labels.get("mode") != Mode.OBSERVE.value
    ]
    rules = [_rule(node, path) for node in base.items(base.value_of(root, "inhibit_rules"))]
    muted = (concern for rule in rules for concern in _muted(rule, alerts, path))
    return [*muted, *_lost(root, alerts, path)]


def _rule(node: base.Node, path: str) -> _Inhibition:
    source, target = (
        base.matchers_of(node, path, f"{side}_matchers", f"{side}_match", f"{side}_match_re")
        for side in ("source", "target")
    )
    return _Inhibition(node, source, target, tuple(str(one.value) for one in base.items(base.value_of(node, "equal"))))


def _all(matchers: tuple[Matcher, ...], labels: Labels) -> bool:
    return all(matches(matcher, labels) for matcher in matchers)


def _muted(rule: _Inhibition, alerts: list[Alert], path: str) -> Iterator[Concern]:
    sources = dict[tuple[str, ...], list[Alert]]()
    for alert in alerts:
        if _all(rule.source, alert.labels):
            alike = sources.setdefault(rule.key(alert.labels), [])
            if len(alike) < _SOURCES or all(alert.severity is other.severity for other in alike):
                alike.append(alert)
    by_own, by_others = list[str](), list[Alert]()
    for alert in alerts:
        alike = sources.get(rule.key(alert.labels), [])
        muting = (other for other in alike if _counts(other, alert) and rule.mutes(other.labels, alert.labels))
        if (source := next(muting, None)) is not None:
            by_own.append(f"{source.name} would mute {alert.name}")
        elif rule.may_mute(alert.labels):
            by_others.append(alert)
    if by_own:
        yield Concern(is_error=True, message=_said(rule, path, _listed(by_own)))
    if by_others:
        pages = any(alert.severity is Severity.P1 for alert in by_others)
        who = ", ".join(matcher_text(matcher) for matcher in rule.source) or "anything"
        lacking = [label for label in rule.equal if not any(alert.labels.get(label) for alert in by_others)]
        without = f" without {' and '.join(f'`{label}`' for label in lacking)}" if lacking else ""
        what = f"an alert with {who}{without} would mute {_listed([alert.name for alert in by_others])}"
        yield Concern(is_error=pages, message=_said(rule, path, what))


def _counts(source: Alert, target: Alert) -> bool:
    """Whether it matters that one mutes the other: a higher tier mutes the lower ones of its own SLO anyway."""
    if source is target:
        return False
    same = source.labels.get("slo") == target.labels.get("slo") and "slo" in target.labels
    urgent = [one.severity.value if one.severity is not None else "" for one in (source, target)]
    return not (same and urgent[0] < urgent[1])


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _said(rule: _Inhibition, path: str, what: str) -> str:
    return str(base.refused(path, rule.node, f"by this inhibit rule {what}", _SPARE))


def _lost(root: base.Mapping, alerts: list[Alert], path: str) -> Iterator[Concern]:
    """Routes that go on after they told somebody: our alerts take a route before them, and no longer pass there."""
    for node in base.items(base.value_of(base.value_of(root, "route"), "routes")):
        goes_on = base.value_of(node, "continue")
        matchers = base.matchers_of(node, path, "matchers", "match", "match_re")
        seen = any(_all(matchers, alert.labels) for alert in alerts)
        if goes_on is None or goes_on.value != "true" or not seen:
            continue
        receiver = base.value_of(node, "receiver")
        name = f"`{receiver.value}`" if receiver is not None else "the default receiver"
        message = f"with `continue: true` this route tells {name} of every alert, but no longer of sloctl's"
        help_ = "give a team a further route `archive: {receiver: NAME}` and name it in `notify`, or leave it as it is"
        yield Concern(is_error=False, message=str(base.refused(path, node, message, help_)))
