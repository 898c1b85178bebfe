"""Messages between a run and the process of an arm: plain values with NumPy arrays anywhere in them.

A message is a text of JSON, and the bytes of each array after it: no pickle, which versions of NumPy read differently.
Bytes go through a socket and not through files, so that a process that is killed leaves nothing behind.
"""

from __future__ import annotations

import json
import select
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

_ARRAY = "\0array"
"""The key of what stands for an array; no name of a metric or of a variable has a zero byte."""

_NUMBERS = "biufcV"
"""Kinds of arrays that can be sent; bfloat16 and its like have that of raw bytes."""


class Channel:
    """One end of a connection to another process.

    Args:
        descriptor: of an end of a socket pair, which is closed with the channel.
    """

    def __init__(self, descriptor: int) -> None:
        self._connection = Connection(descriptor)

    def send(self, value: Any) -> None:
        """Sends a value: None, numbers, texts, lists, dicts with texts as keys, and arrays of numbers.

        Raises:
            OSError: nobody is at the other end.
            TypeError: the value has something else in it; nothing is sent.
        """
        arrays: list[np.ndarray] = []
        plain = _plain(value, arrays)
        kinds = [[each.dtype.name, list(each.shape)] for each in arrays]
        self._connection.send_bytes(json.dumps([plain, kinds]).encode())
        for each in arrays:
            self._connection.send_bytes(np.ascontiguousarray(each).reshape(-1).view(np.uint8).data)

    def wait(self) -> None:
        """Returns when something has come, or nobody is at the other end any more."""
        waiting = select.poll()  # at once: Connection.poll takes 0.1 ms of the processor
        waiting.register(self._connection.fileno(), select.POLLIN)
        waiting.poll()

    def receive(self, timeout: float | None = None) -> Any:
        """The next value from the other end.

        Args:
            timeout: seconds to wait for its beginning; None: for as long as the other process lives.

        Raises:
            EOFError: nobody is at the other end any more.
            TimeoutError: nothing has come.
        """
        if timeout is not None and not self.has_come(timeout):
            raise TimeoutError
        try:
            plain, kinds = json.loads(self._connection.recv_bytes())
            arrays = [_array(self._connection.recv_bytes(), name, shape) for name, shape in kinds]
        except OSError as error:  # also of a message that breaks off
            raise EOFError from error
        return _with_arrays(plain, arrays)

    def has_come(self, timeout: float) -> bool:
        """Waits for so many seconds; whether a value, or the end, is there."""
        return self._connection.poll(timeout)

    def close(self) -> None:
        """Lets go of this end, which the other one meets as its end of messages."""
        self._connection.close()


def _plain(value: Any, arrays: list[np.ndarray]) -> Any:
    """A value as JSON has it, its arrays put aside."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in _NUMBERS or value.dtype.type is np.void:
            raise TypeError(f"an array of {value.dtype} cannot be sent")
        arrays.append(value.astype(value.dtype.newbyteorder("="), copy=False))  # its name says no order of bytes
        return {_ARRAY: len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(each, arrays) for key, each in value.items()}
    return [_plain(each, arrays) for each in value] if isinstance(value, list | tuple) else value


def _with_arrays(plain: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(plain, dict):
        if plain.keys() == {_ARRAY}:
            return arrays[plain[_ARRAY]]
        return {key: _with_arrays(each, arrays) for key, each in plain.items()}
    return [_with_arrays(each, arrays) for each in plain] if isinstance(plain, list) else plain


def _array(content: bytes, name: str, shape: list[int]) -> np.ndarray:
    try:
        dtype = np.dtype(name)
    except TypeError:
        import ml_dtypes  # comes with TensorFlow; makes its types, such as bfloat16, known to NumPy

        dtype = np.dtype(getattr(ml_dtypes, name))
    return np.frombuffer(bytearray(content), dtype).reshape(shape)
