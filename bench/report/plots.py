"""Pictures of records: PNG and SVG, on a white ground, legible without colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.faults import rates
from bench.faults.experiment import PACE, SurvivalRecord
from bench.faults.fault import EVERYTHING, Fault
from bench.faults.observation import horizon
from bench.record import ARMS
from bench.statistics import Interval

_LOOKS: dict[str, dict[str, Any]] = {
    ARMS[0]: {"color": "#b3541e", "marker": "s", "linestyle": "--"},
    ARMS[1]: {"color": "#1f5fa8", "marker": "o", "linestyle": "-"},
}
"""Of the arms: each differs from the other in shape as well as in colour."""

_CLEAN: dict[str, Any] = {"color": "#777777", "linestyle": ":"}

_DRAWN_METRICS = 2
_DPI = 150


def survival(record: SurvivalRecord, folder: Path) -> list[Path]:
    """Draws what a survival experiment has to show; gives the paths of the files."""
    drawn = {"survival-by-magnitude": by_magnitude(record), "survival-around-a-fault": around_a_fault(record)}
    return [path for name, figure in drawn.items() if figure is not None for path in save(figure, folder / name)]


def by_magnitude(record: SurvivalRecord) -> Figure | None:
    """The share of runs alive after one bad batch, by its size, with 95% Wilson intervals; a panel a network.

    None without such runs.
    """
    found = {arm: rates.by_magnitude(record.survivals[arm]) for arm in ARMS}
    sizes: dict[str, list[str]] = {}
    for network, size in dict.fromkeys(each for arm in ARMS for each in found[arm]):
        sizes.setdefault(network, []).append(size)
    panels = {network: names for network, names in sizes.items() if len(names) > 1} or sizes
    if not panels:
        return None
    figure = Figure(figsize=(7, 0.6 + 2.7 * len(panels)), layout="constrained")
    for axes, (network, names) in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels.items(), strict=True):
        for offset, arm in zip((-0.12, 0.12), ARMS, strict=True):
            rated = {names.index(size): rate.share for (hit, size), rate in found[arm].items() if hit == network}
            _shares(axes, {x + offset: share for x, share in rated.items() if share}, record, arm)
        axes.set_xticks(range(len(names)), names)
        axes.set_ylim(-0.05, 1.05)
        axes.set_ylabel("share of runs alive")
        axes.grid(axis="y", alpha=0.3)
        axes.set_title(
            f"gradients of one batch, {'all networks' if network == EVERYTHING else network}", fontsize="medium"
        )
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def _shares(axes: Axes, shares: dict[float, Interval], record: SurvivalRecord, arm: str) -> None:
    estimates = [share.estimate for share in shares.values()]
    below = [share.estimate - share.low for share in shares.values()]
    above = [share.high - share.estimate for share in shares.values()]
    label = f"{arm} ({record.plan.loops[arm].factory})"
    axes.errorbar(list(shares), estimates, yerr=np.clip([below, above], 0, 1), capsize=3, label=label, **_LOOKS[arm])


def around_a_fault(record: SurvivalRecord) -> Figure | None:
    """The metrics batch by batch, with and without the fault: medians over the seeds, and their quartiles shaded.

    A line ends where no run has a finite number any more.
    """
    faults = list(dict.fromkeys(fault for arm in ARMS for fault in record.curves.get(arm, {}) if fault))
    metrics = dict.fromkeys(name for arm in ARMS for name in record.curves.get(arm, {}).get("", {}))
    if not faults or not metrics:
        return None
    names = [PACE, *list(metrics)[:_DRAWN_METRICS]]
    figure = Figure(figsize=(3.6 * len(faults), 2.5 * len(names)), layout="constrained")
    grid = figure.subplots(len(names), len(faults), squeeze=False, sharex=True, sharey="row")
    for row, name in zip(grid, names, strict=True):
        for axes, fault in zip(row, faults, strict=True):
            _around(axes, record, fault, name)
        row[0].set_ylabel(name.replace(" / ", "\n/ "))
        row[0].set_yscale("log" if name == PACE else "linear")
    for axes, fault in zip(grid[0], faults, strict=True):
        axes.set_title(Fault.parse(fault).describe(), fontsize="medium")
    for axes in grid[-1]:
        axes.set_xlabel("batch")
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def _around(axes: Axes, record: SurvivalRecord, fault: str, name: str) -> None:
    axes.axvline(Fault.parse(fault).batch, color="black", linewidth=0.8, alpha=0.5)
    for arm in ARMS:
        curves = record.curves.get(arm, {})
        longest = max((len(run) for run in curves.get(fault, {}).get(name, ())), default=0)
        looks = {key: value for key, value in _LOOKS[arm].items() if key != "marker"}
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
        axes.plot(seen[-1:], middle[-1:], marker="x", color=looks["color"])


def save(figure: Figure, stem: Path) -> list[Path]:
    """Writes a figure as PNG and SVG; gives their paths."""
    paths = [stem.with_suffix(suffix) for suffix in (".png", ".svg")]
    # The same record, the same bytes: names of clip paths are drawn at random without a salt, and SVG has a date.
    with mpl.rc_context({"svg.hashsalt": "loop-bench", "svg.fonttype": "none"}):
        figure.savefig(paths[0], dpi=_DPI, metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None})
    return paths
