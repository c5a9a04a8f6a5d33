"""What is said where `sloctl` was installed without the packages that its instrumentation needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needed_by(name: str) -> Iterator[None]:
    """Imports in this block say what to install where a package is missing.

    Raises:
        ImportError: a package is missing; the message says what to install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{name} needs more packages: pip install 'sloctl[instrumentation]' ({error})"
        raise ImportError(message, name=error.name) from error
