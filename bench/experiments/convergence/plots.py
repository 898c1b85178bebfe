"""The picture of convergence: quality over batches, and the temperature under it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.experiments.convergence.figures import ConvergenceFigures, Curve
from bench.report import plots

_MORE: tuple[dict[str, Any], ...] = (
    {"color": "#3a7d44", "marker": "^", "linestyle": "-."},
    {"color": "#6b4c9a", "marker": "D", "linestyle": ":"},
)
"""Looks of loops that are no arms: each differs from the others in shape as well as in colour."""

_MARKED = 7
"""Points of a line that have a marker: enough to tell lines apart, too few to hide them."""


def draw(figures: ConvergenceFigures, loops: Sequence[str]) -> Figure:
    """A panel for each metric: means over the seeds, their 95% intervals shaded; the temperature below, if loops say.

    Args:
        figures: of the record, with one metric at least.
        loops: in the order of the legend.
    """
    heights = [2.3] * len(figures.metrics) + [1.3] * bool(figures.temperatures)
    figure = Figure(figsize=(6.4, 1.0 + sum(heights)), layout="constrained")
    panels = figure.subplots(len(heights), squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, metric in zip(panels, figures.metrics, strict=False):
        for place, loop in enumerate(loops):
            if curve := figures.curves[metric].get(loop):
                _line(axes, curve, loop, loops, place)
        axes.set_title(metric, fontsize="medium")
    if figures.temperatures:
        for place, loop in enumerate(loops):
            _temperature(panels[-1], figures.temperatures.get(loop, {}), loop, loops, place)
        panels[-1].set_title("temperature", fontsize="medium")
    for axes in panels:
        axes.grid(alpha=0.3)
    panels[-1].set_xlabel("batches trained")
    handles = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def _line(axes: Axes, curve: Curve, loop: str, loops: Sequence[str], place: int) -> None:
    looks = _looks(loop, loops)
    values = [mean.estimate for mean in curve.means]
    axes.plot(curve.batches, values, label=loop, markevery=_every(len(values), place), linewidth=1.4, **looks)
    if all(math.isfinite(mean.low) for mean in curve.means):  # a single seed has no interval
        low, high = [mean.low for mean in curve.means], [mean.high for mean in curve.means]
        axes.fill_between(curve.batches, low, high, color=looks["color"], alpha=0.18, linewidth=0)


def _temperature(axes: Axes, found: dict[int, float], loop: str, loops: Sequence[str], place: int) -> None:
    if found:
        every = _every(len(found), place)
        axes.plot(list(found), list(found.values()), markevery=every, linewidth=1.4, **_looks(loop, loops))


def _looks(loop: str, loops: Sequence[str]) -> dict[str, Any]:
    others = [name for name in loops if name not in plots.LOOKS]
    return plots.LOOKS.get(loop) or _MORE[others.index(loop) % len(_MORE)]


def _every(points: int, place: int) -> tuple[int, int]:
    """Which points have a marker: those of lines that lie on one another are not in the same places."""
    step = max(1, points // _MARKED)
    return place % step, step
