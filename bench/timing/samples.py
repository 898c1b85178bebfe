"""Samples of timed loops, and what they say: times a batch, and ratios over pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import Self

from loop_bench import clusters
from loop_bench.document import Count, Frozen, Seconds
from loop_bench.settings import NULL
from loop_bench.statistics import Interval, ratio_interval

Ended = Literal["precise", "out of time", "as many as asked for"]
"""Why the rounds of a run came to an end."""


class Start(Frozen):
    """Once from nothing to a running loop."""

    build_seconds: Seconds  # the factory
    first_batch_seconds: Seconds  # with tracing and compilation

    @property
    def seconds(self) -> float:
        """From calling the factory to the end of the first batch."""
        return self.build_seconds + self.first_batch_seconds


class Round(Frozen):
    """A block of batches of each timed loop, one after the other."""

    batches: Annotated[int, Field(gt=0)]  # of each
    order: tuple[str, ...]
    seconds: dict[str, Seconds]  # for all the batches, by loop
    group: Count = 0  # of rounds with the same processes, where loops live in processes of their own

    @model_validator(mode="after")
    def _is_of_all(self) -> Self:
        if sorted(self.order) != sorted(self.seconds):
            raise ValueError(f"a round of {', '.join(self.order)} has no times of {', '.join(self.seconds)}")
        return self


def milliseconds(rounds: Sequence[Round], name: str) -> np.ndarray:
    """Milliseconds a batch of one of the timed loops, [rounds]."""
    return np.array([1e3 * done.seconds[name] / done.batches for done in rounds])


def ratios(rounds: Sequence[Round], to: str = "after") -> np.ndarray:
    """Time before / time of another one of the timed loops in each round [rounds]."""
    found: np.ndarray = milliseconds(rounds, "before") / milliseconds(rounds, to)
    return found


def seconds(rounds: Sequence[Round]) -> float:
    """Time in all the measured blocks together."""
    return sum(sum(done.seconds.values()) for done in rounds)


def speed_up(rounds: Sequence[Round], confidence: float = 0.95) -> Interval:
    """Time before / time after."""
    return _ratio(rounds, "after", confidence)


def null(rounds: Sequence[Round], confidence: float = 0.95) -> Interval:
    """Time before / time of its second instance: 1, but for what the run itself adds."""
    return _ratio(rounds, NULL, confidence)


def _ratio(rounds: Sequence[Round], to: str, confidence: float) -> Interval:
    paired = ratio_interval(milliseconds(rounds, "before"), milliseconds(rounds, to), confidence)
    return clusters.clustered(paired, _logs(rounds, to), groups(rounds), confidence)


def _logs(rounds: Sequence[Round], first: str) -> np.ndarray:
    """Logarithms of time before / time of each other loop, [loops, rounds], the named one first."""
    others = [first, *(name for name in rounds[0].seconds if name not in ("before", first))]
    return np.log([ratios(rounds, name) for name in others])


def groups(rounds: Sequence[Round]) -> list[int]:
    """The group of each round."""
    return [done.group for done in rounds]


def processes(rounds: Sequence[Round]) -> int:
    """Number of processes of each loop that rounds come from: one, where all loops live in one process."""
    return len({*groups(rounds)})


def between_processes(rounds: Sequence[Round], confidence: float) -> float:
    """The factor by which processes of the same loops may differ; 1 where all rounds are of the same processes."""
    found = clusters.between(_logs(rounds, "after"), groups(rounds), confidence)
    return 1.0 if found is None else float(np.exp(found.reach))


def by_age(rounds: Sequence[Round]) -> list[Round]:
    """Rounds in the order of their places in their groups: what changes as processes grow old is a trend in it."""
    places: dict[int, int] = {}
    aged = []
    for done in rounds:
        places[done.group] = places.get(done.group, -1) + 1
        aged.append((places[done.group], done.group, done))
    return [done for _, _, done in sorted(aged, key=lambda each: each[:2])]


def steady(rounds: Sequence[Round]) -> np.ndarray:
    """Time before / time after in each round, without what tells groups of rounds from each other, [rounds]."""
    found: np.ndarray = np.exp(clusters.within(np.log(ratios(rounds)), groups(rounds)))
    return found


def speed_up_of_totals(rounds: Sequence[Round]) -> float:
    """Total time before / total time after, with every rare slow batch in it that a robust mean leaves out."""
    return float(milliseconds(rounds, "before").sum() / milliseconds(rounds, "after").sum())
