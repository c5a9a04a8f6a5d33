"""From a mapping as written to its class of the model, where both have the same keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from sloctl.language.fields import Written

T = TypeVar("T")


def built(meant: Callable[..., T], written: Written, **others: Any) -> T:
    """The class `meant` of what is written: values by their names, and `others` that must be computed."""
    shared = _shared(meant, type(written), tuple(others))
    return meant(**{name: getattr(written, name) for name in shared}, **others)


@cache
def _shared(meant: Any, written: type[Written], others: tuple[str, ...]) -> tuple[str, ...]:
    """The names that both have, without those that are computed."""
    names = (field.name for field in fields(meant) if field.init)
    return tuple(name for name in names if name in written.model_fields and name not in others)
