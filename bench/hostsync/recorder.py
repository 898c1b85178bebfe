"""The recorder of host reads."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from bench.hostsync.bufferslot import BufferSlot
from bench.hostsync.callsite import call_site

_TENSOR = type(tf.constant(0))
_METHOD = "_numpy_internal"  # behind .numpy(), float(), bool(), format() and every other read by a Python method


@dataclasses.dataclass(frozen=True)
class Read:
    """One read of a tensor by the host."""

    route: str  # how: numpy, float, bool, format, array, buffer, ...
    file: str  # the call site in the user's code
    line: int
    shape: tuple[int, ...]
    dtype: str
    nbytes: int  # of the value
    seconds: float  # that the host was blocked, mostly by work queued before the value
    thread: str


class Log:
    """What a recorder saw.

    Attributes:
        reads: in their order.
    """

    def __init__(self) -> None:
        self.reads: list[Read] = []


@contextlib.contextmanager
def record() -> Iterator[Log]:
    """Records every read of a tensor by the host, in all threads, while the context lasts.

    Recorders nest; each sees what happens inside it. When the last one is left, by an exception too,
    TensorFlow is exactly as it was.

    Raises:
        RuntimeError: this build of Python hides the buffer protocol, so that reads would be missed.
    """
    log = Log()
    with _lock:
        if not _active:
            _hooks.install()
        _active.append(log)
    try:
        yield log
    finally:
        with _lock:
            _active.remove(log)
            if not _active:
                _hooks.restore()


class _Hooks:
    """The two places that every read passes, exactly one of them for each."""

    def __init__(self) -> None:
        self._slot = BufferSlot(_TENSOR, _on_buffer)
        self._method: Callable[[Any], Any] = getattr(_TENSOR, _METHOD)

    def install(self) -> None:
        """From here on every read is noted."""
        method = self._method

        def numpy_internal(tensor: Any) -> Any:
            started = time.perf_counter()
            value = method(tensor)
            seconds = time.perf_counter() - started
            _note(tensor, None, _size_of(value), seconds)
            return value

        setattr(_TENSOR, _METHOD, numpy_internal)
        self._slot.install()

    def restore(self) -> None:
        """TensorFlow is as it was."""
        self._slot.restore()
        setattr(_TENSOR, _METHOD, self._method)


def _on_buffer(tensor: Any, read: Callable[[], bool]) -> bool:
    started = time.perf_counter()
    granted = read()
    seconds = time.perf_counter() - started
    if granted:
        _note(tensor, "buffer", int(np.prod(tensor.shape.as_list())) * int(tensor.dtype.size), seconds)
    return granted


def _note(tensor: Any, route: str | None, nbytes: int, seconds: float) -> None:
    site = call_site()
    read = Read(
        route=route or (site.entry or _METHOD).strip("_"),
        file=site.file,
        line=site.line,
        shape=tuple(tensor.shape.as_list()),
        dtype=tensor.dtype.name,
        nbytes=nbytes,
        seconds=seconds,
        thread=threading.current_thread().name,
    )
    for log in tuple(_active):
        log.reads.append(read)


def _size_of(value: Any) -> int:
    """Bytes of the value read; of strings, of their text."""
    array = np.asarray(value)
    if array.dtype == object:
        return sum(len(text) for text in array.ravel())
    return int(array.nbytes)


_lock = threading.Lock()
_active: list[Log] = []
_hooks = _Hooks()
