"""Contexts that decorate functions too, and refuse what they would silently not work on."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


class Context(Generic[T]):
    """A context that can be entered again, also inside itself, and that decorates functions.

    Args:
        make: a context for each time that it is entered.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[T]]) -> None:
        self._make = make
        self._entered: dict[int, list[AbstractContextManager[T]]] = {}  # by thread

    def __enter__(self) -> T:
        context = self._make()
        value = context.__enter__()
        self._entered.setdefault(threading.get_ident(), []).append(context)
        return value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._entered[threading.get_ident()].pop().__exit__(kind, error, traceback)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function inside the context.

        Raises:
            TypeError: it is async or a generator: what it does happens after the call, outside of the context.
        """
        for later in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
            if later(function):
                name = getattr(function, "__qualname__", repr(function))
                raise TypeError(f"{name} runs after it was called: use the context inside it, not as its decorator")

        @functools.wraps(function)
        def inside(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._make():
                return function(*args, **kwargs)

        return inside
