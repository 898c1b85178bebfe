"""Pictures of a sweep: cost and throughput of both loops against each axis, on logarithmic scales."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from bench.record import ARMS
from bench.report import plots
from bench.statistics import Spread
from bench.sweep import figures
from bench.sweep.figures import ArmCost, AxisFigures
from bench.sweep.record import SweepRecord

STEM = "sweep"
_UNMEASURED = "not measured"


def save(record: SweepRecord, folder: Path) -> list[Path]:
    """Draws what a sweep has to show; gives the paths of the files."""
    return plots.save(draw(record), folder / STEM)


def draw(record: SweepRecord) -> Figure:
    """A row of panels for each axis: ms/batch, and throughput where a loop says how much is in a batch.

    Medians with their quartiles. Where a point could not be measured there is a vertical line.
    """
    found = figures.of(record)
    figure = Figure(figsize=(9, 0.8 + 3 * len(found)), layout="constrained")
    for row, axis in zip(figure.subplots(len(found), 2, squeeze=False), found, strict=True):
        _panel(row[0], axis, "ms/batch", lambda cost: cost.ms_per_batch)
        if axis.unit:
            _panel(row[1], axis, f"{axis.unit}/s", lambda cost: cost.per_second)
        else:
            row[1].set_axis_off()
    settings = record.sweep.settings
    told = {arm: f"{arm} ({getattr(settings, arm)})" for arm in ARMS} | {_UNMEASURED: _UNMEASURED}
    drawn = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    named = {told[label]: drawn[label] for label in told if label in drawn}
    figure.legend(named.values(), named.keys(), loc="outside upper center", ncols=len(named), frameon=False)
    return figure


def _panel(axes: Axes, axis: AxisFigures, title: str, figure_of: Callable[[ArmCost], Spread | None]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for arm in ARMS:
        known = {point.value: figure_of(point.arms[arm]) for point in axis.points if point.arms}
        _line(axes, {value: spread for value, spread in known.items() if spread}, arm)
    missing = [point.value for point in axis.points if not point.arms]
    for value in missing:
        label = _UNMEASURED if value == missing[0] else None
        axes.axvline(value, color="#777777", linestyle=":", linewidth=1, label=label)
    values = [point.value for point in axis.points]
    axes.set_xticks(values, list(map(str, values)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.6g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(axis.name)
    axes.set_ylabel(title)
    axes.grid(alpha=0.3)


def _line(axes: Axes, spreads: dict[int, Spread], arm: str) -> None:
    medians = [spread.median for spread in spreads.values()]
    below = [spread.median - spread.low for spread in spreads.values()]
    above = [spread.high - spread.median for spread in spreads.values()]
    axes.errorbar(list(spreads), medians, yerr=[below, above], capsize=3, label=arm, **plots.LOOKS[arm])
