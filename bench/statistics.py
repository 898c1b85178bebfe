"""Estimates with confidence intervals, and checks of stability: pure functions on arrays of samples."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

FEWEST_PAIRS = 10
"""Fewest pairs for limits: below, a percentile bootstrap's 95% is a good deal less (tests/bench/test_statistics.py)."""


TRIMMED = 0.2
"""Share of the samples that a trimmed mean leaves out at each end: the usual one (Wilcox, Introduction to Robust
Estimation and Hypothesis Testing, 2012, section 3.5). A hiccup of the machine has no effect, and the interval is
narrower than that of the median: by a fifth for the times of training loops on two CPU cores."""


SIGNIFICANT = 0.001
"""Significance level of the checks of stability. A run has two of them, on every change: at 1 in 20, every tenth run
would be reported without cause."""


LONGEST = 1000
"""Largest number of samples in which a trend is searched; longer series are thinned to it."""


class Interval(NamedTuple):
    """An estimate between its confidence limits."""

    estimate: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` lies within the limits."""
        return self.low <= value <= self.high

    @property
    def width(self) -> float:
        """Width of a ratio's interval, as a share: 0.03 when the upper limit is 3% above the lower one."""
        return self.high / self.low - 1.0 if self.low else float("inf")

    @property
    def reciprocal(self) -> Interval:
        """The interval of 1/ratio, from that of a ratio."""
        return Interval(1 / self.estimate, 1 / self.high, 1 / self.low if self.low else float("inf"))


class Spread(NamedTuple):
    """The median and the middle half of samples, neither moved by a few outliers."""

    median: float
    low: float  # 25th percentile
    high: float  # 75th percentile


class Drift(NamedTuple):
    """The trend over a run."""

    change: float  # from the first round to the last, as a share: 0.1 is 10% more at the end
    p_value: float  # of there being none

    @property
    def significant(self) -> bool:
        """Whether there is a trend."""
        return self.p_value < SIGNIFICANT


class Autocorrelation(NamedTuple):
    """The correlation of each round with the next."""

    lag_1: float  # from -1 to 1
    p_value: float  # of there being none, or a negative one

    @property
    def significant(self) -> bool:
        """Whether neighbouring rounds are correlated: intervals that assume independence are then too narrow."""
        return self.p_value < SIGNIFICANT


def spread(samples: np.ndarray) -> Spread:
    """Median and quartiles of samples [n], in their unit."""
    low, median, high = np.percentile(samples, [25, 50, 75])
    return Spread(float(median), float(low), float(high))


def ratio_interval(before: np.ndarray, after: np.ndarray, confidence: float = 0.95, seed: int = 0) -> Interval:
    """The ratio before/after over pairs of samples, with a bootstrap confidence interval.

    The trimmed mean of the pairs' ratios, on the logarithm: what slows both of a pair cancels out, what slows
    one of them now and then does not move the result, and that for after/before is the reciprocal. Percentile
    bootstrap over pairs (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

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
    before, after = _positive(before), _positive(after)
    if before.shape != after.shape:
        raise ValueError(f"needs pairs of samples, not {before.shape} and {after.shape}")
    return _bootstrap([np.log(before / after)], confidence, seed)


def unpaired_ratio_interval(first: np.ndarray, second: np.ndarray, confidence: float = 0.95, seed: int = 0) -> Interval:
    """The ratio first/second of two sets of samples taken independently, with a bootstrap confidence interval.

    Like `ratio_interval`, for the difference of two trimmed means of logarithms, each resampled by itself.

    Args:
        first: [n] positive, in any unit.
        second: [m] positive, in the same unit.
        confidence: of the interval.
        seed: of the resampling.

    Raises:
        ValueError: no samples, or such that are not positive and finite.
    """
    return _bootstrap([np.log(_positive(first)), np.log(_positive(second))], confidence, seed)


def total_ratio_interval(
    before: np.ndarray,
    after: np.ndarray,
    reference: tuple[np.ndarray, ...] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The ratio of sums, sum(before)/sum(after), with a percentile bootstrap interval over the pairs.

    Unlike a trimmed mean it includes what happens rarely, at the price of a wider interval.

    Args:
        before: [n] positive, in any unit.
        after: [n] positive, in the same unit, each taken next to the one in `before`.
        reference: two further series [m]; the result is then this ratio divided by theirs.
        confidence: of the interval.
        seed: of the resampling.

    Returns:
        The interval; its limits are 0 and infinity for fewer than FEWEST_PAIRS pairs.

    Raises:
        ValueError: as `ratio_interval`.
    """
    series = [(_positive(before), _positive(after))] + ([] if reference is None else [reference])

    def statistic(numerator: np.ndarray, denominator: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(np.log(np.sum(numerator, axis=axis) / np.sum(denominator, axis=axis)))

    estimate = float(np.exp(functools.reduce(np.subtract, [statistic(*pair) for pair in series])))
    if min(len(first) for first, _ in series) < FEWEST_PAIRS:
        return Interval(estimate, 0.0, float("inf"))
    rng = np.random.default_rng(seed)
    drawn = [
        stats.bootstrap(pair, statistic, paired=True, vectorized=True, method="percentile", rng=rng, batch=_batch(pair))
        for pair in series
    ]
    logs = functools.reduce(np.subtract, [each.bootstrap_distribution for each in drawn])
    low, high = np.quantile(logs, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(estimate, float(np.exp(low)), float(np.exp(high)))


def mean_interval(samples: np.ndarray, confidence: float = 0.95) -> Interval:
    """The mean of samples [n] with Student's t interval, in their unit; without limits for a single sample.

    Raises:
        ValueError: no samples, or such that are not finite.
    """
    samples = np.asarray(samples, float)
    if samples.ndim != 1 or not samples.size or not np.all(np.isfinite(samples)):
        raise ValueError(f"needs finite samples [n], not {samples}")
    mean = float(np.mean(samples))
    if samples.size == 1:
        return Interval(mean, -float("inf"), float("inf"))
    # Not scipy's `ttest_1samp(...).confidence_interval()`, which warns of samples that are all the same.
    half = float(stats.t.ppf((1 + confidence) / 2, samples.size - 1) * stats.sem(samples))
    return Interval(mean, mean - half, mean + half)


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """A share with its score interval (Wilson, JASA 22, 1927), which is accurate near 0 and 1 and for few trials too.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    limits = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return Interval(successes / trials, float(limits.low), float(limits.high))


def poisson_interval(events: int, confidence: float = 0.95) -> Interval:
    """A count of rare events with its exact interval (Garwood, Biometrika 28, 1936), from chi-square quantiles."""
    tail = (1 - confidence) / 2
    low = float(stats.chi2.ppf(tail, 2 * events) / 2) if events else 0.0
    return Interval(float(events), low, float(stats.chi2.ppf(1 - tail, 2 * events + 2) / 2))


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


def autocorrelation(samples: np.ndarray) -> Autocorrelation:
    """Spearman's rank correlation of positive samples [n] with the ones that follow them, tested one-sided."""
    if len(samples) < 4 or np.ptp(samples[1:]) == 0 or np.ptp(samples[:-1]) == 0:
        return Autocorrelation(0.0, 1.0)
    result = stats.spearmanr(samples[:-1], samples[1:], alternative="greater")
    return Autocorrelation(float(result.statistic), float(result.pvalue))


def _positive(samples: np.ndarray) -> np.ndarray:
    samples = np.asarray(samples, float)
    if samples.ndim != 1 or not samples.size:
        raise ValueError(f"needs samples [n], not {samples.shape}")
    if not (np.all(np.isfinite(samples)) and np.all(samples > 0)):
        raise ValueError("needs positive finite samples")
    return samples


def _bootstrap(logs: Sequence[np.ndarray], confidence: float, seed: int) -> Interval:
    """The trimmed mean of the first series, less that of the second if there is one, as a ratio with its interval."""

    def statistic(*samples: np.ndarray, axis: int = -1) -> np.ndarray:
        middles: list[np.ndarray] = [stats.trim_mean(sample, TRIMMED, axis=axis) for sample in samples]
        return functools.reduce(np.subtract, middles)

    estimate = float(np.exp(statistic(*logs)))
    if min(sample.size for sample in logs) < FEWEST_PAIRS:
        return Interval(estimate, 0.0, float("inf"))
    limits = stats.bootstrap(
        tuple(logs),
        statistic,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
        vectorized=True,
        batch=_batch(logs),
    ).confidence_interval
    return Interval(estimate, float(np.exp(limits.low)), float(np.exp(limits.high)))


def _batch(samples: Sequence[np.ndarray]) -> int:
    """Number of resamples that are drawn at a time: all at once would take gigabytes for a long run."""
    return max(1, 2**21 // max(sample.size for sample in samples))


def _thinned(samples: np.ndarray) -> np.ndarray:
    """Medians of neighbouring samples, at most LONGEST of them, because every pair of them gives a slope."""
    group = -(-len(samples) // LONGEST)
    return np.array([np.median(samples[i : i + group]) for i in range(0, len(samples), group)])
