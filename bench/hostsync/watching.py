"""Those who want to know of reads, and the hooks that are in place as long as there is one."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from bench.hostsync import graphs
from bench.hostsync.allowed import reason
from bench.hostsync.callsite import call_site, call_stack
from bench.hostsync.graphs import HostOp
from bench.hostsync.hooks import Hooks
from bench.hostsync.log import Read
from bench.hostsync.waiting import is_asynchronous


class Observer(Protocol):
    """A recorder, a guard."""

    wants_stack: bool

    def before(self, tensor: Any, route: str | None, raises: bool) -> None:
        """A tensor is about to be read in this thread; see `hooks.Watcher.before`."""

    def after(self, read: Read) -> None:
        """A tensor has been read."""

    def traced(self, found: Sequence[HostOp]) -> None:
        """A graph has been traced that has these host ops."""


@contextlib.contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """The observer is told of every read in every thread.

    Observers nest. When the last one is left, by an exception too, TensorFlow is exactly as it was.
    """
    _hub.add(observer)
    try:
        yield
    finally:
        _hub.remove(observer)


def unseen() -> tuple[str, ...]:
    """Routes that cannot be seen with this Python and TensorFlow, each with its reason."""
    return _hub.hooks.unseen


class _Hub:
    """Makes a `Read` of what the hooks see, once for all observers."""

    def __init__(self) -> None:
        self.hooks = Hooks(self)
        self._graphs = graphs.Tracing(self._traced)
        self._lock = threading.Lock()
        self._wants_stack = False
        self._observers: tuple[Observer, ...] = ()  # never changed in place: other threads go through it meanwhile

    def add(self, observer: Observer) -> None:
        with self._lock:
            if not self._observers:
                self.hooks.install()
                self._graphs.install()
            self._set((*self._observers, observer))

    def remove(self, observer: Observer) -> None:
        with self._lock:
            self._set(tuple(each for each in self._observers if each is not observer))
            if not self._observers:
                self._graphs.restore()
                self.hooks.restore()

    def _set(self, observers: tuple[Observer, ...]) -> None:
        self._observers = observers
        self._wants_stack = any(observer.wants_stack for observer in observers)

    def before(self, tensor: Any, route: str | None, raises: bool) -> None:
        for observer in self._observers:
            observer.before(tensor, route, raises)

    def after(self, tensor: Any, route: str | None, nbytes: int, seconds: float) -> None:
        site = call_site()
        device = short_device(tensor)
        read = Read(
            route=route or site.route or "unknown",
            file=site.file,
            line=site.line,
            shape=tuple(tensor._shape_tuple()),
            dtype=tensor.dtype.name,
            nbytes=nbytes,
            device=device,
            seconds=seconds,
            asynchronous=is_asynchronous(device),
            thread=threading.current_thread().name,
            allowed=reason(),
            stack=call_stack() if self._wants_stack else (),
        )
        for observer in self._observers:
            observer.after(read)

    def _traced(self, found: Sequence[HostOp]) -> None:
        for observer in self._observers:
            observer.traced(found)


def short_device(tensor: Any) -> str:
    """Where a tensor's memory is: `CPU:0` also for an int32 that TensorFlow keeps on the host beside a GPU."""
    return _short(tensor.backing_device)


@functools.cache
def _short(device: str) -> str:
    return device.rpartition("device:")[2] or "CPU:0"


_hub = _Hub()
