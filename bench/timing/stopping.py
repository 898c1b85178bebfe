"""When there have been rounds enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from loop_bench.settings import Settings
from loop_bench.statistics import FEWEST_PAIRS
from loop_bench.timing.samples import Ended, Round, speed_up


class StoppingRule(Protocol):
    """Is asked before each round whether it is still wanted."""

    def __call__(self, rounds: Sequence[Round]) -> Ended | None:
        """Why to stop now, or None."""

    def share(self, rounds: Sequence[Round]) -> float:
        """How much of what will be is done, from 0 to 1, as far as can be told; for a progress display."""


class Exactly:
    """So many rounds."""

    def __init__(self, rounds: int) -> None:
        self._wanted = rounds

    def __call__(self, rounds: Sequence[Round]) -> Ended | None:
        return "as many as asked for" if len(rounds) >= self._wanted else None

    def share(self, rounds: Sequence[Round]) -> float:
        return len(rounds) / self._wanted


class OutOfTime:
    """Until the time is over, counted from the first question.

    Args:
        seconds: for all the rounds.
        clock: gives seconds.
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
    """Until the ratio's interval is narrow enough, or the time is over.

    Stopping by the width of an interval and never by where it lies favours neither loop (a fixed-width interval:
    Chow and Robbins, Annals of Mathematical Statistics 36, 1965).

    Args:
        precision: width of the 95% interval of before/after, as a share: 0.03 for 3%.
        seconds: for all the rounds.
        clock: gives seconds.
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
            # A bootstrap at each round would cost as much as the loops. The width falls with the root of the
            # number of rounds, which says when to look again.
            needed = len(rounds) * (width / self._precision) ** 2
            self._next_look = int(min(max(needed, 1.05 * len(rounds) + 1), 2 * len(rounds)))
        return out_of_time

    def share(self, rounds: Sequence[Round]) -> float:
        # Halfway to the next look is not halfway to the end; that, the time limit bounds.
        return max(min(1.0, len(rounds) / (2 * self._next_look)), self._time.share(rounds))


class AtLeast:
    """Another rule's end, but never before so many rounds, however long they take."""

    def __init__(self, rounds: int, rule: StoppingRule) -> None:
        self._fewest = rounds
        self._rule = rule

    def __call__(self, rounds: Sequence[Round]) -> Ended | None:
        ended = self._rule(rounds)
        return ended if len(rounds) >= self._fewest else None

    def share(self, rounds: Sequence[Round]) -> float:
        return min(self._rule.share(rounds), len(rounds) / self._fewest)


def rule(rounds: int | None, seconds: float) -> StoppingRule:
    """The rule that was asked for.

    Args:
        rounds: exactly so many; None: until the time is over.
        seconds: for all the rounds.
    """
    return OutOfTime(seconds) if rounds is None else Exactly(rounds)


_WIDER = 1.5
"""By how much wider the interval of a group's own rounds may be than that of a run: what the next processes differ by
is about as large, and no number of rounds with the same ones shows it."""


def precision_of_group(settings: Settings) -> float:
    """Width of a group's own 95% interval of before/after that is narrow enough, as a share."""
    return settings.precision * (_WIDER if settings.processes > 1 else 1.0)


def of_group(settings: Settings, group: int, clock: Callable[[], float] = time.monotonic) -> StoppingRule:
    """The rule that settings ask for, for the share of one group of processes.

    Args:
        settings: of the run.
        group: its number.
        clock: gives seconds.
    """
    groups, rounds = settings.processes, settings.rounds
    if rounds is not None:
        return Exactly(rounds // groups + (group < rounds % groups))
    return UntilPrecise(precision_of_group(settings), settings.max_time / groups, clock)
