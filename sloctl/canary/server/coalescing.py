"""Identical questions that are asked at the same time are asked once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Coalescing:
    """Calls in flight by their key; an answer is handed to all who wait for it and then forgotten.

    Args:
        on_shared: is told of each call that did not have to be made.
    """

    def __init__(self, on_shared: Callable[[], None] = lambda: None) -> None:
        self._flying: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()
        self._on_shared = on_shared

    def once(self, key: Hashable, call: Callable[[], T], seconds: float) -> T:
        """What `call` returns or raises, made here or by another thread.

        Raises:
            TimeoutError: another thread makes it, and that takes longer than `seconds`.
        """
        with self._lock:
            flying = self._flying.get(key)
            mine = Future[Any]() if flying is None else None
            if mine is not None:
                self._flying[key] = mine
        if mine is None:
            assert flying is not None
            self._on_shared()
            return cast("T", flying.result(max(0.0, seconds)))
        try:
            mine.set_result(answer := call())
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._flying[key]
        return answer
