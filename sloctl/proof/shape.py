"""The shape of an SLO: what is left of it and its rules without names, selectors, texts, objective and bounds.

One SLO of each shape is proven in promtool; the rules of the others are compared with its own, tree by tree.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from decimal import Decimal
from math import isclose
from typing import Any, Final

from sloctl.backends.prometheus.backend import slo_groups
from sloctl.diagnostics import Place
from sloctl.errors import PromqlError
from sloctl.model.alerting import Tier
from sloctl.model.catalogue import Platform, Slo
from sloctl.model.quantities import MINUTE, Duration, Objective, Rate
from sloctl.model.selector import Expression, Matcher, Selector
from sloctl.promql.outline import Fill, outlined
from sloctl.proof.proof import Rule, SloRules

_NOWHERE: Final = Place("", 1, 1)
_WORD: Final = "text"
_RATE: Final = Rate(Decimal(600), MINUTE)
_OBJECTIVE: Final = Objective(Decimal("0.999"))
_BOUNDS: Final[Mapping[type, Any]] = {Decimal: Decimal("0.25"), Rate: _RATE, Duration: MINUTE * 5}
_BOUND_KEYS: Final = ("at_most", "at_least", "max_age")
_KEPT_METRICS: Final = ("slo:", "up", "ALERTS")
"""Metrics that mean the same everywhere begin with these."""
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_ACTION: Final = re.compile(r"\{\{.*?\}\}")
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?(?![\w.])|[\w.:]+|\S')
_EXACT: Final = 1e-9
_DERIVED: Final = ("alertname", "text")
"""Names that follow from others."""


def shape_of(platform: Platform, slo: Slo) -> str:
    """The digest of an SLO's model and rules in a canonical identity; equal for SLOs of one shape.

    The model as well: an option that no rule shows tells shapes apart.
    """
    bare_platform, bare = dressed(platform, slo)
    groups = [group.value() for group in slo_groups(bare_platform, bare)]
    told = f"{bare_platform!r}\n{bare!r}\n{groups!r}"
    return hashlib.sha256(told.encode()).hexdigest()


def dressed(platform: Platform, slo: Slo) -> tuple[Platform, Slo]:
    """An SLO and its platform under names, selectors, texts, an objective and a bound that all of its shape share."""
    names = _Names()
    indicator = names.canonical(slo.indicator)
    bounds = {
        key: _BOUNDS[type(value)] for key in _BOUND_KEYS if (value := getattr(slo.indicator, key, None)) is not None
    }
    bare = replace(
        slo,
        platform="platform",
        service="service",
        name="slo",
        written_id=None,
        objective=_OBJECTIVE,
        indicator=replace(indicator, **bounds),
        tiers=tuple(_bare_tier(tier) for tier in slo.tiers),
        left_out=tuple(_bare_tier(tier) for tier in slo.left_out),
        exclude_when=names.canonical(slo.exclude_when),
        sla=names.canonical(slo.sla),
        traffic=_RATE if slo.traffic else None,
        place=_NOWHERE,
        places={},
        description=_word(slo.description) or "",
        team=_word(slo.team),
        runbook=_word(slo.runbook),
        labels=_words(slo.labels),
        annotations=_words(slo.annotations),
    )
    links = replace(platform.dashboards, base_url=_word(platform.dashboards.base_url), folder=None, deploys=None)
    bare_platform = Platform(
        name="platform",
        services=(),
        teams={},
        team=_word(platform.team),
        severities=platform.severities,
        sampling=platform.sampling,
        place=_NOWHERE,
        texts=platform.texts,
        dashboards=links,
        inhibition=platform.inhibition,
    )
    return bare_platform, bare


def _bare_tier(tier: Tier) -> Tier:
    return replace(tier, place=_NOWHERE, labels=_words(tier.labels), annotations=_words(tier.annotations))


def _word(text: str | None) -> str | None:
    return _WORD if text else None


def _words(texts: Mapping[str, str]) -> dict[str, str]:
    return dict.fromkeys(texts, _WORD)


@dataclass(slots=True)
class _Names:
    """Canonical metric names and matcher values, numbered as they are met."""

    known: dict[tuple[str, str], str] = field(default_factory=dict)

    def canonical(self, value: Any) -> Any:
        """The same value with every selector in it under canonical names."""
        match value:
            case Selector():
                matchers = tuple(self.canonical(matcher) for matcher in value.matchers)
                return Selector(self._metric(value.metric), matchers)
            case Matcher():
                return value._replace(value=self._value(value.value))
            case Expression():
                selectors = tuple(self.canonical(selector) for selector in value.selectors)
                return replace(value, text=self._text(value), selectors=selectors)
            case tuple():
                return tuple(self.canonical(part) for part in value)
        if is_dataclass(value) and not isinstance(value, type):
            parts = {part.name: getattr(value, part.name) for part in fields(value) if part.init}
            return replace(value, **{name: self.canonical(part) for name, part in parts.items()})
        return value

    def _text(self, expression: Expression) -> str:
        metrics = {selector.metric for selector in expression.selectors}
        text = _STRING.sub(lambda found: f'"{self._value(found[0][1:-1])}"', expression.text)
        return re.sub(r"[\w:]+", lambda found: self._metric(found[0]) if found[0] in metrics else found[0], text)

    def _metric(self, name: str) -> str:
        if name.startswith(_KEPT_METRICS):
            return name
        return self.known.setdefault(("metric", name), f"metric_{len(self.known)}")

    def _value(self, value: str) -> str:
        return value and self.known.setdefault(("value", value), f"value_{len(self.known)}")


@dataclass(slots=True)
class Substitution:
    """What stands for what in the rules of two SLOs: one name for each other, and numbers that follow from both.

    Attributes:
        names: by what they name (a label; empty for metrics), and the name in the proven rules.
    """

    proven: Slo
    other: Slo
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    back: dict[tuple[str, str], str] = field(default_factory=dict)
    numbers: dict[float, float] = field(default_factory=dict)

    def __str__(self) -> str:
        names = [f"{old} → {new}" for (kind, old), new in self.names.items() if old != new and kind not in _DERIVED]
        numbers = [f"{old:g} → {new:g}" for old, new in self.numbers.items()]
        return ", ".join(dict.fromkeys([*names, *numbers]))

    def name(self, kind: str, proven: str, other: str) -> bool:
        """Whether a name stands for one other everywhere, and that for no second one."""
        if not kind and proven != other and (proven.startswith(_KEPT_METRICS) or other.startswith(_KEPT_METRICS)):
            return False
        there = self.names.setdefault((kind, proven), other)
        return there == other and self.back.setdefault((kind, other), proven) == proven

    def number(self, proven: float, other: float) -> bool:
        """Whether two numbers are equal, or as the error budgets, the objectives or the bounds of both SLOs."""
        if proven == other:
            return True
        known = _quantities(self.proven), _quantities(self.other)
        if not any(isclose(proven * there, other * here, rel_tol=_EXACT) for here, there in zip(*known, strict=True)):
            return False
        self.numbers[proven] = other
        return True


def _quantities(slo: Slo) -> list[float]:
    """What numbers in rules are proportional to."""
    found = [float(slo.objective.error_budget), float(slo.objective.ratio)]
    for key in _BOUND_KEYS:
        match getattr(slo.indicator, key, None):
            case Decimal() as bound:
                found.append(float(bound))
            case Rate() as rate:
                found.append(float(rate.during(MINUTE)))
            case Duration() as length:
                found.append(float(length.seconds))
    return found


def substituted(proven: SloRules, other: SloRules) -> Substitution | None:
    """What to write into the proven rules to get the other ones; None where they differ in anything else."""
    found = Substitution(proven.slo, other.slo)
    if len(proven.groups) != len(other.groups):
        return None
    alike = all(_is_group(found, ours, theirs) for ours, theirs in zip(proven.groups, other.groups, strict=True))
    return found if alike else None


def _is_group(found: Substitution, proven: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Interval and limit included."""
    if proven.keys() != other.keys() or len(proven["rules"]) != len(other["rules"]):
        return False
    if any(proven[key] != other[key] for key in proven if key not in {"name", "rules"}):
        return False
    return all(_is_rule(found, ours, theirs) for ours, theirs in zip(proven["rules"], other["rules"], strict=True))


def _is_rule(found: Substitution, proven: Rule, other: Rule) -> bool:
    if proven.keys() != other.keys():
        return False
    named = found.name(_DERIVED[0], proven["alert"], other["alert"]) if "alert" in proven else True
    rest = all(proven[key] == other[key] for key in proven if key not in {"alert", "expr", "labels", "annotations"})
    return named and rest and _are_texts(found, proven, other) and _is_expression(found, proven["expr"], other["expr"])


def _is_expression(found: Substitution, proven: str, other: str) -> bool:
    try:
        (one, known), (two, seen) = outlined(proven), outlined(other)
    except PromqlError:
        return False
    return one == two and all(_is_fill(found, *pair) for pair in zip(known, seen, strict=True))


def _is_fill(found: Substitution, proven: Fill, other: Fill) -> bool:
    if isinstance(proven.value, float) and isinstance(other.value, float):
        return found.number(proven.value, other.value)
    return found.name(str(proven.kind), str(proven.value), str(other.value))


def _are_texts(found: Substitution, proven: Rule, other: Rule) -> bool:
    """Labels, and of annotations what Prometheus expands; other words of theirs belong to the canonical identity."""
    labels, beside = (rule.get("labels", {}) for rule in (proven, other))
    if labels.keys() != beside.keys() or not all(found.name(label, labels[label], beside[label]) for label in labels):
        return False
    texts, these = (rule.get("annotations", {}) for rule in (proven, other))
    if texts.keys() != these.keys():
        return False
    return all(_are_actions(found, list(_tokens(texts[key])), list(_tokens(these[key]))) for key in texts)


def _tokens(text: str) -> Iterator[str]:
    for action in _ACTION.findall(text):
        yield from _TOKEN.findall(action)


def _are_actions(found: Substitution, proven: Sequence[str], other: Sequence[str]) -> bool:
    return len(proven) == len(other) and all(_is_token(found, *pair) for pair in zip(proven, other, strict=True))


def _is_token(found: Substitution, proven: str, other: str) -> bool:
    if proven == other:
        return True
    if _is_number(proven) and _is_number(other):
        return found.number(float(proven), float(other))
    strings = _STRING.fullmatch(proven) and _STRING.fullmatch(other)
    return bool(strings) and found.name(_DERIVED[1], proven, other)


def _is_number(token: str) -> bool:
    return re.fullmatch(r"\d+(?:\.\d+)?", token) is not None
