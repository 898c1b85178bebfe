"""Numbers in words, the same in every table."""

from __future__ import annotations

import math

from bench.statistics import FEWEST_PAIRS, Interval, Spread

NOT_MEASURED = "not measured"

NULL_ARM = "null arm"  # among numbers, where pandas would read `null` as nothing


def speed_up(ratio: Interval) -> str:
    """A ratio of times before/after; none where its interval holds 1."""
    if math.isinf(ratio.high):
        return f"{ratio.estimate:.2f}× (an interval needs {FEWEST_PAIRS} rounds)"
    if ratio.holds(1.0):
        return f"no measurable difference (95% interval of the ratio {ratio.low:.3f} to {ratio.high:.3f})"
    if ratio.estimate > 1:
        return f"{ratio.estimate:.2f}× faster (95%: {ratio.low:.2f} to {ratio.high:.2f})"
    slower = ratio.reciprocal
    return f"{slower.estimate:.2f}× slower (95%: {slower.low:.2f} to {slower.high:.2f})"


def change(ratio: Interval) -> str:
    """A ratio after/before as what it adds: `+3.1% (95%: +1.0% to +5.3%)`."""
    return f"{ratio.estimate - 1:+.1%} (95%: {ratio.low - 1:+.1%} to {ratio.high - 1:+.1%})"


def interval(ratio: Interval) -> str:
    """A ratio and its interval: `2.25 (2.20 to 2.30)`."""
    return f"{ratio.estimate:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def spread(found: Spread | None) -> str:
    """A median and its quartiles."""
    return NOT_MEASURED if found is None else f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"


def few(value: float | None) -> str:
    """A number with two decimals at most."""
    return NOT_MEASURED if value is None else f"{value:.2f}".rstrip("0").rstrip(".")
