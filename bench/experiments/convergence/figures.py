"""What an experiment on convergence says in numbers: every renderer takes its figures from here."""

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
    """The quality of a loop, in one metric, over the batches: of the runs that came to their end."""

    batches: tuple[int, ...]
    means: tuple[Interval, ...]  # over the seeds, with 95% t intervals
    runs: int


@dataclasses.dataclass(frozen=True)
class Effect:
    """What a change did to one quantity: changed less reference, paired by seed."""

    difference: Interval  # 95% t interval
    verdict: str  # better or worse (higher or lower, where it is not known which is better), or one of those above


@dataclasses.dataclass(frozen=True)
class Reached:
    """When a loop was as good as the reference, from the same seed, ever became."""

    changed: tuple[int, ...]  # batches of each seed that got there
    reference: tuple[int, ...]  # batches after which the reference was at its best, of every seed

    @property
    def median(self) -> tuple[float | None, float]:
        """Batches of the changed loop, None where it never got there; and of the reference."""
        return statistics.median(self.changed) if self.changed else None, statistics.median(self.reference)


@dataclasses.dataclass(frozen=True)
class MetricComparison:
    """Effects of one change on one metric, over the seeds in which both loops came to their end."""

    pair: Question
    metric: str
    final: Effect  # the value after the last batch
    mean: Effect  # the mean over the curve: its area by the trapezoidal rule, over the batches
    reached: Reached | None  # None where it is not known which way is better
    seeds: int


@dataclasses.dataclass(frozen=True)
class ConvergenceFigures:
    """All of it."""

    metrics: tuple[str, ...]
    curves: dict[str, dict[str, Curve]]  # by metric and loop; none of loops without a whole run
    comparisons: tuple[MetricComparison, ...]
    temperatures: dict[str, dict[int, float]]  # by loop and batch, of loops that say
    flaws: dict[str, tuple[tuple[int, str], ...]]  # by loop: seed, and what kept it from being whole
    alike: bool  # whether all loops began with the same weights, bit for bit, from every seed

    @classmethod
    def of(cls, record: ConvergenceRecord) -> Self:
        """The figures of a record."""
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
            comparisons=tuple(each for each in compared if each),
            temperatures={loop: found for loop, runs in whole.items() if (found := _temperatures(runs))},
            flaws={
                loop: tuple((run.seed, run.flaw) for run in runs if run.flaw) for loop, runs in record.courses.items()
            },
            alike=_alike(record),
        )


def sign(metric: str) -> int:
    """1 where higher is better, -1 where lower is, 0 where that is not known."""
    return {"↑": 1, "↓": -1}.get(metric[-1:], 0)


def summary(comparisons: Sequence[MetricComparison]) -> str:
    """The verdict on a change over all metrics: a gain in one that is paid for in another is named as that."""
    verdicts = {effect.verdict for each in comparisons for effect in (each.final, each.mean)}
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
    """None where no seed has two runs that can be compared."""
    changed, reference = ({run.seed: run for run in whole[loop]} for loop in (pair.changed, pair.reference))
    both = [
        (changed[seed], reference[seed])
        for seed in changed.keys() & reference.keys()
        if all(_has(run, metric) for run in (changed[seed], reference[seed]))
        and _batches(changed[seed]) == _batches(reference[seed])
    ]
    if not both:
        return None
    batches = np.array(_batches(both[0][0]))
    values = np.array([[_values(run, metric) for run in runs] for runs in both])  # [seeds, 2, evaluations]
    differences = values[:, 0] - values[:, 1]
    area = trapezoid(differences, batches, axis=1) / np.ptp(batches)
    return MetricComparison(
        pair=pair,
        metric=metric,
        final=_effect(differences[:, -1], metric),
        mean=_effect(area, metric),
        reached=_reached(values * sign(metric), batches) if sign(metric) else None,
        seeds=len(both),
    )


def _effect(differences: np.ndarray, metric: str) -> Effect:
    found = mean_interval(differences)
    if len(differences) < 2:
        return Effect(found, TOO_FEW)
    if found.holds(0.0):
        return Effect(found, NO_DIFFERENCE)
    words = ("higher", "lower") if not sign(metric) else ("better", "worse")
    return Effect(found, words[0] if found.estimate * (sign(metric) or 1) > 0 else words[1])


def _reached(values: np.ndarray, batches: np.ndarray) -> Reached:
    """When loops were as good as the reference ever became; values [seeds, 2, evaluations] are better the higher."""
    changed, reference = values[:, 0], values[:, 1]
    there = changed >= np.max(reference, axis=1, keepdims=True)
    first = batches[np.argmax(there, axis=1)][np.any(there, axis=1)]
    return Reached(tuple(first.tolist()), tuple(batches[np.argmax(reference, axis=1)].tolist()))


def _temperatures(runs: Sequence[Course]) -> dict[int, float]:
    """Temperatures by batch of the first run: they are the same from every seed."""
    moments = runs[0].moments if runs else ()
    return {moment.batch: moment.temperature for moment in moments if moment.temperature is not None}


def _alike(record: ConvergenceRecord) -> bool:
    starts = [{run.start for run in of_a_seed if run.start} for of_a_seed in zip(*record.courses.values(), strict=True)]
    return all(len(each) <= 1 for each in starts)


def _batches(run: Course) -> tuple[int, ...]:
    return tuple(moment.batch for moment in run.moments)


def _has(run: Course, metric: str) -> bool:
    return all(metric in moment.quality for moment in run.moments)


def _values(run: Course, metric: str) -> list[float]:
    return [moment.quality[metric] for moment in run.moments]
