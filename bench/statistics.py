"""What can be said from samples: pure functions on arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

FEWEST_PAIRS = 10
"""Below this a percentile bootstrap's 95% is a good deal less; tests/bench/test_statistics.py measures its coverage."""


class Interval(NamedTuple):
    """An estimate between its confidence limits."""

    estimate: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` lies inside."""
        return self.low <= value <= self.high


class Spread(NamedTuple):
    """A middle and the half of the samples around it, neither moved by a few outliers."""

    median: float
    low: float  # 25th percentile
    high: float  # 75th percentile


def spread(samples: np.ndarray) -> Spread:
    """Median and quartiles of samples [n], in their unit."""
    low, median, high = np.percentile(samples, [25, 50, 75])
    return Spread(float(median), float(low), float(high))


def ratio_interval(before: np.ndarray, after: np.ndarray, confidence: float = 0.95, seed: int = 0) -> Interval:
    """The ratio before/after over pairs of samples, with a bootstrap confidence interval.

    The median of the pairs' ratios, on the logarithm: what slows both of a pair cancels out, what slows one
    of them does not move the result, and that for after/before is the reciprocal. Percentile bootstrap over
    pairs (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), by `scipy.stats.bootstrap`.

    Args:
        before: [n] positive, in any unit.
        after: [n] positive, in the same unit, each taken next to the one in `before`.
        confidence: of the interval.
        seed: of the resampling; the same samples give the same interval.

    Returns:
        The interval; its limits are 0 and infinity for fewer than FEWEST_PAIRS pairs.

    Raises:
        ValueError: no pairs, unequal numbers, or samples that are not positive and finite.
    """
    before, after = np.asarray(before, float), np.asarray(after, float)
    if before.shape != after.shape or before.ndim != 1 or not before.size:
        raise ValueError(f"needs pairs of samples, not {before.shape} and {after.shape}")
    if not (np.all(np.isfinite([before, after])) and np.all(np.minimum(before, after) > 0)):
        raise ValueError("needs positive finite samples")
    logs = np.log(before / after)
    estimate = float(np.exp(np.median(logs)))
    if logs.size < FEWEST_PAIRS:
        return Interval(estimate, 0.0, float("inf"))
    found = stats.bootstrap(
        (logs,),
        np.median,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
        vectorized=True,
    ).confidence_interval
    return Interval(estimate, float(np.exp(found.low)), float(np.exp(found.high)))
