"""The places that every read of a tensor by Python passes, exactly one of them for each read.

| hook | what passes it |
|---|---|
| `EagerTensor._numpy_internal` | `.numpy()`, `float(t)`, `if t:`, `print(t)`, pickle, and all other Python methods |
| the C slot `bf_getbuffer` | `np.asarray(t)`, `np.mean(t)`, `memoryview(t)`: the buffer protocol |
| `EagerTensor._copy_to_device` | `t.cpu()`: copies to the host that stay tensors |
| `TFE_ToDlpackCapsule` | `np.from_dlpack(t)`, `tf.experimental.dlpack.to_dlpack(t)` |

Sessions of TensorFlow 1 pass none of them; that they run is all that is seen.
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
"""Reads a tensor and tells nobody."""

BUFFERS: Final = "the buffer protocol (np.asarray(t), np.mean(t), memoryview(t), ...)"
"""What the slot sees, in words."""


class Watcher(Protocol):
    """Is told of reads."""

    def before(self, tensor: Any, route: str | None, raises: bool) -> None:
        """A tensor is about to be read; an exception keeps it from being read.

        Args:
            tensor: the tensor.
            route: where it does not follow from the call.
            raises: whether the exception reaches the program. Through the buffer protocol it cannot: the program
                sees that there is no buffer.
        """

    def after(self, tensor: Any, route: str | None, nbytes: int, seconds: float) -> None:
        """A tensor has been read.

        Args:
            tensor: the tensor.
            route: where it does not follow from the call.
            nbytes: of its value.
            seconds: that this took.
        """

    def session_ran(self) -> None:
        """A session of TensorFlow 1 is about to run; what it hands over is not seen."""


class _Announced:
    """A method that tells when it is about to be called.

    It tells as it is looked up, and hands out the method itself: so no frame of ours is in a traceback of its errors.
    """

    def __init__(self, method: Any, tell: Callable[[], None]) -> None:
        self._method, self._tell = method, tell

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is not None:
            self._tell()
        return self._method.__get__(instance, owner)


class Hooks:
    """The hooks, which tell a watcher; not in place before `install`."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._around: tuple[tuple[Place, Callable[[Any], Any]], ...] = (
            (NUMPY, self._reading_method),
            (COPY, self._reading_copy),
            (DLPACK, self._exporting),
            *((place, lambda method: _Announced(method, watcher.session_ran)) for place in SESSION_RUNS),
        )
        self._theirs: list[tuple[Place, Any]] = []  # what was in those places
        self._slot: BufferSlot | None = None
        self.lacks_buffers = ""  # why the slot cannot be seen
        try:
            if EagerTensor is None:
                raise RuntimeError("TensorFlow has no type EagerTensor")
            self._slot = BufferSlot(EagerTensor, self._on_buffer)
        except RuntimeError as error:
            self.lacks_buffers = str(error)

    def install(self) -> None:
        """From here on the watcher is told of every read."""
        there = [(place, around) for place, around in self._around if place.is_there]
        self._theirs = [(place, place.get()) for place, _ in there]
        for (_, around), (place, theirs) in zip(there, self._theirs, strict=True):
            place.put(around(theirs))
        if self._slot:
            self._slot.install()

    def restore(self) -> None:
        """TensorFlow is as it was."""
        if self._slot:
            self._slot.restore()
        for place, theirs in self._theirs:
            place.put(theirs)

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
                return original(tensor, device)  # to a GPU, or to where ops run by default
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
                return original(tensor)  # which says what is wrong with it
            watcher.before(tensor, "dlpack", raises=True)
            started = time.perf_counter()
            capsule = original(tensor)
            seconds = time.perf_counter() - started
            # From a GPU the capsule points into its memory: the host waits, and nothing is copied.
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
            # The buffer of strings is one of pointers to Python's bytes.
            nbytes = sum(map(len, memory.objects())) if tensor.dtype == tf.string else memory.nbytes
            self._watcher.after(tensor, None, nbytes, seconds)


def _bytes_of(tensor: Any) -> int:
    return int((tensor.dtype.size or 0) * math.prod(shape_of(tensor)))


def _size_of(value: Any) -> int:
    """Bytes of a value that was read; of strings, of their text."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        return int(value.nbytes)
    return sum(len(text) for text in np.asarray(value, dtype=object).ravel())
