"""The report of a sweep: a table an axis."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from loop_bench.experiments.run.verdict import Kind
from loop_bench.experiments.sweep import figures
from loop_bench.experiments.sweep.figures import ArmCost, AxisFigures, PointFigures
from loop_bench.experiments.sweep.record import SweepRecord
from loop_bench.report import machines, plots
from loop_bench.report import rows as wording
from loop_bench.report.report import Fact, Headline, Number, Picture, Report, Table, Tone
from loop_bench.report.rows import NOT_MEASURED
from loop_bench.settings import ARMS
from loop_bench.statistics import Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def report(record: SweepRecord) -> Report:
    """The report of a record."""
    found = figures.of(record)
    titled = [Table(f"cost as {axis.name} grows", table(axis), _answer(axis)) for axis in found]
    titled.append(machines.table(record.ran_on))
    return Report.of(
        "sweep", titled, facts(record), _numbers(found), pictures(record), headlines=headlines(found),
        doubts=_doubts(found),
    )  # fmt: skip


def headlines(found: Sequence[AxisFigures]) -> Iterator[Headline]:
    """The range of the ratio over all sizes with a valid one; the preset's own, which lies on many axes, once."""
    sizes = {"" if point.own else f"{axis.name}={point.value}": point for axis in found for point in axis.points}
    ratios = [ratio for ratio in map(_valid_ratio, sizes.values()) if ratio is not None]
    if not ratios:
        yield Headline("before / after", f"no valid ratio at any of {len(sizes)} sizes", Tone.UNSURE)
        return
    low, high = f"{min(ratios):.2f}", f"{max(ratios):.2f}"
    over = low if low == high else f"{low} to {high}"
    yield Headline("before / after", f"{over} over {len(ratios)} of {len(sizes)} sizes, as ratios of ms/batch")


def _valid_ratio(point: PointFigures) -> float | None:
    """Time before / time after; None where it was not measured, or the verdict is that it is invalid."""
    if point.speed_up is None or point.verdict is None or point.verdict.kind is Kind.INVALID:
        return None
    return point.speed_up.estimate


def _answer(axis: AxisFigures) -> str:
    """The ratio at the first and at the last value with a valid one."""
    known = [(point.value, ratio) for point in axis.points if (ratio := _valid_ratio(point)) is not None]
    if len(known) < 2:
        return ""
    (first, one), (last, other) = known[0], known[-1]
    return f"before / after {one:.2f} at {first}, {other:.2f} at {last}"


def table(axis: AxisFigures) -> pd.DataFrame:
    """A row for each value of an axis.

    Returns:
        Texts in the columns: the axis, ms/batch of each arm, the ratio, that of the null arm, throughput of each arm,
        and along `replicas` its scaling efficiency.
    """
    rows = [
        (
            f"{point.value} (preset)" if point.own else str(point.value),
            *(wording.spread(point.arms[arm].ms_per_batch if point.arms else None) for arm in ARMS),
            _ratio(point),
            wording.interval(point.null) if point.null else NOT_MEASURED,
            *(_rate(point, arm) for arm in ARMS if axis.unit),
            *(_efficiency(point, arm) for arm in ARMS if axis.scales),
        )
        for point in axis.points
    ]
    throughput = [f"{arm}, {axis.unit}/s" for arm in ARMS if axis.unit]
    costs = [f"{arm}, ms/batch" for arm in ARMS]
    scaling = [f"{arm}, efficiency" for arm in ARMS if axis.scales]
    return pd.DataFrame(rows, columns=[axis.name, *costs, "before / after", "before / itself", *throughput, *scaling])


def facts(record: SweepRecord) -> list[Fact]:
    """The conditions of the tables."""
    settings, found = record.sweep.settings, figures.of(record)
    points = [point for axis in found for point in axis.points if point.arms]
    rounds = wording.range_of([point.rounds for point in points])
    options = "".join(f", {name}={value}" for name, value in settings.options.items())
    return [
        *(Fact(arm, getattr(settings, arm)) for arm in ARMS),
        Fact("settings", f"preset {settings.preset}, seed {settings.seed}{options}; each axis is varied alone"),
        Fact(
            "rounds",
            f"{rounds} interleaved rounds of {settings.batches} batches a loop at each size, in a process of its own",
        ),
        Fact(
            "columns",
            "times are medians (quartiles), throughput medians; before / after is the ratio of times with its "
            "bootstrap interval, before / itself that of a second instance of the loop before (null arm)",
        ),
        Fact("equivalence", "not compared at each size; loop-bench equivalence compares the loops"),
        *[Fact("efficiency", _SCALING)] * any(axis.scales for axis in found),
        *_not_known(record),
        *machines.facts(record.environment, record.ran_on),
    ]


def _numbers(found: Sequence[AxisFigures]) -> Iterator[Number | None]:
    for axis in found:
        for point in axis.points:
            at = f"{axis.name}={point.value}"
            for arm, cost in point.arms.items():
                yield Number.median(f"time a batch at {at}", arm, "ms", cost.ms_per_batch)
                yield Number.median(f"throughput at {at}", arm, f"{axis.unit}/s", cost.per_second)
                yield Number.estimate(f"scaling efficiency at {at}", arm, "ratio", cost.efficiency)
            yield Number.estimate(f"speed-up at {at}", ARMS[1], "ratio", point.speed_up)
            yield Number.estimate(f"speed-up at {at}", wording.NULL_ARM, "ratio", point.null)


def _ratio(point: PointFigures) -> str:
    """The comparison of both loops at one size; a difference only where the verdict says that there is one."""
    if point.verdict is None or point.speed_up is None:
        return point.why_not
    if point.verdict.kind in (Kind.FASTER, Kind.SLOWER):
        return wording.speed_up(point.speed_up)
    return f"{point.verdict.kind}: {point.verdict.reason}"


def _rate(point: PointFigures, arm: str) -> str:
    found: Spread | None = point.arms[arm].per_second if point.arms else None
    return NOT_MEASURED if found is None else f"{found.median:,.0f}"  # its quartiles are those of the time


def _efficiency(point: PointFigures, arm: str) -> str:
    if not point.arms:
        return NOT_MEASURED
    if point.value == 1:
        return "1"
    found = point.arms[arm].efficiency
    if found is None:
        return NOT_MEASURED
    return wording.interval(found) if math.isfinite(found.high) else f"{found.estimate:.2f}"


_SCALING = (
    "of strong scaling: time at 1 replica / (replicas x their time), the batch divided among them; its "
    "interval is of the rounds in two processes, without what one process differs from the next"
)


def _not_known(record: SweepRecord) -> list[Fact]:
    """A fact where it is not known what an option does, as with loops that are someone else's."""
    points = record.sweep.distinct().values()
    names = " and ".join(axis.name for axis in record.sweep.axes)
    passed_on = Fact("options", f"{names}: passed to the loops in their LoopSpec, which decide what these mean")
    return [passed_on] * any(point.tokens is None for point in points)


def _doubts(found: Sequence[AxisFigures]) -> list[str]:
    """What the verdicts leave open; of the preset's own size, which lies on many axes, once."""
    said = [
        f"doubt: {'the preset itself' if point.own else f'{axis.name} {point.value}'}: {doubt}"
        for axis in found
        for point in axis.points
        if point.verdict
        for doubt in (*point.verdict.doubts, *filter(None, [point.verdict.suspicious]))
    ]
    return list(dict.fromkeys(said))


STEM = "costs"


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
    told = {arm: f"{arm} ({getattr(settings, arm)})" for arm in ARMS} | {NOT_MEASURED: NOT_MEASURED}
    plots.legend(drawn, {told[label]: labelled[label] for label in told if label in labelled})
    return drawn


def _panel(axes: Axes, axis: AxisFigures, title: str, figure_of: Callable[[ArmCost], Spread | None]) -> None:
    for arm in ARMS:
        known = {point.value: figure_of(point.arms[arm]) for point in axis.points if point.arms}
        _line(axes, {value: spread for value, spread in known.items() if spread}, arm)
    missing = [point.value for point in axis.points if not point.arms]
    for value in missing:
        label = NOT_MEASURED if value == missing[0] else None
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
