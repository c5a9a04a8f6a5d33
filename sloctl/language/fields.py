"""What the models of the document layer have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from sloctl.language.refusals import refusal
from sloctl.language.tree import Mapping, Sequence

T = TypeVar("T")
M = TypeVar("M")

# Discriminator tags appear in the paths of errors; no key of a specification looks like them.
TEXT: Final = "<text>"
LIST: Final = "<list>"
MAPPING: Final = "<mapping>"


class Written(BaseModel):
    """A mapping of a specification as written: unknown keys are errors.

    An absent key has its default, or None where that follows from something else: `model_fields_set` tells what was
    written, and inheritance follows in `sloctl.resolve`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    other_keys: ClassVar[type[BaseModel] | None] = None  # the model at keys that the user names


class _WithoutNull:
    """Makes `T | None = None` mean "may be left out": an explicit null is refused."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        assert schema["type"] == "nullable"
        inner: CoreSchema = schema["schema"]
        return inner


Maybe = Annotated[T | None, _WithoutNull()]


class _Filled:
    """Refuses an empty list before its items are looked at; pydantic's own limit counts valid items only."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_not_empty, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "minItems": 1}


def _not_empty(value: object) -> object:
    if isinstance(value, Sequence) and not value:
        raise refusal("SLO019", "a list without items", "write at least one, or leave the key out")
    return value


Filled = Annotated[tuple[T, ...], _Filled()]


def _text_or_mapping(value: object) -> str:
    return MAPPING if isinstance(value, Mapping | Sequence) else TEXT


def _text_or_list(value: object) -> str:
    return LIST if isinstance(value, Mapping | Sequence) else TEXT


TextOrMapping = Annotated[Annotated[T, Tag(TEXT)] | Annotated[M, Tag(MAPPING)], Discriminator(_text_or_mapping)]
TextOrList = Annotated[Annotated[T, Tag(TEXT)] | Annotated[M, Tag(LIST)], Discriminator(_text_or_list)]


@dataclass(frozen=True, slots=True)
class Otherwise:
    """Marks a key whose default follows from something else, and says from what, in Markdown."""

    words: str


def optional(description: str, default: Any = None, alias: str | None = None, *, otherwise: str = "") -> Any:
    """A key that may be left out; `otherwise` says in Markdown what holds then, where no value can."""
    field: FieldInfo = Field(default=default, description=description, alias=alias)
    field.metadata.append(Otherwise(otherwise))
    return field


def required(description: str, alias: str | None = None) -> Any:
    """A key that must be there."""
    return Field(description=description, alias=alias)


def written(model: BaseModel, *names: str) -> list[str]:
    """Which of these fields were written, in this order."""
    return [name for name in names if name in model.model_fields_set]


def exactly_one(model: BaseModel, code: str, what: str, *names: str) -> None:
    """Refuse a mapping that has none or several of these keys."""
    present = written(model, *names)
    if len(present) == 1:
        return
    keys = listed(names, "or")
    if not present:
        raise refusal(code, f"{what} is missing", f"write one of {keys}")
    message = f"`{present[1]}` and `{present[0]}` cannot stand together"
    raise _beside(present[0], present[1], code, message, f"keep one of {keys}")


def together(model: BaseModel, code: str, key: str, *others: str) -> None:
    """Refuse `key` where none of the keys that give it a meaning is written."""
    if key in model.model_fields_set and not written(model, *others):
        raise refusal(
            code,
            f"`{key}` needs {listed(others, 'or')}",
            "add it, or remove this key",
            at=(key,),
            on_key=True,
        )


def apart(model: BaseModel, code: str, key: str, *others: str) -> None:
    """Refuse those of `others` that have no meaning beside `key`."""
    wrong = written(model, *others) if key in model.model_fields_set else []
    if wrong:
        raise _beside(key, wrong[0], code, f"`{wrong[0]}` has no meaning beside `{key}`", "remove one of them")


def _beside(key: str, wrong: str, code: str, message: str, help_: str) -> Exception:
    """The refusal of a key because of another one."""
    related = (((key,), "the other one"),)
    return refusal(code, message, help_, at=(wrong,), on_key=True, related=related)


def unique(values: tuple[T, ...], code: str, what: str, key: str | None, place: str) -> None:
    """Refuse a list in which a name stands twice; both places are shown.

    Args:
        values: the names, in the order of the list.
        code: the diagnostic's code.
        what: what the names are, such as `SLO`.
        key: the key of each item that holds its name, None when the items are the names.
        place: the key of the list.
    """
    first: dict[T, int] = {}
    below = () if key is None else (key,)
    for index, value in enumerate(values):
        if value in first:
            other = ((place, first[value], *below), "first written here")
            message = f"{what} `{value}` is written twice"
            raise refusal(code, message, "rename or remove one", at=(place, index, *below), related=(other,))
        first[value] = index


def listed(names: tuple[str, ...] | list[str], last: str = "and") -> str:
    """Keys in a sentence: "`a`, `b` and `c`"."""
    *most, final = (f"`{name}`" for name in names)
    return f"{', '.join(most)} {last} {final}" if most else final
