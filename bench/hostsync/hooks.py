"""Hooks into TensorFlow that see every read of a tensor by Python; each read passes exactly one of them.

| hook | what passes it |
|---|---|
| `EagerTensor._numpy_internal` | `.numpy()`, `float(t)`, `if t:`, `print(t)`, pickle, and all other Python methods |
| the C slot `bf_getbuffer` | `np.asarray(t)`, `np.mean(t)`, `memoryview(t)`: the buffer protocol |
| `EagerTensor._copy_to_device` | `t.cpu()`: copies to the host that stay tensors |
| `TFE_ToDlpackCapsule` | `np.from_dlpack(t)`, `tf.experimental.dlpack.to_dlpack(t)` |

Sessions of TensorFlow 1 pass none of them: only that a session runs is seen, not what it reads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np
import tensorflow as tf

from loop_bench.hostsync.bufferslot import BufferSlot, Memory
from loop_bench.hostsync.tensorflow_private import COPY, DLPACK, NUMPY, SESSION_RUNS, EagerTensor, Place, shape_of

READ: Final[Callable[[Any], Any]] = NUMPY.get() if NUMPY.is_there else lambda tensor: tensor.numpy()
"""Reads a tensor past the hooks, so that the read is not recorded."""

BUFFERS: Final = "the buffer protocol (np.asarray(t), np.mean(t), memoryview(t), ...)"
"""Name of the route that the buffer slot sees."""


class Watcher(Protocol):
    """Receiver of the hooks' events."""

    def before(self, tensor: Any, route: str | None, raises: bool) -> None:
        """Called before a tensor is read; raising an exception prevents the read.

        Args:
            tensor: the tensor.
            route: the read's route; None: the call site determines it.
            raises: whether the exception reaches the program. Through the buffer protocol it cannot: the program
                sees only that there is no buffer.
        """

    def after(self, tensor: Any, route: str | None, nbytes: int, seconds: float) -> None:
        """Called after a tensor was read.

        Args:
            tensor: the tensor.
            route: the read's route; None: the call site determines it.
            nbytes: bytes of the value.
            seconds: duration of the read.
        """

    def session_ran(self) -> None:
        """Called before a session of TensorFlow 1 runs; what the session reads is not seen."""


class _Announced:
    """A descriptor that reports each lookup of a method, which precedes its call.

    It returns the method itself rather than a wrapper, so that tracebacks of its errors contain no frame of ours.
    """

    def __init__(self, method: Any, report: Callable[[], None]) -> None:
        self._method, self._report = method, report

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is not None:
            self._report()
        return self._method.__get__(instance, owner)


class Hooks:
    """All hooks, which report to a watcher between `install` and `restore`."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._around: tuple[tuple[Place, Callable[[Any], Any]], ...] = (
            (NUMPY, self._reading_method),
            (COPY, self._reading_copy),
            (DLPACK, self._exporting),
            *((place, lambda method: _Announced(method, watcher.session_ran)) for place in SESSION_RUNS),
        )
        self._originals: list[tuple[Place, Any]] = []  # the hooked places, with what was in them before
        self._slot: BufferSlot | None = None
        self.lacks_buffers = ""  # why reads through the buffer protocol cannot be seen; "" if they can
        try:
            if EagerTensor is None:
                raise RuntimeError("TensorFlow has no type EagerTensor")
            self._slot = BufferSlot(EagerTensor, self._on_buffer)
        except RuntimeError as error:
            self.lacks_buffers = str(error)

    def install(self) -> None:
        """Puts the hooks in place, so that the watcher receives every read."""
        present = [(place, around) for place, around in self._around if place.is_there]
        self._originals = [(place, place.get()) for place, _ in present]
        for (_, around), (place, original) in zip(present, self._originals, strict=True):
            place.put(around(original))
        if self._slot:
            self._slot.install()

    def restore(self) -> None:
        """Removes the hooks, which leaves TensorFlow exactly as it was."""
        if self._slot:
            self._slot.restore()
        for place, original in self._originals:
            place.put(original)

    def _reading_method(self, original: Callable[[Any], Any]) -> Callable[[Any], Any]:
        watcher = self._watcher

        def numpy_internal(tensor: Any) -> Any:
            watcher.before(tensor, None, raises=True)
            started = time.perf_counter()
            value = original(tensor)
            seconds = time.perf_counter() - started
            watcher.after(tensor, None, _size_of(value), seconds)
            return value

        return numpy_internal

    def _reading_copy(self, original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
        watcher = self._watcher

        def copy_to_device(tensor: Any, device: str) -> Any:
            if "CPU" not in device.upper():
                return original(tensor, device)  # to a GPU, or to the default device
            watcher.before(tensor, "copy", raises=True)
            started = time.perf_counter()
            copied = original(tensor, device)
            seconds = time.perf_counter() - started
            watcher.after(tensor, "copy", _bytes_of(tensor), seconds)
            return copied

        return copy_to_device

    def _exporting(self, original: Callable[[Any], Any]) -> Callable[[Any], Any]:
        watcher = self._watcher

        def to_dlpack_capsule(tensor: Any) -> Any:
            if not hasattr(tensor, "backing_device"):
                return original(tensor)  # raises TensorFlow's own error for what is no eager tensor
            watcher.before(tensor, "dlpack", raises=True)
            started = time.perf_counter()
            capsule = original(tensor)
            seconds = time.perf_counter() - started
            # A capsule of a GPU's tensor points into the GPU's memory: the host waits, but nothing is copied.
            nbytes = _bytes_of(tensor) if "CPU" in tensor.backing_device else 0
            watcher.after(tensor, "dlpack", nbytes, seconds)
            return capsule

        return to_dlpack_capsule

    def _on_buffer(self, tensor: Any, read: Callable[[], Memory | None]) -> None:
        self._watcher.before(tensor, None, raises=False)
        started = time.perf_counter()
        memory = read()
        seconds = time.perf_counter() - started
        if memory:
            # A buffer of strings holds pointers to Python's bytes objects.
            nbytes = sum(map(len, memory.objects())) if tensor.dtype == tf.string else memory.nbytes
            self._watcher.after(tensor, None, nbytes, seconds)


def _bytes_of(tensor: Any) -> int:
    return int((tensor.dtype.size or 0) * math.prod(shape_of(tensor)))


def _size_of(value: Any) -> int:
    """Bytes of a value that was read; for strings, the bytes of their text."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        return int(value.nbytes)
    return sum(len(text) for text in np.asarray(value, dtype=object).ravel())
