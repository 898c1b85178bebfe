"""Long series made fit for the eye: what is drawn of them, and never a figure that is told."""

from __future__ import annotations

import numpy as np
import pandas as pd

_LARGEST = float(np.finfo(np.float32).max)


def running_median(values: np.ndarray, width: int) -> np.ndarray:
    """The median of `width` neighbours around each of values [n]; fewer at both ends."""
    found = pd.Series(values).rolling(width, center=True, min_periods=1).median()
    return found.to_numpy(float)


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """The mean of `width` neighbours around each of values [n]; NaN counts as missing, and stays where it is."""
    series = pd.Series(values, dtype=float)
    found = series.rolling(width, center=True, min_periods=1).mean().where(series.notna())
    return found.to_numpy(float)


def finite(values: np.ndarray) -> np.ndarray:
    """Values [n] with NaN for those beyond a float32, the infinite ones among them: no axis reaches so far."""
    values = np.asarray(values, float)
    return np.where(np.abs(values) <= _LARGEST, values, np.nan)


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Indices, in order, of about `most` of values [n] that look like all of them in a line.

    Of each stretch the lowest and the highest, so that no spike is lost, and the first and the last of all. A stretch
    of nothing but NaN keeps its first, so that the line has its gap.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    stretches = np.array_split(np.arange(count), max(1, most // 2))
    kept = [index for stretch in stretches for index in _outermost(values, stretch)]
    return np.unique([0, *kept, count - 1])


def _outermost(values: np.ndarray, stretch: np.ndarray) -> list[int]:
    known = stretch[~np.isnan(values[stretch])]
    if not known.size:
        return [int(stretch[0])]
    return [int(known[np.argmin(values[known])]), int(known[np.argmax(values[known])])]
