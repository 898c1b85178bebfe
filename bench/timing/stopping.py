"""Stopping rules: when a run has measured enough rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from loop_bench.settings import Settings
from loop_bench.statistics import FEWEST_PAIRS
from loop_bench.timing.samples import Ended, Round, speed_up


class StoppingRule(Protocol):
    """Decides before each round whether to run it."""

    def __call__(self, rounds: Sequence[Round]) -> Ended | None:
        """The reason to stop now; None: run another round."""

    def share(self, rounds: Sequence[Round]) -> float:
        """Estimated share of the run that is done, from 0 to 1, for a progress display."""


class Exactly:
    """Stops after a fixed number of rounds."""

    def __init__(self, rounds: int) -> None:
        self._wanted = rounds

    def __call__(self, rounds: Sequence[Round]) -> Ended | None:
        return "as many as asked for" if len(rounds) >= self._wanted else None

    def share(self, rounds: Sequence[Round]) -> float:
        return len(rounds) / self._wanted


class OutOfTime:
    """Stops when a time limit is reached, counted from the rule's first call.

    Args:
        seconds: time limit for all rounds.
        clock: returns seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._started: float | None = None

    def __call__(self, rounds: Sequence[Round]) -> Ended | None:
        if self._started is None:
            self._started = self._clock()
        return "out of time" if self._elapsed() >= self._seconds else None

    def share(self, rounds: Sequence[Round]) -> float:
        return min(1.0, self._elapsed() / self._seconds)

    def _elapsed(self) -> float:
        return 0.0 if self._started is None else self._clock() - self._started


class UntilPrecise:
    """Stops when the interval of the ratio is narrow enough, or at a time limit.

    Stopping by the width of the interval and never by its position favours neither loop (a fixed-width interval:
    Chow and Robbins, Annals of Mathematical Statistics 36, 1965).

    Args:
        precision: wanted width of the 95% interval of before/after, as a share: 0.03 for 3%.
        seconds: time limit for all rounds.
        clock: returns seconds.
    """

    def __init__(self, precision: float, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._precision = precision
        self._time = OutOfTime(seconds, clock)
        self._next_look = FEWEST_PAIRS

    def __call__(self, rounds: Sequence[Round]) -> Ended | None:
        out_of_time = self._time(rounds)
        if len(rounds) >= self._next_look:
            width = speed_up(rounds).width
            if width <= self._precision:
                return "precise"
            # A bootstrap at each round would cost as much as the loops. The width falls with the square root of the
            # number of rounds, which predicts when to compute it next.
            needed = len(rounds) * (width / self._precision) ** 2
            self._next_look = int(min(max(needed, 1.05 * len(rounds) + 1), 2 * len(rounds)))
        return out_of_time

    def share(self, rounds: Sequence[Round]) -> float:
        # The next look may not be the last, so its share is halved; the time limit bounds the rest.
        return max(min(1.0, len(rounds) / (2 * self._next_look)), self._time.share(rounds))


class AtLeast:
    """Stops when another rule does, but not before a least number of rounds, however long they take."""

    def __init__(self, rounds: int, rule: StoppingRule) -> None:
        self._fewest = rounds
        self._rule = rule

    def __call__(self, rounds: Sequence[Round]) -> Ended | None:
        ended = self._rule(rounds)
        return ended if len(rounds) >= self._fewest else None

    def share(self, rounds: Sequence[Round]) -> float:
        return min(self._rule.share(rounds), len(rounds) / self._fewest)


def rule(rounds: int | None, seconds: float) -> StoppingRule:
    """Stopping rule by rounds or by time.

    Args:
        rounds: exact number of rounds; None: until the time limit.
        seconds: time limit for all rounds, used if `rounds` is None.
    """
    return OutOfTime(seconds) if rounds is None else Exactly(rounds)


_WIDER = 1.5
"""How many times wider the interval of one group may be than that of the run: the difference between processes is about
as large as that interval, and more rounds in the same processes do not reduce it."""


def precision_of_group(settings: Settings) -> float:
    """Wanted width of one group's 95% interval of before/after, as a share."""
    return settings.precision * (_WIDER if settings.processes > 1 else 1.0)


def of_group(settings: Settings, group: int, clock: Callable[[], float] = time.monotonic) -> StoppingRule:
    """Stopping rule for one group of processes, which gets its share of the run's rounds or time.

    Args:
        settings: settings of the run.
        group: number of the group.
        clock: returns seconds.
    """
    groups, rounds = settings.processes, settings.rounds
    if rounds is not None:
        return Exactly(rounds // groups + (group < rounds % groups))
    return UntilPrecise(precision_of_group(settings), settings.max_time / groups, clock)
