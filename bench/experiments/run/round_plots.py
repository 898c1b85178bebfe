"""Pictures of the rounds of a run: ms/batch of each timed loop, and the ratio of both arms, from round to round."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from bench.experiments.run.figures import Comparison, Timing
from bench.report import plots, wording
from bench.report.plots import running_median
from bench.settings import ARMS, NULL, TIMED
from bench.statistics import Interval
from bench.timing import samples as rounds
from bench.timing.samples import Round

NAMES = {ARMS[0]: "before", NULL: "before again", ARMS[1]: "after"}
"""Of the timed loops."""

SMOOTHED = 11
"""Rounds, at least, whose running median is drawn: of fewer there are only the dots."""

_FAR_APART = 3.0
_SIZES, _OPACITIES = (4.0, 1.5), (0.8, 0.25)  # of the dots of ten rounds and of a thousand; the first in points
_MANY = 1000
"""Dots, from where they make an SVG too large: there they are an image in it."""

_CLOUD, _HALO = 200, withStroke(linewidth=3.2, foreground="white")
"""Dots, from where a line through them in their own colour is lost, and what it then has around it."""


def times(done: Sequence[Round], found: Comparison, title: str) -> Figure:
    """Dots and running medians of ms/batch over the rounds, and beside them the distribution of each loop.

    Args:
        done: at least one.
        found: what they say.
        title: the same in words.
    """
    drawn = plots.figure(3.6)
    milliseconds = {name: rounds.milliseconds(done, name) for name in TIMED}
    over, beside = drawn.subplots(1, 2, sharey=True, width_ratios=(8, 5))
    for name in reversed(TIMED):  # dashes over a line can be seen, not under it
        _series(over, milliseconds[name], NAMES[name], plots.LOOKS[name])
    _boxes(beside, milliseconds, found)
    if _far_apart(milliseconds.values()):
        plots.logarithmic(over, "y")
    over.set_ylabel("ms/batch")
    _label_rounds(over)
    for axes in (over, beside):
        axes.grid(axis="y", alpha=0.3)
    drawn.suptitle(title, fontsize=9, **plots.VERBATIM)
    plots.legend(drawn, dict(reversed(plots.handles(drawn).items())), below=True)
    return drawn


def ratios(done: Sequence[Round], timing: Timing, title: str) -> Figure:
    """Of each round the time before over the time after, and over that of the null arm, each with its 95% band.

    Both panels have the same relative scale, so that what is noise in one is as high in the other.

    Args:
        done: at least one.
        timing: what they say.
        title: the same in words.
    """
    drawn = plots.figure(4.8)
    found = {ARMS[1]: timing.speed_up, NULL: timing.null}
    series = {name: rounds.ratios(done, name) for name in found}
    reach = max(0.01, *(float(np.max(np.abs(np.log(series[name] / found[name].estimate)))) for name in found))
    for axes, name in zip(drawn.subplots(len(found), sharex=True), found, strict=True):
        _ratio(axes, series[name], found[name], plots.LOOKS[name])
        axes.set_ylim(found[name].estimate * np.exp([-1.1 * reach, 1.1 * reach]))
        if reach > math.log(_FAR_APART):
            plots.logarithmic(axes, "y")
        axes.set_ylabel(f"before / {NAMES[name]}")
        axes.set_title({ARMS[1]: title, NULL: wording.speed_up(found[name])}[name], fontsize=9, **plots.VERBATIM)
    _label_rounds(axes)
    return drawn


def _ratio(axes: Axes, series: np.ndarray, found: Interval, looks: dict[str, Any]) -> None:
    if np.isfinite(found.high):
        axes.axhspan(found.low, found.high, color="black", alpha=0.2, linewidth=0, label="95% interval")
    axes.axhline(found.estimate, color="black", linewidth=0.8, label="estimate")
    _series(axes, series, "a round", looks)
    axes.grid(axis="y", alpha=0.3)


def _series(axes: Axes, values: np.ndarray, label: str, looks: dict[str, Any]) -> None:
    """Thin dots [rounds], and a line of the running median where there are enough of them."""
    order = np.arange(1, len(values) + 1)
    size, faint = (float(np.interp(np.log10(len(values)), [1, 3], range_)) for range_ in (_SIZES, _OPACITIES))
    dots = {"marker": looks["marker"], "color": looks["color"], "markerfacecolor": "none", "markeredgewidth": 0.6}
    axes.plot(order, values, linestyle="", alpha=faint, markersize=size, rasterized=len(values) > _MANY, **dots)
    smooth = len(values) >= SMOOTHED
    line = {"color": looks["color"], "linestyle": looks["linestyle"], "linewidth": 1.6}
    if smooth:
        around = [_HALO] if len(values) > _CLOUD else []
        axes.plot(order, running_median(values, max(5, len(values) // 15)), path_effects=around, **line)
    axes.plot([], [], label=label, markersize=5, **{**dots, **(line if smooth else {"linestyle": ""})})  # the legend's


def _boxes(axes: Axes, milliseconds: Mapping[str, np.ndarray], found: Comparison) -> None:
    """Quartiles, medians with their values, and what lies apart; a box a loop."""
    for place, (name, values) in enumerate(milliseconds.items()):
        looks = plots.LOOKS[name]
        line = {"color": looks["color"], "linewidth": 1.2}
        apart = {"marker": looks["marker"], "markersize": 2.0, "markeredgecolor": looks["color"], "alpha": 0.45}
        axes.boxplot(
            values, positions=[place], widths=0.55, boxprops=line, whiskerprops=line, capprops=line,
            medianprops={**line, "linewidth": 2.4}, flierprops=apart, manage_ticks=False,
        )  # fmt: skip
    axes.set_xticks(range(len(milliseconds)), [_told(name, found) for name in milliseconds], fontsize=plots.SMALL)
    axes.set_xlim(-0.5, len(milliseconds) - 0.5)
    axes.tick_params(labelleft=False)


def _told(name: str, found: Comparison) -> str:
    """Under a box: whose it is, and where its middle lies."""
    null = found.timing.null_ms_per_batch if found.timing else None
    middle = {ARMS[0]: found.before.ms_per_batch, NULL: null, ARMS[1]: found.after.ms_per_batch}[name]
    return "\n".join([*NAMES[name].split(), f"{middle.median:.3g} ms" if middle else ""])


def _label_rounds(axes: Axes) -> None:
    axes.set_xlabel("round")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _far_apart(series: Iterable[np.ndarray]) -> bool:
    values = np.concatenate(list(series))
    return bool(values.max() > _FAR_APART * values.min())
