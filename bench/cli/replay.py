"""A clock that replays durations which were measured before, for pytest-benchmark."""

from __future__ import annotations

import collections
from collections.abc import Iterable


class ReplayedTimes:
    """A clock for pytest-benchmark that tells given durations, one for each round.

    pytest-benchmark runs one function so many times; rounds in which several loops take their turns, and of
    which there are as many as the result needs, do not fit into that. So they are timed first, and its rows, its
    JSON and its comparisons are made of the same samples as the record.
    """

    __name__ = "perf_counter in interleaved rounds"

    def __init__(self) -> None:
        self._readings: collections.deque[float] = collections.deque()

    def load(self, durations: Iterable[float]) -> None:
        """Tells these next, in place of what was left."""
        self._readings = collections.deque(reading for duration in durations for reading in (0.0, duration))

    @property
    def left(self) -> int:
        """Readings that have not been taken."""
        return len(self._readings)

    def __call__(self) -> float:
        """The next reading: 0 as a round starts, its duration as it ends."""
        return self._readings.popleft()
