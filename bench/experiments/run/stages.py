"""The stages of a run: the seconds that each took, and a forecast of those to come on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator

from loop_bench.enums import StrEnum
from loop_bench.settings import ARMS, TIMED, arm_of

TOTAL = 170.0
"""Target duration of a run with default options, in seconds; the rounds get what the other stages leave of it.

The documentation promises 180 s on two cores: the forecast can be too short, and the machine can slow down."""

LEAST_ROUNDS, MOST_ROUNDS = 30.0, 120.0
"""Bounds of the time for rounds, in seconds: less hardly yields an interval, and more hardly narrows it."""


class Stage(StrEnum):
    """A stage of a run; the values are names in records."""

    START = "start"
    BUILD = "build and compile"
    SYNCS = "host syncs"
    ROUNDS = "rounds"
    EQUIVALENCE = "equivalence"
    SURVIVAL = "survival"
    UTILISATION = "utilisation"


class StageClock:
    """Clock for the seconds of each stage; time in a nested stage counts only for the inner one.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[Stage, float] = {}
        self._clock = clock
        self._open: list[Stage] = []
        self._since = 0.0  # when the innermost open stage began or resumed

    def add(self, stage: Stage, seconds: float) -> None:
        """Adds seconds of a stage that were measured by other means."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @contextlib.contextmanager
    def of(self, stage: Stage) -> Iterator[None]:
        """Adds the duration of the with block to a stage, even if the block raises."""
        self._settle()
        self._open.append(stage)
        try:
            yield
        finally:
            self._settle()
            self._open.pop()

    def _settle(self) -> None:
        now = self._clock()
        if self._open:
            self.add(self._open[-1], now - self._since)
        self._since = now


_FIRST_BATCH = {ARMS[0]: 1.8, ARMS[1]: 5.7}
_BATCH = {ARMS[0]: 0.051, ARMS[1]: 0.017}
_START = 3.6
_PROCESS = 1.6
_TRIAL = 3.2
"""Seconds on the reference machine, two cores of an AMD EPYC 9004; only their ratios matter, see `Pace`.

_FIRST_BATCH and _BATCH are of the built-in loops at preset paper: from the factory to the end of the first batch, and
one batch. The others were measured on an AMD EPYC 7003, which takes 2.5 times as long for those, and divided by 2.5:
_START, importing TensorFlow; _PROCESS, from the start of a process to the factory, including drawing the lines; _TRIAL,
a survival trial at preset tiny beside another one."""

_COPYING = 1.3
"""Time of a batch between copies of all variables to the host, as a multiple of the time of a batch alone."""

_HORIZON = 85
"""Batches of a survival trial."""

_WARMING = 2.0
"""Seconds of warm-up before telemetry: batches until the pace is known, and a second for the clocks of a GPU."""


@dataclasses.dataclass
class Pace:
    """The pace of this machine, as measured so far, and the duration of stages that follows from it.

    Until a duration is measured, it is that of the reference machine, times the ratio of those that are measured.
    """

    start: float | None = None  # seconds until TensorFlow was imported and the factories loaded
    first_batch: dict[str, float] = dataclasses.field(default_factory=dict)  # seconds with building, by arm
    batch: dict[str, float] = dataclasses.field(default_factory=dict)  # seconds, by arm

    def scaled(self, seconds: float) -> float:
        """Converts seconds on the reference machine to seconds on this one."""
        return self._factor() * seconds

    def building(self, *arms: str) -> float:
        """Seconds from the factories of these arms to the end of their first batches."""
        return sum(self.first_batch.get(arm) or self._factor() * _FIRST_BATCH[arm] for arm in map(arm_of, arms))

    def training(self, batches: float, *arms: str) -> float:
        """Seconds to train this many batches of each of these arms."""
        return batches * sum(self.batch.get(arm) or self._factor() * _BATCH[arm] for arm in map(arm_of, arms))

    def restarting(self, groups: int, importing: bool) -> float:
        """Seconds to start all groups of processes after the first and to build their loops, two at a time.

        Args:
            groups: number of groups.
            importing: whether each group imports TensorFlow anew.
        """
        started = (self.start or self.scaled(_START)) if importing else 0.0
        return (groups - 1) * (started + self.building(*TIMED) / 2)

    def comparing(self, batches: int) -> float:
        """Seconds of an equivalence check over this many batches."""
        return self.building(*ARMS) + self.training(_COPYING * batches, *ARMS)

    def surviving(self, trials: int, workers: int, small: bool) -> float:
        """Seconds of the survival trials of both loops.

        Args:
            trials: trials of each loop.
            workers: trials at a time.
            small: whether the loops are smaller than those of the run.
        """
        seconds = 2 * self.scaled(_TRIAL) if small else self.building(*ARMS) + self.training(_COPYING * _HORIZON, *ARMS)
        return trials * seconds / workers

    def watching(self, seconds: float, arm: str) -> float:
        """Seconds of a telemetry run of one arm, of which `seconds` are measured."""
        return self.scaled(_PROCESS) + self.building(arm) + _WARMING + seconds

    def _factor(self) -> float:
        """The mean ratio of this machine's durations to the reference's; by `start` until a loop has trained."""
        ratios = [seconds / _FIRST_BATCH[arm] for arm, seconds in self.first_batch.items()]
        ratios += [seconds / _BATCH[arm] for arm, seconds in self.batch.items()]
        if not ratios and self.start is not None:
            ratios = [self.start / _START]
        return sum(ratios) / len(ratios) if ratios else 1.0


def for_rounds(spent: float, expected: float) -> float:
    """The time limit for the rounds, in seconds.

    Args:
        spent: seconds that the run has taken so far.
        expected: seconds of the stages after the rounds.
    """
    return min(MOST_ROUNDS, max(LEAST_ROUNDS, TOTAL - spent - expected))
