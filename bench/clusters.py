"""Ratios of times from several processes, with intervals that include the differences between processes.

Two processes that run the same program differ from beginning to end, for example by where their memory lies; more
samples of the same two never show it. So processes are started anew, and the interval depends on their number, the
highest level at which a measurement is repeated (Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, ISMM
2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from loop_bench.statistics import TRIMMED, Interval

FEWEST = 4
"""Fewest groups for which Student's interval is informative: at 99.9%, with processes of two loops and of the null arm,
it is 6 standard errors to either side with 4 groups, 9 with 3, and 32 with 2."""


class Between(NamedTuple):
    """The first ratio over groups of rounds, as a logarithm."""

    mean: float  # over groups
    reach: float  # half the width of Student's interval


def between(logs: np.ndarray, groups: Sequence[int], confidence: float) -> Between | None:
    """Estimates a ratio from rounds in groups, each with one process per loop; None for a single group.

    The trimmed means of the logarithms of times, by loop and group, are a two-way layout without replication (Scheffé,
    The Analysis of Variance, 1959, section 4.2). Its residuals, after each loop's mean and each group's mean, are the
    difference between processes together with the error of their means. Student's interval of the ratio follows from
    them, with (loops - 1)(groups - 1) degrees of freedom. This assumes that the processes of all loops differ equally,
    as those of two revisions in one environment do. Where the ratio itself scatters more from group to group, that
    scatter is used; a 95% interval of a loop whose processes differ much more than the others' nevertheless misses the
    truth in up to 9% (tests/bench/test_clusters.py).

    Args:
        logs: [loops, rounds], logarithms of time before/time of each other loop; the first one's ratio is estimated.
        groups: [rounds], the group of each.
        confidence: of the interval.
    """
    group_of = np.asarray(groups)
    numbers = np.unique(group_of)
    if len(numbers) < 2:
        return None
    means = np.array([[stats.trim_mean(row[group_of == number], TRIMMED) for number in numbers] for row in logs])
    table = np.vstack([np.zeros(len(numbers)), -means])  # the loop before is each group's zero
    residuals = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    freedom = (len(table) - 1) * (len(numbers) - 1)
    pooled = np.sqrt(2 * np.sum(residuals**2) / freedom)
    error = max(pooled, np.std(means[0], ddof=1)) / np.sqrt(len(numbers))
    reach = stats.t.ppf((1 + confidence) / 2, freedom) * error
    return Between(float(means[0].mean()), float(reach))


def clustered(interval: Interval, logs: np.ndarray, groups: Sequence[int], confidence: float) -> Interval:
    """Widens an interval of the first ratio by the difference between processes.

    Args:
        interval: of the rounds, as if all were from the same processes.
        logs: as for `between`.
        groups: as for `between`.
        confidence: of the interval.

    Returns:
        The mean over groups and, on either side, the limit that is farther from it; for a single group, `interval`.
    """
    ratio = between(logs, groups, confidence)
    if ratio is None:
        return interval
    low, estimate, high = np.exp([ratio.mean - ratio.reach, ratio.mean, ratio.mean + ratio.reach])
    return Interval(float(estimate), min(interval.low, float(low)), max(interval.high, float(high)))


def within(values: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """Removes from values the difference between their group's mean and the mean of all: [n] of [n]."""
    group_of, shifted = np.asarray(groups), np.array(values, float)
    for number in np.unique(group_of):
        shifted[group_of == number] += np.mean(values) - np.mean(values[group_of == number])
    return shifted
