"""The recorder of host reads, and the hooks that are in place as long as anybody observes reads."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Final

from loop_bench.errors import HostSyncWarning
from loop_bench.hostsync.callsite import call_site, call_stack
from loop_bench.hostsync.graphs import HostOp, host_ops
from loop_bench.hostsync.hooks import BUFFERS, Hooks
from loop_bench.hostsync.log import Log, Read, is_asynchronous
from loop_bench.hostsync.tensorflow_private import NEEDED, graphs_before, lacking, seconds_tracing, shape_of
from loop_bench.hostsync.trace import OPS_OF_XLA, lacks_ops_of_xla
from loop_bench.hostsync.tracing import Trace, Tracing
from loop_bench.source import adopt

ALLOWED: Final[contextvars.ContextVar[str | None]] = contextvars.ContextVar("allowed host syncs", default=None)
"""Why reads are meant right now, as `guards.allow` sets it; None where they are not marked."""

_told: Final[set[str]] = set()


@contextlib.contextmanager
def record(stack: bool = False) -> Iterator[Log]:
    """Records every read of a tensor by the host, in all threads, while the context lasts.

    Recorders nest; each sees what happens inside it. When the last one is left, by an exception too, TensorFlow is
    exactly as it was. What the program computes is the same bit for bit. One thing is not: `memoryview(t)` and its like
    raise SystemError in place of ValueError or BufferError for tensors that have no buffer, such as bfloat16, for no
    exception passes CPython's buffer slot from Python.

    The log keeps each read, some 300 bytes, more with `stack`.

    Args:
        stack: whether each read keeps all the frames that led to it, those of libraries too.

    Warns:
        HostSyncWarning: on entry, once in a process for each thing that cannot be seen with this TensorFlow and this
            build of Python; `log.unseen` names all of them.
    """
    adopt(getattr(sys.modules.get("__main__"), "__spec__", None))
    log = Log(unseen(), graphs_before())
    tell_unseen(stacklevel=4)
    started, tracing = time.perf_counter(), seconds_tracing()
    try:
        with observed(_Recorder(log, stack)):
            yield log
    finally:
        log.seconds = time.perf_counter() - started
        log.seconds_tracing = seconds_tracing() - tracing


class Observer:
    """A recorder, a guard: is told of what happens, and does nothing about what it does not override."""

    wants_stack = False

    def before(self, tensor: Any, route: str | None, raises: bool) -> None:
        """A tensor is about to be read in this thread; see `hooks.Watcher.before`."""

    def after(self, read: Read) -> None:
        """A tensor has been read."""

    def traced(self, trace: Trace | None, found: Sequence[HostOp]) -> None:
        """A graph has been traced, or loaded where `trace` is None, that has these host ops."""

    def session_ran(self) -> None:
        """A session of TensorFlow 1 has run."""


class _Recorder(Observer):
    def __init__(self, log: Log, stack: bool) -> None:
        self.wants_stack = stack
        self._log = log

    def after(self, read: Read) -> None:
        self._log.reads.append(read)

    def traced(self, trace: Trace | None, found: Sequence[HostOp]) -> None:
        self._log.host_ops.extend(found)
        if trace is not None:
            self._log.traces.append(trace)

    def session_ran(self) -> None:
        self._log.session_runs += 1


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


def capabilities() -> dict[str, str]:
    """What can be seen with the Python and the TensorFlow that are installed.

    TensorFlow is imported; its devices are not started.

    Returns:
        The name of each route, and of each thing that is told of functions and traces. The value is "" where it is
        seen, and otherwise the reason.
    """
    return {**_of_recordings(), OPS_OF_XLA: lacks_ops_of_xla()}


def _of_recordings() -> dict[str, str]:
    return {BUFFERS: _hub.hooks.lacks_buffers, **{capability: lacking(capability) for capability in NEEDED}}


@functools.cache
def unseen() -> tuple[str, ...]:
    """What a recording cannot see with this Python and TensorFlow, each with its reason."""
    return tuple(f"{capability}: {reason}" for capability, reason in _of_recordings().items() if reason)


def tell_unseen(stacklevel: int) -> None:
    """Warns of what cannot be seen, once in a process.

    Args:
        stacklevel: as `warnings.warn` has it.
    """
    for each in unseen():
        if each not in _told:
            _told.add(each)
            warnings.warn(f"cannot be seen: {each}", HostSyncWarning, stacklevel)


class _Hub:
    """Makes a `Read` of what the hooks see, once for all observers."""

    def __init__(self) -> None:
        self.hooks = Hooks(self)
        self._graphs = Tracing(self._traced)
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
            shape=shape_of(tensor),
            dtype=tensor.dtype.name,
            nbytes=nbytes,
            device=device,
            seconds=seconds,
            asynchronous=is_asynchronous(device),
            thread=threading.current_thread().name,
            allowed=ALLOWED.get(),
            library=site.library,
            stack=call_stack() if self._wants_stack else (),
        )
        for observer in self._observers:
            observer.after(read)

    def session_ran(self) -> None:
        for observer in self._observers:
            observer.session_ran()

    def _traced(self, trace: Trace | None, graph: Any) -> None:
        if trace is None:
            site = call_site()
            found = host_ops(graph, str(graph.name), (site.file, site.line))
        else:
            found = host_ops(graph, trace.function, trace.caller)
        for observer in self._observers:
            observer.traced(trace, found)


def short_device(tensor: Any) -> str:
    """Where a tensor's memory is: `CPU:0` also for an int32 that TensorFlow keeps on the host beside a GPU."""
    return _short(tensor.backing_device)


@functools.cache
def _short(device: str) -> str:
    return device.rpartition("device:")[2] or "CPU:0"


_hub = _Hub()
