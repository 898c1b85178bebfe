"""Which reads are of tensors whose values the host has had before."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from loop_bench.hostsync.log import Read
from loop_bench.hostsync.recorder import Observer, observed


class Repeats:
    """Remembers which tensors were read in one stretch, and tells which reads of another are of the same.

    It keeps them alive, so that no other tensor can be taken for one of them.
    """

    def __init__(self) -> None:
        self._tensors: dict[int, Any] = {}

    @contextlib.contextmanager
    def remembering(self) -> Iterator[None]:
        """Remembers each tensor that is read inside."""
        with observed(_Seeing(lambda tensor: self._tensors.setdefault(id(tensor), tensor), lambda read: None)):
            yield

    @contextlib.contextmanager
    def finding(self) -> Iterator[list[Read]]:
        """The reads inside that are of remembered tensors, as they happen."""
        found: list[Read] = []
        here = threading.local()

        def before(tensor: Any) -> None:
            here.again = id(tensor) in self._tensors

        def after(read: Read) -> None:
            if getattr(here, "again", False):
                found.append(read)

        with observed(_Seeing(before, after)):
            yield found


class _Seeing(Observer):
    def __init__(self, before: Callable[[Any], object], after: Callable[[Read], object]) -> None:
        self._before, self._after = before, after

    def before(self, tensor: Any, route: str | None, raises: bool) -> None:
        self._before(tensor)

    def after(self, read: Read) -> None:
        self._after(read)
