"""The report of a sweep: a table an axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from bench.experiments.run.verdict import Kind
from bench.experiments.sweep import figures, plots
from bench.experiments.sweep.figures import AxisFigures, PointFigures
from bench.experiments.sweep.record import SweepRecord
from bench.machine import environment
from bench.report import wording
from bench.report.report import Number, Report
from bench.report.wording import NOT_MEASURED
from bench.settings import ARMS
from bench.statistics import Spread


def report(record: SweepRecord) -> Report:
    """The report of a record."""
    found = figures.of(record)
    titled = [(f"cost as {axis.name} grows", table(axis)) for axis in found]
    return Report.of("sweep", titled, footer(record), _numbers(found), plots.pictures(record))


def table(axis: AxisFigures) -> pd.DataFrame:
    """A row for each value of an axis.

    Returns:
        Texts in the columns: the axis, ms/batch of each arm, the ratio, that of the null arm, throughput of each arm.
    """
    rows = [
        (
            f"{point.value} (preset)" if point.own else str(point.value),
            *(wording.spread(point.arms[arm].ms_per_batch if point.arms else None) for arm in ARMS),
            _ratio(point),
            wording.interval(point.null) if point.null else NOT_MEASURED,
            *(_rate(point, arm) for arm in ARMS if axis.unit),
        )
        for point in axis.points
    ]
    throughput = [f"{arm}, {axis.unit}/s" for arm in ARMS if axis.unit]
    costs = [f"{arm}, ms/batch" for arm in ARMS]
    return pd.DataFrame(rows, columns=[axis.name, *costs, "before / after", "before / itself", *throughput])


def footer(record: SweepRecord) -> list[str]:
    """What a reader must know to believe the tables."""
    settings, found = record.sweep.settings, figures.of(record)
    points = [point for axis in found for point in axis.points if point.arms]
    options = "".join(f", {name}={value}" for name, value in settings.options.items())
    commit = record.environment.get("commit")
    return [
        f"before: {settings.before}, after: {settings.after}",
        f"preset {settings.preset}, seed {settings.seed}{options}; each axis is varied alone, and each point measured "
        f"in a process of its own, in {_range([point.rounds for point in points])} interleaved rounds of "
        f"{settings.batches} batches a loop",
        "times: median (quartiles); throughput: median; before / after: of times, with its bootstrap interval; "
        "before / itself: the same of a second instance of the loop before (null arm), which is the run's own noise",
        "whether both loops compute the same is not looked at anew for each size: python -m bench equivalence",
        *_not_known(record),
        *_doubts(found),
        environment.machine(record.environment) + (f"; commit {commit[:9]}" if commit else ""),
    ]


def _numbers(found: Sequence[AxisFigures]) -> Iterator[Number | None]:
    for axis in found:
        for point in axis.points:
            at = f"{axis.name}={point.value}"
            for arm, cost in point.arms.items():
                yield Number.median(f"time a batch at {at}", arm, "ms", cost.ms_per_batch)
                yield Number.median(f"throughput at {at}", arm, f"{axis.unit}/s", cost.per_second)
            yield Number.estimate(f"speed-up at {at}", ARMS[1], "ratio", point.speed_up)
            yield Number.estimate(f"speed-up at {at}", "null arm", "ratio", point.null)


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


def _not_known(record: SweepRecord) -> list[str]:
    """A note where it is not known what an option does, as with loops that are someone else's."""
    points = record.sweep.distinct().values()
    names = " and ".join(axis.name for axis in record.sweep.axes)
    return [f"{names}: handed to the loops as options; what they make of them is theirs"] * any(
        point.tokens is None for point in points
    )


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


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts, default=0), max(counts, default=0)
    return str(low) if low == high else f"{low} to {high}"
