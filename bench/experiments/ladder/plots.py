"""The waterfall of a ladder: from the baseline's ms/batch down to the full set's, each change a floating bar."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loop_bench.experiments.ladder.figures import LadderFigures, RungFigures
from loop_bench.experiments.ladder.record import LadderRecord
from loop_bench.report import plots
from loop_bench.report.report import Picture
from loop_bench.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "waterfall"

_LOOKS: dict[str, dict[str, Any]] = {
    "none": {"facecolor": "#d9d9d9", "edgecolor": "#333333", "label": "ms/batch"},
    "faster": {"facecolor": "#9dc3e6", "edgecolor": "#1f5fa8", "label": "faster"},
    "slower": {"facecolor": "#f4b896", "edgecolor": "#b3541e", "hatch": "////", "label": "slower"},
    "no measurable difference": {"facecolor": "white", "edgecolor": "#333333", "hatch": "....",
                                 "label": "no measurable difference"},
    "too few rounds": {"facecolor": "white", "edgecolor": "#333333", "linestyle": "--", "label": "too few rounds"},
}  # fmt: skip
"""Styles of bars by effect; they differ in hatching as well as in colour."""

_HEIGHT = 0.62
_FULL = "the full set"
_NAME = 1.9  # inches for the names of the bars
_ROOM = 0.4  # share of the axis for the text beside the longest bar


@dataclasses.dataclass(frozen=True)
class Bar:
    """The bar of a rung, in ms a batch."""

    name: str
    says: str  # text beside the bar
    effect: str  # a key of _LOOKS; otherwise no bar is drawn
    start: float = 0.0
    end: float = 0.0
    interval: Interval | None = None  # of the end


def pictures(record: LadderRecord) -> tuple[Picture, ...]:
    """The plots of a record; empty if nothing was timed."""
    figures = LadderFigures.of(record)
    if not any(rung.ms_per_batch for rung in figures.rungs):
        return ()
    caption = (
        f"Milliseconds a batch from {record.ladder.baseline.name} down to the full set, each change a bar from the "
        "median before it to its own, with the 95% interval of its end"
    )
    left_out = "; below, what leaving out a change makes of the full set" if len(_panels(figures)) > 1 else ""
    return (Picture(NAME, f"{caption}{left_out}.", functools.partial(waterfall, figures)),)


def waterfall(figures: LadderFigures) -> Figure:
    """Plots the steps in one panel, and the full set without each change in a panel below.

    Args:
        figures: figures of a ladder that was timed.
    """
    panels = _panels(figures)
    heights = [len(panel) + 1 for panel in panels]
    from matplotlib.patches import Patch

    drawn = plots.figure(0.7 + 0.4 * sum(heights))
    grid = drawn.subplots(len(panels), squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    titles = ("one change after the other", "the full set, without one of its changes")
    for axes, panel, title in zip(grid, panels, titles, strict=False):
        _draw(axes, panel, title)
    for axes, panel in zip(grid[1:], panels[1:], strict=True):
        axes.axvline(panel[0].end, color="#777777", linewidth=0.8)  # the full set, the reference of each bar
    shown = [effect for effect in _LOOKS if any(bar.effect == effect for panel in panels for bar in panel)]
    plots.legend(drawn, {_LOOKS[effect]["label"]: Patch(**_LOOKS[effect]) for effect in shown})
    return drawn


def _panels(figures: LadderFigures) -> list[list[Bar]]:
    return [panel for panel in (_steps(figures), _left_out(figures)) if panel]


def _steps(figures: LadderFigures) -> list[Bar]:
    """Bars for the baseline, each step, and the time of the full set."""
    bars = [_step(rung, figures) for rung in figures.rungs if rung.rung.group != "left out"]
    return [*bars, _whole(figures.full, _FULL, figures)]


def _left_out(figures: LadderFigures) -> list[Bar]:
    left = [rung for rung in figures.rungs if rung.rung.group == "left out"]
    return [_whole(figures.full, _FULL, figures), *(_step(rung, figures) for rung in left)] if left else []


def _step(rung: RungFigures, figures: LadderFigures) -> Bar:
    """A bar from the time of the rung's reference to its own; from zero if there is no reference."""
    says = in_short(rung, figures)
    if rung.invalid or not rung.ms_per_batch:
        return Bar(rung.rung.name, says, "invalid")
    ms = rung.ms_per_batch.median
    if rung.over_reference is None:  # a new level for the next steps, without an effect of its own
        return Bar(rung.rung.name, f"{ms:.3g} ms" + (f" ({says})" if says else ""), "none", 0.0, ms)
    reference = figures.rung(rung.reference).ms_per_batch
    assert reference
    interval = rung.ms_from_reference if figures.effect(rung) != "too few rounds" else None
    return Bar(rung.rung.name, says, figures.effect(rung), reference.median, ms, interval)


def in_short(rung: RungFigures, figures: LadderFigures) -> str:
    """The effect of a rung's change, without interval and reason: `1.30× faster`."""
    effect = figures.effect(rung)
    if rung.over_reference and effect in ("faster", "slower"):
        ratio = rung.over_reference if effect == "faster" else rung.over_reference.reciprocal
        return f"{ratio.estimate:.2f}× {effect}"
    return {"none": "", "invalid": _why_not(rung)}.get(effect, effect)


def _why_not(rung: RungFigures) -> str:
    """Why the effect of a change is unknown, in a few words."""
    if rung.stopped:
        return rung.stopped.partition(":")[0]
    return "invalid" if rung.invalid else rung.unknown


def _whole(rung: RungFigures, name: str, figures: LadderFigures) -> Bar:
    if rung.invalid or not rung.ms_per_batch:
        return Bar(name, in_short(rung, figures), "invalid")
    return Bar(name, f"{rung.ms_per_batch.median:.3g} ms", "none", 0.0, rung.ms_per_batch.median)


def _draw(axes: Axes, bars: Sequence[Bar], title: str) -> None:
    for y, bar in enumerate(bars):
        if bar.effect in _LOOKS:
            axes.barh(y, bar.end - bar.start, left=bar.start, height=_HEIGHT, **_LOOKS[bar.effect])
            if y + 1 < len(bars) and bar.end in (bars[y + 1].start, bars[y + 1].end):
                axes.vlines(bar.end, y + _HEIGHT / 2, y + 1 - _HEIGHT / 2, colors="#777777", linewidths=0.8)
        if bar.interval:
            middle, low, high = bar.interval
            axes.errorbar(middle, y, xerr=[[middle - low], [high - middle]], capsize=3, color="black", linewidth=1.2)
        _say(axes, bar, y)
    widest = max(map(_right_of, bars))
    axes.set_xlim(0, (widest or 1.0) / (1 - _ROOM))
    axes.set_ylim(len(bars) - 0.5, -0.5)  # downwards
    names = [plots.wrapped(bar.name, 3, _NAME) for bar in bars]
    axes.set_yticks(range(len(bars)), names, fontsize=plots.SMALL, **plots.VERBATIM)
    axes.set_xlabel("ms/batch")
    axes.set_title(title, fontsize=9)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _say(axes: Axes, bar: Bar, y: float) -> None:
    """Writes the text of a bar beside it, cut to the room there is."""
    axes.annotate(
        plots.wrapped(bar.says, 3, _ROOM * (plots.WIDTH - _NAME)), (_right_of(bar), y), xytext=(4, 0),
        textcoords="offset points", va="center", fontsize=plots.SMALL, **plots.VERBATIM,
    )  # fmt: skip


def _right_of(bar: Bar) -> float:
    """The position right of a bar and its interval."""
    return max(bar.start, bar.end, bar.interval.high if bar.interval else 0.0)
