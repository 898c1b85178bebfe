"""Plots of a survival experiment: the share of runs alive by magnitude, and the metrics around a fault."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from loop_bench.experiments.survival import figures
from loop_bench.experiments.survival.fault import EVERYTHING, Fault
from loop_bench.experiments.survival.observation import horizon
from loop_bench.experiments.survival.record import PACE, SurvivalRecord
from loop_bench.report import plots
from loop_bench.report.report import Picture
from loop_bench.settings import ARMS
from loop_bench.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CLEAN: dict[str, Any] = {"color": "#777777", "linestyle": ":"}

_DRAWN_METRICS = 2


def pictures(record: SurvivalRecord) -> tuple[Picture, ...]:
    """The plots of a record; those without data are left out."""
    return tuple(_pictures(record))


def _pictures(record: SurvivalRecord) -> Iterator[Picture]:
    loops = " and ".join(f"{arm} ({record.plan.loops[arm].factory})" for arm in ARMS)
    if _networks(record):
        yield Picture(
            "by-magnitude",
            f"Share of the runs of {loops} that are alive after one batch of gradients gone wrong, by the size of the "
            "gradients, with Wilson's 95% intervals.",
            functools.partial(by_magnitude, record),
        )
    faults, metrics = _around_what(record)
    if faults and metrics:
        yield Picture(
            "around-a-fault",
            f"Steps of the weights that are hit, over their usual size, and {' and '.join(metrics)} of {loops}, batch "
            f"by batch around a fault (the upright line) and without it: medians over the {_seeds(record)}, quartiles "
            "shaded; a cross is where the last run has died, and a skipped update is a step of zero, below the "
            "logarithmic axis.",
            functools.partial(around_a_fault, record),
        )


def _seeds(record: SurvivalRecord) -> str:
    """Words for the plotted seeds: `seeds`, or `first 100 of 1000 seeds`."""
    series = (runs for arm in ARMS for metrics in record.curves.get(arm, {}).values() for runs in metrics.values())
    drawn, planned = max(map(len, series), default=0), len(record.plan.seeds)
    return "seeds" if drawn in (0, planned) else f"first {drawn} of {planned} seeds"


def _networks(record: SurvivalRecord) -> dict[str, list[str]]:
    """The tested magnitudes by network; networks with only one are left out if others have more."""
    sizes: dict[str, list[str]] = {}
    rates = {arm: figures.by_magnitude(record.survivals[arm]) for arm in ARMS}
    for network, size in dict.fromkeys(magnitude for arm in ARMS for magnitude in rates[arm]):
        sizes.setdefault(network, []).append(size)
    return {network: names for network, names in sizes.items() if len(names) > 1} or sizes


def _around_what(record: SurvivalRecord) -> tuple[list[str], list[str]]:
    """The faults that have curves, and the metrics that are plotted for them."""
    curves = [record.curves.get(arm, {}) for arm in ARMS]
    faults = dict.fromkeys(fault for of_arm in curves for fault in of_arm if fault)
    metrics = dict.fromkeys(name for of_arm in curves for name in of_arm.get("", {}))
    return list(faults), list(metrics)[:_DRAWN_METRICS]


def by_magnitude(record: SurvivalRecord) -> Figure:
    """Plots the share of runs alive after one faulty batch by magnitude, with 95% Wilson intervals, for each network.

    Args:
        record: a record with such runs.
    """
    rates = {arm: figures.by_magnitude(record.survivals[arm]) for arm in ARMS}
    panels = _networks(record)
    drawn = plots.figure(0.6 + 2.4 * len(panels))
    for axes, (network, names) in zip(drawn.subplots(len(panels), squeeze=False)[:, 0], panels.items(), strict=True):
        for offset, arm in zip((-0.12, 0.12), ARMS, strict=True):
            rated = {names.index(size): rate.share for (hit, size), rate in rates[arm].items() if hit == network}
            _shares(axes, {x + offset: share for x, share in rated.items() if share}, record, arm)
        axes.set_xticks(range(len(names)), names, fontsize=plots.SMALL)
        axes.set_ylim(-0.05, 1.05)
        axes.set_ylabel("share of runs alive")
        axes.grid(axis="y", alpha=0.3)
        hit = "all networks" if network == EVERYTHING else network
        axes.set_title(plots.cut(f"gradients of one batch, {hit}", plots.letters(5)), fontsize=9, **plots.VERBATIM)
    plots.legend(drawn, plots.handles(drawn))
    return drawn


def _shares(axes: Axes, shares: dict[float, Interval], record: SurvivalRecord, arm: str) -> None:
    estimates = [share.estimate for share in shares.values()]
    below = [share.estimate - share.low for share in shares.values()]
    above = [share.high - share.estimate for share in shares.values()]
    label = f"{arm} ({record.plan.loops[arm].factory})"
    axes.errorbar(
        list(shares), estimates, yerr=np.clip([below, above], 0, 1), capsize=3, label=label, **plots.LOOKS[arm]
    )


def around_a_fault(record: SurvivalRecord) -> Figure:
    """Plots the metrics batch by batch, with and without the fault: medians over the seeds, quartiles shaded.

    There is a row for each fault and a column for each metric. A line ends where no run has a finite number any more.

    Args:
        record: a record with curves of a fault.
    """
    from matplotlib.ticker import MaxNLocator

    faults, metrics = _around_what(record)
    names = [PACE, *metrics]
    drawn = plots.figure(0.9 + 1.9 * len(faults))
    grid = drawn.subplots(len(faults), len(names), squeeze=False, sharex=True, sharey="col")
    for row, fault in zip(grid, faults, strict=True):
        for axes, name in zip(row, names, strict=True):
            _around(axes, record, fault, name)
            axes.tick_params(labelsize=plots.SMALL)
        row[0].set_ylabel(_wrapped(Fault.parse(fault).describe(), 1.8), fontsize=plots.SMALL, **plots.VERBATIM)
    for axes, name in zip(grid[0], names, strict=True):
        axes.set_title(_wrapped(name, plots.WIDTH / len(names) - 0.3), fontsize=plots.SMALL, **plots.VERBATIM)
    for axes in grid[-1]:
        axes.set_xlabel("batch", fontsize=plots.SMALL)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    plots.logarithmic(grid[0][0], "y")
    plots.legend(drawn, plots.handles(drawn))
    return drawn


def _wrapped(text: str, inches: float) -> str:
    return plots.wrapped(text, 2, inches)


def _around(axes: Axes, record: SurvivalRecord, fault: str, name: str) -> None:
    axes.axvline(Fault.parse(fault).batch, color="black", linewidth=0.8, alpha=0.5)
    for arm in ARMS:
        curves = record.curves.get(arm, {})
        longest = max((len(run) for run in curves.get(fault, {}).get(name, ())), default=0)
        looks = plots.linestyle(arm)
        usual = horizon(Fault.parse(fault))
        _curve(axes, curves.get(fault, {}).get(name, ()), usual, f"{arm}, with the fault", looks, shaded=True)
        clean = {**_CLEAN, "linestyle": ":" if arm == ARMS[0] else "-."}
        _curve(axes, curves.get("", {}).get(name, ()), longest or usual, f"{arm}, without", clean, shaded=False)


def _curve(
    axes: Axes, runs: Sequence[Sequence[float]], usual: int, label: str, looks: dict[str, Any], shaded: bool
) -> None:
    length = max((len(run) for run in runs), default=0)
    padded = np.array([[*run, *[math.nan] * (length - len(run))] for run in runs]).reshape(len(runs), length)[
        :, : usual if not shaded else None
    ]
    padded[~np.isfinite(padded)] = math.nan
    seen = np.flatnonzero(~np.all(np.isnan(padded), axis=0)) if padded.size else np.empty(0, int)
    if not seen.size:
        axes.plot([], [], label=label, **looks)
        return
    low, middle, high = np.nanpercentile(padded[:, seen], [25, 50, 75], axis=0)
    axes.plot(seen, middle, label=label, linewidth=1.3, **looks)
    if shaded:
        axes.fill_between(seen, low, high, color=looks["color"], alpha=0.2, linewidth=0)
    if shaded and seen[-1] + 1 < usual:  # the last run has died
        axes.plot(seen[-1:], middle[-1:], marker="x", markersize=7, color=looks["color"])
