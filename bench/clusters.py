"""Ratios of times that come from several processes: what a process has by chance is part of the interval.

Two processes that run the same program differ from beginning to end, by where their memory lies, say; more samples of
the same two never tell. So processes are begun anew, and their number is what the interval goes by: the highest level
at which a measurement is repeated (Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from loop_bench.statistics import TRIMMED, Interval

FEWEST = 4
"""Groups without which Student's interval says hardly anything: at 99.9% it is 6 standard errors to either side with 4
of two loops' processes and the null arm's, 9 with 3, and 32 with 2."""


class Between(NamedTuple):
    """The first ratio over groups of rounds, on the logarithm."""

    mean: float  # over groups
    reach: float  # half of Student's interval


def between(logs: np.ndarray, groups: Sequence[int], confidence: float) -> Between | None:
    """A ratio whose rounds come in groups, each with one process of each loop; None of a single group.

    The trimmed means of the logarithms of times, by loop and group, are a two-way layout without replication (Scheffé,
    The Analysis of Variance, 1959, section 4.2): what is left when each loop's mean and each group's have been taken
    out is the difference between processes, together with the error of their means. Student's interval of the ratio is
    of that, with (loops - 1)(groups - 1) degrees of freedom. It supposes that processes of all loops differ equally, as
    those of two revisions in one environment do. Where the ratio itself scatters more from group to group, its own
    scatter counts; a 95% interval of a loop whose processes differ much more than the others' misses the truth in up to
    9% nevertheless (tests/bench/test_clusters.py).

    Args:
        logs: [loops, rounds], logarithms of time before/time of each other loop, of which the first one is meant.
        groups: [rounds], the group of each.
        confidence: of the interval.
    """
    of = np.asarray(groups)
    numbers = np.unique(of)
    if len(numbers) < 2:
        return None
    means = np.array([[stats.trim_mean(row[of == number], TRIMMED) for number in numbers] for row in logs])
    table = np.vstack([np.zeros(len(numbers)), -means])  # the loop before is each group's zero
    left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    freedom = (len(table) - 1) * (len(numbers) - 1)
    pooled = np.sqrt(2 * np.sum(left**2) / freedom)
    error = max(pooled, np.std(means[0], ddof=1)) / np.sqrt(len(numbers))
    reach = stats.t.ppf((1 + confidence) / 2, freedom) * error
    return Between(float(means[0].mean()), float(reach))


def clustered(interval: Interval, logs: np.ndarray, groups: Sequence[int], confidence: float) -> Interval:
    """An interval of the first ratio with the difference between processes in it.

    Args:
        interval: of the rounds as if all were of the same processes.
        logs: as `between` has them.
        groups: as `between` has them.
        confidence: of the interval.

    Returns:
        The mean over groups, and on either side the limit that is farther from it; of a single group, `interval`.
    """
    found = between(logs, groups, confidence)
    if found is None:
        return interval
    low, estimate, high = np.exp([found.mean - found.reach, found.mean, found.mean + found.reach])
    return Interval(float(estimate), min(interval.low, float(low)), max(interval.high, float(high)))


def within(values: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """Values without what tells their group's mean from the mean of all: [n] of [n]."""
    of, found = np.asarray(groups), np.array(values, float)
    for number in np.unique(of):
        found[of == number] += np.mean(values) - np.mean(values[of == number])
    return found
