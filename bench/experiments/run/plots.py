"""The pictures of a run: time, ratio, host syncs and training metrics of both loops."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from loop_bench.experiments.run import read_plots
from loop_bench.experiments.run.figures import Comparison, Timing
from loop_bench.experiments.run.record import Record
from loop_bench.experiments.run.verdict import Verdict
from loop_bench.report import plots, rows
from loop_bench.report.plots import finite, running_mean, running_median, thinned
from loop_bench.report.report import Picture
from loop_bench.report.texts import counted
from loop_bench.settings import ARMS, NULL, TIMED
from loop_bench.statistics import FEWEST_PAIRS, Drift, Interval
from loop_bench.timing import samples as rounds
from loop_bench.timing.samples import Round

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {ARMS[0]: "before", NULL: "before again", ARMS[1]: "after"}
"""Names of the timed loops in pictures."""

SMOOTHED = 11
"""Rounds, at least, whose running median is drawn: of fewer there are only the dots."""

_FAR_APART = 3.0

_SIZES, _OPACITIES = (4.0, 1.5), (0.8, 0.25)  # of the dots of ten rounds and of a thousand; the first in points

_MANY = 1000
"""Dots, from where they make an SVG too large: there they are an image in it."""

_CLOUD = 200
"""Dots, from where a line through them in their own colour is lost, and what it then has around it."""

MOST_METRICS = 8
"""Panels of training metrics, at most."""

_MOST_POINTS = 800
"""Points of a line, at most: about as many as there are dots side by side in its place."""

_MOST_CROSSES = 100

History = Mapping[str, Sequence[float]]


def pictures(record: Record) -> tuple[Picture, ...]:
    """The pictures of a record; none of what it does not hold."""
    found = Comparison.of(record)
    return (*_of_rounds(record, found), *_of_reads(record), *_of_history(record))


def _of_rounds(record: Record, found: Comparison) -> Iterator[Picture]:
    if found.timing is None:
        return
    verdict = Verdict.of(record, found)
    doubtful = " (suspicious)" if verdict.suspicious else ""
    title = plots.wrapped(f"{verdict.kind}{doubtful}: {verdict.reason}", inches=0.9 * plots.WIDTH)
    settings, count = record.settings, len(record.rounds)
    rounds = f"{counted(count, 'round')} of {settings.batches} batches"
    smooth = "with running medians" if count >= SMOOTHED else "one by one"
    band = " and their 95% intervals" if count >= FEWEST_PAIRS else ""
    yield Picture(
        "times",
        f"Milliseconds a batch of before ({settings.before}), a second instance of it (before again, the null arm) and "
        f"after ({settings.after}) in {rounds}: over the rounds, {smooth}, and as boxes of the quartiles.",
        functools.partial(times, record.rounds, found, title),
    )
    yield Picture(
        "ratios",
        f"Time before over time after in each of {rounds}, and over that of a second instance of before (the null "
        f"arm), with the estimates{band}: {_trend(found.timing.drift)}.",
        functools.partial(ratios, record.rounds, found.timing, title),
    )


def _trend(drift: Drift) -> str:
    return f"it drifted by {drift.change:+.1%} over the run" if drift.significant else "no significant drift"


def _of_reads(record: Record) -> Iterator[Picture]:
    syncs = {arm: record.arms[arm].host_syncs for arm in ARMS}
    if any(each and each.sites for each in syncs.values()):
        yield Picture(
            "host-syncs",
            "Reads of the device by the host a batch, by the line of code that makes them and the way it does; host "
            "ops in graphs are not among them.",
            functools.partial(read_plots.reads, syncs),
        )


def _of_history(record: Record) -> Iterator[Picture]:
    histories = {arm: record.arms[arm].history for arm in ARMS}
    names = metrics(histories)
    if names:
        most = MOST_METRICS
        which = f"The first {most} of {len(names)} training metrics" if len(names) > most else "Training metrics"
        yield Picture(
            "metrics",
            f"{which} of the timed loops over their batches, with running means; the loops need not draw the same "
            "random numbers, so this is not the check of equivalence.",
            functools.partial(history, histories),
        )


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
    """The ratio of before to after in each round, and of before to the null arm, each with its 95% band.

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
        axes.set_title({ARMS[1]: title, NULL: rows.speed_up(found[name])}[name], fontsize=9, **plots.VERBATIM)
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
    from matplotlib.patheffects import withStroke

    order = np.arange(1, len(values) + 1)
    size, faint = (float(np.interp(np.log10(len(values)), [1, 3], range_)) for range_ in (_SIZES, _OPACITIES))
    dots = {"marker": looks["marker"], "color": looks["color"], "markerfacecolor": "none", "markeredgewidth": 0.6}
    axes.plot(order, values, linestyle="", alpha=faint, markersize=size, rasterized=len(values) > _MANY, **dots)
    smooth = len(values) >= SMOOTHED
    line = {"color": looks["color"], "linestyle": looks["linestyle"], "linewidth": 1.6}
    if smooth:
        around = [withStroke(linewidth=3.2, foreground="white")] if len(values) > _CLOUD else []
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
    """What stands under a box: its loop, and its median."""
    null = found.timing.null_ms_per_batch if found.timing else None
    middle = {ARMS[0]: found.before.ms_per_batch, NULL: null, ARMS[1]: found.after.ms_per_batch}[name]
    return "\n".join([*NAMES[name].split(), f"{middle.median:.3g} ms" if middle else ""])


def _label_rounds(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("round")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _far_apart(series: Iterable[np.ndarray]) -> bool:
    values = np.concatenate(list(series))
    return bool(values.max() > _FAR_APART * values.min())


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
    """Draws a metric of one arm [batches]; nothing where it has no such metric."""
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
