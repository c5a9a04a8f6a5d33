"""The tables of docs/specification.md, from the models that validate specifications: `python -m tools.reference`.

A table stands between `<!-- table: Model -->` and `<!-- end -->`; `--check` writes nothing and exits with 1 when a
table is not what the models say.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sloctl.language import alerting, document, indicators, ownership, rollout
from sloctl.language.fields import Otherwise, Written
from sloctl.language.values import Read, Words
from sloctl.model.indicator import RunningTotal
from sloctl.model.quantities import number, percent

PAGE: Final = Path(__file__).parents[1] / "docs" / "specification.md"
_TABLE: Final = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

MODELS: Final[Mapping[str, type[Written]]] = {
    model.__name__: model
    for module in (alerting, document, indicators, ownership, rollout)
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, Written) and model is not Written
}


def page(text: str) -> str:
    """The page with its tables as the models have them."""
    return _TABLE.sub(lambda found: f"{found[1]}{table(MODELS[found[2]])}{found[3]}", text)


def table(model: type[Written]) -> str:
    """One row a key, in the order of the model."""
    hints = get_type_hints(model, include_extras=True)
    ordered = sorted(model.model_fields.items(), key=lambda item: not item[1].is_required())
    rows = [_row(model, name, field, hints[name]) for name, field in ordered]
    return "| key | type | default | meaning |\n|---|---|---|---|\n" + "".join(f"{row}\n" for row in rows)


def _row(model: type[Written], name: str, field: FieldInfo, hint: Any) -> str:
    key = field.alias or name
    cells = [f"`{key}`", type_name(hint), default(model, name, hint), field.description or ""]
    return f"| {' | '.join(cells)} |"


def default(model: type[Written], name: str, hint: Any) -> str:
    """What holds where the key is not written."""
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    inherits = issubclass(model, document.Service | document.Slo) and name in document.Inheritable.model_fields
    if inherits and name != "description":
        return "inherited"
    if field.default is not None:
        return f"`{_written(field.default, type_name(hint))}`"
    return next(mark.words for mark in field.metadata if isinstance(mark, Otherwise))


def _written(value: Any, type_: str) -> str:
    """A default as a specification would hold it."""
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(value)}]"
        case Decimal():
            return percent(value) if type_ == "percentage" else number(value)
        case Enum():
            return str(value.value)
        case RunningTotal():
            return "counter"
        case Written():
            pairs = ", ".join(f"{key}: {_written(getattr(value, key), key)}" for key in value.model_fields_set)
            return f"{{{pairs}}}"
        case _:
            return str(value)


def type_name(hint: Any) -> str:
    """A type in the words of the reference."""
    return " or ".join(dict.fromkeys(_names(hint)))


def _names(hint: Any) -> Iterator[str]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        yield from _annotated(arguments)
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _names(argument)
    elif origin is Literal:
        yield ", ".join(f"`{word}`" for word in arguments)
    elif origin is tuple:
        inner = type_name(arguments[0])
        yield f"list of ({inner})" if " or " in inner else f"list of {inner}"
    elif origin is dict:
        yield f"{type_name(arguments[0])} → {type_name(arguments[1])}"
    elif isinstance(hint, type) and issubclass(hint, BaseModel):
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", hint.__name__)
        yield f"[{words}](#{words.lower().replace(' ', '-')})"
    elif hint is object:
        yield "any value"
    elif hint is not types.NoneType:
        raise TypeError(f"{hint} has no name in the reference: annotate it with `Read`")


def _annotated(arguments: tuple[Any, ...]) -> Iterator[str]:
    """The name that the type was given, the last one first, or that of the type inside."""
    for mark in reversed(arguments[1:]):
        if isinstance(mark, Read):
            yield mark.called
            return
        if isinstance(mark, Words):
            yield ", ".join(f"`{word}`" for word in mark.of(arguments[0]))
            return
    yield from _names(arguments[0])


def main(arguments: list[str]) -> int:
    text = PAGE.read_text(encoding="utf-8")
    new = page(text)
    if new != text and "--check" not in arguments:
        PAGE.write_text(new, encoding="utf-8")
    return int(new != text and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
