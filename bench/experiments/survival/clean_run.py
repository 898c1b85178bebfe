"""The clean run: a run without a fault, which the runs with faults of its loop and seed are compared with."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

from loop_bench.experiments.survival.fault import Fault
from loop_bench.experiments.survival.observation import WATCHED, Observation

SMOOTHED = 10
"""Batches of the moving mean with which a metric is compared with the clean run's."""

WITHIN_NOISE, WITHIN_REACH = 2.0, 0.05
"""A metric has recovered when its moving mean stays within a distance of the clean run's: twice the noise from batch to
batch, or 5% of the metric's range in the clean run, whichever is more."""


@dataclasses.dataclass(frozen=True, eq=False)
class UsualMetric:
    """A metric of a clean run over its first batches.

    Attributes:
        values: [batches].
        level: the mean of the last batches.
        reach: the range, from the least value to the largest.
        near: the largest distance of a recovered metric from the clean run's.
    """

    values: np.ndarray
    level: float
    reach: float
    near: float

    @classmethod
    def of(cls, values: np.ndarray) -> UsualMetric:
        """Computes level, range and tolerance from values [batches]."""
        # The median absolute difference of two normal values is sqrt(2) x 0.6745 standard deviations.
        noise = float(np.median(np.abs(np.diff(values)))) / (math.sqrt(2) * 0.6745)
        reach = float(np.ptp(values))
        return cls(values, float(np.mean(values[-WATCHED:])), reach, max(WITHIN_NOISE * noise, WITHIN_REACH * reach))


@dataclasses.dataclass(frozen=True, eq=False)
class HitWeights:
    """Movement in a clean run of the weights that a fault hits.

    Attributes:
        names: names of the weights.
        rhythm: batches in which any of them moved, ascending.
        steps: mean step of each weight, by name; without weights that never move, or are not finite.
    """

    names: tuple[str, ...]
    rhythm: np.ndarray
    steps: dict[str, float]


class CleanRun:
    """A run without a fault, with the figures that runs with faults are compared with; computed on demand and cached.

    Args:
        seen: the observations of the run.
    """

    def __init__(self, seen: Observation) -> None:
        self.seen = seen
        self._hit: dict[str, HitWeights] = {}
        self._metrics: dict[tuple[str, int], UsualMetric] = {}

    @functools.cached_property
    def problem(self) -> str | None:
        """Why nothing can be compared with this run, in words; None: it is usable."""
        if self.seen.ended != "whole":
            return f"it does not complete without a fault: {self.seen.why}"
        bad_metrics = (key for key, values in self.seen.metrics.items() if not np.all(np.isfinite(values)))
        broken = [*self.seen.bad_weights, *bad_metrics]
        return f"{broken[0]} is not finite without any fault" if broken else None

    @functools.cached_property
    def never_finite(self) -> frozenset[str]:
        """The weights that are not finite after at least one batch."""
        return frozenset(name for name, steps in self.seen.steps.items() if not np.all(np.isfinite(steps)))

    def hit(self, fault: Fault) -> HitWeights:
        """The weights that a fault hits; cached by the fault's target."""
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
