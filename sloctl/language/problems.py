"""From pydantic's errors to diagnostics: the user's words, with the place of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.language.fields import LIST, MAPPING, TEXT, Written, listed
from sloctl.language.refusals import shown
from sloctl.language.tree import REFUSED, Key, Sequence, Tree

MAX_SHOWN: Final = 100  # findings of one document

_SKIPPED: Final = frozenset((TEXT, LIST, MAPPING, "[key]"))
_SELECTOR_LIKE: Final = re.compile(r"[=~{}\"]")
_NUMBERED: Final = re.compile(r"[A-Za-z]?[0-9]+")
_COMMENT: Final = re.compile(r"\s*#\S")
_OTHER_WORDS: Final = {
    "target": "objective",
    "goal": "objective",
    "slo": "objective",
    "indicator": "sli",
    "alerting": "alerts",
    "alert": "alerts",
    "interval": "scrape_interval",
    "events": "total",
    "errors": "bad",
    "error": "bad",
    "period": "window",
    "time_window": "window",
    "owner": "team",
    "burn_rate": "burn",
    "threshold": "at_most",
    "below": "at_most",
    "group_by": "by",
    "split_by": "by",
    "from_template": "uses",
}

_STRICT_BOUND: Final = (
    "bounds are good values; where the bound itself is bad, ask in PromQL: "
    "`threshold: {value: 'queue < bool 500', at_least: 1}`"
)
_OWN_WORDS: Final = (
    "words of your own for P1, P2 and P3 stand in `severities` of the Platform of its folder; what one SLO alone has "
    "is a label of its tier, such as `labels: {pager: web}`, for your routes"
)
_BEGIN_OF_PERIOD: Final = (
    "periods begin at midnight of their `time_zone`, weeks on Monday; one that begins at noon UTC is of "
    "`time_zone: Etc/GMT-12`"
)
_SEVERAL_BOUNDS: Final = (
    "write one SLO a bound; or count buckets in one: `ratio: {total: ['s_count{route=\"a\"}', 's_count{route=\"b\"}'], "
    'good: [\'s_bucket{route="a", le="0.3"}\', \'s_bucket{route="b", le="1.0"}\']}`'
)
_WAYS: Final = {
    **dict.fromkeys(("below", "above", "less_than", "more_than", "greater_than", "lt", "gt", "op"), _STRICT_BOUND),
    **dict.fromkeys(("severities", "severity", "severity_words", "page_severity"), _OWN_WORDS),
    **dict.fromkeys(
        ("start", "starts", "starts_at", "start_time", "startTime", "begin", "begins", "hour", "offset", "first_day"),
        _BEGIN_OF_PERIOD,
    ),
    **dict.fromkeys(("at_most", "bounds", "thresholds"), _SEVERAL_BOUNDS),
}
"""How to say what has no key of its own, where a key of this name is unknown or its value has another form."""

ModelT = TypeVar("ModelT", bound=BaseModel)


def validated(model: type[ModelT], tree: Tree, found: Diagnostics, *related: Related) -> ModelT | None:
    """The tree's value as a model, or None after all its problems were added to `found`.

    Args:
        model: what the value must be.
        tree: the value and its places.
        found: takes a finding for each problem.
        related: other places that belong to every finding, such as the use of a template.
    """
    try:
        return model.model_validate(tree.value)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        shown_problems = [_Problem(problem, model, tree, found) for problem in problems[:MAX_SHOWN]]
        misspelt = {problem.meant for problem in shown_problems} - {None}
        for problem in shown_problems:
            if problem.kind != "missing" or problem.path not in misspelt:
                problem.add(related)
        if len(problems) > MAX_SHOWN:
            message = f"{len(problems) - MAX_SHOWN} more problems in this document"
            found.error("SLO049", tree.place(), message, "repair those that are shown first")
        return None


class _Problem:
    """One error of pydantic, with the path of YAML keys that it is about."""

    def __init__(self, details: ErrorDetails, model: type[BaseModel], tree: Tree, found: Diagnostics) -> None:
        self.details, self.model, self.tree, self.found = details, model, tree, found
        self.kind = details["type"]
        self.context: dict[str, Any] = details.get("ctx", {})
        loc = details["loc"]
        self.about_key = (
            self.kind == "extra_forbidden" or self.context.get("on_key", False) or bool(loc and loc[-1] == "[key]")
        )
        above = tuple(key for key in loc if key not in _SKIPPED)
        self.above = above
        self.path: tuple[Key, ...] = above + tuple(self.context.get("at", ()))

    @property
    def meant(self) -> tuple[Key, ...] | None:
        """The path that an unknown key was meant to have, if that can be told."""
        if self.kind != "extra_forbidden":
            return None
        word = nearest(str(self.path[-1]), self._known())
        return None if word is None else (*self.path[:-1], word)

    def _known(self) -> list[str]:
        """The keys that could stand where the last of the path is."""
        return [each for fields in _fields_at(self.model, list(self.path[:-1])) for each in fields]

    def add(self, related: tuple[Related, ...]) -> None:
        """Add the finding, unless the reader has reported the value already."""
        value = self.tree.find(*self.path)
        if value is REFUSED:
            return
        place, message, help_ = self._place(), "", ""
        if self.kind == "missing":
            code, message, help_ = self._missing()
        elif value is None and not self.about_key:
            code, message, help_ = self._no_value()
            place = self.tree.key_place(*self.path)
        elif self.kind == "extra_forbidden":
            code, message, help_ = self._unknown_key()
        elif self.kind == "literal_error":
            code, message, help_ = self._unknown_word()
        else:
            code, message, help_ = self._wrong()
        self.found.error(code, place, message, help_, *self._related(), *related)

    def _place(self) -> Place:
        return self.tree.key_place(*self.path) if self.about_key else self.tree.place(*self.path)

    def _related(self) -> Iterator[Related]:
        written = self.tree.written_place(*self.path)
        if written != self.tree.place(*self.path):
            yield Related(written, "it stands for this value of the template")
        for keys, message in self.context.get("related", ()):
            path = (*self.above, *keys)
            place = self.tree.key_place(*path) if self.about_key else self.tree.place(*path)
            yield Related(place, message)

    def _missing(self) -> tuple[str, str, str]:
        *above, key = self.path
        field = next((fields[key] for fields in _fields_at(self.model, above) if key in fields), None)
        meaning = f": {field.description}" if field is not None and field.description else ""
        return "SLO017", f"`{key}` is missing", f"add `{key}`{meaning}"

    def _no_value(self) -> tuple[str, str, str]:
        place = self.tree.key_place(*self.path)
        lines = _lines(self.found.sources.get(place.path, ""))
        line = lines[place.line - 1] if place.line <= len(lines) else ""
        after = line[place.column - 1 :]
        key = self.path[-1] if self.path else ""
        rest = after[after.find(":") + 1 :] if isinstance(key, str) else after
        what = f"`{key}` has no value" if isinstance(key, str) else "this item has no value"
        if _COMMENT.match(rest):
            text = rest.strip().rstrip(",]}")
            return "SLO018", f"{what}, because `#` begins a comment", f"put it in quotes: '{text}'"
        return "SLO018", what, "write a value, or leave the key out"

    def _wrong(self) -> tuple[str, str, str]:
        """What pydantic found, by its kind of error."""
        given = shown(self.details["input"])
        match self.kind:
            case "model_type" | "model_attributes_type" | "dict_type":
                return "SLO019", f"a mapping is needed, not {given}", "write `key: value` lines below the key"
            case "tuple_type":
                return (
                    "SLO019",
                    f"a list is needed, not {given}",
                    "write `[first, second]`, or a `- ` line for each",
                )
            case code if code.startswith("SLO"):
                return code, self.context["message"], self._way_of_value() or self.context["help"]
            case _:
                return "SLO019", f"{given} cannot stand here", ""

    def _unknown_key(self) -> tuple[str, str, str]:
        name = str(self.path[-1])
        message = f"unknown key {shown(name)}"
        if _SELECTOR_LIKE.search(name):
            return (
                "SLO016",
                message,
                "this looks like a part of a selector: put the whole selector in single quotes",
            )
        known = self._known()
        help_ = self._way(name) or did_you_mean(name, known) or f"the keys here are {listed(known)}"
        return "SLO016", message, help_

    def _way(self, name: str) -> str:
        """What to write for a key that some people look for, where it could stand."""
        about = {_STRICT_BOUND: "at_least", _BEGIN_OF_PERIOD: "calendar", _SEVERAL_BOUNDS: "at_most"}
        way = _WAYS.get(name, "")
        if way == _OWN_WORDS:
            return way if {"objective", "severity"} & set(self._known()) else ""
        return way if about.get(way) in self._known() else ""

    def _way_of_value(self) -> str:
        """What to write for a value of another form."""
        name, value = str(self.path[-1]) if self.path else "", self.details["input"]
        if self.kind not in {"SLO023", "SLO025"}:
            return ""
        if name in {"at_most", "at_least"} and isinstance(value, str) and value.lstrip()[:1] in {"<", ">"}:
            return _STRICT_BOUND
        return _SEVERAL_BOUNDS if name == "at_most" and isinstance(value, Sequence) else ""

    def _unknown_word(self) -> tuple[str, str, str]:
        words = re.findall(r"'([^']*)'", self.context["expected"])
        value = self.details["input"]
        better = did_you_mean(value, words) if isinstance(value, str) else ""
        help_ = better or f"write {listed(words, 'or')}"
        if self.path[-1] == "severity" and not _NUMBERED.fullmatch(str(value)):
            help_ = f"{help_}; {_OWN_WORDS}"
        return "SLO020", f"{shown(value)} is not known here", help_


@lru_cache(maxsize=1)
def _lines(text: str) -> list[str]:
    return text.split("\n")


def nearest(name: str, known: list[str]) -> str | None:
    """The known word that is most likely meant, if there is one."""
    if (other := _OTHER_WORDS.get(name)) in known:
        return other
    close = get_close_matches(name.lower()[:80], known, n=1, cutoff=0.6)
    return next((word for word in (*close, *known) if word in close or word.lower() == name.lower()), None)


def did_you_mean(name: str, known: list[str]) -> str:
    """A question that names the nearest known word, or an empty text."""
    word = nearest(name, known)
    return "" if word is None else f"did you mean `{word}`?"


def _fields_at(model: type[BaseModel], path: list[Key]) -> list[dict[str, FieldInfo]]:
    """The fields, by YAML key, of the models that can stand at a path of YAML keys."""
    types: list[Any] = [model]
    for key in path:
        types = [inner for outer in types for inner in _below(outer, key)]
    return [_fields(each) for each in types if _is_model(each)]


def _below(outer: Any, key: Key) -> Iterator[Any]:
    if _is_model(outer):
        field = _fields(outer).get(str(key))
        other = outer.other_keys if issubclass(outer, Written) else None
        yield from _alternatives(field.annotation if field is not None else other)
    elif get_origin(outer) is dict:
        yield from _alternatives(get_args(outer)[1])
    elif get_origin(outer) is tuple:
        yield from _alternatives(get_args(outer)[0])


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The types that an annotation allows, without `Annotated` and unions around them."""
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_args(annotation) and get_origin(annotation) not in (dict, tuple):
        for each in get_args(annotation):
            yield from _alternatives(each)
    else:
        yield annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}
