"""Messages between a run and the process of an arm: plain values with NumPy arrays anywhere in them.

A message is JSON text followed by the bytes of each array. Pickle is not used, because versions of NumPy read it
differently. Messages go through a socket and not through files, so that a killed process leaves nothing behind.
"""

from __future__ import annotations

import json
import select
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

_ARRAY = "\0array"
"""JSON key that stands for an array; no name of a metric or variable contains a zero byte."""

_NUMBERS = "biufcV"
"""Dtype kinds that can be sent; bfloat16 and similar types have the kind of raw bytes, `V`."""


class Channel:
    """One end of a connection to another process.

    Args:
        descriptor: file descriptor of one end of a socket pair; closed with the channel.
    """

    def __init__(self, descriptor: int) -> None:
        self._connection = Connection(descriptor)

    def send(self, value: Any) -> None:
        """Sends a value: None, numbers, strings, lists, dicts with strings as keys, and arrays of numbers.

        Raises:
            OSError: the other end is closed.
            TypeError: the value contains something else; nothing is sent.
        """
        arrays: list[np.ndarray] = []
        plain = _plain(value, arrays)
        kinds = [[array.dtype.name, list(array.shape)] for array in arrays]
        self._connection.send_bytes(json.dumps([plain, kinds]).encode())
        for array in arrays:
            self._connection.send_bytes(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    def wait(self) -> None:
        """Blocks until a message has arrived or the other end is closed."""
        poller = select.poll()  # Connection.poll would cost 0.1 ms of processor time
        poller.register(self._connection.fileno(), select.POLLIN)
        poller.poll()

    def receive(self, timeout: float | None = None) -> Any:
        """Receives the next value from the other end.

        Args:
            timeout: seconds to wait for a message to begin; None: for as long as the other process lives.

        Raises:
            EOFError: the other end is closed.
            TimeoutError: no message has begun in time.
        """
        if timeout is not None and not self.has_come(timeout):
            raise TimeoutError
        try:
            plain, kinds = json.loads(self._connection.recv_bytes())
            arrays = [_array(self._connection.recv_bytes(), name, shape) for name, shape in kinds]
        except OSError as error:  # also when a message ends early
            raise EOFError from error
        return _with_arrays(plain, arrays)

    def has_come(self, timeout: float) -> bool:
        """Whether a message, or the end of the connection, arrives within `timeout` seconds."""
        return self._connection.poll(timeout)

    def close(self) -> None:
        """Closes this end; the other one then reads the end of the connection."""
        self._connection.close()


def _plain(value: Any, arrays: list[np.ndarray]) -> Any:
    """Converts a value to JSON's types and appends its arrays to `arrays`."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in _NUMBERS or value.dtype.type is np.void:
            raise TypeError(f"an array of {value.dtype} cannot be sent")
        arrays.append(value.astype(value.dtype.newbyteorder("="), copy=False))  # a dtype's name lacks its byte order
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
