"""The report of convergence: curves, verdicts, and what must be known to believe them."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from loop_bench.experiments.convergence.figures import (
    TOO_FEW,
    ConvergenceFigures,
    Curve,
    Effect,
    MetricComparison,
    Reached,
    summary,
)
from loop_bench.experiments.convergence.record import ConvergenceRecord
from loop_bench.experiments.convergence.trial import Course
from loop_bench.report import machines, plots
from loop_bench.report import rows as wording
from loop_bench.report.report import Fact, Headline, Number, Picture, Report, Table, Tone
from loop_bench.report.texts import counted
from loop_bench.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SHOWN = 5
"""Moments of a curve in its table: the whole of it is in the picture and in the numbers."""

STEM = "quality-over-batches"

_CAPTION = (
    "Quality over batches trained, one panel a metric: the mean over seeds and its 95% interval for each loop, "
    "the arrow says which way is better; below, the temperature that each loop trains at."
)


def report(record: ConvergenceRecord) -> Report:
    """The report of a record."""
    figures, loops = ConvergenceFigures.of(record), list(record.plan.loops)
    titled = [
        Table("verdicts", verdicts(figures.comparisons)),
        *(Table(f"over training: {metric}", curves(figures.curves[metric], loops)) for metric in figures.metrics),
        Table("unfinished runs", flaws(figures)),
        machines.table(record.ran_on),
    ]
    pictures = [Picture(STEM, _CAPTION, functools.partial(draw, figures, loops))]
    return Report.of(
        "convergence", titled, _facts(record), _numbers(record, figures), pictures if figures.metrics else (),
        headlines=_headlines(record, figures), doubts=_doubts(record, figures),
    )  # fmt: skip


def verdicts(comparisons: Iterable[MetricComparison]) -> pd.DataFrame:
    """A row for each pair and metric.

    Returns:
        Texts in the columns question, metric, final value, mean over the curve, as good as the reference ever was.
    """
    rows = [
        (
            f"{each.pair.question} ({each.pair.changed} less {each.pair.reference})",
            each.metric,
            _effect(each.final),
            _effect(each.mean),
            _reached(each.reached) if each.reached else wording.NOT_MEASURED,
        )
        for each in comparisons
    ]
    columns = ["question", "metric", "final value", "mean over the curve", "as good as the reference's best"]
    return pd.DataFrame(rows, columns=columns)


def curves(found: dict[str, Curve], loops: list[str]) -> pd.DataFrame:
    """A row for each of a few moments of training, evenly spread, the first and the last among them.

    Returns:
        Texts in the columns batches, and one a loop: means over the seeds with their 95% intervals.
    """
    batches = sorted({batch for curve in found.values() for batch in curve.batches})
    places = np.linspace(0, len(batches) - 1, min(_SHOWN, len(batches))).round().astype(int)
    values = {loop: dict(zip(curve.batches, curve.means, strict=True)) for loop, curve in found.items()}
    rows = [
        (f"{batches[place]}", *(_mean(values.get(loop, {}).get(batches[place])) for loop in loops)) for place in places
    ]
    return pd.DataFrame(rows, columns=["batches", *loops])


def flaws(figures: ConvergenceFigures) -> pd.DataFrame:
    """A row for each run that died.

    Returns:
        Texts in the columns loop, seed, why.
    """
    rows = [(loop, str(seed), why) for loop, found in figures.flaws.items() for seed, why in found]
    return pd.DataFrame(rows, columns=["loop", "seed", "why"])


def _numbers(record: ConvergenceRecord, figures: ConvergenceFigures) -> Iterator[Number | None]:
    """All curves whole, the differences, temperatures, and seconds of training."""
    yield from _of_curves(figures)
    yield from _of_differences(figures)
    for loop, found in figures.temperatures.items():
        for batch, value in found.items():
            yield Number.plain(f"temperature after {batch} batches", loop, "1", value)
    for loop, runs in record.courses.items():
        for run in runs:
            seconds = run.moments[-1].seconds if run.moments else None
            yield Number.plain(f"training, seed {run.seed}", loop, "s", seconds)


def _of_curves(figures: ConvergenceFigures) -> Iterator[Number | None]:
    for metric, found in figures.curves.items():
        for loop, curve in found.items():
            for batch, mean in zip(curve.batches, curve.means, strict=True):
                yield Number.estimate(f"{metric}, after {batch} batches", loop, _unit(metric), mean)


def _of_differences(figures: ConvergenceFigures) -> Iterator[Number | None]:
    for each in figures.comparisons:
        for what, effect in (("final value", each.final), ("mean over the curve", each.mean)):
            figure = f"{each.metric}, {what}, less that of {each.pair.reference}"
            yield Number.estimate(figure, each.pair.changed, _unit(each.metric), effect.difference)


def _unit(metric: str) -> str:
    """What stands in brackets in its name; else it is a plain number."""
    found = re.search(r"\((.*)\)", metric)
    return found[1] if found else "1"


def _headlines(record: ConvergenceRecord, figures: ConvergenceFigures) -> Iterator[Headline]:
    """The answer to each question, and that of each metric."""
    for pair in record.plan.pairs:
        if found := [each for each in figures.comparisons if each.pair == pair]:
            metrics = "; ".join(f"{each.metric}: {_verdict(each)} ({counted(each.seeds, 'seed')})" for each in found)
            yield Headline(pair.question, f"{summary(found)}: {metrics}")
        else:
            why = "no seed has complete runs of both, evaluated after the same batches"
            yield Headline(pair.question, f"cannot be determined: {why}", Tone.UNSURE)


def _facts(record: ConvergenceRecord) -> Iterator[Fact]:
    plan = record.plan
    for loop, trained in plan.loops.items():
        options = "".join(f", {name}={value}" for name, value in trained.options.items())
        yield Fact(loop, f"{trained.factory}{options}")
    seeds = f"seed {plan.seeds[0]}" if len(plan.seeds) == 1 else f"seeds {plan.seeds[0]} to {plan.seeds[-1]}"
    yield Fact("settings", f"preset {plan.preset}, {seeds}")
    yield Fact(
        "evaluated",
        f"before the first batch and after each of {plan.epochs} epochs{_stride(record)}; ↓ is better the lower, ↑ the "
        "higher",
    )
    yield Fact(
        "intervals",
        "means over seeds and differences paired by seed, with Student's 95% intervals; no measurable difference: the "
        "interval holds 0; not corrected for the number of comparisons",
    )
    yield Fact("mean over the curve", "its area over the batches")
    yield Fact("as good as the reference's best", "seeds that got there, and the median of their batches")
    yield from machines.facts(record.environment, record.ran_on)


def _doubts(record: ConvergenceRecord, figures: ConvergenceFigures) -> Iterator[str]:
    """Reasons to trust the comparisons less."""
    if not figures.alike:
        yield "doubt: not all loops of a seed began with the same weights: the beginnings are compared as well"
    dead = {loop: len(found) for loop, found in figures.flaws.items() if found}
    if dead:
        counts = ", ".join(f"{count} of {len(record.plan.seeds)} of {loop}" for loop, count in dead.items())
        yield f"doubt: unfinished runs are in no mean and no difference: {counts}"


def _stride(record: ConvergenceRecord) -> str:
    runs: list[Course] = [run for of_a_loop in record.courses.values() for run in of_a_loop if len(run.moments) > 1]
    strides = sorted({run.moments[1].batch for run in runs})
    return f" of {' or '.join(map(str, strides))} batches" if strides else ""


def _verdict(found: MetricComparison) -> str:
    if found.final.verdict == found.mean.verdict:
        return found.final.verdict
    return f"at the end {found.final.verdict}, over the curve {found.mean.verdict}"


def _effect(found: Effect) -> str:
    """`better: -0.12 (95%: -0.15 to -0.09)`."""
    if found.verdict == TOO_FEW:
        return f"{TOO_FEW}: {found.difference.estimate:+.3g}"
    told = f"{found.verdict}: {found.difference.estimate:+.3g}"
    return f"{told} (95%: {found.difference.low:+.3g} to {found.difference.high:+.3g})"


def _mean(found: Interval | None) -> str:
    if found is None:
        return wording.NOT_MEASURED
    if not math.isfinite(found.low):
        return f"{found.estimate:.4g}"
    return f"{found.estimate:.4g} ({found.low:.4g} to {found.high:.4g})"


def _reached(found: Reached) -> str:
    """`8 of 10 seeds, after 120 batches; the reference after 60`."""
    changed, reference = found.median
    after = "" if changed is None else f", after {changed:g} batches"
    reached = f"{len(found.changed)} of {counted(len(found.reference), 'seed')}"
    return f"{reached}{after}; the reference itself after {reference:g}"


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
    from matplotlib.figure import Figure

    heights = [2.3] * len(figures.metrics) + [1.3] * bool(figures.temperatures)
    figure = Figure(figsize=(6.4, 1.0 + sum(heights)), layout="constrained")
    panels = figure.subplots(len(heights), squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, metric in zip(panels, figures.metrics, strict=False):
        for place, loop in enumerate(loops):
            if curve := figures.curves[metric].get(loop):
                _line(axes, curve, loop, loops, place)
        axes.set_title(metric, fontsize="medium", **plots.VERBATIM)
    if figures.temperatures:
        for place, loop in enumerate(loops):
            _temperature(panels[-1], figures.temperatures.get(loop, {}), loop, loops, place)
        panels[-1].set_title("temperature", fontsize="medium")
    for axes in panels:
        axes.grid(alpha=0.3)
    panels[-1].set_xlabel("batches trained")
    plots.legend(figure, plots.handles(figure))
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
