"""A run without a fault, as what all runs of its loop and seed with one are compared with."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.observation import WATCHED, Observation

SMOOTHED = 10
"""Batches over whose mean a metric is compared with that of the clean run."""

WITHIN_NOISE, WITHIN_REACH = 2.0, 0.05
"""A metric is back when its mean lies, from then on, no farther from that of the clean run than twice its noise from
batch to batch, or 5% of all that it moves in the clean run, whichever is more."""


@dataclasses.dataclass(frozen=True, eq=False)
class UsualMetric:
    """A metric of a clean run over its first batches.

    Attributes:
        values: [batches].
        level: the mean of the last batches.
        reach: from the least value to the largest.
        near: how far from it a metric may lie that is back.
    """

    values: np.ndarray
    level: float
    reach: float
    near: float

    @classmethod
    def of(cls, values: np.ndarray) -> UsualMetric:
        """What is usual of values [batches]."""
        noise = float(np.median(np.abs(np.diff(values)))) / (math.sqrt(2) * 0.6745)  # of a normal's absolute difference
        reach = float(np.ptp(values))
        return cls(values, float(np.mean(values[-WATCHED:])), reach, max(WITHIN_NOISE * noise, WITHIN_REACH * reach))


@dataclasses.dataclass(frozen=True, eq=False)
class HitWeights:
    """The weights that a fault hits, as they move in a clean run.

    Attributes:
        names: of the weights.
        rhythm: batches in which any of them moved, ascending.
        steps: how far each moves in the mean, by name; without those that never move, or are not finite.
    """

    names: tuple[str, ...]
    rhythm: np.ndarray
    steps: dict[str, float]


class CleanRun:
    """A run without a fault. What runs with one need of it is computed when it is first asked for, and kept.

    Args:
        seen: the run.
    """

    def __init__(self, seen: Observation) -> None:
        self.seen = seen
        self._hit: dict[str, HitWeights] = {}
        self._metrics: dict[tuple[str, int], UsualMetric] = {}

    @functools.cached_property
    def problem(self) -> str | None:
        """Why nothing can be compared with it."""
        if self.seen.ended != "whole":
            return f"it does not come through without any fault: {self.seen.why}"
        endless = (key for key, values in self.seen.metrics.items() if not np.all(np.isfinite(values)))
        broken = [*self.seen.bad_weights, *endless]
        return f"{broken[0]} is not finite without any fault" if broken else None

    @functools.cached_property
    def never_finite(self) -> frozenset[str]:
        """Weights that are not finite after some batch."""
        return frozenset(name for name, steps in self.seen.steps.items() if not np.all(np.isfinite(steps)))

    def hit(self, fault: Fault) -> HitWeights:
        """The weights that a fault hits; the same of all faults with one target."""
        if fault.target not in self._hit:
            self._hit[fault.target] = self._hit_by(fault)
        return self._hit[fault.target]

    def metric(self, key: str, length: int) -> UsualMetric:
        """A metric over its first `length` batches, at least one."""
        if (key, length) not in self._metrics:
            self._metrics[key, length] = UsualMetric.of(np.array(self.seen.metrics[key][:length]))
        return self._metrics[key, length]

    def _hit_by(self, fault: Fault) -> HitWeights:
        names = tuple(name for name in self.seen.steps if fault.hits(name))
        means = {name: float(np.mean(self.seen.steps[name])) for name in names}
        usual = {name: mean for name, mean in means.items() if 0 < mean < math.inf}
        return HitWeights(names, moving(self.seen, names), usual)


def moving(run: Observation, names: tuple[str, ...]) -> np.ndarray:
    """The batches in which any of these weights moved, ascending."""
    steps = np.array([run.steps[name] for name in names if name in run.steps])
    return np.flatnonzero(np.any(steps > 0, axis=0)) if steps.size else np.empty(0, int)
