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


@dataclasses.dataclass(frozen=True)
class ReadTime:
    """What it takes to read a value that is ready."""

    fixed: float  # seconds
    per_byte: float  # seconds

    def waited(self, seconds: float, nbytes: int) -> float:
        """Of the seconds that a read took, those that it waited; 0 where it may as well not have waited at all."""
        own = self.fixed + self.per_byte * nbytes
        return seconds - own if seconds > _SLACK_FACTOR * own + _SLACK_SECONDS else 0.0


def is_asynchronous(device: str) -> bool:
    """Whether values of the device may still be computed when the host has gone on."""
    return not device.startswith("CPU") or not tf.config.experimental.get_synchronous_execution()


def waited(device: str, seconds: float, nbytes: int) -> float:
    """The seconds of a read that its value was not ready.

    Args:
        device: of the value, such as `GPU:0`; one that computes asynchronously.
        seconds: that the read took.
        nbytes: of the value.
    """
    if seconds <= _SLACK_SECONDS:
        return 0.0  # nothing to measure the device for
    return read_time(device).waited(seconds, nbytes)


@functools.cache
def read_time(device: str) -> ReadTime:
    """What reading a ready value of this device takes; the first call measures it and drains the device's queue."""
    small, large = _fastest(device, _SMALL), _fastest(device, _LARGE)
    return ReadTime(fixed=small, per_byte=max(0.0, large - small) / (4 * (_LARGE - _SMALL)))


def _fastest(device: str, numbers: int) -> float:
    found = []
    with tf.init_scope():  # whoever asks may be tracing a function
        with tf.device(device):
            values = [tf.zeros([numbers]) + number for number in range(_REPEATS)]
        tf.test.experimental.sync_devices()
        for value in values:  # another each time: TensorFlow may keep a copy of one that was read
            started = time.perf_counter()
            READ(value)
            found.append(time.perf_counter() - started)
    return min(found)
