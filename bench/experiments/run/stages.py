"""The stages of a run: what each has taken, what each is expected to take on this machine, and the time for all."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import time
from collections.abc import Callable, Iterator

from loop_bench.settings import ARMS, TIMED, arm_of

TOTAL = 170.0
"""Seconds that a run with default options is to take: the rounds have what the other stages leave of it. It is promised
in 180 on two cores; what is forecast can be too short, and the machine can slow down meanwhile."""

LEAST_ROUNDS, MOST_ROUNDS = 30.0, 120.0
"""Bounds of the rounds' share, in seconds: fewer hardly make an interval, and more hardly narrow it."""


class Stage(str, enum.Enum):
    """A part of a run; the values are names in records."""

    START = "start"
    BUILD = "build and compile"
    SYNCS = "host syncs"
    ROUNDS = "rounds"
    EQUIVALENCE = "equivalence"
    SURVIVAL = "survival"
    UTILISATION = "utilisation"

    __str__ = str.__str__  # as enum.StrEnum has it, from Python 3.11


class StageClock:
    """Seconds of each stage. Those of a stage inside another one are the inner one's alone.

    Args:
        clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[Stage, float] = {}
        self._clock = clock
        self._open: list[Stage] = []
        self._since = 0.0  # when the innermost open stage began, or went on

    def add(self, stage: Stage, seconds: float) -> None:
        """Seconds that were measured elsewhere."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @contextlib.contextmanager
    def of(self, stage: Stage) -> Iterator[None]:
        """Counts what is done in here, however it ends."""
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
"""Seconds of the built-in loops at preset paper on two cores of the machine in README: from the factory to the end of
the first batch, and a batch. The others were measured on an AMD EPYC 7003, which is 2.5 times as slow in those, and
divided by that: until TensorFlow is imported; from the begin of a process to the factory, with the drawing of the
lines; and, at preset tiny, a run with a fault beside another one. Only how they compare counts: as soon as one is known
on this machine, the others are expected to differ by the same factor."""

_LOOKED_AT = 1.3
"""A batch between copies of all variables to the host, as a multiple of one that is left alone."""

_HORIZON = 85
"""Batches of a run with a fault."""

_WARMING = 2.0
"""Seconds before a loop is watched: batches until its pace can be told, and a second for the clocks of a GPU."""


@dataclasses.dataclass
class Pace:
    """What this machine has shown of the loops of a run so far, and so what stages can be expected to take."""

    start: float | None = None  # seconds until TensorFlow was imported and the factories loaded
    first_batch: dict[str, float] = dataclasses.field(default_factory=dict)  # seconds with building, by arm
    batch: dict[str, float] = dataclasses.field(default_factory=dict)  # seconds, by arm

    def scaled(self, seconds: float) -> float:
        """Seconds for what takes so many on the machine in README."""
        return self._factor() * seconds

    def building(self, *arms: str) -> float:
        """Seconds from the factories to the end of the first batches."""
        return sum(self.first_batch.get(arm) or self._factor() * _FIRST_BATCH[arm] for arm in map(arm_of, arms))

    def training(self, batches: float, *arms: str) -> float:
        """Seconds for so many batches of each."""
        return batches * sum(self.batch.get(arm) or self._factor() * _BATCH[arm] for arm in map(arm_of, arms))

    def restarting(self, groups: int, importing: bool) -> float:
        """Seconds to begin all but the first of so many groups of processes and to build their loops, two at a time.

        Args:
            groups: their number.
            importing: whether each imports TensorFlow anew.
        """
        started = (self.start or self.scaled(_START)) if importing else 0.0
        return (groups - 1) * (started + self.building(*TIMED) / 2)

    def comparing(self, batches: int) -> float:
        """Seconds for an equivalence check with so many batches from the same state."""
        return self.building(*ARMS) + self.training(_LOOKED_AT * batches, *ARMS)

    def surviving(self, trials: int, workers: int, small: bool) -> float:
        """Seconds for so many runs of each loop with faults, several at a time.

        Args:
            trials: of each loop.
            workers: runs at a time.
            small: whether the loops are smaller than those of the run.
        """
        each = 2 * self.scaled(_TRIAL) if small else self.building(*ARMS) + self.training(_LOOKED_AT * _HORIZON, *ARMS)
        return trials * each / workers

    def watching(self, seconds: float, arm: str) -> float:
        """Seconds for a process in which a loop is built, warmed up and watched for so long."""
        return self.scaled(_PROCESS) + self.building(arm) + _WARMING + seconds

    def _factor(self) -> float:
        """How this machine compares with that of the constants: the mean of what is known, the loops first."""
        known = [seen / _FIRST_BATCH[arm] for arm, seen in self.first_batch.items()]
        known += [seen / _BATCH[arm] for arm, seen in self.batch.items()]
        if not known and self.start is not None:
            known = [self.start / _START]
        return sum(known) / len(known) if known else 1.0


def for_rounds(spent: float, expected: float) -> float:
    """Seconds that are left for the rounds.

    Args:
        spent: seconds that the run has taken until now.
        expected: seconds of the stages after the rounds.
    """
    return min(MOST_ROUNDS, max(LEAST_ROUNDS, TOTAL - spent - expected))
