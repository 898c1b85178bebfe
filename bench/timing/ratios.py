"""What interleaved rounds say of the loops in them: times a batch, and ratios over pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.experiments.run.record import NULL, Round
from bench.statistics import Interval, ratio_interval


def milliseconds(rounds: Sequence[Round], name: str) -> np.ndarray:
    """Of one of the timed loops, ms a batch [rounds]."""
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
    return ratio_interval(milliseconds(rounds, "before"), milliseconds(rounds, "after"), confidence)


def null(rounds: Sequence[Round], confidence: float = 0.95) -> Interval:
    """Time before / time of its second instance: 1, but for what the run itself adds."""
    return ratio_interval(milliseconds(rounds, "before"), milliseconds(rounds, NULL), confidence)


def speed_up_of_totals(rounds: Sequence[Round]) -> float:
    """Total time before / total time after, with every rare slow batch in it that a robust mean leaves out."""
    return float(milliseconds(rounds, "before").sum() / milliseconds(rounds, "after").sum())
