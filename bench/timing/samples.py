"""Samples of timed loops, and the figures computed from them: milliseconds per batch and paired ratios."""

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
"""Why the rounds of a run ended."""


class Start(Frozen):
    """Times of one start of a loop."""

    build_seconds: Seconds  # the factory
    first_batch_seconds: Seconds  # with tracing and compilation

    @property
    def seconds(self) -> float:
        """Seconds from calling the factory to the end of the first batch."""
        return self.build_seconds + self.first_batch_seconds


class Round(Frozen):
    """Times of one block of batches of each timed loop, run one after the other."""

    batches: Annotated[int, Field(gt=0)]  # of each loop
    order: tuple[str, ...]
    seconds: dict[str, Seconds]  # for all the batches, by loop
    group: Count = 0  # of rounds with the same processes, where loops live in processes of their own

    @model_validator(mode="after")
    def _is_of_all(self) -> Self:
        if sorted(self.order) != sorted(self.seconds):
            raise ValueError(f"a round of {', '.join(self.order)} has times of {', '.join(self.seconds)}")
        return self


def milliseconds(rounds: Sequence[Round], name: str) -> np.ndarray:
    """Milliseconds per batch of a timed loop, [rounds]."""
    return np.array([1e3 * round_.seconds[name] / round_.batches for round_ in rounds])


def ratios(rounds: Sequence[Round], to: str = "after") -> np.ndarray:
    """Time of the loop "before" / time of loop `to` in each round, [rounds]."""
    before_over_other: np.ndarray = milliseconds(rounds, "before") / milliseconds(rounds, to)
    return before_over_other


def seconds(rounds: Sequence[Round]) -> float:
    """Total seconds of all measured blocks."""
    return sum(sum(round_.seconds.values()) for round_ in rounds)


def speed_up(rounds: Sequence[Round], confidence: float = 0.95) -> Interval:
    """Speed-up: time before / time after, with its confidence interval."""
    return _ratio(rounds, "after", confidence)


def null(rounds: Sequence[Round], confidence: float = 0.95) -> Interval:
    """Null arm: time before / time of a second instance of the same loop, which differs from 1 by the run's noise."""
    return _ratio(rounds, NULL, confidence)


def _ratio(rounds: Sequence[Round], to: str, confidence: float) -> Interval:
    paired = ratio_interval(milliseconds(rounds, "before"), milliseconds(rounds, to), confidence)
    return clusters.clustered(paired, _logs(rounds, to), groups(rounds), confidence)


def _logs(rounds: Sequence[Round], first: str) -> np.ndarray:
    """Logarithms of time before / time of each other loop, [loops, rounds], loop `first` in the first row."""
    others = [first, *(name for name in rounds[0].seconds if name not in ("before", first))]
    return np.log([ratios(rounds, name) for name in others])


def groups(rounds: Sequence[Round]) -> list[int]:
    """Number of the group of processes of each round."""
    return [round_.group for round_ in rounds]


def processes(rounds: Sequence[Round]) -> int:
    """Number of processes of each loop in these rounds; 1 where all loops share one process."""
    return len({*groups(rounds)})


def between_processes(rounds: Sequence[Round], confidence: float) -> float:
    """Factor by which processes of the same loop may differ; 1 where all rounds come from the same processes."""
    variation = clusters.between(_logs(rounds, "after"), groups(rounds), confidence)
    return 1.0 if variation is None else float(np.exp(variation.reach))


def by_age(rounds: Sequence[Round]) -> list[Round]:
    """Rounds ordered by the age of their processes, so that a change with age shows as a trend."""
    places: dict[int, int] = {}
    aged = []
    for round_ in rounds:
        places[round_.group] = places.get(round_.group, -1) + 1
        aged.append((places[round_.group], round_.group, round_))
    return [round_ for _, _, round_ in sorted(aged, key=lambda place_group_round: place_group_round[:2])]


def steady(rounds: Sequence[Round]) -> np.ndarray:
    """Time before / time after in each round with the differences between groups removed, [rounds]."""
    within_groups: np.ndarray = np.exp(clusters.within(np.log(ratios(rounds)), groups(rounds)))
    return within_groups


def speed_up_of_totals(rounds: Sequence[Round]) -> float:
    """Total time before / total time after; unlike the robust mean, it includes rare slow batches."""
    return float(milliseconds(rounds, "before").sum() / milliseconds(rounds, "after").sum())
