"""Figures of a convergence experiment, computed from its record; all renderers use them."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

import numpy as np
from scipy.integrate import trapezoid
from typing_extensions import Self

from loop_bench.experiments.convergence.plan import Question
from loop_bench.experiments.convergence.record import ConvergenceRecord
from loop_bench.experiments.convergence.trial import Course
from loop_bench.statistics import Interval, mean_interval

NO_DIFFERENCE, TOO_FEW = "no measurable difference", "too few seeds to tell"


@dataclasses.dataclass(frozen=True)
class Curve:
    """The quality of a loop in one metric over the batches, from its complete runs."""

    batches: tuple[int, ...]
    means: tuple[Interval, ...]  # over the seeds, with 95% t intervals
    runs: int


@dataclasses.dataclass(frozen=True)
class Effect:
    """The effect of a change on one quantity: changed less reference, paired by seed."""

    difference: Interval  # 95% t interval
    verdict: str  # better or worse (higher or lower if the better direction is unknown), NO_DIFFERENCE or TOO_FEW


@dataclasses.dataclass(frozen=True)
class Reached:
    """The number of batches until a loop is as good as the reference's best, from the same seed."""

    changed: tuple[int, ...]  # batches of the changed loop, for each seed from which it became as good
    reference: tuple[int, ...]  # batches after which the reference was at its best, for every seed

    @property
    def median(self) -> tuple[float | None, float]:
        """Median batches of the changed loop (None: it never became as good) and of the reference."""
        return statistics.median(self.changed) if self.changed else None, statistics.median(self.reference)


@dataclasses.dataclass(frozen=True)
class MetricComparison:
    """Effects of one change on one metric, over the seeds from which both loops have complete runs."""

    pair: Question
    metric: str
    final: Effect  # the value after the last batch
    mean: Effect  # the mean over the curve: its area by the trapezoidal rule, over the batches
    reached: Reached | None  # None: the better direction is unknown
    seeds: int


@dataclasses.dataclass(frozen=True)
class ConvergenceFigures:
    """All figures of a convergence experiment."""

    metrics: tuple[str, ...]
    curves: dict[str, dict[str, Curve]]  # by metric and loop; loops without a complete run are left out
    comparisons: tuple[MetricComparison, ...]
    temperatures: dict[str, dict[int, float]]  # by loop and batch, for loops that report them
    flaws: dict[str, tuple[tuple[int, str], ...]]  # by loop: seed and flaw of each run that is not complete
    alike: bool  # whether all loops began with the same weights, bit for bit, from every seed

    @classmethod
    def of(cls, record: ConvergenceRecord) -> Self:
        """Computes the figures of a record."""
        whole = {loop: [run for run in runs if not run.flaw] for loop, runs in record.courses.items()}
        moments = [moment for runs in whole.values() for run in runs for moment in run.moments]
        metrics = tuple(dict.fromkeys(name for moment in moments for name in moment.quality))
        curves = {
            metric: {loop: curve for loop, runs in whole.items() if (curve := _curve(runs, metric))}
            for metric in metrics
        }
        compared = [_compare(whole, pair, metric) for pair in record.plan.pairs for metric in metrics]
        return cls(
            metrics=metrics,
            curves=curves,
            comparisons=tuple(comparison for comparison in compared if comparison),
            temperatures={loop: by_batch for loop, runs in whole.items() if (by_batch := _temperatures(runs))},
            flaws={
                loop: tuple((run.seed, run.flaw) for run in runs if run.flaw) for loop, runs in record.courses.items()
            },
            alike=_alike(record),
        )


def sign(metric: str) -> int:
    """The better direction of a metric: 1 if higher is better, -1 if lower is, 0 if it is unknown."""
    return {"↑": 1, "↓": -1}.get(metric[-1:], 0)


def summary(comparisons: Sequence[MetricComparison]) -> str:
    """The verdict on a change over all metrics; names it if some became better and others worse."""
    verdicts = {effect.verdict for compared in comparisons for effect in (compared.final, compared.mean)}
    if {"better", "worse"} <= verdicts:
        return "better in one respect, worse in another"
    words = ("better", "worse", "higher", "lower", TOO_FEW)
    return next((word for word in words if word in verdicts), NO_DIFFERENCE)


def _curve(runs: Sequence[Course], metric: str) -> Curve | None:
    runs = [run for run in runs if _has(run, metric)]
    if not runs:
        return None
    batches = _batches(runs[0])
    values = np.array([_values(run, metric) for run in runs if _batches(run) == batches])  # [seeds, evaluations]
    return Curve(batches, tuple(mean_interval(column) for column in values.T), len(values))


def _compare(whole: dict[str, list[Course]], pair: Question, metric: str) -> MetricComparison | None:
    """Compares a pair in one metric; None: no seed has two runs that can be compared."""
    changed, reference = ({run.seed: run for run in whole[loop]} for loop in (pair.changed, pair.reference))
    paired = [
        (changed[seed], reference[seed])
        for seed in changed.keys() & reference.keys()
        if all(_has(run, metric) for run in (changed[seed], reference[seed]))
        and _batches(changed[seed]) == _batches(reference[seed])
    ]
    if not paired:
        return None
    batches = np.array(_batches(paired[0][0]))
    values = np.array([[_values(run, metric) for run in runs] for runs in paired])  # [seeds, 2, evaluations]
    differences = values[:, 0] - values[:, 1]
    area = trapezoid(differences, batches, axis=1) / np.ptp(batches)
    return MetricComparison(
        pair=pair,
        metric=metric,
        final=_effect(differences[:, -1], metric),
        mean=_effect(area, metric),
        reached=_reached(values * sign(metric), batches) if sign(metric) else None,
        seeds=len(paired),
    )


def _effect(differences: np.ndarray, metric: str) -> Effect:
    interval = mean_interval(differences)
    if len(differences) < 2:
        return Effect(interval, TOO_FEW)
    if interval.holds(0.0):
        return Effect(interval, NO_DIFFERENCE)
    up, down = ("higher", "lower") if not sign(metric) else ("better", "worse")
    return Effect(interval, up if interval.estimate * (sign(metric) or 1) > 0 else down)


def _reached(values: np.ndarray, batches: np.ndarray) -> Reached:
    """Batches until loops are as good as the reference's best; values [seeds, 2, evaluations], higher is better."""
    changed, reference = values[:, 0], values[:, 1]
    as_good = changed >= np.max(reference, axis=1, keepdims=True)
    first = batches[np.argmax(as_good, axis=1)][np.any(as_good, axis=1)]
    return Reached(tuple(first.tolist()), tuple(batches[np.argmax(reference, axis=1)].tolist()))


def _temperatures(runs: Sequence[Course]) -> dict[int, float]:
    """Temperatures by batch, from the first run, because they are the same from every seed."""
    moments = runs[0].moments if runs else ()
    return {moment.batch: moment.temperature for moment in moments if moment.temperature is not None}


def _alike(record: ConvergenceRecord) -> bool:
    starts = [{run.start for run in of_seed if run.start} for of_seed in zip(*record.courses.values(), strict=True)]
    return all(len(digests) <= 1 for digests in starts)


def _batches(run: Course) -> tuple[int, ...]:
    return tuple(moment.batch for moment in run.moments)


def _has(run: Course, metric: str) -> bool:
    return all(metric in moment.quality for moment in run.moments)


def _values(run: Course, metric: str) -> list[float]:
    return [moment.quality[metric] for moment in run.moments]
