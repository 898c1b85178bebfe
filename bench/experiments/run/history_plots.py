"""The picture of a run's training metrics, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report import plots
from bench.report.plots import finite, running_mean, thinned
from bench.settings import ARMS

MOST_METRICS = 8
"""Panels, at most."""

_MOST_POINTS = 800
"""Of a line: about as many as there are dots side by side in its place."""

_MOST_CROSSES = 100

History = Mapping[str, Sequence[float]]


def metrics(histories: Mapping[str, History]) -> list[str]:
    """What can be drawn: names of metrics with a finite value in one of the histories, those of both first."""
    named = sorted(
        dict.fromkeys(name for each in histories.values() for name in each),
        key=lambda name: not all(name in each for each in histories.values()),
    )
    return [
        name for name in named if any(np.isfinite(finite(_values(each, name))).any() for each in histories.values())
    ]


def history(histories: Mapping[str, History]) -> Figure:
    """Each metric over the batches: every value faintly, and the running mean; a cross where a value is not finite.

    Args:
        histories: by arm; one of them has a metric.
    """
    names = metrics(histories)[:MOST_METRICS]
    drawn = plots.figure(0.8 + 1.5 * len(names))
    for axes, name in zip(drawn.subplots(len(names), sharex=True, squeeze=False)[:, 0], names, strict=True):
        for arm in reversed(ARMS):  # dashes over a line can be seen, not under it
            _metric(axes, finite(_values(histories[arm], name)), arm)
        axes.set_ylabel(plots.wrapped(name, 2, 1.4), **plots.VERBATIM)
        axes.grid(alpha=0.3)
        axes.margins(x=0.01)
    axes.set_xlabel("batch")
    named = plots.handles(drawn)
    plots.legend(drawn, {label: named[label] for arm in ARMS for label in _labels(arm) if label in named})
    return drawn


def _metric(axes: Axes, values: np.ndarray, arm: str) -> None:
    """Of one arm [batches]; nothing where it has no such metric."""
    if not values.size:
        return
    smooth, broken = _labels(arm)
    looks = plots.linestyle(arm)
    at = thinned(values, _MOST_POINTS)
    axes.plot(at, values[at], color=looks["color"], linewidth=0.5, alpha=0.3)
    mean = running_mean(values, max(5, len(values) // 50))
    at = thinned(mean, _MOST_POINTS)
    axes.plot(at, mean[at], linewidth=1.6, label=smooth, **looks)
    missing = np.flatnonzero(np.isnan(values))
    if missing.size:
        at = missing[np.linspace(0, missing.size - 1, min(missing.size, _MOST_CROSSES)).astype(int)]
        axes.plot(
            at, np.full(at.size, 0.06 if arm == ARMS[0] else 0.14), transform=axes.get_xaxis_transform(), marker="x",
            linestyle="", color=looks["color"], markersize=4, label=broken,
        )  # fmt: skip


def _labels(arm: str) -> tuple[str, str]:
    return f"{arm}, running mean", f"{arm}, not finite"


def _values(history: History, name: str) -> np.ndarray:
    return np.asarray(history.get(name, ()), float)
