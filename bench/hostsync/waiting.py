"""How long a read had to wait for its value, apart from the time that the read itself takes.

TensorFlow does not say whether a value is ready. On a CPU it always is, because ops run synchronously there (unless
asynchronous execution was asked for). On a GPU, or with asynchronous execution, a read that takes longer than reading
a ready value of that size does has waited; what that takes is measured once for each device. Time waited is mostly
work that was queued before, which the host would have had to wait for somewhere; it is not the price of the copy.
"""

from __future__ import annotations

import dataclasses
import functools
import time

import tensorflow as tf

from bench.hostsync.hooks import READ

_SMALL, _LARGE = 1, 1 << 20  # float32 numbers
_REPEATS = 7
# Less than this is not told apart from the scheduler's doings and from one copy being slower than another.
_SLACK_SECONDS = 50e-6
_SLACK_FACTOR = 2.0

own_reads: list[tuple[str, int]] = []
"""Device and bytes of each read that was made to measure a device; a trace of the same stretch has their copies."""


@dataclasses.dataclass(frozen=True)
class ReadTime:
    """What it takes to read a value that is ready."""

    fixed: float  # seconds
    per_byte: float  # seconds

    def waited(self, seconds: float, nbytes: int) -> float:
        """Of the seconds that a read took, those that it waited; 0 where it may as well not have waited at all."""
        own = self.fixed + self.per_byte * nbytes
        return seconds - own if seconds > _SLACK_FACTOR * own + _SLACK_SECONDS else 0.0


def waited(device: str, seconds: float, nbytes: int) -> float:
    """The seconds of a read that its value was not ready.

    Args:
        device: of the value, such as `GPU:0`.
        seconds: that the read took.
        nbytes: of the value.
    """
    if seconds <= _SLACK_SECONDS:
        return 0.0
    if device.startswith("CPU") and tf.config.experimental.get_synchronous_execution():
        return 0.0
    return read_time(device).waited(seconds, nbytes)


@functools.cache
def read_time(device: str) -> ReadTime:
    """What reading a ready value of this device takes; the first call measures it and drains the device's queue."""
    small, large = _fastest(device, _SMALL), _fastest(device, _LARGE)
    return ReadTime(fixed=small, per_byte=max(0.0, large - small) / (4 * (_LARGE - _SMALL)))


def _fastest(device: str, numbers: int) -> float:
    with tf.device(device):
        value = tf.zeros([numbers])
    tf.test.experimental.sync_devices()
    found = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        READ(value)
        found.append(time.perf_counter() - started)
        own_reads.append((device, 4 * numbers))
    return min(found)
