"""Whether the samples of a run are what the statistics take them for: alike from first to last, and independent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

SIGNIFICANT = 0.001
"""Two checks a run, on every change: at 1 in 20 someone would be told of nothing every tenth time."""


LONGEST = 1000
"""Samples that a trend is looked for in."""


class Drift(NamedTuple):
    """A trend over a run."""

    change: float  # from the first round to the last, as a share: 0.1 is 10% more at the end
    p_value: float  # of there being none

    @property
    def significant(self) -> bool:
        """Whether there is one."""
        return self.p_value < SIGNIFICANT


class Autocorrelation(NamedTuple):
    """How much of one round is in the next."""

    lag_1: float  # from -1 to 1
    p_value: float  # of there being none, or a negative one

    @property
    def significant(self) -> bool:
        """Whether rounds resemble their neighbours: intervals that take them for independent are then too narrow."""
        return self.p_value < SIGNIFICANT


def drift(samples: np.ndarray) -> Drift:
    """The trend of positive samples [n] in the order in which they were taken.

    Mann-Kendall's test (Kendall's tau against the order) and the slope of Theil and Sen (Sen, JASA 63, 1968) on
    the logarithm; neither is moved by outliers.
    """
    logs = np.log(_thinned(samples))
    order = np.arange(len(logs))
    if len(logs) < 3 or np.ptp(logs) == 0:
        return Drift(0.0, 1.0)
    slope = stats.theilslopes(logs, order).slope
    return Drift(float(np.expm1(slope * order[-1])), float(stats.kendalltau(order, logs).pvalue))


def _thinned(samples: np.ndarray) -> np.ndarray:
    """Medians of so many neighbours that no more than LONGEST are left: a slope is taken of each pair of them."""
    together = -(-len(samples) // LONGEST)
    return np.array([np.median(samples[i : i + together]) for i in range(0, len(samples), together)])


def autocorrelation(samples: np.ndarray) -> Autocorrelation:
    """Of positive samples [n] with the ones that follow them: Spearman's rank correlation, one-sided."""
    if len(samples) < 4 or np.ptp(samples[1:]) == 0 or np.ptp(samples[:-1]) == 0:
        return Autocorrelation(0.0, 1.0)
    found = stats.spearmanr(samples[:-1], samples[1:], alternative="greater")
    return Autocorrelation(float(found.statistic), float(found.pvalue))
