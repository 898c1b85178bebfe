"""The recorder of host reads, and the hub that installs the hooks while there are observers."""

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
"""Reason why reads are allowed in this context, set by `guards.allow`; None: they are not."""

_warned: Final[set[str]] = set()


@contextlib.contextmanager
def record(stack: bool = False) -> Iterator[Log]:
    """Records every read of a tensor by the host, in all threads, while the context is active.

    Recorders nest; each sees what happens inside it. After the last one, even on an exception, TensorFlow is exactly as
    it was. The program's results are the same bit for bit, with one exception: `memoryview(t)` and the like raise
    SystemError instead of ValueError or BufferError for tensors without a buffer, such as bfloat16, because no Python
    exception passes CPython's buffer slot.

    The log keeps each read, about 300 bytes, more with `stack`.

    Args:
        stack: whether each read keeps all frames of its stack, including those of libraries.

    Warns:
        HostSyncWarning: on entry, once per process for each route that cannot be seen with this TensorFlow and this
            build of Python; `log.unseen` lists all of them.
    """
    adopt(getattr(sys.modules.get("__main__"), "__spec__", None))
    log = Log(unseen(), graphs_before())
    warn_unseen(stacklevel=4)
    started, tracing = time.perf_counter(), seconds_tracing()
    try:
        with observed(_Recorder(log, stack)):
            yield log
    finally:
        log.seconds = time.perf_counter() - started
        log.seconds_tracing = seconds_tracing() - tracing


class Observer:
    """Base of recorders and guards: receives reads, traces and session runs; the methods do nothing by default."""

    wants_stack = False

    def before(self, tensor: Any, route: str | None, raises: bool) -> None:
        """Called in the reading thread before a tensor is read; see `hooks.Watcher.before`."""

    def after(self, read: Read) -> None:
        """Called after a tensor was read."""

    def traced(self, trace: Trace | None, found: Sequence[HostOp]) -> None:
        """Called after a graph with these host ops was traced, or loaded (`trace` is None)."""

    def session_ran(self) -> None:
        """Called before a session of TensorFlow 1 runs."""


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
    """Reports every read in every thread to an observer while the context is active.

    Observers nest. After the last one, even on an exception, TensorFlow is exactly as it was.
    """
    _hub.add(observer)
    try:
        yield
    finally:
        _hub.remove(observer)


def capabilities() -> dict[str, str]:
    """What can be recorded with the installed Python and TensorFlow.

    Imports TensorFlow, but does not start its devices.

    Returns:
        Reasons by the name of each route and of each other capability; "" where it can be recorded.
    """
    return {**_recordable(), OPS_OF_XLA: lacks_ops_of_xla()}


def _recordable() -> dict[str, str]:
    return {BUFFERS: _hub.hooks.lacks_buffers, **{capability: lacking(capability) for capability in NEEDED}}


@functools.cache
def unseen() -> tuple[str, ...]:
    """Capabilities that a recording lacks with this Python and TensorFlow, each with its reason."""
    return tuple(f"{capability}: {reason}" for capability, reason in _recordable().items() if reason)


def warn_unseen(stacklevel: int) -> None:
    """Warns of each capability that a recording lacks, once per process.

    Args:
        stacklevel: stack level of the warning, as for `warnings.warn`.
    """
    for problem in unseen():
        if problem not in _warned:
            _warned.add(problem)
            warnings.warn(f"cannot be seen: {problem}", HostSyncWarning, stacklevel)


class _Hub:
    """Turns the hooks' events into a `Read`, once for all observers, and installs the hooks while there are any."""

    def __init__(self) -> None:
        self.hooks = Hooks(self)
        self._graphs = Tracing(self._traced)
        self._lock = threading.Lock()
        self._wants_stack = False
        self._observers: tuple[Observer, ...] = ()  # replaced, never changed in place: other threads iterate over it

    def add(self, observer: Observer) -> None:
        with self._lock:
            if not self._observers:
                self.hooks.install()
                self._graphs.install()
            self._set((*self._observers, observer))

    def remove(self, observer: Observer) -> None:
        with self._lock:
            self._set(tuple(other for other in self._observers if other is not observer))
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
            ops = host_ops(graph, str(graph.name), (site.file, site.line))
        else:
            ops = host_ops(graph, trace.function, trace.caller)
        for observer in self._observers:
            observer.traced(trace, ops)


def short_device(tensor: Any) -> str:
    """Device of a tensor's memory, such as `GPU:0`; `CPU:0` also for an int32 that TensorFlow keeps on the host."""
    return _short(tensor.backing_device)


@functools.cache
def _short(device: str) -> str:
    return device.rpartition("device:")[2] or "CPU:0"


_hub = _Hub()
