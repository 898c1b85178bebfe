"""Pictures of a sweep: cost and throughput of both loops against each axis, on logarithmic scales."""

from __future__ import annotations

import functools
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.experiments.sweep import figures
from bench.experiments.sweep.figures import ArmCost, AxisFigures
from bench.experiments.sweep.record import SweepRecord
from bench.report import plots
from bench.report.report import Picture
from bench.settings import ARMS
from bench.statistics import Spread

STEM = "costs"
_UNMEASURED = "not measured"


def pictures(record: SweepRecord) -> tuple[Picture, ...]:
    """The pictures of a record; none where nothing was measured."""
    found = figures.of(record)
    if not any(point.arms for axis in found for point in axis.points):
        return ()
    axes, settings = ", ".join(axis.name for axis in found), record.sweep.settings
    units = " and ".join(dict.fromkeys(f"{axis.unit} a second" for axis in found if axis.unit))
    caption = (
        f"Milliseconds a batch{f' (left) and {units} (right)' if units else ''} of before ({settings.before}) and "
        f"after ({settings.after}) against {axes}: medians and quartiles on logarithmic scales"
    )
    missing = any(not point.arms for axis in found for point in axis.points)
    died = "; an upright line is a size that could not be measured" if missing else ""
    return (Picture(STEM, f"{caption}{died}.", functools.partial(draw, record)),)


def draw(record: SweepRecord) -> Figure:
    """A row of panels for each axis: ms/batch, and throughput where a loop says how much is in a batch.

    Medians with their quartiles. Where a point could not be measured there is a vertical line.
    """
    found = figures.of(record)
    drawn = plots.figure(0.6 + 2.2 * len(found))
    for row, axis in zip(drawn.subplots(len(found), 2, squeeze=False), found, strict=True):
        _panel(row[0], axis, "ms/batch", lambda cost: cost.ms_per_batch)
        if axis.unit:
            _panel(row[1], axis, f"{axis.unit}/s", lambda cost: cost.per_second)
        else:
            row[1].set_axis_off()
    settings, labelled = record.sweep.settings, plots.handles(drawn)
    told = {arm: f"{arm} ({getattr(settings, arm)})" for arm in ARMS} | {_UNMEASURED: _UNMEASURED}
    plots.legend(drawn, {told[label]: labelled[label] for label in told if label in labelled})
    return drawn


def _panel(axes: Axes, axis: AxisFigures, title: str, figure_of: Callable[[ArmCost], Spread | None]) -> None:
    for arm in ARMS:
        known = {point.value: figure_of(point.arms[arm]) for point in axis.points if point.arms}
        _line(axes, {value: spread for value, spread in known.items() if spread}, arm)
    missing = [point.value for point in axis.points if not point.arms]
    for value in missing:
        label = _UNMEASURED if value == missing[0] else None
        axes.axvline(value, color="#777777", linestyle=":", linewidth=1, label=label)
    for which in ("x", "y"):
        plots.logarithmic(axes, which)
        axes.tick_params(labelsize=plots.SMALL)
    values = [point.value for point in axis.points]
    axes.set_xticks(values, list(map(str, values)))
    axes.set_xlabel(axis.name, fontsize=9, **plots.VERBATIM)
    axes.set_ylabel(title, fontsize=9)
    axes.grid(alpha=0.3)


def _line(axes: Axes, spreads: dict[int, Spread], arm: str) -> None:
    medians = [spread.median for spread in spreads.values()]
    below = [spread.median - spread.low for spread in spreads.values()]
    above = [spread.high - spread.median for spread in spreads.values()]
    axes.errorbar(list(spreads), medians, yerr=[below, above], capsize=3, markersize=4, label=arm, **plots.LOOKS[arm])
