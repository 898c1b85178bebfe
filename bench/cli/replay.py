"""A clock that replays measured durations to pytest-benchmark."""

from __future__ import annotations

import collections
from collections.abc import Iterable


class ReplayedTimes:
    """A timer for pytest-benchmark that returns given durations, one for each round.

    pytest-benchmark runs one function a fixed number of times, which does not suit rounds in which several loops
    alternate until the result is precise enough. The rounds are therefore timed first and replayed here, so that the
    rows, JSON and comparisons of pytest-benchmark come from the same samples as the record.
    """

    __name__ = "perf_counter in interleaved rounds"

    def __init__(self) -> None:
        self._readings: collections.deque[float] = collections.deque()

    def load(self, durations: Iterable[float]) -> None:
        """Replaces the remaining readings by those of these durations, in seconds."""
        self._readings = collections.deque(reading for duration in durations for reading in (0.0, duration))

    @property
    def left(self) -> int:
        """The number of readings that were not taken yet."""
        return len(self._readings)

    def __call__(self) -> float:
        """The next reading in seconds: 0 at the start of a round, its duration at the end."""
        return self._readings.popleft()
