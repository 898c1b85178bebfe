"""Finds repeated reads: reads of tensors that the host has read before."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from loop_bench.hostsync.log import Read
from loop_bench.hostsync.recorder import Observer, observed


class Repeats:
    """Remembers the tensors read in one context, and finds reads of the same tensors in another.

    The tensors are kept alive, so that no new tensor can get the identity of one of them.
    """

    def __init__(self) -> None:
        self._tensors: dict[int, Any] = {}

    @contextlib.contextmanager
    def remembering(self) -> Iterator[None]:
        """Remembers each tensor that is read inside."""
        with observed(_Calling(lambda tensor: self._tensors.setdefault(id(tensor), tensor), lambda read: None)):
            yield

    @contextlib.contextmanager
    def finding(self) -> Iterator[list[Read]]:
        """Yields a list to which each read of a remembered tensor is added as it happens."""
        repeats: list[Read] = []
        current = threading.local()  # the read in progress in each thread

        def before(tensor: Any) -> None:
            current.is_repeat = id(tensor) in self._tensors

        def after(read: Read) -> None:
            if getattr(current, "is_repeat", False):
                repeats.append(read)

        with observed(_Calling(before, after)):
            yield repeats


class _Calling(Observer):
    """Observer that calls two functions, before and after each read."""

    def __init__(self, before: Callable[[Any], object], after: Callable[[Read], object]) -> None:
        self._before, self._after = before, after

    def before(self, tensor: Any, route: str | None, raises: bool) -> None:
        self._before(tensor)

    def after(self, read: Read) -> None:
        self._after(read)
