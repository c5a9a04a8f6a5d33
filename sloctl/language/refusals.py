"""How a value is refused, in the words of the person who wrote it."""

from __future__ import annotations

from typing import TypeAlias

from pydantic_core import PydanticCustomError

from sloctl.language.tree import Key, Mapping, Sequence

RelatedKeys: TypeAlias = tuple[tuple[Key, ...], str]


def refusal(
    code: str,
    message: str,
    help: str = "",  # noqa: A002 - the word users see
    *,
    at: tuple[Key, ...] = (),
    on_key: bool = False,
    related: tuple[RelatedKeys, ...] = (),
) -> PydanticCustomError:
    """The error that a validator raises.

    Args:
        code: the diagnostic's code.
        message: what is wrong, in the user's words.
        help: what to write instead.
        at: key path below the validated value where the mistake is.
        on_key: whether the mistake is the last key of that path rather than its value.
        related: key paths below the validated value of other places involved, with what is there.
    """
    context = {"message": message, "help": help, "at": at, "on_key": on_key, "related": related}
    return PydanticCustomError(code, "{message}", context)


def shown(value: object) -> str:
    """A value as its writer knows it, short enough for a message."""
    match value:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case bool():
            return f"`{str(value).lower()}`"
        case str() if not value.strip():
            return "an empty text"
        case _:
            text = str(value)
            return f"`{text[:60]}…`" if len(text) > 60 else f"`{text}`"
