"""Rule files against what the specifications compile to: every difference in words, of every part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

RuleGroup: TypeAlias = Mapping[str, Any]
"""A group as it stands in a rule file."""
SeenGroups: TypeAlias = Mapping[str, Sequence[RuleGroup]]
"""Groups of rule files by their name; more than one where a name stands in them twice."""

_LONGEST: Final = 400


def differences(meant: RuleGroup, seen: SeenGroups) -> Iterator[str]:
    """How the group of a rule file differs from what it must be, one sentence each."""
    name, found = meant["name"], seen.get(meant["name"], ())
    if len(found) != 1:
        yield f"the rule files have {len(found) or 'no'} group{'s' if found else ''} {name}"
    for group in found:
        for key in dict.fromkeys([*meant, *group]):
            if key != "rules" and meant.get(key) != group.get(key):
                yield f"group {name}: {_unlike(key, meant.get(key), group.get(key))}"
        yield from _rules(name, meant["rules"], group["rules"])


def _rules(group: str, meant: Sequence[Mapping[str, Any]], seen: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    wanted, found = ([_name(rule) for rule in rules] for rules in (meant, seen))
    yield from (f"the rule file has no rule {name} in group {group}" for name in wanted if name not in found)
    for number, name in enumerate(found):
        if name not in wanted:
            yield f"{name} of group {group} is not a rule that the specification compiles to"
        elif name in found[:number]:
            yield f"{name} stands in group {group} more than once"
    common = [name for name in found if name in wanted]
    if common != [name for name in wanted if name in found] and len(common) == len(set(common)):
        yield f"group {group}: the order of its rules is another, expected {', '.join(wanted)}, seen {', '.join(found)}"
    known = dict(zip(wanted, meant, strict=True))
    for name, rule in zip(found, seen, strict=True):
        if name in known:
            yield from (
                f"{name} is not the rule that the specification compiles to: {what}"
                for what in _parts(known[name], rule)
            )


def _name(rule: Mapping[str, Any]) -> str:
    return str(rule.get("record") or rule.get("alert"))


def _parts(meant: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[str]:
    """What differs of a rule, each label and text by itself."""
    for key in dict.fromkeys([*meant, *seen]):
        wanted, found = meant.get(key), seen.get(key)
        if wanted == found:
            continue
        if isinstance(wanted, Mapping) and isinstance(found, Mapping):
            for part in dict.fromkeys([*wanted, *found]):
                if wanted.get(part) != found.get(part):
                    yield f"{key.removesuffix('s')} {_unlike(part, wanted.get(part), found.get(part))}"
        else:
            yield _unlike(key, wanted, found)


def _unlike(key: str, meant: object, seen: object) -> str:
    """Of long texts the part that differs, with a little before it."""
    wanted, found = _shown(meant), _shown(seen)
    same = next((at for at, pair in enumerate(zip(wanted, found, strict=False)) if pair[0] != pair[1]), None)
    begin = max(0, (same or 0) - 60) if max(len(wanted), len(found)) > _LONGEST else 0
    return f"{key} expected {_cut(wanted, begin)}, seen {_cut(found, begin)}"


def _shown(value: object) -> str:
    return "nothing" if value is None else " ".join(str(value).split())


def _cut(text: str, begin: int) -> str:
    more = "..." if begin + _LONGEST < len(text) else ""
    return f"{'...' if begin else ''}{text[begin : begin + _LONGEST]}{more}"
